"""Versions of a gateway are those of the store behind it: switched on there, listed from there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from s3func.errors import NoSuchVersion, NotFound, NotImplementedByStore, ServiceError
from s3func.models import ObjectEntry
from s3func.server.backend import BucketInfo, StoredObject
from s3func.server.backends.session.base import NULL, SessionBase
from s3func.server.backends.session.words import VersioningVerbs, row_of
from s3func.server.powers import BucketGuard, VersionRow, VersionSlice

_PAGE_MAX = 1000


class SessionVersions(SessionBase):
    """`Versioned`."""

    def set_versioning(
        self, bucket: str, status: Literal["Enabled", "Suspended"], guard: BucketGuard | None = None
    ) -> BucketInfo:
        if status not in ("Enabled", "Suspended"):
            raise ValueError(f"status: 'Enabled' or 'Suspended', not {status!r}")
        info = self.get_bucket(bucket)
        if guard is not None:
            try:
                guard(info)
            except ServiceError as error:
                error.bucket = bucket
                raise
        if info.versioning == status:
            return info
        if not isinstance(self._session, VersioningVerbs):
            raise NotImplementedByStore("The store behind this server does not change whether it keeps versions.")
        with self._asking(bucket):
            self._session.put_bucket_versioning(status, bucket=bucket)
        self._seen[bucket] = (self._clock.monotonic(), status)
        return self.get_bucket(bucket)

    def list_object_versions(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        version_id_marker: str = "",
        limit: int = 1000,
    ) -> VersionSlice:
        self.get_bucket(bucket)
        rows: list[VersionRow] = []
        common_prefixes: list[str] = []
        if limit <= 0:
            return VersionSlice(rows, common_prefixes)
        last: VersionRow | str | None = None
        with self._asking(bucket):
            for item in self._items(bucket, prefix, delimiter, key_marker, version_id_marker, limit):
                if len(rows) + len(common_prefixes) == limit:
                    if isinstance(last, VersionRow):
                        return VersionSlice(rows, common_prefixes, last.key, last.stored.version_id)
                    return VersionSlice(rows, common_prefixes, last)
                last = item
                if isinstance(item, VersionRow):
                    rows.append(item)
                else:
                    common_prefixes.append(item)
        return VersionSlice(rows, common_prefixes)

    def _items(
        self, bucket: str, prefix: str, delimiter: str, key_marker: str, version_id_marker: str, limit: int
    ) -> Iterator[VersionRow | str]:
        """What follows the markers, in order."""
        is_folded = bool(delimiter) and delimiter in key_marker[len(prefix) :]
        if key_marker and version_id_marker and key_marker.startswith(prefix) and not is_folded:
            yield from self._rest(bucket, key_marker, version_id_marker)
        listing = self._verbs.list_object_versions(
            prefix or None,
            start_after=key_marker or None,
            delimiter=delimiter or None,
            max_keys=min(limit + 1, _PAGE_MAX),
            bucket=bucket,
        )
        for page in listing.pages():
            items: list[tuple[str, ObjectEntry | None]] = [(entry.key, entry) for entry in page.entries]
            # Some stores report a common prefix again that the place to start after is inside of.
            items += [(each, None) for each in page.common_prefixes if each > key_marker]
            # The order of the versions of a key is the store's.
            for key, entry in sorted(items, key=lambda item: item[0]):
                yield key if entry is None else _version_row(entry)

    def _rest(self, bucket: str, key: str, version_id: str) -> list[VersionRow]:
        """The versions of a key behind this one; all of them if it is gone, so that none is left out.

        A session's listing begins at a key, so what is before is read once more.
        """
        rows: list[VersionRow] = []
        # The key itself comes before all that it is a prefix of.
        for entry in self._verbs.list_object_versions(key, bucket=bucket):
            if entry.key != key:
                break
            rows.append(_version_row(entry))
        ids = [row.stored.version_id for row in rows]
        return rows[ids.index(version_id) + 1 :] if version_id in ids else rows

    def _version(self, bucket: str, key: str, version_id: str) -> StoredObject | None:
        """What a version is, a delete marker included; None where there is none."""
        try:
            return self.head_object(bucket, key, version_id)
        except (NoSuchVersion, NotFound):
            return None
        except ServiceError as error:
            if error.status != 405:
                raise
            return StoredObject(key=key, size=0, etag="", last_modified=0.0, version_id=version_id, delete_marker=True)


def _version_row(entry: ObjectEntry) -> VersionRow:
    row = row_of(entry)
    stored = StoredObject(
        key=row.key,
        size=row.size,
        etag=row.etag,
        last_modified=row.last_modified,
        headers={} if entry.delete_marker else row.headers,
        version_id=entry.version_id or NULL,
        delete_marker=entry.delete_marker,
    )
    return VersionRow(stored, bool(entry.is_latest))
