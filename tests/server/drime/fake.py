"""A Drime of our own, made from the requests that pydrime sends: state in memory, faults on demand.

It is as strict as Drime is known to be, and stricter where that is not known: names are trimmed, and refused with
control characters or backslashes or more than 255 bytes; a second folder of a name is refused, also one that differs in
case only; files of one name lie side by side. `FakeDrime.answer` is the whole of it; `serve` puts it on a port, and
`transport` behind httpx without one.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import httpx

API_KEY = "drime-test-key-4711"
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f\\/]")


class Answer(NamedTuple):
    """What a request is answered with."""

    status: int
    body: bytes
    headers: dict[str, str]


class LostAnswer(Exception):
    """The connection ends without an answer."""


class Fault(NamedTuple):
    """One thing that goes wrong. when: "before" or "after" the request is carried out."""

    pattern: re.Pattern[str]
    status: int | None
    when: str
    seconds: float


class FakeDrime:
    """One account with its workspaces."""

    def __init__(self, *, page_style: str = "both") -> None:
        """page_style: how a listing says that there is more: "last_page", "next_page", "both" or "neither"."""
        self.page_style = page_style
        self.entries: dict[int, dict[str, Any]] = {}
        self.bodies: dict[int, bytes] = {}
        self.requests: list[str] = []
        self.authorizations: list[str] = []
        self.has_twin_folders = False
        self.page_max = 1000
        self.ranges = True
        self.redirects = False
        self.incomplete = 0
        self.seconds = 0.0
        self._uploads: dict[str, dict[int, bytes]] = {}
        self._stored: dict[str, bytes] = {}
        self._faults: list[Fault] = []
        self._ids = count(480_000_001)
        self.begin = datetime.now(UTC)
        self._moments = count()
        self._lock = threading.RLock()
        self.url = "http://drime.test/api/v1"

    # What tests do.

    def fail(
        self, pattern: str, *, times: int = 1, status: int | None = None, when: str = "before", seconds: float = 0.0
    ) -> None:
        """Let requests go wrong whose "METHOD /path" has the pattern: with a status, or without an answer."""
        with self._lock:
            self._faults += [Fault(re.compile(pattern), status, when, seconds)] * times

    @property
    def faults_left(self) -> int:
        return len(self._faults)

    def tree(self, workspace: int = 0) -> dict[str, bytes | None]:
        """Every path; None for a folder."""
        with self._lock:
            found: dict[str, bytes | None] = {}
            for entry in self.entries.values():
                if entry["workspace_id"] == workspace and not entry["deleted_at"]:
                    found[self.path(entry["id"])] = self.bodies.get(entry["id"])
            return found

    def path(self, entry_id: int) -> str:
        names = []
        place: int | None = entry_id
        while place is not None:
            names.append(self.entries[place]["name"])
            place = self.entries[place]["parent_id"]
        return "/".join(reversed(names))

    def add(self, path: str, body: bytes | None = None, workspace: int = 0) -> int:
        """What somebody does with the web interface: a file with a body, or a folder; another one of that name."""
        with self._lock:
            *folders, name = path.split("/")
            parent: int | None = None
            for folder in folders:
                found = self._child(parent, folder, workspace)
                is_it = found is not None and self.entries[found]["name"] == folder
                parent = found if is_it else self._new(folder, parent, workspace, None)
            return self._new(name, parent, workspace, body)

    def change(self, entry_id: int, body: bytes | None = None, **fields: Any) -> None:
        """Change an entry where it is."""
        with self._lock:
            entry = self.entries[entry_id]
            if body is not None:
                self.bodies[entry_id] = body
                entry["file_size"] = len(body)
            entry.update(fields)
            entry["updated_at"] = self._now()

    def count(self, pattern: str) -> int:
        return sum(re.search(pattern, request) is not None for request in self.requests)

    # What Drime does.

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(target)
        path = parts.path.removeprefix("/api/v1")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        line = f"{method} {path}"
        with self._lock:
            self.requests.append(f"{line}?{parts.query}")
            fault = next((each for each in self._faults if each.pattern.search(line)), None)
            if fault is not None:
                self._faults.remove(fault)
            if not path.startswith("/presigned/"):
                self.authorizations.append(headers.get("authorization", ""))
        time.sleep(self.seconds)
        if fault is not None:
            time.sleep(fault.seconds)
            if fault.when == "before":
                return self._failed(fault)
        with self._lock:
            answer = self._route(method, path, query, headers, body)
        if fault is not None and fault.when == "after":
            return self._failed(fault)
        return answer

    def _failed(self, fault: Fault) -> Answer:
        if fault.status is None:
            raise LostAnswer
        if fault.status == 200:
            return Answer(200, b"<html>please log in</html>", {"content-type": "text/html"})
        extra = {"retry-after": "0"} if fault.status == 429 else {}
        return _json({"message": "this is broken"}, fault.status, **extra)

    def _route(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> Answer:
        if path.startswith("/presigned/download/"):
            return self._download(path.rpartition("/")[2], headers)
        if path.startswith("/presigned/"):
            _, _, upload, number = path.split("/")
            self._uploads[upload][int(number)] = body
            return Answer(200, b"", {"etag": f'"part-{number}"'})
        if headers.get("authorization") != f"Bearer {API_KEY}":
            return _json({"message": "Unauthenticated."}, 401)
        if path == "/uploads":
            return self._upload(headers, body)
        if path.startswith("/file-entries/download/"):
            if self.redirects:
                return Answer(302, b"", {"location": f"{self.url}/presigned/download/{path.rpartition('/')[2]}?sig=x"})
            return self._download(path.rpartition("/")[2], headers)
        data: dict[str, Any] = json.loads(body) if body else {}
        if path == "/drive/file-entries":
            return self._list(query)
        if path.startswith("/s3/"):
            return self._s3(path, data)
        workspace = int(query.get("workspaceId", data.get("workspaceId", 0)))
        verbs: dict[str, Callable[[], Answer]] = {
            "/folders": lambda: self._create_folder(data, workspace),
            "/file-entries/delete": lambda: self._delete(data, workspace),
            "/file-entries/move": lambda: self._move(data, workspace),
            "/file-entries/duplicate": lambda: self._duplicate(data, workspace),
        }
        if path in verbs:
            return verbs[path]()
        entry = self._entry(path.rpartition("/")[2], workspace)
        if entry is None:
            return _json({"message": "No query results"}, 404)
        if method == "PUT":
            name = data["name"].strip()
            if not _is_name(name):
                return _json({"message": "The name is invalid"}, 422)
            entry["name"] = name
            entry["updated_at"] = self._now()
        return _json({"fileEntry": entry, "status": "success"})

    def _list(self, query: dict[str, str]) -> Answer:
        workspace, page = int(query["workspaceId"]), int(query["page"])
        per_page = min(int(query["perPage"]), self.page_max)
        parent = int(query["parentIds"]) or None
        rows = [
            entry
            for entry in self.entries.values()
            if entry["workspace_id"] == workspace and entry["parent_id"] == parent and not entry["deleted_at"]
        ]
        rows.sort(key=lambda entry: str(entry["name"]).casefold())
        pages = max(1, -(-len(rows) // per_page))
        answer: dict[str, Any] = {
            "current_page": page,
            "data": rows[(page - 1) * per_page : page * per_page],
            "per_page": per_page,
            "total": len(rows),
        }
        if self.page_style in ("last_page", "both"):
            answer["last_page"] = pages
        if self.page_style in ("next_page", "both"):
            answer["next_page"] = page + 1 if page < pages else None
        if self.page_style == "neither":
            del answer["total"]
        return _json(answer)

    def _create_folder(self, data: dict[str, Any], workspace: int) -> Answer:
        name, parent = data["name"].strip(), data.get("parentId")
        if parent is not None and self._entry(parent, workspace) is None:
            return _json({"message": "The selected parent is invalid"}, 422)
        if not _is_name(name):
            return _json({"message": "The name is invalid"}, 422)
        if not self.has_twin_folders and self._child(parent, name, workspace) is not None:
            return _json({"message": "", "errors": {"name": "Folder with same name already exists."}}, 422)
        return _json({"folder": self.entries[self._new(name, parent, workspace, None)], "status": "success"}, 200)

    def _upload(self, headers: dict[str, str], body: bytes) -> Answer:
        message = BytesParser().parsebytes(f"content-type: {headers['content-type']}\r\n\r\n".encode() + b"\r\n")
        boundary = message.get_param("boundary")
        fields: dict[str, bytes] = {}
        for part in body.split(f"--{boundary}".encode())[1:-1]:
            head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            found = re.search(rb'name="([^"]*)"', head)
            assert found is not None
            fields[found[1].decode()] = value.removesuffix(b"\r\n")
        parent, workspace = int(fields.get("parentId", b"0")) or None, int(fields["workspaceId"])
        if parent is not None and self._entry(parent, workspace) is None:
            return _json({"message": "The selected parent is invalid"}, 422)
        entry_id = self._new(fields["relativePath"].decode(), parent, workspace, fields["file"])
        if self.incomplete:
            self.incomplete -= 1
            self.entries[entry_id]["users"] = []
        return _json({"fileEntry": self.entries[entry_id], "status": "success"}, 201)

    def _s3(self, path: str, data: dict[str, Any]) -> Answer:
        upload = str(data.get("uploadId", ""))
        if path == "/s3/multipart/create":
            upload = f"upload{next(self._ids)}"
            self._uploads[upload] = {}
            return _json({"uploadId": upload, "key": f"uploads/{upload}/{upload}", "status": "success"})
        if path == "/s3/multipart/batch-sign-part-urls":
            signed = f"{self.url}/presigned/{upload}"
            urls = [{"partNumber": each, "url": f"{signed}/{each}?X-Amz-Signature=abc"} for each in data["partNumbers"]]
            return _json({"urls": urls})
        if path == "/s3/multipart/complete":
            parts = self._uploads.pop(upload)
            self._stored[upload] = b"".join(parts[each["PartNumber"]] for each in data["parts"])
            return _json({"location": "somewhere", "status": "success"})
        if path == "/s3/multipart/abort":
            self._uploads.pop(upload, None)
            return _json({"status": "success"})
        body = self._stored.pop(data["filename"])
        assert len(body) == data["size"]
        entry_id = self._new(data["relativePath"], data.get("parentId"), data["workspaceId"], body)
        return _json({"fileEntry": self.entries[entry_id], "status": "success"})

    def _download(self, file_hash: str, headers: dict[str, str]) -> Answer:
        entry_id = int(base64.b64decode(file_hash + "==").decode().rstrip("|"))
        if entry_id not in self.bodies or self.entries[entry_id]["deleted_at"]:
            return _json({"message": "No query results"}, 404)
        body = self.bodies[entry_id]
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
        if found is None or not self.ranges:
            return Answer(200, body, {"content-type": "application/octet-stream"})
        start, end = int(found[1]), min(int(found[2]), len(body) - 1)
        if start >= len(body):
            return Answer(416, b"", {})
        return Answer(206, body[start : end + 1], {"content-range": f"bytes {start}-{end}/{len(body)}"})

    def _delete(self, data: dict[str, Any], workspace: int) -> Answer:
        found = [self._entry(each, workspace) for each in data["entryIds"]]
        if any(entry is None for entry in found):
            return _json({"message": "The selected entries are invalid"}, 422)
        for entry in found:
            assert entry is not None
            for each in self._below(entry["id"]):
                if data["deleteForever"]:
                    self.entries.pop(each, None)
                    self.bodies.pop(each, None)
                else:
                    self.entries[each]["deleted_at"] = self._now()
        return _json({"status": "success"})

    def _move(self, data: dict[str, Any], workspace: int) -> Answer:
        target = data.get("destinationId")
        found = [self._entry(each, workspace) for each in data["entryIds"]]
        if None in found or (target is not None and self._entry(target, workspace) is None):
            return _json({"message": "The selected entries are invalid"}, 422)
        for entry in found:
            assert entry is not None
            entry["parent_id"] = target
            entry["updated_at"] = self._now()
        return _json({"entries": found, "status": "success"})

    def _duplicate(self, data: dict[str, Any], workspace: int) -> Answer:
        copies = []
        for each in data["entryIds"]:
            entry = self._entry(each, workspace)
            if entry is None:
                return _json({"message": "The selected entries are invalid"}, 422)
            name = f"{entry['name']} - Copy"
            copies.append(self.entries[self._new(name, data["destinationId"], workspace, self.bodies[entry["id"]])])
        return _json({"entries": copies, "status": "success"})

    def _entry(self, entry_id: Any, workspace: int) -> dict[str, Any] | None:
        entry = self.entries.get(int(entry_id))
        if entry is None or entry["deleted_at"] or entry["workspace_id"] != workspace:
            return None
        return entry

    def _child(self, parent: int | None, name: str, workspace: int) -> int | None:
        for entry in self.entries.values():
            place = (entry["parent_id"], entry["workspace_id"], entry["type"], entry["name"].casefold())
            if place == (parent, workspace, "folder", name.casefold()) and not entry["deleted_at"]:
                return int(entry["id"])
        return None

    def _below(self, entry_id: int) -> Iterator[int]:
        for entry in [*self.entries.values()]:
            if entry["parent_id"] == entry_id:
                yield from self._below(entry["id"])
        yield entry_id

    def _new(self, name: str, parent: int | None, workspace: int, body: bytes | None) -> int:
        entry_id = next(self._ids)
        now = self._now()
        self.entries[entry_id] = {
            "id": entry_id,
            "name": name.strip(),
            "file_name": f"uuid-{entry_id}",
            "mime": None if body is None else "text/plain",
            "file_size": len(body or b""),
            "parent_id": parent,
            "created_at": now,
            "updated_at": now,
            "deleted_at": None,
            "type": "folder" if body is None else "text",
            "extension": None,
            "hash": base64.b64encode(f"{entry_id}|".encode()).decode().rstrip("="),
            "url": "",
            "workspace_id": workspace,
            "users": [{"id": 1, "email": "somebody@example.com", "owns_entry": True}],
            "tags": [],
        }
        if body is not None:
            self.bodies[entry_id] = body
        return entry_id

    def _now(self) -> str:
        moment = self.begin + timedelta(seconds=next(self._moments))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def _is_name(name: str) -> bool:
    return name != "" and _BAD_NAME.search(name) is None and len(name.encode()) <= 255 and name not in (".", "..")


def _json(value: Any, status: int = 200, **headers: str) -> Answer:
    extra = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"content-type": "application/json", **extra})


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    fake: FakeDrime

    def handle_error(self, *args: Any) -> None:
        """A client that was killed breaks its connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if "chunked" in self.headers.get("transfer-encoding", ""):
            raise AssertionError("a body without a length")
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            answer = self.server.fake.answer(self.command, self.path, headers, body)
        except LostAnswer:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        try:
            self.wfile.write(answer.body)
        except OSError:
            self.close_connection = True

    def __getattr__(self, name: str) -> Any:
        """`do_GET` and so on."""
        if name.startswith("do_"):
            return self._do
        raise AttributeError(name)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serve(fake: FakeDrime) -> Iterator[str]:
    """Put it on a free port; the URL of its API."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.fake = fake
    fake.url = f"http://127.0.0.1:{server.server_port}/api/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def transport(fake: FakeDrime) -> httpx.MockTransport:
    """It as what httpx sends requests with."""

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            status, body, extra = fake.answer(request.method, str(request.url), headers, request.read())
        except LostAnswer:
            raise httpx.ReadError("lost", request=request) from None
        extra = {**extra, "content-length": str(len(body))}
        return httpx.Response(status, stream=httpx.ByteStream(body), headers=extra)

    return httpx.MockTransport(answer)
