"""What a gateway keeps of the contract where the store behind it keeps the objects, and how it fails."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import (
    AccessDenied,
    ChecksumMismatch,
    ConnectError,
    DeleteFailed,
    InvalidCredentials,
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    NotImplementedByStore,
    NotSupported,
    PreconditionFailed,
    ProtocolError,
    Redirected,
    ServerError,
    ServiceError,
    Throttled,
    service_error,
)
from s3func.listing import ObjectListing
from s3func.message import Request, Response
from s3func.models import ListPage, ObjectEntry
from s3func.results import DeleteResult, GetResult
from s3func.server.app import S3App
from s3func.server.backend import Deleted, Deletion, ObjectAttributes, Precondition, StoredObject
from s3func.server.backends.memory import MemoryBackend
from s3func.server.backends.session import SessionBackend
from s3func.server.backends.session.base import KNOWN_SECONDS
from s3func.server.backends.session.bodies import READ_AHEAD, SPOOL_IN_MEMORY
from s3func.server.powers import Editable, Identified, Multipart, Versioned
from s3func.session import Session
from tests.contract.objects import PLAIN, StoppedClock, body_of, get, keys_of, put, run_threads

KEPT = ObjectAttributes(
    headers={
        "content-type": "text/plain",
        "cache-control": "no-store",
        "content-disposition": "attachment",
        "content-encoding": "gzip",
        "content-language": "de",
        "expires": "Sat, 21 Nov 2026 10:00:00 GMT",
        "x-amz-storage-class": "GLACIER",
        "x-amz-website-redirect-location": "/elsewhere",
    },
    metadata={"source": "sensor-1", "name": "Grüße \u2603", "empty": ""},
)


class Counted:
    """A server in this process, and the requests that it was sent."""

    def __init__(self, app: S3App) -> None:
        self.app = app
        self.requests: list[str] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(f"{request.method} {request.target}")
        return self.app(request)

    def close(self) -> None:
        self.app.close()


@pytest.fixture
def behind() -> MemoryBackend:
    """The store behind the gateway, with a bucket called "bucket"."""
    store = MemoryBackend()
    store.create_bucket("bucket")
    return store


@pytest.fixture
def wire(behind: MemoryBackend) -> Counted:
    """What is between the gateway and that store."""
    return Counted(S3App(behind, access_key_id="id", secret_access_key="secret"))


@pytest.fixture
def gateway(wire: Counted) -> Iterator[SessionBackend]:
    """A gateway to that store."""
    backend = SessionBackend(S3Session("id", "secret", transport=wire))
    yield backend
    backend.close()


def copy(
    backend: SessionBackend, source: str, target: str, attributes: ObjectAttributes | None = None, guard: Any = None
) -> StoredObject:
    with backend.begin_copy("bucket", source, "bucket", target) as draft:
        return draft.commit(draft.source if attributes is None else attributes, guard)


class TestObjects:
    def test_its_powers(self, gateway: SessionBackend) -> None:
        """A gateway passes versions and uploads on; documents, and finding things by their ids alone, it does not."""
        assert isinstance(gateway, Versioned)
        assert isinstance(gateway, Multipart)
        assert not isinstance(gateway, Editable)
        assert not isinstance(gateway, Identified)

    @pytest.mark.parametrize("size", [0, 10, SPOOL_IN_MEMORY + 1])
    def test_round_trip(self, gateway: SessionBackend, behind: MemoryBackend, size: int) -> None:
        """Body, ETag, size, content headers and metadata come back as given, and are in the store as S3 has them."""
        body = body_of(size)
        stored = put(gateway, "a//ü b", body, KEPT)
        found = gateway.head_object("bucket", "a//ü b")
        for each in (stored, found, gateway.open_object("bucket", "a//ü b").stored):
            assert ("a//ü b", size, hashlib.md5(body).hexdigest()) == (each.key, each.size, each.etag)
            assert (KEPT.headers, KEPT.metadata) == (each.headers, each.metadata)
            assert (None, "", {}) == (each.version_id, each.owner, each.documents)
        assert body == get(gateway, "a//ü b")
        original = behind.head_object("bucket", "a//ü b")
        assert KEPT.headers == original.headers
        assert int(original.last_modified) == found.last_modified
        assert original.checksums == found.checksums
        [row] = gateway.list_objects("bucket").rows
        assert (found.key, found.size, found.etag, {"x-amz-storage-class": "GLACIER"}) == (
            row.key,
            row.size,
            row.etag,
            row.headers,
        )

    def test_checksums_are_checked_by_the_store(self, gateway: SessionBackend) -> None:
        """A checksum goes along with the body: a right one is kept, a wrong one makes the store refuse."""
        right = {"sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}
        put(gateway, "key", b"", ObjectAttributes(checksums=right))
        assert right == gateway.head_object("bucket", "key").checksums
        with pytest.raises(InvalidRequest):
            put(gateway, "key", b"body", ObjectAttributes(checksums=right))
        assert b"" == get(gateway, "key")

    def test_documents_are_refused(self, gateway: SessionBackend) -> None:
        """What could not be kept is not accepted: nobody is told that a legal hold was set when it was not."""
        put(gateway, "source")
        attributes = ObjectAttributes(documents={"legal-hold": "ON"})
        with pytest.raises(NotImplementedByStore):
            put(gateway, "key", b"body", attributes)
        with pytest.raises(NotImplementedByStore):
            copy(gateway, "source", "copy", attributes)
        assert ["source"] == keys_of(gateway)

    def test_what_cannot_be_sent(self, gateway: SessionBackend) -> None:
        """Attributes that no request can carry are the client's mistake, not a fault."""
        for attributes in (
            ObjectAttributes(metadata={"long": "x" * 3_000}),
            ObjectAttributes(headers={"cache-control": "Grüße"}),
        ):
            with pytest.raises(InvalidRequest) as caught:
                put(gateway, "key", b"body", attributes)
            assert "InvalidArgument" == caught.value.code
        assert [] == keys_of(gateway)

    def test_versions(self, gateway: SessionBackend) -> None:
        """The object itself is the "null" version; nothing else can be named, and naming it deletes nothing."""
        put(gateway, "key", b"body")
        assert "key" == gateway.head_object("bucket", "key", "null").key
        assert Deleted("key", "other") == gateway.delete_object("bucket", "key", "other")
        assert ["key"] == keys_of(gateway)
        assert Deleted("key", "null") == gateway.delete_object("bucket", "key", "null")
        assert [] == keys_of(gateway)


