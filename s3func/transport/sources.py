"""What an upload reads from: a buffer, a regular file, or a stream that comes once and in order.

Rule 1: a buffer and a file have a size and can be read anywhere, by several threads at a time. A stream is read by the
        thread that uploads, from its beginning to its end; where it can go back, its size is known as well.
Rule 2: a file is the one that it was when the upload began. Whoever is about to publish what was read asks `check`.
"""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple, TypeAlias, cast

from s3func.errors import SourceChanged
from s3func.message import BLOCK
from s3func.transport.body import Body, BodyShrunk, BodySource, FileBody, FileRange, body_of, regular_descriptor

# Read and checksummed at a time: what was read is still in the processor's cache when it is summed up.
_READ = 4 * BLOCK
# Sent by the kernel at a time: it takes a millisecond at most, so progress is even and a crew that is stopped stops.
_SENT = 4 * BLOCK
# A file system notes times in ticks, of 1 to 10 ms on Linux; two writes within one tick leave the same time behind.
_TICK_NS = 10_000_000
_SECOND_NS = 1_000_000_000
# Longer than the coarsest clock needs, of a file that nobody writes to.
_PATIENCE_SECONDS = 2.0

Absorb: TypeAlias = Callable[[memoryview], None]


class BufferSource:
    """Bytes in memory; they must not change until the call returns."""

    def __init__(self, source: bytes | bytearray | memoryview) -> None:
        self._source = source
        given = memoryview(source)
        # A view with a zero in its shape cannot be cast.
        self.view = given.cast("B") if given.c_contiguous and given.nbytes else memoryview(bytes(given))
        self.size = len(self.view)

    def body(self) -> Body:
        """All of it as the body of one request."""
        return body_of(self._source)

    def part(self, start: int, length: int, _buffer: bytearray | None, absorb: Absorb) -> memoryview:
        """A slice, without a copy."""
        view = self.view[start : start + length]
        for place in range(0, length, _READ):
            absorb(view[place : place + _READ])
        return view

    def check(self) -> None:
        """Whether a buffer changes is the caller's business."""

    def close(self) -> None:
        """Nothing is held."""


class _Snapshot(NamedTuple):
    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, found: os.stat_result) -> _Snapshot:
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


class FileSource:
    """A regular file from one offset to its end, read by position, as it was when this was made."""

    def __init__(self, file: BinaryIO, descriptor: int, offset: int, path: str | None = None) -> None:
        """path: where the file was opened from, and is closed then; without one it is the caller's and stays open."""
        self._file = file
        self._descriptor = descriptor
        self._offset = offset
        self._path = path
        self._began = _settled(descriptor)
        self.size = max(0, self._began.size - offset)

    def body(self) -> FileBody:
        """All of it as the body of one request."""
        return FileBody(self._file, self._offset, self.size, owned=False, check=self.check)

    def read(self) -> bytes:
        """All of it at once; SourceChanged when it changed meanwhile."""
        buffer = bytearray(self.size)
        self.part(0, self.size, buffer, _nothing)
        return bytes(buffer)

    def part(self, start: int, length: int, buffer: bytearray | None, absorb: Absorb) -> memoryview:
        """Read a range into the buffer, each block given to `absorb` while it is hot; SourceChanged if it changed."""
        assert buffer is not None
        view = memoryview(buffer)[:length]
        done = 0
        while done < length:
            block = view[done : done + _READ]
            count = os.preadv(self._descriptor, [block], self._offset + start + done)
            if count == 0:
                raise SourceChanged("the file became shorter while it was uploaded")
            absorb(block[:count])
            done += count
        self._check_unwritten()
        return view

    def blocks(self, start: int, length: int) -> Iterator[memoryview]:
        """The bytes of a range, block by block; SourceChanged before the last one if the file changed."""
        buffer = bytearray(min(length, _READ))
        done = 0
        while done < length:
            count = min(len(buffer), length - done)
            block = self.part(start + done, count, buffer, _nothing)
            done += count
            yield block

    def ranges(self, start: int, length: int) -> Iterator[FileRange]:
        """The same as stretches for the kernel to send; SourceChanged before the last one if the file changed."""
        for place in range(start, start + length, _SENT):
            self._check_unwritten()
            yield FileRange(self._descriptor, self._offset + place, min(_SENT, start + length - place))

    def _check_unwritten(self) -> None:
        if _Snapshot.of(os.fstat(self._descriptor)) != self._began:
            raise SourceChanged("the file was written to while it was uploaded")

    def check(self) -> None:
        """SourceChanged when the file is not the one that it was in the beginning, or not the one of its name."""
        self._check_unwritten()
        if self._path is None:
            return
        try:
            named = os.stat(self._path)
        except OSError as error:
            raise SourceChanged("the file was removed while it was uploaded") from error
        if (named.st_ino, named.st_dev) != (self._began.inode, self._began.device):
            raise SourceChanged("the file was replaced while it was uploaded")

    def begin_again(self) -> None:
        """Let go of it for another attempt: a file that is the caller's stands where it stood."""
        if self._path is not None:
            self._file.close()
        else:
            self._file.seek(self._offset)

    def close(self) -> None:
        """Close the file if it was opened here, else leave it standing behind what was read."""
        if self._path is not None:
            self._file.close()
        elif not self._file.closed:
            self._file.seek(self._offset + self.size)


