"""An S3Object of a bucket of this test, its cache, and what the store was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func.files import Cache, Config, S3Object
from s3func.s3 import S3Session
from s3func.testing import Server, server


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches and records of this test are nobody else's, and progress is not drawn."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("S3FUNC_PROGRESS_MODE", "disabled")
    Config.reset_runtime_overrides()


@pytest.fixture
def s3_server() -> Iterator[Server]:
    """A server of this test, whose threads end with it."""
    with server() as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache in a folder of this test."""
    return Cache(tmp_path / "cache" / "own")


@pytest.fixture
def made(s3_session: S3Session, s3_bucket: str, cache: Cache) -> Callable[..., S3Object]:
    """Make an S3Object of a key."""

    def make(key: str, **options: Any) -> S3Object:
        settings: dict[str, Any] = {"session": s3_session, "cache": cache} | options
        return S3Object(f"s3://{s3_bucket}/{key}", **settings)

    return make


@pytest.fixture
def asked(s3_server: Server) -> Callable[[], list[str]]:
    """The operations that the server was asked for since the last time."""

    def ask() -> list[str]:
        operations = list(s3_server.journal.operations())
        s3_server.journal.clear()
        return operations

    return ask
