"""What only B2 has, with our session on our server: keys and their limits, locks on files, encryption, public buckets.

The same is asked of the fake in tests/b2; here two programs have to agree that were written from the same documents.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from s3func import B2Session, S3Session
from s3func.b2 import CustomerKey, Retention
from s3func.errors import (
    AccessDenied,
    Conflict,
    InvalidCredentials,
    NoSuchUpload,
    NotFound,
    NotSupported,
    S3FuncError,
    ServiceError,
)
from s3func.retention import ObjectLockConfiguration
from s3func.server import S3App
from s3func.transport.transfer import TransferConfig
from tests.faults.clock import FakeClock
from tests.server.forge import KEY_ID, SECRET

BUCKET = "test-bucket"
MB = 1_000_000
PARTS = TransferConfig(multipart_threshold=6 * MB, part_size=5 * MB, concurrency=2)
LARGE = bytes(range(256)) * 45_000


@pytest.fixture
def session(app: S3App) -> Iterator[B2Session]:
    """The master key's session, on a bucket that may have file locks."""
    with B2Session(KEY_ID, SECRET, BUCKET, transport=app, transfer=PARTS) as session:
        session.create_bucket(fileLockEnabled=True)
        yield session


def restricted(app: S3App, session: B2Session, capabilities: list[str], **limits: Any) -> B2Session:
    """A session of a key of its own."""
    made = session.create_app_key(capabilities, "restricted", **limits)
    return B2Session(made.application_key_id, made.application_key, limits.pop("bucket", BUCKET), transport=app)


RIGHTS: list[tuple[str, Callable[[B2Session], Any]]] = [
    ("listFiles", lambda s: list(s.list_objects())),
    ("listFiles", lambda s: list(s.list_object_versions())),
    ("readFiles", lambda s: s.get_object("key").data),
    ("readFiles", lambda s: s.head_object("key")),
    ("writeFiles", lambda s: s.put_object("new", b"x")),
    ("writeFiles", lambda s: s.delete_object("key")),
    ("shareFiles", lambda s: s.presigned_url("GET", "key")),
    ("listKeys", lambda s: list(s.list_app_keys())),
]


@pytest.mark.parametrize(("capability", "call"), RIGHTS, ids=[f"{n}-{right}" for n, (right, _) in enumerate(RIGHTS)])
def test_a_key_may_what_it_is_for(
    app: S3App, session: B2Session, capability: str, call: Callable[[B2Session], Any]
) -> None:
    """With the capability the verb works; without it, it is AccessDenied, which says what the key may do."""
    session.put_object("key", b"content")
    # Keys are no matter of a bucket.
    limits: dict[str, Any] = {} if capability == "listKeys" else {"buckets": [BUCKET]}
    call(restricted(app, session, [capability, "listBuckets"], **limits))
    others = sorted({"listFiles", "readFiles", "writeFiles", "deleteFiles"} - {capability})
    with pytest.raises(AccessDenied) as caught:
        call(restricted(app, session, others, buckets=[BUCKET]))
    # A HEAD has no body to say it in.
    assert caught.value.code != "unauthorized" or others[0] in str(caught.value)


def test_a_key_has_its_buckets(app: S3App, session: B2Session) -> None:
    """One of two buckets works in both, of one in that alone, and neither has to be allowed to list them."""
    session.create_bucket("second-bucket")
    rights = ["listFiles", "readFiles", "writeFiles"]
    both = restricted(app, session, rights, buckets=[BUCKET, "second-bucket"])
    both.put_object("key", b"one")
    both.put_object("key", b"two", bucket="second-bucket")
    assert [b"one", b"two"] == [both.get_object("key", bucket=name).data for name in (BUCKET, "second-bucket")]
    one = restricted(app, session, rights, buckets=[BUCKET])
    assert b"one" == one.get_object("key").data
    for call in (
        lambda: one.get_object("key", bucket="second-bucket"),
        lambda: one.put_object("key", b"", bucket="second-bucket"),
        lambda: list(one.list_objects(bucket="second-bucket")),
    ):
        with pytest.raises(ServiceError):
            call()
    unnamed = session.create_app_key(rights, "unnamed", buckets=[BUCKET])
    assert (
        b"one" == B2Session(unnamed.application_key_id, unnamed.application_key, transport=app).get_object("key").data
    )


def test_a_key_has_its_prefix(app: S3App, session: B2Session) -> None:
    """What begins otherwise can be neither listed, read, written nor hidden."""
    session.put_object("other", b"secret")
    limited = restricted(app, session, ["listFiles", "readFiles", "writeFiles"], buckets=[BUCKET], prefix="logs/")
    limited.put_object("logs/1", b"line")
    assert ["logs/1"] == [entry.key for entry in limited.list_objects("logs/")]
    for call in (
        lambda: list(limited.list_objects()),
        lambda: list(limited.list_objects("log")),
        lambda: limited.get_object("other"),
        lambda: limited.put_object("other", b""),
        lambda: limited.delete_object("other"),
        lambda: limited.copy_object("other", "logs/2"),
    ):
        with pytest.raises(S3FuncError):
            call()
    assert b"secret" == session.get_object("other").data


