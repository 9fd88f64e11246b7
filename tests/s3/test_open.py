"""Session.open: objects as open files, and what becomes of one that is being written when something goes wrong."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gc
import gzip
import io
import json
import logging
import lzma
import pickle
import random
import shutil
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Generator, Iterator
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func import S3Session, Timeouts
from s3func.body_reader import RawBody
from s3func.errors import (
    AccessDenied,
    ChecksumMismatch,
    DeadlineExceeded,
    NoSuchKey,
    NotSupported,
    ObjectChanged,
    ObjectExists,
    PreconditionFailed,
    ServerError,
    service_error,
)
from s3func.message import BodyStream, Request, Response
from s3func.reader import ObjectReader
from s3func.results import PutResult
from s3func.session import Session
from s3func.testing import server
from s3func.transport.transfer import TransferConfig
from s3func.writer import ObjectWriter, TextWriter
from tests.faults.children import in_child, needs_fork
from tests.faults.scripted import eventually
from tests.s3.rigs import FrozenClock, Recorder, embedded, recorded, success

NOISE = random.Random(8).randbytes(3_000_000)
MIB = 1024 * 1024
SMALL_PARTS = TransferConfig(multipart_threshold=5 * MIB, part_size=5 * MIB, concurrency=2)
LARGE = random.Random(9).randbytes(11 * MIB)


@pytest.fixture
def rig() -> Iterator[tuple[S3Session, Recorder]]:
    with embedded(transfer=SMALL_PARTS) as pair:
        yield pair


@pytest.fixture
def session(rig: tuple[S3Session, Recorder]) -> S3Session:
    return rig[0]


@pytest.fixture
def recorder(rig: tuple[S3Session, Recorder]) -> Recorder:
    return rig[1]


def gets(recorder: Recorder) -> list[str | None]:
    """The range that each GET asked for."""
    return [sent.headers.get("range") for sent in recorder.sent if sent.method == "GET"]


def opened_anew(session: S3Session, mode: str) -> Any:
    """A file to write to in either mode."""
    options: dict[str, Any] = {} if mode.endswith("b") else {"encoding": "latin-1"}
    return session.open("key", mode, **options)


def has_uploads(session: S3Session) -> bool:
    """Whether there is an upload that is neither complete nor aborted."""
    return bool(list(session.list_multipart_uploads()))


# --- what open() is given


@pytest.mark.parametrize(
    ("mode", "options", "match"),
    [
        ("a", {}, "appended"),
        ("ab", {}, "appended"),
        ("r+", {}, "changed in place"),
        ("rb+", {}, "changed in place"),
        ("", {}, "mode"),
        ("b", {}, "mode"),
        ("rw", {}, "mode"),
        ("rb", {"encoding": "utf-8"}, "encoding"),
        ("wb", {"newline": ""}, "newline"),
        ("xb", {"errors": "strict"}, "errors"),
        ("r", {"encoding": "no such one"}, "encoding"),
        ("w", {"encoding": "no such one"}, "encoding"),
        ("r", {"newline": "x"}, "newline"),
        ("rb", {"buffering": 0}, "buffering"),
        ("rb", {"buffering": -2}, "buffering"),
        ("wb", {"buffering": 10}, "buffering"),
        ("wb", {"version_id": "v"}, "version_id"),
        ("xb", {"if_none_match": "etag"}, "if_none_match"),
        ("rb", {"version_id": ""}, "version_id"),
    ],
)
def test_bad_arguments(session: S3Session, recorder: Recorder, mode: str, options: dict[str, Any], match: str) -> None:
    """What does not go together is a ValueError that says what, before anything is sent."""
    with pytest.raises(ValueError, match=match):
        session.open("key", mode, **options)
    assert [] == recorder.sent


def test_bad_types(session: S3Session, recorder: Recorder) -> None:
    """Keywords of put_object do not go with reading; a mode is a str, and buffering a number."""
    options: list[tuple[Any, dict[str, Any]]] = [
        ("rb", {"content_type": "text/plain"}),
        ("wb", {"no_such_keyword": 1}),
        (b"rb", {}),
        ("rb", {"buffering": "1"}),
    ]
    for mode, keywords in options:
        with pytest.raises(TypeError):
            session.open("key", mode, **keywords)
    with pytest.raises(ValueError, match="key"):
        session.open("")
    assert [] == recorder.sent


@pytest.mark.parametrize("mode", ["rb", "r"])
def test_there_is_no_such_object(session: S3Session, mode: str) -> None:
    """A missing object is NoSuchKey when it is opened, not when it is read."""
    with pytest.raises(NoSuchKey):
        session.open("key", mode)


def test_a_store_that_cannot_write_piecewise() -> None:
    """A session without upload streams says so at once."""
    with pytest.raises(NotSupported, match="piece by piece"):
        Session._upload_stream(recorded(Recorder()), "key")


# --- reading


def test_the_kinds_of_files(session: S3Session) -> None:
    """Each mode gives the kind of file that the builtin open() gives for it, named after the key."""
    session.put_object("key", "zeile\n")
    kinds: dict[str, type] = {
        **dict.fromkeys(["wb", "xb"], ObjectWriter),
        **dict.fromkeys(["w", "wt", "x", "xt"], TextWriter),
        **dict.fromkeys(["r", "rt"], io.TextIOWrapper),
        "rb": ObjectReader,
    }
    for mode, kind in kinds.items():
        file: Any
        if mode[0] == "x":
            session.delete_object("key")
        with session.open("key", mode) as file:
            assert kind.__name__ == type(file).__name__
            assert ("key", mode) == (file.name, file.mode)
            reads = mode[0] == "r"
            assert (reads, not reads, reads) == (file.readable(), file.writable(), file.seekable())


def test_the_head_of_the_object(session: S3Session) -> None:
    """The file has the head of the answer that it came with, so that nobody has to ask again."""
    put = session.put_object("key", NOISE, metadata={"a": "1"}, content_type="image/png")
    with session.open("key") as file:
        assert (put.etag, len(NOISE), "image/png") == (file.result.etag, file.result.size, file.result.content_type)
        assert {"a": "1"} == file.result.user_metadata


@pytest.mark.parametrize("size", [1, 100_000])
def test_text(session: S3Session, size: int) -> None:
    """Text is UTF-8 unless said otherwise, whatever the locale, and its lines end as the builtin open() has it."""
    text = "é\r\nü\n" * size
    session.put_object("key", text)
    with session.open("key", "r") as file:
        assert text.replace("\r\n", "\n") == file.read()
    with session.open("key", "rt", newline="") as file:
        assert text == file.read()
    with session.open("key", "r", encoding="latin-1") as file:
        assert "Ã©\n" == next(file)
    with session.open("key", "r", encoding="ascii", errors="replace") as file:
        assert "\ufffd\ufffd\n" == file.readline()
    with session.open("key", "r", newline="") as file:
        file.readline()
        place = file.tell()
        rest = file.read()
        file.seek(place)
        assert rest == file.read()
    with session.open("key", "r", encoding="ascii") as file, pytest.raises(UnicodeDecodeError):
        file.read()


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, len(NOISE)])
@pytest.mark.parametrize("block", [-1, 1000, 300_000])
def test_reading_straight_on_is_one_request(session: S3Session, recorder: Recorder, size: int, block: int) -> None:
    """A file that is read from its beginning to its end costs one request: a plain GET, whose checksum is compared."""
    session.put_object("key", NOISE[:size])
    recorder.sent.clear()
    with session.open("key") as file:
        got = b"".join(iter(lambda: file.read(block), b""))
    assert NOISE[:size] == got
    assert ["GET"] == [sent.method for sent in recorder.sent]
    assert [None] == gets(recorder)


def test_what_was_read_whole_is_verified() -> None:
    """A byte that changed on its way is a ChecksumMismatch for whoever reads all of the file."""
    headers = {"etag": '"e"', "content-length": str(len(NOISE)), "x-amz-checksum-crc32": "AAAAAA=="}
    session = recorded(Recorder(lambda _: Response(200, dict(headers), io.BytesIO(NOISE))))
    with session.open("key") as file, pytest.raises(ChecksumMismatch):
        shutil.copyfileobj(file, io.BytesIO())


def test_the_requests_of_an_archive(session: S3Session, recorder: Recorder) -> None:
    """zipfile reads all members of an archive with two requests, and any one of them with three."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(20):
            archive.writestr(f"member {number}", NOISE[number * 100_000 : (number + 1) * 100_000])
    session.put_object("key", target.getvalue())
    recorder.sent.clear()
    with session.open("key") as file, zipfile.ZipFile(file) as archive:
        assert NOISE[:2_000_000] == b"".join(archive.read(name) for name in archive.namelist())
    assert 2 == len(recorder.sent)
    recorder.sent.clear()
    with session.open("key") as file, zipfile.ZipFile(file) as archive:
        assert NOISE[1_400_000:1_500_000] == archive.read("member 14")
    assert 3 == len(recorder.sent)


