"""Copies above what one CopyObject takes: in parts, with the same result as a small one, or with none at all."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import (
    AccessDenied,
    ChecksumMismatch,
    Conflict,
    ConnectionLost,
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    NotSupported,
    ObjectChanged,
    PreconditionFailed,
    S3FuncError,
    ServiceError,
)
from s3func.message import Request, Response
from s3func.s3 import copying
from s3func.s3.endpoints import PartRules
from s3func.transport.transfer import TransferConfig
from tests.s3.rigs import Recorder, embedded, recorded
from tests.s3.test_multipart import error, kind_of, kinds

CONTENT = bytes(range(256)) * 41
"""10,496 bytes."""
IN_PARTS = TransferConfig(multipart_threshold=1, part_size=1000, concurrency=4)
DESCRIPTION: dict[str, Any] = {
    "metadata": {"a": "1", "b": "ü", "encoded": "=?UTF-8?Q?x?="},
    "content_type": "text/plain",
    "cache_control": "no-cache",
    "content_disposition": "inline",
    "content_encoding": "gzip",
    "content_language": "de",
    "expires": "Sat, 21 Nov 2026 10:00:00 GMT",
}
TAGS = {"t": "1", "ü =@": "ö+/ :"}


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[S3Session, Recorder]]:
    """A server that takes parts of any size, with an object that has everything said about it."""
    monkeypatch.setattr("s3func.server.handlers.multipart.PART_BYTES_MIN", 0)
    with embedded() as (session, recorder):
        session.put_object(
            "sou rce", CONTENT, storage_class="STANDARD_IA", acl="public-read", tagging=TAGS, **DESCRIPTION
        )
        recorder.sent.clear()
        yield session, recorder


def everything(session: S3Session, key: str, bucket: str | None = None) -> dict[str, Any]:
    """All that can be known of an object but when it was made and how many parts it has."""
    result = session.get_object(key, bucket=bucket)
    own = {"etag", "last-modified", "date", "x-amz-request-id", "x-amz-id-2", "x-amz-version-id"}
    tags = session.request("GET", key, query={"tagging": None}, bucket=bucket).read()
    acl = session.request("GET", key, query={"acl": None}, bucket=bucket).read()
    headers = {name: value for name, value in result.headers.items() if name not in own}
    return {"data": result.data, "headers": headers, "tags": tags, "acl": acl}


GIVEN: list[dict[str, Any]] = [
    {},
    {"metadata": {"new": "ü"}},
    {"metadata": {}},
    {"content_type": "text/csv"},
    {"cache_control": "private"},
    {"tagging": {"other": "2"}},
    {"tagging": {}},
    {"storage_class": "GLACIER_IR"},
    {"acl": "public-read"},
    {"checksum": "sha1"},
    {"checksum": "crc32c"},
    {"checksum": "off"},
    {"headers": {"x-amz-metadata-directive": "REPLACE", "x-amz-meta-own": "1"}},
    {"headers": {"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "own=1"}},
    {"headers": {"x-amz-website-redirect-location": "/there"}},
    {"headers": {"x-amz-server-side-encryption": "AES256"}},
    {"metadata": {"x": "y"}, "tagging": {"z": "1"}, "storage_class": "STANDARD_IA", "acl": "private"},
]


@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_a_large_copy_is_like_a_small_one(rig: tuple[S3Session, Recorder], given: dict[str, Any]) -> None:
    """Content, metadata, headers, tags, ACL, storage class and checksum are the same, whichever way it went."""
    session, recorder = rig
    session.copy_object("sou rce", "small", **given)
    recorder.sent.clear()
    session.copy_object("sou rce", "large", transfer=IN_PARTS, **given)
    assert 11 == kinds(recorder).count("copy")
    small, large = everything(session, "small"), everything(session, "large")
    if given.get("checksum") == "sha1":
        # There is no SHA-1 of an object from those of its parts.
        for found in (small, large):
            found["headers"] = {n: v for n, v in found["headers"].items() if not n.startswith("x-amz-checksum-")}
    assert small == large
    assert CONTENT == large["data"]
    assert [] == list(session.list_multipart_uploads())


@pytest.mark.parametrize("checksum", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256", "off"])
def test_the_checksum_of_the_source_goes_along(rig: tuple[S3Session, Recorder], checksum: str) -> None:
    """The copy has a checksum of the same kind as its source; a CRC is the very same."""
    session, _ = rig
    session.put_object("source", CONTENT, checksum=checksum)
    session.copy_object("source", "copy", transfer=IN_PARTS)
    source, copy = session.head_object("source").headers, session.head_object("copy").headers
    name = f"x-amz-checksum-{checksum}"
    if checksum.startswith("crc"):
        assert source[name] == copy[name]
    else:
        assert (name in source) == (name in copy)
    assert CONTENT == session.get_object("copy").data


def test_the_result_of_a_large_copy(rig: tuple[S3Session, Recorder]) -> None:
    """It says of the copy what a HEAD says of it."""
    session, _ = rig
    result = session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    head = session.head_object("copy")
    assert (head.etag, head.last_modified) == (result.etag, result.last_modified)
    assert 200 == result.status
    assert re.fullmatch("[0-9a-f]{32}-11", result.etag)
    assert result.metadata["upload_timestamp"] == head.last_modified


@pytest.mark.parametrize(("size", "parts"), [(1, 1), (999, 1), (1000, 1), (1001, 2), (2000, 2), (2001, 3), (9999, 10)])
def test_the_ranges_of_the_parts(rig: tuple[S3Session, Recorder], size: int, parts: int) -> None:
    """The parts are the source, without a gap and without an overlap; a single part needs no range."""
    session, recorder = rig
    session.put_object("source", CONTENT[:size])
    recorder.sent.clear()
    session.copy_object("source", "copy", transfer=IN_PARTS)
    copied = [sent for sent in recorder.sent if kind_of(sent) == "copy"]
    assert parts == len(copied)
    if parts == 1:
        assert "x-amz-copy-source-range" not in copied[0].headers
    else:
        ranges = sorted(
            tuple(map(int, sent.headers["x-amz-copy-source-range"].removeprefix("bytes=").split("-")))
            for sent in copied
        )
        assert (0, size - 1) == (ranges[0][0], ranges[-1][1])
        assert [last + 1 for _, last in ranges[:-1]] == [first for first, _ in ranges[1:]]
    assert CONTENT[:size] == session.get_object("copy").data


def test_an_empty_object_is_copied_in_one_request(rig: tuple[S3Session, Recorder]) -> None:
    """Nothing has no parts."""
    session, recorder = rig
    session.put_object("source", b"")
    recorder.sent.clear()
    session.copy_object("source", "copy", transfer=TransferConfig(multipart_threshold=0))
    assert ["head", "copy"] == kinds(recorder)
    assert b"" == session.get_object("copy").data


@pytest.mark.parametrize(
    ("size", "given", "expected"),
    [
        (5 * 1024**3, None, 128 * 1024**2),
        (50 * 10**12, None, 4769 * 1024**2),
        (10_000 * 5 * 1024**3, None, 5 * 1024**3),
        (1_000_000, 10, 100),
        (1_000_001, 10, 101),
    ],
)
def test_ten_thousand_parts_are_enough(size: int, given: int | None, expected: int) -> None:
    """The parts grow with the object, so that 10,000 hold it: 50 TB as well."""
    store = SimpleNamespace(endpoint=SimpleNamespace(parts=PartRules()))
    job: Any = SimpleNamespace(settings=TransferConfig(part_size=given), authorizer=store)
    parts = list(copying._parts(job, size))
    assert expected == parts[0].length
    assert len(parts) <= 10_000
    assert size == parts[-1].start + parts[-1].length


# --- when it is large


@pytest.fixture
def small_limit(rig: tuple[S3Session, Recorder], monkeypatch: pytest.MonkeyPatch) -> tuple[S3Session, Recorder]:
    """A server, and a client, for which 5 GiB are 10,000 bytes."""
    monkeypatch.setattr("s3func.server.handlers.copying.PUT_BYTES_MAX", 10_000)
    monkeypatch.setattr(copying, "COPY_MAX", 10_000)
    monkeypatch.setattr(copying, "MIB", 1)
    return rig


def test_a_small_object_is_one_request(small_limit: tuple[S3Session, Recorder]) -> None:
    """What fits into one CopyObject costs nothing more."""
    session, recorder = small_limit
    session.put_object("source", CONTENT[:10_000])
    recorder.sent.clear()
    session.copy_object("source", "copy")
    assert ["copy"] == kinds(recorder)


def test_a_large_object_is_found_out(small_limit: tuple[S3Session, Recorder]) -> None:
    """Above it CopyObject is refused, the size is looked up, and parts are copied without being asked for."""
    session, recorder = small_limit
    session.copy_object("sou rce", "copy")
    assert ["copy", "head", "parts", "create"] == kinds(recorder)[:4]
    assert 2 == kinds(recorder)[4:].count("copy")
    assert CONTENT == session.get_object("copy").data
    session.copy_object("sou rce", "again", transfer=TransferConfig())
    assert CONTENT == session.get_object("again").data


def test_a_refusal_for_another_reason_stays_a_refusal(small_limit: tuple[S3Session, Recorder]) -> None:
    """A small source is looked up at most, and then the refusal of CopyObject is raised."""
    session, recorder = small_limit
    session.put_object("small", b"x")
    recorder.sent.clear()
    with pytest.raises(InvalidRequest, match="storage class"):
        session.copy_object("small", "copy", storage_class="NONSENSE")
    assert ["copy", "head"] == kinds(recorder)


@pytest.mark.parametrize("transfer", [None, IN_PARTS], ids=["found out", "asked for"])
def test_a_large_copy_onto_itself(small_limit: tuple[S3Session, Recorder], transfer: TransferConfig | None) -> None:
    """A copy onto itself that changes nothing is refused, as a small one is; one that does describes the object anew."""
    session, _ = small_limit
    before = everything(session, "sou rce")
    with pytest.raises(InvalidRequest, match="to itself without changing"):
        session.copy_object("sou rce", "sou rce", transfer=transfer)
    assert before == everything(session, "sou rce")
    session.copy_object("sou rce", "sou rce", metadata={"new": "1"}, transfer=transfer)
    after = everything(session, "sou rce")
    assert CONTENT == after["data"]
    assert "1" == after["headers"]["x-amz-meta-new"]
    assert before["tags"] == after["tags"]


def test_a_large_copy_between_buckets(small_limit: tuple[S3Session, Recorder]) -> None:
    """Source and destination may each be in another bucket."""
    session, _ = small_limit
    session.create_bucket("other")
    session.copy_object("sou rce", "there", dest_bucket="other")
    session.copy_object("there", "back", source_bucket="other")
    assert CONTENT == session.get_object("back").data
    assert everything(session, "sou rce")["tags"] == everything(session, "back")["tags"]


@pytest.mark.parametrize("transfer", [None, IN_PARTS], ids=["found out", "asked for"])
def test_what_is_not_there(small_limit: tuple[S3Session, Recorder], transfer: TransferConfig | None) -> None:
    """A missing source or bucket is what the error says, in its own class, in either case."""
    session, _ = small_limit
    with pytest.raises(NoSuchKey):
        session.copy_object("missing", "copy", transfer=transfer)
    with pytest.raises(NoSuchBucket):
        session.copy_object("sou rce", "copy", source_bucket="absent", transfer=transfer)
    with pytest.raises(NoSuchBucket):
        session.copy_object("sou rce", "copy", dest_bucket="absent", transfer=transfer)


@pytest.mark.parametrize("transfer", [None, IN_PARTS], ids=["found out", "asked for"])
def test_conditions(small_limit: tuple[S3Session, Recorder], transfer: TransferConfig | None) -> None:
    """Conditions on the source and on what is replaced hold on either way, and a refused copy leaves nothing."""
    session, _ = small_limit
    etag = session.head_object("sou rce").etag
    there = session.put_object("there", b"there").etag
    refused: list[dict[str, Any]] = [
        {"dest_key": "there", "if_none_match": "*"},
        {"dest_key": "there", "if_match": "0" * 32},
        {"dest_key": "new", "source_if_match": "0" * 32},
        {"dest_key": "new", "headers": {"x-amz-copy-source-if-none-match": etag}},
        {"dest_key": "new", "headers": {"x-amz-copy-source-if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}},
        {"dest_key": "new", "headers": {"x-amz-copy-source-if-unmodified-since": "Fri, 01 Jan 2010 00:00:00 GMT"}},
    ]
    for given in refused:
        with pytest.raises(PreconditionFailed):
            session.copy_object("sou rce", transfer=transfer, **given)
    assert b"there" == session.get_object("there").data
    assert not session.exists("new")
    assert [] == list(session.list_multipart_uploads())
    session.copy_object("sou rce", "new", if_none_match="*", source_if_match=etag, transfer=transfer)
    session.copy_object("sou rce", "there", if_match=there, transfer=transfer)
    assert CONTENT == session.get_object("new").data == session.get_object("there").data


def test_a_version_is_copied(rig: tuple[S3Session, Recorder]) -> None:
    """The version that is named is copied with its own tags; without a name the newest one, which stays that one."""
    session, recorder = rig
    document = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    session.request("PUT", query={"versioning": None}, body=document)
    old = session.put_object("key", b"a" * 3000, tagging={"v": "old"}).version_id
    new = session.put_object("key", b"b" * 3000, tagging={"v": "new"}).version_id
    assert old is not None
    result = session.copy_object("key", "copy", old, transfer=IN_PARTS)
    assert old == result.source_version_id
    assert result.version_id is not None
    assert b"a" * 3000 == session.get_object("copy", result.version_id).data
    assert b"old" in session.request("GET", "copy", query={"tagging": None}).read()
    recorder.sent.clear()
    assert new == session.copy_object("key", "copy", transfer=IN_PARTS).source_version_id
    pinned = [sent.headers["x-amz-copy-source"] for sent in recorder.sent if kind_of(sent) == "copy"]
    assert [f"/bucket/key?versionId={new}"] * 3 == pinned
    assert b"new" in session.request("GET", "copy", query={"tagging": None}).read()
    assert old == session.copy_object("key", "key", old, transfer=IN_PARTS).source_version_id
    assert b"a" * 3000 == session.get_object("key").data


# --- what goes wrong on the way


class Between:
    """A server with something done just before, or in place of, certain requests."""

    def __init__(
        self, inner: Callable[[Request], Response], kind: str, then: Callable[[Request], Response | None]
    ) -> None:
        self.inner, self.kind, self.then = inner, kind, then
        self.lock = Lock()

    def __call__(self, request: Request) -> Response:
        if self.kind == ("tags" if "tagging=" in request.query else kind_of(request)):
            with self.lock:
                answer = self.then(request)
            if answer is not None:
                return answer
        return self.inner(request)


def test_a_source_that_is_replaced_meanwhile(rig: tuple[S3Session, Recorder]) -> None:
    """Parts of two objects never become one: ObjectChanged, and nothing is left; the store's word is its cause."""
    session, recorder = rig
    app = recorder.answer
    replacing = iter([True])

    def replace(request: Request) -> None:
        if "partNumber=5" in request.query and next(replacing, False):
            recorder.answer = app
            session.put_object("sou rce", b"another" * 2000)

    recorder.answer = Between(app, "copy", replace)
    with pytest.raises(ObjectChanged, match=r"the source was replaced while it was copied .*'sou rce'") as caught:
        session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    assert isinstance(caught.value.__cause__, PreconditionFailed)
    recorder.answer = app
    assert not session.exists("copy")
    assert [] == list(session.list_multipart_uploads())


