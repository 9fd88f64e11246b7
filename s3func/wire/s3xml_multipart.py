"""The documents of multipart uploads and of GetObjectAttributes, parsing and rendering side by side.

Rule 1: the client's half (answers) raises ProtocolError for what is not the document that was asked for, and the
        ServiceError of an `<Error>` that came in its place, also with status 200.
Rule 2: the server's half (requests) raises what the server answers with: MalformedXML, InvalidPart, InvalidPartOrder.
Rule 3: an ETag has no quotes here; a checksum is base64 under the lower-case name of its algorithm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from s3func.errors import ProtocolError, service_error
from s3func.wire.encoding import decode_component, encode_path
from s3func.wire.s3xml_error import element, frame, open_document, parse_time, strip_quotes
from s3func.wire.s3xml_fields import (
    CHECKSUM_ELEMENTS,
    NO_CHECKSUMS,
    Owner,
    boolean,
    checksum_elements,
    checksums,
    demand,
    demand_boolean,
    demand_integer,
    flag,
    given,
    given_number,
    given_time,
    integer,
    only,
    owner,
    owner_element,
    read_request,
)
from s3func.wire.xmltree import Element, escape

__all__ = [
    "DECLARATION",
    "PART_NUMBER_MAX",
    "Owner",
    "MultipartUpload",
    "parse_create_multipart_upload",
    "render_create_multipart_upload",
    "CompletedPart",
    "parse_complete_multipart_upload",
    "render_complete_multipart_upload",
    "CompletedUpload",
    "parse_complete_result",
    "render_complete_result",
    "CopyPartResult",
    "parse_copy_part",
    "render_copy_part",
    "PartEntry",
    "PartsPage",
    "parse_list_parts",
    "render_list_parts",
    "UploadEntry",
    "UploadsPage",
    "parse_list_multipart_uploads",
    "render_list_multipart_uploads",
    "ObjectPart",
    "ObjectParts",
    "ObjectAttributes",
    "parse_object_attributes",
    "render_object_attributes",
]

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
"""How every document begins. A server that keeps a client waiting sends it first, then white space, then the rest."""
PART_NUMBER_MAX = 10_000
"""Parts are numbered from 1 to this."""


class MultipartUpload(NamedTuple):
    """An upload that was begun."""

    bucket: str
    key: str
    upload_id: str


class CompletedPart(NamedTuple):
    """One part that a completed upload is to be made of; `etag` as the store gave it."""

    part_number: int
    etag: str
    checksums: Mapping[str, str] = NO_CHECKSUMS


class CompletedUpload(NamedTuple):
    """The object that an upload became. `checksum_type`: "COMPOSITE", "FULL_OBJECT" or None."""

    location: str
    bucket: str
    key: str
    etag: str
    checksums: Mapping[str, str] = NO_CHECKSUMS
    checksum_type: str | None = None


class CopyPartResult(NamedTuple):
    """The part that UploadPartCopy made; `last_modified` aware and in UTC."""

    etag: str
    last_modified: datetime | None = None
    checksums: Mapping[str, str] = NO_CHECKSUMS


class PartEntry(NamedTuple):
    """A part that has been uploaded; `size` in bytes."""

    part_number: int
    size: int
    etag: str
    last_modified: datetime | None = None
    checksums: Mapping[str, str] = NO_CHECKSUMS


class PartsPage(NamedTuple):
    """A page of ListParts; `next_part_number_marker` is None on the last one."""

    parts: list[PartEntry]
    is_truncated: bool = False
    next_part_number_marker: int | None = None
    storage_class: str | None = None
    owner: Owner | None = None
    initiator: Owner | None = None
    checksum_algorithm: str | None = None
    checksum_type: str | None = None


class UploadEntry(NamedTuple):
    """An upload that is neither completed nor aborted."""

    key: str
    upload_id: str
    initiated: datetime | None = None
    storage_class: str | None = None
    owner: Owner | None = None
    initiator: Owner | None = None
    checksum_algorithm: str | None = None
    checksum_type: str | None = None


class UploadsPage(NamedTuple):
    """A page of ListMultipartUploads; the markers are None on the last one."""

    uploads: list[UploadEntry]
    common_prefixes: Sequence[str] = ()
    is_truncated: bool = False
    next_key_marker: str | None = None
    next_upload_id_marker: str | None = None


class ObjectPart(NamedTuple):
    """One part of an object that was uploaded in parts; `size` in bytes."""

    part_number: int
    size: int
    checksums: Mapping[str, str] = NO_CHECKSUMS


class ObjectParts(NamedTuple):
    """A page of an object's parts; `total` counts all of them."""

    total: int
    parts: Sequence[ObjectPart] = ()
    is_truncated: bool = False
    part_number_marker: int = 0
    next_part_number_marker: int | None = None
    max_parts: int = 1000


