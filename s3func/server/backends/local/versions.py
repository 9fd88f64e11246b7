"""The versions of one key, inside a transaction: what is current, what a new version displaces, what a deletion brings up.

Rule: the newest version of a key is in `objects` if it is an object, and in `older` if it is a delete marker; every
other version is in `older`. So there is an object if and only if `objects` has a row.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from s3func.server.backend import ObjectAttributes, StoredObject
from s3func.server.backends.identity import bucket_identity, new_id
from s3func.server.backends.local.buckets import no_such_bucket
from s3func.server.backends.local.schema import NewObject, Unused, pack, sql, stored_of, version_of

NULL = "null"

# One row whenever the bucket exists: what is there now, and the body that a change may let go of.
_CURRENT = """
SELECT buckets.id, versioning, created, key, size, etag, last_modified, attributes, version, serial, body, refs, blob, data IS NULL
FROM buckets LEFT JOIN objects ON bucket = buckets.id AND key = ? LEFT JOIN bodies ON bodies.id = body WHERE name = ?
"""

_OLDER = """
SELECT key, size, etag, last_modified, attributes, version, serial, body, refs, blob, data IS NULL
FROM older LEFT JOIN bodies ON bodies.id = body WHERE bucket = ? AND key = ?
"""
_NULL = f"{_OLDER} AND version IS NULL"
_BY_ID = f"{_OLDER} AND version = ?"
_NEWEST = f"{_OLDER} ORDER BY serial DESC LIMIT 1"

_COLUMNS = "bucket, key, serial, version, size, etag, last_modified, attributes, body"
_MOVE = "INSERT INTO {target} ({columns}) SELECT {columns} FROM {source} WHERE bucket = ? AND key = ?"
_TO_OLDER = sql(_MOVE, target="older", source="objects", columns=_COLUMNS)
_TO_OBJECTS = sql(_MOVE, target="objects", source="older", columns=_COLUMNS) + " AND serial = ?"


class Version(NamedTuple):
    """One version of a key as it is in the tables; without a body it is a delete marker."""

    key: bytes
    size: int
    etag: str
    last_modified: float
    attributes: bytes
    version: str | None
    serial: int
    body: int | None
    refs: int
    blob: str | None
    has_no_data: int


class Place(NamedTuple):
    """A key of a bucket, and the object that is there."""

    bucket: int
    versioning: str
    name: str
    created: float
    key: bytes
    current: Version | None

    def stored(self, version: Version | None) -> StoredObject | None:
        """The record of one of the key's versions."""
        if version is None:
            return None
        version_id = (version.version or NULL) if self.versioning else None
        if version.body is None:
            return version_of(*version[:5], version_id, 1)
        return stored_of(*version[:5], version_id)

    def new_id(self, serial: int, now: float) -> str:
        """The id of a new version of the key."""
        return new_id(serial, bucket_identity(self.name, self.created), now)

    @property
    def replaces(self) -> bool:
        """Whether a new version takes the place of the current object, which is not kept then."""
        if self.current is None or not self.versioning:
            return self.current is not None
        return self.versioning == "Suspended" and self.current.version is None


def place_of(db: sqlite3.Connection, bucket: str, key: bytes) -> Place:
    """What is at a key; NoSuchBucket."""
    row = db.execute(_CURRENT, (key, bucket)).fetchone()
    if row is None:
        raise no_such_bucket(bucket)
    current = None if row[3] is None else Version._make(row[3:])
    return Place(row[0], row[1], bucket, row[2], key, current)


def newest(db: sqlite3.Connection, place: Place) -> Version | None:
    """The current version, also if it is a delete marker."""
    if place.current is not None or not place.versioning:
        return place.current
    return _one(db, _NEWEST, (place.bucket, place.key))


def find(db: sqlite3.Connection, place: Place, version_id: str) -> Version | None:
    """The version of this id."""
    current = place.current
    if current is not None and (current.version or NULL) == version_id:
        return current
    if version_id == NULL:
        return _one(db, _NULL, (place.bucket, place.key))
    return _one(db, _BY_ID, (place.bucket, place.key, version_id))


