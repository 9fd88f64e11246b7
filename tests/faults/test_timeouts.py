from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from s3func.errors import ConnectError, DeadlineExceeded, Throttled, TimedOut
from s3func.transport.retry import RetryPolicy
from s3func.transport.timeouts import Timeouts
from tests.faults.clock import FakeClock
from tests.faults.conftest import Connect, Serve
from tests.faults.scripted import Exchange, answer, chunked, refusal, then_stall

LARGE = 4 * 1024 * 1024
QUICK = Timeouts(connect=5.0, read=0.1)
"""For servers that are silent in any case."""
PATIENT = Timeouts(connect=5.0, read=1.5)
"""For those that shall be heard before they fall silent, on a busy machine as well."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: "


@pytest.fixture
def full_backlog() -> Iterator[str]:
    """The URL of a server that accepts nobody, and whose queue of waiting connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(16):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.05)
            try:
                filler.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            pytest.skip("this system completes handshakes whatever the backlog")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_connecting_has_a_limit(full_backlog: str, connect: Connect, scheme: str) -> None:
    """A server that accepts nobody is a TimedOut after the connect limit, however long reading may take."""
    full_backlog = full_backlog.replace("http", scheme)
    session = connect(full_backlog, timeouts=Timeouts(connect=0.1, read=None), retries=1)
    with pytest.raises(TimedOut, match=f"no connection to {scheme}://127") as caught:
        session.put_object("key", b"body")
    assert not caught.value.maybe_applied


def test_connecting_counts_against_the_total(full_backlog: str, connect: Connect) -> None:
    """The total limit holds while connecting, too, and is the reason that is given."""
    session = connect(full_backlog, timeouts=Timeouts(connect=60.0, read=None, total=0.1))
    with pytest.raises(DeadlineExceeded):
        session.head_object("key")


def test_nobody_listens(connect: Connect, clock: FakeClock) -> None:
    """A refused connection is a ConnectError, tried again after a wait, and nothing can have been applied."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(ConnectError, match="refused") as caught:
        connect(url, retries=3).put_object("key", b"body")
    assert 3 == caught.value.attempts
    assert 2 == len(clock.slept)
    assert not caught.value.maybe_applied


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"3\r\n\r\nab", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_an_answer_that_stops(serve: Serve, connect: Connect, sent: bytes) -> None:
    """A server that falls silent before, in or behind the head is a TimedOut after the idle limit."""
    session = connect(serve(then_stall(sent)), timeouts=QUICK, retries=1)
    with pytest.raises(TimedOut, match=r"0\.1 seconds") as caught:
        session.get_object("key")
    assert not isinstance(caught.value, DeadlineExceeded)
    assert not caught.value.maybe_applied
    assert isinstance(caught.value, TimeoutError)


def test_silence_is_tried_again(serve: Serve, connect: Connect) -> None:
    """A put whose answer does not come in time is sent again on another connection."""
    server = serve(then_stall(), answer(200, etag='"e"'))
    assert "e" == connect(server, timeouts=PATIENT).put_object("key", b"body").etag
    assert [0, 1] == server.connections
    assert [b"body", b"body"] == [exchange.body for exchange in server.requests]


def test_a_put_without_an_answer_may_have_been_applied(serve: Serve, connect: Connect) -> None:
    """When the answer to a put never comes, the error says that the store may have carried it out."""
    with pytest.raises(TimedOut) as caught:
        connect(serve(then_stall()), timeouts=QUICK, retries=1).put_object("key", b"body")
    assert caught.value.maybe_applied


@pytest.mark.parametrize("data", [answer(200, b"x" * LARGE)[:-1], chunked(b"x" * LARGE)[:-3]], ids=["sized", "chunked"])
def test_a_streamed_body_that_stops(serve: Serve, connect: Connect, data: bytes) -> None:
    """Reading a body that falls silent is a TimedOut, and reading on never looks like the end of the body."""
    with connect(serve(then_stall(data)), timeouts=PATIENT).get_object("key") as result:
        with pytest.raises(TimedOut):
            result.read()
        for _ in range(2):
            with pytest.raises(TimedOut):
                result.read(1)


def test_sending_has_a_limit(serve: Serve, connect: Connect) -> None:
    """A server that does not read what it is sent is a TimedOut after the idle limit."""
    server = serve(lambda exchange: exchange.stall_unread())
    with pytest.raises(TimedOut):
        connect(server, timeouts=QUICK, retries=1).put_object("key", bytes(8 * LARGE), multipart=False)


def test_the_idle_limit_is_not_a_total(serve: Serve, connect: Connect) -> None:
    """A body that takes longer than the idle limit as a whole is read, as long as it never falls silent so long."""

    def drip(exchange: Exchange) -> None:
        exchange.send(answer(200, content_length="8"), *[b"x"] * 8, pause=0.25)

    assert b"x" * 8 == connect(serve(drip), timeouts=PATIENT, retries=1).get_object("key").data


def test_the_total_covers_attempts_and_waits(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """A wait that would end behind the total limit is not begun: the error says so and has the refusal as its cause."""
    server = serve(always=refusal(503, "SlowDown", retry_after="4"))
    session = connect(server, timeouts=Timeouts(total=10.0), retries=RetryPolicy(attempts=100))
    with pytest.raises(DeadlineExceeded, match="SlowDown") as caught:
        session.put_object("key", b"body")
    assert 3 == caught.value.attempts == len(server.requests)
    assert [4.0, 4.0] == clock.slept
    assert isinstance(caught.value.__cause__, Throttled)
    assert ("bucket", "key") == (caught.value.bucket, caught.value.key)


def test_each_call_has_its_own_total(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """The total limit begins with each call, not with the session."""
    session = connect(serve(always=answer()), timeouts=Timeouts(total=10.0))
    for _ in range(3):
        session.put_object("key", b"body")
        clock.sleep(8.0)


@pytest.mark.parametrize("data", [answer(200, b"x" * LARGE)[:-1], chunked(b"x" * LARGE)[:-3]], ids=["sized", "chunked"])
def test_the_total_covers_a_streamed_body(serve: Serve, connect: Connect, data: bytes) -> None:
    """A body that is still arriving when the call's total time is over is a DeadlineExceeded."""
    session = connect(serve(then_stall(data)), timeouts=Timeouts(read=60.0, total=1.0))
    with pytest.raises(DeadlineExceeded):
        session.get_object("key").read()


