"""The objects of a local store that were read last, kept in memory as long as they are the current ones.

One server has the store, so it knows of every change. A key that a transaction touches is forgotten before it can be
committed, and while a transaction is open nothing is remembered: what a reader has found may already be the past.
"""

from __future__ import annotations

from threading import Lock

from s3func.server.backend import StoredObject
from s3func.server.backends.local.schema import Body

ENTRIES_MAX = 10_000
BYTES_MAX = 32 * 1024 * 1024
"""Of the bodies that are kept here as they are in the index."""

Found = tuple[StoredObject, Body]


class Recent:
    """Current objects by bucket and key. A 1 KiB GET takes 8 µs less of 50 than with a query of the index."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], Found] = {}
        self._bytes = 0
        # Guards what follows, and the filling of the above against the beginning of a transaction.
        self._mutex = Lock()
        self._is_open = False
        self._transactions = 0

    def get(self, bucket: str, key: str) -> Found | None:
        """What is known of a current object."""
        return self._objects.get((bucket, key))

    def moment(self) -> int:
        """To be asked before an object is looked for, and handed to `keep`."""
        return -1 if self._is_open else self._transactions

    def keep(self, moment: int, bucket: str, key: str, found: Found) -> None:
        """Remember an object, if nothing has changed since that moment."""
        size = len(found[1].data or b"")
        with self._mutex:
            if self._is_open or moment != self._transactions or (bucket, key) in self._objects:
                return
            self._objects[bucket, key] = found
            self._bytes += size
            while self._bytes > BYTES_MAX or len(self._objects) > ENTRIES_MAX:
                # The oldest one: what is asked for often comes back at once.
                self._remove(next(iter(self._objects)))

    def begin(self) -> None:
        """A transaction begins."""
        with self._mutex:
            self._is_open = True

    def end(self) -> None:
        """It has been committed or rolled back."""
        with self._mutex:
            self._is_open = False
            self._transactions += 1

    def forget(self, bucket: str, key: str) -> None:
        """The transaction may change this key."""
        with self._mutex:
            self._remove((bucket, key))

    def forget_all(self) -> None:
        """The transaction may change what is said of every object."""
        with self._mutex:
            self._objects.clear()
            self._bytes = 0

    def _remove(self, place: tuple[str, str]) -> None:
        found = self._objects.pop(place, None)
        if found is not None:
            self._bytes -= len(found[1].data or b"")
