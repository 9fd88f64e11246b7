"""Steps of a plan in chunks: what travels to the worker of an executor, what it does there, and what comes back.

What travels is a PlanChunk and, back, a ChunkResult: data without connections and, unless somebody put them into a
SessionSpec, without secrets. A worker finds its credentials as any session does: environment, profile, role.

Rule 1: deletes never travel. A chunk that is lost has failed; one that is carried out twice is done both times.
Rule 2: a worker process has one session for each side of a run, whatever number of chunks it carries out, and at a time.
Rule 3: a folder has to be the same one on every worker (NFS, Lustre …); where it is not, let only one host work on it.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from s3func.errors import S3FuncError, SyncError
from s3func.sync.endpoints import Endpoint, as_endpoint
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation
from s3func.sync.transfers import Outcome, Settings
from s3func.sync.workers import WORKERS_MAX, Movers

if TYPE_CHECKING:
    from s3func.sync.remote import RemotePrefix

_IDLE_SECONDS = 30.0
_LOOK_SECONDS = 0.25


class SessionSpec(NamedTuple):
    """How a worker reaches a prefix: a URL and further arguments of the session, as (name, value) pairs; or a folder's path.

    Without keys among them, and that is how it is meant, the worker signs with the credentials that it finds. Keys that
    are among them travel to every worker, as whoever put them there has decided.
    """

    url: str
    options: tuple[tuple[str, Any], ...] = ()

    def __repr__(self) -> str:
        # Among the options there may be a secret.
        return f"SessionSpec({self.url!r}, {[name for name, _ in self.options]})"

    def endpoint(self) -> Endpoint:
        """The side, with a session of its own."""
        return as_endpoint(self.url, **dict(self.options))


class PlanChunk(NamedTuple):
    """Some steps and all that they need. number: unique, so that no executor takes two chunks for one.

    run: the same for all chunks of a run. workers: threads for small files, in each chunk.
    """

    number: str
    source: LocalTree | SessionSpec | Endpoint
    target: LocalTree | SessionSpec | Endpoint
    settings: Settings
    operations: tuple[Operation, ...]
    run: str = ""
    workers: int | Literal["auto"] = "auto"

    def __repr__(self) -> str:
        # Schedulers write what they are given to their logs.
        return f"PlanChunk({self.number!r}, {self.source!r}, {self.target!r}, {len(self.operations)} steps)"


class ChunkResult(NamedTuple):
    """What became of the steps of a chunk. end: what made the worker give up the rest. seconds: how long it took.

    worker: host and process, for the log.
    """

    number: str
    outcomes: tuple[Outcome, ...]
    end: Exception | None = None
    seconds: float = 0.0
    worker: str = ""


def spec_of(side: Endpoint) -> LocalTree | SessionSpec:
    """What a worker is told of a side; credentials it finds itself."""
    if isinstance(side, LocalTree):
        return side
    return SessionSpec(side.url, tuple(_settings_of(side).items()))


def _settings_of(side: RemotePrefix) -> dict[str, Any]:
    """The arguments of a session that lead to the same place in the same way, and tell nothing of who signs."""
    session: Any = side.session
    client = getattr(session, "_client", None)
    found: dict[str, Any] = {"region": getattr(session, "region", None)}
    if side.kind == "b2":
        found["anonymous"] = session._account is None or None  # noqa: SLF001
        place = session._download_url  # noqa: SLF001
        found["download_url"] = None if place is None else place.origin + place.path
    elif (endpoint := getattr(session, "_endpoint", None)) is not None:
        found["anonymous"] = session._is_anonymous or None  # noqa: SLF001
        found["addressing_style"] = None if endpoint.addressing_style == "auto" else endpoint.addressing_style
        found["store"] = None if endpoint.store is None else endpoint.store.name
        checksum = session._checksum  # noqa: SLF001
        found["checksum"] = None if checksum == "crc32" else checksum
    if client is not None:
        found["retries"] = client.retries
        found["timeouts"] = getattr(client.transport, "timeouts", None)
    return {name: value for name, value in found.items() if value is not None}


class _Held:
    """A side of a run in this process. width: threads that were found to help."""

    __slots__ = ("endpoint", "used", "users", "width")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.users = 0
        self.used = 0.0
        self.width = 1


class WorkerSessions:
    """The sessions of a worker process; safe for threads and for fork. What no run has used for a while is closed."""

    def __init__(self) -> None:
        """Nothing is open."""
        self._inherited: Any = None
        self._lock = Lock()
        self._held: dict[tuple[str, str], _Held] = {}

    def forget(self) -> None:
        """In a child that was forked: what is open is its parent's."""
        # Kept, because letting go of them would close what the parent uses.
        self._inherited = (self._inherited, self._held)
        self._lock = Lock()
        self._held = {}

    @contextmanager
    def borrowed(self, run: str, part: str, spec: SessionSpec, workers: int | Literal["auto"]) -> Iterator[_Held]:
        """The side of this run, made when it is asked for first. What as_endpoint() raises."""
        with self._lock:
            held = self._held.get((run, part))
            if held is None:
                self._close_idle(run)
                kept = WORKERS_MAX if workers == "auto" else workers
                options = (("max_connections", kept), *spec.options)
                held = self._held[run, part] = _Held(spec._replace(options=options).endpoint())
            held.users += 1
        try:
            yield held
        finally:
            with self._lock:
                held.users -= 1
                held.used = time.monotonic()

    def _close_idle(self, run: str) -> None:
        now = time.monotonic()
        for key, held in list(self._held.items()):
            if key[0] != run and not held.users and now - held.used > _IDLE_SECONDS:
                del self._held[key]
                _close(held)

    def close(self) -> None:
        """Close those that nobody uses."""
        with self._lock:
            for key, held in list(self._held.items()):
                if not held.users:
                    del self._held[key]
                    _close(held)

    def __len__(self) -> int:
        return len(self._held)


