"""The contract between the S3 server and the store behind it: no HTTP, no XML, bytes and records in and out.

Rules for whoever implements `Backend`; the HTTP side relies on every one of them, `tests/contract` checks them.

1.  Calls are synchronous and MUST be safe from many threads at once. A call that returns has happened; a call that
    raises has changed nothing.
2.  A key is exactly the text that it is: never normalised, never a path. `a`, `a/`, `a//b` and `../a` are four keys.
    Keys are ordered by their UTF-8 bytes, which is the order of their code points, everywhere.
3.  An object becomes visible whole, at `commit`, or not at all, also when the process is killed at any instant.
    Bodies move in blocks: MUST NOT need memory in proportion to an object (a store that lives in memory excepted).
4.  A body is immutable. An open reader goes on reading the version that it opened, whatever happens to the key.
5.  A `Guard` is called under the lock or transaction that publishes the change, so of many writers that demand
    `if_none_match="*"` exactly one wins. Guards MUST NOT call the backend.
6.  Refusals are the errors named in the docstrings, with `bucket` and `key` set; any other exception is a fault of the
    store. Conditions on reads, ranges, request checksums, authorization and defaults such as the content type are the
    HTTP side's business.

7.  A store may have an attribute `reads_at_once = True`: head_object and open_object, with the first block of a body,
    wait for nothing but a page from the disk. An event loop then calls them itself, which saves the way through a thread.

What not every store can do, versions, multipart uploads and editing, is in powers.py: protocols that only add methods,
found with `isinstance`. Without `Versioned`, a `version_id` below is None, or "null" for the object itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

from s3func.errors import NoSuchKey, PreconditionFailed, ServiceError, service_error

KEY_LENGTH_MAX = 1024
"""Bytes of a key in UTF-8. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectAttributes:
    """What a writer says about an object, kept as given and never looked into; all of it valid Unicode.

    headers: the content headers to return, lower-case names (content-type, cache-control, content-disposition,
    content-encoding, content-language, expires, x-amz-storage-class, …). metadata: user metadata, lower-case names
    without "x-amz-meta-". checksums: algorithm in lower case ("crc32", "sha256", …) to its base64 text. owner: who
    wrote it. documents: sub-resources by name ("tagging", "acl", …), opaque text.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject(ObjectAttributes):
    """One object as it is stored; being its own attributes, it can be handed to `commit` to keep all of them.

    etag: without quotes, the hexadecimal MD5 of the body; of an object uploaded in parts, S3's "-N" form.
    last_modified: seconds since the epoch in whole milliseconds, the time of the commit.
    version_id: None where the bucket never kept versions. delete_marker: this is no object but a version that says that
    there is none; it has no size, ETag or attributes but its owner, and only guards of deletions and listings of
    versions show one.
    """

    key: str
    size: int
    etag: str
    last_modified: float
    version_id: str | None = None
    delete_marker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an upload, or of the object that was made of it. etag: the hexadecimal MD5 of its bytes."""

    number: int
    size: int
    etag: str
    last_modified: float
    checksums: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)


Versioning = Literal["", "Enabled", "Suspended"]
"""Whether a bucket keeps versions: "" until it is set for the first time, and never again afterwards."""


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """One bucket: its name, when it was made (seconds since the epoch), its owner's id, its region.

    versioning: see `Versioned`. documents: sub-resources by name ("policy", "cors", …), opaque text, see `Editable`.
    """

    name: str
    created: float
    owner: str = ""
    region: str = ""
    versioning: Versioning = ""
    documents: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ListSlice:
    """One page of a listing. `next_start_after` is what to pass for the next page, None on the last one."""

    rows: list[StoredObject]
    common_prefixes: list[str]
    next_start_after: str | None = None

    @property
    def is_truncated(self) -> bool:
        """Whether more rows or common prefixes follow."""
        return self.next_start_after is not None


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a delete did.

    version_id: the version that was named, or that of the delete marker that was made; None without versions.
    delete_marker: a marker was made, or the version that is gone was one.
    """

    key: str
    version_id: str | None = None
    delete_marker: bool = False


Guard = Callable[[StoredObject | None], None]
"""Is shown the current object (None: there is none) just before the change is published; raises to refuse.

To a commit a delete marker is no object: None. A deletion shows what it is about to take: the version that it names,
else the current one, and both may be a delete marker.
"""


@dataclass(frozen=True, slots=True)
class Precondition:
    """The usual Guard. Each condition is a header's value: "*", one ETag or several, with or without quotes.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
    """

    if_match: str | None = None
    if_none_match: str | None = None

    def __call__(self, current: StoredObject | None) -> None:
        """Raise NoSuchKey (if_match, and there is no object) or PreconditionFailed."""
        if self.if_match is not None:
            if current is None:
                raise NoSuchKey("There is no object whose ETag could match.")
            if not etag_matches(self.if_match, current.etag):
                raise PreconditionFailed("The object has another ETag.", details={"Condition": "If-Match"})
        if self.if_none_match is not None and current is not None and etag_matches(self.if_none_match, current.etag):
            raise PreconditionFailed("The object exists already.", details={"Condition": "If-None-Match"})


@dataclass(frozen=True, slots=True)
class Deletion:
    """One row of `delete_objects`. owner: who deletes, and so owns the delete marker that may be made."""

    key: str
    version_id: str | None = None
    guard: Guard | None = None
    owner: str = ""


class Draft(Protocol):
    """A body that is not visible yet. Leaving the `with` block without a commit aborts. Used by one thread at a time."""

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        """Publish the body under the key given at the beginning, replacing what was there; at most once.

        Raises NoSuchBucket (deleted meanwhile) and whatever the guard raises; the draft is aborted then.
        """

    def abort(self) -> None:
        """Throw the body away; nothing of it remains. Allowed at any time, and without effect after a commit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ObjectWriter(Draft, Protocol):
    """A body being written."""

    @property
    def size(self) -> int:
        """Bytes written so far."""

    @property
    def md5(self) -> bytes:
        """The MD5 digest (16 bytes) of what was written so far: compare it with Content-MD5 before the commit."""

    def write(self, block: bytes | bytearray | memoryview) -> None:
        """Append a block; it is used up when the call returns."""


