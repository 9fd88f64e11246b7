"""Crew: short-lived threads that carry out the parts of one call, as many at a time as the store tolerates.

Rule 1: no queue. `submit` blocks until a task may begin, so what the producer holds is bounded by what is under way.
Rule 2: the first failure is the failure. It stops the others, and the producer learns of it at its next step.
Rule 3: threads end with the call: whoever leaves the `with` block has waited for every one of them. One that has
        nothing to do ends by itself, so a crew that somebody forgot does not hold the interpreter at its end.
"""

from __future__ import annotations

from collections import deque
from threading import Condition, Event, Lock, RLock, Thread, current_thread
from typing import TYPE_CHECKING, Self

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import S3FuncError, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from s3func.message import Request, Response
    from s3func.transport.client import Authorizer


_IDLE_SECONDS = 1.0


class CrewStopped(Exception):
    """Raised inside a task whose crew was told to stop; nobody outside of the crew ever sees it."""


class AdaptiveLimit:
    """How many requests may be under way: halved when the store asks for fewer, one more per `current` successes.

    Additive increase, multiplicative decrease, the rule by which TCP shares a line. Safe for threads.
    """

    __slots__ = ("_lock", "_successes", "_ticket", "current", "maximum")

    def __init__(self, maximum: int) -> None:
        """Begin with as many as there may ever be: most stores never ask for fewer."""
        if not isinstance(maximum, int) or isinstance(maximum, bool):
            raise TypeError(f"maximum must be an int, not {type(maximum).__name__}")
        if maximum < 1:
            raise ValueError(f"maximum must be at least 1, not {maximum}")
        self.maximum = maximum
        self.current = maximum
        self._successes = 0
        self._ticket = 0
        self._lock = Lock()

    @property
    def ticket(self) -> int:
        """To be taken when a request is sent: it tells refusals of before the last halving from those of after it."""
        return self._ticket

    def slow_down(self, ticket: int | None = None) -> None:
        """Halve, unless the refused request was sent before the last halving: it says nothing about the new number."""
        with self._lock:
            if ticket is not None and ticket != self._ticket:
                return
            self._ticket += 1
            self._successes = 0
            self.current = max(1, self.current // 2)

    def lower(self, maximum: int) -> None:
        """From now on, never more than this (and never less than one)."""
        with self._lock:
            self.maximum = max(1, min(self.maximum, maximum))
            self.current = min(self.current, self.maximum)

    def success(self) -> None:
        """Count a request that was carried out."""
        if self.current == self.maximum:
            return
        with self._lock:
            self._successes += 1
            if self._successes >= self.current < self.maximum:
                self._successes = 0
                self.current += 1


class Crew:
    """Threads for the tasks that one thread, the producer, hands over; a context manager.

    Leaving the block cleanly joins, leaving it by an exception (Ctrl-C as well) cancels; both wait for the threads.
    """

    def __init__(self, limit: int | AdaptiveLimit, *, name: str = "s3func-part") -> None:
        """limit: how many tasks may be under way at a time. name: of the threads, followed by a number."""
        self.limit = limit if isinstance(limit, AdaptiveLimit) else AdaptiveLimit(limit)
        self._name = name
        # An RLock, because a Condition takes it back without being interruptible: with a Lock, Ctrl-C at that moment
        # leaves wait() without the lock, and the `with` around it raises a RuntimeError in place of KeyboardInterrupt.
        self._lock = RLock()
        # The producer waits for room, idle threads wait for tasks.
        self._room = Condition(self._lock)
        self._handed_over = Condition(self._lock)
        self._tasks: deque[Callable[[], None]] = deque()
        self._under_way = 0
        self._idle = 0
        self._threads: list[Thread] = []
        self._started = 0
        self._failure: BaseException | None = None
        self._stopped = Event()
        self._is_over = False

    def wait_for_room(self) -> None:
        """Block until a task could begin at once; raises what submit raises.

        For a producer that has to hold no more than one task's worth beside those that are under way, or nothing.
        """
        with self._lock:
            self._wait_for_room()

    def submit(self, task: Callable[[], None]) -> None:
        """Have a task carried out; blocks while as many as allowed are under way.

        Raises the first failure of any task before this one, or CrewStopped after cancel().
        """
        with self._lock:
            self._wait_for_room()
            self._under_way += 1
            self._tasks.append(task)
            if self._idle >= len(self._tasks):
                self._handed_over.notify()
                return
            self._started += 1
            thread = Thread(target=self._work, name=f"{self._name}-{self._started}")
            # Noted before it starts: an interrupt may come right behind the start.
            self._threads.append(thread)
            try:
                thread.start()
            except RuntimeError:  # no more threads: the system's limit, or an interpreter that is shutting down
                self._threads.remove(thread)
                if self._threads:
                    # One of those that are there takes it when it is free.
                    return
                self._tasks.clear()
            else:
                return
        self._carry_out(task)

    def join(self) -> None:
        """Wait for all tasks; raises the first failure. The crew is over then."""
        with self._lock:
            while self._under_way and not self._stopped.is_set():
                self._room.wait()
        self._end()
        self._raise_failure()
        self.check()

    def stop(self) -> None:
        """Let no task begin any more, and have `check()` raise inside those under way; does not wait for them."""
        self._stopped.set()

    def cancel(self) -> None:
        """Let no task begin any more, have `check()` raise inside those under way, and wait for them."""
        self._stopped.set()
        self._end()

    def check(self) -> None:
        """For tasks, between two steps: raises CrewStopped when there is no point in going on."""
        if self._stopped.is_set():
            raise CrewStopped

    def wait(self, seconds: float) -> None:
        """Sleep as a task does: CrewStopped ends it early."""
        if self._stopped.wait(seconds):
            raise CrewStopped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.cancel()
            if isinstance(error, CrewStopped):
                # The producer asked check(): what stopped the crew is the reason.
                self._raise_failure()
            return
        try:
            self.join()
        except BaseException:
            # An interrupt while waiting; a failure has stopped the others already, and this finds nobody.
            self.cancel()
            raise

    def _wait_for_room(self) -> None:
        while self._under_way >= self.limit.current and not self._stopped.is_set():
            self._room.wait()
        self._raise_failure()
        self.check()
        if self._is_over:
            raise RuntimeError("this crew has been joined: it takes no more tasks")

    def _raise_failure(self) -> None:
        failure = self._failure
        if failure is not None:
            try:
                raise failure
            finally:
                # Its traceback holds this frame, which would hold it: a circle with the buffers of all tasks in it.
                del failure

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
            self._room.notify_all()
            self._handed_over.notify_all()
            threads = list(self._threads)
        for thread in threads:
            if thread.ident is not None and thread is not current_thread():
                thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
                while not self._tasks and not self._is_over:
                    if not self._handed_over.wait(_IDLE_SECONDS):
                        break
                self._idle -= 1
                if not self._tasks:
                    self._threads.remove(current_thread())
                    return
                task = self._tasks.popleft()
            self._carry_out(task)
            # What a task holds must not outlive it while this thread waits for the next one.
            del task

    def _carry_out(self, task: Callable[[], None]) -> None:
        failure: BaseException | None = None
        try:
            if not self._stopped.is_set():
                task()
                self.limit.success()
        except CrewStopped as stopped:
            # While this crew is at work, another one around it was stopped: the task is not done.
            failure = None if self._stopped.is_set() else stopped
        except BaseException as error:  # noqa: BLE001 -- raised again in the thread that submitted it
            failure = error
        with self._lock:
            self._under_way -= 1
            if failure is not None:
                if self._failure is None and not self._stopped.is_set():
                    self._failure = failure
                self._stopped.set()
            self._room.notify_all()
        del failure


class CrewClock:
    """A Clock whose sleep ends when the crew is stopped, so that a long wait before a retry does not outlive the call."""

    def __init__(self, clock: Clock, crew: Crew) -> None:
        self.now = clock.now
        self.monotonic = clock.monotonic
        self._clock = clock
        self._crew = crew

    def sleep(self, seconds: float) -> None:
        """Wait, or CrewStopped."""
        if self._clock is SYSTEM_CLOCK:
            self._crew.wait(seconds)
        else:
            self._clock.sleep(seconds)
            self._crew.check()


class PacedAuthorizer:
    """An Authorizer around another, for one request of a crew: it begins no attempt of a stopped crew, and tells the
    limit of every answer that asks for fewer requests.
    """

    __slots__ = ("_crew", "_inner", "_ticket")

    def __init__(self, inner: Authorizer, crew: Crew) -> None:
        self._inner = inner
        self._crew = crew
        self._ticket = 0

    def authorize(self, request: Request) -> None:
        """As the inner one does, unless the crew was stopped."""
        self._crew.check()
        self._ticket = self._crew.limit.ticket
        self._inner.authorize(request)

    def about(self, request: Request) -> tuple[str | None, str | None]:
        """As the inner one says."""
        return self._inner.about(request)

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        """As the inner one says; a Throttled halves the limit."""
        error = self._inner.refusal(request, response)
        if isinstance(error, Throttled):
            self._crew.limit.slow_down(self._ticket)
        return error

    def operation(self, request: Request) -> str:
        """As the inner one says, if it has names."""
        named = getattr(self._inner, "operation", None)
        return request.method if named is None else str(named(request))

    def renew(self, request: Request, error: S3FuncError) -> bool:
        """As the inner one does."""
        return self._inner.renew(request, error)
