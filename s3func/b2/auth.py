"""Who asks: one Account per key and process, whose token every session uses and none copies, and the authorizers.

Rule 1: one thread at a time asks for a token, the others wait for its answer, or share its failure.
Rule 2: a token that was refused is dropped only if it is still the current one: somebody else may have renewed it.
Rule 3: a forked child begins without token and upload URLs: two processes on one of those would disturb each other.
https://www.backblaze.com/apidocs/b2-authorize-account
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections import OrderedDict, deque
from copy import copy
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from s3func.b2.config import API, AUTHORIZED_SECONDS, Address, told_address
from s3func.errors import (
    InvalidCredentials,
    NoSuchBucket,
    NoSuchKey,
    NotFound,
    S3FuncError,
    ServiceError,
    TransportError,
)
from s3func.message import Request, Response
from s3func.wire.b2json import parse_error, typed_error
from s3func.wire.b2json_account import Authorization, parse_authorization

if TYPE_CHECKING:
    from s3func.b2.upload import Upload
    from s3func.clock import Clock
    from s3func.transport.client import Client

DOCUMENT_MAX = 64 * 1024 * 1024
"""Answers are read whole; a page of 1,000 rows with 7 KB of info each stays below this."""
ERROR_DOCUMENT_MAX = 1024 * 1024
_ACCOUNTS_MAX = 128
_RETRY_EARLY_SECONDS = 300.0
# What an expired or unknown token is called; a HEAD is answered without a body, so that its 401 has no code.
_EXPIRED = frozenset({"bad_auth_token", "expired_auth_token"})
_NO_CODE = "http_401"
_CODES_OF_STATUS = {
    403: "access_denied",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    416: "range_not_satisfiable",
    429: "too_many_requests",
    500: "internal_error",
    503: "service_unavailable",
}
# What a 400 about an id that never was, or is no longer, says.
_NO_ID = r"(?i)(?:invalid|bad) file ?id|no active upload"
_NO_BUCKET = r"(?i)bucket\b(?!.*\bfile\b).*(?:does not exist|not found)"


class Grant(NamedTuple):
    """A token with all that came with it. until: on the wall clock, when to ask for the next one."""

    authorization: Authorization
    api: Address
    download: Address
    until: float

    @property
    def token(self) -> str:
        """What every request carries."""
        return self.authorization.token

    def __repr__(self) -> str:
        return f"<Grant {self.api.origin}>"


class Account:
    """One application key at one realm: its token, the ids of its buckets, its idle upload URLs. Safe for threads."""

    def __init__(self, realm: Address, key_id: str, secret: str) -> None:
        """Nothing is sent before a grant is asked for."""
        self.realm = realm
        self.key_id = key_id
        self._basic = "Basic " + b64encode(f"{key_id}:{secret}".encode()).decode()
        self.bucket_ids: dict[str, str] = {}
        self.uploads: dict[str, deque[Upload]] = {}
        self._grant: Grant | None = None
        self._lock = Lock()
        self._round = 0
        self._failure: S3FuncError | None = None
        _living.add(self)

    @property
    def secret(self) -> str:
        """The application key itself, for those who are to sign with it."""
        return b64decode(self._basic.removeprefix("Basic ")).decode().partition(":")[2]

    def __repr__(self) -> str:
        return f"<Account {self.key_id!r} at {self.realm.origin}>"

    def __reduce__(self) -> str:
        raise TypeError("an Account holds a secret, and is not pickled")

    def grant(self, client: Client, clock: Clock, deadline: float | None = None) -> Grant:
        """The current token, or a new one. InvalidCredentials when B2 does not know the key."""
        grant = self._grant
        if grant is not None:
            return grant if clock.now() < grant.until else self._renewed_early(grant, client, clock, deadline)
        before = self._round
        with self._lock:
            grant = self._grant
            if grant is not None:
                return grant
            if self._failure is not None and self._round != before:
                # Another thread has just asked, while this one waited: asking again would fail in the same way.
                raise copy(self._failure)
            self._failure = None
            try:
                self._grant = grant = self._ask(client, clock, deadline)
            except S3FuncError as error:
                self._failure = copy(error)
                raise
            finally:
                self._round += 1
            return grant

    def _renewed_early(self, grant: Grant, client: Client, clock: Clock, deadline: float | None) -> Grant:
        """Ask for the next token while this one is still good; others go on with it meanwhile."""
        if not self._lock.acquire(blocking=False):
            return grant
        try:
            if self._grant is not grant:
                return self._grant or grant
            try:
                fresh = self._ask(client, clock, deadline)
            except S3FuncError:
                # It is good for another hour. When it is refused, that will be the time to fail.
                fresh = grant._replace(until=clock.now() + _RETRY_EARLY_SECONDS)
            self._grant = fresh
            return fresh
        finally:
            self._lock.release()

    def _ask(self, client: Client, clock: Clock, deadline: float | None) -> Grant:
        realm = self.realm
        headers = {"host": realm.host}
        request = Request("GET", realm.origin, f"{realm.path}{API}b2_authorize_account", "", headers, b"", deadline)

        def parse(_request: Request, response: Response) -> Authorization:
            return parse_authorization(response.read(DOCUMENT_MAX))

        authorization = client.send(request, _KeyAuthorizer(self._basic), parse)
        grant = Grant(
            authorization,
            told_address(authorization.api_url, "apiUrl", secure=realm.is_secure),
            told_address(authorization.download_url, "downloadUrl", secure=realm.is_secure),
            clock.now() + AUTHORIZED_SECONDS,
        )
        for bucket in authorization.buckets or ():
            if bucket.name is not None:
                self.bucket_ids[bucket.name] = bucket.id
        return grant

    def drop(self, token: str) -> None:
        """The token was refused: ask for another one, unless somebody has done so already."""
        grant = self._grant
        if grant is not None and grant.token == token:
            with self._lock:
                if self._grant is grant:
                    self._grant = None

    def forget(self) -> None:
        """Begin anew, in a process of one's own."""
        self._lock = Lock()
        self._grant = None
        self._failure = None
        self.uploads.clear()


