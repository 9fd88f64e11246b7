"""The journal: every request has its entry, no entry has a secret."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import s3func.testing
from s3func import S3Session
from s3func.errors import NoSuchKey, NotFound
from s3func.message import BLOCK, Request
from s3func.server import Journal, S3App
from s3func.server.operations import OPERATIONS
from s3func.server.routing import ROUTES
from tests.faults.clock import START, FakeClock
from tests.server.forge import KEY_ID, SECRET, Caller, Wire, presign, sign


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def caller(journal: Journal) -> Iterator[Caller]:
    """Signed calls of an app with a journal, which has the bucket `bkt`, and of which nothing is in the journal yet."""
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET, journal=journal)
    caller = Caller(app)
    caller("PUT", "/bkt")
    journal.clear()
    yield caller
    app.close()


def test_what_an_entry_says(caller: Caller, journal: Journal) -> None:
    """Operation, method, bucket, exact key, query, status, code, lengths and request id of every request, in order."""
    caller("PUT", "/bkt/a%2F%2Fb%20c", body=b"12345")
    answer = caller("GET", "/bkt/none", "versionId=null&x-id=GetObject")
    caller("HEAD", "/bkt/none")
    caller("GET", "/bkt", "list-type=2&prefix=a%2F")
    put, get, head, listing = journal
    assert ("PutObject", "PUT", "bkt", "a//b c", {}) == (put.operation, put.method, put.bucket, put.key, put.query)
    assert (200, "", 5, 0, "") == (put.status, put.code, put.bytes_in, put.bytes_out, put.fault)
    assert ("GetObject", 404, "NoSuchVersion") == (get.operation, get.status, get.code)
    assert {"versionId": "null", "x-id": "GetObject"} == get.query
    assert answer.headers["x-amz-request-id"] == get.request_id
    assert len(answer.read()) == get.bytes_out
    assert ("HeadObject", 404, "NoSuchKey", 0) == (head.operation, head.status, head.code, head.bytes_out)
    assert ("ListObjectsV2", "bkt", "") == (listing.operation, listing.bucket, listing.key)
    assert {"list-type": "2", "prefix": "a/"} == listing.query
    assert [put.sequence + number for number in range(4)] == [entry.sequence for entry in journal]
    assert "PutObject" in repr(put)


def test_time_is_the_app_s(journal: Journal) -> None:
    """Time and duration are read from the clock of the app."""
    clock = FakeClock()
    app = S3App(clock=clock, journal=journal)
    app.faults.add(delay=60, status=500)
    app(Request("GET", "http://localhost", "/", "", {}))
    (entry,) = journal
    assert START == entry.time
    assert 60 <= entry.seconds < 120
    assert "delay 60, 500" == entry.fault


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/", "", "ListBuckets"),
        ("OPTIONS", "/bkt/key", "", "Preflight"),
        ("GET", "/bkt/key", "torrent", ""),
        ("PATCH", "/bkt/key", "", ""),
        ("GET", "/bkt/%ff", "", ""),
        ("GET", "/UPPER/key", "", ""),
        ("GET", "/bkt/key", "%ff", "GetObject"),
    ],
)
def test_what_is_refused_has_an_entry(
    caller: Caller, journal: Journal, method: str, path: str, query: str, operation: str
) -> None:
    """A request that is none, or that names nothing, is in the journal like every other."""
    caller.app(Request(method, "http://localhost", path, query, {}))
    (entry,) = journal
    assert (method, operation) == (entry.method, entry.operation)
    assert entry.status >= 200


def test_no_secret_is_recorded(caller: Caller, journal: Journal) -> None:
    """Neither a signature nor a token of a URL nor anything of a header is in what a journal prints."""
    query = presign("GET", "/bkt/key", "response-content-type=text%2Fplain")
    caller.app(Request("GET", "http://localhost", "/bkt/key", query, {"host": "localhost"}))
    query = "AWSAccessKeyId=AKID&Signature=SECRETSIGNATURE&Expires=1&x-amz-security-token=TOKEN&Authorization=BEARER"
    caller.app(Request("GET", "http://localhost", "/bkt/key", query, {"host": "localhost"}))
    caller("PUT", "/bkt/key", headers={"x-amz-server-side-encryption-customer-key": "CUSTOMERKEY"})
    printed = repr(list(journal)) + json.dumps([entry._asdict() for entry in journal])
    assert "X-Amz-Expires" in printed
    assert "text/plain" in printed
    for secret in ("Signature=", "X-Amz-Signature", "SECRETSIGNATURE", "TOKEN", "BEARER", "CUSTOMERKEY", SECRET):
        assert secret not in printed


def test_filters(caller: Caller, journal: Journal) -> None:
    """Entries are found by patterns of operation, bucket and key; `operations` has their names."""
    for key in ("a/1", "a/2", "b/1"):
        caller("PUT", f"/bkt/{key}")
        caller("GET", f"/bkt/{key}")
    caller("PUT", "/other")
    assert ["PutObject", "GetObject"] * 2 == journal.operations(key="a/*")
    assert ["a/1", "a/2", "b/1"] == [entry.key for entry in journal.entries("Put*", bucket="bkt")]
    assert ["CreateBucket"] == journal.operations(bucket="other")
    assert 7 == len(journal)
    assert [] == journal.entries("putobject")
    last = journal.entries()[-1].sequence
    journal.clear()
    assert [] == list(journal)
    caller("GET", "/")
    assert [last + 1] == [entry.sequence for entry in journal]


def test_it_is_bounded() -> None:
    """A journal keeps the last entries, as many as it was told."""
    journal = Journal(3)
    app = S3App(no_auth=True, journal=journal)
    for number in range(5):
        app(Request("PUT", "http://localhost", f"/bucket-{number}", "", {}))
    assert ["bucket-2", "bucket-3", "bucket-4"] == [entry.bucket for entry in journal]
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="length"):
            Journal(wrong)
    for strange in (True, 2.0, "3"):
        with pytest.raises(TypeError, match="length"):
            Journal(strange)  # type: ignore[arg-type]


def test_many_threads_write_one_journal(journal: Journal) -> None:
    """Requests at the same time have an entry each, with numbers without gaps; reading meanwhile is allowed."""
    app = S3App(no_auth=True, journal=journal)

    def ask(number: int) -> None:
        app(Request("PUT", "http://localhost", f"/bucket-{number}", "", {}))
        journal.operations()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(200)))
    assert list(range(1, 201)) == [entry.sequence for entry in journal]
    assert {f"bucket-{number}" for number in range(200)} == {entry.bucket for entry in journal}


def test_lengths_of_long_bodies() -> None:
    """What a streamed body was announced with is its length, both ways, in process and on a socket."""
    with s3func.testing.server() as server:
        session = server.session("bkt")
        session.put_object("key", bytes(3 * BLOCK))
        assert 3 * BLOCK == len(session.get_object("key").data)
        put, get = server.journal.entries(key="key")
        assert (3 * BLOCK, 3 * BLOCK) == (put.bytes_in, get.bytes_out)
        server.journal.clear()
        with S3Session(server.access_key_id, server.secret_access_key, "bkt", transport=server.app) as inside:
            inside.put_object("key", bytes(3 * BLOCK))
            with inside.get_object("key", stream=True) as result:
                assert 3 * BLOCK == len(result.read())
        put, get = server.journal.entries(key="key")
        assert (3 * BLOCK, 3 * BLOCK) == (put.bytes_in, get.bytes_out)


def test_a_body_whose_length_nobody_said() -> None:
    """Where neither side says how long a body is, the entry does not either."""
    with s3func.testing.server(no_auth=True) as server, Wire(server.endpoint_url) as wire:
        server.session("bkt")
        headers = {"host": wire.host, "transfer-encoding": "chunked"}
        wire.send("PUT", "/bkt/key", headers, b"3\r\nabc\r\n0\r\n\r\n")
        assert 200 == wire.receive().status
        wire.send("GET", "/bkt/key", {"host": wire.host})
        assert b"abc" == wire.receive().body
        put, get = server.journal.entries(key="key")
    assert (None, 0) == (put.bytes_in, put.bytes_out)
    assert (0, 3) == (get.bytes_in, get.bytes_out)
    assert "<Journal of 3 entries>" == repr(server.journal)


def test_an_app_keeps_none_unless_asked() -> None:
    """Without a journal an app has none; a test server has one."""
    assert None is S3App().journal
    app = S3App()
    app.faults.add(status=500)
    assert None is app.journal
    with s3func.testing.server() as server:
        assert server.journal is server.app.journal
        server.session("bkt")
        assert ["CreateBucket"] == server.journal.operations()
    own = Journal(5)
    with s3func.testing.server(journal=own) as server:
        assert own is server.journal


def test_every_route_has_the_name_of_its_operation() -> None:
    """The table of names has the routes of the table of handlers; the names are those of the handlers."""
    assert ROUTES.keys() == OPERATIONS.keys()
    for route, handler in ROUTES.items():
        name = handler.__name__
        if name not in {"get", "put", "delete"}:
            assert name.replace("_", "") == OPERATIONS[route].lower()


# --- over HTTP


@pytest.fixture
def control() -> Iterator[s3func.testing.Server]:
    """A server whose faults and journal can be had over HTTP."""
    with s3func.testing.server(control=True) as server:
        yield server


def ask(server: s3func.testing.Server, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """A request without a signature, and the document in its answer."""
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.endpoint_url + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error) if error.headers["content-type"] == "application/json" else error.read()


def test_faults_over_http(control: s3func.testing.Server) -> None:
    """A fault is added, counted, shown and removed from outside, with the arguments that it has in Python."""
    session = control.session("bkt", retries=1)
    fault = {"operation": "GetObject", "key": "a*", "times": 1, "status": 503, "code": "SlowDown"}
    assert (201, {"id": 1, **fault, "matched": 0, "fired": 0}) == ask(control, "POST", "/-/faults", fault)
    with pytest.raises(s3func.errors.Throttled):
        session.get_object("a")
    with pytest.raises(NoSuchKey):
        session.get_object("a")
    assert (200, {"faults": [{"id": 1, **fault, "matched": 2, "fired": 1}]}) == ask(control, "GET", "/-/faults")
    assert 201 == ask(control, "POST", "/-/faults", {"reset": "before", "headers": None})[0]
    assert (200, 2) == (ask(control, "DELETE", "/-/faults/2")[0], control.faults.find(1).matched)  # type: ignore[union-attr]
    assert 404 == ask(control, "DELETE", "/-/faults/2")[0]
    assert (200, {"faults": []}) == ask(control, "DELETE", "/-/faults")
    assert 0 == len(control.faults)


def test_the_journal_over_http(control: s3func.testing.Server) -> None:
    """Entries come as JSON, filtered by patterns, and without the requests for them."""
    session = control.session("bkt")
    session.put_object("a", b"123")
    with pytest.raises(NotFound):
        session.head_object("ö")
    status, document = ask(control, "GET", "/-/journal?operation=*Object&key=%C3%B6")
    assert (200, ["HeadObject"], "NoSuchKey") == (
        status,
        [entry["operation"] for entry in document["entries"]],
        document["entries"][0]["code"],
    )
    assert ["CreateBucket", "PutObject", "HeadObject"] == control.journal.operations()
    assert (200, {"entries": []}) == ask(control, "DELETE", "/-/journal")
    assert 0 == len(control.journal)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/-/faults", b"{", 400, ""),
        ("POST", "/-/faults", b"[" * 60_000, 400, "JSON object"),
        ("POST", "/-/faults", [], 400, "JSON object"),
        ("POST", "/-/faults", {"statsu": 503}, 400, "statsu"),
        ("POST", "/-/faults", {"self": 503}, 400, "self"),
        ("POST", "/-/faults", {"operation": "PutObjcet", "status": 503}, 400, "PutObjcet"),
        ("POST", "/-/faults", {"times": "2", "status": 503}, 400, "times"),
        ("POST", "/-/faults", b" " * 100_000, 400, "too long"),
        ("PUT", "/-/faults", {}, 405, "POST"),
        ("GET", "/-/faults/1", None, 405, "DELETE"),
        ("DELETE", "/-/faults/x", None, 404, "no fault"),
        ("POST", "/-/journal", {}, 405, "GET"),
        ("GET", "/-/journal?keys=a", None, 400, "keys"),
        ("GET", "/-/journal?key=%ff", None, 400, ""),
        ("GET", "/-/", None, 404, "/-/faults"),
        ("GET", "/-/journal/1", None, 404, "/-/faults"),
    ],
)
def test_wrong_controls_are_refused(
    control: s3func.testing.Server, method: str, path: str, body: Any, status: int, said: str
) -> None:
    """What is no fault, no filter or no method is said in JSON, and nothing is changed by it."""
    found, document = ask(control, method, path, body)
    assert status == found
    assert said in document["error"]
    assert 0 == len(control.faults)


def test_strangers_have_no_control(control: s3func.testing.Server) -> None:
    """Another machine, another name for this one and a page in a browser are refused."""
    app = control.app
    host = {"host": "localhost:1"}
    for peer, headers, allowed in (
        ("127.0.0.1", host, True),
        ("::1", host, True),
        ("127.1.2.3", {"host": "127.0.0.1:80"}, True),
        ("127.0.0.1", {"host": "[::1]:80"}, True),
        ("", host, False),
        ("192.168.1.7", host, False),
        ("127.0.0.1", {"host": "attacker.example:80"}, False),
        ("127.0.0.1", {"host": "localhost.attacker.example"}, False),
        ("127.0.0.1", {}, False),
        ("127.0.0.1", host | {"origin": "http://localhost:1"}, False),
        ("127.0.0.1", host | {"origin": "null"}, False),
    ):
        for path in ("/-/faults", "/-/journal"):
            answer = app(Request("GET", "http://localhost", path, "", dict(headers), peer=peer))
            assert (200 if allowed else 403) == answer.status, (peer, headers)


def test_control_exists_only_where_it_was_asked_for(server: s3func.testing.Server) -> None:
    """Without control the paths are those of a bucket that cannot be; with it no key of a bucket is hidden by them."""
    for method in ("GET", "DELETE", "POST"):
        status, document = ask(server, method, "/-/faults", b"{}" if method == "POST" else None)
        assert 400 == status
        assert b"InvalidBucketName" in document
    with s3func.testing.server(control=True) as control:
        session = control.session("bkt")
        session.put_object("-/faults", b"by path")
        assert b"by path" == session.get_object("-/faults").data
        headers = sign(
            "GET",
            "/-/faults",
            host="bkt.localhost",
            key_id=control.access_key_id,
            secret=control.secret_access_key,
        )
        by_host = control.app(Request("GET", "http://bkt.localhost", "/-/faults", "", headers, peer="127.0.0.1"))
        assert b"by path" == by_host.read()
        mounted = Request("GET", "http://localhost", "/s3/-/journal", "", {"host": "localhost"}, peer="127.0.0.1")
        assert 200 == control.app.handle(mounted, mount="/s3").status
