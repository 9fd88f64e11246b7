"""The driver's side of an executor: steps are gathered into chunks, handed over, and become outcomes again.

Rule 1: a step that nobody answers for has failed: that of a chunk that was lost, and one that is missing in an answer.
Rule 2: few chunks are under way, two for each place of the executor, so that memory, a deadline and Ctrl-C cost little.
Rule 3: chunks begin small and grow with the run, so that everybody has work at once, progress is seen, and none is still
        at a long one when the others have come to the end.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal, Self

from s3func.b2.config import IN_PROCESS_URL
from s3func.connect import is_url
from s3func.errors import SyncError
from s3func.sync.chunks import ChunkResult, PlanChunk, SessionSpec, run_chunk, spec_of
from s3func.sync.endpoints import Endpoint
from s3func.sync.local import LocalTree
from s3func.sync.transfers import Outcome, Settings
from s3func.transport.transfer import MIB, BandwidthLimit

if TYPE_CHECKING:
    from s3func.sync.operation import Operation

_LOG = logging.getLogger("s3func.sync")

WEIGHT_MAX = 256
"""A step weighs one, and one more for each MiB: a chunk has at most 256 steps, and 256 MiB unless one step is larger."""
WEIGHT_FIRST = 16
CHUNK_SECONDS = (0.5, 4.0)
"""How long a chunk shall take: a quarter of the time that the run has lasted, within these bounds."""
WIDTH_UNKNOWN = 16
"""How many chunks an executor is thought to carry out at a time that does not say it."""
_POLL_SECONDS = 0.5
_GATHERING_SECONDS = 2.0
_WIDTH_SECONDS = 5.0


class ChunkMovers:
    """Hands steps to an executor; what Movers is for the threads of this process. The executor stays the caller's."""

    def __init__(
        self,
        executor: Executor,
        source: Endpoint,
        target: Endpoint,
        settings: Settings,
        specs: tuple[SessionSpec | None, SessionSpec | None] = (None, None),
        *,
        workers: int | Literal["auto"] = "auto",
        check: Callable[[], None] | None = None,
    ) -> None:
        """specs: of source and target, in place of what spec_of() says. workers: threads for small files in each chunk.
        check: called while this waits, ends the run by raising. ValueError for a store that no other process can reach.
        """
        self._executor = executor
        # Threads share what there is.
        is_here = isinstance(executor, ThreadPoolExecutor)
        sides = zip((source, target), _checked(specs), strict=True)
        self._sides = [
            _as_told(side, spec) if spec is not None else side if is_here else _spec_of(side) for side, spec in sides
        ]
        self._width = self._width_at = 0.0
        self._look_at_width()
        if settings.bandwidth is not None and not is_here:
            # Each chunk counts for itself, so each has its share.
            share = settings.bandwidth.bytes_per_second / self._width
            settings = settings._replace(bandwidth=BandwidthLimit(share))
        self._settings = settings
        self._workers = workers
        self._check = check
        self._run = uuid.uuid4().hex
        self._began = time.monotonic()
        self._threshold = settings.transfer.multipart_threshold
        self._gathered: list[Operation] = []
        self._gathered_since = 0.0
        self._weight = 0.0
        self._weight_limit = float(WEIGHT_FIRST)
        self._under_way: dict[Future[ChunkResult], PlanChunk] = {}
        self._finished: SimpleQueue[Future[ChunkResult]] = SimpleQueue()
        self._outcomes: list[Outcome] = []

    def is_large(self, operation: Operation) -> bool:
        """Whether it goes in parts."""
        return operation.size >= self._threshold

    def put(self, operation: Operation) -> None:
        """Have a step carried out with others; waits while many chunks are under way. SyncError when none is taken."""
        if not self._gathered:
            self._gathered_since = time.monotonic()
        self._gathered.append(operation)
        self._weight += _weight_of(operation)
        if self._weight >= self._weight_limit:
            self._submit()

    def outcomes(self) -> Iterator[Outcome]:
        """What has become of steps since the last call. Raises what ends a run."""
        if self._gathered and time.monotonic() - self._gathered_since > _GATHERING_SECONDS:
            self._submit()
        self._collect()
        done, self._outcomes = self._outcomes, []
        return iter(done)

    def is_waiting(self) -> bool:
        """Wait for a chunk; False when none is under way."""
        if self._gathered:
            self._submit()
        if self._under_way:
            self._collect(_POLL_SECONDS)
        return bool(self._under_way)

    def _submit(self) -> None:
        self._look_at_width()
        self._collect()
        while len(self._under_way) >= 2 * self._width:
            self._collect(_POLL_SECONDS)
            if self._check is not None:
                self._check()
        operations, self._gathered, self._weight = tuple(self._gathered), [], 0.0
        chunk = PlanChunk(
            uuid.uuid4().hex, self._sides[0], self._sides[1], self._settings, operations, self._run, self._workers
        )
        try:
            future = self._executor.submit(run_chunk, chunk)
        except Exception as error:
            self._lose(chunk, error)
            # A pool that has lost a process, a cluster that was shut down: no further chunk would be taken either.
            raise SyncError(f"the executor takes no more chunks: {_said(error)}") from error
        self._under_way[future] = chunk
        future.add_done_callback(self._finished.put)

    def _look_at_width(self) -> None:
        """How many chunks the executor carries out at a time, which may change while a cluster grows."""
        now = time.monotonic()
        if now - self._width_at < _WIDTH_SECONDS and self._width:
            return
        width = getattr(self._executor, "width", None) or getattr(self._executor, "_max_workers", None)
        self._width, self._width_at = (width if isinstance(width, int) else WIDTH_UNKNOWN), now

    def _collect(self, seconds: float = 0.0) -> None:
        """Take what is finished; wait so long for the first."""
        try:
            future = self._finished.get(timeout=seconds) if seconds else self._finished.get_nowait()
            while True:
                end = self._take(future)
                if end is not None:
                    raise end
                future = self._finished.get_nowait()
        except Empty:
            return

    def _take(self, future: Future[ChunkResult]) -> Exception | None:
        """What became of a chunk; returns what ends the run."""
        chunk = self._under_way.pop(future, None)
        if chunk is None:
            return None
        try:
            result = future.result()
        except Exception as error:  # noqa: BLE001 -- whatever an executor raises, the chunk is lost
            _LOG.debug("a chunk of %d steps is lost: %s", len(chunk.operations), _said(error))
            self._lose(chunk, error)
            return None
        self._outcomes += result.outcomes
        _LOG.debug("%s carried out %d steps in %.2f s", result.worker, len(result.outcomes), result.seconds)
        if result.end is not None:
            return result.end
        self._measure(chunk, result.seconds)
        if len(result.outcomes) < len(chunk.operations):
            answered = {outcome.operation.name for outcome in result.outcomes}
            missing = [operation for operation in chunk.operations if operation.name not in answered]
            self._fail(missing, SyncError("the worker did not say what became of it"))
        return None

    def _measure(self, chunk: PlanChunk, seconds: float) -> None:
        weight = sum(map(_weight_of, chunk.operations))
        shortest, longest = CHUNK_SECONDS
        allowed = min(max((time.monotonic() - self._began) / 4, shortest), longest)
        wanted = weight * allowed / max(seconds, 0.001)
        # A chunk that was small for want of steps says little about large ones.
        self._weight_limit = min(max(wanted, WEIGHT_FIRST), max(2 * weight, self._weight_limit), WEIGHT_MAX)

    def _lose(self, chunk: PlanChunk, error: BaseException) -> None:
        lost = SyncError(f"the executor did not carry out the chunk: {_said(error)}")
        lost.__cause__ = error
        self._fail(chunk.operations, lost)

    def _fail(self, operations: tuple[Operation, ...] | list[Operation], error: SyncError) -> None:
        self._outcomes += [Outcome(operation, "failed", error=error) for operation in operations]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            return
        # Nor does what was gathered begin any more.
        self._gathered.clear()
        begun = [future for future in self._under_way if not future.cancel()]
        wait(begun)
        for future in begun:
            # What a chunk has done is done, whatever has ended the run.
            self._take(future)
        self._under_way.clear()


