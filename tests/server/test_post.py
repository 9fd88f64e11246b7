"""Uploads from forms: what a policy allows, who signed it, and a body that is cut anywhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

import s3func.testing
from s3func.errors import ServiceError
from s3func.message import Request, Response
from s3func.server import S3App
from s3func.server.forms import FormReader
from s3func.wire.post_policy import parse_post_response, presigned_form
from tests.server.conftest import boto3_client
from tests.server.forge import KEY_ID, SECRET, Caller, base64_of, code, keys, read

BOUNDARY = "----boundary"
KIND = f"multipart/form-data; boundary={BOUNDARY}"
SSE = "x-amz-server-side-encryption"


def form(fields: Mapping[str, str], body: bytes | None = b"body", filename: str = "file.txt") -> bytes:
    """A form's body; without a file where `body` is None."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if body is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
        parts.append(head.encode() + body + b"\r\n")
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def signed(key: str = "key", *, conditions: Sequence[Any] = (), secret: str = SECRET, **fields: str) -> dict[str, str]:
    """The fields of a form that is signed with version 4; names have "_" for "-"."""
    return presigned_form(
        bucket="bkt",
        key=key,
        access_key_id=KEY_ID,
        secret_access_key=secret,
        region="us-east-1",
        now=time.time(),
        expires_seconds=60,
        fields={name.replace("_", "-"): value for name, value in fields.items()},
        conditions=conditions,
    )


def post(app: S3App, body: bytes, kind: str = KIND) -> Response:
    """Send a form; no header is signed."""
    headers = {"host": "localhost", "content-type": kind}
    return app(Request("POST", "http://localhost", "/bkt", "", headers, body))


def test_a_signed_form_uploads(caller: Caller) -> None:
    """Key, content headers, metadata and tags are those of the form."""
    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    fields = signed(content_type="text/x", x_amz_meta_colour="red", tagging=tags, x_amz_storage_class="STANDARD_IA")
    answer = post(caller.app, form(fields))
    assert 204 == answer.status, read(answer)
    stored = caller("GET", "/bkt/key")
    assert b"body" == read(stored)
    expected = {"content-type": "text/x", "x-amz-meta-colour": "red", "x-amz-tagging-count": "1"}
    assert expected.items() <= stored.headers.items()


def test_the_name_of_the_file(caller: Caller) -> None:
    """${filename} is what the user's file is called, without its folders."""
    post(caller.app, form(signed("up/${filename}"), filename="C:\\\\docs\\\\ü.txt"))
    assert ["up/ü.txt"] == keys(caller)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_forms_of_boto3(server: s3func.testing.Server, version: str) -> None:
    """What generate_presigned_post makes is accepted, signed with either version."""
    client = boto3_client(server, signature_version=version)
    made = client.generate_presigned_post("bkt", "key", Fields={"acl": "private"}, Conditions=[{"acl": "private"}])
    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", made["url"], fields={**made["fields"], "file": ("f", b"body" * 100_000)})
    assert 204 == answer.status, answer.data
    assert b"body" * 100_000 == client.get_object(Bucket="bkt", Key="key")["Body"].read()
    client.close()


def test_what_is_answered(caller: Caller) -> None:
    """201 has a document, 200 none, a redirect says where the object is; what is none of these is 204."""
    answer = post(caller.app, form(signed(success_action_status="200")))
    assert 204 == answer.status
    for status in ("200", "201"):
        answer = post(caller.app, form(signed() | {"success_action_status": status}))
        assert (403, "AccessDenied") == code(answer)
    answer = post(caller.app, form(_with("success_action_status", "201")))
    assert 201 == answer.status
    document = parse_post_response(read(answer))
    assert ("bkt", "key") == (document.bucket, document.key)
    answer = post(caller.app, form(_with("success_action_redirect", "http://localhost/done")))
    assert 303 == answer.status
    assert answer.headers["location"].startswith("http://localhost/done?bucket=bkt&key=key&etag=%22")
    assert 204 == post(caller.app, form(_with("success_action_redirect", "javascript:alert(1)"))).status


def _with(name: str, value: str) -> dict[str, str]:
    """A signed form with one more field, whose name has underscores."""
    return signed(conditions=[["eq", f"${name}", value]]) | {name: value}


def test_lengths(caller: Caller) -> None:
    """content-length-range holds at both ends, and the end of the range is part of it."""
    fields = signed(conditions=[["content-length-range", 2, 4]])
    for body, expected in ((b"a", (400, "EntityTooSmall")), (b"abcde", (400, "EntityTooLarge"))):
        assert expected == code(post(caller.app, form(fields, body)))
    assert [] == keys(caller)
    for body in (b"ab", b"abcd"):
        assert 204 == post(caller.app, form(fields, body)).status


