"""Secrets: the secret key, the session token and signatures are in requests and URLs, and nowhere else."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import s3func.errors
from s3func import Credentials, S3Session
from s3func.errors import InvalidCredentials, S3FuncError, ServiceError, TransportError
from s3func.message import Request, Response
from s3func.s3.auth import SigV4Authorizer
from s3func.s3.credentials.files import Profile
from s3func.wire.sigv4 import signature, signing_key
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, TOKEN, FrozenClock, Recorder, recorded

SECRETS = (SECRET, TOKEN)


def assert_clean(text: str, recorder: Recorder | None = None) -> None:
    """Fail if the text has a secret in it, or a signature that was sent."""
    for secret in (*SECRETS, *(signatures(recorder) if recorder else ())):
        assert secret not in text
        assert secret.encode().hex() not in text


def signatures(recorder: Recorder) -> list[str]:
    """The signatures of all requests so far."""
    return [sent.headers["authorization"].rpartition("Signature=")[2] for sent in recorder.sent]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def session(recorder: Recorder) -> S3Session:
    """A session with temporary credentials that has signed a request already."""
    session = recorded(recorder, session_token=TOKEN)
    session.put_object("key", b"body")
    assert TOKEN == recorder.last.headers["x-amz-security-token"]
    return session


def test_the_rig_can_find_a_secret(recorder: Recorder, session: S3Session) -> None:
    """What this file looks for is really there to be found."""
    for text in (SECRET, TOKEN, recorder.last.headers["authorization"]):
        with pytest.raises(AssertionError):
            assert_clean(f"before {text} behind", recorder)


@pytest.mark.parametrize("shown", [repr, str, ascii, "{}".format, "{!r:>300}".format])
def test_what_is_shown(session: S3Session, recorder: Recorder, shown: Callable[[object], str]) -> None:
    """repr and str of all that a user may print hold no secret."""
    things: list[object] = [
        session,
        session._at(None),
        session._client,
        session._endpoint,
        session._at(None).place,
        Credentials(ACCESS_KEY_ID, SECRET, TOKEN),
        [Credentials(ACCESS_KEY_ID, SECRET, TOKEN)],
        Profile("default", {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": SECRET}),
        session.get_object("key"),
        session.list_objects(),
    ]
    for thing in things:
        assert_clean(shown(thing), recorder)


def test_a_request_shows_neither_query_nor_headers(recorder: Recorder) -> None:
    """The repr of a request has no query, in which a presigned URL is signed, and no headers."""
    requests: list[Request] = []

    def keep(request: Request) -> Response:
        requests.append(request)
        return Response(200, {})

    recorder.answer = keep
    recorded(recorder, session_token=TOKEN).request("GET", "key", query={"X-Amz-Signature": "feedface"})
    assert "feedface" in requests[0].target
    for text in (repr(requests), str(requests[0])):
        assert "feedface" not in text
        assert_clean(text, recorder)


@pytest.mark.parametrize("carry", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_nothing_with_secrets_is_carried_away(session: S3Session, carry: Callable[[Any], Any]) -> None:
    """Sessions and credentials are neither pickled nor copied, and say so without a secret."""
    for thing in (session, Credentials(ACCESS_KEY_ID, SECRET, TOKEN)):
        with pytest.raises(TypeError, match="not pickled") as caught:
            carry(thing)
        assert_clean(str(caught.value))


# What stores say when a signature does not fit. AWS tells everything that it has signed, the token included.
CANONICAL_REQUEST = f"PUT\n/bucket/key\n\nhost:h\nx-amz-security-token:{TOKEN}\n\nhost;x-amz-security-token\nabc"


def refusal(request: Request) -> Response:
    """AWS's answer to a wrong signature, which repeats what was sent."""
    signature = request.headers["authorization"].rpartition("Signature=")[2]
    elements = {
        "Code": "SignatureDoesNotMatch",
        "Message": "The request signature we calculated does not match the signature you provided. Check your key and "
        "signing method.",
        "AWSAccessKeyId": ACCESS_KEY_ID,
        "StringToSign": "AWS4-HMAC-SHA256\n20261121T100000Z\n20261121/us-east-1/s3/aws4_request\nabc",
        "SignatureProvided": signature,
        "StringToSignBytes": "41 57 53",
        "CanonicalRequest": CANONICAL_REQUEST,
        "CanonicalRequestBytes": CANONICAL_REQUEST.encode().hex(" "),
        "RequestId": "R1",
        "HostId": "H1",
    }
    document = "".join(f"<{name}>{text}</{name}>" for name, text in elements.items())
    return Response(403, {"content-type": "application/xml"}, f"<Error>{document}</Error>".encode())


