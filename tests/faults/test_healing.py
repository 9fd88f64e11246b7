from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from threading import Barrier, Thread

import pytest

from s3func import S3Session
from s3func.errors import AccessDenied, InvalidCredentials, InvalidRequest, Redirected, RequestTimeTooSkewed
from s3func.s3.credentials import Credentials
from s3func.transport.pool import Pool
from s3func.wire import sigv4
from tests.faults.clock import START, FakeClock
from tests.faults.conftest import KEY_ID, SECRET, Connect, Serve
from tests.faults.scripted import Exchange, answer, refusal
from tests.faults.signatures import is_signed

MINUTE = 60.0
HOUR = 3600.0


def in_threads(count: int, call: Callable[[], object]) -> list[object]:
    """What each of so many threads got from the call: its result, or its exception."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            results.append(error)

    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# --- the region


def region_of(exchange: Exchange) -> str:
    """The region that the request is signed for."""
    return exchange.headers["authorization"].split("/")[2]


MOVED: dict[str, Callable[[str], bytes]] = {
    "301, header": lambda region: refusal(301, "PermanentRedirect", x_amz_bucket_region=region),
    "301, element": lambda region: refusal(301, "PermanentRedirect", Region=region),
    "400, element": lambda region: refusal(400, "AuthorizationHeaderMalformed", Region=region),
    "400, header": lambda region: refusal(400, "IllegalLocationConstraintException", x_amz_bucket_region=region),
    "307": lambda region: refusal(
        307, "TemporaryRedirect", location="http://elsewhere.invalid/", x_amz_bucket_region=region
    ),
    "308": lambda region: refusal(308, "PermanentRedirect", x_amz_bucket_region=region),
}


def regional(region: str, moved: Callable[[str], bytes]) -> Callable[[Exchange], None]:
    """A server that serves requests for one region and tells others where to go."""

    def step(exchange: Exchange) -> None:
        body = exchange.read_body()
        data = answer(200, body) if region_of(exchange) == region else moved(region)
        if exchange.method == "HEAD":
            data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        exchange.send(data)

    return step


@pytest.mark.parametrize("moved", MOVED.values(), ids=MOVED)
def test_the_region_is_learned(serve: Serve, connect: Connect, clock: FakeClock, moved: Callable[[str], bytes]) -> None:
    """A refusal that names the bucket's region is answered by the same request signed for it; the next is right at once."""
    server = serve(always=regional("eu-west-1", moved))
    session = connect(server, retries=1)
    session.put_object("key", b"body")
    session.get_object("key")
    assert ["us-east-1", "eu-west-1", "eu-west-1"] == [region_of(exchange) for exchange in server.requests]
    assert all(is_signed(exchange, KEY_ID, SECRET, region="eu-west-1") for exchange in server.requests[1:])
    assert [b"body", b"body"] == [exchange.body for exchange in server.requests[:2]]
    assert [] == clock.slept
    assert "us-east-1" == session.region


@pytest.mark.parametrize("status", [301, 400, 403, 307])
def test_the_region_is_learned_from_a_head(serve: Serve, connect: Connect, status: int) -> None:
    """A HEAD has no document, but the header is enough."""
    server = serve(always=regional("eu-west-1", lambda region: answer(status, x_amz_bucket_region=region)))
    connect(server, retries=1).head_object("key")
    assert ["us-east-1", "eu-west-1"] == [region_of(exchange) for exchange in server.requests]


def test_each_bucket_has_its_region(serve: Serve, connect: Connect) -> None:
    """What is learned of one bucket is not taken for another."""
    server = serve(always=regional("eu-west-1", MOVED["301, header"]))
    session = connect(server, retries=1)
    session.head_object("key", bucket="one")
    session.head_object("key", bucket="two")
    assert ["us-east-1", "eu-west-1"] * 2 == [region_of(exchange) for exchange in server.requests]


def test_all_threads_learn_the_region(serve: Serve, connect: Connect) -> None:
    """Requests that were under way together all go to the new region, whoever learned of it first."""
    together = Barrier(16, timeout=30)
    serve_region = regional("eu-west-1", MOVED["301, header"])

    def step(exchange: Exchange) -> None:
        if region_of(exchange) != "eu-west-1":
            together.wait()
        serve_region(exchange)

    session = connect(serve(always=step), retries=1)
    assert [b"body"] * 16 == in_threads(16, lambda: session.request("PUT", "key", body=b"body").read())


