"""B2 uploads over real sockets that break, stall and refuse: the next attempt goes to another URL."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from s3func import B2Session
from s3func.b2 import auth
from s3func.errors import AccessDenied, TruncatedBody
from s3func.transport.transfer import TransferConfig
from tests.faults.scripted import Exchange, Scripted, Step, answer, then_close, then_reset, then_stall

BODY = bytes(range(256)) * 64


class Service:
    """The steps of a B2 service that knows one bucket; uploads go as the test says."""

    def __init__(self, *uploads: Step) -> None:
        self.uploads = list(uploads)
        self.asked: list[str] = []
        self.urls = 0
        self.port = 0

    def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        body = exchange.read_body() if "/upload/" not in exchange.target else b""
        name = exchange.target.rpartition("/")[2]
        self.asked.append(exchange.target if "/upload/" in exchange.target else name)
        if "/upload/" in exchange.target:
            step = self.uploads.pop(0)
            if callable(step):
                step(exchange)
            else:
                exchange.read_body()
                exchange.send(step)
            return
        exchange.send(answer(200, json.dumps(self._document(name, json.loads(body or b"{}"))).encode()))

    def _document(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}"
        if name == "b2_authorize_account":
            storage = {"apiUrl": url, "downloadUrl": url, "allowed": {"buckets": None, "capabilities": ["writeFiles"]}}
            return {"accountId": "a", "authorizationToken": "t", "apiInfo": {"storageApi": storage}}
        if name == "b2_list_buckets":
            return {"buckets": [{"bucketId": "b", "bucketName": "bucket", "bucketType": "allPrivate"}]}
        assert name == "b2_get_upload_url"
        self.urls += 1
        return {"bucketId": "b", "uploadUrl": f"{url}/upload/{self.urls}", "authorizationToken": f"u{self.urls}"}


def stored(exchange: Exchange) -> None:
    """The answer to an upload that arrived whole."""
    body = exchange.read_body()
    if exchange.headers["x-bz-content-sha1"] == "hex_digits_at_end":
        body, digest = body[:-40], body[-40:].decode()
        assert hashlib.sha1(body).hexdigest() == digest
    file = {
        "fileName": "key",
        "fileId": "f",
        "action": "upload",
        "contentLength": len(body),
        "contentSha1": hashlib.sha1(body).hexdigest(),
    }
    exchange.send(answer(200, json.dumps(file).encode()))


def early_reset(exchange: Exchange) -> None:
    """Break off in the middle of the body."""
    exchange.read_body(1000)
    exchange.reset()


def error(status: int, code: str) -> bytes:
    """An error document of B2."""
    return answer(status, json.dumps({"status": status, "code": code, "message": "no"}).encode())


FAULTS: dict[str, Step] = {
    "reset before the answer": then_reset(),
    "reset in the middle of the body": early_reset,
    "closed without an answer": then_close(),
    "closed in the middle of the head": then_close(b"HTTP/1.1 200 OK\r\n"),
    "closed in the middle of the answer": then_close(answer(200, b"x", content_length="500")),
    "stalled": then_stall(),
    "503": error(503, "service_unavailable"),
    "500": error(500, "internal_error"),
    "408": error(408, "request_timeout"),
    "401": error(401, "expired_auth_token"),
    "a page of a proxy": answer(502, b"<html>bad gateway</html>"),
    "HTML with 200": answer(200, b"<html>welcome to this hotel</html>"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_an_upload_survives(fault: Step, kind: str, tmp_path: Any) -> None:
    """Twice something goes wrong: the third URL gets the whole body from its beginning, and each URL is asked once."""
    service = Service(fault, fault, stored)
    path = tmp_path / "body"
    path.write_bytes(BODY)
    with Scripted(always=service) as server:
        service.port = server.port
        # Short where the test waits for it, long where a busy machine might take as long.
        seconds = 1.5 if fault is FAULTS["stalled"] else 30.0
        with B2Session("id", "secret", "bucket", realm=server.url, read_timeout=seconds) as session:
            result = session.put_object("key", BODY if kind == "bytes" else path)
    assert hashlib.sha1(BODY).hexdigest() == result.etag
    assert ["/upload/1", "/upload/2", "/upload/3"] == [target for target in service.asked if "/upload/" in target]
    assert 1 == service.asked.count("b2_authorize_account")


def test_a_long_body_that_is_read_once(tmp_path: Any) -> None:
    """A file in one call carries its SHA-1 behind it, and is sent again from its beginning."""
    service = Service(early_reset, stored)
    path = tmp_path / "body"
    path.write_bytes(BODY * 200)
    with Scripted(always=service) as server:
        service.port = server.port
        with B2Session("id", "secret", "bucket", realm=server.url) as session:
            result = session.put_object("key", path, multipart=False, transfer=TransferConfig())
    assert len(BODY) * 200 == result.size


def test_a_cap_is_one_call() -> None:
    """A refusal that no retry can mend is asked for once, also over a socket."""
    service = Service(error(403, "storage_cap_exceeded"))
    with Scripted(always=service) as server:
        service.port = server.port
        with (
            B2Session("id", "secret", "bucket", realm=server.url) as session,
            pytest.raises(AccessDenied, match="caps"),
        ):
            session.put_object("key", BODY)
    assert 1 == len([target for target in service.asked if "/upload/" in target])


def test_sessions_share_token_and_urls() -> None:
    """A second session of the same key costs neither an authorization nor an upload URL."""
    service = Service(stored, stored)
    with Scripted(always=service) as server:
        service.port = server.port
        for _ in range(2):
            with B2Session("id", "secret", "bucket", realm=server.url) as session:
                session.put_object("key", BODY)
    assert ["b2_authorize_account", "b2_list_buckets", "b2_get_upload_url", "/upload/1", "/upload/1"] == service.asked
    assert auth.account_of(session._realm, "id", "secret") is session._account


def test_a_download_that_breaks_goes_on_where_it_broke() -> None:
    """A body that ends early is asked for again by the file's id, from the byte where it broke, and is compared."""
    content = BODY * 16
    sha1 = hashlib.sha1(content).hexdigest()
    asked: list[tuple[str, str | None]] = []

    def step(exchange: Exchange) -> None:
        if exchange.target.endswith("b2_authorize_account"):
            url = f"http://127.0.0.1:{server.port}"
            storage = {"apiUrl": url, "downloadUrl": url, "allowed": {"buckets": None, "capabilities": []}}
            document = {"accountId": "a", "authorizationToken": "t", "apiInfo": {"storageApi": storage}}
            exchange.send(answer(200, json.dumps(document).encode()))
            return
        wanted = exchange.headers.get("range")
        asked.append((exchange.target, wanted))
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        rest = content[start:]
        fields = {"x_bz_file_id": "f", "x_bz_content_sha1": sha1, "x_bz_file_name": "key"}
        if wanted:
            fields["content_range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        data = answer(206 if wanted else 200, rest, **fields)
        if len(asked) < 3:
            exchange.send(data[: len(data) - len(rest) // 2])
            exchange.close()
        else:
            exchange.send(data)

    with (
        Scripted(always=step) as server,
        B2Session("id", "secret", "bucket", realm=server.url) as session,
    ):
        got = session.get_object("key")
        assert content == got.read()
        assert ("sha1", 3) == (got.checksum and got.checksum[0], len(asked))
        assert ["/file/bucket/key"] + ["/b2api/v4/b2_download_file_by_id?fileId=f"] * 2 == [row[0] for row in asked]
        asked.clear()
        with (
            B2Session("id", "secret", "bucket", realm=server.url, retries=1) as impatient,
            pytest.raises(TruncatedBody),
        ):
            impatient.get_object("key").read()
