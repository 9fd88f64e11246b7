"""Bodies of a local store that are not visible yet: objects and parts being written, copies, completions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from s3func.message import BLOCK
from s3func.server.backend import Guard, ObjectAttributes, Part, StoredObject
from s3func.server.backends.drafts import Draft
from s3func.server.backends.local.directory import BlobWriter
from s3func.server.backends.local.objects import BodyGone
from s3func.server.backends.local.readers import LocalReader, PartsReader
from s3func.server.backends.local.schema import Body, NewObject
from s3func.server.backends.local.uploads import Chosen
from s3func.server.powers import Upload

INLINE_SIZE_MAX = 16 * 1024
"""Bodies up to this many bytes live in the index: one write to the log instead of a file of their own."""

CreateBlob = Callable[[], BlobWriter]
PutPart = Callable[[Part, str], Part]


class Publish(Protocol):
    """Publishes an object at the place of a draft. blobs: its newly written files, removed again if that is refused."""

    def __call__(self, new: NewObject, guard: Guard | None, blobs: Sequence[str] = ()) -> StoredObject: ...


class _BodyWriter(Draft):
    """A body being written: in memory while it is small, then in a temporary file."""

    def __init__(self, create_blob: CreateBlob, inline_size_max: int) -> None:
        self._create_blob = create_blob
        self._inline_size_max = inline_size_max
        self._hash = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._small = bytearray()
        self._blob: BlobWriter | None = None

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
        if self._size <= self._inline_size_max:
            self._small += block
        else:
            self._file().write(block)

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._small.clear()
            if self._blob is not None:
                self._blob.abort()

    def _file(self) -> BlobWriter:
        if self._blob is None:
            self._blob = self._create_blob()
            self._blob.write(self._small)
            self._small.clear()
        return self._blob

    def _finish(self, blob: BlobWriter | None) -> str | None:
        self._check_open()
        try:
            name = None if blob is None else blob.finish()
        except BaseException:
            self.abort()
            raise
        self._open = False
        return name


class LocalWriter(_BodyWriter):
    """An object to be."""

    def __init__(self, publish: Publish, create_blob: CreateBlob) -> None:
        super().__init__(create_blob, INLINE_SIZE_MAX)
        self._publish = publish

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        blob = self._finish(self._blob)
        etag = self._hash.hexdigest()
        if blob is None:
            return self._publish(NewObject(self._size, etag, attributes, Body(None, None, bytes(self._small))), guard)
        return self._publish(NewObject(self._size, etag, attributes, Body(None, blob, None)), guard, [blob])


class LocalPartWriter(_BodyWriter):
    """A part to be; always a file, so that a body of many parts is never held in memory."""

    def __init__(self, put_part: PutPart, create_blob: CreateBlob, number: int) -> None:
        super().__init__(create_blob, -1)
        self._put_part = put_part
        self._number = number

    def commit(self, checksums: Mapping[str, str] = {}, documents: Mapping[str, str] = {}) -> Part:
        self._check_open()
        blob = self._finish(self._file())
        assert blob is not None
        part = Part(
            number=self._number,
            size=self._size,
            etag=self._hash.hexdigest(),
            last_modified=0,
            checksums=checksums,
            documents=documents,
        )
        return self._put_part(part, blob)


class LocalCopy(Draft):
    """One object more for a body, which stays open until the end of the copy: should it be deleted, it is still here."""

    def __init__(self, publish: Publish, create_blob: CreateBlob, reader: LocalReader | PartsReader) -> None:
        self.source = reader.stored
        self._publish = publish
        self._create_blob = create_blob
        self._reader = reader

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        self._check_open()
        self._open = False
        with self._reader as reader:
            new = NewObject(self.source.size, self.source.etag, attributes, reader.body)
            try:
                return self._publish(new, guard)
            except BodyGone:
                body, blobs = self._write_again()
                return self._publish(new._replace(body=body), guard, blobs)

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._reader.close()

    def _write_again(self) -> tuple[Body, list[str]]:
        """The bytes of the body in files of its own."""
        reader = self._reader
        if isinstance(reader, LocalReader):
            if reader.body.data is not None:
                return Body(None, None, reader.body.data), []
            blob = self._copy_bytes(0, self.source.size)
            return Body(None, blob, None), [blob]
        parts = []
        offset = 0
        for part in reader.parts:
            parts.append((part, self._copy_bytes(offset, part.size)))
            offset += part.size
        return Body(None, None, None, tuple(parts)), [blob for _, blob in parts]

    def _copy_bytes(self, offset: int, size: int) -> str:
        writer = self._create_blob()
        try:
            end = offset + size
            while offset < end:
                block = self._reader.read_at(offset, min(BLOCK, end - offset))
                writer.write(block)
                offset += len(block)
            return writer.finish()
        except BaseException:
            writer.abort()
            raise


class LocalCompletion(Draft):
    """An upload to become an object, or one that has become one."""

    def __init__(
        self, publish: Callable[[Chosen, ObjectAttributes, Guard | None], StoredObject], chosen: Chosen
    ) -> None:
        self._publish = publish
        self._chosen = chosen
        self.parts: Sequence[Part] = chosen.parts
        self.completed = chosen.completed

    @property
    def upload(self) -> Upload:
        return self._chosen.opened.upload

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        self._check_open()
        self.abort()
        return self._publish(self._chosen, attributes, guard) if self.completed is None else self.completed
