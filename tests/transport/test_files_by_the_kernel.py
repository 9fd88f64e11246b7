"""Stretches of files that the kernel sends: the same bytes as those that are read, or an error that says what it was."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import ConnectionLost, SourceChanged
from s3func.message import Request
from s3func.transport.body import BodyShrunk
from s3func.transport.connection import Connection
from s3func.transport.sources import FileSource, RangeBody, source_of
from s3func.transport.transfer import BandwidthLimit, ProgressCount, WatchedBody

CONTENT = os.urandom(3 * 1024 * 1024 + 17)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Peer:
    """The other end: it reads one request of so many bytes, and answers."""

    def __init__(self, sock: socket.socket, length: int) -> None:
        self.received = bytearray()
        self._sock = sock
        self._length = length
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._sock as sock:
            while (at := self.received.find(b"\r\n\r\n")) < 0 or len(self.received) - at - 4 < self._length:
                block = sock.recv(65536)
                if not block:
                    return
                self.received += block
            sock.sendall(OK)

    def body(self) -> bytes:
        self._thread.join()
        return bytes(self.received).partition(b"\r\n\r\n")[2]


def exchange(body: Any, length: int) -> bytes:
    """What arrives of a body that is sent over a socket."""
    here, there = socket.socketpair()
    peer = Peer(there, length)
    connection = Connection(here, 10, lambda kept: None)
    try:
        response = connection.exchange(Request("POST", "", "/", "", {}, body))
        assert 200 == response.status
    finally:
        connection.close()
        received = peer.body()
    return received


@pytest.fixture
def source(tmp_path: Path) -> Any:
    """A file as a source of an upload."""
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    opened = source_of(path)
    assert isinstance(opened, FileSource)
    yield opened
    opened.close()


@pytest.fixture
def sent_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The counts of bytes that os.sendfile has sent."""
    counts: list[int] = []
    sendfile = os.sendfile

    def counting(*arguments: Any) -> int:
        count = sendfile(*arguments)
        counts.append(count)
        return count

    monkeypatch.setattr(os, "sendfile", counting)
    return counts


STRETCHES = [(0, len(CONTENT)), (5, 1), (1024 * 1024 - 3, 2 * 1024 * 1024 + 7), (len(CONTENT) - 9, 9)]


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="needs sendfile")
@pytest.mark.parametrize(("start", "length"), STRETCHES)
@pytest.mark.parametrize("watched", [False, True])
def test_a_stretch_of_a_file(
    source: FileSource, sent_by_the_kernel: list[int], start: int, length: int, *, watched: bool
) -> None:
    """What arrives is the stretch, sent by the kernel alone, and progress is told as it goes out."""
    told: list[int] = []
    body: Any = RangeBody(source, start, length)
    if watched:
        body = WatchedBody(body, count=ProgressCount(lambda done, total: told.append(done), length))
    received = exchange(body, length)
    assert CONTENT[start : start + length] == received
    assert length == sum(sent_by_the_kernel)
    if watched:
        body.finish()
        assert length == told[-1]
        assert told == sorted(told)


@pytest.mark.parametrize(("start", "length"), STRETCHES)
def test_the_same_bytes_are_read(source: FileSource, start: int, length: int) -> None:
    """blocks() and ranges() are two views of one stretch."""
    body = RangeBody(source, start, length)
    assert CONTENT[start : start + length] == b"".join(bytes(block) for block in body.blocks())
    assert length == sum(len(stretch) for stretch in body.ranges())


def test_a_bandwidth_is_kept(source: FileSource, sent_by_the_kernel: list[int]) -> None:
    """Where a bandwidth has to be kept to, the body is read and sent piece by piece."""
    body = WatchedBody(RangeBody(source, 0, len(CONTENT)), bandwidth=BandwidthLimit(1e9))
    assert body.ranges() is None
    assert CONTENT == exchange(body, len(CONTENT))
    assert [] == sent_by_the_kernel


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="needs sendfile")
@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.ENOSYS])
def test_a_file_system_that_cannot_be_sent_from(
    source: FileSource, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    """Where the kernel will not send, the file is read instead."""

    def refuse(*arguments: Any) -> int:
        raise OSError(refusal, "no")

    monkeypatch.setattr(os, "sendfile", refuse)
    assert CONTENT == exchange(RangeBody(source, 0, len(CONTENT)), len(CONTENT))


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="needs sendfile")
def test_a_disk_that_fails(source: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the file is the file's: nobody takes it for one of the connection, and tries again."""

    def fail(*arguments: Any) -> Any:
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(os, "sendfile", fail)
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(OSError, match="the disk") as caught:
        exchange(RangeBody(source, 0, len(CONTENT)), len(CONTENT))
    assert not isinstance(caught.value, ConnectionLost)


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="needs sendfile")
def test_a_peer_that_is_gone(source: FileSource) -> None:
    """A connection that breaks in the middle is a ConnectionLost."""
    with pytest.raises(ConnectionLost):
        # The peer leaves after the first thousand bytes, without an answer that could be read.
        here, there = socket.socketpair()
        connection = Connection(here, 10, lambda kept: None)
        there.close()
        connection.exchange(Request("POST", "", "/", "", {}, RangeBody(source, 0, len(CONTENT))))


def test_a_file_that_was_cut(source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has become shorter is found out, by its times or by its end, and never sent as if it were whole."""
    os.truncate(tmp_path / "content", 1000)
    with pytest.raises(SourceChanged):
        exchange(RangeBody(source, 0, len(CONTENT)), len(CONTENT))
    monkeypatch.setattr(FileSource, "_check_unwritten", lambda self: None)
    with pytest.raises((BodyShrunk, SourceChanged)):
        exchange(RangeBody(source, 0, len(CONTENT)), len(CONTENT))


def test_a_file_that_is_written_to(source: FileSource, tmp_path: Path) -> None:
    """A file that changes while it is sent is not sent to its end."""
    ranges = RangeBody(source, 0, len(CONTENT)).ranges()
    next(ranges)
    with (tmp_path / "content").open("r+b") as file:
        file.write(hashlib.sha1(CONTENT).digest())
    with pytest.raises(SourceChanged):
        list(ranges)
