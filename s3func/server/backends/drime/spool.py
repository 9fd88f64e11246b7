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


class Spool:
    """The folder of one server, gone when it is closed. What a killed server left is removed by the next one."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._root.glob("spool-*-*"):
            if not _is_running(left.name.split("-")[1]):
                shutil.rmtree(left, ignore_errors=True)
        self._folder = self._root / f"spool-{os.getpid()}-{secrets.token_hex(8)}"
        self._folder.mkdir(mode=0o700)

    def new_file(self, name: str) -> Path:
        """A path for a file of this name."""
        folder = self._folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        return folder / name

    def remove(self, path: Path) -> None:
        """Remove what `new_file` gave."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def keep(self, path: Path) -> str:
        """Keep a file as a part, beyond the life of this server; its name from now on."""
        name = f"part-{secrets.token_hex(16)}"
        with path.open("rb") as file:
            os.fsync(file.fileno())
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

    def append(self, path: Path) -> None:
        """Append a file, block by block."""
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                self.write(block)

    def finish(self) -> None:
        """Nothing more will be written."""
        self._file.close()

    def discard(self) -> None:
        """Remove the file; twice is allowed."""
        self._file.close()
        self._spool.remove(self.path)


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):
        return True
    return True
