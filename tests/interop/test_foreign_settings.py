"""Settings of buckets and objects on servers that others wrote: what is put comes back, what is deleted is gone.

On Ceph RGW and on moto, which know the most of them; deviations.py has what they do not know.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import AccessDenied, NotFound
from s3func.retention import Retention
from tests.interop.servers import ForeignServer, connect, new_bucket
from tests.s3.test_same_as_botocore import ACCESS_BLOCK, INVENTORY, NOTIFICATION, WEBSITE
from tests.s3.test_settings import holds

pytestmark = pytest.mark.parametrize("foreign", ["moto", "rgw"], indirect=True)
KEY = "a b/ü?#%.txt"


@pytest.fixture
def locked(foreign: ForeignServer) -> Iterator[S3Session]:
    """A session on a new bucket with Object Lock."""
    with connect(foreign, new_bucket()) as opened:
        opened.create_bucket(object_lock=True)
        yield opened


def test_versioning(session: S3Session) -> None:
    """Never on, on, suspended."""
    assert session.get_bucket_versioning().status is None
    for status in ("Enabled", "Suspended"):
        session.put_bucket_versioning(status)
        assert status == session.get_bucket_versioning().status


def test_location(session: S3Session) -> None:
    """Some text, whatever the store calls its place."""
    assert isinstance(session.get_bucket_location(), str)


def test_bucket_tags(session: S3Session) -> None:
    """Text of every kind, and nothing afterwards."""
    tags = {"a": "b c", "ü": "x+y=z/@:-_."}
    session.put_bucket_tagging(tags)
    assert tags == session.get_bucket_tagging()
    session.delete_bucket_tagging()
    with contextlib.suppress(NotFound):
        assert {} == session.get_bucket_tagging()


def test_object_tags(session: S3Session) -> None:
    """Of a key with every hostile character."""
    session.put_object(KEY, b"x", tagging={"first": "1"})
    assert {"first": "1"} == session.get_object_tagging(KEY)
    session.put_object_tagging(KEY, {"a": "b c", "ü": ""})
    assert {"a": "b c", "ü": ""} == session.get_object_tagging(KEY)
    session.delete_object_tagging(KEY)
    assert {} == session.get_object_tagging(KEY)


def test_access(session: S3Session) -> None:
    """A canned list opens an object for reading; the whole list that was got can be put."""
    session.put_object(KEY, b"x")
    session.put_object_acl(KEY, "public-read")
    policy = session.get_object_acl(KEY)
    assert {"READ", "FULL_CONTROL"} == {grant.permission for grant in policy.grants}
    session.put_object_acl(KEY, "private")
    session.put_object_acl(KEY, policy)
    assert {"READ", "FULL_CONTROL"} == {grant.permission for grant in session.get_object_acl(KEY).grants}
    session.put_bucket_acl("private")
    assert ["FULL_CONTROL"] == [grant.permission for grant in session.get_bucket_acl().grants]


def test_cors(session: S3Session) -> None:
    """Two rules in their order."""
    rules: list[dict[str, Any]] = [
        {"allowed_origins": ["https://a.test", "https://*.b.test"], "allowed_methods": ["GET", "PUT"]},
        {"allowed_origins": ["*"], "allowed_methods": ["HEAD"], "expose_headers": ["etag"], "max_age_seconds": 60},
    ]
    session.put_bucket_cors(rules)
    found = session.get_bucket_cors()
    assert [sorted(rule["allowed_methods"]) for rule in rules] == [sorted(rule.allowed_methods) for rule in found]
    assert 60 == found[1].max_age_seconds
    session.delete_bucket_cors()
    with pytest.raises(NotFound):
        session.get_bucket_cors()


def test_policy(session: S3Session) -> None:
    """JSON comes back as it was meant."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:DeleteObject",
                "Resource": f"arn:aws:s3:::{session.bucket}/kept/*",
            }
        ],
    }
    session.put_bucket_policy(policy)
    assert policy == session.get_bucket_policy()
    session.delete_bucket_policy()
    with pytest.raises(NotFound):
        session.get_bucket_policy()


def test_policy_status(session: S3Session) -> None:
    """A bucket without a policy is not public."""
    with contextlib.suppress(NotFound):
        assert session.get_bucket_policy_status() is False


