"""The objects below a prefix as one side of a sync: listed page by page while the next page is already under way.

Rule 1: a listing is complete or an error; a key that is not below the prefix or out of order is an error, too.
Rule 2: where the other side is a folder, keys that cannot be paths there are Problems, each for itself.
Rule 3: what stands for a folder (a key that ends with "/", empty) is no file, and invisible to a folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from itertools import repeat
from queue import Queue
from threading import Event, Thread
from typing import TYPE_CHECKING, Literal

from s3func.errors import ProtocolError, SyncIncomplete
from s3func.sync.entry import Problem, RemoteEntry, ScanProof, ScanState
from s3func.sync.local import LocalTree
from s3func.sync.names import NAME_BYTES, OURS
from s3func.sync.order import in_order, is_ordered
from s3func.sync.pathing import Pathing, folding_of, with_conflicts

if TYPE_CHECKING:
    from s3func.models import ListPage, ObjectEntry
    from s3func.session import Session
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.filters import Filters

_PAGES_AHEAD = 2
# Where buckets have names of their own in all the world.
_USUAL_ENDPOINT = re.compile(
    r"https://(?!.*us-gov)(?:(?:s3[a-z0-9.-]*\.)?amazonaws\.com|api\.backblazeb2\.com)(?::443)?/*"
)

Order = Literal["auto", "check", "sort"]


class RemotePrefix:
    """The objects of a bucket whose keys begin with a prefix; a name is the rest of a key.

    prefix: ends with "/" or is empty, a missing slash is added. order: "check" raises SyncIncomplete for a store that
    does not list in the order of the keys, "sort" lists everything before the first entry, "auto" checks and, once it
    has been wrong, sorts from then on; the buckets of S3 Express (directory buckets) are sorted at once.
    """

    def __init__(self, session: Session, bucket: str | None = None, prefix: str = "", *, order: Order = "auto") -> None:
        """bucket: the session's own, if it is not given. Nothing is sent; TypeError, ValueError."""
        bucket = session.bucket if bucket is None else bucket
        if not isinstance(bucket, str) or not bucket:
            raise ValueError("bucket must be given: the session has none of its own")
        if not isinstance(prefix, str):
            raise TypeError(f"prefix must be a str, not {type(prefix).__name__}")
        if order not in {"auto", "check", "sort"}:
            raise ValueError(f"order must be auto, check or sort, not {order!r}")
        self.session = session
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix and not prefix.endswith("/") else prefix
        if self.name_bytes < 1:
            raise ValueError(f"prefix leaves no room: keys have at most {NAME_BYTES} bytes")
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-overview.html
        self.order: Order = "sort" if order == "auto" and bucket.endswith("--x-s3") else order

    @property
    def kind(self) -> str:
        """Which store: s3 or b2."""
        return "b2" if any(base.__name__ == "B2Session" for base in type(self.session).__mro__) else "s3"

    @property
    def url(self) -> str:
        """Where it is, without credentials; of two stores that have a bucket of the same name, each has its own."""
        from s3func.connect import Location

        endpoint = getattr(self.session, "endpoint_url", None) or getattr(self.session, "realm", None)
        if endpoint is not None and _USUAL_ENDPOINT.fullmatch(endpoint):
            endpoint = None
        return Location(self.kind, self.bucket, self.prefix, endpoint).url

    @property
    def name_bytes(self) -> int:
        """How long a name may be, in UTF-8."""
        return NAME_BYTES - len(self.prefix.encode())

    def __repr__(self) -> str:
        return f"RemotePrefix({self.url!r})"

    def key(self, name: str) -> str:
        """The key of a name."""
        if not name:
            raise ValueError("name is empty")
        return self.prefix + name

    def scan(self, filters: Filters | None = None, *, other: Endpoint | None = None) -> RemoteScan:
        """The objects in the order of their names.

        other: the other side of the sync. Where it is a folder, names are mapped to its paths by its NamePolicy.
        """
        return RemoteScan(self, filters, other if isinstance(other, LocalTree) else None)

    def has(self, name: str) -> bool:
        """Whether an object of this name is listed; one request."""
        key = self.key(name)
        if self.order == "sort":
            # These list whole folders only, and in an order of their own.
            folder = key[: key.rfind("/") + 1]
            return any(row.key == key for row in self.session.list_objects(folder or None, bucket=self.bucket))
        listing = self.session.list_objects(key, max_keys=1, bucket=self.bucket)  # type: ignore[call-arg]
        # Of all keys that begin so it is the first one.
        return next((row.key == key for row in listing), False)

    def has_below(self, name: str) -> bool:
        """Whether there is an object whose name begins so; one request."""
        listing = self.session.list_objects(self.key(name), max_keys=1, bucket=self.bucket)  # type: ignore[call-arg]
        return any(page.entries for page in listing.pages())


