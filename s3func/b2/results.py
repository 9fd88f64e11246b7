"""The results of the contract, from what B2 says about a file: in headers, or in a document put into the same words.

Rule 1: beside B2's own headers a result has those of S3 that mean the same (etag, x-amz-version-id, last-modified and
        x-amz-meta-*), so that whatever reads results needs to know one kind.
Rule 2: the ETag of a file is its SHA-1 where B2 keeps one, else (a large file) its id: both change with the content.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

from s3func.b2.headers import DESCRIBED, INFO, LARGE_FILE_SHA1, SHA1, decode_info
from s3func.models import ObjectEntry
from s3func.results import CopyResult, DeleteResult, GetResult, HeadResult, ObjectResult, PutResult
from s3func.wire.b2json import UNVERIFIED, StoredFile
from s3func.wire.encoding import encode_path, http_date

_SHA1_LENGTH = 40
_DIGITS_MAX = 16
_HEXADECIMAL = "0123456789abcdefABCDEF"


def plain_sha1(text: str | None) -> str:
    """The 40 digits, or "" where B2 has none; "unverified:" in front of them is how uploads through S3 are marked."""
    digits = (text or "").removeprefix(UNVERIFIED)
    return digits.lower() if len(digits) == _SHA1_LENGTH and not digits.strip(_HEXADECIMAL) else ""


def etag_of(file: StoredFile) -> str:
    """The ETag of a row of a listing."""
    return plain_sha1(file.content_sha1) or file.file_id or ""


def moment_of(milliseconds: int) -> datetime | None:
    """An aware datetime (UTC) of B2's milliseconds; 0 is how B2 says that there is none."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
    except (OverflowError, ValueError):
        return None


def headers_of(file: StoredFile) -> dict[str, str]:
    """What a download of this file would have in its head; x-bz-content-md5 is ours, downloads do not tell it."""
    headers = {
        "x-bz-file-id": file.file_id or "",
        "x-bz-file-name": encode_path(file.file_name),
        "x-bz-upload-timestamp": str(file.upload_timestamp),
        "content-length": str(file.size),
    }
    facts = (
        (SHA1, file.content_sha1),
        ("x-bz-content-md5", file.content_md5),
        ("content-type", file.content_type),
    )
    headers.update((name, value) for name, value in facts if value is not None)
    for name, value in file.info.items():
        if name.startswith("b2-") and name[3:] in DESCRIBED:
            headers[name[3:]] = value
        else:
            headers[INFO + name] = encode_path(value)
    return translated(headers)


def translated(headers: dict[str, str]) -> dict[str, str]:
    """Add S3's words for what B2's headers say."""
    file_id = headers.get("x-bz-file-id")
    etag = plain_sha1(headers.get(SHA1)) or file_id
    if etag:
        headers["etag"] = f'"{etag}"'
    if file_id:
        headers["x-amz-version-id"] = file_id
    written = _milliseconds(headers)
    if written:
        headers["last-modified"] = http_date(written // 1000)
    info = [(name[len(INFO) :], value) for name, value in headers.items() if name.startswith(INFO)]
    for name, value in info:
        if name != LARGE_FILE_SHA1:
            headers[f"x-amz-meta-{name}"] = _shown(decode_info(value))
    return headers


def _shown(value: str) -> str:
    # What looks like an encoded word would be decoded by those who read x-amz-meta headers.
    return f"=?UTF-8?B?{b64encode(value.encode()).decode()}?=" if "=?" in value else value


def _milliseconds(headers: dict[str, str]) -> int:
    text = headers.get("x-bz-upload-timestamp", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS_MAX else 0


class FileResult(ObjectResult):
    """What B2 says more exactly than S3, or in addition."""

    __slots__ = ()

    @property
    def content_sha1(self) -> str | None:
        """40 hexadecimal digits; of a large file what its uploader said; None where nobody has said it."""
        own = plain_sha1(self.headers.get(SHA1))
        return own or plain_sha1(self.headers.get(INFO + LARGE_FILE_SHA1)) or None

    @property
    def last_modified(self) -> datetime | None:
        """When the upload began: aware, UTC, milliseconds."""
        return moment_of(_milliseconds(self.headers))


class FilePut(FileResult, PutResult):
    """The answer to put_object: `version_id` is the file's id."""

    __slots__ = ()


class FileHead(FileResult, HeadResult):
    """The answer to head_object."""

    __slots__ = ()


class FileGot(FileResult, GetResult):
    """The answer to get_object; compared with the SHA-1 of the whole file at its end."""

    __slots__ = ()


class FileCopied(FileResult, CopyResult):
    """The answer to copy_object."""

    __slots__ = ()


class FileDeleted(FileResult, DeleteResult):
    """The answer to delete_object."""

    __slots__ = ()


def put_result(file: StoredFile) -> FilePut:
    """From the document that an upload is answered with."""
    return FilePut(200, headers_of(file))


def copy_result(file: StoredFile, source_id: str) -> FileCopied:
    """From the document that a copy is answered with."""
    headers = {**headers_of(file), "x-amz-copy-source-version-id": source_id}
    return FileCopied(200, headers, etag_of(file), moment_of(file.upload_timestamp))


def hidden(file: StoredFile) -> FileDeleted:
    """A hide marker was written."""
    return FileDeleted(200, {**headers_of(file), "x-amz-delete-marker": "true"})


def gone(version_id: str | None = None) -> FileDeleted:
    """A version is gone, or there was nothing to hide."""
    return FileDeleted(200, {} if version_id is None else translated({"x-bz-file-id": version_id}))


def entry_of(file: StoredFile, *, is_latest: bool | None = None) -> ObjectEntry:
    """The row of a listing; only a listing of versions (is_latest) names the version, as with S3.

    Whoever deletes the rows of a listing of objects would otherwise delete versions for good.
    """
    written = moment_of(file.upload_timestamp)
    if is_latest is None:
        return ObjectEntry(file.file_name, file.size, etag_of(file), written, "STANDARD")
    if file.action == "hide":
        return ObjectEntry(file.file_name, 0, "", written, None, file.file_id, is_latest, delete_marker=True)
    return ObjectEntry(
        file.file_name, file.size, etag_of(file), written, "STANDARD", file.file_id, is_latest, owner=file.account_id
    )
