"""Event streams: an answer that is a row of messages, each with headers, a payload, and two checksums.

A message is its length, the length of its headers, a CRC32 of these eight bytes, headers, payload, and a CRC32 of all
before. https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple
from zlib import crc32

from s3func.errors import ProtocolError, TruncatedBody

__all__ = ["Message", "messages"]

_PRELUDE = 12
_SMALLEST = _PRELUDE + 4
MESSAGE_MAX = 24 * 1024 * 1024
"""The largest message that AWS sends; a length beyond it is a stream that is none."""
# What stands in the way of a header's value: how many bytes it has, None where two bytes say it.
_SIZES: dict[int, int | None] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: None, 7: None, 8: 8, 9: 16}
_TEXT = 7


class Message(NamedTuple):
    """Headers that are texts (":message-type", ":event-type", ":error-code" …), and the payload."""

    headers: dict[str, str]
    payload: bytes


def messages(read: Callable[[int], bytes]) -> Iterator[Message]:
    """The messages of a stream, one at a time. ProtocolError; TruncatedBody for an end inside of one."""
    while prelude := _exactly(read, _PRELUDE, at_end=True):
        total, header_bytes, expected = struct.unpack(">III", prelude)
        if prelude.startswith(b"<"):
            raise ProtocolError(f"a document in the place of an event stream: {prelude!r}…")
        if crc32(prelude[:8]) != expected:
            raise ProtocolError("a message of the event stream has a damaged beginning")
        if not _SMALLEST + header_bytes <= total <= MESSAGE_MAX:
            raise ProtocolError(f"a message of the event stream has {total} bytes, {header_bytes} of them headers")
        rest = _exactly(read, total - _PRELUDE)
        if crc32(rest[:-4], crc32(prelude)) != int.from_bytes(rest[-4:], "big"):
            raise ProtocolError("a message of the event stream is damaged")
        yield Message(_headers(rest[:header_bytes]), rest[header_bytes:-4])


def _exactly(read: Callable[[int], bytes], size: int, *, at_end: bool = False) -> bytes:
    parts = []
    missing = size
    while missing:
        block = read(missing)
        if not block:
            if at_end and missing == size:
                return b""
            raise TruncatedBody(f"the event stream ended inside of a message: {missing} bytes are missing")
        parts.append(block)
        missing -= len(block)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _headers(encoded: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    place = 0
    try:
        while place < len(encoded):
            name_end = place + 1 + encoded[place]
            name = encoded[place + 1 : name_end].decode()
            size = _SIZES[kind := encoded[name_end]]
            place = name_end + 1
            if size is None:
                (size,) = struct.unpack_from(">H", encoded, place)
                place += 2
            if place + size > len(encoded):
                raise ProtocolError("a header of the event stream is longer than all of them")
            if kind == _TEXT:
                headers[name] = encoded[place : place + size].decode()
            place += size
    except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise ProtocolError(f"the headers of an event stream cannot be read: {error!r}") from error
    return headers
