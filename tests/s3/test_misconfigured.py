"""What is set wrong heals by itself where it can; where it cannot, one typed error says what to set."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from s3func import Credentials, S3Session
from s3func.errors import (
    AccessDenied,
    ConnectError,
    InvalidCredentials,
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    NotFound,
    Redirected,
    RequestTimeTooSkewed,
    S3FuncError,
    ServiceError,
)
from s3func.message import Request, Response
from s3func.server import MemoryBackend, S3App
from s3func.server.journal import Journal
from s3func.testing import Server, server
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, TOKEN, FrozenClock, Recorder, recorded, success

HOUR = 3600.0


def at_aws(recorder: Recorder, **options: Any) -> S3Session:
    """A session that believes to talk to AWS, or to the endpoint_url that it is given."""
    settings: dict[str, Any] = {"bucket": "bucket", "region": "us-east-1", "clock": FrozenClock()}
    session = S3Session(ACCESS_KEY_ID, SECRET, **(settings | options))
    session._client.transport = recorder
    return session


def refused(status: int, code: str = "", elements: str = "", **headers: str) -> Response:
    body = f"<Error><Code>{code}</Code><Message>no</Message>{elements}</Error>".encode() if code else b""
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def app(**options: Any) -> tuple[S3App, Journal]:
    """The embedded server, its bucket made, and the journal of what follows."""
    journal = Journal()
    made = S3App(MemoryBackend(), access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET, journal=journal, **options)
    right = {"region": options.get("region", "us-east-1"), "clock": options.get("clock")}
    # Not closed: that would be the end of the server as well.
    session = S3Session(ACCESS_KEY_ID, SECRET, "bucket", transport=made, **right)
    session.create_bucket()
    session.put_object("key", b"body")
    journal.clear()
    return made, journal


def outcomes(journal: Journal) -> list[tuple[str, int]]:
    return [(entry.operation, entry.status) for entry in journal]


# --- the region


@pytest.mark.parametrize("verb", ["put_object", "get_object", "head_object", "delete_object"])
def test_the_wrong_region_heals_and_stays_healed(verb: str) -> None:
    """The first call finds out which region the server is in, and those that follow go there at once."""
    made, journal = app(region="eu-west-1")
    with S3Session(ACCESS_KEY_ID, SECRET, "bucket", region="us-east-1", transport=made) as session:
        arguments = ("key", b"body") if verb == "put_object" else ("key",)
        getattr(session, verb)(*arguments)
        # An answer to HEAD has no document to say which region it would be, so that is asked for by a GET.
        found = [400, 400] if verb == "head_object" else [400]
        assert [*found, 200 if verb != "delete_object" else 204] == [status for _, status in outcomes(journal)]
        journal.clear()
        session.put_object("again", b"body")
        session.head_object("again")
        assert [200, 200] == [status for _, status in outcomes(journal)]
    made.close()


def always(response: Response) -> Callable[[Request], Response]:
    return lambda _: response


def moved(answers: Callable[[Request], Response | None]) -> Callable[[Request], Response]:
    """A bucket in eu-west-1: what is signed for another region gets this answer, and a HEAD says where the bucket is."""

    def answer(request: Request) -> Response:
        if "authorization" not in request.headers:
            return refused(403, x_amz_bucket_region="eu-west-1")
        if "/eu-west-1/s3/" in request.headers["authorization"]:
            return success(request)
        return answers(request) or refused(301, "PermanentRedirect")

    return answer


@pytest.mark.parametrize(
    "refusal",
    [
        refused(301, "PermanentRedirect"),
        refused(307, "TemporaryRedirect"),
        refused(301),
        refused(400, "AuthorizationHeaderMalformed"),
        refused(400, "IllegalLocationConstraintException"),
    ],
)
def test_a_bucket_is_looked_for_where_nobody_says_where_it_is(refusal: Response) -> None:
    """AWS tells anybody who asks where a bucket is: one unsigned HEAD, and the session stays healed."""
    recorder = Recorder(moved(always(refusal)))
    with at_aws(recorder) as session:
        session.put_object("key", b"body")
        session.put_object("key", b"body")
    assert ["PUT", "HEAD", "PUT", "PUT"] == [sent.method for sent in recorder.sent]
    assert "authorization" not in recorder.sent[1].headers
    assert {"https://bucket.s3.eu-west-1.amazonaws.com"} == {sent.origin for sent in recorder.sent[2:]}


def test_a_bucket_that_nobody_finds_is_looked_for_once() -> None:
    """Where the HEAD says nothing either, the redirect is the error, and no later call asks again."""
    recorder = Recorder(lambda _: refused(301, "PermanentRedirect"))
    with at_aws(recorder) as session:
        for _ in range(2):
            with pytest.raises(Redirected, match="does not say where: give its own region and endpoint_url"):
                session.get_object("key")
    assert ["GET", "HEAD", "GET"] == [sent.method for sent in recorder.sent]


def test_a_lookup_that_fails_is_no_error_of_its_own() -> None:
    """A connection that breaks while the bucket is looked for leaves the redirect as it is."""

    def answer(request: Request) -> Response:
        if request.method == "HEAD":
            raise ConnectError("no connection")
        return refused(301, "PermanentRedirect")

    with at_aws(Recorder(answer)) as session, pytest.raises(Redirected):
        session.get_object("key")


def test_an_endpoint_of_another_region_heals() -> None:
    """A given endpoint of AWS's, or of a store whose hosts name their regions, gives way to the bucket's own region."""
    for url, elsewhere in (
        ("https://s3.us-east-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("https://s3.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("https://s3.us-east-1.wasabisys.com", "https://s3.eu-west-1.wasabisys.com"),
    ):
        refusal = refused(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1")
        recorder = Recorder(moved(always(refusal)))
        with at_aws(recorder, endpoint_url=url) as session:
            session.get_object("key")
            session.get_object("key")
        assert [url, elsewhere, elsewhere] == [sent.origin for sent in recorder.sent]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (
            refused(307, "TemporaryRedirect", "<Endpoint>other.example</Endpoint>", location="https://other.example/"),
            "the bucket is served at other.example: give that as endpoint_url",
        ),
        (refused(301, "PermanentRedirect"), "the bucket is served elsewhere, and the store does not say where"),
        (refused(302, location="https://portal.example/login"), "give its own region and endpoint_url"),
    ],
)
def test_a_store_that_sends_elsewhere(refusal: Response, words: str) -> None:
    """Another host is never followed: the error says what to set."""
    recorder = Recorder(lambda _: refusal)
    with at_aws(recorder, endpoint_url="https://store.example") as session, pytest.raises(Redirected) as caught:
        session.put_object("key", b"body")
    assert words in str(caught.value)
    assert {"https://store.example"} == {sent.origin for sent in recorder.sent}


def test_a_region_that_the_endpoint_does_not_serve() -> None:
    """A store that refuses the region and names no other one gets an error that names what was tried."""
    recorder = Recorder(lambda _: refused(400, "AuthorizationHeaderMalformed"))
    with at_aws(recorder, endpoint_url="https://store.example") as session, pytest.raises(InvalidRequest) as caught:
        session.get_object("key")
    assert "the region 'us-east-1' is not the one that this endpoint serves" in str(caught.value)


def test_where_a_bucket_is_can_be_asked() -> None:
    """bucket_region() asks AWS without a signature, and presigned URLs made afterwards are for that region."""
    recorder = Recorder(moved(lambda _: None))
    with at_aws(recorder) as session:
        assert "/us-east-1/s3/" in unquote(session.presigned_url("GET", "key"))
        assert "eu-west-1" == session.bucket_region()
        assert session.presigned_url("GET", "key").startswith("https://bucket.s3.eu-west-1.amazonaws.com/key?")
        assert "us-east-1" == session.region
        # What was signed for another region a moment ago is no reason to sign so again.
        session.head_object("key")
        assert "/eu-west-1/s3/" in recorder.sent.pop().headers["authorization"]
    assert [("HEAD", "/", False)] == [
        (sent.method, sent.path, "authorization" in sent.headers) for sent in recorder.sent
    ]


def test_where_a_bucket_is_at_another_store() -> None:
    """A store that does not tell everybody is asked with a signature; a region that it refuses heals on the way."""
    made, _ = app(region="eu-west-1")
    with S3Session(ACCESS_KEY_ID, SECRET, "bucket", region="us-east-1", transport=made) as session:
        assert "eu-west-1" == session.bucket_region()
        with pytest.raises(NotFound):
            session.bucket_region("nowhere")


# --- the endpoint


@pytest.mark.parametrize(
    ("endpoint_url", "text", "words"),
    [
        (
            "https://store.example",
            "no connection: [SSL: WRONG_VERSION_NUMBER] wrong version number",
            "no TLS at this port",
        ),
        ("https://store.example", "no connection: [SSL: CERTIFICATE_VERIFY_FAILED] unable", "AWS_CA_BUNDLE"),
        (
            "https://sotre.example",
            "no connection: Name or service not known",
            "is endpoint_url 'https://sotre.example' right",
        ),
        (None, "no connection: Name or service not known", "is 'us-esat-1' a region"),
        ("http://127.0.0.1:1", "no connection: Connection refused", "nothing listens there"),
    ],
)
def test_an_endpoint_that_cannot_be_reached(endpoint_url: str | None, text: str, words: str) -> None:
    """Why there is no connection is said together with the setting that is wrong."""

    def answer(_: Request) -> Response:
        raise ConnectError(text)

    session = at_aws(Recorder(answer), endpoint_url=endpoint_url, region="us-esat-1", retries=1)
    with session, pytest.raises(ConnectError) as caught:
        session.get_object("key")
    assert text in str(caught.value)
    assert words in str(caught.value)


def test_tls_where_there_is_none() -> None:
    """https at a port of plain http is one ConnectError that says so."""
    with server() as running:
        url = running.endpoint_url.replace("http:", "https:")
        with (
            S3Session(ACCESS_KEY_ID, SECRET, "bucket", url, retries=1) as session,
            pytest.raises(ConnectError) as caught,
        ):
            session.head_bucket()
    assert "endpoint_url has to begin with http://" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (
            b"Client sent an HTTP request to an HTTPS server.\n",
            "text/plain",
            "endpoint_url has to be https://store.example:9000",
        ),
        (b"<!DOCTYPE html><html><title>Console</title></html>", "text/html", "neither its web console nor a proxy"),
    ],
)
@pytest.mark.parametrize("verb", ["put_object", "get_object"])
def test_something_else_than_a_store(verb: str, body: bytes, kind: str, words: str) -> None:
    """An answer that no S3 store gives is told apart, and the endpoint is what is doubted."""
    recorder = Recorder(lambda _: Response(400, {"content-type": kind}, body))
    session = at_aws(recorder, endpoint_url="http://store.example:9000")
    with session, pytest.raises(InvalidRequest) as caught:
        getattr(session, verb)(*(("key", b"") if verb == "put_object" else ("key",)))
    assert words in str(caught.value)


# --- the clock


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("verb", ["put_object", "head_object"])
def test_a_clock_that_is_an_hour_wrong_heals(verb: str, hours: int) -> None:
    """The store's own time is taken from its refusal, once for the session."""
    made, journal = app(clock=FrozenClock())
    clock = FrozenClock(FrozenClock().now() + hours * HOUR)
    with S3Session(ACCESS_KEY_ID, SECRET, "bucket", transport=made, clock=clock) as session:
        session.put_object("key", b"body")
        getattr(session, verb)(*(("key", b"body") if verb == "put_object" else ("key",)))
    assert [("PutObject", 403), ("PutObject", 200)] == outcomes(journal)[:2]
    assert 3 == len(outcomes(journal))
    made.close()


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ({}, "this machine's clock and the store's differ by more than 15 minutes: set it"),
        (
            {"date": "Sat, 21 Nov 2026 10:00:01 GMT"},
            "requests are dated 1 seconds before the store's time: set the clock",
        ),
    ],
)
def test_a_clock_that_cannot_be_mended(date: dict[str, str], words: str) -> None:
    """A store that does not say what time it is, or insists, is one error about the clock."""
    recorder = Recorder(lambda _: refused(403, "RequestTimeTooSkewed", **date))
    with (
        at_aws(recorder, endpoint_url="https://store.example") as session,
        pytest.raises(RequestTimeTooSkewed) as caught,
    ):
        session.get_object("key")
    assert words in str(caught.value)


