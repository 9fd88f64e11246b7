"""The same calls for an application key of B2, as B2's native API, so that what restricts the key restricts the pages.

Rule 1: the secret is exchanged for a token when the key signs in, and forgotten; when the key is deleted, its token and
        with it the visitor's account are worth nothing.
Rule 2: a file of unknown length travels in pieces: one that is short is uploaded at once, a longer one as a large file,
        which is cancelled where it does not come to its end.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any

from s3func.errors import ServiceError, service_error
from s3func.message import BodyStream, Request, Response
from s3func.models import BucketEntry, ListPage, ObjectEntry
from s3func.server.browser.calls import DOCUMENT_BYTES_MAX, Calls, Handle, Place, Turn, check_place
from s3func.wire import b2json
from s3func.wire.b2json import FilesPage, StoredFile
from s3func.wire.b2json_account import Authorization, parse_authorization, parse_buckets
from s3func.wire.encoding import decode_component, encode_component, encode_path, encode_query, http_date

API = "/b2api/v4"
PIECE_BYTES = 8 * 1024 * 1024
"""What is held in memory of a file on its way."""

_INFO = "x-bz-info-"


@dataclass(frozen=True, slots=True)
class B2Account:
    """An application key that has signed in."""

    label: str
    authorization: Authorization = field(repr=False)
    handle: Handle = field(repr=False)

    @property
    def prefix(self) -> str:
        """What the key is restricted to."""
        return self.authorization.name_prefix or ""

    def calls(self, request: Request) -> Calls:
        """Calls of B2's API."""
        return B2Calls(self, request)


def authorize(handle: Handle, request: Request, key_id: str, secret: str) -> B2Account | None:
    """Sign an application key in; None where there is none, or where this is not its secret."""
    basic = b64encode(f"{key_id}:{secret}".encode()).decode()
    try:
        response = _send(handle, request, "GET", f"{API}/b2_authorize_account", {"authorization": f"Basic {basic}"})
    except ServiceError as error:
        if error.status in {400, 401, 403}:
            return None
        raise
    return B2Account(key_id, parse_authorization(response.read(DOCUMENT_BYTES_MAX)), handle)


