"""Our client against servers that share no code with it: what it signs, encodes and reads is checked by strangers.

Ceph RGW and OpenStack Swift verify every signature; rclone is the odd one; moto verifies little and offers much. Where
one of them does not follow AWS, tests/interop/deviations.py says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import (
    AccessDenied,
    BucketAlreadyExists,
    BucketNotEmpty,
    InvalidCredentials,
    InvalidRange,
    NoSuchBucket,
    NoSuchKey,
    NotFound,
    NotModified,
    PreconditionFailed,
)
from tests.interop.servers import ForeignServer, SkewedClock, connect, new_bucket

# A first test may have to wait for a server that is still starting.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


@pytest.mark.parametrize("size", [0, 1, 1024, 65_537, 5 * 1024 * 1024 + 3])
def test_what_is_put_comes_back(session: S3Session, size: int) -> None:
    """The same bytes come back, with their length, and the ETag of a single put is their MD5."""
    body = os.urandom(size)
    etag = hashlib.md5(body).hexdigest()
    put = session.put_object("dir/key.bin", body)
    assert etag == put.etag.strip('"')
    with session.get_object("dir/key.bin") as got:
        assert body == got.data
        assert size == got.size
        assert etag == got.etag.strip('"')
    head = session.head_object("dir/key.bin")
    assert (size, etag) == (head.size, head.etag.strip('"'))
    assert head.last_modified is not None
    assert abs(head.last_modified - datetime.now(UTC)) < timedelta(hours=1)


@pytest.mark.parametrize("kind", ["bytearray", "memoryview", "str", "path", "file", "raw file", "BytesIO"])
def test_every_sized_body_arrives_whole(session: S3Session, tmp_path: Path, kind: str) -> None:
    """A body of any kind arrives as its bytes; a file from where it stands."""
    text = "Grüße, κόσμε\n" * 10_000
    body = text.encode()
    path = tmp_path / "body"
    path.write_bytes(b"skipped" + body)
    (tmp_path / "exact").write_bytes(body)
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        file.seek(7)
        raw.seek(7)
        buffer = io.BytesIO(b"skipped" + body)
        buffer.seek(7)
        given: dict[str, Any] = {
            "bytearray": bytearray(body),
            "memoryview": memoryview(b"x" + body)[1:],
            "str": text,
            "path": tmp_path / "exact",
            "file": file,
            "raw file": raw,
            "BytesIO": buffer,
        }
        # A str is text to store; a path is a Path.
        session.put_object("key", given[kind])
    assert body == session.get_object("key").data


def test_a_body_of_unknown_length_arrives_whole(session: S3Session) -> None:
    """An iterable is stored as the bytes it yields, without a trace of how it was framed."""
    blocks = [os.urandom(size) for size in (1, 100_000, 7, 300_000)]
    session.put_object("key", iter(blocks))
    got = session.get_object("key")
    assert b"".join(blocks) == got.data
    assert "aws-chunked" not in got.headers.get("content-encoding", "")


def test_a_body_is_read_as_a_stream(session: S3Session) -> None:
    """A body can be read piece by piece, and one that is given up does not stand in the way of the next request."""
    body = os.urandom(3_000_000)
    session.put_object("key", body)
    with session.get_object("key") as got:
        assert body == b"".join(got.iter_chunks(100_000))
    with session.get_object("key") as got:
        assert body[:10] == got.read(10)
        buffer = bytearray(1000)
        filled = got.readinto(buffer)
        assert body[10 : 10 + filled] == bytes(buffer[:filled])
    for _ in range(20):
        session.get_object("key").close()
    assert body == session.get_object("key").data


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 0, slice(0, 1)), (10, 19, slice(10, 20)), (990, None, slice(990, None)), (None, 7, slice(-7, None))],
)
def test_a_range_is_that_part(session: S3Session, start: int | None, end: int | None, expected: slice) -> None:
    """A range is the bytes from start to end, both included; without a start it is the last bytes."""
    body = os.urandom(1000)
    session.put_object("key", body)
    assert body[expected] == session.get_object("key", range_start=start, range_end=end).data


def test_a_range_behind_the_end_is_refused(session: S3Session) -> None:
    """A range that begins behind the end is InvalidRange."""
    session.put_object("key", b"0123456789")
    with pytest.raises(InvalidRange):
        session.get_object("key", range_start=10).read()


METADATA = {"source": "sensor-1", "mixed-case": 'A b; c="d", e', "number": "7", "status": "mine"}


def test_user_metadata_comes_back(session: S3Session) -> None:
    """User metadata comes back on get and head; what S3 itself reports is never overwritten by it."""
    session.put_object("key", b"x", metadata=METADATA)
    expected = {name: value for name, value in METADATA.items() if name != "status"}
    for result in (session.get_object("key"), session.head_object("key")):
        assert expected == {name: result.metadata.get(name) for name in expected}
        assert 200 == result.metadata["status"]


def test_content_headers_come_back(session: S3Session) -> None:
    """The documented content headers are stored and returned."""
    headers: dict[str, Any] = {
        "content_type": "text/csv; charset=utf-8",
        "cache_control": "max-age=60",
        "content_disposition": 'attachment; filename="a b.csv"',
        "content_encoding": "gzip",
        "content_language": "de-CH",
    }
    session.put_object("key", b"not really gzip", **headers)
    head = session.head_object("key")
    assert headers == {name: head.headers.get(name.replace("_", "-")) for name in headers}
    assert headers["content_type"] == head.content_type
    # A stored Content-Encoding is a remark about the bytes, and the bytes are returned as they were put.
    assert b"not really gzip" == session.get_object("key").data


def test_metadata_beyond_ascii_is_exact_or_refused(session: S3Session) -> None:
    """A value that is not ASCII comes back as it was given, or is refused before anything is sent."""
    try:
        session.put_object("key", b"x", metadata={"name": "Zoë 東京"})
    except ValueError as error:
        assert "metadata" in str(error)
        assert not session.exists("key")
    else:
        assert "Zoë 東京" == session.head_object("key").metadata["name"]


def test_the_wrong_key_is_not_found(session: S3Session) -> None:
    """A missing key is NoSuchKey where the answer says so, NotFound on HEAD, False in exists; deleting it is no error."""
    with pytest.raises(NoSuchKey):
        session.get_object("missing")
    with pytest.raises(NotFound) as caught:
        session.head_object("missing")
    assert (404, "missing") == (caught.value.status, caught.value.key)
    assert not session.exists("missing")
    session.delete_object("missing")


def test_a_deleted_object_is_gone(session: S3Session) -> None:
    """After a delete the key is not found and not listed."""
    session.put_object("key", b"x")
    assert session.exists("key")
    session.delete_object("key")
    assert not session.exists("key")
    assert [] == list(session.list_objects())


def test_a_copy_is_the_same_object(session: S3Session) -> None:
    """A copy has the bytes, the metadata and the content type of its source, under whatever key."""
    session.put_object("source", b"bytes", metadata={"a": "1"}, content_type="text/plain")
    for target in ("copy", "deep/er/copy", "a copy + 100% é?#&"):
        session.copy_object("source", target)
        got = session.get_object(target)
        assert (b"bytes", "text/plain", "1") == (got.data, got.content_type, got.metadata["a"])


def test_a_copy_can_replace_the_metadata(session: S3Session) -> None:
    """Metadata given to a copy takes the place of the source's."""
    session.put_object("source", b"bytes", metadata={"a": "1"}, content_type="text/plain")
    session.copy_object("source", "copy", metadata={"b": "2"}, content_type="text/csv")
    head = session.head_object("copy")
    assert ("2", "text/csv") == (head.metadata.get("b"), head.content_type)
    assert "a" not in head.metadata


