"""Encryption headers: what is asked for is kept and answered, a customer's key is needed again, conflicts are refused."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import md5
from typing import Any

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from s3func.errors import ServiceError
from s3func.server import MemoryBackend, S3App
from s3func.server.encryption import ENCRYPTION, check_key_id, check_readable, object_encryption
from s3func.wire.s3xml_stored import render_configuration
from tests.server.forge import KEY_ID, SECRET, Caller, code, read

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
SSE = "x-amz-server-side-encryption"


def customer(key: bytes, prefix: str = SSE) -> dict[str, str]:
    """The three headers of a customer's key."""
    digest = md5(key, usedforsecurity=False).digest()
    name = f"{prefix}-customer-"
    return {
        f"{name}algorithm": "AES256",
        f"{name}key": b64encode(key).decode(),
        f"{name}key-md5": b64encode(digest).decode(),
    }


def default(caller: Caller, rule: dict[str, Any]) -> None:
    """Set the default encryption of the bucket."""
    body = render_configuration("ServerSideEncryptionConfiguration", {"Rules": [rule]})
    response = caller("PUT", "/bkt", "encryption=", body)
    assert 200 == response.status, read(response)


def test_a_customer_key_is_needed_again(caller: Caller) -> None:
    """GET and HEAD of an SSE-C object answer with the right key only, and say so of the answer."""
    written = caller("PUT", "/bkt/key", body=b"body", headers=customer(KEY))
    assert "AES256" == written.headers[f"{SSE}-customer-algorithm"]
    assert b"body" == read(caller("GET", "/bkt/key", headers=customer(KEY)))
    assert customer(KEY)[f"{SSE}-customer-key-md5"] == written.headers[f"{SSE}-customer-key-md5"]
    for method in ("GET", "HEAD"):
        assert 400 == caller(method, "/bkt/key").status
        assert 400 == caller(method, "/bkt/key", headers=customer(OTHER)).status
    assert (400, "InvalidRequest") == code(caller("GET", "/bkt/key", headers=customer(OTHER)))


def test_a_customer_key_is_not_kept() -> None:
    """Neither the key nor its MD5 is in the document, and two objects of one key have different ones."""
    first, second = (object_encryption(customer(KEY), {}, None)[ENCRYPTION] for _ in range(2))
    assert first != second
    for text in (b64encode(KEY).decode(), KEY.hex(), customer(KEY)[f"{SSE}-customer-key-md5"]):
        assert text not in first


def test_a_key_for_an_object_that_has_none(caller: Caller) -> None:
    """A customer's key for an object without one is refused."""
    caller.put("key", b"body")
    assert (400, "InvalidRequest") == code(caller("GET", "/bkt/key", headers=customer(KEY)))


