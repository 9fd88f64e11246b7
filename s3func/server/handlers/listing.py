"""ListObjects, in both versions, and ListObjectVersions."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from datetime import UTC, datetime
from zlib import crc32

from s3func.errors import ServiceError, service_error
from s3func.message import Response
from s3func.models import ListPage, ObjectEntry
from s3func.server.backend import ListSlice, StoredObject
from s3func.server.call import Call
from s3func.wire import s3xml

MAX_KEYS = 1000
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_XML = {"content-type": "application/xml"}


def list_objects(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html."""
    max_keys, encoding_type = _max_keys(call), _encoding_type(call)
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    marker = call.query.get("marker", "")
    found = call.backend.list_objects(
        call.bucket, prefix=prefix, delimiter=delimiter, start_after=marker, limit=max_keys
    )
    document = s3xml.render_list_objects_v1(
        _page(found, found.next_start_after, with_owner=True),
        bucket=call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        max_keys=max_keys,
        encoding_type=encoding_type,
        marker=marker,
    )
    return Response(200, dict(_XML), document)


def list_objects_v2(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""
    if call.query["list-type"] != "2":
        raise _invalid("list-type", call.query["list-type"], "Invalid List Type specified in Request")
    max_keys, encoding_type = _max_keys(call), _encoding_type(call)
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    start_after, token = call.query.get("start-after", ""), call.query.get("continuation-token", "")
    found = call.backend.list_objects(
        call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        start_after=_place(token) if token else start_after,
        limit=max_keys,
    )
    next_token = None if found.next_start_after is None else _token(found.next_start_after)
    document = s3xml.render_list_objects_v2(
        _page(found, next_token, with_owner=call.query.get("fetch-owner", "").lower() == "true"),
        bucket=call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        max_keys=max_keys,
        encoding_type=encoding_type,
        continuation_token=token,
        start_after=start_after,
    )
    return Response(200, dict(_XML), document)


def list_object_versions(call: Call) -> Response:
    """Every object is its own one version, "null", as long as no bucket keeps more.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    """
    max_keys, encoding_type = _max_keys(call), _encoding_type(call)
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    key_marker, version_id_marker = call.query.get("key-marker", ""), call.query.get("version-id-marker", "")
    if version_id_marker and not key_marker:
        raise _invalid(
            "version-id-marker", version_id_marker, "A version-id marker cannot be specified without a key marker."
        )
    found = call.backend.list_objects(
        call.bucket, prefix=prefix, delimiter=delimiter, start_after=key_marker, limit=max_keys
    )
    page = _page(found, found.next_start_after, with_owner=True)
    for entry in page.entries:
        entry.is_latest = True
    if page.is_truncated:
        page.next_version_id = "null"
    document = s3xml.render_list_object_versions(
        page,
        bucket=call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        max_keys=max_keys,
        encoding_type=encoding_type,
        key_marker=key_marker,
        version_id_marker=version_id_marker,
    )
    return Response(200, dict(_XML), document)


def _page(found: ListSlice, next_token: str | None, *, with_owner: bool) -> ListPage:
    entries = [_entry(stored, with_owner=with_owner) for stored in found.rows]
    return ListPage(entries, found.common_prefixes, found.is_truncated, next_token)


def _entry(stored: StoredObject, *, with_owner: bool) -> ObjectEntry:
    return ObjectEntry(
        stored.key,
        stored.size,
        stored.etag,
        datetime.fromtimestamp(stored.last_modified, UTC),
        stored.headers.get("x-amz-storage-class"),
        owner=stored.owner if with_owner else None,
    )


def _max_keys(call: Call) -> int:
    text = call.query.get("max-keys") or str(MAX_KEYS)
    if _NUMBER.fullmatch(text) is None or int(text) > 2**31 - 1:
        raise _invalid("max-keys", text, "Provided max-keys not an integer or within integer range")
    return min(int(text), MAX_KEYS)


def _encoding_type(call: Call) -> str:
    text = call.query.get("encoding-type", "")
    if text not in {"", "url"}:
        raise _invalid("encoding-type", text, "Invalid Encoding Method specified in Request")
    return text


def _token(place: str) -> str:
    """The place where the next page begins, with a checksum: a token that was cut or made up shall be noticed."""
    encoded = place.encode()
    return b64encode(crc32(encoded).to_bytes(4, "big") + encoded).decode()


def _place(token: str) -> str:
    try:
        decoded = b64decode(token, validate=True)
        if len(decoded) > 4 and int.from_bytes(decoded[:4], "big") == crc32(decoded[4:]):
            return decoded[4:].decode()
    except (Base64Error, ValueError):
        pass
    raise _invalid("continuation-token", token, "The continuation token provided is incorrect")


def _invalid(name: str, value: str, message: str) -> ServiceError:
    return service_error("InvalidArgument", message, details={"ArgumentName": name, "ArgumentValue": value})
