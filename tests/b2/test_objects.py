"""Objects one by one and many at once: what is stored comes back, under exactly its key."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import B2Session, Capabilities, S3Session
from s3func.b2 import CustomerKey, Retention
from s3func.b2.config import key_path
from s3func.errors import (
    AccessDenied,
    BucketAlreadyExists,
    BucketNotEmpty,
    ChecksumMismatch,
    Conflict,
    ConnectionLost,
    DeleteFailed,
    InvalidRange,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    NotFound,
    NotModified,
    NotSupported,
    ObjectChanged,
    PreconditionFailed,
    ProtocolError,
    TimedOut,
)
from s3func.message import Request, Response
from tests.b2.fake import Fault
from tests.b2.rigs import BUCKET, VirtualClock, refused, service, session_on
from tests.shared_data import HOSTILE_KEYS

KEYS = [key for key in HOSTILE_KEYS if key and not any(character < " " or character == "\x7f" for character in key)]


@pytest.mark.parametrize(
    "key", [*KEYS, "a?b#c", "%20", "%2e%2e/x", "..", "a/../../b", "//", "/a", "a+b", "日本/\U0001f600"]
)
def test_keys_are_exact(key: str) -> None:
    """A key is stored, read, listed, copied and deleted under exactly its name."""
    fake = service()
    session = session_on(fake)
    stored = session.put_object(key, b"content")
    assert key == fake.files[0]["fileName"]
    assert b"content" == session.get_object(key).data
    assert b"content" == session.get_object(key, stored.version_id).data
    assert [key] == [entry.key for entry in session.list_objects()]
    session.copy_object(key, "the copy")
    assert b"content" == session.get_object("the copy").data
    assert session.delete_object(key).delete_marker
    assert not session.exists(key)
    assert 1 == len(session.delete_objects([{"key": key, "version_id": stored.version_id}]))


@given(st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), min_size=1))
def test_any_text_is_a_key(key: str) -> None:
    """No two keys share a path, and no path has a segment that anybody would resolve."""
    if len(key.encode()) > 1024:
        return
    from urllib.parse import unquote

    path = key_path(key)
    assert key == unquote(path)
    assert path.isascii()
    assert not {".", ".."} & set(path.split("/"))
    assert not set("?#") & set(path)


def is_free(name: str) -> bool:
    """Whether a name of metadata is the user's to choose."""
    return not name.startswith("b2-") and name != "large_file_sha1"


@given(
    st.dictionaries(
        st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=10).filter(is_free),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        max_size=5,
    )
)
def test_metadata_is_any_text(metadata: dict[str, str]) -> None:
    """Names and values come back as they were, whatever the text; as a header and as JSON."""
    fake = service()
    session = session_on(fake)
    session.put_object("key", b"", metadata)
    assert metadata == session.get_object("key").user_metadata == session.head_object("key").user_metadata
    assert metadata == fake.files[0]["fileInfo"]
    copied = session.copy_object("key", "copy", metadata=metadata)
    assert metadata == copied.user_metadata


def test_everything_that_is_stored_with_an_object() -> None:
    """Content headers become B2's own info entries, and come back as headers."""
    fake = service()
    session = session_on(fake)
    when = datetime(2026, 11, 21, 10, 0, 0, 123000, UTC)
    session.put_object(
        "key",
        "text",
        {"Sensor": "blüe +%"},
        "text/plain",
        when,
        cache_control="no-cache",
        content_disposition='attachment; filename="a b.txt"',
        content_encoding="identity",
        content_language="de",
        expires=when,
    )
    got = session.get_object("key")
    assert b"text" == got.data
    assert {"sensor": "blüe +%", "src_last_modified_millis": str(round(when.timestamp() * 1000))} == got.user_metadata
    expected = {
        "content-type": "text/plain",
        "cache-control": "no-cache",
        "content-disposition": 'attachment; filename="a b.txt"',
        "content-encoding": "identity",
        "content-language": "de",
        "expires": "Sat, 21 Nov 2026 10:00:00 GMT",
    }
    assert expected == {name: got.headers[name] for name in expected}


