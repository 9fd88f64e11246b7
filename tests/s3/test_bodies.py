"""Bodies: whatever it comes from, the bytes arrive, with a length, a checksum and a hash that are true of them."""

from __future__ import annotations

import array
import ctypes
import gzip
import hashlib
import io
import mmap
import os
import tempfile
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import s3func.testing
from s3func import S3Session
from s3func.errors import InvalidRequest
from s3func.s3.payload import CHECKSUMS
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, Recorder, WireServer, assert_signed, embedded, recorded

SMALL = b"0123456789" * 100
LARGE = os.urandom(2 * 1024 * 1024 + 7)
"""Too large to be copied or sent together with its head."""


@pytest.fixture
def session() -> Iterator[S3Session]:
    """A session on an in-process server."""
    with embedded() as (session, _):
        yield session


def spooled(content: bytes) -> Any:
    file = tempfile.SpooledTemporaryFile(max_size=1000)  # noqa: SIM115 -- the test closes it
    file.write(content)
    file.seek(0)
    return file


def zipped(content: bytes) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(content, 1)))


class ReadOnly:
    """A stream that can be read and nothing else."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, 1000))


class Wordless(ReadOnly):
    """A look-alike that seeks without saying where it is then, and knows no readinto()."""

    def seek(self, offset: int, whence: int = 0) -> None:
        self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


SOURCES: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "memoryview of a bytearray": lambda content: memoryview(bytearray(content)),
    "slice of a memoryview": lambda content: memoryview(b"x" + content + b"y")[1:-1],
    "memoryview with gaps": lambda content: memoryview(
        bytes(byte for pair in zip(content, content, strict=True) for byte in pair)
    )[::2],
    "memoryview backwards": lambda content: memoryview(content[::-1])[::-1],
    "memoryview of wide items": lambda content: memoryview(array.array("B", content)).cast("B"),
    "BytesIO": io.BytesIO,
    "BufferedReader": lambda content: io.BufferedReader(io.BytesIO(content)),
    "SpooledTemporaryFile": spooled,
    "GzipFile": zipped,
    "list of bytes": lambda content: [content[:10], b"", content[10:]],
    "tuple of mixed": lambda content: (bytearray(content[:10]), memoryview(content)[10:]),
    "generator": lambda content: (content[start : start + 1000] for start in range(0, len(content), 1000)),
    "read() alone": ReadOnly,
    "seek() without a word": Wordless,
}


@pytest.mark.parametrize("content", [b"", b"\0", SMALL, LARGE], ids=["empty", "one byte", "small", "large"])
@pytest.mark.parametrize("source", SOURCES)
def test_what_is_put_is_what_is_read(session: S3Session, source: str, content: bytes) -> None:
    """A body of any kind and size is stored as its bytes, under an ETag that is their MD5."""
    body = SOURCES[source](content)
    result = session.put_object("key", body)
    assert hashlib.md5(content).hexdigest() == result.etag
    with session.get_object("key") as got:
        assert content == got.data
        assert len(content) == got.size
    assert not getattr(body, "closed", False), "a file that the caller opened is the caller's to close"
    if hasattr(body, "close"):
        body.close()


def test_it_is_the_same_over_http() -> None:
    """Bodies of all kinds reach a real server over a socket as well."""
    with s3func.testing.server() as server:
        session = server.session("bucket")
        for source, make in SOURCES.items():
            for content in (b"", SMALL, LARGE):
                body = make(content)
                session.put_object(source, body)
                assert content == session.get_object(source).data, source
                if hasattr(body, "close"):
                    body.close()


def test_text_is_utf_8(session: S3Session) -> None:
    """A str is text to be stored, never the name of a file."""
    session.put_object("key", "/etc/passwd é 日本 😀")
    assert "/etc/passwd é 日本 😀".encode() == session.get_object("key").data


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=len)
@pytest.mark.parametrize("mode", ["path", "rb", "raw", "r+b", "mmap"])
def test_a_file(session: S3Session, tmp_path: Path, content: bytes, mode: str) -> None:
    """A path is opened and closed again; an open file is read from where it stands and stays open."""
    path = tmp_path / "file"
    path.write_bytes(b"before" + content)
    if mode == "path":
        path.write_bytes(content)
        session.put_object("key", path)
    else:
        with open(path, "r+b" if mode in {"r+b", "mmap"} else "rb", buffering=0 if mode == "raw" else -1) as file:
            opened: Any = mmap.mmap(file.fileno(), 0) if mode == "mmap" else file
            opened.seek(6)
            session.put_object("key", opened)
            assert not opened.closed
            opened.seek(0)
            assert b"before" == opened.read(6)
            opened.close()
    assert content == session.get_object("key").data


def test_a_file_behind_its_end(session: S3Session, tmp_path: Path) -> None:
    """A file that stands at or behind its end has no bytes to give."""
    (tmp_path / "file").write_bytes(SMALL)
    with open(tmp_path / "file", "rb") as file:
        for offset in (len(SMALL), len(SMALL) + 1000):
            file.seek(offset)
            session.put_object("key", file)
            assert b"" == session.get_object("key").data


def test_a_file_that_grows(session: S3Session, tmp_path: Path) -> None:
    """The end of a file is where it was when the call began."""

    class Growing(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            count = super().readinto(buffer)
            place = self.tell()
            super().seek(0, io.SEEK_END)
            self.write(b"more")
            super().seek(place)
            return count

    session.put_object("key", Growing(LARGE))
    assert LARGE == session.get_object("key").data


def test_a_path_that_is_no_file(session: S3Session, tmp_path: Path) -> None:
    """A path that cannot be opened is the system's own error, and nothing is stored."""
    with pytest.raises(FileNotFoundError):
        session.put_object("absent", tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        session.put_object("absent", tmp_path)
    assert not session.exists("absent")


def test_a_pipe(session: S3Session) -> None:
    """A pipe, whose length nobody knows, is read to its end before anything is sent."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as pipe:
            pipe.write(LARGE)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reading, "rb") as pipe:
        session.put_object("key", pipe)
        assert not pipe.closed
    thread.join()
    assert LARGE == session.get_object("key").data


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_views_of_wide_items(session: S3Session, size: int) -> None:
    """A view is its bytes, whatever format its items have and however large it is."""
    numbers = array.array("i", range(size // 4))
    for view in (memoryview(numbers), memoryview((ctypes.c_int * len(numbers))(*numbers))):
        session.put_object("key", view)
        assert numbers.tobytes() == session.get_object("key").data


def test_a_view_in_the_order_of_fortran(session: S3Session) -> None:
    """A large view whose items lie in columns is sent in the order in which Python reads it."""
    exporter = pytest.importorskip("_testbuffer")
    numbers = [n % 251 for n in range(1100 * 1000)]
    view = memoryview(exporter.ndarray(numbers, shape=[1100, 1000], format="B", flags=exporter.ND_FORTRAN))
    assert view.contiguous
    assert not view.c_contiguous
    session.put_object("key", view)
    assert bytes(view) == session.get_object("key").data


class Flipping(io.FileIO):
    """A file whose bytes are not those of its descriptor."""

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        count = super().readinto(view)
        view[:count] = bytes(view[:count]).translate(bytes(range(255, -1, -1)))
        return count


def test_a_file_that_translates(session: S3Session, tmp_path: Path) -> None:
    """A large file of a class of its own is checked as it is read, not as it lies on the disk."""
    content = os.urandom(9 * 1024 * 1024)
    (tmp_path / "file").write_bytes(content)
    with Flipping(tmp_path / "file") as file:
        session.put_object("key", file)
    assert content.translate(bytes(range(255, -1, -1))) == session.get_object("key").data


def test_a_small_buffer_may_change_during_the_call() -> None:
    """A small mutable body is taken as it is when the call begins, for every attempt."""
    body = bytearray(b"before")
    recorder = Recorder()
    recorded(recorder).put_object("key", body)
    body[:] = b"after!"
    assert b"before" == recorder.last.body


# --- what is no body


class Broken:
    """An iterable that fails in its middle."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"a"
        raise RuntimeError("the source is dry")


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (Broken(), RuntimeError, "the source is dry"),
        (["a"], TypeError, "body must yield bytes, not str"),
        ([b"a", "b"], TypeError, "body must yield bytes, not str"),
        ([b"a", None], TypeError, "body must yield bytes, not NoneType"),
        (range(3), TypeError, "body must yield bytes, not int"),
        ({"a": b"b"}, TypeError, "body must yield bytes, not str"),
        (array.array("i", [1]), TypeError, "body must yield bytes, not int"),
        (io.StringIO("text"), TypeError, "body is a file in text mode"),
        (None, TypeError, "body must be"),
        (5, TypeError, "body must be"),
        ("\ud800", ValueError, "body has a lone surrogate"),
        (len, TypeError, "body must be"),
    ],
)
@pytest.mark.parametrize("verb", ["put_object", "request"])
def test_what_is_no_body(verb: str, body: Any, error: type[Exception], message: str) -> None:
    """What is no bytes is refused, and what its source raises arrives; nothing is sent of it."""
    recorder = Recorder()
    session = recorded(recorder)
    with pytest.raises(error, match=message):
        if verb == "put_object":
            session.put_object("key", body)
        else:
            session.request("PUT", "key", body=body)
    assert [] == recorder.sent


