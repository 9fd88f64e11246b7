"""The store in Drime's cloud: `DrimeBackend`, through the package `pydrime` (the extra `s3func[drime]`).

`names` are keys as names of folders and files, `service` is Drime's API, `folders` what was seen of it, `cache` what it
does not keep, `objects` and `buckets` changes, `spool`, `bodies` and `uploads` what is on its way, `backend` joins them.

- Buckets and prefixes are folders, objects are files, under names that people recognize; every key has a name.
- MD5, metadata, content headers, documents and parts are kept in an SQLite file of this machine. Where they are unknown
  there is no metadata, and an ETag that is not an MD5, until the body was read.
- A change is one request at Drime: at any instant there is the old object or the new one. Conditions are as atomic as
  it gets with one server: it asks them under a lock of its own. Two servers on one folder do not know of each other's.
- What others change at Drime is seen when a folder is listed again, after `refresh_seconds`.
- There are no versions: what was overwritten is in Drime's trash.
"""

from __future__ import annotations

from s3func.server.backends.drime.backend import DrimeBackend, default_cache_path
from s3func.server.backends.drime.cache import CacheStats, Database, cache_stats, cleanup

__all__ = ["CacheStats", "Database", "DrimeBackend", "cache_stats", "cleanup", "default_cache_path"]
