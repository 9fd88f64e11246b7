"""FileReopener: asks for the rest of a file, or for another part of it, by its id, which never names another content."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from s3func.b2.config import API
from s3func.b2.operations import check_part
from s3func.errors import InvalidRange, NotFound, ObjectChanged, ProtocolError, S3FuncError
from s3func.message import Request
from s3func.wire.encoding import encode_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.message import BodyStream, Response
    from s3func.transport.client import Authorizer, Client


class FileReopener:
    """Implements body_reader.Reopener for one answer to a download."""

    __slots__ = ("_authorizer", "_by_name", "_client", "_fields", "_file_id", "bucket", "key", "pinned")

    def __init__(
        self,
        client: Client,
        authorizer: Callable[[], Authorizer],
        headers: dict[str, str],
        fields: dict[str, str],
        about: tuple[str, str],
        *,
        by_name: str | None,
    ) -> None:
        """headers: of the answer. fields: that every request brings along. by_name: the path, where ids are not served."""
        self._client = client
        self._authorizer = authorizer
        self._fields = fields
        self._file_id = headers.get("x-bz-file-id", "")
        self._by_name = by_name
        self.pinned = bool(self._file_id)
        self.bucket: str | None = about[0]
        self.key: str | None = about[1]

    def reopen(
        self,
        first: int,
        last: int | None,
        broken: S3FuncError | None = None,
        failures: int = 0,
        *,
        afresh: bool = False,
    ) -> BodyStream:
        """The file's bytes from first to last; ObjectChanged when B2 has them no more."""
        fields = {**self._fields, "range": f"bytes={first}-" if last is None else f"bytes={first}-{last}"}
        if self._by_name is None:
            query = encode_query([("fileId", self._file_id)])
            request = Request("GET", "", f"{API}b2_download_file_by_id", query, fields)
        else:
            request = Request("GET", "", self._by_name, "", fields)
        if broken is not None:
            self._client.wait_to_go_on(request, broken, failures, (self.bucket, self.key))
        try:
            response = self._client.send(request, self._authorizer(), self._parse, attempt=failures + 1)
        except (NotFound, InvalidRange) as error:
            changed = ObjectChanged(f"the file was deleted while it was read ({error.code})", headers=error.headers)
            changed.bucket, changed.key, changed.attempts = self.bucket, self.key, error.attempts
            raise changed from error
        return io.BytesIO(response.body) if isinstance(response.body, bytes) else response.body

    def _parse(self, request: Request, response: Response) -> Response:
        """The answer, if it is the part that was asked for, to its last byte, and of the same file."""
        try:
            wanted = request.headers["range"]
            check_part(wanted, response)
            last = wanted.rpartition("-")[2]
            if last and f"-{last}/" not in response.headers["content-range"]:
                raise ProtocolError(f"asked for {wanted}, B2 sent {response.headers['content-range']}")
            if response.headers.get("x-bz-file-id", self._file_id) != self._file_id:
                raise ObjectChanged("the file was replaced while it was read", headers=response.headers)
        except S3FuncError:
            response.close()
            raise
        return response
