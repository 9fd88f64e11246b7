"""The send loop alone: a transport and an authorizer that do what a table says, and no socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from s3func.errors import (
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    S3FuncError,
    ServerError,
    Throttled,
    service_error,
)
from s3func.message import Request, Response
from s3func.transport.client import Client
from s3func.transport.retry import RetryPolicy
from tests.faults.clock import FakeClock

OK = Response(200, {}, b"body")
DOWN = Response(503, {}, b"")


class Table:
    """A transport that answers row by row; a row may be an error."""

    def __init__(self, *rows: Response | BaseException) -> None:
        self.rows = list(rows)
        self.bodies: list[bytes] = []
        self.closed = 0

    def __call__(self, request: Request) -> Response:
        body = request.body
        self.bodies.append(body if isinstance(body, bytes) else b"".join(bytes(block) for block in body.blocks()))  # type: ignore[union-attr]
        row = self.rows.pop(0)
        if isinstance(row, BaseException):
            raise row
        return row

    def close(self) -> None:
        self.closed += 1


class Fake:
    """An authorizer that counts, and mends as often as it is told to."""

    def __init__(self, renewals: int = 0) -> None:
        self.authorized = 0
        self.renewals = renewals

    def authorize(self, request: Request) -> None:
        self.authorized += 1
        request.headers["authorization"] = str(self.authorized)

    def about(self, request: Request) -> tuple[str | None, str | None]:
        return "bucket", "key"

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        return service_error("SlowDown" if response.status == 503 else "NoSuchKey", status=response.status)

    def renew(self, request: Request, error: S3FuncError) -> bool:
        self.renewals -= 1
        return self.renewals >= 0


class Once:
    """A body that cannot be sent again."""

    length = 4
    replayable = False

    def blocks(self) -> Iterator[bytes]:
        yield b"once"


def read(request: Request, response: Response) -> bytes:
    return response.read()


def request(body: Any = b"", method: str = "PUT") -> Request:
    return Request(method, "http://host", "/bucket/key", "", {}, body)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_each_attempt_is_authorized(clock: FakeClock) -> None:
    """The authorizer is asked before every attempt, and the result is what parse made of the last answer."""
    fake, table = Fake(), Table(DOWN, ConnectError("x"), OK)
    assert b"body" == Client(table, clock=clock).send(request(b"sent"), fake, read)
    assert 3 == fake.authorized
    assert [b"sent"] * 3 == table.bodies
    assert 2 == len(clock.slept)


@pytest.mark.parametrize("row", [DOWN, ConnectionLost("x"), OK])
def test_a_body_that_cannot_be_sent_again(clock: FakeClock, row: Response | BaseException) -> None:
    """Nothing that has such a body is ever repeated, whoever would like to: retries, healing, a stale connection."""
    if isinstance(row, ConnectionLost):
        row.stale_connection = True

    def parse(request: Request, response: Response) -> None:
        raise ProtocolError("no document")

    table = Table(row)
    with pytest.raises(S3FuncError) as caught:
        Client(table, clock=clock).send(request(Once()), Fake(renewals=9), parse)
    assert [b"once"] == table.bodies
    assert 1 == caught.value.attempts
    assert [] == clock.slept


def test_renewals_are_not_attempts(clock: FakeClock) -> None:
    """What the authorizer mends is asked again at once and not counted, three times at most."""
    fake, table = Fake(renewals=99), Table(*[Response(404, {}, b"")] * 4)
    with pytest.raises(S3FuncError) as caught:
        Client(table, RetryPolicy(attempts=1), clock=clock).send(request(), fake, read)
    assert 1 == caught.value.attempts
    assert 4 == fake.authorized
    assert [] == clock.slept


def test_stale_connections_are_not_attempts(clock: FakeClock) -> None:
    """Stale connections are free, three times at most in one call; after that they count like any other."""
    rows = []
    for _ in range(5):
        error = ConnectionLost("x")
        error.stale_connection = True
        rows.append(error)
    table = Table(*rows)
    with pytest.raises(ConnectionLost) as caught:
        Client(table, RetryPolicy(attempts=2), clock=clock).send(request(), Fake(), read)
    assert 2 == caught.value.attempts
    assert 5 == len(table.bodies)
    assert 1 == len(clock.slept)


def test_what_parse_raises_is_judged_like_a_refusal(clock: FakeClock) -> None:
    """A failure inside a success is tried again like one with its own status, and counted."""
    found = iter([service_error("InternalError", status=200), ProtocolError("cut"), None])

    def parse(request: Request, response: Response) -> str:
        if (error := next(found)) is not None:
            raise error
        return "parsed"

    assert "parsed" == Client(Table(OK, OK, OK), clock=clock).send(request(), Fake(), parse)
    assert 2 == len(clock.slept)


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_what_is_no_error_of_ours_is_not_retried(clock: FakeClock, error: BaseException) -> None:
    """Bugs, interrupts and the like go to the caller as they are."""
    with pytest.raises(type(error)):
        Client(Table(error), clock=clock).send(request(), Fake(), read)
    assert [] == clock.slept


def test_the_error_names_what_it_is_about(clock: FakeClock) -> None:
    """Bucket and key come from the authorizer, unless the error knows better."""
    with pytest.raises(Throttled) as caught:
        Client(Table(DOWN), RetryPolicy(attempts=1), clock=clock).send(request(), Fake(), read)
    assert ("bucket", "key") == (caught.value.bucket, caught.value.key)
    known = service_error("NoSuchKey", bucket="another", key="one")
    with pytest.raises(S3FuncError) as raised:
        Client(Table(known), clock=clock).send(request(), Fake(), read)
    assert ("another", "one") == (raised.value.bucket, raised.value.key)


def test_a_deadline_that_is_set_already_stays(clock: FakeClock) -> None:
    """A request that brings its own deadline keeps it."""
    sent = request()
    sent.deadline = clock.monotonic() + 1.0
    error = service_error("SlowDown", headers={"retry-after": "2"})
    with pytest.raises(DeadlineExceeded) as caught:
        Client(Table(error), total_seconds=1000.0, clock=clock).send(sent, Fake(), read)
    assert error is caught.value.__cause__
    assert ("bucket", "key", 1) == (caught.value.bucket, caught.value.key, caught.value.attempts)


def test_a_deadline_costs_no_quota(clock: FakeClock) -> None:
    """A wait that the total limit forbids is no retry, so the session's quota is not charged for it."""
    client = Client(Table(*[DOWN] * 4, OK), RetryPolicy(attempts=2, base_seconds=9, quota=5), clock=clock)
    for _ in range(3):
        late = request()
        late.deadline = clock.monotonic()
        with pytest.raises(DeadlineExceeded):
            client.send(late, Fake(), read)
    assert b"body" == client.send(request(), Fake(), read)