class ObjectAttributes(NamedTuple):
    """What GetObjectAttributes tells; None for what was not asked for or does not exist."""

    etag: str | None = None
    checksums: Mapping[str, str] = NO_CHECKSUMS
    checksum_type: str | None = None
    parts: ObjectParts | None = None
    storage_class: str | None = None
    size: int | None = None


def parse_create_multipart_upload(body: bytes) -> MultipartUpload:
    """The answer to CreateMultipartUpload.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
    """
    # The second name is that of rclone.
    root = open_document(body, "InitiateMultipartUploadResult", "InitiateMultipartUpload")
    return MultipartUpload(root.value("Bucket") or "", root.value("Key") or "", demand(root, "UploadId"))


def render_create_multipart_upload(upload: MultipartUpload) -> bytes:
    """The answer to CreateMultipartUpload."""
    bucket, key, upload_id = upload
    content = element("Bucket", bucket) + element("Key", key) + element("UploadId", upload_id)
    return frame("InitiateMultipartUploadResult", content)


def render_complete_multipart_upload(parts: Sequence[CompletedPart]) -> bytes:
    """A CompleteMultipartUpload request; ValueError for no part, more than 10,000, or numbers that do not ascend.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
    """
    if not 1 <= len(parts) <= PART_NUMBER_MAX:
        raise ValueError(f"parts must be 1 to {PART_NUMBER_MAX} rows, not {len(parts)}")
    rows = []
    before = 0
    for part in parts:
        if not before < part.part_number <= PART_NUMBER_MAX:
            raise ValueError(f"parts must have ascending numbers up to {PART_NUMBER_MAX}, not {part.part_number}")
        if not part.etag:
            raise ValueError(f"parts holds part {part.part_number} without an etag")
        before = part.part_number
        etag = element("ETag", f'"{strip_quotes(part.etag)}"')
        number = given_number("PartNumber", part.part_number)
        rows.append(f"<Part>{etag}{checksum_elements(part.checksums)}{number}</Part>")
    return frame("CompleteMultipartUpload", "".join(rows))


def parse_complete_multipart_upload(body: bytes) -> list[CompletedPart]:
    """The parts of a CompleteMultipartUpload request, as a server reads it, in ascending order.

    Raises InvalidRequest with the code MalformedXML, InvalidPartOrder, or InvalidPart for a number that no part has.
    """
    parts = read_request(body, "CompleteMultipartUpload", _completed_parts)
    before = 0
    for part in parts:
        if not 1 <= part.part_number <= PART_NUMBER_MAX:
            raise service_error("InvalidPart", f"there is no part {part.part_number}")
        if part.part_number <= before:
            raise service_error("InvalidPartOrder", "the parts are not in ascending order of their numbers")
        before = part.part_number
    return parts


def _completed_parts(root: Element) -> list[CompletedPart]:
    rows = only(root, "Part").children
    if not 1 <= len(rows) <= PART_NUMBER_MAX:
        raise ProtocolError(f"an upload is made of 1 to {PART_NUMBER_MAX} parts, not {len(rows)}")
    parts = []
    for row in rows:
        only(row, "PartNumber", "ETag", *CHECKSUM_ELEMENTS)
        number = integer(row, "PartNumber")
        if number is None:
            raise ProtocolError("a Part has no PartNumber")
        parts.append(CompletedPart(number, strip_quotes(demand(row, "ETag").strip()), checksums(row)))
    return parts


def parse_complete_result(body: bytes) -> CompletedUpload:
    """The answer to CompleteMultipartUpload; it may come minutes after the head, and may be an `<Error>` with 200."""
    # moto names it so, and the list of parts likewise.
    root = open_document(body, "CompleteMultipartUploadResult", "CompleteMultipartUploadResponse")
    return CompletedUpload(
        root.value("Location") or "",
        root.value("Bucket") or "",
        root.value("Key") or "",
        strip_quotes(demand(root, "ETag")),
        checksums(root),
        root.value("ChecksumType") or None,
    )


def render_complete_result(upload: CompletedUpload) -> bytes:
    """The answer to CompleteMultipartUpload."""
    return frame(
        "CompleteMultipartUploadResult",
        f"{element('Location', upload.location)}{element('Bucket', upload.bucket)}{element('Key', upload.key)}"
        f"{_etag(upload.etag)}{checksum_elements(upload.checksums)}{given('ChecksumType', upload.checksum_type)}",
    )


def parse_copy_part(body: bytes) -> CopyPartResult:
    """The answer to UploadPartCopy; it may be an `<Error>` with status 200.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
    """
    # The fields are the same, and a store may well use the same name for both.
    root = open_document(body, "CopyPartResult", "CopyObjectResult")
    return CopyPartResult(strip_quotes(demand(root, "ETag")), parse_time(root.value("LastModified")), checksums(root))


