"""Objects: put, get, head, exists, delete, as a user of the embedded server sees them."""

from __future__ import annotations

import gzip
import io
import os
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import S3Session
from s3func.errors import (
    ChecksumMismatch,
    InvalidRange,
    NoSuchKey,
    NotFound,
    NotModified,
    PreconditionFailed,
    ProtocolError,
    ServerError,
)
from s3func.message import Response
from s3func.results import GetResult
from tests.s3.rigs import Recorder, embedded, recorded

LARGE = os.urandom(700_000)
"""More than comes with the head of an answer."""


@pytest.fixture
def store() -> Iterator[tuple[S3Session, Recorder]]:
    """A session on an empty in-process server, and what it sends."""
    with embedded() as pair:
        yield pair


@pytest.fixture
def session(store: tuple[S3Session, Recorder]) -> S3Session:
    """The session alone."""
    return store[0]


# --- metadata and content headers

METADATA = {
    "plain": "value",
    "empty": "",
    "leading": "  two spaces",
    "trailing": "two spaces  ",
    "inner": "a  b",
    "tab": "a\tb",
    "newline": "a\r\nx-amz-acl: public-read",
    "latin": "Zürich",
    "cjk": "東京",
    "emoji": "🎉 café ✓",
    "nul": "\0",
    "encoded": "=?UTF-8?B?w6k=?=",
    "half-encoded": "=?",
    "encoded-inside": "a =?utf-8?q?x?= b",
    "equals": "a=b; c=\"d\", 'e'",
    "percent": "100%25 %",
    "long-non-ascii": "é" * 500,
    "Number.With_odd~Name!": "7",
}


@pytest.mark.parametrize("verb", ["get_object", "head_object"])
@pytest.mark.parametrize("name", METADATA)
def test_metadata_round_trip(session: S3Session, name: str, verb: str) -> None:
    """A value of any text comes back as it was given, under its name in lower case."""
    session.put_object("key", b"x", metadata={name: METADATA[name]})
    result = getattr(session, verb)("key")
    assert {name.lower(): METADATA[name]} == result.user_metadata
    assert METADATA[name] == result.metadata[name.lower()]


@given(st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,10}", fullmatch=True), st.text(max_size=60), max_size=5))
def test_any_metadata_round_trip(metadata: dict[str, str]) -> None:
    """The same for whatever text fits into two kilobytes."""
    with embedded() as (session, recorder):
        session.put_object("key", b"", metadata=metadata)
        assert metadata == session.head_object("key").user_metadata
        assert all(value.isascii() and value.isprintable() for value in recorder.sent[0].headers.values())


def test_metadata_of_two_kilobytes(session: S3Session) -> None:
    """Exactly as much as S3 keeps is sent."""
    metadata = {"n" * 48: "v" * 2000}
    session.put_object("key", b"", metadata=metadata)
    assert metadata == session.head_object("key").user_metadata


