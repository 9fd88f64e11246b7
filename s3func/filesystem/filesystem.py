"""An fsspec filesystem over a session: pandas, pyarrow, Dask, DuckDB, Zarr and others read and write through it.

    pandas.read_parquet("s3func://bucket/table.parquet", storage_options={"endpoint_url": …})
    fsspec.filesystem("s3func", session=session);  fsspec.filesystem("b2")

1. A path is BUCKET/KEY, and the key is sent as it stands; what fsspec itself takes away is a slash at the end.
2. Nothing is remembered unless use_listings_cache=True says so: what a listing says is passed on, not kept.
3. Nothing is published that was not written to its end; nothing local is replaced by half an object; no bucket is made
   but by create_bucket().
4. A pickle holds the configuration and no secret: whoever unpickles it has the credentials of the place where it runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.registry import register_implementation
from fsspec.spec import AbstractFileSystem
from fsspec.utils import merge_offset_ranges

from s3func.connect import Location, connect
from s3func.errors import NotFound, NotSupported, ObjectExists, PreconditionFailed
from s3func.filesystem.files import PendingFile, cut, existing, named, read_range
from s3func.filesystem.rows import described, folder_row, folders_of, object_row
from s3func.transport.parallel import Crew

__all__ = ["B2FileSystem", "S3FileSystem", "install"]

_RANGES_AT_A_TIME = 16
_GAP_BYTES, _RANGE_BYTES = 64 * 1024, 64 * 1024 * 1024
_SECRETS = ("key", "secret", "token", "session")


def install(protocols: Iterable[str] = ("s3", "s3a")) -> None:
    """Have fsspec use this filesystem for s3:// as well, in this process; until then those are left to s3fs."""
    for protocol in protocols:
        register_implementation(protocol, S3FileSystem, clobber=True)


