"""apply: a plan becomes true, step by step; what cannot is told, and deletes come last, if nothing speaks against them.

Rule 1: never delete on doubt. Deletes run when no step before them has failed, both scans have proved complete, and the
        plan's guards agree; else none of them does.
Rule 2: one thread, the driver, reads the plan, remembers what was done and tells the events; others move the bytes.
Rule 3: a step that fails fails alone. The run ends early for what no further step would survive: credentials, the bucket,
        a full disk, an interrupt, the deadline. What is under way then leaves nothing half done.
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias, cast

from s3func.errors import (
    CredentialsError,
    DeadlineExceeded,
    InvalidCredentials,
    NoSuchBucket,
    NotFound,
    PreconditionFailed,
    S3FuncError,
    SafetyStop,
    SyncError,
    SyncIncomplete,
)
from s3func.sync import deleting
from s3func.sync.events import (
    BytesMoved,
    Deleted,
    OperationDone,
    OperationFailed,
    OperationPlanned,
    OperationStarted,
    ScanPage,
    Summary,
)
from s3func.sync.local import LocalTree
from s3func.sync.names import printable
from s3func.sync.report import Report
from s3func.sync.settling import Conflicts, TransferKind, settled
from s3func.sync.spool import Spool
from s3func.sync.transfers import Mover, Outcome, Settings, Stable
from s3func.sync.workers import Movers
from s3func.transport.transfer import BandwidthLimit, TransferConfig, checked_transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from s3func.sync.chunks import SessionSpec
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.events import Event, Listener
    from s3func.sync.keeping import Keeper
    from s3func.sync.operation import Operation, Side

Workers: TypeAlias = int | Literal["auto"]
Specs: TypeAlias = "tuple[SessionSpec | None, SessionSpec | None]"

_HELD_MAX = 256
_HELD_SECONDS = 0.05
"""Steps that begin together, behind one note to the memory; and how long the first of them may wait for others."""
_MOVING = frozenset({"upload", "download", "copy", "rename"})


class Memory(Protocol):
    """What apply() needs of the state of a pair: see state.State."""

    def record(self, name: str, source: Side, target: Side) -> None:
        """Both sides agree, and look like this."""

    def forget(self, names: str) -> None:
        """Nothing is known of the name any more."""

    def doubt(self, operations: Iterable[Operation]) -> None:
        """These steps are about to be carried out."""

    def trust(self, names: Iterable[str]) -> None:
        """Nothing was done to them after all."""

    def check_writable(self) -> None:
        """Raise SyncError where nothing can be remembered."""

    def flush(self) -> None:
        """What was recorded so far is on the disk."""


class Carriers(Protocol):
    """Whoever carries out steps: workers.Movers here, dispatching.ChunkMovers elsewhere."""

    def put(self, operation: Operation) -> None:
        """Have a step carried out; may wait."""

    def outcomes(self) -> Iterator[Outcome]:
        """What has become of steps since the last call."""

    def is_waiting(self) -> bool:
        """Wait a little for what is under way; False when nothing is."""

    def is_large(self, operation: Operation) -> bool:
        """Whether it goes in parts."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None: ...


class Steps(Protocol):
    """What apply() needs of a plan: see plans.Plan."""

    @property
    def source(self) -> Endpoint: ...

    @property
    def target(self) -> Endpoint: ...

    @property
    def state(self) -> Memory | None: ...

    def __iter__(self) -> Iterator[Operation]: ...

    def guard(self, deletes: int, failed: int) -> None:
        """Raise SafetyStop or SyncIncomplete where these deletes must not happen."""


