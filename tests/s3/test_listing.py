"""Listings: lazy, complete or an error, and rows that can be used like the README's."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func import S3Session
from s3func.errors import AccessDenied, NoSuchBucket, ProtocolError, ServerError
from s3func.message import Request, Response
from s3func.models import BucketEntry, ListPage, ObjectEntry
from s3func.wire import s3xml
from tests.s3.keys import HOSTILE_KEYS
from tests.s3.rigs import FrozenClock, Recorder, embedded, recorded

MANY = [f"{n // 500}/{n:04d}" for n in range(2500)]


@pytest.fixture(scope="module")
def many() -> Iterator[tuple[S3Session, Recorder]]:
    """A session on a bucket of 2,500 keys below five prefixes, which nobody changes."""
    with embedded() as (session, recorder):
        for key in MANY:
            session.put_object(key, b"12345")
        yield session, recorder


@pytest.fixture
def filled(many: tuple[S3Session, Recorder]) -> tuple[S3Session, Recorder]:
    """The same, with nothing recorded yet."""
    many[1].sent.clear()
    return many


def queries(recorder: Recorder) -> list[dict[str, str]]:
    """The queries that were sent, decoded."""
    return [dict(parse_qsl(sent.query, keep_blank_values=True)) for sent in recorder.sent]


def test_a_listing_is_lazy(filled: tuple[S3Session, Recorder]) -> None:
    """Nothing is asked for before the iteration begins, and a page only when it is needed."""
    session, recorder = filled
    listing = session.list_objects()
    assert [] == recorder.sent
    rows = iter(listing)
    assert [] == recorder.sent
    for _ in range(1000):
        next(rows)
    assert 1 == len(recorder.sent)
    next(rows)
    assert 2 == len(recorder.sent)


def test_a_listing_is_complete(filled: tuple[S3Session, Recorder]) -> None:
    """2,500 keys come in three pages, in order, each once."""
    session, recorder = filled
    assert MANY == [entry.key for entry in session.list_objects()]
    assert 3 == len(recorder.sent)
    first, second, third = queries(recorder)
    assert {"list-type": "2", "encoding-type": "url"} == first
    assert "continuation-token" in second
    assert second["continuation-token"] != third["continuation-token"]


def test_a_listing_can_be_read_again(filled: tuple[S3Session, Recorder]) -> None:
    """Each iteration asks the store again, also while another one is under way."""
    session, recorder = filled
    listing = session.list_objects("1/")
    one, other = iter(listing), iter(listing)
    assert next(one).key == next(other).key == "1/0500"
    assert list(listing) == list(listing.iter_objects())
    assert 4 == len(recorder.sent)
    assert 499 == len(list(one)) == len(list(other))


@pytest.mark.parametrize("max_keys", [1, 7, 999, 1000])
def test_max_keys_is_the_size_of_a_page(filled: tuple[S3Session, Recorder], max_keys: int) -> None:
    """A smaller page means more requests and the same rows."""
    session, recorder = filled
    pages = list(session.list_objects("4/", max_keys=max_keys).pages())
    assert MANY[2000:] == [entry.key for page in pages for entry in page]
    assert -(-500 // max_keys) == len(pages) == len(recorder.sent)
    assert {str(max_keys)} == {query["max-keys"] for query in queries(recorder)}


@pytest.mark.parametrize("max_keys", [None, 2])
def test_a_delimiter_folds(filled: tuple[S3Session, Recorder], max_keys: int | None) -> None:
    """What lies deeper is folded into common prefixes, over all pages, with or without an iteration before."""
    session, recorder = filled
    expected = ["0/", "1/", "2/", "3/", "4/"]
    assert expected == session.list_objects(delimiter="/", max_keys=max_keys).common_prefixes
    listing = session.list_objects(delimiter="/", max_keys=max_keys)
    assert [] == list(listing)
    asked = len(recorder.sent)
    assert expected == listing.common_prefixes
    assert asked == len(recorder.sent), "the iteration had reached its end, so nothing is asked again"
    listing.common_prefixes.clear()
    assert expected == listing.common_prefixes


def test_start_after(filled: tuple[S3Session, Recorder]) -> None:
    """Only keys behind start_after come, and later pages go on by their token alone."""
    session, recorder = filled
    assert MANY[1000:] == [entry.key for entry in session.list_objects(start_after="1/0999")]
    first, second = queries(recorder)
    assert "1/0999" == first["start-after"]
    assert "start-after" not in second
    assert [] == list(session.list_objects(start_after="zzz"))


def test_nothing_there(filled: tuple[S3Session, Recorder]) -> None:
    """No object under a prefix is an empty listing; no bucket is an error when the iteration begins."""
    session, _ = filled
    listing = session.list_objects("nothing")
    assert ([], []) == (list(listing), listing.common_prefixes)
    absent = session.list_objects(bucket="absent")
    with pytest.raises(NoSuchBucket):
        list(absent)


@given(st.sampled_from(HOSTILE_KEYS), st.sampled_from(HOSTILE_KEYS), st.sampled_from(HOSTILE_KEYS))
def test_a_query_says_exactly_what_was_asked(prefix: str, start_after: str, delimiter: str) -> None:
    """Prefix, start_after and delimiter reach the store as they are, for objects and for versions."""
    recorder = Recorder()
    session = recorded(recorder)
    list(session.list_objects(prefix, start_after, delimiter))
    list(session.list_object_versions(prefix, start_after, delimiter))
    objects, versions = (dict(parse_qsl(sent.query.replace("+", "%2B"), True)) for sent in recorder.sent)
    assert (prefix, delimiter, start_after) == (objects["prefix"], objects["delimiter"], objects["start-after"])
    assert (prefix, delimiter, start_after) == (versions["prefix"], versions["delimiter"], versions["key-marker"])
    assert "" == versions["versions"]


@settings(max_examples=50)
@given(st.lists(st.sampled_from([key for key in HOSTILE_KEYS if "\0" not in key]), unique=True, max_size=12))
def test_a_prefix_selects_what_begins_with_it(keys: list[str]) -> None:
    """Whatever the keys, a listing below the first characters of one of them is what begins so, in byte order."""
    with embedded() as (session, _):
        for key in keys:
            session.put_object(key, b"")
        for prefix in {key[:2] for key in keys}:
            expected = sorted((key for key in keys if key.startswith(prefix)), key=str.encode)
            assert expected == [entry.key for entry in session.list_objects(prefix, max_keys=3)]


# --- rows


def test_a_row_has_attributes_and_names() -> None:
    """A row answers to attributes and to the README's names, second names included."""
    clock = FrozenClock()
    with embedded() as (session, _):
        session.put_object("key", b"12345", storage_class="STANDARD_IA")
        [row] = session.list_objects()
    assert ("key", 5, "827ccb0eea8a706c4c34a16891f84e7b", "STANDARD_IA") == (
        row.key,
        row.size,
        row.etag,
        row.storage_class,
    )
    assert row.last_modified is not None
    assert timedelta(0) == row.last_modified.utcoffset()
    assert clock.now() < row.last_modified.timestamp() + 10**9
    assert row.key == row["key"]
    assert 5 == row["content_length"] == row.content_length == row["size"]
    assert row.last_modified == row["upload_timestamp"] == row.upload_timestamp == row["last_modified"]
    assert "key" in row
    assert "content_length" in row
    assert "no such field" not in row
    assert (None, None, False) == (row.version_id, row.is_latest, row.delete_marker)
    with pytest.raises(KeyError, match="colour"):
        row["colour"]
    with pytest.raises(AttributeError, match="colour"):
        _ = row.colour
    assert ("key", "none") == (row.get("key"), row.get("colour", "none"))


