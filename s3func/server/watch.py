"""What stands around a server that is watched: it lets requests go wrong, and keeps the journal.

Rule 1: a server without faults and without a journal has none of this; it costs nothing then.
Rule 2: what a fault does to a request is the same for every provider; how a refusal or a spoiled answer is written is
        the provider's (`Provider`).
Rule 3: a connection that is to break off is a ConnectionLost here: a session in the same process gets it as from a
        pool of connections, a listener turns it into a reset.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, Protocol

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import ConnectionLost, TruncatedBody
from s3func.message import BLOCK, BodyStream, Request, Response, UploadBody
from s3func.server.control import PREFIX, Control
from s3func.server.faults import Fault, Faults
from s3func.server.journal import Journal
from s3func.server.refusal import Refusal


class Place(NamedTuple):
    """What a request is about: the operation's name, "" for none that there is, bucket and key, and the query."""

    operation: str
    bucket: str
    key: str
    query: Mapping[str, str]


class Provider(Protocol):
    """What a watched server does itself."""

    @property
    def operations(self) -> Collection[str]:
        """The names that its operations have."""

    @property
    def listings(self) -> Collection[str]:
        """Those of them whose answers come in pages."""

    def place(self, request: Request, mount: str) -> Place:
        """What a request is about; whatever the request may be, this does not raise."""

    def carry_out(self, request: Request, mount: str) -> Response:
        """Answer as if nobody watched."""

    def refuse(self, request: Request, mount: str, fault: Fault) -> Response:
        """Answer without having done anything: see `Fault.is_refusal`."""

    def spoil(self, request: Request, mount: str, response: Response, fault: Fault) -> Response:
        """Make a wrong answer of a right one: a listing that is none, a checksum of something else."""


class Watch:
    """Carries requests out and lets them go wrong. Safe from many threads at once."""

    def __init__(
        self, provider: Provider, clock: Clock, journal: Journal | None = None, *, control: bool = False
    ) -> None:
        """Without a journal nothing is recorded. control: faults and the journal can be had over HTTP."""
        self._provider = provider
        self._clock = clock
        if control and journal is None:
            journal = Journal()
        self.journal = journal
        self.faults = Faults(provider.operations, provider.listings)
        self._control = Control(self.faults, journal) if control and journal is not None else None

    def handle(self, request: Request, mount: str) -> Response:
        """Answer, or break off: ConnectionLost."""
        if self.journal is None and not self.faults:
            return self._provider.carry_out(request, mount)
        place = self._provider.place(request, mount)
        if self._control is not None and not place.bucket:
            path = request.path.removeprefix(mount) if request.path.startswith(f"{mount}/") else request.path
            if path.startswith(PREFIX):
                return self._control.handle(request, path)
        fault = self.faults.take(place.operation, place.bucket, place.key)
        if self.journal is None:
            return self._answer(request, mount, fault)
        begun, monotonic = self._clock.now(), self._clock.monotonic()
        response: Response | None = None
        try:
            response = self._answer(request, mount, fault)
        finally:
            self.journal.record(
                time=begun,
                seconds=self._clock.monotonic() - monotonic,
                operation=place.operation,
                method=request.method,
                bucket=place.bucket,
                key=place.key,
                query=place.query,
                status=0 if response is None else response.status,
                code=response.code if isinstance(response, Refusal) else "",
                bytes_in=_length(request.headers, request.body),
                bytes_out=None if response is None else _length(response.headers, response.body),
                fault="" if fault is None else str(fault),
                request_id="" if response is None else response.headers.get("x-amz-request-id", ""),
            )
        return response

    def _answer(self, request: Request, mount: str, fault: Fault | None) -> Response:
        if fault is None:
            return self._provider.carry_out(request, mount)
        if fault.delay:
            self._wait(fault.delay)
        if fault.is_refusal:
            return self._provider.refuse(request, mount, fault)
        if fault.reset == "before":
            raise ConnectionLost("the connection was reset before the request was carried out")
        if fault.cut_request is not None:
            return self._break_off(request, mount, fault.cut_request)
        response = self._provider.carry_out(request, mount)
        if fault.reset == "after":
            response.close()
            raise ConnectionLost("the connection was reset after the request had been carried out")
        if fault.cut_answer is not None:
            return _cut(response, fault.cut_answer)
        return response if fault.answer is None else self._provider.spoil(request, mount, response, fault)

    def _wait(self, seconds: float) -> None:
        # A clock of a test's own is not waited for; the real one is, but no longer than the fault exists.
        if self._clock is SYSTEM_CLOCK:
            self.faults.wait(seconds)
        else:
            self._clock.sleep(seconds)

    def _break_off(self, request: Request, mount: str, size: int) -> Response:
        """Lose the connection while the request's body is read. An answer that was given before stays one."""
        length = _length(request.headers, request.body)
        if length is not None:
            size = min(size, length - 1)
        if size < 0:
            raise ConnectionLost("the connection was reset before the request was carried out")
        body = request.body
        error = ConnectionLost("the connection was reset in the middle of the request's body")
        cut: _CutUpload | _CutStream
        if isinstance(body, bytes | UploadBody):
            cut = _CutUpload(body, size, error)
        else:
            cut = _CutStream(body, size, error)
        request.body = cut
        try:
            response = self._provider.carry_out(request, mount)
        finally:
            request.body = body
        if cut.is_cut:
            response.close()
            raise error
        return response


def _length(headers: Mapping[str, str], body: bytes | UploadBody | BodyStream) -> int | None:
    """How long a body is by what is said about it."""
    if isinstance(body, bytes):
        return len(body)
    if isinstance(body, UploadBody):
        return body.length
    declared = headers.get("content-length", "")
    if declared.isdecimal():
        return int(declared)
    return None if "transfer-encoding" in headers else 0


def _cut(response: Response, size: int) -> Response:
    length = _length(response.headers, response.body)
    if length is not None:
        size = min(size, length - 1)
    if size < 0:
        response.close()
        raise ConnectionLost("the connection was reset after the request had been carried out")
    whole = io.BytesIO(response.body) if isinstance(response.body, bytes) else response.body
    response.body = _CutStream(whole, size, TruncatedBody("the connection was closed in the middle of the body"))
    return response


class _CutStream:
    """The beginning of a body, and then what is raised in place of the rest."""

    def __init__(self, body: BodyStream, size: int, error: ConnectionLost) -> None:
        self._body = body
        self._left = size
        self._error = error
        self.is_cut = False

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            self.is_cut = True
            raise self._error
        block = self._body.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(block)
        return block

    def readinto(self, buffer: memoryview) -> int:
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._body.close()


class _CutUpload:
    """The same of a body that a client in this process, or a listener that collected it, has as a whole."""

    replayable = False

    def __init__(self, body: bytes | UploadBody, size: int, error: ConnectionLost) -> None:
        self._body = body
        self._left = size
        self._error = error
        self.length = len(body) if isinstance(body, bytes) else body.length
        self.is_cut = False

    def blocks(self) -> Iterator[bytes | memoryview]:
        blocks = _in_blocks(self._body) if isinstance(self._body, bytes) else self._body.blocks()
        for block in blocks:
            if not self._left:
                break
            part = memoryview(block).cast("B")[: self._left]
            self._left -= len(part)
            yield part
        self.is_cut = True
        raise self._error


def _in_blocks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), BLOCK):
        yield body[start : start + BLOCK]
