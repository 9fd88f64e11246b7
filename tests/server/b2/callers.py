"""B2's calls made by hand, of an app in this process: no client is between the test and the wire."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import Any, NamedTuple
from urllib.parse import quote

from s3func.message import Request, Response
from s3func.server import S3App
from tests.server.forge import KEY_ID, SECRET

ORIGIN = "http://localhost"


class Answer(NamedTuple):
    """An answer: its document is {} where it has none."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The JSON of the answer."""
        found: dict[str, Any] = json.loads(self.body) if self.body else {}
        return found

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of a refusal."""
        assert self.document["status"] == self.status
        return self.status, self.document["code"]


class B2Caller:
    """An account's calls; `token` is its own."""

    def __init__(self, app: S3App, key_id: str = KEY_ID, key: str = SECRET, version: str = "v4") -> None:
        self.app = app
        self.version = version
        self.token = ""
        authorized = self.authorize(key_id, key)
        assert authorized.status == 200, authorized.body
        self.account = authorized.document
        self.token = self.account["authorizationToken"]

    def authorize(self, key_id: str, key: str, version: str | None = None) -> Answer:
        """b2_authorize_account."""
        basic = "Basic " + b64encode(f"{key_id}:{key}".encode()).decode()
        return self.send("GET", f"/b2api/{version or self.version}/b2_authorize_account", {"authorization": basic})

    def __call__(self, operation: str, version: str | None = None, **fields: Any) -> Answer:
        """One call with the account's token."""
        path = f"/b2api/{version or self.version}/{operation}"
        return self.send("POST", path, {"authorization": self.token}, json.dumps(fields).encode())

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes = b"", query: str = "") -> Answer:
        """Any request."""
        response: Response = self.app(Request(method, ORIGIN, path, query, headers, body))
        content = response.read()
        response.close()
        return Answer(response.status, response.headers, content)

    def bucket(self, name: str = "test-bucket", **fields: Any) -> str:
        """Make a bucket and return its id."""
        made = self("b2_create_bucket", bucketName=name, bucketType=fields.pop("bucketType", "allPrivate"), **fields)
        assert made.status == 200, made.body
        return str(made.document["bucketId"])

    def upload(self, bucket_id: str, name: str, body: bytes = b"x", **headers: str) -> dict[str, Any]:
        """Upload a file at a URL of its own, and return its row."""
        url = self("b2_get_upload_url", bucketId=bucket_id).document
        done = self.upload_to(url, name, body, **headers)
        assert done.status == 200, done.body
        return done.document

    def upload_to(self, url: dict[str, Any], name: str, body: bytes = b"x", **headers: str) -> Answer:
        """Upload a file to a URL that was given before; header names have "_" for "-"."""
        fields = {
            "authorization": url["authorizationToken"],
            "content-length": str(len(body)),
            "content-type": "b2/x-auto",
            "x-bz-content-sha1": hashlib.sha1(body, usedforsecurity=False).hexdigest(),
            "x-bz-file-name": quote(name),
        }
        fields |= {header.replace("_", "-"): value for header, value in headers.items()}
        return self.send("POST", url["uploadUrl"].removeprefix(ORIGIN), fields, body)

    def part(self, file_id: str, number: int, body: bytes) -> str:
        """Upload a part, and return its SHA-1."""
        url = self("b2_get_upload_part_url", fileId=file_id).document
        done = self.upload_to(url, "ignored", body, x_bz_part_number=str(number))
        assert done.status == 200, done.body
        return str(done.document["contentSha1"])

    def download(self, bucket: str, name: str, method: str = "GET", **headers: str) -> Answer:
        """Download by name."""
        fields = {"authorization": self.token} | {each.replace("_", "-"): value for each, value in headers.items()}
        return self.send(method, f"/file/{bucket}/{quote(name)}", fields)

    def names(self, operation: str, bucket_id: str, **fields: Any) -> list[tuple[str, str]]:
        """All rows of a list, page after page: names and actions."""
        rows = []
        while True:
            page = self(operation, bucketId=bucket_id, **fields)
            assert page.status == 200, page.body
            document = page.document
            rows += [(row["fileName"], row["action"]) for row in document["files"]]
            if document["nextFileName"] is None:
                return rows
            fields |= {"startFileName": document["nextFileName"]}
            if document["nextFileId"] is not None:
                fields["startFileId"] = document["nextFileId"]
            else:
                fields.pop("startFileId", None)
