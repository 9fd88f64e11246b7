"""Bakery: the protocol as generators that yield what they want done and are sent what came of it. No I/O here.

The same code runs under the driver of a session (driver.py) and in simulated time (tests/simulation). Steps:

    Put(key, body)           -> the version id, or None
    Listing(prefix)          -> [(key, LastModified as epoch seconds or None)]
    Delete(key, version_id)  -> whether the bucket keeps versions
    Head(key)                -> whether there is such an object
    Purge(prefix, keep)      -> None; deletes every version of every key under the prefix, except one key's
    Pause(seconds)           -> None

A step that fails raises its S3FuncError where the generator stands; it may have been carried out all the same.
What is decided from a listing is decided in tickets.py.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import ceil
from random import Random
from typing import Any, NamedTuple, Protocol, TypeVar

from s3func.errors import LockStoreError, S3FuncError, TimedOut
from s3func.lock import tickets
from s3func.lock.tickets import Ticket, Tickets
from s3func.transport.retry import is_transient

Result = TypeVar("Result")
# How long a caller that does not want to wait still waits for those who are choosing their number: two requests.
CHOOSING_SECONDS = 2.0
_UNLISTED_MAX = 3


class Put(NamedTuple):
    """Store an object."""

    key: str
    body: bytes = b""


class Listing(NamedTuple):
    """List everything under a prefix."""

    prefix: str


class Delete(NamedTuple):
    """Delete an object or a version of it."""

    key: str
    version_id: str | None = None


class Head(NamedTuple):
    """Ask whether there is an object."""

    key: str


class Purge(NamedTuple):
    """Delete every version under a prefix."""

    prefix: str
    keep: str | None = None


class Pause(NamedTuple):
    """Wait."""

    seconds: float


Steps = Generator[Put | Listing | Delete | Head | Purge | Pause, Any, Result]


class Time(Protocol):
    """The clocks of the protocol, see lease.LeaseClock."""

    def elapsed(self) -> float:
        """For leases: never less than what really passed."""

    def monotonic(self) -> float:
        """For waiting: never more than what really passed."""


class Terms(NamedTuple):
    """The settings of a lock. Seconds; ttl 0 is no lease. expiry: "server" or "observed"."""

    prefix: str
    mode: str
    ttl: float
    grace: float
    poll_min: float
    poll_max: float
    confirm: float
    patience: float
    fencing: bool
    fast: bool
    expiry: str


class Contender:
    """A ticket of our own, from before its first object until after its last."""

    __slots__ = (
        "announcement",
        "beats",
        "deadline",
        "expiry",
        "first_answered",
        "first_sent",
        "first_stamp",
        "id",
        "is_closed",
        "is_held",
        "is_versioned",
        "lost_because",
        "mode",
        "number",
        "number_key",
        "sent",
        "stamp",
        "superseded",
        "written",
    )

    def __init__(self, ticket_id: str, terms: Terms, ttl_seconds: int) -> None:
        """deadline: when the lease ends, on the lease clock. written: each key that may exist, with its versions."""
        self.id = ticket_id
        self.mode = terms.mode
        self.announcement = tickets.announcement_key(terms.prefix, ticket_id, terms.mode, ttl_seconds)
        self.number = 0
        self.number_key: str | None = None
        self.deadline = float("inf")
        self.sent = self.first_sent = self.first_answered = 0.0
        self.stamp: float | None = None
        self.first_stamp: float | None = None
        self.expiry = terms.expiry
        self.beats = 0
        self.written: dict[str, list[str]] = {}
        self.superseded: list[str] = []
        self.is_versioned = False
        self.is_held = False
        self.is_closed = False
        self.lost_because: str | None = None

    @property
    def token(self) -> int:
        """The fencing token, once there is a number."""
        return tickets.fencing_token(self.number, self.id)


class Withdrawn(NamedTuple):
    """How an attempt ended without the lock. unlisted: the store did not list what it had just stored."""

    is_timeout: bool = False
    is_unlisted: bool = False


class Bakery:
    """One lock name under one set of terms; every acquisition is a generator of its own."""

    def __init__(
        self,
        terms: Terms,
        time: Time,
        random: Random,
        *,
        describe: Callable[[], bytes] = lambda: b"",
        warn: Callable[[str], object] = lambda _text: None,
    ) -> None:
        """describe: the body of an announcement, read by owners() only."""
        self.terms = terms
        self.time = time
        self.random = random
        self._describe = describe
        self._warn = warn
        # What is in the key is what others judge by, so it is never less than what we live by.
        self._ttl_seconds = ceil(terms.ttl)

    def is_valid(self, own: Contender) -> bool:
        """Whether our lease runs: nobody who follows the rules has taken the ticket from us yet."""
        return own.lost_because is None and self.time.elapsed() < own.deadline

    # --- acquire

    def acquire(self, end: float | None, begun: Callable[[Contender], None]) -> Steps[Contender | None]:
        """Queue until the lock is ours; None when `end` (monotonic; None: never) has passed.

        begun: told of each ticket before the store is, so that whoever breaks in can withdraw it.
        """
        failing_since: float | None = None
        unlisted = 0
        while True:
            own = Contender(f"{self.random.getrandbits(96):024x}", self.terms, self._ttl_seconds)
            begun(own)
            failure: S3FuncError | None = None
            ended: Contender | Withdrawn = Withdrawn()
            try:
                ended = yield from self._contend(own, end)
            except S3FuncError as error:
                failure = error
            if isinstance(ended, Contender):
                return ended
            is_clean = yield from self.leave(own)
            if not is_clean:
                self._warn("the store failed: a ticket that was given up may stand in the queue until its lease ends")
            now = self.time.monotonic()
            if failure is None:
                failing_since = None
                if ended.is_timeout:
                    return None
            else:
                failing_since = now if failing_since is None else failing_since
                if not _may_pass(failure):
                    raise failure
                if now - failing_since >= self.terms.patience or _is_over(end, now):
                    raise _store_error(failure, is_clean=is_clean) from failure
            unlisted = unlisted + 1 if ended.is_unlisted else 0
            if unlisted == _UNLISTED_MAX:
                raise LockStoreError("the store does not list objects that it has just stored; no lock is safe on it")
            if _is_over(end, now):
                return None
            yield Pause(self.random.uniform(0.5, 1.5) * self.terms.poll_min)

    def _contend(self, own: Contender, end: float | None) -> Steps[Contender | Withdrawn]:
        """One ticket: announce it, choose a number, queue."""
        terms = self.terms
        own.first_sent = sent = self.time.elapsed()
        yield from self._put(own, own.announcement, self._describe())
        own.first_answered = self.time.elapsed()
        own.sent = sent
        if terms.ttl:
            own.deadline = sent + terms.ttl
        listed = yield from self._list(own)
        if not self.is_valid(own):
            return Withdrawn()
        if not tickets.is_listed(listed, own.id):
            return Withdrawn(is_unlisted=True)
        if terms.fast and not terms.fencing and tickets.may_hold_at_once(listed, own.id, own.mode):
            own.is_held = True
            return own
        number = tickets.next_number(listed)
        if number > tickets.NUMBER_MAX:
            raise LockStoreError(f"the numbers of the lock {terms.prefix!r} have run out: somebody wrote the last one")
        key = tickets.number_key(terms.prefix, own.id, own.mode, number, is_mark=terms.fencing)
        own.number_key = key
        sent = self.time.elapsed()
        yield from self._put(own, key)
        own.number = number
        if not self._renew(own, sent):
            return Withdrawn()
        return (yield from self._queue(own, end))

    def _queue(self, own: Contender, end: float | None) -> Steps[Contender | Withdrawn]:
        """Wait until nobody is ahead."""
        queue = _Queue(self, own)
        failing_since: float | None = None
        while True:
            if not self.is_valid(own):
                return Withdrawn()
            try:
                if self._is_renewal_due(own):
                    yield from self.beat(own)
                listed = yield from self._list(own)
            except S3FuncError as error:
                # A poll that failed is no reason to give up a place in the queue, for a while.
                now = self.time.monotonic()
                failing_since = now if failing_since is None else failing_since
                if not _may_pass(error) or now - failing_since >= self.terms.patience or _is_over(end, now):
                    raise
                yield Pause(self.random.uniform(0.5, 1.5) * self.terms.poll_min)
                continue
            failing_since = None
            if not self.is_valid(own) or not tickets.is_intact(listed, own.id, own.number):
                return Withdrawn()
            ahead = tickets.blockers(listed, own.id, own.mode, own.number)
            if not ahead:
                own.superseded = tickets.superseded(listed, own.number, fencing=self.terms.fencing)
                own.is_held = True
                return own
            if (yield from queue.clear_the_dead(ahead)):
                continue
            now = self.time.monotonic()
            if end is not None and now >= end and not queue.is_about_to_move(ahead, now, end):
                return Withdrawn(is_timeout=True)
            yield Pause(queue.seconds_to_wait(ahead, now, end))

    def _put(self, own: Contender, key: str, body: bytes = b"") -> Steps[None]:
        versions = own.written.setdefault(key, [])
        version_id = yield Put(key, body)
        if version_id is not None:
            versions.append(version_id)
            own.is_versioned = True

    def _list(self, own: Contender) -> Steps[Tickets]:
        """A listing; on the way, what it says of our own ticket's stamps."""
        sent = own.sent
        listed = tickets.read((yield Listing(self.terms.prefix)), self.terms.prefix)
        mine = listed.get(own.id)
        if mine is not None:
            own.stamp = mine.stamp
            if own.first_stamp is None:
                own.first_stamp = mine.stamp
        if own.expiry == "server":
            first, newest = own.first_stamp, own.stamp
            at_least = sent - own.first_answered
            at_most = self.time.elapsed() - own.first_sent
            if mine is not None and (
                first is None or newest is None or not tickets.is_clock_fit(first, newest, at_least, at_most)
            ):
                own.expiry = "observed"
                self._warn("the store's times are no measure for leases; waiting out what is seen to stand still")
        return listed

    # --- renewal

    def _renew(self, own: Contender, sent: float) -> bool:
        if not self.terms.ttl:
            own.sent = sent
            return True
        deadline = tickets.renewed(own.deadline, sent, self.time.elapsed(), self.terms.ttl)
        if deadline is None:
            own.lost_because = own.lost_because or "the lease ran out before a renewal was answered"
            return False
        own.deadline = deadline
        own.sent = sent
        return True

    def _is_renewal_due(self, own: Contender) -> bool:
        return self.terms.ttl > 0 and self.time.elapsed() - own.sent >= self.terms.ttl / 3

    def beat(self, own: Contender) -> Steps[bool]:
        """A sign of life. False: the lease is lost. It is also how a waiting ticket learns the store's time.

        Whoever holds looks after the announcement as well; who waits sees it in the next listing.
        """
        prefix = self.terms.prefix
        own.beats += 1
        beat = own.beats
        sent = self.time.elapsed()
        key = tickets.beat_key(prefix, own.id, beat)
        yield from self._put(own, key)
        if own.is_closed:
            # The ticket went while this was under way.
            yield from self._delete(own, key)
            return True
        if own.is_held and not (yield Head(own.announcement)) and not own.is_closed:
            own.lost_because = own.lost_because or "somebody broke the lock, or judged its owner dead"
            return False
        if not self._renew(own, sent):
            return False
        old = tickets.superseded_beat(beat)
        if old is not None:
            try:
                yield from self._delete(own, tickets.beat_key(prefix, own.id, old))
            except S3FuncError:
                pass  # it stays in `written`, and goes with the ticket
        return True

    # --- leave

    def leave(self, own: Contender, tries: int = 3) -> Steps[bool]:
        """Give the ticket up, whatever became of it; False when its announcement may still stand.

        The announcement goes first, and is what is tried again: half a release is a free lock, not a stuck one.
        """
        own.is_closed = True
        kept = own.number_key if own.is_held and self.terms.fencing else None
        is_gone = True
        for key in sorted(own.written):
            if key == kept:
                continue
            if not (yield from self._is_deleted(own, key, tries if key == own.announcement else 1)):
                is_gone = is_gone and key != own.announcement
        try:
            if own.is_versioned:
                # A put that was sent twice has made a version that nobody told us of, and it would come back.
                yield Purge(f"{self.terms.prefix}{own.id}.", kept)
                is_gone = True
            for key in own.superseded if own.is_held else ():
                if (yield Delete(key)):
                    yield Purge(key)
        except S3FuncError:
            is_gone = is_gone and not own.is_versioned
        return is_gone

    def _is_deleted(self, own: Contender, key: str, tries: int) -> Steps[bool]:
        while True:
            try:
                yield from self._delete(own, key)
                return True
            except S3FuncError as error:
                tries -= 1
                if tries == 0 or not _may_pass(error):
                    return False
            yield Pause(self.terms.poll_min)

    def _delete(self, own: Contender, key: str) -> Steps[None]:
        versions: list[str | None] = [*own.written.get(key, ())]
        for version_id in versions or [None]:
            own.is_versioned = (yield Delete(key, version_id)) or own.is_versioned
        own.written.pop(key, None)

    def remove(self, ticket: Ticket) -> Steps[None]:
        """Remove somebody else's ticket: its announcement first. Its number stays, and counts as gone from then on."""
        for key in sorted(ticket.keys):
            if not key.startswith(".1.", len(self.terms.prefix) + 24) and (yield Delete(key)):
                yield Purge(key)

    def evict(self, victims: list[Ticket], begun: Callable[[Contender], None]) -> Steps[None]:
        """Remove tickets that may be alive, and let nobody in before their owners must have noticed.

        A ticket of ours that never gets a number keeps everybody waiting for so long.
        """
        seconds = max((victim.ttl for victim in victims), default=0) + self.terms.grace
        terms = self.terms._replace(mode=tickets.EXCLUSIVE, ttl=2 * seconds + 60)
        own = Contender(f"{self.random.getrandbits(96):024x}", terms, ceil(terms.ttl))
        begun(own)
        try:
            yield from self._put(own, own.announcement, self._describe())
            for victim in victims:
                yield from self.remove(victim)
            yield Pause(seconds)
        except S3FuncError:
            yield from self.leave(own)
            raise
        # No `finally`: a generator that is closed, because something broke in, must not yield.
        yield from self.leave(own)


