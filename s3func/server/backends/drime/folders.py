"""The folders of Drime as they were seen last, and the way from a key to its entries.

Rule 1: what exists is what Drime lists. A listing of a folder is used for `refresh_seconds`, or PATIENCE times as long as
        it took; what this server changes is entered into it at once, what others change is seen with the next one.
Rule 2: Drime may have several files or folders of one name, and of one meaning. Of files the one that was made last,
        which has the greatest id, is the object. Folders are one folder: their contents lie side by side.
Rule 3: a folder is made under a lock of its parent and after a look at the parent, so of many threads one makes it. If
        another program was faster, Drime refuses, and what that one made is taken; if it made one at the same instant,
        there are two of one name, which rule 2 makes one.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import RLock
from typing import NamedTuple

from s3func.clock import Clock
from s3func.errors import ServiceError
from s3func.server.backends.drime.names import Name, forms_of, is_name, meaning_of, pieces_of, split_key
from s3func.server.backends.drime.service import ATTEMPTS, Drime, DrimeRefused, Entry
from s3func.server.backends.listing import AFTER

ENTRIES_KEPT = 500_000
"""Entries of folders that are remembered; beyond that, the folders that were not used for the longest time are not."""

PATIENCE = 10

AHEAD = 8
"""Folders that are listed side by side where a listing goes through many."""

_PATH = re.compile(r"/+")


class _Row(NamedTuple):
    """What a folder has under one name: entries of a file, or the ids of folders."""

    sort_key: bytes
    name: str
    files: list[Entry]
    folders: list[int]


class Folder:
    """One folder, as it was listed at `time` of the monotonic clock; None: not yet, or no longer."""

    def __init__(self, folder_id: int | None) -> None:
        self.id = folder_id
        self.time: float | None = None
        self.seconds = 0.0
        self.fetching = RLock()
        self.making = RLock()
        self._lock = RLock()
        self._entries: dict[int, Entry] = {}
        self._ids: dict[tuple[Name, bool], list[int]] = {}
        self._order: list[_Row] | None = None
        self._log: list[tuple[int, Entry | None]] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self) -> None:
        """A listing is being fetched: remember what is changed until it has come."""
        with self._lock:
            self._log = []

    def end(self, entries: Iterable[Entry] | None, time: float) -> None:
        """It has come, or (None) it has not."""
        with self._lock:
            log, self._log = self._log or [], None
            if entries is None:
                return
            self._clear()
            for entry in entries:
                self._put(entry)
            for entry_id, changed in log:
                self._drop(entry_id)
                if changed is not None:
                    self._put(changed)
            self.time = time

    def forget(self) -> None:
        """Ask again before it is used again; who is using it goes on."""
        self.time = None

    def put(self, entry: Entry) -> None:
        """An entry is in here now."""
        with self._lock:
            self._change(entry.id, entry)

    def drop(self, entry_id: int) -> None:
        """An entry is no longer in here."""
        with self._lock:
            self._change(entry_id, None)

    def find(self, name: Name, *, is_folder: bool) -> list[Entry]:
        """The entries of this meaning, the one that was made last at the end."""
        with self._lock:
            return [self._entries[entry_id] for entry_id in sorted(self._ids.get((name, is_folder), ()))]

    def rest(self) -> list[tuple[str, int]]:
        """The folders with the rest of a long name: how it begins, and their ids."""
        with self._lock:
            return [(name.text, each) for (name, _), ids in self._ids.items() if name.is_more for each in ids]

    def all(self) -> list[Entry]:
        """Everything that is in here, with names that mean nothing."""
        with self._lock:
            return list(self._entries.values())

    def order(self) -> list[_Row]:
        """What is in here in the order of keys, but for `rest`."""
        with self._lock:
            if self._order is None:
                self._order = _rows(
                    (name.text, is_folder, self._entries[each])
                    for (name, is_folder), ids in self._ids.items()
                    if not name.is_more
                    for each in ids
                )
            return self._order

    def _clear(self) -> None:
        self._entries, self._ids, self._order = {}, {}, None

    def _change(self, entry_id: int, entry: Entry | None) -> None:
        if self._log is not None:
            self._log.append((entry_id, entry))
        self._drop(entry_id)
        if entry is not None:
            self._put(entry)

    def _put(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        name = meaning_of(entry.name, is_folder=entry.is_folder)
        if name is not None:
            self._ids.setdefault((name, entry.is_folder), []).append(entry.id)
            self._order = None

    def _drop(self, entry_id: int) -> None:
        entry = self._entries.pop(entry_id, None)
        name = None if entry is None else meaning_of(entry.name, is_folder=entry.is_folder)
        if entry is not None and name is not None:
            ids = self._ids[name, entry.is_folder]
            ids.remove(entry_id)
            if not ids:
                del self._ids[name, entry.is_folder]
            self._order = None


class Folders:
    """All folders of a workspace that were looked at."""

    def __init__(self, drime: Drime, clock: Clock, refresh_seconds: float) -> None:
        self._drime = drime
        self._clock = clock
        self._refresh = refresh_seconds
        self._lock = RLock()
        self._folders: OrderedDict[int | None, Folder] = OrderedDict()
        self._ahead: set[int] = set()
        self._threads = ThreadPoolExecutor(AHEAD - 1, "s3func-drime")

    def listed(self, folder_id: int | None) -> Folder:
        """A folder, listed not too long ago."""
        folder = self.known(folder_id)
        if not self._is_fresh(folder):
            with folder.fetching:
                if not self._is_fresh(folder):
                    self._fetch(folder)
        return folder

    def known(self, folder_id: int | None) -> Folder:
        """A folder, whatever is known about it."""
        with self._lock:
            folder = self._folders.get(folder_id)
            if folder is None:
                folder = self._folders[folder_id] = Folder(folder_id)
            self._folders.move_to_end(folder_id)
            return folder

    def forget(self) -> None:
        """Look at everything again: Drime knows something else than we do."""
        with self._lock:
            for folder in self._folders.values():
                folder.forget()

    def put(self, entry: Entry) -> None:
        """An entry is where it says now."""
        self.known(entry.parent_id).put(entry)

    def drop(self, entries: Iterable[Entry]) -> None:
        """Entries are no longer where they say."""
        for entry in entries:
            self.known(entry.parent_id).drop(entry.id)

    def find_path(self, path: str, *, create: bool) -> int | None:
        """The folder of this path from the top of the workspace, "" for the top itself, which is None; LookupError."""
        found: int | None = None
        for name in filter(None, _PATH.split(path)):
            entries = self.listed(found).find(Name(name), is_folder=True)
            if not entries and not create:
                raise LookupError(name)
            found = entries[0].id if entries else self._make(found, Name(name))
        return found

    def subfolders(self, folder_ids: Sequence[int], text: str) -> list[int]:
        """The folders of this name in these folders, the one that was made first at the beginning."""
        return sorted({each.id for each in self._find(folder_ids, text, is_folder=True)})

    def files(self, folder_ids: Sequence[int], key: str) -> list[Entry]:
        """The files of a key below these folders, the object at the end."""
        *folders, name = split_key(key)
        for text in folders:
            folder_ids = self.subfolders(folder_ids, text)
        return sorted({each.id: each for each in self._find(folder_ids, name, is_folder=False)}.values())

    def make_parent(self, folder_id: int, key: str) -> int:
        """The folder to put an object of this key into, made if it is missing."""
        *folders, name = split_key(key)
        for text in folders:
            *begin, end = pieces_of(text)
            for piece in begin:
                folder_id = self._make(folder_id, Name(piece, is_more=True))
            folder_id = self._make(folder_id, Name(end))
        for piece in pieces_of(name)[:-1]:
            folder_id = self._make(folder_id, Name(piece, is_more=True))
        return folder_id

    def make(self, parent_id: int | None, text: str) -> int:
        """The folder of this name in the parent, made if it is missing."""
        return self._make(parent_id, Name(text))

    def seek(self, folder_ids: Sequence[int], low: bytes, high: bytes) -> Iterator[tuple[str, list[Entry]]]:
        """Keys below these folders with `low <= key < high`, in order, and their entries.

        Looks no further than it is asked, but for folders that come next, which are listed meanwhile.
        """
        stack = [("", *self._rows("", folder_ids, low, high))]
        while stack:
            prefix, rows, place, end = stack.pop()
            if place == end:
                continue
            row = rows[place]
            stack.append((prefix, rows, place + 1, end))
            if row.files:
                key = prefix + row.name
                if low <= key.encode() < high:
                    yield key, row.files
            else:
                self._list_ahead(
                    each for next_row in rows[place + 1 : min(place + AHEAD, end)] for each in next_row.folders
                )
                prefix = f"{prefix}{row.name}/"
                stack.append((prefix, *self._rows(prefix, row.folders, low, high)))

    def close(self) -> None:
        """End the threads that list ahead."""
        self._threads.shutdown(cancel_futures=True)

    def _list_ahead(self, folder_ids: Iterable[int]) -> None:
        for folder_id in folder_ids:
            with self._lock:
                folder = self._folders.get(folder_id)
                if folder_id in self._ahead or (folder is not None and self._is_fresh(folder)):
                    continue
                self._ahead.add(folder_id)
            try:
                self._threads.submit(self._list_one_ahead, folder_id)
            except RuntimeError:
                # The store has been closed; whoever asks will be told.
                return

    def _list_one_ahead(self, folder_id: int) -> None:
        try:
            # Who gets there asks again, and is told what is wrong.
            with suppress(Exception):
                self.listed(folder_id)
        finally:
            with self._lock:
                self._ahead.discard(folder_id)

    def _rows(self, prefix: str, folder_ids: Sequence[int], low: bytes, high: bytes) -> tuple[list[_Row], int, int]:
        """What is at this level, and from where to where something may be between low and high."""
        encoded = prefix.encode()
        if encoded + AFTER <= low or encoded >= high:
            return [], 0, 0
        rows = self._level(folder_ids)
        start, end = 0, len(rows)
        if low.startswith(encoded):
            rest = low[len(encoded) :]
            start = bisect_left(rows, rest, key=lambda row: row.sort_key)
            # The folder before may have keys that are greater.
            if start and not rows[start - 1].files and rest.startswith(rows[start - 1].sort_key):
                start -= 1
        if high.startswith(encoded):
            end = bisect_left(rows, high[len(encoded) :], key=lambda row: row.sort_key)
        return rows, start, max(start, end)

    def _level(self, folder_ids: Sequence[int]) -> list[_Row]:
        folders = [self.listed(each) for each in folder_ids]
        if len(folders) == 1 and not folders[0].rest():
            return folders[0].order()
        return _rows(self._joined("", folders))

    def _joined(self, text: str, folders: Iterable[Folder]) -> Iterator[tuple[str, bool, Entry]]:
        """Everything in these folders, long names put together."""
        for folder in folders:
            for row in folder.order():
                for entry in row.files:
                    if is_name(text + row.name, is_folder=False):
                        yield text + row.name, False, entry
            for entry in folder.all():
                name = meaning_of(entry.name, is_folder=True) if entry.is_folder else None
                if name is None:
                    continue
                if name.is_more:
                    yield from self._joined(text + name.text, [self.listed(entry.id)])
                elif is_name(text + name.text, is_folder=True):
                    yield text + name.text, True, entry

    def _find(self, folder_ids: Sequence[int], text: str, *, is_folder: bool) -> Iterator[Entry]:
        *begin, end = pieces_of(text)
        if begin:
            # One that somebody else made may be longer than ours.
            for each in folder_ids:
                yield from self.listed(each).find(Name(text), is_folder=is_folder)
        for piece in begin:
            folder_ids = [
                found.id
                for each in folder_ids
                for found in self.listed(each).find(Name(piece, is_more=True), is_folder=True)
            ]
        for each in folder_ids:
            yield from self.listed(each).find(Name(end), is_folder=is_folder)

    def _make(self, parent_id: int | None, name: Name) -> int:
        folder = self.known(parent_id)
        with folder.making:
            refused: ServiceError | None = None
            for attempt in range(ATTEMPTS):
                if attempt:
                    # Somebody was faster, or it was made and the answer was lost.
                    folder.forget()
                found = self.listed(parent_id).find(name, is_folder=True)
                if found:
                    return found[0].id
                forms = forms_of(name)
                try:
                    made = self._drime.create_folder(forms[0 if attempt < 2 else -1], parent_id)
                except ServiceError as error:
                    if attempt and not isinstance(error, DrimeRefused):
                        raise
                    refused = error
                    continue
                self.known(made.id).end([], self._clock.monotonic())
                self.put(made._replace(parent_id=parent_id))
                return made.id
            raise refused or DrimeRefused("Drime does not make a folder.")

    def _is_fresh(self, folder: Folder) -> bool:
        if folder.time is None:
            return False
        # A folder that takes long to list would otherwise be listed all the time.
        patience = max(self._refresh, folder.seconds * PATIENCE) if self._refresh else 0.0
        return self._clock.monotonic() - folder.time <= patience

    def _fetch(self, folder: Folder) -> None:
        time = self._clock.monotonic()
        entries: list[Entry] | None = None
        folder.begin()
        try:
            entries = self._drime.list_folder(folder.id)
        finally:
            folder.seconds = self._clock.monotonic() - time
            folder.end(entries, time)
        with self._lock:
            total = sum(map(len, self._folders.values()))
            for other in [*self._folders.values()]:
                if total <= ENTRIES_KEPT:
                    break
                if other is not folder and len(other):
                    total -= len(other)
                    del self._folders[other.id]


def _rows(items: Iterable[tuple[str, bool, Entry]]) -> list[_Row]:
    """(name, is it a folder, entry) put together by name and in the order of keys."""
    found: dict[tuple[str, bool], _Row] = {}
    for name, is_folder, entry in items:
        row = found.get((name, is_folder))
        if row is None:
            row = found[name, is_folder] = _Row(f"{name}/".encode() if is_folder else name.encode(), name, [], [])
        if is_folder:
            row.folders.append(entry.id)
        else:
            row.files.append(entry)
    for row in found.values():
        row.files.sort()
        row.folders.sort()
    return sorted(found.values(), key=lambda row: row.sort_key)
