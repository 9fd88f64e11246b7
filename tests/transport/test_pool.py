from __future__ import annotations

import gc
import select
import socket
from collections.abc import Iterator
from threading import Event, Thread
from time import monotonic

import pytest

from s3func.errors import ConnectError, DeadlineExceeded
from s3func.message import Request
from s3func.transport.connection import Connection
from s3func.transport.pool import Pool, split_origin
from tests.faults.scripted import Exchange, Scripted, answer, eventually, then_close


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A server that answers everything."""
    with Scripted(always=answer(200, b"body")) as scripted:
        yield scripted


def request(server: Scripted, method: str = "GET", deadline: float | None = None) -> Request:
    return Request(method, server.url, "/bucket/key", "", {"host": f"127.0.0.1:{server.port}"}, b"", deadline)


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://host", ("http", "host", 80)),
        ("https://host", ("https", "host", 443)),
        ("http://host:8080", ("http", "host", 8080)),
        ("https://[::1]", ("https", "::1", 443)),
        ("http://[2001:db8::1]:9000", ("http", "2001:db8::1", 9000)),
        ("https://bucket.s3.eu-west-1.amazonaws.com", ("https", "bucket.s3.eu-west-1.amazonaws.com", 443)),
    ],
)
def test_an_origin_is_taken_apart(origin: str, expected: tuple[str, str, int]) -> None:
    """Scheme, host and port, the usual port where none is given, and no brackets around an IPv6 address."""
    assert expected == split_origin(origin)


def test_a_pool_that_is_forgotten_closes_its_connections(server: Scripted) -> None:
    """Idle connections of a pool that nobody closed end with it, without a ResourceWarning."""
    pool = Pool()
    assert b"body" == pool(request(server)).read()
    assert 1 == server.open_connections()
    del pool
    gc.collect()
    assert eventually(lambda: server.open_connections() == 0)


def test_a_pool_can_be_used_after_close(server: Scripted) -> None:
    """close() lets the idle connections go, and the next request opens a new one."""
    pool = Pool()
    for _ in range(2):
        pool(request(server))
        pool.close()
    assert [0, 1] == server.connections
    pool.close()


def test_a_connection_that_comes_back_after_close(server: Scripted) -> None:
    """A connection that was in use when the pool was closed is closed when it comes back."""
    arrived, closed = Event(), Event()

    def slow(exchange: Exchange) -> None:
        arrived.set()
        closed.wait(10)
        exchange.send(answer())

    with Scripted(slow) as slow_server:
        pool = Pool()
        thread = Thread(target=pool, args=(request(slow_server),))
        thread.start()
        arrived.wait(10)
        pool.close()
        closed.set()
        thread.join()
        assert eventually(lambda: slow_server.open_connections() == 0)


def test_close_while_a_connection_comes_back(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that comes back at the very moment of close() is closed as well, whichever is first."""
    pool = Pool()
    clock = monotonic

    def close_in_between() -> float:
        pool.close()
        return clock()

    monkeypatch.setattr("s3func.transport.pool.monotonic", close_in_between)
    pool(request(server))
    assert eventually(lambda: server.open_connections() == 0)


def test_threads_and_close(server: Scripted) -> None:
    """Threads that go on while the pool is closed again and again see no error, and nothing stays open."""
    pool = Pool()
    failures: list[BaseException] = []

    def hammer() -> None:
        try:
            for _ in range(100):
                assert b"body" == pool(request(server)).read()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        pool.close()
    for thread in threads:
        thread.join()
    assert [] == failures
    pool.close()
    assert eventually(lambda: server.open_connections() == 0)


def test_a_call_whose_time_is_over_before_it_begins(server: Scripted) -> None:
    """Without time left nothing is sent, on a kept connection or a new one, and the error does not claim otherwise."""
    pool = Pool()
    for _ in range(2):
        with pytest.raises(DeadlineExceeded) as caught:
            pool(request(server, "PUT", deadline=monotonic() - 1.0))
        assert not caught.value.maybe_applied
        pool(request(server))
    assert ["GET", "GET"] == server.methods
    pool.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["a" * 64 + ".localhost", "a..localhost"])
def test_a_host_that_cannot_be(host: str, scheme: str) -> None:
    """A host name that no resolver takes is a ConnectError like one that none knows."""
    with pytest.raises(ConnectError, match="no connection to"):
        Pool()(Request("GET", f"{scheme}://{host}", "/", "", {}))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_is_not_known(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """A name that does not resolve is a ConnectError that names the origin and the resolver's reason."""

    def unknown(*_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    with pytest.raises(ConnectError, match=rf"no connection to {scheme}://store\.test: Name or service not known"):
        Pool()(Request("GET", f"{scheme}://store.test", "/", "", {}))


def test_a_socket_that_cannot_be_set_up(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket whose limits cannot be set (its peer is gone already) is closed, and the error is a ConnectError."""

    def refuse(connection: Connection, seconds: float | None) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(Connection, "_set_timeout", refuse)
    with pytest.raises(ConnectError, match="Invalid argument"):
        Pool()(request(server))
    assert eventually(lambda: server.accepted == 1 and server.open_connections() == 0)


@pytest.mark.parametrize("unasked", [b"", answer(408, b"too slow")], ids=["closed", "answered and closed"])
@pytest.mark.parametrize("has_poll", [True, False])
def test_an_old_connection_is_looked_at(monkeypatch: pytest.MonkeyPatch, unasked: bytes, *, has_poll: bool) -> None:
    """A connection that was idle for a while is not used when its peer has closed it, whatever it said before."""
    monkeypatch.setattr("s3func.transport.pool._TRUSTED_IDLE_SECONDS", -1.0)
    if not has_poll:
        monkeypatch.delattr(select, "poll")
    closing, closed = Event(), Event()

    def answer_and_close_later(exchange: Exchange) -> None:
        exchange.send(answer(200, b"first"))
        closing.wait(10)
        exchange.send(unasked)
        exchange.close()
        closed.set()

    with Scripted(answer_and_close_later, answer(200, b"second"), answer(200, b"third")) as server:
        pool = Pool()
        assert b"first" == pool(request(server)).read()
        closing.set()
        closed.wait(10)
        assert b"second" == pool(request(server, "PUT")).read()
        assert b"third" == pool(request(server, "PUT")).read()
        assert [0, 1, 1] == server.connections
        pool.close()


class Once:
    """A body that cannot be sent again."""

    length = 4
    replayable = False

    def blocks(self) -> Iterator[bytes]:
        yield b"once"


def test_a_body_that_cannot_be_sent_again_is_not_risked() -> None:
    """A connection that its peer has closed a moment ago is not used for a body that could be sent only once."""
    with Scripted(then_close(answer(200, b"first")), answer(200, b"second")) as server:
        pool = Pool()
        assert b"first" == pool(request(server)).read()
        assert eventually(lambda: server.open_connections() == 0)
        sent = request(server, "PUT")
        sent.body = Once()
        assert b"second" == pool(sent).read()
        assert b"once" == server.requests[1].body
        pool.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nobody_listens(scheme: str) -> None:
    """A refused connection is a ConnectError with the system's reason, over TLS as well."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectError, match=rf"no connection to {scheme}://127\.0\.0\.1:{port}: .*refused"):
        Pool()(Request("GET", f"{scheme}://127.0.0.1:{port}", "/", "", {}))
