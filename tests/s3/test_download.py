from __future__ import annotations

import errno
import gzip
import io
import os
import pickle
import signal
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3func.download import target
from s3func.download.engine import gaps, range_bytes
from s3func.download.journal import Written
from s3func.download.pacing import paced
from s3func.errors import (
    ChecksumMismatch,
    NoSuchKey,
    NotModified,
    ObjectChanged,
    PreconditionFailed,
    ProtocolError,
    Throttled,
    TruncatedBody,
)
from s3func.message import Request, Response
from s3func.transport.parallel import Crew, CrewStopped
from s3func.transport.transfer import BandwidthLimit, TransferConfig
from tests.s3.one_object import OneObject, throttled
from tests.s3.rigs import FrozenClock, embedded

PART = 1000
DATA = bytes(range(256)) * 40 + b"the end"
"""10,247 bytes: eleven parts."""
SMALL_PARTS = TransferConfig(multipart_threshold=PART, part_size=PART, concurrency=4)


@pytest.fixture(autouse=True, params=["named", "nameless"])
def kind_of_hidden_file(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Until they are done, files have a hidden name, or where the system can do that none at all."""
    monkeypatch.setattr(target, "_NAMELESS_BYTES", 0 if request.param == "nameless" else 1 << 60)
    return str(request.param)


def left_in(folder: Path) -> list[str]:
    """Every name in a folder."""
    return sorted(os.listdir(folder))


def is_range(request: Request) -> bool:
    return "range" in request.headers


SIZES = [0, 1, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1, 10 * PART, 10 * PART + 1]


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_every_size_around_every_boundary(tmp_path: Path, size: int, *, resume: bool) -> None:
    """The file is the object, byte for byte, compared by its checksum, and nothing lies beside it."""
    data = DATA[:size]
    told: list[tuple[int, int | None]] = []
    with embedded() as (session, recorder):
        session.put_object("key", data)
        recorder.sent.clear()
        result = session.download_file(
            "key",
            tmp_path / "file",
            transfer=SMALL_PARTS,
            resume=resume,
            progress=lambda done, total: told.append((done, total)),
        )
    assert data == (tmp_path / "file").read_bytes()
    assert ["file"] == left_in(tmp_path)
    assert (size, "crc32", True) == (result.size, result.checksum, result.verified)
    assert (size, size) == told[-1]
    assert sorted(told) == told
    assert max(1, -(-size // PART)) == len(recorder.sent)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(0, len(DATA)),
    threshold=st.integers(0, len(DATA)),
    part_size=st.integers(50, len(DATA)),
    concurrency=st.integers(1, 6),
    resume=st.booleans(),
)
def test_any_size_and_any_settings(
    tmp_path: Path, size: int, threshold: int, part_size: int, concurrency: int, *, resume: bool
) -> None:
    """Whatever the settings are, the file is the object."""
    transfer = TransferConfig(multipart_threshold=threshold, part_size=part_size, concurrency=concurrency)
    with embedded() as (session, _):
        session.put_object("key", DATA[:size])
        session.download_file("key", tmp_path / "file", transfer=transfer, resume=resume)
    assert DATA[:size] == (tmp_path / "file").read_bytes()
    assert ["file"] == left_in(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_a_small_object_costs_one_request(tmp_path: Path, size: int) -> None:
    """Below the threshold there is one plain GET that asks for the checksum, and no thread."""
    with embedded() as (session, recorder):
        session.put_object("key", bytes(size))
        recorder.sent.clear()
        session.download_file("key", str(tmp_path / "file"))
    assert ["GET"] == [sent.method for sent in recorder.sent]
    assert "ENABLED" == recorder.last.headers["x-amz-checksum-mode"]
    assert "range" not in recorder.last.headers
    assert size == (tmp_path / "file").stat().st_size


def test_what_ranges_ask_for(tmp_path: Path) -> None:
    """The first answer is the first range; the others carry its ETag and, where one was given, the version."""
    with embedded() as (session, recorder):
        session.put_object("key", DATA)
        etag = session.head_object("key").headers["etag"]
        for version_id in (None, "null"):
            recorder.sent.clear()
            session.download_file("key", tmp_path / "file", version_id=version_id, transfer=SMALL_PARTS)
            first, *others = recorder.sent
            assert "range" not in first.headers
            assert "if-match" not in first.headers
            assert {etag} == {sent.headers["if-match"] for sent in others}
            assert {"" if version_id is None else "versionId=null"} == {sent.query for sent in recorder.sent}
            wanted = [f"bytes={start}-{min(start + PART, len(DATA)) - 1}" for start in range(PART, len(DATA), PART)]
            assert wanted == sorted(
                (sent.headers["range"] for sent in others), key=lambda text: int(text[6:].split("-")[0])
            )


def test_the_length_of_ranges() -> None:
    """Ranges are 8 to about 64 MiB, fill whole rounds of connections, and no size is too large."""
    mib = 1024 * 1024
    assert 8 * mib == range_bytes(17 * mib, 10)
    assert 64 * mib == range_bytes(2048 * mib, 8)
    for size in (16 * mib, 100 * mib + 1, 512 * mib, 3000 * mib, 50 * 10**12):
        for connections in (1, 2, 8, 10, 64):
            length = range_bytes(size, connections)
            assert 8 * mib <= length <= 97 * mib
            assert 0 == length % mib
            count = -(-size // length)
            assert length == 8 * mib or count % connections in {0, *range(connections - 1 - count // 16, connections)}


def test_gaps() -> None:
    """What is missing is what no block covers."""
    blocks = [Written(5, 5, b""), Written(0, 2, b""), Written(10, 1, b"")]
    assert [(2, 5), (11, 12)] == gaps(blocks, 12)
    assert [(0, 3)] == gaps([], 3)
    assert [] == gaps([], 0)
    assert [] == gaps([Written(0, 3, b"")], 3)


# --- bad input


def test_targets_that_are_refused(tmp_path: Path) -> None:
    """A path or file that cannot be written to is refused by name before anything is sent."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"before")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    closed = io.BytesIO()
    closed.close()
    with embedded() as (session, recorder), (tmp_path / "file").open("rb") as readable, io.StringIO() as text:
        path: Any
        for path, reason in [
            (tmp_path / "folder", "path is a folder"),
            (f"{tmp_path}/new/", "path is a folder"),
            (tmp_path / "no" / "file", "path lies in a folder that does not exist"),
            ("", "path is empty"),
            ("a\0b", "path has a null character"),
            (tmp_path / "loop", "path cannot be used"),
            (closed, "path is a closed file"),
            (readable, "path is a file that was not opened for writing"),
        ]:
            with pytest.raises(ValueError, match=reason):
                session.download_file("key", path)
        for path in (None, 1, text, bytearray(b"x")):
            with pytest.raises(TypeError, match="path"):
                session.download_file("key", path)
        for path in (io.BytesIO(), os.devnull):
            with pytest.raises(ValueError, match="resume"):
                session.download_file("key", path, resume=True)
        with pytest.raises(TypeError, match="progress"):
            session.download_file("key", tmp_path / "new", progress=1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="transfer"):
            session.download_file("key", tmp_path / "new", transfer=8)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="key is empty"):
            session.download_file("", tmp_path / "new")
        for name in ("Range", "if-match"):
            with pytest.raises(ValueError, match=f"headers must not set {name.lower()}"):
                session.download_file("key", tmp_path / "new", headers={name: "bytes=0-1"})
        assert [] == recorder.sent
    assert ["file", "folder", "loop"] == left_in(tmp_path)