LIFECYCLE = {
    "Rules": [
        {"ID": "old", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 30}},
        {
            "ID": "versions",
            "Filter": {"Prefix": "x"},
            "Status": "Disabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
        },
    ]
}
DOCUMENTS: dict[str, Any] = {
    "bucket_lifecycle_configuration": LIFECYCLE,
    "bucket_encryption": {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
    "public_access_block": ACCESS_BLOCK,
    "bucket_ownership_controls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
    "bucket_website": WEBSITE,
    "bucket_request_payment": {"Payer": "Requester"},
    "bucket_accelerate_configuration": {"Status": "Enabled"},
    "bucket_notification_configuration": NOTIFICATION,
}
REMOVERS = {"bucket_lifecycle_configuration": "delete_bucket_lifecycle"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents(session: S3Session, name: str) -> None:
    """What is put is found in what is got, and what is deleted is not got any more."""
    getattr(session, f"put_{name}")(DOCUMENTS[name])
    assert holds(getattr(session, f"get_{name}")(), DOCUMENTS[name])
    remover = getattr(session, REMOVERS.get(name, f"delete_{name}"), None)
    if remover is not None:
        remover()
        with pytest.raises(NotFound):
            getattr(session, f"get_{name}")()


def test_logging(session: S3Session, foreign: ForeignServer) -> None:
    """None at first, then what was put."""
    assert {} == session.get_bucket_logging()
    with connect(foreign, new_bucket()) as logs:
        logs.create_bucket()
        logs.put_bucket_acl("log-delivery-write")
        target = {"LoggingEnabled": {"TargetBucket": logs.bucket, "TargetPrefix": "x/"}}
        session.put_bucket_logging(target)
        assert holds(session.get_bucket_logging(), target)


def test_inventories(session: S3Session) -> None:
    """By their ids, and all of them."""
    session.put_bucket_inventory_configuration("inv", INVENTORY)
    assert holds(session.get_bucket_inventory_configuration("inv"), INVENTORY)
    assert ["inv"] == [row["Id"] for row in session.list_bucket_inventory_configurations()]
    session.delete_bucket_inventory_configuration("inv")
    with pytest.raises(NotFound):
        session.get_bucket_inventory_configuration("inv")


def test_lock_configuration(locked: S3Session) -> None:
    """A default retention can be set and taken away."""
    assert locked.get_object_lock_configuration().enabled
    locked.put_object_lock_configuration("GOVERNANCE", days=1)
    assert ("GOVERNANCE", 1) == locked.get_object_lock_configuration()[1:3]
    locked.put_object_lock_configuration()
    assert locked.get_object_lock_configuration().mode is None


def test_legal_hold(locked: S3Session) -> None:
    """A held version stays until the hold is lifted."""
    version = locked.put_object(KEY, b"x").version_id
    assert not locked.get_object_legal_hold(KEY)
    locked.put_object_legal_hold(KEY, True)
    assert locked.get_object_legal_hold(KEY, version)
    with pytest.raises(AccessDenied):
        locked.delete_object(KEY, version)
    locked.put_object_legal_hold(KEY, False)
    locked.delete_object(KEY, version)


def test_retention(locked: S3Session) -> None:
    """Kept until a moment; lifted by whoever may bypass governance."""
    version = locked.put_object(KEY, b"x").version_id
    assert locked.get_object_retention(KEY) is None
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    locked.put_object_retention(KEY, Retention("GOVERNANCE", until))
    assert Retention("GOVERNANCE", until) == locked.get_object_retention(KEY)
    with pytest.raises(AccessDenied):
        locked.delete_object(KEY, version)
    locked.put_object_retention(KEY, None, bypass_governance=True)
    locked.delete_object(KEY, version)


def test_attributes(session: S3Session) -> None:
    """Size and ETag without reading the object."""
    session.put_object(KEY, b"12345")
    found = session.get_object_attributes(KEY, ["ETag", "ObjectSize"])
    assert (5, session.head_object(KEY).etag) == (found.size, found.etag)


def test_select(session: S3Session) -> None:
    """Rows of a CSV, and what the store says of its work."""
    session.put_object(KEY, b"name,age\nAda,36\nAlan,41\n")
    csv = {"CSV": {"FileHeaderInfo": "USE"}}
    with session.select_object_content(KEY, "SELECT * FROM S3Object", input_serialization=csv) as rows:
        assert [b"Ada,36", b"Alan,41"] == rows.read().split()
    assert rows.stats is not None


def test_restore(session: S3Session) -> None:
    """An archived object is asked for, and is said to be on its way."""
    session.put_object(KEY, b"x", storage_class="GLACIER")
    assert session.restore_object(KEY, 1)
