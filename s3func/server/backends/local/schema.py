"""The tables of a local store, and how records become rows.

`objects` holds what is there now, and nothing else, so that listing it knows nothing of the past; `older` holds the
rest, overwritten versions and delete markers (no body). Both are in the order of S3: keys are BLOBs in UTF-8, which
SQLite compares with memcmp, and within a key the newest serial number comes first. "null" versions have no `version`.

A body is a row with a count of the versions that share it: small ones are in the row, others in the file that `blob`
names, and those of an upload are in the files of their `parts`, whose `body` is the upload's serial number before and
after it is completed. Serial numbers are given once, to bodies, versions, uploads and parts alike. `notes` are the
server's own.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from s3func.server.backend import BucketInfo, ObjectAttributes, Part, StoredObject

SCHEMA_VERSION = 3
_FORMER_VERSION = 2

_TABLES = """
CREATE TABLE store (generation INTEGER NOT NULL);
INSERT INTO store VALUES (0);
CREATE TABLE buckets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, created REAL NOT NULL, owner TEXT NOT NULL,
    region TEXT NOT NULL, versioning TEXT NOT NULL, documents BLOB NOT NULL
);
CREATE TABLE objects (
    bucket INTEGER NOT NULL, key BLOB NOT NULL, serial INTEGER NOT NULL, version TEXT, size INTEGER NOT NULL,
    etag TEXT NOT NULL, last_modified REAL NOT NULL, attributes BLOB NOT NULL, body INTEGER NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE TABLE older (
    bucket INTEGER NOT NULL, key BLOB NOT NULL, serial INTEGER NOT NULL, version TEXT, size INTEGER NOT NULL,
    etag TEXT NOT NULL, last_modified REAL NOT NULL, attributes BLOB NOT NULL, body INTEGER,
    PRIMARY KEY (bucket, key, serial DESC)
) WITHOUT ROWID;
CREATE UNIQUE INDEX older_null ON older (bucket, key) WHERE version IS NULL;
CREATE TABLE bodies (id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, blob TEXT, data BLOB);
CREATE UNIQUE INDEX bodies_blob ON bodies (blob) WHERE blob IS NOT NULL;
CREATE TABLE parts (
    body INTEGER NOT NULL, number INTEGER NOT NULL, serial INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    last_modified REAL NOT NULL, about BLOB NOT NULL, blob TEXT NOT NULL UNIQUE, PRIMARY KEY (body, number)
) WITHOUT ROWID;
CREATE TABLE uploads (
    serial INTEGER PRIMARY KEY, bucket INTEGER NOT NULL, key BLOB NOT NULL, id TEXT NOT NULL, initiated REAL NOT NULL,
    attributes BLOB NOT NULL
);
CREATE INDEX uploads_key ON uploads (bucket, key, serial);
CREATE TABLE completed (
    id TEXT PRIMARY KEY, bucket INTEGER NOT NULL, key BLOB NOT NULL, time REAL NOT NULL, digest TEXT NOT NULL,
    initiated REAL NOT NULL, attributes BLOB NOT NULL, stored BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX completed_time ON completed (time);
"""

# What version 3 added to version 2: what an id alone leads to.
_IDS = """
CREATE UNIQUE INDEX objects_version ON objects (version) WHERE version IS NOT NULL;
CREATE UNIQUE INDEX older_version ON older (version) WHERE version IS NOT NULL;
CREATE UNIQUE INDEX uploads_id ON uploads (id);
PRAGMA user_version = 3;
"""

# Came later, and is none of the business of a server that does not know it: no other version for it.
_NOTES = "CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID"


class Body(NamedTuple):
    """Where a body is: `data` in the index, `blob` the name of a file, or the files of its parts.

    `id` is None until the index has it, `parts` are given only then.
    """

    id: int | None
    blob: str | None
    data: bytes | None
    parts: tuple[tuple[Part, str], ...] = ()


class NewObject(NamedTuple):
    """What a draft knows about the object that it is going to be."""

    size: int
    etag: str
    attributes: ObjectAttributes
    body: Body


class Unused(NamedTuple):
    """A file that nothing refers to any more, and the body that it was a part of."""

    body: int
    blob: str


def sql(text: str, **names: str) -> str:
    """A query with constant parts, `{name}` in it, that it shares with others."""
    for name, part in names.items():
        text = text.replace(f"{{{name}}}", part)
    return text


def create_tables(db: sqlite3.Connection) -> None:
    """Make the tables in an empty database, or bring those of version 2 up to date; ValueError for another version."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.executescript(f"BEGIN; {_TABLES} {_IDS} COMMIT;")
    elif version == _FORMER_VERSION:
        db.executescript(f"BEGIN; {_IDS} COMMIT;")
    elif version != SCHEMA_VERSION:
        raise ValueError(f"path: the index has version {version}, this server knows {SCHEMA_VERSION}")
    db.execute(_NOTES)


def pack(attributes: ObjectAttributes) -> bytes:
    """Only what is set, so that what a plain object costs is two bytes."""
    fields = {name: value for name in _ATTRIBUTES if (value := getattr(attributes, name))}
    return orjson.dumps(fields, default=dict)


def pack_documents(documents: Mapping[str, str]) -> bytes:
    """The documents of a bucket."""
    return orjson.dumps(documents, default=dict)


def pack_about(part: Part) -> bytes:
    """What is said about a part."""
    fields = {"checksums": part.checksums, "documents": part.documents}
    return orjson.dumps({name: value for name, value in fields.items() if value}, default=dict)


def pack_stored(stored: StoredObject) -> bytes:
    """All of an object's record."""
    return orjson.dumps(dataclasses.asdict(stored))


def attributes_of(packed: bytes) -> ObjectAttributes:
    """The attributes that were packed."""
    return ObjectAttributes(**orjson.loads(packed))


def stored_of(
    key: bytes, size: int, etag: str, last_modified: float, attributes: bytes, version_id: str | None
) -> StoredObject:
    """The object of a row."""
    return StoredObject(
        key=key.decode(),
        size=size,
        etag=etag,
        last_modified=last_modified,
        version_id=version_id,
        **orjson.loads(attributes),
    )


def version_of(
    key: bytes, size: int, etag: str, last_modified: float, attributes: bytes, version_id: str | None, marker: int
) -> StoredObject:
    """The object or delete marker of a row."""
    return StoredObject(
        key=key.decode(),
        size=size,
        etag=etag,
        last_modified=last_modified,
        version_id=version_id,
        delete_marker=bool(marker),
        **orjson.loads(attributes),
    )


def stored_from(packed: bytes) -> StoredObject:
    """The record that `pack_stored` packed."""
    return StoredObject(**orjson.loads(packed))


def part_of(number: int, size: int, etag: str, last_modified: float, about: bytes) -> Part:
    """The part of a row."""
    return Part(number=number, size=size, etag=etag, last_modified=last_modified, **orjson.loads(about))


def bucket_of(name: str, created: float, owner: str, region: str, versioning: Any, documents: bytes) -> BucketInfo:
    """The bucket of a row."""
    return BucketInfo(name, created, owner, region, versioning, orjson.loads(documents))


_ATTRIBUTES = tuple(field.name for field in dataclasses.fields(ObjectAttributes))
