"""Large files: parts in parallel, each to an upload URL of its own, and one file in the end, or none.

Rule 1: nothing is published that is not whole: a failure cancels the unfinished file, unless it shall be resumed.
Rule 2: finishing is not idempotent. When its answer was lost, B2 is asked what became of the file before anybody is
        told that it failed.
Rule 3: a part that is in the store already counts when its SHA-1 is that of the bytes here, and for no other reason.
https://www.backblaze.com/docs/cloud-storage-large-files
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from s3func.b2 import operations
from s3func.b2.config import PART_NUMBER_MAX, SMALL_FILE_MAX
from s3func.b2.headers import CustomerKey, Stored
from s3func.b2.results import plain_sha1
from s3func.b2.upload import SmallUploads, TailBody, Upload, UploadAuthorizer
from s3func.errors import NoSuchUpload, ProtocolError, S3FuncError
from s3func.transport.body import BufferBody
from s3func.transport.client import Client
from s3func.transport.parallel import Crew, CrewClock, PacedAuthorizer
from s3func.transport.transfer import MIB, ProgressCount, WatchedBody
from s3func.wire.b2json import (
    StoredFile,
    parse_file,
    parse_files,
    parse_object,
    parse_part,
    parse_parts,
    parse_upload_url,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3func.message import UploadBody
    from s3func.transport.client import Authorizer
    from s3func.transport.transfer import TransferConfig
    from s3func.wire.b2json import StoredPart, UploadUrl

_PART_MIN = 8 * MIB
_PART_TARGET = 32 * MIB
_EQUAL_PARTS, _DOUBLED_EVERY = 1000, 250
_UNFINISHED_PAGE_MAX = 100
_PARTS_PAGE_MAX = 1000


def part_size(size: int, config: TransferConfig, minimum: int) -> int:
    """The size of each part but the last: as the settings say, else at most 32 MiB and the last round as full as others.

    Larger where 10,000 parts would not hold the file; never smaller than B2 wants it.
    """
    least = max(minimum, -(-size // PART_NUMBER_MAX), 1)
    if least > SMALL_FILE_MAX:
        raise ValueError(f"body has {size} bytes; B2 holds at most {PART_NUMBER_MAX} parts of {SMALL_FILE_MAX} bytes")
    wanted = config.part_size
    if wanted is None:
        rounds = -(-size // (config.concurrency * _PART_TARGET)) or 1
        wanted = max(_PART_MIN, -(-size // (config.concurrency * rounds)))
    return min(SMALL_FILE_MAX, max(least, wanted))


def growing_part_size(number: int, config: TransferConfig, minimum: int) -> int:
    """The size of a part of a stream of unknown length: equal ones for 1,000 parts, then doubled every 250."""
    doublings = max(0, number - 1 - _EQUAL_PARTS + _DOUBLED_EVERY) // _DOUBLED_EVERY
    return min(SMALL_FILE_MAX, max(minimum, config.part_size or _PART_MIN) << min(doublings, 64))


class PartSender:
    """The parts of one large file on their way, each in a thread of a crew."""

    def __init__(
        self,
        session: LargeUploads,
        file_id: str,
        about: tuple[str, str],
        crew: Crew,
        *,
        customer_key: CustomerKey | None,
        config: TransferConfig,
        progress: ProgressCount,
    ) -> None:
        """about: bucket and key. customer_key: every part has to bring it along."""
        self.file_id = file_id
        self.sha1s: dict[int, str] = {}
        self._session = session
        self._about = about
        self._crew = crew
        self._customer_key = customer_key
        self._bandwidth = config.bandwidth
        self._progress = progress
        self._client = session.crew_client(crew)
        self._idle: deque[Upload] = deque()

    def send(self, number: int, part: UploadBody, digest: str | None) -> None:
        """Send a part. digest: its SHA-1; None has it taken on the way."""
        crew = self._crew
        body = WatchedBody(part, count=self._progress, bandwidth=self._bandwidth, check=crew.check, sleep=crew.wait)
        sent = self._session.send_part(
            self.file_id,
            number,
            body,
            digest,
            self._idle,
            self._about,
            client=self._client,
            customer_key=self._customer_key,
            crew=crew,
        )
        body.finish()
        self.sha1s[number] = plain_sha1(sent.content_sha1)

    def ordered_sha1s(self) -> list[str]:
        """Of all parts, in their order."""
        return [self.sha1s[number] for number in sorted(self.sha1s)]


class LargeUploads(SmallUploads):
    """The calls that large files are made of."""

    def crew_client(self, crew: Crew) -> Client:
        """A client for the threads of a crew, whose waits end when the crew is stopped."""
        client = self._client
        clock = CrewClock(self._clock, crew)
        return Client(client.transport, client.retries, total_seconds=client.total_seconds, clock=clock)

    def send_part(
        self,
        file_id: str,
        number: int,
        body: bytes | UploadBody,
        digest: str | None,
        idle: deque[Upload],
        about: tuple[str, str],
        *,
        client: Client | None = None,
        customer_key: CustomerKey | None = None,
        crew: Crew | None = None,
    ) -> StoredPart:
        """Send one part to one of the file's upload URLs; the SHA-1 travels along and comes back.

        digest: None has it taken on the way, and sent behind the bytes.
        """
        client = client or self._client
        size = len(body) if isinstance(body, bytes) else body.length
        tail = TailBody(BufferBody(memoryview(body)) if isinstance(body, bytes) else body) if digest is None else None

        def fetch(deadline: float | None) -> UploadUrl:
            return self._call(
                "b2_get_upload_part_url",
                {"fileId": file_id},
                parse_upload_url,
                bucket=about[0],
                key=about[1],
                missing=NoSuchUpload,
                reading=True,
                client=client,
                deadline=deadline,
            )

        upload = UploadAuthorizer(idle, fetch, self._clock, *about, secure=self._realm.is_secure)
        fields = {} if customer_key is None else customer_key.headers()
        authorizer: Authorizer = upload if crew is None else PacedAuthorizer(upload, crew)
        part = client.send(
            operations.upload_part(number, fields, tail or body, digest or operations.TAIL),
            authorizer,
            lambda _request, response: operations.parse_uploaded_part(
                response, number, size, tail.sha1 if tail else digest or ""
            ),
        )
        upload.put_back()
        return part

    def start_large_file(self, name: str, key: str, stored: Stored) -> str:
        """Begin a large file; its id."""
        fields = {"bucketId": self._bucket_id(name), "fileName": key, **stored.document()}
        file = self._call("b2_start_large_file", fields, parse_file, bucket=name, key=key)
        if not file.file_id:
            raise ProtocolError("B2 has started a large file without an id")
        return file.file_id

    def finish_large_file(self, file_id: str, sha1s: list[str], name: str, key: str) -> StoredFile:
        """Publish a large file. When the answer was lost, B2 knows whether it was published."""
        fields = {"fileId": file_id, "partSha1Array": sha1s}
        try:
            return self._call("b2_finish_large_file", fields, parse_file, bucket=name, key=key, missing=NoSuchUpload)
        except S3FuncError as error:
            if not error.maybe_applied:
                raise
            try:
                file = self.file_info(file_id, name, key)
            except S3FuncError:
                raise error from None
            if file.action == "start":
                raise
            return file

    def cancel_large_file(self, file_id: str, name: str, key: str | None = None) -> None:
        """Throw an unfinished large file away. NoSuchUpload or InvalidRequest when it is none."""
        fields = {"fileId": file_id}
        self._call("b2_cancel_large_file", fields, parse_object, bucket=name, key=key, missing=NoSuchUpload)

    def abandon(self, file_id: str, name: str, key: str, reason: BaseException) -> None:
        """Cancel a large file of which something else has failed; what goes wrong with that is noted on the reason."""
        try:
            self.cancel_large_file(file_id, name, key)
        except S3FuncError as error:
            reason.add_note(f"the large file {file_id!r} could not be cancelled, and its parts are kept: {error}")

    def copy_part(self, file_id: str, number: int, source_id: str, byte_range: str | None, **about: Any) -> StoredPart:
        """Make a part of a large file of another file's bytes. about: further fields of the call, and of `_call`."""
        keywords = {name: about.pop(name) for name in ("bucket", "key", "client") if name in about}
        fields = {
            "sourceFileId": source_id,
            "largeFileId": file_id,
            "partNumber": number,
            "range": byte_range,
            **about,
        }
        return self._call("b2_copy_part", fields, parse_part, **keywords)

    def file_info(self, file_id: str, name: str | None = None, key: str | None = None) -> StoredFile:
        """What B2 knows about a file of this id, finished or not."""
        return self._call("b2_get_file_info", {"fileId": file_id}, parse_file, bucket=name, key=key, reading=True)

    def stored_parts(self, file_id: str, name: str, key: str | None = None) -> Iterator[StoredPart]:
        """All parts that an unfinished large file has."""
        start: int | None = None
        while True:
            fields = {"fileId": file_id, "startPartNumber": start, "maxPartCount": _PARTS_PAGE_MAX}
            page = self._call(
                "b2_list_parts", fields, parse_parts, bucket=name, key=key, missing=NoSuchUpload, reading=True
            )
            yield from page.parts
            if page.next_part_number is None:
                return
            if start is not None and page.next_part_number <= start:
                raise ProtocolError("the list of parts goes in a circle")
            start = page.next_part_number

    def unfinished(
        self, name: str, prefix: str | None = None, *, dates: list[str] | None = None
    ) -> Iterator[StoredFile]:
        """All unfinished large files of a bucket. dates: gets the Date of each page."""
        fields = {"bucketId": self._bucket_id(name), "namePrefix": prefix, "maxFileCount": _UNFINISHED_PAGE_MAX}
        start: str | None = None
        while True:
            fields["startFileId"] = start
            page = self._call(
                "b2_list_unfinished_large_files", fields, parse_files, bucket=name, reading=True, dates=dates
            )
            yield from page.files
            if page.next_file_id is None:
                return
            if page.next_file_id == start:
                raise ProtocolError("the list of unfinished large files goes in a circle")
            start = page.next_file_id
