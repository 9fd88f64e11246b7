"""The production generators as automata: a worker's local state is where its code stands, and what its ticket holds.

A generator cannot be copied, so a local state is kept as one history of answers that leads to it, and is run again when
another answer has to be tried. Histories that lead to the same place are one state: the pending step, the line of every
frame, and the fields of the ticket; time stands still here, so the clocks hold nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from types import GeneratorType
from typing import Any, NamedTuple

from s3func.errors import ServerError
from s3func.lock.core import Bakery, Contender, Pause, Terms

PREFIX = "job.lock/"
FAILED = "failed"
"""The answer that stands for an error."""


class Enter(NamedTuple):
    """The worker is told that it holds the lock."""

    mode: str
    token: int


class Exit(NamedTuple):
    """It goes on to release it."""


class Worker(NamedTuple):
    """One participant. first_hex: the beginning of its ids, which decides between equal numbers."""

    mode: str = "x"
    rounds: int = 1
    tries: bool = False
    fencing: bool = True
    fast: bool = False
    first_hex: int = 0


class Still:
    """Time that stands still."""

    def elapsed(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0


class Ids(Random):
    """Gives the ids of one worker: never the same twice, and in an order that the model chooses."""

    def __init__(self, worker: Worker, number: int) -> None:
        super().__init__(0)
        self.first = worker.first_hex
        self.number = number
        self.count = 0

    def getrandbits(self, k: int, /) -> int:
        self.count += 1
        # Only the first ids may begin alike: two that always did would begin again for ever.
        first = self.first if self.count == 1 else 16 * self.count + self.number
        return first << (k - 32) | self.number << 16 | self.count

    def uniform(self, a: float, b: float) -> float:
        return a


class Local(NamedTuple):
    """A local state: the answers that lead to it, its pending step (None: finished), and its ticket."""

    history: tuple[Any, ...]
    step: Any
    ticket_id: str
    is_queueing: bool
    is_held: bool
    failures: int


class Automaton:
    """One worker's production code."""

    def __init__(self, worker: Worker, number: int) -> None:
        self.worker = worker
        self.number = number
        self.locals: list[Local] = []
        self._numbers: dict[Any, int] = {}
        self._after: dict[tuple[int, Any], int] = {}
        self.start = self._run((), 0)

    def after(self, local: int, answer: Any) -> int:
        """The local state that an answer leads to."""
        found = self._after.get((local, answer))
        if found is None:
            state = self.locals[local]
            failures = state.failures + (answer == FAILED)
            found = self._after[local, answer] = self._run((*state.history, answer), failures)
        return found

    def _program(self, owns: list[Contender]) -> Generator[Any, Any, None]:
        worker = self.worker
        terms = Terms(PREFIX, worker.mode, 0, 0, 1, 1, 0, 60, worker.fencing, worker.fast, "server")
        bakery = Bakery(terms, Still(), Ids(worker, self.number))
        for _ in range(worker.rounds):
            own = yield from bakery.acquire(0.0 if worker.tries else None, owns.append)
            if own is not None:
                yield Enter(own.mode, own.token)
                yield Exit()
                yield from bakery.leave(own)

    def _run(self, history: tuple[Any, ...], failures: int) -> int:
        owns: list[Contender] = []
        program = self._program(owns)
        step = _past_pauses(program, next(program))
        for answer in history:
            try:
                step = program.throw(ServerError("injected")) if answer == FAILED else program.send(_unpacked(answer))
                step = _past_pauses(program, step)
            except StopIteration:
                step = None
        own = owns[-1]
        is_queueing = own.number > 0 and not own.is_closed and not own.is_held
        place = (step, failures, _frames(program), own.id, own.number, own.is_held, own.is_closed)
        fingerprint = (*place, tuple(sorted(own.written)), tuple(own.superseded))
        program.close()
        found = self._numbers.get(fingerprint)
        if found is None:
            found = self._numbers[fingerprint] = len(self.locals)
            self.locals.append(Local(history, step, own.id, is_queueing, own.is_held, failures))
        return found


def _past_pauses(program: Generator[Any, Any, None], step: Any) -> Any:
    while isinstance(step, Pause):
        step = program.send(None)
    return step


def _unpacked(answer: Any) -> Any:
    """Listings are kept as tuples of keys; all have one stamp."""
    return [(key, 0.0) for key in answer] if isinstance(answer, tuple) else answer


def _frames(program: Any) -> tuple[Any, ...]:
    """Where each generator of the chain stands, and the few variables that outlive a step."""
    found = []
    while isinstance(program, GeneratorType) and program.gi_frame is not None:
        frame = program.gi_frame
        kept = {
            name: frame.f_locals.get(name) for name in ("failing_since", "unlisted", "is_gone", "_", "kept", "tries")
        }
        found.append((frame.f_code.co_name, frame.f_lasti, *kept.values()))
        program = program.gi_yieldfrom
    return tuple(found)
