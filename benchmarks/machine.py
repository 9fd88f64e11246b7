"""The line that says where numbers come from."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from benchmarks.interpreters import versions


def own_facts() -> dict[str, str]:
    """Facts about this machine; nothing that names it."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((int(line.split()[1]) >> 20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": names[0] if names else platform.processor() or "unknown",
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": f"{os.getloadavg()[0]:.2f}",
    }


def own_line(facts: dict[str, str]) -> str:
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory']}, {facts['system']}, load {facts['load']} at the "
        f"start; {facts['python']}."
    )


def describe(sink_version: str) -> dict[str, str]:
    """The same, with what is installed for the clients' part."""
    return own_facts() | {"sink": sink_version, **versions()}


def line(facts: dict[str, str]) -> str:
    peers = ", ".join(f"{name} {facts[name]}" for name in ("urllib3", "obstore", "minio", "boto3", "seed"))
    return f"{own_line(facts).removesuffix('.')}; sink {facts['sink']}; {peers}."


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
