"""Signatures: what is let in, what is refused with which code, and that nothing is stored of what is refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from s3func.message import Request, Response
from s3func.server import S3App
from s3func.server.backend import ObjectAttributes
from s3func.server.routing import ROUTES
from s3func.wire.encoding import amz_date
from tests.faults.clock import FakeClock
from tests.server.forge import KEY_ID, REGION, SECRET, Caller, code, presign, read, sign

LONG_AGO = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
BODY = b"what was signed"


def send(app: S3App, headers: dict[str, str], body: bytes = BODY, path: str = "/bkt/key", query: str = "") -> Response:
    return app(Request("PUT", "http://localhost", path, query, headers, body))


def get(app: S3App, query: str, headers: dict[str, str] | None = None, path: str = "/bkt/key") -> Response:
    return app(Request("GET", "http://localhost", path, query, {"host": "localhost", **(headers or {})}))


def assert_nothing_stored(app: S3App) -> None:
    assert [] == app.backend.list_objects("bkt").rows


BAD_SIGNATURES: list[tuple[str, dict[str, Any], tuple[int, str]]] = [
    ("dated 2015", {"now": LONG_AGO}, (403, "RequestTimeTooSkewed")),
    ("16 minutes old", {"now": time.time() - 16 * 60}, (403, "RequestTimeTooSkewed")),
    # The time is taken when tests are collected, which may be long before this one runs.
    ("two hours ahead", {"now": time.time() + 2 * 3600}, (403, "RequestTimeTooSkewed")),
    ("wrong secret", {"secret": "wrong"}, (403, "SignatureDoesNotMatch")),
    ("unknown key id", {"key_id": "AKIDNOBODY"}, (403, "InvalidAccessKeyId")),
    ("wrong region", {"region": "eu-west-1"}, (400, "AuthorizationHeaderMalformed")),
    ("wrong service", {"service": "ec2"}, (400, "AuthorizationHeaderMalformed")),
    ("the key of another day", {"day": "20150830"}, (400, "AuthorizationHeaderMalformed")),
    ("host not signed", {"unsigned": ("host",)}, (403, "AccessDenied")),
    (
        "an x-amz header not signed",
        {"headers": {"x-amz-storage-class": "GLACIER"}, "unsigned": ("x-amz-storage-class",)},
        (403, "AccessDenied"),
    ),
    ("a session token nobody gave", {"headers": {"x-amz-security-token": "t"}}, (400, "InvalidToken")),
    ("a hash that is none", {"payload_hash": "abc"}, (400, "InvalidArgument")),
    ("signed in chunks", {"payload_hash": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, (411, "MissingContentLength")),
    ("chunks with a trailer", {"payload_hash": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, (411, "MissingContentLength")),
    ("chunks with SigV4A", {"payload_hash": "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"}, (501, "NotImplemented")),
    ("chunks of a kind that is none", {"payload_hash": "STREAMING-PAYLOAD"}, (400, "InvalidArgument")),
    ("the hash of another body", {"payload_hash": sha256(b"other").hexdigest()}, (400, "XAmzContentSHA256Mismatch")),
]


@pytest.mark.parametrize(
    ("wrong", "expected"), [row[1:] for row in BAD_SIGNATURES], ids=[row[0] for row in BAD_SIGNATURES]
)
def test_a_bad_signature_is_refused(caller: Caller, wrong: dict[str, Any], expected: tuple[int, str]) -> None:
    """A request that is wrong in one place gets the code for that place, and nothing is stored."""
    headers = sign("PUT", "/bkt/key", body=BODY, **wrong)
    assert expected == code(send(caller.app, headers))
    assert_nothing_stored(caller.app)


def test_a_right_signature_is_accepted(caller: Caller) -> None:
    """The request that the others are variations of is stored."""
    assert 200 == send(caller.app, sign("PUT", "/bkt/key", body=BODY)).status
    assert BODY == read(caller("GET", "/bkt/key"))


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_may_be_off_by_a_quarter_of_an_hour(caller: Caller, minutes: int) -> None:
    """Within 15 minutes, a signature is good, whichever way the clock is wrong."""
    headers = sign("PUT", "/bkt/key", body=BODY, now=time.time() + minutes * 60)
    assert 200 == send(caller.app, headers).status


@pytest.mark.parametrize(
    ("seconds", "status"), [(-900, 200), (900, 200), (-901, 403), (901, 403), (-86_400, 403), (86_400, 403)]
)
def test_the_window_is_fifteen_minutes_to_the_second(seconds: int, status: int) -> None:
    """A quarter of an hour is near enough, a second more is not, whichever way; a URL must not begin later than that."""
    clock = FakeClock()
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET, clock=clock)
    app.backend.create_bucket("bkt", owner="s3func")
    answer = send(app, sign("PUT", "/bkt/key", body=BODY, now=clock.now() + seconds))
    assert status == answer.status
    if status == 403:
        assert (403, "RequestTimeTooSkewed") == code(answer)
        assert_nothing_stored(app)
    app.backend.begin_put("bkt", "key").commit(ObjectAttributes())
    by_url = get(app, presign("GET", "/bkt/key", now=clock.now() + seconds, expires=604_800))
    assert (200 if seconds <= 900 else 403) == by_url.status


def test_a_url_ends_with_its_last_second() -> None:
    """A presigned URL is good until its last second, and not one longer, by the server's own clock."""
    clock = FakeClock()
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET, clock=clock)
    app.backend.create_bucket("bkt", owner="s3func")
    app.backend.begin_put("bkt", "key").commit(ObjectAttributes())
    query = presign("GET", "/bkt/key", now=clock.now(), expires=60)
    for step, status in ((0, 200), (60, 200), (1, 403)):
        clock.step(step)
        assert status == get(app, query).status


