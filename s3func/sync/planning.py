"""Source, target and memory become steps: three streams in the order of the names, read side by side.

Rule 1: memory does not grow with the number of names; what has to be read to be decided is read in a bounded window.
Rule 2: what either scan calls a problem is left alone on both sides, and nothing is planned below it.
Rule 3: nothing is written, and nothing is sent but listings and, for what nothing else can tell, the heads of objects.
Steps come in the order of the names, then what no side could take, then deletes that had to wait for the end.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from s3func.errors import SourceChanged
from s3func.sync.compare import Compare, decide, one_is_unchanged
from s3func.sync.entry import LocalEntry
from s3func.sync.operation import Kind, Operation, Side, side_of
from s3func.sync.window import Window

if TYPE_CHECKING:
    from s3func.sync.entry import Entry, Problem, Scan
    from s3func.sync.examining import Answer, Examiner
    from s3func.sync.filters import Filters
    from s3func.sync.state import State, StateRow

Delete: TypeAlias = Literal["none", "tracked", "all"]
DELETES: tuple[str, ...] = get_args(Delete)

Way: TypeAlias = Literal["only", "there", "back"]
"""Whether the target is to become like the source ("only"), or this is one half of making both alike: then what changed
in the target alone is left to the other half, and what differs without a memory of it is a conflict, which the half
"there" tells."""

# Behind every name: keys have at most 1,024 bytes, paths at most some thousands.
_END = "\U0010ffff" * 2048
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides about a name. See plan() for each; way: see Way."""

    compare: Compare = "auto"
    delete: Delete = "none"
    metadata: tuple[str, ...] = ("mtime",)
    way: Way = "only"


