"""The deletes of a plan, at the very end: in batches, of names that still are what the plan saw, or kept elsewhere first.

Rule 1: nothing here decides whether to delete; apply() asks the plan's guards before it comes here.
Rule 2: of a folder, a file is removed only if it still is what was seen; a changed one is a failure, and stays. Of a store,
        a thousand keys go with one request, which knows no conditions: so the listing that saw them has to be of this
        moment. For a plan that was made before, and after transfers that took a while, the keys are listed once more.
Rule 3: what was not deleted is told by name.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from itertools import islice
from typing import TYPE_CHECKING, Any

from s3func.errors import DeleteFailed, S3FuncError, SyncConflict, SyncError
from s3func.sync.local import LocalTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from s3func.models import ObjectEntry
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.keeping import Keeper
    from s3func.sync.operation import Operation, Side
    from s3func.sync.remote import RemotePrefix

BATCH = 1000
FRESH_SECONDS = 10.0
"""For how long after its beginning a run takes what it listed for what is there."""

Deletion = tuple["Operation", "str | None", "Exception | None"]
"""A step, where its content is kept, and why it was not carried out."""


def delete_all(
    target: Endpoint,
    operations: Iterable[Operation],
    keeper: Keeper | None,
    check: Callable[[], None],
    *,
    fresh_until: float = math.inf,
) -> Iterator[Deletion]:
    """Delete, and tell of each name what became of it. check: called between two steps, ends the work by raising.

    fresh_until: in seconds of time.monotonic(), until when what was listed counts as what is there.
    """
    if isinstance(target, LocalTree):
        yield from _delete_files(target, operations, keeper, check)
        return
    iterator = iter(operations)
    while batch := list(islice(iterator, BATCH)):
        check()
        if time.monotonic() > fresh_until:
            there = _there(target, batch)
            remaining = []
            for operation in batch:
                row = there.get(operation.name)
                if row is None:
                    # Gone already, and whoever brings it back now wants it.
                    yield operation, None, None
                elif _is_changed(row, operation.target):
                    yield operation, None, SyncConflict(f"{operation.name!r} has changed since it was listed")
                else:
                    remaining.append(operation)
            batch = remaining
        yield from _delete_objects(target, batch, keeper)


def _there(remote: RemotePrefix, batch: list[Operation]) -> dict[str, ObjectEntry]:
    """What is listed now of these names: with a page for each, or with the pages from first to last, if those are fewer."""
    length = len(remote.prefix)
    wanted = sorted({operation.name for operation in batch})
    names = set(wanted)
    found: dict[str, ObjectEntry] = {}
    listing: Any = remote.session.list_objects
    if remote.order == "sort":
        rows = listing(remote.prefix or None, bucket=remote.bucket)
        return {name: row for row in rows if (name := row.key[length:]) in names}
    at, last = 0, ""
    while at < len(wanted):
        before = max(last, _before(remote.key(wanted[at])))
        page = next(listing(remote.prefix or None, start_after=before or None, bucket=remote.bucket).pages())
        for row in page.entries:
            if (name := row.key[length:]) in names:
                found[name] = row
        if page.entries:
            last = page.entries[-1].key
            at = bisect_right(wanted, last[length:])
        elif page.is_truncated:
            # All that were on the page are gone by now, or hidden: the pages behind it are asked for one after the other.
            rows = listing(remote.prefix or None, start_after=before or None, bucket=remote.bucket)
            return found | {name: row for row in rows if (name := row.key[length:]) in names}
        if not page.is_truncated:
            break
    return found


def _before(key: str) -> str:
    """A text that comes before the key, with as little as possible in between; a listing begins behind it."""
    return key[:-1] + chr(ord(key[-1]) - 1) if "!" < key[-1] <= "~" else key[:-1]


def _is_changed(row: ObjectEntry, expected: Side | None) -> bool:
    """Whether an object is not what the plan saw, be it that the same content was written once more."""
    if expected is None or row.size != expected.size or (expected.etag and row.etag != expected.etag):
        return True
    return None not in (expected.modified, row.last_modified) and expected.modified != row.last_modified.timestamp()  # type: ignore[union-attr]  # not None


def _delete_files(
    tree: LocalTree, operations: Iterable[Operation], keeper: Keeper | None, check: Callable[[], None]
) -> Iterator[Deletion]:
    for operation in operations:
        check()
        kept = None
        try:
            if operation.target is None:
                raise SyncError(f"{operation.name!r}: the plan does not say what is to be deleted")
            if keeper is not None:
                kept = keeper.keep_deleted(operation)
            else:
                tree.remove(operation.path or operation.name, operation.target)
        except (S3FuncError, OSError) as error:
            yield operation, None, error
        else:
            yield operation, kept, None


def _delete_objects(remote: RemotePrefix, batch: list[Operation], keeper: Keeper | None) -> Iterator[Deletion]:
    kept: dict[str, str | None] = {}
    if keeper is not None:
        remaining = []
        for operation in batch:
            try:
                kept[operation.name] = keeper.keep_deleted(operation)
                remaining.append(operation)
            except (S3FuncError, OSError) as error:
                yield operation, None, error
        batch = remaining
    if not batch:
        return
    keys = [remote.key(operation.name) for operation in batch]
    failures: dict[str, Exception] = {}
    try:
        remote.session.delete_objects(keys, bucket=remote.bucket)  # type: ignore[attr-defined]  # both stores have it
    except DeleteFailed as error:
        for key, _, code, message in error.failures:
            failures[key] = DeleteFailed(f"{code}: {message}", [(key, None, code, message)])
    except S3FuncError as error:
        failures = dict.fromkeys(keys, error)
    for operation, key in zip(batch, keys, strict=True):
        yield operation, kept.get(operation.name), failures.get(key)
