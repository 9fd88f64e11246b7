"""Turn ordered keys into a page of a listing: what every store that can seek in its keys shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from s3func.server.backend import ListSlice, StoredObject

AFTER = b"\xff"
"""No UTF-8 text contains this byte, so `prefix + AFTER` is greater than every key with that prefix, and only just."""

Seek = Callable[[bytes, bytes], Iterator[StoredObject]]
"""The objects with `low <= key < high`, in order, read no further than they are asked for."""


def list_slice(seek: Seek, prefix: str, delimiter: str, start_after: str, limit: int) -> ListSlice:
    """One page, as `Backend.list_objects` promises it, at the cost of one seek per common prefix."""
    rows: list[StoredObject] = []
    common_prefixes: list[str] = []
    if limit <= 0:
        return ListSlice(rows, common_prefixes)
    room = limit
    last = ""
    low, high = _bounds(prefix, delimiter, start_after)
    while True:
        for stored in seek(low, high):
            if room == 0:
                return ListSlice(rows, common_prefixes, last)
            room -= 1
            cut = stored.key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                rows.append(stored)
                last = stored.key
            else:
                last = stored.key[: cut + len(delimiter)]
                common_prefixes.append(last)
                low = last.encode() + AFTER
                break
        else:
            return ListSlice(rows, common_prefixes)


def _bounds(prefix: str, delimiter: str, start_after: str) -> tuple[bytes, bytes]:
    encoded = prefix.encode()
    low = encoded
    if start_after:
        low = max(low, start_after.encode() + b"\0")
        if delimiter and start_after.startswith(prefix):
            cut = start_after.find(delimiter, len(prefix))
            if cut >= 0:
                # The place is inside a common prefix, or is one: all of its keys are behind us.
                low = start_after[: cut + len(delimiter)].encode() + AFTER
    return low, encoded + AFTER
