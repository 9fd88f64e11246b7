"""How an object is cut into parts, and the memory that they travel through.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from s3func.s3.endpoints import S3_RULES, PartRules
from s3func.transport.transfer import MIB, TransferConfig

PART_MIN = 8 * MIB
"""The smallest part that is chosen here; S3 itself wants 5 MiB."""
PART_MAX = 5 * 1024 * MIB
# From here on larger parts gain nothing: 20 ms of latency are 5 % of what 32 MiB take at 90 MB/s.
_PART_TARGET = 32 * MIB
_ALIGNMENT = 4096
# Parts of a stream of unknown length stay as they are for so many, and then double every so many.
_EQUAL_PARTS, _EQUAL_GIVEN_PARTS, _DOUBLED_EVERY = 1000, 5000, 250
_STREAM_MEMORY_MAX = 1024 * MIB


class Part(NamedTuple):
    """One part of an object of known size."""

    number: int
    start: int
    length: int


def part_size(size: int, transfer: TransferConfig, rules: PartRules = S3_RULES) -> int:
    """The size of each part but the last, in bytes, for an object of this size.

    Chosen so that the last round over the connections is as full as the others, at most 32 MiB. Larger (a given size
    as well) where 10,000 parts, or as many as the store takes, would not hold the object. ValueError for what no store
    holds: that many parts of 5 GiB.
    """
    least = -(-size // rules.most)
    if least > PART_MAX:
        raise ValueError(f"body has {size} bytes; the store holds at most {rules.most} parts of {PART_MAX} bytes")
    if transfer.part_size is not None:
        if transfer.part_size > PART_MAX:
            raise ValueError(f"transfer.part_size must be at most {PART_MAX}, not {transfer.part_size}")
        return max(transfer.part_size, least)
    rounds = -(-size // (transfer.concurrency * _PART_TARGET)) or 1
    chosen = max(PART_MIN, -(-size // (transfer.concurrency * rounds)), least)
    return min(PART_MAX, -(-chosen // _ALIGNMENT) * _ALIGNMENT)


def parts_of(size: int, each: int) -> Iterator[Part]:
    """The parts of an object; an empty one has one empty part."""
    for number, start in enumerate(range(0, size or 1, each), 1):
        yield Part(number, start, min(each, size - start))


def growing_part_size(number: int, transfer: TransferConfig, rules: PartRules = S3_RULES) -> int:
    """The size of a part of a stream of unknown length: a given size for 5,000 parts, else 8 MiB for 1,000, then more.

    Doubling every 250 parts, up to 5 GiB, so that a stream of 38 TB (16 with a given size of 5 MiB) fits into 10,000
    parts. The 50 TB that S3 can hold would need 5 GiB from the first part on. A store that takes fewer parts gets them
    larger sooner; one that wants them equal gets 32 MiB each, which is 335 GB in all, unless a size is given.
    """
    given = transfer.part_size
    if given is not None and given > PART_MAX:
        raise ValueError(f"transfer.part_size must be at most {PART_MAX}, not {given}")
    if rules.equal:
        return given or _PART_TARGET
    equal = (_EQUAL_PARTS if given is None else _EQUAL_GIVEN_PARTS) * rules.most // S3_RULES.most
    every = max(1, _DOUBLED_EVERY * rules.most // S3_RULES.most)
    doublings = max(0, number - 1 - equal + every) // every
    return min(PART_MAX, (given or PART_MIN) << min(doublings, 64))


def stream_concurrency(each: int, transfer: TransferConfig) -> int:
    """How many parts of this size of a stream may be under way: its parts grow, and its memory must not without end."""
    return max(1, min(transfer.concurrency, _STREAM_MEMORY_MAX // each))


class Buffers:
    """The memory of the parts under way: as many buffers as there are parts at a time, each used again and again."""

    def __init__(self) -> None:
        self._free: deque[bytearray] = deque()

    def take(self, size: int) -> bytearray:
        """A buffer of at least this size, the one that was used last if there is one."""
        while True:
            try:
                buffer = self._free.pop()
            except IndexError:
                return bytearray(size)
            if len(buffer) >= size:
                return buffer

    def give_back(self, buffer: bytearray) -> None:
        """Nobody uses it any more."""
        self._free.append(buffer)
