"""What every call of a gateway stands on: the session, its buckets, and errors that a backend may raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeVar, cast

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import (
    AccessDenied,
    InvalidRequest,
    NoSuchKey,
    NoSuchVersion,
    NotFound,
    NotImplementedByStore,
    PreconditionFailed,
    S3FuncError,
    ServiceError,
    service_error,
)
from s3func.results import ObjectResult
from s3func.server.backend import (
    BucketInfo,
    Guard,
    ObjectAttributes,
    Precondition,
    StoredObject,
    Versioning,
    check_bucket_name,
    check_key,
    run_guard,
)
from s3func.server.backends.session.words import (
    TAGGING,
    BucketVerbs,
    TagVerbs,
    Verbs,
    VersioningVerbs,
    marker_headers,
    no_such_bucket,
    refusal_of,
    seconds_of,
    stored_of,
)
from s3func.session import Session
from s3func.wire.s3xml_config import parse_tagging_header, tagging_header

KNOWN_SECONDS = 10.0
"""How long a bucket is taken to be what it was when it was seen; what is done with it tells in any case."""

NULL = "null"

_ATTEMPTS = 10

T = TypeVar("T")
Conditions = Mapping[str, str]


class SessionBase:
    """The session, and what is known of its buckets."""

    def __init__(self, session: Session, *, bucket: str | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        """`session` is used from many threads, and closed with the backend. bucket: the only one there shall be."""
        if bucket is not None:
            check_bucket_name(bucket)
        self._only = bucket
        self._session = session
        self._verbs = cast("Verbs", session)
        self._clock = clock
        # When a bucket was seen, and whether it keeps versions; None: that could not be learned.
        self._seen: dict[str, tuple[float, Versioning | None]] = {}
        self._closed = False

    def create_bucket(self, bucket: str, *, owner: str = "", region: str = "") -> BucketInfo:
        check_bucket_name(bucket)
        with self._asking(bucket):
            self._bucket_verbs().create_bucket(bucket)
        self._seen.pop(bucket, None)
        return BucketInfo(bucket, round(self._clock.now(), 3), versioning=self._versioning(bucket) or "")

    def delete_bucket(self, bucket: str) -> None:
        self.get_bucket(bucket)
        self._seen.pop(bucket, None)
        with self._asking(bucket):
            self._bucket_verbs().delete_bucket(bucket)

    def get_bucket(self, bucket: str) -> BucketInfo:
        """The bucket's record. When it was made is known to `list_buckets` only, and 0 here."""
        return BucketInfo(bucket, 0.0, versioning=self._versioning(bucket) or "")

    def list_buckets(self) -> list[BucketInfo]:
        if self._only is not None:
            return [BucketInfo(self._only, 0.0)]
        if not isinstance(self._session, BucketVerbs):
            return [] if self._session.bucket is None else [BucketInfo(self._session.bucket, 0.0)]
        with self._asking():
            entries = self._session.list_buckets()
        buckets = [BucketInfo(each.name, seconds_of(each.creation_date), "", each.region or "") for each in entries]
        return sorted(buckets, key=lambda info: info.name)

    def head_object(self, bucket: str, key: str, version_id: str | None = None) -> StoredObject:
        self._check_version(bucket, key, version_id)
        with self._asking(bucket, key, version_id):
            result = self._verbs.head_object(key, self._named(version_id), bucket=bucket)
            return stored_of(key, result, self._tags_of(bucket, key, result))

    def edit_tags(self, bucket: str, key: str, text: str | None, version_id: str | None = None) -> StoredObject:
        self._check_version(bucket, key, version_id)
        session = self._session
        if not isinstance(session, TagVerbs):
            raise NotImplementedByStore("The store behind this server has no tags.", bucket=bucket, key=key)
        with self._asking(bucket, key, version_id):
            if text:
                tags = parse_tagging_header(text)
                session.put_object_tagging(key, tags, version_id=self._named(version_id), bucket=bucket)
            else:
                session.delete_object_tagging(key, version_id=self._named(version_id), bucket=bucket)
        return self.head_object(bucket, key, version_id)

    def close(self) -> None:
        """Close the session."""
        self._closed = True
        self._session.close()

    def _tags_of(self, bucket: str, key: str, result: ObjectResult) -> str:
        """The tags of what an answer describes; asked for only where it says that there are any."""
        if result.headers.get("x-amz-tagging-count", "0") == "0" or not isinstance(self._session, TagVerbs):
            return ""
        try:
            tags = self._session.get_object_tagging(key, version_id=result.version_id, bucket=bucket)
        except (AccessDenied, NotFound, NotImplementedByStore):
            # Not everybody may read them, and the object may be gone by now.
            return ""
        return tagging_header(tags)

    def _versioning(self, bucket: str) -> Versioning | None:
        """Whether the bucket keeps versions, None where that cannot be learned. NoSuchBucket."""
        seen = self._seen.get(bucket)
        if seen is None or self._clock.monotonic() - seen[0] > KNOWN_SECONDS:
            seen = self._seen[bucket] = (self._clock.monotonic(), self._look_for(bucket))
        return seen[1]

    def _look_for(self, bucket: str) -> Versioning | None:
        try:
            check_bucket_name(bucket)
        except ServiceError:
            raise no_such_bucket(bucket) from None
        if self._only not in (None, bucket):
            raise no_such_bucket(bucket)
        always: Versioning | None = "Enabled" if self._session.capabilities.versions == "always" else None
        if always is None and isinstance(self._session, VersioningVerbs):
            try:
                with self._asking(bucket):
                    status = self._session.get_bucket_versioning(bucket=bucket).status or ""
                return cast("Versioning", status)
            except (AccessDenied, InvalidRequest, NotImplementedByStore):
                # Not everybody may ask that, and not every store knows the answer.
                pass
        if isinstance(self._session, BucketVerbs):
            # Who may read and write objects may not be allowed to ask about their bucket; then it is there.
            with suppress(AccessDenied), self._asking(bucket):
                self._session.head_bucket(bucket)
        elif bucket != self._session.bucket:
            raise no_such_bucket(bucket)
        return always

    def _bucket_verbs(self) -> BucketVerbs:
        if self._only is not None or not isinstance(self._session, BucketVerbs):
            raise NotImplementedByStore("The store behind this server has one bucket, which stays.")
        return self._session

    def _check_version(self, bucket: str, key: str, version_id: str | None) -> None:
        """NoSuchVersion for what cannot be there, without asking."""
        check_key(key)
        if not self._may_exist(bucket, version_id):
            raise NoSuchVersion("The specified version does not exist.", bucket=bucket, key=key)

    def _may_exist(self, bucket: str, version_id: str | None) -> bool:
        versioning = self._versioning(bucket)
        if version_id == NULL:
            # Where all is versioned, nothing was written before it was.
            return self._session.capabilities.versions != "always"
        return version_id is None or versioning != ""

    def _named(self, version_id: str | None) -> str | None:
        """The version as the session wants it: a store without versions has no "null" one."""
        return None if version_id == NULL and not isinstance(self._session, VersioningVerbs) else version_id

    def _change(
        self, bucket: str, key: str, guard: Guard | None, send: Callable[[Conditions], T], *, is_write: bool = True
    ) -> T:
        """Send a change under the condition that the object still is what the guard was shown."""
        if guard is None:
            return send({})
        if not self._session.capabilities.conditional_writes:
            raise NotImplementedByStore(
                "The store behind this server changes nothing under a condition.", bucket=bucket, key=key
            )
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

    def _written(
        self,
        bucket: str,
        key: str,
        size: int,
        etag: str,
        attributes: ObjectAttributes,
        *,
        version_id: str | None,
        last_modified: float = 0.0,
    ) -> StoredObject:
        """What was written, as far as the store told: like S3, many do not say that it is the "null" version."""
        if version_id is None and self._versioning(bucket) == "Suspended":
            version_id = NULL
        return StoredObject(
            key=key,
            size=size,
            etag=etag,
            last_modified=last_modified or round(self._clock.now(), 3),
            headers=dict(attributes.headers),
            metadata=dict(attributes.metadata),
            checksums=dict(attributes.checksums),
            documents={name: text for name, text in attributes.documents.items() if name == TAGGING},
            version_id=version_id,
        )

    @contextmanager
    def _asking(
        self, bucket: str | None = None, key: str | None = None, version_id: str | None = None
    ) -> Iterator[None]:
        """What the session raises becomes what a Backend raises."""
        if self._closed:
            raise ValueError("the store is closed")
        try:
            yield
        except NotFound as error:
            if type(error) is not NotFound:
                if key is None or not isinstance(error, NoSuchKey | NoSuchVersion):
                    self._seen.pop(bucket or "", None)
                raise refusal_of(error, bucket, key) from error
            # HEAD does not say what is missing.
            self._seen.pop(bucket or "", None)
            if key is None:
                raise no_such_bucket(bucket or "") from error
            self._versioning(bucket or "")
            if version_id not in {None, NULL}:
                raise NoSuchVersion("The specified version does not exist.", bucket=bucket, key=key) from error
            headers = marker_headers(error)
            raise NoSuchKey("The specified key does not exist.", bucket=bucket, key=key, headers=headers) from error
        except (S3FuncError, ValueError, TypeError) as error:
            raise refusal_of(error, bucket, key) from error
