"""Forms that upload: the example of AWS's page, botocore's forms, and the cases that Ceph's suite asks servers for."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.auth  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import AccessDenied, InvalidRequest, ProtocolError, ServiceError
from s3func.wire import post_policy, sigv2, sigv4
from s3func.wire.post_policy import Condition, FormSignature, PostPolicy, PostResponse
from tests.shared_data import HOSTILE_KEYS, load_vectors

EXAMPLE = load_vectors("post_policy.json")
KEY_ID, SECRET = EXAMPLE["credentials"]["access_key_id"], EXAMPLE["credentials"]["secret_access_key"]
NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
EPOCH = NOW.timestamp()
LATER = "2026-11-21T11:00:00Z"
BEGINNING = f'{{"expiration": "{LATER}", "conditions": '

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.one_of(st.sampled_from(HOSTILE_KEYS), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
FIELDS = st.dictionaries(
    st.sampled_from(["Content-Type", "acl", "x-amz-meta-a", "Cache-Control", "success_action_status", "tagging"]),
    TEXTS.filter(lambda text: "${filename}" not in text),
    max_size=4,
)
TOKENS = st.one_of(st.none(), st.text(st.sampled_from("AQoDYXdzEPT//+=019"), min_size=1, max_size=60))


def encoded(document: Any) -> str:
    """A policy as a form sends it."""
    text = document if isinstance(document, str) else json.dumps(document)
    return b64encode(text.encode()).decode("ascii")


CONDITIONS: list[Any] = [
    {"bucket": "b"},
    ["starts-with", "$key", "foo"],
    {"acl": "private"},
    ["starts-with", "$Content-Type", "text/plain"],
    ["content-length-range", 0, 1024],
]
FORM = {"key": "foo.txt", "acl": "private", "content-type": "text/plain"}


def policy_of(*conditions: Any, expiration: str = LATER) -> PostPolicy:
    """A policy that was sent and read."""
    return post_policy.parse_policy(encoded({"expiration": expiration, "conditions": list(conditions)}))


def test_the_example_of_the_documentation() -> None:
    """The policy of AWS's page is read as it says, and its signature is right for its secret and for no other."""
    policy = post_policy.parse_policy(EXAMPLE["policy_base64"])
    assert datetime(2015, 12, 30, 12, tzinfo=UTC) == policy.expiration
    assert Condition("starts-with", "key", "user/user1/") in policy.conditions
    assert Condition("eq", "x-amz-meta-uuid", "14365123651274") in policy.conditions
    assert 11 == len(policy.conditions)
    form = {
        "key": "user/user1/${filename}",
        "acl": "public-read",
        "success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
        "content-type": "image/jpeg",
        "x-amz-meta-uuid": "14365123651274",
        "x-amz-server-side-encryption": "AES256",
        "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-date": "20151229T000000Z",
        "x-amz-meta-tag": "",
        "policy": EXAMPLE["policy_base64"],
        "x-amz-signature": EXAMPLE["signature"],
    }
    post_policy.check_form(
        policy, form, bucket="sigv4examplebucket", now=datetime(2015, 12, 30, tzinfo=UTC).timestamp()
    )
    signature = post_policy.parse_form_signature(form)
    assert FormSignature(4, KEY_ID, EXAMPLE["signature"], "20151229", "us-east-1", "s3") == signature
    assert post_policy.is_signed_with(signature, EXAMPLE["policy_base64"], SECRET)
    assert not post_policy.is_signed_with(signature, EXAMPLE["policy_base64"], SECRET + "x")
    assert not post_policy.is_signed_with(signature, EXAMPLE["policy_base64"][:-4], SECRET)


