"""Objects put and read, in this process: headers, checksums, bodies, ranges, conditions."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import ConnectionLost, InvalidRange
from s3func.message import BLOCK, Request
from s3func.server.backend import StoredObject
from s3func.server.conditions import requested_extent
from s3func.wire.encoding import http_date
from tests.server.conditions import BODY, CONDITIONS, ETAG
from tests.server.forge import Caller, base64_of, code, keys, read, sign

# --- put, get, head


def test_a_key_its_folder_and_what_is_in_it_are_three_objects(caller: Caller) -> None:
    """`a`, `a/`, `a/b` and `a//b` are put, read, listed and deleted each for itself, whichever comes first."""
    four = ["a", "a/", "a//b", "a/b"]
    for order in (four, four[::-1]):
        for key in order:
            caller.put(key, key.encode())
        assert four == keys(caller)
        for key in order:
            assert key.encode() == read(caller("GET", f"/bkt/{key}"))
        page = read(caller("GET", "/bkt", "delimiter=%2F&list-type=2"))
        assert b"<Key>a</Key>" in page
        assert b"<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>" in page
        assert 1 == page.count(b"<Key>")
        for number, key in enumerate(order, 1):
            assert 204 == caller("DELETE", f"/bkt/{key}").status
            assert sorted(order[number:]) == keys(caller)


def test_everything_that_is_said_comes_back(caller: Caller) -> None:
    """Content headers, user metadata and storage class are kept as given; without a type it is binary/octet-stream."""
    said = {
        "content-type": "text/plain; charset=utf-8",
        "cache-control": "max-age=60",
        "content-disposition": 'attachment; filename="x.txt"',
        "content-encoding": "gzip",
        "content-language": "ko",
        "expires": "Wed, 21 Oct 2026 07:28:00 GMT",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-website-redirect-location": "/other",
        "x-amz-meta-colour": "red",
        "x-amz-meta-list": "a,b",
        "x-amz-meta-empty": "",
    }
    caller.put("key", BODY, **said)
    caller.put("plain", BODY)
    for method in ("GET", "HEAD"):
        response = caller(method, "/bkt/key")
        assert said.items() <= response.headers.items()
        assert f'"{ETAG}"' == response.headers["etag"]
        assert "256" == response.headers["content-length"]
        assert "bytes" == response.headers["accept-ranges"]
        assert abs(datetime.now(UTC).timestamp() - _moment(response.headers["last-modified"])) < 60
        assert (BODY if method == "GET" else b"") == read(response)
    plain = caller("HEAD", "/bkt/plain").headers
    assert "binary/octet-stream" == plain["content-type"]
    assert "x-amz-storage-class" not in plain


def _moment(text: str) -> float:
    return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()


def test_framing_is_no_attribute(caller: Caller) -> None:
    """`aws-chunked` says how a body travelled; it is not kept as the object's encoding."""
    caller.put("a", content_encoding="aws-chunked")
    caller.put("b", content_encoding="aws-chunked, gzip")
    assert "content-encoding" not in caller("HEAD", "/bkt/a").headers
    assert "gzip" == caller("HEAD", "/bkt/b").headers["content-encoding"]