class ObjectCopy(Draft, Protocol):
    """A copy being made: `commit(copy.source)` keeps the source's attributes, other attributes replace them."""

    @property
    def source(self) -> StoredObject:
        """The object whose body is copied, as it was at the beginning: check conditions on the source with it."""


class ObjectReader(Protocol):
    """An open body; `read_at` may be called from several threads."""

    @property
    def stored(self) -> StoredObject:
        """The object that is being read."""

    @property
    def parts(self) -> Sequence[Part]:
        """The parts that it was uploaded in, in order, numbered as they were then; () for the object of one put."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes from `offset`: exactly `size` of them unless the body ends before, b"" at or behind its end."""

    def close(self) -> None:
        """Let go of the body. Closing twice is allowed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Backend(Protocol):
    """A store of buckets and objects. Everything that takes a bucket's name raises NoSuchBucket for an unknown one."""

    def create_bucket(self, bucket: str, *, owner: str = "", region: str = "") -> BucketInfo:
        """Make an empty bucket. InvalidBucketName, or BucketAlreadyExists (`.code` says whether the owner is the same)."""

    def delete_bucket(self, bucket: str) -> None:
        """Remove an empty bucket; BucketNotEmpty otherwise."""

    def get_bucket(self, bucket: str) -> BucketInfo:
        """The bucket's record."""

    def list_buckets(self) -> list[BucketInfo]:
        """Every bucket of every owner, by name."""

    def begin_put(self, bucket: str, key: str) -> ObjectWriter:
        """Begin a body. Raises what `check_key` raises."""

    def begin_copy(
        self, source_bucket: str, source_key: str, bucket: str, key: str, *, source_version_id: str | None = None
    ) -> ObjectCopy:
        """Begin a copy, of the object as it is now. NoSuchKey or NoSuchVersion of the source.

        SHOULD share the immutable body instead of moving its bytes; source and target may be the same key.
        """

    def open_object(self, bucket: str, key: str, version_id: str | None = None) -> ObjectReader:
        """Open a body for reading; the caller closes it. NoSuchKey, NoSuchVersion."""

    def head_object(self, bucket: str, key: str, version_id: str | None = None) -> StoredObject:
        """The object's record. NoSuchKey, NoSuchVersion."""

    def delete_object(
        self, bucket: str, key: str, version_id: str | None = None, guard: Guard | None = None, owner: str = ""
    ) -> Deleted:
        """Delete; what is not there is deleted already, which is no error (a guard may make it one)."""

    def delete_objects(self, bucket: str, deletions: Sequence[Deletion]) -> list[Deleted | ServiceError]:
        """Delete many: one result per row, in the order of the rows; a refused row does not stop the others."""

    def list_objects(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        start_after: str = "",
        limit: int = 1000,
    ) -> ListSlice:
        """At most `limit` rows and common prefixes together, in key order, each greater than `start_after`.

        A key that has the delimiter behind the prefix is folded into the common prefix that ends with the delimiter;
        a common prefix counts as one, however many keys it stands for, and they MUST be skipped by a seek. One that is
        not greater than `start_after` was reported by an earlier page and is left out, with all of its keys.
        A `limit` of 0 gives an empty slice that is not truncated.
        """

    def close(self) -> None:
        """Let go of files and locks. Later calls fail; closing twice is allowed."""


def run_guard(guard: Guard | None, current: StoredObject | None, bucket: str, key: str) -> None:
    """Call the guard, if there is one; what it raises names the bucket and the key."""
    if guard is not None:
        try:
            guard(current)
        except ServiceError as error:
            error.bucket, error.key = bucket, key
            raise


_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")


def check_bucket_name(bucket: str) -> None:
    """Raise InvalidRequest (code InvalidBucketName) for a name that S3 does not allow.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if _BUCKET_NAME.fullmatch(bucket) is None or ".." in bucket or _IP_ADDRESS.fullmatch(bucket) is not None:
        raise service_error("InvalidBucketName", "The specified bucket is not valid.", bucket=bucket)


def check_key(key: str) -> bytes:
    """Return the key in UTF-8; InvalidRequest for an empty one (InvalidArgument) or a long one (KeyTooLongError)."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise service_error("InvalidArgument", "The object key is not valid Unicode.") from None
    if not encoded:
        raise service_error("InvalidArgument", "The object key is empty.", key=key)
    if len(encoded) > KEY_LENGTH_MAX:
        raise service_error("KeyTooLongError", f"Your key is longer than {KEY_LENGTH_MAX} bytes.", key=key)
    return encoded


def etag_matches(condition: str, etag: str) -> bool:
    """Whether "*" or a comma-separated list of ETags, quoted or not, names this ETag."""
    if condition.strip() == "*":
        return True
    return any(_bare_etag(each) == etag for each in condition.split(","))


def _bare_etag(text: str) -> str:
    return text.strip().removeprefix("W/").strip('"')
