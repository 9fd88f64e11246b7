from __future__ import annotations

import gc
import os
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from s3func.errors import (
    AccessDenied,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    TimedOut,
    TruncatedBody,
)
from s3func.transport.timeouts import Timeouts
from tests.faults.certificates import OPENSSL, Certificate
from tests.faults.children import in_child, needs_fork
from tests.faults.clock import FakeClock
from tests.faults.conftest import KEY_ID, SECRET, Connect, Serve
from tests.faults.scripted import Exchange, answer, chunked, eventually, refusal, then_close, then_reset, then_stall
from tests.faults.signatures import is_signed

if OPENSSL is None:
    # A program that is missing is a skip which CI does not allow.
    assert "CI" not in os.environ, "openssl is missing"
    pytest.skip("the openssl program is missing", allow_module_level=True)

LARGE = bytes(range(256)) * 4096 * 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def loopback(folder: Path) -> Certificate:
    """A certificate for this machine."""
    return Certificate.make(folder, "loopback", "IP:127.0.0.1,DNS:localhost")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Certificate:
    """A certificate for somebody else."""
    return Certificate.make(folder, "stranger", "DNS:stranger.test")


@pytest.fixture
def tls(loopback: Certificate, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a server that everybody trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(loopback.certificate))
    return loopback.server_context()


def test_a_certificate_that_nobody_vouches_for(serve: Serve, connect: Connect, loopback: Certificate) -> None:
    """A server whose certificate is not trusted gets no request: a ConnectError that says why."""
    server = serve(context=loopback.server_context())
    with pytest.raises(
        ConnectError, match=r"no connection to https://127.*CERTIFICATE_VERIFY_FAILED.*self.signed"
    ) as caught:
        connect(server, retries=1).put_object("key", b"body")
    assert not caught.value.maybe_applied
    assert eventually(lambda: server.refused_handshakes == 1)


