"""The store in memory: `MemoryBackend`. `bucket` has the records of one bucket, `drafts` bodies, `backend` joins them."""

from __future__ import annotations

from s3func.server.backends.memory.backend import MemoryBackend

__all__ = ["MemoryBackend"]