def render_copy_part(part: CopyPartResult) -> bytes:
    """The answer to UploadPartCopy."""
    moment = given_time("LastModified", part.last_modified)
    return frame("CopyPartResult", f"{moment}{_etag(part.etag)}{checksum_elements(part.checksums)}")


def parse_list_parts(body: bytes) -> PartsPage:
    """A page of ListParts.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
    """
    root = open_document(body, "ListPartsResult", "ListPartsResponse")
    parts = [
        PartEntry(
            demand_integer(row, "PartNumber"),
            demand_integer(row, "Size"),
            strip_quotes(demand(row, "ETag")),
            parse_time(row.value("LastModified")),
            checksums(row),
        )
        for row in root.all("Part")
    ]
    marker = None
    truncated = demand_boolean(root, "IsTruncated")
    if truncated:
        marker = integer(root, "NextPartNumberMarker") or (parts[-1].part_number if parts else 0)
        if marker <= 0:
            raise ProtocolError("the page of parts is truncated but does not say where the next one begins")
    return PartsPage(
        parts,
        truncated,
        marker,
        root.value("StorageClass") or None,
        owner(root, "Owner"),
        owner(root, "Initiator"),
        root.value("ChecksumAlgorithm") or None,
        root.value("ChecksumType") or None,
    )


def render_list_parts(
    page: PartsPage, *, bucket: str, key: str, upload_id: str, part_number_marker: int = 0, max_parts: int = 1000
) -> bytes:
    """A page of ListParts."""
    # Like S3, the number of the last row stands there on the last page, too.
    last = page.parts[-1].part_number if page.parts else 0
    rows = [
        f"<Part>{given_number('PartNumber', part.part_number)}{given_time('LastModified', part.last_modified)}"
        f"{_etag(part.etag)}{given_number('Size', part.size)}{checksum_elements(part.checksums)}</Part>"
        for part in page.parts
    ]
    return frame(
        "ListPartsResult",
        f"{element('Bucket', bucket)}{element('Key', key)}{element('UploadId', upload_id)}"
        f"{owner_element('Initiator', page.initiator)}{owner_element('Owner', page.owner)}"
        f"{element('StorageClass', page.storage_class or 'STANDARD')}"
        f"{given_number('PartNumberMarker', part_number_marker)}"
        f"{given_number('NextPartNumberMarker', page.next_part_number_marker or last)}"
        f"{given_number('MaxParts', max_parts)}{flag('IsTruncated', page.is_truncated)}"
        f"{given('ChecksumAlgorithm', page.checksum_algorithm)}{given('ChecksumType', page.checksum_type)}"
        f"{''.join(rows)}",
    )


def parse_list_multipart_uploads(body: bytes) -> UploadsPage:
    """A page of ListMultipartUploads, keys and markers decoded.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
    """
    root = open_document(body, "ListMultipartUploadsResult")
    decode = _decoder(root)
    uploads = [
        UploadEntry(
            decode(demand(row, "Key")),
            demand(row, "UploadId"),
            parse_time(row.value("Initiated")),
            row.value("StorageClass") or None,
            owner(row, "Owner"),
            owner(row, "Initiator"),
            row.value("ChecksumAlgorithm") or None,
            row.value("ChecksumType") or None,
        )
        for row in root.all("Upload")
    ]
    prefixes = [decode(prefix.text) for group in root.all("CommonPrefixes") for prefix in group.all("Prefix")]
    if not all(prefixes):
        raise ProtocolError("a common prefix is empty")
    if not demand_boolean(root, "IsTruncated"):
        return UploadsPage(uploads, prefixes)
    marker = demand(root, "NextKeyMarker")
    # A store may leave the marker unencoded, as Ceph does in listings: it is the last key or prefix, as it stands.
    if marker not in {*prefixes[-1:], *[upload.key for upload in uploads[-1:]]}:
        marker = decode(marker)
    return UploadsPage(uploads, prefixes, True, marker, root.value("NextUploadIdMarker") or None)


