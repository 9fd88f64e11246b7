"""Where a download goes: a file that appears whole or not at all, an open file, or whatever only takes bytes in order.

Rule 1: a path is never written to. A file beside it is, and takes its place when all of it is there and compared.
Rule 2: what failed leaves nothing behind, and an existing file as it was.
Rule 3: a file that several attempts share holds bytes of one version of one object; another version gets another file.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
import sys
import threading
from hashlib import sha256
from typing import Any, BinaryIO, Protocol, TypeAlias, cast

_NAME_BYTES = 143
"""The longest name that all file systems take: most take 255 bytes, eCryptfs 143."""
_PREFLIGHT_BYTES = 16 * 1024 * 1024
"""From this size on the disk is asked for its room before anything is moved."""
_NAMELESS_BYTES = 1024 * 1024
"""From this size on a hidden file has no name: a smaller one is there for less time than that takes."""
_OPEN = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Writable(Protocol):
    """A binary file, or whatever else has its write()."""

    def write(self, data: bytes, /) -> object:
        """Take the bytes; how many that were, or None for all."""


Destination: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes] | Writable"
"""What download_file takes for `path`."""


class Target(Protocol):
    """What the engine writes to."""

    in_order: bool
    """Whether bytes can only be written one behind the other."""
    rereadable: bool
    """Whether what was written can be read again."""

    def begin(self, size: int | None) -> None:
        """Make ready for an object of so many bytes; once more when the object was replaced in the meantime."""

    def can_begin_again(self) -> bool:
        """Whether what was written can be taken back."""

    def write(self, block: memoryview, position: int) -> None:
        """Write all of the block; from any thread."""

    def readinto(self, buffer: memoryview, position: int) -> int:
        """Read what was written before; 0 at the end."""

    def publish(self, size: int, *, fsync: bool) -> None:
        """All of it is there and right."""

    def discard(self, *, keep: bool = False) -> None:
        """It failed: remove what can be removed, unless a later call can go on with it. Nothing after publish()."""


def beside(path: str, ending: str, unique: str = "") -> str:
    """The path of a hidden file beside another: `.name.ending`, its name cut where file systems would refuse it."""
    folder, name = os.path.split(path)
    middle = f".{unique}" if unique else ""
    room = _NAME_BYTES - len(f".{middle}.{ending}")
    encoded = os.fsencode(name)
    if len(encoded) > room:
        # What distinguished two long names may have been cut off.
        cut = encoded[: room - 17].decode(errors="ignore")
        name = f"{cut}~{sha256(encoded).hexdigest()[:16]}"
    return os.path.join(folder, f".{name}{middle}.{ending}")


def create(path: str, mode: int | None = None) -> int:
    """A descriptor of a new file, with the permissions that any new file gets, or with those of `mode`."""
    descriptor = os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600)
    _set_mode(descriptor, mode)
    return descriptor


def create_nameless(name: str, mode: int | None = None) -> int | None:
    """The same for a file that has no name yet, so that a killed process leaves nothing of it.

    name: a free one in the folder where it is going to be. None where there are no such files, or where they could not
    be given a name in the end (no /proc, a policy against links): that is tried first, with an empty one.
    """
    if not hasattr(os, "O_TMPFILE"):
        return None
    flags, permissions = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666 if mode is None else 0o600
    folder = os.path.dirname(name)
    try:
        attempt = os.open(folder, flags, permissions)
        try:
            give_name(attempt, name)
        finally:
            os.close(attempt)
        os.unlink(name)
        descriptor = os.open(folder, flags, permissions)
    except OSError:
        return None
    _set_mode(descriptor, mode)
    return descriptor


def give_name(descriptor: int, name: str) -> None:
    """Give a name to a file that has none."""
    # The directory counts for nothing beside an absolute path, but only so does Python follow the link that it names.
    os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=descriptor, follow_symlinks=True)


def _set_mode(descriptor: int, mode: int | None) -> None:
    """Give a file the permissions of another one; we ourselves can read and write it until it is done."""
    if mode is not None and hasattr(os, "fchmod"):
        try:
            os.fchmod(descriptor, mode | 0o600)
        except OSError:
            # A file system without permissions.
            pass


def open_existing(path: str) -> int:
    """A descriptor of a file that is there, for reading and writing; OSError for what is no regular file."""
    descriptor = os.open(path, _OPEN)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


def remove(path: str) -> None:
    """Remove a file of our own, if it is there and can be removed."""
    try:
        os.unlink(path)
    except OSError:
        pass


class PositionedFile:
    """Reading and writing a descriptor at any place, from any thread."""

    __slots__ = ("_base", "_lock", "descriptor")

    def __init__(self, descriptor: int, base: int = 0) -> None:
        """base: where in the file the object begins."""
        self.descriptor = descriptor
        self._base = base
        # Windows has no call that writes at a place: two calls that belong together.
        self._lock = None if hasattr(os, "pwrite") else threading.Lock()

    def write(self, block: memoryview, position: int) -> None:
        """Write all of the block."""
        position += self._base
        while block:
            written = self._write(block, position)
            position += written
            block = block[written:]

    def _write(self, block: memoryview, position: int) -> int:
        if self._lock is None:
            return os.pwrite(self.descriptor, block, position)
        with self._lock:
            os.lseek(self.descriptor, position, os.SEEK_SET)
            return os.write(self.descriptor, block)

    def readinto(self, buffer: memoryview, position: int) -> int:
        """Read what is there; 0 at the end."""
        position += self._base
        if hasattr(os, "preadv"):
            return os.preadv(self.descriptor, [buffer], position)
        with self._lock or threading.Lock():
            os.lseek(self.descriptor, position, os.SEEK_SET)
            data = os.read(self.descriptor, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def check_room(path: str, descriptor: int, size: int) -> None:
    """OSError (ENOSPC) when the disk has less room than the file still needs; where nobody can tell, nothing happens."""
    if not hasattr(os, "fstatvfs"):
        return
    disk = os.fstatvfs(descriptor)
    # Some file systems of the network do not know how large they are.
    if not disk.f_blocks:
        return
    free = (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail) * disk.f_frsize
    missing = size - os.fstat(descriptor).st_blocks * 512
    if missing > free:
        raise OSError(errno.ENOSPC, f"{missing} bytes are to be written, and {free} are free", path)


def sync_folder(path: str) -> None:
    """Make the names in the folder of a path last, where the system can."""
    if sys.platform == "win32":
        return
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class PathTarget:
    """A file that appears under its name whole; until then it is a hidden one beside it."""

    in_order = False
    rereadable = True

    def __init__(self, path: str) -> None:
        """path: absolute, symbolic links followed."""
        self.path = path
        self.temporary = ""
        self._file: PositionedFile | None = None
        self._mode = self._present_mode()

    def begin(self, size: int | None) -> None:
        """Make the hidden file, anew each time; a large one has no name at all where the system can do that."""
        self.discard()
        if size is None or size >= _NAMELESS_BYTES:
            descriptor = create_nameless(self._hidden(), self._mode)
            if descriptor is not None:
                self.adopt("", descriptor, size)
                return
        path = self._hidden()
        self.adopt(path, create(path, self._mode), size)

    def _hidden(self) -> str:
        return beside(self.path, "s3func", secrets.token_hex(8))

    def can_begin_again(self) -> bool:
        """The hidden file is thrown away."""
        return True

    def adopt(self, path: str, descriptor: int, size: int | None) -> None:
        """Write to this file, which is ours from now on."""
        self.temporary = path
        self._file = PositionedFile(descriptor)
        if size is not None and size >= _PREFLIGHT_BYTES:
            check_room(self.path, descriptor, size)
            # A limit on the size of files speaks up here; a full disk, mostly, has done so above.
            os.truncate(descriptor, size)

    def write(self, block: memoryview, position: int) -> None:
        """Write at this place."""
        try:
            cast("PositionedFile", self._file).write(block, position)
        except OSError as error:
            error.filename = self.path
            raise

    def readinto(self, buffer: memoryview, position: int) -> int:
        """Read from this place."""
        return cast("PositionedFile", self._file).readinto(buffer, position)

    def publish(self, size: int, *, fsync: bool) -> None:
        """Give the file its name; whoever looks sees the old file or the new one, and never neither."""
        file = cast("PositionedFile", self._file)
        mode = self._present_mode()
        if mode is not None and hasattr(os, "fchmod"):
            try:
                os.fchmod(file.descriptor, mode)
            except OSError:
                pass
        if fsync:
            os.fsync(file.descriptor)
        if not self.temporary:
            path = self._hidden()
            give_name(file.descriptor, path)
            self.temporary = path
        # Closing is where a file system of the network may say that it could not keep the bytes.
        self._close()
        os.replace(self.temporary, self.path)
        self.temporary = ""
        if fsync:
            sync_folder(self.path)

    def discard(self, *, keep: bool = False) -> None:
        """Remove the hidden file."""
        try:
            self._close()
        except OSError:
            pass
        path, self.temporary = self.temporary, ""
        if path:
            remove(path)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file.descriptor)

    def _present_mode(self) -> int | None:
        """The permissions of the file that is there; the bits that would run the content as somebody else are not kept."""
        try:
            return stat.S_IMODE(os.stat(self.path).st_mode) & 0o777
        except OSError:
            return None


class OpenFileTarget:
    """A regular file that the caller has opened: written from its position on, at any place."""

    in_order = False

    def __init__(self, file: BinaryIO) -> None:
        """The file is neither closed nor renamed; after a failure it holds whatever had come."""
        file.flush()
        self._file = file
        self._base = file.tell()
        self._positioned = PositionedFile(file.fileno(), self._base)
        self._length = os.fstat(file.fileno()).st_size
        self.rereadable = file.readable()

    def begin(self, size: int | None) -> None:
        """Nothing to make."""
        if size is not None and size >= _PREFLIGHT_BYTES:
            check_room(str(getattr(self._file, "name", "")), self._positioned.descriptor, self._base + size)

    def write(self, block: memoryview, position: int) -> None:
        """Write at this place."""
        self._positioned.write(block, position)

    def readinto(self, buffer: memoryview, position: int) -> int:
        """Read from this place."""
        return self._positioned.readinto(buffer, position)

    def publish(self, size: int, *, fsync: bool) -> None:
        """Put the position behind the object; what a longer version left behind it is cut off."""
        end = self._base + size
        longest = max(self._length, end)
        if os.fstat(self._positioned.descriptor).st_size > longest:
            os.truncate(self._positioned.descriptor, longest)
        self._file.seek(end)
        if fsync:
            os.fsync(self._positioned.descriptor)

    def can_begin_again(self) -> bool:
        """It is written over."""
        return True

    def discard(self, *, keep: bool = False) -> None:
        """The file is the caller's."""