def test_a_key_ends(app: S3App, session: B2Session) -> None:
    """A key that was deleted is nobody's, also where its session has a token; wrong ones never were."""
    made = session.create_app_key(["listFiles", "readFiles", "writeFiles"], "short-lived", 60, buckets=[BUCKET])
    assert made.application_key is not None
    short = B2Session(made.application_key_id, made.application_key, BUCKET, transport=app)
    short.put_object("key", b"content")
    assert made.application_key_id in {key.application_key_id for key in session.list_app_keys()}
    session.delete_app_key(made.application_key_id)
    for call in (
        lambda: short.get_object("key"),
        lambda: short.put_object("key", b""),
        lambda: list(short.list_objects()),
    ):
        with pytest.raises(InvalidCredentials):
            call()
    with pytest.raises(InvalidCredentials):
        B2Session(KEY_ID, "wrong", BUCKET, transport=app).head_bucket()


def test_a_legal_hold(session: B2Session) -> None:
    """A version with a hold is not deleted, with whatever right; hiding it is no deletion."""
    put = session.put_object("key", b"content", legal_hold=True)
    assert session.get_object_legal_hold("key")
    session.delete_object("key")
    with pytest.raises(AccessDenied):
        session.delete_object("key", put.version_id, bypass_governance=True)
    assert b"content" == session.get_object("key", put.version_id).data
    session.put_object_legal_hold("key", False, put.version_id)
    assert not session.get_object_legal_hold("key", put.version_id)
    session.delete_object("key", put.version_id)
    assert not session.exists("key", put.version_id)


@pytest.mark.parametrize("mode", ["governance", "COMPLIANCE"])
def test_a_retention(session: B2Session, mode: str) -> None:
    """Until its end a version stays; governance gives way to who may bypass it, compliance to nobody."""
    until = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    put = session.put_object("key", b"content", retention=Retention(mode, until))
    assert Retention(mode.upper(), until) == session.get_object_retention("key")
    with pytest.raises(AccessDenied):
        session.delete_object("key", put.version_id)
    if mode == "COMPLIANCE":
        with pytest.raises(S3FuncError):
            session.put_object_retention("key", None, bypass_governance=True)
        with pytest.raises(AccessDenied):
            session.delete_object("key", put.version_id, bypass_governance=True)
        session.put_object_retention("key", Retention(mode, until + timedelta(days=1)))
        assert Retention(mode.upper(), until + timedelta(days=1)) == session.get_object_retention("key")
    else:
        session.delete_object("key", put.version_id, bypass_governance=True)
        assert not session.exists("key")


def test_the_default_of_a_bucket(app: S3App, session: B2Session) -> None:
    """What a bucket demands of new files is set, told, and given to each; the other API sees the same."""
    session.put_object_lock_configuration("GOVERNANCE", days=3)
    put = session.put_object("key", b"content")
    kept = session.get_object_retention("key")
    assert kept is not None
    assert "GOVERNANCE" == kept.mode
    assert kept.retain_until is not None
    assert timedelta(days=2) < kept.retain_until - datetime.now(UTC) < timedelta(days=4)
    # Closing a session in the app's process closes the app.
    other = S3Session(KEY_ID, SECRET, BUCKET, transport=app)
    with pytest.raises(AccessDenied):
        other.delete_object("key", put.version_id)
    assert ObjectLockConfiguration(True, "GOVERNANCE", 3) == session.get_object_lock_configuration()
    session.put_object_lock_config(True)
    assert ObjectLockConfiguration(True) == session.get_object_lock_config()
    with pytest.raises(NotSupported):
        session.put_object_lock_config()


@pytest.mark.parametrize("size", [7, len(LARGE)])
def test_a_customers_key(session: B2Session, size: int) -> None:
    """Without the key, or with another one, nothing is read or copied; small and large files alike."""
    key, other = CustomerKey(b"k" * 32), CustomerKey(b"x" * 32)
    body = LARGE[:size]
    session.put_object("key", body, encryption=key)
    assert body == session.get_object("key", customer_key=key).data
    assert size == session.head_object("key", customer_key=key).size
    for wrong in (None, other):
        with pytest.raises(ServiceError):
            session.get_object("key", customer_key=wrong)
    session.copy_object("key", "copy", source_customer_key=key)
    assert body == session.get_object("copy").data
    session.copy_object("key", "secret", source_customer_key=key, encryption=other)
    assert body == session.get_object("secret", customer_key=other).data


