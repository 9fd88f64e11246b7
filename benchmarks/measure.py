"""What is counted, inside the process that is measured, and the loops that are timed.

CPU is the process's own, user and system, of all its threads (getrusage, RUSAGE_SELF): what a program pays for a call
whatever the network does. Wall time stands beside it. The sink's CPU is read from /proc, only to show that the sink
had time to spare.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

from benchmarks.contenders import Contender, WrongAnswer
from benchmarks.page import KEYS, TOTAL_SIZE
from benchmarks.sink import ETAG, SMALL_SIZE, small_body

KEY_COUNT = 200
"""Small calls walk through this many keys, so that remembering the last one is worth nothing."""
_BATCH = 8


@dataclass(slots=True)
class Reading:
    """One measurement of one process."""

    calls: int
    wall_seconds: float
    user_seconds: float
    system_seconds: float
    switches: int
    """Times the process gave up its core to wait: what threads pay when they pass the interpreter's lock around."""
    sink_seconds: float
    extra_bytes: int = 0
    """How far the resident memory rose above where it stood before."""

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def small_call(contender: Contender, verb: str) -> Callable[[str], None]:
    """One checked 1 KiB call."""
    body = small_body()
    put, get, head = contender.put, contender.get, contender.head

    def checked_put(key: str) -> None:
        if (etag := put(key, body)) != ETAG:
            raise WrongAnswer(f"put: ETag {etag!r}")

    def checked_get(key: str) -> None:
        if (size := get(key)) != SMALL_SIZE:
            raise WrongAnswer(f"get: {size} bytes")

    def checked_head(key: str) -> None:
        if (size := head(key)) != SMALL_SIZE:
            raise WrongAnswer(f"head: size {size}")

    return {"put": checked_put, "get": checked_get, "head": checked_head}[verb]


def list_call(contender: Contender) -> Callable[[str], None]:
    """One checked page of 1,000 keys."""

    def checked_list(prefix: str) -> None:
        if (found := contender.list_page(prefix)) != (KEYS, TOTAL_SIZE):
            raise WrongAnswer(f"list: {found}")

    return checked_list


class Watch:
    """Reads the counters when it is made and again at `stop`."""

    def __init__(self, sink_pids: Sequence[int]) -> None:
        self._sink_pids = sink_pids
        self._sink = _cpu_of(sink_pids)
        self._used = resource.getrusage(resource.RUSAGE_SELF)
        self._clock = time.perf_counter()

    def stop(self, calls: int) -> Reading:
        wall = time.perf_counter() - self._clock
        used, before = resource.getrusage(resource.RUSAGE_SELF), self._used
        return Reading(
            calls=calls,
            wall_seconds=wall,
            user_seconds=used.ru_utime - before.ru_utime,
            system_seconds=used.ru_stime - before.ru_stime,
            switches=used.ru_nvcsw - before.ru_nvcsw,
            sink_seconds=_cpu_of(self._sink_pids) - self._sink,
        )


def _cpu_of(pids: Sequence[int]) -> float:
    ticks = 0
    for pid in pids:
        # The fields behind the name in parentheses: utime and stime are the 12th and 13th of them.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def repeat_for(call: Callable[[str], None], keys: Sequence[str], seconds: float) -> int:
    """Call until the time is up; how many calls that were."""
    endless = cycle(keys)
    calls = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(_BATCH):
            call(next(endless))
        calls += _BATCH
    return calls


def run_calls(
    call: Callable[[str], None], keys: Sequence[str], threads: int, seconds: float, sink_pids: Sequence[int]
) -> Reading:
    """The same loop in this thread or in several; the clock runs from the common start to the last thread's end."""
    if threads == 1:
        watch = Watch(sink_pids)
        return watch.stop(repeat_for(call, keys, seconds))
    counts: list[int] = []
    failures: list[BaseException] = []
    start = threading.Barrier(threads + 1)

    def work(shift: int) -> None:
        own_keys = [*keys[shift:], *keys[:shift]]
        try:
            call(own_keys[0])  # Opens this thread's connection.
            start.wait()
            counts.append(repeat_for(call, own_keys, seconds))
        except BaseException as error:
            failures.append(error)
            start.abort()

    workers = [threading.Thread(target=work, args=(number * len(keys) // threads,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    try:
        start.wait()
    except threading.BrokenBarrierError:
        pass
    watch = Watch(sink_pids)
    for worker in workers:
        worker.join()
    reading = watch.stop(sum(counts))
    if failures:
        raise failures[0]
    return reading


def run_stream(work: Callable[[], None], sink_pids: Sequence[int]) -> Reading:
    """One large transfer, with the peak of resident memory above what was there before."""
    before = _forget_peak()
    watch = Watch(sink_pids)
    work()
    reading = watch.stop(1)
    reading.extra_bytes = max(0, _status_bytes("VmHWM") - before)
    return reading


def _forget_peak() -> int:
    """Make the kernel count the peak anew (https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status_bytes("VmRSS")


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")
