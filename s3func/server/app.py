"""S3App: an S3 store as a function from Request to Response, with a Backend behind it.

The path of a request: where it points (addressing), who sent it (auth), what it asks for (routing), the operation
(handlers/), and on the way out the request id; a refusal, wherever it comes from, becomes an error document here.
It has the shape of a Transport, so a session in the same process can use it without a socket; `listener` gives it one.
"""

from __future__ import annotations

import itertools
import logging
import secrets
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import AccessDenied, ServiceError, service_error
from s3func.message import Request, Response
from s3func.server.addressing import Target, parse_query, parse_target
from s3func.server.auth import Authenticator
from s3func.server.authorization import authorize
from s3func.server.backends.memory import MemoryBackend
from s3func.server.call import Call, Store
from s3func.server.cors import actual_headers, preflight
from s3func.server.payload import BodySourceError
from s3func.server.refusal import Refusal
from s3func.server.routing import METHODS, find_handler, method_not_allowed, route_of
from s3func.server.users import User, Users
from s3func.wire import s3xml
from s3func.wire.encoding import http_date

if TYPE_CHECKING:
    from s3func.server.b2.app import B2App
    from s3func.server.backend import Backend
    from s3func.server.browser.site import Site
    from s3func.server.faults import Faults
    from s3func.server.journal import Journal
    from s3func.server.watch import Watch

logger = logging.getLogger("s3func.server")

OWNER = "s3func"
"""The canonical id of the user of the single key pair."""

_READS = frozenset({"GET", "HEAD"})
_BODILESS = frozenset({204, 304})
_B2_PATHS = ("/b2api/", "/file/")