@pytest.fixture(scope="module")
def frozen_botocore() -> Iterator[None]:
    """botocore signs at one moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_: NOW)
        yield


@pytest.mark.usefixtures("frozen_botocore")
@given(KEYS, st.booleans(), FIELDS, TOKENS, st.integers(1, 604_800))
def test_forms_are_those_of_botocore(
    key: str, with_filename: bool, fields: dict[str, str], token: str | None, seconds: int
) -> None:
    """For any key, fields and token, the form is the one that botocore makes of the same conditions."""
    conditions = [{name: value} for name, value in fields.items()]
    if with_filename:
        key += "${filename}"
    ours = post_policy.presigned_form(
        bucket="b", key=key, access_key_id=KEY_ID, secret_access_key=SECRET, region="eu-west-1", now=EPOCH,
        expires_seconds=seconds, session_token=token, fields=fields,
    )  # fmt: skip
    at_key: Any = {"key": key}
    if key.endswith("${filename}"):
        at_key = ["starts-with", "$key", key.removesuffix("${filename}")]
    expiration = (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    request = AWSRequest("POST", "https://b.s3.eu-west-1.amazonaws.com/")
    request.context["s3-presign-post-fields"] = {**fields, "key": key}
    request.context["s3-presign-post-policy"] = {
        "expiration": expiration,
        "conditions": [*conditions, {"bucket": "b"}, at_key],
    }
    botocore.auth.S3SigV4PostAuth(Credentials(KEY_ID, SECRET, token), "s3", "eu-west-1").add_auth(request)
    assert request.context["s3-presign-post-fields"] == ours


@given(KEYS, FIELDS, TOKENS)
def test_our_own_forms_are_accepted(key: str, fields: dict[str, str], token: str | None) -> None:
    """What the client half makes, the server half allows; with any field changed it does not."""
    form = post_policy.presigned_form(
        bucket="b", key=key, access_key_id=KEY_ID, secret_access_key=SECRET, region="r", now=EPOCH,
        expires_seconds=60, session_token=token, fields=fields,
    )  # fmt: skip
    received = post_policy.substitute_filename(post_policy.form_fields(form.items()), "f")
    signature = post_policy.parse_form_signature(received)
    assert signature is not None
    assert (4, KEY_ID, "20261121", "r", "s3") == (
        signature.version,
        signature.access_key_id,
        signature.date8,
        signature.region,
        signature.service,
    )
    assert post_policy.is_signed_with(signature, received["policy"], SECRET)
    policy = post_policy.parse_policy(received["policy"])
    post_policy.check_form(policy, received, bucket="b", now=EPOCH + 59)
    with pytest.raises(AccessDenied, match="expired"):
        post_policy.check_form(policy, received, bucket="b", now=EPOCH + 60)
    for name in received.keys() - {"policy", "x-amz-signature"}:
        with pytest.raises(AccessDenied):
            post_policy.check_form(policy, {**received, name: received[name] + "x"}, bucket="b", now=EPOCH)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_forms_of_boto3(version: str) -> None:
    """A presigned POST of boto3, in either version of the signature, is allowed and its signature is right."""
    client = botocore.session.Session().create_client(
        "s3",
        region_name="eu-west-1",
        endpoint_url="http://127.0.0.1:1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(signature_version=version),
    )
    made = client.generate_presigned_post(
        "b",
        "up/${filename}",
        Fields={"acl": "private"},
        Conditions=[{"acl": "private"}, ["content-length-range", 1, 9]],
    )
    client.close()
    form = post_policy.substitute_filename(post_policy.form_fields(made["fields"].items()), "a.txt")
    assert "up/a.txt" == form["key"]
    signature = post_policy.parse_form_signature(form)
    assert signature is not None
    assert ({"s3v4": 4, "s3": 2}[version], KEY_ID) == (signature.version, signature.access_key_id)
    assert post_policy.is_signed_with(signature, form["policy"], SECRET)
    policy = post_policy.parse_policy(form["policy"])
    assert (1, 9) == (policy.length_min, policy.length_max)
    post_policy.check_form(policy, form, bucket="b", now=policy.expiration.timestamp() - 1)


@pytest.mark.parametrize(
    ("conditions", "form"),
    [
        (CONDITIONS, FORM),
        # Operators and names have no case.
        (
            [{"bUcKeT": "b"}, ["StArTs-WiTh", "$KeY", "foo"], {"AcL": "private"}, ["EQ", "$CoNtEnT-tYpE", "text/plain"]],
            FORM,
        ),
        # The backslash of a key is a backslash.
        ([{"bucket": "b"}, ["starts-with", "$key", "\\$foo"]], {"key": "\\$foo.txt"}),
        # Whatever is to be ignored, and the checksum of the file, need no condition.
        (CONDITIONS, {**FORM, "x-ignore-me": "1", "x-amz-checksum-sha256": "abc", "file": ""}),
        ([*CONDITIONS, ["starts-with", "$x-amz-meta-foo", "bar"]], {**FORM, "x-amz-meta-foo": "barclamp"}),
        ([*CONDITIONS, ["starts-with", "$tagging", ""]], {**FORM, "tagging": ""}),
        # What the form says about its bucket does not count.
        (CONDITIONS, {**FORM, "bucket": "other"}),
        # Each type of a list has to be allowed.
        ([{"bucket": "b"}, {"key": "k"}, ["starts-with", "$Content-Type", "image/"]],
         {"key": "k", "content-type": "image/jpeg, image/gif"}),
        # The signature's fields of version 2.
        (CONDITIONS, {**FORM, "awsaccesskeyid": "a", "signature": "s", "policy": "p"}),
    ],
)  # fmt: skip
def test_allowed_forms(conditions: list[Any], form: dict[str, str]) -> None:
    """A form whose every field is as a condition wants it is allowed."""
    post_policy.check_form(policy_of(*conditions), form, bucket="b", now=EPOCH)


@pytest.mark.parametrize(
    ("conditions", "form", "reason"),
    [
        (CONDITIONS, {**FORM, "key": "bar"}, 'Policy Condition failed: ["starts-with", "$key", "foo"]'),
        (CONDITIONS, {**FORM, "acl": "Private"}, 'Policy Condition failed: ["eq", "$acl", "private"]'),
        (CONDITIONS, {**FORM, "content-type": "image/gif"}, "Policy Condition failed"),
        (CONDITIONS, {"key": "foo", "acl": "private"}, "Policy Condition failed"),
        ([*CONDITIONS, ["starts-with", "$x-amz-meta-foo", ""]], FORM, "Policy Condition failed"),
        ([*CONDITIONS, ["eq", "$x-amz-meta-foo", ""]], {**FORM, "x-amz-meta-foo": "barclamp"}, "Policy Condition failed"),
        ([{"bucket": "c"}, *CONDITIONS[1:]], {**FORM, "bucket": "c"}, 'failed: ["eq", "$bucket", "c"]'),
        (CONDITIONS[1:], FORM, "Extra input fields: bucket"),
        ([{"bucket": "b"}], {"key": "k"}, "Extra input fields: key"),
        (CONDITIONS, {**FORM, "x-amz-meta-foo": "1"}, "Extra input fields: x-amz-meta-foo"),
        (CONDITIONS, {**FORM, "x-amz-security-token": "t"}, "Extra input fields: x-amz-security-token"),
        (CONDITIONS, {**FORM, "submit": "Upload"}, "Extra input fields: submit"),
        ([{"bucket": "b"}, {"key": "k"}, ["starts-with", "$Content-Type", "image/"]],
         {"key": "k", "content-type": "image/jpeg,text/html"}, "Policy Condition failed"),
    ],
)  # fmt: skip
def test_refused_forms(conditions: list[Any], form: dict[str, str], reason: str) -> None:
    """A form with a field that is missing, wrong or not named is AccessDenied, and the message says which."""
    with pytest.raises(AccessDenied) as caught:
        post_policy.check_form(policy_of(*conditions), form, bucket="b", now=EPOCH)
    assert 403 == caught.value.status
    assert reason in caught.value.message


def test_a_policy_ends() -> None:
    """At its expiration a policy allows nothing any more."""
    policy = policy_of(*CONDITIONS, expiration="2026-11-21T10:00:00.500Z")
    post_policy.check_form(policy, FORM, bucket="b", now=EPOCH + 0.499)
    with pytest.raises(AccessDenied, match=r"Policy expired\."):
        post_policy.check_form(policy, FORM, bucket="b", now=EPOCH + 0.5)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{}",
        "[]",
        "null",
        '"text"',
        "{",
        "[" * 100_000,
        json.dumps({"expiration": LATER}),
        json.dumps({"conditions": CONDITIONS}),
        json.dumps({"expiration": LATER, "CONDITIONS": CONDITIONS}),
        json.dumps({"EXPIRATION": LATER, "conditions": CONDITIONS}),
        json.dumps({"expiration": LATER, "conditions": CONDITIONS, "more": 1}),
        json.dumps({"expiration": LATER, "conditions": {"bucket": "b"}}),
        json.dumps({"expiration": LATER, "conditions": [{}]}),
        json.dumps({"expiration": LATER, "conditions": [{"bucket": "b", "acl": "private"}]}),
        BEGINNING + '[{"bucket": "b", "bucket": "c"}]}',
        BEGINNING + '[], "conditions": [{"bucket": "b"}]}',
        json.dumps({"expiration": LATER, "conditions": [{"bucket": 1}]}),
        json.dumps({"expiration": LATER, "conditions": [{"": "b"}]}),
        json.dumps({"expiration": LATER, "conditions": ["bucket"]}),
        json.dumps({"expiration": LATER, "conditions": [["eq", "key", "b"]]}),
        json.dumps({"expiration": LATER, "conditions": [["eq", "$", "b"]]}),
        json.dumps({"expiration": LATER, "conditions": [["eq", "$key"]]}),
        json.dumps({"expiration": LATER, "conditions": [["eq", "$key", ["a"]]]}),
        json.dumps({"expiration": LATER, "conditions": [["ends-with", "$key", "b"]]}),
        json.dumps({"expiration": LATER, "conditions": [[1, "$key", "b"]]}),
        json.dumps({"expiration": LATER, "conditions": [["content-length-range", 0]]}),
        json.dumps({"expiration": LATER, "conditions": [["content-length-range", -1, 0]]}),
        json.dumps({"expiration": LATER, "conditions": [["content-length-range", 0, 1.5]]}),
        json.dumps({"expiration": LATER, "conditions": [["content-length-range", True, 1]]}),
        json.dumps({"expiration": LATER, "conditions": [["content-length-range", 0, "٣"]]}),
    ],
)
def test_what_is_no_policy(document: str) -> None:
    """A policy of another form is InvalidPolicyDocument, status 400, however hostile."""
    with pytest.raises(InvalidRequest) as caught:
        post_policy.parse_policy(encoded(document))
    assert ("InvalidPolicyDocument", 400) == (caught.value.code, caught.value.status)


@pytest.mark.parametrize(
    "expiration",
    [
        "2026-11-21 11:00:00.123456+00:00",
        "2026-11-21T11:00:00",
        "2026-11-21T11:00:00+00:00",
        "20261121T110000Z",
        "2026-11-21",
        "2026-02-30T11:00:00Z",
        "2026-11-21T25:00:00Z",
        "Sat, 21 Nov 2026 11:00:00 GMT",
        "",
        1795255200,
        None,
    ],
)
def test_what_is_no_expiration(expiration: Any) -> None:
    """Only S3's own form of a date is an expiration."""
    with pytest.raises(InvalidRequest) as caught:
        policy_of(*CONDITIONS, expiration=expiration)
    assert "InvalidPolicyDocument" == caught.value.code


