"""The names of the project's first release: its calls run as they were written."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import s3func
from s3func import S3Session
from s3func.transport.pool import Pool
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, Recorder, embedded, recorded


@pytest.fixture
def session() -> Iterator[S3Session]:
    """A session on an in-process server."""
    with embedded() as (session, _):
        yield session


def test_the_order_of_the_constructor() -> None:
    """Key id, secret, bucket, endpoint and region come in this order, and may be given by their old names."""
    for session in (
        S3Session(ACCESS_KEY_ID, SECRET, "bucket", "https://store.example", "eu-west-1"),
        S3Session(
            access_key_id=ACCESS_KEY_ID,
            access_key=SECRET,
            bucket="bucket",
            endpoint_url="https://store.example",
            region="eu-west-1",
        ),
    ):
        assert ("bucket", "https://store.example", "eu-west-1") == (
            session.bucket,
            session.endpoint_url,
            session.region,
        )
        credentials = session._credentials()
        assert credentials is not None
        assert (ACCESS_KEY_ID, SECRET) == (credentials.access_key_id, credentials.secret_access_key)
        session.close()


def test_the_settings_of_the_first_release() -> None:
    """Pool size, attempts and timeouts under their old names are the same settings; retry_mode changes nothing."""
    session = S3Session(
        ACCESS_KEY_ID,
        SECRET,
        "bucket",
        max_pool_connections=7,
        max_attempts=4,
        retry_mode="adaptive",
        read_timeout=11,
        connect_timeout=12,
        stream=True,
    )
    pool = session._client.transport
    assert isinstance(pool, Pool)
    assert 7 == pool.max_connections
    assert (12, 11, None) == pool.timeouts
    assert 4 == session._client.retries.attempts
    assert S3Session(ACCESS_KEY_ID, SECRET, "b", retry_mode="legacy")._client.retries == s3func.RetryPolicy()
    session.close()


def test_a_slash_at_the_end_of_the_endpoint() -> None:
    """An endpoint_url with a slash at its end, or a prefix, is the same place."""
    for url in ("https://store.example", "https://store.example/"):
        with S3Session(ACCESS_KEY_ID, SECRET, "bucket", url) as session:
            assert session.presigned_url("GET", "key").startswith("https://store.example/bucket/key?")


# Each row: a method and the positional order of its arguments.
ORDER = [
    ("put_object", ["key", "body", "metadata", "content_type"]),
    ("get_object", ["key", "version_id", "range_start", "range_end"]),
    ("head_object", ["key", "version_id"]),
    ("delete_object", ["key", "version_id"]),
    ("list_objects", ["prefix", "start_after", "delimiter", "max_keys"]),
    ("list_object_versions", ["prefix", "start_after", "delimiter", "max_keys"]),
    (
        "copy_object",
        [
            "source_key",
            "dest_key",
            "source_version_id",
            "source_bucket",
            "dest_bucket",
            "metadata",
            "content_type",
        ],
    ),
    ("delete_objects", ["keys", "prefix", "purge"]),
]


@pytest.mark.parametrize(("name", "expected"), ORDER, ids=[name for name, _ in ORDER])
def test_the_order_of_arguments(name: str, expected: list[str]) -> None:
    """Arguments that had a place keep it; everything newer is given by name."""
    parameters = inspect.signature(getattr(S3Session, name)).parameters.values()
    positional = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    assert ["self", *expected] == positional


def test_put_and_get(session: S3Session) -> None:
    """The first lines of the README."""
    session.put_object("hello.txt", b"Hello, S3!")
    resp = session.get_object("hello.txt")
    assert "Hello, S3!" == resp.data.decode()
    assert b"Hello" == session.get_object("hello.txt", None, 0, 4).data
    assert 200 == resp.status
    stream = session.get_object("hello.txt").stream
    assert b"Hello, S3!" == stream.read()


def test_a_listing(session: S3Session) -> None:
    """iter_objects() gives rows with key, content_length, etag and upload_timestamp."""
    session.put_object("logs/1", b"12345")
    session.put_object("other", b"")
    [obj] = session.list_objects(prefix="logs/").iter_objects()
    assert ("logs/1", 5) == (obj["key"], obj["content_length"])
    assert session.head_object("logs/1").metadata["upload_timestamp"] <= obj["upload_timestamp"]
    assert session.head_object("logs/1").metadata["etag"] == obj["etag"]


def test_metadata(session: S3Session) -> None:
    """Metadata goes in as a keyword or in its place, and comes back as a dict of text."""
    session.put_object("data.csv", b"col1,col2\n1,2", metadata={"processed": "false", "source": "sensor-1"})
    assert "false" == session.head_object("data.csv").metadata["processed"]
    session.put_object("data.csv", b"col1,col2\n1,2", {"processed": "true"}, "text/csv")
    resp = session.head_object("data.csv")
    assert ("true", "text/csv") == (resp.metadata["processed"], resp.headers["content-type"])


def test_deletions(session: S3Session) -> None:
    """Keys to delete are texts or dicts with key and version_id."""
    for key in "abc":
        session.put_object(key, b"")
    session.delete_objects(["a", {"key": "b"}])
    session.delete_object("c")
    assert [] == list(session.list_objects())


def test_a_copy_by_position() -> None:
    """Seven arguments of a copy in their old order."""
    recorder = Recorder()
    recorded(recorder).copy_object("a", "b", "v1", "from", "to", {"m": "1"}, "text/plain")
    sent = recorder.last
    expected: dict[str, Any] = {
        "x-amz-copy-source": "/from/a?versionId=v1",
        "x-amz-meta-m": "1",
        "content-type": "text/plain",
        "x-amz-metadata-directive": "REPLACE",
    }
    assert "/to/b" == sent.path
    assert expected.items() <= sent.headers.items()


def test_what_the_package_exports() -> None:
    """The names of the package are all there, and listed."""
    for name in s3func.__all__:
        assert getattr(s3func, name) is not None
        assert name in dir(s3func)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = s3func.nothing
