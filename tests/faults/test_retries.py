from __future__ import annotations

import random
from threading import Thread

import pytest

from s3func.errors import ConnectionLost, InvalidRange, PreconditionFailed, ServerError, ServiceError, Throttled
from s3func.transport.retry import RetryPolicy
from tests.faults.clock import FakeClock
from tests.faults.conftest import KEY_ID, SECRET, Connect, Serve
from tests.faults.scripted import Exchange, Step, answer, refusal, then_close, then_reset
from tests.faults.signatures import is_signed

HTML = b"<html><body><h1>Bad Gateway</h1></body></html>"


def before_the_body(exchange: Exchange) -> None:
    """Break off as soon as the head has come."""
    exchange.reset()


PASSING = {
    "503 SlowDown": refusal(503, "SlowDown"),
    "503 ServiceUnavailable": refusal(503, "ServiceUnavailable"),
    "503 without a document": answer(503),
    "500 InternalError": refusal(500, "InternalError"),
    "500 HTML": answer(500, HTML, content_type="text/html"),
    "502 HTML": answer(502, HTML, content_type="text/html"),
    "504": answer(504),
    "509": answer(509),
    "520": answer(520, HTML),
    "524": answer(524, HTML),
    "429": answer(429),
    "408": answer(408),
    "400 RequestTimeout": refusal(400, "RequestTimeout"),
    "400 Throttling": refusal(400, "Throttling"),
    "409 OperationAborted": refusal(409, "OperationAborted"),
    "409 ConditionalRequestConflict": refusal(409, "ConditionalRequestConflict"),
    "503 cut": then_close(refusal(503, "SlowDown")[:-20]),
    "reset before the body": before_the_body,
    "reset before the answer": then_reset(),
    "close before the answer": then_close(),
    "reset in the head": then_reset(b"HTTP/1.1 200"),
    "no HTTP": then_close(b"nonsense\r\n\r\n"),
}


def bodiless(step: Step) -> Step:
    """The same answer to a HEAD."""
    return step.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if isinstance(step, bytes) else step


CASES = {f"{verb}, {name}": (verb, step) for verb in ("put", "get", "delete") for name, step in PASSING.items()}
# Without a document a 400 or 409 says nothing of passing.
CASES |= {f"head, {name}": ("head", bodiless(step)) for name, step in PASSING.items() if name[:3] not in {"400", "409"}}


@pytest.mark.parametrize(("verb", "step"), CASES.values(), ids=CASES)
def test_what_passes_is_tried_again(serve: Serve, connect: Connect, clock: FakeClock, step: Step, verb: str) -> None:
    """A failure that may pass is tried again once after one wait, whatever the verb, and the caller sees success."""
    server = serve(step, answer(200, b"body" if verb == "get" else b"", etag='"e"'))
    session = connect(server)
    if verb == "put":
        assert "e" == session.put_object("key", b"body").etag
        assert b"body" == server.requests[1].body
    elif verb == "get":
        assert b"body" == session.get_object("key").data
    elif verb == "head":
        assert "e" == session.head_object("key").etag
    else:
        session.delete_object("key")
    assert 1 == len(clock.slept)


FINAL = {
    "400 InvalidArgument": refusal(400, "InvalidArgument"),
    "400 BadDigest": refusal(400, "BadDigest"),
    "400 without a document": answer(400),
    "401": answer(401),
    "403 AccessDenied": refusal(403, "AccessDenied"),
    "403 SignatureDoesNotMatch": refusal(403, "SignatureDoesNotMatch"),
    "404 NoSuchBucket": refusal(404, "NoSuchBucket"),
    "404 HTML": answer(404, HTML),
    "405": refusal(405, "MethodNotAllowed"),
    "409 BucketNotEmpty": refusal(409, "BucketNotEmpty"),
    "409 BucketAlreadyOwnedByYou": refusal(409, "BucketAlreadyOwnedByYou"),
    "411": refusal(411, "MissingContentLength"),
    "412": refusal(412, "PreconditionFailed"),
    "413": answer(413),
    "416": refusal(416, "InvalidRange"),
    "501": refusal(501, "NotImplemented"),
    "505": answer(505),
}


@pytest.mark.parametrize("data", FINAL.values(), ids=FINAL)
def test_what_stays_is_not_tried_again(serve: Serve, connect: Connect, clock: FakeClock, data: bytes) -> None:
    """A refusal that would only be repeated is raised at once, with the store's own words."""
    with pytest.raises(ServiceError) as caught:
        connect(serve(data)).put_object("key", b"body")
    error = caught.value
    assert int(data[9:12]) == error.status
    assert 1 == error.attempts
    assert not error.maybe_applied
    assert ("bucket", "key") == (error.bucket, error.key)
    assert [] == clock.slept


