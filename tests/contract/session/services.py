"""The services that the contract suite of Session runs over: one session each, on an empty bucket of its own.

A service says of itself what its store keeps; what its session can do is in `session.capabilities`. All requests go
through a wire that counts them, so that "nothing was sent" is something that a test can see.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from s3func import B2Session, RetryPolicy, S3Session
from s3func.message import Request, Response, Transport
from s3func.server import Backend, Journal, Listener, LocalBackend, MemoryBackend, S3App, SessionBackend
from s3func.session import Session
from s3func.transport.pool import Pool
from s3func.transport.transfer import TransferConfig

KEY_ID, SECRET = "contract-id", "contract-secret"
BUCKET = "contract-bucket"
PARTS = TransferConfig(multipart_threshold=6_000_000, part_size=5 * 1024 * 1024, concurrency=2)
"""Two parts at least from 6 MB on, of a size that S3 and B2 allow."""
QUICKLY = RetryPolicy(attempts=3, base_seconds=0.001, throttled_base_seconds=0.001)


class Wire:
    """A transport that remembers what passed."""

    def __init__(self, transport: Transport) -> None:
        self.sent: list[str] = []
        self.transport = transport

    def __call__(self, request: Request) -> Response:
        self.sent.append(f"{request.method} {request.path}")
        return self.transport(request)

    def close(self) -> None:
        # An app is the test's own, and holds the store.
        if isinstance(self.transport, Pool):
            self.transport.close()


class Service(NamedTuple):
    """versions: whether the bucket keeps them. parts: whether the store takes parts. app: the server behind, if ours."""

    # The verbs that S3 and B2 share are more than those of the contract's base class, and each has keywords of its own.
    session: Any
    wire: Wire
    app: S3App | None
    versions: bool
    parts: bool

    @property
    def is_b2(self) -> bool:
        return isinstance(self.session, B2Session)


Open = Callable[[Path, ExitStack], Service]


def _app(backend: Backend, stack: ExitStack) -> S3App:
    app = S3App(backend, access_key_id=KEY_ID, secret_access_key=SECRET, journal=Journal())
    stack.callback(app.close)
    return app


def _s3(transport: Transport, stack: ExitStack, **options: Any) -> tuple[S3Session, Wire]:
    wire = Wire(transport)
    session = S3Session(KEY_ID, SECRET, BUCKET, transport=wire, transfer=PARTS, retries=QUICKLY, **options)
    stack.callback(session.close)
    session.create_bucket()
    return session, wire


def _b2(transport: Transport, stack: ExitStack, **options: Any) -> tuple[B2Session, Wire]:
    wire = Wire(transport)
    session = B2Session(KEY_ID, SECRET, BUCKET, transport=wire, transfer=PARTS, retries=QUICKLY, **options)
    stack.callback(session.close)
    session.create_bucket()
    return session, wire


def _in_process(_folder: Path, stack: ExitStack) -> Service:
    app = _app(MemoryBackend(), stack)
    return Service(*_s3(app, stack), app, versions=False, parts=True)


def _over_a_socket(_folder: Path, stack: ExitStack) -> Service:
    app = _app(MemoryBackend(), stack)
    listener = stack.enter_context(Listener(app))
    session, wire = _s3(Pool(), stack, endpoint_url=listener.endpoint_url)
    return Service(session, wire, app, versions=False, parts=True)


def _with_versions(folder: Path, stack: ExitStack) -> Service:
    app = _app(LocalBackend(folder / "store", durability="os"), stack)
    session, wire = _s3(app, stack)
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    session.request("PUT", query={"versioning": None}, body=body)
    return Service(session, wire, app, versions=True, parts=True)


def _gateway(_folder: Path, stack: ExitStack) -> Service:
    """A server whose store is another session."""
    behind = S3Session(KEY_ID, SECRET, transport=_app(MemoryBackend(), stack))
    app = _app(SessionBackend(behind), stack)
    return Service(*_s3(app, stack), app, versions=False, parts=True)


def _gateway_to_b2(_folder: Path, stack: ExitStack) -> Service:
    """A server that speaks S3, whose store is reached by the native API of B2."""
    behind = B2Session(KEY_ID, SECRET, transport=_app(MemoryBackend(), stack))
    app = _app(SessionBackend(behind), stack)
    return Service(*_s3(app, stack), app, versions=True, parts=True)


def _b2_in_memory(_folder: Path, stack: ExitStack) -> Service:
    app = _app(MemoryBackend(), stack)
    return Service(*_b2(app, stack), app, versions=True, parts=True)


def _b2_on_a_disk(folder: Path, stack: ExitStack) -> Service:
    app = _app(LocalBackend(folder / "store", durability="os"), stack)
    return Service(*_b2(app, stack), app, versions=True, parts=True)


def _b2_over_a_socket(_folder: Path, stack: ExitStack) -> Service:
    app = _app(MemoryBackend(), stack)
    listener = stack.enter_context(Listener(app))
    session, wire = _b2(Pool(), stack, realm=listener.endpoint_url)
    return Service(session, wire, app, versions=True, parts=True)


SERVICES: dict[str, Open] = {
    "s3": _in_process,
    "s3-socket": _over_a_socket,
    "s3-versions": _with_versions,
    "s3-gateway": _gateway,
    "s3-gateway-b2": _gateway_to_b2,
    "b2": _b2_in_memory,
    "b2-disk": _b2_on_a_disk,
    "b2-socket": _b2_over_a_socket,
}

_KEYS_OF_B2 = "B2 has no keys with control characters"
SHORTFALLS = {
    ("s3-gateway-b2", "test_open_for_creating"): "B2 writes nothing under a condition",
    ("s3-gateway-b2", "test_control_characters"): _KEYS_OF_B2,
    ("s3-gateway-b2", "test_any_text_is_a_key_or_is_refused"): _KEYS_OF_B2,
    ("s3-gateway-b2", "test_versions_say_what_happens"): "B2 always keeps versions, and S3's buckets not at first",
    ("s3-gateway-b2", "test_both_apis_are_of_one_store"): "a gateway finds nothing by its id alone, as B2's API has to",
}
"""Where a service cannot do what its session says, and why: each of these tests is run, and has to fail."""

LIVE = {"live-s3": "S3FUNC_LIVE_S3", "live-b2": "S3FUNC_LIVE_B2"}
"""Real services, whose variables are words: `key_id=… secret=… [endpoint=… region=…]`; a bucket is made, and removed."""


@contextmanager
def live(name: str) -> Iterator[Service]:
    """A real service, on a bucket of this test's own."""
    words = dict(word.split("=", 1) for word in os.environ[LIVE[name]].split())
    keys = words.pop("key_id"), words.pop("secret"), f"s3func-contract-{secrets.token_hex(8)}"
    wire = Wire(Pool())
    session: Session
    if name == "live-b2":
        session = B2Session(*keys, realm=words.get("endpoint"), transport=wire, transfer=PARTS)
    else:
        session = S3Session(*keys, words.get("endpoint"), words.get("region"), transport=wire, transfer=PARTS)
    verbs: Any = session
    with session:
        verbs.create_bucket()
        try:
            yield Service(verbs, wire, None, versions=name == "live-b2", parts=True)
        finally:
            verbs.abort_multipart_uploads(0)
            rows = list(session.list_object_versions())
            if rows:
                verbs.delete_objects(rows)
            verbs.delete_bucket()


# What a session decides before anything is sent does not depend on the store.
of_each_kind = pytest.mark.parametrize("service", ["s3", "b2"], indirect=True)


def names() -> list[str]:
    """The services of this run."""
    return [*SERVICES, *(name for name, variable in LIVE.items() if variable in os.environ)]