@pytest.mark.parametrize("key", ["a b", "a+b", "é/ü", "a&b=c", "a%b", "x/", "a;b:c@d"])
def test_a_copy_from_an_odd_key(session: S3Session, key: str) -> None:
    """The source of a copy travels in a header, encoded, and is that key."""
    session.put_object(key, b"odd")
    session.copy_object(key, "copy")
    assert b"odd" == session.get_object("copy").data


def test_a_copy_between_buckets(session: S3Session, foreign: ForeignServer) -> None:
    """source_bucket and dest_bucket name other buckets than the session's."""
    session.put_object("key", b"bytes")
    other = new_bucket()
    session.create_bucket(other)
    session.copy_object("key", "there", dest_bucket=other)
    session.copy_object("there", "back", source_bucket=other)
    assert b"bytes" == session.get_object("back").data
    with connect(foreign, other) as elsewhere:
        assert ["there"] == [entry.key for entry in elsewhere.list_objects()]


def test_versions_are_kept(session: S3Session) -> None:
    """With versioning each put is a version that can be listed, read and deleted; a delete is a marker."""
    body = b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status>'
    session.request("PUT", query={"versioning": ""}, body=body + b"</VersioningConfiguration>")
    first = session.put_object("key", b"one").version_id
    second = session.put_object("key", b"two").version_id
    assert first is not None
    assert second is not None
    assert first != second
    assert b"one" == session.get_object("key", version_id=first).data
    assert second == session.head_object("key").version_id
    marker = session.delete_object("key")
    assert marker.delete_marker
    with pytest.raises(NoSuchKey):
        session.get_object("key")
    listed = [
        (entry.version_id, bool(entry.delete_marker), entry.is_latest) for entry in session.list_object_versions()
    ]
    assert [(marker.version_id, True, True), (second, False, False), (first, False, False)] == listed
    session.delete_object("key", version_id=marker.version_id)
    assert b"two" == session.get_object("key").data
    session.delete_objects(prefix="key", purge=True)
    assert [] == list(session.list_object_versions())


