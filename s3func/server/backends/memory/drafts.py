"""Bodies in memory: being written, copied, completed from parts, and read.

A body is a tuple of immutable blocks, so readers, copies and completed uploads share blocks and need no lock. A draft
ends in one call of the function that it was given, which publishes the body under the store's lock.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from s3func.server.backend import Guard, ObjectAttributes, Part, StoredObject
from s3func.server.backends.drafts import Draft, Reader


class Body(NamedTuple):
    """Blocks, the offset where each ends, the ETag, and the parts that an upload was made of."""

    blocks: tuple[bytes, ...]
    ends: tuple[int, ...]
    etag: str
    parts: tuple[Part, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.ends[-1] if self.ends else 0


def join(bodies: Sequence[Body], parts: Sequence[Part], etag: str) -> Body:
    """One body of several, sharing their blocks."""
    blocks = tuple(block for body in bodies for block in body.blocks)
    return Body(blocks, tuple(accumulate(len(block) for block in blocks)), etag, tuple(parts))


Publish = Callable[[Body, ObjectAttributes, Guard | None], StoredObject]
KeepPart = Callable[[Body, Mapping[str, str], Mapping[str, str]], Part]


class _Blocks(Draft):
    """The blocks of a body to be."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._ends: list[int] = []
        self._hash = hashlib.md5(usedforsecurity=False)

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

    def abort(self) -> None:
        self._open = False
        self._blocks = []

    def _finish(self) -> Body:
        self._check_open()
        body = Body(tuple(self._blocks), tuple(self._ends), self._hash.hexdigest())
        self.abort()
        return body


class MemoryWriter(_Blocks):
    """An object to be."""

    def __init__(self, publish: Publish) -> None:
        super().__init__()
        self._publish = publish

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        return self._publish(self._finish(), attributes, guard)


class MemoryPartWriter(_Blocks):
    """A part to be."""

    def __init__(self, keep: KeepPart) -> None:
        super().__init__()
        self._keep = keep

    def commit(self, checksums: Mapping[str, str] = {}, documents: Mapping[str, str] = {}) -> Part:
        return self._keep(self._finish(), checksums, documents)


class MemoryCopy(Draft):
    """A second record for the body of another object."""

    def __init__(self, publish: Publish, source: StoredObject, body: Body) -> None:
        self.source = source
        self._publish = publish
        self._body = body

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        self._check_open()
        self.abort()
        return self._publish(self._body, attributes, guard)


class MemoryReader(Reader):
    """An open body, which the garbage collector closes."""

    def __init__(self, stored: StoredObject, body: Body) -> None:
        self.stored = stored
        self.parts: Sequence[Part] = body.parts
        self._body = body

    def read_at(self, offset: int, size: int) -> bytes:
        blocks, ends, _, _ = self._body
        end = min(offset + size, self._body.size)
        pieces = []
        number = bisect_right(ends, offset)
        while offset < end:
            start = ends[number] - len(blocks[number])
            pieces.append(blocks[number][offset - start : end - start])
            offset = ends[number]
            number += 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
