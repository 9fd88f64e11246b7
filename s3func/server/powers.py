"""The optional powers of a store: versions, multipart uploads, and editing what is said about an object or a bucket.

`isinstance(backend, Versioned)` and so on; a store has all of a power or none of it. The rules of backend.py hold here
as well: a call that raises has changed nothing, and guards are called under the lock or transaction that publishes.

`Versioned`
1.  While `BucketInfo.versioning` is "Enabled", a commit gives the object a version id that nobody can guess, and keeps
    what was there. While it is "Suspended", the version is called "null" and replaces the former "null" version, be it
    an object or a marker; others are kept. What was written while it was "" is the "null" version from then on.
2.  `delete_object` without a version then leaves a delete marker, also where there was nothing: with an id of its own
    when Enabled, as the "null" version (replacing the former one) when Suspended. With a version it removes exactly
    that one, object or marker, and the newest that is left is the current one.
3.  Reading a key whose current version is a marker is NoSuchKey, reading a marker by its id is MethodNotAllowed (405);
    both carry the headers of `deleted_error`. Copying from a marker and editing one likewise.
4.  Newest is what was committed last; clocks have no say. Listing the current objects costs no more for having a past.
5.  A bucket is empty when it has neither versions nor markers.

`Multipart`
1.  An upload belongs to its bucket and key; under any other, or once it was completed or aborted, it is NoSuchUpload.
    It outlives the server; deleting the bucket aborts it, for it does not make a bucket full.
2.  A part is written like an object, and replaces the part of the same number. What is written is not visible before
    the completion, which is one more guarded commit: whole or not at all, and without moving the bytes of the parts.
3.  The object keeps its parts (`ObjectReader.parts`), and so do its copies; parts that it does not use are freed.
4.  Completing an upload again, with the same parts, within `COMPLETED_SECONDS` answers what the first time answered.
5.  The HTTP side checks what is S3's taste: part numbers of 1 to `PART_NUMBER_MAX`, the least size of a part
    (EntityTooSmall: `Completion.parts` has the sizes), checksums. UploadPartCopy is a reader poured into a PartWriter:
    the bytes have to be read for the part's MD5 in any case.

`Editable`
1.  Documents are replaced by name, under a guard, without a new version, ETag or time.
2.  A store without this power refuses a commit with documents (NotImplemented), for nobody could read or change them.

`Tagged`
1.  A store that edits nothing else may have this alone: the document "tagging" of one version of an object is replaced.

`Identified`
1.  Ids of versions, markers and uploads are unique in the store, so that one can be found without its bucket and key.
    The version that an upload becomes in a bucket that keeps versions has the upload's id. "null" is nobody's id.

`Grouping`
1.  `together` does several pieces of work one after the other in the calling thread, and makes the changes of all of
    them visible and durable at once, when it returns; what they answer is true only then.
2.  When it raises, none of them has changed anything.

`Remembering`
1.  A document of the server's own, which is about no bucket, outlives the server; it is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, runtime_checkable

from s3func.errors import NoSuchKey, ServiceError, service_error
from s3func.server.backend import (
    Backend,
    BucketInfo,
    Draft,
    Guard,
    ObjectAttributes,
    Part,
    StoredObject,
)
from s3func.wire.encoding import http_date

PART_NUMBER_MAX = 10_000
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

COMPLETED_SECONDS = 24 * 60 * 60
"""How long a completed upload is remembered, so that a client whose answer was lost may ask again."""

BucketGuard = Callable[[BucketInfo], None]
"""Is shown the bucket as it is, just before the change is published; raises to refuse."""


class VersionRow(NamedTuple):
    """One row of a listing of versions: an object or a delete marker, whose `version_id` is never None."""

    stored: StoredObject
    is_latest: bool
    marker: str | None = None
    """What says that a page ended here, where the version's id alone does not say it for ever."""

    @property
    def key(self) -> str:
        """The key that this is a version of."""
        return self.stored.key