def test_a_servers_encryption(session: B2Session) -> None:
    """AES256 is kept and told, and nothing has to be brought along to read it."""
    session.put_object("key", b"content", encryption="AES256")
    got = session.get_object("key")
    assert (b"content", "AES256") == (got.data, got.headers["x-bz-server-side-encryption"])


def test_a_public_bucket(app: S3App, session: B2Session) -> None:
    """Whoever knows the address reads it without a key, and can do nothing else."""
    session.create_bucket("public-bucket", bucket_type="allPublic")
    put = session.put_object("a b/é", b"content", {"a": "b"}, bucket="public-bucket")
    session.put_object("private", b"content")
    reader = B2Session(bucket="public-bucket", download_url="http://localhost", transport=app)
    got = reader.get_object("a b/é")
    assert (b"content", {"a": "b"}, put.version_id) == (got.data, got.user_metadata, got.version_id)
    assert b"nt" == reader.get_object("a b/é", range_start=2, range_end=3).data
    assert not reader.exists("missing")
    for call in (lambda: reader.put_object("key", b""), lambda: list(reader.list_objects())):
        with pytest.raises(NotSupported):
            call()
    with pytest.raises(ServiceError):
        reader.get_object("private", bucket=BUCKET)


def test_a_bucket_is_changed_under_a_condition(session: B2Session) -> None:
    """An update of what somebody else has changed meanwhile is a Conflict."""
    before = session.get_bucket()
    session.update_bucket(if_revision=before.revision, bucketInfo={"a": "b"})
    assert {"a": "b"} == session.get_bucket().settings["bucketInfo"]
    with pytest.raises(Conflict):
        session.update_bucket(if_revision=before.revision, bucketInfo={"c": "d"})


def test_a_large_file_by_hand(session: B2Session) -> None:
    """Parts in any order, some copied, listed with their sizes; another one's id is no upload."""
    session.put_object("source", LARGE)
    upload = session.create_multipart_upload("large", metadata={"a": "é"})
    upload.upload_part(2, b"end")
    upload.upload_part_copy(1, "source", range_start=0, range_end=5 * MB - 1)
    assert [(1, 5 * MB), (2, 3)] == [(part.part_number, part.size) for part in upload.list_parts()]
    assert ["large"] == [row.key for row in session.list_multipart_uploads()]
    assert ["source"] == [row.key for row in session.list_object_versions()]
    put = upload.complete()
    assert upload.upload_id == put.version_id
    got = session.get_object("large")
    assert (LARGE[: 5 * MB] + b"end", {"a": "é"}) == (got.data, got.user_metadata)
    with pytest.raises(NoSuchUpload):
        session.abort_multipart_upload("large", upload.upload_id)


@pytest.mark.parametrize("hours", [-3, 3])
def test_the_age_of_an_upload_is_b2s(app: S3App, session: B2Session, hours: int) -> None:
    """A client whose clock is wrong by hours aborts what is old, and nothing that has just been begun."""
    clock = FakeClock(time.time() + hours * 3600)
    wrong = B2Session(KEY_ID, SECRET, BUCKET, transport=app, clock=clock)
    session.create_multipart_upload("young")
    assert [] == wrong.abort_multipart_uploads(3600)
    assert ["young"] == [row.key for row in session.list_multipart_uploads()]
    assert ["young"] == [row.key for row in wrong.abort_multipart_uploads(0)]


def test_a_copy_in_parts(session: B2Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what one call copies, the parts are copied, several at a time, and metadata and SHA-1 come along."""
    monkeypatch.setattr("s3func.b2.copying.SMALL_FILE_MAX", 6 * MB)
    put = session.put_object("source", LARGE, {"a": "b"}, content_type="text/plain")
    session.copy_object("source", "copy", transfer=PARTS)
    got = session.get_object("copy")
    assert (LARGE, {"a": "b"}, "text/plain") == (got.data, {"a": got.user_metadata["a"]}, got.content_type)
    assert got.content_sha1 == session.get_object("source").content_sha1
    assert put.version_id != got.version_id
    assert [] == list(session.list_multipart_uploads())


def test_integrity_both_ways(app: S3App, session: B2Session) -> None:
    """What arrives otherwise than it was stored is an error: a small file, a large one, and an upload's answer."""
    session.put_object("small", b"content")
    session.put_object("large", LARGE)
    for key in ("small", "large"):
        with (
            app.faults.add("b2_download_file_by_name", answer="wrong_checksum"),
            pytest.raises(S3FuncError, match="sha1"),
        ):
            session.get_object(key).read()
        assert session.get_object(key).read()
    with pytest.raises(NotFound):
        session.get_object("missing")