ROW = ObjectEntry("k\u00e9y", 3, "e", datetime(2026, 11, 21, tzinfo=UTC), "STANDARD", "v1", True, False, "me")


def test_a_row_becomes_a_dict() -> None:
    """dict(row), {**row} and a loop over its names give the fields, as of any mapping."""
    expected = {
        "key": "k\u00e9y",
        "size": 3,
        "etag": "e",
        "last_modified": datetime(2026, 11, 21, tzinfo=UTC),
        "storage_class": "STANDARD",
        "version_id": "v1",
        "is_latest": True,
        "delete_marker": False,
        "owner": "me",
    }
    assert expected == dict(ROW) == {**ROW} == {name: ROW[name] for name in ROW} == dict(ROW.items())
    assert list(expected) == list(ROW) == list(ROW.keys())
    assert list(expected.values()) == list(ROW.values())


@pytest.mark.parametrize("copied", [pickle.loads, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_a_row_travels(copied: Callable[[Any], Any]) -> None:
    """A pickled or copied row is equal to the first, and hashes alike; another one is not."""
    for row in (ROW, ObjectEntry("a"), BucketEntry("bucket", None, "eu-west-1")):
        other = copied(pickle.dumps(row)) if copied is pickle.loads else copied(row)
        assert row == other
        assert hash(row) == hash(other)
        assert repr(row) == repr(other)
    assert ObjectEntry("a", 1) != ObjectEntry("a", 2)
    assert ObjectEntry("a") != BucketEntry("a")
    assert ObjectEntry("a") != "a"


def test_a_row_shows_what_it_has() -> None:
    """The repr names the class and the fields that are set."""
    assert "BucketEntry(name='b', region='r')" == repr(BucketEntry("b", None, "r"))
    assert repr(ObjectEntry("a", 1)).startswith("ObjectEntry(key='a', size=1, etag=''")


def test_a_page_is_its_rows() -> None:
    """A page is iterated by its rows, and its fields have names as well."""
    page = ListPage([ROW], ["p/"])
    assert [ROW] == list(page)
    assert ["p/"] == page["common_prefixes"] == page.common_prefixes
    assert {"entries", "common_prefixes", "is_truncated", "next_token", "next_version_id"} == set(page.keys())


# --- versions


def answering(*documents: bytes) -> Recorder:
    """A store that answers with these documents, one after the other."""
    answers = iter(documents)
    return Recorder(lambda _request: Response(200, {"content-type": "application/xml"}, next(answers)))


def versions(rows: list[ObjectEntry], key: str | None = None, version: str | None = None) -> bytes:
    """A page of versions."""
    page = ListPage(rows, [], key is not None, key, version)
    return s3xml.render_list_object_versions(page, bucket="bucket", prefix="", delimiter="", max_keys=1000)


def test_versions_go_on_where_the_page_ended() -> None:
    """Rows of versions listings tell versions from markers, and both markers lead to the next page."""
    rows = [
        ObjectEntry("a", 0, "", None, None, "3", True, True),
        ObjectEntry("a", 1, "e", None, None, "2", False),
        ObjectEntry("b", 1, "e", None, None, "null", True),
    ]
    recorder = answering(versions(rows[:2], "a", "2"), versions(rows[2:]))
    found = list(recorded(recorder).list_object_versions("p", start_after="A", max_keys=2))
    assert [("a", "3", True, True), ("a", "2", False, False), ("b", "null", True, False)] == [
        (row.key, row.version_id, row.is_latest, row.delete_marker) for row in found
    ]
    first, second = queries(recorder)
    assert ("A", None) == (first["key-marker"], first.get("version-id-marker"))
    assert ("a", "2") == (second["key-marker"], second["version-id-marker"])
    assert "2" == second["max-keys"]


# --- complete, or an error

LIST = "<ListBucketResult>{}</ListBucketResult>"
FIRST_PAGE = s3xml.render_list_objects_v2(
    ListPage([ObjectEntry("a", 1, "e", datetime(2026, 11, 21, tzinfo=UTC))], [], True, "token-1"),
    bucket="bucket",
    prefix="",
    delimiter="",
    max_keys=1,
)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html><body>Login</body></html>", ProtocolError),
        (200, b"", ProtocolError),
        (200, b"not xml", ProtocolError),
        (200, FIRST_PAGE[:-30], ProtocolError),
        (200, b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", ProtocolError),
        (200, LIST.format("<KeyCount>0</KeyCount>").encode(), ProtocolError),
        (200, LIST.format("<IsTruncated>true</IsTruncated>").encode(), ProtocolError),
        (200, LIST.format("<IsTruncated>false</IsTruncated><KeyCount>3</KeyCount>").encode(), ProtocolError),
        (200, b"<Error><Code>InternalError</Code></Error>", ServerError),
        (403, b"<Error><Code>AccessDenied</Code></Error>", AccessDenied),
        (500, b"", ServerError),
    ],
)
@pytest.mark.parametrize("before", [[], [FIRST_PAGE]], ids=["page 1", "page 2"])
def test_half_a_listing_is_an_error(before: list[bytes], status: int, body: bytes, error: type[Exception]) -> None:
    """A page that is refused, cut off or no page at all raises; rows of earlier pages came, and no end did."""
    answers = [Response(200, {}, page) for page in before]

    def answer(_: Request) -> Response:
        return answers.pop(0) if answers else Response(status, {}, body)

    rows = iter(recorded(Recorder(answer), retries=1).list_objects())
    for _ in before:
        assert "a" == next(rows).key
    with pytest.raises(error):
        next(rows)


def test_the_same_token_twice_is_an_error() -> None:
    """A store that gives the same token again would be asked for ever."""
    recorder = answering(FIRST_PAGE, FIRST_PAGE, FIRST_PAGE)
    with pytest.raises(ProtocolError, match="no new token"):
        list(recorded(recorder).list_objects())
    assert 2 == len(recorder.sent)


def test_a_failed_page_is_asked_for_again() -> None:
    """A page that fails for now is retried, with the same token, and no row comes twice."""
    last = s3xml.render_list_objects_v2(
        ListPage([ObjectEntry("b", 1, "e")], []), bucket="bucket", prefix="", delimiter="", max_keys=1
    )
    answers = [
        Response(200, {}, FIRST_PAGE),
        Response(503, {}, b"<Error><Code>SlowDown</Code></Error>"),
        Response(200, {}, b"<html>busy</html>"),
        Response(200, {}, last),
    ]
    recorder = Recorder(lambda _: answers.pop(0))
    assert ["a", "b"] == [entry.key for entry in recorded(recorder).list_objects()]
    assert [None, "token-1", "token-1", "token-1"] == [query.get("continuation-token") for query in queries(recorder)]


def test_an_iteration_that_failed_leaves_no_half_truth() -> None:
    """common_prefixes of a listing that broke off are listed anew, and the error comes again."""
    answers = [
        Response(200, {}, FIRST_PAGE),
        Response(403, {}, b""),
        Response(200, {}, FIRST_PAGE),
        Response(403, {}, b""),
    ]
    listing = recorded(Recorder(lambda _: answers.pop(0))).list_objects(delimiter="/")
    for _ in range(2):
        with pytest.raises(AccessDenied):
            _ = listing.common_prefixes
