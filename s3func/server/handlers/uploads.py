"""What is known of uploads and of their parts: ListMultipartUploads, ListParts, and GetObjectAttributes of the object."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from s3func.errors import service_error
from s3func.message import Response
from s3func.server.attributes import refuse_unimplemented
from s3func.server.backend import Part, StoredObject
from s3func.server.call import Call
from s3func.server.checksums import checksum_type
from s3func.server.encryption import check_readable
from s3func.server.handlers.listing import encoding_type, number_parameter, page_size
from s3func.server.handlers.multipart import multipart, upload_checksum
from s3func.server.handlers.objects import version_id
from s3func.server.powers import PART_NUMBER_MAX, Upload
from s3func.wire import s3xml_multipart
from s3func.wire.encoding import http_date
from s3func.wire.s3xml_multipart import ObjectPart, ObjectParts, PartEntry, PartsPage, UploadEntry, UploadsPage

_XML = {"content-type": "application/xml"}
_ATTRIBUTES = {name.lower(): name for name in ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")}


def list_multipart_uploads(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html."""
    max_uploads, encoding = page_size(call, "max-uploads"), encoding_type(call)
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    key_marker = call.query.get("key-marker", "")
    # Without a key it says nothing, and is ignored.
    upload_id_marker = call.query.get("upload-id-marker", "") if key_marker else ""
    found = multipart(call).list_uploads(
        call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        key_marker=key_marker,
        upload_id_marker=upload_id_marker,
        limit=max_uploads,
    )
    document = s3xml_multipart.render_list_multipart_uploads(
        UploadsPage(
            [_upload_entry(call, upload) for upload in found.rows],
            found.common_prefixes,
            found.is_truncated,
            found.next_key_marker,
            found.next_upload_id_marker,
        ),
        bucket=call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        max_uploads=max_uploads,
        encoding_type=encoding,
        key_marker=key_marker,
        upload_id_marker=upload_id_marker,
    )
    return Response(200, dict(_XML), document)


def list_parts(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html."""
    max_parts = page_size(call, "max-parts")
    marker = number_parameter("part-number-marker", call.query.get("part-number-marker") or "0")
    upload_id = call.query["uploadId"]
    found = multipart(call).list_parts(
        call.bucket, call.key, upload_id, part_number_marker=min(marker, PART_NUMBER_MAX), limit=max_parts
    )
    about = _upload_entry(call, found.upload)
    page = PartsPage(
        [_part_entry(part) for part in found.rows],
        found.is_truncated,
        found.next_part_number_marker,
        about.storage_class,
        about.owner,
        about.initiator,
        about.checksum_algorithm,
        about.checksum_type,
    )
    document = s3xml_multipart.render_list_parts(
        page,
        bucket=call.bucket,
        key=call.key,
        upload_id=upload_id,
        part_number_marker=marker,
        max_parts=max_parts,
    )
    return Response(200, dict(_XML), document)


def get_object_attributes(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html."""
    refuse_unimplemented(call.headers, "x-amz-object-attributes")
    wanted = _wanted_attributes(call)
    with call.backend.open_object(call.bucket, call.key, version_id(call)) as reader:
        stored, parts = reader.stored, reader.parts
    check_readable(call.headers, stored.documents)
    headers = {**_XML, "last-modified": http_date(stored.last_modified)}
    if stored.version_id is not None:
        headers["x-amz-version-id"] = stored.version_id
    document = s3xml_multipart.ObjectAttributes(
        stored.etag if "ETag" in wanted else None,
        stored.checksums if "Checksum" in wanted else {},
        checksum_type(stored.checksums) if "Checksum" in wanted else None,
        _object_parts(call, parts) if "ObjectParts" in wanted and parts else None,
        storage_class(stored) if "StorageClass" in wanted else None,
        stored.size if "ObjectSize" in wanted else None,
    )
    return Response(200, headers, s3xml_multipart.render_object_attributes(document))


def storage_class(stored: StoredObject) -> str:
    """The storage class as documents name it."""
    return stored.headers.get("x-amz-storage-class", "STANDARD")


def _wanted_attributes(call: Call) -> set[str]:
    header = call.headers.get("x-amz-object-attributes", "")
    names = [name.strip() for name in header.split(",") if name.strip()]
    if not names or any(name.lower() not in _ATTRIBUTES for name in names):
        raise service_error(
            "InvalidArgument",
            "Invalid attribute name specified."
            if names
            else "x-amz-object-attributes is required and names attributes.",
            details={"ArgumentName": "x-amz-object-attributes", "ArgumentValue": header},
        )
    return {_ATTRIBUTES[name.lower()] for name in names}


def _object_parts(call: Call, parts: Sequence[Part]) -> ObjectParts:
    limit = min(number_parameter("x-amz-max-parts", call.headers.get("x-amz-max-parts") or "1000"), 1000)
    marker = number_parameter("x-amz-part-number-marker", call.headers.get("x-amz-part-number-marker") or "0")
    behind = [part for part in parts if part.number > marker]
    page = [ObjectPart(part.number, part.size, part.checksums) for part in behind[:limit]]
    is_truncated = bool(page) and len(page) < len(behind)
    return ObjectParts(len(parts), page, is_truncated, marker, page[-1].part_number if is_truncated else None, limit)


def _upload_entry(call: Call, upload: Upload) -> UploadEntry:
    wanted = upload_checksum(upload)
    owner = call.users.owner(upload.attributes.owner)
    return UploadEntry(
        upload.key,
        upload.upload_id,
        datetime.fromtimestamp(upload.initiated, UTC),
        upload.attributes.headers.get("x-amz-storage-class"),
        owner,
        owner,
        None if wanted is None else wanted.algorithm.upper(),
        None if wanted is None else wanted.kind,
    )


def _part_entry(part: Part) -> PartEntry:
    modified = datetime.fromtimestamp(part.last_modified, UTC)
    return PartEntry(part.number, part.size, part.etag, modified, part.checksums)