def test_results_have_the_fields_of_the_contract() -> None:
    """ETag, version, size, time and metadata say the same in the answers to put, get, head and both listings."""
    fake = service()
    session = session_on(fake)
    put = session.put_object("key", b"content", {"a": "b"})
    sha1 = hashlib.sha1(b"content").hexdigest()
    when = datetime.fromtimestamp(1_700_000_000, UTC)
    for result in (
        put,
        session.get_object("key"),
        session.head_object("key"),
        session.head_object("key", put.version_id),
    ):
        assert (sha1, put.version_id, 7, when) == (result.etag, result.version_id, result.size, result.last_modified)
        assert sha1 == result.content_sha1
        assert {
            "a": "b",
            "status": 200,
            "content_length": 7,
            "etag": sha1,
            "version_id": put.version_id,
            "upload_timestamp": when,
        } == result.metadata
    [entry] = session.list_objects()
    assert (sha1, 7, when) == (entry["etag"], entry["content_length"], entry["upload_timestamp"])
    [version] = session.list_object_versions()
    assert (sha1, put.version_id, True) == (version.etag, version.version_id, version.is_latest)


def test_the_name_of_a_file_is_not_parsed_for_another() -> None:
    """A version id of another key is NoSuchVersion, not that key's content."""
    fake = service()
    session = session_on(fake)
    other = session.put_object("other", b"secret")
    for call in (session.get_object, session.head_object):
        with pytest.raises(NoSuchVersion):
            call("key", other.version_id)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(0, 2, b"012"), (3, None, b"3456789"), (None, 4, b"6789"), (8, 99, b"89"), (None, 99, b"0123456789")],
)
def test_ranges(first: int | None, last: int | None, expected: bytes) -> None:
    """Both ends are included; a last byte alone means that many from the end."""
    fake = service()
    session = session_on(fake)
    stored = session.put_object("key", b"0123456789")
    for version_id in (None, stored.version_id):
        got = session.get_object("key", version_id, first, last)
        assert expected == got.data
        assert 206 == got.status


def test_a_range_behind_the_end() -> None:
    """InvalidRange."""
    fake = service()
    session = session_on(fake)
    session.put_object("key", b"0123456789")
    with pytest.raises(InvalidRange):
        session.get_object("key", range_start=10)


def test_a_range_that_is_ignored_is_seen() -> None:
    """A service that sends the whole file in place of a part is a ProtocolError, never wrong bytes."""
    fake = service()
    fake.add(BUCKET, "key", b"0123456789")

    def transport(request: Request) -> Response:
        request.headers.pop("range", None)
        return fake(request)

    session = session_on(fake)
    session._client.transport = transport  # type: ignore[assignment]  # a Transport as far as a call goes
    with pytest.raises(ProtocolError):
        session.get_object("key", range_start=2)


def test_damage_is_seen() -> None:
    """ChecksumMismatch when the bytes that arrive do not have the SHA-1 of the file, unless nobody wants to know."""
    fake = service()
    fake.add(BUCKET, "key", b"content")["data"] = b"damaged"
    with pytest.raises(ChecksumMismatch):
        _ = session_on(fake).get_object("key").data
    assert b"damaged" == session_on(fake, verify_downloads=False).get_object("key").data


@pytest.mark.parametrize("sha1", ["none", None, "unverified:" + hashlib.sha1(b"content").hexdigest(), "do_not_verify"])
def test_every_form_of_the_sha1_is_understood(sha1: str | None) -> None:
    """Files without SHA-1, and those whose SHA-1 B2 has not verified, are read."""
    fake = service()
    row = fake.add(BUCKET, "key", b"content", contentSha1=sha1)
    row["contentSha1"] = sha1 or "none"
    got = session_on(fake).get_object("key")
    assert b"content" == got.data
    expected = sha1.removeprefix("unverified:") if sha1 and sha1.startswith("unverified:") else row["fileId"]
    assert expected == got.etag
    row["contentSha1"] = sha1
    assert [expected] == [entry.etag for entry in session_on(fake).list_objects()]


def test_conditional_reads() -> None:
    """B2 knows no conditions, so they are judged by its answer, with the meaning that they have for S3."""
    fake = service()
    session = session_on(fake)
    etag = session.put_object("key", b"content").etag
    written = datetime.fromtimestamp(1_700_000_000, UTC)
    earlier, later = written - timedelta(seconds=1), written + timedelta(seconds=1)
    good: list[dict[str, Any]] = [
        {"if_match": etag},
        {"if_match": f'"x", "{etag}"'},
        {"if_match": "*"},
        {"if_none_match": "other"},
        {"if_modified_since": earlier},
        {"if_unmodified_since": written},
        {"if_unmodified_since": later.timestamp()},
        {"if_match": etag, "if_unmodified_since": earlier},
        {"if_none_match": "other", "if_modified_since": later},
    ]
    for conditions in good:
        assert b"content" == session.get_object("key", **conditions).data, conditions
        assert 7 == session.head_object("key", **conditions).size
    bad: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"if_match": "other"}, PreconditionFailed),
        ({"if_unmodified_since": earlier}, PreconditionFailed),
        ({"if_none_match": etag}, NotModified),
        ({"if_none_match": "*"}, NotModified),
        ({"if_modified_since": written}, NotModified),
    ]
    for conditions, error in bad:
        for call in (session.get_object, session.head_object):
            with pytest.raises(error):
                call("key", **conditions)


