"""ListObjects, in both versions, and what all listings share."""

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
    max_keys, encoding = page_size(call), encoding_type(call)
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    marker = call.query.get("marker", "")
    found = call.backend.list_objects(
        call.bucket, prefix=prefix, delimiter=delimiter, start_after=marker, limit=max_keys
    )
    document = s3xml.render_list_objects_v1(
        _page(call, found, found.next_start_after, with_owner=True),
        bucket=call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        max_keys=max_keys,
        encoding_type=encoding,
        marker=marker,
        display_name=call.display_name,
    )
    return Response(200, dict(_XML), document)


def list_objects_v2(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""
    if call.query["list-type"] != "2":
        raise invalid_argument("list-type", call.query["list-type"], "Invalid List Type specified in Request")
    max_keys, encoding = page_size(call), encoding_type(call)
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    start_after, token = call.query.get("start-after", ""), call.query.get("continuation-token")
    found = call.backend.list_objects(
        call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        start_after=_place(token) if token else start_after,
        limit=max_keys,
    )
    next_token = None if found.next_start_after is None else _token(found.next_start_after)
    document = s3xml.render_list_objects_v2(
        _page(call, found, next_token, with_owner=call.query.get("fetch-owner", "").lower() == "true"),
        bucket=call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        max_keys=max_keys,
        encoding_type=encoding,
        continuation_token=token,
        start_after=start_after,
        display_name=call.display_name,
    )
    return Response(200, dict(_XML), document)


def object_entry(call: Call, stored: StoredObject, *, with_owner: bool) -> ObjectEntry:
    """The row of an object."""
    return ObjectEntry(
        stored.key,
        stored.size,
        stored.etag,
        datetime.fromtimestamp(stored.last_modified, UTC),
        stored.headers.get("x-amz-storage-class"),
        owner=stored.owner if with_owner else None,
    )


def page_size(call: Call, name: str = "max-keys") -> int:
    """How many rows a page may have: what the parameter of this name asks for, but 1,000 at most."""
    return min(number_parameter(name, call.query.get(name) or str(MAX_KEYS)), MAX_KEYS)


def number_parameter(name: str, text: str) -> int:
    """A parameter that is a number, InvalidArgument for one that is none."""
    if _NUMBER.fullmatch(text) is None or int(text) > 2**31 - 1:
        raise invalid_argument(name, text, f"Provided {name} not an integer or within integer range")
    return int(text)


def encoding_type(call: Call) -> str:
    """How keys are to be written: "url" or "" for as they are."""
    text = call.query.get("encoding-type", "")
    if text not in {"", "url"}:
        raise invalid_argument("encoding-type", text, "Invalid Encoding Method specified in Request")
    return text


def invalid_argument(name: str, value: str, message: str) -> ServiceError:
    """The refusal of a parameter's value."""
    return service_error("InvalidArgument", message, details={"ArgumentName": name, "ArgumentValue": value})


def _page(call: Call, found: ListSlice, next_token: str | None, *, with_owner: bool) -> ListPage:
    entries = [object_entry(call, stored, with_owner=with_owner) for stored in found.rows]
    return ListPage(entries, found.common_prefixes, found.is_truncated, next_token)


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
    raise invalid_argument("continuation-token", token, "The continuation token provided is incorrect")
