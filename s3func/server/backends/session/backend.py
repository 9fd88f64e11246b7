"""A store that keeps nothing itself: every call is asked of a session. See the package for what that cannot promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, TypeVar, cast

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import (
    AccessDenied,
    DeleteFailed,
    NoSuchKey,
    NoSuchVersion,
    NotFound,
    NotImplementedByStore,
    PreconditionFailed,
    S3FuncError,
    ServiceError,
    service_error,
)
from s3func.models import ObjectEntry
from s3func.results import CopyResult, GetResult, PutResult
from s3func.server.backend import (
    BucketInfo,
    Deleted,
    Deletion,
    Guard,
    ListSlice,
    ObjectAttributes,
    Precondition,
    StoredObject,
    check_bucket_name,
    check_key,
    run_guard,
)
from s3func.server.backends.session.bodies import SessionCopy, SessionReader, SessionWriter
from s3func.server.backends.session.words import (
    BucketVerbs,
    BulkDeletion,
    Verbs,
    copy_options,
    no_such_bucket,
    put_options,
    refusal_of,
    replaced,
    row_of,
    seconds_of,
    stored_of,
)
from s3func.session import Session

KNOWN_SECONDS = 10.0
"""How long a bucket is taken to exist after it was seen; what is done with it tells in any case."""

_PAGE_MAX = 1000
_ATTEMPTS = 10

T = TypeVar("T")
Conditions = Mapping[str, str]


class SessionBackend:
    """A Backend behind a Session: a gateway."""

    def __init__(self, session: Session, *, bucket: str | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        """`session` is used from many threads, and closed with the backend. bucket: the only one there shall be."""
        if bucket is not None:
            check_bucket_name(bucket)
        self._only = bucket
        self._session = session
        self._verbs = cast("Verbs", session)
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._closed = False

    def create_bucket(self, bucket: str, *, owner: str = "", region: str = "") -> BucketInfo:
        check_bucket_name(bucket)
        with self._asking(bucket):
            self._bucket_verbs().create_bucket(bucket)
        self._seen[bucket] = self._clock.monotonic()
        return BucketInfo(bucket, round(self._clock.now(), 3))

    def delete_bucket(self, bucket: str) -> None:
        self.get_bucket(bucket)
        self._seen.pop(bucket, None)
        with self._asking(bucket):
            self._bucket_verbs().delete_bucket(bucket)

    def get_bucket(self, bucket: str) -> BucketInfo:
        """The bucket's record. When it was made is known to `list_buckets` only, and 0 here."""
        seen = self._seen.get(bucket)
        if seen is None or self._clock.monotonic() - seen > KNOWN_SECONDS:
            self._look_for(bucket)
            self._seen[bucket] = self._clock.monotonic()
        return BucketInfo(bucket, 0.0)

    def list_buckets(self) -> list[BucketInfo]:
        if self._only is not None:
            return [BucketInfo(self._only, 0.0)]
        if not isinstance(self._session, BucketVerbs):
            return [] if self._session.bucket is None else [BucketInfo(self._session.bucket, 0.0)]
        with self._asking():
            entries = self._session.list_buckets()
        buckets = [BucketInfo(each.name, seconds_of(each.creation_date), "", each.region or "") for each in entries]
        return sorted(buckets, key=lambda info: info.name)

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
        with self._asking(bucket, key):
            result = self._verbs.get_object(key, version_id, bucket=bucket, stream=True)
        stored = stored_of(key, result)

        def get_range(offset: int, end: int) -> GetResult:
            try:
                return self._verbs.get_object(
                    key,
                    version_id,
                    range_start=offset,
                    range_end=end - 1,
                    if_match=stored.etag,
                    bucket=bucket,
                    stream=True,
                )
            except (PreconditionFailed, NotFound) as error:
                raise replaced(bucket, key) from error

        return SessionReader(stored, result, get_range, partial(self._asking, bucket, key))

    def head_object(self, bucket: str, key: str, version_id: str | None = None) -> StoredObject:
        self._check_version(bucket, key, version_id)
        with self._asking(bucket, key):
            return stored_of(key, self._verbs.head_object(key, version_id, bucket=bucket))

    def delete_object(
        self, bucket: str, key: str, version_id: str | None = None, guard: Guard | None = None, owner: str = ""
    ) -> Deleted:
        check_key(key)
        self.get_bucket(bucket)
        if version_id not in (None, "null"):
            run_guard(guard, None, bucket, key)
            return Deleted(key, version_id)

        def delete(conditions: Conditions) -> None:
            # What is not there is deleted already.
            if "if_none_match" not in conditions:
                with self._asking(bucket, key):
                    self._verbs.delete_object(key, version_id, bucket=bucket, **conditions)

        self._change(bucket, key, guard, delete, is_write=False)
        return Deleted(key, version_id)

    def delete_objects(self, bucket: str, deletions: Sequence[Deletion]) -> list[Deleted | ServiceError]:
        self.get_bucket(bucket)
        results: list[Deleted | ServiceError | None] = [None] * len(deletions)
        together: dict[str, list[int]] = {}
        for place, row in enumerate(deletions):
            try:
                check_key(row.key)
                if isinstance(self._session, BulkDeletion) and row.guard is None and row.version_id is None:
                    together.setdefault(row.key, []).append(place)
                else:
                    results[place] = self.delete_object(bucket, row.key, row.version_id, row.guard)
            except ServiceError as error:
                results[place] = error
        refused = self._delete_together(bucket, list(together)) if together else {}
        for key, places in together.items():
            for place in places:
                results[place] = refused.get(key) or Deleted(key)
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

    def close(self) -> None:
        """Close the session."""
        self._closed = True
        self._session.close()

    def _put(
        self, bucket: str, key: str, body: IO[bytes], size: int, attributes: ObjectAttributes, guard: Guard | None
    ) -> StoredObject:
        options = put_options(attributes)

        def put(conditions: Conditions) -> PutResult:
            body.seek(0)
            with self._asking(bucket, key):
                return self._verbs.put_object(key, body, bucket=bucket, **options, **conditions)

        result = self._change(bucket, key, guard, put)
        return self._written(key, size, result.etag, attributes, 0.0)

    def _copy(
        self,
        source_bucket: str,
        source: StoredObject,
        bucket: str,
        key: str,
        attributes: ObjectAttributes,
        guard: Guard | None,
    ) -> StoredObject:
        options = copy_options(source, attributes)
        headers: dict[str, str] = options.pop("headers")

        def copy(conditions: Conditions) -> CopyResult:
            on_target = {name.replace("_", "-"): value for name, value in conditions.items()}
            with self._asking(bucket, key):
                return self._verbs.copy_object(
                    source.key,
                    key,
                    source_bucket=source_bucket,
                    dest_bucket=bucket,
                    source_if_match=source.etag,
                    headers=headers | on_target,
                    **options,
                )

        def copy_what_was_seen(conditions: Conditions) -> CopyResult:
            try:
                return copy(conditions)
            except (PreconditionFailed, NoSuchKey):
                # Which of the two keys does not hold what it should?
                try:
                    is_there = self.head_object(source_bucket, source.key).etag == source.etag
                except NotFound:
                    is_there = False
                if is_there:
                    raise
                raise replaced(source_bucket, source.key) from None

        result = self._change(bucket, key, guard, copy_what_was_seen)
        return self._written(key, source.size, result.etag, attributes, seconds_of(result.last_modified))

    def _written(
        self, key: str, size: int, etag: str, attributes: ObjectAttributes, last_modified: float
    ) -> StoredObject:
        """What was written, as far as the store told."""
        return StoredObject(
            key=key,
            size=size,
            etag=etag,
            last_modified=last_modified or round(self._clock.now(), 3),
            headers=dict(attributes.headers),
            metadata=dict(attributes.metadata),
            checksums=dict(attributes.checksums),
        )

    def _change(
        self, bucket: str, key: str, guard: Guard | None, send: Callable[[Conditions], T], *, is_write: bool = True
    ) -> T:
        """Send a change under the condition that the object still is what the guard was shown."""
        if guard is None:
            return send({})
        if is_write and guard == Precondition(if_none_match="*"):
            # The store asks this itself.
            return send({"if_none_match": "*"})
        refused: ServiceError | None = None
        for _ in range(_ATTEMPTS):
            try:
                current = self.head_object(bucket, key)
            except NoSuchKey:
                current = None
            run_guard(guard, current, bucket, key)
            try:
                return send({"if_none_match": "*"} if current is None else {"if_match": current.etag})
            except (PreconditionFailed, NoSuchKey) as error:
                # Somebody was faster; now the guard has to be asked about what they made.
                refused = error
        raise service_error(
            "ConditionalRequestConflict",
            "The object is changed by others all the time. Please try again.",
            bucket=bucket,
            key=key,
        ) from refused

    def _delete_together(self, bucket: str, keys: list[str]) -> Mapping[str, ServiceError]:
        """What was refused, by key."""
        session = self._session
        assert isinstance(session, BulkDeletion)
        failures: Sequence[tuple[str, str | None, str, str]] = ()
        try:
            with self._asking(bucket):
                try:
                    session.delete_objects(keys, bucket=bucket)
                except DeleteFailed as error:
                    failures = error.failures
        except ServiceError as error:
            return dict.fromkeys(keys, error)
        return {key: service_error(code, message, bucket=bucket, key=key) for key, _, code, message in failures}

    def _look_for(self, bucket: str) -> None:
        """NoSuchBucket."""
        try:
            check_bucket_name(bucket)
        except ServiceError:
            raise no_such_bucket(bucket) from None
        if self._only not in (None, bucket):
            raise no_such_bucket(bucket)
        if isinstance(self._session, BucketVerbs):
            # Who may read and write objects may not be allowed to ask about their bucket; then it is there.
            with suppress(AccessDenied), self._asking(bucket):
                self._session.head_bucket(bucket)
        elif bucket != self._session.bucket:
            raise no_such_bucket(bucket)

    def _bucket_verbs(self) -> BucketVerbs:
        if self._only is not None or not isinstance(self._session, BucketVerbs):
            raise NotImplementedByStore("The store behind this server has one bucket, which stays.")
        return self._session

    def _check_version(self, bucket: str, key: str, version_id: str | None) -> None:
        check_key(key)
        self.get_bucket(bucket)
        if version_id not in (None, "null"):
            raise NoSuchVersion("The specified version does not exist.", bucket=bucket, key=key)

    @contextmanager
    def _asking(self, bucket: str | None = None, key: str | None = None) -> Iterator[None]:
        """What the session raises becomes what a Backend raises."""
        if self._closed:
            raise ValueError("the store is closed")
        try:
            yield
        except NotFound as error:
            self._seen.pop(bucket or "", None)
            if type(error) is not NotFound:
                raise refusal_of(error, bucket, key) from error
            # HEAD does not say what is missing.
            if key is not None:
                self.get_bucket(bucket or "")
                raise NoSuchKey("The specified key does not exist.", bucket=bucket, key=key) from error
            raise no_such_bucket(bucket or "") from error
        except (S3FuncError, ValueError, TypeError) as error:
            raise refusal_of(error, bucket, key) from error
