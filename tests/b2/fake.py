"""The B2 native API as a Transport, in memory: what the documents say, with faults on request and a journal.

It shares no code with the client beyond Request and Response. Rules that clients get wrong are kept strictly: an upload
token is good for one upload at a time and dead after a failure, tokens expire, HEAD answers have no body, a file that
was finished cannot be finished again, a page has at most 1,000 rows.
"""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict, deque
from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote

from s3func.errors import ConnectionLost, TimedOut, TransportError
from s3func.message import Request, Response, UploadBody
from tests.b2.store import UPLOAD, FakeStore, Refusal

KEY_ID = "0014aa9865d6f00000000001"
KEY = "K001wJalrXUtnFEMIK7MDENGbPxRfi"
API = "https://api001.test"
DOWNLOAD = "https://f001.test"
REALM = "https://api.backblazeb2.com"
CAPABILITIES = [
    "listBuckets", "readBuckets", "writeBuckets", "deleteBuckets", "listFiles", "readFiles", "shareFiles", "writeFiles",
    "deleteFiles", "listKeys", "writeKeys", "deleteKeys", "readFileRetentions", "writeFileRetentions",
    "readFileLegalHolds", "writeFileLegalHolds", "bypassGovernance",
]  # fmt: skip
NEEDED = {
    "b2_list_buckets": "listBuckets",
    "b2_create_bucket": "writeBuckets",
    "b2_update_bucket": "writeBuckets",
    "b2_delete_bucket": "deleteBuckets",
    "b2_list_file_names": "listFiles",
    "b2_list_file_versions": "listFiles",
    "b2_list_unfinished_large_files": "listFiles",
    "b2_get_file_info": "readFiles",
    "b2_get_download_authorization": "shareFiles",
    "b2_delete_file_version": "deleteFiles",
    "b2_create_key": "writeKeys",
    "b2_list_keys": "listKeys",
    "b2_delete_key": "deleteKeys",
    "b2_update_file_legal_hold": "writeFileLegalHolds",
    "b2_update_file_retention": "writeFileRetentions",
}
SPECIAL = {f"b2-{name}" for name in ("content-disposition", "content-language", "content-encoding", "expires")} | {
    "b2-cache-control"
}


class Fault(NamedTuple):
    """What shall go wrong with the next request of a call: an answer, or a way to lose it."""

    status: int = 0
    code: str = ""
    message: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 -- nobody changes it
    lost: str = ""
    """"before" or "after" the request is carried out the connection breaks; "stall": after which nothing comes."""
    body: bytes | None = None


class Entry(NamedTuple):
    """One line of the journal. where: the upload URL, for uploads."""

    call: str
    status: int
    where: str
    headers: dict[str, str]
    fields: dict[str, Any]


