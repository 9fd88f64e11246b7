"""Tickets: the names of a lock's objects, and every decision that is taken from a listing of them.

    <name>.lock/<id>.0.<mode><ttl>             announces the ticket: it exists as long as this object does
    <name>.lock/<id>.1.<mode><kind><number>    its place in the queue, 19 digits
    <name>.lock/<id>.2.<beat>                  a sign of life, 6 digits

id: 24 hex digits, new for every attempt. mode: "x" exclusive, "s" shared. ttl: whole seconds, 0 for no lease. kind: "f"
is a mark that a fencing holder leaves, "p" is plain. Every key is written with one content only and never overwritten,
so a request that is sent twice, or arrives late, changes nothing.

The rules, which tests/model checks one by one (docs/lock.md says why they suffice):
 1. a ticket without a number is still choosing, and whoever conflicts with it waits;
 2. a number is larger than every number that is listed, those of tickets that are gone included;
 3. among conflicting tickets the smaller (number, id) goes first;
 4. a ticket of one's own that is not listed whole is lost;
 5. a number whose ticket is gone never blocks; it is removed only by a holder with a larger one, and a fencing mark
    only by a fencing holder;
 6. what a listing of keys and stamps says is all that counts: this module is pure, and holds for every store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

SUFFIX = ".lock/"
EXCLUSIVE = "x"
SHARED = "s"
NUMBER_MAX = 10**19 - 1
KEPT_BEATS = 2
_KEY = re.compile(r"([0-9a-f]{24})\.(?:0\.([xs])([0-9]{1,9})|1\.([xs])([fp])([0-9]{19})|2\.([0-9]{6}))", re.ASCII)
# What a key adds to the name of its lock, at most.
KEY_OVERHEAD = len(SUFFIX) + 24 + len(".1.xf") + 19


def announcement_key(prefix: str, ticket_id: str, mode: str, ttl_seconds: int) -> str:
    """The object that makes a ticket exist."""
    return f"{prefix}{ticket_id}.0.{mode}{ttl_seconds}"


def number_key(prefix: str, ticket_id: str, mode: str, number: int, *, is_mark: bool) -> str:
    """The object that gives a ticket its place."""
    return f"{prefix}{ticket_id}.1.{mode}{'f' if is_mark else 'p'}{number:019d}"


def beat_key(prefix: str, ticket_id: str, beat: int) -> str:
    """The object that says that a ticket's owner lives. Beats count from 1 and begin again after 999,999."""
    return f"{prefix}{ticket_id}.2.{(beat - 1) % 999_999 + 1:06d}"


class Ticket:
    """What a listing shows of one ticket."""

    __slots__ = ("id", "is_announced", "is_mark", "keys", "mode", "number", "stamp", "ttl")

    def __init__(self, ticket_id: str) -> None:
        """number: 0 while there is none. stamp: the newest LastModified of its objects, epoch seconds."""
        self.id = ticket_id
        self.is_announced = False
        self.mode = EXCLUSIVE
        self.ttl = 0
        self.number = 0
        self.is_mark = False
        self.stamp: float | None = None
        self.keys: list[str] = []

    @property
    def is_choosing(self) -> bool:
        """Whether it has no number yet."""
        return self.is_announced and self.number == 0

    def __repr__(self) -> str:
        state = f"number {self.number}" if self.number else "choosing"
        return f"<Ticket {self.id} {self.mode} {state if self.is_announced else 'gone'}>"


Tickets = Mapping[str, Ticket]


def read(entries: Iterable[tuple[str, float | None]], prefix: str) -> dict[str, Ticket]:
    """The tickets of a listing of (key, LastModified); whatever else is under the prefix is somebody else's."""
    tickets: dict[str, Ticket] = {}
    start = len(prefix)
    for key, stamp in entries:
        match = _KEY.fullmatch(key, start)
        if match is None or not key.startswith(prefix):
            continue
        ticket = tickets.get(match[1])
        if ticket is None:
            ticket = tickets[match[1]] = Ticket(match[1])
        ticket.keys.append(key)
        if stamp is not None and (ticket.stamp is None or stamp > ticket.stamp):
            ticket.stamp = stamp
        if match[2]:
            ticket.is_announced, ticket.mode, ticket.ttl = True, match[2], int(match[3])
        elif match[4]:
            ticket.mode, ticket.is_mark, ticket.number = match[4], match[5] == "f", int(match[6])
    return tickets


def conflict(mode: str, other: str) -> bool:
    """Whether two modes exclude each other: all but shared with shared."""
    return EXCLUSIVE in {mode, other}


