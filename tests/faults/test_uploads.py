from __future__ import annotations

import io
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import AccessDenied, ConnectionLost, NoSuchBucket, Throttled
from s3func.transport.timeouts import Timeouts
from tests.faults.conftest import Connect, Serve
from tests.faults.scripted import Exchange, Step, answer, eventually, refusal, then_close, then_reset

BODY = bytes(range(256)) * 1024
HUGE = bytes(8 * 1024 * 1024)
DENIED = refusal(403, "AccessDenied", "not with these keys", connection="close")


def early(data: bytes, *, read: int = 0) -> Step:
    """Answer when only a part of the body has been read, and close, which resets what is still under way."""

    def step(exchange: Exchange) -> None:
        exchange.read_body(read)
        exchange.send(data)
        exchange.close()

    return step


class Sources:
    """The same bytes as everything that put_object takes."""

    NAMES = ("bytes", "bytearray", "memoryview", "path", "file", "BytesIO", "generator", "pipe")

    def __init__(self, folder: Path) -> None:
        self._path = folder / "source"
        self._files: list[Any] = []

    def make(self, name: str, data: bytes) -> Any:
        """A body that stands for the data; files have a prefix before their current offset that is not part of it."""
        prefix = b"HEADER"
        if name == "bytes":
            return data
        if name == "bytearray":
            return bytearray(data)
        if name == "memoryview":
            return memoryview(prefix + data)[len(prefix) :]
        if name == "generator":
            return (data[start : start + 1000] for start in range(0, len(data), 1000))
        self._path.write_bytes(data if name == "path" else prefix + data)
        if name == "path":
            return self._path
        if name == "file":
            file: Any = self._path.open("rb")
        elif name == "BytesIO":
            file = io.BytesIO(prefix + data)
        else:
            file = Unseekable(data)
        if name != "pipe":
            file.seek(len(prefix))
        self._files.append(file)
        return file

    def close(self) -> None:
        """Close the files that were opened."""
        for file in self._files:
            file.close()


class Unseekable(io.BytesIO):
    """What a pipe is like."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Sources]:
    """Bodies of every kind."""
    made = Sources(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("name", Sources.NAMES)
def test_a_retry_sends_the_same_body(serve: Serve, connect: Connect, sources: Sources, name: str) -> None:
    """Every attempt sends the body from where it began, whatever it came from and however the one before ended."""
    server = serve(
        refusal(503, "SlowDown"),
        early(b"", read=100_000),
        then_reset(),
        early(refusal(500, "InternalError"), read=50_000),
        answer(200, etag='"e"'),
    )
    connect(server).put_object("key", sources.make(name, BODY))
    complete = [exchange.body for exchange in server.requests if len(exchange.body) == exchange.length]
    assert [BODY] * 3 == complete
    assert [len(BODY)] * 5 == [exchange.length for exchange in server.requests]
    checksum = b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
    assert {checksum} == {exchange.headers["x-amz-checksum-crc32"] for exchange in server.requests}


@pytest.mark.parametrize("name", ["bytearray", "memoryview", "file", "path"])
def test_a_retry_sends_the_same_large_body(serve: Serve, connect: Connect, sources: Sources, name: str) -> None:
    """The same for bodies that are sent without a copy."""
    body = BODY * 8
    server = serve(early(b"", read=1_500_000), then_close(), answer())
    connect(server).put_object("key", sources.make(name, body))
    assert [body] * 2 == [exchange.body for exchange in server.requests[1:]]


def test_a_file_is_left_where_it_ends(serve: Serve, connect: Connect, sources: Sources) -> None:
    """The caller's file stays open, and stands behind what was sent."""
    file = sources.make("file", BODY)
    connect(serve(refusal(503, "SlowDown"), answer())).put_object("key", file)
    assert not file.closed
    assert b"" == file.read()


@pytest.mark.parametrize("read", [0, 1, 300_000])
@pytest.mark.parametrize("name", ["bytes", "memoryview", "file"])
def test_a_refusal_while_a_body_is_sent(serve: Serve, connect: Connect, sources: Sources, name: str, read: int) -> None:
    """A server that answers 403 and closes while a large body is under way is heard: AccessDenied, and no retry."""
    server = serve(early(DENIED, read=read))
    with pytest.raises(AccessDenied, match="not with these keys") as caught:
        connect(server).put_object("key", sources.make(name, HUGE))
    assert 1 == caught.value.attempts