def test_a_region_that_does_not_help(serve: Serve, connect: Connect) -> None:
    """A server that sends us on for ever, or back to where we are, ends in the refusal itself."""
    turns = iter(["eu-west-1", "us-east-1"] * 10)
    server = serve(always=lambda exchange: exchange.send(MOVED["301, header"](next(turns))))
    with pytest.raises(Redirected) as caught:
        connect(server, retries=1).get_object("key")
    assert 301 == caught.value.status
    assert len(server.requests) <= 4
    server = serve(MOVED["301, header"]("us-east-1"))
    with pytest.raises(Redirected):
        connect(server, retries=1).get_object("key")


@pytest.mark.parametrize(
    "region", ["", "evil.example/", "eu-west-1.evil.example", "a b", "eu\tx", "é", "-", "..", "x" * 100, "a@b", "a/b"]
)
def test_what_is_no_region(serve: Serve, connect: Connect, region: str) -> None:
    """Nothing that could name another host, or break a signature, is taken for a region."""
    server = serve(refusal(301, "PermanentRedirect", x_amz_bucket_region=region.encode().decode("latin-1")))
    with pytest.raises(Redirected):
        connect(server).get_object("key")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("elements", [{}, {"Endpoint": "127.0.0.1"}])
def test_a_redirect_is_never_followed(serve: Serve, connect: Connect, status: int, elements: dict[str, str]) -> None:
    """A Location, wherever it points, is not followed: our signature and our token stay where they belong."""
    foreign = serve()
    location = f"{foreign.url}/bucket/key"
    server = serve(refusal(status, "Redirect", location=location, **elements))
    with pytest.raises(Redirected) as caught:
        connect(server, session_token="token").put_object("key", b"body")
    assert location == caught.value.headers["location"]
    assert 0 == foreign.accepted


# --- AWS itself, where the region is a part of the host


class Amazon:
    """One scripted server behind every host of amazonaws.com: only the bucket's own region serves it."""

    def __init__(self, serve: Serve, monkeypatch: pytest.MonkeyPatch, region: str = "eu-west-1") -> None:
        self.region = region
        self.hosts: list[str] = []
        self.server = serve(always=self.step)

        def connect(_pool: Pool, host: str, port: int, timeout: float | None) -> socket.socket:
            self.hosts.append(host)
            return socket.create_connection(("127.0.0.1", self.server.port), timeout)

        monkeypatch.setattr(Pool, "_connect_tls", connect)

    def step(self, exchange: Exchange) -> None:
        """Serve what is signed for the bucket's region and sent to it; send on everything else."""
        body = exchange.read_body()
        here = exchange.headers["host"] == f"bucket.s3.{self.region}.amazonaws.com"
        if here and region_of(exchange) == self.region:
            exchange.send(answer(200, body))
        else:
            exchange.send(refusal(301, "PermanentRedirect", x_amz_bucket_region=self.region))


