"""Ten thousand requests by chance, in this process and over a socket: whatever is asked, the server stands.

The seed is fixed, so a run is repeated exactly. Each sequence of requests meets a new server with the same things in
it. What a request may be is said in `fuzzing.py`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import s3func.testing
from s3func.message import Request, Response
from s3func.server import LocalBackend, MemoryBackend, S3App, User
from s3func.testing import Server
from s3func.wire import aws_chunked, s3xml, sigv4
from tests.server.forge import KEY_ID, REGION, SECRET, Reply, Wire, presign, read, sign
from tests.server.fuzzing import Draft, drafts

SEQUENCE = 20
STORE_SEQUENCES = 250
"""On each of two stores: 2 x 250 x 20 requests are ten thousand."""
SOCKET_SEQUENCES = 25
PRECIOUS = b"precious"
OTHER = User("AKIDOTHER", "the other one's secret", "other", email="other@example.com")
THIRD = User("AKIDTHIRD", "nobody's secret", "third")
"""Owns what no request of these tests may change."""
USERS = (OTHER, THIRD)
PAIRS = {"other user": (OTHER.access_key_id, OTHER.secret_access_key), "wrong secret": (KEY_ID, "wrong")}

sequences = st.lists(drafts(), min_size=SEQUENCE, max_size=SEQUENCE)
repeatable = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
Ask = Callable[[str, str, str, bytes, Mapping[str, str]], Response]


def written(draft: Draft, host: str) -> tuple[str, dict[str, str], bytes]:
    """The query, the headers and the body with which a draft goes on the wire, signed in its way."""
    method, path, body, signing = draft.method, draft.path, draft.body, draft.signing
    query, headers = draft.raw_query, {"host": host, **draft.headers}
    if signing == "anonymous":
        return query, headers, body
    if signing == "garbage":
        return query, headers | {"authorization": "AWS4-HMAC-SHA256 Credential=é/x/, Signature=;;"}, body
    if signing == "presigned":
        signature = presign(method, path, query, host=headers["host"])
        return signature, headers, body
    if signing in {"chunks", "broken chunks", "trailer"}:
        return query, *in_chunks(draft, query, headers)
    if signing == "unsigned payload":
        headers.setdefault("x-amz-content-sha256", sigv4.UNSIGNED_PAYLOAD)
    payload = headers.pop("x-amz-content-sha256", None)
    keys = PAIRS.get(signing, (KEY_ID, SECRET))
    now = 1440938160.0 if signing == "old" else None
    signed = sign(method, path, query, body, headers, payload_hash=payload, now=now, key_id=keys[0], secret=keys[1])
    return query, signed, b"other bytes" if signing == "swapped body" else body


def in_chunks(draft: Draft, query: str, headers: dict[str, str]) -> tuple[dict[str, str], bytes]:
    """The draft in one of the forms of aws-chunked."""
    body = draft.body
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(body)),
        **headers,
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    }
    trailers: dict[str, str] = {}
    if draft.signing == "trailer":
        headers |= {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32",
        }
        trailers = {"x-amz-checksum-crc32": "AAAAAA=="}
    headers = sign(draft.method, draft.path, query, b"", headers)
    date = headers["x-amz-date"]
    signer = None
    if not trailers:
        key = sigv4.signing_key(SECRET, date[:8], REGION)
        seed = headers["authorization"].rpartition("Signature=")[2]
        signer = aws_chunked.ChunkSigner(key, date, sigv4.credential_scope(date[:8], REGION), seed)
    pieces = [body[:7], body[7:], b""] if len(body) > 7 else [body, b""] if body else [b""]
    wire = b"".join(aws_chunked.encode_chunk(piece, signer) for piece in pieces)
    wire += aws_chunked.encode_trailers(trailers, signer)
    if draft.signing == "broken chunks":
        wire = wire[: len(wire) // 2] + b"\x00" + wire[len(wire) // 2 + 1 :]
    return headers, wire


def check_answer(draft: Draft, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """An answer of S3: never the server's own fault, and every refusal says what and why."""
    assert status < 500 or status in {501, 503}, draft
    for name, value in headers.items():
        assert not {"\r", "\n", "\0"} & set(name + value), draft
    assert headers["x-amz-request-id"]
    if draft.method == "HEAD" or status in {204, 304}:
        assert b"" == body
    elif status >= 300:
        document = s3xml.parse_error(body)
        assert document is not None, draft
        assert document.code, draft
        assert document.message, draft
        assert headers["x-amz-request-id"] == document.request_id, draft


