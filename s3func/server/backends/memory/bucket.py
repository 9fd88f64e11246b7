"""One bucket in memory: current objects, everything older, and uploads. Used under the lock of the store only.

The current objects are by themselves, so that listing them knows nothing of the past. What is not a current object, be
it an overwritten version or a delete marker, is in `older`, where a marker that comes last means: there is no object.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from s3func.server.backend import BucketInfo, Part, StoredObject
from s3func.server.backends.identity import bucket_identity, new_id, placed
from s3func.server.backends.memory.drafts import Body
from s3func.server.powers import Upload, VersionRow

NULL = "null"


class Version(NamedTuple):
    """One version of a key; without a body it is a delete marker. `serial` rises from version to version."""

    serial: int
    stored: StoredObject
    body: Body | None


class OpenUpload(NamedTuple):
    """An upload and the parts that it has."""

    serial: int
    upload: Upload
    parts: dict[int, tuple[Part, Body]]


class Bucket:
    """Records by key, and the keys in order."""

    __slots__ = ("id", "ids", "info", "keys", "objects", "older", "older_keys", "upload_order", "uploads")

    def __init__(self, info: BucketInfo) -> None:
        self.info = info
        self.id = bucket_identity(info.name, info.created)
        self.ids: dict[str, bytes] = {}
        self.keys: list[bytes] = []
        self.objects: dict[bytes, Version] = {}
        self.older_keys: list[bytes] = []
        self.older: dict[bytes, list[Version]] = {}
        self.uploads: dict[str, OpenUpload] = {}
        self.upload_order: list[tuple[bytes, int, str]] = []

    def current(self, key: bytes) -> StoredObject | None:
        """The object, if there is one."""
        found = self.objects.get(key)
        return None if found is None else found.stored

    def newest(self, key: bytes) -> Version | None:
        """The current version, which may be a delete marker."""
        found = self.objects.get(key)
        if found is None and key in self.older:
            return self.older[key][-1]
        return found

    def find(self, key: bytes, version_id: str) -> Version | None:
        """The version of this id."""
        found = self.objects.get(key)
        if found is not None and (found.stored.version_id or NULL) == version_id:
            return found
        return next((each for each in self.older.get(key, ()) if each.stored.version_id == version_id), None)

    def version_id(self, serial: int, now: float, upload_id: str | None = None) -> str | None:
        """The id of what is written now; upload_id: of the upload that becomes it."""
        if self.info.versioning == "Enabled":
            return upload_id or new_id(serial, self.id, now)
        return NULL if self.info.versioning else None

    def add(self, key: bytes, version: Version) -> None:
        """Make it the current version, and keep of the former ones what the bucket wants kept."""
        if self.info.versioning:
            if version.stored.version_id != NULL:
                self.ids[version.stored.version_id or ""] = key
            if version.stored.version_id == NULL and (null := self.find(key, NULL)) is not None:
                self.remove(key, null)
            former = self.objects.pop(key, None)
            if former is not None:
                self._keep(key, former)
                if version.body is None:
                    del self.keys[bisect_left(self.keys, key)]
            if version.body is None:
                self._keep(key, version)
                return
            if former is None:
                insort(self.keys, key)
        elif key not in self.objects:
            insort(self.keys, key)
        self.objects[key] = version

    def remove(self, key: bytes, version: Version) -> None:
        """Remove one version; the newest that is left is the current one."""
        self.ids.pop(version.stored.version_id or NULL, None)
        older = self.older.get(key, [])
        if self.objects.get(key) is version:
            del self.objects[key]
            del self.keys[bisect_left(self.keys, key)]
        else:
            older.remove(version)
        if key not in self.objects and older and older[-1].body is not None:
            self.objects[key] = older.pop()
            insort(self.keys, key)
        if not older and key in self.older:
            del self.older[key]
            del self.older_keys[bisect_left(self.older_keys, key)]

    def edit(self, key: bytes, version: Version, stored: StoredObject) -> None:
        """Replace the record of one version."""
        edited = version._replace(stored=stored)
        if self.objects.get(key) is version:
            self.objects[key] = edited
        else:
            older = self.older[key]
            older[older.index(version)] = edited

    def name_null_versions(self) -> None:
        """Give everything that was written without versions its id."""
        for key, version in self.objects.items():
            self.objects[key] = version._replace(stored=replace(version.stored, version_id=NULL))

    def seek(self, low: bytes, high: bytes) -> Iterator[StoredObject]:
        """The current objects of these keys."""
        for position in range(bisect_left(self.keys, low), len(self.keys)):
            key = self.keys[position]
            if key >= high:
                return
            yield self.objects[key].stored

    def seek_versions(self, low: bytes, high: bytes) -> Iterator[VersionRow]:
        """All versions of these keys."""
        keys, older_keys = self.keys, self.older_keys
        position, older_position = bisect_left(keys, low), bisect_left(older_keys, low)
        while True:
            key = keys[position] if position < len(keys) else high
            older_key = older_keys[older_position] if older_position < len(older_keys) else high
            least = min(key, older_key)
            if least >= high:
                return
            yield from self.versions_of(least)
            position += key == least
            older_position += older_key == least

    def versions_of(self, key: bytes, before: int | None = None) -> Iterator[VersionRow]:
        """The versions of a key, newest first; with `before` only those that are older than this serial number."""
        newest = self.newest(key)
        current = self.objects.get(key)
        for version in (*([] if current is None else [current]), *reversed(self.older.get(key, ()))):
            if before is None or version.serial < before:
                # Who lists the versions of a bucket that never kept any sees one of each key, called "null".
                stored = version.stored
                named = replace(stored, version_id=NULL) if stored.version_id is None else stored
                yield VersionRow(named, version is newest, placed(named.version_id or NULL, version.serial))

    def add_upload(self, key: bytes, opened: OpenUpload) -> None:
        """Remember an upload."""
        self.uploads[opened.upload.upload_id] = opened
        insort(self.upload_order, (key, opened.serial, opened.upload.upload_id))

    def end_upload(self, key: bytes, opened: OpenUpload) -> None:
        """Forget an upload and its parts."""
        del self.uploads[opened.upload.upload_id]
        del self.upload_order[bisect_left(self.upload_order, (key, opened.serial, opened.upload.upload_id))]

    def seek_uploads(self, low: bytes, high: bytes) -> Iterator[Upload]:
        """The uploads of these keys."""
        return self._uploads_from(bisect_left(self.upload_order, (low,)), high)

    def uploads_of(self, key: bytes, after: int) -> Iterator[Upload]:
        """The uploads of a key that were begun after the one of this serial number."""
        return self._uploads_from(bisect_right(self.upload_order, (key, after, "\U0010ffff")), key + b"\0")

    def _uploads_from(self, position: int, high: bytes) -> Iterator[Upload]:
        for place in range(position, len(self.upload_order)):
            key, _, upload_id = self.upload_order[place]
            if key >= high:
                return
            yield self.uploads[upload_id].upload

    def _keep(self, key: bytes, version: Version) -> None:
        older = self.older.get(key)
        if older is None:
            self.older[key] = [version]
            insort(self.older_keys, key)
        else:
            older.append(version)
