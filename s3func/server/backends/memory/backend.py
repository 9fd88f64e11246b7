"""A store that lives in memory and dies with the process: for tests, and the shortest example of a Backend.

One lock covers the records of all buckets; bodies are immutable and are read without it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count, islice
from threading import RLock
from typing import ClassVar, Literal, NamedTuple

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import BucketNotEmpty, NoSuchBucket, NoSuchKey, NoSuchVersion, ServiceError, service_error
from s3func.server.backend import (
    BucketInfo,
    Deleted,
    Deletion,
    Guard,
    ListSlice,
    ObjectAttributes,
    Part,
    StoredObject,
    check_bucket_name,
    check_key,
    run_guard,
)
from s3func.server.backends.documents import edited
from s3func.server.backends.drafts import UploadCompletion
from s3func.server.backends.identity import marker_serial, new_id, version_place
from s3func.server.backends.listing import list_slice, upload_slice, version_slice
from s3func.server.backends.memory.bucket import NULL, Bucket, OpenUpload, Version
from s3func.server.backends.memory.drafts import (
    Body,
    MemoryCopy,
    MemoryPartWriter,
    MemoryReader,
    MemoryWriter,
    join,
)
from s3func.server.backends.parts import check_parts, multipart_etag, no_such_upload, parts_digest
from s3func.server.backends.settings import Setting, SettingValue
from s3func.server.powers import (
    COMPLETED_SECONDS,
    BucketGuard,
    Editable,
    Identified,
    Located,
    Multipart,
    PartSlice,
    Upload,
    UploadSlice,
    Versioned,
    VersionSlice,
    deleted_error,
)


class _Completed(NamedTuple):
    """An upload that has become an object: when, of which bucket and parts."""

    time: float
    bucket: Bucket
    upload: Upload
    digest: str
    stored: StoredObject


class MemoryBackend(Versioned, Multipart, Editable, Identified):
    """A Backend without a file, with all powers."""

    SETTINGS: ClassVar[tuple[Setting, ...]] = ()

    @classmethod
    def from_settings(cls, _settings: Mapping[str, SettingValue]) -> MemoryBackend:
        """An empty store; there is nothing to be told."""
        return cls()

    @classmethod
    def place_of(cls, _settings: Mapping[str, SettingValue]) -> str:
        """No place at all."""
        return "memory, and end with the server"

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """`clock` gives the times of buckets and objects."""
        self._clock = clock
        self._lock = RLock()
        self._buckets: dict[str, Bucket] = {}
        self._serials = count(1)
        self._completed: OrderedDict[str, _Completed] = OrderedDict()

    def create_bucket(self, bucket: str, *, owner: str = "", region: str = "") -> BucketInfo:
        check_bucket_name(bucket)
        with self._lock:
            existing = self._buckets.get(bucket)
            if existing is not None:
                code = "BucketAlreadyOwnedByYou" if existing.info.owner == owner else "BucketAlreadyExists"
                raise service_error(code, "The bucket exists already.", bucket=bucket)
            info = BucketInfo(bucket, self._now(), owner, region)
            self._buckets[bucket] = Bucket(info)
            return info

    def delete_bucket(self, bucket: str) -> None:
        with self._lock:
            found = self._bucket(bucket)
            if found.objects or found.older:
                raise BucketNotEmpty("The bucket you tried to delete is not empty.", bucket=bucket)
            del self._buckets[bucket]

    def get_bucket(self, bucket: str) -> BucketInfo:
        with self._lock:
            return self._bucket(bucket).info

    def list_buckets(self) -> list[BucketInfo]:
        with self._lock:
            return [self._buckets[name].info for name in sorted(self._buckets)]

    def edit_bucket(
        self, bucket: str, documents: Mapping[str, str | None], guard: BucketGuard | None = None
    ) -> BucketInfo:
        with self._lock:
            found = self._bucket(bucket)
            return _change_bucket(found, replace(found.info, documents=edited(found.info.documents, documents)), guard)

    def set_versioning(
        self, bucket: str, status: Literal["Enabled", "Suspended"], guard: BucketGuard | None = None
    ) -> BucketInfo:
        if status not in ("Enabled", "Suspended"):
            raise ValueError(f"status: 'Enabled' or 'Suspended', not {status!r}")
        with self._lock:
            found = self._bucket(bucket)
            is_first = not found.info.versioning
            info = _change_bucket(found, replace(found.info, versioning=status), guard)
            if is_first:
                found.name_null_versions()
            return info

    def begin_put(self, bucket: str, key: str) -> MemoryWriter:
        encoded = check_key(key)
        self.get_bucket(bucket)
        return MemoryWriter(partial(self._publish, bucket, key, encoded))

    def begin_copy(
        self, source_bucket: str, source_key: str, bucket: str, key: str, *, source_version_id: str | None = None
    ) -> MemoryCopy:
        encoded = check_key(key)
        self.get_bucket(bucket)
        stored, body = self._find(source_bucket, source_key, source_version_id)
        return MemoryCopy(partial(self._publish, bucket, key, encoded), stored, body)

    def open_object(self, bucket: str, key: str, version_id: str | None = None) -> MemoryReader:
        return MemoryReader(*self._find(bucket, key, version_id))

    def head_object(self, bucket: str, key: str, version_id: str | None = None) -> StoredObject:
        return self._find(bucket, key, version_id)[0]

    def edit_object(
        self,
        bucket: str,
        key: str,
        documents: Mapping[str, str | None],
        version_id: str | None = None,
        guard: Guard | None = None,
    ) -> StoredObject:
        encoded = check_key(key)
        with self._lock:
            found = self._bucket(bucket)
            version = _version(found, key, encoded, version_id)
            run_guard(guard, version.stored, bucket, key)
            stored = replace(version.stored, documents=edited(version.stored.documents, documents))
            found.edit(encoded, version, stored)
            return stored

    def delete_object(
        self, bucket: str, key: str, version_id: str | None = None, guard: Guard | None = None, owner: str = ""
    ) -> Deleted:
        with self._lock:
            return self._delete(self._bucket(bucket), Deletion(key, version_id, guard, owner))

    def delete_objects(self, bucket: str, deletions: Sequence[Deletion]) -> list[Deleted | ServiceError]:
        results: list[Deleted | ServiceError] = []
        with self._lock:
            found = self._bucket(bucket)
            for deletion in deletions:
                try:
                    results.append(self._delete(found, deletion))
                except ServiceError as error:
                    results.append(error)
        return results

    def list_objects(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", start_after: str = "", limit: int = 1000
    ) -> ListSlice:
        with self._lock:
            return list_slice(self._bucket(bucket).seek, prefix, delimiter, start_after, limit)

    def list_object_versions(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        version_id_marker: str = "",
        limit: int = 1000,
    ) -> VersionSlice:
        with self._lock:
            found = self._bucket(bucket)
            rest = None
            if key_marker and version_id_marker:
                before = None
                if version_id_marker != NULL:
                    before = version_place(version_id_marker, "version-id-marker")
                if before is None:
                    named = found.find(key_marker.encode(), version_id_marker)
                    before = None if named is None else named.serial
                rest = partial(found.versions_of, before=before)
            return version_slice(found.seek_versions, rest, prefix, delimiter, key_marker, limit)

    def create_upload(self, bucket: str, key: str, attributes: ObjectAttributes) -> Upload:
        encoded = check_key(key)
        with self._lock:
            found = self._bucket(bucket)
            serial = next(self._serials)
            now = self._now()
            upload_id = new_id(serial, found.id, now, large=True)
            upload = Upload(key=key, upload_id=upload_id, initiated=now, attributes=_attributes(attributes))
            found.add_upload(encoded, OpenUpload(serial, upload, {}))
            return upload

    def get_upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        with self._lock:
            return _upload(self._bucket(bucket), key, upload_id).upload

    def begin_part(self, bucket: str, key: str, upload_id: str, part_number: int) -> MemoryPartWriter:
        if part_number < 1:
            raise ValueError(f"part_number: at least 1, not {part_number}")
        self.get_upload(bucket, key, upload_id)

        def keep(body: Body, checksums: Mapping[str, str], documents: Mapping[str, str]) -> Part:
            with self._lock:
                opened = _upload(self._bucket(bucket), key, upload_id)
                part = Part(
                    number=part_number,
                    size=body.size,
                    etag=body.etag,
                    last_modified=self._now(),
                    checksums=dict(checksums),
                    documents=dict(documents),
                )
                opened.parts[part_number] = (part, body)
                return part

        return MemoryPartWriter(keep)

    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, part_number_marker: int = 0, limit: int = 1000
    ) -> PartSlice:
        with self._lock:
            opened = _upload(self._bucket(bucket), key, upload_id)
            numbers = sorted(number for number in opened.parts if number > part_number_marker)
            rows = [opened.parts[number][0] for number in islice(numbers, max(limit, 0))]
        is_last = not rows or len(rows) == len(numbers)
        return PartSlice(opened.upload, rows, None if is_last else rows[-1].number)

    def list_uploads(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        upload_id_marker: str = "",
        limit: int = 1000,
    ) -> UploadSlice:
        with self._lock:
            found = self._bucket(bucket)
            rest = None
            if key_marker and upload_id_marker:
                rest = partial(found.uploads_of, after=marker_serial(upload_id_marker, "upload-id-marker"))
            return upload_slice(found.seek_uploads, rest, prefix, delimiter, key_marker, limit)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        with self._lock:
            found = self._bucket(bucket)
            found.end_upload(key.encode(), _upload(found, key, upload_id))

    def begin_complete(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[tuple[int, str]]
    ) -> UploadCompletion:
        digest = parts_digest(parts)
        with self._lock:
            found = self._bucket(bucket)
            done = self._recall(found, key, upload_id, digest)
            if done is not None:
                return UploadCompletion(lambda *_: done.stored, done.upload, (), done.stored)
            opened = _upload(found, key, upload_id)
            chosen = check_parts(parts, (part for part, _ in opened.parts.values()), bucket, key)
            publish = partial(self._complete, bucket, opened.upload, chosen, digest)
            return UploadCompletion(publish, opened.upload, chosen, None)

    def locate(self, identity: str) -> Located:
        with self._lock:
            for name, found in self._buckets.items():
                opened = found.uploads.get(identity)
                if opened is not None:
                    return Located(name, opened.upload.key, is_upload=True)
                key = found.ids.get(identity)
                if key is not None:
                    return Located(name, key.decode())
        raise NoSuchVersion("The specified version does not exist.")

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._buckets.clear()
            self._completed.clear()

    def _now(self) -> float:
        return round(self._clock.now(), 3)

    def _bucket(self, bucket: str) -> Bucket:
        found = self._buckets.get(bucket)
        if found is None:
            raise NoSuchBucket("The specified bucket does not exist.", bucket=bucket)
        return found

    def _find(self, bucket: str, key: str, version_id: str | None) -> tuple[StoredObject, Body]:
        encoded = check_key(key)
        with self._lock:
            version = _version(self._bucket(bucket), key, encoded, version_id)
        assert version.body is not None
        return version.stored, version.body

    def _publish(
        self,
        bucket: str,
        key: str,
        encoded: bytes,
        body: Body,
        attributes: ObjectAttributes,
        guard: Guard | None,
        upload_id: str | None = None,
    ) -> StoredObject:
        with self._lock:
            found = self._bucket(bucket)
            run_guard(guard, found.current(encoded), bucket, key)
            serial, now = next(self._serials), self._now()
            stored = StoredObject(
                key=key,
                size=body.size,
                etag=body.etag,
                last_modified=now,
                headers=dict(attributes.headers),
                metadata=dict(attributes.metadata),
                checksums=dict(attributes.checksums),
                documents=dict(attributes.documents),
                owner=attributes.owner,
                version_id=found.version_id(serial, now, upload_id),
            )
            found.add(encoded, Version(serial, stored, body))
            return stored

    def _delete(self, found: Bucket, deletion: Deletion) -> Deleted:
        key, version_id = deletion.key, deletion.version_id
        encoded = check_key(key)
        version = found.newest(encoded) if version_id is None else found.find(encoded, version_id)
        run_guard(deletion.guard, None if version is None else version.stored, found.info.name, key)
        if version_id is None and found.info.versioning:
            serial, now = next(self._serials), self._now()
            marker = StoredObject(
                key=key,
                size=0,
                etag="",
                last_modified=now,
                owner=deletion.owner,
                version_id=found.version_id(serial, now),
                delete_marker=True,
            )
            found.add(encoded, Version(serial, marker, None))
            return Deleted(key, marker.version_id, delete_marker=True)
        if version is not None:
            found.remove(encoded, version)
        return Deleted(key, version_id, delete_marker=version is not None and version.body is None)

    def _recall(self, found: Bucket, key: str, upload_id: str, digest: str) -> _Completed | None:
        """The completion of this upload with these parts, if it is remembered."""
        while self._completed:
            oldest = next(iter(self._completed.values()))
            if self._now() - oldest.time <= COMPLETED_SECONDS:
                break
            self._completed.popitem(last=False)
        done = self._completed.get(upload_id)
        if done is None or done.bucket is not found or (done.upload.key, done.digest) != (key, digest):
            return None
        return done

    def _complete(
        self,
        bucket: str,
        upload: Upload,
        parts: Sequence[Part],
        digest: str,
        attributes: ObjectAttributes,
        guard: Guard | None,
    ) -> StoredObject:
        key = upload.key
        with self._lock:
            found = self._bucket(bucket)
            done = self._recall(found, key, upload.upload_id, digest)
            if done is not None:
                return done.stored
            opened = _upload(found, key, upload.upload_id)
            kept = [opened.parts[part.number] for part in parts]
            if any(now is not part for (now, _), part in zip(kept, parts, strict=True)):
                raise service_error("InvalidPart", "A part was replaced meanwhile.", bucket=bucket, key=key)
            body = join([each for _, each in kept], parts, multipart_etag(parts))
            encoded = key.encode()
            stored = self._publish(bucket, key, encoded, body, attributes, guard, upload.upload_id)
            found.end_upload(encoded, opened)
            self._completed[upload.upload_id] = _Completed(self._now(), found, upload, digest, stored)
            return stored


def _version(found: Bucket, key: str, encoded: bytes, version_id: str | None) -> Version:
    """The object that a request means, or what is raised because there is none."""
    bucket = found.info.name
    if version_id is None:
        version = found.newest(encoded)
        if version is None:
            raise NoSuchKey("The specified key does not exist.", bucket=bucket, key=key)
    else:
        version = found.find(encoded, version_id)
        if version is None:
            raise NoSuchVersion("The specified version does not exist.", bucket=bucket, key=key)
    if version.body is None:
        raise deleted_error(bucket, version.stored, named=version_id is not None)
    return version


def _upload(found: Bucket, key: str, upload_id: str) -> OpenUpload:
    opened = found.uploads.get(upload_id)
    if opened is None or opened.upload.key != key:
        raise no_such_upload(found.info.name, key)
    return opened


def _change_bucket(found: Bucket, info: BucketInfo, guard: BucketGuard | None) -> BucketInfo:
    if guard is not None:
        try:
            guard(found.info)
        except ServiceError as error:
            error.bucket = info.name
            raise
    found.info = info
    return info


def _attributes(given: ObjectAttributes) -> ObjectAttributes:
    """A copy that the caller cannot change."""
    return ObjectAttributes(
        headers=dict(given.headers),
        metadata=dict(given.metadata),
        checksums=dict(given.checksums),
        documents=dict(given.documents),
        owner=given.owner,
    )
