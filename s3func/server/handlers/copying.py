"""CopyObject."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import NamedTuple

from s3func.errors import service_error
from s3func.message import BLOCK, Response
from s3func.server.access import TAGGING
from s3func.server.addressing import check_key_text
from s3func.server.attributes import attributes_of, refuse_unimplemented, storage_class
from s3func.server.backend import ObjectAttributes, StoredObject, check_bucket_name
from s3func.server.call import Call
from s3func.server.checksums import FULL_OBJECT, checksum_type, requested_algorithm
from s3func.server.conditions import check_copy_source, write_guard
from s3func.server.creation import object_documents
from s3func.server.encryption import HEADER, SOURCE_CUSTOMER, check_readable, encryption_headers
from s3func.server.handlers.objects import PUT_BYTES_MAX, written_version
from s3func.wire import checksum, s3xml
from s3func.wire.encoding import decode_component

# What makes a copy of an object onto itself a change, and so legal.
_CHANGES = ("x-amz-storage-class", "x-amz-website-redirect-location", HEADER)


class Source(NamedTuple):
    """The object to copy, as x-amz-copy-source names it."""

    bucket: str
    key: str
    version_id: str | None


def copy_object(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html."""
    refuse_unimplemented(call.headers)
    source = parse_copy_source(call.headers["x-amz-copy-source"])
    replace = _replaces_metadata(call)
    if (source.bucket, source.key, source.version_id) == (call.bucket, call.key, None) and not (
        replace or any(name.startswith(_CHANGES) for name in call.headers)
    ):
        raise service_error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes.",
        )
    algorithm = requested_algorithm(call.headers)
    guard = write_guard(call.headers)
    with call.backend.begin_copy(
        source.bucket, source.key, call.bucket, call.key, source_version_id=source.version_id
    ) as copy:
        check_readable(call.headers, copy.source.documents, SOURCE_CUSTOMER)
        call.access.confirm(copy.source)
        check_copy_source(call.headers, copy.source)
        if copy.source.size > PUT_BYTES_MAX:
            raise service_error(
                "InvalidRequest", f"The specified copy source is larger than {PUT_BYTES_MAX} bytes; copy it in parts."
            )
        attributes = _attributes(call, copy.source, replace=replace)
        if algorithm and checksum_type({algorithm: attributes.checksums.get(algorithm, "-")}) != FULL_OBJECT:
            attributes = dataclasses.replace(attributes, checksums=_computed(call, source, copy.source, algorithm))
        stored = copy.commit(attributes, guard)
        source_version = copy.source.version_id
    headers = {"content-type": "application/xml", **written_version(stored)}
    headers |= encryption_headers(call.headers, stored.documents, written=True)
    if source_version is not None:
        headers["x-amz-copy-source-version-id"] = source_version
    modified = datetime.fromtimestamp(stored.last_modified, UTC)
    document = s3xml.render_copy_object(stored.etag, modified, stored.checksums, checksum_type(stored.checksums))
    return Response(200, headers, document)


def parse_copy_source(text: str) -> Source:
    """Read x-amz-copy-source: percent-encoded once, with or without a slash in front, perhaps with a version.

    A plus sign that is not encoded is a space, as AWS has it; s5cmd writes spaces so.
    """
    path, _, version = text.replace("+", " ").partition("?versionId=")
    try:
        bucket, slash, key = decode_component(path).removeprefix("/").partition("/")
        version_id = decode_component(version) or None
    except ValueError:
        slash = key = ""
    if not slash or not key:
        raise service_error(
            "InvalidArgument",
            "Invalid copy source object key",
            details={"ArgumentName": "x-amz-copy-source", "ArgumentValue": text},
        )
    check_bucket_name(bucket)
    check_key_text(key)
    return Source(bucket, key, version_id)


def _documents(call: Call, source: StoredObject) -> dict[str, str]:
    """What the copy has besides its headers: its own access control list, and the tags that the directive says."""
    directive = call.headers.get("x-amz-tagging-directive", "COPY").upper()
    if directive not in {"COPY", "REPLACE"}:
        raise service_error("InvalidArgument", "Unknown tagging directive.")
    documents = object_documents(call, call.headers)
    if directive == "COPY":
        documents.pop(TAGGING, None)
        if TAGGING in source.documents:
            documents[TAGGING] = source.documents[TAGGING]
    return documents


def _replaces_metadata(call: Call) -> bool:
    directive = call.headers.get("x-amz-metadata-directive", "COPY").upper()
    if directive not in {"COPY", "REPLACE"}:
        raise service_error("InvalidArgument", "Unknown metadata directive.")
    return directive == "REPLACE"


def _computed(call: Call, source: Source, stored: StoredObject, algorithm: str) -> dict[str, str]:
    """The checksum of the whole source; Conflict where another body has taken its place meanwhile."""
    hasher = checksum.hasher(algorithm)
    with call.backend.open_object(source.bucket, source.key, source.version_id) as reader:
        if (reader.stored.etag, reader.stored.size) != (stored.etag, stored.size):
            raise service_error("OperationAborted", "The source was replaced while it was copied. Please try again.")
        for place in range(0, stored.size, BLOCK):
            hasher.update(reader.read_at(place, BLOCK))
    return {algorithm: hasher.base64()}


def _attributes(call: Call, source: StoredObject, *, replace: bool) -> ObjectAttributes:
    if replace:
        attributes = attributes_of(call.headers, call.owner, _documents(call, source))
        return dataclasses.replace(attributes, checksums=source.checksums)
    # The storage class is the new object's own affair; everything else goes along.
    headers = {name: value for name, value in source.headers.items() if name not in _CHANGES}
    headers |= storage_class(call.headers)
    if "x-amz-website-redirect-location" in call.headers:
        headers["x-amz-website-redirect-location"] = call.headers["x-amz-website-redirect-location"]
    return ObjectAttributes(
        headers=headers,
        metadata=source.metadata,
        checksums=source.checksums,
        documents=_documents(call, source),
        owner=call.owner,
    )