def test_the_requests_of_a_table(session: S3Session, recorder: Recorder) -> None:
    """The footer of a columnar file is one request beside the first, and each column that lies elsewhere is another one."""
    content = NOISE * 4
    session.put_object("key", content)
    recorder.sent.clear()
    size = len(content)
    with session.open("key") as file:
        assert size == file.seek(0, io.SEEK_END)
        file.seek(size - 8)
        assert content[-8:] == file.read(8)
        file.seek(size - 20_000)
        assert content[-20_000:-8] == file.read(20_000 - 8)
        assert 2 == len(recorder.sent)
        for start, length in ((4, 300_000), (6_000_000, 420_000), (10_000_000, 1_500_000), (8_000_000, 1_000)):
            file.seek(start)
            assert content[start : start + length] == file.read(length)
    assert 5 == len(recorder.sent)
    asked = sum(last + 1 - first for first, last in map(limits, gets(recorder)[1:]))
    assert asked < 420_000 + 1_500_000 + 4 * 262_144


def limits(text: str | None) -> tuple[int, int]:
    """The first and the last byte of a range."""
    assert text is not None
    first, _, last = text.removeprefix("bytes=").partition("-")
    return int(first), int(last)


def test_reading_on_from_anywhere(session: S3Session, recorder: Recorder) -> None:
    """Whoever goes on reading after a jump gets longer and longer ranges, and soon one long answer."""
    content = NOISE * 7
    session.put_object("key", content)
    recorder.sent.clear()
    with session.open("key") as file:
        file.seek(2_000_000)
        assert content[2_000_000:] == b"".join(iter(lambda: file.read(10_000), b""))
    assert [262_144, 1_048_576, len(content) - 2_000_000 - 1_310_720] == [
        last + 1 - first for first, last in map(limits, gets(recorder)[1:])
    ]


