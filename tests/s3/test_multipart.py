"""Multipart uploads by hand: what was sent is published whole or not at all, and nothing is left behind."""

from __future__ import annotations

import itertools
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from hashlib import md5, sha256
from threading import Event, Thread
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import S3Session
from s3func.errors import (
    AccessDenied,
    ChecksumMismatch,
    ChecksumRefused,
    Conflict,
    ConnectionLost,
    InvalidRequest,
    NoSuchKey,
    NoSuchUpload,
    NotFound,
    NotImplementedByStore,
    NotSupported,
    PreconditionFailed,
    ProtocolError,
    S3FuncError,
    ServerError,
)
from s3func.message import Request, Response
from s3func.s3 import multipart_operations
from s3func.s3.endpoints import Place
from s3func.wire.s3xml_multipart import (
    CompletedPart,
    CompletedUpload,
    PartEntry,
    PartsPage,
    UploadEntry,
    UploadsPage,
    render_complete_result,
    render_copy_part,
    render_create_multipart_upload,
    render_list_multipart_uploads,
    render_list_parts,
)
from s3func.wire.s3xml_multipart import CopyPartResult as CopiedPart
from s3func.wire.s3xml_multipart import MultipartUpload as BegunUpload
from tests.s3.keys import HOSTILE_KEYS
from tests.s3.rigs import NOW, FrozenClock, Recorder, embedded, encoded, recorded

NO_CHECKSUMS = b"<Error><Code>NotImplemented</Code><Message>no checksums</Message></Error>"
SMALL_PART = "s3func.server.handlers.multipart.PART_BYTES_MIN"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Session]:
    """A session on a server that takes parts of any size."""
    monkeypatch.setattr(SMALL_PART, 0)
    with embedded() as (session, _):
        yield session


def base64_crc32(data: bytes) -> str:
    """A CRC32 as headers carry it."""
    return b64encode(crc32(data).to_bytes(4, "big")).decode()


def etag_of(*parts: bytes) -> str:
    """The ETag of an object that was made of these parts."""
    digests = b"".join(md5(part).digest() for part in parts)
    return f"{md5(digests).hexdigest()}-{len(parts)}"


class Store:
    """A store of which only multipart uploads are known; `answers` take the place of its own, in order, by method."""

    def __init__(self, **answers: list[Response | Exception]) -> None:
        self.answers = answers

    def __call__(self, request: Request) -> Response:
        kind = kind_of(request)
        if self.answers.get(kind):
            answer = self.answers[kind].pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        headers = {"etag": '"0123"'}
        if kind == "create":
            return Response(200, {}, render_create_multipart_upload(BegunUpload("bucket", "key", "ID")))
        if kind == "copy":
            return Response(200, {}, render_copy_part(CopiedPart("0123")))
        if kind == "complete":
            return Response(200, {}, render_complete_result(CompletedUpload("l", "bucket", "key", "0123-1")))
        return Response(204 if kind == "abort" else 200, headers, b"")


def kind_of(request: Any) -> str:
    """What a request is, by its method and query."""
    if request.method == "POST":
        return "create" if request.query == "uploads=" else "complete"
    if request.method == "PUT":
        return "copy" if "x-amz-copy-source" in request.headers else "part"
    if request.method == "DELETE":
        return "abort"
    if request.method == "GET":
        return "uploads" if "uploads=" in request.query else "parts"
    return "head"


def kinds(recorder: Recorder) -> list[str]:
    """What was asked, in order."""
    return [kind_of(sent) for sent in recorder.sent]


def error(status: int, code: str) -> Response:
    """A refusal."""
    return Response(status, {}, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())


# --- MultipartUpload


def test_an_upload_is_completed_at_the_end_of_its_block(session: S3Session) -> None:
    """The parts make the object in the order of their numbers, with all that was said about it at the beginning."""
    with session.create_multipart_upload(
        "a//b", {"m": "ü"}, "text/plain", cache_control="no-cache", tagging={"t": "1"}, storage_class="STANDARD_IA"
    ) as upload:
        assert ("a//b", "bucket") == (upload.key, upload.bucket)
        upload.upload_part(7, b"world")
        upload.upload_part(3, "hello ")
        assert not session.exists("a//b")
    result = session.get_object("a//b")
    assert b"hello world" == result.data
    assert {"m": "ü"} == result.user_metadata
    assert ("text/plain", "no-cache", "STANDARD_IA", "1") == (
        result.content_type,
        result.headers["cache-control"],
        result.storage_class,
        result.headers["x-amz-tagging-count"],
    )
    assert etag_of(b"hello ", b"world") == result.etag
    assert [] == list(session.list_multipart_uploads())


def test_a_result_is_that_of_a_put(session: S3Session) -> None:
    """complete() answers as put_object does: ETag, checksum, and nothing of the document around them."""
    with session.create_multipart_upload("key") as upload:
        upload.upload_part(1, b"hello")
        result = upload.complete()
    assert etag_of(b"hello") == result.etag
    assert (base64_crc32(b"hello"), "FULL_OBJECT") == (
        result.headers["x-amz-checksum-crc32"],
        result.headers["x-amz-checksum-type"],
    )
    assert result.content_type is None
    assert result.size is None


def test_a_part_that_is_sent_again_replaces_the_first(session: S3Session) -> None:
    """The last body that was sent under a number counts."""
    with session.create_multipart_upload("key") as upload:
        upload.upload_part(1, b"first")
        upload.upload_part(1, b"second!")
    assert b"second!" == session.get_object("key").data


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_an_exception_publishes_nothing_and_leaves_nothing(session: S3Session, failure: type[BaseException]) -> None:
    """Whatever is raised inside the block passes through; neither object nor upload is left."""
    with pytest.raises(failure), session.create_multipart_upload("key") as upload:
        upload.upload_part(1, b"a")
        raise failure
    assert not session.exists("key")
    assert [] == list(session.list_multipart_uploads())
    assert "aborted" in repr(upload)


