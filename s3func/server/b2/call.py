"""One call of B2's on its way through the server: its fields, who makes it, and the buckets and files that it names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from s3func.clock import Clock
from s3func.errors import NoSuchBucket, NoSuchVersion
from s3func.message import Request, Response
from s3func.server.b2.accounts import Accounts
from s3func.server.b2.files import null_key
from s3func.server.b2.keyring import Key
from s3func.server.b2.refusals import bad_request, refuse
from s3func.server.backend import Backend, BucketInfo
from s3func.server.backends.identity import bucket_identity
from s3func.server.payload import blocks_of
from s3func.server.powers import Editable, Identified, Multipart, Upload, Versioned
from s3func.wire.b2json import render_object

CALL_BYTES_MAX = 1024 * 1024
NAME_BYTES_MAX = 1024


class Store(Backend, Versioned, Multipart, Editable, Identified, Protocol):
    """What B2 needs of a store: all of its powers."""


class Place(NamedTuple):
    """Where a file id leads. version_id: as the store calls it; None for an upload."""

    bucket: BucketInfo
    key: str
    version_id: str | None


class B2Call:
    """A call. version: of the API, 1 to 4. fields: of its JSON, or of its query. base: the address that the client uses."""

    __slots__ = ("_key", "accounts", "backend", "base", "clock", "fields", "region", "request", "rest", "version")

    def __init__(
        self, backend: Store, accounts: Accounts, clock: Clock, region: str, request: Request, base: str
    ) -> None:
        self.backend = backend
        self.accounts = accounts
        self.clock = clock
        self.region = region
        self.request = request
        self.base = base
        self.version = 4
        self.rest = ""
        self.fields: Mapping[str, Any] = {}
        self._key: Key | None = None

    @property
    def key(self) -> Key:
        """Whose account token came with the call: `bad_auth_token`, `expired_auth_token`."""
        if self._key is None:
            self._key = self.accounts.key_of(self.request.headers.get("authorization"))
        return self._key

    @property
    def token(self) -> str | None:
        """The token as it came."""
        return self.request.headers.get("authorization")

    def act_for(self, key: Key) -> None:
        """Whose call it is, where another token than the account's says so."""
        self._key = key

    def text(self, name: str, default: str | None = None) -> str:
        """A field that is a text; `bad_request` where it is not, or is missing without a default."""
        value = self.fields.get(name, default)
        if not isinstance(value, str):
            raise bad_request(f"required field {name} is missing or is no text")
        return value

    def optional_text(self, name: str) -> str | None:
        """A field that is a text, None where it is not there."""
        return self.text(name) if self.fields.get(name) is not None else None

    def number(self, name: str, default: int | None, low: int, high: int) -> int:
        """A field that is a whole number; `out_of_range`."""
        value = self.fields.get(name, default)
        if isinstance(value, str) and value.isdecimal():
            # Calls that read may have their fields in the query.
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise bad_request(f"{name} is no number")
        if not low <= value <= high:
            raise refuse("out_of_range", f"{name} is not between {low} and {high}: {value}")
        return value

    def mapping(self, name: str) -> dict[str, Any] | None:
        """A field that is an object, None where it is not there."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, dict):
            raise bad_request(f"{name} is no object")
        return value

    def bucket(self, bucket_id: str | None = None) -> BucketInfo:
        """The bucket of this id, or of the field bucketId; `bad_bucket_id` for none of the account's."""
        wanted = self.text("bucketId") if bucket_id is None else bucket_id
        for info in self.buckets():
            if bucket_identity(info.name, info.created) == wanted:
                return info
        raise refuse("bad_bucket_id", f"Bucket {wanted[:100]} does not exist")

    def bucket_named(self, name: str, user_id: str | None = None) -> BucketInfo | None:
        """The bucket of a name, if there is one; user_id: of its owner, None for anybody."""
        try:
            info = self.backend.get_bucket(name)
        except NoSuchBucket:
            return None
        return info if user_id is None or info.owner in {"", user_id} else None

    def buckets(self) -> list[BucketInfo]:
        """The buckets of the account; one that nobody owns is everybody's."""
        owner = self.key.user.canonical_id
        return [info for info in self.backend.list_buckets() if info.owner in {"", owner}]

    def place(self, identity: str, *, upload: bool = False) -> Place:
        """Where a file id leads, to a version (`not_found`) or to a large file that is not finished (`bad_request`)."""
        found = self.find(identity)
        if found is None or upload is (found.version_id is not None):
            message = f"Invalid fileId: {identity[:200]}"
            raise bad_request(message) if upload else refuse("not_found", message)
        return found

    def find(self, identity: str) -> Place | None:
        """Where a file id leads, None for nowhere."""
        named = null_key(identity)
        if named is not None:
            for info in self.buckets():
                if bucket_identity(info.name, info.created) == named[0]:
                    return Place(info, named[1], "null")
            return None
        try:
            located = self.backend.locate(identity)
        except NoSuchVersion:
            return None
        bucket = self.bucket_named(located.bucket, self.key.user.canonical_id)
        return None if bucket is None else Place(bucket, located.key, None if located.is_upload else identity)

    def upload(self, identity: str) -> tuple[Place, Upload]:
        """A large file that is not finished."""
        place = self.place(identity, upload=True)
        return place, self.backend.get_upload(place.bucket.name, place.key, identity)

    def demand(self, capability: str, bucket: BucketInfo | None = None, name: str | None = None) -> None:
        """Raise `unauthorized` unless the caller may do this."""
        self.key.demand(capability, None if bucket is None else bucket_identity(bucket.name, bucket.created), name)

    def read(self) -> bytes:
        """The body of a call."""
        body = bytearray()
        for block in blocks_of(self.request.body):
            body += block
            if len(body) > CALL_BYTES_MAX:
                raise bad_request("the request is too long")
        return bytes(body)


def file_name(text: str) -> str:
    """A name that a file may have; `bad_request`."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise bad_request("File names must be UTF-8") from None
    if not 0 < size <= NAME_BYTES_MAX:
        raise bad_request("File names must be between 1 and 1024 bytes of UTF-8")
    if any(letter < " " or letter == "\x7f" for letter in text):
        raise bad_request("File names must not contain control characters")
    return text


def answer(fields: Mapping[str, Any] | bytes) -> Response:
    """A document of B2's."""
    return Response(
        200, {"content-type": "application/json"}, fields if isinstance(fields, bytes) else render_object(fields)
    )


def settings_of(info: BucketInfo) -> dict[str, Any]:
    """What B2 was told about a bucket and S3 has no document for."""
    settings: dict[str, Any] = json.loads(info.documents.get("b2", "{}"))
    return settings


Handler = Callable[[B2Call], Response]
"""Carries out one call; raises a ServiceError to refuse it."""
