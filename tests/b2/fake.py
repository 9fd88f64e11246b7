"""The B2 native API as a Transport, in memory: what the documents say, with faults on request and a journal.

It shares no code with the client beyond Request and Response. Rules that clients get wrong are kept strictly: an upload
token is good for one upload at a time and dead after a failure, tokens expire, HEAD answers have no body, a file that
was finished cannot be finished again, a page has at most 1,000 rows.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import defaultdict, deque
from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, unquote_plus

from s3func.errors import ConnectionLost, TimedOut, TransportError
from s3func.message import Request, Response, UploadBody

KEY_ID = "0014aa9865d6f00000000001"
KEY = "K001wJalrXUtnFEMIK7MDENGbPxRfi"
API = "https://api001.test"
DOWNLOAD = "https://f001.test"
UPLOAD = "https://pod-000-1000-00.test"
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
LAW = re.compile(r"[\x00-\x1f\x7f]")
SPECIAL = {f"b2-{name}" for name in ("content-disposition", "content-language", "content-encoding", "expires")} | {
    "b2-cache-control"
}


class Refusal(Exception):
    """What the service answers in place of a result."""

    def __init__(self, status: int, code: str, message: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


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


class FakeB2:
    """One account with its keys, buckets and files."""

    def __init__(self, clock: Callable[[], float] = lambda: 1_700_000_000.0) -> None:
        self.clock = clock
        self.keys: dict[str, dict[str, Any]] = {
            KEY_ID: {"secret": KEY, "capabilities": CAPABILITIES, "bucketIds": None, "namePrefix": None, "keyName": "m"}
        }
        self.tokens: dict[str, str] = {}
        self.buckets: dict[str, dict[str, Any]] = {}
        self.files: list[dict[str, Any]] = []
        self.uploads: dict[str, str] = {}
        self.dead_uploads: set[str] = set()
        self.busy: set[str] = set()
        self.overlaps = 0
        self.downloads: dict[str, str] = {}
        self.journal: list[Entry] = []
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.lock = Lock()
        self.counter = 0
        self.closed = 0
        self.minimum = 5_000_000
        self.recommended = 100_000_000
        self.copy_max = 5_000_000_000
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

    def bucket(self, name: str, **settings: Any) -> str:
        """Make a bucket."""
        bucket_id = f"{self._next():024x}"
        self.buckets[bucket_id] = {
            "accountId": "4aa9865d6f00",
            "bucketId": bucket_id,
            "bucketName": name,
            "bucketType": "allPrivate",
            "revision": 1,
            **settings,
        }
        return bucket_id

    def add(self, bucket: str, key: str, data: bytes = b"", **fields: Any) -> dict[str, Any]:
        """Put a row into a bucket, as it is."""
        row = self._row(self._bucket_named(bucket)["bucketId"], key, data)
        row.update(fields)
        self.files.append(row)
        return row

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
        assert request.origin == REALM
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

    def _next(self) -> int:
        self.counter += 1
        return self.counter

    # --- buckets and keys

    def _bucket_named(self, name: str) -> dict[str, Any]:
        for bucket in self.buckets.values():
            if bucket["bucketName"] == name:
                return bucket
        raise Refusal(404, "not_found", f"Bucket does not exist: {name}")

    def _known(self, bucket_id: str) -> str:
        if bucket_id not in self.buckets:
            raise Refusal(400, "bad_bucket_id", f"Invalid bucket id: {bucket_id}")
        return bucket_id

    def list_buckets(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        wanted = (fields.get("bucketId"), fields.get("bucketName"))
        rows = [
            bucket
            for bucket in self.buckets.values()
            if wanted[0] in (None, bucket["bucketId"]) and wanted[1] in (None, bucket["bucketName"])
        ]
        return {"buckets": rows}

    def create_bucket(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        if any(bucket["bucketName"] == fields["bucketName"] for bucket in self.buckets.values()):
            raise Refusal(400, "duplicate_bucket_name", "Bucket name is already in use.")
        rest = {name: value for name, value in fields.items() if name not in {"accountId", "bucketName"}}
        return self.buckets[self.bucket(fields["bucketName"], **rest)]

    def update_bucket(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        bucket = self.buckets[self._known(fields["bucketId"])]
        if fields.pop("ifRevisionIs", bucket["revision"]) != bucket["revision"]:
            raise Refusal(409, "conflict", "simultaneous updates to bucket")
        bucket.update(fields, revision=bucket["revision"] + 1)
        return bucket

    def delete_bucket(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        if any(row["bucketId"] == fields["bucketId"] for row in self.files):
            raise Refusal(400, "cannot_delete_non_empty_bucket", "Cannot delete non-empty bucket")
        return self.buckets.pop(self._known(fields["bucketId"]))

    def create_key(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        key_id = f"0014aa9865d6f00{self._next():010d}"
        self.keys[key_id] = {
            "secret": f"K001secret{key_id}",
            "capabilities": fields["capabilities"],
            "bucketIds": fields.get("bucketIds"),
            "namePrefix": fields.get("namePrefix"),
            "keyName": fields["keyName"],
        }
        return {**self._key_row(key_id), "applicationKey": self.keys[key_id]["secret"]}

    def _key_row(self, key_id: str) -> dict[str, Any]:
        key = self.keys[key_id]
        row = {name: key[name] for name in ("capabilities", "bucketIds", "namePrefix", "keyName")}
        return {**row, "applicationKeyId": key_id, "accountId": "4aa9865d6f00", "expirationTimestamp": None}

    def list_keys(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        ids = [one for one in sorted(self.keys) if one >= (fields.get("startApplicationKeyId") or "")]
        page = ids[: fields["maxKeyCount"]]
        after = ids[len(page)] if len(ids) > len(page) else None
        return {"keys": [self._key_row(one) for one in page], "nextApplicationKeyId": after}

    def delete_key(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        if fields["applicationKeyId"] not in self.keys:
            raise Refusal(400, "bad_request", "application key does not exist")
        row = self._key_row(fields["applicationKeyId"])
        del self.keys[fields["applicationKeyId"]]
        return row

    # --- uploads

    def get_upload_url(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        return self._granted("bucketId", self._known(fields["bucketId"]), "file")

    def get_upload_part_url(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        self._unfinished(fields["fileId"])
        return self._granted("fileId", fields["fileId"], "part")

    def _granted(self, name: str, value: str, kind: str) -> dict[str, Any]:
        number = self._next()
        path = f"/b2api/v4/{kind}/{value}/c001_v{number:07d}_t0000"
        token = f"4_up_{number:06d}_upld"
        self.uploads[token] = path
        return {name: value, "uploadUrl": UPLOAD + path, "authorizationToken": token}

    def _uploaded(self, request: Request, call: str, where: str, body: bytes) -> dict[str, Any]:
        headers = request.headers
        token = headers["authorization"]
        if token in self.dead_uploads or self.uploads.get(token) != where:
            raise Refusal(401, "bad_auth_token", "the upload token is of no use any more")
        announced = headers["x-bz-content-sha1"]
        if announced == "hex_digits_at_end":
            body, announced = body[:-40], body[-40:].decode()
        actual = hashlib.sha1(body).hexdigest()
        if announced != actual:
            raise Refusal(400, "bad_request", "Sha1 did not match data received")
        target = where.split("/")[4]
        if call == "b2_upload_part":
            row = self._unfinished(target)
            part = {
                "fileId": target,
                "partNumber": int(headers["x-bz-part-number"]),
                "contentLength": len(body),
                "contentSha1": actual,
                "contentMd5": None,
                "uploadTimestamp": self._now(),
                "data": body,
            }
            row["parts"][part["partNumber"]] = part
            return {name: value for name, value in part.items() if name != "data"}
        name = unquote_plus(headers["x-bz-file-name"])
        if LAW.search(name):
            raise Refusal(400, "bad_request", "File names must not contain control characters")
        row = self._row(target, name, body)
        row["contentType"] = headers["content-type"].replace("b2/x-auto", "application/octet-stream")
        row["fileInfo"] = {
            name[10:].lower(): unquote_plus(value) for name, value in headers.items() if name.startswith("x-bz-info-")
        }
        self.files.append(row)
        return _shown(row)

    def _now(self) -> int:
        return int(self.clock() * 1000)

    def _row(self, bucket_id: str, name: str, body: bytes) -> dict[str, Any]:
        number = self._next()
        return {
            "accountId": "4aa9865d6f00",
            "action": "upload",
            "bucketId": bucket_id,
            "contentLength": len(body),
            "contentMd5": hashlib.md5(body).hexdigest(),
            "contentSha1": hashlib.sha1(body).hexdigest(),
            "contentType": "application/octet-stream",
            "fileId": f"4_z{bucket_id}_f1{number:015x}_d20261121_m100000_c001_v0001000_t0000_u0{self._now()}",
            "fileInfo": {},
            "fileName": name,
            "fileRetention": {"isClientAuthorizedToRead": True, "value": {"mode": None, "retainUntilTimestamp": None}},
            "legalHold": {"isClientAuthorizedToRead": True, "value": None},
            "serverSideEncryption": {"algorithm": None, "mode": None},
            "uploadTimestamp": self._now(),
            "data": body,
        }

    def start_large_file(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        row = self._row(self._known(fields["bucketId"]), fields["fileName"], b"")
        row["fileId"] = row["fileId"].replace("_f1", "_f2")
        row.update(action="start", contentSha1="none", contentMd5=None, contentLength=0, parts={})
        row.update(contentType=fields["contentType"], fileInfo=fields.get("fileInfo", {}))
        self.files.append(row)
        return _shown(row)

    def _unfinished(self, file_id: str) -> dict[str, Any]:
        row = next((row for row in self.files if row["fileId"] == file_id and row["action"] == "start"), None)
        if row is None:
            raise Refusal(400, "bad_request", f"No active upload for: {file_id}")
        return row

    def finish_large_file(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        row = self._unfinished(fields["fileId"])
        parts = [row["parts"][number] for number in sorted(row["parts"])]
        if [part["partNumber"] for part in parts] != list(range(1, len(parts) + 1)) or not parts:
            raise Refusal(400, "missing_part", "parts are missing")
        if [part["contentSha1"] for part in parts] != fields["partSha1Array"]:
            raise Refusal(400, "part_sha1_mismatch", "the SHA-1s differ")
        if any(part["contentLength"] < self.minimum for part in parts[:-1]):
            raise Refusal(400, "bad_request", "Part number 1 is smaller than 5000000 bytes")
        data = b"".join(part["data"] for part in parts)
        row.update(action="upload", data=data, contentLength=len(data))
        del row["parts"]
        return _shown(row)

    def cancel_large_file(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        row = self._unfinished(fields["fileId"])
        self.files.remove(row)
        return {name: row[name] for name in ("accountId", "bucketId", "fileId", "fileName")}

    def list_parts(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        row = self._unfinished(fields["fileId"])
        numbers = [number for number in sorted(row["parts"]) if number >= fields.get("startPartNumber", 1)]
        page = numbers[: fields["maxPartCount"]]
        parts = [{name: v for name, v in row["parts"][number].items() if name != "data"} for number in page]
        return {"parts": parts, "nextPartNumber": numbers[len(page)] if len(numbers) > len(page) else None}

    def list_unfinished_large_files(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        rows = [
            row
            for row in sorted(self.files, key=lambda row: row["fileId"])
            if row["action"] == "start"
            and row["bucketId"] == fields["bucketId"]
            and row["fileName"].startswith(fields.get("namePrefix", ""))
            and row["fileId"] >= fields.get("startFileId", "")
        ]
        assert fields["maxFileCount"] <= 100
        page = rows[: fields["maxFileCount"]]
        after = rows[len(page)]["fileId"] if len(rows) > len(page) else None
        return {"files": [_shown(row) for row in page], "nextFileId": after}

    def copy_file(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        source = self._by_id(fields["sourceFileId"])
        if source["contentLength"] > self.copy_max:
            raise Refusal(400, "source_too_large", f"Copy source too big: {source['contentLength']}")
        replaces = fields["metadataDirective"] == "REPLACE"
        if replaces != ("contentType" in fields):
            raise Refusal(400, "bad_request", "contentType goes with REPLACE")
        row = self._row(fields.get("destinationBucketId", source["bucketId"]), fields["fileName"], source["data"])
        row.update(contentType=source["contentType"], fileInfo=dict(source["fileInfo"]))
        if replaces:
            row.update(contentType=fields["contentType"], fileInfo=fields.get("fileInfo", {}))
        self.files.append(row)
        return {**_shown(row), "action": "copy"}

    def copy_part(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        source, row = self._by_id(fields["sourceFileId"]), self._unfinished(fields["largeFileId"])
        data = source["data"]
        if "range" in fields:
            first, last = map(int, fields["range"].removeprefix("bytes=").split("-"))
            data = data[first : last + 1]
        part = {
            "fileId": row["fileId"],
            "partNumber": fields["partNumber"],
            "contentLength": len(data),
            "contentSha1": hashlib.sha1(data).hexdigest(),
            "data": data,
        }
        row["parts"][part["partNumber"]] = part
        return {name: value for name, value in part.items() if name != "data"}

    # --- files

    def _by_id(self, file_id: str) -> dict[str, Any]:
        row = next((row for row in self.files if row["fileId"] == file_id), None)
        if row is None:
            raise Refusal(404, "not_found", f"File with fileId {file_id} not found")
        return row

    def _versions(self, bucket_id: str, key: str) -> list[dict[str, Any]]:
        """Of one name, newest first."""
        return [row for row in reversed(self.files) if row["bucketId"] == bucket_id and row["fileName"] == key]

    def get_file_info(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        return _shown(self._by_id(fields["fileId"]))

    def hide_file(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        versions = [r for r in self._versions(fields["bucketId"], fields["fileName"]) if r["action"] != "start"]
        if not versions:
            raise Refusal(400, "no_such_file", f"File not present: {fields['fileName']}")
        if versions[0]["action"] == "hide":
            raise Refusal(400, "already_hidden", f"File already hidden: {fields['fileName']}")
        row = self._row(fields["bucketId"], fields["fileName"], b"")
        row.update(action="hide", contentType="application/x-bz-hide-marker")
        for name in ("fileRetention", "legalHold", "serverSideEncryption"):
            del row[name]
        self.files.append(row)
        return _shown(row)

    def delete_file_version(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        row = next((r for r in self.files if r["fileId"] == fields["fileId"]), None)
        if row is None or row["fileName"] != fields["fileName"]:
            raise Refusal(400, "file_not_present", "File not present")
        if (row.get("legalHold") or {}).get("value") == "on":
            raise Refusal(403, "access_denied", "the file is under legal hold")
        self.files.remove(row)
        return {name: row[name] for name in ("fileId", "fileName")}

    def update_file_legal_hold(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        self._by_id(fields["fileId"])["legalHold"]["value"] = fields["legalHold"]
        return fields

    def update_file_retention(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        self._by_id(fields["fileId"])["fileRetention"]["value"] = fields["fileRetention"]
        return fields

    def list_file_names(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        rows = []
        for name in self._names(fields):
            newest = next((r for r in self._versions(fields["bucketId"], name) if r["action"] != "start"), None)
            if newest is not None and newest["action"] != "hide":
                rows.append(newest)
        return self._page(rows, fields, lambda row: {"nextFileName": row["fileName"]})

    def list_file_versions(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        rows = []
        for name in self._names(fields):
            versions = self._versions(fields["bucketId"], name)
            if name == fields.get("startFileName") and fields.get("startFileId"):
                ids = [row["fileId"] for row in versions]
                versions = versions[ids.index(fields["startFileId"]) :]
            rows += versions
        return self._page(rows, fields, lambda row: {"nextFileName": row["fileName"], "nextFileId": row["fileId"]})

    def _names(self, fields: dict[str, Any]) -> list[str]:
        self._known(fields["bucketId"])
        names = {row["fileName"] for row in self.files if row["bucketId"] == fields["bucketId"]}
        start, prefix = fields.get("startFileName") or "", fields.get("prefix") or ""
        return sorted(name for name in names if name >= start and name.startswith(prefix))

    def _page(
        self, rows: list[dict[str, Any]], fields: dict[str, Any], after: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        assert 1 <= fields["maxFileCount"] <= 1000
        prefix, delimiter = fields.get("prefix") or "", fields.get("delimiter")
        shown: list[dict[str, Any]] = []
        for row in rows:
            end = row["fileName"].find(delimiter, len(prefix)) if delimiter else -1
            folder = row["fileName"][: end + len(delimiter or "")] if end >= 0 else None
            if folder is not None and shown and shown[-1]["fileName"] == folder:
                continue
            if len(shown) == fields["maxFileCount"]:
                following = {"nextFileName": None, "nextFileId": None} | after(row)
                if folder is not None:
                    following = {"nextFileName": folder, "nextFileId": None}
                return {"files": shown, **following}
            shown.append(_shown(row) if folder is None else _folder(folder))
        return {"files": shown, "nextFileName": None, "nextFileId": None}

    # --- downloads

    def get_download_authorization(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        token = f"3_down_{self._next():06d}"
        self.downloads[token] = fields["fileNamePrefix"]
        return {
            "bucketId": self._known(fields["bucketId"]),
            "fileNamePrefix": fields["fileNamePrefix"],
            "authorizationToken": token,
        }

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


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"data", "parts"}}


def _folder(name: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("fileId", "contentSha1", "contentMd5", "contentType"))
    return {**nothing, "action": "folder", "fileName": name, "contentLength": 0, "uploadTimestamp": 0, "fileInfo": {}}