@pytest.mark.parametrize("piece", [b"x", b"HTTP/1.1 102 Processing\r\n\r\n"], ids=["head", "interim"])
def test_a_trickle_does_not_outlive_the_total(serve: Serve, connect: Connect, piece: bytes) -> None:
    """A head that arrives byte by byte, or interim answers without end, cannot stretch a call over its total limit."""

    def trickle(exchange: Exchange) -> None:
        start = b"HTTP/1.1 200 OK\r\nx: " if piece == b"x" else b""
        exchange.send(start, *[piece] * 100, pause=0.01)
        exchange.close()

    with pytest.raises(DeadlineExceeded):
        connect(serve(trickle), timeouts=Timeouts(read=60.0, total=0.3), retries=1).get_object("key")


def test_the_total_covers_sending(serve: Serve, connect: Connect) -> None:
    """A body that cannot be sent within the total limit is a DeadlineExceeded."""
    server = serve(lambda exchange: exchange.stall_unread())
    with pytest.raises(DeadlineExceeded):
        connect(server, timeouts=Timeouts(read=60.0, total=0.3)).put_object("key", bytes(8 * LARGE), multipart=False)


def test_no_time_is_left_for_the_first_attempt(serve: Serve, connect: Connect) -> None:
    """When the total time is over before anything was sent, the error does not claim that it may have been applied."""
    server = serve(answer())
    session = connect(server, timeouts=Timeouts(total=1e-9))
    with pytest.raises(DeadlineExceeded) as caught:
        session.put_object("key", b"body")
    assert not caught.value.maybe_applied
    connect(server).put_object("key", b"body")
    assert 1 == len(server.requests)


@pytest.mark.parametrize("limit", ["connect", "read", "total"])
def test_no_limit_at_all(serve: Serve, connect: Connect, limit: str) -> None:
    """None waits for ever, and so does infinity."""
    server = serve(answer(), answer())
    for seconds in (None, float("inf")):
        connect(server, timeouts=Timeouts()._replace(**{limit: seconds})).head_object("key")
