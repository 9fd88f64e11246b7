"""The multipart uploads of a local store, from their beginning to a while after their end.

An upload's parts are under its serial number, which becomes the number of the body when it is completed: completing
touches the rows of the parts that are left out, and of no others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from s3func.clock import Clock
from s3func.errors import NoSuchUpload, service_error
from s3func.server.backend import Guard, ObjectAttributes, Part, StoredObject, check_key, run_guard
from s3func.server.backends.identity import bucket_identity, marker_serial, new_id, serial_of
from s3func.server.backends.listing import upload_slice
from s3func.server.backends.local import versions
from s3func.server.backends.local.buckets import Buckets, read_bucket
from s3func.server.backends.local.database import Database
from s3func.server.backends.local.schema import (
    Body,
    NewObject,
    Unused,
    attributes_of,
    pack,
    pack_about,
    pack_stored,
    part_of,
    sql,
    stored_from,
)
from s3func.server.backends.parts import check_parts, multipart_etag, no_such_upload, parts_digest
from s3func.server.powers import COMPLETED_SECONDS, PartSlice, Upload, UploadSlice

_UPLOADS = "SELECT serial, key, id, initiated, attributes FROM uploads"
_ONE = f"{_UPLOADS} WHERE serial = ? AND bucket = ? AND key = ? AND id = ?"
_BETWEEN = f"{_UPLOADS} WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key, serial"
_OF_KEY = f"{_UPLOADS} WHERE bucket = ? AND key = ? AND serial > ? ORDER BY serial"

_PARTS = "SELECT number, size, etag, last_modified, about FROM parts WHERE body = ? AND number > ? ORDER BY number"


class OpenUpload(NamedTuple):
    """An upload and its number in the index."""

    serial: int
    upload: Upload


class Chosen(NamedTuple):
    """What a completion was begun with: the upload, its parts, and the numbers of their rows.

    `completed` is what it became where that happened before; nothing is chosen then.
    """

    opened: OpenUpload
    digest: str
    parts: Sequence[Part]
    serials: Mapping[int, int]
    completed: StoredObject | None = None


class Uploads:
    """The tables of uploads and their parts."""

    def __init__(self, database: Database, buckets: Buckets, clock: Clock) -> None:
        self._database = database
        self._buckets = buckets
        self._clock = clock

    def create(self, bucket: str, key: str, attributes: ObjectAttributes) -> Upload:
        """Begin an upload."""
        encoded = check_key(key)
        packed = pack(attributes)

        def change(db: sqlite3.Connection) -> Upload:
            found = read_bucket(db, bucket)
            serial, now = self._database.next_serial(), self._now()
            upload_id = new_id(serial, bucket_identity(bucket, found.info.created), now, large=True)
            upload = _upload_of(serial, encoded, upload_id, now, packed).upload
            values = (serial, found.id, encoded, upload.upload_id, upload.initiated, packed)
            db.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?)", values)
            return upload

        return self._database.run(change)

    def get(self, bucket: str, key: str, upload_id: str) -> Upload:
        """One upload."""
        bucket_id = self._buckets.get(bucket).id
        with self._database.reading() as db:
            return _open_upload(db, bucket, bucket_id, key, upload_id).upload

    def put_part(self, bucket: str, key: str, upload_id: str, part: Part, blob: str) -> tuple[Part, list[Unused]]:
        """Add a part or replace it; return it with its time, and the file of the former one."""

        def change(db: sqlite3.Connection) -> tuple[Part, list[Unused]]:
            serial, _ = _open_upload(db, bucket, read_bucket(db, bucket).id, key, upload_id)
            unused = _unused_parts(db, serial, "number = ?", part.number)
            about, now = pack_about(part), self._now()
            values = (serial, part.number, self._database.next_serial(), part.size, part.etag, now, about, blob)
            db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            return part_of(part.number, part.size, part.etag, now, about), unused

        return self._database.run(change)

    def list_parts(self, bucket: str, key: str, upload_id: str, part_number_marker: int, limit: int) -> PartSlice:
        """One page of parts."""
        bucket_id = self._buckets.get(bucket).id
        with self._database.snapshot() as db:
            serial, upload = _open_upload(db, bucket, bucket_id, key, upload_id)
            if limit <= 0:
                return PartSlice(upload, [])
            cursor = db.execute(f"{_PARTS} LIMIT ?", (serial, part_number_marker, limit + 1))
            rows = [part_of(*row) for row in cursor]
        return PartSlice(upload, rows[:limit], rows[limit - 1].number if len(rows) > limit else None)

    def page(
        self, bucket: str, prefix: str, delimiter: str, key_marker: str, upload_id_marker: str, limit: int
    ) -> UploadSlice:
        """One page of uploads."""
        bucket_id = self._buckets.get(bucket).id
        inside = bool(key_marker and upload_id_marker)
        after = marker_serial(upload_id_marker, "upload-id-marker") if inside else 0
        with self._database.snapshot() as db:

            def seek(low: bytes, high: bytes) -> Iterator[Upload]:
                return (_upload_of(*row).upload for row in db.execute(_BETWEEN, (bucket_id, low, high)))

            def rest(key: bytes) -> Iterator[Upload]:
                return (_upload_of(*row).upload for row in db.execute(_OF_KEY, (bucket_id, key, after)))

            return upload_slice(seek, rest if inside else None, prefix, delimiter, key_marker, limit)

    def abort(self, bucket: str, key: str, upload_id: str) -> list[Unused]:
        """End an upload; return the files of its parts."""

        def change(db: sqlite3.Connection) -> list[Unused]:
            serial, _ = _open_upload(db, bucket, read_bucket(db, bucket).id, key, upload_id)
            unused = _unused_parts(db, serial, "number > ?", 0)
            db.execute("DELETE FROM uploads WHERE serial = ?", (serial,))
            return unused

        return self._database.run(change)

    def choose(self, bucket: str, key: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> Chosen:
        """Check what a completion names."""
        bucket_id = self._buckets.get(bucket).id
        digest = parts_digest(parts)
        with self._database.snapshot() as db:
            try:
                opened = _open_upload(db, bucket, bucket_id, key, upload_id)
            except NoSuchUpload:
                done = self._recall(db, bucket_id, key, upload_id, digest)
                if done is None:
                    raise
                return done
            rows = db.execute(
                "SELECT number, size, etag, last_modified, about, serial FROM parts WHERE body = ?", (opened.serial,)
            ).fetchall()
        chosen = check_parts(parts, (part_of(*row[:5]) for row in rows), bucket, key)
        return Chosen(opened, digest, chosen, {row[0]: row[5] for row in rows})

    def complete(
        self, bucket: str, chosen: Chosen, attributes: ObjectAttributes, guard: Guard | None
    ) -> tuple[StoredObject, list[Unused]]:
        """Make an upload the key's current object; return the files of what it does not use or replaced."""
        (upload_serial, upload), digest, parts, serials, _ = chosen
        key, upload_id = upload.key, upload.upload_id
        encoded = check_key(key)
        new = NewObject(
            sum(part.size for part in parts), multipart_etag(parts), attributes, Body(upload_serial, None, None)
        )
        wanted = {part.number: serials[part.number] for part in parts}

        def change(db: sqlite3.Connection) -> tuple[StoredObject, list[Unused]]:
            self._database.recent.forget(bucket, key)
            place = versions.place_of(db, bucket, encoded)
            try:
                _open_upload(db, bucket, place.bucket, key, upload_id)
            except NoSuchUpload:
                done = self._recall(db, place.bucket, key, upload_id, digest)
                if done is None or done.completed is None:
                    raise
                return done.completed, []
            found = dict(db.execute("SELECT number, serial FROM parts WHERE body = ?", (upload_serial,)))
            if any(found.get(number) != serial for number, serial in wanted.items()):
                raise service_error("InvalidPart", "A part was replaced meanwhile.", bucket=bucket, key=key)
            if guard is not None:
                run_guard(guard, place.stored(place.current), bucket, key)
            unused: list[Unused] = []
            for number in found.keys() - wanted.keys():
                unused += _unused_parts(db, upload_serial, "number = ?", number)
            now = self._now()
            db.execute("INSERT INTO bodies VALUES (?, 1, NULL, NULL)", (upload_serial,))
            serial = self._database.next_serial()
            stored = versions.put(db, place, new, upload_serial, serial, now, unused, upload_id)
            db.execute("DELETE FROM uploads WHERE serial = ?", (upload_serial,))
            db.execute("DELETE FROM completed WHERE time < ?", (now - COMPLETED_SECONDS,))
            db.execute(
                "INSERT INTO completed VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    upload_id,
                    place.bucket,
                    encoded,
                    now,
                    digest,
                    upload.initiated,
                    pack(upload.attributes),
                    pack_stored(stored),
                ),
            )
            return stored, unused

        return self._database.run(change)

    def _now(self) -> float:
        return round(self._clock.now(), 3)

    def _recall(self, db: sqlite3.Connection, bucket: int, key: str, upload_id: str, digest: str) -> Chosen | None:
        """The completion of this upload with these parts, if it is remembered."""
        row = db.execute(
            "SELECT initiated, attributes, stored FROM completed "
            "WHERE id = ? AND bucket = ? AND key = ? AND digest = ? AND time >= ?",
            (upload_id, bucket, key.encode(), digest, self._now() - COMPLETED_SECONDS),
        ).fetchone()
        if row is None:
            return None
        opened = _upload_of(0, key.encode(), upload_id, row[0], row[1])
        return Chosen(opened, digest, (), {}, stored_from(row[2]))


def _open_upload(db: sqlite3.Connection, bucket: str, bucket_id: int, key: str, upload_id: str) -> OpenUpload:
    """The upload; NoSuchUpload."""
    serial = serial_of(upload_id)
    row = None
    if serial is not None:
        row = db.execute(_ONE, (serial, bucket_id, check_key(key), upload_id)).fetchone()
    if row is None:
        raise no_such_upload(bucket, key)
    return _upload_of(*row)


def _upload_of(serial: int, key: bytes, upload_id: str, initiated: float, attributes: bytes) -> OpenUpload:
    return OpenUpload(
        serial,
        Upload(key=key.decode(), upload_id=upload_id, initiated=initiated, attributes=attributes_of(attributes)),
    )


def _unused_parts(db: sqlite3.Connection, body: int, which: str, number: int) -> list[Unused]:
    """Remove some of the parts of an upload; return their files."""
    rows: list[Any] = db.execute(
        sql("SELECT body, blob FROM parts WHERE body = ? AND {which}", which=which), (body, number)
    ).fetchall()
    if rows:
        db.execute(sql("DELETE FROM parts WHERE body = ? AND {which}", which=which), (body, number))
    return [Unused(*row) for row in rows]
