"""Versions and uploads in parts through a gateway, and a gateway to B2's own API."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from s3func import B2Session, S3Session
from s3func.errors import (
    AccessDenied,
    BucketNotEmpty,
    InvalidRequest,
    NoSuchKey,
    NoSuchUpload,
    NoSuchVersion,
    NotImplementedByStore,
    ServiceError,
    Throttled,
)
from s3func.server import MemoryBackend, S3App, SessionBackend
from s3func.server.backend import Deleted, Deletion, ObjectAttributes, Part, Precondition
from s3func.server.backends.session.uploads import UPLOADS_KNOWN
from s3func.server.backends.session.words import UPLOAD_CHECKSUM
from s3func.server.handlers.multipart import CHECKSUM_DOCUMENT
from s3func.session import Session
from tests.contract.objects import PLAIN, StoppedClock, body_of, get, keys_of, put

BUCKET = "bucket"
MIB = 1024 * 1024


def app_of(store: MemoryBackend) -> S3App:
    return S3App(store, access_key_id="id", secret_access_key="secret")


@pytest.fixture
def behind() -> MemoryBackend:
    """The store behind the gateway, with a bucket."""
    store = MemoryBackend()
    store.create_bucket(BUCKET)
    return store


@pytest.fixture
def gateway(behind: MemoryBackend) -> Iterator[SessionBackend]:
    """A gateway to it that speaks S3."""
    backend = SessionBackend(S3Session("id", "secret", transport=app_of(behind)))
    yield backend
    backend.close()


@pytest.fixture
def to_b2() -> Iterator[SessionBackend]:
    """A gateway that speaks B2, to another store with a bucket."""
    backend = SessionBackend(B2Session("id", "secret", transport=app_of(MemoryBackend())))
    backend.create_bucket(BUCKET)
    yield backend
    backend.close()


def put_part(gateway: SessionBackend, key: str, upload_id: str, number: int, body: bytes, **checksums: str) -> Part:
    with gateway.begin_part(BUCKET, key, upload_id, number) as writer:
        writer.write(body)
        return writer.commit(checksums)


class TestUploads:
    @pytest.mark.parametrize("wanted", [None, "crc32 FULL_OBJECT", "sha256 COMPOSITE"])
    def test_an_upload_outlives_the_gateway(
        self, gateway: SessionBackend, behind: MemoryBackend, wanted: str | None
    ) -> None:
        """What was begun through one gateway goes on through another one, with the checksum that was asked for."""
        attributes = ObjectAttributes(
            headers={"content-type": "text/plain"},
            metadata={"name": "Grüße"},
            documents={} if wanted is None else {UPLOAD_CHECKSUM: wanted},
        )
        upload = gateway.create_upload(BUCKET, "key", attributes)
        first = put_part(gateway, "key", upload.upload_id, 1, body_of(5 * MIB))
        other = SessionBackend(S3Session("id", "secret", transport=app_of(behind)))
        again = other.get_upload(BUCKET, "key", upload.upload_id)
        if wanted is not None:
            assert {UPLOAD_CHECKSUM: wanted} == again.attributes.documents
        second = put_part(other, "key", upload.upload_id, 2, b"end")
        found = other.list_parts(BUCKET, "key", upload.upload_id)
        assert [(first.etag, 5 * MIB), (second.etag, 3)] == [(part.etag, part.size) for part in found.rows]
        named = [(part.number, part.etag) for part in found.rows]
        with other.begin_complete(BUCKET, "key", upload.upload_id, named) as completion:
            stored = completion.commit(completion.upload.attributes)
        assert body_of(5 * MIB) + b"end" == get(behind, "key")
        original = behind.head_object(BUCKET, "key")
        assert (stored.etag, "text/plain") == (original.etag, original.headers["content-type"])
        assert ["crc32" if wanted is None else wanted.split(" ")[0]] == list(original.checksums)

    def test_the_server_s_word_for_the_checksum(self) -> None:
        """The document that the handlers write is the one that a gateway reads."""
        assert CHECKSUM_DOCUMENT == UPLOAD_CHECKSUM

    def test_what_a_part_or_a_completion_cannot_say(self, gateway: SessionBackend) -> None:
        """What could not be kept is refused: documents, and other attributes than the upload began with."""
        for name in ("acl", "legal-hold"):
            with pytest.raises(NotImplementedByStore, match=name):
                gateway.create_upload(BUCKET, "key", ObjectAttributes(documents={name: "x"}))
        upload = gateway.create_upload(BUCKET, "key", PLAIN)
        with gateway.begin_part(BUCKET, "key", upload.upload_id, 1) as writer, pytest.raises(NotImplementedByStore):
            writer.commit({}, {"b2": "x"})
        part = put_part(gateway, "key", upload.upload_id, 1, b"body")
        for attributes in (ObjectAttributes(metadata={"a": "b"}), ObjectAttributes(documents={"retention": "x"})):
            completion = gateway.begin_complete(BUCKET, "key", upload.upload_id, [(1, part.etag)])
            with completion, pytest.raises(NotImplementedByStore):
                completion.commit(attributes)
        assert [] == keys_of(gateway)

    def test_checksums_of_parts_that_nobody_asked_for_at_the_beginning(self, gateway: SessionBackend) -> None:
        """They were compared by the server, are remembered for its completion, and are not the store's business."""
        upload = gateway.create_upload(BUCKET, "key", PLAIN)
        part = put_part(gateway, "key", upload.upload_id, 1, b"body", crc64nvme="o8oY07SiIjQ=")
        assert {"crc64nvme": "o8oY07SiIjQ="} == part.checksums
        with gateway.begin_complete(BUCKET, "key", upload.upload_id, [(1, part.etag)]) as completion:
            assert [part] == list(completion.parts)
            completion.commit(PLAIN)
        assert b"body" == get(gateway, "key")

    def test_it_does_not_remember_without_end(self, gateway: SessionBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of very many uploads the oldest are asked of the store again."""
        assert 10_000 == UPLOADS_KNOWN
        monkeypatch.setattr("s3func.server.backends.session.uploads.UPLOADS_KNOWN", 3)
        ids = [gateway.create_upload(BUCKET, "key", PLAIN).upload_id for _ in range(5)]
        assert 3 == len(gateway._uploads)
        assert ids == [gateway.get_upload(BUCKET, "key", each).upload_id for each in ids]
        assert ids == [upload.upload_id for upload in gateway.list_uploads(BUCKET).rows]

    def test_a_put_stays_one(self, gateway: SessionBackend) -> None:
        """However large a body of one request is, its ETag is its MD5, which its sender may compare."""
        body = body_of(17 * MIB)
        assert (
            hashlib.md5(body).hexdigest() == put(gateway, "key", body).etag == gateway.head_object(BUCKET, "key").etag
        )


class TestTags:
    def test_tags_are_the_store_s(self, gateway: SessionBackend, behind: MemoryBackend) -> None:
        """Tags go along with puts, uploads and copies, are read and changed by version, and cost nothing without any."""
        gateway.set_versioning(BUCKET, "Enabled")
        tagged = ObjectAttributes(documents={"tagging": "a=b&c%20d="})
        stored = put(gateway, "key", b"body", tagged)
        assert tagged.documents == stored.documents
        upload = gateway.create_upload(BUCKET, "parts", tagged)
        part = put_part(gateway, "parts", upload.upload_id, 1, b"body")
        with gateway.begin_complete(BUCKET, "parts", upload.upload_id, [(1, part.etag)]) as completion:
            completion.commit(completion.upload.attributes)
        for key in ("key", "parts"):
            assert tagged.documents == behind.head_object(BUCKET, key).documents
            assert tagged.documents == gateway.head_object(BUCKET, key).documents
            with gateway.open_object(BUCKET, key) as reader:
                assert tagged.documents == reader.stored.documents
        for target, documents in (("same", tagged.documents), ("none", {}), ("other", {"tagging": "e=f"})):
            with gateway.begin_copy(BUCKET, "key", BUCKET, target) as copy:
                copy.commit(replace(copy.source, documents=documents))
            assert documents.get("tagging", "") == behind.head_object(BUCKET, target).documents.get("tagging", "")
            assert documents == gateway.head_object(BUCKET, target).documents
        put(gateway, "key", b"new")
        assert {"tagging": "g=h"} == gateway.edit_tags(BUCKET, "key", "g=h", stored.version_id).documents
        assert {"tagging": "g=h"} == behind.head_object(BUCKET, "key", stored.version_id).documents
        assert {} == gateway.head_object(BUCKET, "key").documents
        assert {} == gateway.edit_tags(BUCKET, "key", None, stored.version_id).documents
        with pytest.raises(NoSuchKey):
            gateway.edit_tags(BUCKET, "missing", "a=b")

    def test_who_may_not_read_tags(self, gateway: SessionBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        """An object whose tags may not be read is read all the same, without them."""
        put(gateway, "key", b"body", ObjectAttributes(documents={"tagging": "a=b"}))

        def refuse(*_: Any, **__: Any) -> None:
            raise AccessDenied("no")

        monkeypatch.setattr(S3Session, "get_object_tagging", refuse)
        assert {} == gateway.head_object(BUCKET, "key").documents
        assert b"body" == get(gateway, "key")

    def test_a_store_without_tags(self, to_b2: SessionBackend) -> None:
        """B2 has none: a put with tags is refused, and so is setting them."""
        with pytest.raises(NotImplementedByStore):
            put(to_b2, "key", b"", ObjectAttributes(documents={"tagging": "a=b"}))
        put(to_b2, "key")
        with pytest.raises(NotImplementedByStore):
            to_b2.edit_tags(BUCKET, "key", "a=b")


class TestVersions:
    def test_readers_and_copies_of_versions(self, gateway: SessionBackend) -> None:
        """In a bucket that keeps versions a reader may jump, and a copy be finished, after the object was replaced."""
        gateway.set_versioning(BUCKET, "Enabled")
        old = put(gateway, "key", body_of(600_000))
        with gateway.open_object(BUCKET, "key") as reader, gateway.begin_copy(BUCKET, "key", BUCKET, "copy") as copy:
            put(gateway, "key", b"new")
            assert body_of(600_000)[500_000:] == reader.read_at(500_000, 200_000)
            copied = copy.commit(copy.source)
        assert old.etag == copied.etag
        assert body_of(600_000) == get(gateway, "copy")

    def test_pages_inside_of_a_key(self, gateway: SessionBackend) -> None:
        """Pages of any length are the whole listing in pieces, also where one ends between the versions of a key."""
        gateway.set_versioning(BUCKET, "Enabled")
        for key in ("a", "b/x", "b/x", "b/x", "b/y", "c", "c"):
            put(gateway, key)
        gateway.delete_object(BUCKET, "c")
        whole = gateway.list_object_versions(BUCKET).rows
        assert 8 == len(whole)
        for limit in (1, 2, 3, 8, 9):
            found, key_marker, version_id_marker = [], "", ""
            while True:
                page = gateway.list_object_versions(
                    BUCKET, key_marker=key_marker, version_id_marker=version_id_marker, limit=limit
                )
                found += page.rows
                if not page.is_truncated:
                    break
                assert limit == len(page.rows)
                key_marker, version_id_marker = page.next_key_marker or "", page.next_version_id_marker or ""
            assert whole == found
        page = gateway.list_object_versions(BUCKET, delimiter="/", limit=2)
        assert (["b/"], "b/") == (page.common_prefixes, page.next_key_marker)

    def test_markers(self, gateway: SessionBackend) -> None:
        """What is deleted is told with its marker, and a marker is no object."""
        gateway.set_versioning(BUCKET, "Enabled")
        put(gateway, "key")
        [deleted, other] = gateway.delete_objects(BUCKET, [Deletion("key"), Deletion("other")])
        assert isinstance(deleted, Deleted)
        assert isinstance(other, Deleted)
        assert deleted.delete_marker
        rows = gateway.list_object_versions(BUCKET).rows
        assert {deleted.version_id, other.version_id} == {
            row.stored.version_id for row in rows if row.stored.delete_marker
        }
        for call in (gateway.head_object, gateway.open_object):
            with pytest.raises(NoSuchKey) as caught:
                call(BUCKET, "key")
            assert {"x-amz-delete-marker": "true", "x-amz-version-id": deleted.version_id} == caught.value.headers
            with pytest.raises(ServiceError) as refused:
                call(BUCKET, "key", deleted.version_id)
            assert (405, "MethodNotAllowed") == (refused.value.status, refused.value.code)

    def test_who_may_not_ask_whether_there_are_versions(
        self, gateway: SessionBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A key without that right, and a store that does not know the question, do not keep anything from working."""
        stored = put(gateway, "key", b"body")
        for error in (AccessDenied("no"), NotImplementedByStore("what?")):

            def refuse(*_: Any, error: ServiceError = error, **__: Any) -> None:
                raise error

            monkeypatch.setattr(S3Session, "get_bucket_versioning", refuse)
            gateway._seen.clear()
            assert "" == gateway.get_bucket(BUCKET).versioning
            assert stored.etag == gateway.head_object(BUCKET, "key").etag
            with pytest.raises(NoSuchVersion):
                gateway.head_object(BUCKET, "key", "of another one")
        with pytest.raises(AccessDenied):
            gateway.set_versioning(BUCKET, "Enabled", guard=lambda _: (_ for _ in ()).throw(AccessDenied("guarded")))

    def test_a_change_elsewhere_is_seen_in_time(self, behind: MemoryBackend) -> None:
        """That somebody else has switched versions on is known after some seconds, and by who did it at once."""
        clock = StoppedClock(0.0)
        gateway = SessionBackend(S3Session("id", "secret", transport=app_of(behind)), clock=clock)
        assert "" == gateway.get_bucket(BUCKET).versioning
        behind.set_versioning(BUCKET, "Enabled")
        assert "" == gateway.get_bucket(BUCKET).versioning
        assert put(gateway, "key").version_id is not None
        clock.time += 11
        assert "Enabled" == gateway.get_bucket(BUCKET).versioning
        assert "Suspended" == gateway.set_versioning(BUCKET, "Suspended").versioning
        assert "null" == put(gateway, "key").version_id
        gateway.close()


class TestB2:
    def test_objects(self, to_b2: SessionBackend) -> None:
        """Body, headers and metadata come back; the ETag is B2's SHA-1; checksums of S3 are not sent, only compared."""
        attributes = ObjectAttributes(
            headers={"content-type": "text/plain", "cache-control": "no-store"},
            metadata={"name": "Grüße"},
            checksums={"crc32": "AAAAAA=="},
        )
        stored = put(to_b2, "a//b", b"body", attributes)
        assert hashlib.sha1(b"body").hexdigest() == stored.etag
        found = to_b2.head_object(BUCKET, "a//b")
        assert (attributes.headers, attributes.metadata, stored.version_id) == (
            found.headers,
            found.metadata,
            found.version_id,
        )
        assert b"body" == get(to_b2, "a//b")
        with to_b2.begin_copy(BUCKET, "a//b", BUCKET, "copy") as copy:
            copy.commit(copy.source)
        assert ["a//b", "copy"] == keys_of(to_b2)
        assert b"body" == get(to_b2, "copy")

    def test_versions_are_always_kept(self, to_b2: SessionBackend) -> None:
        """A bucket says that it keeps versions; that cannot be switched off, and is switched on already."""
        assert "Enabled" == to_b2.get_bucket(BUCKET).versioning
        assert "Enabled" == to_b2.set_versioning(BUCKET, "Enabled").versioning
        with pytest.raises(NotImplementedByStore):
            to_b2.set_versioning(BUCKET, "Suspended")
        one = put(to_b2, "key", b"one")
        two = put(to_b2, "key", b"two")
        hidden = to_b2.delete_object(BUCKET, "key")
        assert hidden.delete_marker
        with pytest.raises(NoSuchKey) as caught:
            to_b2.head_object(BUCKET, "key")
        assert ("NoSuchKey", 404) == (caught.value.code, caught.value.status)
        rows = to_b2.list_object_versions(BUCKET).rows
        assert [hidden.version_id, two.version_id, one.version_id] == [row.stored.version_id for row in rows]
        assert [True, False, False] == [row.is_latest for row in rows]
        with to_b2.open_object(BUCKET, "key", one.version_id) as reader:
            assert b"one" == reader.read_at(0, 10)
        for version_id in ("null", "4_z000000000000000000000000_f100000000000000a_d20260101_m000000_c000_v0_t0_u0"):
            with pytest.raises(NoSuchVersion):
                to_b2.head_object(BUCKET, "key", version_id)
        assert Deleted("key", "null") == to_b2.delete_object(BUCKET, "key", "null")
        with pytest.raises(BucketNotEmpty) as full:
            to_b2.delete_bucket(BUCKET)
        assert ("BucketNotEmpty", 409) == (full.value.code, full.value.status)
        to_b2.delete_objects(BUCKET, [Deletion("key", row.stored.version_id) for row in rows])
        to_b2.delete_bucket(BUCKET)

    def test_conditions_are_refused(self, to_b2: SessionBackend) -> None:
        """Nothing is changed under a condition, neither with it nor without it."""
        put(to_b2, "key", b"body")
        calls: list[Callable[[], object]] = [
            partial(put, to_b2, "new", b"", PLAIN, Precondition(if_none_match="*")),
            partial(put, to_b2, "key", b"", PLAIN, Precondition(if_match="*")),
            partial(to_b2.delete_object, BUCKET, "key", None, Precondition(if_match="*")),
        ]
        for call in calls:
            with pytest.raises(NotImplementedByStore, match="under a condition"):
                call()
        assert ["key"] == keys_of(to_b2)
        assert b"body" == get(to_b2, "key")

    def test_uploads(self, to_b2: SessionBackend) -> None:
        """Parts become a large file; checksums of S3 are remembered for the completion; ids that are none are told."""
        upload = to_b2.create_upload(BUCKET, "key", ObjectAttributes(documents={UPLOAD_CHECKSUM: "crc32 FULL_OBJECT"}))
        parts = [
            put_part(to_b2, "key", upload.upload_id, 1, body_of(5 * MIB), crc32="AAAAAA=="),
            put_part(to_b2, "key", upload.upload_id, 2, b"end", crc32="BBBBBB=="),
        ]
        assert parts == to_b2.list_parts(BUCKET, "key", upload.upload_id).rows
        assert [upload] == to_b2.list_uploads(BUCKET).rows
        named = [(part.number, part.etag) for part in parts]
        with to_b2.begin_complete(BUCKET, "key", upload.upload_id, named) as completion:
            assert parts == list(completion.parts)
            stored = completion.commit(completion.upload.attributes)
        assert upload.upload_id == stored.version_id
        assert body_of(5 * MIB) + b"end" == get(to_b2, "key")
        for call in (to_b2.get_upload, to_b2.list_parts, to_b2.abort_upload):
            with pytest.raises(NoSuchUpload):
                call(BUCKET, "key", upload.upload_id)

    def test_an_upload_of_one_part(self, to_b2: SessionBackend) -> None:
        """B2 makes no large file of one part: it says so, and the upload is still there."""
        upload = to_b2.create_upload(BUCKET, "key", PLAIN)
        part = put_part(to_b2, "key", upload.upload_id, 1, b"all")
        completion = to_b2.begin_complete(BUCKET, "key", upload.upload_id, [(1, part.etag)])
        with completion, pytest.raises(InvalidRequest, match="at least 2 parts"):
            completion.commit(PLAIN)
        to_b2.abort_upload(BUCKET, "key", upload.upload_id)
        assert [] == to_b2.list_uploads(BUCKET).rows

    def test_an_upload_is_ended_elsewhere(self, to_b2: SessionBackend) -> None:
        """A part of an upload that was cancelled by somebody else is NoSuchUpload, in B2's words or not."""
        upload = to_b2.create_upload(BUCKET, "key", PLAIN)
        session: Any = to_b2._session
        session.abort_multipart_upload("key", upload.upload_id, bucket=BUCKET)
        with pytest.raises(NoSuchUpload):
            put_part(to_b2, "key", upload.upload_id, 1, b"late")


class Bare(Session):
    """A Session that has nothing but what every one has, and whose store is too busy."""

    bucket = BUCKET

    def busy(self, *_: Any, **__: Any) -> Any:
        raise Throttled("slower")

    put_object = get_object = head_object = copy_object = delete_object = busy
    list_objects = list_object_versions = busy

    def close(self) -> None:
        pass


def test_a_session_without_parts_and_versions() -> None:
    """What a session cannot do is NotImplemented, and no fault of the server."""
    gateway = SessionBackend(Bare())
    assert "" == gateway.get_bucket(BUCKET).versioning
    calls: list[Callable[[], object]] = [
        partial(gateway.create_upload, BUCKET, "key", PLAIN),
        partial(gateway.get_upload, BUCKET, "key", "id"),
        partial(gateway.begin_part, BUCKET, "key", "id", 1),
        partial(gateway.list_parts, BUCKET, "key", "id"),
        partial(gateway.list_uploads, BUCKET),
        partial(gateway.abort_upload, BUCKET, "key", "id"),
        partial(gateway.begin_complete, BUCKET, "key", "id", [(1, "etag")]),
        partial(gateway.set_versioning, BUCKET, "Enabled"),
    ]
    for call in calls:
        with pytest.raises(NotImplementedByStore):
            call()
    with pytest.raises(Throttled):
        gateway.list_object_versions(BUCKET)
