"""Everything below a prefix and the folder that stands for it, through s3func.sync."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from s3func.errors import HashMismatchError, SyncError
from s3func.sync.events import BytesMoved, OperationDone
from s3func.sync.filters import Filters
from s3func.sync.guards import MaxDelete
from s3func.sync.local import LocalTree
from s3func.sync.plans import plan
from s3func.sync.remote import RemotePrefix
from s3func.sync.syncing import sync

if TYPE_CHECKING:
    from s3func.session import Session
    from s3func.sync.events import Event
    from s3func.transport.transfer import Progress

__all__ = ["differs", "sync_folder", "verify_folder"]

Patterns: TypeAlias = Sequence[re.Pattern[str]]
_NOTES_MAX = 10
_AGREED = frozenset({"record"})


@dataclass(frozen=True, slots=True)
class _SmallTreesToo(MaxDelete):
    """The usual limits; but in a small tree half is soon reached, and a handful of files is what mirror=True is for."""

    always: int = 10

    def allows(self, deletes: int, entries: int) -> bool:
        return deletes <= self.always or MaxDelete.allows(self, deletes, entries)


def sync_folder(
    session: Session,
    bucket: str,
    prefix: str,
    folder: str,
    excludes: Patterns,
    *,
    is_upload: bool,
    exact: bool,
    checked: bool,
    progress: Progress | None = None,
    max_delete: Any = None,
    allow_empty_source: bool = False,
) -> None:
    """Make one side like the other; SyncError, or one of its kinds, when anything was not done.

    exact: delete what the source does not have, and let it win wherever both changed. checked: compare what arrives with
    the store's checksums. max_delete: as for plan(), but by default ten files may go from a tree of any size.
    """
    tree, remote = LocalTree(folder), RemotePrefix(session, bucket, prefix)
    source, target = (tree, remote) if is_upload else (remote, tree)
    conflicts: Literal["source", "error"] = "source" if exact else "error"
    report = sync(
        source,
        target,
        filters=Filters(exclude=excludes),
        delete="all" if exact else "none",
        max_delete=_SmallTreesToo() if max_delete is None else max_delete,
        allow_empty_source=allow_empty_source,
        on_conflict=conflicts,
        verify="auto" if checked else False,
        on_event=None if progress is None else _counted(progress),
    )
    try:
        report.raise_for_failures()
    except SyncError as error:
        for step in (*report.conflicts, *report.problems)[:_NOTES_MAX]:
            error.add_note(f"{step.name}: {step.detail or step.reason}")
        raise


def differs(session: Session, bucket: str, prefix: str, folder: str, excludes: Patterns) -> bool:
    """Whether there is anything that one side has and the other has not."""
    remote = RemotePrefix(session, bucket, prefix)
    with plan(remote, LocalTree(folder), delete="all", filters=Filters(exclude=excludes)) as steps:
        return any(step.kind not in _AGREED for step in steps)


def verify_folder(session: Session, bucket: str, prefix: str, folder: str, excludes: Patterns) -> None:
    """Read every file that is an object too and compare them; HashMismatchError names the first that differ."""
    remote, filters = RemotePrefix(session, bucket, prefix), Filters(exclude=excludes)
    with plan(remote, LocalTree(folder), compare="hash", state=None, filters=filters) as steps:
        wrong = [step.name for step in steps if step.kind not in _AGREED]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise HashMismatchError(f"{folder} does not have the content of {remote.url}: {', '.join(wrong[:5])}{more}")


def _counted(progress: Progress) -> Callable[[Event], object]:
    """What is told of a run, as a count of bytes."""
    under_way: dict[str, int] = {}
    total = 0
    lock = Lock()

    def listen(event: Event) -> None:
        nonlocal total
        with lock:
            if isinstance(event, BytesMoved):
                total += event.done - under_way.get(event.name, 0)
                under_way[event.name] = event.done
            elif isinstance(event, OperationDone) and event.operation.kind != "record":
                total += event.operation.size - under_way.pop(event.operation.name, 0)
            else:
                return
            progress(total, None)

    return listen
