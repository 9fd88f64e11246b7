"""Journal: which steps of a plan are done, so that applying it again goes on where it ended.

A line per step, its digest with all that it stands on: a step that looks different is another one. A line that was not
finished is no line. What is lost of a journal is done again, which changes nothing.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3func.sync.operation import Operation

_HEAD = "s3func journal 1"
_DIGEST_BYTES = 12
_FLUSH_EVERY = 64


class Journal:
    """The journal of one plan; used by one thread."""

    def __init__(self, path: str | os.PathLike[str], source_url: str, target_url: str) -> None:
        """Read what is there, and go on behind it. ValueError for a file that is no journal, or that of other sides."""
        self._path = os.fspath(path)
        pair = _digest(f"{source_url}\n{target_url}").hex()
        head = f"{_HEAD} {pair}\n".encode()
        self._known: set[bytes] = set()
        self._unwritten: list[bytes] = []
        length = 0
        try:
            with open(self._path, "rb") as file:
                first = file.readline()
                if first and first != head:
                    raise ValueError(f"journal is a file that is no journal of these two sides: {self._path!r}")
                length = len(first)
                for line in file:
                    if len(line) != 2 * _DIGEST_BYTES + 1:
                        break
                    try:
                        self._known.add(bytes.fromhex(line.decode()))
                    except ValueError:
                        break
                    length += len(line)
        except FileNotFoundError:
            pass
        self._file = open(self._path, "r+b" if length else "wb")  # noqa: SIM115 -- closed by close()
        self._file.truncate(length)
        self._file.seek(length)
        if not length:
            self._file.write(head)
            self._file.flush()

    def knows(self, operation: Operation) -> bool:
        """Whether this step is done."""
        return bool(self._known) and _digest(repr(tuple(operation))) in self._known

    def note(self, operation: Operation) -> None:
        """This step is done."""
        self._unwritten.append(_digest(repr(tuple(operation))).hex().encode())
        if len(self._unwritten) >= _FLUSH_EVERY:
            self._write()

    def _write(self) -> None:
        if self._unwritten:
            self._file.write(b"\n".join(self._unwritten) + b"\n")
            self._file.flush()
            self._unwritten.clear()

    def close(self) -> None:
        """Write what is noted, and let go of the file."""
        if not self._file.closed:
            self._write()
            self._file.close()

    def remove(self) -> None:
        """The plan is carried out: nothing is left to go on with."""
        self.close()
        try:
            os.unlink(self._path)
        except OSError:
            pass


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_DIGEST_BYTES).digest()
