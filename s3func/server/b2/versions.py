"""What is done to files that are there: info, hide, delete, retention and legal hold.

https://www.backblaze.com/docs/cloud-storage-file-versions
"""

from __future__ import annotations

from datetime import UTC, datetime

from s3func.errors import ServiceError
from s3func.message import Response
from s3func.server.b2.call import B2Call, answer, file_name
from s3func.server.b2.files import (
    check_lockable,
    described,
    described_upload,
    legal_hold,
    new_retention,
)
from s3func.server.b2.refusals import bad_request, refuse
from s3func.server.backend import StoredObject
from s3func.server.object_lock import LEGAL_HOLD, RETENTION, retention_document, retention_guard, retention_of
from s3func.wire import b2json
from s3func.wire.b2json import StoredFile


def get_file_info(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-get-file-info."""
    identity = call.text("fileId")
    place = call.find(identity)
    if place is None:
        raise refuse("not_found", f"File not present: {identity[:200]}")
    call.demand("readFiles", place.bucket, place.key)
    if place.version_id is None:
        upload = call.backend.get_upload(place.bucket.name, place.key, identity)
        file = described_upload(place.bucket, upload, call.key)
    else:
        try:
            stored = call.backend.head_object(place.bucket.name, place.key, place.version_id)
        except ServiceError as error:
            if error.headers.get("x-amz-delete-marker") != "true":
                raise
            file = StoredFile(place.key, "hide", identity, account_id=call.key.account_id)
        else:
            file = described(place.bucket, stored, call.key)
    return answer(b2json.render_file(file, v1=call.version == 1))


def hide_file(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-hide-file."""
    bucket = call.bucket()
    name = file_name(call.text("fileName"))
    call.demand("writeFiles", bucket, name)
    owner = call.key.user.canonical_id

    def guard(current: StoredObject | None) -> None:
        if current is None:
            raise refuse("no_such_file", f"File not present: {name[:200]}")
        if current.delete_marker:
            raise refuse("already_hidden", f"File already hidden: {name[:200]}")

    if not bucket.versioning:
        raise bad_request("The bucket was made through S3 and keeps no versions; nothing can be hidden in it")
    deleted = call.backend.delete_object(bucket.name, name, None, guard, owner)
    marker = StoredObject(
        key=name,
        size=0,
        etag="",
        last_modified=call.clock.now(),
        version_id=deleted.version_id,
        delete_marker=True,
    )
    return answer(b2json.render_file(described(bucket, marker, call.key), v1=call.version == 1))


def delete_file_version(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-delete-file-version."""
    name, identity = call.text("fileName"), call.text("fileId")
    place = call.find(identity)
    if place is None or place.key != name:
        raise refuse("file_not_present", f"File not present: {name[:200]} {identity[:200]}")
    call.demand("deleteFiles", place.bucket, name)
    if place.version_id is None:
        call.backend.abort_upload(place.bucket.name, name, identity)
        return answer({"fileId": identity, "fileName": name})
    bypass = bool(call.fields.get("bypassGovernance"))
    if bypass:
        call.demand("bypassGovernance", place.bucket, name)
    now = call.clock.now()

    # Backblaze's own suite expects "unauthorized" of what a lock keeps.
    def guard(current: StoredObject | None) -> None:
        if current is None:
            raise refuse("file_not_present", f"File not present: {name[:200]} {identity[:200]}")
        retention = retention_of(current)
        if current.documents.get(LEGAL_HOLD) == "ON":
            raise refuse("unauthorized", "The file has a legal hold")
        if retention is None or retention.retain_until is None:
            return
        lasts = retention.retain_until > datetime.fromtimestamp(now, UTC)
        if lasts and (retention.mode == "COMPLIANCE" or not bypass):
            raise refuse("unauthorized", "The file is retained")

    call.backend.delete_object(place.bucket.name, name, place.version_id, guard)
    return answer({"fileId": identity, "fileName": name})


def update_file_retention(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-update-file-retention."""
    name, identity = call.text("fileName"), call.text("fileId")
    place = call.place(identity)
    call.demand("writeFileRetentions", place.bucket, name)
    check_lockable(place.bucket)
    bypass = bool(call.fields.get("bypassGovernance"))
    if bypass:
        call.demand("bypassGovernance", place.bucket, name)
    value = call.mapping("fileRetention") or {}
    retention, now = new_retention(value), call.clock.now()
    document = None if retention.mode is None else retention_document(retention, now)
    guard = retention_guard(retention, now, bypass=bypass)
    call.backend.edit_object(place.bucket.name, place.key, {RETENTION: document}, place.version_id, guard)
    return answer({"fileId": identity, "fileName": name, "fileRetention": value})


def update_file_legal_hold(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-update-file-legal-hold."""
    name, identity = call.text("fileName"), call.text("fileId")
    place = call.place(identity)
    call.demand("writeFileLegalHolds", place.bucket, name)
    check_lockable(place.bucket)
    value = call.text("legalHold")
    call.backend.edit_object(place.bucket.name, place.key, {LEGAL_HOLD: legal_hold(value)}, place.version_id)
    return answer({"fileId": identity, "fileName": name, "legalHold": value})
