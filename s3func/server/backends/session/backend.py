"""A store that keeps nothing itself: every call is asked of a session. See the package for what that cannot promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import IO

from s3func.errors import (
    DeleteFailed,
    NoSuchKey,
    NoSuchVersion,
    NotFound,
    PreconditionFailed,
    ServiceError,
    service_error,
)
from s3func.models import ObjectEntry
from s3func.results import CopyResult, GetResult, PutResult
from s3func.server.backend import (
    Deleted,
    Deletion,
    Guard,
    ListSlice,
    ObjectAttributes,
    StoredObject,
    check_key,
    run_guard,
)
from s3func.server.backends.session.base import Conditions
from s3func.server.backends.session.bodies import SessionCopy, SessionReader, SessionWriter
from s3func.server.backends.session.uploads import SessionUploads
from s3func.server.backends.session.versions import SessionVersions
from s3func.server.backends.session.words import (
    BulkDeletion,
    copy_options,
    put_options,
    replaced,
    row_of,
    seconds_of,
    speaks_s3,
    stored_of,
)

_PAGE_MAX = 1000
_PUT_BYTES_MAX = 5 * 1024**3

Row = tuple[str, str | None]


class SessionBackend(SessionVersions, SessionUploads):
    """A Backend behind a Session: a gateway."""

    def begin_put(self, bucket: str, key: str) -> SessionWriter:
        check_key(key)
        self.get_bucket(bucket)
        return SessionWriter(partial(self._put, bucket, key))

    def begin_copy(
        self, source_bucket: str, source_key: str, bucket: str, key: str, *, source_version_id: str | None = None
    ) -> SessionCopy:
        check_key(key)
        self.get_bucket(bucket)
        source = self.head_object(source_bucket, source_key, source_version_id)
        return SessionCopy(source, partial(self._copy, source_bucket, source, bucket, key))

    def open_object(self, bucket: str, key: str, version_id: str | None = None) -> SessionReader:
        self._check_version(bucket, key, version_id)
        with self._asking(bucket, key, version_id):
            result = self._verbs.get_object(key, self._named(version_id), bucket=bucket, stream=True)
            try:
                stored = stored_of(key, result, self._tags_of(bucket, key, result))
            except BaseException:
                result.close()
                raise

        def get_range(offset: int, end: int) -> GetResult:
            try:
                return self._verbs.get_object(
                    key,
                    # With a version the object can be read on after it was replaced.
                    stored.version_id,
                    range_start=offset,
                    range_end=end - 1,
                    if_match=stored.etag,
                    bucket=bucket,
                    stream=True,
                )
            except (PreconditionFailed, NotFound) as error:
                raise replaced(bucket, key) from error

        return SessionReader(stored, result, get_range, partial(self._asking, bucket, key))

    def delete_object(
        self, bucket: str, key: str, version_id: str | None = None, guard: Guard | None = None, owner: str = ""
    ) -> Deleted:
        check_key(key)
        if not self._may_exist(bucket, version_id):
            run_guard(guard, None, bucket, key)
            return Deleted(key, version_id)
        if version_id is not None and guard is not None:
            # A version stays what it is, so nobody can be faster.
            run_guard(guard, self._version(bucket, key, version_id), bucket, key)
            guard = None

        def delete(conditions: Conditions) -> Deleted:
            # What is not there is deleted already.
            if "if_none_match" in conditions:
                return Deleted(key, version_id)
            try:
                with self._asking(bucket, key):
                    result = self._verbs.delete_object(key, self._named(version_id), bucket=bucket, **conditions)
            except NoSuchVersion:
                return Deleted(key, version_id)
            return Deleted(key, result.version_id if version_id is None else version_id, result.delete_marker)

        return self._change(bucket, key, guard, delete, is_write=False)

    def delete_objects(self, bucket: str, deletions: Sequence[Deletion]) -> list[Deleted | ServiceError]:
        self.get_bucket(bucket)
        results: list[Deleted | ServiceError | None] = [None] * len(deletions)
        together: dict[Row, list[int]] = {}
        for place, row in enumerate(deletions):
            try:
                check_key(row.key)
                is_sent = row.guard is None and self._may_exist(bucket, row.version_id)
                if is_sent and isinstance(self._session, BulkDeletion):
                    together.setdefault((row.key, self._named(row.version_id)), []).append(place)
                else:
                    results[place] = self.delete_object(bucket, row.key, row.version_id, row.guard)
            except ServiceError as error:
                results[place] = error
        found = self._delete_together(bucket, list(together)) if together else {}
        for each, places in together.items():
            for place in places:
                results[place] = found.get(each) or Deleted(each[0], deletions[place].version_id)
        return [result for result in results if result is not None]

    def list_objects(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", start_after: str = "", limit: int = 1000
    ) -> ListSlice:
        rows: list[StoredObject] = []
        common_prefixes: list[str] = []
        last: str | None = None
        self.get_bucket(bucket)
        if limit <= 0:
            return ListSlice(rows, common_prefixes)
        with self._asking(bucket):
            listing = self._verbs.list_objects(
                prefix or None,
                start_after=start_after or None,
                delimiter=delimiter or None,
                max_keys=min(limit, _PAGE_MAX),
                bucket=bucket,
            )
            for page in listing.pages():
                items: list[tuple[str, ObjectEntry | None]] = [(entry.key, entry) for entry in page.entries]
                # Some stores report a common prefix again that the place to start after is inside of.
                items += [(each, None) for each in page.common_prefixes if each > start_after]
                for key, entry in sorted(items, key=lambda item: item[0]):
                    if len(rows) + len(common_prefixes) == limit:
                        return ListSlice(rows, common_prefixes, last)
                    last = key
                    if entry is None:
                        common_prefixes.append(key)
                    else:
                        rows.append(row_of(entry))
                if len(rows) + len(common_prefixes) == limit:
                    return ListSlice(rows, common_prefixes, last if page.is_truncated else None)
        return ListSlice(rows, common_prefixes)

    def _put(
        self, bucket: str, key: str, body: IO[bytes], size: int, attributes: ObjectAttributes, guard: Guard | None
    ) -> StoredObject:
        options = put_options(attributes, self._session.capabilities)
        if speaks_s3(self._session.capabilities) and size <= _PUT_BYTES_MAX:
            # What came in one request goes in one: the ETag is the MD5 of the body, as its sender expects.
            options["multipart"] = False

        def put(conditions: Conditions) -> PutResult:
            body.seek(0)
            with self._asking(bucket, key):
                return self._verbs.put_object(key, body, bucket=bucket, **options, **conditions)

        result = self._change(bucket, key, guard, put)
        return self._written(bucket, key, size, result.etag, attributes, version_id=result.version_id)

    def _copy(
        self,
        source_bucket: str,
        source: StoredObject,
        bucket: str,
        key: str,
        attributes: ObjectAttributes,
        guard: Guard | None,
    ) -> StoredObject:
        options = copy_options(source, attributes, self._session.capabilities)
        headers: dict[str, str] = options.pop("headers")

        def copy(conditions: Conditions) -> CopyResult:
            on_target = {name.replace("_", "-"): value for name, value in conditions.items()}
            with self._asking(bucket, key):
                return self._verbs.copy_object(
                    source.key,
                    key,
                    # What is named so stays what it is.
                    source_version_id=source.version_id,
                    source_bucket=source_bucket,
                    dest_bucket=bucket,
                    source_if_match=source.etag,
                    headers=headers | on_target,
                    **options,
                )

        def copy_what_was_seen(conditions: Conditions) -> CopyResult:
            try:
                return copy(conditions)
            except (PreconditionFailed, NoSuchKey, NoSuchVersion):
                # Which of the two keys does not hold what it should?
                try:
                    is_there = self.head_object(source_bucket, source.key, source.version_id).etag == source.etag
                except NotFound:
                    is_there = False
                if is_there:
                    raise
                raise replaced(source_bucket, source.key) from None

        result = self._change(bucket, key, guard, copy_what_was_seen)
        return self._written(
            bucket,
            key,
            source.size,
            result.etag,
            attributes,
            version_id=result.version_id,
            last_modified=seconds_of(result.last_modified),
        )

    def _delete_together(self, bucket: str, rows: list[Row]) -> Mapping[Row, Deleted | ServiceError]:
        """What is known of each row; one that is not in it was deleted."""
        session = self._session
        assert isinstance(session, BulkDeletion)
        try:
            with self._asking(bucket):
                try:
                    deleted = session.delete_objects(
                        [{"key": key, "version_id": version_id} for key, version_id in rows], bucket=bucket
                    )
                except DeleteFailed as error:
                    return {
                        (key, version_id): service_error(code, message, bucket=bucket, key=key)
                        for key, version_id, code, message in error.failures
                    }
        except ServiceError as error:
            return dict.fromkeys(rows, error)
        return {
            (row.key, row.version_id): Deleted(
                row.key, row.version_id or row.delete_marker_version_id, bool(row.delete_marker)
            )
            for row in deleted
        }