def test_the_error_counts_the_attempts(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """The last refusal is the one that is raised; it says how many attempts there were, also in words."""
    server = serve(*[refusal(503, "SlowDown")] * 2, refusal(500, "InternalError", "the last one"))
    with pytest.raises(ServerError, match=r"500 InternalError: the last one .*attempts=3") as caught:
        connect(server, retries=3).put_object("key", b"body")
    assert 3 == caught.value.attempts
    assert "REQ" == caught.value.request_id
    assert 2 == len(clock.slept)


def test_one_attempt(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """With retries=1 nothing is tried again."""
    with pytest.raises(Throttled):
        connect(serve(refusal(503, "SlowDown")), retries=1).get_object("key")
    assert [] == clock.slept


@pytest.mark.parametrize("code", ["InternalError", "SlowDown"])
def test_waits_grow(
    serve: Serve, connect: Connect, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Waits are random below a limit that doubles up to the longest wait, and begin longer where it is about load."""
    monkeypatch.setattr(random, "random", lambda: 0.5)
    policy = RetryPolicy(attempts=6, base_seconds=0.1, throttled_base_seconds=2.0, wait_max_seconds=10.0)
    server = serve(always=refusal(500 if code == "InternalError" else 503, code))
    with pytest.raises(ServiceError):
        connect(server, retries=policy).get_object("key")
    expected = [0.05, 0.1, 0.2, 0.4, 0.8] if code == "InternalError" else [1.0, 2.0, 4.0, 5.0, 5.0]
    assert expected == pytest.approx(clock.slept)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"Retry_After": " 7 "}, 7.0),
        ({"retry_after": "60"}, 60.0),
        ({"x_amz_retry_after": "1500"}, 1.5),
        ({"retry_after": "0"}, 0.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 500])
def test_retry_after(
    serve: Serve, connect: Connect, clock: FakeClock, status: int, headers: dict[str, str], seconds: float
) -> None:
    """The wait that the store asks for is the least that is waited."""
    server = serve(answer(status, **headers), answer())
    connect(server, retries=RetryPolicy(base_seconds=0.0, throttled_base_seconds=0.0)).put_object("key", b"body")
    assert [seconds] == clock.slept


@pytest.mark.parametrize("text", ["61", "86400", "9" * 30, "9" * 5000])
def test_a_retry_after_that_is_too_long(serve: Serve, connect: Connect, clock: FakeClock, text: str) -> None:
    """Who is asked to wait longer than retry_after_max_seconds does not: the refusal is raised."""
    with pytest.raises(Throttled):
        connect(serve(answer(503, retry_after=text))).get_object("key")
    assert [] == clock.slept


@pytest.mark.parametrize("text", ["", "soon", "-1", "1e3", "0x10", "²", "Sat, 21 Nov 2026 10:00:00 GMT", "7.5"])
def test_a_retry_after_that_cannot_be_read(serve: Serve, connect: Connect, clock: FakeClock, text: str) -> None:
    """Anything but whole seconds leaves the usual wait."""
    connect(serve(answer(503, retry_after=text), answer())).head_object("key")
    assert 1 == len(clock.slept)
    assert clock.slept[0] <= 1.0


def test_every_attempt_is_signed_afresh(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt carries the time at which it was made and a signature that botocore computes as well."""
    monkeypatch.setattr(random, "random", lambda: 0.5)
    server = serve(*[answer(503, retry_after="30")] * 2, refusal(500, "InternalError"), answer())
    connect(server, retries=RetryPolicy(base_seconds=5.0)).put_object("a//b ü?", b"body", metadata={"m": "v"})
    dates = [exchange.headers["x-amz-date"] for exchange in server.requests]
    assert ["20270115T080000Z", "20270115T080030Z", "20270115T080100Z", "20270115T080110Z"] == dates
    assert all(is_signed(exchange, KEY_ID, SECRET) for exchange in server.requests)
    assert 4 == len({exchange.headers["authorization"] for exchange in server.requests})


def test_a_day_passes_between_attempts(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """An attempt after midnight is signed with the key of the new day."""
    clock.step(16 * 3600 - 1)
    server = serve(answer(503, retry_after="2"), answer())
    connect(server).get_object("key")
    assert ["20270115", "20270116"] == [exchange.headers["x-amz-date"][:8] for exchange in server.requests]
    assert all(is_signed(exchange, KEY_ID, SECRET) for exchange in server.requests)


def test_an_anonymous_attempt_stays_anonymous(serve: Serve, connect: Connect) -> None:
    """An anonymous session signs neither the first attempt nor the second."""
    server = serve(refusal(503, "SlowDown"), answer())
    connect(server, anonymous=True).get_object("key")
    for exchange in server.requests:
        assert not {"authorization", "x-amz-date", "x-amz-security-token"} & exchange.headers.keys()


def test_a_document_is_sent_again(serve: Serve, connect: Connect) -> None:
    """A POST is repeated like everything else, because DeleteObjects can be."""
    deleted = b"<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>"
    server = serve(then_reset(), answer(200, deleted))
    assert ["a"] == [row.key for row in connect(server).delete_objects(["a"])]
    assert server.requests[0].body == server.requests[1].body != b""


# --- the quota


def test_the_quota_runs_out(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """When a session's retries are used up, calls fail at once instead of adding to the load."""
    session = connect(serve(always=refusal(503, "SlowDown")), retries=RetryPolicy(attempts=3, quota=25))
    attempts = []
    for _ in range(4):
        with pytest.raises(Throttled) as caught:
            session.get_object("key")
        attempts.append(caught.value.attempts)
    assert [3, 3, 2, 1] == attempts
    assert 5 == len(clock.slept)


def test_success_pays_the_quota_back(serve: Serve, connect: Connect) -> None:
    """Each call that succeeds at once pays back a fifth of a retry, one that needed retries what the last one cost."""
    down = refusal(503, "SlowDown")
    session = connect(serve(down, down, *[answer()] * 5, down, answer(), down, answer()), retries=RetryPolicy(quota=5))
    with pytest.raises(Throttled) as caught:
        session.get_object("key")
    assert 2 == caught.value.attempts
    for _ in range(5):
        session.get_object("key")
    for _ in range(2):
        session.get_object("key")


def test_threads_share_the_quota(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """However many threads fail together, no more retries are made than the quota has."""
    session = connect(serve(always=refusal(503, "SlowDown")), retries=RetryPolicy(attempts=50, quota=100))

    def fail() -> None:
        with pytest.raises(Throttled):
            session.get_object("key")

    threads = [Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 15 <= len(clock.slept) <= 20


# --- what may have been applied


LOST: dict[str, tuple[Step, bool]] = {
    "reset before the answer": (then_reset(), True),
    "close in the head": (then_close(b"HTTP/1.1 200 OK\r\n"), True),
    "cut answer": (then_close(answer(200, b"x" * 100)[:-1]), True),
    "nonsense": (then_close(b"nonsense\r\n\r\n"), True),
    "500": (refusal(500, "InternalError"), True),
    "502": (answer(502), True),
    "504": (answer(504), True),
    "SlowDown": (refusal(503, "SlowDown"), False),
    "429": (answer(429), False),
    "RequestTimeout": (refusal(400, "RequestTimeout"), False),
}


@pytest.mark.parametrize(("step", "maybe"), LOST.values(), ids=LOST)
def test_a_put_that_meets_itself(serve: Serve, connect: Connect, step: Step, *, maybe: bool) -> None:
    """A 412 behind an attempt whose outcome is unknown may be our own success, and says so; others do not."""
    session = connect(serve(step, refusal(412, "PreconditionFailed")))
    with pytest.raises(PreconditionFailed) as caught:
        session.put_object("key", b"body", if_none_match="*")
    assert maybe == caught.value.maybe_applied == ("may have been applied" in str(caught.value))
    assert 2 == caught.value.attempts


def test_a_read_is_never_applied(serve: Serve, connect: Connect) -> None:
    """Reading changes nothing, so a lost answer leaves no doubt."""
    session = connect(serve(then_reset(), refusal(416, "InvalidRange")))
    with pytest.raises(InvalidRange) as caught:
        session.get_object("key", range_start=100)
    assert not caught.value.maybe_applied
    assert 2 == caught.value.attempts


def test_a_connection_that_is_always_lost(serve: Serve, connect: Connect) -> None:
    """A put whose answers are all lost may have been applied; the get of the same has only failed."""
    for verb, maybe in (("put_object", True), ("get_object", False), ("delete_object", True)):
        session = connect(serve(always=then_reset()), retries=2)
        with pytest.raises(ConnectionLost) as caught:
            getattr(session, verb)("key", *[b"body"] * (verb == "put_object"))
        assert maybe == caught.value.maybe_applied
        assert 2 == caught.value.attempts
