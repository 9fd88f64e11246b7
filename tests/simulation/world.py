"""The production protocol in simulated time, on a store and in processes that fail in every way we know of.

Everything is drawn from one seed, and nothing else: a seed that fails, fails again. The store keeps each key by itself; a
listing reads key by key while others write; LastModified is cut to whole seconds and comes from one of three nodes whose
clocks differ; requests and answers are slow or lost, a failure may have been carried out, a put may be carried out again
up to twelve seconds later. Processes are stopped for longer than their lease, stopped between check and write, and killed.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from s3func.errors import LockStoreError, S3FuncError, TimedOut
from s3func.lock.core import Bakery, Contender, Delete, Head, Listing, Pause, Purge, Put, Terms
from s3func.lock.tickets import EXCLUSIVE, SHARED, conflict

PREFIX = "job.lock/"
FAULTS_END = 120.0
END = 4000.0
CLOCK_ERROR = 1.0
"""How far a storage node's clock may be off, either way."""
GRACE = 2 * CLOCK_ERROR + 1.5


class Totals(NamedTuple):
    """What happened in one world."""

    sections: int
    requests: int
    lost: int
    rejected: int
    stale: int


class Simulation:
    """Time and the store."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.count = itertools.count()
        self.stamps: dict[str, float] = {}
        self.nodes = [rng.uniform(-CLOCK_ERROR, CLOCK_ERROR) for _ in range(3)]
        self.is_faulty = True
        self.requests = 0
        # What may stay behind: a delete never arrived, or a late put brought it back.
        self.excused: set[str] = set()

    def at(self, moment: float, call: Callable[[], None]) -> None:
        heapq.heappush(self.events, (moment, next(self.count), call))

    def run(self) -> None:
        while self.events and self.events[0][0] <= END:
            self.now, _, call = heapq.heappop(self.events)
            call()

    def stamp(self) -> float:
        return float(int(1_000_000 + self.now + self.rng.choice(self.nodes)))

    def carry_out(self, step: Any, answer: Callable[[Any], None]) -> None:
        """One step of a process; the answer comes later, and may be an error."""
        rng = self.rng
        if isinstance(step, Pause):
            self.at(self.now + step.seconds, lambda: answer(None))
            return
        self.requests += 1
        there, back = rng.expovariate(25), rng.expovariate(25)
        fate = 1.0
        if self.is_faulty:
            there += rng.expovariate(1 / 3) if rng.random() < 0.03 else 0
            back += rng.expovariate(1 / 3) if rng.random() < 0.03 else 0
            fate = rng.random()
        if fate < 0.03:
            if isinstance(step, Delete):
                self.excused.add(step.key)
            self.at(self.now + 2, lambda: answer(TimedOut("request lost")))
            return

        def done(result: Any) -> None:
            if fate < 0.07:
                self.at(self.now + 2, lambda: answer(TimedOut("answer lost")))
            else:
                self.at(self.now + back, lambda: answer(result))

        self.at(self.now + there, lambda: self._apply(step, done))
        if isinstance(step, Put) and self.is_faulty and rng.random() < 0.02:
            self.at(self.now + there + rng.uniform(0.5, 12), lambda: self._put_again(step.key))

    def _put_again(self, key: str) -> None:
        if key not in self.stamps:
            self.excused.add(key)
        self.stamps[key] = self.stamp()

    def _apply(self, step: Any, done: Callable[[Any], None]) -> None:
        if isinstance(step, Put):
            self.stamps[step.key] = self.stamp()
            done(None)
        elif isinstance(step, Delete):
            self.stamps.pop(step.key, None)
            done(False)
        elif isinstance(step, Head):
            done(step.key in self.stamps)
        elif isinstance(step, Listing):
            self._scan(step.prefix, "", [], done)
        else:
            assert not isinstance(step, Purge), "this store keeps no versions"

    def _scan(self, prefix: str, last: str, found: list[tuple[str, float]], done: Callable[[Any], None]) -> None:
        key = min((key for key in self.stamps if key.startswith(prefix) and key > last), default=None)
        if key is None:
            done(found)
            return
        found = [*found, (key, self.stamps[key])]
        self.at(self.now + self.rng.uniform(0, 0.004), lambda: self._scan(prefix, key, found, done))


class Clocks:
    """A process's clocks: simulated time; its lease clock may run a little fast, as the real one may."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.rate = 1 + simulation.rng.uniform(0, 0.001)

    def elapsed(self) -> float:
        return self.simulation.now * self.rate

    def monotonic(self) -> float:
        return self.simulation.now


