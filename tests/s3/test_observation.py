"""Attempts as they are told: to a function, to the log, to a tracer; and that nobody pays for it who does not ask."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest

from s3func import B2Session, Credentials, S3Session, TransferConfig
from s3func.errors import ConnectionLost, CredentialsError, NoSuchKey, NotFound
from s3func.message import Request, Response
from s3func.server import MemoryBackend, S3App
from s3func.server.journal import Journal
from s3func.transport.observation import Attempt
from s3func.transport.transfer import MIB
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, TOKEN, FrozenClock, Recorder, recorded, success


class Rig:
    """A session on a new in-process server, the attempts that it tells of, and the server's own journal."""

    def __init__(self, **options: Any) -> None:
        self.attempts: list[Attempt] = []
        self.journal = Journal()
        self.app = S3App(MemoryBackend(), access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET, journal=self.journal)
        settings: dict[str, Any] = {"bucket": "bucket", "transport": self.app, "on_attempt": self.attempts.append}
        self.session = S3Session(ACCESS_KEY_ID, SECRET, **(settings | options))
        self.session.create_bucket()


@pytest.fixture
def rig() -> Iterator[Rig]:
    one = Rig()
    yield one
    one.session.close()


def test_every_attempt_is_told_with_the_name_of_its_operation(rig: Rig) -> None:
    """Operation, method, bucket, key and status of each attempt are those that the server's journal has."""
    session = rig.session
    session.put_object("a//b", b"body", metadata={"a": "b"})
    session.get_object("a//b", stream=False)
    session.head_object("a//b")
    session.copy_object("a//b", "copy")
    list(session.list_objects())
    list(session.list_object_versions())
    session.list_buckets()
    session.head_bucket()
    session.put_object("large", bytes(12 * MIB), transfer=TransferConfig(multipart_threshold=1, part_size=6 * MIB))
    list(session.list_multipart_uploads())
    for setting in ("tagging", "cors", "lifecycle", "versioning", "acl", "policy", "location", "object-lock"):
        # A setting that is not set is an answer, too.
        with suppress(NotFound):
            session.request("GET", query={setting: None})
    for setting in ("tagging", "acl"):
        session.request("GET", "a//b", query={setting: None})
    session.delete_objects(["a//b"])
    session.delete_object("copy")
    told = sorted((one.operation, one.method, one.bucket or "", one.key or "", one.status) for one in rig.attempts)
    journal = sorted((row.operation, row.method, row.bucket, row.key, row.status) for row in rig.journal)
    assert journal == told
    assert {"PutObject", "UploadPart", "CompleteMultipartUpload", "ListBuckets", "DeleteObjects", "GetBucketCors"} <= {
        one.operation for one in rig.attempts
    }


def test_what_an_attempt_says() -> None:
    """Attempt number, sizes, the error's class and code, and the store's request id; never a query or a header."""
    answers = iter([Response(503, {"x-amz-request-id": "R0"}, b"<Error><Code>SlowDown</Code></Error>")])
    told: list[Attempt] = []
    recorder = Recorder(lambda request: next(answers, None) or success(request))
    with recorded(recorder, on_attempt=told.append, session_token=TOKEN) as session:
        session.put_object("a key", b"body")
    first, second = told
    assert ("PutObject", "PUT", "http://localhost/bucket/a%20key", "bucket", "a key") == first[:5]
    assert (1, 503, 4, "Throttled", "SlowDown", "R0") == (
        first.attempt,
        first.status,
        first.bytes_sent,
        first.error,
        first.code,
        first.request_id,
    )
    assert (2, 200, "", "", "R1") == (second.attempt, second.status, second.error, second.code, second.request_id)
    assert not any(secret in repr(told) for secret in (TOKEN, SECRET, "X-Amz", "Signature"))


def test_the_bytes_that_came() -> None:
    """A body counts as it came, one that streams as it was announced, and none where HEAD only tells of one."""
    told: list[Attempt] = []
    recorder = Recorder(lambda _: Response(200, {"etag": '"0"', "content-length": "7"}, b"12345"))
    with recorded(recorder, on_attempt=told.append) as session:
        session.get_object("key")
        session.head_object("key")
        recorder.answer = lambda _: Response(200, {"etag": '"0"', "content-length": "7"}, BytesIO(b"1234567"))
        session.get_object("key", stream=True).close()
    assert [5, 0, 7] == [one.bytes_received for one in told]