def furnish(ask: Ask) -> dict[str, str]:
    """Buckets of every kind with something in them, and an upload under way; what later requests may refer to."""

    def must(method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> Response:
        answer = ask(method, path, query, body, {name.replace("_", "-"): value for name, value in headers.items()})
        assert 200 == answer.status, (method, path, query, answer.read())
        return answer

    must("PUT", "/bkt")
    must("PUT", "/ver")
    must("PUT", "/ver", "versioning", b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
    must("PUT", "/lock", x_amz_bucket_object_lock_enabled="true")
    must("PUT", "/open", x_amz_acl="public-read-write", x_amz_object_ownership="ObjectWriter")
    for bucket in ("bkt", "ver", "lock", "open"):
        must("PUT", f"/{bucket}/key", body=b"the body of an object")
    must("PUT", "/bkt/large", body=bytes(200_000))
    version = must("PUT", "/ver/key", body=b"newer").headers["x-amz-version-id"]
    begun = read(must("POST", "/bkt/key", "uploads")).decode()
    upload_id = begun.partition("<UploadId>")[2].partition("<")[0]
    part = must("PUT", "/bkt/key", f"partNumber=1&uploadId={upload_id}", b"a part")
    return {"upload": upload_id, "version": version, "etag": part.headers["etag"]}


def learn(known: dict[str, str], headers: Mapping[str, str], body: bytes) -> None:
    """What an answer tells for those that follow."""
    for name, header in (("version", "x-amz-version-id"), ("etag", "etag")):
        if header in headers:
            known[name] = headers[header]
    if b"<UploadId>" in body:
        known["upload"] = body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()


def signed_ask(app: S3App, user: User | None = None) -> Ask:
    """Calls of an app by one user; None is whoever the drafts sign as."""
    key_id, secret = (user.access_key_id, user.secret_access_key) if user else (KEY_ID, SECRET)

    def ask(method: str, path: str, query: str, body: bytes, headers: Mapping[str, str]) -> Response:
        signed = sign(method, path, query, body, headers, key_id=key_id, secret=secret)
        return app(Request(method, "http://localhost", path, query, signed, body))

    return ask


class Ears(logging.Handler):
    """Hears what a server says of its own faults, so that a failure shows them."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and record.exc_info[1] is not None:
            raise AssertionError(record.getMessage()) from record.exc_info[1]


@pytest.fixture(autouse=True)
def ears() -> Iterator[None]:
    """Let the exception behind an InternalError be the failure."""
    logger, handler = logging.getLogger("s3func.server"), Ears(logging.ERROR)
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


def open_files() -> list[str]:
    """The sockets, and the files of a store, that this process has open; the event loop keeps a pipe for itself."""
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one of the listing itself
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return sorted(link for link in links if link.startswith("socket:") or "/store/" in link)


def run_sequence(app: S3App, requests: list[Draft]) -> None:
    """A sequence on a new app, and what must hold of the app behind it."""
    ask, third = signed_ask(app), signed_ask(app, THIRD)
    for method, path, body in (("PUT", "/theirs", b""), ("PUT", "/theirs/key", PRECIOUS)):
        assert 200 == third(method, path, "", body, {}).status
    known = furnish(ask)
    for draft in requests:
        draft = draft.filled(known)
        query, headers, body = written(draft, "localhost")
        answer = app(Request(draft.method, "http://localhost", draft.path, query, headers, body))
        content = read(answer)
        check_answer(draft, answer.status, answer.headers, content)
        learn(known, answer.headers, content)
    assert PRECIOUS == read(third("GET", "/theirs/key", "", b"", {}))
    assert ["key"] == [row.key for row in app.backend.list_objects("theirs").rows]
    assert 200 == ask("PUT", "/healthy", "", b"", {}).status
    assert 200 == ask("PUT", "/healthy/key", "", bytes(100_000), {}).status
    assert bytes(100_000) == read(ask("GET", "/healthy/key", "", b"", {}))


@given(sequences)
@settings(repeatable, max_examples=STORE_SEQUENCES)
def test_nothing_upsets_the_store_in_memory(requests: list[Draft]) -> None:
    """No sequence of requests is the server's own fault, is refused without a document, or reaches another's bucket."""
    app = S3App(MemoryBackend(), access_key_id=KEY_ID, secret_access_key=SECRET, users=USERS)
    run_sequence(app, requests)
    app.close()


@given(sequences)
@settings(repeatable, max_examples=STORE_SEQUENCES)
def test_nothing_upsets_the_store_on_disk(requests: list[Draft]) -> None:
    """The same on the disk, where besides no file stays open and no body half written."""
    before = open_files()
    with tempfile.TemporaryDirectory() as folder:
        backend = LocalBackend(Path(folder) / "store", durability="os")
        app = S3App(backend, access_key_id=KEY_ID, secret_access_key=SECRET, users=USERS)
        try:
            run_sequence(app, requests)
            assert [] == os.listdir(Path(folder) / "store" / "tmp")
        finally:
            app.close()
        assert ["store"] == os.listdir(folder)
    # Fewer is fine: what an earlier test left to the collector may have been collected meanwhile.
    assert [] == [link for link in open_files() if link not in before]


class Damage(NamedTuple):
    """What happens to the bytes of a request on their way: some are replaced at a place between 0 and 1."""

    place: float
    length: int
    bytes: bytes


damages = st.builds(
    Damage,
    st.floats(0, 1, exclude_max=True),
    st.sampled_from((0, 0, 1, 4, 100)),
    st.sampled_from(
        (b"", b"\r\n", b"\n", b"\0", b" ", b":", b"\xff", b"GET / HTTP/1.1\r\n\r\n", b"9" * 30, b"x" * 70_000)
    ),
)
# Three of four arrive as they were sent.
transmissions = st.tuples(drafts(), st.none() | st.none() | st.none() | damages)


def transmit(server: Server, draft: Draft, damage: Damage | None) -> Reply | None:
    """The reply to a request over a connection of its own; None where the server waits for more, or has hung up.

    Only a request that is damaged, or lies about its length, may be left without a reply.
    """
    with Wire(server.endpoint_url) as wire:
        query, headers, body = written(draft, wire.host)
        framed = {"content-length", "transfer-encoding"} & headers.keys()
        if body and not framed:
            headers["content-length"] = str(len(body))
        target = f"{draft.path}?{query}" if query else draft.path
        lines = [f"{draft.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        data = "\r\n".join([*lines, "", ""]).encode() + body
        if damage is not None:
            start = int(damage.place * len(data))
            data = data[:start] + damage.bytes + data[start + damage.length :]
        excused = damage is not None or bool(framed)
        wire.socket.settimeout(0.1 if excused else 20)
        try:
            wire.socket.sendall(data)
            while (reply := wire.receive(draft.method)).status == 100:
                pass
        except (TimeoutError, EOFError, ConnectionError):
            assert excused, draft
            return None
        return reply


@given(st.lists(transmissions, min_size=SEQUENCE, max_size=SEQUENCE))
@settings(repeatable, max_examples=SOCKET_SEQUENCES)
def test_nothing_upsets_the_listener(requests: list[tuple[Draft, Damage | None]]) -> None:
    """The same over sockets, with bytes lost and made up on the way; afterwards all is served, and nothing is open."""
    before = open_files()
    with tempfile.TemporaryDirectory() as folder:
        backend = LocalBackend(Path(folder) / "store", durability="os")
        with s3func.testing.server(backend, access_key_id=KEY_ID, secret_access_key=SECRET, users=USERS) as server:
            ask = signed_ask(server.app)
            known = furnish(ask)
            for draft, damage in requests:
                draft = draft.filled(known)
                reply = transmit(server, draft, damage)
                if reply is None:
                    continue
                if damage is None:
                    check_answer(draft, reply.status, reply.headers, reply.body)
                    learn(known, reply.headers, reply.body)
                else:
                    assert reply.status < 500 or reply.status in {501, 503}
                    assert reply.status < 300 or not reply.body or reply.code
            with Wire(server.endpoint_url) as wire:
                wire.send("PUT", "/healthy", sign("PUT", "/healthy", host=wire.host) | {"content-length": "0"})
                assert 200 == wire.receive().status
        assert [] == os.listdir(Path(folder) / "store" / "tmp")
    # Fewer is fine: what an earlier test left to the collector may have been collected meanwhile.
    assert [] == [link for link in open_files() if link not in before]
