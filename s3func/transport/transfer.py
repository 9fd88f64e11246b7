"""What all transfers have in common: their settings, the shared bandwidth, and the count of what is done.

Rule: progress goes forward. What is sent a second time is not counted a second time, and the last call says
(size, size), whatever happened on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any, NamedTuple, TypeAlias, TypeVar

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.message import BLOCK, UploadBody
from s3func.transport.body import FileRange

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes done and the bytes in all, None while nobody knows; from any thread, never two at a time."""

Block = TypeVar("Block", bytes | memoryview, FileRange)

MIB = 1024 * 1024
CONCURRENCY_MAX = 1000
_PIECE_MIN = 4 * 1024
_PIECES_PER_SECOND = 10


class BandwidthLimit:
    """At most so many bytes per second, for whatever shares this object: transfers, threads, sessions."""

    def __init__(self, bytes_per_second: float, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """ValueError unless it is positive."""
        if isinstance(bytes_per_second, bool) or not isinstance(bytes_per_second, int | float):
            raise TypeError(f"bytes_per_second must be a number, not {type(bytes_per_second).__name__}")
        if not 0 < bytes_per_second < float("inf"):
            raise ValueError(f"bytes_per_second must be positive, not {bytes_per_second}")
        self.bytes_per_second = bytes_per_second
        self.piece = int(min(BLOCK, max(_PIECE_MIN, bytes_per_second / _PIECES_PER_SECOND)))
        """Bytes to take at a time, so that the flow is even: a tenth of a second's."""
        self._clock = clock
        self._lock = Lock()
        self._free_at = 0.0

    def take(self, count: int, sleep: Callable[[float], None] | None = None) -> None:
        """Wait until `count` more bytes may pass. sleep: how to wait, where a wait must be able to end early."""
        with self._lock:
            now = self._clock.monotonic()
            # Nothing is saved up in idle times: the line would be full afterwards.
            begin = max(now, self._free_at)
            self._free_at = begin + count / self.bytes_per_second
        if begin > now:
            (sleep or self._clock.sleep)(begin - now)

    def __repr__(self) -> str:
        return f"BandwidthLimit({self.bytes_per_second})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.bytes_per_second,))


class TransferConfig(NamedTuple):
    """How large objects move.

    multipart_threshold: bytes from which an upload goes in parts (and a download in ranges). part_size: bytes; None
    chooses by the object's size. S3 wants at least 5 MiB of every part but the last. concurrency: parts under way at a
    time; memory is concurrency times part size. bandwidth: a limit that several transfers may share.
    """

    multipart_threshold: int = 16 * MIB
    part_size: int | None = None
    concurrency: int = 10
    bandwidth: BandwidthLimit | None = None

    @property
    def direct_below(self) -> int:
        """Bodies of fewer bytes are sent as they are, without a further look."""
        return self.multipart_threshold if self.bandwidth is None else 0


DEFAULT_TRANSFER = TransferConfig()


def checked_transfer(transfer: object) -> TransferConfig:
    """The settings, if they can be followed; TypeError or ValueError names the argument."""
    if not isinstance(transfer, TransferConfig):
        raise TypeError(f"transfer must be a TransferConfig, not {type(transfer).__name__}")
    _check_count("transfer.multipart_threshold", transfer.multipart_threshold, 0)
    if transfer.part_size is not None:
        _check_count("transfer.part_size", transfer.part_size, 1)
    _check_count("transfer.concurrency", transfer.concurrency, 1, CONCURRENCY_MAX)
    if transfer.bandwidth is not None and not isinstance(transfer.bandwidth, BandwidthLimit):
        raise TypeError(f"transfer.bandwidth must be a BandwidthLimit, not {type(transfer.bandwidth).__name__}")
    return transfer


def _check_count(name: str, value: object, lowest: int, highest: int | None = None) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < lowest or (highest is not None and value > highest):
        limits = f"at least {lowest}" if highest is None else f"{lowest} to {highest}"
        raise ValueError(f"{name} must be {limits}, not {value}")


class ProgressCount:
    """Counts for one transfer what its threads have done, and tells the caller's function."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        """progress: None counts for nobody. total: bytes in all, None while nobody knows."""
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be callable, not {type(progress).__name__}")
        self._progress = progress
        self._total = total
        self._lock = Lock()
        self._done = 0
        self._told = -1

    def add(self, count: int) -> None:
        """So many more bytes are done."""
        progress = self._progress
        if progress is None or not count:
            return
        with self._lock:
            self._done += count
            if self._done > self._told:
                self._told = self._done
                progress(self._done, self._total)

    def expect(self, total: int | None) -> None:
        """So many bytes it will be; known once the source has been looked at."""
        self._total = total

    def restart(self, total: int | None) -> None:
        """All of it is done again, from the beginning; nothing is told before there is more than there was."""
        with self._lock:
            self._done = 0
            self._total = total

    def finish(self, size: int) -> None:
        """All of it is done: the last call says so, whatever was counted before."""
        progress = self._progress
        if progress is None:
            return
        with self._lock:
            if self._told != size or self._total != size:
                self._told = self._done = self._total = size
                progress(size, size)


class WatchedBody:
    """An UploadBody around another: it counts what was sent, keeps to the bandwidth, and stops with its crew."""

    def __init__(
        self,
        body: UploadBody,
        *,
        count: ProgressCount | None = None,
        bandwidth: BandwidthLimit | None = None,
        check: Callable[[], None] | None = None,
        sleep: Callable[[float], None] | None = None,
        on_sent: Callable[[], None] | None = None,
    ) -> None:
        """check: called before every block, ends the sending by raising. sleep: how to wait for the bandwidth.

        on_sent: called whenever somebody has taken all blocks and asks for more: none of them is in use any more.
        """
        self.length = body.length
        self.replayable = body.replayable
        self._body = body
        self._count = count
        self._bandwidth = bandwidth
        self._check = check
        self._sleep = sleep
        self._on_sent = on_sent
        self._sent = 0

    def blocks(self) -> Iterator[bytes | memoryview]:
        """The blocks of the body; what was sent before, in an earlier attempt, is not counted again."""
        return self._watched(self._limited())

    def ranges(self) -> Iterator[FileRange] | None:
        """The same as stretches of a file; None where there is none, or a bandwidth to keep to."""
        ranges: Callable[[], Iterator[FileRange] | None] | None = getattr(self._body, "ranges", None)
        stretches = None if ranges is None or self._bandwidth is not None else ranges()
        return None if stretches is None else self._watched(stretches)

    def _watched(self, blocks: Iterator[Block]) -> Iterator[Block]:
        position = 0
        for block in blocks:
            if self._check is not None:
                self._check()
            yield block
            # Asked for the next one: this one is on its way.
            position += len(block)
            self._counted(position)
        if self._on_sent is not None:
            self._on_sent()

    def finish(self) -> None:
        """The store has taken all of it; a transport that knew the length may not have asked for the end."""
        self._counted(self.length)

    def _limited(self) -> Iterator[bytes | memoryview]:
        bandwidth = self._bandwidth
        if bandwidth is None:
            yield from self._body.blocks()
            return
        for block in self._body.blocks():
            for start in range(0, len(block), bandwidth.piece):
                piece = block[start : start + bandwidth.piece]
                bandwidth.take(len(piece), self._sleep)
                yield piece

    def _counted(self, position: int) -> None:
        if position > self._sent:
            if self._count is not None:
                self._count.add(position - self._sent)
            self._sent = position
