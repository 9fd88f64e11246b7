"""The rigs of these tests: a transport that keeps what it is given, and a socket that keeps what really arrives.

The signature of what arrived is computed again by botocore, which shares no code with us.
"""

from __future__ import annotations

import re
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

import botocore.auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from s3func import S3Session
from s3func.message import BodyStream, Request, Response, UploadBody
from s3func.server import MemoryBackend, S3App
from s3func.wire import s3xml

ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YU=="
)
NOW = 1795255200.0
"""2026-11-21T10:00:00Z"""
DATE = "20261121T100000Z"


class FrozenClock:
    """A clock that stands still, and on which waiting takes no time."""

    def __init__(self, now: float = NOW) -> None:
        self.time = now
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


class Sent(NamedTuple):
    """One request as a transport got it, its body read."""

    method: str
    origin: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def url(self) -> str:
        return f"{self.origin}{self.path}" + (f"?{self.query}" if self.query else "")


def body_bytes(body: bytes | UploadBody | BodyStream) -> bytes:
    """All of a request's body."""
    if isinstance(body, bytes):
        return body
    if isinstance(body, UploadBody):
        return b"".join(bytes(block) for block in body.blocks())
    return body.read()


def success(request: Request) -> Response:
    """The shortest answer of each operation that a session takes for success."""
    headers = {"etag": '"0123"', "x-amz-request-id": "R1"}
    if "x-amz-copy-source" in request.headers:
        return Response(200, headers, b"<CopyObjectResult><ETag>&quot;0123&quot;</ETag></CopyObjectResult>")
    if request.query == "delete=":
        objects = s3xml.parse_delete_objects(body_bytes(request.body)).objects
        return Response(200, headers, s3xml.render_delete_result([s3xml.DeletedObject(*row) for row in objects]))
    if (document := multipart_document(request) or setting_document(request)) is not None:
        return Response(200, headers, document)
    if "list-type=2" in request.query:
        return Response(
            200, headers, b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"
        )
    if "versions=" in request.query:
        return Response(200, headers, b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>")
    if request.path == "/" and request.method == "GET":
        return Response(200, headers, b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>")
    return Response(200, headers, b"")


def multipart_document(request: Request) -> bytes | None:
    """The shortest document of each multipart operation that answers with one."""
    method, query = request.method, request.query
    if method == "POST" and query == "uploads=":
        return b"<InitiateMultipartUploadResult><UploadId>ID</UploadId></InitiateMultipartUploadResult>"
    if method == "POST" and query.startswith("uploadId="):
        return b"<CompleteMultipartUploadResult><ETag>&quot;0123-1&quot;</ETag></CompleteMultipartUploadResult>"
    if method == "GET" and "uploadId=" in query:
        return b"<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>"
    if method == "GET" and "uploads=" in query:
        return b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
    return None


def setting_document(request: Request) -> bytes | None:
    """The shortest document of each setting that can be asked for."""
    names = {pair.partition("=")[0] for pair in request.query.split("&")}
    name = next(iter(names & _SETTINGS.keys()), "")
    content = _SETTINGS.get(name)
    if request.method != "GET" or content is None:
        return None
    if name == "inventory" and "id" not in names:
        content = "ListInventoryConfigurationsResult"
    root = content.partition(">")[0]
    return content.encode() if root == "{}" else f"<{content if '>' in content else root + '>'}</{root}>".encode()


# The root element of each, and what it cannot do without.
_SETTINGS = {
    "accelerate": "AccelerateConfiguration",
    "acl": "AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList></AccessControlList>",
    "attributes": "GetObjectAttributesResponse",
    "cors": "CORSConfiguration",
    "encryption": "ServerSideEncryptionConfiguration",
    "inventory": "InventoryConfiguration",
    "legal-hold": "LegalHold><Status>ON</Status>",
    "lifecycle": "LifecycleConfiguration",
    "location": "LocationConstraint",
    "logging": "BucketLoggingStatus",
    "notification": "NotificationConfiguration",
    "object-lock": "ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>",
    "ownershipControls": "OwnershipControls",
    "policy": "{}",
    "policyStatus": "PolicyStatus><IsPublic>true</IsPublic>",
    "publicAccessBlock": "PublicAccessBlockConfiguration",
    "replication": "ReplicationConfiguration",
    "requestPayment": "RequestPaymentConfiguration",
    "retention": "Retention",
    "tagging": "Tagging><TagSet></TagSet>",
    "versioning": "VersioningConfiguration",
    "website": "WebsiteConfiguration",
}


class Recorder:
    """A Transport that keeps what it is given, bodies read, and lets `answer` answer."""

    def __init__(self, answer: Callable[[Request], Response] = success) -> None:
        self.answer = answer
        self.sent: list[Sent] = []
        self.closed = 0

    def __call__(self, request: Request) -> Response:
        body = body_bytes(request.body)
        self.sent.append(Sent(request.method, request.origin, request.path, request.query, dict(request.headers), body))
        return self.answer(request)

    def close(self) -> None:
        self.closed += 1

    @property
    def last(self) -> Sent:
        """The request that came last."""
        return self.sent[-1]


def recorded(recorder: Recorder, **options: Any) -> S3Session:
    """A session whose requests end in the recorder."""
    settings: dict[str, Any] = {
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET,
        "bucket": "bucket",
        "clock": FrozenClock(),
        "transport": recorder,
    }
    return S3Session(**(settings | options))


@contextmanager
def embedded(**options: Any) -> Iterator[tuple[S3Session, Recorder]]:
    """A session on a new in-process server, its bucket made, and the recorder between the two."""
    app = S3App(MemoryBackend(), access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET)
    recorder = Recorder(app)
    settings: dict[str, Any] = {
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET,
        "bucket": "bucket",
        "transport": recorder,
    }
    with S3Session(**(settings | options)) as session:
        session.create_bucket()
        recorder.sent.clear()
        yield session, recorder
    app.close()


class RawRequest(NamedTuple):
    """One HTTP request, verbatim."""

    head: bytes
    body: bytes

    @property
    def line(self) -> tuple[str, str, str]:
        """Method, target and version."""
        method, target, version = self.head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        return method, target, version

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names and values as they stand on the wire; nothing is trimmed but the space behind the colon."""
        lines = self.head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")[1:]
        return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


class WireServer:
    """Keeps every request verbatim and answers all of them with success; one thread serves all connections."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._waker, self._wakened = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._buffers: dict[socket.socket, bytes] = {}
        self._thread = threading.Thread(target=self._run, name="wire server")
        self.received: list[RawRequest] = []
        self.cut_short: list[bytes] = []
        """What had come of a request when its connection ended in the middle of it."""
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def last(self) -> RawRequest:
        """The request that came last."""
        return self.received[-1]

    def __enter__(self) -> Self:
        for sock in (self._listener, self._wakened):
            self._selector.register(sock, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waker.close()
        self._thread.join()
        for sock in (self._listener, self._wakened, *self._buffers):
            sock.close()
        self._selector.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._wakened:
                    return
                if sock is self._listener:
                    connection, _ = sock.accept()
                    self._buffers[connection] = b""
                    self._selector.register(connection, selectors.EVENT_READ)
                    continue
                try:
                    data = sock.recv(1 << 20)
                except ConnectionResetError:
                    data = b""
                if data:
                    self._buffers[sock] = self._answered(sock, self._buffers[sock] + data)
                else:
                    self._selector.unregister(sock)
                    if rest := self._buffers.pop(sock):
                        self.cut_short.append(rest)
                    sock.close()

    def _answered(self, sock: socket.socket, data: bytes) -> bytes:
        """Answer every whole request; what is left is the beginning of another one."""
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[: end + 4]
            length = re.search(rb"(?im)^content-length: *([0-9]+)\r$", head)
            size = int(length[1]) if length else 0
            if len(data) < len(head) + size:
                break
            self.received.append(RawRequest(head, data[len(head) : len(head) + size]))
            data = data[len(head) + size :]
            document = (
                b"<CopyObjectResult><ETag>0123</ETag></CopyObjectResult>" if b"\r\nx-amz-copy-source:" in head else b""
            )
            answer = f'HTTP/1.1 200 OK\r\netag: "0123"\r\ncontent-length: {len(document)}\r\n\r\n'
            sock.sendall(answer.encode() + document)
        return data


def encoded(key: str) -> str:
    """The key as it has to stand in a request line, by the standard library."""
    return quote(key.encode(), safe="/")


def assert_signed(raw: RawRequest, *, token: str | None = None, region: str = "us-east-1") -> None:
    """Fail unless the request is signed as botocore would sign it, over all that has to be signed."""
    method, target, _ = raw.line
    sent = dict(raw.headers)
    assert len(sent) == len(raw.headers), "a header is sent twice"
    match = re.fullmatch(
        rf"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/([0-9]{{8}})/{region}/s3/aws4_request, "
        "SignedHeaders=([^ ]+), Signature=([0-9a-f]{64})",
        sent["authorization"],
    )
    assert match is not None
    date, names, signature = match.groups()
    signed = names.split(";")
    has_to_be = {name for name in sent if name.startswith("x-amz-") or name in {"host", "content-type", "content-md5"}}
    assert has_to_be <= set(signed)
    assert token == sent.get("x-amz-security-token")
    assert date == sent["x-amz-date"][:8]
    request = AWSRequest(method, f"http://{sent['host']}{target}", {name: sent[name] for name in signed})
    request.context["timestamp"] = sent["x-amz-date"]
    assert signature == _signature(botocore.auth.S3SigV4Auth, request, region)
    payload_hash = sent["x-amz-content-sha256"]
    if payload_hash != "UNSIGNED-PAYLOAD":
        assert sha256(raw.body).hexdigest() == payload_hash


def assert_presigned(method: str, url: str, *, region: str = "us-east-1") -> None:
    """Fail unless botocore computes the signature that the URL carries."""
    unsigned, _, signature = url.partition("&X-Amz-Signature=")
    parts = urlsplit(unsigned)
    query = dict(pair.split("=", 1) for pair in parts.query.split("&"))
    assert "host" == query["X-Amz-SignedHeaders"]
    request = AWSRequest(method, unsigned, {"host": parts.netloc})
    request.context["timestamp"] = query["X-Amz-Date"]
    assert signature == _signature(botocore.auth.S3SigV4QueryAuth, request, region)


def _signature(signer: Any, request: AWSRequest, region: str) -> str:
    auth = signer(Credentials(ACCESS_KEY_ID, SECRET), "s3", region)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return str(auth.signature(text, request))
