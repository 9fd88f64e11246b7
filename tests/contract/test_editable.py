"""What s3func.server.powers promises about documents, checked on every store that lets them be edited."""

from __future__ import annotations

from functools import partial

import pytest

from s3func.errors import InvalidRequest, NoSuchBucket, NoSuchKey, NoSuchVersion, PreconditionFailed, ServiceError
from s3func.server.backend import BucketInfo, Precondition, StoredObject
from s3func.server.powers import Editable, Versioned
from tests.contract.objects import FULL, EditableBackend, body_of, get, put, run_threads, stores_with

pytestmark = pytest.mark.parametrize("make_backend", stores_with(Editable), indirect=True)


class TestObjects:
    @pytest.mark.parametrize("size", [10, 40_000])
    def test_documents_by_name(self, backend: EditableBackend, size: int) -> None:
        """The named documents are replaced, removed or added; body, ETag, time and everything else stay."""
        stored = put(backend, "key", body_of(size), FULL)
        edited = backend.edit_object("bucket", "key", {"tagging": None, "acl": "public", "legal-hold": "ON"})
        assert {"acl": "public", "legal-hold": "ON"} == edited.documents
        assert edited == backend.head_object("bucket", "key")
        assert [edited] == backend.list_objects("bucket").rows
        for name in ("etag", "size", "last_modified", "headers", "metadata", "checksums", "owner", "version_id"):
            assert getattr(stored, name) == getattr(edited, name)
        assert body_of(size) == get(backend, "key")
        assert edited == backend.edit_object("bucket", "key", {"no-such": None})

    def test_guards(self, backend: EditableBackend) -> None:
        """The guard sees the object as it is, and what it refuses is not changed."""
        stored = put(backend, "key", b"body", FULL)
        seen: list[StoredObject | None] = []
        backend.edit_object("bucket", "key", {"acl": "public"}, guard=seen.append)
        assert [stored] == seen
        with pytest.raises(PreconditionFailed) as caught:
            backend.edit_object("bucket", "key", {"acl": "other"}, guard=Precondition(if_match="another"))
        assert ("bucket", "key") == (caught.value.bucket, caught.value.key)
        assert "public" == backend.head_object("bucket", "key").documents["acl"]

    def test_what_is_missing(self, backend: EditableBackend) -> None:
        """No object, no version, no bucket: the usual errors, and nothing is made."""
        put(backend, "key")
        with pytest.raises(NoSuchKey):
            backend.edit_object("bucket", "other", {"acl": "public"})
        with pytest.raises(NoSuchVersion):
            backend.edit_object("bucket", "key", {"acl": "public"}, "no-such-version")
        with pytest.raises(NoSuchBucket):
            backend.edit_object("missing", "key", {"acl": "public"})
        with pytest.raises(InvalidRequest):
            backend.edit_object("bucket", "", {"acl": "public"})
        assert {"acl": "1"} == backend.edit_object("bucket", "key", {"acl": "1"}, "null").documents

    def test_versions(self, backend: EditableBackend) -> None:
        """Exactly the named version changes, no version is added, and a marker has no documents."""
        if not isinstance(backend, Versioned):
            pytest.skip("a store without versions")
        backend.set_versioning("bucket", "Enabled")
        old, new = put(backend, "key", b"old"), put(backend, "key", b"new")
        backend.edit_object("bucket", "key", {"tagging": "old"}, old.version_id)
        backend.edit_object("bucket", "key", {"tagging": "new"})
        rows = backend.list_object_versions("bucket").rows
        assert [(new.version_id, "new"), (old.version_id, "old")] == [
            (row.stored.version_id, row.stored.documents["tagging"]) for row in rows
        ]
        marker = backend.delete_object("bucket", "key")
        with pytest.raises(NoSuchKey):
            backend.edit_object("bucket", "key", {"tagging": "marker"})
        with pytest.raises(ServiceError) as caught:
            backend.edit_object("bucket", "key", {"tagging": "marker"}, marker.version_id)
        assert 405 == caught.value.status
        backend.delete_object("bucket", "key", marker.version_id)
        assert {"tagging": "new"} == backend.head_object("bucket", "key").documents

    def test_no_edit_is_lost(self, backend: EditableBackend) -> None:
        """Editors of different documents of one object do not undo each other's work."""
        put(backend, "key")
        edits = [partial(backend.edit_object, "bucket", "key", {f"name-{number}": "text"}) for number in range(8)]
        assert all(isinstance(result, StoredObject) for result in run_threads(edits))
        assert 8 == len(backend.head_object("bucket", "key").documents)


class TestBuckets:
    def test_documents_by_name(self, backend: EditableBackend) -> None:
        """A bucket has the documents that were set last, wherever it is described; a new one of its name has none."""
        before = backend.get_bucket("bucket")
        assert {} == before.documents
        edited = backend.edit_bucket("bucket", {"policy": "{}", "cors": "<CORS/>"})
        assert {"policy": "{}", "cors": "<CORS/>"} == edited.documents
        edited = backend.edit_bucket("bucket", {"policy": None, "tagging": "Grüße \u2603"})
        assert {"cors": "<CORS/>", "tagging": "Grüße \u2603"} == edited.documents
        assert edited == backend.get_bucket("bucket")
        assert [edited] == backend.list_buckets()
        assert (before.created, before.owner) == (edited.created, edited.owner)
        backend.delete_bucket("bucket")
        assert {} == backend.create_bucket("bucket").documents

    def test_guards(self, backend: EditableBackend) -> None:
        """The guard sees the bucket as it is, and what it refuses is not changed."""
        seen: list[BucketInfo] = []

        def refuse(info: BucketInfo) -> None:
            raise InvalidRequest("no", code="InvalidBucketState")

        backend.edit_bucket("bucket", {"policy": "one"}, seen.append)
        backend.edit_bucket("bucket", {"policy": "two"}, seen.append)
        assert [{}, {"policy": "one"}] == [info.documents for info in seen]
        with pytest.raises(InvalidRequest) as caught:
            backend.edit_bucket("bucket", {"policy": "three"}, refuse)
        assert "bucket" == caught.value.bucket
        assert {"policy": "two"} == backend.get_bucket("bucket").documents
        with pytest.raises(NoSuchBucket):
            backend.edit_bucket("missing", {"policy": "one"})

    def test_no_edit_is_lost(self, backend: EditableBackend) -> None:
        """Editors of different documents of one bucket do not undo each other's work."""
        edits = [partial(backend.edit_bucket, "bucket", {f"name-{number}": "text"}) for number in range(8)]
        run_threads(edits)
        assert 8 == len(backend.get_bucket("bucket").documents)


def test_documents_of_a_versioned_bucket(backend: EditableBackend) -> None:
    """Status and documents of a bucket do not touch each other."""
    if not isinstance(backend, Versioned):
        pytest.skip("a store without versions")
    backend.edit_bucket("bucket", {"policy": "{}"})
    backend.set_versioning("bucket", "Enabled")
    assert {"policy": "{}"} == backend.get_bucket("bucket").documents
    assert "Enabled" == backend.edit_bucket("bucket", {"policy": None}).versioning
