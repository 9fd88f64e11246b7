"""The Drime store against a dictionary: whatever is done here and at Drime, in any order, also without its cache."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from s3func.errors import NoSuchKey, PreconditionFailed
from s3func.server.backend import Deletion, ObjectAttributes, Precondition
from s3func.server.backends.drime import DrimeBackend, cleanup
from s3func.server.backends.drime.names import escape, split_key
from tests.contract.objects import body_of, get, put
from tests.server.drime.fake import FakeDrime
from tests.server.drime.stores import quick_backend

KEYS = st.sampled_from(["a", "a/", "a//b", "a/b", "A/b", "/x", "..", "100%", "x" * 300, "x" * 300 + "/y", "é"])
SIZES = st.sampled_from([0, 5, 200])
SMALL = 100


class Machine(RuleBasedStateMachine):
    """Bodies and metadata by key; metadata is None where nobody is bound to know it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.drime = FakeDrime()
        self.cache_path = folder / f"cache-{id(self)}.db"
        self.store = self.open()
        self.store.create_bucket("bucket")
        self.objects: dict[str, tuple[bytes, dict[str, str] | None]] = {}

    def open(self) -> DrimeBackend:
        return quick_backend(self.drime, self.cache_path, hash_bytes=SMALL)

    def seen(self) -> None:
        """What was done at Drime has been seen."""
        self.store._folders.forget()

    @rule(key=KEYS, size=SIZES, seed=st.integers(0, 3))
    def put(self, key: str, size: int, seed: int) -> None:
        metadata = {"seed": str(seed)}
        put(self.store, key, body_of(size, seed), ObjectAttributes(metadata=metadata))
        self.objects[key] = body_of(size, seed), metadata

    @rule(key=KEYS)
    def create(self, key: str) -> None:
        try:
            put(self.store, key, b"created", guard=Precondition(if_none_match="*"))
        except PreconditionFailed:
            assert key in self.objects
        else:
            assert key not in self.objects
            self.objects[key] = b"created", {}

    @rule(source=KEYS, destination=KEYS, is_refused=st.booleans())
    def copy(self, source: str, destination: str, is_refused: bool) -> None:
        if is_refused:
            self.drime.fail("duplicate", status=422)
        try:
            with self.store.begin_copy("bucket", source, "bucket", destination) as copy:
                copy.commit(copy.source)
        except NoSuchKey:
            assert source not in self.objects
        else:
            self.objects[destination] = self.objects[source]
        self.drime._faults.clear()

    @rule(keys=st.lists(KEYS, max_size=3))
    def delete(self, keys: list[str]) -> None:
        if len(keys) == 1:
            self.store.delete_object("bucket", keys[0])
        else:
            self.store.delete_objects("bucket", [Deletion(key) for key in keys])
        for key in keys:
            self.objects.pop(key, None)

    @rule(key=st.sampled_from(["a", "a/b", "w/é", "100%"]), size=SIZES)
    def upload_elsewhere(self, key: str, size: int) -> None:
        """By the web interface, which makes another file of the same name."""
        names = [escape(name) for name in split_key(key)]
        self.drime.add("/".join(["bucket", *names]), body_of(size, 9))
        self.objects[key] = body_of(size, 9), None
        self.seen()

    @rule(choice=st.integers(0, 99), size=SIZES)
    def edit_elsewhere(self, choice: int, size: int) -> None:
        """In place, under the same entry."""
        if self.objects:
            key = sorted(self.objects)[choice % len(self.objects)]
            entry = self.store._folders.files(self.store._buckets.find("bucket").folder_ids, key)[-1]
            self.drime.change(entry.id, body_of(size, 8))
            self.objects[key] = body_of(size, 8), None
            self.seen()

    @rule(how=st.sampled_from(["as it was", "rows gone", "file gone"]))
    def restart(self, how: str) -> None:
        if how == "rows gone":
            cleanup(self.store._database)
        self.store.close()
        if how == "file gone":
            self.cache_path.unlink()
        if how != "as it was":
            self.objects = {key: (body, None) for key, (body, _) in self.objects.items()}
        self.store = self.open()

    @invariant()
    def everything_is_there(self) -> None:
        rows = self.store.list_objects("bucket").rows
        assert sorted(self.objects, key=str.encode) == [row.key for row in rows]
        for row in rows:
            body, metadata = self.objects[row.key]
            head = self.store.head_object("bucket", row.key)
            for each in (row, head):
                assert len(body) == each.size
                assert each.etag in (hashlib.md5(body).hexdigest(), row.etag if row.etag.endswith("-1") else None)
            if len(body) <= SMALL:
                assert hashlib.md5(body).hexdigest() == head.etag
            if metadata is not None:
                assert metadata == head.metadata
            assert body == get(self.store, row.key)

    @invariant()
    def drime_has_nothing_else(self) -> None:
        there = [each for each in self.drime.entries.values() if not each["deleted_at"] and each["type"] != "folder"]
        # What was uploaded elsewhere over an object leaves that one until the next change.
        assert {body for body, _ in self.objects.values()} <= {self.drime.bodies[each["id"]] for each in there}
        assert [] == [each for each in there if self.drime.path(each["id"]).startswith(".s3func/")]

    def teardown(self) -> None:
        self.store.close()


@pytest.mark.parametrize("steps", [30])
def test_a_store_is_a_dictionary(steps: int, tmp_path: Path) -> None:
    """Objects are those of the model, an ETag is the MD5 of the body or none, metadata is right or absent."""

    class ThisMachine(Machine):
        def __init__(self) -> None:
            super().__init__(tmp_path)

    options: Any = {
        "max_examples": 30,
        "stateful_step_count": steps,
        "deadline": None,
        "phases": [Phase.generate],
        "report_multiple_bugs": False,
    }
    run_state_machine_as_test(ThisMachine, settings=settings(suppress_health_check=list(HealthCheck), **options))
