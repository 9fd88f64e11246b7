"""The decision about one name that both sides have: same, changed, or not to be told without a look at the contents.

Rule 1: pure: two entries, what is remembered of both, and a mode; no file, no request, no clock.
Rule 2: "same" needs a reason; whoever has none says undecided, and what stays undecided is transferred.

    mode      sizes differ   remembered, and both as then   else, sizes equal
    auto      changed        same                           undecided: the contents
    hash      changed        undecided: the contents        undecided: the contents
    mtime     changed        same                           undecided: the time that is kept with the object
    size      changed        same                           same
    aws       changed        by the times alone: same unless the source is newer (up), the target is newer (down)
    always    changed        changed                        changed
    missing   same           same                           same

Of two objects the ETags may tell at once whether their contents are the same. `aws` does what `aws s3 sync` does, asymmetry and all: a newer object of the same size is not downloaded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

from s3func.sync.entry import LocalEntry, RemoteEntry

if TYPE_CHECKING:
    from s3func.sync.entry import Entry
    from s3func.sync.operation import Side
    from s3func.sync.state import StateRow

Compare: TypeAlias = Literal["auto", "hash", "mtime", "size", "aws", "always", "missing"]
MODES: tuple[str, ...] = get_args(Compare)
Outcome: TypeAlias = Literal["same", "changed", "undecided"]

MULTIPART = re.compile(r"[0-9a-f]{32}-([1-9][0-9]{0,4})\Z")
"""The ETag of an object that was uploaded in parts; the group is their number."""
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_SHA1 = re.compile(r"[0-9a-f]{40}\Z")
_INODE_MASK = (1 << 64) - 1
_SECOND = 1_000_000_000


class Verdict(NamedTuple):
    """What is known of a name, and the word for why."""

    outcome: Outcome
    reason: str


_UNCHANGED = Verdict("same", "unchanged")
_SIZE = Verdict("changed", "size")
_SAME_SIZE = Verdict("same", "size")
_PRESENT = Verdict("same", "present")
_FORCED = Verdict("changed", "forced")
_TIME = Verdict("changed", "mtime")
_SAME_TIME = Verdict("same", "mtime")
_CONTENT = Verdict("undecided", "content")
_SAME_CONTENT = Verdict("same", "content")
_OTHER_CONTENT = Verdict("changed", "content")
_STORED_TIME = Verdict("undecided", "mtime")


def decide(mode: Compare, source: Entry, target: Entry, row: StateRow | None, *, is_swapped: bool = False) -> Verdict:
    """The table above. is_swapped: the row's `one` is the target."""
    if mode == "missing":
        return _PRESENT
    if mode == "always":
        return _FORCED
    if source.size != target.size:
        return _SIZE
    if mode == "size":
        return _SAME_SIZE
    if mode == "aws":
        return _by_aws(source, target)
    if mode != "hash" and row is not None and not row.is_racy:
        one, other = (target, source) if is_swapped else (source, target)
        if one_is_unchanged(row, one) and other_is_unchanged(row, other):
            return _UNCHANGED
    if mode != "mtime" and not isinstance(source, LocalEntry) and not isinstance(target, LocalEntry):
        is_same = same_objects(source, target)
        if is_same is not None:
            return _SAME_CONTENT if is_same else _OTHER_CONTENT
    return _STORED_TIME if mode == "mtime" else _CONTENT


def one_is_unchanged(row: StateRow, entry: Entry) -> bool:
    """Whether the first side of a row looks exactly as it did; of a file its size, both times and its inode."""
    if isinstance(entry, LocalEntry):
        # size, mtime_ns, ctime_ns, inode stand side by side in both.
        return row[1:5] == entry[2:6] or (
            row[1:4] == entry[2:5] and row[4] is not None and row[4] & _INODE_MASK == entry.inode & _INODE_MASK
        )
    return _object_is_unchanged(row.one_size, row.one_etag, row.one_modified, row.one_version, entry)


