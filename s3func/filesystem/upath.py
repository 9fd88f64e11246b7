"""Paths for universal_pathlib, by entry point: `UPath("s3func://bucket/key")`, `UPath("b2://bucket/key")`.

https://universal-pathlib.readthedocs.io/
"""

from __future__ import annotations

from typing import Any

from fsspec.registry import register_implementation
from upath import _flavour
from upath.implementations.cloud import CloudPath

from s3func.filesystem.filesystem import B2FileSystem, S3FileSystem

__all__ = ["StorePath"]

# It warns of a protocol that fsspec knows by name only.
register_implementation("s3func", S3FileSystem, clobber=True)
register_implementation("b2", B2FileSystem, clobber=True)
# It has a table of the protocols whose first part is a bucket, and no other way to say so. Without it a bucket would be
# a folder like others: paths still work, but have one parent too many.
for _name in ("netloc_is_anchor", "supports_empty_parts"):
    _known: Any = getattr(getattr(_flavour, "WrappedFileSystemFlavour", None), "protocol_config", {}).get(_name)
    if isinstance(_known, set):
        _known.update({"s3func", "b2"})


class StorePath(CloudPath):
    """An object, or a folder of objects, as a path; options as those of the filesystem."""

    __slots__ = ()
