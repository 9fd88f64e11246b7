"""The Drime store as its own: what lies where, what others do at Drime, faults, and servers that are killed."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import pickle
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from s3func.clock import SYSTEM_CLOCK
from s3func.errors import (
    BucketNotEmpty,
    Conflict,
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    PreconditionFailed,
    ServerError,
    ServiceError,
)
from s3func.server.backend import Deletion, ObjectAttributes, Precondition
from s3func.server.backends.drime import DrimeBackend
from s3func.server.backends.drime.service import Drime, make_client
from tests.contract.objects import PLAIN, StoppedClock, body_of, get, keys_of, put, run_threads
from tests.server.drime.conftest import OpenStore
from tests.server.drime.fake import API_KEY, FakeDrime, transport
from tests.server.drime.stores import quick_backend

FULL = ObjectAttributes(headers={"content-type": "text/css"}, metadata={"a": "b"}, owner="me")


def files_of(drime: FakeDrime, workspace: int = 0) -> dict[str, bytes]:
    return {path: body for path, body in drime.tree(workspace).items() if body is not None}


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


class TestPlaces:
    def test_keys_are_folders_and_files(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """People find their keys at Drime; what it cannot call so is escaped."""
        for key in ("a/b/c.txt", "a", "a/", "a//b", "../x", "100%", " b ", "A/b"):
            put(store, key, key.encode())
        assert {
            "bucket/a/b/c.txt": b"a/b/c.txt",
            "bucket/a": b"a",
            "bucket/a/%%": b"a/",
            "bucket/a/%2Fb": b"a//b",
            "bucket/%2E%2E/x": b"../x",
            "bucket/100%25": b"100%",
            "bucket/%20b%20": b" b ",
            "bucket/%41/b": b"A/b",
        } == files_of(drime)

    def test_folders_that_drime_takes_for_one(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """Prefixes that differ in case only are different folders, although Drime refuses such names."""
        for prefix in ("Case", "case", "CASE"):
            put(store, f"{prefix}/key", prefix.encode())
        assert ["CASE/key", "Case/key", "case/key"] == keys_of(store)
        assert [b"Case", b"case", b"CASE"] == [get(store, f"{prefix}/key") for prefix in ("Case", "case", "CASE")]

    def test_buckets_in_a_folder(self, drime: FakeDrime, open_store: OpenStore) -> None:
        """With a root folder, buckets lie in it, it is made with the first, and what is beside it is no bucket."""
        drime.add("private/diary.txt", b"secret")
        store = open_store(root_folder="/Backups/s3/")
        assert [] == store.list_buckets()
        with pytest.raises(NoSuchBucket):
            store.get_bucket("private")
        store.create_bucket("photos")
        put(store, "key", b"body", bucket="photos")
        assert ["photos"] == [info.name for info in store.list_buckets()]
        assert {"private/diary.txt": b"secret", "Backups/s3/photos/key": b"body"} == files_of(drime)
        assert ["private"] == [info.name for info in open_store().list_buckets()]

    def test_workspaces_do_not_mix(self, drime: FakeDrime, open_store: OpenStore) -> None:
        """Stores of two workspaces with one cache have their own buckets, objects and metadata under one name."""
        stores = {workspace: open_store(workspace_id=workspace) for workspace in (0, 1465)}
        for workspace, store in stores.items():
            store.create_bucket("bucket", owner=str(workspace))
            put(store, "key", str(workspace).encode(), ObjectAttributes(metadata={"w": str(workspace)}))
        for workspace, store in stores.items():
            assert str(workspace) == store.get_bucket("bucket").owner
            assert {"w": str(workspace)} == store.head_object("bucket", "key").metadata
            assert {"bucket/key": str(workspace).encode()} == files_of(drime, workspace)
        stores[0].delete_object("bucket", "key")
        assert b"1465" == get(stores[1465], "key")

    def test_services_do_not_mix(self, drime: FakeDrime, open_store: OpenStore, tmp_path: Path) -> None:
        """Two services may give the same ids; one cache keeps both apart."""
        other = FakeDrime()
        other.url = "http://other.test/api/v1"
        stores = [open_store(), quick_backend(other, tmp_path / "metadata.db")]
        try:
            for store, body in zip(stores, (b"first", b"other"), strict=True):
                store.create_bucket("bucket", owner=body.decode())
                put(store, "key", body, ObjectAttributes(metadata={"m": body.decode()}))
            assert drime.bodies.keys() == other.bodies.keys()
            for store, body in zip(stores, (b"first", b"other"), strict=True):
                head = store.head_object("bucket", "key")
                assert (md5(body), {"m": body.decode()}) == (head.etag, head.metadata)
                assert body.decode() == store.get_bucket("bucket").owner
        finally:
            stores[1].close()

    @pytest.mark.parametrize("page_style", ["last_page", "next_page", "both", "neither"])
    def test_folders_of_many_pages(
        self, page_style: str, tmp_path: Path, open_store: OpenStore, drime: FakeDrime
    ) -> None:
        """However Drime says that there is more, nothing of a folder is left out."""
        drime.page_style, drime.page_max = page_style, 7
        for number in range(50):
            drime.add(f"bucket/{number:02}", b"x")
        store = open_store()
        assert [f"{number:02}" for number in range(50)] == keys_of(store)
        assert [f"{number:02}" for number in range(21, 50)] == [
            row.key for row in store.list_objects("bucket", start_after="20").rows
        ]

    def test_listing_a_prefix_looks_there_only(
        self, store: DrimeBackend, drime: FakeDrime, open_store: OpenStore
    ) -> None:
        """With a prefix and a delimiter, folders beside and below are not listed."""
        for key in ("a/1", "a/b/2", "b/3", "c/d/e/4"):
            put(store, key)
        other = open_store()
        drime.requests.clear()
        page = other.list_objects("bucket", prefix="a/", delimiter="/")
        assert (["a/1"], ["a/b/"]) == ([row.key for row in page.rows], page.common_prefixes)
        assert 4 == drime.count("GET /drive/file-entries")  # the workspace, the bucket, a, and that b is not empty


class TestOthers:
    def test_what_was_uploaded_elsewhere(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """It is listed without an MD5, and has its own as soon as it is asked for, also in listings."""
        put(store, "ours", b"ours", FULL)
        drime.add("bucket/web/100%.txt", b"theirs")
        store._folders.forget()
        rows = {row.key: row for row in store.list_objects("bucket").rows}
        assert {"ours", "web/100%.txt"} == rows.keys()
        assert (md5(b"ours"), 6) == (rows["ours"].etag, rows["web/100%.txt"].size)
        assert rows["web/100%.txt"].etag.endswith("-1")
        assert 0 == drime.count("download")
        head = store.head_object("bucket", "web/100%.txt")
        assert (md5(b"theirs"), {"content-type": "text/plain"}) == (head.etag, head.headers)
        assert 1 == drime.count("download")
        assert md5(b"theirs") == store.list_objects("bucket").rows[1].etag
        assert b"theirs" == get(store, "web/100%.txt")
        with pytest.raises(PreconditionFailed):
            put(store, "web/100%.txt", b"new", guard=Precondition(if_none_match="*"))
        put(store, "web/100%.txt", b"new", guard=Precondition(if_match=md5(b"theirs")))
        assert {"bucket/ours": b"ours", "bucket/web/100%25.txt": b"new"} == files_of(drime)

    def test_large_ones_are_not_read(self, drime: FakeDrime, open_store: OpenStore) -> None:
        """Above the limit an ETag is no MD5 but always the same one, until the body is read on demand."""
        drime.add("bucket/large", bytes(101))
        store = open_store(hash_bytes=100)
        etags = {store.head_object("bucket", "large").etag for _ in range(2)}
        etags.add(store.list_objects("bucket").rows[0].etag)
        assert 1 == len(etags)
        assert etags.pop().endswith("-1")
        assert not store.knows("bucket", "large")
        assert store.hash_object("bucket", "large")
        assert not store.hash_object("bucket", "large")
        assert md5(bytes(101)) == store.head_object("bucket", "large").etag
        assert store.knows("bucket", "large")

    def test_what_was_changed_in_place(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """A body that was changed under the same entry has its new MD5, and no metadata of the former one."""
        put(store, "key", b"before", FULL)
        [entry_id] = drime.bodies
        drime.change(entry_id, b"after!")
        store._folders.forget()
        assert md5(b"before") != store.list_objects("bucket").rows[0].etag
        head = store.head_object("bucket", "key")
        assert (md5(b"after!"), {}) == (head.etag, head.metadata)
        assert b"after!" == get(store, "key")

    def test_what_was_touched_keeps_its_metadata(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """Where only the time at Drime is another one, the body is read once and everything stays."""
        stored = put(store, "key", b"body", FULL)
        [entry_id] = drime.bodies
        drime.change(entry_id, thumbnail=True)
        store._folders.forget()
        assert [stored, stored] == [store.head_object("bucket", "key") for _ in range(2)]
        assert 1 == drime.count("download")

    def test_what_others_do_is_seen_in_time(self, drime: FakeDrime, open_store: OpenStore) -> None:
        """A listing of a folder is used for as long as was said, and no longer."""
        clock = StoppedClock(1_000.0)
        store = open_store(refresh_seconds=30, clock=clock)
        store.create_bucket("bucket")
        drime.add("bucket/key", b"body")
        clock.time += 30
        assert [] == keys_of(store)
        clock.time += 1
        assert ["key"] == keys_of(store)
        drime.add("bucket/other", b"body")
        clock.time += 30
        assert ["key"] == keys_of(store)
        clock.time += 1
        assert ["key", "other"] == keys_of(store)

    def test_folders_that_take_long_are_used_longer(self, drime: FakeDrime, open_store: OpenStore) -> None:
        """A listing is used for ten times as long as it took, but not where it was asked to be of no use later."""
        clock = StoppedClock(1_000.0)
        stores = [open_store(refresh_seconds=seconds, clock=clock) for seconds in (30, 0)]
        drime.add("bucket/key", b"body")
        answer = drime.answer

        def slow(method: str, target: str, headers: dict[str, str], body: bytes) -> object:
            clock.time += 20
            return answer(method, target, headers, body)

        drime.answer = slow  # type: ignore[method-assign,assignment]
        for store in stores:
            assert ["key"] == keys_of(store)
        drime.add("bucket/other", b"body")
        clock.time += 90
        assert [["key"], ["key", "other"]] == [keys_of(store) for store in stores]
        clock.time += 200
        assert ["key", "other"] == keys_of(stores[0])

    def test_documents_of_what_was_not_read(self, drime: FakeDrime, open_store: OpenStore) -> None:
        """What is said about a large object of others stays when its body is read at last."""
        drime.add("bucket/large", bytes(101))
        store = open_store(hash_bytes=100)
        store.edit_object("bucket", "large", {"tagging": "<Tagging/>"})
        assert {"tagging": "<Tagging/>"} == store.head_object("bucket", "large").documents
        assert store.hash_object("bucket", "large")
        head = store.head_object("bucket", "large")
        assert (md5(bytes(101)), {"tagging": "<Tagging/>"}) == (head.etag, head.documents)

    def test_several_of_one_name(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """Of files the newest is the object, folders are one folder, and deleting a key brings no older one back."""
        drime.has_twin_folders = True
        for body in (b"one", b"two"):
            drime.add("bucket/twice", body)
        folders = [drime.add("bucket/folder"), drime.add("bucket/folder")]
        for folder, name in zip(folders, ("a", "b"), strict=True):
            drime.entries[drime.add("x", b"body")].update(parent_id=folder, name=name)
        store._folders.forget()
        assert ["folder/a", "folder/b", "twice"] == keys_of(store)
        assert b"two" == get(store, "twice")
        put(store, "folder/c", b"body")
        assert ["folder/a", "folder/b", "folder/c"] == [
            row.key for row in store.list_objects("bucket", prefix="f").rows
        ]
        store.delete_object("bucket", "twice")
        store._folders.forget()
        assert ["folder/a", "folder/b", "folder/c"] == keys_of(store)

    def test_gone_while_it_is_read(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """What others deleted or replaced under a reader is an error, never a mixture."""
        put(store, "key", body_of(100_000))
        [entry_id] = drime.bodies
        with store.open_object("bucket", "key") as reader:
            assert body_of(100_000)[:5] == reader.read_at(0, 5)
            drime.bodies[entry_id] = body_of(100_001, 1)
            with pytest.raises(Conflict):
                reader.read_at(50_000, 10)
            drime.bodies.pop(entry_id)
            with pytest.raises(Conflict):
                reader.read_at(10, 10)
        store._folders.forget()
        drime.entries.pop(entry_id)
        with pytest.raises(NoSuchKey):
            store.open_object("bucket", "key")

    def test_the_folders_were_deleted(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """Folders that others deleted meanwhile are made again, also those of the server."""
        put(store, "a/b/key", b"one")
        for entry in [*drime.entries.values()]:
            if entry["name"] in ("a", "b", ".s3func"):
                entry["deleted_at"] = "now"
        put(store, "a/b/other", b"two")
        store._folders.forget()
        assert ["a/b/other"] == keys_of(store)
        assert b"two" == get(store, "a/b/other")

    @pytest.mark.parametrize("key", ["a/new/key", "a/key", "a/b/key"])
    def test_a_prefix_was_deleted(self, key: str, store: DrimeBackend, drime: FakeDrime) -> None:
        """A put below a folder that others deleted a moment ago makes it again, although it was there when listed."""
        put(store, "a/b/old", b"old")
        for entry in drime.entries.values():
            if entry["name"] in ("a", "b", "old"):
                entry["deleted_at"] = "now"
        put(store, key, b"new")
        store._folders.forget()
        assert [key] == keys_of(store)

    def test_the_bucket_was_deleted(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """A put into a bucket that others deleted a moment ago says so, and leaves nothing."""
        put(store, "key", b"old")
        for entry in drime.entries.values():
            if entry["name"] in ("bucket", "key"):
                entry["deleted_at"] = "now"
        with pytest.raises(NoSuchBucket):
            put(store, "a/key", b"new")
        assert {} == files_of(drime)

    def test_a_bucket_with_what_others_put_in_stays(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """Before a bucket is deleted Drime is asked, for a folder goes with all that is in it; empty folders do not count."""
        put(store, "a/b/key")
        store.delete_object("bucket", "a/b/key")
        drime.add("bucket/a/c/theirs", b"x")
        with pytest.raises(BucketNotEmpty):
            store.delete_bucket("bucket")
        assert {"bucket/a/c/theirs": b"x"} == files_of(drime)
        store.delete_object("bucket", "a/c/theirs")
        store.delete_bucket("bucket")
        assert {".s3func": None} == drime.tree()

    @pytest.mark.parametrize("trash", [True, False])
    def test_trash(self, trash: bool, drime: FakeDrime, open_store: OpenStore) -> None:
        """What is deleted or overwritten is in Drime's trash, or gone, as was asked for; refused bodies are gone."""
        store = open_store(trash=trash)
        store.create_bucket("bucket")
        put(store, "key", b"one")
        put(store, "key", b"two")
        with pytest.raises(PreconditionFailed):
            put(store, "key", b"refused", guard=Precondition(if_none_match="*"))
        store.delete_object("bucket", "key")
        assert ({b"one", b"two"} if trash else set()) == {*drime.bodies.values()}


