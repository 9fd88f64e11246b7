"""Lane: threads that carry out many small steps, as many at a time as it takes to be busy and no more.

Rule 1: how many threads help is measured. While this process waits more than it computes, there are too few of them;
        when it computes all the time, more would only hand the interpreter's lock to each other.
Rule 2: a store that asks for fewer requests gets half as many, and then one more for every round that goes well.
Rule 3: one step is taken at a time, from a queue that is never long, so that memory and an interrupt cost little.
"""

from __future__ import annotations

import time
from collections import deque
from copy import copy
from threading import Condition, RLock, Thread
from typing import TYPE_CHECKING, Literal, Self

from s3func.download.pacing import paced
from s3func.sync.local import LocalTree
from s3func.sync.transfers import Mover, Outcome, Settings
from s3func.transport.client import Client
from s3func.transport.parallel import AdaptiveLimit, Crew, CrewStopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3func.session import Session
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.keeping import Keeper
    from s3func.sync.operation import Operation
    from s3func.transport.pool import Pool

WORKERS_MAX = 64
_FIRST_WORKERS = 1
_QUEUE_MAX = 1024
_QUEUE_LOW = 512
_LOOK_SECONDS = 0.03
_LARGE_AT_ONCE = 2
_BUSY = 0.8
"""The share of one processor from which on a process of Python is busy."""


class Lane:
    """Carries out steps in threads; used by one thread, the driver. A context manager.

    Leaving the block cleanly, all steps are done; leaving it by an exception, those under way end and no other begins.
    """

    def __init__(
        self,
        maximum: int = WORKERS_MAX,
        *,
        adaptive: bool = True,
        first: int = _FIRST_WORKERS,
        name: str = "s3func-sync",
    ) -> None:
        """maximum: threads. adaptive: find out how many of them help, beginning with `first`; else all are used."""
        self.limit = AdaptiveLimit(maximum)
        self._adaptive = adaptive
        if adaptive:
            self.limit.current = min(first, maximum)
        # Never given a task: it is how requests under way learn of a stop, and how refusals get to the limit.
        self.crew = Crew(self.limit, name=name)
        self._name = name
        self._carry_out: Callable[[Operation], Outcome] | None = None
        self._queue: deque[Operation] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._lock = RLock()
        self._work_there = Condition(self._lock)
        self._room = Condition(self._lock)
        self._idle = 0
        self._busy = 0
        self._is_driver_waiting = False
        self._is_closing = False
        self._is_stopped = False
        self._threads: list[Thread] = []
        self._failure: BaseException | None = None
        self._looked = self._looked_cpu = 0.0

    def begin(self, carry_out: Callable[[Operation], Outcome]) -> None:
        """Say what a step is; before the first one."""
        self._carry_out = carry_out

    def put(self, operation: Operation) -> None:
        """Have a step carried out; waits while many are waiting already. Raises what a step raised."""
        queue = self._queue
        queue.append(operation)
        if self._idle:
            with self._lock:
                self._work_there.notify()
        elif len(self._threads) < self.limit.current:
            self._start_thread()
        if len(queue) >= _QUEUE_MAX:
            self._wait(lambda: len(queue) <= _QUEUE_LOW)
        elif time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look()
        if self._failure is not None:
            self._raise_failure()

    def outcomes(self) -> Iterator[Outcome]:
        """What has become of steps since the last call."""
        done = self._outcomes
        while done:
            yield done.popleft()

    def wait_a_little(self) -> bool:
        """Wait for some steps to be done; whether there is anything left to wait for. Raises what a step raised."""
        before = len(self._outcomes)
        self._wait(lambda: len(self._outcomes) > before or (not self._queue and not self._busy))
        self._raise_failure()
        return bool(self._queue or self._busy)

    def check(self) -> None:
        """Raise what a step raised."""
        self._raise_failure()

    def stop(self) -> None:
        """Let no step begin any more, and requests under way not be tried again; does not wait."""
        with self._lock:
            self._is_stopped = True
            self._queue.clear()
            self._work_there.notify_all()
            self._room.notify_all()
        self.crew.stop()

    def close(self) -> None:
        """End the threads, after what they are at."""
        with self._lock:
            self._is_closing = True
            self._work_there.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._threads.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.stop()
        self.close()

    # --- the driver

    def _wait(self, is_over: Callable[[], bool]) -> None:
        with self._lock:
            self._is_driver_waiting = True
            try:
                while not is_over() and not self._is_stopped and self._failure is None:
                    self._room.wait(_LOOK_SECONDS)
                    self._look()
            finally:
                self._is_driver_waiting = False

    def _look(self) -> None:
        """Find out whether more threads would help."""
        now, cpu = time.monotonic(), time.process_time()
        seconds = now - self._looked
        if seconds < _LOOK_SECONDS:
            return
        share = (cpu - self._looked_cpu) / seconds
        is_first = not self._looked
        self._looked, self._looked_cpu = now, cpu
        limit = self.limit
        # A refusal takes over: from then on only successes make it more.
        if is_first or not self._adaptive or limit.ticket or limit.current >= limit.maximum:
            return
        if share < _BUSY and len(self._queue) > limit.current and not self._idle:
            limit.current = min(limit.maximum, limit.current * 2)
            with self._lock:
                self._work_there.notify_all()
        while len(self._threads) < limit.current and len(self._queue) > self._idle:
            if not self._start_thread():
                return

    def _start_thread(self) -> bool:
        number = len(self._threads)
        thread = Thread(target=self._work, args=(number,), name=f"{self._name}-{number + 1}")
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:
            # No more threads: the system's limit.
            self._threads.remove(thread)
            self.limit.lower(max(1, number))
            if not number:
                raise
            return False
        return True

    def _raise_failure(self) -> None:
        failure = self._failure
        if failure is not None:
            try:
                raise failure
            finally:
                # Its traceback holds this frame, which would hold it.
                del failure

    # --- the threads

    def _work(self, number: int) -> None:
        carry_out = self._carry_out
        assert carry_out is not None
        queue, outcomes, limit = self._queue, self._outcomes, self.limit
        while True:
            # More threads than there shall be now: those with the highest numbers pause.
            operation = self._next(number) if number >= limit.current or not queue else self._taken()
            if operation is None:
                if self._is_closing or self._is_stopped:
                    return
                continue
            try:
                outcomes.append(carry_out(operation))
                if limit.ticket:
                    limit.success()
            except CrewStopped:
                pass
            except BaseException as error:  # noqa: BLE001 -- raised again by the driver
                with self._lock:
                    if self._failure is None:
                        self._failure = error
                self.stop()
            self._done()

    def _taken(self) -> Operation | None:
        with self._lock:
            if not self._queue or self._is_stopped:
                return None
            self._busy += 1
            return self._queue.popleft()

    def _next(self, number: int) -> Operation | None:
        """Wait for a step that this thread may take; None when there is none now."""
        with self._lock:
            self._idle += 1
            try:
                if not self._is_closing and not self._is_stopped and (not self._queue or number >= self.limit.current):
                    self._work_there.wait(1.0)
            finally:
                self._idle -= 1
        return None

    def _done(self) -> None:
        with self._lock:
            self._busy -= 1
            if self._is_driver_waiting and (len(self._queue) <= _QUEUE_LOW):
                self._room.notify()