def test_refusals_leave_everything_as_it_was(tmp_path: Path) -> None:
    """An object that is not there, or not new, raises as get_object does, and the file keeps its content."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with embedded() as (session, recorder):
        put = session.put_object("key", DATA)
        with pytest.raises(NoSuchKey):
            session.download_file("none", path)
        with pytest.raises(NotModified):
            session.download_file("key", path, if_none_match=put.etag)
        with pytest.raises(PreconditionFailed):
            session.download_file("key", path, if_match="0123")
        assert 3 == len(recorder.sent) - 1
    assert b"before" == path.read_bytes()
    assert ["file"] == left_in(tmp_path)


# --- where it goes


def test_the_permissions_of_a_new_file(tmp_path: Path) -> None:
    """A new file has those that open() would give it; one that is there keeps its own, less what runs as its owner."""
    with embedded() as (session, _):
        session.put_object("key", DATA)
        before = os.umask(0o027)
        try:
            session.download_file("key", tmp_path / "new", transfer=SMALL_PARTS)
        finally:
            os.umask(before)
        assert 0o640 == stat.S_IMODE((tmp_path / "new").stat().st_mode)
        for mode in (0o600, 0o444, 0o4755):
            (tmp_path / "new").chmod(mode)
            session.download_file("key", tmp_path / "new", resume=mode == 0o444)
            assert mode & 0o777 == stat.S_IMODE((tmp_path / "new").stat().st_mode)


def test_a_private_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    """The hidden file beside a private one lets nobody else read the new content either."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    path.chmod(0o600)
    modes: set[int] = set()

    def look(done: int, total: int | None) -> None:
        modes.update(stat.S_IMODE(other.stat().st_mode) for other in tmp_path.iterdir())
        assert b"before" == path.read_bytes() or done == len(DATA)

    with embedded() as (session, _):
        session.put_object("key", DATA)
        for resume in (False, True):
            path.write_bytes(b"before")
            session.download_file("key", path, transfer=SMALL_PARTS, progress=look, resume=resume)
    assert {0o600} == modes


