"""What the requests of a large file to B2 mean, for the paced sink: without sockets and time. See paced_sink.py.

Parts are counted and thrown away; what a part's SHA-1 is, is what the client says that it is, in the header or in the 40
digits behind the bytes, which are read. That the bytes have this SHA-1 is checked by the tests, not here: a second pass
of SHA-1 in the store would take a core away from the client.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from functools import cache
from itertools import count
from typing import Any

from benchmarks.b2_documents import BUCKET_ID, TIMESTAMP, TOKEN, UPLOAD_TOKEN, authorization, buckets, file_id, file_row
from benchmarks.paced_store import Answer, Request, Stats, stretch_of
from benchmarks.sink import BUCKET, bulk_block

_TAIL = "hex_digits_at_end"
_DIGITS = 40
_UPLOAD = "/upload/"
_SHA1 = re.compile("[0-9a-f]{40}")


@cache
def object_sha1(size: int) -> str:
    """The SHA-1 of an object of `size` bytes."""
    digest = hashlib.sha1(usedforsecurity=False)
    block = bulk_block()
    whole, rest = divmod(size, len(block))
    for _ in range(whole):
        digest.update(block)
    digest.update(block[:rest])
    return digest.hexdigest()


class Store:
    """Large files, and nothing else."""

    def __init__(self) -> None:
        self.stats = Stats()
        self._files: dict[str, dict[str, Any]] = {}
        self._parts: dict[str, dict[int, tuple[int, str]]] = {}
        self._ids = count(1)

    def kept(self, request: Request) -> int:
        """All of a document, and the digits behind a part."""
        if not request.path.startswith(_UPLOAD):
            return request.wire_size
        return _DIGITS if request.headers.get("x-bz-content-sha1") == _TAIL else 0

    def misunderstood(self) -> Answer:
        return _error(400, "bad_request")

    def answer(self, request: Request, body: bytes) -> Answer:
        """Called when all of the request's body has arrived."""
        if request.path == "/stats":
            told, self.stats = json.dumps(asdict(self.stats)).encode(), Stats()
            return Answer(200, {"Content-Type": "application/json"}, told)
        self.stats.requests += 1
        if request.path.startswith(_UPLOAD):
            return self._upload(request, body)
        if request.path.startswith("/file/"):
            return self._download(request)
        name = request.path.rpartition("/")[2]
        call = getattr(self, f"_{name}", None)
        if not request.path.startswith("/b2api/") or call is None:
            return _error(404, "not_found")
        fields = json.loads(body) if body else {}
        answer: Answer = call(request, fields)
        return answer

    def _b2_authorize_account(self, request: Request, _fields: dict[str, Any]) -> Answer:
        return _document(authorization(f"http://{request.headers['host']}"))

    def _b2_list_buckets(self, _request: Request, _fields: dict[str, Any]) -> Answer:
        return _document(buckets())

    def _b2_list_unfinished_large_files(self, _request: Request, _fields: dict[str, Any]) -> Answer:
        return _document({"files": [], "nextFileId": None})

    def _b2_start_large_file(self, _request: Request, fields: dict[str, Any]) -> Answer:
        if fields["bucketId"] != BUCKET_ID:
            return _error(400, "bad_bucket_id")
        identity = file_id(next(self._ids), large=True)
        row = file_row(fields["fileName"], 0, "none", identity, "start")
        row["fileInfo"] = fields.get("fileInfo") or {}
        self._files[identity], self._parts[identity] = row, {}
        return _document(row)

    def _b2_get_upload_part_url(self, request: Request, fields: dict[str, Any]) -> Answer:
        identity = fields["fileId"]
        if identity not in self._files:
            return _error(400, "bad_request")
        url = f"http://{request.headers['host']}{_UPLOAD}{identity}/{next(self._ids)}"
        return _document({"fileId": identity, "uploadUrl": url, "authorizationToken": UPLOAD_TOKEN})

    def _b2_cancel_large_file(self, _request: Request, fields: dict[str, Any]) -> Answer:
        row = self._files.pop(fields["fileId"])
        return _document({name: row[name] for name in ("accountId", "bucketId", "fileId", "fileName")})

    def _b2_finish_large_file(self, _request: Request, fields: dict[str, Any]) -> Answer:
        identity = fields["fileId"]
        parts = self._parts[identity]
        told = fields["partSha1Array"]
        if sorted(parts) != list(range(1, len(told) + 1)) or [parts[number][1] for number in sorted(parts)] != told:
            return _error(400, "part_sha1_mismatch")
        size = sum(length for length, _ in parts.values())
        row = self._files.pop(identity) | {"action": "upload", "contentLength": size}
        del self._parts[identity]
        self.stats.stored = size
        return _document(row)

    def _upload(self, request: Request, body: bytes) -> Answer:
        identity = request.path.split("/")[2]
        if request.headers.get("authorization") != UPLOAD_TOKEN:
            return _error(401, "bad_auth_token")
        sha1, size = request.headers.get("x-bz-content-sha1", ""), request.wire_size
        if sha1 == _TAIL:
            sha1, size = body.decode("ascii"), size - _DIGITS
        number = int(request.headers["x-bz-part-number"])
        if _SHA1.fullmatch(sha1) is None or identity not in self._parts:
            return _error(400, "bad_request")
        self._parts[identity][number] = size, sha1
        self.stats.received += size
        return _document(
            {
                "contentLength": size,
                "contentMd5": None,
                "contentSha1": sha1,
                "fileId": identity,
                "partNumber": number,
                "serverSideEncryption": {"algorithm": None, "mode": None},
                "uploadTimestamp": TIMESTAMP,
            }
        )

    def _download(self, request: Request) -> Answer:
        _, _, bucket, name = request.path.split("/", 3)
        if request.headers.get("authorization") != TOKEN:
            return _error(401, "bad_auth_token")
        size_text = name.rpartition("/")[2]
        if bucket != BUCKET or not size_text.isdigit():
            return _error(404, "not_found")
        size = int(size_text)
        stretch = stretch_of(request.headers.get("range", ""), size)
        if stretch is None:
            return _error(416, "range_not_satisfiable")
        start, end = stretch
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
            "X-Bz-File-Id": file_id(size, large=True),
            "X-Bz-File-Name": name,
            "X-Bz-Content-Sha1": "none",
            "X-Bz-Upload-Timestamp": str(TIMESTAMP),
            "X-Bz-Info-large_file_sha1": object_sha1(size),
        }
        status = 200
        if "range" in request.headers:
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        if request.method == "HEAD":
            headers["Content-Length"] = str(end - start)
            return Answer(status, headers)
        self.stats.sent += end - start
        return Answer(status, headers, start=start, end=end)


def _document(fields: dict[str, Any]) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(fields).encode())


def _error(status: int, code: str) -> Answer:
    body = json.dumps({"status": status, "code": code, "message": code}).encode()
    return Answer(status, {"Content-Type": "application/json"}, body)