def test_a_read_only_server_changes_nothing(caller: Caller) -> None:
    """Every operation that is no GET and no HEAD is AccessDenied, also without authentication; reading goes on."""
    caller.put("key", BODY)
    for keys in ({"access_key_id": KEY_ID, "secret_access_key": SECRET}, {"no_auth": True}):
        options: dict[str, Any] = {"read_only": True, **keys}
        reader = Caller(S3App(caller.app.backend, **options))
        for method, scope, names in ROUTES:
            path = {"service": "/", "bucket": "/bkt", "object": "/bkt/key"}[scope]
            query = "&".join(f"{name}=1" for name in names.split("+") if name and not name.startswith("x-"))
            answer = reader(method, path, query)
            if method in {"GET", "HEAD"}:
                assert 403 != answer.status
            else:
                assert (403, "AccessDenied") == code(answer)
        assert BODY == read(reader("GET", "/bkt/key"))
        assert BODY == read(get(reader.app, presign("GET", "/bkt/key")))
        assert (403, "AccessDenied") == code(send(reader.app, {"host": "localhost"}, query=presign("PUT", "/bkt/key")))


CHANGES: dict[str, dict[str, Any]] = {
    "body": {"body": b"what was sent !"},
    "path": {"path": "/bkt/other"},
    "query": {"query": "x-id=PutObject"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_is_changed_on_the_way_is_refused(caller: Caller, change: dict[str, Any]) -> None:
    """A body, path or query that is not the one that was signed is refused, and nothing is stored."""
    response = send(caller.app, sign("PUT", "/bkt/key", body=BODY), **change)
    assert response.status in {400, 403}
    assert code(response)[1] in {"SignatureDoesNotMatch", "XAmzContentSHA256Mismatch"}
    assert_nothing_stored(caller.app)


@pytest.mark.parametrize("name", ["host", "x-amz-date", "content-type", "x-amz-meta-colour"])
def test_a_changed_header_is_refused(caller: Caller, name: str) -> None:
    """Every signed header is bound by the signature."""
    headers = sign("PUT", "/bkt/key", body=BODY, headers={"content-type": "text/plain", "x-amz-meta-colour": "red"})
    headers[name] = amz_date(time.time() - 60) if name == "x-amz-date" else "changed"
    assert (403, "SignatureDoesNotMatch") == code(send(caller.app, headers))
    assert_nothing_stored(caller.app)


def test_a_signed_header_must_be_sent(caller: Caller) -> None:
    """A header that the signature names and the request lacks is refused."""
    headers = sign("PUT", "/bkt/key", body=BODY, headers={"x-amz-meta-a": "b"})
    del headers["x-amz-meta-a"]
    assert (403, "AccessDenied") == code(send(caller.app, headers))


AUTHORIZATIONS = {
    "nothing": (None, (403, "AccessDenied")),
    "version 2": ("AWS AKIDEXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=", (403, "SignatureDoesNotMatch")),
    "basic": ("Basic dGVzdDp0ZXN0", (400, "InvalidArgument")),
    "cut off": ("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/2026", (400, "AuthorizationHeaderMalformed")),
    "asymmetric": ("AWS4-ECDSA-P256-SHA256 Credential=x", (400, "InvalidRequest")),
    "empty": ("", (400, "InvalidArgument")),
}


@pytest.mark.parametrize(("authorization", "expected"), AUTHORIZATIONS.values(), ids=list(AUTHORIZATIONS))
def test_other_authorizations(caller: Caller, authorization: str | None, expected: tuple[int, str]) -> None:
    """What is not Signature Version 4 is refused, for what it is."""
    headers = sign("PUT", "/bkt/key", body=BODY)
    del headers["authorization"]
    if authorization is not None:
        headers["authorization"] = authorization
    assert expected == code(send(caller.app, headers))
    assert_nothing_stored(caller.app)


def test_two_mechanisms_are_one_too_many(caller: Caller) -> None:
    """A request that is signed in the header and in the query is refused."""
    query = presign("PUT", "/bkt/key")
    headers = sign("PUT", "/bkt/key", query, BODY)
    assert (400, "InvalidArgument") == code(send(caller.app, headers, query=query))


def test_the_payload_hash_is_required(caller: Caller) -> None:
    """Without x-amz-content-sha256, a request that is signed in the header is refused."""
    headers = sign("PUT", "/bkt/key", body=BODY)
    del headers["x-amz-content-sha256"]
    assert (400, "InvalidRequest") == code(send(caller.app, headers))


def test_an_unsigned_payload_is_allowed(caller: Caller) -> None:
    """UNSIGNED-PAYLOAD leaves the body out of the signature."""
    assert 200 == send(caller.app, sign("PUT", "/bkt/key", payload_hash="UNSIGNED-PAYLOAD")).status
    assert BODY == read(caller("GET", "/bkt/key"))


def test_the_date_header_stands_in(caller: Caller) -> None:
    """A client may sign with the date header in place of x-amz-date; none at all and a bad one are refused."""
    headers = sign("PUT", "/bkt/key", body=BODY, date_header=True)
    assert 200 == send(caller.app, headers).status
    assert (403, "AccessDenied") == code(send(caller.app, {**headers, "date": "yesterday"}))
    del headers["date"]
    assert (403, "AccessDenied") == code(send(caller.app, headers))
    late = sign("PUT", "/bkt/key", body=BODY, date_header=True, now=LONG_AGO)
    assert (403, "RequestTimeTooSkewed") == code(send(caller.app, late))


def test_signatures_of_botocore(caller: Caller) -> None:
    """Requests signed by another implementation, in the header and in the query, are accepted."""
    url = "http://localhost/bkt/" + "a%20b/%C3%A9%2B~(1)"
    credentials = Credentials(KEY_ID, SECRET)
    for auth in (S3SigV4Auth, S3SigV4QueryAuth):
        # The body of a presigned request is not looked at; botocore would take it for a form.
        data = BODY if auth is S3SigV4Auth else b""
        request = AWSRequest("PUT", url, data=data, headers={"host": "localhost"})
        auth(credentials, "s3", REGION).add_auth(request)
        prepared = request.prepare()
        path, _, query = prepared.url.removeprefix("http://localhost").partition("?")
        headers = {name.lower(): value for name, value in prepared.headers.items()}
        headers["content-length"] = str(len(BODY))
        assert 200 == send(caller.app, headers, path=path, query=query).status, auth
    assert BODY == read(caller("GET", "/bkt/a%20b/%C3%A9%2B~%281%29"))


def test_what_means_the_same_may_be_signed_either_way(caller: Caller) -> None:
    """A client that signs the canonical path and sends an equivalent one is understood; it names the same key."""
    headers = sign("PUT", "/bkt/%28x%29%2B~", body=BODY)
    assert 200 == send(caller.app, headers, path="/bkt/(x)+%7E").status
    assert BODY == read(caller("GET", "/bkt/%28x%29%2B~"))


def test_a_presigned_url_works_for_its_life(caller: Caller) -> None:
    """A presigned GET and PUT work until they expire, and not before they begin."""
    app = caller.app
    now = time.time()
    query = presign("PUT", "/bkt/key", expires=60)
    assert 200 == send(app, {"host": "localhost"}, query=query).status
    assert BODY == read(get(app, presign("GET", "/bkt/key", now=now - 3000, expires=3600)))
    assert (403, "AccessDenied") == code(get(app, presign("GET", "/bkt/key", now=now - 3700, expires=3600)))
    assert (403, "AccessDenied") == code(get(app, presign("GET", "/bkt/key", now=now + 3600)))


BAD_URLS: dict[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "no life": ({"expires": 0}, (403, "AuthorizationQueryParametersError")),
    "a negative life": ({"expires": -1}, (403, "AuthorizationQueryParametersError")),
    "more than a week": ({"expires": 604_801}, (403, "AuthorizationQueryParametersError")),
    "wrong region": ({"region": "eu-west-1"}, (400, "AuthorizationQueryParametersError")),
    "wrong secret": ({"secret": "wrong"}, (403, "SignatureDoesNotMatch")),
    "wrong host": ({"host": "elsewhere"}, (403, "SignatureDoesNotMatch")),
    "no date": ({"date": "20261121"}, (400, "AuthorizationQueryParametersError")),
}


@pytest.mark.parametrize(("wrong", "expected"), BAD_URLS.values(), ids=list(BAD_URLS))
def test_a_bad_presigned_url_is_refused(caller: Caller, wrong: dict[str, Any], expected: tuple[int, str]) -> None:
    """A URL that is wrong in one place gets the code for that place."""
    caller.put("key", BODY)
    assert expected == code(get(caller.app, presign("GET", "/bkt/key", **wrong)))


@pytest.mark.parametrize("parameter", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"])
def test_every_parameter_of_a_presigned_url_is_needed_once(caller: Caller, parameter: str) -> None:
    """Without one of its parameters, and with one of them twice, a presigned URL is refused."""
    caller.put("key", BODY)
    pairs = presign("GET", "/bkt/key").split("&")
    without = [pair for pair in pairs if not pair.startswith(f"X-Amz-{parameter}=")]
    assert len(pairs) - 1 == len(without)
    twice = pairs + [pair for pair in pairs if pair.startswith(f"X-Amz-{parameter}=")]
    for query in ("&".join(without), "&".join(twice)):
        assert (400, "AuthorizationQueryParametersError") == code(get(caller.app, query))


def test_a_presigned_url_is_for_one_method_and_what_it_signs(caller: Caller) -> None:
    """A URL for GET does not put, more parameters break it, and an x-amz header that it does not sign is refused."""
    caller.put("key", BODY)
    app = caller.app
    query = presign("GET", "/bkt/key")
    assert (403, "SignatureDoesNotMatch") == code(send(app, {"host": "localhost"}, b"evil", query=query))
    assert (403, "SignatureDoesNotMatch") == code(get(app, f"{query}&versionId=null"))
    assert (403, "AccessDenied") == code(get(app, query, {"x-amz-checksum-mode": "ENABLED"}))
    signed = presign("GET", "/bkt/key", headers={"x-amz-checksum-mode": "ENABLED"})
    assert BODY == read(get(app, signed, {"x-amz-checksum-mode": "ENABLED"}))
    assert (403, "AccessDenied") == code(get(app, signed))


@pytest.mark.parametrize("hash_in_canonical_request", [True, False])
def test_a_presigned_url_may_bind_the_body(caller: Caller, *, hash_in_canonical_request: bool) -> None:
    """With x-amz-content-sha256 among its signed headers, a URL is good for that one body, whoever's way it was signed."""
    digest = sha256(BODY).hexdigest()
    headers = {"x-amz-content-sha256": digest}
    query = presign(
        "PUT", "/bkt/key", headers=headers, payload_hash=digest if hash_in_canonical_request else "UNSIGNED-PAYLOAD"
    )
    sent = {"host": "localhost", **headers}
    assert (400, "XAmzContentSHA256Mismatch") == code(send(caller.app, sent, b"another body", query=query))
    assert_nothing_stored(caller.app)
    assert 200 == send(caller.app, sent, query=query).status
    other = sent | {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    assert (403, "SignatureDoesNotMatch") == code(send(caller.app, other, b"another body", query=query))


def test_answers_tell_what_was_calculated_but_no_secret(caller: Caller) -> None:
    """A wrong signature is answered with the canonical request, to compare; the secret is in no answer and no repr."""
    headers = sign("GET", "/bkt/key", secret="wrong")
    body = read(caller.app(Request("GET", "http://localhost", "/bkt/key", "", headers)))
    assert b"<CanonicalRequest>GET" in body
    assert b"<StringToSign>AWS4-HMAC-SHA256" in body
    assert SECRET.encode() not in body
    assert SECRET not in repr(caller.app._auth._users)


def test_without_authentication_everybody_is_let_in() -> None:
    """With no_auth, requests without a signature and with a wrong one are carried out; the body is still checked."""
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET, no_auth=True)
    assert 200 == app(Request("PUT", "http://localhost", "/bkt", "", {"host": "localhost"})).status
    assert 200 == send(app, {"host": "localhost"}).status
    assert 200 == send(app, sign("PUT", "/bkt/key", body=BODY, secret="wrong", now=LONG_AGO)).status
    headers = {"host": "localhost", "x-amz-content-sha256": sha256(b"other").hexdigest()}
    assert (400, "XAmzContentSHA256Mismatch") == code(send(app, headers, path="/bkt/other"))
    assert ["key"] == [row.key for row in app.backend.list_objects("bkt").rows]


@pytest.mark.parametrize(
    "arguments", [{"access_key_id": ""}, {"secret_access_key": ""}, {"region": "a/b"}, {"region": ""}]
)
def test_bad_arguments_are_refused(arguments: dict[str, str]) -> None:
    """A server without a key, a secret or a region is not made."""
    with pytest.raises(ValueError, match=next(iter(arguments))):
        S3App(**arguments)  # type: ignore[arg-type] # every argument is a str
