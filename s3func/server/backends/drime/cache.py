"""What Drime does not keep about an object: its MD5, metadata, content headers, documents and parts, in one SQLite file.

Rule 1: a row is about an entry of Drime, by its id, and holds for the body that the entry had then: its fingerprint is
        part of the row. Whether an object exists is never read from here, so that a cache of yesterday, or of another
        computer, knows too little or too much but nothing wrong.
Rule 2: rows of several services, accounts and workspaces lie in one file without meeting: ids are unique in a service.
Rule 3: several processes may have the file open. It is readable by its owner only.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any, NamedTuple

import orjson

from s3func.server.backend import ObjectAttributes, Part

SCHEMA_VERSION = 1

_TABLES = """
CREATE TABLE objects (
    service TEXT NOT NULL, entry INTEGER NOT NULL, workspace INTEGER NOT NULL, bucket TEXT NOT NULL, key TEXT NOT NULL,
    size INTEGER NOT NULL, fingerprint TEXT NOT NULL, md5 TEXT NOT NULL, etag TEXT NOT NULL, modified REAL NOT NULL,
    about BLOB NOT NULL, PRIMARY KEY (service, entry)) WITHOUT ROWID;
CREATE INDEX objects_by_bucket ON objects (workspace, bucket);
CREATE TABLE buckets (
    service TEXT NOT NULL, folder INTEGER NOT NULL, owner TEXT NOT NULL, region TEXT NOT NULL, created REAL NOT NULL,
    documents BLOB NOT NULL, PRIMARY KEY (service, folder)) WITHOUT ROWID;
CREATE TABLE uploads (
    serial INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, service TEXT NOT NULL, folder INTEGER NOT NULL,
    key TEXT NOT NULL, initiated REAL NOT NULL, about BLOB NOT NULL, digest TEXT, completed REAL, stored BLOB);
CREATE INDEX uploads_by_folder ON uploads (service, folder);
CREATE TABLE parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, modified REAL NOT NULL,
    about BLOB NOT NULL, file TEXT NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID;
