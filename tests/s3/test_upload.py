from __future__ import annotations

import gzip
import io
import os
import random
import threading
import time
import tracemalloc
import zlib
from array import array
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import S3Session
from s3func.errors import ConnectionLost, NotImplementedByStore, SourceChanged
from s3func.message import Request, Response
from s3func.s3.upload_plan import PART_MAX, growing_part_size, part_size, parts_of, stream_concurrency
from s3func.transport.retry import RetryPolicy
from s3func.transport.transfer import MIB, BandwidthLimit, TransferConfig
from tests.s3.parts import SMALL, Bin, Watch, binned, watched

THRESHOLD, PART = SMALL.multipart_threshold, 100
SIZES = [
    0,
    1,
    PART - 1,
    PART,
    PART + 1,
    THRESHOLD - 1,
    THRESHOLD,
    THRESHOLD + 1,
    12 * PART - 1,
    12 * PART,
    12 * PART + 1,
]


def content(size: int) -> bytes:
    """Bytes that look alike nowhere."""
    return random.Random(size).randbytes(size)


def crc32(data: bytes) -> str:
    """As the header carries it."""
    return b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


class Unseekable(io.BytesIO):
    """What a pipe is like."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    tell = seek


class Derived(io.BytesIO):
    """A file object that is read through its own methods, as gzip's is."""


def pieces(data: bytes) -> Iterator[bytes]:
    """In blocks of odd sizes, empty ones among them."""
    start, number = 0, 0
    while start < len(data):
        number += 1
        yield data[start : start + number % 7 * 13]
        start += number % 7 * 13


