"""Files as B2 describes them, made of what the store has, and what the store is told of a file that B2 uploads.

Rule 1: fileInfo is S3's user metadata, but for b2-cache-control and its like, which are S3's content headers. The SHA-1
        is S3's checksum. So both APIs tell the same of an object, whichever wrote it.
Rule 2: an object without SHA-1 is shown as a large file is, "none". A SHA-1 that no sender has confirmed is unverified.
Rule 3: a version without an id of its own ("null") has one made of bucket and name, and is found by it.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import re
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from s3func.results import decode_metadata
from s3func.retention import Retention
from s3func.server.b2.keyring import Key
from s3func.server.b2.refusals import bad_request, refuse
from s3func.server.backend import BucketInfo, ObjectAttributes, Part, StoredObject
from s3func.server.backends.identity import bucket_identity
from s3func.server.encryption import ENCRYPTION, object_encryption
from s3func.server.object_lock import LEGAL_HOLD, OBJECT_LOCK, RETENTION, default_lock, retention_document, retention_of
from s3func.server.powers import Upload
from s3func.wire.b2json import NO_SHA1, UNVERIFIED, StoredFile, StoredPart

ABOUT = "b2"
"""The document of an object about what only B2 wants to know."""
INFO_BYTES_MAX, INFO_BYTES_MAX_PROTECTED = 7000, 2048
HIDE_MARKER = "application/x-bz-hide-marker"
_NULL_ID = re.compile(r"4_z([0-9a-f]{24})_n([A-Za-z0-9_-]+)", re.ASCII)
_INFO_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
CONTENT_HEADERS = {
    "b2-cache-control": "cache-control",
    "b2-content-disposition": "content-disposition",
    "b2-content-encoding": "content-encoding",
    "b2-content-language": "content-language",
    "b2-expires": "expires",
}
# The operating system's own table would make of the same file different types on different machines.
_TYPES = mimetypes.MimeTypes()


def file_id(bucket: BucketInfo, stored: StoredObject) -> str:
    """The id of a version."""
    if stored.version_id in {None, "null"}:
        name = urlsafe_b64encode(stored.key.encode()).decode().rstrip("=")
        return f"4_z{bucket_identity(bucket.name, bucket.created)}_n{name}"
    return str(stored.version_id)


def null_key(identity: str) -> tuple[str, str] | None:
    """The bucket's id and the key of a version without an id; None for any other id."""
    found = _NULL_ID.fullmatch(identity)
    if found is None:
        return None
    text = found[2]
    try:
        return found[1], urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return None


def content_sha1(stored: StoredObject) -> str:
    """The SHA-1 as B2 writes it."""
    encoded = stored.checksums.get("sha1", "")
    if not encoded or "-" in encoded:
        return NO_SHA1
    digits = b64decode(encoded).hex()
    return f"{UNVERIFIED}{digits}" if _about(stored).get("unverified") else digits


def file_info(attributes: ObjectAttributes) -> dict[str, str]:
    """fileInfo."""
    info = user_info(attributes)
    for name, header in CONTENT_HEADERS.items():
        if header in attributes.headers:
            info[name] = attributes.headers[header]
    return info


def user_info(attributes: ObjectAttributes) -> dict[str, str]:
    """The user metadata as text: in S3's headers, what is not ASCII stands in encoded words (RFC 2047)."""
    return {name: decode_metadata(value) for name, value in attributes.metadata.items()}


def described(bucket: BucketInfo, stored: StoredObject, key: Key | None, action: str = "upload") -> StoredFile:
    """The row of a version. key: of who asks; None may see nothing that needs a capability."""
    identity = file_id(bucket, stored)
    if stored.delete_marker:
        return StoredFile(
            stored.key,
            "hide",
            identity,
            content_type=HIDE_MARKER,
            # As Backblaze answers: those of the empty text.
            content_sha1=hashlib.sha1(usedforsecurity=False).hexdigest(),
            content_md5=hashlib.md5(usedforsecurity=False).hexdigest(),
            upload_timestamp=round(stored.last_modified * 1000),
            **_owner(bucket, key),
        )
    return StoredFile(
        stored.key,
        action,
        identity,
        stored.size,
        stored.headers.get("content-type", "application/octet-stream"),
        content_sha1(stored),
        None if "-" in stored.etag else stored.etag,
        file_info(stored),
        round(stored.last_modified * 1000),
        retention=_retention(bucket, stored, key),
        legal_hold=_legal_hold(bucket, stored.documents, key),
        encryption=encryption_of(stored.documents),
        replication_status=_replication_status(bucket, stored.key),
        **_owner(bucket, key),
    )


