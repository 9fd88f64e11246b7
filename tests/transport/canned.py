"""A socket that gives its bytes in exactly the pieces that a test wants, so that every cut can be tried."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import cast

from s3func.message import Request, Response
from s3func.transport.connection import Connection

_SILENT, _ = os.pipe()


class CannedSocket:
    """Receives the given pieces, one per call; then the end. What is sent is kept."""

    def __init__(self, received: Iterable[bytes]) -> None:
        self._pieces = [piece for piece in received if piece]
        self.sent = b""
        self.closed = False

    def settimeout(self, seconds: float | None) -> None:
        """There is nothing to wait for."""

    def sendall(self, data: bytes | memoryview) -> None:
        """Keep what is sent."""
        self.sent += data

    def recv(self, size: int) -> bytes:
        """The next piece, or as much of it as was asked for; b"" at the end."""
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if len(piece) > size:
            self._pieces.insert(0, piece[size:])
        return piece[:size]

    def recv_into(self, buffer: memoryview) -> int:
        """The same into a buffer."""
        piece = self.recv(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def pending(self) -> int:
        """Bytes that are there and were not asked for."""
        return len(self._pieces[0]) if self._pieces else 0

    def fileno(self) -> int:
        """A descriptor on which nothing ever arrives."""
        return _SILENT

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class Canned:
    """A connection over a CannedSocket, and whether it was given back."""

    def __init__(self, *received: bytes) -> None:
        self.sock = CannedSocket(received)
        self.released: list[Connection] = []
        self.connection = Connection(cast("socket.socket", self.sock), 1.0, self.released.append)

    def exchange(self, method: str = "GET", body: bytes = b"") -> Response:
        """Send a request and read the head of the answer."""
        return self.connection.exchange(Request(method, "http://host", "/bucket/key", "", {"host": "host"}, body))

    @property
    def is_kept(self) -> bool:
        """Whether the connection may serve another request; AssertionError while that is open."""
        assert self.released or self.sock.closed, "the connection is neither given back nor closed"
        return bool(self.released) and not self.sock.closed
