"""Client.send: the one loop that authorizes, sends, reads the answer, and decides whether to ask again.

Every attempt is authorized afresh, so a retry after a long wait carries a fresh date, fresh credentials and, after a
redirect, the right region. The loop knows no provider: the Authorizer does, and the parse function it is given.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Protocol, TypeVar

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import DeadlineExceeded, ProtocolError, S3FuncError
from s3func.transport.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.message import Request, Response, Transport
    from s3func.transport.observation import OnAttempt

Result = TypeVar("Result")
# What a retry costs of the quota, and what a first-try success pays back.
_RETRY_COST = 5
_RENEWALS = 3
_STALE_MAX = 3


class Authorizer(Protocol):
    """Gives a request the right to be carried out, and learns from refusals."""

    def authorize(self, request: Request) -> None:
        """Put fresh authorization into the request's headers; called before every attempt."""

    def about(self, request: Request) -> tuple[str | None, str | None]:
        """The bucket and the key that the request is about, for its errors."""

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        """The error that a response of status >= 300 means; reads the body."""

    def renew(self, request: Request, error: S3FuncError) -> bool:
        """Whether something was mended (region, clock, token) so that the request is worth sending again at once."""


class Client:
    """Sends requests through one transport under one retry policy; shared by all threads of a session."""

    __slots__ = ("_clock", "_on_attempt", "_spent", "retries", "total_seconds", "transport")

    def __init__(
        self,
        transport: Transport,
        retries: RetryPolicy = RetryPolicy(),  # noqa: B008 -- an immutable value
        *,
        total_seconds: float | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """total_seconds: the limit of each call, its attempts and waits included."""
        self.transport = transport
        # Whoever wants to know of every attempt comes with the transport, so that all clients of a session have him.
        self._on_attempt: OnAttempt | None = getattr(transport, "on_attempt", None)
        self.retries = retries
        self.total_seconds = total_seconds
        self._clock = clock
        # What retries have cost and was not paid back, one entry per unit. The ends of a deque are atomic, so there is no
        # lock, which a process that is forked at the wrong moment would never see released.
        self._spent: deque[None] = deque()

    def send(
        self,
        request: Request,
        authorizer: Authorizer,
        parse: Callable[[Request, Response], Result],
        *,
        attempt: int = 1,
    ) -> Result:
        """Send until there is a result or a final error.

        `parse` is part of an attempt: what it raises (a 200 with an <Error> inside, a truncated document) is judged
        like a refusal. attempt: the number of the first one, where others have failed before, in the middle of a body.
        """
        if self.total_seconds is not None and request.deadline is None:
            request.deadline = self._clock.monotonic() + self.total_seconds
        renewals = stale = 0
        maybe_applied = False
        observer = self._on_attempt
        while True:
            response = began = None
            try:
                authorizer.authorize(request)
                if observer is not None:
                    began = self._clock.monotonic()
                response = self.transport(request)
                if response.status < 300:
                    result = parse(request, response)
                    if self._spent:
                        self._refund(1 if attempt == 1 else _RETRY_COST)
                    if observer is not None and began is not None:
                        self._tell(observer, request, authorizer, response, None, attempt, began)
                    return result
                error = authorizer.refusal(request, response)
            except S3FuncError as caught:
                error = caught
            maybe_applied = maybe_applied or _may_have_been_applied(request, error)
            error.attempts = attempt
            error.maybe_applied = maybe_applied
            if error.bucket is None:
                error.bucket, error.key = authorizer.about(request)
            # An attempt that was not authorized was none: nothing has been sent.
            if observer is not None and began is not None:
                self._tell(observer, request, authorizer, response, error, attempt, began)
            is_stale = getattr(error, "stale_connection", False) and not (maybe_applied and _is_once(authorizer))
            if stale < _STALE_MAX and is_stale and _is_replayable(request):
                # The pool has dropped its idle connections, so the next one is most likely fresh: no charge, no wait.
                stale += 1
                log_attempt(request, error, 0.0)
                continue
            if renewals < _RENEWALS and _is_replayable(request) and authorizer.renew(request, error):
                renewals += 1
                log_attempt(request, error, 0.0)
                continue
            self.wait(request, error, attempt)
            attempt += 1

    def wait(self, request: Request, error: S3FuncError, attempt: int) -> None:
        """Wait before the attempt that follows this one, or raise the error when there shall be none."""
        from random import random

        seconds = self.retries.wait_seconds(error, attempt, random()) if _is_replayable(request) else None
        end = None if seconds is None or request.deadline is None else self._clock.monotonic() + seconds
        late = end is not None and request.deadline is not None and end >= request.deadline
        if seconds is not None and not late and self._charge():
            log_attempt(request, error, seconds)
            self._clock.sleep(seconds)
            return
        log_attempt(request, error, None)
        if not late:
            raise error
        exceeded = DeadlineExceeded(f"no time is left for attempt {attempt + 1}: {error}")
        exceeded.attempts, exceeded.maybe_applied = attempt, error.maybe_applied
        exceeded.bucket, exceeded.key = error.bucket, error.key
        raise exceeded from error

    def wait_to_go_on(
        self, request: Request, broken: S3FuncError, failures: int, about: tuple[str | None, str | None]
    ) -> None:
        """The same before a request that goes on where a body broke; about: the bucket and the key of that body."""
        broken.attempts = failures
        if broken.bucket is None:
            broken.bucket, broken.key = about
        self.wait(request, broken, failures)

    def _tell(
        self,
        observer: OnAttempt,
        request: Request,
        authorizer: Authorizer,
        response: Response | None,
        error: S3FuncError | None,
        attempt: int,
        began: float,
    ) -> None:
        from s3func.transport.observation import tell

        tell(observer, request, authorizer, response, error, attempt, self._clock.monotonic() - began)

    def _charge(self) -> bool:
        self._spent.extend((None,) * _RETRY_COST)
        if len(self._spent) > self.retries.quota:
            self._refund(_RETRY_COST)
            return False
        return True

    def _refund(self, units: int) -> None:
        try:
            for _ in range(units):
                self._spent.pop()
        except IndexError:
            return

    def limited(self, total_seconds: float) -> Client:
        """The same transport and policy, with another limit and a retry quota of its own."""
        return Client(self.transport, self.retries, total_seconds=total_seconds, clock=self._clock)

    def close(self) -> None:
        """Close the transport's idle connections."""
        self.transport.close()


def _may_have_been_applied(request: Request, error: S3FuncError) -> bool:
    """Whether the store may have carried the request out although its answer was lost or was a failure."""
    if request.method in {"GET", "HEAD"}:
        return False
    return error.maybe_applied or isinstance(error, ProtocolError) or getattr(error, "status", 0) in {500, 502, 504}


def _is_once(authorizer: Authorizer) -> bool:
    """Whether what may have been carried out must not be sent again, for it would be done twice."""
    return getattr(authorizer, "once", False)


def _is_replayable(request: Request) -> bool:
    return isinstance(request.body, bytes) or bool(getattr(request.body, "replayable", False))


def log_attempt(request: Request, error: S3FuncError, seconds: float | None) -> None:
    """One debug line per attempt that failed: method, path without query, what happened, the wait; never a secret."""
    if not wants_lines():
        return
    import logging

    what = str(error)
    if not what.isprintable():
        # A store's own words must not begin a line of their own.
        what = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in what)
    then = "final" if seconds is None else f"again in {seconds:.3f} s"
    line = "%s %s%s: attempt %d: %s: %s; %s"
    logging.getLogger("s3func").debug(
        line, request.method, request.origin, request.path, error.attempts, type(error).__name__, what, then
    )


def observed_by(transport: Transport, on_attempt: OnAttempt | None) -> Transport:
    """The transport, with somebody who is told of every attempt if somebody wants to be."""
    if on_attempt is None and not wants_lines():
        return transport
    from s3func.transport.observation import observed

    return observed(transport, on_attempt)


def wants_lines() -> bool:
    """Whether somebody has set the logger "s3func" to DEBUG."""
    # Importing logging takes 7 ms; while nobody has imported it, nobody can have asked for lines either.
    logging = sys.modules.get("logging")
    return logging is not None and bool(logging.getLogger("s3func").isEnabledFor(logging.DEBUG))
