"""The guards that stand around every test are able to refuse."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import LoopbackGuard, NotLoopback, children, is_loopback, left_behind, threads


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *[(host, True) for host in (None, "", "localhost", "b.localhost", "127.0.0.1", b"127.8.8.8", "::1", "::1%lo")],
        *[(host, False) for host in ("0.0.0.0", "10.0.0.1", "example.com", "localhost.example.com", "2001:db8::1", 7)],
    ],
)
def test_loopback_is_told_from_the_world(host: object, *, expected: bool) -> None:
    """Only names and addresses that can mean nothing but this machine are loopback."""
    assert expected == is_loopback(host)


def test_no_test_leaves_the_machine(loopback_guard: LoopbackGuard) -> None:
    """A connection and a name lookup that leave the machine are refused before they begin, and remembered."""
    with socket.socket() as stranger, pytest.raises(NotLoopback):
        stranger.connect(("192.0.2.1", 9))
    with pytest.raises(NotLoopback):
        socket.getaddrinfo("host.invalid", 443)
    assert ["socket.connect '192.0.2.1'", "socket.getaddrinfo 'host.invalid'"] == loopback_guard.attempts
    loopback_guard.attempts.clear()


def test_nobodys_account_is_used(nobodys_account: Path) -> None:
    """HOME is an empty folder, and no variable names an account, a region or a proxy."""
    assert str(nobodys_account) == os.environ["HOME"] == str(Path.home())
    assert {"AWS_EC2_METADATA_DISABLED"} == {name for name in os.environ if name.startswith(("AWS_", "B2_"))}
    assert not [name for name in os.environ if name.lower().endswith("_proxy")]


def test_a_thread_left_behind_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that does not end in time is reported, one that has ended is not."""
    monkeypatch.setattr("tests.conftest.GRACE_SECONDS", 0.0)
    before, ended = threads(), threading.Event()
    thread = threading.Thread(target=ended.wait, name="left behind", daemon=True)
    thread.start()
    assert "left behind" in " ".join(left_behind(threads, before))
    ended.set()
    thread.join()
    assert [] == left_behind(threads, before)


@pytest.mark.skipif(not list(Path("/proc/self/task").glob("*/children")), reason="this system does not list children")
def test_a_process_left_behind_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process that runs, or that nobody waited for, is reported, one that was waited for is not."""
    monkeypatch.setattr("tests.conftest.GRACE_SECONDS", 0.0)
    before = children()
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()  # before that it may not have its own command line yet
        assert "input()" in " ".join(left_behind(children, before))
        child.communicate(b"\n")
    assert [] == left_behind(children, before)
