"""What the requests to the paced sink mean: the answers of S3, without sockets and time. See paced_sink.py."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import count
from urllib.parse import parse_qsl, unquote
from zlib import crc32

from benchmarks.sink import BUCKET, bulk_block
from s3func.wire.checksum import crc32_combine
from s3func.wire.s3xml_multipart import parse_complete_multipart_upload

PART_ETAG = "9bb58f26192e4ba00f01e2e7b136bbd8"
_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_REASONS = {
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    411: "Length Required",
    412: "Precondition Failed",
    416: "Range Not Satisfiable",
    501: "Not Implemented",
}


@cache
def object_crc32(size: int) -> int:
    """The CRC32 of an object of `size` bytes."""
    block = bulk_block()
    value, done, piece, length = 0, 0, crc32(block), len(block)
    # Doubling: the CRC of 2^n blocks from two times that of 2^(n-1), and each such piece used where it fits.
    pieces = [(length, piece)]
    while length * 2 <= size:
        piece, length = crc32_combine(piece, piece, length), length * 2
        pieces.append((length, piece))
    for length, piece in reversed(pieces):
        if size - done >= length:
            value = crc32_combine(value, piece, length) if done else piece
            done += length
    rest = crc32(block[: size - done])
    return crc32_combine(value, rest, size - done) if done else rest


def object_etag(size: int) -> str:
    """The ETag of an object of `size` bytes; as if it had been uploaded in parts, so it is nobody's MD5."""
    return f"{PART_ETAG[:-8]}{size & 0xFFFFFFFF:08x}-{max(1, size >> 23)}"


def crc32_text(value: int) -> str:
    return b64encode(value.to_bytes(4, "big")).decode()


@dataclass(slots=True)
class Stats:
    """What has happened: bytes of bodies each way, the size of the last object stored, and how it was asked for."""

    received: int = 0
    sent: int = 0
    stored: int = 0
    requests: int = 0
    transfers: int = 0
    """Requests whose body, or whose answer's, is 64 KiB or more."""
    at_once: int = 0
    """The most of these that were under way at one time."""


