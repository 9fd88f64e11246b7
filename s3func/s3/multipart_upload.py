"""MultipartUpload: an upload in parts that looks after itself, see s3func/multipart.py for its rules.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, NamedTuple

from s3func.multipart import UploadInParts
from s3func.s3.multipart_operations import check_part_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3func.results import PutResult
    from s3func.s3.multipart import MultipartVerbs
    from s3func.s3.multipart_listings import PartListing
    from s3func.transport.body import BodySource
    from s3func.wire.s3xml_multipart import CompletedPart

CRCS = ("crc32", "crc32c", "crc64nvme")
"""What can be computed of a whole from what is known of its parts."""


class SentPart(NamedTuple):
    """A part, its size if that is known, and the base64 checksum of its bytes ("" if that is not known)."""

    part: CompletedPart
    size: int | None
    digest: str


class MultipartUpload(UploadInParts[SentPart]):
    """An upload that was begun; safe for threads, and a context manager.

    Leaving the block cleanly completes the upload with the parts that were sent; an exception aborts it, so that it
    leaves neither an object nor parts, and so does a complete() of the caller's own that failed. Once it is completed
    or aborted, any further use is a ValueError.
    """

    def __init__(
        self,
        session: MultipartVerbs,
        bucket: str,
        key: str,
        upload_id: str,
        send_part: Callable[[int, BodySource], SentPart],
        leave: Callable[[], None],
        *,
        algorithm: str,
        is_confirmed: bool,
        headers: Mapping[str, str],
    ) -> None:
        """leave: called when there is nothing more to be done. algorithm: of every part's checksum. is_confirmed: the store has said that it keeps one of the whole object.

        headers: those that every request about the upload repeats.
        """
        super().__init__(bucket, key, upload_id)
        self._session = session
        self._send_part = send_part
        self._left = leave
        self._algorithm = algorithm
        self._is_confirmed = is_confirmed
        self._headers = dict(headers)

    def upload_part(self, part_number: int, body: BodySource) -> CompletedPart:
        """Send a part, 1 to 10,000; a number that was sent before is replaced.

        body: as put_object takes it, at least 5 MiB unless it is the last part, at most 5 GiB. Checksums are those that
        the upload was begun with. https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
        """
        number = check_part_number(part_number)
        with self._sending(number) as sent:
            part = self._send_part(number, body)
            sent.append(part)
        return part.part

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

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
        """
        number = check_part_number(part_number)
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
                headers=self._headers,
                bucket=self.bucket,
            )
            size = None if range_start is None or range_end is None else range_end - range_start + 1
            sent.append(SentPart(part, size, part.checksums.get(self._algorithm, "")))
        return part

    def list_parts(self) -> PartListing:
        """The parts that the store has."""
        return self._session.list_parts(self.key, self.upload_id, headers=self._headers, bucket=self.bucket)

    def complete(self, *, if_match: str | None = None, if_none_match: str | None = None) -> PutResult:
        """Make the object of the parts that were sent, in the order of their numbers.

        if_none_match="*", if_match: as put_object takes them; after PreconditionFailed the upload is still there. The
        checksum and the size of the whole object go along where they are known. ValueError while parts are under way,
        without any part, and while a part that failed has not been sent again.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        """
        with self._completing() as parts:
            checksums = _whole_checksum(parts, self._algorithm) if self._is_confirmed else None
            sizes = [part.size for part in parts]
            return self._session.complete_multipart_upload(
                self.key,
                self.upload_id,
                [part.part for part in parts],
                if_match=if_match,
                if_none_match=if_none_match,
                checksums=checksums,
                checksum_type=None if checksums is None else "FULL_OBJECT",
                # A store that knows no checksums of objects may not know this header either.
                size=sum(size for size in sizes if size is not None)
                if self._is_confirmed and None not in sizes
                else None,
                headers=self._headers,
                bucket=self.bucket,
            )

    def _give_back(self) -> None:
        self._session.abort_multipart_upload(self.key, self.upload_id, headers=self._headers, bucket=self.bucket)

    def _leave(self) -> None:
        self._left()


def algorithm_of(checksum: str) -> str:
    """The algorithm that a `checksum` argument means."""
    return "crc32" if checksum == "auto" else checksum


def _whole_checksum(parts: list[SentPart], algorithm: str) -> dict[str, str] | None:
    """The checksum of the object that the parts make, from theirs; None where it cannot be known."""
    from s3func.wire.checksum import combine, encode

    if algorithm not in CRCS:
        return None
    whole = b""
    for part in parts:
        if part.size is None or not part.digest:
            return None
        digest = b64decode(part.digest)
        whole = combine(algorithm, whole, digest, part.size) if whole else digest
    return {algorithm: encode(whole)}
