"""Signature Version 4: AWS's examples, the published suites, and botocore's signer as an independent oracle."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.auth  # type: ignore[import-untyped]
import pytest
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from s3func.wire import encoding, sigv4
from tests.shared_data import HOSTILE_KEYS, SHARED_VECTORS, load_vectors, shared_vectors

EXAMPLES = load_vectors("sigv4.json")
KEY_ID, SECRET = EXAMPLES["credentials"]["access_key_id"], EXAMPLES["credentials"]["secret_access_key"]
NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
DATE = "20261121T100000Z"

KEYS = st.one_of(st.sampled_from(HOSTILE_KEYS), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
# Printable ASCII with the white space that a header may hold; a header cannot begin or end with anything else.
HEADER_VALUES = st.text(st.sampled_from(" \tabcXYZ019-._~!\"#$%&'()*+,/:;<=>?@[]^`{|}"), max_size=40)
HEADERS = st.dictionaries(
    st.one_of(
        st.from_regex(r"x-amz-meta-[a-z0-9\-]{1,10}", fullmatch=True),
        st.sampled_from(["range", "content-type", "content-md5", "cache-control", "if-match", "user-agent", "te"]),
    ),
    HEADER_VALUES,
    max_size=6,
)
QUERIES = st.lists(st.tuples(KEYS, st.one_of(st.just(""), KEYS)), max_size=5)
TOKENS = st.one_of(st.none(), st.text(st.sampled_from("AQoDYXdzEPT//+=019"), min_size=1, max_size=60))


def sign(canonical_request: str, date: str, region: str, secret: str, service: str = "s3") -> tuple[str, str]:
    """String to sign and signature of a canonical request."""
    scope = sigv4.credential_scope(date[:8], region, service)
    text = sigv4.string_to_sign(date, scope, canonical_request)
    return text, sigv4.signature(sigv4.signing_key(secret, date[:8], region, service), text)


@pytest.mark.parametrize("example", EXAMPLES["headers"], ids=lambda example: example["name"])
def test_examples_of_the_documentation(example: dict[str, Any]) -> None:
    """Each step gives the text that AWS's page prints for it."""
    headers, date, region = example["headers"], EXAMPLES["date"], EXAMPLES["region"]
    body_hash = sha256(example["body"].encode()).hexdigest()
    names = sigv4.signed_header_names(headers)
    request = sigv4.canonical_request(example["method"], example["path"], example["query"], headers, names, body_hash)
    assert example["canonical_request"] == request
    text, signature = sign(request, date, region, SECRET)
    assert example["string_to_sign"] == text
    scope = sigv4.credential_scope(date[:8], region)
    # The page prints a space behind each comma, and so do we.
    assert example["authorization"] == sigv4.authorization_header(KEY_ID, scope, names, signature)


def test_presigned_example_of_the_documentation() -> None:
    """The presigned URL of AWS's page comes out whole."""
    example, date, region = EXAMPLES["presigned"], EXAMPLES["date"], EXAMPLES["region"]
    headers = {"host": example["host"]}
    query = sigv4.presigned_query(
        "",
        access_key_id=KEY_ID,
        scope=sigv4.credential_scope(date[:8], region),
        date=date,
        expires_seconds=example["expires_seconds"],
        signed_headers=["host"],
    )
    request = sigv4.canonical_request(
        example["method"], example["path"], query, headers, ["host"], sigv4.UNSIGNED_PAYLOAD
    )
    assert example["canonical_request"] == request
    text, signature = sign(request, date, region, SECRET)
    assert example["string_to_sign"] == text
    assert example["signature"] == signature
    assert example["url"] == f"https://{example['host']}{example['path']}?{query}&X-Amz-Signature={signature}"