def test_a_symbolic_link_is_written_through(tmp_path: Path) -> None:
    """What a link leads to is replaced, or made, and the link stays a link."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"before")
    (tmp_path / "link").symlink_to("there/file")
    (tmp_path / "dangling").symlink_to("there/new")
    with embedded() as (session, _):
        session.put_object("key", DATA)
        for link, name in [("link", "file"), ("dangling", "new")]:
            result = session.download_file("key", tmp_path / link)
            assert (tmp_path / link).is_symlink()
            assert DATA == (tmp_path / "there" / name).read_bytes()
            assert os.path.realpath(tmp_path / "there" / name) == result.path
    assert ["file", "new"] == left_in(tmp_path / "there")


@pytest.mark.parametrize("resume", [False, True])
def test_names_of_all_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, resume: bool) -> None:
    """Names as long as names can be, in any script, as bytes, and relative to the current folder."""
    monkeypatch.chdir(tmp_path)
    names: list[Any] = ["x" * 255, "ж" * 127, "file", b"bytes-\xff", "." + "y" * 254, Path("p")]
    with embedded() as (session, _):
        session.put_object("key", DATA)
        for name in names:
            session.download_file("key", name, transfer=SMALL_PARTS, resume=resume)
            with open(name, "rb") as file:
                assert DATA == file.read()
    assert len(names) == len(left_in(tmp_path))


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    """A path of something that is no file is written to; its name is never given to a file."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    with embedded() as (session, recorder):
        session.put_object("key", DATA)
        recorder.sent.clear()
        session.download_file("key", os.devnull, transfer=SMALL_PARTS)
        assert 1 == len(recorder.sent)
        assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
        reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
        reader.start()
        session.download_file("key", fifo)
        reader.join()
    assert [DATA] == read
    assert ["fifo"] == left_in(tmp_path)


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("mode", ["r+b", "wb", "w+b", "ab"])
def test_an_open_file_is_written_from_its_position(tmp_path: Path, mode: str, buffering: int) -> None:
    """An open file is written in place, keeps what stands before and behind, and stands behind the object afterwards."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 20_000)
    with embedded() as (session, recorder), path.open(mode, buffering) as file:
        session.put_object("key", DATA)
        recorder.sent.clear()
        file.write(b"head")
        begin = file.tell()
        result = session.download_file("key", file, transfer=SMALL_PARTS)
        assert begin + len(DATA) == file.tell()
        file.write(b"tail")
        assert (1 if mode == "ab" else 11) == len(recorder.sent)
        assert result.path is None
    content = path.read_bytes()
    before = b"x" * 20_000 if mode == "ab" else b""
    assert before + b"head" + DATA + b"tail" == content[: len(before) + len(DATA) + 8]
    assert {"r+b": 20_000, "ab": 20_000 + len(DATA) + 8}.get(mode, len(DATA) + 8) == len(content)


def test_anything_with_write(tmp_path: Path) -> None:
    """A buffer in memory, a compressor and a pipe get the bytes in order, by one request."""
    with embedded() as (session, recorder):
        session.put_object("key", DATA)
        memory = io.BytesIO(b"head")
        memory.seek(4)
        session.download_file("key", memory, transfer=SMALL_PARTS)
        assert b"head" + DATA == memory.getvalue()
        with gzip.open(tmp_path / "packed", "wb") as packed:
            session.download_file("key", packed, transfer=SMALL_PARTS)
        with gzip.open(tmp_path / "packed") as unpacked:
            assert DATA == unpacked.read()
        reading, writing = os.pipe()
        with open(reading, "rb") as source, open(writing, "wb") as sink:
            session.download_file("key", sink, transfer=SMALL_PARTS)
            sink.close()
            assert DATA == source.read()
        assert 4 == len(recorder.sent)


# --- what is compared


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
@pytest.mark.parametrize("transfer", [SMALL_PARTS, None])
@pytest.mark.parametrize("resume", [False, True])
def test_every_checksum_that_a_store_keeps(
    tmp_path: Path, algorithm: str, transfer: TransferConfig | None, *, resume: bool
) -> None:
    """Whatever the store has of the whole object is what the file is compared with, in ranges as well as in one."""
    with embedded() as (session, _):
        session.put_object("key", DATA, checksum=algorithm)
        result = session.download_file("key", tmp_path / "file", transfer=transfer, resume=resume)
        assert algorithm == result.checksum
    assert DATA == (tmp_path / "file").read_bytes()


def spoiled(request: Request, response: Response) -> Response:
    """The byte 5,000 of the object is another one."""
    place = 5000
    if is_range(request):
        first, last = (int(number) for number in request.headers["range"][6:].split("-"))
        place = place - first if first <= place <= last else -1
    body = bytearray(response.read())
    if place >= 0:
        body[place] ^= 1
    response.body = bytes(body)
    return response


@pytest.mark.parametrize("transfer", [SMALL_PARTS, None])
@pytest.mark.parametrize("algorithm", ["crc32", "sha256"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_changed_byte(tmp_path: Path, transfer: TransferConfig | None, algorithm: str, *, resume: bool) -> None:
    """Bytes that are not those of the store are a ChecksumMismatch: an existing file stays, and nothing is left."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with embedded() as (session, recorder):
        session.put_object("key", DATA, checksum=algorithm)
        inner = recorder.answer
        recorder.answer = lambda request: spoiled(request, inner(request))
        with pytest.raises(ChecksumMismatch, match=algorithm) as caught:
            session.download_file("key", path, transfer=transfer, resume=resume)
        assert ("bucket", "key") == (caught.value.bucket, caught.value.key)
        assert b"before" == path.read_bytes()
        assert ["file"] == left_in(tmp_path)
        result = session.download_file("key", path, transfer=transfer, resume=resume, verify=False)
        assert not result.verified
    assert DATA != path.read_bytes()


