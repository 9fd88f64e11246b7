"""A store that is as fast as S3 is: 20 ms to the first byte of every answer, 90 MB/s per connection each way.

What is uploaded is counted and thrown away, unread by this process: recv with MSG_TRUNC discards inside the kernel. What
is downloaded is sent by the kernel, too (sendfile from memory), so that one Python loop serves several GiB a second and
is not the bottleneck. It runs in a process of its own, on a free port of 127.0.0.1.

    PUT      /bench/KEY                    one object; POST ?uploads, PUT ?partNumber=, POST and DELETE ?uploadId= in parts
    GET HEAD /bench/…/SIZE                 an object of SIZE bytes, whose content repeats `bulk_block()`; Range, If-Match
    GET      /stats                        what has happened since somebody asked the last time, as JSON

Rule 1: a connection moves a body at the pace, in steps of 4 ms; what a client does not take in time is lost after 10 ms,
        as on a wire, but a step that is late because of this process loses nothing.
Rule 2: answers are those of S3: checksum headers are echoed and computed, a completed upload is checked part by part.
Rule 3: signatures are not checked. `100 Continue` is said at once: no client pays for asking.
Rule 4: what requests mean is the business of a store (paced_store.py, b2_store.py), which says how much of the end of a
        body it wants to read.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from email.utils import formatdate
from importlib import import_module
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.interpreters import BOOTSTRAP
from benchmarks.paced_store import Answer, Request, Stats, Store, parse_head
from benchmarks.sink import bulk_block

MEGABYTE = 1_000_000
LATENCY_SECONDS = 0.020
BYTES_PER_SECOND = 90 * MEGABYTE
_STEP_SECONDS = 0.004
_BURST_SECONDS = 0.010
_DRAIN = 4 << 20
_SOCKET_BUFFER = 1 << 20
_BLOCK = 1 << 20
_MEMORY_BLOCKS = 16
_HEAD_MAX = 64 << 10


class Connection:
    """One client's connection: what of the current request or answer is still under way."""

    __slots__ = (
        "answer",
        "body",
        "incoming",
        "kept",
        "moved_at",
        "outgoing",
        "request",
        "sock",
        "state",
        "todo",
        "tokens",
    )

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.state = "head"
        self.incoming = bytearray()
        self.request: Request | None = None
        self.body = bytearray()
        self.kept = 0
        self.todo = 0
        self.answer: Answer | None = None
        self.outgoing = b""
        self.tokens = 0.0
        self.moved_at = 0.0

    @property
    def is_bulk(self) -> bool:
        """Whether its request counts as a transfer."""
        request, answer = self.request, self.answer
        return (request is not None and request.wire_size >= 1 << 16) or (
            answer is not None and answer.end - answer.start >= 1 << 16
        )


