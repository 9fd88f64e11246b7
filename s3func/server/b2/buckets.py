"""Buckets: made so that they keep versions, with the settings that S3 has no document for in one of B2's own.

https://www.backblaze.com/docs/cloud-storage-create-and-manage-buckets
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from s3func.message import Response
from s3func.retention import ObjectLockConfiguration
from s3func.server.b2.call import B2Call, answer, settings_of
from s3func.server.b2.refusals import bad_request, refuse
from s3func.server.backend import BucketInfo
from s3func.server.backends.identity import bucket_identity
from s3func.server.encryption import ENCRYPTION
from s3func.server.object_lock import OBJECT_LOCK
from s3func.wire.b2json_account import StoredBucket, render_bucket, render_buckets
from s3func.wire.s3xml_config import parse_object_lock, render_object_lock
from s3func.wire.s3xml_stored import render_configuration

SETTINGS = "b2"
"""The document of a bucket."""
_NAME = re.compile(r"[A-Za-z0-9.-]{6,63}", re.ASCII)
_TYPES = ("allPublic", "allPrivate", "snapshot", "share", "restricted")
_PASSED_THROUGH = {"bucketInfo": dict, "corsRules": list, "lifecycleRules": list, "replicationConfiguration": dict}
_RULES = "eventNotificationRules"


def create_bucket(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-create-bucket."""
    call.demand("writeBuckets")
    _check_account(call)
    name = call.text("bucketName")
    if _NAME.fullmatch(name) is None or name.startswith("b2-"):
        raise bad_request("bucketName must have 6 to 63 letters, digits and -, and not begin with b2-")
    documents = _documents(call, {"revision": 1})
    if call.fields.get("fileLockEnabled"):
        documents[OBJECT_LOCK] = render_object_lock(ObjectLockConfiguration()).decode()
    call.backend.create_bucket(name, owner=call.key.user.canonical_id, region=call.region)
    call.backend.set_versioning(name, "Enabled")
    return answer(render_bucket(_described(call, call.backend.edit_bucket(name, documents))))