def test_conditional_reads(session: S3Session) -> None:
    """Each of the four conditions of a read holds or is NotModified or PreconditionFailed, on get and on head."""
    session.put_object("key", b"x")
    head = session.head_object("key")
    assert head.last_modified is not None
    later, earlier = head.last_modified + timedelta(seconds=2), head.last_modified - timedelta(hours=1)
    for read in (session.get_object, session.head_object):
        assert 200 == read("key", if_match=head.etag).status
        assert 200 == read("key", if_none_match='"other"').status
        assert 200 == read("key", if_modified_since=earlier).status
        assert 200 == read("key", if_unmodified_since=later).status
        with pytest.raises(NotModified):
            read("key", if_none_match=head.etag)
        with pytest.raises(PreconditionFailed):
            read("key", if_match='"0123456789abcdef0123456789abcdef"')
        with pytest.raises(NotModified):
            read("key", if_modified_since=head.last_modified)
        with pytest.raises(PreconditionFailed):
            read("key", if_unmodified_since=earlier)


def test_create_only(session: S3Session) -> None:
    """if_none_match="*" stores a new key and refuses one that exists, which stays as it is."""
    session.put_object("key", b"first", if_none_match="*")
    with pytest.raises(PreconditionFailed):
        session.put_object("key", b"second", if_none_match="*")
    assert b"first" == session.get_object("key").data


def test_replace_only_what_was_read(session: S3Session) -> None:
    """if_match stores over the state with that ETag and refuses any other."""
    etag = session.put_object("key", b"first").etag
    session.put_object("key", b"second", if_match=etag)
    with pytest.raises(PreconditionFailed):
        session.put_object("key", b"third", if_match=etag)
    assert b"second" == session.get_object("key").data


def test_delete_only_what_was_read(session: S3Session) -> None:
    """A delete with if_match leaves an object that has changed."""
    etag = session.put_object("key", b"first").etag
    session.put_object("key", b"second")
    with pytest.raises(PreconditionFailed):
        session.delete_object("key", if_match=etag)
    assert session.exists("key")


@pytest.mark.parametrize("wrong", ["access_key", "access_key_id"])
def test_wrong_credentials_are_told(session: S3Session, foreign: ForeignServer, wrong: str) -> None:
    """A wrong secret or an unknown key id is InvalidCredentials, AccessDenied on HEAD, and no secret is in the text."""
    session.put_object("key", b"x")
    given = {wrong: "someoneelse0000000000000000000000000000"}
    with connect(foreign, session.bucket, **given) as stranger:
        calls: list[Callable[[], object]] = [
            lambda: stranger.get_object("key"),
            lambda: stranger.put_object("key", b"y"),
            lambda: list(stranger.list_objects()),
            lambda: stranger.delete_objects(["key"]),
        ]
        for call in calls:
            with pytest.raises(InvalidCredentials) as caught:
                call()
            assert foreign.secret_key not in f"{caught.value!r} {caught.value}"
        with pytest.raises(AccessDenied):
            stranger.head_object("key")
    assert b"x" == session.get_object("key").data


