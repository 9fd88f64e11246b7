"""S3 as something to watch: which operation a request is, and how S3 says that something went wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from s3func.errors import ServiceError
from s3func.message import Request, Response
from s3func.server.addressing import Target, parse_query
from s3func.server.faults import Fault
from s3func.server.journal import first_values
from s3func.server.operations import LISTINGS, OPERATIONS, PREFLIGHT
from s3func.server.routing import route_of
from s3func.server.watch import Place
from s3func.server.wrong_answers import headers_of, instead_of, refusal_of, spoil


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

    def spoil(self, response: Response, fault: Fault) -> Response:
        return spoil(response, fault)
