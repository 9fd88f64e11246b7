"""What a session cannot do, and what nobody may ask for: said at once, before anything is sent.

The powers of a kind of session are data (`Capabilities`); here they are compared with what its verbs really do.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from operator import methodcaller
from typing import Any

import pytest

from s3func import B2Session, S3Session
from s3func.errors import NotSupported, S3FuncError
from s3func.models import Capabilities
from s3func.session import Session
from tests.contract.session.services import Service, of_each_kind

Call = Callable[[Any], Any]
CONDITIONS: list[Call] = [
    lambda s: s.put_object("key", b"new", if_match="etag"),
    lambda s: s.put_object("key", b"new", if_none_match="*"),
    lambda s: s.copy_object("key", "copy", if_none_match="*"),
    lambda s: s.copy_object("key", "copy", if_match="etag"),
    lambda s: s.delete_object("key", if_match="etag"),
    lambda s: s.upload_file(__file__, "key", if_none_match="*"),
    lambda s: s.open("new", "xb").abort(),
]
TAGS: list[Call] = [
    lambda s: s.put_object("key", b"", tagging={"a": "b"}),
    lambda s: s.put_object("key", b"", tagging="a=b"),
    lambda s: s.copy_object("key", "copy", tagging={"a": "b"}),
]
ACLS: list[Call] = [
    lambda s: s.put_object("key", b"", acl="private"),
    lambda s: s.copy_object("key", "copy", acl="private"),
]
READS: list[Call] = [
    lambda s: s.get_object("key", if_none_match="x").close(),
    lambda s: s.head_object("key", if_none_match="x"),
    lambda s: s.copy_object("key", "copy", source_if_match=s.head_object("key").etag),
]
FLAGS: list[tuple[str, Call]] = [
    *(("conditional_writes", call) for call in CONDITIONS),
    *(("conditional_reads", call) for call in READS),
    *(("tags", call) for call in TAGS),
    *(("acl", call) for call in ACLS),
]
METHODS = ("DELETE", "GET", "HEAD", "POST", "PUT")
CHECKSUMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")


def is_refused(service: Service, call: Call) -> bool:
    """Whether a call raises NotSupported; if it does, nothing may have been sent."""
    sent = len(service.wire.sent)
    try:
        call(service.session)
    except NotSupported:
        assert sent == len(service.wire.sent)
        return True
    except S3FuncError:
        # The store was asked, and had its own opinion.
        assert sent < len(service.wire.sent)
    return False


@pytest.mark.parametrize(("flag", "call"), FLAGS, ids=[f"{flag}-{n}" for n, (flag, _) in enumerate(FLAGS)])
def test_a_flag_says_what_happens(service: Service, flag: str, call: Call) -> None:
    """Where the capabilities say no, the verb raises NotSupported and nothing is sent; where they say yes, it does not."""
    service.session.put_object("key", b"content")
    assert getattr(service.session.capabilities, flag) != is_refused(service, call)


def test_presigned_methods_say_what_happens(service: Service) -> None:
    """A URL is made for exactly these methods."""
    service.session.put_object("key", b"content")
    made = {method for method in METHODS if not is_refused(service, methodcaller("presigned_url", method, "key"))}
    assert service.session.capabilities.presigned_methods == made


def test_checksums_say_what_happens(service: Service) -> None:
    """Exactly these can be asked for."""
    sent = {
        checksum
        for checksum in CHECKSUMS
        if not is_refused(service, methodcaller("put_object", "key", b"content", checksum=checksum))
    }
    assert service.session.capabilities.checksums == sent


def test_versions_say_what_happens(service: Service) -> None:
    """A new bucket keeps versions where they are "always" kept, and where they are "optional" not yet."""
    session = service.session
    other = f"{session.bucket}-4"
    session.create_bucket(other)
    put = session.put_object("key", b"", bucket=other)
    always = session.capabilities.versions == "always"
    assert session.capabilities.versions in {"always", "optional"}
    assert always == (put.version_id is not None)
    session.delete_object("key", put.version_id, bucket=other)
    session.delete_bucket(other)


def test_deleting_in_bulk_costs_what_the_flag_says(service: Service) -> None:
    """One request for all where bulk_delete is true, one each where it is not."""
    session = service.session
    for key in "abc":
        session.put_object(key, b"")
    sent = len(service.wire.sent)
    session.delete_objects(["a", "b", "c"])
    assert (1 if session.capabilities.bulk_delete else 3) == len(service.wire.sent) - sent


def test_parts_have_the_size_that_is_said(service: Service) -> None:
    """A first part below part_size_min is refused by the store when the object is to be made."""
    if not service.parts:
        return
    session = service.session
    least = session.capabilities.part_size_min
    for size, is_enough in ((least, True), (least - 1, False)):
        upload = session.create_multipart_upload("key")
        upload.upload_part(1, bytes(size))
        upload.upload_part(2, b"end")
        if is_enough:
            upload.complete()
            continue
        with pytest.raises(S3FuncError):
            upload.complete()
        upload.abort()


def test_capabilities_are_data() -> None:
    """They are of the class, typed, the same for all its sessions, and every field of theirs is looked at here."""
    for kind in (S3Session, B2Session):
        assert issubclass(kind, Session)
        assert isinstance(kind.capabilities, Capabilities)
    looked_at = {flag for flag, _ in FLAGS}
    looked_at |= {"presigned_methods", "checksums", "versions", "bulk_delete", "part_size_min"}
    # Object lock is what both have: tests/s3/test_objects.py and tests/b2/test_objects.py.
    assert {*Capabilities._fields} == looked_at | {"object_lock"}
    assert S3Session.capabilities.object_lock
    assert B2Session.capabilities.object_lock


def test_what_only_one_of_them_knows(service: Service) -> None:
    """Headers of one's own, storage classes and further headers are S3's; B2 says so before anything is sent."""
    calls: list[Call] = [
        lambda s: s.put_object("key", b"", headers={"x-amz-storage-class": "STANDARD"}),
        lambda s: s.put_object("key", b"", storage_class="GLACIER"),
        lambda s: s.get_object("key", headers={"x-amz-request-payer": "requester"}).close(),
        lambda s: s.head_object("key", headers={"x-amz-request-payer": "requester"}),
        lambda s: s.presigned_url("GET", "key", headers={"x-amz-request-payer": "requester"}),
    ]
    service.session.put_object("key", b"content")
    assert [service.is_b2] * len(calls) == [is_refused(service, call) for call in calls]


NAIVE = datetime(2030, 1, 1)
BAD: list[tuple[str, Call]] = [
    ("body", lambda s: s.put_object("key", 5)),
    ("body", lambda s: s.put_object("key", None)),
    ("metadata", lambda s: s.put_object("key", b"", {"a b": "c"})),
    ("metadata", lambda s: s.put_object("key", b"", {"a": 5})),
    ("metadata", lambda s: s.put_object("key", b"", {"a": "b", "A": "c"})),
    ("metadata", lambda s: s.put_object("key", b"", {"a": "x" * 8000})),
    ("metadata", lambda s: s.put_object("key", b"", {"a": "\ud800"})),
    ("content_type", lambda s: s.put_object("key", b"", content_type="a\r\nx-evil: 1")),
    ("expires", lambda s: s.put_object("key", b"", expires=NAIVE)),
    ("multipart", lambda s: s.put_object("key", b"", multipart=1)),
    ("transfer", lambda s: s.put_object("key", b"", transfer=5)),
    ("progress", lambda s: s.put_object("key", b"", progress=5)),
    ("bucket", lambda s: s.put_object("key", b"", bucket="a/b")),
    ("bucket", lambda s: s.get_object("key", bucket="..")),
    ("bucket", lambda s: s.list_objects(bucket="")),
    ("version_id", lambda s: s.get_object("key", "")),
    ("version_id", lambda s: s.delete_object("key", "")),
    ("range_start", lambda s: s.get_object("key", range_start=-1)),
    ("range_end", lambda s: s.get_object("key", range_start=5, range_end=4)),
    ("range_end", lambda s: s.get_object("key", range_end=0)),
    ("if_match", lambda s: s.get_object("key", if_match=5)),
    ("if_modified_since", lambda s: s.get_object("key", if_modified_since=NAIVE)),
    ("prefix", lambda s: s.list_objects(5)),
    ("start_after", lambda s: list(s.list_objects(start_after="\ud800"))),
    ("max_keys", lambda s: s.list_objects(max_keys=0)),
    ("max_keys", lambda s: s.list_objects(max_keys=1001)),
    ("max_keys", lambda s: s.list_object_versions(max_keys=True)),
    ("part_number", lambda s: s.upload_part("key", "id", 0, b"")),
    ("part_number", lambda s: s.upload_part("key", "id", 10_001, b"")),
    ("upload_id", lambda s: s.upload_part("key", "", 1, b"")),
    ("older_than", lambda s: s.abort_multipart_uploads(-1)),
    ("older_than", lambda s: s.abort_multipart_uploads("1h")),
    ("expires", lambda s: s.presigned_url("GET", "key", expires=0)),
    ("expires", lambda s: s.presigned_url("GET", "key", expires=604_801)),
    ("mode", lambda s: s.open("key", "ab")),
    ("path", lambda s: s.upload_file(5, "key")),
    ("path", lambda s: s.download_file("key", 5)),
    ("source_key", lambda s: s.copy_object("", "b")),
    ("dest_key", lambda s: s.move("a", "")),
    ("key", lambda s: s.lock("")),
    ("ttl", lambda s: s.lock("job", ttl=-1)),
]


@of_each_kind
@pytest.mark.parametrize(("argument", "call"), BAD, ids=[f"{number}-{name}" for number, (name, _) in enumerate(BAD)])
def test_bad_input_is_refused_before_anything_is_sent(service: Service, argument: str, call: Call) -> None:
    """ValueError or TypeError that names the argument, and not one request."""
    sent = len(service.wire.sent)
    with pytest.raises((ValueError, TypeError), match=argument):
        call(service.session)
    assert sent == len(service.wire.sent)


def test_both_apis_are_of_one_store(service: Service) -> None:
    """A version id is a file id: what was put through one API is read, listed and deleted through the other."""
    if service.app is None or not service.versions:
        return
    ours: Any = service.session
    keys: tuple[Any, ...] = ("contract-id", "contract-secret", ours.bucket)
    other: Any = S3Session(*keys, transport=service.app) if service.is_b2 else B2Session(*keys, transport=service.app)
    key, metadata = "a?b/../\u00e9", {"name": "bl\u00fc"}
    for writer, reader in ((ours, other), (other, ours)):
        put = writer.put_object(key, b"content", metadata, content_type="text/plain")
        got = reader.get_object(key, put.version_id)
        assert (b"content", metadata, "text/plain") == (got.data, got.user_metadata, got.content_type)
        assert put.version_id == reader.head_object(key).version_id == got.version_id
        writer.delete_object(key)
        assert not reader.exists(key)
        rows = list(writer.list_object_versions())
        described = [(row.key, row.version_id, row.size, row.is_latest, row.delete_marker) for row in rows]
        assert described == [
            (row.key, row.version_id, row.size, row.is_latest, row.delete_marker)
            for row in reader.list_object_versions()
        ]
        assert abs(rows[0].last_modified - datetime.now(UTC)).total_seconds() < 3600
        reader.delete_objects(rows)
        assert [] == list(writer.list_object_versions())