def test_reading_little_ahead(session: S3Session, recorder: Recorder) -> None:
    """`buffering` says how many bytes a look at a new place asks for."""
    session.put_object("key", NOISE)
    recorder.sent.clear()
    with session.open("key", buffering=1000) as file:
        for place in (2_500_000, 1_500_000, 2_000_000):
            file.seek(place)
            assert NOISE[place : place + 10] == file.read(10)
    assert [1000 <= last + 1 - first <= 2000 for first, last in map(limits, gets(recorder)[1:])] == [True] * 3


def test_a_replaced_object(session: S3Session) -> None:
    """An open file is of one object: when that was replaced, reading on raises, and gives none of the new one."""
    session.put_object("key", NOISE)
    with session.open("key") as file:
        file.read(10)
        session.put_object("key", NOISE[::-1])
        file.seek(2_500_000)
        with pytest.raises(ObjectChanged):
            file.read(10)
    with session.open("key") as file:
        session.delete_object("key")
        file.seek(2_500_000)
        with pytest.raises(ObjectChanged):
            file.read(10)


def test_a_version_outlives_its_replacement(session: S3Session) -> None:
    """Where the bucket keeps versions, the one that was opened is read to its end."""
    document = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    session.request("PUT", query={"versioning": None}, body=document)
    old = session.put_object("key", NOISE).version_id
    with session.open("key") as file:
        session.put_object("key", NOISE[::-1])
        file.seek(2_500_000)
        assert NOISE[2_500_000:] == file.read()
    with session.open("key", version_id=old) as file:
        session.delete_object("key")
        file.seek(2_500_000)
        assert NOISE[2_500_000:] == file.read()


def test_another_bucket(session: S3Session) -> None:
    """`bucket` is that of every verb, for reading, for writing and for creating."""
    session.create_bucket("other")
    with session.open("key", "xb", bucket="other") as file:
        file.write(NOISE)
    with session.open("key", bucket="other") as reader:
        reader.seek(2_500_000)
        assert NOISE[2_500_000:] == reader.read()
    assert not session.exists("key")


def test_a_session_that_reads_at_once() -> None:
    """A session with stream=False reads an open file piece by piece all the same: that is what it was opened for."""
    stream = io.BytesIO(NOISE)
    headers = {"etag": '"e"', "content-length": str(len(NOISE))}
    session = recorded(Recorder(lambda _: Response(200, dict(headers), stream)), stream=False)
    with session.open("key") as file:
        assert NOISE[:10] == file.read(10)
        assert stream.tell() < MIB


class Late(io.BytesIO):
    """A body whose call's time runs out after some bytes."""

    def __init__(self, content: bytes, count: int) -> None:
        super().__init__(content)
        self.count = count

    def readinto(self, buffer: Any) -> int:
        if self.tell() >= self.count:
            raise DeadlineExceeded("the total time allowed for the call ran out")
        return super().readinto(buffer[: self.count - self.tell()])


def test_a_file_may_stay_open_longer_than_a_call_may_take() -> None:
    """The total time of a call is that of each request of an open file; a body of get_object is one call to its end."""
    headers = {"etag": '"e"', "content-length": str(len(NOISE))}

    def answer(request: Request) -> Response:
        first = int(request.headers.get("range", "bytes=0-")[6:].partition("-")[0])
        described = {"content-range": f"bytes {first}-{len(NOISE) - 1}/{len(NOISE)}"} if first else {}
        length = {"content-length": str(len(NOISE) - first)}
        return Response(206 if first else 200, headers | described | length, Late(NOISE[first:], 1_000_000))

    with recorded(Recorder(answer)).open("key", buffering=500_000) as file:
        assert NOISE == b"".join(iter(lambda: file.read(500_000), b""))
    with pytest.raises(DeadlineExceeded):
        recorded(Recorder(answer)).get_object("key").read()
    # A request that brings nothing in its own time is an error of the file as well.
    raw = RawBody(Late(NOISE, 0), length=len(NOISE))
    raw.is_file = True
    raw.reopener = OutOfTime()
    with pytest.raises(DeadlineExceeded):
        raw.read(1)
    raw.close()


def test_each_request_of_a_file_is_a_call() -> None:
    """The total time begins anew with each request of an open file, and runs on for the body of a get_object."""
    deadlines: list[float | None] = []

    def answer(request: Request) -> Response:
        deadlines.append(request.deadline)
        first, last = limits(request.headers.get("range", f"bytes=0-{len(NOISE) - 1}"))
        described = {"content-range": f"bytes {first}-{last}/{len(NOISE)}"} if "range" in request.headers else {}
        headers = {"etag": '"e"', "content-length": str(last + 1 - first), **described}
        return Response(206 if described else 200, headers, io.BytesIO(NOISE[first : last + 1]))

    clock = FrozenClock(1000.0)
    session = recorded(Recorder(answer), clock=clock, timeouts=Timeouts(total=5.0))
    for read in (session.open, session.get_object):
        clock.time = 1000.0
        with read("key") as file:
            clock.time = 1100.0
            file.seek(2_500_000)
            assert NOISE[2_500_000:] == file.read()
    assert [1005.0, 1105.0, 1005.0, 1005.0] == deadlines