@pytest.mark.parametrize(
    "policy", ["!", EXAMPLE["policy_base64"] + "!", "e30", "e30=e30=", "\u00e9", b64encode(b"\xff\xfe").decode()]
)
def test_what_is_no_base64(policy: str) -> None:
    """What is not base64 of UTF-8 is InvalidPolicyDocument."""
    with pytest.raises(InvalidRequest) as caught:
        post_policy.parse_policy(policy)
    assert "InvalidPolicyDocument" == caught.value.code


@given(st.text())
def test_no_policy_breaks_the_reader(text: str) -> None:
    """Whatever a form sends as its policy is a policy or a refusal, never another exception."""
    for policy in (text, b64encode(text.encode(errors="replace")).decode()):
        try:
            post_policy.parse_policy(policy)
        except ServiceError as error:
            assert "InvalidPolicyDocument" == error.code


def test_base64_in_lines_and_the_escaped_dollar() -> None:
    """A policy may be broken into lines, and S3's own escape for the dollar sign is understood."""
    policy = encoded(BEGINNING + '[["eq", "\\$key", "a\\\\\\$b"]]}')
    broken = "\r\n".join(policy[start : start + 20] for start in range(0, len(policy), 20))
    assert (Condition("eq", "key", "a\\$b"),) == post_policy.parse_policy(broken).conditions


