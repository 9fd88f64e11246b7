"""Listings and deletions of many: complete or an error, at one request per 1,000 rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3func.errors import DeleteFailed, ProtocolError, S3FuncError, ServiceError
from s3func.models import ListPage, ObjectEntry
from tests.contract.session.services import SERVICES, Service

shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
IN_PROCESS = [name for name in SERVICES if not name.endswith("socket")]
"""The counts are the same over a socket, and a thousand puts are slow there."""
# A real service does not fail when it is asked to.
of_ours = pytest.mark.parametrize("service", list(SERVICES), indirect=True)
KEYS = ["a", "a/1", "a/2", "a/b/3", "ab", "b//x", "b/1", "c", "\u00fc/1"]


@pytest.fixture
def filled(service: Service) -> Service:
    """KEYS, each with its name for its content."""
    for key in KEYS:
        service.session.put_object(key, key)
    return service


@pytest.mark.parametrize("size", [None, 1, 2, 5])
def test_a_listing_is_complete_and_in_order(filled: Service, size: int | None) -> None:
    """All keys once, in the order of their bytes, whatever the size of the pages."""
    listing = filled.session.list_objects(max_keys=size)
    assert sorted(KEYS, key=str.encode) == [entry.key for entry in listing]
    assert sorted(KEYS, key=str.encode) == [entry.key for entry in listing.iter_objects()]
    assert sorted(KEYS, key=str.encode) == [entry.key for page in listing.pages() for entry in page]


@pytest.mark.parametrize("size", [None, 1, 3])
@pytest.mark.parametrize(
    ("arguments", "keys", "prefixes"),
    [
        ({"prefix": "a"}, ["a", "a/1", "a/2", "a/b/3", "ab"], []),
        ({"prefix": "a/"}, ["a/1", "a/2", "a/b/3"], []),
        ({"prefix": "nothing"}, [], []),
        ({"start_after": "a/2"}, ["a/b/3", "ab", "b//x", "b/1", "c", "\u00fc/1"], []),
        ({"start_after": "a/1x"}, ["a/2", "a/b/3", "ab", "b//x", "b/1", "c", "\u00fc/1"], []),
        ({"prefix": "a", "start_after": "a/b/3"}, ["ab"], []),
        ({"prefix": "b", "start_after": "a"}, ["b//x", "b/1"], []),
        ({"delimiter": "/"}, ["a", "ab", "c"], ["a/", "b/", "\u00fc/"]),
        ({"prefix": "a/", "delimiter": "/"}, ["a/1", "a/2"], ["a/b/"]),
        ({"prefix": "b/", "delimiter": "/"}, ["b/1"], ["b//"]),
    ],
    ids=str,
)
def test_prefix_start_and_delimiter(
    filled: Service, arguments: dict[str, str], keys: list[str], prefixes: list[str], size: int | None
) -> None:
    """What lies under a prefix, behind a key, and folded by a delimiter."""
    listing = filled.session.list_objects(max_keys=size, **arguments)
    assert keys == [entry.key for entry in listing]
    assert prefixes == listing.common_prefixes


def test_rows_have_their_fields(filled: Service) -> None:
    """Attributes and dict-style access, with the contract's names and types."""
    now = datetime.now(UTC)
    for entry in [*filled.session.list_objects("c"), *filled.session.list_object_versions("c")]:
        assert isinstance(entry, ObjectEntry)
        assert ("c", 1) == (entry.key, entry.size) == (entry["key"], entry["content_length"])
        assert filled.session.head_object("c").etag == entry.etag
        assert entry.last_modified is not None
        assert abs(now - entry.last_modified) < timedelta(hours=12)
        assert not entry.delete_marker
    versions = list(filled.session.list_object_versions("c"))
    assert [True] == [entry.is_latest for entry in versions]
    assert filled.versions == (versions[0].version_id not in (None, "null"))
    page = next(filled.session.list_objects(max_keys=2).pages())
    assert isinstance(page, ListPage)
    assert (2, True) == (len(page.entries), page.is_truncated)