def test_examples_of_a_foreign_client() -> None:
    """minio-py's published signatures are ours as well: a tilde in key and query, a presigned version."""
    for example in json.loads(shared_vectors("s3-doc-examples/header-auth-minio.json").read_text()):
        headers = dict(example["signed_headers"])
        request = sigv4.canonical_request(
            example["method"],
            example["canonical_uri"],
            example["canonical_query"],
            headers,
            sorted(headers),
            example["payload_sha256"],
        )
        assert example["canonical_request"] == request
        secret = example["credentials"]["secret_access_key"]
        assert example["signature"] == sign(request, example["timestamp"], example["region"], secret)[1]
    for example in json.loads(shared_vectors("s3-doc-examples/presign.json").read_text()):
        parts = urlsplit(example["url"])
        raw_query = parts.query.partition("&X-Amz-Signature=")[0]
        request = sigv4.canonical_request(
            example["method"],
            parts.path,
            sigv4.canonical_query(raw_query),
            {"host": parts.netloc},
            ["host"],
            sigv4.UNSIGNED_PAYLOAD,
        )
        assert example["canonical_request"] == request
        secret = example["credentials"]["secret_access_key"]
        assert example["signature"] == sign(request, example["timestamp"], example["region"], secret)[1]


class SuiteRequest:
    """One `request.txt` of a published suite, read the way its author meant it: folded lines, repeated headers."""

    def __init__(self, text: str) -> None:
        head, _, self.body = text.replace("\r\n", "\n").partition("\n\n")
        first, *lines = head.split("\n")
        method, _, rest = first.partition(" ")
        self.method = method
        path, _, query = rest.rpartition(" ")[0].partition("?")
        # The suites write the raw path and query; each is encoded once, escapes that are there already included.
        self.path = encoding.encode_path(path)
        pairs = [pair.partition("=")[::2] for pair in query.split("&")] if query else []
        self.query = encoding.encode_query(
            [(encoding.decode_component(name), encoding.decode_component(value)) for name, value in pairs]
        )
        self.headers: dict[str, str] = {}
        name = ""
        for line in filter(None, lines):
            if line[:1] in {" ", "\t"}:
                self.headers[name] += " " + line.strip()
                continue
            name, _, value = line.partition(":")
            name = name.lower()
            value = value.strip(" \t")
            self.headers[name] = f"{self.headers[name]},{value}" if name in self.headers else value


def crt_cases() -> list[str]:
    """The cases of the CRT suite that hold for S3: its paths are encoded once and not normalised."""
    folder = SHARED_VECTORS / "sigv4/aws-c-auth-suite/v4"
    return sorted(path.name for path in folder.glob("*") if not path.name.endswith("-normalized"))


# Normalising is what other services do; for S3 the "-unnormalized" twin of each of these cases holds.
CRT_DESELECTED = 7


@pytest.mark.parametrize("name", crt_cases() or [None])
def test_crt_suite(name: str | None) -> None:
    """Canonical request, string to sign and signature of each case, signed by header and by query."""
    folder = shared_vectors("sigv4/aws-c-auth-suite/v4") / str(name)
    context = json.loads((folder / "context.json").read_text())
    request = SuiteRequest((folder / "request.txt").read_text())
    date = re.sub("[-:]", "", context["timestamp"])
    region, service = context["region"], context["service"]
    credentials = context["credentials"]
    token, unsigned_token = credentials.get("token"), context.get("omit_session_token", False)
    payload_hash = sha256(request.body.encode()).hexdigest() if context["sign_body"] else sigv4.EMPTY_SHA256

    headers = {**request.headers, "x-amz-date": date}
    if context["sign_body"]:
        headers["x-amz-content-sha256"] = payload_hash
    if token is not None and not unsigned_token:
        headers["x-amz-security-token"] = token
    names = sigv4.signed_header_names(headers)
    canonical = sigv4.canonical_request(request.method, request.path, request.query, headers, names, payload_hash)
    check_steps(folder, "header", canonical, date, region, service, credentials["secret_access_key"])

    names = sigv4.signed_header_names(request.headers)
    query = sigv4.presigned_query(
        request.query,
        access_key_id=credentials["access_key_id"],
        scope=sigv4.credential_scope(date[:8], region, service),
        date=date,
        expires_seconds=context["expiration_in_seconds"],
        signed_headers=names,
        session_token=None if unsigned_token else token,
    )
    canonical = sigv4.canonical_request(request.method, request.path, query, request.headers, names, payload_hash)
    check_steps(folder, "query", canonical, date, region, service, credentials["secret_access_key"])


