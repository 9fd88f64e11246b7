"""The directory of a local store: who may open it, bodies being written, bodies that stay.

    format        says that this is a store, and of which version; locked while a server has the store open
    unclean       is there while a server runs, and after one that was killed: the next one looks for orphans
    index.sqlite  see schema.py
    tmp/          bodies being written; whatever is here at the start belongs to nobody
    blobs/xx/     finished bodies, never written to again

File names are random and never derived from a key, a bucket or anything else that arrived from outside.
Directories are 0700 and files 0600, whatever the umask says.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Literal

Durability = Literal["disk", "os"]
"""When a change counts as done. "disk": it is on the disk and outlives a power failure. "os": the operating system has
it; it outlives the death of the server by any means, but a power failure may take the newest objects."""

FORMAT = b"s3func local store, format 2\n"

# Bytes are locked far behind the text, because a Windows lock also forbids to read what it covers.
_LOCKED_BYTE = 1 << 20


class StoreDirectory:
    """An opened store directory; nobody else has it open, in this process or another, until `close`."""

    def __init__(self, path: str | os.PathLike[str], durability: Durability) -> None:
        """Make or claim the directory. ValueError: it holds something else. BlockingIOError: a server has it open."""
        if durability not in ("disk", "os"):
            raise ValueError(f"durability: 'disk' or 'os', not {durability!r}")
        self.root = Path(path).absolute()
        self.durability: Durability = durability
        self._tmp = self.root / "tmp"
        self._blobs = self.root / "blobs"
        self._unclean = self.root / "unclean"
        self._leftovers = False
        self._lock = _claim(self.root)
        try:
            self.was_unclean = self._unclean.exists()
            os.close(os.open(self._unclean, os.O_WRONLY | os.O_CREAT, 0o600))
            self._tmp.mkdir(0o700, exist_ok=True)
            self._blobs.mkdir(0o700, exist_ok=True)
            self.index = self.root / "index.sqlite"
            # SQLite would make it as the umask wants, and gives the files beside it the same mode.
            os.close(os.open(self.index, os.O_WRONLY | os.O_CREAT, 0o600))
            for leftover in self._tmp.iterdir():
                leftover.unlink()
            self._sync_directory(self.root)
        except BaseException:
            os.close(self._lock)
            raise

    def create(self) -> BlobWriter:
        """Begin a body."""
        return BlobWriter(self, secrets.token_hex(16))

    def temporary_path(self, blob: str) -> str:
        """Where a body is while it is written. Paths that every body needs are text: pathlib would double the cost."""
        return f"{self._tmp}/{blob}"

    def path(self, blob: str) -> str:
        """Where a finished body is."""
        return f"{self._blobs}/{blob[:2]}/{blob}"

    def open(self, blob: str) -> int:
        """Open a finished body for reading and return the descriptor; FileNotFoundError."""
        return os.open(self.path(blob), os.O_RDONLY | _BINARY)

    def expect_orphans(self) -> None:
        """Make the next start look for blobs that nothing refers to."""
        self._leftovers = True

    def discard(self, blob: str) -> None:
        """Remove a body that the index no longer names; an open reader keeps what it has."""
        try:
            os.unlink(self.path(blob))
        except FileNotFoundError:
            pass
        except OSError:
            # Windows does not remove an open file: the next start collects it.
            self._leftovers = True

    def collect_orphans(self, referenced: Iterable[str]) -> None:
        """Remove every body that is not among the referenced ones, which come in ascending order."""
        shards = iter(groupby(referenced, key=lambda blob: blob[:2]))
        shard, wanted = next(shards, ("", iter(())))
        for directory in sorted(self._blobs.iterdir()):
            while shard and shard < directory.name:
                shard, wanted = next(shards, ("", iter(())))
            keep = set(wanted) if shard == directory.name else set()
            for file in directory.iterdir():
                if file.name not in keep:
                    file.unlink()

    def adopt(self, blob: str) -> None:
        """Move a written body to its place; for `BlobWriter`."""
        target = self.path(blob)
        try:
            os.rename(self.temporary_path(blob), target)
        except FileNotFoundError:
            self._blobs.joinpath(blob[:2]).mkdir(0o700, exist_ok=True)
            self._sync_directory(self._blobs)
            os.rename(self.temporary_path(blob), target)
        self._sync_directory(os.path.dirname(target))

    def close(self) -> None:
        """Let others open the store."""
        if self._lock >= 0:
            if not self._leftovers:
                self._unclean.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1

    def _sync_directory(self, directory: str | Path) -> None:
        # Windows has no such call and keeps names safe by itself.
        if self.durability == "disk" and sys.platform != "win32":
            descriptor = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


class BlobWriter:
    """A body being written to a temporary file."""

    __slots__ = ("_descriptor", "_directory", "name")

    def __init__(self, directory: StoreDirectory, name: str) -> None:
        self.name = name
        self._directory = directory
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
        self._descriptor = os.open(directory.temporary_path(name), flags, 0o600)

    def write(self, block: bytes | bytearray | memoryview) -> None:
        """Append a block."""
        rest = memoryview(block).cast("B")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def finish(self) -> str:
        """Make the body permanent and return the name of its blob."""
        if self._directory.durability == "disk":
            _sync_file(self._descriptor)
        self._close()
        self._directory.adopt(self.name)
        return self.name

    def abort(self) -> None:
        """Remove what was written, unless it was finished."""
        self._close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._directory.temporary_path(self.name))

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_BINARY = getattr(os, "O_BINARY", 0)


def _sync_file(descriptor: int) -> None:
    if sys.platform == "darwin":
        # There fsync leaves the data in the drive's cache.
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def _claim(root: Path) -> int:
    """Lock the directory's format file, write it into an empty directory; return the descriptor that holds the lock."""
    root.mkdir(0o700, parents=True, exist_ok=True)
    marker = root / "format"
    if not marker.exists() and any(root.iterdir()):
        raise ValueError(f"path: {str(root)!r} is not empty and not a store")
    descriptor = os.open(marker, os.O_RDWR | os.O_CREAT | _BINARY, 0o600)
    try:
        try:
            _lock_file(descriptor)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK):
                raise
            raise BlockingIOError(errno.EWOULDBLOCK, "another server has this store open", str(root)) from error
        found = os.read(descriptor, len(FORMAT) + 1)
        if not found and {"format"} == {entry.name for entry in root.iterdir()}:
            os.write(descriptor, FORMAT)
            os.fsync(descriptor)
        elif found != FORMAT:
            raise ValueError(f"path: {str(root)!r} is not a store that this version can open")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock_file(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        # flock belongs to the open file, so it also refuses a second store object of the same process.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
