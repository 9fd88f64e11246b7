"""`python -m benchmarks transfer`: one large file up and one down, everybody in turn with the same concurrency.

The first setting is a store as fast as S3 is (paced_sink.py): a share of 1.00 is every connection busy all the time at
its 90 MB/s, without any of the 20 ms of silence that each request begins with. In the second one the store has no
limits, and the machine is what limits.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from benchmarks import machine
from benchmarks.interpreters import BOOTSTRAP, child_environment
from benchmarks.paced_sink import BYTES_PER_SECOND, LATENCY_SECONDS, PacedSink
from benchmarks.paced_store import object_crc32
from benchmarks.report import GIB, MIB, Spread, table
from benchmarks.sink import bulk_block
from benchmarks.transfer_clients import ROSTER, US, Entry

_WORKER = BOOTSTRAP + "from benchmarks.transfer_worker import main\nsys.exit(main())"
_LIMIT_SECONDS = 180
PACED = "paced"
UNPACED = "unpaced"
DIRECTIONS = ("upload", "download")


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured. part_mib: what the rows with "our parts" are given."""

    rounds: int
    size_mib: int
    connections: int
    part_mib: int

    @property
    def size(self) -> int:
        return self.size_mib * MIB


FULL = Settings(rounds=3, size_mib=2048, connections=8, part_mib=32)
QUICK = Settings(rounds=1, size_mib=64, connections=8, part_mib=8)


@dataclass(frozen=True, slots=True)
class Sample:
    """One client, one setting, one direction, one round. at_once: the most transfers that the sink saw at one time."""

    client: str
    setting: str
    direction: str
    round: int
    size: int
    wall_seconds: float
    user_seconds: float
    system_seconds: float
    sink_seconds: float
    peak_bytes: int
    requests: int
    at_once: int


class TransferFailed(Exception):
    """A client ended without having moved the object, or moved something else."""


class Row(Protocol):
    """What is asked of whoever moves the file; see transfer_clients.Entry."""

    @property
    def name(self) -> str: ...
    @property
    def given_parts(self) -> bool: ...
    @property
    def downloads(self) -> bool: ...


class Rig:
    """A folder with the file to send, and what is needed to start a measured process."""

    def __init__(self, folder: Path, settings: Settings, worker: str = _WORKER) -> None:
        """worker: the program of a measured process."""
        self.settings = settings
        self._worker = worker
        self.source = folder / "source"
        self.target = folder / "target"
        self._home = folder / "home"
        self._home.mkdir()
        block = bulk_block()
        with self.source.open("wb") as file:
            for _ in range(settings.size_mib):
                file.write(block)

    def measure(self, entry: Row, setting: str, direction: str, number: int, sink: PacedSink) -> Sample:
        """One transfer, checked afterwards outside of the measured time."""
        settings = self.settings
        order = {
            "client": entry.name,
            "direction": direction,
            "port": sink.port,
            "size": settings.size,
            "path": str(self.source if direction == "upload" else self.target),
            "connections": settings.connections,
            "part_size": settings.part_mib * MIB if entry.given_parts else 0,
        }
        sink.stats()
        before = sink.cpu_seconds()
        try:
            reading = self._work(order)
            sink_seconds = sink.cpu_seconds() - before
            stats = sink.stats()
            if direction == "upload" and stats.stored != settings.size:
                raise TransferFailed(f"the sink was given {stats.stored} of {settings.size} bytes")
            if direction == "download":
                check_target(self.target, settings.size)
        finally:
            self.target.unlink(missing_ok=True)
        return Sample(
            client=entry.name,
            setting=setting,
            direction=direction,
            round=number,
            size=settings.size,
            sink_seconds=sink_seconds,
            requests=stats.requests,
            at_once=stats.at_once,
            **reading,
        )

    def _work(self, order: dict[str, Any]) -> dict[str, Any]:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", self._worker, json.dumps(order)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=child_environment(str(self._home)),
                timeout=_LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TransferFailed(f"{order['direction']}: not done after {_LIMIT_SECONDS} s") from error
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise TransferFailed(f"{order['direction']}: {lines[-1][:300]}")
        reading: dict[str, Any] = json.loads(done.stdout)
        return reading


