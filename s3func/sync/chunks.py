"""Steps of a plan in chunks, for any concurrent.futures.Executor: threads, processes, Dask, Ray, MPI.

What travels is a PlanChunk and, back, a ChunkResult: data without connections and, unless somebody put them into a
SessionSpec, without secrets. A worker finds its credentials as any session does: environment, profile, role.

    apply(plan, executor=ProcessPoolExecutor(4))
    apply(plan, executor=dask_client.get_executor(pure=False))           # pure=False: a chunk is work, not a value

    class RayExecutor(Executor):                                         # Ray has none of its own
        _run = staticmethod(ray.remote(lambda call, *arguments: call(*arguments)).remote)
        def submit(self, call, /, *arguments, **options):
            return self._run(partial(call, **options), *arguments).future()

Rule 1: deletes never travel. A chunk that is lost has failed; the next run finds what it had done.
Rule 2: a folder has to be the same one on every worker (NFS, Lustre …); where it is not, let only this host work on it,
        e.g. with `get_executor(pure=False, workers=[this_host])`.
"""

from __future__ import annotations

import uuid
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from s3func.errors import S3FuncError, SyncError
from s3func.sync.endpoints import Endpoint, as_endpoint
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation
from s3func.sync.transfers import Outcome, Settings
from s3func.sync.workers import Movers
from s3func.transport.transfer import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATIONS_MAX = 256
BYTES_MAX = 256 * MIB
_WORKERS_UNKNOWN = 16


class SessionSpec(NamedTuple):
    """How a worker reaches a prefix: a URL and further arguments of the session, as (name, value) pairs."""

    url: str
    options: tuple[tuple[str, Any], ...] = ()

    def __repr__(self) -> str:
        # Among the options there may be a secret.
        return f"SessionSpec({self.url!r}, {[name for name, _ in self.options]})"

    def endpoint(self) -> Endpoint:
        """The side, with a session of its own."""
        return as_endpoint(self.url, **dict(self.options))


class PlanChunk(NamedTuple):
    """Some steps and all that they need. number: unique, so that no executor takes two chunks for one."""

    number: str
    source: LocalTree | SessionSpec | Endpoint
    target: LocalTree | SessionSpec | Endpoint
    settings: Settings
    operations: tuple[Operation, ...]


class ChunkResult(NamedTuple):
    """What became of the steps of a chunk. end: what made the worker give up the rest."""

    number: str
    outcomes: tuple[Outcome, ...]
    end: Exception | None = None


def spec_of(side: Endpoint) -> LocalTree | SessionSpec:
    """What a worker is told of a side; credentials it finds itself."""
    if isinstance(side, LocalTree):
        return side
    region = getattr(side.session, "region", None)
    return SessionSpec(side.url, () if region is None else (("region", region),))


def run_chunk(chunk: PlanChunk) -> ChunkResult:
    """Carry out a chunk, wherever this is called."""
    sides: list[Endpoint] = []
    own = []
    outcomes: list[Outcome] = []
    try:
        for given in (chunk.source, chunk.target):
            side = given.endpoint() if isinstance(given, SessionSpec) else given
            if isinstance(given, SessionSpec) and not isinstance(side, LocalTree):
                own.append(side.session)
            sides.append(side)
        with Movers(sides[0], sides[1], chunk.settings) as movers:
            for operation in chunk.operations:
                movers.put(operation)
                outcomes += movers.outcomes()
            while movers.is_waiting():
                outcomes += movers.outcomes()
            outcomes += movers.outcomes()
    except (S3FuncError, OSError, ValueError) as error:
        return ChunkResult(chunk.number, tuple(outcomes), error)
    finally:
        for session in own:
            session.close()
    return ChunkResult(chunk.number, tuple(outcomes))


class ChunkMovers:
    """Hands steps to an executor; what Movers is for the threads of this process. The executor stays the caller's."""

    def __init__(
        self,
        executor: Executor,
        source: Endpoint,
        target: Endpoint,
        settings: Settings,
        specs: tuple[SessionSpec | None, SessionSpec | None] = (None, None),
    ) -> None:
        """specs: of source and target, in place of what spec_of() says."""
        self._executor = executor
        self._settings = settings
        # Threads share what there is.
        is_here = isinstance(executor, ThreadPoolExecutor)
        sides = zip((source, target), specs, strict=True)
        self._sides = [spec or (side if is_here else spec_of(side)) for side, spec in sides]
        self._threshold = settings.transfer.multipart_threshold
        self._most = 2 * int(getattr(executor, "_max_workers", _WORKERS_UNKNOWN))
        self._gathered: list[Operation] = []
        self._bytes = 0
        self._under_way: dict[Future[ChunkResult], PlanChunk] = {}
        self._outcomes: list[Outcome] = []

    def is_large(self, operation: Operation) -> bool:
        """Whether it goes in parts."""
        return operation.size >= self._threshold

    def put(self, operation: Operation) -> None:
        """Have a step carried out with others; waits while many chunks are under way."""
        self._gathered.append(operation)
        self._bytes += operation.size
        if len(self._gathered) >= OPERATIONS_MAX or self._bytes >= BYTES_MAX:
            self._submit()

    def outcomes(self) -> Iterator[Outcome]:
        """What has become of steps since the last call."""
        done, self._outcomes = self._outcomes, []
        return iter(done)

    def is_waiting(self) -> bool:
        """Wait for a chunk; False when none is under way."""
        if self._gathered:
            self._submit()
        if self._under_way:
            self._collect()
        return bool(self._under_way)

    def _submit(self) -> None:
        while len(self._under_way) >= self._most:
            self._collect()
        operations, self._gathered, self._bytes = tuple(self._gathered), [], 0
        chunk = PlanChunk(uuid.uuid4().hex, self._sides[0], self._sides[1], self._settings, operations)
        self._under_way[self._executor.submit(run_chunk, chunk)] = chunk

    def _collect(self) -> None:
        finished, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
        for future in finished:
            chunk = self._under_way.pop(future)
            try:
                result = future.result()
            except Exception as error:  # noqa: BLE001 -- whatever an executor raises, the chunk is lost
                lost = SyncError(f"the executor did not carry out the chunk: {error!r}")
                lost.__cause__ = error
                self._outcomes += [Outcome(operation, "failed", error=lost) for operation in chunk.operations]
                continue
            self._outcomes += result.outcomes
            if result.end is not None:
                raise result.end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for future in self._under_way:
                future.cancel()
            wait(self._under_way)
