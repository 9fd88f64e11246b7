"""MultipartUpload: an upload in parts that looks after itself.

Rule 1: it publishes what was sent, all of it, or nothing: a part that failed and was not sent again forbids completion,
        and an exception inside the `with` block aborts.
Rule 2: nothing that is stored is forgotten: a part that arrives after the upload was aborted aborts it again.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

from base64 import b64decode
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Self

from s3func.errors import NoSuchUpload, S3FuncError
from s3func.s3.multipart_operations import check_part_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

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


class MultipartUpload:
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
        self.bucket = bucket
        self.key = key
        self.upload_id = upload_id
        self._session = session
        self._send_part = send_part
        self._leave = leave
        self._algorithm = algorithm
        self._is_confirmed = is_confirmed
        self._headers = dict(headers)
        self._lock = Lock()
        self._parts: dict[int, SentPart] = {}
        self._failed: set[int] = set()
        self._under_way = 0
        # What has become of it: "" while parts may be sent.
        self._end = ""
        self._was_refused = False
        """Whether complete() has failed: then the end of the block does not try it again, without its conditions."""

    def upload_part(self, part_number: int, body: BodySource) -> CompletedPart:
        """Send a part, 1 to 10,000; a number that was sent before is replaced.

        body: as put_object takes it, at least 5 MiB unless it is the last part, at most 5 GiB. Checksums are those that
        the upload was begun with. https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
        """
        number = check_part_number(part_number)
        self._begin_part(number)
        sent = None
        try:
            sent = self._send_part(number, body)
        finally:
            self._end_part(number, sent)
        return sent.part

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
        self._begin_part(number)
        sent = None
        try:
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
            sent = SentPart(part, size, part.checksums.get(self._algorithm, ""))
        finally:
            self._end_part(number, sent)
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
        with self._lock:
            self._check_open()
            if self._under_way:
                raise ValueError(f"{self._under_way} parts are still under way: the upload cannot be completed yet")
            if self._failed:
                raise ValueError(f"part {min(self._failed)} failed and was not sent again: the object would lack it")
            if not self._parts:
                raise ValueError("no part was sent: S3 makes no object of nothing, not even an empty one")
            parts = [self._parts[number] for number in sorted(self._parts)]
            self._end = "being completed"
        checksums = _whole_checksum(parts, self._algorithm) if self._is_confirmed else None
        sizes = [part.size for part in parts]
        completed = False
        try:
            result = self._session.complete_multipart_upload(
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
            completed = True
        finally:
            self._was_refused = not completed
            self._end = "completed" if completed else ""
        self._leave()
        return result

    def abort(self) -> None:
        """Give up the upload and what was sent of it. An upload that the store does not know any more is no error.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        """
        with self._lock:
            # An abort that failed may be tried again, but the upload never becomes usable again.
            if self._end != "being aborted":
                self._check_open()
            self._end = "being aborted"
        self._abort()
        self._end = "aborted"
        self._leave()

    def _abort(self) -> None:
        try:
            self._session.abort_multipart_upload(self.key, self.upload_id, headers=self._headers, bucket=self.bucket)
        except NoSuchUpload:
            pass

    def __enter__(self) -> Self:
        with self._lock:
            self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._end in {"completed", "aborted"}:
            return
        if error is None and not self._end and not self._was_refused:
            try:
                self.complete()
            except BaseException as failure:
                self._give_up(failure)
                raise
        else:
            self._give_up(error)

    def _give_up(self, error: BaseException | None) -> None:
        """Abort; that this failed is told beside what happened before, not in its place."""
        try:
            self.abort()
        except S3FuncError as failure:
            if error is None:
                raise
            error.add_note(f"The upload {self.upload_id} of {self.key!r} could not be aborted: {failure}")

    def _check_open(self) -> None:
        if self._end:
            is_over = "is" if self._end.startswith("being") else "was"
            raise ValueError(f"the upload {is_over} {self._end}")

    def _begin_part(self, number: int) -> None:
        with self._lock:
            self._check_open()
            self._under_way += 1
            self._failed.add(number)

    def _end_part(self, number: int, sent: SentPart | None) -> None:
        with self._lock:
            self._under_way -= 1
            if sent is not None:
                self._parts[number] = sent
                self._failed.discard(number)
            is_last = self._end in {"being aborted", "aborted"} and not self._under_way
        if is_last:
            # It may have arrived after the abort, and would be stored, and paid for, for ever.
            try:
                self._abort()
            except S3FuncError:
                pass

    def __repr__(self) -> str:
        state = f" {self._end}" if self._end else ""
        return f"<{type(self).__name__} {self.upload_id} of {self.key!r} in {self.bucket!r}{state}>"


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