@pytest.mark.parametrize("then", ["replace", "delete"])
def test_a_store_that_ignores_the_condition_of_a_part(rig: tuple[S3Session, Recorder], then: str) -> None:
    """The source is looked at once more before the copy is published, for stores that do not compare its ETag."""
    session, recorder = rig
    app = recorder.answer
    replacing = iter([True])

    def ignoring(request: Request) -> Response:
        if kind_of(request) == "copy":
            if "partNumber=5" in request.query and next(replacing, False):
                if then == "replace":
                    session.put_object("sou rce", b"another " * 1312)
                else:
                    session.delete_object("sou rce")
            if then == "delete":
                return Response(200, {}, b"<CopyPartResult><ETag>e</ETag></CopyPartResult>")
            copied = Request(
                request.method, request.origin, request.path, request.query, dict(request.headers), request.body
            )
            copied.headers["x-amz-copy-source-if-match"] = "*"
            session._at(None).authorize(copied)
            return app(copied)
        return app(request)

    recorder.answer = ignoring
    with pytest.raises(ObjectChanged, match="the source was replaced"):
        session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    recorder.answer = app
    assert not session.exists("copy")
    assert [] == list(session.list_multipart_uploads())


@pytest.mark.parametrize("kind", ["create", "copy", "complete"])
@pytest.mark.parametrize("status", [200, 403])
def test_a_failure_leaves_nothing(rig: tuple[S3Session, Recorder], kind: str, status: int) -> None:
    """Whatever is refused, with an error status or with 200, is raised, and neither object nor parts are left."""
    session, recorder = rig
    app = recorder.answer
    recorder.answer = Between(app, kind, lambda _: error(status, "AccessDenied"))
    with pytest.raises(AccessDenied):
        session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    recorder.answer = app
    assert not session.exists("copy")
    assert [] == list(session.list_multipart_uploads())


