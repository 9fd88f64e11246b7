"""The journal: what a server was asked, in order, for tests that want to know how often and how.

Rule: no entry holds a secret. Headers and bodies are not recorded, and of the query what proves who somebody is is left
out, so that a journal can be printed and sent around.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import count
from typing import Any, NamedTuple

LENGTH = 10_000
"""Entries that a journal keeps unless it is told otherwise."""

_SECRET = frozenset({"x-amz-signature", "x-amz-security-token", "signature", "authorization"})


class JournalEntry(NamedTuple):
    """One request and what became of it.

    sequence: from 1, in the order in which requests were done with. time: when it came, seconds since the epoch.
    seconds: how long it took to its answer's head. operation: AWS's name, "" for none that there is. query: decoded, of
    a repeated name the first value, without signatures and tokens. status: 0 where the connection broke off instead.
    code: of a refusal. bytes_in, bytes_out: lengths of the bodies as they were announced, None where nothing was said.
    fault: what was made to go wrong, in words, "" for nothing.
    """

    sequence: int
    time: float
    seconds: float
    operation: str
    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    status: int
    code: str
    bytes_in: int | None
    bytes_out: int | None
    fault: str
    request_id: str


class Journal:
    """The last requests of a server; safe from many threads at once. Iterating gives the entries, oldest first."""

    def __init__(self, length: int = LENGTH) -> None:
        """`length`: how many entries are kept; older ones make room."""
        if isinstance(length, bool) or not isinstance(length, int):
            raise TypeError(f"length must be a whole number, not {length!r}")
        if length < 1:
            raise ValueError(f"length: {length} is not 1 or more")
        self._entries: deque[JournalEntry] = deque(maxlen=length)
        self._sequence = count(1)
        self._lock = threading.Lock()

    def record(self, **about: Any) -> None:
        """Add an entry; the arguments are those of `JournalEntry` but its number, and the query may have everything in it."""
        query = about["query"]
        if query:
            about["query"] = {name: value for name, value in query.items() if name.lower() not in _SECRET}
        with self._lock:
            self._entries.append(JournalEntry(next(self._sequence), **about))

    def entries(self, operation: str = "*", *, bucket: str = "*", key: str = "*") -> list[JournalEntry]:
        """The entries that fit these patterns of `fnmatch`, oldest first; upper and lower case matter."""
        with self._lock:
            entries = list(self._entries)
        return [
            entry
            for entry in entries
            if fnmatchcase(entry.operation, operation)
            and fnmatchcase(entry.bucket, bucket)
            and fnmatchcase(entry.key, key)
        ]

    def operations(self, operation: str = "*", *, bucket: str = "*", key: str = "*") -> list[str]:
        """The names of the operations, in order: `["CreateBucket", "PutObject"]`."""
        return [entry.operation for entry in self.entries(operation, bucket=bucket, key=key)]

    def clear(self) -> None:
        """Forget all of it; the numbers go on."""
        with self._lock:
            self._entries.clear()

    def __iter__(self) -> Iterator[JournalEntry]:
        return iter(self.entries())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Journal of {len(self)} entries>"


def first_values(parameters: Sequence[tuple[str, str]]) -> dict[str, str]:
    """A decoded query as a mapping; of a repeated name the first value counts."""
    return dict(reversed(parameters))
