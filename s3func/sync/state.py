"""What both sides looked like when they last agreed: one SQLite file per pair, the third stream of a plan.

Rule 1: a row is a memory, never a truth: it spares reading a file only while both sides look exactly as they did.
Rule 2: what is lost, corrupt or of a newer kind costs reading files again, and nothing else; it is set aside, not deleted.
Rule 3: reading writes nothing; the file appears with the first row that is recorded.
Rule 4: a file that was written to around the moment it was looked at may change again without its times telling so; its
        row is marked, and its content is read the next time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby, islice
from operator import lt
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote

from s3func.errors import SyncError
from s3func.sync.local import LocalTree
from s3func.sync.spool import dumps, loads

if TYPE_CHECKING:
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.operation import Operation, Side

_APPLICATION = 0x53334675  # "S3Fu", where `file` and sqlite look for whose file it is
_SCHEMA = 2
_BATCH = 1000
_ROWS_AHEAD = 1000
_BUSY_SECONDS = 30.0
_ATTEMPTS, _PAUSE_SECONDS = 100, 0.05
RACY_NS = 2_000_000_000
"""How near to a look a change may lie for the file's times not to tell it from a later one: FAT counts by two seconds."""

_FINE_NS = 1_000_000

_TABLES = """
CREATE TABLE entry (
    name TEXT PRIMARY KEY, one_size, one_mtime_ns, one_ctime_ns, one_inode, one_etag, one_modified, one_version,
    other_size, other_etag, other_modified, other_version, md5, sha1, part_size, mode, is_racy, step
) WITHOUT ROWID;
CREATE INDEX moved ON entry (one_inode);
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""
_PUT = "INSERT OR REPLACE INTO entry VALUES"
_ROW = f"({', '.join('?' * 18)})"
# 999 is how many question marks the oldest SQLite takes.
_TOGETHER = 999 // 18
_PAIRS_TOGETHER = 999 // 2
_NAMES_TOGETHER = 999
_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"


class StateRow(NamedTuple):
    """One name that both sides agreed about. `one` is the local side, or of two stores the one whose URL sorts first.

    The order of the columns is that of the entries, which lets a comparison be one of slices. is_racy: 1 by rule 4, 2
    while something is being done to the name, see doubt(); step: what that was, see step_of().
    """

    name: str
    one_size: int
    one_mtime_ns: int | None
    one_ctime_ns: int | None
    one_inode: int | None
    one_etag: str | None
    one_modified: float | None
    one_version: str | None
    other_size: int
    other_etag: str | None
    other_modified: float | None
    other_version: str | None
    md5: str | None
    sha1: str | None
    part_size: int | None
    mode: int | None
    is_racy: int
    step: str | None = None


class Step(NamedTuple):
    """What a run was about to do to a name when it was last heard of: the target as it found it, and what was to come.

    seen: size, mtime_ns, inode and ETag of the target, None where it had nothing. meant: size, mtime_ns and ETag of the
    source, None for a delete.
    """

    seen: tuple[Any, ...] | None
    meant: tuple[Any, ...] | None


def step_of(row: StateRow) -> Step | None:
    """The step that was under way; None where none was, or nobody knows."""
    if not row.is_racy & 2 or row.step is None:
        return None
    try:
        seen, meant = loads(row.step.encode())
        if (seen is not None and len(seen) != 4) or (meant is not None and len(meant) != 3):
            return None
        return Step(None if seen is None else tuple(seen), None if meant is None else tuple(meant))
    except (SyncError, TypeError, ValueError):
        return None


class State:
    """The memory of one pair of sides, in either direction. Safe for threads; several processes may have it open."""

    def __init__(self, path: str, pair: tuple[str, str], *, is_swapped: bool = False) -> None:
        """pair: the identities of `one` and `other`. is_swapped: `one` is the target."""
        self.path = path
        self.is_swapped = is_swapped
        self.observed_ns = time.time_ns()
        """When the look at both sides began that rows are recorded of: nothing is older, so rule 4 counts from here."""
        self._pair = pair
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._looker: sqlite3.Connection | None = None
        self._pending: list[tuple[Any, ...] | str] = []
        self._root: tuple[int, int] | None = None
        self._is_doubtful = False

    @classmethod
    def open(cls, source: Endpoint, target: Endpoint, where: str | os.PathLike[str] | None = "auto") -> State | None:
        """The memory of two sides, the same in either direction; None for None.

        where: "auto" is a file below XDG_STATE_HOME, named after both sides; else the file itself. Nothing is written.
        """
        if where is None:
            return None
        one, other = _identity(source), _identity(target)
        # A folder stands first; of two stores the one that sorts first.
        is_swapped = (source.kind != "local", one) > (target.kind != "local", other)
        pair = (other, one) if is_swapped else (one, other)
        path = os.fspath(where)
        if path == "auto":
            digest = hashlib.sha256("\n".join(pair).encode("utf-8", "surrogateescape")).hexdigest()
            path = os.path.join(state_folder(), f"{digest[:32]}.db")
        return cls(os.path.abspath(path), pair, is_swapped=is_swapped)

    def __repr__(self) -> str:
        return f"State({self.path!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_doubtful(self) -> bool:
        """Whether the file was corrupt, or of a newer kind: nothing is known, and the next record sets it aside."""
        return self._is_doubtful

    def rows(self) -> Iterator[StateRow]:
        """All rows in the order of the names, as they are at the beginning; rows recorded meanwhile do not appear."""
        connection = self._connected()
        if connection is None:
            return
        columns = ", ".join(StateRow._fields)
        last = ""
        try:
            rows = connection.execute(f"SELECT {columns} FROM entry ORDER BY name")  # noqa: S608 -- our own names
            while found := rows.fetchmany(_ROWS_AHEAD):
                batch = list(map(StateRow._make, found))
                names = [row.name for row in batch]
                if names[0] <= last > "" or not all(map(lt, names, names[1:])):
                    raise sqlite3.DatabaseError("the rows are not in order")
                last = names[-1]
                yield from batch
        except (sqlite3.Error, TypeError):
            self._is_doubtful = True
        finally:
            connection.close()

    def moved(self, inode: int, size: int, mtime_ns: int) -> StateRow | None:
        """The row of a file that had this inode, size and time: most likely the same one under its earlier name."""
        with self._lock:
            if self._looker is None:
                self._looker = self._connected()
            if self._looker is None:
                return None
            columns = ", ".join(StateRow._fields)
            try:
                found = self._looker.execute(
                    f"SELECT {columns} FROM entry WHERE one_inode = ? AND one_size = ? AND one_mtime_ns = ? LIMIT 1",  # noqa: S608
                    (_signed(inode), size, mtime_ns),
                ).fetchone()
            except sqlite3.Error:
                return None
        return None if found is None else StateRow._make(found)

    @property
    def root(self) -> tuple[int, int] | None:
        """(device, inode) of the folder when rows were last recorded; None where nobody knows."""
        connection = self._connected()
        if connection is None:
            return None
        try:
            found = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('root_device', 'root_inode')"))
        except sqlite3.Error:
            return None
        finally:
            connection.close()
        if found.get("root_device") is None or found.get("root_inode") is None:
            return None
        mask = (1 << 64) - 1
        return int(found["root_device"]) & mask, int(found["root_inode"]) & mask

    def adopt_root(self, identity: tuple[int, int] | None) -> None:
        """This is the folder that is meant, if anything is recorded of it."""
        with self._lock:
            self._root = identity

    def record(self, name: str, source: Side, target: Side) -> None:
        """Both sides of this name agree, and look like this. The local side may stand on either place."""
        one, other = source, target
        if target.mtime_ns is not None or (source.mtime_ns is None and self.is_swapped):
            one, other = target, source
        row = (
            name,
            one.size,
            one.mtime_ns,
            one.ctime_ns,
            None if one.inode is None else _signed(one.inode),
            one.etag,
            one.modified,
            one.version_id,
            other.size,
            other.etag,
            other.modified,
            other.version_id,
            one.md5 or other.md5,
            one.sha1 or other.sha1,
            other.part_size or one.part_size,
            one.mode,
            int(self._is_racy(one)),
            None,
        )
        self._note([row])

    def forget(self, names: str | Iterable[str]) -> None:
        """Nothing is known of these names any more."""
        self._note([names] if isinstance(names, str) else list(names))

    def doubt(self, operations: Iterable[Operation]) -> None:
        """These steps are about to happen: until their names are recorded, or trusted again, who knows what they hold.

        A process that is killed then, and a step that fails, leave rows that are marked and say what was to be done: what
        differs from them may be our own doing, see step_of().
        """
        columns = ", ".join(f"known.{column}" for column in StateRow._fields[:-2])
        iterator = ((operation.name, _step(operation)) for operation in operations)

        def mark(writer: sqlite3.Connection) -> None:
            while together := list(islice(iterator, _PAIRS_TOGETHER)):
                values = ", ".join(["(?, ?)"] * len(together))
                # One statement for all, for the reason that _commit() has; of names without a row nothing is noted.
                writer.execute(
                    f"INSERT OR REPLACE INTO entry SELECT {columns}, known.is_racy | 2, begun.column2 "  # noqa: S608 -- our own
                    f"FROM (VALUES {values}) AS begun JOIN entry AS known ON known.name = begun.column1",
                    list(chain.from_iterable(together)),
                )

        self._mark(mark)

    def trust(self, names: Iterable[str]) -> None:
        """Nothing has happened to these names after all."""
        iterator = iter(names)

        def unmark(writer: sqlite3.Connection) -> None:
            while together := list(islice(iterator, _NAMES_TOGETHER)):
                marks = ", ".join("?" * len(together))
                writer.execute(f"UPDATE entry SET is_racy = is_racy & ~2 WHERE name IN ({marks})", together)  # noqa: S608

        self._mark(unmark)

    def _mark(self, mark: Callable[[sqlite3.Connection], None]) -> None:
        with self._lock:
            self._write()
            if not os.path.exists(self.path) or self._is_doubtful:
                return
            try:
                if self._writer is None:
                    self._writer = self._created()
                self._writer.execute("BEGIN IMMEDIATE")
                with self._writer:
                    mark(self._writer)
            except (sqlite3.Error, OSError) as error:
                raise SyncError(f"the state {self.path!r} cannot be written: {error}") from error

    def check_writable(self) -> None:
        """SyncError where nothing could be recorded; better before anything is sent than behind the first thousand files."""
        place = self.path
        while not os.path.lexists(place) and os.path.dirname(place) != place:
            place = os.path.dirname(place)
        is_there = place == self.path
        right = os.W_OK if is_there else os.W_OK | os.X_OK
        if os.path.isdir(place) == is_there or not os.access(place, right):
            raise SyncError(
                f"the state {self.path!r} cannot be written, because of {place!r}: state= names another file, and "
                "state=None goes without a memory"
            )

    def flush(self) -> None:
        """What was recorded so far is on the disk."""
        with self._lock:
            self._write()

    def close(self) -> None:
        """Flush, and let go of the file."""
        with self._lock:
            try:
                self._write()
            finally:
                for connection in (self._writer, self._looker):
                    if connection is not None:
                        connection.close()
                self._writer = self._looker = None

    def _is_racy(self, side: Side) -> bool:
        low, high = self.observed_ns - RACY_NS, time.time_ns() + RACY_NS
        if side.mtime_ns is None or low <= side.mtime_ns <= high:
            return side.mtime_ns is not None
        # Whoever writes sets mtime to the moment, which is another one than this. Only together with setting it back
        # could ctime alone have to tell, which it does within milliseconds, unless it is counted in something coarser.
        return side.ctime_ns is not None and low <= side.ctime_ns <= high and side.ctime_ns % _FINE_NS == 0

    def _note(self, changes: list[tuple[Any, ...] | str]) -> None:
        with self._lock:
            self._pending += changes
            if len(self._pending) >= _BATCH:
                self._write()

    def _write(self) -> None:
        if not self._pending and (self._root is None or self._writer is None):
            return
        try:
            try:
                self._commit()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                # It is damaged where nobody has read so far.
                if self._writer is not None:
                    self._writer.close()
                self._writer, self._is_doubtful = None, True
                self._commit()
        except (sqlite3.Error, OSError) as error:
            raise SyncError(f"the state {self.path!r} cannot be written: {error}") from error
        self._pending.clear()

    def _commit(self) -> None:
        if self._writer is None:
            self._writer = self._created()
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        with writer:
            for is_name, changes in groupby(self._pending, lambda change: isinstance(change, str)):
                if is_name:
                    writer.executemany("DELETE FROM entry WHERE name = ?", [(name,) for name in changes])
                    continue
                rows = list(changes)
                # Each statement gives the interpreter away to the threads that move bytes, and waits to get it back.
                for start in range(0, len(rows), _TOGETHER):
                    together = rows[start : start + _TOGETHER]
                    values = ", ".join([_ROW] * len(together))
                    writer.execute(f"{_PUT} {values}", list(chain.from_iterable(together)))
            if self._root is not None:
                device, inode = map(_signed, self._root)
                writer.executemany(_META, [("root_device", device), ("root_inode", inode)])
                self._root = None

    def _connected(self) -> sqlite3.Connection | None:
        """A connection for reading; None where there is nothing that can be read."""
        if self._is_doubtful or not os.path.exists(self.path):
            return None
        for mode in ("mode=rw", "mode=ro", "mode=ro&immutable=1"):
            connection = None
            try:
                connection = _connection(f"file:{quote(self.path)}?{mode}")
                if _is_empty(connection):
                    connection.close()
                    return None
                self._check(connection)
            except sqlite3.OperationalError:
                # A folder that may not be written to: then not even a reader's own files can be made there.
                if connection is not None:
                    connection.close()
            except sqlite3.DatabaseError:
                if connection is not None:
                    connection.close()
                break
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            else:
                return connection
        self._is_doubtful = True
        return None

    def _check(self, connection: sqlite3.Connection) -> None:
        """Whether it is ours, and of this pair."""
        found = _pragmas(connection, "application_id", "user_version")
        if found != [_APPLICATION, _SCHEMA]:
            raise sqlite3.DatabaseError("not a state of this version")
        pair = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('one', 'other')"))
        if (pair.get("one"), pair.get("other")) != self._pair:
            raise SyncError(f"the state {self.path!r} is that of another pair of sides")

    def _created(self) -> sqlite3.Connection:
        """The connection for writing; the file is made, or made anew, if need be."""
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            if self._is_doubtful:
                self._set_aside()
            connection = _connection(f"file:{quote(self.path)}")
            try:
                self._prepare(connection)
            except sqlite3.OperationalError:
                # Somebody else is making it at this moment.
                connection.close()
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(_PAUSE_SECONDS)
            except sqlite3.DatabaseError:
                connection.close()
                self._is_doubtful = True
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise sqlite3.DatabaseError("it is damaged again and again")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Tables, where there are none yet. A reader that is under way must not keep us from writing, hence the WAL."""
        if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise sqlite3.OperationalError("the file system has no shared memory, which SQLite needs here")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            if _is_empty(connection):
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.executemany(_META, zip(("one", "other"), self._pair, strict=True))
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {_SCHEMA}")
            self._check(connection)

    def _set_aside(self) -> None:
        aside = f"{self.path}.aside-{time.time_ns()}"
        for ending in ("-wal", "-shm", ""):
            try:
                os.replace(self.path + ending, aside + ending)
            except FileNotFoundError:
                pass
        self._is_doubtful = False


def state_folder() -> str:
    """Where the states of all pairs are: s3func/sync below XDG_STATE_HOME."""
    # https://specifications.freedesktop.org/basedir-spec/latest/
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.local/state")
    return os.path.join(base, "s3func", "sync")


def _pragmas(connection: sqlite3.Connection, *names: str) -> list[Any]:
    return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Whether it was made just now, and nobody has written to it yet."""
    return _pragmas(connection, "application_id", "user_version", "schema_version") == [0, 0, 0]


def _connection(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _identity(endpoint: Endpoint) -> str:
    """What makes a side this one: a folder by its real path, a prefix by its URL, which has no secrets."""
    if isinstance(endpoint, LocalTree):
        return f"local:{os.path.realpath(endpoint.root)}"
    return endpoint.url


def _step(operation: Operation) -> str:
    source, target = operation.source, operation.target
    seen = None if target is None else (target.size, target.mtime_ns, target.inode, target.etag)
    meant = None if source is None else (source.size, source.mtime_ns, source.etag)
    return dumps((seen, meant)).decode()


def _signed(number: int) -> int:
    """The number in the 64 bits that SQLite has for it."""
    number &= (1 << 64) - 1
    return number - (1 << 64) if number >> 63 else number
