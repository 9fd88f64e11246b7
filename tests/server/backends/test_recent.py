"""What the local store keeps in memory of its objects: never the past."""

from __future__ import annotations

import threading

import pytest

from s3func.errors import NoSuchKey
from s3func.server.backend import StoredObject
from s3func.server.backends.local import LocalBackend, recent
from s3func.server.backends.local.recent import Recent
from s3func.server.backends.local.schema import Body
from tests.contract.objects import FULL, get, put


def found(size: int = 1, name: str = "key") -> tuple[StoredObject, Body]:
    return StoredObject(key=name, size=size, etag="", last_modified=0), Body(1, None, bytes(size))


def test_reads_go_forward_only(store: LocalBackend) -> None:
    """While one thread writes 1, 2, 3 … and deletes now and then, no reader sees a value older than one it saw, or acknowledged before it asked."""
    acknowledged, done, wrong = [0], threading.Event(), []

    def read() -> None:
        last = 0
        while not done.is_set():
            floor = acknowledged[0]
            try:
                value = int(get(store, "counter"))
            except NoSuchKey:
                continue
            if value < max(floor, last):
                wrong.append((value, floor, last))
            last = value

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 1500):
        if number % 10 == 0:
            store.delete_object("bucket", "counter")
        put(store, "counter", str(number).encode())
        acknowledged[0] = number
    done.set()
    for reader in readers:
        reader.join()
    assert [] == wrong


def test_what_is_said_of_an_object_is_forgotten_with_it(store: LocalBackend) -> None:
    """An edited object, a bucket that begins to keep versions, a delete marker: each is seen by the next reader."""
    put(store, "key", b"1", FULL)
    assert get(store, "key") == get(store, "key")
    store.edit_object("bucket", "key", {"tagging": "a=b"})
    assert "a=b" == store.head_object("bucket", "key").documents["tagging"]
    with store.open_object("bucket", "key"):
        pass
    assert store.head_object("bucket", "key").version_id is None
    store.set_versioning("bucket", "Enabled")
    assert "null" == store.head_object("bucket", "key").version_id
    with store.open_object("bucket", "key"):
        pass
    store.delete_object("bucket", "key")
    with pytest.raises(NoSuchKey):
        store.head_object("bucket", "key")


def test_nothing_is_kept_of_a_past_moment() -> None:
    """What was looked for before a transaction, or during one, is not kept after it."""
    kept = Recent()
    before = kept.moment()
    kept.begin()
    during = kept.moment()
    kept.keep(before, "bucket", "key", found())
    kept.keep(during, "bucket", "key", found())
    kept.end()
    kept.keep(before, "bucket", "key", found())
    kept.keep(during, "bucket", "key", found())
    assert kept.get("bucket", "key") is None
    kept.keep(kept.moment(), "bucket", "key", found())
    assert found() == kept.get("bucket", "key")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest objects go when there are too many, or too many bytes of them."""
    monkeypatch.setattr(recent, "ENTRIES_MAX", 3)
    monkeypatch.setattr(recent, "BYTES_MAX", 100)
    kept = Recent()
    for name in "abcd":
        kept.keep(kept.moment(), "bucket", name, found(10, name))
    assert [None, "b", "c", "d"] == [entry and entry[0].key for entry in (kept.get("bucket", name) for name in "abcd")]
    kept.keep(kept.moment(), "bucket", "e", found(90, "e"))
    assert [None, None, "d", "e"] == [entry and entry[0].key for entry in (kept.get("bucket", name) for name in "bcde")]
