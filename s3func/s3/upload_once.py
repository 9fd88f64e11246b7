"""An object in one request: what put_object does with whatever is not sent in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.s3 import operations
from s3func.s3.payload import describe
from s3func.transport.body import BufferBody
from s3func.transport.transfer import WatchedBody

if TYPE_CHECKING:
    from s3func.message import UploadBody
    from s3func.results import PutResult
    from s3func.s3.upload_parts import Put
    from s3func.transport.body import Body


def put_once(put: Put, body: Body) -> PutResult:
    """Send it; the body is not closed."""
    place = put.authorizer.place
    fields = dict(put.fields)
    payload_hash = describe(body, fields, put.checksum, place.origin)
    sent: bytes | UploadBody = body
    if put.watched:
        sent = WatchedBody(
            BufferBody(memoryview(body)) if isinstance(body, bytes) else body,
            count=put.progress,
            bandwidth=put.transfer.bandwidth,
        )
    request = operations.put_object(
        place,
        place.prefix + put.path,
        sent,
        payload_hash,
        fields,
        if_match=put.if_match,
        if_none_match=put.if_none_match,
    )
    request.deadline = put.deadline
    result = put.client.send(request, put.authorizer, operations.parse_put_object)
    put.progress.finish(len(body) if isinstance(body, bytes) else body.length)
    return result