@pytest.mark.parametrize(
    ("rows", "length", "code"),
    [
        ([], 10**12, None),
        ([["content-length-range", 0, 3]], 3, None),
        ([["content-length-range", 0, 3]], 0, None),
        ([], 0, None),
        ([["content-length-range", "0", "3"]], 3, None),
        ([["content-length-range", 0, 3]], 4, "EntityTooLarge"),
        ([["content-length-range", 0, 0]], 1, "EntityTooLarge"),
        ([["content-length-range", 512, 1000]], 511, "EntityTooSmall"),
        ([["content-length-range", 1, 9], ["Content-Length-Range", 3, 20]], 2, "EntityTooSmall"),
        ([["content-length-range", 1, 9], ["content-length-range", 3, 20]], 10, "EntityTooLarge"),
    ],
)
def test_the_length_of_the_file(rows: list[Any], length: int, code: str | None) -> None:
    """A file outside every given range is refused, with the code of its side."""
    policy = policy_of(*rows)
    if code is None:
        post_policy.check_content_length(policy, length)
        return
    with pytest.raises(InvalidRequest) as caught:
        post_policy.check_content_length(policy, length)
    assert (code, 400, str(length)) == (caught.value.code, caught.value.status, caught.value.details["ProposedSize"])


def test_fields_of_a_form() -> None:
    """Names lose their case, and a form without a key, or with a field twice, is refused."""
    assert {"key": "Foo", "acl": "X"} == post_policy.form_fields([("kEy", "Foo"), ("aCl", "X")])
    for pairs in ([("key", "a"), ("KEY", "b")], [("acl", "a")], [("key", "")]):
        with pytest.raises(InvalidRequest) as caught:
            post_policy.form_fields(pairs)
        assert "InvalidArgument" == caught.value.code


