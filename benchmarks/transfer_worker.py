"""The process that moves one large object once; CPU and memory are those of it and of the programs that it starts.

It is given one JSON document as its argument and writes one as its result.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass

from benchmarks.measure import _forget_peak, _status_bytes
from benchmarks.transfer_clients import Task, entry_named


@dataclass(slots=True)
class Reading:
    """One transfer. peak_bytes: how far the resident memory rose; of a program that was started, all of it."""

    wall_seconds: float
    user_seconds: float
    system_seconds: float
    peak_bytes: int


def main() -> int:
    order = json.loads(sys.argv[1])
    entry = entry_named(order.pop("client"))
    direction = order.pop("direction")
    task = Task(**order)
    client = entry.make(task, entry.variant)
    try:
        reading = measured(client.upload if direction == "upload" else client.download, task)
    finally:
        client.close()
    print(json.dumps(asdict(reading)))
    return 0


def measured(move: object, task: Task) -> Reading:
    """Move once and count."""
    assert callable(move)
    before = _forget_peak()
    own, children = _used()
    clock = time.perf_counter()
    move(task)
    wall = time.perf_counter() - clock
    own_after, children_after = _used()
    rise = max(0, _status_bytes("VmHWM") - before)
    # Children report their peak in KiB, the largest of all of them.
    return Reading(
        wall_seconds=wall,
        user_seconds=own_after.ru_utime - own.ru_utime + children_after.ru_utime - children.ru_utime,
        system_seconds=own_after.ru_stime - own.ru_stime + children_after.ru_stime - children.ru_stime,
        peak_bytes=max(rise, children_after.ru_maxrss * 1024),
    )


def _used() -> tuple[resource.struct_rusage, resource.struct_rusage]:
    return resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)


if __name__ == "__main__":
    sys.exit(main())
