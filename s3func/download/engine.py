"""The downloading itself: one answer tells how large the object is, and whether more connections shall help.

Rule 1: a small object costs one request, and nothing that a large one needs.
Rule 2: all ranges are of one version: each carries If-Match and is compared with the first answer. A replaced object
        is begun again from its beginning.
Rule 3: bytes are touched once on their way: one buffer per thread, its checksum taken while it is in the cache.
"""

from __future__ import annotations

import re
from collections import deque
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from s3func.download.follower import Follower
from s3func.download.journal import PartTarget, Subject, Written
from s3func.download.result import DownloadResult
from s3func.errors import (
    ChecksumMismatch,
    InvalidRange,
    ObjectChanged,
    PreconditionFailed,
    ProtocolError,
    TruncatedBody,
)
from s3func.transport.parallel import AdaptiveLimit, Crew
from s3func.wire.checksum import combine, encode, hasher

if TYPE_CHECKING:
    from s3func.download.source import ObjectSource
    from s3func.download.target import Target
    from s3func.results import GetResult
    from s3func.transport.transfer import ProgressCount, TransferConfig
    from s3func.wire.checksum import Hasher

MIB = 1024 * 1024
_BUFFER_BYTES = 512 * 1024
_RANGE_BYTES = 64 * MIB
"""What a range should be: its 20 ms without a byte are 2.6 % of it at 90 MB/s, and 5.2 % of 32 MiB."""
_RANGE_MIN = 8 * MIB
_ROUND_MIN = 16 * MIB
"""From this length on there are two rounds rather than one, so that one slow connection is not waited for alone."""
_BLOCK_BYTES = 8 * MIB
"""What a journal notes at a time: at most this much per connection is fetched again after a kill."""
_BLOCKS_MAX = 100_000
_RESTARTS = 3
_CRCS = frozenset({"crc32", "crc32c", "crc64nvme"})


class Piece:
    """A range that one thread fetches, and how far it has come."""

    __slots__ = ("block_end", "block_start", "end", "hasher", "position", "start")

    def __init__(self, start: int, end: int) -> None:
        """end: behind the last byte."""
        self.start = self.position = self.block_start = self.block_end = start
        self.end = end
        self.hasher: Hasher | None = None


class Facts(NamedTuple):
    """What the first answer says of the object."""

    etag: str | None
    size: int | None
    checksum: tuple[str, str] | None
    version_id: str | None
    is_whole: bool
    """Whether the answer is the object from its first to its last byte."""


