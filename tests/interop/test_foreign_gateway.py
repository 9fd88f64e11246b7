"""Foreign clients against a gateway: our server, whose store is another server that is reached through a session.

They are those of test_foreign_clients.py, and see no difference: to S3 behind it, and to Backblaze's native API.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import s3func.testing
from s3func.server import SessionBackend
from tests.interop.clients import Client
from tests.interop.servers import present
from tests.interop.test_foreign_clients import Start, test_awscli_sync, test_rclone, test_restic, test_s3cmd, test_s5cmd

# They are collected here once more, and run over the fixture below.
__all__ = ["test_awscli_sync", "test_rclone", "test_restic", "test_s3cmd", "test_s5cmd"]

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

SHORTFALLS = {
    ("b2", "test_s3cmd"): "B2 has no buckets with names of less than six characters",
    ("b2", "test_s5cmd"): "B2 keeps versions, so that a bucket whose objects were deleted is not empty",
    ("b2", "minio-buckets"): "B2 has no tags",
    ("b2", "pyarrow-files"): "B2 makes no large file of one part",
}
"""What a client cannot do through a gateway, and why: it is tried, and has to fail."""


@pytest.fixture(params=["s3", "b2"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Starts a client by its name on a gateway, with a bucket in a new store behind it."""
    name = f"{request.node.callspec.params.get('library', '')}-{request.node.callspec.params.get('function', '')}"
    reason = SHORTFALLS.get((request.param, request.node.originalname)) or SHORTFALLS.get((request.param, name))
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, raises=AssertionError, strict=True))
    with s3func.testing.server() as behind:
        session = behind.session(create=False) if request.param == "s3" else behind.b2_session(create=False)
        with s3func.testing.server(SessionBackend(session)) as server:

            def begin(name: str) -> Client:
                return present(lambda: Client(name, server, "interop", tmp_path))

            yield begin


@pytest.mark.parametrize(
    ("library", "function"),
    [
        ("boto3", "pages"),
        ("boto3", "presigned_urls"),
        ("boto3", "ranges"),
        ("boto3", "versions"),
        ("minio", "buckets"),
        ("minio", "transfers"),
        ("obstore", "transfers"),
        ("pyarrow", "files"),
    ],
)
def test_a_library(start: Start, library: str, function: str) -> None:
    """What `calls/LIBRARY_calls.py: FUNCTION` says holds through a gateway as well."""
    start(library).call(function)
