"""Faults: what was asked to go wrong goes wrong, in process and on a socket, and nothing else does."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import s3func.testing
from s3func import RetryPolicy, S3Session
from s3func.clock import SystemClock
from s3func.errors import (
    AccessDenied,
    ChecksumMismatch,
    ConnectionLost,
    InvalidCredentials,
    NoSuchBucket,
    NoSuchKey,
    ProtocolError,
    RequestTimeTooSkewed,
    ServerError,
    Throttled,
    TimedOut,
    TruncatedBody,
)
from s3func.message import BLOCK, Request
from s3func.server import Faults, Journal, LocalBackend, MemoryBackend, S3App
from s3func.testing import Server
from s3func.wire import s3xml
from tests.faults.clock import FakeClock
from tests.server.forge import KEY_ID, SECRET, Wire, sign


class Rig(NamedTuple):
    """A session without retries, and the faults and the journal of its server."""

    session: S3Session
    faults: Faults
    journal: Journal


@pytest.fixture(params=["in process", "socket", "socket, local store"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """The bucket `bkt` on each way to a server."""
    if request.param == "in process":
        journal = Journal()
        app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET, journal=journal)
        with S3Session(KEY_ID, SECRET, "bkt", transport=app, retries=1) as session:
            session.create_bucket()
            yield Rig(session, app.faults, journal)
        return
    backend = MemoryBackend() if request.param == "socket" else LocalBackend(tmp_path / "store", durability="os")
    with s3func.testing.server(backend) as server:
        yield Rig(server.session("bkt", retries=1), server.faults, server.journal)


def test_the_example_of_the_documents(rig: Rig) -> None:
    """Two puts below logs/ are refused, the third and all others are carried out; the fault has counted."""
    fault = rig.faults.add("PutObject", key="logs/*", times=2, status=503, code="SlowDown")
    rig.session.put_object("a", b"")
    for _ in range(2):
        with pytest.raises(Throttled) as refusal:
            rig.session.put_object("logs/b/c", b"")
        assert (503, "SlowDown", "bkt", "logs/b/c") == (
            refusal.value.status,
            refusal.value.code,
            refusal.value.bucket,
            refusal.value.key,
        )
    rig.session.put_object("logs/b/c", b"")
    rig.session.head_object("logs/b/c")
    assert (2, 3) == (fault.fired, fault.matched)
    assert ["", "503 SlowDown", "503 SlowDown", ""] == [entry.fault for entry in rig.journal.entries("PutObject")]
    assert [200, 503, 503, 200] == [entry.status for entry in rig.journal.entries("PutObject")]


@pytest.mark.parametrize("body", [b"0123456789", bytes(3 * BLOCK)], ids=["short", "long"])
@pytest.mark.parametrize(
    ("settings", "error", "is_stored"),
    [
        ({"status": 503}, Throttled, False),
        ({"status": 500}, ServerError, False),
        ({"status": 502}, ServerError, False),
        ({"status": 403}, AccessDenied, False),
        ({"code": "ExpiredToken"}, InvalidCredentials, False),
        ({"code": "InvalidToken", "status": 403}, InvalidCredentials, False),
        ({"code": "SomethingNew", "status": 503}, Throttled, False),
        ({"reset": "before"}, ConnectionLost, False),
        ({"reset": "after"}, ConnectionLost, True),
        ({"cut_request": 0}, ConnectionLost, False),
        ({"cut_request": 7}, ConnectionLost, False),
        ({"cut_request": 10**9}, ConnectionLost, False),
        ({"cut_answer": 0}, ConnectionLost, True),
        ({"answer": "html"}, ProtocolError, False),
        ({"answer": "error"}, ServerError, False),
        ({"answer": "error", "code": "SlowDown"}, Throttled, False),
    ],
)
def test_a_put_goes_wrong(rig: Rig, body: bytes, settings: Any, error: type[Exception], is_stored: bool) -> None:
    """Each kind raises its error in the client, and the object is there exactly where the operation had happened."""
    # For ever: what broke off on a connection that had been idle is asked again at once, without being counted.
    with rig.faults.add("PutObject", **settings) as fault, pytest.raises(error) as raised:
        rig.session.put_object("key", body)
    assert error is type(raised.value)
    assert fault.fired
    assert is_stored == rig.session.exists("key")
    rig.session.put_object("key", body)
    assert body == rig.session.get_object("key").data


@pytest.mark.parametrize("size", [10, 3 * BLOCK], ids=["short", "long"])
def test_an_answer_is_cut_where_it_was_asked_for(rig: Rig, size: int) -> None:
    """The beginning of the body arrives, and then TruncatedBody in place of the rest."""
    body = bytes(range(256)) * (size // 256 + 1)
    rig.session.put_object("key", body)
    for count in (0, 7, len(body), 10**9):
        with rig.faults.add("GetObject", cut_answer=count) as fault, pytest.raises(TruncatedBody):
            rig.session.get_object("key", stream=True).read()
        assert fault.fired
    assert body == rig.session.get_object("key").data


def test_a_wrong_checksum_is_noticed(rig: Rig) -> None:
    """The body is right, its checksum is not, and the client does not hand it out."""
    rig.session.put_object("key", b"0123456789")
    rig.faults.add("GetObject", answer="wrong_checksum")
    with pytest.raises(ChecksumMismatch):
        _ = rig.session.get_object("key").data


def test_a_checksum_that_is_wrong_where_there_was_none(rig: Rig) -> None:
    """An object that was stored without a checksum gets one in the answer, which is not its own."""
    rig.session.request("PUT", "key", body=b"0123456789")
    rig.faults.add("GetObject", answer="wrong_checksum")
    with pytest.raises(ChecksumMismatch):
        _ = rig.session.get_object("key").data


def test_what_cannot_be_spoiled_stays(rig: Rig) -> None:
    """A refusal is no page that could be cut, and an empty listing has no row to lose."""
    rig.faults.add("ListObjectsV2", answer="cut_list", bucket="none")
    with pytest.raises(NoSuchBucket):
        list(rig.session.list_objects(bucket="none"))
    rig.faults.add("ListObjectsV2", answer="short_list")
    assert [] == list(rig.session.list_objects())


@pytest.mark.parametrize("answer", ["cut_list", "unmarked_list", "short_list", "html", "error"])
def test_a_listing_that_is_none_is_an_error(rig: Rig, answer: Any) -> None:
    """No wrong page passes for a short listing, neither the first one nor a later one."""
    for number in range(5):
        rig.session.put_object(str(number), b"")
    for after in (0, 1, 2):
        with rig.faults.add("List*", answer=answer, after=after) as fault:
            rows = iter(rig.session.list_objects(max_keys=2))
            assert [str(number) for number in range(2 * after)] == [next(rows).key for _ in range(2 * after)]
            with pytest.raises((ProtocolError, ServerError)):
                next(rows)
            assert (1, after + 1) == (fault.fired, fault.matched)
    assert 5 == len(list(rig.session.list_objects(max_keys=2)))
    assert 0 == len(rig.faults)


def test_a_listing_goes_wrong_and_nothing_else(rig: Rig) -> None:
    """A kind that is about listings is not asked about other operations, whatever its pattern."""
    fault = rig.faults.add("*", answer="short_list")
    rig.session.put_object("key", b"x")
    rig.session.get_object("key").close()
    assert 0 == fault.matched
    with pytest.raises(ProtocolError):
        list(rig.session.list_objects())
    assert 1 == fault.fired


@pytest.mark.parametrize("operation", ["CopyObject", "CompleteMultipartUpload"])
def test_200_may_be_an_error(rig: Rig, operation: str) -> None:
    """Copies and completions that answer 200 with an error document are errors, and did nothing."""
    rig.session.put_object("source", b"x")
    rig.faults.add(operation, answer="error", code="InternalError")
    if operation == "CopyObject":
        with pytest.raises(ServerError):
            rig.session.copy_object("source", "target")
    else:
        begun = rig.session.request("POST", "target", query={"uploads": ""}).read()
        upload = begun.split(b"<UploadId>")[1].split(b"<")[0].decode()
        answer = rig.session.request("POST", "target", query={"uploadId": upload}, body=b"<CompleteMultipartUpload/>")
        assert 200 == answer.status
        assert b"<Error>" in answer.read()
    assert not rig.session.exists("target")


def test_headers_and_message_of_a_refusal(rig: Rig) -> None:
    """What a refusal was given arrives: a message, Retry-After."""
    rig.faults.add("GetObject", status=503, message="Später <bitte>", headers={"Retry-After": "7"})
    with pytest.raises(Throttled, match="Später <bitte>") as raised:
        rig.session.get_object("key")
    assert "7" == raised.value.headers["retry-after"]


def test_a_skewed_clock_tells_its_time(rig: Rig) -> None:
    """The refusal has the Date by which a client could correct its own clock."""
    fault = rig.faults.add("GetObject", skew=-7200)
    with pytest.raises(RequestTimeTooSkewed) as raised:
        rig.session.get_object("key")
    assert raised.value.headers["date"][:3] in {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
    assert "ServerTime" in raised.value.details
    assert not rig.session.exists("key")
    assert fault.fired


def test_a_head_goes_wrong(rig: Rig) -> None:
    """An answer without a body has its status; its code stands in the journal; what cannot be cut breaks off."""
    rig.faults.add("HeadObject", key="a", code="SlowDown")
    rig.faults.add("HeadObject", key="b", cut_answer=3)
    with pytest.raises(Throttled):
        rig.session.head_object("a")
    with pytest.raises(ConnectionLost):
        rig.session.head_object("b")
    assert ["SlowDown"] == [entry.code for entry in rig.journal.entries("HeadObject", key="a")]
    assert {(0, "cut_answer 3")} == {(row.status, row.fault) for row in rig.journal.entries("HeadObject", key="b")}


def test_which_requests_are_meant(rig: Rig) -> None:
    """Operation, bucket and key are patterns in which upper and lower case matter; "*" matches "/" as well."""
    fault = rig.faults.add("Put*", bucket="b?t", key="[a-c]/*.txt", status=500)
    for key in ("a/x.txt", "c/y/z.txt"):
        with pytest.raises(ServerError):
            rig.session.put_object(key, b"")
    for key in ("d/x.txt", "A/x.txt", "a/x.TXT", "a"):
        rig.session.put_object(key, b"")
    with pytest.raises(NoSuchKey):
        rig.session.get_object("a/x.txt")
    assert (2, 2) == (fault.fired, fault.matched)


def test_the_first_fault_that_fires_is_the_only_one(rig: Rig) -> None:
    """Faults are asked in their order; one that is used up or waits lets the next one have the request."""
    first = rig.faults.add("GetObject", times=1, status=500)
    second = rig.faults.add("GetObject", after=1, times=1, status=503)
    assert [first, second] == list(rig.faults)
    seen = []
    for _ in range(4):
        with pytest.raises((ServerError, Throttled, NoSuchKey)) as raised:
            rig.session.get_object("key")
        seen.append(raised.value.status)
    assert [500, 404, 503, 404] == seen
    first.remove()
    first.remove()
    assert [second] == list(rig.faults)
    rig.faults.clear()
    assert (0, 1) == (len(rig.faults), second.fired)


def outcomes(faults: Faults, count: int) -> list[bool]:
    return [faults.take("PutObject", "bkt", "key") is not None for _ in range(count)]


def test_chance_can_be_repeated() -> None:
    """The same seed gives the same requests, another seed others; `after` and `times` count as they do without chance."""
    runs = []
    for seed in (1, 1, 2):
        faults = Faults()
        faults.add(probability=0.3, seed=seed, status=500)
        runs.append(outcomes(faults, 1000))
    assert runs[0] == runs[1] != runs[2]
    assert 200 < sum(runs[0]) < 400
    faults = Faults()
    fault = faults.add(probability=0.5, after=10, times=5, status=500)
    run = outcomes(faults, 100)
    assert (5, 100) == (fault.fired, fault.matched)
    assert [False] * 10 == run[:10]


def test_counts_are_exact_with_many_threads() -> None:
    """Of requests at the same time exactly as many go wrong as were asked for."""
    faults = Faults()
    fault = faults.add(times=100, status=500)
    with ThreadPoolExecutor(8) as pool:
        fired = sum(sum(run) for run in pool.map(lambda _: outcomes(faults, 100), range(8)))
    assert (100, 100, 800) == (fired, fault.fired, fault.matched)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "nothing would go wrong"),
        ({"operation": "PutObjcet", "status": 500}, "PutObjcet"),
        ({"operation": "putobject", "status": 500}, "putobject"),
        ({"operation": "PutObject", "answer": "short_list"}, "PutObject"),
        ({"operation": 3, "status": 500}, "operation"),
        ({"key": None, "status": 500}, "key"),
        ({"bucket": b"b", "status": 500}, "bucket"),
        ({"times": 0, "status": 500}, "times"),
        ({"times": True, "status": 500}, "times"),
        ({"times": 1.0, "status": 500}, "times"),
        ({"after": -1, "status": 500}, "after"),
        ({"probability": 0, "status": 500}, "probability"),
        ({"probability": 1.1, "status": 500}, "probability"),
        ({"probability": "1", "status": 500}, "probability"),
        ({"probability": float("nan"), "status": 500}, "probability"),
        ({"seed": "x", "status": 500}, "seed"),
        ({"status": 200}, "status"),
        ({"status": 600}, "status"),
        ({"status": "503"}, "status"),
        ({"code": ""}, "code"),
        ({"code": "Slow Down"}, "code"),
        ({"code": 503}, "code"),
        ({"status": 503, "message": b"m"}, "message"),
        ({"message": "m", "reset": "after"}, "message"),
        ({"code": "SlowDown", "answer": "html"}, "code"),
        ({"code": "SlowDown", "reset": "after"}, "one thing"),
        ({"status": 503, "answer": "error"}, "one thing"),
        ({"reset": "after", "cut_answer": 3}, "one thing"),
        ({"skew": 3600, "status": 503}, "one thing"),
        ({"reset": "now"}, "reset"),
        ({"answer": "nothing"}, "answer"),
        ({"cut_answer": -1}, "cut_answer"),
        ({"cut_request": 1.5}, "cut_request"),
        ({"delay": -1}, "delay"),
        ({"delay": float("inf")}, "delay"),
        ({"delay": "1"}, "delay"),
        ({"skew": "1"}, "skew"),
        ({"skew": float("nan")}, "skew"),
        ({"reset": "after", "headers": {"a": "b"}}, "headers"),
        ({"status": 503, "headers": {"a b": "c"}}, "headers"),
        ({"status": 503, "headers": {"a": "b\r\nc: d"}}, "headers"),
        ({"status": 503, "headers": {"a": 7}}, "headers"),
        ({"status": 503, "headers": {"Content-Length": "7"}}, "headers"),
        ({"statsu": 503}, "statsu"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: Any, named: str) -> None:
    """A fault that could not fire, or that nobody can mean, is refused when it is added, with the argument's name."""
    faults = S3App().faults
    with pytest.raises((ValueError, TypeError), match=named):
        faults.add(**settings)
    assert 0 == len(faults)


