"""Requests made by hand: signed as they should be, or wrong in exactly one place."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple, Self

from s3func.message import Request, Response
from s3func.server import S3App
from s3func.wire import checksum, s3xml, sigv4
from s3func.wire.encoding import amz_date, encode_component, http_date

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"


def sign(
    method: str,
    path: str,
    query: str = "",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    host: str = "localhost",
    now: float | None = None,
    key_id: str = KEY_ID,
    secret: str = SECRET,
    region: str = REGION,
    service: str = "s3",
    payload_hash: str | None = None,
    unsigned: tuple[str, ...] = (),
    date_header: bool = False,
    day: str | None = None,
) -> dict[str, str]:
    """The headers of a signed request; every keyword is a way to get it wrong. `unsigned` are left out of the signature."""
    now = time.time() if now is None else now
    date = amz_date(now)
    payload_hash = sha256(body).hexdigest() if payload_hash is None else payload_hash
    fields = {"host": host, "x-amz-content-sha256": payload_hash, **(headers or {})}
    fields |= {"date": http_date(now)} if date_header else {"x-amz-date": date}
    names = sorted(name for name in fields if name not in unsigned)
    canonical = sigv4.canonical_request(
        method, path, sigv4.canonical_query(query), fields, names, fields["x-amz-content-sha256"]
    )
    day = day or date[:8]
    scope = sigv4.credential_scope(day, region, service)
    key = sigv4.signing_key(secret, day, region, service)
    signature = sigv4.signature(key, sigv4.string_to_sign(date, scope, canonical))
    fields["authorization"] = sigv4.authorization_header(key_id, scope, names, signature)
    return fields


def presign(
    method: str,
    path: str,
    query: str = "",
    *,
    host: str = "localhost",
    now: float | None = None,
    expires: int = 60,
    secret: str = SECRET,
    region: str = REGION,
    headers: Mapping[str, str] | None = None,
    date: str | None = None,
    payload_hash: str = sigv4.UNSIGNED_PAYLOAD,
) -> str:
    """The query of a presigned request, signature and all."""
    date = date or amz_date(time.time() if now is None else now)
    scope = sigv4.credential_scope(date[:8], region)
    fields = {"host": host, **(headers or {})}
    canonical_query = sigv4.presigned_query(
        query,
        access_key_id=KEY_ID,
        scope=scope,
        date=date,
        expires_seconds=expires,
        signed_headers=sorted(fields),
    )
    canonical = sigv4.canonical_request(method, path, canonical_query, fields, sorted(fields), payload_hash)
    key = sigv4.signing_key(secret, date[:8], region)
    return f"{canonical_query}&X-Amz-Signature={sigv4.signature(key, sigv4.string_to_sign(date, scope, canonical))}"


class Caller:
    """Signed calls of an app in this process."""

    def __init__(self, app: S3App) -> None:
        self.app = app

    def __call__(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        fields = sign(method, path, query, body, headers)
        return self.app(Request(method, "http://localhost", path, query, fields, body))

    def put(self, key: str, body: bytes = b"", **headers: str) -> Response:
        """PutObject into the bucket `bkt`; header names have "_" for "-"."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self("PUT", f"/bkt/{key}", body=body, headers=fields)
        assert response.status == 200, read(response)
        return response


def read(response: Response) -> bytes:
    """The whole body, and the end of it."""
    body = response.read()
    response.close()
    return body


def keys(caller: Caller) -> list[str]:
    """What the bucket `bkt` holds."""
    return [row.key for row in caller.app.backend.list_objects("bkt").rows]


def base64_of(algorithm: str, body: bytes) -> str:
    """A checksum as its header has it."""
    hasher = checksum.hasher(algorithm)
    hasher.update(body)
    return hasher.base64()


def code(response: Response) -> tuple[int, str]:
    """Status and error code of a refusal, which must be a proper error document with a message and a request id."""
    assert response.headers["content-type"] == "application/xml"
    document = s3xml.parse_error(read(response))
    assert document is not None
    assert document.message
    assert document.request_id == response.headers["x-amz-request-id"]
    return response.status, document.code


class Reply(NamedTuple):
    """What came back over a socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error code in the document, "" without one."""
        document = s3xml.parse_error(self.body)
        return "" if document is None else document.code

    @property
    def outcome(self) -> tuple[int, str]:
        """Status and error code."""
        return self.status, self.code


class Wire:
    """One connection, on which bytes are sent as they are written here."""

    def __init__(self, endpoint_url: str) -> None:
        self.host = endpoint_url.removeprefix("http://")
        name, _, port = self.host.rpartition(":")
        self.socket = socket.create_connection((name, int(port)), timeout=20)
        self._arrived = b""

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """A head and what follows it; nothing is added and nothing is checked."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def receive(self, method: str = "GET") -> Reply:
        """The next reply, which may be an interim one."""
        while b"\r\n\r\n" not in self._arrived:
            self._more()
        head, _, self._arrived = self._arrived.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
        while len(self._arrived) < size:
            self._more()
        body, self._arrived = self._arrived[:size], self._arrived[size:]
        return Reply(int(first.split()[1]), headers, body)

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server closed the connection")
        self._arrived += data

    def is_closed(self) -> bool:
        """Whether the server ends the connection without another byte."""
        try:
            return self._arrived == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()


def path_of(key: str) -> str:
    """The path of a key with everything escaped but letters and digits, "/" too: one of many legal forms."""
    return "/bkt/" + encode_component(key)
