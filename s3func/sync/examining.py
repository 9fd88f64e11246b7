"""The closer look at one name: its contents, the time that is kept with its object, and who changed since last time.

Rule: what cannot be told is a change, which costs a transfer; only what is proved is the same.
Everything here may read a file or ask for the head of an object, once per name, and is safe for threads.
"""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, NamedTuple

from s3func.errors import AccessDenied, NotFound, SourceChanged
from s3func.sync.compare import (
    Compare,
    Outcome,
    is_md5,
    is_sha1,
    object_has_content,
    one_is_unchanged,
    same_time,
)
from s3func.sync.contents import ContentTest, Finding, digests, part_sizes_of, same_heads
from s3func.sync.entry import LocalEntry
from s3func.sync.local import LocalTree
from s3func.sync.remote import RemotePrefix
from s3func.sync.state import step_of

if TYPE_CHECKING:
    from s3func.results import HeadResult
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.entry import Entry, RemoteEntry
    from s3func.sync.state import StateRow

MTIME_KEY = "mtime"
"""The metadata key of a file's time: seconds since 1970 with decimals, as rclone writes them."""
_B2_MTIME = "x-bz-info-src_last_modified_millis"


class Answer(NamedTuple):
    """What the closer look said. is_proved: by the contents themselves. The rest was learned on the way."""

    outcome: Outcome
    reason: str
    is_proved: bool = False
    md5: str | None = None
    sha1: str | None = None
    part_size: int | None = None


