"""The server on a port: hostile bytes, early refusals, slow and broken bodies, large streams, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import s3func.testing
from s3func.errors import ConnectionLost
from s3func.message import BLOCK
from s3func.server import ASGIApp, Listener, LocalBackend, MemoryBackend, S3App, create_s3_app
from s3func.server.asgi import COLLECTED_BYTES, Intake
from s3func.server.backend import ObjectAttributes, ObjectReader
from s3func.testing import Server
from tests.server.forge import KEY_ID, SECRET, Reply, Wire, sign

LARGE = 1024 * 1024


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """A connection to the server."""
    with Wire(server.endpoint_url) as wire:
        yield wire


def ask(wire: Wire, method: str, target: str, body: bytes = b"", **forged: Any) -> Reply:
    """A signed request on the connection, with its reply."""
    path, _, query = target.partition("?")
    headers = sign(method, path, query, body, host=wire.host, **forged)
    if body or method in {"PUT", "POST"}:
        headers["content-length"] = str(len(body))
    wire.send(method, target, headers, body)
    return wire.receive(method)


def keys(server: Server) -> list[str]:
    return [row.key for row in server.app.backend.list_objects("bkt").rows]


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes true before long."""
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


# --- hostile requests


def test_one_connection_carries_every_operation(server: Server, wire: Wire) -> None:
    """Requests and refusals follow each other on one keep-alive connection, empty answers included."""
    assert 200 == ask(wire, "PUT", "/bkt/key", b"body").status
    assert b"body" == ask(wire, "GET", "/bkt/key").body
    assert (403, "SignatureDoesNotMatch") == ask(wire, "PUT", "/bkt/key", b"evil", secret="wrong").outcome
    assert 200 == ask(wire, "HEAD", "/bkt/key").status
    assert 404 == ask(wire, "HEAD", "/bkt/none").status
    assert 304 == ask(wire, "GET", "/bkt/key", headers={"if-none-match": "*"}).status
    assert 204 == ask(wire, "DELETE", "/bkt/key").status
    assert (404, "NoSuchKey") == ask(wire, "GET", "/bkt/key").outcome
    assert 200 == ask(wire, "GET", "/bkt?list-type=2").status


def test_pipelined_requests_are_answered_in_order(server: Server, wire: Wire) -> None:
    """Three requests in one packet get three answers, in their order."""
    for number in range(3):
        headers = sign("PUT", f"/bkt/{number}", body=b"x" * number, host=wire.host)
        wire.send("PUT", f"/bkt/{number}", headers | {"content-length": str(number)}, b"x" * number)
    etags = [wire.receive().headers["etag"] for _ in range(3)]
    assert [f'"{hashlib.md5(b"x" * number).hexdigest()}"' for number in range(3)] == etags


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("DELETE", "/..", (400, "InvalidBucketName")),
        ("PUT", "/..", (400, "InvalidBucketName")),
        ("PUT", "/bkt/a%00b", (400, "InvalidArgument")),
        ("PUT", "/bkt/" + "k" * 2000, (400, "KeyTooLongError")),
        ("PUT", "/bkt/%ff", (400, "InvalidURI")),
        ("PUT", "/bkt/key?tagging", (400, "MalformedXML")),
        ("PUT", "/bkt/key?acl", (400, "MalformedACLError")),
        ("DELETE", "/bkt?policy", (204, "")),
        ("PATCH", "/bkt/key", (405, "MethodNotAllowed")),
        ("GET", "/docs", (404, "NoSuchBucket")),
        ("GET", "/openapi.json", (404, "NoSuchBucket")),
    ],
)
def test_hostile_targets(server: Server, wire: Wire, method: str, target: str, expected: tuple[int, str]) -> None:
    """What the seed's server obeyed or fell over is refused with the right code, and nothing changes."""
    assert 200 == ask(wire, "PUT", "/bkt/key", b"precious").status
    reply = ask(wire, method, target, b"<Tagging/>" if method == "PUT" else b"")
    assert expected == reply.outcome
    assert b"precious" == ask(wire, "GET", "/bkt/key").body
    assert ["key"] == keys(server)


