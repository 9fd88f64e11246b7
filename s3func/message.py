"""What moves between the layers: a Request, a Response, their bodies, and the shape of a Transport.

A Transport is one call, `Request -> Response`. The urllib3 pool is one; the embedded server `S3App` is another, which
is how a session talks to a server with no socket between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from s3func.errors import TransportError

BLOCK = 256 * 1024
"""Bytes moved at a time when a body is streamed: large enough that the system calls do not count."""


@runtime_checkable
class UploadBody(Protocol):
    """A request body that is not simply bytes: it knows its length, and it can be sent again or says that it cannot."""

    length: int
    """Bytes in all; `blocks()` yields exactly as many or raises."""
    replayable: bool
    """Whether `blocks()` may be called a second time, for a retry."""

    def blocks(self) -> Iterator[bytes | memoryview]:
        """All of the body, from its first byte; each block must be used before the next one is asked for."""


class BodyStream(Protocol):
    """A body that is still arriving. Errors while reading are TransportErrors."""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, b"" at the end; a negative size reads to the end."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of the buffer; 0 at the end."""

    def close(self) -> None:
        """Give up the rest. Closing twice is allowed."""


class Request:
    """One HTTP request, as it will stand on the wire."""

    __slots__ = ("body", "deadline", "headers", "method", "origin", "path", "peer", "query")

    def __init__(
        self,
        method: str,
        origin: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes | UploadBody | BodyStream = b"",
        deadline: float | None = None,
        peer: str = "",
    ) -> None:
        """Take the parts as they are; whoever builds a request has checked them.

        method: upper case. origin: "https://host[:port]", lower case. path: percent-encoded once, starts with "/".
        query: percent-encoded and in canonical order, without "?". headers: lower-case names; a repeated header is one
        value joined with ",". body: bytes, an UploadBody when a client sends, a BodyStream when a server receives.
        deadline: on the monotonic clock of whoever sends. peer: the address that a server received it from.
        """
        self.method = method
        self.origin = origin
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.deadline = deadline
        self.peer = peer

    @property
    def target(self) -> str:
        """The origin-form request target: path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def __repr__(self) -> str:
        # Neither the query (a presigned one is a secret) nor the headers (Authorization) are shown.
        return f"<Request {self.method} {self.origin}{self.path}>"


class Response:
    """One HTTP response; a small body is bytes already, a large one is a stream that someone has to read or close."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes | BodyStream = b"") -> None:
        """`headers` have lower-case names; a repeated header is one value joined with ", "."""
        self.status = status
        self.headers = headers
        self.body = body

    def read(self, limit: int | None = None) -> bytes:
        """All of the body; more than `limit` bytes is a TransportError (an error document is never that long)."""
        body = self.body
        if not isinstance(body, bytes):
            body = self.body = _read_whole(body, limit)
        return body

    def close(self) -> None:
        """Give up what has not been read."""
        if not isinstance(self.body, bytes):
            self.body.close()

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


def _read_whole(stream: BodyStream, limit: int | None) -> bytes:
    try:
        if limit is None:
            return stream.read()
        parts = []
        room = limit
        while block := stream.read(min(BLOCK, room + 1)):
            room -= len(block)
            if room < 0:
                raise TransportError(f"the answer is longer than {limit} bytes")
            parts.append(block)
        return b"".join(parts)
    finally:
        stream.close()


class Transport(Protocol):
    """Moves one request and brings its response, or raises a TransportError.

    MUST NOT retry, follow redirects, decode content or change the path. May be called from many threads at once.
    """

    def __call__(self, request: Request) -> Response:
        """Send the request, return the head of the answer with its body."""

    def close(self) -> None:
        """Let go of idle connections; later calls may open new ones."""
