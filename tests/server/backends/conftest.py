"""A local store per test, to be opened as often as the test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3func.server.backends.local import Durability, LocalBackend

OpenStore = Callable[..., LocalBackend]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[OpenStore]:
    """Open the store of this test; what is still open at the end is closed."""
    opened: list[LocalBackend] = []

    def make(durability: Durability = "os") -> LocalBackend:
        backend = LocalBackend(tmp_path / "store", durability=durability)
        opened.append(backend)
        return backend

    yield make
    for backend in opened:
        backend.close()


@pytest.fixture
def store(open_store: OpenStore) -> LocalBackend:
    """An open store with an empty bucket called "bucket"."""
    backend = open_store()
    backend.create_bucket("bucket", owner="owner", region="eu-west-1")
    return backend


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the store of this test is."""
    return tmp_path / "store"
