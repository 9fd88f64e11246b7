"""create_s3_app inside another application: mounted under a prefix in Starlette, which is what FastAPI mounts with."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
import uvicorn
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ResponseStreamingError,
)
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from s3func.message import BLOCK
from s3func.server import ASGIApp, MemoryBackend, create_s3_app
from tests.interop.keys import HOSTILE_KEYS

# Starlette's own router knows no path with a line feed in it.
KEYS = [key for key in HOSTILE_KEYS if "\n" not in key]


async def home(request: Request) -> PlainTextResponse:
    """The other application's own page."""
    return PlainTextResponse("home")


@pytest.fixture
def mounted() -> Iterator[tuple[str, ASGIApp]]:
    """A Starlette application on a port, which has an S3 server at /files/s3; its URL, and the server."""
    s3 = create_s3_app(MemoryBackend(), "id", "secret")
    app = Starlette(
        routes=[Route("/", home), Mount("/files", routes=[Mount("/s3", app=s3)])],
        middleware=[Middleware(GZipMiddleware)],
    )
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready.set()

    server = Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
    bound = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{bound.getsockname()[1]}", s3
    server.should_exit = True
    thread.join()
    bound.close()
    # Starlette tells an application that it mounts nothing of its end.
    s3.close()


@pytest.fixture
def boto(mounted: tuple[str, ASGIApp]) -> Iterator[Any]:
    """boto3 on what is mounted, with the bucket `bkt`."""
    client = boto3.client(
        "s3",
        endpoint_url=f"{mounted[0]}/files/s3",
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, signature_version="s3v4"),
    )
    client.create_bucket(Bucket="bkt")
    yield client
    client.close()


def test_a_mounted_server_is_a_server(boto: Any, mounted: tuple[str, ASGIApp]) -> None:
    """Signed requests with the prefix in their paths work, for every key, and the other routes go on as they were."""
    for key in KEYS:
        boto.put_object(Bucket="bkt", Key=key, Body=key.encode())
    for key in KEYS:
        assert key.encode() == boto.get_object(Bucket="bkt", Key=key)["Body"].read()
    listed = [row["Key"] for row in boto.list_objects_v2(Bucket="bkt")["Contents"]]
    assert sorted(KEYS, key=str.encode) == listed
    url = boto.generate_presigned_url("get_object", Params={"Bucket": "bkt", "Key": KEYS[0]})
    assert url.startswith(f"{mounted[0]}/files/s3/bkt/")
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert KEYS[0].encode() == answer.read()
    with urllib.request.urlopen(mounted[0], timeout=30) as answer:
        assert b"home" == answer.read()
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{mounted[0]}/bkt/key", timeout=30)
    with refusal.value:
        assert 404 == refusal.value.code


def test_large_bodies_through_another_application(boto: Any) -> None:
    """Bodies stream through the middleware of the other application, both ways."""
    body = bytes(range(256)) * (5 * BLOCK // 256)
    boto.put_object(Bucket="bkt", Key="large", Body=body)
    assert body == boto.get_object(Bucket="bkt", Key="large")["Body"].read()
    with pytest.raises(ClientError, match="InvalidRange"):
        boto.get_object(Bucket="bkt", Key="large", Range=f"bytes={len(body)}-")


def test_faults_of_a_mounted_server(boto: Any, mounted: tuple[str, ASGIApp]) -> None:
    """Refusals are the same in another application's server; what should be a reset is a failure of that server."""
    mounted[1].app.faults.add("PutObject", status=503, code="SlowDown", times=1)
    with pytest.raises(ClientError, match="SlowDown"):
        boto.put_object(Bucket="bkt", Key="key", Body=b"x")
    boto.put_object(Bucket="bkt", Key="key", Body=b"x")
    boto.put_object(Bucket="bkt", Key="large", Body=bytes(2 * BLOCK))
    with (
        mounted[1].app.faults.add("GetObject", cut_answer=1),
        pytest.raises((IncompleteReadError, ResponseStreamingError)),
    ):
        boto.get_object(Bucket="bkt", Key="large")["Body"].read()
    with mounted[1].app.faults.add("PutObject", reset="after"), pytest.raises((ClientError, ConnectionClosedError)):
        boto.put_object(Bucket="bkt", Key="reset", Body=b"x")
    # Asked of the store: the other server closes a connection that this client would use again.
    assert 1 == mounted[1].app.backend.head_object("bkt", "reset").size