class Download:
    """One call of download_file."""

    def __init__(
        self, source: ObjectSource, target: Target, transfer: TransferConfig, count: ProgressCount, *, compare: bool
    ) -> None:
        """compare: whether a checksum that an earlier call has noted counts; the first answer brings its own or none."""
        self._source = source
        self._target = target
        self._transfer = transfer
        self._count = count
        self._compares = compare
        self._facts = Facts(None, None, None, None, is_whole=True)
        self._algorithm: str | None = None
        self._block_bytes = _BLOCK_BYTES
        self._written: list[Written] = []
        self._buffers: deque[memoryview] = deque()
        self._one_stream = False
        self._has_begun = False
        self._refused_etag: str | None = None
        self._digest: bytes | None = None

    def run(self, *, fsync: bool) -> DownloadResult:
        """Download, compare, publish; on any failure the target is told to leave nothing."""
        restarts = 0
        try:
            while True:
                try:
                    return self._attempt(fsync=fsync)
                except (PreconditionFailed, InvalidRange):
                    # Before the first answer the condition is the caller's own; behind it the object is another one (a
                    # shorter one, perhaps, where a store looks at the range and not at If-Match).
                    if not self._has_begun or restarts == _RESTARTS or not self._target.can_begin_again():
                        raise
                    restarts += 1
                    self._refused_etag = self._facts.etag
                except _RangesRefused:
                    # One stream asks for no range, so this is not raised twice.
                    self._one_stream = True
        except BaseException as error:
            # What was downloaded is wrong, or of a version that is gone: nothing to go on with.
            useless = ChecksumMismatch | PreconditionFailed | InvalidRange
            self._target.discard(keep=not isinstance(error, useless))
            raise
        finally:
            self._buffers.clear()

    def _attempt(self, *, fsync: bool) -> DownloadResult:
        self._has_begun = False
        self._written = []
        self._digest = None
        first = self._continued() or self._begun()
        try:
            self._has_begun = True
            facts = self._facts
            if facts.etag is not None and facts.etag == self._refused_etag:
                # It has not been replaced: this store does not understand If-Match with its own ETags.
                self._one_stream = True
            already = sum(block.length for block in self._written)
            self._count.restart(facts.size)
            self._count.add(already)
            if facts.size is None:
                size = self._copy_all(first)
                verified = facts.checksum is not None
            else:
                size = facts.size
                verified = self._fetch(first, size)
            if not verified and facts.checksum is not None:
                self._compare(facts.checksum, size)
        finally:
            first.close()
        self._target.publish(size, fsync=fsync)
        self._count.finish(size)
        checksum = None if facts.checksum is None else facts.checksum[0]
        path = getattr(self._target, "path", None)
        return DownloadResult(first.status, first.headers, size, checksum, already, path)

    # --- the first answer

    def _continued(self) -> GetResult | None:
        """Go on with what an earlier call has left, when the object is still the same."""
        target = self._target
        if not isinstance(target, PartTarget) or target.found is None:
            return None
        found = target.found
        missing = gaps(target.written, found.size)
        # With nothing missing the last byte is asked for once more: the answer says whether it is still that object.
        start = missing[0][0] if missing else found.size - 1
        try:
            first = self._source.get_from(start, found.etag)
        except (PreconditionFailed, InvalidRange, ProtocolError):
            return None
        if not _is_same(first, found.etag, found.size):
            first.close()
            return None
        try:
            target.go_on()
        except BaseException:
            first.close()
            raise
        self._written = list(target.written)
        self._algorithm = found.algorithm
        checksum = found.checksum if self._compares else None
        self._facts = Facts(found.etag, found.size, checksum, found.version_id, is_whole=False)
        return first

    def _begun(self) -> GetResult:
        first = self._source.get()
        try:
            etag = first.headers.get("etag")
            # A weak ETag is no promise that two answers have the same bytes, and If-Match never finds it to be equal.
            strong = etag if etag and not etag.startswith("W/") else None
            self._facts = Facts(strong, first.size, first.checksum, first.version_id, is_whole=True)
            self._target.begin(first.size)
            self._describe()
        except BaseException:
            first.close()
            raise
        return first

    def _describe(self) -> None:
        """Decide whose checksum is taken of each block, and begin the journal where there is one."""
        facts, target = self._facts, self._target
        whole = facts.checksum[0] if facts.checksum is not None else None
        self._algorithm = whole if whole in _CRCS else None
        if isinstance(target, PartTarget) and facts.etag is not None and facts.size is not None:
            self._algorithm = self._algorithm or "crc32"
            source = self._source
            target.describe(
                Subject(source.name, source.version_id, facts.etag, facts.size, self._algorithm, facts.checksum)
            )

    # --- the bytes

    def _fetch(self, first: GetResult, size: int) -> bool:
        """Fetch what is missing; whether the first answer itself has compared the checksum."""
        missing = gaps(self._written, size)
        length = self._range_bytes(sum(end - start for start, end in missing))
        # Made as they are needed: of 50 TB there are 800,000.
        pieces = (Piece(at, min(at + length, end)) for start, end in missing for at in range(start, end, length))
        number_of_pieces = sum(-(-(end - start) // length) for start, end in missing)
        has_journal = isinstance(self._target, PartTarget) and self._facts.etag is not None
        noted = min(_BLOCK_BYTES, self._transfer.part_size or _BLOCK_BYTES)
        self._block_bytes = max(noted, size // _BLOCKS_MAX) if has_journal else length
        is_one = self._facts.is_whole and number_of_pieces <= 1
        if is_one:
            # The answer compares its own checksum.
            if not has_journal:
                self._algorithm = None
        else:
            first.waive_verification()
        if number_of_pieces == 1 or self._transfer.concurrency == 1:
            for number, piece in enumerate(pieces):
                self._run_piece(piece, first if number == 0 else None, self._source, None)
            return is_one
        with self._following(size) as follower:
            with Crew(AdaptiveLimit(self._transfer.concurrency), name="s3func-download") as crew:
                source = self._source.for_crew(crew)
                for number, piece in enumerate(pieces):
                    if follower is not None:
                        follower.expect(piece)
                    crew.submit(partial(self._run_piece, piece, first if number == 0 else None, source, crew, follower))
            if follower is not None:
                self._digest = follower.finish()
        return is_one

    def _following(self, size: int) -> Follower | nullcontext[None]:
        """Whoever takes the digest meanwhile, if it is one that cannot be put together from those of pieces."""
        checksum = self._facts.checksum
        if checksum is None or checksum[0] in _CRCS or not self._target.rereadable:
            return nullcontext()
        return Follower(self._target, hasher(checksum[0]), size)

    def _range_bytes(self, missing: int) -> int:
        """How long the ranges are; all that is missing, where there shall be one."""
        facts, transfer = self._facts, self._transfer
        checksum = facts.checksum
        whole = (
            self._one_stream
            or self._target.in_order
            or missing < transfer.multipart_threshold
            or (facts.etag is None and facts.version_id is None)
            or transfer.concurrency == 1
            # A digest that cannot be put together from its pieces is taken of the stream, or of the file.
            or (checksum is not None and checksum[0] not in _CRCS and not self._target.rereadable)
        )
        if whole:
            return max(missing, 1)
        return transfer.part_size or range_bytes(missing, transfer.concurrency)

    def _run_piece(
        self,
        piece: Piece,
        answer: GetResult | None,
        source: ObjectSource,
        crew: Crew | None,
        follower: Follower | None = None,
    ) -> None:
        """Fetch one range, the first one from the answer that is there already."""
        room = min(_BUFFER_BYTES, piece.end - piece.start)
        buffer = self._buffers.pop() if self._buffers else memoryview(bytearray(room))
        with answer or self._range(piece, source) as result:
            self._copy(piece, result, buffer, crew, follower)
        self._buffers.append(buffer)

    def _range(self, piece: Piece, source: ObjectSource) -> GetResult:
        facts = self._facts
        version_id = facts.version_id if facts.etag is None else None
        try:
            result = source.get_range(piece.start, piece.end, facts.etag, version_id)
        except ProtocolError as error:
            raise _RangesRefused from error
        length = piece.end - piece.start
        if (result.size is None or result.size == length) and _is_same(result, facts.etag, facts.size):
            return result
        result.close()
        raise ObjectChanged("the object was replaced while it was downloaded", bucket=source.bucket, key=source.key)

    def _copy(
        self, piece: Piece, result: GetResult, buffer: memoryview, crew: Crew | None, follower: Follower | None
    ) -> None:
        bandwidth, target, count = self._transfer.bandwidth, self._target, self._count
        if bandwidth is not None:
            buffer = buffer[: bandwidth.piece]
        # Nothing else reads from it, so the buffer that a result has for its lines is left out.
        body = result if result.raw is None else result.raw
        while piece.position < piece.end:
            if piece.position == piece.block_end:
                self._next_block(piece)
            # Whatever pieces the network brings, a buffer is handed on when it is full.
            room = min(len(buffer), piece.block_end - piece.position)
            filled = 0
            while filled < room and (received := body.readinto(buffer[filled:room])):
                filled += received
            if crew is not None:
                crew.check()
            if not filled:
                raise TruncatedBody(f"the body ended {piece.end - piece.position} bytes early")
            block = buffer[:filled]
            if bandwidth is not None:
                bandwidth.take(filled, None if crew is None else crew.wait)
            if piece.hasher is not None:
                piece.hasher.update(block)
            target.write(block, piece.position)
            piece.position += filled
            if follower is not None:
                follower.grown(piece)
            count.add(filled)
            if piece.position == piece.block_end and piece.hasher is not None:
                self._note(Written(piece.block_start, piece.position - piece.block_start, piece.hasher.digest()))

    def _next_block(self, piece: Piece) -> None:
        piece.block_start = piece.position
        piece.block_end = min(piece.position + self._block_bytes, piece.end)
        piece.hasher = None if self._algorithm is None else hasher(self._algorithm)

    def _note(self, written: Written) -> None:
        self._written.append(written)
        if isinstance(self._target, PartTarget):
            self._target.note(written)

    def _copy_all(self, result: GetResult) -> int:
        """The bytes of a body whose length nobody knows; how many those were."""
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        bandwidth = self._transfer.bandwidth
        if bandwidth is not None:
            buffer = buffer[: bandwidth.piece]
        position = 0
        while received := result.readinto(buffer):
            if bandwidth is not None:
                bandwidth.take(received)
            self._target.write(buffer[:received], position)
            position += received
            self._count.add(received)
        return position

    # --- the comparison

    def _compare(self, checksum: tuple[str, str], size: int) -> None:
        """ChecksumMismatch unless what was written is what the store keeps."""
        algorithm, expected = checksum
        if algorithm in _CRCS and algorithm == self._algorithm:
            digest = joined(algorithm, self._written)
        elif self._digest is not None:
            digest = self._digest
        else:
            digest = self._read_again(algorithm, size)
        if encode(digest) != expected:
            error = ChecksumMismatch(f"the object's {algorithm} is {encode(digest)}, the store's is {expected}")
            error.bucket, error.key = self._source.bucket, self._source.key
            raise error

    def _read_again(self, algorithm: str, size: int) -> bytes:
        digest = hasher(algorithm)
        buffer = memoryview(bytearray(min(size, MIB) or 1))
        position = 0
        while position < size and (
            count := self._target.readinto(buffer[: min(len(buffer), size - position)], position)
        ):
            digest.update(buffer[:count])
            position += count
        return digest.digest()


class _RangesRefused(Exception):
    """The store does not send ranges: one stream is what is left."""


def range_bytes(size: int, connections: int) -> int:
    """The length of the ranges of so many bytes: a whole number of rounds, so that all connections end together."""
    rounds = max(1, min(2, size // (connections * _ROUND_MIN)), round(size / (connections * _RANGE_BYTES)))
    length = -(-size // (connections * rounds))
    # Whole MiB are whole pages.
    return max(_RANGE_MIN, -(-length // MIB) * MIB)


def gaps(written: list[Written], size: int) -> list[tuple[int, int]]:
    """What lies between the blocks, which do not overlap."""
    missing = []
    position = 0
    for block in sorted(written):
        if block.start > position:
            missing.append((position, block.start))
        position = block.start + block.length
    if position < size:
        missing.append((position, size))
    return missing


def joined(algorithm: str, written: list[Written]) -> bytes:
    """The digest of the whole, from those of its blocks."""
    digest = hasher(algorithm).digest()
    for block in sorted(written):
        digest = combine(algorithm, digest, block.digest, block.length)
    return digest


def _is_same(result: GetResult, etag: str | None, size: int | None) -> bool:
    """Whether an answer to a range is about the object that was begun: some stores take no notice of If-Match."""
    if etag is not None and result.headers.get("etag", etag) != etag:
        return False
    described = re.fullmatch(r"bytes \d+-\d+/(\d{1,19})", result.headers.get("content-range", ""))
    return described is None or size is None or int(described[1]) == size
