from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from threading import Barrier, Event, Lock

import pytest

from s3func.clock import SYSTEM_CLOCK
from s3func.errors import NoSuchKey, S3FuncError, Throttled
from s3func.message import Request, Response
from s3func.transport import parallel
from s3func.transport.parallel import AdaptiveLimit, Crew, CrewClock, CrewStopped, PacedAuthorizer

PATIENCE = 10.0


class Failure(Exception):
    """What a task of these tests raises."""


def raising(error: BaseException) -> Callable[[], None]:
    """A task that fails."""

    def task() -> None:
        raise error

    return task


def crew_threads() -> int:
    """Threads of any crew that are alive."""
    return sum(thread.name.startswith("s3func-part") for thread in threading.enumerate())


def test_every_task_is_carried_out_once() -> None:
    """Leaving the block waits for all tasks, and none of them is lost or done twice."""
    done: list[int] = []
    with Crew(3) as crew:
        for number in range(200):
            crew.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    assert list(range(200)) == sorted(done)
    assert 0 == crew_threads()


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_no_more_tasks_are_under_way_than_allowed(limit: int) -> None:
    """As many as the limit are under way at a time, and never one more: submit blocks."""
    lock = Lock()
    under_way = most = 0
    full = Barrier(limit)

    def task() -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        full.wait(PATIENCE)
        with lock:
            under_way -= 1

    with Crew(limit) as crew:
        for _ in range(limit * 10):
            crew.submit(task)
    assert limit == most


def test_threads_are_started_as_they_are_needed() -> None:
    """One task needs one thread, however many there could be."""
    names: set[str] = set()
    with Crew(10, name="s3func-part") as crew:
        crew.submit(lambda: names.add(threading.current_thread().name))
    assert {"s3func-part-1"} == names


def test_the_first_failure_is_raised_by_the_next_submit() -> None:
    """The producer learns of a failure when it comes with the next task, which is not begun."""
    begun: list[int] = []
    failed = Event()

    def fail() -> None:
        try:
            raise Failure("first")
        finally:
            failed.set()

    def later() -> None:
        begun.append(1)

    with pytest.raises(Failure, match="first"), Crew(1) as crew:
        crew.submit(fail)
        assert failed.wait(PATIENCE)
        crew.submit(later)
    assert [] == begun
    assert 0 == crew_threads()


def test_a_failure_stops_the_others() -> None:
    """check() raises inside the tasks that are under way, and what they raise then hides nothing."""
    begun = Event()
    stopped: list[bool] = []

    def long() -> None:
        begun.set()
        try:
            crew.wait(PATIENCE)
        except CrewStopped:
            stopped.append(True)
            raise

    def fail() -> None:
        begun.wait(PATIENCE)
        raise Failure("the reason")

    with pytest.raises(Failure, match="the reason"), Crew(2) as crew:
        crew.submit(long)
        crew.submit(fail)
    assert [True] == stopped


def test_join_raises_the_failure() -> None:
    """A failure of the last task is not lost."""
    crew = Crew(2)
    crew.submit(raising(Failure("last")))
    with pytest.raises(Failure, match="last"):
        crew.join()
    with pytest.raises(Failure, match="last"):
        crew.submit(lambda: None)
    assert 0 == crew_threads()


def test_an_exception_of_the_producer_cancels() -> None:
    """What the producer raises comes out, tasks under way are stopped and waited for."""
    begun, ended = Event(), Event()

    def task() -> None:
        begun.set()
        try:
            while True:
                crew.wait(0.001)
        finally:
            ended.set()

    with pytest.raises(Failure, match="the producer's"), Crew(2) as crew:
        crew.submit(task)
        assert begun.wait(PATIENCE)
        raise Failure("the producer's")
    assert ended.is_set()
    assert 0 == crew_threads()


