"""Objects one by one: what is put is what is got, on every session."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3func.errors import (
    InvalidRange,
    NoSuchBucket,
    NoSuchKey,
    NotFound,
    NotModified,
    ObjectChanged,
    PreconditionFailed,
    ServiceError,
)
from s3func.results import CopyResult, DeleteResult, GetResult, HeadResult, PutResult
from tests.contract.session.services import Service

shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
BODY = b"the content of an object"


@pytest.mark.parametrize("body", [b"", b"x", BODY, bytes(range(256)) * 400])
def test_what_is_put_is_got(service: Service, body: bytes) -> None:
    """The bytes, their number, and the same ETag from put, get, head and list."""
    session = service.session
    put = session.put_object("folder/key", body)
    head = session.head_object("folder/key")
    with session.get_object("folder/key") as got:
        assert body == got.data
    row = next(iter(session.list_objects()))
    assert {put.etag} == {head.etag, got.etag, row.etag}
    assert [len(body)] * 3 == [head.size, got.size, row.size]
    assert session.exists("folder/key")
    assert service.versions == (put.version_id is not None)
    if service.versions:
        assert {put.version_id} == {head.version_id, got.version_id}


def test_results_have_their_shapes(service: Service) -> None:
    """Every result is of the contract's class and has its fields, in their types."""
    session = service.session
    before = datetime.now(UTC) - timedelta(hours=12)
    put = session.put_object("key", BODY, {"Name": "value"}, content_type="text/plain")
    head, got = session.head_object("key"), session.get_object("key")
    copied, deleted = session.copy_object("key", "copy"), session.delete_object("key")
    for result, kind in (
        (put, PutResult),
        (head, HeadResult),
        (got, GetResult),
        (copied, CopyResult),
        (deleted, DeleteResult),
    ):
        assert isinstance(result, kind)
        assert 200 <= result.status < 300
        assert all(name == name.lower() for name in result.headers)
        assert isinstance(result.metadata, dict)
        assert isinstance(result.version_id, str | None)
    for result in (put, copied):
        assert result.etag
        assert '"' not in result.etag
    for result in (head, got):
        assert {"name": "value"} == result.user_metadata
        assert ("value", 200, len(BODY), put.etag) == (
            *(result.metadata[name] for name in ("name", "status", "content_length", "etag")),
        )
        assert "text/plain" == result.content_type
        assert before < result.last_modified < before + timedelta(hours=24)
        assert result.last_modified == result.metadata["upload_timestamp"]
    assert isinstance(deleted.delete_marker, bool)
    assert service.versions == deleted.delete_marker


def test_a_users_metadata_never_hides_a_fact(session: Any) -> None:
    """Metadata called like a field of the answer is in user_metadata, and the fact is in metadata."""
    session.put_object("key", BODY, {"status": "mine", "etag": "mine"})
    head = session.head_object("key")
    assert (200, head.etag) == (head.metadata["status"], head.metadata["etag"])
    assert {"status": "mine", "etag": "mine"} == head.user_metadata


def test_every_kind_of_body(session: Any, tmp_path: Path) -> None:
    """Bytes, text, buffers, files, paths and pieces are the same object."""
    path = tmp_path / "file"
    path.write_bytes(BODY)
    with path.open("rb") as file:
        bodies: list[Any] = [BODY, BODY.decode(), bytearray(BODY), memoryview(BODY), io.BytesIO(BODY), path, file]
        bodies += [(BODY[start : start + 5] for start in range(0, len(BODY), 5)), [BODY[:3], BODY[3:]]]
        for number, body in enumerate(bodies):
            session.put_object(f"key-{number}", body)
            assert BODY == session.get_object(f"key-{number}").data, number


def test_a_body_is_read_in_every_way(session: Any) -> None:
    """All at once, piece by piece, into a buffer, in chunks, line by line, from another place."""
    lines = b"one\ntwo\nthree"
    session.put_object("key", lines)
    with session.get_object("key") as got:
        assert (b"one\n", b"tw") == (got.readline(), got.read(2))
        buffer = bytearray(3)
        assert (3, b"o\nt") == (got.readinto(buffer), bytes(buffer))
        assert b"hree" == b"".join(got.iter_chunks(2))
        got.seek(4)
        assert b"two" == got.read(3)
    with pytest.raises(ValueError, match="closed"):
        got.read()
    assert [b"one", b"two", b"three"] == list(session.get_object("key").iter_lines())
    assert lines == session.get_object("key", stream=False).data == session.get_object("key").stream.read()


def test_overwriting(service: Service) -> None:
    """The newest counts; where versions are kept, the old one is there under its id."""
    session = service.session
    first, second = session.put_object("key", b"first"), session.put_object("key", b"second")
    assert b"second" == session.get_object("key").data
    assert 1 == len(list(session.list_objects()))
    if service.versions:
        assert b"first" == session.get_object("key", first.version_id).data
        assert session.exists("key", first.version_id)
        assert first.version_id != second.version_id


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
NAMES = st.from_regex(r"\A[a-z][a-z0-9-]{0,20}\Z").filter(lambda name: not name.startswith("b2-"))


