"""A folder as one side of a sync: scanned in the order of stores, read and changed without ever leaving it.

Rule 1: a scan says what it could not see; an unreadable folder is unknown, not empty.
Rule 2: what is opened, made, moved or removed is reached part by part from the root, so that no symbolic link, also none
        that appears meanwhile, leads out of it. A link on the way is followed only inside of the root.
Rule 3: only regular files are opened, and nothing here waits for a pipe.
Paths are relative to the root, with "/" between their parts, as in LocalEntry.path.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from s3func.errors import SourceChanged, SyncConflict, SyncError, SyncIncomplete, UnsafeKey
from s3func.sync.contained import Reached, reach, split
from s3func.sync.entry import LocalEntry, Problem, ScanProof, ScanState
from s3func.sync.names import NAME_BYTES, OURS, Fault, NamePolicy, printable
from s3func.sync.operation import Side

if TYPE_CHECKING:
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.filters import Filters

TRASH = ".s3func-trash"
Symlinks = Literal["skip", "follow", "preserve"]

_SOURCE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_MOUNT_POINT = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT: a junction of Windows, a link in all but name


class LocalTree:
    """A folder, and all that is below it.

    symlinks: "skip" reports symbolic links and leaves their names alone, "follow" takes what they lead to (a circle is
    reported), "preserve" takes the links themselves. names: see NamePolicy. The folder need not exist yet.
    """

    kind = "local"

    def __init__(
        self, root: str | os.PathLike[str], *, symlinks: Symlinks = "skip", names: NamePolicy | None = None
    ) -> None:
        """TypeError or ValueError names the argument; the disk is not touched."""
        text = os.fspath(root)
        if not isinstance(text, str):
            raise TypeError(f"root must be a str or a path of one, not {type(root).__name__}")
        if not text or "\0" in text:
            raise ValueError("root is empty or has a null character")
        if symlinks not in {"skip", "follow", "preserve"}:
            raise ValueError(f"symlinks must be skip, follow or preserve, not {symlinks!r}")
        if names is not None and not isinstance(names, NamePolicy):
            raise TypeError(f"names must be a NamePolicy, not {type(names).__name__}")
        self.root = os.path.abspath(os.path.expanduser(text))
        self.symlinks = symlinks
        self.names = NamePolicy() if names is None else names

    @property
    def url(self) -> str:
        """The folder's path."""
        return self.root

    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the folder as it is now; None where there is none."""
        try:
            status = os.stat(self.root)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def __repr__(self) -> str:
        return f"LocalTree({self.root!r})"

    def scan(self, filters: Filters | None = None, *, other: Endpoint | None = None) -> LocalScan:
        """What is below the folder, in the order of the names.

        other: the side that the names are for; what would be too long for it is a Problem.
        """
        room = getattr(other, "name_bytes", NAME_BYTES)
        return LocalScan(self, filters, room)

    def path(self, name: str) -> str:
        """The full path of the file that belongs to a name; UnsafeKey. Use it only below make_folders()."""
        return self.full_path(self.names.to_path(name))

    def full_path(self, path: str) -> str:
        """A path below the root as an absolute one; UnsafeKey where it would be none. It says nothing of links."""
        split(path)
        return os.path.join(self.root, path)

    def reach(self, path: str, *, create: bool = False) -> Reached:
        """The folder that the file at this path lies in, opened; a context manager. See contained.reach().

        create: make the folders that are missing. UnsafeKey where a link leads out of the root.
        """
        folders, _ = split(path)
        return reach(self.root, folders, create=create)

    def make_folders(self, path: str) -> str:
        """Make the folders above a file; the file's full path. UnsafeKey where a link leads out of the root."""
        self.reach(path, create=True).close()
        return self.full_path(path)

    def open_source(self, path: str) -> int:
        """A descriptor of a regular file, for reading, which the caller closes.

        Links are followed only if the tree follows them. SourceChanged when it is no regular file (any more),
        FileNotFoundError and other OSErrors as they come. Never waits for a pipe.
        """
        is_following = self.symlinks == "follow"
        folders, name = split(path)
        with reach(self.root, folders, leave=is_following) as folder:
            flags = _SOURCE if is_following else _SOURCE | _NO_FOLLOW
            try:
                descriptor = os.open(folder.at(name), flags, dir_fd=folder.descriptor)
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.ENXIO}:
                    raise SourceChanged(f"{printable(path)!r} is no regular file any more") from error
                raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SourceChanged(f"{printable(path)!r} is no regular file any more")
        return descriptor

    def side(self, path: str) -> Side | None:
        """What is there now, as a scan would see it; None where nothing is, or no folder to hold it."""
        folders, name = split(path)
        try:
            with reach(self.root, folders, leave=self.symlinks == "follow") as folder:
                return self._side(folder, name)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def remove(self, path: str, expected: Side) -> None:
        """Remove a file (of a link, the link), and the folders that are empty then.

        SyncConflict unless it still is what was expected; gone already is as good as removed.
        """
        folders, name = split(path)
        try:
            with reach(self.root, folders) as folder:
                self._check(folder, name, path, expected)
                os.unlink(folder.at(name), dir_fd=folder.descriptor)
        except FileNotFoundError:
            return
        self._remove_empty(folders)

    def trash(self, path: str, run_id: str, expected: Side) -> str | None:
        """Move a file to `.s3func-trash/RUN_ID/PATH` below the root, and return that path; otherwise as remove()."""
        folders, name = split(path)
        place = f"{TRASH}/{run_id}/{path}"
        try:
            with reach(self.root, folders) as folder:
                self._check(folder, name, path, expected)
                with self.reach(place, create=True) as bin_:
                    ways = {"src_dir_fd": folder.descriptor, "dst_dir_fd": bin_.descriptor}
                    os.rename(folder.at(name), bin_.at(name), **ways)
        except FileNotFoundError:
            return None
        self._remove_empty(folders)
        return place

    def _side(self, folder: Reached, name: str) -> Side | None:
        try:
            status = os.stat(folder.at(name), dir_fd=folder.descriptor, follow_symlinks=self.symlinks == "follow")
            size, link = status.st_size, None
            if stat.S_ISLNK(status.st_mode):
                link = os.readlink(folder.at(name), dir_fd=folder.descriptor)
                size = len(os.fsencode(link))
        except FileNotFoundError:
            return None
        times = (status.st_mtime_ns, status.st_ctime_ns)
        return Side(size, *times, status.st_ino, status.st_dev, status.st_mode, link=link)

    def _check(self, folder: Reached, name: str, path: str, expected: Side) -> None:
        found = self._side(folder, name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if not is_same_file(found, expected):
            raise SyncConflict(f"{printable(path)!r} has changed since it was looked at")

    def _remove_empty(self, folders: list[str]) -> None:
        while folders:
            *folders, name = folders
            try:
                with reach(self.root, folders) as folder:
                    os.rmdir(folder.at(name), dir_fd=folder.descriptor)
            except (OSError, UnsafeKey):
                # Something else is in it, or it is a link: either way it stays.
                return


def is_same_file(found: Side, expected: Side) -> bool:
    """Whether a local file is still what a scan saw: in all that the scan has noted of it."""
    fields = ("size", "mtime_ns", "ctime_ns", "inode", "device", "link")
    return stat.S_IFMT(found.mode or 0) == stat.S_IFMT(expected.mode or found.mode or 0) and all(
        getattr(expected, field) in {None, getattr(found, field)} for field in fields
    )


class _Folder(NamedTuple):
    """A folder that is being walked: what is left of it, where it is, and the folders above it (device, inode)."""

    marks: Iterator[str]
    name: str
    path: str
    spelled: dict[str, str]
    above: tuple[tuple[int, int], ...]


class LocalScan(ScanState):
    """One walk through a folder: a Scan."""

    def __init__(self, tree: LocalTree, filters: Filters | None, name_bytes: int = NAME_BYTES) -> None:
        """name_bytes: how long a name may be, in UTF-8."""
        super().__init__()
        self._tree = tree
        self._filters = filters
        self._name_bytes = name_bytes

    def __iter__(self) -> Iterator[LocalEntry]:
        root = self._tree.root
        try:
            status = os.stat(root)
        except FileNotFoundError:
            self._proof = ScanProof(is_complete=True, is_there=False, entries=0, pages=0, problems=())
            return
        except OSError as error:
            raise SyncIncomplete(f"{printable(root)!r} cannot be read: {error.strerror}") from error
        if not stat.S_ISDIR(status.st_mode):
            raise SyncError(f"{printable(root)!r} is not a folder")
        identity = (status.st_dev, status.st_ino)
        yield from self._walk(identity)
        self._check_root(identity)
        self._proof = ScanProof(
            is_complete=True,
            is_there=True,
            entries=self.entries,
            pages=0,
            problems=tuple(self._problems.found),
            identity=identity,
        )

    def _check_root(self, identity: tuple[int, int]) -> None:
        """A disk that was taken away during the scan leaves an empty folder, and nothing that says so."""
        root = self._tree.root
        try:
            status = os.stat(root)
        except OSError as error:
            raise SyncIncomplete(f"{printable(root)!r} went away while it was scanned: {error.strerror}") from error
        if (status.st_dev, status.st_ino) != identity:
            raise SyncIncomplete(f"{printable(root)!r} became another folder while it was scanned")

    def _walk(self, identity: tuple[int, int]) -> Iterator[LocalEntry]:
        prefix = os.path.join(self._tree.root, "")
        filters = self._filters
        matches = None if filters is None else filters.matches
        lstat = os.lstat
        stack = [self._opened("", "", (identity,))]
        while stack:
            marks, name_above, path_above, spelled, above = stack[-1]
            for mark in marks:
                name = name_above + mark
                path = path_above + spelled[mark] if spelled else path_above + mark
                if mark[-1] == "/":
                    if filters is None or not filters.prunes(name[:-1]):
                        inner = self._descended(name, path, above)
                        if inner is not None:
                            stack.append(inner)
                            break
                    continue
                if matches is not None and not matches(name):
                    continue
                try:
                    status = lstat(prefix + path)
                except OSError as error:
                    self._unreadable(name, error)
                    continue
                if stat.S_ISREG(status.st_mode):
                    entry = LocalEntry(
                        name,
                        path,
                        status.st_size,
                        status.st_mtime_ns,
                        status.st_ctime_ns,
                        status.st_ino,
                        status.st_dev,
                        status.st_mode,
                    )
                else:
                    special = self._special(name, path, status)
                    if special is None:
                        continue
                    entry = special
                if filters is not None and not filters.takes_size(entry.size):
                    self._add(name, "filtered", "its size is outside of what was asked for", is_harmless=True)
                    continue
                self.entries += 1
                yield entry
            else:
                stack.pop()

    def _descended(self, name: str, path: str, above: tuple[tuple[int, int], ...]) -> _Folder | None:
        """Open a folder whose name and path end with a slash; None where there is nothing to be seen of it."""
        if len(name.encode()) > self._name_bytes:
            self._add(name[:-1], "too-long", "no key can be as long as the names in this folder", is_subtree=True)
            return None
        inner = above
        if self._tree.symlinks == "follow":
            try:
                status = os.stat(os.path.join(self._tree.root, path))
            except OSError as error:
                self._unreadable(name[:-1], error, is_subtree=True)
                return None
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                self._add(name[:-1], "loop", "a symbolic link to a folder above it", is_subtree=True, is_harmless=True)
                return None
            inner = (*above, identity)
        return self._opened(name, path, inner)

    def _opened(self, name: str, path: str, above: tuple[tuple[int, int], ...]) -> _Folder:
        """List a folder: one mark per file and one with a slash per folder, in the order of the names."""
        is_following = self._tree.symlinks == "follow"
        plain: list[str]
        try:
            with os.scandir(os.path.join(self._tree.root, path)) as found:
                plain = [
                    item.name + "/" if _is_folder(item, is_following=is_following) else item.name for item in found
                ]
        except OSError as error:
            self._unreadable(name[:-1], error, is_subtree=True)
            plain = []
        room = self._name_bytes - len(name.encode())
        spelled: dict[str, str] = {}
        if not self._tree.names.is_plain or not self._is_usual(plain, room):
            plain, spelled = self._named(plain, name, room)
        plain.sort()
        return _Folder(iter(plain), name, path, spelled, above)

    def _is_usual(self, marks: list[str], room: int) -> bool:
        """Whether every name can be taken as it is, said of all of them at once."""
        text = "\n".join(marks)
        return text.isascii() and "s3func" not in text and (not marks or len(max(marks, key=len)) <= min(room, 255))

    def _named(self, marks: list[str], above: str, room: int) -> tuple[list[str], dict[str, str]]:
        """The same marks as names, and how the disk spells each; what has no name, or shares one, is a Problem."""
        policy = self._tree.names
        spelled: dict[str, str] = {}
        twins: set[str] = set()
        for mark in marks:
            is_folder = mark.endswith("/")
            component = mark[:-1] if is_folder else mark
            if OURS.search(component):
                continue
            name = policy.name_component(component, is_folder=is_folder)
            if isinstance(name, Fault):
                self._add(above + component, name.kind, name.message, is_subtree=is_folder)
                continue
            if len(name.encode()) > room:
                self._add(above + name, "too-long", "no key can be as long as this name", is_subtree=is_folder)
                continue
            key = name + "/" if is_folder else name
            if key in spelled:
                twins.add(key)
            spelled[key] = mark
        for key in twins:
            del spelled[key]
            name = key.removesuffix("/")
            self._add(above + name, "collision", "several names on the disk become this one", is_subtree=key != name)
        return list(spelled), spelled

    def _special(self, name: str, path: str, status: os.stat_result) -> LocalEntry | None:
        """What is no regular file: a link by the policy, all else is only reported."""
        policy = self._tree.symlinks
        if not _is_link(status):
            if stat.S_ISDIR(status.st_mode):
                # It was something else when the folder was listed.
                self._add(name, "vanished", "it became a folder during the scan", is_subtree=True, is_harmless=True)
            else:
                self._add(name, "special", f"{_kind_of(status.st_mode)}, not a file", is_harmless=True)
            return None
        full = os.path.join(self._tree.root, path)
        if policy == "skip":
            self._add(name, "link", "a symbolic link, left alone", is_subtree=True, is_harmless=True)
            return None
        try:
            link = os.readlink(full) if policy == "preserve" else None
            if policy == "follow":
                status = os.stat(full)
        except OSError as error:
            self._add(name, "link", f"a symbolic link that leads nowhere: {error.strerror}", is_subtree=True)
            return None
        if policy == "follow" and not stat.S_ISREG(status.st_mode):
            self._add(name, "special", f"a link to {_kind_of(status.st_mode)}", is_harmless=True)
            return None
        size = status.st_size if link is None else len(os.fsencode(link))
        times = (status.st_mtime_ns, status.st_ctime_ns)
        return LocalEntry(name, path, size, *times, status.st_ino, status.st_dev, status.st_mode, link)

    def _unreadable(self, name: str, error: OSError, *, is_subtree: bool = False) -> None:
        if not name:
            root = printable(self._tree.root)
            raise SyncIncomplete(f"{root!r} cannot be read: {error.strerror}") from error
        if isinstance(error, FileNotFoundError):
            # Gone between two looks: somebody deletes it, or puts another one in its place. The next scan will know.
            self._add(name, "vanished", "it went away during the scan", is_subtree=is_subtree, is_harmless=True)
            return
        self._add(name, "unreadable", f"it cannot be read: {error.strerror}", is_subtree=is_subtree)

    def _add(self, name: str, kind: str, message: str, *, is_subtree: bool = False, is_harmless: bool = False) -> None:
        filters = self._filters
        if filters is None or filters.matches(name) or (is_subtree and not filters.prunes(name)):
            self._problems.add(Problem(printable(name), kind, message, is_subtree, is_harmless))


def _is_link(status: os.stat_result) -> bool:
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _MOUNT_POINT


def _is_folder(item: os.DirEntry[str], *, is_following: bool) -> bool:
    """Whether to look into it; for most, no system call is needed to know."""
    try:
        if not item.is_dir(follow_symlinks=is_following):
            return False
        # Only Windows has junctions, and Python a word for them from 3.12 on.
        return is_following or os.name != "nt" or not _is_link(item.stat(follow_symlinks=False))
    except OSError:
        # A link in a circle, for one: what it is will be seen, and said, when it is its turn.
        return False


def _kind_of(mode: int) -> str:
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    return kinds.get(stat.S_IFMT(mode), "a device")