def test_verify_on_a_session_that_does_not(tmp_path: Path) -> None:
    """verify=True compares although the session was made with verify_downloads=False, which asks for nothing."""
    with embedded(verify_downloads=False) as (session, recorder):
        session.put_object("key", DATA)
        for transfer in (SMALL_PARTS, None):
            assert not session.download_file("key", tmp_path / "file", transfer=transfer).verified
            assert session.download_file("key", tmp_path / "file", transfer=transfer, verify=True).verified
        inner = recorder.answer
        recorder.answer = lambda request: spoiled(request, inner(request))
        with pytest.raises(ChecksumMismatch):
            session.download_file("key", tmp_path / "file", verify=True)


@pytest.mark.parametrize("name", ["crc32", "other"])
def test_without_a_checksum_of_the_whole(tmp_path: Path, name: str) -> None:
    """A checksum of parts' checksums, or none that is known, compares nothing, and the result says so."""
    store = OneObject(DATA)
    store.headers = {"x-amz-checksum-crc32": "AAAAAA==-3"} if name == "crc32" else {"x-amz-checksum-type": "COMPOSITE"}
    with store.session() as session:
        for resume in (False, True):
            result = session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS, resume=resume)
            assert (False, None) == (result.verified, result.checksum)
    assert DATA == (tmp_path / "file").read_bytes()


def test_the_result(tmp_path: Path) -> None:
    """The result has the facts of the whole object, and can be pickled."""
    with embedded() as (session, _):
        put = session.put_object("key", DATA, metadata={"source": "a"}, content_type="text/plain")
        result = session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS)
        head = session.head_object("key")
    assert (200, put.etag, len(DATA), head.last_modified) == (
        result.status, result.etag, result.size, result.last_modified
    )  # fmt: skip
    assert head.metadata == result.metadata
    assert 0 == result.resumed
    assert len(DATA) == result.content_length
    copy = pickle.loads(pickle.dumps(result))
    assert (repr(result), result.path, result.headers) == (repr(copy), copy.path, copy.headers)


# --- what may happen on the way


OTHERS = [bytes([number]) * (5000 + 777 * number) for number in range(1, 7)]