def check_target(path: Path, size: int) -> None:
    """The downloaded file has the object's bytes."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(4 * MIB):
            value = zlib.crc32(block, value)
        count = file.tell()
    if (count, value) != (size, object_crc32(size)):
        raise TransferFailed(f"download: {count} of {size} bytes, CRC32 {value:08x}")


def measure_all(
    entries: Sequence[Row], rig: Rig, sinks: Mapping[str, PacedSink], directions: Sequence[str], rounds: int
) -> tuple[list[Sample], dict[str, str]]:
    """A B C, A B C, … in every setting and direction: the samples, and who was left out and why. sinks: by setting."""
    samples: list[Sample] = []
    failures: dict[str, str] = {}
    for setting, unopened in sinks.items():
        with unopened as sink:
            for direction in directions:
                for number in range(rounds):
                    print(f"{setting} {direction}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
                    for entry in entries:
                        label = f"{entry.name}, {direction}"
                        if label in failures or (direction == "download" and not entry.downloads):
                            continue
                        try:
                            samples.append(rig.measure(entry, setting, direction, number, sink))
                        except TransferFailed as error:
                            failures[label] = str(error)
                            print(f"{label} is left out: {error}", file=sys.stderr, flush=True)
    return samples, failures


Quantity = Callable[[Sample], float]


def speed(sample: Sample) -> float:
    """MB a second."""
    return sample.size / 1e6 / sample.wall_seconds


def wall(sample: Sample) -> float:
    return sample.wall_seconds


def cpu_per_gib(sample: Sample) -> float:
    """The client's CPU seconds for each GiB, user and system, with the programs that it starts."""
    return (sample.user_seconds + sample.system_seconds) / (sample.size / GIB)


def peak_mib(sample: Sample) -> float:
    return sample.peak_bytes / MIB


def sink_busy(sample: Sample) -> float:
    """How much of one core the sink used, in percent."""
    return 100 * sample.sink_seconds / sample.wall_seconds


def share(sample: Sample, connections: int, bytes_per_second: float = BYTES_PER_SECOND) -> float:
    """Of what so many connections could carry without a pause."""
    return sample.size / sample.wall_seconds / (connections * bytes_per_second)


def selected(samples: Iterable[Sample], setting: str, direction: str, client: str = "") -> list[Sample]:
    return [
        one for one in samples if (one.setting, one.direction) == (setting, direction) and client in {"", one.client}
    ]


def ratio(samples: Sequence[Sample], setting: str, direction: str, client: str, quantity: Quantity) -> Spread | None:
    """Theirs divided by ours, round by round."""
    ours = {one.round: quantity(one) for one in selected(samples, setting, direction, US)}
    theirs = {one.round: quantity(one) for one in selected(samples, setting, direction, client)}
    return Spread.of(theirs[number] / ours[number] for number in sorted(ours.keys() & theirs.keys()) if ours[number])


def _text(found: Spread | None, form: str = ".2f") -> str:
    return "–" if found is None else found.text(form)


def transfer_table(
    samples: Sequence[Sample],
    setting: str,
    direction: str,
    connections: int,
    bytes_per_second: float = BYTES_PER_SECOND,
) -> str:
    """One setting and direction: speed, cost, memory; a ratio above 1 is slower, or dearer, than ours."""
    rows = []
    for name in dict.fromkeys(one.client for one in selected(samples, setting, direction)):
        mine = selected(samples, setting, direction, name)

        def middle(quantity: Quantity, form: str, mine: Sequence[Sample] = mine) -> str:
            found = Spread.of(quantity(one) for one in mine)
            return "–" if found is None else format(found.median, form)

        shares = _text(Spread.of(share(one, connections, bytes_per_second) for one in mine))
        rows.append(
            [
                name,
                *([shares] if setting == PACED else []),
                middle(speed, ",.0f"),
                _text(ratio(samples, setting, direction, name, wall)),
                middle(cpu_per_gib, ".3f"),
                _text(ratio(samples, setting, direction, name, cpu_per_gib)),
                middle(peak_mib, ".0f"),
                middle(lambda one: float(one.requests), ".0f"),
                middle(lambda one: float(one.at_once), ".0f"),
                middle(sink_busy, ".0f"),
            ]
        )
    head = [
        f"{direction}, {setting}",
        *([f"share of {connections} x {bytes_per_second / 1e6:.0f} MB/s"] if setting == PACED else []),
        "MB/s",
        "time × ours",
        "CPU s per GiB",
        "CPU × ours",
        "peak memory, MiB",
        "requests",
        "at once",
        "sink busy, %",
    ]
    return table(head, rows)


