"""Restoring archived objects: here it is done as soon as it is asked for, since nothing is ever far away.

What is remembered is until when the copy would stay; objects of archive classes can be read before, too.
"""

from __future__ import annotations

from s3func.errors import service_error
from s3func.message import Response
from s3func.server.backend import StoredObject
from s3func.server.call import Call
from s3func.server.handlers.objects import version_id
from s3func.server.handlers.uploads import storage_class
from s3func.server.payload import Payload
from s3func.server.powers import editable
from s3func.server.restoring import ARCHIVES, RESTORED, is_restored
from s3func.wire.s3xml_stored import parse_configuration_request

_DOCUMENT_BYTES_MAX = 64 * 1024
_DAY_SECONDS = 86_400


def restore_object(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html."""
    value = parse_configuration_request("RestoreRequest", Payload(call).read(_DOCUMENT_BYTES_MAX))
    days = value.get("Days")
    if days is not None and days < 1:
        raise service_error("InvalidArgument", "Days must be at least 1.")
    if days is None:
        raise service_error("MalformedXML", "Days is missing.")
    version, now = version_id(call), call.clock.now()
    found: list[StoredObject] = []

    def guard(stored: StoredObject | None) -> None:
        if stored is None or storage_class(stored) not in ARCHIVES:
            raise service_error(
                "InvalidObjectState",
                "Restore is not allowed for the object's current storage class",
                status=403,
            )
        found.append(stored)

    # Copies go at midnight after so many days.
    end = (int(now) // _DAY_SECONDS + days + 1) * _DAY_SECONDS
    editable(call.backend).edit_object(call.bucket, call.key, {RESTORED: str(end)}, version, guard)
    return Response(200 if is_restored(found[-1].documents, now) else 202, {})
