"""The XML documents of S3, parsing and rendering side by side; listings and errors have files of their own.

Rule 1: the client's half (answers) raises ProtocolError for what is not the document that was asked for, and the
        ServiceError of an `<Error>` that came in its place.
Rule 2: the server's half (requests) raises what the server answers with: MalformedXML, NotImplemented.
Rule 3: nothing is dropped: an element of a request that asks for more than is understood is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from s3func.errors import ProtocolError, service_error
from s3func.models import BucketEntry
from s3func.wire.encoding import parse_http_date, parse_iso8601
from s3func.wire.s3xml_error import (
    ErrorDocument,
    element,
    error_from_document,
    frame,
    is_error_document,
    open_document,
    parse_error,
    parse_time,
    render_error,
    render_time,
    strip_quotes,
)
from s3func.wire.s3xml_fields import (
    NO_CHECKSUMS,
    checksum_elements,
    demand,
    demand_integer,
)
from s3func.wire.s3xml_listing import (
    parse_list_object_versions,
    parse_list_objects,
    render_list_object_versions,
    render_list_objects_v1,
    render_list_objects_v2,
)
from s3func.wire.xmltree import Element, decode_document, escape, parse_tree, xml_can_carry

__all__ = [
    "ErrorDocument",
    "error_from_document",
    "is_error_document",
    "parse_error",
    "render_error",
    "parse_list_objects",
    "parse_list_object_versions",
    "render_list_objects_v1",
    "render_list_objects_v2",
    "render_list_object_versions",
    "BucketsPage",
    "parse_list_buckets",
    "render_list_buckets",
    "parse_create_bucket",
    "render_create_bucket",
    "parse_location",
    "render_location",
    "CopyObjectResult",
    "parse_copy_object",
    "render_copy_object",
    "DELETE_OBJECTS_MAX",
    "DeleteCondition",
    "DeleteRequest",
    "DeletedObject",
    "DeleteFailure",
    "DeleteObjectsResult",
    "parse_delete_objects",
    "render_delete_objects",
    "parse_delete_result",
    "render_delete_result",
    "xml_can_carry",
]

DELETE_OBJECTS_MAX = 1000
"""Keys in one DeleteObjects request."""
NO_CONDITIONS: Mapping[int, DeleteCondition] = MappingProxyType({})
"""What a DeleteObjects request without conditions has."""
_CONDITIONS = frozenset({"ETag", "Size", "LastModifiedTime"})


class BucketsPage(NamedTuple):
    """A page of ListBuckets; `continuation_token` is None on the last one."""

    buckets: list[BucketEntry]
    continuation_token: str | None = None


class CopyObjectResult(NamedTuple):
    """What CopyObject made; `etag` without quotes, `last_modified` aware and in UTC."""

    etag: str
    last_modified: datetime | None


class DeleteCondition(NamedTuple):
    """What an object must be to be deleted; `etag` as it was given, `size` in bytes, `last_modified` aware."""

    etag: str | None = None
    size: int | None = None
    last_modified: datetime | None = None


class DeleteRequest(NamedTuple):
    """A DeleteObjects request: (key, version_id) pairs; quiet: only failures are to be reported.

    conditions: by the number of the row, from 0, for the rows that have any.
    """

    objects: list[tuple[str, str | None]]
    quiet: bool
    conditions: Mapping[int, DeleteCondition] = NO_CONDITIONS


class DeletedObject(NamedTuple):
    """A row that was carried out. `delete_marker_version_id` is the marker that was made, or was deleted."""

    key: str
    version_id: str | None = None
    delete_marker: bool = False
    delete_marker_version_id: str | None = None


class DeleteFailure(NamedTuple):
    """A row that was refused."""

    key: str
    version_id: str | None
    code: str
    message: str


class DeleteObjectsResult(NamedTuple):
    """The answer to DeleteObjects."""

    deleted: list[DeletedObject]
    failures: list[DeleteFailure]


def parse_list_buckets(body: bytes) -> BucketsPage:
    """The buckets of a ListBuckets answer.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
    """
    root = open_document(body, "ListAllMyBucketsResult")
    group = root.child("Buckets")
    if group is None:
        raise ProtocolError("the list of buckets has no Buckets")
    buckets = [
        BucketEntry(_demand(row, "Name"), parse_time(row.value("CreationDate")), row.value("BucketRegion") or None)
        for row in group.all("Bucket")
    ]
    return BucketsPage(buckets, root.value("ContinuationToken") or None)


def render_list_buckets(
    buckets: Iterable[BucketEntry],
    *,
    owner: str = "",
    display_name: str = "",
    prefix: str = "",
    continuation_token: str | None = None,
) -> bytes:
    """A ListBuckets answer; display_name: of the owner, whose id stands in for one."""
    rows = [
        f"<Bucket>{element('Name', bucket.name)}{_time_element('CreationDate', bucket.creation_date)}"
        f"{_given('BucketRegion', bucket.region)}</Bucket>"
        for bucket in buckets
    ]
    return frame(
        "ListAllMyBucketsResult",
        f"<Owner>{element('ID', owner)}{element('DisplayName', display_name or owner)}</Owner><Buckets>{''.join(rows)}</Buckets>"
        f"{_given('ContinuationToken', continuation_token)}{_given('Prefix', prefix)}",
    )


def parse_create_bucket(body: bytes) -> str | None:
    """The region that a CreateBucket request asks for; None where it names none (an empty body is allowed).

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    """
    if not body.strip():
        return None
    root = _open_request(body, "CreateBucketConfiguration")
    _refuse_others(root, {"LocationConstraint"})
    return _request_value(root, "LocationConstraint") or None


def render_create_bucket(region: str) -> bytes:
    """A CreateBucket request for a region. us-east-1 takes no body at all: S3 refuses its name here."""
    return frame("CreateBucketConfiguration", element("LocationConstraint", region))


def parse_location(body: bytes) -> str:
    """The region in a GetBucketLocation answer, the two historic names translated ("" and "EU").

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
    """
    root = open_document(body, "LocationConstraint", "CreateBucketConfiguration", "GetBucketLocationOutput")
    # Some stores wrap it, which S3 does not.
    inner = root.child("LocationConstraint") if root.children else root
    if inner is None:
        raise ProtocolError("the location of the bucket has no LocationConstraint")
    region = inner.text.strip()
    return {"": "us-east-1", "EU": "eu-west-1"}.get(region, region)


def render_location(region: str) -> bytes:
    """A GetBucketLocation answer; us-east-1 is written as S3 does, as nothing."""
    return frame("LocationConstraint", "" if region == "us-east-1" else escape(region))


def parse_copy_object(body: bytes) -> CopyObjectResult:
    """The answer to CopyObject; it may come minutes after the head, and may be an `<Error>` with status 200.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    """
    root = open_document(body, "CopyObjectResult")
    return CopyObjectResult(strip_quotes(_demand(root, "ETag")), parse_time(root.value("LastModified")))


def render_copy_object(
    etag: str,
    last_modified: datetime,
    checksums: Mapping[str, str] = NO_CHECKSUMS,
    checksum_type: str | None = None,
) -> bytes:
    """The answer to CopyObject; `etag` without quotes, checksums in base64 by the lower-case names of algorithms."""
    return frame(
        "CopyObjectResult",
        f"{_time_element('LastModified', last_modified)}{element('ETag', _quoted(etag))}"
        f"{_given('ChecksumType', checksum_type)}{checksum_elements(checksums)}",
    )


def render_delete_objects(objects: Sequence[tuple[str, str | None]], *, quiet: bool = False) -> bytes:
    """A DeleteObjects request for (key, version_id) pairs, 1 to 1,000 of them.

    ValueError for an empty key and for one that XML 1.0 cannot carry (`xml_can_carry`): delete that one by itself.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    """
    if not 1 <= len(objects) <= DELETE_OBJECTS_MAX:
        raise ValueError(f"objects must be 1 to {DELETE_OBJECTS_MAX} rows, not {len(objects)}")
    rows = []
    for key, version_id in objects:
        if not key:
            raise ValueError("objects holds an empty key")
        if not xml_can_carry(key):
            raise ValueError(f"objects holds a key that an XML document cannot carry: {key!r}")
        rows.append(f"<Object>{element('Key', key)}{_given('VersionId', version_id)}</Object>")
    return frame("Delete", f"{''.join(rows)}{'<Quiet>true</Quiet>' if quiet else ''}")


def parse_delete_objects(body: bytes) -> DeleteRequest:
    """A DeleteObjects request as a server reads it.

    Raises InvalidRequest (MalformedXML), and NotImplementedByStore for an element that is not known, because it might
    say that something is to be kept.
    """
    root = _open_request(body, "Delete")
    _refuse_others(root, {"Object", "Quiet"})
    rows = list(root.all("Object"))
    if not 1 <= len(rows) <= DELETE_OBJECTS_MAX:
        raise _malformed(f"a Delete document holds 1 to {DELETE_OBJECTS_MAX} objects, not {len(rows)}")
    objects: list[tuple[str, str | None]] = []
    conditions: dict[int, DeleteCondition] = {}
    for number, row in enumerate(rows):
        _refuse_others(row, {"Key", "VersionId", *_CONDITIONS})
        key = _request_value(row, "Key")
        if not key:
            raise _malformed("an Object has no Key")
        objects.append((key, _request_value(row, "VersionId") or None))
        if any(child.name in _CONDITIONS for child in row.children):
            conditions[number] = _condition(row)
    quiet = (_request_value(root, "Quiet") or "false").strip().lower()
    if quiet not in {"true", "false"}:
        raise _malformed("Quiet is true or false")
    return DeleteRequest(objects, quiet == "true", conditions)


def _condition(row: Element) -> DeleteCondition:
    moment = None
    try:
        size = demand_integer(row, "Size") if row.child("Size") is not None else None
        if row.child("LastModifiedTime") is not None:
            text = demand(row, "LastModifiedTime").strip()
            # AWS documents an HTTP date; ISO 8601 is how all other documents have it.
            moment = parse_iso8601(text) if text[:4].isdecimal() else parse_http_date(text)
    except (ProtocolError, ValueError, OverflowError) as error:
        raise _malformed(f"a condition of a deletion cannot be read: {error}") from error
    return DeleteCondition(_request_value(row, "ETag"), size, moment)


def parse_delete_result(body: bytes) -> DeleteObjectsResult:
    """The answer to DeleteObjects."""
    root = open_document(body, "DeleteResult")
    deleted = [
        DeletedObject(
            _demand(row, "Key"),
            row.value("VersionId") or None,
            row.value("DeleteMarker") == "true",
            row.value("DeleteMarkerVersionId") or None,
        )
        for row in root.all("Deleted")
    ]
    # A store may refuse the whole request in one row that names no key; it must not be lost either.
    failures = [
        DeleteFailure(
            row.value("Key") or "", row.value("VersionId") or None, _demand(row, "Code"), row.value("Message") or ""
        )
        for row in root.all("Error")
    ]
    return DeleteObjectsResult(deleted, failures)


def render_delete_result(deleted: Iterable[DeletedObject], failures: Iterable[DeleteFailure] = ()) -> bytes:
    """The answer to DeleteObjects; for a quiet request, `deleted` is empty."""
    rows = [
        f"<Deleted>{element('Key', row.key)}{_given('VersionId', row.version_id)}"
        f"{'<DeleteMarker>true</DeleteMarker>' if row.delete_marker else ''}"
        f"{_given('DeleteMarkerVersionId', row.delete_marker_version_id)}</Deleted>"
        for row in deleted
    ]
    rows += [
        f"<Error>{element('Key', row.key)}{_given('VersionId', row.version_id)}"
        f"{element('Code', row.code)}{element('Message', row.message)}</Error>"
        for row in failures
    ]
    return frame("DeleteResult", "".join(rows))


def _quoted(etag: str) -> str:
    return f'"{etag}"'


def _demand(row: Element, name: str) -> str:
    value = row.value(name)
    if not value:
        raise ProtocolError(f"the answer has a {row.name} without {name}")
    return value


def _given(name: str, text: str | None) -> str:
    return element(name, text) if text else ""


def _time_element(name: str, moment: datetime | None) -> str:
    return f"<{name}>{render_time(moment)}</{name}>" if moment is not None else ""


def _malformed(message: str) -> Exception:
    return service_error("MalformedXML", message)


def _open_request(body: bytes, name: str) -> Element:
    try:
        root = parse_tree(decode_document(body))
    except ProtocolError as error:
        raise _malformed(str(error)) from error
    if root.name != name:
        raise _malformed(f"the request is a <{root.name[:40]}> document, not <{name}>")
    return root


def _request_value(row: Element, name: str) -> str | None:
    try:
        return row.value(name)
    except ProtocolError as error:
        raise _malformed(str(error)) from error


def _refuse_others(row: Element, known: set[str]) -> None:
    for child in row.children:
        if child.name not in known:
            raise service_error("NotImplemented", f"{child.name} in {row.name} is not implemented")