class B2Calls:
    """Calls as calls of B2."""

    def __init__(self, account: B2Account, request: Request) -> None:
        self._authorization = account.authorization
        self._handle = account.handle
        self._request = request

    def buckets(self) -> list[BucketEntry]:
        """https://www.backblaze.com/apidocs/b2-list-buckets; a restricted key knows its buckets by their names."""
        allowed = self._authorization.buckets
        if allowed is not None:
            return [BucketEntry(each.name, None) for each in allowed if each.name is not None]
        found = parse_buckets(self._call("b2_list_buckets", accountId=self._authorization.account_id))
        return [BucketEntry(each.name, None) for each in found]

    def create_bucket(self, bucket: str) -> None:
        """https://www.backblaze.com/apidocs/b2-create-bucket."""
        check_place(bucket)
        account_id = self._authorization.account_id
        self._call("b2_create_bucket", accountId=account_id, bucketName=bucket, bucketType="allPrivate")

    def delete_bucket(self, bucket: str) -> None:
        """https://www.backblaze.com/apidocs/b2-delete-bucket."""
        account_id = self._authorization.account_id
        self._call("b2_delete_bucket", accountId=account_id, bucketId=self._bucket_id(bucket))

    def keeps_versions(self, bucket: str) -> bool | None:
        """B2 hides; what is to go has to be named by its version."""
        return True

    def list_objects(self, bucket: str, prefix: str, turn: Turn, limit: int) -> ListPage:
        """https://www.backblaze.com/apidocs/b2-list-file-names."""
        page = self._list("b2_list_file_names", bucket, prefix, "/", turn, limit)
        rows = [_entry(file, is_latest=True) for file in page.files if file.action not in {"folder", "start"}]
        return _page(page, rows)

    def list_versions(self, bucket: str, prefix: str, turn: Turn, limit: int, *, delimiter: str = "/") -> ListPage:
        """https://www.backblaze.com/apidocs/b2-list-file-versions; large files that are not finished are no versions."""
        page = self._list("b2_list_file_versions", bucket, prefix, delimiter, turn, limit)
        rows: list[ObjectEntry] = []
        # The page before may have ended between two versions of one name.
        last = turn.key if turn.version else None
        for file in page.files:
            if file.action not in {"folder", "start"}:
                rows.append(_entry(file, is_latest=file.file_name != last))
                last = file.file_name
        return _page(page, rows)

    def head(self, place: Place) -> Mapping[str, str]:
        """https://www.backblaze.com/apidocs/b2-download-file-by-name."""
        response = self._download("HEAD", place, {})
        response.close()
        sent = response.headers
        headers = {name: value for name, value in sent.items() if name.startswith(("content-", "cache-", "expires"))}
        headers["x-amz-version-id"] = sent.get("x-bz-file-id", "")
        milliseconds = sent.get("x-bz-upload-timestamp", "")
        if milliseconds.isdecimal():
            headers["last-modified"] = http_date(int(milliseconds) / 1000)
        for name, value in sent.items():
            if name.startswith(_INFO):
                headers[f"x-amz-meta-{name.removeprefix(_INFO)}"] = _decoded(value)
        return headers

    def get(self, place: Place, headers: Mapping[str, str]) -> Response:
        """https://www.backblaze.com/apidocs/b2-download-file-by-name, or by id."""
        # B2 has no If-Range: a part of something that may be another file by now is not asked for.
        return self._download("GET", place, {} if "if-range" in headers else headers)

    def put(self, place: Place, body: BodyStream, content_type: str, *, may_replace: bool) -> None:
        """https://www.backblaze.com/docs/cloud-storage-upload-files-with-the-native-api."""
        check_place(place.bucket, place.key)
        bucket_id = self._bucket_id(place.bucket)
        if not may_replace:
            page = self._list("b2_list_file_names", place.bucket, place.key, "", Turn(place.key), 1)
            if any(file.file_name == place.key for file in page.files):
                raise service_error("PreconditionFailed", "There is a file with this name already.")
        piece, following = body.read(PIECE_BYTES), body.read(PIECE_BYTES)
        if following:
            self._put_large(place, bucket_id, body, content_type, [piece, following])
            return
        url = b2json.parse_upload_url(self._call("b2_get_upload_url", bucketId=bucket_id))
        headers = {"x-bz-file-name": encode_component(place.key), "content-type": content_type}
        self._upload(url, piece, headers)

    def delete(self, place: Place, etag: str) -> bool:
        """https://www.backblaze.com/apidocs/b2-hide-file, https://www.backblaze.com/apidocs/b2-delete-file-version."""
        check_place(place.bucket, place.key)
        if place.version is None:
            self._call("b2_hide_file", bucketId=self._bucket_id(place.bucket), fileName=place.key)
            return True
        self._call("b2_delete_file_version", fileName=place.key, fileId=place.version)
        return False

    def _put_large(
        self, place: Place, bucket_id: str, body: BodyStream, content_type: str, pieces: list[bytes]
    ) -> None:
        """https://www.backblaze.com/docs/cloud-storage-large-files."""
        about = {"bucketId": bucket_id, "fileName": place.key, "contentType": content_type}
        identity = b2json.parse_file(self._call("b2_start_large_file", **about)).file_id
        try:
            url = b2json.parse_upload_url(self._call("b2_get_upload_part_url", fileId=identity))
            digests: list[str] = []
            while pieces:
                piece = pieces.pop(0)
                digests.append(self._upload(url, piece, {"x-bz-part-number": str(len(digests) + 1)}))
                if not pieces and (following := body.read(PIECE_BYTES)):
                    pieces.append(following)
            self._call("b2_finish_large_file", fileId=identity, partSha1Array=digests)
        except BaseException:
            self._call("b2_cancel_large_file", fileId=identity)
            raise

    def _upload(self, url: b2json.UploadUrl, piece: bytes, headers: Mapping[str, str]) -> str:
        """Upload bytes to a URL; their SHA-1."""
        digest = sha1(piece).hexdigest()
        sent = {"authorization": url.token, "x-bz-content-sha1": digest, "content-length": str(len(piece))}
        path = url.url.removeprefix(self._request.origin)
        _send(self._handle, self._request, "POST", path, sent | dict(headers), body=piece).close()
        return digest

    def _download(self, method: str, place: Place, headers: Mapping[str, str]) -> Response:
        check_place(place.bucket, place.key)
        path, query = f"/file/{place.bucket}/{encode_path(place.key)}", ""
        if place.version is not None:
            path, query = f"{API}/b2_download_file_by_id", encode_query([("fileId", place.version)])
        sent = {"authorization": self._authorization.token, **headers}
        response = _send(self._handle, self._request, method, path, sent, query)
        if place.version is not None and _decoded(response.headers.get("x-bz-file-name", "")) != place.key:
            response.close()
            raise service_error("NoSuchVersion", "This version is of another file.")
        return response

    def _list(self, operation: str, bucket: str, prefix: str, delimiter: str, turn: Turn, limit: int) -> FilesPage:
        fields = {
            "bucketId": self._bucket_id(bucket),
            "prefix": prefix or None,
            "delimiter": delimiter or None,
            "startFileName": turn.key or None,
            "startFileId": turn.version or None,
            "maxFileCount": limit,
        }
        return b2json.parse_files(self._call(operation, **fields))

    def _bucket_id(self, bucket: str) -> str:
        check_place(bucket)
        allowed = self._authorization.buckets
        if allowed is not None:
            known = [each.id for each in allowed if each.name == bucket]
        else:
            about = {"accountId": self._authorization.account_id, "bucketName": bucket}
            known = [each.id for each in parse_buckets(self._call("b2_list_buckets", **about))]
        if not known:
            raise service_error("NoSuchBucket", "The specified bucket does not exist.", bucket=bucket)
        return known[0]

    def _call(self, operation: str, **fields: Any) -> bytes:
        headers = {"authorization": self._authorization.token, "content-type": "application/json"}
        body = b2json.render_request(fields)
        response = _send(self._handle, self._request, "POST", f"{API}/{operation}", headers, body=body)
        return response.read(DOCUMENT_BYTES_MAX)