def test_what_is_not_there() -> None:
    """NoSuchKey, NoSuchVersion, NoSuchBucket where the answer says so, NotFound where HEAD cannot; with bucket and key."""
    session = session_on(service())
    with pytest.raises(NoSuchKey) as caught:
        session.get_object("nothing")
    assert (BUCKET, "nothing", 404, "not_found") == (
        caught.value.bucket,
        caught.value.key,
        caught.value.status,
        caught.value.code,
    )
    with pytest.raises(NoSuchVersion):
        session.get_object("nothing", "an-id")
    with pytest.raises(NoSuchBucket):
        session.get_object("nothing", bucket="no-such-bucket")
    with pytest.raises(NotFound):
        session.head_object("nothing")
    assert not session.exists("nothing")


def test_an_id_that_is_none() -> None:
    """B2 calls an id that cannot be one a bad request; it is a version that is not there all the same."""
    fake = service()
    fake.fault("GET id", refused(400, "bad_request", "Invalid fileId: an-id"))
    with pytest.raises(NoSuchVersion):
        session_on(fake).get_object("key", "an-id")


def test_hiding_and_deleting() -> None:
    """Deleting hides, twice is once; deleting the marker shows the object again; a version goes for good, also twice."""
    fake = service()
    session = session_on(fake)
    stored = session.put_object("key", b"content")
    marker = session.delete_object("key")
    assert marker.delete_marker
    again = session.delete_object("key")
    assert (False, None) == (again.delete_marker, again.version_id)
    assert not session.exists("key")
    assert b"content" == session.get_object("key", stored.version_id).data
    session.delete_object("key", marker.version_id)
    assert session.exists("key")
    for _ in range(2):
        assert stored.version_id == session.delete_object("key", stored.version_id).version_id
    assert [] == fake.files
    assert not session.delete_object("never-there").delete_marker


def test_a_deletion_whose_answer_was_lost() -> None:
    """The second attempt finds nothing to delete, which is what was asked for."""
    fake = service()
    session = session_on(fake)
    stored = session.put_object("key", b"content")
    fake.fault("b2_delete_file_version", Fault(lost="after"))
    session.delete_object("key", stored.version_id)
    assert [] == fake.files


def test_deleting_many() -> None:
    """Keys, rows and prefixes are hidden; purge deletes every version of exactly those keys."""
    fake = service()
    session = session_on(fake)
    for key in ("a", "a", "ab", "b/1", "b/2", "c"):
        session.put_object(key, b"")
    assert ["a", "c"] == [row.key for row in session.delete_objects(["a", {"Key": "c"}])]
    assert all(row.delete_marker for row in session.delete_objects(prefix="b/"))
    assert ["ab"] == [entry.key for entry in session.list_objects()]
    assert 3 == len(session.delete_objects(["a"], purge=True))
    assert {"ab", "b/1", "b/2", "c"} == {row["fileName"] for row in fake.files}
    session.delete_objects(prefix="b/", purge=True)
    assert {"ab", "c"} == {row["fileName"] for row in fake.files}
    rows = list(session.list_objects())
    session.delete_objects(rows)
    # Rows of a listing of objects are hidden: no version is lost.
    assert ["hide", "upload"] == [row["action"] for row in reversed(fake.files) if row["fileName"] == "ab"]


def test_deleting_many_tells_what_is_left() -> None:
    """DeleteFailed names every key that is still there; the others are gone."""
    fake = service()
    session = session_on(fake)
    versions = [session.put_object(f"key{number}", b"") for number in range(4)]
    fake.files[2]["legalHold"]["value"] = "on"
    rows = [{"key": f"key{number}", "version_id": version.version_id} for number, version in enumerate(versions)]
    with pytest.raises(DeleteFailed) as caught:
        session.delete_objects(rows)
    assert [("key2", "access_denied")] == [(row[0], row[2]) for row in caught.value.failures]
    assert ["key2"] == [row["fileName"] for row in fake.files]


