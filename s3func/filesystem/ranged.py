"""RangedFile: an object as an open file for those who read it here and there: Parquet, ORC, Arrow, archives, HDF5.

The one request that opens it brings its end, where such formats have their table of contents, or its beginning. It says
how long the object is and which one; what is read then is asked for as it is read.

1. All bytes are of one object: another ETag or version in an answer is ObjectChanged.
2. A large read asks for what it wants and for little else: who reads columns knows them. Small ones ask ahead, and more so
   the longer they go straight on.
3. Where small reads lie so close together that a store sends what is between them in the time that it takes to answer,
   as those of some columns of small row groups do, blocks are fetched that grow: one request in place of many. Of a file
   that is no larger than two blocks the second small read brings a block, of one of a few gaps the first brings all.
"""

from __future__ import annotations

import io
import re
from collections import deque
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from s3func.errors import InvalidRange, NotFound, ObjectChanged, ServiceError

if TYPE_CHECKING:
    from s3func.results import GetResult

EDGE_BYTES = 128 * 1024
"""What comes with the opening: pyarrow looks at the last 64 KiB of a file, and few tables of contents are longer."""
_READ_AHEAD = 256 * 1024
_LARGE = 64 * 1024
# Reads that are looked at: those who read row groups in threads do not come in order.
_RECENT = 15
_BLOCK, _BLOCK_MAX = 4 * 1024 * 1024, 16 * 1024 * 1024
_KEPT_BYTES = 32 * 1024 * 1024
# Files of up to so many gaps are fetched whole.
_SMALL = 4
# So large a read is not put together from what is here already and what is not: copying it takes longer.
_WHOLE = 4 * 1024 * 1024
_FROM_THE_END = re.compile(r"\.(?:parquet|parq|pq|orc|feather|arrow|ipc|zip|npz|jar|whl|kmz|docx|xlsx)$", re.IGNORECASE)
_FROM_THE_BEGINNING = re.compile(r"\.(?:h5|hdf5?|he5|nc|nc4|cdf|netcdf|tiff?|gtiff)$", re.IGNORECASE)


def is_read_in_parts(key: str) -> bool:
    """Whether those who open such a file do not read it from its beginning to its end, as its name says."""
    return _FROM_THE_END.search(key) is not None or _FROM_THE_BEGINNING.search(key) is not None


def open_ranged(
    session: Any, bucket: str, key: str, version: str | None, *, block_size: int, max_gap: int
) -> RangedFile | None:
    """Open an object by one request, see RangedFile; None where a store cannot be asked for parts, or there is none to ask for."""
    wanted = (
        {"range_start": 0, "range_end": EDGE_BYTES - 1}
        if _FROM_THE_BEGINNING.search(key)
        else {"range_end": EDGE_BYTES}
    )
    try:
        result = session.get_object(key, version, bucket=bucket, stream=True, **wanted)
    except InvalidRange:
        # An empty object has no last bytes.
        return None
    with result:
        place = re.fullmatch(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)", result.content_range or "")
        if place is None or not result.etag:
            return None
        edge = result.read()
    file = RangedFile(session, bucket, key, int(place[3]), block_size=block_size, max_gap=max_gap)
    file.adopt(result, (int(place[1]), edge))
    return file