class RangeBody:
    """An UploadBody of a stretch of a file, which is read, or sent by the kernel, as it goes out.

    Its checksum has to travel along: what changes behind the kernel's back is noticed by the store alone.
    """

    replayable = True

    def __init__(self, source: FileSource, start: int, length: int) -> None:
        self.length = length
        self._source = source
        self._start = start

    def blocks(self) -> Iterator[memoryview]:
        """The bytes."""
        return self._source.blocks(self._start, self.length)

    def ranges(self) -> Iterator[FileRange]:
        """Where they are."""
        return self._source.ranges(self._start, self.length)


def _nothing(_block: memoryview) -> None:
    """What was read is not looked at."""


class StreamSource:
    """Blocks that come in order; `size` is None where nobody knows it, and then they come once."""

    def __init__(
        self, blocks: Callable[[], Iterator[bytes | memoryview]], size: int | None, body: Callable[[], Body]
    ) -> None:
        """blocks: begins the stream. body: all of it as the body of one request, spooled where it has no size."""
        self.blocks = blocks
        self.size = size
        self.body = body
        self._owned: BinaryIO | None = None

    def owning(self, file: BinaryIO) -> StreamSource:
        """The same, and the file that is to be closed with it."""
        self._owned = file
        return self

    def close(self) -> None:
        """Close what was opened here."""
        if self._owned is not None:
            self._owned.close()


Source: TypeAlias = BufferSource | FileSource | StreamSource


def source_of(body: BodySource) -> Source:
    """What to read for what the caller gave; TypeError or ValueError names the argument `body`. To be closed."""
    if isinstance(body, str):
        body = cast("bytes", body_of(body))
    if isinstance(body, bytes | bytearray | memoryview):
        return BufferSource(body)
    if isinstance(body, os.PathLike):
        return _opened(os.fspath(body))
    if hasattr(body, "read"):
        return _from_file(cast("BinaryIO", body))
    if isinstance(body, Iterable):
        iterator = iter(body)
        return StreamSource(lambda: _checked(iterator), None, lambda: body_of(_checked(iterator)))
    raise TypeError(
        f"body must be bytes, str, a path, a binary file or an iterable of bytes, not {type(body).__name__}"
    )


def _opened(path: str) -> Source:
    # Unbuffered: it is read in large blocks, and a buffer in between would only be copied through.
    file = open(path, "rb", buffering=0)  # noqa: SIM115 -- closed by the source
    try:
        descriptor = file.fileno()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            # A named pipe or a terminal has no length before it has been read.
            return _unsized(file).owning(file)
        if _is_made_up(descriptor):
            return _unsized(file).owning(file)
        if regular_descriptor(file) is None:
            return _sized(file).owning(file)
        return FileSource(file, descriptor, 0, path)
    except BaseException:
        file.close()
        raise


def _from_file(file: BinaryIO) -> Source:
    if isinstance(file, io.TextIOBase):
        raise TypeError("body is a file in text mode; open it in binary mode")
    seekable = getattr(file, "seekable", None)
    if not ((seekable() if seekable is not None else hasattr(file, "seek")) and hasattr(file, "tell")):
        return _unsized(file)
    descriptor = regular_descriptor(file)
    if descriptor is not None:
        return _unsized(file) if _is_made_up(descriptor) else FileSource(file, descriptor, file.tell())
    return _sized(file)


def _is_made_up(descriptor: int) -> bool:
    """Whether this is a file as in /proc: of size 0, and yet there is something to read."""
    if os.fstat(descriptor).st_size or not hasattr(os, "pread") or not os.pread(descriptor, 1, 0):
        return False
    return not os.fstat(descriptor).st_size


def _sized(file: BinaryIO) -> StreamSource:
    """A file object that can go back, and is read through its own methods."""
    body = body_of(file)
    assert isinstance(body, FileBody)
    return StreamSource(body.blocks, body.length, lambda: body)


def _unsized(file: BinaryIO) -> StreamSource:
    blocks = iter(lambda: file.read(BLOCK), b"")
    return StreamSource(lambda: _checked(blocks), None, lambda: body_of(_checked(blocks)))


def _checked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        if not isinstance(block, bytes | bytearray | memoryview):
            raise TypeError(f"body must yield bytes, not {type(block).__name__}")
        yield block


def _settled(descriptor: int) -> _Snapshot:
    """What the file is now, once a further write to it could not leave the same times behind.

    SourceChanged for one that is written to so often that there is no such moment.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        now = time.time_ns()
        found = _Snapshot.of(os.fstat(descriptor))
        latest = max(found.modified_ns, found.changed_ns)
        # Some file systems count whole seconds.
        coarse = not found.modified_ns % _SECOND_NS and not found.changed_ns % _SECOND_NS
        age = now - latest
        tick = _SECOND_NS if coarse else _TICK_NS
        # One from the future says nothing about when it was written.
        if age < 0 or age >= tick:
            return found
        if time.monotonic() > until:
            raise SourceChanged("the file is written to all the time")
        time.sleep((tick - age) / _SECOND_NS)


def changed(error: SourceChanged | BodyShrunk) -> SourceChanged:
    """What to raise when the file changed every time that it was tried."""
    if isinstance(error, SourceChanged):
        return error
    return SourceChanged("the file became shorter while it was uploaded")
