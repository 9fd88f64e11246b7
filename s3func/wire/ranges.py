"""Ranges of bytes: what a request asks for, and whether an answer is that. https://www.rfc-editor.org/rfc/rfc9110#section-14."""

from __future__ import annotations

import re


def byte_range(range_start: int | None, range_end: int | None) -> str | None:
    """`bytes=first-last`, both included; without range_start the last range_end bytes."""
    for name, value in (("range_start", range_start), ("range_end", range_end)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}")
        if value is not None and value < 0:
            raise ValueError(f"{name} is negative: {value}")
    if range_start is None:
        if range_end == 0:
            raise ValueError("range_end is 0 without range_start: the last 0 bytes are no range")
        return None if range_end is None else f"bytes=-{range_end}"
    if range_end is None:
        return f"bytes={range_start}-"
    if range_end < range_start:
        raise ValueError(f"range_end {range_end} is before range_start {range_start}")
    return f"bytes={range_start}-{range_end}"


def parse_range(wanted: str) -> re.Match[str] | None:
    """A Range header of one range; None for a form that `byte_range` does not make."""
    return re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", wanted)


def parse_content_range(described: str) -> re.Match[str] | None:
    """A Content-Range header: first and last byte, and the size or "*"."""
    return re.fullmatch(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", described)


def answers(sent: re.Match[str], asked: re.Match[str], length: str | None) -> bool:
    """Whether the part that was sent is the one that was asked for, or its beginning. length: the Content-Length."""
    first, last = int(sent[1]), int(sent[2])
    size = None if sent[3] == "*" else int(sent[3])
    if asked[1]:
        fits = first == int(asked[1]) and (not asked[2] or last <= int(asked[2]))
    else:
        fits = size is None or (last == size - 1 and last - first < int(asked[2]))
    return fits and first <= last and (length is None or length == str(last - first + 1))
