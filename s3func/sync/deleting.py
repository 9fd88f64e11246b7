"""The deletes of a plan, at the very end: in batches, of names that still are what the plan saw, or kept elsewhere first.

Rule 1: nothing here decides whether to delete; apply() asks the plan's guards before it comes here.
Rule 2: of a folder, a file is removed only if it still is what was seen; a changed one is a failure, and stays. Of a store,
        a thousand keys go with one request, which knows no conditions: the listing that saw them is of this run.
Rule 3: what was not deleted is told by name.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from s3func.errors import DeleteFailed, S3FuncError, SyncError
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
) -> Iterator[Deletion]:
    """Delete, and tell of each name what became of it. check: called between two steps, ends the work by raising."""
    if isinstance(target, LocalTree):
        yield from _delete_files(target, operations, keeper, check)
        return
    iterator = iter(operations)
    while batch := list(islice(iterator, BATCH)):
        check()
        yield from _delete_objects(target, batch, keeper)


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
