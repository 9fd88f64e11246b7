"""The deletes of a plan, at the very end: in batches, of names that still are what the plan saw, or kept elsewhere first.

Rule 1: nothing here decides whether to delete; apply() asks the plan's guards before it comes here.
Rule 2: of a folder, a file is removed only if it still is what was seen; a changed one is a failure, and stays. Of a store,
        a thousand keys go with one request, which knows no conditions: so the listing that saw them has to be of this run.
        For a plan that was made before, the keys are listed once more.
Rule 3: what was not deleted is told by name.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from s3func.errors import DeleteFailed, S3FuncError, SyncConflict, SyncError
from s3func.sync.local import LocalTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from s3func.sync.endpoints import Endpoint
    from s3func.sync.keeping import Keeper
    from s3func.sync.operation import Operation
    from s3func.sync.remote import RemotePrefix

BATCH = 1000

Deletion = tuple["Operation", "str | None", "Exception | None"]
"""A step, where its content is kept, and why it was not carried out."""


def delete_all(
    target: Endpoint,
    operations: Iterable[Operation],
    keeper: Keeper | None,
    check: Callable[[], None],
    *,
    is_fresh: bool = True,
) -> Iterator[Deletion]:
    """Delete, and tell of each name what became of it. check: called between two steps, ends the work by raising.

    is_fresh: the plan was made in this run.
    """
    if isinstance(target, LocalTree):
        yield from _delete_files(target, operations, keeper, check)
        return
    iterator = iter(operations)
    while batch := list(islice(iterator, BATCH)):
        check()
        if not is_fresh:
            changed = _changed(target, batch)
            for operation in batch:
                if operation.name in changed:
                    yield operation, None, changed[operation.name]
            batch = [operation for operation in batch if operation.name not in changed]
        yield from _delete_objects(target, batch, keeper)


def _changed(remote: RemotePrefix, batch: list[Operation]) -> dict[str, Exception]:
    """Which of these objects are not what the plan saw; of one that is gone already nothing is to be said."""
    expected = {operation.name: operation.target for operation in batch}
    changed: dict[str, Exception] = {}
    last, length = max(expected), len(remote.prefix)
    # A listing begins behind a key, so it begins behind the first one without its last letter.
    first = remote.key(min(expected))
    listing: Any = remote.session.list_objects
    for row in listing(remote.prefix or None, start_after=first[:-1] or None, bucket=remote.bucket):
        name = row.key[length:]
        if name > last:
            break
        if name not in expected:
            continue
        side = expected[name]
        if side is None or (row.size, row.etag) != (side.size, side.etag or row.etag):
            changed[name] = SyncConflict(f"{name!r} has changed since the plan was made")
    return changed


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
