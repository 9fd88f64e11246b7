"""One multipart upload under way: begun, its parts sent by a crew, then completed or aborted.

Rule 1: what was begun is completed or aborted; an abort that fails is noted on the error that was its reason.
Rule 2: the answer to a completion that got lost is found out: an object with our ETag or checksum is our success.
Rule 3: the whole object's checksum is made from those of the parts, sent along, and compared with the store's.
"""

from __future__ import annotations

import re
from hashlib import md5
from typing import TYPE_CHECKING, NamedTuple, cast

from s3func.errors import ChecksumMismatch, Conflict, NoSuchUpload, S3FuncError, ServiceError
from s3func.results import PutResult
from s3func.s3 import multipart_operations, operations
from s3func.s3.multipart_listings import PartListing, UploadListing, fetch_uploads
from s3func.s3.payload import DefaultChecksum, describe
from s3func.transport.client import Client
from s3func.transport.parallel import Crew, CrewClock, PacedAuthorizer
from s3func.transport.transfer import ProgressCount, TransferConfig, WatchedBody
from s3func.wire import checksum
from s3func.wire.encoding import parse_http_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3func.clock import Clock
    from s3func.message import Request, Response, UploadBody
    from s3func.s3.auth import SigV4Authorizer, Skew
    from s3func.s3.endpoints import PartRules
    from s3func.s3.multipart_operations import BegunUpload
    from s3func.transport.body import Body
    from s3func.wire.s3xml_multipart import CompletedPart, PartsPage, UploadEntry, UploadsPage

CONFLICT = "ConditionalRequestConflict"
_CRCS = frozenset({"crc32", "crc32c", "crc64nvme"})
_DAMAGED = frozenset({"BadDigest", "XAmzContentSHA256Mismatch"})
# What two machines' clocks may differ by, after the difference that the session has learned from refusals.
_CLOCK_TOLERANCE_SECONDS = 60.0
_CLEANING_ATTEMPTS = 5
# The uploads of this process that are under way, so that no thread takes another one's for an orphan.
_under_way: set[str] = set()


class Put(NamedTuple):
    """What one call asks for, checked: where to, with which headers, and how."""

    client: Client
    clock: Clock
    skew: Skew
    authorizer: SigV4Authorizer
    key: str
    path: str
    """The key, percent-encoded."""
    fields: dict[str, str]
    checksum: str
    if_match: str | None
    if_none_match: str | None
    transfer: TransferConfig
    multipart: bool | None
    progress: ProgressCount
    watched: bool
    """Whether somebody counts the bytes or limits them."""
    deadline: float | None

    @property
    def repeated(self) -> dict[str, str]:
        """The headers that every request about an upload repeats."""
        return multipart_operations.repeated_headers(self.fields)

    @property
    def part_rules(self) -> PartRules:
        """What the store wants of parts."""
        return self.authorizer.endpoint.parts

    @property
    def store_time(self) -> float:
        """What time it is at the store, as far as the session knows."""
        return self.clock.now() + self.skew.seconds

    def for_cleaning_up(self) -> Put:
        """The same for what has to be done after a failure: in time of its own, and not given up at the first attempt."""
        client = self.client
        retries = client.retries._replace(attempts=max(_CLEANING_ATTEMPTS, client.retries.attempts))
        cleaning = Client(client.transport, retries, total_seconds=client.total_seconds, clock=self.clock)
        return self._replace(client=cleaning, deadline=None)

    def uploads(self, told: Callable[[Response], None] | None = None) -> Iterator[UploadEntry]:
        """The unfinished uploads of this key; `told` is shown every answer before its rows."""

        def send(request: Request, parse: Callable[[Request, Response], UploadsPage]) -> UploadsPage:
            def parse_told(request: Request, response: Response) -> UploadsPage:
                if told is not None:
                    told(response)
                return parse(request, response)

            request.deadline = self.deadline
            return self.client.send(request, self.authorizer, parse_told)

        def fetch(page: UploadsPage | None) -> UploadsPage:
            markers = (None, None) if page is None else (page.next_key_marker, page.next_upload_id_marker)
            return fetch_uploads(send, self.authorizer.place, self.key, None, None, *markers)

        for entry in UploadListing(fetch):
            if entry.key == self.key:
                yield entry
            elif entry.key >= f"{self.key}/":
                # Not at the first other key: Ceph sorts by the key with "." and the upload's id behind it.
                return

    def parts(self, upload_id: str) -> Iterator[PartsPage]:
        """The parts of an upload, page by page."""

        def fetch(page: PartsPage | None) -> PartsPage:
            request = multipart_operations.list_parts(
                self.authorizer.place,
                self.key,
                upload_id,
                self.repeated,
                part_number_marker=None if page is None else page.next_part_number_marker,
            )
            request.deadline = self.deadline
            return self.client.send(request, self.authorizer, multipart_operations.parse_list_parts)

        return PartListing(fetch).pages()


