"""B2App: the B2 native API as a function from Request to Response, over the store of the app that it stands in.

Rule 1: what belongs to B2 is told by its path, and S3 has it all the same where a request is signed as S3's are.
Rule 2: every version of the API has the same calls; only the shapes of a few answers differ.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from s3func.clock import Clock
from s3func.errors import ServiceError
from s3func.message import Request, Response
from s3func.server.addressing import parse_query
from s3func.server.b2 import buckets, downloads, keys, large, listing, uploads, versions
from s3func.server.b2.accounts import Accounts
from s3func.server.b2.call import B2Call, Handler, Store
from s3func.server.b2.keyring import KeyRing
from s3func.server.b2.modes import Modes
from s3func.server.b2.refusals import bad_request, refusal_of, refuse
from s3func.server.payload import BodySourceError
from s3func.server.users import Users
from s3func.wire.b2json import parse_request
from s3func.wire.encoding import http_date

logger = logging.getLogger("s3func.server")

_VERSIONS = {f"v{number}": number for number in (1, 2, 3, 4)}
BY_NAME = "b2_download_file_by_name"

HANDLERS: Mapping[str, Handler] = {
    "b2_authorize_account": keys.authorize_account,
    "b2_cancel_large_file": large.cancel_large_file,
    "b2_copy_file": large.copy_file,
    "b2_copy_part": large.copy_part,
    "b2_create_bucket": buckets.create_bucket,
    "b2_create_key": keys.create_key,
    "b2_delete_bucket": buckets.delete_bucket,
    "b2_delete_file_version": versions.delete_file_version,
    "b2_delete_key": keys.delete_key,
    "b2_download_file_by_id": downloads.download_file_by_id,
    BY_NAME: downloads.download_file_by_name,
    "b2_finish_large_file": large.finish_large_file,
    "b2_get_bucket_notification_rules": buckets.get_bucket_notification_rules,
    "b2_get_download_authorization": downloads.get_download_authorization,
    "b2_get_file_info": versions.get_file_info,
    "b2_get_upload_part_url": uploads.get_upload_part_url,
    "b2_get_upload_url": uploads.get_upload_url,
    "b2_hide_file": versions.hide_file,
    "b2_list_buckets": buckets.list_buckets,
    "b2_list_file_names": listing.list_file_names,
    "b2_list_file_versions": listing.list_file_versions,
    "b2_list_keys": keys.list_keys,
    "b2_list_parts": large.list_parts,
    "b2_list_unfinished_large_files": large.list_unfinished_large_files,
    "b2_set_bucket_notification_rules": buckets.set_bucket_notification_rules,
    "b2_start_large_file": large.start_large_file,
    "b2_update_bucket": buckets.update_bucket,
    "b2_update_file_legal_hold": versions.update_file_legal_hold,
    "b2_update_file_retention": versions.update_file_retention,
    "b2_upload_file": uploads.upload_file,
    "b2_upload_part": uploads.upload_part,
}
OPERATIONS = frozenset(HANDLERS)
LISTINGS = frozenset(name for name in HANDLERS if name.startswith("b2_list_"))

# A call is a POST; these may come otherwise as well. Their fields are in the query then.
_READS = frozenset(
    {
        "b2_authorize_account",
        "b2_download_file_by_id",
        "b2_get_bucket_notification_rules",
        "b2_get_download_authorization",
        "b2_get_file_info",
        "b2_get_upload_part_url",
        "b2_get_upload_url",
        *LISTINGS,
    }
)
_HEADS = frozenset({BY_NAME, "b2_download_file_by_id"})
UPLOADS = frozenset({"b2_upload_file", "b2_upload_part"})
_HARMLESS = frozenset({*_READS, *_HEADS})
"""What a server that may only be read answers."""


class Route(NamedTuple):
    """A call as its path says it: "" for none, the version of the API, and what follows the name."""

    operation: str
    version: int
    rest: str


class B2App:
    """Speaks B2. Safe from many threads at once."""

    def __init__(
        self,
        backend: Store,
        users: Users,
        clock: Clock,
        *,
        region: str = "",
        is_open: bool = False,
        reads_only: bool = False,
    ) -> None:
        """The arguments are those of S3App."""
        self.accounts = Accounts(KeyRing(backend, users), users, clock, is_open=is_open)
        self.backend = backend
        self._clock = clock
        self._region = region
        self._reads_only = reads_only
        self._modes = Modes()

    def handle(self, request: Request, mount: str, instead: Callable[[], Response] | None = None) -> Response:
        """Answer a request, or answer it with what `instead` gives in place of a call."""
        try:
            response = self._answer(request, mount) if instead is None else instead()
        except ServiceError as error:
            response = refusal_of(error)
        except BodySourceError as failed:
            raise failed.__cause__ or failed from None
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            response = refusal_of(refuse("internal_error", "An internal error occurred"))
        headers = response.headers
        # Clients of B2 compare it with their own clocks.
        headers["date"] = http_date(int(self._clock.now()))
        if request.method == "HEAD":
            if response.status >= 300:
                headers["content-length"] = "0"
            response.body = b""
        elif isinstance(response.body, bytes):
            headers["content-length"] = str(len(response.body))
        return response

    def _answer(self, request: Request, mount: str) -> Response:
        route = route_of(request.path[len(mount) :])
        operation = route.operation
        if not operation:
            raise bad_request("Invalid API name or version")
        method = request.method
        if method != "POST" and not (method == "GET" and operation in _READS) and not _is_download(method, operation):
            raise refuse("method_not_allowed", f"{operation} does not take {method[:20]}")
        if self._reads_only and operation not in _HARMLESS:
            raise refuse("access_denied", "This server is read-only.")
        call = B2Call(self.backend, self.accounts, self._clock, self._region, request, f"{request.origin}{mount}")
        call.version, call.rest = route.version, route.rest
        call.fields = _fields(call, operation)
        self._modes.check(call, is_upload=operation in UPLOADS)
        return HANDLERS[operation](call)


def route_of(path: str) -> Route:
    """What a path asks for."""
    if path.startswith("/file/"):
        return Route(BY_NAME, 4, path.removeprefix("/file/"))
    _, _, version, operation, *rest = (*path.split("/", 4), "", "")
    if version not in _VERSIONS or operation not in HANDLERS or operation == BY_NAME:
        return Route("", 4, "")
    return Route(operation, _VERSIONS[version], rest[0])


def is_of_b2(request: Request, path: str) -> bool:
    """Whether a request whose path begins like one of B2's is one; a signed one, or a form, is S3's."""
    if request.headers.get("authorization", "").startswith("AWS"):
        return False
    query = request.query
    if "X-Amz-" in query or "AWSAccessKeyId=" in query:
        return False
    return path.startswith("/b2api/v") or request.method in {"GET", "HEAD"}


def _is_download(method: str, operation: str) -> bool:
    return method in {"GET", "HEAD"} and operation in _HEADS


def _fields(call: B2Call, operation: str) -> dict[str, Any]:
    """The fields of a call: of its JSON, or of its query."""
    if operation in UPLOADS:
        return {}
    fields: dict[str, Any] = dict(reversed(parse_query(call.request.query)))
    if call.request.method == "POST":
        try:
            fields |= parse_request(call.read())
        except ValueError as error:
            raise refuse("bad_json", str(error)) from None
    return fields
