"""Lock: a threading.Lock for many machines, on any store; what `session.lock(name)` gives.

Rules of this file:
 1. the keeper knows of a ticket before the store does, so that every end of this process is also the ticket's;
 2. one Lock object is one owner: threads that share it exclude each other, and nobody acquires it twice;
 3. a store that fails is no reason to raise from `__exit__`; a lease that was lost is, for silence would hide that the
    work may have been done twice.
"""

from __future__ import annotations

import json
import os
import platform
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from random import SystemRandom
from threading import Event
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakMethod, WeakSet, finalize

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import LockError, LockLost, LockStoreError, LockTimeout, S3FuncError
from s3func.lock import tickets
from s3func.lock.core import Bakery, Contender, Head, Listing, Terms
from s3func.lock.driver import Driver, Store, log_warning
from s3func.lock.keeper import EXIT_SECONDS, KEEPER, Kept
from s3func.lock.lease import LeaseClock
from s3func.lock.owners import Owner, owners_of
from s3func.lock.terms import check_note, check_seconds, check_timeout, terms_of

if TYPE_CHECKING:
    from types import TracebackType

_BREAK_AGE = timedelta(hours=2)
_RANDOM = SystemRandom()
_locks: WeakSet[Lock] = WeakSet()


class Lock:
    """A lock that is shared by everybody who uses the same name in the same bucket.

    Like threading.Lock: `with`, acquire(), release(), locked(); not reentrant; any thread of the process may release.
    Unlike it, what is held can be lost: when this process cannot renew its lease in time. `valid()`, `remaining()`,
    `check()` and the event `lost` tell, and `fencing_token` lets the protected resource tell. docs/lock.md says what a
    lock on a store can promise and what not.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        shared: bool = False,
        ttl: float | None = 60.0,
        fencing: bool = False,
        grace: float | None = None,
        poll: tuple[float, float] = (0.25, 5.0),
        expiry: str = "server",
        fast: bool = False,
        timeout: float | None = None,
        note: str | None = None,
        on_lost: Callable[[Lock, str], None] | None = None,
        bucket: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Check the settings; nothing is sent. `Session.lock` says what they mean."""
        self._settings: dict[str, Any] = {
            "shared": shared,
            "ttl": ttl,
            "fencing": fencing,
            "grace": grace,
            "poll": poll,
            "expiry": expiry,
            "fast": fast,
            "timeout": timeout,
            "note": note,
            "on_lost": on_lost,
            "bucket": bucket,
            "clock": clock,
        }
        self._terms = terms_of(name, shared, ttl, grace, poll, expiry, fencing=fencing, fast=fast)
        if timeout is not None:
            check_seconds("timeout", timeout)
        check_note(note)
        if bucket is not None and (not isinstance(bucket, str) or not bucket):
            raise TypeError(f"bucket must be a name or None, not {bucket!r}")
        if on_lost is not None and not callable(on_lost):
            raise TypeError(f"on_lost must be callable, not {type(on_lost).__name__}")
        self.name = name
        self.release_error: LockStoreError | None = None
        self._store = store
        self._time = LeaseClock(clock or SYSTEM_CLOCK)
        # A call that hangs must not outlast the lease that it is to renew.
        limit = min(max(self._terms.ttl / 4, 2.0), 20.0) if self._terms.ttl else 20.0
        self._driver = Driver(store.limited(limit), bucket, self._time)
        self._mutex = threading.Lock()
        self._lost = Event()
        # At most one ticket; taking it out is atomic, and the finalizer needs it when this object is gone.
        self._held: list[Kept] = []
        self._entered_in = 0
        self._is_inherited = False
        finalize(self, _abandon, self._held, os.getpid()).atexit = False
        _locks.add(self)

    # --- threading.Lock

    def acquire(
        self,
        blocking: bool = True,
        timeout: float = -1,
        exclusive: bool | None = None,
        *,
        shared: bool | None = None,
    ) -> bool:
        """Take the lock; False when it was not free, or did not become free in `timeout` seconds (-1: no limit).

        shared: for this time, together with other shared holders; exclusive is the opposite, under the seed's name.
        Whoever does not wait still waits for those who came just before and are choosing their place, two seconds at
        most. LockStoreError when the store fails for a minute or until the timeout, AccessDenied, NoSuchBucket …
        """
        wants_shared = self._wants_shared(shared, exclusive)
        seconds = check_timeout(blocking, timeout)
        end = None if seconds is None else self._time.monotonic() + seconds
        if not self._mutex.acquire(blocking, timeout):
            return False
        is_ours = False
        try:
            is_ours = self._queue(wants_shared, end)
        finally:
            if not is_ours:
                self._mutex.release()
        return is_ours

    def release(self) -> None:
        """Give the lock up. RuntimeError when it is not held; a forked child may release what its parent holds, in vain.

        A store that fails raises nothing: the ticket then stands until its lease ends, and `release_error` says so.
        """
        try:
            kept = self._held.pop()
        except IndexError:
            if self._is_inherited:
                # A forked child comes to the end of its parent's block, and what is held there is not its own.
                self._is_inherited = False
                return
            raise RuntimeError("release unlocked lock") from None
        try:
            KEEPER.forget(kept)
            is_gone = kept.leave()
            KEEPER.gone(kept)
            self.release_error = None
            if not is_gone:
                self.release_error = LockStoreError(
                    f"the lock {self.name!r} was given up, but the store failed: others wait until its lease ends",
                    ambiguous=True,
                )
                log_warning("%s", self.release_error)
        finally:
            self._mutex.release()

    def locked(self) -> bool:
        """Whether anybody holds the lock or waits for it. One request, unless we hold it ourselves."""
        return self.valid() or any(ticket.is_announced for ticket in self._listing().values())

    def __enter__(self) -> Self:
        timeout = self._settings["timeout"]
        if not self.acquire(timeout=-1 if timeout is None else timeout):
            raise LockTimeout(f"the lock {self.name!r} did not become free in {timeout:g} seconds")
        self._entered_in = os.getpid()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered_in != os.getpid():
            return  # a forked child leaves its parent's block: the lock is not the child's
        reason = self._loss()
        self.release()
        if reason is not None and kind is None:
            raise LockLost(f"the lock {self.name!r} was lost inside the block: {reason}")

    # --- what is held

    @property
    def held(self) -> bool:
        """Whether this object has acquired the lock and not released it; valid() says whether it still counts."""
        return bool(self._held)

    def valid(self) -> bool:
        """Whether the lease of what is held still runs. No request; true now is no promise for the next line."""
        return bool(held := self._held[:]) and held[0].bakery.is_valid(held[0].own)

    def remaining(self) -> float:
        """Seconds until the lease ends unless it is renewed; 0 when it has, or nothing is held."""
        if not (held := self._held[:]) or held[0].own.lost_because:
            return 0.0
        return max(0.0, held[0].own.deadline - self._time.elapsed())

    def check(self) -> None:
        """Raise LockLost when the lease has been lost; RuntimeError when nothing is held."""
        if not self._held:
            raise RuntimeError("check unlocked lock")
        reason = self._loss()
        if reason is not None:
            raise LockLost(f"the lock {self.name!r} was lost: {reason}")

    @property
    def lost(self) -> Event:
        """An event that is set when the lease is lost, and cleared by the next acquire()."""
        return self._lost

    def verify(self) -> bool:
        """valid(), and the store says so as well: one request."""
        if not (held := self._held[:]) or not self.valid():
            return False
        is_there: bool = self._driver.perform(Head(held[0].own.announcement))
        return is_there and self.valid()

    @property
    def fencing_token(self) -> int:
        """A number larger than that of every earlier exclusive holder: let the resource refuse smaller ones.

        RuntimeError when nothing is held; LockError without fencing=True, and for a shared holder.
        """
        if not (held := self._held[:]):
            raise RuntimeError("an unlocked lock has no fencing token")
        if not self._terms.fencing:
            raise LockError("there is no fencing token without fencing=True: it needs a mark that stays in the bucket")
        own = held[0].own
        if own.mode == tickets.SHARED:
            raise LockError("a shared holder has no fencing token: it does not come before or after the others")
        return own.token

    # --- everybody else

    def owners(self) -> list[Owner]:
        """Who holds the lock and who waits for it, the holders first: a request, and one more for each."""
        return owners_of(self._driver, self._listing(), self._terms.grace)

    def break_lock(
        self,
        ids: Iterable[str] | None = None,
        older_than: float | timedelta | None = None,
        wait: bool = False,
    ) -> list[Owner]:
        """Remove the tickets of others, all or those that are named; returns whose.

        older_than: seconds without a sign of life, by the store's clock. Breaking what is alive makes two holders, until
        the other one's next renewal tells it; wait=True keeps everybody out until then, which takes its ttl and grace.
        """
        if isinstance(ids, str):
            raise TypeError("ids must be an iterable of ids, not a str")
        wanted = None if ids is None else set(ids)
        seconds = older_than.total_seconds() if isinstance(older_than, timedelta) else older_than
        if seconds is not None:
            check_seconds("older_than", seconds)
        mine = self._held[0].own.id if self._held else None
        listing = self._listing()
        chosen = []
        for owner in owners_of(self._driver, listing, self._terms.grace):
            if owner.id == mine or (wanted is not None and owner.id not in wanted):
                continue
            if seconds is not None:
                if owner.silent_for is None:
                    raise LockError("the store does not tell its time, so it cannot be told how old a ticket is")
                if owner.silent_for < seconds:
                    continue
            chosen.append(owner)
        self._remove([listing[owner.id] for owner in chosen], wait=wait)
        return chosen

    def other_locks(self) -> dict[str, dict[str, Any]]:
        """The seed's name for owners() without ourselves: a dict by ticket id."""
        mine = self._held[0].own.id if self._held else None
        return {
            owner.id: {"upload_timestamp": owner.since, "lock_type": owner.mode, "owner": owner.host}
            for owner in self.owners()
            if owner.id != mine
        }

    def break_other_locks(self, timestamp: str | datetime | None = None) -> list[Owner]:
        """The seed's name for break_lock(): those without a sign of life since then; by default, for two hours."""
        if timestamp is None:
            return self.break_lock(older_than=_BREAK_AGE)
        moment = datetime.fromisoformat(timestamp) if isinstance(timestamp, str) else timestamp
        limit = moment.timestamp()
        listing = self._listing()
        ids = [ticket.id for ticket in listing.values() if ticket.stamp is not None and ticket.stamp < limit]
        return self.break_lock(ids)

    # --- inside

    def _wants_shared(self, shared: bool | None, exclusive: bool | None) -> bool:
        if shared is not None and exclusive is not None and shared == exclusive:
            raise ValueError("shared and exclusive are opposites: give one of them")
        if exclusive is not None:
            return not exclusive
        return self._terms.mode == tickets.SHARED if shared is None else bool(shared)

    def _bakery(self, terms: Terms) -> Bakery:
        # The keeper holds on to this, so it must not hold on to the Lock, or a forgotten one would be kept for ever.
        describe = partial(_describe, self._settings["note"])
        return Bakery(
            terms, self._time, _RANDOM, describe=describe, warn=partial(log_warning, "lock %r: %s", self.name)
        )

    def _queue(self, shared: bool, end: float | None) -> bool:
        bakery = self._bakery(self._terms._replace(mode=tickets.SHARED if shared else tickets.EXCLUSIVE))
        self._lost.clear()
        with _Tickets(self, bakery) as attempts:
            own = self._driver.run(bakery.acquire(end, attempts.begun))
            if own is None:
                return False
            kept = attempts.keep()
        self._held.append(kept)
        KEEPER.renew(kept)
        return True

    def _remove(self, victims: list[tickets.Ticket], *, wait: bool) -> None:
        bakery = self._bakery(self._terms)
        if wait and victims:
            with _Tickets(self, bakery) as attempts:
                self._driver.run(bakery.evict(victims, attempts.begun))
        else:
            for victim in victims:
                self._driver.run(bakery.remove(victim))

    def _listing(self) -> dict[str, tickets.Ticket]:
        prefix = self._terms.prefix
        return tickets.read(self._driver.perform(Listing(prefix)), prefix)

    def _loss(self) -> str | None:
        held = self._held[:]
        if not held or held[0].bakery.is_valid(held[0].own):
            return None
        return held[0].own.lost_because or "the lease ran out before it could be renewed"

    def _tell_loss(self, reason: str) -> None:
        """Called by the keeper's thread."""
        self._lost.set()
        on_lost = self._settings["on_lost"]
        if on_lost is None:
            return
        try:
            on_lost(self, reason)
        except Exception as error:  # noqa: BLE001 -- the thread renews other locks as well
            log_warning("on_lost of the lock %r failed: %r", self.name, error)

    def _forget(self) -> None:
        """In a forked child: what was held is the parent's."""
        self._mutex = threading.Lock()
        self._lost = Event()
        self._is_inherited = bool(self._held)
        self._held.clear()

    def __repr__(self) -> str:
        state = "unlocked" if not self._held else "locked" if self.valid() else "lost"
        return f"<{type(self).__name__} {self.name!r} {state}>"

    def __reduce__(self) -> Any:
        # The settings only: what is held stays with the process that holds it.
        return (_rebuild, (type(self), self._store, self.name, self._settings))