class PartsNeededAgain(S3FuncError):
    """A conflicting write came in between: the store wants the parts in a new upload. `.conflict` is its refusal."""

    def __init__(self, conflict: S3FuncError) -> None:
        super().__init__(str(conflict))
        self.conflict = conflict


class Completing:
    """The authorizer of a completion: a conflict is not answered by asking again, as it would be elsewhere."""

    def __init__(self, inner: SigV4Authorizer) -> None:
        self._inner = inner
        self.authorize = inner.authorize
        self.about = inner.about
        self.renew = inner.renew
        self.operation = inner.operation

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        """PartsNeededAgain for a conflict with another write."""
        error = self._inner.refusal(request, response)
        if isinstance(error, Conflict) and error.code == CONFLICT:
            error.bucket, error.key = self._inner.about(request)
            return PartsNeededAgain(error)
        return error


class _Beginning:
    """The authorizer of the request that begins an upload: it counts the attempts whose answer never came."""

    def __init__(self, inner: SigV4Authorizer) -> None:
        self._inner = inner
        self.about = inner.about
        self.renew = inner.renew
        self.operation = inner.operation
        self.unanswered = 0

    def authorize(self, request: Request) -> None:
        """Another attempt."""
        self.unanswered += 1
        self._inner.authorize(request)

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        """A refusal is an answer; a failure of the store may have come after it had begun the upload."""
        if response.status not in {500, 502, 504}:
            self.unanswered -= 1
        return self._inner.refusal(request, response)


