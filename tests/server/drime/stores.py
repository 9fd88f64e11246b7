"""Stores on a FakeDrime, without a socket and without waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from s3func.server.backends.drime import DrimeBackend
from s3func.server.backends.drime.service import make_client
from tests.server.drime.fake import API_KEY, FakeDrime, transport


def quick_backend(drime: FakeDrime, cache_path: Path, **options: Any) -> DrimeBackend:
    """A store whose requests are answered in the process."""
    client = make_client(API_KEY, drime.url, retry_delay=0.0)
    client._client = httpx.Client(transport=transport(drime), headers={"Authorization": f"Bearer {API_KEY}"})
    return DrimeBackend(client, cache_path=cache_path, **options)
