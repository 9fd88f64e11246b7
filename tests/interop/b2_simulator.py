"""b2sdk's RawSimulator on a loopback port: a B2 service that its vendor wrote. Run by a Python that has b2sdk.

It prints one line of JSON (url, key_id, key) and serves until it is terminated. What the simulator leaves out is mended
here where a client would stumble over it: a prefix without a start, the bucket of a copied file, the addresses, and
one upload at a time per token. It does not check who downloads, knows no delimiter, and counts file ids per bucket.

Below /control/ it is told to fail, and says what it was asked, in the words of Backblaze's harness for clients: POST
faults, POST wire-faults, GET and DELETE journal; POST expire ends every token.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
import re
import socket
import struct
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

errors: Any = importlib.import_module("b2sdk._internal.exception")
file_lock: Any = importlib.import_module("b2sdk._internal.file_lock")
raw_api: Any = importlib.import_module("b2sdk._internal.raw_api")
raw_simulator: Any = importlib.import_module("b2sdk._internal.raw_simulator")

warnings.simplefilter("ignore")
raw_simulator.BucketSimulator.MAX_SIMPLE_COPY_SIZE = 100_000
RENAMED = {
    "b2_get_file_info": "get_file_info_by_id",
}
ARGUMENTS = {
    ("b2_copy_file", "fileName"): "new_file_name",
    ("b2_create_key", "validDurationInSeconds"): "valid_duration_seconds",
    ("b2_list_unfinished_large_files", "namePrefix"): "prefix",
    ("b2_get_download_authorization", "validDurationInSeconds"): "valid_duration_in_seconds",
}
REQUIRED = {
    "b2_create_key": ("valid_duration_seconds", "bucket_ids", "name_prefix"),
    "b2_list_parts": ("start_part_number", "max_part_count"),
}
ANSWERS: list[tuple[type[Exception], int, str]] = [
    (errors.InvalidAuthToken, 401, "expired_auth_token"),
    (errors.Unauthorized, 401, "unauthorized"),
    (errors.NonExistentBucket, 400, "bad_bucket_id"),
    (errors.DuplicateBucketName, 400, "duplicate_bucket_name"),
    (errors.UploadTokenUsedConcurrently, 400, "auth_token_limit"),
    (errors.FileSha1Mismatch, 400, "bad_request"),
    (errors.PartSha1Mismatch, 400, "bad_request"),
    (errors.MissingPart, 400, "missing_part"),
    (errors.ChecksumMismatch, 400, "part_sha1_mismatch"),
    (errors.CopySourceTooBig, 400, "source_too_large"),
    (errors.FileNotPresent, 404, "not_found"),
    (KeyError, 400, "bad_request"),
]


def snake(name: str) -> str:
    """bucketId as the simulator writes it."""
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)


class Simulator:
    """The simulator with its addresses, and a record of which tokens are in use."""

    def __init__(self) -> None:
        self.raw = raw_simulator.RawSimulator()
        self.raw.MIN_PART_SIZE = 200
        self.key_id, self.key = self.raw.create_account()
        self.lock = threading.RLock()
        self.busy: set[str] = set()
        self.url = ""
        self.faults: list[dict[str, Any]] = []
        self.journal: list[dict[str, Any]] = []

    def control(self, method: str, name: str, fields: dict[str, Any]) -> Any:
        """What tests ask for."""
        with self.lock:
            if name == "expire":
                self.raw.expired_auth_tokens.update(self.raw.auth_token_to_key)
            elif name == "journal" and method == "GET":
                return {"entries": list(self.journal)}
            elif name == "journal":
                self.journal.clear()
                self.faults.clear()
            else:
                self.faults.append({"count": 1, **fields})
        return {}

    def fault(self, endpoint: str) -> dict[str, Any]:
        """What shall go wrong with this call."""
        with self.lock:
            for fault in self.faults:
                if fault["on"] == endpoint and fault["count"] > 0:
                    fault["count"] -= 1
                    return fault
        return {}

    def call(self, name: str, token: str, fields: dict[str, Any]) -> Any:
        """One call of the API."""
        method = getattr(self.raw, RENAMED.get(name, name.removeprefix("b2_")))
        arguments = {ARGUMENTS.get((name, field), snake(field)): value for field, value in fields.items()}
        for argument in REQUIRED.get(name, ()):
            arguments.setdefault(argument, None)
        if name.startswith("b2_list_file") and arguments.get("prefix"):
            # Without a start, the simulator looks at the first file only.
            arguments["start_file_name"] = max(arguments.get("start_file_name") or "", arguments["prefix"])
        if "range" in arguments:
            first, last = arguments.pop("range").removeprefix("bytes=").split("-")
            arguments["bytes_range"] = (int(first), int(last))
        if "metadata_directive" in arguments:
            arguments["metadata_directive"] = raw_api.MetadataDirectiveMode[arguments["metadata_directive"]]
        answer = method(self.raw.API_URL, token, **arguments)
        if name == "b2_copy_file":
            self.raw.file_id_to_bucket_id[answer["fileId"]] = answer["bucketId"]
        if name in {"b2_get_upload_url", "b2_get_upload_part_url"}:
            answer["uploadUrl"] = f"{self.url}/upload/{answer['uploadUrl'].removeprefix('https://upload.example.com/')}"
        return answer

    def upload(self, path: str, headers: dict[str, str], body: bytes) -> Any:
        """A file or a part."""
        token = headers["authorization"]
        with self.lock:
            if token in self.busy:
                raise errors.UploadTokenUsedConcurrently(token)
            self.busy.add(token)
        try:
            stream = io.BytesIO(body)
            url = "https://upload.example.com/" + path.removeprefix("/upload/")
            sha1 = headers["x-bz-content-sha1"]
            if "x-bz-part-number" in headers:
                number = int(headers["x-bz-part-number"])
                with self.lock:
                    return self.raw.upload_part(url, token, number, len(body), sha1, stream)
            info = {name[10:]: unquote_plus(value) for name, value in headers.items() if name.startswith("x-bz-info-")}
            name = unquote_plus(headers["x-bz-file-name"])
            with self.lock:
                return self.raw.upload_file(
                    url, token, name, len(body), headers["content-type"], sha1, info, stream,
                    file_retention=file_lock.NO_RETENTION_FILE_SETTING,
                )  # fmt: skip
        finally:
            with self.lock:
                self.busy.discard(token)

    def file(self, path: str, query: str) -> Any:
        """The file that a download is about."""
        if path.startswith("/file/"):
            _, _, bucket_name, name = path.split("/", 3)
            bucket = self.raw.bucket_name_to_bucket.get(bucket_name)
            if bucket is None:
                raise errors.FileNotPresent(file_id_or_name=name)
            wanted = unquote(name)
            for key in sorted(bucket.file_name_and_id_to_file):
                if key[0] == wanted and bucket.file_name_and_id_to_file[key].action != "start":
                    found = bucket.file_name_and_id_to_file[key]
                    if found.is_visible():
                        return found
                    break
            raise errors.FileNotPresent(file_id_or_name=wanted)
        file_id = parse_qs(query)["fileId"][0]
        bucket_id = self.raw.file_id_to_bucket_id.get(file_id)
        found = self.raw.bucket_id_to_bucket[bucket_id].file_id_to_file.get(file_id) if bucket_id else None
        if found is None or not found.is_visible():
            raise errors.FileNotPresent(file_id_or_name=file_id)
        return found


class Handler(BaseHTTPRequestHandler):
    """HTTP around it."""

    protocol_version = "HTTP/1.1"
    # Head and body in one piece: apart they would wait for each other.
    wbufsize = 64 * 1024
    simulator: Simulator

    def do_POST(self) -> None:
        """Calls and uploads."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self._answered(lambda: self._call(body))

    def do_GET(self) -> None:
        """b2_authorize_account and downloads."""
        self._answered(self._read)

    do_HEAD = do_GET  # noqa: N815 -- the name that http.server looks for

    do_DELETE = do_GET  # noqa: N815 -- the name that http.server looks for

    def _endpoint(self) -> str:
        path = urlsplit(self.path).path
        if path.startswith("/upload/"):
            return "b2_upload_part" if "x-bz-part-number" in self.headers else "b2_upload_file"
        return "b2_download_file_by_name" if path.startswith("/file/") else path.rpartition("/")[2]

    def _answered(self, work: Any) -> None:
        if self.path.startswith("/control/"):
            self._work(work)
            return
        simulator, endpoint = self.simulator, self._endpoint()
        fault = simulator.fault(endpoint)
        kind = fault.get("kind")
        self.status = 0
        if kind == "stall":
            time.sleep(fault["ms"] / 1000)
        if fault.get("status"):
            document = {"status": fault["status"], "code": fault["code"], "message": "as it was told"}
            more = {"retry-after": str(fault["retryAfter"])} if "retryAfter" in fault else {}
            self._send(fault["status"], json.dumps(document).encode(), more)
        elif kind == "reset-mid-request":
            self._reset()
        else:
            if kind == "reset-before-response":
                self.wfile = io.BytesIO()
            try:
                self._work(work)
            except OSError:
                # Whoever asked has gone; so has a client that did not wait for a stall to end.
                self.close_connection = True
            if kind == "reset-before-response":
                self.status = 0
                self._reset()
        url = self.path.removeprefix("/upload/") if endpoint.startswith("b2_upload_") else None
        with simulator.lock:
            simulator.journal.append({"endpoint": endpoint, "status": self.status, "uploadUrlId": url})

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.wfile = io.BytesIO()
        self.close_connection = True

    def _work(self, work: Any) -> None:
        try:
            work()
        except OSError:
            raise
        except Exception as error:
            known = next(((status, code) for kind, status, code in ANSWERS if isinstance(error, kind)), None)
            status, code = known or (500, "internal_error")
            if self.path.endswith("b2_delete_file_version") and status == 404:
                status, code = 400, "file_not_present"
            message = "Sha1 did not match data received" if "Sha1" in type(error).__name__ else repr(error)
            self._send(status, json.dumps({"status": status, "code": code, "message": message}).encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status = status
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _call(self, body: bytes) -> None:
        simulator = self.simulator
        path = urlsplit(self.path).path
        headers = {name.lower(): value for name, value in self.headers.items()}
        if path.startswith("/upload/"):
            answer = simulator.upload(path, headers, body)
        elif path.startswith("/control/"):
            answer = simulator.control("POST", path.rpartition("/")[2], json.loads(body or b"{}"))
        else:
            with simulator.lock:
                answer = simulator.call(path.rpartition("/")[2], headers["authorization"], json.loads(body))
        self._send(200, json.dumps(answer, default=list).encode(), {"content-type": "application/json"})

    def _read(self) -> None:
        simulator = self.simulator
        parts = urlsplit(self.path)
        if parts.path.startswith("/control/"):
            document = simulator.control(self.command, parts.path.rpartition("/")[2], {})
            self._send(200, json.dumps(document).encode(), {})
            return
        if parts.path.endswith("b2_authorize_account"):
            pair = base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()
            key_id, _, key = pair.partition(":")
            with simulator.lock:
                document = simulator.raw.authorize_account(None, key_id, key)
            document["apiInfo"]["storageApi"].update(
                apiUrl=simulator.url, downloadUrl=simulator.url, absoluteMinimumPartSize=200, recommendedPartSize=1000
            )
            self._send(200, json.dumps(document).encode(), {})
            return
        with simulator.lock:
            found = simulator.file(parts.path, parts.query)
            token = self.headers.get("authorization")
            headers = dict(found.as_download_headers(token))
            data = found.data_bytes
        status = 200
        if wanted := self.headers.get("range"):
            first, last = wanted.removeprefix("bytes=").split("-")
            size = len(data)
            start = int(first) if first else max(0, size - int(last))
            end = min(int(last), size - 1) if first and last else size - 1
            headers["content-range"] = f"bytes {start}-{end}/{size}"
            data, status = data[start : end + 1], 206
        headers = {name: str(value) for name, value in headers.items() if name.lower() != "content-length"}
        self._send(status, data, headers)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def main() -> None:
    """Serve until terminated."""
    simulator = Handler.simulator = Simulator()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    simulator.url = f"http://127.0.0.1:{server.server_address[1]}"
    print(json.dumps({"url": simulator.url, "key_id": simulator.key_id, "key": simulator.key}), flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
