"""`python -m benchmarks server`: our server and its peers in turn, under one load, in one run."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.interpreters import BOOTSTRAP
from benchmarks.report import GIB, MIB, Spread, table
from benchmarks.server_rigs import ROSTER, Rig, Server, ServerUnavailable, settle

_LOAD = BOOTSTRAP + "from benchmarks.server_load import main\nsys.exit(main())"
_LIMIT_SECONDS = 240
PEERS = ("moto_server", "pys3local", "rclone serve s3")
UPPER_BOUND = "nginx"


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured."""

    rounds: int
    seconds: float
    warm_up_seconds: float
    bulk_mib: int


FULL = Settings(rounds=3, seconds=3.0, warm_up_seconds=0.5, bulk_mib=1024)
QUICK = Settings(rounds=1, seconds=0.5, warm_up_seconds=0.1, bulk_mib=64)


@dataclass(frozen=True, slots=True)
class Sample:
    """One server, one task, one round. load_seconds is the CPU of the load itself: near the wall time, it was the limit."""

    server: str
    task: str
    round: int
    calls: int
    warm_up_calls: int
    bytes: int
    wall_seconds: float
    load_seconds: float
    server_seconds: float
    peak_bytes: int


class LoadFailed(Exception):
    """The load ended without a reading."""


def measure(server: Server, task: str, number: int, settings: Settings) -> Sample:
    """One task on a running server."""
    order = {
        "task": task,
        "port": server.port,
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
        "seconds": settings.seconds,
        "warm_up_seconds": settings.warm_up_seconds,
        "bulk_size": settings.bulk_mib * MIB,
    }
    server.forget_peak()
    before = server.cpu_seconds()
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _LOAD, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"{task}: not done after {_LIMIT_SECONDS} s") from error
    if done.returncode:
        raise LoadFailed(f"{task}: {done.stderr.strip().splitlines()[-1][:300]}")
    reading = json.loads(done.stdout)
    return Sample(
        server=server.rig.name,
        task=task,
        round=number,
        calls=reading["calls"],
        warm_up_calls=reading["warm_up_calls"],
        bytes=reading["bytes"],
        wall_seconds=reading["wall_seconds"],
        load_seconds=reading["own_seconds"],
        server_seconds=server.cpu_seconds() - before,
        peak_bytes=server.peak_bytes(),
    )


def measure_all(rigs: Sequence[Rig], settings: Settings) -> tuple[list[Sample], dict[str, str], dict[str, str]]:
    """A B C, A B C, …: the samples, the versions, and who was left out and why."""
    samples: list[Sample] = []
    versions: dict[str, str] = {}
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="s3func-bench-", ignore_cleanup_errors=True) as folder:
        for number in range(settings.rounds):
            for rig in rigs:
                if rig.name in failures:
                    continue
                print(f"round {number + 1} of {settings.rounds}: {rig.name}", file=sys.stderr, flush=True)
                try:
                    with Server(rig, Path(folder)) as server:
                        versions[rig.name] = server.version
                        samples += _turn(server, number, settings)
                except (ServerUnavailable, LoadFailed) as error:
                    failures[rig.name] = str(error)
                    print(f"{rig.name} is left out: {error}", file=sys.stderr, flush=True)
    return samples, versions, failures


def _turn(server: Server, number: int, settings: Settings) -> list[Sample]:
    measure(server, "make bucket", number, settings)
    samples = []
    for task in ("put", "get", "upload", "download"):
        samples.append(measure(server, task, number, settings))
        settle()
    return samples


Quantity = Callable[[Sample], float]


def rate(sample: Sample) -> float:
    """Calls a second."""
    return sample.calls / sample.wall_seconds


def speed(sample: Sample) -> float:
    """GiB a second."""
    return sample.bytes / GIB / sample.wall_seconds


def cpu_us(sample: Sample) -> float:
    """The server's CPU per call, in microseconds, of all its processes and threads."""
    return sample.server_seconds / (sample.calls + sample.warm_up_calls) * 1e6


def load_busy(sample: Sample) -> float:
    """How much of one core the load used, in percent."""
    return 100 * sample.load_seconds / sample.wall_seconds


def peak_mib(sample: Sample) -> float:
    return sample.peak_bytes / MIB


# (heading, task, what is better when it is more), in the order of the columns.
ROWS: tuple[tuple[str, str, Quantity], ...] = (
    ("1 KiB PUTs/s", "put", rate),
    ("1 KiB GETs/s", "get", rate),
    ("stream up, GiB/s", "upload", speed),
    ("stream down, GiB/s", "download", speed),
)


