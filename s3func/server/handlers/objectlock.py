"""Object Lock: the bucket's configuration, retention and legal hold of versions."""

from __future__ import annotations

from s3func.errors import service_error
from s3func.message import Response
from s3func.server.backend import BucketInfo, StoredObject
from s3func.server.call import Call
from s3func.server.handlers.objects import version_id
from s3func.server.object_lock import (
    LEGAL_HOLD,
    OBJECT_LOCK,
    RETENTION,
    check_lockable,
    may_bypass,
    retention_document,
    retention_guard,
    retention_of,
)
from s3func.server.payload import Payload
from s3func.server.powers import editable
from s3func.wire.s3xml_config import (
    parse_legal_hold_request,
    parse_object_lock_request,
    parse_retention_request,
    render_legal_hold,
    render_object_lock,
    render_retention,
)

DOCUMENT_BYTES_MAX = 64 * 1024
_XML = {"content-type": "application/xml"}


def get_object_lock_configuration(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html."""
    document = call.access.info.documents.get(OBJECT_LOCK)
    if document is None:
        raise service_error(
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
            status=404,
        )
    return Response(200, dict(_XML), document.encode())


def put_object_lock_configuration(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html."""
    lock = parse_object_lock_request(Payload(call).read(DOCUMENT_BYTES_MAX))
    editable(call.backend).edit_bucket(
        call.bucket, {OBJECT_LOCK: render_object_lock(lock).decode()}, _check_keeps_versions
    )
    return Response(200, {})


def get_object_retention(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html."""
    stored = _locked_object(call)
    retention = retention_of(stored)
    if retention is None:
        raise _no_lock()
    return Response(200, dict(_XML), render_retention(retention))


def put_object_retention(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html."""
    check_lockable(call.access.info)
    retention = parse_retention_request(Payload(call).read(DOCUMENT_BYTES_MAX))
    version, now = version_id(call), call.clock.now()
    document = None if retention.retain_until is None else retention_document(retention, now)
    guard = retention_guard(retention, now, bypass=may_bypass(call, call.key, version))
    return _edited(editable(call.backend).edit_object(call.bucket, call.key, {RETENTION: document}, version, guard))


def get_object_legal_hold(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html."""
    hold = _locked_object(call).documents.get(LEGAL_HOLD)
    if hold is None:
        raise _no_lock()
    return Response(200, dict(_XML), render_legal_hold(hold == "ON"))


def put_object_legal_hold(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html."""
    check_lockable(call.access.info)
    hold = "ON" if parse_legal_hold_request(Payload(call).read(DOCUMENT_BYTES_MAX)) else "OFF"
    return _edited(editable(call.backend).edit_object(call.bucket, call.key, {LEGAL_HOLD: hold}, version_id(call)))


def _locked_object(call: Call) -> StoredObject:
    check_lockable(call.access.info)
    return call.backend.head_object(call.bucket, call.key, version_id(call))


def _edited(stored: StoredObject) -> Response:
    return Response(200, {} if stored.version_id is None else {"x-amz-version-id": stored.version_id})


def _check_keeps_versions(info: BucketInfo) -> None:
    if info.versioning != "Enabled":
        raise service_error(
            "InvalidBucketState",
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
            status=409,
        )


def _no_lock() -> Exception:
    return service_error(
        "NoSuchObjectLockConfiguration",
        "The specified object does not have a ObjectLock configuration",
        status=404,
    )
