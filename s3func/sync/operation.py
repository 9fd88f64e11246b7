"""One step of a plan, as data: what is to happen to one name, why, and what both sides must still look like.

A plan is reviewed, stored as JSON lines, and carried out later or elsewhere, so a step knows nothing of sessions.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from s3func.sync.entry import Entry, LocalEntry

Kind: TypeAlias = Literal["upload", "download", "copy", "rename", "delete", "record", "conflict", "problem"]
"""upload, download, copy (store to store): the source's content gets the target's name. rename: an object of the target
store that has the content already, `moved_from`, is copied inside the store. delete: the target's name goes. record: both
sides agree, which was not known before and is to be remembered. conflict: both changed. problem: cannot be done, see detail."""


class Side(NamedTuple):
    """What one side looked like when it was scanned; None in an Operation means that the name was not there.

    Local: size, mtime_ns, ctime_ns, inode, device, mode. Remote: size, etag, modified (seconds), version_id.
    md5, sha1: hexadecimal, where somebody computed or knew them. part_size: bytes of the parts of a multipart ETag.
    """

    size: int
    mtime_ns: int | None = None
    ctime_ns: int | None = None
    inode: int | None = None
    device: int | None = None
    mode: int | None = None
    etag: str | None = None
    modified: float | None = None
    version_id: str | None = None
    md5: str | None = None
    sha1: str | None = None
    part_size: int | None = None
    link: str | None = None


class Operation(NamedTuple):
    """One step. name: relative to both sides. path: of the local side, if it is not the name. size: bytes to be moved.

    reason: new, size, content, unknown, metadata, extraneous, tracked, forced, both-changed … as plan() documents them.
    source, target: the preconditions. moved_from: the name, below the target, whose object has this content already.
    detail: for people.
    """

    kind: Kind
    name: str
    size: int = 0
    reason: str = ""
    source: Side | None = None
    target: Side | None = None
    path: str | None = None
    moved_from: str | None = None
    detail: str | None = None


def side_of(entry: Entry) -> Side:
    """What a scan saw of a name, as the precondition of a step."""
    if isinstance(entry, LocalEntry):
        _, _, size, mtime_ns, ctime_ns, inode, device, mode, link = entry
        return Side(size, mtime_ns, ctime_ns, inode, device, mode, link=link)
    return Side(entry.size, etag=entry.etag or None, modified=entry.modified, version_id=entry.version_id)
