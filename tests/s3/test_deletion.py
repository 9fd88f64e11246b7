"""delete_objects: any number of keys, and whatever is still there afterwards is told."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5, sha256
from pickle import dumps, loads
from threading import Barrier, Lock
from typing import Any
from zlib import crc32

import pytest

from s3func.errors import (
    AccessDenied,
    ConnectionLost,
    DeleteFailed,
    NotImplementedByStore,
    ServerError,
    service_error,
)
from s3func.message import Request, Response
from s3func.models import ListPage, ObjectEntry
from s3func.wire import s3xml
from tests.s3.keys import HOSTILE_KEYS
from tests.s3.rigs import Recorder, body_bytes, embedded, recorded, success

Row = tuple[str, str | None]


def rows_of(body: bytes) -> list[Row]:
    """The keys and versions of a DeleteObjects document."""
    return s3xml.parse_delete_objects(body).objects


def versions_page(rows: list[ObjectEntry], *, is_truncated: bool = False) -> Response:
    """A page of ListObjectVersions."""
    marker = (rows[-1].key, rows[-1].version_id) if is_truncated else (None, None)
    page = ListPage(rows, [], is_truncated, *marker)
    return Response(
        200, {}, s3xml.render_list_object_versions(page, bucket="bucket", prefix="", delimiter="", max_keys=1000)
    )


def version(key: str, version_id: str, *, delete_marker: bool = False) -> ObjectEntry:
    """A row of a versions listing."""
    return ObjectEntry(key, 1, "e", None, None, version_id, False, delete_marker)


class VersionedStore:
    """Answers versions listings from a script and deletions with success."""

    def __init__(self, *pages: list[ObjectEntry]) -> None:
        self.pages = list(pages)

    def __call__(self, request: Request) -> Response:
        if "versions=" in request.query:
            rows = self.pages.pop(0)
            return versions_page(rows, is_truncated=bool(self.pages))
        return success(request)


def test_more_keys_than_one_request_carries() -> None:
    """2,500 keys go out in three requests, and each key that is reported was deleted."""
    keys = [f"key {n}" for n in range(2500)]
    with embedded() as (session, recorder):
        for key in [*keys[:3], "kept"]:
            session.put_object(key, b"")
        recorder.sent.clear()
        deleted = session.delete_objects(keys)
        assert [1000, 1000, 500] == [len(rows_of(sent.body)) for sent in recorder.sent]
        assert keys == [row.key for row in deleted]
        assert ["kept"] == [entry.key for entry in session.list_objects()]


@pytest.mark.parametrize("kind", ["list", "tuple", "set", "generator", "dicts", "boto dicts", "entries"])
def test_keys_in_any_form(kind: str) -> None:
    """Keys come as any iterable: of keys, of mappings in our words or boto3's, or of the rows of a listing."""
    with embedded() as (session, _):
        for key in ("a", "b", "c"):
            session.put_object(key, b"")
        given: dict[str, Any] = {
            "list": ["a", "b"],
            "tuple": ("a", "b"),
            "set": {"a", "b"},
            "generator": (key for key in "ab"),
            "dicts": [{"key": "a"}, {"key": "b", "version_id": None}],
            "boto dicts": [{"Key": "a"}, {"Key": "b"}],
            "entries": [entry for entry in session.list_objects() if entry.key != "c"],
        }
        assert {"a", "b"} == {row.key for row in session.delete_objects(given[kind])}
        assert ["c"] == [entry.key for entry in session.list_objects()]


def test_a_listing_can_be_deleted() -> None:
    """What a listing gives is what delete_objects takes, versions included."""
    recorder = Recorder(VersionedStore([version("a", "2", delete_marker=True), version("a", "1")]))
    session = recorded(recorder)
    session.delete_objects(session.list_object_versions("a"))
    assert [("a", "2"), ("a", "1")] == rows_of(recorder.last.body)


def test_no_keys_are_no_request() -> None:
    """An empty list deletes nothing and asks nothing."""
    recorder = Recorder()
    assert [] == recorded(recorder).delete_objects([])
    assert [] == recorded(recorder).delete_objects(iter(()), purge=True)
    assert [] == recorder.sent


def test_the_document_is_protected() -> None:
    """The request carries both digests that stores ask for, and its hash is signed."""
    recorder = Recorder()
    recorded(recorder).delete_objects(["a<&>b", "é"])
    headers, body = recorder.last.headers, recorder.last.body
    assert b64encode(md5(body).digest()).decode() == headers["content-md5"]
    assert b64encode(crc32(body).to_bytes(4, "big")).decode() == headers["x-amz-checksum-crc32"]
    assert sha256(body).hexdigest() == headers["x-amz-content-sha256"]
    assert [("a<&>b", None), ("é", None)] == rows_of(body)


