"""A server, a bucket, and a mirror of it whose cache and memory are in the test's own folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func import S3Session, testing
from s3func.mirrors import Mirror, mirror

BUCKET = "data"


@pytest.fixture(autouse=True)
def _own_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


@pytest.fixture(scope="module")
def server() -> Iterator[testing.Server]:
    """One server for the tests of a file; each test has a bucket of its own in it."""
    with testing.server() as running:
        yield running


@pytest.fixture
def session(server: testing.Server) -> Iterator[S3Session]:
    """A session on an empty bucket."""
    made = server.session(BUCKET)
    yield made
    server.faults.clear()
    made.delete_objects([entry.key for entry in made.list_objects()])


@pytest.fixture
def make(session: S3Session, tmp_path: Path) -> Callable[..., Mirror]:
    """Makes mirrors of that bucket."""

    def made(**options: Any) -> Mirror:
        return mirror(tmp_path / "cache root", session=session, **options)

    return made


def put(session: S3Session, files: dict[str, bytes]) -> None:
    """Objects under their keys."""
    for key, content in files.items():
        session.put_object(key, content)


def keys(session: S3Session) -> dict[str, bytes]:
    """All objects."""
    return {entry.key: session.get_object(entry.key).data for entry in session.list_objects()}