_living: WeakSet[Account] = WeakSet()
_accounts: OrderedDict[tuple[str, str, bytes], Account] = OrderedDict()
_accounts_lock = Lock()


def account_of(realm: Address, key_id: str, secret: str) -> Account:
    """The process's account of this key. The secret itself is no part of the cache's key."""
    identity = (realm.origin + realm.path, key_id, sha256(secret.encode()).digest())
    with _accounts_lock:
        account = _accounts.get(identity)
        if account is None:
            account = _accounts[identity] = Account(realm, key_id, secret)
            if len(_accounts) > _ACCOUNTS_MAX:
                # Sessions that still use it keep it; the next session of that key asks for a token of its own.
                _accounts.popitem(last=False)
        else:
            _accounts.move_to_end(identity)
        return account


def _forget_in_child() -> None:
    global _accounts_lock  # noqa: PLW0603 -- the parent's may have been held by a thread that this process lacks
    _accounts_lock = Lock()
    for account in list(_living):
        account.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


class B2Authorizer:
    """What all authorizers of B2 have in common: what a refusal means, and what it is about."""

    __slots__ = ("bucket", "failure", "key", "missing")

    def __init__(self, bucket: str | None = None, key: str | None = None, missing: type[NotFound] = NoSuchKey) -> None:
        """missing: which error a 404 is."""
        self.bucket = bucket
        self.key = key
        self.missing = missing
        self.failure: S3FuncError | None = None

    def about(self, request: Request) -> tuple[str | None, str | None]:
        """The bucket and the key of the call."""
        return self.bucket, self.key

    def operation(self, request: Request) -> str:
        """What B2 calls it, for whoever counts: /b2api/v4/b2_list_buckets, /b2api/v4/b2_upload_file/…, /file/…"""
        before, _, call = request.path.partition("/b2api/")
        if not call or "/file/" in before:
            return "b2_download_file_by_name"
        return call.partition("/")[2].partition("/")[0]

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        """The typed error of a response that is no success; its body is read, at most 1 MiB of it."""
        try:
            body = response.read(ERROR_DOCUMENT_MAX)
        except TransportError:
            # The status alone says enough, and the connection is gone already.
            body = b""
        document = parse_error(body) if body else None
        if document is None:
            kind = response.headers.get("content-type", "unknown type")
            reason = f"the answer is no B2 error document ({kind}, {len(body)} bytes)" if body else ""
            code = _CODES_OF_STATUS.get(response.status, f"http_{response.status}")
            error = typed_error(response.status, code, reason)
        else:
            message = _without_secrets(document.message, request)
            error = typed_error(response.status, document.code, message)
            if document.code.endswith("cap_exceeded"):
                error.message = f"{message or 'a cap of the account is reached'} (review the account's caps)"
            if type(error) is NotFound or (self.missing is not NoSuchKey and re.search(_NO_ID, error.message)):
                error = self._found_missing(error)
        error.headers = response.headers
        return error

    def _found_missing(self, error: ServiceError) -> ServiceError:
        kind = NoSuchBucket if re.match(_NO_BUCKET, error.message) else self.missing
        return kind(error.message, code=error.code, status=error.status)

    def renew(self, request: Request, error: S3FuncError) -> bool:
        """Nothing can be mended here; see the classes below."""
        self._raise_final(error)
        return False

    def _raise_final(self, error: S3FuncError) -> None:
        """End the call: what was asked for its sake has been tried as often as makes sense already."""
        if error is self.failure:
            raise error


