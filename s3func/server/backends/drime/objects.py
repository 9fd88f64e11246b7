"""Objects as entries of Drime: what is said about them, how they are published, and how they go away.

Rule 1: an ETag is the MD5 of the body that Drime has, or no MD5 at all. It is known for what was written through this
        server, as long as the entry is the same to a hair. Otherwise the body is read and hashed when it is asked for,
        up to `hash_bytes`; a larger one, and every one in a listing, has an ETag with "-1" behind it, which clients do
        not take for an MD5.
Rule 2: a body is uploaded into the folder `.s3func`, where it is no object, and becomes one by being moved to its place
        when it is whole: one request. Only then what was there before is deleted. Killed at any instant, there is the
        old object, the new one, or both, of which the newer counts.
Rule 3: what is being read is not deleted but moved to `.s3func` until the reader is closed.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import NamedTuple

from s3func.clock import Clock
from s3func.errors import ServiceError, service_error
from s3func.server.backend import ObjectAttributes, Part, StoredObject
from s3func.server.backends.drime.cache import Cache, Record
from s3func.server.backends.drime.folders import Folders
from s3func.server.backends.drime.locks import KeyLocks
from s3func.server.backends.drime.names import Name, forms_of, pieces_of, split_key
from s3func.server.backends.drime.service import (
    ATTEMPTS,
    Changed,
    Download,
    Drime,
    DrimeMissing,
    DrimeRefused,
    Entry,
    seconds_of,
)
from s3func.server.backends.drime.spool import BLOCK

HOLDING = ".s3func"
"""The folder, beside those of the buckets, of bodies that are no objects yet, or no longer."""

_DELETED_AT_ONCE = 100
_log = logging.getLogger("s3func.server.drime")


class Found(NamedTuple):
    """An object: its entry, and what is said about it."""

    entry: Entry
    record: Record

    def stored(self, key: str) -> StoredObject:
        """As the backend's contract has it."""
        return stored_of(key, self.record)


