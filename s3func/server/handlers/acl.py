"""Access control lists of buckets and objects."""

from __future__ import annotations

from s3func.errors import AccessDenied, service_error
from s3func.message import Response
from s3func.server.access import ACL, object_access, write_grants
from s3func.server.call import Call
from s3func.server.grants import check_grants, requested_grants, resolved
from s3func.server.handlers.objects import version_id
from s3func.server.payload import Payload
from s3func.server.powers import editable
from s3func.wire.s3xml_acl import (
    AccessControlPolicy,
    Grant,
    Grantee,
    parse_access_control_policy_request,
    render_access_control_policy,
)

DOCUMENT_BYTES_MAX = 64 * 1024


def get_bucket_acl(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html."""
    bucket = call.access.bucket
    return _render(call, bucket.owner, None if bucket.ownership == "BucketOwnerEnforced" else bucket.grants)


def put_bucket_acl(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html."""
    bucket = call.access.bucket
    grants = _requested(call, bucket.owner, None)
    check_grants(grants, call.headers, bucket)
    editable(call.backend).edit_bucket(call.bucket, {ACL: write_grants(grants)})
    return Response(200, {})


def get_object_acl(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html."""
    stored = call.backend.head_object(call.bucket, call.key, version_id(call))
    access = object_access(stored)
    enforced = call.access.bucket.ownership == "BucketOwnerEnforced"
    owner = call.access.bucket.owner if enforced else access.owner or call.access.bucket.owner
    response = _render(call, owner, None if enforced else access.grants)
    if stored.version_id is not None:
        response.headers["x-amz-version-id"] = stored.version_id
    return response


def put_object_acl(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html."""
    version = version_id(call)
    stored = call.backend.head_object(call.bucket, call.key, version)
    bucket = call.access.bucket
    grants = _requested(call, stored.owner or bucket.owner, bucket.owner)
    check_grants(grants, call.headers, bucket)
    edited = editable(call.backend).edit_object(call.bucket, call.key, {ACL: write_grants(grants)}, version)
    return Response(200, {} if edited.version_id is None else {"x-amz-version-id": edited.version_id})


def creation_acl(call: Call) -> str | None:
    """The list that a new bucket is to have, None for the owner's alone."""
    grants = requested_grants(call.headers, call.users, call.owner)
    if grants is None or call.headers.get("x-amz-acl") == "private":
        return None
    # Nothing is said yet of a bucket that is not there, but for the ownership that it is to have.
    return write_grants(grants)


def _requested(call: Call, owner: str, bucket_owner: str | None) -> list[Grant]:
    """What the request asks for, in its headers or in its body."""
    body = Payload(call, required=False).read(DOCUMENT_BYTES_MAX)
    grants = requested_grants(call.headers, call.users, owner, bucket_owner)
    if grants is not None:
        if body:
            raise service_error("UnexpectedContent", "This request does not support content")
        return grants
    if not body:
        raise service_error("MissingSecurityHeader", "Your request was missing a required header")
    policy = parse_access_control_policy_request(body)
    if policy.owner.id != (owner or call.owner):
        raise AccessDenied(
            "The owner of a bucket or object cannot be changed.", bucket=call.bucket, key=call.key or None
        )
    return resolved(policy.grants, call.users, owner)


def _render(call: Call, owner: str, grants: tuple[Grant, ...] | None) -> Response:
    # What came into a store from elsewhere is nobody's, and so as much the asker's as anybody's.
    shown = call.users.owner(owner or call.owner)
    if grants is None:
        rows = [Grant(Grantee(*shown), "FULL_CONTROL")] if shown.id else []
    else:
        rows = [
            grant if grant.grantee.uri else Grant(Grantee(*call.users.owner(grant.grantee.id)), grant.permission)
            for grant in grants
        ]
    document = render_access_control_policy(AccessControlPolicy(shown, rows))
    return Response(200, {"content-type": "application/xml"}, document)