def check_steps(folder: Path, kind: str, canonical: str, date: str, region: str, service: str, secret: str) -> None:
    """Compare each step with the suite's file."""
    assert (folder / f"{kind}-canonical-request.txt").read_text() == canonical
    text, signature = sign(canonical, date, region, secret, service)
    assert (folder / f"{kind}-string-to-sign.txt").read_text() == text
    assert (folder / f"{kind}-signature.txt").read_text().strip() == signature


def test_crt_suite_is_complete() -> None:
    """Nothing of the suite is left out but the cases that normalise a path."""
    folder = shared_vectors("sigv4/aws-c-auth-suite/v4")
    assert len(list(folder.iterdir())) - CRT_DESELECTED == len(crt_cases())
    for left_out in folder.glob("*-normalized"):
        assert (folder / left_out.name.replace("-normalized", "-unnormalized")).exists()


def classic_cases() -> list[str]:
    """The cases of the classic suite; normalize-path does what S3 must not do."""
    folder = SHARED_VECTORS / "sigv4/aws4_testsuite-botocore"
    cases = [path.parent.relative_to(folder) for path in folder.glob("**/*.authz")]
    return sorted(str(case) for case in cases if case.parts[0] != "normalize-path")


@pytest.mark.parametrize("name", classic_cases() or [None])
def test_classic_suite(name: str | None) -> None:
    """Canonical request, string to sign and Authorization of each case that holds for S3."""
    folder = shared_vectors("sigv4/aws4_testsuite-botocore") / str(name)
    files = {path.suffix: path.read_text() for path in folder.iterdir()}
    request = SuiteRequest(files[".req"])
    if name == "get-vanilla-with-session-token":
        # Its request comes without the token, which is the signer's to add.
        request.headers["x-amz-security-token"] = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
    date = request.headers["x-amz-date"]
    names = sigv4.signed_header_names(request.headers)
    payload_hash = sha256(request.body.encode()).hexdigest()
    canonical = sigv4.canonical_request(
        request.method, request.path, request.query, request.headers, names, payload_hash
    )
    assert files[".creq"].replace("\r\n", "\n") == canonical
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    text, signature = sign(canonical, date, "us-east-1", secret, "service")
    assert files[".sts"].replace("\r\n", "\n") == text
    scope = sigv4.credential_scope(date[:8], "us-east-1", "service")
    assert files[".authz"].strip() == sigv4.authorization_header("AKIDEXAMPLE", scope, names, signature)


@pytest.fixture(autouse=True, scope="module")
def frozen_botocore() -> Iterator[None]:
    """The oracle takes its time from here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_: NOW)
        yield


@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]), KEYS, QUERIES, HEADERS, TOKENS, st.binary(max_size=40)
)
def test_header_signature_equals_the_oracle(
    method: str, key: str, query: list[tuple[str, str]], headers: dict[str, str], token: str | None, body: bytes
) -> None:
    """For any key, query, headers, token and body, the Authorization header is botocore's."""
    path, raw_query = "/bucket/" + encoding.encode_path(key), encoding.encode_query(query)
    url = f"http://localhost:9000{path}" + (f"?{raw_query}" if raw_query else "")
    theirs = AWSRequest(method=method, url=url, headers=dict(headers), data=body)
    botocore.auth.S3SigV4Auth(Credentials(KEY_ID, SECRET, token), "s3", "eu-west-1").add_auth(theirs)

    payload_hash = sha256(body).hexdigest()
    ours = {**headers, "host": "localhost:9000", "x-amz-date": DATE, "x-amz-content-sha256": payload_hash}
    if token is not None:
        ours["x-amz-security-token"] = token
    names = sigv4.signed_header_names(ours)
    canonical = sigv4.canonical_request(method, path, raw_query, ours, names, payload_hash)
    signature = sign(canonical, DATE, "eu-west-1", SECRET)[1]
    scope = sigv4.credential_scope(DATE[:8], "eu-west-1")
    assert theirs.headers["Authorization"] == sigv4.authorization_header(KEY_ID, scope, names, signature)


