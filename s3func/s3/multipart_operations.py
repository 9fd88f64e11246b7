"""One build and one parse function per operation of multipart uploads, pure, in the manner of operations.py.

Rule 1: builders check every argument; `key` is not yet encoded.
Rule 2: CompleteMultipartUpload and UploadPartCopy may answer 200 and, minutes of white space later, with an `<Error>`;
        their parse functions raise it, and ProtocolError for a document that was cut off.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from s3func.errors import ChecksumMismatch, NotSupported, ProtocolError
from s3func.message import Request, Response, UploadBody
from s3func.results import PutResult
from s3func.s3.headers import check_key, check_text, etag_value
from s3func.s3.operations import add_conditions, bare, copy_source, document, on_bucket, refuse_disguise, with_document
from s3func.s3.payload import DefaultChecksum
from s3func.wire.encoding import encode_query, header_value
from s3func.wire.s3xml_multipart import PART_NUMBER_MAX, CompletedPart, CopyPartResult, PartsPage, UploadsPage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s3func.s3.endpoints import Place

PAGE_MAX = 1000
CHECKSUM_TYPES = ("COMPOSITE", "FULL_OBJECT")
_CHECKSUM = "x-amz-checksum-"
_PART_CHECKSUMS = tuple(f"{_CHECKSUM}{name}" for name in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256"))
# Headers of an upload that every request about it has to carry: who pays, whose bucket it is, and the customer's key.
_REPEATED = ("x-amz-request-payer", "x-amz-expected-bucket-owner")
_CUSTOMER_KEY = "x-amz-server-side-encryption-customer-"
# What the answer to CompleteMultipartUpload says about its own document, not about the object.
_ABOUT_DOCUMENT = frozenset({"content-length", "content-type", "transfer-encoding"})


class BegunUpload(NamedTuple):
    """What CreateMultipartUpload answers: the id, and the checksum that the store says it will keep ("" if it does not).

    checksum_algorithm: lower case. checksum_type: one of CHECKSUM_TYPES. A store that says nothing may know nothing of
    the checksum of a whole object, so it should not be told one on completion.
    """

    upload_id: str
    checksum_algorithm: str = ""
    checksum_type: str = ""


def check_part_number(part_number: object, name: str = "part_number") -> int:
    """The number, if a part can have it: 1 to 10,000; TypeError or ValueError names the argument."""
    if not isinstance(part_number, int) or isinstance(part_number, bool):
        raise TypeError(f"{name} must be an int, not {type(part_number).__name__}")
    if not 1 <= part_number <= PART_NUMBER_MAX:
        raise ValueError(f"{name} must be 1 to {PART_NUMBER_MAX}, not {part_number}")
    return part_number


def check_upload_id(upload_id: object) -> str:
    """The upload's id; without one the request would be about the object: TypeError or ValueError."""
    text = check_text("upload_id", upload_id)
    if not text:
        raise ValueError("upload_id is empty")
    return text


def repeated_headers(fields: Mapping[str, str]) -> dict[str, str]:
    """Those headers of an upload that its parts, its completion and its listing have to repeat."""
    return {name: value for name, value in fields.items() if name in _REPEATED or name.startswith(_CUSTOMER_KEY)}


# --- CreateMultipartUpload: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html


def create_multipart_upload(
    place: Place,
    key: str,
    fields: dict[str, str],
    *,
    checksum_algorithm: str | None = None,
    checksum_type: str | None = None,
    is_default: bool = False,
) -> Request:
    """`fields` are the object's headers. checksum_algorithm: lower or upper case. checksum_type: see CHECKSUM_TYPES.

    The checksum is that of each part, and of the whole object: composed of those of the parts, or computed as if the
    object had been sent in one piece ("FULL_OBJECT", which the SHAs cannot be). is_default: nobody asked for it, so a
    store that refuses it is asked without.
    """
    value = DefaultChecksum if is_default else str
    if checksum_type is not None:
        if checksum_type not in CHECKSUM_TYPES:
            raise ValueError(f"checksum_type must be one of {CHECKSUM_TYPES}, not {checksum_type!r}")
        if checksum_algorithm is None:
            raise ValueError("checksum_type is given without a checksum algorithm")
        fields["x-amz-checksum-type"] = value(checksum_type)
    if checksum_algorithm is not None:
        fields["x-amz-checksum-algorithm"] = value(header_value("checksum_algorithm", checksum_algorithm).upper())
    return bare("POST", place, check_key(key), "uploads=", fields)


