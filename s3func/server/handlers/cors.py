"""The CORS configuration of a bucket; what it does is in server/cors.py."""

from __future__ import annotations

from s3func.errors import service_error
from s3func.message import Response
from s3func.server.call import Call
from s3func.server.cors import CORS
from s3func.server.payload import Payload
from s3func.server.powers import editable
from s3func.wire.s3xml_config import parse_cors_request, render_cors

DOCUMENT_BYTES_MAX = 64 * 1024
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html."""


def get_bucket_cors(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketCors.html."""
    document = call.access.info.documents.get(CORS)
    if document is None:
        raise service_error("NoSuchCORSConfiguration", "The CORS configuration does not exist", status=404)
    return Response(200, {"content-type": "application/xml"}, document.encode())


def put_bucket_cors(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html."""
    rules = parse_cors_request(Payload(call).read(DOCUMENT_BYTES_MAX))
    editable(call.backend).edit_bucket(call.bucket, {CORS: render_cors(rules).decode()})
    return Response(200, {})


def delete_bucket_cors(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketCors.html."""
    if CORS in call.access.info.documents:
        editable(call.backend).edit_bucket(call.bucket, {CORS: None})
    return Response(204, {})
