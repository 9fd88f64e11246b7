"""Objects as fsspec's files, and parts of objects."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from s3func.errors import InvalidRange, NotFound


class PendingFile(io.BufferedIOBase):
    """A file of a transaction: closing it does not publish it yet, commit() does."""

    def __init__(self, writer: Any) -> None:
        super().__init__()
        self._writer = writer

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        count: int = self._writer.write(data)
        return count

    def tell(self) -> int:
        count: int = self._writer.tell()
        return count

    def commit(self) -> None:
        """Publish it."""
        self._writer.publish()

    def discard(self) -> None:
        """Leave nothing of it."""
        self._writer.give_up()


def named(file: Any, filesystem: Any, path: str) -> Any:
    """What fsspec's users look for on a file."""
    file.fs = filesystem
    file.path = filesystem._strip_protocol(path)  # noqa: SLF001 -- fsspec's own name for it
    file.full_name = filesystem.unstrip_protocol(file.path)
    return file


def existing(path: str, call: Callable[[], Any]) -> Any:
    """What a call answers; FileNotFoundError where the store says that there is nothing."""
    try:
        return call()
    except NotFound:
        raise FileNotFoundError(path) from None


def read_range(session: Any, key: str, version: str | None, bucket: str, first: int, last: int | None) -> bytes:
    """A part of an object; nothing behind its end."""
    try:
        result = session.get_object(key, version, range_start=first, range_end=last, bucket=bucket, stream=False)
    except InvalidRange:
        # Behind the end of an object, a file has nothing.
        return b""
    data: bytes = result.data
    return data


def cut(blocks: Mapping[tuple[str, int, int], Any], wanted: Iterable[tuple[str, int, int]]) -> list[Any]:
    """The parts that were asked for, out of the larger ones that were fetched."""
    by_path: dict[str, list[tuple[int, int, Any]]] = {}
    for path, first, last in sorted(blocks):
        by_path.setdefault(path, []).append((first, last, blocks[path, first, last]))
    return [_cut(by_path.get(path, []), start, end) for path, start, end in wanted]


def _cut(blocks: list[tuple[int, int, Any]], start: int, end: int) -> Any:
    for place in range(bisect_right(blocks, start, key=lambda block: block[0]) - 1, -1, -1):
        first, last, block = blocks[place]
        if end <= last:
            return block if isinstance(block, Exception) else block[start - first : end - first]
    return b""
