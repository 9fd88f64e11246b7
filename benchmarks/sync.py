"""`python -m benchmarks sync`: folders of many small files up and down, nothing to do, and a plan, beside the peers.

Every run is a whole process: the program as its users start it, its start included, measured by what the system says of
it when it ends (CPU, peak memory) and by the requests that the store counted (sync_sink.py). A round has everybody once,
A B C, A B C, so that neighbours meet the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.report import MIB, Spread, table
from benchmarks.sink import SinkUnavailable
from benchmarks.sync_clients import DOWNLOAD, NOOP, PLAN, ROSTER, UPLOAD, US, Client, NoPeer, Task, environment
from benchmarks.sync_sink import SyncSink, make_tree

SMALL_BYTES, TINY_BYTES = 4096, 16
_LIMIT_SECONDS = 400


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured. plan_all: the size of the plan that everybody is asked for; plan_keys: that of the big one."""

    rounds: int
    files: int
    noop_keys: int
    plan_all: int
    plan_keys: int


FULL = Settings(rounds=3, files=20_000, noop_keys=200_000, plan_all=20_000, plan_keys=1_000_000)
QUICK = Settings(rounds=1, files=2_000, noop_keys=5_000, plan_all=2_000, plan_keys=50_000)
BIG_PLAN = "plan, big"
# Who is asked for the big plan: the others would ask the store about every single key, or take many minutes.
_BIG_PLANNERS = (US, "rclone", "awscli")


@dataclass(frozen=True, slots=True)
class Sample:
    """One client, one action, one round. files: that were to be looked at. The requests are the store's count."""

    client: str
    action: str
    round: int
    files: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    lists: int
    puts: int
    gets: int
    heads: int


class RunFailed(Exception):
    """A client ended without having done what it was asked to."""


