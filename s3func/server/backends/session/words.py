"""Between a session and a backend: objects out of headers, arguments out of attributes, errors out of errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from s3func.errors import (
    InvalidCredentials,
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    NotImplementedByStore,
    NotSupported,
    PreconditionFailed,
    Redirected,
    RequestTimeTooSkewed,
    S3FuncError,
    ServerError,
    ServiceError,
    TransportError,
    service_error,
)
from s3func.listing import ObjectListing
from s3func.models import BucketEntry, Capabilities, ObjectEntry
from s3func.results import CopyResult, DeleteResult, GetResult, HeadResult, ObjectResult, PutResult, decode_metadata
from s3func.server.backend import ObjectAttributes, StoredObject

_ARGUMENTS = {
    "content-type": "content_type",
    "cache-control": "cache_control",
    "content-disposition": "content_disposition",
    "content-encoding": "content_encoding",
    "content-language": "content_language",
    "expires": "expires",
    "x-amz-storage-class": "storage_class",
}
_STORAGE_CLASS = "x-amz-storage-class"
_REDIRECT = "x-amz-website-redirect-location"
_KEPT = (*_ARGUMENTS, _REDIRECT)
# These a copy does not take from its source, whatever else it takes.
_OWN = frozenset({_STORAGE_CLASS, _REDIRECT})
_CHECKSUM = "x-amz-checksum-"
TAGGING = "tagging"
"""The document of an object's tags, written as the header x-amz-tagging is. The only one that a gateway passes on."""
UPLOAD_CHECKSUM = "checksum"
"""The document that says "algorithm type" of an upload in parts: handlers/multipart.py writes and reads it."""
# What S3 says about a delete marker, and no other header of a refusal is for our client.
_OF_MARKERS = ("x-amz-delete-marker", "x-amz-version-id", "allow", "last-modified")


class Verbs(Protocol):
    """The verbs of a Session with the arguments that a gateway gives; S3Session documents them."""

    def put_object(self, key: str, body: Any, **options: Any) -> PutResult: ...

    def get_object(self, key: str, version_id: str | None, **options: Any) -> GetResult: ...

    def head_object(self, key: str, version_id: str | None, **options: Any) -> HeadResult: ...

    def copy_object(self, source_key: str, dest_key: str, **options: Any) -> CopyResult: ...

    def delete_object(self, key: str, version_id: str | None, **options: Any) -> DeleteResult: ...

    def list_objects(self, prefix: str | None, **options: Any) -> ObjectListing: ...

    def list_object_versions(self, prefix: str | None, **options: Any) -> ObjectListing: ...


@runtime_checkable
class BucketVerbs(Protocol):
    """What a Session of a store with buckets can do besides; without it, the session's own bucket is the only one."""

    def create_bucket(self, bucket: str | None = None) -> None: ...

    def delete_bucket(self, bucket: str | None = None) -> None: ...

    def head_bucket(self, bucket: str | None = None) -> HeadResult: ...

    def list_buckets(self) -> list[BucketEntry]: ...


@runtime_checkable
class VersioningVerbs(Protocol):
    """A Session that says, and sets, whether a bucket keeps versions."""

    def get_bucket_versioning(self, *, bucket: str | None = None) -> Any: ...

    def put_bucket_versioning(self, status: str, *, bucket: str | None = None) -> None: ...


@runtime_checkable
class TagVerbs(Protocol):
    """A Session of a store whose objects have tags."""

    def get_object_tagging(self, key: str, *, version_id: str | None = None, bucket: str | None = None) -> Any: ...

    def put_object_tagging(
        self, key: str, tags: Any, *, version_id: str | None = None, bucket: str | None = None
    ) -> None: ...

    def delete_object_tagging(self, key: str, *, version_id: str | None = None, bucket: str | None = None) -> None: ...


@runtime_checkable
class PartVerbs(Protocol):
    """A Session that takes objects in parts."""

    def create_multipart_upload(self, key: str, *, bucket: str | None = None) -> Any: ...

    def upload_part(
        self, key: str, upload_id: str, part_number: int, body: Any, *, bucket: str | None = None
    ) -> Any: ...

    def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Any, *, bucket: str | None = None
    ) -> PutResult: ...

    def abort_multipart_upload(self, key: str, upload_id: str, *, bucket: str | None = None) -> None: ...

    def list_parts(self, key: str, upload_id: str, *, bucket: str | None = None) -> Any: ...

    def list_multipart_uploads(self, prefix: str | None = None, *, bucket: str | None = None) -> Any: ...


@runtime_checkable
class BulkDeletion(Protocol):
    """A Session that deletes many keys with one request."""

    def delete_objects(self, keys: Any = None, *, bucket: str | None = None) -> list[Any]: ...


def stored_of(key: str, result: ObjectResult, tags: str = "") -> StoredObject:
    """The object that an answer describes."""
    headers = result.headers
    return StoredObject(
        key=key,
        size=result.size or 0,
        etag=result.etag,
        last_modified=seconds_of(result.last_modified),
        headers={name: headers[name] for name in _KEPT if name in headers},
        metadata=result.user_metadata,
        version_id=result.version_id,
        documents={TAGGING: tags} if tags else {},
        checksums={
            name.removeprefix(_CHECKSUM): value
            for name, value in headers.items()
            if name.startswith(_CHECKSUM) and name != f"{_CHECKSUM}type"
        },
    )


def row_of(entry: ObjectEntry) -> StoredObject:
    """The object of a row, which says less than an answer about the object does."""
    special = entry.storage_class not in {None, "", "STANDARD"}
    return StoredObject(
        key=entry.key,
        size=entry.size,
        etag=entry.etag,
        last_modified=seconds_of(entry.last_modified),
        headers={_STORAGE_CLASS: entry.storage_class or ""} if special else {},
    )


