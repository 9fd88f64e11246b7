"""Buckets: list, create, head, delete, location."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from datetime import UTC, datetime

from s3func.errors import BucketAlreadyExists, ServiceError, service_error
from s3func.message import Response
from s3func.models import BucketEntry
from s3func.retention import ObjectLockConfiguration
from s3func.server.access import ACL, OWNERSHIP, BucketAccess, read_grants
from s3func.server.attributes import refuse_unimplemented
from s3func.server.call import Call
from s3func.server.handlers.acl import creation_acl
from s3func.server.handlers.policy import check_enforceable, ownership_document
from s3func.server.object_lock import ENABLED, OBJECT_LOCK
from s3func.server.payload import Payload
from s3func.server.powers import editable, versioned
from s3func.wire import s3xml
from s3func.wire.s3xml_config import render_object_lock

CONFIGURATION_BYTES_MAX = 64 * 1024
MAX_BUCKETS = 10_000
"""Buckets in one page of ListBuckets."""

_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_XML = {"content-type": "application/xml"}


def list_buckets(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html."""
    prefix, region = call.query.get("prefix", ""), call.query.get("bucket-region")
    start_after = _place(call.query.get("continuation-token", ""))
    limit = _max_buckets(call.query.get("max-buckets"))
    found = [
        info
        for info in call.backend.list_buckets()
        # Nobody in particular has no buckets, and what has no owner is everybody's who has a key.
        if call.owner and info.owner in ("", call.owner)
        if info.name.startswith(prefix) and info.name > start_after
        if region is None or region == (info.region or call.region)
    ]
    page = found[:limit]
    token = b64encode(page[-1].name.encode()).decode() if len(page) < len(found) else None
    buckets = [BucketEntry(info.name, datetime.fromtimestamp(info.created, UTC), info.region or None) for info in page]
    document = s3xml.render_list_buckets(
        buckets, owner=call.owner, prefix=prefix, continuation_token=token, display_name=_name(call)
    )
    return Response(200, dict(_XML), document)


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
    documents: dict[str, str | None] = {}
    acl = creation_acl(call)
    if acl is not None:
        documents[ACL] = acl
    ownership = call.headers.get("x-amz-object-ownership")
    if ownership is not None:
        documents[OWNERSHIP] = ownership_document(ownership)
        if ownership == "BucketOwnerEnforced":
            check_enforceable(BucketAccess(call.bucket, call.owner, None if acl is None else read_grants(acl)))
    if call.headers.get(ENABLED, "").lower() == "true":
        documents[OBJECT_LOCK] = render_object_lock(ObjectLockConfiguration()).decode()
    if not documents:
        _create(call)
        return Response(200, {"location": f"/{call.bucket}"})
    store = editable(call.backend)
    if _create(call):
        # Killed in between, the bucket is there and private: nobody gets in who should not.
        if OBJECT_LOCK in documents:
            versioned(call.backend).set_versioning(call.bucket, "Enabled")
        store.edit_bucket(call.bucket, documents)
    return Response(200, {"location": f"/{call.bucket}"})


def _create(call: Call) -> bool:
    """Make the bucket; False where the same bucket is there already, which us-east-1 alone takes for a success.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html#API_CreateBucket_Errors
    """
    try:
        call.backend.create_bucket(call.bucket, owner=call.owner, region=call.region)
    except BucketAlreadyExists as error:
        if error.code != "BucketAlreadyOwnedByYou" or call.region != "us-east-1":
            raise
        existing = call.backend.get_bucket(call.bucket).documents.get(ACL)
        if existing == creation_acl(call):
            return False
        raise service_error(
            "BucketAlreadyExists", "The bucket exists with other rights.", bucket=call.bucket
        ) from error
    return True


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


def _name(call: Call) -> str:
    return call.users.owner(call.owner).display_name


def _max_buckets(text: str | None) -> int:
    if text is None:
        return MAX_BUCKETS
    if _NUMBER.fullmatch(text) is None or not 1 <= int(text) <= MAX_BUCKETS:
        raise _invalid("max-buckets", text, f"max-buckets is a number from 1 to {MAX_BUCKETS}")
    return int(text)


def _place(token: str) -> str:
    try:
        return b64decode(token, validate=True).decode()
    except (Base64Error, ValueError):
        raise _invalid("continuation-token", token, "The continuation token provided is incorrect") from None


def _invalid(name: str, value: str, message: str) -> ServiceError:
    return service_error("InvalidArgument", message, details={"ArgumentName": name, "ArgumentValue": value})
