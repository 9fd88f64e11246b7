"""Files of this machine that bodies wait in until they are whole: one folder per server, and parts of uploads beside it.

A file that is to be uploaded lies in a folder of its own, because pydrime gives a body the name of its file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

BLOCK = 1024 * 1024
_OPEN: set[Path] = set()


class Spool:
    """The folder of one server, gone when it is closed. What a killed server left is removed by the next one."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._root.glob("spool-*-*"):
            process = left.name.split("-")[1]
            # In a container the next server may have the number of the one that was killed.
            if left not in _OPEN if process == str(os.getpid()) else not _is_running(process):
                shutil.rmtree(left, ignore_errors=True)
        self._folder = self._root / f"spool-{os.getpid()}-{secrets.token_hex(8)}"
        _OPEN.add(self._folder)
        self._folder.mkdir(mode=0o700)

    def new_file(self, name: str) -> Path:
        """A path for a file of this name, or ("") of no name in particular."""
        token = secrets.token_hex(16)
        if not name:
            return self._folder / token
        folder = self._folder / token
        folder.mkdir(mode=0o700)
        return folder / name

    def remove(self, path: Path) -> None:
        """Remove what `new_file` gave."""
        path.unlink(missing_ok=True)
        if path.parent != self._folder:
            with suppress(OSError):
                path.parent.rmdir()

    def keep(self, path: Path) -> str:
        """Keep a file of no name as a part, beyond the life of this server; its name from now on.

        It is not synchronised to the disk: whoever uses it compares its MD5.
        """
        name = f"part-{path.name}"
        path.replace(self._root / name)
        return name

    def part(self, name: str) -> Path:
        """Where a part is."""
        return self._root / name

    def drop(self, names: list[str]) -> None:
        """Remove parts."""
        for name in names:
            with suppress(FileNotFoundError):
                self.part(name).unlink()

    def old_parts(self, before: float) -> list[str]:
        """The names of the parts that were kept before a time, in seconds since the epoch."""
        return [path.name for path in self._root.glob("part-*") if path.stat().st_mtime < before]

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        _OPEN.discard(self._folder)


class SpooledBody:
    """A body being written to a file, with its MD5."""

    def __init__(self, spool: Spool, name: str) -> None:
        self.path = spool.new_file(name)
        self.size = 0
        self._spool = spool
        self._hash = hashlib.md5(usedforsecurity=False)
        self._file: BinaryIO = self.path.open("wb")

    @property
    def md5(self) -> bytes:
        """The digest of what was written so far."""
        return self._hash.digest()

    def write(self, block: bytes | bytearray | memoryview) -> None:
        """Append a block."""
        view = memoryview(block).cast("B") if len(block) else memoryview(b"")
        self._hash.update(view)
        self._file.write(view)
        self.size += view.nbytes

    def append(self, path: Path) -> str:
        """Append a file, block by block; its MD5."""
        digest = hashlib.md5(usedforsecurity=False)
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                self.write(block)
        return digest.hexdigest()

    def finish(self) -> None:
        """Nothing more will be written."""
        self._file.close()

    def discard(self) -> None:
        """Remove the file; twice is allowed."""
        self._file.close()
        self._spool.remove(self.path)


def _is_running(process: str) -> bool:
    if os.name == "nt":
        # There the question would be a signal; what was left stays.
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):
        return True
    return True
