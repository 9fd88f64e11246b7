"""A store in memory whose time stands still unless it is moved, and a wire that loses what it is told to lose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from s3func import RetryPolicy, S3Session
from s3func.errors import ConnectionLost, NotFound, S3FuncError
from s3func.lock import Lock
from s3func.message import Request, Response
from s3func.server import MemoryBackend, S3App

START = 1_800_000_000.0


class HandClock:
    """Time that only sleeping moves, for everybody who shares it."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class Row(NamedTuple):
    key: str
    last_modified: datetime | None
    version_id: str | None = None


class Answer(NamedTuple):
    data: bytes = b""
    version_id: str | None = None
    last_modified: datetime | None = None
    headers: dict[str, str] = {}  # noqa: RUF012 -- never written to


class Shelf:
    """A store: keys, bytes, stamps. It promises what a lock asks for, and no ETag, no Date and no versions."""

    def __init__(self, clock: HandClock | None = None) -> None:
        self.clock = clock or HandClock()
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.requests: list[tuple[str, str]] = []
        self.fails: Callable[[str, str], S3FuncError | None] = lambda verb, key: None
        self.after: Callable[[str, str], None] = lambda verb, key: None

    def _asked(self, verb: str, key: str) -> None:
        self.requests.append((verb, key))
        error = self.fails(verb, key)
        try:
            if error is not None:
                raise error
        finally:
            # An error that its own frame remembers would keep the locks of the frames above from being garbage.
            del error

    def put_object(self, key: str, body: bytes, *, bucket: str | None = None) -> Answer:
        self._asked("put", key)
        self.objects[key] = (body, self.clock.now())
        self.after("put", key)
        return Answer()

    def list_objects(self, prefix: str, *, bucket: str | None = None) -> list[Row]:
        self._asked("list", prefix)
        return [
            Row(key, datetime.fromtimestamp(stamp, UTC))
            for key, (_, stamp) in sorted(self.objects.items())
            if key.startswith(prefix)
        ]

    def delete_object(self, key: str, version_id: str | None = None, *, bucket: str | None = None) -> Answer:
        self._asked("delete", key)
        self.objects.pop(key, None)
        return Answer()

    def head_object(self, key: str, *, bucket: str | None = None) -> Answer:
        self._asked("head", key)
        if key not in self.objects:
            raise NotFound
        return Answer()

    def get_object(self, key: str, *, bucket: str | None = None) -> Answer:
        self._asked("get", key)
        if key not in self.objects:
            raise NotFound
        return Answer(self.objects[key][0])

    def list_object_versions(self, prefix: str, *, bucket: str | None = None) -> list[Row]:
        return []

    def limited(self, seconds: float) -> Self:
        return self

    def lock(self, name: str = "job", **settings: Any) -> Lock:
        """A lock whose clock is the store's."""
        return Lock(self, name, clock=self.clock, **settings)

    @property
    def announced(self) -> list[str]:
        """The ids of the tickets that exist."""
        return [key.split("/")[-1][:24] for key in self.objects if ".0." in key]


class Wire:
    """A transport in front of an S3App: a rule sees each request, and may lose it or its answer."""

    def __init__(self) -> None:
        self.app = S3App(MemoryBackend(), access_key_id="id", secret_access_key="secret")
        self.seen: list[str] = []
        self.lose: Callable[[Request], str] = lambda request: ""
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        """`lose` says "request", "answer", or nothing."""
        with self._lock:
            self.seen.append(f"{request.method} {request.path}?{request.query}")
            lost = self.lose(request)
        if lost == "request":
            raise ConnectionLost("the request was lost")
        response = self.app(request)
        if lost == "answer":
            response.close()
            raise ConnectionLost("the answer was lost")
        return response

    def close(self) -> None:
        self.app.close()

    def session(self, **options: Any) -> S3Session:
        return S3Session("id", "secret", "bucket", transport=self, retries=RetryPolicy(base_seconds=0.001), **options)


def wired() -> Iterator[tuple[Wire, S3Session]]:
    """A wire, and a session on a new bucket."""
    wire = Wire()
    session = wire.session()
    session.create_bucket()
    yield wire, session
    wire.close()


def keys(session: S3Session) -> list[str]:
    """What is in the bucket."""
    return [entry.key for entry in session.list_objects()]


def once(fits: Callable[[Request], bool], what: str) -> Callable[[Request], str]:
    """Lose the first that fits."""
    left = [what]
    return lambda request: left.pop() if left and fits(request) else ""
