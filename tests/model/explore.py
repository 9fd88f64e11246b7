"""An explicit-state model checker: every state that can be reached, by breadth first, so that a trace is a shortest one.

A model has `initial()`, `successors(state) -> iterable of (label, state)`, `wrong(state) -> str` ("" when all is well) and
`is_done(state)`. Two things are checked: no reachable state is wrong, and from every reachable state one that is done
can be reached, so that nobody is ever locked out.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable
from typing import NamedTuple, Protocol, TypeVar

State = TypeVar("State", bound=Hashable)


class Model(Protocol[State]):
    """What is explored."""

    def initial(self) -> State: ...

    def successors(self, state: State) -> Iterable[tuple[str, State]]: ...

    def wrong(self, state: State) -> str: ...

    def is_done(self, state: State) -> bool: ...


class Verdict(NamedTuple):
    """wrong: "" or what is, in the last state of the trace. states: how many there are."""

    wrong: str
    trace: list[str]
    states: int

    def __str__(self) -> str:
        steps = "\n".join(f"{number:3d}. {label}" for number, label in enumerate(self.trace, 1))
        return f"{self.wrong or 'all is well'} in {self.states} states\n{steps}"


class TooManyStates(Exception):
    """The model is larger than it should be, so nothing was shown."""


def explore(model: Model[State], *, is_liveness_checked: bool = True, limit: int = 3_000_000) -> Verdict:
    """Visit every state."""
    first = model.initial()
    numbers = {first: 0}
    states = [first]
    parents = array("q", [-1])
    labels = [""]
    sources, targets = array("I"), array("I")

    def trace(number: int) -> list[str]:
        steps = []
        while number > 0:
            steps.append(labels[number])
            number = parents[number]
        return steps[::-1]

    number = 0
    while number < len(states):
        for label, target in model.successors(states[number]):
            found = numbers.get(target)
            if found is None:
                found = numbers[target] = len(states)
                states.append(target)
                parents.append(number)
                labels.append(label)
                if wrong := model.wrong(target):
                    return Verdict(wrong, trace(found), len(states))
                if found >= limit:
                    raise TooManyStates(f"more than {limit} states")
            if is_liveness_checked:
                sources.append(number)
                targets.append(found)
        number += 1
    if is_liveness_checked:
        stuck = _stuck([model.is_done(state) for state in states], sources, targets)
        if stuck is not None:
            return Verdict(
                "LOCKED OUT: nothing that can happen from here lets everybody finish", trace(stuck), len(states)
            )
    return Verdict("", [], len(states))


def _stuck(done: list[bool], sources: array[int], targets: array[int]) -> int | None:
    """The first state from which no state that is done can be reached."""
    count = len(done)
    starts = array("I", bytes(4 * (count + 1)))
    for target in targets:
        starts[target + 1] += 1
    for number in range(count):
        starts[number + 1] += starts[number]
    places = starts[:]
    reverse = array("I", bytes(4 * len(sources)))
    for source, target in zip(sources, targets, strict=True):
        reverse[places[target]] = source
        places[target] += 1
    reaches = bytearray(done)
    stack = [number for number in range(count) if done[number]]
    while stack:
        target = stack.pop()
        for place in range(starts[target], starts[target + 1]):
            source = reverse[place]
            if not reaches[source]:
                reaches[source] = 1
                stack.append(source)
    return next((number for number in range(count) if not reaches[number]), None)
