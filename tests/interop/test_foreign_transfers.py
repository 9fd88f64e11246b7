"""Objects around every boundary, from every kind of source and back into a file, on other people's servers."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func import S3Session
from s3func.transport.transfer import TransferConfig

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

MIB = 1024 * 1024
PART = 5 * MIB
CONTENT = os.urandom(2 * PART + 2)
SMALL_PARTS = TransferConfig(multipart_threshold=PART, part_size=PART, concurrency=4)
SIZES = [0, 1, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1]


class Pipe(io.RawIOBase):
    """What can be read once, and tells no size."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(memoryview(buffer)[:100_000])


def chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 999_983):
        yield content[start : start + 999_983]


def store_path(session: S3Session, content: bytes, folder: Path) -> None:
    path = folder / "source"
    path.write_bytes(content)
    session.upload_file(path, "key", transfer=SMALL_PARTS)


def store_written(session: S3Session, content: bytes, _folder: Path) -> None:
    with session.open("key", "wb", transfer=SMALL_PARTS) as file:
        for block in chunks(content):
            file.write(block)


SOURCES: dict[str, Callable[[S3Session, bytes, Path], Any]] = {
    "bytes": lambda session, content, _: session.put_object("key", content, transfer=SMALL_PARTS),
    "file": lambda session, content, _: session.put_object("key", io.BytesIO(content), transfer=SMALL_PARTS),
    "path": store_path,
    "generator": lambda session, content, _: session.put_object("key", chunks(content), transfer=SMALL_PARTS),
    "pipe": lambda session, content, _: session.put_object("key", Pipe(content), transfer=SMALL_PARTS),
    "written": store_written,
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_size_from_every_source(session: S3Session, tmp_path: Path, source: str) -> None:
    """What went up around each boundary comes down as the same bytes, in memory and in a file; no upload is left."""
    target = tmp_path / "target"
    for size in SIZES:
        content = CONTENT[:size]
        SOURCES[source](session, content, tmp_path)
        assert size == session.head_object("key").size
        assert content == session.get_object("key").data
        assert size == session.download_file("key", target, transfer=SMALL_PARTS).size
        assert content == target.read_bytes()
    assert [] == list(session.list_multipart_uploads())


class Interrupted(Exception):
    """What stands for a process that was ended."""


def test_an_upload_goes_on_where_it_was_interrupted(session: S3Session, tmp_path: Path) -> None:
    """A part that the store has is not sent again; the object is whole, and no upload is left."""
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    one_by_one = SMALL_PARTS._replace(concurrency=1)

    def stop(done: int, _: int | None) -> None:
        if done > PART:
            raise Interrupted

    with pytest.raises(Interrupted):
        session.upload_file(path, "key", resume=True, transfer=one_by_one, progress=stop)
    assert 1 == len(list(session.list_multipart_uploads()))
    told: list[int] = []
    session.upload_file(path, "key", resume=True, transfer=one_by_one, progress=lambda done, _: told.append(done))
    assert PART <= told[0]
    assert CONTENT == session.get_object("key").data
    assert [] == list(session.list_multipart_uploads())
