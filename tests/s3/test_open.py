"""Session.open for reading: what it is given, what it reads, and what that costs."""

from __future__ import annotations

import io
import random
import shutil
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func import S3Session, Timeouts
from s3func.body_reader import RawBody
from s3func.errors import (
    ChecksumMismatch,
    DeadlineExceeded,
    NoSuchKey,
    NotSupported,
    ObjectChanged,
)
from s3func.message import BodyStream, Request, Response
from s3func.reader import ObjectReader
from s3func.session import Session
from s3func.writer import ObjectWriter, TextWriter
from tests.s3.open_files import (
    MIB,
    NOISE,
    SMALL_PARTS,
    gets,
)
from tests.s3.rigs import FrozenClock, Recorder, embedded, recorded


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