def test_the_metadata_of_the_seed(session: S3Session) -> None:
    """metadata holds the user's own beside status, content_length, etag, version_id and upload_timestamp."""
    session.put_object("key", b"12345", metadata={"Processed": "false"})
    for result in (session.head_object("key"), session.get_object("key")):
        metadata = result.metadata
        assert {"processed", "status", "content_length", "etag", "upload_timestamp"} == set(metadata)
        assert ("false", 200, 5) == (metadata["processed"], metadata["status"], metadata["content_length"])
        assert result.etag == metadata["etag"] == "827ccb0eea8a706c4c34a16891f84e7b"
        assert result.last_modified == metadata["upload_timestamp"]
        assert abs(metadata["upload_timestamp"] - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_users_names_do_not_hide_the_stores(session: S3Session) -> None:
    """User metadata called like one of the store's facts is in user_metadata; metadata keeps the fact."""
    mine = {
        "status": "mine",
        "etag": "mine",
        "content_length": "mine",
        "upload_timestamp": "mine",
        "version_id": "mine",
    }
    session.put_object("key", b"12345", metadata=mine)
    result = session.head_object("key")
    assert mine == result.user_metadata
    assert "version_id" not in result.metadata, "the bucket keeps no versions"
    assert (200, 5, result.etag) == tuple(result.metadata[name] for name in ("status", "content_length", "etag"))
    assert isinstance(result.metadata["upload_timestamp"], datetime)


FOREIGN_VALUES = [
    ("plain", "plain"),
    ("=?UTF-8?B?w6k=?=", "é"),
    ("=?utf-8?b?w6k?=", "é"),
    ("=?UTF-8?Q?caf=C3=A9_=3D?=", "café ="),
    ("=?ISO-8859-1?q?caf=E9?=", "café"),
    ("=?UTF-8*fr?B?w6k=?=", "é"),
    ("=?UTF-8?B?w6k=?= =?UTF-8?B?w6k=?=", "éé"),
    ("a  =?UTF-8?B?w6k=?=b", "a  éb"),
    ("=?UTF-8?B??=", ""),
    ("=?UTF-8?B?!!!?=", "=?UTF-8?B?!!!?="),
    ("=?UTF-8?B?w6k=?= =?UTF-8?B?!!!?=", "=?UTF-8?B?w6k=?= =?UTF-8?B?!!!?="),
    ("=?UTF-8?Q?=ZZ?=", "=?UTF-8?Q?=ZZ?="),
    ("=?UTF-8?X?w6k=?=", "=?UTF-8?X?w6k=?="),
    ("=?no-such-charset?B?w6k=?=", "=?no-such-charset?B?w6k=?="),
    ("=?hex?B?w6k=?=", "=?hex?B?w6k=?="),
    ("=?UTF-8?B?/w==?=", "=?UTF-8?B?/w==?="),
    ("what =? is this", "what =? is this"),
]


@pytest.mark.parametrize(("sent", "expected"), FOREIGN_VALUES)
def test_metadata_that_others_wrote(sent: str, expected: str) -> None:
    """Encoded words are decoded however they were written; what is none, or is broken, stays as it is."""
    recorder = Recorder(lambda _: Response(200, {"x-amz-meta-name": sent}))
    assert {"name": expected} == recorded(recorder).head_object("key").user_metadata


CONTENT_HEADERS: dict[str, Any] = {
    "content_type": "text/csv; charset=utf-8",
    "cache_control": "max-age=60, private",
    "content_disposition": "attachment; filename=\"a b.csv\"; filename*=UTF-8''%C3%A9.csv",
    "content_encoding": "gzip",
    "content_language": "de-CH, fr",
    "expires": "Sat, 21 Nov 2026 10:00:00 GMT",
}


def test_content_headers_round_trip(session: S3Session) -> None:
    """Every documented content header is stored and comes back, and the body is not decoded because of one."""
    session.put_object("key", b"no gzip at all", **CONTENT_HEADERS)
    for result in (session.head_object("key"), session.get_object("key")):
        assert CONTENT_HEADERS == {name: result.headers.get(name.replace("_", "-")) for name in CONTENT_HEADERS}
        assert "text/csv; charset=utf-8" == result.content_type
    assert b"no gzip at all" == session.get_object("key").data


@pytest.mark.parametrize(
    "moment",
    [
        1795255200,
        1795255200.9,
        datetime(2026, 11, 21, 10, tzinfo=UTC),
        datetime(2026, 11, 21, 19, tzinfo=timezone(timedelta(hours=9))),
    ],
)
def test_times_as_arguments(moment: Any) -> None:
    """A time is an aware datetime of any zone, or seconds since the epoch."""
    recorder = Recorder()
    session = recorded(recorder)
    session.put_object("key", b"", expires=moment)
    session.get_object("key", if_modified_since=moment)
    session.head_object("key", if_unmodified_since=moment)
    dates = [
        sent.headers.get(name)
        for sent, name in zip(recorder.sent, ("expires", "if-modified-since", "if-unmodified-since"), strict=True)
    ]
    assert ["Sat, 21 Nov 2026 10:00:00 GMT"] * 3 == dates


def test_the_headers_of_a_put() -> None:
    """Every keyword is one documented header, and headers= is for the rest."""
    recorder = Recorder()
    recorded(recorder).put_object(
        "key",
        b"",
        {"A": "b"},
        "text/plain",
        storage_class="STANDARD_IA",
        acl="private",
        tagging={"project": "a/b & c", "é": ""},
        if_none_match="*",
        headers={"X-Amz-Server-Side-Encryption": " AES256 "},
    )
    expected = {
        "x-amz-meta-a": "b",
        "content-type": "text/plain",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-acl": "private",
        "x-amz-tagging": "project=a%2Fb%20%26%20c&%C3%A9=",
        "if-none-match": "*",
        "x-amz-server-side-encryption": "AES256",
    }
    assert expected.items() <= recorder.last.headers.items()
    recorded(recorder).put_object("key", b"", tagging="a=b&c=d")
    assert "a=b&c=d" == recorder.last.headers["x-amz-tagging"]


# --- conditions


@pytest.mark.parametrize("quoted", ["{}", '"{}"', 'W/"{}"', '"x", "{}"', ' "{}" '])
def test_etags_as_arguments(session: S3Session, quoted: str) -> None:
    """An ETag is taken as results give it, quoted, or in a list."""
    etag = session.put_object("key", b"x").etag
    assert b"x" == session.get_object("key", if_match=quoted.format(etag)).data if "W/" not in quoted else True
    with pytest.raises(NotModified):
        session.get_object("key", if_none_match=quoted.format(etag))
    with pytest.raises(PreconditionFailed):
        session.get_object("key", if_match=quoted.format("0" * 32))


def test_conditional_reads(session: S3Session) -> None:
    """The four conditions of get and head hold or raise NotModified and PreconditionFailed."""
    session.put_object("key", b"x")
    modified = session.head_object("key").last_modified
    assert modified is not None
    hour = timedelta(hours=1)
    for read in (session.get_object, session.head_object):
        assert 200 == read("key", if_modified_since=modified - hour).status
        assert 200 == read("key", if_unmodified_since=modified).status
        assert 200 == read("key", if_none_match="0" * 32).status
        with pytest.raises(NotModified) as not_modified:
            read("key", if_modified_since=modified)
        assert 304 == not_modified.value.status
        with pytest.raises(PreconditionFailed) as failed:
            read("key", if_unmodified_since=modified - hour)
        assert 412 == failed.value.status
        with pytest.raises(PreconditionFailed):
            read("key", if_match="0" * 32)


def test_conditional_writes(session: S3Session) -> None:
    """Create only what is not there, replace only what is known, delete only what is known."""
    first = session.put_object("key", b"1", if_none_match="*")
    with pytest.raises(PreconditionFailed):
        session.put_object("key", b"2", if_none_match="*")
    second = session.put_object("key", b"2", if_match=first.etag)
    with pytest.raises(PreconditionFailed):
        session.put_object("key", b"3", if_match=first.etag)
    assert b"2" == session.get_object("key").data
    with pytest.raises(PreconditionFailed):
        session.delete_object("key", if_match=first.etag)
    assert session.exists("key")
    session.delete_object("key", if_match=second.etag)
    assert not session.exists("key")


# --- ranges

CONTENT = bytes(range(100))
RANGES = [
    (0, 0, slice(0, 1)),
    (0, 99, slice(0, 100)),
    (10, 19, slice(10, 20)),
    (90, 1000, slice(90, 100)),
    (99, None, slice(99, 100)),
    (0, None, slice(0, 100)),
    (None, 1, slice(99, 100)),
    (None, 7, slice(93, 100)),
    (None, 1000, slice(0, 100)),
]


@pytest.mark.parametrize(("start", "end", "expected"), RANGES)
def test_ranges(session: S3Session, start: int | None, end: int | None, expected: slice) -> None:
    """Both ends are included; range_end alone means the last so many bytes."""
    session.put_object("key", CONTENT)
    result = session.get_object("key", range_start=start, range_end=end)
    part = CONTENT[expected]
    assert part == result.data
    assert (206, len(part)) == (result.status, result.size)
    assert f"bytes {expected.start}-{expected.start + len(part) - 1}/100" == result.content_range


def test_a_range_that_has_no_byte(session: S3Session) -> None:
    """A range behind the end is InvalidRange."""
    session.put_object("key", CONTENT)
    session.put_object("empty", b"")
    for key, start in (("key", 100), ("empty", 0)):
        with pytest.raises(InvalidRange) as caught:
            session.get_object(key, range_start=start)
        assert 416 == caught.value.status


@pytest.mark.parametrize(("start", "end", "sent"), [(5, 9, "bytes=5-9"), (5, None, "bytes=5-"), (None, 5, "bytes=-5")])
def test_a_store_that_ignores_the_range(start: int | None, end: int | None, sent: str) -> None:
    """Other bytes than were asked for are never handed out."""
    recorder = Recorder(lambda _: Response(200, {}, CONTENT))
    with pytest.raises(ProtocolError, match="ignored the range"):
        recorded(recorder, retries=1).get_object("key", range_start=start, range_end=end)
    assert sent == recorder.last.headers["range"]


# --- reading


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_data_on_a_default_session(session: S3Session, content: bytes) -> None:
    """`.data` works without asking for anything, twice, after the `with` block that read it, and beside the stream."""
    session.put_object("key", content)
    result = session.get_object("key")
    assert content == result.data == result.data
    assert content == result.read()
    with session.get_object("key") as result:
        assert content == result.data
    assert content == result.data
    assert result.closed


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_data_is_all_or_an_error(session: S3Session, content: bytes) -> None:
    """After a part was read, or the result was closed, `.data` would be another thing, so it is a ValueError."""
    session.put_object("key", content)
    result = session.get_object("key")
    assert content[:2] == result.read(2)
    with pytest.raises(ValueError, match="data is not kept"):
        _ = result.data
    with session.get_object("key") as result:
        pass
    with pytest.raises(ValueError, match="data is not kept"):
        _ = result.data
    with pytest.raises(ValueError, match="closed"):
        result.read()


READERS: dict[str, Callable[[GetResult], bytes]] = {
    "read": lambda result: result.read(),
    "read(None)": lambda result: result.read(None),
    "read(-1)": lambda result: result.read(-1),
    "read(7)": lambda result: b"".join(iter(lambda: result.read(7001), b"")),
    "iter_chunks": lambda result: b"".join(result.iter_chunks()),
    "iter_chunks(size)": lambda result: b"".join(result.iter_chunks(10_007)),
    "for": b"".join,
    "stream": lambda result: result.stream.read(),
    "read and the rest": lambda result: result.read(10) + result.read(),
    "readinto": lambda result: read_into(result, bytearray(10_007)),
}


def read_into(result: GetResult, buffer: bytearray) -> bytes:
    """All of a body through one buffer."""
    parts = []
    while count := result.readinto(buffer):
        parts.append(bytes(buffer[:count]))
    return b"".join(parts)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("reader", READERS)
def test_every_way_to_read(session: S3Session, reader: str, content: bytes, stream: bool) -> None:
    """Each way to read gives the whole body once, whether it was read before the call returned or not."""
    session.put_object("key", content)
    result = session.get_object("key", stream=stream)
    assert content == READERS[reader](result)
    assert b"" == result.read(10)
    assert 0 == result.readinto(bytearray(10))


@pytest.mark.parametrize("where", ["session", "call"])
def test_stream_false_reads_at_once(where: str) -> None:
    """stream=False, of the session or of the call, has the body when the call returns."""
    body = Countdown(LARGE)
    recorder = Recorder(lambda _: Response(200, {}, body))
    if where == "session":
        result = recorded(recorder, stream=False).get_object("key")
    else:
        result = recorded(recorder).get_object("key", stream=False)
    assert 0 == body.left
    assert LARGE == result.data
    body = Countdown(LARGE)
    assert len(LARGE) == body.left
    recorded(recorder, stream=False).get_object("key", stream=True)
    assert len(LARGE) == body.left, "nobody has read it"


class Countdown:
    """A body that says how much of it was not read yet."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)
        self.left = len(content)

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.left -= len(block)
        return block

    def readinto(self, buffer: memoryview) -> int:
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._file.close()


def test_the_standard_library_reads_it(session: S3Session) -> None:
    """A result is a raw stream for the library's readers of bytes, text and archives, and closing them closes it."""
    lines = [f"{n},zeile {n},é\n" for n in range(100_000)]
    text = "".join(lines)
    session.put_object("text", text)
    result = session.get_object("text")
    with io.BufferedReader(result) as reader:  # type: ignore[type-var]
        assert text[:5].encode() == reader.read(5)
        assert text[5:].encode() == reader.read()
        assert b"" == reader.read()
    assert result.closed
    with io.TextIOWrapper(io.BufferedReader(session.get_object("text")), encoding="utf-8") as file:  # type: ignore[type-var]
        assert lines == list(file)
    with io.TextIOWrapper(session.get_object("text"), encoding="utf-8") as file:  # type: ignore[type-var]
        assert lines == list(file)
    session.put_object("zipped", gzip.compress(text.encode()))
    with gzip.open(session.get_object("zipped"), "rt", encoding="utf-8") as file:
        assert text == file.read()


def test_a_checksum_that_does_not_fit() -> None:
    """A body that is not what was stored raises at its end, however it is read, and before it is handed out whole."""
    headers = {"x-amz-checksum-crc32": "AAAAAA==", "content-length": "5"}
    session = recorded(Recorder(lambda _: Response(200, dict(headers), b"hello")), retries=1)
    with pytest.raises(ChecksumMismatch, match="crc32"):
        session.get_object("key")
    unverified = recorded(Recorder(lambda _: Response(200, dict(headers), b"hello")), verify_downloads=False)
    assert b"hello" == unverified.get_object("key").data


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-crc32": "AAAAAA==-2"},
        {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-crc32": "AAAAAA==", "content-range": "bytes 0-4/10"},
        {"x-amz-checksum-xxhash3": "AAAAAA=="},
    ],
    ids=str,
)
def test_a_checksum_of_something_else(headers: dict[str, str]) -> None:
    """A checksum of parts, of a part's whole, or of an unknown kind says nothing about these bytes."""
    session = recorded(Recorder(lambda _: Response(200, dict(headers), b"hello")))
    assert b"hello" == session.get_object("key").data


