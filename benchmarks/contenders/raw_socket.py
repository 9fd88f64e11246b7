"""The floor: requests written by hand to one socket per thread, nothing of an S3 client in between.

`unsigned` sends bytes that were prepared before the clock started and looks for what it must see in the answer: what
the kernel, the loopback and the interpreter's socket cost, and no more. `signed` builds and signs each request with a
signing key that is kept, sends the CRC32 of what it stores and, for small bodies, the SHA-256, parses the head of each
answer, and checks the CRC32 of what it fetches: the least that Python can do for the promises that s3func makes here.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import zlib

from benchmarks.contenders import CHUNK, Contender, Target, WrongAnswer
from benchmarks.contenders.signing import UNSIGNED_PAYLOAD, Signer, crc32_file, crc32_line


class _Connections(threading.local):
    """One kept-alive socket per thread."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.prepared: dict[tuple[str, str], bytes] = {}


class RawSocket:
    """HTTP by hand, prepared."""

    def __init__(self, target: Target) -> None:
        self._bucket = target.bucket
        self._host = f"{target.host}:{target.port}"
        self._connections = _Connections(target.host, target.port)

    def put(self, key: str, body: bytes) -> str:
        head, _ = self._exchange("PUT", key, body)
        return _etag(head)

    def get(self, key: str) -> int:
        head, rest = self._exchange("GET", key, b"")
        return self._drain(_length(head), len(rest))

    def head(self, key: str) -> int:
        head, _ = self._exchange("HEAD", key, b"")
        return _length(head)

    def list_page(self, prefix: str) -> tuple[int, int]:
        raise NotImplementedError

    def upload_memory(self, key: str, body: bytes) -> str:
        self._send(self._head("PUT", key, len(body)))
        return self._send_memory(body)

    def upload_file(self, key: str, path: str) -> str:
        self._send(self._head("PUT", key, os.path.getsize(path)))
        return self._send_file(path)

    def download(self, key: str) -> int:
        self._send(self._head("GET", key, 0))
        head, rest = _receive_head(self._connections.socket)
        return self._drain(_length(head), len(rest))

    def close(self) -> None:
        self._connections.socket.close()

    def _send(self, data: bytes) -> None:
        self._connections.socket.sendall(data)

    def _send_memory(self, body: bytes) -> str:
        self._send(body)
        return _etag(_receive_head(self._connections.socket)[0])

    def _send_file(self, path: str) -> str:
        with open(path, "rb") as file:
            self._connections.socket.sendfile(file)
        return _etag(_receive_head(self._connections.socket)[0])

    def _drain(self, length: int, got: int) -> int:
        if got < length:
            connection = self._connections.socket
            buffer = bytearray(min(CHUNK, length - got))
            while got < length and (count := connection.recv_into(buffer)):
                got += count
        return got

    def _exchange(self, method: str, key: str, body: bytes) -> tuple[bytes, bytes]:
        connections = self._connections
        request = connections.prepared.get((method, key))
        if request is None:
            request = connections.prepared[method, key] = self._head(method, key, len(body)) + body
        connections.socket.sendall(request)
        return _receive_head(connections.socket)

    def _head(self, method: str, key: str, length: int) -> bytes:
        size = f"Content-Length: {length}\r\n" if method == "PUT" else ""
        return f"{method} /{self._bucket}/{key} HTTP/1.1\r\nHost: {self._host}\r\n{size}\r\n".encode()


class SignedSocket(RawSocket):
    """HTTP by hand, signed and checked."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._signer = Signer(self._host)

    def put(self, key: str, body: bytes) -> str:
        self._send(self._put_head(key, len(body), hashlib.sha256(body).hexdigest(), zlib.crc32(body)) + body)
        return self._stored()

    def get(self, key: str) -> int:
        self._send(self._get_head(key))
        headers, rest = _parse(self._connections.socket)
        length = int(headers["content-length"])
        return self._drain_checked(length, rest, headers["x-amz-checksum-crc32"])

    def head(self, key: str) -> int:
        path = f"/{self._bucket}/{key}"
        self._send(f"HEAD {path} HTTP/1.1\r\n{self._signer.header_lines('HEAD', path)}\r\n".encode())
        headers, _ = _parse(self._connections.socket)
        return int(headers["content-length"])

    def upload_memory(self, key: str, body: bytes) -> str:
        self._send(self._put_head(key, len(body), UNSIGNED_PAYLOAD, zlib.crc32(body)))
        return self._send_memory(body)

    def upload_file(self, key: str, path: str) -> str:
        self._send(self._put_head(key, os.path.getsize(path), UNSIGNED_PAYLOAD, crc32_file(path)))
        return self._send_file(path)

    def download(self, key: str) -> int:
        return self.get(key)

    def _put_head(self, key: str, length: int, payload_hash: str, crc: int) -> bytes:
        path = f"/{self._bucket}/{key}"
        lines = self._signer.header_lines("PUT", path, payload_hash, crc32_line(crc))
        return f"PUT {path} HTTP/1.1\r\n{lines}content-length: {length}\r\n\r\n".encode()

    def _get_head(self, key: str) -> bytes:
        path = f"/{self._bucket}/{key}"
        lines = self._signer.header_lines("GET", path, checksum="x-amz-checksum-mode:ENABLED")
        return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()

    def _stored(self) -> str:
        headers, _ = _parse(self._connections.socket)
        return headers["etag"].strip('"')

    def _drain_checked(self, length: int, first: bytes, promised: str) -> int:
        got = len(first)
        crc = zlib.crc32(first)
        if got < length:
            connection = self._connections.socket
            view = memoryview(bytearray(min(CHUNK, length - got)))
            while got < length and (count := connection.recv_into(view)):
                got += count
                crc = zlib.crc32(view[:count], crc)
        if not crc32_line(crc).endswith(promised):
            raise WrongAnswer("the bytes do not have the checksum that was promised")
        return got


def _receive_head(connection: socket.socket) -> tuple[bytes, bytes]:
    received = connection.recv(65536)
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            raise WrongAnswer(f"the connection ended after {received!r}")
        received += more
    if not received.startswith(b"HTTP/1.1 200 "):
        raise WrongAnswer(received[:200].decode("latin-1"))
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _parse(connection: socket.socket) -> tuple[dict[str, str], bytes]:
    head, rest = _receive_head(connection)
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers, rest


def _length(head: bytes) -> int:
    start = head.index(b"Content-Length: ") + 16
    return int(head[start:].partition(b"\r\n")[0])


def _etag(head: bytes) -> str:
    start = head.index(b'ETag: "') + 7
    return head[start : start + 32].decode()


def open_contender(target: Target, variant: str) -> Contender:
    return SignedSocket(target) if variant == "signed" else RawSocket(target)
