"""Which files of this machine the demonstration works on: chosen by `stat` alone, read only, bounded.

Symbolic links, special files, files that this user may not read and names that are not Unicode are left out.
"""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

LARGE = 4 * 1024 * 1024
"""Bytes from which a file is streamed on its own; smaller ones are sent many at a time."""

FILES_MAX = 2000
"""Small files, and again large ones, that are taken at the most."""

SCANNED_MAX = 100_000
"""Files that are looked at below a directory: nobody waits for a scan of a whole disk."""


class File(NamedTuple):
    """One file, the key that it gets, and its size in bytes."""

    key: str
    path: Path
    size: int


class Material(NamedTuple):
    """The chosen files, in the order of their keys. left_out: how many more there were."""

    source: str
    small: list[File]
    large: list[File]
    left_out: int

    @property
    def files(self) -> list[File]:
        """All of them, in the order of their keys."""
        return sorted(self.small + self.large, key=_order)


def from_directory(root: Path, size_limit: int) -> Material:
    """Take what lies below a directory, small files in the order of their keys, large ones by size, up to the limit."""
    found = islice(_below(root, root.resolve().name or "root"), SCANNED_MAX)
    return _bounded(str(root), sorted(found, key=_order), size_limit)


def from_python(size_limit: int) -> Material:
    """Take the standard library's sources, then the largest programs and libraries that stand beside Python."""
    library = Path(sysconfig.get_path("stdlib"))
    sources = [
        file
        for file in _below(library, library.name, without=("__pycache__", "site-packages", "dist-packages"))
        if file.path.suffix == ".py" and file.size < LARGE
    ]
    folders = {Path(sys.base_prefix, name) for name in ("bin", "lib", "DLLs")}
    folders.add(Path(sysconfig.get_config_var("LIBDIR") or sys.base_prefix))
    # Two folders may give two files the same key: the larger file keeps it.
    inside = sorted((file for folder in folders for file in _inside(folder)), key=_size)
    binaries = {file.key: file for file in inside if file.size >= LARGE}
    return _bounded(sys.base_prefix, [*sources, *binaries.values()], size_limit)


def _bounded(source: str, candidates: list[File], size_limit: int) -> Material:
    small = [file for file in candidates if file.size < LARGE]
    large = sorted((file for file in candidates if file.size >= LARGE), key=_size, reverse=True)
    # Half of the room is kept for the large files, where there are any.
    small = _fitting(small, size_limit // 2 if large else size_limit)
    large = _fitting(large, size_limit - sum(file.size for file in small))
    left_out = len(candidates) - len(small) - len(large)
    return Material(source, sorted(small, key=_order), sorted(large, key=_order), left_out)


def _fitting(files: list[File], room: int) -> list[File]:
    chosen = []
    for file in files[:FILES_MAX]:
        if file.size <= room:
            chosen.append(file)
            room -= file.size
    return chosen


def _below(root: Path, prefix: str, without: Collection[str] = ()) -> Iterator[File]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in without]
        inside = Path(folder).relative_to(root).as_posix()
        yield from _files(Path(folder), names, prefix if inside == "." else f"{prefix}/{inside}")


def _inside(folder: Path) -> Iterator[File]:
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    return _files(folder, names, folder.name)


def _files(folder: Path, names: Iterable[str], prefix: str) -> Iterator[File]:
    for name in names:
        path = folder / name
        try:
            status = path.lstat()
            key = f"{prefix}/{name}".encode().decode()
        except (OSError, UnicodeEncodeError):
            continue
        if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK) and len(key.encode()) <= 900:
            yield File(key, path, status.st_size)


def _order(file: File) -> bytes:
    return file.key.encode()


def _size(file: File) -> tuple[int, str]:
    return file.size, file.key
