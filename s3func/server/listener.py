"""The server on a port: uvicorn in a thread (Listener) or in the foreground (serve), ended without leaving anything open.

uvicorn is imported when a port is opened, not before: the rest of the server works without it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from s3func.server.asgi import ASGIApp

if TYPE_CHECKING:
    from s3func.server.app import S3App


class Listener:
    """The app on a port, served by a thread: `with Listener(app) as listener: listener.endpoint_url`."""

    def __init__(
        self, app: S3App | ASGIApp, host: str = "127.0.0.1", port: int = 0, *, grace_seconds: float = 1.0
    ) -> None:
        """Nothing is opened yet. port: 0 takes a free one. grace_seconds: what requests get to end at `stop`."""
        self._asgi = app if isinstance(app, ASGIApp) else ASGIApp(app)
        self.host = host
        self.port = port
        self._grace_seconds = grace_seconds
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint_url(self) -> str:
        """Where the server is."""
        return _url(self.host, self.port)

    def start(self) -> Self:
        """Open the port and answer from now on; OSError when it is taken, ImportError without uvicorn."""
        if self._thread is not None:
            raise RuntimeError("the listener has been started already")
        bound = _bind(self.host, self.port)
        ready = threading.Event()
        try:
            server = _server(self._asgi, self._grace_seconds, ready.set)
        except BaseException:
            bound.close()
            raise
        self.port = bound.getsockname()[1]

        def run() -> None:
            try:
                server.run(sockets=[bound])
            finally:
                bound.close()
                ready.set()

        self._server = server
        self._thread = threading.Thread(target=run, name="s3func-listener", daemon=True)
        self._thread.start()
        ready.wait()
        if not server.started:
            self.stop()
            raise RuntimeError("the server did not start; its log says why")
        return self

    def stop(self) -> None:
        """Close the port, let requests end for `grace_seconds`, break off the others, close the store."""
        thread, self._thread = self._thread, None
        if thread is not None and self._server is not None:
            self._server.end()
            thread.join()
        self._asgi.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(
    app: S3App | ASGIApp,
    host: str = "127.0.0.1",
    port: int = 10001,
    *,
    grace_seconds: float = 5.0,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then close the store and return; a second signal does not wait for requests.

    `ready` is called with the endpoint's URL as soon as requests are answered. OSError when the port is taken.
    """
    asgi = app if isinstance(app, ASGIApp) else ASGIApp(app)
    try:
        with _bind(host, port) as bound:
            url = _url(host, bound.getsockname()[1])
            _server(asgi, grace_seconds, lambda: ready(url) if ready else None).run(sockets=[bound])
    finally:
        asgi.close()


class _Server(Protocol):
    """What is used of a uvicorn.Server."""

    started: bool

    def run(self, sockets: list[socket.socket]) -> None: ...

    def end(self) -> None: ...


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )[0]
    # The protocol must be said: asyncio turns Nagle's algorithm off only for sockets that name TCP, and with it every
    # answer in two parts waits 40 ms for an acknowledgement.
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(2048)
    except BaseException:
        bound.close()
        raise
    return bound


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(asgi: ASGIApp, grace_seconds: float, ready: Callable[[], object]) -> _Server:
    """uvicorn, with an end that leaves nothing open."""
    try:
        import uvicorn

        from s3func.server.protocol import Connection
    except ImportError as error:
        raise ImportError("serving on a port needs the extra: pip install 's3func[server]'") from error

    class Server(uvicorn.Server):
        """Says when it is ready, ends at once when told to, keeps signals to itself, and leaves no connection open."""

        loop: asyncio.AbstractEventLoop | None = None

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            self.ending = asyncio.Event()
            self.loop = asyncio.get_running_loop()
            await super().startup(sockets)
            ready()

        async def main_loop(self) -> None:
            # In place of looking ten times a second whether it is time to end.
            if not self.should_exit:
                await self.ending.wait()

        def end(self) -> None:
            self.should_exit = True
            if self.loop is not None and not self.loop.is_closed():
                self.loop.call_soon_threadsafe(self.ending.set)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            asgi.app.release()
            # Breaking the connections off ends the requests in order; uvicorn's own way, cancelling them, is the last.
            timer = asyncio.get_running_loop().call_later(grace_seconds, self.break_off)
            await super().shutdown(sockets)
            timer.cancel()
            self.break_off()

        def break_off(self) -> None:
            for connection in list(self.server_state.connections):
                connection.transport.abort()

        def handle_exit(self, sig: int, frame: Any) -> None:
            # uvicorn would raise the signal again when all is done, and so end the process before the store is closed.
            self.force_exit = self.should_exit
            self.end()

    config = uvicorn.Config(
        asgi,
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(grace_seconds) + 10,
    )
    return Server(config)