class FakeB2(FakeStore):
    """The service: who may ask, what is asked, and what shall go wrong with it."""

    def __init__(self, clock: Callable[[], float] = lambda: 1_700_000_000.0) -> None:
        super().__init__(clock)
        self.keys[KEY_ID] = {
            "secret": KEY,
            "capabilities": CAPABILITIES,
            "bucketIds": None,
            "namePrefix": None,
            "keyName": "master",
        }
        self.tokens: dict[str, str] = {}
        self.busy: set[str] = set()
        self.overlaps = 0
        self.journal: list[Entry] = []
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.lock = Lock()
        self.closed = 0
        self.during_upload: Callable[[], None] | None = None

    # --- for tests

    def fault(self, call: str, *faults: Fault) -> None:
        """Let the next requests of this call go wrong, one fault each."""
        self.faults[call].extend(faults)

    def expire(self) -> None:
        """All account tokens are too old from now on."""
        self.tokens = dict.fromkeys(self.tokens, "")

    def calls(self, name: str = "") -> list[str]:
        """The calls that were made, or those of one name."""
        return [entry.call for entry in self.journal if not name or entry.call == name]

    # --- Transport

    def close(self) -> None:
        self.closed += 1

    def __call__(self, request: Request) -> Response:
        call, where = self._named(request)
        body = self._read(request, call, where)
        fields: dict[str, Any] = json.loads(body) if call.startswith("b2_") and body and not where else {}
        fault = self.faults[call].popleft() if self.faults[call] else None
        status = 0
        try:
            if fault is not None and fault.status:
                status = fault.status
                if where:
                    self.dead_uploads.add(request.headers["authorization"])
                return self._faulty(request, fault)
            if fault is not None and fault.lost == "before":
                raise _lost(ConnectionLost("reset by the fake"))
            try:
                response = self._answer(request, call, where, fields, body)
            except Refusal as refusal:
                document = {"status": refusal.status, "code": refusal.code, "message": refusal.message}
                content = b"" if request.method == "HEAD" else json.dumps(document).encode()
                if where:
                    self.dead_uploads.add(request.headers["authorization"])
                response = Response(refusal.status, refusal.headers, content)
            status = response.status
            if fault is not None and fault.lost:
                status = 0
                raise _lost((TimedOut if fault.lost == "stall" else ConnectionLost)("lost by the fake"))
            return response
        finally:
            with self.lock:
                self.journal.append(Entry(call, status, where, dict(request.headers), fields))

    def _faulty(self, request: Request, fault: Fault) -> Response:
        document = json.dumps({"status": fault.status, "code": fault.code, "message": fault.message}).encode()
        content = document if fault.body is None else fault.body
        return Response(fault.status, dict(fault.headers), b"" if request.method == "HEAD" else content)

    def _named(self, request: Request) -> tuple[str, str]:
        if request.path.startswith("/file/"):
            return f"{request.method} name", ""
        name = request.path.removeprefix("/b2api/v4/")
        if request.origin == UPLOAD:
            return ("b2_upload_part" if "/part/" in request.path else "b2_upload_file"), request.path
        if name == "b2_download_file_by_id":
            return f"{request.method} id", ""
        return name, ""

    def _read(self, request: Request, call: str, where: str) -> bytes:
        body = request.body
        if isinstance(body, bytes):
            return self._guarded(request, where, lambda: body)
        assert isinstance(body, UploadBody)
        data = self._guarded(request, where, lambda: b"".join(bytes(block) for block in body.blocks()))
        assert len(data) == body.length
        return data

    def _guarded(self, request: Request, where: str, read: Callable[[], bytes]) -> bytes:
        if not where:
            return read()
        token = request.headers["authorization"]
        with self.lock:
            if token in self.busy:
                self.overlaps += 1
            self.busy.add(token)
        try:
            if self.during_upload is not None:
                self.during_upload()
            return read()
        finally:
            with self.lock:
                self.busy.discard(token)

    def _answer(self, request: Request, call: str, where: str, fields: dict[str, Any], body: bytes) -> Response:
        assert request.headers["host"] == request.origin.partition("://")[2]
        with self.lock:
            if call == "b2_authorize_account":
                return _json(self._authorize(request))
            if where:
                return _json(self._uploaded(request, call, where, body))
            if call.endswith((" name", " id")):
                return self._download(request, call)
            key = self._key(request)
            self._check(key, NEEDED.get(call, "writeFiles"), fields)
            answer = getattr(self, call.removeprefix("b2_"), None)
            if answer is None:
                raise Refusal(400, "bad_request", f"unknown API: {call}")
            return _json(answer(fields, key))

    # --- who asks

    def _authorize(self, request: Request) -> dict[str, Any]:
        assert request.origin in {REALM, "http://localhost"}
        kind, _, encoded = request.headers["authorization"].partition(" ")
        key_id, _, secret = base64.b64decode(encoded).decode().partition(":")
        key = self.keys.get(key_id)
        if kind != "Basic" or key is None or key["secret"] != secret:
            raise Refusal(401, "bad_auth_token")
        token = f"4_{key_id}_{self._next():06d}_acct"
        self.tokens[token] = key_id
        ids = key["bucketIds"]
        buckets = None
        if ids is not None:
            buckets = [{"id": one, "name": self.buckets.get(one, {}).get("bucketName")} for one in ids]
        allowed = {"buckets": buckets, "capabilities": key["capabilities"], "namePrefix": key["namePrefix"]}
        storage = {
            "apiUrl": API,
            "downloadUrl": DOWNLOAD,
            "s3ApiUrl": "https://s3.test",
            "recommendedPartSize": self.recommended,
            "absoluteMinimumPartSize": self.minimum,
            "allowed": allowed,
        }
        return {
            "accountId": "4aa9865d6f00",
            "authorizationToken": token,
            "applicationKeyExpirationTimestamp": None,
            "apiInfo": {"storageApi": storage},
        }

    def _key(self, request: Request) -> dict[str, Any]:
        token = request.headers.get("authorization", "")
        if token not in self.tokens:
            raise Refusal(401, "bad_auth_token", f"Invalid authorization token: {token}")
        if not self.tokens[token]:
            raise Refusal(401, "expired_auth_token", "Authorization token has expired")
        return self.keys[self.tokens[token]]

    def _check(self, key: dict[str, Any], capability: str, fields: dict[str, Any]) -> None:
        ids = key["bucketIds"]
        bucket_id = fields.get("bucketId")
        if bucket_id is None and "bucketName" in fields:
            bucket_id = next(
                (b["bucketId"] for b in self.buckets.values() if b["bucketName"] == fields["bucketName"]), 0
            )
        name = fields.get("fileName", fields.get("prefix", fields.get("fileNamePrefix", "")))
        is_out = ids is not None and ("bucketId" in fields or capability == "listBuckets") and bucket_id not in ids
        if capability not in key["capabilities"] or is_out:
            raise Refusal(401, "unauthorized", "unauthorized")
        concerns_names = {"fileName", "prefix", "fileNamePrefix"} & fields.keys() or capability == "listFiles"
        if key["namePrefix"] and concerns_names and not name.startswith(key["namePrefix"]):
            raise Refusal(401, "unauthorized", "unauthorized")

    # --- downloads

    def _download(self, request: Request, call: str) -> Response:
        if call.endswith(" id"):
            self._check(self._key(request), "readFiles", {})
            row = self._by_id(parse_qs(request.query)["fileId"][0])
        else:
            _, _, bucket_name, encoded = request.path.split("/", 3)
            name = unquote(encoded)
            bucket = self._bucket_named(bucket_name)
            token = parse_qs(request.query).get("Authorization", [""])[0]
            allowed = name.startswith(self.downloads[token]) if token in self.downloads else False
            if not allowed and bucket["bucketType"] != "allPublic":
                self._check(self._key(request), "readFiles", {"bucketId": bucket["bucketId"], "fileName": name})
            versions = [r for r in self._versions(bucket["bucketId"], name) if r["action"] != "start"]
            if not versions or versions[0]["action"] == "hide":
                raise Refusal(404, "not_found", f"bucket {bucket_name} does not have file: {name}")
            row = versions[0]
        if row["action"] != "upload":
            raise Refusal(404, "not_found", "File is not there to be downloaded")
        return self._content(request, row)

    def _content(self, request: Request, row: dict[str, Any]) -> Response:
        headers = {
            "content-type": row["contentType"],
            "accept-ranges": "bytes",
            "x-bz-file-id": row["fileId"],
            "x-bz-file-name": quote(row["fileName"].encode(), safe="/"),
            "x-bz-content-sha1": row["contentSha1"],
            "x-bz-upload-timestamp": str(row["uploadTimestamp"]),
        }
        for name, value in row["fileInfo"].items():
            if name in SPECIAL:
                headers[name[3:]] = value
            else:
                headers[f"x-bz-info-{name}"] = quote(value.encode(), safe="/").replace("%20", "+")
        data, status = row["data"], 200
        if wanted := request.headers.get("range"):
            match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
            assert match is not None
            size = len(data)
            first = int(match[1]) if match[1] else max(0, size - int(match[2]))
            last = min(int(match[2]), size - 1) if match[1] and match[2] else size - 1
            if first >= size:
                raise Refusal(416, "range_not_satisfiable", "the range is not satisfiable")
            headers["content-range"] = f"bytes {first}-{last}/{size}"
            data, status = data[first : last + 1], 206
        headers["content-length"] = str(len(data))
        return Response(status, headers, b"" if request.method == "HEAD" else data)


def _lost(error: TransportError) -> TransportError:
    # A client cannot know whether the request was carried out; a Transport says so.
    error.maybe_applied = True
    return error


def _json(document: dict[str, Any]) -> Response:
    return Response(200, {"content-type": "application/json"}, json.dumps(document).encode())
