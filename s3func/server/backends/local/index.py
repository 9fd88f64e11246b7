"""The index of a local store: buckets, objects and where their bodies are, in one SQLite database.

Every change is a function that runs inside a transaction on the one writing connection, see transactions.py. Readers
have connections of their own, never wait for a writer, and see whole transactions only.

Keys are BLOBs in UTF-8: SQLite compares those with memcmp, which is S3's order. A body is a row of its own, with a
count of the objects that share it: small ones are in the row, the others in a blob file that the row names.
"""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from s3func.clock import Clock
from s3func.errors import BucketNotEmpty, NoSuchBucket, NoSuchKey, ServiceError, service_error
from s3func.server.backend import (
    BucketInfo,
    Deleted,
    Deletion,
    Guard,
    ListSlice,
    ObjectAttributes,
    StoredObject,
    check_key,
    run_guard,
)
from s3func.server.backends.listing import list_slice
from s3func.server.backends.local.directory import Durability
from s3func.server.backends.local.transactions import Transactions

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE buckets (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created REAL NOT NULL, owner TEXT NOT NULL, region TEXT NOT NULL
);
CREATE TABLE objects (
    bucket INTEGER NOT NULL, key BLOB NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, last_modified REAL NOT NULL,
    attributes BLOB NOT NULL, body INTEGER NOT NULL, PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE TABLE bodies (id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, blob TEXT, data BLOB);
CREATE UNIQUE INDEX bodies_blob ON bodies (blob) WHERE blob IS NOT NULL;
PRAGMA user_version = 1;
"""

_LIST_BUCKETS = "SELECT name, created, owner, region FROM buckets ORDER BY name"

_HEAD = """
SELECT key, size, etag, last_modified, attributes FROM objects
WHERE bucket = (SELECT id FROM buckets WHERE name = ?) AND key = ?
"""

_OPEN = """
SELECT key, size, etag, last_modified, attributes, id, blob, data FROM objects JOIN bodies ON id = body
WHERE bucket = (SELECT id FROM buckets WHERE name = ?) AND key = ?
"""

_LIST = """
SELECT key, size, etag, last_modified, attributes FROM objects
WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key
"""

# One row whenever the bucket exists: what is there now, and the body that a change would let go of.
_CURRENT = """
SELECT buckets.id, key, size, etag, last_modified, attributes, bodies.id, refs, blob FROM buckets
LEFT JOIN objects ON bucket = buckets.id AND key = ? LEFT JOIN bodies ON bodies.id = body WHERE name = ?
"""


class Body(NamedTuple):
    """Where a body is: `data` in the index or `blob`, the name of a file. `id` is None until the index has it."""

    id: int | None
    blob: str | None
    data: bytes | None


class NewObject(NamedTuple):
    """What a draft knows about the object that it is going to be."""

    size: int
    etag: str
    attributes: ObjectAttributes
    body: Body


class BodyGone(Exception):
    """The body that was to be shared has been deleted meanwhile."""


class Index:
    """The database. Methods that change it return only after the change is as durable as the store promises."""

    def __init__(self, path: Path, durability: Durability, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._synchronous = "FULL" if durability == "disk" else "NORMAL"
        self._closed = False
        self._readers: deque[sqlite3.Connection] = deque()
        writer = self._connect()
        self._transactions = Transactions(writer)
        try:
            if writer.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                raise OSError(f"path: SQLite cannot use a write-ahead log in {str(path.parent)!r}")
            _create_schema(writer)
            newest = writer.execute("SELECT max(id) FROM bodies").fetchone()[0]
            self._load_buckets()
        except BaseException:
            writer.close()
            raise
        # Never given twice while the store is open, so that a copy in progress cannot mistake a new body for its own.
        self._body_ids = itertools.count((newest or 0) + 1)

    def create_bucket(self, bucket: str, owner: str, region: str) -> BucketInfo:
        """Add a bucket."""
        info = BucketInfo(bucket, round(self._clock.now(), 3), owner, region)

        def change(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT owner FROM buckets WHERE name = ?", (bucket,)).fetchone()
            if row is not None:
                code = "BucketAlreadyOwnedByYou" if row[0] == owner else "BucketAlreadyExists"
                raise service_error(code, "The bucket exists already.", bucket=bucket)
            db.execute("INSERT INTO buckets VALUES (NULL, ?, ?, ?, ?)", (bucket, info.created, owner, region))

        self._transactions.run(change, self._load_buckets)
        return info

    def delete_bucket(self, bucket: str) -> None:
        """Remove an empty bucket."""

        def change(db: sqlite3.Connection) -> None:
            bucket_id = _bucket_id(db, bucket)
            if db.execute("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", (bucket_id,)).fetchone():
                raise BucketNotEmpty("The bucket you tried to delete is not empty.", bucket=bucket)
            db.execute("DELETE FROM buckets WHERE id = ?", (bucket_id,))

        self._transactions.run(change, self._load_buckets)

    def get_bucket(self, bucket: str) -> BucketInfo:
        """One bucket's record."""
        self._check_open()
        info = self._buckets.get(bucket)
        if info is None:
            raise _no_such_bucket(bucket)
        return info

    def list_buckets(self) -> list[BucketInfo]:
        """All buckets, by name."""
        self._check_open()
        return list(self._buckets.values())

    def head(self, bucket: str, key: str) -> StoredObject:
        """The record of an object."""
        return _stored(*self._one(_HEAD, bucket, key))

    def find(self, bucket: str, key: str) -> tuple[StoredObject, Body]:
        """An object and its body."""
        row = self._one(_OPEN, bucket, key)
        return _stored(*row[:5]), Body(*row[5:])

    def publish(self, bucket: str, key: str, new: NewObject, guard: Guard | None) -> tuple[StoredObject, str | None]:
        """Make the new object the key's current one; also return the blob that nothing refers to any more.

        Raises BodyGone when the body was to be shared and is no longer there.
        """
        encoded = check_key(key)
        attributes = _pack(new.attributes)

        def change(db: sqlite3.Connection) -> tuple[StoredObject, str | None]:
            row = _current(db, bucket, encoded)
            if guard is not None:
                run_guard(guard, _current_object(row), bucket, key)
            if new.body.id is not None and new.body.id == row[6]:
                # A copy onto itself: as many objects refer to the body as before.
                body_id, unused = new.body.id, None
            else:
                body_id = self._keep_body(db, new.body)
                unused = _release(db, *row[6:])
            last_modified = round(self._clock.now(), 3)
            db.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
                (row[0], encoded, new.size, new.etag, last_modified, attributes, body_id),
            )
            return _stored(encoded, new.size, new.etag, last_modified, attributes), unused

        return self._transactions.run(change)

    def delete(self, bucket: str, deletions: Sequence[Deletion]) -> tuple[list[Deleted | ServiceError], list[str]]:
        """Delete what the guards allow; also return the blobs that nothing refers to any more."""

        def delete_one(db: sqlite3.Connection, deletion: Deletion) -> str | None:
            encoded = check_key(deletion.key)
            row = _current(db, bucket, encoded)
            if deletion.version_id not in (None, "null"):
                row = (row[0], *[None] * 8)
            run_guard(deletion.guard, _current_object(row), bucket, deletion.key)
            if row[1] is None:
                return None
            db.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (row[0], encoded))
            return _release(db, *row[6:])

        def change(db: sqlite3.Connection) -> tuple[list[Deleted | ServiceError], list[str]]:
            _bucket_id(db, bucket)
            results: list[Deleted | ServiceError] = []
            unused = []
            for deletion in deletions:
                try:
                    blob = delete_one(db, deletion)
                except ServiceError as error:
                    results.append(error)
                else:
                    results.append(Deleted(deletion.key, deletion.version_id))
                    if blob is not None:
                        unused.append(blob)
            return results, unused

        return self._transactions.run(change)

    def list_objects(self, bucket: str, prefix: str, delimiter: str, start_after: str, limit: int) -> ListSlice:
        """One page."""
        with self._reading() as db:
            # All seeks of a page see the same objects.
            db.execute("BEGIN")
            try:
                bucket_id = _bucket_id(db, bucket)

                def seek(low: bytes, high: bytes) -> Iterator[StoredObject]:
                    return itertools.starmap(_stored, db.execute(_LIST, (bucket_id, low, high)))

                return list_slice(seek, prefix, delimiter, start_after, limit)
            finally:
                db.execute("COMMIT")

    def blobs(self) -> Iterator[str]:
        """The name of every blob that is in use, in order; read before anybody else uses the index."""
        for (blob,) in self._transactions.connection.execute(
            "SELECT blob FROM bodies WHERE blob IS NOT NULL ORDER BY blob"
        ):
            yield blob

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

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the store is closed")

    def _load_buckets(self) -> None:
        # A copy of the whole table for those who only read: replaced before a change of it returns, never changed.
        rows = self._transactions.connection.execute(_LIST_BUCKETS)
        self._buckets = {row[0]: BucketInfo(*row) for row in rows}

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._readers.pop()
        except IndexError:
            self._check_open()
            connection = self._connect()
        try:
            yield connection
        finally:
            self._readers.append(connection)
            if self._closed:
                self.close()

    def _one(self, query: str, bucket: str, key: str) -> Any:
        with self._reading() as db:
            row = db.execute(query, (bucket, check_key(key))).fetchone()
            if row is None:
                _bucket_id(db, bucket)
                raise NoSuchKey("The specified key does not exist.", bucket=bucket, key=key)
            return row

    def _keep_body(self, db: sqlite3.Connection, body: Body) -> int:
        if body.id is None:
            body_id = next(self._body_ids)
            db.execute("INSERT INTO bodies VALUES (?, 1, ?, ?)", (body_id, body.blob, body.data))
            return body_id
        if db.execute("UPDATE bodies SET refs = refs + 1 WHERE id = ?", (body.id,)).rowcount == 0:
            raise BodyGone
        return body.id