def test_a_failure_found_by_check_comes_out_as_itself() -> None:
    """A producer that asks check() between two tasks raises what the task raised."""
    crew = Crew(1)
    with pytest.raises(Failure, match="the task's"), crew:
        crew.submit(raising(Failure("the task's")))
        crew.wait(PATIENCE)
    assert 0 == crew_threads()


@pytest.mark.parametrize("place", ["submit", "join"])
def test_an_interrupt_while_waiting_ends_everything(place: str) -> None:
    """Ctrl-C in the producer, waiting for room or for the end, stops the tasks and waits for their threads."""
    main = threading.main_thread().ident
    assert main is not None

    def interrupted() -> None:
        signal.pthread_kill(main, signal.SIGINT)
        crew.wait(PATIENCE)

    with pytest.raises(KeyboardInterrupt), Crew(1) as crew:
        crew.submit(interrupted)
        if place == "submit":
            crew.submit(lambda: None)
    assert 0 == crew_threads()


def test_a_crew_that_is_over_takes_nothing() -> None:
    """After join() and after cancel() no task is accepted."""
    with Crew(1) as crew:
        crew.submit(lambda: None)
    with pytest.raises(RuntimeError, match="joined"):
        crew.submit(lambda: None)
    crew = Crew(1)
    crew.cancel()
    with pytest.raises(CrewStopped):
        crew.submit(lambda: None)


def test_the_stop_of_another_crew_is_a_failure() -> None:
    """A task that ends because a crew around it was stopped is not done: nobody may go on as if it were."""
    outer = Crew(1)
    outer.stop()
    with pytest.raises(CrewStopped), Crew(2) as crew:
        crew.submit(outer.check)


def test_stop_does_not_wait() -> None:
    """A producer that has to wake its tasks itself stops the crew first, and waits when it leaves the block."""
    woken = Event()

    def task() -> None:
        woken.wait(PATIENCE)
        crew.check()

    with pytest.raises(Failure), Crew(1) as crew:
        crew.submit(task)
        crew.stop()
        woken.set()
        raise Failure
    assert 0 == crew_threads()


def test_room_is_waited_for() -> None:
    """wait_for_room returns once a task could begin at once, and raises what submit would raise."""
    released = Event()
    with Crew(1) as crew:
        crew.wait_for_room()
        crew.submit(released.wait)  # type: ignore[arg-type]
        released.set()
        crew.wait_for_room()
        assert 0 == crew._under_way
    crew = Crew(1)
    crew.submit(raising(Failure("first")))
    with pytest.raises(Failure, match="first"):
        crew.wait_for_room()
    crew.cancel()