class Process:
    """One process with one lock: a thread that works, and a keeper that renews."""

    def __init__(self, world: World, number: int, terms: Terms, rounds: int) -> None:
        self.world, self.number, self.terms, self.rounds = world, number, terms, rounds
        self.simulation = world.simulation
        self.bakery = Bakery(terms, Clocks(self.simulation), random.Random(self.simulation.rng.random()))
        self.own: Contender | None = None
        self.tickets: list[str] = []
        self.stopped_until = 0.0
        self.is_dead = self.is_done = self.is_inside = False
        self._spawn(self._work())
        self._spawn(self._keep())

    @property
    def is_valid(self) -> bool:
        return self.own is not None and self.bakery.is_valid(self.own)

    def _spawn(self, steps: Generator[Any, Any, None]) -> None:
        self.simulation.at(self.simulation.now, lambda: self._resume(steps, None))

    def _resume(self, steps: Generator[Any, Any, None], answer: Any) -> None:
        if self.is_dead:
            return
        if self.simulation.now < self.stopped_until:
            self.simulation.at(self.stopped_until, lambda: self._resume(steps, answer))
            return
        try:
            step = steps.throw(answer) if isinstance(answer, S3FuncError) else steps.send(answer)
        except StopIteration:
            return
        self.simulation.carry_out(step, lambda result: self._resume(steps, result))
        self.world.look()

    def _begun(self, own: Contender) -> None:
        self.tickets.append(own.id)

    def _keep(self) -> Generator[Any, Any, None]:
        while not self.is_done:
            yield Pause(self.terms.ttl / 3)
            own = self.own
            if own is not None and not own.is_closed and own.lost_because is None:
                try:
                    yield from self.bakery.beat(own)
                except S3FuncError:
                    continue

    def _work(self) -> Generator[Any, Any, None]:
        rng, world = self.simulation.rng, self.world
        done = 0
        while done < self.rounds:
            yield Pause(rng.expovariate(0.5))
            end = None if rng.random() < 0.8 else self.simulation.now + rng.uniform(0, 20)
            try:
                self.own = yield from self.bakery.acquire(end, self._begun)
            except LockStoreError:
                continue
            if self.own is None:
                continue
            done += 1
            self.is_inside = True
            world.entered(self)
            yield from self._section(rng)
            self.is_inside = False
            own, self.own = self.own, None
            yield from self.bakery.leave(own)
        self.is_done = True

    def _section(self, rng: random.Random) -> Generator[Any, Any, None]:
        """Read, think, check, write: with a lock around it, and no other protection than the token."""
        world, own = self.world, self.own
        assert own is not None
        token = own.token if self.terms.fencing and own.mode == EXCLUSIVE else None
        for _ in range(rng.choice((1, 1, 2, 6))):
            if not self.is_valid:
                world.lost += 1
                return
            value = world.read(token)
            yield Pause(rng.expovariate(1))
            if not self.is_valid:
                world.lost += 1
                return
            if rng.random() < 0.06:
                # No check can be near enough to the write.
                self.stopped_until = self.simulation.now + rng.uniform(0.3, 2.5) * self.terms.ttl
                yield Pause(0)
            if own.mode == EXCLUSIVE:
                world.write(token, value)