class S3FileSystem(AbstractFileSystem):
    """S3 for fsspec. Safe for threads and for fork, as its session is."""

    protocol: ClassVar[Any] = ("s3func", "s3", "s3a")
    root_marker = ""
    sep = "/"
    async_impl = False
    blocksize = 8 * 1024 * 1024
    _scheme = "s3"
    _extra_tokenize_attributes = ("_process",)

    def __init__(
        self,
        key: str | None = None,
        secret: str | None = None,
        token: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        anon: bool = False,
        session: Any = None,
        share_secrets: bool = False,
        use_listings_cache: bool = False,
        **options: Any,
    ) -> None:
        """s3fs's names, or a session that there is already; without any, the credentials of the environment.

        share_secrets: let key and secret be pickled with the filesystem; without it that is a TypeError. options:
        `session_options`, a dict of further arguments of the session; others are fsspec's own.
        """
        more = options.pop("session_options", None) or {}
        if options.pop("client_kwargs", None) not in (None, {}):
            raise ValueError("client_kwargs are boto's: give endpoint_url, region and profile themselves")
        super().__init__(use_listings_cache=use_listings_cache, **options)
        self._share_secrets = share_secrets
        self._secrets = {"access_key_id": key, "access_key": secret, "session_token": token}
        settings = {
            "endpoint_url": endpoint_url,
            "region": region,
            "profile": profile,
            "anonymous": anon or None,
            **self._secrets,
            **more,
        }
        self._settings = {name: value for name, value in settings.items() if value is not None}
        self._given = session
        self._sessions: dict[str, Any] = {}

    @property
    def _process(self) -> int:
        # An instance is looked up by its arguments: a fork must not find that of its parent.
        return os.getpid()

    @property
    def fsid(self) -> str:
        """Which store this is, without its secrets."""
        return f"{self.protocol[0]}_{self._settings.get('endpoint_url', '')}"

    def session(self, bucket: str) -> Any:
        """The session that reaches a bucket."""
        if self._given is not None:
            return self._given
        found = self._sessions.get(bucket)
        if found is None:
            # One for all buckets of S3; B2 has keys that are of one bucket only.
            found = self._sessions[bucket] = connect(Location(self._scheme, bucket), **self._settings)
        return found

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list | tuple):
            return [cls._strip_protocol(entry) for entry in path]
        text = os.fspath(path)
        names = (cls.protocol,) if isinstance(cls.protocol, str) else cls.protocol
        for name in names:
            if text.startswith(f"{name}://"):
                text = text[len(name) + 3 :]
                break
        return text.rstrip("/")

    def unstrip_protocol(self, name: str) -> str:
        """The path with the protocol in front."""
        names = (self.protocol,) if isinstance(self.protocol, str) else self.protocol
        return name if any(name.startswith(f"{word}://") for word in names) else f"{names[0]}://{name}"

    def _split(self, path: str) -> tuple[str, str]:
        bucket, _, key = self._strip_protocol(path).partition("/")
        if not bucket:
            raise ValueError("path has no bucket")
        return bucket, key

    def _object(self, path: str) -> tuple[Any, str, str]:
        """Session, bucket and key; IsADirectoryError for a bucket."""
        bucket, key = self._split(path)
        if not key:
            raise IsADirectoryError(f"{path} is a bucket, and no object")
        return self.session(bucket), bucket, key

    # --- What is there

    def info(self, path: str, version_id: str | None = None, **_: Any) -> dict[str, Any]:
        """name, size, type, ETag, LastModified …; one request for an object, two for a folder. FileNotFoundError."""
        bucket, key = self._split(path)
        session = self.session(bucket)
        if not key:
            try:
                session.head_bucket(bucket)
            except NotFound:
                raise FileNotFoundError(path) from None
            return folder_row(bucket)
        if (known := self._info_from_cache(path)) is not None:
            return known
        try:
            head = session.head_object(key, version_id, bucket=bucket)
        except NotFound:
            pass
        else:
            return described(f"{bucket}/{key}", head.size or 0, head.etag, head.last_modified, head.version_id) | {
                "ContentType": head.content_type,
                "metadata": head.user_metadata,
            }
        if next(iter(session.list_objects(f"{key}/", max_keys=1, bucket=bucket)), None) is None:
            raise FileNotFoundError(path)
        return folder_row(f"{bucket}/{key}")

    def _info_from_cache(self, path: str) -> dict[str, Any] | None:
        found = self._ls_from_cache(path) if self.use_listings_cache else None
        name = self._strip_protocol(path)
        return next((entry for entry in found or () if entry["name"] == name), None)

    @property
    def use_listings_cache(self) -> bool:
        """Whether listings are kept, as fsspec's own option says."""
        return bool(getattr(self.dircache, "use_listings_cache", False))

    def ls(self, path: str, detail: bool = True, refresh: bool = False, **_: Any) -> list[Any]:
        """What is directly below a bucket or a prefix, an object itself, or all buckets for ""."""
        name = self._strip_protocol(path)
        if not name:
            found = [folder_row(entry.name) for entry in self.session("").list_buckets()]
        else:
            known = None if refresh or not self.use_listings_cache else self._ls_from_cache(name)
            found = self._ls(name) if known is None else known
            if self.use_listings_cache:
                self.dircache[name] = found
        return found if detail else sorted(entry["name"] for entry in found)

    def _ls(self, name: str) -> list[dict[str, Any]]:
        bucket, key = self._split(name)
        prefix = f"{key}/" if key else ""
        listing = self.session(bucket).list_objects(prefix, delimiter="/", bucket=bucket)
        found = []
        try:
            found = [object_row(bucket, entry) for entry in listing if entry.key != prefix]
        except NotFound:
            raise FileNotFoundError(name) from None
        found += [folder_row(f"{bucket}/{common.rstrip('/')}") for common in listing.common_prefixes]
        if found or not key:
            return sorted(found, key=lambda entry: str(entry["name"]))
        entry = self.info(name)
        return [entry] if entry["type"] == "file" else []

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        prefix: str = "",
        **_: Any,
    ) -> Any:
        """Everything below a path, in one flat listing: one request per 1,000 objects. prefix: of the names below it."""
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        name = self._strip_protocol(path)
        if not name:
            raise ValueError("all buckets at once are not listed: name one")
        bucket, key = self._split(name)
        above = f"{key}/" if key else ""
        session = self.session(bucket)
        try:
            rows = {
                f"{bucket}/{entry.key}": object_row(bucket, entry)
                for entry in session.list_objects(above + prefix, bucket=bucket)
            }
        except NotFound:
            rows = {}
        found = {place: row for place, row in rows.items() if not place.endswith("/")}
        if withdirs:
            found |= {place: folder_row(place) for place in folders_of(rows, len(f"{bucket}/{above}"))}
            if not prefix and found:
                found[name] = folder_row(name)
        if maxdepth is not None:
            depth = f"{bucket}/{above}".count("/") + maxdepth
            found = {place: row for place, row in found.items() if place.count("/") < depth}
        if not found and key and not prefix:
            try:
                row = self.info(name)
            except FileNotFoundError:
                row = {"type": "directory"}
            found = {name: row} if row["type"] == "file" else {}
        ordered = dict(sorted(found.items()))
        return ordered if detail else list(ordered)

    def exists(self, path: str, **options: Any) -> bool:
        """Whether there is such an object, folder or bucket; what else goes wrong is raised, and is not False."""
        try:
            self.info(path, **options)
        except FileNotFoundError:
            return False
        return True

    def created(self, path: str) -> datetime:
        """When the object was written: stores know no other time."""
        return self.modified(path)

    def modified(self, path: str) -> datetime:
        """When the object was written."""
        found = self.info(path)
        if found["type"] != "file":
            raise IsADirectoryError(path)
        moment: datetime = found["LastModified"]
        return moment

    def ukey(self, path: str) -> str:
        """Another text when the content is another."""
        found = self.info(path)
        return f"{found.get('ETag')}-{found.get('size')}"

    def checksum(self, path: str) -> int:
        """The same as a number."""
        import hashlib

        return int(hashlib.sha256(self.ukey(path).encode()).hexdigest()[:15], 16)

    def sign(self, path: str, expiration: int = 100, **options: Any) -> str:
        """A URL that reads the object, for so many seconds; method= for others."""
        session, bucket, key = self._object(path)
        url: str = session.presigned_url(options.pop("method", "GET"), key, expires=expiration, bucket=bucket)
        return url

    # --- Reading

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
        if any(
            begin is None or begin < 0 or stop is None or stop < 0 for begin, stop in zip(begins, stops, strict=True)
        ):
            return [
                self._cat_or_error(path, begin, stop, on_error)
                for path, begin, stop in zip(paths, begins, stops, strict=True)
            ]
        gap = _GAP_BYTES if max_gap is None else max_gap
        merged = merge_offset_ranges(
            list(paths), list(begins), list(stops), max_gap=gap, max_block=_RANGE_BYTES, sort=True
        )
        blocks: dict[tuple[str, int, int], Any] = {}

        def fetch(place: tuple[str, int, int]) -> None:
            blocks[place] = self._cat_or_error(*place, on_error)

        with Crew(_RANGES_AT_A_TIME, name="s3func-range") as crew:
            for place in zip(*merged, strict=True):
                crew.submit(lambda place=place: fetch(place))  # type: ignore[misc]
        return [cut(blocks, path, begin, stop) for path, begin, stop in zip(paths, begins, stops, strict=True)]

    def _cat_or_error(self, path: str, start: int, end: int, on_error: str) -> Any:
        try:
            return self.cat_file(path, start, end)
        except Exception as error:
            if on_error == "return":
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

        progress = None if callback is DEFAULT_CALLBACK else told
        try:
            session.download_file(key, target, bucket=bucket, progress=progress)
        except NotFound:
            if not isinstance(target, str) or not self.isdir(rpath):
                raise FileNotFoundError(rpath) from None
            os.makedirs(target, exist_ok=True)

    # --- Writing

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

        if callback is not DEFAULT_CALLBACK:
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
            self.session(bucket).delete_objects(keys, bucket=bucket)
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
        """Nothing: folders are where objects are. FileNotFoundError for a bucket that is not there."""
        bucket, key = self._split(path)
        if not key and not self.exists(bucket):
            raise FileNotFoundError(f"{bucket}: there is no such bucket; create_bucket() makes one")

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Nothing: folders are where objects are. ValueError for a path without a bucket."""
        self._split(path)

    def rmdir(self, path: str) -> None:
        """Nothing; an empty folder is none. ValueError for a path without a bucket."""
        self._split(path)

    def create_bucket(self, bucket: str) -> None:
        """The one way to make a bucket."""
        self.session(bucket).create_bucket(self._strip_protocol(bucket))

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Any = None,
        **options: Any,
    ) -> Any:
        session, bucket, key = self._object(path)
        for name in ("cache_type", "size", "fill_cache"):
            options.pop(name, None)
        if mode == "rb":
            buffering = -1 if block_size is None else block_size
            file = existing(path, lambda: session.open(key, "rb", bucket=bucket, buffering=buffering, **options))
            file.size = file.result.size
            return named(file, self, path)
        if mode not in {"wb", "xb"}:
            raise NotSupported(f"mode {mode!r}: an object is written whole")
        if mode == "xb" and session.exists(key, bucket=bucket):
            raise FileExistsError(path)
        self.invalidate_cache(path)
        writer = session.open(key, mode, bucket=bucket, **options)
        return named(writer if autocommit else PendingFile(writer), self, path)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget the listings of a path and of what is above it, or all."""
        if path is None:
            self.dircache.clear()
            return
        place = self._strip_protocol(path)
        while place:
            self.dircache.pop(place, None)
            place = self._parent(place) if "/" in place else ""

    # --- Where it goes

    def __reduce__(self) -> Any:
        given = [name for name in _SECRETS if self.storage_options.get(name) is not None]
        if given and not (self._share_secrets and "session" not in given):
            raise TypeError(
                f"a filesystem with {given[0]}= is not pickled: leave the credentials to the environment or a profile, "
                "or allow it with share_secrets=True"
            )
        return super().__reduce__()

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """As fsspec writes it, never with a secret."""
        found: dict[str, Any] = super().to_dict(include_password=False)
        return {name: value for name, value in found.items() if name not in _SECRETS}

    def to_json(self, *, include_password: bool = True) -> str:
        """As fsspec writes it, never with a secret."""
        import json

        return json.dumps(self.to_dict())


class B2FileSystem(S3FileSystem):
    """Backblaze B2's native API for fsspec."""

    protocol: ClassVar[Any] = ("b2",)
    _scheme = "b2"
