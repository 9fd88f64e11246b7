"""Moves: for a moment there are both, and never neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from s3func import S3Session, Session
from s3func.errors import (
    AccessDenied,
    ConnectionLost,
    NoSuchKey,
    NotFound,
    ObjectChanged,
    PreconditionFailed,
    ServerError,
    service_error,
)
from s3func.message import Request, Response
from s3func.results import CopyResult, DeleteResult, HeadResult
from s3func.transport.transfer import TransferConfig
from tests.s3.rigs import Recorder, embedded, recorded

VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


@pytest.fixture
def rig() -> Iterator[tuple[S3Session, Recorder]]:
    """A server with one object."""
    with embedded() as (session, recorder):
        session.put_object("a", b"bytes", {"m": "1"}, "text/plain")
        recorder.sent.clear()
        yield session, recorder


class Between:
    """Something that happens once, just before a request of a kind; it may send requests of its own."""

    def __init__(self, recorder: Recorder, method: str, then: Callable[[], object], skip: int = 0) -> None:
        """skip: requests of the kind that come before."""
        self.inner, self.recorder, self.method, self.then, self.skip = recorder.answer, recorder, method, then, skip
        recorder.answer = self

    def __call__(self, request: Request) -> Response:
        if request.method == self.method:
            if self.skip == 0:
                self.recorder.answer = self.inner
                self.then()
            self.skip -= 1
        return self.inner(request)


def test_a_move(rig: tuple[S3Session, Recorder]) -> None:
    """The object is there under its new key with all that was said about it, and no longer under the old one."""
    session, _ = rig
    result = session.move("a", "b")
    found = session.get_object("b")
    assert (b"bytes", {"m": "1"}, "text/plain") == (found.data, found.user_metadata, found.content_type)
    assert found.etag == result.etag
    assert not session.exists("a")


def test_a_move_with_the_keywords_of_a_copy(rig: tuple[S3Session, Recorder]) -> None:
    """What copy_object takes, move takes: another bucket, another description, conditions, parts."""
    session, _ = rig
    session.create_bucket("other")
    told: list[tuple[int, int | None]] = []
    session.move(
        "a",
        "b",
        dest_bucket="other",
        metadata={"n": "2"},
        if_none_match="*",
        transfer=TransferConfig(multipart_threshold=1),
        progress=lambda *step: told.append(step),
    )
    found = session.get_object("b", bucket="other")
    assert (b"bytes", {"n": "2"}) == (found.data, found.user_metadata)
    assert (5, 5) == told[-1]
    assert not session.exists("a")
    session.move("b", "a", source_bucket="other")
    assert b"bytes" == session.get_object("a").data
    assert not session.exists("b", bucket="other")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"source_bucket": "bucket"},
        {"dest_bucket": "bucket"},
        {"source_version_id": "null"},
        {"metadata": {"x": "y"}},
    ],
    ids=str,
)
def test_a_move_onto_itself(rig: tuple[S3Session, Recorder], given: dict[str, Any]) -> None:
    """It is refused before anything is sent: done step by step, it would delete the object."""
    session, recorder = rig
    with pytest.raises(ValueError, match="source_key and dest_key are the same object"):
        session.move("a", "a", **given)
    assert [] == recorder.sent
    assert b"bytes" == session.get_object("a").data


def test_the_same_key_in_another_bucket_is_another_object(rig: tuple[S3Session, Recorder]) -> None:
    """A move may change nothing but the bucket."""
    session, _ = rig
    session.create_bucket("other")
    session.move("a", "a", dest_bucket="other")
    assert b"bytes" == session.get_object("a", bucket="other").data
    assert not session.exists("a")


def test_a_move_of_what_is_not_there(rig: tuple[S3Session, Recorder]) -> None:
    """A missing source is NotFound, and nothing happens to what is at the destination."""
    session, _ = rig
    with pytest.raises(NotFound):
        session.move("missing", "a")
    assert b"bytes" == session.get_object("a").data


@pytest.mark.parametrize(
    "given", [{"if_none_match": "*"}, {"if_match": "0" * 32}, {"source_if_match": "0" * 32}], ids=str
)
def test_a_refused_copy_deletes_nothing(rig: tuple[S3Session, Recorder], given: dict[str, Any]) -> None:
    """Where the copy is refused, both are as they were, and there is no note of two copies."""
    session, recorder = rig
    session.put_object("b", b"there")
    with pytest.raises(PreconditionFailed) as caught:
        session.move("a", "b", **given)
    assert (b"bytes", b"there") == (session.get_object("a").data, session.get_object("b").data)
    assert "DELETE" not in [sent.method for sent in recorder.sent]
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, {}, b"<Error><Code>InternalError</Code></Error>"),
        Response(200, {}, b""),
        Response(500, {}, b""),
        Response(403, {}, b"<Error><Code>AccessDenied</Code></Error>"),
    ],
    ids=["error in 200", "nothing in 200", "500", "403"],
)
def test_a_copy_that_is_not_confirmed_deletes_nothing(rig: tuple[S3Session, Recorder], answer: Response) -> None:
    """Only a whole result is a copy."""
    session, recorder = rig
    app = recorder.answer
    recorder.answer = lambda request: answer if request.method == "PUT" else app(request)
    with pytest.raises(Exception, match=r"InternalError|AccessDenied|document"):
        session.move("a", "b")
    assert "DELETE" not in [sent.method for sent in recorder.sent]
    recorder.answer = app
    assert b"bytes" == session.get_object("a").data


def test_a_source_that_is_replaced_before_it_is_copied(rig: tuple[S3Session, Recorder]) -> None:
    """The state that was looked at is the one that is copied, or nothing is."""
    session, recorder = rig
    Between(recorder, "PUT", lambda: session.put_object("a", b"new"))
    with pytest.raises(PreconditionFailed):
        session.move("a", "b")
    assert b"new" == session.get_object("a").data
    assert not session.exists("b")


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_a_source_that_is_replaced_after_it_was_copied(rig: tuple[S3Session, Recorder], method: str) -> None:
    """What has come in its place is not deleted, even if it comes at the last moment; the error says that both exist."""
    session, recorder = rig
    Between(recorder, method, lambda: session.put_object("a", b"new"), skip=1 if method == "HEAD" else 0)
    with pytest.raises(PreconditionFailed) as caught:
        session.move("a", "b")
    assert ["'a' was copied to 'b', but not deleted as far as is known: both exist."] == caught.value.__notes__
    assert (method == "HEAD") == isinstance(caught.value, ObjectChanged)
    assert (b"new", b"bytes") == (session.get_object("a").data, session.get_object("b").data)


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_a_source_that_is_deleted_by_somebody_else(rig: tuple[S3Session, Recorder], method: str) -> None:
    """Then it is gone, as it should be."""
    session, recorder = rig
    Between(recorder, method, lambda: session.delete_object("a"), skip=1 if method == "HEAD" else 0)
    session.move("a", "b")
    assert b"bytes" == session.get_object("b").data
    assert not session.exists("a")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(403, {}, b"<Error><Code>AccessDenied</Code></Error>"), AccessDenied),
        (Response(500, {}, b""), ServerError),
        (ConnectionLost("gone"), ConnectionLost),
    ],
    ids=["403", "500", "lost"],
)
def test_a_failed_deletion_is_told(rig: tuple[S3Session, Recorder], answer: Any, error: type[Exception]) -> None:
    """The error of the deletion is raised with a note that the copy is there; both are."""
    session, recorder = rig
    app = recorder.answer

    def refusing(request: Request) -> Response:
        if request.method != "DELETE":
            return app(request)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Response)
        return answer

    recorder.answer = refusing
    with pytest.raises(error) as caught:
        session.limited(5).move("a", "b")
    assert ["'a' was copied to 'b', but not deleted as far as is known: both exist."] == caught.value.__notes__
    recorder.answer = app
    assert b"bytes" == session.get_object("a").data == session.get_object("b").data


def test_a_store_without_conditional_deletion(rig: tuple[S3Session, Recorder]) -> None:
    """Where DELETE takes no If-Match, the look just before it has to do."""
    session, recorder = rig
    app = recorder.answer
    refusal = Response(501, {}, b"<Error><Code>NotImplemented</Code></Error>")
    recorder.answer = lambda request: refusal if "if-match" in request.headers else app(request)
    session.move("a", "b")
    assert b"bytes" == session.get_object("b").data
    assert not session.exists("a")


def test_the_requests_of_a_move(rig: tuple[S3Session, Recorder]) -> None:
    """Look, copy that state, look again, delete that state."""
    session, recorder = rig
    etag = session.head_object("a").etag
    recorder.sent.clear()
    session.move("a", "b")
    assert ["HEAD", "PUT", "HEAD", "DELETE"] == [sent.method for sent in recorder.sent]
    assert f'"{etag}"' == recorder.sent[1].headers["x-amz-copy-source-if-match"]
    assert f'"{etag}"' == recorder.sent[3].headers["if-match"]


# --- versions


def test_a_move_keeps_the_versions(rig: tuple[S3Session, Recorder]) -> None:
    """The source is hidden, so that no older version comes to light in its place; all of them can be had again."""
    session, recorder = rig
    session.request("PUT", query={"versioning": None}, body=VERSIONING)
    session.put_object("a", b"newer")
    recorder.sent.clear()
    result = session.move("a", "b")
    assert not session.exists("a")
    assert [True, False, False] == [row.delete_marker for row in session.list_object_versions("a")]
    assert b"newer" == session.get_object("b").data
    assert f"versionId={result.source_version_id}" in recorder.sent[1].headers["x-amz-copy-source"]


def test_a_move_of_a_version(rig: tuple[S3Session, Recorder]) -> None:
    """A version that is named is moved out of the history, for good; the others stay."""
    session, _ = rig
    session.request("PUT", query={"versioning": None}, body=VERSIONING)
    old = session.put_object("a", b"old").version_id
    new = session.put_object("a", b"new").version_id
    assert old == session.move("a", "b", old).source_version_id
    assert b"old" == session.get_object("b").data
    assert [new, "null"] == [row.version_id for row in session.list_object_versions("a")]


def test_a_new_version_is_not_hidden(rig: tuple[S3Session, Recorder]) -> None:
    """A version that comes after the copy stays the newest one, also when it has the same bytes."""
    session, recorder = rig
    session.request("PUT", query={"versioning": None}, body=VERSIONING)
    session.put_object("a", b"bytes")
    Between(recorder, "HEAD", lambda: session.put_object("a", b"bytes"), skip=1)
    with pytest.raises(ObjectChanged):
        session.move("a", "b")
    assert b"bytes" == session.get_object("a").data == session.get_object("b").data


# --- headers, and other stores


def test_a_customers_keys() -> None:
    """The key of the source goes along when it is looked at, under the name that a HEAD knows; conditions do not."""

    def answer(request: Request) -> Response:
        body = b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>" if request.method == "PUT" else b""
        return Response(200, {"etag": '"e"', "content-length": "1"}, body)

    recorder = Recorder(answer)
    customer = "server-side-encryption-customer-key"
    given = {
        f"x-amz-copy-source-{customer}": "theirs",
        f"x-amz-{customer}": "ours",
        "x-amz-copy-source-if-none-match": '"x"',
    }
    recorded(recorder).move("a", "b", headers=given)
    assert ["HEAD", "PUT", "HEAD", "DELETE"] == [sent.method for sent in recorder.sent]
    for sent in (recorder.sent[0], recorder.sent[2]):
        assert "theirs" == sent.headers[f"x-amz-{customer}"]
        assert "if-none-match" not in sent.headers
    assert given.items() <= recorder.sent[1].headers.items()


class Plain(Session):
    """A session of another kind of store, with nothing but the verbs of the contract."""

    def __init__(self) -> None:
        self.bucket = "bucket"
        self.objects = {"a": 1}
        self.calls: list[tuple[Any, ...]] = []

    def head_object(self, key: str, version_id: str | None = None, **_: Any) -> HeadResult:
        self.calls.append(("head", key, version_id))
        if key not in self.objects:
            raise NoSuchKey(key)
        moment = datetime.fromtimestamp(self.objects[key], UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return HeadResult(200, {"etag": '"e"', "last-modified": moment})

    def copy_object(
        self,
        source_key: str,
        dest_key: str,
        source_version_id: str | None = None,
        source_bucket: str | None = None,
        dest_bucket: str | None = None,
        *,
        source_if_match: str | None = None,
    ) -> CopyResult:
        self.calls.append(("copy", source_key, dest_key, source_if_match))
        self.objects[dest_key] = 2
        return CopyResult(200, {}, "e", None)

    def delete_object(self, key: str, version_id: str | None = None, **_: Any) -> DeleteResult:
        self.calls.append(("delete", key, version_id))
        del self.objects[key]
        return DeleteResult(204, {})

    def put_object(self, key: str, body: Any, **_: Any) -> Any:
        raise service_error("NotImplemented")

    get_object = list_objects = list_object_versions = put_object  # type: ignore[assignment]

    def close(self) -> None:
        """Nothing is open."""


def test_any_session_can_move() -> None:
    """move needs three verbs of the contract, so every kind of store has it."""
    session = Plain()
    session.move("a", "b")
    assert {"b": 2} == session.objects
    assert [("head", "a", None), ("copy", "a", "b", "e"), ("head", "a", None), ("delete", "a", None)] == session.calls


def test_any_session_sees_a_replacement() -> None:
    """An object with the same ETag but of another time is another one."""
    session = Plain()
    original = session.copy_object

    def copy_object(*args: Any, **options: Any) -> CopyResult:
        result = original(*args, **options)
        session.objects["a"] = 99
        return result

    session.copy_object = copy_object  # type: ignore[method-assign]
    with pytest.raises(ObjectChanged, match="'a' was replaced") as caught:
        session.move("a", "b")
    assert ("bucket", "a") == (caught.value.bucket, caught.value.key)
    assert {"a": 99, "b": 2} == session.objects