def spread(samples: Iterable[Sample], server: str, task: str, quantity: Quantity) -> Spread | None:
    return Spread.of(quantity(one) for one in samples if (one.server, one.task) == (server, task))


def ratio(samples: Sequence[Sample], over: str, under: str, task: str, quantity: Quantity) -> Spread | None:
    """quantity of `over` divided by that of `under`, round by round."""
    tops = {one.round: quantity(one) for one in samples if (one.server, one.task) == (over, task)}
    bottoms = {one.round: quantity(one) for one in samples if (one.server, one.task) == (under, task)}
    return Spread.of(tops[number] / bottoms[number] for number in sorted(tops.keys() & bottoms.keys()))


def _text(found: Spread | None, form: str) -> str:
    return "–" if found is None else found.text(form)


def absolute_table(samples: Sequence[Sample]) -> str:
    """What each server did, medians with the lowest and highest round."""
    rows = []
    for rig in ROSTER:
        if not any(one.server == rig.name for one in samples):
            continue
        cells = [
            _text(spread(samples, rig.name, task, quantity), ",.0f" if quantity is rate else ".2f")
            for _, task, quantity in ROWS
        ]
        peaks = [spread(samples, rig.name, task, peak_mib) for task in ("upload", "download")]
        busy = [spread(samples, rig.name, task, load_busy) for _, task, _ in ROWS]
        cpu = [spread(samples, rig.name, task, cpu_us) for task in ("put", "get")]
        cells.append("/".join("–" if one is None else f"{one.median:.0f}" for one in cpu))
        cells.append("/".join("–" if one is None else f"{one.median:.0f}" for one in peaks))
        cells.append("/".join("–" if one is None else f"{one.median:.0f}" for one in busy))
        rows.append([rig.name, *cells, rig.note])
    head = [
        "server",
        *(name for name, _, _ in ROWS),
        "CPU per PUT/GET, µs",
        "peak memory up/down, MiB",
        "load busy, %",
        "what it does",
    ]
    return table(head, rows)


def ratio_table(samples: Sequence[Sample]) -> str:
    """Each of ours divided by each peer: more than 1 is ahead."""
    ours = [rig.name for rig in ROSTER if rig.ours]
    rows = []
    for mine in ours:
        for peer in (*PEERS, UPPER_BOUND):
            cells = [_text(ratio(samples, mine, peer, task, quantity), ".2f") for _, task, quantity in ROWS]
            if set(cells) != {"–"}:
                rows.append([f"{mine} ÷ {peer}", *cells])
    return table(["ratio", *(name for name, _, _ in ROWS)], rows)


def markdown(
    samples: Sequence[Sample], versions: dict[str, str], failures: dict[str, str], settings: Settings, about: str
) -> str:
    """The whole report."""
    peers = ", ".join(version for name, version in versions.items() if not name.startswith("s3func"))
    return (
        f"{about}\nServers: {peers}. {settings.rounds} rounds in turn, each server freshly started; 8 clients for "
        f"{settings.seconds:g} s; streams of {settings.bulk_mib} MiB over one connection. Median (lowest–highest).\n\n"
        f"## The server\n\n{absolute_table(samples)}\n## Ahead of whom\n\n{ratio_table(samples)}"
        + "".join(f"\nLeft out: {name}: {reason}\n" for name, reason in failures.items())
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 when a server was left out."""
    options = _parser().parse_args(arguments)
    # A polite end, too, must stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    settings = QUICK if options.quick else FULL
    began = datetime.now(UTC)
    facts = machine.own_facts()
    try:
        samples, versions, failures = measure_all(options.servers, settings)
    except KeyboardInterrupt:
        return 130
    print(markdown(samples, versions, failures, settings, machine.own_line(facts)))
    if options.json:
        document = {
            "began": began.isoformat(timespec="seconds"),
            "machine": facts | {"servers": versions},
            "settings": asdict(settings),
            "left_out": failures,
            "samples": [asdict(sample) for sample in samples],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks server", description="Our server and its peers, side by side, under one load."
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run of half a minute; its numbers are rough")
    parser.add_argument(
        "--servers",
        type=_rigs,
        default=list(ROSTER),
        metavar="NAME;…",
        help=f"a selection of {'; '.join(rig.name for rig in ROSTER)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there, too")
    return parser


def _rigs(text: str) -> list[Rig]:
    chosen = {word.strip() for word in text.split(";")}
    if unknown := chosen - {rig.name for rig in ROSTER}:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return [rig for rig in ROSTER if rig.name in chosen]


if __name__ == "__main__":
    sys.exit(main())