@pytest.mark.parametrize(
    ("filename", "expected"),
    [("a.txt", "u/a.txt"), ("C:\\dir\\a.txt", "u/a.txt"), ("../../etc/passwd", "u/passwd"), ("", "u/")],
)
def test_the_name_of_the_file(filename: str, expected: str) -> None:
    """Only the last part of the user's file name is filled in, everywhere but in the policy and its signature."""
    form = {
        "key": "u/${filename}",
        "x-amz-meta-name": "${filename}",
        "policy": "${filename}",
        "signature": "${filename}",
    }
    found = post_policy.substitute_filename(form, filename)
    assert (expected, expected[2:], "${filename}", "${filename}") == tuple(found.values())


def test_a_form_without_a_policy_is_anonymous() -> None:
    """Neither a policy nor a signature: nobody signed it."""
    assert post_policy.parse_form_signature(FORM) is None


V4 = {
    "policy": "cG9saWN5",
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": "id/with/slash/20261121/r/s3/aws4_request",
    "x-amz-date": "20261121T100000Z",
    "x-amz-signature": "0" * 64,
}


def test_who_signed_a_form() -> None:
    """Both versions are taken apart; a key id may hold slashes."""
    assert FormSignature(4, "id/with/slash", "0" * 64, "20261121", "r", "s3") == post_policy.parse_form_signature(V4)
    form = {"policy": "p", "awsaccesskeyid": "id", "signature": "s"}
    assert FormSignature(2, "id", "s") == post_policy.parse_form_signature(form)


@pytest.mark.parametrize(
    "form",
    [
        {"policy": "p"},
        {"policy": "p", "awsaccesskeyid": "id"},
        {"policy": "p", "signature": "s"},
        {"policy": "p", "awsaccesskeyid": "", "signature": "s"},
        {"awsaccesskeyid": "id", "signature": "s"},
        {name: value for name, value in V4.items() if name != "policy"},
        *[{name: value for name, value in V4.items() if name != gone} for gone in V4 if gone != "policy"],
        {**V4, "x-amz-algorithm": "AWS4-ECDSA-P256-SHA256"},
        {**V4, "x-amz-credential": "id/20261121/r/s3"},
        {**V4, "x-amz-credential": "id/20261121/r/s3/aws5_request"},
        {**V4, "x-amz-date": "20261122T100000Z"},
    ],
)
def test_half_a_signature(form: dict[str, str]) -> None:
    """A policy without a whole signature, or a signature without a policy, is refused and never anonymous."""
    with pytest.raises(InvalidRequest) as caught:
        post_policy.parse_form_signature(form)
    assert ("InvalidArgument", 400) == (caught.value.code, caught.value.status)


