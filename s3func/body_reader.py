"""RawBody: the bytes of an object as a raw binary file: checked as they come, resumed where they break, seekable.

Rule 1: all bytes are of one version. Whatever is asked for behind the first answer is asked for with its ETag, and an
        object that was replaced meanwhile is ObjectChanged.
Rule 2: no read returns fewer bytes than there are and calls it the end: a body that cannot be completed raises.
Rule 3: after an error every further read raises it again, until somebody seeks: where a buffer above this file stood
        when the error came, nobody knows.
Reading on is one long answer. Reading elsewhere is a short range that is kept, while the long answer waits for whoever
comes back to it: an archive is a look at its end and then its members in order. A checksum of the whole object is
compared when the long answer was read from its first byte to its last one.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

from s3func.errors import ChecksumMismatch, ConnectionLost, DeadlineExceeded, S3FuncError, TransportError, TruncatedBody
from s3func.message import BLOCK
from s3func.transport.retry import is_transient

if TYPE_CHECKING:
    from s3func.message import BodyStream
    from s3func.wire.checksum import Hasher

READ_AHEAD = BLOCK
"""Bytes that a read at a new place asks for; four times as many with each further one that goes on from there."""
BUFFER = 64 * 1024
"""What a buffer above takes at a time when it looks for the next line, or for a few bytes."""
# Skipping this much of an answer that is coming anyway takes no longer than asking for another one.
_SKIPPED_MAX = 4 * BLOCK
# Up to this size a range is kept in memory, beyond it everything to the end is asked for and read as it comes.
_WINDOW_MAX = 4 * BLOCK


class Reopener(Protocol):
    """Asks the store again for bytes of the very object that a body is of."""

    bucket: str | None
    key: str | None
    pinned: bool
    """Whether there is something (an ETag) by which the store can be told which object is meant."""

    def reopen(
        self,
        first: int,
        last: int | None,
        broken: S3FuncError | None = None,
        failures: int = 0,
        *,
        afresh: bool = False,
    ) -> BodyStream:
        """The object's bytes from `first` to `last`, both included, or to its end; ObjectChanged when it is another one.

        broken: what ended the body just now, for the `failures`-th time in a row with no byte between; the retry policy
        decides whether there is another attempt, and waits before it. afresh: a call with a time limit of its own.
        """


class MemoryBody(io.BytesIO):
    """A body that is here already, with the manners of a file."""

    __slots__ = ()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; not to before the beginning, which io.BytesIO would take for the beginning."""
        if offset < 0:
            here = self.tell()
            start = {io.SEEK_CUR: here, io.SEEK_END: super().seek(0, io.SEEK_END)}.get(whence, 0)
            if start + offset < 0:
                super().seek(here)
                raise _before_the_beginning(offset)
            return super().seek(start + offset)
        return super().seek(offset, whence)


def _before_the_beginning(offset: int) -> io.UnsupportedOperation:
    # Files raise an OSError (zipfile waits for it), io.BytesIO a ValueError; this is both.
    return io.UnsupportedOperation(f"the position is before the beginning: {offset}")


