"""The operations of multipart uploads, one verb each; what looks after an upload as a whole is multipart_upload.py.

Who knows the body beforehand has no need of them: put_object and upload_file go in parts by themselves.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from s3func.errors import NoSuchUpload, NotFound, S3FuncError
from s3func.s3.base import S3Base
from s3func.s3.headers import check_key, etag_value, extra_headers
from s3func.s3.payload import CHECKSUMS, body_length, describe
from s3func.transport.body import BodySource, body_of
from s3func.transport.settings import checked_age
from s3func.wire.encoding import header_value

if TYPE_CHECKING:
    from datetime import timedelta

    from s3func.message import Request, Response
    from s3func.results import PutResult
    from s3func.s3.auth import SigV4Authorizer
    from s3func.s3.multipart_listings import PartListing, UploadListing
    from s3func.s3.multipart_upload import MultipartUpload, SentPart
    from s3func.wire.s3xml_multipart import CompletedPart, PartEntry, PartsPage, UploadEntry, UploadsPage

    NamedPart = CompletedPart | PartEntry | Mapping[str, Any] | tuple[int, str]

PART_BYTES_MAX = 5 * 1024**3


def _multipart_etag(parts: list[CompletedPart]) -> str | None:
    """The ETag of the object that these parts make, where those of the parts are MD5s; None where they cannot be."""
    from s3func.wire.checksum import hasher
    from s3func.wire.s3xml_error import strip_quotes

    digest = hasher("md5")
    for part in parts:
        etag = strip_quotes(part.etag)
        if re.fullmatch("[0-9a-f]{32}", etag) is None:
            return None
        digest.update(unhexlify(etag))
    return f"{digest.digest().hex()}-{len(parts)}"


def _chosen_type(checksum_type: str | None, checksum: str) -> str:
    """What the store is to keep of the whole object: the caller's choice if it is one, else the best that there is."""
    from s3func.s3.multipart_operations import CHECKSUM_TYPES
    from s3func.s3.multipart_upload import CRCS, algorithm_of

    is_crc = algorithm_of(checksum) in CRCS
    if checksum_type is None:
        return "FULL_OBJECT" if is_crc else "COMPOSITE"
    if checksum_type not in CHECKSUM_TYPES:
        raise ValueError(f"checksum_type must be one of {CHECKSUM_TYPES}, not {checksum_type!r}")
    is_possible = checksum != "crc64nvme" if checksum_type == "COMPOSITE" else is_crc
    if checksum == "off" or not is_possible:
        raise ValueError(f"checksum_type {checksum_type} does not exist for checksum {checksum!r}")
    return checksum_type


def _checked_parts(parts: Iterable[NamedPart]) -> list[CompletedPart]:
    """The parts by number, each once; TypeError or ValueError names the argument."""
    from s3func.s3.multipart_operations import check_part_number
    from s3func.wire.s3xml_error import strip_quotes
    from s3func.wire.s3xml_multipart import CompletedPart, PartEntry

    if isinstance(parts, str | bytes | Mapping | CompletedPart | PartEntry) or not isinstance(parts, Iterable):
        raise TypeError(f"parts must be a list of parts, not {type(parts).__name__}")
    found: dict[int, CompletedPart] = {}
    for row in parts:
        number, etag, checksums = _fields_of(row)
        check_part_number(number, "a part_number in parts")
        if number in found:
            raise ValueError(f"parts holds part {number} twice")
        text = etag_value("an etag in parts", etag)
        found[number] = CompletedPart(number, strip_quotes(text), checksums)
    if not found:
        raise ValueError("parts is empty: S3 makes no object of nothing, not even an empty one")
    return [found[number] for number in sorted(found)]


def _fields_of(row: Any) -> tuple[Any, Any, Mapping[str, str]]:
    from s3func.wire.s3xml_multipart import CompletedPart, PartEntry

    if isinstance(row, CompletedPart | PartEntry):
        return row.part_number, row.etag, row.checksums
    if isinstance(row, Mapping):
        return row.get("PartNumber", row.get("part_number")), row.get("ETag", row.get("etag")), {}
    if isinstance(row, tuple) and len(row) == 2:
        return row[0], row[1], {}
    raise TypeError(f"parts must hold parts, (number, etag) pairs or mappings, not {type(row).__name__}")


