"""B2 as something to watch: which call a request is, and how B2 says that something went wrong."""

from __future__ import annotations

from collections.abc import Collection

from s3func.errors import ServiceError
from s3func.message import Request, Response
from s3func.server.addressing import parse_query
from s3func.server.b2.app import BY_NAME, LISTINGS, OPERATIONS, UPLOADS, B2App, route_of
from s3func.server.b2.wrong_answers import instead_of, spoil
from s3func.server.backends.identity import bucket_identity
from s3func.server.control import UPLOAD_URL
from s3func.server.faults import Fault
from s3func.server.journal import first_values
from s3func.server.watch import Place
from s3func.wire.b2json import CODES, typed_error
from s3func.wire.encoding import decode_component

_BUCKET_CALLS = frozenset({"b2_upload_file"})
# What a status is usually sent with; for another one the fault has to name its code.
_CODES = {
    400: "bad_request",
    401: "expired_auth_token",
    403: "cap_exceeded",
    404: "not_found",
    408: "request_timeout",
    409: "conflict",
    416: "range_not_satisfiable",
    429: "too_many_requests",
    500: "internal_error",
    503: "service_unavailable",
}


class B2Provider:
    """The provider of a watch over a B2App."""

    operations: Collection[str] = OPERATIONS
    listings: Collection[str] = LISTINGS

    def __init__(self, app: B2App) -> None:
        self._app = app

    def place(self, request: Request, mount: str) -> Place:
        """Bucket and key are known where the head says them: of uploads and of downloads by name."""
        try:
            query = first_values(parse_query(request.query))
        except ServiceError:
            query = {}
        query = {name: value for name, value in query.items() if name != "Authorization"}
        route = route_of(request.path[len(mount) :])
        if route.operation in UPLOADS:
            query[UPLOAD_URL] = route.rest
        bucket = key = ""
        try:
            if route.operation == BY_NAME:
                bucket, _, encoded = route.rest.partition("/")
                key = decode_component(encoded)
            elif route.operation in _BUCKET_CALLS:
                bucket = self._bucket_name(route.rest.partition("/")[0])
                key = decode_component(request.headers.get("x-bz-file-name", ""))
        except ValueError:
            key = ""
        return Place(route.operation, bucket, key, query)

    def carry_out(self, request: Request, mount: str) -> Response:
        return self._app.handle(request, mount)

    def refuse(self, request: Request, mount: str, fault: Fault) -> Response:
        def instead() -> Response:
            if fault.answer is not None:
                return instead_of(fault)
            code = fault.code or _CODES.get(fault.status or 0, "internal_error")
            known = CODES.get(code)
            status = fault.status or (500 if known is None else known[1])
            raise typed_error(status, code, fault.message or "An injected fault.")

        if fault.answer is None and route_of(request.path[len(mount) :]).operation in UPLOADS:
            self._app.accounts.spend(request.headers.get("authorization", ""))
        response = self._app.handle(request, mount, instead)
        if fault.headers:
            response.headers |= {name.lower(): value for name, value in fault.headers.items()}
        return response

    def spoil(self, request: Request, mount: str, response: Response, fault: Fault) -> Response:
        return spoil(response, fault)

    def _bucket_name(self, identity: str) -> str:
        for info in self._app.backend.list_buckets():
            if bucket_identity(info.name, info.created) == identity:
                return info.name
        return ""