def test_the_checksum_is_asked_for() -> None:
    """Reads ask for the stored checksum, unless told not to, or of a part."""
    recorder = Recorder(lambda request: Response(206 if "range" in request.headers else 200, {}, b""))
    session = recorded(recorder)
    session.get_object("key")
    assert "ENABLED" == recorder.last.headers["x-amz-checksum-mode"]
    session.get_object("key", range_start=1)
    assert "x-amz-checksum-mode" not in recorder.last.headers
    recorded(recorder, verify_downloads=False).get_object("key")
    assert "x-amz-checksum-mode" not in recorder.last.headers


# --- not there


def test_what_is_not_there(session: S3Session) -> None:
    """A missing key is NoSuchKey, NotFound where no body says so, False in exists; deleting it succeeds."""
    with pytest.raises(NoSuchKey) as caught:
        session.get_object("missing")
    error = caught.value
    assert (404, "NoSuchKey", "bucket", "missing") == (error.status, error.code, error.bucket, error.key)
    assert error.request_id
    with pytest.raises(NotFound) as not_found:
        session.head_object("missing")
    assert (404, "missing") == (not_found.value.status, not_found.value.key)
    assert session.exists("missing") is False
    assert 204 == session.delete_object("missing").status
    session.put_object("here", b"")
    assert session.exists("here") is True
    assert session.exists("here", bucket="absent") is False


