"""Transports between an upload and its store: one that counts and fails on demand, one that throws away what it gets."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import pytest

import s3func.server.handlers.multipart
from s3func import S3Session
from s3func.message import Request, Response, Transport
from s3func.server import MemoryBackend, S3App
from s3func.transport.transfer import TransferConfig
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, FrozenClock

Fault = Callable[[Request, int], "Response | BaseException | None"]
SMALL = TransferConfig(multipart_threshold=1000, part_size=100, concurrency=10)
"""Parts so small that a test can have many of them."""


def kind_of(request: Request) -> str:
    """Which operation a request is."""
    parameters = dict(pair.partition("=")[::2] for pair in request.query.split("&"))
    names = parameters.keys()
    if request.method == "POST":
        return "create" if "uploads" in names else "complete"
    if "partNumber" in names:
        return f"part {parameters['partNumber']}"
    if "uploadId" in names:
        return "abort" if request.method == "DELETE" else "list parts"
    if "uploads" in names:
        return "list uploads"
    return {"PUT": "put", "HEAD": "head", "GET": "get", "DELETE": "delete"}[request.method]


class Watch:
    """A Transport in front of another: what came by, how many bodies were under way at a time, and faults on demand.

    A fault is asked before a request is passed on (and after it, when it is one of `after`), with the number of requests
    of its kind so far; what it returns takes the place of the answer, what it raises is raised.
    """

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.kinds: list[str] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.before: Fault | None = None
        self.after: Fault | None = None
        self.most_bodies = 0
        self.most_bytes = 0
        self._bodies: list[int] = []
        self._lock = Lock()

    def __call__(self, request: Request) -> Response:
        kind = kind_of(request)
        length = len(request.body) if isinstance(request.body, bytes) else request.body.length  # type: ignore[union-attr]
        with self._lock:
            self.kinds.append(kind)
            self.requests.append((kind, dict(request.headers)))
            count = self.kinds.count(kind)
            if request.method == "PUT":
                self._bodies.append(length)
                self.most_bodies = max(self.most_bodies, len(self._bodies))
                self.most_bytes = max(self.most_bytes, sum(self._bodies))
        try:
            instead = None if self.before is None else self.before(request, count)
            if instead is None:
                response = self.inner(request)
                instead = None if self.after is None else self.after(request, count)
                if instead is None:
                    return response
                response.close()
            if isinstance(instead, BaseException):
                raise instead
            return instead
        finally:
            with self._lock:
                if request.method == "PUT":
                    self._bodies.remove(length)

    def close(self) -> None:
        """Nothing is held."""

    def headers_of(self, kind: str) -> list[dict[str, str]]:
        """The headers of all requests of a kind; "part" means every part."""
        return [headers for name, headers in self.requests if name == kind or name.partition(" ")[0] == kind]

    def numbers(self) -> list[int]:
        """The parts that were sent, sorted."""
        return sorted(int(kind.partition(" ")[2]) for kind in self.kinds if kind.startswith("part "))

    def clear(self) -> None:
        """Forget what came by, and fail no more."""
        self.kinds.clear()
        self.requests.clear()
        self.before = self.after = None
        self.most_bodies = self.most_bytes = 0


@contextmanager
def parts_of_any_size() -> Iterator[None]:
    """Let the embedded server take parts below 5 MiB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3func.server.handlers.multipart, "PART_BYTES_MIN", 1)
        yield


@contextmanager
def watched(**options: Any) -> Iterator[tuple[S3Session, Watch]]:
    """A session on a new in-process server that takes parts of any size, and what stands between the two."""
    clock = FrozenClock()
    app = S3App(MemoryBackend(clock=clock), access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET, clock=clock)
    watch = Watch(app)
    settings: dict[str, Any] = {"transfer": SMALL, "transport": watch, "clock": clock, **options}
    with parts_of_any_size(), S3Session(ACCESS_KEY_ID, SECRET, "bucket", **settings) as session:
        session.create_bucket()
        watch.clear()
        yield session, watch
    app.close()


class Bin:
    """A store that checks the checksum of every part and keeps nothing: for what must not be counted as memory."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.whole = ""

    def __call__(self, request: Request) -> Response:
        kind = kind_of(request)
        if kind == "create":
            body = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            headers = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
            return Response(200, headers, body.encode())
        if kind == "complete":
            self.whole = request.headers["x-amz-checksum-crc32"]
            body = "<CompleteMultipartUploadResult><ETag>&quot;e&quot;</ETag></CompleteMultipartUploadResult>"
            return Response(200, {}, body.encode())
        if kind == "abort":
            return Response(204, {})
        size = value = 0
        blocks = [request.body] if isinstance(request.body, bytes) else request.body.blocks()  # type: ignore[union-attr]
        for block in blocks:
            size += len(block)
            value = zlib.crc32(block, value)
        digest = b64encode(value.to_bytes(4, "big")).decode()
        assert digest == request.headers["x-amz-checksum-crc32"]
        if kind.startswith("part"):
            self.sizes[int(kind.partition(" ")[2])] = size
        return Response(200, {"etag": '"e"', "x-amz-checksum-crc32": digest})

    def close(self) -> None:
        """Nothing is held."""


def binned(bin_: Transport, **options: Any) -> S3Session:
    """A session whose objects are thrown away."""
    settings: dict[str, Any] = {"transfer": SMALL, "transport": bin_, "clock": FrozenClock(), **options}
    return S3Session(ACCESS_KEY_ID, SECRET, "bucket", **settings)