class TestReading:
    def test_one_request_per_body(self, gateway: SessionBackend, wire: Counted) -> None:
        """Who reads a body from its beginning to its end costs one request, however large the body is."""
        body = body_of(3_000_000)
        put(gateway, "key", body)
        wire.requests.clear()
        with gateway.open_object("bucket", "key") as reader:
            blocks = [reader.read_at(offset, 100_000) for offset in range(0, 3_000_000, 100_000)]
        assert body == b"".join(blocks)
        assert ["GET /bucket/key"] == wire.requests

    def test_jumping(self, gateway: SessionBackend, wire: Counted) -> None:
        """A jump asks for what is wanted; reading on from there asks for more at once."""
        size = READ_AHEAD + 500_000
        body = body_of(size)
        put(gateway, "key", body)
        wire.requests.clear()
        with gateway.open_object("bucket", "key") as reader:
            assert body[400_000:400_010] == reader.read_at(400_000, 10)
            assert body[400_010:400_020] == reader.read_at(400_010, 10)
            assert body[400_020:] == reader.read_at(400_020, size)
            assert body[:5] == reader.read_at(0, 5)
            assert b"" == reader.read_at(size, 5)
        assert 5 == len(wire.requests)

    @pytest.mark.parametrize("change", ["replace", "delete"])
    def test_the_object_changes(self, gateway: SessionBackend, change: str) -> None:
        """An open body is read on as it was; after a jump it is an error, never another body."""
        body = body_of(600_000)
        put(gateway, "key", body)
        with gateway.open_object("bucket", "key") as first, gateway.open_object("bucket", "key") as second:
            assert body[:10] == first.read_at(0, 10)
            if change == "replace":
                put(gateway, "key", body_of(600_000, seed=1))
            else:
                gateway.delete_object("bucket", "key")
            assert body[10:] == first.read_at(10, 600_000)
            with pytest.raises(ServiceError) as caught:
                second.read_at(500_000, 10)
            assert "OperationAborted" == caught.value.code