def test_metadata_beyond_ascii_is_kept(caller: Caller) -> None:
    """Metadata that a header cannot carry comes back as RFC 2047 writes it, as from S3."""
    caller.put("key", x_amz_meta_name="caf\u00e9")
    assert "=?UTF-8?B?Y2Fmw6k=?=" == caller("HEAD", "/bkt/key").headers["x-amz-meta-name"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-amz-meta-a": "x" * 2048}, (400, "MetadataTooLarge")),
        ({"x-amz-meta-": "nameless"}, (400, "InvalidArgument")),
        ({"x-amz-meta-a(b)": "c"}, (400, "InvalidArgument")),
        ({"x-amz-meta-\u00e9": "c"}, (400, "InvalidArgument")),
        ({"x-amz-storage-class": "CHEAP"}, (400, "InvalidStorageClass")),
        ({"content-type": "text/plain\x00"}, (400, "InvalidArgument")),
        ({"x-amz-acl": "open"}, (400, "InvalidArgument")),
        ({"x-amz-grant-read": 'id="x"'}, (400, "InvalidArgument")),
        ({"x-amz-tagging": "a=b&a=c"}, (400, "InvalidTag")),
        ({"x-amz-server-side-encryption": "AES192"}, (400, "InvalidArgument")),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, (400, "InvalidArgument")),
        ({"x-amz-object-lock-mode": "COMPLIANCE"}, (400, "InvalidRequest")),
        ({"x-amz-write-offset-bytes": "0"}, (501, "NotImplemented")),
        ({"x-amz-trailer": "x-amz-checksum-crc32"}, (400, "InvalidRequest")),
        ({"content-md5": "not base64"}, (400, "InvalidDigest")),
        ({"content-md5": b64encode(b"short").decode()}, (400, "InvalidDigest")),
        ({"content-md5": b64encode(bytes(16)).decode()}, (400, "BadDigest")),
        ({"x-amz-checksum-crc32": "AAAA"}, (400, "BadDigest")),
        ({"x-amz-checksum-crc32": b64encode(bytes(4)).decode()}, (400, "BadDigest")),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, (400, "InvalidRequest")),
        ({"content-length": "1e3"}, (400, "InvalidArgument")),
        ({"content-length": "-1"}, (400, "InvalidArgument")),
        ({"content-length": "255"}, (400, "IncompleteBody")),
        ({"content-length": "257"}, (400, "IncompleteBody")),
        ({"content-length": str(5 * 1024**3 + 1)}, (400, "EntityTooLarge")),
    ],
)
def test_what_cannot_be_done_is_refused(caller: Caller, headers: dict[str, str], expected: tuple[int, str]) -> None:
    """A header that is wrong, or asks for what this server does not do, is refused and the old object stays."""
    caller.put("key", b"old")
    assert expected == code(caller("PUT", "/bkt/key", body=BODY, headers=headers))
    assert b"old" == read(caller("GET", "/bkt/key"))


def test_private_is_what_everything_is(caller: Caller) -> None:
    """The canned ACL that changes nothing is accepted."""
    caller.put("key", x_amz_acl="private")


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_checksums_are_verified_kept_and_told(caller: Caller, algorithm: str) -> None:
    """A checksum that was sent is verified, comes back from the PUT and on request, and not with a part of the body."""
    name = f"x-amz-checksum-{algorithm}"
    value = base64_of(algorithm, BODY)
    put = caller.put("key", BODY, **{name: value, "x-amz-sdk-checksum-algorithm": algorithm.upper()})
    assert (value, "FULL_OBJECT") == (put.headers[name], put.headers["x-amz-checksum-type"])
    asked = {"x-amz-checksum-mode": "ENABLED"}
    for method in ("GET", "HEAD"):
        assert value == caller(method, "/bkt/key", headers=asked).headers[name]
        assert name not in caller(method, "/bkt/key").headers
        assert name not in caller(method, "/bkt/key", headers={**asked, "range": "bytes=0-1"}).headers
    wrong = base64_of(algorithm, b"another body")
    assert (400, "BadDigest") == code(caller("PUT", "/bkt/other", body=BODY, headers={name: wrong}))
    assert ["key"] == keys(caller)


def test_one_checksum_is_enough(caller: Caller) -> None:
    """Two checksums of different algorithms are refused."""
    headers = {f"x-amz-checksum-{name}": base64_of(name, BODY) for name in ("crc32", "sha1")}
    assert (400, "InvalidRequest") == code(caller("PUT", "/bkt/key", body=BODY, headers=headers))


def test_content_md5_is_verified(caller: Caller) -> None:
    """The right Content-MD5 is accepted (the wrong one is among what is refused)."""
    caller.put("key", BODY, **{"content-md5": b64encode(hashlib.md5(BODY).digest()).decode()})


class Source:
    """An upload body of a session in this process, which may lie about its length."""

    replayable = False

    def __init__(self, blocks: list[bytes], length: int, error: Exception | None = None) -> None:
        self._blocks = blocks
        self.length = length
        self._error = error

    def blocks(self) -> Iterator[bytes | memoryview]:
        for block in self._blocks:
            yield memoryview(block)
        if self._error is not None:
            raise self._error


def put_source(caller: Caller, source: Source) -> tuple[int, str]:
    headers = sign("PUT", "/bkt/key", payload_hash="UNSIGNED-PAYLOAD")
    response = caller.app(Request("PUT", "http://localhost", "/bkt/key", "", headers, source))
    return (200, "") if response.status == 200 else code(response)


