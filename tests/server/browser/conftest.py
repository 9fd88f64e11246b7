from __future__ import annotations

from collections.abc import Iterator

import pytest

import s3func.testing
from s3func.testing import Server
from tests.server.browser.agent import Agent
from tests.server.forge import KEY_ID, SECRET


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with pages, which has the bucket `bkt`."""
    with s3func.testing.server(access_key_id=KEY_ID, secret_access_key=SECRET, browser=True) as server:
        server.app.backend.create_bucket("bkt", owner="s3func", region="us-east-1")
        yield server


@pytest.fixture
def stranger(server: Server) -> Iterator[Agent]:
    """A browser that nobody has signed in with."""
    with Agent(server.endpoint_url) as agent:
        yield agent


@pytest.fixture
def agent(stranger: Agent) -> Agent:
    """A browser that has signed in with the server's key pair."""
    assert "Buckets" == stranger.sign_in(KEY_ID, SECRET).title
    return stranger