def test_an_interrupt_leaves_nothing(rig: tuple[S3Session, Recorder]) -> None:
    """Ctrl-C in the middle of it aborts the upload."""
    session, recorder = rig

    def interrupt(done: int, _total: int | None) -> None:
        if done > 3000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.copy_object("sou rce", "copy", transfer=IN_PARTS, progress=interrupt)
    assert "abort" in kinds(recorder)
    assert not session.exists("copy")
    assert [] == list(session.list_multipart_uploads())


def test_an_internal_error_of_a_part_is_tried_again(rig: tuple[S3Session, Recorder]) -> None:
    """An <Error> behind 200 costs another attempt of that part, not the copy."""
    session, recorder = rig
    failures = iter([error(200, "InternalError"), error(503, "SlowDown"), error(500, "InternalError")])
    recorder.answer = Between(recorder.answer, "copy", lambda _: next(failures, None))
    session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    assert 14 == kinds(recorder).count("copy")
    assert CONTENT == session.get_object("copy").data


def test_a_conflict_is_raised(rig: tuple[S3Session, Recorder]) -> None:
    """A conditional write that came in between is told as the Conflict that it is."""
    session, recorder = rig
    recorder.answer = Between(recorder.answer, "complete", lambda _: error(409, "ConditionalRequestConflict"))
    with pytest.raises(Conflict, match="ConditionalRequestConflict"):
        session.copy_object("sou rce", "copy", transfer=IN_PARTS, if_none_match="*")
    assert [] == list(session.list_multipart_uploads())