def apply(
    plan: Steps,
    *,
    executor: Executor | Any = None,
    workers: Workers = "auto",
    bwlimit: float | BandwidthLimit | None = None,
    on_event: Listener | None = None,
    deadline: float | None = None,
    on_conflict: Conflicts = "error",
    backup: str | os.PathLike[str] | None = None,
    verify: bool | Literal["auto"] = "auto",
    durability: Literal["rename", "fsync"] = "rename",
    metadata: tuple[str, ...] | None = None,
    transfer: TransferConfig | None = None,
    stable_check: Stable = "times",
    journal: str | os.PathLike[str] | None = None,
    specs: Specs = (None, None),
    dry_run: bool = False,
) -> Report:
    """Carry out a plan. Each step checks what it stands on; what has changed since is a conflict, and stays as it is.

    executor: carries out the steps in chunks, anywhere; deletes stay here: a concurrent.futures.Executor, a Dask client, or
    the ray module (see executors.py). specs: how its workers reach source and target, where the URL, the region and the
    worker's own credentials do not say it. workers: threads for small files, at most 64, in each chunk; "auto" finds out
    how many help. bwlimit: bytes per second, of all transfers together.
    on_event: called with the events of events.py. deadline: seconds; what has not begun by then is not begun.
    on_conflict: "error" leaves and counts them, "source" lets the source win, "target" leaves them and says nothing,
    "keep-both" gives the target's content another name first. backup: "trash", a folder or a URL, where what is replaced
    or deleted is kept. verify: False compares no checksums, "auto" does as the sessions do. durability: "fsync" outlasts
    a power failure. metadata: of "mtime" and "mode", what is kept with an object and restored with a file; as planned. stable_check: what must not
    change while a file is read: "times" and size; "size", for file systems whose times are not stable; "off". journal: a
    file that notes what is done, so that applying the same plan again goes on there; parts of large uploads then stay.
    dry_run: change nothing; the report says what would be done.

    Failed steps are in the report, whose `ok` and `exit_code` say so. Raised are SyncIncomplete and SafetyStop (nothing
    was deleted; transfers are done), what ends a run, and an interrupt; the error's `report` is what was done until then.
    """
    settings = Settings(
        metadata=_checked_metadata(plan, metadata),
        verify=None if verify == "auto" else bool(verify),
        fsync=_checked("durability", durability, ("rename", "fsync")) == "fsync",
        transfer=Settings().transfer if transfer is None else checked_transfer(transfer),
        bandwidth=BandwidthLimit(bwlimit) if isinstance(bwlimit, int | float) else bwlimit,
        stable=cast("Stable", _checked("stable_check", stable_check, ("times", "size", "off"))),
        resume=journal is not None,
    )
    _checked("on_conflict", on_conflict, ("error", "source", "target", "keep-both"))
    if workers != "auto" and (isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= 1000):
        raise ValueError(f"workers must be 'auto' or a number from 1 to 1000, not {workers!r}")
    if on_event is not None and not callable(on_event):
        raise TypeError(f"on_event must be callable, not {type(on_event).__name__}")
    if deadline is not None and not (isinstance(deadline, int | float) and deadline > 0):
        raise ValueError(f"deadline must be a positive number of seconds, not {deadline!r}")
    run = _Run(plan, settings, on_event, on_conflict, None if deadline is None else time.monotonic() + deadline)
    if executor is not None:
        from s3func.sync.executors import as_executor

        if backup is not None:
            raise ValueError("backup does not go with an executor")
        executor = as_executor(executor)
    run.prepare(backup, journal)
    return run.run(executor, workers, specs, dry_run=dry_run)


