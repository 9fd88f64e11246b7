"""Multipart uploads: create, upload a part, copy a part, complete, abort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from s3func.errors import service_error
from s3func.message import BLOCK, Response
from s3func.server.attributes import attributes_of, checksum_headers, refuse_unimplemented
from s3func.server.backend import ObjectAttributes, ObjectReader, Part, StoredObject
from s3func.server.call import Call
from s3func.server.checksums import (
    UploadChecksum,
    bad_digest,
    check_part_algorithm,
    checksum_type,
    claimed_checksum,
    object_checksum,
    requested_checksum,
)
from s3func.server.conditions import Extent, check_copy_source, copied_extent, part_number, write_guard
from s3func.server.creation import completed_documents, upload_documents
from s3func.server.encryption import SOURCE_CUSTOMER, check_part, check_readable, encryption_headers
from s3func.server.handlers.copying import parse_copy_source
from s3func.server.handlers.objects import PUT_BYTES_MAX, written_headers
from s3func.server.payload import Payload, declared_checksum
from s3func.server.powers import Completion, Multipart, PartWriter, Upload
from s3func.wire import checksum, s3xml_multipart

PART_BYTES_MIN = 5 * 1024**2
"""The least size of a part that is not the last one."""
DOCUMENT_BYTES_MAX = 4 * 1024**2
"""Ten thousand parts with their checksums, and room for what is around them."""
CHECKSUM_DOCUMENT = "checksum"
"""Under this name an upload keeps the checksum that it was begun with; the object does not inherit it."""

_XML = {"content-type": "application/xml"}


def create_multipart_upload(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html."""
    refuse_unimplemented(call.headers)
    wanted = requested_checksum(call.headers)
    attributes = attributes_of(call.headers, call.owner, upload_documents(call, call.headers))
    headers = {**_XML, **encryption_headers(call.headers, attributes.documents, written=True)}
    if wanted is not None:
        attributes = replace(attributes, documents={**attributes.documents, CHECKSUM_DOCUMENT: str(wanted)})
        headers["x-amz-checksum-algorithm"] = wanted.algorithm.upper()
        headers["x-amz-checksum-type"] = wanted.kind
    upload = multipart(call).create_upload(call.bucket, call.key, attributes)
    document = s3xml_multipart.MultipartUpload(call.bucket, call.key, upload.upload_id)
    return Response(200, headers, s3xml_multipart.render_create_multipart_upload(document))