class _KeyAuthorizer(B2Authorizer):
    """The application key itself, for b2_authorize_account alone."""

    __slots__ = ("_basic",)

    def __init__(self, basic: str) -> None:
        super().__init__()
        self._basic = basic

    def authorize(self, request: Request) -> None:
        """HTTP Basic."""
        request.headers["authorization"] = self._basic

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        """A 401 is about the key, whatever it is called."""
        error = super().refusal(request, response)
        if isinstance(error, ServiceError) and error.status == 401:
            reason = error.message or "B2 does not know this application key, or it has expired"
            return InvalidCredentials(reason, code=error.code, status=401, headers=error.headers)
        return error


class PublicAuthorizer(B2Authorizer):
    """Nobody in particular, at a bucket that everybody may read."""

    __slots__ = ("_download", "_path")

    def __init__(self, download: Address, bucket: str | None, key: str | None, missing: type[NotFound]) -> None:
        super().__init__(bucket, key, missing)
        self._download = download
        self._path: str | None = None

    def authorize(self, request: Request) -> None:
        """Only the address."""
        if self._path is None:
            self._path = request.path
        request.path = self._download.path + self._path
        request.origin = self._download.origin
        request.headers["host"] = self._download.host


class AccountAuthorizer(B2Authorizer):
    """The account's token, for one call; where the call goes to came with the token."""

    __slots__ = ("_account", "_client", "_clock", "_download", "_grant", "_path", "_renewed", "once")

    def __init__(
        self,
        account: Account,
        client: Client,
        clock: Clock,
        bucket: str | None = None,
        key: str | None = None,
        missing: type[NotFound] = NoSuchKey,
        *,
        download: Address | bool = False,
        once: bool = False,
    ) -> None:
        """download: False for a call of the API, True for a download, or the address that downloads come from.

        once: the call is over when it may have been carried out, though nobody knows.
        """
        super().__init__(bucket, key, missing)
        self._account = account
        self._client = client
        self._clock = clock
        self._download = download
        self._grant: Grant | None = None
        self._path: str | None = None
        self.once = once
        self._renewed = False

    def authorize(self, request: Request) -> None:
        """Address and token of this moment."""
        try:
            grant = self._account.grant(self._client, self._clock, request.deadline)
        except S3FuncError as error:
            error.stale_connection = False  # type: ignore[attr-defined]  # the loop asks any error for it
            self.failure = error
            raise
        self._grant = grant
        download = self._download
        place = grant.api if not download else (download if isinstance(download, Address) else grant.download)
        if self._path is None:
            self._path = request.path
        request.path = place.path + self._path
        request.origin = place.origin
        request.headers["host"] = place.host
        request.headers["authorization"] = grant.token

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        """A 401 that is no matter of time says what the key may do."""
        error = super().refusal(request, response)
        if isinstance(error, ServiceError) and error.status == 401 and error.code == "unauthorized" and self._grant:
            allowed = self._grant.authorization
            names = (
                None if allowed.buckets is None else ", ".join(bucket.name or bucket.id for bucket in allowed.buckets)
            )
            error.details = {"capabilities": " ".join(allowed.capabilities)}
            limits = f"the key may {', '.join(allowed.capabilities) or 'do nothing'}"
            if names is not None:
                error.details["buckets"] = names
                limits += f"; in {names or 'no bucket'}"
            if allowed.name_prefix:
                error.details["namePrefix"] = allowed.name_prefix
                limits += f"; below {allowed.name_prefix!r}"
            error.message = f"{error.message}: {limits}" if error.message else limits
        return error

    def renew(self, request: Request, error: S3FuncError) -> bool:
        """Ask for another token, once, when this one has expired, or when a HEAD cannot say what is wrong."""
        self._raise_final(error)
        if self.once and error.maybe_applied:
            raise error
        if self._renewed or not isinstance(error, ServiceError) or error.status != 401 or self._grant is None:
            return False
        if error.code not in _EXPIRED and not (request.method == "HEAD" and error.code == _NO_CODE):
            return False
        self._renewed = True
        self._account.drop(self._grant.token)
        return True


def _without_secrets(text: str, request: Request) -> str:
    """What the service says, less the token that it may repeat: errors are logged and pickled."""
    token = request.headers.get("authorization", "")
    return text.replace(token, "***") if token else text
