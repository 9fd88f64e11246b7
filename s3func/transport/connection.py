"""One HTTP/1.1 connection: a request goes out as one prebuilt head, the common response head is read directly.

Rule 1: nothing here interprets a path, follows a redirect, decodes content or tries twice.
Rule 2: every socket, ssl and parser error leaves as a TransportError or ProtocolError; the cause is chained.
Rule 3: a connection that was left in the middle of an exchange is closed, never handed on.
The usual response head is read in one pass; what is unusual in one (folded lines, bare LF, repeated headers) in another.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import sys
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from s3func.errors import ConnectionLost, DeadlineExceeded, ProtocolError, TimedOut, TransportError, TruncatedBody
from s3func.message import BLOCK, Request, Response
from s3func.transport.body import BodyShrunk, FileRange
from s3func.version import VERSION

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

Block = TypeVar("Block", bytes | memoryview, FileRange)

_HEAD_LIMIT = 256 * 1024
_FIRST_READ = 64 * 1024
# The same for every request: nobody may encode the body on its way, and the store's log says who asked.
_LAST_LINES = f"accept-encoding: identity\r\nuser-agent: s3func/{VERSION}\r\n\r\n"
_BODILESS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS"})
# A body up to this size is joined to its head: one system call, one segment train, one GIL hand-off.
_JOINED_BODY = 64 * 1024
_USUAL_STATUS_LINES = {"HTTP/1.1 200 OK": 200, "HTTP/1.1 204 No Content": 204, "HTTP/1.1 206 Partial Content": 206}
_BLANK = " \t\r"
_SO_RCVTIMEO, _SO_SNDTIMEO, _SOL_SOCKET = (20, 21, 1) if sys.platform == "linux" else (0x1006, 0x1005, 0xFFFF)
_KERNEL_TIMEOUTS = sys.platform in {"linux", "darwin"} and struct.calcsize("ll") == 16
# Some file systems cannot be sent from, and what else is wrong with a file shows when it is read.
_READ_INSTEAD = frozenset({errno.EINVAL, errno.EIO, errno.ENOSYS, errno.EOPNOTSUPP})


class Connection:
    """A socket with the state of its exchange. One thread at a time."""

    __slots__ = (
        "_kernel_sends",
        "_kernel_timeouts",
        "_read_timeout",
        "_release",
        "_sock",
        "_timeout",
        "answered",
        "exchanges",
        "idle_since",
        "reusable",
    )

    def __init__(self, sock: socket.socket, read_timeout: float | None, release: Callable[[Connection], None]) -> None:
        """Take over a connected socket.

        read_timeout: seconds that one send or receive may take. release: is given the connection when an exchange has
        ended well.
        """
        self._sock = sock
        self._release = release
        self._read_timeout = read_timeout
        # With a Python-level timeout every send and recv is two system calls (poll, then the call itself) and two
        # GIL hand-offs. A blocking socket with the kernel's own limits is one: 6.8 -> 5.0 µs of CPU per 1 KiB
        # exchange in one thread, 30 -> 19 µs with 8 threads. TLS sockets retry inside OpenSSL, and the sockets of gevent
        # and its like never block at all, so they keep the Python-level one.
        self._kernel_timeouts = _KERNEL_TIMEOUTS and type(sock).__module__ == "socket"
        self._kernel_sends = self._kernel_timeouts and sys.platform == "linux"
        self._timeout: float | None = -1.0
        # Whether a part of the answer had arrived when the last exchange failed.
        self.answered = False
        self.exchanges = 0
        self.idle_since = 0.0
        self.reusable = True
        self._set_timeout(read_timeout)

    def arm(self, deadline: float | None) -> None:
        """Limit the next send or receive by the idle limit and by what is left of the call's total time."""
        seconds = self._read_timeout
        if deadline is not None:
            left = deadline - monotonic()
            if left <= 0:
                raise DeadlineExceeded("the total time allowed for the call ran out")
            seconds = left if seconds is None or left < seconds else seconds
        if seconds != self._timeout:
            self._set_timeout(seconds)

    def _set_timeout(self, seconds: float | None) -> None:
        self._timeout = seconds
        if self._kernel_timeouts:
            self._sock.settimeout(None)
            # Zero would mean "for ever" to the kernel.
            microseconds = 0 if seconds is None else max(1, int(seconds * 1_000_000))
            value = struct.pack("ll", *divmod(microseconds, 1_000_000))
            self._sock.setsockopt(_SOL_SOCKET, _SO_RCVTIMEO, value)
            self._sock.setsockopt(_SOL_SOCKET, _SO_SNDTIMEO, value)
        else:
            self._sock.settimeout(seconds)

    def exchange(self, request: Request) -> Response:
        """Send the request and read the head of its response; a body that is here already comes with it."""
        self.exchanges += 1
        data = b""
        try:
            self.arm(request.deadline)
            try:
                self._send(request)
            except OSError as error:
                # A server that refuses early closes its side, or stops reading; its reason may be waiting to be read.
                data = self._early_answer(error)
            while True:
                end = data.find(b"\r\n\r\n")
                if end < 0:
                    if data and (rewritten := _with_usual_ends(data)) is not None:
                        data = rewritten
                        continue
                    if len(data) > _HEAD_LIMIT:
                        raise ProtocolError(f"the response head is longer than {_HEAD_LIMIT} bytes")
                    if request.deadline is not None:
                        self.arm(request.deadline)
                    block = self._sock.recv(_FIRST_READ)
                    if not block:
                        raise self._lost(data)
                    data = data + block if data else block
                    continue
                status, headers = parse_head(data[:end])
                rest = data[end + 4 :]
                if 100 <= status < 200:
                    data = rest
                    continue
                return self._response(request, status, headers, rest)
        except BaseException as error:
            self.close()
            self.answered = bool(data)
            if isinstance(error, _BodyFailed):
                raise error.reason from error.reason.__cause__
            if isinstance(error, OSError) and not isinstance(error, TransportError):
                raise self.translated(error, request.deadline) from error
            raise

    def _send(self, request: Request) -> None:
        body = request.body
        lines = [f"{request.method} {request.path}{'?' if request.query else ''}{request.query} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if isinstance(body, bytes):
            length = len(body)
        else:
            length = body.length  # type: ignore[union-attr]  # a client sends an UploadBody, never a BodyStream
        if length or request.method not in _BODILESS:
            lines.append(f"content-length: {length}")
        lines.append(_LAST_LINES)
        head = "\r\n".join(lines).encode("latin-1")
        sock = self._sock
        if isinstance(body, bytes) and length <= _JOINED_BODY:
            sock.sendall(head + body)
            return
        sock.sendall(head)
        if self._kernel_sends and not isinstance(body, bytes):
            ranges = getattr(body, "ranges", None)
            stretches = None if ranges is None else ranges()
            if stretches is not None:
                for stretch in _guarded(stretches):
                    if request.deadline is not None:
                        self.arm(request.deadline)
                    self._send_file(stretch)
                return
        blocks = _slices(memoryview(body)) if isinstance(body, bytes) else _guarded(body.blocks())  # type: ignore[union-attr]
        for block in blocks:
            if request.deadline is not None:
                self.arm(request.deadline)
            sock.sendall(block)

    def _send_file(self, stretch: FileRange) -> None:
        """Have the kernel send it: 1 GiB costs 0.1 s of CPU, through memory of ours 0.35 s."""
        offset, end = stretch.offset, stretch.offset + stretch.length
        while offset < end:
            try:
                sent = os.sendfile(self._sock.fileno(), stretch.descriptor, offset, end - offset)
            except OSError as error:
                if error.errno not in _READ_INSTEAD:
                    raise
                try:
                    data = os.pread(stretch.descriptor, end - offset, offset)
                except OSError as failure:
                    raise _BodyFailed(failure) from None
                self._sock.sendall(data)
                sent = len(data)
            if not sent:
                raise BodyShrunk(f"body became shorter while it was sent: {end - offset} bytes and more are missing")
            offset += sent

    def _early_answer(self, error: OSError) -> bytes:
        if isinstance(error, TransportError) or not self.is_stale():
            raise error
        self.reusable = False
        try:
            data = self._sock.recv(_FIRST_READ)
        except OSError:
            raise error from None
        if not data:
            raise error
        return data

    def _response(self, request: Request, status: int, headers: dict[str, str], rest: bytes) -> Response:
        connection = headers.get("connection")
        if connection is not None and "close" in connection.lower():
            self.reusable = False
        encoding = headers.get("transfer-encoding")
        length = headers.get("content-length")
        if request.method == "HEAD" or status in {204, 304}:
            remaining: int | None = 0
        elif encoding is not None:
            if encoding.lower() != "chunked":
                raise ProtocolError(f"unknown transfer-encoding {encoding!r}")
            return Response(status, headers, ChunkedStream(self, rest, request.deadline))
        elif length is None:
            remaining = None
            self.reusable = False
        elif length.isdecimal() and len(length) < 20:
            remaining = int(length)
        else:
            raise ProtocolError(f"content-length is no number: {length[:40]!r}")
        if remaining is None or (remaining > _FIRST_READ and len(rest) < remaining):
            return Response(status, headers, SizedStream(self, rest, remaining, request.deadline))
        # A small body is taken at once: the connection is free again, however long the caller keeps the result.
        if len(rest) < remaining:
            rest = self._receive_rest(rest, remaining, request.deadline)
        if len(rest) > remaining:
            # Bytes behind the end belong to no request of ours; what follows could not be trusted.
            self.reusable = False
            rest = rest[:remaining]
        self.release()
        return Response(status, headers, rest)

    def _receive_rest(self, data: bytes, length: int, deadline: float | None) -> bytes:
        """At least `length` bytes: asking for more than that shows what does not belong to the body."""
        while len(data) < length:
            block = self.receive(_FIRST_READ, deadline)
            if not block:
                raise TruncatedBody(f"the body ended {length - len(data)} bytes early")
            data += block
        return data

    def release(self) -> None:
        """The exchange has ended well: keep the connection for the next one, or close it when it cannot be kept."""
        if self.reusable:
            self._release(self)
        else:
            self._sock.close()

    def receive_into(self, buffer: memoryview, deadline: float | None) -> int:
        """One receive, straight into the reader's buffer."""
        try:
            if deadline is not None:
                self.arm(deadline)
            return self._sock.recv_into(buffer)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, TransportError):
                raise self.translated(error, deadline) from error
            raise

    def receive(self, size: int, deadline: float | None) -> bytes:
        """One receive of up to `size` bytes."""
        try:
            if deadline is not None:
                self.arm(deadline)
            return self._sock.recv(size)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, TransportError):
                raise self.translated(error, deadline) from error
            raise

    def is_stale(self) -> bool:
        """Whether the peer has closed, or sent bytes that nobody asked for: both make the connection useless."""
        import select

        # What TLS has decrypted already is nothing that the kernel knows of.
        pending = getattr(self._sock, "pending", None)
        if pending is not None and pending():
            return True
        if not hasattr(select, "poll"):
            return bool(select.select([self._sock], [], [], 0)[0])
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the socket; the connection is not used again."""
        self.reusable = False
        self._sock.close()

    def _lost(self, data: bytes) -> TransportError:
        if data:
            return ConnectionLost("the connection ended in the middle of the response head")
        return ConnectionLost("the server closed the connection without an answer")

    def translated(self, error: OSError, deadline: float | None) -> TransportError:
        """The TransportError that says what an error of the socket means."""
        if isinstance(error, (BlockingIOError, TimeoutError)):
            # BlockingIOError is how the kernel's own limit (SO_RCVTIMEO) reports itself, up to a microsecond early.
            if deadline is not None and (self._timeout != self._read_timeout or deadline <= monotonic()):
                return DeadlineExceeded("the total time allowed for the call ran out")
            return TimedOut(f"nothing was sent or received for {self._timeout:g} seconds")
        return ConnectionLost(f"the connection broke: {error.strerror or error}")


class _BodyFailed(Exception):
    """Carries an OSError of the caller's own body past those of the socket."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason


