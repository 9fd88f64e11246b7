"""`python -m benchmarks distributed`: one sync by 1, 2 and 4 workers of Dask, Ray and a pool of processes, and by none.

A cluster of one machine has no more processors than one process, so what it can show is what a cluster is for: a store
that limits each connection, of which more workers have more. The sink gives each connection 240 KiB a second, and each
worker has eight. A second scenario has no limit: there the two processors are what there is, whoever uses them.

The clusters run in the environment of the consumers (`python -m tests.ecosystem.environment` makes it).
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.report import Spread, table
from benchmarks.sink import SinkUnavailable
from benchmarks.sync_sink import BUCKET, SyncSink, make_tree
from tests.distributed.rig import Driver
from tests.ecosystem.environment import interpreter
from tests.interop.servers import Unavailable

ALONE = "none"
CLUSTERS = (ALONE, "processes", "dask", "ray")
PACED_DOWN, PACED_UP, FREE_DOWN = "down, limited", "up, limited", "down, no limit"
ACTIONS = (PACED_DOWN, PACED_UP, FREE_DOWN)
KIB = 1024
PACED_BYTES, FREE_BYTES = 60 * KIB, 4 * KIB
RATE = 240 * KIB
"""Bytes per second of each connection."""
_PIECES = 6


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured. connections: of each worker, where the sink limits them."""

    rounds: int
    paced_files: int
    free_files: int
    connections: int = 8
    workers: tuple[int, ...] = (1, 2, 4)