def test_a_file_in_text_mode(tmp_path: Path) -> None:
    """A file in text mode would count characters and send bytes."""
    (tmp_path / "file").write_text("text")
    recorder = Recorder()
    with (
        open(tmp_path / "file", encoding="utf-8") as file,
        pytest.raises(TypeError, match="body is a file in text mode"),
    ):
        recorded(recorder).put_object("key", file)  # type: ignore[arg-type]
    assert [] == recorder.sent


def test_a_source_that_fails_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that fails after more than fits into memory leaves nothing in the temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def blocks() -> Iterator[bytes]:
        for _ in range(9):
            yield b"x" * 1024 * 1024
        raise RuntimeError("the source is dry")

    with pytest.raises(RuntimeError, match="the source is dry"):
        recorded(Recorder()).put_object("key", blocks())
    assert [] == list(tmp_path.iterdir())


class Shrinking(io.BytesIO):
    """A file that loses its second half when it is read for the nth time."""

    def __init__(self, content: bytes, nth: int) -> None:
        super().__init__(content)
        self._left = nth

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0:
            self._left -= 1
            if self._left == 0:
                self.truncate(len(self.getbuffer()) // 2)
        return super().seek(offset, whence)


@pytest.mark.parametrize("nth", [2, 3])
@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_file_that_shrinks(nth: int, size: int) -> None:
    """A file that becomes shorter is an error, no whole request arrives, and the session goes on working."""
    with WireServer() as wire, S3Session(ACCESS_KEY_ID, SECRET, "bucket", wire.url) as session:
        # Standing on the start is the first time, the checksum the second, sending or the signature the third.
        with pytest.raises(ValueError, match="body became shorter"):
            session.put_object("key", Shrinking(b"x" * size, nth))
        session.put_object("other", b"y")
    assert ["/bucket/other"] == [raw.line[1] for raw in wire.received]


# --- checksums and hashes


def reflected_crc(content: bytes, polynomial: int, width: int) -> bytes:
    """A CRC by the book, bit by bit."""
    ones = (1 << width) - 1
    value = ones
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
    return (value ^ ones).to_bytes(width // 8, "big")


DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda content: zlib.crc32(content).to_bytes(4, "big"),
    "crc32c": lambda content: reflected_crc(content, 0x82F63B78, 32),
    "crc64nvme": lambda content: reflected_crc(content, 0x9A6C9329AC4BC9B5, 64),
    "sha1": lambda content: hashlib.sha1(content).digest(),
    "sha256": lambda content: hashlib.sha256(content).digest(),
}
CONTENT = bytes(range(256)) * 20


def sent_checksums(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith(("x-amz-checksum-", "content-md5"))}


@pytest.mark.parametrize("where", ["session", "call"])
@pytest.mark.parametrize("kind", ["bytes", "file", "generator"])
@pytest.mark.parametrize("algorithm", sorted(CHECKSUMS))
def test_the_checksum_that_is_asked_for(algorithm: str, kind: str, where: str) -> None:
    """checksum= of the session or of the call sends that one checksum, and it is true of the body."""
    body: Any = {"bytes": CONTENT, "file": io.BytesIO(CONTENT), "generator": iter([CONTENT])}[kind]
    recorder = Recorder()
    if where == "session":
        recorded(recorder, checksum=algorithm).put_object("key", body)
    else:
        recorded(recorder, checksum="sha1").put_object("key", body, checksum=algorithm)
    expected = {}
    if algorithm != "off":
        name = "crc32" if algorithm == "auto" else algorithm
        expected = {f"x-amz-checksum-{name}": b64encode(DIGESTS[name](CONTENT)).decode()}
    assert expected == sent_checksums(recorder.last.headers)
    assert hashlib.sha256(CONTENT).hexdigest() == recorder.last.headers["x-amz-content-sha256"]


@pytest.mark.parametrize("algorithm", sorted(CHECKSUMS))
def test_the_server_agrees_with_every_checksum(session: S3Session, algorithm: str) -> None:
    """Each checksum is accepted by the server, comes back with the object and is verified on the way down."""
    session.put_object("key", LARGE, checksum=algorithm)
    got = session.get_object("key")
    assert LARGE == got.data
    assert algorithm == "off" or [name for name in got.headers if name.startswith("x-amz-checksum-")]


@pytest.mark.parametrize(
    "header", ["x-amz-checksum-sha256", "X-Amz-Checksum-Crc32", "Content-MD5", "x-amz-checksum-xxhash64"]
)
def test_a_checksum_of_the_caller_is_respected(header: str) -> None:
    """A checksum that the caller brings is the only one that is sent, as it is."""
    recorder = Recorder()
    recorded(recorder).put_object("key", CONTENT, headers={header: "dGhlaXJz"}, checksum="sha1")
    assert {header.lower(): "dGhlaXJz"} == sent_checksums(recorder.last.headers)


def test_a_wrong_checksum_is_refused(session: S3Session) -> None:
    """A checksum that is not true of the body is the store's to refuse, and nothing is stored."""
    for header in ("x-amz-checksum-crc32", "content-md5"):
        size = 4 if "crc" in header else 16
        with pytest.raises(InvalidRequest) as caught:
            session.put_object("wrong", CONTENT, headers={header: b64encode(b"x" * size).decode()})
        assert "BadDigest" == caught.value.code
    assert not session.exists("wrong")


# Each row: endpoint, size of the body, checksum=, and whether the body is part of the signature.
POLICY = [
    ("http://store.example", 10, "auto", True),
    ("http://store.example", len(LARGE), "auto", True),
    ("http://store.example", len(LARGE), "off", True),
    ("http://127.0.0.1.example", len(LARGE), "auto", True),
    ("http://localhost:9000", 10, "auto", True),
    ("http://localhost:9000", len(LARGE), "auto", False),
    ("http://[::1]:9000", len(LARGE), "auto", False),
    ("http://localhost:9000", len(LARGE), "off", True),
    ("https://store.example", 10, "auto", False),
    ("https://store.example", len(LARGE), "sha256", False),
    ("https://store.example", 10, "off", True),
    ("https://store.example", len(LARGE), "off", True),
]


@pytest.mark.parametrize("kind", ["bytes", "file"])
@pytest.mark.parametrize(("endpoint_url", "size", "checksum", "signed"), POLICY)
def test_what_the_signature_covers(endpoint_url: str, size: int, checksum: str, signed: bool, kind: str) -> None:
    """The body is signed wherever neither TLS nor the machine protects it, and wherever no checksum travels."""
    content = LARGE[:size]
    recorder = Recorder()
    body: Any = content if kind == "bytes" else io.BytesIO(content)
    recorded(recorder, endpoint_url=endpoint_url).put_object("key", body, checksum=checksum)
    expected = hashlib.sha256(content).hexdigest() if signed else "UNSIGNED-PAYLOAD"
    assert expected == recorder.last.headers["x-amz-content-sha256"]
    assert content == recorder.last.body


def test_what_is_empty_is_signed_as_empty() -> None:
    """Requests without a body carry the hash of nothing, and no checksum."""
    recorder = Recorder()
    session = recorded(recorder)
    for call in (session.head_object, session.delete_object, session.get_object):
        call("key")
        assert hashlib.sha256(b"").hexdigest() == recorder.last.headers["x-amz-content-sha256"]
        assert {} == {name: 1 for name in recorder.last.headers if name.startswith(("x-amz-checksum-c", "content-"))}


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=len)
@pytest.mark.parametrize("kind", ["bytes", "file", "generator", "path"])
def test_what_arrives_is_what_was_promised(tmp_path: Path, kind: str, content: bytes) -> None:
    """The wire has one Content-Length, no transfer coding, the bytes, and a signature that botocore computes as well."""
    (tmp_path / "file").write_bytes(content)
    body: Any = {
        "bytes": content,
        "file": io.BytesIO(content),
        "generator": iter([content]),
        "path": tmp_path / "file",
    }[kind]
    with WireServer() as wire, S3Session(ACCESS_KEY_ID, SECRET, "bucket", wire.url) as session:
        session.put_object("key", body, content_type="text/plain")
    names = [name for name, _ in wire.last.headers]
    assert content == wire.last.body
    assert [str(len(content))] == [value for name, value in wire.last.headers if name == "content-length"]
    assert "transfer-encoding" not in names
    assert_signed(wire.last)
    assert b64encode(zlib.crc32(content).to_bytes(4, "big")).decode() == dict(wire.last.headers)["x-amz-checksum-crc32"]


@given(st.lists(st.binary(max_size=50), max_size=10), st.sampled_from(sorted(CHECKSUMS)))
def test_any_blocks(blocks: list[bytes], algorithm: str) -> None:
    """However an iterable cuts it, the body is all of its blocks in their order."""
    recorder = Recorder()
    recorded(recorder, checksum=algorithm).put_object("key", iter(blocks))
    assert b"".join(blocks) == recorder.last.body
    assert hashlib.sha256(b"".join(blocks)).hexdigest() == recorder.last.headers["x-amz-content-sha256"]


def test_an_escape_hatch_takes_any_body(session: S3Session) -> None:
    """request() sends a body of any kind, and closes what it opened."""
    for source in ("bytes", "BytesIO", "generator", "GzipFile"):
        body = SOURCES[source](SMALL)
        session.request("PUT", "key", body=body)
        assert SMALL == session.get_object("key").data
        if hasattr(body, "close"):
            body.close()
