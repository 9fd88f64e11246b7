"""`python -m benchmarks`: start the sink, measure everybody in turn, print the tables. `… server`, `… transfer`, `… b2`, `… sync`, `… distributed`, `… filesystem`: see there."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from benchmarks import b2, distributed, filesystem, machine, report, server, sync, targets, transfer
from benchmarks.cold import ColdStart, measure_cold_starts
from benchmarks.contenders import ROSTER, US, Entry, entry_named
from benchmarks.rounds import Run, Settings
from benchmarks.sink import Sink, SinkUnavailable

VERBS = ("put", "get", "head")
SUBJECTS = (*VERBS, "cold", "list", "stream")
FULL = Settings(rounds=5, call_seconds=0.4, warm_up_seconds=0.1, cold_starts=21, bulk_mib=512, processes=4, threads=8)
QUICK = Settings(rounds=1, call_seconds=0.15, warm_up_seconds=0.05, cold_starts=3, bulk_mib=64, processes=0, threads=8)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 when a contender failed and was left out, 2 when the sink cannot be started."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["server"]:
        return server.main(given[1:])
    if given[:1] == ["transfer"]:
        return transfer.main(given[1:])
    if given[:1] == ["b2"]:
        return b2.main(given[1:])
    if given[:1] == ["sync"]:
        return sync.main(given[1:])
    if given[:1] == ["distributed"]:
        return distributed.main(given[1:])
    if given[:1] == ["filesystem"]:
        return filesystem.main(given[1:])
    options = _parser().parse_args(given)
    missing = [name for name in ("obstore", "minio", "boto3") if find_spec(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}; run with `uv run --group benchmarks`", file=sys.stderr)
        return 2
    # A polite end, too, must stop the sink.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    settings = QUICK if options.quick else FULL
    starts: list[ColdStart] = []
    began = datetime.now(UTC)
    try:
        with Sink(settings.bulk_mib << 20) as sink:
            facts = machine.describe(sink.version())
            run = Run(settings, sink, options.contenders)
            if verbs := [verb for verb in VERBS if verb in options.only]:
                run.measure_calls(verbs)
            if "list" in options.only:
                run.measure_lists()
            if "stream" in options.only:
                run.measure_streams()
            if "cold" in options.only:
                starts = measure_cold_starts(run)
    except SinkUnavailable as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(_markdown(run, starts, facts))
    if options.json:
        document = {
            "began": began.isoformat(timespec="seconds"),
            "machine": facts,
            "settings": asdict(settings),
            "left_out": run.failures,
            "samples": [asdict(sample) for sample in run.samples],
            "cold_starts": [asdict(start) for start in starts],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if run.failures else 0


def _markdown(run: Run, starts: Sequence[ColdStart], facts: dict[str, str]) -> str:
    settings = run.settings
    shapes = ["1 thread", f"{settings.threads} threads", f"{settings.processes} processes"]
    method = (
        f"{settings.rounds} rounds in turn; every ratio is the median over the rounds (lowest–highest) of theirs "
        "divided by ours, unless the column says otherwise."
    )
    parts = [
        f"{machine.line(facts)}\n{method}\n\n",
        targets.targets_table(run.samples, starts, settings.threads),
        *(report.calls_tables(run.samples, shape, VERBS) for shape in shapes),
        report.list_table(run.samples),
        report.stream_table(run.samples, settings.bulk_mib),
        report.cold_table(starts),
        *(f"Left out: {name}: {reason}\n" for name, reason in run.failures.items()),
    ]
    return "".join(parts).rstrip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="s3func and its peers, side by side, against one nginx. Other parts: `server --help`, `transfer --help`, `b2 --help`, `sync --help`, `distributed --help`.",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run of less than a minute; its numbers are rough")
    parser.add_argument(
        "--only", type=_subjects, default=set(SUBJECTS), metavar="WHAT,…", help=f"a selection of {', '.join(SUBJECTS)}"
    )
    parser.add_argument(
        "--contenders",
        type=_entries,
        default=list(ROSTER),
        metavar="NAME,…",
        help=f"a selection of {'; '.join(entry.name for entry in ROSTER)} ({US} is always among them)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there, too")
    return parser


def _subjects(text: str) -> set[str]:
    # `puts` and `lists` are what one is tempted to write.
    chosen = {word.strip().removesuffix("s") for word in text.split(",")}
    if unknown := chosen - set(SUBJECTS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


def _entries(text: str) -> list[Entry]:
    chosen = {word.strip() for word in text.split(",")} | {US}
    try:
        for name in chosen:
            entry_named(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return [entry for entry in ROSTER if entry.name in chosen]


if __name__ == "__main__":
    sys.exit(main())