CONFLICTS = {
    "algorithm": ({SSE: "aes:kms"}, "InvalidArgument"),
    "key id with AES256": ({SSE: "AES256", f"{SSE}-aws-kms-key-id": "a"}, "InvalidArgument"),
    "key id alone": ({f"{SSE}-aws-kms-key-id": "a"}, "InvalidArgument"),
    "no key id": ({SSE: "aws:kms"}, "InvalidArgument"),
    "both kinds": ({SSE: "AES256", **customer(KEY)}, "InvalidArgument"),
    "no md5": ({k: v for k, v in customer(KEY).items() if not k.endswith("md5")}, "InvalidArgument"),
    "no algorithm": ({k: v for k, v in customer(KEY).items() if "algorithm" not in k}, "InvalidArgument"),
    "wrong md5": ({**customer(KEY), f"{SSE}-customer-key-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "InvalidArgument"),
    "short key": (customer(KEY[:16]), "InvalidArgument"),
    "odd algorithm": ({**customer(KEY), f"{SSE}-customer-algorithm": "AES128"}, "InvalidEncryptionAlgorithmError"),
    "context": (
        {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": "a", f"{SSE}-context": b64encode(b"[1]").decode()},
        "InvalidArgument",
    ),
}


@pytest.mark.parametrize(("headers", "expected"), CONFLICTS.values(), ids=list(CONFLICTS))
def test_what_does_not_fit_together_is_refused(caller: Caller, headers: dict[str, str], expected: str) -> None:
    """Headers that contradict each other are refused, and nothing is stored."""
    assert (400, expected) == code(caller("PUT", "/bkt/key", body=b"body", headers=headers))
    assert 404 == caller("HEAD", "/bkt/key").status


def test_kms_is_answered(caller: Caller) -> None:
    """Key id, bucket key and context of aws:kms are answered; asking for encryption while reading is refused."""
    context = b64encode(json.dumps({"a": "b"}).encode()).decode()
    headers = {
        SSE: "aws:kms",
        f"{SSE}-aws-kms-key-id": "k",
        f"{SSE}-bucket-key-enabled": "true",
        f"{SSE}-context": context,
    }
    written = caller("PUT", "/bkt/key", body=b"body", headers=headers)
    assert headers.items() <= written.headers.items()
    answer = caller("HEAD", "/bkt/key").headers
    assert ("aws:kms", "k", "true") == tuple(answer[name] for name in list(headers)[:3])
    assert (400, "InvalidArgument") == code(caller("GET", "/bkt/key", headers={SSE: "aws:kms"}))


def test_unknown_kms_keys_are_refused() -> None:
    """A server that was told its keys knows no others, whether named by id or by ARN."""
    with S3AppOf({"known"}) as caller:
        for key_id, expected in (("known", 200), ("arn:aws:kms:us-east-1:1:key/known", 200), ("other", 400)):
            headers = {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": key_id}
            assert expected == caller("PUT", "/bkt/key", headers=headers).status
    with pytest.raises(ServiceError, match="does not exist"):
        check_key_id("other", {"known"})


class S3AppOf:
    """An app with some KMS keys, as a context."""

    def __init__(self, keys: set[str]) -> None:
        self._app = S3App(MemoryBackend(), access_key_id=KEY_ID, secret_access_key=SECRET, kms_key_ids=keys)

    def __enter__(self) -> Caller:
        caller = Caller(self._app)
        caller("PUT", "/bkt")
        return caller

    def __exit__(self, *error: object) -> None:
        self._app.close()


def test_the_default_of_a_bucket(caller: Caller) -> None:
    """Objects that ask for nothing get what the bucket says, those that ask get what they ask for."""
    assert (404, "ServerSideEncryptionConfigurationNotFoundError") == code(caller("GET", "/bkt", "encryption="))
    default(caller, {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}})
    written = caller.put("a")
    assert ("aws:kms", "k") == (written.headers[SSE], written.headers[f"{SSE}-aws-kms-key-id"])
    assert "AES256" == caller.put("b", x_amz_server_side_encryption="AES256").headers[SSE]
    assert f"{SSE}-customer-algorithm" in caller("PUT", "/bkt/c", headers=customer(KEY)).headers
    assert 204 == caller("DELETE", "/bkt", "encryption=").status
    assert SSE not in caller.put("d").headers


def test_a_bucket_can_block_customer_keys(caller: Caller) -> None:
    """BlockedEncryptionTypes refuses SSE-C."""
    default(caller, {"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}})
    assert (403, "AccessDenied") == code(caller("PUT", "/bkt/key", headers=customer(KEY)))


def test_copies_need_the_key_of_their_source(caller: Caller) -> None:
    """A copy needs the source's key, and is encrypted as the copy asks, not as its source was."""
    caller("PUT", "/bkt/key", body=b"body", headers=customer(KEY))
    copy = {"x-amz-copy-source": "/bkt/key"}
    source = customer(KEY, "x-amz-copy-source-server-side-encryption")
    assert (400, "InvalidRequest") == code(caller("PUT", "/bkt/copy", headers=copy))
    assert 200 == caller("PUT", "/bkt/copy", headers=copy | source).status
    assert b"body" == read(caller("GET", "/bkt/copy"))
    assert 200 == caller("PUT", "/bkt/other", headers=copy | source | customer(OTHER)).status
    assert b"body" == read(caller("GET", "/bkt/other", headers=customer(OTHER)))


def test_parts_need_the_key_of_their_upload(boto: Any) -> None:
    """Every part, and the completion, comes with the key that the upload was begun with."""
    about = {"Bucket": "bkt", "Key": "key"}
    right, wrong = ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key} for key in (KEY, OTHER))
    upload = {**about, "UploadId": boto.create_multipart_upload(**about, **right)["UploadId"]}
    for keys in ({}, wrong):
        with pytest.raises(ClientError, match="InvalidRequest"):
            boto.upload_part(**upload, PartNumber=1, Body=b"body", **keys)
    part = boto.upload_part(**upload, PartNumber=1, Body=b"body", **right)
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    with pytest.raises(ClientError, match="InvalidRequest"):
        boto.complete_multipart_upload(**upload, MultipartUpload=parts)
    boto.complete_multipart_upload(**upload, MultipartUpload=parts, **right)
    assert b"body" == boto.get_object(**about, **right)["Body"].read()
    with pytest.raises(ClientError, match="InvalidRequest"):
        boto.get_object_attributes(**about, ObjectAttributes=["ETag"])


def test_an_object_that_is_not_encrypted_needs_nothing() -> None:
    """Reading without headers what has no document passes."""
    check_readable({}, {})
