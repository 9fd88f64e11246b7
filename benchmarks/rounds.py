"""Runs the contenders in turn, round after round (A B C, A B C, …), each in a fresh process.

Neighbours in a round meet the same state of the machine, so ratios are taken within a round and the median of the
rounds is what counts. A contender that fails is left out from then on and named in the report, with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contenders import ROSTER, Entry
from benchmarks.interpreters import BOOTSTRAP, NoEnvironment, child_environment, python_of
from benchmarks.page import LAKE_PREFIX, PLAIN_PREFIX
from benchmarks.sink import BUCKET, Sink

_WORKER = BOOTSTRAP + "from benchmarks.worker import main\nsys.exit(main())"
_LIMIT_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured."""

    rounds: int
    call_seconds: float
    warm_up_seconds: float
    cold_starts: int
    bulk_mib: int
    processes: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One contender, one scenario, one round; several processes are added up."""

    scenario: str
    contender: str
    round: int
    calls: int
    cpu_seconds: float
    wall_seconds: float
    system_seconds: float
    switches: int
    sink_seconds: float
    extra_bytes: int


class WorkerFailed(Exception):
    """A measured process ended without a reading; its own words are on stderr."""


@dataclass(slots=True)
class Run:
    """What one run has found so far."""

    settings: Settings
    sink: Sink
    entries: Sequence[Entry] = ROSTER
    samples: list[Sample] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def in_turn(self, what: str, rounds: int, measure: Callable[[Entry, int], None], *, lists: bool = False) -> None:
        """A B C, A B C, …"""
        for number in range(rounds):
            print(f"{what}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            for entry in self.entries:
                if entry.name in self.failures or (lists and not entry.lists):
                    continue
                try:
                    measure(entry, number)
                except (WorkerFailed, NoEnvironment) as error:
                    self.leave_out(entry, error)

    def leave_out(self, entry: Entry, error: Exception) -> None:
        self.failures[entry.name] = str(error)
        print(f"{entry.name} is left out: {error}", file=sys.stderr, flush=True)

    def measure_calls(self, verbs: Sequence[str]) -> None:
        """1 KiB calls: in one thread, in several, and in several processes of one thread each."""
        settings = self.settings
        shapes = [("1 thread", 1, 1), (f"{settings.threads} threads", settings.threads, 1)]
        if settings.processes > 1:
            shapes.append((f"{settings.processes} processes", 1, settings.processes))
        for shape, threads, processes in shapes:
            tasks = [self._task(verb, threads=threads) for verb in verbs]
            names = [f"{verb}, {shape}" for verb in verbs]
            self.in_turn(f"calls, {shape}", settings.rounds, self._measured(names, tasks, processes))

    def measure_lists(self) -> None:
        """Pages of 1,000 keys."""
        prefixes = {"list, plain": PLAIN_PREFIX, "list, lake": LAKE_PREFIX}
        tasks = [self._task("list", prefix=prefix) for prefix in prefixes.values()]
        self.in_turn("lists", self.settings.rounds, self._measured(list(prefixes), tasks, 1), lists=True)

    def measure_streams(self) -> None:
        """One large object each way; a process of its own for each, because the peak of memory is counted."""
        for verb in ("upload from memory", "upload from a file", "download"):
            self.in_turn(verb, self.settings.rounds, self._measured([verb], [self._task(verb)], 1))

    def _task(self, verb: str, *, threads: int = 1, prefix: str = "") -> dict[str, Any]:
        return {
            "verb": verb,
            "threads": threads,
            "prefix": prefix,
            "seconds": self.settings.call_seconds,
            "warm_up_seconds": self.settings.warm_up_seconds,
            "bulk_size": self.settings.bulk_mib << 20,
            "bulk_path": self.sink.bulk_path,
        }

    def _measured(
        self, scenarios: Sequence[str], tasks: Sequence[dict[str, Any]], processes: int
    ) -> Callable[[Entry, int], None]:
        def measure(entry: Entry, number: int) -> None:
            readings = self._work(entry, tasks, processes)
            for scenario, together in zip(scenarios, readings, strict=True):
                self.samples.append(_added_up(scenario, entry.name, number, together))

        return measure

    def _work(self, entry: Entry, tasks: Sequence[dict[str, Any]], processes: int) -> list[list[dict[str, float]]]:
        """For each task the readings of all processes."""
        order = {
            "contender": entry.name,
            "host": "127.0.0.1",
            "port": self.sink.port,
            "bucket": BUCKET,
            "sink_pids": self.sink.worker_pids(),
            "tasks": list(tasks),
        }
        workers = [_Worker(entry, json.dumps(order), self.sink.home) for _ in range(processes)]
        try:
            readings = []
            for _ in tasks:
                for worker in workers:
                    worker.expect_ready()
                for worker in workers:
                    worker.start()
                readings.append([worker.reading() for worker in workers])
            return readings
        finally:
            for worker in workers:
                worker.end()


class _Worker:
    """One measured process and the lines spoken with it."""

    def __init__(self, entry: Entry, order: str, home: str) -> None:
        self._process = subprocess.Popen(
            [python_of(entry), "-I", "-c", _WORKER, order],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(home),
            text=True,
        )
        # A client that hangs must not hang the run.
        self._limit = threading.Timer(_LIMIT_SECONDS, self._process.kill)
        self._limit.daemon = True
        self._limit.start()

    def expect_ready(self) -> None:
        if (line := self._line()) != "ready":
            raise WorkerFailed(f"unexpected output: {line[:200]!r}")

    def start(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerFailed("the process ended early") from error

    def reading(self) -> dict[str, float]:
        found: dict[str, float] = json.loads(self._line())
        return found

    def end(self) -> None:
        self._limit.cancel()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        # The worker that waits for a start reads the end of its input and runs on; it is of no use any more.
        if process.poll() is None:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerFailed(f"the process ended without a reading, status {self._process.wait()}")
        return line.strip()


def _added_up(scenario: str, contender: str, number: int, readings: Iterable[dict[str, float]]) -> Sample:
    together = list(readings)
    return Sample(
        scenario=scenario,
        contender=contender,
        round=number,
        calls=int(sum(one["calls"] for one in together)),
        cpu_seconds=sum(one["user_seconds"] + one["system_seconds"] for one in together),
        wall_seconds=max(one["wall_seconds"] for one in together),
        system_seconds=sum(one["system_seconds"] for one in together),
        switches=int(sum(one["switches"] for one in together)),
        # Each process has read the sink's own clock over the same span.
        sink_seconds=max(one["sink_seconds"] for one in together),
        extra_bytes=int(max(one["extra_bytes"] for one in together)),
    )
