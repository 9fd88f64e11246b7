"""delete_objects: B2 has no call for many files, so each one has its own, several at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.b2.config import check_key, check_version_id
from s3func.b2.listings import ListingVerbs
from s3func.b2.objects import ObjectVerbs
from s3func.errors import DeleteFailed, InvalidCredentials, S3FuncError, ServiceError, Throttled
from s3func.models import named_rows
from s3func.transport.parallel import Crew

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from s3func.models import ObjectEntry
    from s3func.wire.s3xml import DeletedObject, DeleteFailure

Row = tuple[str, str | None]
_NOT_TRIED, _REASON = "NotTried", "an earlier call failed, and this key was not tried"


class DeletionVerbs(ObjectVerbs, ListingVerbs):
    """Many objects at once."""

    def delete_objects(
        self,
        keys: Iterable[str | Mapping[str, str | None] | ObjectEntry] | None = None,
        prefix: str | None = None,
        purge: bool = False,
        *,
        bucket: str | None = None,
    ) -> list[DeletedObject]:
        """Hide many objects, or delete versions of them; returns what was deleted, in the order of the rows.

        keys: keys, mappings with "key" and optionally "version_id", or rows of a listing. prefix: everything under it
        instead; an empty prefix is refused, because it would empty the bucket. purge: every version and hide marker of
        those keys, for good. DeleteFailed when some of them were not deleted, its `.failures` says which; what fails
        as every other call would (no connection, a cap) ends the work.
        """
        if (keys is None) == (prefix is None):
            raise ValueError("give either keys or prefix")
        if prefix is not None and not isinstance(prefix, str):
            raise TypeError(f"prefix must be a str, not {type(prefix).__name__}")
        if prefix == "":
            raise ValueError("prefix is empty: that would delete the whole bucket; list the keys and pass them")
        name = self._name(bucket)
        rows: Iterator[Row]
        if keys is not None:
            rows = iter(_checked_rows(keys))
            if purge:
                rows = self._all_versions(rows, name)
        elif purge:
            rows = ((entry.key, entry.version_id) for entry in self.list_object_versions(prefix, bucket=name))
        else:
            rows = ((entry.key, None) for entry in self.list_objects(prefix, bucket=name))
        deleted, failures = self._delete_all(rows, name, is_known=keys is not None and not purge)
        if failures:
            first = failures[0]
            error = DeleteFailed(
                f"{len(failures)} of {len(failures) + len(deleted)} objects were not deleted; "
                f"the first is {first.key!r}: {first.code} {first.message}",
                failures,
            )
            error.bucket = name
            raise error
        return deleted

    def _all_versions(self, rows: Iterable[Row], name: str) -> Iterator[Row]:
        """Every version and hide marker of the rows' keys; rows that name a version stay as they are."""
        for key, version_id in rows:
            if version_id is not None:
                yield key, version_id
                continue
            # The key itself comes before all that it is a prefix of.
            for entry in self.list_object_versions(key, bucket=name):
                if entry.key != key:
                    break
                yield key, entry.version_id

    def _delete_all(
        self, rows: Iterable[Row], name: str, *, is_known: bool
    ) -> tuple[list[DeletedObject], list[DeleteFailure]]:
        """Delete one by one, several at a time, until one fails as all others would.

        is_known: the rows that are left then are known without asking the store, and are failures as well.
        """
        from s3func.wire.s3xml import DeletedObject, DeleteFailure

        outcomes: dict[int, DeletedObject | DeleteFailure] = {}
        is_over = False

        def deleting(number: int, key: str, version_id: str | None) -> Callable[[], None]:
            def delete() -> None:
                nonlocal is_over
                if is_over:
                    outcomes[number] = DeleteFailure(key, version_id, _NOT_TRIED, _REASON)
                    return
                try:
                    result = self.delete_object(key, version_id, bucket=name)
                except S3FuncError as error:
                    is_over = is_over or _is_hopeless(error)
                    code = error.code if isinstance(error, ServiceError) else type(error).__name__
                    outcomes[number] = DeleteFailure(key, version_id, code, str(error))
                else:
                    marker = result.version_id if result.delete_marker else None
                    outcomes[number] = DeletedObject(key, version_id, result.delete_marker, marker)

            return delete

        with Crew(self._transfer.concurrency, name="s3func-delete") as crew:
            for number, (key, version_id) in enumerate(rows):
                if is_over and not is_known:
                    break
                crew.submit(deleting(number, key, version_id))
        ordered = [outcomes[number] for number in sorted(outcomes)]
        deleted = [row for row in ordered if isinstance(row, DeletedObject)]
        return deleted, [row for row in ordered if isinstance(row, DeleteFailure)]


def _checked_rows(keys: Iterable[str | Mapping[str, str | None] | ObjectEntry]) -> list[Row]:
    """(key, version_id) rows; all of them are checked before the first one is deleted."""
    return [
        (
            check_key(key, "a key in keys"),
            None if version_id is None else check_version_id(version_id, "a version_id in keys"),
        )
        for key, version_id in named_rows(keys)
    ]


def _is_hopeless(error: S3FuncError) -> bool:
    """Whether the next call would fare no better: no answer, a key that is refused, a cap, a service that wants rest."""
    if not isinstance(error, ServiceError):
        return True
    return isinstance(error, InvalidCredentials | Throttled) or error.code.endswith("cap_exceeded")