def test_copies() -> None:
    """A copy has the metadata of its source, or exactly what is given; the version is the one that was asked for."""
    fake = service()
    fake.bucket("bucket-two")
    session = session_on(fake)
    old = session.put_object("key", b"old", {"a": "b"}, "text/plain")
    session.put_object("key", b"new", {"c": "d"})
    copied = session.copy_object("key", "copy")
    assert copied.source_version_id != old.version_id
    assert (b"new", {"c": "d"}) == (session.get_object("copy").data, session.get_object("copy").user_metadata)
    session.copy_object("key", "copy", old.version_id, dest_bucket="bucket-two", content_type="text/html")
    got = session.get_object("copy", bucket="bucket-two")
    assert (b"old", {}, "text/html") == (got.data, got.user_metadata, got.content_type)
    with pytest.raises(PreconditionFailed):
        session.copy_object("key", "copy", source_if_match=old.etag)
    session.copy_object("key", "copy", old.version_id, source_if_match=old.etag)
    with pytest.raises(NoSuchKey):
        session.copy_object("nothing", "copy")


@pytest.mark.parametrize("known", [True, False])
def test_a_copy_of_more_than_5_gb(known: bool) -> None:
    """A source that is too large for one call is copied in parts, with its metadata, also when only B2 knows its size."""
    fake = service()
    fake.minimum, fake.recommended = 100, 300
    session = session_on(fake)
    source = session.put_object("key", bytes(1000), {"a": "b"}, "text/plain")
    fake.copy_max = 500
    told: list[tuple[int, int | None]] = []
    version_id = None if known else source.version_id
    session.copy_object("key", "copy", version_id, progress=lambda done, total: told.append((done, total)))
    assert sorted(told) == told
    assert (1000, 1000) == told[-1]
    got = session.get_object("copy")
    assert bytes(1000) == got.data
    assert ({"a": "b"}, "text/plain", source.etag) == (got.user_metadata, got.content_type, got.content_sha1)
    assert 4 == len(fake.calls("b2_copy_part"))


def test_a_copy_that_is_known_to_be_too_large_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source of more than 5 GB costs no call that B2 would refuse."""
    monkeypatch.setattr("s3func.b2.copying.SMALL_FILE_MAX", 500)
    fake = service()
    fake.minimum, fake.recommended = 100, 300
    session = session_on(fake)
    session.put_object("key", bytes(1000))
    session.copy_object("key", "copy")
    assert [] == fake.calls("b2_copy_file")
    assert bytes(1000) == session.get_object("copy").data


class Broken:
    """A body that breaks in its middle, or where a test says."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int = -1) -> bytes:
        if not self._data:
            raise ConnectionLost("broken by the test")
        block, self._data = self._data[:size], self._data[size:]
        return block

    def readinto(self, buffer: memoryview) -> int:
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._data = b""


@pytest.mark.parametrize("replaced", [True, False])
@pytest.mark.parametrize("public", [True, False])
def test_a_body_that_breaks(replaced: bool, public: bool) -> None:
    """The rest of a body is of the same version: found by its id, or, in public, refused when another one is there."""
    fake = service(bucketType="allPublic")
    fake.add(BUCKET, "key", b"0123456789")
    options: dict[str, Any] = {"transport": fake, "clock": VirtualClock()}
    session = B2Session(bucket=BUCKET, download_url="https://f001.test", **options) if public else session_on(fake)

    def breaking(request: Request) -> Response:
        response = fake(request)
        if request.method == "GET" and "range" not in request.headers and "/file/" in request.path:
            response.body = Broken(response.read()[:4])
            if replaced:
                fake.add(BUCKET, "key", b"abcdefghij")
        return response

    session._client.transport = breaking  # type: ignore[assignment]  # a Transport as far as a call goes
    got = session.get_object("key")
    if replaced and public:
        with pytest.raises(ObjectChanged):
            got.read()
    else:
        assert b"0123456789" == got.read()


def test_a_copy_is_not_made_twice() -> None:
    """When the answer to a copy is lost, the error says that it may have been made; it is not made again."""
    fake = service()
    session = session_on(fake)
    session.put_object("key", b"content")
    fake.fault("b2_copy_file", Fault(lost="stall"))
    with pytest.raises(TimedOut) as caught:
        session.copy_object("key", "copy")
    assert caught.value.maybe_applied
    assert 1 == len(fake.calls("b2_copy_file"))