def replacing(store: OneObject, contents: list[bytes], after: int) -> Callable[[Request], None]:
    """Puts the next content in place of the object with every so many ranges that are asked for."""
    count = 0

    def replace(request: Request) -> None:
        nonlocal count
        if is_range(request):
            count += 1
            if contents and count % after == 0:
                store.put(contents.pop(0))

    return replace


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("sees_if_match", [True, False])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("after", [1, 2, 4])
def test_an_object_that_is_replaced(
    tmp_path: Path, times: int, after: int, *, sees_if_match: bool, resume: bool
) -> None:
    """A download during which the object changes gives the newest one, never a mix, also where If-Match is ignored."""
    told: list[int] = []
    store = OneObject(DATA)
    store.sees_if_match = sees_if_match
    store.on_get = replacing(store, OTHERS[:times], after)
    with store.session() as session:
        result = session.download_file(
            "key", tmp_path / "file", transfer=SMALL_PARTS, resume=resume, progress=lambda done, _: told.append(done)
        )
    assert OTHERS[times - 1] == (tmp_path / "file").read_bytes()
    assert ["file"] == left_in(tmp_path)
    assert len(OTHERS[times - 1]) == told[-1] == result.size
    assert result.verified
    # Less than was told before is told once, at the end, when the new object is shorter than what had come of the old one.
    assert sorted(told[:-1]) == told[:-1]


