"""What happens during a sync, told while it happens: small values for a progress bar, a log or a line of JSON.

Rule: events are told by the thread that called apply() or sync(), one at a time, but for BytesMoved, which comes from the
thread that moves the bytes. Whatever a listener raises ends the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from s3func.sync.operation import Operation
    from s3func.sync.report import Report


class ScanPage(NamedTuple):
    """A scan has come this far. side: "source" or "target". entries, pages: until now."""

    side: str
    entries: int
    pages: int


class OperationPlanned(NamedTuple):
    """A step is known, and will be carried out unless it is a conflict or a problem."""

    operation: Operation


class OperationStarted(NamedTuple):
    """A large transfer has begun; small ones are told when they are done."""

    operation: Operation


class BytesMoved(NamedTuple):
    """So much of a large transfer is done. done: bytes so far. total: bytes in all, None while nobody knows."""

    name: str
    done: int
    total: int | None


class OperationDone(NamedTuple):
    """A step was carried out. skipped: why it was not necessary any more, else None."""

    operation: Operation
    skipped: str | None = None


class OperationFailed(NamedTuple):
    """A step was not carried out; the others go on. error: what its exception says. kind: the exception's class."""

    operation: Operation
    error: str
    kind: str


class Deleted(NamedTuple):
    """The name is gone from the target. kept: where its content is now, if it was moved away first."""

    name: str
    kept: str | None = None


class Summary(NamedTuple):
    """The run is over."""

    report: Report


Event: TypeAlias = (
    ScanPage | OperationPlanned | OperationStarted | BytesMoved | OperationDone | OperationFailed | Deleted | Summary
)
Listener: TypeAlias = Callable[[Event], object]
"""What apply(on_event=) takes."""


def event_row(event: Event) -> dict[str, Any]:
    """An event as data for JSON: "event" says which, in words like operation_done; steps are told by name and kind."""
    row: dict[str, Any] = {"event": re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()}
    if isinstance(event, Summary):
        row.update(event.report.row())
        return row
    for field, value in event._asdict().items():
        if field == "operation":
            row.update(kind=value.kind, name=value.name, size=value.size, reason=value.reason)
        elif field == "kind":
            row["error_kind"] = value
        elif value is not None:
            row[field] = value
    return row
