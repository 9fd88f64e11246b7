"""Edges that were found by reading: each of these once did something else than its caller meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import DeleteFailed, ProtocolError, ServiceError
from s3func.message import Request, Response
from s3func.s3.credentials import Credentials
from s3func.server import S3App
from s3func.wire.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD, signing_key


class Recorder:
    """A transport that keeps requests and answers with 200."""

    def __init__(self, answer: Callable[[Request], Response] | None = None) -> None:
        self.requests: list[Request] = []
        self._answer = answer

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, {}) if self._answer is None else self._answer(request)

    def close(self) -> None:
        """Nothing is held."""


def session(transport: Any, **options: Any) -> S3Session:
    """A session on a bucket over the given transport."""
    return S3Session("id", "secret", "bucket", transport=transport, **options)


@pytest.mark.parametrize("wrong", [["bucket"], {"a": 1}, 7, b"bucket"])
def test_a_bucket_of_any_wrong_type_is_named(wrong: Any) -> None:
    """Also one that cannot be a dictionary's key."""
    transport = Recorder()
    with pytest.raises(TypeError, match="bucket must be a str"):
        session(transport).put_object("key", b"", bucket=wrong)
    assert [] == transport.requests


@pytest.mark.parametrize("wrong", [["crc32"], "md4", 5])
def test_a_checksum_of_any_wrong_kind_is_named(wrong: Any) -> None:
    """At the session and at the call, also when the caller brings a checksum header himself."""
    transport = Recorder()
    with pytest.raises(ValueError, match="checksum must be one of"):
        session(transport, checksum=wrong)
    with pytest.raises(ValueError, match="checksum must be one of"):
        session(transport).put_object("key", b"", checksum=wrong, headers={"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    assert [] == transport.requests


def test_a_header_about_checksums_is_no_checksum() -> None:
    """x-amz-checksum-algorithm alone protects nothing, so the usual checksum is sent beside it."""
    transport = Recorder()
    target = session(transport, endpoint_url="https://store.example")
    target.put_object("key", b"body", headers={"x-amz-checksum-algorithm": "CRC32"})
    sent = transport.requests[0].headers
    assert "x-amz-checksum-crc32" in sent
    assert UNSIGNED_PAYLOAD == sent["x-amz-content-sha256"]


def test_without_any_checksum_the_payload_is_signed_also_over_tls() -> None:
    """checksum="off" leaves SHA-256 as the only thing that binds the body."""
    transport = Recorder()
    session(transport, endpoint_url="https://store.example", checksum="off").put_object("key", b"")
    assert EMPTY_SHA256 == transport.requests[0].headers["x-amz-content-sha256"]


def test_a_named_pipe_is_a_body(tmp_path: Path) -> None:
    """A path without a length is read to its end first."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = os.urandom(300_000)
    writer = Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    with session(S3App(access_key_id="id", secret_access_key="secret")) as store:
        store.create_bucket()
        store.put_object("key", pipe)
        writer.join()
        assert content == store.get_object("key").data


def test_a_second_batch_that_fails_does_not_lose_the_first() -> None:
    """What was deleted and what was not is told although the store failed in between."""
    app = S3App(access_key_id="id", secret_access_key="secret")
    deletions = []

    def answer(request: Request) -> Response:
        if request.query == "delete=":
            deletions.append(request)
            if len(deletions) > 1:
                return Response(403, {}, b"<Error><Code>AccessDenied</Code><Message>no more</Message></Error>")
        return app(request)

    store = session(Recorder(answer))
    store.create_bucket()
    for number in range(1003):
        store.put_object(f"{number:04}", b"")
    with pytest.raises(DeleteFailed) as caught:
        store.delete_objects([f"{number:04}" for number in range(1003)])
    assert ["1000", "1001", "1002"] == [failure[0] for failure in caught.value.failures]
    assert {"AccessDenied"} == {failure[2] for failure in caught.value.failures}
    assert ["1000", "1001", "1002"] == [entry.key for entry in store.list_objects()]


def test_a_first_batch_that_fails_raises_the_stores_own_error() -> None:
    """Nothing is lost then, and AccessDenied says more than DeleteFailed."""
    refusal = Response(403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
    with pytest.raises(ServiceError, match="AccessDenied"):
        session(Recorder(lambda _request: refusal)).delete_objects(["a"])


def test_no_repr_shows_a_key_that_signs() -> None:
    """Neither the credentials nor what is derived from them is in the repr of anything that a traceback shows."""
    store = session(Recorder(), credentials=None)
    store.put_object("key", b"")
    authorizer = store._at(None)
    shown = repr([store, authorizer, vars(store), authorizer._stamp, Credentials("id", "secret", "token")])
    assert "secret'" not in shown.replace("secret_access_key='***'", "")
    key = signing_key("secret", authorizer._stamp.date[:8], "us-east-1")
    assert key.hex() not in shown
    assert repr(key) not in shown


@pytest.mark.parametrize(
    ("asked", "sent", "body"),
    [
        ({"range_start": 0, "range_end": 2}, "bytes 5-7/10", b"567"),
        ({"range_start": 0, "range_end": 2}, "bytes 0-3/10", b"0123"),
        ({"range_start": 2}, "bytes 0-9/10", b"0123456789"),
        ({"range_end": 3}, "bytes 0-2/10", b"012"),
        ({"range_end": 3}, "bytes 6-9/10", b"6789"),
        ({"range_start": 0, "range_end": 2}, "bytes 0-2/10", b"0123"),
        ({}, "bytes 0-2/10", b"012"),
    ],
)
def test_other_bytes_than_were_asked_for_are_refused(asked: dict[str, Any], sent: str, body: bytes) -> None:
    """A part that is not the one that was asked for would be taken for it."""
    headers = {"content-range": sent, "content-length": str(len(body))}
    store = session(Recorder(lambda _request: Response(206, headers, body)), retries=1)
    with pytest.raises(ProtocolError):
        store.get_object("key", **asked)


@pytest.mark.parametrize(
    ("asked", "sent", "body"),
    [
        ({"range_start": 0, "range_end": 20}, "bytes 0-2/3", b"012"),
        ({"range_start": 1}, "bytes 1-2/3", b"12"),
        ({"range_end": 2}, "bytes 1-2/3", b"12"),
        ({"range_end": 20}, "bytes 0-2/3", b"012"),
        ({"range_start": 1}, "bytes 1-2/*", b"12"),
    ],
)
@pytest.mark.parametrize("status", [200, 206])
def test_the_bytes_that_were_asked_for_are_taken(status: int, asked: dict[str, Any], sent: str, body: bytes) -> None:
    """As much as there is of a range, also from a store that calls it 200."""
    headers = {"content-range": sent, "content-length": str(len(body))}
    store = session(Recorder(lambda _request: Response(status, headers, body)))
    assert body == store.get_object("key", **asked).data


@pytest.mark.parametrize("call", ["put_object", "delete_object", "create_bucket", "delete_bucket"])
def test_a_page_of_html_is_no_success(call: str) -> None:
    """What a captive portal answers with 200 has stored and deleted nothing."""
    page = Response(200, {"content-type": "text/html"}, b"\n<!DOCTYPE html><html>please log in</html>")
    store = session(Recorder(lambda _request: page), retries=1)
    arguments = {"put_object": ("key", b""), "delete_object": ("key",)}.get(call, ())
    with pytest.raises(ProtocolError, match="HTML"):
        getattr(store, call)(*arguments)