class Loop:
    """The sockets and the time."""

    def __init__(
        self, listener: socket.socket, latency_seconds: float, bytes_per_second: float, store: Store | None = None
    ) -> None:
        """latency_seconds: 0 answers at once. bytes_per_second: per connection and direction; 0 is no limit."""
        self._listener = listener
        self._latency = latency_seconds
        self._rate = bytes_per_second
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._moving: set[Connection] = set()
        self._due: list[tuple[float, int, Connection]] = []
        self._order = count()
        self._drain = bytearray(_DRAIN)
        self._store = store or Store()
        self._bulk = 0
        self._memory = os.memfd_create("bulk")
        block = bulk_block()
        for _ in range(_MEMORY_BLOCKS):
            os.write(self._memory, block)

    def run(self, until: int) -> None:
        """Serve until the descriptor `until` is readable: the other end of a pipe has gone."""
        self._listener.setblocking(False)
        self._poll.register(self._listener.fileno(), select.EPOLLIN)
        self._poll.register(until, select.EPOLLIN)
        next_step = 0.0
        while True:
            timeout = -1.0
            now = time.monotonic()
            if self._moving:
                timeout = max(0.0, next_step - now)
            if self._due:
                wait = max(0.0, self._due[0][0] - now)
                timeout = wait if timeout < 0 else min(timeout, wait)
            for descriptor, event in self._poll.poll(timeout):
                if descriptor == until:
                    return
                if descriptor == self._listener.fileno():
                    self._accept()
                elif (connection := self._connections.get(descriptor)) is not None:
                    self._on_event(connection, event)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, connection = heapq.heappop(self._due)
                if connection.state == "wait":
                    self._guarded(self._begin_answer, connection)
            if self._moving and now >= next_step:
                next_step = now + _STEP_SECONDS
                for connection in list(self._moving):
                    self._guarded(self._move, connection)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[sock.fileno()] = Connection(sock)
                self._poll.register(sock.fileno(), select.EPOLLIN)

    def _on_event(self, connection: Connection, event: int) -> None:
        if event & (select.EPOLLHUP | select.EPOLLERR):
            self._close(connection)
        elif connection.state == "head":
            self._guarded(self._read_head, connection)
        else:
            self._guarded(self._move, connection)

    def _guarded(self, step: Any, connection: Connection) -> None:
        try:
            step(connection)
        except BlockingIOError:
            pass
        except OSError:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        descriptor = connection.sock.fileno()
        if descriptor < 0:
            return
        if connection.state in {"body", "wait", "send"} and connection.is_bulk:
            self._bulk -= 1
        connection.state = "closed"
        self._moving.discard(connection)
        self._poll.unregister(descriptor)
        del self._connections[descriptor]
        connection.sock.close()

    def _watch(self, connection: Connection, event: int) -> None:
        self._poll.modify(connection.sock.fileno(), event)

    def _read_head(self, connection: Connection) -> None:
        data = connection.sock.recv(_HEAD_MAX)
        if not data:
            self._close(connection)
            return
        connection.incoming += data
        self._next_request(connection)

    def _next_request(self, connection: Connection) -> None:
        head, end, rest = bytes(connection.incoming).partition(b"\r\n\r\n")
        if not end:
            if len(head) > _HEAD_MAX:
                self._close(connection)
            return
        connection.request = request = parse_head(head)
        if request.headers.get("expect", "").lower() == "100-continue":
            connection.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.kept = self._store.kept(request)
        connection.body = bytearray(rest[request.wire_size - connection.kept : request.wire_size])
        connection.incoming = bytearray(rest[request.wire_size :])
        connection.todo = max(0, request.wire_size - len(rest))
        connection.answer = None
        if connection.is_bulk:
            self._begin_bulk()
        if connection.todo:
            self._begin_moving(connection, "body", select.EPOLLIN)
        else:
            self._have_request(connection)

    def _begin_bulk(self) -> None:
        self._bulk += 1
        stats = self._store.stats
        stats.transfers += 1
        stats.at_once = max(stats.at_once, self._bulk)

    def _begin_moving(self, connection: Connection, state: str, event: int) -> None:
        connection.state = state
        if self._rate:
            connection.tokens, connection.moved_at = 0.0, time.monotonic()
            self._moving.add(connection)
            self._watch(connection, 0)
        else:
            self._watch(connection, event)

    def _have_request(self, connection: Connection) -> None:
        """All of it has arrived: the answer's first byte leaves one latency later."""
        self._moving.discard(connection)
        request = connection.request
        assert request is not None
        was_bulk = connection.is_bulk
        try:
            connection.answer = self._store.answer(request, bytes(connection.body))
        except (ValueError, KeyError):
            connection.answer = self._store.misunderstood()
        if connection.is_bulk and not was_bulk:
            self._begin_bulk()
        connection.state = "wait"
        if self._latency and request.path != "/stats":
            self._watch(connection, 0)
            heapq.heappush(self._due, (time.monotonic() + self._latency, next(self._order), connection))
        else:
            self._begin_answer(connection)

    def _begin_answer(self, connection: Connection) -> None:
        answer, request = connection.answer, connection.request
        assert answer is not None
        assert request is not None
        without_body = request.method == "HEAD"
        head = answer.head(formatdate(usegmt=True), without_body=without_body)
        connection.outgoing = head if without_body else head + answer.body
        connection.todo = 0 if without_body else answer.end - answer.start
        if connection.todo:
            connection.sock.send(connection.outgoing, socket.MSG_MORE)
            connection.outgoing = b""
            self._begin_moving(connection, "send", select.EPOLLOUT)
        else:
            # A document is smaller than the empty buffer of a socket: it is taken whole.
            connection.sock.send(connection.outgoing)
            self._answered(connection)

    def _answered(self, connection: Connection) -> None:
        self._moving.discard(connection)
        if connection.is_bulk:
            self._bulk -= 1
        connection.state = "head"
        if connection.request is not None and connection.request.headers.get("connection", "").lower() == "close":
            self._close(connection)
            return
        self._watch(connection, select.EPOLLIN)
        if connection.incoming:
            self._next_request(connection)

    def _move(self, connection: Connection) -> None:
        """Move as much of a body as the pace allows, in either direction."""
        allowed = _DRAIN
        if self._rate:
            now = time.monotonic()
            connection.tokens += self._rate * (now - connection.moved_at)
            connection.moved_at = now
            allowed = min(_DRAIN, int(connection.tokens))
        moved = 0
        try:
            if allowed:
                want = min(connection.todo, allowed)
                moved = self._receive(connection, want) if connection.state == "body" else self._send(connection, want)
        finally:
            if self._rate:
                connection.tokens = min(connection.tokens - moved, self._rate * _BURST_SECONDS)
        connection.todo -= moved
        if not connection.todo:
            if connection.state == "body":
                self._have_request(connection)
            else:
                self._answered(connection)

    def _receive(self, connection: Connection, want: int) -> int:
        discarded = connection.todo - connection.kept
        if discarded <= 0:
            data = connection.sock.recv(want)
            connection.body += data
            received = len(data)
        else:
            received = connection.sock.recv_into(self._drain, min(want, discarded), socket.MSG_TRUNC)
        if not received:
            raise ConnectionResetError
        return received

    def _send(self, connection: Connection, want: int) -> int:
        answer = connection.answer
        assert answer is not None
        sent = 0
        while sent < want:
            place = (answer.end - connection.todo + sent) % _BLOCK
            try:
                moved = os.sendfile(
                    connection.sock.fileno(), self._memory, place, min(want - sent, _MEMORY_BLOCKS * _BLOCK - place)
                )
            except BlockingIOError:
                break
            sent += moved
        return sent


def main() -> int:
    """Serve until standard input ends; the port is written first."""
    latency, rate = (float(word) for word in sys.argv[1:3])
    store: Store = import_module(sys.argv[3]).Store()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A network does not become slower because its client is busy: where it is allowed, this process goes first.
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    print(listener.getsockname()[1], flush=True)
    Loop(listener, latency, rate, store).run(sys.stdin.fileno())
    return 0


class PacedSink:
    """The running process; a context manager that ends it."""

    def __init__(
        self,
        latency_seconds: float = LATENCY_SECONDS,
        bytes_per_second: float = BYTES_PER_SECOND,
        store: str = Store.__module__,
    ) -> None:
        """Zeros mean: as fast as the machine. store: the module whose `Store` answers."""
        self._arguments = [str(latency_seconds), str(bytes_per_second), store]
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        program = BOOTSTRAP + "from benchmarks.paced_sink import main\nsys.exit(main())"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", program, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def stats(self) -> Stats:
        """What has happened since the last time somebody asked."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.endpoint}/stats", timeout=10) as answer:
            return Stats(**json.load(answer))

    def cpu_seconds(self) -> float:
        """User and system time of the sink so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
