"""Listings: complete or an error, one call per page, and S3's meaning of every row."""

from __future__ import annotations

import pytest

from s3func.errors import NoSuchBucket, ProtocolError, S3FuncError, ServerError
from tests.b2.fake import FakeB2, Fault
from tests.b2.rigs import BUCKET, refused, service, session_on


def filled(*keys: str) -> FakeB2:
    """A service with objects of these keys."""
    fake = service()
    for key in keys:
        fake.add(BUCKET, key, key.encode())
    return fake


@pytest.mark.parametrize(("rows", "pages"), [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (2500, 3)])
def test_one_call_per_thousand_rows(rows: int, pages: int) -> None:
    """A listing costs one call per 1,000 rows and no other; asking for the bucket's id is not repeated."""
    fake = filled(*(f"key{number:05d}" for number in range(rows)))
    session = session_on(fake)
    assert rows == sum(1 for _ in session.list_objects())
    assert pages == len(fake.calls("b2_list_file_names"))
    assert pages + 2 == len(fake.calls())


def test_nothing_is_asked_before_the_iteration() -> None:
    """A listing is lazy, and each iteration asks again."""
    fake = filled("a")
    listing = session_on(fake).list_objects()
    assert [] == fake.journal
    assert ["a"] == [entry.key for entry in listing]
    fake.add(BUCKET, "b")
    assert ["a", "b"] == [entry.key for entry in listing]


KEYS = ["a", "a ", "a!", "a/", "a/b", "a0", "aa", "é", "日", "\U0001f600"]


@pytest.mark.parametrize("start_after", ["", "a", "a ", "a/", "a/b", "aa", "z", "é", "\U0001f600"])
@pytest.mark.parametrize("size", [1, 3, None])
def test_start_after_is_exclusive(start_after: str, size: int | None) -> None:
    """Exactly the keys behind start_after are listed, in the order of their bytes, whatever the size of the pages."""
    listing = session_on(filled(*KEYS)).list_objects(start_after=start_after or None, max_keys=size)
    expected = sorted((key for key in KEYS if key > start_after), key=lambda key: key.encode())
    assert expected == [entry.key for entry in listing]


@pytest.mark.parametrize("size", [1, 2, None])
def test_prefix_and_delimiter(size: int | None) -> None:
    """What lies deeper is folded into common_prefixes, each once; the rest are entries."""
    fake = filled("logs/a", "logs/2026/x", "logs/2026/y", "logs/2027/x", "logs/z", "other", "logs")
    listing = session_on(fake).list_objects("logs/", delimiter="/", max_keys=size)
    assert ["logs/a", "logs/z"] == [entry.key for entry in listing]
    assert ["logs/2026/", "logs/2027/"] == listing.common_prefixes


def test_hidden_and_unfinished_files_are_no_objects() -> None:
    """A hidden object and an unfinished upload are not listed; an older version is not either."""
    fake = filled("visible", "hidden", "visible")
    session = session_on(fake)
    session.delete_object("hidden")
    fake.add(BUCKET, "unfinished", action="start", parts={})
    [entry] = session.list_objects()
    assert ("visible", 7, None) == (entry.key, entry.size, entry.version_id)
    assert session.head_object("visible").etag == entry.etag


def test_an_unknown_action_is_not_lost() -> None:
    """B2 may add actions; a file of an unknown one is listed rather than left out."""
    fake = filled("a")
    fake.files[0]["action"] = "composed"
    assert ["a"] == [entry.key for entry in session_on(fake).list_objects()]


@pytest.mark.parametrize("size", [1, 2, 3, None])
def test_versions(size: int | None) -> None:
    """Versions come newest first within a key; exactly the newest is the latest, also across pages."""
    fake = filled("a", "b", "a")
    session = session_on(fake)
    marker = session.delete_object("a")
    fake.add(BUCKET, "a", action="start", parts={})
    rows = [
        (entry.key, entry.is_latest, entry.delete_marker, entry.size)
        for entry in session.list_object_versions(max_keys=size)
    ]
    assert [("a", True, True, 0), ("a", False, False, 1), ("a", False, False, 1), ("b", True, False, 1)] == rows
    assert marker.version_id == next(iter(session.list_object_versions())).version_id