def test_every_hostile_key_is_deleted_exactly() -> None:
    """Keys that XML cannot carry are deleted one by one, all others together; no other key is touched."""
    recorder = Recorder()
    deleted = recorded(recorder).delete_objects(HOSTILE_KEYS)
    assert sorted(HOSTILE_KEYS) == sorted(row.key for row in deleted)
    together = [row.key for row in deleted if s3xml.xml_can_carry(row.key)]
    alone = [key for key in HOSTILE_KEYS if not s3xml.xml_can_carry(key)]
    assert together == [key for sent in recorder.sent if sent.method == "POST" for key, _ in rows_of(sent.body)]
    assert len(alone) == sum(sent.method == "DELETE" for sent in recorder.sent) > 100


def test_a_version_that_xml_cannot_carry_goes_alone() -> None:
    """The same for a version id with a control character."""
    recorder = Recorder()
    deleted = recorded(recorder).delete_objects([{"key": "a", "version_id": "1"}, {"key": "b", "version_id": "\x01"}])
    assert [("a", "1"), ("b", "\x01")] == [(row.key, row.version_id) for row in deleted]
    assert ["POST", "DELETE"] == [sent.method for sent in recorder.sent]
    assert "versionId=%01" == recorder.last.query


def test_a_prefix() -> None:
    """Everything under a prefix is deleted, and nothing beside it."""
    with embedded() as (session, _):
        for key in ("logs/1", "logs/2/3", "logs", "logs2", "other/logs/1"):
            session.put_object(key, b"")
        assert ["logs/1", "logs/2/3"] == [row.key for row in session.delete_objects(prefix="logs/")]
        assert ["logs", "logs2", "other/logs/1"] == [entry.key for entry in session.list_objects()]
        assert [] == session.delete_objects(prefix="nothing/")


def test_a_prefix_of_many_pages() -> None:
    """A prefix with more keys than a page is emptied altogether."""
    with embedded() as (session, _):
        for n in range(1005):
            session.put_object(f"many/{n}", b"")
        assert 1005 == len(session.delete_objects(prefix="many/"))
        assert [] == list(session.list_objects())


def test_a_purge_deletes_every_version() -> None:
    """purge takes all versions and delete markers of exactly the given keys; a version that is named stays that one."""
    store = VersionedStore(
        [version("a", "3", delete_marker=True), version("a", "2"), version("a", "1"), version("ab", "9")],
    )
    recorder = Recorder(store)
    recorded(recorder).delete_objects(["a", {"key": "c", "version_id": "7"}], purge=True)
    assert [("a", "3"), ("a", "2"), ("a", "1"), ("c", "7")] == rows_of(recorder.last.body)


def test_a_purge_reads_no_more_pages_than_it_needs() -> None:
    """The versions of a key may go over several pages; behind the last of them no page is asked for."""
    pages = [[version("a", "3")], [version("a", "2"), version("aa", "1")], [version("ab", "1")]]
    store = VersionedStore(*pages)
    recorder = Recorder(store)
    recorded(recorder).delete_objects(["a"], purge=True)
    assert [("a", "3"), ("a", "2")] == rows_of(recorder.last.body)
    assert 1 == len(store.pages)


def test_a_purge_finds_markers_that_stand_behind_all_versions() -> None:
    """Some stores list the delete markers of a page behind its versions, out of order; none is left behind."""
    page = [version("a", "1"), version("ab", "1"), version("a", "2", delete_marker=True)]
    recorder = Recorder(VersionedStore(page))
    recorded(recorder).delete_objects(["a"], purge=True)
    assert [("a", "1"), ("a", "2")] == rows_of(recorder.last.body)


def test_a_purge_of_a_prefix() -> None:
    """With a prefix, purge takes every version and marker under it."""
    recorder = Recorder(
        VersionedStore([version("p/a", "2", delete_marker=True), version("p/a", "1")], [version("p/b", "1")])
    )
    recorded(recorder).delete_objects(prefix="p/", purge=True)
    assert [("p/a", "2"), ("p/a", "1"), ("p/b", "1")] == rows_of(recorder.last.body)
    assert "prefix=p%2F" in recorder.sent[0].query


