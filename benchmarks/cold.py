"""The cold start: a program that begins, imports a client and stores its first object.

Each number is the median over many fresh processes, started in turn (A B C, A B C, …). The import is given above a
bare interpreter of the same environment.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.contenders import Entry
from benchmarks.interpreters import BOOTSTRAP, NoEnvironment, child_environment, python_of
from benchmarks.rounds import Run, WorkerFailed
from benchmarks.sink import BUCKET, small_body


@dataclass(frozen=True, slots=True)
class ColdStart:
    """From the start of the process, in milliseconds."""

    contender: str
    import_ms: float
    """Until the import is done, above a bare interpreter."""
    import_cpu_ms: float
    first_put_ms: float
    """Until one object of 1 KiB is stored."""
    first_put_cpu_ms: float
    first_put_spread: tuple[float, float]


_REPORT_TIME = "\nimport time\nprint(time.monotonic(), flush=True)\n"


def measure_cold_starts(run: Run) -> list[ColdStart]:
    """Import and first put of everybody with an import line, in turn; medians."""
    entries = [entry for entry in run.entries if entry.import_line and entry.name not in run.failures]
    programs: dict[tuple[str, str], tuple[Entry, str]] = {}
    for entry in entries:
        programs[entry.name, "bare"] = (entry, "pass")
        programs[entry.name, "import"] = (entry, entry.import_line)
        address = f"127.0.0.1:{run.sink.port}"
        put = entry.first_put.format(endpoint=run.sink.endpoint, address=address, bucket=BUCKET)
        programs[entry.name, "put"] = (entry, f"{entry.import_line}\nbody = {small_body()!r}\n{put}")
    found: dict[tuple[str, str], list[tuple[float, float]]] = {what: [] for what in programs}
    for number in range(run.settings.cold_starts + 1):
        print(f"cold start: round {number} of {run.settings.cold_starts}", file=sys.stderr, flush=True)
        for what, (entry, program) in programs.items():
            if entry.name in run.failures:
                continue
            try:
                took = _start_once(python_of(entry), program, run.sink.home)
            except (WorkerFailed, NoEnvironment) as error:
                run.leave_out(entry, error)
                continue
            # The round before the first fills the caches of the disk and of compiled modules.
            if number:
                found[what].append(took)
    return [_cold_start(entry.name, found) for entry in entries if entry.name not in run.failures]


def _start_once(python: str, program: str, home: str) -> tuple[float, float]:
    """(wall seconds until the program's last line, CPU seconds of the whole process)."""
    started = time.monotonic()
    process = subprocess.Popen(
        [python, "-I", "-c", BOOTSTRAP + program + _REPORT_TIME],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=child_environment(home),
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read().strip()
    # Popen would reap the process without telling what it used.
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not said:
        raise WorkerFailed(f"cold start failed, status {process.returncode}")
    return float(said) - started, used.ru_utime + used.ru_stime


def _cold_start(name: str, found: dict[tuple[str, str], list[tuple[float, float]]]) -> ColdStart:
    def median_ms(what: str, column: int) -> float:
        return 1000 * statistics.median(pair[column] for pair in found[name, what])

    puts = [1000 * wall for wall, _ in found[name, "put"]]
    return ColdStart(
        contender=name,
        import_ms=median_ms("import", 0) - median_ms("bare", 0),
        import_cpu_ms=median_ms("import", 1) - median_ms("bare", 1),
        first_put_ms=median_ms("put", 0),
        first_put_cpu_ms=median_ms("put", 1),
        first_put_spread=(min(puts), max(puts)),
    )