def test_bodies_that_are_produced(caller: Caller) -> None:
    """A body in blocks is stored whole; a length that is wrong is refused."""
    blocks = [b"x" * BLOCK, b"", b"y" * 7]
    assert (200, "") == put_source(caller, Source(blocks, BLOCK + 7))
    assert b"x" * BLOCK + b"y" * 7 == read(caller("GET", "/bkt/key"))
    for length in (BLOCK, BLOCK + 8):
        assert (400, "IncompleteBody") == put_source(caller, Source(blocks, length))


def test_the_client_sees_its_own_error(caller: Caller) -> None:
    """What a body of this process raises reaches who sent it, unchanged, and nothing is stored."""
    with pytest.raises(OSError, match="disk error"):
        put_source(caller, Source([b"abc"], 10, OSError("disk error")))
    assert [] == keys(caller)


class Broken:
    """A body that ends with its connection."""

    def read(self, size: int = -1) -> bytes:
        raise ConnectionLost("gone")

    def readinto(self, buffer: memoryview) -> int:
        raise ConnectionLost("gone")

    def close(self) -> None:
        """Nothing to give up."""


def test_bodies_that_arrive(caller: Caller) -> None:
    """A stream without Content-Length needs Transfer-Encoding; one that breaks off stores nothing."""
    for headers, expected in [
        ({}, (411, "MissingContentLength")),
        ({"content-length": "10"}, (400, "IncompleteBody")),
        ({"transfer-encoding": "chunked"}, (400, "IncompleteBody")),
    ]:
        fields = sign("PUT", "/bkt/key", payload_hash="UNSIGNED-PAYLOAD") | headers
        response = caller.app(Request("PUT", "http://localhost", "/bkt/key", "", fields, Broken()))
        assert expected == code(response)
    assert [] == keys(caller)