def _guarded(blocks: Iterator[Block]) -> Iterator[Block]:
    try:
        yield from blocks
    except OSError as error:
        raise _BodyFailed(error) from None


def _slices(view: memoryview) -> list[memoryview]:
    return [view[start : start + BLOCK] for start in range(0, len(view), BLOCK)]


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers (lower-case names; repeated ones joined with ", ") of a response head without its end."""
    text = head.decode("latin-1")
    lines = text.split("\r\n")
    status_line = lines[0]
    status = _USUAL_STATUS_LINES.get(status_line) or _read_status_line(status_line)
    del lines[0]
    headers: dict[str, str] = {}
    # The short way is not for tabs, which may fold a line, nor for bytes that strip() would take for space.
    if head.isascii() and "\t" not in text:
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or " " in name or "\n" in value:
                break
            headers[name.lower()] = value.strip()
    if len(headers) != len(lines) or "" in headers:
        headers = _parse_unusual(lines)
    if status_line[7] == "0":
        headers.setdefault("connection", "close")
    return status, headers


def _read_status_line(line: str) -> int:
    code = line[9:12]
    if (
        line[:7] == "HTTP/1."
        and line[8:9] == " "
        and line[12:13] in {"", " "}
        and code.isdecimal()
        and "\n" not in line
    ):
        status = int(code)
        if status >= 100:
            return status
    raise ProtocolError(f"not an HTTP/1 answer: {line[:60]!r}")


def _with_usual_ends(data: bytes) -> bytes | None:
    """The data with a CRLF behind each line of its head, where some end in a bare LF; None while the head is not whole."""
    end = re.search(rb"\n\r?\n", data)
    if end is None:
        return None
    head = data[: end.start()].replace(b"\r\n", b"\n").rstrip(b"\r").replace(b"\n", b"\r\n")
    return head + b"\r\n\r\n" + data[end.end() :]


def _parse_unusual(lines: list[str]) -> dict[str, str]:
    """Folded lines, bare LF, repeated headers, other than ASCII; ProtocolError for a line that is none of these."""
    headers: dict[str, str] = {}
    name = ""
    for line in "\n".join(lines).split("\n"):
        if line[:1] in {" ", "\t"} and name:
            headers[name] = f"{headers[name]} {line.strip(_BLANK)}"
            continue
        field, colon, value = line.partition(":")
        if not colon or not field or " " in field or "\t" in field:
            # To skip it would be to skip a length, or the end of the head, that others may see in it.
            raise ProtocolError(f"the response head has a line that is no header: {line[:40]!r}")
        name, value = field.lower(), value.strip(_BLANK)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    lengths = {part.strip() for part in headers.get("content-length", "").split(",")}
    if len(lengths) > 1:
        # Two lengths are how responses are smuggled (RFC 9112 §6.3).
        raise ProtocolError("the response has two different content-lengths")
    if "content-length" in headers:
        headers["content-length"] = lengths.pop()
    return headers


class _Stream:
    """What both kinds of body share: an end that gives the connection back, and a close that gives it up."""

    __slots__ = ("_buffer", "_connection", "_deadline")

    def __init__(self, connection: Connection, received: bytes, deadline: float | None) -> None:
        self._connection: Connection | None = connection
        self._buffer = received
        self._deadline = deadline

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._buffer or connection.is_stale():
            # Bytes behind the end: see Connection._response. Beside a body that was streamed the poll costs nothing.
            connection.close()
        else:
            connection.release()

    def close(self) -> None:
        """Give up the rest; an unread rest costs the connection, because draining could take for ever."""
        connection, self._connection = self._connection, None
        self._buffer = b""
        if connection is not None:
            connection.close()

    def __del__(self) -> None:
        # A stream that nobody read to its end must not keep its socket.
        self.close()

    def _receive(self, size: int) -> bytes:
        connection = self._connection
        if connection is None:
            # Never b"", which would look like the end.
            raise ConnectionLost("the body was given up before its end")
        return connection.receive(size, self._deadline)


class SizedStream(_Stream):
    """A body of known length, or one that lasts until the connection ends (`remaining` is None)."""

    __slots__ = ("_remaining",)

    def __init__(self, connection: Connection, received: bytes, remaining: int | None, deadline: float | None) -> None:
        super().__init__(connection, received, deadline)
        self._remaining = remaining

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, b"" at the end; a negative size reads to the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        remaining = self._remaining
        if size == 0 or remaining == 0:
            return b""
        if self._buffer:
            block, self._buffer = self._buffer[:size], self._buffer[size:]
        else:
            block = self._receive(size if remaining is None else min(size, remaining))
        return self._account(block)

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of the buffer, 0 at the end; the bytes go from the kernel straight into it."""
        connection = self._connection
        if self._buffer or connection is None or not buffer:
            block = self.read(len(buffer))
            buffer[: len(block)] = block
            return len(block)
        remaining = self._remaining
        if remaining is not None and remaining < len(buffer):
            buffer = buffer[:remaining]
        count = connection.receive_into(buffer, self._deadline)
        self._count(count)
        return count

    def _account(self, block: bytes) -> bytes:
        self._count(len(block))
        return block

    def _count(self, count: int) -> None:
        remaining = self._remaining
        if count == 0:
            self.close()
            if remaining is not None:
                raise TruncatedBody(f"the body ended {remaining} bytes early")
            self._remaining = 0
            return
        if remaining is None:
            return
        self._remaining = remaining - count
        if self._remaining == 0:
            self._finish()


