"""What holds for every test: no network but loopback, nobody's account, nothing left running.

The guards are in place before the first test and can not be asked for or forgotten by one. Random order comes from
pytest-randomly; a failure prints the seed that repeats it (`--randomly-seed=…`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# The rigs explain what they find, as the tests themselves do; said here, before any test can have imported them.
pytest.register_assert_rewrite("tests.s3.rigs")

# A shell that starts the tests in its background has them, and all that they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Speed is measured in benchmarks/ and never asserted in a test, so an example has no deadline.
hypothesis.settings.register_profile("s3func", deadline=None)
hypothesis.settings.load_profile("s3func")

GRACE_SECONDS = 5.0
"""How long a thread or process that is on its way out may take to end."""


class NotLoopback(RuntimeError):
    """A test tried to leave the machine. No OSError, so that no retry loop takes it for a bad network."""


def is_loopback(host: object) -> bool:
    """Whether a host, as sockets are given it, is certain to be this machine."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host == "":
        return True
    if not isinstance(host, str):
        return False
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


class LoopbackGuard:
    """An audit hook: it sees every socket of the interpreter, however it was made, before anything is sent.

    Audit hooks stay for the life of the process, so this one is switched on and off. `attempts` also holds what a test
    swallowed: the test fails although its code under test caught the exception.
    """

    def __init__(self) -> None:
        self.active = False
        self.attempts: list[str] = []

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active or not event.startswith("socket."):
            return
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
            address = args[1]
            # A string or bytes is a unix socket; None is a datagram on a socket that was connected before.
            if isinstance(address, tuple) and not is_loopback(address[0]):
                self.refuse(event, address[0])
        elif event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
            if not is_loopback(args[0]):
                self.refuse(event, args[0])

    def refuse(self, event: str, host: object) -> None:
        self.attempts.append(f"{event} {host!r}")
        raise NotLoopback(f"tests reach loopback only, this one asked for {host!r}")


@pytest.fixture(scope="session", autouse=True)
def loopback_guard() -> Iterator[LoopbackGuard]:
    """Refuse every connection and every name lookup that is not this machine's."""
    guard = LoopbackGuard()
    sys.addaudithook(guard)
    guard.active = True
    yield guard
    guard.active = False


FOREIGN_VARIABLES = ("AWS_", "B2_", "BOTO", "XDG_", "REQUESTS_", "CURL_", "SSL_CERT_")
PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy"}


@pytest.fixture(scope="session", autouse=True)
def nobodys_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty HOME and no credentials, region or proxy in the environment, for this process and its children."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith(FOREIGN_VARIABLES) or name.lower() in PROXY_VARIABLES:
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("USERPROFILE", str(home))
        # boto3 would look for a role at the cloud's metadata address.
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield home


def threads() -> dict[int, str]:
    """The threads that somebody ought to end, by their identity; tqdm's monitor belongs to the process."""
    return {id(thread): repr(thread) for thread in threading.enumerate() if type(thread).__name__ != "TMonitor"}


def children() -> dict[int, str]:
    """Child processes by pid, where the system tells; multiprocessing's own two servants live as long as we do."""
    found = {}
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread or a child that has just ended
            for pid in listing.read_text().split():
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if "multiprocessing.resource_tracker" not in command and "multiprocessing.forkserver" not in command:
                    found[int(pid)] = command.strip() or f"{pid} has ended, but nobody waited for it"
    return found


def left_behind(look: Callable[[], dict[int, str]], before: dict[int, str]) -> list[str]:
    """What is there now and was not before, after giving it time to end."""
    deadline = time.monotonic() + GRACE_SECONDS
    while (new := {key: name for key, name in look().items() if key not in before}) and time.monotonic() < deadline:
        time.sleep(0.01)
    return sorted(new.values())


@pytest.fixture(autouse=True)
def knows_nothing_of_others() -> None:
    """A test meets nothing that an earlier one had this process remember.

    Those are the tokens and upload URLs of a B2 server whose port may be another's by now, and the credentials of the
    session that boto3 makes for all who ask for none.
    """
    if auth := sys.modules.get("s3func.b2.auth"):
        auth._accounts.clear()
    if boto3 := sys.modules.get("boto3"):
        boto3.DEFAULT_SESSION = None  # type: ignore[attr-defined]  # of whatever module this is


@pytest.fixture(autouse=True)
def leaves_nothing_behind(loopback_guard: LoopbackGuard) -> Iterator[None]:
    """Fail the test that leaves a thread or a child process running, or that tried to leave the machine."""
    threads_before, children_before = threads(), children()
    loopback_guard.attempts.clear()
    yield
    attempts = loopback_guard.attempts.copy()
    loopback_guard.attempts.clear()
    assert [] == attempts, "the test tried to leave the machine"
    assert [] == left_behind(threads, threads_before), "the test left threads running"
    assert [] == left_behind(children, children_before), "the test left processes running"
