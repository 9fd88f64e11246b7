"""Buckets: list, create, head, delete, location."""

from __future__ import annotations

from datetime import UTC, datetime

from s3func.errors import service_error
from s3func.message import Response
from s3func.models import BucketEntry
from s3func.server.attributes import refuse_unimplemented
from s3func.server.call import Call
from s3func.server.payload import Payload
from s3func.wire import s3xml

CONFIGURATION_BYTES_MAX = 64 * 1024
_XML = {"content-type": "application/xml"}


def list_buckets(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html."""
    prefix = call.query.get("prefix", "")
    buckets = [
        BucketEntry(info.name, datetime.fromtimestamp(info.created, UTC), info.region or None)
        for info in call.backend.list_buckets()
        if info.name.startswith(prefix)
    ]
    return Response(200, dict(_XML), s3xml.render_list_buckets(buckets, owner=call.owner, prefix=prefix))


def create_bucket(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html."""
    refuse_unimplemented(call.headers)
    region = s3xml.parse_create_bucket(Payload(call, required=False).read(CONFIGURATION_BYTES_MAX))
    if region is not None and region != call.region:
        raise service_error(
            "IllegalLocationConstraintException",
            f"The {region} location constraint is incompatible for the region specific endpoint this request was sent "
            f"to ({call.region}).",
        )
    call.backend.create_bucket(call.bucket, owner=call.owner, region=call.region)
    return Response(200, {"location": f"/{call.bucket}"})


def head_bucket(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html."""
    info = call.backend.get_bucket(call.bucket)
    return Response(200, {"x-amz-bucket-region": info.region or call.region, **_XML})


def delete_bucket(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html."""
    call.backend.delete_bucket(call.bucket)
    return Response(204, {})


def get_bucket_location(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html."""
    info = call.backend.get_bucket(call.bucket)
    return Response(200, dict(_XML), s3xml.render_location(info.region or call.region))
