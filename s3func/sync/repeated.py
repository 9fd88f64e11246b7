"""Steps that are found done: a cluster that lost a worker carries a step out twice, and a run may be killed behind one.

Rule: done is what has this very content, by a hash of it. What only looks alike is a conflict, as without this file.
"""

from __future__ import annotations

import os
from hashlib import md5
from typing import TYPE_CHECKING

from s3func.errors import S3FuncError
from s3func.sync.compare import same_objects
from s3func.sync.contents import PART_SIZE_KEY, ContentTest, same_heads
from s3func.sync.entry import LocalEntry, RemoteEntry
from s3func.sync.reading import read_whole, side_of_status

if TYPE_CHECKING:
    from s3func.results import HeadResult
    from s3func.sync.local import LocalTree
    from s3func.sync.operation import Side
    from s3func.sync.remote import RemotePrefix


def stored_before(target: RemotePrefix, name: str, content: bytes) -> HeadResult | None:
    """The object of this name, if it has this content."""
    try:
        head = target.session.head_object(target.key(name), bucket=target.bucket)
    except S3FuncError:
        return None
    return head if head.etag == md5(content, usedforsecurity=False).hexdigest() else None


def uploaded_before(tree: LocalTree, path: str, target: RemotePrefix, name: str) -> HeadResult | None:
    """The object of this name, if it has the content of a file that is too large to be held; reads the file."""
    found = _compared(tree, path, target, name)
    return None if found is None else found[1]


def written_before(tree: LocalTree, path: str, content: bytes) -> Side | None:
    """The file, if it has this content."""
    try:
        descriptor = tree.open_source(path)
    except (OSError, S3FuncError):
        return None
    try:
        found = os.fstat(descriptor)
        is_same = found.st_size == len(content) and read_whole(descriptor, found.st_size) == content
        return side_of_status(found) if is_same else None
    finally:
        os.close(descriptor)


def downloaded_before(tree: LocalTree, path: str, source: RemotePrefix, name: str) -> tuple[Side, HeadResult] | None:
    """The file and the head of the object, if it has the content of an object that is too large to be held."""
    return _compared(tree, path, source, name)


def copied_before(source: RemotePrefix, target: RemotePrefix, name: str) -> HeadResult | None:
    """The object of this name in the target, if its head and that of the source's say that they are the same."""
    try:
        heads = [side.session.head_object(side.key(name), bucket=side.bucket) for side in (source, target)]
    except S3FuncError:
        return None
    if heads[0].size != heads[1].size:
        return None
    entries = [RemoteEntry(name, name, head.size or 0, head.etag, 0.0) for head in heads]
    # Equal ETags say it only if they are hashes; of some stores they are numbers, or missing.
    return heads[1] if same_objects(entries[0], entries[1]) or same_heads(*heads) else None


def _compared(tree: LocalTree, path: str, remote: RemotePrefix, name: str) -> tuple[Side, HeadResult] | None:
    key = remote.key(name)
    try:
        side = tree.side(path)
        head = remote.session.head_object(key, bucket=remote.bucket)
        if side is None or side.link is not None or side.size != head.size:
            return None
        times = (side.mtime_ns or 0, side.ctime_ns or 0, side.inode or 0, side.device or 0, side.mode or 0)
        parts = head.user_metadata.get(PART_SIZE_KEY, "")
        finding = ContentTest(tree, remote).compare(
            LocalEntry(name, path, side.size, *times),
            RemoteEntry(name, key, side.size, head.etag, 0.0, head.version_id),
            known_part=int(parts) if parts.isdecimal() and parts.isascii() else None,
        )
    except (OSError, S3FuncError):
        return None
    return (side, head) if finding.is_same else None
