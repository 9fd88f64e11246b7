"""Reading: whole objects, parts of them, open files, and many objects side by side."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from time import monotonic
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK, Callback, NoOpCallback
from fsspec.spec import AbstractFileSystem
from fsspec.utils import merge_offset_ranges

from s3func.errors import NotFound
from s3func.filesystem.bulk import Recorder, Told, ancestors, side_by_side
from s3func.filesystem.callers import is_duckdb, is_pyarrow_inspecting, is_pyarrow_opening
from s3func.filesystem.files import cut, existing, named, read_range
from s3func.filesystem.listings import Listings
from s3func.filesystem.ranged import RangedFile, is_read_in_parts, open_ranged
from s3func.filesystem.rows import described, folder_row

_JUST_SECONDS = 1.0
_LISTED_SECONDS = 60.0
_THREADS_MAX = 1000
_GAP_BYTES, _RANGE_BYTES = 64 * 1024, 64 * 1024 * 1024


class Reading(Listings):
    """The part of the filesystem that reads."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """See StoreFileSystem."""
        super().__init__(*arguments, **options)
        self._handed = threading.local()
        # By thread, but not as its local: what a thread of C++ has of those ends with each of its calls.
        self._rows_of_opened: dict[int, tuple[str, dict[str, Any], float]] = {}

    def info(self, path: str, version_id: str | None = None, **options: Any) -> dict[str, Any]:
        """As it is in Listings. To pyarrow, which opens right away what a dataset consists of, the opened file is the answer."""
        if version_id is None and is_pyarrow_inspecting():
            bucket, key = self._split(path)
            name = f"{bucket}/{key}"
            known = self._info_from_cache(name)
            is_file = name not in self._folders if known is None else known["type"] == "file"
            if is_file and is_read_in_parts(key):
                return self._info_by_opening(path, bucket, key)
        return super().info(path, version_id, **options)

    def _info_by_opening(self, path: str, bucket: str, key: str) -> dict[str, Any]:
        name = f"{bucket}/{key}"
        try:
            file = open_ranged(self.session, bucket, key, None, block_size=self.blocksize, max_gap=self.max_gap)
        except NotFound:
            # Datasets that are folders often have names like that of a file.
            if not self._has_below(bucket, key):
                raise FileNotFoundError(path) from None
            return folder_row(name)
        if file is None:
            return super().info(path)
        now = monotonic()
        for other, (_, when) in list(self._inspected.items()):
            if now - when > _JUST_SECONDS:
                self._inspected.pop(other, None)
        # It is opened for its schema, and once more for its rows; in which threads is not known.
        self._inspected[name] = [file, file.again()], now
        return self._row_of(name, file)

    def _row_of(self, name: str, file: Any) -> dict[str, Any]:
        head = file.result
        return described(name, file.size, head.etag, head.last_modified, head.version_id)

    def isfile(self, path: str) -> bool:
        """Whether it is an object; one request.

        pyarrow asks this right before it opens a file, so to pyarrow the opened file is the answer, and its open() takes it.
        """
        if is_pyarrow_opening():
            name = self._strip_protocol(path)
            opened: Any = self._opened_as_inspected(name) or self._opened_as_listed(name)
            if opened is None:
                try:
                    opened = self._open_to_read(path, {})
                except (FileNotFoundError, IsADirectoryError):
                    return False
            self._handed.file = name, opened
            return True
        try:
            return bool(self.info(path)["type"] == "file")
        except FileNotFoundError:
            return False

    def size(self, path: str) -> Any:
        """Bytes of an object; one request, and none for DuckDB, which asks this of the file that it has just opened."""
        return (self._just_opened(path) or self.info(path))["size"]

    def modified(self, path: str) -> datetime:
        """When the object was written; one request, and none for DuckDB, as size()."""
        found = self._just_opened(path)
        if found is None:
            return super().modified(path)
        moment: datetime = found["LastModified"]
        return moment

    def _just_opened(self, path: str) -> dict[str, Any] | None:
        """What the opening of a file has said, if it was the last thing that this thread did here."""
        name, row, when = self._rows_of_opened.get(threading.get_ident(), ("", {}, 0.0))
        if name != self._strip_protocol(path) or monotonic() - when > _JUST_SECONDS or not is_duckdb():
            return None
        return row

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> Any:
        """The bytes of an object, or of a part of it; negative numbers count from its end. One request."""
        session, bucket, key = self._object(path)
        version = options.get("version_id")
        if (start is None or start == 0) and end is None:
            return existing(path, lambda: session.get_object(key, version, bucket=bucket, stream=False).data)
        if end is None and start is not None and start < 0:
            tail = -start
            return existing(
                path, lambda: session.get_object(key, version, range_end=tail, bucket=bucket, stream=False).data
            )
        if (start is not None and start < 0) or (end is not None and end < 0):
            size = self.info(path)["size"]
            start = max(0, size + start) if start is not None and start < 0 else start
            end = size + end if end is not None and end < 0 else end
        first = start or 0
        if end is not None and end <= first:
            return b""
        last = None if end is None else end - 1
        return existing(path, lambda: read_range(session, key, version, bucket, first, last))

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **options: Any) -> Any:
        """The bytes of an object; of several, or of all below a folder, a dict of them, fetched side by side."""
        if on_error not in {"raise", "omit", "return"}:
            raise ValueError(f"on_error must be raise, omit or return, not {on_error!r}")
        places = self.expand_path(path)
        if recursive:
            # Only objects: a store has nothing at the names of folders.
            places = sorted({found for place in places for found in self.find(place)})
            if not places:
                raise FileNotFoundError(path)
        if len(places) == 1 and not isinstance(path, list | tuple) and places[0] == self._strip_protocol(path):
            return self.cat_file(places[0], **options)
        found: dict[str, Any] = {}

        def fetch(place: str) -> None:
            found[place] = self._cat_or_error(place, None, None, on_error, **options)

        side_by_side(fetch, places)
        return {
            place: found[place] for place in places if on_error != "omit" or not isinstance(found[place], Exception)
        }

    def cat_ranges(
        self,
        paths: Sequence[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
        **_: Any,
    ) -> list[Any]:
        """Many parts of many objects, side by side; those that lie close to each other in one request."""
        count = len(paths)
        begins = list(starts) if isinstance(starts, Iterable) else [starts] * count
        stops = list(ends) if isinstance(ends, Iterable) else [ends] * count
        if not len(begins) == len(stops) == count:
            raise ValueError("paths, starts and ends differ in length")
        wanted = list(zip(paths, begins, stops, strict=True))
        blocks: dict[tuple[str, Any, Any], Any] = {}

        def fetch(place: tuple[str, Any, Any]) -> None:
            blocks[place] = self._cat_or_error(*place, on_error)

        if any(begin is None or begin < 0 or stop is None or stop < 0 for _, begin, stop in wanted):
            side_by_side(fetch, dict.fromkeys(wanted))
            return [blocks[place] for place in wanted]
        gap = _GAP_BYTES if max_gap is None else max_gap
        merged = merge_offset_ranges(
            list(paths), list(begins), list(stops), max_gap=gap, max_block=_RANGE_BYTES, sort=True
        )
        side_by_side(fetch, zip(*merged, strict=True))
        return cut(blocks, wanted)

    def _cat_or_error(self, path: str, start: int | None, end: int | None, on_error: str, **options: Any) -> Any:
        try:
            return self.cat_file(path, start, end, **options)
        except Exception as error:
            if on_error != "raise":
                return error
            raise

    def get_file(self, rpath: str, lpath: Any, callback: Callback = DEFAULT_CALLBACK, **_: Any) -> None:
        """An object into a file, which appears whole, compared, or not at all."""
        if hasattr(lpath, "write"):
            target: Any = lpath
        else:
            target = os.fspath(lpath)
            if os.path.isdir(target) or not self._split(rpath)[1]:
                # The folders of a recursive get() come first, and have nothing in a store.
                os.makedirs(target, exist_ok=True)
                return
            os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
        session, bucket, key = self._object(rpath)

        def told(done: int, total: int | None) -> None:
            callback.set_size(total)
            callback.absolute_update(done)

        progress = None if isinstance(callback, NoOpCallback) else told
        try:
            session.download_file(key, target, bucket=bucket, progress=progress)
        except NotFound:
            if not isinstance(target, str) or not self.isdir(rpath):
                raise FileNotFoundError(rpath) from None
            os.makedirs(target, exist_ok=True)

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **options: Any,
    ) -> None:
        """Objects into files, side by side; names as fsspec has them."""
        recorder = Recorder(self, "get_file")
        AbstractFileSystem.get(recorder, rpath, lpath, recursive=recursive, maxdepth=maxdepth, **options)
        folders = ancestors(source for source, _, _ in recorder.pairs)
        for source, target, _ in recorder.pairs:
            if source in folders:
                os.makedirs(target, exist_ok=True)
        told = Told(callback, len(recorder.pairs))
        told.done(sum(source in folders for source, _, _ in recorder.pairs))

        def fetch(pair: tuple[Any, Any, dict[str, Any]]) -> None:
            source, target, more = pair
            with told.branched(source, target) as child:
                self.get_file(source, target, callback=child, **more)

        side_by_side(fetch, [pair for pair in recorder.pairs if pair[0] not in folders])

    def _open_to_read(self, path: str, options: dict[str, Any]) -> Any:
        """An open file; the one that isfile() has just opened for pyarrow, if that is what this is."""
        waiting, self._handed.file = getattr(self._handed, "file", None), None
        if waiting is not None:
            place, opened = waiting
            if place == self._strip_protocol(path) and not any(options.values()):
                return opened
            opened.close()
        file = self._opened_as_listed(self._strip_protocol(path)) if not any(options.values()) and is_duckdb() else None
        if file is not None:
            row = self._listed[file.path][0]
        else:
            file = named(self._opened(path, options), self, path)
            row = self._row_of(file.path, file)
        if len(self._rows_of_opened) > _THREADS_MAX:
            self._rows_of_opened.clear()
        self._rows_of_opened[threading.get_ident()] = file.path, row, monotonic()
        return file

    def _opened_as_inspected(self, name: str) -> Any:
        """A file that was opened when pyarrow asked about it right before; None for others."""
        files, when = self._inspected.get(name, ([], 0.0))
        if not files or monotonic() - when > _JUST_SECONDS:
            return None
        try:
            return named(files.pop(), self, name)
        except IndexError:  # another thread has taken the last one
            return None

    def _opened_as_listed(self, name: str) -> Any:
        """A file that pyarrow or DuckDB has just listed, opened without a request; None for others.

        pyarrow opens the files of a dataset one after the other and reads them side by side, so it is the reads that ask.
        """
        row, when = self._listed.get(name, (None, 0.0))
        if row is None or monotonic() - when > _LISTED_SECONDS:
            return None
        session, bucket, key = self._object(name)
        file = RangedFile(session, bucket, key, row["size"], block_size=self.blocksize, max_gap=self.max_gap)
        return named(file, self, name)

    def _opened(self, path: str, options: dict[str, Any]) -> Any:
        session, bucket, key = self._object(path)
        block_size = options.pop("block_size", None)
        if is_read_in_parts(key) and options.keys() <= {"version_id"}:
            parts = {"block_size": block_size or self.blocksize, "max_gap": self.max_gap}
            version = options.get("version_id")
            file = existing(path, lambda: open_ranged(session, bucket, key, version, **parts))
            if file is not None:
                return file
        buffering = -1 if block_size is None else block_size
        file = existing(path, lambda: session.open(key, "rb", bucket=bucket, buffering=buffering, **options))
        file.size = file.result.size
        return file