@pytest.mark.parametrize(
    "answer", [error(501, "NotImplemented"), Response(200, {"etag": '"d41d8cd98f00b204e9800998ecf8427e"'})], ids=str
)
def test_a_store_that_copies_no_parts(small_limit: tuple[S3Session, Recorder], answer: Response) -> None:
    """What fits is copied in one request; else NotSupported names the store, with CopyObject's refusal as its cause."""
    session, recorder = small_limit
    app = recorder.answer
    recorder.answer = Between(app, "copy", lambda request: answer if "partNumber" in request.query else None)
    session.put_object("small", b"small", metadata={"m": "1"})
    told: list[tuple[int, int | None]] = []
    session.copy_object("small", "copy", transfer=IN_PARTS, progress=lambda *step: told.append(step))
    assert (b"small", {"m": "1"}) == (session.get_object("copy").data, session.head_object("copy").user_metadata)
    assert (5, 5) == told[-1]
    with pytest.raises(NotSupported, match=re.escape(session.endpoint_url)) as caught:
        session.copy_object("sou rce", "copy")
    assert isinstance(caught.value.__cause__, InvalidRequest)
    recorder.answer = app
    assert [] == list(session.list_multipart_uploads())


def test_tags_that_may_not_be_read(rig: tuple[S3Session, Recorder]) -> None:
    """Who may not read the tags may not copy them, as in S3, unless the copy gets tags of its own."""
    session, recorder = rig
    recorder.answer = Between(recorder.answer, "tags", lambda _: error(403, "AccessDenied"))
    with pytest.raises(AccessDenied):
        session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    session.copy_object("sou rce", "copy", transfer=IN_PARTS, tagging={})


