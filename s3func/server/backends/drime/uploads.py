"""Uploads in parts: parts wait in files of this machine, records of them in the database, until they are completed.

Drime is sent the whole body then. An upload belongs to the folder of its bucket, so a bucket that was deleted and made
again has none of the uploads of the former one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson

from s3func.server.backend import ObjectAttributes, Part, StoredObject
from s3func.server.backends.drime.cache import Database, pack, pack_attributes, unpack_attributes
from s3func.server.backends.drime.spool import Spool, SpooledBody
from s3func.server.backends.identity import bucket_identity, marker_serial, new_id
from s3func.server.backends.listing import upload_slice
from s3func.server.backends.parts import no_such_upload
from s3func.server.powers import COMPLETED_SECONDS, PartSlice, Upload, UploadSlice

_UPLOAD = "SELECT serial, id, key, initiated, about FROM uploads WHERE service=? AND folder=? AND completed IS NULL "
_PART = "SELECT number, size, etag, modified, about, file FROM parts WHERE upload=? "


class StoredPart(NamedTuple):
    """A part and the name of its file."""

    part: Part
    file: str


class Uploads:
    """The uploads of one service; every method names the folder of a bucket."""

    def __init__(self, database: Database, service: str, spool: Spool) -> None:
        self._database = database
        self._service = service
        self._spool = spool

    def sweep(self, now: float) -> None:
        """Remove files that no record knows of; another server may be about to write the record of a new one."""
        known = {file for (file,) in self._database.query("SELECT file FROM parts")}
        self._spool.drop([name for name in self._spool.old_parts(now - COMPLETED_SECONDS) if name not in known])

    def create(self, folder: int, bucket: str, key: str, attributes: ObjectAttributes, now: float) -> Upload:
        """Begin one."""
        about = pack_attributes(attributes)
        with self._database.transaction() as db:
            row = db.execute(
                "INSERT INTO uploads (id, service, folder, key, initiated, about) VALUES ('', ?, ?, ?, ?, ?)",
                (self._service, folder, key, now, about),
            )
            serial = row.lastrowid or 0
            upload_id = new_id(serial, bucket_identity(bucket, folder), now, large=True)
            db.execute("UPDATE uploads SET id=? WHERE serial=?", (upload_id, serial))
        return Upload(key=key, upload_id=upload_id, initiated=now, attributes=unpack_attributes(about))

    def get(self, folder: int, bucket: str, key: str, upload_id: str) -> Upload:
        """NoSuchUpload."""
        rows = self._database.query(f"{_UPLOAD} AND id=? AND key=?", (self._service, folder, upload_id, key))
        if not rows:
            raise no_such_upload(bucket, key)
        return _upload(rows[0])

    def keep(
        self,
        folder: int,
        bucket: str,
        upload: Upload,
        number: int,
        body: SpooledBody,
        now: float,
        checksums: Mapping[str, str],
        documents: Mapping[str, str],
    ) -> Part:
        """Make a body the part of this number. NoSuchUpload."""
        self.get(folder, bucket, upload.key, upload.upload_id)
        part = Part(
            number=number,
            size=body.size,
            etag=body.md5.hex(),
            last_modified=now,
            checksums=dict(checksums),
            documents=dict(documents),
        )
        file = self._spool.keep(body.path)
        about = pack({"checksums": part.checksums, "documents": part.documents})
        with self._database.transaction() as db:
            key = (upload.upload_id, number)
            is_open = db.execute("SELECT 1 FROM uploads WHERE id=? AND completed IS NULL", key[:1]).fetchone()
            former = db.execute("SELECT file FROM parts WHERE upload=? AND number=?", key).fetchall()
            if is_open:
                row = (*key, part.size, part.etag, part.last_modified, about, file)
                db.execute("INSERT OR REPLACE INTO parts VALUES (?,?,?,?,?,?,?)", row)
        self._spool.drop([name for (name,) in former] if is_open else [file])
        if not is_open:
            raise no_such_upload(bucket, upload.key)
        return part

    def open(self, folder: int, bucket: str, key: str, upload_id: str) -> tuple[Upload, list[StoredPart]]:
        """An upload and all of its parts, by number. NoSuchUpload."""
        with self._database.transaction():
            upload = self.get(folder, bucket, key, upload_id)
            rows = self._database.query(f"{_PART} ORDER BY number", (upload_id,))
        return upload, [_part(row) for row in rows]

    def list_parts(self, upload: Upload, marker: int, limit: int) -> PartSlice:
        """One page, as `Multipart.list_parts` promises it."""
        limit = max(limit, 0)
        query = f"{_PART} AND number>? ORDER BY number LIMIT ?"
        rows = [_part(row).part for row in self._database.query(query, (upload.upload_id, marker, limit + 1))]
        is_last = len(rows) <= limit or not limit
        return PartSlice(upload, rows[:limit], None if is_last else rows[limit - 1].number)

    def list(
        self, folder: int, prefix: str, delimiter: str, key_marker: str, upload_id_marker: str, limit: int
    ) -> UploadSlice:
        """One page, as `Multipart.list_uploads` promises it."""
        uploads = sorted(
            ((row[2].encode(), row[0], _upload(row)) for row in self._database.query(_UPLOAD, (self._service, folder))),
            key=lambda item: item[:2],
        )

        def seek(low: bytes, high: bytes) -> Iterator[Upload]:
            return (upload for key, _, upload in uploads if low <= key < high)

        def rest(key: bytes, after: int) -> Iterator[Upload]:
            return (upload for each, serial, upload in uploads if each == key and serial > after)

        behind = None
        if key_marker and upload_id_marker:
            behind = partial(rest, after=marker_serial(upload_id_marker, "upload-id-marker"))
        return upload_slice(seek, behind, prefix, delimiter, key_marker, limit)

    def end(self, upload_id: str, digest: str = "", now: float = 0.0, stored: StoredObject | None = None) -> None:
        """End one and free its parts. stored: what it became, which is remembered for a while."""
        with self._database.transaction() as db:
            if stored is None:
                db.execute("DELETE FROM uploads WHERE id=?", (upload_id,))
            else:
                row = (digest, now, pack(stored), upload_id)
                db.execute("UPDATE uploads SET digest=?, completed=?, stored=? WHERE id=?", row)
            db.execute("DELETE FROM uploads WHERE completed < ?", (now - COMPLETED_SECONDS,))
            files = db.execute("SELECT file FROM parts WHERE upload=?", (upload_id,)).fetchall()
            db.execute("DELETE FROM parts WHERE upload=?", (upload_id,))
        self._spool.drop([name for (name,) in files])

    def end_all(self, folder: int) -> None:
        """The bucket is gone."""
        query = "SELECT id FROM uploads WHERE service=? AND folder=?"
        for (upload_id,) in self._database.query(query, (self._service, folder)):
            self.end(upload_id)

    def completed(
        self, folder: int, key: str, upload_id: str, digest: str, now: float
    ) -> tuple[Upload, StoredObject] | None:
        """The upload and what it became, if it was completed with the same parts not long ago."""
        query = (
            "SELECT serial, id, key, initiated, about, stored FROM uploads "
            "WHERE service=? AND folder=? AND id=? AND key=? AND digest=? AND completed >= ?"
        )
        values = (self._service, folder, upload_id, key, digest, now - COMPLETED_SECONDS)
        for *row, stored in self._database.query(query, values):
            return _upload(row), StoredObject(**orjson.loads(stored))
        return None

    def assemble(self, parts: Sequence[StoredPart], body: SpooledBody) -> int | None:
        """Write the parts one after the other into a body; the number of one that the disk has lost or changed."""
        for stored in parts:
            try:
                if body.append(self._spool.part(stored.file)) == stored.part.etag:
                    continue
            except FileNotFoundError:
                pass
            return stored.part.number
        return None


def _upload(row: Sequence[Any]) -> Upload:
    _, upload_id, key, initiated, about = row
    return Upload(key=key, upload_id=upload_id, initiated=initiated, attributes=unpack_attributes(about))


def _part(row: Sequence[Any]) -> StoredPart:
    number, size, etag, modified, about, file = row
    part = Part(number=number, size=size, etag=etag, last_modified=modified, **orjson.loads(about))
    return StoredPart(part, file)
