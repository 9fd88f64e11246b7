"""A wire that breaks: what goes through it is cut off after so many bytes, in the direction that a test says."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
from collections.abc import Callable
from threading import Thread
from types import TracebackType
from typing import NamedTuple, Self


class Cut(NamedTuple):
    """Break a connection when so many bytes have gone up (to the server) or down (from it); the rest never arrives."""

    up: int | None = None
    down: int | None = None


class _End:
    """One end of a connection: what it sends goes to the other one, until its bytes are used up."""

    def __init__(self, sock: socket.socket, left: int | None) -> None:
        self.sock = sock
        self.left = left
        self.other: _End | None = None


class CuttingWire:
    """A proxy on a port of its own; `plan` says of every new connection where it breaks, None for nowhere."""

    def __init__(self, port: int, plan: Callable[[], Cut | None]) -> None:
        self.cuts = 0
        self._server = ("127.0.0.1", port)
        self._plan = plan
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._waker, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._thread = Thread(target=self._run, name="cutting wire")
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waker.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            sock.close()
        self._selector.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fd in self._selector.get_map():
                    self._move(key.data)

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        cut = self._plan() or Cut()
        client, server = _End(sock, cut.up), _End(socket.create_connection(self._server), cut.down)
        client.other, server.other = server, client
        for end in (client, server):
            end.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end.sock, selectors.EVENT_READ, end)

    def _move(self, end: _End) -> None:
        assert end.other is not None
        try:
            data = end.sock.recv(64 * 1024)
        except OSError:
            data = b""
        is_cut = end.left is not None and len(data) >= end.left
        with contextlib.suppress(OSError):
            end.other.sock.sendall(data if end.left is None else data[: end.left])
        if end.left is not None:
            end.left -= len(data)
        if is_cut:
            self.cuts += 1
        if is_cut or not data:
            for sock in (end.sock, end.other.sock):
                self._selector.unregister(sock)
                if is_cut:
                    # Not an orderly end: whoever is sending learns of it at once.
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
