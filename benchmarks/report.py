"""From samples to tables: medians, ratios and Markdown, nothing that measures.

Every ratio is taken between neighbours of the same round and is a cost, theirs divided by ours: 5.0 means that the
client spends five times what s3func spends on the same call. The median of the rounds stands first, the lowest and the
highest behind it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.cold import ColdStart
from benchmarks.contenders import US, entry_named
from benchmarks.rounds import Sample

RAW = "raw socket"
MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, and how far they lay apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """None where there is nothing to take a median of."""
        found = list(values)
        return cls(statistics.median(found), min(found), max(found)) if found else None

    def text(self, form: str = ".2f") -> str:
        if self.low == self.high:
            return format(self.median, form)
        return f"{self.median:{form}} ({self.low:{form}}–{self.high:{form}})"


Quantity = Callable[[Sample], float]


def cpu_us(sample: Sample) -> float:
    """CPU per call in microseconds."""
    return sample.cpu_seconds / sample.calls * 1e6


def wall_us(sample: Sample) -> float:
    """Wall time divided by calls, in microseconds; with several threads or processes that is the inverse of the rate."""
    return sample.wall_seconds / sample.calls * 1e6


def rate(sample: Sample) -> float:
    """Calls a second."""
    return sample.calls / sample.wall_seconds


def extra_mib(sample: Sample) -> float:
    return sample.extra_bytes / MIB


def sink_busy(sample: Sample) -> float:
    """The part of one core that the sink used, in percent."""
    return 100 * sample.sink_seconds / sample.wall_seconds


def absolute(samples: Sequence[Sample], scenario: str, contender: str, quantity: Quantity) -> Spread | None:
    return Spread.of(quantity(one) for one in samples if (one.scenario, one.contender) == (scenario, contender))


def ratio(samples: Sequence[Sample], scenario: str, over: str, under: str, quantity: Quantity) -> Spread | None:
    """quantity of `over` divided by that of `under`, round by round; rounds that only one of them has do not count."""
    tops = {one.round: one for one in samples if (one.scenario, one.contender) == (scenario, over)}
    bottoms = {one.round: one for one in samples if (one.scenario, one.contender) == (scenario, under)}
    return Spread.of(
        quantity(tops[number]) / quantity(bottoms[number])
        for number in sorted(tops.keys() & bottoms.keys())
        if quantity(bottoms[number])
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left, the others to the right."""
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _names(samples: Sequence[Sample], scenarios: Sequence[str]) -> list[str]:
    """Contenders in the order in which they were measured."""
    return list(dict.fromkeys(one.contender for one in samples if one.scenario in scenarios))


def _cell(spread: Spread | None, form: str = ".2f") -> str:
    return spread.text(form) if spread else "–"


def _middle(spread: Spread | None, form: str) -> str:
    return format(spread.median, form) if spread else "–"


def calls_tables(samples: Sequence[Sample], shape: str, verbs: Sequence[str]) -> str:
    """1 KiB calls in one shape (threads or processes): ratios first, then what they are ratios of."""
    verbs = [verb for verb in verbs if any(one.scenario == f"{verb}, {shape}" for one in samples)]
    scenarios = [f"{verb}, {shape}" for verb in verbs]
    names = _names(samples, scenarios)
    if not names:
        return ""
    ratios = []
    numbers = []
    for name in names:
        cpu = [_cell(ratio(samples, scenario, name, US, cpu_us)) for scenario in scenarios]
        wall = [_cell(ratio(samples, scenario, name, US, wall_us)) for scenario in scenarios]
        ratios.append([name, *cpu, *wall])
        cpu = [_middle(absolute(samples, scenario, name, cpu_us), ".1f") for scenario in scenarios]
        rates = [_middle(absolute(samples, scenario, name, rate), ",.0f") for scenario in scenarios]
        busy = [_middle(absolute(samples, scenario, name, sink_busy), ".0f") for scenario in scenarios]
        numbers.append([name, *cpu, *rates, "/".join(busy), entry_named(name).integrity])
    ratio_head = ["× ours", *(f"CPU {verb}" for verb in verbs), *(f"time {verb}" for verb in verbs)]
    number_head = ["per call", *(f"CPU {verb}, µs" for verb in verbs), *(f"{verb}s/s" for verb in verbs)]
    return (
        f"## 1 KiB calls, {shape}\n\n{table(ratio_head, ratios)}\n"
        f"{table([*number_head, 'sink busy, %', 'computed over the payload'], numbers)}\n"
    )


