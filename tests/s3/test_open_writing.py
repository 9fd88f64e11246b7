"""Session.open for writing: what is written is the object, and what the store refuses is an error."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
import pickle
import shutil
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func import S3Session
from s3func.errors import (
    AccessDenied,
    ObjectExists,
    PreconditionFailed,
    ServerError,
    service_error,
)
from s3func.message import Request, Response
from s3func.results import PutResult
from s3func.writer import ObjectWriter, TextWriter
from tests.s3.open_files import (
    LARGE,
    NOISE,
    SMALL_PARTS,
    WRITERS,
    Oops,
    has_uploads,
    opened_anew,
    write_some,
)
from tests.s3.rigs import Recorder, embedded, recorded, success


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