def test_a_store_without_tags(rig: tuple[S3Session, Recorder]) -> None:
    """NotImplemented for the tags means that there are none."""
    session, recorder = rig
    app = recorder.answer
    recorder.answer = Between(app, "tags", lambda _: error(501, "NotImplemented"))
    session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    recorder.answer = app
    assert "x-amz-tagging-count" not in session.head_object("copy").headers


def test_a_store_that_says_nothing_about_tags(rig: tuple[S3Session, Recorder]) -> None:
    """An empty answer in the place of the document means that there are none."""
    session, recorder = rig
    app = recorder.answer
    recorder.answer = Between(app, "tags", lambda _: Response(200, {}, b""))
    session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    recorder.answer = app
    assert "x-amz-tagging-count" not in session.head_object("copy").headers


def test_a_store_that_does_not_know_tags(rig: tuple[S3Session, Recorder]) -> None:
    """One that answers with the object itself has no tags."""
    session, recorder = rig
    app = recorder.answer
    etag = session.head_object("sou rce").etag
    recorder.answer = Between(app, "tags", lambda _: Response(200, {"etag": f'"{etag}"'}, CONTENT))
    session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    recorder.answer = app
    assert "x-amz-tagging-count" not in session.head_object("copy").headers


def test_a_store_that_forgets_the_tags_of_uploads(rig: tuple[S3Session, Recorder]) -> None:
    """Where the copy is said to have no tags although it was begun with some, they are put behind it."""
    session, recorder = rig
    app = recorder.answer

    def forgetful(request: Request) -> Response:
        if kind_of(request) == "create":
            request.headers.pop("x-amz-tagging")
            session._at(None).authorize(request)
        response = app(request)
        if kind_of(request) == "head" and request.path.endswith("/copy"):
            response.headers.setdefault("x-amz-tagging-count", "0")
        return response

    recorder.answer = forgetful
    session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    assert everything(session, "sou rce")["tags"] == everything(session, "copy")["tags"]


