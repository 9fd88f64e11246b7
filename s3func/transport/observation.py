"""Attempt: what one try of one request was, for whoever counts or traces them; and what tells them of it.

Imported where somebody wants to know: a session that was given on_attempt, or that is made while the logger "s3func" is
at DEBUG. Rule 1: nothing secret is in an Attempt; neither the query nor a header is. Rule 2: what the observer raises
never becomes the failure of the call, which may have changed something at the store.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from s3func.transport.client import wants_lines

if TYPE_CHECKING:
    from s3func.errors import S3FuncError
    from s3func.message import Request, Response, Transport
    from s3func.transport.client import Authorizer


class Attempt(NamedTuple):
    """One request as it was tried, and what became of it.

    operation: the store's own name ("PutObject", "b2_upload_file"). method, url: without the query. attempt: from 1;
    what is mended and sent again at once has the number of the attempt that it mends. status: 0 where no answer came.
    seconds: from sending to the end of what is read at once, which of a streamed body is its head. bytes_sent,
    bytes_received: lengths of the bodies, as far as they are known; a streamed body's as it was announced. error: the
    name of its class, "" for none, with the store's code. request_id: the store's.
    """

    operation: str
    method: str
    url: str
    bucket: str | None
    key: str | None
    attempt: int
    status: int
    seconds: float
    bytes_sent: int
    bytes_received: int
    error: str
    code: str
    request_id: str


OnAttempt: TypeAlias = Callable[[Attempt], object]


class ObservedTransport:
    """A transport whose attempts are told to somebody: every Client that is made with it does."""

    def __init__(self, inner: Transport, on_attempt: OnAttempt) -> None:
        """`inner` moves the requests."""
        self._inner = inner
        self.on_attempt = on_attempt

    def __call__(self, request: Request) -> Response:
        """As the inner one does."""
        return self._inner(request)

    def close(self) -> None:
        """As the inner one does."""
        self._inner.close()

    def __getattr__(self, name: str) -> Any:
        # What only some transports have.
        return getattr(self._inner, name)


def tell(
    on_attempt: OnAttempt,
    request: Request,
    authorizer: Authorizer,
    response: Response | None,
    error: S3FuncError | None,
    attempt: int,
    seconds: float,
) -> None:
    """Tell the observer of one attempt."""
    named = getattr(authorizer, "operation", None)
    bucket, key = authorizer.about(request)
    headers = {} if response is None else response.headers
    sent = request.body
    observed = Attempt(
        operation=request.method if named is None else named(request),
        method=request.method,
        url=f"{request.origin}{request.path}",
        bucket=bucket,
        key=key,
        attempt=attempt,
        status=0 if response is None else response.status,
        seconds=seconds,
        bytes_sent=len(sent) if isinstance(sent, bytes) else getattr(sent, "length", 0),
        bytes_received=_received(request, response),
        error="" if error is None else type(error).__name__,
        code=getattr(error, "code", ""),
        request_id=headers.get("x-amz-request-id", ""),
    )
    try:
        on_attempt(observed)
    except Exception as raised:  # noqa: BLE001 -- Rule 2
        logging = sys.modules.get("logging")
        if logging is not None:
            logging.getLogger("s3func").warning("on_attempt raised %r", raised)


def _received(request: Request, response: Response | None) -> int:
    if response is None or request.method == "HEAD":
        return 0
    if isinstance(response.body, bytes) and response.body:
        return len(response.body)
    length = response.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() else 0


def logged(attempt: Attempt) -> None:
    """One debug line for an attempt that succeeded; those that fail have a line of their own (client.log_attempt)."""
    if attempt.error:
        return
    import logging

    logging.getLogger("s3func").debug(
        "%s %s: attempt %d: %d in %.1f ms, %d bytes sent, %d received",
        attempt.method,
        attempt.url,
        attempt.attempt,
        attempt.status,
        attempt.seconds * 1000,
        attempt.bytes_sent,
        attempt.bytes_received,
    )


def observed(transport: Transport, on_attempt: OnAttempt | None) -> Transport:
    """The transport, observed by whoever wants it: the caller's function, the log, both or nobody."""
    if on_attempt is not None and not callable(on_attempt):
        raise TypeError(f"on_attempt must be callable, not {type(on_attempt).__name__}")
    if not wants_lines():
        return transport if on_attempt is None else ObservedTransport(transport, on_attempt)
    if on_attempt is None:
        return ObservedTransport(transport, logged)
    callers = on_attempt

    def both(attempt: Attempt) -> None:
        logged(attempt)
        callers(attempt)

    return ObservedTransport(transport, both)
