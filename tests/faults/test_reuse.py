from __future__ import annotations

from threading import Barrier, Event, Thread

import pytest

from s3func.errors import ConnectionLost, NoSuchKey, PreconditionFailed, ProtocolError, TruncatedBody
from tests.faults.clock import FakeClock
from tests.faults.conftest import Connect, Serve
from tests.faults.scripted import Exchange, answer, chunked, pieces, refusal, then_close, then_reset

LARGE = 512 * 1024


@pytest.mark.parametrize(
    "data",
    [
        answer(200, b"body"),
        answer(200, b"body", connection="keep-alive"),
        chunked(b"bo", b"dy"),
        answer(200, b"body", x_amz_meta_a="folded\r\n\tvalue"),
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(200, b"body"),
        b"HTTP/1.1 200 OK\nContent-Length: 4\n\nbody",
    ],
    ids=["plain", "keep-alive", "chunked", "folded", "1.0 keep-alive", "interim", "bare LF"],
)
def test_a_connection_is_used_again(serve: Serve, connect: Connect, data: bytes) -> None:
    """After a body that came whole the next request goes out on the same connection."""
    server = serve(always=data)
    session = connect(server)
    for _ in range(3):
        assert b"body" == session.get_object("key").data
    assert [0, 0, 0] == server.connections


@pytest.mark.parametrize("status", [403, 404, 412, 500])
def test_a_refusal_leaves_the_connection_usable(serve: Serve, connect: Connect, status: int) -> None:
    """The document of a refusal is read whole, so the connection serves the next request."""
    server = serve(refusal(status, "NoSuchKey"), answer(200, b"body"))
    session = connect(server, retries=1)
    with pytest.raises(NoSuchKey):
        session.get_object("key")
    assert b"body" == session.get_object("key").data
    assert [0, 0] == server.connections


@pytest.mark.parametrize(
    "data",
    [
        answer(200, b"body", connection="close"),
        answer(200, b"body", Connection="Close"),
        answer(200, b"body", connection="foo, close"),
        answer(200, b"body", connection="keep-alive", Connection="close"),
        chunked(b"body", connection="close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\nx: 1\r\nx: 2\r\n\r\nbody",
        answer(200, b"body") + b"more",
        answer(200, b"body") + answer(200, b"evil"),
        chunked(b"body") + b"more",
        answer(200, b"x" * LARGE) + b"more",
        chunked(b"x" * LARGE) + answer(200, b"evil"),
    ],
    ids=[
        "close",
        "Close",
        "close in a list",
        "close in another line",
        "chunked close",
        "1.0",
        "1.0 with repeated headers",
        "extra bytes",
        "extra answer",
        "extra bytes behind chunks",
        "extra bytes behind a stream",
        "extra answer behind chunks",
    ],
)
def test_a_connection_is_not_used_again(serve: Serve, connect: Connect, data: bytes) -> None:
    """When the server said so, or bytes that belong to no request followed, the next request gets another connection."""
    server = serve(data, answer(200, b"next"))
    session = connect(server)
    assert session.get_object("key").data in {b"body", b"x" * LARGE}
    assert b"next" == session.get_object("key").data
    assert [0, 1] == server.connections


def test_extra_bytes_behind_a_small_body_that_comes_late(serve: Serve, connect: Connect) -> None:
    """Bytes behind a small body are noticed also when head and body arrive apart."""
    server = serve(pieces(answer(200, content_length="4"), b"body" + answer(200, b"evil")), answer(200, b"next"))
    session = connect(server)
    assert b"body" == session.get_object("key").data
    assert b"next" == session.get_object("key").data


def test_a_body_without_length_ends_with_the_connection(serve: Serve, connect: Connect) -> None:
    """An answer with neither length nor chunks lasts until the server closes, and costs the connection."""
    server = serve(then_close(answer(200, b"x" * LARGE, content_length=None)), answer(200, b"next"))
    session = connect(server)
    assert b"x" * LARGE == session.get_object("key").data
    assert b"next" == session.get_object("key").data
    assert [0, 1] == server.connections


@pytest.mark.parametrize("method", ["HEAD", "204", "304"])
def test_answers_without_a_body(serve: Serve, connect: Connect, method: str) -> None:
    """The Content-Length in an answer to HEAD, or of a 204 or 304, announces no body."""
    server = serve(answer(200 if method == "HEAD" else int(method), content_length="1000"), answer(200, b"next"))
    session = connect(server)
    if method == "HEAD":
        assert 1000 == session.head_object("key").size
    elif method == "204":
        assert 204 == session.delete_object("key").status
    else:
        with pytest.raises(Exception, match="304"):
            session.get_object("key", if_none_match="e")
    assert b"next" == session.get_object("key").data
    assert [0, 0] == server.connections


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "1e3", "", "ten"])
def test_a_head_whose_length_is_no_number(serve: Serve, connect: Connect, length: str) -> None:
    """An answer to HEAD has no body, so a length that cannot be read only means that the size is not known."""
    result = connect(serve(answer(200, content_length=length))).head_object("key")
    assert result.size is None
    assert "content_length" not in result.metadata


