"""Writing: an object appears whole or not at all, no bucket is made by the way, and deletes go a thousand to a request."""

from __future__ import annotations

import os
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK, Callback, NoOpCallback
from fsspec.spec import AbstractFileSystem

from s3func.errors import NotFound, NotSupported, ObjectExists, PreconditionFailed
from s3func.filesystem.bulk import Recorder, Told, ancestors, side_by_side
from s3func.filesystem.files import PendingFile, named
from s3func.filesystem.listings import Listings, note

_SMALL_BYTES = 8 * 1024 * 1024


class Writing(Listings):
    """The part of the filesystem that writes."""

    def pipe_file(self, path: str, value: Any, mode: str = "overwrite", **options: Any) -> None:
        """Bytes into an object. mode="create": FileExistsError when there is one."""
        session, bucket, key = self._object(path)
        self._write(
            path,
            lambda more: session.put_object(key, bytes(value), bucket=bucket, **more),
            mode,
            session,
            key,
            bucket,
            options,
        )

    def put_file(
        self, lpath: Any, rpath: str, callback: Callback = DEFAULT_CALLBACK, mode: str = "overwrite", **options: Any
    ) -> None:
        """A file into an object. SourceChanged when the file is written to meanwhile. A folder is nothing in a store."""
        if os.path.isdir(lpath):
            return
        session, bucket, key = self._object(rpath)
        options.pop("chunksize", None)

        def told(done: int, total: int | None) -> None:
            callback.set_size(total)
            callback.absolute_update(done)

        if not isinstance(callback, NoOpCallback):
            options["progress"] = told
        self._write(
            rpath,
            lambda more: session.upload_file(lpath, key, bucket=bucket, **more),
            mode,
            session,
            key,
            bucket,
            options,
        )

    def pipe(self, path: Any, value: Any = None, **options: Any) -> None:
        """Bytes into an object, or a dict of paths and bytes into as many, side by side."""
        if not isinstance(path, dict):
            self.pipe_file(self._strip_protocol(path), value, **options)
            return
        side_by_side(lambda item: self.pipe_file(item[0], item[1], **options), path.items())

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **options: Any,
    ) -> None:
        """Files into objects, small ones side by side, large ones one by one in parts; names as fsspec has them."""
        recorder = Recorder(self, "put_file")
        AbstractFileSystem.put(recorder, lpath, rpath, recursive=recursive, maxdepth=maxdepth, **options)
        told = Told(callback, len(recorder.pairs))

        def send(pair: tuple[Any, Any, dict[str, Any]]) -> None:
            source, target, more = pair
            with told.branched(source, target) as child:
                self.put_file(source, target, callback=child, **more)

        # A file that is not there is an error of put_file's.
        large = [pair for pair in recorder.pairs if os.path.isfile(pair[0]) and os.path.getsize(pair[0]) > _SMALL_BYTES]
        apart = {id(pair) for pair in large}
        side_by_side(send, [pair for pair in recorder.pairs if id(pair) not in apart])
        for pair in large:
            send(pair)

    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        on_error: str | None = None,
        **options: Any,
    ) -> None:
        """Copies inside the store, side by side; names as fsspec has them. on_error: raise or ignore what is not there."""
        recorder = Recorder(self, "cp_file")
        # mv() of fsspec misspells it.
        on_error = options.pop("onerror", on_error) or ("ignore" if recursive else "raise")
        AbstractFileSystem.copy(recorder, path1, path2, recursive=recursive, maxdepth=maxdepth, **options)
        folders = ancestors(source for source, _, _ in recorder.pairs)

        def make(pair: tuple[Any, Any, dict[str, Any]]) -> None:
            source, target, more = pair
            try:
                self.cp_file(source, target, **more)
            except FileNotFoundError:
                # What lies in a folder was listed; the folder itself is an object only now and then.
                if on_error == "raise" and source not in folders:
                    raise

        side_by_side(make, recorder.pairs)

    def _write(
        self, path: str, put: Any, mode: str, session: Any, key: str, bucket: str, options: dict[str, Any]
    ) -> None:
        if mode not in {"overwrite", "create"}:
            raise ValueError(f"mode must be overwrite or create, not {mode!r}")
        if mode == "create":
            if session.capabilities.conditional_writes:
                options["if_none_match"] = "*"
            elif session.exists(key, bucket=bucket):
                raise FileExistsError(path)
        try:
            put(options)
        except ObjectExists:
            raise
        except PreconditionFailed:
            raise FileExistsError(path) from None
        self.invalidate_cache(path)

    def cp_file(self, path1: str, path2: str, **options: Any) -> None:
        """A copy inside the store, of any size; a folder is nothing there."""
        source, source_bucket, source_key = self._object(path1)
        _, bucket, key = self._object(path2)
        try:
            source.copy_object(source_key, key, source_bucket=source_bucket, dest_bucket=bucket, **options)
        except NotFound:
            if not self.isdir(path1):
                raise FileNotFoundError(path1) from None
        self.invalidate_cache(path2)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Objects, and with recursive all that is below folders: 1,000 to a request. One that is not there is fine."""
        wanted = [path] if isinstance(path, str | os.PathLike) else list(path)
        by_bucket: dict[str, list[str]] = {}
        for place in self.expand_path(wanted, recursive=recursive, maxdepth=maxdepth):
            bucket, key = self._split(place)
            if key:
                by_bucket.setdefault(bucket, []).append(key)
            elif not recursive:
                raise IsADirectoryError(f"{place} is a bucket: delete_bucket() of a session deletes it")
        for bucket, keys in by_bucket.items():
            self.session.delete_objects(keys, bucket=bucket)
            for key in keys:
                self.invalidate_cache(f"{bucket}/{key}")

    def rm_file(self, path: str) -> None:
        """One object; one that is not there is fine."""
        session, bucket, key = self._object(path)
        session.delete_object(key, bucket=bucket)
        self.invalidate_cache(path)

    _rm = rm_file

    def touch(self, path: str, truncate: bool = True, **options: Any) -> None:
        """An empty object; with truncate=False only where there is none."""
        if not truncate and self.exists(path):
            raise NotSupported("the time of an object cannot be changed")
        self.pipe_file(path, b"", **options)

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Nothing: folders are where objects are. FileNotFoundError for a bucket that is not there.

        DuckDB looks into a folder that it has just made: to DuckDB it is empty then, to everybody else it is not there.
        """
        bucket, key = self._split(path)
        if not key and not self.exists(bucket):
            raise FileNotFoundError(f"{bucket}: there is no such bucket; create_bucket() makes one")
        note(self._made, self._strip_protocol(path))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Nothing, as mkdir(). ValueError for a path without a bucket."""
        self._split(path)
        note(self._made, self._strip_protocol(path))

    def rmdir(self, path: str) -> None:
        """Nothing; an empty folder is none. ValueError for a path without a bucket."""
        self._split(path)
        self._made.pop(self._strip_protocol(path), None)

    def create_bucket(self, bucket: str) -> None:
        """The one way to make a bucket."""
        self.session.create_bucket(self._strip_protocol(bucket))

    def _open_to_write(self, path: str, mode: str, options: dict[str, Any], *, autocommit: bool) -> Any:
        """An open file that publishes when it is closed, or at the end of a transaction."""
        session, bucket, key = self._object(path)
        if mode not in {"wb", "xb"}:
            raise NotSupported(f"mode {mode!r}: an object is written whole")
        if mode == "xb" and session.exists(key, bucket=bucket):
            raise FileExistsError(path)
        self.invalidate_cache(path)
        writer = session.open(key, mode, bucket=bucket, **options)
        return named(writer if autocommit else PendingFile(writer), self, path)
