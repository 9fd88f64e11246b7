"""`python -m benchmarks b2`: B2Session beside b2sdk, in one run: small calls, listings, and one large file up and down.

Small calls go to nginx (b2_sink.py). Large files go to the paced sink (paced_sink.py with b2_store.py), first as slow as
one connection to B2 may be, then without limits, where the machine is what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from benchmarks import machine, report, transfer
from benchmarks.b2_clients import PEER, ROSTER, US, Entry
from benchmarks.b2_sink import B2Sink
from benchmarks.interpreters import BOOTSTRAP, child_environment
from benchmarks.paced_sink import LATENCY_SECONDS, MEGABYTE, PacedSink
from benchmarks.report import Spread, table
from benchmarks.rounds import Sample
from benchmarks.sink import SinkUnavailable
from benchmarks.targets import Verdict
from benchmarks.transfer import DIRECTIONS, PACED, UNPACED

BYTES_PER_SECOND = 25 * MEGABYTE
"""What a connection carries in the paced setting."""
VERBS = ("put", "get", "list")
_WORKER = BOOTSTRAP + "from benchmarks.b2_worker import main\nsys.exit(main())"
_LIMIT_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured. part_mib: of the rows with "our parts": what s3func chooses for a file of this size."""

    rounds: int
    call_seconds: float
    warm_up_seconds: float
    threads: int
    paced_rounds: int
    unpaced_rounds: int
    size_mib: int
    connections: int
    part_mib: int


FULL = Settings(5, 0.4, 0.1, 8, 3, 7, 1024, 16, 32)
QUICK = Settings(1, 0.1, 0.05, 8, 1, 1, 256, 16, 16)


class CallsFailed(Exception):
    """A client did not finish its calls."""


def measure_calls(entries: Sequence[Entry], settings: Settings, sink: B2Sink, failures: dict[str, str]) -> list[Sample]:
    """A B C, A B C, … in one thread and in several: each turn a process of its own that makes all calls."""
    samples: list[Sample] = []
    for threads in (1, settings.threads):
        for number in range(settings.rounds):
            print(f"calls, {shape(threads)}: round {number + 1} of {settings.rounds}", file=sys.stderr, flush=True)
            for entry in entries:
                if not entry.calls or entry.name in failures:
                    continue
                try:
                    samples += _calls_of(entry, settings, sink, threads, number)
                except CallsFailed as error:
                    failures[entry.name] = str(error)
                    print(f"{entry.name} is left out: {error}", file=sys.stderr, flush=True)
    return samples