def test_a_large_body_is_a_stream(caller: Caller) -> None:
    """A body of several blocks comes as a stream that reads, fills buffers, ends and can be given up."""
    body = bytes(range(256)) * (BLOCK // 256) + b"end"
    caller.put("key", body)
    stream = caller("GET", "/bkt/key").body
    assert not isinstance(stream, bytes)
    buffer = bytearray(10)
    assert (10, body[:10]) == (stream.readinto(memoryview(buffer)), bytes(buffer))
    assert body[10:] == stream.read()
    assert b"" == stream.read()
    stream.close()
    given_up = caller("GET", "/bkt/key")
    given_up.close()
    assert not isinstance(given_up.body, bytes)
    assert b"" == given_up.body.read()


def test_what_is_not_there(caller: Caller) -> None:
    """A missing bucket, key or version is named; an empty version is an error of the client."""
    caller.put("key")
    assert (404, "NoSuchBucket") == code(caller("GET", "/none/key"))
    assert (404, "NoSuchBucket") == code(caller("PUT", "/none/key", body=BODY))
    assert (404, "NoSuchKey") == code(caller("GET", "/bkt/none"))
    assert (404, "NoSuchVersion") == code(caller("GET", "/bkt/key", "versionId=v1"))
    assert (400, "InvalidArgument") == code(caller("GET", "/bkt/key", "versionId="))
    assert 200 == caller("GET", "/bkt/key", "versionId=null").status


def test_answers_can_be_overridden(caller: Caller) -> None:
    """response-* parameters of a signed request replace headers; a line break in one is refused."""
    caller.put("key", content_type="text/plain")
    query = "response-content-type=text%2Fhtml&response-content-disposition=attachment"
    response = caller("GET", "/bkt/key", query)
    assert ("text/html", "attachment") == (response.headers["content-type"], response.headers["content-disposition"])
    evil = "response-content-type=" + "a%0D%0AX-Evil:%20b"
    assert (400, "InvalidArgument") == code(caller("GET", "/bkt/key", evil))


# --- ranges

RANGES = [
    ("bytes=0-0", (0, 1)),
    ("bytes=1-3", (1, 3)),
    ("bytes=250-", (250, 6)),
    ("bytes=250-9999", (250, 6)),
    ("bytes=-6", (250, 6)),
    ("bytes=-9999", (0, 256)),
    ("bytes=0-255", (0, 256)),
    ("Bytes = 1 - 2", (1, 2)),
]


@pytest.mark.parametrize(("text", "extent"), RANGES)
def test_a_range_is_that_part(caller: Caller, text: str, extent: tuple[int, int]) -> None:
    """GET and HEAD with a range are 206 with exactly those bytes and their place."""
    caller.put("key", BODY)
    start, size = extent
    for method in ("GET", "HEAD"):
        response = caller(method, "/bkt/key", headers={"range": text})
        assert 206 == response.status
        assert f"bytes {start}-{start + size - 1}/256" == response.headers["content-range"]
        assert str(size) == response.headers["content-length"]
        assert (BODY[start : start + size] if method == "GET" else b"") == read(response)


@pytest.mark.parametrize("text", ["bytes=256-", "bytes=300-400", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(caller: Caller, text: str) -> None:
    """A range without a byte of the body is 416 with the size; of an empty object, every range is."""
    caller.put("key", BODY)
    caller.put("empty")
    response = caller("GET", "/bkt/key", headers={"range": text})
    assert "bytes */256" == response.headers["content-range"]
    assert (416, "InvalidRange") == code(response)
    assert (416, "InvalidRange") == code(caller("GET", "/bkt/empty", headers={"range": text}))
    assert 416 == caller("HEAD", "/bkt/key", headers={"range": text}).status


@pytest.mark.parametrize(
    "text", ["bytes=", "bytes=-", "bytes=3-1", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "", "0-1"]
)
def test_a_range_that_is_none_counts_as_absent(caller: Caller, text: str) -> None:
    """A malformed range, several ranges and other units bring the whole object with 200."""
    caller.put("key", BODY)
    response = caller("GET", "/bkt/key", headers={"range": text})
    assert (200, BODY) == (response.status, read(response))


@given(st.integers(0, 20), st.integers(0, 30), st.integers(0, 30))
def test_ranges_are_slices(size: int, first: int, last: int) -> None:
    """For every size, `a-b`, `a-` and `-n` are Python's slices of the body, and InvalidRange where those are empty."""
    stored = StoredObject(key="k", size=size, etag="", last_modified=0.0)
    body = bytes(size)
    for text, part in [
        (f"bytes={first}-{last}", body[first : last + 1] if first <= last else None),
        (f"bytes={first}-", body[first:]),
        (f"bytes=-{last}", body[max(size - last, 0) :] if last else b""),
    ]:
        try:
            extent = requested_extent({"range": text}, stored)
        except InvalidRange:
            assert b"" == part
        else:
            assert (part is None) == (extent is None)
            assert extent is None or (part is not None and len(part) == extent.size > 0)


def test_if_range_decides_whether_the_range_counts(caller: Caller) -> None:
    """With If-Range of another version, the whole object comes; of this one, the part."""
    caller.put("key", BODY)
    modified = caller("HEAD", "/bkt/key").headers["last-modified"]
    for condition, status in [(f'"{ETAG}"', 206), (modified, 206), ('"other"', 200), (http_date(0), 200), ("x", 200)]:
        headers = {"range": "bytes=0-1", "if-range": condition}
        assert status == caller("GET", "/bkt/key", headers=headers).status, condition


# --- conditions


@pytest.mark.parametrize(("headers", "status"), CONDITIONS)
def test_conditions_on_reads(caller: Caller, headers: dict[str, str], status: int) -> None:
    """GET and HEAD obey the four conditions in the order of RFC 9110; a 304 still has its ETag and no body."""
    caller.put("key", BODY)
    for method in ("GET", "HEAD"):
        response = caller(method, "/bkt/key", headers=headers)
        assert status == response.status
        if status == 304:
            assert (f'"{ETAG}"', b"") == (response.headers["etag"], read(response))
            assert "content-length" not in response.headers
        elif status == 412 and method == "GET":
            assert (412, "PreconditionFailed") == code(response)


def test_dates_are_compared_in_whole_seconds(caller: Caller) -> None:
    """The Last-Modified that was told is neither newer nor older than the object."""
    caller.put("key", BODY)
    told = caller("HEAD", "/bkt/key").headers["last-modified"]
    assert 304 == caller("GET", "/bkt/key", headers={"if-modified-since": told}).status
    assert 200 == caller("GET", "/bkt/key", headers={"if-unmodified-since": told}).status


def test_conditions_on_writes(caller: Caller) -> None:
    """If-None-Match: * creates once, If-Match replaces what is known, and a refusal changes nothing."""
    star = {"if-none-match": "*"}
    assert 200 == caller("PUT", "/bkt/key", body=BODY, headers=star).status
    assert (412, "PreconditionFailed") == code(caller("PUT", "/bkt/key", body=b"2", headers=star))
    assert (412, "PreconditionFailed") == code(caller("PUT", "/bkt/key", body=b"2", headers={"if-match": '"other"'}))
    assert (404, "NoSuchKey") == code(caller("PUT", "/bkt/none", body=b"2", headers={"if-match": f'"{ETAG}"'}))
    assert BODY == read(caller("GET", "/bkt/key"))
    assert 200 == caller("PUT", "/bkt/key", body=b"2", headers={"if-match": f'"{ETAG}"'}).status
    assert b"2" == read(caller("GET", "/bkt/key"))
    assert (412, "PreconditionFailed") == code(caller("DELETE", "/bkt/key", headers={"if-match": f'"{ETAG}"'}))
    assert (412, "PreconditionFailed") == code(caller("DELETE", "/bkt/key", headers={"x-amz-if-match-size": "7"}))
    assert ["key"] == keys(caller)


def test_a_write_may_name_what_it_must_not_replace(caller: Caller) -> None:
    """If-None-Match with an ETag, which AWS does not take on writes and Ceph does, holds: this one is not replaced."""
    caller.put("key", BODY)
    assert (412, "PreconditionFailed") == code(
        caller("PUT", "/bkt/key", body=b"2", headers={"if-none-match": f'"other", "{ETAG}"'})
    )
    assert BODY == read(caller("GET", "/bkt/key"))
    assert 200 == caller("PUT", "/bkt/key", body=b"2", headers={"if-none-match": '"other"'}).status


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"if-match": f'"{ETAG}"'}, (204, "")),
        ({"if-match": "*"}, (204, "")),
        ({"if-match": '"other"'}, (412, "PreconditionFailed")),
        ({"x-amz-if-match-size": "256"}, (204, "")),
        ({"x-amz-if-match-size": "0"}, (412, "PreconditionFailed")),
        ({"x-amz-if-match-size": "many"}, (400, "InvalidArgument")),
        ({"x-amz-if-match-size": "-1"}, (400, "InvalidArgument")),
        ({"x-amz-if-match-last-modified-time": "Thu, 01 Jan 2015 00:00:00 GMT"}, (412, "PreconditionFailed")),
        ({"x-amz-if-match-last-modified-time": "2015"}, (400, "InvalidArgument")),
        ({"if-match": f'"{ETAG}"', "x-amz-if-match-size": "7"}, (412, "PreconditionFailed")),
    ],
)
def test_conditions_on_deletions(caller: Caller, headers: dict[str, str], expected: tuple[int, str]) -> None:
    """An object goes only if all conditions hold, and one that cannot be read is an error, not a yes."""
    caller.put("key", BODY)
    response = caller("DELETE", "/bkt/key", headers=headers)
    assert expected == ((204, "") if response.status == 204 else code(response))
    assert ([] if expected[0] == 204 else ["key"]) == keys(caller)