class Objects:
    """All objects of a workspace, by their entries."""

    def __init__(
        self,
        drime: Drime,
        folders: Folders,
        cache: Cache,
        clock: Clock,
        holding: Callable[[], int],
        *,
        trash: bool,
        hash_bytes: int,
    ) -> None:
        """holding: the id of the folder HOLDING, made when it is asked for."""
        self._drime = drime
        self._folders = folders
        self._cache = cache
        self._clock = clock
        self._holding = holding
        self._trash = trash
        self._hash_bytes = hash_bytes
        self._hashing = KeyLocks()
        self._records = Lock()
        self._pins_lock = Lock()
        self._pins: Counter[int] = Counter()
        self._doomed: set[int] = set()
        self._removing: set[int] = set()

    def known(self, bucket: str, key: str, entry: Entry, *, is_patient: bool = False) -> Found:
        """What is known about an entry. is_patient: also a body larger than `hash_bytes` is read. Changed."""
        is_read = is_patient or entry.size <= self._hash_bytes
        record = self._recorded(entry, with_md5=is_read)
        if record is None and not is_read:
            record = self._opaque(bucket, key, entry)
        if record is not None:
            return Found(entry, record)
        with self._hashing.of(entry.id):
            record = self._recorded(entry, with_md5=True)
            return self._hash(bucket, key, entry) if record is None else Found(entry, record)

    def rows(self, bucket: str, found: Sequence[tuple[str, Entry]]) -> list[StoredObject]:
        """What a listing says; nothing is hashed for it."""
        records = self._cache.get([entry.id for _, entry in found])
        rows = []
        for key, entry in found:
            record = records.get(entry.id)
            if record is None or record.fingerprint != entry.fingerprint:
                record = self._opaque(bucket, key, entry)
            rows.append(stored_of(key, record))
        return rows

    def edit(self, found: Found, key: str, documents: dict[str, str]) -> StoredObject:
        """Replace the documents of an object."""
        old = found.record.attributes
        attributes = ObjectAttributes(
            headers=old.headers,
            metadata=old.metadata,
            checksums=old.checksums,
            documents=documents,
            owner=old.owner,
        )
        record = found.record._replace(attributes=attributes)
        with self._records:
            self._cache.put(record)
        return stored_of(key, record)

    def stage(self, found: Found, key: str) -> Entry | None:
        """A copy of an object's body as the staged body of another key; None where Drime does not make one."""
        holding = self._holding()
        try:
            entry = self._drime.duplicate(found.entry.id, holding)
            if entry.id != found.entry.id and entry.size == found.entry.size:
                return self._drime.rename(entry.id, staged_name(key))
        except ServiceError:
            # Its copying is known to fail at times; the body can be sent again as well.
            return None
        return None

    def publish(self, folder_id: int, key: str, staged: Entry, record: Record, former: Iterable[Entry]) -> Record:
        """Make a staged body the object of a key, below the folder of a bucket, instead of the former entries.

        The caller has the lock of the key. What is raised left everything as it was, as far as Drime tells.
        """
        with self._records:
            self._cache.put(record)
        try:
            entry = self._move_in(folder_id, key, staged)
        except BaseException:
            self.discard(staged)
            raise
        record = record._replace(entry=entry.id, fingerprint=entry.fingerprint)
        with self._records:
            self._cache.put(record)
        self._folders.put(entry)
        old = list(former)
        newer = [each for each in old if each.id > entry.id]
        try:
            self.remove(old)
        except ServiceError:
            if not newer:
                # They are older, and so they are no objects any more. The next change of the key deletes them.
                _log.warning("Drime: what was overwritten could not be deleted yet")
                return record
            # It was sent before what it replaces, which therefore still is the object.
            if any(self._drime.entry(each.id) is not None for each in newer):
                self.discard(entry)
                raise
        return record

    def discard(self, staged: Entry) -> None:
        """Delete a body that was not published, if that is possible."""
        try:
            self._drime.delete([staged.id], forever=True)
        except ServiceError:
            _log.warning("Drime: a body that was not published could not be deleted yet")
        self._folders.drop([staged])
        self._cache.drop([staged.id])

    def remove(self, entries: Sequence[Entry]) -> None:
        """Delete entries; those that are being read once they no longer are."""
        with self._pins_lock:
            read = [each for each in entries if self._pins[each.id]]
            free = [each for each in entries if not self._pins[each.id]]
            self._removing.update(each.id for each in entries)
        self._folders.drop(entries)
        try:
            for start in range(0, len(free), _DELETED_AT_ONCE):
                self._delete([each.id for each in free[start : start + _DELETED_AT_ONCE]])
            if read:
                self._drime.move([each.id for each in read], self._holding())
                with self._pins_lock:
                    self._doomed.update(each.id for each in read)
                    over = [each.id for each in read if not self._pins[each.id]]
                self._bury(over)
        except ServiceError:
            for each in entries:
                self._folders.known(each.parent_id).forget()
            raise
        finally:
            with self._pins_lock:
                self._removing.difference_update(each.id for each in entries)
        # A listing that was under way may have brought them back.
        self._folders.drop(entries)
        self._cache.drop([each.id for each in free])

    def pin(self, entry: Entry) -> bool:
        """Keep a body until `unpin`; False where it is on its way out."""
        with self._pins_lock:
            if entry.id in self._removing or entry.id in self._doomed:
                return False
            self._pins[entry.id] += 1
            return True

    def unpin(self, entry: Entry) -> None:
        """It is no longer read."""
        with self._pins_lock:
            self._pins[entry.id] -= 1
            if self._pins[entry.id] > 0:
                return
            del self._pins[entry.id]
            over = [entry.id] if entry.id in self._doomed else []
        self._bury(over)

    def open(self, entry: Entry, start: int, end: int) -> Download:
        """A part of a body."""
        try:
            return self._drime.open(entry, start, end)
        except DrimeMissing:
            self._folders.known(entry.parent_id).forget()
            raise Changed from None

    def sweep(self, before: float) -> None:
        """Delete what lies in HOLDING since before that time: of servers that were killed."""
        left = [each for each in self._drime.list_folder(self._holding()) if 0 < seconds_of(each.updated) < before]
        with self._pins_lock:
            left = [each for each in left if not self._pins[each.id]]
        if left:
            self._delete([each.id for each in left])

    def _recorded(self, entry: Entry, *, with_md5: bool) -> Record | None:
        """What was written down about an entry as it is."""
        record = self._cache.get([entry.id]).get(entry.id)
        is_right = record is not None and record.fingerprint == entry.fingerprint and (record.md5 or not with_md5)
        return record if is_right else None

    def _hash(self, bucket: str, key: str, entry: Entry) -> Found:
        for _ in range(ATTEMPTS):
            md5 = self._md5(entry)
            now = self._drime.entry(entry.id)
            if now is None:
                self._folders.drop([entry])
                raise Changed
            if now.fingerprint == entry.fingerprint:
                break
            entry = now._replace(parent_id=entry.parent_id)
            self._folders.put(entry)
        else:
            raise Changed
        with self._records:
            record = self._cache.get([entry.id]).get(entry.id)
            if record is not None and not record.md5 and record.fingerprint == entry.fingerprint:
                # Somebody said something about it before its body was read.
                record = record._replace(md5=md5, etag=md5)
            elif record is None or record.md5 != md5:
                record = self._opaque(bucket, key, entry)._replace(md5=md5, etag=md5)
            record = record._replace(fingerprint=entry.fingerprint, bucket=bucket, key=key)
            self._cache.put(record)
        return Found(entry, record)

    def _md5(self, entry: Entry) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        place = failures = 0
        while place < entry.size:
            download = self.open(entry, place, entry.size)
            try:
                while block := download.read(BLOCK):
                    digest.update(block)
                    place += len(block)
            finally:
                download.close()
            failures += place < entry.size
            if failures == ATTEMPTS:
                raise service_error("ServiceUnavailable", "Drime does not send the whole of a body.")
        return digest.hexdigest()

    def _opaque(self, bucket: str, key: str, entry: Entry) -> Record:
        """What can be said without the body."""
        digest = hashlib.md5(f"{entry.id}/{entry.fingerprint}".encode(), usedforsecurity=False).hexdigest()
        return Record(
            entry=entry.id,
            workspace=self._drime.workspace_id,
            bucket=bucket,
            key=key,
            size=entry.size,
            fingerprint=entry.fingerprint,
            md5="",
            etag=f"{digest}-1",
            modified=seconds_of(entry.updated),
            attributes=ObjectAttributes(headers={"content-type": entry.mime} if entry.mime else {}),
        )

    def _move_in(self, folder_id: int, key: str, staged: Entry) -> Entry:
        """Move a staged body to its place; Drime may want another name for it, or the folders may be gone."""
        refused: DrimeRefused | None = None
        name = staged.name
        for attempt in range(3):
            if attempt:
                self._folders.forget()
            if attempt == 2 and (other := forms_of(Name(last_piece(key)))[-1]) != name:
                self._drime.rename(staged.id, other)
            parent_id: int | None = None
            try:
                parent_id = self._folders.make_parent(folder_id, key)
                return self._drime.move([staged.id], parent_id)[0]
            except DrimeRefused as error:
                refused = error
            except ServiceError:
                # The answer may be all that was lost.
                entry = None if parent_id is None else self._drime.entry(staged.id)
                if entry is None or entry.parent_id != parent_id:
                    raise
                return entry
        raise refused or DrimeRefused("Drime does not take the object.")

    def _delete(self, ids: Sequence[int]) -> None:
        try:
            self._drime.delete(ids, forever=not self._trash)
        except DrimeRefused:
            # Of several, one may be gone already.
            for each in ids:
                if self._drime.entry(each) is not None:
                    self._drime.delete([each], forever=not self._trash)

    def _bury(self, ids: Sequence[int]) -> None:
        if not ids:
            return
        try:
            self._delete(ids)
        except ServiceError:
            _log.warning("Drime: what was deleted while it was read could not be deleted yet")
        self._cache.drop(ids)
        with self._pins_lock:
            self._doomed.difference_update(ids)