def test_presigned_urls() -> None:
    """A URL for reading carries a token of its own and never the account's; B2 makes none for writing."""
    fake = service()
    session = session_on(fake)
    session.put_object("a b?", b"content")
    url = session.presigned_url("GET", "a b?", expires=60, query={"response-content-type": "text/html"})
    parts = urlsplit(url)
    assert session._grant().token not in url
    request = Request("GET", f"{parts.scheme}://{parts.netloc}", parts.path, parts.query, {"host": parts.netloc})
    assert b"content" == fake(request).read()
    assert "b2ContentType=text%2Fhtml" in parts.query
    assert 60 == next(e.fields["validDurationInSeconds"] for e in fake.journal if "download_auth" in e.call)
    before = len(fake.journal)
    for method in ("PUT", "DELETE", "POST"):
        with pytest.raises(NotSupported):
            session.presigned_url(method, "key")
    for expires in (0, 604_801):
        with pytest.raises(ValueError, match="expires"):
            session.presigned_url("GET", "key", expires=expires)
    assert before == len(fake.journal)


def test_what_b2_cannot_do_is_said_at_once() -> None:
    """NotSupported for conditional writes, classes, ACLs, tags and other checksums, and nothing is sent."""
    fake = service()
    session = session_on(fake)
    refusals: list[dict[str, Any]] = [
        {"if_match": "x"},
        {"if_none_match": "*"},
        {"acl": "public-read"},
        {"tagging": {"a": "b"}},
        {"storage_class": "GLACIER"},
        {"checksum": "crc32"},
        {"headers": {"x-amz-meta-a": "b"}},
    ]
    for options in refusals:
        with pytest.raises(NotSupported):
            session.put_object("key", b"", **options)
    with pytest.raises(NotSupported):
        session.delete_object("key", if_match="x")
    with pytest.raises(NotSupported):
        session.copy_object("key", "copy", if_none_match="*")
    assert [] == fake.journal


def test_capabilities_are_data() -> None:
    """Both sessions say what they can do, without being asked for it over the wire."""
    assert isinstance(B2Session.capabilities, Capabilities)
    assert (False, True) == (B2Session.capabilities.conditional_writes, S3Session.capabilities.conditional_writes)
    assert "PUT" in S3Session.capabilities.presigned_methods - B2Session.capabilities.presigned_methods


def test_buckets() -> None:
    """Buckets are made, described, changed under a condition, listed and deleted when they are empty."""
    fake = service()
    session = session_on(fake)
    session.create_bucket("bucket-two", fileLockEnabled=True)
    with pytest.raises(BucketAlreadyExists):
        session.create_bucket("bucket-two")
    assert [BUCKET, "bucket-two"] == [entry.name for entry in session.list_buckets()]
    revision = session.get_bucket("bucket-two").revision
    assert "allPublic" == session.update_bucket("bucket-two", if_revision=revision, bucketType="allPublic").type
    with pytest.raises(Conflict):
        session.update_bucket("bucket-two", if_revision=revision, bucketType="allPrivate")
    session.put_object("key", b"", bucket="bucket-two")
    with pytest.raises(BucketNotEmpty):
        session.delete_bucket("bucket-two")
    session.delete_objects(prefix="k", purge=True, bucket="bucket-two")
    session.delete_bucket("bucket-two")
    with pytest.raises(NoSuchBucket):
        session.head_bucket("bucket-two")
    assert 200 == session.head_bucket().status


def test_application_keys() -> None:
    """Keys are made, listed over pages without their secrets, and deleted; a lost answer makes no second one."""
    fake = service()
    session = session_on(fake)
    made = session.create_app_key(["readFiles"], "reader", 3600, prefix="a/")
    assert made.application_key
    listed = {key.application_key_id: key for key in session.list_app_keys()}
    assert ("reader", "a/", None) == (
        listed[made.application_key_id].key_name,
        listed[made.application_key_id].name_prefix,
        listed[made.application_key_id].application_key,
    )
    session.delete_app_key(made.application_key_id)
    assert made.application_key_id not in {key.application_key_id for key in session.list_app_keys()}
    fake.fault("b2_create_key", Fault(lost="after"))
    with pytest.raises(Exception, match="lost") as caught:
        session.create_app_key(["readFiles"], "reader")
    assert getattr(caught.value, "maybe_applied", False)
    assert 2 == len(fake.calls("b2_create_key"))


