"""What is left of a local store whose server was killed: everything that it had acknowledged, and nothing half."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from s3func.server.backend import Deletion, StoredObject
from s3func.server.backends.local import LocalBackend
from tests.server.backends import writers
from tests.server.backends.writers import PLAIN, VERSIONED

THREADS = 8
INSTANTS = 50


class Write(NamedTuple):
    """One line of the writers."""

    bucket: str
    key: str
    number: int
    version: str

    @property
    def thread(self) -> str:
        return self.key.partition("/")[0]


def run_until_killed(root: Path, acknowledgements: int, seconds: float) -> list[Write]:
    """Let the writers work until that many writes are acknowledged and a moment longer; return all that were."""
    command = [sys.executable, writers.__file__, str(root), str(THREADS)]
    writes = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            bucket, key, number, version = line.split()
            writes.append(Write(bucket, key, int(number), version))
            if len(writes) == acknowledgements:
                time.sleep(seconds)
                process.kill()
    assert len(writes) >= acknowledgements
    return writes


@contextmanager
def opened(root: Path) -> Iterator[LocalBackend]:
    store = LocalBackend(root, durability="os")
    try:
        yield store
    finally:
        store.close()


def check_whole(store: LocalBackend, bucket: str, stored: StoredObject) -> int:
    """The object has the body and the ETag of the write that its metadata names; return the number of that write."""
    key, number = stored.metadata["key"], int(stored.metadata["number"])
    assert stored.key.removesuffix("-copy") == key
    parts = writers.parts_of(number)
    bodies = [writers.body_of(key, number, part) for part in parts] or [writers.body_of(key, number)]
    digests = [hashlib.md5(body).digest() for body in bodies]
    expected = f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(parts)}" if parts else digests[0].hex()
    with store.open_object(bucket, stored.key, stored.version_id) as reader:
        assert b"".join(bodies) == reader.read_at(0, stored.size + 1)
        assert parts == [part.number for part in reader.parts]
    assert expected == stored.etag
    return number


def check_current(store: LocalBackend, bucket: str, writes: list[Write]) -> list[str]:
    """Every key holds what was acknowledged last, or what came after it; return the threads of the latter."""
    last = {write.key: write.number for write in writes if write.bucket == bucket}
    current = {row.key: check_whole(store, bucket, row) for row in store.list_objects(bucket, limit=10_000).rows}
    under_way = []
    for key in last.keys() | current.keys():
        acknowledged, found = last.get(key, 0), current.get(key, 0)
        if acknowledged <= 0 or found != acknowledged:
            # Nothing where something was acknowledged: it is being deleted. Otherwise what is there is newer.
            assert found > abs(acknowledged) or (found == 0 and not key.endswith("-copy")), (key, acknowledged, found)
            if found != 0 or acknowledged > 0:
                under_way.append(key.partition("/")[0])
    return under_way


def check_history(store: LocalBackend, writes: list[Write]) -> list[str]:
    """Every acknowledged version is there, under its id; return the threads of those that nobody was told of."""
    known = {write.version: write for write in writes if write.bucket == VERSIONED}
    under_way = []
    found = set()
    for row in store.list_object_versions(VERSIONED, limit=100_000).rows:
        version_id = row.stored.version_id or ""
        found.add(version_id)
        number = 0 if row.stored.delete_marker else check_whole(store, VERSIONED, row.stored)
        if version_id in known:
            assert (row.key, number) == (known[version_id].key, max(known[version_id].number, 0))
        else:
            under_way.append(row.key.partition("/")[0])
    assert known.keys() <= found
    return under_way


def clear(store: LocalBackend) -> None:
    """Remove everything: what is left afterwards was nobody's."""
    for bucket in (PLAIN, VERSIONED):
        rows = store.list_object_versions(bucket, limit=100_000).rows
        store.delete_objects(bucket, [Deletion(row.key, row.stored.version_id) for row in rows])
        for upload in store.list_uploads(bucket, limit=100_000).rows:
            store.abort_upload(bucket, upload.key, upload.upload_id)


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("seed", range(5))
def test_killed_at_any_instant(tmp_path: Path, seed: int) -> None:
    """Whatever was acknowledged is there and whole, every listed object has its ETag, and no file is too many."""
    chance = random.Random(seed)
    root = tmp_path / "store"
    with opened(root) as store:
        store.create_bucket(PLAIN)
        store.create_bucket(VERSIONED)
        store.set_versioning(VERSIONED, "Enabled")
    for _ in range(INSTANTS // 5):
        writes = run_until_killed(root, chance.choice([1, 8, 30, 80, 150]), chance.random() * 0.02)
        with opened(root) as store:
            assert set(store._database.blobs()) == files_of(root / "blobs")
            assert set() == files_of(root / "tmp")
            plain = check_current(store, PLAIN, writes)
            assert set(check_current(store, VERSIONED, writes)) <= set(history := check_history(store, writes))
            # A writer has one write under way at most.
            assert len(set(plain + history)) == len(plain + history)
            clear(store)
            assert set() == files_of(root / "blobs")
