"""Files that are read here and there: opened by one request, their bytes those of one object, requests merged where it pays."""

from __future__ import annotations

import io
import random
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import B2Session, S3Session, testing
from s3func.errors import AccessDenied, ObjectChanged
from s3func.filesystem import B2FileSystem, S3FileSystem
from s3func.filesystem.ranged import EDGE_BYTES, RangedFile, is_read_in_parts
from s3func.transport.parallel import Crew

BUCKET = "ranged-files"
MIB = 1024 * 1024
BODY = random.Random(1).randbytes(40 * MIB)


@pytest.fixture(scope="module")
def server() -> Iterator[testing.Server]:
    """One server for the tests of this file."""
    with testing.server() as running:
        yield running


@pytest.fixture(scope="module")
def session(server: testing.Server) -> S3Session:
    """A session on a bucket that B2 reaches, too, with a large object in it."""
    with B2Session(server.access_key_id, server.secret_access_key, BUCKET, realm=server.endpoint_url) as made:
        made.create_bucket()
    found = server.session(BUCKET, create=False)
    found.put_object("large.parquet", BODY, multipart=False)
    found.put_object("medium.parquet", BODY[: 20 * MIB], multipart=False)
    found.put_object("small.parquet", BODY[: 3 * MIB])
    return found


@pytest.fixture
def fs(session: S3Session) -> Any:
    """A filesystem over that session."""
    return S3FileSystem(session=session, skip_instance_cache=True)


def sizes(server: testing.Server) -> list[int]:
    """The lengths of what was asked for since the last time."""
    found = [entry.bytes_out or 0 for entry in server.journal.entries("GetObject")]
    server.journal.clear()
    return found


@pytest.mark.parametrize("name", ["a.parquet", "a/b.PARQUET", "x.orc", "x.zip", "x.nc", "x.h5", "x.tif", "x.feather"])
def test_by_name(name: str) -> None:
    """Formats with a table of contents are known by their names, and by nothing else."""
    assert (True, False, False) == (
        is_read_in_parts(name),
        is_read_in_parts(f"{name}.gz"),
        is_read_in_parts(name.partition(".")[0]),
    )


def test_opening_brings_the_end(server: testing.Server, fs: Any) -> None:
    """One request opens the file and answers a look at its end; a large read asks for itself alone."""
    server.journal.clear()
    with fs.open(f"{BUCKET}/large.parquet") as file:
        assert (len(BODY), True, True) == (file.size, file.seekable(), file.readable())
        file.seek(-65536, io.SEEK_END)
        assert BODY[-65536:] == file.read()
        assert [EDGE_BYTES] == sizes(server)
        file.seek(5 * MIB)
        assert BODY[5 * MIB : 7 * MIB] == file.read(2 * MIB)
        file.seek(30 * MIB)
        assert BODY[30 * MIB : 30 * MIB + 100_000] == file.read(100_000)
        assert [2 * MIB, 100_000] == sizes(server)


def test_close_reads_become_blocks(server: testing.Server, fs: Any) -> None:
    """Many small reads in no order, close to each other, are a few requests; without max_gap each is its own."""
    places = [number * 500_000 for number in range(40)]
    random.Random(2).shuffle(places)

    def read(filesystem: Any, name: str) -> int:
        server.journal.clear()
        with filesystem.open(f"{BUCKET}/{name}") as file:
            for place in places:
                file.seek(place)
                assert BODY[place : place + 80_000] == file.read(80_000)
        return len(sizes(server))

    assert read(fs, "medium.parquet") <= 5
    exact = S3FileSystem(session=fs.session, skip_instance_cache=True, max_gap=0)
    assert 41 == read(exact, "medium.parquet")


def test_far_reads_stay_apart(server: testing.Server, fs: Any) -> None:
    """Reads that lie far apart in a large file bring nothing else along."""
    server.journal.clear()
    with fs.open(f"{BUCKET}/large.parquet") as file:
        for place in (0, 12 * MIB, 24 * MIB, 36 * MIB):
            file.seek(place)
            assert BODY[place : place + 80_000] == file.read(80_000)
    assert [EDGE_BYTES, 80_000, 80_000, 80_000, 80_000] == sizes(server)