class Sources:
    """The same bytes as everything that put_object takes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[Any] = []

    def make(self, name: str, data: bytes) -> Any:
        """Files have a prefix before their current offset that is not part of the body."""
        path = self._folder / "source"
        prefix = b"HEADER"
        made: dict[str, Callable[[], Any]] = {
            "bytes": lambda: data,
            "bytearray": lambda: bytearray(data),
            "memoryview": lambda: memoryview(prefix + data)[len(prefix) :],
            "strided": lambda: memoryview(bytes(byte for pair in zip(data, data, strict=True) for byte in pair))[::2],
            "generator": lambda: pieces(data),
            "list": lambda: list(pieces(data)),
            "pipe": lambda: Unseekable(data),
        }
        if name in made:
            return made[name]()
        if name == "gzip":
            path.write_bytes(gzip.compress(data))
            return self._opened(gzip.open(path))
        path.write_bytes(data if name == "path" else prefix + data)
        if name == "path":
            return path
        file: Any = (
            path.open("rb", buffering=0 if name == "raw file" else -1) if "file" in name else Derived(prefix + data)
        )
        file.read(len(prefix))
        return self._opened(file)

    def _opened(self, file: Any) -> Any:
        self._files.append(file)
        return file

    def close(self) -> None:
        """Close the files that were opened."""
        for file in self._files:
            file.close()


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Sources]:
    """Bodies of every kind."""
    made = Sources(tmp_path)
    yield made
    made.close()


@pytest.fixture
def store() -> Iterator[tuple[S3Session, Watch]]:
    """A session with tiny parts on an in-process server, and what stands between them."""
    with watched() as both:
        yield both


def assert_stored(session: S3Session, data: bytes) -> None:
    """The object is there, byte by byte, with the checksum of all its bytes, and no upload is left."""
    with session.get_object("key") as result:
        assert data == result.data
        assert crc32(data) == result.headers["x-amz-checksum-crc32"]
    assert [] == list(session.list_multipart_uploads())


KINDS = [
    "bytes",
    "bytearray",
    "memoryview",
    "strided",
    "path",
    "file",
    "raw file",
    "BytesIO",
    "gzip",
    "generator",
    "list",
    "pipe",
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_source_of_every_size(store: tuple[S3Session, Watch], sources: Sources, kind: str, size: int) -> None:
    """What is stored is what was given, in one request below the threshold and in parts from it on."""
    session, watch = store
    data = content(size)
    body = sources.make(kind, data)
    session.put_object("key", body, metadata={"a": "b"}, content_type="text/x")
    many = size >= THRESHOLD
    assert (0 if many else 1) == watch.kinds.count("put")
    assert list(range(1, -(-size // PART) + 1) if many else []) == watch.numbers()
    assert_stored(session, data)
    head = session.head_object("key")
    assert ({"a": "b"}, "text/x") == (head.user_metadata, head.content_type)
    if kind in {"file", "raw file", "BytesIO", "gzip"}:
        assert b"" == body.read(), "a file is left open, behind what was sent"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 5 * PART, THRESHOLD + 1])
def test_parts_by_force(store: tuple[S3Session, Watch], sources: Sources, kind: str, size: int) -> None:
    """multipart=True sends parts whatever the size, also of nothing."""
    session, watch = store
    data = content(size)
    result = session.put_object("key", sources.make(kind, data), multipart=True)
    count = -(-size // PART) or 1
    assert list(range(1, count + 1)) == watch.numbers()
    assert result.etag.endswith(f"-{count}")
    assert_stored(session, data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, THRESHOLD, 50 * PART])
def test_one_request_by_force(store: tuple[S3Session, Watch], sources: Sources, kind: str, size: int) -> None:
    """multipart=False sends one request whatever the size."""
    session, watch = store
    data = content(size)
    session.put_object("key", sources.make(kind, data), multipart=False)
    assert ["put"] == watch.kinds
    assert_stored(session, data)


def test_ten_thousand_parts(store: tuple[S3Session, Watch]) -> None:
    """As many parts as there can be, and one checksum of the whole."""
    session, watch = store
    data = content(10_000 * 3)
    session.put_object("key", data, transfer=SMALL._replace(part_size=3))
    assert list(range(1, 10_001)) == watch.numbers()
    assert_stored(session, data)


@pytest.mark.parametrize("kind", ["bytes", "path", "BytesIO"])
def test_a_part_size_that_is_too_small_is_enlarged(store: tuple[S3Session, Watch], sources: Sources, kind: str) -> None:
    """An object of known size never takes more than 10,000 parts."""
    session, watch = store
    data = content(20_001)
    session.put_object("key", sources.make(kind, data), transfer=SMALL._replace(part_size=1))
    assert 6667 == len(watch.numbers())
    assert_stored(session, data)


def test_parts_of_a_stream_grow(store: tuple[S3Session, Watch]) -> None:
    """A stream of unknown size is not caught by the 10,000th part either: its parts grow, and all are valid."""
    session, watch = store
    data = content(12_000)
    session.put_object("key", iter([data]), transfer=SMALL._replace(part_size=1))
    assert 5000 < len(watch.numbers()) < 9000
    assert_stored(session, data)


@pytest.mark.parametrize("kind", ["bytes", "path", "generator"])
def test_what_travels_with_each_request(store: tuple[S3Session, Watch], sources: Sources, kind: str) -> None:
    """What describes the object goes with its beginning, checksums with its parts, conditions with its completion."""
    session, watch = store
    data = content(THRESHOLD + 50)
    session.put_object(
        "key",
        sources.make(kind, data),
        metadata={"m": "1"},
        cache_control="no-cache",
        tagging={"t": "v"},
        storage_class="STANDARD",
        if_none_match="*",
        headers={"x-amz-request-payer": "requester"},
    )
    [create], [complete] = watch.headers_of("create"), watch.headers_of("complete")
    parts = watch.headers_of("part")
    assert ("CRC32", "FULL_OBJECT") == (create["x-amz-checksum-algorithm"], create["x-amz-checksum-type"])
    assert ("1", "no-cache", "t=v") == (create["x-amz-meta-m"], create["cache-control"], create["x-amz-tagging"])
    assert "if-none-match" not in create
    assert {"requester"} == {headers["x-amz-request-payer"] for headers in (create, complete, *parts)}
    assert sorted(crc32(data[start : start + PART]) for start in range(0, len(data), PART)) == sorted(
        headers["x-amz-checksum-crc32"] for headers in parts
    )
    assert not any("x-amz-meta-m" in headers or "if-none-match" in headers for headers in parts)
    assert (crc32(data), "FULL_OBJECT", str(len(data)), "*") == (
        complete["x-amz-checksum-crc32"],
        complete["x-amz-checksum-type"],
        complete["x-amz-mp-object-size"],
        complete["if-none-match"],
    )


@pytest.mark.parametrize("kind", ["bytes", "path", "generator"])
@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256", "off"])
def test_every_checksum(store: tuple[S3Session, Watch], sources: Sources, kind: str, algorithm: str) -> None:
    """A CRC is kept of the whole object, a SHA of its parts' SHAs; "off" sends none."""
    session, _ = store
    data = content(THRESHOLD + 50)
    result = session.put_object("key", sources.make(kind, data), checksum=algorithm)
    kept = {name for name in result.headers if name.startswith("x-amz-checksum-")} - {"x-amz-checksum-type"}
    assert (set() if algorithm == "off" else {f"x-amz-checksum-{algorithm}"}) == kept
    if algorithm == "sha256":
        digests = [sha256(data[start : start + PART]).digest() for start in range(0, len(data), PART)]
        whole = b64encode(sha256(b"".join(digests)).digest()).decode()
        assert f"{whole}-{len(digests)}" == result.headers["x-amz-checksum-sha256"]
    elif algorithm.startswith("crc"):
        assert "FULL_OBJECT" == result.headers["x-amz-checksum-type"]
    assert data == session.get_object("key").data


