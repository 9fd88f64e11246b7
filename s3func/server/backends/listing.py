"""Turn ordered keys into a page of a listing: what every store that can seek in its keys shares.

A page costs one seek per common prefix, one row per row, and nothing for what is folded, before it or behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Protocol, TypeVar

from s3func.server.backend import ListSlice, StoredObject
from s3func.server.powers import Upload, UploadSlice, VersionRow, VersionSlice

AFTER = b"\xff"
"""No UTF-8 text contains this byte, so `prefix + AFTER` is greater than every key with that prefix, and only just."""


class Keyed(Protocol):
    """A row of a listing."""

    @property
    def key(self) -> str:
        """What the rows are in the order of."""


Row = TypeVar("Row", bound=Keyed)

Seek = Callable[[bytes, bytes], Iterator[Row]]
"""The rows with `low <= key < high`, in order, read no further than they are asked for."""

Rest = Callable[[bytes], Iterable[Row]]
"""The rows of one key that are behind the place where a page ended inside of it."""


def list_slice(seek: Seek[StoredObject], prefix: str, delimiter: str, start_after: str, limit: int) -> ListSlice:
    """One page, as `Backend.list_objects` promises it."""
    rows, common_prefixes, last = _fold(seek, None, prefix, delimiter, start_after, limit)
    return ListSlice(rows, common_prefixes, last if last is None or isinstance(last, str) else last.key)


def version_slice(
    seek: Seek[VersionRow], rest: Rest[VersionRow] | None, prefix: str, delimiter: str, key_marker: str, limit: int
) -> VersionSlice:
    """One page, as `Versioned.list_object_versions` promises it. rest: where the last page ended inside of a key."""
    rows, common_prefixes, last = _fold(seek, rest, prefix, delimiter, key_marker, limit)
    if last is None or isinstance(last, str):
        return VersionSlice(rows, common_prefixes, last)
    return VersionSlice(rows, common_prefixes, last.key, last.marker or last.stored.version_id)


def upload_slice(
    seek: Seek[Upload], rest: Rest[Upload] | None, prefix: str, delimiter: str, key_marker: str, limit: int
) -> UploadSlice:
    """One page, as `Multipart.list_uploads` promises it. rest: where the last page ended inside of a key."""
    rows, common_prefixes, last = _fold(seek, rest, prefix, delimiter, key_marker, limit)
    if last is None or isinstance(last, str):
        return UploadSlice(rows, common_prefixes, last)
    return UploadSlice(rows, common_prefixes, last.key, last.upload_id)


def _fold(
    seek: Seek[Row], rest: Rest[Row] | None, prefix: str, delimiter: str, start_after: str, limit: int
) -> tuple[list[Row], list[str], Row | str | None]:
    """Rows and common prefixes, and whichever came last if more follow."""
    rows: list[Row] = []
    common_prefixes: list[str] = []
    if limit <= 0:
        return rows, common_prefixes, None
    room = limit
    last: Row | str | None = None
    low, high, is_folded = _bounds(prefix, delimiter, start_after)
    first: Iterable[Row] = ()
    if rest is not None and start_after.startswith(prefix) and not is_folded:
        first = rest(start_after.encode())
    while True:
        for row in chain(first, seek(low, high)):
            if room == 0:
                return rows, common_prefixes, last
            room -= 1
            cut = row.key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                rows.append(row)
                last = row
            else:
                last = row.key[: cut + len(delimiter)]
                common_prefixes.append(last)
                low = last.encode() + AFTER
                first = ()
                break
        else:
            return rows, common_prefixes, None


def _bounds(prefix: str, delimiter: str, start_after: str) -> tuple[bytes, bytes, bool]:
    """From where to where, and whether the place to start after is inside a common prefix, or is one."""
    encoded = prefix.encode()
    low = encoded
    if start_after:
        low = max(low, start_after.encode() + b"\0")
        if delimiter and start_after.startswith(prefix):
            cut = start_after.find(delimiter, len(prefix))
            if cut >= 0:
                # All of the keys of that common prefix are behind us.
                return start_after[: cut + len(delimiter)].encode() + AFTER, encoded + AFTER, True
    return low, encoded + AFTER, False