class HastyClock(SystemClock):
    """The machine's clock, on which nobody waits."""

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        """Go on at once."""


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.integers(0, 600),
    st.floats(),
    st.floats(0, 0.01),
    st.text(),
    st.binary(max_size=3),
    st.sampled_from(["*", "PutObject", "List*", "[", "[!", "before", "after", "html", "error", "cut_list", "SlowDown"]),
    st.dictionaries(st.text(), st.text(), max_size=2),
)
ARGUMENTS = sorted(inspect.signature(Faults.add).parameters.keys() - {"self"})


@examples(max_examples=500)
@given(st.dictionaries(st.sampled_from(ARGUMENTS), JUNK, max_size=4))
def test_any_arguments_are_a_fault_or_refused(arguments: dict[str, Any]) -> None:
    """Whatever is asked for is a ValueError or TypeError, or a fault that can be shown, sent and carried out."""
    app = S3App(no_auth=True, clock=HastyClock())
    try:
        fault = app.faults.add(**arguments)
    except (ValueError, TypeError):
        return
    assert json.loads(json.dumps(fault.describe()))["id"] == 1
    assert str(fault)
    for method, path in (("PUT", "/bkt"), ("PUT", "/bkt/key"), ("GET", "/bkt/key"), ("GET", "/bkt"), ("HEAD", "/bkt")):
        try:
            response = app(Request(method, "http://localhost", path, "", {}, b"body" if method == "PUT" else b""))
            response.read()
        except ConnectionLost:
            continue
        head = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items()).encode()
        assert b"\n\n" not in head.replace(b"\r", b"")