class TestCopying:
    def test_copies(self, gateway: SessionBackend, behind: MemoryBackend) -> None:
        """A copy has the attributes of its source, or exactly those that are given, and is made by the store."""
        put(gateway, "source", body_of(30_000), KEPT)
        copied = copy(gateway, "source", "copy")
        for each in (copied, gateway.head_object("bucket", "copy")):
            assert (KEPT.headers, KEPT.metadata) == (each.headers, each.metadata)
        other = ObjectAttributes(headers={"content-type": "image/png"}, metadata={"number": "1"})
        copy(gateway, "source", "other", other)
        found = gateway.head_object("bucket", "other")
        assert (other.headers, other.metadata) == (found.headers, found.metadata)
        copy(gateway, "source", "source", other)
        copy(gateway, "source", "checked", ObjectAttributes(checksums={"sha256": "of the same bytes"}))
        assert {"sha256"} == gateway.head_object("bucket", "checked").checksums.keys()
        assert other.metadata == gateway.head_object("bucket", "source").metadata
        for key in ("source", "copy", "other"):
            assert body_of(30_000) == get(gateway, key)
        assert behind.head_object("bucket", "copy").etag == copied.etag

    @pytest.mark.parametrize("change", ["replace", "delete"])
    def test_the_source_goes_away(self, gateway: SessionBackend, change: str) -> None:
        """A copy whose source is another one by now is refused, whatever the condition on its target is."""
        for guard in (None, Precondition(if_none_match="*"), lambda _: None):
            put(gateway, "source", b"one")
            with gateway.begin_copy("bucket", "source", "bucket", "copy") as draft:
                if change == "replace":
                    put(gateway, "source", b"two")
                else:
                    gateway.delete_object("bucket", "source")
                with pytest.raises(ServiceError) as caught:
                    draft.commit(PLAIN, guard)
            assert "OperationAborted" == caught.value.code
            with pytest.raises(ValueError, match="committed or aborted"):
                draft.commit(PLAIN)
        assert "copy" not in keys_of(gateway)

    def test_guarded(self, gateway: SessionBackend) -> None:
        """A guard on the target is kept, and tells a target that is not as it should be from the source."""
        put(gateway, "source", b"source")
        target = put(gateway, "target", b"target")
        for guard in (Precondition(if_none_match="*"), Precondition(if_match="another")):
            with pytest.raises(PreconditionFailed):
                copy(gateway, "source", "target", guard=guard)
        assert b"target" == get(gateway, "target")
        copy(gateway, "source", "target", guard=Precondition(if_match=target.etag))
        assert b"source" == get(gateway, "target")


class TestGuards:
    def test_a_guard_is_asked_again(self, gateway: SessionBackend, behind: MemoryBackend) -> None:
        """Where somebody is faster the guard is shown what they made, and what it allows is done then."""
        put(gateway, "key", b"one")
        seen: list[str | None] = []

        def guard(current: StoredObject | None) -> None:
            seen.append(None if current is None else current.etag)
            if len(seen) < 3:
                put(behind, "key", str(len(seen)).encode())

        put(gateway, "key", b"mine", guard=guard)
        assert [hashlib.md5(body).hexdigest() for body in (b"one", b"1", b"2")] == seen
        assert b"mine" == get(gateway, "key")
        seen.clear()
        assert Deleted("key") == gateway.delete_object("bucket", "key", guard=guard)
        assert 3 == len(seen)
        assert [] == keys_of(gateway)

    def test_others_never_stop(self, gateway: SessionBackend, behind: MemoryBackend) -> None:
        """An object that is always changed by others in between ends in S3's own word for that."""
        numbers = iter(range(100))

        def guard(current: StoredObject | None) -> None:
            put(behind, "key", str(next(numbers)).encode())

        with pytest.raises(ServiceError) as caught:
            put(gateway, "key", b"mine", guard=guard)
        assert (409, "ConditionalRequestConflict") == (caught.value.status, caught.value.code)

    def test_deleting_what_is_not_there(self, gateway: SessionBackend, wire: Counted) -> None:
        """A guard that allows nothing to be there is obeyed without a deletion."""
        seen: list[StoredObject | None] = []
        gateway.delete_object("bucket", "key", guard=seen.append)
        assert [None] == seen
        with pytest.raises(NoSuchKey):
            gateway.delete_object("bucket", "key", guard=Precondition(if_match="*"))
        put(gateway, "key")
        with pytest.raises(PreconditionFailed):
            gateway.delete_object("bucket", "key", guard=Precondition(if_none_match="*"))
        assert not [request for request in wire.requests if request.startswith("DELETE")]


