"""Copies: the bytes are the source's, and the description is the source's or exactly what is given."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import (
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    PreconditionFailed,
    ProtocolError,
    ServerError,
    Throttled,
)
from s3func.message import Response
from tests.s3.rigs import Recorder, embedded, recorded

DESCRIPTION: dict[str, Any] = {
    "metadata": {"a": "1", "b": "ü"},
    "content_type": "text/plain",
    "cache_control": "no-cache",
    "content_disposition": "inline",
    "content_encoding": "gzip",
    "content_language": "de",
    "expires": "Sat, 21 Nov 2026 10:00:00 GMT",
}


@pytest.fixture
def session() -> Iterator[S3Session]:
    """A session on a server that has an object with everything said about it."""
    with embedded() as (session, _):
        session.put_object("source", b"bytes", storage_class="STANDARD_IA", **DESCRIPTION)
        yield session


def described(session: S3Session, key: str, bucket: str | None = None) -> dict[str, Any]:
    """What is said about an object, in the words of put_object; what is not said is left out."""
    head = session.head_object(key, bucket=bucket)
    found = {name: head.headers.get(name.replace("_", "-")) for name in DESCRIPTION if name != "metadata"}
    return {"metadata": head.user_metadata} | {name: value for name, value in found.items() if value is not None}


def test_a_copy_is_described_like_its_source(session: S3Session) -> None:
    """Without a word about it, the copy has metadata and headers of the source; the storage class is its own."""
    result = session.copy_object("source", "copy")
    assert b"bytes" == session.get_object("copy").data
    assert DESCRIPTION == described(session, "copy")
    assert "STANDARD" == session.head_object("copy").storage_class
    assert "STANDARD_IA" == session.head_object("source").storage_class
    assert session.head_object("copy").etag == result.etag == "4b3a6218bb3e3a7303e8a171a60fcf92"
    assert result.last_modified is not None
    assert abs((result.last_modified - datetime.now(UTC)).total_seconds()) < 60
    assert result.metadata["upload_timestamp"] == result.last_modified


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"metadata": {"b": "2"}}, {"metadata": {"b": "2"}, "content_type": "binary/octet-stream"}),
        ({"metadata": {}}, {"metadata": {}, "content_type": "binary/octet-stream"}),
        ({"content_type": "text/csv"}, {"metadata": {}, "content_type": "text/csv"}),
        (
            {"cache_control": "private"},
            {"metadata": {}, "content_type": "binary/octet-stream", "cache_control": "private"},
        ),
        (DESCRIPTION, DESCRIPTION),
    ],
    ids=["metadata", "no metadata", "content type", "another header", "all"],
)
def test_a_copy_is_described_as_given(session: S3Session, given: dict[str, Any], expected: dict[str, Any]) -> None:
    """With any word about it, the copy has exactly what is given: S3 knows no half replacement."""
    session.copy_object("source", "copy", **given)
    assert expected == described(session, "copy")
    assert b"bytes" == session.get_object("copy").data
    assert DESCRIPTION == described(session, "source")


def test_a_copy_onto_itself(session: S3Session) -> None:
    """An object is described anew by a copy onto itself; a copy that changes nothing is refused by the store."""
    session.copy_object("source", "source", metadata={"new": "1"}, content_type="text/html")
    assert {"metadata": {"new": "1"}, "content_type": "text/html"} == described(session, "source")
    assert b"bytes" == session.get_object("source").data
    with pytest.raises(InvalidRequest):
        session.copy_object("source", "source")


def test_a_copy_between_buckets(session: S3Session) -> None:
    """Source and destination may each be in another bucket than the session's."""
    session.create_bucket("other")
    session.copy_object("source", "there", dest_bucket="other")
    assert DESCRIPTION == described(session, "there", bucket="other")
    session.copy_object("there", "back", source_bucket="other")
    session.copy_object("there", "again", source_bucket="other", dest_bucket="other")
    assert b"bytes" == session.get_object("back").data == session.get_object("again", bucket="other").data
    assert not session.exists("there")


def test_a_copy_of_what_is_not_there(session: S3Session) -> None:
    """A missing source, or bucket on either side, is what the error says."""
    with pytest.raises(NoSuchKey):
        session.copy_object("missing", "copy")
    with pytest.raises(NoSuchBucket):
        session.copy_object("source", "copy", source_bucket="absent")
    with pytest.raises(NoSuchBucket):
        session.copy_object("source", "copy", dest_bucket="absent")
    assert not session.exists("copy")


def test_a_copy_of_what_is_known(session: S3Session) -> None:
    """source_if_match copies only that state of the source."""
    etag = session.head_object("source").etag
    session.copy_object("source", "copy", source_if_match=etag)
    with pytest.raises(PreconditionFailed):
        session.copy_object("source", "another", source_if_match="0" * 32)
    assert not session.exists("another")


def test_the_headers_of_a_copy() -> None:
    """Each argument is its documented header; a directive says what is replaced, and stands only then."""
    recorder = Recorder()
    session = recorded(recorder)
    session.copy_object("a b", "dest")
    assert "/bucket/a%20b" == recorder.last.headers["x-amz-copy-source"]
    assert not [name for name in recorder.last.headers if name.endswith("-directive")]
    session.copy_object(
        "a", "dest", "v 1&2", "src", storage_class="GLACIER", acl="private", headers={"x-amz-mfa": "1 2"}
    )
    expected = {
        "x-amz-copy-source": "/src/a?versionId=v%201%262",
        "x-amz-storage-class": "GLACIER",
        "x-amz-acl": "private",
        "x-amz-mfa": "1 2",
    }
    assert expected.items() <= recorder.last.headers.items()
    assert "x-amz-metadata-directive" not in recorder.last.headers
    session.copy_object("a", "dest", tagging={}, metadata={"a": "b"}, source_if_match="abc")
    expected = {
        "x-amz-tagging-directive": "REPLACE",
        "x-amz-tagging": "",
        "x-amz-metadata-directive": "REPLACE",
        "x-amz-meta-a": "b",
        "x-amz-copy-source-if-match": '"abc"',
    }
    assert expected.items() <= recorder.last.headers.items()
    assert ("PUT", "/bucket/dest", "", b"") == (
        recorder.last.method,
        recorder.last.path,
        recorder.last.query,
        recorder.last.body,
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<Error><Code>InternalError</Code><Message>after all</Message></Error>", ServerError),
        (b"   \n  <Error><Code>SlowDown</Code></Error>", Throttled),
        (b"", ProtocolError),
        (b"<html/>", ProtocolError),
        (b"<CopyObjectResult></CopyObjectResult>", ProtocolError),
        (b"<CopyObjectResult><ETag>", ProtocolError),
    ],
)
def test_a_copy_that_failed_after_200(body: bytes, error: type[Exception]) -> None:
    """S3 may say 200 before it knows: only a whole result is a success."""
    with pytest.raises(error):
        recorded(Recorder(lambda _: Response(200, {}, body)), retries=1).copy_object("a", "b")