@pytest.mark.parametrize("resume", [False, True])
def test_an_object_that_is_replaced_all_the_time(tmp_path: Path, *, resume: bool) -> None:
    """After three new beginnings the download gives up; the file stays, and nothing is left to go on with."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    store = OneObject(DATA)
    store.on_get = replacing(store, [b"%d " % number * 2000 for number in range(1000)], 1)
    with store.session() as session, pytest.raises(PreconditionFailed) as caught:
        session.download_file("key", path, transfer=SMALL_PARTS, resume=resume)
    assert ("bucket", "key") == (caught.value.bucket, caught.value.key)
    assert 4 == store.ranges.count(None)
    assert b"before" == path.read_bytes()
    assert ["file"] == left_in(tmp_path)


def test_a_replaced_object_and_a_condition(tmp_path: Path) -> None:
    """With if_match the new object is not the one that was asked for."""
    store = OneObject(DATA)
    store.on_get = replacing(store, OTHERS[:1], 2)
    with store.session() as session, pytest.raises(PreconditionFailed):
        session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS, if_match=store.etag)
    assert [] == left_in(tmp_path)


@pytest.mark.parametrize("has_written", [True, False])
def test_a_replaced_object_and_a_pipe(*, has_written: bool) -> None:
    """What was written to something without a way back cannot be replaced; where nothing was, it is begun again."""
    store = OneObject(DATA)
    store.breaks_after = lambda request: None if is_range(request) else 5000 if has_written else 0
    store.piece = 10_000_000
    store.on_get = lambda request: store.put(OTHERS[0]) if is_range(request) and store.data == DATA else None
    sink = io.BytesIO()
    with store.session() as session:
        if has_written:
            transfer = TransferConfig(bandwidth=BandwidthLimit(1000 * 10, clock=FrozenClock()))
            with pytest.raises(ObjectChanged):
                session.download_file("key", sink, transfer=transfer)
        else:
            session.download_file("key", sink)
            assert OTHERS[0] == sink.getvalue()


@pytest.mark.parametrize("etag", [None, 'W/"0123"'])
def test_a_store_without_etags(tmp_path: Path, etag: str | None) -> None:
    """Where nothing tells one version from another, all bytes come from one answer."""
    store = OneObject(DATA)
    store.has_etag = False
    if etag is not None:
        store.headers = {"etag": etag}
    with store.session() as session:
        for resume in (False, True):
            store.forget()
            assert session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS, resume=resume).verified
            assert [None] == store.ranges
    assert DATA == (tmp_path / "file").read_bytes()
    assert ["file"] == left_in(tmp_path)


def test_a_store_with_versions_and_no_etags(tmp_path: Path) -> None:
    """A version id tells versions apart as well as an ETag does."""
    store = OneObject(DATA)
    store.has_etag = False
    store.headers = {"x-amz-version-id": "v1"}
    with store.session() as session:
        assert "v1" == session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS).version_id
    assert ["", "versionId=v1"] == sorted({request.query for request in store.requests})
    assert 11 == len(store.ranges)
    assert DATA == (tmp_path / "file").read_bytes()


def test_a_store_that_does_not_tell_the_length(tmp_path: Path) -> None:
    """A body of unknown length is one stream, compared at its end."""
    store = OneObject(DATA)
    store.has_length = False
    told: list[tuple[int, int | None]] = []
    transfer = SMALL_PARTS._replace(bandwidth=BandwidthLimit(1e9, clock=FrozenClock()))
    with store.session() as session:
        result = session.download_file(
            "key", tmp_path / "file", transfer=transfer, progress=lambda done, total: told.append((done, total))
        )
        assert (len(DATA), True) == (result.size, result.verified)
        store.crc32 = "AAAAAA=="
        with pytest.raises(ChecksumMismatch):
            session.download_file("key", tmp_path / "file")
    assert DATA == (tmp_path / "file").read_bytes()
    assert (len(DATA), len(DATA)) == told[-1]
    assert {None} == {total for _, total in told[:-1]}


@pytest.mark.parametrize("resume", [False, True])
def test_a_store_that_ignores_ranges(tmp_path: Path, *, resume: bool) -> None:
    """A store that answers a range with the whole object is asked for one stream."""
    store = OneObject(DATA)
    store.sees_range = False
    with store.session(retries=1) as session:
        assert session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS, resume=resume).verified
    assert DATA == (tmp_path / "file").read_bytes()
    assert ["file"] == left_in(tmp_path)


def test_a_store_that_does_not_know_its_own_etags(tmp_path: Path) -> None:
    """Where If-Match is refused although the object is the same, one stream without it is what is left."""
    store = OneObject(DATA)
    store.on_get = lambda request: Response(412, {}) if "if-match" in request.headers else None
    with store.session() as session:
        assert session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS).verified
    assert [None, None] == store.ranges
    assert DATA == (tmp_path / "file").read_bytes()


def test_a_busy_store_gets_fewer_requests() -> None:
    """A request of a crew tells its limit of every refusal for being too many, and none begins when the crew stops."""
    store = OneObject(DATA)
    store.on_get = lambda request: throttled(request) if len(store.requests) <= 2 else None
    crew = Crew(8)
    with store.session() as session:
        twin = paced(session, crew)
        assert DATA == twin.get_object("key").data
        assert 2 == crew.limit.current
        assert 3 == len(store.requests)
        crew.cancel()
        with pytest.raises(CrewStopped):
            twin.get_object("key")
        assert DATA == session.get_object("key").data
    assert store is paced(store, crew)


def test_a_store_that_is_busy(tmp_path: Path) -> None:
    """A store that asks for fewer requests gets fewer, and the download ends well as long as any are answered."""
    store = OneObject(DATA)
    turn = 0

    def refuse(request: Request) -> Response | None:
        nonlocal turn
        turn += 1
        return throttled(request) if is_range(request) and turn % 3 else None

    store.on_get = refuse
    with store.session() as session:
        session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS)
        assert DATA == (tmp_path / "file").read_bytes()
        store.on_get = lambda request: throttled(request) if is_range(request) else None
        with pytest.raises(Throttled):
            session.download_file("key", tmp_path / "other", transfer=SMALL_PARTS)
    assert ["file"] == left_in(tmp_path)


@pytest.mark.parametrize("resume", [False, True])
def test_bodies_that_break(tmp_path: Path, *, resume: bool) -> None:
    """A range whose body breaks is gone on with from where it broke; nothing is fetched or counted twice."""
    told: list[int] = []
    store = OneObject(DATA)
    store.breaks_after = lambda request: 150
    with store.session() as session:
        result = session.download_file(
            "key", tmp_path / "file", transfer=SMALL_PARTS, resume=resume, progress=lambda done, _: told.append(done)
        )
    assert result.verified
    assert DATA == (tmp_path / "file").read_bytes()
    assert len(DATA) == store.moved == told[-1]
    assert sorted(told) == told


def test_a_bandwidth_limit(tmp_path: Path) -> None:
    """With a limit every byte is paid for with its time, once."""
    clock = FrozenClock(0.0)
    store = OneObject(DATA)
    transfer = SMALL_PARTS._replace(bandwidth=BandwidthLimit(100_000, clock=clock), concurrency=1)
    with store.session() as session:
        session.download_file("key", tmp_path / "file", transfer=transfer)
    # The last piece is paid for by whoever comes next.
    assert pytest.approx(len(DATA) / 100_000, abs=0.11) == clock.monotonic()
    assert DATA == (tmp_path / "file").read_bytes()


# --- what fails on this side


class NoRoom:
    """A file system that is full after so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.real = os.pwrite
        self.lock = threading.Lock()

    def __call__(self, descriptor: int, data: memoryview, place: int) -> int:
        with self.lock:
            if self.room <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            # A disk that is nearly full takes what it can.
            written = self.real(descriptor, data[: self.room], place)
            self.room -= written
        return written