@pytest.mark.parametrize("arguments", [{"keys": ["a", "b"]}, {"prefix": "a"}], ids=str)
def test_a_purge_where_the_store_has_no_versions(arguments: dict[str, Any]) -> None:
    """A store without a versions listing has one version of each key, and that is deleted."""

    def unversioned(request: Request) -> Response:
        if "versions=" in request.query:
            return Response(501, {}, b"<Error><Code>NotImplemented</Code></Error>")
        if "list-type=2" in request.query:
            page = ListPage([ObjectEntry("a", 1, "e"), ObjectEntry("b", 1, "e")], [])
            return Response(
                200, {}, s3xml.render_list_objects_v2(page, bucket="b", prefix="", delimiter="", max_keys=1000)
            )
        return success(request)

    recorder = Recorder(unversioned)
    recorded(recorder).delete_objects(**arguments, purge=True)
    assert [("a", None), ("b", None)] == rows_of(recorder.last.body)


def answering(*results: s3xml.DeleteObjectsResult) -> Recorder:
    """A store that answers deletions with these."""
    answers = iter(results)
    return Recorder(lambda _request: Response(200, {}, s3xml.render_delete_result(*next(answers))))


def test_a_key_that_is_refused_is_told_after_all_were_tried() -> None:
    """DeleteFailed holds every row that the store refused, of every batch, and travels between processes."""
    keys = [f"k{n}" for n in range(1001)]
    gone = [s3xml.DeletedObject(key) for key in keys]
    refused = [
        s3xml.DeleteFailure("k7", None, "AccessDenied", "no"),
        s3xml.DeleteFailure("k1000", "v", "InternalError", ""),
    ]
    recorder = answering(
        s3xml.DeleteObjectsResult([row for row in gone[:1000] if row.key != "k7"], refused[:1]),
        s3xml.DeleteObjectsResult([], refused[1:]),
    )
    with pytest.raises(
        DeleteFailed, match=r"2 of 1001 objects were not deleted; the first is 'k7': AccessDenied no"
    ) as caught:
        recorded(recorder).delete_objects(keys)
    assert 2 == len(recorder.sent)
    assert refused == caught.value.failures
    assert "bucket" == caught.value.bucket
    assert refused == loads(dumps(caught.value)).failures


def test_a_key_that_is_not_mentioned_is_not_deleted() -> None:
    """A store that does not say what became of a row has not deleted it."""
    recorder = answering(s3xml.DeleteObjectsResult([s3xml.DeletedObject("a")], []))
    with pytest.raises(DeleteFailed) as caught:
        recorded(recorder).delete_objects(["a", "b"])
    assert [("b", None)] == [failure[:2] for failure in caught.value.failures]


def test_a_version_that_is_not_mentioned_is_not_deleted() -> None:
    """Another version of the same key in the answer does not count for it."""
    recorder = answering(s3xml.DeleteObjectsResult([s3xml.DeletedObject("a", "2")], []))
    with pytest.raises(DeleteFailed) as caught:
        recorded(recorder).delete_objects([{"key": "a", "version_id": "1"}, {"key": "a", "version_id": "2"}])
    assert [("a", "1")] == [failure[:2] for failure in caught.value.failures]


def test_a_store_that_does_not_repeat_the_version_is_believed() -> None:
    """A row with the key alone answers for the version that was asked for."""
    recorder = answering(s3xml.DeleteObjectsResult([s3xml.DeletedObject("a")], []))
    recorded(recorder).delete_objects([{"key": "a", "version_id": "1"}])
    recorder = answering(s3xml.DeleteObjectsResult([s3xml.DeletedObject("a", None, True, "9")], []))
    [row] = recorded(recorder).delete_objects(["a"])
    assert ("a", True, "9") == (row.key, row.delete_marker, row.delete_marker_version_id)


def test_a_refusal_without_a_key_is_told() -> None:
    """A store may refuse the request in one row that names no key."""
    recorder = answering(s3xml.DeleteObjectsResult([], [s3xml.DeleteFailure("", None, "MalformedXML", "what?")]))
    with pytest.raises(DeleteFailed) as caught:
        recorded(recorder).delete_objects(["a"])
    assert {("", "MalformedXML"), ("a", "NotMentioned")} == {(row[0], row[2]) for row in caught.value.failures}


