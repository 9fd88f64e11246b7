"""Who is measured against B2's API, each by the calls that its own documentation recommends.

Rule 1: peers are imported where they are used: a process has exactly one of them in memory.
Rule 2: what each computes is what it computes by default. b2sdk and s3func both take the SHA-1 of the whole file before
        a large upload (it can only be said when the file is begun), that of every part, and compare what comes down.
"""

from __future__ import annotations

import http.client
import importlib
import io
import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.b2_documents import BUCKET_ID, TOKEN
from benchmarks.contenders import WrongAnswer
from benchmarks.sink import BUCKET
from benchmarks.transfer_clients import UPLOAD_KEY, RawSockets, Task

KEY_ID = "0014aa9865d6f000000000001"
APPLICATION_KEY = "K001ExampleOfAnApplicationKey00"
_JSON = {"Content-Type": "application/json", "Authorization": TOKEN}


@dataclass(frozen=True, slots=True)
class Where:
    """The store, and how many calls or parts are under way at a time; 0 leaves it to the client."""

    port: int
    connections: int = 0
    part_size: int = 0

    @property
    def realm(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Client(Protocol):
    """One client, with its token and its bucket, before the clock starts."""

    def put(self, key: str, body: bytes) -> str:
        """Store a small file; its SHA-1."""

    def get(self, key: str) -> int:
        """Fetch a small file whole and compare it; how many bytes came."""

    def list_page(self, prefix: str) -> tuple[int, int]:
        """Rows under the prefix and the sum of their sizes; every row's name, size and SHA-1 are looked at."""

    def upload(self, task: Task) -> None:
        """The file at the task's path becomes the file UPLOAD_KEY."""

    def download(self, task: Task) -> None:
        """The stored file becomes the file at the task's path."""

    def close(self) -> None:
        """Let go of the connections."""


class S3Func:
    """`B2Session`."""

    def __init__(self, where: Where, variant: str) -> None:
        from s3func import B2Session
        from s3func.transport.transfer import TransferConfig

        options: dict[str, Any] = {"large_file_sha1": False} if variant == "parts only" else {}
        if where.connections:
            options["transfer"] = TransferConfig(part_size=where.part_size or None, concurrency=where.connections)
            options["max_connections"] = max(10, where.connections)
        self._session: Any = B2Session(KEY_ID, APPLICATION_KEY, BUCKET, realm=where.realm, **options)
        self._session.get_bucket(BUCKET)

    def put(self, key: str, body: bytes) -> str:
        return self._session.put_object(key, body).content_sha1 or ""

    def get(self, key: str) -> int:
        return len(self._session.get_object(key).data)

    def list_page(self, prefix: str) -> tuple[int, int]:
        rows = total = 0
        for entry in self._session.list_objects(prefix=prefix):
            rows += 1
            total += entry.size if entry.key and entry.etag else 0
        return rows, total

    def upload(self, task: Task) -> None:
        self._session.upload_file(task.path, UPLOAD_KEY)

    def download(self, task: Task) -> None:
        self._session.download_file(task.download_key, task.path)

    def close(self) -> None:
        self._session.close()


class B2Sdk:
    """`B2Api` and a `Bucket`, the account's data in memory."""

    def __init__(self, where: Where, variant: str) -> None:
        b2sdk: Any = importlib.import_module("b2sdk.v3")
        self._b2sdk = b2sdk
        workers = {"max_upload_workers": where.connections, "max_download_workers": where.connections}
        self._part_size = where.part_size or None
        self._api = b2sdk.B2Api(b2sdk.InMemoryAccountInfo(), **(workers if where.connections else {}))
        self._api.authorize_account(KEY_ID, APPLICATION_KEY, realm=where.realm)
        self._bucket = self._api.get_bucket_by_name(BUCKET)

    def put(self, key: str, body: bytes) -> str:
        return str(self._bucket.upload_bytes(body, key).content_sha1)

    def get(self, key: str) -> int:
        target = io.BytesIO()
        self._bucket.download_file_by_name(key).save(target)
        return len(target.getvalue())

    def list_page(self, prefix: str) -> tuple[int, int]:
        rows = total = 0
        for file, _ in self._bucket.ls(prefix, recursive=True, fetch_count=1000):
            rows += 1
            total += file.size if file.file_name and file.content_sha1 else 0
        return rows, total

    def upload(self, task: Task) -> None:
        if not self._part_size:
            self._bucket.upload_local_file(task.path, UPLOAD_KEY)
            return
        # What upload_local_file does; it has no argument for a part size itself.
        source = self._b2sdk.WriteIntent(self._b2sdk.UploadSourceLocalFile(task.path))
        self._bucket.create_file([source], UPLOAD_KEY, recommended_upload_part_size=self._part_size)

    def download(self, task: Task) -> None:
        self._bucket.download_file_by_name(task.download_key).save_to(task.path)

    def close(self) -> None:
        """It keeps no connections that could be closed."""


class Sockets(RawSockets):
    """Prepared requests on one kept-alive socket per thread, nothing computed or compared: the floor."""

    def __init__(self, where: Where, variant: str) -> None:
        self._where = where
        self._host = f"127.0.0.1:{where.port}"
        self._prepared: dict[str, bytes] = {}
        task = Task(where.port, 0, "", where.connections or 1, where.part_size)
        super().__init__(task, variant)

    def put(self, key: str, body: bytes) -> str:
        request = self._prepared.get(f"put {key}")
        if request is None:
            import hashlib

            digest = hashlib.sha1(body, usedforsecurity=False).hexdigest()
            head = (
                f"POST /upload/small HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: {TOKEN}\r\nX-Bz-File-Name: {key}\r\n"
                f"X-Bz-Content-Sha1: {digest}\r\nContent-Type: b2/x-auto\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            request = self._prepared[f"put {key}"] = head.encode() + body
        answer = self._exchange(request)
        start = answer.index(b'"contentSha1":"') + 15
        return answer[start : start + 40].decode()

    def get(self, key: str) -> int:
        request = self._prepared.get(f"get {key}")
        if request is None:
            head = f"GET /file/{BUCKET}/{key} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: {TOKEN}\r\n\r\n"
            request = self._prepared[f"get {key}"] = head.encode()
        return len(self._exchange(request).partition(b"\r\n\r\n")[2])

    def _exchange(self, request: bytes) -> bytes:
        sock = self._sockets.pop()
        try:
            sock.sendall(request)
            answer = sock.recv(65536)
            head, _, rest = answer.partition(b"\r\n\r\n")
            start = head.index(b"Content-Length: ") + 16
            length = int(head[start:].partition(b"\r\n")[0])
            while len(rest) < length:
                rest += sock.recv(65536)
        finally:
            self._sockets.append(sock)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise WrongAnswer(answer[:200].decode("latin-1"))
        return head + b"\r\n\r\n" + rest

    def list_page(self, prefix: str) -> tuple[int, int]:
        raise NotImplementedError

    def _call(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._where.port, timeout=60)
        try:
            connection.request("POST", f"/b2api/v4/{name}", json.dumps(fields), _JSON)
            answer = connection.getresponse()
            document: dict[str, Any] = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{name}: {document}")
        return document

    def upload(self, task: Task) -> None:
        started = self._call("b2_start_large_file", {"bucketId": BUCKET_ID, "fileName": UPLOAD_KEY})
        identity = started["fileId"]
        url = self._call("b2_get_upload_part_url", {"fileId": identity})
        place, token = url["uploadUrl"].partition(self._host)[2], url["authorizationToken"]
        source = os.open(task.path, os.O_RDONLY)
        digest = "0" * 40
        numbers: list[int] = []

        def move(sock: socket.socket, number: int, start: int, end: int) -> None:
            head = (
                f"POST {place} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: {token}\r\nX-Bz-Part-Number: {number}\r\n"
                f"X-Bz-Content-Sha1: {digest}\r\nContent-Length: {end - start}\r\n\r\n"
            )
            sock.sendall(head.encode())
            while start < end:
                start += os.sendfile(sock.fileno(), source, start, end - start)
            if b" 200 " not in sock.recv(65536)[:20]:
                raise RuntimeError("the raw part was refused")
            numbers.append(number)

        try:
            self._in_threads(task, move)
        finally:
            os.close(source)
        self._call("b2_finish_large_file", {"fileId": identity, "partSha1Array": [digest] * len(numbers)})

    def _range_request(self, key: str, start: int, end: int) -> bytes:
        head = (
            f"GET /file/{BUCKET}/{key} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: {TOKEN}\r\n"
            f"Range: bytes={start}-{end - 1}\r\n\r\n"
        )
        return head.encode()


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the tables."""

    name: str
    make: Callable[[Where, str], Client]
    variant: str = ""
    given_connections: bool = False
    given_parts: bool = False
    calls: bool = True
    lists: bool = True
    downloads: bool = True
    note: str = ""


ROSTER: tuple[Entry, ...] = (
    Entry("s3func", S3Func, note="SHA-1 of the whole and of every part; the whole compared after the download"),
    Entry(
        "s3func (large_file_sha1=False)", S3Func, "parts only", calls=False, downloads=False, note="SHA-1 of every part"
    ),
    Entry("raw sockets", Sockets, given_connections=True, given_parts=True, lists=False, note="nothing"),
    Entry("b2sdk", B2Sdk, note="SHA-1 of the whole and of every part; the whole compared after the download"),
    Entry("b2sdk, our connections", B2Sdk, given_connections=True, calls=False),
    Entry(
        "b2sdk, our connections and parts",
        B2Sdk,
        given_connections=True,
        given_parts=True,
        calls=False,
        downloads=False,
    ),
)
US, PEER = "s3func", "b2sdk"


def entry_named(name: str) -> Entry:
    for entry in ROSTER:
        if entry.name == name:
            return entry
    raise ValueError(f"no client is called {name!r}; there are: {'; '.join(entry.name for entry in ROSTER)}")
