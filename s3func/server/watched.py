"""S3 as something to watch: which operation a request is, and how S3 says that something went wrong; and B2 beside it.

Rule: what is about B2 is loaded with the first fault or the first request that is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from s3func.errors import ServiceError
from s3func.message import Request, Response
from s3func.server.addressing import Target, parse_query
from s3func.server.faults import Fault
from s3func.server.journal import first_values
from s3func.server.operations import LISTINGS, OPERATIONS, PREFLIGHT
from s3func.server.routing import route_of
from s3func.server.watch import Place, Provider
from s3func.server.wrong_answers import headers_of, instead_of, refusal_of, spoil

if TYPE_CHECKING:
    from s3func.server.b2.app import B2App


class CarryOut(Protocol):
    """Answers a request, or with `instead` another one's answer, and adds what every answer of S3 has."""

    def __call__(self, request: Request, mount: str, instead: Callable[[], Response] | None = None) -> Response: ...


class S3Provider:
    """The provider of a watch over an S3App."""

    operations: Collection[str] = frozenset({*OPERATIONS.values(), PREFLIGHT})
    listings: Collection[str] = LISTINGS

    def __init__(self, target: Callable[[Request, str], Target], carry_out: CarryOut, now: Callable[[], float]) -> None:
        """`target`: where a request points; `now`: the server's time."""
        self._target = target
        self._carry_out = carry_out
        self._now = now

    def place(self, request: Request, mount: str) -> Place:
        try:
            parameters = parse_query(request.query)
        except ServiceError:
            parameters = []
        query = first_values(parameters)
        try:
            target = self._target(request, mount)
        except ServiceError:
            return Place("", "", "", query)
        if request.method == "OPTIONS":
            return Place(PREFLIGHT, target.bucket, target.key, query)
        route = route_of(request.method, target.scope, parameters, request.headers)
        return Place(OPERATIONS.get(route, ""), target.bucket, target.key, query)

    def carry_out(self, request: Request, mount: str) -> Response:
        return self._carry_out(request, mount)

    def refuse(self, request: Request, mount: str, fault: Fault) -> Response:
        now = self._now()

        def instead() -> Response:
            if fault.answer is not None:
                return instead_of(fault)
            raise refusal_of(fault, now)

        response = self._carry_out(request, mount, instead)
        response.headers |= headers_of(fault, now)
        if fault.answer == "html":
            # Who answers in the place of a store does not number requests as it does.
            del response.headers["x-amz-request-id"], response.headers["x-amz-id-2"]
        return response

    def spoil(self, request: Request, mount: str, response: Response, fault: Fault) -> Response:
        return spoil(response, fault)


class EveryProvider:
    """S3 and B2, which share a port: each request is one's or the other's."""

    def __init__(self, s3: S3Provider, b2_of: Callable[[Request, str], B2App | None]) -> None:
        """b2_of: the app of a request that is for B2."""
        self._s3 = s3
        self._b2_of = b2_of

    @cached_property
    def operations(self) -> Collection[str]:
        from s3func.server.b2.app import OPERATIONS as CALLS

        return frozenset({*self._s3.operations, *CALLS})

    @cached_property
    def listings(self) -> Collection[str]:
        from s3func.server.b2.app import LISTINGS as LISTS

        return frozenset({*self._s3.listings, *LISTS})

    def place(self, request: Request, mount: str) -> Place:
        return self._of(request, mount).place(request, mount)

    def carry_out(self, request: Request, mount: str) -> Response:
        return self._of(request, mount).carry_out(request, mount)

    def refuse(self, request: Request, mount: str, fault: Fault) -> Response:
        return self._of(request, mount).refuse(request, mount, fault)

    def spoil(self, request: Request, mount: str, response: Response, fault: Fault) -> Response:
        return self._of(request, mount).spoil(request, mount, response, fault)

    def _of(self, request: Request, mount: str) -> Provider:
        app = self._b2_of(request, mount)
        if app is None:
            return self._s3
        from s3func.server.b2.watched import B2Provider

        return B2Provider(app)
