"""The lock's production code, run in every order that there is, and each of its rules removed once.

A control is a rule taken away: the checker must then find something wrong, or the rule would be no rule and the checker
no check. What is found first is a shortest trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from s3func.lock import tickets
from s3func.lock.tickets import Ticket, Tickets
from tests.model.explore import Verdict, explore
from tests.model.production import Worker
from tests.model.queue import Queue

# Ids decide between equal numbers: the second worker's come first, the third one's last.
A, B, C = Worker(first_hex=1), Worker(first_hex=0), Worker(first_hex=2)
TWICE: dict[str, Any] = {"rounds": 2}
SHARED: dict[str, Any] = {"mode": "s"}
PLAIN: dict[str, Any] = {"fencing": False}
FAST: dict[str, Any] = {"fencing": False, "fast": True}


def those(*workers: Worker, **changes: Any) -> list[Worker]:
    """The workers, all changed alike."""
    return [worker._replace(**changes) for worker in workers]


SAFE: dict[str, Callable[[], Queue]] = {
    "two, twice": lambda: Queue(*those(A, B, **TWICE), scan="keys", checks_order=True),
    "two, twice, listed from two places": lambda: Queue(*those(A, B, **TWICE), scan="kinds", checks_order=True),
    "two, twice, the other way round": lambda: Queue(*those(A, B, **TWICE), scan="kinds reversed", checks_order=True),
    "three": lambda: Queue(A, B, C, scan="keys", checks_order=True),
    "three, listed from two places": lambda: Queue(A, B, C, scan="kinds", checks_order=True),
    "three, twice": lambda: Queue(*those(A, B, C, **TWICE)),
    "exclusive and shared, twice": lambda: Queue(
        A._replace(**TWICE), B._replace(**TWICE, **SHARED), scan="keys", checks_order=True
    ),
    "one exclusive, two shared": lambda: Queue(A, *those(B, C, **SHARED), scan="keys", checks_order=True),
    "two exclusive, one shared, twice": lambda: Queue(*those(A, B, **TWICE), C._replace(**SHARED)),
    "fencing and plain": lambda: Queue(A._replace(**TWICE), B._replace(**TWICE, **PLAIN), C._replace(**TWICE)),
    "fencing and plain, listed from two places": lambda: Queue(A, B._replace(**PLAIN), C, scan="kinds"),
    "ends anywhere, puts come late": lambda: Queue(*those(A, B, **TWICE), crashes=1, late=1, scan="keys"),
    "ends anywhere, from two places": lambda: Queue(*those(A, B, **TWICE), crashes=1, late=1, scan="kinds"),
    "three, two end, a put comes late": lambda: Queue(A, B, C, crashes=2, late=1),
    "answers are lost, puts come late": lambda: Queue(A, B, crashes=1, late=1, lost=1),
    "waiting tickets are broken": lambda: Queue(A, B, C, breaks=1),
    "numbers are deleted by mistake": lambda: Queue(*those(A, B, **TWICE), breaks=1, mistakes=1),
    "ids begin alike": lambda: Queue(*those(A, B, first_hex=0, rounds=2), scan="keys"),
    "the fast way, three": lambda: Queue(*those(A, B, C, **FAST), scan="keys"),
    "the fast way, shared and exclusive": lambda: Queue(
        A._replace(**FAST), B._replace(**FAST, **SHARED), C._replace(**FAST), scan="kinds"
    ),
    "the fast way, everything goes wrong": lambda: Queue(*those(A, B, **FAST), crashes=1, late=1, lost=1),
    "the fast way, tickets are broken": lambda: Queue(*those(A, B, **FAST, **TWICE), breaks=2),
}


@pytest.mark.parametrize("name", SAFE)
def test_nothing_goes_wrong(name: str) -> None:
    """No two holders, tokens that only grow, nobody overtaken, and from everywhere a way for all to finish."""
    verdict = explore(SAFE[name]())
    assert "" == verdict.wrong, verdict


def test_one_of_those_who_try_gets_a_free_lock() -> None:
    """Of three that do not want to wait, all at once on a free lock, never does everybody leave empty-handed.

    Nor does anything else go wrong.
    """

    class Tries(Queue):
        def wrong(self, state: Any) -> str:
            return super().wrong(state) or ("NOBODY" if self.is_done(state) and state.token < 0 else "")

    verdict = explore(Tries(*those(A, B, C, tries=True), scan="keys"))
    assert "" == verdict.wrong, verdict


def blockers_with_number(listed: Tickets, own_id: str, mode: str, number: int) -> list[Ticket]:
    return [ticket for ticket in REAL["blockers"](listed, own_id, mode, number) if ticket.number]


def blockers_by_number_alone(listed: Tickets, own_id: str, mode: str, number: int) -> list[Ticket]:
    rivals = REAL["blockers"](listed, own_id, mode, tickets.NUMBER_MAX)
    return [ticket for ticket in rivals if ticket.number < number]


def blockers_by_id_alone(listed: Tickets, own_id: str, mode: str, number: int) -> list[Ticket]:
    rivals = REAL["blockers"](listed, own_id, mode, tickets.NUMBER_MAX)
    return [ticket for ticket in rivals if ticket.number == 0 or ticket.id < own_id]


def number_above_the_living(listed: Tickets) -> int:
    return 1 + max((ticket.number for ticket in listed.values() if ticket.is_announced), default=0)


def intact_if_announced(listed: Tickets, own_id: str, number: int) -> bool:
    return own_id in listed and listed[own_id].is_announced


def intact_without_looking_at_tokens(listed: Tickets, own_id: str, number: int) -> bool:
    return intact_if_announced(listed, own_id, number) and listed[own_id].number == number


def superseded_of_any_number(listed: Tickets, number: int, *, fencing: bool) -> list[str]:
    return REAL["superseded"](listed, tickets.NUMBER_MAX, fencing=fencing)  # type: ignore[no-any-return]


def superseded_marks_as_well(listed: Tickets, number: int, *, fencing: bool) -> list[str]:
    return REAL["superseded"](listed, number, fencing=True)  # type: ignore[no-any-return]


REAL: dict[str, Any] = {name: getattr(tickets, name) for name in ("blockers", "superseded")}

# The rule that is taken away: the function, what stands in for it, the model, and what must be found.
CONTROLS: dict[str, tuple[str, Callable[..., Any], Callable[[], Queue], str]] = {
    "who is choosing is waited for": (
        "blockers",
        blockers_with_number,
        lambda: Queue(A, B, checks_tokens=False),
        "TWO HOLDERS",
    ),
    "equal numbers are decided by the id": (
        "blockers",
        blockers_by_number_alone,
        lambda: Queue(A, B, checks_tokens=False),
        "TWO HOLDERS",
    ),
    "the number comes before the id": (
        "blockers",
        blockers_by_id_alone,
        lambda: Queue(A, B, checks_order=True),
        "OVERTAKEN",
    ),
    "numbers of those who are gone count": (
        "next_number",
        number_above_the_living,
        lambda: Queue(*those(A, B, **TWICE)),
        "TOKEN NOT LARGER",
    ),
    "numbers grow": ("next_number", lambda listed: 1, lambda: Queue(A, B, checks_order=True), "OVERTAKEN"),
    "shared gives way to exclusive": (
        "conflict",
        lambda mode, other: mode == tickets.EXCLUSIVE,
        lambda: Queue(A, B._replace(**SHARED)),
        "TWO HOLDERS",
    ),
    "a ticket that was broken is lost": (
        "is_intact",
        lambda *_: True,
        lambda: Queue(A, B, breaks=1, checks_tokens=False),
        "TWO HOLDERS",
    ),
    "a ticket without its number is lost": (
        "is_intact",
        intact_if_announced,
        lambda: Queue(A, B, mistakes=1),
        "TOKEN NOT LARGER",
    ),
    "no two tickets have one token": (
        "is_intact",
        intact_without_looking_at_tokens,
        lambda: Queue(*those(A, B, first_hex=0)),
        "TOKEN NOT LARGER",
    ),
    "a listing without our own ticket is not trusted": (
        "is_listed",
        lambda *_: True,
        lambda: Queue(*those(A, B, **FAST), breaks=1),
        "TWO HOLDERS",
    ),
    "the fast way is for an empty queue": (
        "may_hold_at_once",
        lambda *_: True,
        lambda: Queue(*those(A, B, **FAST)),
        "TWO HOLDERS",
    ),
    "only smaller numbers are removed": (
        "superseded",
        superseded_of_any_number,
        lambda: Queue(A, B, C, scan="kinds"),
        "TOKEN NOT LARGER",
    ),
    "a plain holder leaves fencing marks alone": (
        "superseded",
        superseded_marks_as_well,
        lambda: Queue(A, B._replace(**PLAIN), C),
        "TOKEN NOT LARGER",
    ),
    "a token needs a number": ("conflict", tickets.conflict, lambda: TokenOfTheFastWay(*those(A, B, **FAST)), "TOKEN"),
    "a token needs a mark that stays": (
        "conflict",
        tickets.conflict,
        lambda: TokenOfTheFastWay(*those(A, B, **PLAIN, **TWICE)),
        "TOKEN",
    ),
    "the dead are removed": (
        "conflict",
        tickets.conflict,
        lambda: Queue(A, B, crashes=1, expiry=False),
        "LOCKED OUT",
    ),
    "a listing shows what was put before": (
        "conflict",
        tickets.conflict,
        lambda: Lagging(*those(A, B, **FAST)),
        "TWO HOLDERS",
    ),
}


class TokenOfTheFastWay(Queue):
    """Looks at the tokens of holders that ask for none."""

    def _pass(self, state: Any, number: int, step: Any) -> Any:
        label, after = super()._pass(state, number, step)
        if hasattr(step, "token"):
            wrong = "TOKEN NOT LARGER" if step.token <= state.token else ""
            after = after._replace(token=max(step.token, state.token), wrong=after.wrong or wrong)
        return label, after


class Lagging(Queue):
    """A listing may leave out everything that is not the worker's own: what the lock asks of a store does not hold."""

    def _list(self, state: Any, number: int) -> Any:
        own = self.automata[number].locals[state.locals[number]].ticket_id
        view = tuple(key for key in self._view(state.keys) if own in key)
        return f"W{number} LIST, late", self._advance(state, number, view)


@pytest.mark.parametrize("rule", CONTROLS)
def test_every_rule_is_needed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule, the checker finds the harm that the rule is there for."""
    name, replacement, model, harm = CONTROLS[rule]
    monkeypatch.setattr(tickets, name, replacement)
    verdict: Verdict = explore(model())
    assert verdict.wrong.startswith(harm), verdict
