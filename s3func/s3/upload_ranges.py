"""RangeSender: the parts of a file or a buffer, each read once, summed up while it is hot, and sent from memory.

Rule 1: a task sends one part, the next one that nobody has; as many buffers exist as tasks are under way.
Rule 2: once all bytes of a part are with the kernel, its buffer is used to read the next part, while the store takes
        in what is under way and answers. A part that has to be sent again after that is read again, and has to have
        the same checksum: what was announced is what is sent.
Rule 3: the first parts are read while the upload is being begun.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from threading import Condition, Event, Semaphore
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from s3func.errors import SourceChanged
from s3func.message import BLOCK
from s3func.s3.upload_plan import Buffers, Part
from s3func.transport.sources import BufferSource, FileSource

if TYPE_CHECKING:
    from s3func.s3.upload_parts import PartsUpload

# How often a thread that waits for another one's reading asks whether there is still a point in waiting.
_PATIENCE_SECONDS = 0.1

RangeSource: TypeAlias = BufferSource | FileSource


class _Prepared(NamedTuple):
    """A part in memory: its bytes, the buffer that they are in (None for the caller's own), and their checksum."""

    part: Part
    view: memoryview
    buffer: bytearray | None
    digest: bytes


class RangeSender:
    """The parts of one upload; `send_next` is for the threads of its crew."""

    def __init__(self, upload: PartsUpload, source: RangeSource, parts: Iterable[Part], each: int) -> None:
        self.begun = Event()
        """Set when the upload has its id, or when there will never be one."""
        self._upload = upload
        self._source = source
        self._parts = iter(parts)
        self._buffers = Buffers() if isinstance(source, FileSource) else None
        self._buffer_size = min(each, source.size)
        self._ready: deque[_Prepared] = deque()
        self._changed = Condition()
        # Reading keeps a core busy. If all threads read at once, nobody would be sending: the first ones go ahead.
        self._reading = Semaphore(os.cpu_count() or 1)

    def send_next(self) -> None:
        """Send a part; called as often as there are parts."""
        prepared = self._next()
        self.begun.wait()
        self._upload.crew.check()
        body = _PartBody(self, prepared)
        self._upload.send(prepared.part.number, body, prepared.digest, on_sent=body.hand_over)
        if self._buffers is not None and prepared.buffer is not None and not body.is_handed_over:
            self._buffers.give_back(prepared.buffer)

    def _next(self) -> _Prepared:
        with self._changed:
            if self._ready:
                return self._ready.popleft()
        buffer = None if self._buffers is None else self._buffers.take(self._buffer_size)
        prepared = self._prepare(buffer)
        if prepared is not None:
            return prepared
        # There are as many tasks as parts: the one that is left is just being read ahead.
        if self._buffers is not None and buffer is not None:
            self._buffers.give_back(buffer)
        with self._changed:
            while not self._ready:
                self._changed.wait(_PATIENCE_SECONDS)
                self._upload.crew.check()
            return self._ready.popleft()

    def prepare_next(self, buffer: bytearray | None) -> bool:
        """Read the next part into a buffer that is free now; False when there is none."""
        prepared = self._prepare(buffer)
        if prepared is None:
            return False
        with self._changed:
            self._ready.append(prepared)
            self._changed.notify()
        return True

    def _prepare(self, buffer: bytearray | None) -> _Prepared | None:
        with self._changed:
            part = next(self._parts, None)
        if part is None:
            return None
        hasher = self._upload.hasher()
        with self._reading:
            self._upload.crew.check()
            view = self._source.part(part.start, part.length, buffer, _nothing if hasher is None else hasher.update)
        return _Prepared(part, view, buffer, b"" if hasher is None else hasher.digest())

    def again(self, prepared: _Prepared) -> Iterator[memoryview]:
        """The bytes of a part whose buffer is used for another one by now; SourceChanged when they are not the same."""
        part, hasher = prepared.part, self._upload.hasher()
        assert isinstance(self._source, FileSource)
        left = part.length
        for block in self._source.blocks(part.start, part.length):
            if hasher is not None:
                hasher.update(block)
            left -= len(block)
            if not left and hasher is not None and prepared.digest and hasher.digest() != prepared.digest:
                raise SourceChanged("the file was written to while it was uploaded")
            yield block


class _PartBody:
    """The body of one part; an UploadBody."""

    replayable = True

    def __init__(self, sender: RangeSender, prepared: _Prepared) -> None:
        self.length = prepared.part.length
        self.is_handed_over = False
        """Whether the buffer holds another part, which waits to be sent."""
        self._sender = sender
        self._prepared = prepared

    def blocks(self) -> Iterator[memoryview]:
        """Slices of the buffer; from the file again where the buffer has been handed over."""
        if self.is_handed_over and self._prepared.buffer is not None:
            yield from self._sender.again(self._prepared)
            return
        view = self._prepared.view
        for start in range(0, len(view), BLOCK):
            yield view[start : start + BLOCK]

    def hand_over(self) -> None:
        """All bytes are with the kernel: read the next part while the store takes them in."""
        if not self.is_handed_over:
            self.is_handed_over = self._sender.prepare_next(self._prepared.buffer)


def _nothing(_block: memoryview) -> None:
    """There is no checksum to feed."""
