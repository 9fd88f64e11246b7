"""The SQLite database of a local store: its connections, and the serial numbers that are given once.

Every change is a function that runs inside a transaction on the one writing connection, see transactions.py. Readers
have connections of their own, never wait for a writer, and see whole transactions only.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from s3func.server.backends.local.directory import Durability
from s3func.server.backends.local.recent import Recent
from s3func.server.backends.local.schema import create_tables
from s3func.server.backends.local.transactions import Transactions

T = TypeVar("T")

_SERIALS_OF_A_GENERATION = 1 << 40


class Database:
    """An open database. Changes return only when they are as durable as the store promises."""

    def __init__(self, path: Path, durability: Durability) -> None:
        """Open it, or make its tables. ValueError: it is of another version.

        `writer` is the connection that changes run on, to be read before anybody else uses the database and in the
        `after` of a change. A change tells `recent` what it may change.
        """
        self._path = path
        self._synchronous = "FULL" if durability == "disk" else "NORMAL"
        self._closed = False
        self._readers: deque[sqlite3.Connection] = deque()
        self.writer = writer = self._connect()
        self.recent = Recent()
        self._transactions = Transactions(writer, self.recent)
        try:
            if writer.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                raise OSError(f"path: SQLite cannot use a write-ahead log in {str(path.parent)!r}")
            create_tables(writer)
            generation = self._transactions.run(_next_generation)
        except BaseException:
            writer.close()
            raise
        # Each opening counts from a place of its own: no number is given twice, and none has to be written down.
        self._serials = itertools.count(generation * _SERIALS_OF_A_GENERATION)

    def next_serial(self) -> int:
        """A number greater than every one before; inside a change, in the order of the changes."""
        return next(self._serials)

    def run(self, change: Callable[[sqlite3.Connection], T], after: Callable[[], None] | None = None) -> T:
        """Run the change in a transaction; `after` runs when it is committed, before others do."""
        return self._transactions.run(change, after)

    def together(self, works: Sequence[Callable[[], T]]) -> list[T]:
        """Do the works, with their changes in one transaction, see Transactions."""
        return self._transactions.together(works)

    def afterwards(self, then: Callable[[], None]) -> None:
        """Do it when what this thread has changed is committed."""
        self._transactions.afterwards(then)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading; each statement sees one moment."""
        try:
            connection = self._readers.pop()
        except IndexError:
            self.check_open()
            connection = self._connect()
        try:
            yield connection
        finally:
            self._readers.append(connection)
            if self._closed:
                self.close()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading, all statements of which see the same moment."""
        with self.reading() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("COMMIT")

    def blobs(self) -> Iterator[str]:
        """The name of every file that is in use, in order; read before anybody else uses the database."""
        rows = self.writer.execute(
            "SELECT blob FROM bodies WHERE blob IS NOT NULL UNION ALL SELECT blob FROM parts ORDER BY 1"
        )
        for (blob,) in rows:
            yield blob

    def check_open(self) -> None:
        """ValueError once the store is closed."""
        if self._closed:
            raise ValueError("the store is closed")

    def close(self) -> None:
        """Close every connection; those in use are closed when they are given back."""
        self._closed = True
        self._transactions.close()
        while self._readers:
            self._readers.popleft().close()

    def _connect(self) -> sqlite3.Connection:
        # Connections move between threads, but are used by one at a time.
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        # macOS: make the fsync of the log reach the disk. No effect elsewhere.
        connection.execute("PRAGMA fullfsync = 1")
        return connection


def _next_generation(db: sqlite3.Connection) -> int:
    db.execute("UPDATE store SET generation = generation + 1")
    generation: int = db.execute("SELECT generation FROM store").fetchone()[0]
    return generation
