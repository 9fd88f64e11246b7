from __future__ import annotations

from collections.abc import Iterator

import pytest

from s3func import S3Session
from tests.lock.rigs import Wire, wired


@pytest.fixture
def rig() -> Iterator[tuple[Wire, S3Session]]:
    """A wire that can lose what passes, and a session on a new bucket behind it."""
    yield from wired()


@pytest.fixture
def wire(rig: tuple[Wire, S3Session]) -> Wire:
    return rig[0]


@pytest.fixture
def session(rig: tuple[Wire, S3Session]) -> S3Session:
    return rig[1]