class TestDeletingMany:
    def test_together(self, gateway: SessionBackend, wire: Counted) -> None:
        """Rows without a condition go in one request; each row has its own result, in order."""
        for number in range(20):
            put(gateway, f"key-{number:02}")
        rows = [Deletion(f"key-{number:02}") for number in range(20)]
        rows[3] = Deletion("key-03", guard=Precondition(if_match="another"))
        rows[5] = Deletion("")
        rows[7] = Deletion("key-08")
        wire.requests.clear()
        results = gateway.delete_objects("bucket", rows)
        assert 1 == sum(request.startswith("POST") for request in wire.requests)
        assert [Deleted(row.key) for number, row in enumerate(rows) if number not in (3, 5)] == [
            result for result in results if isinstance(result, Deleted)
        ]
        assert isinstance(results[3], PreconditionFailed)
        assert isinstance(results[5], InvalidRequest)
        assert ["key-03", "key-05", "key-07"] == keys_of(gateway)

    def test_refused_rows(self, monkeypatch: pytest.MonkeyPatch, gateway: SessionBackend) -> None:
        """What the store refuses of a batch is the result of that row; a batch that fails fails for its rows."""

        def refuse(*_: Any, **__: Any) -> None:
            raise DeleteFailed("some", [("b", None, "AccessDenied", "no")])

        monkeypatch.setattr(S3Session, "delete_objects", refuse)
        results = gateway.delete_objects("bucket", [Deletion("a"), Deletion("b")])
        assert Deleted("a") == results[0]
        assert isinstance(results[1], ServiceError)
        assert ("AccessDenied", "b") == (results[1].code, results[1].key)

        def fail(*_: Any, **__: Any) -> None:
            raise ConnectError("refused")

        monkeypatch.setattr(S3Session, "delete_objects", fail)
        results = gateway.delete_objects("bucket", [Deletion("a"), Deletion("b")])
        assert [503, 503] == [result.status for result in results if isinstance(result, ServiceError)]


