"""Reaching what is below a folder without ever leaving it: part by part, each from the descriptor of the one before.

A check of a path and a use of it afterwards are two looks, and a symbolic link may appear between them. So nothing here
is checked by path: each folder is opened by its name in the one above, without following links, and what is done to a
file is done to its name in the folder that was opened. A link to a folder is followed where it leads to a place below the
root, which is then reached from the root in the same way. Where the system has no such calls (Windows), the real path of
the folder is compared, just before.
"""

from __future__ import annotations

import errno
import os
import stat
from types import TracebackType
from typing import Self

from s3func.errors import UnsafeKey
from s3func.sync.names import printable

_HAS_DESCRIPTORS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
# On Windows a part with a colon may name a drive, and then what stands before it does not count.
_FORBIDDEN = frozenset("\0:\\" if os.name == "nt" else "\0")
# As many links on a way as Linux follows.
_LINKS_MAX = 40


class Reached:
    """A folder that was reached; a context manager that lets go of it.

    For the calls of `os`: `os.stat(folder.at(name), dir_fd=folder.descriptor)`.
    """

    __slots__ = ("_path", "descriptor")

    def __init__(self, path: str, descriptor: int | None) -> None:
        """path: only of importance where there is no descriptor."""
        self._path = path
        self.descriptor = descriptor

    def at(self, name: str) -> str:
        """What the calls of `os` have to be given for a name in this folder."""
        return name if self.descriptor is not None else os.path.join(self._path, name)

    def close(self) -> None:
        """Let go of it. Closing twice is allowed."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def split(path: str) -> tuple[list[str], str]:
    """The folders of a relative path and its last part; UnsafeKey for what is not below a folder."""
    parts = path.split("/")
    for part in parts:
        if part in {"", ".", ".."} or not _FORBIDDEN.isdisjoint(part):
            raise UnsafeKey(f"{printable(path)!r} is no path below a folder")
    return parts[:-1], parts[-1]


def reach(root: str, folders: list[str], *, create: bool = False, leave: bool = False) -> Reached:
    """The folder below the root; a context manager.

    create: make what is missing, the root as well. leave: follow links out of the root. UnsafeKey where a link leads
    out, FileNotFoundError, NotADirectoryError and other OSErrors as they come.
    """
    if create and not os.path.isdir(root):
        os.makedirs(root, exist_ok=True)
    if not _HAS_DESCRIPTORS:
        return _reach_by_path(root, folders, create=create, leave=leave)
    descriptor = os.open(root, _FOLDER)
    links = 0
    # What is still to be done, the next one last; `done` is where we are.
    ahead = folders[::-1]
    done: list[str] = []
    try:
        while ahead:
            part = ahead.pop()
            try:
                inner = _open_inner(part, descriptor, create=create, leave=leave)
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENOTDIR} or not _is_link(part, descriptor):
                    raise
                links += 1
                if links > _LINKS_MAX:
                    raise
                ahead += _inside(root, [*done, part])[::-1]
                done = []
                inner = os.open(root, _FOLDER)
            else:
                done.append(part)
            os.close(descriptor)
            descriptor = inner
    except BaseException:
        os.close(descriptor)
        raise
    return Reached("", descriptor)


def _open_inner(part: str, descriptor: int, *, create: bool, leave: bool) -> int:
    flags = _FOLDER if leave else _FOLDER | _NO_FOLLOW
    try:
        return os.open(part, flags, dir_fd=descriptor)
    except FileNotFoundError:
        if not create:
            raise
    try:
        os.mkdir(part, dir_fd=descriptor)
    except FileExistsError:
        # Somebody else was faster.
        pass
    return os.open(part, flags, dir_fd=descriptor)


def _is_link(part: str, descriptor: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(part, dir_fd=descriptor, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _inside(root: str, parts: list[str]) -> list[str]:
    """Where a link leads, as parts below the root."""
    top = os.path.realpath(root)
    # It may change at once; what it was at this moment is walked again without following anything.
    real = os.path.realpath(os.path.join(top, *parts))
    if real == top:
        return []
    if not real.startswith(os.path.join(top, "")):
        raise UnsafeKey(f"{printable('/'.join(parts))!r} leads out of the folder, by a symbolic link")
    return os.path.relpath(real, top).split(os.sep)


def _reach_by_path(root: str, folders: list[str], *, create: bool, leave: bool) -> Reached:
    path = root
    for place, part in enumerate(folders):
        path = os.path.join(path, part)
        if not leave:
            _inside(root, folders[: place + 1])
        if create and not os.path.isdir(path):
            try:
                os.mkdir(path)
            except FileExistsError:
                pass
    if not stat.S_ISDIR(os.stat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return Reached(path, None)