class _Queue:
    """What a waiting ticket remembers from one listing to the next."""

    def __init__(self, bakery: Bakery, own: Contender) -> None:
        self._bakery = bakery
        self._own = own
        self._choosing: dict[str, float] = {}
        self._expired: dict[str, tuple[float | None, float]] = {}
        self._seen: dict[str, tuple[tuple[str, ...], float]] = {}
        self._asked = float("-inf")

    def clear_the_dead(self, ahead: list[Ticket]) -> Steps[bool]:
        """Remove tickets whose owners have given up; True when the queue is worth another look at once."""
        bakery, own = self._bakery, self._own
        terms, monotonic = bakery.terms, bakery.time.monotonic
        now = monotonic()
        changed = False
        has_to_ask = False
        for ticket in ahead:
            if not ticket.ttl:
                continue
            if own.expiry == "server":
                dead = tickets.is_expired(ticket, own.stamp, terms.grace)
                if not dead and own.stamp is not None:
                    estimate = own.stamp + bakery.time.elapsed() - own.sent
                    has_to_ask = has_to_ask or tickets.is_expired(ticket, estimate, terms.grace)
            else:
                dead = self._stands_still(ticket, now)
            if not dead:
                self._expired.pop(ticket.id, None)
                continue
            stamp, since = self._expired.setdefault(ticket.id, (ticket.stamp, now))
            if stamp != ticket.stamp:
                self._expired[ticket.id] = (ticket.stamp, now)
            elif now - since >= terms.confirm:
                try:
                    yield from bakery.remove(ticket)
                    changed = True
                except S3FuncError:
                    pass  # everybody who waits tries it, and so do we, next time
        if has_to_ask and not changed and now - self._asked >= terms.confirm:
            # Our own newest stamp is what we judge by; a sign of life makes it new.
            self._asked = now
            try:
                changed = yield from bakery.beat(own)
            except S3FuncError:
                pass
        return changed

    def _stands_still(self, ticket: Ticket, now: float) -> bool:
        """Whether nothing of the ticket has changed for so long, on our own clock, that its lease has run out."""
        seen, since = self._seen.setdefault(ticket.id, (tuple(ticket.keys), now))
        if seen != tuple(ticket.keys):
            self._seen[ticket.id] = (tuple(ticket.keys), now)
            return False
        return now - since > ticket.ttl + self._bakery.terms.grace

    def is_about_to_move(self, ahead: list[Ticket], now: float, end: float) -> bool:
        """Whether the only ones ahead are choosing still, or dead: then even a caller in a hurry waits a little.

        So of several that try a free lock at the same time at least one gets it.
        """
        for ticket in ahead:
            if ticket.id in self._expired:
                if now < end + self._bakery.terms.confirm + CHOOSING_SECONDS:
                    continue
                return False
            if not ticket.is_choosing or now - self._choosing.setdefault(ticket.id, now) >= CHOOSING_SECONDS:
                return False
        return True

    def seconds_to_wait(self, ahead: list[Ticket], now: float, end: float | None) -> float:
        """Until the next look: soon for who is choosing, the longer the more there are ahead."""
        terms = self._bakery.terms
        is_soon = False
        for ticket in ahead:
            if ticket.is_choosing:
                # One that stays without a number holds (the fast way) or is dead, and then there is no hurry.
                since = self._choosing.setdefault(ticket.id, now)
                is_soon = is_soon or now - since < CHOOSING_SECONDS
        if is_soon:
            return self._bakery.random.uniform(0.4, 0.8) * min(terms.poll_min, 0.25)
        seconds = min(max(terms.poll_min * len(ahead), terms.poll_min), terms.poll_max)
        if any(ticket.id in self._expired for ticket in ahead):
            seconds = min(seconds, terms.confirm / 2)
        seconds *= self._bakery.random.uniform(0.5, 1.5)
        if terms.ttl:
            # Awake in time for the next renewal.
            seconds = min(seconds, max(self._own.sent + terms.ttl / 3 - self._bakery.time.elapsed(), 0.0) + 0.001)
        if end is not None and now < end:
            seconds = min(seconds, end - now)
        return max(seconds, 0.001)


def _may_pass(error: S3FuncError) -> bool:
    """Whether waiting can help."""
    return is_transient(error) or isinstance(error, TimedOut)


def _is_over(end: float | None, now: float) -> bool:
    return end is not None and now >= end


def _store_error(failure: S3FuncError, *, is_clean: bool) -> LockStoreError:
    what = f"the lock was not acquired, because the store failed: {failure}"
    if not is_clean:
        what += "; a ticket of ours may stand in the queue until its lease ends"
    return LockStoreError(what, ambiguous=not is_clean)
