"""A local store of the version before, whose ids had another shape."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from s3func.server.backend import ObjectAttributes
from s3func.server.backends.identity import serial_of
from s3func.server.backends.local import LocalBackend
from s3func.server.backends.local.directory import StoreDirectory
from s3func.server.powers import Located
from tests.contract.objects import put


def former_store(root: Path) -> dict[str, str]:
    """Make a store as version 2 wrote it; return the ids of its older and its current version and of its upload."""
    with closing(LocalBackend(root, durability="os")) as store:
        store.create_bucket("bucket")
        store.set_versioning("bucket", "Enabled")
        new = [put(store, "key").version_id or "" for _ in range(2)]
        new.append(store.create_upload("bucket", "key", ObjectAttributes()).upload_id)
    with closing(StoreDirectory(root, "os")) as directory:
        index = directory.index
    with closing(sqlite3.connect(index)) as db, db:
        former = [f"{serial_of(each):016x}{'ab' * 8}" for each in new]
        for table, column in (("objects", "version"), ("older", "version"), ("uploads", "id")):
            for before, after in zip(new, former, strict=True):
                db.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (after, before))
        for name in ("objects_version", "older_version", "uploads_id"):
            db.execute(f"DROP INDEX {name}")
        db.execute("PRAGMA user_version = 2")
    return dict(zip(("older", "current", "upload"), former, strict=True))


def test_a_store_of_version_2_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its versions and uploads are found, read, listed behind, completed and deleted by the ids that they have."""
    ids = former_store(tmp_path / "store")
    for _ in range(2):
        with closing(LocalBackend(tmp_path / "store", durability="os")) as store:
            assert Located("bucket", "key") == store.locate(ids["older"])
            assert Located("bucket", "key", is_upload=True) == store.locate(ids["upload"])
            page = store.list_object_versions("bucket", limit=1)
            assert ids["current"] == page.rows[0].stored.version_id == page.next_version_id_marker
            rest = store.list_object_versions("bucket", key_marker="key", version_id_marker=ids["current"])
            assert [ids["older"]] == [row.stored.version_id for row in rest.rows]
    with closing(LocalBackend(tmp_path / "store", durability="os")) as store:
        with store.begin_part("bucket", "key", ids["upload"], 1) as writer:
            writer.write(b"new")
            part = writer.commit()
        with store.begin_complete("bucket", "key", ids["upload"], [(1, part.etag)]) as completion:
            assert ids["upload"] == completion.commit(completion.upload.attributes).version_id
        page = store.list_object_versions("bucket", limit=1)
        rest = store.list_object_versions(
            "bucket", key_marker="key", version_id_marker=page.next_version_id_marker or ""
        )
        assert [ids["current"], ids["older"]] == [row.stored.version_id for row in rest.rows]
        store.delete_object("bucket", "key", ids["older"])
