"""Hundreds of seeded worlds, and the same ones with a rule of the protocol removed, which must then go wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from s3func.lock import tickets
from s3func.lock.core import Bakery
from tests.simulation.world import World, run

SEEDS = range(400)


def test_nothing_goes_wrong() -> None:
    """No two valid leases conflict, tokens grow, fenced writes lose nothing, all who live finish, the bucket is clean."""
    wrong, totals = run(SEEDS)
    assert [] == wrong
    # Worlds in which nothing happens would prove nothing.
    assert totals.sections > 3000
    assert totals.lost > 100
    assert totals.rejected > 10


def test_a_seed_is_all_there_is() -> None:
    """The same seed makes the same world, request for request: that is how a failure is looked into."""
    assert World(7).run() == World(7).run()


def without_choosing(listed: tickets.Tickets, own_id: str, mode: str, number: int) -> list[tickets.Ticket]:
    return [ticket for ticket in REAL_BLOCKERS(listed, own_id, mode, number) if ticket.number]


REAL_BLOCKERS = tickets.blockers
CONTROLS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "who is choosing is waited for": (tickets, "blockers", without_choosing),
    "the living are left alone": (
        tickets,
        "is_expired",
        lambda ticket, now, grace: now is not None and now - ticket.stamp > ticket.ttl / 2,
    ),
    "an owner obeys its own deadline": (Bakery, "is_valid", lambda self, own: True),
    "numbers of those who are gone count": (
        tickets,
        "next_number",
        lambda listed: 1 + max((ticket.number for ticket in listed.values() if ticket.is_announced), default=0),
    ),
}


@pytest.mark.parametrize("rule", CONTROLS)
def test_every_rule_is_needed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule, some world goes wrong."""
    owner, name, replacement = CONTROLS[rule]
    monkeypatch.setattr(owner, name, replacement)
    wrong, _ = run(range(2000), only_first=True)
    assert wrong
