"""pytest fixtures: an S3 server on this machine, and in every test a bucket of its own.

Found by pytest itself, through the entry point `pytest11`, wherever s3func is installed.

Rule 1: this file is loaded in every run of tests of everybody who has s3func: it imports nothing but pytest, and does
        nothing, before a fixture is asked for.
Rule 2: there is one server per run of tests (per worker with pytest-xdist), and one bucket per test. Faults and the
        journal belong to one test: they are cleared behind it, and the bucket's making is not in the journal.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from s3func.b2 import B2Session
    from s3func.s3 import S3Session
    from s3func.testing import Server

_RUNNING = pytest.StashKey["Server"]()
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def s3_server_options() -> dict[str, Any]:
    """What `s3func.testing.server` is given; override this fixture to start another server: `{"path": …}`."""
    return {}


@pytest.fixture(scope="session")
def s3_server(pytestconfig: pytest.Config, s3_server_options: dict[str, Any]) -> Iterator[Server]:
    """An S3 server on a free port of 127.0.0.1, the same one for all tests: `endpoint_url`, keys, `faults`, `journal`."""
    from s3func.testing import server

    with server(**s3_server_options) as running:
        pytestconfig.stash[_RUNNING] = running
        yield running
    del pytestconfig.stash[_RUNNING]


@pytest.fixture
def s3_bucket(request: pytest.FixtureRequest, s3_server: Server) -> Iterator[str]:
    """The name of an empty bucket that only this test has; it is removed behind the test, with all that is in it."""
    from s3func.s3 import S3Session

    bucket = _new_name(request)
    with S3Session(bucket=bucket, **s3_server.settings) as session:
        session.create_bucket()
    s3_server.journal.clear()
    yield bucket
    _remove(s3_server, bucket)


@pytest.fixture
def s3_session(s3_server: Server, s3_bucket: str) -> Iterator[S3Session]:
    """An `S3Session` on the bucket of this test."""
    from s3func.s3 import S3Session

    with S3Session(bucket=s3_bucket, **s3_server.settings) as session:
        yield session


@pytest.fixture
def b2_session(request: pytest.FixtureRequest, s3_server: Server) -> Iterator[B2Session]:
    """A `B2Session` on an empty bucket of this test's own, made by B2's own call, so that it keeps versions."""
    bucket = _new_name(request)
    with s3_server.b2_session(bucket) as session:
        s3_server.journal.clear()
        yield session
    _remove(s3_server, bucket)


@pytest.fixture
def s3_environment(s3_server: Server) -> Iterator[Server]:
    """The server, with endpoint, region and keys in the environment as AWS's own clients read them.

    Whatever the code under test makes of it, an `S3Session()`, a `boto3.client("s3")` or a child process, reaches this
    server and no other one.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AWS_"):
                patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint_url)
        patch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint_url)
        patch.setenv("AWS_REGION", s3_server.region)
        patch.setenv("AWS_DEFAULT_REGION", s3_server.region)
        patch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key_id)
        patch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_access_key)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield s3_server


def _new_name(request: pytest.FixtureRequest) -> str:
    """A name for a bucket that no other test has: one that S3 and B2 both allow."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return f"{words[:40].strip('-') or 'test'}-{next(_NUMBERS):04}"


def _remove(running: Server, bucket: str) -> None:
    """Remove a bucket with all that is in it, unless the test has done so."""
    from s3func.errors import NoSuchBucket

    try:
        running.remove_bucket(bucket)
    except NoSuchBucket:
        pass


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Let no test inherit the faults and the journal of another one."""
    running = item.config.stash.get(_RUNNING, None)
    if running is not None:
        running.faults.clear()
        running.journal.clear()
