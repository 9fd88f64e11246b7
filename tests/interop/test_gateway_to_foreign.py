"""A gateway in front of other people's servers: what it promises is not a property of our own store behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

import s3func.testing
from s3func import S3Session
from s3func.errors import NoSuchBucket, NoSuchKey, NotImplementedByStore, PreconditionFailed
from s3func.server import SessionBackend
from tests.interop.servers import ForeignServer, connect, new_bucket

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

MIB = 1024 * 1024
BODY = os.urandom(11 * MIB)
KEYS = ["a", "a b", "dir/x", "dir/é", "z"]


@pytest.fixture
def through(foreign: ForeignServer) -> Iterator[S3Session]:
    """A session on a new bucket of a gateway to a foreign server."""
    with s3func.testing.server(SessionBackend(connect(foreign))) as server, server.session(new_bucket()) as session:
        yield session
        session.delete_objects([row.key for row in session.list_objects()] or ["none"])
        session.delete_bucket()


def test_objects(through: S3Session) -> None:
    """Put, get, ranges, heads, copies, listings and deletions do what they do without the gateway."""
    for key in KEYS:
        through.put_object(key, key.encode(), metadata={"name": "value"}, content_type="text/plain")
    head = through.head_object("dir/é")
    assert (6, "text/plain", "value") == (head.size, head.content_type, head.user_metadata["name"])
    assert b"dir/\xc3\xa9" == through.get_object("dir/é").data
    assert b"ir" == through.get_object("dir/x", range_start=1, range_end=2).data
    assert KEYS == [row.key for row in through.list_objects()]
    listing = through.list_objects(delimiter="/", max_keys=2)
    assert (["a", "a b", "z"], ["dir/"]) == ([row.key for row in listing], listing.common_prefixes)
    assert ["dir/é", "z"] == [row.key for row in through.list_objects(start_after="dir/x")]
    through.copy_object("a b", "copy")
    assert b"a b" == through.get_object("copy").data
    through.delete_objects(["a", "copy"])
    with pytest.raises(NoSuchKey):
        through.get_object("a")
    with pytest.raises(NoSuchBucket):
        through.put_object("key", b"", bucket=new_bucket())


def test_parts(through: S3Session) -> None:
    """An upload in parts goes on in parts, and what is aborted is no object."""
    with through.create_multipart_upload("large") as upload:
        for number, start in enumerate(range(0, len(BODY), 5 * MIB), 1):
            upload.upload_part(number, BODY[start : start + 5 * MIB])
    assert BODY == through.get_object("large").data
    assert BODY[6 * MIB : 7 * MIB] == through.get_object("large", range_start=6 * MIB, range_end=7 * MIB - 1).data
    other = through.create_multipart_upload("other")
    other.upload_part(1, b"x")
    other.abort()
    assert ["large"] == [row.key for row in through.list_objects()]


def test_conditions(through: S3Session) -> None:
    """What a store refuses under a condition stays as it was; one that knows none may say so."""
    through.put_object("key", b"one")
    conditions: list[dict[str, Any]] = [{"if_none_match": "*"}, {"if_match": "0" * 32}]
    for condition in conditions:
        with pytest.raises((PreconditionFailed, NotImplementedByStore)):
            through.put_object("key", b"two", **condition)
    assert b"one" == through.get_object("key").data