def test_a_refusal_on_a_kept_connection(serve: Serve, connect: Connect) -> None:
    """The same on a connection that has served before: it is not taken for a stale one."""
    server = serve(answer(), early(DENIED), answer(200, b"next"))
    session = connect(server)
    session.put_object("first", b"")
    with pytest.raises(AccessDenied):
        session.put_object("key", HUGE)
    assert b"next" == session.get_object("key").data
    assert [0, 0, 1] == server.connections


def test_a_refusal_behind_an_interim_answer(serve: Serve, connect: Connect) -> None:
    """An interim answer before the early refusal is skipped."""
    with pytest.raises(AccessDenied):
        connect(serve(early(b"HTTP/1.1 100 Continue\r\n\r\n" + DENIED))).put_object("key", HUGE)


def test_a_refusal_from_a_server_that_stops_reading(serve: Serve, connect: Connect) -> None:
    """A server that answers and then neither reads nor closes is heard when sending comes to a standstill."""

    def refuse(exchange: Exchange) -> None:
        exchange.send(DENIED)
        exchange.stall_unread()

    with pytest.raises(AccessDenied):
        connect(serve(refuse), timeouts=Timeouts(read=1.5)).put_object("key", HUGE)


def test_slow_down_while_a_body_is_sent(serve: Serve, connect: Connect) -> None:
    """An early 503 is retried with the whole body."""
    server = serve(early(refusal(503, "SlowDown")), answer())
    connect(server).put_object("key", HUGE)
    assert HUGE == server.requests[1].body


def test_an_early_refusal_may_be_final_after_throttling(serve: Serve, connect: Connect) -> None:
    """An early 503 that goes on for ever ends as Throttled with all attempts counted."""
    with pytest.raises(Throttled) as caught:
        connect(serve(always=early(refusal(503, "SlowDown"))), retries=3).put_object("key", HUGE)
    assert 3 == caught.value.attempts


def test_a_connection_that_breaks_while_a_body_is_sent(serve: Serve, connect: Connect) -> None:
    """A reset in the middle of a body is a ConnectionLost that says what happened and how often it was tried."""
    with pytest.raises(ConnectionLost, match="connection broke") as caught:
        connect(serve(always=early(b"")), retries=3).put_object("key", HUGE)
    assert 3 == caught.value.attempts
    assert caught.value.maybe_applied


class Failing(io.BytesIO):
    """A file that can be read once, for the checksum, and then fails with the given error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(HUGE)
        self._error = error
        self._reads = 0

    def readinto(self, buffer: Any) -> int:
        self._reads += 1
        if self._reads > 10:
            raise self._error
        return super().readinto(buffer)


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"),
        BrokenPipeError(32, "the file is a pipe of its own"),
        ConnectionResetError("and this one a socket"),
        TimeoutError("that is slow"),
        ValueError("read of closed file"),
        KeyboardInterrupt("enough"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_body_that_cannot_be_read(serve: Serve, connect: Connect, error: BaseException) -> None:
    """An error of the caller's own file reaches the caller as it is: it is no fault of the connection, nor retried."""
    # The put's head may well be read after the get's, so the step goes by the method.
    server = serve(always=lambda exchange: exchange.send(b"" if exchange.read_body() else answer(200, b"next")))
    session = connect(server)
    with pytest.raises(type(error)) as caught:
        session.put_object("key", Failing(error))
    assert caught.value is error
    assert b"next" == session.get_object("key").data
    assert eventually(lambda: sorted(server.methods) == ["GET", "PUT"])


def test_a_file_that_becomes_shorter(serve: Serve, connect: Connect, sources: Sources) -> None:
    """A file that is shorter than its announced length is a ValueError that names the argument; nothing is made up."""
    file = sources.make("BytesIO", HUGE)

    def shorten(exchange: Exchange) -> None:
        exchange.read_body()
        file.truncate(1000)
        exchange.send(refusal(503, "SlowDown"))

    server = serve(shorten, always=early(b"", read=len(HUGE)))
    with pytest.raises(ValueError, match="body became shorter"):
        connect(server).put_object("key", file)


def test_an_unknown_bucket_costs_no_upload(serve: Serve, connect: Connect, sources: Sources) -> None:
    """The file of a refused upload can be used for another one."""
    file = sources.make("file", HUGE)
    server = serve(early(refusal(404, "NoSuchBucket")), answer())
    session = connect(server)
    with pytest.raises(NoSuchBucket):
        session.put_object("key", file)
    file.seek(6)
    session.put_object("key", file, bucket="other")
    assert HUGE == server.requests[1].body