def test_small_files_come_whole(server: testing.Server, fs: Any) -> None:
    """The first read of a file that is small brings the rest of it, and no byte twice."""
    server.journal.clear()
    with fs.open(f"{BUCKET}/small.parquet") as file:
        for place in (MIB, 0, 2 * MIB):
            file.seek(place)
            assert BODY[place : place + 1000] == file.read(1000)
    assert [EDGE_BYTES, 3 * MIB - EDGE_BYTES] == sizes(server)


def test_straight_on(server: testing.Server, fs: Any) -> None:
    """Who reads straight on asks for more each time, and gets every byte once but for the end."""
    server.journal.clear()
    with fs.open(f"{BUCKET}/medium.parquet") as file:
        assert BODY[: 20 * MIB] == b"".join(iter(lambda: file.read(64 * 1024), b""))
    assert len(sizes(server)) <= 8


def test_an_archive(session: S3Session, fs: Any) -> None:
    """An archive is read member by member, and text line by line."""
    with fs.open(f"{BUCKET}/z.zip", "wb") as raw, zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("a.txt", b"one\ntwo\n" * 50_000)
        archive.writestr("b.bin", BODY[:MIB])
    with fs.open(f"{BUCKET}/z.zip") as raw, zipfile.ZipFile(raw) as archive:
        assert ([b"one\n", b"two\n"], BODY[:MIB]) == (archive.open("a.txt").readlines()[:2], archive.read("b.bin"))


@pytest.mark.parametrize("name", ["empty.parquet", "empty.h5"])
def test_an_empty_object(session: S3Session, fs: Any, name: str) -> None:
    """An empty object has no last bytes, and is an empty file all the same."""
    session.put_object(name, b"")
    with fs.open(f"{BUCKET}/{name}") as file:
        assert (0, b"") == (file.size, file.read())


def test_what_is_replaced_or_deleted(session: S3Session, fs: Any) -> None:
    """Bytes of another object are never given out; what was here already is."""
    session.put_object("r.parquet", BODY[: 6 * MIB])
    with fs.open(f"{BUCKET}/r.parquet") as file:
        session.put_object("r.parquet", BODY[MIB : 7 * MIB])
        with pytest.raises(ObjectChanged):
            file.read(10)
        file.seek(-10, io.SEEK_END)
        assert BODY[6 * MIB - 10 : 6 * MIB] == file.read()
    with fs.open(f"{BUCKET}/r.parquet") as file:
        session.delete_object("r.parquet")
        with pytest.raises(ObjectChanged):
            file.read(10)
    with pytest.raises(FileNotFoundError):
        fs.open(f"{BUCKET}/r.parquet")


def test_b2_reads_the_version_that_was_opened(server: testing.Server, session: S3Session) -> None:
    """B2 keeps versions and reads them by their ids, so a file that is replaced can be read to its end."""
    session.put_object("v.parquet", BODY[: 6 * MIB])
    with B2Session(server.access_key_id, server.secret_access_key, BUCKET, realm=server.endpoint_url) as made:
        filesystem = B2FileSystem(session=made, skip_instance_cache=True)
        with filesystem.open(f"{BUCKET}/v.parquet") as file:
            session.put_object("v.parquet", b"another")
            assert BODY[: 6 * MIB] == file.read()


