from __future__ import annotations

import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import ConnectionLost, ProtocolError, S3FuncError, TimedOut, TruncatedBody
from s3func.results import GetResult
from s3func.transport.connection import Connection, parse_head
from s3func.version import VERSION
from tests.transport.canned import Canned

OK = b"HTTP/1.1 200 OK\r\n"


def get(data: bytes, method: str = "GET") -> tuple[Canned, bytes, dict[str, str]]:
    """The connection, the body and the headers of one exchange."""
    canned = Canned(data)
    response = canned.exchange(method)
    return canned, response.read(), response.headers


def test_the_request_on_the_wire() -> None:
    """A request is its head as it was built, the length of its body, and the body."""
    canned = Canned(OK + b"Content-Length: 0\r\n\r\n")
    canned.exchange("PUT", b"body")
    last = f"accept-encoding: identity\r\nuser-agent: s3func/{VERSION}\r\n\r\n".encode()
    expected = b"PUT /bucket/key HTTP/1.1\r\nhost: host\r\ncontent-length: 4\r\n" + last + b"body"
    assert expected == canned.sock.sent


@pytest.mark.parametrize(("method", "sent"), [("GET", False), ("HEAD", False), ("DELETE", False), ("POST", True)])
def test_the_length_of_nothing(method: str, *, sent: bool) -> None:
    """An empty body is announced where a body could be expected, and only there."""
    canned = Canned(OK + b"Content-Length: 0\r\n\r\n")
    canned.exchange(method)
    assert sent == (b"content-length: 0" in canned.sock.sent)


class Green(socket.socket):
    """A socket of a library that replaces the standard one and knows nothing of the kernel's limits."""


@pytest.mark.parametrize("make", [socket.socket, Green])
def test_a_limit_holds_on_every_kind_of_socket(make: type[socket.socket]) -> None:
    """The kernel's own limit is for the standard library's plain sockets; all others get Python's."""
    here, there = socket.socketpair()
    with make(fileno=here.detach()) as sock, there:
        connection = Connection(sock, 0.05, lambda _: None)
        assert sock.gettimeout() in ({0.05} if make is Green else {None, 0.05})
        with pytest.raises(TimedOut):
            connection.receive(1, None)


