"""Bodies in chunks (aws-chunked): the three forms, and every way in which one can be wrong."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from s3func.message import Request, Response
from s3func.server import MemoryBackend, S3App
from s3func.testing import Server
from s3func.wire import s3xml, sigv4
from s3func.wire.aws_chunked import (
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    ChunkSigner,
    encode_chunk,
    encode_trailers,
)
from s3func.wire.s3xml_multipart import CompletedPart
from tests.contract.objects import StoppedClock
from tests.server import parts
from tests.server.forge import KEY_ID, REGION, SECRET, Caller, base64_of, code, keys, presign, read, sign

BODY = bytes(range(256)) * 40
CHUNK = 4096
CRC32 = {"x-amz-checksum-crc32": base64_of("crc32", BODY)}


class Arriving:
    """A body that arrives in pieces of `cut` bytes; before each, `look` is called."""

    def __init__(self, wire: bytes, cut: int = 1000, look: Callable[[], object] = lambda: None) -> None:
        self._pieces = [wire[start : start + cut] for start in range(0, len(wire), cut)]
        self._look = look

    def read(self, size: int = -1) -> bytes:
        self._look()
        return self._pieces.pop(0) if self._pieces else b""

    def readinto(self, buffer: memoryview) -> int:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to give up."""


class Chunked:
    """A request with a body in chunks, right as it stands; what is changed before it is sent is wrong."""

    def __init__(
        self,
        form: str,
        body: bytes = BODY,
        trailers: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "PUT",
        path: str = "/bkt/key",
        query: str = "",
    ) -> None:
        if trailers is None:
            trailers = {} if form == SIGNED else CRC32
        self.method, self.path, self.query = method, path, query
        fields = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(body))}
        if trailers:
            fields["x-amz-trailer"] = ",".join(trailers)
        self.headers = sign(method, path, query, headers={**fields, **(headers or {})}, payload_hash=form)
        signer = None if form == UNSIGNED_TRAILER else chunk_signer(self.headers)
        pieces = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)]
        self.chunks = [encode_chunk(piece, signer) for piece in [*pieces, b""]]
        self.end = encode_trailers(trailers, signer)

    def send(self, app: S3App, cut: int = 1000, look: Callable[[], object] = lambda: None) -> Response:
        """The answer to it, its body arriving without Content-Length."""
        wire = b"".join([*self.chunks, self.end])
        headers = {"transfer-encoding": "chunked"} | self.headers
        body = Arriving(wire, cut, look)
        return app(Request(self.method, "http://localhost", self.path, self.query, headers, body))


def chunk_signer(headers: Mapping[str, str]) -> ChunkSigner:
    """What goes on where the signature of these headers ends."""
    date = headers["x-amz-date"]
    scope = sigv4.credential_scope(date[:8], REGION)
    seed = headers["authorization"].rpartition("Signature=")[2]
    return ChunkSigner(sigv4.signing_key(SECRET, date[:8], REGION), date, scope, seed)


