"""A server that clusters can reach, with a tree of files, and one driver per cluster for all tests of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import s3func.testing
from s3func.server import Journal
from tests.distributed import rig
from tests.ecosystem.environment import interpreter
from tests.interop.servers import present

FILES = 2_000


@pytest.fixture(scope="module")
def server() -> Iterator[s3func.testing.Server]:
    with s3func.testing.server(journal=Journal(100_000)) as running:
        yield running


@pytest.fixture(scope="module")
def store(server: s3func.testing.Server) -> rig.Store:
    return rig.Store(server)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    rig.make_tree(folder, FILES)
    return folder


@pytest.fixture(scope="module", params=rig.CLUSTERS)
def driver(
    request: pytest.FixtureRequest, server: s3func.testing.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[rig.Driver]:
    with started(request.param, server, tmp_path_factory.mktemp("home")) as running:
        yield running


def started(cluster: str, server: s3func.testing.Server, home: Path) -> rig.Driver:
    """A driver with two workers."""
    return rig.Driver(python_of_clusters(), cluster, 2, rig.credentials(server), home)


def python_of_clusters() -> Path:
    """The interpreter that has them; a skip where it is missing, which CI does not allow."""
    return present(interpreter)


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A prefix that no other test has."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
