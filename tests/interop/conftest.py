"""Fixtures of the interop tests: each test that asks for `foreign` runs once per foreign server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from s3func import S3Session
from tests.interop import servers
from tests.interop.deviations import DEVIATIONS
from tests.interop.servers import Farm, ForeignServer, connect, new_bucket, present

FARM = Farm()


def pytest_runtestloop(session: pytest.Session) -> None:
    """Start the servers that the selected tests ask for, all at once and before the first test."""
    if not session.config.option.collectonly:
        params = [getattr(item, "callspec", None) for item in session.items]
        FARM.start(sorted({spec.params["foreign"] for spec in params if spec and "foreign" in spec.params}))


def pytest_sessionfinish() -> None:
    """Stop them, however the session ended."""
    FARM.stop()


@pytest.fixture(params=sorted(servers.RIGS))
def foreign(request: pytest.FixtureRequest) -> ForeignServer:
    """A running foreign server; a skip where it cannot run, which CI does not allow."""
    name: str = request.param
    server = present(lambda: FARM.server(name))
    test, case = request.node.originalname, request.node.name.replace(f"[{name}-", "[").replace(f"-{name}]", "]")
    if known := DEVIATIONS.get((name, test)) or DEVIATIONS.get((name, case)):
        raises, reason = known
        request.applymarker(pytest.mark.xfail(raises=raises, reason=f"{name}: {reason}", strict=True))
    return server


@pytest.fixture
def session(foreign: ForeignServer) -> Iterator[S3Session]:
    """A session on a new bucket."""
    with connect(foreign, new_bucket()) as opened:
        opened.create_bucket()
        yield opened