class TestBuckets:
    def test_buckets_are_those_of_the_store(self, gateway: SessionBackend, behind: MemoryBackend) -> None:
        """What is made through the gateway is there, and what is there is seen through it."""
        behind.create_bucket("first")
        gateway.create_bucket("second", owner="me")
        assert ["bucket", "first", "second"] == [info.name for info in gateway.list_buckets()]
        assert behind.get_bucket("first").created == gateway.list_buckets()[1].created
        gateway.delete_bucket("first")
        assert ["bucket", "second"] == [info.name for info in behind.list_buckets()]

    def test_a_bucket_is_looked_for_now_and_then(self, behind: MemoryBackend, wire: Counted) -> None:
        """A bucket that was seen needs no request for a while; that it is gone is noticed by what is done with it."""
        clock = StoppedClock(0.0)
        gateway = SessionBackend(S3Session("id", "secret", transport=wire), clock=clock)
        for _ in range(3):
            gateway.get_bucket("bucket")
        assert 1 == len(wire.requests)
        behind.delete_bucket("bucket")
        gateway.get_bucket("bucket")
        with pytest.raises(NoSuchBucket):
            put(gateway, "key")
        with pytest.raises(NoSuchBucket):
            gateway.get_bucket("bucket")
        behind.create_bucket("bucket")
        gateway.get_bucket("bucket")
        behind.delete_bucket("bucket")
        clock.time += KNOWN_SECONDS + 1
        with pytest.raises(NoSuchBucket):
            gateway.get_bucket("bucket")
        gateway.close()

    def test_who_may_not_ask_about_the_bucket(self, gateway: SessionBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keys that open objects but no bucket are enough: what is refused is what is done, not the question before."""

        def refuse(*_: Any) -> None:
            raise AccessDenied("no")

        monkeypatch.setattr(S3Session, "head_bucket", refuse)
        put(gateway, "key", b"body")
        assert b"body" == get(gateway, "key")

    def test_missing_key_or_bucket(self, gateway: SessionBackend, behind: MemoryBackend) -> None:
        """HEAD cannot tell a missing key from a missing bucket; the gateway can."""
        with pytest.raises(NoSuchKey):
            gateway.head_object("bucket", "key")
        behind.delete_bucket("bucket")
        with pytest.raises(NoSuchBucket):
            gateway.head_object("bucket", "key")


class Puppet(Session):
    """A Session of nothing but the contract, which answers what a test wants; its bucket is "bucket"."""

    bucket = "bucket"

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.closed = False

    def put_object(self, key: str, body: Any, **_: Any) -> Any:
        return self.answer()

    def get_object(self, key: str, version_id: str | None = None, **_: Any) -> Any:
        return self.answer()

    def head_object(self, key: str, version_id: str | None = None, **_: Any) -> Any:
        return self.answer()

    def copy_object(self, source_key: str, dest_key: str, *_args: Any, **_: Any) -> Any:
        return self.answer()

    def delete_object(self, key: str, version_id: str | None = None, **_: Any) -> Any:
        return self.answer()

    def list_objects(self, prefix: str | None = None, **_: Any) -> Any:
        return self.answer()

    def list_object_versions(self, prefix: str | None = None, **_: Any) -> Any:
        return self.answer()

    def close(self) -> None:
        self.closed = True


def failing(error: Exception) -> Puppet:
    def answer() -> Any:
        raise error

    return Puppet(answer)


FAILURES: list[tuple[Exception, type[ServiceError], str]] = [
    (service_error("AccessDenied", "no"), ServiceError, "AccessDenied"),
    (service_error("EntityTooLarge", "no"), InvalidRequest, "EntityTooLarge"),
    (Throttled("slower"), Throttled, "SlowDown"),
    (InvalidCredentials("wrong"), ServerError, "InternalError"),
    (Redirected("elsewhere"), ServerError, "InternalError"),
    (ConnectError("refused"), Throttled, "ServiceUnavailable"),
    (ProtocolError("HTML"), ServerError, "InternalError"),
    (ChecksumMismatch("other bytes"), ServerError, "InternalError"),
    (NotSupported("not here"), NotImplementedByStore, "NotImplemented"),
    (ValueError("if_match is empty"), InvalidRequest, "InvalidArgument"),
    (NoSuchKey("gone"), NoSuchKey, "NoSuchKey"),
]


class TestOtherSessions:
    @pytest.mark.parametrize(("error", "kind", "code"), FAILURES)
    def test_errors(self, error: Exception, kind: type[ServiceError], code: str) -> None:
        """Every error of a session becomes one of a backend; the headers of that answer do not become ours."""
        if isinstance(error, ServiceError):
            error.headers = {"content-length": "5"}
        gateway = SessionBackend(failing(error))
        calls: list[Callable[[], object]] = [
            partial(put, gateway, "key"),
            partial(gateway.open_object, "bucket", "key"),
            partial(gateway.head_object, "bucket", "key"),
            partial(gateway.delete_object, "bucket", "key"),
            partial(gateway.list_objects, "bucket"),
            partial(gateway.begin_copy, "bucket", "key", "bucket", "copy"),
        ]
        for call in calls:
            with pytest.raises(kind) as caught:
                call()
            assert (code, {}) == (caught.value.code, caught.value.headers)

    def test_a_body_that_breaks(self) -> None:
        """A body that ends early is an error of the store, not a shorter body."""

        class Broken:
            def read(self, size: int = -1) -> bytes:
                raise ConnectError("lost")

            def readinto(self, buffer: memoryview) -> int:
                raise ConnectError("lost")

            def close(self) -> None:
                pass

        for body in (b"shorter", Broken()):
            headers = {"content-length": "10", "etag": '"etag"'}
            session = Puppet(partial(GetResult, Response(200, headers, body)))
            with SessionBackend(session).open_object("bucket", "key") as reader:
                assert 10 == reader.stored.size
                with pytest.raises(ServiceError) as caught:
                    reader.read_at(0, 10)
                assert 503 == caught.value.status

    def test_a_session_of_one_bucket(self) -> None:
        """Without verbs for buckets the session's own is the only one; keys are then deleted one by one."""
        session = Puppet(lambda: DeleteResult(204, {}))
        gateway = SessionBackend(session)
        assert ["bucket"] == [info.name for info in gateway.list_buckets()]
        assert "bucket" == gateway.get_bucket("bucket").name
        with pytest.raises(NoSuchBucket):
            gateway.get_bucket("other")
        for call in (gateway.create_bucket, gateway.delete_bucket):
            with pytest.raises(NotImplementedByStore):
                call("bucket")
        assert [Deleted("a"), Deleted("b")] == gateway.delete_objects("bucket", [Deletion("a"), Deletion("b")])
        gateway.close()
        assert session.closed
        with pytest.raises(ValueError, match="closed"):
            gateway.delete_object("bucket", "key")

    def test_prefixes_that_are_repeated(self) -> None:
        """A common prefix that the last page ended with is not reported again, though the store does, as S3 may."""

        def fetch(last: ListPage | None) -> ListPage:
            if last is None:
                return ListPage([], ["a/", "b/"], True, "more")
            return ListPage([ObjectEntry("c"), ObjectEntry("d")], [], False)

        gateway = SessionBackend(Puppet(lambda: ObjectListing(fetch)))
        page = gateway.list_objects("bucket", delimiter="/", start_after="a/", limit=2)
        assert (["b/"], ["c"], "c") == (page.common_prefixes, [row.key for row in page.rows], page.next_start_after)
        page = gateway.list_objects("bucket", delimiter="/", start_after="a/", limit=3)
        assert (["c", "d"], None) == ([row.key for row in page.rows], page.next_start_after)


def test_many_clients_of_a_gateway(gateway: SessionBackend) -> None:
    """Under writers, deleters and readers every object that is read through a gateway is whole."""

    def work(seed: int) -> int:
        whole = 0
        for number in range(40):
            key = f"key-{(seed + number) % 4}"
            if number % 5 == 4:
                gateway.delete_object("bucket", key)
            else:
                put(gateway, key, body_of(300_000 * (number % 2) + 100, seed * 100 + number))
            for row in gateway.list_objects("bucket").rows:
                try:
                    with gateway.open_object("bucket", row.key) as reader:
                        body = reader.read_at(0, reader.stored.size)
                except NoSuchKey:
                    continue
                assert hashlib.md5(body).hexdigest() == reader.stored.etag
                whole += 1
        return whole

    results = run_threads([partial(work, seed) for seed in range(4)])
    assert all(isinstance(result, int) and result > 0 for result in results), results


def test_a_server_behind_a_server(gateway: SessionBackend, behind: MemoryBackend) -> None:
    """A client of a server whose store is a gateway finds S3: objects, ranges, copies, listings; no more than there is."""
    with S3Session(
        "front", "door", "bucket", transport=S3App(gateway, access_key_id="front", secret_access_key="door")
    ) as client:
        body = body_of(2_000_000)
        client.put_object("a/b", body, metadata={"name": "Grüße"}, content_type="text/plain")
        assert body == get(behind, "a/b")
        assert body == client.get_object("a/b").data
        assert body[1_500_000:1_999_999] == client.get_object("a/b", range_start=1_500_000, range_end=1_999_998).data
        assert ("Grüße", "text/plain") == (
            client.head_object("a/b").user_metadata["name"],
            client.head_object("a/b").content_type,
        )
        client.copy_object("a/b", "copy")
        assert ["copy"] == [entry.key for entry in client.list_objects(delimiter="/")]
        with pytest.raises(PreconditionFailed):
            client.put_object("copy", b"other", if_none_match="*")
        with pytest.raises(NoSuchKey):
            client.get_object("missing")
        client.put_object("tagged", b"", tagging={"a": "b"})
        client.put_object_tagging("tagged", {"c": "d"})
        assert {"c": "d"} == client.get_object_tagging("tagged")
        client.delete_object("tagged")
        with pytest.raises(NotImplementedByStore):
            client.put_object("public", b"", acl="public-read")
        with client.create_multipart_upload("parts", metadata={"name": "Grüße"}) as upload:
            upload.upload_part(1, body_of(5 * 1024**2))
            upload.upload_part(2, b"end")
        assert body_of(5 * 1024**2) + b"end" == get(behind, "parts")
        # Encoded once, as from any client.
        for key in ("a/b", "parts"):
            assert "=?UTF-8?B?R3LDvMOfZQ==?=" == behind.head_object("bucket", key).metadata["name"]
        client.delete_object("parts")
        client.delete_objects(["a/b", "copy"])
        assert [] == keys_of(behind)
