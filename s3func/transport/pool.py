"""Connections, kept and shared: a Transport over sockets and urllib3.

The only file that imports urllib3, and it does so on the first TLS or proxied connection: the import costs 65 ms,
three times what a process needs from its start to its first finished put over plain http.
An idle connection is taken from and put back on a deque, whose ends are atomic, so threads never queue for a lock.
The pool never blocks: when all kept connections are busy (or held by streams that nobody reads) it opens another.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, cast
from weakref import WeakSet, finalize

from s3func.errors import ConnectError, DeadlineExceeded, TimedOut, TransportError
from s3func.message import Request
from s3func.transport.connection import Connection
from s3func.transport.network import DIRECT, Network, Proxy
from s3func.transport.timeouts import Timeouts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from s3func.message import Response

# A forked child shares its parent's sockets: it must forget them, or two processes talk over one connection.
_pools: WeakSet[Pool] = WeakSet()


def _forget_connections() -> None:
    for pool in list(_pools):
        # Closing only lowers the count of the shared descriptor: the parent's connection stays open.
        pool.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_connections)

# An idle connection younger than this is used without asking the kernel whether the peer has closed it.
_TRUSTED_IDLE_SECONDS = 0.5


class _Shelf:
    """The idle connections of one origin; it knows nothing of the pool, so that a forgotten pool is no circle."""

    __slots__ = ("connections", "is_open", "limit")

    def __init__(self, limit: int) -> None:
        self.connections: deque[Connection] = deque()
        self.limit = limit
        self.is_open = True

    def put_back(self, connection: Connection) -> None:
        """Keep a connection for the next request; a full shelf, or one that was closed, closes it."""
        if len(self.connections) >= self.limit:
            connection.close()
            return
        connection.idle_since = monotonic()
        self.connections.append(connection)
        if not self.is_open:
            # Asked last: close() may have come in between.
            self.clear()

    def clear(self) -> None:
        """Close the connections."""
        while self.connections:
            try:
                self.connections.pop().close()
            except IndexError:
                return


def _close_shelves(shelves: dict[str, _Shelf]) -> None:
    while shelves:
        try:
            _, shelf = shelves.popitem()
        except KeyError:
            return
        shelf.is_open = False
        shelf.clear()


class _Forwarded(Connection):
    """A connection to a proxy that forwards plain http: it is told the whole address of each request."""

    __slots__ = ("_authorization",)

    def __init__(
        self,
        sock: socket.socket,
        read_timeout: float | None,
        release: Callable[[Connection], None],
        authorization: str,
    ) -> None:
        super().__init__(sock, read_timeout, release)
        self._authorization = authorization

    def _send(self, request: Request) -> None:
        headers = request.headers
        if self._authorization:
            headers = {**headers, "proxy-authorization": self._authorization}
        address = f"{request.origin}{request.path}"
        super()._send(
            Request(request.method, request.origin, address, request.query, headers, request.body, request.deadline)
        )


class Pool:
    """A Transport that keeps connections alive, per origin; safe for threads and for fork."""

    def __init__(
        self,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 -- immutable
        *,
        max_connections: int = 10,
        network: Network = DIRECT,
    ) -> None:
        """max_connections: idle connections kept per origin; more than that may be open at a time. network: the way out."""
        self.timeouts = timeouts
        self.max_connections = max_connections
        self.network = network
        self._shelves: dict[str, _Shelf] = {}
        self._tls: ssl.SSLContext | None = None
        _pools.add(self)
        finalize(self, _close_shelves, self._shelves)

    def __call__(self, request: Request) -> Response:
        """Send on an idle connection, else on a new one; see message.Transport."""
        if request.deadline is not None and request.deadline <= monotonic():
            raise DeadlineExceeded("the total time allowed for the call ran out")
        try:
            shelf = self._shelves[request.origin]
        except KeyError:
            shelf = self._shelves.setdefault(request.origin, _Shelf(self.max_connections))
        connection = self._take(shelf.connections, request) or self._connect(request, shelf)
        reused = connection.exchanges > 0
        try:
            return connection.exchange(request)
        except TransportError as error:
            error.maybe_applied = True
            if reused and not connection.answered and not isinstance(error, TimedOut):
                # The peer has probably closed all of its idle connections; the next attempt gets a fresh one.
                error.stale_connection = True
                shelf.clear()
            raise

    def _take(self, idle: deque[Connection], request: Request) -> Connection | None:
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                return None
            body = request.body
            replayable = type(body) is bytes or body.replayable  # type: ignore[union-attr]  # see Connection._send
            if replayable and monotonic() - connection.idle_since < _TRUSTED_IDLE_SECONDS:
                return connection
            if not connection.is_stale():
                return connection
            connection.close()

    def _connect(self, request: Request, shelf: _Shelf) -> Connection:
        origin = request.origin
        timeout = self.timeouts.connect
        if request.deadline is not None:
            left = max(request.deadline - monotonic(), 0.001)
            timeout = left if timeout is None or left < timeout else timeout
        scheme, host, port = split_origin(origin)
        proxy = self.network.proxy_for(scheme, host, port)
        through = "" if proxy is None else f" through the proxy {proxy}"
        try:
            if proxy is not None and scheme == "https":
                sock = self._connect_tls(host, port, timeout, proxy)
            else:
                if proxy is not None:
                    scheme, host, port = proxy.scheme, proxy.host, proxy.port
                connect = self._connect_tls if scheme == "https" else _connect_plain
                sock = connect(host, port, timeout)
            try:
                if proxy is not None and origin.startswith("http:"):
                    return _Forwarded(sock, self.timeouts.read, shelf.put_back, proxy.authorization)
                return Connection(sock, self.timeouts.read, shelf.put_back)
            except BaseException:
                sock.close()
                raise
        except TimeoutError as error:
            raise TimedOut(f"no connection to {origin}{through} within {timeout:g} seconds") from error
        except OSError as error:
            raise ConnectError(f"no connection to {origin}{through}: {error.strerror or error}") from error
        except UnicodeError as error:
            raise ConnectError(f"no connection to {origin}{through}: not a host name") from error

    def _connect_tls(self, host: str, port: int, timeout: float | None, proxy: Proxy | None = None) -> socket.socket:
        from urllib3.connection import HTTPSConnection, ProxyConfig
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
        from urllib3.util.ssl_ import create_urllib3_context
        from urllib3.util.url import Url

        if self._tls is None:
            # Reading the machine's certificates costs 20 ms, so it is done once per pool.
            context = create_urllib3_context()
            bundle = self.network.ca_bundle
            if bundle is None:
                context.load_default_certs()
            elif os.path.isdir(bundle):
                context.load_verify_locations(capath=bundle)
            else:
                context.load_verify_locations(cafile=bundle)
            self._tls = context
        connection = HTTPSConnection(
            host if proxy is None else proxy.host,
            port if proxy is None else proxy.port,
            timeout=timeout,
            ssl_context=self._tls,
            cert_reqs="CERT_REQUIRED",
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            proxy=None if proxy is None else Url(proxy.scheme, None, proxy.host, proxy.port),
            proxy_config=None if proxy is None else ProxyConfig(self._tls, False, None, None),
        )
        if proxy is not None:
            headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
            connection.set_tunnel(host, port, headers, proxy.scheme)
        try:
            connection.connect()
        except NewConnectionError as error:
            # A ConnectTimeoutError by descent only: it stands for a refusal or for a name that is not known.
            reason = error.__cause__
            raise (reason if isinstance(reason, OSError) else OSError(str(error))) from None
        except ConnectTimeoutError as error:
            raise TimeoutError from error
        except HTTPError as error:
            raise OSError(str(error)) from error
        return cast("socket.socket", connection.sock)

    def close(self) -> None:
        """Close the idle connections; those in use close when they are given back or dropped."""
        _close_shelves(self._shelves)


def split_origin(origin: str) -> tuple[str, str, int]:
    """Scheme, host (without the brackets of IPv6) and port of an origin."""
    scheme, _, authority = origin.partition("://")
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return scheme, authority.strip("[]"), 443 if scheme == "https" else 80
    return scheme, host.strip("[]"), int(port)


def _connect_plain(host: str, port: int, timeout: float | None) -> socket.socket:
    # As text, a name goes through the IDNA codec, whose import is 0.7 ms of the 17 from the start to the first put.
    name = host.encode("ascii") if host.isascii() else host
    sock = socket.create_connection((name, port), timeout)  # type: ignore[arg-type]  # getaddrinfo takes bytes as well
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    return sock
