"""What the pages ask of the server, and how: requests of S3, signed with the key pair of who is signed in.

Rule 1: nothing here looks into the store. The app takes these requests for a client's, and answers them as it would.
Rule 2: what decides about a request, such as address, scheme and program, is that of the browser's own request.
Rule 3: a bucket and a key are checked before they become a path: no key becomes a bucket, and no bucket the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from s3func.errors import ServiceError, service_error
from s3func.message import BodyStream, Request, Response
from s3func.models import BucketEntry, ListPage
from s3func.server.addressing import check_key_text
from s3func.server.backend import check_bucket_name
from s3func.server.call import Store
from s3func.server.refusal import Refusal
from s3func.server.users import User
from s3func.wire import s3xml, s3xml_config, sigv4
from s3func.wire.encoding import amz_date, encode_path, encode_query
from s3func.wire.s3xml_error import error_from_document, parse_error
from s3func.wire.s3xml_listing import parse_list_object_versions, parse_list_objects

Handle = Callable[[Request], Response]
Pairs = Iterable[tuple[str, str]]

DOCUMENT_BYTES_MAX = 16 * 1024 * 1024


class Place(NamedTuple):
    """An object, or a version of it. version: None for the one that is current."""

    bucket: str
    key: str
    version: str | None = None


class Turn(NamedTuple):
    """Where a page of a list begins: behind what `key` (or a token) and `version` name; both "" for the beginning."""

    key: str = ""
    version: str = ""


class Calls(Protocol):
    """What a key may do on behalf of one request of the browser; every call raises the ServiceError of a refusal."""

    def buckets(self) -> list[BucketEntry]:
        """Those that the key is shown."""

    def create_bucket(self, bucket: str) -> None:
        """Make one."""

    def delete_bucket(self, bucket: str) -> None:
        """Remove an empty one."""

    def keeps_versions(self, bucket: str) -> bool | None:
        """Whether a deletion hides an object instead of removing it; None where the key is not told."""

    def list_objects(self, bucket: str, prefix: str, turn: Turn, limit: int) -> ListPage:
        """A page of objects and, up to the next "/", common prefixes."""

    def list_versions(self, bucket: str, prefix: str, turn: Turn, limit: int, *, delimiter: str = "/") -> ListPage:
        """A page of versions and delete markers."""

    def head(self, place: Place) -> Mapping[str, str]:
        """What is said about an object, as the headers of S3."""

    def get(self, place: Place, headers: Mapping[str, str]) -> Response:
        """An object's body; headers: which part of it."""

    def put(self, place: Place, body: BodyStream, content_type: str, *, may_replace: bool) -> None:
        """Store a body that is still arriving."""

    def delete(self, place: Place, etag: str) -> bool:
        """Delete an object, if it still has this ETag, or a version; whether it is only hidden."""


class Account(Protocol):
    """Whoever is signed in."""

    @property
    def label(self) -> str:
        """How the pages call it."""

    @property
    def prefix(self) -> str:
        """What every key that it may see begins with, "" for no bounds."""

    def calls(self, request: Request) -> Calls:
        """What it may do on behalf of a request of its browser."""


@dataclass(frozen=True, slots=True)
class S3Account:
    """A user with a key pair."""

    user: User
    store: Store
    handle: Handle

    @property
    def label(self) -> str:
        """The name for people, or the access key's id."""
        return self.user.display_name or self.user.access_key_id

    @property
    def prefix(self) -> str:
        """It has no bounds of its own."""
        return ""

    def calls(self, request: Request) -> Calls:
        """Requests of S3."""
        return S3Calls(self, request)