class Planner:
    """One run through two scans and the memory of both sides; `counts` and the rest are complete at its end."""

    def __init__(
        self,
        source: Scan,
        target: Scan,
        state: State | None,
        examiner: Examiner,
        rules: Rules,
        *,
        transfer: Kind,
        filters: Filters | None = None,
    ) -> None:
        """transfer: upload, download or copy."""
        self._source = source
        self._target = target
        self._state = state
        self._examiner = examiner
        self._rules = rules
        self._kind: Kind = transfer
        self._filters = filters
        self._is_swapped = state is not None and state.is_swapped
        self._window: Window[Operation] = Window(_THREADS)
        self._held: list[Operation] = []
        self._made: set[str] = set()
        self._lock = Lock()
        self._has_rows = False
        self.counts: Counter[str] = Counter()
        """vanished, extra (in the target alone, left there), left (by a problem of the other side)."""
        self.unchanged = 0
        self.rows = 0
        self.confirmed = 0
        """Rows, and those whose both sides are still the same: how much of the folder of last time is in this one."""

    def operations(self) -> Iterator[Operation]:
        """The steps, once."""
        try:
            yield from self._merged()
            yield from self._window.taken(everything=True)
            yield from self._problems()
            yield from self._deletes_held()
        finally:
            self._examiner.stop()
            self._window.close()

    def _merged(self) -> Iterator[Operation]:
        sources, targets = iter(self._source), iter(self._target)
        rows: Iterator[StateRow] = iter(()) if self._state is None else self._state.rows()
        try:
            yield from self._joined(sources, targets, rows)
        finally:
            # An error keeps what it came through alive, and with it the thread that lists ahead, unless it is told.
            for stream in (sources, targets, rows):
                if isinstance(stream, Generator):
                    stream.close()

    def _joined(
        self, sources: Iterator[Entry], targets: Iterator[Entry], rows: Iterator[StateRow]
    ) -> Iterator[Operation]:
        source, target, row = next(sources, None), next(targets, None), next(rows, None)
        self._has_rows = row is not None
        window = self._window
        while True:
            source_name = _END if source is None else source[0]
            target_name = _END if target is None else target[0]
            name = min(source_name, target_name)
            while row is not None and row[0] < name:
                self.rows += 1
                self._gone(row)
                row = next(rows, None)
            found = None
            if row is not None and row[0] == name:
                self.rows += 1
                found = row
                row = next(rows, None)
            if source is not None and target is not None and source_name == target_name:
                self._both(source, target, found)
                source, target = next(sources, None), next(targets, None)
            elif source is not None and source_name == name:
                self._source_only(source, found)
                source = next(sources, None)
            elif target is not None:
                self._target_only(target, found)
                target = next(targets, None)
            else:
                return
            if window:
                yield from window.taken()

    def _both(self, source: Entry, target: Entry, row: StateRow | None) -> None:
        verdict = decide(self._rules.compare, source, target, row, is_swapped=self._is_swapped)
        outcome = verdict.outcome
        if outcome == "same":
            self.unchanged += 1
            if row is not None:
                self.confirmed += 1
            if verdict.reason == "content" and self._state is not None:
                self._window.put(self._transferred(source, target, "content")._replace(kind="record", size=0))
        elif outcome == "undecided":
            self._ask(partial(self._examined, source, target, row, verdict.reason), source, target)
        elif self._rules.way == "only" and (row is None or self._rules.compare == "always"):
            self._window.put(self._transferred(source, target, verdict.reason))
        else:
            self._ask(partial(self._differing, source, target, row, verdict.reason, None), source, target)

    def _ask(self, question: Callable[[], Operation | None], *entries: Entry) -> None:
        """Have a question answered in its turn; whatever keeps a file from being read becomes a problem of its name."""
        size = max((entry.size for entry in entries if isinstance(entry, LocalEntry)), default=0)
        self._window.ask(partial(self._answered, question, entries[0].name), size)

    def _answered(self, question: Callable[[], Operation | None], name: str) -> Operation | None:
        try:
            return question()
        except FileNotFoundError:
            with self._lock:
                self.counts["vanished"] += 1
            return None
        except OSError as error:
            return Operation("problem", name, reason="unreadable", detail=f"it cannot be read: {error.strerror}")

    def _examined(self, source: Entry, target: Entry, row: StateRow | None, question: str) -> Operation | None:
        """What the contents, or the times that are kept with objects, say. Runs in a thread of the window."""
        answer = self._examiner.examine(source, target, row, question)
        if answer.outcome == "changed":
            return self._differing(source, target, row, answer.reason, answer)
        with self._lock:
            self.unchanged += 1
            self.confirmed += row is not None
        if self._changes_mode(source, row):
            return self._transferred(source, target, "metadata", answer)
        if self._state is None or not answer.is_proved:
            return None
        return self._transferred(source, target, answer.reason, answer)._replace(kind="record", size=0)

    def _differing(
        self, source: Entry, target: Entry, row: StateRow | None, reason: str, answer: Answer | None
    ) -> Operation | None:
        """Both sides have the name, and not the same content."""
        md5 = None if answer is None else answer.md5
        if self._rules.way == "only":
            if row is not None and self._examiner.both_changed(source, target, row, md5):
                return _conflict(source, target, "both-changed")
            return self._transferred(source, target, reason, answer)
        if row is None:
            return _conflict(source, target, "both-new") if self._rules.way == "there" else None
        is_source = self._examiner.has_changed(source, row, md5, is_target=False)
        is_target = self._examiner.has_changed(target, row, md5, is_target=True)
        if is_source != is_target:
            return self._transferred(source, target, reason, answer) if is_source else None
        # Where neither seems to have changed, and yet they differ, nobody can say which one is right.
        return _conflict(source, target, "both-changed") if self._rules.way == "there" else None

    def _changes_mode(self, source: Entry, row: StateRow | None) -> bool:
        """Whether the permissions, which are to be kept with the object, are no longer those that are."""
        if "mode" not in self._rules.metadata or row is None or row.mode is None:
            return False
        return isinstance(source, LocalEntry) and (source.mode ^ row.mode) & 0o7777 != 0

    def _source_only(self, source: Entry, row: StateRow | None) -> None:
        problem = self._target.problem_of(source.name)
        if problem is not None:
            self._blocked(source.name, problem)
            return
        if self._rules.delete != "none":
            self._note_form(source.name)
        if row is not None and self._rules.way != "only":
            self._ask(partial(self._gone_there, source, row), source)
            return
        state = self._state
        if (
            state is not None
            and isinstance(source, LocalEntry)
            and self._has_rows
            and source.size
            and source.link is None
        ):
            earlier = state.moved(source.inode, source.size, source.mtime_ns)
            if earlier is not None and earlier.name != source.name:
                self._ask(partial(self._moved, source, earlier), source)
                return
        self._window.put(self._transferred(source, None, "new"))

    def _gone_there(self, source: Entry, row: StateRow) -> Operation | None:
        """The target has lost it: an edit since is worth more than that, and else the other half deletes it here."""
        is_edited = self._examiner.has_changed(source, row, None, is_target=False)
        return self._transferred(source, None, "new") if is_edited else None

    def _moved(self, source: LocalEntry, earlier: StateRow) -> Operation:
        """A file that was somewhere else before: the store may have its content already."""
        try:
            is_it = self._examiner.has_content(source, earlier)
        except SourceChanged:
            is_it = False
        if not is_it:
            return self._transferred(source, None, "new")
        # The ETag that the object of the earlier name must still have travels with the source.
        known = side_of(source)._replace(md5=earlier.md5, sha1=earlier.sha1, part_size=earlier.part_size)
        side = known._replace(etag=earlier.other_etag)
        moved = Operation("rename", source.name, source.size, "renamed", side, None, _path(source, None))
        return moved._replace(moved_from=earlier.name)

    def _target_only(self, target: Entry, row: StateRow | None) -> None:
        name = target.name
        delete = self._rules.delete
        if self._source.problem_of(name) is not None:
            self.counts["left"] += 1
        elif delete == "none" or (delete == "tracked" and row is None):
            self.counts["extra"] += 1
        elif delete == "all":
            self._delete(target, "extraneous")
        elif row is not None:
            is_local = isinstance(target, LocalEntry)
            if is_local and one_is_unchanged(row, target) and not row.is_racy:
                self._delete(target, "tracked")
            else:
                self._ask(partial(self._tracked, target, row), target)

    def _tracked(self, target: Entry, row: StateRow) -> Operation | None:
        if self._examiner.has_changed(target, row, None, is_target=True):
            if self._rules.way != "only":
                return None
            detail = "it is gone from the source, and changed in the target since both agreed"
            return Operation("conflict", target.name, 0, "deleted-changed", None, side_of(target), detail=detail)
        return _delete(target, "tracked")

    def _delete(self, target: Entry, reason: str) -> None:
        if not target.name.isascii() and _form(target.name) is not None:
            self._held.append(_delete(target, reason))
        else:
            self._window.put(_delete(target, reason))

    def _gone(self, row: StateRow) -> None:
        """Both sides have lost it, unless it is only hidden from us."""
        name = row.name
        if self._filters is not None and not self._filters.matches(name):
            return
        if self._source.problem_of(name) is None and self._target.problem_of(name) is None:
            self._window.put(Operation("record", name, reason="gone"))

    def _blocked(self, name: str, problem: Problem) -> None:
        """The source has it, and the target cannot take it; a size that was not asked for is nobody's concern."""
        if problem.kind == "filtered":
            self.counts["left"] += 1
        elif problem.is_harmless:
            self._window.put(Operation("problem", name, reason=problem.kind, detail=f"the target: {problem.message}"))

    def _problems(self) -> Iterator[Operation]:
        for scan in (self._source, self._target):
            for problem in scan.proof.problems:
                if not problem.is_harmless:
                    yield Operation("problem", problem.name, reason=problem.kind, detail=problem.message)

    def _note_form(self, name: str) -> None:
        if not name.isascii() and (form := _form(name)) is not None:
            self._made.add(form)

    def _deletes_held(self) -> Iterator[Operation]:
        """A name that goes while another comes that looks the same is one file in two spellings, and no delete."""
        for operation in self._held:
            if _form(operation.name) in self._made:
                detail = (
                    "it looks the same as a new name, and only its bytes differ; sync with names of one normal form"
                )
                yield Operation("problem", operation.name, reason="unicode", detail=detail)
            else:
                yield operation

    def _transferred(self, source: Entry, target: Entry | None, reason: str, answer: Answer | None = None) -> Operation:
        """The source's content gets the target's name."""
        sides: tuple[Side | None, Side | None] = (side_of(source), None if target is None else side_of(target))
        if answer is not None:
            sides = _learned(source, sides[0], answer), _learned(target, sides[1], answer)
        return Operation(self._kind, source.name, source.size, reason, *sides, _path(source, target))


