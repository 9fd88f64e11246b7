"""What is there: info, listings, and what follows from them; see the rules in filesystem.py of what is remembered."""

from __future__ import annotations

from datetime import datetime
from time import monotonic
from typing import Any

from s3func.errors import NotFound
from s3func.filesystem.base import StoreFileSystem
from s3func.filesystem.callers import is_dask, is_duckdb, is_pyarrow_listing
from s3func.filesystem.ranged import is_read_in_parts
from s3func.filesystem.rows import described, folder_row, folders_of, object_row

# Siblings that a name may have between it and its folder in the order of keys: part-0, part.bak, part/.
_SIBLINGS = 100
_FOLDERS_MAX = 10_000
_LISTED_MAX = 200_000
_BREATH_SECONDS = 10.0


class Listings(StoreFileSystem):
    """The part of the filesystem that looks."""

    def info(self, path: str, version_id: str | None = None, **_: Any) -> dict[str, Any]:
        """name, size, type, ETag, LastModified …; one request for an object, two for a folder. FileNotFoundError.

        A folder that was one before takes one request: which question comes first is remembered, and no answer to it.
        """
        bucket, key = self._split(path)
        name = f"{bucket}/{key}"
        if not key:
            try:
                self.session.head_bucket(bucket)
            except NotFound:
                raise FileNotFoundError(path) from None
            return folder_row(bucket)
        if version_id is None and (known := self._info_from_cache(name)) is not None:
            return known
        if version_id is None and name in self._folders and self._is_folder_alone(bucket, key):
            return folder_row(name)
        try:
            head = self.session.head_object(key, version_id, bucket=bucket)
        except NotFound:
            pass
        else:
            return described(name, head.size or 0, head.etag, head.last_modified, head.version_id) | {
                "ContentType": head.content_type,
                "metadata": head.user_metadata,
            }
        if not self._has_below(bucket, key):
            raise FileNotFoundError(path)
        return folder_row(name)

    def _has_below(self, bucket: str, key: str) -> bool:
        """Whether something is below a key."""
        page = next(self.session.list_objects(f"{key}/", max_keys=1, bucket=bucket).pages())
        found = bool(page.entries)
        if found:
            note(self._folders, f"{bucket}/{key}")
        return found

    def _is_folder_alone(self, bucket: str, key: str) -> bool:
        """Whether one request shows that something is below a key, and no object at it."""
        try:
            page = next(self.session.list_objects(key, delimiter="/", max_keys=_SIBLINGS, bucket=bucket).pages())
        except NotFound:
            return False
        return f"{key}/" in page.common_prefixes and all(entry.key != key for entry in page.entries)

    def _info_from_cache(self, name: str) -> dict[str, Any] | None:
        """What a kept listing says; FileNotFoundError where it has no such name."""
        if not self.use_listings_cache:
            return None
        above = self.dircache.get(name.rpartition("/")[0])
        if above is not None:
            for row in above:
                if row["name"] == name:
                    found: dict[str, Any] = row
                    return found
            raise FileNotFoundError(name)
        return folder_row(name) if name in self.dircache else None

    def isdir(self, path: str) -> bool:
        """Whether it is a bucket, or something is below it; one request."""
        name = self._strip_protocol(path)
        if not name:
            return True
        bucket, key = self._split(name)
        try:
            if key and self.use_listings_cache:
                return any(entry["name"] != name for entry in self.ls(name))
            if key:
                return self._has_below(bucket, key)
            return bool(self.info(name)["type"] == "directory")
        except (FileNotFoundError, NotFound):
            return False

    def ls(self, path: str, detail: bool = True, refresh: bool = False, **_: Any) -> list[Any]:
        """What is directly below a bucket or a prefix, an object itself, or all buckets for ""."""
        name = self._strip_protocol(path)
        if not name:
            found = [folder_row(entry.name) for entry in self.session.list_buckets()]
        else:
            known = None if refresh or not self.use_listings_cache else self.dircache.get(name)
            found = self._ls(name) if known is None else known
        return found if detail else sorted(entry["name"] for entry in found)

    def _ls(self, name: str) -> list[dict[str, Any]]:
        bucket, key = self._split(name)
        prefix = f"{key}/" if key else ""
        listing = self.session.list_objects(prefix, delimiter="/", bucket=bucket)
        found = []
        try:
            found = [object_row(bucket, entry) for entry in listing if entry.key != prefix]
        except NotFound:
            raise FileNotFoundError(name) from None
        found += [folder_row(f"{bucket}/{common.removesuffix('/')}") for common in listing.common_prefixes]
        if found or not key:
            found.sort(key=lambda entry: str(entry["name"]))
            self.dircache[name] = found
            return found
        try:
            entry = self.info(name)
        except FileNotFoundError:
            if name in self._made and is_duckdb():
                return []
            raise
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
        if maxdepth == 1 and not prefix:
            # What lies deeper is folded by the store, and need not travel.
            rows = {row["name"]: row for row in self._children(name)}
            found = rows if withdirs else {place: row for place, row in rows.items() if row["type"] == "file"}
        else:
            rows = self._rows_below(bucket, above + prefix)
            found = {place: row for place, row in rows.items() if not place.endswith("/")}
            if withdirs:
                found |= {place: folder_row(place) for place in folders_of(rows, len(f"{bucket}/{above}"))}
            if not prefix and self.use_listings_cache:
                self._keep(name, rows)
        if maxdepth is not None:
            depth = f"{bucket}/{above}".count("/") + maxdepth
            found = {place: row for place, row in found.items() if place.count("/") < depth}
        if withdirs and not prefix and found:
            found[name] = folder_row(name)
        if not found and key and not prefix and maxdepth != 1:
            found = self._itself(name)
        ordered = dict(sorted(found.items()))
        if is_pyarrow_listing() or is_duckdb():
            self._note_listed(ordered)
        elif is_dask():
            now = monotonic()
            self._listed_for_dask = {place: (_ukey(row), now) for place, row in ordered.items()}
        return ordered if detail else list(ordered)

    def _note_listed(self, rows: dict[str, dict[str, Any]]) -> None:
        """Keep what pyarrow or DuckDB opens next; the first bytes of a file prove its size."""
        now = monotonic()
        found = {name: (row, now) for name, row in rows.items() if row["size"] and is_read_in_parts(name)}
        if len(self._listed) + len(found) > _LISTED_MAX:
            self._listed.clear()
        if len(found) <= _LISTED_MAX:
            self._listed.update(found)

    def _children(self, name: str) -> list[dict[str, Any]]:
        try:
            return self.ls(name)
        except FileNotFoundError:
            return []

    def _rows_below(self, bucket: str, prefix: str) -> dict[str, dict[str, Any]]:
        try:
            return {
                f"{bucket}/{entry.key}": object_row(bucket, entry)
                for entry in self.session.list_objects(prefix, bucket=bucket)
            }
        except NotFound:
            return {}

    def _itself(self, name: str) -> dict[str, dict[str, Any]]:
        try:
            row = self.info(name)
        except FileNotFoundError:
            return {}
        return {name: row} if row["type"] == "file" else {}

    def _keep(self, name: str, rows: dict[str, dict[str, Any]]) -> None:
        """Put a whole flat listing into the cache, folder by folder."""
        folders: dict[str, list[dict[str, Any]]] = {name: []} if rows else {}
        for place in folders_of(rows, len(name) + 1):
            folders[place] = []
            folders[place.rpartition("/")[0]].append(folder_row(place))
        for place, row in rows.items():
            if not place.endswith("/"):
                folders[place.rpartition("/")[0]].append(row)
        for place, found in folders.items():
            self.dircache[place] = found

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
        """Another text when the content is another; to Dask that of the listing that it has just made, once."""
        if self._listed_for_dask and is_dask():
            text, when = self._listed_for_dask.pop(self._strip_protocol(path), ("", 0.0))
            if monotonic() - when < _BREATH_SECONDS:
                return text
        return _ukey(self.info(path))

    def checksum(self, path: str) -> int:
        """The same as a number."""
        import hashlib

        return int(hashlib.sha256(self.ukey(path).encode()).hexdigest()[:15], 16)

    def metadata(self, path: str, version_id: str | None = None) -> dict[str, str]:
        """What the object was written with: `open(path, "wb", metadata={…})`. FileNotFoundError."""
        session, bucket, key = self._object(path)
        try:
            found: dict[str, str] = session.head_object(key, version_id, bucket=bucket).user_metadata
        except NotFound:
            raise FileNotFoundError(path) from None
        return found

    def object_version_info(self, path: str) -> list[dict[str, Any]]:
        """The versions of an object, the newest first; those that say that it was deleted have IsDeleteMarker."""
        session, bucket, key = self._object(path)
        return [
            object_row(bucket, entry)
            | {"VersionId": entry.version_id, "IsLatest": entry.is_latest, "IsDeleteMarker": entry.delete_marker}
            for entry in session.list_object_versions(key, bucket=bucket)
            if entry.key == key
        ]

    def sign(self, path: str, expiration: int = 100, **options: Any) -> str:
        """A URL that reads the object, for so many seconds; method= for others."""
        session, bucket, key = self._object(path)
        url: str = session.presigned_url(options.pop("method", "GET"), key, expires=expiration, bucket=bucket)
        return url


def _ukey(row: dict[str, Any]) -> str:
    return f"{row.get('ETag')}-{row.get('size')}"


def note(names: dict[str, None], name: str) -> None:
    if len(names) >= _FOLDERS_MAX:
        names.clear()
    names[name] = None