def test_version_2_signs_the_base64() -> None:
    """The signature of version 2 is over the field as it was sent."""
    policy = encoded({"expiration": LATER, "conditions": []})
    signed = FormSignature(2, KEY_ID, sigv2.signature(SECRET, policy))
    assert post_policy.is_signed_with(signed, policy, SECRET)
    assert not post_policy.is_signed_with(signed, policy + "\n", SECRET)
    assert not post_policy.is_signed_with(signed._replace(signature=signed.signature.lower()), policy, SECRET)
    assert not post_policy.is_signed_with(signed._replace(signature="é"), policy, SECRET)


def form_with(**changes: Any) -> dict[str, str]:
    """A form, one argument of it changed."""
    arguments: dict[str, Any] = {
        "bucket": "b", "key": "k", "access_key_id": KEY_ID, "secret_access_key": SECRET, "region": "r",
        "now": EPOCH, "expires_seconds": 60,
    }  # fmt: skip
    return post_policy.presigned_form(**{**arguments, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"key": ""},
        {"expires_seconds": 0},
        {"expires_seconds": sigv4.EXPIRES_MAX_SECONDS + 1},
        {"fields": {"Policy": "x"}},
        {"fields": {"key": "x"}},
        {"fields": {"bucket": "x"}},
        {"fields": {"X-Amz-Date": "x"}},
        {"conditions": [{}]},
        {"conditions": [["eq", "key", "x"]]},
        {"conditions": [["content-length-range", 0]]},
    ],
)
def test_arguments_that_no_form_can_be_made_of(changes: dict[str, Any]) -> None:
    """Bad input is a ValueError before anything is signed."""
    with pytest.raises(ValueError):
        form_with(**changes)


def test_a_condition_says_otherwise() -> None:
    """A field that a condition names gets no condition of its own; the caller's values are left as they are."""
    conditions: list[Any] = [["starts-with", "$Content-Type", "image/"], ("content-length-range", 1, 5)]
    form = form_with(fields={"content-type": "image/png", "acl": "private"}, conditions=conditions)
    policy = post_policy.parse_policy(form["policy"])
    assert [Condition("starts-with", "content-type", "image/"), Condition("eq", "acl", "private")] == list(
        policy.conditions[:2]
    )
    assert (1, 5) == (policy.length_min, policy.length_max)
    assert [["starts-with", "$Content-Type", "image/"], ("content-length-range", 1, 5)] == conditions
    assert SECRET not in json.dumps(form)


@given(TEXTS, KEYS, TEXTS)
def test_the_answer_comes_back_as_it_was(location: str, key: str, etag: str) -> None:
    """The document of success_action_status 201 survives, and has no namespace."""
    etag = "e" + etag.replace('"', "")
    body = post_policy.render_post_response(PostResponse(location, "b", key, etag))
    assert PostResponse(location, "b", key, etag) == post_policy.parse_post_response(body)
    assert b"xmlns" not in body


def test_an_answer_that_is_none() -> None:
    """Another document is a ProtocolError, an error document its ServiceError."""
    with pytest.raises(ProtocolError):
        post_policy.parse_post_response(b"<PostResponse><Key>a</Key></PostResponse>")
    with pytest.raises(AccessDenied):
        post_policy.parse_post_response(b"<Error><Code>AccessDenied</Code></Error>")


def test_where_a_redirect_leads() -> None:
    """Bucket, key and quoted ETag are added behind what the URL has."""
    expected = "http://h/p?bucket=b&key=foo.txt&etag=%22abc%22"
    assert expected == post_policy.redirect_location("http://h/p", bucket="b", key="foo.txt", etag="abc")
    expected = "http://h/p?a=1&bucket=b&key=a%26b%20c&etag=%22abc%22"
    assert expected == post_policy.redirect_location("http://h/p?a=1", bucket="b", key="a&b c", etag="abc")
