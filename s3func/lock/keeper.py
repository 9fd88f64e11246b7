"""Keeper: the one thread of a process that renews the leases of all its locks, and what happens to them at its end.

The thread exists while something is held under a lease, and no longer. It is a daemon: a process ends when its own work
does, and then atexit gives up what is still held, with three seconds for each lock. A child process that was forked
inherits no lock: its copies are marked, and its keeper starts empty.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from threading import Condition, Lock, Thread

from s3func.errors import S3FuncError
from s3func.lock.core import Bakery, Contender
from s3func.lock.driver import Driver, log_warning

EXIT_SECONDS = 3.0
# How long a release waits for a renewal that is under way.
_SETTLE_SECONDS = 1.0


class Kept:
    """A ticket of this process, with what it takes to renew it and to give it up."""

    __slots__ = ("bakery", "beating", "driver", "due", "own", "tell")

    def __init__(
        self, own: Contender, bakery: Bakery, driver: Driver, tell: Callable[[], Callable[[str], None] | None]
    ) -> None:
        """tell: called with the reason when the lease is lost, if whoever holds the lock is still there."""
        self.own = own
        self.bakery = bakery
        self.driver = driver
        self.tell = tell
        self.due = 0.0
        self.beating = Lock()

    def seconds_left(self) -> float:
        """Until something has to be done."""
        return min(self.due, self.own.deadline) - self.driver.time.elapsed()

    def beat(self) -> bool:
        """Renew, or find that it is too late; False when the lease is lost."""
        own, ttl = self.own, self.bakery.terms.ttl
        with self.beating:
            if own.is_closed:
                return True
            if self.driver.time.elapsed() >= own.deadline:
                own.lost_because = own.lost_because or "the lease ran out before it could be renewed"
            else:
                try:
                    self.driver.run(self.bakery.beat(own))
                    self.due = own.sent + ttl / 3
                except S3FuncError:
                    # The store may be back before the lease ends.
                    self.due = self.driver.time.elapsed() + ttl / 12
        if own.lost_because is None:
            return True
        tell = self.tell()
        if tell is not None:
            tell(own.lost_because)
        return False

    def leave(self, seconds: float | None = None) -> bool:
        """Give the ticket up; False when it may still stand in the queue."""
        driver = self.driver
        if seconds is not None:
            driver = Driver(driver.store.limited(seconds), driver.bucket, driver.time)
        return driver.run(self.bakery.leave(self.own) if seconds is None else self.bakery.leave(self.own, tries=1))


class Keeper:
    """All tickets of this process."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._changed = Condition(Lock())
        self._known: dict[str, Kept] = {}
        self._renewed: dict[str, Kept] = {}
        self._abandoned: list[Kept] = []
        self._thread: Thread | None = None

    def know(self, kept: Kept) -> None:
        """A ticket that is about to exist: from now on the end of the process gives it up."""
        self._known[kept.own.id] = kept

    def renew(self, kept: Kept) -> None:
        """A ticket that holds: renew it until it is forgotten."""
        if not kept.bakery.terms.ttl:
            return
        kept.due = kept.own.sent + kept.bakery.terms.ttl / 3
        with self._changed:
            self._renewed[kept.own.id] = kept
            self._wake()

    def forget(self, kept: Kept) -> None:
        """Stop renewing, and wait a moment for a renewal that is under way: its object would stay behind."""
        kept.own.is_closed = True
        with self._changed:
            self._renewed.pop(kept.own.id, None)
            self._changed.notify_all()
        if kept.beating.acquire(timeout=_SETTLE_SECONDS):
            kept.beating.release()

    def gone(self, kept: Kept) -> None:
        """The ticket was given up."""
        self._known.pop(kept.own.id, None)

    def abandon(self, kept: Kept) -> None:
        """Nobody can release this ticket any more: give it up soon, but not here, where garbage is being collected."""
        kept.own.is_closed = True
        # Appending is atomic. A finalizer may wait for a lock only so long: its own thread may hold it already.
        self._abandoned.append(kept)
        if self._changed.acquire(timeout=0.1):
            try:
                self._wake()
            except RuntimeError:
                pass  # the interpreter is ending and makes no threads; at_exit does it
            finally:
                self._changed.release()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._work, name="s3func-lock", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._is_anything_due, self._seconds_left())
                due = [kept for kept in self._renewed.values() if kept.seconds_left() <= 0]
                abandoned, self._abandoned = self._abandoned, []
                for kept in abandoned:
                    self._renewed.pop(kept.own.id, None)
                if not self._renewed and not abandoned:
                    self._thread = None
                    return
            for kept in due:
                if not kept.beat():
                    with self._changed:
                        self._renewed.pop(kept.own.id, None)
            for kept in abandoned:
                self.gone(kept)
                self._give_up(kept)

    def _is_anything_due(self) -> bool:
        return not self._renewed or bool(self._abandoned) or any(k.seconds_left() <= 0 for k in self._renewed.values())

    def _seconds_left(self) -> float:
        # Also a guard against clocks that jump: nobody sleeps longer than this without looking.
        return max(0.0, min([60.0, *(kept.seconds_left() for kept in self._renewed.values())]))

    @staticmethod
    def _give_up(kept: Kept, seconds: float | None = None) -> None:
        try:
            kept.leave(seconds)
        except Exception as error:  # noqa: BLE001 -- a thread and an exit handler have nobody to tell
            log_warning("a lock's ticket was left to its lease: %s", type(error).__name__)

    def at_exit(self) -> None:
        """Give up everything; no threads are made."""
        while self._known:
            _, kept = self._known.popitem()
            kept.own.is_closed = True
            self._give_up(kept, EXIT_SECONDS)

    def at_fork(self) -> None:
        """In the child: these tickets are the parent's."""
        for kept in self._known.values():
            kept.own.is_closed = True
        # A condition that some thread held at the fork would never be free again.
        self._begin()


KEEPER = Keeper()
atexit.register(KEEPER.at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=KEEPER.at_fork)
