"""Objects: put, get, head, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from s3func.errors import NoSuchKey, service_error
from s3func.message import BLOCK, Response
from s3func.server.attributes import (
    attributes_of,
    check_values,
    checksum_headers,
    object_headers,
    refuse_unimplemented,
)
from s3func.server.backend import Guard, ObjectReader, Part, StoredObject
from s3func.server.call import Call
from s3func.server.checksums import checksum_type
from s3func.server.conditions import (
    DELETE_CONDITIONS,
    Extent,
    delete_guard,
    is_unmodified,
    requested_extent,
    requested_part,
    write_guard,
)
from s3func.server.creation import object_documents
from s3func.server.encryption import check_readable, encryption_headers
from s3func.server.object_lock import deletion_guard, lock_headers
from s3func.server.payload import Payload
from s3func.server.restoring import RESTORED, restore_headers

NULL_VERSION = "null"
"""The version of what was written while its bucket kept no versions."""
PUT_BYTES_MAX = 5 * 1024**3
"""The largest object of one PUT; larger ones are uploaded in parts."""

_OVERRIDES = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")
_KEPT_IN_304 = ("cache-control", "expires", "etag", "last-modified", "x-amz-version-id")


def put_object(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html."""
    refuse_unimplemented(call.headers)
    payload = Payload(call)
    attributes = attributes_of(call.headers, call.owner, object_documents(call, call.headers))
    guard = write_guard(call.headers)
    if guard is not None:
        _foresee(call, guard)
    with call.backend.begin_put(call.bucket, call.key) as writer:
        payload.pour(writer.write, PUT_BYTES_MAX)
        payload.check_md5(writer.md5)
        if payload.checksums:
            attributes = replace(attributes, checksums=payload.checksums)
        stored = writer.commit(attributes, guard)
    return Response(200, written_headers(stored) | encryption_headers(call.headers, stored.documents, written=True))


def get_object(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html."""
    refuse_unimplemented(call.headers)
    overrides = _response_overrides(call)
    reader = call.backend.open_object(call.bucket, call.key, version_id(call))
    try:
        call.access.confirm(reader.stored)
        parts = reader.parts if "partNumber" in call.query else ()
        response, extent = _describe(call, reader.stored, parts, overrides)
        if extent.size <= BLOCK:
            response.body = reader.read_at(extent.start, extent.size) if extent.size else b""
            reader.close()
        else:
            response.body = ObjectStream(reader, extent)
    except BaseException:
        reader.close()
        raise
    return response


def head_object(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html."""
    refuse_unimplemented(call.headers)
    overrides = _response_overrides(call)
    if "partNumber" in call.query:
        # What parts an object has is known to its reader only.
        with call.backend.open_object(call.bucket, call.key, version_id(call)) as reader:
            return _describe(call, reader.stored, reader.parts, overrides)[0]
    return _describe(call, call.backend.head_object(call.bucket, call.key, version_id(call)), (), overrides)[0]


def delete_object(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html."""
    refuse_unimplemented(call.headers, *DELETE_CONDITIONS)
    version = version_id(call)
    guard = deletion_guard(call, call.key, version, delete_guard(call.headers, version))
    deleted = call.backend.delete_object(call.bucket, call.key, version, guard, call.owner)
    headers = {}
    # A version that never was may have been named with anything, and a header cannot carry everything.
    if deleted.version_id is not None and deleted.version_id.isascii() and deleted.version_id.isprintable():
        headers["x-amz-version-id"] = deleted.version_id
    if deleted.delete_marker:
        headers["x-amz-delete-marker"] = "true"
    return Response(204, headers)


class ObjectStream:
    """A BodyStream of a part of an open object; closes it at the end."""

    def __init__(self, reader: ObjectReader, extent: Extent) -> None:
        self._reader = reader
        self._place = extent.start
        self._end = extent.start + extent.size

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, b"" at the end; a negative size reads to the end."""
        left = self._end - self._place
        block = self._reader.read_at(self._place, left if size < 0 else min(size, left)) if left and size else b""
        self._place += len(block)
        if self._place >= self._end:
            self.close()
        return block

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of the buffer; 0 at the end."""
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Let go of the object; what was not read is given up."""
        self._end = self._place
        self._reader.close()


def version_id(call: Call) -> str | None:
    """The version that the request names."""
    version = call.query.get("versionId")
    if version == "":
        raise service_error(
            "InvalidArgument", "Version id cannot be the empty string", details={"ArgumentName": "versionId"}
        )
    return version


def written_headers(stored: StoredObject) -> dict[str, str]:
    """What the answer to a write says about the object that it made."""
    return {"etag": f'"{stored.etag}"', **checksum_headers(stored.checksums), **written_version(stored)}


def written_version(stored: StoredObject) -> dict[str, str]:
    """The id of a new version. Like S3, a write does not say that it made the "null" version; only reads do.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html#API_PutObject_Examples
    """
    return {} if stored.version_id in {None, NULL_VERSION} else {"x-amz-version-id": str(stored.version_id)}


def _foresee(call: Call, guard: Guard) -> None:
    """Refuse at once what the guard would refuse at the end, so that a large body need not be sent in vain."""
    try:
        current = call.backend.head_object(call.bucket, call.key)
    except NoSuchKey:
        current = None
    guard(current)


def _describe(
    call: Call, stored: StoredObject, parts: Sequence[Part], overrides: dict[str, str]
) -> tuple[Response, Extent]:
    """The answer to GET and HEAD but for the body, and which part of the body belongs to it."""
    if "partNumber" not in call.query:
        check_readable(call.headers, stored.documents)
    unmodified = is_unmodified(call.headers, stored)
    whole = Extent(0, stored.size)
    with_checksums = call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
    of_part: dict[str, str] = {}
    extent = None
    if "partNumber" in call.query:
        extent, part = requested_part(call.query["partNumber"], call.headers, stored, parts)
        # That there is no such part is said before the key is asked for, as Ceph does.
        check_readable(call.headers, stored.documents)
        if part is not None:
            of_part = {"x-amz-mp-parts-count": str(len(parts))}
            if with_checksums:
                of_part |= checksum_headers(part.checksums, checksum_type(stored.checksums) or "")
            with_checksums = False
    elif not unmodified:
        extent = requested_extent(call.headers, stored)
    headers = object_headers(stored, with_checksums=with_checksums and extent in {None, whole}) | of_part | overrides
    headers |= encryption_headers(call.headers, stored.documents) | lock_headers(stored)
    if RESTORED in stored.documents:
        headers |= restore_headers(stored.documents)
    if unmodified:
        return Response(304, {name: headers[name] for name in _KEPT_IN_304 if name in headers}), Extent(0, 0)
    if extent is None:
        headers["content-length"] = str(stored.size)
        return Response(200, headers), whole
    headers["content-length"] = str(extent.size)
    headers["content-range"] = f"bytes {extent.start}-{extent.start + extent.size - 1}/{stored.size}"
    return Response(206, headers), extent


def _response_overrides(call: Call) -> dict[str, str]:
    """The headers that a signed request asks to be answered with, whatever the object says."""
    overrides = {name: value for name in _OVERRIDES if (value := call.query.get(f"response-{name}"))}
    if overrides:
        if call.grant.user is None:
            raise service_error(
                "InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests."
            )
        check_values(overrides.items())
    return overrides