class Examiner:
    """Looks closer at names of one pair of sides."""

    def __init__(self, source: Endpoint, target: Endpoint, mode: Compare, *, is_swapped: bool = False) -> None:
        """is_swapped: of remembered rows, `one` is the target."""
        self._source = source
        self._target = target
        self._mode = mode
        self._is_swapped = is_swapped
        self._stopped = Event()
        self._test: ContentTest | None = None
        if isinstance(source, LocalTree) and isinstance(target, RemotePrefix):
            self._test = ContentTest(source, target, self._stopped)
        elif isinstance(target, LocalTree) and isinstance(source, RemotePrefix):
            self._test = ContentTest(target, source, self._stopped)

    def stop(self) -> None:
        """Nobody waits for answers any more: files that are being read are left."""
        self._stopped.set()

    def examine(self, source: Entry, target: Entry, row: StateRow | None, question: str) -> Answer:
        """Same or changed; `question` is what decide() left open: the content, or the mtime. OSError."""
        if question == "mtime":
            return self._by_time(source, target)
        try:
            finding = self._by_content(source, target, row)
        except (SourceChanged, NotFound, AccessDenied):
            finding = Finding(None)
        learned = (finding.md5, finding.sha1, finding.part_size)
        if finding.is_same:
            return Answer("same", "content", True, *learned)
        return Answer("changed", "unknown" if finding.is_same is None else "content", False, *learned)

    def _by_content(self, source: Entry, target: Entry, row: StateRow | None) -> Finding:
        one, other = (target, source) if self._is_swapped else (source, target)
        may_remember = self._mode != "hash" and row is not None
        assert not isinstance(other, LocalEntry)
        if not isinstance(one, LocalEntry):
            if may_remember and row is not None and _have_content(row, one, other):
                return Finding(True, row.md5, row.sha1, row.part_size)
            return self._of_objects(source, target)
        known = None
        if may_remember and row is not None and not row.is_racy and one_is_unchanged(row, one):
            known = row.md5
            if object_has_content(row, other, is_one=False):
                # The same object was written again.
                return Finding(True, row.md5, row.sha1, row.part_size)
        if may_remember and row is not None and row.md5 is not None and object_has_content(row, other, is_one=False):
            # The object is as it was, and what that was is known: no ETag need be understood.
            md5 = self.md5(one)
            return Finding(md5 == row.md5, md5, row.sha1 if md5 == row.md5 else None, row.part_size)
        assert self._test is not None
        part, etag = (None, None) if row is None else (row.part_size, row.other_etag)
        return self._test.compare(one, other, known_md5=known, known_part=part, known_etag=etag)

    def _of_objects(self, source: Entry, target: Entry) -> Finding:
        assert not isinstance(source, LocalEntry)
        assert not isinstance(target, LocalEntry)
        return Finding(same_heads(self._head(self._source, source), self._head(self._target, target)))

    def _by_time(self, source: Entry, target: Entry) -> Answer:
        try:
            times = [self._time(self._source, source), self._time(self._target, target)]
        except (NotFound, AccessDenied):
            times = [None]
        if None in times:
            return Answer("changed", "unknown")
        local = next((entry for entry in (source, target) if isinstance(entry, LocalEntry)), None)
        if local is None:
            is_same: bool | None = times[0] == times[1]
        else:
            is_same = same_time(local.mtime_ns, next(text for text in times if text))
        if is_same is None:
            return Answer("changed", "unknown")
        return Answer("same" if is_same else "changed", "mtime")

    def _time(self, endpoint: Endpoint, entry: Entry) -> str | None:
        """The time that is kept with an object; "" for a file, which has its own."""
        if isinstance(entry, LocalEntry):
            return ""
        head = self._head(endpoint, entry)
        kept = head.user_metadata.get(MTIME_KEY)
        millis = head.headers.get(_B2_MTIME, "")
        if kept is None and millis.isascii() and millis.isdecimal() and len(millis) < 16:
            kept = f"{int(millis) // 1000}.{int(millis) % 1000:03d}"
        return kept

    def _head(self, endpoint: Endpoint, entry: RemoteEntry) -> HeadResult:
        assert isinstance(endpoint, RemotePrefix)
        return endpoint.session.head_object(entry.key, bucket=endpoint.bucket)

    def both_changed(self, source: Entry, target: Entry, row: StateRow, md5: str | None) -> bool:
        """Whether both have another content than when they agreed. md5: of the local side, if it was computed."""
        if row.is_racy & 2 and self._is_own(target, row):
            # A run that did not come to its end was about to change it: the difference is its own, or none.
            return False
        return self.has_changed(target, row, md5, is_target=True) and self.has_changed(
            source, row, md5, is_target=False
        )

    def _is_own(self, target: Entry, row: StateRow) -> bool:
        """Whether the target holds what a run of ours found there, or what that was to make of it, and nobody else's work."""
        step = step_of(row)
        if step is None:
            return False
        if (seen := step.seen) is not None and target.size == seen[0]:
            if isinstance(target, LocalEntry):
                if (target.mtime_ns, target.inode) == seen[1:3]:
                    return True
            elif target.etag and target.etag == seen[3]:
                return True
        if step.meant is None or target.size != step.meant[0]:
            return False
        _, mtime_ns, etag = step.meant
        if not isinstance(target, LocalEntry):
            if etag is not None or mtime_ns is None:
                return bool(etag) and target.etag == etag
            try:
                kept = self._time(self._target, target)
            except (NotFound, AccessDenied):
                return False
            return kept is not None and same_time(mtime_ns, kept) is True
        meant = row._replace(one_size=target.size, other_etag=etag, md5=None, sha1=None, part_size=None)
        try:
            return self.has_content(target, meant)
        except SourceChanged:
            return False

    def has_changed(self, entry: Entry, row: StateRow, md5: str | None, *, is_target: bool) -> bool:
        """Whether one side has another content than when both agreed; what cannot be told is a change. OSError."""
        if not isinstance(entry, LocalEntry):
            return not object_has_content(row, entry, is_one=self._is_swapped == is_target)
        if entry.size != row.one_size:
            return True
        if not row.is_racy and one_is_unchanged(row, entry):
            return False
        try:
            return not self.has_content(entry, row, md5)
        except SourceChanged:
            return True

    def has_content(self, entry: LocalEntry, row: StateRow, md5: str | None = None) -> bool:
        """Whether a file has the content that a row is about. md5: of the file, if known. OSError, SourceChanged."""
        etag = row.other_etag or ""
        expected = row.md5 or (etag if is_md5(etag) else None)
        if expected is not None:
            return (digests(self._tree, entry, stopped=self._stopped).md5 if md5 is None else md5) == expected
        expected = row.sha1 or (etag if is_sha1(etag) else None)
        parts = part_sizes_of(etag, entry.size, row.part_size)
        if expected is None and not parts:
            # No hash is known. Size, both times and inode are what is left to tell by.
            return one_is_unchanged(row, entry)
        found = digests(self._tree, entry, stopped=self._stopped, sha1=expected is not None, part_sizes=parts)
        return found.sha1 == expected if expected is not None else etag in found.etags.values()

    def md5(self, entry: LocalEntry) -> str:
        """The MD5 of a file. OSError, SourceChanged."""
        return digests(self._tree, entry, stopped=self._stopped).md5

    @property
    def _tree(self) -> LocalTree:
        tree = self._source if isinstance(self._source, LocalTree) else self._target
        assert isinstance(tree, LocalTree)
        return tree


def _have_content(row: StateRow, one: RemoteEntry, other: RemoteEntry) -> bool:
    return object_has_content(row, one, is_one=True) and object_has_content(row, other, is_one=False)
