"""A Drime of the test's own, on a port or in the process, and stores on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from s3func.server.backends.drime import DrimeBackend
from tests.server.drime.fake import FakeDrime, serve
from tests.server.drime.stores import quick_backend

OpenStore = Callable[..., DrimeBackend]


@pytest.fixture
def drime() -> FakeDrime:
    """An empty account."""
    return FakeDrime()


@pytest.fixture
def drime_url(drime: FakeDrime) -> Iterator[str]:
    """The account on a port."""
    with serve(drime) as url:
        yield url


@pytest.fixture
def open_store(drime: FakeDrime, tmp_path: Path) -> Iterator[OpenStore]:
    """Open stores on the account, without a socket; they are closed after the test."""
    with ExitStack() as stack:

        def make(**options: Any) -> DrimeBackend:
            backend = quick_backend(drime, tmp_path / "metadata.db", **options)
            stack.callback(backend.close)
            return backend

        yield make


@pytest.fixture
def store(open_store: OpenStore) -> DrimeBackend:
    """A store with an empty bucket called "bucket"."""
    backend = open_store()
    backend.create_bucket("bucket")
    return backend