def test_the_host_of_the_region(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """On AWS the request goes to the host of the bucket's region, with that host in its signature."""
    amazon = Amazon(serve, monkeypatch)
    with S3Session(KEY_ID, SECRET, "bucket", region="us-east-1", clock=FakeClock()) as session:
        session.put_object("key", b"body")
        session.put_object("key", b"body")
    assert ["bucket.s3.us-east-1.amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com"] == amazon.hosts
    assert all(is_signed(exchange, KEY_ID, SECRET, region="eu-west-1") for exchange in amazon.server.requests[1:])


def test_a_request_that_was_built_before_the_region_was_learned(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that was being prepared while another one learned the region goes to the new host as well."""
    amazon = Amazon(serve, monkeypatch)
    with S3Session(KEY_ID, SECRET, "bucket", region="us-east-1", clock=FakeClock(), retries=1) as session:

        class Slow:
            """A body whose first reading, for the checksum, takes as long as another request does."""

            left = b"body"

            def read(self, size: int) -> bytes:
                session.get_object("key").close()
                self.left, block = b"", self.left
                return block

        assert 200 == session.put_object("key", Slow()).status
    assert b"body" == amazon.server.requests[-1].body


def test_a_signature_that_was_begun_before_the_region_was_learned(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one request was being signed with is not kept when another one has learned the region meanwhile."""
    make_key = sigv4.signing_key
    begun: list[str] = []

    def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
        if not begun:
            begun.append(region)
            session.head_object("other")
        return make_key(secret, day, region, service)

    monkeypatch.setattr(sigv4, "signing_key", signing_key)
    server = serve(always=regional("eu-west-1", MOVED["301, header"]))
    session = connect(server, retries=1)
    session.head_object("key")
    session.head_object("key")
    other, key = ["us-east-1", "eu-west-1"], ["us-east-1", "eu-west-1"]
    assert [*other, *key, "eu-west-1"] == [region_of(exchange) for exchange in server.requests]


# --- the clock


def store_time(now: float, *, says: str = "RequestTimeTooSkewed", status: int = 403) -> Callable[[Exchange], None]:
    """A server at this time of day: whatever was signed more than 15 minutes from it is refused."""

    def step(exchange: Exchange) -> None:
        exchange.read_body()
        signed = datetime.strptime(exchange.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        date = formatdate(now, usegmt=True)
        if abs(signed - now) <= 15 * MINUTE:
            exchange.send(answer(200, date=date))
        elif exchange.method == "HEAD":
            exchange.send(answer(status, date=date))
        else:
            exchange.send(refusal(status, says, date=date))

    return step


@pytest.mark.parametrize("skew", [-30 * MINUTE, 30 * MINUTE, 400 * 24 * HOUR])
@pytest.mark.parametrize("verb", ["get_object", "head_object"])
def test_the_clock_is_corrected(serve: Serve, connect: Connect, clock: FakeClock, skew: float, verb: str) -> None:
    """A clock that is wrong costs one refusal; then all requests carry the store's time, presigned URLs as well."""
    server = serve(always=store_time(START + skew))
    session = connect(server, retries=1)
    getattr(session, verb)("key")
    getattr(session, verb)("other")
    session.get_object("key", bucket="another")
    assert 4 == len(server.requests)
    assert all(is_signed(exchange, KEY_ID, SECRET) for exchange in server.requests)
    date = datetime.fromtimestamp(START + skew, UTC).strftime("%Y%m%dT%H%M%SZ")
    assert f"X-Amz-Date={date}" in session.presigned_url("GET", "key")
    assert [] == clock.slept


@pytest.mark.parametrize(
    ("says", "status"), [("AccessDenied", 403), ("InvalidRequest", 400), ("SignatureDoesNotMatch", 403)]
)
def test_the_clock_is_corrected_whatever_it_is_called(serve: Serve, connect: Connect, says: str, status: int) -> None:
    """Stores that know no RequestTimeTooSkewed are understood by their Date."""
    server = serve(always=store_time(START + HOUR, says=says, status=status))
    connect(server, retries=1).put_object("key", b"body")
    assert 2 == len(server.requests)


@pytest.mark.parametrize("verb", ["get_object", "head_object"])
@pytest.mark.parametrize("says", ["RequestTimeTooSkewed", "AccessDenied"])
def test_all_threads_correct_the_clock(serve: Serve, connect: Connect, verb: str, says: str) -> None:
    """Requests that were refused together are all sent again, whoever corrected the clock first."""
    together = Barrier(8, timeout=30)
    check = store_time(START + HOUR, says=says)

    def step(exchange: Exchange) -> None:
        if exchange.headers["x-amz-date"] == "20270115T080000Z":
            together.wait()
        check(exchange)

    session = connect(serve(always=step), retries=1)
    results = in_threads(8, lambda: getattr(session, verb)("key").status)
    assert [200] * 8 == results


@pytest.mark.parametrize("verb", ["get_object", "head_object"])
def test_a_refusal_that_is_not_about_the_clock(serve: Serve, connect: Connect, verb: str) -> None:
    """A 403 of a store whose Date is ours is final at once."""
    server = serve(always=answer(403, date=formatdate(START + 60, usegmt=True)))
    with pytest.raises(AccessDenied):
        getattr(connect(server), verb)("key")
    assert 1 == len(server.requests)


@pytest.mark.parametrize("date", ["", "yesterday", "Sat, 99 Nov 2026 10:00:00 GMT", formatdate(START, usegmt=True)])
def test_a_clock_that_cannot_be_corrected(serve: Serve, connect: Connect, date: str) -> None:
    """Without a Date that says otherwise, RequestTimeTooSkewed is final."""
    server = serve(always=refusal(403, "RequestTimeTooSkewed", date=date))
    with pytest.raises(RequestTimeTooSkewed) as caught:
        connect(server).get_object("key")
    assert 1 == len(server.requests) == caught.value.attempts


@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "AccessDenied"])
def test_a_correction_that_does_not_help(serve: Serve, connect: Connect, code: str) -> None:
    """A store that goes on refusing after the clock was corrected is believed: one more request, no loop."""
    server = serve(always=refusal(403, code, date=formatdate(START + HOUR, usegmt=True)))
    with pytest.raises(AccessDenied):
        connect(server).get_object("key")
    assert 2 == len(server.requests)


def test_a_clock_that_is_set_right_again(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """When our own clock is corrected, the next refusal takes the correction back."""
    session = connect(serve(always=store_time(START + HOUR)), retries=1)
    session.get_object("key")
    clock.step(HOUR)
    session.get_object("key")
    session.get_object("key")
    assert "X-Amz-Date=20270115T090000Z" in session.presigned_url("GET", "key")


# --- the credentials


class Provider:
    """Gives one credentials after the other, the last one for ever, and counts how often it is asked."""

    def __init__(self, *credentials: Credentials) -> None:
        self._credentials = list(credentials)
        self.asked = 0

    def __call__(self) -> Credentials:
        self.asked += 1
        return self._credentials.pop(0) if len(self._credentials) > 1 else self._credentials[0]


OLD = Credentials("AKIDOLD", "old", "old-token")
NEW = Credentials("AKIDNEW", "new", "new-token")


def wants_new(exchange: Exchange) -> None:
    """Refuse everybody but NEW, in the way of each method."""
    exchange.read_body()
    if "AKIDNEW" in exchange.headers["authorization"]:
        exchange.send(answer())
    else:
        exchange.send(answer(400) if exchange.method == "HEAD" else refusal(400, "ExpiredToken"))


@pytest.mark.parametrize("verb", ["get_object", "head_object"])
def test_expired_credentials_are_renewed(serve: Serve, connect: Connect, clock: FakeClock, verb: str) -> None:
    """A token that has expired is asked for again, once, and the request goes out with the new one at once."""
    server = serve(always=wants_new)
    provider = Provider(OLD, NEW)
    session = connect(server, credentials=provider, retries=1)
    getattr(session, verb)("key")
    assert is_signed(server.requests[0], "AKIDOLD", "old", token="old-token")
    assert is_signed(server.requests[1], "AKIDNEW", "new", token="new-token")
    assert 2 == len(server.requests)
    assert provider.asked <= 3
    assert [] == clock.slept


def test_new_credentials_without_a_token(serve: Serve, connect: Connect) -> None:
    """The token of the old credentials does not go along with new ones that have none."""
    server = serve(refusal(400, "ExpiredToken"), answer())
    connect(server, credentials=Provider(OLD, Credentials("AKIDNEW", "new")), retries=1).get_object("key")
    assert is_signed(server.requests[1], "AKIDNEW", "new", token=None)


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "TokenRefreshRequired"])
def test_credentials_that_stay_the_same(serve: Serve, connect: Connect, code: str) -> None:
    """When asking again gives the same credentials, the refusal is final."""
    server = serve(refusal(403, code))
    with pytest.raises(InvalidCredentials) as caught:
        connect(server, credentials=Provider(OLD)).get_object("key")
    assert code == caught.value.code
    with pytest.raises(InvalidCredentials):
        connect(serve(refusal(403, code))).get_object("key")