@pytest.mark.parametrize("transfer", [SMALL_PARTS, None])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transfer: TransferConfig | None) -> None:
    """A disk that runs full is an OSError that names the file; nothing is left, and the old file is as it was."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, "pwrite", NoRoom(5000))
    with OneObject(DATA).session() as session, pytest.raises(OSError, match="No space left") as caught:
        session.download_file("key", path, transfer=transfer)
    assert (errno.ENOSPC, str(path)) == (caught.value.errno, caught.value.filename)
    assert b"before" == path.read_bytes()
    assert ["file"] == left_in(tmp_path)


def test_a_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk says beforehand that there is no room, nothing but the first answer's head is fetched."""
    disk = os.statvfs(tmp_path)
    monkeypatch.setattr(target, "_PREFLIGHT_BYTES", PART)
    small = os.statvfs_result((*disk[:3], 1, 1, *disk[5:]))
    monkeypatch.setattr(os, "fstatvfs", lambda descriptor: small)
    data = DATA * 1000
    store = OneObject(data)
    with store.session() as session, pytest.raises(OSError, match="are free") as caught:
        session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS)
    assert errno.ENOSPC == caught.value.errno
    assert (0, [None]) == (store.moved, store.ranges)
    assert [] == left_in(tmp_path)


def test_a_system_that_cannot_write_at_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pwrite and preadv, as on Windows, the result is the same."""
    monkeypatch.delattr(os, "pwrite")
    monkeypatch.delattr(os, "preadv")
    with embedded() as (session, _):
        for algorithm in ("crc32", "sha256"):
            session.put_object("key", DATA, checksum=algorithm)
            for resume in (False, True):
                assert session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS, resume=resume).verified
                assert DATA == (tmp_path / "file").read_bytes()


def test_the_order_of_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fsync the content is on the disk before the name is, and the name before the call returns."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noted_replace(source: str, destination: str) -> None:
        calls.append("replace")
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    with embedded() as (session, _):
        session.put_object("key", DATA)
        session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS, fsync=True)
        assert ["file", "replace", "folder"] == calls
        calls.clear()
        session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS)
        assert ["replace"] == calls
        calls.clear()
        with (tmp_path / "open").open("wb") as file:
            session.download_file("key", file, fsync=True)
        assert ["file"] == calls


@pytest.mark.parametrize("missing", ["O_TMPFILE", "the call", "the right to link"])
def test_a_system_without_nameless_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Where a file cannot be without a name, or could not be given one, it has a hidden one."""
    if missing == "O_TMPFILE":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif missing == "the right to link":

        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    else:
        monkeypatch.setattr(os, "O_TMPFILE", 1 << 30, raising=False)
    seen: set[int] = set()
    with OneObject(DATA).session() as session:
        session.download_file(
            "key", tmp_path / "file", transfer=SMALL_PARTS, progress=lambda *_: seen.add(len(left_in(tmp_path)))
        )
    assert {1} == seen
    assert DATA == (tmp_path / "file").read_bytes()
    assert ["file"] == left_in(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "replace", "close", "link"])
def test_an_error_at_the_very_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind_of_hidden_file: str, call: str
) -> None:
    """A disk that fails when all bytes are there leaves the old file and nothing else."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    real = getattr(os, call)

    def fail(*arguments: Any, **options: Any) -> None:
        if call == "close":
            is_file = stat.S_ISREG(os.fstat(*arguments).st_mode)
            real(*arguments)
            if not is_file:
                return
        raise OSError(errno.EIO, "Input/output error")

    with OneObject(DATA).session() as session, monkeypatch.context() as patch:
        # At the end of the bytes, so that nothing before it fails.
        begin_to_fail = {len(DATA): lambda: patch.setattr(os, call, fail)}

        def progress(done: int, total: int | None) -> None:
            begin_to_fail.get(done, int)()

        if call == "link" and kind_of_hidden_file == "named":
            # A file that has a name is not given one.
            session.download_file("key", path, transfer=SMALL_PARTS, progress=progress)
            assert DATA == path.read_bytes()
            return
        with pytest.raises(OSError, match="Input/output"):
            session.download_file("key", path, transfer=SMALL_PARTS, fsync=True, progress=progress)
    assert b"before" == path.read_bytes()
    assert ["file"] == left_in(tmp_path)


def test_a_file_system_without_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where permissions cannot be set, the file is written all the same."""
    (tmp_path / "file").write_bytes(b"before")

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    with OneObject(DATA).session() as session:
        session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS)
    assert DATA == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("unknown", ["f_blocks", "fstatvfs"])
