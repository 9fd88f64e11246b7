"""A store that lives in memory and dies with the process: for tests, and the shortest example of a Backend.

One lock covers the records. Bodies are tuples of immutable blocks, so readers and copies share them without it.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from threading import RLock
from types import TracebackType
from typing import NamedTuple, Self

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
from s3func.server.backends.listing import list_slice


class _Body(NamedTuple):
    blocks: tuple[bytes, ...]
    ends: tuple[int, ...]
    etag: str

    @property
    def size(self) -> int:
        return self.ends[-1] if self.ends else 0


class _Bucket:
    """Records by key, and the keys in order."""

    __slots__ = ("info", "keys", "objects")

    def __init__(self, info: BucketInfo) -> None:
        self.info = info
        self.keys: list[bytes] = []
        self.objects: dict[bytes, tuple[StoredObject, _Body]] = {}

    def current(self, key: bytes) -> StoredObject | None:
        found = self.objects.get(key)
        return None if found is None else found[0]

    def seek(self, low: bytes, high: bytes) -> Iterator[StoredObject]:
        for position in range(bisect_left(self.keys, low), len(self.keys)):
            key = self.keys[position]
            if key >= high:
                return
            yield self.objects[key][0]


class MemoryBackend:
    """A Backend without a file."""

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """`clock` gives the times of buckets and objects."""
        self._clock = clock
        self._lock = RLock()
        self._buckets: dict[str, _Bucket] = {}

    def create_bucket(self, bucket: str, *, owner: str = "", region: str = "") -> BucketInfo:
        check_bucket_name(bucket)
        with self._lock:
            existing = self._buckets.get(bucket)
            if existing is not None:
                code = "BucketAlreadyOwnedByYou" if existing.info.owner == owner else "BucketAlreadyExists"
                raise service_error(code, "The bucket exists already.", bucket=bucket)
            info = BucketInfo(bucket, round(self._clock.now(), 3), owner, region)
            self._buckets[bucket] = _Bucket(info)
            return info

    def delete_bucket(self, bucket: str) -> None:
        with self._lock:
            if self._bucket(bucket).objects:
                raise BucketNotEmpty("The bucket you tried to delete is not empty.", bucket=bucket)
            del self._buckets[bucket]

    def get_bucket(self, bucket: str) -> BucketInfo:
        with self._lock:
            return self._bucket(bucket).info

    def list_buckets(self) -> list[BucketInfo]:
        with self._lock:
            return [self._buckets[name].info for name in sorted(self._buckets)]

    def begin_put(self, bucket: str, key: str) -> MemoryWriter:
        check_key(key)
        self.get_bucket(bucket)
        return MemoryWriter(self, bucket, key)

    def begin_copy(
        self, source_bucket: str, source_key: str, bucket: str, key: str, *, source_version_id: str | None = None
    ) -> MemoryCopy:
        check_key(key)
        self.get_bucket(bucket)
        return MemoryCopy(self, bucket, key, *self._find(source_bucket, source_key, source_version_id))

    def open_object(self, bucket: str, key: str, version_id: str | None = None) -> MemoryReader:
        return MemoryReader(*self._find(bucket, key, version_id))

    def head_object(self, bucket: str, key: str, version_id: str | None = None) -> StoredObject:
        return self._find(bucket, key, version_id)[0]

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

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._buckets.clear()

    def _bucket(self, bucket: str) -> _Bucket:
        found = self._buckets.get(bucket)
        if found is None:
            raise NoSuchBucket("The specified bucket does not exist.", bucket=bucket)
        return found

    def _find(self, bucket: str, key: str, version_id: str | None) -> tuple[StoredObject, _Body]:
        encoded = check_key(key)
        with self._lock:
            found = self._bucket(bucket).objects.get(encoded)
        if version_id is not None and version_id != "null":
            raise NoSuchVersion("The specified version does not exist.", bucket=bucket, key=key)
        if found is None:
            raise NoSuchKey("The specified key does not exist.", bucket=bucket, key=key)
        return found

    def publish(
        self, bucket: str, key: str, body: _Body, attributes: ObjectAttributes, guard: Guard | None
    ) -> StoredObject:
        """Make a body the key's current object; for the drafts of this module."""
        encoded = key.encode()
        with self._lock:
            found = self._bucket(bucket)
            current = found.current(encoded)
            run_guard(guard, current, bucket, key)
            stored = StoredObject(
                key=key,
                size=body.size,
                etag=body.etag,
                last_modified=round(self._clock.now(), 3),
                headers=dict(attributes.headers),
                metadata=dict(attributes.metadata),
                checksums=dict(attributes.checksums),
                documents=dict(attributes.documents),
                owner=attributes.owner,
            )
            if current is None:
                found.keys.insert(bisect_left(found.keys, encoded), encoded)
            found.objects[encoded] = (stored, body)
            return stored

    def _delete(self, found: _Bucket, deletion: Deletion) -> Deleted:
        encoded = check_key(deletion.key)
        current = found.current(encoded) if deletion.version_id in (None, "null") else None
        run_guard(deletion.guard, current, found.info.name, deletion.key)
        if current is not None:
            del found.keys[bisect_left(found.keys, encoded)]
            del found.objects[encoded]
        return Deleted(deletion.key)


class MemoryWriter:
    """The blocks of an object to be."""

    def __init__(self, store: MemoryBackend, bucket: str, key: str) -> None:
        self._store = store
        self._bucket = bucket
        self._key = key
        self._blocks: list[bytes] = []
        self._ends: list[int] = []
        self._hash = hashlib.md5(usedforsecurity=False)
        self._open = True

    @property
    def size(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def md5(self) -> bytes:
        return self._hash.digest()

    def write(self, block: bytes | bytearray | memoryview) -> None:
        self._check_open()
        if kept := bytes(block):
            self._hash.update(kept)
            self._ends.append(self.size + len(kept))
            self._blocks.append(kept)

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        self._check_open()
        body = _Body(tuple(self._blocks), tuple(self._ends), self._hash.hexdigest())
        self.abort()
        return self._store.publish(self._bucket, self._key, body, attributes, guard)

    def abort(self) -> None:
        self._open = False
        self._blocks.clear()

    def _check_open(self) -> None:
        if not self._open:
            raise ValueError("the draft has been committed or aborted")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class MemoryCopy:
    """A second record for the body of another object."""

    def __init__(self, store: MemoryBackend, bucket: str, key: str, source: StoredObject, body: _Body) -> None:
        self.source = source
        self._store = store
        self._bucket = bucket
        self._key = key
        self._body: _Body | None = body

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        body, self._body = self._body, None
        if body is None:
            raise ValueError("the draft has been committed or aborted")
        return self._store.publish(self._bucket, self._key, body, attributes, guard)

    def abort(self) -> None:
        self._body = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class MemoryReader:
    """An open body."""

    parts: Sequence[Part] = ()

    def __init__(self, stored: StoredObject, body: _Body) -> None:
        self.stored = stored
        self._body = body

    def read_at(self, offset: int, size: int) -> bytes:
        blocks, ends, _ = self._body
        end = min(offset + size, self._body.size)
        parts = []
        number = bisect_right(ends, offset)
        while offset < end:
            start = ends[number] - len(blocks[number])
            parts.append(blocks[number][offset - start : end - start])
            offset = ends[number]
            number += 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Nothing is held that the garbage collector would not free."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
