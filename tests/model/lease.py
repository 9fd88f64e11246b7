"""Leases in discrete time: two workers that queue, hold, renew, stop for any while and die, and judge each other dead.

What is decided is decided by the production functions: `renewed`, `is_expired`, `next_number`, `is_intact`, `blockers`.
The rest is what they are asked about: requests take any time in either direction, a stamp reads right or `stamp_error`
ticks too old, the clocks of the workers only agree on how long a tick is. A paused worker's requests that are under way
go on. Ages, deadlines and the times since something was sent are counted in ticks, up to where they make no difference.

Places: idle; announcing, announced (put under way, answer under way); doorway; numbering, numbered; waiting; called (the
listing says it is its turn, and is under way to it); holding; leaving (its own ticket is to be deleted); done; dead.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from s3func.lock import tickets
from s3func.lock.tickets import Ticket

IDS = ("b" * 24, "a" * 24)
"""The later worker has the smaller id."""


class Mate(NamedTuple):
    """One worker and its ticket. age: of its newest stamp as it reads; left: of its lease; sent, beat: since the send."""

    place: str = "idle"
    announced: bool = False
    number: int = 0
    choice: int = 0
    age: int = 0
    left: int = 0
    sent: int = 0
    beat: int = -1
    is_beat_stored: bool = False
    is_paused: bool = False
    is_checked: bool = False
    token: int = 0


class Room(NamedTuple):
    """mark: the largest number whose ticket is gone. issued, written: the largest token given out, and seen by the
    resource, as (number, id rank).
    """

    mates: tuple[Mate, Mate]
    mark: int = 0
    issued: tuple[int, int] = (0, -1)
    written: tuple[int, int] = (0, -1)
    crashes: int = 0
    pauses: int = 0
    wrong: str = ""


GIVEN_UP: dict[str, Any] = {"choice": 0, "sent": 0, "left": 0, "beat": -1, "is_beat_stored": False, "is_checked": False}
SENDING = {"announcing", "announced", "numbering", "numbered"}
RENEWING = {"waiting", "holding"}


class Lease:
    """The model. The switches below `writes` are its controls: each removes a rule that owners keep."""

    def __init__(
        self,
        *,
        ttl: int = 2,
        grace: int = 1,
        stamp_error: int = 2,
        crashes: int = 0,
        pauses: int = 0,
        counts_paused: bool = True,
        beats: bool = True,
        writes: bool = False,
        is_fenced: bool = False,
        obeys_deadline: bool = True,
        counts_from_send: bool = True,
        keeps_mark: bool = True,
    ) -> None:
        self.ttl, self.grace, self.errors = ttl, grace, sorted({0, stamp_error})
        self.crashes, self.pauses = crashes, pauses
        self.counts_paused, self.beats, self.writes, self.is_fenced = counts_paused, beats, writes, is_fenced
        self.obeys_deadline, self.counts_from_send, self.keeps_mark = obeys_deadline, counts_from_send, keeps_mark
        # A judge's own stamp is at most ttl + stamp_error old, so that what is older than this is dead to every judge.
        self.age_max = 2 * ttl + grace + stamp_error + 1
        # Decisions are functions of small arguments, so each is taken once; a model is made anew for each control.
        self.renewed = cache(tickets.renewed)
        self.judge = cache(self._judge)
        self.turn = cache(self._turn)

    def initial(self) -> Room:
        return Room((Mate(), Mate()), crashes=self.crashes, pauses=self.pauses)

    def is_done(self, room: Room) -> bool:
        return all(mate.place in {"done", "dead"} for mate in room.mates)

    def wrong(self, room: Room) -> str:
        inside = [
            mate
            for mate in room.mates
            if mate.place == "holding" and (self.counts_paused or (not mate.is_paused and mate.left > 0))
        ]
        return room.wrong or ("TWO HOLDERS" if len(inside) > 1 else "")

    # --- the production decisions

    def _judge(self, age: int, own_age: int) -> bool:
        ticket = Ticket(IDS[0])
        ticket.is_announced, ticket.ttl, ticket.stamp = True, self.ttl, float(-age)
        return tickets.is_expired(ticket, float(-own_age), self.grace)

    def _turn(self, me: int, mine: tuple[bool, int], other: tuple[bool, int], number: int) -> bool | None:
        listed = self._listed((mine, other) if me == 0 else (other, mine))
        if not tickets.is_intact(listed, IDS[me], number):
            return None
        return not tickets.blockers(listed, IDS[me], tickets.EXCLUSIVE, number)

    @staticmethod
    def _listed(pair: tuple[tuple[bool, int], tuple[bool, int]], mark: int = 0) -> dict[str, Ticket]:
        listed = {}
        for ticket_id, (announced, number) in zip((*IDS, "c" * 24), (*pair, (False, mark)), strict=True):
            if announced or number:
                ticket = listed[ticket_id] = Ticket(ticket_id)
                ticket.is_announced, ticket.number = announced, number
        return listed

    def _number(self, room: Room) -> int:
        one, other = room.mates
        return tickets.next_number(
            self._listed(((one.announced, one.number), (other.announced, other.number)), room.mark)
        )

    def _left(self, mate: Mate, sent_ago: int, *, first: bool = False) -> int | None:
        """What is left of the lease after the answer to a put: renewed() on the worker's own clock, which shows 0."""
        sent = -sent_ago if self.counts_from_send else 0
        if first:
            return max(sent + self.ttl, 0)
        deadline = self.renewed(float(mate.left), float(sent), 0.0, float(self.ttl))
        return None if deadline is None else int(deadline)

    # --- what can happen

    def successors(self, room: Room) -> Iterator[tuple[str, Room]]:
        yield from self._tick(room)
        for me, mate in enumerate(room.mates):
            yield from self._requests(room, me, mate)
            if mate.is_paused:
                yield f"W{me} goes on", self._with(room, me, mate._replace(is_paused=False))
                continue
            if room.pauses and mate.place in {"called", "holding"}:
                yield f"W{me} stops", self._with(room, me, mate._replace(is_paused=True), pauses=room.pauses - 1)
            if room.crashes and mate.place not in {"idle", "done", "dead"}:
                dead = mate._replace(place="dead", token=0, **GIVEN_UP)
                yield f"W{me} dies", self._with(room, me, dead, crashes=room.crashes - 1)
            yield from self._beats(room, me, mate)
            yield from getattr(self, f"_{mate.place}", self._nothing)(room, me, mate)

    def _nothing(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        return iter(())

    def _with(self, room: Room, me: int, mate: Mate, **changes: object) -> Room:
        mates = (mate, room.mates[1]) if me == 0 else (room.mates[0], mate)
        return _small(room._replace(mates=mates, **changes))  # type: ignore[arg-type]

    def _is_over(self, mate: Mate) -> bool:
        return self.obeys_deadline and mate.left <= 0

    def _tick(self, room: Room) -> Iterator[tuple[str, Room]]:
        # Whoever holds, and is not stopped, leaves before its deadline and not after it.
        if self.obeys_deadline and any(
            mate.place == "holding" and not mate.is_paused and mate.left <= 1 for mate in room.mates
        ):
            return
        later = tuple(
            mate._replace(
                age=min(mate.age + 1, self.age_max) if mate.announced else 0,
                left=max(mate.left - 1, 0),
                sent=min(mate.sent + 1, self.ttl) if mate.place in SENDING else 0,
                beat=min(mate.beat + 1, self.ttl) if mate.beat >= 0 else -1,
            )
            for mate in room.mates
        )
        if later != room.mates:
            yield "a tick", _small(room._replace(mates=later))  # type: ignore[arg-type]

    def _requests(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        """Requests under way arrive, also those of a worker that has stopped."""
        for error in self.errors:
            age = error if mate.announced else 0
            if mate.beat >= 0 and not mate.is_beat_stored:
                yield f"W{me} beat stored", self._with(room, me, mate._replace(is_beat_stored=True, age=age))
            if mate.place == "announcing":
                stored = mate._replace(place="announced", announced=True, age=error)
                yield f"W{me} announcement stored", self._with(room, me, stored)
            elif mate.place == "numbering":
                stored = mate._replace(place="numbered", number=mate.choice, choice=0, age=age)
                yield f"W{me} number stored", self._with(room, me, stored)

    def _beats(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        if mate.place not in RENEWING:
            return
        # Nobody renews what was renewed in the same tick.
        if self.beats and mate.beat < 0 and mate.left < self.ttl and not self._is_over(mate):
            yield f"W{me} sends beat", self._with(room, me, mate._replace(beat=0, is_beat_stored=False))
        if mate.beat >= 0 and mate.is_beat_stored:
            left = self._left(mate, mate.beat)
            answered = mate._replace(beat=-1, is_beat_stored=False)
            if left is not None:
                answered = answered._replace(left=left)
            yield f"W{me} beat answered, {answered.left} left", self._with(room, me, answered)

    def _idle(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        yield f"W{me} sends announcement", self._with(room, me, mate._replace(place="announcing", sent=0))

    def _announced(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        left = self._left(mate, mate.sent, first=True) or 0
        place = "doorway" if left > 0 or not self.obeys_deadline else "leaving"
        yield (
            f"W{me} announcement answered, {left} left",
            self._with(room, me, mate._replace(place=place, left=left, sent=0)),
        )

    def _doorway(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        if self._is_over(mate) or not mate.announced:
            yield f"W{me} gives up", self._with(room, me, mate._replace(place="leaving", **GIVEN_UP))
        else:
            chosen = mate._replace(place="numbering", choice=self._number(room), sent=0)
            yield f"W{me} takes number {chosen.choice}", self._with(room, me, chosen)

    def _numbered(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        left = self._left(mate, mate.sent)
        if left is None or (self.obeys_deadline and left <= 0):
            yield f"W{me} number answered too late", self._with(room, me, mate._replace(place="leaving", **GIVEN_UP))
        else:
            yield f"W{me} number answered", self._with(room, me, mate._replace(place="waiting", left=left, sent=0))

    def _waiting(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        if mate.beat >= 0:
            # Who waits does one thing at a time; what came of a renewal that failed is not known.
            yield f"W{me} beat fails", self._with(room, me, mate._replace(beat=-1, is_beat_stored=False))
            return
        other = room.mates[1 - me]
        turn = self.turn(me, (mate.announced, mate.number), (other.announced, other.number), mate.number)
        if self._is_over(mate) or turn is None:
            yield f"W{me} gives up", self._with(room, me, mate._replace(place="leaving", **GIVEN_UP))
            return
        if turn:
            yield f"W{me} is called", self._with(room, me, mate._replace(place="called"))
        if other.announced and self.judge(other.age, mate.age):
            removed = other._replace(announced=False, number=0, age=0)
            mark = max(room.mark, other.number) if self.keeps_mark else room.mark
            yield f"W{me} removes W{1 - me}", self._with(room, 1 - me, removed, mark=mark)

    def _called(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        if self._is_over(mate):
            yield f"W{me} called too late", self._with(room, me, mate._replace(place="leaving", **GIVEN_UP))
            return
        token = (mate.number, 1 - me)
        wrong = "TOKEN NOT LARGER" if mate.announced and token <= room.issued else ""
        holding = mate._replace(place="holding", token=mate.number)
        yield f"W{me} holds", self._with(room, me, holding, issued=max(room.issued, token), wrong=wrong)

    def _holding(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        over = self._is_over(mate)
        if self.writes and mate.is_checked:
            yield self._write(room, me, mate)
        elif self.writes and not over:
            yield f"W{me} checks its lease", self._with(room, me, mate._replace(is_checked=True))
        word = "has lost it" if over else "leaves"
        yield f"W{me} {word}", self._with(room, me, mate._replace(place="leaving", **GIVEN_UP))

    def _write(self, room: Room, me: int, mate: Mate) -> tuple[str, Room]:
        token = (mate.token, 1 - me)
        written = mate._replace(is_checked=False)
        if token < room.written:
            wrong = "" if self.is_fenced else "STALE WRITE"
            return f"W{me} writes late", self._with(room, me, written, wrong=wrong)
        return f"W{me} writes", self._with(room, me, written, written=token)

    def _leaving(self, room: Room, me: int, mate: Mate) -> Iterator[tuple[str, Room]]:
        was_inside = mate.token > 0
        gone = mate._replace(
            place="done" if was_inside else "idle", announced=False, number=0, age=0, token=0, choice=0
        )
        mark = max(room.mark, mate.number) if self.keeps_mark else room.mark
        yield f"W{me} deletes its ticket", self._with(room, me, gone, mark=mark)


def _small(room: Room) -> Room:
    """Numbers only count by their order, so each is replaced by its rank: the room stays finite."""
    one, other = room.mates
    own = {0, one.number, one.choice, one.token, room.mark, room.issued[0]}
    values = own.union((other.number, other.choice, other.token, room.written[0]))
    if max(values) == len(values) - 1:
        return room
    rank = {value: place for place, value in enumerate(sorted(values))}
    mates = tuple(
        mate._replace(number=rank[mate.number], choice=rank[mate.choice], token=rank[mate.token]) for mate in room.mates
    )
    return room._replace(
        mates=mates,  # type: ignore[arg-type]
        mark=rank[room.mark],
        issued=(rank[room.issued[0]], room.issued[1]),
        written=(rank[room.written[0]], room.written[1]),
    )
