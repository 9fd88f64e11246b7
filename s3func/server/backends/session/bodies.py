"""Open bodies of a gateway: spooled on the way in, streamed on the way out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import IO

from s3func.errors import TruncatedBody
from s3func.results import GetResult
from s3func.server.backend import Guard, ObjectAttributes, Part, StoredObject
from s3func.server.backends.drafts import Draft, Publish, Reader

SPOOL_IN_MEMORY = 1024 * 1024
"""Bytes of a body that are kept in memory; a larger one is written to a temporary file."""

READ_AHEAD = 8 * 1024 * 1024
"""Bytes that are asked for at once by a reader that reads on after a jump."""

Put = Callable[[IO[bytes], int, ObjectAttributes, Guard | None], StoredObject]
PutPart = Callable[[IO[bytes], int, Mapping[str, str], Mapping[str, str]], Part]
GetRange = Callable[[int, int], GetResult]
Asking = Callable[[], AbstractContextManager[None]]


class _Spool(Draft):
    """A body on its way in, kept until it is known whether it is wanted."""

    def __init__(self) -> None:
        self._hash = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._spool = SpooledTemporaryFile(max_size=SPOOL_IN_MEMORY)  # noqa: SIM115 -- closed by `abort`

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
        self._spool.write(block)

    def abort(self) -> None:
        self._open = False
        self._spool.close()


class SessionWriter(_Spool):
    """An object to be."""

    def __init__(self, put: Put) -> None:
        super().__init__()
        self._put = put

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        self._check_open()
        try:
            return self._put(self._spool, self._size, attributes, guard)
        finally:
            self.abort()


class SessionPartWriter(_Spool):
    """A part to be."""

    def __init__(self, put: PutPart) -> None:
        super().__init__()
        self._put = put

    def commit(self, checksums: Mapping[str, str] = {}, documents: Mapping[str, str] = {}) -> Part:
        self._check_open()
        try:
            return self._put(self._spool, self._size, checksums, documents)
        finally:
            self.abort()


class SessionCopy(Draft):
    """A copy that the store is going to make."""

    def __init__(self, source: StoredObject, copy: Publish) -> None:
        self.source = source
        self._copy = copy

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        self._check_open()
        self._open = False
        return self._copy(attributes, guard)


class SessionReader(Reader):
    """An open body: the stream of the answer, and after a jump another one."""

    parts: Sequence[Part] = ()

    def __init__(self, stored: StoredObject, result: GetResult, get_range: GetRange, asking: Asking) -> None:
        """result: the whole body. get_range: brings the bytes from one offset up to another one. asking: translates."""
        self.stored = stored
        self._get_range = get_range
        self._asking = asking
        self._lock = Lock()
        self._result: GetResult | None = result
        self._place = 0
        self._end = stored.size

    def read_at(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self.stored.size)
        blocks = []
        with self._lock, self._asking():
            while offset < end:
                block = self._read(offset, end - offset)
                blocks.append(block)
                offset += len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def close(self) -> None:
        with self._lock:
            self._let_go()

    def _read(self, offset: int, size: int) -> bytes:
        """Some of these bytes, at least one."""
        if self._result is None or offset != self._place or offset == self._end:
            # Who reads on will do so again; who jumps may want no more than this.
            ahead = READ_AHEAD if offset == self._place else 0
            self._let_go()
            end = min(offset + max(size, ahead), self.stored.size)
            self._result = self._get_range(offset, end)
            self._place, self._end = offset, end
        block = self._result.read(min(size, self._end - offset))
        if not block:
            raise TruncatedBody("the body ended before its length")
        self._place += len(block)
        return block

    def _let_go(self) -> None:
        if self._result is not None:
            self._result.close()
            self._result = None
