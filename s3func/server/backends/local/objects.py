"""The objects of a local store and their versions: finding, publishing, deleting, editing and listing them."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from s3func.clock import Clock
from s3func.errors import NoSuchKey, NoSuchVersion, ServiceError
from s3func.server.backend import (
    Deleted,
    Deletion,
    Guard,
    ListSlice,
    StoredObject,
    check_key,
    run_guard,
)
from s3func.server.backends.documents import edited
from s3func.server.backends.identity import placed, version_place
from s3func.server.backends.listing import list_slice, version_slice
from s3func.server.backends.local import versions
from s3func.server.backends.local.buckets import Buckets, read_bucket
from s3func.server.backends.local.database import Database
from s3func.server.backends.local.schema import (
    Body,
    NewObject,
    Unused,
    pack,
    pack_about,
    sql,
    stored_of,
    version_of,
)
from s3func.server.backends.local.versions import NULL
from s3func.server.powers import Located, VersionRow, VersionSlice, deleted_error

# What a reader sees of a row, first in a bucket that never kept versions, then in one that does.
_RECORD = "key, size, etag, last_modified, attributes, version"
_RECORD_NAMED = f"key, size, etag, last_modified, attributes, ifnull(version, '{NULL}')"
_RECORDS = (_RECORD, _RECORD_NAMED)

_HEAD = [sql("SELECT {r} FROM objects WHERE bucket = ? AND key = ?", r=record) for record in _RECORDS]
_OPEN = [
    sql("SELECT {r}, id, blob, data FROM objects JOIN bodies ON id = body WHERE bucket = ? AND key = ?", r=record)
    for record in _RECORDS
]
_LIST = [
    sql("SELECT {r} FROM objects WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key", r=record)
    for record in _RECORDS
]

# One statement, hence one moment: between two, a version could move from one table to the other.
_HEAD_BY = """
SELECT {record}, 0 FROM objects WHERE bucket = :bucket AND key = :key AND {current}
UNION ALL
SELECT {record}, body IS NULL FROM older WHERE bucket = :bucket AND key = :key AND {older}
"""
_OPEN_BY = """
SELECT {record}, 0, id, blob, data FROM objects JOIN bodies ON id = body
WHERE bucket = :bucket AND key = :key AND {current}
UNION ALL
SELECT {record}, body IS NULL, id, blob, data FROM older LEFT JOIN bodies ON id = body
WHERE bucket = :bucket AND key = :key AND {older}
"""
_BY_ID = {"current": "version = :version", "older": "version = :version", "record": _RECORD_NAMED}
_BY_NULL = {"current": "version IS NULL", "older": "version IS NULL", "record": _RECORD_NAMED}
_HEAD_VERSION = (sql(_HEAD_BY, **_BY_ID), sql(_HEAD_BY, **_BY_NULL))
_OPEN_VERSION = (sql(_OPEN_BY, **_BY_ID), sql(_OPEN_BY, **_BY_NULL))
_PARTS = "SELECT number, size, etag, last_modified, about, blob FROM parts WHERE body = ? ORDER BY number"

_NEWEST = sql(
    "SELECT {r}, body IS NULL FROM older WHERE bucket = ? AND key = ? ORDER BY serial DESC LIMIT 1", r=_RECORD_NAMED
)

_VERSIONS = """
SELECT {record}, 0, serial FROM objects WHERE bucket = :bucket AND {range}
UNION ALL
SELECT {record}, body IS NULL, serial FROM older WHERE bucket = :bucket AND {range}
ORDER BY 1, 8 DESC
"""
_VERSIONS_BETWEEN = sql(_VERSIONS, record=_RECORD_NAMED, range="key >= :low AND key < :high")
_VERSIONS_OF = sql(_VERSIONS, record=_RECORD_NAMED, range="key = :key AND serial < :before")
# "IS", because the "null" version has none.
_SERIAL_OF = """
SELECT serial FROM objects WHERE bucket = :bucket AND key = :key AND version IS :version
UNION ALL SELECT serial FROM older WHERE bucket = :bucket AND key = :key AND version IS :version
"""
_LOCATE = """
SELECT name, key, 0 FROM objects JOIN buckets ON buckets.id = bucket WHERE version = :id
UNION ALL SELECT name, key, 0 FROM older JOIN buckets ON buckets.id = bucket WHERE version = :id
UNION ALL SELECT name, key, 1 FROM uploads JOIN buckets ON buckets.id = bucket WHERE uploads.id = :id
"""


_LAST = (1 << 63) - 1
"""Greater than every serial number."""


class BodyGone(Exception):
    """The body that was to be shared has been deleted meanwhile."""


class Objects:
    """The tables of versions and bodies."""

    def __init__(self, database: Database, buckets: Buckets, clock: Clock) -> None:
        self._database = database
        self._buckets = buckets
        self._clock = clock

    def head(self, bucket: str, key: str, version_id: str | None) -> StoredObject:
        """The record of an object."""
        if version_id is None and (known := self._known(bucket, key)) is not None:
            return known[0]
        return stored_of(*self._row(bucket, key, version_id, _HEAD, _HEAD_VERSION)[:6])

    def find(self, bucket: str, key: str, version_id: str | None) -> tuple[StoredObject, Body]:
        """An object and its body; one in parts has neither blob nor data, and its parts are read by `parts`."""
        if version_id is not None:
            row = self._row(bucket, key, version_id, _OPEN, _OPEN_VERSION)
            return stored_of(*row[:6]), Body(*row[-3:])
        known = self._known(bucket, key)
        if known is None:
            recent = self._database.recent
            moment = recent.moment()
            row = self._row(bucket, key, None, _OPEN, _OPEN_VERSION)
            known = stored_of(*row[:6]), Body(*row[-3:])
            recent.keep(moment, bucket, key, known)
        return known

    def _known(self, bucket: str, key: str) -> tuple[StoredObject, Body] | None:
        self._database.check_open()
        return self._database.recent.get(bucket, key)

    def parts(self, body: int) -> list[Any]:
        """The rows of the parts of a body: number, size, etag, last_modified, about, blob. Empty when it is gone."""
        with self._database.reading() as db:
            return db.execute(_PARTS, (body,)).fetchall()

    def publish(self, bucket: str, key: str, new: NewObject, guard: Guard | None) -> tuple[StoredObject, list[Unused]]:
        """Make the new object the key's current one; also return the files that nothing refers to any more.

        Raises BodyGone when the body was to be shared and is no longer there.
        """
        encoded = check_key(key)

        def change(db: sqlite3.Connection) -> tuple[StoredObject, list[Unused]]:
            self._database.recent.forget(bucket, key)
            place = versions.place_of(db, bucket, encoded)
            if guard is not None:
                run_guard(guard, place.stored(place.current), bucket, key)
            serial = self._database.next_serial()
            body = new.body.id
            if body is None:
                body = serial
                _add_body(db, body, new.body)
            elif not (place.replaces and place.current is not None and place.current.body == body):
                if db.execute("UPDATE bodies SET refs = refs + 1 WHERE id = ?", (body,)).rowcount == 0:
                    raise BodyGone
            unused: list[Unused] = []
            return versions.put(db, place, new, body, serial, self.now(), unused), unused

        return self._database.run(change)

    def delete(self, bucket: str, deletions: Sequence[Deletion]) -> tuple[list[Deleted | ServiceError], list[Unused]]:
        """Delete what the guards allow; also return the files that nothing refers to any more."""

        def change(db: sqlite3.Connection) -> tuple[list[Deleted | ServiceError], list[Unused]]:
            read_bucket(db, bucket)
            results: list[Deleted | ServiceError] = []
            unused: list[Unused] = []
            for deletion in deletions:
                try:
                    results.append(self._delete_one(db, bucket, deletion, unused))
                except ServiceError as error:
                    results.append(error)
            return results, unused

        return self._database.run(change)

    def edit(
        self,
        bucket: str,
        key: str,
        documents: Mapping[str, str | None],
        version_id: str | None,
        guard: Guard | None,
    ) -> StoredObject:
        """Change some documents of a version."""
        encoded = check_key(key)

        def change(db: sqlite3.Connection) -> StoredObject:
            self._database.recent.forget(bucket, key)
            place = versions.place_of(db, bucket, encoded)
            if version_id is None:
                version = versions.newest(db, place)
            else:
                version = versions.find(db, place, version_id)
            stored = place.stored(version)
            if version is None or stored is None:
                raise _missing(bucket, key, version_id)
            if stored.delete_marker:
                raise deleted_error(bucket, stored, named=version_id is not None)
            run_guard(guard, stored, bucket, key)
            stored = replace(stored, documents=edited(stored.documents, documents))
            versions.set_attributes(db, place, version, pack(stored))
            return stored

        return self._database.run(change)

    def page(self, bucket: str, prefix: str, delimiter: str, start_after: str, limit: int) -> ListSlice:
        """One page of the current objects."""
        found = self._buckets.get(bucket)
        query = _LIST[bool(found.info.versioning)]
        with self._database.snapshot() as db:

            def seek(low: bytes, high: bytes) -> Iterator[StoredObject]:
                return itertools.starmap(stored_of, db.execute(query, (found.id, low, high)))

            return list_slice(seek, prefix, delimiter, start_after, limit)

    def page_of_versions(
        self, bucket: str, prefix: str, delimiter: str, key_marker: str, version_id_marker: str, limit: int
    ) -> VersionSlice:
        """One page of all versions."""
        bucket_id = self._buckets.get(bucket).id
        inside = bool(key_marker and version_id_marker)
        named = None
        if inside and version_id_marker != NULL:
            named = version_place(version_id_marker, "version-id-marker")
        with self._database.snapshot() as db:

            def seek(low: bytes, high: bytes) -> Iterator[VersionRow]:
                return _version_rows(db.execute(_VERSIONS_BETWEEN, {"bucket": bucket_id, "low": low, "high": high}))

            def rest(key: bytes) -> Iterator[VersionRow]:
                before = named
                if before is None:
                    version = None if version_id_marker == NULL else version_id_marker
                    row = db.execute(_SERIAL_OF, {"bucket": bucket_id, "key": key, "version": version}).fetchone()
                    before = _LAST if row is None else row[0]
                values = {"bucket": bucket_id, "key": key, "before": before}
                return _version_rows(db.execute(_VERSIONS_OF, values), is_inside=before != _LAST)

            return version_slice(seek, rest if inside else None, prefix, delimiter, key_marker, limit)

    def locate(self, identity: str) -> Located:
        """Where the version or upload of an id is."""
        with self._database.reading() as db:
            row = db.execute(_LOCATE, {"id": identity}).fetchone()
        if row is None:
            raise NoSuchVersion("The specified version does not exist.")
        return Located(row[0], row[1].decode(), bool(row[2]))

    def now(self) -> float:
        """The time in whole milliseconds."""
        return round(self._clock.now(), 3)

    def _delete_one(self, db: sqlite3.Connection, bucket: str, deletion: Deletion, unused: list[Unused]) -> Deleted:
        key, version_id = deletion.key, deletion.version_id
        self._database.recent.forget(bucket, key)
        place = versions.place_of(db, bucket, check_key(key))
        if version_id is None and place.versioning:
            if deletion.guard is not None:
                run_guard(deletion.guard, place.stored(versions.newest(db, place)), bucket, key)
            serial = self._database.next_serial()
            marker_id = versions.put_marker(db, place, deletion.owner, serial, self.now(), unused)
            return Deleted(key, marker_id, delete_marker=True)
        version = place.current if version_id is None else versions.find(db, place, version_id)
        if deletion.guard is not None:
            run_guard(deletion.guard, place.stored(version), bucket, key)
        if version is None:
            return Deleted(key, version_id)
        versions.remove(db, place, version, unused)
        return Deleted(key, version_id, delete_marker=version.body is None)

    def _row(
        self, bucket: str, key: str, version_id: str | None, current: Sequence[str], named: tuple[str, str]
    ) -> Any:
        """The row of an object: its record, and what else the query asks for."""
        encoded = check_key(key)
        found = self._buckets.get(bucket)
        is_versioned = bool(found.info.versioning)
        with self._database.reading() as db:
            if version_id is None or (version_id == NULL and not is_versioned):
                row = db.execute(current[is_versioned], (found.id, encoded)).fetchone()
                if row is None and is_versioned:
                    _refuse_marker(bucket, db.execute(_NEWEST, (found.id, encoded)).fetchone(), named=False)
            else:
                values = {"bucket": found.id, "key": encoded, "version": version_id}
                row = db.execute(named[version_id == NULL], values).fetchone()
                _refuse_marker(bucket, row, named=True)
        if row is None:
            raise _missing(bucket, key, version_id)
        return row


def _refuse_marker(bucket: str, row: Any, *, named: bool) -> None:
    if row is not None and row[6]:
        raise deleted_error(bucket, version_of(*row[:7]), named=named)


def _missing(bucket: str, key: str, version_id: str | None) -> ServiceError:
    if version_id is None:
        return NoSuchKey("The specified key does not exist.", bucket=bucket, key=key)
    return NoSuchVersion("The specified version does not exist.", bucket=bucket, key=key)


def _add_body(db: sqlite3.Connection, body: int, new: Body) -> None:
    db.execute("INSERT INTO bodies VALUES (?, 1, ?, ?)", (body, new.blob, new.data))
    db.executemany(
        "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (body, part.number, body, part.size, part.etag, part.last_modified, pack_about(part), blob)
            for part, blob in new.parts
        ],
    )


def _version_rows(rows: Iterable[Any], *, is_inside: bool = False) -> Iterator[VersionRow]:
    """The first row of a key is its latest version, unless the rows begin inside of a key."""
    previous: bytes | None = None
    for row in rows:
        is_latest = row[0] != previous and not is_inside
        previous = row[0]
        yield VersionRow(version_of(*row[:7]), is_latest, placed(row[5], row[7]))