def test_a_closed_file(fs: Any) -> None:
    """Nothing is read from a closed file, and nothing is before its beginning."""
    file = fs.open(f"{BUCKET}/small.parquet")
    with pytest.raises(OSError, match="beginning"):
        file.seek(-1)
    with pytest.raises(ValueError, match="whence"):
        file.seek(0, 5)
    file.close()
    for call in (file.read, file.tell, lambda: file.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            call()


class Result:
    """An answer with a part of a body."""

    def __init__(self, data: bytes, total: int = 0) -> None:
        self.data, self.etag, self.version_id, self.headers = data, "e", None, dict[str, str]()
        self.content_range = f"bytes 0-0/{total}"


class Memory:
    """A session whose one object is in memory."""

    capabilities = S3Session.capabilities

    def __init__(self, body: bytes) -> None:
        self.body = body

    def get_object(self, key: str, version: str | None, *, range_start: int, range_end: int, **_: Any) -> Result:
        assert 0 <= range_start <= range_end < len(self.body)
        return Result(self.body[range_start : range_end + 1], len(self.body))


@given(
    size=st.integers(1, 60_000),
    edge=st.integers(1, 5_000),
    at_the_end=st.sampled_from([True, False, None]),
    max_gap=st.sampled_from([0, 100, 5_000, 20_000]),
    steps=st.lists(st.tuples(st.integers(0, 61_000), st.integers(-1, 30_000)), max_size=30),
)
def test_as_a_file_in_memory(
    size: int, edge: int, at_the_end: bool | None, max_gap: int, steps: list[tuple[int, int]]
) -> None:
    """Whatever is read in whatever order is what a file in memory gives, also where nothing was asked for at first."""
    body = BODY[:size]
    first = max(0, size - edge) if at_the_end else 0
    part = (first, body[first : first + edge])
    expected = io.BytesIO(body)
    answer: Any = Result(b"")
    with RangedFile(Memory(body), "b", "k", size, block_size=1000, max_gap=max_gap) as file:
        if at_the_end is not None:
            file.adopt(answer, part)
        for place, count in steps:
            if place % 3:
                file.seek(place)
                expected.seek(place)
            assert expected.read(count) == file.read(count)
            assert expected.tell() == file.tell()


def test_what_pyarrow_has_listed(server: testing.Server, session: S3Session, fs: Any) -> None:
    """A file that was listed is opened without a request; its first bytes say whether it is still that file."""
    session.put_object("l.parquet", BODY[: 6 * MIB])
    session.put_object("gone.parquet", BODY[: 6 * MIB])

    def listed(name: str, size: int = 6 * MIB) -> RangedFile:
        return RangedFile(session, BUCKET, name, size, block_size=MIB, max_gap=MIB)

    server.journal.clear()
    with listed("l.parquet") as file:
        file.seek(-65536, io.SEEK_END)
        assert BODY[6 * MIB - 65536 : 6 * MIB] == file.read()
        file.seek(-100_000, io.SEEK_END)
        assert BODY[6 * MIB - 100_000 : 6 * MIB] == file.read()
        assert [EDGE_BYTES] == sizes(server)
        file.seek(0)
        assert BODY[: 6 * MIB] == file.read()
    with listed("l.parquet", 5 * MIB) as file, pytest.raises(ObjectChanged, match="listed"):
        file.read(10)
    session.delete_object("gone.parquet")
    with listed("gone.parquet") as file, pytest.raises(FileNotFoundError):
        file.read(10)


class Slow(Memory):
    """One that takes its time, and fails where it is told to."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.asked: list[int] = []
        self.error: Exception | None = None

    def get_object(self, key: str, version: str | None, *, range_start: int, range_end: int, **more: Any) -> Result:
        self.asked.append(range_end + 1 - range_start)
        time.sleep(0.05)
        error, self.error = self.error, None
        if error is not None:
            raise error
        return super().get_object(key, version, range_start=range_start, range_end=range_end, **more)


def test_several_threads_ask_once() -> None:
    """What one thread has asked for the others wait for; where it fails, the next one asks."""
    store = Slow(BODY[: 3 * MIB])
    found: dict[int, bytes] = {}
    with RangedFile(store, "b", "k", 3 * MIB, block_size=MIB, max_gap=MIB) as file:
        assert store.body[-10:] == file._bytes(3 * MIB - 10, 3 * MIB, goes_on=False)

        def read(at: int) -> None:
            found[at] = file._bytes(at, at + 1000, goes_on=False)

        with Crew(8) as crew:
            for at in range(0, 2_400_000, 300_000):
                crew.submit(lambda at=at: read(at))  # type: ignore[misc]  # bound now
        assert {at: BODY[at : at + 1000] for at in range(0, 2_400_000, 300_000)} == found
        assert [EDGE_BYTES, 3 * MIB - EDGE_BYTES] == store.asked
    with RangedFile(store, "b", "k", 3 * MIB, block_size=MIB, max_gap=MIB) as file:
        store.error = AccessDenied("no")
        with pytest.raises(AccessDenied):
            file.read(10)
        file.seek(0)
        assert BODY[:10] == file.read(10)