def test_an_attempt_without_an_answer() -> None:
    """A connection that breaks is an attempt of status 0; the clock of the session measures how long it took."""
    clock = FrozenClock()

    def answer(_: Request) -> Response:
        clock.time += 1.5
        raise ConnectionLost("it broke")

    told: list[Attempt] = []
    session = recorded(Recorder(answer), on_attempt=told.append, clock=clock, retries=2)
    with session, pytest.raises(ConnectionLost):
        session.get_object("key")
    assert [(1, 0, "ConnectionLost", 1.5), (2, 0, "ConnectionLost", 1.5)] == [
        (one.attempt, one.status, one.error, one.seconds) for one in told
    ]


def test_what_was_not_authorized_was_no_attempt() -> None:
    """Where nobody may sign, nothing is sent, so nothing is told; the error is the one that it is."""

    def nobody() -> Credentials:
        raise CredentialsError("nobody is here")

    told: list[Attempt] = []
    session = S3Session(bucket="bucket", credentials=nobody, transport=Recorder(), on_attempt=told.append)
    with session, pytest.raises(CredentialsError, match="nobody is here"):
        session.get_object("key")
    assert not told


def test_attempts_at_b2() -> None:
    """B2Session tells of its attempts under B2's own names, those that fetch a token or an upload URL as well."""
    told: list[Attempt] = []
    app = S3App(MemoryBackend(), access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET)
    with B2Session(ACCESS_KEY_ID, SECRET, "bucket", transport=app, on_attempt=told.append) as session:
        session.create_bucket()
        session.put_object("b2api/key", b"body")
        assert b"body" == session.get_object("b2api/key").data
        list(session.list_objects())
    assert [
        "b2_authorize_account",
        "b2_create_bucket",
        "b2_get_upload_url",
        "b2_upload_file",
        "b2_download_file_by_name",
        "b2_list_file_names",
    ] == [one.operation for one in told if one.operation != "b2_list_buckets"]
    assert {200} == {one.status for one in told}
    assert not any(SECRET in repr(one) for one in told)


def test_what_the_observer_raises_stays_with_him(caplog: pytest.LogCaptureFixture) -> None:
    """A put that worked has worked, whatever becomes of its being counted; the log has a word about it."""

    def broken(_: Attempt) -> None:
        raise ZeroDivisionError

    with recorded(Recorder(), on_attempt=broken) as session:
        assert 200 == session.put_object("key", b"body").status
    assert ["on_attempt raised ZeroDivisionError()"] == [record.getMessage() for record in caplog.records]


def test_a_line_for_every_attempt(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """With the logger s3func at DEBUG a session logs one line per attempt, without query, header or secret."""
    caplog.set_level(logging.DEBUG, "s3func")
    told: list[Attempt] = []
    session = S3Session(ACCESS_KEY_ID, SECRET, "bucket", transport=rig.app, on_attempt=told.append)
    session.put_object("key", b"body")
    with pytest.raises(NoSuchKey):
        session.get_object("missing", version_id=None, headers={"x-amz-meta-x": "header-secret"})
    session.presigned_url("GET", "key")
    lines = [record.getMessage() for record in caplog.records if record.name == "s3func"]
    assert 2 == len(lines) == len(told)
    assert lines[0].startswith("PUT http://localhost/bucket/key: attempt 1: 200 in ")
    assert "GET http://localhost/bucket/missing: attempt 1: NoSuchKey: 404 NoSuchKey" in lines[1]
    assert not any(word in "".join(lines) for word in (SECRET, "Signature", "header-secret", "?"))


def test_nobody_is_told_of_anything_that_he_did_not_ask_for(caplog: pytest.LogCaptureFixture) -> None:
    """Without an observer and without DEBUG the transport is the caller's own and nothing is imported or logged."""
    recorder = Recorder()
    with recorded(recorder) as session:
        assert recorder is session._client.transport
        session.put_object("key", b"")
    assert not caplog.records