def stored_of(key: str, record: Record) -> StoredObject:
    """The object of a record."""
    attributes = record.attributes
    return StoredObject(
        key=key,
        size=record.size,
        etag=record.etag,
        last_modified=record.modified,
        headers=dict(attributes.headers),
        metadata=dict(attributes.metadata),
        checksums=dict(attributes.checksums),
        documents=dict(attributes.documents),
        owner=attributes.owner,
    )


def record_of(
    entry: Entry,
    workspace: int,
    place: tuple[str, str],
    md5: str,
    etag: str,
    modified: float,
    attributes: ObjectAttributes,
    parts: tuple[Part, ...] = (),
) -> Record:
    """What is remembered about a body that is to be the object of this bucket and key."""
    kept = ObjectAttributes(
        headers=dict(attributes.headers),
        metadata=dict(attributes.metadata),
        checksums=dict(attributes.checksums),
        documents=dict(attributes.documents),
        owner=attributes.owner,
    )
    return Record(
        entry=entry.id,
        workspace=workspace,
        bucket=place[0],
        key=place[1],
        size=entry.size,
        fingerprint=entry.fingerprint,
        md5=md5,
        etag=etag,
        modified=modified,
        attributes=kept,
        parts=parts,
    )


def last_piece(key: str) -> str:
    """What the file of a key is named after."""
    return pieces_of(split_key(key)[-1])[-1]


def staged_name(key: str) -> str:
    """The name of the file of a key."""
    return forms_of(Name(last_piece(key)))[0]
