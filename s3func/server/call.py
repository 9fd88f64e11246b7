"""One request on its way through the server: what was asked for, by whom, and what a handler needs to answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from s3func.message import Request, Response
from s3func.server.auth import Grant

if TYPE_CHECKING:
    from s3func.clock import Clock
    from s3func.server.authorization import Authorization
    from s3func.server.backend import Backend
    from s3func.server.users import Users


class Store:
    """What all requests of one app share."""

    __slots__ = ("backend", "clock", "kms_key_ids", "region", "users")

    def __init__(
        self, backend: Backend, clock: Clock, region: str, users: Users, kms_key_ids: frozenset[str] | None
    ) -> None:
        self.backend = backend
        self.users = users
        self.clock = clock
        self.region = region
        self.kms_key_ids = kms_key_ids


class Call:
    """A request that is authenticated and routed.

    bucket, key: exact, "" where the request names none. query: decoded, of a repeated name the first value.
    headers: as they were sent, lower-case names. owner: the canonical id that owns what this request makes: of who asks,
    "" for everybody, unless authorization found that it is the bucket's owner. documents: what a new object is to have
    from the headers: its access control list, its tags. kms_key_ids: None where every name is a key's.
    """

    __slots__ = (
        "access",
        "backend",
        "bucket",
        "clock",
        "documents",
        "grant",
        "headers",
        "key",
        "kms_key_ids",
        "owner",
        "query",
        "region",
        "request",
        "users",
    )

    access: Authorization
    """What else the request may do; there once it is authorized."""

    def __init__(
        self, store: Store, request: Request, grant: Grant, bucket: str, key: str, query: Mapping[str, str]
    ) -> None:
        self.backend = store.backend
        self.clock = store.clock
        self.region = store.region
        self.kms_key_ids = store.kms_key_ids
        self.users = store.users
        self.request = request
        self.headers: Mapping[str, str] = request.headers
        self.grant = grant
        self.bucket = bucket
        self.key = key
        self.query = query
        self.documents: dict[str, str] = {}
        self.owner = "" if grant.user is None else grant.user.canonical_id

    def display_name(self, canonical_id: str) -> str:
        """The name for people of an owner's id."""
        return self.users.owner(canonical_id).display_name


Handler = Callable[[Call], Response]
"""Carries out one operation; raises a ServiceError to refuse it."""
