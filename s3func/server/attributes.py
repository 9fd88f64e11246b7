"""The headers of an object: from a request into what the store keeps, and back into an answer.

Rule: a header that asks for something this server does not do is NotImplemented, not ignored: who asks for encryption
or a retention period must not be told that it was done.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache

from s3func.errors import service_error
from s3func.server.access import TAGGING
from s3func.server.backend import ObjectAttributes, StoredObject
from s3func.server.checksums import checksum_type
from s3func.wire.encoding import http_date

METADATA_BYTES_MAX = 2048
"""Names and values of user metadata together. https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html"""

STORAGE_CLASSES = frozenset(
    {
        *("DEEP_ARCHIVE", "EXPRESS_ONEZONE", "FSX_ONTAP", "FSX_OPENZFS", "GLACIER", "GLACIER_IR"),
        *("INTELLIGENT_TIERING", "ONEZONE_IA", "OUTPOSTS", "REDUCED_REDUNDANCY", "SNOW", "STANDARD", "STANDARD_IA"),
    }
)

_METADATA = "x-amz-meta-"
_STORAGE_CLASS = "x-amz-storage-class"
_KEPT = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
)
_UNIMPLEMENTED = (
    "x-amz-copy-source-range",
    "x-amz-if-match-",
    "x-amz-write-offset-bytes",
)
# A date costs 2 µs, a third of all the headers of an object.
_date_of_second = lru_cache(maxsize=4096)(http_date)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def refuse_unimplemented(headers: Mapping[str, str], *implemented: str) -> None:
    """NotImplemented for headers whose effect this server does not have; `implemented`: those that this operation has."""
    for name in headers:
        if name.startswith(_UNIMPLEMENTED) and name not in implemented:
            raise service_error(
                "NotImplemented",
                "A header you provided implies functionality that is not implemented.",
                details={"Header": name},
            )


def attributes_of(headers: Mapping[str, str], owner: str, documents: Mapping[str, str]) -> ObjectAttributes:
    """What the headers of a PUT, of a replacing COPY or of a new upload say about the object, all but its checksums."""
    kept = {name: headers[name] for name in _KEPT if name in headers}
    kept.setdefault("content-type", "binary/octet-stream")
    if "content-encoding" in kept:
        # How the body was framed on its way is no attribute of the object.
        codings = [coding.strip() for coding in kept.pop("content-encoding").split(",")]
        if codings := [coding for coding in codings if coding.lower() not in {"", "aws-chunked"}]:
            kept["content-encoding"] = ", ".join(codings)
    kept |= storage_class(headers)
    metadata = {name[len(_METADATA) :]: value for name, value in headers.items() if name.startswith(_METADATA)}
    check_values(kept.items())
    _check_metadata(metadata)
    return ObjectAttributes(headers=kept, metadata=metadata, owner=owner, documents=documents)


def storage_class(headers: Mapping[str, str]) -> dict[str, str]:
    """The storage class as a header to keep, nothing for STANDARD."""
    name = headers.get(_STORAGE_CLASS, "STANDARD")
    if name not in STORAGE_CLASSES:
        raise service_error("InvalidStorageClass", "The storage class you specified is not valid")
    return {} if name == "STANDARD" else {_STORAGE_CLASS: name}


def check_values(headers: Iterable[tuple[str, str]]) -> None:
    """Refuse a value that would break out of its line when it is sent back."""
    for name, value in headers:
        if _CONTROL.search(value) is not None:
            raise service_error(
                "InvalidArgument", "A header value contains control characters.", details={"ArgumentName": name}
            )


def object_headers(stored: StoredObject, *, with_checksums: bool) -> dict[str, str]:
    """The headers that describe an object in an answer to GET and HEAD, all but its length."""
    headers = dict(stored.headers)
    for name, value in stored.metadata.items():
        headers[_METADATA + name] = value if value.isascii() else _encoded_word(value)
    headers["etag"] = f'"{stored.etag}"'
    headers["last-modified"] = _date_of_second(int(stored.last_modified))
    headers["accept-ranges"] = "bytes"
    if stored.version_id is not None:
        headers["x-amz-version-id"] = stored.version_id
    # An object that was given no tags on purpose has an empty document.
    if stored.documents.get(TAGGING):
        headers["x-amz-tagging-count"] = str(stored.documents[TAGGING].count("&") + 1)
    if with_checksums:
        headers |= checksum_headers(stored.checksums)
    return headers


def checksum_headers(checksums: Mapping[str, str], kind: str = "") -> dict[str, str]:
    """The checksums of an object or of a part, and what they cover; `kind` where the value does not say it."""
    headers = {f"x-amz-checksum-{name}": value for name, value in checksums.items()}
    if headers:
        headers["x-amz-checksum-type"] = kind or checksum_type(checksums) or ""
    return headers


def _check_metadata(metadata: Mapping[str, str]) -> None:
    check_values(metadata.items())
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > METADATA_BYTES_MAX:
        raise service_error(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            details={"Size": str(size), "MaxSizeAllowed": str(METADATA_BYTES_MAX)},
        )
    for name in metadata:
        if _TOKEN.fullmatch(name) is None:
            raise service_error("InvalidArgument", f"{_METADATA}{name} cannot be the name of a header.")


def _encoded_word(value: str) -> str:
    # What a header cannot carry as it stands, S3 sends as RFC 2047 writes it.
    return f"=?UTF-8?B?{b64encode(value.encode()).decode()}?="
