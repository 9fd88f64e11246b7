"""Finding a version, a marker and an upload by its id alone."""

from __future__ import annotations

import pytest

from s3func.errors import NoSuchVersion
from s3func.server.backend import Backend, ObjectAttributes
from s3func.server.powers import Identified, Located, Multipart, Versioned
from tests.contract.objects import put


@pytest.fixture
def named(backend: Backend) -> Backend:
    """A store that finds things by their ids, whose bucket keeps versions."""
    if not isinstance(backend, Identified):
        pytest.skip("finds nothing by its id alone")
    assert isinstance(backend, Versioned)
    backend.set_versioning("bucket", "Enabled")
    return backend


def upload_in_parts(store: Backend, key: str, sizes: tuple[int, ...]) -> tuple[str, str | None]:
    """The id of an upload, and that of the version that it became."""
    assert isinstance(store, Multipart)
    upload = store.create_upload("bucket", key, ObjectAttributes())
    parts = []
    for number, size in enumerate(sizes, 1):
        with store.begin_part("bucket", key, upload.upload_id, number) as writer:
            writer.write(b"x" * size)
            parts.append((number, writer.commit({}, {}).etag))
    with store.begin_complete("bucket", key, upload.upload_id, parts) as completion:
        return upload.upload_id, completion.commit(upload.attributes).version_id


def test_ids_lead_to_what_they_name(named: Backend) -> None:
    """Versions, markers and uploads are found while they are there, and no longer."""
    assert isinstance(named, Identified)
    assert isinstance(named, Multipart)
    old, new = put(named, "a"), put(named, "a")
    marker = named.delete_object("bucket", "b//ü")
    upload = named.create_upload("bucket", "c", ObjectAttributes())
    assert Located("bucket", "a") == named.locate(old.version_id or "")
    assert Located("bucket", "a") == named.locate(new.version_id or "")
    assert Located("bucket", "b//ü") == named.locate(marker.version_id or "")
    assert Located("bucket", "c", is_upload=True) == named.locate(upload.upload_id)
    named.delete_object("bucket", "a", old.version_id)
    named.abort_upload("bucket", "c", upload.upload_id)
    for gone in (old.version_id or "", upload.upload_id, "null", "", "4_z"):
        with pytest.raises(NoSuchVersion):
            named.locate(gone)


def test_a_large_file_keeps_its_id(named: Backend) -> None:
    """A completed upload's version has the upload's id, and is read, listed, found and deleted by it."""
    assert isinstance(named, Identified)
    assert isinstance(named, Versioned)
    upload_id, version_id = upload_in_parts(named, "large", (3, 4))
    put(named, "large")
    assert upload_id == version_id
    assert Located("bucket", "large") == named.locate(upload_id)
    assert 7 == named.head_object("bucket", "large", upload_id).size
    assert upload_id in [row.stored.version_id for row in named.list_object_versions("bucket").rows]
    named.delete_object("bucket", "large", upload_id)
    with pytest.raises(NoSuchVersion):
        named.locate(upload_id)


def test_pages_go_on_exactly_behind_large_files(named: Backend) -> None:
    """Versions that came between an upload's begin and its end are neither lost nor repeated, also when it is gone."""
    assert isinstance(named, Versioned)
    assert isinstance(named, Multipart)
    oldest = put(named, "key").version_id
    upload = named.create_upload("bucket", "key", ObjectAttributes())
    between = [put(named, "key").version_id for _ in range(2)]
    with named.begin_part("bucket", "key", upload.upload_id, 1) as writer:
        writer.write(b"x")
        part = writer.commit({}, {})
    with named.begin_complete("bucket", "key", upload.upload_id, [(1, part.etag)]) as completion:
        completion.commit(upload.attributes)
    newest = put(named, "key").version_id
    page = named.list_object_versions("bucket", limit=2)
    assert [newest, upload.upload_id] == [row.stored.version_id for row in page.rows]
    for is_gone in (False, True):
        if is_gone:
            named.delete_object("bucket", "key", upload.upload_id)
        rest = named.list_object_versions(
            "bucket", key_marker=page.next_key_marker or "", version_id_marker=page.next_version_id_marker or ""
        )
        assert [*reversed(between), oldest] == [row.stored.version_id for row in rest.rows]
        assert [False] * 3 == [row.is_latest for row in rest.rows]