def put(
    db: sqlite3.Connection,
    place: Place,
    new: NewObject,
    body: int,
    serial: int,
    now: float,
    unused: list[Unused],
    upload_id: str | None = None,
) -> StoredObject:
    """Make an object the current version. Its body counts it already, unless it is that of the object it replaces.

    upload_id: of the upload that becomes it.
    """
    if place.current is not None and not (place.replaces and place.current.body == body):
        _displace(db, place, unused)
    _drop_null(db, place, unused)
    version = (upload_id or place.new_id(serial, now)) if place.versioning == "Enabled" else None
    attributes = pack(new.attributes)
    db.execute(
        "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (place.bucket, place.key, serial, version, new.size, new.etag, now, attributes, body),
    )
    version_id = (version or NULL) if place.versioning else None
    return stored_of(place.key, new.size, new.etag, now, attributes, version_id)


def put_marker(db: sqlite3.Connection, place: Place, owner: str, serial: int, now: float, unused: list[Unused]) -> str:
    """Make a delete marker the current version, and return its id."""
    if place.current is not None:
        _displace(db, place, unused)
        db.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (place.bucket, place.key))
    _drop_null(db, place, unused)
    version = place.new_id(serial, now) if place.versioning == "Enabled" else None
    attributes = pack(ObjectAttributes(owner=owner))
    db.execute(
        "INSERT INTO older VALUES (?, ?, ?, ?, 0, '', ?, ?, NULL)",
        (place.bucket, place.key, serial, version, now, attributes),
    )
    return version or NULL


def remove(db: sqlite3.Connection, place: Place, version: Version, unused: list[Unused]) -> None:
    """Remove one version; the newest that is left is the current one."""
    is_current = version is place.current
    if is_current:
        db.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (place.bucket, place.key))
    else:
        _delete_older(db, place, version)
    _release(db, version, unused)
    if place.versioning and (is_current or place.current is None):
        following = _one(db, _NEWEST, (place.bucket, place.key))
        if following is not None and following.body is not None:
            db.execute(_TO_OBJECTS, (place.bucket, place.key, following.serial))
            _delete_older(db, place, following)


def set_attributes(db: sqlite3.Connection, place: Place, version: Version, attributes: bytes) -> None:
    """Replace what is said about a version."""
    if version is place.current:
        db.execute(
            "UPDATE objects SET attributes = ? WHERE bucket = ? AND key = ?", (attributes, place.bucket, place.key)
        )
    else:
        db.execute(
            "UPDATE older SET attributes = ? WHERE bucket = ? AND key = ? AND serial = ?",
            (attributes, place.bucket, place.key, version.serial),
        )


def _displace(db: sqlite3.Connection, place: Place, unused: list[Unused]) -> None:
    """Keep the current object among the older ones, or release its body; its row is the caller's to replace."""
    assert place.current is not None
    if place.replaces:
        _release(db, place.current, unused)
    else:
        db.execute(_TO_OLDER, (place.bucket, place.key))


def _drop_null(db: sqlite3.Connection, place: Place, unused: list[Unused]) -> None:
    """While versioning is suspended, a new version replaces the former "null" one also where that is not current."""
    if place.versioning == "Suspended":
        null = _one(db, _NULL, (place.bucket, place.key))
        if null is not None:
            _delete_older(db, place, null)
            _release(db, null, unused)


def _delete_older(db: sqlite3.Connection, place: Place, version: Version) -> None:
    db.execute(
        "DELETE FROM older WHERE bucket = ? AND key = ? AND serial = ?", (place.bucket, place.key, version.serial)
    )


def _release(db: sqlite3.Connection, version: Version, unused: list[Unused]) -> None:
    """One version fewer refers to the body; after the last one its files are unused."""
    body = version.body
    if body is None:
        return
    if version.refs > 1:
        db.execute("UPDATE bodies SET refs = refs - 1 WHERE id = ?", (body,))
        return
    db.execute("DELETE FROM bodies WHERE id = ?", (body,))
    if version.blob is not None:
        unused.append(Unused(body, version.blob))
    elif version.has_no_data:
        unused += [Unused(body, blob) for (blob,) in db.execute("SELECT blob FROM parts WHERE body = ?", (body,))]
        db.execute("DELETE FROM parts WHERE body = ?", (body,))


def _one(db: sqlite3.Connection, query: str, values: tuple[object, ...]) -> Version | None:
    row = db.execute(query, values).fetchone()
    return None if row is None else Version._make(row)
