"""Multipart uploads of a gateway are those of the store behind it, under its ids: parts go there one by one.

What a client said at the beginning, and its parts with checksums that the store does not keep, are remembered here, as
long as the gateway runs. After that an upload goes on with what the store says of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import IO, Any

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import InvalidRequest, NoSuchBucket, NoSuchUpload, NotFound, NotImplementedByStore
from s3func.results import PutResult
from s3func.server.backend import Guard, ObjectAttributes, Part, StoredObject, check_key
from s3func.server.backends.drafts import UploadCompletion
from s3func.server.backends.listing import upload_slice
from s3func.server.backends.parts import check_parts, no_such_upload, parts_digest
from s3func.server.backends.session.base import Conditions, SessionBase
from s3func.server.backends.session.bodies import SessionPartWriter
from s3func.server.backends.session.words import (
    UPLOAD_CHECKSUM,
    PartVerbs,
    check_documents,
    seconds_of,
    speaks_s3,
    upload_options,
)
from s3func.server.powers import COMPLETED_SECONDS, PartSlice, Upload, UploadSlice
from s3func.session import Session
from s3func.wire.s3xml_multipart import CompletedPart, PartEntry, UploadEntry

UPLOADS_KNOWN = 10_000
"""How many uploads are remembered, and how many that were completed."""


@dataclass(slots=True)
class _Known:
    """An upload that was begun here: of which bucket, and its parts as they were told."""

    bucket: str
    upload: Upload
    parts: dict[int, Part] = field(default_factory=dict)
    # Held while it is completed, so that whoever asks the same meanwhile is told the same.
    completing: Lock = field(default_factory=Lock)


@dataclass(slots=True)
class _Completed:
    """An upload that was completed here."""

    time: float
    bucket: str
    upload: Upload
    digest: str
    stored: StoredObject


class SessionUploads(SessionBase):
    """`Multipart`."""

    def __init__(self, session: Session, *, bucket: str | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        """As of SessionBase."""
        super().__init__(session, bucket=bucket, clock=clock)
        self._lock = Lock()
        self._uploads: OrderedDict[str, _Known] = OrderedDict()
        self._completed: OrderedDict[str, _Completed] = OrderedDict()

    def create_upload(self, bucket: str, key: str, attributes: ObjectAttributes) -> Upload:
        check_key(key)
        self.get_bucket(bucket)
        options = upload_options(attributes, self._session.capabilities)
        with self._asking(bucket, key):
            begun = self._part_verbs().create_multipart_upload(key, bucket=bucket, **options)
        upload = Upload(
            key=key, upload_id=begun.upload_id, initiated=round(self._clock.now(), 3), attributes=attributes
        )
        with self._lock:
            _remember(self._uploads, upload.upload_id, _Known(bucket, upload))
        return upload

    def get_upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        self.get_bucket(bucket)
        known = self._uploads.get(upload_id)
        if known is not None and (known.bucket, known.upload.key) == (bucket, key):
            return known.upload
        found = self._find_upload(bucket, key, upload_id)
        if found is None:
            raise no_such_upload(bucket, key)
        return found

    def begin_part(self, bucket: str, key: str, upload_id: str, part_number: int) -> SessionPartWriter:
        upload = self.get_upload(bucket, key, upload_id)
        if part_number < 1:
            raise ValueError(f"part_number must be at least 1, not {part_number}")
        return SessionPartWriter(partial(self._put_part, bucket, upload, part_number))

    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, part_number_marker: int = 0, limit: int = 1000
    ) -> PartSlice:
        upload = self.get_upload(bucket, key, upload_id)
        rows: list[Part] = []
        if limit <= 0:
            return PartSlice(upload, rows)
        for part in self._parts(bucket, upload):
            if part.number > part_number_marker:
                if len(rows) == limit:
                    return PartSlice(upload, rows, rows[-1].number)
                rows.append(part)
        return PartSlice(upload, rows)

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
        """As promised, but that an upload that was ended makes its key begin again."""
        self.get_bucket(bucket)
        if limit <= 0:
            return UploadSlice([], [])
        with self._asking(bucket):
            entries = list(self._part_verbs().list_multipart_uploads(prefix or None, bucket=bucket))
        with self._lock:
            known = [self._uploads.get(entry.upload_id) for entry in entries]
        uploads = (
            _upload_of(entry) if here is None else here.upload for entry, here in zip(entries, known, strict=True)
        )
        rows = sorted(uploads, key=lambda upload: (upload.key.encode(), upload.initiated))

        def seek(low: bytes, high: bytes) -> Iterator[Upload]:
            return (row for row in rows if low <= row.key.encode() < high)

        def rest(key: bytes) -> list[Upload]:
            of_key = [row for row in rows if row.key.encode() == key]
            ids = [row.upload_id for row in of_key]
            return of_key[ids.index(upload_id_marker) + 1 :] if upload_id_marker in ids else of_key

        return upload_slice(seek, rest if upload_id_marker else None, prefix, delimiter, key_marker, limit)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        self.get_upload(bucket, key, upload_id)
        with self._lock:
            self._uploads.pop(upload_id, None)
        with self._asking(bucket, key), self._of_upload(bucket, key, upload_id):
            self._part_verbs().abort_multipart_upload(key, upload_id, bucket=bucket)

    def begin_complete(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[tuple[int, str]]
    ) -> UploadCompletion:
        self.get_bucket(bucket)
        digest = parts_digest(parts)
        known = self._uploads.get(upload_id)
        try:
            if before := self._completion_of(bucket, key, upload_id, digest):
                return before
            upload = self.get_upload(bucket, key, upload_id)
            chosen = check_parts(parts, self._named_parts(bucket, upload, parts), bucket, key)
        except NoSuchUpload:
            # Somebody else may have completed it in this very moment.
            if before := self._completion_of(bucket, key, upload_id, digest):
                return before
            raise
        complete = partial(self._complete, bucket, upload, chosen, digest)
        completing = Lock() if known is None else known.completing

        def commit(attributes: ObjectAttributes, guard: Guard | None) -> StoredObject:
            with completing:
                before = self._completion_of(bucket, key, upload_id, digest)
                return complete(attributes, guard) if before is None else before.commit(attributes)

        return UploadCompletion(commit, upload, chosen, None)

    def _completion_of(self, bucket: str, key: str, upload_id: str, digest: str) -> UploadCompletion | None:
        """The completion that answers the same again, where the upload was completed with the same parts lately."""
        before = self._completed.get(upload_id)
        if before is None or (before.bucket, before.upload.key, before.digest) != (bucket, key, digest):
            return None
        if self._clock.now() - before.time > COMPLETED_SECONDS:
            return None
        return UploadCompletion(lambda *_: before.stored, before.upload, (), before.stored)

    def _put_part(
        self,
        bucket: str,
        upload: Upload,
        number: int,
        body: IO[bytes],
        size: int,
        checksums: Mapping[str, str],
        documents: Mapping[str, str],
    ) -> Part:
        if documents:
            raise NotImplementedByStore(f"The store behind this server keeps no {next(iter(documents))} of a part.")
        options: dict[str, Any] = {}
        wanted = upload.attributes.documents.get(UPLOAD_CHECKSUM)
        if wanted is not None and speaks_s3(self._session.capabilities):
            options["checksum"] = wanted.split(" ")[0]
        self.get_bucket(bucket)
        body.seek(0)
        with self._asking(bucket, upload.key), self._of_upload(bucket, upload.key, upload.upload_id):
            sent = self._part_verbs().upload_part(upload.key, upload.upload_id, number, body, bucket=bucket, **options)
        part = Part(
            number=number,
            size=size,
            etag=sent.etag,
            last_modified=round(self._clock.now(), 3),
            checksums=dict(checksums),
        )
        known = self._uploads.get(upload.upload_id)
        if known is not None:
            known.parts[number] = part
        return part

    def _complete(
        self,
        bucket: str,
        upload: Upload,
        parts: Sequence[Part],
        digest: str,
        attributes: ObjectAttributes,
        guard: Guard | None,
    ) -> StoredObject:
        began = upload.attributes
        if (attributes.headers, attributes.metadata) != (began.headers, began.metadata):
            raise NotImplementedByStore("The store behind this server takes attributes when an upload begins.")
        check_documents(attributes.documents, UPLOAD_CHECKSUM)
        # The store knows the checksums of parts by the algorithm that the upload was begun with; others are ours.
        is_asked = UPLOAD_CHECKSUM in began.documents and speaks_s3(self._session.capabilities)
        named = [CompletedPart(part.number, part.etag, part.checksums if is_asked else {}) for part in parts]

        def complete(conditions: Conditions) -> PutResult:
            with self._asking(bucket, upload.key), self._of_upload(bucket, upload.key, upload.upload_id):
                completed: PutResult = self._part_verbs().complete_multipart_upload(
                    upload.key, upload.upload_id, named, bucket=bucket, **conditions
                )
                return completed

        result = self._change(bucket, upload.key, guard, complete)
        size = sum(part.size for part in parts)
        stored = self._written(bucket, upload.key, size, result.etag, attributes, version_id=result.version_id)
        with self._lock:
            _remember(
                self._completed,
                upload.upload_id,
                _Completed(self._clock.now(), bucket, upload, digest, stored),
            )
            self._uploads.pop(upload.upload_id, None)
        return stored

    def _named_parts(self, bucket: str, upload: Upload, parts: Sequence[tuple[int, str]]) -> Iterable[Part]:
        """Where to look for these parts: the store is asked only for what did not pass through here."""
        known = self._uploads.get(upload.upload_id)
        remembered = {} if known is None else dict(known.parts)
        if all(number in remembered and remembered[number].etag == etag.strip('"') for number, etag in parts):
            return remembered.values()
        return self._parts(bucket, upload)

    def _parts(self, bucket: str, upload: Upload) -> Iterator[Part]:
        """Every part of an upload, by number."""
        known = self._uploads.get(upload.upload_id)
        remembered = {} if known is None else known.parts
        is_asked = UPLOAD_CHECKSUM in upload.attributes.documents
        with self._asking(bucket, upload.key), self._of_upload(bucket, upload.key, upload.upload_id):
            for entry in self._part_verbs().list_parts(upload.key, upload.upload_id, bucket=bucket):
                part = remembered.get(entry.part_number)
                is_same = part is not None and (part.etag, part.size) == (entry.etag, entry.size)
                # A checksum that nobody asked for is between the gateway and the store.
                yield part if part is not None and is_same else _part_of(entry, entry.checksums if is_asked else {})

    def _part_verbs(self) -> Any:
        """The session; its keywords are more than those of the protocol, and each store has its own."""
        if not isinstance(self._session, PartVerbs):
            raise NotImplementedByStore("The store behind this server takes no objects in parts.")
        return self._session

    def _find_upload(self, bucket: str, key: str, upload_id: str) -> Upload | None:
        """What the store says of an upload; None where there is none."""
        with self._asking(bucket, key):
            # The key itself comes before all that it is a prefix of.
            for entry in self._part_verbs().list_multipart_uploads(key, bucket=bucket):
                if entry.key != key:
                    break
                if entry.upload_id == upload_id:
                    return _upload_of(entry)
        return None

    @contextmanager
    def _of_upload(self, bucket: str, key: str, upload_id: str) -> Iterator[None]:
        """An id that the store does not know, in whatever way it says so, is an upload that is not there."""
        try:
            yield
        except NoSuchBucket:
            raise
        except (NotFound, InvalidRequest) as error:
            # B2 has one code for an upload that is gone, and for whatever else is wrong with what it was sent.
            is_gone = isinstance(error, NotFound) or error.code == "bad_request"
            if is_gone and self._find_upload(bucket, key, upload_id) is None:
                self.get_bucket(bucket)
                raise no_such_upload(bucket, key) from error
            raise


def _remember(memory: OrderedDict[str, Any], name: str, value: Any) -> None:
    memory[name] = value
    if len(memory) > UPLOADS_KNOWN:
        memory.popitem(last=False)


def _part_of(entry: PartEntry, checksums: Mapping[str, str]) -> Part:
    return Part(
        number=entry.part_number,
        size=entry.size,
        etag=entry.etag,
        last_modified=seconds_of(entry.last_modified),
        checksums=dict(checksums),
    )


def _upload_of(entry: UploadEntry) -> Upload:
    documents = {}
    if entry.checksum_algorithm:
        documents[UPLOAD_CHECKSUM] = f"{entry.checksum_algorithm.lower()} {entry.checksum_type or 'COMPOSITE'}"
    headers = {"x-amz-storage-class": entry.storage_class} if entry.storage_class not in {None, "STANDARD"} else {}
    return Upload(
        key=entry.key,
        upload_id=entry.upload_id,
        initiated=seconds_of(entry.initiated),
        attributes=ObjectAttributes(headers=headers, documents=documents),
    )
