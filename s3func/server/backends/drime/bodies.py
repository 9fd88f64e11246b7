"""Open bodies of the Drime store: spooled on the way in, streamed on the way out, copied inside of Drime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from s3func.errors import ServiceError, TruncatedBody
from s3func.server.backend import Guard, ObjectAttributes, Part, StoredObject
from s3func.server.backends.drafts import Draft, Publish, Reader
from s3func.server.backends.drime.service import ATTEMPTS, Download
from s3func.server.backends.drime.spool import SpooledBody

READ_AHEAD = 8 * 1024 * 1024
"""Bytes that a reader asks for at once after it jumped and read on; it doubles as long as it reads on."""

Put = Callable[[SpooledBody, ObjectAttributes, Guard | None], StoredObject]
KeepPart = Callable[[SpooledBody, Mapping[str, str], Mapping[str, str]], Part]


class _Spooled(Draft):
    """A body on its way in."""

    def __init__(self, body: SpooledBody) -> None:
        self._body = body

    @property
    def size(self) -> int:
        return self._body.size

    @property
    def md5(self) -> bytes:
        return self._body.md5

    def write(self, block: bytes | bytearray | memoryview) -> None:
        self._check_open()
        self._body.write(block)

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._body.discard()


class DrimeWriter(_Spooled):
    """An object to be."""

    def __init__(self, body: SpooledBody, put: Put) -> None:
        super().__init__(body)
        self._put = put

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        self._check_open()
        try:
            self._body.finish()
            return self._put(self._body, attributes, guard)
        finally:
            self.abort()


class DrimePartWriter(_Spooled):
    """A part to be."""

    def __init__(self, body: SpooledBody, keep: KeepPart) -> None:
        super().__init__(body)
        self._keep = keep

    def commit(self, checksums: Mapping[str, str] = {}, documents: Mapping[str, str] = {}) -> Part:
        self._check_open()
        try:
            self._body.finish()
            return self._keep(self._body, checksums, documents)
        finally:
            self.abort()


class DrimeCopy(Draft):
    """A copy to be made."""

    def __init__(self, source: StoredObject, publish: Publish, unpin: Callable[[], None]) -> None:
        self.source = source
        self._publish = publish
        self._unpin = unpin

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        self._check_open()
        try:
            return self._publish(attributes, guard)
        finally:
            self.abort()

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._unpin()


class DrimeReader(Reader):
    """An open body: a stream of Drime's, and after a jump another one. What breaks is asked for again."""

    def __init__(
        self,
        stored: StoredObject,
        parts: Sequence[Part],
        open_range: Callable[[int, int], Download],
        unpin: Callable[[], None],
    ) -> None:
        self.stored = stored
        self.parts = parts
        self._open_range = open_range
        self._unpin = unpin
        self._lock = Lock()
        self._download: Download | None = None
        self._place = 0
        self._end = 0
        self._ahead = 0
        self._is_open = True

    def read_at(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self.stored.size)
        blocks = []
        failures = 0
        with self._lock:
            while offset < end:
                try:
                    block = self._read(offset, end)
                except (ServiceError, TruncatedBody) as error:
                    self._let_go()
                    failures += 1
                    if failures == ATTEMPTS or getattr(error, "status", 503) != 503:
                        raise
                    continue
                blocks.append(block)
                offset += len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def close(self) -> None:
        with self._lock:
            self._let_go()
            if self._is_open:
                self._is_open = False
                self._unpin()

    def _read(self, offset: int, end: int) -> bytes:
        """Some of these bytes, at least one."""
        if self._download is None or offset != self._place or offset == self._end:
            self._let_go()
            # Who begins at the beginning usually wants all of it. Who jumps may want no more than this, and who reads
            # on then will do so again.
            if offset == 0:
                self._ahead = self.stored.size
            else:
                self._ahead = min(max(2 * self._ahead, READ_AHEAD), 1 << 40) if offset == self._place else 0
            until = min(max(end, offset + self._ahead), self.stored.size)
            self._download = self._open_range(offset, until)
            self._place, self._end = offset, until
        block = self._download.read(min(end, self._end) - offset)
        if not block:
            raise TruncatedBody("the body ended before its length")
        self._place += len(block)
        return block

    def _let_go(self) -> None:
        if self._download is not None:
            download, self._download = self._download, None
            download.close()
