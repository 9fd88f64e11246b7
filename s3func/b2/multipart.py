"""Uploads in parts by hand, under the names of S3: an upload id is the id of an unfinished large file.

Parts have to be numbered from 1 without a gap, and each but the last needs 5 MB.
https://www.backblaze.com/docs/cloud-storage-large-files
"""

from __future__ import annotations

from collections import deque
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from s3func.b2.config import PART_NUMBER_MAX, check_key, check_number, check_text, check_version_id
from s3func.b2.copying import CopyVerbs
from s3func.b2.headers import CustomerKey
from s3func.b2.putting import PutEngine
from s3func.b2.results import moment_of, plain_sha1, put_result
from s3func.b2.upload import Upload
from s3func.errors import InvalidRequest, NoSuchUpload
from s3func.multipart import UploadInParts
from s3func.transport.body import BodySource, body_of
from s3func.transport.settings import checked_age
from s3func.wire.ranges import byte_range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import timedelta

    from s3func.b2.results import FilePut
    from s3func.wire.b2json import StoredPart
    from s3func.wire.s3xml_multipart import CompletedPart, PartEntry, UploadEntry


class MultipartUpload(UploadInParts["CompletedPart"]):
    """An upload that was begun; safe for threads, and a context manager.

    Leaving the block cleanly completes the upload with the parts that were sent; an exception aborts it, and so does a
    complete() of the caller's own that failed. Once it is completed or aborted, any further use is a ValueError.
    """

    def __init__(
        self, session: MultipartVerbs, bucket: str, key: str, upload_id: str, customer_key: CustomerKey | None
    ) -> None:
        """customer_key: every part has to bring it along."""
        super().__init__(bucket, key, upload_id)
        self._session = session
        self._customer_key = customer_key
        self._idle: deque[Upload] = deque()

    def upload_part(self, part_number: int, body: BodySource) -> CompletedPart:
        """Send a part, 1 to 10,000; a number that was sent before is replaced. Its SHA-1 is compared by B2.

        https://www.backblaze.com/apidocs/b2-upload-part
        """
        number = check_number("part_number", part_number, 1, PART_NUMBER_MAX)
        with self._sending(number) as sent:
            part = self._session.send_body(
                self.upload_id, number, body, self._idle, (self.bucket, self.key), self._customer_key
            )
            sent.append(part)
        return part

    def upload_part_copy(
        self,
        part_number: int,
        source_key: str,
        *,
        source_version_id: str | None = None,
        source_bucket: str | None = None,
        range_start: int | None = None,
        range_end: int | None = None,
        source_if_match: str | None = None,
    ) -> CompletedPart:
        """Make a part of an object, or of its bytes from range_start to range_end, both included.

        https://www.backblaze.com/apidocs/b2-copy-part
        """
        number = check_number("part_number", part_number, 1, PART_NUMBER_MAX)
        with self._sending(number) as sent:
            part = self._session.upload_part_copy(
                self.key,
                self.upload_id,
                number,
                source_key,
                source_version_id=source_version_id,
                source_bucket=source_bucket,
                range_start=range_start,
                range_end=range_end,
                source_if_match=source_if_match,
                bucket=self.bucket,
            )
            sent.append(part)
        return part

    def list_parts(self) -> Iterator[PartEntry]:
        """The parts that B2 has."""
        return self._session.list_parts(self.key, self.upload_id, bucket=self.bucket)

    def complete(self) -> FilePut:
        """Make the object of the parts that were sent. ValueError while one that failed has not been sent again."""
        with self._completing() as parts:
            return self._session.complete_multipart_upload(self.key, self.upload_id, parts, bucket=self.bucket)

    def _give_back(self) -> None:
        self._session.abort_multipart_upload(self.key, self.upload_id, bucket=self.bucket)


