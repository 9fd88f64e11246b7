"""A store for checkpoints: the embedded server in process, through S3 and through B2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from s3func import S3Session
from s3func.checkpoints import Checkpoints
from s3func.server import MemoryBackend, S3App

KEY_ID, SECRET = "AKTEST", "secret-of-the-test"


@pytest.fixture
def session() -> Iterator[S3Session]:
    """A session on an empty bucket."""
    app = S3App(MemoryBackend(), access_key_id=KEY_ID, secret_access_key=SECRET)
    with S3Session(KEY_ID, SECRET, "runs", transport=app) as made:
        made.create_bucket()
        yield made


@pytest.fixture
def make(session: S3Session) -> Any:
    """Checkpoints on that bucket: `make(keep=3)`."""

    def made(url: str = "s3://runs/job", **options: Any) -> Checkpoints:
        return Checkpoints(url, session=session, **options)

    return made
