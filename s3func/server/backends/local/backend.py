"""A store in a directory: blob files for the bodies, an SQLite index for everything else.

A put writes its body first, syncs it, moves it to its place, and then publishes it in one transaction of the index:
killed at any instant, the store holds the old object or the new one, and at most a blob too many, which the next start
collects. Nothing on disk is ever changed in place, so readers need no lock.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar, cast

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import ServerError, ServiceError
from s3func.server.backend import (
    BucketInfo,
    Deleted,
    Deletion,
    Guard,
    ListSlice,
    ObjectAttributes,
    Part,
    StoredObject,
    check_bucket_name,
    check_key,
)
from s3func.server.backends.local.buckets import Buckets
from s3func.server.backends.local.database import Database
from s3func.server.backends.local.directory import Durability, StoreDirectory
from s3func.server.backends.local.drafts import LocalCompletion, LocalCopy, LocalPartWriter, LocalWriter
from s3func.server.backends.local.objects import Objects
from s3func.server.backends.local.readers import LocalReader, PartsReader, Pins
from s3func.server.backends.local.schema import NewObject, Unused
from s3func.server.backends.local.uploads import Chosen, Uploads
from s3func.server.backends.settings import Setting, SettingValue
from s3func.server.powers import (
    BucketGuard,
    Editable,
    Grouping,
    Identified,
    Located,
    Multipart,
    PartSlice,
    Remembering,
    Upload,
    UploadSlice,
    Versioned,
    VersionSlice,
)

T = TypeVar("T")


class LocalBackend(Versioned, Multipart, Editable, Grouping, Identified, Remembering):
    """A Backend in a directory of its own, which one server at a time may have open; with all powers."""

    reads_at_once = True
    SETTINGS: ClassVar[tuple[Setting, ...]] = (
        Setting("path", "The directory to keep buckets and objects in", required=True),
        Setting(
            "durability",
            "When a put is answered: once it is on the disk, or once the operating system has it, which is faster and "
            "which a power failure may undo",
            choices=("disk", "os"),
            default="disk",
        ),
    )

    @classmethod
    def from_settings(cls, settings: Mapping[str, SettingValue]) -> LocalBackend:
        """Open the store that settings describe. What `LocalBackend` raises."""
        durability = cast("Durability", settings.get("durability", "disk"))
        return cls(cls.place_of(settings), durability=durability)

    @classmethod
    def place_of(cls, settings: Mapping[str, SettingValue]) -> str:
        """The directory."""
        return os.path.abspath(os.path.expanduser(str(settings["path"])))

    def __init__(
        self, path: str | os.PathLike[str], *, durability: Durability = "disk", clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """Open the store, or make one in a new or empty directory. `durability`: see `Durability`.

        ValueError: the directory holds something else, or another version's store. BlockingIOError: it is open already.
        """
        self._directory = StoreDirectory(path, durability)
        try:
            self._database = Database(self._directory.index, durability)
            if self._directory.was_unclean:
                self._directory.collect_orphans(self._database.blobs())
        except BaseException:
            self._directory.close()
            raise
        self._pins = Pins(self._directory.discard)
        self._buckets = Buckets(self._database, clock)
        self._objects = Objects(self._database, self._buckets, clock)
        self._uploads = Uploads(self._database, self._buckets, clock)

    def create_bucket(self, bucket: str, *, owner: str = "", region: str = "") -> BucketInfo:
        check_bucket_name(bucket)
        return self._buckets.create(bucket, owner, region)

    def delete_bucket(self, bucket: str) -> None:
        self._pins.discard(self._buckets.delete(bucket))

    def get_bucket(self, bucket: str) -> BucketInfo:
        return self._buckets.get(bucket).info

    def list_buckets(self) -> list[BucketInfo]:
        return self._buckets.all()

    def edit_bucket(
        self, bucket: str, documents: Mapping[str, str | None], guard: BucketGuard | None = None
    ) -> BucketInfo:
        return self._buckets.edit(bucket, documents, guard)

    def set_versioning(
        self, bucket: str, status: Literal["Enabled", "Suspended"], guard: BucketGuard | None = None
    ) -> BucketInfo:
        if status not in ("Enabled", "Suspended"):
            raise ValueError(f"status: 'Enabled' or 'Suspended', not {status!r}")
        return self._buckets.set_versioning(bucket, status, guard)

    def begin_put(self, bucket: str, key: str) -> LocalWriter:
        check_key(key)
        self._buckets.get(bucket)
        return LocalWriter(partial(self._publish, bucket, key), self._directory.create)

    def begin_copy(
        self, source_bucket: str, source_key: str, bucket: str, key: str, *, source_version_id: str | None = None
    ) -> LocalCopy:
        check_key(key)
        self._buckets.get(bucket)
        source = self.open_object(source_bucket, source_key, source_version_id)
        return LocalCopy(partial(self._publish, bucket, key), self._directory.create, source)

    def open_object(self, bucket: str, key: str, version_id: str | None = None) -> LocalReader | PartsReader:
        missing = None
        while True:
            stored, body = self._objects.find(bucket, key, version_id)
            if body.data is not None:
                return LocalReader(stored, body, -1)
            if body.blob is not None:
                try:
                    return LocalReader(stored, body, self._directory.open(body.blob))
                except FileNotFoundError as error:
                    failure = error
            else:
                assert body.id is not None
                self._pins.pin(body.id)
                try:
                    if rows := self._objects.parts(body.id):
                        return PartsReader(stored, body, rows, self._directory.open, self._pins)
                except BaseException:
                    self._pins.unpin(body.id)
                    raise
                self._pins.unpin(body.id)
                failure = FileNotFoundError("the parts of the body")
            # The object was replaced or deleted between the two steps; look again at what there is now.
            if missing == body.id:
                raise ServerError("The body of the object is lost.", bucket=bucket, key=key) from failure
            missing = body.id

    def head_object(self, bucket: str, key: str, version_id: str | None = None) -> StoredObject:
        return self._objects.head(bucket, key, version_id)

    def edit_object(
        self,
        bucket: str,
        key: str,
        documents: Mapping[str, str | None],
        version_id: str | None = None,
        guard: Guard | None = None,
    ) -> StoredObject:
        return self._objects.edit(bucket, key, documents, version_id, guard)

    def delete_object(
        self, bucket: str, key: str, version_id: str | None = None, guard: Guard | None = None, owner: str = ""
    ) -> Deleted:
        [result] = self.delete_objects(bucket, [Deletion(key, version_id, guard, owner)])
        if isinstance(result, ServiceError):
            raise result
        return result

    def delete_objects(self, bucket: str, deletions: Sequence[Deletion]) -> list[Deleted | ServiceError]:
        return self._settle(lambda: self._objects.delete(bucket, deletions))

    def list_objects(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", start_after: str = "", limit: int = 1000
    ) -> ListSlice:
        return self._objects.page(bucket, prefix, delimiter, start_after, limit)

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
        return self._objects.page_of_versions(bucket, prefix, delimiter, key_marker, version_id_marker, limit)

    def create_upload(self, bucket: str, key: str, attributes: ObjectAttributes) -> Upload:
        return self._uploads.create(bucket, key, attributes)

    def get_upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        return self._uploads.get(bucket, key, upload_id)

    def begin_part(self, bucket: str, key: str, upload_id: str, part_number: int) -> LocalPartWriter:
        if part_number < 1:
            raise ValueError(f"part_number: at least 1, not {part_number}")
        self._uploads.get(bucket, key, upload_id)

        def put_part(part: Part, blob: str) -> Part:
            return self._settle(lambda: self._uploads.put_part(bucket, key, upload_id, part, blob), [blob])

        return LocalPartWriter(put_part, self._directory.create, part_number)

    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, part_number_marker: int = 0, limit: int = 1000
    ) -> PartSlice:
        return self._uploads.list_parts(bucket, key, upload_id, part_number_marker, limit)

    def list_uploads(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        upload_id_marker: str = "",
        limit: int = 1000,
    ) -> UploadSlice:
        return self._uploads.page(bucket, prefix, delimiter, key_marker, upload_id_marker, limit)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        self._pins.discard(self._uploads.abort(bucket, key, upload_id))

    def begin_complete(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[tuple[int, str]]
    ) -> LocalCompletion:
        def publish(chosen: Chosen, attributes: ObjectAttributes, guard: Guard | None) -> StoredObject:
            return self._settle(lambda: self._uploads.complete(bucket, chosen, attributes, guard))

        return LocalCompletion(publish, self._uploads.choose(bucket, key, upload_id, parts))

    def locate(self, identity: str) -> Located:
        return self._objects.locate(identity)

    def recall(self, name: str) -> str | None:
        with self._database.reading() as db:
            row = db.execute("SELECT text FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, name: str, text: str) -> None:
        self._database.run(lambda db: _note(db, name, text))

    def together(self, works: Sequence[Callable[[], Any]]) -> list[Any]:
        return self._database.together(works)

    def close(self) -> None:
        """Close the index and let others open the store."""
        self._database.close()
        if self._pins.is_waiting:
            self._directory.expect_orphans()
        self._directory.close()

    def _publish(
        self, bucket: str, key: str, new: NewObject, guard: Guard | None, blobs: Sequence[str] = ()
    ) -> StoredObject:
        return self._settle(lambda: self._objects.publish(bucket, key, new, guard), blobs)

    def _settle(self, change: Callable[[], tuple[T, list[Unused]]], blobs: Sequence[str] = ()) -> T:
        """Make a change of the index, and remove the files that nobody needs after it: old ones, or the new `blobs`."""
        try:
            result, unused = change()
        except Exception:
            for blob in blobs:
                self._directory.discard(blob)
            raise
        except BaseException:
            # Ctrl-C may arrive when the transaction is already done, so the next start shall see whose the files are.
            self._directory.expect_orphans()
            raise
        if unused:
            # Not before the index has forgotten them for good.
            self._database.afterwards(lambda: self._pins.discard(unused))
        return result


def _note(db: sqlite3.Connection, name: str, text: str) -> None:
    db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, text))
