"""Percent-encoding, timestamps and values of headers, exactly as S3 writes them.

Rule 1: a key is encoded once, from its UTF-8 bytes, and is never normalised: `a//b`, `.` and `..` stay what they are.
Rule 2: time comes in as seconds since the epoch; nothing here reads a clock.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html (UriEncode)
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
# Our own table in place of urllib.parse, whose import is a tenth of all that `import S3Session` costs.
_COMPONENT = [chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)]
_PATH = [*_COMPONENT[:47], "/", *_COMPONENT[48:]]
# Most keys need no escaping at all: one match, 0.2 µs.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9\-._~/]*\Z").match
_PLAIN_COMPONENT = re.compile(r"[A-Za-z0-9\-._~]*\Z").match
# The patterns below are compiled by the re module when they are first used, not at import (0.2 ms each).
_BAD_ESCAPE = r"%(?![0-9A-Fa-f]{2})"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SENDABLE = r"[\x20-\x7e]*"
_AMZ_DATE = r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z"
# The weekday is not looked at: AWS's own documentation has a sample with the wrong one.
_HTTP_DATE = r"[A-Za-z]+,? ([0-9]{1,2})[ -]([A-Z][a-z]{2})[ -]([0-9]{4}|[0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"


def encode_path(text: str) -> str:
    """Percent-encode everything but unreserved characters and "/"; a lone surrogate is a UnicodeEncodeError."""
    return text if _PLAIN_PATH(text) else "".join([_PATH[byte] for byte in text.encode()])


def encode_component(text: str) -> str:
    """Percent-encode everything but unreserved characters, "/" included: for query names and values."""
    return text if _PLAIN_COMPONENT(text) else "".join([_COMPONENT[byte] for byte in text.encode()])


def encode_query(pairs: Iterable[tuple[str, str]]) -> str:
    """The canonical query string: encoded, then sorted by name and value, "name=" where the value is empty."""
    encoded = sorted([(encode_component(name), encode_component(value)) for name, value in pairs])
    return "&".join([f"{name}={value}" for name, value in encoded])


def decode_component(text: str) -> str:
    """Undo percent-encoding ("+" is a plus sign); a stray "%" or bytes that are not UTF-8 are a ValueError."""
    if "%" not in text:
        return text
    if re.search(_BAD_ESCAPE, text):
        raise ValueError(f"malformed percent-encoding: {text[:80]!r}")
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(text).decode("utf-8")


def header_value(name: str, value: object) -> str:
    """A value that can stand in a header; TypeError or ValueError names the argument."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if re.fullmatch(_SENDABLE, value) is None:
        raise ValueError(f"{name} has characters that cannot stand in a header (only printable ASCII can)")
    return value


def amz_date(epoch: float) -> str:
    """`20261121T100000Z`, the form of x-amz-date."""
    year, month, day, hour, minute, second = time.gmtime(epoch)[:6]
    return f"{year:04d}{month:02d}{day:02d}T{hour:02d}{minute:02d}{second:02d}Z"


def parse_amz_date(text: str) -> float:
    """Seconds since the epoch of an x-amz-date; anything else is a ValueError."""
    match = re.fullmatch(_AMZ_DATE, text)
    if match is None:
        raise ValueError(f"not an x-amz-date: {text[:40]!r}")
    year, month, day, hour, minute, second = map(int, match.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


def http_date(epoch: float) -> str:
    """`Sat, 21 Nov 2026 10:00:00 GMT`, whatever the locale."""
    parts = time.gmtime(epoch)
    return (
        f"{_WEEKDAYS[parts.tm_wday]}, {parts.tm_mday:02d} {_MONTHS[parts.tm_mon - 1]} {parts.tm_year:04d}"
        f" {parts.tm_hour:02d}:{parts.tm_min:02d}:{parts.tm_sec:02d} GMT"
    )


def parse_http_date(text: str) -> datetime:
    """An aware datetime (UTC) of an HTTP date; the weekday may be wrong, anything else is a ValueError."""
    match = re.fullmatch(_HTTP_DATE, text.strip())
    if match is None or match[2] not in _MONTHS:
        raise ValueError(f"not an HTTP date: {text[:40]!r}")
    day, month, year, hour, minute, second = match.groups()
    full_year = int(year) if len(year) == 4 else (1900 if int(year) >= 70 else 2000) + int(year)
    return datetime(
        full_year, _MONTHS.index(month) + 1, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC
    )


def iso8601(epoch: float) -> str:
    """`2026-11-21T10:00:00.000Z`, the form of timestamps in S3's documents (milliseconds, rounded down)."""
    # To the microsecond first: from 2038 on, the float of a whole millisecond may lie a little below it.
    milliseconds = int(round(epoch * 1000, 3))
    year, month, day, hour, minute, second = time.gmtime(milliseconds // 1000)[:6]
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{milliseconds % 1000:03d}Z"


def parse_iso8601(text: str) -> datetime:
    """An aware datetime (UTC) of a document's timestamp, with or without a fraction; ValueError otherwise."""
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