# --- who signs


@pytest.mark.parametrize("code", ["ExpiredToken", "TokenRefreshRequired", "InvalidToken"])
def test_a_token_that_is_no_good(code: str) -> None:
    """A fixed token that has expired, or is another key's, is one error that says where tokens come from."""
    recorder = Recorder(lambda _: refused(400, code))
    session = at_aws(recorder, session_token=TOKEN)
    with session, pytest.raises(InvalidCredentials) as caught:
        session.get_object("key")
    assert code == caught.value.code
    assert ("AWS_SESSION_TOKEN" if code == "InvalidToken" else "get new credentials") in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_token_that_expires_is_renewed_where_somebody_can() -> None:
    """Credentials that come from a function are asked for again, and the call succeeds."""
    tokens = iter(["old", "new", "new"])
    recorder = Recorder(
        lambda request: (
            refused(400, "ExpiredToken") if request.headers["x-amz-security-token"] == "old" else success(request)
        )
    )
    session = S3Session(
        bucket="bucket",
        region="us-east-1",
        clock=FrozenClock(),
        credentials=lambda: Credentials(ACCESS_KEY_ID, SECRET, next(tokens)),
    )
    session._client.transport = recorder
    with session:
        session.get_object("key")
    assert ["old", "new"] == [sent.headers["x-amz-security-token"] for sent in recorder.sent]