def shape(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def _calls_of(entry: Entry, settings: Settings, sink: B2Sink, threads: int, number: int) -> list[Sample]:
    order = {
        "client": entry.name,
        "port": sink.port,
        "threads": threads,
        "verbs": [verb for verb in VERBS if verb != "list" or entry.lists],
        "seconds": settings.call_seconds,
        "warm_up_seconds": settings.warm_up_seconds,
        "sink_pids": sink.worker_pids(),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _WORKER, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=child_environment(sink.home),
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CallsFailed(f"not done after {_LIMIT_SECONDS} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise CallsFailed(lines[-1][:300])
    return [
        Sample(
            scenario=f"{verb}, {shape(threads)}",
            contender=entry.name,
            round=number,
            calls=one["calls"],
            cpu_seconds=one["user_seconds"] + one["system_seconds"],
            wall_seconds=one["wall_seconds"],
            system_seconds=one["system_seconds"],
            switches=one["switches"],
            sink_seconds=one["sink_seconds"],
            extra_bytes=0,
        )
        for verb, one in json.loads(done.stdout).items()
    ]


def measure_transfers(
    entries: Sequence[Entry], settings: Settings, folder: Path, failures: dict[str, str]
) -> list[transfer.Sample]:
    """One large file, paced and unpaced, each with its number of rounds."""
    sizes = transfer.Settings(settings.paced_rounds, settings.size_mib, settings.connections, settings.part_mib)
    rig = transfer.Rig(folder, sizes, _WORKER)
    samples: list[transfer.Sample] = []
    plan = (
        (PACED, settings.paced_rounds, LATENCY_SECONDS, float(BYTES_PER_SECOND)),
        (UNPACED, settings.unpaced_rounds, 0.0, 0.0),
    )
    for setting, rounds, latency, rate in plan:
        sinks = {setting: PacedSink(latency, rate, "benchmarks.b2_store")}
        found, left_out = transfer.measure_all(entries, rig, sinks, DIRECTIONS, rounds)
        samples += found
        failures.update(left_out)
    return samples


def calls_table(samples: Sequence[Sample], threads: int) -> str:
    """1 KiB calls and pages of 1,000 rows in one shape: ratios to ours first, then what they are ratios of."""
    scenarios = [f"{verb}, {shape(threads)}" for verb in VERBS]
    rows, numbers = [], []
    for name in dict.fromkeys(one.contender for one in samples if one.scenario in scenarios):
        cpu = [_text(report.ratio(samples, scenario, name, US, report.cpu_us)) for scenario in scenarios]
        wall = [_text(report.ratio(samples, scenario, name, US, report.wall_us)) for scenario in scenarios]
        rows.append([name, *cpu, *wall])
        own = partial(report.absolute, samples)
        numbers.append(
            [
                name,
                *(_middle(own(scenario, name, report.cpu_us), ",.0f") for scenario in scenarios),
                *(_middle(own(scenario, name, report.rate), ",.0f") for scenario in scenarios),
                "/".join(_middle(own(scenario, name, report.sink_busy), ".0f") for scenario in scenarios),
            ]
        )
    if not rows:
        return ""
    ratio_head = ["× ours", *(f"CPU {verb}" for verb in VERBS), *(f"time {verb}" for verb in VERBS)]
    head = ["per call", *(f"CPU {verb}, µs" for verb in VERBS), *(f"{verb}s/s" for verb in VERBS), "sink busy, %"]
    return f"## 1 KiB and pages of 1,000 rows, {shape(threads)}\n\n{table(ratio_head, rows)}\n{table(head, numbers)}\n"


def _text(found: Spread | None) -> str:
    return "–" if found is None else found.text()


def _middle(found: Spread | None, form: str) -> str:
    return "–" if found is None else format(found.median, form)


def verdicts(calls: Sequence[Sample], transfers: Sequence[transfer.Sample]) -> list[Verdict]:
    """What issue 5 asks for, where this run has both sides; the peer as it comes, with its own defaults."""
    found: list[Verdict] = []

    def add(what: str, measured: Spread | None, least: float) -> None:
        if measured is not None:
            found.append(Verdict(what, measured, least=least))

    for verb in ("put", "get"):
        for threads in dict.fromkeys(one.scenario.partition(", ")[2] for one in calls):
            scenario = f"{verb}, {threads}"
            add(f"b2sdk's CPU of a {verb} ÷ ours, {threads}", report.ratio(calls, scenario, PEER, US, report.cpu_us), 5)
    for setting in (PACED, UNPACED):
        for direction in DIRECTIONS:
            measured = transfer.ratio(transfers, setting, direction, PEER, transfer.wall)
            add(f"b2sdk's time of the {direction}, {setting} ÷ ours", measured, 2)
    return found


def markdown(
    calls: Sequence[Sample],
    transfers: Sequence[transfer.Sample],
    settings: Settings,
    failures: dict[str, str],
    about: str,
) -> str:
    """The whole report."""
    method = (
        f"{about}\nRounds in turn: {settings.rounds} of calls, {settings.paced_rounds} paced and "
        f"{settings.unpaced_rounds} unpaced of {settings.size_mib} MiB between a file and the sink. Every figure is the "
        "median of the rounds (lowest–highest), every ratio is theirs divided by ours within a round.\n"
    )
    targets = [verdict.row() for verdict in verdicts(calls, transfers)]
    parts = [method]
    if targets:
        parts.append(f"## Targets\n\n{table(['target', 'limit', 'measured', 'met'], targets)}")
    parts += [calls_table(calls, threads) for threads in (1, settings.threads)]
    parts += [
        transfer.transfer_table(transfers, setting, direction, settings.connections, BYTES_PER_SECOND)
        for setting in (PACED, UNPACED)
        for direction in DIRECTIONS
        if transfer.selected(transfers, setting, direction)
    ]
    computed = [f"- {entry.name}: {entry.note}" for entry in ROSTER if entry.note]
    parts.append("Computed over large files:\n\n" + "\n".join(computed) + "\n")
    parts += [f"Left out: {name}: {reason}\n" for name, reason in failures.items()]
    return "\n".join(part for part in parts if part)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 when a client failed and was left out, 2 when something is not installed."""
    options = _parser().parse_args(arguments)
    if any(entry.name.startswith(PEER) for entry in options.clients) and find_spec("b2sdk") is None:
        print("not installed: b2sdk; run with `uv run --group benchmarks`", file=sys.stderr)
        return 2
    # A polite end, too, must stop the sinks.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    settings = QUICK if options.quick else FULL
    began = datetime.now(UTC)
    facts = machine.own_facts() | {"b2sdk": version("b2sdk") if find_spec("b2sdk") else "not installed"}
    calls: list[Sample] = []
    transfers: list[transfer.Sample] = []
    failures: dict[str, str] = {}
    shared = "/dev/shm"
    where = shared if os.access(shared, os.W_OK) else None
    try:
        if "calls" in options.only:
            with B2Sink() as sink:
                facts["sink"] = sink.version()
                calls = measure_calls(options.clients, settings, sink, failures)
        if "transfers" in options.only:
            with tempfile.TemporaryDirectory(prefix="s3func-b2-", dir=where) as folder:
                transfers = measure_transfers(options.clients, settings, Path(folder), failures)
    except SinkUnavailable as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    about = f"{machine.own_line(facts)} b2sdk {facts['b2sdk']}. Files in {where or 'the temporary folder'}."
    print(markdown(calls, transfers, settings, failures, about))
    if options.json:
        document = {
            "began": began.isoformat(timespec="seconds"),
            "machine": facts,
            "settings": asdict(settings),
            "left_out": failures,
            "calls": [asdict(sample) for sample in calls],
            "transfers": [asdict(sample) for sample in transfers],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks b2",
        description="B2Session beside b2sdk: small calls, listings, one large file up and down.",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run of some seconds; its numbers are rough")
    parser.add_argument(
        "--only", type=_subjects, default=["calls", "transfers"], metavar="WHAT,…", help="calls or transfers"
    )
    parser.add_argument(
        "--clients",
        type=_entries,
        default=list(ROSTER),
        metavar="NAME;…",
        help=f"a selection of {'; '.join(entry.name for entry in ROSTER)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there, too")
    return parser


def _subjects(text: str) -> list[str]:
    words = {word.strip() for word in text.split(",")}
    if unknown := words - {"calls", "transfers"}:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return sorted(words)


def _entries(text: str) -> list[Entry]:
    chosen = {word.strip() for word in text.split(";")}
    if unknown := chosen - {entry.name for entry in ROSTER}:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return [entry for entry in ROSTER if entry.name in chosen]
