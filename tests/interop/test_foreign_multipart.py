"""Multipart uploads by hand, copies in parts, moves and many deletions on other people's servers."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import InvalidRequest, NoSuchKey, NoSuchUpload, PreconditionFailed
from s3func.transport.transfer import TransferConfig

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

MIB = 1024 * 1024
BODY = os.urandom(12 * MIB + 7)
IN_PARTS = TransferConfig(multipart_threshold=1, part_size=5 * MIB, concurrency=4)
DESCRIPTION: dict[str, Any] = {
    "metadata": {"a": "1", "b": "value with spaces"},
    "content_type": "text/plain",
    "cache_control": "no-cache",
    "content_disposition": "inline",
    "content_language": "de",
}


def described(session: S3Session, key: str) -> dict[str, Any]:
    """What was said about an object."""
    head = session.head_object(key)
    found = {name: head.headers.get(name.replace("_", "-")) for name in DESCRIPTION if name != "metadata"}
    return {"metadata": head.user_metadata, **found}


@pytest.mark.parametrize("checksum", ["auto", "crc32c", "crc64nvme", "sha256", "off"])
def test_an_upload_in_parts(session: S3Session, checksum: str) -> None:
    """Parts that are sent in any order, by several threads, make the object; what is listed meanwhile is what was sent."""
    with session.create_multipart_upload("dir/key", checksum=checksum, **DESCRIPTION) as upload:
        with ThreadPoolExecutor(3) as threads:
            sent = list(
                threads.map(
                    upload.upload_part, (3, 1, 2), (BODY[10 * MIB :], BODY[: 5 * MIB], BODY[5 * MIB : 10 * MIB])
                )
            )
        rows = [(row.part_number, row.size, row.etag) for row in upload.list_parts()]
        sizes = {1: 5 * MIB, 2: 5 * MIB, 3: len(BODY) - 10 * MIB}
        assert sorted((part.part_number, sizes[part.part_number], part.etag) for part in sent) == rows
        assert [("dir/key", upload.upload_id)] == [
            (row.key, row.upload_id) for row in session.list_multipart_uploads("dir/")
        ]
    assert BODY == session.get_object("dir/key").data
    assert DESCRIPTION == described(session, "dir/key")
    assert [] == list(session.list_multipart_uploads())


def test_an_exception_publishes_nothing(session: S3Session) -> None:
    """An upload whose block is left by an exception is neither an object nor an upload."""
    with pytest.raises(RuntimeError), session.create_multipart_upload("key") as upload:
        upload.upload_part(1, b"a")
        raise RuntimeError
    with pytest.raises(NoSuchKey):
        session.get_object("key")
    assert [] == list(session.list_multipart_uploads())


def test_an_upload_that_is_gone(session: S3Session) -> None:
    """What was aborted can be neither listed, completed nor aborted again."""
    upload = session.create_multipart_upload("key")
    part = upload.upload_part(1, b"a")
    upload.abort()
    with pytest.raises(NoSuchUpload):
        list(session.list_parts("key", upload.upload_id))
    with pytest.raises(NoSuchUpload):
        session.abort_multipart_upload("key", upload.upload_id)
    with pytest.raises(NoSuchUpload):
        session.complete_multipart_upload("key", upload.upload_id, [part])


def test_parts_are_listed_page_by_page(session: S3Session) -> None:
    """Pages of parts follow each other without a gap."""
    with session.create_multipart_upload("key") as upload:
        for number in range(1, 6):
            upload.upload_part(number * 2, b"x")
        assert [2, 4, 6, 8, 10] == [row.part_number for row in session.list_parts("key", upload.upload_id, max_parts=2)]
        upload.abort()


KEYS = ["a", "a/b", "plus+", "percent%20", "ünïcode", "space here", "&<>"]


def test_uploads_are_listed_with_exact_keys(session: S3Session) -> None:
    """Every upload is listed under its own key, page by page as well, and all can be aborted."""
    begun = {session.create_multipart_upload(key).upload_id: key for key in KEYS}
    for size in (1000, 2):
        assert begun == {row.upload_id: row.key for row in session.list_multipart_uploads(max_uploads=size)}
    assert sorted(KEYS) == sorted(row.key for row in session.abort_multipart_uploads(0))
    assert [] == list(session.list_multipart_uploads())


def test_young_uploads_are_left_alone(session: S3Session) -> None:
    """What was begun a moment ago is not older than an hour."""
    upload = session.create_multipart_upload("key")
    assert [] == session.abort_multipart_uploads(3600)
    upload.abort()


def test_a_part_of_an_object(session: S3Session) -> None:
    """A part may be a range of an object."""
    session.put_object("sou rce+", BODY, multipart=False)
    with session.create_multipart_upload("key") as upload:
        upload.upload_part_copy(1, "sou rce+", range_start=1, range_end=6 * MIB)
        upload.upload_part(2, b"tail")
    assert BODY[1 : 6 * MIB + 1] + b"tail" == session.get_object("key").data


@pytest.mark.parametrize("size", [1, 5 * MIB, 5 * MIB + 1, len(BODY)])
def test_a_copy_in_parts(session: S3Session, size: int) -> None:
    """A copy in parts has the bytes and the description of its source, as one in one request has."""
    session.put_object("sou rce+", BODY[:size], multipart=False, **DESCRIPTION)
    session.copy_object("sou rce+", "small")
    told: list[tuple[int, int | None]] = []
    session.copy_object("sou rce+", "large", transfer=IN_PARTS, progress=lambda *step: told.append(step))
    assert BODY[:size] == session.get_object("large").data
    assert described(session, "small") == described(session, "large") == DESCRIPTION
    assert (size, size) == told[-1]
    assert [] == list(session.list_multipart_uploads())


def test_a_copy_in_parts_takes_the_tags_along(session: S3Session) -> None:
    """The tags of the source are those of the copy."""
    session.put_object("source", BODY, multipart=False, tagging={"a": "1", "b c": "2"})
    session.copy_object("source", "copy", transfer=IN_PARTS)
    document = session.request("GET", "copy", query={"tagging": None}).read()
    assert b"<Key>b c</Key><Value>2</Value>" in document.replace(b"\n", b"").replace(b"  ", b"")


def test_a_copy_in_parts_can_be_described_anew(session: S3Session) -> None:
    """With any word about it, the copy has exactly what is given."""
    session.put_object("source", BODY, multipart=False, **DESCRIPTION)
    session.copy_object("source", "copy", metadata={"new": "1"}, content_type="text/csv", transfer=IN_PARTS)
    assert ({"new": "1"}, "text/csv") == (
        session.head_object("copy").user_metadata,
        session.head_object("copy").content_type,
    )


def test_a_copy_in_parts_is_refused_like_a_small_one(session: S3Session) -> None:
    """A missing source, a stale ETag and a copy onto itself without a change are refused, and leave nothing."""
    session.put_object("source", BODY, multipart=False)
    with pytest.raises(NoSuchKey):
        session.copy_object("missing", "copy", transfer=IN_PARTS)
    with pytest.raises(PreconditionFailed):
        session.copy_object("source", "copy", source_if_match="0" * 32, transfer=IN_PARTS)
    with pytest.raises(InvalidRequest):
        session.copy_object("source", "source", transfer=IN_PARTS)
    assert BODY == session.get_object("source").data
    assert not session.exists("copy")
    assert [] == list(session.list_multipart_uploads())


@pytest.mark.parametrize("transfer", [None, IN_PARTS], ids=["one request", "parts"])
def test_a_move(session: S3Session, transfer: TransferConfig | None) -> None:
    """The object is under its new key, and no longer under the old one."""
    session.put_object("a b", BODY, multipart=False, **DESCRIPTION)
    session.move("a b", "c/d+", transfer=transfer)
    assert BODY == session.get_object("c/d+").data
    assert DESCRIPTION == described(session, "c/d+")
    assert not session.exists("a b")


def test_many_keys_are_deleted(session: S3Session) -> None:
    """More keys than four requests carry, most of which are not there, are deleted, and no other one."""
    keys = [f"key {number}" for number in range(4_500)]
    for key in (keys[0], keys[2_222], keys[-1], "kept"):
        session.put_object(key, b"x")
    assert set(keys) == {row.key for row in session.delete_objects(keys)}
    assert ["kept"] == [entry.key for entry in session.list_objects()]
