"""What the project has set itself, and whether this run shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.cold import ColdStart
from benchmarks.contenders import US
from benchmarks.report import RAW, Spread, absolute, cpu_us, extra_mib, rate, ratio, table
from benchmarks.rounds import Sample

_STREAMS = ("upload from memory", "upload from a file", "download")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target beside what was measured; `most` where less is better, `least` where more is."""

    what: str
    measured: Spread
    most: float | None = None
    least: float | None = None

    @property
    def met(self) -> bool:
        """By the median; a spread that reaches across the limit is seen in the table."""
        if self.most is not None:
            return self.measured.median <= self.most
        return self.least is not None and self.measured.median >= self.least

    def row(self) -> list[str]:
        limit = f"≤ {self.most:g}" if self.most is not None else f"≥ {self.least:g}"
        return [self.what, limit, self.measured.text(), "yes" if self.met else "**no**"]


def verdicts(samples: Sequence[Sample], starts: Sequence[ColdStart], threads: int) -> list[Verdict]:
    """The targets for which this run has both sides."""
    found: list[Verdict] = []

    def add(what: str, measured: Spread | None, *, most: float | None = None, least: float | None = None) -> None:
        if measured is not None:
            found.append(Verdict(what, measured, most, least))

    for verb in ("put", "get"):
        scenario = f"{verb}, 1 thread"
        add(f"CPU of a {verb} ÷ obstore's", ratio(samples, scenario, US, "obstore", cpu_us), most=0.6)
        add(f"boto3's CPU of a {verb} ÷ ours", ratio(samples, scenario, "boto3", US, cpu_us), least=20)
    for verb in ("put", "get"):
        for peer in ("urllib3", "minio-py"):
            scenario = f"{verb}, {threads} threads"
            add(f"{verb}s/s in {threads} threads ÷ {peer}'s", ratio(samples, scenario, US, peer, rate), least=3)
    for page in ("plain", "lake"):
        add(f"CPU of a {page} page ÷ obstore's", ratio(samples, f"list, {page}", US, "obstore", cpu_us), most=0.6)
    for scenario in _STREAMS:
        add(f"{scenario}, speed ÷ raw socket's", ratio(samples, scenario, US, RAW, rate), least=0.7)
        add(f"{scenario}, extra memory in MiB", absolute(samples, scenario, US, extra_mib), most=48)
    by_name = {one.contender: one for one in starts}
    if ours := by_name.get(US):
        add("import over a bare interpreter, ms", Spread.of([ours.import_ms]), most=20)
        if peer_start := by_name.get("obstore"):
            times = Spread.of([ours.first_put_ms / peer_start.first_put_ms])
            add("start to first put ÷ obstore's", times, most=1.5)
    return found


def targets_table(samples: Sequence[Sample], starts: Sequence[ColdStart], threads: int) -> str:
    rows = [verdict.row() for verdict in verdicts(samples, starts, threads)]
    return f"## Targets\n\n{table(['target', 'limit', 'measured', 'met'], rows)}\n" if rows else ""