def test_parts_are_signed_as_bodies_are() -> None:
    """Over plain http to another host the signature covers the bytes of every part; over TLS their checksum does."""
    for url, is_hashed in (("http://store.example", True), ("https://store.example", False)):
        watch = Watch(Bin())
        with binned(watch, endpoint_url=url) as session:
            session.put_object("key", content(THRESHOLD))
        hashes = {headers["x-amz-content-sha256"] for headers in watch.headers_of("part")}
        assert is_hashed == (hashes != {"UNSIGNED-PAYLOAD"})
        if is_hashed:
            expected = {sha256(content(THRESHOLD)[at : at + PART]).hexdigest() for at in range(0, THRESHOLD, PART)}
            assert expected == hashes


def test_a_checksum_of_the_callers_own(store: tuple[S3Session, Watch]) -> None:
    """A checksum of the whole body in `headers` goes with the whole body."""
    session, watch = store
    data = content(THRESHOLD * 2)
    for body in (data, iter([data])):
        session.put_object("key", body, headers={"x-amz-checksum-crc32": crc32(data)})
    assert ["put", "put"] == watch.kinds
    with pytest.raises(ValueError, match="headers holds a checksum"):
        session.put_object("key", data, headers={"content-md5": "x"}, multipart=True)


def test_views_of_every_shape(store: tuple[S3Session, Watch]) -> None:
    """A buffer is its bytes, whatever it is a view of: numbers, rows and columns, or nothing in three rows."""
    session, _ = store
    numbers = memoryview(array("d", range(500)))
    table = numbers.cast("B").cast("B", shape=[50, 80])
    for body, data in ((numbers, numbers.tobytes()), (table, table.tobytes()), (table[:0], b"")):
        for many in (None, True):
            session.put_object("key", body, multipart=many)
            assert_stored(session, data)
        stream = session._upload_stream("key")
        stream.write(body)
        stream.finish()
        assert_stored(session, data)


# --- memory, connections, threads


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_than_allowed_is_under_way(
    store: tuple[S3Session, Watch], sources: Sources, kind: str, concurrency: int
) -> None:
    """At no time are more parts under way than `concurrency`."""
    session, watch = store
    session.put_object("key", sources.make(kind, content(60 * PART)), transfer=SMALL._replace(concurrency=concurrency))
    assert 1 <= watch.most_bodies <= concurrency
    assert watch.most_bytes <= concurrency * PART