@pytest.mark.parametrize("message", ["\ud800", "a\x00b", "\uffff", "]]>"])
def test_every_message_can_be_sent(message: str) -> None:
    """What XML cannot say is no message; everything else arrives."""
    app = S3App(no_auth=True)
    try:
        app.faults.add(status=500, message=message)
    except ValueError:
        assert message != "]]>"
        return
    document = s3xml.parse_error(app(Request("GET", "http://localhost", "/", "", {})).read())
    assert document is not None
    assert message == document.message


def test_a_fault_says_what_it_is() -> None:
    """The repr has the pattern, what happens and the counts."""
    faults = S3App().faults
    fault = faults.add("GetObject", key="a*", delay=2, reset="before")
    assert "<Fault 1 GetObject a*: delay 2, reset before; fired 0 of 0>" == repr(fault)
    assert "<Fault 2 *: cut_answer 0; fired 0 of 0>" == repr(faults.add(cut_answer=0))
    assert ["skew 60", "answer html", "cut_request 3", "404 X"] == [
        str(faults.add(**settings))
        for settings in ({"skew": 60}, {"answer": "html"}, {"cut_request": 3}, {"status": 404, "code": "X"})
    ]
    assert repr(fault) in repr(faults)


# --- on the wire


@pytest.mark.parametrize("size", [10, 200_000], ids=["short", "long"])
@pytest.mark.parametrize("settings", [{"reset": "before"}, {"reset": "after"}, {"cut_request": 5}])
def test_a_reset_is_a_reset(server: Server, size: int, settings: Any) -> None:
    """The peer sees ECONNRESET, and no end that could be taken for an answer's."""
    server.faults.add("PutObject", **settings)
    with Wire(server.endpoint_url) as wire:
        headers = sign("PUT", "/bkt/key", body=bytes(size), host=wire.host) | {"content-length": str(size)}
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            wire.send("PUT", "/bkt/key", headers, bytes(size))
            wire.receive()
    is_stored = settings == {"reset": "after"}
    assert is_stored == (["key"] == [row.key for row in server.app.backend.list_objects("bkt").rows])


