"""Where S3Objects keep their files: a path per store, bucket and key, and what is known of each file.

Below the root (`$XDG_CACHE_HOME/s3func`, `~/.cache/s3func`):

    bucket/key                           of AWS
    @host_9000-1a2b3c4d/bucket/key       of any other store: two stores never share a file
    .s3func/                             records: which object, in which state, a file was when it was last the same

 1. A key becomes one path below the root and two keys never share one; a part of a key that cannot be the name of a file
    is replaced by a hash.
 2. Nothing here is needed for correctness: without records contents are compared, without locks something is fetched
    twice. Files get their final names complete and checked, whoever else is at work.
 3. Only shrink() deletes, and only what the store still has exactly so.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.errors import NotFound

if TYPE_CHECKING:
    from s3func.session import Session

__all__ = ["Cache", "Fingerprint", "Kept", "Record", "Records", "fingerprint", "locked"]

# In a name that other systems refuse too there is little to gain from keeping it.
_UNSAFE = re.compile(
    r'[<>:"\\|?*\x00-\x1f\x7f\ud800-\udfff]|[ .]\Z|\A(?:CON|PRN|AUX|NUL|COM\d|LPT\d)(?:\.|\Z)', re.IGNORECASE
)
_HASHED = "%~"
_PART_BYTES = 180
RACY_NS = 100_000_000
"""A change within this time of another may leave no trace in the times of a file."""
_COARSE_NS = 2_100_000_000
"""The same where a file system keeps whole seconds."""
_LOCK_SECONDS = 60.0
_PENDING = re.compile(r"\.s3func(?:/|\\|\Z)")


class Fingerprint(NamedTuple):
    """By what a change of a file is noticed without reading it; times in nanoseconds."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


class Record(NamedTuple):
    """What was known of a file and its object when they last agreed.

    url: of the object, without secrets. pending: the file was written here and is not in the store yet; etag and version_id
    are then those that the store had before. saved_ns: when this was written down. md5: of a file that was just being
    written to then.
    """

    url: str
    path: str
    local: Fingerprint
    etag: str
    version_id: str | None
    pending: bool
    saved_ns: int
    md5: str | None = None

    @property
    def is_racy(self) -> bool:
        """Whether the file may have changed since without a trace in its times."""
        coarse = self.local.mtime_ns % 1_000_000_000 == 0 and self.local.ctime_ns % 1_000_000_000 == 0
        newest = max(self.local.mtime_ns, self.local.ctime_ns)
        return newest >= self.saved_ns - (_COARSE_NS if coarse else RACY_NS)


class Kept(NamedTuple):
    """A file in the cache. used: when last, in seconds of the epoch. size: its bytes now."""

    used: float
    record: Record
    size: int


def fingerprint(path: str | int) -> Fingerprint | None:
    """Of a path or a descriptor; None where there is nothing. Symbolic links are followed."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Fingerprint(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def digest_of(path: str, algorithm: str = "md5") -> str | None:
    """The hash of a file's content, None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    except OSError:
        return None


class Records:
    """The records of one folder, a small file for each."""

    def __init__(self, folder: str) -> None:
        """The folder is made when something is written down."""
        self.folder = folder

    def place(self, path: str, url: str) -> str:
        """The file of a record."""
        name = hashlib.sha256(f"{path}\0{url}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return os.path.join(self.folder, f"{name}.json")

    def load(self, path: str, url: str) -> Record | None:
        """What is known; a record that cannot be read is none."""
        record = read_record(self.place(path, url))
        return record if record is not None and (record.path, record.url) == (path, url) else None

    def save(self, record: Record) -> None:
        """Write it down, whole or not at all; where that is not possible it is not needed."""
        place = self.place(record.path, record.url)
        temporary = f"{place}.{secrets.token_hex(6)}"
        try:
            os.makedirs(self.folder, exist_ok=True)
            with open(temporary, "x", encoding="utf-8") as file:
                json.dump(record._asdict(), file)
            os.replace(temporary, place)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)

    def forget(self, path: str, url: str) -> None:
        """Remove a record."""
        with suppress(OSError):
            os.unlink(self.place(path, url))

    def is_as_it_was(self, record: Record, local: Fingerprint | None) -> bool:
        """Whether the file has the content it had when the record was made. It is read only where its times cannot tell."""
        if local is None or local.size != record.local.size:
            return False
        if local == record.local and not record.is_racy:
            return True
        known = record.md5 or record.etag
        algorithm = {32: "md5", 40: "sha1"}.get(len(known))
        return algorithm is not None and digest_of(record.path, algorithm) == known

    def used(self, path: str, url: str) -> None:
        """Remember that a file was used now."""
        with suppress(OSError):
            os.utime(self.place(path, url))