@pytest.mark.parametrize("name", ["upload_part", "upload_part_copy", "complete", "abort", "__enter__"])
@pytest.mark.parametrize("end", ["complete", "abort"])
def test_what_is_over_is_over(session: S3Session, end: str, name: str) -> None:
    """After complete() or abort() any further use is a ValueError that says which it was."""
    upload = session.create_multipart_upload("key")
    upload.upload_part(1, b"a")
    getattr(upload, end)()
    arguments: dict[str, tuple[Any, ...]] = {"upload_part": (1, b"x"), "upload_part_copy": (1, "key")}
    with pytest.raises(ValueError, match="completed" if end == "complete" else "aborted"):
        getattr(upload, name)(*arguments.get(name, ()))
    assert (end == "complete") == session.exists("key")


@pytest.mark.parametrize("end", ["complete", "abort"])
def test_a_block_may_end_its_upload_itself(session: S3Session, end: str) -> None:
    """complete() or abort() inside the block leaves nothing to be done at its end."""
    with session.create_multipart_upload("key") as upload:
        upload.upload_part(1, b"a")
        getattr(upload, end)()
    assert (end == "complete") == session.exists("key")
    assert [] == list(session.list_multipart_uploads())


def test_an_upload_without_parts_is_no_object(session: S3Session) -> None:
    """A block that sends nothing is an error, and leaves nothing."""
    with pytest.raises(ValueError, match="no part was sent"), session.create_multipart_upload("key"):
        pass
    assert [] == list(session.list_multipart_uploads())
    assert not session.exists("key")


def test_an_empty_part_is_an_empty_object(session: S3Session) -> None:
    """One part of no bytes makes an object of no bytes."""
    with session.create_multipart_upload("key") as upload:
        upload.upload_part(1, b"")
    assert b"" == session.get_object("key").data


def test_a_part_that_failed_is_not_left_out() -> None:
    """A part whose failure the caller has swallowed forbids completion, until it is sent again."""
    recorder = Recorder(Store())
    upload = recorded(recorder).create_multipart_upload("key")
    upload.upload_part(1, b"a")
    recorder.answer = Store(part=[error(403, "AccessDenied")])
    with pytest.raises(AccessDenied):
        upload.upload_part(2, b"b")
    with pytest.raises(ValueError, match="part 2 failed"):
        upload.complete()
    upload.upload_part(2, b"b")
    upload.complete()
    assert "complete" == kinds(recorder)[-1]


def test_a_block_with_a_part_that_failed_publishes_nothing() -> None:
    """The same at the end of the block: it raises, and aborts."""
    recorder = Recorder(Store())
    with pytest.raises(ValueError, match="part 1 failed"), recorded(recorder).create_multipart_upload("key") as upload:
        recorder.answer = Store(part=[error(403, "AccessDenied")])
        try:
            upload.upload_part(1, b"b")
        except AccessDenied:
            pass
    assert ["create", "part", "abort"] == kinds(recorder)


def test_a_refused_completion_aborts(session: S3Session) -> None:
    """A block whose completion fails raises that failure and leaves nothing."""
    session.put_object("key", b"there")
    with pytest.raises(PreconditionFailed), session.create_multipart_upload("key") as upload:
        upload.upload_part(1, b"a")
        upload.complete(if_none_match="*")
    assert b"there" == session.get_object("key").data
    assert [] == list(session.list_multipart_uploads())


def test_a_refused_condition_is_not_forgotten_at_the_end_of_the_block(session: S3Session) -> None:
    """Who finds that the object exists, and goes on, does not overwrite it by leaving the block."""
    session.put_object("key", b"there")
    with session.create_multipart_upload("key") as upload:
        upload.upload_part(1, b"a")
        try:
            upload.complete(if_none_match="*")
        except PreconditionFailed:
            pass
    assert b"there" == session.get_object("key").data
    assert [] == list(session.list_multipart_uploads())


def test_after_a_refused_condition_there_is_another_try(session: S3Session) -> None:
    """PreconditionFailed leaves the upload usable."""
    etag = session.put_object("key", b"there").etag
    upload = session.create_multipart_upload("key")
    upload.upload_part(1, b"a")
    with pytest.raises(PreconditionFailed):
        upload.complete(if_match="0" * 32)
    upload.complete(if_match=etag)
    assert b"a" == session.get_object("key").data


def test_an_abort_that_fails_is_told_beside_the_cause() -> None:
    """The cause passes through, and its note says what is still stored."""
    recorder = Recorder(Store(abort=[error(403, "AccessDenied")]))
    with pytest.raises(RuntimeError) as caught, recorded(recorder).create_multipart_upload("key"):
        raise RuntimeError("cause")
    assert "The upload ID of 'key' could not be aborted: 403 AccessDenied" in caught.value.__notes__[0]


def test_an_abort_may_be_tried_again() -> None:
    """After an abort that failed the upload can be aborted, and nothing else."""
    recorder = Recorder(Store(abort=[error(403, "AccessDenied")]))
    upload = recorded(recorder).create_multipart_upload("key")
    upload.upload_part(1, b"a")
    with pytest.raises(AccessDenied):
        upload.abort()
    with pytest.raises(ValueError, match="being aborted"):
        upload.complete()
    upload.abort()
    assert ["create", "part", "abort", "abort"] == kinds(recorder)


