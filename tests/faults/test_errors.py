from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import S3FuncError
from s3func.s3.credentials import Credentials
from tests.faults.conftest import KEY_ID, SECRET, Connect, Serve
from tests.faults.scripted import Exchange, Step, answer, error_document, refusal, then_close, then_reset

TOKEN = "a-token-that-nobody-may-see"
FAILURES: dict[str, Step] = {
    "refused": refusal(403, "AccessDenied"),
    "500": refusal(500, "InternalError"),
    "lost": then_reset(),
    "no HTTP": then_close(b"nonsense\r\n\r\n"),
    "200 with an error": answer(200, error_document("InternalError")),
    "HTML": answer(200, b"<html></html>"),
}
VERBS: dict[str, Callable[[S3Session], Any]] = {
    "copy_object": lambda session: session.copy_object("a", "key ü/1"),
    "list_objects": lambda session: list(session.list_objects("prefix")),
}


@pytest.mark.parametrize("step", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("verb", VERBS)
def test_an_error_says_what_it_is_about(serve: Serve, connect: Connect, step: Step, verb: str) -> None:
    """Whatever went wrong, the error names the bucket and, where there is one, the key."""
    with pytest.raises(S3FuncError) as caught:
        VERBS[verb](connect(serve(always=step), retries=2))
    assert ("bucket", "key ü/1" if verb == "copy_object" else None) == (caught.value.bucket, caught.value.key)


def test_no_connection_is_about_something_too(connect: Connect, serve: Serve) -> None:
    """An error before anything was sent names bucket and key as well."""
    server = serve()
    server.close()
    with pytest.raises(S3FuncError) as caught:
        connect(server, retries=1).get_object("key", bucket="other")
    assert ("other", "key") == (caught.value.bucket, caught.value.key)


# --- the log


def test_every_failed_attempt_is_one_line(serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Each attempt that failed, the last one as well, is one debug line: method, path, attempt, what it was, the wait."""
    caplog.set_level(logging.DEBUG, "s3func")
    session = connect(
        serve(refusal(503, "SlowDown", retry_after="2", connection="close"), then_reset(), refusal(404, "NoSuchKey"))
    )
    with pytest.raises(S3FuncError):
        session.get_object("key", version_id="v1")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("s3func")]
    assert 3 == len(lines), lines
    assert all(line.startswith("GET http://127.0.0.1:") and "/bucket/key: attempt" in line for line in lines), lines
    assert "attempt 1: Throttled: 503 SlowDown" in lines[0]
    assert "again in 2.000 s" in lines[0]
    assert "attempt 2: ConnectionLost" in lines[1]
    assert "attempt 3: NoSuchKey: 404 NoSuchKey" in lines[2]
    assert lines[2].endswith("; final")
    assert {logging.DEBUG} == {record.levelno for record in caplog.records if record.name.startswith("s3func")}


def test_success_says_nothing_of_failure(serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """A call that succeeds at once leaves no line about an attempt that failed."""
    caplog.set_level(logging.DEBUG)
    connect(serve(answer())).put_object("key", b"body")
    lines = [record.getMessage() for record in caplog.records if "attempt" in record.getMessage()]
    assert ["attempt 1: 200"] == [line[line.index("attempt") :].partition(" in ")[0] for line in lines]


def test_a_forged_line_stays_one_line(serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """What a store says cannot begin a line of its own in the log."""
    caplog.set_level(logging.DEBUG, "s3func")
    forged = "no\r\nroot: CRITICAL: all is lost\x1b[2J"
    with pytest.raises(S3FuncError):
        connect(serve(refusal(403, "AccessDenied", forged))).get_object("key")
    lines = [record.getMessage() for record in caplog.records]
    assert ["all is lost" in line and line.isprintable() for line in lines] == [True]


def everything(session: S3Session) -> None:
    """Calls of every kind, most of which fail."""
    calls: list[Callable[[], Any]] = [
        lambda: session.put_object("key", b"the content"),
        lambda: session.get_object("key", version_id="v1").data,
        lambda: session.head_object("key"),
        lambda: list(session.list_objects("prefix")),
        lambda: session.delete_objects(["key"]),
        lambda: session.request("GET", "key", query={"response-content-type": "text/secret"}),
        lambda: session.presigned_url("GET", "key"),
    ]
    for call in calls:
        try:
            call()
        except S3FuncError:
            continue


def test_no_secret_is_logged(serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger at DEBUG no record shows a secret, a token, a signature, a header or a query."""
    caplog.set_level(logging.DEBUG)

    signatures = {"Signature="}

    def repeat(exchange: Exchange) -> None:
        exchange.read_body()
        signature = exchange.headers["authorization"].rpartition("Signature=")[2]
        signatures.add(signature)
        exchange.send(refusal(503, "SlowDown", f"{signature} {TOKEN}", StringToSign=signature))

    credentials = Credentials(KEY_ID, SECRET, TOKEN)
    for step in (*FAILURES.values(), repeat):
        everything(connect(serve(always=step), credentials=lambda: credentials, retries=2))
    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "/bucket/key" in text
    for secret in (SECRET, TOKEN, "authorization", "x-amz-", "the content", "versionId", "prefix", *signatures):
        assert secret not in text, secret


def test_nobody_who_logs_pays_nothing(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody has imported logging, a failed attempt does not import it either."""
    monkeypatch.delitem(sys.modules, "logging")
    connect(serve(refusal(503, "SlowDown"), answer())).get_object("key")
    assert "logging" not in sys.modules