def seconds_of(moment: datetime | None) -> float:
    """Seconds since the epoch, 0 for a time that the store does not tell."""
    return 0.0 if moment is None else round(moment.timestamp(), 3)


def speaks_s3(capabilities: Capabilities) -> bool:
    """Whether the store takes S3's checksums. Another one checks what it gets in its own way, and keeps none of ours."""
    return "crc32" in capabilities.checksums


def put_options(attributes: ObjectAttributes, capabilities: Capabilities) -> dict[str, Any]:
    """The arguments of put_object that say the same as the attributes; NotImplementedByStore for documents."""
    options = _options(attributes)
    if speaks_s3(capabilities):
        options["headers"] |= {f"{_CHECKSUM}{name}": value for name, value in attributes.checksums.items()}
    return options


def upload_options(attributes: ObjectAttributes, capabilities: Capabilities) -> dict[str, Any]:
    """Likewise for create_multipart_upload."""
    documents = dict(attributes.documents)
    wanted = documents.pop(UPLOAD_CHECKSUM, None)
    options = _options(replace(attributes, documents=documents))
    if wanted is not None and speaks_s3(capabilities):
        options["checksum"], options["checksum_type"] = wanted.split(" ")
    return options


def copy_options(source: StoredObject, attributes: ObjectAttributes, capabilities: Capabilities) -> dict[str, Any]:
    """Likewise for copy_object. Content headers and metadata are not said where the source has the same."""
    options = _options(attributes)
    tags = options.pop("tagging", "")
    if tags != source.documents.get(TAGGING, ""):
        options["tagging"] = tags
    if speaks_s3(capabilities):
        for name in attributes.checksums.keys() - source.checksums.keys():
            # One that was computed from the same bytes: the store computes it as well.
            options["headers"]["x-amz-checksum-algorithm"] = name.upper()
    if _content_headers(source) == _content_headers(attributes) and source.metadata == attributes.metadata:
        return {name: value for name, value in options.items() if name in {"storage_class", "headers", "tagging"}}
    return options


def check_documents(documents: Mapping[str, str], *known: str) -> None:
    """NotImplementedByStore for one that cannot be passed on."""
    for name in documents.keys() - {TAGGING, *known}:
        raise NotImplementedByStore(f"The store behind this server keeps no {name}.")


def _options(attributes: ObjectAttributes) -> dict[str, Any]:
    check_documents(attributes.documents)
    headers = attributes.headers
    options: dict[str, Any] = {_ARGUMENTS[name]: value for name, value in headers.items() if name in _ARGUMENTS}
    # Encoded words are how S3's headers carry other letters: the session writes them as its store wants to have them.
    options["metadata"] = {name: decode_metadata(value) for name, value in attributes.metadata.items()}
    options["headers"] = {name: value for name, value in headers.items() if name not in _ARGUMENTS}
    if TAGGING in attributes.documents:
        options["tagging"] = attributes.documents[TAGGING]
    return options


def _content_headers(attributes: ObjectAttributes) -> dict[str, str]:
    return {name: value for name, value in attributes.headers.items() if name not in _OWN}


def refusal_of(error: Exception, bucket: str | None, key: str | None) -> ServiceError:
    """What a backend raises for what a session raised."""
    if isinstance(error, NoSuchBucket):
        return no_such_bucket(bucket or "")
    if isinstance(error, PreconditionFailed | NoSuchKey) and error.maybe_applied:
        # What came in between may have been this very request, whose answer was lost: to say that the condition did not
        # hold would be to say that nothing was done.
        return ServerError("Whether the store behind this server has done it is not known.", bucket=bucket, key=key)
    if isinstance(error, InvalidCredentials | RequestTimeTooSkewed | Redirected):
        return ServerError("The store behind this server does not accept this server.")
    if isinstance(error, ServiceError):
        code, status = error.code, error.status
        if code == code.lower():
            # B2's words: what they mean is known by the class, and S3 has a word and a status of its own for that.
            code, status = error.default_code, error.default_status
        # Without the headers of that answer, which are not those of ours.
        return service_error(
            # HEAD has no document that says it.
            "MethodNotAllowed" if status == 405 else code,
            error.message,
            status=status,
            details=error.details,
            bucket=bucket,
            key=key,
            headers=marker_headers(error),
        )
    if isinstance(error, NotSupported):
        return NotImplementedByStore(str(error), bucket=bucket, key=key)
    if isinstance(error, TransportError):
        return service_error("ServiceUnavailable", "The store behind this server does not answer.")
    if isinstance(error, S3FuncError):
        return ServerError("The store behind this server gave an answer that cannot be used.")
    # A ValueError or TypeError: the session will not send that.
    return InvalidRequest(str(error), code="InvalidArgument", bucket=bucket, key=key)


def marker_headers(error: ServiceError) -> dict[str, str]:
    """What a refusal says about a delete marker; nothing where it is about none."""
    if error.headers.get("x-amz-delete-marker") != "true":
        return {}
    return {name: error.headers[name] for name in _OF_MARKERS if name in error.headers}


def no_such_bucket(bucket: str) -> NoSuchBucket:
    """What is raised for a bucket that does not exist."""
    return NoSuchBucket("The specified bucket does not exist.", bucket=bucket)


def replaced(bucket: str, key: str) -> ServiceError:
    """What is raised where the object is another one than that which was opened."""
    return service_error(
        "OperationAborted", "The object was replaced while it was read. Please try again.", bucket=bucket, key=key
    )