def test_parts_that_are_not_the_source(rig: tuple[S3Session, Recorder]) -> None:
    """A store whose parts have another checksum than the source publishes nothing."""
    session, recorder = rig
    app = recorder.answer

    def corrupt(request: Request) -> Response:
        response = app(request)
        if "partNumber=3&" in request.query:
            body = re.sub(b"<ChecksumCRC32>[^<]*<", b"<ChecksumCRC32>AAAAAA==<", response.read())
            return Response(response.status, response.headers, body)
        return response

    recorder.answer = corrupt
    with pytest.raises(ChecksumMismatch, match="crc32 of the copied parts"):
        session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    assert not session.exists("copy")
    assert [] == list(session.list_multipart_uploads())


def test_parts_without_checksums(rig: tuple[S3Session, Recorder]) -> None:
    """A store that tells no checksums of copied parts is believed, and is told none of the whole."""
    session, recorder = rig
    app = recorder.answer

    def silent(request: Request) -> Response:
        response = app(request)
        if kind_of(request) == "copy":
            body = re.sub(b"<ChecksumCRC32>[^<]*</ChecksumCRC32>", b"", response.read())
            return Response(response.status, response.headers, body)
        return response

    recorder.answer = silent
    session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    [completion] = [sent for sent in recorder.sent if kind_of(sent) == "complete"]
    assert "x-amz-checksum-crc32" not in completion.headers
    assert CONTENT == session.get_object("copy").data