@pytest.mark.parametrize("kind", ["path", "raw file", "generator", "pipe", "derived"])
def test_memory_is_bounded(tmp_path: Path, kind: str) -> None:
    """A body of any size takes `concurrency` parts of memory, and next to nothing besides."""
    part, concurrency = 256 * 1024, 4
    transfer = TransferConfig(multipart_threshold=2 * part, part_size=part, concurrency=concurrency)
    size = 64 * part
    path = tmp_path / "large"
    with path.open("wb") as file:
        for number in range(64):
            file.write(bytes([number]) * part)
    block = bytes(100_000)

    class Endless(io.RawIOBase):
        """Bytes without end that nobody keeps."""

        left = size

        def read(self, count: int = -1) -> bytes:
            taken = min(self.left, len(block), count)
            self.left -= taken
            return block[:taken]

    made: dict[str, Callable[[], Any]] = {
        "path": lambda: path,
        "raw file": lambda: path.open("rb", buffering=0),
        "generator": lambda: (block for _ in range(size // len(block))),
        "pipe": Endless,
        "derived": lambda: gzip.open(packed),  # noqa: SIM115 -- closed below
    }
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(bytes(size)))
    with binned(Bin(), transfer=transfer) as session:
        session.put_object("warm", bytes(3 * part))
        body = made[kind]()
        tracemalloc.start()
        try:
            session.put_object("key", body)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            if hasattr(body, "close"):
                body.close()
    # The decompressor has buffers of its own, which grow with the blocks that it is asked for and with nothing else.
    slack = 4_600_000 if kind == "derived" else 700_000
    assert peak < concurrency * part + slack


def test_threads_die_with_the_call(store: tuple[S3Session, Watch]) -> None:
    """As soon as the call is over, there are as many threads as before."""
    session, _ = store
    before = threading.active_count()
    session.put_object("key", content(40 * PART))
    assert threading.active_count() <= before


def test_a_part_that_was_read_over_is_read_again(tmp_path: Path) -> None:
    """While an answer is awaited, the memory of the part holds the next one; a retry sends the right bytes all the same."""
    path = tmp_path / "file"
    data = content(50 * PART)
    path.write_bytes(data)
    bin_ = Bin()
    watch = Watch(bin_)
    watch.after = lambda request, count: ConnectionLost("cut") if count == 1 and "partNumber" in request.query else None
    with binned(watch, transfer=SMALL._replace(concurrency=3), retries=RetryPolicy(quota=10**6)) as session:
        session.put_object("key", path)
    assert sorted([*range(1, 51)] * 2) == watch.numbers()
    assert crc32(data) == bin_.whole


def test_a_part_that_is_read_again_and_differs(tmp_path: Path) -> None:
    """What a retry would send is not what was announced: that is a file that changes, and nothing is published."""
    path = tmp_path / "file"
    path.write_bytes(content(50 * PART))
    watch = Watch(Bin())

    def change(request: Request, count: int) -> ConnectionLost | None:
        if "partNumber=2&" not in request.query:
            return None
        with path.open("r+b") as file:
            file.seek(PART)
            file.write(os.urandom(PART))
        return ConnectionLost("cut")

    watch.after = change
    with binned(watch, transfer=SMALL._replace(concurrency=1)) as session, pytest.raises(SourceChanged):
        session.put_object("key", path)
    assert 0 == watch.kinds.count("complete")
    assert 3 == watch.kinds.count("abort")


# --- progress and bandwidth


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 10, THRESHOLD, 30 * PART + 1])
def test_progress(store: tuple[S3Session, Watch], sources: Sources, kind: str, size: int) -> None:
    """It goes forward, never beyond the size, and its last call is (size, size), once."""
    session, _ = store
    calls: list[tuple[int, int | None]] = []
    body = sources.make(kind, content(size))
    session.put_object("key", body, progress=lambda done, total: calls.append((done, total)))
    done = [count for count, _ in calls]
    assert sorted(done) == done
    assert (size, size) == calls[-1]
    assert 1 == calls.count((size, size))
    unsized = kind in {"generator", "list", "pipe"}
    assert {size, None} if unsized and len(calls) > 1 else {size} == {total for _, total in calls}


