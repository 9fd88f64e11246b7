"""What a sync shows while it runs: a bar, lines of text, or lines of JSON.

stdout carries data (--json), stderr everything else. A failure or a conflict is always told when it happens.
"""

from __future__ import annotations

import json
import sys
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Self

import click

from s3func.cli.report import shown
from s3func.sync.events import (
    BytesMoved,
    Deleted,
    OperationDone,
    OperationFailed,
    OperationPlanned,
    OperationStarted,
    ScanPage,
    Summary,
    event_row,
)

if TYPE_CHECKING:
    from s3func.sync.events import Event
    from s3func.sync.operation import Operation

_MOVING = frozenset({"upload", "download", "copy"})


class FailedFast(Exception):
    """Ends a run at its first failure; raised by the listener, caught by the command."""


def line_of(operation: Operation) -> str:
    """A step as a line of text: what, which name, why."""
    moved = f" (from {shown(operation.moved_from)})" if operation.moved_from else ""
    why = operation.detail or operation.reason
    return f"{operation.kind}\t{shown(operation.name)}{moved}\t{operation.size}\t{why}"


class Show:
    """A listener of apply(); a context manager that takes the bar away."""

    def __init__(
        self, *, as_json: bool, progress: str, verbose: bool, fail_fast: bool = False, dry_run: bool = False
    ) -> None:
        self._stdout = sys.stdout if as_json else None
        self._stderr_json = sys.stderr if progress == "json" else None
        self._is_verbose = verbose
        self._fail_fast = fail_fast
        self._is_dry_run = dry_run
        is_bar = not dry_run and (progress == "bar" or (progress == "auto" and sys.stderr.isatty() and not as_json))
        self._bar: Any = _bar() if is_bar else None
        self._moved: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._planned = 0
        self._done = 0
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, event: Event) -> None:
        """One event."""
        # BytesMoved comes from other threads, and lines must stay whole.
        with self._lock:
            self._tell(event)
        if self._fail_fast and isinstance(event, OperationFailed):
            raise FailedFast(event.operation.name)

    def _tell(self, event: Event) -> None:
        if self._stdout is not None and self._is_data(event):
            _write(self._stdout, event)
        if self._stderr_json is not None:
            _write(self._stderr_json, event)
        elif not isinstance(event, Summary):
            self._say(event)
        if self._bar is not None:
            self._advance(event)

    def _is_data(self, event: Event) -> bool:
        """Whether an event is a result: what was done, what was not, and of a dry run what would be done."""
        if isinstance(event, OperationPlanned):
            return self._is_dry_run or event.operation.kind in {"conflict", "problem"}
        return not isinstance(event, BytesMoved | OperationStarted | ScanPage)

    def _say(self, event: Event) -> None:
        if isinstance(event, OperationPlanned):
            operation = event.operation
            if operation.kind in {"conflict", "problem"}:
                self._line(f"{operation.kind}: {shown(operation.name)}: {operation.detail or operation.reason}")
            elif self._is_dry_run and self._stdout is None and operation.kind != "record":
                click.echo(line_of(operation))
        elif isinstance(event, OperationFailed):
            self._line(f"failed: {event.operation.kind} {shown(event.operation.name)}: {event.error}")
        elif self._is_verbose and isinstance(event, OperationDone):
            why = f" ({event.skipped})" if event.skipped else ""
            self._line(f"{event.operation.kind}: {shown(event.operation.name)}{why}")
        elif self._is_verbose and isinstance(event, Deleted):
            kept = f" (kept as {shown(event.kept)})" if event.kept else ""
            self._line(f"delete: {shown(event.name)}{kept}")

    def _line(self, text: str) -> None:
        if self._bar is None:
            click.echo(text, err=True)
        else:
            self._bar.write(text, file=sys.stderr)

    def _advance(self, event: Event) -> None:
        bar = self._bar
        if isinstance(event, OperationPlanned) and event.operation.kind in _MOVING:
            bar.total += event.operation.size
            self._planned += 1
        elif isinstance(event, ScanPage):
            self._seen[event.side] = event.entries
            if not self._done:
                counts = " and ".join(f"{count:,}" for count in self._seen.values())
                bar.set_description_str(f"{counts} seen", refresh=False)
                bar.refresh()
        elif isinstance(event, BytesMoved):
            self._move(event.name, event.done)
        elif isinstance(event, OperationDone) and event.operation.kind in _MOVING:
            self._done += 1
            bar.set_description_str(f"{self._done:,} of {self._planned:,} files", refresh=False)
            self._move(event.operation.name, event.operation.size)
            self._moved.pop(event.operation.name, None)

    def _move(self, name: str, done: int) -> None:
        more = done - self._moved.get(name, 0)
        self._moved[name] = done
        if more > 0:
            self._bar.update(more)


def _bar() -> Any:
    """A bar in bytes, whose total grows while the plan is made."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    return tqdm(total=0, unit="B", unit_scale=True, unit_divisor=1024, leave=False, dynamic_ncols=True, file=sys.stderr)


def _write(file: IO[str], event: Event) -> None:
    file.write(json.dumps(event_row(event)) + "\n")
    if isinstance(event, Summary):
        file.flush()
