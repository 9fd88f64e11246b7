"""Signature Version 2: the examples of AWS's page, and botocore's signers as independent oracles."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import botocore.auth  # type: ignore[import-untyped]
import pytest
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from s3func.wire import sigv2
from s3func.wire.encoding import encode_component, encode_path
from tests.shared_data import HOSTILE_KEYS, load_vectors

EXAMPLES = load_vectors("sigv2.json")
KEY_ID, SECRET = EXAMPLES["credentials"]["access_key_id"], EXAMPLES["credentials"]["secret_access_key"]
DATE = "Sat, 21 Nov 2026 10:00:00 GMT"

KEYS = st.one_of(st.sampled_from(HOSTILE_KEYS), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
# A header can neither begin nor end with white space.
VALUES = st.text(st.sampled_from(" abcXYZ019-._~!\"#$%&'()*+,/:;<=>?@[]^`{|}"), min_size=1, max_size=30).map(str.strip)
HEADERS = st.dictionaries(
    st.one_of(
        st.from_regex(r"x-amz-meta-[a-z0-9\-]{1,10}", fullmatch=True),
        st.sampled_from(["x-amz-acl", "content-type", "content-md5", "range", "cache-control"]),
    ),
    VALUES,
    max_size=6,
)
NAMES = st.sampled_from([*sorted(sigv2.SUB_RESOURCES), "prefix", "marker", "max-keys", "list-type", "x-id"])
# What has no value stands in a URL as its name alone, as botocore writes it.
PARAMETERS = st.lists(st.tuples(NAMES, st.one_of(st.just(""), KEYS)), max_size=6, unique_by=lambda pair: pair[0])
TOKENS = st.one_of(st.none(), st.text(st.sampled_from("AQoDYXdzEPT//+=019"), min_size=1, max_size=60))


@pytest.mark.parametrize("example", EXAMPLES["cases"], ids=lambda example: example["name"])
def test_examples_of_the_documentation(example: dict[str, Any]) -> None:
    """String to sign and signature are those that AWS's page prints."""
    parameters = [(name, value) for name, value in example.get("parameters", [])]
    text = sigv2.string_to_sign(
        example["method"], example["path"], parameters, example["headers"], expires=example.get("expires")
    )
    assert example["string_to_sign"] == text
    assert example["signature"] == sigv2.signature(SECRET, text)
    if "expires" in example:
        expected = sigv2.Authorization(KEY_ID, example["signature"], example["expires"])
        assert expected == sigv2.parse_query(parameters)


def url_of(key: str, parameters: list[tuple[str, str]]) -> str:
    """A URL with the key, and with the parameters as they are sent."""
    query = "&".join([f"{name}={encode_component(value)}" if value else name for name, value in parameters])
    return f"http://127.0.0.1/bucket/{encode_path(key)}" + (f"?{query}" if query else "")


def decoded(query: str) -> list[tuple[str, str]]:
    """The parameters of a query, as a server takes it apart."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


@given(st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]), KEYS, PARAMETERS, HEADERS, TOKENS)
def test_header_signatures_are_those_of_botocore(
    method: str, key: str, parameters: list[tuple[str, str]], headers: dict[str, str], token: str | None
) -> None:
    """For any key, query, headers and token, the Authorization header is botocore's."""
    request = AWSRequest(method, url_of(key, parameters), headers=dict(headers))
    signer = botocore.auth.HmacV1Auth(Credentials(KEY_ID, SECRET, token))
    signer._get_date = lambda: DATE
    signer.add_auth(request)
    received = {name.lower(): value for name, value in request.headers.items() if name != "Authorization"}
    target = urlsplit(request.url)
    text = sigv2.string_to_sign(method, target.path, decoded(target.query), received)
    signed = sigv2.signature(SECRET, text)
    assert sigv2.authorization_header(KEY_ID, signed) == request.headers["Authorization"]
    assert sigv2.Authorization(KEY_ID, signed) == sigv2.parse_authorization(request.headers["Authorization"])


@given(st.sampled_from(["GET", "PUT"]), KEYS, PARAMETERS, HEADERS, TOKENS)
def test_presigned_urls_are_those_of_botocore(
    method: str, key: str, parameters: list[tuple[str, str]], headers: dict[str, str], token: str | None
) -> None:
    """A URL that botocore signed is understood, also with x-amz headers and Content-Type moved into its query."""
    request = AWSRequest(method, url_of(key, parameters), headers=dict(headers))
    signer = botocore.auth.HmacV1QueryAuth(Credentials(KEY_ID, SECRET, token))
    signer._get_date = lambda: "1795255200"
    signer.add_auth(request)
    target = urlsplit(request.url)
    pairs = decoded(target.query)
    found = sigv2.parse_query(pairs)
    assert found is not None
    assert (KEY_ID, "1795255200") == (found.access_key_id, found.expires)
    text = sigv2.string_to_sign(method, target.path, pairs, {"host": "127.0.0.1"}, expires=found.expires)
    assert found.signature == sigv2.signature(SECRET, text)
    ours = sigv2.presigned_parameters(KEY_ID, "1795255200", found.signature)
    assert set(ours) <= set(pairs)


