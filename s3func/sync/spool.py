"""Steps as JSON lines, and a place to keep many of them: in memory while they are few, then in a file without a name.

The lines that others read name their fields; those of the file without a name, which nobody else sees, do not.

Rule: what is read back is what was written, down to names that are no text: those are written with escaped surrogates.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import IO, Any, get_args

import orjson

from s3func.errors import SyncError
from s3func.sync.operation import Kind, Operation, Side

_IN_MEMORY_MAX = 20_000
_KINDS = frozenset(get_args(Kind))
_NUMBERS = ("size", "mtime_ns", "ctime_ns", "inode", "device", "mode", "part_size")
_TEXTS = ("etag", "version_id", "md5", "sha1", "link")


def dumps(value: Any) -> bytes:
    """One line of JSON, without its end."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # A path that is no UTF-8 is a text with surrogates here, which strict JSON has no word for.
        return json.dumps(value, separators=(",", ":")).encode()


def loads(line: bytes) -> Any:
    """What dumps() wrote; SyncError for anything that is no JSON."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(line)
    except ValueError as error:
        raise SyncError(f"the plan has a line that is no JSON: {line[:80]!r}") from error


def packed(operation: Operation) -> dict[str, Any]:
    """A step as a JSON object; what is not known has no field."""
    kind, name, size, reason, source, target, path, moved_from, detail = operation
    line: dict[str, Any] = {"op": kind, "name": name}
    if size:
        line["size"] = size
    line["reason"] = reason
    for key, side in (("source", source), ("target", target)):
        if side is not None:
            line[key] = {field: value for field, value in zip(Side._fields, side, strict=True) if value is not None}
    texts = {"path": path, "moved_from": moved_from, "detail": detail}
    line.update({key: text for key, text in texts.items() if text is not None})
    return line


def unpacked(line: Any) -> Operation:
    """The step of a JSON object; SyncError where it is none."""
    try:
        kind, name = line["op"], line["name"]
        source, target = _side(line.get("source")), _side(line.get("target"))
        texts = [line.get(key) for key in ("path", "moved_from", "detail")]
        size, reason = line.get("size", 0), line.get("reason", "")
    except (TypeError, KeyError, AttributeError) as error:
        raise SyncError(f"the plan has a line that is no step: {str(line)[:80]!r}") from error
    is_right = kind in _KINDS and type(size) is int and size >= 0 and not set(line) - _FIELDS
    if not is_right or not all(isinstance(text, str) for text in (name, reason, *(t for t in texts if t is not None))):
        raise SyncError(f"the plan has a line that is no step: {str(line)[:80]!r}")
    return Operation(kind, name, size, reason, source, target, *texts)


_FIELDS = frozenset({"op", "name", "size", "reason", "source", "target", "path", "moved_from", "detail"})


def _side(fields: Any) -> Side | None:
    if fields is None:
        return None
    side = Side(**fields)
    for names, kind in ((_NUMBERS, int), (_TEXTS, str)):
        for name in names:
            value = getattr(side, name)
            if value is not None and type(value) is not kind:
                raise TypeError(name)
    if side.modified is not None and type(side.modified) not in {int, float}:
        raise TypeError("modified")
    return side


class Spool:
    """Steps in the order in which they were put in, to be read any number of times."""

    def __init__(self, in_memory_max: int = _IN_MEMORY_MAX) -> None:
        self._in_memory_max = in_memory_max
        self._first: list[Operation] = []
        self._file: IO[bytes] | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, operation: Operation) -> None:
        """Put one in."""
        self._count += 1
        if len(self._first) < self._in_memory_max:
            self._first.append(operation)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="s3func-plan-", buffering=1 << 16)  # noqa: SIM115 -- see close()
        kind, name, size, reason, source, target, *texts = operation
        sides = (None if source is None else tuple(source), None if target is None else tuple(target))
        self._file.write(dumps((kind, name, size, reason, *sides, *texts)) + b"\n")

    def __iter__(self) -> Iterator[Operation]:
        yield from self._first
        if self._file is None:
            return
        place = 0
        while True:
            # Several readers may be under way, so each knows its own place.
            self._file.seek(place)
            lines = self._file.readlines(1 << 18)
            place = self._file.tell()
            if not lines:
                return
            for line in lines:
                kind, name, size, reason, source, target, *texts = loads(line)
                sides = (None if source is None else Side._make(source), None if target is None else Side._make(target))
                yield Operation(kind, name, size, reason, *sides, *texts)

    def close(self) -> None:
        """Let go of everything."""
        self._first = []
        self._count = 0
        if self._file is not None:
            self._file.close()
            self._file = None