@dataclass(frozen=True, slots=True)
class VersionSlice:
    """One page of versions. The two markers are what to pass for the next page, both None on the last one.

    `next_version_id_marker` alone is None where the page ends with a common prefix, which is then the key marker.
    """

    rows: list[VersionRow]
    common_prefixes: list[str]
    next_key_marker: str | None = None
    next_version_id_marker: str | None = None

    @property
    def is_truncated(self) -> bool:
        """Whether more rows or common prefixes follow."""
        return self.next_key_marker is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart upload. initiated: seconds since the epoch. attributes: what the object is to have."""

    key: str
    upload_id: str
    initiated: float
    attributes: ObjectAttributes


@dataclass(frozen=True, slots=True)
class UploadSlice:
    """One page of uploads; the markers as in `VersionSlice`."""

    rows: list[Upload]
    common_prefixes: list[str]
    next_key_marker: str | None = None
    next_upload_id_marker: str | None = None

    @property
    def is_truncated(self) -> bool:
        """Whether more rows or common prefixes follow."""
        return self.next_key_marker is not None


@dataclass(frozen=True, slots=True)
class PartSlice:
    """One page of the parts of an upload. `next_part_number_marker`: what to pass for the next page, None on the last."""

    upload: Upload
    rows: list[Part]
    next_part_number_marker: int | None = None

    @property
    def is_truncated(self) -> bool:
        """Whether more parts follow."""
        return self.next_part_number_marker is not None


class PartWriter(Protocol):
    """A part being written: an ObjectWriter but for what it becomes."""

    @property
    def size(self) -> int:
        """Bytes written so far."""

    @property
    def md5(self) -> bytes:
        """The MD5 digest (16 bytes) of what was written so far."""

    def write(self, block: bytes | bytearray | memoryview) -> None:
        """Append a block; it is used up when the call returns."""

    def commit(self, checksums: Mapping[str, str] = ..., documents: Mapping[str, str] = ...) -> Part:
        """Make it the upload's part of this number, replacing a former one. NoSuchUpload (it was ended meanwhile)."""

    def abort(self) -> None:
        """Throw the bytes away; without effect after a commit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Completion(Draft, Protocol):
    """An upload about to become an object: check `parts`, then `commit(upload.attributes, guard)` or with others.

    The commit raises InvalidPart where a part was replaced since the beginning, NoSuchUpload where the upload was ended.
    """

    @property
    def upload(self) -> Upload:
        """The upload."""

    @property
    def parts(self) -> Sequence[Part]:
        """The parts that were named, in order; () where the upload is completed already."""

    @property
    def completed(self) -> StoredObject | None:
        """What it became, where it is completed already: `commit` then answers the same, and asks no guard."""


@runtime_checkable
class Versioned(Protocol):
    """Keeps what is overwritten and deleted, if the bucket wants it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html
    """

    def set_versioning(
        self, bucket: str, status: Literal["Enabled", "Suspended"], guard: BucketGuard | None = None
    ) -> BucketInfo:
        """Switch; what is stored already stays as it is. ValueError for any other status."""

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
        """At most `limit` versions, markers and common prefixes together: in key order, newest first within a key.

        Goes on behind `key_marker`, or inside that key behind `version_id_marker` (ignored without a key; a version
        that is gone may be named; a "null" one that is gone makes the key begin again; InvalidArgument for what is no id
        of this store's). Otherwise as `list_objects`.
        """


@runtime_checkable
class Multipart(Protocol):
    """Takes objects in parts.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
    """

    def create_upload(self, bucket: str, key: str, attributes: ObjectAttributes) -> Upload:
        """Begin an upload, under an id that nobody can guess. Raises what `check_key` raises."""

    def get_upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """The upload. NoSuchUpload."""

    def begin_part(self, bucket: str, key: str, upload_id: str, part_number: int) -> PartWriter:
        """Begin a part. NoSuchUpload; ValueError for a part number below 1."""

    def list_parts(
        self, bucket: str, key: str, upload_id: str, *, part_number_marker: int = 0, limit: int = 1000
    ) -> PartSlice:
        """At most `limit` parts by number, each greater than the marker. NoSuchUpload."""

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
        """At most `limit` uploads and common prefixes together: in key order, oldest first within a key.

        Goes on behind `key_marker`, or inside that key behind `upload_id_marker` (ignored without a key; an upload that
        was ended may be named; InvalidArgument for what is no id of this store's). Otherwise as `list_objects`.
        """

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """End the upload and free its parts. NoSuchUpload."""

    def begin_complete(self, bucket: str, key: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> Completion:
        """Begin the completion with these (part number, ETag with or without quotes).

        NoSuchUpload; InvalidPartOrder (numbers must rise); InvalidPart (no such part, or another ETag); InvalidRequest
        (no part at all).
        """


class Located(NamedTuple):
    """Where an id leads. is_upload: to a multipart upload that is under way, and not to a version or a marker."""

    bucket: str
    key: str
    is_upload: bool = False


@runtime_checkable
class Identified(Protocol):
    """Finds things by their ids alone, as B2 names them."""

    def locate(self, identity: str) -> Located:
        """Where the version, the delete marker or the upload of this id is. NoSuchVersion."""


@runtime_checkable
class Grouping(Backend, Protocol):
    """A store whose changes cost less when they are made together: one wait for the disk, one transaction."""

    def together(self, works: Sequence[Callable[[], Any]]) -> list[Any]:
        """Do all of the works, which raise nothing, and return what they returned; ServerError."""


@runtime_checkable
class Remembering(Protocol):
    """Keeps what the server itself has to know when it is started again."""

    def recall(self, name: str) -> str | None:
        """The document of this name, None where there is none."""

    def remember(self, name: str, text: str) -> None:
        """Keep a document in place of the one of this name; ServerError."""


@runtime_checkable
class Editable(Protocol):
    """Changes the documents of what is stored. They are read with `head_object` and `get_bucket`."""

    def edit_object(
        self,
        bucket: str,
        key: str,
        documents: Mapping[str, str | None],
        version_id: str | None = None,
        guard: Guard | None = None,
    ) -> StoredObject:
        """Replace the named documents of one version (None removes), keep the others; return it as it is now.

        The guard sees the version that is to be changed. NoSuchKey, NoSuchVersion, or what a marker is (rule 3).
        """

    def edit_bucket(
        self, bucket: str, documents: Mapping[str, str | None], guard: BucketGuard | None = None
    ) -> BucketInfo:
        """Replace the named documents of a bucket (None removes), keep the others; return it as it is now."""


@runtime_checkable
class Tagged(Protocol):
    """Changes the tags of objects, and no other document."""

    def edit_tags(self, bucket: str, key: str, text: str | None, version_id: str | None = None) -> StoredObject:
        """Replace the tags of one version, written as x-amz-tagging is; None removes them. Errors as of `edit_object`."""


def editable(backend: Backend) -> Editable:
    """The store, which must be able to edit documents; NotImplementedByStore otherwise."""
    if not isinstance(backend, Editable):
        raise service_error("NotImplemented", "The store of this server keeps nothing but objects.")
    return backend


def versioned(backend: Backend) -> Versioned:
    """The store, which must be able to keep versions; NotImplementedByStore otherwise."""
    if not isinstance(backend, Versioned):
        raise service_error("NotImplemented", "This store keeps no versions.")
    return backend


def deleted_error(bucket: str, marker: StoredObject, *, named: bool) -> ServiceError:
    """What reading a delete marker raises: NoSuchKey where it is the current version, 405 where its id was `named`.

    Its headers say that there is a marker, and which: x-amz-delete-marker, x-amz-version-id, and for 405 last-modified.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html
    """
    headers = {"x-amz-delete-marker": "true"}
    if marker.version_id is not None:
        headers["x-amz-version-id"] = marker.version_id
    if not named:
        return NoSuchKey("The specified key does not exist.", bucket=bucket, key=marker.key, headers=headers)
    headers |= {"allow": "DELETE", "last-modified": http_date(marker.last_modified)}
    return service_error(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        bucket=bucket,
        key=marker.key,
        headers=headers,
    )