@given(st.sampled_from(["GET", "PUT"]), KEYS, QUERIES, HEADERS, TOKENS, st.integers(1, 604800))
def test_presigned_signature_equals_the_oracle(
    method: str, key: str, query: list[tuple[str, str]], headers: dict[str, str], token: str | None, expires: int
) -> None:
    """For any key, query, headers, token and life, the presigned query is botocore's, signature included."""
    # botocore folds repeated parameters of the query into one; keeping them is the header signature's test.
    query = list(dict(query).items())
    path, raw_query = "/bucket/" + encoding.encode_path(key), encoding.encode_query(query)
    url = f"https://s3.eu-west-1.amazonaws.com{path}" + (f"?{raw_query}" if raw_query else "")
    theirs = AWSRequest(method=method, url=url, headers=dict(headers))
    signer = botocore.auth.S3SigV4QueryAuth(Credentials(KEY_ID, SECRET, token), "s3", "eu-west-1", expires)
    signer.add_auth(theirs)

    ours = {**headers, "host": "s3.eu-west-1.amazonaws.com"}
    names = sigv4.signed_header_names(ours)
    presigned = sigv4.presigned_query(
        raw_query,
        access_key_id=KEY_ID,
        scope=sigv4.credential_scope(DATE[:8], "eu-west-1"),
        date=DATE,
        expires_seconds=expires,
        signed_headers=names,
        session_token=token,
    )
    canonical = sigv4.canonical_request(method, path, presigned, ours, names, sigv4.UNSIGNED_PAYLOAD)
    signature = sign(canonical, DATE, "eu-west-1", SECRET)[1]
    parts = urlsplit(theirs.url)
    assert parts.path == path
    assert parameters(parts.query) == parameters(f"{presigned}&X-Amz-Signature={signature}")


def parameters(query: str) -> Mapping[str, list[str]]:
    """The query as names and values, so that order and the spelling of a space do not matter."""
    return parse_qs(query, keep_blank_values=True, strict_parsing=True)


def test_what_proxies_change_is_not_signed() -> None:
    """Whatever botocore refuses to sign, and accept-encoding, which GCS rewrites, stays out of the signature."""
    unsigned = {*botocore.auth.SIGNED_HEADERS_BLACKLIST, "accept-encoding", "authorization"}
    assert [] == sigv4.signed_header_names(unsigned)
    assert ["content-type", "host", "x-amz-date"] == sigv4.signed_header_names(["x-amz-date", "host", "content-type"])


@pytest.mark.parametrize(
    ("value", "trimmed"),
    [("a", "a"), ("  a  ", "a"), ("a   b  c", "a b c"), ("a\t\tb", "a b"), ("\ta \t", "a"), ("", ""), ("a, b", "a, b")],
)
def test_header_values_are_trimmed(value: str, trimmed: str) -> None:
    """White space around a value goes, runs inside become one space, and neighbours are left alone."""
    headers = {"a": "1: 2", "x-amz-meta-x": value, "z": "3"}
    assert f"a:1: 2\nx-amz-meta-x:{trimmed}\nz:3\n" == sigv4.canonical_headers(headers, sorted(headers))


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("", ""),
        ("uploads", "uploads="),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1&a", "a=&a=1&a=2"),
        ("a=b=c", "a=b=c"),
        ("a-=1&a=2", "a=2&a-=1"),
        ("&&a=1&", "a=1"),
    ],
)
def test_canonical_query(raw: str, canonical: str) -> None:
    """A query as it stands on the wire is sorted by name, then value, and every name has its "="."""
    assert canonical == sigv4.canonical_query(raw)
    assert canonical == sigv4.canonical_query(canonical)