def parse_create_multipart_upload(_request: Request, response: Response) -> BegunUpload:
    """The id of the upload and what the store has understood of its checksum."""
    from s3func.wire.s3xml_multipart import parse_create_multipart_upload as parse

    headers = response.headers
    return BegunUpload(
        parse(document(response)).upload_id,
        headers.get("x-amz-checksum-algorithm", "").lower(),
        headers.get("x-amz-checksum-type", "").upper(),
    )


# --- UploadPart: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html


def upload_part(
    place: Place,
    key: str,
    upload_id: str,
    part_number: int,
    body: bytes | UploadBody,
    payload_hash: str,
    fields: dict[str, str],
) -> Request:
    """`fields` are the headers of the part's checksum and the repeated ones; payload_hash covers the body."""
    request = bare("PUT", place, check_key(key), _part_query(upload_id, part_number), fields)
    request.headers["x-amz-content-sha256"] = payload_hash
    request.body = body
    return request


def parse_upload_part(request: Request, response: Response) -> CompletedPart:
    """The part as CompleteMultipartUpload names it, with the checksums that the store holds for it.

    ChecksumMismatch when the store says that it has another checksum than the one that was sent.
    """
    if response.body:
        refuse_disguise(document(response))
    headers = response.headers
    etag = headers.get("etag", "").strip('"')
    if not etag:
        raise ProtocolError("the answer to a part has no ETag")
    held = {}
    for name in _PART_CHECKSUMS:
        value = headers.get(name)
        if value is None:
            continue
        sent = request.headers.get(name)
        if sent is not None and sent != value:
            raise ChecksumMismatch(f"the part was sent with {name} {sent}, the store has {value}")
        held[name.removeprefix(_CHECKSUM)] = value
    return CompletedPart(_part_number_of(request), etag, held)


def _part_query(upload_id: str, part_number: int) -> str:
    number = check_part_number(part_number)
    return encode_query([("partNumber", str(number)), ("uploadId", check_upload_id(upload_id))])


def _part_number_of(request: Request) -> int:
    # The query is the one that _part_query made: in alphabetical order, so the number is its first value.
    return int(request.query.partition("&")[0].removeprefix("partNumber="))


# --- UploadPartCopy: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html


def upload_part_copy(
    place: Place,
    key: str,
    upload_id: str,
    part_number: int,
    source_bucket: str,
    source_key: str,
    source_version_id: str | None,
    fields: dict[str, str],
    *,
    byte_range: str | None = None,
    source_if_match: str | None = None,
) -> Request:
    """`fields` are the repeated headers. byte_range: `bytes=first-last`; without one the part is the whole source."""
    fields["x-amz-copy-source"] = copy_source(source_bucket, source_key, source_version_id)
    if byte_range is not None:
        if not byte_range.startswith("bytes=") or byte_range.startswith("bytes=-") or byte_range.endswith("-"):
            raise ValueError(f"byte_range must be bytes=first-last, not {byte_range!r}")
        fields["x-amz-copy-source-range"] = byte_range
    if source_if_match is not None:
        fields["x-amz-copy-source-if-match"] = etag_value("source_if_match", source_if_match)
    return bare("PUT", place, check_key(key), _part_query(upload_id, part_number), fields)


def parse_upload_part_copy(request: Request, response: Response) -> CompletedPart:
    """The part as CompleteMultipartUpload names it."""
    from s3func.wire.s3xml_multipart import parse_copy_part as parse

    body = document(response)
    if not body and "etag" in response.headers:
        raise NotSupported("the store does not know UploadPartCopy, and took it for the upload of an empty part")
    copied: CopyPartResult = parse(body)
    return CompletedPart(_part_number_of(request), copied.etag, copied.checksums)


# --- CompleteMultipartUpload: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html


