"""A store in a directory: blob files for the bodies, an SQLite index for everything else.

A put writes its body first, syncs it, moves it to its place, and then publishes it in one transaction of the index:
killed at any instant, the store holds the old object or the new one, and at most a blob too many, which the next start
collects. Nothing on disk is ever changed in place, so readers need no lock.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from threading import Lock
from types import TracebackType
from typing import Self

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import NoSuchVersion, ServerError, ServiceError
from s3func.message import BLOCK
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
)
from s3func.server.backends.local.directory import BlobWriter, Durability, StoreDirectory
from s3func.server.backends.local.index import Body, BodyGone, Index, NewObject

INLINE_SIZE_MAX = 16 * 1024
"""Bodies up to this many bytes live in the index: one write to the log instead of a file of their own."""


class LocalBackend:
    """A Backend in a directory of its own, which one server at a time may have open."""

    def __init__(
        self, path: str | os.PathLike[str], *, durability: Durability = "disk", clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """Open the store, or make one in a new or empty directory. `durability`: see `Durability`.

        ValueError: the directory holds something else, or a later version's store. BlockingIOError: it is open already.
        """
        self._directory = StoreDirectory(path, durability)
        try:
            self._index = Index(self._directory.index, durability, clock)
            if self._directory.was_unclean:
                self._directory.collect_orphans(self._index.blobs())
        except BaseException:
            self._directory.close()
            raise

    def create_bucket(self, bucket: str, *, owner: str = "", region: str = "") -> BucketInfo:
        check_bucket_name(bucket)
        return self._index.create_bucket(bucket, owner, region)

    def delete_bucket(self, bucket: str) -> None:
        self._index.delete_bucket(bucket)

    def get_bucket(self, bucket: str) -> BucketInfo:
        return self._index.get_bucket(bucket)

    def list_buckets(self) -> list[BucketInfo]:
        return self._index.list_buckets()

    def begin_put(self, bucket: str, key: str) -> LocalWriter:
        check_key(key)
        self._index.get_bucket(bucket)
        return LocalWriter(self, bucket, key)

    def begin_copy(
        self, source_bucket: str, source_key: str, bucket: str, key: str, *, source_version_id: str | None = None
    ) -> LocalCopy:
        check_key(key)
        self._index.get_bucket(bucket)
        return LocalCopy(self, bucket, key, self.open_object(source_bucket, source_key, source_version_id))

    def open_object(self, bucket: str, key: str, version_id: str | None = None) -> LocalReader:
        self._check_version(bucket, key, version_id)
        missing = None
        while True:
            stored, body = self._index.find(bucket, key)
            if body.blob is None:
                return LocalReader(stored, body, -1)
            try:
                return LocalReader(stored, body, self._directory.open(body.blob))
            except FileNotFoundError as error:
                # The object was replaced or deleted between the two steps; look again at what there is now.
                if missing == body.blob:
                    raise ServerError("The body of the object is lost.", bucket=bucket, key=key) from error
                missing = body.blob

    def head_object(self, bucket: str, key: str, version_id: str | None = None) -> StoredObject:
        self._check_version(bucket, key, version_id)
        return self._index.head(bucket, key)

    def delete_object(
        self, bucket: str, key: str, version_id: str | None = None, guard: Guard | None = None, owner: str = ""
    ) -> Deleted:
        [result] = self.delete_objects(bucket, [Deletion(key, version_id, guard, owner)])
        if isinstance(result, ServiceError):
            raise result
        return result

    def delete_objects(self, bucket: str, deletions: Sequence[Deletion]) -> list[Deleted | ServiceError]:
        results, unused = self._index.delete(bucket, deletions)
        for blob in unused:
            self._directory.discard(blob)
        return results

    def list_objects(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", start_after: str = "", limit: int = 1000
    ) -> ListSlice:
        return self._index.list_objects(bucket, prefix, delimiter, start_after, limit)

    def close(self) -> None:
        """Close the index and let others open the store."""
        self._index.close()
        self._directory.close()

    def create_blob(self) -> BlobWriter:
        """A file for a body that is too large for the index; for `LocalWriter`."""
        return self._directory.create()

    def publish(
        self, bucket: str, key: str, new: NewObject, guard: Guard | None, blob: str | None = None
    ) -> StoredObject:
        """Publish an object; `blob` is its newly written file, removed again if the publication is refused."""
        try:
            stored, unused = self._index.publish(bucket, key, new, guard)
        except Exception:
            if blob is not None:
                self._directory.discard(blob)
            raise
        except BaseException:
            # Ctrl-C may arrive when the transaction is already done, so the next start shall see whose the blob is.
            self._directory.expect_orphans()
            raise
        if unused is not None:
            self._directory.discard(unused)
        return stored

    def _check_version(self, bucket: str, key: str, version_id: str | None) -> None:
        if version_id is not None and version_id != "null":
            self._index.get_bucket(bucket)
            raise NoSuchVersion("The specified version does not exist.", bucket=bucket, key=key)


class LocalWriter:
    """A body being written: in memory while it is small, then in a temporary file."""

    def __init__(self, store: LocalBackend, bucket: str, key: str) -> None:
        self._store = store
        self._bucket = bucket
        self._key = key
        self._hash = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._small = bytearray()
        self._blob: BlobWriter | None = None
        self._open = True

    @property
    def size(self) -> int:
        return self._size

    @property
    def md5(self) -> bytes:
        return self._hash.digest()

    def write(self, block: bytes | bytearray | memoryview) -> None:
        self._check_open()
        self._hash.update(block)
        self._size += block.nbytes if isinstance(block, memoryview) else len(block)
        if self._size <= INLINE_SIZE_MAX:
            self._small += block
            return
        if self._blob is None:
            self._blob = self._store.create_blob()
            self._blob.write(self._small)
            self._small.clear()
        self._blob.write(block)

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        self._check_open()
        try:
            blob = None if self._blob is None else self._blob.finish()
        except BaseException:
            self.abort()
            raise
        self._open = False
        body = Body(None, blob, bytes(self._small) if blob is None else None)
        new = NewObject(self._size, self._hash.hexdigest(), attributes, body)
        return self._store.publish(self._bucket, self._key, new, guard, blob)

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._small.clear()
            if self._blob is not None:
                self._blob.abort()

    def _check_open(self) -> None:
        if not self._open:
            raise ValueError("the draft has been committed or aborted")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class LocalCopy:
    """One object more for a body, which stays open until the end of the copy: should it be deleted, it is still here."""

    def __init__(self, store: LocalBackend, bucket: str, key: str, reader: LocalReader) -> None:
        self.source = reader.stored
        self._store = store
        self._bucket = bucket
        self._key = key
        self._reader: LocalReader | None = reader

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        reader, self._reader = self._reader, None
        if reader is None:
            raise ValueError("the draft has been committed or aborted")
        with reader:
            new = NewObject(self.source.size, self.source.etag, attributes, reader.body)
            try:
                return self._store.publish(self._bucket, self._key, new, guard)
            except BodyGone:
                return self._write_again(reader, attributes, guard)

    def _write_again(self, reader: LocalReader, attributes: ObjectAttributes, guard: Guard | None) -> StoredObject:
        with self._store.begin_put(self._bucket, self._key) as writer:
            for offset in range(0, self.source.size, BLOCK):
                writer.write(reader.read_at(offset, BLOCK))
            return writer.commit(attributes, guard)

    def abort(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class LocalReader:
    """An open body: bytes from the index, or a file descriptor, which outlives the file's name."""

    parts: Sequence[Part] = ()

    def __init__(self, stored: StoredObject, body: Body, descriptor: int) -> None:
        self.stored = stored
        self.body = body
        self._descriptor = descriptor
        # Where a read cannot take an offset (Windows), the place in the file is shared by the threads.
        self._lock = Lock()

    def read_at(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self.stored.size)
        if offset >= end:
            return b""
        if self.body.data is not None:
            return self.body.data[offset:end]
        block = self._read_file(offset, end - offset)
        if len(block) == end - offset:
            return block
        parts = [block]
        while block:
            offset += len(block)
            block = self._read_file(offset, end - offset)
            parts.append(block)
        whole = b"".join(parts)
        if offset < end:
            raise ServerError("The body of the object is shorter than it was.", key=self.stored.key)
        return whole

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _read_file(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, size, offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