@given(QUERIES)
def test_canonical_query_is_that_of_the_encoder(query: list[tuple[str, str]]) -> None:
    """The server, reading the wire, arrives at the query that the client built from the parameters."""
    pairs = [f"{encoding.encode_component(name)}={encoding.encode_component(value)}" for name, value in query]
    assert encoding.encode_query(query) == sigv4.canonical_query("&".join(reversed(pairs)))


@given(
    st.from_regex(r"[A-Za-z0-9:/+=._\-]{1,40}", fullmatch=True),
    st.lists(st.from_regex(r"[a-z0-9\-]{1,20}", fullmatch=True), min_size=1, max_size=5),
)
def test_authorization_header_round_trip(access_key_id: str, names: list[str]) -> None:
    """What is written is read back, also where a key id holds colons and slashes."""
    header = sigv4.authorization_header(access_key_id, "20261121/eu-west-1/s3/aws4_request", names, "0" * 64)
    expected = sigv4.Authorization(access_key_id, "20261121", "eu-west-1", "s3", tuple(names), "0" * 64)
    assert expected == sigv4.parse_authorization(header)


def test_authorization_header_without_spaces() -> None:
    """Some clients put no space behind the commas."""
    header = (
        "AWS4-HMAC-SHA256 Credential=AK/20261121/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-date,"
        f"Signature={'a' * 64}"
    )
    assert ("host", "x-amz-date") == sigv4.parse_authorization(header).signed_headers


@pytest.mark.parametrize(
    "header",
    [
        "",
        "AWS AK:signature",
        "Bearer token",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=AK/20261121/us-east-1/s3/aws4_request",
        f"AWS4-HMAC-SHA512 Credential=AK/20261121/r/s3/aws4_request, SignedHeaders=host, Signature={'a' * 64}",
        f"AWS4-HMAC-SHA256 Credential=AK/2026112/r/s3/aws4_request, SignedHeaders=host, Signature={'a' * 64}",
        f"AWS4-HMAC-SHA256 Credential=AK/20261121/r/s3/aws4, SignedHeaders=host, Signature={'a' * 64}",
        f"AWS4-HMAC-SHA256 Credential=/20261121/r/s3/aws4_request, SignedHeaders=host, Signature={'a' * 64}",
        f"AWS4-HMAC-SHA256 Credential=AK/20261121/r/s3/aws4_request, SignedHeaders=, Signature={'a' * 64}",
        f"AWS4-HMAC-SHA256 Credential=AK/20261121/r/s3/aws4_request, SignedHeaders=host, Signature={'a' * 63}",
        f"AWS4-HMAC-SHA256 Credential=AK/20261121/r/s3/aws4_request, SignedHeaders=host, Signature={'g' * 64}",
        f"AWS4-HMAC-SHA256 Credential=AK/20261121/r/s3/aws4_request, SignedHeaders=host, Signature={'a' * 64}, x=y",
    ],
)
def test_malformed_authorization_headers_are_refused(header: str) -> None:
    """Half a header, another scheme or a signature that is none is a ValueError."""
    with pytest.raises(ValueError):
        sigv4.parse_authorization(header)


def test_the_signing_key_depends_on_every_part_of_the_scope() -> None:
    """Another day, region, service or secret gives another key."""
    keys = {
        sigv4.signing_key(*parts)
        for parts in [
            ("secret", "20261121", "eu-west-1", "s3"),
            ("Secret", "20261121", "eu-west-1", "s3"),
            ("secret", "20261122", "eu-west-1", "s3"),
            ("secret", "20261121", "us-east-1", "s3"),
            ("secret", "20261121", "eu-west-1", "s3express"),
        ]
    }
    assert 5 == len(keys)


@given(key=st.binary(min_size=0, max_size=64), text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_signer_signs_as_hmac_does(key: bytes, text: str) -> None:
    """What is computed once per key changes no signature."""
    assert sigv4.signature(key, text) == sigv4.Signer(key).signature(text)