def test_credentials_that_never_help(serve: Serve, connect: Connect) -> None:
    """A provider that always has new credentials, none of which is accepted, does not keep a call going."""
    numbers = iter(range(1000))
    server = serve(always=refusal(400, "ExpiredToken"))
    session = connect(server, credentials=lambda: Credentials(f"AKID{next(numbers)}", "secret", "token"))
    with pytest.raises(InvalidCredentials):
        session.get_object("key")
    assert len(server.requests) <= 4


@pytest.mark.parametrize("verb", ["get_object", "head_object"])
def test_all_threads_renew_the_credentials(serve: Serve, connect: Connect, verb: str) -> None:
    """Requests that were refused together are all sent again, whoever asked for the new credentials first."""
    together = Barrier(8, timeout=30)

    current = [OLD]

    def step(exchange: Exchange) -> None:
        if "AKIDOLD" in exchange.headers["authorization"]:
            together.wait()
            current[0] = NEW
        wants_new(exchange)

    session = connect(serve(always=step), credentials=lambda: current[0], retries=1)
    assert [200] * 8 == in_threads(8, lambda: getattr(session, verb)("key").status)


def test_a_wrong_secret_is_not_renewed(serve: Serve, connect: Connect) -> None:
    """SignatureDoesNotMatch is about the secret or about a bug: asking for it again would only hide it."""
    provider = Provider(OLD, NEW)
    with pytest.raises(InvalidCredentials, match="SignatureDoesNotMatch"):
        connect(serve(refusal(403, "SignatureDoesNotMatch")), credentials=provider).get_object("key")
    assert 1 == provider.asked


def test_a_bad_request_is_not_renewed(serve: Serve, connect: Connect) -> None:
    """Other refusals ask for no new credentials."""
    provider = Provider(OLD, NEW)
    with pytest.raises(InvalidRequest):
        connect(serve(refusal(400, "InvalidArgument")), credentials=provider).get_object("key")
    assert 1 == provider.asked