@shared
@given(metadata=st.dictionaries(NAMES, TEXTS.map(str.strip), max_size=4))
def test_metadata_is_any_text(session: Any, metadata: dict[str, str]) -> None:
    """Names and values come back as they were, non-ASCII and odd ones included, or are refused before they are sent."""
    try:
        session.put_object("key", b"", metadata)
    except ValueError:
        # A header holds no line feed, and S3 no more than 2 KB.
        assert any(not value.isprintable() for value in metadata.values()) or sum(map(len, metadata.values())) > 200
        return
    assert metadata == session.head_object("key").user_metadata
    assert metadata == session.get_object("key").user_metadata


def test_content_headers(session: Any) -> None:
    """What is said about the content comes back with it."""
    moment = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    about = {
        "content_type": "text/csv; charset=utf-8",
        "cache_control": "max-age=60, private",
        "content_disposition": 'attachment; filename="a b.csv"',
        "content_encoding": "identity",
        "content_language": "de",
    }
    session.put_object("key", BODY, expires=moment, **about)
    for result in (session.head_object("key"), session.get_object("key")):
        assert about == {name: result.headers[name.replace("_", "-")] for name in about}
        assert "Wed, 02 Jan 2030 03:04:05 GMT" == result.headers["expires"]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, 0, BODY[:1]),
        (2, 5, BODY[2:6]),
        (4, None, BODY[4:]),
        (None, 3, BODY[-3:]),
        (None, 1000, BODY),
        (2, 1000, BODY[2:]),
        (len(BODY) - 1, len(BODY) - 1, BODY[-1:]),
    ],
)
def test_ranges(session: Any, first: int | None, last: int | None, expected: bytes) -> None:
    """The bytes that were asked for, the place that they are from, and 206."""
    session.put_object("key", BODY)
    got = session.get_object("key", range_start=first, range_end=last)
    start = BODY.index(expected) if first is None else first
    assert (expected, len(expected), 206) == (got.data, got.size, got.status)
    assert f"bytes {start}-{start + len(expected) - 1}/{len(BODY)}" == got.content_range


def test_a_range_behind_the_end(session: Any) -> None:
    """InvalidRange, 416."""
    session.put_object("key", BODY)
    with pytest.raises(InvalidRange) as caught:
        session.get_object("key", range_start=len(BODY))
    assert (416, "key") == (caught.value.status, caught.value.key)


@pytest.mark.parametrize("verb", ["get_object", "head_object"])
def test_conditional_reads(session: Any, verb: str) -> None:
    """ETag and time decide, with S3's outcomes."""
    put = session.put_object("key", BODY)
    read = getattr(session, verb)
    written = session.head_object("key").last_modified
    before, after = written - timedelta(hours=1), written + timedelta(hours=1)
    for allowed in (
        {"if_match": put.etag},
        {"if_none_match": "another"},
        {"if_unmodified_since": after},
        {"if_modified_since": before},
        {"if_match": put.etag, "if_unmodified_since": before},
    ):
        assert put.etag == read("key", **allowed).etag
    for changed in ({"if_match": "another"}, {"if_unmodified_since": before}):
        with pytest.raises(PreconditionFailed):
            read("key", **changed)
    for same in ({"if_none_match": put.etag}, {"if_modified_since": after}):
        with pytest.raises(NotModified):
            read("key", **same)


def test_what_is_not_there(service: Service) -> None:
    """NoSuchKey to who reads, NotFound to who asks, False to exists, NoSuchBucket where the bucket is not."""
    session = service.session
    with pytest.raises(NoSuchKey) as caught:
        session.get_object("missing")
    assert (404, "missing") == (caught.value.status, caught.value.key)
    with pytest.raises(NotFound):
        session.head_object("missing")
    assert not session.exists("missing")
    with pytest.raises(NotFound):
        session.copy_object("missing", "copy")
    with pytest.raises(NotFound):
        session.move("missing", "moved")
    assert [] == list(session.list_objects())
    for call in (
        lambda: session.put_object("key", b"", bucket="no-such-bucket"),
        lambda: list(session.list_objects(bucket="no-such-bucket")),
        lambda: session.head_bucket("no-such-bucket"),
    ):
        with pytest.raises(NotFound) as missing:
            call()
        # A HEAD does not say what is missing.
        assert isinstance(missing.value, NoSuchBucket) or not service.is_b2


def test_errors_say_what_they_are_about(session: Any) -> None:
    """Bucket, key, status and code are on the error, and one line has them all."""
    with pytest.raises(ServiceError) as caught:
        session.get_object("missing/key")
    error = caught.value
    assert (session.bucket, "missing/key", 404) == (error.bucket, error.key, error.status)
    assert error.code
    assert "\n" not in str(error)
    assert not error.maybe_applied


