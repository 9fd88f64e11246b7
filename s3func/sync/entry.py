"""What a scan sees: files and objects as rows, in order, and the proof that nothing is missing between them.

Order is that of the UTF-8 bytes of the names, which is how stores list, and which equals the order of Python's strings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, TypeAlias


class LocalEntry(NamedTuple):
    """A file below a folder.

    name: what the object is called below the prefix, "/" between folders. path: relative to the folder, as the disk has
    it; it differs from the name only where a NamePolicy says so. size: bytes. link: where a symbolic link that is to be
    preserved leads, else None. The numbers are those of os.stat: their change is how an edit is noticed without reading.
    """

    name: str
    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int
    mode: int
    link: str | None = None


class RemoteEntry(NamedTuple):
    """An object below a prefix.

    name: the key without the prefix. size: bytes. etag: without quotes, an opaque token (S3: often an MD5, B2: the
    SHA-1 if it has one). modified: seconds since 1970, by the store's clock. version_id: where the listing tells it.
    path: where it belongs below the local side of the scan, if that is not the name; LocalEntry.path, the other way round.
    """

    name: str
    key: str
    size: int
    etag: str
    modified: float
    version_id: str | None = None
    path: str | None = None


Entry: TypeAlias = LocalEntry | RemoteEntry


class Problem(NamedTuple):
    """One name that a scan could not take: it is left alone on both sides, and the run does not end with 0.

    name: relative; what is no text in it is escaped with a backslash. kind: unsafe, collision, too-long, not-utf-8,
    unreadable, special, loop, link, filtered, vanished. message: one sentence that says what is wrong. is_subtree:
    nothing is known of whatever lies below the name. is_harmless: reported, and no failure (a symbolic link that was
    skipped as asked, a socket).
    """

    name: str
    kind: str
    message: str
    is_subtree: bool = False
    is_harmless: bool = False


class Problems:
    """The problems of a scan, as they are found, and the question whether a name is one or lies below one."""

    __slots__ = ("_by_name", "_has_subtrees", "found")

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self._by_name: dict[str, Problem] = {}
        self._has_subtrees = False

    def add(self, problem: Problem) -> None:
        """Note one. What covers a subtree stands before what does not."""
        self.found.append(problem)
        known = self._by_name.get(problem.name)
        if known is None or (problem.is_subtree and not known.is_subtree):
            self._by_name[problem.name] = problem
            self._has_subtrees = self._has_subtrees or problem.is_subtree

    def of(self, name: str) -> Problem | None:
        """The problem of this name, or the one that covers the folder it lies in."""
        problems = self._by_name
        if not problems:
            return None
        if (problem := problems.get(name)) is not None:
            return problem
        if self._has_subtrees:
            end = name.find("/")
            while end >= 0:
                problem = problems.get(name[:end])
                if problem is not None and problem.is_subtree:
                    return problem
                end = name.find("/", end + 1)
        return None


class ScanProof(NamedTuple):
    """What a finished scan knows about itself; deletes stand on it.

    is_complete: every name is known, but for those of `problems`. is_there: the folder or the bucket exists. entries:
    how many. pages: requests of a listing, 0 for a folder. identity: (device, inode) of a local root.
    """

    is_complete: bool
    is_there: bool
    entries: int
    pages: int
    problems: tuple[Problem, ...]
    identity: tuple[int, int] | None = None


class ScanState:
    """What every scan keeps: its problems as they are found, its proof when it has come to the end, and its counts."""

    def __init__(self) -> None:
        self._problems = Problems()
        self._proof: ScanProof | None = None
        self.entries = 0
        self.pages = 0

    def problem_of(self, name: str) -> Problem | None:
        """See Scan."""
        return self._problems.of(name)

    @property
    def proof(self) -> ScanProof:
        """See Scan."""
        if self._proof is None:
            raise RuntimeError("the proof of a scan is there when its iteration has come to the end")
        return self._proof


class Scan(Protocol):
    """Entries in order, once; the proof when they have come to their end.

    An error of the store or of the disk that leaves more than one subtree unknown is raised out of the iteration. What
    the filters leave out is never an entry and never a problem: it is invisible on both sides.
    """

    def __iter__(self) -> Iterator[Entry]: ...

    def problem_of(self, name: str) -> Problem | None:
        """What is wrong with the name or with a folder above it: for names up to the entry that was yielded last.

        Such a name is left alone on the other side as well, whatever it is there.
        """
        ...

    @property
    def proof(self) -> ScanProof:
        """RuntimeError before the end of the iteration."""
        ...