class StreamTarget:
    """Anything with write(): a pipe, a device, a buffer in memory, a compressor."""

    in_order = True
    rereadable = False

    def __init__(self, file: Writable, *, owned: bool = False) -> None:
        """owned: close it at the end."""
        self._file: Any = file
        self._owned = owned
        self._written = 0

    def begin(self, size: int | None) -> None:
        """Nothing to make."""

    def can_begin_again(self) -> bool:
        """Only while nothing was written."""
        return not self._written

    def write(self, block: memoryview, position: int) -> None:
        """Write what comes next."""
        while block:
            # A copy: whoever is given the block may keep it, and the buffer is going to be used again.
            written = self._file.write(bytes(block))
            if written is None:
                # What does not count has taken all of it.
                written = len(block)
            self._written += written
            block = block[written:]

    def readinto(self, buffer: memoryview, position: int) -> int:
        """There is no way back."""
        raise io.UnsupportedOperation("what was written to a stream cannot be read")

    def publish(self, size: int, *, fsync: bool) -> None:
        """Hand on what a buffer holds."""
        if self._owned:
            self._file.close()
        elif callable(flush := getattr(self._file, "flush", None)):
            flush()

    def discard(self, *, keep: bool = False) -> None:
        """What was written stays written."""
        if self._owned:
            self._file.close()