def test_pages_of_unfinished_uploads_do_not_confuse_versions() -> None:
    """Between two versions of a key lie pages of unfinished uploads: the older one is still not the latest."""
    fake = service()
    fake.add(BUCKET, "a", b"old")
    for _ in range(7):
        fake.add(BUCKET, "a", action="start", parts={})
    fake.add(BUCKET, "a", b"new")
    rows = [(entry.is_latest, entry.size) for entry in session_on(fake).list_object_versions(max_keys=2)]
    assert [(True, 3), (False, 3)] == rows


def test_rows_with_next_to_nothing() -> None:
    """Null hashes, missing fields and timestamps of 0 are no reason to fail."""
    fake = service()
    row = fake.add(BUCKET, "a", action="hide", contentSha1=None, contentMd5=None, contentType=None, uploadTimestamp=0)
    for name in ("fileInfo", "contentLength", "fileRetention", "legalHold", "serverSideEncryption"):
        del row[name]
    [entry] = session_on(fake).list_object_versions()
    assert (True, None, 0) == (entry.delete_marker, entry.last_modified, entry.size)


TROUBLE = {
    "500": [refused(500, "internal_error")] * 9,
    "400": [refused(400, "bad_request")],
    "not JSON": [Fault(200, body=b"<html>")] * 9,
    "not an object": [Fault(200, body=b"[]")] * 9,
    "no list": [Fault(200, body=b"{}")] * 9,
    "no name": [Fault(200, body=b'{"files": [{}], "nextFileName": null}')] * 9,
    "a number for a name": [Fault(200, body=b'{"files": [{"fileName": 1}], "nextFileName": null}')] * 9,
    "reset": [Fault(lost="after")] * 9,
}


@pytest.mark.parametrize("faults", TROUBLE.values(), ids=TROUBLE)
@pytest.mark.parametrize("verb", ["list_objects", "list_object_versions"])
def test_a_second_page_that_fails_raises(faults: list[Fault], verb: str) -> None:
    """An error in the middle of a listing is raised: never is a part of it taken for the whole."""
    fake = filled("a", "b", "c", "d")
    session = session_on(fake)
    entries = iter(getattr(session, verb)(max_keys=2))
    seen = [next(entries).key, next(entries).key]
    fake.fault("b2_list_file_names", *faults)
    fake.fault("b2_list_file_versions", *faults)
    with pytest.raises(S3FuncError) as caught:
        seen += [entry.key for entry in entries]
    assert ["a", "b"] == seen
    assert BUCKET == caught.value.bucket
    assert not caught.value.maybe_applied


def test_a_second_page_that_fails_once_is_asked_for_again() -> None:
    """A 503 in the middle costs a retry and no row."""
    fake = filled("a", "b", "c", "d")
    session = session_on(fake)
    entries = iter(session.list_objects(max_keys=2))
    seen = [next(entries).key, next(entries).key]
    fake.fault("b2_list_file_names", refused(503, "service_unavailable"))
    assert ["a", "b", "c", "d"] == seen + [entry.key for entry in entries]


def test_a_listing_that_does_not_get_on_is_seen() -> None:
    """A service that names the same next file for ever is a ProtocolError."""
    fake = service()
    fake.fault("b2_list_file_names", *[Fault(200, body=b'{"files": [], "nextFileName": "a"}')] * 50)
    with pytest.raises(ProtocolError):
        list(session_on(fake).list_objects())
    fake.fault(
        "b2_list_file_versions", *[Fault(200, body=b'{"files": [], "nextFileName": "a", "nextFileId": "1"}')] * 50
    )
    with pytest.raises(ProtocolError):
        list(session_on(fake).list_object_versions())


def test_a_bucket_that_was_made_again_is_found_again() -> None:
    """A bucket id that B2 does not know any more is asked for anew at the next call."""
    fake = filled("a")
    session = session_on(fake)
    assert 1 == len(list(session.list_objects()))
    fake.files.clear()
    fake.buckets.clear()
    fake.bucket(BUCKET)
    with pytest.raises(NoSuchBucket):
        list(session.list_objects())
    assert [] == list(session.list_objects())


def test_the_size_of_v1_is_read() -> None:
    """Version 1 says size where later ones say contentLength."""
    fake = filled("a")
    fake.files[0]["size"] = fake.files[0].pop("contentLength")
    assert [1] == [entry.size for entry in session_on(fake).list_objects()]


def test_a_listing_gives_up_after_its_attempts() -> None:
    """The error of the last attempt says how many there were."""
    fake = service()
    fake.fault("b2_list_file_names", *[refused(500, "internal_error")] * 9)
    with pytest.raises(ServerError) as caught:
        list(session_on(fake).list_objects())
    assert 5 == caught.value.attempts