def test_progress_does_not_go_back_for_retries(store: tuple[S3Session, Watch]) -> None:
    """Parts that are sent again are counted once."""
    session, watch = store
    calls: list[int] = []
    watch.after = lambda request, count: Response(503, {}) if count == 1 and "partNumber" in request.query else None
    session.put_object("key", content(20 * PART), progress=lambda done, _total: calls.append(done))
    assert calls == sorted(set(calls))
    assert 20 * PART == calls[-1]


def test_a_progress_that_raises_ends_the_upload(store: tuple[S3Session, Watch]) -> None:
    """What the caller's function raises comes out, and nothing is stored: a way to cancel."""
    session, watch = store

    class Enough(Exception):
        """What the caller raises."""

    def progress(done: int, total: int | None) -> None:
        if done >= 500:
            raise Enough

    for body in (content(40 * PART), pieces(content(40 * PART))):
        with pytest.raises(Enough):
            session.put_object("key", body, progress=progress)
        assert "abort" == watch.kinds[-1]
        assert not session.exists("key")
        assert [] == list(session.list_multipart_uploads())


def test_the_bandwidth_is_kept() -> None:
    """All parts together, and bodies in one request as well, wait for the limit that they share."""
    waited: list[int] = []

    class Counting(BandwidthLimit):
        def take(self, count: int, sleep: Any = None) -> None:
            waited.append(count)

    transfer = SMALL._replace(bandwidth=Counting(1e9))
    with binned(Bin(), transfer=transfer) as session:
        session.put_object("key", content(25 * PART))
        assert 25 * PART == sum(waited)
        session.put_object("key", content(50))
        assert 25 * PART + 50 == sum(waited)


# --- stores without parts


def test_a_store_without_parts_gets_one_request(store: tuple[S3Session, Watch], sources: Sources) -> None:
    """Where multipart uploads do not exist, an object of known size goes in one request; a forced one does not."""
    session, watch = store

    def refuse(request: Request, count: int) -> Response | None:
        return Response(501, {}) if request.method == "POST" else None

    data = content(20 * PART)
    for kind in ("bytes", "path", "file", "BytesIO"):
        watch.clear()
        watch.before = refuse
        session.put_object("key", sources.make(kind, data))
        assert ["create", "put"] == watch.kinds
        assert_stored(session, data)
    for kind, forced in (("bytes", True), ("generator", None)):
        with pytest.raises(NotImplementedByStore):
            session.put_object("key", sources.make(kind, data), multipart=forced)


# --- files that change


def test_a_file_that_changes_is_sent_again(store: tuple[S3Session, Watch], tmp_path: Path) -> None:
    """What is published is what the file was at one time, never a part of this and a part of that."""
    session, watch = store
    path = tmp_path / "file"
    path.write_bytes(content(20 * PART))
    new = content(20 * PART + 1)[1:]

    def change(request: Request, count: int) -> None:
        if "partNumber=7&" in request.query and count == 1:
            path.write_bytes(new)

    watch.before = change
    session.put_object("key", path)
    assert 2 == watch.kinds.count("create")
    assert 1 == watch.kinds.count("complete")
    assert_stored(session, new)