def test_a_cut_answer_ends_the_connection_behind_its_beginning(server: Server) -> None:
    """Exactly as many bytes arrive as were asked for, under the full Content-Length, and then the end."""
    session = server.session("bkt")
    session.put_object("key", b"0123456789")
    server.faults.add("GetObject", cut_answer=4)
    with Wire(server.endpoint_url) as wire:
        wire.send("GET", "/bkt/key", sign("GET", "/bkt/key", host=wire.host))
        arrived = b""
        while data := wire.socket.recv(65536):
            arrived += data
    head, _, body = arrived.partition(b"\r\n\r\n")
    assert b"content-length: 10" in head
    assert b"0123" == body


def test_nothing_is_logged_as_a_failure(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Faults are no failures of the server: none leaves a traceback in the log."""
    session = server.session("bkt", retries=1)
    session.put_object("key", bytes(10))
    for settings in ({"reset": "before"}, {"reset": "after"}, {"cut_request": 3}, {"cut_answer": 3}, {"status": 500}):
        for body in (bytes(10), bytes(200_000)):
            with server.faults.add(**settings), pytest.raises(s3func.errors.S3FuncError):
                session.put_object("key", body)
        with server.faults.add(**settings), pytest.raises(s3func.errors.S3FuncError):
            list(session.list_objects())
    assert [] == [record.getMessage() for record in caplog.records if record.levelname in {"ERROR", "WARNING"}]


def test_a_delayed_request_keeps_nobody_else_waiting(server: Server) -> None:
    """While one request waits, others are answered on the same store in memory; removing the faults ends the wait."""
    fault = server.faults.add("GetObject", key="slow", delay=3600)
    patient = server.session("bkt", read_timeout=100)
    hasty = server.session("bkt", read_timeout=0.2, retries=1)
    hasty.put_object("slow", b"x")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: patient.get_object("slow").data)
        with pytest.raises(TimedOut):
            hasty.get_object("slow")
        hasty.put_object("other", b"y")
        assert b"y" == hasty.get_object("other").data
        assert not waiting.done()
        server.faults.clear()
        assert b"x" == waiting.result(timeout=60)
    assert 2 == fault.fired
    assert not server.app.may_block


def test_a_server_that_stops_does_not_wait_for_a_delay() -> None:
    """A delay of an hour ends with the server."""
    with s3func.testing.server() as server:
        session = server.session("bkt", read_timeout=0.2, retries=1)
        server.faults.add(delay=3600)
        for body in (b"x", bytes(200_000)):
            with pytest.raises(TimedOut):
                session.put_object("key", body)


def test_a_clock_of_the_app_s_own_is_slept_on() -> None:
    """With a clock of the test's own a delay is that clock's, and takes no time."""
    clock = FakeClock()
    app = S3App(clock=clock)
    app.faults.add(delay=300)
    begun = clock.now()
    with S3Session("test", "test", "bkt", transport=app, clock=clock) as session:
        session.create_bucket()
    assert 300 <= clock.now() - begun


def test_who_asks_for_no_faults_pays_for_none() -> None:
    """Neither the server nor an app without faults and journal loads what faults need."""
    program = (
        "import sys\nfrom s3func.server import S3App\nfrom s3func.message import Request\n"
        "S3App()(Request('GET', 'http://localhost', '/', '', {}))\n"
        "print([name for name in sys.modules if name.startswith('s3func.server.') and name.rpartition('.')[2] in "
        "('faults', 'journal', 'watch', 'watched', 'control', 'wrong_answers')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


def test_two_threads_that_begin_have_the_same_faults() -> None:
    """However many ask for the faults of an app first, they get the same ones."""
    app = S3App()
    gate = threading.Barrier(8)

    def ask(_: int) -> Faults:
        gate.wait()
        return app.faults

    with ThreadPoolExecutor(8) as pool:
        assert {id(app.faults)} == {id(each) for each in pool.map(ask, range(8))}


# --- what they are for


def test_a_client_that_retries_survives_all_of_it(tmp_path: Path) -> None:
    """Eight threads against a server on which every fifth request goes wrong by chance, in every way: all puts are there.

    Retries wait on a clock that costs nothing. What was put reads back, lists and deletes.
    """
    retries = RetryPolicy(attempts=30, quota=1_000_000)
    with s3func.testing.server(LocalBackend(tmp_path / "store", durability="os")) as server:
        session = server.session("bkt", retries=retries, clock=HastyClock())
        ways: list[dict[str, Any]] = [
            {"status": 503, "code": "SlowDown"},
            {"status": 500},
            {"reset": "before"},
            {"reset": "after"},
            {"cut_request": 100},
            {"cut_answer": 20},
            {"answer": "html", "operation": "[!GH]*"},
            {"answer": "error", "operation": "[!GH]*"},
            {"answer": "cut_list", "probability": 0.1},
            {"answer": "unmarked_list", "probability": 0.1},
            {"answer": "short_list", "probability": 0.1},
        ]
        faults = [server.faults.add(seed=seed, **({"probability": 0.02} | way)) for seed, way in enumerate(ways)]

        def work(worker: int) -> None:
            for number in range(40):
                key, body = f"{worker}/{number}", f"{worker}-{number}".encode() * 50
                session.put_object(key, body)
                assert body == session.get_object(key).data
                if number % 2:
                    session.delete_object(key)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        expected = sorted(f"{worker}/{number}" for worker in range(8) for number in range(0, 40, 2))
        for _ in range(10):
            assert expected == [row.key for row in session.list_objects(max_keys=16)]
        assert all(fault.fired for fault in faults), faults