def test_copies(session: Any) -> None:
    """The copy has the bytes and the metadata of its source, or exactly the metadata that is given."""
    put = session.put_object("source?", BODY, {"a": "é"}, content_type="text/plain")
    copied = session.copy_object("source?", "copy#")
    got = session.get_object("copy#")
    assert (BODY, {"a": "é"}, "text/plain", copied.etag) == (got.data, got.user_metadata, got.content_type, got.etag)
    session.copy_object("source?", "other", metadata={"b": "c"}, content_type="text/css")
    got = session.get_object("other")
    assert (BODY, {"b": "c"}, "text/css") == (got.data, got.user_metadata, got.content_type)
    assert BODY == session.get_object("source?").data
    session.copy_object("source?", "third", source_if_match=put.etag)
    with pytest.raises(PreconditionFailed):
        session.copy_object("source?", "fourth", source_if_match="another")
    assert not session.exists("fourth")


def test_copies_between_buckets(service: Service) -> None:
    """Bucket by bucket, with the arguments of the call and not of the session."""
    session = service.session
    other = f"{session.bucket}-2"
    session.create_bucket(other)
    try:
        session.put_object("key", BODY)
        session.copy_object("key", "copy", dest_bucket=other)
        assert BODY == session.get_object("copy", bucket=other).data
        session.put_object("only-there", b"there", bucket=other)
        assert not session.exists("only-there")
        session.move("only-there", "here", source_bucket=other)
        assert b"there" == session.get_object("here").data
        assert not session.exists("only-there", bucket=other)
    finally:
        session.delete_objects(
            list(session.list_object_versions(bucket=other))
            if service.versions
            else [entry.key for entry in session.list_objects(bucket=other)],
            bucket=other,
        )
        session.delete_bucket(other)


def test_moving(service: Service) -> None:
    """The object is at its new place, with its metadata, and no more at its old one."""
    session = service.session
    session.put_object("old", BODY, {"a": "b"})
    moved = session.move("old", "new")
    assert isinstance(moved, CopyResult)
    assert (BODY, {"a": "b"}) == ((got := session.get_object("new")).data, got.user_metadata)
    assert ["new"] == [entry.key for entry in session.list_objects()]
    sent = len(service.wire.sent)
    with pytest.raises(ValueError, match="same object"):
        session.move("new", "new")
    assert sent == len(service.wire.sent)


def test_moving_what_is_replaced_meanwhile(service: Service) -> None:
    """The source stays when it is another object by then: ObjectChanged, and the copy is of the first one."""
    session = service.session
    session.put_object("old", BODY)
    copy = session.copy_object
    # A subclass of nothing: the verb that move() calls puts something else in the source's place.
    twin = session._twin(
        copy_object=lambda *args, **options: (copy(*args, **options), session.put_object("old", b"2"))[0]
    )
    with pytest.raises(ObjectChanged):
        twin.move("old", "new")
    assert (b"2", BODY) == (session.get_object("old").data, session.get_object("new").data)


def test_deleting(service: Service) -> None:
    """What is deleted is not there; deleting what is not there succeeds; a version is deleted by its id."""
    session = service.session
    first = session.put_object("key", b"first")
    second = session.put_object("key", b"second")
    session.delete_object("key")
    assert not session.exists("key")
    assert [] == list(session.list_objects())
    session.delete_object("key")
    session.delete_object("never was there")
    if not service.versions:
        return
    assert b"second" == session.get_object("key", second.version_id).data
    marker = next(row for row in session.list_object_versions() if row.key == "key" and row.delete_marker)
    session.delete_object("key", marker.version_id)
    for row in [row for row in session.list_object_versions() if row.key == "key" and row.delete_marker]:
        session.delete_object("key", row.version_id)
    assert b"second" == session.get_object("key").data
    session.delete_object("key", second.version_id)
    assert b"first" == session.get_object("key").data
    session.delete_object("key", first.version_id)
    session.delete_object("key", first.version_id)
    assert not session.exists("key", first.version_id)
    with pytest.raises(NotFound):
        session.get_object("key", first.version_id)


def test_buckets(service: Service) -> None:
    """A bucket is made, listed, not deleted while it is full, and gone when it is deleted."""
    session = service.session
    other = f"{session.bucket}-3"
    session.create_bucket(other)
    assert {session.bucket, other} <= {entry.name for entry in session.list_buckets()}
    session.head_bucket(other)
    put = session.put_object("key", b"", bucket=other)
    with pytest.raises(ServiceError) as caught:
        session.delete_bucket(other)
    assert "BucketNotEmpty" == type(caught.value).__name__
    session.delete_object("key", put.version_id, bucket=other)
    session.delete_bucket(other)
    assert other not in {entry.name for entry in session.list_buckets()}
    with pytest.raises(NotFound):
        session.head_bucket(other)