@pytest.fixture
def running() -> Any:
    with server() as one:
        yield one


def test_keys_of_somebody_else(running: Server) -> None:
    """An unknown key and a wrong secret are told apart, and neither is repeated."""
    url = running.endpoint_url
    with S3Session("AKIDOTHER", SECRET, "bucket", url, retries=1) as session:
        with pytest.raises(InvalidCredentials, match="does not know the key: keys of another store") as caught:
            session.put_object("key", b"")
        assert "AKIDOTHER" not in caught.value.advice
    with S3Session(running.access_key_id, SECRET, "bucket", url, retries=1) as session:
        with pytest.raises(InvalidCredentials, match="the secret does not belong to the key") as caught:
            session.put_object("key", b"")
        assert SECRET not in str(caught.value)


# --- what is there, and who may


def test_a_bucket_that_is_missing(running: Server) -> None:
    """The error is NoSuchBucket, or NotFound from a HEAD of it, and says where it was looked for."""
    with running.session() as owner:
        for call, kind in (
            (lambda: owner.put_object("key", b"", bucket="nowhere"), NoSuchBucket),
            (lambda: owner.get_object("key", bucket="nowhere"), NoSuchBucket),
            (lambda: list(owner.list_objects(bucket="nowhere")), NoSuchBucket),
            (lambda: owner.head_bucket("nowhere"), NotFound),
        ):
            with pytest.raises(kind) as caught:
                call()
            assert f"is it at this store ({running.endpoint_url})?" in str(caught.value)
            assert "nowhere" == caught.value.bucket