def list_table(samples: Sequence[Sample]) -> str:
    """Pages of 1,000 keys."""
    scenarios = ["list, plain", "list, lake"]

    def cpu_ms(one: Sample) -> float:
        return cpu_us(one) / 1000

    def wall_ms(one: Sample) -> float:
        return wall_us(one) / 1000

    rows = [
        [
            name,
            *(_cell(ratio(samples, scenario, name, US, cpu_us)) for scenario in scenarios),
            *(_middle(absolute(samples, scenario, name, cpu_ms), ".2f") for scenario in scenarios),
            *(_middle(absolute(samples, scenario, name, wall_ms), ".2f") for scenario in scenarios),
        ]
        for name in _names(samples, scenarios)
    ]
    if not rows:
        return ""
    head = ["1,000 keys", "plain, CPU × ours", "lake, CPU × ours", "plain, CPU ms", "lake, CPU ms"]
    return f"## A page of 1,000 keys\n\n{table([*head, 'plain, wall ms', 'lake, wall ms'], rows)}\n"


def stream_table(samples: Sequence[Sample], bulk_mib: int) -> str:
    """One large object each way."""
    scenarios = ["upload from memory", "upload from a file", "download"]

    def speed(one: Sample) -> float:
        return bulk_mib * MIB / GIB / one.wall_seconds

    def cpu_per_gib(one: Sample) -> float:
        return one.cpu_seconds / (bulk_mib * MIB / GIB)

    parts = []
    for scenario in scenarios:
        rows = [
            [
                name,
                _cell(ratio(samples, scenario, name, RAW, rate)),
                _middle(absolute(samples, scenario, name, speed), ".2f"),
                _middle(absolute(samples, scenario, name, cpu_per_gib), ".3f"),
                _cell(ratio(samples, scenario, name, US, cpu_us)),
                _middle(absolute(samples, scenario, name, extra_mib), ".1f"),
                _middle(absolute(samples, scenario, name, sink_busy), ".0f"),
                "–" if scenario == "download" else entry_named(name).bulk_integrity,
            ]
            for name in _names(samples, [scenario])
        ]
        if rows:
            head = [scenario, "speed ÷ raw socket's", "GiB/s", "CPU s per GiB", "CPU × ours", "extra memory, MiB"]
            parts.append(table([*head, "sink busy, %", "computed over the payload"], rows))
    return f"## One object of {bulk_mib} MiB\n\n" + "\n".join(parts) + "\n" if parts else ""


def cold_table(starts: Sequence[ColdStart]) -> str:
    """Imports and first puts."""
    if not starts:
        return ""
    ours = next((one for one in starts if one.contender == US), None)
    rows = [
        [
            one.contender,
            f"{one.import_ms:.1f}",
            f"{one.import_cpu_ms:.1f}",
            f"{one.first_put_ms:.1f} ({one.first_put_spread[0]:.1f}–{one.first_put_spread[1]:.1f})",
            f"{one.first_put_cpu_ms:.1f}",
            f"{one.first_put_ms / ours.first_put_ms:.2f}" if ours else "–",
        ]
        for one in starts
    ]
    head = ["cold start", "import over bare, ms", "CPU ms", "start to first put, ms", "CPU ms", "× ours"]
    return f"## Cold start\n\n{table(head, rows)}\n"