def upload_part(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html."""
    refuse_unimplemented(call.headers)
    number = part_number(call.query["partNumber"])
    payload = Payload(call)
    backend = multipart(call)
    upload = backend.get_upload(call.bucket, call.key, call.query["uploadId"])
    check_part(call.headers, upload.attributes.documents)
    wanted = upload_checksum(upload)
    check_part_algorithm(wanted, payload.algorithm)
    if wanted is not None and not payload.algorithm:
        payload.compute(wanted.algorithm)
    with backend.begin_part(call.bucket, call.key, call.query["uploadId"], number) as writer:
        payload.pour(writer.write, PUT_BYTES_MAX)
        payload.check_md5(writer.md5)
        part = writer.commit(payload.checksums)
    headers = encryption_headers(call.headers, upload.attributes.documents)
    return Response(200, {"etag": f'"{part.etag}"', **_part_checksums(part), **headers})


def upload_part_copy(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html."""
    refuse_unimplemented(call.headers, "x-amz-copy-source-range")
    number = part_number(call.query["partNumber"])
    source = parse_copy_source(call.headers["x-amz-copy-source"])
    backend = multipart(call)
    upload = backend.get_upload(call.bucket, call.key, call.query["uploadId"])
    check_part(call.headers, upload.attributes.documents)
    wanted = upload_checksum(upload)
    with call.backend.open_object(source.bucket, source.key, source.version_id) as reader:
        check_readable(call.headers, reader.stored.documents, SOURCE_CUSTOMER)
        call.access.confirm(reader.stored)
        check_copy_source(call.headers, reader.stored)
        extent = copied_extent(call.headers.get("x-amz-copy-source-range"), reader.stored.size)
        if extent.size > PUT_BYTES_MAX:
            raise service_error(
                "InvalidRequest", f"The specified copy source is larger than {PUT_BYTES_MAX} bytes; copy a range of it."
            )
        with backend.begin_part(call.bucket, call.key, call.query["uploadId"], number) as writer:
            part = writer.commit(_pour(reader, extent, writer, wanted))
        source_version = reader.stored.version_id
    headers = {**_XML, **encryption_headers(call.headers, upload.attributes.documents)}
    if source_version is not None:
        headers["x-amz-copy-source-version-id"] = source_version
    modified = datetime.fromtimestamp(part.last_modified, UTC)
    result = s3xml_multipart.CopyPartResult(part.etag, modified, part.checksums)
    return Response(200, headers, s3xml_multipart.render_copy_part(result))


def complete_multipart_upload(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html."""
    refuse_unimplemented(call.headers)
    body = Payload(call, of_body=False).read(DOCUMENT_BYTES_MAX)
    named = s3xml_multipart.parse_complete_multipart_upload(body)
    guard = write_guard(call.headers)
    parts = [(part.part_number, part.etag) for part in named]
    with multipart(call).begin_complete(call.bucket, call.key, call.query["uploadId"], parts) as completion:
        attributes = completion.upload.attributes
        check_part(call.headers, attributes.documents)
        if completion.completed is None:
            _check_sizes(call.headers, completion.parts)
            _check_named_checksums(named, completion.parts)
            attributes = _completed_attributes(call.headers, completion)
            attributes = replace(attributes, documents=completed_documents(call, attributes.documents))
        stored = completion.commit(attributes, guard)
    return _completed(call, stored)


def abort_multipart_upload(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html."""
    multipart(call).abort_upload(call.bucket, call.key, call.query["uploadId"])
    return Response(204, {})


def multipart(call: Call) -> Multipart:
    """The store, if it takes objects in parts."""
    if not isinstance(call.backend, Multipart):
        raise service_error("NotImplemented", "This store takes no multipart uploads.")
    return call.backend


def upload_checksum(upload: Upload) -> UploadChecksum | None:
    """The checksum that an upload was begun with."""
    return UploadChecksum.of_text(upload.attributes.documents.get(CHECKSUM_DOCUMENT))


def _part_checksums(part: Part) -> dict[str, str]:
    return {f"x-amz-checksum-{name}": value for name, value in part.checksums.items()}


def _pour(reader: ObjectReader, extent: Extent, writer: PartWriter, wanted: UploadChecksum | None) -> Mapping[str, str]:
    """Write a range of an object into a part; the checksums of what was written."""
    hasher = None if wanted is None else checksum.hasher(wanted.algorithm)
    place, end = extent.start, extent.start + extent.size
    while place < end:
        block = reader.read_at(place, min(BLOCK, end - place))
        if hasher is not None:
            hasher.update(block)
        writer.write(block)
        place += len(block)
    return {} if wanted is None or hasher is None else {wanted.algorithm: hasher.base64()}


def _check_sizes(headers: Mapping[str, str], parts: Sequence[Part]) -> None:
    for part in parts[:-1]:
        if part.size < PART_BYTES_MIN:
            raise service_error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                details={
                    "ETag": part.etag,
                    "PartNumber": str(part.number),
                    "ProposedSize": str(part.size),
                    "MinSizeAllowed": str(PART_BYTES_MIN),
                },
            )
    promised = headers.get("x-amz-mp-object-size")
    size = sum(part.size for part in parts)
    if promised is not None and promised != str(size):
        raise service_error(
            "InvalidRequest", f"The provided 'x-amz-mp-object-size' header value {promised} does not match {size}."
        )


def _check_named_checksums(named: Sequence[s3xml_multipart.CompletedPart], parts: Sequence[Part]) -> None:
    """What the document says of each part's checksums has to be so."""
    for claim, part in zip(named, parts, strict=True):
        for algorithm, value in claim.checksums.items():
            if part.checksums.get(algorithm) != value:
                raise service_error(
                    "InvalidPart",
                    "One or more of the specified parts could not be found. The part may not have been uploaded, or "
                    "the specified checksum did not match the part's checksum.",
                    details={"PartNumber": str(part.number)},
                )


def _completed_attributes(headers: Mapping[str, str], completion: Completion) -> ObjectAttributes:
    """What the upload was begun with, and the checksum of the whole, which must be the one that the client claims."""
    declared = declared_checksum(headers)
    wanted = claimed_checksum(upload_checksum(completion.upload), declared, completion.parts)
    attributes = completion.upload.attributes
    documents = {name: text for name, text in attributes.documents.items() if name != CHECKSUM_DOCUMENT}
    if wanted is None:
        return replace(attributes, documents=documents)
    kind = headers.get("x-amz-checksum-type", "").upper()
    if kind not in {"", wanted.kind}:
        raise service_error(
            "BadDigest", f"The upload was begun with the checksum type {wanted.kind}, which is not {kind}."
        )
    value = object_checksum(wanted, completion.parts)
    if declared.get(wanted.algorithm, value) != value:
        raise bad_digest(wanted.algorithm)
    return replace(attributes, documents=documents, checksums={wanted.algorithm: value})


def _completed(call: Call, stored: StoredObject) -> Response:
    headers = {**_XML, **written_headers(stored), **encryption_headers(call.headers, stored.documents, written=True)}
    for name in ("etag", *checksum_headers(stored.checksums)):
        del headers[name]
    result = s3xml_multipart.CompletedUpload(
        call.request.origin + call.request.path,
        call.bucket,
        call.key,
        stored.etag,
        stored.checksums,
        checksum_type(stored.checksums),
    )
    return Response(200, headers, s3xml_multipart.render_complete_result(result))
