"""Hostile input over a socket: the right refusal, nothing stored, and nothing around the store touched.

What `test_listener.py` has (early refusals, broken heads, bodies cut off) is not repeated. Here every request meets a
store on disk with something precious in it and around it, and both are compared with what they were.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3func.testing
from s3func.testing import Server
from tests.server.forge import KEY_ID, SECRET, Reply, Wire, sign

PRECIOUS = b"precious"
LARGE = 1024 * 1024


class House:
    """A server on a store in a folder, with files around it."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.upload_id = ""

    def ask(self, method: str, target: str, body: bytes = b"", **forged: Any) -> Reply:
        """A signed request on a connection of its own; every keyword of `sign` is a way to get it wrong."""
        path, _, query = target.partition("?")
        with Wire(self.server.endpoint_url) as wire:
            headers = sign(method, path, query, body, host=wire.host, **forged)
            wire.send(method, target, headers | {"content-length": str(len(body))}, body)
            return wire.receive(method)

    def send(self, data: bytes) -> tuple[list[Reply], bool]:
        """The replies to bytes, up to the end that the server makes or to its silence; whether it made one."""
        replies: list[Reply] = []
        with Wire(self.server.endpoint_url) as wire:
            with contextlib.suppress(ConnectionError):
                wire.socket.sendall(data)
            # A busy machine may take its time for the first one.
            wire.socket.settimeout(3)
            try:
                while True:
                    replies.append(wire.receive())
                    wire.socket.settimeout(0.5)
            except TimeoutError:
                return replies, False
            except (EOFError, ConnectionError):
                return replies, True

    def outside(self) -> dict[str, str]:
        """Every file and folder around the store, with the hash of what it holds."""
        store = self.folder / "store"
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for path in sorted(self.folder.rglob("*"))
            if path != store and store not in path.parents
        }

    def bodies(self) -> set[str]:
        """The bodies that the store has on the disk, being written or finished."""
        store = self.folder / "store"
        return {path.name for name in ("tmp", "blobs") for path in (store / name).rglob("*") if path.is_file()}

    def inside(self) -> dict[str, object]:
        """Everything that the store says it has."""
        backend = self.server.app.backend
        names = [bucket.name for bucket in backend.list_buckets()]
        return {name: (backend.get_bucket(name), backend.list_objects(name).rows) for name in names}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house with a bucket, an object, an upload under way, and victims around the store; at the end all is as before."""
    folder = tmp_path / "outer" / "inner"
    (folder / "victims").mkdir(parents=True)
    for path in (folder / "victim", folder / "victims" / "victim", folder.parent / "victim", tmp_path / "victim"):
        path.write_bytes(PRECIOUS)
    with s3func.testing.server(path=folder / "store", access_key_id=KEY_ID, secret_access_key=SECRET) as server:
        house = House(server, folder)
        assert 200 == house.ask("PUT", "/bkt").status
        assert 200 == house.ask("PUT", "/bkt/precious", PRECIOUS).status
        assert 200 == house.ask("PUT", "/bkt/large", PRECIOUS * LARGE).status
        begun = house.ask("POST", "/bkt/upload?uploads")
        house.upload_id = begun.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
        above = House(server, tmp_path)
        before, around, bodies = house.inside(), house.outside(), house.bodies()
        yield house
        assert PRECIOUS == house.ask("GET", "/bkt/precious").body, "the server answers no more"
        assert (before, around) == (house.inside(), house.outside())
        assert PRECIOUS == (folder.parent / "victim").read_bytes() == (tmp_path / "victim").read_bytes()
        assert ["outer", "victim"] == sorted(path.name for path in above.folder.iterdir())
        assert _eventually_equal(bodies, house), "bodies are left in the store"


def _eventually_equal(bodies: set[str], house: House) -> bool:
    """A connection that was broken off is noticed a moment later."""
    deadline = time.monotonic() + 10
    while house.bodies() != bodies and time.monotonic() < deadline:
        time.sleep(0.01)
    return house.bodies() == bodies


TRAVERSALS = [
    ("GET", "/../victim"),
    ("GET", "/../../../../../../etc/passwd"),
    ("GET", "/bkt/../../victim"),
    ("GET", "/bkt/..%2f..%2fvictim"),
    ("GET", "/bkt/%2e%2e/%2e%2e/victim"),
    ("GET", "/bkt/..%5c..%5cvictim"),
    ("GET", "/bkt/../store/index.sqlite"),
    ("GET", "/store/index.sqlite"),
    ("GET", "//etc/passwd"),
    ("GET", "/bkt//etc/passwd"),
    ("GET", "/bkt/file:///etc/passwd"),
    ("HEAD", "/bkt/../../victim"),
    ("DELETE", "/"),
    ("DELETE", "/."),
    ("DELETE", "/.."),
    ("DELETE", "/../"),
    ("DELETE", "/../.."),
    ("DELETE", "/%2e%2e"),
    ("DELETE", "/..%2f.."),
    ("DELETE", "/../victim"),
    ("DELETE", "/victims"),
    ("DELETE", "/bkt/../../victim"),
    ("DELETE", "/bkt/..%2f..%2fvictim"),
    ("DELETE", "/bkt/.."),
    ("DELETE", "/bkt/."),
    ("DELETE", "/bkt//"),
    ("PUT", "/.."),
    ("PUT", "/../victim"),
    ("PUT", "/..%2fvictim"),
    ("PUT", "/%2e%2e/victim"),
    ("PUT", "//victim"),
    ("PUT", "/bkt/a%00/../../victim"),
    ("PUT", "/bkt/" + "../" * 500 + "victim"),
    ("PUT", "/bkt/" + "..%2f" * 400 + "victim"),
    ("PUT", "/bkt/" + "k" * 2000),
    ("PUT", "/" + "b" * 2000 + "/key"),
    ("POST", "/../victim?uploads"),
    ("POST", "/../victims?delete"),
]


@pytest.mark.parametrize(("method", "target"), TRAVERSALS, ids=lambda part: part[:40])
def test_a_path_leads_nowhere_else(house: House, method: str, target: str) -> None:
    """What looks like a way out of the store is refused or is a key that is not there; nothing outside is read."""
    reply = house.ask(method, target, b"evil" if method in {"PUT", "POST"} else b"")
    if (method, target) == ("DELETE", "/bkt//") or (method == "DELETE" and target.startswith("/bkt/")):
        assert 204 == reply.status
    else:
        assert reply.status in {400, 404, 405}
        assert reply.code or method == "HEAD"
    assert PRECIOUS not in reply.body
    assert b"root:" not in reply.body


@pytest.mark.parametrize(
    "key", ["..%2f..%2fvictim", "/{folder}/victim", "../../victim", "..\\..\\victim", "a/../../../b"]
)
@pytest.mark.parametrize("size", [4, 200_000])
def test_a_key_with_dots_is_a_key(house: House, key: str, size: int) -> None:
    """Put, copied, listed, uploaded in parts and deleted, a key stays a name in the store, whatever its size."""
    target = "/bkt/" + key.replace("{folder}", str(house.folder)).replace("\\", "%5C")
    body = b"x" * size
    assert 200 == house.ask("PUT", target, body).status
    assert 200 == house.ask("PUT", f"{target}.copy", headers={"x-amz-copy-source": target}).status
    begun = house.ask("POST", f"{target}.parts?uploads")
    upload_id = begun.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    part = house.ask("PUT", f"{target}.parts?partNumber=1&uploadId={upload_id}", body)
    document = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{part.headers['etag']}</ETag></Part></CompleteMultipartUpload>"
    )
    assert 200 == house.ask("POST", f"{target}.parts?uploadId={upload_id}", document.encode()).status
    assert 3 + 2 == len(house.server.app.backend.list_objects("bkt").rows)
    for ending in ("", ".copy", ".parts"):
        assert body == house.ask("GET", target + ending).body
        assert 204 == house.ask("DELETE", target + ending).status


BOMB = b"".join(
    [
        b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a0 "lol">',
        *(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)),
        b"]>",
    ]
)
DOCUMENTS = {
    "billion laughs": BOMB + b"<%s>&a9;</%s>",
    "a file of the machine": b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><%s><Key>&x;</Key></%s>',
    "a parameter entity": b'<!DOCTYPE r [<!ENTITY %% p SYSTEM "http://127.0.0.1:9/x">%%p;]><%s></%s>',
    "an entity nobody knows": b"<%s><Key>&nbsp;</Key></%s>",
    "nested": b"<%s>" + b"<a>" * 20_000 + b"</a>" * 20_000 + b"</%s>",
    "not closed": b"<%s><Object><Key>precious</Key></Object><!-- %s",
    "closed twice": b"<%s><Object><Key>precious</Key></Object></Object></%s>",
    "no XML": b'{"%s": "%s"}',
    "UTF-16": "\ufeff<{0}><Object><Key>precious</Key></Object></{0}>".encode("utf-16-le"),
    "not UTF-8": b"<%s><Object><Key>precious\xff</Key></Object></%s>",
    "another document": b"<Other><Object><Key>precious</Key></Object></Other><!-- %s %s -->",
    "nothing but space": b" " * 100_000,
}
# Where documents are read: the request, and the root that it expects.
READERS = {
    "PUT /second-bucket": "CreateBucketConfiguration",
    "POST /bkt?delete": "Delete",
    "PUT /bkt?versioning": "VersioningConfiguration",
    "PUT /bkt?tagging": "Tagging",
    "PUT /bkt?acl": "AccessControlPolicy",
    "PUT /bkt?cors": "CORSConfiguration",
    "PUT /bkt?lifecycle": "LifecycleConfiguration",
    "PUT /bkt?encryption": "ServerSideEncryptionConfiguration",
    "PUT /bkt?website": "WebsiteConfiguration",
    "PUT /bkt?object-lock": "ObjectLockConfiguration",
    "PUT /bkt?policy": "Policy",
    "PUT /bkt/precious?tagging": "Tagging",
    "PUT /bkt/precious?acl": "AccessControlPolicy",
    "PUT /bkt/precious?retention": "Retention",
    "PUT /bkt/precious?legal-hold": "LegalHold",
    "POST /bkt/upload?uploadId=": "CompleteMultipartUpload",
}


@pytest.mark.parametrize("request_line", READERS)
def test_documents_that_are_none(house: House, request_line: str) -> None:
    """Entities, bombs, other encodings and other documents are a 400, wherever a document is read; nothing is changed."""
    method, target = request_line.split()
    target = target.replace("uploadId=", f"uploadId={house.upload_id}")
    root = READERS[request_line].encode()
    found = {}
    for name, document in DOCUMENTS.items():
        body = document.replace(b"%%", b"%").replace(b"%s", root)
        md5 = hashlib.md5(body).digest()
        reply = house.ask(method, target, body, headers={"content-md5": b64encode(md5).decode()})
        found[name] = reply.status
        assert reply.code, name
        assert b"root:" not in reply.body
        assert len(reply.body) < 10_000
    assert dict.fromkeys(DOCUMENTS, 400) == found


FLOODS: dict[str, tuple[dict[str, str], tuple[int, str]]] = {
    "metadata of 70 KB": ({"x-amz-meta-a": "x" * 70_000}, (400, "MetadataTooLarge")),
    "metadata in 3,000 headers": ({f"x-amz-meta-{n}": "x" * 20 for n in range(3000)}, (400, "MetadataTooLarge")),
    "tags of 70 KB": ({"x-amz-tagging": "a=" + "x" * 70_000}, (400, "InvalidTag")),
    "a condition of 70 KB": ({"if-match": ",".join(['"0"'] * 17_000)}, (404, "NoSuchKey")),
}


@pytest.mark.parametrize("case", FLOODS)
def test_headers_of_more_than_64_kib(house: House, case: str) -> None:
    """Long headers get the refusal that short ones of the kind get, and nothing is stored."""
    headers, expected = FLOODS[case]
    assert expected == house.ask("PUT", "/bkt/new", b"x", headers=headers).outcome


@pytest.mark.parametrize(
    "head",
    [
        "Authorization: AWS4-HMAC-SHA256 Credential=" + "x" * 100_000,
        "Authorization: AWS4-HMAC-SHA256 Credential=a/20261121/us-east-1/s3/aws4_request, SignedHeaders="
        + ";".join(f"h{n}" for n in range(10_000))
        + ", Signature=0",
        "Authorization: " + "AWS4-HMAC-SHA256 " * 5000,
        "Cookie: " + "x" * 100_000,
        "\r\n".join(f"h{n}: x" for n in range(10_000)),
    ],
    ids=["credential", "signed headers", "words", "cookie", "many"],
)
def test_heads_of_strangers(house: House, head: str) -> None:
    """A long head without a good signature is refused as any other would be."""
    host = house.server.endpoint_url.removeprefix("http://")
    request = f"PUT /bkt/new HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n{head}\r\n\r\nx"
    replies, _ = house.send(request.encode())
    assert 1 == len(replies)
    assert replies[0].status in {400, 403}


LIES = {
    "plus": "Content-Length: +5",
    "hexadecimal": "Content-Length: 0x5",
    "two numbers": "Content-Length: 5 5",
    "a list": "Content-Length: 5, 6",
    "a fraction": "Content-Length: 5.0",
    "other digits": "Content-Length: ٥",
    "more than 64 bits": "Content-Length: 18446744073709551621",
    "nothing": "Content-Length: ",
    "a fold": "Content-Length:\r\n 5",
    "space before the colon": "Content-Length : 5",
    "twice, of two kinds": "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "chunked twice": "Transfer-Encoding: chunked, chunked",
    "chunked, then something": "Transfer-Encoding: chunked, identity",
    "something": "Transfer-Encoding: identity",
    "gzip alone": "Transfer-Encoding: gzip",
    "a tab in chunked": "Transfer-Encoding: \x0bchunked",
    "chunked with a space before the colon": "Transfer-Encoding : chunked",
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_about_the_length(house: House, lie: str) -> None:
    """A length that two readers could read differently ends the connection, and no request hides behind it."""
    host = house.server.endpoint_url.removeprefix("http://")
    headers = sign("PUT", "/bkt/new", host=host, payload_hash="UNSIGNED-PAYLOAD")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    hidden = _signed_request("DELETE", "/bkt/precious", host)
    replies, ended = house.send(f"PUT /bkt/new HTTP/1.1\r\n{lines}{LIES[lie]}\r\n\r\n".encode() + b"0\r\n\r\n" + hidden)
    assert [(400, "BadRequest")] == [reply.outcome for reply in replies]
    assert ended


CHUNKS = {
    "negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "too large": b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
    "no number": b"hello\r\n0\r\n\r\n",
    "longer than told": b"5\r\nhello, world\r\n0\r\n\r\n",
    "a plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "hexadecimal": b"0x5\r\nhello\r\n0\r\n\r\n",
    "bare line feeds": b"5\nhello\n0\n\n",
    "no end of a line": b"5" + b" " * 100_000,
}


@pytest.mark.parametrize("chunks", CHUNKS)
def test_lies_about_chunks(house: House, chunks: str) -> None:
    """Chunks that are none are not stored, whatever was read before they turned out so."""
    host = house.server.endpoint_url.removeprefix("http://")
    headers = sign("PUT", "/bkt/new", host=host, payload_hash="UNSIGNED-PAYLOAD") | {"transfer-encoding": "chunked"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    replies, _ = house.send(f"PUT /bkt/new HTTP/1.1\r\n{lines}\r\n".encode() + CHUNKS[chunks])
    assert all(reply.status == 400 for reply in replies)


def _signed_request(method: str, path: str, host: str, body: bytes = b"", **forged: Any) -> bytes:
    headers = sign(method, path, body=body, host=host, **forged) | {"content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


@pytest.mark.parametrize("size", [1000, 100_000, 3_000_000])
@pytest.mark.parametrize("expect", [False, True])
def test_a_refused_body_is_no_request(house: House, size: int, *, expect: bool) -> None:
    """The body of a refused request is not read as requests, although it is made of good ones."""
    host = house.server.endpoint_url.removeprefix("http://")
    hidden = _signed_request("DELETE", "/bkt/precious", host)
    body = hidden * (size // len(hidden) + 1)
    headers = sign("PUT", "/bkt/new", body=body, host=host, secret="wrong") | {"content-length": str(len(body))}
    if expect:
        headers["expect"] = "100-continue"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    replies, _ = house.send(f"PUT /bkt/new HTTP/1.1\r\n{lines}\r\n".encode() + body)
    assert (403, "SignatureDoesNotMatch") == replies[0].outcome
    assert 1 == len(replies)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("get /bkt/precious HTTP/1.1", 400),
        ("Get /bkt/precious HTTP/1.1", 400),
        ("GET /bkt/precious HTTP/0.9", 400),
        ("GET /bkt/precious HTTP/2.0", 400),
        ("GET /bkt/precious HTTP/1.1 HTTP/1.1", 400),
        ("GET /bkt/precious", 400),
        ("GET bkt/precious HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET ?prefix= HTTP/1.1", 400),
        ("PRI * HTTP/2.0", 400),
        ("CONNECT 127.0.0.1:22 HTTP/1.1", 400),
        ("GET \\bkt\\precious HTTP/1.1", 400),
        ("GET /bkt/precious\x01 HTTP/1.1", 400),
        ("GET /bkt/precious\x7f HTTP/1.1", 400),
        ("GET /bkt/%zz HTTP/1.1", 400),
    ],
)
def test_request_lines(house: House, line: str, expected: int) -> None:
    """A request line that is not exactly one is a 400, although its headers are signed."""
    host = house.server.endpoint_url.removeprefix("http://")
    headers = sign("GET", "/bkt/precious", host=host)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    replies, _ = house.send(f"{line}\r\n{lines}\r\n".encode())
    assert [(expected, True)] == [(reply.status, reply.code != "") for reply in replies]


def test_the_absolute_form(house: House) -> None:
    """A target with scheme and host is the same target without them, as HTTP wants it; it names no other object."""
    host = house.server.endpoint_url.removeprefix("http://")
    lines = "".join(f"{name}: {value}\r\n" for name, value in sign("GET", "/bkt/precious", host=host).items())
    for origin in (f"http://{host}", f"HTTP://{host}", "http://elsewhere.example"):
        replies, _ = house.send(f"GET {origin}/bkt/precious HTTP/1.1\r\n{lines}\r\n".encode())
        assert [(200, PRECIOUS)] == [(reply.status, reply.body) for reply in replies]


@pytest.mark.parametrize("hosts", [[], ["one", "two"], ["a b"], ["bkt@localhost"], ["bkt.localhost/x"]])
def test_hosts(house: House, hosts: list[str]) -> None:
    """HTTP/1.1 without a Host, with two of them or with one that is none is a 400."""
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    replies, _ = house.send(f"GET /bkt/precious HTTP/1.1\r\n{lines}\r\n".encode())
    assert [(400, "BadRequest")] == [reply.outcome for reply in replies]


@pytest.mark.parametrize("offer", ["Upgrade", "close, Upgrade", "Upgrade, HTTP2-Settings", "keep-alive,upgrade"])
@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_other_protocols(house: House, method: str, protocol: str, offer: str) -> None:
    """An offer to speak something else is not taken up: the request is answered, and its body is its body."""
    host = house.server.endpoint_url.removeprefix("http://")
    body = _signed_request("DELETE", "/bkt/precious", host) if method == "PUT" else b""
    request = _signed_request(method, "/bkt/upgraded", host, body).removesuffix(b"\r\n" + body)
    request += f"Connection: {offer}\r\nUpgrade: {protocol}\r\n\r\n".encode()
    replies, _ = house.send(request + body)
    if method == "GET":
        assert [404] == [reply.status for reply in replies]
        return
    assert [200] == [reply.status for reply in replies]
    assert body == house.ask("GET", "/bkt/upgraded").body
    assert 204 == house.ask("DELETE", "/bkt/upgraded").status
    # In pieces the offer is not seen in time: then the connection is given up before the body could be a request.
    with Wire(house.server.endpoint_url) as wire:
        half = request.index(b"Connection") + 5
        for piece in (request[:half], request[half:], body):
            wire.socket.sendall(piece)
            time.sleep(0.05)
        assert 400 == wire.receive().status
        assert wire.is_closed()


def test_http_1_0(house: House) -> None:
    """A client of HTTP/1.0 is answered with a length, no chunks, and the end of the connection."""
    host = house.server.endpoint_url.removeprefix("http://")
    for key, size in (("precious", len(PRECIOUS)), ("large", len(PRECIOUS) * LARGE)):
        lines = "".join(f"{name}: {value}\r\n" for name, value in sign("GET", f"/bkt/{key}", host=host).items())
        replies, ended = house.send(f"GET /bkt/{key} HTTP/1.0\r\n{lines}\r\n".encode())
        assert [(200, size)] == [(reply.status, len(reply.body)) for reply in replies]
        assert "transfer-encoding" not in replies[0].headers
        assert ended


def open_files() -> list[str]:
    """The sockets and bodies that this process, and the server in it, has open; the index stays open for each thread."""
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one of the listing itself
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return sorted(link for link in links if link.startswith("socket:") or ("/store/" in link and "/index" not in link))


def test_slow_ones_keep_nobody_waiting(house: House) -> None:
    """With heads, short and long bodies and answers that stand still, others are served, and nothing stays open."""
    host = house.server.endpoint_url.removeprefix("http://")
    short = _signed_request("PUT", "/bkt/new", host, b"x" * 1000)
    long = _signed_request("PUT", "/bkt/new", host, b"x" * 500_000)
    ask = _signed_request("GET", "/bkt/large", host)
    assert 200 == house.ask("GET", "/bkt").status
    before = open_files()
    with contextlib.ExitStack() as stack:

        def begin(data: bytes) -> socket.socket:
            wire = stack.enter_context(Wire(house.server.endpoint_url))
            wire.socket.sendall(data)
            return wire.socket

        dripping = [begin(short[:n]) for n in range(50)] + [begin(short[:-900]) for _ in range(50)]
        dripping += [begin(long[:-900]) for _ in range(30)]
        for _ in range(10):
            begin(ask)
        for _ in range(3):
            for connection in dripping:
                connection.sendall(b"x" if connection in dripping[50:] else b"")
            assert PRECIOUS == house.ask("GET", "/bkt/precious").body
            assert (412, "PreconditionFailed") == house.ask(
                "PUT", "/bkt/precious", b"x" * 300_000, headers={"if-none-match": "*"}
            ).outcome
            assert 204 == house.ask("DELETE", "/bkt/new").status
    deadline = time.monotonic() + 20
    # Fewer is fine: a connection that was idle before may have been closed meanwhile.
    while len(open_files()) > len(before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(before) >= len(open_files())


@pytest.mark.parametrize("version", ["a%0d%0aset-cookie:%20b", "%00", "%C3%A9", "a%20b", "v" * 2000])
def test_versions_that_no_header_can_have(house: House, version: str) -> None:
    """A version id that could not be named in an answer is not there to readers, and nothing to deleters."""
    assert (404, "NoSuchVersion") == house.ask("GET", f"/bkt/precious?versionId={version}").outcome
    assert 404 == house.ask("HEAD", f"/bkt/precious?versionId={version}").status
    reply = house.ask("DELETE", f"/bkt/precious?versionId={version}")
    assert 204 == reply.status
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "kind", ["Ā", "multipart/form-data; boundary=Ā", "multipart/form-data", "multipart/form-data; ="]
)
def test_forms_that_are_none(house: House, kind: str) -> None:
    """A form of another type, or without a boundary, is refused for that."""
    host = house.server.endpoint_url.removeprefix("http://")
    head = f"POST /bkt HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: 9\r\n\r\n--x\r\n\r\n--"
    replies, _ = house.send(head.encode())
    assert 1 == len(replies)
    assert replies[0].status in {400, 412}
    assert replies[0].code


def test_pipelined_refusals(house: House) -> None:
    """Good and bad requests in one packet are answered each for itself, in order, on a connection that goes on."""
    host = house.server.endpoint_url.removeprefix("http://")
    good = _signed_request("GET", "/bkt/precious", host)
    bad = _signed_request("GET", "/bkt/precious", host, secret="wrong")
    old = _signed_request("PUT", "/bkt/new", host, b"x", now=1440938160.0)
    swapped = _signed_request("PUT", "/bkt/new", host, b"good").removesuffix(b"good") + b"EVIL"
    replies, ended = house.send(good + bad + old + swapped + good)
    assert [200, 403, 403, 400, 200] == [reply.status for reply in replies]
    assert ["SignatureDoesNotMatch", "RequestTimeTooSkewed", "XAmzContentSHA256Mismatch"] == [
        reply.code for reply in replies[1:4]
    ]
    assert not ended
