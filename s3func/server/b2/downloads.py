"""Downloads by name and by id, and tokens for them.

https://www.backblaze.com/apidocs/b2-download-file-by-name
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote_plus

from s3func.errors import NoSuchVersion
from s3func.message import BLOCK, Response
from s3func.server.b2.call import B2Call, Place, answer, settings_of
from s3func.server.b2.files import (
    CONTENT_HEADERS,
    content_sha1,
    encryption_headers,
    encryption_of,
    file_id,
    user_info,
)
from s3func.server.b2.refusals import bad_request, refuse
from s3func.server.backend import BucketInfo, StoredObject
from s3func.server.backends.identity import bucket_identity
from s3func.server.conditions import Extent, requested_extent
from s3func.server.encryption import CUSTOMER, check_readable
from s3func.server.handlers.objects import ObjectStream
from s3func.server.object_lock import LEGAL_HOLD, retention_of
from s3func.wire import b2json

_OVERRIDES = {
    "b2CacheControl": "cache-control",
    "b2ContentDisposition": "content-disposition",
    "b2ContentEncoding": "content-encoding",
    "b2ContentLanguage": "content-language",
    "b2ContentType": "content-type",
    "b2Expires": "expires",
}
AUTHORIZED_SECONDS_MAX = 7 * 24 * 60 * 60
# Backblaze publishes which letters stay as they are.
_SAFE = "/~!$'()*;=:@._-"


def download_file_by_name(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-download-file-by-name."""
    bucket_name, _, encoded = call.rest.partition("/")
    try:
        name = unquote_plus(encoded, errors="strict")
    except UnicodeDecodeError:
        raise bad_request("The file name is not percent-encoded UTF-8") from None
    bucket = call.bucket_named(bucket_name)
    if bucket is None:
        raise refuse("not_found", f"Bucket {bucket_name[:100]} does not exist")
    overrides = _overrides(call.fields)
    _authorize(call, bucket, name, overrides)
    if not name:
        raise refuse("not_found", "File with such name does not exist.")
    return _download(call, Place(bucket, name, None), overrides)


def download_file_by_id(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-download-file-by-id."""
    place = None if _token(call) else _public_place(call)
    if place is None:
        place = call.place(call.text("fileId"))
        call.demand("readFiles", place.bucket, place.key)
    return _download(call, place, _overrides(call.fields))


def get_download_authorization(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-get-download-authorization."""
    bucket = call.bucket()
    prefix = call.text("fileNamePrefix")
    call.demand("shareFiles", bucket, prefix)
    seconds = call.number("validDurationInSeconds", None, 1, AUTHORIZED_SECONDS_MAX)
    bucket_id = bucket_identity(bucket.name, bucket.created)
    token = call.accounts.new_download_token(bucket_id, prefix, seconds, _overrides(call.fields))
    return answer(b2json.render_download_authorization(b2json.DownloadAuthorization(bucket_id, prefix, token)))


def _token(call: B2Call) -> str:
    return call.token or str(call.fields.get("Authorization", ""))


def _authorize(call: B2Call, bucket: BucketInfo, name: str, overrides: Mapping[str, str]) -> None:
    """Raise unless the file may be read: with a token of either kind, or because the bucket is public."""
    token = _token(call)
    if not token and not overrides and settings_of(bucket).get("type") == "allPublic":
        return
    granted = call.accounts.download_grant(token) if token else None
    if granted is not None:
        if granted.bucket_id != bucket_identity(bucket.name, bucket.created) or not name.startswith(granted.prefix):
            raise refuse("unauthorized", "The token is for other files")
        if any(overrides.get(header) != value for header, value in granted.overrides.items()):
            raise refuse("unauthorized", "The token is for other response headers")
        return
    call.act_for(call.accounts.key_of(token))
    if bucket.owner not in {"", call.key.user.canonical_id}:
        raise refuse("unauthorized", "The bucket belongs to another account")
    call.demand("readFiles", bucket, name)


def _public_place(call: B2Call) -> Place | None:
    """Where an id leads whose bucket is public; None for any other."""
    try:
        located = call.backend.locate(call.text("fileId"))
    except NoSuchVersion:
        return None
    bucket = call.backend.get_bucket(located.bucket)
    if located.is_upload or settings_of(bucket).get("type") != "allPublic":
        return None
    return Place(bucket, located.key, call.text("fileId"))


def _overrides(fields: Mapping[str, object]) -> dict[str, str]:
    return {header: str(fields[name]) for name, header in _OVERRIDES.items() if name in fields}


def _download(call: B2Call, place: Place, overrides: Mapping[str, str]) -> Response:
    request = call.request
    sent = {name: value for name, value in encryption_headers(request.headers).items() if CUSTOMER in name}
    if request.method == "HEAD":
        stored = call.backend.head_object(place.bucket.name, place.key, place.version_id)
        check_readable(sent, stored.documents)
        return _described(call, place, stored, overrides)[0]
    reader = call.backend.open_object(place.bucket.name, place.key, place.version_id)
    try:
        check_readable(sent, reader.stored.documents)
        response, extent = _described(call, place, reader.stored, overrides)
        if extent.size <= BLOCK:
            response.body = reader.read_at(extent.start, extent.size) if extent.size else b""
            reader.close()
        else:
            response.body = ObjectStream(reader, extent)
    except BaseException:
        reader.close()
        raise
    return response


def _described(
    call: B2Call, place: Place, stored: StoredObject, overrides: Mapping[str, str]
) -> tuple[Response, Extent]:
    headers = {
        "accept-ranges": "bytes",
        "content-type": stored.headers.get("content-type", "application/octet-stream"),
        "x-bz-content-sha1": content_sha1(stored),
        "x-bz-file-id": file_id(place.bucket, stored),
        "x-bz-file-name": quote(stored.key, safe=_SAFE),
        "x-bz-upload-timestamp": str(round(stored.last_modified * 1000)),
    }
    headers |= {name: stored.headers[name] for name in CONTENT_HEADERS.values() if name in stored.headers}
    headers |= {f"x-bz-info-{name}": quote(value, safe=_SAFE) for name, value in user_info(stored).items()}
    headers |= {**_protection(stored, call.request.headers), **overrides}
    extent = requested_extent(call.request.headers, stored)
    whole = extent is None
    if extent is None:
        extent = Extent(0, stored.size)
    else:
        headers["content-range"] = f"bytes {extent.start}-{extent.start + extent.size - 1}/{stored.size}"
    headers["content-length"] = str(extent.size)
    return Response(200 if whole else 206, headers), extent


def _protection(stored: StoredObject, sent: Mapping[str, str]) -> dict[str, str]:
    headers = {}
    encryption = encryption_of(stored.documents)
    if encryption["mode"] == "SSE-B2":
        headers["x-bz-server-side-encryption"] = "AES256"
    elif encryption["mode"] == "SSE-C":
        name = "x-bz-server-side-encryption-customer-"
        headers[f"{name}algorithm"] = "AES256"
        headers[f"{name}key-md5"] = sent.get(f"{name}key-md5", "")
    retention = retention_of(stored)
    if retention is not None and retention.mode is not None and retention.retain_until is not None:
        headers["x-bz-file-retention-mode"] = retention.mode.lower()
        headers["x-bz-file-retention-retain-until-timestamp"] = str(round(retention.retain_until.timestamp() * 1000))
    if LEGAL_HOLD in stored.documents:
        headers["x-bz-file-legal-hold"] = stored.documents[LEGAL_HOLD].lower()
    return headers