class RangedFile(io.BufferedIOBase):
    """A binary file to read from. `.name` is the key; `.result` is the head of the first answer."""

    mode = "rb"

    def __init__(self, session: Any, bucket: str, key: str, size: int, *, block_size: int, max_gap: int) -> None:
        """Nothing is asked before something is read; ObjectChanged then, if the object has another size.

        block_size: what is asked for ahead at most. max_gap: bytes between reads that are fetched with them where the gaps
        are no larger on average; 0 for none.
        """
        super().__init__()
        self.name = key
        self.result: GetResult | None = None
        self.size = size
        self._session = session
        self._bucket = bucket
        self._identity: tuple[str, str | None] | None = None
        self._version: str | None = None
        self._edge = (0, b"")
        self._windows: deque[tuple[int, bytes]] = deque()
        self._lock = Lock()
        self._under_way: dict[tuple[int, int], Event] = {}
        self._block_size = max(block_size, _READ_AHEAD)
        self._max_gap = max_gap
        self._block = _BLOCK
        self._ahead = 0
        self._position = 0
        # Where a read begins that goes straight on, and where the last ones began.
        self._next = -1
        self._recent: deque[int] = deque(maxlen=_RECENT)

    def adopt(self, result: GetResult, edge: tuple[int, bytes]) -> None:
        """Take an answer for the object that this file is of. edge: a part of it, and where it begins."""
        self.result, self._edge, self._identity = result, edge, _identity(result)
        # B2 reads a file by its id and needs no other right for it.
        self._version = result.version_id if self._session.capabilities.versions == "always" else None

    def again(self) -> RangedFile:
        """Another file of the same object, with what the opening has brought; nothing is sent."""
        file = RangedFile(
            self._session, self._bucket, self.name, self.size, block_size=self._block_size, max_gap=self._max_gap
        )
        if self.result is not None:
            file.adopt(self.result, self._edge)
        return file

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The offset of the next byte."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is sent."""
        self._check_open()
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self.size
        elif whence != io.SEEK_SET:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence}")
        if offset < 0:
            raise io.UnsupportedOperation(f"the position is before the beginning: {offset}")
        self._position = offset
        return offset

    def read(self, size: int | None = -1) -> bytes:
        """As many bytes, or all that are left; fewer only at the end."""
        self._check_open()
        start = self._position
        left = max(0, self.size - start)
        end = start + (left if size is None or size < 0 else min(size, left))
        if start >= end:
            return b""
        data = self._bytes(start, end, goes_on=start == self._next)
        self._position = self._next = end
        if start < self._edge[0] or not self._edge[0]:
            # A look at the table of contents says nothing of where the others are.
            self._recent.append(start)
        return data

    def read1(self, size: int = -1) -> bytes:
        """The same."""
        return self.read(size if size >= 0 else _READ_AHEAD)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # io's Buffer has a name since 3.12
        """Fill the buffer; less only at the end."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def readinto1(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # the same
        """The same."""
        return self.readinto(buffer)

    def peek(self, size: int = 0) -> bytes:
        """Bytes from here, without moving; what makes reading lines quick."""
        here = self._position
        data = self.read(max(size, 1024))
        self._position = here
        return data

    def close(self) -> None:
        """Let go of what is kept."""
        self._edge = (0, b"")
        self._windows.clear()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")

    def _bytes(self, start: int, end: int, *, goes_on: bool) -> bytes:
        pieces = []
        while start < end:
            piece = self._here(start, end) or self._brought(start, end, goes_on=goes_on)
            pieces.append(piece)
            start += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _here(self, start: int, end: int) -> bytes:
        """What is here already of these bytes, from the first on."""
        return next((piece for block in (self._edge, *self._windows) if (piece := _part(block, start, end))), b"")

    def _brought(self, start: int, end: int, *, goes_on: bool) -> bytes:
        """Bytes that are not here. DuckDB reads one file in several threads: what one has asked for the others wait for."""
        while True:
            with self._lock:
                piece = self._here(start, end)
                if piece:
                    return piece
                waiting = next((done for (first, stop), done in self._under_way.items() if first <= start < stop), None)
                if waiting is None:
                    first, stop = self._range(start, end, goes_on=goes_on)
                    done = self._under_way[first, stop] = Event()
                    break
            waiting.wait()
        try:
            return self._fetch(first, stop, start, end)
        finally:
            with self._lock:
                del self._under_way[first, stop]
            done.set()

    def _range(self, start: int, end: int, *, goes_on: bool) -> tuple[int, int]:
        """What to ask for, up to the edge where that is near."""
        first, stop = self._around(start, end, goes_on=goes_on)
        edge, length = self._edge[0], len(self._edge[1])
        if not length and end > self.size - EDGE_BYTES:
            # The first look at a file that was opened without asking.
            return min(start, max(0, self.size - EDGE_BYTES)), self.size
        if start < edge < stop <= edge + length and end - start < _WHOLE:
            stop = edge
        return first, stop

    def _fetch(self, first: int, stop: int, start: int, end: int) -> bytes:
        """Ask for a range, and keep of it what nobody wanted yet."""
        result = self._ask(first, stop)
        data: bytes = result.data
        with self._lock:
            if self._identity is None:
                total = (result.content_range or "").rpartition("/")[2]
                if total != str(self.size):
                    raise self._changed("the object was replaced after it was listed", result)
                self.adopt(result, (0, b""))
            elif _identity(result) != self._identity:
                raise self._changed("the object was replaced while it was read", result)
            if stop == self.size and not self._edge[1] and len(data) <= _KEPT_BYTES:
                self._edge = (first, data)
            elif (first, stop) != (start, end):
                self._windows.append((first, data))
                while len(self._windows) > 1 and sum(len(block) for _, block in self._windows) > _KEPT_BYTES:
                    self._windows.popleft()
        return data[start - first : end - first]

    def _changed(self, what: str, answer: GetResult | ServiceError) -> ObjectChanged:
        return ObjectChanged(what, bucket=self._bucket, key=self.name, headers=answer.headers)

    def _around(self, start: int, end: int, *, goes_on: bool) -> tuple[int, int]:
        """What is worth asking for when these bytes are wanted."""
        if self.size <= _SMALL * self._max_gap:
            first, edge = self._edge
            return (0, first) if first else (len(edge), self.size)
        if goes_on:
            self._ahead = min(max(4 * self._ahead, _READ_AHEAD), self._block_size)
        elif self._recent and end - start < self._max_gap and (block := self._block_at(start)):
            first = start - start % block
            return first, min(max(end, first + block), self.size)
        else:
            self._ahead = 0 if end - start >= _LARGE else _READ_AHEAD
        return start, min(max(end, start + self._ahead), self.size)

    def _block_at(self, start: int) -> int:
        """How large a block is worth fetching around one more small read; 0 for none."""
        if self.size <= 2 * _BLOCK_MAX:
            return _BLOCK_MAX
        near = [*self._recent, start]
        if max(near) - min(near) > len(near) * self._max_gap:
            return 0
        block, self._block = self._block, min(2 * self._block, _BLOCK_MAX)
        return block

    def _ask(self, start: int, stop: int) -> GetResult:
        try:
            result: GetResult = self._session.get_object(
                self.name, self._version, range_start=start, range_end=stop - 1, bucket=self._bucket, stream=False
            )
        except (NotFound, InvalidRange) as error:
            if self._identity is None and isinstance(error, NotFound):
                raise FileNotFoundError(f"{self._bucket}/{self.name}") from None
            raise self._changed(
                f"the object was replaced or deleted while it was read ({error.code})", error
            ) from error
        return result


def _identity(result: GetResult) -> tuple[str, str | None]:
    return result.etag, result.version_id


def _part(block: tuple[int, bytes], start: int, end: int) -> bytes:
    first, data = block
    return data[start - first : end - first] if first <= start < first + len(data) else b""