def versions(entries: Sequence[Entry]) -> dict[str, str]:
    """The peers as installed here."""
    found = {}
    for name in dict.fromkeys(package for entry in entries for package in entry.packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def markdown(
    samples: Sequence[Sample], failures: dict[str, str], settings: Settings, about: str, entries: Sequence[Entry]
) -> str:
    """The whole report."""
    method = (
        f"{about}\n{settings.rounds} rounds in turn, {settings.size_mib} MiB between a file and the sink, "
        f"{settings.connections} transfers at a time, {settings.part_mib} MiB where a row says our parts; every figure is "
        "the median of the rounds (lowest–highest), every ratio is theirs divided by ours within a round.\n"
    )
    tables = [
        transfer_table(samples, setting, direction, settings.connections)
        for setting in (PACED, UNPACED)
        for direction in DIRECTIONS
        if selected(samples, setting, direction)
    ]
    computed = [f"- {entry.name}: {entry.note}" for entry in entries if entry.note]
    tables.append("Computed over what is sent and received:\n\n" + "\n".join(computed) + "\n")
    left_out = [f"Left out: {name}: {reason}\n" for name, reason in failures.items()]
    return "\n".join([method, *tables, *left_out])


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 when a client failed and was left out."""
    options = _parser().parse_args(arguments)
    # A polite end, too, must stop the sink.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    settings = QUICK if options.quick else FULL
    settings = Settings(
        options.rounds or settings.rounds,
        options.size_mib or settings.size_mib,
        options.connections or settings.connections,
        options.part_mib or settings.part_mib,
    )
    began = datetime.now(UTC)
    facts = machine.own_facts() | versions(options.clients)
    shared = "/dev/shm"
    where = options.folder or (shared if os.access(shared, os.W_OK) else None)
    try:
        with tempfile.TemporaryDirectory(prefix="s3func-transfer-", dir=where) as folder:
            rig = Rig(Path(folder), settings)
            paces = {PACED: (LATENCY_SECONDS, BYTES_PER_SECOND), UNPACED: (0.0, 0.0)}
            sinks = {setting: PacedSink(*paces[setting]) for setting in options.settings}
            samples, failures = measure_all(options.clients, rig, sinks, options.directions, settings.rounds)
    except KeyboardInterrupt:
        return 130
    peers = ", ".join(f"{name} {number}" for name, number in versions(options.clients).items())
    about = f"{machine.own_line(facts)} Files in {where or 'the temporary folder'}. {peers}."
    print(markdown(samples, failures, settings, about, options.clients))
    if options.json:
        document = {
            "began": began.isoformat(timespec="seconds"),
            "machine": facts,
            "settings": asdict(settings),
            "left_out": failures,
            "samples": [asdict(sample) for sample in samples],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks transfer",
        description="One large file up and down, everybody with the same concurrency.",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run of some seconds; its numbers are rough")
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--size-mib", type=int, metavar="N")
    parser.add_argument("--connections", type=int, metavar="N")
    parser.add_argument("--part-mib", type=int, metavar="N", help="the part size of the rows that are given one")
    parser.add_argument("--folder", metavar="DIR", help="where the files are; /dev/shm unless told otherwise")
    parser.add_argument("--settings", type=_words(PACED, UNPACED), default=[PACED, UNPACED], metavar="WHAT,…")
    parser.add_argument("--directions", type=_words(*DIRECTIONS), default=list(DIRECTIONS), metavar="WHAT,…")
    parser.add_argument(
        "--clients",
        type=_entries,
        default=list(ROSTER),
        metavar="NAME;…",
        help=f"a selection of {'; '.join(entry.name for entry in ROSTER)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there, too")
    return parser


def _words(*allowed: str) -> Callable[[str], list[str]]:
    def chosen(text: str) -> list[str]:
        words = {word.strip() for word in text.split(",")}
        if unknown := words - set(allowed):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
        return [word for word in allowed if word in words]

    return chosen


def _entries(text: str) -> list[Entry]:
    chosen = {word.strip() for word in text.split(";")}
    if unknown := chosen - {entry.name for entry in ROSTER}:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return [entry for entry in ROSTER if entry.name in chosen]