class RawBody(io.RawIOBase):
    """The body of one answer, or the whole object behind it. Positions count from the body's first byte."""

    def __init__(
        self,
        stream: BodyStream,
        *,
        length: int | None,
        first: int | None = 0,
        algorithm: str = "",
        expected: str = "",
    ) -> None:
        """length: of the body, where it is known. first: where in the object it begins; None when nobody knows."""
        super().__init__()
        self._stream: BodyStream | None = stream
        self._length = length
        self._first = first
        self._algorithm = algorithm
        self._expected = expected
        self._hasher = self._new_hasher()
        # The stream's next byte and its end; None until the end is known.
        self._at = 0
        self._end = length
        self._position = 0
        self._window = b""
        self._window_start = 0
        self._failures = 0
        self._broke_at = -1
        self._failure: S3FuncError | None = None
        self._opened_now = False
        self.reopener: Reopener | None = None
        self.read_ahead = self._ahead = READ_AHEAD
        # A file may stay open for hours, so each of its requests is a call of its own; a result's body is one call.
        self.is_file = False
        if length == 0:
            self._drop()
            self._verify()

    def _new_hasher(self) -> Hasher | None:
        if not self._algorithm:
            return None
        from s3func.wire.checksum import hasher

        return hasher(self._algorithm)

    def waive_verification(self) -> None:
        """Compare nothing at the end."""
        self._algorithm, self._hasher = "", None

    # --- what io asks of a raw file

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """Whether the store can be asked for other bytes of the same object."""
        self._check_open()
        return self._can_ask() and self._length is not None

    def tell(self) -> int:
        """The offset of the next byte; raises what the last read raised, if that failed."""
        self._check_open()
        if self._failure is not None:
            raise self._again(self._failure)
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is sent before something is read there. After an error only to an absolute place."""
        if not self.seekable():
            raise io.UnsupportedOperation("the store sent no ETag or no length, so other bytes cannot be asked for")
        if whence == io.SEEK_CUR:
            offset += self.tell()
        elif whence == io.SEEK_END:
            offset += self._length or 0
        elif whence != io.SEEK_SET:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence}")
        if offset < 0:
            raise _before_the_beginning(offset)
        self._failure = None
        self._position = offset
        return offset

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # io's Buffer has a name since 3.12
        """Fill a part of the buffer; 0 at the end and nowhere else."""
        view = memoryview(buffer)
        if view.format != "B" or view.ndim != 1:
            view = view.cast("B")
        # The usual case costs as little as it can: the stream goes on.
        goes_on = self._stream is not None and self._at == self._position
        if not goes_on:
            self._check_open()
            if self._failure is not None:
                raise self._again(self._failure)
        if not view:
            return 0
        self._opened_now = False
        try:
            count = self._receive(view) if goes_on else self._read_into(view)
        except BaseException as error:
            self._fail(error)
            raise
        self._position += count
        return count

    def readall(self) -> bytes:
        """Everything from here to the end."""
        if not self.closed and self._failure is None and self._is_elsewhere():
            # One long answer, and no range that was meant for a look around; but an end is looked at as any other place.
            if (self._length or 0) - self._position > self.read_ahead:
                try:
                    self._open(self._position, self._length)
                except BaseException as error:
                    self._fail(error)
                    raise
        blocks = []
        block = memoryview(bytearray(BLOCK))
        filled = 0
        while count := self.readinto(block[filled:]):
            filled += count
            if filled == BLOCK:
                blocks.append(block)
                block = memoryview(bytearray(BLOCK))
                filled = 0
        return b"".join([*blocks, block[:filled]])

    def close(self) -> None:
        """Give up what has not been read."""
        if not self.closed:
            self._drop()
            self._window = b""
            super().close()

    # --- where the bytes come from

    def _check_open(self) -> None:
        if self.closed:
            # Never b"", which would look like the end of the body.
            raise ValueError("the body is closed")

    def _can_ask(self) -> bool:
        return self.reopener is not None and self.reopener.pinned and self._first is not None

    def _is_elsewhere(self) -> bool:
        """Whether the next byte is neither in the window nor, soon enough, in the stream."""
        position = self._position
        if self._window_start <= position < self._window_start + len(self._window):
            return False
        if self._stream is None or not self._at <= position <= self._at + _SKIPPED_MAX:
            return True
        # A stream that was asked for to serve one large read ends before the object does.
        return self._end is not None and position >= self._end

    def _read_into(self, view: memoryview) -> int:
        position = self._position
        if self._length is not None and position >= self._length:
            return 0
        if self._is_elsewhere():
            if self._length is None:
                return 0  # the end was reached, or it would be known
            self._go(position, len(view))
        start = position - self._window_start
        block = self._window[start : start + len(view)] if start >= 0 else b""
        if block:
            view[: len(block)] = block
            return len(block)
        if self._at < position:
            self._skip_to(position)
        return self._receive(view)

    def _go(self, position: int, wanted: int) -> None:
        """Fetch a range that begins at the position, or open an answer that does."""
        length = self._length or 0
        window_ends = bool(self._window) and position == self._window_start + len(self._window)
        goes_on = window_ends or (self._stream is None and position == self._at)
        self._ahead = 4 * self._ahead if goes_on else self.read_ahead
        # Only a reader that begins at the beginning can have the checksum compared.
        if position == 0 or self._ahead > max(_WINDOW_MAX, self.read_ahead):
            self._open(position, length)
            return
        # A buffer above asks for most of a large piece in one read, and for the rest of it, less than a buffer, in another.
        end = min(length, position + max(wanted + min(self.read_ahead, BUFFER), self._ahead))
        if wanted > _WINDOW_MAX:
            self._open(position, end)
            return
        if not goes_on and end == length:
            # What stands at the end (a directory, a footer) is read backwards.
            position = min(position, max(0, length - self._ahead))
        with RawBody(self._ask(position, end), length=end - position, first=(self._first or 0) + position) as piece:
            piece.reopener, piece.is_file = self.reopener, self.is_file
            self._window = piece.readall()
        self._window_start = position

    def _open(self, position: int, end: int | None) -> None:
        """Read from here as it comes, in place of the answer that was being read."""
        self._finish()
        self._window = b""
        self._stream = self._ask(position, end)
        self._at = position
        self._end = end
        self._hasher = self._new_hasher() if position == 0 and end == self._length else None

    def _finish(self) -> None:
        """Let go of the stream; where little of it is left, the connection is worth reading that for."""
        stream = self._stream
        left = 0 if self._end is None else self._end - self._at
        if stream is not None and 0 < left <= BUFFER:
            scratch = memoryview(bytearray(left))
            try:
                while left and (count := stream.readinto(scratch[:left])):
                    left -= count
            except S3FuncError:
                pass
        self._drop()

    def _ask(self, position: int, end: int | None, broken: S3FuncError | None = None, failures: int = 0) -> BodyStream:
        reopener = self.reopener
        if reopener is None or self._first is None:
            raise io.UnsupportedOperation("other bytes of this body cannot be asked for")
        last = None if end is None else self._first + end - 1
        self._opened_now = True
        return reopener.reopen(self._first + position, last, broken, failures, afresh=self.is_file)

    def _skip_to(self, position: int) -> None:
        scratch = memoryview(bytearray(min(BLOCK, position - self._at)))
        while self._at < position and self._receive(scratch[: position - self._at]):
            pass

    def _receive(self, view: memoryview) -> int:
        """The next bytes of the stream; one that breaks is asked for again from where it broke."""
        while True:
            if self._end is not None and self._end - self._at < len(view):
                view = view[: self._end - self._at]
            stream = self._stream
            try:
                if stream is None:
                    raise ConnectionLost("the body was given up before its end")
                count = stream.readinto(view)
                if count == 0 and self._end is not None:
                    raise TruncatedBody(f"the body ended {self._end - self._at} bytes early")
                break
            except TransportError as error:
                self._resume(error)
        if count:
            if self._hasher is not None:
                self._hasher.update(view[:count])
            self._at += count
        else:
            self._length = self._end = self._at
        if self._at == self._end:
            # Whoever knows the size stops reading here, so this is where it is judged.
            self._drop()
            self._verify()
        return count

    def _resume(self, error: TransportError) -> None:
        """Ask for the rest of the stream, or raise what broke it."""
        self._drop()
        if not self._can_ask():
            raise error
        if isinstance(error, DeadlineExceeded) and self.is_file and not self._opened_now:
            # The time of the call that brought the stream is over, that of this read has only begun.
            self._stream = self._ask(self._at, self._end)
            return
        if not is_transient(error):
            raise error
        self._failures = self._failures + 1 if self._at == self._broke_at else 1
        self._broke_at = self._at
        self._stream = self._ask(self._at, self._end, error, self._failures)

    def _verify(self) -> None:
        hasher, self._hasher = self._hasher, None
        if hasher is not None and hasher.base64() != self._expected:
            raise ChecksumMismatch(
                f"the body's {self._algorithm} is {hasher.base64()}, the store's is {self._expected}"
            )

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _fail(self, error: BaseException) -> None:
        """Remember the error for further reads, without its traceback, which would keep half the program alive."""
        self._drop()
        if isinstance(error, S3FuncError):
            if self.reopener is not None and error.bucket is None:
                error.bucket, error.key = self.reopener.bucket, self.reopener.key
            self._failure = self._again(error)
        else:
            self._failure = ConnectionLost("reading the body was interrupted before")

    @staticmethod
    def _again(error: S3FuncError) -> S3FuncError:
        from copy import copy

        return copy(error)
