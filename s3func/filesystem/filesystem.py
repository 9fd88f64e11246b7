"""An fsspec filesystem over a session: pandas, pyarrow, Dask, DuckDB, Zarr and others read and write through it.

    pandas.read_parquet("s3func://bucket/table.parquet", storage_options={"endpoint_url": …})
    fsspec.filesystem("s3func", session=session);  fsspec.filesystem("b2")

1. A path is BUCKET/KEY, and the key is sent as it stands; what fsspec itself takes away is a slash at the end.
2. Nothing is remembered unless use_listings_cache=True says so: what a listing says is passed on, not kept. Where pyarrow,
   DuckDB and Dask ask about what they have just listed or opened, that answers them, and nobody else (callers.py).
3. Nothing is published that was not written to its end; nothing local is replaced by half an object; no bucket is made
   but by create_bucket().
4. A pickle holds the configuration and no secret: whoever unpickles it has the credentials of the place where it runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from fsspec.registry import register_implementation

from s3func.filesystem.reading import Reading
from s3func.filesystem.writing import Writing

__all__ = ["B2FileSystem", "S3FileSystem", "install"]


def install(protocols: Iterable[str] = ("s3", "s3a")) -> None:
    """Have fsspec use this filesystem for s3:// as well, in this process; until then those are left to s3fs."""
    for protocol in protocols:
        register_implementation(protocol, S3FileSystem, clobber=True)


class S3FileSystem(Reading, Writing):
    """S3 for fsspec. Safe for threads and for fork, as its session is."""

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Any = None,
        **options: Any,
    ) -> Any:
        for name in ("cache_type", "size", "fill_cache"):
            options.pop(name, None)
        if mode == "rb":
            return self._open_to_read(path, {"block_size": block_size, **options})
        return self._open_to_write(path, mode, options, autocommit=autocommit)


class B2FileSystem(S3FileSystem):
    """Backblaze B2's native API for fsspec."""

    protocol: ClassVar[Any] = ("b2",)
    _scheme = "b2"
