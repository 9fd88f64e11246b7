"""Every request of an upload in parts can fail in every way: then the object is whole or not there, and nothing is left."""

from __future__ import annotations

import io
import random
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import s3func.s3.upload
import s3func.testing
from s3func import S3Session
from s3func.errors import (
    AccessDenied,
    ChecksumMismatch,
    Conflict,
    ConnectionLost,
    DeadlineExceeded,
    InvalidRequest,
    NoSuchUpload,
    PreconditionFailed,
    ProtocolError,
    S3FuncError,
    ServerError,
    Throttled,
)
from s3func.message import Request, Response
from s3func.transport.parallel import Crew
from s3func.transport.retry import RetryPolicy
from s3func.transport.timeouts import Timeouts
from s3func.transport.transfer import TransferConfig
from s3func.wire.encoding import http_date
from tests.faults.conftest import Connect, Serve
from tests.faults.cutting import Cut, CuttingWire
from tests.faults.scripted import Exchange, answer, error_document, refusal
from tests.s3.parts import SMALL, Watch, binned, kind_of, parts_of_any_size, watched
from tests.s3.rigs import ACCESS_KEY_ID, NOW, SECRET

PART = 100
DATA = random.Random(3).randbytes(15 * PART + 1)
LAST = 16

Store = tuple[S3Session, Watch]


@pytest.fixture
def store() -> Iterator[Store]:
    """A session with tiny parts on an in-process server, and what stands between them."""
    with watched() as both:
        yield both


def document(code: str, status: int = 200) -> Response:
    """An error document, also where the status says success."""
    return Response(status, {"content-type": "application/xml"}, error_document(code))


def lost() -> ConnectionLost:
    """What a pool raises when the connection breaks before the answer has come."""
    error = ConnectionLost("cut")
    error.maybe_applied = True
    return error


def blocks(data: bytes) -> Iterator[bytes]:
    """A body without a size."""
    for start in range(0, len(data), 77):
        yield data[start : start + 77]


