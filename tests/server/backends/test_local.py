"""What the local store promises beyond the contract: one directory, one server, and nothing lost when it is killed."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import NoSuchBucket, NoSuchUpload, PreconditionFailed, ServerError
from s3func.server.backend import Backend, Deleted, ObjectAttributes, Part, Precondition, StoredObject
from s3func.server.backends.identity import serial_of
from s3func.server.backends.local import LocalBackend
from s3func.server.backends.local.schema import SCHEMA_VERSION
from s3func.server.powers import Upload
from tests.contract.objects import FULL, PLAIN, body_of, get, keys_of, put
from tests.server.backends.conftest import OpenStore

LARGE = 40_000
"""Bytes that no index takes in."""


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def copy(backend: Backend, source: str, target: str) -> StoredObject:
    with backend.begin_copy("bucket", source, "bucket", target) as draft:
        return draft.commit(draft.source)


def put_part(store: LocalBackend, upload: Upload, number: int, body: bytes) -> Part:
    with store.begin_part("bucket", upload.key, upload.upload_id, number) as writer:
        writer.write(body)
        return writer.commit()


def complete(store: LocalBackend, upload: Upload, parts: Sequence[Part]) -> StoredObject:
    named = [(part.number, part.etag) for part in parts]
    with store.begin_complete("bucket", upload.key, upload.upload_id, named) as completion:
        return completion.commit(PLAIN)


def upload_all(store: LocalBackend, key: str, bodies: Sequence[bytes]) -> StoredObject:
    upload = store.create_upload("bucket", key, PLAIN)
    return complete(store, upload, [put_part(store, upload, number, body) for number, body in enumerate(bodies, 1)])


class TestReopening:
    def test_everything_is_still_there(self, store: LocalBackend, open_store: OpenStore) -> None:
        """Buckets, objects, attributes and shared bodies outlive the server."""
        put(store, "small", b"small", FULL)
        put(store, "large", body_of(LARGE), FULL)
        copy(store, "large", "copy")
        copy(store, "small", "small copy")
        buckets, rows = store.list_buckets(), store.list_objects("bucket").rows
        store.close()
        again = open_store()
        assert buckets == again.list_buckets()
        assert rows == again.list_objects("bucket").rows
        again.delete_object("bucket", "large")
        again.delete_object("bucket", "small")
        put(again, "another", b"another")
        assert body_of(LARGE) == get(again, "copy")
        assert b"small" == get(again, "small copy")

    def test_history_is_still_there(self, store: LocalBackend, open_store: OpenStore) -> None:
        """Versions, markers, documents and the status of the bucket outlive the server; later ids still sort behind."""
        store.set_versioning("bucket", "Enabled")
        store.edit_bucket("bucket", {"policy": "{}"})
        for seed in range(3):
            put(store, "key", body_of(LARGE, seed))
        store.delete_object("bucket", "key")
        upload_all(store, "parts", [body_of(LARGE), b"end"])
        rows, info = store.list_object_versions("bucket").rows, store.get_bucket("bucket")
        store.close()
        again = open_store()
        assert info == again.get_bucket("bucket")
        assert rows == again.list_object_versions("bucket").rows
        newest = put(again, "key", b"new")
        assert [newest, *(row.stored for row in rows)] == [
            row.stored for row in again.list_object_versions("bucket").rows
        ]
        serials = [serial_of(row.stored.version_id or "") or 0 for row in rows]
        assert (serial_of(newest.version_id or "") or 0) > max(serials)
        assert body_of(LARGE) + b"end" == get(again, "parts")

    def test_uploads_go_on(self, store: LocalBackend, open_store: OpenStore, root: Path) -> None:
        """An upload that was begun before the server ended, or was killed, is completed after it, or again."""
        upload = store.create_upload("bucket", "key", FULL)
        first = put_part(store, upload, 1, body_of(LARGE))
        store.close()
        (root / "unclean").touch()
        again = open_store()
        assert [upload] == again.list_uploads("bucket").rows
        assert [first] == again.list_parts("bucket", "key", upload.upload_id).rows
        second = put_part(again, upload, 2, b"end")
        stored = complete(again, upload, [first, second])
        again.close()
        (root / "unclean").touch()
        third = open_store()
        assert stored == complete(third, upload, [first, second])
        assert body_of(LARGE) + b"end" == get(third, "key")

    def test_a_closed_store_refuses(self, store: LocalBackend) -> None:
        """After `close` every call fails; closing twice is allowed; an open reader can still be closed."""
        put(store, "key", body_of(LARGE))
        reader = store.open_object("bucket", "key")
        writer = store.begin_put("bucket", "key")
        store.close()
        store.close()
        reader.close()
        calls: list[Callable[[], object]] = [
            store.list_buckets,
            lambda: store.create_bucket("another"),
            lambda: store.head_object("bucket", "key"),
            lambda: store.list_objects("bucket"),
            lambda: writer.commit(PLAIN),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="closed"):
                call()

    def test_one_server_at_a_time(self, store: LocalBackend, open_store: OpenStore, root: Path) -> None:
        """A second opener is refused, in this process and in another one, and harms nothing; after `close` it may."""
        put(store, "key", body_of(LARGE))
        program = f"from s3func.server.backends.local import LocalBackend\nLocalBackend({str(root)!r})"
        with pytest.raises(BlockingIOError, match="another server"):
            open_store()
        other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert "BlockingIOError" in other.stderr
        with store.begin_put("bucket", "key") as writer:
            writer.write(body_of(LARGE, seed=1))
            with pytest.raises(BlockingIOError):
                open_store()
            writer.commit(PLAIN)
        assert body_of(LARGE, seed=1) == get(store, "key")
        store.close()
        assert ["key"] == keys_of(open_store())

    @pytest.mark.parametrize("name", ["file.txt", "format.txt", "tmp", "index.sqlite"])
    def test_other_directories_are_refused(self, open_store: OpenStore, root: Path, name: str) -> None:
        """A directory that holds something else is refused and not touched."""
        root.mkdir()
        (root / name).write_text("precious")
        with pytest.raises(ValueError, match="path"):
            open_store()
        assert [root / name] == list(root.iterdir())
        assert "precious" == (root / name).read_text()

    @pytest.mark.parametrize("text", ["s3func local store, format 1\n", "s3func local store, format 3\n", "NTFS", ""])
    def test_other_formats_are_refused(self, store: LocalBackend, open_store: OpenStore, root: Path, text: str) -> None:
        """A store of another format, or one whose marker is not ours, is refused and can be opened once it is."""
        put(store, "key", body_of(LARGE))
        store.close()
        ours = (root / "format").read_text()
        (root / "format").write_text(text)
        before = files_of(root)
        for _ in range(2):
            with pytest.raises(ValueError, match="path"):
                open_store()
        assert before == files_of(root)
        (root / "format").write_text(ours)
        assert ["key"] == keys_of(open_store())

    def test_a_later_index_is_refused(self, store: LocalBackend, open_store: OpenStore, root: Path) -> None:
        """An index that a later version has changed is refused and not locked afterwards."""
        store.close()
        set_user_version(root, 99)
        with pytest.raises(ValueError, match="99"):
            open_store()
        set_user_version(root, SCHEMA_VERSION)
        open_store()

    def test_a_store_that_was_hardly_begun(self, open_store: OpenStore, root: Path) -> None:
        """A server that was killed just after it made the marker file leaves a directory that can be opened."""
        root.mkdir()
        (root / "format").touch()
        open_store().create_bucket("bucket")

    @pytest.mark.parametrize("durability", ["", "DISK", "full"])
    def test_unknown_durability(self, root: Path, durability: Any) -> None:
        """A durability that does not exist is a ValueError, and nothing is made."""
        with pytest.raises(ValueError, match="durability"):
            LocalBackend(root, durability=durability)
        assert not root.exists()


def set_user_version(root: Path, version: int) -> None:
    connection = sqlite3.connect(root / "index.sqlite")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


class TestFiles:
    def test_names_come_from_nowhere(self, store: LocalBackend, root: Path, tmp_path: Path) -> None:
        """No file is named after a key or a bucket, and no key, however it is written, leads out of the store."""
        outside = tmp_path / "outside"
        outside.write_text("precious")
        keys = ["../outside", "/" + str(outside), str(outside), "..", "../../x", "zebra/quagga", "a\0b", "C:\\x", "~/x"]
        for key in keys:
            put(store, key, body_of(LARGE))
            copy(store, key, f"{key}-copy")
        assert {"outside", "store"} == {path.name for path in tmp_path.iterdir()}
        names = [path.relative_to(root).as_posix() for path in root.rglob("*")]
        for name in names:
            for word in ("bucket", "outside", "..", "zebra", "quagga", "x", "copy"):
                assert word not in name.removeprefix("index.sqlite")
        for key in keys:
            store.delete_object("bucket", key)
        assert "precious" == outside.read_text()

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
    @pytest.mark.parametrize("umask", [0o000, 0o077])
    def test_nobody_else_may_read(self, open_store: OpenStore, root: Path, umask: int) -> None:
        """Directories are 0700 and files 0600, whatever the umask is."""
        before = os.umask(umask)
        try:
            store = open_store()
            store.create_bucket("bucket")
            put(store, "key", body_of(LARGE))
            with store.begin_put("bucket", "key") as writer:
                writer.write(body_of(LARGE))
                paths = [root, *root.rglob("*")]
                assert len(paths) > 8
                for path in paths:
                    expected = 0o700 if path.is_dir() else 0o600
                    assert expected == stat.S_IMODE(path.stat().st_mode), path
        finally:
            os.umask(before)

    def test_bodies_are_removed_with_their_last_object(self, store: LocalBackend, root: Path) -> None:
        """A large body is one file, shared by its copies; it goes away with the last of them, and not before."""
        blobs = root / "blobs"
        put(store, "key", body_of(LARGE))
        copy(store, "key", "copy")
        assert 1 == len(files_of(blobs))
        for seed in (1, 2, 3):
            put(store, "key", body_of(LARGE, seed))
            assert 2 == len(files_of(blobs))
        store.delete_object("bucket", "copy")
        put(store, "small", b"small")
        assert 1 == len(files_of(blobs))
        store.delete_object("bucket", "key")
        assert [] == files_of(blobs)

    def test_completing_moves_no_byte(self, store: LocalBackend, root: Path) -> None:
        """The files of the parts become the object as they are; those of other parts are removed, and no new one is made."""
        blobs = root / "blobs"
        upload = store.create_upload("bucket", "key", PLAIN)
        parts = [put_part(store, upload, number, body_of(LARGE, number)) for number in (1, 2, 3)]
        before = {path: path.stat().st_ino for path in files_of(blobs)}
        put_part(store, upload, 4, body_of(LARGE))
        complete(store, upload, parts)
        assert before == {path: path.stat().st_ino for path in files_of(blobs)}

    def test_files_of_parts(self, store: LocalBackend, root: Path) -> None:
        """A part that is replaced, aborted, refused or left behind by its bucket leaves no file; nor does its object."""
        blobs = root / "blobs"
        upload = store.create_upload("bucket", "key", PLAIN)
        put_part(store, upload, 1, body_of(LARGE))
        part = put_part(store, upload, 1, b"small")
        assert 1 == len(files_of(blobs))
        with store.begin_part("bucket", "key", upload.upload_id, 2) as writer:
            writer.write(body_of(LARGE))
            assert 1 == len(files_of(root / "tmp"))
        with store.begin_part("bucket", "key", upload.upload_id, 2) as writer:
            writer.write(body_of(LARGE))
            complete(store, upload, [part])
            with pytest.raises(NoSuchUpload):
                writer.commit()
        assert (1, []) == (len(files_of(blobs)), files_of(root / "tmp"))
        copy(store, "key", "copy")
        put(store, "key", b"other")
        assert 1 == len(files_of(blobs))
        store.delete_object("bucket", "copy")
        assert [] == files_of(blobs)
        for _ in range(2):
            upload = store.create_upload("bucket", "key", PLAIN)
            put_part(store, upload, 1, body_of(LARGE))
        store.abort_upload("bucket", "key", upload.upload_id)
        assert 1 == len(files_of(blobs))
        store.delete_object("bucket", "key")
        store.delete_bucket("bucket")
        assert [] == files_of(blobs)

    def test_parts_wait_for_their_readers(self, store: LocalBackend, open_store: OpenStore, root: Path) -> None:
        """The files of an object that is gone go with its last reader, or when the next server starts."""
        blobs = root / "blobs"
        for key in ("one", "two"):
            upload_all(store, key, [body_of(LARGE, 1), body_of(LARGE, 2)])
        with store.open_object("bucket", "one") as first:
            with store.open_object("bucket", "one"):
                store.delete_object("bucket", "one")
            assert 4 == len(files_of(blobs))
            assert body_of(LARGE, 2) == first.read_at(LARGE, LARGE)
        first.close()
        with pytest.raises(ValueError, match="closed"):
            first.read_at(0, 1)
        assert 2 == len(files_of(blobs))
        reader = store.open_object("bucket", "two")
        put(store, "two", b"new")
        assert 2 == len(files_of(blobs))
        store.close()
        open_store()
        assert [] == files_of(blobs)
        reader.close()

    def test_damaged_parts_are_an_error(self, store: LocalBackend, root: Path) -> None:
        """A part that lost bytes, or its file, is an error of the store, never a shorter or another body."""
        upload_all(store, "key", [body_of(LARGE), body_of(LARGE)])
        path = files_of(root / "blobs")[0]
        path.write_bytes(body_of(LARGE)[:-1])
        with store.open_object("bucket", "key") as reader, pytest.raises(ServerError):
            reader.read_at(0, 2 * LARGE)
        path.unlink()
        with store.open_object("bucket", "key") as reader, pytest.raises(ServerError):
            reader.read_at(0, 2 * LARGE)
        store._database.writer.execute("DELETE FROM parts")
        with pytest.raises(ServerError):
            store.open_object("bucket", "key")

    def test_refused_bodies_leave_no_file(self, store: LocalBackend, root: Path) -> None:
        """A body that was aborted, refused by a guard, or whose bucket is gone leaves no file behind."""
        put(store, "key", body_of(LARGE))
        before = files_of(root / "blobs")
        with store.begin_put("bucket", "other") as writer:
            writer.write(body_of(LARGE))
            assert 1 == len(files_of(root / "tmp"))
        with pytest.raises(PreconditionFailed):
            put(store, "key", body_of(LARGE), guard=Precondition(if_none_match="*"))
        assert before == files_of(root / "blobs")
        with store.begin_put("bucket", "other") as writer:
            writer.write(body_of(LARGE))
            store.delete_object("bucket", "key")
            store.delete_bucket("bucket")
            with pytest.raises(NoSuchBucket):
                writer.commit(PLAIN)
        assert [] == files_of(root / "blobs") + files_of(root / "tmp")

    def test_orphans_are_collected(self, store: LocalBackend, open_store: OpenStore, root: Path) -> None:
        """After a server was killed the next start removes the bodies that no object has, and no other."""
        for number in range(20):
            put(store, f"key-{number}", body_of(LARGE + number))
        store.close()
        kept = files_of(root / "blobs")
        names = [f"{number * 11:02x}" + "5" * 30 for number in range(24)]
        for path in [*(root / "blobs" / name[:2] / name for name in names), root / "tmp" / "half-written"]:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"orphan")
        (root / "unclean").touch()
        again = open_store()
        assert kept == files_of(root / "blobs")
        assert [] == files_of(root / "tmp")
        assert [hashlib.md5(body_of(LARGE + 7)).hexdigest()] == [again.head_object("bucket", "key-7").etag]
        assert body_of(LARGE + 7) == get(again, "key-7")
        again.close()
        assert not (root / "unclean").exists()

    def test_bodies_that_cannot_be_removed(
        self, store: LocalBackend, open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A body that the system does not remove, as Windows with an open one, is removed by the next start."""

        def refuse(path: str) -> None:
            raise PermissionError(path)

        put(store, "key", body_of(LARGE))
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", refuse)
            store.delete_object("bucket", "key")
        assert 1 == len(files_of(root / "blobs"))
        store.close()
        again = open_store()
        assert [] == files_of(root / "blobs")
        put(again, "key", body_of(LARGE))
        files_of(root / "blobs")[0].unlink()
        again.delete_object("bucket", "key")
        again.close()
        assert not (root / "unclean").exists()

    def test_readers_without_pread(self, store: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the system cannot read at an offset, readers still get the bytes of theirs."""
        put(store, "key", body_of(LARGE))
        monkeypatch.delattr(os, "pread", raising=False)
        with store.open_object("bucket", "key") as reader:
            assert body_of(LARGE)[30_000:] == reader.read_at(30_000, LARGE)
            assert body_of(LARGE)[:10] == reader.read_at(0, 10)
        upload_all(store, "key", [body_of(LARGE), b"end"])
        with store.open_object("bucket", "key") as parts_reader:
            assert body_of(LARGE)[-10:] + b"en" == parts_reader.read_at(LARGE - 10, 12)

    def test_damage_is_an_error(self, store: LocalBackend, root: Path) -> None:
        """A body that lost bytes, or its file, is an error of the store, never a shorter or another body."""
        put(store, "key", body_of(LARGE))
        [path] = files_of(root / "blobs")
        path.write_bytes(body_of(LARGE)[:-1])
        with store.open_object("bucket", "key") as reader, pytest.raises(ServerError):
            reader.read_at(0, LARGE)
        path.unlink()
        with pytest.raises(ServerError):
            store.open_object("bucket", "key")

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the names of open files")
    @pytest.mark.parametrize(
        ("durability", "expected", "synchronous"), [("disk", ["tmp", "blobs", "blobs"], 2), ("os", [], 1)]
    )
    def test_what_is_synced(
        self,
        open_store: OpenStore,
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
        durability: str,
        expected: list[str],
        synchronous: int,
    ) -> None:
        """With "disk" a body and its name are on the disk before it is published, with "os" nobody waits for a disk."""
        synced: list[str] = []

        def fsync(descriptor: int) -> None:
            synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).relative_to(root).as_posix())

        store = open_store(durability)
        store.create_bucket("bucket")
        monkeypatch.setattr(os, "fsync", fsync)
        seen: list[str] = []
        put(store, "key", body_of(LARGE), guard=lambda _: seen.extend(synced))
        assert expected == [name.partition("/")[0] for name in seen]
        synced.clear()
        upload_all(store, "key", [b"part"])
        assert expected[:1] == [name.partition("/")[0] for name in synced][:1]
        assert (synchronous,) == store._database.writer.execute("PRAGMA synchronous").fetchone()


class TestTransactions:
    def test_waiting_changes_share_one(self, store: LocalBackend) -> None:
        """Changes that wait for the disk at the same time are one transaction, and a refused one stops no other."""
        put(store, "key-3", b"there already")
        statements: list[str] = []
        results: dict[int, object] = {}

        def write(number: int) -> None:
            try:
                results[number] = put(store, f"key-{number}", b"new", guard=Precondition(if_none_match="*"))
            except PreconditionFailed as error:
                results[number] = error

        threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        transactions = store._database._transactions
        with transactions._using:
            for thread in threads:
                thread.start()
            while len(transactions._waiting) < 5:
                time.sleep(0.001)
            transactions.connection.set_trace_callback(statements.append)
        for thread in threads:
            thread.join()
        transactions.connection.set_trace_callback(None)
        assert 1 == statements.count("COMMIT")
        assert isinstance(results.pop(3), PreconditionFailed)
        assert all(isinstance(result, StoredObject) for result in results.values())
        assert b"there already" == get(store, "key-3")
        assert [f"key-{number}" for number in range(6)] == keys_of(store)

    def test_a_full_disk(self, store: LocalBackend, root: Path) -> None:
        """When the index cannot grow, the put fails, nothing of it is left, and the store goes on working."""
        put(store, "key", b"old")
        writer = store._database.writer
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count = {pages}")
        attributes = ObjectAttributes(metadata={"a": "b" * 50_000})
        for size in (10_000, LARGE):
            with pytest.raises(ServerError, match="full"):
                put(store, "key", body_of(size), attributes)
        assert [] == files_of(root / "blobs")
        assert b"old" == get(store, "key")
        writer.execute("PRAGMA max_page_count = 1000000")
        put(store, "key", b"new", attributes)
        assert b"new" == get(store, "key")

    def test_interrupted(self, store: LocalBackend, open_store: OpenStore, root: Path) -> None:
        """Ctrl-C in the middle of a change undoes it, the store goes on, and the next start clears up."""

        def interrupt(current: StoredObject | None) -> None:
            raise KeyboardInterrupt

        put(store, "key", b"old")
        with pytest.raises(KeyboardInterrupt), store.begin_put("bucket", "key") as writer:
            writer.write(body_of(LARGE))
            writer.commit(PLAIN, interrupt)
        assert b"old" == get(store, "key")
        put(store, "other", body_of(LARGE))
        store.close()
        again = open_store()
        assert 1 == len(files_of(root / "blobs"))
        assert (b"old", body_of(LARGE)) == (get(again, "key"), get(again, "other"))

    def test_faults_of_a_guard_are_its_callers(self, store: LocalBackend) -> None:
        """Whatever a guard raises reaches its own caller and undoes the change."""

        def fault(current: StoredObject | None) -> None:
            raise LookupError("a mistake")

        with pytest.raises(LookupError, match="a mistake"):
            put(store, "key", body_of(LARGE), guard=fault)
        assert Deleted("key") == store.delete_object("bucket", "key")
        assert [] == keys_of(store)
