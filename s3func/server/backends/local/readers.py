"""Open bodies of a local store, which go on being readable when their objects are gone.

A body in one file stays because its descriptor is open. One in many files cannot have all of them open, so it is
pinned: while somebody reads it, its files are not removed. One server has the store, so memory is the place for that.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import accumulate
from threading import Lock
from typing import Any

from s3func.errors import ServerError
from s3func.server.backend import Part, StoredObject
from s3func.server.backends.drafts import Reader
from s3func.server.backends.local.schema import Body, Unused, part_of


class Pins:
    """The bodies that are being read part by part, and the files that wait for the end of that."""

    def __init__(self, discard: Callable[[str], None]) -> None:
        """`discard` removes a file."""
        self._discard = discard
        self._lock = Lock()
        self._readers: dict[int, int] = {}
        self._waiting: dict[int, list[str]] = {}

    def pin(self, body: int) -> None:
        """Keep the files of a body; then look whether the body is still there."""
        with self._lock:
            self._readers[body] = self._readers.get(body, 0) + 1

    def unpin(self, body: int) -> None:
        """The other end of `pin`."""
        with self._lock:
            self._readers[body] -= 1
            if self._readers[body]:
                return
            del self._readers[body]
            waiting = self._waiting.pop(body, [])
        for blob in waiting:
            self._discard(blob)

    def discard(self, unused: Iterable[Unused]) -> None:
        """Remove files that the index no longer names, now or when their last reader is done."""
        for body, blob in unused:
            with self._lock:
                waits = body in self._readers
                if waits:
                    self._waiting.setdefault(body, []).append(blob)
            if not waits:
                self._discard(blob)

    @property
    def is_waiting(self) -> bool:
        """Whether there are files that are still to be removed."""
        return bool(self._waiting)


class LocalReader(Reader):
    """An open body: bytes from the index, or a file descriptor, which outlives the file's name."""

    parts: Sequence[Part] = ()

    def __init__(self, stored: StoredObject, body: Body, descriptor: int) -> None:
        self.stored = stored
        self.body = body
        self._lock = Lock()
        self._descriptor = descriptor

    def read_at(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self.stored.size)
        if offset >= end:
            return b""
        if self.body.data is not None:
            return self.body.data[offset:end]
        return read_file(self._descriptor, offset, end - offset, self._lock, self.stored)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class PartsReader(Reader):
    """An open body of parts, of which the one that was read last is open."""

    def __init__(
        self, stored: StoredObject, body: Body, rows: Sequence[Any], open_blob: Callable[[str], int], pins: Pins
    ) -> None:
        """rows: number, size, etag, last_modified, about and blob of each part. The body is pinned already."""
        self.stored = stored
        self.body = body
        self._lock = Lock()
        self._rows = rows
        self._ends = list(accumulate(row[1] for row in rows))
        self._open_blob = open_blob
        self._pins: Pins | None = pins
        self._place = -1
        self._descriptor = -1

    @cached_property
    def parts(self) -> Sequence[Part]:
        return [part_of(*row[:5]) for row in self._rows]

    @property
    def blobs(self) -> list[str]:
        """The file of each part."""
        return [row[5] for row in self._rows]

    def read_at(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self.stored.size)
        pieces = []
        place = bisect_right(self._ends, offset)
        while offset < end:
            start = self._ends[place] - self._rows[place][1]
            length = min(end, self._ends[place]) - offset
            pieces.append(self._read_part(place, offset - start, length))
            offset += length
            place += 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        with self._lock:
            pins, self._pins = self._pins, None
            self._close_part()
        if pins is not None and self.body.id is not None:
            pins.unpin(self.body.id)

    def _read_part(self, place: int, offset: int, size: int) -> bytes:
        # The descriptor is everybody's; threads that share a reader take turns.
        with self._lock:
            if self._pins is None:
                raise ValueError("the reader is closed")
            if place != self._place:
                self._close_part()
                try:
                    self._descriptor = self._open_blob(self._rows[place][5])
                except FileNotFoundError as error:
                    raise ServerError("The body of the object is lost.", key=self.stored.key) from error
                self._place = place
            return read_file(self._descriptor, offset, size, None, self.stored)

    def _close_part(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = self._place = -1


def read_file(descriptor: int, offset: int, size: int, lock: Lock | None, stored: StoredObject) -> bytes:
    """Exactly these bytes of a file; ServerError when it is shorter. lock: of those who share the descriptor."""
    block = _read(descriptor, offset, size, lock)
    if len(block) == size:
        return block
    pieces = [block]
    end = offset + size
    while block:
        offset += len(block)
        block = _read(descriptor, offset, end - offset, lock)
        pieces.append(block)
    if offset < end:
        raise ServerError("The body of the object is shorter than it was.", key=stored.key)
    return b"".join(pieces)


def _read(descriptor: int, offset: int, size: int, lock: Lock | None) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    # Where a read cannot take an offset (Windows), the place in the file is shared by the threads.
    if lock is None:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)
    with lock:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)