def target_of(path: Destination) -> Target:
    """The target that a path or an open file stands for; TypeError or ValueError names the argument."""
    if isinstance(path, str | bytes | os.PathLike):
        return _path_target(os.fsdecode(path))
    if not callable(getattr(path, "write", None)):
        raise TypeError(f"path must be a path or a binary file, not {type(path).__name__}")
    if isinstance(path, io.TextIOBase):
        raise TypeError("path is a text file; a download needs one that was opened in binary mode")
    if getattr(path, "closed", False):
        raise ValueError("path is a closed file")
    if callable(writable := getattr(path, "writable", None)) and not writable():
        raise ValueError("path is a file that was not opened for writing")
    if isinstance(path, io.FileIO | io.BufferedWriter | io.BufferedRandom) and _is_seekable_file(path):
        return OpenFileTarget(cast("BinaryIO", path))
    return StreamTarget(path)


def _is_seekable_file(file: Any) -> bool:
    """Whether bytes may be written at any place: not in pipes and devices, nor where every write goes to the end."""
    descriptor = file.fileno()
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return False
    return "a" not in str(getattr(getattr(file, "raw", file), "mode", ""))


def _path_target(path: str) -> Target:
    if not path:
        raise ValueError("path is empty")
    if "\0" in path:
        raise ValueError("path has a null character")
    try:
        found = os.stat(path)
    except FileNotFoundError:
        found = None
    except OSError as error:
        raise ValueError(f"path cannot be used: {error}") from error
    if (found is not None and stat.S_ISDIR(found.st_mode)) or path.endswith((os.sep, os.altsep or os.sep)):
        raise ValueError(f"path is a folder, and a download needs the path of a file: {path!r}")
    if found is not None and not stat.S_ISREG(found.st_mode):
        # A device or a pipe: its name is not ours to give to a file.
        return StreamTarget(open(path, "wb", buffering=0), owned=True)
    # A symbolic link stays one: what it leads to is what is replaced.
    real = os.path.realpath(path)
    if not os.path.isdir(os.path.dirname(real)):
        raise ValueError(f"path lies in a folder that does not exist: {path!r}")
    return PathTarget(real)