def test_legal_hold_and_retention() -> None:
    """Hold and retention of a version are set, read and lifted, by version or for the newest one."""
    fake = service()
    session = session_on(fake)
    stored = session.put_object("key", b"")
    assert not session.get_object_legal_hold("key")
    session.put_object_legal_hold("key", True)
    assert session.get_object_legal_hold("key", stored.version_id)
    with pytest.raises(AccessDenied):
        session.delete_object("key", stored.version_id)
    session.put_object_legal_hold("key", False)
    assert session.get_object_retention("key") is None
    until = datetime(2027, 1, 1, tzinfo=UTC)
    session.put_object_retention("key", Retention("governance", until))
    assert Retention("GOVERNANCE", until) == session.get_object_retention("key")
    session.put_object_retention("key", None, bypass_governance=True)
    assert session.get_object_retention("key") is None
    with pytest.raises(NoSuchVersion):
        session.get_object_legal_hold("key", "an-id")


def test_protection_and_encryption_travel_with_an_upload() -> None:
    """Encryption, retention and legal hold are headers of a small upload; a customer's key is never in a repr."""
    fake = service()
    session = session_on(fake)
    key = CustomerKey(b"k" * 32)
    until = datetime(2027, 1, 1, tzinfo=UTC)
    session.put_object("key", b"", encryption=key, retention=Retention("compliance", until), legal_hold=True)
    sent = next(entry.headers for entry in fake.journal if entry.call == "b2_upload_file")
    assert "AES256" == sent["x-bz-server-side-encryption-customer-algorithm"]
    assert ("compliance", str(round(until.timestamp() * 1000)), "on") == (
        sent["x-bz-file-retention-mode"],
        sent["x-bz-file-retention-retain-until-timestamp"],
        sent["x-bz-file-legal-hold"],
    )
    session.get_object("key", customer_key=key)
    assert "x-bz-server-side-encryption-customer-key" in fake.journal[-1].headers
    assert "kkk" not in repr(key)
    session.put_object("key", b"", encryption="AES256")
    assert "AES256" == fake.journal[-1].headers["x-bz-server-side-encryption"]


def test_any_other_call() -> None:
    """`request` makes any call of the API, with the errors of all others."""
    fake = service()
    session = session_on(fake)
    document = session.request("b2_list_buckets", {"accountId": session.account_id})
    assert [BUCKET] == [bucket["bucketName"] for bucket in document["buckets"]]
    fake.fault("b2_get_bucket_notification_rules", refused(400, "bad_request", "no"))
    with pytest.raises(Exception, match="bad_request"):
        session.request("b2_get_bucket_notification_rules")


def test_verbs_that_follow_from_others(tmp_path: Any) -> None:
    """upload_file, download_file, open and lock of the contract work on B2."""
    fake = service()
    session = session_on(fake)
    path = tmp_path / "file"
    path.write_bytes(b"content")
    session.upload_file(path, "key")
    session.download_file("key", tmp_path / "again")
    assert b"content" == (tmp_path / "again").read_bytes()
    with session.open("key", "rb") as file:
        file.seek(3)
        assert b"tent" == file.read()


def test_moving() -> None:
    """A moved object is under its new key and hidden under the old one; a named version is deleted for good."""
    fake = service()
    session = session_on(fake)
    stored = session.put_object("key", b"content", {"a": "b"})
    session.move("key", "moved")
    assert (b"content", {"a": "b"}) == (session.get_object("moved").data, session.get_object("moved").user_metadata)
    assert not session.exists("key")
    assert b"content" == session.get_object("key", stored.version_id).data
    session.move("key", "again", stored.version_id)
    assert ["hide"] == [row["action"] for row in fake.files if row["fileName"] == "key"]
    with pytest.raises(ValueError, match="dest_key"):
        session.move("again", "a\nb")
    assert session.exists("again")


def test_buckets_of_a_key_that_may_not_list_them() -> None:
    """A restricted key without listBuckets knows the names that came with its token."""
    fake = service()
    made = session_on(fake).create_app_key(["readFiles"], "reader", buckets=[BUCKET])
    session = B2Session(made.application_key_id, made.application_key, transport=fake)
    before = len(fake.calls("b2_list_buckets"))
    assert [BUCKET] == [entry.name for entry in session.list_buckets()]
    assert before == len(fake.calls("b2_list_buckets"))