@dataclass(slots=True)
class Upload:
    """A multipart upload: for each part its size, and its CRC32 where one was sent as a header."""

    parts: dict[int, tuple[int, int | None]] = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    """The head of a request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def wire_size(self) -> int:
        """Bytes of the body as they travel."""
        return int(self.headers.get("content-length", "0"))

    @property
    def size(self) -> int:
        """Bytes that the body means."""
        return int(self.headers.get("x-amz-decoded-content-length") or self.wire_size)


@dataclass(slots=True)
class Answer:
    """An answer: a document, or a stretch of the endless object."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    start: int = 0
    end: int = 0

    def head(self, date: str, *, without_body: bool) -> bytes:
        length = self.end - self.start or len(self.body)
        lines = [
            f"HTTP/1.1 {self.status} {_REASONS[self.status]}",
            f"Date: {date}",
            "Server: PacedSink",
            "x-amz-request-id: 318BC8BC148832E5",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        if self.status != 204 and not (without_body and "Content-Length" in self.headers):
            lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def error(status: int, code: str) -> Answer:
    body = f"{_XML}<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())


def _document(name: str, inner: str, headers: dict[str, str] | None = None) -> Answer:
    body = f"{_XML}<{name} {_SPACE}>{inner}</{name}>"
    return Answer(200, {"Content-Type": "application/xml", **(headers or {})}, body.encode())


class Store:
    """What the requests mean; nothing of sockets and time."""

    def __init__(self) -> None:
        self.stats = Stats()
        self._uploads: dict[str, Upload] = {}
        self._ids = count(1)

    def kept(self, request: Request) -> int:
        """How many bytes of the end of the body have to be read: all of a document, none of an object."""
        return request.wire_size if request.method == "POST" else 0

    def misunderstood(self) -> Answer:
        """The answer to a request that makes no sense."""
        return error(400, "InvalidRequest")

    def answer(self, request: Request, body: bytes) -> Answer:
        """Called when all of the request's body has arrived."""
        query = request.query
        bucket, _, key = request.path.lstrip("/").partition("/")
        if request.path == "/stats":
            told, self.stats = json.dumps(asdict(self.stats)).encode(), Stats()
            return Answer(200, {"Content-Type": "application/json"}, told)
        self.stats.requests += 1
        if bucket != BUCKET:
            return error(404, "NoSuchBucket")
        if not key:
            return self._bucket(request)
        if request.method in {"GET", "HEAD"}:
            return self._get(request, key)
        if request.method == "PUT":
            return self._put(request)
        if request.method == "POST" and "uploads" in query:
            upload_id = f"upload-{next(self._ids)}"
            self._uploads[upload_id] = Upload()
            names = ("x-amz-checksum-algorithm", "x-amz-checksum-type")
            echoed = {name: request.headers[name] for name in names if name in request.headers}
            inner = f"<Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{upload_id}</UploadId>"
            return _document("InitiateMultipartUploadResult", inner, echoed)
        if request.method == "POST" and "uploadId" in query:
            return self._complete(request, key, body)
        if request.method == "DELETE":
            if "uploadId" in query and self._uploads.pop(query["uploadId"], None) is None:
                return error(404, "NoSuchUpload")
            return Answer(204)
        return error(501, "NotImplemented")

    def _bucket(self, request: Request) -> Answer:
        if "location" in request.query:
            return _document("LocationConstraint", "")
        if "uploads" in request.query:
            rows = "".join(f"<Upload><Key>object</Key><UploadId>{one}</UploadId></Upload>" for one in self._uploads)
            inner = f"<Bucket>{BUCKET}</Bucket><IsTruncated>false</IsTruncated>{rows}"
            return _document("ListMultipartUploadsResult", inner)
        inner = f"<Name>{BUCKET}</Name><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
        return _document("ListBucketResult", inner)

    def _get(self, request: Request, key: str) -> Answer:
        name = key.rpartition("/")[2]
        if not name.isdigit():
            return error(404, "NoSuchKey")
        size = int(name)
        etag = f'"{object_etag(size)}"'
        if request.headers.get("if-match", etag).strip('"') != etag.strip('"'):
            return error(412, "PreconditionFailed")
        headers = {
            "ETag": etag,
            "Last-Modified": "Sat, 21 Nov 2026 00:00:00 GMT",
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }
        stretch = stretch_of(request.headers.get("range", ""), size)
        if stretch is None:
            return error(416, "InvalidRange")
        start, end = stretch
        if request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED" and "range" not in request.headers:
            headers["x-amz-checksum-crc32"] = crc32_text(object_crc32(size))
            headers["x-amz-checksum-type"] = "FULL_OBJECT"
        if "range" in request.headers:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        status = 206 if "range" in request.headers else 200
        if request.method == "HEAD":
            headers["Content-Length"] = str(end - start)
            return Answer(status, headers)
        self.stats.sent += end - start
        return Answer(status, headers, start=start, end=end)

    def _put(self, request: Request) -> Answer:
        if "content-length" not in request.headers:
            return error(411, "MissingContentLength")
        self.stats.received += request.size
        headers = {"ETag": f'"{PART_ETAG}"'}
        headers |= {name: text for name, text in request.headers.items() if _is_checksum(name)}
        if "uploadId" in request.query:
            upload = self._uploads.get(request.query["uploadId"])
            if upload is None:
                return error(404, "NoSuchUpload")
            text = request.headers.get("x-amz-checksum-crc32")
            value = int.from_bytes(b64decode(text), "big") if text else None
            upload.parts[int(request.query["partNumber"])] = (request.size, value)
        else:
            self.stats.stored = request.size
        return Answer(200, headers)

    def _complete(self, request: Request, key: str, body: bytes) -> Answer:
        upload = self._uploads.get(request.query["uploadId"])
        if upload is None:
            return error(404, "NoSuchUpload")
        listed = parse_complete_multipart_upload(body)
        numbers = [part.part_number for part in listed]
        if numbers != sorted(set(numbers)) or not numbers:
            return error(400, "InvalidPartOrder")
        if any(number not in upload.parts for number in numbers) or any(
            part.etag.strip('"') != PART_ETAG for part in listed
        ):
            return error(400, "InvalidPart")
        total, value = 0, 0
        whole = True
        for number in numbers:
            size, crc = upload.parts[number]
            if crc is None:
                whole = False
            else:
                value = crc32_combine(value, crc, size) if total else crc
            total += size
        told = request.headers.get("x-amz-checksum-crc32")
        if told and whole and told != crc32_text(value):
            return error(400, "BadDigest")
        del self._uploads[request.query["uploadId"]]
        self.stats.stored = total
        inner = (
            f"<Location>here</Location><Bucket>{BUCKET}</Bucket><Key>{key}</Key>"
            f"<ETag>&quot;{PART_ETAG}-{len(numbers)}&quot;</ETag>"
        )
        if whole:
            inner += f"<ChecksumCRC32>{crc32_text(value)}</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType>"
        return _document("CompleteMultipartUploadResult", inner)


def _is_checksum(name: str) -> bool:
    return name.startswith("x-amz-checksum-") and name.rpartition("-")[2] in {
        "crc32",
        "crc32c",
        "crc64nvme",
        "sha1",
        "sha256",
    }


def stretch_of(text: str, size: int) -> tuple[int, int] | None:
    """The offsets that a Range header means; None where there are none."""
    if not text:
        return 0, size
    first, _, last = text.removeprefix("bytes=").partition("-")
    if not first:
        return (max(0, size - int(last)), size) if int(last) and size else None
    start, end = int(first), min(size, int(last) + 1 if last else size)
    return (start, end) if start < end else None


def parse_head(head: bytes) -> Request:
    """A request's head, without the empty line."""
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    path, _, query = target.partition("?")
    pairs = (line.partition(":") for line in lines[1:])
    return Request(
        method,
        unquote(path),
        dict(parse_qsl(query, keep_blank_values=True)),
        {name.strip().lower(): value.strip() for name, _, value in pairs},
    )
