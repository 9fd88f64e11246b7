"""The driver of a cluster, run by the interpreter that has one: each line of its input is a call of sync() or apply().

Its answers, a line of JSON each, go to what was its standard output; what the cluster writes there goes to the errors.
It knows its workers' processes, and kills one of them in the middle of a run where a call says so.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from s3func.errors import S3FuncError
from s3func.s3 import S3Session
from s3func.sync import Plan, RemotePrefix, Report, SessionSpec, apply, sync
from s3func.sync.events import Event, OperationDone


class Cluster:
    """What apply() is given, and how the processes that work are found."""

    def __init__(self, executor: Any, processes: Callable[[], list[int]]) -> None:
        self.executor = executor
        self.processes = processes


@contextmanager
def dask(workers: int) -> Iterator[Cluster]:
    """A local cluster of processes with one thread each."""
    module = import_module("distributed")
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with module.LocalCluster(host="127.0.0.1", **options) as cluster, module.Client(cluster) as client:
        yield Cluster(client, lambda: sorted(client.run(os.getpid).values()))


@contextmanager
def ray(workers: int) -> Iterator[Cluster]:
    """A local Ray, reached by loopback only."""
    module = import_module("ray")
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        module.init(
            num_cpus=workers,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            object_store_memory=100 * 1024 * 1024,
            _temp_dir=folder,
            logging_level="ERROR",
        )
        try:
            # A worker's process is called after the task that it carries out.
            yield Cluster(
                module, lambda: [pid for pid, name in descendants(os.getpid()) if name.startswith("ray::_call")]
            )
        finally:
            module.shutdown()


@contextmanager
def processes(workers: int) -> Iterator[Cluster]:
    """A pool of this machine's processes, which begin from nothing."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        yield Cluster(executor, lambda: sorted(executor._processes))


@contextmanager
def nothing(workers: int) -> Iterator[Cluster]:
    """No cluster: threads of this process."""
    yield Cluster(None, list)


class Notes(logging.Handler):
    """Who carried out chunks, by what the log says of each."""

    def __init__(self) -> None:
        super().__init__()
        self._workers: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("%s carried out") and isinstance(record.args, tuple):
            self._workers.add(str(record.args[0]))

    def taken(self) -> list[str]:
        """Those of the last call."""
        workers, self._workers = sorted(self._workers), set()
        return workers


NOTES = Notes()
CLUSTERS = {"dask": dask, "ray": ray, "processes": processes, "none": nothing}


def descendants(root: int) -> list[tuple[int, str]]:
    """The processes below one, and what each calls itself."""
    found: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(folder.name)] = (parent, (folder / "cmdline").read_text().replace("\0", " "))
    below = {root}
    while more := {pid for pid, (parent, _) in found.items() if parent in below} - below:
        below |= more
    return [(pid, found[pid][1]) for pid in sorted(below - {root})]


class Watching:
    """Counts the steps that are done, and does once what a call wants to happen in the middle."""

    def __init__(self, cluster: Cluster, kill_after: int | None, interrupt_after: int | None) -> None:
        self.done = 0
        self.killed: int | None = None
        self._cluster = cluster
        self._kill_after = kill_after
        self._interrupt_after = interrupt_after

    def __call__(self, event: Event) -> None:
        """One event of the run."""
        if not isinstance(event, OperationDone):
            return
        self.done += 1
        if self._kill_after is not None and self.done >= self._kill_after and self.killed is None:
            found = self._cluster.processes()
            if found:
                self.killed = found[0]
                os.kill(self.killed, signal.SIGKILL)
        if self._interrupt_after is not None and self.done >= self._interrupt_after:
            raise KeyboardInterrupt


def carry_out(cluster: Cluster, call: dict[str, Any]) -> dict[str, Any]:
    """One call; the report as data, with what the driver has seen beside it."""
    watching = Watching(cluster, call.pop("kill_after", None), call.pop("interrupt_after", None))
    options: dict[str, Any] = {**call.pop("options", {}), "executor": cluster.executor, "on_event": watching}
    keys = call.pop("keys", None)
    worker_keys = call.pop("worker_keys", keys)
    began = time.monotonic()
    raised = None

    session = S3Session(bucket=call.get("bucket", "bucket"), **(keys or {}))
    try:
        with session:
            sides = [
                RemotePrefix(session, prefix=side[3:]) if side.startswith("at:") else side for side in call["sides"]
            ]
            if keys:
                options["specs"] = tuple(
                    SessionSpec(side.url, tuple(worker_keys.items())) if isinstance(side, RemotePrefix) else None
                    for side in sides
                )
            if plan := call.get("plan"):
                with Plan.from_jsonl(plan, session=session) as steps:
                    report = apply(steps, **options)
            else:
                report = sync(*sides, **options)
    except (S3FuncError, KeyboardInterrupt) as error:
        raised = type(error).__name__
        report = getattr(error, "report", None) or Report()
        report.ended = report.ended or str(error)
    return {
        "report": report.row(),
        "said": str(report),
        "raised": raised,
        "killed": watching.killed,
        "done": watching.done,
        "workers": NOTES.taken(),
        "seconds": time.monotonic() - began,
    }


def main() -> None:
    """Until the input ends: `python -m tests.distributed.driver CLUSTER WORKERS`."""
    log = logging.getLogger("s3func.sync")
    log.setLevel(logging.DEBUG)
    log.addHandler(NOTES)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with answers, CLUSTERS[sys.argv[1]](int(sys.argv[2])) as cluster:
        for line in sys.stdin:
            answers.write(json.dumps(carry_out(cluster, json.loads(line))) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