@pytest.mark.parametrize("size", [20 * PART, 3 * MIB])
@pytest.mark.parametrize("way", ["write", "append", "truncate", "replace", "touch"])
def test_a_file_that_never_rests(store: tuple[S3Session, Watch], tmp_path: Path, way: str, size: int) -> None:
    """After three times it is SourceChanged, for parts and for one request: nothing is published, nothing is left."""
    session, watch = store
    path = tmp_path / "file"
    path.write_bytes(content(size))
    changes = 0

    def change(request: Request, count: int) -> None:
        nonlocal changes
        if request.query and "uploads=" not in request.query:
            return
        changes += 1
        if way == "replace":
            (tmp_path / "new").write_bytes(content(size))
            os.replace(tmp_path / "new", path)
        elif way == "touch":
            os.utime(path, ns=(0, changes * 10**9))
        elif way == "truncate":
            os.truncate(path, size - changes)
        else:
            with path.open("ab" if way == "append" else "r+b") as file:
                file.write(b"x")

    watch.before = change
    with pytest.raises(SourceChanged) as caught:
        session.put_object("key", path, multipart=size < MIB)
    assert (3, "bucket", "key") == (caught.value.attempts, caught.value.bucket, caught.value.key)
    watch.before = None
    assert not session.exists("key")
    assert [] == list(session.list_multipart_uploads())


@pytest.mark.parametrize("offset", [0, 1000])
def test_an_open_file_that_grows(store: tuple[S3Session, Watch], tmp_path: Path, offset: int) -> None:
    """A caller's open file that was written to meanwhile is read again from where it stood, not from where it ended."""
    session, watch = store
    path = tmp_path / "file"
    path.write_bytes(content(3 * MIB))
    changes = 0

    def change(request: Request, count: int) -> None:
        nonlocal changes
        if changes == 0:
            changes += 1
            with path.open("ab") as file:
                file.write(b"tail")

    watch.before = change
    with path.open("rb") as file:
        file.seek(offset)
        session.put_object("key", file)
    watch.before = None
    assert content(3 * MIB)[offset:] + b"tail" == session.get_object("key").data


def test_a_file_that_is_removed(store: tuple[S3Session, Watch], tmp_path: Path) -> None:
    """A file that is gone before it was sent is an error, as one that never was there; nothing is left."""
    session, watch = store
    path = tmp_path / "file"
    path.write_bytes(content(20 * PART))
    watch.before = lambda request, count: path.unlink() if "partNumber=5&" in request.query else None
    with pytest.raises(FileNotFoundError):
        session.put_object("key", path)
    watch.before = None
    with pytest.raises(FileNotFoundError):
        session.put_object("key", path)
    assert [] == list(session.list_multipart_uploads())


@pytest.mark.parametrize("size", [0, 10, 30 * PART])
def test_a_named_pipe(store: tuple[S3Session, Watch], tmp_path: Path, size: int) -> None:
    """A path to something that has no size is read to its end, and closed."""
    session, _ = store
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content(size),))
    writer.start()
    session.upload_file(path, "key")
    writer.join()
    assert_stored(session, content(size))


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="a file of size 0 that is not empty")
def test_a_file_that_lies_about_its_size(store: tuple[S3Session, Watch]) -> None:
    """What the system makes up while it is read has a size of 0, and is stored all the same."""
    session, _ = store
    path = Path("/proc/version")
    session.upload_file(path, "key")
    assert_stored(session, path.read_bytes())
    with path.open("rb") as file:
        session.put_object("key", file)
    assert_stored(session, path.read_bytes())


def test_a_file_that_was_just_written_is_settled_first(store: tuple[S3Session, Watch], tmp_path: Path) -> None:
    """A change of the same size within the same tick of the file system's clock does not go unnoticed."""
    session, watch = store
    path = tmp_path / "file"
    for _ in range(20):
        new, old = content(15 * PART), bytes(15 * PART)
        path.write_bytes(old)
        seen = False

        def change(request: Request, count: int, new: bytes = new) -> None:
            nonlocal seen
            if "partNumber=3&" in request.query and not seen:
                seen = True
                path.write_bytes(new)

        watch.before = change
        session.put_object("key", path)
        watch.before = None
        assert new == session.get_object("key").data