class Quick:
    """The real time, in which waiting takes none."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def sleep(self, _seconds: float) -> None:
        """Nobody waits."""


@pytest.mark.parametrize("fault", ["answer lost", "request lost", "500", "error in 200", "403"])
def test_a_fault_at_every_request(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Whichever request something happens to, the object is whole or it raises, and no upload is left in the store."""
    monkeypatch.setattr(SMALL_PART, 0)
    with embedded(clock=Quick()) as (session, recorder):
        other = session.create_multipart_upload("key")
        app = recorder.answer
        for number in range(1, 7):
            session.delete_object("key")
            count = itertools.count(1)

            def faulty(request: Request, number: int = number, count: Iterator[int] = count) -> Response:
                if next(count) != number:
                    return app(request)
                if fault == "request lost":
                    raise ConnectionLost("before it was sent")
                if fault in {"500", "403"}:
                    return error(int(fault), "AccessDenied" if fault == "403" else "InternalError")
                response = app(request)
                if fault == "answer lost":
                    raise lost()
                return error(200, "InternalError") if response.body else response

            recorder.answer = faulty
            try:
                with session.create_multipart_upload("key") as upload:
                    for part in (1, 2, 3):
                        upload.upload_part(part, b"%d," % part)
            except S3FuncError:
                assert fault == "403"
            recorder.answer = app
            assert [other.upload_id] == [row.upload_id for row in session.list_multipart_uploads()], number
            assert (fault != "403" or number == 6) == session.exists("key"), number
            if session.exists("key"):
                assert b"1,2,3," == session.get_object("key").data


def test_a_swallowed_failure_of_an_abort_completes_nothing() -> None:
    """A block that goes on after an abort that failed aborts once more at its end."""
    recorder = Recorder(Store(abort=[error(403, "AccessDenied")]))
    with recorded(recorder).create_multipart_upload("key") as upload:
        upload.upload_part(1, b"a")
        try:
            upload.abort()
        except AccessDenied:
            pass
    assert ["create", "part", "abort", "abort"] == kinds(recorder)


def test_an_upload_that_is_gone_is_aborted() -> None:
    """NoSuchUpload is what an abort wants to reach."""
    recorder = Recorder(Store(abort=[error(404, "NoSuchUpload")]))
    recorded(recorder).create_multipart_upload("key").abort()
    assert ["create", "abort"] == kinds(recorder)


