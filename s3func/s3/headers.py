"""Arguments into headers and headers into values: checked here, so that nothing unsendable reaches the signature.

Metadata: S3 takes US-ASCII only. A value that is not plain ASCII is written as an RFC 2047 encoded word, which is also
how S3 itself presents such values, and is decoded when it is read.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from s3func.wire.encoding import encode_component, encode_path, header_value, http_date

KEY_MAX_BYTES = 1024
METADATA_MAX_BYTES = 2048
TAGS_MAX = 10
# What an HTTP date, with its four digits for the year, can say.
_FIRST_SECOND, _AFTER_LAST_SECOND = -62_135_596_800, 253_402_300_800
# The re module compiles and keeps these when they are first used.
_HEADER_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_SURROGATE = r"[\ud800-\udfff]"
_DIRECT_VALUE = r"[\x21-\x7e]+(?: [\x21-\x7e]+)*"
# Headers that the session, the signature or the connection sets itself.
_RESERVED = frozenset(
    {"accept-encoding", "authorization", "connection", "content-length", "host", "transfer-encoding", "user-agent"}
)
_RESERVED_PREFIXES = ("x-amz-content-sha256", "x-amz-date", "x-amz-security-token")


def check_key(key: object, name: str = "key") -> str:
    """The key, percent-encoded once for the request line; TypeError or ValueError names the argument."""
    if not isinstance(key, str):
        raise TypeError(f"{name} must be a str, not {type(key).__name__}")
    if not key:
        raise ValueError(f"{name} is empty: an empty key would address the bucket itself")
    try:
        # Four bytes is the most that one character takes, so short keys need no counting.
        if len(key) > KEY_MAX_BYTES // 4 and len(key.encode()) > KEY_MAX_BYTES:
            raise ValueError(f"{name} is longer than {KEY_MAX_BYTES} UTF-8 bytes")
        return encode_path(key)
    except UnicodeEncodeError:
        raise ValueError(f"{name} has a lone surrogate, which no UTF-8 can carry") from None


def check_text(name: str, value: object) -> str:
    """A text that can stand in a query or a document; TypeError or ValueError names the argument."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if re.search(_SURROGATE, value):
        raise ValueError(f"{name} has a lone surrogate, which no UTF-8 can carry")
    return value


def extra_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The caller's own headers, lower-case; those that the session sets itself are refused."""
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping, not {type(headers).__name__}")
    checked = {}
    for name, value in headers.items():
        if not isinstance(name, str) or re.fullmatch(_HEADER_NAME, name) is None:
            raise ValueError(f"headers has a name that is no header name: {name!r}")
        lower = name.lower()
        if lower in _RESERVED or lower in _RESERVED_PREFIXES:
            raise ValueError(f"headers must not set {lower}: the session does")
        if lower in checked:
            raise ValueError(f"headers sets {lower} twice")
        checked[lower] = header_value(f"headers[{name!r}]", value).strip()
    return checked


def etag_value(name: str, etag: object) -> str:
    """An ETag as it travels: quoted, unless it is "*" or a list that the caller quoted himself."""
    text = header_value(name, etag).strip()
    if not text:
        raise ValueError(f"{name} is empty")
    if text.count('"') % 2 or ('"' in text and not text.startswith(('"', 'W/"'))):
        raise ValueError(f"{name} is neither an ETag nor a list of quoted ETags: {text[:80]!r}")
    return text if text == "*" or '"' in text else f'"{text}"'


def time_value(name: str, moment: object) -> str:
    """An HTTP date of a datetime (naive ones are refused: nobody knows whose time they are) or of an epoch."""
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise ValueError(f"{name} is a datetime without a time zone")
        moment = moment.timestamp()
    if not isinstance(moment, int | float) or isinstance(moment, bool):
        raise TypeError(f"{name} must be an aware datetime or seconds since the epoch, not {type(moment).__name__}")
    if not _FIRST_SECOND <= moment < _AFTER_LAST_SECOND:
        raise ValueError(f"{name} is no time between the years 1 and 9999")
    return http_date(moment)


def tagging_value(tagging: Mapping[str, str] | str) -> str:
    """The x-amz-tagging header: a mapping of at most ten tags, or a string that is query-encoded already."""
    if isinstance(tagging, str):
        return header_value("tagging", tagging)
    if not isinstance(tagging, Mapping):
        raise TypeError(f"tagging must be a mapping or a str, not {type(tagging).__name__}")
    if len(tagging) > TAGS_MAX:
        raise ValueError(f"tagging has {len(tagging)} tags; S3 keeps at most {TAGS_MAX}")
    pairs = [(check_text("tagging", name), check_text("tagging", value)) for name, value in tagging.items()]
    return "&".join([f"{encode_component(name)}={encode_component(value)}" for name, value in pairs])


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """x-amz-meta- headers; names are lower-cased, values may be any text, together at most 2 KB."""
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a mapping, not {type(metadata).__name__}")
    headers: dict[str, str] = {}
    size = 0
    for name, value in metadata.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("metadata must map str to str")
        if re.fullmatch(_HEADER_NAME, name) is None:
            raise ValueError(f"metadata has a name that is no header name: {name!r}")
        header = f"x-amz-meta-{name.lower()}"
        if header in headers:
            raise ValueError(f"metadata has {name.lower()!r} twice: S3 keeps names in lower case")
        headers[header] = text = _metadata_value(value)
        size += len(name) + len(text)
    if size > METADATA_MAX_BYTES:
        raise ValueError(f"metadata takes {size} bytes on the wire; S3 keeps at most {METADATA_MAX_BYTES}")
    return headers


def _metadata_value(value: str) -> str:
    # A value that looks like an encoded word is encoded as well, so that reading gives back what was written.
    if not value or (re.fullmatch(_DIRECT_VALUE, value) and "=?" not in value):
        return value
    try:
        return f"=?UTF-8?B?{b64encode(value.encode()).decode()}?="
    except UnicodeEncodeError:
        raise ValueError("metadata has a value with a lone surrogate") from None


def query_pairs(query: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """A caller's query mapping as pairs: str or int values, and None for a bare name, as in `?acl`."""
    if query is None:
        return []
    if not isinstance(query, Mapping):
        raise TypeError(f"query must be a mapping, not {type(query).__name__}")
    pairs = []
    for name, value in query.items():
        if not check_text("query", name):
            raise ValueError("query has an empty name")
        if value is None:
            pairs.append((name, ""))
        elif isinstance(value, int) and not isinstance(value, bool):
            pairs.append((name, str(value)))
        else:
            pairs.append((name, check_text(f"query[{name!r}]", value)))
    return pairs
