"""An object that is written piece by piece: one PUT from memory while it is small, then parts, in parallel.

Rule: what is held is what has not been sent. While nothing is sent that is less than the threshold, and then one part
being filled beside those under way, all together never more than `concurrency` parts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from s3func.s3.upload_once import put_once
from s3func.s3.upload_parts import PartsNeededAgain, PartsUpload, Put
from s3func.s3.upload_plan import Buffers, growing_part_size, part_size, stream_concurrency
from s3func.transport.body import BufferBody, FileBody, PiecesBody
from s3func.transport.parallel import Crew

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.results import PutResult

# A body up to this size is joined, and then travels in one piece with its head.
_JOINED = 1024 * 1024
_FIRST = 64 * 1024
_SPOOLED_IN_MEMORY = 8 * 1024 * 1024


class S3UploadStream:
    """Implements session.UploadStream; `size` is given where the length is known beforehand, for the size of parts."""

    def __init__(self, put: Put, size: int | None = None) -> None:
        """Nothing is sent before there is a part to send."""
        self._put = put
        self._size = size
        self._each = None if size is None else part_size(size, put.transfer, put.part_rules)
        self._buffers = Buffers()
        self._held: list[bytearray] = []
        self._number = 1
        self._buffer = bytearray(min(_FIRST, self._length_of(1)))
        self._filled = 0
        self._total = 0
        self._crew: Crew | None = None
        self._upload: PartsUpload | None = None
        self._result: PutResult | None = None
        self._is_over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take in the next bytes; blocks while as many parts as allowed are under way."""
        if self._is_over:
            raise ValueError("the object was finished or aborted: nothing more can be written to it")
        view = memoryview(data)
        # A view with a zero in its shape cannot be cast.
        view = view.cast("B") if view.c_contiguous and view.nbytes else memoryview(bytes(view))
        while view:
            if self._filled == len(self._buffer):
                self._make_room()
            count = min(len(view), len(self._buffer) - self._filled)
            self._buffer[self._filled : self._filled + count] = view[:count]
            self._filled += count
            self._total += count
            view = view[count:]

    def finish(self) -> PutResult:
        """Publish the object; whatever goes wrong leaves nothing behind."""
        if self._result is not None:
            return self._result
        if self._is_over:
            raise ValueError("the object was aborted")
        self._is_over = True
        try:
            result = self._publish()
        except PartsNeededAgain as again:
            # They are gone: whoever still has them may write them again.
            self._give_up(again.conflict)
            raise again.conflict from None
        except BaseException as error:
            self._give_up(error)
            raise
        self._let_go()
        self._put.progress.finish(self._total)
        self._result = result
        return result

    def abort(self, reason: BaseException | None = None) -> None:
        """Leave nothing behind; what goes wrong with that is noted on the reason."""
        if self._is_over:
            return
        self._is_over = True
        self._give_up(reason)

    def _publish(self) -> PutResult:
        put = self._put
        if self._upload is None and put.multipart is not True and not (self._held and self._is_large()):
            pieces = [*[memoryview(buffer) for buffer in self._held], memoryview(self._buffer)[: self._filled]]
            body: Any = b"".join(pieces) if self._total <= _JOINED else PiecesBody(pieces)
            return put_once(put, body)
        upload, crew = self._begun()
        if self._filled or self._number == 1:
            self._submit(upload, crew)
        crew.join()
        return upload.complete()

    def _give_up(self, reason: BaseException | None) -> None:
        crew, upload = self._crew, self._upload
        self._let_go()
        if crew is not None:
            crew.cancel()
        if upload is not None:
            upload.abort(reason)

    def _let_go(self) -> None:
        if self._upload is not None:
            self._upload.leave()
        self._held.clear()
        self._buffer = bytearray()
        self._buffers = Buffers()
        self._upload = self._crew = None

    def _length_of(self, number: int) -> int:
        if self._each is not None:
            return self._each
        return growing_part_size(number, self._put.transfer, self._put.part_rules)

    def _is_large(self) -> bool:
        transfer = self._put.transfer
        return self._total >= min(transfer.multipart_threshold, transfer.concurrency * self._length_of(1))

    def _make_room(self) -> None:
        """The buffer is full: make it larger, hold it, or send it."""
        wanted = self._length_of(self._number)
        if len(self._buffer) < wanted:
            # Most objects are small, and end in the first and small buffer.
            larger = bytearray(wanted)
            larger[: self._filled] = self._buffer
            self._buffer = larger
            return
        if self._upload is None and self._put.multipart is not True and not self._is_large():
            self._held.append(self._buffer)
            self._number += 1
            self._buffer, self._filled = bytearray(self._length_of(self._number)), 0
            return
        upload, crew = self._begun()
        self._submit(upload, crew)
        # Not before one of those under way is through: its buffer is the next one.
        wanted = self._length_of(self._number)
        if wanted > self._length_of(1):
            crew.limit.lower(stream_concurrency(wanted, self._put.transfer))
        crew.wait_for_room()
        self._buffer, self._filled = self._buffers.take(wanted), 0

    def _begun(self) -> tuple[PartsUpload, Crew]:
        """The upload, begun, with all on its way that was held."""
        if self._upload is not None and self._crew is not None:
            return self._upload, self._crew
        self._crew = crew = Crew(self._put.transfer.concurrency)
        self._upload = upload = PartsUpload(self._put, crew)
        upload.begin()
        held, self._held = self._held, []
        for number, buffer in enumerate(held, 1):
            crew.submit(partial(_send, upload, number, buffer, len(buffer), self._buffers.give_back))
        return upload, crew

    def _submit(self, upload: PartsUpload, crew: Crew) -> None:
        buffer, length = self._buffer, self._filled
        self._buffer, self._filled = bytearray(), 0
        crew.submit(partial(_send, upload, self._number, buffer, length, self._buffers.give_back))
        self._number += 1


def _send(
    upload: PartsUpload, number: int, buffer: bytearray, length: int, give_back: Callable[[bytearray], None]
) -> None:
    view = memoryview(buffer)[:length]
    hasher = upload.hasher()
    if hasher is not None:
        for start in range(0, length, _JOINED):
            hasher.update(view[start : start + _JOINED])
    upload.send(number, BufferBody(view), b"" if hasher is None else hasher.digest())
    give_back(buffer)


class SpooledStream:
    """Implements session.UploadStream where parts are not wanted: a temporary file, sent in one request at the end."""

    def __init__(self, put: Put) -> None:
        """Nothing is sent before it is finished."""
        from tempfile import SpooledTemporaryFile

        self._put = put
        self._spool = SpooledTemporaryFile(max_size=_SPOOLED_IN_MEMORY)  # noqa: SIM115 -- closed by finish or abort
        self._result: PutResult | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the bytes."""
        if self._spool.closed:
            raise ValueError("the object was finished or aborted: nothing more can be written to it")
        self._spool.write(data)

    def finish(self) -> PutResult:
        """Send all of it."""
        if self._result is None:
            if self._spool.closed:
                raise ValueError("the object was aborted")
            with self._spool as spool:
                file: Any = spool
                self._result = put_once(self._put, FileBody(file, 0, spool.tell(), owned=False))
        return self._result

    def abort(self) -> None:
        """Forget it."""
        self._spool.close()