def test_threads_send_parts_together(session: S3Session) -> None:
    """Parts may be sent by several threads at once."""
    with session.create_multipart_upload("key") as upload:
        threads = [Thread(target=upload.upload_part, args=(number, b"%d," % number)) for number in range(1, 41)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert b"".join(b"%d," % number for number in range(1, 41)) == session.get_object("key").data


class Slow:
    """A store whose parts arrive only when they may."""

    def __init__(self) -> None:
        self.arrived, self.may_arrive = Event(), Event()
        self.inner = Store()

    def __call__(self, request: Request) -> Response:
        if kind_of(request) == "part":
            self.arrived.set()
            assert self.may_arrive.wait(30)
        return self.inner(request)


def test_a_part_that_arrives_after_the_abort_is_aborted_too() -> None:
    """S3 may keep a part that was under way when its upload was aborted: the last one to arrive aborts again."""
    store = Slow()
    recorder = Recorder(store)
    upload = recorded(recorder).create_multipart_upload("key")
    thread = Thread(target=upload.upload_part, args=(1, b"a"))
    thread.start()
    assert store.arrived.wait(30)
    upload.abort()
    store.may_arrive.set()
    thread.join()
    assert ["create", "part", "abort", "abort"] == kinds(recorder)


def test_an_upload_is_not_completed_while_parts_are_under_way() -> None:
    """complete() does not leave out what is being sent."""
    store = Slow()
    recorder = Recorder(store)
    upload = recorded(recorder).create_multipart_upload("key")
    thread = Thread(target=upload.upload_part, args=(1, b"a"))
    thread.start()
    assert store.arrived.wait(30)
    with pytest.raises(ValueError, match="1 parts are still under way"):
        upload.complete()
    store.may_arrive.set()
    thread.join()
    upload.complete()
    assert ["create", "part", "complete"] == kinds(recorder)


@pytest.mark.parametrize("number", [0, -1, 10_001, "1", 1.0, True, None])
def test_part_numbers(number: Any) -> None:
    """Parts are numbered from 1 to 10,000; anything else is refused before it is sent, and harms nothing."""
    recorder = Recorder(Store())
    upload = recorded(recorder).create_multipart_upload("key")
    for refused in (upload.upload_part, upload.upload_part_copy):
        with pytest.raises((TypeError, ValueError), match="part_number"):
            refused(number, "key")
    upload.upload_part(10_000, b"a")
    upload.complete()
    assert ["create", "part", "complete"] == kinds(recorder)


# --- checksums


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256", "auto", "off"])
def test_checksums_of_parts_and_whole(session: S3Session, algorithm: str) -> None:
    """Every part carries its checksum; the whole has one that downloads are verified with, if it is a CRC."""
    with session.create_multipart_upload("key", checksum=algorithm) as upload:
        for number, data in enumerate((b"a" * 70_000, b"", b"b" * 3), 1):
            part = upload.upload_part(number, data)
            name = {"auto": "crc32"}.get(algorithm, algorithm)
            assert ([] if algorithm == "off" else [name]) == list(part.checksums)
    head = session.head_object("key")
    session.put_object("whole", b"a" * 70_000 + b"b" * 3, checksum=algorithm)
    whole = session.head_object("whole")
    if algorithm in {"crc32", "crc32c", "crc64nvme", "auto"}:
        assert whole.headers[f"x-amz-checksum-{name}"] == head.headers[f"x-amz-checksum-{name}"]
        assert "FULL_OBJECT" == head.headers["x-amz-checksum-type"]
    elif algorithm != "off":
        assert "COMPOSITE" == head.headers["x-amz-checksum-type"]
    assert b"a" * 70_000 + b"b" * 3 == session.get_object("key").data


def test_a_composite_checksum_can_be_asked_for(session: S3Session) -> None:
    """checksum_type="COMPOSITE" keeps the checksum of the parts' checksums."""
    with session.create_multipart_upload("key", checksum_type="COMPOSITE") as upload:
        upload.upload_part(1, b"a")
    assert "COMPOSITE" == session.head_object("key").headers["x-amz-checksum-type"]


def confirming(kind: str = "FULL_OBJECT") -> Response:
    """The answer of a store that knows checksums of whole objects."""
    document = render_create_multipart_upload(BegunUpload("bucket", "key", "ID"))
    return Response(200, {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": kind}, document)


def test_the_whole_is_compared_where_the_store_can() -> None:
    """Checksum, its type and size of the whole go along with the completion when the store has said that it knows."""
    recorder = Recorder(Store(create=[confirming()]))
    with recorded(recorder).create_multipart_upload("key") as upload:
        upload.upload_part(2, b"world")
        upload.upload_part(1, b"hello ")
    expected = {
        "x-amz-checksum-crc32": base64_crc32(b"hello world"),
        "x-amz-checksum-type": "FULL_OBJECT",
        "x-amz-mp-object-size": "11",
    }
    assert expected.items() <= recorder.last.headers.items()


@pytest.mark.parametrize("answer", [[], [confirming("COMPOSITE")]], ids=["silent", "composite"])
def test_the_whole_is_not_compared_where_the_store_cannot(answer: list[Response | Exception]) -> None:
    """A store that says nothing of whole objects is not told about them: it would compare with something else."""
    recorder = Recorder(Store(create=answer))
    with recorded(recorder).create_multipart_upload("key") as upload:
        upload.upload_part(1, b"hello")
    names = {"x-amz-checksum-crc32", "x-amz-checksum-type", "x-amz-mp-object-size"}
    assert set() == names & recorder.last.headers.keys()


def test_a_part_that_the_store_has_wrong_is_an_error() -> None:
    """A checksum in the answer that is not the one that was sent is a ChecksumMismatch."""
    wrong = Response(200, {"etag": '"e"', "x-amz-checksum-crc32": "AAAAAA=="}, b"")
    recorder = Recorder(Store(part=[wrong]))
    upload = recorded(recorder).create_multipart_upload("key")
    with pytest.raises(ChecksumMismatch, match="AAAAAA=="):
        upload.upload_part(1, b"hello")


def test_a_store_without_checksums_is_asked_without() -> None:
    """CreateMultipartUpload is repeated without the default checksum, once; its parts and later uploads go without."""
    recorder = Recorder(Store(create=[Response(501, {}, NO_CHECKSUMS)]))
    session = recorded(recorder)
    with pytest.warns(ChecksumRefused):
        upload = session.create_multipart_upload("key")
    upload.upload_part(1, b"a")
    upload.complete()
    session.create_multipart_upload("key")
    assert ["create", "create", "part", "complete", "create"] == kinds(recorder)
    assert [2, 0, 0, 0, 0] == [
        sum(name.startswith("x-amz-checksum-") for name in sent.headers) for sent in recorder.sent
    ]


def test_an_algorithm_that_was_asked_for_is_not_dropped() -> None:
    """checksum= and checksum_type= are sent, or the call fails."""
    asked: list[dict[str, Any]] = [{"checksum": "crc32"}, {"checksum_type": "COMPOSITE"}]
    for options in asked:
        recorder = Recorder(Store(create=[Response(501, {}, NO_CHECKSUMS)]))
        with pytest.raises(NotImplementedByStore, match="no checksums"):
            recorded(recorder).create_multipart_upload("key", **options)
        assert ["create"] == kinds(recorder)


# --- the verbs one by one


def test_the_verbs_of_an_upload(session: S3Session) -> None:
    """AWS's own verbs do the same, part by part, in any order and in any of the forms that parts come in."""
    upload_id = session.create_multipart_upload("key").upload_id
    third = session.upload_part("key", upload_id, 3, b"three")
    first = session.upload_part("key", upload_id, 1, b"one ")
    second = session.upload_part("key", upload_id, 2, b"two ")
    rows = list(session.list_parts("key", upload_id))
    assert [(1, 4), (2, 4), (3, 5)] == [(row.part_number, row.size) for row in rows]
    session.complete_multipart_upload(
        "key",
        upload_id,
        [third, rows[0], (2, f'"{second.etag}"')],
        checksums={"crc32": base64_crc32(b"one two three")},
        size=13,
    )
    assert b"one two three" == session.get_object("key").data
    assert (1, md5(b"one ").hexdigest()) == (first.part_number, first.etag)


def test_parts_as_boto3_has_them(session: S3Session) -> None:
    """Mappings with PartNumber and ETag are parts, too."""
    upload_id = session.create_multipart_upload("key").upload_id
    parts = [
        {"PartNumber": number, "ETag": f'"{session.upload_part("key", upload_id, number, b"x").etag}"'}
        for number in (2, 1)
    ]
    session.complete_multipart_upload("key", upload_id, (part for part in parts))
    assert b"xx" == session.get_object("key").data


def test_a_wrong_whole_is_refused(session: S3Session) -> None:
    """The store compares checksum and size of the whole with what it has."""
    upload_id = session.create_multipart_upload("key").upload_id
    part = session.upload_part("key", upload_id, 1, b"one")
    with pytest.raises(InvalidRequest):
        session.complete_multipart_upload("key", upload_id, [part], size=4)
    with pytest.raises(InvalidRequest):
        session.complete_multipart_upload("key", upload_id, [part], checksums={"crc32": base64_crc32(b"two")})
    assert not session.exists("key")


def test_a_part_of_an_object(session: S3Session) -> None:
    """A part may be an object, a range of it, or of a certain state of it."""
    etag = session.put_object("sou rce+", b"0123456789").etag
    with session.create_multipart_upload("key") as upload:
        upload.upload_part_copy(1, "sou rce+", range_start=2, range_end=4, source_if_match=etag)
        upload.upload_part_copy(2, "sou rce+")
        with pytest.raises(PreconditionFailed):
            session.upload_part_copy("key", upload.upload_id, 3, "sou rce+", source_if_match="0" * 32)
    assert b"2340123456789" == session.get_object("key").data
    assert base64_crc32(b"2340123456789") == session.head_object("key").headers["x-amz-checksum-crc32"]


def test_a_part_of_an_object_that_is_not_there(session: S3Session) -> None:
    """A missing source is NoSuchKey, and the part is not made."""
    upload = session.create_multipart_upload("key")
    with pytest.raises(NoSuchKey):
        upload.upload_part_copy(1, "missing")
    assert [] == list(upload.list_parts())


def test_the_headers_of_a_copied_part() -> None:
    """Each argument is its documented header."""
    recorder = Recorder(Store())
    session = recorded(recorder)
    session.upload_part_copy(
        "key",
        "ID",
        2,
        "a b",
        source_version_id="v 1",
        source_bucket="src",
        range_start=0,
        range_end=9,
        source_if_match="e",
        headers={"x-amz-copy-source-if-none-match": "x"},
    )
    expected = {
        "x-amz-copy-source": "/src/a%20b?versionId=v%201",
        "x-amz-copy-source-range": "bytes=0-9",
        "x-amz-copy-source-if-match": '"e"',
        "x-amz-copy-source-if-none-match": "x",
    }
    assert expected.items() <= recorder.last.headers.items()
    assert ("PUT", "/bucket/key", "partNumber=2&uploadId=ID") == (
        recorder.last.method,
        recorder.last.path,
        recorder.last.query,
    )


@pytest.mark.parametrize("given", [{"range_start": 5}, {"range_end": 5}, {"range_start": 5, "range_end": 4}], ids=str)
def test_a_range_has_two_ends(given: dict[str, Any]) -> None:
    """S3 copies no open range into a part."""
    recorder = Recorder(Store())
    with pytest.raises(ValueError, match="range_"):
        recorded(recorder).upload_part_copy("key", "ID", 1, "source", **given)
    assert [] == recorder.sent


def test_headers_that_every_request_repeats() -> None:
    """A customer's key, the payer and the expected owner go along with parts, completion and abort; the rest does not."""
    repeated = {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-request-payer": "requester",
        "x-amz-expected-bucket-owner": "1",
    }
    recorder = Recorder(Store())
    session = recorded(recorder)
    with session.create_multipart_upload("key", {"m": "1"}, headers={**repeated, "x-amz-grant-read": "x"}) as upload:
        upload.upload_part(1, b"a")
        upload.upload_part_copy(2, "source")
    assert ["create", "part", "copy", "complete"] == kinds(recorder)
    for sent in recorder.sent:
        assert repeated.items() <= sent.headers.items()
    assert ["x-amz-meta-m" in sent.headers for sent in recorder.sent] == [True, False, False, False]
    assert ["x-amz-grant-read" in sent.headers for sent in recorder.sent] == [True, False, False, False]


def test_another_bucket(session: S3Session) -> None:
    """bucket= counts for every verb, and for all that a MultipartUpload does."""
    session.create_bucket("other")
    with session.create_multipart_upload("key", bucket="other") as upload:
        upload.upload_part(1, b"a")
        assert 1 == len(list(upload.list_parts()))
        assert [upload.upload_id] == [row.upload_id for row in session.list_multipart_uploads(bucket="other")]
        assert [] == list(session.list_multipart_uploads())
    assert b"a" == session.get_object("key", bucket="other").data
    session.create_multipart_upload("key", bucket="other").abort()
    session.create_multipart_upload("key", bucket="other")
    assert 1 == len(session.abort_multipart_uploads(0, bucket="other"))


def test_every_hostile_key_is_uploaded_and_listed_exactly(session: S3Session) -> None:
    """Uploads of keys that paths, queries or XML could change are begun, listed and completed under that very key."""
    # The server takes every key but one with a NUL.
    keys = [key for key in HOSTILE_KEYS if "\0" not in key]
    uploads = {}
    for key in keys:
        uploads[key] = session.create_multipart_upload(key)
        uploads[key].upload_part(1, key.encode())
    listed = [entry.key for entry in session.list_multipart_uploads(max_uploads=1000)]
    assert sorted(keys, key=str.encode) == listed
    for key in keys:
        uploads[key].complete()
    assert [key.encode() for key in keys] == [session.get_object(key).data for key in keys]


def test_keys_on_the_wire() -> None:
    """Every verb encodes the key once."""
    recorder = Recorder(
        Store(parts=[Response(200, {}, render_list_parts(PartsPage([]), bucket="b", key="k", upload_id="i"))])
    )
    session = recorded(recorder)
    key, upload_id = "a//../b?c#d%20e +é", "i/d=&+ %"
    session.create_multipart_upload(key)
    session.upload_part(key, upload_id, 1, b"x")
    session.upload_part_copy(key, upload_id, 1, "source")
    list(session.list_parts(key, upload_id))
    session.complete_multipart_upload(key, upload_id, [(1, "e")])
    session.abort_multipart_upload(key, upload_id)
    assert {f"/bucket/{encoded(key)}"} == {sent.path for sent in recorder.sent}
    assert ["uploadId=i%2Fd%3D%26%2B%20%25" in sent.query for sent in recorder.sent] == [False] + [True] * 5


# --- completion


def test_a_store_that_does_not_know_copies_of_parts() -> None:
    """One that takes the request for an empty part is found out at once: no part of such an upload may be published."""
    recorder = Recorder(Store(copy=[Response(200, {"etag": '"d41d8cd98f00b204e9800998ecf8427e"'}, b"")]))
    with pytest.raises(NotSupported, match="UploadPartCopy"):
        recorded(recorder).upload_part_copy("key", "ID", 1, "source")
    assert ["copy"] == kinds(recorder)


WHITE = b'<?xml version="1.0" encoding="UTF-8"?>\n \n   \n '


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<Error><Code>InternalError</Code><Message>after all</Message></Error>", ServerError),
        (WHITE + b"<Error><Code>InternalError</Code></Error>", ServerError),
        (b"   \n <Error><Code>InvalidPart</Code></Error>", InvalidRequest),
        (b"", ProtocolError),
        (WHITE, ProtocolError),
        (b"<html><body>wait</body></html>", ProtocolError),
        (b"<CompleteMultipartUploadResult><ETag>&quot;e&quot;</ETag>", ProtocolError),
        (b"<CopyPartResult><ETag>&quot;e&quot;", ProtocolError),
    ],
)
def test_200_is_not_success_yet(body: bytes, expected: type[Exception]) -> None:
    """S3 may say 200 before it knows: an error, nothing or a part of a document behind it is raised."""
    session = recorded(Recorder(lambda _: Response(200, {}, body)), retries=1)
    with pytest.raises(expected):
        session.complete_multipart_upload("key", "ID", [(1, "e")])
    with pytest.raises(expected):
        session.upload_part_copy("key", "ID", 1, "source")


def test_white_space_before_the_document() -> None:
    """What S3 sends to keep the connection alive is no part of the answer."""
    document = render_complete_result(CompletedUpload("l", "b", "k", "e-1")).partition(b"\n")[2]
    session = recorded(Recorder(lambda _: Response(200, {}, WHITE + document)))
    assert "e-1" == session.complete_multipart_upload("key", "ID", [(1, "e")]).etag


def test_an_internal_error_behind_200_is_tried_again() -> None:
    """AWS documents that this request is to be repeated."""
    recorder = Recorder(Store(complete=[error(200, "InternalError")]))
    assert "0123-1" == recorded(recorder).complete_multipart_upload("key", "ID", [(1, "e")]).etag
    assert ["complete", "complete"] == kinds(recorder)


def lost() -> ConnectionLost:
    """What a transport raises when the answer does not arrive."""
    failure = ConnectionLost("the connection broke")
    failure.maybe_applied = True
    return failure


@pytest.mark.parametrize("code", ["NoSuchUpload", "NoSuchKey"])
@pytest.mark.parametrize("found", ["ours", "another", "nothing"])
def test_a_completion_whose_answer_was_lost(found: str, code: str) -> None:
    """NoSuchUpload behind a lost answer is a success if the object is made of these very parts, else it is raised."""
    etag = md5(b"a").hexdigest()
    expected = etag_of(b"a")
    head = {
        "ours": Response(200, {"etag": f'"{expected}"', "x-amz-version-id": "7", "content-length": "1"}),
        "another": Response(200, {"etag": f'"{"0" * 32}-1"'}),
        "nothing": Response(404, {}),
    }[found]
    recorder = Recorder(Store(complete=[lost(), error(404, code)], head=[head]))
    session = recorded(recorder)
    if found == "ours":
        result = session.complete_multipart_upload("key", "ID", [(1, etag)])
        assert (expected, "7") == (result.etag, result.version_id)
    else:
        with pytest.raises(NotFound, match=code) as caught:
            session.complete_multipart_upload("key", "ID", [(1, etag)])
        assert caught.value.maybe_applied
    assert ["complete", "complete", "head"] == kinds(recorder)


def test_a_completion_that_cannot_be_recognised() -> None:
    """Where the parts' ETags are no MD5s, nobody can tell whose object it is, and the error says that it may be ours."""
    recorder = Recorder(Store(complete=[lost(), error(404, "NoSuchUpload")]))
    with pytest.raises(NoSuchUpload, match="may have been applied"):
        recorded(recorder).complete_multipart_upload("key", "ID", [(1, "opaque")])
    assert ["complete", "complete"] == kinds(recorder)


def test_a_conflicting_write_is_told_at_once() -> None:
    """Asking again would not help: S3 wants the parts in a new upload. The error says what it was about."""
    recorder = Recorder(Store(complete=[error(409, "ConditionalRequestConflict")]))
    with pytest.raises(Conflict, match="ConditionalRequestConflict") as caught:
        recorded(recorder).complete_multipart_upload("key", "ID", [(1, "e")], if_none_match="*")
    assert ["complete"] == kinds(recorder)
    assert ("bucket", "key") == (caught.value.bucket, caught.value.key)


def test_an_upload_that_never_was() -> None:
    """NoSuchUpload at the first attempt is that, and nothing is looked up."""
    recorder = Recorder(Store(complete=[error(404, "NoSuchUpload")]))
    with pytest.raises(NoSuchUpload):
        recorded(recorder).complete_multipart_upload("key", "ID", [(1, md5(b"a").hexdigest())])
    assert ["complete"] == kinds(recorder)


def test_an_abort_whose_answer_was_lost() -> None:
    """NoSuchUpload behind a lost answer is what was wanted; at the first attempt it is raised."""
    recorder = Recorder(Store(abort=[lost(), error(404, "NoSuchUpload")]))
    recorded(recorder).abort_multipart_upload("key", "ID")
    recorder.answer = Store(abort=[error(404, "NoSuchUpload")])
    with pytest.raises(NoSuchUpload):
        recorded(recorder).abort_multipart_upload("key", "ID")


def test_the_document_of_a_completion() -> None:
    """Parts stand by number, with quoted ETags and the checksums that the store has answered; the body is signed."""
    recorder = Recorder(Store())
    recorded(recorder).complete_multipart_upload(
        "key", "ID", [CompletedPart(2, "b", {"crc32": "AAAAAA=="}), (1, '"a"')], if_none_match="*"
    )
    sent = recorder.last
    assert (
        b"<Part><ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber></Part>"
        b"<Part><ETag>&quot;b&quot;</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32><PartNumber>2</PartNumber></Part>"
    ) in sent.body
    assert sha256(sent.body).hexdigest() == sent.headers["x-amz-content-sha256"]
    assert "*" == sent.headers["if-none-match"]


# --- listings


def test_parts_of_many_pages(session: S3Session) -> None:
    """All parts are listed, page by page, also from a number on."""
    upload = session.create_multipart_upload("key")
    for number in range(1, 8):
        upload.upload_part(number * 3, b"x")
    pages = list(session.list_parts("key", upload.upload_id, max_parts=3).pages())
    assert [[3, 6, 9], [12, 15, 18], [21]] == [[row.part_number for row in page.parts] for page in pages]
    rest = session.list_parts("key", upload.upload_id, part_number_marker=12, max_parts=2)
    assert [15, 18, 21] == [row.part_number for row in rest] == [row.part_number for row in rest]


def test_uploads_of_many_pages(session: S3Session) -> None:
    """All uploads are listed, several of one key as well, which only both markers together get past."""
    begun = [(key, session.create_multipart_upload(key).upload_id) for key in ("a", "b", "b", "b", "c/1", "c/2", "d")]
    for size in (1, 2, 3):
        listing = session.list_multipart_uploads(max_uploads=size)
        assert sorted(begun) == sorted((row.key, row.upload_id) for row in listing)
    assert ["c/1", "c/2"] == [row.key for row in session.list_multipart_uploads("c/")]
    folded = session.list_multipart_uploads(delimiter="/", max_uploads=1)
    assert ["a", "b", "b", "b", "d"] == [row.key for row in folded]
    assert ["c/"] == folded.common_prefixes
    assert ["c/1", "c/2", "d"] == [row.key for row in session.list_multipart_uploads(key_marker="b")]
    ids = [row.upload_id for row in session.list_multipart_uploads("b")]
    behind = session.list_multipart_uploads("b", key_marker="b", upload_id_marker=ids[0])
    assert ids[1:] == [row.upload_id for row in behind]


def test_common_prefixes_are_listed_when_they_are_asked_for(session: S3Session) -> None:
    """Without an iteration before, they take one of their own."""
    session.create_multipart_upload("p/1")
    assert ["p/"] == session.list_multipart_uploads(delimiter="/").common_prefixes


def test_listings_are_lazy() -> None:
    """Nothing is asked for before the iteration begins, but wrong arguments are refused at once."""
    recorder = Recorder(Store())
    session = recorded(recorder)
    session.list_parts("key", "ID")
    session.list_multipart_uploads()
    for refused in (
        lambda: session.list_parts("key", ""),
        lambda: session.list_parts("", "ID"),
        lambda: session.list_parts("key", "ID", max_parts=1001),
        lambda: session.list_multipart_uploads(max_uploads=0),
        lambda: session.list_multipart_uploads(5),  # type: ignore[arg-type]
    ):
        with pytest.raises((TypeError, ValueError)):
            refused()
    assert [] == recorder.sent


def test_uploads_are_listed_with_encoded_keys() -> None:
    """encoding-type=url is always asked for: a key with a control character makes a page that is no XML otherwise."""
    page = UploadsPage([UploadEntry("a\x01 +%é", "ID")])
    document = render_list_multipart_uploads(page, bucket="bucket", encoding_type="url")
    recorder = Recorder(Store(uploads=[Response(200, {}, document)]))
    assert ["a\x01 +%é"] == [row.key for row in recorded(recorder).list_multipart_uploads("a b&c")]
    assert "encoding-type=url&prefix=a%20b%26c&uploads=" == recorder.last.query


ODD_KEYS = ["%41", "a%20b", "a\x01", "b", "é +%"]


@pytest.mark.parametrize("store", ["says so", "encodes and does not say so", "encodes nothing"])
def test_keys_of_uploads_are_exact_on_every_store(store: str) -> None:
    """A page that does not say whether its keys are encoded is asked for again without, and not guessed at."""

    def answer_to(request: Request) -> Response:
        marker = "key-marker" in request.query
        uploads = [UploadEntry(key, "ID") for key in (ODD_KEYS[3:] if marker else ODD_KEYS[:3])]
        page = UploadsPage(uploads, (), not marker, None if marker else "a\x01", None if marker else "ID")
        encodes = "encoding-type=url" in request.query and store != "encodes nothing"
        document = render_list_multipart_uploads(page, bucket="bucket", encoding_type="url" if encodes else "")
        if store == "encodes and does not say so":
            document = document.replace(b"<EncodingType>url</EncodingType>", b"")
        return Response(200, {}, document)

    recorder = Recorder(answer_to)
    listing = recorded(recorder).list_multipart_uploads()
    assert ODD_KEYS == [row.key for row in listing]
    assert (2 if store == "says so" else 4) == len(recorder.sent)


def test_plain_keys_of_uploads_are_asked_for_once() -> None:
    """Where no key can be encoded, it does not matter what the page says."""
    document = render_list_multipart_uploads(UploadsPage([UploadEntry("a/b", "ID")]), bucket="bucket")
    recorder = Recorder(Store(uploads=[Response(200, {}, document)]))
    assert ["a/b"] == [row.key for row in recorded(recorder).list_multipart_uploads()]
    assert 1 == len(recorder.sent)


def test_a_list_that_does_not_get_on_is_an_error() -> None:
    """A store that claims more and repeats its place is not asked for ever."""
    parts = render_list_parts(PartsPage([PartEntry(1, 1, "e")], True, 1), bucket="b", key="k", upload_id="i")
    session = recorded(Recorder(lambda _: Response(200, {}, parts)))
    with pytest.raises(ProtocolError, match="no new place"):
        list(session.list_parts("key", "ID"))
    uploads = render_list_multipart_uploads(UploadsPage([UploadEntry("a", "1")], (), True, "a", "1"), bucket="b")
    session = recorded(Recorder(lambda _: Response(200, {}, uploads)))
    with pytest.raises(ProtocolError, match="no new place"):
        list(session.list_multipart_uploads())


# --- aborting what was forgotten


def at(seconds: float) -> Any:
    """The moment so many seconds before now."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(NOW - seconds, UTC)


def listing_of(*uploads: UploadEntry, **headers: str) -> Recorder:
    """A store with these uploads."""
    document = render_list_multipart_uploads(UploadsPage(list(uploads)), bucket="bucket")
    return Recorder(Store(uploads=[Response(200, headers, document)]))


OLD_AND_YOUNG = (
    UploadEntry("a", "old", at(3601)),
    UploadEntry("b", "young", at(3599)),
    UploadEntry("c", "unknown"),
)
DATE = "Sat, 21 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize("age", [3600, 3600.0, timedelta(hours=1)], ids=str)
def test_uploads_older_than(age: timedelta | float) -> None:
    """Those that were begun longer ago are aborted and returned; younger ones and those of unknown age stay."""
    recorder = listing_of(*OLD_AND_YOUNG, date=DATE)
    assert ["old"] == [row.upload_id for row in recorded(recorder).abort_multipart_uploads(age)]
    assert ["uploads", "abort"] == kinds(recorder)
    assert "uploadId=old" == recorder.last.query


def test_the_age_is_reckoned_by_the_clock_of_the_store() -> None:
    """A clock of ours that goes a day fast aborts nothing that the store knows to be young."""
    recorder = listing_of(*OLD_AND_YOUNG, date=DATE)
    session = recorded(recorder, clock=FrozenClock(NOW + 86_400))
    assert ["old"] == [row.upload_id for row in session.abort_multipart_uploads(3600)]


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_without_a_date_our_clock_serves(date: str) -> None:
    """A store that sends no Date is judged by our own clock."""
    recorder = listing_of(*OLD_AND_YOUNG, **({"date": date} if date else {}))
    assert ["old"] == [row.upload_id for row in recorded(recorder).abort_multipart_uploads(3600)]


def test_all_uploads(session: S3Session) -> None:
    """0 aborts all there are under the prefix, and only there."""
    for key in ("a/1", "a/2", "b"):
        session.create_multipart_upload(key).upload_part(1, b"x")
    assert [] == session.abort_multipart_uploads(3600)
    assert ["a/1", "a/2"] == [row.key for row in session.abort_multipart_uploads(0, "a/")]
    assert ["b"] == [row.key for row in session.list_multipart_uploads()]


def test_uploads_of_unknown_age_are_among_all() -> None:
    """With 0 the age does not matter."""
    recorder = listing_of(*OLD_AND_YOUNG, date=DATE)
    assert 3 == len(recorded(recorder).abort_multipart_uploads(0))


def test_an_upload_that_somebody_else_has_ended() -> None:
    """It is not counted as aborted, and ends nothing."""
    recorder = listing_of(UploadEntry("a", "1", at(5)), UploadEntry("b", "2", at(5)), date=DATE)
    store = recorder.answer
    assert isinstance(store, Store)
    store.answers["abort"] = [error(404, "NoSuchUpload")]
    assert ["2"] == [row.upload_id for row in recorded(recorder).abort_multipart_uploads(1)]


@pytest.mark.parametrize("age", [-1, -0.5, timedelta(seconds=-1), float("nan"), float("inf"), "1", None, True, []])
def test_an_age_that_is_none(age: Any) -> None:
    """A negative age would abort what is yet to come; it and what is no age at all are refused, and nothing is sent."""
    recorder = Recorder(Store())
    with pytest.raises((TypeError, ValueError), match="older_than"):
        recorded(recorder).abort_multipart_uploads(age)
    assert [] == recorder.sent


# --- the requests themselves


PLACE = Place("https://bucket.example", "bucket.example", "/", "us-east-1")


@given(st.integers(1, 10_000), st.text(min_size=1))
def test_a_part_knows_its_number(number: int, upload_id: str) -> None:
    """The number of an answered part is the one that was asked for, whatever the upload's id."""
    try:
        upload_id.encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError, match="upload_id"):
            multipart_operations.upload_part(PLACE, "key", upload_id, number, b"", "", {})
        return
    request = multipart_operations.upload_part(PLACE, "key", upload_id, number, b"", "", {})
    part = multipart_operations.parse_upload_part(request, Response(200, {"etag": '"e"'}))
    assert (number, "e") == (part.part_number, part.etag)


def test_a_part_without_an_etag_is_no_part() -> None:
    """An answer without ETag, or a page of HTML, does not count as a part."""
    request = multipart_operations.upload_part(PLACE, "key", "ID", 1, b"", "", {})
    for answer in (Response(200, {}), Response(200, {"etag": '"e"'}, b"<html>login</html>")):
        with pytest.raises(ProtocolError):
            multipart_operations.parse_upload_part(request, answer)
