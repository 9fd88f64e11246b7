"""The buckets of a local store: few, read at every request, and so kept in memory as well."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from s3func.clock import Clock
from s3func.errors import BucketNotEmpty, NoSuchBucket, ServiceError, service_error
from s3func.server.backend import BucketInfo, Versioning
from s3func.server.backends.documents import edited
from s3func.server.backends.local.database import Database
from s3func.server.backends.local.schema import Unused, bucket_of, pack_documents, sql
from s3func.server.powers import BucketGuard

_ROWS = "SELECT id, name, created, owner, region, versioning, documents FROM buckets"
_PARTS = "FROM parts WHERE body IN (SELECT serial FROM uploads WHERE bucket = ?)"


class Bucket(NamedTuple):
    """A bucket and its number in the index."""

    id: int
    info: BucketInfo


class Buckets:
    """The table of buckets."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        # Changed before a change of the table returns, so that who only reads asks no database.
        self._buckets = {row[1]: Bucket(row[0], bucket_of(*row[1:])) for row in database.writer.execute(_ROWS)}

    def get(self, bucket: str) -> Bucket:
        """One bucket as it was a moment ago; NoSuchBucket."""
        self._database.check_open()
        found = self._buckets.get(bucket)
        if found is None:
            raise no_such_bucket(bucket)
        return found

    def all(self) -> list[BucketInfo]:
        """All buckets, by name."""
        self._database.check_open()
        return sorted((bucket.info for bucket in list(self._buckets.values())), key=lambda info: info.name)

    def create(self, bucket: str, owner: str, region: str) -> BucketInfo:
        """Add a bucket."""
        info = BucketInfo(bucket, round(self._clock.now(), 3), owner, region)

        def change(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT owner FROM buckets WHERE name = ?", (bucket,)).fetchone()
            if row is not None:
                code = "BucketAlreadyOwnedByYou" if row[0] == owner else "BucketAlreadyExists"
                raise service_error(code, "The bucket exists already.", bucket=bucket)
            values = (bucket, info.created, owner, region, info.versioning, pack_documents(info.documents))
            db.execute("INSERT INTO buckets VALUES (NULL, ?, ?, ?, ?, ?, ?)", values)

        self._database.run(change, lambda: self._refresh(bucket))
        return info

    def delete(self, bucket: str) -> list[Unused]:
        """Remove an empty bucket and its uploads; return the files of their parts."""

        def change(db: sqlite3.Connection) -> list[Unused]:
            bucket_id = read_bucket(db, bucket).id
            for table in ("objects", "older"):
                query = sql("SELECT 1 FROM {table} WHERE bucket = ? LIMIT 1", table=table)
                if db.execute(query, (bucket_id,)).fetchone():
                    raise BucketNotEmpty("The bucket you tried to delete is not empty.", bucket=bucket)
            unused = [Unused(*row) for row in db.execute(sql("SELECT body, blob {which}", which=_PARTS), (bucket_id,))]
            db.execute(sql("DELETE {which}", which=_PARTS), (bucket_id,))
            db.execute("DELETE FROM uploads WHERE bucket = ?", (bucket_id,))
            db.execute("DELETE FROM buckets WHERE id = ?", (bucket_id,))
            return unused

        return self._database.run(change, lambda: self._refresh(bucket))

    def set_versioning(self, bucket: str, status: Versioning, guard: BucketGuard | None) -> BucketInfo:
        """Change the status."""
        return self._change(bucket, guard, status, {})

    def edit(self, bucket: str, documents: Mapping[str, str | None], guard: BucketGuard | None) -> BucketInfo:
        """Change some of the documents."""
        return self._change(bucket, guard, None, documents)

    def _change(
        self, bucket: str, guard: BucketGuard | None, status: Versioning | None, documents: Mapping[str, str | None]
    ) -> BucketInfo:
        def change(db: sqlite3.Connection) -> BucketInfo:
            # Versions are named once a bucket keeps them.
            self._database.recent.forget_all()
            bucket_id, info = read_bucket(db, bucket)
            if guard is not None:
                try:
                    guard(info)
                except ServiceError as error:
                    error.bucket = bucket
                    raise
            changed = replace(
                info,
                versioning=info.versioning if status is None else status,
                documents=edited(info.documents, documents),
            )
            values = (changed.versioning, pack_documents(changed.documents), bucket_id)
            db.execute("UPDATE buckets SET versioning = ?, documents = ? WHERE id = ?", values)
            return changed

        return self._database.run(change, lambda: self._refresh(bucket))

    def _refresh(self, bucket: str) -> None:
        row = self._database.writer.execute(f"{_ROWS} WHERE name = ?", (bucket,)).fetchone()
        if row is None:
            self._buckets.pop(bucket, None)
        else:
            self._buckets[bucket] = Bucket(row[0], bucket_of(*row[1:]))


def read_bucket(db: sqlite3.Connection, bucket: str) -> Bucket:
    """The bucket as the transaction sees it; NoSuchBucket."""
    row = db.execute(f"{_ROWS} WHERE name = ?", (bucket,)).fetchone()
    if row is None:
        raise no_such_bucket(bucket)
    return Bucket(row[0], bucket_of(*row[1:]))


def no_such_bucket(bucket: str) -> NoSuchBucket:
    """What is raised for a bucket that does not exist."""
    return NoSuchBucket("The specified bucket does not exist.", bucket=bucket)
