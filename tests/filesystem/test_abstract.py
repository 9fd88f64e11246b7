"""fsspec's own suite for filesystems, on the embedded server: through S3 and through B2."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from fsspec.tests.abstract import (
    AbstractCopyTests,
    AbstractFixtures,
    AbstractGetTests,
    AbstractOpenTests,
    AbstractPipeTests,
    AbstractPutTests,
)

from s3func import B2Session, testing
from s3func.filesystem import B2FileSystem, S3FileSystem

BUCKET = "all-files"
# Its own fixtures are of a kind that pytest wants to give up.
pytestmark = pytest.mark.filterwarnings("ignore:Class-scoped fixture")


@pytest.fixture(scope="module")
def server() -> Iterator[testing.Server]:
    """One server for the whole suite."""
    with testing.server() as running:
        yield running


class Fixtures(AbstractFixtures):
    """What fsspec asks an implementation for."""

    @pytest.fixture(params=["s3", "b2"])
    def fs(self, request: pytest.FixtureRequest, server: testing.Server) -> Iterator[Any]:
        """The filesystem, on a bucket that both APIs reach."""
        session = B2Session(server.access_key_id, server.secret_access_key, BUCKET, realm=server.endpoint_url)
        with session, warnings.catch_warnings():
            if not any(entry.name == BUCKET for entry in session.list_buckets()):
                session.create_bucket()
            if request.param == "b2":
                yield B2FileSystem(session=session, skip_instance_cache=True)
            else:
                yield S3FileSystem(session=server.session(BUCKET, create=False), skip_instance_cache=True)

    @pytest.fixture
    def fs_path(self) -> str:
        """Where the suite may write."""
        return BUCKET

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        """A store has none."""
        return False


class TestCopy(AbstractCopyTests, Fixtures):
    pass


class TestGet(AbstractGetTests, Fixtures):
    pass


class TestPut(AbstractPutTests, Fixtures):
    pass


class TestOpen(AbstractOpenTests, Fixtures):
    pass


class TestPipe(AbstractPipeTests, Fixtures):
    pass
