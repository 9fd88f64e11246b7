"""A server that does exactly what a test tells it, over real sockets: one step per request.

Rule 1: it knows no S3 and shares no code with the client. A step is bytes to answer with, or a function that is given
        the Exchange: the head of the request, a body that may be read or not, and the socket to answer on.
Rule 2: steps are taken in the order in which requests arrive, whichever connection brings them. A request without a
        step, a step without a request and an exception in a step fail the test when the server is closed.
Rule 3: nothing depends on time. A stall lasts until the client goes away or the test is over.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable
from http.client import responses
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self, TypeAlias
from xml.sax.saxutils import escape

JOIN_SECONDS = 10.0


class Gone(Exception):
    """The client closed the connection, which ends the conversation and is no failure."""


class Exchange:
    """One request as it arrived, and the means to answer it."""

    def __init__(self, sock: socket.socket, connection: int, head: bytes, rest: bytearray, stopped: Event) -> None:
        """connection: which one of the server's connections brought it, from 0. rest: received behind the head."""
        self._sock = sock
        self._rest = rest
        self._stopped = stopped
        self.connection = connection
        self.head = head
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = dict(line.split(": ", 1) for line in lines[1:])
        self.length = int(self.headers.get("content-length", "0"))
        self.body = b""

    def read_body(self, count: int | None = None) -> bytes:
        """All of the body, or its next `count` bytes; what was read so far stays in `.body`."""
        wanted = self.length if count is None else min(self.length, len(self.body) + count)
        while len(self.body) < wanted:
            if not self._rest:
                self._rest += receive(self._sock)
            taken = bytes(self._rest[: wanted - len(self.body)])
            del self._rest[: len(taken)]
            self.body += taken
        return self.body

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send the pieces, with a pause of some seconds between them where they shall arrive apart."""
        try:
            for number, piece in enumerate(pieces):
                if number and pause:
                    self._stopped.wait(pause)
                self._sock.sendall(piece)
        except OSError as error:
            raise Gone from error

    def stall(self) -> None:
        """Neither answer nor close until the client goes away."""
        with contextlib.suppress(Gone):
            while True:
                receive(self._sock)

    def stall_unread(self) -> None:
        """Read nothing, answer nothing, until the test is over."""
        self._stopped.wait()

    def close(self) -> None:
        """Close in an orderly way, unless something is still unread: then the system resets."""
        self._sock.close()

    def reset(self) -> None:
        """Break the connection off: the client's next send or receive fails."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    @property
    def is_closed(self) -> bool:
        """Whether a step has closed the connection."""
        return self._sock.fileno() < 0


Step: TypeAlias = bytes | Callable[[Exchange], None]