@pytest.mark.parametrize("kept", [1, 5])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_stale_connections(serve: Serve, connect: Connect, clock: FakeClock, kept: int, how: str) -> None:
    """Idle connections that the server has closed, one or all, cost neither an attempt nor a wait."""
    together, closing, closed = Barrier(kept), Event(), Barrier(kept + 1)

    def answer_and_close_later(exchange: Exchange) -> None:
        exchange.read_body()
        together.wait(10)
        exchange.send(answer())
        closing.wait(10)
        getattr(exchange, how)()
        closed.wait(10)

    server = serve(*[answer_and_close_later] * kept, answer(200, b"fresh"))
    session = connect(server, retries=1)
    threads = [Thread(target=session.put_object, args=(f"key{number}", b"body")) for number in range(kept)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept == server.accepted
    closing.set()
    closed.wait(10)
    assert b"fresh" == session.get_object("key").data
    assert kept == server.connections[-1]
    assert [] == clock.slept


def test_a_put_on_a_stale_connection(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """A connection that the server closes when it is used again costs a put no attempt, and its body goes out again."""
    server = serve(answer(), then_reset(), answer(200, etag='"e"'))
    session = connect(server, retries=1)
    session.put_object("first", b"body")
    assert "e" == session.put_object("key", b"body").etag
    assert [0, 0, 1] == server.connections
    assert [b"body"] * 3 == [exchange.body for exchange in server.requests]
    assert [] == clock.slept


def test_a_fresh_connection_that_breaks_is_charged(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """A connection that breaks at its first use is an attempt like any other."""
    server = serve(always=then_close())
    with pytest.raises(ConnectionLost, match="without an answer") as caught:
        connect(server, retries=3).get_object("key")
    assert 3 == caught.value.attempts == len(server.requests)
    assert 2 == len(clock.slept)


def test_a_connection_that_breaks_in_an_answer_is_charged(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """A kept connection that breaks after the first byte of an answer was not stale: the attempt counts."""
    server = serve(answer(), then_close(answer(200, b"body")[:-1]))
    session = connect(server, retries=1)
    session.put_object("key", b"")
    with pytest.raises(TruncatedBody):
        session.get_object("key")


def test_a_lost_answer_on_a_stale_connection_is_remembered(serve: Serve, connect: Connect) -> None:
    """When a put on a kept connection broke off and the free second try meets 412, the error says why that may be."""
    server = serve(answer(), then_close(), refusal(412, "PreconditionFailed"))
    session = connect(server, retries=1)
    session.put_object("first", b"body")
    with pytest.raises(PreconditionFailed, match="may have been applied") as caught:
        session.put_object("key", b"body", if_none_match="*")
    assert caught.value.maybe_applied
    assert 1 == caught.value.attempts


def test_a_server_that_always_breaks_off(serve: Serve, connect: Connect) -> None:
    """A server that answers one request per connection and breaks off the second is served to the end."""

    def once(exchange: Exchange) -> None:
        if [e.connection for e in server.requests].count(exchange.connection) > 1:
            exchange.reset()
        else:
            exchange.read_body()
            exchange.send(answer())

    server = serve(always=once)
    session = connect(server, retries=1)
    for number in range(10):
        session.put_object(f"key{number}", b"body")


def test_a_few_connections_are_kept(serve: Serve, connect: Connect) -> None:
    """After a burst no more idle connections stay open than max_connections, and the burst itself is never held up."""
    together = Barrier(8)

    def hold(exchange: Exchange) -> None:
        together.wait(10)
        exchange.send(answer())

    server = serve(*[hold] * 8, always=answer())
    session = connect(server, max_connections=3)
    threads = [Thread(target=session.head_object, args=("key",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8 == server.accepted
    for _ in range(5):
        session.head_object("key")
    assert 8 == server.accepted


def test_an_unasked_answer(serve: Serve, connect: Connect) -> None:
    """What a server sends on an idle connection before closing it (a 408, say) is not taken for the next answer."""
    server = serve(answer(200, b"body") + answer(408, b"too slow"), answer(200, b"next"))
    session = connect(server, retries=1)
    session.get_object("key").close()
    assert b"next" == session.get_object("key").data


@pytest.mark.parametrize("head", [b"SSH-2.0-OpenSSH\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n"])
def test_what_is_no_http(serve: Serve, connect: Connect, head: bytes) -> None:
    """An answer in another language is a ProtocolError, and its connection is gone."""
    server = serve(then_close(head), answer(200, b"next"))
    session = connect(server, retries=1)
    with pytest.raises(ProtocolError, match="not an HTTP/1 answer"):
        session.get_object("key")
    assert b"next" == session.get_object("key").data
