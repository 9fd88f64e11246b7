"""Names in their order become paths below a folder; those that cannot, or that meet on the disk, become Problems.

Which names meet is seen as they come, from those on the way to the present one: a name that others lie below is a prefix
of them all, and of the names in a folder only its own have to be remembered, and only where the disk does not tell all
names apart.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from s3func.sync.entry import Problem, Problems, RemoteEntry
from s3func.sync.names import CONFLICT_SUFFIX, Fault, NamePolicy, folded

# What names that need a closer look have in them, if they stand behind each other with slashes between.
_UNUSUAL = ("//", "/./", "/../", "\0")
_PATH_BYTES = 4095
# A name that others may lie below is held back until that is known, for so many names at most.
_HELD_MAX = 10_000


class Folding(NamedTuple):
    """What a file system does not tell apart: upper and lower case, and the normal forms of Unicode."""

    case: bool = False
    unicode: bool = False


def folding_of(root: str, policy: NamePolicy) -> Folding:
    """What the file system of a folder does not tell apart; it is looked at, and nothing is written."""
    if policy.case == "sensitive":
        return Folding()
    is_mac = sys.platform == "darwin"
    is_alike = is_mac or sys.platform == "win32"
    if policy.case == "insensitive":
        return Folding(case=True, unicode=is_mac)
    place = root
    while not os.path.isdir(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    sample = _sample(place)
    if sample is not None:
        try:
            other = os.path.join(os.path.dirname(sample), os.path.basename(sample).swapcase())
            is_alike = os.path.samestat(os.lstat(sample), os.lstat(other))
        except OSError:
            is_alike = False
    return Folding(case=is_alike, unicode=is_mac)


def _sample(folder: str) -> str | None:
    """Something in the folder whose name looks different in the other case and is there in one of them only."""
    try:
        with os.scandir(folder) as found:
            for item in found:
                if item.name.swapcase() != item.name and item.name.isascii():
                    return item.path
    except OSError:
        pass
    name = os.path.basename(folder)
    return folder if name.isascii() and name.swapcase() != name else None


class Pathing:
    """Maps the entries of one scan, page by page and in order, for a folder at `root`."""

    def __init__(self, policy: NamePolicy, root: str, folding: Folding, problems: Problems) -> None:
        """problems: takes what cannot be mapped."""
        self._policy = policy
        self._room = _PATH_BYTES - len(os.fsencode(root)) - 1
        self._folding = folding
        self._problems = problems
        # Names of files that may yet turn out to be folders as well: each is a prefix of the next.
        self._files: list[str] = []
        self._conflict = ""
        # The folders on the way to the present name, each with what is in it: what the disk takes a name for, and the name.
        self._way: list[str] = []
        self._inside: list[dict[str, str]] = [{}]

    def mapped(self, rows: list[RemoteEntry]) -> list[RemoteEntry]:
        """The entries that have a path of their own; `path` is set where it differs from the name."""
        if not rows:
            return rows
        names = [row.name for row in rows]
        if self._is_usual(names):
            if self._are_apart(names):
                return rows
            meets = self._meets
            return [row for row in rows if not meets(row.name)]
        found = []
        for row in rows:
            name = row.name
            if name.endswith("/") and not row.size:
                # It stands for a folder, and says nothing of files.
                continue
            path = self._policy.path_of(name, is_conflict=row.path is not None)
            if not isinstance(path, Fault) and len(os.fsencode(path)) > self._room:
                path = Fault("too-long", "the path of the file would be longer than the system takes")
            if isinstance(path, Fault):
                is_harmless = self._policy.unsafe == "skip" and path.kind == "unsafe"
                self._problems.add(Problem(name, path.kind, path.message, is_harmless=is_harmless))
            elif not self._meets(path):
                found.append(row._replace(path=None if path == name else path))
        return found

    def _is_usual(self, names: list[str]) -> bool:
        """Whether each name of a page is its own path, but for those that meet others; seen without taking them apart."""
        policy = self._policy
        if not policy.is_plain or policy.is_windows:
            return False
        text = f"/{'/'.join(names)}/"
        longest = len(max(names, key=len)) * (1 if text.isascii() else 4)
        return longest <= min(255, self._room) and not any(sign in text for sign in _UNUSUAL)

    def _are_apart(self, names: list[str]) -> bool:
        """Whether no name of a page can meet another one, seen from each and the next.

        All names between `a` and `a/b` begin with `a`, so that where none begins with the one before it, none is a folder.
        """
        if self._folding != (False, False):
            return False
        if (self._files and names[0].startswith(self._files[0])) or any(map(str.startswith, names[1:], names)):
            return False
        # With the next page it may be otherwise for the last one.
        self._files = names[-1:]
        return True

    def _meets(self, path: str) -> bool:
        """Whether the path is taken, or lies below a file; noted as a Problem."""
        files = self._files
        if self._policy.conflict == "error":
            while files and not path.startswith(files[-1]):
                files.pop()
            for file in files:
                if path[len(file)] == "/":
                    if self._conflict != file:
                        self._conflict = file
                        message = "there is an object of this name and others below it, and a file is no folder"
                        self._problems.add(Problem(file, "collision", message, is_subtree=True))
                    return True
            files.append(path)
        if self._folding.case or self._folding.unicode:
            return self._is_twin(path)
        return False

    def _is_twin(self, path: str) -> bool:
        """Whether the disk would take the path, or a folder in it, for one that came before."""
        *folders, name = path.split("/")
        depth = 0
        while depth < min(len(folders), len(self._way)) and folders[depth] == self._way[depth]:
            depth += 1
        del self._way[depth:]
        del self._inside[depth + 1 :]
        for part in folders[depth:]:
            if self._is_taken(part, is_folder=True):
                return True
            self._way.append(part)
            self._inside.append({})
        return self._is_taken(name, is_folder=False)

    def _is_taken(self, part: str, *, is_folder: bool) -> bool:
        alike = folded(part, case=self._folding.case, unicode=self._folding.unicode)
        known = self._inside[-1].setdefault(alike, part)
        if known == part:
            return False
        name = "/".join([*self._way, part])
        if self._problems.of(name) is None:
            message = f"this disk takes it for {known!r}, which is there as well"
            self._problems.add(Problem(name, "collision", message, is_subtree=is_folder))
        return True


def with_conflicts(pages: Iterable[list[RemoteEntry]], has_below: Callable[[str], bool]) -> Iterator[list[RemoteEntry]]:
    """The same entries; those that others lie below have their path, the name with CONFLICT_SUFFIX.

    An entry `a` is held back until a name behind `a/` has come; where that takes too long, has_below("a/") is asked,
    which costs a request.
    """
    held: deque[RemoteEntry] = deque()
    for page in pages:
        ready: list[RemoteEntry] = []
        for row in page:
            held.append(row)
            while (first := held[0]) is not row:
                below = first.name + "/"
                if row.name > below:
                    is_conflict = _is_below(held, below)
                elif len(held) > _HELD_MAX:
                    is_conflict = has_below(below)
                else:
                    break
                ready.append(_suffixed(held.popleft()) if is_conflict else held.popleft())
        yield ready
    yield [_suffixed(row) if _is_below(held, row.name + "/") else row for row in held]


def _is_below(rows: Iterable[RemoteEntry], folder: str) -> bool:
    # They are in order: the first one behind the folder's name decides.
    return next((row.name.startswith(folder) for row in rows if row.name > folder), False)


def _suffixed(row: RemoteEntry) -> RemoteEntry:
    return row._replace(path=row.name + CONFLICT_SUFFIX)
