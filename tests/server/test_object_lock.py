"""Object Lock: protected versions stay, and who may end a protection can."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from s3func.errors import AccessDenied
from s3func.retention import ObjectLockConfiguration, Retention
from s3func.server.backend import BucketInfo, StoredObject
from s3func.server.object_lock import OBJECT_LOCK, RETENTION, default_lock, lock_headers, retention_guard
from s3func.wire.encoding import iso8601
from s3func.wire.s3xml_config import render_object_lock
from tests.server.forge import Caller, code

NOW = 1_800_000_000.0
UNTIL = datetime(2140, 1, 1, tzinfo=UTC)
ABOUT = {"Bucket": "locked", "Key": "key"}


@pytest.fixture
def locked(boto: Any) -> Any:
    """boto3 with a bucket that has Object Lock."""
    boto.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    return boto


def refused(error: pytest.ExceptionInfo[Any]) -> tuple[int, str]:
    """Status and code."""
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_a_bucket_with_object_lock_keeps_versions(locked: Any) -> None:
    """Versioning is on from the beginning, and cannot be suspended."""
    assert "Enabled" == locked.get_bucket_versioning(Bucket="locked")["Status"]
    assert {"ObjectLockEnabled": "Enabled"} == locked.get_object_lock_configuration(Bucket="locked")[
        "ObjectLockConfiguration"
    ]
    with pytest.raises(ClientError) as error:
        locked.put_bucket_versioning(Bucket="locked", VersioningConfiguration={"Status": "Suspended"})
    assert (409, "InvalidBucketState") == refused(error)


def test_retention_protects_a_version(locked: Any) -> None:
    """GOVERNANCE gives way to a bypass only; a deletion without a version is always possible."""
    version = locked.put_object(**ABOUT, Body=b"body", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=UNTIL)[
        "VersionId"
    ]
    assert {"Mode": "GOVERNANCE", "RetainUntilDate": UNTIL} == locked.get_object_retention(**ABOUT)["Retention"]
    assert UNTIL == locked.head_object(**ABOUT)["ObjectLockRetainUntilDate"]
    assert locked.delete_object(**ABOUT)["DeleteMarker"]
    with pytest.raises(ClientError) as error:
        locked.delete_object(**ABOUT, VersionId=version)
    assert (403, "AccessDenied") == refused(error)
    rows = {"Objects": [{"Key": "key", "VersionId": version}]}
    assert "AccessDenied" == locked.delete_objects(Bucket="locked", Delete=rows)["Errors"][0]["Code"]
    locked.delete_object(**ABOUT, VersionId=version, BypassGovernanceRetention=True)


def test_compliance_ends_for_nobody(locked: Any) -> None:
    """COMPLIANCE may be made longer, and nothing else, also with a bypass."""
    version = locked.put_object(**ABOUT, Body=b"body", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=UNTIL)[
        "VersionId"
    ]
    longer = {"Mode": "COMPLIANCE", "RetainUntilDate": UNTIL + timedelta(days=1)}
    locked.put_object_retention(**ABOUT, Retention=longer)
    for retention in ({"Mode": "COMPLIANCE", "RetainUntilDate": UNTIL}, {**longer, "Mode": "GOVERNANCE"}, {}):
        with pytest.raises(ClientError) as error:
            locked.put_object_retention(**ABOUT, Retention=retention, BypassGovernanceRetention=True)
        assert (403, "AccessDenied") == refused(error)
    with pytest.raises(ClientError) as error:
        locked.delete_object(**ABOUT, VersionId=version, BypassGovernanceRetention=True)
    assert (403, "AccessDenied") == refused(error)


def test_a_legal_hold_protects_until_it_is_lifted(locked: Any) -> None:
    """A hold is on one version and has no time; a bypass is not for it."""
    version = locked.put_object(**ABOUT, Body=b"body", ObjectLockLegalHoldStatus="ON")["VersionId"]
    assert {"Status": "ON"} == locked.get_object_legal_hold(**ABOUT)["LegalHold"]
    with pytest.raises(ClientError) as error:
        locked.delete_object(**ABOUT, VersionId=version, BypassGovernanceRetention=True)
    assert (403, "AccessDenied") == refused(error)
    locked.put_object_legal_hold(**ABOUT, LegalHold={"Status": "OFF"})
    locked.delete_object(**ABOUT, VersionId=version)


def test_the_default_retention(locked: Any) -> None:
    """New versions, copies and completed uploads get the bucket's default; their source's retention is not inherited."""
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}
    locked.put_object_lock_configuration(
        Bucket="locked", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    locked.put_object(**ABOUT, Body=b"body", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=UNTIL)
    locked.copy_object(Bucket="locked", Key="copy", CopySource="locked/key")
    upload = locked.create_multipart_upload(Bucket="locked", Key="parts")["UploadId"]
    about = {"Bucket": "locked", "Key": "parts", "UploadId": upload}
    part = locked.upload_part(**about, PartNumber=1, Body=b"body")
    locked.complete_multipart_upload(**about, MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]})
    for key in ("copy", "parts"):
        assert "GOVERNANCE" == locked.get_object_retention(Bucket="locked", Key=key)["Retention"]["Mode"]
    assert "COMPLIANCE" == locked.get_object_retention(**ABOUT)["Retention"]["Mode"]


def test_the_default_is_counted_from_the_moment() -> None:
    """Days and years are counted from the creation; a retention of its own stands."""
    for lock, days in (
        (ObjectLockConfiguration(True, "GOVERNANCE", 1), 1),
        (ObjectLockConfiguration(True, "GOVERNANCE", None, 2), 730),
    ):
        info = BucketInfo("bkt", 0.0, documents={OBJECT_LOCK: render_object_lock(lock).decode()})
        assert {RETENTION: f"GOVERNANCE {iso8601(NOW + days * 86_400)}"} == default_lock({}, info, NOW)
        assert {} == default_lock({RETENTION: "COMPLIANCE …"}, info, NOW)
    assert {} == default_lock({}, BucketInfo("bkt", 0.0), NOW)


REFUSED = {
    "mode alone": ({"x-amz-object-lock-mode": "GOVERNANCE"}, "InvalidArgument"),
    "mode": (
        {"x-amz-object-lock-mode": "governance", "x-amz-object-lock-retain-until-date": "2140-01-01T00:00:00Z"},
        "InvalidArgument",
    ),
    "date": (
        {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "tomorrow"},
        "InvalidArgument",
    ),
    "past": (
        {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "2001-01-01T00:00:00Z"},
        "InvalidArgument",
    ),
    "hold": ({"x-amz-object-lock-legal-hold": "on"}, "InvalidArgument"),
}


@pytest.mark.parametrize(("headers", "expected"), REFUSED.values(), ids=list(REFUSED))
def test_headers_that_cannot_be(caller: Caller, headers: dict[str, str], expected: str) -> None:
    """A lock that cannot be is refused, and any lock in a bucket without Object Lock."""
    assert 200 == caller("PUT", "/locked", headers={"x-amz-bucket-object-lock-enabled": "true"}).status
    assert (400, expected) == code(caller("PUT", "/locked/key", headers=headers))
    assert (400, "InvalidRequest") == code(caller("PUT", "/bkt/key", headers=headers))


def test_a_bucket_without_object_lock(caller: Caller) -> None:
    """It has no configuration and no retentions, and gets Object Lock only while it keeps versions."""
    caller.put("key")
    assert (404, "ObjectLockConfigurationNotFoundError") == code(caller("GET", "/bkt", "object-lock="))
    assert (400, "InvalidRequest") == code(caller("GET", "/bkt/key", "retention="))
    assert (400, "InvalidRequest") == code(caller("GET", "/bkt/key", "legal-hold="))
    body = render_object_lock(ObjectLockConfiguration())
    assert (409, "InvalidBucketState") == code(caller("PUT", "/bkt", "object-lock=", body))


@pytest.mark.parametrize("bypass", [True, False])
def test_a_retention_that_is_over_protects_nothing(bypass: bool) -> None:
    """Once its time has come, a retention may be changed by anybody who may set one."""
    stored = StoredObject(
        key="k", size=0, etag="", last_modified=0, documents={RETENTION: f"COMPLIANCE {iso8601(NOW)}"}
    )
    retention_guard(Retention(), NOW, bypass=bypass)(stored)
    with pytest.raises(AccessDenied):
        retention_guard(Retention(), NOW - 1, bypass=bypass)(stored)
    assert "COMPLIANCE" == lock_headers(stored)["x-amz-object-lock-mode"]
