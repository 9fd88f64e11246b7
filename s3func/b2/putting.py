"""put_object for every body and size: in one call, in parts, as a stream, or going on with what was interrupted.

What is read twice, for its SHA-1 and then to be sent, must be the same both times: B2 compares each part, and a file
that changes meanwhile is SourceChanged.
"""

from __future__ import annotations

from hashlib import sha1
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.b2.config import SMALL_FILE_MAX, check_key
from s3func.b2.digests import digests_of, sha1_of
from s3func.b2.headers import LARGE_FILE_SHA1, CustomerKey, Stored, stored
from s3func.b2.large import LargeUploads, PartSender, growing_part_size, part_size
from s3func.b2.results import FilePut, put_result
from s3func.errors import InvalidRequest, NotSupported, SourceChanged
from s3func.transport.body import BodyShrunk, BufferBody
from s3func.transport.parallel import Crew
from s3func.transport.sources import BufferSource, FileSource, RangeBody, Source, StreamSource, source_of
from s3func.transport.transfer import MIB, ProgressCount, TransferConfig, checked_transfer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from s3func.session import PutOptions, UploadStream

_STREAM_MEMORY_MAX = 1024 * MIB


_NOTHING_KNOWN: Mapping[int, str] = MappingProxyType({})


class Put(NamedTuple):
    """What one call asks for, checked."""

    bucket: str
    key: str
    stored: Stored
    config: TransferConfig
    progress: Any
    multipart: bool | None

    @property
    def about(self) -> tuple[str, str]:
        """Bucket and key."""
        return self.bucket, self.key

    @property
    def customer_key(self) -> CustomerKey | None:
        """What every part has to bring along."""
        return self.stored.encryption if isinstance(self.stored.encryption, CustomerKey) else None


