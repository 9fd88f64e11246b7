"""Buckets as folders of Drime, side by side in one folder or at the top of the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import NamedTuple

from s3func.clock import Clock
from s3func.errors import BucketNotEmpty, NoSuchBucket, ServiceError, service_error
from s3func.server.backend import BucketInfo, check_bucket_name
from s3func.server.backends.drime.cache import BucketRecord, Cache
from s3func.server.backends.drime.folders import Folders
from s3func.server.backends.drime.locks import Gate
from s3func.server.backends.drime.names import Name, meaning_of
from s3func.server.backends.drime.objects import HOLDING
from s3func.server.backends.drime.service import Drime, Entry, seconds_of
from s3func.server.backends.listing import AFTER


class Bucket(NamedTuple):
    """The folders of a bucket; usually it is one. What is new goes into the first."""

    name: str
    folder_ids: tuple[int, ...]

    @property
    def id(self) -> int:
        """The folder that has been there for the longest time."""
        return self.folder_ids[0]


class Buckets:
    """All buckets. gate: changes of objects are inside together, changes of buckets alone."""

    def __init__(
        self, drime: Drime, folders: Folders, cache: Cache, clock: Clock, root_folder: str, *, trash: bool
    ) -> None:
        self.gate = Gate()
        self._drime = drime
        self._folders = folders
        self._cache = cache
        self._clock = clock
        self._root_folder = root_folder
        self._trash = trash
        self._holding: int | None = None
        self._holding_lock = Lock()

    def find(self, bucket: str) -> Bucket:
        """NoSuchBucket."""
        entries = self._entries(bucket)
        if not entries:
            raise NoSuchBucket("The specified bucket does not exist.", bucket=bucket)
        return Bucket(bucket, tuple(entry.id for entry in entries))

    def info(self, bucket: str) -> BucketInfo:
        """The record of a bucket. NoSuchBucket."""
        self.find(bucket)
        return self._info(bucket, self._entries(bucket)[0])

    def all(self) -> list[BucketInfo]:
        """All of them, by name."""
        try:
            root = self._root(create=False)
        except LookupError:
            return []
        found: dict[str, Entry] = {}
        for entry in sorted(self._folders.listed(root).all()):
            name = meaning_of(entry.name, is_folder=True) if entry.is_folder else None
            if name is not None and not name.is_more and _is_bucket_name(name.text):
                found.setdefault(name.text, entry)
        return [self._info(name, found[name]) for name in sorted(found)]

    def create(self, bucket: str, owner: str, region: str) -> BucketInfo:
        """InvalidBucketName, BucketAlreadyExists."""
        check_bucket_name(bucket)
        with self.gate.alone():
            if self._entries(bucket):
                code = "BucketAlreadyOwnedByYou" if self.info(bucket).owner == owner else "BucketAlreadyExists"
                raise service_error(code, "The bucket exists already.", bucket=bucket)
            folder_id = self._folders.make(self._root(create=True), bucket)
            record = BucketRecord(owner, region, round(self._clock.now(), 3), {})
            self._cache.put_bucket(folder_id, record)
            return BucketInfo(bucket, record.created, owner, region)

    def delete(self, bucket: str) -> Bucket:
        """BucketNotEmpty, NoSuchBucket. Drime is asked afresh: a folder goes with all that is in it."""
        with self.gate.alone():
            self._folders.forget()
            found = self.find(bucket)
            entries = self._entries(bucket)
            if next(self._folders.seek(found.folder_ids, b"", AFTER), None) is not None:
                raise BucketNotEmpty("The bucket you tried to delete is not empty", bucket=bucket)
            self._drime.delete(found.folder_ids, forever=not self._trash)
            self._folders.drop(entries)
            for folder_id in found.folder_ids:
                self._cache.drop_bucket(folder_id)
            return found

    def edit(self, bucket: str, documents: Mapping[str, str]) -> BucketInfo:
        """Replace the documents."""
        info = self.info(bucket)
        record = BucketRecord(info.owner, info.region, info.created, documents)
        self._cache.put_bucket(self.find(bucket).id, record)
        return self.info(bucket)

    def holding(self) -> int:
        """The folder for bodies that are no objects."""
        with self._holding_lock:
            if self._holding is None:
                self._holding = self._folders.make(self._root(create=True), HOLDING)
            return self._holding

    def lose_holding(self) -> None:
        """Look for it again before it is used again."""
        with self._holding_lock:
            self._holding = None

    def _root(self, *, create: bool) -> int | None:
        return self._folders.find_path(self._root_folder, create=create)

    def _entries(self, bucket: str) -> list[Entry]:
        if not _is_bucket_name(bucket):
            return []
        try:
            root = self._root(create=False)
        except LookupError:
            return []
        return self._folders.listed(root).find(Name(bucket), is_folder=True)

    def _info(self, bucket: str, entry: Entry) -> BucketInfo:
        record = self._cache.get_bucket(entry.id)
        if record is None:
            return BucketInfo(bucket, seconds_of(entry.created))
        return BucketInfo(bucket, record.created, record.owner, record.region, documents=record.documents)


def _is_bucket_name(bucket: str) -> bool:
    try:
        check_bucket_name(bucket)
    except ServiceError:
        return False
    return True
