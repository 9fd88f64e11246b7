"""DeleteObjects."""

from __future__ import annotations

from s3func.errors import ServiceError, service_error
from s3func.message import Response
from s3func.server.addressing import check_key_text
from s3func.server.backend import Deleted, Deletion
from s3func.server.call import Call
from s3func.server.conditions import DeletePrecondition
from s3func.server.object_lock import deletion_guard
from s3func.server.payload import Payload
from s3func.wire import s3xml

# A thousand keys of 1,024 bytes, each of them a character reference, and room for what is around them.
DOCUMENT_BYTES_MAX = 8 * 1024 * 1024


def delete_objects(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html."""
    payload = Payload(call)
    if not payload.is_checked:
        raise service_error(
            "InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
        )
    request = s3xml.parse_delete_objects(payload.read(DOCUMENT_BYTES_MAX))
    refused: dict[int, ServiceError] = {}
    deletions: list[Deletion] = []
    for number, (key, version_id) in enumerate(request.objects):
        try:
            check_key_text(key)
            call.access.demand("s3:DeleteObject", key, version_id)
        except ServiceError as error:
            refused[number] = error
        else:
            guard = deletion_guard(call, key, version_id, _guard(request.conditions.get(number), version_id))
            deletions.append(Deletion(key, version_id, guard, call.owner))
    results = iter(call.backend.delete_objects(call.bucket, deletions))
    deleted: list[s3xml.DeletedObject] = []
    failures: list[s3xml.DeleteFailure] = []
    for number, (key, version_id) in enumerate(request.objects):
        result = refused.get(number) or next(results)
        if isinstance(result, ServiceError):
            failures.append(s3xml.DeleteFailure(key, version_id, result.code, result.message))
        elif not request.quiet:
            deleted.append(_row(result, version_id))
    return Response(200, {"content-type": "application/xml"}, s3xml.render_delete_result(deleted, failures))


def _guard(condition: s3xml.DeleteCondition | None, version_id: str | None) -> DeletePrecondition | None:
    if condition is None:
        return None
    moment = None if condition.last_modified is None else condition.last_modified.timestamp()
    return DeletePrecondition(condition.etag, condition.size, moment, named=version_id is not None)


def _row(result: Deleted, version_id: str | None) -> s3xml.DeletedObject:
    """What is reported of a deletion: without a version asked for, only the marker that it may have made."""
    marker = result.version_id if result.delete_marker else None
    return s3xml.DeletedObject(result.key, version_id, result.delete_marker, marker)