class Scripted:
    """The server; a context manager. `requests` holds every exchange in the order of arrival."""

    def __init__(self, *steps: Step, always: Step | None = None, context: ssl.SSLContext | None = None) -> None:
        """steps: one per request. always: for every request behind them. context: speak TLS."""
        self.requests: list[Exchange] = []
        self.accepted = 0
        self.refused_handshakes = 0
        self._steps = list(steps)
        self._always = always
        self._context = context
        self._lock = Lock()
        self._stopped = Event()
        self._failures: list[BaseException] = []
        self._threads: list[Thread] = []
        self._socks: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = Thread(target=self._accept, name="scripted", daemon=True)
        self._acceptor.start()

    @property
    def url(self) -> str:
        """The endpoint to give to a session."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    @property
    def methods(self) -> list[str]:
        """The methods of all requests, in order."""
        return [exchange.method for exchange in self.requests]

    @property
    def connections(self) -> list[int]:
        """Which connection brought each request, in order."""
        return [exchange.connection for exchange in self.requests]

    def open_connections(self) -> int:
        """Connections that neither side has closed, as far as this side knows."""
        with self._lock:
            return len(self._socks)

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            with self._lock:
                if self._stopped.is_set():
                    sock.close()
                    return
                if self._context is not None:
                    # The handshake is left to the connection's own thread, so that close() can interrupt it.
                    sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                number, self.accepted = self.accepted, self.accepted + 1
                self._socks.add(sock)
                thread = Thread(target=self._converse, args=(sock, number), name=f"scripted-{number}", daemon=True)
                self._threads.append(thread)
            thread.start()

    def _converse(self, sock: socket.socket, number: int) -> None:
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            rest = bytearray()
            while sock.fileno() >= 0:
                head = receive_head(sock, rest)
                exchange = Exchange(sock, number, head, rest, self._stopped)
                step = self._next_step(exchange)
                if isinstance(step, bytes):
                    exchange.read_body()
                    exchange.send(step)
                else:
                    step(exchange)
        except Gone:
            pass
        except OSError:
            with self._lock:
                self.refused_handshakes += 1
        except BaseException as error:
            self._failures.append(error)
        finally:
            with self._lock:
                self._socks.discard(sock)
            sock.close()

    def _next_step(self, exchange: Exchange) -> Step:
        with self._lock:
            self.requests.append(exchange)
            if self._steps:
                return self._steps.pop(0)
        if self._always is None:
            raise AssertionError(f"no step is left for {exchange.method} {exchange.target}")
        return self._always

    def close(self) -> None:
        """End every conversation and wait for the threads; AssertionError when the script was not followed."""
        # What a client sent before it lost its patience may still be on its way to a thread.
        eventually(lambda: not self._steps)
        self._stopped.set()
        # A listening socket is woken by a connection on every system, by shutdown() or close() on some.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), JOIN_SECONDS).close()
        self._acceptor.join(JOIN_SECONDS)
        self._listener.close()
        with self._lock:
            socks = list(self._socks)
        for sock in socks:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own shutdown: the connection's thread is still using the TLS state.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
        for failure in self._failures:
            raise failure
        assert not self._steps, f"{len(self._steps)} steps were never asked for"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def receive(sock: socket.socket) -> bytes:
    """Some bytes, or Gone."""
    try:
        data = sock.recv(256 * 1024)
    except OSError as error:
        raise Gone from error
    if not data:
        raise Gone
    return data


def receive_head(sock: socket.socket, rest: bytearray) -> bytes:
    """The next head without its empty line; what came behind it stays in `rest`."""
    while (end := rest.find(b"\r\n\r\n")) < 0:
        rest += receive(sock)
    head = bytes(rest[:end])
    del rest[: end + 4]
    return head


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until something holds that another thread brings about; False when it never does."""
    deadline = time.monotonic() + JOIN_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


# --- answers


def answer(status: int = 200, body: bytes = b"", /, **headers: str | None) -> bytes:
    """A whole answer. Keywords are headers, `_` for `-`; content_length=None leaves that one out."""
    fields: dict[str, str | None] = {"content_length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def refusal(status: int, code: str, message: str = "no", **fields: str) -> bytes:
    """An answer with an error document as S3 writes it; `Fields` become elements of it, `fields` headers."""
    elements = {name: text for name, text in fields.items() if name[0].isupper()}
    headers: dict[str, str | None] = {name: text for name, text in fields.items() if not name[0].isupper()}
    headers.setdefault("content_type", "application/xml")
    return answer(status, error_document(code, message, **elements), **headers)


def error_document(code: str, message: str = "no", **details: str) -> bytes:
    """An <Error>; details are further elements."""
    fields = {"Code": code, "Message": message, **details, "RequestId": "REQ", "HostId": "HOST"}
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


def chunked(*chunks: bytes, **headers: str | None) -> bytes:
    """A 200 in chunked transfer coding."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    return answer(200, content_length=None, transfer_encoding="chunked", **headers) + body


# --- steps


def pieces(*parts: bytes, pause: float = 0.005) -> Step:
    """Read the request, then send the parts so that they usually arrive apart."""

    def step(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(*parts, pause=pause)

    return step


def then_close(data: bytes = b"") -> Step:
    """Read the request, send the data, close."""

    def step(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(data)
        exchange.close()

    return step


def then_reset(data: bytes = b"") -> Step:
    """Read the request, send the data, break the connection off."""

    def step(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(data)
        exchange.reset()

    return step


def then_stall(data: bytes = b"") -> Step:
    """Read the request, send the data, and never go on."""

    def step(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(data)
        exchange.stall()

    return step
