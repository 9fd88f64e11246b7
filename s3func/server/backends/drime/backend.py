"""A store in Drime's cloud. See the package for what it keeps where, and what it cannot promise."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import NoSuchBucket, NoSuchKey, NoSuchUpload, NoSuchVersion, ServiceError, service_error
from s3func.server.backend import (
    BucketInfo,
    Deleted,
    Deletion,
    Guard,
    ListSlice,
    ObjectAttributes,
    Part,
    StoredObject,
    check_key,
    run_guard,
)
from s3func.server.backends.documents import edited
from s3func.server.backends.drafts import UploadCompletion
from s3func.server.backends.drime.bodies import DrimeCopy, DrimePartWriter, DrimeReader, DrimeWriter
from s3func.server.backends.drime.buckets import Bucket, Buckets
from s3func.server.backends.drime.cache import Cache, Database
from s3func.server.backends.drime.folders import Folders
from s3func.server.backends.drime.locks import KeyLocks
from s3func.server.backends.drime.objects import Found, Objects, record_of, staged_name, stored_of
from s3func.server.backends.drime.service import (
    DEFAULT_API_URL,
    Changed,
    Drime,
    DrimeRefused,
    Entry,
    make_client,
    seconds_of,
)
from s3func.server.backends.drime.spool import BLOCK, Spool, SpooledBody
from s3func.server.backends.drime.uploads import StoredPart, Uploads
from s3func.server.backends.listing import list_slice
from s3func.server.backends.parts import check_parts, multipart_etag, parts_digest
from s3func.server.backends.settings import Setting, SettingValue
from s3func.server.powers import (
    BucketGuard,
    Editable,
    Multipart,
    PartSlice,
    Upload,
    UploadSlice,
)

if TYPE_CHECKING:
    from pydrime import DrimeClient

_log = logging.getLogger("s3func.server.drime")
REFRESH_SECONDS = 30
HASH_MIB = 256
_LOOKS = 20
_SWEPT_AFTER = 24 * 60 * 60.0
# What can stand in the header of a form as it is; everything else is uploaded under another name and renamed.
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}$")


class DrimeBackend(Multipart, Editable):
    """A Backend in a workspace of Drime, which one server at a time should change."""

    SETTINGS: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "api_key",
            "The key of the account, of its developer settings",
            required=True,
            secret=True,
            variable="DRIME_API_KEY",
        ),
        Setting("workspace_id", "The number of the workspace", type=int, variable="DRIME_WORKSPACE_ID", default="0"),
        Setting("api_url", "Where the API is", variable="DRIME_API_URL", default=DEFAULT_API_URL),
        Setting("root_folder", "The folder that the folders of the buckets are in", default="the top of the workspace"),
        Setting("cache_path", "The file of MD5s and metadata", default="below ~/.local/state/s3func/drime"),
        Setting("trash", "Whether what is deleted goes to the trash of Drime", type=bool, default="true"),
        Setting(
            "refresh_seconds",
            "For how long a listing of a folder is used before what others changed is looked for",
            type=int,
            default=str(REFRESH_SECONDS),
        ),
        Setting(
            "hash_mib",
            "Up to which size, in MiB, a body that others uploaded is read for its MD5 when it is asked for",
            type=int,
            default=str(HASH_MIB),
        ),
    )

    @classmethod
    def from_settings(cls, settings: Mapping[str, SettingValue]) -> DrimeBackend:
        """Open the store that settings describe, and ask Drime whether it is there: ServerError where it says no."""
        numbers = {name: _number(settings, name) for name in ("refresh_seconds", "hash_mib", "workspace_id")}
        client = make_client(str(settings["api_key"]), _url(settings))
        backend = cls(
            client,
            workspace_id=numbers["workspace_id"] or 0,
            root_folder=str(settings.get("root_folder", "")),
            cache_path=_path(settings),
            trash=bool(settings.get("trash", True)),
            refresh_seconds=REFRESH_SECONDS if numbers["refresh_seconds"] is None else numbers["refresh_seconds"],
            hash_bytes=(HASH_MIB if numbers["hash_mib"] is None else numbers["hash_mib"]) << 20,
        )
        try:
            backend.list_buckets()
        except BaseException:
            backend.close()
            raise
        return backend

    @classmethod
    def place_of(cls, settings: Mapping[str, SettingValue]) -> str:
        """The URL of the API, the workspace and the folder."""
        folder = settings.get("root_folder")
        place = f"{_url(settings)}, workspace {settings.get('workspace_id', 0)}"
        return f"{place}, folder {folder}" if folder else place

    def __init__(
        self,
        client: DrimeClient,
        *,
        workspace_id: int = 0,
        root_folder: str = "",
        cache_path: str | os.PathLike[str] | None = None,
        trash: bool = True,
        refresh_seconds: float = REFRESH_SECONDS,
        hash_bytes: int = HASH_MIB << 20,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`client` is pydrime's, used from many threads and closed with the store; the rest is as in SETTINGS."""
        self._clock = clock
        self._database = Database(os.fspath(cache_path or default_cache_path()))
        try:
            self._spool = Spool(f"{self._database.path}.uploads")
        except BaseException:
            self._database.close()
            raise
        self._drime = Drime(client, workspace_id, clock, retry_delay=client.retry_delay)
        self._cache = Cache(self._database, self._drime.api_url)
        self._folders = Folders(self._drime, clock, refresh_seconds)
        self._buckets = Buckets(self._drime, self._folders, self._cache, clock, root_folder, trash=trash)
        self._objects = Objects(
            self._drime,
            self._folders,
            self._cache,
            clock,
            self._buckets.holding,
            trash=trash,
            hash_bytes=hash_bytes,
        )
        self._uploads = Uploads(self._database, self._drime.api_url, self._spool)
        self._locks = KeyLocks()
        self._is_swept = False
        self._closed = False

    def create_bucket(self, bucket: str, *, owner: str = "", region: str = "") -> BucketInfo:
        return self._buckets.create(bucket, owner, region)

    def delete_bucket(self, bucket: str) -> None:
        deleted = self._buckets.delete(bucket)
        for folder_id in deleted.folder_ids:
            self._uploads.end_all(folder_id)

    def get_bucket(self, bucket: str) -> BucketInfo:
        return self._buckets.info(bucket)

    def list_buckets(self) -> list[BucketInfo]:
        return self._buckets.all()

    def edit_bucket(
        self, bucket: str, documents: Mapping[str, str | None], guard: BucketGuard | None = None
    ) -> BucketInfo:
        with self._buckets.gate.alone():
            info = self._buckets.info(bucket)
            if guard is not None:
                try:
                    guard(info)
                except ServiceError as error:
                    error.bucket = bucket
                    raise
            return self._buckets.edit(bucket, edited(info.documents, documents))

    def begin_put(self, bucket: str, key: str) -> DrimeWriter:
        check_key(key)
        found = self._buckets.find(bucket)
        return DrimeWriter(self._new_body(key), partial(self._put, found, key))

    def begin_copy(
        self, source_bucket: str, source_key: str, bucket: str, key: str, *, source_version_id: str | None = None
    ) -> DrimeCopy:
        check_key(key)
        target = self._buckets.find(bucket)
        source = self._pinned(source_bucket, source_key, source_version_id)
        return DrimeCopy(
            source.stored(source_key),
            partial(self._copy, source, target, key),
            partial(self._objects.unpin, source.entry),
        )

    def open_object(self, bucket: str, key: str, version_id: str | None = None) -> DrimeReader:
        found = self._pinned(bucket, key, version_id)
        return DrimeReader(
            found.stored(key),
            found.record.parts,
            partial(self._objects.open, found.entry),
            partial(self._objects.unpin, found.entry),
        )

    def head_object(self, bucket: str, key: str, version_id: str | None = None) -> StoredObject:
        return self._found(bucket, key, version_id).stored(key)

    def edit_object(
        self,
        bucket: str,
        key: str,
        documents: Mapping[str, str | None],
        version_id: str | None = None,
        guard: Guard | None = None,
    ) -> StoredObject:
        with self._buckets.gate.shared(), self._locks.of(bucket, key):
            found = self._found(bucket, key, version_id)
            stored = found.stored(key)
            run_guard(guard, stored, bucket, key)
            return self._objects.edit(found, key, edited(stored.documents, documents))

    def delete_object(
        self, bucket: str, key: str, version_id: str | None = None, guard: Guard | None = None, owner: str = ""
    ) -> Deleted:
        check_key(key)
        with self._buckets.gate.shared(), self._locks.of(bucket, key):
            found = self._buckets.find(bucket)
            if version_id not in (None, "null"):
                run_guard(guard, None, bucket, key)
                return Deleted(key, version_id)
            entries = self._folders.files(found.folder_ids, key)
            if guard is not None:
                run_guard(guard, self._current(bucket, key, entries), bucket, key)
            if entries:
                self._objects.remove(entries)
            return Deleted(key, version_id)

    def delete_objects(self, bucket: str, deletions: Sequence[Deletion]) -> list[Deleted | ServiceError]:
        found = self._buckets.find(bucket)
        results: list[Deleted | ServiceError | None] = [None] * len(deletions)
        together: dict[str, list[int]] = {}
        for place, row in enumerate(deletions):
            try:
                check_key(row.key)
                if row.guard is None and row.version_id in (None, "null"):
                    together.setdefault(row.key, []).append(place)
                else:
                    results[place] = self.delete_object(bucket, row.key, row.version_id, row.guard)
            except ServiceError as error:
                results[place] = error
        refused: ServiceError | None = None
        try:
            with self._buckets.gate.shared():
                files = [each for key in together for each in self._folders.files(found.folder_ids, key)]
                self._objects.remove(files)
        except ServiceError as error:
            # Which of them are gone is not known; who asks again loses nothing.
            refused = error
        for key, places in together.items():
            for place in places:
                results[place] = refused or Deleted(key, deletions[place].version_id)
        return [result for result in results if result is not None]

    def list_objects(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", start_after: str = "", limit: int = 1000
    ) -> ListSlice:
        found = self._buckets.find(bucket)
        entries: dict[str, Entry] = {}

        def seek(low: bytes, high: bytes) -> Iterator[StoredObject]:
            for key, files in self._folders.seek(found.folder_ids, low, high):
                entries[key] = files[-1]
                yield StoredObject(key=key, size=0, etag="", last_modified=0.0)

        page = list_slice(seek, prefix, delimiter, start_after, limit)
        rows = self._objects.rows(bucket, [(row.key, entries[row.key]) for row in page.rows])
        return ListSlice(rows, page.common_prefixes, page.next_start_after)

    def create_upload(self, bucket: str, key: str, attributes: ObjectAttributes) -> Upload:
        check_key(key)
        return self._uploads.create(self._buckets.find(bucket).id, bucket, key, attributes, self._now())

    def get_upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        return self._uploads.get(self._buckets.find(bucket).id, bucket, key, upload_id)

    def begin_part(self, bucket: str, key: str, upload_id: str, part_number: int) -> DrimePartWriter:
        if part_number < 1:
            raise ValueError(f"part_number: at least 1, not {part_number}")
        upload = self.get_upload(bucket, key, upload_id)

        def keep(body: SpooledBody, checksums: Mapping[str, str], documents: Mapping[str, str]) -> Part:
            folder_id = self._buckets.find(bucket).id
            return self._uploads.keep(folder_id, bucket, upload, part_number, body, self._now(), checksums, documents)

        return DrimePartWriter(SpooledBody(self._spool, ""), keep)

    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, part_number_marker: int = 0, limit: int = 1000
    ) -> PartSlice:
        return self._uploads.list_parts(self.get_upload(bucket, key, upload_id), part_number_marker, limit)

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
        folder_id = self._buckets.find(bucket).id
        return self._uploads.list(folder_id, prefix, delimiter, key_marker, upload_id_marker, limit)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        with self._locks.of(bucket, key):
            self.get_upload(bucket, key, upload_id)
            self._uploads.end(upload_id)

    def begin_complete(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[tuple[int, str]]
    ) -> UploadCompletion:
        found = self._buckets.find(bucket)
        digest = parts_digest(parts)
        try:
            upload, stored_parts = self._uploads.open(found.id, bucket, key, upload_id)
        except NoSuchUpload:
            done = self._uploads.completed(found.id, key, upload_id, digest, self._now())
            if done is None:
                raise
            return UploadCompletion(lambda *_: done[1], done[0], (), done[1])
        known = {each.part.number: each for each in stored_parts}
        chosen = check_parts(parts, (each.part for each in known.values()), bucket, key)
        publish = partial(self._complete, found, upload, [known[part.number] for part in chosen], digest)
        return UploadCompletion(publish, upload, chosen, None)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._folders.close()
            self._drime.close()
            self._spool.close()
            self._database.close()

    def hash_object(self, bucket: str, key: str) -> bool:
        """Read a body, however large, for its MD5, if that is not known; whether it was read. NoSuchKey."""
        entries = self._entries_of(bucket, key)
        known = self._objects.rows(bucket, [(key, entries[-1])])[0]
        return self._objects.known(bucket, key, entries[-1], is_patient=True).record.etag != known.etag

    def knows(self, bucket: str, key: str) -> bool:
        """Whether the MD5 of an object is known. NoSuchKey."""
        entry = self._entries_of(bucket, key)[-1]
        record = self._cache.get([entry.id]).get(entry.id)
        return record is not None and record.fingerprint == entry.fingerprint and record.md5 != ""

    def _now(self) -> float:
        return round(self._clock.now(), 3)

    def _new_body(self, key: str) -> SpooledBody:
        """A file for a body. It is uploaded under its name, whose extension tells Drime what it is."""
        name = staged_name(key)
        if _PLAIN.fullmatch(name) is None:
            extension = _EXTENSION.search(name)
            name = secrets.token_hex(16) + ("" if extension is None else extension[0])
        return SpooledBody(self._spool, name)

    def _entries_of(self, bucket: str, key: str) -> list[Entry]:
        entries = self._folders.files(self._buckets.find(bucket).folder_ids, key)
        if not entries:
            raise NoSuchKey("The specified key does not exist.", bucket=bucket, key=key)
        return entries

    def _found(self, bucket: str, key: str, version_id: str | None) -> Found:
        check_key(key)
        if version_id not in (None, "null"):
            self._buckets.find(bucket)
            raise NoSuchVersion("The specified version does not exist.", bucket=bucket, key=key)
        for _ in range(_LOOKS):
            try:
                return self._objects.known(bucket, key, self._entries_of(bucket, key)[-1])
            except Changed:
                # The entry is gone or another one, and so is what was seen of its folder.
                continue
        raise Changed(bucket=bucket, key=key)

    def _current(self, bucket: str, key: str, entries: Sequence[Entry]) -> StoredObject | None:
        """The object as a guard is shown it, under the lock of its key."""
        return self._objects.known(bucket, key, entries[-1]).stored(key) if entries else None

    def _pinned(self, bucket: str, key: str, version_id: str | None) -> Found:
        """An object that is not deleted before it is unpinned."""
        for _ in range(_LOOKS):
            found = self._found(bucket, key, version_id)
            if self._objects.pin(found.entry):
                # It may have gone between the look and the pin; behind the pin it stays.
                now = self._folders.files(self._buckets.find(bucket).folder_ids, key)
                if now and now[-1].id == found.entry.id:
                    return found
                self._objects.unpin(found.entry)
        raise Changed(bucket=bucket, key=key)

    def _put(
        self, bucket: Bucket, key: str, body: SpooledBody, attributes: ObjectAttributes, guard: Guard | None
    ) -> StoredObject:
        md5 = body.md5.hex()
        return self._publish(bucket, key, self._upload(key, body), md5, md5, attributes, guard)

    def _upload(self, key: str, body: SpooledBody) -> Entry:
        """Bring a body to Drime, under the name that it will have."""
        holding = self._buckets.holding()
        try:
            entry = self._drime.upload(body.path, holding)
        except ServiceError:
            if self._drime.entry(holding) is not None:
                raise
            # Somebody deleted the folder for it.
            self._folders.forget()
            self._buckets.lose_holding()
            entry = self._drime.upload(body.path, self._buckets.holding())
        self._sweep(seconds_of(entry.updated))
        name = staged_name(key)
        if entry.name == name:
            return entry
        try:
            return self._drime.rename(entry.id, name)
        except ServiceError:
            self._objects.discard(entry)
            raise

    def _publish(
        self,
        bucket: Bucket,
        key: str,
        staged: Entry,
        md5: str,
        etag: str,
        attributes: ObjectAttributes,
        guard: Guard | None,
        parts: Sequence[Part] = (),
        check: Callable[[], None] = lambda: None,
        finish: Callable[[StoredObject], None] = lambda _: None,
    ) -> StoredObject:
        """Make a staged body an object. check: raises to refuse, before the guard is asked. finish: is told of it.

        Both are called under the lock of the key.
        """
        place = (bucket.name, key)
        with self._buckets.gate.shared(), self._locks.of(*place):
            try:
                now = self._buckets.find(bucket.name)
                if bucket.id not in now.folder_ids:
                    raise NoSuchBucket("The specified bucket does not exist.", bucket=bucket.name)
                check()
                former = self._folders.files(now.folder_ids, key)
                if guard is not None:
                    run_guard(guard, self._current(bucket.name, key, former), bucket.name, key)
            except BaseException:
                self._objects.discard(staged)
                raise
            record = record_of(
                staged, self._drime.workspace_id, place, md5, etag, self._now(), attributes, tuple(parts)
            )
            try:
                stored = stored_of(key, self._objects.publish(now.id, key, staged, record, former))
            except DrimeRefused:
                # Somebody may have deleted the bucket at Drime, which raises NoSuchBucket here.
                self._folders.forget()
                self._buckets.find(bucket.name)
                raise
            finish(stored)
            return stored

    def _copy(
        self, source: Found, target: Bucket, key: str, attributes: ObjectAttributes, guard: Guard | None
    ) -> StoredObject:
        record = source.record
        staged = self._objects.stage(source, key) if record.md5 else None
        if staged is not None:
            return self._publish(target, key, staged, record.md5, record.etag, attributes, guard, record.parts)
        body = self._new_body(key)
        try:
            with DrimeReader(source.stored(key), (), partial(self._objects.open, source.entry), lambda: None) as reader:
                while block := reader.read_at(body.size, BLOCK):
                    body.write(block)
            body.finish()
            md5 = body.md5.hex()
            if record.md5 not in ("", md5):
                raise Changed(bucket=target.name, key=key)
            etag = record.etag if record.parts else md5
            return self._publish(target, key, self._upload(key, body), md5, etag, attributes, guard, record.parts)
        finally:
            body.discard()

    def _complete(
        self,
        bucket: Bucket,
        upload: Upload,
        parts: Sequence[StoredPart],
        digest: str,
        attributes: ObjectAttributes,
        guard: Guard | None,
    ) -> StoredObject:
        key, upload_id = upload.key, upload.upload_id

        def check() -> None:
            now = self._uploads.open(bucket.id, bucket.name, key, upload_id)[1]
            if not {each.file for each in parts} <= {each.file for each in now}:
                raise service_error("InvalidPart", "A part was replaced meanwhile.", bucket=bucket.name, key=key)

        def finish(stored: StoredObject) -> None:
            self._uploads.end(upload_id, digest, self._now(), stored)

        body = self._new_body(key)
        try:
            check()
            lost = self._uploads.assemble(parts, body)
            if lost is not None:
                check()
                raise service_error("InvalidPart", f"Part {lost} is damaged.", bucket=bucket.name, key=key)
            body.finish()
            chosen = [each.part for each in parts]
            staged = self._upload(key, body)
            md5, etag = body.md5.hex(), multipart_etag(chosen)
            return self._publish(bucket, key, staged, md5, etag, attributes, guard, chosen, check, finish)
        except NoSuchUpload:
            # Somebody may have completed it with the same parts while we did.
            done = self._uploads.completed(bucket.id, key, upload_id, digest, self._now())
            if done is None:
                raise
            return done[1]
        finally:
            body.discard()

    def _sweep(self, now: float) -> None:
        """Once, with the first upload: remove what killed servers left. now: by Drime's clock, which its times are of."""
        if self._is_swept:
            return
        self._is_swept = True
        self._uploads.sweep(self._clock.now())
        try:
            self._objects.sweep(now - _SWEPT_AFTER)
        except ServiceError:
            # The next server tries again.
            _log.warning("Drime: what killed servers left could not be deleted yet")


def default_cache_path() -> str:
    """Where the cache is if nobody says so: below XDG_STATE_HOME, for what it has of metadata exists nowhere else."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "s3func", "drime", "metadata.db")


def _url(settings: Mapping[str, SettingValue]) -> str:
    return str(settings.get("api_url", DEFAULT_API_URL)).rstrip("/")


def _path(settings: Mapping[str, SettingValue]) -> str | None:
    path = settings.get("cache_path")
    return None if path is None else os.path.abspath(os.path.expanduser(str(path)))


def _number(settings: Mapping[str, SettingValue], name: str) -> int | None:
    value = settings.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} must be a whole number, and not negative")
    return value