def test_a_certificate_of_somebody_else(
    serve: Serve, connect: Connect, stranger: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate for another host is refused as well."""
    monkeypatch.setenv("SSL_CERT_FILE", str(stranger.certificate))
    server = serve(context=stranger.server_context())
    with pytest.raises(ConnectError, match=r"CERTIFICATE_VERIFY_FAILED.*(mismatch|not valid for)"):
        connect(server, retries=1).put_object("key", b"body")


def test_the_verbs(serve: Serve, connect: Connect, tls: ssl.SSLContext) -> None:
    """With a trusted certificate everything works as without TLS, on one connection."""
    server = serve(always=lambda exchange: exchange.send(answer(200, exchange.read_body())), context=tls)
    session = connect(server)
    for number in range(5):
        assert 200 == session.put_object(f"key{number}", b"").status
        assert b"body" == session.request("PUT", "key", body=b"body").read()
    assert b"" == session.get_object("key").data
    assert [0] * 11 == server.connections
    assert all(is_signed(exchange, KEY_ID, SECRET) for exchange in server.requests)
    assert {"host": f"127.0.0.1:{server.port}"}.items() <= server.requests[0].headers.items()


def test_large_bodies(serve: Serve, connect: Connect, tls: ssl.SSLContext) -> None:
    """Eight mebibytes go up and come down whole, by length and in chunks, in every way of reading, on one connection."""
    steps = [answer(200), answer(200, LARGE), chunked(LARGE[:-7], LARGE[-7:]), answer(200, LARGE)]
    server = serve(*steps, context=tls)
    session = connect(server)
    session.put_object("key", LARGE)
    assert LARGE == server.requests[0].body
    assert LARGE == session.get_object("key").data
    assert LARGE == b"".join(session.get_object("key").iter_chunks(100_000))
    result, view = session.get_object("key"), memoryview(bytearray(len(LARGE)))
    left = view
    while count := result.readinto(left):
        left = left[count:]
    assert LARGE == view
    assert [0] * 4 == server.connections


def test_a_file_goes_up(serve: Serve, connect: Connect, tls: ssl.SSLContext, tmp_path: Path) -> None:
    """A file is sent again from where it began over TLS as well."""
    path = tmp_path / "file"
    path.write_bytes(b"HEADER" + LARGE)
    server = serve(refusal(503, "SlowDown"), answer(), context=tls)
    with path.open("rb") as file:
        file.seek(6)
        connect(server).put_object("key", file)
    assert [LARGE, LARGE] == [exchange.body for exchange in server.requests]


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nCont", answer(200, b"body")[:-1], answer(200, LARGE)[:-1]])
def test_the_idle_limit(serve: Serve, connect: Connect, tls: ssl.SSLContext, sent: bytes) -> None:
    """A server that falls silent, at whatever point, is a TimedOut after the idle limit."""
    session = connect(serve(then_stall(sent), context=tls), timeouts=Timeouts(read=0.2), retries=1)
    with pytest.raises(TimedOut, match=r"0\.2 seconds"):
        session.get_object("key").read()


def test_the_total_limit(serve: Serve, connect: Connect, tls: ssl.SSLContext) -> None:
    """The total limit holds in a body over TLS."""
    session = connect(serve(then_stall(answer(200, LARGE)[:-1]), context=tls), timeouts=Timeouts(total=0.3))
    with pytest.raises(DeadlineExceeded):
        session.get_object("key").read()


def test_sending_has_a_limit(serve: Serve, connect: Connect, tls: ssl.SSLContext) -> None:
    """A server that does not read what it is sent is a TimedOut over TLS as well."""
    server = serve(lambda exchange: exchange.stall_unread(), context=tls)
    with pytest.raises(TimedOut):
        connect(server, timeouts=Timeouts(read=0.2), retries=1).put_object("key", LARGE * 4, multipart=False)


def test_a_handshake_that_stops(serve: Serve, connect: Connect, tls: ssl.SSLContext) -> None:
    """A server that never answers the handshake is a TimedOut after the connect limit."""
    silent = serve()
    with pytest.raises(TimedOut, match="no connection to https://"):
        connect(f"https://127.0.0.1:{silent.port}", timeouts=Timeouts(connect=0.2), retries=1).head_object("key")


def test_plain_http_where_tls_is_expected(connect: Connect, tls: ssl.SSLContext) -> None:
    """https to a server that speaks plain http is a ConnectError that says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_plainly() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(10_000)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

        thread = Thread(target=answer_plainly)
        thread.start()
        with pytest.raises(ConnectError, match=r"(?i)wrong.version.number"):
            connect(f"https://127.0.0.1:{listener.getsockname()[1]}", retries=1).head_object("key")
        thread.join()


def test_tls_where_plain_http_is_expected(serve: Serve, connect: Connect, tls: ssl.SSLContext) -> None:
    """http to a server of TLS is a typed error, and nothing of the request is understood there."""
    server = serve(context=tls)
    with pytest.raises((ConnectionLost, ProtocolError)):
        connect(f"http://127.0.0.1:{server.port}", retries=1).head_object("key")
    assert eventually(lambda: server.refused_handshakes == 1)
    assert [] == server.requests


@pytest.mark.parametrize("read", [0, 100_000])
def test_a_refusal_while_a_body_is_sent(serve: Serve, connect: Connect, tls: ssl.SSLContext, read: int) -> None:
    """A server that answers 403 and closes while a large body is under way is heard over TLS as well."""

    def refuse(exchange: Exchange) -> None:
        exchange.read_body(read)
        exchange.send(refusal(403, "AccessDenied", connection="close"))
        exchange.close()

    with pytest.raises(AccessDenied) as caught:
        connect(serve(refuse, context=tls)).put_object("key", LARGE * 4)
    assert 1 == caught.value.attempts


def test_a_refusal_from_a_server_that_stops_reading(serve: Serve, connect: Connect, tls: ssl.SSLContext) -> None:
    """A server that answers and then neither reads nor closes is heard when sending comes to a standstill."""

    def refuse(exchange: Exchange) -> None:
        exchange.send(refusal(403, "AccessDenied"))
        exchange.stall_unread()

    with pytest.raises(AccessDenied):
        connect(serve(refuse, context=tls), timeouts=Timeouts(read=1.5)).put_object("key", LARGE * 4)


@pytest.mark.parametrize("large", [False, True])
def test_a_body_that_is_cut(serve: Serve, connect: Connect, tls: ssl.SSLContext, *, large: bool) -> None:
    """A connection that ends in a body, in whatever way, is never taken for the end of the body."""
    data = answer(200, LARGE if large else b"body")[:-1]
    for step, kind in ((then_close(data), TruncatedBody), (then_reset(data), ConnectionLost)):
        with pytest.raises(kind):
            connect(serve(step, context=tls), retries=1).get_object("key").read()


@pytest.mark.parametrize("how", [then_close, then_reset])
def test_a_stale_connection(serve: Serve, connect: Connect, clock: FakeClock, tls: ssl.SSLContext, how: type) -> None:
    """An idle connection that the server has closed costs no attempt over TLS either."""
    server = serve(how(answer(200, b"first")), answer(200, b"fresh"), context=tls)
    session = connect(server, retries=1)
    assert b"first" == session.get_object("key").data
    assert b"fresh" == session.get_object("key").data
    assert [0, 1] == server.connections
    assert [] == clock.slept


@pytest.mark.parametrize("size", [4, 500_000])
def test_extra_bytes(serve: Serve, connect: Connect, tls: ssl.SSLContext, size: int) -> None:
    """Bytes behind a body cost the connection, also those that TLS has decrypted and nobody has asked for."""
    server = serve(answer(200, LARGE[:size]) + answer(200, b"evil"), answer(200, b"next"), context=tls)
    session = connect(server)
    assert LARGE[:size] == session.get_object("key").data
    assert b"next" == session.get_object("key").data
    assert [0, 1] == server.connections


def test_an_unread_stream(serve: Serve, connect: Connect, tls: ssl.SSLContext) -> None:
    """An unread stream is closed, by close() or as garbage, without a warning."""
    server = serve(always=answer(200, LARGE * 4), context=tls)
    session = connect(server)
    with session.get_object("key") as result:
        result.read(10)
    session.get_object("key")
    gc.collect()
    assert eventually(lambda: server.open_connections() == 0)


def test_threads(serve: Serve, connect: Connect, tls: ssl.SSLContext) -> None:
    """Threads that share a session get their own answers."""
    session = connect(serve(always=lambda exchange: exchange.send(answer(200, exchange.read_body())), context=tls))

    def echo(number: int) -> bool:
        body = b"%d" % number * 1000
        return body == session.request("PUT", "key", body=body).read()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(echo, range(200)))


@needs_fork
def test_fork(serve: Serve, connect: Connect, tls: ssl.SSLContext) -> None:
    """A child handshakes for itself, and the parent's TLS connection is still in step afterwards."""
    server = serve(always=lambda exchange: exchange.send(answer(200, exchange.read_body())), context=tls)
    session = connect(server, retries=1)

    def echo(body: bytes) -> None:
        assert body == session.request("PUT", "key", body=body).read()

    echo(b"before")
    assert in_child(lambda: echo(b"child"))
    echo(b"parent")
    assert [0, 1, 0] == server.connections