class ChunkedStream(_Stream):
    """A body in chunked transfer coding (RFC 9112 §7.1); trailers are read and dropped."""

    __slots__ = ("_chunk", "_ended", "_start")

    def __init__(self, connection: Connection, received: bytes, deadline: float | None) -> None:
        super().__init__(connection, received, deadline)
        self._chunk = 0
        self._ended = False
        # Where in the buffer the bytes begin that were not read yet: cutting the buffer would copy it for every chunk.
        self._start = 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, b"" at the end; a negative size reads to the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        if size == 0 or self._ended:
            return b""
        if self._chunk == 0 and not self._next_chunk():
            return b""
        start = self._start
        if start >= len(self._buffer):
            self._fill()
            start = 0
        block = self._buffer[start : start + min(size, self._chunk)]
        self._start = start + len(block)
        self._chunk -= len(block)
        if self._chunk == 0 and (line := self._line()):
            raise self._refused(f"a chunk is followed by {line[:20]!r}")
        return block

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of the buffer; 0 at the end."""
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def _next_chunk(self) -> bool:
        size_text = self._line().partition(b";")[0].strip()
        if not size_text or len(size_text) > 16 or size_text.strip(b"0123456789abcdefABCDEF"):
            raise self._refused(f"not a chunk size: {size_text[:20]!r}")
        self._chunk = int(size_text, 16)
        if self._chunk:
            return True
        room = _HEAD_LIMIT
        while trailer := self._line():
            room -= len(trailer)
            if room < 0:
                raise self._refused(f"the trailers are longer than {_HEAD_LIMIT} bytes")
        self._ended = True
        self._buffer = self._buffer[self._start :]
        self._finish()
        return False

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n", self._start)) < 0:
            if len(self._buffer) - self._start > _HEAD_LIMIT:
                raise self._refused("a chunk line without end")
            self._fill()
        line = self._buffer[self._start : end]
        self._start = end + 1
        return line.removesuffix(b"\r")

    def _fill(self) -> None:
        """Receive more behind what was not read yet."""
        block = self._receive(BLOCK)
        if not block:
            self.close()
            raise TruncatedBody("the body ended in the middle of a chunk")
        self._buffer = self._buffer[self._start :] + block
        self._start = 0

    def _refused(self, reason: str) -> ProtocolError:
        self.close()
        return ProtocolError(reason)