def _learned(entry: Entry | None, side: Side | None, answer: Answer) -> Side | None:
    """A side with the hashes that were computed of its file, or the size of its object's parts."""
    if side is None or entry is None:
        return side
    if isinstance(entry, LocalEntry):
        return side._replace(md5=answer.md5, sha1=answer.sha1)
    return side._replace(part_size=answer.part_size)


def _conflict(source: Entry, target: Entry, reason: str) -> Operation:
    new = "both sides have it, differently, and nobody knows that they ever agreed"
    detail = new if reason == "both-new" else "both sides changed since they last agreed"
    sides = side_of(source), side_of(target)
    return Operation("conflict", source.name, source.size, reason, *sides, _path(source, target), detail=detail)


def _delete(target: Entry, reason: str) -> Operation:
    return Operation("delete", target.name, 0, reason, None, side_of(target), _path(target, None))


def _path(entry: Entry, other: Entry | None) -> str | None:
    """Where the local side is, if that is not the name."""
    for each in (entry, other):
        if each is not None and each.path is not None and each.path != each.name:
            return each.path
    return None


def _form(name: str) -> str | None:
    """The name in the normal form NFC, where it has another spelling; None for a name that has only one."""
    composed = unicodedata.normalize("NFC", name)
    return composed if unicodedata.normalize("NFD", name) != composed or composed != name else None