def widened(session: Session, lane: Lane, verify: bool | None) -> tuple[Session, Pool | None]:
    """The session for the threads of a lane: as many idle connections kept as there are threads, and paced by the lane.

    A pool that is too small is left to the session; a wider one is made, which the caller closes.
    """
    from s3func.transport.pool import Pool

    client = getattr(session, "_client", None)
    if not isinstance(client, Client):
        return session, None
    pool = None
    if type(client.transport) is Pool and client.transport.max_connections < lane.limit.maximum:
        old = client.transport
        pool = Pool(old.timeouts, max_connections=lane.limit.maximum, network=old.network)
        wide = Client(pool, client.retries, total_seconds=client.total_seconds, clock=client._clock)  # noqa: SLF001
        session = session._twin(_client=wide)  # noqa: SLF001
    if verify is not None:
        session = session._twin(_verify=verify)  # noqa: SLF001 -- what download_file does
    return paced(session, lane.crew), pool


class Movers:
    """The threads of a run on this machine: a lane for small files and one for large ones. A context manager."""

    def __init__(
        self,
        source: Endpoint,
        target: Endpoint,
        settings: Settings,
        workers: int | Literal["auto"] = "auto",
        *,
        keeper: Keeper | None = None,
        on_bytes: Callable[[str, int, int | None], None] | None = None,
        first: int = _FIRST_WORKERS,
    ) -> None:
        """See apply(). first: threads for small files to begin with, where their number is found out."""
        self._small = Lane(WORKERS_MAX if workers == "auto" else workers, adaptive=workers == "auto", first=first)
        # Two at a time, so that the next one begins while the last parts of one are under way.
        self._large = Lane(_LARGE_AT_ONCE, adaptive=False, name="s3func-sync-large")
        self._threshold = settings.transfer.multipart_threshold
        self._verify = settings.verify
        self._pools: list[Pool] = []
        each = max(1, settings.transfer.concurrency // _LARGE_AT_ONCE)
        shared = settings._replace(transfer=settings.transfer._replace(concurrency=each))
        self._movers = []
        for lane, its in ((self._small, settings), (self._large, shared)):
            sides = [self._at(lane, side) for side in (source, target)]
            mover = Mover(sides[0], sides[1], its, keeper=keeper, on_bytes=on_bytes, check=lane.crew.check)
            lane.begin(mover.carry_out)
            self._movers.append(mover)

    def _at(self, lane: Lane, side: Endpoint) -> Endpoint:
        if isinstance(side, LocalTree):
            return side
        session, pool = widened(side.session, lane, self._verify)
        if pool is not None:
            self._pools.append(pool)
        twin = copy(side)
        twin.session = session
        return twin

    @property
    def width(self) -> int:
        """Threads for small files that were found to help."""
        return self._small.limit.current

    def is_large(self, operation: Operation) -> bool:
        """Whether it goes in parts, and by the lane for those."""
        return operation.size >= self._threshold

    def put(self, operation: Operation) -> None:
        """Have a step carried out. Raises what ends a run."""
        (self._large if operation.size >= self._threshold else self._small).put(operation)

    def outcomes(self) -> Iterator[Outcome]:
        """What has become of steps since the last call."""
        yield from self._small.outcomes()
        yield from self._large.outcomes()

    def is_waiting(self) -> bool:
        """Wait a little for what is under way; False when nothing is. Raises what ends a run."""
        small = self._small.wait_a_little()
        if small:
            self._large.check()
            return True
        return self._large.wait_a_little()

    def close(self) -> None:
        """End the threads, and close what was opened for them."""
        self._small.close()
        self._large.close()
        for mover in self._movers:
            mover.close()
        for pool in self._pools:
            pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._small.stop()
            self._large.stop()
        self.close()