class _Tickets:
    """The tickets of one call: whatever ends the call, none of them stays unless it is kept."""

    def __init__(self, lock: Lock, bakery: Bakery) -> None:
        self._tell = WeakMethod(lock._tell_loss)  # noqa: SLF001 -- a part of the lock
        self._driver = lock._driver  # noqa: SLF001
        self._bakery = bakery
        self._last: Kept | None = None

    def begun(self, own: Contender) -> None:
        """There will be another ticket; the one before is gone."""
        if self._last is not None:
            KEEPER.gone(self._last)
        self._last = Kept(own, self._bakery, self._driver, self._tell)
        KEEPER.know(self._last)

    def keep(self) -> Kept:
        """The last one holds."""
        kept, self._last = self._last, None
        assert kept is not None
        return kept

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._last is None:
            return
        if kind is not None and not issubclass(kind, S3FuncError):
            # KeyboardInterrupt broke in, wherever that was; what the protocol raises it has tidied up for itself.
            self._last.leave(EXIT_SECONDS)
        KEEPER.gone(self._last)


def _describe(note: str | None) -> bytes:
    """What an announcement says of its owner."""
    thread = threading.current_thread().name
    return json.dumps({"host": platform.node(), "pid": os.getpid(), "thread": thread, "note": note}).encode()


def _abandon(held: list[Kept], pid: int) -> None:
    """The Lock object is garbage while it holds: nobody can release it any more."""
    if held and pid == os.getpid():
        KEEPER.abandon(held.pop())


def _rebuild(cls: type[Lock], store: Store, name: str, settings: dict[str, Any]) -> Lock:
    return cls(store, name, **settings)


def _forget_all() -> None:
    for lock in list(_locks):
        lock._forget()  # noqa: SLF001 -- the same file


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
