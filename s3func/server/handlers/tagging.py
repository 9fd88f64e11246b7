"""Tags of objects and buckets.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
"""

from __future__ import annotations

from s3func.errors import service_error
from s3func.message import Response
from s3func.server.access import TAGGING
from s3func.server.authorization import tags_of
from s3func.server.backend import StoredObject
from s3func.server.call import Call
from s3func.server.handlers.objects import version_id
from s3func.server.payload import Payload
from s3func.server.powers import Tagged, editable
from s3func.wire.s3xml_config import (
    BUCKET_TAGS_MAX,
    parse_tagging_header,
    parse_tagging_request,
    render_tagging,
    tagging_header,
)

# Fifty tags of a bucket, each character a reference.
DOCUMENT_BYTES_MAX = 256 * 1024
_XML = {"content-type": "application/xml"}


def get_object_tagging(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html."""
    stored = call.backend.head_object(call.bucket, call.key, version_id(call))
    return Response(200, {**_XML, **_version(stored)}, render_tagging(tags_of(stored)))


def put_object_tagging(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html."""
    version = version_id(call)
    tags = parse_tagging_request(Payload(call).read(DOCUMENT_BYTES_MAX))
    call.access.demand("s3:PutObjectTagging", call.key, version, tags=tags)
    return Response(200, _version(_edit(call, tagging_header(tags) or None, version)))


def delete_object_tagging(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html."""
    return Response(204, _version(_edit(call, None, version_id(call))))


def get_bucket_tagging(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html."""
    document = call.access.info.documents.get(TAGGING)
    if document is None:
        raise service_error("NoSuchTagSet", "The TagSet does not exist", status=404)
    return Response(200, dict(_XML), render_tagging(parse_tagging_header(document, tags_max=BUCKET_TAGS_MAX)))


def put_bucket_tagging(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html."""
    tags = parse_tagging_request(Payload(call).read(DOCUMENT_BYTES_MAX), tags_max=BUCKET_TAGS_MAX)
    editable(call.backend).edit_bucket(call.bucket, {TAGGING: tagging_header(tags) or None})
    return Response(204, {})


def delete_bucket_tagging(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketTagging.html."""
    if TAGGING in call.access.info.documents:
        editable(call.backend).edit_bucket(call.bucket, {TAGGING: None})
    return Response(204, {})


def _edit(call: Call, document: str | None, version: str | None) -> StoredObject:
    if isinstance(call.backend, Tagged):
        return call.backend.edit_tags(call.bucket, call.key, document, version)
    return editable(call.backend).edit_object(call.bucket, call.key, {TAGGING: document}, version)


def _version(stored: StoredObject) -> dict[str, str]:
    return {} if stored.version_id is None else {"x-amz-version-id": stored.version_id}