class RemoteScan(ScanState):
    """One listing of a prefix: a Scan."""

    def __init__(self, remote: RemotePrefix, filters: Filters | None, folder: LocalTree | None) -> None:
        """folder: whose paths the names have to become; None where the other side is a store."""
        super().__init__()
        self._remote = remote
        self._filters = filters
        self._folder = folder

    def __iter__(self) -> Iterator[RemoteEntry]:
        for entries in self._mapped():
            self.entries += len(entries)
            yield from entries
        self._proof = ScanProof(
            is_complete=True,
            is_there=True,
            entries=self.entries,
            pages=self.pages,
            problems=tuple(self._problems.found),
        )

    def _mapped(self) -> Iterator[list[RemoteEntry]]:
        """Pages of the entries that the other side can have."""
        folder = self._folder
        visible: Iterator[list[RemoteEntry]] = (self._visible(rows) for rows in self._ordered())
        if folder is None:
            yield from visible
            return
        pathing = Pathing(folder.names, folder.root, folding_of(folder.root, folder.names), self._problems)
        if folder.names.conflict == "suffix":
            visible = with_conflicts(visible, self._remote.has_below)
        for rows in visible:
            if rows:
                yield pathing.mapped(rows)

    def _ordered(self) -> Iterator[list[RemoteEntry]]:
        """Pages of all entries, in strict order or SyncIncomplete."""
        remote = self._remote
        pages = self._listed()
        try:
            if remote.order == "sort":
                yield from in_order(pages)
                return
            last: str | None = None
            for rows in pages:
                names = [row.name for row in rows]
                if not is_ordered(names, last):
                    if remote.order == "auto":
                        remote.order = "sort"
                    raise SyncIncomplete(
                        f"{remote.url} does not list its keys in their order; another try can sort them (order='sort')"
                    )
                last = names[-1] if names else last
                yield rows
        finally:
            pages.close()

    def _listed(self) -> Generator[list[RemoteEntry], None, None]:
        """Pages of all entries, as they are listed."""
        remote = self._remote
        listing = remote.session.list_objects(remote.prefix or None, bucket=remote.bucket)
        pages = prefetched(listing.pages(), lambda page: page.is_truncated)
        try:
            for page in pages:
                self.pages += 1
                yield self._rows(page)
        finally:
            pages.close()

    def _rows(self, page: ListPage) -> list[RemoteEntry]:
        prefix = self._remote.prefix
        rows = page.entries
        keys = [row.key for row in rows]
        names = keys
        if prefix:
            if not all(key.startswith(prefix) for key in keys):
                raise ProtocolError(f"the listing of {self._remote.url} holds keys that are not below it")
            length = len(prefix)
            names = [key[length:] for key in keys]
        columns = zip(
            names,
            keys,
            [row.size for row in rows],
            [row.etag for row in rows],
            _seconds(rows),
            [row.version_id for row in rows],
            repeat(None),
            strict=False,
        )
        # tuple.__new__ takes a row as it is: a third of the time of RemoteEntry(…).
        make: Callable[..., RemoteEntry] = tuple.__new__
        return list(map(make, repeat(RemoteEntry), columns))

    def _visible(self, rows: list[RemoteEntry]) -> list[RemoteEntry]:
        """The entries of a page that take part."""
        if rows and not rows[0].name:
            # The prefix itself, which stands for the folder.
            rows = rows[1:]
        if any(["s3func" in row.name for row in rows]):  # noqa: C419 -- a list is faster than asking one by one
            rows = [row for row in rows if not OURS.search(row.name)]
        filters = self._filters
        if filters is None:
            return rows
        matches = filters.matches
        rows = [row for row in rows if matches(row.name)]
        if not filters.has_sizes:
            return rows
        taken = []
        for row in rows:
            if filters.takes_size(row.size):
                taken.append(row)
            else:
                message = "its size is outside of what was asked for"
                self._problems.add(Problem(row.name, "filtered", message, is_harmless=True))
        return taken


def _seconds(rows: list[ObjectEntry]) -> list[float]:
    return [0.0 if row.last_modified is None else row.last_modified.timestamp() for row in rows]


def prefetched(pages: Iterator[ListPage], has_more: Callable[[ListPage], bool]) -> Generator[ListPage, None, None]:
    """The same pages; while one is worked on, a thread of its own asks for the next ones.

    Closing the iterator ends the thread, which waits for the answer that is under way.
    """
    first = next(pages, None)
    if first is None:
        return
    yield first
    if not has_more(first):
        # The generator notes behind its last page that it is complete.
        yield from pages
        return
    ready: Queue[ListPage | BaseException | None] = Queue(_PAGES_AHEAD)
    stopped = Event()

    def fetch() -> None:
        last: BaseException | None = None
        try:
            for page in pages:
                ready.put(page)
                if stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 -- raised again where the pages are read
            last = error
        ready.put(last)

    thread = Thread(target=fetch, name="s3func-listing")
    thread.start()
    try:
        while (page := ready.get()) is not None:
            if isinstance(page, BaseException):
                raise page
            yield page
    finally:
        stopped.set()
        # Room for the page that the thread may be about to hand over: behind that one it stops.
        while not ready.empty():
            ready.get_nowait()
        thread.join()