def malformed(request: Request) -> Response:
    """An answer that quotes the header that it does not like."""
    header = request.headers["authorization"]
    body = (
        "<Error><Code>InvalidArgument</Code><Message>Unsupported Authorization Type</Message>"
        f"<ArgumentName>Authorization</ArgumentName><ArgumentValue>{header}</ArgumentValue></Error>"
    )
    return Response(400, {}, body.encode())


def invalid_token(request: Request) -> Response:
    """AWS's answer to a token that it does not know: it sends it back."""
    body = (
        "<Error><Code>InvalidToken</Code><Message>The provided token is malformed or otherwise invalid.</Message>"
        f"<Token-0>{request.headers['x-amz-security-token']}</Token-0></Error>"
    )
    return Response(400, {}, body.encode())


def chatty(request: Request) -> Response:
    """A proxy's page with all that it was sent."""
    page = "<html><pre>" + "\n".join(f"{name}: {value}" for name, value in request.headers.items()) + "</pre></html>"
    return Response(502, {"content-type": "text/html"}, page.encode())


def broken(request: Request) -> Response:
    """A transport that fails."""
    raise TransportError(f"no answer from {request.origin}")


@pytest.mark.parametrize("answer", [refusal, malformed, invalid_token, chatty, broken])
def test_errors(answer: Callable[[Request], Response], caplog: pytest.LogCaptureFixture) -> None:
    """What is said of an error, its traceback and the log have no secret, whatever the store repeats."""
    caplog.set_level(logging.DEBUG)
    recorder = Recorder(answer)
    session = recorded(recorder, session_token=TOKEN, retries=2)
    for call in (lambda: session.put_object("key", b"body"), lambda: list(session.list_objects())):
        with pytest.raises(S3FuncError) as caught:
            call()
        error = caught.value
        for text in (str(error), repr(error), *traceback.format_exception(error), caplog.text):
            assert_clean(text, recorder)
    assert caplog.text or answer in {refusal, malformed, invalid_token}


@pytest.mark.parametrize("answer", [refusal, invalid_token, malformed])
def test_errors_that_travel(answer: Callable[[Request], Response]) -> None:
    """An error crosses process borders whole, and takes no secret with it."""
    recorder = Recorder(answer)
    with pytest.raises(ServiceError) as caught:
        recorded(recorder, session_token=TOKEN, retries=1).put_object("key", b"body")
    error = caught.value
    carried = pickle.dumps(error)
    assert (error.code, error.status, error.request_id) == (
        (other := pickle.loads(carried)).code,
        other.status,
        other.request_id,
    )
    for text in (carried.decode("latin-1"), repr(error.__dict__)):
        assert_clean(text, recorder)


def test_the_refusal_keeps_what_is_useful() -> None:
    """The key id and the string to sign, which have no secret in them, help to find a wrong signature."""
    with pytest.raises(InvalidCredentials) as caught:
        recorded(Recorder(refusal), retries=1).put_object("key", b"body")
    assert ACCESS_KEY_ID == caught.value.details["AWSAccessKeyId"]
    assert caught.value.details["StringToSign"].startswith("AWS4-HMAC-SHA256")