def read_record(place: str) -> Record | None:
    """A record by the path of its own file."""
    try:
        with open(place, encoding="utf-8") as file:
            values: Any = json.load(file)
        local = Fingerprint(*(int(number) for number in values["local"]))
        version_id = values["version_id"]
        return Record(
            str(values["url"]),
            str(values["path"]),
            local,
            str(values["etag"]),
            None if version_id is None else str(version_id),
            bool(values["pending"]),
            int(values["saved_ns"]),
            values.get("md5"),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


@contextmanager
def locked(place: str, seconds: float = _LOCK_SECONDS) -> Iterator[bool]:
    """Keep others from doing the same work meanwhile; after so many seconds, or where there are no locks, go on without.

    Gives whether it is locked. A file system whose locks do nothing costs a second download, never a wrong byte.
    """
    try:
        import fcntl
    except ImportError:
        yield False
        return
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        yield False
        return
    try:
        yield _flock(fcntl, descriptor, seconds)
    finally:
        os.close(descriptor)


def _flock(fcntl: Any, descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        except OSError:
            return False
        else:
            return True


class Cache:
    """One root: paths, records, and how to make it smaller."""

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        """root: the usual one for None. Nothing is made yet."""
        self.root = os.path.abspath(usual_root() if root is None else os.path.expanduser(os.fspath(root)))
        self.records = Records(os.path.join(self.root, ".s3func"))

    def path(self, endpoint_url: str, bucket: str, key: str) -> str:
        """Where the object's file is, whether it exists or not."""
        store = _store(endpoint_url)
        parts = [_component(part) for part in key.removesuffix("/").split("/")]
        return os.path.join(self.root, *([store] if store else []), bucket, *parts)

    def contains(self, path: str) -> bool:
        """Whether an absolute path lies below the root."""
        return os.path.normpath(path).startswith(os.path.join(self.root, ""))

    @staticmethod
    def is_usual(endpoint_url: str) -> bool:
        """Whether a store has no folder of its own: AWS."""
        return not _store(endpoint_url)

    def size(self) -> int:
        """Bytes of all files that have a record."""
        return sum(size for _, _, size in self.entries())

    def shrink(self, max_bytes: int, session: Session) -> list[str]:
        """Delete what was not used for longest, until the rest has at most max_bytes. Gives the paths that are gone.

        Only files that are still what was downloaded or uploaded, and whose object `session` finds in the store exactly
        so; what is not there any more, was replaced, was edited here, or is not of the session's store, stays. The
        session's errors are raised, except NotFound.
        """
        if not isinstance(max_bytes, int) or isinstance(max_bytes, bool):
            raise TypeError(f"max_bytes must be an int, not {type(max_bytes).__name__}")
        if max_bytes < 0:
            raise ValueError(f"max_bytes must not be negative: {max_bytes}")
        entries = sorted(self.entries(), key=lambda entry: entry[0])
        left = sum(size for _, _, size in entries)
        gone = []
        for _, record, size in entries:
            if left <= max_bytes:
                break
            if self.evict(record, session):
                gone.append(record.path)
                left -= size
        return gone

    def entries(self) -> Iterator[Kept]:
        """Each file that has a record, in no order."""
        try:
            names = os.listdir(self.records.folder)
        except OSError:
            return
        for name in names:
            place = os.path.join(self.records.folder, name)
            record = read_record(place) if name.endswith(".json") else None
            if record is None or not self.contains(record.path):
                continue
            status = fingerprint(record.path)
            with suppress(OSError):
                if status is not None:
                    yield Kept(os.stat(place).st_mtime, record, status.size)

    def evict(self, record: Record, session: Session) -> bool:
        """Delete one file, on the conditions of shrink(); whether it is gone."""
        from s3func.connect import parse

        location = parse(record.url)
        endpoint = endpoint_of(session)
        # Without an ETag nobody knows whether the store has exactly this.
        if record.pending or not record.etag or self.path(endpoint, location.bucket, location.key) != record.path:
            return False
        with locked(f"{self.records.place(record.path, record.url)}.lock"):
            if os.path.islink(record.path) or not self.records.is_as_it_was(record, fingerprint(record.path)):
                return False
            try:
                head = session.head_object(location.key, bucket=location.bucket)
            except NotFound:
                return False
            if (head.etag, head.version_id, head.size) != (record.etag, record.version_id, record.local.size):
                return False
            return self._removed(record)

    def _removed(self, record: Record) -> bool:
        """Delete the file that was looked at, and no other one that took its place meanwhile."""
        from s3func.sync.publishing import hidden_name

        folder, name = os.path.split(record.path)
        aside = os.path.join(folder, hidden_name(name))
        try:
            os.rename(record.path, aside)
        except OSError:
            return False
        now = fingerprint(aside)
        # Renaming changes the ctime.
        if now is None or now._replace(ctime_ns=record.local.ctime_ns) != record.local:
            with suppress(OSError):
                os.link(aside, record.path)
                os.unlink(aside)
            return False
        os.unlink(aside)
        self.records.forget(record.path, record.url)
        return True


def endpoint_of(session: Session) -> str:
    """Where the store of a session is."""
    return str(getattr(session, "endpoint_url", None) or getattr(session, "realm", None) or type(session).__name__)


def usual_root(owner: str = "s3func") -> str:
    """Where caches are on this machine."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, owner)


def state_root() -> str:
    """Where the records of files are that somebody keeps elsewhere."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "s3func", "files")


def _store(endpoint_url: str) -> str:
    """The folder of a store; "" for AWS, whose regions share one set of buckets."""
    url = endpoint_url.rstrip("/").lower()
    if re.fullmatch(r"https://(?:[a-z0-9-]+\.)*amazonaws\.com", url):
        return ""
    host = re.sub(r"[^a-z0-9.-]+", "_", url.partition("://")[2])[:80].strip("._-")
    return f"@{host}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _component(part: str) -> str:
    """A part of a key as the name of a file: itself, or a hash of it."""
    if (
        part in {"", ".", ".."}
        or part.startswith(_HASHED)
        or _UNSAFE.search(part)
        or _PENDING.search(part)
        or len(part.encode()) > _PART_BYTES
    ):
        return _HASHED + hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return part
