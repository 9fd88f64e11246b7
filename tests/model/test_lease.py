"""Leases: no two holders whatever the clocks and the network do within their bounds, and each rule removed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from s3func.lock import tickets
from tests.model.explore import explore
from tests.model.lease import Lease


def test_no_two_holders() -> None:
    """With a grace that covers the error of two stamps: renewals, late answers, a death anywhere, and judgements."""
    verdict = explore(Lease(crashes=1), is_liveness_checked=False)
    assert "" == verdict.wrong, verdict


def test_the_dead_hold_nobody_up() -> None:
    """From everywhere there is a way for all who live to finish, though one dies anywhere."""
    verdict = explore(Lease(crashes=1, beats=False, stamp_error=0))
    assert "" == verdict.wrong, verdict


def test_no_two_valid_leases() -> None:
    """Stopped for any while, with renewals under way that go on without it: never two leases that are valid."""
    verdict = explore(Lease(pauses=1, counts_paused=False, stamp_error=1), is_liveness_checked=False)
    assert "" == verdict.wrong, verdict


def test_a_stopped_holder_is_fenced_off() -> None:
    """Stopped for any while between check and write: never two valid leases, and no write behind a larger token."""
    verdict = explore(
        Lease(pauses=1, beats=False, counts_paused=False, writes=True, is_fenced=True, stamp_error=1),
        is_liveness_checked=False,
    )
    assert "" == verdict.wrong, verdict


CONTROLS: dict[str, tuple[Callable[[], Lease], str]] = {
    "grace covers the error of stamps": (lambda: Lease(grace=0), "TWO HOLDERS"),
    "an owner obeys its own deadline": (lambda: Lease(obeys_deadline=False, beats=False), "TWO HOLDERS"),
    "a lease counts from the send": (lambda: Lease(counts_from_send=False), "TWO HOLDERS"),
    "a stopped holder cannot know": (lambda: Lease(pauses=1, beats=False), "TWO HOLDERS"),
    "a resource without fence is not safe": (
        lambda: Lease(pauses=1, beats=False, counts_paused=False, writes=True),
        "STALE WRITE",
    ),
    "the number of the dead stays": (
        lambda: Lease(pauses=1, beats=False, counts_paused=False, writes=True, is_fenced=True, keeps_mark=False),
        "TOKEN NOT LARGER",
    ),
}


@pytest.mark.parametrize("rule", CONTROLS)
def test_every_rule_is_needed(rule: str) -> None:
    """Without the rule, the checker finds the harm that the rule is there for."""
    model, harm = CONTROLS[rule]
    verdict = explore(model(), is_liveness_checked=False)
    assert harm == verdict.wrong, verdict


def test_a_late_renewal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal whose answer is read after the deadline, by a holder that was stopped, would make two valid leases."""
    monkeypatch.setattr(tickets, "renewed", lambda deadline, sent, answered, ttl: max(deadline, sent + ttl))
    verdict = explore(Lease(pauses=1, counts_paused=False), is_liveness_checked=False)
    assert "TWO HOLDERS" == verdict.wrong, verdict


def test_dead_is_judged_by_one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge whose own clock is three ticks ahead of the store's stamps removes the living."""

    def hasty(ticket: tickets.Ticket, now: float | None, grace: float) -> bool:
        return now is not None and ticket.stamp is not None and now + 3 - ticket.stamp > ticket.ttl + grace

    monkeypatch.setattr(tickets, "is_expired", hasty)
    verdict = explore(Lease(), is_liveness_checked=False)
    assert "TWO HOLDERS" == verdict.wrong, verdict


class Rotation(NamedTuple):
    """A holder renews while a judge lists key by key, in any order: written beats, those there, those not yet read."""

    beat: int
    present: frozenset[int]
    unread: frozenset[int]
    to_delete: int | None
    is_seen: bool


class Beats:
    """At most one renewal falls into one listing, because they are a third of the ttl apart."""

    def initial(self) -> Rotation:
        beats: set[int] = set()
        for beat in range(1, 4):
            beats |= {beat}
            beats -= {tickets.superseded_beat(beat) or 0}
        return Rotation(3, frozenset(beats), frozenset(range(1, 5)), None, False)

    def successors(self, state: Rotation) -> Any:
        if state.beat == 3:
            beat = state.beat + 1
            written = state._replace(beat=beat, present=state.present | {beat}, to_delete=tickets.superseded_beat(beat))
            yield f"PUT {beat}", written
        if state.to_delete is not None:
            yield f"DELETE {state.to_delete}", state._replace(present=state.present - {state.to_delete}, to_delete=None)
        for beat in state.unread:
            seen = state.is_seen or beat in state.present
            yield f"reads {beat}: {beat in state.present}", state._replace(unread=state.unread - {beat}, is_seen=seen)

    def wrong(self, state: Rotation) -> str:
        return "" if state.unread or state.is_seen else "NO SIGN OF LIFE"

    def is_done(self, state: Rotation) -> bool:
        return True


def test_a_listing_always_meets_a_beat() -> None:
    """Whatever the order of reading and renewing, one of the beats is seen."""
    verdict = explore(Beats())
    assert "" == verdict.wrong, verdict


def test_one_beat_would_be_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If only the newest beat stayed, a living holder could look dead."""
    monkeypatch.setattr(tickets, "KEPT_BEATS", 1)
    verdict = explore(Beats())
    assert "NO SIGN OF LIFE" == verdict.wrong, verdict