def described_upload(bucket: BucketInfo, upload: Upload, key: Key | None) -> StoredFile:
    """The row of a large file that is not finished."""
    attributes = upload.attributes
    return StoredFile(
        upload.key,
        "start",
        upload.upload_id,
        0,
        attributes.headers.get("content-type", "application/octet-stream"),
        NO_SHA1,
        None,
        file_info(attributes),
        round(upload.initiated * 1000),
        retention=_retention(bucket, attributes, key),
        legal_hold=_legal_hold(bucket, attributes.documents, key),
        encryption=encryption_of(attributes.documents),
        **_owner(bucket, key),
    )


def described_part(identity: str, part: Part) -> StoredPart:
    """The row of a part."""
    encoded = part.checksums.get("sha1", "")
    digits = b64decode(encoded).hex() if encoded else NO_SHA1
    return StoredPart(part.number, part.size, digits, identity, part.etag, round(part.last_modified * 1000))


def attributes(
    bucket: BucketInfo, key: Key, content_type: str, info: Mapping[str, Any], name: str, documents: Mapping[str, str]
) -> ObjectAttributes:
    """What the store is to keep of a file; `bad_request` for info that cannot be."""
    if content_type == "b2/x-auto":
        content_type = _TYPES.guess_type(name, strict=False)[0] or "application/octet-stream"
    headers, metadata = {"content-type": content_type}, {}
    size = len(name.encode())
    for written, value in info.items():
        lower = written.lower()
        if not isinstance(value, str) or _INFO_NAME.fullmatch(lower) is None:
            raise bad_request(f"fileInfo {written[:100]!r} is no name with a text")
        size += len(lower) + len(value.encode(errors="surrogatepass"))
        if lower in CONTENT_HEADERS:
            headers[CONTENT_HEADERS[lower]] = value
        else:
            metadata[lower] = value
    protected = OBJECT_LOCK in bucket.documents or ENCRYPTION in documents
    limit = INFO_BYTES_MAX_PROTECTED if protected else INFO_BYTES_MAX
    if size > limit:
        raise bad_request(f"File name and file info are longer than {limit} bytes")
    return ObjectAttributes(headers=headers, metadata=metadata, documents=documents, owner=key.user.canonical_id)


def sha1_checksum(digest: bytes) -> dict[str, str]:
    """The checksum that the store keeps."""
    return {"sha1": b64encode(digest).decode()}


def encryption_of(documents: Mapping[str, str]) -> dict[str, str | None]:
    """serverSideEncryption."""
    document = documents.get(ENCRYPTION)
    if document is None:
        return {"algorithm": None, "mode": None}
    return {"algorithm": "AES256", "mode": "SSE-C" if "customer" in json.loads(document) else "SSE-B2"}


_CUSTOMER = "customer-"
_SSE = "x-bz-server-side-encryption"
_SSE_OF_S3 = "x-amz-server-side-encryption"


def encryption_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of B2 about encryption, under the names that S3 has for them."""
    return {
        name.replace(_SSE, _SSE_OF_S3, 1): value
        for name, value in headers.items()
        if name == _SSE or name.startswith(f"{_SSE}-{_CUSTOMER}")
    }


def encryption_setting(setting: Mapping[str, Any] | None) -> dict[str, str]:
    """The same of an object in a call."""
    if setting is None or setting.get("mode") is None:
        return {}
    algorithm = str(setting.get("algorithm", "AES256"))
    if setting["mode"] == "SSE-B2":
        return {_SSE_OF_S3: algorithm}
    if setting["mode"] != "SSE-C":
        raise bad_request("serverSideEncryption has an unknown mode")
    return {
        f"{_SSE_OF_S3}-customer-algorithm": algorithm,
        f"{_SSE_OF_S3}-customer-key": str(setting.get("customerKey", "")),
        f"{_SSE_OF_S3}-customer-key-md5": str(setting.get("customerKeyMd5", "")),
    }


def documents(
    bucket: BucketInfo,
    key: Key,
    now: float,
    encryption: Mapping[str, str],
    retention: Mapping[str, Any] | None,
    hold: str | None,
    *,
    finished: bool = True,
) -> dict[str, str]:
    """The documents of a new file. finished: the bucket's default retention begins now."""
    made = object_encryption(encryption, bucket.documents, None)
    if retention is not None and retention.get("mode") is not None:
        key.demand("writeFileRetentions", bucket_identity(bucket.name, bucket.created))
        check_lockable(bucket)
        made[RETENTION] = retention_document(new_retention(retention), now)
    if hold is not None:
        key.demand("writeFileLegalHolds", bucket_identity(bucket.name, bucket.created))
        check_lockable(bucket)
        made[LEGAL_HOLD] = legal_hold(hold)
    if finished:
        made |= default_lock(made, bucket, now)
    return made


