"""The store in a directory: `LocalBackend`. `directory` has the files, `index` the database, `backend` joins them."""

from __future__ import annotations

from s3func.server.backends.local.backend import LocalBackend
from s3func.server.backends.local.directory import Durability

__all__ = ["Durability", "LocalBackend"]