def _one_checksum(checksums: Mapping[str, str] | None) -> tuple[str | None, str | None]:
    if checksums is None:
        return None, None
    if not isinstance(checksums, Mapping):
        raise TypeError(f"checksums must be a mapping, not {type(checksums).__name__}")
    if len(checksums) != 1:
        raise ValueError(f"checksums must hold one checksum of the whole object, not {len(checksums)}")
    [(algorithm, value)] = checksums.items()
    if not isinstance(algorithm, str) or algorithm not in CHECKSUMS - {"auto", "off"}:
        raise ValueError(f"checksums holds an unknown algorithm: {algorithm!r}")
    return algorithm, header_value("checksums", value)


class MultipartVerbs(S3Base):
    """The operations of multipart uploads."""

    def create_multipart_upload(
        self,
        key: str,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        *,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Any = None,
        storage_class: str | None = None,
        acl: str | None = None,
        tagging: Mapping[str, str] | str | None = None,
        checksum: str | None = None,
        checksum_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> MultipartUpload:
        """Begin an upload in parts, for bodies that put_object cannot know: a MultipartUpload, best used by `with`.

        The keywords are those of put_object. checksum_type: what the store keeps of the whole object, "FULL_OBJECT"
        (the default for CRCs, and what downloads are verified with) or "COMPOSITE" (always for SHAs).
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
        """
        from s3func.s3.operations import object_headers

        fields = object_headers(
            metadata=metadata,
            content_type=content_type,
            cache_control=cache_control,
            content_disposition=content_disposition,
            content_encoding=content_encoding,
            content_language=content_language,
            expires=expires,
            storage_class=storage_class,
            acl=acl,
            tagging=tagging,
            headers=headers,
        )
        return self._begin_upload(key, fields, checksum, checksum_type, bucket)

    def _begin_upload(
        self, key: str, fields: dict[str, str], checksum: str | None, checksum_type: str | None, bucket: str | None
    ) -> MultipartUpload:
        from s3func.s3.multipart_upload import MultipartUpload, algorithm_of
        from s3func.s3.upload_parts import PartsUpload, Put
        from s3func.transport.parallel import Crew
        from s3func.transport.transfer import ProgressCount

        authorizer = self._at(bucket)
        if any(name.startswith("x-amz-checksum-") for name in fields):
            raise ValueError("headers must not set the checksum of an upload: checksum and checksum_type do")
        chosen = self._chosen_checksum(checksum)
        begun = PartsUpload(
            Put(
                client=self._client,
                clock=self._clock,
                skew=self._skew,
                authorizer=authorizer,
                key=key,
                path=check_key(key),
                fields=fields,
                # Together with a type that was asked for, the default algorithm was asked for as well.
                checksum=chosen if checksum_type is None else algorithm_of(chosen),
                if_match=None,
                if_none_match=None,
                transfer=self._transfer,
                multipart=True,
                progress=ProgressCount(None, None),
                watched=False,
                deadline=None,
            ),
            Crew(1),
        )
        begun.kind = _chosen_type(checksum_type, chosen)
        begun.begin()
        # The store may just have refused the default.
        used = chosen if begun.algorithm else "off"

        def send_part(number: int, body: BodySource) -> SentPart:
            return self._send_part(key, begun.upload_id, number, body, used, begun.put.repeated, bucket)

        return MultipartUpload(
            self,
            authorizer.bucket or "",
            key,
            begun.upload_id,
            send_part,
            begun.leave,
            algorithm=algorithm_of(used),
            is_confirmed=begun.is_confirmed and begun.kind == "FULL_OBJECT",
            headers=begun.put.repeated,
        )

    def upload_part(
        self,
        key: str,
        upload_id: str,
        part_number: int,
        body: BodySource,
        *,
        checksum: str | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> CompletedPart:
        """Send one part of an upload; what it returns is what complete_multipart_upload wants to have.

        checksum: as in put_object; it has to be the algorithm that the upload was begun with. headers: those that the
        upload was begun with and every part repeats, such as a customer's key.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
        """
        fields = {} if headers is None else extra_headers(headers)
        return self._send_part(key, upload_id, part_number, body, self._chosen_checksum(checksum), fields, bucket).part

    def _send_part(
        self,
        key: str,
        upload_id: str,
        part_number: int,
        body: BodySource,
        checksum: str,
        headers: Mapping[str, str],
        bucket: str | None,
    ) -> SentPart:
        from s3func.s3 import multipart_operations as operations
        from s3func.s3.multipart_upload import SentPart, algorithm_of

        authorizer = self._at(bucket)
        fields = dict(headers)
        payload = body_of(body)
        try:
            size = body_length(payload)
            if size > PART_BYTES_MAX:
                raise ValueError(f"body has {size} bytes; a part has at most {PART_BYTES_MAX}")
            payload_hash = describe(payload, fields, checksum, authorizer.place.origin)
            digest = fields.get(f"x-amz-checksum-{algorithm_of(checksum)}", "")
            request = operations.upload_part(
                authorizer.place, key, upload_id, part_number, payload, payload_hash, fields
            )
            return SentPart(self._client.send(request, authorizer, operations.parse_upload_part), size, digest)
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
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> CompletedPart:
        """Make a part of an object, or of its bytes from range_start to range_end, both included.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
        """
        from s3func.s3 import multipart_operations
        from s3func.wire.ranges import byte_range

        authorizer = self._at(bucket).plain
        wanted = byte_range(range_start, range_end)
        if (range_start is None) != (range_end is None):
            raise ValueError("give both range_start and range_end, or neither: a part is not copied to an open end")
        request = multipart_operations.upload_part_copy(
            authorizer.place,
            key,
            upload_id,
            part_number,
            self._at(source_bucket, "source_bucket").bucket or "",
            source_key,
            source_version_id,
            {} if headers is None else extra_headers(headers),
            byte_range=wanted,
            source_if_match=source_if_match,
        )
        return self._client.send(request, authorizer, multipart_operations.parse_upload_part_copy)

    def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Iterable[NamedPart],
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        checksums: Mapping[str, str] | None = None,
        checksum_type: str | None = None,
        size: int | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> PutResult:
        """Make an object of the parts of an upload.

        parts: what upload_part returned, rows of list_parts, (number, ETag) pairs or mappings with PartNumber and ETag,
        in any order. checksums: of the whole object, such as {"crc32": base64}, for the store to compare. size: bytes
        of the whole object, likewise. PreconditionFailed leaves the upload as it is; after Conflict, another write that
        came in between, S3 wants all parts in a new upload.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        """
        from s3func.s3 import multipart_operations
        from s3func.s3.upload_parts import Completing, PartsNeededAgain

        authorizer = self._at(bucket)
        named = _checked_parts(parts)
        algorithm, checksum = _one_checksum(checksums)
        fields = {} if headers is None else extra_headers(headers)
        request = multipart_operations.complete_multipart_upload(
            authorizer.place,
            key,
            upload_id,
            named,
            dict(fields),
            checksum_algorithm=algorithm,
            checksum=checksum,
            checksum_type=checksum_type,
            size=size,
            if_match=if_match,
            if_none_match=if_none_match,
        )
        try:
            return self._client.send(
                request, Completing(authorizer), multipart_operations.parse_complete_multipart_upload
            )
        except PartsNeededAgain as again:
            raise again.conflict from None
        except NotFound as error:
            # NoSuchUpload; Ceph calls it NoSuchKey.
            result = self._completed_before(key, named, fields, bucket) if error.maybe_applied else None
            if result is None:
                raise
            return result

    def _completed_before(
        self, key: str, parts: list[CompletedPart], headers: Mapping[str, str], bucket: str | None
    ) -> PutResult | None:
        """The object, if an attempt whose answer was lost has made it of these very parts."""
        from s3func.results import PutResult
        from s3func.s3 import operations

        expected = _multipart_etag(parts)
        if expected is None:
            return None
        authorizer = self._at(bucket)
        request = operations.bare("HEAD", authorizer.place, check_key(key), "", dict(headers))
        try:
            head = self._client.send(request, authorizer, operations.parse_head_object)
        except S3FuncError:
            return None
        if head.etag != expected:
            return None
        kept = ("etag", "x-amz-version-id", "x-amz-request-id", "date")
        return PutResult(head.status, {name: head.headers[name] for name in kept if name in head.headers})

    def abort_multipart_upload(
        self, key: str, upload_id: str, *, headers: Mapping[str, str] | None = None, bucket: str | None = None
    ) -> None:
        """Give up an upload and let the store forget its parts. NoSuchUpload when there is none.

        A part that is still under way may be stored all the same; then this has to be called again.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        """
        from s3func.s3 import multipart_operations
        from s3func.s3.operations import no_content

        authorizer = self._at(bucket)
        fields = None if headers is None else extra_headers(headers)
        request = multipart_operations.abort_multipart_upload(authorizer.place, key, upload_id, fields)
        try:
            self._client.send(request, authorizer, no_content)
        except NoSuchUpload as error:
            # An earlier attempt, whose answer was lost, has done it.
            if not error.maybe_applied:
                raise

    def list_parts(
        self,
        key: str,
        upload_id: str,
        *,
        part_number_marker: int | None = None,
        max_parts: int | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> PartListing:
        """The parts of an upload that the store has, by number: lazy, and complete or an error.

        part_number_marker: only those behind it. max_parts: rows per request (1 to 1,000), not in all.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
        """
        from s3func.s3 import multipart_operations
        from s3func.s3.multipart_listings import PartListing

        authorizer = self._at(bucket)
        fields = {} if headers is None else extra_headers(headers)

        def request_of(marker: int | None) -> Request:
            return multipart_operations.list_parts(
                authorizer.place, key, upload_id, fields, max_parts=max_parts, part_number_marker=marker
            )

        def fetch(last: PartsPage | None) -> PartsPage:
            request = request_of(part_number_marker if last is None else last.next_part_number_marker)
            return self._client.send(request, authorizer, multipart_operations.parse_list_parts)

        # Built for its checks alone: a wrong argument shall not wait for the first iteration.
        request_of(part_number_marker)
        return PartListing(fetch)

    def list_multipart_uploads(
        self,
        prefix: str | None = None,
        delimiter: str | None = None,
        *,
        key_marker: str | None = None,
        upload_id_marker: str | None = None,
        max_uploads: int | None = None,
        bucket: str | None = None,
    ) -> UploadListing:
        """The uploads that are neither completed nor aborted, by key: lazy, and complete or an error.

        delimiter: fold what lies deeper into `.common_prefixes`. key_marker: only keys behind this one; with
        upload_id_marker also those of this key behind that id. max_uploads: rows per request (1 to 1,000), not in all.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
        """
        return self._uploads(self._at(bucket), prefix, delimiter, max_uploads, (key_marker, upload_id_marker))

    def _uploads(
        self,
        authorizer: SigV4Authorizer,
        prefix: str | None,
        delimiter: str | None = None,
        max_uploads: int | None = None,
        markers: tuple[str | None, str | None] = (None, None),
        dates: list[str] | None = None,
    ) -> UploadListing:
        """dates: takes the Date of every answer."""
        from s3func.s3 import multipart_operations
        from s3func.s3.multipart_listings import UploadListing, fetch_uploads

        def send(request: Request, parse: Callable[[Request, Response], UploadsPage]) -> UploadsPage:
            def dated(request: Request, response: Response) -> UploadsPage:
                if dates is not None:
                    dates.append(response.headers.get("date", ""))
                return parse(request, response)

            return self._client.send(request, authorizer, dated)

        def fetch(last: UploadsPage | None) -> UploadsPage:
            place = markers if last is None else (last.next_key_marker, last.next_upload_id_marker)
            return fetch_uploads(send, authorizer.place, prefix, delimiter, max_uploads, *place)

        # Built for its checks alone: a wrong argument shall not wait for the first iteration.
        multipart_operations.list_multipart_uploads(authorizer.place, prefix, delimiter, max_uploads, *markers)
        return UploadListing(fetch)

    def abort_multipart_uploads(
        self, older_than: timedelta | float, prefix: str | None = None, *, bucket: str | None = None
    ) -> list[UploadEntry]:
        """Abort the uploads under a prefix that were begun more than `older_than` (a timedelta, or seconds) ago.

        Returns those that were aborted. Their age is reckoned by the store's clock, the Date of its answer (by our own
        where it sends none). An upload whose beginning the store does not tell is left alone unless older_than is 0,
        which aborts all there are. The first refusal ends the work.
        """
        seconds = checked_age(older_than)
        authorizer = self._at(bucket)
        dates: list[str] = []
        uploads = list(self._uploads(authorizer, prefix, dates=dates))
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
        """The store's time at an answer with this Date; our own clock's where it sends none."""
        from s3func.wire.encoding import parse_http_date

        try:
            return parse_http_date(date).timestamp()
        except ValueError:
            return self._clock.now() + self._skew.seconds

    def _chosen_checksum(self, checksum: str | None) -> str:
        if checksum is None:
            return self._checksum
        if not isinstance(checksum, str) or checksum not in CHECKSUMS:
            raise ValueError(f"checksum must be one of {sorted(CHECKSUMS)}, not {checksum!r}")
        return checksum