@pytest.fixture(params=["bytes", "path", "BytesIO", "generator"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    """Makes the body anew, from what is in memory, in a file, or comes once."""

    def body() -> Any:
        if request.param == "generator":
            return blocks(DATA)
        if request.param == "bytes":
            return DATA
        if request.param == "BytesIO":
            return io.BytesIO(DATA)
        path = tmp_path / "file"
        path.write_bytes(DATA)
        return path

    return body


def on(kind: str, what: Callable[[int], Response | BaseException | None]) -> Callable[[Request, int], Any]:
    """A fault of one kind of request; `what` is given how many there have been."""
    return lambda request, count: what(count) if kind_of(request) == kind else None


def assert_nothing(session: S3Session, watch: Watch) -> None:
    """No object, no upload, no thread."""
    watch.before = watch.after = None
    assert not session.exists("key")
    assert [] == list(session.list_multipart_uploads())
    assert [] == [thread for thread in threading.enumerate() if thread.name.startswith("s3func-part")]


def assert_whole(session: S3Session, watch: Watch) -> None:
    """The object, and nothing besides."""
    watch.before = watch.after = None
    assert DATA == session.get_object("key").data
    assert [] == list(session.list_multipart_uploads())


KINDS = ["create", "part 1", "part 7", f"part {LAST}", "complete"]
Fault = Callable[[], Any]
FINAL: dict[str, tuple[Fault, type[Exception]]] = {
    "refused": (lambda: document("AccessDenied", 403), AccessDenied),
    "500": (lambda: document("InternalError", 500), ServerError),
    "slow down": (lambda: document("SlowDown", 503), Throttled),
    "cut": (lost, ConnectionLost),
    "garbage": (lambda: ProtocolError("garbage"), ProtocolError),
    "bug": (lambda: RuntimeError("a bug in a transport"), RuntimeError),
    "error with 200": (lambda: document("InternalError"), ServerError),
}
TRANSIENT: dict[str, Fault] = {
    "500": lambda: document("InternalError", 500),
    "slow down": lambda: document("SlowDown", 503),
    "timeout": lambda: document("RequestTimeout", 400),
    "cut": lost,
    "error with 200": lambda: document("InternalError"),
}


def cases(names: Iterable[str]) -> Iterator[Any]:
    """Every fault of every request, in place of it and of its answer."""
    for kind, name, when in product(KINDS, names, ["before", "after"]):
        # A store that has begun an upload does not then refuse to.
        if (kind, when) != ("create", "after") or name not in {"refused", "slow down", "timeout"}:
            yield pytest.param(kind, name, when, id=f"{kind}-{name}-{when}")


@pytest.mark.parametrize(("kind", "name", "when"), list(cases(FINAL)))
def test_what_fails_for_good_leaves_nothing(
    store: Store, make: Callable[[], Any], kind: str, name: str, when: str
) -> None:
    """Each request, refused or lost on the way there or on the way back, each time: the error is the one that happened."""
    session, watch = store
    fault, error = FINAL[name]
    setattr(watch, when, on(kind, lambda count: fault()))
    if kind == "complete" and when == "after" and name not in {"refused", "slow down", "bug"}:
        # The answer was lost, the object is there and is ours: that is a success.
        session.put_object("key", make())
        assert_whole(session, watch)
        return
    with pytest.raises(error):
        session.put_object("key", make())
    if kind == "complete" and when == "after":
        # The store said that it had not, and had.
        assert_whole(session, watch)
    else:
        assert_nothing(session, watch)


@pytest.mark.parametrize(("kind", "name", "when"), list(cases(TRANSIENT)))
def test_what_passes_is_retried(store: Store, make: Callable[[], Any], kind: str, name: str, when: str) -> None:
    """Each request that fails twice succeeds the third time, and the object is whole."""
    session, watch = store
    setattr(watch, when, on(kind, lambda count: TRANSIENT[name]() if count <= 2 else None))
    session.put_object("key", make())
    assert_whole(session, watch)


def test_an_empty_upload_whose_beginning_got_lost_is_taken_away(store: Store, make: Callable[[], Any]) -> None:
    """The store has begun an upload that nobody learned of: it is found and aborted; others' uploads are not."""
    session, watch = store
    foreign = session.create_multipart_upload("key")
    foreign.upload_part(1, b"theirs")
    elsewhere = session.create_multipart_upload("key2")
    watch.after = on("create", lambda count: lost() if count <= 2 else None)
    watch.kinds.clear()
    session.put_object("key", make())
    watch.after = None
    assert 3 == watch.kinds.count("create")
    assert {foreign.upload_id, elsewhere.upload_id} == {entry.upload_id for entry in session.list_multipart_uploads()}


def test_an_abort_is_retried_and_its_failure_noted(store: Store, make: Callable[[], Any]) -> None:
    """The error is that of the upload; that its parts are still there stands in a note."""
    session, watch = store
    refused = on("part 3", lambda count: document("AccessDenied", 403))
    aborts = on("abort", lambda count: document("InternalError", 500) if count <= 2 else None)
    watch.before = lambda request, count: refused(request, count) or aborts(request, count)
    with pytest.raises(AccessDenied) as caught:
        session.put_object("key", make())
    assert not hasattr(caught.value, "__notes__")
    assert_nothing(session, watch)
    aborts = on("abort", lambda count: document("AccessDenied", 403))
    watch.before = lambda request, count: refused(request, count) or aborts(request, count)
    with pytest.raises(AccessDenied) as caught:
        session.put_object("key", make())
    assert any("could not be aborted" in note for note in caught.value.__notes__)


# --- the completion


@pytest.mark.parametrize("code", ["NoSuchUpload", "PreconditionFailed"])
def test_a_completion_whose_answer_got_lost(store: Store, make: Callable[[], Any], code: str) -> None:
    """The second try is told that there is no such upload (or such an object already): HEAD shows that it is ours."""
    session, watch = store
    watch.after = on(
        "complete",
        lambda count: lost() if count == 1 else document(code, 404 if code == "NoSuchUpload" else 412),
    )
    result = session.put_object("key", make(), if_none_match="*")
    assert "head" == watch.kinds[-1]
    assert result.etag == session.head_object("key").etag
    assert_whole(session, watch)


def test_somebody_elses_object_is_no_success(store: Store, make: Callable[[], Any]) -> None:
    """After a lost answer, another object in the place of ours is an error that says that ours may have been there."""
    session, watch = store

    def completed(count: int) -> Response | BaseException:
        if count == 1:
            return lost()
        watch.after = None
        session.put_object("key", DATA[::-1])
        return document("NoSuchUpload", 404)

    watch.after = on("complete", completed)
    with pytest.raises(NoSuchUpload) as caught:
        session.put_object("key", make())
    assert caught.value.maybe_applied
    assert DATA[::-1] == session.get_object("key").data


class Opaque:
    """A store whose ETags are its own secret and which keeps no checksums; its first completion's answer gets lost."""

    def __init__(self, etag: str, size: int, modified: float) -> None:
        self.headers = {"etag": f'"{etag}"', "content-length": str(size), "last-modified": http_date(modified)}
        self.kinds: list[str] = []

    def __call__(self, request: Request) -> Response:
        kind = kind_of(request)
        self.kinds.append(kind)
        if kind == "create":
            body = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            return Response(200, {}, body)
        if kind == "complete":
            if self.kinds.count(kind) == 1:
                raise lost()
            return document("NoSuchUpload", 404)
        if kind == "abort":
            return Response(204, {})
        if kind == "head":
            return Response(200, dict(self.headers))
        for _ in request.body.blocks():  # type: ignore[union-attr]
            pass
        return Response(200, {"etag": '"opaque"'})

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(
    ("etag", "size", "age", "is_ours"),
    [
        ("x-16", len(DATA), 0.0, True),
        ("x-16", len(DATA), 3600.0, False),
        ("x-15", len(DATA), 0.0, False),
        ("x-16", len(DATA) - 1, 0.0, False),
        ("x", len(DATA), 0.0, False),
    ],
)
def test_a_lost_completion_where_etags_say_nothing(etag: str, size: int, age: float, is_ours: bool) -> None:
    """An object of our size in as many parts, younger than the upload, is ours; anything else is an error."""
    opaque = Opaque(etag, size, NOW - age)
    with binned(opaque) as session:
        if is_ours:
            assert etag == session.put_object("key", DATA).etag
        else:
            with pytest.raises(NoSuchUpload) as caught:
                session.put_object("key", DATA)
            assert caught.value.maybe_applied
            assert "abort" == opaque.kinds[-1]


@pytest.mark.parametrize("refused", ["list uploads", "list parts", "abort"])
def test_an_orphan_that_cannot_be_looked_for(store: Store, refused: str) -> None:
    """Who may not list or abort uploads can store objects all the same."""
    session, watch = store
    watch.after = on("create", lambda count: lost() if count == 1 else None)
    watch.before = on(refused, lambda count: document("AccessDenied", 403))
    session.put_object("key", DATA)
    watch.before = watch.after = None
    assert DATA == session.get_object("key").data


def test_an_upload_that_somebody_aborted(store: Store, make: Callable[[], Any]) -> None:
    """NoSuchUpload without a lost answer is an error."""
    session, watch = store

    def abort(request: Request, count: int) -> None:
        if kind_of(request) == "complete":
            [entry] = session.list_multipart_uploads()
            session.abort_multipart_upload("key", entry.upload_id)

    watch.before = abort
    with pytest.raises(NoSuchUpload) as caught:
        session.put_object("key", make())
    assert not caught.value.maybe_applied
    assert_nothing(session, watch)


def test_conditions_are_the_completions(store: Store, make: Callable[[], Any]) -> None:
    """An object that came in between is not replaced."""
    session, watch = store

    def intrude(request: Request, count: int) -> None:
        if kind_of(request) == "complete":
            watch.before = None
            session.put_object("key", b"theirs")

    watch.before = intrude
    with pytest.raises(PreconditionFailed):
        session.put_object("key", make(), if_none_match="*")
    assert b"theirs" == session.get_object("key").data
    assert [] == list(session.list_multipart_uploads())


def test_a_conflict_sends_the_parts_again(store: Store, tmp_path: Path) -> None:
    """A store in conflict wants a new upload with all parts; what comes once cannot be sent again."""
    session, watch = store
    fault = on("complete", lambda count: document("ConditionalRequestConflict", 409) if count <= 2 else None)
    path = tmp_path / "file"
    path.write_bytes(DATA)
    for body in (DATA, path, path.open("rb"), io.BytesIO(DATA)):
        watch.clear()
        watch.before = fault
        session.delete_object("key")
        session.put_object("key", body, if_none_match="*")
        assert (3, 3, 2) == tuple(watch.kinds.count(kind) for kind in ("create", "complete", "abort"))
        assert sorted([*range(1, LAST + 1)] * 3) == watch.numbers()
        assert_whole(session, watch)
        if hasattr(body, "close"):
            body.close()
    session.delete_object("key")
    watch.clear()
    watch.before = fault
    with pytest.raises(Conflict) as caught:
        session.put_object("key", blocks(DATA), if_none_match="*")
    assert "ConditionalRequestConflict" == caught.value.code
    assert_nothing(session, watch)


def test_conflicts_have_an_end(store: Store) -> None:
    """As many uploads are tried as the policy has attempts."""
    session, watch = store
    watch.before = on("complete", lambda count: document("ConditionalRequestConflict", 409))
    with pytest.raises(Conflict) as caught:
        session.put_object("key", DATA, if_none_match="*")
    assert 5 == watch.kinds.count("create") == caught.value.attempts
    assert_nothing(session, watch)


# --- checksums


@pytest.mark.parametrize("code", ["BadDigest", "XAmzContentSHA256Mismatch"])
def test_a_part_that_was_damaged_is_sent_again(store: Store, make: Callable[[], Any], code: str) -> None:
    """Once: a part that is damaged every time is an error."""
    session, watch = store
    watch.before = on("part 5", lambda count: document(code, 400) if count == 1 else None)
    session.put_object("key", make())
    assert_whole(session, watch)
    session.delete_object("key")
    watch.before = on("part 5", lambda count: document(code, 400))
    with pytest.raises(InvalidRequest):
        session.put_object("key", make())
    assert_nothing(session, watch)


def test_a_store_that_kept_something_else(store: Store, make: Callable[[], Any]) -> None:
    """A part or an object with another checksum than the one that was sent is a ChecksumMismatch."""
    session, watch = store
    watch.after = on("part 5", lambda count: Response(200, {"etag": '"x"', "x-amz-checksum-crc32": "AAAAAA=="}))
    with pytest.raises(ChecksumMismatch):
        session.put_object("key", make())
    assert_nothing(session, watch)
    body = b"<CompleteMultipartUploadResult><ETag>x</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></CompleteMultipartUploadResult>"
    watch.after = on("complete", lambda count: Response(200, {}, body))
    with pytest.raises(ChecksumMismatch, match="was published"):
        session.put_object("key", make())


# --- interruptions


class Bored(Exception):
    """What a generator of these tests raises."""


@pytest.mark.parametrize("error", [Bored(), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("after", [0, 300, 1100])
def test_a_generator_that_raises(store: Store, error: BaseException, after: int) -> None:
    """What the caller's generator raises comes out, and nothing of the object stays."""
    session, watch = store

    def body() -> Iterator[bytes]:
        yield DATA[:after]
        raise error

    with pytest.raises(type(error)):
        session.put_object("key", body())
    assert_nothing(session, watch)
    assert (after >= 1000) == ("abort" in watch.kinds)


def test_a_generator_of_something_else(store: Store) -> None:
    """An iterable that yields text is a TypeError, also when it does so late."""
    session, watch = store
    for body in (["text"], [DATA, "text"]):
        wrong: Any = body
        with pytest.raises(TypeError, match="body must yield bytes"):
            session.put_object("key", wrong)
        assert_nothing(session, watch)


def test_ctrl_c(store: Store, make: Callable[[], Any]) -> None:
    """An interrupt in the middle stops the parts, aborts the upload, and is a KeyboardInterrupt."""
    session, watch = store
    main = threading.main_thread().ident
    assert main is not None
    interrupted = threading.Event()

    def interrupt(request: Request, count: int) -> None:
        if kind_of(request) == "part 3":
            signal.pthread_kill(main, signal.SIGINT)
            interrupted.set()

    watch.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        session.put_object("key", make(), transfer=SMALL._replace(concurrency=1))
    assert interrupted.is_set()
    assert "abort" == watch.kinds[-1]
    assert_nothing(session, watch)


def test_a_failure_stops_the_parts_that_wait(store: Store) -> None:
    """When one part is refused for good, the others make no further attempts."""
    session, watch = store
    failed = threading.Event()

    def fault(request: Request, count: int) -> Response | None:
        kind = kind_of(request)
        if kind == "part 1":
            failed.set()
            return document("AccessDenied", 403)
        if kind.startswith("part"):
            failed.wait(10)
            return document("SlowDown", 503)
        return None

    watch.before = fault
    endless = RetryPolicy(attempts=10**9, quota=10**9)
    options: dict[str, Any] = {"transport": watch, "clock": session._clock, "retries": endless}
    transfer = SMALL._replace(concurrency=4)
    patient = S3Session(ACCESS_KEY_ID, SECRET, "bucket", transfer=transfer, **options)
    with patient, pytest.raises(AccessDenied):
        patient.put_object("key", DATA)
    assert 1 == watch.kinds.count("part 1")
    assert_nothing(session, watch)


def test_slow_down_means_fewer_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that asks for fewer requests gets fewer: the limit is halved, and grows again with what succeeds."""
    crews: list[Crew] = []

    def crew_of(limit: int) -> Crew:
        crews.append(Crew(limit))
        return crews[-1]

    monkeypatch.setattr(s3func.s3.upload, "Crew", crew_of)
    with watched(retries=RetryPolicy(attempts=10**6, quota=10**9)) as (session, watch):
        lowest = 8

        def busy(request: Request, count: int) -> Response | None:
            nonlocal lowest
            if kind_of(request).startswith("part"):
                lowest = min(lowest, crews[0].limit.current)
                if lowest == 8:
                    return document("SlowDown", 503)
            return None

        watch.before = busy
        data = DATA * 20
        session.put_object("key", data, transfer=SMALL._replace(concurrency=8))
        assert 4 == lowest
        assert 8 == crews[0].limit.current
        assert data == session.get_object("key").data


def test_the_total_time_is_that_of_the_whole_upload(store: Store, make: Callable[[], Any]) -> None:
    """Timeouts.total ends an upload in parts as it ends any call; the abort still has the time that it needs."""
    session, watch = store
    clock = session._clock

    def late(request: Request, count: int) -> BaseException | None:
        if kind_of(request) != "part 9":
            return None
        clock.sleep(101.0)
        return lost()

    watch.before = late
    options: dict[str, Any] = {"transport": watch, "clock": clock, "timeouts": Timeouts(total=100.0)}
    hurried = S3Session(ACCESS_KEY_ID, SECRET, "bucket", transfer=SMALL, **options)
    with hurried, pytest.raises(DeadlineExceeded):
        hurried.put_object("key", make())
    assert_nothing(session, watch)


# --- over sockets


def test_answers_come_as_they_come_over_sockets(serve: Serve, connect: Connect) -> None:
    """Real connections, cut in the middle of parts: what arrives in the end is the object."""
    arrived: dict[str, bytes] = {}
    begun = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    done = b"<CompleteMultipartUploadResult><ETag>&quot;e-16&quot;</ETag></CompleteMultipartUploadResult>"
    lock = threading.Lock()
    tries: dict[str, int] = {}

    def step(exchange: Exchange) -> None:
        target = exchange.target
        with lock:
            tries[target] = count = tries.get(target, 0) + 1
        if "partNumber" in target and count == 1 and int(target.split("partNumber=")[1].split("&")[0]) % 3 == 0:
            exchange.read_body(50)
            exchange.reset()
            return
        body = exchange.read_body()
        if "uploads" in target:
            exchange.send(answer(200, begun))
        elif exchange.method == "POST":
            exchange.send(answer(200, b"\n\n" + done))
        else:
            with lock:
                arrived[target.split("partNumber=")[1].split("&")[0]] = body
            exchange.send(answer(200, etag='"e"'))

    server = serve(always=step)
    connect(server, transfer=SMALL, retries=RetryPolicy(attempts=3)).put_object("key", DATA)
    assert DATA == b"".join(arrived[str(number)] for number in range(1, LAST + 1))


def test_cuts_at_random_places(tmp_path: Path) -> None:
    """200 uploads over a wire that breaks anywhere, in both directions: each is whole or raised, and nothing is left."""
    draw = random.Random(4)
    data = DATA[: 6 * PART + 1]
    path = tmp_path / "file"
    path.write_bytes(data)
    # How many connections of a run may break at most: in most runs an attempt comes through.
    budget = 0

    def plan() -> Cut | None:
        nonlocal budget
        if budget == 0 or draw.random() < 0.5:
            return None
        budget -= 1
        return Cut(up=draw.randrange(1, 3000)) if draw.random() < 0.5 else Cut(down=draw.randrange(1, 1500))

    outcomes = {"stored": 0, "raised": 0}
    with parts_of_any_size(), s3func.testing.server() as server:
        direct = server.session("bucket")
        transfer = TransferConfig(multipart_threshold=1, part_size=PART, concurrency=3)
        settings: dict[str, Any] = {
            "access_key_id": server.access_key_id,
            "access_key": server.secret_access_key,
            "transfer": transfer,
        }
        port = int(server.endpoint_url.rpartition(":")[2])
        with CuttingWire(port, plan) as wire:
            for number in range(200):
                key, budget = f"key{number}", draw.randrange(1, 7)
                body: Any = draw.choice([data, path, blocks(data)])
                retries = RetryPolicy(attempts=draw.choice([1, 3]), base_seconds=0.0, quota=10**6)
                with S3Session(bucket="bucket", endpoint_url=wire.url, retries=retries, **settings) as session:
                    try:
                        result = session.put_object(key, body)
                    except S3FuncError:
                        outcomes["raised"] += 1
                        if direct.exists(key):
                            assert data == direct.get_object(key).data
                    else:
                        outcomes["stored"] += 1
                        assert result.etag == direct.head_object(key).etag
                        assert data == direct.get_object(key).data
            assert wire.cuts > 100
        assert min(outcomes.values()) > 20
        assert [] == list(direct.list_multipart_uploads())


def test_an_upload_that_is_refused_at_once(serve: Serve, connect: Connect) -> None:
    """A refusal of the beginning is the only request there is."""
    server = serve(refusal(403, "AccessDenied"))
    with pytest.raises(AccessDenied):
        connect(server, transfer=SMALL).put_object("key", DATA)
    assert ["POST"] == server.methods
