"""The local side of a checkpoint: which files a folder has, and what they contain."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from s3func.checkpoints.manifest import check_name
from s3func.errors import SourceChanged

_BLOCK = 1024 * 1024


class FileState(NamedTuple):
    """What tells that a file was written to: compared before and after it is read."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """As the disk says now; ValueError for what is not a regular file (a pipe would block)."""
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is not a regular file")
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


def files_below(folder: Path) -> list[tuple[str, Path]]:
    """Name and path of every file, sorted by name. Links to files count as files.

    NotADirectoryError, and ValueError for a linked folder (it would have to be followed or forgotten), for names that
    no key can hold and for a folder without any file, which is more often a mistake than a checkpoint.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    found: list[tuple[str, Path]] = []

    def fail(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=fail):
        for name in folders:
            if os.path.islink(os.path.join(place, name)):
                raise ValueError(f"{os.path.join(place, name)} is a link to a folder; checkpoints hold files")
        for name in names:
            path = Path(place, name)
            found.append((check_name(path.relative_to(folder).as_posix()), path))
    if not found:
        raise ValueError(f"{folder} has no files: nothing to save")
    return sorted(found)


def digest_of(path: Path, state: FileState) -> str:
    """SHA-256 of a file that was in this state before and still is; SourceChanged otherwise."""
    digest = sha256()
    buffer = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    check_unchanged(path, state)
    return digest.hexdigest()


def check_unchanged(path: Path, state: FileState) -> None:
    """SourceChanged when the file is not in this state any more."""
    try:
        now = FileState.of(path)
    except OSError as error:
        raise SourceChanged(f"{path} is gone while its checkpoint was saved") from error
    if now != state:
        raise SourceChanged(f"{path} was written to while its checkpoint was saved")


def has_content(path: Path, size: int, digest: str) -> bool:
    """Whether there is a file of this size and SHA-256."""
    try:
        state = FileState.of(path)
        return state.size == size and digest_of(path, state) == digest
    except (OSError, ValueError, SourceChanged):
        return False


def fsync_tree(folder: Path) -> None:
    """Have everything below a folder outlast a power failure, the names included."""
    # Windows opens no folders, and keeps names without being asked.
    own = (".",) if os.name == "posix" else ()
    for place, _, names in os.walk(folder, topdown=False):
        for name in (*names, *own):
            descriptor = os.open(os.path.join(place, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
