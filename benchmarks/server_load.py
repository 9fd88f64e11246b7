"""The process that loads a server: eight clients on one event loop, with requests that were signed before the clock runs.

It is the same for every server, and cheap: a request is one send of bytes that are ready, an answer is looked at for
its status, its length and its end. It is given one JSON document as its argument and writes one as its result.
"""

from __future__ import annotations

import hashlib
import json
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import Any

from s3func.wire import sigv4
from s3func.wire.encoding import amz_date

BUCKET = "bench"
REGION = "us-east-1"
CLIENTS = 8
READ_KEYS = 50
"""The keys of each client that are read, again and again."""
NEW_KEYS = 5000
"""The most that each client stores while the clock runs; every PUT makes a new object."""
SMALL = bytes(range(256)) * 4
_BLOCK = bytes(range(251)) * 16_711
"""About 4 MiB whose length no power of two divides, so that a block that went missing shows."""
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CLOSES = re.compile(rb"^HTTP/1\.0|\r\nconnection: *close", re.IGNORECASE)


class WrongAnswer(Exception):
    """A server did not do what it was asked to."""


@dataclass(slots=True)
class Reading:
    """One measurement: answers (or 1 for a stream), those of the warming up, bytes, seconds, and our own CPU."""

    calls: int
    warm_up_calls: int
    bytes: int
    wall_seconds: float
    own_seconds: float


class Signer:
    """Signs for one server."""

    def __init__(self, port: int, access_key_id: str, secret_access_key: str) -> None:
        self._host = f"127.0.0.1:{port}"
        self._access_key_id = access_key_id
        self._date = amz_date(time.time())
        self._key = sigv4.signing_key(secret_access_key, self._date[:8], REGION)

    def head(self, method: str, path: str, length: int, payload_hash: str) -> bytes:
        """The head of a request; a body of `length` bytes follows."""
        headers = {"host": self._host, "x-amz-content-sha256": payload_hash, "x-amz-date": self._date}
        names = sorted(headers)
        request = sigv4.canonical_request(method, path, "", headers, names, payload_hash)
        scope = sigv4.credential_scope(self._date[:8], REGION)
        signature = sigv4.signature(self._key, sigv4.string_to_sign(self._date, scope, request))
        headers["authorization"] = sigv4.authorization_header(self._access_key_id, scope, names, signature)
        if method == "PUT":
            headers["content-length"] = str(length)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode()


