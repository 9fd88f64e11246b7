"""The queue without time: workers that run the production code, a store, and everything that may go wrong between them.

What can happen in any order: the steps of the workers; a listing that is no snapshot (`scan`): it reads one key at a
time while others write ("keys"), or from two places of which one was read earlier, first the announcements and then the
numbers ("kinds") or the other way round ("kinds reversed"); a put that is carried out a second time, at any later moment (`late`); a put or delete whose answer is lost, or
that never arrives (`lost`); a worker that ends anywhere (`crashes`), and then, or when a late put brings a ticket back to
life, its removal by whoever judges it dead (`expiry`: when that is allowed is the business of lease.py); a ticket that
waits and is broken by hand (`breaks`); a number that somebody deletes by mistake (`mistakes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from s3func.lock import tickets
from s3func.lock.core import Delete, Listing, Put
from tests.model.production import FAILED, PREFIX, Automaton, Enter, Exit, Worker


class Budget(NamedTuple):
    """How often each of them may happen in one run."""

    crashes: int = 0
    late: int = 0
    lost: int = 0
    breaks: int = 0
    mistakes: int = 0


class State(NamedTuple):
    """keys: a bit for each key in the store. late: the same, of puts that are still to come. behind: who came when whom
    was in the queue already, as bits.
    """

    locals: tuple[int, ...]
    scans: tuple[tuple[str, ...] | None, ...]
    crashed: int
    keys: int
    late: int
    token: int
    behind: tuple[int, ...]
    budget: Budget
    wrong: str


class Queue:
    """The model."""

    def __init__(
        self,
        *workers: Worker,
        scan: str = "",
        expiry: bool = True,
        checks_order: bool = False,
        checks_tokens: bool = True,
        **budget: int,
    ) -> None:
        self.automata = [Automaton(worker, number) for number, worker in enumerate(workers)]
        self.scan = scan
        self.expiry = expiry
        self.checks_order = checks_order
        self.checks_tokens = checks_tokens
        self.budget = Budget(**budget)
        self.names: list[str] = []
        self._bits: dict[str, int] = {}
        self._views: dict[int, tuple[str, ...]] = {}

    def initial(self) -> State:
        count = len(self.automata)
        starts = tuple(automaton.start for automaton in self.automata)
        return State(starts, (None,) * count, 0, 0, 0, -1, (0,) * count, self.budget, "")

    def wrong(self, state: State) -> str:
        if state.wrong:
            return state.wrong
        inside = [
            automaton
            for number, automaton in enumerate(self.automata)
            if isinstance(automaton.locals[state.locals[number]].step, Exit) and not state.crashed >> number & 1
        ]
        if any(
            tickets.EXCLUSIVE in {one.worker.mode, other.worker.mode}
            for place, one in enumerate(inside)
            for other in inside[:place]
        ):
            return "TWO HOLDERS"
        return ""

    def is_done(self, state: State) -> bool:
        return all(
            state.crashed >> number & 1 or automaton.locals[state.locals[number]].step is None
            for number, automaton in enumerate(self.automata)
        )

    def successors(self, state: State) -> Iterator[tuple[str, State]]:
        yield from self._misfortunes(state)
        for number, automaton in enumerate(self.automata):
            local = automaton.locals[state.locals[number]]
            if local.step is None or state.crashed >> number & 1:
                continue
            name = f"W{number}"
            if state.budget.crashes:
                budget = state.budget._replace(crashes=state.budget.crashes - 1)
                scans = _with(state.scans, number, None)
                yield f"{name} ends", state._replace(crashed=state.crashed | 1 << number, budget=budget, scans=scans)
            step = local.step
            if isinstance(step, Put):
                yield from self._put(state, number, step.key)
            elif isinstance(step, Delete):
                keys = state.keys & ~self._bit(step.key)
                yield f"{name} DELETE {_short(step.key)}", self._advance(state, number, False, keys=keys)
                if state.budget.lost:
                    budget = state.budget._replace(lost=state.budget.lost - 1)
                    yield f"{name} DELETE fails", self._advance(state, number, FAILED, budget=budget)
            elif isinstance(step, Listing):
                yield self._list(state, number)
            else:
                yield self._pass(state, number, step)

    # --- the store

    def _bit(self, key: str) -> int:
        bit = self._bits.get(key)
        if bit is None:
            bit = self._bits[key] = 1 << len(self.names)
            self.names.append(key)
            self._views.clear()
        return bit

    def _view(self, keys: int) -> tuple[str, ...]:
        view = self._views.get(keys)
        if view is None:
            view = tuple(sorted(name for place, name in enumerate(self.names) if keys >> place & 1))
            self._views[keys] = view
        return view

    def _put(self, state: State, number: int, key: str) -> Iterator[tuple[str, State]]:
        bit, budget = self._bit(key), state.budget
        label = f"W{number} PUT {_short(key)}"
        if self.checks_order and ".0." in key:
            state = state._replace(behind=_with(state.behind, number, self._queueing(state, number)))
        keys = state.keys | bit
        yield label, self._advance(state, number, None, keys=keys)
        if budget.late:
            less = budget._replace(late=budget.late - 1)
            yield (
                f"{label}, sent twice",
                self._advance(state, number, None, keys=keys, late=state.late | bit, budget=less),
            )
        if budget.lost:
            less = budget._replace(lost=budget.lost - 1)
            yield f"{label}, answer lost", self._advance(state, number, FAILED, keys=keys, budget=less)
            yield (
                f"{label} fails and comes later",
                self._advance(state, number, FAILED, late=state.late | bit, budget=less),
            )

    def _list(self, state: State, number: int) -> tuple[str, State]:
        name = f"W{number} LIST"
        if not self.scan:
            return name, self._advance(state, number, self._view(state.keys))
        if self.scan != "keys":
            return self._list_by_kind(state, number)
        read = state.scans[number] or ()
        last = read[-1] if read else ""
        key = next((key for key in self._view(state.keys) if key > last), None)
        if key is not None:
            return f"{name} reads {_short(key)}", state._replace(scans=_with(state.scans, number, (*read, key)))
        return f"{name} ends", self._advance(state, number, read)

    def _list_by_kind(self, state: State, number: int) -> tuple[str, State]:
        read = state.scans[number]
        first, second = (".1.", ".0.") if self.scan == "kinds reversed" else (".0.", ".1.")
        view = self._view(state.keys)
        if read is None:
            half = tuple(key for key in view if first in key)
            return f"W{number} LIST, half", state._replace(scans=_with(state.scans, number, half))
        whole = tuple(sorted((*read, *(key for key in view if second in key))))
        return f"W{number} LIST, the other half", self._advance(state, number, whole)

    # --- the workers

    def _advance(self, state: State, number: int, answer: Any, **changes: Any) -> State:
        local = self.automata[number].after(state.locals[number], answer)
        scans = state.scans if state.scans[number] is None else _with(state.scans, number, None)
        return state._replace(locals=_with(state.locals, number, local), scans=scans, **changes)

    def _pass(self, state: State, number: int, step: Enter | Exit) -> tuple[str, State]:
        if isinstance(step, Exit):
            return f"W{number} leaves", self._advance(state, number, None)
        wrong, token = "", state.token
        if self.checks_tokens and step.mode == tickets.EXCLUSIVE and self.automata[number].worker.fencing:
            if step.token <= token:
                wrong = "TOKEN NOT LARGER"
            token = max(token, step.token)
        if self.checks_order:
            if state.behind[number] & self._queueing(state, number):
                wrong = wrong or "OVERTAKEN"
            others = tuple(behind & ~(1 << number) for behind in state.behind)
            state = state._replace(behind=_with(others, number, 0))
        return f"W{number} holds", self._advance(state, number, None, token=token, wrong=wrong)

    def _queueing(self, state: State, number: int) -> int:
        """Those in the queue, with a number, whom this worker must not overtake."""
        mode = self.automata[number].worker.mode
        found = 0
        for other, automaton in enumerate(self.automata):
            is_there = automaton.locals[state.locals[other]].is_queueing and not state.crashed >> other & 1
            if other != number and is_there and tickets.conflict(mode, automaton.worker.mode):
                found |= 1 << other
        return found

    # --- what comes from outside

    def _misfortunes(self, state: State) -> Iterator[tuple[str, State]]:
        budget = state.budget
        if state.late:
            for key in self._view(state.late):
                bit = self._bit(key)
                yield f"late PUT {_short(key)}", state._replace(keys=state.keys | bit, late=state.late & ~bit)
        if not (self.expiry or budget.breaks or budget.mistakes):
            return
        alive, waiting = self._owned(state)
        for key in self._view(state.keys):
            ticket_id, _, kind = key.removeprefix(PREFIX).partition(".")
            keys = state.keys & ~self._bit(key)
            if kind.startswith("0."):
                if self.expiry and ticket_id not in alive:
                    yield f"{_short(key)} expires", state._replace(keys=keys)
                elif budget.breaks and ticket_id in waiting:
                    less = budget._replace(breaks=budget.breaks - 1)
                    yield f"{_short(key)} is broken", state._replace(keys=keys, budget=less)
            elif budget.mistakes and ticket_id in waiting:
                less = budget._replace(mistakes=budget.mistakes - 1)
                yield f"{_short(key)} is deleted by mistake", state._replace(keys=keys, budget=less)

    def _owned(self, state: State) -> tuple[set[str], set[str]]:
        """The tickets whose owners live, and those of them that do not hold."""
        alive, waiting = set(), set()
        for number, automaton in enumerate(self.automata):
            local = automaton.locals[state.locals[number]]
            if local.step is not None and not state.crashed >> number & 1:
                alive.add(local.ticket_id)
                if not local.is_held:
                    waiting.add(local.ticket_id)
        return alive, waiting


def _with(values: tuple[Any, ...], place: int, value: Any) -> tuple[Any, ...]:
    return (*values[:place], value, *values[place + 1 :])


def _short(key: str) -> str:
    ticket_id, _, rest = key.removeprefix(PREFIX).partition(".")
    return f"{ticket_id[:8].lstrip('0') or '0'}/{int(ticket_id[16:20], 16)}.{int(ticket_id[20:], 16)}:{rest[:3]}{rest[3:].lstrip('0')}"
