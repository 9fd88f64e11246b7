"""S3App as an ASGI application: what is between an HTTP server's events and a function from Request to Response.

Rule 1: nothing of a body is read before the app asks for it, so an early refusal answers `Expect: 100-continue` itself.
        Short bodies without that header are collected first; then no thread ever waits for a slow sender of one.
Rule 2: bodies move in blocks both ways, and whoever is slower sets the pace: memory does not grow with an object.
Rule 3: threads that wait for uploads are not the threads that answer, so slow senders cannot starve readers.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from s3func.errors import ConnectionLost, ServerError, ServiceError, TimedOut
from s3func.message import BLOCK, BodyStream, Request, Response
from s3func.server.powers import Grouping
from s3func.wire.encoding import encode_path

if TYPE_CHECKING:
    from s3func.server.app import S3App

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Work = Callable[[], Response | None]
"""Answers a request; None where the connection shall break off instead."""
Done = Callable[[Response | None], None]

COLLECTED_BYTES = 64 * 1024
"""Bodies up to this length are collected before the app is called."""
WINDOW_BYTES = 4 * BLOCK
"""What may have arrived of a long body without the app having read it."""
SMALL_BYTES = 16 * 1024
"""Bodies up to this length are stored together with others."""
_TOGETHER_MAX = 64
_READS = frozenset({"GET", "HEAD"})
_CHANGES = frozenset({"PUT", "DELETE"})
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024 * 1024
"""How long, and how much of, a body that nobody wants is read, so that its sender gets to see the answer."""


class ASGIApp:
    """An ASGI application that answers with an S3App: `uvicorn.run(app)`, `starlette_app.mount("/s3", app)`.

    What a store does at once, all of memory's operations and the reads of small bodies, is carried out by the event loop
    itself; handing a request to a thread and back costs 30 µs of CPU. Changes of a store on disk wait for the disk, so
    they go to a thread: one slow fsync must not keep every connection waiting.
    """

    def __init__(self, app: S3App, *, threads: int = 16, uploads: int = 64, idle_seconds: float = 60.0) -> None:
        """Answer with `app`.

        threads: how many operations run at a time. uploads: how many long bodies are received at a time.
        idle_seconds: how long a sender may send nothing in the middle of a body.
        """
        self.app = app
        self._idle_seconds = idle_seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="s3func-server")
        self._uploads = ThreadPoolExecutor(uploads, thread_name_prefix="s3func-upload")
        self._changes = _Changes(app, app.backend) if isinstance(app.backend, Grouping) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; the store is closed when the server that runs this application shuts down."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            raise ValueError(f"an S3 server does not speak {scope['type']}")

    def close(self) -> None:
        """Close the store, and wait for operations that are under way."""
        self.app.release()
        if self._changes is not None:
            self._changes.close()
        self._uploads.shutdown(cancel_futures=True)
        self._threads.shutdown(cancel_futures=True)
        self.app.close()

    def answers_at_once(self, request: Request) -> bool:
        """Whether the event loop shall carry this request out by itself, because nothing that it does takes long."""
        if not self.app.may_block:
            return True
        return request.method in _READS and not request.query and self.app.reads_at_once

    def submit(self, request: Request, work: Work, done: Done) -> None:
        """Let a thread answer the request; `done` is called by the event loop."""
        if self._changes is not None and _is_small_change(request) and self.app.reads_at_once:
            self._changes.submit(request, work, done)
            return
        loop = asyncio.get_running_loop()
        self._threads.submit(lambda: _deliver(loop, [(done, work())]))

    def read(self, body: BodyStream) -> asyncio.Future[bytes]:
        """The next block of a body that may have to be waited for."""
        return asyncio.get_running_loop().run_in_executor(self._threads, body.read, BLOCK)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        headers = headers_of(scope["headers"])
        intake: Intake | None = None
        body: bytes | BodyStream
        if "content-length" in headers and is_short(headers):
            collected = await _collect(receive)
            if collected is None:
                return
            body = collected
        elif "content-length" in headers or "transfer-encoding" in headers:
            body = intake = Intake(receive, loop, self._idle_seconds, expects="expect" in headers)
        else:
            body = NO_BODY
        request = Request(
            scope["method"],
            f"{scope.get('scheme', 'http')}://{headers.get('host', '')}",
            (scope.get("raw_path") or encode_path(scope["path"]).encode()).decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            headers,
            body,
            peer=(scope.get("client") or ("",))[0] or "",
        )
        mount = scope.get("root_path", "")
        inline = not self.app.may_block
        try:
            if intake is not None:
                response = await loop.run_in_executor(self._uploads, self._handle, request, mount)
            elif inline:
                response = self._handle(request, mount)
            else:
                response = await loop.run_in_executor(self._threads, self._handle, request, mount)
            await self._respond(response, intake, receive, send, inline=inline)
        except (ConnectionLost, TimedOut):
            # Nothing can be answered any more; a server that lets us says so with a reset.
            reset = scope.get("extensions", {}).get("s3func.reset")
            if reset is None:
                raise
            reset["reset"]()
            if intake is not None:
                intake.close()
            # Until the end is noticed, returning without an answer would be taken for a mistake.
            await _disconnected(receive)
        finally:
            if intake is not None:
                intake.close()

    def _handle(self, request: Request, mount: str) -> Response:
        return self.app.handle(request, mount=mount)

    async def _respond(
        self, response: Response, intake: Intake | None, receive: Receive, send: Send, *, inline: bool
    ) -> None:
        unread = intake is not None and not intake.is_complete
        if unread:
            response.headers["connection"] = "close"
        head = [(name.encode("latin-1"), value.encode()) for name, value in response.headers.items()]
        try:
            await send({"type": "http.response.start", "status": response.status, "headers": head})
            if not isinstance(response.body, bytes):
                await self._stream(response.body, receive, send, inline=inline)
            elif intake is not None and unread and not intake.is_awaited:
                await send({"type": "http.response.body", "body": response.body, "more_body": True})
                # Closing with bytes unread would reset the connection, and the sender might lose the answer with it.
                await intake.drain()
                await send({"type": "http.response.body", "body": b""})
            else:
                await send({"type": "http.response.body", "body": response.body})
        finally:
            response.close()

    async def _stream(self, body: BodyStream, receive: Receive, send: Send, *, inline: bool) -> None:
        loop = asyncio.get_running_loop()
        # Sending to a peer that has gone is silent in ASGI; only listening for it tells.
        gone = loop.create_task(_disconnected(receive))
        try:
            while not gone.done():
                block = body.read(BLOCK) if inline else await loop.run_in_executor(self._threads, body.read, BLOCK)
                await send({"type": "http.response.body", "body": block, "more_body": bool(block)})
                if not block:
                    break
        finally:
            gone.cancel()


class _Changes:
    """Small changes of a store, taken from the event loop and made together by one thread.

    Each in a thread of its own, and the threads taking turns, a 1 KiB PUT cost 190 µs of CPU with eight clients, and
    the index was written once for two of them; together they cost 110.
    """

    def __init__(self, app: S3App, store: Grouping) -> None:
        self._app = app
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="s3func-changes")
        self._waiting: deque[tuple[Request, Work, Done]] = deque()
        self._mutex = threading.Lock()
        self._busy = False

    def submit(self, request: Request, work: Work, done: Done) -> None:
        """Take a change; called by the event loop."""
        with self._mutex:
            self._waiting.append((request, work, done))
            if self._busy:
                return
            self._busy = True
        self._thread.submit(self._run, asyncio.get_running_loop())

    def close(self) -> None:
        """Wait for the changes that were taken."""
        self._thread.shutdown()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._mutex:
                changes = [self._waiting.popleft() for _ in range(min(len(self._waiting), _TOGETHER_MAX))]
                self._busy = bool(changes)
            if not changes:
                return
            try:
                answers = self._store.together([work for _, work, _ in changes])
            except Exception as error:  # noqa: BLE001 -- whatever it was, each of them has to be answered
                fault = error if isinstance(error, ServiceError) else ServerError(f"The store failed: {error}")
                answers = [self._app.refuse(request, fault) for request, _, _ in changes]
            _deliver(loop, [(done, answer) for (_, _, done), answer in zip(changes, answers, strict=True)])


def _deliver(loop: asyncio.AbstractEventLoop, answers: Sequence[tuple[Done, Response | None]]) -> None:
    """Hand answers to the event loop."""

    def deliver() -> None:
        for done, answer in answers:
            done(answer)

    try:
        loop.call_soon_threadsafe(deliver)
    except RuntimeError:
        # The loop has ended: nobody is there to be answered.
        for _, answer in answers:
            if answer is not None:
                answer.close()


def _is_small_change(request: Request) -> bool:
    """Whether the request is a PUT of a small object or a DELETE, which take no longer than a page of the index."""
    if request.method not in _CHANGES or request.query or "x-amz-copy-source" in request.headers:
        return False
    return not isinstance(request.body, bytes) or len(request.body) <= SMALL_BYTES


class Intake:
    """The body of one request on its way from the event loop, which receives it, to the thread that reads it."""

    def __init__(
        self, receive: Receive, loop: asyncio.AbstractEventLoop, idle_seconds: float, *, expects: bool = False
    ) -> None:
        """`expects`: the sender waits for a 100 Continue, which the first read brings about."""
        self._expects = expects
        self._receive = receive
        self._loop = loop
        self._idle_seconds = idle_seconds
        self._pump: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        # Under the condition: what has arrived, how the body ended, how many bytes the reader waits for.
        self._changed = threading.Condition()
        self._blocks: deque[bytes] = deque()
        self._held = 0
        self._wanted = 0
        self._complete = False
        self._lost = False
        self._discarding = False
        self._started = False

    @property
    def is_complete(self) -> bool:
        """Whether all of the body has been received."""
        return self._complete

    @property
    def is_awaited(self) -> bool:
        """Whether the sender still waits to be told to begin, so that nothing of the body is on its way."""
        return self._expects and not self._started

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, and fewer only at the end; for the thread that works on the request.

        ConnectionLost when the sender is gone before the end, TimedOut when it sends nothing for too long.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(WINDOW_BYTES), b""))
        if not self._started:
            self._started = True
            self._loop.call_soon_threadsafe(self._start)
        with self._changed:
            self._wanted = min(size, WINDOW_BYTES)
            held = -1
            while self._held < self._wanted and not (self._complete or self._lost):
                if held == self._held:
                    raise TimedOut(f"no byte of the body arrived for {self._idle_seconds} seconds")
                held = self._held
                self._changed.wait(self._idle_seconds)
            if self._lost and self._held < self._wanted:
                raise ConnectionLost("the connection was closed in the middle of the body")
            block = self._take(self._wanted)
            self._wanted = 0
        return block

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of the buffer; 0 at the end."""
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Give up the rest; called by the event loop when the request is over."""
        if self._pump is not None:
            self._pump.cancel()
        with self._changed:
            self._lost = True
            self._blocks.clear()
            self._held = 0
            self._changed.notify()

    async def drain(self) -> None:
        """Receive and throw away what is left of the body, within limits."""
        with self._changed:
            self._discarding = True
            self._blocks.clear()
            self._held = 0
        self._room.set()
        self._start()
        if self._pump is not None:
            await asyncio.wait([self._pump], timeout=LINGER_SECONDS)

    def _start(self) -> None:
        if self._pump is None:
            self._pump = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._receive_all()
        finally:
            with self._changed:
                # Once given up it stays so: a reader must never take a part of the body for the whole.
                self._lost = self._lost or not self._complete
                self._changed.notify()

    async def _receive_all(self) -> None:
        discarded = 0
        while not (self._complete or self._lost):
            message = await self._receive()
            block = message.get("body", b"")
            with self._changed:
                if message["type"] == "http.disconnect":
                    self._lost = True
                elif not message.get("more_body", False):
                    self._complete = True
                if self._discarding:
                    discarded += len(block)
                elif block:
                    self._blocks.append(block)
                    self._held += len(block)
                # Waking the reader for every 64 KiB would cost more than copying them.
                if self._held >= self._wanted or self._complete or self._lost:
                    self._changed.notify()
                full = self._held >= WINDOW_BYTES
                if full:
                    self._room.clear()
            if discarded > LINGER_BYTES:
                return
            if full:
                await self._room.wait()

    def _take(self, size: int) -> bytes:
        full = self._held >= WINDOW_BYTES
        taken: list[bytes] = []
        while size and self._blocks:
            block = self._blocks.popleft()
            if len(block) > size:
                self._blocks.appendleft(block[size:])
                block = block[:size]
            taken.append(block)
            size -= len(block)
            self._held -= len(block)
        if full and self._held < WINDOW_BYTES:
            self._loop.call_soon_threadsafe(self._room.set)
        return taken[0] if len(taken) == 1 else b"".join(taken)


class NoBody:
    """What a request without Content-Length and Transfer-Encoding has."""

    def read(self, size: int = -1) -> bytes:
        return b""

    def readinto(self, buffer: memoryview) -> int:
        return 0

    def close(self) -> None:
        """Nothing to give up."""


NO_BODY = NoBody()


def headers_of(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers of a request, whose names are in lower case already; a repeated one is joined with a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name = raw_name.decode("latin-1")
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def is_short(headers: dict[str, str]) -> bool:
    """Whether the body is here already or soon, so that nobody has to wait for it: short, and not to be asked for."""
    if "expect" in headers or "transfer-encoding" in headers:
        return False
    length = headers.get("content-length")
    # The HTTP parser has let only digits through.
    return length is None or (len(length) < 10 and int(length) <= COLLECTED_BYTES)


async def _collect(receive: Receive) -> bytes | None:
    """The whole body; None when its sender is gone."""
    blocks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        blocks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return blocks[0] if len(blocks) == 1 else b"".join(blocks)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
