"""ObjectReopener: asks for the rest of an object, or for another part of it, and takes it from no other object."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from s3func.errors import (
    InvalidRange,
    NotFound,
    ObjectChanged,
    PreconditionFailed,
    ProtocolError,
    S3FuncError,
    ServiceError,
)
from s3func.message import Request
from s3func.s3.operations import check_part, version_query

if TYPE_CHECKING:
    from s3func.message import BodyStream, Response
    from s3func.s3.auth import SigV4Authorizer
    from s3func.transport.client import Client

# What the first answer has settled, and what is of its attempt alone.
_ANSWERED = frozenset(
    {
        "authorization",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "x-amz-checksum-mode",
        "x-amz-date",
        "x-amz-security-token",
    }
)


class ObjectReopener:
    """Implements body_reader.Reopener for one answer to GetObject."""

    __slots__ = ("_authorizer", "_client", "_etag", "_request", "_version_id", "bucket", "key", "pinned")

    def __init__(
        self, client: Client, authorizer: SigV4Authorizer, request: Request, headers: dict[str, str], key: str
    ) -> None:
        """request: the one that was answered. headers: of its answer."""
        self._client = client
        self._authorizer = authorizer
        self._request = request
        etag = headers.get("etag", "")
        # A weak one, which only something between us and the store can have made, promises no equal bytes.
        self.pinned = bool(etag) and not etag.startswith("W/")
        self._etag = etag if etag.startswith('"') else f'"{etag}"'
        self._version_id = headers.get("x-amz-version-id")
        self.bucket: str | None = authorizer.bucket
        self.key: str | None = key

    def reopen(
        self,
        first: int,
        last: int | None,
        broken: S3FuncError | None = None,
        failures: int = 0,
        *,
        afresh: bool = False,
    ) -> BodyStream:
        """The object's bytes from first to last; ObjectChanged when the store has them no more."""
        request = part_of(self._request, self._etag, first, last)
        if afresh:
            request.deadline = None
        if broken is not None:
            self._client.wait_to_go_on(request, broken, failures, (self.bucket, self.key))
        try:
            return self._send(request, failures + 1)
        except (PreconditionFailed, NotFound, InvalidRange) as error:
            return self._otherwise(request, error)

    def _otherwise(self, request: Request, error: ServiceError) -> BodyStream:
        """Try what is left when the object seems to have changed."""
        ways = []
        # There are stores that do not understand If-Match with their own ETags. The ETag of the answer says as much.
        del request.headers["if-match"]
        if isinstance(error, PreconditionFailed) and not isinstance(error, ObjectChanged):
            ways.append(request.query)
        # Not asked for in the first place: reading a version by its id is a right of its own, which few have.
        if self._version_id is not None and not request.query:
            ways.append(version_query(self._version_id))
        for query in ways:
            request.query = query
            try:
                return self._send(request, 1)
            except ServiceError:
                continue
        changed = ObjectChanged(
            f"the object was replaced or deleted while it was read ({error.code})",
            request_id=error.request_id,
            host_id=error.host_id,
            bucket=self.bucket,
            key=self.key,
            headers=error.headers,
        )
        changed.attempts = error.attempts
        raise changed from error

    def _send(self, request: Request, attempt: int) -> BodyStream:
        body = self._client.send(request, self._authorizer, self._parse, attempt=attempt).body
        return io.BytesIO(body) if isinstance(body, bytes) else body

    def _parse(self, request: Request, response: Response) -> Response:
        """The answer, if it is the part that was asked for, to its last byte, and of the same object."""
        try:
            headers = response.headers
            # Not every store heeds If-Match; where there is none, the ETag has to be there.
            etag = headers.get("etag", "" if "if-match" not in request.headers else self._etag)
            if etag.strip('"') != self._etag.strip('"'):
                raise ObjectChanged("the object was replaced while it was read", headers=headers)
            wanted = request.headers["range"]
            check_part(wanted, response)
            sent = re.fullmatch(r"bytes [0-9]+-([0-9]+)/.*", headers.get("content-range", ""))
            if sent is None:
                raise ProtocolError("the store sent a part and does not say which")
            last = wanted.rpartition("-")[2]
            if last and last != sent[1]:
                raise ProtocolError(f"asked for {wanted}, the store sent {sent[0]}")
        except S3FuncError:
            response.close()
            raise
        return response


def part_of(request: Request, etag: str, first: int, last: int | None) -> Request:
    """A request for a part of what another one was answered with, and of nothing else."""
    fields = {name: value for name, value in request.headers.items() if name not in _ANSWERED}
    fields["range"] = f"bytes={first}-" if last is None else f"bytes={first}-{last}"
    fields["if-match"] = etag
    return Request("GET", request.origin, request.path, request.query, fields, deadline=request.deadline)