def test_nothing_is_asked_before_the_iteration(service: Service) -> None:
    """A listing is lazy, and each iteration asks again."""
    session = service.session
    sent = len(service.wire.sent)
    listing, versions = session.list_objects(), session.list_object_versions()
    assert sent == len(service.wire.sent)
    assert [] == list(listing)
    assert [] == list(versions)
    session.put_object("key", b"")
    assert ["key"] == [entry.key for entry in listing]
    assert ["key"] == [entry.key for entry in versions]


@pytest.mark.parametrize("service", IN_PROCESS, indirect=True)
@pytest.mark.parametrize("rows", [0, 1, 1000, 1001])
def test_one_request_per_thousand_rows(service: Service, rows: int) -> None:
    """No probes, and no page more than it takes."""
    session = service.session
    for number in range(rows):
        session.put_object(f"{number:04}", b"")
    for listing in (session.list_objects(), session.list_object_versions(), session.list_objects(delimiter="/")):
        sent = len(service.wire.sent)
        assert listing.common_prefixes == []
        assert max(1, -(-rows // 1000)) == len(service.wire.sent) - sent


def test_versions(service: Service) -> None:
    """Newest first, which is the latest, and delete markers as such."""
    session = service.session
    if not service.versions:
        session.put_object("key", b"1")
        rows = list(session.list_object_versions())
        assert [("key", True, False)] == [(row.key, row.is_latest, row.delete_marker) for row in rows]
        return
    first = session.put_object("key", b"1")
    second = session.put_object("key", b"22")
    session.put_object("other", b"")
    session.delete_object("key")
    for size in (None, 1, 2):
        rows = list(session.list_object_versions(max_keys=size))
        assert [
            ("key", True, True),
            ("key", False, False),
            ("key", False, False),
            ("other", True, False),
        ] == [(row.key, row.is_latest, row.delete_marker) for row in rows]
        assert [second.version_id, first.version_id] == [row.version_id for row in rows[1:3]]
        assert [2, 1] == [row.size for row in rows[1:3]]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"status": 403},
        {"answer": "html"},
        {"answer": "error"},
        {"answer": "cut_list"},
        {"answer": "unmarked_list"},
        {"reset": "before"},
        {"reset": "after"},
        {"cut_answer": 20},
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["list_objects", "list_object_versions"])
@of_ours
def test_a_second_page_that_fails_is_an_error(filled: Service, verb: str, fault: dict[str, Any]) -> None:
    """Never a short list: what goes wrong on page two is raised, and so is an answer that is no page."""
    assert filled.app is not None
    operation = "b2_list_file_*" if filled.is_b2 else "ListObject*"
    rows: list[Any] = []
    with filled.app.faults.add(operation, after=1, **fault) as broken, pytest.raises(S3FuncError) as caught:
        rows.extend(getattr(filled.session, verb)(max_keys=4))
    assert len(rows) <= 4
    assert broken.fired
    if "answer" in fault and fault["answer"] != "error":
        assert isinstance(caught.value, ProtocolError)


@pytest.mark.parametrize("verb", ["list_objects", "list_object_versions"])
@of_ours
def test_a_second_page_that_fails_once_is_asked_for_again(filled: Service, verb: str) -> None:
    """A hiccup between two pages loses and repeats nothing."""
    assert filled.app is not None
    operation = "b2_list_file_*" if filled.is_b2 else "ListObject*"
    with filled.app.faults.add(operation, after=1, times=1, status=503, headers={"retry-after": "0"}):
        rows = [entry.key for entry in getattr(filled.session, verb)(max_keys=4)]
    assert sorted(KEYS, key=str.encode) == rows


