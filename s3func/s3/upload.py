"""put_object for whatever is large, unsized, a file, or watched: one request or parts, by what the source is.

Rule 1: from the threshold on an object goes in parts, below it in one request. Without a size that is decided when so
        much has been read; what has been read is then sent from memory.
Rule 2: a file that changes is read again as a whole, three times, and then it is SourceChanged: never is a mixture of
        two states published.
Rule 3: a store that has no multipart uploads gets one request, where the size allows it.
"""

from __future__ import annotations

import os
from random import random
from typing import TYPE_CHECKING

from s3func.errors import Conflict, NotImplementedByStore, S3FuncError, SourceChanged
from s3func.s3.upload_once import put_once
from s3func.s3.upload_parts import CONFLICT, PartsNeededAgain, PartsUpload, Put
from s3func.s3.upload_plan import PART_MAX, Part, part_size, parts_of
from s3func.s3.upload_ranges import RangeSender
from s3func.s3.upload_stream import S3UploadStream
from s3func.transport.body import BodyShrunk
from s3func.transport.parallel import Crew
from s3func.transport.sources import FileSource, StreamSource, changed, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from s3func.results import PutResult
    from s3func.s3.upload_ranges import RangeSource
    from s3func.transport.body import BodySource

FILE_ATTEMPTS = 3
# A file up to this size is read once, and sent from memory.
_READ_WHOLE = 1024 * 1024
_OWN_CHECKSUMS = ("content-md5", "x-amz-checksum-", "x-amz-sdk-checksum-algorithm")


def store(put: Put, body: BodySource) -> PutResult:
    """Store the object, however it is done best."""
    put = _with_own_checksum(put)
    source = source_of(body)
    try:
        if not isinstance(source, FileSource):
            return _store_stream(put, source) if isinstance(source, StreamSource) else store_ranges(put, source)
        for _ in range(FILE_ATTEMPTS - 1):
            try:
                return store_ranges(put, source)
            except (SourceChanged, BodyShrunk):
                source.begin_again()
                source = source_of(body)
                assert isinstance(source, FileSource)
                put.progress.restart(source.size)
        try:
            return store_ranges(put, source)
        except (SourceChanged, BodyShrunk) as error:
            final = changed(error)
            final.attempts, final.bucket, final.key = FILE_ATTEMPTS, put.authorizer.bucket, put.key
            raise final from (None if final is error else error)
    finally:
        source.close()


def store_ranges(put: Put, source: RangeSource) -> PutResult:
    """Store what can be read anywhere."""
    size = source.size
    put.progress.expect(size)
    if not in_parts(put, size):
        if isinstance(source, FileSource) and size <= _READ_WHOLE:
            return put_once(put, source.read())
        return put_once(put, source.body())
    each = part_size(size, put.transfer, put.part_rules)
    try:
        return put_parts(put, source, parts_of(size, each), each)
    except NotImplementedByStore:
        if not _may_be_one(put, size):
            raise
        return put_once(put, source.body())


def put_parts(
    put: Put,
    source: RangeSource,
    parts: Iterable[Part],
    each: int,
    adopt: Callable[[PartsUpload], None] | None = None,
    *,
    keep: bool = False,
) -> PutResult:
    """Send parts of a source and make the object of them.

    adopt: takes over an upload that was begun earlier. keep: a failure leaves the upload where it is.
    """
    attempt = 1
    parts = list(parts)
    while True:
        upload = PartsUpload(put, Crew(put.transfer.concurrency))
        try:
            if adopt is not None:
                adopt(upload)
            _send(upload, RangeSender(upload, source, parts, each), len(parts), is_begun=adopt is not None)
            source.check()
            result = upload.complete()
        except PartsNeededAgain as again:
            upload.abort(again.conflict)
            _wait_for(put, again.conflict, attempt)
            put.progress.restart(source.size)
            attempt += 1
            parts, adopt = list(parts_of(source.size, each)), None
        except BaseException as error:
            if not keep:
                upload.abort(error)
            raise
        else:
            put.progress.finish(source.size)
            return result
        finally:
            upload.leave()


def _send(upload: PartsUpload, sender: RangeSender, count: int, *, is_begun: bool) -> None:
    """Begin the upload, unless it was begun, and send all parts."""
    crew = upload.crew
    with crew:
        # The first parts are read while the upload is being begun, with a core left for that request.
        early = 0 if is_begun else min(count, crew.limit.current, max(1, (os.cpu_count() or 1) - 1))
        try:
            for _ in range(early):
                crew.submit(sender.send_next)
            if not is_begun:
                upload.begin()
        except BaseException:
            crew.stop()
            raise
        finally:
            sender.begun.set()
        for _ in range(count - early):
            crew.submit(sender.send_next)


def _store_stream(put: Put, source: StreamSource) -> PutResult:
    size = source.size
    put.progress.expect(size)
    if put.multipart is False or (size is not None and not in_parts(put, size)):
        body = source.body()
        try:
            return put_once(put, body)
        finally:
            if not isinstance(body, bytes):
                body.close()
    attempt = 1
    while True:
        stream = S3UploadStream(put, size)
        try:
            for block in source.blocks():
                stream.write(block)
            return stream.finish()
        except BaseException as error:
            stream.abort(error)
            if size is None:
                # What came once cannot be sent again.
                raise
            if isinstance(error, NotImplementedByStore) and _may_be_one(put, size):
                put.progress.restart(size)
                return put_once(put, source.body())
            if not isinstance(error, Conflict) or error.code != CONFLICT:
                raise
            _wait_for(put, error, attempt)
        put.progress.restart(size)
        attempt += 1


def _wait_for(put: Put, conflict: S3FuncError, attempt: int) -> None:
    """Wait before all parts are sent again, or raise the conflict when there were attempts enough."""
    seconds = put.client.retries.wait_seconds(conflict, attempt, random())
    if seconds is None:
        conflict.attempts = attempt
        raise conflict from None
    put.clock.sleep(seconds)


def in_parts(put: Put, size: int) -> bool:
    """Whether an object of this size goes in parts."""
    if put.multipart is not None:
        return put.multipart
    return size >= put.transfer.multipart_threshold and (
        size > part_size(size, put.transfer, put.part_rules) or size > PART_MAX
    )


def _may_be_one(put: Put, size: int) -> bool:
    return put.multipart is None and size <= PART_MAX


def _with_own_checksum(put: Put) -> Put:
    """The caller's own checksum is one of the whole body, which no part can be sent with."""
    if not any(name.startswith(_OWN_CHECKSUMS) for name in put.fields):
        return put
    if put.multipart:
        raise ValueError("headers holds a checksum of the whole body, and multipart=True sends parts: use checksum=")
    return put._replace(multipart=False)
