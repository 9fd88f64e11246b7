"""DeleteObjects over any number of keys: checked rows, batches of 1,000, and what no batch can carry one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from s3func.errors import NotImplementedByStore, S3FuncError, ServiceError
from s3func.models import ObjectEntry
from s3func.s3.headers import check_key, check_text
from s3func.wire.s3xml import (
    DELETE_OBJECTS_MAX,
    DeletedObject,
    DeleteFailure,
    DeleteObjectsResult,
    render_delete_objects,
    xml_can_carry,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3func.listing import ObjectListing
    from s3func.results import DeleteResult

Row = tuple[str, str | None]


def checked_rows(keys: Iterable[str | Mapping[str, str | None] | ObjectEntry]) -> list[Row]:
    """(key, version_id) rows; all of them are checked before the first one is deleted."""
    if isinstance(keys, str | bytes | Mapping | ObjectEntry):
        raise TypeError("keys must be a list of keys, not one key")
    if not isinstance(keys, Iterable):
        raise TypeError(f"keys must be an iterable of keys, not {type(keys).__name__}")
    rows: list[Row] = []
    for item in keys:
        version_id: object = None
        key: object = item
        if isinstance(item, ObjectEntry):
            key, version_id = item.key, item.version_id
        elif isinstance(item, Mapping):
            key = item.get("key", item.get("Key"))
            version_id = item.get("version_id", item.get("VersionId"))
        check_key(key, "a key in keys")
        # An empty version would be left out of the document, and so delete the newest one.
        if version_id is not None and not check_text("a version_id in keys", version_id):
            raise ValueError("a version_id in keys is empty")
        rows.append((key, version_id))  # type: ignore[arg-type]  # both were checked
    return rows


def all_versions(rows: Iterable[Row], list_versions: Callable[[str], ObjectListing]) -> Iterator[Row]:
    """Every version and delete marker of the rows' keys; rows that name a version stay as they are."""
    for key, version_id in rows:
        if version_id is not None:
            yield key, version_id
            continue
        try:
            for page in list_versions(key).pages():
                for entry in page:
                    if entry.key == key:
                        yield key, entry.version_id
                # Page by page the key comes before all that it is a prefix of; within a page, some stores list the
                # delete markers behind all versions.
                if any(entry.key != key for entry in page):
                    break
        except NotImplementedByStore:
            yield key, None


def delete_all(
    rows: Iterable[Row],
    delete_batch: Callable[[bytes], DeleteObjectsResult],
    delete_one: Callable[[str, str | None], DeleteResult],
) -> tuple[list[DeletedObject], list[DeleteFailure]]:
    """Delete all rows; keys that XML cannot carry (control characters) go one by one.

    A batch that fails as a whole ends the work: the first one by raising, a later one as failures of its rows.
    """
    deleted: list[DeletedObject] = []
    failures: list[DeleteFailure] = []
    iterator = iter(rows)
    while batch := list(islice(iterator, DELETE_OBJECTS_MAX)):
        carried = [row for row in batch if _has_place_in_xml(row)]
        if carried:
            # Not quiet: only rows that the store names as deleted count as deleted.
            document = render_delete_objects(carried, quiet=False)
            try:
                result = delete_batch(document)
            except S3FuncError as error:
                if not deleted and not failures:
                    raise
                # What is known of the earlier batches must not be lost; that this one may be repeated is said as well.
                code = error.code if isinstance(error, ServiceError) else type(error).__name__
                failures += [DeleteFailure(key, version_id, code, str(error)) for key, version_id in batch]
                return deleted, failures
            _check_complete(carried, result, failures)
            deleted += result.deleted
            failures += result.failures
        for key, version_id in batch:
            if _has_place_in_xml((key, version_id)):
                continue
            try:
                answer = delete_one(key, version_id)
            except ServiceError as error:
                failures.append(DeleteFailure(key, version_id, error.code, error.message))
            else:
                deleted.append(DeletedObject(key, version_id, answer.delete_marker, answer.version_id))
    return deleted, failures


def _has_place_in_xml(row: Row) -> bool:
    return xml_can_carry(row[0]) and (row[1] is None or xml_can_carry(row[1]))


def _check_complete(rows: list[Row], result: DeleteObjectsResult, failures: list[DeleteFailure]) -> None:
    """A row that the answer does not mention may still be there, so it counts as failed."""
    answers: list[DeletedObject | DeleteFailure] = [*result.deleted, *result.failures]
    versions = {(row.key, row.version_id) for row in answers}
    named = {row.key for row in answers}
    # Not every store repeats the version that it was asked for.
    without_version = {row.key for row in answers if row.version_id is None}
    failures += [
        DeleteFailure(key, version_id, "NotMentioned", "the store's answer does not mention this key")
        for key, version_id in rows
        if (key, version_id) not in versions and key not in (named if version_id is None else without_version)
    ]