@shared
@given(
    st.sets(st.text("ab/", min_size=1, max_size=5), max_size=15),
    st.text("ab/", max_size=3),
    st.text("ab/", max_size=4),
    st.sampled_from([None, "/", "b", "/a"]),
    st.sampled_from([None, 1, 3]),
)
def test_listings_say_what_there_is(
    service: Service, keys: set[str], prefix: str, start: str, delimiter: str | None, size: int | None
) -> None:
    """Any keys, prefix, start and delimiter: the same rows and folds as by definition."""
    session = service.session
    puts = {key: session.put_object(key, b"") for key in keys}
    found = sorted(key for key in keys if key.startswith(prefix) and key > start)
    rows, folds = [], set()
    for key in found:
        rest = key[len(prefix) :]
        if delimiter and delimiter in rest:
            fold = prefix + rest[: rest.index(delimiter) + len(delimiter)]
            # S3 and B2 may both leave out a fold that begins before the start; no row of it is in the listing.
            folds.add(fold)
        else:
            rows.append(key)
    listing = session.list_objects(prefix, start, delimiter, size)
    assert rows == [entry.key for entry in listing]
    assert {fold for fold in folds if not start.startswith(fold)} <= set(listing.common_prefixes) <= folds
    for key, put in puts.items():
        session.delete_object(key, put.version_id)


def test_deleting_many(filled: Service) -> None:
    """Keys, mappings, rows of a listing, or all under a prefix; what was deleted is told, what is not there as well."""
    session = filled.session
    rows = session.delete_objects(["a", {"key": "c"}, "not there"])
    assert ["a", "c", "not there"] == sorted(row.key for row in rows)
    session.delete_objects(list(session.list_objects("b")))
    assert ["a/1", "a/2", "a/b/3", "ab", "\u00fc/1"] == [entry.key for entry in session.list_objects()]
    assert {"a/1", "a/2", "a/b/3"} == {row.key for row in session.delete_objects(prefix="a/")}
    assert ["ab", "\u00fc/1"] == [entry.key for entry in session.list_objects()]
    assert [] == session.delete_objects([])


def test_deleting_versions(filled: Service) -> None:
    """purge takes every version and marker of exactly these keys, and nothing that they are a prefix of."""
    session = filled.session
    if not filled.versions:
        session.delete_objects(["a"])
        assert "a/1" in [row.key for row in session.list_objects()]
        return
    session.put_object("a", b"again")
    session.delete_object("a")
    session.delete_objects(["a"], purge=True)
    assert "a" not in [row.key for row in session.list_object_versions()]
    assert "a/1" in [row.key for row in session.list_objects()]
    session.delete_objects(prefix="a", purge=True)
    assert [] == list(session.list_object_versions("a"))
    session.delete_objects(list(session.list_object_versions()))
    assert [] == list(session.list_object_versions())


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [("prefix", {"prefix": ""}), ("keys", {}), ("keys", {"keys": ["a"], "prefix": "b"}), ("keys", {"keys": "a"})],
    ids=str,
)
def test_what_could_empty_a_bucket_is_refused(filled: Service, argument: str, arguments: dict[str, Any]) -> None:
    """An empty prefix, nothing, both, or a text in place of a list: nothing is sent."""
    sent = len(filled.wire.sent)
    with pytest.raises((ValueError, TypeError), match=argument):
        filled.session.delete_objects(**arguments)
    assert sent == len(filled.wire.sent)


@pytest.mark.parametrize("service", [name for name in SERVICES if name.startswith("b2")], indirect=True)
def test_deleting_many_tells_what_is_left(filled: Service) -> None:
    """DeleteFailed says which keys are still there, and the others are gone; S3's has tests/s3/test_deletion.py."""
    session = filled.session
    assert filled.app is not None
    # Calls of B2 name their file in a document, so that the fault takes the first one that comes.
    with (
        filled.app.faults.add("b2_hide_file", times=1, status=403, code="access_denied"),
        pytest.raises(DeleteFailed) as caught,
    ):
        session.delete_objects(["a", "c", "ab"])
    assert 1 == len(caught.value.failures)
    key, _, code, _ = caught.value.failures[0]
    assert "access_denied" == code
    assert {key} == {row.key for row in session.list_objects()} & {"a", "c", "ab"}


def test_a_listing_of_a_bucket_that_is_not_there(session: Any) -> None:
    """ServiceError, never an empty list."""
    for listing in (
        session.list_objects(bucket="no-such-bucket"),
        session.list_object_versions(bucket="no-such-bucket"),
    ):
        with pytest.raises(ServiceError):
            list(listing)
