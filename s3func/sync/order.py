"""The order of names: that of their UTF-8 bytes, in which stores list; checked, and made where a store does not keep it.

Both scans of a sync are merged as they come, so a name that comes too late would be taken for one that is missing on its
side. That is never let pass: it ends the scan, or everything is sorted first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from operator import lt

from s3func.sync.entry import RemoteEntry

_ROWS = 5000


def is_ordered(names: list[str], last: str | None) -> bool:
    """Whether each name comes behind the one before it, the first behind `last`; equal ones do not."""
    if not names:
        return True
    # Strings compare by code points, and UTF-8 keeps their order.
    return (last is None or last < names[0]) and all(map(lt, names, names[1:]))


def in_order(pages: Iterable[list[RemoteEntry]]) -> Iterator[list[RemoteEntry]]:
    """The same entries in order, each name once: the last one that was listed. Takes all of them before the first.

    They are kept in a temporary file of SQLite, about 150 bytes each, which nobody else can see.
    """
    connection = sqlite3.connect("")
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        # BLOBs are compared byte by byte.
        connection.execute(
            "CREATE TABLE entry (name BLOB PRIMARY KEY, size INTEGER, etag TEXT, modified REAL, version TEXT) WITHOUT ROWID"
        )
        prefix = ""
        with connection:
            for page in pages:
                if page:
                    prefix = page[0].key.removesuffix(page[0].name)
                connection.executemany(
                    "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?)",
                    [(row.name.encode(), row.size, row.etag, row.modified, row.version_id) for row in page],
                )
        cursor = connection.execute("SELECT name, size, etag, modified, version FROM entry ORDER BY name")
        while rows := cursor.fetchmany(_ROWS):
            yield [
                RemoteEntry(text := name.decode(), prefix + text, size, etag, modified, version)
                for name, size, etag, modified, version in rows
            ]
    finally:
        connection.close()
