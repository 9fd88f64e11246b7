"""Report: what a run has done, what it has not done and why, and how a program should end after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.errors import S3FuncError, SafetyStop, SyncConflict, SyncError, SyncIncomplete

if TYPE_CHECKING:
    from s3func.sync.operation import Operation

KEPT_MAX = 1000
"""Failures, conflicts and problems that are kept as such; of more there is the number."""

EXIT_OK = 0
EXIT_DIFFERENT = 1
EXIT_INCOMPLETE = 2
EXIT_STOPPED = 3
EXIT_INTERRUPTED = 130

_DONE = {"upload": "uploaded", "download": "downloaded", "copy": "copied", "rename": "renamed", "record": "recorded"}


class Failure(NamedTuple):
    """A step that was not carried out, and what its exception says. kind: the exception's class."""

    operation: Operation
    error: str
    kind: str


class Report:
    """The outcome of apply() or sync().

    uploaded, downloaded, copied, renamed, deleted: steps that were carried out. recorded: pairs that were equal, which
    is now remembered. vanished: sources that were gone when it was their turn. bytes_moved: content that went over the
    line. failed, conflicting, refused: steps that failed, conflicts that nobody decided, names that a scan could not
    take; failures, conflicts and problems hold the first thousand of each. not_deleted: deletes of the plan that did not
    happen, and `why_not_deleted`. ended: what ended the run early. seconds: how long it took. is_dry_run: nothing was changed, the numbers say what would be.
    """

    def __init__(self, *, is_dry_run: bool = False) -> None:
        """Nothing has happened yet."""
        self.is_dry_run = is_dry_run
        self.uploaded = 0
        self.downloaded = 0
        self.copied = 0
        self.renamed = 0
        self.deleted = 0
        self.recorded = 0
        self.vanished = 0
        self.bytes_moved = 0
        self.failed = 0
        self.conflicting = 0
        self.refused = 0
        self.not_deleted = 0
        self.why_not_deleted = ""
        self.failures: list[Failure] = []
        self.conflicts: list[Operation] = []
        self.problems: list[Operation] = []
        self.is_incomplete = False
        self.is_interrupted = False
        self.stopped: SafetyStop | None = None
        self.ended = ""
        self.seconds = 0.0

    @property
    def transferred(self) -> int:
        """Names that have the source's content now and had not before."""
        return self.uploaded + self.downloaded + self.copied + self.renamed

    @property
    def ok(self) -> bool:
        """Whether everything that was planned is done."""
        return self.exit_code == EXIT_OK

    @property
    def exit_code(self) -> int:
        """0 all done, 1 something failed or is in conflict, 2 a scan did not see everything, 3 safety stop, 130 interrupted."""
        if self.is_interrupted:
            return EXIT_INTERRUPTED
        if self.stopped is not None:
            return EXIT_STOPPED
        if self.is_incomplete:
            return EXIT_INCOMPLETE
        bad = self.failed or self.conflicting or self.refused or self.not_deleted or self.ended
        return EXIT_DIFFERENT if bad else EXIT_OK

    def raise_for_failures(self) -> None:
        """SyncError, or one of its kinds, unless everything that was planned is done."""
        if self.stopped is not None:
            raise self.stopped
        if self.is_incomplete:
            raise SyncIncomplete(str(self))
        if self.failed or self.refused or self.not_deleted or self.ended:
            raise SyncError(str(self))
        if self.conflicting:
            raise SyncConflict(str(self))

    def done(self, operation: Operation) -> None:
        """Count a step that was carried out."""
        field = _DONE[operation.kind]
        setattr(self, field, getattr(self, field) + 1)

    def fail(self, operation: Operation, error: BaseException) -> Failure:
        """Count a step that was not."""
        self.failed += 1
        failure = Failure(operation, str(error) or type(error).__name__, type(error).__name__)
        if len(self.failures) < KEPT_MAX:
            self.failures.append(failure)
        return failure

    def conflict(self, operation: Operation) -> None:
        """Count a conflict that stays one."""
        self.conflicting += 1
        if len(self.conflicts) < KEPT_MAX:
            self.conflicts.append(operation)

    def problem(self, operation: Operation) -> None:
        """Count a name that a scan could not take."""
        self.refused += 1
        if len(self.problems) < KEPT_MAX:
            self.problems.append(operation)

    def withhold(self, deletes: int, why: str | S3FuncError) -> None:
        """So many deletes were planned and do not happen."""
        self.not_deleted += deletes
        self.why_not_deleted = str(why)

    def row(self) -> dict[str, Any]:
        """The report as data for JSON; failures by name."""
        row: dict[str, Any] = {
            name: value for name, value in vars(self).items() if isinstance(value, int | float | str) and value
        }
        row["exit_code"] = self.exit_code
        if self.stopped is not None:
            row["stopped"] = str(self.stopped)
        if self.failures:
            row["failures"] = [[failure.operation.name, failure.kind, failure.error] for failure in self.failures]
        for field in ("conflicts", "problems"):
            if operations := getattr(self, field):
                row[field] = [[operation.name, operation.reason, operation.detail or ""] for operation in operations]
        return row

    def __str__(self) -> str:
        """One line: what was done, then what was not, and the first reason."""
        did = ("uploaded", "downloaded", "copied", "renamed", "deleted")
        parts = [f"{count} {field}" for field in did if (count := getattr(self, field))]
        text = f"{'would be ' if self.is_dry_run and parts else ''}{', '.join(parts) or 'nothing to do'}"
        bad = [f"{count} {field}" for field in ("failed", "conflicting", "refused") if (count := getattr(self, field))]
        if self.not_deleted:
            bad.append(f"{self.not_deleted} not deleted: {self.why_not_deleted}")
        if self.is_incomplete:
            bad.append("a scan did not see everything")
        if self.stopped is not None and not (self.not_deleted and str(self.stopped) == self.why_not_deleted):
            bad.append(str(self.stopped))
        if self.ended:
            bad.append("interrupted" if self.is_interrupted else f"ended early: {self.ended}")
        if self.failures:
            first = self.failures[0]
            bad.append(f"the first is {first.operation.name!r}: {first.error}")
        return f"{text}; {'; '.join(bad)}" if bad else text

    def __repr__(self) -> str:
        return f"<Report {self}>"
