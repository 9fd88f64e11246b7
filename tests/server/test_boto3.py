"""boto3 against the server on a port: a client that shares no line with it."""

from __future__ import annotations

import hashlib
import io
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from s3func.testing import Server
from tests.interop.keys import HOSTILE_KEYS
from tests.server.conftest import boto3_client


def failure(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_put_get_head_delete(boto: Any) -> None:
    """An object comes back with its body, metadata, headers and checksum, and is gone when it is deleted."""
    put = boto.put_object(
        Bucket="bkt", Key="a/b c", Body=b"hello", ContentType="text/plain", CacheControl="no-cache", Metadata={"k": "v"}
    )
    assert '"5d41402abc4b2a76b9719d911017c592"' == put["ETag"]
    for result in (
        boto.head_object(Bucket="bkt", Key="a/b c", ChecksumMode="ENABLED"),
        boto.get_object(Bucket="bkt", Key="a/b c", ChecksumMode="ENABLED"),
    ):
        assert ("text/plain", "no-cache", {"k": "v"}) == (
            result["ContentType"],
            result["CacheControl"],
            result["Metadata"],
        )
        assert (5, put["ChecksumCRC32"]) == (result["ContentLength"], result["ChecksumCRC32"])
    assert b"hello" == result["Body"].read()
    boto.delete_object(Bucket="bkt", Key="a/b c")
    boto.delete_object(Bucket="bkt", Key="a/b c")
    with pytest.raises(ClientError) as error:
        boto.get_object(Bucket="bkt", Key="a/b c")
    assert (404, "NoSuchKey") == failure(error)
    with pytest.raises(ClientError) as error:
        boto.head_object(Bucket="bkt", Key="a/b c")
    assert (404, "404") == failure(error)


def test_ranges_and_a_parallel_download(boto: Any) -> None:
    """Ranges are exact, so boto3's download in parts of a 20 MiB object gives the same 20 MiB."""
    body = hashlib.shake_128(b"seed").digest(20 * 1024 * 1024)
    boto.put_object(Bucket="bkt", Key="big", Body=io.BytesIO(body))
    part = boto.get_object(Bucket="bkt", Key="big", Range="bytes=1000000-1000009")
    assert (206, body[1_000_000:1_000_010]) == (part["ResponseMetadata"]["HTTPStatusCode"], part["Body"].read())
    target = io.BytesIO()
    # Without threads of boto3's own: they may outlive the call.
    boto.download_fileobj("bkt", "big", target, Config=TransferConfig(use_threads=False))
    assert hashlib.sha256(body).digest() == hashlib.sha256(target.getvalue()).digest()
    with pytest.raises(ClientError) as error:
        boto.get_object(Bucket="bkt", Key="big", Range="bytes=99999999-")
    assert (416, "InvalidRange") == failure(error)


def test_copies(boto: Any) -> None:
    """Copies keep or replace metadata, from keys that have to be escaped."""
    boto.put_object(Bucket="bkt", Key="s p+%/é", Body=b"body", Metadata={"a": "1"})
    source = {"Bucket": "bkt", "Key": "s p+%/é"}
    boto.copy_object(Bucket="bkt", Key="copy", CopySource=source)
    boto.copy_object(Bucket="bkt", Key="new", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"})
    assert {"a": "1"} == boto.head_object(Bucket="bkt", Key="copy")["Metadata"]
    assert {"b": "2"} == boto.head_object(Bucket="bkt", Key="new")["Metadata"]
    assert b"body" == boto.get_object(Bucket="bkt", Key="copy")["Body"].read()


def test_conditions(boto: Any) -> None:
    """Conditional reads and writes are obeyed."""
    etag = boto.put_object(Bucket="bkt", Key="key", Body=b"1", IfNoneMatch="*")["ETag"]
    for arguments in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
        with pytest.raises(ClientError) as error:
            boto.put_object(Bucket="bkt", Key="key", Body=b"2", **arguments)
        assert (412, "PreconditionFailed") == failure(error)
    boto.put_object(Bucket="bkt", Key="key", Body=b"2", IfMatch=etag)
    with pytest.raises(ClientError) as error:
        boto.get_object(Bucket="bkt", Key="key", IfMatch=etag)
    assert (412, "PreconditionFailed") == failure(error)
    with pytest.raises(ClientError) as error:
        boto.get_object(Bucket="bkt", Key="key", IfNoneMatch="*")
    assert (304, "304") == failure(error)


def test_paginators_over_1005_keys_and_their_deletion(boto: Any, server: Server) -> None:
    """Both paginators see every key once and fold prefixes; delete_objects removes a thousand in one call."""
    keys = sorted(f"{number % 10}/{number:04d}" for number in range(1005))
    for key in keys:
        _put(server, key)
    for operation in ("list_objects_v2", "list_objects"):
        paginator = boto.get_paginator(operation)
        assert keys == [row["Key"] for page in paginator.paginate(Bucket="bkt") for row in page.get("Contents", [])]
        folded = paginator.paginate(Bucket="bkt", Delimiter="/", PaginationConfig={"PageSize": 3})
        assert [f"{number}/" for number in range(10)] == [
            row["Prefix"] for page in folded for row in page.get("CommonPrefixes", [])
        ]
        tail = paginator.paginate(Bucket="bkt", Prefix="9/", PaginationConfig={"PageSize": 7})
        assert [key for key in keys if key.startswith("9/")] == [
            row["Key"] for page in tail for row in page["Contents"]
        ]
    done = boto.delete_objects(Bucket="bkt", Delete={"Objects": [{"Key": key} for key in keys[:1000]]})
    assert keys[:1000] == [row["Key"] for row in done["Deleted"]]
    quiet = boto.delete_objects(Bucket="bkt", Delete={"Objects": [{"Key": key} for key in keys[1000:]], "Quiet": True})
    assert "Deleted" not in quiet
    assert 0 == boto.list_objects_v2(Bucket="bkt")["KeyCount"]


def _put(server: Server, key: str) -> None:
    from s3func.server.backend import ObjectAttributes

    with server.app.backend.begin_put("bkt", key) as writer:
        writer.commit(ObjectAttributes())


def test_hostile_keys(boto: Any) -> None:
    """Every key is stored, read, listed and deleted as exactly itself, `..` and `//` included."""
    keys = HOSTILE_KEYS
    for key in keys:
        boto.put_object(Bucket="bkt", Key=key, Body=key.encode())
    for key in keys:
        assert key.encode() == boto.get_object(Bucket="bkt", Key=key)["Body"].read(), key
    listed = [row["Key"] for row in boto.list_objects_v2(Bucket="bkt")["Contents"]]
    assert sorted(keys, key=str.encode) == listed
    for key in keys:
        boto.delete_object(Bucket="bkt", Key=key)
    assert 0 == boto.list_objects_v2(Bucket="bkt")["KeyCount"]


def fetch(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes, dict[str, str]]:
    """What a plain HTTP client gets for a URL; sub-domains of localhost, which not every system resolves, are local."""
    parts = urlsplit(url)
    request = urllib.request.Request(url.replace(parts.netloc, f"127.0.0.1:{parts.port}"), body, method=method)
    request.add_header("Host", parts.netloc)
    request.add_header("Content-Type", "text/plain")
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read(), dict(response.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_presigned_urls(server: Server, style: str) -> None:
    """URLs that boto3 presigned put and get with a plain HTTP client, until a character is changed."""
    server.endpoint_url = server.endpoint_url.replace("127.0.0.1", "localhost")
    client = boto3_client(server, signature_version="s3v4", s3={"addressing_style": style})
    put = client.generate_presigned_url("put_object", Params={"Bucket": "bkt", "Key": "a b+c"}, ExpiresIn=60)
    get = client.generate_presigned_url(
        "get_object", Params={"Bucket": "bkt", "Key": "a b+c", "ResponseContentType": "text/x-mine"}, ExpiresIn=60
    )
    client.close()
    assert ("bkt.localhost" in put) == (style == "virtual")
    assert 200 == fetch(put, "PUT", b"by url")[0]
    status, body, headers = fetch(get)
    assert (200, b"by url", "text/x-mine") == (status, body, headers["content-type"])
    assert 403 == fetch(get.replace("text%2Fx-mine", "text%2Fhtml"))[0]
    assert 403 == fetch(get, "DELETE")[0]
    assert 403 == fetch(get.split("?")[0])[0]


def test_a_wrong_secret(server: Server) -> None:
    """A client with another secret is refused on every operation, and its keep-alive connection stays usable."""
    client = boto3_client(server, secret="wrong")
    try:
        calls: list[Callable[[], Any]] = [
            lambda: client.put_object(Bucket="bkt", Key="key", Body=b"x" * 100_000),
            lambda: client.get_object(Bucket="bkt", Key="key"),
            lambda: client.list_objects_v2(Bucket="bkt"),
            lambda: client.create_bucket(Bucket="new"),
            lambda: client.delete_bucket(Bucket="bkt"),
            client.list_buckets,
        ]
        for call in calls:
            with pytest.raises(ClientError) as error:
                call()
            assert (403, "SignatureDoesNotMatch") == failure(error)
    finally:
        client.close()
    assert ["bkt"] == [bucket.name for bucket in server.app.backend.list_buckets()]


def test_buckets(boto: Any) -> None:
    """Buckets are made, listed, located and deleted, and refused while they are not empty."""
    boto.create_bucket(Bucket="new-bucket")
    assert ["bkt", "new-bucket"] == [row["Name"] for row in boto.list_buckets()["Buckets"]]
    assert boto.get_bucket_location(Bucket="bkt")["LocationConstraint"] is None
    assert "us-east-1" == boto.head_bucket(Bucket="bkt")["BucketRegion"]
    boto.put_object(Bucket="new-bucket", Key="key", Body=b"")
    with pytest.raises(ClientError) as error:
        boto.delete_bucket(Bucket="new-bucket")
    assert (409, "BucketNotEmpty") == failure(error)
    boto.delete_object(Bucket="new-bucket", Key="key")
    boto.delete_bucket(Bucket="new-bucket")
    with pytest.raises(ClientError) as error:
        boto.create_bucket(Bucket="other", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert (400, "IllegalLocationConstraintException") == failure(error)


@pytest.fixture
def tagged(boto: Any) -> Iterator[Any]:
    boto.put_object(Bucket="bkt", Key="key", Body=b"precious")
    yield boto
    assert b"precious" == boto.get_object(Bucket="bkt", Key="key")["Body"].read()


def test_what_is_not_implemented_says_so(tagged: Any) -> None:
    """Calls that would be another operation without their sub-resource are refused and touch nothing."""
    about = {"Bucket": "bkt", "Key": "key"}
    calls: list[Callable[[], Any]] = [
        lambda: tagged.get_object_torrent(**about),
        lambda: tagged.rename_object(**about, RenameSource="bkt/other"),
        lambda: tagged.put_object(**about, WriteOffsetBytes=0),
        lambda: tagged.delete_bucket_metadata_table_configuration(Bucket="bkt"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert (501, "NotImplemented") == failure(error)
