from __future__ import annotations

import pytest

from s3func.server import S3App
from tests.server.b2.callers import B2Caller


@pytest.fixture
def b2(app: S3App) -> B2Caller:
    """The master key's calls, over each store."""
    return B2Caller(app)