def _close(held: _Held) -> None:
    if not isinstance(held.endpoint, LocalTree):
        held.endpoint.session.close()


SESSIONS = WorkerSessions()
atexit.register(SESSIONS.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SESSIONS.forget)


class Uncollected:
    """A block without the garbage collector, where that could stop a worker of Dask for ever; safe for threads.

    Dask looks at the stacks of its threads a hundred times a second. Up to Python 3.11.8 a collection that begins in the
    middle of that waits for a lock which the same thread holds. https://github.com/python/cpython/issues/106883
    """

    def __init__(self, *, is_needed: bool) -> None:
        """is_needed: whether this Python has the fault."""
        self._is_needed = is_needed
        self._lock = Lock()
        self._users = 0
        self._was_enabled = False

    @contextmanager
    def here(self) -> Iterator[None]:
        """The block, in a task of Dask; elsewhere nothing happens."""
        if not self._is_needed or _dask_worker() is None:
            yield
            return
        with self._lock:
            if not self._users:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users and self._was_enabled:
                    gc.enable()


UNCOLLECTED = Uncollected(is_needed=sys.version_info < (3, 11, 9))


def run_chunk(chunk: PlanChunk) -> ChunkResult:
    """Carry out a chunk, wherever this is called."""
    with UNCOLLECTED.here():
        return _run_chunk(chunk)


def _run_chunk(chunk: PlanChunk) -> ChunkResult:
    began = time.monotonic()
    outcomes: list[Outcome] = []
    end: Exception | None = None
    try:
        with _reached(chunk, "source", chunk.source) as source, _reached(chunk, "target", chunk.target) as target:
            movers = Movers(source.endpoint, target.endpoint, chunk.settings, chunk.workers, first=target.width)
            try:
                _carry_out(chunk, movers, outcomes)
            finally:
                # Those that were under way when something ended the chunk.
                outcomes += movers.outcomes()
                target.width = movers.width
    except (S3FuncError, OSError, ValueError) as error:
        end = error
    return ChunkResult(chunk.number, tuple(outcomes), end, time.monotonic() - began, _worker())


def _carry_out(chunk: PlanChunk, movers: Movers, outcomes: list[Outcome]) -> None:
    looked = time.monotonic()
    with movers:
        for operation in chunk.operations:
            movers.put(operation)
        while movers.is_waiting():
            outcomes += movers.outcomes()
            if time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                if is_withdrawn():
                    raise SyncError("nobody waits for this chunk any more")


@contextmanager
def _reached(chunk: PlanChunk, part: str, given: LocalTree | SessionSpec | Endpoint) -> Iterator[_Held]:
    if isinstance(given, SessionSpec):
        with SESSIONS.borrowed(chunk.run or chunk.number, part, given, chunk.workers) as held:
            yield held
    else:
        yield _Held(given)


def _worker() -> str:
    return f"{os.uname().nodename if hasattr(os, 'uname') else ''}:{os.getpid()}"


def is_withdrawn() -> bool:
    """Whether the task that this thread carries out has been cancelled, or its client is gone, where that can be known.

    Dask does not interrupt a task that has begun, but its worker knows; Ray raises KeyboardInterrupt in it.
    """
    worker = _dask_worker()
    if worker is None:
        return False
    with suppress(Exception):
        # What is asked of it is none of its documented names.
        task = worker.state.tasks.get(worker.get_current_task())
        return task is None or task.state in {"cancelled", "released", "forgotten"}
    return False


def _dask_worker() -> Any:
    """The worker whose task this thread carries out; None where it is no task of Dask."""
    distributed = sys.modules.get("distributed")
    if distributed is not None:
        with suppress(Exception):
            return distributed.get_worker()
    return None