def test_an_idle_thread_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crew that nobody ends holds nothing: its threads go when there is nothing to do, and new ones come."""
    monkeypatch.setattr(parallel, "_IDLE_SECONDS", 0.01)
    crew = Crew(2)
    done: list[str] = []
    for number in (1, 2):
        crew.submit(lambda: done.append(threading.current_thread().name))
        deadline = time.monotonic() + PATIENCE
        while (crew_threads() or len(done) < number) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert 0 == crew_threads()
    assert ["s3func-part-1", "s3func-part-2"] == done
    crew.join()


def test_the_maximum_can_be_lowered() -> None:
    """Never more than the lower number from then on, and never less than one."""
    limit = AdaptiveLimit(8)
    limit.lower(3)
    assert (3, 3) == (limit.current, limit.maximum)
    limit.lower(5)
    assert 3 == limit.maximum
    limit.lower(0)
    assert (1, 1) == (limit.current, limit.maximum)


def test_without_new_threads_the_work_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no thread, the producer carries out its tasks itself."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[str] = []
    with Crew(4) as crew:
        for _ in range(3):
            crew.submit(lambda: done.append(threading.current_thread().name))
    assert ["MainThread"] * 3 == done


def test_a_task_is_let_go_when_it_is_done() -> None:
    """What a finished task held is free while the crew goes on."""
    freed = Event()

    class Held:
        def __del__(self) -> None:
            freed.set()

        def __call__(self) -> None:
            """Nothing."""

    with Crew(1) as crew:
        crew.submit(Held())
        assert freed.wait(PATIENCE)


def test_the_limit_is_halved_and_grows_by_one() -> None:
    """A refusal halves, never below one; as many successes as there are under way add one, up to the maximum."""
    limit = AdaptiveLimit(10)
    limit.slow_down()
    assert 5 == limit.current
    for _ in range(5):
        limit.success()
    assert 6 == limit.current
    for _ in range(100):
        limit.success()
    assert 10 == limit.current
    for _ in range(10):
        limit.slow_down()
    assert 1 == limit.current


def test_refusals_of_one_round_halve_once() -> None:
    """Ten requests that were refused together halve once; those that were sent before say nothing about the new number."""
    limit = AdaptiveLimit(16)
    tickets = [limit.ticket for _ in range(10)]
    for ticket in tickets:
        limit.slow_down(ticket)
    assert 8 == limit.current
    limit.slow_down(limit.ticket)
    assert 4 == limit.current


@pytest.mark.parametrize("maximum", [0, -1])
def test_a_limit_below_one_is_refused(maximum: int) -> None:
    """Nothing could ever be under way."""
    with pytest.raises(ValueError, match="maximum"):
        AdaptiveLimit(maximum)
    with pytest.raises(TypeError, match="maximum"):
        AdaptiveLimit(True)


def test_a_halved_limit_holds_the_producer_back() -> None:
    """Once the limit is halved, no more than that many tasks are begun."""
    limit = AdaptiveLimit(4)
    limit.slow_down()
    lock = Lock()
    under_way = most = 0

    def task() -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        crew.wait(0.001)
        with lock:
            under_way -= 1
        # Every second success would add one.
        limit.slow_down()

    with Crew(limit) as crew:
        for _ in range(20):
            crew.submit(task)
    assert most <= 2


class Refusing:
    """An Authorizer that counts what it is asked, and calls every refusal the same."""

    def __init__(self, error: S3FuncError) -> None:
        self.error = error
        self.authorized = 0

    def authorize(self, request: Request) -> None:
        """Count."""
        self.authorized += 1

    def about(self, request: Request) -> tuple[str | None, str | None]:
        """A bucket and a key."""
        return "bucket", "key"

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        """The error."""
        return self.error

    def renew(self, request: Request, error: S3FuncError) -> bool:
        """Yes."""
        return True


REQUEST = Request("PUT", "http://localhost", "/bucket/key", "", {})


def test_an_answer_that_asks_for_fewer_halves_the_limit() -> None:
    """Throttled halves, and nothing else does; the rest is left to the authorizer below."""
    crew = Crew(8)
    inner = Refusing(NoSuchKey("x"))
    paced = PacedAuthorizer(inner, crew)
    paced.authorize(REQUEST)
    assert inner.error is paced.refusal(REQUEST, Response(404, {}))
    assert (8, 1) == (crew.limit.current, inner.authorized)
    inner.error = Throttled("x")
    paced.refusal(REQUEST, Response(503, {}))
    assert 4 == crew.limit.current
    assert ("bucket", "key") == paced.about(REQUEST)
    assert paced.renew(REQUEST, inner.error)


def test_a_stopped_crew_makes_no_further_attempt() -> None:
    """A request that was to be sent again is not, once the crew was told to stop."""
    crew = Crew(8)
    inner = Refusing(Throttled("x"))
    crew.cancel()
    with pytest.raises(CrewStopped):
        PacedAuthorizer(inner, crew).authorize(REQUEST)
    assert 0 == inner.authorized


def test_a_wait_before_a_retry_ends_with_the_crew() -> None:
    """The crew's clock does not sleep on when there is nothing left to wait for."""
    crew = Crew(1)
    clock = CrewClock(SYSTEM_CLOCK, crew)
    clock.sleep(0.001)
    crew.cancel()
    with pytest.raises(CrewStopped):
        clock.sleep(3600)