class PartsUpload:
    """One upload; `send` is for the threads of the crew, the rest for the one that uploads."""

    def __init__(self, put: Put, crew: Crew) -> None:
        self.put = put
        self.crew = crew
        self.upload_id = ""
        self.algorithm = {"auto": "crc32", "off": ""}.get(put.checksum, put.checksum)
        self.kind = "FULL_OBJECT" if self.algorithm in _CRCS else "COMPOSITE"
        self.is_confirmed = False
        """Whether the store has said that it will keep a checksum of this kind."""
        self._parts: dict[int, CompletedPart] = {}
        self._digests: dict[int, tuple[bytes, int]] = {}
        self._began = 0.0
        self._client = Client(
            put.client.transport,
            put.client.retries,
            total_seconds=put.client.total_seconds,
            clock=CrewClock(put.clock, crew),
        )

    def begin(self) -> None:
        """Begin it at the store."""
        put = self.put
        fields = dict(put.fields)
        for name in ("if-match", "if-none-match"):
            fields.pop(name, None)
        request = multipart_operations.create_multipart_upload(
            put.authorizer.place,
            put.key,
            fields,
            checksum_algorithm=self.algorithm or None,
            checksum_type=self.kind if self.algorithm else None,
            is_default=put.checksum == "auto",
        )
        request.deadline = put.deadline
        self._began = put.store_time
        began = put.clock.monotonic()
        beginning = _Beginning(put.authorizer)
        try:
            begun = put.client.send(request, beginning, multipart_operations.parse_create_multipart_upload)
            beginning.unanswered -= 1
            self._adopt(begun, asked="x-amz-checksum-algorithm" in request.headers)
        finally:
            if beginning.unanswered > 0:
                self._abort_unanswered(began)

    def _adopt(self, begun: BegunUpload, *, asked: bool) -> None:
        self.upload_id = begun.upload_id
        _under_way.add(begun.upload_id)
        if not asked:
            # The store refuses the checksum, and was asked without.
            self.algorithm = ""
        self.is_confirmed = bool(self.algorithm) and begun.checksum_type == self.kind

    def resume(self, upload_id: str, algorithm: str, kind: str) -> None:
        """Take over an upload that was begun earlier, with the checksum that it was begun with."""
        self.upload_id = upload_id
        self.algorithm = algorithm
        self.kind = kind
        self.is_confirmed = bool(algorithm) and bool(kind)
        self._began = self.put.store_time
        _under_way.add(upload_id)

    def keep(self, part: CompletedPart, digest: bytes, length: int) -> None:
        """A part that is there already."""
        self._parts[part.part_number] = part
        self._digests[part.part_number] = (digest, length)

    def hasher(self) -> checksum.Hasher | None:
        """The checksum of a part, to be fed with its bytes."""
        return checksum.hasher(self.algorithm) if self.algorithm else None

    def send(self, number: int, body: UploadBody, digest: bytes, on_sent: Callable[[], None] | None = None) -> None:
        """Send one part, whose checksum is known (b"" without one).

        on_sent: called whenever all of its bytes are with the kernel; what it does to the body's memory, the body has
        to know when it is asked for its blocks again.
        """
        watched = WatchedBody(
            body,
            count=self.put.progress,
            bandwidth=self.put.transfer.bandwidth,
            check=self.crew.check,
            sleep=self.crew.wait,
            on_sent=on_sent,
        )
        request = self._part_request(number, body, watched, digest)
        authorizer = PacedAuthorizer(self.put.authorizer, self.crew)
        try:
            part = self._client.send(request, authorizer, multipart_operations.parse_upload_part)
        except (ServiceError, ChecksumMismatch) as error:
            if isinstance(error, ServiceError) and error.code not in _DAMAGED:
                raise
            # Damaged on its way: the bytes whose checksum was taken are sent once more.
            part = self._client.send(request, authorizer, multipart_operations.parse_upload_part)
        watched.finish()
        self._parts[number] = part
        self._digests[number] = (digest, body.length)

    def _part_request(self, number: int, body: UploadBody, watched: WatchedBody, digest: bytes) -> Request:
        put = self.put
        place = put.authorizer.place
        fields = put.repeated
        if digest and self.algorithm:
            value = checksum.encode(digest)
            fields[f"x-amz-checksum-{self.algorithm}"] = DefaultChecksum(value) if put.checksum == "auto" else value
        # With "off" nothing is asked of the body but its blocks.
        payload_hash = describe(cast("Body", body), fields, "off", place.origin)
        request = multipart_operations.upload_part(
            place, put.key, self.upload_id, number, watched, payload_hash, fields
        )
        request.deadline = put.deadline
        return request

    def complete(self) -> PutResult:
        """Publish the object; all parts have been sent."""
        put = self.put
        numbers = sorted(self._parts)
        whole = self._whole_checksum(numbers)
        is_sent = bool(whole) and self.is_confirmed and self.kind == "FULL_OBJECT"
        request = multipart_operations.complete_multipart_upload(
            put.authorizer.place,
            put.key,
            self.upload_id,
            [self._parts[number] for number in numbers],
            put.repeated,
            checksum_algorithm=self.algorithm if is_sent else None,
            checksum=whole if is_sent else None,
            checksum_type=self.kind if is_sent else None,
            size=sum(length for _, length in self._digests.values()),
            if_match=put.if_match if put.if_match is not None else put.fields.get("if-match"),
            if_none_match=put.if_none_match if put.if_none_match is not None else put.fields.get("if-none-match"),
        )
        request.deadline = put.deadline
        try:
            result = put.client.send(
                request, Completing(put.authorizer), multipart_operations.parse_complete_multipart_upload
            )
        except S3FuncError as error:
            published = self._published(numbers, whole) if error.maybe_applied else None
            if published is None:
                raise
            return published
        self._verify(result, whole)
        return result

    def _whole_checksum(self, numbers: list[int]) -> str:
        """The checksum of the object: of all its bytes, or of the checksums of its parts with their number behind it."""
        if not self.algorithm:
            return ""
        digests = [self._digests[number] for number in numbers]
        if self.kind == "COMPOSITE":
            hasher = checksum.hasher(self.algorithm)
            hasher.update(b"".join(digest for digest, _ in digests))
            return f"{hasher.base64()}-{len(digests)}"
        whole, _ = digests[0]
        for digest, length in digests[1:]:
            whole = checksum.combine(self.algorithm, whole, digest, length)
        return checksum.encode(whole)

    def _verify(self, result: PutResult, whole: str) -> None:
        """ChecksumMismatch when the store has made an object that is not what was sent."""
        kept = result.headers.get(f"x-amz-checksum-{self.algorithm}", "") if self.algorithm else ""
        # A store may compose what was asked for as a whole, or the other way round: then there is nothing to compare.
        if kept and ("-" in kept) == ("-" in whole) and kept != whole:
            error = ChecksumMismatch(
                f"the object's {self.algorithm} is {kept} at the store, and {whole} of what was sent; it was published"
            )
            error.bucket, error.key = self.put.authorizer.bucket, self.put.key
            raise error

    def _published(self, numbers: list[int], whole: str) -> PutResult | None:
        """The result of a completion whose answer got lost, if the object that is there is the one that was sent."""
        put = self.put
        size = sum(length for _, length in self._digests.values())
        place = put.authorizer.place
        fields = dict(put.repeated)
        if put.authorizer.endpoint.verifies:
            fields["x-amz-checksum-mode"] = "ENABLED"
        request = operations.bare("HEAD", place, put.path, "", fields)
        request.deadline = put.deadline
        try:
            head = put.client.send(request, put.authorizer, operations.parse_head_object)
        except S3FuncError:
            return None
        if head.size != size:
            return None
        expected = _etag_of([self._parts[number].etag for number in numbers])
        kept = head.headers.get(f"x-amz-checksum-{self.algorithm}", "") if self.algorithm else ""
        if expected == head.etag or (kept and kept == whole):
            return PutResult(200, head.headers)
        if expected and re.fullmatch(r"[0-9a-f]{32}-[0-9]+", head.etag):
            return None
        # A store with ETags of its own making, and no checksum: an object in as many parts that is younger than this.
        modified = head.last_modified
        since = self._began - _CLOCK_TOLERANCE_SECONDS
        if head.etag.endswith(f"-{len(numbers)}") and modified is not None and modified.timestamp() >= since:
            return PutResult(200, head.headers)
        return None

    def leave(self) -> None:
        """It is completed, aborted, or left for another call: this process has nothing more to do with it."""
        _under_way.discard(self.upload_id)

    def abort(self, reason: BaseException | None = None) -> None:
        """Give it up; what goes wrong with that is noted on the reason. The crew is at rest."""
        if not self.upload_id:
            return
        self.leave()
        put = self.put.for_cleaning_up()
        request = multipart_operations.abort_multipart_upload(
            put.authorizer.place, put.key, self.upload_id, put.repeated
        )
        try:
            put.client.send(request, put.authorizer, operations.no_content)
        except NoSuchUpload:
            pass
        except S3FuncError as error:
            if reason is None:
                raise
            reason.add_note(f"the upload {self.upload_id!r} could not be aborted, and its parts are kept: {error}")

    def _abort_unanswered(self, began: float) -> None:
        """Abort the uploads that were begun by requests whose answers never came: empty ones of this key, begun since.

        began: when the first of those requests was sent, on our monotonic clock; the rest is told by the store's own.
        """
        put = self.put.for_cleaning_up()
        since = 0.0

        def told(response: Response) -> None:
            nonlocal since
            elapsed = put.clock.monotonic() - began
            try:
                now = parse_http_date(response.headers["date"]).timestamp()
            except (KeyError, ValueError):
                now = put.store_time
            # Both of the store's times are of whole seconds.
            since = now - elapsed - 2.0

        try:
            for entry in put.uploads(told):
                if entry.upload_id in _under_way or entry.initiated is None or entry.initiated.timestamp() < since:
                    continue
                if not any(page.parts for page in put.parts(entry.upload_id)):
                    request = multipart_operations.abort_multipart_upload(
                        put.authorizer.place, put.key, entry.upload_id, put.repeated
                    )
                    put.client.send(request, put.authorizer, operations.no_content)
        except S3FuncError:
            # An empty upload holds no bytes, and abort_multipart_uploads finds it later.
            return


def _etag_of(etags: list[str]) -> str:
    """The ETag of an object in these parts where ETags are MD5s; "" where they are something else."""
    if not all(re.fullmatch(r"[0-9a-f]{32}", etag) for etag in etags):
        return ""
    digest = md5(b"".join(bytes.fromhex(etag) for etag in etags), usedforsecurity=False).hexdigest()
    return f"{digest}-{len(etags)}"