def new_retention(value: Mapping[str, Any]) -> Retention:
    """fileRetention of a call; `bad_request`."""
    mode, until = value.get("mode"), value.get("retainUntilTimestamp")
    if mode is None:
        return Retention()
    if mode not in {"governance", "compliance"} or not isinstance(until, int):
        raise bad_request("fileRetention needs a mode and retainUntilTimestamp")
    try:
        return Retention(mode.upper(), datetime.fromtimestamp(until / 1000, UTC))
    except (ValueError, OverflowError):
        raise bad_request("retainUntilTimestamp is no time") from None


def legal_hold(text: str) -> str:
    """The document of legalHold."""
    if text not in {"on", "off"}:
        raise bad_request("legalHold is on or off")
    return text.upper()


def check_lockable(bucket: BucketInfo) -> None:
    """`bucket_missing_file_lock` for a bucket without Object Lock."""
    if OBJECT_LOCK not in bucket.documents:
        raise refuse("bucket_missing_file_lock", "File lock is not enabled for the bucket")


def _about(attributes: ObjectAttributes) -> dict[str, Any]:
    document = attributes.documents.get(ABOUT)
    return json.loads(document) if document else {}


def with_key_md5(file: StoredFile, sent: Mapping[str, str]) -> StoredFile:
    """The row with the MD5 of the customer's key, which is known only while the key is here; sent: S3's headers."""
    md5 = sent.get(f"{_SSE_OF_S3}-customer-key-md5")
    if md5 is None or file.encryption is None:
        return file
    return file._replace(encryption={**file.encryption, "customerKeyMd5": md5})


def _replication_status(bucket: BucketInfo, name: str) -> str | None:
    """That a file is to be replicated, which this server never does; None where no rule of the bucket says so."""
    document = bucket.documents.get(ABOUT, "")
    if "asReplicationSource" not in document:
        return None
    source = json.loads(document)["replicationConfiguration"].get("asReplicationSource") or {}
    rules = source.get("replicationRules") or []
    enabled = (rule for rule in rules if isinstance(rule, dict) and rule.get("isEnabled"))
    return "pending" if any(name.startswith(str(rule.get("fileNamePrefix", ""))) for rule in enabled) else None


def _owner(bucket: BucketInfo, key: Key | None) -> dict[str, Any]:
    return {
        "bucket_id": bucket_identity(bucket.name, bucket.created),
        "account_id": None if key is None else key.account_id,
    }


def _retention(bucket: BucketInfo, attributes: ObjectAttributes, key: Key | None) -> dict[str, Any]:
    if key is None or not key.may("readFileRetentions", bucket_identity(bucket.name, bucket.created)):
        return {"isClientAuthorizedToRead": False, "value": None}
    kept = retention_of(attributes)
    if kept is None or kept.retain_until is None or kept.mode is None:
        return {"isClientAuthorizedToRead": True, "value": {"mode": None, "retainUntilTimestamp": None}}
    until = round(kept.retain_until.timestamp() * 1000)
    return {"isClientAuthorizedToRead": True, "value": {"mode": kept.mode.lower(), "retainUntilTimestamp": until}}


def _legal_hold(bucket: BucketInfo, documents: Mapping[str, str], key: Key | None) -> dict[str, Any]:
    if key is None or not key.may("readFileLegalHolds", bucket_identity(bucket.name, bucket.created)):
        return {"isClientAuthorizedToRead": False, "value": None}
    kept = documents.get(LEGAL_HOLD)
    return {"isClientAuthorizedToRead": True, "value": kept.lower() if kept else None}