"""
_COLUMNS = "entry, workspace, bucket, key, size, fingerprint, md5, etag, modified, about"
_MANY = 500


class Record(NamedTuple):
    """What is known about an entry. md5: of the whole body; etag: of the object; modified: epoch seconds."""

    entry: int
    workspace: int
    bucket: str
    key: str
    size: int
    fingerprint: str
    md5: str
    etag: str
    modified: float
    attributes: ObjectAttributes
    parts: tuple[Part, ...] = ()


class CacheStats(NamedTuple):
    """How many objects of a workspace are known, how large they are together, and from when to when they were stored."""

    workspace: int
    files: int
    size: int
    oldest: float
    newest: float


class BucketRecord(NamedTuple):
    """What is known about a bucket."""

    owner: str
    region: str
    created: float
    documents: Mapping[str, str]


class Database:
    """The file, with one connection for all threads."""

    def __init__(self, path: str) -> None:
        """Open or make it. ValueError for a file that is something else, OSError where it cannot be opened."""
        self.path = path
        self._lock = RLock()
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            with self.transaction() as db:
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version == 0:
                    for statement in filter(str.strip, _TABLES.split(";")):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            if version not in (0, SCHEMA_VERSION):
                raise ValueError(f"cache_path: {path} has version {version}, this server knows {SCHEMA_VERSION}")
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ValueError(f"cache_path: {path} is no cache of this kind: {error}") from None
        except BaseException:
            self._db.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything or nothing of what is done with the connection."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def query(self, text: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        with self._lock:
            return self._db.execute(text, values).fetchall()

    def vacuum(self) -> tuple[int, int]:
        """Give what is unused back to the disk; bytes of the file before and after."""
        with self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            before = os.path.getsize(self.path)
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return before, os.path.getsize(self.path)

    def close(self) -> None:
        """Close the file; twice is allowed."""
        with self._lock:
            self._db.close()


class Cache:
    """The rows about objects and buckets of one service; `service` is the URL of its API."""

    def __init__(self, database: Database, service: str) -> None:
        self.database = database
        self.service = service

    def get(self, entries: Sequence[int]) -> dict[int, Record]:
        """What is known about these entries."""
        found: dict[int, Record] = {}
        for start in range(0, len(entries), _MANY):
            ids = entries[start : start + _MANY]
            marks = ",".join("?" * len(ids))
            text = f"SELECT {_COLUMNS} FROM objects WHERE service=? AND entry IN ({marks})"  # noqa: S608 -- only marks
            for row in self.database.query(text, (self.service, *ids)):
                about = orjson.loads(row[9])
                parts = tuple(Part(**part) for part in about.pop("parts", ()))
                found[row[0]] = Record._make((*row[:9], ObjectAttributes(**about), parts))
        return found

    def put(self, record: Record) -> None:
        """Remember an entry."""
        about = {**_attributes(record.attributes), "parts": [_part(part) for part in record.parts]}
        row = (self.service, *record[:9], pack(about))
        with self.database.transaction() as db:
            db.execute("INSERT OR REPLACE INTO objects VALUES (?,?,?,?,?,?,?,?,?,?,?)", row)

    def drop(self, entries: Sequence[int]) -> None:
        """Forget entries."""
        with self.database.transaction() as db:
            db.executemany(
                "DELETE FROM objects WHERE service=? AND entry=?", [(self.service, entry) for entry in entries]
            )

    def get_bucket(self, folder: int) -> BucketRecord | None:
        """What is known about a bucket."""
        text = "SELECT owner, region, created, documents FROM buckets WHERE service=? AND folder=?"
        for owner, region, created, documents in self.database.query(text, (self.service, folder)):
            return BucketRecord(owner, region, created, orjson.loads(documents))
        return None

    def put_bucket(self, folder: int, record: BucketRecord) -> None:
        """Remember a bucket."""
        row = (self.service, folder, record.owner, record.region, record.created, pack(record.documents))
        with self.database.transaction() as db:
            db.execute("INSERT OR REPLACE INTO buckets VALUES (?,?,?,?,?,?)", row)

    def drop_bucket(self, folder: int) -> None:
        """Forget a bucket."""
        with self.database.transaction() as db:
            db.execute("DELETE FROM buckets WHERE service=? AND folder=?", (self.service, folder))


def pack(value: Any) -> bytes:
    """JSON, of mappings as well."""
    return orjson.dumps(value, default=dict)


def pack_attributes(attributes: ObjectAttributes) -> bytes:
    """JSON of what is set."""
    return pack(_attributes(attributes))


def unpack_attributes(packed: bytes) -> ObjectAttributes:
    """The opposite of `pack_attributes`."""
    return ObjectAttributes(**orjson.loads(packed))


def cache_stats(database: Database, workspace: int | None = None) -> list[CacheStats]:
    """What is known, by workspace."""
    rows = database.query(
        "SELECT workspace, COUNT(*), SUM(size), MIN(modified), MAX(modified) FROM objects "
        "WHERE ? IS NULL OR workspace=? GROUP BY workspace ORDER BY workspace",
        (workspace, workspace),
    )
    return [CacheStats(*row) for row in rows]


def cleanup(
    database: Database, *, workspace: int | None = None, bucket: str | None = None, dry_run: bool = False
) -> tuple[int, int]:
    """Forget the objects of a workspace, of a bucket, or all; how many they are, and how large together."""
    where = "WHERE (? IS NULL OR workspace=?) AND (? IS NULL OR bucket=?)"
    values = (workspace, workspace, bucket, bucket)
    with database.transaction() as db:
        files, size = db.execute(f"SELECT COUNT(*), TOTAL(size) FROM objects {where}", values).fetchone()  # noqa: S608
        if not dry_run:
            db.execute(f"DELETE FROM objects {where}", values)  # noqa: S608 -- a constant
    return files, int(size)


def _attributes(attributes: ObjectAttributes) -> dict[str, Any]:
    return {
        name: value
        for name in ("headers", "metadata", "checksums", "documents", "owner")
        if (value := getattr(attributes, name))
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "number": part.number,
        "size": part.size,
        "etag": part.etag,
        "last_modified": part.last_modified,
        "checksums": part.checksums,
        "documents": part.documents,
    }
