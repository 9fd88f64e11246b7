"""Object Lock: how long a version is kept, by whom it may be given up, and the guards that see to it.

Rule 1: a lock is on one version. Deleting without a version leaves a marker, and overwriting a new version: both may.
Rule 2: what is protected is decided by a guard, so inside the transaction that would delete or change it.
Rule 3: a retention lasts as long as the server's clock says; COMPLIANCE ends for nobody before, GOVERNANCE for who may
        bypass it (s3:BypassGovernanceRetention), a legal hold when it is lifted.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from s3func.errors import AccessDenied, ServiceError, service_error
from s3func.retention import Retention
from s3func.server.backend import BucketInfo, Guard, ObjectAttributes, StoredObject
from s3func.server.call import Call
from s3func.wire.encoding import iso8601, parse_iso8601
from s3func.wire.s3xml_config import parse_object_lock

OBJECT_LOCK = "object-lock"
RETENTION = "retention"
LEGAL_HOLD = "legal-hold"
"""The names of the documents: of a bucket the configuration (XML), of an object "MODE TIME" and "ON" or "OFF"."""

ENABLED = "x-amz-bucket-object-lock-enabled"
_MODE = "x-amz-object-lock-mode"
_UNTIL = "x-amz-object-lock-retain-until-date"
_HOLD = "x-amz-object-lock-legal-hold"
_BYPASS = "x-amz-bypass-governance-retention"
_DAY_SECONDS = 86_400


def requested_lock(headers: Mapping[str, str], info: BucketInfo, now: float) -> dict[str, str]:
    """The documents that the headers of a PUT, COPY or new upload ask for; InvalidRequest where they cannot be."""
    mode, until, hold = headers.get(_MODE), headers.get(_UNTIL), headers.get(_HOLD)
    if mode is None and until is None and hold is None:
        return {}
    check_lockable(info)
    documents = {}
    if mode is not None or until is not None:
        if mode is None or until is None:
            raise _invalid(_MODE, f"{_UNTIL} and {_MODE} must both be supplied")
        if mode not in {"GOVERNANCE", "COMPLIANCE"}:
            raise _invalid(_MODE, "Unknown wormMode directive.")
        try:
            moment = parse_iso8601(until)
        except ValueError:
            raise _invalid(_UNTIL, "The retain until date must be provided in ISO 8601 format") from None
        documents[RETENTION] = retention_document(Retention(mode, moment), now)
    if hold is not None:
        if hold not in {"ON", "OFF"}:
            raise _invalid(_HOLD, "Legal Hold must be either of 'ON' or 'OFF'")
        documents[LEGAL_HOLD] = hold
    return documents


def default_lock(documents: Mapping[str, str], info: BucketInfo, now: float) -> dict[str, str]:
    """The retention that a new version gets from its bucket, {} where it has one of its own, or the bucket none."""
    configuration = info.documents.get(OBJECT_LOCK)
    if configuration is None or RETENTION in documents:
        return {}
    lock = parse_object_lock(configuration.encode())
    if lock.mode is None:
        return {}
    days = lock.days if lock.days is not None else 365 * (lock.years or 0)
    return {RETENTION: f"{lock.mode} {iso8601(now + days * _DAY_SECONDS)}"}


def retention_document(retention: Retention, now: float) -> str:
    """The document of a retention, which must not be over already; retention: both of its fields are set."""
    mode, until = retention
    assert until is not None
    if until.timestamp() <= now:
        raise _invalid(_UNTIL, "The retain until date must be in the future!")
    return f"{mode} {iso8601(until.timestamp())}"


def retention_of(stored: ObjectAttributes) -> Retention | None:
    """The retention of a version, also one that is over; None without."""
    document = stored.documents.get(RETENTION)
    if document is None:
        return None
    mode, _, until = document.partition(" ")
    return Retention(mode, parse_iso8601(until))


def lock_headers(stored: StoredObject) -> dict[str, str]:
    """What an answer to GET and HEAD says of the lock of a version."""
    headers = {}
    if RETENTION in stored.documents:
        headers[_MODE], _, headers[_UNTIL] = stored.documents[RETENTION].partition(" ")
    if LEGAL_HOLD in stored.documents:
        headers[_HOLD] = stored.documents[LEGAL_HOLD]
    return headers


def check_lockable(info: BucketInfo) -> None:
    """InvalidRequest for a bucket without Object Lock."""
    if OBJECT_LOCK not in info.documents:
        raise service_error("InvalidRequest", "Bucket is missing Object Lock Configuration", bucket=info.name)


def check_versioning(info: BucketInfo) -> None:
    """BucketGuard: a bucket with Object Lock goes on keeping versions."""
    if OBJECT_LOCK in info.documents:
        raise service_error(
            "InvalidBucketState",
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
            status=409,
            bucket=info.name,
        )


def may_bypass(call: Call, key: str, version_id: str | None) -> bool:
    """Whether the request wants to get around GOVERNANCE; AccessDenied where it wants to, and may not."""
    if call.headers.get(_BYPASS, "").lower() != "true":
        return False
    call.access.demand("s3:BypassGovernanceRetention", key, version_id)
    return True


def deletion_guard(call: Call, key: str, version_id: str | None, other: Guard | None) -> Guard | None:
    """The guard of a deletion: `other`, and behind it the lock where a version is named."""
    if version_id is None or OBJECT_LOCK not in call.access.info.documents:
        return other
    bypass = may_bypass(call, key, version_id)

    def guard(current: StoredObject | None) -> None:
        if other is not None:
            other(current)
        if current is None or current.delete_marker:
            return
        retention = retention_of(current)
        protected = current.documents.get(LEGAL_HOLD) == "ON"
        if retention is not None and _lasts(retention, call.clock.now()):
            protected = protected or retention.mode == "COMPLIANCE" or not bypass
        if protected:
            raise AccessDenied("Access Denied because object protected by object lock.")

    return guard


def retention_guard(new: Retention, now: float, *, bypass: bool) -> Guard:
    """The guard of a change of retention: a period may grow, and only GOVERNANCE with bypass may shrink, change or end."""

    def guard(current: StoredObject | None) -> None:
        old = None if current is None else retention_of(current)
        if old is None or not _lasts(old, now):
            return
        assert old.retain_until is not None
        grows = new.mode == old.mode and new.retain_until is not None and new.retain_until >= old.retain_until
        if not grows and (old.mode == "COMPLIANCE" or not bypass):
            raise AccessDenied("Access Denied because object protected by object lock.")

    return guard


def _lasts(retention: Retention, now: float) -> bool:
    return retention.retain_until is not None and retention.retain_until > datetime.fromtimestamp(now, UTC)


def _invalid(name: str, message: str) -> ServiceError:
    return service_error("InvalidArgument", message, details={"ArgumentName": name})
