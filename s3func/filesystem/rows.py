"""What a listing or a head says, as fsspec has it: dicts with name, size and type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def folder_row(name: str) -> dict[str, Any]:
    """A folder or a bucket."""
    return {"name": name, "size": 0, "type": "directory"}


def object_row(bucket: str, entry: Any) -> dict[str, Any]:
    """An object, from a row of a listing."""
    return described(f"{bucket}/{entry.key}", entry.size, entry.etag, entry.last_modified, entry.version_id)


def described(name: str, size: int, etag: str, modified: Any, version_id: str | None) -> dict[str, Any]:
    """An object."""
    return {
        "name": name,
        "size": size,
        "type": "file",
        "ETag": etag,
        "LastModified": modified,
        "mtime": modified.timestamp() if modified is not None else None,
        "version_id": version_id,
    }


def folders_of(names: Iterable[str], start: int) -> Iterator[str]:
    """Every folder that the names lie in, once, from this position of them on."""
    seen = set()
    for name in names:
        place = name.find("/", start)
        while place > 0:
            folder = name[:place]
            if folder not in seen:
                seen.add(folder)
                yield folder
            place = name.find("/", place + 1)
