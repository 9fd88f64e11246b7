"""A store of one object, as a transport: it sends ranges, keeps count of what was read, and fails as it is told.

It checks no signature, so a test can change requests on their way, and has none of the server's code in it.
"""

from __future__ import annotations

import re
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from s3func import S3Session
from s3func.errors import ConnectionLost
from s3func.message import Request, Response
from tests.s3.rigs import FrozenClock


class Body:
    """A body that arrives in pieces, and may break after so many bytes."""

    def __init__(self, store: OneObject, data: bytes, breaks_after: int | None) -> None:
        self._store = store
        self._data = memoryview(data)
        self._left = len(data) if breaks_after is None else breaks_after

    def read(self, size: int = -1) -> bytes:
        """Up to so many bytes."""
        buffer = bytearray(len(self._data) if size < 0 else size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview) -> int:
        """A piece of what is left."""
        if not self._data:
            return 0
        count = min(len(buffer), len(self._data), self._store.piece, self._left)
        if not count:
            raise ConnectionLost("the connection broke, as it was told to")
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        self._left -= count
        self._store.count(count)
        return count

    def close(self) -> None:
        """Give up."""
        self._data = self._data[:0]


class OneObject:
    """A Transport. `ranges` has what was asked for, None for all of it; `moved` is how many bytes were read."""

    def __init__(self, data: bytes) -> None:
        self.piece = 300
        self.headers: dict[str, str] = {}
        self.has_etag = True
        self.sees_range = True
        self.sees_if_match = True
        self.has_length = True
        self.sees_checksum = True
        self.on_get: Callable[[Request], Response | None] = lambda request: None
        self.breaks_after: Callable[[Request], int | None] = lambda request: None
        self.ranges: list[tuple[int, int] | None] = []
        self.requests: list[Request] = []
        self.moved = 0
        self._lock = threading.RLock()
        self.put(data)

    def put(self, data: bytes) -> None:
        """Replace the object."""
        self.data = data
        self.etag = f'"{zlib.adler32(data):08x}"'
        self.crc32 = b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()

    def count(self, count: int) -> None:
        """So many bytes were read."""
        with self._lock:
            self.moved += count

    def forget(self) -> None:
        """Begin to count anew."""
        self.ranges, self.requests, self.moved = [], [], 0

    def __call__(self, request: Request) -> Response:
        with self._lock:
            self.requests.append(request)
            refusal = self.on_get(request)
            if refusal is not None:
                return refusal
            return self._answer(request)

    def _answer(self, request: Request) -> Response:
        data, size = self.data, len(self.data)
        wanted = request.headers.get("if-match")
        if self.sees_if_match and wanted is not None and wanted != self.etag:
            return Response(412, {})
        headers = {"etag": self.etag} if self.has_etag else {}
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if match is None or not self.sees_range:
            self.ranges.append(None)
            if self.sees_checksum:
                headers["x-amz-checksum-crc32"] = self.crc32
            status = 200
        else:
            first, last = int(match[1]), min(int(match[2] or size), size - 1)
            if first >= size:
                return Response(416, {})
            self.ranges.append((first, last + 1))
            headers["content-range"] = f"bytes {first}-{last}/{size}"
            data = data[first : last + 1]
            status = 206
        if self.has_length:
            headers["content-length"] = str(len(data))
        else:
            headers["transfer-encoding"] = "chunked"
        return Response(status, headers | self.headers, Body(self, data, self.breaks_after(request)))

    def close(self) -> None:
        """There is nothing to close."""

    def session(self, **options: Any) -> S3Session:
        """A session on this store; its waits take no time."""
        settings: dict[str, Any] = {"bucket": "bucket", "transport": self, "clock": FrozenClock()}
        return S3Session("id", "secret", **(settings | options))


def throttled(_: Request) -> Response:
    """What a store that has too much to do answers."""
    return Response(503, {}, b"<Error><Code>SlowDown</Code></Error>")