def _weight_of(operation: Operation) -> float:
    return 1 + operation.size / MIB


def _said(error: BaseException) -> str:
    """The class and the first line: what clusters say goes on with stacks of other machines."""
    text = str(error).strip().partition("\n")[0][:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _checked(specs: tuple[SessionSpec | None, SessionSpec | None]) -> tuple[SessionSpec | None, SessionSpec | None]:
    if (
        not isinstance(specs, tuple)
        or len(specs) != 2
        or not all(isinstance(each, SessionSpec | None) for each in specs)
    ):
        raise TypeError("specs must be a tuple of two, of source and target: a SessionSpec, or None")
    return specs


def _as_told(side: Endpoint, spec: SessionSpec) -> LocalTree | SessionSpec:
    """A side as the caller says that workers find it; of a folder only the path can be another."""
    if is_url(spec.url) == isinstance(side, LocalTree):
        raise ValueError(f"specs: {side.url!r} and {spec.url!r} are not two ways to one side")
    if isinstance(side, LocalTree):
        return LocalTree(spec.url, symlinks=side.symlinks, names=side.names)
    return spec


def _spec_of(side: Endpoint) -> LocalTree | SessionSpec:
    if not isinstance(side, LocalTree):
        address = getattr(side.session, "endpoint_url", None) or getattr(side.session, "realm", None)
        if address == IN_PROCESS_URL:
            raise ValueError("executor: the store of this session is in this process, and the executor's are others")
    return spec_of(side)