def _send(
    handle: Handle,
    asked: Request,
    method: str,
    path: str,
    headers: Mapping[str, str],
    query: str = "",
    body: bytes = b"",
) -> Response:
    """The answer to a request on behalf of the browser's; the ServiceError of one that says no."""
    sent = {name: asked.headers[name] for name in ("host", "user-agent") if name in asked.headers} | dict(headers)
    response = handle(Request(method, asked.origin, path, query, sent, body, peer=asked.peer))
    if response.status >= 300:
        document = b2json.parse_error(response.read(DOCUMENT_BYTES_MAX))
        if document is None:
            raise service_error("not_found" if response.status == 404 else "refused", status=response.status)
        raise b2json.typed_error(document.status, document.code, document.message)
    return response


def _page(page: FilesPage, rows: list[ObjectEntry]) -> ListPage:
    folders = [file.file_name for file in page.files if file.action == "folder"]
    return ListPage(rows, folders, page.next_file_name is not None, page.next_file_name, page.next_file_id)


def _entry(file: StoredFile, *, is_latest: bool) -> ObjectEntry:
    return ObjectEntry(
        file.file_name,
        file.size,
        last_modified=datetime.fromtimestamp(file.upload_timestamp / 1000, UTC),
        version_id=file.file_id,
        is_latest=is_latest,
        delete_marker=file.action == "hide",
    )


def _decoded(value: str) -> str:
    """A percent-encoded header of B2; what is not one stays as it is."""
    try:
        return decode_component(value.replace("+", " "))
    except ValueError:
        return value