class _Run:
    """One call of apply()."""

    def __init__(
        self, plan: Steps, settings: Settings, on_event: Listener | None, on_conflict: Conflicts, end: float | None
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._tell: Callable[[Event], object] | None = on_event
        self._on_conflict = on_conflict
        self._end = end
        self._report = Report()
        self._deletes = Spool()
        # A plan that is complete before it is carried out was made some time before.
        self._fresh_until = 0.0 if getattr(plan, "is_complete", False) else time.monotonic() + deleting.FRESH_SECONDS
        self._tried = 0
        self._blocked: list[Operation] = []
        self._held: list[Operation] = []
        self._released = 0.0
        self._untouched: list[str] = []
        self._keeper: Keeper | None = None
        self._journal: Any = None
        # Two runs in one second must not put what they keep under the same names.
        now_ms = time.time_ns() // 1_000_000
        self._run_id = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now_ms // 1000))}{now_ms % 1000:03d}Z"
        self._kind: TransferKind = _kind_of(plan)

    def prepare(self, backup: str | os.PathLike[str] | None, journal: str | os.PathLike[str] | None) -> None:
        """Look at the places where things are to be kept; ValueError."""
        if backup is not None:
            from s3func.sync.keeping import Keeper

            self._keeper = Keeper(self._plan.target, backup, self._run_id)
        if journal is not None:
            from s3func.sync.journal import Journal

            self._journal = Journal(journal, self._plan.source.url, self._plan.target.url)

    def run(self, executor: Executor | None, workers: Workers, specs: Specs, *, dry_run: bool) -> Report:
        """Everything, in its order."""
        report = self._report
        report.is_dry_run = dry_run
        began = time.monotonic()
        try:
            if dry_run:
                self._rehearse()
            else:
                if self._plan.state is not None:
                    self._plan.state.check_writable()
                self._transfer(executor, workers, specs)
                self._delete()
                self._unblock()
        except (SafetyStop, SyncIncomplete) as error:
            report.stopped = error if isinstance(error, SafetyStop) else None
            report.is_incomplete = isinstance(error, SyncIncomplete)
            report.withhold(len(self._deletes) - self._tried, error)
            error.report = report  # type: ignore[union-attr]  # for whoever catches it
            raise
        except BaseException as error:
            report.is_interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
            report.ended = str(error) or type(error).__name__
            report.withhold(len(self._deletes) - self._tried, "the run ended early")
            error.report = report  # type: ignore[attr-defined]  # likewise
            raise
        finally:
            report.seconds = time.monotonic() - began
            self._deletes.close()
            if self._journal is not None:
                self._journal.close()
            try:
                if not dry_run:
                    self._remember_all()
            finally:
                if self._tell is not None:
                    self._tell(Summary(report))
        if self._journal is not None and report.ok:
            self._journal.remove()
        return report

    # --- the steps

    def _steps(self) -> Iterator[Operation]:
        """The plan's; what keeps it from being seen to its end is SyncIncomplete, or says itself what is wrong."""
        if (tell := self._tell) is not None and hasattr(self._plan, "on_page"):
            self._plan.on_page = lambda side, entries, pages: tell(ScanPage(side, entries, pages))
        try:
            yield from self._plan
        except (SyncError, CredentialsError, InvalidCredentials, NoSuchBucket):
            self._report.is_incomplete = True
            raise
        except S3FuncError as error:
            raise SyncIncomplete(f"not all could be listed, so that nothing is deleted: {error}") from error

    def _rehearse(self) -> None:
        report, tell = self._report, self._tell
        for operation in self._steps():
            if tell is not None:
                tell(OperationPlanned(operation))
            if operation.kind == "delete":
                self._deletes.append(operation)
                report.deleted += 1
            elif operation.kind == "conflict":
                self._settle(operation, None)
            elif operation.kind == "problem":
                self._problem(operation)
            else:
                report.done(operation)
                report.bytes_moved += operation.size
        if self._deletes:
            report.deleted = 0
            self._plan.guard(len(self._deletes), report.failed)
            report.deleted = len(self._deletes)

    def _transfer(self, executor: Executor | None, workers: Workers, specs: Specs) -> None:
        on_bytes = None
        if (tell := self._tell) is not None:

            def on_bytes(name: str, done: int, total: int | None) -> None:
                tell(BytesMoved(name, done, total))

        movers = self._movers(executor, workers, specs, on_bytes)
        try:
            with movers:
                for operation in self._steps():
                    self._route(operation, movers)
                    self._take_all(movers)
                self._release(movers)
                while movers.is_waiting():
                    self._take_all(movers)
                    self._check_deadline()
        except BaseException:
            # What was done until then is done: nobody is at work any more.
            for outcome in movers.outcomes():
                if outcome.state == "done":
                    self._take(outcome)
            raise
        self._take_all(movers)
        self._check_roots()

    def _check_roots(self) -> None:
        """A disk that was taken away since the scan leaves an empty folder: what seems to have vanished is there, elsewhere."""
        plan = self._plan
        for side, proof in zip((plan.source, plan.target), getattr(plan, "proofs", ()), strict=False):
            if isinstance(side, LocalTree) and proof.identity is not None and side.identity() != proof.identity:
                raise SyncIncomplete(f"{printable(side.root)!r} is another folder now than when it was scanned")

    def _take_all(self, movers: Carriers) -> None:
        for outcome in movers.outcomes():
            self._take(outcome)

    def _movers(
        self,
        executor: Executor | None,
        workers: Workers,
        specs: Specs,
        on_bytes: Callable[[str, int, int | None], None] | None,
    ) -> Carriers:
        plan = self._plan
        if executor is not None:
            from s3func.sync.dispatching import ChunkMovers

            return ChunkMovers(
                executor, plan.source, plan.target, self._settings, specs, workers=workers, check=self._check_deadline
            )
        return Movers(plan.source, plan.target, self._settings, workers, keeper=self._keeper, on_bytes=on_bytes)

    def _route(self, operation: Operation, movers: Carriers) -> None:
        tell, kind = self._tell, operation.kind
        if tell is not None:
            tell(OperationPlanned(operation))
        if self._end is not None and time.monotonic() > self._end:
            raise DeadlineExceeded("the deadline of the sync has passed")
        if kind in _MOVING:
            if self._journal is not None and self._journal.knows(operation):
                return
            if tell is not None and movers.is_large(operation):
                tell(OperationStarted(operation))
            self._begin(operation, movers)
        elif kind == "delete":
            self._deletes.append(operation)
        elif kind == "record":
            self._remember(operation)
        elif kind == "conflict":
            self._settle(operation, movers)
        else:
            self._problem(operation)

    def _begin(self, operation: Operation, movers: Carriers) -> None:
        """Have a step carried out. That something is about to happen is noted before: if we are killed in between, the next
        run must not take our own work for somebody else's, and call it a conflict.
        """
        if self._plan.state is None:
            movers.put(operation)
            return
        self._held.append(operation)
        if len(self._held) >= _HELD_MAX or time.monotonic() > self._released + _HELD_SECONDS:
            self._release(movers)

    def _release(self, movers: Carriers) -> None:
        held, self._held = self._held, []
        if held and self._plan.state is not None:
            self._plan.state.doubt(held)
        for operation in held:
            movers.put(operation)
        self._released = time.monotonic()

    def _remember(self, operation: Operation) -> None:
        """Both sides agree already, be it that neither has the name any more."""
        state = self._plan.state
        if state is not None:
            if operation.source is not None and operation.target is not None:
                state.record(operation.name, operation.source, operation.target)
            else:
                state.forget(operation.name)
        self._report.done(operation)

    def _remember_all(self) -> None:
        """What was done is written down; that it cannot be is an error, unless there is another one already."""
        state, report = self._plan.state, self._report
        if state is None:
            return
        try:
            state.trust(self._untouched)
            state.flush()
        except SyncError as error:
            if report.ended or report.is_incomplete or report.stopped is not None:
                return
            report.ended = str(error)
            error.report = report  # type: ignore[attr-defined]  # for whoever catches it
            raise

    def _settle(self, operation: Operation, movers: Carriers | None) -> None:
        """A conflict: what the caller has decided about it; nobody, if there are no movers."""
        if self._on_conflict == "target":
            return
        if self._on_conflict == "error" or movers is None:
            self._report.conflict(operation)
            return
        try:
            step = settled(operation, self._on_conflict, self._kind, self._plan.target, self._run_id)
        except (CredentialsError, InvalidCredentials, NoSuchBucket):
            raise
        except (PreconditionFailed, NotFound, FileNotFoundError) as error:
            # What was to be kept is another one by now, or gone: that is for the next plan to see.
            self._report.conflict(operation._replace(detail=f"the target has changed once more: {error}"))
            return
        except (S3FuncError, OSError) as error:
            self._fail(operation, error)
            return
        if step.kind == "delete":
            self._deletes.append(step)
        else:
            self._begin(step, movers)

    def _problem(self, operation: Operation) -> None:
        if operation.reason in {"unreadable", "vanished", "order"}:
            self._report.is_incomplete = True
        self._report.problem(operation)

    def _take(self, outcome: Outcome) -> None:
        """Remember and tell what became of a step."""
        operation, report, tell = outcome.operation, self._report, self._tell
        if outcome.state == "done":
            report.done(operation)
            report.bytes_moved += outcome.size
            state = self._plan.state
            if state is not None and outcome.source is not None and outcome.target is not None:
                state.record(operation.name, outcome.source, outcome.target)
            if self._journal is not None:
                self._journal.note(operation)
            if tell is not None:
                tell(OperationDone(operation))
        elif outcome.state == "vanished":
            report.vanished += 1
            if tell is not None:
                tell(OperationDone(operation, "vanished"))
        elif outcome.state == "blocked":
            self._blocked.append(operation)
        elif outcome.state == "conflict" and self._on_conflict == "target":
            return
        else:
            if outcome.state == "conflict":
                self._untouched.append(operation.name)
            error = outcome.error or RuntimeError("unknown")
            if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
                self._fail(operation, error)
                raise error
            if outcome.state == "conflict":
                report.conflict(operation._replace(kind="conflict", detail=str(error)))
                if tell is not None:
                    tell(OperationFailed(operation, str(error), type(error).__name__))
                return
            self._fail(operation, error)

    def _fail(self, operation: Operation, error: BaseException) -> None:
        failure = self._report.fail(operation, error)
        if self._tell is not None:
            self._tell(OperationFailed(operation, failure.error, failure.kind))

    # --- the end

    def _delete(self) -> None:
        """All deletes, or none."""
        deletes, report, plan = self._deletes, self._report, self._plan
        if not deletes:
            return
        if report.failed:
            report.withhold(len(deletes), "not every step before them was carried out")
            return
        # What stands in the way of a download is there to be deleted; it has not failed yet.
        plan.guard(len(deletes), 0)
        if plan.state is not None:
            plan.state.doubt(deletes)
        for operation, kept, error in deleting.delete_all(
            plan.target, deletes, self._keeper, self._check_deadline, fresh_until=self._fresh_until
        ):
            self._tried += 1
            if error is not None:
                self._fail(operation, error)
                continue
            report.deleted += 1
            if plan.state is not None:
                plan.state.forget(operation.name)
            if self._tell is not None:
                self._tell(Deleted(operation.name, kept))

    def _check_deadline(self) -> None:
        if self._end is not None and time.monotonic() > self._end:
            raise DeadlineExceeded("the deadline of the sync has passed")

    def _unblock(self) -> None:
        """What something stood in the way of, now that the deletes are done."""
        blocked, self._blocked = self._blocked, []
        if not blocked:
            return
        mover = Mover(self._plan.source, self._plan.target, self._settings, keeper=self._keeper)
        try:
            for operation in blocked:
                self._check_deadline()
                # The file that was replaced by a folder, or the other way round, is gone: nothing is expected there.
                outcome = mover.carry_out(operation._replace(target=None))
                if outcome.state == "blocked":
                    outcome = outcome._replace(state="failed")
                self._take(outcome)
        finally:
            mover.close()


def _kind_of(plan: Steps) -> TransferKind:
    if plan.source.kind == "local":
        return "upload"
    return "download" if plan.target.kind == "local" else "copy"


def _checked(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _checked_metadata(plan: Steps, metadata: tuple[str, ...] | None) -> tuple[str, ...]:
    from s3func.sync.describing import METADATA, MTIME

    if metadata is None:
        planned: tuple[str, ...] = getattr(getattr(plan, "options", None), "metadata", (MTIME,))
        return planned
    if isinstance(metadata, str) or not set(metadata) <= METADATA:
        raise ValueError(f"metadata must be a tuple of {', '.join(sorted(METADATA))}, not {metadata!r}")
    return tuple(metadata)