def test_a_failure_that_may_have_been_applied_is_remembered(clock: FakeClock) -> None:
    """Once an outcome is unknown it stays so, whatever later attempts say."""
    table = Table(ConnectionLostAfterSending("x"), DOWN, Response(404, {}, b""))
    with pytest.raises(S3FuncError) as caught:
        Client(table, clock=clock).send(request(), Fake(), read)
    assert caught.value.maybe_applied
    table = Table(ConnectError("x"), DOWN, Response(404, {}, b""))
    with pytest.raises(S3FuncError) as caught:
        Client(table, clock=clock).send(request(), Fake(), read)
    assert not caught.value.maybe_applied


class ConnectionLostAfterSending(ConnectionLost):
    """What the pool makes of a connection that broke."""

    maybe_applied = True


def test_the_last_error_is_raised(clock: FakeClock) -> None:
    """When all attempts failed, the error is that of the last one."""
    last = ServerError("the last")
    table = Table(DOWN, ConnectionLost("x"), last)
    with pytest.raises(ServerError) as caught:
        Client(table, RetryPolicy(attempts=3), clock=clock).send(request(), Fake(), read)
    assert last is caught.value
    assert 3 == last.attempts


def test_closing_closes_the_transport() -> None:
    """The client's close is its transport's."""
    table = Table()
    Client(table).close()
    assert 1 == table.closed