class S3Calls:
    """Calls as requests of S3."""

    def __init__(self, account: S3Account, request: Request) -> None:
        self._account = account
        self._request = request

    def buckets(self) -> list[BucketEntry]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html."""
        found: list[BucketEntry] = []
        token: str | None = ""
        while token is not None:
            query = [("continuation-token", token)] if token else []
            page = s3xml.parse_list_buckets(self._read("GET", "/", query))
            found += page.buckets
            token = page.continuation_token
        return found

    def create_bucket(self, bucket: str) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html."""
        self._read("PUT", _path(bucket))

    def delete_bucket(self, bucket: str) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html."""
        self._read("DELETE", _path(bucket))

    def keeps_versions(self, bucket: str) -> bool | None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html."""
        try:
            document = self._read("GET", _path(bucket), [("versioning", "")])
        except ServiceError as error:
            if error.status in {403, 501}:
                return None
            raise
        return s3xml_config.parse_versioning(document).status is not None

    def list_objects(self, bucket: str, prefix: str, turn: Turn, limit: int) -> ListPage:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""
        query = [("list-type", "2"), *_listing(prefix, "/", limit)]
        if turn.key:
            query.append(("continuation-token", turn.key))
        return parse_list_objects(self._read("GET", _path(bucket), query), list_type=2, prefix=prefix)

    def list_versions(self, bucket: str, prefix: str, turn: Turn, limit: int, *, delimiter: str = "/") -> ListPage:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html."""
        query = [("versions", ""), *_listing(prefix, delimiter, limit)]
        if turn.key:
            query.append(("key-marker", turn.key))
        if turn.version:
            query.append(("version-id-marker", turn.version))
        return parse_list_object_versions(self._read("GET", _path(bucket), query))

    def head(self, place: Place) -> Mapping[str, str]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html."""
        response = self._send("HEAD", _path(place.bucket, place.key), _version(place))
        response.close()
        return response.headers

    def get(self, place: Place, headers: Mapping[str, str]) -> Response:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html."""
        return self._send("GET", _path(place.bucket, place.key), _version(place), headers)

    def put(self, place: Place, body: BodyStream, content_type: str, *, may_replace: bool) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html."""
        # How long it is, nobody knows before it has arrived.
        headers = {"content-type": content_type, "transfer-encoding": "chunked"}
        if not may_replace:
            headers["if-none-match"] = "*"
        self._send("PUT", _path(place.bucket, place.key), (), headers, body).close()

    def delete(self, place: Place, etag: str) -> bool:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html."""
        headers = {"if-match": etag} if etag else {}
        response = self._send("DELETE", _path(place.bucket, place.key), _version(place), headers)
        response.close()
        return place.version is None and "x-amz-delete-marker" in response.headers

    def _read(self, method: str, path: str, query: Pairs = ()) -> bytes:
        response = self._send(method, path, query)
        return response.read(DOCUMENT_BYTES_MAX)

    def _send(
        self,
        method: str,
        path: str,
        query: Pairs = (),
        headers: Mapping[str, str] | None = None,
        body: BodyStream | bytes = b"",
    ) -> Response:
        """The answer to a signed request; the ServiceError of one that says no."""
        asked, user, store = self._request, self._account.user, self._account.store
        date = amz_date(store.clock.now())
        sent = {
            "host": asked.headers.get("host", asked.origin.partition("://")[2]),
            "x-amz-content-sha256": sigv4.UNSIGNED_PAYLOAD,
            "x-amz-date": date,
            **(headers or {}),
        }
        if "user-agent" in asked.headers:
            sent["user-agent"] = asked.headers["user-agent"]
        names = sigv4.signed_header_names(sent)
        text = encode_query(query)
        scope = sigv4.credential_scope(date[:8], store.region)
        canonical = sigv4.canonical_request(method, path, text, sent, names, sigv4.UNSIGNED_PAYLOAD)
        key = sigv4.signing_key(user.secret_access_key, date[:8], store.region)
        signature = sigv4.signature(key, sigv4.string_to_sign(date, scope, canonical))
        sent["authorization"] = sigv4.authorization_header(user.access_key_id, scope, names, signature)
        response = self._account.handle(Request(method, asked.origin, path, text, sent, body, peer=asked.peer))
        if response.status >= 300:
            raise _error(response)
        return response


def check_place(bucket: str, key: str | None = None) -> None:
    """InvalidBucketName, InvalidArgument, KeyTooLong for what can be no bucket or no key."""
    check_bucket_name(bucket)
    if key is not None:
        check_key_text(key)


def _path(bucket: str, key: str | None = None) -> str:
    check_place(bucket, key)
    return f"/{bucket}" if key is None else f"/{bucket}/{encode_path(key)}"


def _version(place: Place) -> list[tuple[str, str]]:
    return [] if place.version is None else [("versionId", place.version)]


def _listing(prefix: str, delimiter: str, limit: int) -> list[tuple[str, str]]:
    query = [("encoding-type", "url"), ("max-keys", str(limit))]
    return [*query, *[pair for pair in (("prefix", prefix), ("delimiter", delimiter)) if pair[1]]]


def _error(response: Response) -> ServiceError:
    document = parse_error(response.read(DOCUMENT_BYTES_MAX))
    if document is not None:
        return error_from_document(document, status=response.status)
    # The answer to a HEAD has no body to say it.
    code = response.code if isinstance(response, Refusal) else ""
    return service_error(code or "InternalError", status=response.status)