def test_exists_hides_no_other_error() -> None:
    """Only "not there" is False."""
    session = recorded(Recorder(lambda _: Response(500, {})), retries=1)
    with pytest.raises(ServerError):
        session.exists("key")


def test_a_put_that_failed_after_200() -> None:
    """An <Error> with status 200 is no success."""
    body = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>sorry</Message></Error>"
    with pytest.raises(ServerError, match="sorry"):
        recorded(Recorder(lambda _: Response(200, {}, body)), retries=1).put_object("key", b"")


# --- results


def test_results_travel(session: S3Session) -> None:
    """Results without a body are pickled whole; one with a body says what to pickle instead."""
    put = session.put_object("key", b"x", metadata={"a": "b"})
    for result in (put, session.head_object("key"), session.copy_object("key", "copy"), session.delete_object("key")):
        other = pickle.loads(pickle.dumps(result))
        assert (result.status, result.headers, result.etag) == (other.status, other.headers, other.etag)
        assert repr(result) == repr(other)
    session.put_object("key", b"x")
    with pytest.raises(TypeError, match=r"pickle its \.data"):
        pickle.dumps(session.get_object("key"))


def test_an_etag_has_no_quotes() -> None:
    """An ETag is the text between the quotes, weak or not."""
    for sent, expected in (('"abc"', "abc"), ('W/"abc"', "abc"), ("abc", "abc"), ("", "")):
        recorder = Recorder(lambda _, sent=sent: Response(200, {"etag": sent}))  # type: ignore[misc]
        assert expected == recorded(recorder).head_object("key").etag