def test_a_key_that_goes_alone_may_be_refused() -> None:
    """A refused DELETE of one key is one failure among the others, not the end of the call."""

    def refusing(request: Request) -> Response:
        if request.method == "DELETE":
            return Response(403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        return success(request)

    recorder = Recorder(refusing)
    with pytest.raises(DeleteFailed) as caught:
        recorded(recorder).delete_objects(["\x01", "a", "\x02"])
    assert [("\x01", None, "AccessDenied", "no"), ("\x02", None, "AccessDenied", "no")] == caught.value.failures


@pytest.mark.parametrize(
    ("status", "code", "error"), [(403, "AccessDenied", AccessDenied), (501, "NotImplemented", NotImplementedByStore)]
)
def test_a_refused_request_is_the_refusal(status: int, code: str, error: type[Exception]) -> None:
    """A request that is refused altogether raises what it was refused with."""
    recorder = Recorder(lambda _: Response(status, {}, f"<Error><Code>{code}</Code></Error>".encode()))
    with pytest.raises(error):
        recorded(recorder).delete_objects(["a"])


def test_an_error_with_status_200_is_an_error() -> None:
    """An <Error> in the place of the result is not an empty result."""
    recorder = Recorder(lambda _: Response(200, {}, b"<Error><Code>InternalError</Code></Error>"))
    with pytest.raises(ServerError):
        recorded(recorder, retries=1).delete_objects(["a"])


def test_a_listing_that_fails_stops_the_deletion() -> None:
    """What was listed before a page failed may be gone, and the error says that the rest is not."""

    def failing(request: Request) -> Response:
        raise service_error("AccessDenied", "no listing", status=403)

    with pytest.raises(AccessDenied, match="no listing"):
        recorded(Recorder(failing)).delete_objects(prefix="a/")


def test_the_same_key_twice() -> None:
    """A key that is given twice is deleted, whether the store answers once or twice."""
    for answered in (1, 2):
        recorder = answering(s3xml.DeleteObjectsResult([s3xml.DeletedObject("a")] * answered, []))
        assert "a" == recorded(recorder).delete_objects(["a", "a"])[0].key


def test_the_generator_is_read_once() -> None:
    """Keys are taken from an iterator one after the other, each once."""
    taken = []

    def keys() -> Iterator[str]:
        for key in ("a", "b"):
            taken.append(key)
            yield key

    recorder = Recorder()
    recorded(recorder).delete_objects(keys())
    assert ["a", "b"] == taken


class Counting:
    """A store that deletes everything, and knows how many batches were under way at a time."""

    def __init__(self, together: int = 1) -> None:
        """together: answers are held back until so many requests are there; the first three come alone."""
        self.arrivals = 0
        self.under_way = self.most = 0
        self.lock = Lock()
        self.together = Barrier(together, timeout=30)

    def __call__(self, request: Request) -> Response:
        with self.lock:
            self.arrivals += 1
            is_parallel = self.arrivals > 3
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            if is_parallel:
                self.together.wait()
            return success(request)
        finally:
            with self.lock:
                self.under_way -= 1


def test_many_batches_go_in_parallel() -> None:
    """From the fourth batch on, four requests are under way at a time; the rows are returned in their order."""
    keys = [f"key {n}" for n in range(14_500)]
    store = Counting(together=4)
    recorder = Recorder(store)
    deleted = recorded(recorder).delete_objects(keys)
    assert keys == [row.key for row in deleted]
    assert (15, 4) == (len(recorder.sent), store.most)
    assert sorted(keys) == sorted(key for sent in recorder.sent for key, _ in rows_of(sent.body))


def test_a_listing_is_not_read_far_ahead() -> None:
    """Keys of a listing are taken when there is room for them: what is held does not grow with the bucket."""
    pages = 0
    store = Counting(together=4)
    ahead = []

    def answer_to(request: Request) -> Response:
        nonlocal pages
        if "list-type=2" not in request.query:
            return store(request)
        pages += 1
        ahead.append(pages - store.arrivals)
        entries = [ObjectEntry(f"{pages:02}/{n:03}", 1, "e") for n in range(1000)]
        page = ListPage(entries, [], pages < 15, str(pages) if pages < 15 else None)
        return Response(200, {}, s3xml.render_list_objects_v2(page, bucket="b", prefix="", delimiter="", max_keys=1000))

    assert 15_000 == len(recorded(Recorder(answer_to)).delete_objects(prefix="x"))
    # One page in hand, four batches with the threads, one more on its way to them.
    assert max(ahead) <= 6


def failing_at(number: int, failure: Exception | None = None) -> Recorder:
    """A store that deletes everything, but refuses (or does not answer) the request of this number."""
    count = iter(range(1, 1_000_000))
    lock = Lock()

    def answer_to(request: Request) -> Response:
        with lock:
            current = next(count)
        if current != number:
            return success(request)
        if failure is not None:
            raise failure
        return Response(403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")

    return Recorder(answer_to)


@pytest.mark.parametrize("number", [2, 3, 4, 7])
def test_a_refused_batch_ends_the_work_and_every_key_is_told(number: int) -> None:
    """Each key is either returned as deleted by the store's own word, or told as a failure: refused, or not tried."""
    keys = [f"key {n}" for n in range(20_000)]
    recorder = failing_at(number)
    with pytest.raises(DeleteFailed) as caught:
        recorded(recorder).delete_objects(keys)
    sent = {key for request in recorder.sent for key, _ in rows_of(request.body)}
    failures = caught.value.failures
    told = {row[0] for row in failures}
    assert len(failures) == len(told)
    refused = {row[0] for row in failures if row[2] == "AccessDenied"}
    assert 1000 == len(refused)
    assert {row[0] for row in failures if row[2] == "NotTried"} == set(keys) - sent
    assert sent - refused == set(keys) - told
    # What was under way with it comes to its end; nothing else is begun.
    assert len(recorder.sent) <= number + 4


def test_a_connection_that_is_lost_later_is_told() -> None:
    """The same where there was no answer: what was deleted before is not forgotten over it."""
    keys = [f"key {n}" for n in range(2_500)]
    with pytest.raises(DeleteFailed, match=r"1500 of 2500 .* 'key 1000': ConnectionLost") as caught:
        recorded(failing_at(2, ConnectionLost("gone")), retries=1).delete_objects(keys)
    assert ["ConnectionLost"] * 1000 + ["NotTried"] * 500 == [row[2] for row in caught.value.failures]


def test_a_key_that_goes_alone_may_get_no_answer() -> None:
    """What was deleted before it is not forgotten, and those behind it were not tried."""
    with pytest.raises(DeleteFailed) as caught:
        recorded(failing_at(3, ConnectionLost("gone")), retries=1).delete_objects(["a", "\x01", "\x02", "\x03"])
    assert [("\x02", "ConnectionLost"), ("\x03", "NotTried")] == [(row[0], row[2]) for row in caught.value.failures]
    with pytest.raises(ConnectionLost):
        recorded(failing_at(1, ConnectionLost("gone")), retries=1).delete_objects(["\x01", "\x02"])


def test_a_listing_that_was_not_read_to_its_end_is_told() -> None:
    """Keys that would have been listed have no names to be told by, and the error says that there may be some."""
    inner = failing_at(3)

    def answer_to(request: Request) -> Response:
        if "list-type=2" in request.query:
            begin = int(request.query.partition("continuation-token=")[2].partition("&")[0] or "0")
            entries = [ObjectEntry(f"{begin}/{n:03}", 1, "e") for n in range(1000)]
            page = ListPage(entries, [], True, str(begin + 1))
            return Response(
                200, {}, s3xml.render_list_objects_v2(page, bucket="b", prefix="", delimiter="", max_keys=1000)
            )
        return inner.answer(request)

    with pytest.raises(DeleteFailed, match=r"1000 of 3000 .* what else would have been listed was not tried"):
        recorded(Recorder(answer_to)).delete_objects(prefix="x")


def test_an_interrupt_ends_a_deletion() -> None:
    """Ctrl-C while keys are taken passes through, and no thread is left behind."""

    def keys() -> Iterator[ObjectEntry]:
        for n in range(6_000):
            yield ObjectEntry(f"key {n}", 1, "e")
        raise KeyboardInterrupt

    recorder = Recorder()
    session = recorded(recorder)
    session.list_objects = lambda *_args, **_options: keys()  # type: ignore[assignment,method-assign]
    with pytest.raises(KeyboardInterrupt):
        session.delete_objects(prefix="x")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("s3func-delete")]


def test_another_bucket() -> None:
    """bucket= counts for the deletion, for the listing before it and for the keys that go alone."""
    recorder = Recorder(VersionedStore([version("p/a", "1")]))
    session = recorded(recorder)
    session.delete_objects(prefix="p/", purge=True, bucket="other")
    session.delete_objects(["\x01"], bucket="other")
    assert ["/other", "/other", "/other/%01"] == [sent.path for sent in recorder.sent]


def test_the_documents_of_the_rig_are_read() -> None:
    """body_bytes gives what was sent, so the assertions above look at real documents."""
    recorder = Recorder()
    recorded(recorder).delete_objects(["a"])
    assert recorder.last.body.startswith(b"<?xml")
    assert recorder.last.body == body_bytes(recorder.last.body)
