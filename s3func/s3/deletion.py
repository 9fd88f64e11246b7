"""DeleteObjects over any number of keys: checked rows, batches of 1,000 in parallel, and one by one what none can carry."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from s3func.errors import NotImplementedByStore, S3FuncError, ServiceError
from s3func.models import named_rows
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
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from s3func.listing import ObjectListing
    from s3func.models import ObjectEntry
    from s3func.results import DeleteResult
    from s3func.transport.parallel import Crew

Row = tuple[str, str | None]
_NOT_TRIED, _REASON = "NotTried", "an earlier request failed, and this key was not tried"
CONCURRENCY = 4
"""Batches under way at a time: more of them, S3 answers with SlowDown."""
_ONE_BY_ONE = 3
"""Batches of a call that are sent one after the other: most calls have no more, and threads would cost more than they gain."""


def checked_rows(keys: Iterable[str | Mapping[str, str | None] | ObjectEntry]) -> list[Row]:
    """(key, version_id) rows; all of them are checked before the first one is deleted."""
    rows: list[Row] = []
    for key, version_id in named_rows(keys):
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


class Outcome(NamedTuple):
    """What became of the rows, in their order. is_whole: False when rows were left that nobody knows the names of."""

    deleted: list[DeletedObject]
    failures: list[DeleteFailure]
    is_whole: bool = True


def delete_all(
    rows: Iterable[Row],
    delete_batch: Callable[[bytes], DeleteObjectsResult],
    delete_one: Callable[[str, str | None], DeleteResult],
    crew: Crew,
    *,
    is_known: bool,
) -> Outcome:
    """Delete all rows: the first batches one after the other, the others by the crew, which takes no more in advance.

    A batch that fails as a whole ends the work: the first one by raising, a later one as failures of its rows. Then the
    rows that were not tried are failures as well, if they are known without asking the store.
    """
    iterator = iter(rows)
    work = _Work(delete_batch, delete_one)
    outcomes: list[Outcome] = []
    with crew:
        while not work.is_stopped and (batch := list(islice(iterator, DELETE_OBJECTS_MAX))):
            outcome = Outcome([], [])
            outcomes.append(outcome)
            if len(outcomes) == 1:
                work.carry_out(batch, outcome, is_first=True)
            elif len(outcomes) <= _ONE_BY_ONE:
                work.carry_out(batch, outcome)
            else:
                crew.submit(partial(work.carry_out, batch, outcome))
    deleted = [row for outcome in outcomes for row in outcome.deleted]
    failures = [row for outcome in outcomes for row in outcome.failures]
    if not work.is_stopped:
        return Outcome(deleted, failures)
    if is_known:
        failures += [DeleteFailure(key, version_id, _NOT_TRIED, _REASON) for key, version_id in iterator]
    return Outcome(deleted, failures, is_known)


class _Work:
    """The requests of one call; safe for threads."""

    def __init__(
        self,
        delete_batch: Callable[[bytes], DeleteObjectsResult],
        delete_one: Callable[[str, str | None], DeleteResult],
    ) -> None:
        self._delete_batch = delete_batch
        self._delete_one = delete_one
        self.is_stopped = False
        """Whether a request failed in a way that makes the next ones pointless."""

    def carry_out(self, batch: list[Row], outcome: Outcome, *, is_first: bool = False) -> None:
        """Delete a batch; keys that XML cannot carry (control characters) go one by one."""
        carried = [row for row in batch if _has_place_in_xml(row)]
        if carried:
            # Not quiet: only rows that the store names as deleted count as deleted.
            document = render_delete_objects(carried, quiet=False)
            try:
                result = self._delete_batch(document)
            except S3FuncError as error:
                self.is_stopped = True
                if is_first:
                    raise
                # What is known of the earlier batches must not be lost; that this one may be repeated is said as well.
                code = error.code if isinstance(error, ServiceError) else type(error).__name__
                outcome.failures.extend(DeleteFailure(key, version_id, code, str(error)) for key, version_id in batch)
                return
            outcome.deleted.extend(result.deleted)
            _check_complete(carried, result, outcome.failures)
            outcome.failures.extend(result.failures)
        alone = [row for row in batch if not _has_place_in_xml(row)]
        for number, (key, version_id) in enumerate(alone):
            try:
                answer = self._delete_one(key, version_id)
            except ServiceError as error:
                outcome.failures.append(DeleteFailure(key, version_id, error.code, error.message))
            except S3FuncError as error:
                # No answer at all: the next one would wait for one just as long.
                self.is_stopped = True
                if is_first and not carried and number == 0:
                    raise
                code, text = type(error).__name__, str(error)
                outcome.failures.append(DeleteFailure(key, version_id, code, text))
                outcome.failures.extend(DeleteFailure(*row, _NOT_TRIED, _REASON) for row in alone[number + 1 :])
                return
            else:
                outcome.deleted.append(DeletedObject(key, version_id, answer.delete_marker, answer.version_id))


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
