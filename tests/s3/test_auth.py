"""The authorizer learns from refusals: where the bucket is, what time it is, who signs now."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from s3func import Credentials, S3Session
from s3func.errors import (
    AccessDenied,
    InvalidCredentials,
    InvalidRequest,
    NotFound,
    ProtocolError,
    Redirected,
    RequestTimeTooSkewed,
    S3FuncError,
    ServerError,
)
from s3func.message import Request, Response
from s3func.s3.auth import SigV4Authorizer
from s3func.server import MemoryBackend, S3App
from tests.s3.rigs import ACCESS_KEY_ID, DATE, NOW, SECRET, FrozenClock, Recorder, recorded, success


def scope_of(headers: dict[str, str]) -> str:
    """Date and region that a request was signed for."""
    [scope] = re.findall(r"Credential=[^/]+/([0-9]{8}/[^/]+)/s3/aws4_request", headers["authorization"])
    return str(scope)


def in_region(region: str, refuse: Callable[[Request], Response]) -> Recorder:
    """A store that is in one region and refuses what is signed for another."""

    def answer(request: Request) -> Response:
        return success(request) if f"/{region}/s3/" in request.headers["authorization"] else refuse(request)

    return Recorder(answer)


def redirect(_: Request) -> Response:
    body = b"<Error><Code>PermanentRedirect</Code><Endpoint>bucket.s3.eu-west-1.amazonaws.com</Endpoint></Error>"
    return Response(301, {"x-amz-bucket-region": "eu-west-1"}, body)


def temporary_redirect(_: Request) -> Response:
    body = b"<Error><Code>TemporaryRedirect</Code></Error>"
    return Response(307, {"x-amz-bucket-region": "eu-west-1", "location": "https://evil.example/"}, body)


def malformed(_: Request) -> Response:
    body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
    return Response(400, {}, body)


def head(_: Request) -> Response:
    return Response(400, {"x-amz-bucket-region": "eu-west-1"})


def aws_session(recorder: Recorder, **options: Any) -> S3Session:
    """A session that believes to talk to AWS."""
    session = S3Session(ACCESS_KEY_ID, SECRET, "bucket", region="us-east-1", clock=FrozenClock(), **options)
    session._client.transport = recorder
    return session


@pytest.mark.parametrize("refuse", [redirect, temporary_redirect, malformed, head])
def test_a_bucket_in_another_region(refuse: Callable[[Request], Response]) -> None:
    """The request is signed again for the region that the store names, sent there, and later ones go there at once."""
    recorder = in_region("eu-west-1", refuse)
    session = aws_session(recorder)
    session.head_object("key")
    session.put_object("key", b"body")
    assert ["20261121/us-east-1", "20261121/eu-west-1", "20261121/eu-west-1"] == [
        scope_of(sent.headers) for sent in recorder.sent
    ]
    assert ["https://bucket.s3.us-east-1.amazonaws.com"] + ["https://bucket.s3.eu-west-1.amazonaws.com"] * 2 == [
        sent.origin for sent in recorder.sent
    ]
    assert all(f"https://{sent.headers['host']}" == sent.origin for sent in recorder.sent)
    assert "us-east-1" == session.region
    assert session.presigned_url("GET", "key").startswith("https://bucket.s3.eu-west-1.amazonaws.com/key?")
    session.close()


def test_each_bucket_has_its_region() -> None:
    """What is learnt of one bucket does not move another."""
    recorder = in_region("eu-west-1", redirect)
    session = aws_session(recorder)
    session.head_object("key")
    session.head_object("key", bucket="another")
    assert "https://another.s3.us-east-1.amazonaws.com" == recorder.sent[2].origin
    session.close()


def test_a_region_that_another_thread_learns() -> None:
    """A request that was addressed before another thread learnt the region, and signed after, is sent there as well."""
    recorder = Recorder(lambda request: success(request) if "eu-west-1" in request.origin else redirect(request))
    session = aws_session(recorder)
    authorizer = session._at(None)
    authorize = SigV4Authorizer.authorize

    def authorize_late(self: SigV4Authorizer, request: Request) -> None:
        self.place = session._endpoint.place("bucket", "eu-west-1")
        authorize(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SigV4Authorizer, "authorize", authorize_late)
        session.head_object("key")
    assert ["bucket.s3.us-east-1.amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com"] == [
        sent.headers["host"] for sent in recorder.sent
    ]
    assert "eu-west-1" == authorizer.place.region
    session.close()


@pytest.mark.parametrize("region", ["evil.com#", "a/b", "us-east-1", "a b", "x" * 64, "é"])
def test_a_region_that_leads_nowhere(region: str) -> None:
    """A redirect to what is no region, or to where the request came from, is the error that it is."""
    recorder = Recorder(
        lambda _: Response(301, {"x-amz-bucket-region": region}, b"<Error><Code>PermanentRedirect</Code></Error>")
    )
    session = aws_session(recorder)
    with pytest.raises(Redirected) as caught:
        session.get_object("key")
    assert (301, "PermanentRedirect", "bucket", "key") == (
        caught.value.status,
        caught.value.code,
        caught.value.bucket,
        caught.value.key,
    )
    assert 1 == len(recorder.sent)
    session.close()


def test_a_store_that_sends_everybody_away() -> None:
    """Redirects that never end are given up, whatever regions they name."""
    names = iter(f"region-{n}" for n in range(100))
    recorder = Recorder(lambda _: Response(301, {"x-amz-bucket-region": next(names)}))
    session = aws_session(recorder)
    with pytest.raises(Redirected):
        session.get_object("key")
    assert len(recorder.sent) < 10
    session.close()


@pytest.mark.parametrize("minutes", [-100, 100, 10**6])
@pytest.mark.parametrize("verb", ["put_object", "head_object", "get_object"])
def test_a_clock_that_is_wrong(verb: str, minutes: int) -> None:
    """A session whose clock is wrong learns the time from the refusal, once, and all later requests carry it."""
    app = S3App(MemoryBackend(), access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET, clock=FrozenClock())
    recorder = Recorder(app)
    right = recorded(recorder)
    right.create_bucket()
    right.put_object("key", b"body")
    recorder.sent.clear()
    session = recorded(recorder, clock=FrozenClock(NOW + 60 * minutes))
    arguments = ("key", b"body") if verb == "put_object" else ("key",)
    getattr(session, verb)(*arguments)
    session.get_object("key", bucket="bucket")
    assert [DATE, DATE] == [sent.headers["x-amz-date"] for sent in recorder.sent[1:]]
    assert "X-Amz-Date=" + DATE in session.presigned_url("GET", "key")
    app.close()


def test_a_clock_that_nobody_can_set() -> None:
    """Without a Date in the refusal, or with one that changes nothing, the refusal is raised."""
    body = b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
    for headers in ({}, {"date": "yesterday"}, {"date": formatdate(NOW, usegmt=True)}):
        recorder = Recorder(lambda _, headers=headers: Response(403, dict(headers), body))  # type: ignore[misc]
        with pytest.raises(RequestTimeTooSkewed):
            recorded(recorder).put_object("key", b"")
        assert len(recorder.sent) < 6


def test_credentials_that_expired() -> None:
    """A refused token is renewed where the credentials come from a function, once; fixed ones are the error."""
    expired = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"

    def answer(request: Request) -> Response:
        return Response(400, {}, expired) if request.headers["x-amz-security-token"] == "old" else success(request)

    given = iter([Credentials("A", "s", "old"), Credentials("B", "s", "new"), Credentials("B", "s", "new")])
    recorder = Recorder(answer)
    session = S3Session(bucket="bucket", credentials=lambda: next(given), transport=recorder, clock=FrozenClock())
    session.put_object("key", b"body")
    assert ["old", "new"] == [sent.headers["x-amz-security-token"] for sent in recorder.sent]
    recorder = Recorder(answer)
    with pytest.raises(InvalidCredentials, match="expired"):
        recorded(recorder, session_token="old").put_object("key", b"")
    assert 1 == len(recorder.sent)


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "code"),
    [
        (403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>", AccessDenied, "AccessDenied"),
        (403, {}, b"", AccessDenied, "AccessDenied"),
        (404, {}, b"<html>not here</html>", NotFound, "NotFound"),
        (418, {}, b'{"error": "teapot"}', InvalidRequest, "HTTP418"),
        (500, {}, b"<Error><Code>Made-Up</Code></Error>", ServerError, "Made-Up"),
        (599, {}, b"", ServerError, "HTTP599"),
        (403, {}, b"<Error><Code>Acc", AccessDenied, "AccessDenied"),
        (200, {}, b"", None, ""),
    ],
)
def test_what_a_refusal_becomes(
    status: int, headers: dict[str, str], body: bytes, error: type[S3FuncError] | None, code: str
) -> None:
    """Every refusal is a typed error with status, code, bucket, key and request id, whatever its body is."""
    recorder = Recorder(lambda _: Response(status, {"x-amz-request-id": "R9", "x-amz-id-2": "H9", **headers}, body))
    session = recorded(recorder, retries=1)
    if error is None:
        assert "R9" == session.get_object("a b").request_id
        return
    with pytest.raises(error) as caught:
        session.get_object("a b")
    found: Any = caught.value
    assert error.__name__ == type(found).__name__
    assert (status, code, "bucket", "a b", "R9", "H9", 1) == (
        found.status,
        found.code,
        found.bucket,
        found.key,
        found.request_id,
        found.host_id,
        found.attempts,
    )


def test_an_error_document_without_end() -> None:
    """A refusal with more in it than any error document has is judged by its status, and not read for ever."""

    class Endless:
        closed = False
        given = 0

        def read(self, size: int = -1) -> bytes:
            assert size >= 0
            Endless.given += size
            return b"x" * size

        def readinto(self, buffer: memoryview) -> int:
            raise AssertionError("not read this way")

        def close(self) -> None:
            Endless.closed = True

    with pytest.raises(AccessDenied):
        recorded(Recorder(lambda _: Response(403, {}, Endless())), retries=1).put_object("key", b"")
    assert Endless.closed
    assert Endless.given < 4 * 1024 * 1024


def test_an_answer_that_is_no_document() -> None:
    """A page of a captive portal with status 200 is no success where a document is due."""
    recorder = Recorder(lambda _: Response(200, {"content-type": "text/html"}, b"<html>log in</html>"))
    session = recorded(recorder, retries=1)
    for call in (session.list_buckets, lambda: session.copy_object("a", "b"), lambda: session.delete_objects(["a"])):
        with pytest.raises(ProtocolError):
            call()
