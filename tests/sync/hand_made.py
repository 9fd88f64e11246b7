"""Plans that were written by hand: the steps of a test, and a guard that does what the test says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from s3func.sync.endpoints import Endpoint
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation, Side
from s3func.sync.remote import RemotePrefix


class Notes:
    """A state that remembers what it is told."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[Side, Side]] = {}
        self.forgotten: list[str] = []
        self.doubted: list[str] = []
        self.trusted: list[str] = []
        self.flushes = 0

    def record(self, name: str, source: Side, target: Side) -> None:
        self.rows[name] = (source, target)

    def forget(self, names: str) -> None:
        self.forgotten.append(names)

    def doubt(self, operations: Iterable[Operation]) -> None:
        self.doubted += [operation.name for operation in operations]

    def trust(self, names: Iterable[str]) -> None:
        self.trusted += names

    def check_writable(self) -> None:
        """It can be."""

    def flush(self) -> None:
        self.flushes += 1


class HandMade:
    """A plan of given steps."""

    def __init__(
        self, source: Endpoint, target: Endpoint, steps: list[Operation], *, refusal: Exception | None = None
    ) -> None:
        """refusal: what the guard raises."""
        self.source = source
        self.target = target
        self.state = Notes()
        self.steps = steps
        self.refusal = refusal
        self.asked: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.steps)

    def guard(self, deletes: int, failed: int) -> None:
        self.asked.append((deletes, failed))
        if self.refusal is not None:
            raise self.refusal


def side_of_file(path: Path) -> Side:
    """What a scan would have seen."""
    found = path.lstat()
    link = os.readlink(path) if path.is_symlink() else None
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return Side(found.st_size, *times, found.st_ino, found.st_dev, found.st_mode, link=link)


def side_of_object(remote: RemotePrefix, name: str) -> Side:
    """What a listing would have said."""
    head = remote.session.head_object(remote.key(name), bucket=remote.bucket)
    return Side(head.size or 0, etag=head.etag)


def upload(tree: LocalTree, name: str, target: Side | None = None) -> Operation:
    """The upload of a file that is there."""
    source = side_of_file(Path(tree.root, name))
    return Operation("upload", name, source.size, "new" if target is None else "content", source, target)


def download(remote: RemotePrefix, name: str, target: Side | None = None) -> Operation:
    """The download of an object that is there."""
    source = side_of_object(remote, name)
    return Operation("download", name, source.size, "new" if target is None else "content", source, target)
