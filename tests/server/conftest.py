from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.config import Config  # type: ignore[import-untyped]

import s3func.testing
from s3func.server import LocalBackend, MemoryBackend, S3App
from tests.server.forge import KEY_ID, SECRET, Caller


@pytest.fixture(params=["memory", "local"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[S3App]:
    """An app in this process, over each store."""
    backend = MemoryBackend() if request.param == "memory" else LocalBackend(tmp_path / "store", durability="os")
    app = S3App(backend, access_key_id=KEY_ID, secret_access_key=SECRET)
    yield app
    app.close()


@pytest.fixture
def caller(app: S3App) -> Caller:
    """Signed calls of the app, which has the bucket `bkt`."""
    caller = Caller(app)
    assert caller("PUT", "/bkt").status == 200
    return caller


@pytest.fixture
def server() -> Iterator[s3func.testing.Server]:
    """A server on a port, with a store in memory that has the bucket `bkt`."""
    with s3func.testing.server(access_key_id=KEY_ID, secret_access_key=SECRET) as server:
        server.app.backend.create_bucket("bkt", owner="s3func", region="us-east-1")
        yield server


def boto3_client(server: s3func.testing.Server, *, secret: str = SECRET, **config: Any) -> Any:
    """A foreign client of the server."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


@pytest.fixture
def boto(server: s3func.testing.Server) -> Iterator[Any]:
    """boto3 on the server."""
    client = boto3_client(server)
    yield client
    client.close()
