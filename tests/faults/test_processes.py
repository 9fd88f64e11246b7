"""What happens to sessions and errors across processes and threads."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from s3func import S3Session, errors
from s3func.errors import S3FuncError, ServiceError, Throttled
from tests.faults.children import CHILD_SECONDS, in_child, needs_fork
from tests.faults.conftest import Connect, Serve
from tests.faults.scripted import Exchange, answer, chunked, eventually, refusal, then_reset

LARGE = bytes(512 * 1024)


def by_process(exchange: Exchange) -> None:
    """Answer with the body of the request, so that an answer to another process would be seen."""
    exchange.send(answer(200, exchange.read_body() or exchange.target.encode()))


def check(session: S3Session, who: str, times: int = 20) -> None:
    """Some calls, each of which must get its own answer."""
    for number in range(times):
        body = f"{who} {number}".encode()
        assert body == session.request("PUT", "key", body=body).read()


@needs_fork
def test_a_child_and_its_parent(serve: Serve, connect: Connect) -> None:
    """After a fork both processes go on with the session, neither on the other's connection."""
    server = serve(always=by_process)
    session = connect(server)
    check(session, "before")
    assert in_child(lambda: check(session, "child"))
    check(session, "parent")
    assert {0, 1} == set(server.connections)
    assert 0 == server.connections[-1]


@needs_fork
def test_a_child_and_its_parent_at_the_same_time(serve: Serve, connect: Connect) -> None:
    """The same while the parent's threads are in the middle of their exchanges."""
    session = connect(serve(always=by_process))
    ended = threading.Event()

    def go_on(who: str) -> None:
        while not ended.is_set():
            check(session, who, 5)

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(go_on, f"thread {number}") for number in range(4)]
        try:
            for number in range(3):
                assert in_child(lambda number=number: check(session, f"child {number}"))  # type: ignore[misc]
        finally:
            ended.set()
        for future in running:
            future.result()


@needs_fork
def test_a_child_that_drops_a_stream(serve: Serve, connect: Connect) -> None:
    """A stream that was open when the process forked is read to its end by the parent, whatever the child does."""

    def in_halves(exchange: Exchange) -> None:
        exchange.send(answer(200, content_length=str(len(LARGE))), LARGE[:1000])
        halfway.wait(CHILD_SECONDS)
        exchange.send(LARGE[1000:])

    halfway = threading.Event()
    session = connect(serve(in_halves, always=by_process))
    result = session.get_object("key")
    assert 1000 == len(result.read(1000))

    def child() -> None:
        result.close()
        check(session, "child")
        session.close()

    assert in_child(child)
    halfway.set()
    assert len(LARGE) - 1000 == len(result.read())


@needs_fork
def test_a_child_that_ends(serve: Serve, connect: Connect) -> None:
    """A child that exits in the usual way, finalizers and all, leaves the parent's connections as they are."""
    server = serve(always=by_process)
    session = connect(server)
    check(session, "before")

    def child() -> None:
        check(session, "child")
        session.close()
        gc.collect()

    assert in_child(child)
    check(session, "parent")
    assert 2 == server.accepted


# --- errors that travel


def instances() -> Iterator[S3FuncError]:
    """One of each class, with everything set that can be."""
    for cls in vars(errors).values():
        if not (isinstance(cls, type) and issubclass(cls, S3FuncError)):
            continue
        if issubclass(cls, ServiceError):
            error: S3FuncError = cls(
                "the message",
                code="TheCode",
                status=499,
                request_id="R",
                host_id="H",
                bucket="bucket",
                key="key",
                headers={"date": "today"},
                details={"Region": "eu-west-1"},
            )
        elif cls is errors.DeleteFailed:
            error = errors.DeleteFailed("the message", [("key", None, "AccessDenied", "no")])
        else:
            error = cls("the message")
        error.bucket, error.key, error.attempts, error.maybe_applied = "bucket", "key", 4, True
        error.stale_connection = True  # type: ignore[attr-defined]
        yield error


@pytest.mark.parametrize("error", list(instances()), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_errors_are_pickled_whole(error: S3FuncError, protocol: int) -> None:
    """An error that crosses a process border has its class, its words and all of its fields."""
    for twin in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):
        assert type(error) is type(twin)
        assert str(error) == str(twin)
        assert repr(error) == repr(twin)
        assert error.args == twin.args
        assert vars(error) == vars(twin)


def test_an_error_as_it_is_raised_is_pickled_whole(serve: Serve, connect: Connect) -> None:
    """The same for one that the store sent and that went through the retries."""
    session = connect(serve(then_reset(), refusal(503, "SlowDown", x_amz_id_2="H9")), retries=2)
    with pytest.raises(Throttled) as caught:
        session.put_object("key", b"body")
    twin = pickle.loads(pickle.dumps(caught.value))
    assert (2, True, "bucket", "key") == (twin.attempts, twin.maybe_applied, twin.bucket, twin.key)
    assert ("SlowDown", 503, "REQ", "HOST") == (twin.code, twin.status, twin.request_id, twin.host_id)
    assert "H9" == twin.headers["x-amz-id-2"]
    assert str(caught.value) == str(twin)


def test_a_session_is_not_pickled(serve: Serve, connect: Connect) -> None:
    """Sessions and open results hold secrets and sockets, so pickling them is refused with a reason."""
    session = connect(serve(answer(200, LARGE)))
    with session.get_object("key") as result:
        for thing in (session, result):
            with pytest.raises(TypeError, match="pickle"):
                pickle.dumps(thing)


# --- threads


def test_threads_and_the_end_of_a_session(serve: Serve, connect: Connect) -> None:
    """Threads that put, get and stream while the session is closed again and again see no error and leave nothing."""

    def step(exchange: Exchange) -> None:
        body = exchange.read_body()
        if exchange.target.endswith("large"):
            exchange.send(answer(200, LARGE))
        elif exchange.target.endswith("chunked"):
            exchange.send(chunked(LARGE, LARGE))
        else:
            exchange.send(answer(200, body))

    server = serve(always=step)
    session = connect(server, retries=1)

    def work(number: int) -> None:
        for _ in range(5):
            check(session, f"thread {number}", 5)
            assert LARGE == session.get_object("large").data
            with session.get_object("large") as unread:
                unread.read(10)
            assert LARGE * 2 == b"".join(session.get_object("chunked"))

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(work, number) for number in range(8)]
        while not all(future.done() for future in running):
            session.close()
            time.sleep(0.001)
        for future in running:
            future.result()
    session.close()
    assert eventually(lambda: server.open_connections() == 0)


def test_a_forgotten_session_closes_its_connections(serve: Serve) -> None:
    """A session that nobody closed lets its connections go with it, and warns of nothing."""
    server = serve(always=by_process)
    session = S3Session("id", "secret", "bucket", server.url, "us-east-1")
    check(session, "only")
    assert 1 == server.open_connections()
    del session
    gc.collect()
    assert eventually(lambda: server.open_connections() == 0)