class PutEngine(LargeUploads):
    """How objects come into the store."""

    def _put_of(self, key: str, options: dict[str, Any]) -> Put:
        """Check the keywords of put_object."""
        check_key(key)
        transfer = options.pop("transfer", None)
        progress = options.pop("progress", None)
        multipart = options.pop("multipart", None)
        bucket = options.pop("bucket", None)
        if options.pop("headers", None):
            raise NotSupported("B2 takes no further headers: every one that it knows is a keyword")
        if multipart is not None and not isinstance(multipart, bool):
            raise TypeError(f"multipart must be a bool, not {type(multipart).__name__}")
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be callable, not {type(progress).__name__}")
        config = self._transfer if transfer is None else checked_transfer(transfer)
        described = stored(key, **options)
        return Put(self._name(bucket), key, described, config, progress, multipart)

    def _put(self, put: Put, source: Source) -> FilePut:
        """Store what there is to read."""
        try:
            size = source.size
            if size is None and put.multipart is not False and isinstance(source, StreamSource):
                return self._put_unsized(put, source)
            if size is None:
                return self._put_spooled(put, source)
            progress = ProgressCount(put.progress, size)
            if put.multipart or (put.multipart is None and size >= max(put.config.multipart_threshold, 1)):
                if self._may_be_large(put, size):
                    return self._put_parts(put, source, size, progress)
            _check_one_call(size)
            body = source.read() if isinstance(source, FileSource) and size <= MIB else source.body()
            return self._put_small(put.bucket, put.key, put.stored, body, progress, put.config.bandwidth)
        except BodyShrunk as error:
            raise SourceChanged("the file became shorter while it was uploaded") from error

    def _put_spooled(self, put: Put, source: Source) -> FilePut:
        """Store a stream of unknown length in one call, for which its length has to be found out first."""
        body = source.body()
        size = len(body) if isinstance(body, bytes) else body.length
        try:
            _check_one_call(size)
            progress = ProgressCount(put.progress, size)
            return self._put_small(put.bucket, put.key, put.stored, body, progress, put.config.bandwidth)
        finally:
            if not isinstance(body, bytes):
                body.close()

    def _may_be_large(self, put: Put, size: int) -> bool:
        """B2 wants two parts at least, and the first of them of a certain size."""
        return size > self._grant().authorization.minimum_part_size or size > SMALL_FILE_MAX

    def _put_parts(self, put: Put, source: Source, size: int, progress: ProgressCount) -> FilePut:
        authorization = self._grant().authorization
        each = part_size(size, put.config, authorization.minimum_part_size)
        if each >= size:
            # The settings ask for one part; B2's answer to a large file of one part is not documented.
            each = max(authorization.minimum_part_size, -(-size // 2))
        described, known = put.stored, _NOTHING_KNOWN
        if self._large_file_sha1:
            described, known = with_sha1(described, source, size, each)
        file_id = self.start_large_file(put.bucket, put.key, described)
        try:
            return self._send_parts(put, source, size, each, file_id, progress, known, frozenset())
        except BaseException as error:
            self.abandon(file_id, put.bucket, put.key, error)
            raise

    def _send_parts(
        self,
        put: Put,
        source: Source,
        size: int,
        each: int,
        file_id: str,
        progress: ProgressCount,
        known: Mapping[int, str],
        done: frozenset[int],
    ) -> FilePut:
        """Send the parts that are not done yet, and finish. known: the SHA-1 of those whose SHA-1 was taken already."""
        with Crew(put.config.concurrency) as crew:
            sender = PartSender(
                self, file_id, put.about, crew, customer_key=put.customer_key, config=put.config, progress=progress
            )
            sender.sha1s.update({number: known[number] for number in done})
            if isinstance(source, StreamSource):
                pieces = _pieces(source.blocks(), lambda _number: each)
                for number, buffer in enumerate(pieces, 1):
                    if number not in done:
                        crew.submit(_sending(sender, number, buffer))
            else:
                for number, start in enumerate(range(0, size, each), 1):
                    length = min(each, size - start)
                    if number in done:
                        progress.add(length)
                    else:
                        crew.submit(_reading(sender, source, number, start, length, known.get(number)))
        if isinstance(source, FileSource):
            source.check()
        file = self.finish_large_file(file_id, sender.ordered_sha1s(), put.bucket, put.key)
        progress.finish(size)
        return put_result(file)

    def _put_unsized(self, put: Put, source: StreamSource) -> FilePut:
        """Store a stream of unknown length: what fits into one part goes in one call."""
        stream = PieceWriter(self, put)
        try:
            for block in source.blocks():
                stream.write(block)
            return stream.finish()
        except BaseException as error:
            stream.give_up(error)
            raise

    def _upload_stream(self, key: str, **options: Any) -> UploadStream:
        """Begin an object that is written piece by piece."""
        return PieceWriter(self, self._put_of(key, options))

    def _resume_upload(self, path: os.PathLike[str], key: str, options: PutOptions) -> FilePut:
        """Go on with an unfinished large file of this very content, or begin one that the next call can go on with."""
        put = self._put_of(key, dict(options))
        source = source_of(path)
        try:
            size = source.size
            minimum = self._grant().authorization.minimum_part_size
            if size is None or isinstance(source, StreamSource) or size <= max(put.config.multipart_threshold, minimum):
                return self._put(put, source)
            progress = ProgressCount(put.progress, size)
            each = part_size(size, put.config, minimum)
            described, known = with_sha1(put.stored, source, size, each)
            file_id = ""
            done: frozenset[int] = frozenset()
            for file in self.unfinished(put.bucket, put.key):
                if file.file_name == put.key and dict(file.info) == described.info and file.file_id:
                    file_id = file.file_id
                    each, known, done = self._done(put, source, size, each, file_id, known)
                    break
            if not file_id:
                file_id = self.start_large_file(put.bucket, put.key, described)
            return self._send_parts(put, source, size, each, file_id, progress, known, done)
        except BodyShrunk as error:
            raise SourceChanged("the file became shorter while it was uploaded") from error
        finally:
            source.close()

    def _done(
        self,
        put: Put,
        source: BufferSource | FileSource,
        size: int,
        each: int,
        file_id: str,
        known: Mapping[int, str],
    ) -> tuple[int, dict[int, str], frozenset[int]]:
        """The size of the parts, their SHA-1 as far as it is known, and which of them B2 has with these very bytes."""
        there = {part.part_number: part for part in self.stored_parts(file_id, put.bucket, put.key)}
        sha1s = dict(known)
        if 1 in there and there[1].size and there[1].size != each:
            # Cut as it was cut before, whatever the settings say now.
            each, sha1s = there[1].size, {}
        done = set()
        for number, part in there.items():
            start = (number - 1) * each
            length = min(each, size - start)
            if part.size == length > 0:
                if number not in sha1s:
                    sha1s[number] = sha1_of(source, start, length)
                if part.content_sha1 == sha1s[number]:
                    done.add(number)
        return each, sha1s, frozenset(done)


class PieceWriter:
    """An UploadStream: one call for what stays below the threshold, a large file for the rest."""

    def __init__(self, engine: PutEngine, put: Put) -> None:
        """Nothing is sent before there is more than a part, or all of it."""
        self._engine = engine
        self._put = put
        self._progress = ProgressCount(put.progress, None)
        self._buffer = bytearray()
        self._crew: Crew | None = None
        self._sender: PartSender | None = None
        self._number = 1
        self._total = 0
        self._is_over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes."""
        if self._is_over:
            raise ValueError("the object is finished or aborted")
        view = memoryview(data).cast("B")
        self._total += len(view)
        while view:
            room = self._limit() - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]
            # Only once there is more: the last part may not be empty.
            if view:
                self._flush()

    def _limit(self) -> int:
        config = self._put.config
        minimum = self._engine._grant().authorization.minimum_part_size  # noqa: SLF001 -- one engine in two classes
        size = growing_part_size(self._number, config, minimum)
        return max(size, config.multipart_threshold) if self._put.multipart is None and self._number == 1 else size

    def _flush(self) -> None:
        buffer, self._buffer = self._buffer, bytearray()
        sender = self._sender
        if sender is None or self._crew is None:
            put = self._put
            if put.multipart is False:
                raise ValueError(f"more than {len(buffer)} bytes were written, and multipart is False")
            file_id = self._engine.start_large_file(put.bucket, put.key, put.stored)
            self._crew = Crew(put.config.concurrency)
            self._sender = sender = PartSender(
                self._engine,
                file_id,
                put.about,
                self._crew,
                customer_key=put.customer_key,
                config=put.config,
                progress=self._progress,
            )
        # The parts grow, and what they take of the memory must not.
        self._crew.limit.lower(_STREAM_MEMORY_MAX // max(1, len(buffer)))
        self._crew.submit(_sending(sender, self._number, buffer))
        self._number += 1

    def finish(self) -> FilePut:
        """Publish the object."""
        if self._is_over:
            raise ValueError("the object is finished or aborted")
        put = self._put
        if self._sender is None:
            result = self._engine._put_small(  # noqa: SLF001 -- one engine in two classes
                put.bucket, put.key, put.stored, bytes(self._buffer), self._progress, put.config.bandwidth
            )
        else:
            self._flush()
            assert self._crew is not None
            self._crew.join()
            sender = self._sender
            file = self._engine.finish_large_file(sender.file_id, sender.ordered_sha1s(), put.bucket, put.key)
            result = put_result(file)
            self._progress.finish(self._total)
        self._is_over = True
        self._buffer = bytearray()
        return result

    def abort(self) -> None:
        """Leave nothing of it in the store."""
        self.give_up(None)

    def give_up(self, reason: BaseException | None) -> None:
        """Abort; what goes wrong with that is noted on the reason, where there is one."""
        if self._is_over:
            return
        self._is_over = True
        self._buffer = bytearray()
        if self._crew is not None:
            self._crew.cancel()
        if self._sender is not None:
            put = self._put
            if reason is None:
                self._engine.cancel_large_file(self._sender.file_id, put.bucket, put.key)
            else:
                self._engine.abandon(self._sender.file_id, put.bucket, put.key, reason)


def _check_one_call(size: int) -> None:
    if size > SMALL_FILE_MAX:
        raise ValueError(f"body has {size} bytes; B2 takes at most {SMALL_FILE_MAX} in one call")


def _sending(sender: PartSender, number: int, buffer: bytearray) -> Callable[[], None]:
    def send() -> None:
        sender.send(number, BufferBody(memoryview(buffer)), None)

    return send


def _reading(
    sender: PartSender, source: BufferSource | FileSource, number: int, start: int, length: int, known: str | None
) -> Callable[[], None]:
    def read_and_send() -> None:
        if isinstance(source, BufferSource):
            sender.send(number, BufferBody(source.view[start : start + length]), known)
            return
        try:
            sender.send(number, RangeBody(source, start, length), known)
        except InvalidRequest:
            # Other bytes than those whose SHA-1 this is, perhaps.
            source.check()
            raise

    return read_and_send


def _pieces(blocks: Iterator[bytes | memoryview], size_of: Callable[[int], int]) -> Iterator[bytearray]:
    """The blocks put together into pieces, each of the size that its number shall have, the last one smaller."""
    number = 1
    piece = bytearray()
    for block in blocks:
        view = memoryview(block).cast("B")
        while view:
            room = size_of(number) - len(piece)
            piece += view[:room]
            view = view[room:]
            if len(piece) == size_of(number):
                yield piece
                piece = bytearray()
                number += 1
    if piece:
        yield piece


def with_sha1(described: Stored, source: Source, size: int, each: int) -> tuple[Stored, Mapping[int, str]]:
    """The same, with the SHA-1 of the whole content, unless the caller has given it; and those of parts, found meanwhile.

    each: the size of the parts, which count from 1.
    """
    if LARGE_FILE_SHA1 in described.info:
        return described, _NOTHING_KNOWN
    known: Mapping[int, str] = _NOTHING_KNOWN
    if isinstance(source, StreamSource):
        digest = sha1(usedforsecurity=False)
        for block in source.blocks():
            digest.update(block)
        whole = digest.hexdigest()
    else:
        whole, known = digests_of(source, size, each)
    return described._replace(info={**described.info, LARGE_FILE_SHA1: whole}), known
