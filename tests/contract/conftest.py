"""Every store that the contract suite runs over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from s3func import S3Session
from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.server.app import S3App
from s3func.server.backend import Backend
from s3func.server.backends.local import LocalBackend
from s3func.server.backends.memory import MemoryBackend
from s3func.server.backends.session import SessionBackend
from tests.contract.objects import STORES

MakeBackend = Callable[..., Backend]


@pytest.fixture(params=list(STORES))
def make_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeBackend]:
    """Make empty stores, as many as a test wants; they are closed after it."""
    with ExitStack() as stack:
        number = 0

        def make(clock: Clock = SYSTEM_CLOCK) -> Backend:
            nonlocal number
            number += 1
            backend: Backend
            if request.param == "memory":
                backend = MemoryBackend(clock=clock)
            elif request.param == "session":
                keys, place = ("id", "secret"), "eu-west-1"
                app = S3App(
                    MemoryBackend(clock=clock),
                    access_key_id=keys[0],
                    secret_access_key=keys[1],
                    region=place,
                    clock=clock,
                )
                backend = SessionBackend(S3Session(*keys, region=place, transport=app, clock=clock), clock=clock)
            else:
                backend = LocalBackend(tmp_path / f"store-{number}", durability="os", clock=clock)
            stack.callback(backend.close)
            return backend

        yield make


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    """One store with an empty bucket called "bucket"."""
    made = make_backend()
    made.create_bucket("bucket", owner="owner")
    return made