REFUSED = {
    "unsigned": ({"key": "key"}, (403, "AccessDenied")),
    "no key": ({"acl": "private"}, (400, "InvalidArgument")),
    "extra field": (lambda: signed() | {"x-amz-meta-a": "b"}, (403, "AccessDenied")),
    "other key": (lambda: signed() | {"key": "other"}, (403, "AccessDenied")),
    "wrong secret": (lambda: signed(secret="other"), (403, "SignatureDoesNotMatch")),
    "policy": (lambda: signed() | {"policy": "e30="}, (403, "SignatureDoesNotMatch")),
    "region": (
        lambda: {name: value.replace("us-east-1", "eu-west-1") for name, value in signed().items()},
        (400, "InvalidArgument"),
    ),
    "nobody": (
        lambda: {name: value.replace(KEY_ID, "nobody") for name, value in signed().items()},
        (403, "InvalidAccessKeyId"),
    ),
    "checksum": (lambda: signed() | {"x-amz-checksum-crc32": "AAAAAA=="}, (400, "BadDigest")),
    "long": (lambda: signed(x_amz_meta_a="x" * 30_000), (400, "MaxPostPreDataLengthExceededError")),
    "acl": (lambda: signed(acl="open"), (400, "InvalidArgument")),
    "encryption": (lambda: signed(x_amz_server_side_encryption="AES192"), (400, "InvalidArgument")),
}


@pytest.mark.parametrize(("fields", "expected"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_not_allowed(caller: Caller, fields: Any, expected: tuple[int, str]) -> None:
    """A form that its policy, its signature or its bucket does not allow is refused, and nothing is stored."""
    sent = fields() if callable(fields) else fields
    assert expected == code(post(caller.app, form(sent)))
    assert [] == keys(caller)


def test_the_checksum_of_the_file(caller: Caller) -> None:
    """It is compared, kept and answered."""
    value = base64_of("crc32", b"body")
    answer = post(caller.app, form(signed() | {"x-amz-checksum-crc32": value}))
    assert (204, value) == (answer.status, answer.headers["x-amz-checksum-crc32"])
    stored = caller("HEAD", "/bkt/key", headers={"x-amz-checksum-mode": "ENABLED"})
    assert value == stored.headers["x-amz-checksum-crc32"]


def test_everybody_may_upload_into_an_open_bucket(caller: Caller) -> None:
    """A form without a policy is anonymous, which a public-read-write bucket allows."""
    assert 200 == caller("PUT", "/bkt", "acl=", headers={"x-amz-acl": "public-read-write"}).status
    assert 204 == post(caller.app, form({"key": "key", "acl": "public-read"})).status
    assert ["key"] == keys(caller)


def test_a_server_that_trusts_everybody_asks_for_no_signature() -> None:
    """Without authentication a form's signature counts for nothing, its conditions still do."""
    app = S3App(no_auth=True)
    app.backend.create_bucket("bkt")
    assert 204 == post(app, form(signed(secret="other"))).status
    assert (403, "AccessDenied") == code(post(app, form(signed(secret="other") | {"acl": "private"})))
    app.close()


def test_encryption_of_forms(caller: Caller) -> None:
    """Fields ask for encryption as headers do, and the answer says so."""
    answer = post(caller.app, form(signed(x_amz_server_side_encryption="AES256")))
    assert (204, "AES256") == (answer.status, answer.headers[SSE])


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/x-www-form-urlencoded", b"key=key", (412, "PreconditionFailed")),
        ("multipart/form-data", form({"key": "key"}), (412, "PreconditionFailed")),
        (KIND, b"", (400, "MalformedPOSTRequest")),
        (KIND, b"nothing of the kind", (400, "MalformedPOSTRequest")),
        (KIND, form({"key": "key"}, None), (400, "InvalidArgument")),
        (KIND, form({"key": "key"}).replace(b'name="key"', b""), (400, "MalformedPOSTRequest")),
        (
            KIND,
            form({"key": "key"}).replace(b"\r\n\r\nkey", b"\r\nX: " + b"y" * 5000 + b"\r\n\r\nkey"),
            (400, "MalformedPOSTRequest"),
        ),
        (
            KIND,
            form({"key": "k"}).replace(b"\r\n\r\nk\r\n", b"\r\n\r\n\xff\r\n"),
            (400, "InvalidArgument"),
        ),
    ],
)
def test_what_is_no_form(caller: Caller, kind: str, body: bytes, expected: tuple[int, str]) -> None:
    """Bodies that are no form, or have no file, are refused for what they are."""
    assert expected == code(post(caller.app, body, kind))
    assert [] == keys(caller)


def test_a_form_that_is_cut_off_stores_nothing(caller: Caller) -> None:
    """Wherever a form ends too early, there is no object."""
    whole = form(signed())
    for end in range(len(whole) - 200, len(whole) - 4):
        assert 400 == post(caller.app, whole[:end]).status
    assert [] == keys(caller)


@given(st.binary(max_size=80), st.integers(1, 40))
def test_blocks_may_end_anywhere(body: bytes, size: int) -> None:
    """However the form arrives, the file is the same bytes."""
    received: list[bytes] = []
    taken: list[tuple[list[tuple[str, str]], str]] = []

    def begin(fields: list[tuple[str, str]], filename: str) -> Any:
        taken.append((list(fields), filename))
        return lambda block: received.append(bytes(block))

    reader = FormReader(KIND, begin)
    whole = form({"key": "ü", "b": "\r\n--"}, body)
    for place in range(0, len(whole), size):
        reader.feed(whole[place : place + size])
    reader.finish()
    assert [([("key", "ü"), ("b", "\r\n--")], "file.txt")] == taken
    assert body == b"".join(received)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_refused(noise: bytes) -> None:
    """Nothing but a ServiceError comes out of a body that is none."""
    reader = FormReader(KIND, lambda _fields, _filename: lambda _block: None)
    try:
        reader.feed(form({"key": "k"}, None)[:-4] + noise)
        reader.finish()
    except ServiceError as error:
        assert error.status in {400, 412}