HEADERS = {
    "usual": (b"A: 1\r\nB-C: x, y", {"a": "1", "b-c": "x, y"}),
    "no space": (b"A:1\r\nB:", {"a": "1", "b": ""}),
    "much space": (b"A: \t 1 \t \r\nB:   ", {"a": "1", "b": ""}),
    "colons": (b'ETag: "a:b"\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT', {"etag": '"a:b"', "date": "Sat, 21 Nov 2026 10:00:00 GMT"}),
    "space before a colon in a value": (b"A: x : y", {"a": "x : y"}),
    "repeated": (b"A: 1\r\nB: 2\r\na: 3\r\nA: 4", {"a": "1, 3, 4", "b": "2"}),
    "folded": (b"A: 1\r\n 2\r\n\t3\r\nB: 4", {"a": "1 2 3", "b": "4"}),
    "spaces beside a repeated header": (b"A: 1\r\nA: 2\r\nB: x  y", {"a": "1, 2", "b": "x  y"}),
    "bare LF": (b"A: 1\nB: 2", {"a": "1", "b": "2"}),
    "some bare LF": (b"A: 1\nB: 2\r\nC: 3", {"a": "1", "b": "2", "c": "3"}),
    "latin-1": (b"A: caf\xe9", {"a": "caf\xe9"}),
    "raw UTF-8": (b"A: voil\xc3\xa0\r\nB: 1", {"a": "voil\xc3\xa0", "b": "1"}),
    "UTF-8 beside a repeated header": (b"A: \xc2\x85\r\nB: 1\r\nB: 2", {"a": "\xc2\x85", "b": "1, 2"}),
    "none": (b"", {}),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("newline", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_headers(lines: bytes, expected: dict[str, str], newline: bytes) -> None:
    """Every header arrives under its lower-case name and with its exact value, however the lines are laid out."""
    head = b"HTTP/1.1 200 OK" + newline + lines.replace(b"\r\n", newline) + newline * (2 if lines else 1)
    canned = Canned(head)
    assert expected == canned.exchange("HEAD").headers
    assert canned.is_kept


@given(cuts=st.lists(st.integers(1, 200)), head=st.sampled_from(sorted(HEADERS)))
def test_a_head_in_pieces(cuts: list[int], head: str) -> None:
    """A head means the same whatever pieces it arrives in, interim answers before it included."""
    lines, expected = HEADERS[head]
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK
    data += lines + (b"\r\n\r\n" if lines else b"\r\n")
    assert expected == Canned(*cut(data, cuts)).exchange("HEAD").headers


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """The data in pieces of these sizes, and the rest."""
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return [*parts, data]


@pytest.mark.parametrize(
    "line",
    [
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 2000",
        "HTTP/1.1 200OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 000 None",
        "HTTP/1.1 099 None",
        "HTTP/1.1 -20 OK",
        "HTTP/1.1 ²²² OK",
        "HTTP/1.1 200\nOK",
        "HTTP/1. 200 OK",
        "HTTP/2 200 OK",
        "http/1.1 200 OK",
        " HTTP/1.1 200 OK",
        "ICY 200 OK",
        "<!DOCTYPE html>",
        "",
    ],
)
def test_a_bad_status_line(line: str) -> None:
    """What does not begin as an HTTP/1 answer is a ProtocolError, and the connection is closed."""
    canned = Canned(line.encode("latin-1") + b"\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(ProtocolError, match="not an HTTP/1 answer"):
        canned.exchange()
    assert not canned.is_kept


@pytest.mark.parametrize(
    "line", ["HTTP/1.1 200", "HTTP/1.2 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 299 Ça va", "HTTP/1.1 200 a b  c"]
)
def test_a_status_line(line: str) -> None:
    """The reason may be anything, or missing."""
    status, headers = parse_head(f"{line}\r\na: 1".encode("latin-1"))
    assert (int(line[9:12]), {"a": "1"}) == (status, headers)


BAD_HEADS = {
    "a line that is no header": b"Garbage\r\nContent-Length: 4",
    "the last line is no header": b"Content-Length: 4\r\nGarbage",
    "space before the colon": b"Content-Length : 4",
    "no name": b": 4\r\nContent-Length: 4",
    "an empty line among bare LF": b"A: 1\n\nContent-Length: 4",
    "folded at once": b" folded\r\nContent-Length: 4",
    "two lengths": b"Content-Length: 4\r\nContent-Length: 5",
    "two lengths in a line": b"Content-Length: 4, 5",
    "a negative length": b"Content-Length: -4",
    "a signed length": b"Content-Length: +4",
    "a length with an underscore": b"Content-Length: 1_0",
    "a length in hexadecimal": b"Content-Length: 0x4",
    "a length in other digits": b"Content-Length: \xb2",
    "an empty length": b"Content-Length: ",
    "an endless length": b"Content-Length: " + b"9" * 5000,
    "an unknown coding": b"Transfer-Encoding: gzip",
    "a second coding": b"Transfer-Encoding: gzip, chunked",
}


@pytest.mark.parametrize("lines", BAD_HEADS.values(), ids=BAD_HEADS)
def test_a_bad_head(lines: bytes) -> None:
    """A head that cannot be trusted to say where its body ends is a ProtocolError, never another body."""
    canned = Canned(OK + lines + b"\r\n\r\nbody")
    with pytest.raises(ProtocolError):
        canned.exchange()
    assert not canned.is_kept


def test_a_huge_head() -> None:
    """A head without end is refused at a quarter of a megabyte, not collected for ever."""
    canned = Canned(OK, *[b"x: " + b"y" * 1020 + b"\r\n"] * 1000)
    with pytest.raises(ProtocolError, match="longer than 262144 bytes"):
        canned.exchange()
    assert not canned.is_kept


def test_many_headers() -> None:
    """As many headers as a metadata of two kilobytes can be are read, also beside a repeated one."""
    lines = b"".join(b"x-amz-meta-%d: %d\r\n" % (number, number) for number in range(400))
    canned = Canned(OK + b"Vary: Origin\r\n" + lines + b"Vary: Accept-Encoding\r\nContent-Length: 0\r\n\r\n")
    headers = canned.exchange().headers
    assert 402 == len(headers)
    assert ("399", "Origin, Accept-Encoding") == (headers["x-amz-meta-399"], headers["vary"])


def test_equal_lengths() -> None:
    """The same length twice is one length."""
    canned, body, headers = get(OK + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody")
    assert (b"body", "4") == (body, headers["content-length"])
    assert canned.is_kept


def test_chunks_go_before_length() -> None:
    """Where an answer has both a length and chunks, the chunks count."""
    canned, body, _ = get(OK + b"Content-Length: 99\r\nTransfer-Encoding: Chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
    assert b"body" == body
    assert canned.is_kept


@pytest.mark.parametrize("data", [b"", b"H", OK, OK + b"Content-Length: 4\r\n", OK + b"Content-Length: 4\r\n\r"])
def test_a_head_that_ends_early(data: bytes) -> None:
    """A connection that ends before the head does is a ConnectionLost that says whether anything came."""
    canned = Canned(data)
    with pytest.raises(ConnectionLost, match="in the middle of the response head" if data else "without an answer"):
        canned.exchange()
    assert not canned.is_kept


@given(junk=st.binary(max_size=200), cuts=st.lists(st.integers(1, 50), max_size=5), start=st.booleans())
def test_any_bytes_at_all(junk: bytes, cuts: list[int], start: bool) -> None:
    """Whatever a server sends, the outcome is a response or a typed error, and the connection is kept or closed."""
    canned = Canned(*cut((OK if start else b"") + junk, cuts))
    try:
        canned.exchange().read()
    except S3FuncError:
        assert canned.sock.closed
    assert canned.is_kept in {True, False}


# --- bodies


def chunk_lines(sizes: list[int], extension: bytes, trailers: bytes, data: bytes, *, upper: bool) -> bytes:
    """The data in chunks of these sizes; what is left over is one more chunk."""
    coded = b""
    for chunk in cut(data, sizes):
        if chunk:
            size = b"%X" % len(chunk) if upper else b"%04x" % len(chunk)
            coded += size + extension + b"\r\n" + chunk + b"\r\n"
    return coded + b"0" + extension + b"\r\n" + trailers + b"\r\n"


EXTENSIONS = st.sampled_from([b"", b";", b"; a=b", b' ;chunk-signature="0;0"', b"\t;" + b"x" * 300])
TRAILERS = st.sampled_from([b"", b"x-amz-checksum-crc32: AAAAAA==\r\n", b"A: 1\r\nB: " + b"2" * 500 + b"\r\n"])


@st.composite
def chunked_bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Data, and one of its chunked forms."""
    data = draw(st.binary(max_size=300) | st.integers(0, 2000).map(lambda size: bytes(range(256)) * (size // 256 + 1)))
    sizes = draw(st.lists(st.integers(1, 400), max_size=8))
    return data, chunk_lines(sizes, draw(EXTENSIONS), draw(TRAILERS), data, upper=draw(st.booleans()))


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@given(body=chunked_bodies(), cuts=st.lists(st.integers(1, 300), max_size=20), sizes=st.lists(st.integers(1, 500)))
def test_chunked_bodies(body: tuple[bytes, bytes], cuts: list[int], sizes: list[int]) -> None:
    """A chunked body is its data, whatever the chunks, extensions, trailers, cuts and reads; the connection is kept."""
    data, coded = body
    for way in ("read", "readinto", "all"):
        canned = Canned(*cut(CHUNKED + coded, cuts))
        stream = canned.exchange().body
        assert not isinstance(stream, bytes)
        parts = []
        for size in [*sizes, *[1000] * 10_000]:
            if way == "all":
                part = stream.read()
            elif way == "read":
                part = stream.read(size)
                assert len(part) <= size
            else:
                buffer = bytearray(size)
                part = bytes(buffer[: stream.readinto(memoryview(buffer))])
            if not part:
                break
            parts.append(part)
        assert data == b"".join(parts)
        assert b"" == stream.read(1) == stream.read()
        assert canned.is_kept


@given(body=chunked_bodies(), cuts=st.lists(st.integers(1, 300), max_size=20), size=st.integers(1, 500))
def test_chunked_results(body: tuple[bytes, bytes], cuts: list[int], size: int) -> None:
    """A GetResult over a chunked body gives the same data in every way, and read(n) exactly n bytes until the end."""
    data, coded = body

    def result() -> GetResult:
        return GetResult(Canned(*cut(CHUNKED + coded, cuts)).exchange())

    assert data == result().data == result().read()
    chunks = list(result().iter_chunks(size))
    assert data == b"".join(chunks)
    assert all(0 < len(chunk) <= size for chunk in chunks)
    reader = result()
    for start in range(0, len(data) + size, size):
        assert data[start : start + size] == reader.read(size)


@given(body=chunked_bodies(), cuts=st.lists(st.integers(1, 300), max_size=8), data=st.data())
def test_chunked_bodies_that_end_early(body: tuple[bytes, bytes], cuts: list[int], data: st.DataObject) -> None:
    """A chunked body that ends before its last line is a TruncatedBody at every cut, again at every further read."""
    whole, coded = body
    coded = coded[: data.draw(st.integers(0, len(coded) - 1))]
    canned = Canned(*cut(CHUNKED + coded, cuts))
    stream = canned.exchange().body
    assert not isinstance(stream, bytes)
    got = b""
    with pytest.raises(TruncatedBody):
        while True:
            block = stream.read(100)
            assert block, "an early end looked like the end"
            got += block
    assert whole.startswith(got)
    assert not canned.is_kept
    with pytest.raises(ConnectionLost):
        stream.read(1)


@pytest.mark.parametrize(
    "coded",
    [
        b"\r\n",
        b"x\r\n",
        b"-4\r\nbody\r\n0\r\n\r\n",
        b"+4\r\nbody\r\n0\r\n\r\n",
        b"0x4\r\nbody\r\n0\r\n\r\n",
        b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
        b"4 4\r\nbody\r\n0\r\n\r\n",
        b"4\r\nbodyX\r\n0\r\n\r\n",
        b"4\r\nbody0\r\n\r\n",
        b"4\r\nbody\r\n\r\n0\r\n\r\n",
        b"\xb2\r\nbo\r\n0\r\n\r\n",
        b"f" * 20 + b"\r\nbody",
        b"4" * 300_000 + b"\r\nbody",
        b";ext=1\r\nbody\r\n0\r\n\r\n",
        b"0\r\n" + b"x: 1\r\n" * 100_000 + b"\r\n",
    ],
    ids=range(15),
)
def test_bad_chunks(coded: bytes) -> None:
    """What is no chunk is a ProtocolError, and the connection is closed."""
    canned = Canned(CHUNKED, coded)
    stream = canned.exchange().body
    assert not isinstance(stream, bytes)
    with pytest.raises(ProtocolError):
        stream.read()
    assert not canned.is_kept
    with pytest.raises(ConnectionLost):
        stream.read()


@given(
    length=st.integers(0, 300) | st.integers(60_000, 70_000),
    missing=st.integers(0, 300),
    cuts=st.lists(st.integers(1, 70_000), max_size=8),
    sizes=st.lists(st.integers(1, 100_000), max_size=8),
    into=st.booleans(),
)
def test_sized_bodies(length: int, missing: int, cuts: list[int], sizes: list[int], *, into: bool) -> None:
    """A body of known length is exactly that, or a TruncatedBody; never less without an error."""
    data = bytes(index % 251 for index in range(length))
    missing = min(missing, length)
    head = OK + b"Content-Length: %d\r\n\r\n" % length
    canned = Canned(*cut(head + data[: length - missing], cuts))
    got = b""
    try:
        body = canned.exchange().body
        if isinstance(body, bytes):
            got = body
        else:
            for size in [*sizes, *[5000] * 10_000]:
                buffer = bytearray(size)
                block = bytes(buffer[: body.readinto(memoryview(buffer))]) if into else body.read(size)
                if not block:
                    break
                got += block
            assert b"" == body.read(1)
    except TruncatedBody as error:
        assert missing > 0
        assert re.fullmatch(r"the body ended \d+ bytes early", str(error))
        assert data.startswith(got)
        assert not canned.is_kept
    else:
        assert missing == 0
        assert data == got
        assert canned.is_kept


def test_a_closed_stream_has_no_end() -> None:
    """Reading on after close() is an error: it must not look like the end of the body."""
    for head in (CHUNKED, OK + b"Content-Length: 100000\r\n\r\n", OK + b"\r\n"):
        canned = Canned(head, b"1\r\nx\r\n")
        stream = canned.exchange().body
        assert not isinstance(stream, bytes)
        stream.close()
        stream.close()
        assert not canned.is_kept
        with pytest.raises(ConnectionLost):
            stream.read(1)


def test_a_body_until_the_end() -> None:
    """A body without length or chunks is all that comes, and costs the connection."""
    canned = Canned(OK + b"\r\nbo", b"dy")
    stream = canned.exchange().body
    assert not isinstance(stream, bytes)
    assert b"body" == stream.read()
    assert b"" == stream.read() == stream.read(1)
    assert not canned.is_kept
