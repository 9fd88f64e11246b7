"""`python -m benchmarks filesystem`: pandas, Dask, DuckDB and fsspec's own verbs through us and through s3fs.

Both are in the environment of tests/ecosystem, which is made when it is missing. The store is our server in this process:
its journal counts the requests, and its time is not in the client's. A turn is a fresh process that does everything (see
filesystem_worker.py); the clients take turns, A B A B. Then the same with 20 ms before each answer, which is what a store is
like that is not on the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import filesystem_worker as worker
from benchmarks import machine
from benchmarks.interpreters import ROOT, child_environment
from benchmarks.report import Spread, table
from s3func import testing
from s3func.server import Journal
from tests.ecosystem import environment as consumers

US, THEM = "s3func", "s3fs"
BUCKET = "bench"
LATENCY_SECONDS = 0.02
_RUN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Sample:
    """One client, one action, one turn: seconds of the best repeat, and the requests and bytes of one repeat on average."""

    client: str
    action: str
    latency_ms: int
    round: int
    wall_seconds: float
    cpu_seconds: float
    requests: float
    bytes_read: float
    operations: dict[str, float] = field(default_factory=dict)


class Rig:
    """The server, and the environment of the clients."""

    def __init__(self, server: testing.Server, python: Path, folder: Path) -> None:
        self.server, self._python = server, python
        consumers.write_entry_points(folder / "told")
        home = folder / "home"
        home.mkdir()
        self._environment = child_environment(str(home)) | {
            "PYTHONPATH": os.pathsep.join([str(folder / "told"), str(ROOT)]),
            "AWS_ACCESS_KEY_ID": server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
            "AWS_REGION": server.region,
            "AWS_DEFAULT_REGION": server.region,
            "AWS_ENDPOINT_URL": server.endpoint_url,
        }

    def fill(self) -> None:
        """What is read."""
        session = self.server.session(BUCKET)
        for number in range(worker.KEYS):
            session.put_object(f"many/{number // 100:03d}/{number:05d}.bin", b"")
        self.run(US, ["make"], 1)

    def run(self, client: str, actions: Sequence[str], repeats: int) -> dict[str, list[tuple[float, float]]]:
        """One process; RuntimeError with what it said where it fails."""
        done = subprocess.run(
            [self._python, "-P", worker.__file__, client, ",".join(actions), BUCKET, str(repeats)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=_RUN_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{client}: {done.stderr.strip()[-2000:]}")
        found: dict[str, list[tuple[float, float]]] = json.loads(done.stdout.splitlines()[-1])
        return found

    def measure(self, client: str, actions: Sequence[str], repeats: int, turn: int, latency: float) -> list[Sample]:
        """A turn."""
        self.server.journal.clear()
        times = self.run(client, actions, repeats)
        operations, bytes_read = {action: Counter[str]() for action in actions}, Counter[str]()
        action = ""
        for entry in self.server.journal:
            if entry.bucket == worker.MARKS:
                action = entry.key
            elif action in operations:
                operations[action][entry.operation or entry.method] += 1
                bytes_read[action] += (entry.bytes_out or 0) if entry.operation == "GetObject" else 0
        return [
            Sample(
                client,
                action,
                round(latency * 1000),
                turn,
                min(wall for wall, _ in times[action]),
                min(cpu for _, cpu in times[action]),
                operations[action].total() / repeats,
                bytes_read[action] / repeats,
                {name: count / repeats for name, count in operations[action].items()},
            )
            for action in actions
        ]


def measure_all(
    rig: Rig, clients: Sequence[str], actions: Sequence[str], latencies: Iterable[float], rounds: int, repeats: int
) -> list[Sample]:
    """All samples."""
    samples: list[Sample] = []
    for latency in latencies:
        rig.server.faults.clear()
        if latency:
            rig.server.faults.add(delay=latency)
        for turn in range(rounds):
            for client in clients:
                print(f"{latency * 1000:.0f} ms, round {turn + 1} of {rounds}: {client}", file=sys.stderr, flush=True)
                samples += rig.measure(client, actions, repeats, turn, latency)
    rig.server.faults.clear()
    return samples


def report(samples: Sequence[Sample]) -> str:
    """The tables as Markdown; ratios are theirs divided by ours, within one round."""
    pieces = []
    for latency in sorted({sample.latency_ms for sample in samples}):
        mine = [sample for sample in samples if sample.latency_ms == latency]
        rows = []
        for action in dict.fromkeys(sample.action for sample in mine):
            by_client = {client: _of(mine, client, action) for client in dict.fromkeys(s.client for s in mine)}
            counts = [f"{_mean([sample.requests for sample in found]):.0f}" for found in by_client.values()]
            rows.append([action.replace("_", " "), *counts, *_ratios(by_client.get(US, []), by_client.get(THEM, []))])
        clients = list(dict.fromkeys(sample.client for sample in mine))
        head = ["what", *(f"requests, {client}" for client in clients), "MB, ours", "MB, s3fs", "wall ÷", "CPU ÷"]
        pieces.append(f"### {latency} ms before each answer\n\n{table(head, rows)}")
    return "\n".join(pieces)


def _of(samples: Sequence[Sample], client: str, action: str) -> list[Sample]:
    return [sample for sample in samples if (sample.client, sample.action) == (client, action)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _ratios(ours: Sequence[Sample], theirs: Sequence[Sample]) -> list[str]:
    read = [f"{_mean([sample.bytes_read for sample in found]) / 1e6:.1f}" for found in (ours, theirs)]
    pairs = [(other, own) for own in ours for other in theirs if own.round == other.round]
    walls = Spread.of(other.wall_seconds / own.wall_seconds for other, own in pairs)
    cpus = Spread.of(other.cpu_seconds / own.cpu_seconds for other, own in pairs)
    return [*read, walls.text(".1f") if walls else "", cpus.text(".1f") if cpus else ""]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 where the environment cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks filesystem", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round without the latency")
    parser.add_argument("--rounds", type=int, default=3, help="how often everybody is measured")
    parser.add_argument("--repeats", type=int, default=3, help="how often a process does each thing")
    parser.add_argument(
        "--clients", nargs="+", default=list(worker.PROTOCOLS), choices=list(worker.PROTOCOLS), metavar="NAME"
    )
    parser.add_argument("--only", nargs="+", default=worker.ACTIONS, choices=worker.ACTIONS, metavar="ACTION")
    parser.add_argument("--json", metavar="PATH", help="write every sample there")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        consumers.main()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the environment of tests/ecosystem cannot be made: {error}", file=sys.stderr)
        return 2
    began, facts = datetime.now(UTC), machine.own_facts()
    latencies, rounds = ([0.0], 1) if options.quick else ([0.0, LATENCY_SECONDS], options.rounds)
    with testing.server(journal=Journal(1_000_000)) as server, tempfile.TemporaryDirectory() as folder:
        rig = Rig(server, consumers.interpreter(), Path(folder))
        rig.fill()
        samples = measure_all(rig, options.clients, options.only, latencies, rounds, options.repeats)
    print(machine.own_line(facts), report(samples), sep="\n\n")
    if options.json:
        document = {
            "began": began.isoformat(timespec="seconds"),
            "machine": facts,
            "versions": list(consumers.PINNED),
            "samples": [asdict(sample) for sample in samples],
        }
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
    return 0