class Quick:
    """The real time, in which waiting takes none."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def sleep(self, _seconds: float) -> None:
        """Nobody waits."""


@pytest.mark.parametrize("fault", ["answer lost", "request lost", "500", "error in 200", "403", "cut document"])
def test_a_fault_at_every_request(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Whichever request something happens to, the copy is whole or it raises, and no upload is left in the store."""
    monkeypatch.setattr("s3func.server.handlers.multipart.PART_BYTES_MIN", 0)
    with embedded(clock=Quick()) as (session, recorder):
        session.put_object("source", CONTENT, tagging=TAGS, **DESCRIPTION)
        source = everything(session, "source")
        app = recorder.answer
        lock = Lock()
        count = number = 0

        def faulty(request: Request) -> Response:
            nonlocal count
            with lock:
                count += 1
                is_it = count == number
            if not is_it:
                return app(request)
            if fault == "request lost":
                raise ConnectionLost("before it was sent")
            if fault in {"500", "403"}:
                return error(int(fault), "AccessDenied" if fault == "403" else "InternalError")
            response = app(request)
            body = response.read()
            if fault == "answer lost":
                failure = ConnectionLost("the answer")
                failure.maybe_applied = True
                raise failure
            if request.method == "HEAD" or not body:
                return response
            if fault == "cut document":
                return Response(200, response.headers, body[:-5])
            return error(200, "InternalError")

        results = []
        for number in range(1, 30):
            session.delete_object("copy")
            count = 0
            recorder.answer = faulty
            try:
                session.copy_object("source", "copy", transfer=IN_PARTS)
            except S3FuncError:
                results.append(False)
            else:
                results.append(True)
            recorder.answer = app
            assert [] == list(session.list_multipart_uploads()), number
            assert session.exists("copy") or not results[-1]
            if session.exists("copy"):
                assert source == everything(session, "copy"), number
            if count < number:
                break
        assert count >= 16
        # Only a refusal is no reason to try again.
        assert (fault != "403") == all(results[:-1])


def test_metadata_that_is_not_ascii(rig: tuple[S3Session, Recorder]) -> None:
    """What other clients have stored in raw UTF-8 or Latin-1 is the same text in the copy."""
    session, recorder = rig
    app = recorder.answer

    def raw(request: Request) -> Response:
        response = app(request)
        if request.method == "HEAD" and request.path.endswith("/sou%20rce"):
            response.headers["x-amz-meta-b"] = "ü€".encode().decode("latin-1")
            response.headers["x-amz-meta-a"] = "\xe9"
        return response

    recorder.answer = raw
    session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    assert {"a": "é", "b": "ü€", "encoded": "=?UTF-8?Q?x?="} == session.head_object("copy").user_metadata


def test_a_header_that_no_request_can_carry(rig: tuple[S3Session, Recorder]) -> None:
    """A content header of the source that is not ASCII is refused by name, and can be replaced."""
    session, recorder = rig
    app = recorder.answer

    def raw(request: Request) -> Response:
        response = app(request)
        if request.method == "HEAD" and request.path.endswith("/sou%20rce"):
            response.headers["content-disposition"] = "attachment; filename=\xfc"
        return response

    recorder.answer = raw
    with pytest.raises(NotSupported, match="the source's content-disposition"):
        session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    session.copy_object("sou rce", "copy", transfer=IN_PARTS, content_disposition="inline")