def test_a_file_that_never_settles(
    store: tuple[S3Session, Watch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is written to at every moment ends the upload with an error, and does not make it wait for ever."""
    session, _ = store
    path = tmp_path / "file"
    path.write_bytes(content(15 * PART))
    now = time.monotonic()

    def sleep(seconds: float) -> None:
        """Time goes by, and somebody writes."""
        nonlocal now
        now += seconds
        path.write_bytes(content(15 * PART))

    clock = SimpleNamespace(sleep=sleep, monotonic=lambda: now, time_ns=time.time_ns)
    monkeypatch.setattr("s3func.transport.sources.time", clock)
    path.write_bytes(content(15 * PART))
    with pytest.raises(SourceChanged, match="all the time"):
        session.put_object("key", path)
    monkeypatch.undo()
    assert not session.exists("key")


# --- the plan


@given(
    size=st.integers(0, 10_000 * PART_MAX),
    concurrency=st.integers(1, 1000),
    given_size=st.none() | st.integers(1, PART_MAX),
)
def test_the_plan_holds_every_object(size: int, concurrency: int, given_size: int | None) -> None:
    """Any size that S3 holds fits into 10,000 parts of at most 5 GiB, none but the last smaller than it may be."""
    each = part_size(size, TransferConfig(part_size=given_size, concurrency=concurrency))
    assert -(-size // each) <= 10_000
    assert each <= PART_MAX
    assert each >= (given_size or 8 * MIB)


@given(size=st.integers(0, 5000), each=st.integers(1, 700))
def test_the_parts_are_the_object(size: int, each: int) -> None:
    """Parts follow each other without gap or overlap, all but the last of one size."""
    parts = list(parts_of(size, each))
    assert list(range(1, len(parts) + 1)) == [part.number for part in parts]
    assert [number * each for number in range(len(parts))] == [part.start for part in parts]
    assert size == sum(part.length for part in parts)
    assert all(part.length == each for part in parts[:-1])


def test_rounds_are_full() -> None:
    """Objects of GiBs go in parts of about 32 MiB, so many that every connection has as many as the others."""
    for gib in (1, 2, 3, 7, 20):
        each = part_size(gib * 1024 * MIB, TransferConfig(concurrency=8))
        assert 24 * MIB <= each <= 32 * MIB
        assert 0 == -(-gib * 1024 * MIB // each) % 8


def test_a_stream_can_become_large() -> None:
    """10,000 parts of a stream of unknown size hold tens of terabytes, and it begins with 8 MiB."""
    sizes = [growing_part_size(number, TransferConfig()) for number in range(1, 10_001)]
    assert sorted(sizes) == sizes
    assert (8 * MIB, PART_MAX) == (sizes[0], sizes[-1])
    assert 38e12 < sum(sizes)
    given_sizes = [growing_part_size(number, TransferConfig(part_size=5 * MIB)) for number in range(1, 10_001)]
    assert {5 * MIB} == set(given_sizes[:5000])
    assert 16e12 < sum(given_sizes)


def test_the_memory_of_a_stream_does_not_grow_with_its_parts() -> None:
    """As parts become larger, fewer of them are under way, so that a GiB is enough as long as parts are smaller."""
    transfer = TransferConfig()
    for number in range(1, 10_001):
        each = growing_part_size(number, transfer)
        assert stream_concurrency(each, transfer) * each <= max(1024 * MIB, each)


@pytest.mark.parametrize("size", [10_000 * PART_MAX + 1])
def test_what_s3_cannot_hold_is_refused(size: int) -> None:
    """An object that no parts could hold is a ValueError that says so."""
    with pytest.raises(ValueError, match="body has"):
        part_size(size, TransferConfig())
    with pytest.raises(ValueError, match="part_size"):
        part_size(1, TransferConfig(part_size=PART_MAX + 1))
    with pytest.raises(ValueError, match="part_size"):
        growing_part_size(1, TransferConfig(part_size=PART_MAX + 1))
