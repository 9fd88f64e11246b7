"""Buckets, the escape hatch, and the session as an object of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from s3func import S3Session
from s3func.errors import BucketAlreadyExists, BucketNotEmpty, NoSuchBucket, NoSuchKey, NotFound, ProtocolError
from s3func.message import Response
from tests.s3.rigs import Recorder, embedded, recorded


@pytest.fixture
def session() -> Iterator[S3Session]:
    """A session on an in-process server."""
    with embedded() as (session, _):
        yield session


def test_buckets(session: S3Session) -> None:
    """Buckets are made, found, listed and deleted, and what cannot be says why."""
    assert ["bucket"] == [bucket.name for bucket in session.list_buckets()]
    session.create_bucket("another")
    another = session.list_buckets()[0]
    assert ("another", another["name"]) == (another.name, "another")
    assert another.creation_date is not None
    assert abs(another.creation_date - datetime.now(UTC)) < timedelta(minutes=1)
    # As in us-east-1, one's own bucket can be made again, but not with other rights.
    session.create_bucket("another")
    with pytest.raises(BucketAlreadyExists) as caught:
        session.request("PUT", bucket="another", headers={"x-amz-acl": "public-read"})
    assert "another" == caught.value.bucket
    assert 200 == session.head_bucket("another").status
    session.put_object("key", b"", bucket="another")
    with pytest.raises(BucketNotEmpty):
        session.delete_bucket("another")
    session.delete_object("key", bucket="another")
    session.delete_bucket("another")
    with pytest.raises(NotFound):
        session.head_bucket("another")
    with pytest.raises(NoSuchBucket):
        session.delete_bucket("another")
    for call in (
        lambda: session.put_object("k", b"", bucket="another"),
        lambda: list(session.list_objects(bucket="another")),
    ):
        with pytest.raises(NoSuchBucket) as missing:
            call()
        assert "another" == missing.value.bucket


def test_a_bucket_in_another_region() -> None:
    """AWS wants the region in the document, but for us-east-1; other stores are asked for nothing."""
    aws = S3Session("a", "b", "bucket", region="eu-west-1")
    recorder = Recorder()
    for endpoint_url, region, expected in (
        ("https://s3.example", "eu-west-1", b""),
        ("https://s3.example", "us-east-1", b""),
    ):
        recorded(recorder, endpoint_url=endpoint_url, region=region).create_bucket()
        assert expected == recorder.last.body
    aws._client.transport = recorder
    aws.create_bucket("new-bucket", acl="private")
    assert b"<LocationConstraint>eu-west-1</LocationConstraint>" in recorder.last.body
    assert "https://new-bucket.s3.eu-west-1.amazonaws.com/" == recorder.last.url
    assert "private" == recorder.last.headers["x-amz-acl"]
    aws.close()


def test_buckets_of_many_pages() -> None:
    """list_buckets goes on while the store gives a token; one that comes again is an error, not the end."""

    def page(name: str, token: str) -> bytes:
        rows = f"<Buckets><Bucket><Name>{name}</Name></Bucket></Buckets><ContinuationToken>{token}</ContinuationToken>"
        return f"<ListAllMyBucketsResult>{rows}</ListAllMyBucketsResult>".encode()

    pages = iter([page("a", "1"), page("b", "2"), page("c", "")])
    recorder = Recorder(lambda _: Response(200, {}, next(pages)))
    assert ["a", "b", "c"] == [bucket.name for bucket in recorded(recorder).list_buckets()]
    with pytest.raises(ProtocolError, match="circle"):
        recorded(Recorder(lambda _: Response(200, {}, page("a", "1")))).list_buckets()
    assert ["", "continuation-token=1", "continuation-token=2"] == [sent.query for sent in recorder.sent]
    assert {"/"} == {sent.path for sent in recorder.sent}


# --- the escape hatch


def test_anything_else(session: S3Session) -> None:
    """request() signs and sends what has no verb of its own, and refusals raise as everywhere."""
    response = session.request("get", query={"location": None})
    assert 200 == response.status
    assert b"LocationConstraint" in response.read()
    session.request("PUT", "a b", headers={"content-type": "text/plain"}, body="text")
    assert "text/plain" == session.head_object("a b").content_type
    with pytest.raises(NoSuchKey):
        session.request("GET", "missing")
    with pytest.raises(NoSuchBucket):
        session.request("GET", query={"location": None}, bucket="absent")


def test_a_query_of_the_callers_own() -> None:
    """Names and values are encoded and sorted; None is a bare name, a number its digits."""
    recorder = Recorder()
    recorded(recorder).request("POST", "key", query={"uploads": None, "b": "x y&z", "a": 7, "é": "="})
    assert "%C3%A9=%3D&a=7&b=x%20y%26z&uploads=" == recorder.last.query


# --- the session itself


def test_a_session_is_a_context_manager() -> None:
    """Leaving the block closes the transport; the session can be used again."""
    recorder = Recorder()
    with recorded(recorder) as session:
        session.head_bucket()
    assert 1 == recorder.closed
    session.head_bucket()
    session.close()
    session.close()
    assert 3 == recorder.closed


def test_what_a_session_says_about_itself() -> None:
    """bucket, region and endpoint_url can be read, and the repr has them."""
    session = recorded(Recorder(), endpoint_url="http://store.example/s3", region="eu-west-1")
    assert ("bucket", "eu-west-1", "http://store.example/s3") == (session.bucket, session.region, session.endpoint_url)
    assert "<S3Session bucket='bucket' endpoint_url='http://store.example/s3' region='eu-west-1'>" == repr(session)


def test_a_default_bucket_and_others(session: S3Session) -> None:
    """bucket= of a call goes before the session's own, for every verb."""
    session.create_bucket("other")
    session.put_object("key", b"other", bucket="other")
    session.put_object("key", b"own")
    assert (b"other", b"own") == (session.get_object("key", bucket="other").data, session.get_object("key").data)
    assert 5 == session.head_object("key", bucket="other").size
    session.delete_object("key", bucket="other")
    assert not session.exists("key", bucket="other")
    assert session.exists("key")