# --- requests and progress


def test_progress(rig: tuple[S3Session, Recorder]) -> None:
    """It is told in bytes, never going backwards, and its last word is the size, also of a copy in one request."""
    session, _ = rig
    for transfer in (IN_PARTS, None):
        told: list[tuple[int, int | None]] = []
        session.copy_object("sou rce", "copy", transfer=transfer, progress=lambda *step, told=told: told.append(step))
        assert (len(CONTENT), len(CONTENT)) == told[-1]
        assert sorted(told) == told
        assert (12 if transfer else 1) >= len(told)


def test_headers_about_source_and_copy() -> None:
    """A customer's keys, payer and owners go to the requests that need them, under the name that each has there."""
    answers = {
        "head": Response(200, {"content-length": "10", "etag": '"e"'}),
        "parts": Response(200, {}, b"<Tagging><TagSet/></Tagging>"),
        "create": Response(
            200, {}, b"<InitiateMultipartUploadResult><UploadId>ID</UploadId></InitiateMultipartUploadResult>"
        ),
        "copy": Response(200, {}, b"<CopyPartResult><ETag>e</ETag></CopyPartResult>"),
        "complete": Response(
            200, {}, b"<CompleteMultipartUploadResult><ETag>e-1</ETag></CompleteMultipartUploadResult>"
        ),
    }
    recorder = Recorder(lambda request: answers[kind_of(request)])
    session = recorded(recorder)
    customer = "server-side-encryption-customer-key"
    given = {
        f"x-amz-copy-source-{customer}": "theirs",
        f"x-amz-{customer}": "ours",
        "x-amz-source-expected-bucket-owner": "them",
        "x-amz-expected-bucket-owner": "us",
        "x-amz-request-payer": "requester",
    }
    session.copy_object("source", "copy", transfer=IN_PARTS, headers=given)
    of_source = {
        f"x-amz-{customer}": "theirs",
        "x-amz-expected-bucket-owner": "them",
        "x-amz-request-payer": "requester",
    }
    of_copy = {f"x-amz-{customer}": "ours", "x-amz-expected-bucket-owner": "us", "x-amz-request-payer": "requester"}
    assert of_source.items() <= recorder.sent[0].headers.items()
    for sent in recorder.sent:
        if kind_of(sent) == "copy":
            assert given.items() <= sent.headers.items()
        elif kind_of(sent) in {"create", "complete"}:
            assert of_copy.items() <= sent.headers.items()
            assert not [name for name in sent.headers if name.startswith(("x-amz-copy-source", "x-amz-source"))]
    tags = recorder.sent[1].headers
    assert ("them", "requester") == (tags["x-amz-expected-bucket-owner"], tags["x-amz-request-payer"])


def test_a_head_that_is_refused_does_not_decide(rig: tuple[S3Session, Recorder]) -> None:
    """Where the source cannot be looked at, CopyObject is asked, which may be allowed and says why if it is not."""
    session, recorder = rig
    recorder.answer = Between(recorder.answer, "head", lambda _: Response(403, {}))
    session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    assert ["head", "copy"] == kinds(recorder)


def test_errors_are_those_of_the_store(rig: tuple[S3Session, Recorder]) -> None:
    """A failing part is raised as what it is, with the bucket and key that it was for."""
    session, recorder = rig
    recorder.answer = Between(recorder.answer, "copy", lambda _: error(400, "InvalidArgument"))
    with pytest.raises(ServiceError) as caught:
        session.copy_object("sou rce", "copy", transfer=IN_PARTS)
    assert ("InvalidArgument", "bucket", "copy") == (caught.value.code, caught.value.bucket, caught.value.key)