def update_bucket(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-update-bucket."""
    bucket = call.bucket()
    call.demand("writeBuckets", bucket)
    wanted = call.fields.get("ifRevisionIs")
    seen = settings_of(bucket).get("revision", 1)

    def guard(current: BucketInfo) -> None:
        revision = settings_of(current).get("revision", 1)
        if revision != seen or wanted not in {None, revision}:
            raise refuse("conflict", "simultaneous updates to bucket")

    documents = _documents(call, {**settings_of(bucket), "revision": seen + 1})
    retention = call.mapping("defaultRetention")
    if call.fields.get("fileLockEnabled") is False and OBJECT_LOCK in bucket.documents:
        message = "fileLockEnabled value of false is not allowed when bucket is already file lock enabled."
        raise refuse("file_lock_conflict", message)
    if retention is not None or call.fields.get("fileLockEnabled"):
        if retention is not None and OBJECT_LOCK not in bucket.documents and not call.fields.get("fileLockEnabled"):
            raise refuse("bucket_missing_file_lock", "File lock is not enabled for the bucket")
        documents[OBJECT_LOCK] = render_object_lock(_object_lock(retention)).decode()
    return answer(render_bucket(_described(call, call.backend.edit_bucket(bucket.name, documents, guard))))


def delete_bucket(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-delete-bucket."""
    bucket = call.bucket()
    call.demand("deleteBuckets", bucket)
    described = _described(call, bucket)
    call.backend.delete_bucket(bucket.name)
    return answer(render_bucket(described))


def list_buckets(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-list-buckets."""
    _check_account(call)
    wanted_id, wanted_name = call.optional_text("bucketId"), call.optional_text("bucketName")
    kinds = call.fields.get("bucketTypes")
    allowed = call.key.bucket_ids
    if not call.key.may("listBuckets") and not call.key.may("listAllBucketNames"):
        call.demand("listBuckets")
    if allowed is not None and wanted_id is None and wanted_name is None:
        raise refuse("unauthorized", "A key that is restricted to buckets must name one")
    found = []
    for info in sorted(call.buckets(), key=lambda each: each.name):
        bucket = _described(call, info)
        if wanted_id not in {None, bucket.id} or wanted_name not in {None, bucket.name}:
            continue
        if isinstance(kinds, list) and "all" not in kinds and bucket.type not in kinds:
            continue
        if allowed is not None and bucket.id not in allowed:
            raise refuse("unauthorized", "The key is restricted to other buckets")
        found.append(bucket)
    if allowed is not None and not found:
        raise refuse("unauthorized", "The key is restricted to other buckets")
    return answer(render_buckets(found))


def get_bucket_notification_rules(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-get-bucket-notification-rules."""
    bucket = call.bucket()
    call.demand("readBucketNotifications", bucket)
    return answer({"bucketId": call.text("bucketId"), _RULES: settings_of(bucket).get(_RULES, [])})


def set_bucket_notification_rules(call: B2Call) -> Response:
    """Kept and returned, without effect. https://www.backblaze.com/apidocs/b2-set-bucket-notification-rules."""
    bucket = call.bucket()
    call.demand("writeBucketNotifications", bucket)
    rules = call.fields.get(_RULES)
    if not isinstance(rules, list):
        raise bad_request(f"{_RULES} is no list")
    defaults = {"isSuspended": False, "suspensionReason": ""}
    if not all(isinstance(rule, dict) and isinstance(rule.get("targetConfiguration"), dict) for rule in rules):
        raise bad_request("a rule has a targetConfiguration")
    rules = [
        {**defaults, **rule, "targetConfiguration": {"customHeaders": None, **rule["targetConfiguration"]}}
        for rule in rules
    ]
    settings = {**settings_of(bucket), _RULES: rules}
    call.backend.edit_bucket(bucket.name, {SETTINGS: json.dumps(settings)})
    return answer({"bucketId": call.text("bucketId"), _RULES: rules})


def _check_account(call: B2Call) -> None:
    wanted = call.fields.get("accountId")
    if wanted is not None and wanted != call.key.account_id:
        raise refuse("unauthorized", "The token is of another account")


def _documents(call: B2Call, settings: dict[str, Any]) -> dict[str, str | None]:
    """What a call says about a bucket, added to what was said before."""
    kind = call.optional_text("bucketType") or settings.get("type", "allPrivate")
    if kind not in _TYPES:
        raise bad_request(f"Invalid bucketType: {kind[:100]}")
    settings["type"] = kind
    for name, shape in _PASSED_THROUGH.items():
        if name in call.fields:
            value = call.fields[name]
            if not isinstance(value, shape):
                raise bad_request(f"{name} has the wrong shape")
            settings[name] = value
    documents: dict[str, str | None] = {SETTINGS: json.dumps(settings)}
    encryption = call.mapping("defaultServerSideEncryption")
    if encryption is not None:
        documents[ENCRYPTION] = None
        if encryption.get("mode") == "SSE-B2":
            rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            document = render_configuration("ServerSideEncryptionConfiguration", {"Rules": [rule]})
            documents[ENCRYPTION] = document.decode()
        elif encryption.get("mode") not in {None, "none"}:
            raise bad_request("defaultServerSideEncryption has an unknown mode")
    return documents


def _object_lock(retention: Mapping[str, Any] | None) -> ObjectLockConfiguration:
    """defaultRetention."""
    mode = (retention or {}).get("mode")
    if mode in {None, "none"}:
        return ObjectLockConfiguration()
    period = (retention or {}).get("period")
    if mode not in {"governance", "compliance"} or not isinstance(period, dict):
        raise bad_request("defaultRetention needs a mode and a period")
    duration, unit = period.get("duration"), period.get("unit")
    if not isinstance(duration, int) or duration < 1 or unit not in {"days", "years"}:
        raise bad_request("the period of defaultRetention is a number of days or years")
    days, years = (duration, None) if unit == "days" else (None, duration)
    return ObjectLockConfiguration(mode=mode.upper(), days=days, years=years)


def _described(call: B2Call, info: BucketInfo) -> StoredBucket:
    settings = settings_of(info)
    identity = bucket_identity(info.name, info.created)
    row = {
        "accountId": call.key.account_id,
        "bucketInfo": settings.get("bucketInfo", {}),
        "corsRules": settings.get("corsRules", []),
        "defaultServerSideEncryption": _readable(call, "readBucketEncryption", identity, _encryption(info)),
        "fileLockConfiguration": _readable(call, "readBucketRetentions", identity, _file_lock(info)),
        "lifecycleRules": settings.get("lifecycleRules", []),
        "options": ["s3"],
        "replicationConfiguration": _readable(call, "readBucketReplications", identity, _replication(settings)),
    }
    return StoredBucket(identity, info.name, settings.get("type", "allPrivate"), settings.get("revision", 1), row)


def _readable(call: B2Call, capability: str, identity: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
    """A setting that not every key may read."""
    if not call.key.may(capability, identity):
        return {"isClientAuthorizedToRead": False, "value": None}
    return {"isClientAuthorizedToRead": True, "value": value}


def _replication(settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the bucket is replicated from and to; None for neither."""
    value = settings.get("replicationConfiguration") or {}
    if not any(value.values()):
        return None
    return {"asReplicationDestination": None, "asReplicationSource": None, **value}


def _encryption(info: BucketInfo) -> dict[str, str | None]:
    encrypted = ENCRYPTION in info.documents
    return {"algorithm": "AES256", "mode": "SSE-B2"} if encrypted else {"algorithm": None, "mode": None}


def _file_lock(info: BucketInfo) -> dict[str, Any]:
    document = info.documents.get(OBJECT_LOCK)
    retention: dict[str, Any] = {"mode": None, "period": None}
    if document is not None:
        lock = parse_object_lock(document.encode())
        if lock.mode is not None:
            unit = "days" if lock.days is not None else "years"
            duration = lock.days if lock.days is not None else lock.years
            retention = {"mode": lock.mode.lower(), "period": {"duration": duration, "unit": unit}}
    return {"defaultRetention": retention, "isFileLockEnabled": document is not None}
