"""The digest that is taken of a file while it is written."""

from __future__ import annotations

import hashlib
import itertools
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.download.engine import Piece
from s3func.download.follower import Follower
from s3func.wire.checksum import hasher


class Memory:
    """A target in memory."""

    in_order = False
    rereadable = True

    def __init__(self, size: int) -> None:
        self.content = bytearray(size)
        self.failure: OSError | None = None

    def readinto(self, buffer: memoryview, position: int) -> int:
        if self.failure is not None:
            raise self.failure
        block = self.content[position : position + len(buffer)]
        buffer[: len(block)] = block
        return len(block)

    def write(self, block: memoryview, position: int) -> None:
        self.content[position : position + len(block)] = block


def nobody_is_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("s3func-digest")]


@given(
    content=st.binary(min_size=1, max_size=3000),
    cuts=st.lists(st.integers(1, 2999), max_size=8),
    present=st.sets(st.integers(0, 8)),
    order=st.randoms(use_true_random=False),
)
def test_the_digest_of_what_was_written(
    content: bytes, cuts: list[int], present: set[int], order: random.Random
) -> None:
    """Whatever order the ranges come in, and whichever of them were there before, the digest is that of the whole."""
    bounds = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    target = Memory(len(content))
    pieces = []
    for number, (start, end) in enumerate(itertools.pairwise(bounds)):
        if number in present:
            target.content[start:end] = content[start:end]
        else:
            pieces.append(Piece(start, end))
    with Follower(target, hasher("sha1"), len(content)) as follower:  # type: ignore[arg-type]
        for piece in pieces:
            follower.expect(piece)
        left = list(pieces)
        while left:
            piece = order.choice(left)
            step = order.randint(1, piece.end - piece.position)
            target.content[piece.position : piece.position + step] = content[piece.position : piece.position + step]
            piece.position += step
            follower.grown(piece)
            if piece.position == piece.end:
                left.remove(piece)
        digest = follower.finish()
    assert hashlib.sha1(content).digest() == digest
    assert nobody_is_left()


def test_it_ends_with_the_download() -> None:
    """A download that fails ends its thread, although what it waits for never comes."""
    piece = Piece(0, 100)
    with pytest.raises(LookupError), Follower(Memory(100), hasher("sha1"), 100) as follower:  # type: ignore[arg-type]
        follower.expect(piece)
        raise LookupError
    assert nobody_is_left()


def test_a_file_that_cannot_be_read() -> None:
    """What the disk says when the file is read is what the caller hears."""
    target = Memory(100)
    target.failure = OSError("the disk")
    piece = Piece(0, 100)
    with Follower(target, hasher("sha1"), 100) as follower:  # type: ignore[arg-type]
        follower.expect(piece)
        piece.position = 100
        follower.grown(piece)
        with pytest.raises(OSError, match="the disk"):
            follower.finish()
    assert nobody_is_left()