def test_nobody_is_refused(session: S3Session, foreign: ForeignServer) -> None:
    """An anonymous session sends no signature, and a private object is AccessDenied."""
    session.put_object("key", b"x")
    with connect(foreign, session.bucket, access_key_id=None, access_key=None, anonymous=True) as nobody:
        with pytest.raises(AccessDenied):
            nobody.get_object("key")
        with pytest.raises(AccessDenied):
            nobody.put_object("other", b"y")
    assert not session.exists("other")


def test_a_missing_bucket_is_told(foreign: ForeignServer) -> None:
    """Every verb on a bucket that does not exist is NoSuchBucket, or NotFound where the answer has no document."""
    name = new_bucket()
    with connect(foreign, name) as session:
        calls: list[Callable[[], object]] = [
            lambda: session.put_object("key", b"x"),
            lambda: session.get_object("key"),
            lambda: list(session.list_objects()),
            session.delete_bucket,
        ]
        for call in calls:
            with pytest.raises(NoSuchBucket) as caught:
                call()
            assert name == caught.value.bucket
        with pytest.raises(NotFound):
            session.head_bucket()


def test_buckets_come_and_go(session: S3Session, foreign: ForeignServer) -> None:
    """A bucket is made, seen, listed with its time, refused deletion while it holds something, and deleted."""
    name = new_bucket()
    session.create_bucket(name)
    session.head_bucket(name)
    found = {entry.name: entry for entry in session.list_buckets()}
    assert name in found
    assert found[name].creation_date is not None
    with connect(foreign, name) as inside:
        inside.put_object("key", b"x")
        with pytest.raises(BucketNotEmpty):
            inside.delete_bucket()
        inside.delete_object("key")
        inside.delete_bucket()
    assert name not in {entry.name for entry in session.list_buckets()}


def test_a_bucket_that_exists_already(session: S3Session) -> None:
    """Creating one's own bucket again succeeds (as in us-east-1) or is BucketAlreadyExists; what it holds stays."""
    session.put_object("key", b"x")
    with contextlib.suppress(BucketAlreadyExists):
        session.create_bucket()
    assert b"x" == session.get_object("key").data


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_wrong_clock_is_corrected(session: S3Session, foreign: ForeignServer, hours: int) -> None:
    """A session on a machine whose clock is hours off learns the store's time and works."""
    with connect(foreign, session.bucket, clock=SkewedClock(hours * 3600)) as late:
        late.put_object("key", b"x")
        assert b"x" == late.get_object("key").data
        assert ["key"] == [entry.key for entry in late.list_objects()]


def test_a_wrong_region_is_corrected(session: S3Session, foreign: ForeignServer) -> None:
    """A session with a wrong region learns the right one from the refusal, or the store does not mind."""
    session.put_object("key", b"x")
    with connect(foreign, session.bucket, region="eu-central-1") as elsewhere:
        assert b"x" == elsewhere.get_object("key").data
        elsewhere.put_object("key", b"y")
    assert b"y" == session.get_object("key").data


@pytest.mark.parametrize("checksum", ["crc32", "sha1", "sha256"])
def test_a_checksum_is_accepted(session: S3Session, checksum: str) -> None:
    """A put with each checksum is accepted, and the get that verifies it returns the bytes."""
    body = os.urandom(100_000)
    session.put_object("key", body, checksum=checksum)
    assert body == session.get_object("key").data


def test_one_session_serves_many_threads(session: S3Session) -> None:
    """Threads that share one session never see each other's answers."""

    def put_and_get(number: int) -> bool:
        body = f"{number} ".encode() * (number * 37 + 1)
        session.put_object(f"key {number}", body)
        return body == session.get_object(f"key {number}").data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(put_and_get, range(100)))
    assert 100 == len(list(session.list_objects()))
