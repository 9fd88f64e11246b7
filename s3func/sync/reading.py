"""A local file that is read for an upload: by its descriptor, from its beginning, and as one state of it.

Nothing here opens a path: LocalTree.open_source() has done that, without following a link.
"""

from __future__ import annotations

import io
import os

from s3func.sync.operation import Side


class OpenFile:
    """An open file as the path that the verbs of a session open once more: no link can come in between."""

    def __init__(self, descriptor: int, path: str) -> None:
        """path: for systems whose descriptors have no path of their own."""
        own = f"/proc/self/fd/{descriptor}"
        self._path = own if os.path.exists(own) else path

    def __fspath__(self) -> str:
        return self._path


class UnwatchedFile(io.FileIO):
    """An open file whose times are not to be believed: read from its beginning to its end, as it comes."""


def read_whole(descriptor: int, size: int) -> bytes:
    """The file from its beginning, and one byte more if it has grown."""
    if not hasattr(os, "pread"):
        return _read_from_start(descriptor, size + 1)
    content = os.pread(descriptor, size + 1, 0)
    while len(content) < size and (more := os.pread(descriptor, size + 1 - len(content), len(content))):
        content += more
    return content


def _read_from_start(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    content = b""
    while more := os.read(descriptor, size - len(content)):
        content += more
    return content


def is_same_state(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file has not been written to between two looks, as far as its times tell."""
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def side_of_status(found: os.stat_result) -> Side:
    """A file as a step of a plan describes it."""
    return Side(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev, found.st_mode)