def complete_multipart_upload(
    place: Place,
    key: str,
    upload_id: str,
    parts: Sequence[CompletedPart],
    fields: dict[str, str],
    *,
    checksum_algorithm: str | None = None,
    checksum: str | None = None,
    checksum_type: str | None = None,
    size: int | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
) -> Request:
    """`parts` ascend by number; `fields` are the repeated headers.

    checksum: base64 of the whole object by `checksum_algorithm`, which the store compares with its own. size: bytes of
    the whole object, compared likewise (x-amz-mp-object-size).
    """
    from s3func.wire.s3xml_multipart import render_complete_multipart_upload as render

    fields["content-type"] = "application/xml"
    if checksum is not None:
        if checksum_algorithm is None:
            raise ValueError("checksum is given without checksum_algorithm")
        name = f"{_CHECKSUM}{checksum_algorithm.lower()}"
        if name not in _PART_CHECKSUMS:
            raise ValueError(f"checksum_algorithm is unknown: {checksum_algorithm!r}")
        fields[name] = header_value("checksum", checksum)
    if checksum_type is not None:
        if checksum_type not in CHECKSUM_TYPES:
            raise ValueError(f"checksum_type must be one of {CHECKSUM_TYPES}, not {checksum_type!r}")
        fields["x-amz-checksum-type"] = checksum_type
    if size is not None:
        fields["x-amz-mp-object-size"] = str(_count("size", size))
    add_conditions(fields, if_match, if_none_match)
    query = encode_query([("uploadId", check_upload_id(upload_id))])
    return with_document(bare("POST", place, check_key(key), query, fields), render(parts))


def parse_complete_multipart_upload(_request: Request, response: Response) -> PutResult:
    """The result as put_object gives it: ETag and checksums of the document stand where a PUT has its headers."""
    from s3func.wire.s3xml_multipart import parse_complete_result as parse

    completed = parse(document(response))
    headers = {name: value for name, value in response.headers.items() if name not in _ABOUT_DOCUMENT}
    headers["etag"] = f'"{completed.etag}"'
    for algorithm, value in completed.checksums.items():
        headers.setdefault(f"{_CHECKSUM}{algorithm}", value)
    if completed.checksum_type is not None:
        headers.setdefault("x-amz-checksum-type", completed.checksum_type)
    return PutResult(response.status, headers)


# --- AbortMultipartUpload: https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html


def abort_multipart_upload(place: Place, key: str, upload_id: str, fields: dict[str, str] | None = None) -> Request:
    """Give up an upload and let go of its parts; `operations.no_content` reads the answer."""
    return bare("DELETE", place, check_key(key), encode_query([("uploadId", check_upload_id(upload_id))]), fields)


# --- ListParts: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html


def list_parts(
    place: Place,
    key: str,
    upload_id: str,
    fields: dict[str, str] | None = None,
    *,
    max_parts: int | None = None,
    part_number_marker: int | None = None,
) -> Request:
    """One page of the parts of an upload, by number; part_number_marker: only those behind it."""
    pairs = [("uploadId", check_upload_id(upload_id))]
    if max_parts is not None:
        pairs.append(("max-parts", str(_page_size("max_parts", max_parts))))
    if part_number_marker is not None:
        pairs.append(("part-number-marker", str(_count("part_number_marker", part_number_marker))))
    return bare("GET", place, check_key(key), encode_query(pairs), fields)


def parse_list_parts(_request: Request, response: Response) -> PartsPage:
    """The page; anything that is not a whole page raises."""
    from s3func.wire.s3xml_multipart import parse_list_parts as parse

    return parse(document(response))


# --- ListMultipartUploads: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html


def list_multipart_uploads(
    place: Place,
    prefix: str | None = None,
    delimiter: str | None = None,
    max_uploads: int | None = None,
    key_marker: str | None = None,
    upload_id_marker: str | None = None,
    *,
    is_encoded: bool = True,
) -> Request:
    """One page of the uploads that are neither completed nor aborted, by key; both markers say where it begins."""
    pairs = [("uploads", "")]
    if is_encoded:
        # Without it one key with a control character makes a page that no strict XML parser can read.
        pairs.append(("encoding-type", "url"))
    if prefix is not None:
        pairs.append(("prefix", check_text("prefix", prefix)))
    if delimiter is not None:
        pairs.append(("delimiter", check_text("delimiter", delimiter)))
    if max_uploads is not None:
        pairs.append(("max-uploads", str(_page_size("max_uploads", max_uploads))))
    if key_marker is not None:
        pairs.append(("key-marker", check_text("key_marker", key_marker)))
    if upload_id_marker is not None:
        pairs.append(("upload-id-marker", check_text("upload_id_marker", upload_id_marker)))
    return on_bucket("GET", place, encode_query(pairs))


def parse_list_multipart_uploads(_request: Request, response: Response) -> UploadsPage:
    """The page; anything that is not a whole page raises."""
    from s3func.wire.s3xml_multipart import parse_list_multipart_uploads as parse

    return parse(document(response))


def _page_size(name: str, value: object) -> int:
    count = _count(name, value)
    if not 1 <= count <= PAGE_MAX:
        raise ValueError(f"{name} must be 1 to {PAGE_MAX}, not {count}")
    return count


def _count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} is negative: {value}")
    return value