def render_list_multipart_uploads(
    page: UploadsPage,
    *,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    max_uploads: int = 1000,
    encoding_type: str = "",
    key_marker: str = "",
    upload_id_marker: str = "",
) -> bytes:
    """A page of ListMultipartUploads; `encoding_type` "url" encodes keys, prefixes, the delimiter and key markers."""
    if encoding_type not in {"", "url"}:
        raise ValueError(f"encoding_type is 'url' or empty, not {encoding_type!r}")
    code = encode_path if encoding_type else escape
    rows = [
        f"<Upload><Key>{code(upload.key)}</Key>{element('UploadId', upload.upload_id)}"
        f"{owner_element('Initiator', upload.initiator)}{owner_element('Owner', upload.owner)}"
        f"{element('StorageClass', upload.storage_class or 'STANDARD')}{given_time('Initiated', upload.initiated)}"
        f"{given('ChecksumAlgorithm', upload.checksum_algorithm)}{given('ChecksumType', upload.checksum_type)}</Upload>"
        for upload in page.uploads
    ]
    rows += [f"<CommonPrefixes><Prefix>{code(text)}</Prefix></CommonPrefixes>" for text in page.common_prefixes]
    return frame(
        "ListMultipartUploadsResult",
        f"{element('Bucket', bucket)}<KeyMarker>{code(key_marker)}</KeyMarker>"
        f"{element('UploadIdMarker', upload_id_marker)}<NextKeyMarker>{code(page.next_key_marker or '')}</NextKeyMarker>"
        f"{element('NextUploadIdMarker', page.next_upload_id_marker or '')}<Prefix>{code(prefix)}</Prefix>"
        f"{f'<Delimiter>{code(delimiter)}</Delimiter>' if delimiter else ''}{given('EncodingType', encoding_type)}"
        f"{given_number('MaxUploads', max_uploads)}{flag('IsTruncated', page.is_truncated)}{''.join(rows)}",
    )


def parse_object_attributes(body: bytes) -> ObjectAttributes:
    """The answer to GetObjectAttributes.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
    """
    # The documentation names it Output, S3 sends Response.
    root = open_document(body, "GetObjectAttributesResponse", "GetObjectAttributesOutput", "GetObjectAttributesResult")
    checksum = root.child("Checksum")
    parts = root.child("ObjectParts")
    etag = root.value("ETag")
    return ObjectAttributes(
        strip_quotes(etag) if etag else None,
        checksums(checksum) if checksum is not None else {},
        (checksum.value("ChecksumType") or None) if checksum is not None else None,
        _object_parts(parts) if parts is not None else None,
        root.value("StorageClass") or None,
        demand_integer(root, "ObjectSize") if root.child("ObjectSize") is not None else None,
    )


def _object_parts(row: Element) -> ObjectParts:
    parts = [
        ObjectPart(demand_integer(part, "PartNumber"), demand_integer(part, "Size"), checksums(part))
        for part in row.all("Part")
    ]
    total = integer(row, "PartsCount")
    limit = integer(row, "MaxParts")
    truncated = boolean(row, "IsTruncated") or False
    marker = (integer(row, "NextPartNumberMarker") or (parts[-1].part_number if parts else 0)) if truncated else None
    if marker == 0:
        raise ProtocolError("the page of parts is truncated but does not say where the next one begins")
    return ObjectParts(
        demand_integer(row, "TotalPartsCount") if total is None else total,
        parts,
        truncated,
        integer(row, "PartNumberMarker") or 0,
        marker,
        1000 if limit is None else limit,
    )


def render_object_attributes(attributes: ObjectAttributes) -> bytes:
    """The answer to GetObjectAttributes; like S3's, its ETag has no quotes."""
    content = given("ETag", attributes.etag)
    if attributes.checksums:
        kind = given("ChecksumType", attributes.checksum_type)
        content += f"<Checksum>{checksum_elements(attributes.checksums)}{kind}</Checksum>"
    if attributes.parts is not None:
        content += _render_object_parts(attributes.parts)
    content += given("StorageClass", attributes.storage_class) + given_number("ObjectSize", attributes.size)
    return frame("GetObjectAttributesResponse", content)


def _render_object_parts(page: ObjectParts) -> str:
    last = page.parts[-1].part_number if page.parts else 0
    rows = [
        f"<Part>{checksum_elements(part.checksums)}{given_number('PartNumber', part.part_number)}"
        f"{given_number('Size', part.size)}</Part>"
        for part in page.parts
    ]
    return (
        f"<ObjectParts>{flag('IsTruncated', page.is_truncated)}{given_number('MaxParts', page.max_parts)}"
        f"{given_number('NextPartNumberMarker', page.next_part_number_marker or last)}"
        f"{given_number('PartNumberMarker', page.part_number_marker)}{''.join(rows)}"
        f"{given_number('PartsCount', page.total)}</ObjectParts>"
    )


def _etag(etag: str) -> str:
    return element("ETag", f'"{etag}"')


def _decoder(root: Element) -> Callable[[str], str]:
    """How the keys, prefixes and markers of this page are decoded."""
    kind = root.value("EncodingType") or ""
    if kind == "url":
        return _unquote
    if kind:
        raise ProtocolError(f"the listing has an unknown encoding type: {kind[:40]!r}")
    return str


def _unquote(text: str) -> str:
    try:
        # A "+" of the key itself is always "%2B".
        return decode_component(text.replace("+", " "))
    except ValueError as error:
        raise ProtocolError(f"the listing holds a malformed key: {text[:200]!r}") from error