class MultipartVerbs(CopyVerbs, PutEngine):
    """Large files by hand."""

    def create_multipart_upload(self, key: str, *, bucket: str | None = None, **options: Any) -> MultipartUpload:
        """Begin an upload in parts; the keywords are those of put_object about what is stored with it.

        https://www.backblaze.com/apidocs/b2-start-large-file
        """
        put = self._put_of(key, {**options, "bucket": bucket})
        file_id = self.start_large_file(put.bucket, key, put.stored)
        return MultipartUpload(self, put.bucket, key, file_id, put.customer_key)

    def upload_part(
        self,
        key: str,
        upload_id: str,
        part_number: int,
        body: BodySource,
        *,
        customer_key: CustomerKey | None = None,
        bucket: str | None = None,
    ) -> CompletedPart:
        """Send one part; its `etag` is its SHA-1. https://www.backblaze.com/apidocs/b2-upload-part."""
        about = self._name(bucket), check_key(key)
        number = check_number("part_number", part_number, 1, PART_NUMBER_MAX)
        return self.send_body(check_version_id(upload_id, "upload_id"), number, body, deque(), about, customer_key)

    def send_body(
        self,
        upload_id: str,
        number: int,
        body: BodySource,
        idle: deque[Upload],
        about: tuple[str, str],
        customer_key: CustomerKey | None,
    ) -> CompletedPart:
        """Send a part of any kind of body."""
        payload = body_of(body)
        try:
            digest = sha1(payload, usedforsecurity=False).hexdigest() if isinstance(payload, bytes) else None
            part = self.send_part(upload_id, number, payload, digest, idle, about, customer_key=customer_key)
            return _completed(part)
        finally:
            if not isinstance(payload, bytes):
                payload.close()

    def upload_part_copy(
        self,
        key: str,
        upload_id: str,
        part_number: int,
        source_key: str,
        *,
        source_version_id: str | None = None,
        source_bucket: str | None = None,
        range_start: int | None = None,
        range_end: int | None = None,
        source_if_match: str | None = None,
        bucket: str | None = None,
    ) -> CompletedPart:
        """Make a part of an object, or of its bytes from range_start to range_end, both included.

        https://www.backblaze.com/apidocs/b2-copy-part
        """
        name = self._name(bucket)
        check_key(key)
        check_key(source_key, "source_key")
        number = check_number("part_number", part_number, 1, PART_NUMBER_MAX)
        wanted = byte_range(range_start, range_end)
        if (range_start is None) != (range_end is None):
            raise ValueError("give both range_start and range_end, or neither: a part is not copied to an open end")
        source = self._name(source_bucket, "source_bucket")
        file_id, _ = self._found(source, source_key, source_version_id, source_if_match, None)
        part = self.copy_part(check_version_id(upload_id, "upload_id"), number, file_id, wanted, bucket=name, key=key)
        return _completed(part)

    def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Iterable[CompletedPart | PartEntry | tuple[int, str] | Mapping[str, Any]],
        *,
        bucket: str | None = None,
    ) -> FilePut:
        """Make an object of the parts of an upload; parts: what upload_part returned, rows of list_parts, pairs …

        https://www.backblaze.com/apidocs/b2-finish-large-file
        """
        name = self._name(bucket)
        check_key(key)
        named = dict(sorted(_named(part) for part in parts))
        if list(named) != list(range(1, len(named) + 1)) or not named:
            raise ValueError("parts must be numbered from 1 without a gap: B2 takes nothing else")
        file = self.finish_large_file(check_version_id(upload_id, "upload_id"), list(named.values()), name, key)
        return put_result(file)

    def abort_multipart_upload(self, key: str, upload_id: str, *, bucket: str | None = None) -> None:
        """Give up an upload and its parts. NoSuchUpload when there is none.

        https://www.backblaze.com/apidocs/b2-cancel-large-file
        """
        name = self._name(bucket)
        try:
            self.cancel_large_file(check_version_id(upload_id, "upload_id"), name, check_key(key))
        except (InvalidRequest, NoSuchUpload) as error:
            # An earlier attempt, whose answer was lost, has done it.
            if error.maybe_applied:
                return
            if isinstance(error, NoSuchUpload):
                raise
            missing = NoSuchUpload(error.message, code=error.code, status=error.status, bucket=name, key=key)
            raise missing from error

    def list_parts(self, key: str, upload_id: str, *, bucket: str | None = None) -> Iterator[PartEntry]:
        """The parts of an upload that B2 has, by number: lazy, and complete or an error."""
        from s3func.wire.s3xml_multipart import PartEntry

        parts = self.stored_parts(check_version_id(upload_id, "upload_id"), self._name(bucket), check_key(key))
        return (
            PartEntry(part.part_number, part.size, plain_sha1(part.content_sha1), moment_of(part.upload_timestamp))
            for part in parts
        )

    def list_multipart_uploads(self, prefix: str | None = None, *, bucket: str | None = None) -> Iterator[UploadEntry]:
        """The uploads that are neither completed nor aborted: lazy, and complete or an error."""
        return self._uploads(prefix, bucket)

    def _uploads(self, prefix: str | None, bucket: str | None, dates: list[str] | None = None) -> Iterator[UploadEntry]:
        from s3func.wire.s3xml_multipart import UploadEntry

        if prefix is not None:
            check_text("prefix", prefix)
        return (
            UploadEntry(file.file_name, file.file_id or "", moment_of(file.upload_timestamp))
            for file in self.unfinished(self._name(bucket), prefix, dates=dates)
        )

    def abort_multipart_uploads(
        self, older_than: timedelta | float, prefix: str | None = None, *, bucket: str | None = None
    ) -> list[UploadEntry]:
        """Abort the uploads under a prefix that were begun more than `older_than` (a timedelta, or seconds) ago.

        Returns those that were aborted. Their age is reckoned by B2's clock, the Date of its answer (by our own where it
        sends none). An upload whose beginning B2 does not tell is left alone unless older_than is 0.
        """
        seconds = checked_age(older_than)
        dates: list[str] = []
        uploads = list(self._uploads(prefix, bucket, dates))
        latest = self._store_time(dates[0]) - seconds
        aborted = []
        for upload in uploads:
            if seconds and (upload.initiated is None or upload.initiated.timestamp() > latest):
                continue
            try:
                self.abort_multipart_upload(upload.key, upload.upload_id, bucket=bucket)
            except NoSuchUpload:
                # Completed or aborted by somebody else meanwhile.
                continue
            aborted.append(upload)
        return aborted

    def _store_time(self, date: str) -> float:
        from s3func.wire.encoding import parse_http_date

        try:
            return parse_http_date(date).timestamp()
        except ValueError:
            return self._clock.now()


def _completed(part: StoredPart) -> CompletedPart:
    from s3func.wire.s3xml_multipart import CompletedPart

    return CompletedPart(part.part_number, plain_sha1(part.content_sha1))


def _named(part: CompletedPart | PartEntry | tuple[int, str] | Mapping[str, Any]) -> tuple[int, str]:
    """Number and SHA-1 of a part."""
    from s3func.wire.s3xml_multipart import CompletedPart, PartEntry

    if isinstance(part, CompletedPart | PartEntry):
        number, digest = part.part_number, part.etag
    elif isinstance(part, tuple) and len(part) == 2:
        number, digest = part
    elif not isinstance(part, tuple):
        number, digest = part["PartNumber"], part["ETag"]
    else:
        raise TypeError("parts must be what upload_part returned, or pairs of number and SHA-1")
    check_number("a part number in parts", number, 1, PART_NUMBER_MAX)
    checked = plain_sha1(digest.strip('"')) if isinstance(digest, str) else ""
    if not checked:
        raise ValueError(f"part {number} in parts has no SHA-1: {digest!r}")
    return number, checked