class S3App:
    """Speaks S3 over a Backend, and B2 where the store has all powers. Safe from many threads at once.

    https://docs.aws.amazon.com/AmazonS3/latest/API/Type_API_Reference.html
    """

    _watch: Watch | None = None
    _site: Site | None = None

    def __init__(
        self,
        backend: Backend | None = None,
        *,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        users: Iterable[User] = (),
        region: str = "us-east-1",
        no_auth: bool = False,
        read_only: bool = False,
        domain: str | Iterable[str] = (),
        kms_key_ids: Iterable[str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        journal: Journal | None = None,
        control: bool = False,
        browser: bool = False,
    ) -> None:
        """Put S3 in front of a store; without one, a MemoryBackend.

        access_key_id, secret_access_key: the pair of one user, "test" and "test" where nobody is given. users: others,
        each of them a different owner. no_auth: whoever can connect may do everything. read_only: nobody may change
        anything. domain: the domains whose sub-domains are buckets (`bucket.s3.example.com` for "s3.example.com"),
        besides localhost. kms_key_ids: the keys that `aws:kms` may name, None for any. clock: what signatures are
        measured by. journal: where requests are recorded. control: whoever is on this machine may set faults and read
        the journal at `/-/faults` and `/-/journal`. browser: the root shows a web browser pages, see server/browser.
        """
        everybody = _users(access_key_id, secret_access_key, users)
        if not isinstance(region, str) or not region or "/" in region or not region.isascii():
            raise ValueError(f"region is not a region name: {region!r}")
        self.backend: Backend = MemoryBackend(clock=clock) if backend is None else backend
        self.region = region
        domains = [domain] if isinstance(domain, str) else list(domain)
        self._domains = tuple({name.lower().strip("."): None for name in (*domains, "localhost")})
        keys = None if kms_key_ids is None else frozenset(kms_key_ids)
        self._store = Store(self.backend, clock, region, everybody, keys)
        self._clock = clock
        self._is_open = no_auth
        self._reads_only = read_only
        self._auth = Authenticator(everybody, region=region, clock=clock, no_auth=no_auth, domains=self._domains)
        self._date = (-1, "")
        if journal is not None or control:
            self._watch = self._begin_watch(journal, control=control)
        if browser:
            from s3func.server.browser.site import Site

            self._site = Site(
                self.handle, self._store, self._domains, is_open=no_auth, reads_only=read_only, b2=lambda: self.b2
            )
        # They name an exchange in two logs and are no secret; a later start begins elsewhere.
        self._request_ids = itertools.count(secrets.randbits(63))

    @property
    def may_block(self) -> bool:
        """Whether an operation may wait for a disk or a network, so that an event loop must not carry it out itself."""
        watch = self._watch
        return not isinstance(self.backend, MemoryBackend) or (watch is not None and watch.faults.may_wait)

    @property
    def reads_at_once(self) -> bool:
        """Whether a head or a small body is read in no more time than a page from a disk, see Backend."""
        watch = self._watch
        return bool(getattr(self.backend, "reads_at_once", False)) and (watch is None or not watch.faults.may_wait)

    @property
    def faults(self) -> Faults:
        """What is to go wrong: nothing, until something is added. Costs nothing while it is not asked for."""
        if self._watch is None:
            # Of two threads that ask at the same time, both get the first one's.
            self.__dict__.setdefault("_watch", self._begin_watch(None))
        watch = self._watch
        assert watch is not None
        return watch.faults

    @property
    def journal(self) -> Journal | None:
        """What was asked, where it is recorded."""
        return None if self._watch is None else self._watch.journal

    def __call__(self, request: Request) -> Response:
        """Answer one request; refusals are answers, too. What the client's own body raises is passed on to it."""
        return self.handle(request)

    def handle(self, request: Request, *, mount: str = "") -> Response:
        """Like calling the app; `mount` is the beginning of the path that belongs to another application around it."""
        site = self._site
        if site is not None and site.is_asked(request, mount):
            return site.handle(request, mount)
        watch = self._watch
        if watch is not None:
            return watch.handle(request, mount)
        if request.path.startswith(_B2_PATHS, len(mount)) and (b2 := self.b2_of(request, mount)) is not None:
            return b2.handle(request, mount)
        return self._carry_out(request, mount)

    @cached_property
    def b2(self) -> B2App | None:
        """B2 over the same store; None where the store lacks one of the powers that it takes. Loaded when it is used."""
        from s3func.server.b2.app import B2App
        from s3func.server.powers import Editable, Identified, Multipart, Versioned

        backend: Any = self.backend
        if not all(isinstance(backend, power) for power in (Versioned, Multipart, Editable, Identified)):
            return None
        users, region = self._store.users, self.region
        return B2App(backend, users, self._clock, region=region, is_open=self._is_open, reads_only=self._reads_only)

    def b2_of(self, request: Request, mount: str) -> B2App | None:
        """B2, if the request is for it; None if it is S3's."""
        path = request.path.removeprefix(mount)
        if not path.startswith(_B2_PATHS):
            return None
        from s3func.server.b2.app import is_of_b2

        if not is_of_b2(request, path):
            return None
        try:
            # By the name of a host, the whole path is the key.
            if self._target(request, mount).bucket != path.split("/", 2)[1]:
                return None
        except ServiceError:
            return self.b2
        return self.b2

    def _carry_out(self, request: Request, mount: str, instead: Callable[[], Response] | None = None) -> Response:
        """Answer a request, or answer it with what `instead` gives in place of an operation."""
        request_id = f"{next(self._request_ids):016X}"
        begun = self._clock.monotonic()
        target = Target("service")
        try:
            target = self._target(request, mount)
            response = self._answer(request, target) if instead is None else instead()
        except ServiceError as error:
            response = _refusal(error, request, target, request_id)
        except BodySourceError as failed:
            raise failed.__cause__ or failed from None
        except Exception:
            # The traceback is for whoever runs the server; a client learns only that it was not its fault.
            logger.exception("%s %s failed (request %s)", request.method, request.path, request_id)
            fault = service_error("InternalError", "We encountered an internal error. Please try again.")
            response = _refusal(fault, request, target, request_id)
        headers = response.headers
        if "origin" in request.headers and target.bucket and request.method != "OPTIONS":
            headers |= actual_headers(request, self.backend, target.bucket)
        headers["x-amz-request-id"] = request_id
        headers["x-amz-id-2"] = request_id
        headers["date"] = self._http_date()
        if request.method == "HEAD":
            response.body = b""
        elif isinstance(response.body, bytes) and response.status not in _BODILESS:
            headers["content-length"] = str(len(response.body))
        if logger.isEnabledFor(logging.DEBUG):
            # Without the query: a presigned one is a secret.
            milliseconds = (self._clock.monotonic() - begun) * 1000
            logger.debug("%s %s %d %.1f ms", request.method, request.path, response.status, milliseconds)
        return response

    def release(self) -> None:
        """Let nobody wait for a fault any longer; the server is about to end."""
        if self._watch is not None:
            self._watch.faults.release()

    def refuse(self, request: Request, error: ServiceError) -> Response:
        """The answer to a request that could not be carried out after all."""

        def raise_it() -> Response:
            raise error

        return self._carry_out(request, "", raise_it)

    def close(self) -> None:
        """Close the store."""
        self.release()
        self.backend.close()

    def _target(self, request: Request, mount: str) -> Target:
        if request.method not in METHODS and request.method != "OPTIONS":
            raise method_not_allowed(request.method)
        host = request.headers.get("host")
        if host is None:
            host = request.origin.partition("://")[2]
        path = request.path
        if mount and (path == mount or path.startswith(f"{mount}/")):
            path = path[len(mount) :] or "/"
        return parse_target(path, host, self._domains)

    def _answer(self, request: Request, target: Target) -> Response:
        if request.method == "OPTIONS":
            return preflight(request, self.backend, target.bucket)
        parameters = parse_query(request.query)
        grant = self._auth.authenticate(request, parameters)
        if self._reads_only and request.method not in _READS:
            raise AccessDenied("This server is read-only.")
        route = route_of(request.method, target.scope, parameters, request.headers)
        handler = find_handler(route)
        # Of a name that is repeated, the first value counts.
        query = dict(reversed(parameters))
        call = Call(self._store, request, grant, target.bucket, target.key, query)
        call.access = authorize(call, route, target.tenant, is_open=self._is_open)
        try:
            return handler(call)
        finally:
            # The two know each other: as a circle they would wait for the collector, which took 5 µs of every GET.
            del call.access

    def _begin_watch(self, journal: Journal | None, *, control: bool = False) -> Watch:
        from s3func.server.watch import Watch
        from s3func.server.watched import EveryProvider, S3Provider

        s3 = S3Provider(self._target, self._carry_out, self._clock.now)
        return Watch(EveryProvider(s3, self.b2_of), self._clock, journal, control=control)

    def _http_date(self) -> str:
        second = int(self._clock.now())
        known, text = self._date
        if known != second:
            text = http_date(second)
            self._date = (second, text)
        return text


def _users(access_key_id: str | None, secret_access_key: str | None, others: Iterable[User]) -> Users:
    """The others, and in front of them the user of the single key pair."""
    users = list(others)
    if access_key_id is None and secret_access_key is None:
        if users:
            return Users(users)
        access_key_id = secret_access_key = "test"  # noqa: S105 -- the seed's documented default, for tests on loopback
    # What was given and is wrong is named before what is missing.
    pair = {"access_key_id": access_key_id, "secret_access_key": secret_access_key}
    for name, value in sorted(pair.items(), key=lambda item: item[1] is None):
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name} must be a text that is not empty")
    assert access_key_id is not None
    assert secret_access_key is not None
    return Users([User(access_key_id, secret_access_key, OWNER), *users])


def _refusal(error: ServiceError, request: Request, target: Target, request_id: str) -> Refusal:
    """The error document."""
    headers = {**error.headers, "content-type": "application/xml"}
    about = {"BucketName": error.bucket or target.bucket, "Key": error.key or target.key}
    document = s3xml.render_error(
        error.code,
        # Some clients cannot read an error without a message.
        error.message or error.code,
        resource=request.path,
        request_id=request_id,
        host_id=request_id,
        extra={name: value for name, value in (about | error.details).items() if value},
    )
    return Refusal(error.status, headers, document, error.code)