class Rig:
    """The store, the trees on disk, and a place for what is downloaded."""

    def __init__(self, folder: Path, settings: Settings, sink: SyncSink) -> None:
        self.settings, self.sink, self._folder = settings, sink, folder
        self._trees: dict[tuple[str, int], Path] = {}

    def measure(self, client: Client, action: str, number: int) -> Sample:
        """One run, its result checked outside of the measured time."""
        settings = self.settings
        count = {NOOP: settings.noop_keys, PLAN: settings.plan_all, BIG_PLAN: settings.plan_keys}.get(
            action, settings.files // client.share
        )
        home = Path(tempfile.mkdtemp(prefix="home", dir=self._folder))
        target = Path(tempfile.mkdtemp(prefix="target", dir=self._folder))
        try:
            task = self._task(client, action, target)
            if action == NOOP and client.name == US:
                # What a second run finds is what the first one remembered.
                self._run(client, task, home)
            self.sink.stats()
            wall, cpu, peak = self._run(client, task, home)
            stats = self.sink.stats()
            self._check(client, action, count, stats, target)
        finally:
            shutil.rmtree(target, ignore_errors=True)
            shutil.rmtree(home, ignore_errors=True)
        requests = (stats["list"], stats["put"], stats["get"], stats["head"])
        return Sample(client.name, action, number, count, wall, cpu, peak, *requests)

    def _task(self, client: Client, action: str, target: Path) -> Task:
        endpoint, settings = self.sink.endpoint, self.settings
        if action == UPLOAD:
            return Task(UPLOAD, self._tree(settings.files // client.share, SMALL_BYTES), "empty/", endpoint)
        if action == NOOP:
            return Task(NOOP, self._tree(settings.noop_keys, TINY_BYTES), "noop/", endpoint)
        if action in {PLAN, BIG_PLAN}:
            return Task(PLAN, target, "plan/" if action == PLAN else "big/", endpoint)
        return Task(DOWNLOAD, target, "small/" if client.share == 1 else "few/", endpoint)

    def _tree(self, keys: int, size: int) -> Path:
        found = self._trees.get((f"{keys}", size))
        if found is None:
            found = self._trees[f"{keys}", size] = self._folder / f"tree-{keys}-{size}"
            make_tree(found, keys, size)
        return found

    def _run(self, client: Client, task: Task, home: Path) -> tuple[float, float, int]:
        began = time.monotonic()
        with tempfile.TemporaryFile(dir=self._folder) as said:
            process = subprocess.Popen(
                client.command(task),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if task.action == PLAN else said,
                stderr=said,
                env=dict(environment(task.endpoint, home)),
                cwd=home,
                start_new_session=True,
            )
            timer = threading.Timer(_LIMIT_SECONDS, process.kill)
            timer.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
            finally:
                timer.cancel()
            wall = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines() or ["said nothing"]
                raise RunFailed(f"exit code {process.returncode} after {wall:.0f} s: {lines[-1][:200]}")
        return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024

    def _check(self, client: Client, action: str, count: int, stats: dict[str, int], target: Path) -> None:
        if action == UPLOAD and (stats["put"] < count or stats["bytes"] < count * SMALL_BYTES):
            raise RunFailed(f"{stats['put']} uploads of {stats['bytes']} bytes arrived, not {count}")
        if action == NOOP and stats["put"]:
            raise RunFailed(f"{stats['put']} files were sent that were there already")
        if action == DOWNLOAD:
            files = [path for path in target.rglob("f*") if path.is_file()]
            if len(files) != count or any(path.stat().st_size != SMALL_BYTES for path in files):
                raise RunFailed(f"{len(files)} of {count} files are there, or not all of them whole")
        del client


def measure_all(clients: Sequence[Client], actions: Sequence[str], rig: Rig) -> tuple[list[Sample], dict[str, str]]:
    """The samples, and who was left out of what, and why."""
    samples: list[Sample] = []
    failures: dict[str, str] = {}
    for action in actions:
        for number in range(rig.settings.rounds):
            print(f"{action}: round {number + 1} of {rig.settings.rounds}", file=sys.stderr, flush=True)
            for client in clients:
                label = f"{client.name}, {action}"
                asked = client.name in _BIG_PLANNERS if action == BIG_PLAN else action in client.actions
                if not asked or label in failures:
                    continue
                try:
                    samples.append(rig.measure(client, action, number))
                except (RunFailed, NoPeer) as error:
                    failures[label] = str(error)
                    print(f"{label} is left out: {error}", file=sys.stderr, flush=True)
    return samples, failures


def report(samples: Sequence[Sample], failures: dict[str, str], clients: Sequence[Client]) -> str:
    """The tables as Markdown."""
    pieces = []
    for action in dict.fromkeys(sample.action for sample in samples):
        rows = []
        for client in clients:
            mine = [sample for sample in samples if (sample.client, sample.action) == (client.name, action)]
            if mine:
                rows.append(_row(client, mine))
        head = ["client", "files", "files/s", "wall s", "CPU us/file", "peak MiB", "LIST", "PUT", "GET", "HEAD"]
        pieces.append(f"### {action}\n\n{table(head, rows)}")
    pieces += [f"- {client.name}: {client.note}" for client in clients if client.note]
    pieces += [f"- left out: {label}: {reason}" for label, reason in failures.items()]
    return "\n".join(pieces) + "\n"


def _row(client: Client, mine: Sequence[Sample]) -> list[str]:
    def spread(values: list[float], form: str) -> str:
        found = Spread.of(values)
        return found.text(form) if found else ""

    first = mine[0]
    return [
        client.name,
        f"{first.files:,}",
        spread([sample.files / sample.wall_seconds for sample in mine], ",.0f"),
        spread([sample.wall_seconds for sample in mine], ".2f"),
        spread([sample.cpu_seconds / sample.files * 1e6 for sample in mine], ".0f"),
        spread([sample.peak_bytes / MIB for sample in mine], ".0f"),
        *(str(round(sum(values) / len(mine))) for values in _requests(mine)),
    ]


def _requests(mine: Sequence[Sample]) -> list[list[int]]:
    return [[getattr(sample, name) for sample in mine] for name in ("lists", "puts", "gets", "heads")]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 when a client was left out, 2 when the store cannot be started."""
    actions = (UPLOAD, DOWNLOAD, NOOP, PLAN, BIG_PLAN)
    parser = argparse.ArgumentParser(prog="python -m benchmarks sync", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of a tenth of the files")
    parser.add_argument("--rounds", type=int, help="how often everybody is measured")
    parser.add_argument("--clients", nargs="+", default=[client.name for client in ROSTER], metavar="NAME")
    parser.add_argument("--only", nargs="+", default=list(actions), choices=actions, metavar="ACTION")
    parser.add_argument("--json", metavar="PATH", help="write every sample there")
    options = parser.parse_args(arguments)
    settings = QUICK if options.quick else FULL
    if options.rounds:
        settings = Settings(**(asdict(settings) | {"rounds": options.rounds}))
    clients = [client for client in ROSTER if client.name in options.clients]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shelves = {
        "small/": (settings.files, SMALL_BYTES),
        "few/": (settings.files // 10, SMALL_BYTES),
        "noop/": (settings.noop_keys, TINY_BYTES),
        "plan/": (settings.plan_all, TINY_BYTES),
        "big/": (settings.plan_keys, TINY_BYTES),
    }
    began = datetime.now(UTC)
    facts = machine.own_facts()
    shared = "/dev/shm"
    folder = Path(tempfile.mkdtemp(prefix="s3func-sync-", dir=shared if os.access(shared, os.W_OK) else None))
    try:
        with SyncSink(shelves) as sink:
            samples, failures = measure_all(clients, options.only, Rig(folder, settings, sink))
    except SinkUnavailable as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        with suppress(OSError):
            shutil.rmtree(folder)
    print(machine.own_line(facts), report(samples, failures, clients), sep="\n\n")
    if options.json:
        document = {
            "began": began.isoformat(),
            "machine": facts,
            "settings": asdict(settings),
            "failures": failures,
            "samples": [asdict(sample) for sample in samples],
        }
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
    return 1 if failures else 0
