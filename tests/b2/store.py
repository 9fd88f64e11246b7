"""What the fake B2 service keeps: buckets, keys, upload URLs and files, one method per call of the API.

It shares no code with the client beyond Request, and is as strict as the documents say.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from s3func.message import Request

UPLOAD = "https://pod-000-1000-00.test"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Refusal(Exception):
    """What the service answers in place of a result."""

    def __init__(self, status: int, code: str, message: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class FakeStore:
    """One account with its keys, buckets and files; each public method is a call, given its fields and who asks."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.keys: dict[str, dict[str, Any]] = {}
        self.buckets: dict[str, dict[str, Any]] = {}
        self.files: list[dict[str, Any]] = []
        self.uploads: dict[str, str] = {}
        self.dead_uploads: set[str] = set()
        self.downloads: dict[str, str] = {}
        self.counter = 0
        self.minimum = 5_000_000
        self.recommended = 100_000_000
        self.copy_max = 5_000_000_000

    def _next(self) -> int:
        self.counter += 1
        return self.counter

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
        if CONTROL.search(name):
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

    def get_download_authorization(self, fields: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
        token = f"3_down_{self._next():06d}"
        self.downloads[token] = fields["fileNamePrefix"]
        return {
            "bucketId": self._known(fields["bucketId"]),
            "fileNamePrefix": fields["fileNamePrefix"],
            "authorizationToken": token,
        }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"data", "parts"}}


def _folder(name: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("fileId", "contentSha1", "contentMd5", "contentType"))
    return {**nothing, "action": "folder", "fileName": name, "contentLength": 0, "uploadTimestamp": 0, "fileInfo": {}}