def test_a_disk_that_does_not_say_how_large_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown: str
) -> None:
    """Where nobody knows how much room there is, the download is tried."""
    monkeypatch.setattr(target, "_PREFLIGHT_BYTES", PART)
    if unknown == "fstatvfs":
        monkeypatch.delattr(os, "fstatvfs")
    else:
        monkeypatch.setattr(os, "fstatvfs", lambda descriptor: os.statvfs_result((0,) * 10))
    with OneObject(DATA).session() as session:
        session.download_file("key", tmp_path / "file", transfer=SMALL_PARTS)
        with (tmp_path / "open").open("wb") as file:
            session.download_file("key", file, transfer=SMALL_PARTS)
    assert DATA == (tmp_path / "file").read_bytes() == (tmp_path / "open").read_bytes()


@pytest.mark.parametrize("algorithm", ["crc32", "sha256"])
def test_an_open_file_and_what_happens_on_the_way(tmp_path: Path, algorithm: str) -> None:
    """An open file gets the new version where the object is replaced by a shorter one, and nothing behind its end."""
    store = OneObject(DATA)
    store.on_get = replacing(store, OTHERS[:1], 4)
    if algorithm == "sha256":
        store.sees_checksum = False
        store.headers = {"x-amz-checksum-sha256": "AAAA"}
    path = tmp_path / "file"
    with store.session() as session:
        if algorithm == "crc32":
            with path.open("wb") as file:
                assert session.download_file("key", file, transfer=SMALL_PARTS).verified
            assert OTHERS[0] == path.read_bytes()
            return
        for mode, requests in [("wb", 1), ("w+b", 11)]:
            store.on_get = lambda request: None
            store.forget()
            with path.open(mode) as file, pytest.raises(ChecksumMismatch):
                session.download_file("key", file, transfer=SMALL_PARTS)
            # What cannot be read again is compared on its way, in one stream.
            assert requests == len(store.ranges)


class Careless:
    """Something with a write() that does not say how much it took."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


def test_something_that_only_writes() -> None:
    """A write() that returns nothing has taken all of it."""
    sink = Careless()
    with OneObject(DATA).session() as session:
        session.download_file("key", sink, headers={"x-amz-request-payer": "requester"})
    assert DATA == sink.written


@pytest.mark.parametrize("data", [b"short", DATA])
def test_fewer_bytes_than_were_promised(tmp_path: Path, data: bytes) -> None:
    """A transport that brings less than the length that it tells is found out."""
    store = OneObject(data)
    store.on_get = lambda request: Response(200, {"etag": store.etag, "content-length": str(len(data) + 1)}, data)
    with store.session() as session:
        for transfer in (SMALL_PARTS, None):
            with pytest.raises((TruncatedBody, ProtocolError)):
                session.download_file("key", tmp_path / "file", transfer=transfer)
    assert [] == left_in(tmp_path)


@pytest.mark.parametrize("transfer", [SMALL_PARTS, None])
def test_an_interrupt(tmp_path: Path, transfer: TransferConfig | None) -> None:
    """Ctrl-C in the middle ends the threads, removes what was written and raises KeyboardInterrupt."""
    main = threading.main_thread().ident
    assert main is not None
    store = OneObject(DATA)

    def interrupt(done: int, total: int | None) -> None:
        if done > 4000 and not interrupted:
            interrupted.append(done)
            signal.pthread_kill(main, signal.SIGINT)

    interrupted: list[int] = []
    (tmp_path / "file").write_bytes(b"before")
    with store.session() as session, pytest.raises(KeyboardInterrupt):
        session.download_file("key", tmp_path / "file", transfer=transfer, progress=interrupt)
        # A signal that comes with the last byte is seen here at the latest.
        threading.Event().wait(5)
    assert ["file"] == left_in(tmp_path)


def test_an_error_of_the_callers_function(tmp_path: Path) -> None:
    """What the progress function raises ends the download and reaches the caller."""

    def fail(done: int, total: int | None) -> None:
        if done > 2000:
            raise LookupError("enough")

    with OneObject(DATA).session() as session:
        for transfer in (SMALL_PARTS, None):
            with pytest.raises(LookupError, match="enough"):
                session.download_file("key", tmp_path / "file", transfer=transfer, progress=fail)
    assert [] == left_in(tmp_path)