def other_is_unchanged(row: StateRow, entry: Entry) -> bool:
    """Whether the second side of a row, which is an object, looks exactly as it did."""
    if isinstance(entry, LocalEntry):
        return False
    return _object_is_unchanged(row.other_size, row.other_etag, row.other_modified, row.other_version, entry)


def _object_is_unchanged(
    size: int, etag: str | None, modified: float | None, version: str | None, entry: RemoteEntry
) -> bool:
    if size != entry.size or etag != entry.etag or not etag:
        return False
    # The answer to an upload does not say when the object was written, and a listing does not say which version it is.
    if modified is not None and entry.modified and modified != entry.modified:
        return False
    return version is None or entry.version_id is None or version == entry.version_id


def object_has_content(row: StateRow, entry: RemoteEntry | Side, *, is_one: bool = False) -> bool:
    """Whether an object still has the content that the row is about, whenever it was written."""
    size, etag = (row.one_size, row.one_etag) if is_one else (row.other_size, row.other_etag)
    if size != entry.size or not entry.etag:
        return False
    return entry.etag in {etag, row.md5, row.sha1}


def is_md5(etag: str | None) -> bool:
    """Whether an ETag has the look of an MD5 of the content; it may be none."""
    return etag is not None and _MD5.match(etag) is not None


def is_sha1(etag: str | None) -> bool:
    """Whether an ETag is the SHA-1 that B2 keeps."""
    return etag is not None and _SHA1.match(etag) is not None


def same_objects(source: RemoteEntry, target: RemoteEntry) -> bool | None:
    """Whether two objects of equal size have the same content, as far as their ETags tell; None where they do not.

    Two ETags that look like an MD5, or name the same parts, and are equal: the same. All else nobody can know.
    """
    if source.etag == target.etag and (is_md5(source.etag) or MULTIPART.match(source.etag)):
        return True
    if is_sha1(source.etag) and is_sha1(target.etag):
        return source.etag == target.etag
    return None


def _by_aws(source: Entry, target: Entry) -> Verdict:
    """https://docs.aws.amazon.com/cli/latest/reference/s3/sync.html."""
    ahead = _seconds(target) - _seconds(source)
    is_download = isinstance(target, LocalEntry)
    return _SAME_TIME if (ahead <= 0 if is_download else ahead >= 0) else _TIME


def _seconds(entry: Entry) -> float:
    return entry.mtime_ns / _SECOND if isinstance(entry, LocalEntry) else entry.modified


def same_time(mtime_ns: int, stored: str) -> bool | None:
    """Whether a file's time is the one that is kept with its object, as seconds with decimals; None for no such text.

    They are the same as far as the less exact of the two can tell: whole seconds, milliseconds, microseconds, 100 ns, and
    on FAT every second second. Cutting off and rounding are both in use.
    """
    whole, point, decimals = stored.strip().partition(".")
    if not whole.removeprefix("-").isdecimal() or not whole.isascii() or (point and not decimals.isdecimal()):
        return None
    if len(whole) > 12 or not decimals.isascii():
        return None
    digits = (decimals + "000000000")[:9]
    kept = int(whole) * _SECOND + (-int(digits) if whole.startswith("-") else int(digits))
    if kept == mtime_ns:
        return True
    apart = abs(kept - mtime_ns)
    # Of a number that has few digits nobody knows whether it was cut off; of two that have equally many, they differ.
    mine, theirs = _unit(mtime_ns), _unit(kept)
    # FAT has only even seconds: of a file there, two seconds are one step.
    is_fat = mine == _SECOND and mtime_ns // _SECOND % 2 == 0
    if mine == theirs:
        return is_fat and apart == _SECOND
    return apart < max(mine, theirs) * (2 if is_fat else 1)


def _unit(time_ns: int) -> int:
    """What a time seems to have been counted in, in nanoseconds."""
    for unit in (_SECOND, 1_000_000, 1000, 100):
        if time_ns % unit == 0:
            return unit
    return 1