def test_a_deletion_at_its_time(caller: Caller) -> None:
    """The Last-Modified that the store gave is one that x-amz-if-match-last-modified-time accepts."""
    caller.put("key", BODY)
    modified = caller("HEAD", "/bkt/key").headers["last-modified"]
    assert 204 == caller("DELETE", "/bkt/key", headers={"x-amz-if-match-last-modified-time": modified}).status
    assert [] == keys(caller)


def test_a_deletion_of_what_is_gone(caller: Caller) -> None:
    """An ETag cannot match where there is no object (404, as from AWS); size and time then say nothing (204)."""
    for etag in ("*", f'"{ETAG}"'):
        assert (404, "NoSuchKey") == code(caller("DELETE", "/bkt/key", headers={"if-match": etag}))
    assert 204 == caller("DELETE", "/bkt/key", headers={"x-amz-if-match-size": "7"}).status


def test_a_condition_is_seen_before_the_body(caller: Caller) -> None:
    """A write whose condition cannot hold is refused although its body would break off: it is not read."""
    caller.put("key", BODY)
    headers = sign("PUT", "/bkt/key", payload_hash="UNSIGNED-PAYLOAD", headers={"if-none-match": "*"})
    headers["content-length"] = "10"
    response = caller.app(Request("PUT", "http://localhost", "/bkt/key", "", headers, Broken()))
    assert (412, "PreconditionFailed") == code(response)