def test_the_log_of_everything(caplog: pytest.LogCaptureFixture) -> None:
    """With logging at its loudest, no verb and no retry leaves a secret or a presigned URL in the log."""
    caplog.set_level(0)
    answers = iter([Response(503, {}, b"<Error><Code>SlowDown</Code></Error>"), Response(500, {}, b"<html>")])
    recorder = Recorder()
    answer = recorder.answer
    recorder.answer = lambda request: next(answers, None) or answer(request)
    session = recorded(recorder, session_token=TOKEN)
    session.put_object("key", b"body")
    session.copy_object("key", "copy")
    list(session.list_objects())
    url = session.presigned_url("GET", "key")
    session.request("GET", "key", query={"X-Amz-Signature": "feedface"})
    assert "attempt 1: Throttled" in caplog.text
    assert "attempt 2: ServerError" in caplog.text
    assert_clean(caplog.text, recorder)
    assert "feedface" not in caplog.text
    assert url.rpartition("Signature=")[2] not in caplog.text


def test_signing_keys_are_secrets_as_well() -> None:
    """What a signature is made with is not shown either: it is good for a day."""
    session = recorded(Recorder(), session_token=TOKEN)
    session.head_bucket()
    authorizer = session._at(None)
    stamp = authorizer._stamp
    key = signing_key(SECRET, stamp.date[:8], authorizer.place.region)
    assert key.hex() != stamp.signer.signature("") == signature(key, "")
    for thing in (authorizer, session, session._client, stamp, stamp.signer):
        for text in (repr(thing), str(thing)):
            assert repr(key) not in text
            assert key.hex() not in text


def test_a_bad_secret_is_not_repeated() -> None:
    """Credentials that cannot be used are described, not quoted."""
    for options in (
        {"access_key_id": f"{SECRET}\n", "access_key": SECRET},
        {"access_key_id": ACCESS_KEY_ID, "access_key": SECRET, "session_token": f"{TOKEN}\r\n"},
        {"access_key_id": ACCESS_KEY_ID, "access_key": SECRET, "secret_access_key": TOKEN},
        {"access_key_id": ACCESS_KEY_ID, "access_key": SECRET.encode()},
        {"credentials": (ACCESS_KEY_ID, SECRET)},
        {"access_key": SECRET},
        {"access_key_id": ACCESS_KEY_ID, "access_key": SECRET, "anonymous": True},
    ):
        with pytest.raises((ValueError, TypeError, S3FuncError)) as caught:
            S3Session(bucket="bucket", **options)
        assert_clean(f"{caught.value!s} {caught.value!r}")


def all_errors() -> Iterator[type[S3FuncError]]:
    """Every class of the tree."""
    todo: list[type[S3FuncError]] = [S3FuncError]
    while todo:
        found = todo.pop()
        yield found
        todo += found.__subclasses__()


def test_the_tree_of_errors_can_be_carried() -> None:
    """Each error can be pickled, with what was added to it later."""
    for kind in all_errors():
        error = kind("message")
        error.bucket, error.attempts = "bucket", 3
        other = pickle.loads(pickle.dumps(error))
        assert (type(error), str(error), "bucket", 3) == (type(other), str(other), other.bucket, other.attempts)
    assert len(list(all_errors())) > 25
    assert s3func.errors.S3FuncError is S3FuncError


def test_an_authorizer_signs_with_what_it_is_given() -> None:
    """The secret goes into the signature and nowhere else into the request."""
    session = recorded(Recorder(), session_token=TOKEN)
    authorizer = SigV4Authorizer(session._credentials, session._endpoint, "bucket", FrozenClock(), session._skew)
    request = Request("GET", "http://localhost", "/bucket/key", "", {"host": "localhost", "x-amz-content-sha256": "e3"})
    authorizer.authorize(request)
    assert SECRET not in repr(request.headers)
    assert TOKEN == request.headers["x-amz-security-token"]
