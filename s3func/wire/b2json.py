"""The documents of the Backblaze B2 native API about files, each parsed and rendered side by side, and its error codes.

Rule 1: what has the wrong shape is a ProtocolError; what only some versions of the API or some keys send is optional.
Rule 2: rows keep B2's words (file_name, file_id, action); the session translates them into those of the contract.
Rule 3: v1 to v4 are read, v4 is written.
https://www.backblaze.com/apidocs/introduction-to-the-b2-native-api
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from s3func.errors import (
    AccessDenied,
    BucketAlreadyExists,
    BucketNotEmpty,
    Conflict,
    InvalidCredentials,
    InvalidRange,
    InvalidRequest,
    NoSuchBucket,
    NotFound,
    ProtocolError,
    ServerError,
    ServiceError,
    Throttled,
    service_error,
)

NO_SHA1 = "none"
"""The content_sha1 of a large file."""
UNVERIFIED = "unverified:"
"""In front of a content_sha1 that nobody has compared with the bytes."""

# One row per code: what the client raises for it and what status the server sends with it.
# https://www.backblaze.com/docs/cloud-storage-native-api-error-handling-and-status-codes
CODES: dict[str, tuple[type[ServiceError], int]] = {
    "access_denied": (AccessDenied, 403),
    "already_hidden": (InvalidRequest, 400),
    "auth_token_limit": (InvalidRequest, 400),
    "bad_auth_token": (InvalidCredentials, 401),
    "bad_bucket_id": (NoSuchBucket, 400),
    "bad_json": (InvalidRequest, 400),
    "bad_request": (InvalidRequest, 400),
    "bucket_missing_file_lock": (InvalidRequest, 400),
    "cannot_delete_non_empty_bucket": (BucketNotEmpty, 400),
    "cap_exceeded": (AccessDenied, 403),
    "conflict": (Conflict, 409),
    "download_cap_exceeded": (AccessDenied, 403),
    "duplicate_bucket_name": (BucketAlreadyExists, 400),
    "email_not_verified": (AccessDenied, 401),
    "expired_auth_token": (InvalidCredentials, 401),
    "file_lock_conflict": (InvalidRequest, 400),
    "file_not_present": (NotFound, 400),
    "internal_error": (ServerError, 500),
    "invalid_bucket_id": (NoSuchBucket, 400),
    "method_not_allowed": (InvalidRequest, 405),
    "missing_part": (InvalidRequest, 400),
    "no_payment_history": (AccessDenied, 401),
    "no_such_file": (NotFound, 400),
    "not_found": (NotFound, 404),
    "out_of_range": (InvalidRequest, 400),
    "part_sha1_mismatch": (InvalidRequest, 400),
    "range_not_satisfiable": (InvalidRange, 416),
    "request_timeout": (ServerError, 408),
    "service_unavailable": (Throttled, 503),
    "source_too_large": (InvalidRequest, 400),
    "storage_cap_exceeded": (AccessDenied, 403),
    "too_many_buckets": (InvalidRequest, 400),
    "too_many_requests": (Throttled, 429),
    "transaction_cap_exceeded": (AccessDenied, 403),
    "unauthorized": (AccessDenied, 401),
    "unsupported": (AccessDenied, 401),
}


# --- Requests


def render_request(fields: Mapping[str, Any]) -> bytes:
    """The JSON of a call; what is None is left out."""
    return orjson.dumps({name: value for name, value in fields.items() if value is not None})


def parse_request(body: bytes) -> dict[str, Any]:
    """The fields of a call; ValueError when it is no JSON object. An explicit null counts as left out."""
    try:
        fields = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the request is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ValueError("the request is not a JSON object")  # noqa: TRY004 -- a mistake of the other side
    return {name: value for name, value in fields.items() if value is not None}


# --- Errors


class ErrorDocument(NamedTuple):
    """`{"status": 400, "code": "bad_request", "message": "…"}`."""

    status: int
    code: str
    message: str


def parse_error(body: bytes) -> ErrorDocument | None:
    """The error, or None when the body is something else (a proxy's page, or nothing)."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    status, code, message = document.get("status"), document.get("code"), document.get("message")
    if not isinstance(status, int) or not isinstance(code, str):
        return None
    return ErrorDocument(status, code, message if isinstance(message, str) else "")


def render_error(status: int, code: str, message: str) -> bytes:
    """The document of an error; the status is repeated from the status line."""
    return orjson.dumps({"status": status, "code": code, "message": message})


def typed_error(status: int, code: str, message: str = "", **about: Any) -> ServiceError:
    """The error that a code means; with an unknown one the status decides the class."""
    known = CODES.get(code)
    if known is not None:
        return known[0](message, code=code, status=status, **about)
    if status == 401:
        return AccessDenied(message, code=code, status=status, **about)
    if status == 408:
        return ServerError(message, code=code, status=status, **about)
    return service_error(code, message, status=status, **about)


# --- Files: the answer to every call that makes, finishes, copies, hides or describes one, and each row of a list


class StoredFile(NamedTuple):
    """One version of a file, a hide marker, a folder or an unfinished large file; `action` says which.

    action: upload, copy, hide, start, folder; "other values may be added". size: bytes. content_sha1: 40 digits, "none"
    (a large file), or "unverified:" and 40 digits. upload_timestamp: milliseconds, when the upload began. retention and
    legal_hold: as they came, `{"isClientAuthorizedToRead": …, "value": …}`.
    """

    file_name: str
    action: str
    file_id: str | None = None
    size: int = 0
    content_type: str | None = None
    content_sha1: str | None = None
    content_md5: str | None = None
    info: Mapping[str, str] = MappingProxyType({})
    upload_timestamp: int = 0
    bucket_id: str | None = None
    account_id: str | None = None
    retention: Mapping[str, Any] | None = None
    legal_hold: Mapping[str, Any] | None = None
    encryption: Mapping[str, Any] | None = None
    replication_status: str | None = None


def parse_file(body: bytes) -> StoredFile:
    """One file."""
    return stored_file(parse_object(body))


def stored_file(row: Any) -> StoredFile:
    """One row of a list. A hide marker or a folder has next to nothing but its name; v1 says size for contentLength."""
    try:
        size = row.get("contentLength")
        if size is None:
            size = row.get("size") or 0
        timestamp = row.get("uploadTimestamp") or 0
        info = row.get("fileInfo") or {}
        file = StoredFile(
            row["fileName"],
            row.get("action") or "start",
            row.get("fileId"),
            size,
            row.get("contentType"),
            row.get("contentSha1"),
            row.get("contentMd5"),
            info,
            timestamp,
            row.get("bucketId"),
            row.get("accountId"),
            row.get("fileRetention"),
            row.get("legalHold"),
            row.get("serverSideEncryption"),
            row.get("replicationStatus"),
        )
    except (AttributeError, KeyError, TypeError):
        raise ProtocolError("a file in the answer has no name") from None
    if not (
        isinstance(file.file_name, str)
        and isinstance(file.action, str)
        and isinstance(size, int)
        and isinstance(timestamp, int)
        and isinstance(info, dict)
        and (file.file_id is None or isinstance(file.file_id, str))
        and (file.content_sha1 is None or isinstance(file.content_sha1, str))
        and (file.content_md5 is None or isinstance(file.content_md5, str))
        and (file.content_type is None or isinstance(file.content_type, str))
        and (not info or all(isinstance(value, str) for value in info.values()))
    ):
        raise ProtocolError("a file in the answer has a field of the wrong type")
    return file


def render_file(file: StoredFile, *, v1: bool = False) -> bytes:
    """The document of one file."""
    return orjson.dumps(file_fields(file, v1=v1))


def file_fields(file: StoredFile, *, v1: bool = False) -> dict[str, Any]:
    """The row of a file; v1 repeats its length under the name that it had then."""
    fields: dict[str, Any] = {
        "accountId": file.account_id,
        "action": file.action,
        "bucketId": file.bucket_id,
        "contentLength": file.size,
        "contentMd5": file.content_md5,
        "contentSha1": file.content_sha1,
        "contentType": file.content_type,
        "fileId": file.file_id,
        "fileInfo": dict(file.info),
        "fileName": file.file_name,
        "uploadTimestamp": file.upload_timestamp,
    }
    # A hide marker and a folder have none of these; official clients take a null for something that has.
    protection = {
        "fileRetention": file.retention,
        "legalHold": file.legal_hold,
        "serverSideEncryption": file.encryption,
        "replicationStatus": file.replication_status,
    }
    fields.update({name: value for name, value in protection.items() if value is not None})
    if v1:
        fields["size"] = file.size
    return fields


class FilesPage(NamedTuple):
    """A page of b2_list_file_names, b2_list_file_versions or b2_list_unfinished_large_files, and where the next begins."""

    files: list[StoredFile]
    next_file_name: str | None = None
    next_file_id: str | None = None


def parse_files(body: bytes) -> FilesPage:
    """https://www.backblaze.com/apidocs/b2-list-file-versions."""
    document = parse_object(body)
    rows = document.get("files")
    if not isinstance(rows, list):
        raise ProtocolError("the answer has no list of files")
    if "nextFileName" not in document and "nextFileId" not in document:
        # A page that does not say whether another follows is not taken for the last one.
        raise ProtocolError("the list of files does not say whether more follow")
    return FilesPage(
        [stored_file(row) for row in rows],
        optional_text(document, "nextFileName"),
        optional_text(document, "nextFileId"),
    )


def render_files(page: FilesPage, *, v1: bool = False) -> bytes:
    """The document of a page."""
    rows = [file_fields(file, v1=v1) for file in page.files]
    return orjson.dumps({"files": rows, "nextFileName": page.next_file_name, "nextFileId": page.next_file_id})


# --- Uploads: https://www.backblaze.com/apidocs/b2-get-upload-url


class UploadUrl(NamedTuple):
    """Where to upload to, with the token of that place; `id` is the bucket, or the large file that the parts are of."""

    url: str
    token: str
    id: str

    def __repr__(self) -> str:
        return "UploadUrl('***')"


def parse_upload_url(body: bytes) -> UploadUrl:
    """The answer of b2_get_upload_url and of b2_get_upload_part_url."""
    document = parse_object(body)
    name = "bucketId" if "bucketId" in document else "fileId"
    return UploadUrl(text(document, "uploadUrl"), text(document, "authorizationToken"), text(document, name))


def render_upload_url(url: UploadUrl, *, part: bool = False) -> bytes:
    """part: a URL for the parts of a large file."""
    name = "fileId" if part else "bucketId"
    return orjson.dumps({name: url.id, "uploadUrl": url.url, "authorizationToken": url.token})


class StoredPart(NamedTuple):
    """One part of a large file that is not finished."""

    part_number: int
    size: int
    content_sha1: str
    file_id: str | None = None
    content_md5: str | None = None
    upload_timestamp: int = 0


class PartsPage(NamedTuple):
    """A page of b2_list_parts, and the number that the next one begins with."""

    parts: list[StoredPart]
    next_part_number: int | None = None


def parse_part(body: bytes) -> StoredPart:
    """The answer of b2_upload_part and of b2_copy_part."""
    return _part(parse_object(body))


def _part(row: Any) -> StoredPart:
    if not isinstance(row, dict):
        raise ProtocolError("a part in the answer is no object")
    return StoredPart(
        count(row, "partNumber"),
        count(row, "contentLength", 0),
        text(row, "contentSha1"),
        optional_text(row, "fileId"),
        optional_text(row, "contentMd5"),
        count(row, "uploadTimestamp", 0),
    )


def part_fields(part: StoredPart) -> dict[str, Any]:
    """The row of a part."""
    return {
        "contentLength": part.size,
        "contentMd5": part.content_md5,
        "contentSha1": part.content_sha1,
        "fileId": part.file_id,
        "partNumber": part.part_number,
        "serverSideEncryption": None,
        "uploadTimestamp": part.upload_timestamp,
    }


def render_part(part: StoredPart) -> bytes:
    """The document of one part."""
    return orjson.dumps(part_fields(part))


def parse_parts(body: bytes) -> PartsPage:
    """https://www.backblaze.com/apidocs/b2-list-parts."""
    document = parse_object(body)
    rows = document.get("parts")
    if not isinstance(rows, list):
        raise ProtocolError("the answer has no list of parts")
    if "nextPartNumber" not in document:
        raise ProtocolError("the list of parts does not say whether more follow")
    following = document["nextPartNumber"]
    if following is not None and not isinstance(following, int):
        raise ProtocolError("nextPartNumber is no number")
    return PartsPage([_part(row) for row in rows], following)


def render_parts(page: PartsPage) -> bytes:
    """The document of a page of parts."""
    return orjson.dumps({"parts": [part_fields(part) for part in page.parts], "nextPartNumber": page.next_part_number})


# --- b2_get_download_authorization: https://www.backblaze.com/apidocs/b2-get-download-authorization


class DownloadAuthorization(NamedTuple):
    """A token for downloads of files whose names begin with a prefix."""

    bucket_id: str
    prefix: str
    token: str

    def __repr__(self) -> str:
        return f"DownloadAuthorization(bucket_id={self.bucket_id!r}, prefix={self.prefix!r}, token='***')"


def parse_download_authorization(body: bytes) -> DownloadAuthorization:
    """The answer."""
    document = parse_object(body)
    return DownloadAuthorization(
        text(document, "bucketId"), text(document, "fileNamePrefix"), text(document, "authorizationToken")
    )


def render_download_authorization(granted: DownloadAuthorization) -> bytes:
    """The document."""
    return orjson.dumps(
        {"bucketId": granted.bucket_id, "fileNamePrefix": granted.prefix, "authorizationToken": granted.token}
    )


# --- Shapes


def parse_object(body: bytes) -> dict[str, Any]:
    """Any answer, as it is; ProtocolError when it is no JSON object."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ProtocolError(f"the answer is not JSON ({len(body)} bytes)") from None
    if not isinstance(document, dict):
        raise ProtocolError("the answer is no JSON object")
    return document


def render_object(fields: Mapping[str, Any]) -> bytes:
    """Any document."""
    return orjson.dumps(dict(fields))


def mapping(row: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that must be an object; ProtocolError otherwise."""
    value = row.get(name)
    if not isinstance(value, dict):
        raise ProtocolError(f"the answer has no {name}")
    return value


def text(row: Any, name: str) -> str:
    """A field that must be a text."""
    value = row.get(name) if isinstance(row, dict) else None
    if not isinstance(value, str):
        raise ProtocolError(f"the answer has no {name}")
    return value


def optional_text(row: dict[str, Any], name: str) -> str | None:
    """A field that may be absent or null."""
    value = row.get(name)
    return value if isinstance(value, str) else None


def texts(row: dict[str, Any], name: str) -> tuple[str, ...]:
    """A field that is a list of texts; () where it is absent or null."""
    value = row.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ProtocolError(f"{name} in the answer is no list of texts")
    return tuple(value)


def count(row: dict[str, Any], name: str, default: int | None = None) -> int:
    """A field that must be a number and not negative; where there is a default it may be absent."""
    value = row.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ProtocolError(f"the answer has no {name}")
    return value