@pytest.mark.parametrize("cut", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize("form", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_every_form_is_stored_as_what_it_carries(caller: Caller, form: str, cut: int) -> None:
    """The payload is stored, not its chunks; the checksum behind it is the object's; `aws-chunked` is no encoding."""
    response = Chunked(form, headers={"content-encoding": "aws-chunked,gzip"}).send(caller.app, cut)
    assert 200 == response.status, read(response)
    assert f'"{hashlib.md5(BODY).hexdigest()}"' == response.headers["etag"]
    stored = caller("GET", "/bkt/key", headers={"x-amz-checksum-mode": "ENABLED"})
    assert BODY == read(stored)
    assert "gzip" == stored.headers["content-encoding"]
    expected = None if form == SIGNED else CRC32["x-amz-checksum-crc32"]
    assert expected == response.headers.get("x-amz-checksum-crc32") == stored.headers.get("x-amz-checksum-crc32")


def test_the_example_of_aws() -> None:
    """AWS's own example of a signed chunked upload, head and body as published, is accepted.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
    """
    app = S3App(
        MemoryBackend(),
        access_key_id="AKIAIOSFODNN7EXAMPLE",
        secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        clock=StoppedClock(1369353600.0),
    )
    app.backend.create_bucket("examplebucket", owner="s3func")
    signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]
    body = b"".join(
        b"%x;chunk-signature=%s\r\n%s\r\n" % (size, signature.encode(), b"a" * size)
        for size, signature in zip((65536, 1024, 0), signatures, strict=True)
    )
    headers = {
        "host": "s3.amazonaws.com",
        "x-amz-date": "20130524T000000Z",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
        "x-amz-decoded-content-length;x-amz-storage-class,"
        "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        "content-length": "66824",
    }
    response = app(Request("PUT", "https://s3.amazonaws.com", "/examplebucket/chunkObject.txt", "", headers, body))
    assert 200 == response.status, read(response)
    assert 66560 == app.backend.head_object("examplebucket", "chunkObject.txt").size


def test_what_botocore_makes_of_a_body(caller: Caller) -> None:
    """The chunks of botocore, which has an encoder of its own, are understood."""
    wrapped = AwsChunkedWrapper(
        BytesIO(BODY), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32", chunk_size=1000
    )
    request = Chunked(UNSIGNED_TRAILER)
    request.chunks, request.end = [wrapped.read()], b""
    assert 200 == request.send(caller.app).status
    assert BODY == read(caller("GET", "/bkt/key"))


@given(body=st.binary(max_size=20_000), cut=st.integers(1, 5000), form=st.sampled_from([SIGNED, UNSIGNED_TRAILER]))
def test_any_body_cut_anywhere(body: bytes, cut: int, form: str) -> None:
    """Whatever the payload is and wherever its transport cuts it, it is stored whole."""
    app = S3App(MemoryBackend(), access_key_id=KEY_ID, secret_access_key=SECRET)
    app.backend.create_bucket("bkt", owner="s3func")
    trailers = {} if form == SIGNED else {"x-amz-checksum-sha256": base64_of("sha256", body)}
    assert 200 == Chunked(form, body, trailers).send(app, cut).status
    assert body == read(Caller(app)("GET", "/bkt/key"))


def test_nothing_is_visible_before_the_last_byte(caller: Caller) -> None:
    """While chunks and trailer arrive there is no object, and the one that it replaces is read unchanged."""
    seen: list[list[str]] = []
    request = Chunked(SIGNED_TRAILER, path="/bkt/new")
    assert 200 == request.send(caller.app, 100, lambda: seen.append(keys(caller))).status
    assert len(seen) > 100
    assert [[]] * len(seen) == seen
    assert ["new"] == keys(caller)


Wrong = Callable[[Chunked], None]


def headers_are(**headers: str) -> Wrong:
    """Sends other headers than were signed for, where they are not signed."""

    def change(request: Chunked) -> None:
        request.headers |= {name.replace("_", "-"): value for name, value in headers.items()}

    return change


def chunk_is(number: int, *change: tuple[bytes, bytes]) -> Wrong:
    """Changes bytes of one chunk."""

    def replace(request: Chunked) -> None:
        for old, new in change:
            assert old in request.chunks[number]
            request.chunks[number] = request.chunks[number].replace(old, new, 1)

    return replace


def chunks_are(order: Sequence[int]) -> Wrong:
    """Sends the chunks in another order, or not all of them."""

    def reorder(request: Chunked) -> None:
        request.chunks = [request.chunks[number] for number in order]

    return reorder


def end_is(old: bytes, new: bytes) -> Wrong:
    """Changes what is behind the last chunk."""

    def replace(request: Chunked) -> None:
        assert old in request.end
        request.end = request.end.replace(old, new, 1)

    return replace


MALFORMED = (400, "MalformedTrailerError")
BAD_SIGNATURE = (403, "SignatureDoesNotMatch")
OTHER_CRC = base64_of("crc32", b"other").encode()
RIGHT_CRC = CRC32["x-amz-checksum-crc32"].encode()
WRONG: list[tuple[str, str, Wrong, tuple[int, str]]] = [
    ("a byte of a chunk", SIGNED, chunk_is(1, (b"\x10\x11", b"\x10\x10")), BAD_SIGNATURE),
    ("a byte of the last chunk", SIGNED, chunk_is(2, (b"\x10\x11", b"\x10\x10")), BAD_SIGNATURE),
    ("the signature of a chunk", SIGNED, chunk_is(0, (b"signature=", b"signature=0")), (400, "InvalidRequest")),
    ("no signature", SIGNED, chunk_is(0, (b";chunk-signature=", b";signature=")), (400, "InvalidRequest")),
    ("two chunks swapped", SIGNED, chunks_are([1, 0, 2, 3]), BAD_SIGNATURE),
    ("a chunk twice", SIGNED, chunks_are([0, 0, 1, 3]), BAD_SIGNATURE),
    ("a chunk missing", SIGNED, chunks_are([0, 2, 3]), BAD_SIGNATURE),
    ("the last chunk missing", SIGNED, chunks_are([0, 1, 2]), (400, "InvalidRequest")),
    ("an end that is not signed", SIGNED, chunk_is(3, (b"0;chunk-signature=", b"0;chunk-signature=" + b"0" * 64 + b"\r\n")), BAD_SIGNATURE),
    ("a trailer that is not announced", SIGNED, end_is(b"\r\n", b"x-amz-checksum-crc32:" + RIGHT_CRC + b"\r\n\r\n"), MALFORMED),
    ("the trailer", SIGNED_TRAILER, end_is(RIGHT_CRC, OTHER_CRC), BAD_SIGNATURE),
    ("the signature of the trailer", SIGNED_TRAILER, end_is(b"signature:", b"signature:0"), BAD_SIGNATURE),
    ("no signature of the trailer", SIGNED_TRAILER, end_is(b"x-amz-trailer-signature", b"x-amz-other"), BAD_SIGNATURE),
    ("a byte under a trailer", UNSIGNED_TRAILER, chunk_is(1, (b"\x10\x11", b"\x10\x10")), (400, "BadDigest")),
    ("another checksum", UNSIGNED_TRAILER, end_is(RIGHT_CRC, OTHER_CRC), (400, "BadDigest")),
    ("no checksum", UNSIGNED_TRAILER, end_is(RIGHT_CRC, b"not base64"), (400, "BadDigest")),
    ("the checksum of another algorithm", UNSIGNED_TRAILER, end_is(b"crc32:", b"crc32c:"), MALFORMED),
    ("a second trailer", UNSIGNED_TRAILER, end_is(b"\r\n", b"\r\nx-amz-meta-a:b\r\n"), MALFORMED),
    ("the trailer missing", UNSIGNED_TRAILER, end_is(b"x-amz-checksum-crc32:" + RIGHT_CRC + b"\r\n", b""), MALFORMED),
    ("a trailer without colon", UNSIGNED_TRAILER, end_is(b"crc32:", b"crc32 "), MALFORMED),
    ("an end that is cut off", UNSIGNED_TRAILER, end_is(b"\r\n\r\n", b"\r\n"), (400, "IncompleteBody")),
    ("a chunk too short", UNSIGNED_TRAILER, chunk_is(0, (b"1000\r\n", b"1001\r\n")), (400, "InvalidRequest")),
    ("a chunk too long", UNSIGNED_TRAILER, chunk_is(0, (b"1000\r\n", b"fff\r\n")), (400, "InvalidRequest")),
    ("a size that is none", UNSIGNED_TRAILER, chunk_is(0, (b"1000\r\n", b"-1000\r\n")), (400, "InvalidRequest")),
    ("a size beyond all bounds", UNSIGNED_TRAILER, chunk_is(0, (b"1000\r\n", b"f" * 16 + b"\r\n")), (400, "InvalidRequest")),
    ("more behind the end", UNSIGNED_TRAILER, end_is(b"\r\n\r\n", b"\r\n\r\nmore"), (400, "InvalidRequest")),
    ("fewer chunks than promised", UNSIGNED_TRAILER, chunks_are([0, 1, 3]), (400, "IncompleteBody")),
    ("a Content-Length that lies", UNSIGNED_TRAILER, headers_are(content_length="9999"), (400, "IncompleteBody")),
    ("Content-MD5 of the chunks", UNSIGNED_TRAILER, headers_are(content_md5="1B2M2Y8AsgTpgAmY7PhCfg=="), (400, "BadDigest")),
]  # fmt: skip


@pytest.mark.parametrize(("form", "wrong", "expected"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_body_that_is_wrong_in_one_place(caller: Caller, form: str, wrong: Wrong, expected: tuple[int, str]) -> None:
    """It is refused with the code for that place, nothing is stored, and what was there stays."""
    caller.put("old", b"precious")
    request = Chunked(form)
    wrong(request)
    assert expected == code(request.send(caller.app))
    request = Chunked(form, path="/bkt/old")
    wrong(request)
    assert expected == code(request.send(caller.app))
    assert ["old"] == keys(caller)
    assert b"precious" == read(caller("GET", "/bkt/old"))


@pytest.mark.parametrize(
    ("form", "headers", "expected"),
    [
        (UNSIGNED_TRAILER, {"x-amz-trailer": "x-amz-meta-a"}, (400, "InvalidRequest")),
        (UNSIGNED_TRAILER, {"x-amz-trailer": "x-amz-checksum-md5"}, (400, "InvalidRequest")),
        (UNSIGNED_TRAILER, {"x-amz-trailer": "x-amz-checksum-crc32,x-amz-checksum-sha1"}, (400, "InvalidRequest")),
        (UNSIGNED_TRAILER, CRC32, (400, "InvalidRequest")),
        (UNSIGNED_TRAILER, {"x-amz-sdk-checksum-algorithm": "SHA256"}, (400, "InvalidRequest")),
        (SIGNED, {"x-amz-trailer": "x-amz-checksum-crc32"}, (400, "InvalidRequest")),
        (SIGNED, {"x-amz-decoded-content-length": str(len(BODY) - 1)}, (400, "InvalidRequest")),
        (SIGNED, {"x-amz-decoded-content-length": str(len(BODY) + 1)}, (400, "IncompleteBody")),
        (SIGNED, {"x-amz-decoded-content-length": "-1"}, (400, "InvalidArgument")),
        (SIGNED, {"x-amz-decoded-content-length": "1e3"}, (400, "InvalidArgument")),
        (SIGNED, {"x-amz-decoded-content-length": str(5 * 1024**3 + 1)}, (400, "EntityTooLarge")),
    ],
)
def test_a_head_that_does_not_fit(
    caller: Caller, form: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    """What the head says of the body is signed, and has to be so all the same."""
    assert expected == code(Chunked(form, headers=headers).send(caller.app))
    assert [] == keys(caller)


def test_the_decoded_length_is_required(caller: Caller) -> None:
    """Without x-amz-decoded-content-length a body in chunks is refused before it is read."""
    headers = sign("PUT", "/bkt/key", payload_hash=UNSIGNED_TRAILER) | {"content-length": "5"}
    response = caller.app(Request("PUT", "http://localhost", "/bkt/key", "", headers, b"0\r\n\r\n"))
    assert (411, "MissingContentLength") == code(response)


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_every_algorithm_may_come_behind_the_body(caller: Caller, algorithm: str) -> None:
    """Each of the five checksums is verified and stored when it is a trailer."""
    value = base64_of(algorithm, BODY)
    trailers = {f"x-amz-checksum-{algorithm}": value}
    headers = {"x-amz-sdk-checksum-algorithm": algorithm.upper()}
    assert 200 == Chunked(UNSIGNED_TRAILER, BODY, trailers, headers).send(caller.app).status
    assert {algorithm: value} == caller.app.backend.head_object("bkt", "key").checksums
    wrong = {f"x-amz-checksum-{algorithm}": base64_of(algorithm, b"other")}
    assert (400, "BadDigest") == code(Chunked(UNSIGNED_TRAILER, BODY, wrong).send(caller.app))


def test_an_empty_body_in_chunks(caller: Caller) -> None:
    """Nothing but the last chunk is an object of no bytes, in each form."""
    for form in (SIGNED, UNSIGNED_TRAILER):
        trailers = {} if form == SIGNED else {"x-amz-checksum-crc32": "AAAAAA=="}
        assert 200 == Chunked(form, b"", trailers).send(caller.app).status
        assert b"" == read(caller("GET", "/bkt/key"))


def test_parts_and_documents_in_chunks(caller: Caller) -> None:
    """UploadPart and the documents of other operations may come in chunks; a trailer replaces Content-MD5 there."""
    upload_id = parts.begin(caller, "key")
    part = Chunked(SIGNED_TRAILER, query=f"partNumber=1&uploadId={upload_id}").send(caller.app)
    assert (200, CRC32["x-amz-checksum-crc32"]) == (part.status, part.headers["x-amz-checksum-crc32"])
    assert 200 == parts.complete(caller, "key", upload_id, [CompletedPart(1, part.headers["etag"])]).status
    assert BODY == read(caller("GET", "/bkt/key"))
    document = s3xml.render_delete_objects([("key", None)])
    trailers = {"x-amz-checksum-crc32": base64_of("crc32", document)}
    deletion = Chunked(UNSIGNED_TRAILER, document, trailers, method="POST", path="/bkt", query="delete=")
    assert 200 == deletion.send(caller.app).status
    assert [] == keys(caller)


def test_without_authentication_chunks_are_still_counted_and_summed() -> None:
    """Where no signatures are asked for, those of chunks mean nothing, but lengths and checksums do."""
    app = S3App(MemoryBackend(), no_auth=True)
    app.backend.create_bucket("bkt", owner="s3func")
    request = Chunked(SIGNED_TRAILER)
    request.end = encode_trailers(CRC32, ChunkSigner(b"another key", "", "", ""))
    assert 200 == request.send(app).status
    assert BODY == read(Caller(app)("GET", "/bkt/key"))
    for wrong, expected in [
        (chunks_are([0, 1, 3]), (400, "IncompleteBody")),
        (chunk_is(1, (b"\x10\x11", b"\x10\x10")), (400, "BadDigest")),
        (chunk_is(0, (b";chunk-signature", b";other")), (400, "InvalidRequest")),
        (end_is(RIGHT_CRC, OTHER_CRC), (400, "BadDigest")),
    ]:
        request = Chunked(SIGNED_TRAILER)
        wrong(request)
        assert expected == code(request.send(app))


def test_signed_chunks_behind_a_head_without_signature(caller: Caller) -> None:
    """Chunks that continue a signature that is not there are refused."""
    request = Chunked(SIGNED)
    del request.headers["authorization"]
    assert (400, "InvalidRequest") == code(request.send(caller.app))
    assert [] == keys(caller)


def test_a_presigned_url_takes_a_body_in_chunks(caller: Caller) -> None:
    """The signature of the URL is the seed of those of the chunks; the unsigned form goes with it, too."""
    for form in (SIGNED, UNSIGNED_TRAILER):
        fields = {"x-amz-content-sha256": form, "x-amz-decoded-content-length": str(len(BODY))}
        if form == UNSIGNED_TRAILER:
            fields["x-amz-trailer"] = "x-amz-checksum-crc32"
        query = presign("PUT", f"/bkt/{len(form)}", headers=fields)
        given = dict(pair.split("=") for pair in query.split("&"))
        date = given["X-Amz-Date"]
        key, scope = sigv4.signing_key(SECRET, date[:8], REGION), sigv4.credential_scope(date[:8], REGION)
        signer = ChunkSigner(key, date, scope, given["X-Amz-Signature"]) if form == SIGNED else None
        body = encode_chunk(BODY, signer) + encode_chunk(b"", signer)
        body += encode_trailers({} if form == SIGNED else CRC32, signer)
        headers = {"host": "localhost", "content-length": str(len(body)), **fields}
        response = caller.app(Request("PUT", "http://localhost", f"/bkt/{len(form)}", query, headers, body))
        assert 200 == response.status, read(response)
        assert BODY == read(caller("GET", f"/bkt/{len(form)}"))


def test_chunks_in_chunks_over_a_socket(server: Server) -> None:
    """aws-chunked inside of Transfer-Encoding: chunked, without Content-Length, is how aws-sdk-cpp sends every body."""
    host = server.endpoint_url.removeprefix("http://")
    body = BODY * 30
    checksum = {"x-amz-checksum-crc64nvme": base64_of("crc64nvme", body)}
    wire = b"".join(
        [*(encode_chunk(body[start : start + 65536]) for start in range(0, len(body), 65536)), encode_chunk(b"")]
    ) + encode_trailers(checksum)
    fields = {"x-amz-decoded-content-length": str(len(body)), "x-amz-trailer": "x-amz-checksum-crc64nvme"}
    headers = sign("PUT", "/bkt/key", headers=fields, host=host, payload_hash=UNSIGNED_TRAILER)
    headers |= {"transfer-encoding": "chunked", "content-encoding": "aws-chunked", "connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    name, _, port = host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=20) as connection:
        connection.sendall(f"PUT /bkt/key HTTP/1.1\r\n{head}\r\n".encode())
        for start in range(0, len(wire), 10_000):
            piece = wire[start : start + 10_000]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    stored = server.app.backend.head_object("bkt", "key")
    assert (len(body), hashlib.md5(body).hexdigest()) == (stored.size, stored.etag)
    assert {"crc64nvme": checksum["x-amz-checksum-crc64nvme"]} == stored.checksums
    assert "content-encoding" not in stored.headers