def test_what_is_no_mistake_of_a_setting_has_no_advice(running: Server) -> None:
    """A missing object is as short an error as it was."""
    with running.session("bucket") as session:
        for verb in (session.get_object, session.head_object):
            with pytest.raises(NotFound) as caught:
                verb("missing")
            assert "" == caught.value.advice
        with pytest.raises(NoSuchKey):
            session.get_object("missing")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda session: session.put_object("key", b""), "allow the credentials s3:PutObject on the object"),
        (lambda session: session.get_object("key"), "s3:GetObject on the object; without s3:ListBucket"),
        (lambda session: session.head_object("key"), "s3:GetObject on the object; without s3:ListBucket"),
        (lambda session: session.delete_object("key"), "s3:DeleteObject"),
        (lambda session: list(session.list_objects()), "s3:ListBucket on the bucket"),
        (lambda session: session.head_bucket(), "a bucket of somebody else looks the same"),
        (lambda session: session.list_buckets(), "s3:ListAllMyBuckets"),
    ],
)
def test_what_is_denied_names_what_would_allow_it(call: Callable[[S3Session], object], words: str) -> None:
    """AccessDenied says which action a policy has to allow; it is asked for once."""
    recorder = Recorder(lambda request: refused(403, "" if request.method == "HEAD" else "AccessDenied"))
    with recorded(recorder) as session, pytest.raises(AccessDenied) as caught:
        call(session)
    assert words in str(caught.value)
    assert 1 == len(recorder.sent)


def test_who_is_anonymous_is_told_so(running: Server) -> None:
    """Without credentials a private bucket is refused for want of them."""
    with running.session("bucket") as session:
        session.put_object("key", b"")
    anonymous = S3Session(bucket="bucket", endpoint_url=running.endpoint_url, anonymous=True, retries=1)
    with anonymous, pytest.raises(AccessDenied, match="the session is anonymous, and this is not public"):
        anonymous.get_object("key")


def test_advice_travels_and_stays_out_of_the_store_s_words() -> None:
    """A pickled error keeps its advice; `.message` is the store's own."""
    recorder = Recorder(lambda _: refused(403, "AccessDenied"))
    with recorded(recorder) as session, pytest.raises(ServiceError) as caught:
        session.get_object("key")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(caught.value) == str(again)
    assert "no" == again.message
    assert again.advice
    assert "" == S3FuncError("text").advice