class OutOfTime:
    """A Reopener whose answers come too late."""

    bucket: str | None = "bucket"
    key: str | None = "key"
    pinned = True

    def reopen(self, *_: object, **__: object) -> BodyStream:
        return Late(NOISE, 0)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_any_places(seed: int) -> None:
    """Reads, lines and seeks in any order answer what those of a file of the same bytes answer."""
    chance = random.Random(seed)
    content = NOISE[: chance.choice([0, 10, 70_000, 1_500_000, len(NOISE)])]
    with embedded() as (session, _):
        session.put_object("key", content)
        model = io.BytesIO(content)
        with session.open("key", buffering=chance.choice([-1, 1, 2, 1000, 2 * MIB])) as file:
            for _ in range(20):
                match chance.randrange(4):
                    case 0:
                        place = chance.randint(0, len(content) + 10)
                        assert model.seek(place) == file.seek(place)
                    case 1:
                        assert model.readline() == file.readline()
                    case 2:
                        assert [model.readline(), model.readline()] == [file.readline(), file.readline()]
                    case _:
                        size = chance.choice([1, 100, 65_536, 300_000, 1_200_000])
                        assert model.read(size) == file.read(size)
                assert model.tell() == file.tell()


# --- writing


@pytest.mark.parametrize("content", [b"", b"x", LARGE], ids=["empty", "small", "parts"])
def test_what_is_written_is_the_object(session: S3Session, content: bytes) -> None:
    """The object has the bytes that were written and the headers that open() was given, and is there after close()."""
    file = session.open("key", "wb", metadata={"a": "1"}, content_type="image/png", cache_control="no-cache")
    for start in range(0, len(content), 700_001):
        block = content[start : start + 700_001]
        assert len(block) == file.write(block)
        assert start + len(block) == file.tell()
    assert not session.exists("key")
    assert file.result is None
    file.close()
    assert file.closed
    file.close()
    result = session.get_object("key")
    assert content == result.data
    assert file.result is not None
    assert result.etag == file.result.etag
    assert ("image/png", {"a": "1"}) == (result.content_type, result.user_metadata)
    assert "no-cache" == result.headers["cache-control"]


def test_buffers_of_every_kind(session: S3Session) -> None:
    """Whatever has bytes can be written, and may be reused afterwards; a str is a TypeError that spoils nothing."""
    from array import array

    with session.open("key", "wb") as file:
        buffer = bytearray(b"ab")
        file.write(buffer)
        buffer[:] = b"!!"
        file.write(memoryview(b"cXdX")[::2])
        numbers: Any = array("H", [0x6565, 0x6666])
        assert 4 == file.write(numbers)
        text: Any = "text"
        with pytest.raises(TypeError):
            file.write(text)
        file.writelines([b"g", b"h"])
    assert b"abcdeeffgh" == session.get_object("key").data


def test_text_is_written(session: S3Session) -> None:
    """Text is UTF-8 unless said otherwise; TextWriter has the result of its object."""
    with session.open("key", "w", content_type="text/plain", newline="") as file:
        file.write("é\n")
        print("ü", file=file)
    assert "é\nü\n".encode() == session.get_object("key").data
    assert file.result is not None
    with session.open("key", "wt", encoding="utf-16-le", newline="\r\n") as file:
        file.write("é\n")
    assert "é\r\n".encode("utf-16-le") == session.get_object("key").data


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_the_manners_of_a_file(session: S3Session, mode: str) -> None:
    """What a file for writing cannot do raises what it raises of a builtin one."""
    file = opened_anew(session, mode)
    for impossible in (file.read, lambda: file.seek(0), file.truncate, file.fileno):
        with pytest.raises(io.UnsupportedOperation):
            impossible()
    assert not file.isatty()
    file.flush()
    file.close()
    for late in (lambda: file.write(b"" if mode == "wb" else ""), file.tell, file.flush, file.__enter__):
        with pytest.raises(ValueError, match="closed"):
            late()


def written_csv(file: Any) -> None:
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        csv.writer(text).writerows([["a", "é"], [1, 2]])


def written_zip(file: Any) -> None:
    with file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("member", NOISE)


def written_tar(file: Any) -> None:
    with file, tarfile.open(fileobj=file, mode="w|gz") as archive:
        member = tarfile.TarInfo("member")
        member.size = len(NOISE)
        archive.addfile(member, io.BytesIO(NOISE))


def written_gzip(file: Any) -> None:
    with file, gzip.open(file, "wt", encoding="utf-8", newline="") as packed:
        packed.write("é" * 100_000)


def written(opener: Callable[..., Any]) -> Callable[[Any], None]:
    def write(file: Any) -> None:
        with file, opener(file, "wb") as packed:
            packed.write(NOISE)

    return write


def written_json(file: Any) -> None:
    with io.TextIOWrapper(file, encoding="utf-8") as text:
        json.dump({"é": 1}, text, ensure_ascii=False)


def written_pickle(file: Any) -> None:
    with file:
        pickle.dump(NOISE, file)


def written_buffered(file: Any) -> None:
    with io.BufferedWriter(file, 1000) as buffered:
        for start in range(0, len(NOISE), 999):
            buffered.write(NOISE[start : start + 999])