def is_listed(tickets: Tickets, own_id: str) -> bool:
    """Whether a listing shows the ticket's announcement. One that does not show our own is not to be trusted."""
    own = tickets.get(own_id)
    return own is not None and own.is_announced


def may_hold_at_once(tickets: Tickets, own_id: str, mode: str) -> bool:
    """Whether nobody is there to wait for, so that a ticket without a number holds: whoever comes now waits for it.

    Not with a fencing token, which needs a number.
    """
    return not any(
        ticket.is_announced and ticket.id != own_id and conflict(ticket.mode, mode) for ticket in tickets.values()
    )


def next_number(tickets: Tickets) -> int:
    """A number larger than all that are listed."""
    return 1 + max((ticket.number for ticket in tickets.values()), default=0)


def is_intact(tickets: Tickets, own_id: str, number: int) -> bool:
    """Whether our own ticket is listed whole, and no other one would have the same fencing token."""
    own = tickets.get(own_id)
    if own is None or not own.is_announced or own.number != number:
        return False
    return not any(
        ticket.number == number and ticket.id[:8] == own_id[:8] and ticket.id != own_id for ticket in tickets.values()
    )


def blockers(tickets: Tickets, own_id: str, mode: str, number: int) -> list[Ticket]:
    """Whom a ticket has to wait for: conflicting ones that are still choosing, or that come first."""
    return [
        ticket
        for ticket in tickets.values()
        if ticket.is_announced
        and ticket.id != own_id
        and conflict(ticket.mode, mode)
        and (ticket.number == 0 or (ticket.number, ticket.id) < (number, own_id))
    ]


def superseded(tickets: Tickets, number: int, *, fencing: bool) -> list[str]:
    """The keys that a holder of this number removes: numbers of tickets that are gone, if they are smaller."""
    return [
        key
        for ticket in tickets.values()
        if not ticket.is_announced and 0 < ticket.number < number and (fencing or not ticket.is_mark)
        for key in ticket.keys
    ]


def superseded_beat(beat: int) -> int | None:
    """The beat to remove once this one is written: a listing that is not a snapshot must always meet one of two."""
    return beat - KEPT_BEATS if beat > KEPT_BEATS else None


def is_expired(ticket: Ticket, now: float | None, grace: float) -> bool:
    """Whether the ticket's owner must have given up, by the store's clock alone.

    now: the newest stamp of the judge's own ticket, so both readings are LastModified of the same store. grace covers
    how far two such readings may be apart: their granularity and the difference between storage nodes.
    """
    return ticket.ttl > 0 and now is not None and ticket.stamp is not None and now - ticket.stamp > ticket.ttl + grace


def renewed(deadline: float, sent: float, answered: float, ttl: float) -> float | None:
    """The deadline after a renewal, None when it came too late: others may have judged the old lease already.

    All on the owner's own clock. The lease counts from when the request was sent, because the store may have stamped
    the object any time since.
    """
    if answered >= deadline:
        return None
    return max(deadline, sent + ttl)


def is_clock_fit(first: float, newest: float, at_least: float, at_most: float) -> bool:
    """Whether the stamps of our own objects go with our own clock, which counted at_least … at_most seconds between."""
    tolerance = 5.0
    return first + at_least - tolerance <= newest <= first + at_most + tolerance


def fencing_token(number: int, ticket_id: str) -> int:
    """What is strictly larger than the token of every earlier exclusive holder: 63 bits for the first 2**31 numbers."""
    return (number << 32) | int(ticket_id[:8], 16)


class Standing(NamedTuple):
    """A ticket's part in the queue. state: "holding", "waiting" or "choosing"; position: how many it waits for."""

    ticket: Ticket
    state: str
    position: int


def standings(tickets: Tickets) -> list[Standing]:
    """All tickets that exist, those that hold first."""
    found = []
    for ticket in tickets.values():
        if not ticket.is_announced:
            continue
        if ticket.is_choosing:
            # Without a number it may hold as well, if it came to an empty queue and asked for no more.
            rivals = [other for other in tickets.values() if other.is_announced and other is not ticket]
            found.append(Standing(ticket, "choosing", len(rivals)))
            continue
        ahead = len(blockers(tickets, ticket.id, ticket.mode, ticket.number))
        found.append(Standing(ticket, "waiting" if ahead else "holding", ahead))
    order = {"holding": 0, "waiting": 1, "choosing": 2}
    return sorted(found, key=lambda row: (order[row.state], row.ticket.number, row.ticket.id))