class Client:
    """One kept-alive connection; a server that ends it after an answer is connected to again, and pays for that."""

    def __init__(self, port: int, requests: Iterator[bytes], *, reads: bool) -> None:
        self._port = port
        self._requests = requests
        self._reads = reads
        self._answer = b""
        self.socket = self._connected()

    def ask(self) -> bool:
        """Send the next request; False where there is none."""
        request = next(self._requests, None)
        if request is not None and self.socket.send(request) != len(request):
            raise WrongAnswer("a request of 2 KiB did not fit into the socket")
        return request is not None

    def go_on_with(self, requests: Iterator[bytes]) -> None:
        """Other requests from now on."""
        self._requests = requests

    def receive(self, poll: select.epoll, clients: dict[int, Client]) -> bool:
        """Take what has arrived; whether it completes a right answer."""
        data = self.socket.recv(65536)
        if not data:
            raise WrongAnswer(f"the connection ended after {self._answer[:200]!r}")
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end:
            return False
        length = _LENGTH.search(head)
        size = int(length[1]) if length is not None else 0
        if len(body) < size:
            return False
        if not _is_success(head) or (self._reads and body != SMALL):
            raise WrongAnswer(repr(self._answer[:400]))
        self._answer = b""
        if _CLOSES.search(head) is not None:
            poll.unregister(self.socket)
            del clients[self.socket.fileno()]
            self.socket.close()
            self.socket = self._connected()
            clients[self.socket.fileno()] = self
            poll.register(self.socket, select.EPOLLIN)
        return True

    def _connected(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


def small_calls(order: dict[str, Any], method: str) -> Reading:
    """1 KiB calls for a while. PUTs make new objects; GETs walk through those that the warming up of the PUTs made."""
    signer = Signer(order["port"], order["access_key_id"], order["secret_access_key"])
    body = SMALL if method == "PUT" else b""
    payload_hash = hashlib.sha256(body).hexdigest()

    def signed(kind: str, number: int, count: int) -> list[bytes]:
        paths = [f"/{BUCKET}/{kind}/{number}/{key:04d}" for key in range(count)]
        return [signer.head(method, path, len(body), payload_hash) + body for path in paths]

    warm_ups = [signed("read", number, READ_KEYS) for number in range(CLIENTS)]
    clients: dict[int, Client] = {}
    for requests in warm_ups:
        client = Client(order["port"], iter(requests) if body else cycle(requests), reads=not body)
        clients[client.socket.fileno()] = client
    later = [signed("new", number, NEW_KEYS) for number in range(CLIENTS)] if body else warm_ups
    try:
        warm_up = _run(clients, 60 if body else order["warm_up_seconds"])
        for client, requests in zip(clients.values(), later, strict=True):
            client.go_on_with(iter(requests) if body else cycle(requests))
        reading = _run(clients, order["seconds"])
        reading.warm_up_calls = warm_up.calls
        return reading
    finally:
        for client in clients.values():
            client.socket.close()


def _run(clients: dict[int, Client], seconds: float) -> Reading:
    """Each client asks again as soon as it was answered, while it has requests; ends with every one answered."""
    poll = select.epoll()
    own, begin = time.process_time(), time.perf_counter()
    end = begin + seconds
    calls, waiting = 0, len(clients)
    for client in list(clients.values()):
        poll.register(client.socket, select.EPOLLIN)
        client.ask()
    while waiting:
        ready = poll.poll(30)
        if not ready:
            raise WrongAnswer("no answer for 30 seconds")
        for descriptor, _ in ready:
            client = clients[descriptor]
            if client.receive(poll, clients):
                calls += 1
                if time.perf_counter() >= end or not client.ask():
                    waiting -= 1
    wall = time.perf_counter() - begin
    poll.close()
    return Reading(calls, 0, calls * len(SMALL), wall, time.process_time() - own)


def upload(order: dict[str, Any]) -> Reading:
    """One large object up."""
    size = order["bulk_size"]
    signer = Signer(order["port"], order["access_key_id"], order["secret_access_key"])
    head = signer.head("PUT", f"/{BUCKET}/bulk", size, sigv4.UNSIGNED_PAYLOAD)
    with socket.create_connection(("127.0.0.1", order["port"]), timeout=170) as connection:
        own, begin = time.process_time(), time.perf_counter()
        connection.sendall(head)
        block = memoryview(_BLOCK)
        for start in range(0, size, len(_BLOCK)):
            connection.sendall(block[: size - start])
        answer, _ = _receive_head(connection)
        wall = time.perf_counter() - begin
    if not _is_success(answer):
        raise WrongAnswer(repr(answer))
    return Reading(1, 0, size, wall, time.process_time() - own)


def download(order: dict[str, Any]) -> Reading:
    """The same object down, its bytes compared here and there."""
    size = order["bulk_size"]
    signer = Signer(order["port"], order["access_key_id"], order["secret_access_key"])
    head = signer.head("GET", f"/{BUCKET}/bulk", 0, hashlib.sha256(b"").hexdigest())
    buffer = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", order["port"]), timeout=170) as connection:
        own, begin = time.process_time(), time.perf_counter()
        connection.sendall(head)
        answer, first = _receive_head(connection)
        length = _LENGTH.search(answer)
        if not _is_success(answer) or length is None or int(length[1]) != size:
            raise WrongAnswer(repr(answer))
        got = len(first)
        while got < size and (count := connection.recv_into(buffer)):
            if buffer[0] != _BLOCK[got % len(_BLOCK)]:
                raise WrongAnswer(f"another byte at {got}")
            got += count
        wall = time.perf_counter() - begin
    if got != size:
        raise WrongAnswer(f"{got} of {size} bytes")
    return Reading(1, 0, size, wall, time.process_time() - own)


def make_bucket(order: dict[str, Any]) -> Reading:
    """The bucket of everything."""
    signer = Signer(order["port"], order["access_key_id"], order["secret_access_key"])
    with socket.create_connection(("127.0.0.1", order["port"]), timeout=30) as connection:
        connection.sendall(signer.head("PUT", f"/{BUCKET}", 0, hashlib.sha256(b"").hexdigest()))
        answer, _ = _receive_head(connection)
    if not _is_success(answer):
        raise WrongAnswer(repr(answer))
    return Reading(1, 0, 0, 0, 0)


def _is_success(head: bytes) -> bool:
    # nginx answers 204 where it overwrites.
    return head[8:12] in {b" 200", b" 204"}


def _receive_head(connection: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            raise WrongAnswer(f"the connection ended after {received!r}")
        received += data
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def main() -> int:
    order = json.loads(sys.argv[1])
    task = order["task"]
    if task in {"put", "get"}:
        reading = small_calls(order, task.upper())
    else:
        reading = {"upload": upload, "download": download, "make bucket": make_bucket}[task](order)
    print(json.dumps(asdict(reading)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