FULL = Settings(rounds=3, paced_files=480, free_files=30_000)
QUICK = Settings(rounds=1, paced_files=64, free_files=1_000, workers=(1, 2))


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one cluster."""

    cluster: str
    workers: int
    action: str
    round: int
    files: int
    seconds: float
    took_part: int


class RunFailed(Exception):
    """A cluster ended without having done what it was asked to."""


class LimitedSink(SyncSink):
    """The store of the sync benchmark, whose objects of `paced/` come, and whose uploads go, at the pace of a line."""

    def _config(self) -> str:
        whole = 'if method == "GET" then ngx.print(shelf.body) end'
        arrived = 'count("put", #body)'
        config = super()._config()
        if whole not in config or arrived not in config:
            raise SinkUnavailable("the sink's configuration has changed: see LimitedSink")
        pieces = f"""
        if method == "GET" and ngx.var.shelf == "paced" then
          local each = math.ceil(shelf.size / {_PIECES})
          for start = 1, shelf.size, each do
            ngx.sleep(math.min(each, shelf.size - start + 1) / {RATE})
            ngx.print(shelf.body:sub(start, start + each - 1))
            ngx.flush(true)
          end
        elseif method == "GET" then ngx.print(shelf.body) end"""
        return config.replace(whole, pieces).replace(arrived, f"{arrived} ngx.sleep(#body / {RATE})")


class Rig:
    """The store, what is uploaded, and a place for what is downloaded."""

    def __init__(self, folder: Path, settings: Settings, sink: SyncSink) -> None:
        self.settings, self.sink, self.folder = settings, sink, folder
        make_tree(folder / "tree", settings.paced_files, PACED_BYTES)
        (folder / "home").mkdir()

    def driver(self, cluster: str, workers: int) -> Driver:
        environment = {
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_ENDPOINT_URL": self.sink.endpoint,
            "AWS_REGION": "us-east-1",
        }
        return Driver(interpreter(), cluster, workers, environment, self.folder / "home")

    def measure(self, driver: Driver, cluster: str, workers: int, action: str, number: int) -> Sample:
        """One run, its result checked outside of the measured time."""
        settings, target = self.settings, self.folder / "target"
        files = settings.free_files if action == FREE_DOWN else settings.paced_files
        options: dict[str, object] = {"state": None}
        if action != FREE_DOWN:
            options["workers"] = settings.connections
        sides = {
            PACED_DOWN: ["at:paced", str(target)],
            PACED_UP: [str(self.folder / "tree"), "at:empty"],
            FREE_DOWN: ["at:free", str(target)],
        }[action]
        self.sink.stats()
        try:
            answer = driver.call(sides=sides, options=options, bucket=BUCKET)
            stats = self.sink.stats()
        finally:
            shutil.rmtree(target, ignore_errors=True)
        done = answer["report"].get("uploaded" if action == PACED_UP else "downloaded", 0)
        asked = stats["put" if action == PACED_UP else "get"]
        if answer["report"]["exit_code"] or done != files or asked < files:
            raise RunFailed(f"{done} of {files} files, {asked} requests: {answer['said']}")
        return Sample(cluster, workers, action, number, files, answer["seconds"], len(answer["workers"]))


def measure_all(clusters: Sequence[str], rig: Rig) -> tuple[list[Sample], dict[str, str]]:
    """The samples, and who was left out, and why. Starting a cluster is not measured."""
    samples: list[Sample] = []
    failures: dict[str, str] = {}
    for cluster in clusters:
        for workers in rig.settings.workers[: 1 if cluster == ALONE else None]:
            label = f"{cluster}, {workers} workers"
            print(label, file=sys.stderr, flush=True)
            try:
                with rig.driver(cluster, workers) as driver:
                    # Whoever has not worked yet has not loaded anything yet.
                    rig.measure(driver, cluster, workers, FREE_DOWN, -1)
                    for number in range(rig.settings.rounds):
                        samples += [rig.measure(driver, cluster, workers, action, number) for action in ACTIONS]
            except (RunFailed, Unavailable, AssertionError) as error:
                failures[label] = str(error)
                print(f"{label} is left out: {error}", file=sys.stderr, flush=True)
    return samples, failures


def report(samples: Sequence[Sample], failures: dict[str, str]) -> str:
    """The tables as Markdown: seconds, and how many times as fast as one worker of the same cluster."""
    pieces = []
    workers = sorted({sample.workers for sample in samples})
    for action in dict.fromkeys(sample.action for sample in samples):
        rows = []
        for cluster in dict.fromkeys(sample.cluster for sample in samples):
            times = {
                count: [
                    sample.seconds
                    for sample in samples
                    if (sample.cluster, sample.workers, sample.action) == (cluster, count, action)
                ]
                for count in workers
            }
            found = {count: Spread.of(each) for count, each in times.items()}
            first = found[workers[0]]
            row = [
                "no cluster" if cluster == ALONE else cluster,
                *(spread.text(".1f") if spread else "" for spread in found.values()),
            ]
            for count in workers[1:]:
                spread = found[count]
                row.append(f"{first.median / spread.median:.2f} x" if first and spread else "")
            rows.append(row)
        head = ["", *(f"{count} worker{'s' * (count > 1)}, s" for count in workers)]
        head += [f"{count} against {workers[0]}" for count in workers[1:]]
        files = next(sample.files for sample in samples if sample.action == action)
        pieces.append(f"### {action}: {files:,} files\n\n{table(head, rows)}")
    pieces += [f"- left out: {label}: {reason}" for label, reason in failures.items()]
    return "\n".join(pieces) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 when a cluster was left out, 2 when the store cannot be started."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks distributed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one round of a few files by one and two workers")
    parser.add_argument("--clusters", nargs="+", default=list(CLUSTERS), choices=CLUSTERS, metavar="NAME")
    parser.add_argument("--json", metavar="PATH", help="write every sample there")
    options = parser.parse_args(arguments)
    settings = QUICK if options.quick else FULL
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began, facts = datetime.now(UTC), machine.own_facts()
    shelves = {"paced/": (settings.paced_files, PACED_BYTES), "free/": (settings.free_files, FREE_BYTES)}
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="s3func-distributed-", dir=shared if shared.is_dir() else None))
    try:
        with LimitedSink(shelves) as sink:
            samples, failures = measure_all(options.clusters, Rig(folder, settings, sink))
    except SinkUnavailable as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(machine.own_line(facts), report(samples, failures), sep="\n\n")
    if options.json:
        document = {
            "began": began.isoformat(timespec="seconds"),
            "machine": facts,
            "settings": asdict(settings) | {"rate_bytes_per_second": RATE, "paced_bytes": PACED_BYTES},
            "failures": failures,
            "samples": [asdict(sample) for sample in samples],
        }
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
    return 1 if failures else 0
