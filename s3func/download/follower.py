"""The digest of a file while its ranges are still arriving: a thread reads what was written, in order and up to the gap.

For digests that cannot be put together from those of pieces. What is followed is still in the page cache, and when the
last range is there only the last round is left to be read.
"""

from __future__ import annotations

from collections import deque
from threading import Event
from typing import TYPE_CHECKING, Protocol, Self

from s3func.transport.parallel import Crew
from s3func.transport.transfer import MIB

if TYPE_CHECKING:
    from types import TracebackType

    from s3func.download.target import Target
    from s3func.wire.checksum import Hasher

_WAIT_SECONDS = 0.5


class Range(Protocol):
    """A range on its way: all before `position` is written."""

    position: int
    end: int


class Follower:
    """A context manager; leaving it ends the thread."""

    def __init__(self, target: Target, digest: Hasher, size: int) -> None:
        """size: bytes in all."""
        self._target = target
        self._digest = digest
        self._size = size
        self._ranges: deque[Range] = deque()
        self._behind = 0
        self._is_complete = False
        self._waits_for: Range | None = None
        self._grown = Event()
        self._crew = Crew(1, name="s3func-digest")
        self._crew.submit(self._follow)

    def expect(self, piece: Range) -> None:
        """The next range that is fetched; whatever lies between it and the one before is there already."""
        self._ranges.append(piece)
        if self._waits_for is None:
            self._grown.set()

    def grown(self, piece: Range) -> None:
        """More of a range is written; from any thread."""
        if piece is self._waits_for:
            self._grown.set()

    def finish(self) -> bytes:
        """All ranges are there: the digest of the whole."""
        self._is_complete = True
        self._grown.set()
        self._crew.join()
        return self._digest.digest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._crew.stop()
        self._grown.set()
        self._crew.cancel()

    def _follow(self) -> None:
        buffer = memoryview(bytearray(min(self._size, MIB) or 1))
        position = 0
        while position < self._size:
            self._crew.check()
            end = self._written()
            if end == position:
                self._waits_for = self._ranges[0] if self._ranges else None
                # What has grown before this thread said that it waits is seen by looking once more.
                if self._written() == position:
                    self._grown.wait(_WAIT_SECONDS)
                self._grown.clear()
                continue
            count = self._target.readinto(buffer[: min(len(buffer), end - position)], position)
            if not count:
                return
            self._digest.update(buffer[:count])
            position += count

    def _written(self) -> int:
        """How far the file has no gap."""
        ranges = self._ranges
        while ranges and ranges[0].position == ranges[0].end:
            self._behind = ranges.popleft().end
        if ranges:
            return ranges[0].position
        return self._size if self._is_complete else self._behind
