"""A clock, the fake services that live by it, and a home with profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func.s3.config import read_settings
from s3func.s3.credentials.chain import Surroundings
from s3func.s3.credentials.files import load_profile
from tests.credentials.fake import Fake
from tests.s3.rigs import FrozenClock

Surround = Callable[..., Surroundings]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def fake(clock: FrozenClock) -> Iterator[Fake]:
    """The services; their clock is the test's."""
    with Fake(clock.now) as server:
        yield server


@pytest.fixture
def surround(tmp_path: Path, clock: FrozenClock) -> Surround:
    """Makes surroundings of files and variables, with the home in a folder of the test's own."""

    def make(config: str = "", shared: str = "", profile: str | None = None, **environment: Any) -> Surroundings:
        folder = tmp_path / ".aws"
        folder.mkdir(exist_ok=True)
        (folder / "config").write_text(config)
        (folder / "credentials").write_text(shared)
        variables = {"HOME": str(tmp_path), **environment}
        found, files = load_profile(profile, variables)
        settings = read_settings(variables, found, files)
        return Surroundings(variables, found, files, profile is not None, settings, None, clock)

    return make