def written_copy(file: Any) -> None:
    with file:
        shutil.copyfileobj(io.BytesIO(NOISE), file)


def member(content: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        file = archive.extractfile("member")
        assert file is not None
        return file.read()


PRODUCERS: dict[str, tuple[Callable[[Any], None], Callable[[bytes], Any], Any]] = {
    "csv": (written_csv, bytes, "a,é\r\n1,2\r\n".encode()),
    "zipfile": (written_zip, lambda data: zipfile.ZipFile(io.BytesIO(data)).read("member"), NOISE),
    "tarfile": (written_tar, member, NOISE),
    "gzip": (written_gzip, lambda data: gzip.decompress(data).decode(), "é" * 100_000),
    "bz2": (written(bz2.open), bz2.decompress, NOISE),
    "lzma": (written(lzma.open), lzma.decompress, NOISE),
    "json": (written_json, json.loads, {"é": 1}),
    "pickle": (written_pickle, pickle.loads, NOISE),
    "buffered": (written_buffered, bytes, NOISE),
    "copied": (written_copy, bytes, NOISE),
}


@pytest.mark.parametrize("producer", PRODUCERS)
def test_producers(session: S3Session, producer: str) -> None:
    """Whatever writes to a binary file writes an object."""
    write, read, expected = PRODUCERS[producer]
    write(session.open("key", "wb"))
    assert expected == read(session.get_object("key").data)


# --- what must not be published


class Oops(Exception):
    """What goes wrong in these tests."""


def plain(session: S3Session) -> contextlib.AbstractContextManager[Any]:
    return session.open("key", "wb")


def wrapped(session: S3Session) -> contextlib.AbstractContextManager[Any]:
    return io.TextIOWrapper(session.open("key", "wb"), encoding="latin-1")


def wrapped_twice(session: S3Session) -> contextlib.AbstractContextManager[Any]:
    return io.TextIOWrapper(io.BufferedWriter(session.open("key", "wb")), encoding="latin-1")


WRITERS: dict[str, Callable[[S3Session], contextlib.AbstractContextManager[Any]]] = {
    "plain": plain,
    "text": lambda session: session.open("key", "w", encoding="latin-1"),
    "TextIOWrapper": wrapped,
    "BufferedWriter": lambda session: io.BufferedWriter(session.open("key", "wb")),
    "TextIOWrapper of BufferedWriter": wrapped_twice,
    "closing": lambda session: contextlib.closing(session.open("key", "wb")),
}


def write_some(file: Any, content: bytes) -> None:
    """Write to a file of either kind."""
    if isinstance(file, io.TextIOBase):
        file.write(content.decode("latin-1"))
    else:
        file.write(content)


def assert_unpublished(session: S3Session) -> None:
    """The object is the one that was there before, and nothing is left of the other."""
    assert b"before" == session.get_object("key").data
    assert eventually(lambda: not has_uploads(session))


@pytest.fixture(params=[b"small", LARGE], ids=["small", "parts"])
def content(request: pytest.FixtureRequest, session: S3Session) -> bytes:
    """What is written in vain, over an object that is there."""
    session.put_object("key", b"before")
    data: bytes = request.param
    return data


@pytest.mark.parametrize("opened", WRITERS)
def test_an_exception_in_the_block(
    session: S3Session, content: bytes, opened: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Leaving the block by an exception publishes nothing, whatever is wrapped around the file, and raises that one.

    A file whose own block it is has been told, so there is nothing to be said about it in the log.
    """
    with pytest.raises(Oops), WRITERS[opened](session) as file:
        write_some(file, content)
        raise Oops
    assert_unpublished(session)
    assert (opened not in {"plain", "text"}) == ("'key' was not published" in caplog.text)


@pytest.mark.parametrize("opened", WRITERS.values(), ids=WRITERS)
def test_a_clean_block(
    session: S3Session, content: bytes, opened: Callable[[S3Session], contextlib.AbstractContextManager[Any]]
) -> None:
    """Leaving it at its end publishes all of it."""
    with opened(session) as file:
        write_some(file, content)
    assert content == session.get_object("key").data


@pytest.mark.parametrize("opened", WRITERS.values(), ids=WRITERS)
def test_inside_an_except_block(
    session: S3Session, content: bytes, opened: Callable[[S3Session], contextlib.AbstractContextManager[Any]]
) -> None:
    """A report of an error is written while that is being handled, and published; unless another one comes up."""
    try:
        raise LookupError
    except LookupError:
        with opened(session) as file:
            write_some(file, content)
        assert content == session.get_object("key").data
        session.put_object("key", b"before")
        with pytest.raises(Oops), opened(session) as file:
            write_some(file, content)
            raise Oops from None
    assert_unpublished(session)


def raise_again(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize("opened", WRITERS)
def test_the_same_exception_once_more(session: S3Session, content: bytes, opened: str) -> None:
    """A block inside `except` that is left by the very exception that is being handled publishes nothing either."""
    for bare in (True, False):
        with pytest.raises(Oops):
            try:
                raise Oops
            except Oops as error:
                with WRITERS[opened](session) as file:
                    write_some(file, content)
                    if bare:
                        raise
                    raise_again(error)
        assert_unpublished(session)


def test_the_same_exception_once_more_without_a_block(session: S3Session, content: bytes) -> None:
    """Nor does a `finally` that it leads to, as its longer traceback tells."""
    with pytest.raises(Oops):
        try:
            raise Oops
        except Oops as error:
            file = session.open("key", "wb")
            try:
                file.write(content)
                raise_again(error)
            finally:
                file.close()
    assert_unpublished(session)


def test_nested_handlers(session: S3Session, content: bytes) -> None:
    """What counts is what has come up since the file was opened, at whatever depth of handlers."""
    try:
        raise LookupError
    except LookupError:
        file = session.open("key", "wb")
        file.write(content)
        try:
            raise Oops
        except Oops:
            pass
        file.close()
    assert content == session.get_object("key").data
    session.put_object("key", b"before")
    try:
        raise LookupError
    except LookupError:
        file = session.open("key", "wb")
        file.write(content)
        try:
            raise Oops
        except Oops:
            file.close()
    assert_unpublished(session)


def test_opened_in_a_handler_and_closed_behind_it(session: S3Session, content: bytes) -> None:
    """A file that is closed when nothing is being handled any more is published."""
    try:
        raise LookupError
    except LookupError:
        file = session.open("key", "wb")
    file.write(content)
    file.close()
    assert content == session.get_object("key").data


def test_closed_in_finally(session: S3Session, content: bytes) -> None:
    """close() in a `finally` publishes after a clean end, and not when an exception has led there."""
    file = session.open("key", "wb")
    with pytest.raises(Oops):
        try:
            file.write(content)
            raise Oops
        finally:
            file.close()
    assert_unpublished(session)
    file = session.open("key", "wb")
    try:
        file.write(content)
    finally:
        file.close()
    assert content == session.get_object("key").data


def test_closed_in_a_handler(session: S3Session, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """close() in an `except` that came up later does not publish, says so in the log, and publish() does."""
    for method in ("close", "publish"):
        for mode in ("wb", "w"):
            session.put_object("key", b"before")
            caplog.clear()
            file = opened_anew(session, mode)
            try:
                write_some(file, content)
                raise Oops
            except Oops:
                getattr(file, method)()
            assert file.closed
            if method == "close":
                assert_unpublished(session)
                assert ["'key' was not published: its file was closed while an exception was being handled"] == [
                    record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
                ]
            else:
                assert content == session.get_object("key").data
                assert [] == caplog.records


def test_an_exit_stack(session: S3Session, content: bytes) -> None:
    """A stack of contexts is as good as a block, for the file and for a wrapper."""
    for opened in (plain, wrapped):
        with pytest.raises(Oops), contextlib.ExitStack() as stack:
            write_some(stack.enter_context(opened(session)), content)
            raise Oops
        assert_unpublished(session)


def test_generators(session: S3Session, content: bytes) -> None:
    """A generator that is driven from inside somebody's `except` publishes with the file's own block, not by close()."""

    def own_block() -> Generator[None, None, None]:
        with session.open("key", "wb") as file:
            yield
            file.write(content)

    def bare_close() -> Generator[None, None, None]:
        file = session.open("key", "wb")
        yield
        file.write(content)
        file.close()

    for generator, published in ((bare_close, False), (own_block, True)):
        running = generator()
        next(running)
        try:
            raise Oops
        except Oops:
            assert [] == list(running)
        if published:
            assert content == session.get_object("key").data
        else:
            assert_unpublished(session)
    session.put_object("key", b"before")
    running = own_block()
    next(running)
    running.close()
    assert_unpublished(session)


def test_gzip_around_it(session: S3Session, content: bytes) -> None:
    """What does not close its file cannot publish it: the file's own block decides."""
    with pytest.raises(Oops), session.open("key", "wb") as file, gzip.open(file, "wb") as packed:
        packed.write(content)
        raise Oops
    assert_unpublished(session)


def test_an_interrupt(session: S3Session, content: bytes) -> None:
    """Ctrl-C is an exception like any other."""
    with pytest.raises(KeyboardInterrupt), io.TextIOWrapper(session.open("key", "wb"), encoding="latin-1") as file:
        file.write(content.decode("latin-1"))
        raise KeyboardInterrupt
    assert_unpublished(session)


def test_abort(session: S3Session, content: bytes) -> None:
    """abort() closes a file and publishes nothing; afterwards, or after close(), it does nothing."""
    for mode in ("wb", "w"):
        file = opened_anew(session, mode)
        write_some(file, content)
        file.abort()
        file.abort()
        assert file.closed
        file.close()
        assert file.result is None
        with pytest.raises(ValueError, match="closed"):
            file.publish()
        assert_unpublished(session)
    with session.open("key", "wb") as writer:
        writer.write(content)
    writer.abort()
    assert content == session.get_object("key").data


FORGOTTEN: dict[str, Callable[[Any], Any]] = {
    "plain": lambda file: file,
    "TextIOWrapper": lambda file: io.TextIOWrapper(file, encoding="latin-1"),
    "BufferedWriter": io.BufferedWriter,
    "gzip": lambda file: gzip.GzipFile(fileobj=file, mode="wb"),
    "circle": lambda file: [file],
}


@pytest.mark.parametrize("kept", FORGOTTEN.values(), ids=FORGOTTEN)
def test_a_forgotten_file(
    session: S3Session, content: bytes, kept: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A file that becomes garbage unclosed, itself or in its wrapper, publishes nothing, warns, and leaves nothing."""
    file = kept(session.open("key", "wb"))
    if isinstance(file, list):
        file.append(file)
        file[0].write(content)
    else:
        write_some(file, content)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        del file
        gc.collect()
    warned = "unclosed file <ObjectWriter name='key' mode='wb'>: nothing was published"
    assert [warned] == [str(warning.message) for warning in seen]
    assert_unpublished(session)
    assert "'key' was not published: its file was forgotten, not closed" in caplog.text


def test_a_forgotten_text_file(session: S3Session, content: bytes) -> None:
    """The same for a file of text."""
    file = session.open("key", "w", encoding="latin-1")
    file.write(content.decode("latin-1"))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        del file
        gc.collect()
    assert [ResourceWarning] == [warning.category for warning in seen]
    assert_unpublished(session)


FORGETFUL = """
import io, sys
from s3func import S3Session
from s3func.transport.transfer import TransferConfig
transfer = TransferConfig(multipart_threshold=5 << 20, part_size=5 << 20)
session = S3Session({key_id!r}, {secret!r}, "bucket", {url!r}, "us-east-1", transfer=transfer)
file = session.open("key", "wb")
file.write(bytes(11 << 20))
assert list(session.list_multipart_uploads())
text = io.TextIOWrapper(session.open("text", "wb"))
text.write("half")
"""


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "del file, text"])
def test_a_process_that_ends(end: str) -> None:
    """A file that is open when the process ends is not published, its upload is aborted, and nothing hangs."""
    with server() as store:
        session = store.session("bucket")
        program = FORGETFUL.format(key_id=store.access_key_id, secret=store.secret_access_key, url=store.endpoint_url)
        done = subprocess.run(
            [sys.executable, "-c", program + end], capture_output=True, text=True, timeout=60, check=False
        )
        assert 0 == done.returncode, done.stderr
        assert ["'key' was not published", "'text' was not published"] == sorted(
            line.partition(":")[0] for line in done.stderr.splitlines()
        )
        assert not session.exists("key")
        assert not session.exists("text")
        assert not has_uploads(session)


@needs_fork
def test_a_child_leaves_the_files_of_its_parent_alone() -> None:
    """What a forked child does with a copy of an open file does nothing to the object that its parent is writing."""
    with server() as store:
        session = store.session("bucket", transfer=SMALL_PARTS)
        file = session.open("key", "wb")
        file.write(LARGE)
        assert has_uploads(session)

        def meddle() -> None:
            for refused in (lambda: file.write(b"x"), file.publish, file.close):
                with pytest.raises(ValueError, match="another process"):
                    refused()
            with pytest.raises(Oops), file:
                raise Oops
            file.abort()

        def drop() -> None:
            # The child's only reference, as far as the collector knows.
            file.__del__()

        assert in_child(meddle)
        assert in_child(drop)
        file.close()
        assert LARGE == session.get_object("key").data


def test_an_open_file_keeps_no_exception(session: S3Session) -> None:
    """The exception that a file was opened under, and all that hangs on it, is let go with the file."""
    import weakref

    class Heavy(Exception):
        pass

    try:
        raise Heavy
    except Heavy as error:
        file = session.open("key", "wb")
        seen = weakref.ref(error)
        file.close()
    gc.collect()
    assert seen() is None


# --- what fails


class Upload:
    """An UploadStream that fails when it is told to, and remembers what became of it."""

    def __init__(self, *, write: BaseException | None = None, finish: BaseException | None = None) -> None:
        self.on_write = write
        self.on_finish = finish
        self.on_abort: BaseException | None = None
        self.content = b""
        self.ends: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.on_write is not None:
            raise self.on_write
        self.content += data

    def finish(self) -> PutResult:
        self.ends.append("finished")
        if self.on_finish is not None:
            raise self.on_finish
        return PutResult(200, {"etag": '"e"'})

    def abort(self) -> None:
        self.ends.append("aborted")
        if self.on_abort is not None:
            raise self.on_abort


FAILURES = [ServerError("no", code="InternalError", status=500), KeyboardInterrupt(), OSError("a full disk")]


@pytest.mark.parametrize("failure", FAILURES, ids=["store", "interrupt", "system"])
def test_a_write_that_fails(failure: BaseException) -> None:
    """After a failure nothing more is written, nothing is published, and close() does not look like success."""
    upload = Upload(write=failure)
    file = ObjectWriter(upload, "key", "wb")
    with pytest.raises(type(failure)):
        file.write(b"x")
    assert ["aborted"] == upload.ends
    upload.on_write = None
    expected = type(failure) if isinstance(failure, ServerError) else Exception
    for again in (lambda: file.write(b"y"), file.close):
        with pytest.raises(expected, match=r"no|interrupted"):
            again()
    assert file.closed
    file.close()
    assert (["aborted"], b"", None) == (upload.ends, upload.content, file.result)


@pytest.mark.parametrize(
    "opened",
    [
        lambda upload: ObjectWriter(upload, "key", "wb"),
        lambda upload: TextWriter(ObjectWriter(upload, "key", "wb"), "w", encoding="utf-8"),
        lambda upload: io.TextIOWrapper(ObjectWriter(upload, "key", "wb")),
        lambda upload: io.BufferedWriter(ObjectWriter(upload, "key", "wb")),  # type: ignore[type-var]
    ],
    ids=["plain", "text", "TextIOWrapper", "BufferedWriter"],
)
@pytest.mark.parametrize("failing", ["write", "finish"])
def test_a_failure_leaves_the_block(opened: Callable[[Upload], Any], failing: str) -> None:
    """A failure of the store, at whatever point, is what the block raises, and the upload is aborted."""
    failures: Any = {failing: FAILURES[0]}
    upload = Upload(**failures)
    with pytest.raises(ServerError), opened(upload) as file:
        write_some(file, b"x")
    assert file.closed
    assert "aborted" == upload.ends[-1]


def test_a_failure_that_nobody_minds_is_not_published() -> None:
    """Who swallows the error of a write and goes on does not get half an object for it."""
    upload = Upload(write=FAILURES[0])
    with pytest.raises(ServerError), ObjectWriter(upload, "key", "wb") as file:
        with contextlib.suppress(ServerError):
            file.write(b"first")
        upload.on_write = None
        with contextlib.suppress(ServerError):
            file.write(b"second")
    assert (["aborted"], b"") == (upload.ends, upload.content)


def test_an_abort_that_fails() -> None:
    """An upload that cannot be aborted does not hide what went wrong; who asks for abort() itself hears of it."""
    upload = Upload()
    upload.on_abort = ServerError("cannot abort")
    with pytest.raises(Oops), ObjectWriter(upload, "key", "wb"):
        raise Oops
    file = ObjectWriter(upload, "key", "wb")
    with pytest.raises(ServerError, match="cannot abort"):
        file.abort()
    assert file.closed


def test_publishing_twice() -> None:
    """publish() is close() with a result, and may be called again."""
    upload = Upload()
    file = ObjectWriter(upload, "key", "wb")
    result = file.publish()
    file.close()
    assert result is file.publish() is file.result
    assert ["finished"] == upload.ends


# --- creating


@pytest.mark.parametrize("mode", ["xb", "x", "xt"])
def test_creating(session: S3Session, recorder: Recorder, mode: str) -> None:
    """Mode "x" creates an object where there is none, and only there."""
    with session.open("key", mode) as file:
        write_some(file, b"first")
    put = next(sent for sent in recorder.sent if sent.method == "PUT")
    assert "*" == put.headers["if-none-match"]
    recorder.sent.clear()
    with pytest.raises(FileExistsError) as caught:
        session.open("key", mode)
    assert isinstance(caught.value, ObjectExists)
    assert isinstance(caught.value, PreconditionFailed)
    assert ("bucket", "key") == (caught.value.bucket, caught.value.key)
    assert ["HEAD"] == [sent.method for sent in recorder.sent]
    assert b"first" == session.get_object("key").data


@pytest.mark.parametrize("mode", ["xb", "x"])
@pytest.mark.parametrize("content", [b"second", LARGE], ids=["small", "parts"])
def test_somebody_else_was_faster(session: S3Session, mode: str, content: bytes) -> None:
    """An object that appears while another one of its key is written stays, and the end says that it exists."""
    with pytest.raises(FileExistsError) as caught, opened_anew(session, mode) as file:
        write_some(file, content)
        session.put_object("key", b"first")
    assert isinstance(caught.value, ObjectExists)
    assert ("bucket", "key", 412) == (caught.value.bucket, caught.value.key, caught.value.status)
    assert b"first" == session.get_object("key").data
    assert not has_uploads(session)


def test_who_may_write_need_not_be_allowed_to_look() -> None:
    """A look at what is there that is refused does not keep anybody from creating."""

    def answer(request: Request) -> Response:
        if request.method == "HEAD":
            raise service_error("AccessDenied")
        return success(request)

    recorder = Recorder(answer)
    with recorded(recorder, retries=1).open("key", "xb") as file:
        file.write(b"x")
    assert ["HEAD", "PUT"] == [sent.method for sent in recorder.sent]
    assert issubclass(AccessDenied, type(service_error("AccessDenied")))


def test_other_conditions_stay_what_they_are(session: S3Session) -> None:
    """if_match and if_none_match of mode "wb" are those of put_object, and raise what they raise there."""
    etag = session.put_object("key", b"first").etag
    with pytest.raises(PreconditionFailed) as caught, session.open("key", "wb", if_none_match="*") as file:
        file.write(b"second")
    assert not isinstance(caught.value, FileExistsError)
    with session.open("key", "wb", if_match=etag) as file:
        file.write(b"second")
    assert b"second" == session.get_object("key").data


@settings(max_examples=60)
@given(
    blocks=st.lists(st.binary(max_size=100), max_size=10),
    fails_after=st.integers(0, 15),
    wrapper=st.sampled_from(sorted(WRITERS)),
)
def test_published_or_not(blocks: list[bytes], fails_after: int, wrapper: str) -> None:
    """Whatever is written and wherever it fails: the object is all of it, or it is not there."""
    with embedded() as (session, _), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with WRITERS[wrapper](session) as file:
                for number, block in enumerate(blocks):
                    if number == fails_after:
                        raise Oops
                    write_some(file, block)
        except Oops:
            assert not session.exists("key")
        else:
            assert b"".join(blocks) == session.get_object("key").data
