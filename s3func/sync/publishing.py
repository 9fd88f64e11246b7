"""How downloaded content becomes a file of the folder: whole and with its times, or not at all.

Rule 1: a name holds what it held before, or all of the new content. What is being written has no name, or a hidden one
        beside it that says whose it is, so that what a killed process has left is found and removed.
Rule 2: just before, the name is looked at once more: what is not what the plan has seen is a SyncConflict, and stays.
Rule 3: everything happens in a folder that was reached from the root (contained.py), never by a path that was checked.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.download.journal import PartTarget
from s3func.download.target import PathTarget, sync_folder
from s3func.errors import SyncConflict
from s3func.sync.local import is_same_file
from s3func.sync.names import printable
from s3func.sync.reading import side_of_status

if TYPE_CHECKING:
    from s3func.sync.contained import Reached
    from s3func.sync.local import LocalTree
    from s3func.sync.operation import Side

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_NEW |= getattr(os, "O_BINARY", 0)
_NAMELESS = os.O_WRONLY | os.O_CLOEXEC | os.O_TMPFILE if sys.platform == "linux" else 0
# .NAME.HOST-PID-RANDOM.s3func-part
_OWNED = re.compile(r"\..*\.([0-9a-f]{8})-([0-9]+)-[0-9a-f]{16}\.s3func-part", re.DOTALL)
_NAME_BYTES = 60
_FOREIGN_SECONDS = 7 * 24 * 3600.0


class InTheWay(OSError):
    """Where a file or a folder shall be, there is a folder or a file."""


class Facts(NamedTuple):
    """What a new file gets beside its content. mtime_ns: None leaves it as it comes. mode: permission bits."""

    mtime_ns: int | None = None
    mode: int | None = None
    link: bool = False


class Publisher:
    """Writes files below a folder; safe for threads, each of which keeps the folder open that it wrote to last."""

    def __init__(self, tree: LocalTree, *, fsync: bool = False) -> None:
        """fsync: files and their names outlast a power failure."""
        self._tree = tree
        self._fsync = fsync
        self._nameless = bool(_NAMELESS) and os.path.isdir("/proc/self/fd")
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[Reached] = []
        self._swept: set[str] = set()

    def folder(self, path: str) -> tuple[Reached, str]:
        """The folder of a path, made and opened, and the last part of the path; InTheWay, UnsafeKey."""
        above, _, name = path.rpartition("/")
        kept: tuple[str, Reached] | None = getattr(self._local, "kept", None)
        if kept is not None and kept[0] == above:
            return kept[1], name
        self._forget()
        try:
            folder = self._tree.reach(path, create=True)
        except (NotADirectoryError, FileExistsError) as error:
            raise InTheWay(errno.ENOTDIR, "a file is where a folder shall be", printable(path)) from error
        self._local.kept = (above, folder)
        with self._lock:
            self._open.append(folder)
        return folder, name

    def _forget(self) -> None:
        kept: tuple[str, Reached] | None = getattr(self._local, "kept", None)
        if kept is not None:
            self._local.kept = None
            with self._lock:
                self._open.remove(kept[1])
            kept[1].close()

    def close(self) -> None:
        """Let go of all folders; no thread may be writing."""
        with self._lock:
            folders, self._open = self._open, []
        for folder in folders:
            folder.close()
        self._local = threading.local()

    def write(self, path: str, content: bytes, facts: Facts, expected: Side | None) -> Side:
        """Publish a small file; what it then looks like.

        expected: what there has to be now, None for nothing. SyncConflict, InTheWay, OSError.
        """
        try:
            return self._write(path, content, facts, expected)
        except FileNotFoundError:
            # The folder that is kept open was removed, or moved, since.
            self._forget()
            return self._write(path, content, facts, expected)

    def _write(self, path: str, content: bytes, facts: Facts, expected: Side | None) -> Side:
        folder, name = self.folder(path)
        if facts.link:
            return self._write_link(folder, name, path, content, expected)
        if expected is None and self._nameless:
            made = self._write_nameless(folder, name, path, content, facts)
            if made is not None:
                return made
        if expected is not None and facts.mode is None and expected.mode is not None:
            facts = facts._replace(mode=stat.S_IMODE(expected.mode) & 0o777)
        hidden = self._hidden(folder, path, name)
        descriptor = os.open(folder.at(hidden), _NEW, 0o666, dir_fd=folder.descriptor)
        try:
            try:
                self._fill(descriptor, content, facts)
            finally:
                # Closing is where a file system of the network may say that it could not keep the bytes.
                os.close(descriptor)
            self._replace(folder, hidden, name, path, expected)
        except BaseException:
            _remove(folder, hidden)
            raise
        self._settle(folder)
        return side_of_status(os.stat(folder.at(name), dir_fd=folder.descriptor, follow_symlinks=False))

    def _write_nameless(self, folder: Reached, name: str, path: str, content: bytes, facts: Facts) -> Side | None:
        """Write a file that gets its name in the end, if it is free; None where there are no such files."""
        descriptor = self._open_nameless(folder)
        if descriptor is None:
            return None
        try:
            self._fill(descriptor, content, facts)
            try:
                _give_name(descriptor, folder, name)
            except FileExistsError as error:
                raise self._conflict(folder, name, path) from error
            except FileNotFoundError:
                raise
            except OSError:
                # A policy against links, or a file system that has none.
                self._nameless = False
                return None
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        self._settle(folder)
        return side_of_status(found)

    def _write_link(self, folder: Reached, name: str, path: str, content: bytes, expected: Side | None) -> Side:
        hidden = self._hidden(folder, path, name)
        os.symlink(os.fsdecode(content), folder.at(hidden), dir_fd=folder.descriptor)
        try:
            self._replace(folder, hidden, name, path, expected)
        except BaseException:
            _remove(folder, hidden)
            raise
        found = os.stat(folder.at(name), dir_fd=folder.descriptor, follow_symlinks=False)
        return side_of_status(found)._replace(size=len(content), link=os.fsdecode(content))

    def _open_nameless(self, folder: Reached) -> int | None:
        try:
            return os.open(folder.at("."), _NAMELESS, 0o666, dir_fd=folder.descriptor)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EMFILE, errno.ENFILE}:
                raise
            # This file system has no files without names.
            self._nameless = False
            return None

    def _fill(self, descriptor: int, content: bytes, facts: Facts) -> None:
        written = os.write(descriptor, content) if content else 0
        while written < len(content):
            written += os.write(descriptor, memoryview(content)[written:])
        describe(descriptor, facts)
        if self._fsync:
            os.fsync(descriptor)

    def _replace(self, folder: Reached, hidden: str, name: str, path: str, expected: Side | None) -> None:
        self.check(folder, name, path, expected)
        ways = {"src_dir_fd": folder.descriptor, "dst_dir_fd": folder.descriptor}
        try:
            os.replace(folder.at(hidden), folder.at(name), **ways)
        except (IsADirectoryError, NotADirectoryError) as error:
            raise InTheWay(errno.EISDIR, "a folder is where a file shall be", printable(path)) from error

    def check(self, folder: Reached, name: str, path: str, expected: Side | None) -> None:
        """SyncConflict unless the name still looks as expected; InTheWay if it is a folder."""
        try:
            found = os.stat(folder.at(name), dir_fd=folder.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            if expected is None:
                return
            raise SyncConflict(f"{printable(path)!r} was removed since it was looked at") from None
        if stat.S_ISDIR(found.st_mode):
            raise InTheWay(errno.EISDIR, "a folder is where a file shall be", printable(path))
        if expected is None:
            raise SyncConflict(f"{printable(path)!r} was not there when it was looked at, and is there now")
        if stat.S_ISLNK(found.st_mode) and expected.link is None:
            raise SyncConflict(f"{printable(path)!r} is a symbolic link now")
        # Permissions and the number of links say nothing about the content, and both change ctime.
        if not is_same_file(side_of_status(found), expected._replace(ctime_ns=None, link=None)):
            raise SyncConflict(f"{printable(path)!r} has changed since it was looked at")

    def _conflict(self, folder: Reached, name: str, path: str) -> Exception:
        try:
            self.check(folder, name, path, None)
        except (SyncConflict, InTheWay) as error:
            return error
        return SyncConflict(f"{printable(path)!r} was not there when it was looked at")

    def _settle(self, folder: Reached) -> None:
        if self._fsync:
            if folder.descriptor is not None:
                os.fsync(folder.descriptor)
            else:
                sync_folder(folder.at("x"))

    def _hidden(self, folder: Reached, path: str, name: str) -> str:
        above = path.rpartition("/")[0]
        if above not in self._swept:
            self._swept.add(above)
            sweep(folder)
        return hidden_name(name)

    def place(self, path: str) -> str:
        """The full path, for people."""
        return self._tree.full_path(path)

    # --- large files

    def target(self, path: str, expected: Side | None, source: str | None) -> SyncTarget:
        """Where download_file's engine writes a large file to; it appears at `path` in the end.

        source: what the object is called for a later run that goes on with it, None if none shall.
        """
        folder = self._tree.reach(path, create=True)
        name = path.rpartition("/")[2]
        try:
            self.check(folder, name, path, expected)
            # Below the descriptor no link can come in between.
            place = self._tree.full_path(path)
            if folder.descriptor is not None and sys.platform == "linux" and os.path.isdir("/proc/self/fd"):
                place = f"/proc/self/fd/{folder.descriptor}/{name}"
            if source is None:
                return SyncTarget(self, folder, path, place, expected)
            return ResumedTarget(self, folder, path, place, expected, source)
        except BaseException:
            folder.close()
            raise


class SyncTarget(PathTarget):
    """A large file of the folder: as download/target.py makes it, with the last look and the times."""

    def __init__(
        self, publisher: Publisher, folder: Reached, path: str, place: str, expected: Side | None, *more: Any
    ) -> None:
        """path: below the root. place: where the system finds it. It keeps the folder, and lets go of it in leave()."""
        super().__init__(place, *more)
        self.facts = Facts()
        self._publisher = publisher
        self._folder = folder
        self._relative = path
        self._expected = expected

    def publish(self, size: int, *, fsync: bool) -> None:
        """Look once more, and give the file its name."""
        assert self._file is not None
        name = self._relative.rpartition("/")[2]
        self._publisher.check(self._folder, name, self._relative, self._expected)
        describe(self._file.descriptor, self.facts)
        super().publish(size, fsync=fsync)

    def _present_mode(self) -> int | None:
        """The permissions that the object tells, else those of the file that is there."""
        facts: Facts | None = getattr(self, "facts", None)
        return super()._present_mode() if facts is None or facts.mode is None else facts.mode

    @property
    def side(self) -> Side:
        """What the file looks like, once it is published."""
        name = self._relative.rpartition("/")[2]
        return side_of_status(os.stat(self._folder.at(name), dir_fd=self._folder.descriptor, follow_symlinks=False))

    def leave(self) -> None:
        """Let go of the folder."""
        self._folder.close()


class ResumedTarget(SyncTarget, PartTarget):
    """The same for a file that a later run goes on with, if this one is killed. The last argument: see PartTarget."""


def describe(descriptor: int, facts: Facts) -> None:
    """Give an open file its time and its permissions."""
    if facts.mtime_ns is not None:
        # The time of reading is not kept: now is as good as any.
        os.utime(descriptor, ns=(time.time_ns(), facts.mtime_ns))
    if facts.mode is not None and hasattr(os, "fchmod"):
        try:
            os.fchmod(descriptor, facts.mode)
        except OSError:
            # A file system without permissions.
            pass


def hidden_name(name: str) -> str:
    """A free name beside another one, which says whose it is."""
    short = os.fsencode(name)[:_NAME_BYTES].decode(errors="ignore")
    return f".{short}.{_host()}-{os.getpid()}-{secrets.token_hex(8)}.s3func-part"


def sweep(folder: Reached) -> None:
    """Remove the hidden files of processes that are no more; those of other hosts after a week."""
    try:
        names = os.listdir(folder.at(".") if folder.descriptor is None else folder.descriptor)
        for name in names:
            owner = _OWNED.fullmatch(name)
            if owner is not None and _is_dead(owner[1], int(owner[2]), folder, name):
                _remove(folder, name)
    except OSError:
        # What cannot be looked at is not ours to clean.
        return


def _is_dead(host: str, process: int, folder: Reached, name: str) -> bool:
    if host != _host():
        found = os.stat(folder.at(name), dir_fd=folder.descriptor, follow_symlinks=False)
        return time.time() - found.st_ctime > _FOREIGN_SECONDS
    if process == os.getpid() or sys.platform == "win32":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


@cache
def _host() -> str:
    """Eight digits for this machine: the numbers of processes mean something on one machine only."""
    import platform
    from hashlib import sha256

    return sha256(platform.node().encode()).hexdigest()[:8]


def _give_name(descriptor: int, folder: Reached, name: str) -> None:
    # The first directory counts for nothing beside an absolute path, but only so does Python follow the link.
    os.link(
        f"/proc/self/fd/{descriptor}",
        folder.at(name),
        src_dir_fd=descriptor,
        dst_dir_fd=folder.descriptor,
        follow_symlinks=True,
    )


def _remove(folder: Reached, name: str) -> None:
    try:
        os.unlink(folder.at(name), dir_fd=folder.descriptor)
    except OSError:
        pass
