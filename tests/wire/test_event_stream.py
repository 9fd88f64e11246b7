"""Event streams beside botocore's reader, and streams that somebody has damaged."""

from __future__ import annotations

import struct
from io import BytesIO
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import ProtocolError, TruncatedBody
from s3func.wire.event_stream import MESSAGE_MAX, Message, messages

HEADER_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda name: len(name.encode()) < 256
)
HEADERS = st.dictionaries(HEADER_NAMES, st.text(st.characters(codec="utf-8"), max_size=40), max_size=5)


def framed(headers: bytes, payload: bytes, *, total: int | None = None) -> bytes:
    """A message around encoded headers."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload) if total is None else total, len(headers))
    whole = prelude + crc32(prelude).to_bytes(4, "big") + headers + payload
    return whole + crc32(whole).to_bytes(4, "big")


def message(headers: dict[str, str], payload: bytes = b"") -> bytes:
    """A message with texts as headers."""
    encoded = b"".join(
        bytes([len(name.encode())]) + name.encode() + b"\7" + len(text.encode()).to_bytes(2, "big") + text.encode()
        for name, text in headers.items()
    )
    return framed(encoded, payload)


def read(stream: bytes, step: int = 1 << 20) -> list[Message]:
    """All messages of a stream that gives so many bytes at a time."""
    source = BytesIO(stream)
    return list(messages(lambda size: source.read(min(size, step))))


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=200)), max_size=4), st.integers(1, 40))
def test_the_same_as_botocore(sent: list[tuple[dict[str, str], bytes]], step: int) -> None:
    """What botocore reads from a stream is what we read, however the stream is cut."""
    stream = b"".join(message(*each) for each in sent)
    theirs = EventStreamBuffer()
    theirs.add_data(stream)
    assert [(each.headers, each.payload) for each in theirs] == [tuple(each) for each in read(stream, step)] == sent


def test_headers_of_every_type() -> None:
    """A header that is no text is passed over, and the texts behind it are found."""
    values = {0: b"", 1: b"", 2: b"x", 3: b"xx", 4: b"xxxx", 5: b"x" * 8, 6: b"\0\3abc", 8: b"x" * 8, 9: b"x" * 16}
    encoded = b"".join(b"\1a" + bytes([kind]) + value for kind, value in values.items()) + b"\1b\7\0\2ok"
    assert [Message({"b": "ok"}, b"payload")] == read(framed(encoded, b"payload"))


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_damaged_byte_is_seen(place: int, change: int) -> None:
    """No byte of a message can change without an error, so no wrong row is ever returned."""
    stream = bytearray(message({":event-type": "Records"}, b"a,b\n" * 8))
    stream[place % len(stream)] ^= change
    with pytest.raises((ProtocolError, TruncatedBody)):
        read(bytes(stream))


def test_an_early_end_is_seen() -> None:
    """An end inside of a message is an error wherever it is; between messages it is the end."""
    stream = message({"a": "b"}, b"rows")
    for end in range(1, len(stream)):
        with pytest.raises(TruncatedBody):
            read(stream[:end])
    assert [] == read(b"")


@pytest.mark.parametrize(
    "stream",
    [
        framed(b"", b"", total=15),
        framed(b"", b"", total=MESSAGE_MAX + 1),
        framed(b"\1a\7\0\5abc", b""),
        framed(b"\1a\7\0", b""),
        framed(b"\5a", b""),
        framed(b"\1a\12", b""),
        framed(b"\1\xff\7\0\1a", b""),
        framed(b"\1a\7\0\1\xff", b""),
        framed(b"\1a\6\xff\xff", b""),
    ],
)
def test_what_is_no_event_stream(stream: bytes) -> None:
    """Lengths that cannot be, and headers that are none, are a ProtocolError and never a crash or a wait."""
    with pytest.raises(ProtocolError):
        read(stream)
