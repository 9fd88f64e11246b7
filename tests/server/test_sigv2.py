"""Signature Version 2: what botocore signs is accepted, what differs from it by one thing is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

import s3func.testing
from s3func.message import Request, Response
from s3func.server import MemoryBackend, S3App
from s3func.server.users import User
from s3func.wire import sigv2
from s3func.wire.encoding import encode_query, http_date
from tests.server.conftest import boto3_client
from tests.server.forge import KEY_ID, SECRET, Caller, code, read


@pytest.fixture
def old(server: s3func.testing.Server) -> Iterator[Any]:
    """boto3 that signs with version 2."""
    client = boto3_client(server, signature_version="s3")
    yield client
    client.close()


def send(
    caller: Caller, method: str, path: str, *, secret: str = SECRET, key_id: str = KEY_ID, **wrong: str
) -> Response:
    """A signed request; `wrong` are headers that are changed behind the signature."""
    headers = {"host": "localhost", "date": http_date(time.time()), "content-type": "text/plain"}
    signature = sigv2.signature(secret, sigv2.string_to_sign(method, path, [], headers))
    headers["authorization"] = sigv2.authorization_header(key_id, signature)
    headers |= {name.replace("_", "-"): value for name, value in wrong.items()}
    return caller.app(Request(method, "http://localhost", path, "", headers, b""))


def presigned(caller: Caller, expires: str, signed: str | None = None) -> Response:
    """A presigned GET; signed: the text of Expires that is signed, if another."""
    text = sigv2.string_to_sign("GET", "/bkt/key", [], {}, expires=signed or expires)
    query = encode_query(sigv2.presigned_parameters(KEY_ID, expires, sigv2.signature(SECRET, text)))
    return caller.app(Request("GET", "http://localhost", "/bkt/key", query, {"host": "localhost"}))


def test_botocore_works(old: Any) -> None:
    """Buckets, odd keys, sub-resources and headers, as botocore signs them."""
    old.create_bucket(Bucket="other")
    about = {"Bucket": "other", "Key": "a//b ü+?"}
    old.put_object(**about, Body=b"body", Metadata={"colour": "red"}, ContentType="text/plain")
    assert b"body" == old.get_object(**about)["Body"].read()
    assert ["a//b ü+?"] == [row["Key"] for row in old.list_objects_v2(Bucket="other")["Contents"]]
    upload = old.create_multipart_upload(**about)["UploadId"]
    old.upload_part(**about, UploadId=upload, PartNumber=1, Body=b"part")
    assert [4] == [part["Size"] for part in old.list_parts(**about, UploadId=upload)["Parts"]]


def test_presigned_urls_of_botocore_work(old: Any) -> None:
    """A URL for GET and one for PUT, for whoever has it."""
    with urllib3.PoolManager() as pool:
        url = old.generate_presigned_url("put_object", {"Bucket": "bkt", "Key": "key"})
        assert 200 == pool.request("PUT", url, body=b"body").status
        assert (
            b"body"
            == pool.request("GET", old.generate_presigned_url("get_object", {"Bucket": "bkt", "Key": "key"})).data
        )


def test_a_date_as_mail_writes_it(caller: Caller) -> None:
    """The time zone may be a number, as long as it is zero."""
    for zone, expected in (("+0000", 200), ("-0000", 200), ("+0100", 403)):
        headers = {"host": "localhost", "date": http_date(time.time()).replace("GMT", zone)}
        text = sigv2.string_to_sign("PUT", "/bkt/key", [], headers)
        headers["authorization"] = sigv2.authorization_header(KEY_ID, sigv2.signature(SECRET, text))
        assert expected == caller.app(Request("PUT", "http://localhost", "/bkt/key", "", headers, b"")).status


def test_another_secret_is_refused(server: s3func.testing.Server) -> None:
    """A signature with a wrong secret does not match."""
    client = boto3_client(server, secret="other", signature_version="s3")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client.list_buckets()
    client.close()


@pytest.mark.parametrize("name", ["content_type", "x_amz_meta_a", "date"])
def test_a_changed_header_is_refused(caller: Caller, name: str) -> None:
    """Content-Type, Date and x-amz-… are bound by the signature."""
    value = http_date(time.time() - 60) if name == "date" else "changed"
    assert (403, "SignatureDoesNotMatch") == code(send(caller, "PUT", "/bkt/key", **{name: value}))


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"date": "yesterday"}, (403, "AccessDenied")),
        ({"date": ""}, (403, "AccessDenied")),
        ({"date": "Tue, 07 Jul 1950 21:53:04 GMT"}, (403, "AccessDenied")),
        ({"date": "Wed, 07 Jul 2010 21:53:04 GMT"}, (403, "RequestTimeTooSkewed")),
        ({"x_amz_date": "Fri, 07 Jul 2100 21:53:04 GMT"}, (403, "RequestTimeTooSkewed")),
        ({"authorization": "AWS HAHAHA"}, (400, "InvalidArgument")),
        ({"authorization": "AWS nobody:frJIUN8DYpKDtOLCwo//yllqDzg="}, (403, "InvalidAccessKeyId")),
    ],
)
def test_what_cannot_be_is_refused(caller: Caller, wrong: dict[str, str], expected: tuple[int, str]) -> None:
    """Dates that are none or far away, and headers that are no signature, are refused for what they are."""
    assert expected == code(send(caller, "PUT", "/bkt/key", **wrong))
    assert 404 == caller("HEAD", "/bkt/key").status


def test_a_presigned_url_ends(caller: Caller) -> None:
    """It is good until its Expires, which is signed."""
    caller.put("key", b"body")
    now = int(time.time())
    assert b"body" == read(presigned(caller, str(now + 60)))
    assert (403, "AccessDenied") == code(presigned(caller, str(now - 1)))
    assert (403, "SignatureDoesNotMatch") == code(presigned(caller, str(now + 60), str(now)))
    assert (403, "AccessDenied") == code(presigned(caller, "soon"))


@pytest.mark.parametrize("name", ["legal-hold", "retention", "encryption", "publicAccessBlock", "ownershipControls"])
def test_a_url_is_for_its_own_operation(caller: Caller, name: str) -> None:
    """A URL for a PUT does not become another operation by what version 2 leaves unsigned."""
    expires = str(int(time.time()) + 60)
    text = sigv2.string_to_sign("PUT", "/bkt/key", [], {}, expires=expires)
    signed = sigv2.presigned_parameters(KEY_ID, expires, sigv2.signature(SECRET, text))
    for query, expected in ((encode_query(signed), 200), (encode_query([*signed, (name, "")]), 403)):
        request = Request("PUT", "http://localhost", "/bkt/key", query, {"host": "localhost"}, b"body")
        assert expected == caller.app(request).status


def test_two_mechanisms_are_one_too_many(caller: Caller) -> None:
    """Signed in the header and in the query is refused."""
    query = encode_query(sigv2.presigned_parameters(KEY_ID, "1", "x"))
    assert (400, "InvalidArgument") == code(caller("GET", "/bkt/key", query))


def test_a_bucket_in_the_host_is_signed_in_the_path(caller: Caller) -> None:
    """The bucket stands in front of the path that is signed."""
    headers = {"host": "bkt.localhost", "date": http_date(time.time())}
    text = sigv2.string_to_sign("PUT", "/bkt/key", [], headers)
    headers["authorization"] = sigv2.authorization_header(KEY_ID, sigv2.signature(SECRET, text))
    assert 200 == caller.app(Request("PUT", "http://bkt.localhost", "/key", "", headers, b"")).status


def test_several_users() -> None:
    """Everybody signs with a secret of their own, and owns what they make."""
    users = [User(f"id{number}", f"secret{number}", f"user{number}") for number in range(2)]
    app = S3App(MemoryBackend(), users=users)
    caller = Caller(app)
    for number in range(2):
        about = {"key_id": f"id{number}", "secret": f"secret{number}"}
        assert 200 == send(caller, "PUT", f"/bucket{number}", **about).status
        assert f"user{number}" == app.backend.get_bucket(f"bucket{number}").owner
    crossed = send(caller, "PUT", "/bucket3", key_id="id0", secret="secret1")
    assert (403, "SignatureDoesNotMatch") == code(crossed)
    app.close()