def test_keys_with_dots_are_keys_and_never_paths(tmp_path: Path) -> None:
    """`..%2f..%2fx`, `//abs` and `../../x` are stored in the store, under these names; its surroundings stay as they are."""
    (tmp_path / "victim").write_text("precious")
    with s3func.testing.server(path=tmp_path / "store", access_key_id=KEY_ID, secret_access_key=SECRET) as server:
        server.app.backend.create_bucket("bkt")
        with Wire(server.endpoint_url) as wire:
            for key in ("..%2f..%2fvictim", f"/{tmp_path}/victim", "../../victim", "../store/x"):
                assert 200 == ask(wire, "PUT", f"/bkt/{key}", b"x" * 100_000).status
                assert 100_000 == len(ask(wire, "GET", f"/bkt/{key}").body)
                assert 204 == ask(wire, "DELETE", f"/bkt/{key}").status
    assert "precious" == (tmp_path / "victim").read_text()
    assert ["store", "victim"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("forged", "expected"),
    [
        ({"now": 1440938160.0}, (403, "RequestTimeTooSkewed")),
        ({"region": "eu-west-1"}, (400, "AuthorizationHeaderMalformed")),
        ({"payload_hash": hashlib.sha256(b"good").hexdigest()}, (400, "XAmzContentSHA256Mismatch")),
        ({"payload_hash": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, (411, "MissingContentLength")),
    ],
)
@pytest.mark.parametrize("size", [4, 3 * LARGE])
def test_forged_requests(
    server: Server, wire: Wire, forged: dict[str, Any], expected: tuple[int, str], size: int
) -> None:
    """Signatures of 2015 and of elsewhere and bodies that were swapped are refused, short and long; nothing is stored."""
    reply = ask(wire, "PUT", "/bkt/key", b"EVIL" * (size // 4), **forged)
    assert expected == reply.outcome
    assert [] == keys(server)


@pytest.mark.parametrize(
    "head",
    [
        b"PUT /bkt/key HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"PUT /bkt/key HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PUT /bkt/key HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\nhello",
        b"PUT /bkt/key HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello",
        b"PUT /bkt/a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /bkt/key#part HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"PUT /bkt/\xc3\xa9 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"PUT /bkt/key HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n",
        b"PUT /bkt/key HTTP/1.1\r\nHost: x\r\nx-amz-meta-a: b\x00c\r\n\r\n",
        b"PUT /bkt/key HTTP/1.1\r\nHost: x\r\nx-amz-meta-a: " + b"x" * 600_000,
        b"PUT /bkt/" + b"k" * 600_000,
        b"FROB /bkt/key HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n" * 10 + b"nonsense\r\n\r\n",
    ],
)
def test_bytes_that_are_no_request(head: bytes) -> None:
    """Broken and ambiguous HTTP gets a 400 and a closed connection, without a signature too; the server goes on."""
    with s3func.testing.server(no_auth=True) as server:
        server.app.backend.create_bucket("bkt")
        with Wire(server.endpoint_url) as wire:
            with contextlib.suppress(ConnectionError):
                wire.socket.sendall(head)
            with contextlib.suppress(ConnectionError):
                assert 400 == wire.receive().status
            assert wire.is_closed()
        assert [] == keys(server)
        with Wire(server.endpoint_url) as wire:
            assert 200 == ask(wire, "GET", "/bkt").status


# --- bodies


def begin_put(wire: Wire, size: int, sent: bytes = b"", **more: Any) -> None:
    """The head of a PUT with an unsigned payload of `size` bytes, and the beginning of it."""
    headers = sign("PUT", "/bkt/key", host=wire.host, payload_hash="UNSIGNED-PAYLOAD")
    wire.send("PUT", "/bkt/key", headers | {"content-length": str(size)} | more, sent)


@pytest.mark.parametrize("size", [100, 3 * LARGE])
def test_a_body_that_ends_too_early_is_not_stored(server: Server, size: int) -> None:
    """A connection that closes, or is reset, before Content-Length is reached leaves nothing, and no thread waiting."""
    for reset in (False, True):
        with Wire(server.endpoint_url) as wire:
            begin_put(wire, size, b"x" * (size - 1))
            if reset:
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with Wire(server.endpoint_url) as wire:
        assert 200 == ask(wire, "PUT", "/bkt/other", b"x" * size).status
    assert ["other"] == keys(server)


def test_what_follows_a_body_is_the_next_request(server: Server, wire: Wire) -> None:
    """Bytes behind Content-Length are not part of the object."""
    for size in (5, COLLECTED_BYTES + 5):
        body = b"x" * size
        headers = sign("PUT", "/bkt/key", body=body, host=wire.host) | {"content-length": str(size)}
        wire.send("PUT", "/bkt/key", headers, body + b"DELETE /bkt/key HTTP/1.1\r\nHost: x\r\n\r\n")
        assert 200 == wire.receive().status
        assert (403, "AccessDenied") == wire.receive().outcome
        assert body == ask(wire, "GET", "/bkt/key").body


def test_expect_continue_is_answered_before_the_body(server: Server, wire: Wire) -> None:
    """A request that will be carried out gets 100 Continue first, long or short."""
    for size in (5, 3 * LARGE):
        begin_put(wire, size, expect="100-continue")
        assert 100 == wire.receive().status
        wire.socket.sendall(b"x" * size)
        assert 200 == wire.receive().status
        assert size == len(ask(wire, "GET", "/bkt/key").body)


REFUSED_EARLY: dict[str, tuple[str, dict[str, Any], int, tuple[int, str]]] = {
    "wrong secret": ("/bkt/key", {"secret": "wrong"}, 1_000_000, (403, "SignatureDoesNotMatch")),
    "no bucket": ("/none/key", {}, 1_000_000, (404, "NoSuchBucket")),
    "too large": ("/bkt/key", {}, 6 * 1024**3, (400, "EntityTooLarge")),
    "exists": ("/bkt/key", {"headers": {"if-none-match": "*"}}, 1_000_000, (412, "PreconditionFailed")),
    "short": ("/bkt/key", {"secret": "wrong"}, 5, (403, "SignatureDoesNotMatch")),
}


@pytest.mark.parametrize(("path", "forged", "size", "expected"), REFUSED_EARLY.values(), ids=list(REFUSED_EARLY))
def test_expect_continue_is_refused_early(
    server: Server, wire: Wire, path: str, forged: dict[str, Any], size: int, expected: tuple[int, str]
) -> None:
    """A request that will be refused gets no 100 but the refusal, and the connection is closed: no body was read."""
    assert 200 == ask(wire, "PUT", "/bkt/key", b"precious").status
    headers = sign("PUT", path, host=wire.host, payload_hash="UNSIGNED-PAYLOAD", **forged)
    wire.send("PUT", path, headers | {"content-length": str(size), "expect": "100-continue"})
    reply = wire.receive()
    assert expected == reply.outcome
    assert "close" == reply.headers["connection"]
    assert wire.is_closed()
    assert ["key"] == keys(server)


def test_a_put_without_a_length_is_refused(server: Server, wire: Wire) -> None:
    """Neither Content-Length nor Transfer-Encoding: 411, and the connection goes on."""
    headers = sign("PUT", "/bkt/key", host=wire.host)
    wire.send("PUT", "/bkt/key", headers)
    assert (411, "MissingContentLength") == wire.receive().outcome
    assert 200 == ask(wire, "GET", "/bkt").status
    assert [] == keys(server)


def test_a_long_body_that_is_refused_does_not_hide_the_refusal(server: Server) -> None:
    """A client that sends everything before it reads still gets to see why it was refused."""
    with Wire(server.endpoint_url) as wire:
        body = b"x" * (8 * LARGE)
        headers = sign("PUT", "/bkt/key", body=body, host=wire.host, secret="wrong")
        wire.send("PUT", "/bkt/key", headers | {"content-length": str(len(body))}, body)
        reply = wire.receive()
        assert (403, "SignatureDoesNotMatch") == reply.outcome
        assert wire.is_closed()
    assert [] == keys(server)


def test_a_body_in_chunks_without_a_length(server: Server, wire: Wire) -> None:
    """Transfer-Encoding: chunked is a body of unknown length; cut off, it is not stored."""
    headers = sign("PUT", "/bkt/key", host=wire.host, payload_hash="UNSIGNED-PAYLOAD")
    chunks = b"5\r\nhello\r\n" + b"%x\r\n" % LARGE + b"x" * LARGE + b"\r\n0\r\n\r\n"
    wire.send("PUT", "/bkt/key", headers | {"transfer-encoding": "chunked"}, chunks)
    assert 200 == wire.receive().status
    assert b"hello" + b"x" * LARGE == ask(wire, "GET", "/bkt/key").body
    with Wire(server.endpoint_url) as cut:
        cut.send("PUT", "/bkt/cut", headers | {"transfer-encoding": "chunked"}, chunks[:-5])
    assert 204 == ask(wire, "DELETE", "/bkt/key").status
    assert [] == keys(server)


def test_a_sender_that_falls_silent_is_given_up() -> None:
    """After `idle_seconds` without a byte, the answer is RequestTimeout; nothing is stored."""
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET)
    app.backend.create_bucket("bkt")
    with Listener(ASGIApp(app, idle_seconds=0.2)) as listener, Wire(listener.endpoint_url) as wire:
        begin_put(wire, 3 * LARGE, b"x" * LARGE)
        reply = wire.receive()
        assert (400, "RequestTimeout") == reply.outcome
        assert [] == app.backend.list_objects("bkt").rows


def test_slow_senders_do_not_keep_others_waiting() -> None:
    """With every thread for uploads waiting for its sender, short requests are answered."""
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET)
    app.backend.create_bucket("bkt")
    with Listener(ASGIApp(app, threads=1, uploads=2)) as listener, contextlib.ExitStack() as stack:
        for _ in range(3):
            begin_put(stack.enter_context(Wire(listener.endpoint_url)), 3 * LARGE, b"x" * LARGE)
        wire = stack.enter_context(Wire(listener.endpoint_url))
        assert 200 == ask(wire, "PUT", "/bkt/short", b"body").status
        assert b"body" == ask(wire, "GET", "/bkt/short").body


def test_large_objects_are_streams_in_flat_memory(tmp_path: Path) -> None:
    """256 MiB go in and out of a process whose memory grows by a small part of that."""
    size = 256 * LARGE
    program = (
        "import resource, sys\n"
        "from s3func.server import LocalBackend, S3App, serve\n"
        "app = S3App(LocalBackend(sys.argv[1], durability='os'), no_auth=True)\n"
        "app.backend.create_bucket('bkt')\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "serve(app, port=0, ready=lambda url: print(url, peak(), flush=True))\n"
        "print(peak())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "store")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            url, before = process.stdout.readline().split()
            with Wire(url) as wire:
                wire.send("PUT", "/bkt/key", {"host": wire.host, "content-length": str(size)})
                block = bytes(LARGE)
                for _ in range(size // LARGE):
                    wire.socket.sendall(block)
                assert 200 == wire.receive().status
                wire.send("GET", "/bkt/key", {"host": wire.host})
                arrived = 0
                while arrived < size:
                    arrived += len(wire.socket.recv(LARGE))
        finally:
            process.send_signal(signal.SIGTERM)
        after = process.stdout.read()
    assert 0 == process.returncode
    assert int(after) - int(before) < 64 * 1024, "KiB"


class SpyReader:
    """A reader that remembers how much it gave and whether it was closed."""

    def __init__(self, reader: ObjectReader) -> None:
        self.reader = reader
        self.stored = reader.stored
        self.given = 0
        self.closed = False

    def read_at(self, offset: int, size: int) -> bytes:
        block = self.reader.read_at(offset, size)
        self.given += len(block)
        return block

    def close(self) -> None:
        self.reader.close()
        self.closed = True


def test_a_reader_that_leaves_is_noticed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a client goes away in the middle of a large object, the rest is not read and the object is closed."""
    with server.app.backend.begin_put("bkt", "key") as writer:
        for _ in range(256):
            writer.write(bytes(LARGE))
        writer.commit(ObjectAttributes())
    spies: list[SpyReader] = []
    opened = server.app.backend.open_object

    def open_object(bucket: str, key: str, version_id: str | None = None) -> SpyReader:
        spies.append(SpyReader(opened(bucket, key, version_id)))
        return spies[0]

    monkeypatch.setattr(server.app.backend, "open_object", open_object)
    with Wire(server.endpoint_url) as wire:
        wire.send("GET", "/bkt/key", sign("GET", "/bkt/key", host=wire.host))
        assert b"HTTP/1.1 200" == wire.socket.recv(12)
    assert eventually(lambda: [True] == [spy.closed for spy in spies])
    assert spies[0].given < 256 * LARGE


def test_an_early_refusal_does_not_receive() -> None:
    """Where the sender waits for 100 Continue, a refusal is sent without asking for, or throwing away, any body."""
    asgi = create_s3_app(MemoryBackend(), KEY_ID, SECRET)
    scope = scope_of("/bkt/key", {"host": "x", "content-length": "100000", "expect": "100-continue"})
    asked: list[bool] = []
    sent: list[Any] = []

    async def receive() -> Any:
        asked.append(True)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(asgi({**scope, "method": "PUT"}, receive, send))
    assert (404, []) == (sent[0]["status"], asked)
    asgi.close()


def test_a_body_that_cannot_be_received_is_lost() -> None:
    """When receiving fails, whoever waits for the body learns of it at once."""

    async def run() -> None:
        async def receive() -> Any:
            raise OSError("broken")

        intake = Intake(receive, asyncio.get_running_loop(), 20.0)
        with pytest.raises(ConnectionLost):
            await asyncio.to_thread(intake.read, 10)
        intake.close()

    asyncio.run(run())


def test_what_is_given_up_is_never_whole() -> None:
    """A body that was closed while a part of it waited to be read is lost for its reader, although it had all arrived."""

    async def run() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": bytes(8 * BLOCK), "more_body": False}

        intake = Intake(receive, asyncio.get_running_loop(), 20.0)
        assert BLOCK == len(await asyncio.to_thread(intake.read, BLOCK))
        assert intake.is_complete
        intake.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(ConnectionLost):
            intake.read(BLOCK)

    asyncio.run(run())


def test_an_intake_gives_blocks_of_the_size_that_is_asked() -> None:
    """However the body arrives, reads are full until its end, and pieces are in order."""

    async def run() -> list[bytes]:
        messages = [{"type": "http.request", "body": bytes([number]) * 10, "more_body": True} for number in range(5)]
        messages.append({"type": "http.request", "body": b"end", "more_body": False})

        async def receive() -> Any:
            return messages.pop(0)

        intake = Intake(receive, asyncio.get_running_loop(), 20.0)
        try:
            return await asyncio.to_thread(lambda: [intake.read(7), intake.read(20), intake.read(), intake.read(1)])
        finally:
            intake.close()

    first, second, rest, end = asyncio.run(run())
    whole = b"".join(bytes([number]) * 10 for number in range(5)) + b"end"
    assert (whole[:7], whole[7:27], whole[27:], b"") == (first, second, rest, end)


# --- the end


def test_stopping_does_not_wait_for_idle_connections_or_stuck_senders(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """With connections that are idle, half-sent and waiting, the server stops without a complaint; its port is free."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.endpoint_url)) for _ in range(3)]
        assert 200 == ask(wires[0], "GET", "/bkt").status
        begin_put(wires[1], 3 * LARGE, b"x" * LARGE)
        wires[2].socket.sendall(b"GET /bkt HT")
        server.stop()
        server.stop()
        for wire in wires:
            assert wire.is_closed()
    assert [] == caplog.records
    with pytest.raises(ConnectionRefusedError):
        Wire(server.endpoint_url)


def test_a_port_that_is_taken_is_an_error(server: Server) -> None:
    """Listening where somebody listens already is an OSError, at once."""
    with pytest.raises(OSError, match="in use"):
        Listener(S3App(), port=int(server.endpoint_url.rpartition(":")[2])).start()


def test_a_listener_is_started_once() -> None:
    """Starting a listener twice is refused; its URL is known when it has started."""
    with Listener(S3App()) as listener:
        assert 0 != listener.port
        assert listener.endpoint_url == f"http://127.0.0.1:{listener.port}"
        with pytest.raises(RuntimeError, match="started already"):
            listener.start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serving_ends_with_a_signal_and_closes_the_store(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end `serve` in order: the store is closed, and what follows the call is carried out."""
    program = (
        "import sys\n"
        "from s3func.server import LocalBackend, S3App, serve\n"
        "serve(S3App(LocalBackend(sys.argv[1])), port=0, ready=lambda url: print(url, flush=True))\n"
        "print('after')\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        with Wire(url) as wire:
            wire.send("GET", "/", {"host": wire.host})
            assert 200 == wire.receive().status
            process.send_signal(number)
            assert "after\n" == process.stdout.read()
        assert "" == process.stderr.read()
    assert 0 == process.returncode
    LocalBackend(tmp_path / "store").close()


def test_requests_are_logged_on_demand_and_without_secrets(
    server: Server, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """At level DEBUG there is one line per request, with neither query nor headers; otherwise none."""
    assert 200 == ask(wire, "GET", "/bkt?prefix=hidden").status
    assert "" == caplog.text
    caplog.set_level("DEBUG", "s3func.server")
    assert 200 == ask(wire, "GET", "/bkt?prefix=hidden").status
    assert 404 == ask(wire, "GET", "/bkt/none").status
    assert eventually(lambda: 2 == len(caplog.records))
    assert "GET /bkt 200" in caplog.text
    assert "GET /bkt/none 404" in caplog.text
    for secret in ("hidden", "Signature", SECRET):
        assert secret not in caplog.text


# --- ASGI


def call_asgi(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that an ASGI application sends for a request without a body."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def scope_of(path: str, headers: dict[str, str], root_path: str = "") -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


def test_the_application_can_be_mounted() -> None:
    """Below a prefix of another application, the bucket begins behind it, while the signature covers all of the path."""
    asgi = create_s3_app(MemoryBackend(), KEY_ID, SECRET)
    asgi.app.backend.create_bucket("bkt")
    path = "/store/bkt"
    start, body = call_asgi(asgi, scope_of(path, sign("GET", path), "/store"))
    assert 200 == start["status"]
    assert b"<Name>bkt</Name>" in body["body"]
    start, _ = call_asgi(asgi, scope_of("/store", sign("GET", "/store"), "/store"))
    assert 200 == start["status"]
    start, _ = call_asgi(asgi, scope_of("/storebkt", sign("GET", "/storebkt"), "/store"))
    assert 404 == start["status"]
    asgi.close()


def test_a_server_that_keeps_no_raw_path() -> None:
    """Where the ASGI server gives the decoded path alone, it is encoded again by the rules."""
    asgi = create_s3_app(MemoryBackend(), KEY_ID, SECRET)
    asgi.app.backend.create_bucket("bkt")
    scope = scope_of("/bkt/a b", sign("GET", "/bkt/a%20b"))
    for missing in ({"raw_path": None}, {}):
        scope = {name: value for name, value in scope.items() if name != "raw_path"} | missing
        start, body = call_asgi(asgi, scope)
        assert (404, True) == (start["status"], b"<Key>a b</Key>" in body["body"])
    asgi.close()


def test_a_stream_that_cannot_be_sent_is_closed() -> None:
    """When the head of an answer cannot be sent, the object behind it is closed all the same."""
    asgi = create_s3_app(MemoryBackend(), KEY_ID, SECRET)
    asgi.app.backend.create_bucket("bkt")
    with asgi.app.backend.begin_put("bkt", "key") as writer:
        writer.write(bytes(2 * BLOCK))
        writer.commit(ObjectAttributes())
    spy = SpyReader(asgi.app.backend.open_object("bkt", "key"))
    asgi.app.backend.open_object = lambda *_: spy  # type: ignore[method-assign, assignment] # a spy

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        asyncio.run(asgi(scope_of("/bkt/key", sign("GET", "/bkt/key")), receive, send))
    assert spy.closed
    asgi.close()


def test_the_seeds_names_of_the_arguments() -> None:
    """`create_s3_app(provider=, access_key=, secret_key=, region=, no_auth=)` makes an application as in the seed."""
    asgi = create_s3_app(
        provider=MemoryBackend(), access_key="mykey", secret_key="mysecret", region="eu-west-1", no_auth=False
    )
    [start, _] = call_asgi(asgi, scope_of("/", sign("GET", "/", key_id="mykey", secret="mysecret", region="eu-west-1")))
    assert 200 == start["status"]
    asgi.close()


def test_repeated_headers_are_one(server: Server, wire: Wire) -> None:
    """A header that is sent twice is one value with a comma, for the signature and for the metadata."""
    headers = sign("PUT", "/bkt/key", host=wire.host, headers={"x-amz-meta-list": "a,b"}) | {"content-length": "0"}
    del headers["x-amz-meta-list"]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    lines += "x-amz-meta-list: a\r\nX-Amz-Meta-List: b\r\n"
    wire.socket.sendall(f"PUT /bkt/key HTTP/1.1\r\n{lines}\r\n".encode())
    assert 200 == wire.receive().status
    assert {"list": "a,b"} == server.app.backend.head_object("bkt", "key").metadata


def test_the_life_of_an_application() -> None:
    """The ASGI lifespan is acknowledged, and its end closes the store; other kinds of scope are refused."""
    asgi = create_s3_app()
    asgi.app.backend.create_bucket("bkt")
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def run() -> None:
        async def receive() -> Any:
            return events.pop(0)

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await asgi({"type": "lifespan"}, receive, send)

    asyncio.run(run())
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == sent
    assert [] == asgi.app.backend.list_buckets()
    with pytest.raises(ValueError, match="websocket"):
        call_asgi(asgi, {"type": "websocket"})