def _create_schema(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
    elif version != SCHEMA_VERSION:
        raise ValueError(f"path: the index has version {version}, this server knows {SCHEMA_VERSION}")


def _bucket_id(db: sqlite3.Connection, bucket: str) -> int:
    row = db.execute("SELECT id FROM buckets WHERE name = ?", (bucket,)).fetchone()
    if row is None:
        raise _no_such_bucket(bucket)
    return cast("int", row[0])


def _no_such_bucket(bucket: str) -> NoSuchBucket:
    return NoSuchBucket("The specified bucket does not exist.", bucket=bucket)


def _current(db: sqlite3.Connection, bucket: str, key: bytes) -> tuple[Any, ...]:
    row = db.execute(_CURRENT, (key, bucket)).fetchone()
    if row is None:
        raise _no_such_bucket(bucket)
    return cast("tuple[Any, ...]", row)


def _current_object(row: tuple[Any, ...]) -> StoredObject | None:
    return None if row[1] is None else _stored(*row[1:6])


def _release(db: sqlite3.Connection, body_id: int | None, refs: int, blob: str | None) -> str | None:
    """One object fewer refers to the body; return its blob if that was the last one."""
    if body_id is None:
        return None
    if refs > 1:
        db.execute("UPDATE bodies SET refs = refs - 1 WHERE id = ?", (body_id,))
        return None
    db.execute("DELETE FROM bodies WHERE id = ?", (body_id,))
    return blob


def _pack(attributes: ObjectAttributes) -> bytes:
    """Only what is set, so that what a plain object costs is two bytes."""
    fields = {name: value for name in _ATTRIBUTES if (value := getattr(attributes, name))}
    return orjson.dumps(fields, default=dict)


def _stored(key: bytes, size: int, etag: str, last_modified: float, attributes: bytes) -> StoredObject:
    return StoredObject(key=key.decode(), size=size, etag=etag, last_modified=last_modified, **orjson.loads(attributes))


_ATTRIBUTES = tuple(field.name for field in dataclasses.fields(ObjectAttributes))
