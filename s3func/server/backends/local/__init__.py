"""The store in a directory: `LocalBackend`.

`directory` has the files, `database` the connections, `schema` the tables; `buckets`, `objects`, `versions` and
`uploads` are what happens in them; `drafts` and `readers` are open bodies, and `backend` joins it all.
"""

from __future__ import annotations

from s3func.server.backends.local.backend import LocalBackend
from s3func.server.backends.local.directory import Durability

__all__ = ["Durability", "LocalBackend"]