def test_x_amz_date_takes_the_place_of_the_date() -> None:
    """With x-amz-date the date's own line is empty, whatever Date says."""
    headers = {"date": "yesterday", "x-amz-date": DATE}
    text = sigv2.string_to_sign("DELETE", "/b/k", [], headers)
    assert f"DELETE\n\n\n\nx-amz-date:{DATE}\n/b/k" == text


def test_a_header_counts_before_the_query_of_a_presigned_url() -> None:
    """Content-Type comes from the header where one is sent, and from the query only where none is."""
    pairs = [("content-type", "a/b"), ("Expires", "1")]
    assert "PUT\n\na/b\n1\n/b/k" == sigv2.string_to_sign("PUT", "/b/k", pairs, {}, expires="1")
    assert "PUT\n\nc/d\n1\n/b/k" == sigv2.string_to_sign("PUT", "/b/k", pairs, {"content-type": "c/d"}, expires="1")
    assert "PUT\n\n\nnow\n/b/k" == sigv2.string_to_sign("PUT", "/b/k", pairs, {"date": "now"})


def test_values_are_trimmed_and_unfolded() -> None:
    """White space around a value, and the line ends of a folded one, are not signed."""
    headers = {"x-amz-meta-b": "  two\r\n\t words ", "x-amz-meta-a": "1"}
    assert "x-amz-meta-a:1\nx-amz-meta-b:two words\n" == sigv2.canonical_amz_headers(headers)


def test_only_sub_resources_are_signed_in_the_order_of_their_names() -> None:
    """Other parameters are left out; values are not encoded; one without a value is its name."""
    pairs = [("versionId", "a b"), ("prefix", "x"), ("acl", ""), ("response-content-type", "a/b; c=d")]
    expected = "/b/k?acl&response-content-type=a/b; c=d&versionId=a b"
    assert expected == sigv2.canonical_resource("/b/k", pairs)
    assert "/b/k" == sigv2.canonical_resource("/b/k", [("prefix", "x")])


@pytest.mark.parametrize(
    "header",
    [
        "",
        "AWS",
        "AWS ",
        "AWS HAHAHA",
        "AWS :sig",
        "AWS id:",
        "AWS4-HMAC-SHA256 Credential=x",
        "aws id:sig",
        "AWS a b:c",
    ],
)
def test_malformed_authorization(header: str) -> None:
    """A header of another form is a ValueError that does not repeat it."""
    with pytest.raises(ValueError, match="malformed Authorization header"):
        sigv2.parse_authorization(header)


def test_a_key_id_may_hold_a_colon() -> None:
    """The signature begins behind the last colon."""
    assert sigv2.Authorization("tenant:user", "c2ln=") == sigv2.parse_authorization("AWS tenant:user:c2ln=")


@pytest.mark.parametrize(
    "pairs",
    [
        [("AWSAccessKeyId", "a"), ("Expires", "1")],
        [("AWSAccessKeyId", "a"), ("Signature", "s")],
        [("Signature", "s"), ("Expires", "1")],
        [("AWSAccessKeyId", "a"), ("Signature", "s"), ("Expires", "1"), ("Expires", "2")],
        [("AWSAccessKeyId", "a"), ("Signature", "s"), ("Expires", "1.5")],
        [("AWSAccessKeyId", "a"), ("Signature", "s"), ("Expires", "-1")],
        [("AWSAccessKeyId", "a"), ("Signature", "s"), ("Expires", "٣")],
        [("AWSAccessKeyId", "a"), ("Signature", "s"), ("Expires", "")],
    ],
)
def test_half_a_presigned_url(pairs: list[tuple[str, str]]) -> None:
    """A presigned URL with a parameter missing, doubled or unreadable is a ValueError, not an unsigned request."""
    with pytest.raises(ValueError):
        sigv2.parse_query(pairs)


def test_another_url_is_no_presigned_one() -> None:
    """Expires alone, or parameters of version 4, say nothing about this version."""
    assert sigv2.parse_query([("Expires", "1"), ("X-Amz-Signature", "s"), ("prefix", "a")]) is None
