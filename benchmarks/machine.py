"""The line that says where numbers come from."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from benchmarks.interpreters import versions


def describe(sink_version: str) -> dict[str, str]:
    """Facts about this machine and what is installed on it; nothing that names it."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((int(line.split()[1]) >> 20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": names[0] if names else platform.processor() or "unknown",
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sink": sink_version,
        "load": f"{os.getloadavg()[0]:.2f}",
        **versions(),
    }


def line(facts: dict[str, str]) -> str:
    peers = ", ".join(f"{name} {facts[name]}" for name in ("urllib3", "obstore", "minio", "boto3", "seed"))
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory']}, {facts['system']}, load {facts['load']} at the "
        f"start; {facts['python']}; sink {facts['sink']}; {peers}."
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