class TestFaults:
    @pytest.mark.parametrize("status", [500, 502, 429, None])
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(
        "pattern", ["POST /uploads", "POST /folders", "PUT /file-", "move", "delete", "GET /drive", "GET /file-.*load"]
    )
    def test_one_failure_is_survived(
        self, pattern: str, when: str, status: int | None, store: DrimeBackend, drime: FakeDrime
    ) -> None:
        """Whichever request fails once, before or after it did something: everything is as it should be."""
        put(store, "x/old", b"old")
        store._folders.forget()
        drime.fail(pattern, status=status, when=when)
        put(store, "x/old", b"new", FULL)
        put(store, "y/z w", b"other")
        assert b"new" == get(store, "x/old")
        store.delete_object("bucket", "y/z w")
        assert 0 == drime.faults_left
        store._folders.forget()
        assert [("x/old", {"a": "b"}, md5(b"new"))] == [
            (row.key, row.metadata, row.etag) for row in store.list_objects("bucket").rows
        ]
        assert {"bucket/x/old"} == {path for path in files_of(drime) if not path.startswith(".s3func/")}

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("pattern", ["POST /uploads", "PUT /file-", "move", "POST /file-entries/delete"])
    def test_an_overwrite_that_fails(self, pattern: str, when: str, store: DrimeBackend, drime: FakeDrime) -> None:
        """Without an end of failures the old object stays, or the new one is there whole: never neither."""
        put(store, "k ey", b"old", FULL)
        drime.fail(pattern, status=500, when=when, times=1000)
        try:
            put(store, "k ey", b"new")
            expected = b"new"
        except ServiceError as error:
            assert 503 == error.status
            # The answer was lost, and then every question: a store may have done it and cannot know.
            expected = b"new" if (pattern, when) == ("move", "after") else b"old"
        drime._faults.clear()
        store._folders.forget()
        assert expected == get(store, "k ey")
        assert md5(expected) == store.head_object("bucket", "k ey").etag
        assert (expected == b"old") == (store.head_object("bucket", "k ey").metadata == {"a": "b"})

    @pytest.mark.parametrize("key", ["big", "big file.bin"])
    def test_large_bodies(self, key: str, store: DrimeBackend, drime: FakeDrime, drime_url: str) -> None:
        """A body above pydrime's limit goes in parts to URLs of their own; one that fails is sent again."""
        body = body_of(31 * 1024 * 1024)
        drime.fail("presigned", status=500)
        assert md5(body) == put(store, key, body).etag
        assert body == get(store, key)
        assert 3 == drime.count("PUT /presigned")

    def test_large_bodies_do_not_stay_in_memory(
        self, store: DrimeBackend, drime: FakeDrime, drime_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a body that is sent in chunks a few are in memory at a time, however many there are."""
        answer = drime.answer
        alive: list[int] = []
        sent: weakref.WeakSet[httpx.Request] = weakref.WeakSet()
        make = httpx.Request.__init__

        def made(request: httpx.Request, method: str, url: Any, **options: Any) -> None:
            make(request, method, url, **options)
            if "/presigned/" in str(request.url):
                sent.add(request)

        def watched(method: str, target: str, headers: dict[str, str], body: bytes) -> object:
            if "/presigned/" in target:
                alive.append(len(sent))
            return answer(method, target, headers, body)

        monkeypatch.setattr(httpx.Request, "__init__", made)
        drime.answer = watched  # type: ignore[method-assign,assignment]
        put(store, "key", bytes(100 * 1024 * 1024))
        assert 7 == len(alive)
        assert max(alive) <= 3

    @pytest.mark.parametrize("has_ranges", [True, False])
    def test_ranges(self, has_ranges: bool, store: DrimeBackend, drime: FakeDrime) -> None:
        """Any part of a body is read, also from a Drime that sends the whole body for it."""
        drime.ranges = has_ranges
        body = body_of(100_000)
        put(store, "key", body)
        with store.open_object("bucket", "key") as reader:
            for offset, size in ((50_000, 10), (50_010, 20), (0, 5), (5, 7), (99_999, 10), (10, 100_000)):
                assert body[offset : offset + size] == reader.read_at(offset, size)

    def test_a_range_is_all_that_is_asked_for(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """Who reads ten bytes of the middle does not have the rest sent; who reads on is sent more and more at once."""
        put(store, "key", bytes(30_000_000))
        targets: list[str] = []
        answer = drime.answer

        def watched(method: str, target: str, headers: dict[str, str], body: bytes) -> object:
            targets.append(headers.get("range", ""))
            return answer(method, target, headers, body)

        drime.answer = watched  # type: ignore[method-assign,assignment]
        with store.open_object("bucket", "key") as reader:
            reader.read_at(1_000, 10)
            for place in range(1_010, 20_000_000, 1_000_000):
                reader.read_at(place, 1_000_000)
        ranges = [each.removeprefix("bytes=").split("-") for each in targets if each]
        sizes = [int(end) - int(start) + 1 for start, end in ranges]
        assert [10, 8 << 20, 16 << 20] == sizes

    def test_a_listing_that_changes_is_listed_again(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """A folder whose pages do not fit together is not taken for all of it."""
        for number in range(20):
            drime.add(f"bucket/{number:02}", b"x")
        drime.page_max = 5
        answer, gone = drime.answer, drime.add("bucket/!first", b"x")

        def changed(method: str, target: str, headers: dict[str, str], body: bytes) -> object:
            given = answer(method, target, headers, body)
            if "page=2" in target:
                drime.entries.pop(gone, None)
            return given

        drime.answer = changed  # type: ignore[method-assign,assignment]
        store._folders.forget()
        assert [f"{number:02}" for number in range(20)] == keys_of(store)

    @pytest.mark.parametrize("status", [500, 200, 401, 403, 429, 404])
    def test_a_listing_that_fails_is_an_error(self, status: int, store: DrimeBackend, drime: FakeDrime) -> None:
        """Never is a folder that could not be listed taken for an empty one, whatever Drime answers."""
        put(store, "key", b"body")
        store._folders.forget()
        drime.fail("GET /drive", status=status, times=100)
        with pytest.raises(ServiceError) as caught:
            store.list_objects("bucket")
        assert caught.value.status in (500, 503)
        with pytest.raises(ServiceError):
            store.delete_bucket("bucket")
        assert {"bucket/key": b"body"} == files_of(drime)

    def test_a_download_elsewhere(self, drime: FakeDrime, drime_url: str, tmp_path: Path) -> None:
        """Drime may send whoever reads to another URL; the range goes along, the key goes to Drime only."""
        drime.redirects = True
        settings = {"api_key": API_KEY, "api_url": drime_url, "cache_path": str(tmp_path / "cache.db")}
        backend = DrimeBackend.from_settings(settings)
        try:
            backend.create_bucket("bucket")
            put(backend, "key", body_of(50_000))
            with backend.open_object("bucket", "key") as reader:
                assert body_of(50_000)[20_000:20_010] == reader.read_at(20_000, 10)
        finally:
            backend.close()
        assert 1 == drime.count("GET /presigned/download")

    def test_an_upload_that_drime_left_half_done(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """An entry that is of nobody is no upload: it is deleted and sent again, and nobody ever sees it."""
        drime.incomplete = 2
        put(store, "key", b"body")
        assert 3 == drime.count("POST /uploads")
        assert {"bucket/key": b"body"} == files_of(drime)

    def test_a_part_that_the_disk_lost(self, store: DrimeBackend, drime: FakeDrime, tmp_path: Path) -> None:
        """A part that is not what was sent makes no object; it can be sent again."""
        upload = store.create_upload("bucket", "key", PLAIN)

        def send() -> tuple[int, str]:
            with store.begin_part("bucket", "key", upload.upload_id, 1) as writer:
                writer.write(b"part")
                return 1, writer.commit().etag

        def complete(part: tuple[int, str]) -> None:
            with store.begin_complete("bucket", "key", upload.upload_id, [part]) as completion:
                completion.commit(PLAIN)

        for damage in (lambda path: path.write_bytes(b"tra\0"), Path.unlink):
            part = send()
            [path] = (tmp_path / "metadata.db.uploads").glob("part-*")
            damage(path)
            with pytest.raises(InvalidRequest) as caught:
                complete(part)
            assert "InvalidPart" == caught.value.code
            assert [] == keys_of(store)
        complete(send())
        assert b"part" == get(store, "key")
        assert [] == [*(tmp_path / "metadata.db.uploads").glob("part-*")]

    def test_a_copy_that_drime_refuses(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """Where Drime does not copy, the body is read and sent, with the same result."""
        put(store, "source", b"body", FULL)
        drime.fail("duplicate", status=422)
        with store.begin_copy("bucket", "source", "bucket", "copy") as copy:
            copied = copy.commit(copy.source)
        assert (md5(b"body"), {"a": "b"}) == (copied.etag, copied.metadata)
        assert {"bucket/source": b"body", "bucket/copy": b"body"} == files_of(drime)

    def test_deletions_of_what_is_gone(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """A batch in which something has gone already deletes the rest."""
        for key in "abc":
            put(store, key)
        drime.entries[min(drime.bodies)]["deleted_at"] = "now"
        results = store.delete_objects("bucket", [Deletion(key) for key in "abcd"])
        assert 0 == sum(isinstance(each, ServiceError) for each in results)
        store._folders.forget()
        assert [] == keys_of(store)


class TestThreads:
    def test_a_folder_is_made_once(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """Of many threads that need the same new folders one makes each, also where Drime would make two."""
        drime.has_twin_folders = True
        results = run_threads([partial(put, store, f"a/b/c/{number}", b"x") for number in range(16)])
        assert 0 == sum(isinstance(each, Exception) for each in results), results
        assert ["a", "b", "bucket", "c"] == sorted(
            entry["name"]
            for entry in drime.entries.values()
            if entry["type"] == "folder" and entry["name"] != ".s3func"
        )
        assert 16 == len(keys_of(store))

    @pytest.mark.parametrize("has_twins", [True, False])
    def test_servers_that_make_the_same_folders(self, has_twins: bool, drime: FakeDrime, open_store: OpenStore) -> None:
        """Two servers that make the same folders at once both succeed, and each sees what both put there."""
        drime.has_twin_folders = has_twins
        stores = [open_store(refresh_seconds=0), open_store(refresh_seconds=0)]
        stores[0].create_bucket("bucket")
        works = [partial(put, stores[number % 2], f"a/b/{number}", b"x") for number in range(12)]
        results = run_threads(works)
        assert 0 == sum(isinstance(each, Exception) for each in results), results
        for store in stores:
            assert sorted(f"a/b/{number}" for number in range(12)) == keys_of(store)

    def test_many_folders_are_listed_side_by_side(self, drime: FakeDrime, open_store: OpenStore) -> None:
        """A listing through many folders asks for several at once, each once, and for none behind its prefix."""
        for number in range(40):
            drime.add(f"bucket/a/{number:02}/file", b"x")
            drime.add(f"bucket/b/{number:02}/file", b"x")
        store = open_store()
        at_once = most = 0
        lock = threading.Lock()
        answer = drime.answer

        def watched(method: str, target: str, headers: dict[str, str], body: bytes) -> object:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.005)
            try:
                return answer(method, target, headers, body)
            finally:
                with lock:
                    at_once -= 1

        drime.answer = watched  # type: ignore[method-assign,assignment]
        assert [f"a/{number:02}/file" for number in range(40)] == [
            row.key for row in store.list_objects("bucket", prefix="a/").rows
        ]
        assert 2 <= most <= 8
        assert 43 == drime.count("GET /drive/file-entries")
        assert 1 == len(store.list_objects("bucket", prefix="b/", limit=1).rows)
        store.close()
        assert drime.count("GET /drive/file-entries") <= 43 + 1 + 9

    def test_changes_of_buckets_and_objects_at_once(self, store: DrimeBackend) -> None:
        """Uploads that are completed while buckets come and go all end, and wait for nobody for ever."""

        def complete(number: int) -> None:
            for turn in range(6):
                upload = store.create_upload("bucket", f"key-{number % 2}", PLAIN)
                with store.begin_part("bucket", upload.key, upload.upload_id, 1) as writer:
                    writer.write(bytes([turn]))
                    part = writer.commit()
                with store.begin_complete("bucket", upload.key, upload.upload_id, [(1, part.etag)]) as completion:
                    completion.commit(PLAIN)

        def come_and_go(number: int) -> None:
            for _ in range(6):
                store.create_bucket(f"other-{number}")
                store.edit_bucket("bucket", {"policy": str(number)})
                store.delete_bucket(f"other-{number}")

        works = [partial(work, number) for number in range(4) for work in (complete, come_and_go)]
        assert [None] * 8 == run_threads(works)
        assert ["key-0", "key-1"] == keys_of(store)

    def test_a_listing_does_not_undo_a_put(self, store: DrimeBackend, drime: FakeDrime) -> None:
        """An object that was stored while its folder was being listed is seen, although that listing came without it."""
        put(store, "old", b"x")
        answer = drime.answer
        is_listed, is_stored = threading.Event(), threading.Event()
        listers: list[threading.Thread] = []

        def slow(method: str, target: str, headers: dict[str, str], body: bytes) -> object:
            if "/file-entries/move" in target:
                store._folders.forget()
                listers.append(threading.Thread(target=keys_of, args=(store,)))
                listers[0].start()
                is_listed.wait(10)
            given = answer(method, target, headers, body)
            if "/drive/" in target and "parentIds=0" not in target:
                is_listed.set()
                is_stored.wait(10)
            return given

        drime.answer = slow  # type: ignore[method-assign,assignment]
        put(store, "new", b"y")
        is_stored.set()
        listers[0].join()
        assert ["new", "old"] == keys_of(store)

    def test_gone_before_it_was_opened(self, store: DrimeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is deleted between the look and the opening is not there; what is replaced is the new one."""
        known = store._objects.known
        changes: list[Callable[[], object]] = [
            lambda: put(store, "key", b"new!"),
            lambda: store.delete_object("bucket", "key"),
        ]

        def slow(*arguments: Any, **options: Any) -> Any:
            found = known(*arguments, **options)
            if changes:
                changes.pop(0)()
            return found

        put(store, "key", b"old")
        monkeypatch.setattr(store._objects, "known", slow)
        change = changes.pop()
        with store.open_object("bucket", "key") as reader:
            assert b"new!" == reader.read_at(0, 10)
        changes.append(change)
        with pytest.raises(NoSuchKey):
            store.open_object("bucket", "key")

    @pytest.mark.parametrize("fails", [False, True])
    def test_the_last_commit_wins(self, fails: bool, store: DrimeBackend, drime: FakeDrime) -> None:
        """What counts is the order of commits, not that of uploads, and it still does after a restart.

        Where that cannot be had, because the object that was sent later cannot be deleted, that one stays.
        """
        answer = drime.answer
        may_publish = threading.Event()
        is_uploaded = threading.Event()

        def held(method: str, target: str, headers: dict[str, str], body: bytes) -> object:
            given = answer(method, target, headers, body)
            if "/uploads" in target and b"first" in body:
                is_uploaded.set()
                may_publish.wait(10)
            return given

        drime.answer = held  # type: ignore[method-assign,assignment]
        results: list[Any] = []
        slow = threading.Thread(target=lambda: results.extend(run_threads([partial(put, store, "key", b"first")])))
        slow.start()
        is_uploaded.wait(10)
        put(store, "key", b"second")
        if fails:
            drime.fail("/file-entries/delete", status=500, times=4)
        may_publish.set()
        slow.join()
        assert fails is isinstance(results[0], ServiceError)
        winner = b"second" if fails else b"first"
        assert winner == get(store, "key")
        store._folders.forget()
        assert winner == get(store, "key")
        assert {"bucket/key": winner} == files_of(drime)


class TestRestart:
    def test_everything_is_known_again(self, drime: FakeDrime, open_store: OpenStore) -> None:
        """A new server on the same cache has the same objects, with no body read for it."""
        first = open_store()
        first.create_bucket("bucket", owner="me", region="eu-west-1")
        stored = put(first, "a/key", b"body", FULL)
        upload = first.create_upload("bucket", "parts", FULL)
        with first.begin_part("bucket", "parts", upload.upload_id, 1) as writer:
            writer.write(b"part")
            part = writer.commit()
        first.close()
        second = open_store()
        assert stored == second.head_object("bucket", "a/key")
        assert ("me", "eu-west-1") == (second.get_bucket("bucket").owner, second.get_bucket("bucket").region)
        assert [upload] == second.list_uploads("bucket").rows
        with second.begin_complete("bucket", "parts", upload.upload_id, [(1, part.etag)]) as completion:
            completion.commit(upload.attributes)
        assert b"part" == get(second, "parts")
        assert 1 == drime.count("download")

    def test_without_its_cache(self, drime: FakeDrime, open_store: OpenStore, tmp_path: Path) -> None:
        """A server that lost its cache has every object, reads bodies for their MD5s, and makes up no metadata."""
        first = open_store()
        first.create_bucket("bucket")
        put(first, "key", b"body", FULL)
        first.close()
        for path in tmp_path.glob("metadata.db*"):
            if path.is_file():
                path.unlink()
        second = open_store()
        head = second.head_object("bucket", "key")
        assert (md5(b"body"), 4, {}) == (head.etag, head.size, head.metadata)

    @pytest.mark.parametrize("pattern", ["POST /uploads", "move", "POST /file-entries/delete"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_killed_at_any_request(
        self, pattern: str, when: str, drime: FakeDrime, open_store: OpenStore, tmp_path: Path
    ) -> None:
        """A server that ends in the middle of an overwrite leaves the old object or the new one; leftovers are swept."""

        class Killed(BaseException):
            """What no handler survives."""

        first = open_store()
        first.create_bucket("bucket")
        put(first, "key", b"old", FULL)
        answer = drime.answer

        def kill(method: str, target: str, headers: dict[str, str], body: bytes) -> object:
            if pattern.rsplit(maxsplit=1)[-1] not in target:
                if dead:
                    raise Killed
                return answer(method, target, headers, body)
            if when == "after":
                answer(method, target, headers, body)
            dead.append(True)
            raise Killed

        dead: list[bool] = []
        drime.answer = kill  # type: ignore[method-assign,assignment]
        with pytest.raises(Killed):
            put(first, "key", b"new", ObjectAttributes(metadata={"c": "d"}))
        drime.answer = answer  # type: ignore[method-assign]
        # What was left is old enough to be swept, by Drime's clock.
        drime.begin += timedelta(days=2)
        second = open_store()
        is_new = pattern != "POST /uploads" and (pattern, when) != ("move", "before")
        assert (b"new" if is_new else b"old") == get(second, "key")
        expected = (md5(b"new"), {"c": "d"}) if is_new else (md5(b"old"), {"a": "b"})
        head = second.head_object("bucket", "key")
        assert expected == (head.etag, head.metadata)
        put(second, "key", b"newer")
        assert {"bucket/key": b"newer"} == files_of(drime)

    def test_left_files_are_removed(self, open_store: OpenStore, tmp_path: Path) -> None:
        """Files that a killed server spooled are gone with the next start, those of a running one are not."""
        root = tmp_path / "metadata.db.uploads"
        first = open_store()
        dead = root / "spool-999999999-ab"
        dead.mkdir()
        (dead / "file").write_bytes(b"x")
        second = open_store()
        assert 2 == len([*root.glob("spool-*")])
        first.close()
        second.close()
        assert [] == [*root.glob("spool-*")]
        # In a container the server that was killed had the number of this one.
        (root / f"spool-{os.getpid()}-ab").mkdir()
        open_store()
        assert 1 == len([*root.glob("spool-*")])


class TestSecrets:
    def test_the_key_is_nowhere(
        self, drime: FakeDrime, drime_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither errors nor their traces, logs of every level, nor what a store shows of itself has the API key."""
        caplog.set_level(logging.NOTSET)
        logging.getLogger().setLevel(1)
        settings = {"api_key": API_KEY, "api_url": drime_url, "cache_path": str(tmp_path / "cache.db")}
        said = [DrimeBackend.place_of(settings)]
        backend = DrimeBackend.from_settings(settings)
        backend._drime._client.retry_delay = 0.0
        try:
            backend.create_bucket("bucket")
            put(backend, "key", b"body")
            said += [repr(backend), repr(backend._drime), str(vars(backend._drime).keys())]
            for status in (401, 500, 422, 200):
                drime.fail(".", status=status, times=1)
                backend._folders.forget()
                drime.fail("GET /drive", status=status, times=50)
                with pytest.raises(ServiceError) as caught:
                    backend.list_objects("bucket")
                said += [str(caught.value), "".join(traceback.format_exception(caught.value))]
                drime._faults.clear()
            with pytest.raises(TypeError):
                pickle.dumps(backend)
        finally:
            backend.close()
        with pytest.raises(ServerError) as refused:
            DrimeBackend.from_settings({**settings, "api_key": "another-key"})
        said += [str(refused.value), caplog.text, *(str(record.__dict__) for record in caplog.records)]
        assert f"Bearer {API_KEY}" in drime.authorizations
        assert [] == [text for text in said if API_KEY in text or "another-key" in text]

    def test_presigned_urls_are_not_shown(self, store: DrimeBackend, drime: FakeDrime, drime_url: str) -> None:
        """Who may upload with a URL needs no key, so its signature is in no error either."""
        drime.fail("presigned", status=500, times=1000)
        with pytest.raises(ServiceError) as caught:
            put(store, "big", bytes(31 * 1024 * 1024))
        assert "Signature" not in "".join(traceback.format_exception(caught.value))

    def test_the_environment_stays(self, tmp_path: Path) -> None:
        """A file `.env` of the working directory, which pydrime reads, changes no variable of the server."""
        import subprocess
        import sys

        (tmp_path / ".env").write_text("AWS_ACCESS_KEY_ID=from-a-file\nDRIME_API_URL=http://evil.test\n")
        code = (
            "import os; before = dict(os.environ)\n"
            "from s3func.server.backends.drime.service import make_client\n"
            "client = make_client('key', 'http://drime.test'); client.close()\n"
            "assert before == dict(os.environ); print(client.api_url)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (0, "http://drime.test\n") == (done.returncode, done.stdout), done.stderr

    def test_private_files(self, store: DrimeBackend, tmp_path: Path) -> None:
        """The cache and what is spooled can be read by their owner only."""
        paths = [tmp_path / "metadata.db", tmp_path / "metadata.db.uploads"]
        assert [0, 0] == [path.stat().st_mode & 0o077 for path in paths]


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"workspace_id": -1}, "workspace_id"),
            ({"refresh_seconds": -5}, "refresh_seconds"),
            ({"hash_mib": -1}, "hash_mib"),
        ],
    )
    def test_bad_settings(self, settings: dict[str, int], said: str) -> None:
        """What cannot be is refused before anything is asked, by the name of the setting."""
        with pytest.raises(ValueError, match=said):
            DrimeBackend.from_settings({"api_key": "key", **settings})

    def test_a_cache_that_is_none(self, open_store: Callable[..., DrimeBackend], tmp_path: Path) -> None:
        """A file that is something else, or of a later version, is left as it is."""
        path = tmp_path / "metadata.db"
        path.write_bytes(b"something else, and long enough to be no empty database" * 10)
        with pytest.raises(ValueError, match="cache_path"):
            open_store()
        assert path.read_bytes().startswith(b"something else")
        gc.collect()

    def test_reading_is_refused_when_closed(self, store: DrimeBackend) -> None:
        """A closed store answers nothing, and closing it twice is allowed."""
        store.close()
        store.close()
        with pytest.raises(Exception, match="closed"):
            store.create_upload("bucket", "key", PLAIN)


def test_pydrime_is_asked_for_what_it_sends() -> None:
    """The fake answers the client of the real package: a workspace, a folder, a file, its name and its end."""
    fake = FakeDrime()
    client = make_client(API_KEY, fake.url, retry_delay=0.0)
    client._client = httpx.Client(transport=transport(fake), headers={"Authorization": f"Bearer {API_KEY}"})
    service = Drime(client, 3, SYSTEM_CLOCK)
    folder = service.create_folder("folder", None)
    assert (True, None, 0) == (folder.is_folder, folder.parent_id, folder.size)
    assert [folder] == service.list_folder(None)
    assert folder == service.entry(folder.id)
    assert "name" == service.rename(folder.id, "name").name
    service.delete([folder.id], forever=True)
    assert (None, []) == (service.entry(folder.id), service.list_folder(None))
    service.close()