class World:
    """A few processes, one lock, one resource, and what must always hold."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed * 7 + 1)
        self.simulation = simulation = Simulation(random.Random(seed))
        self.wrong = ""
        self.sections = self.lost = self.rejected = self.stale = 0
        self.counter = 0
        self.seen_token = self.issued_token = -1
        style = rng.choice(("fencing", "fencing", "fencing", "fast", "plain", "mixed"))
        ttl = rng.choice((9.0, 15.0, 30.0))
        expiry = rng.choice(("server", "server", "server", "observed"))
        self.is_fenced = style == "fencing"
        self.processes = []
        for number in range(rng.choice((2, 3, 5))):
            fencing = self.is_fenced or (style == "mixed" and number % 2 == 0)
            terms = Terms(
                prefix=PREFIX,
                mode=rng.choice((EXCLUSIVE, EXCLUSIVE, EXCLUSIVE, SHARED)),
                ttl=ttl,
                grace=GRACE,
                poll_min=0.1,
                poll_max=1.0,
                confirm=1.0,
                patience=60.0,
                fencing=fencing,
                fast=style == "fast",
                expiry=expiry,
            )
            self.processes.append(Process(self, number, terms, rng.choice((2, 4))))
        for _ in range(rng.choice((0, 1, 3))):
            process, seconds = rng.choice(self.processes), rng.uniform(1, 3 * ttl)
            simulation.at(rng.uniform(0, FAULTS_END), lambda p=process, s=seconds: self._stop(p, s))  # type: ignore[misc]
        for _ in range(rng.choice((0, 0, 1))):
            process = rng.choice(self.processes)
            simulation.at(rng.uniform(0, FAULTS_END), lambda p=process: self._kill(p))  # type: ignore[misc]
        simulation.at(FAULTS_END, lambda: setattr(simulation, "is_faulty", False))

    def _stop(self, process: Process, seconds: float) -> None:
        process.stopped_until = max(process.stopped_until, self.simulation.now + seconds)

    def _kill(self, process: Process) -> None:
        process.is_dead, process.is_inside = True, False

    def run(self) -> Totals:
        self.simulation.run()
        waiting = [process.number for process in self.processes if not (process.is_done or process.is_dead)]
        if waiting:
            self._complain(f"LOCKED OUT: {waiting} never finished")
        dead = {ticket_id for process in self.processes if process.is_dead for ticket_id in process.tickets}
        living = [key for key in self.simulation.stamps if ".0." in key and key not in self.simulation.excused]
        left = [key for key in living if key[len(PREFIX) :][:24] not in dead]
        if left:
            self._complain(f"LEFT BEHIND: {left}")
        return Totals(self.sections, self.simulation.requests, self.lost, self.rejected, self.stale)

    def _complain(self, what: str) -> None:
        self.wrong = self.wrong or f"{what} at {self.simulation.now:.2f} s"

    def look(self) -> None:
        """No two leases that are valid conflict."""
        inside = [
            process
            for process in self.processes
            if process.is_inside and not process.is_dead and self.simulation.now >= process.stopped_until
        ]
        if len(inside) < 2:
            return
        for one, other in itertools.combinations([process for process in inside if process.is_valid], 2):
            if conflict(one.terms.mode, other.terms.mode):
                self._complain(f"TWO HOLDERS: {one.number} and {other.number}")

    def entered(self, process: Process) -> None:
        self.sections += 1
        if process.terms.fencing and process.terms.mode == EXCLUSIVE and process.own is not None:
            token = process.own.token
            if token <= self.issued_token and process.is_valid:
                self._complain(f"TOKEN NOT LARGER: of {process.number}")
            self.issued_token = max(self.issued_token, token)

    def read(self, token: int | None) -> int:
        """A resource remembers the tokens of those who read as well."""
        if token is not None and self.is_fenced:
            self.seen_token = max(self.seen_token, token)
        return self.counter

    def write(self, token: int | None, value: int) -> None:
        if token is not None and self.is_fenced and token < self.seen_token:
            self.rejected += 1
            return
        if value != self.counter:
            if self.is_fenced:
                self._complain("LOST UPDATE behind a fence")
            self.stale += 1
        self.counter = value + 1


def run(seeds: range, *, only_first: bool = False) -> tuple[list[tuple[int, str]], Totals]:
    """Many worlds: which went wrong, and what happened in all of them. only_first: no further than the first such."""
    wrong, totals = [], []
    for seed in seeds:
        world = World(seed)
        totals.append(world.run())
        if world.wrong:
            wrong.append((seed, world.wrong))
            if only_first:
                break
    return wrong, Totals(*(sum(column) for column in zip(*totals, strict=True)))
