"""Versions, uploads, copies and deletions in any order, on every store with all powers, against a model of lists.

The model is what S3's documentation says, written down without regard to cost: per key a list of versions, newest
first; the object is the first of them, unless that is a delete marker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from s3func.errors import BucketNotEmpty, NoSuchKey, NoSuchUpload, NoSuchVersion, ServiceError
from s3func.server.backend import Backend, Deleted, Part, StoredObject
from s3func.server.backends.local import LocalBackend
from s3func.server.backends.memory import MemoryBackend
from s3func.server.powers import Editable, Multipart, Upload, Versioned
from tests.contract.objects import PLAIN, StoppedClock, body_of, get, put, stores_with

BUCKET = "bucket"
KEYS = ["a", "a/", "b"]
SIZES = [0, 10, 16_385]


class FullBackend(Backend, Versioned, Multipart, Editable, Protocol):
    """A store with all powers."""


@dataclass(eq=False)
class ModelVersion:
    """One version; without parts it is a delete marker. A put has one part, which is not numbered."""

    version_id: str | None
    bodies: list[bytes] | None
    etag: str = ""
    documents: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return b"".join(self.bodies or [])


@dataclass(eq=False)
class ModelUpload:
    """An upload, its parts, and once it is completed: with what, and as what."""

    upload: Upload
    parts: dict[int, tuple[Part, bytes]] = field(default_factory=dict)
    completed: tuple[list[tuple[int, str]], StoredObject] | None = None


class Machine(RuleBasedStateMachine):
    """Does the same to a store and to the model, and compares them after every step."""

    uploads: Bundle[ModelUpload] = Bundle("uploads")
    completed: Bundle[ModelUpload] = Bundle("completed")

    def __init__(self, make: Callable[[], FullBackend], reopen: Callable[[FullBackend], FullBackend] | None) -> None:
        super().__init__()
        self.store = make()
        self.reopen = reopen
        self.status = ""
        self.versions: dict[str, list[ModelVersion]] = {}
        self.open_uploads: list[ModelUpload] = []
        self.store.create_bucket(BUCKET)

    # The model.

    def current(self, key: str) -> ModelVersion | None:
        found = next(iter(self.versions.get(key, [])), None)
        return None if found is None or found.bodies is None else found

    def named(self, key: str, version_id: str) -> ModelVersion | None:
        return next((each for each in self.versions.get(key, []) if (each.version_id or "null") == version_id), None)

    def add(self, key: str, version: ModelVersion) -> None:
        versions = self.versions.setdefault(key, [])
        if self.status != "Enabled":
            versions[:] = [each for each in versions if each.version_id not in (None, "null")]
        versions.insert(0, version)

    def check_id(self, version_id: str | None) -> None:
        """The id of a new version is of the kind that the status demands."""
        if self.status == "Enabled":
            assert version_id not in (None, "null")
            known = {each.version_id for versions in self.versions.values() for each in versions}
            assert version_id not in known
        else:
            assert ("null" if self.status else None) == version_id

    def added(self, key: str, stored: StoredObject, bodies: list[bytes], etag: str, documents: dict[str, str]) -> None:
        self.check_id(stored.version_id)
        assert (key, sum(map(len, bodies)), etag) == (stored.key, stored.size, stored.etag)
        assert documents == stored.documents
        self.add(key, ModelVersion(stored.version_id, bodies, etag, dict(documents)))

    def pick(self, key: str, place: int) -> ModelVersion | None:
        """One of the key's versions, or None when the place is 0 or there is none."""
        versions = self.versions.get(key, [])
        return versions[(place - 1) % len(versions)] if versions and place else None

    # What is done.

    @initialize(status=st.sampled_from(["", "Enabled", "Suspended"]))
    def begin(self, status: str) -> None:
        if status:
            self.set_versioning(status)

    @rule(status=st.sampled_from(["Enabled", "Suspended"]))
    def set_versioning(self, status: Any) -> None:
        self.store.set_versioning(BUCKET, status)
        if not self.status:
            for versions in self.versions.values():
                for version in versions:
                    version.version_id = "null"
        self.status = status

    @rule(key=st.sampled_from(KEYS), size=st.sampled_from(SIZES), seed=st.integers(0, 9))
    def put(self, key: str, size: int, seed: int) -> None:
        body = body_of(size, seed)
        self.added(key, put(self.store, key, body), [body], hashlib.md5(body).hexdigest(), {})

    @rule(source=st.sampled_from(KEYS), destination=st.sampled_from(KEYS), place=st.integers(0, 4))
    def copy(self, source: str, destination: str, place: int) -> None:
        """From the current object, or from one of the versions."""
        picked = self.pick(source, place)
        version_id = None if picked is None else picked.version_id or "null"
        model = picked or self.current(source)
        try:
            with self.store.begin_copy(BUCKET, source, BUCKET, destination, source_version_id=version_id) as copy:
                stored = copy.commit(copy.source)
        except ServiceError as error:
            assert model is None or model.bodies is None
            assert isinstance(error, NoSuchKey) or (version_id is not None and error.status == 405)
            return
        assert model is not None
        assert model.bodies is not None
        self.added(destination, stored, model.bodies, model.etag, model.documents)

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: str) -> None:
        deleted = self.store.delete_object(BUCKET, key)
        if not self.status:
            assert Deleted(key) == deleted
            self.versions.pop(key, None)
            return
        assert (key, True) == (deleted.key, deleted.delete_marker)
        self.check_id(deleted.version_id)
        self.add(key, ModelVersion(deleted.version_id, None))

    @rule(key=st.sampled_from(KEYS), place=st.integers(0, 4))
    def delete_version(self, key: str, place: int) -> None:
        """One of the versions, or one that is not there."""
        picked = self.pick(key, place)
        if picked is None:
            assert Deleted(key, "unknown") == self.store.delete_object(BUCKET, key, "unknown")
            return
        version_id = picked.version_id or "null"
        assert Deleted(key, version_id, picked.bodies is None) == self.store.delete_object(BUCKET, key, version_id)
        self.versions[key].remove(picked)

    @rule(key=st.sampled_from(KEYS), place=st.integers(0, 4), text=st.sampled_from([None, "one", "two"]))
    def edit(self, key: str, place: int, text: str | None) -> None:
        picked = self.pick(key, place)
        version_id = None if picked is None else picked.version_id or "null"
        model = picked or self.current(key)
        try:
            edited = self.store.edit_object(BUCKET, key, {"acl": text}, version_id)
        except ServiceError as error:
            assert model is None or model.bodies is None
            assert isinstance(error, NoSuchKey) or (version_id is not None and error.status == 405)
            return
        assert model is not None
        model.documents = {} if text is None else {"acl": text}
        assert (model.documents, model.version_id) == (edited.documents, edited.version_id)

    @rule(target=uploads, key=st.sampled_from(KEYS), numbers=st.sets(st.integers(1, 4)))
    def create_upload(self, key: str, numbers: set[int]) -> ModelUpload:
        model = ModelUpload(self.store.create_upload(BUCKET, key, PLAIN))
        self.open_uploads.append(model)
        self.put_parts(model, numbers, 10)
        return model

    @rule(model=uploads, numbers=st.sets(st.integers(1, 4), min_size=1), size=st.sampled_from(SIZES))
    def put_parts(self, model: ModelUpload, numbers: set[int], size: int) -> None:
        for number in numbers:
            body = body_of(size, number)
            with self.store.begin_part(BUCKET, model.upload.key, model.upload.upload_id, number) as writer:
                writer.write(body)
                model.parts[number] = (writer.commit(), body)

    @rule(model=consumes(uploads))
    def abort_upload(self, model: ModelUpload) -> None:
        self.store.abort_upload(BUCKET, model.upload.key, model.upload.upload_id)
        self.open_uploads.remove(model)
        with pytest.raises(NoSuchUpload):
            self.store.list_parts(BUCKET, model.upload.key, model.upload.upload_id)

    @rule(target=completed, model=consumes(uploads), chosen=st.sets(st.integers(1, 4)))
    def complete(self, model: ModelUpload, chosen: set[int]) -> Any:
        """With some of the parts that it has, all of them if none is chosen; without a part it is refused."""
        numbers = sorted(chosen & model.parts.keys()) or sorted(model.parts)
        named = [(number, model.parts[number][0].etag) for number in numbers]
        key, upload_id = model.upload.key, model.upload.upload_id
        if not named:
            with pytest.raises(ServiceError):
                self.store.begin_complete(BUCKET, key, upload_id, named)
            self.store.abort_upload(BUCKET, key, upload_id)
            self.open_uploads.remove(model)
            return multiple()
        with self.store.begin_complete(BUCKET, key, upload_id, named) as completion:
            assert [model.parts[number][0] for number in numbers] == list(completion.parts)
            stored = completion.commit(completion.upload.attributes)
        bodies = [model.parts[number][1] for number in numbers]
        digests = b"".join(hashlib.md5(body).digest() for body in bodies)
        self.added(key, stored, bodies, f"{hashlib.md5(digests).hexdigest()}-{len(bodies)}", {})
        self.open_uploads.remove(model)
        model.completed = (named, stored)
        return model

    @rule(model=completed)
    def complete_again(self, model: ModelUpload) -> None:
        assert model.completed is not None
        named, stored = model.completed
        key, upload_id = model.upload.key, model.upload.upload_id
        with self.store.begin_complete(BUCKET, key, upload_id, named) as completion:
            assert stored == completion.commit(PLAIN)
        with pytest.raises(NoSuchUpload):
            self.store.begin_part(BUCKET, key, upload_id, 1)

    @precondition(lambda self: self.reopen is not None)
    @rule()
    def restart(self) -> None:
        assert self.reopen is not None
        self.store = self.reopen(self.store)

    # What must hold.

    @invariant()
    def objects_are_the_first_versions(self) -> None:
        expected = [(key, model.version_id, model.etag) for key in KEYS if (model := self.current(key)) is not None]
        rows = self.store.list_objects(BUCKET).rows
        assert expected == [(row.key, row.version_id, row.etag) for row in rows]
        for row in rows:
            assert row == self.store.head_object(BUCKET, row.key)
            model = self.current(row.key)
            assert model is not None
            assert model.body == get(self.store, row.key)
            assert model.documents == row.documents
        for key in KEYS:
            if self.current(key) is None:
                with pytest.raises(NoSuchKey) as caught:
                    self.store.head_object(BUCKET, key)
                markers = [each.version_id for each in self.versions.get(key, [])[:1]]
                assert markers == [value for name, value in caught.value.headers.items() if name.endswith("-id")]

    @invariant()
    def versions_are_the_versions(self) -> None:
        rows = self.store.list_object_versions(BUCKET).rows
        expected = [
            (key, model.version_id or "null", place == 0, model.bodies is None, model.etag)
            for key in KEYS
            for place, model in enumerate(self.versions.get(key, []))
        ]
        assert expected == [
            (row.key, row.stored.version_id, row.is_latest, row.stored.delete_marker, row.stored.etag) for row in rows
        ]
        for row in rows:
            version_id = row.stored.version_id or ""
            model = self.named(row.key, version_id)
            assert model is not None
            if model.bodies is not None:
                with self.store.open_object(BUCKET, row.key, version_id) as reader:
                    assert model.body == reader.read_at(0, 1 << 30)
                    parts = [len(body) for body in model.bodies] if "-" in model.etag else []
                    assert parts == [part.size for part in reader.parts]
        page = self.store.list_object_versions(BUCKET, limit=1)
        if page.next_key_marker is not None:
            rest = self.store.list_object_versions(
                BUCKET, key_marker=page.next_key_marker, version_id_marker=page.next_version_id_marker or ""
            )
            assert rows == [*page.rows, *rest.rows]
        for key in KEYS:
            for unknown in ("unknown", "0" * 32):
                with pytest.raises(NoSuchVersion):
                    self.store.head_object(BUCKET, key, unknown)

    @invariant()
    def uploads_are_the_uploads(self) -> None:
        listed = self.store.list_uploads(BUCKET).rows
        expected = sorted((model.upload.key, model.upload.upload_id) for model in self.open_uploads)
        assert expected == [(upload.key, upload.upload_id) for upload in listed]
        for model in self.open_uploads:
            parts = self.store.list_parts(BUCKET, model.upload.key, model.upload.upload_id).rows
            assert [model.parts[number][0] for number in sorted(model.parts)] == parts

    def teardown(self) -> None:
        """The bucket can be deleted when nothing is left of it, and then no file is either."""
        try:
            for key, versions in self.versions.items():
                for version in versions:
                    with pytest.raises(BucketNotEmpty):
                        self.store.delete_bucket(BUCKET)
                    self.store.delete_object(BUCKET, key, version.version_id or "null")
            self.store.delete_bucket(BUCKET)
            if isinstance(self.store, LocalBackend):
                assert [] == list(self.store._database.blobs())
                assert [] == [path for path in self.store._directory._blobs.rglob("*") if path.is_file()]
        finally:
            self.store.close()


@pytest.mark.parametrize("name", sorted(set(stores_with(Versioned)) & set(stores_with(Multipart))))
def test_a_store_is_its_model(name: str, tmp_path: Path) -> None:
    """After any sequence of changes a store lists, describes and reads what the model says."""
    clock = StoppedClock(1_000.0)
    stores = 0

    def make() -> FullBackend:
        nonlocal stores
        stores += 1
        if name == "memory":
            return MemoryBackend(clock=clock)
        return LocalBackend(tmp_path / f"store-{stores}", durability="os", clock=clock)

    def reopen(store: FullBackend) -> FullBackend:
        store.close()
        return LocalBackend(tmp_path / f"store-{stores}", durability="os", clock=clock)

    class ThisMachine(Machine):
        def __init__(self) -> None:
            super().__init__(make, None if name == "memory" else reopen)

    run_state_machine_as_test(
        ThisMachine,
        settings=settings(
            max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
