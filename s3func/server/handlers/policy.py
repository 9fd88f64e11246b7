"""What a bucket says about access but for its list: policy, public access block, ownership controls."""

from __future__ import annotations

from s3func.errors import AccessDenied, service_error
from s3func.message import Response
from s3func.server.access import ACCESS_BLOCK, OWNERSHIP, POLICY, SHARED, BucketAccess
from s3func.server.call import Call
from s3func.server.payload import Payload
from s3func.server.policy import POLICY_BYTES_MAX, parse_policy
from s3func.server.powers import editable
from s3func.wire.s3xml_config import render_policy_status
from s3func.wire.s3xml_stored import parse_configuration_request, render_configuration

CONFIGURATION_BYTES_MAX = 64 * 1024
OWNERSHIPS = ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter")
_XML = {"content-type": "application/xml"}


def get_bucket_policy(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicy.html."""
    policy = call.access.info.documents.get(POLICY)
    if policy is None:
        raise service_error("NoSuchBucketPolicy", "The bucket policy does not exist", status=404)
    return Response(200, {"content-type": "application/json"}, policy.encode())


def put_bucket_policy(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html."""
    try:
        # A document that is longer is refused for its own length, with a word of its own.
        text = Payload(call).read(2 * POLICY_BYTES_MAX).decode()
    except UnicodeDecodeError as error:
        raise service_error("MalformedPolicy", "This policy contains invalid Json") from error
    policy = parse_policy(text, call.bucket)
    bucket = call.access.bucket
    if bucket.block.block_public_policy and policy.is_public:
        raise AccessDenied("Access Denied: public policies are blocked.", bucket=call.bucket)
    editable(call.backend).edit_bucket(call.bucket, {POLICY: text, SHARED: "true"})
    return Response(204, {})


def delete_bucket_policy(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketPolicy.html."""
    return _remove(call, POLICY)


def get_bucket_policy_status(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html."""
    return Response(200, dict(_XML), render_policy_status(call.access.bucket.is_public))


def get_public_access_block(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html."""
    return _stored(
        call,
        ACCESS_BLOCK,
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    )


def put_public_access_block(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html."""
    name = "PublicAccessBlockConfiguration"
    value = parse_configuration_request(name, Payload(call).read(CONFIGURATION_BYTES_MAX))
    document = render_configuration(name, value).decode()
    editable(call.backend).edit_bucket(call.bucket, {ACCESS_BLOCK: document})
    return Response(200, {})


def delete_public_access_block(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeletePublicAccessBlock.html."""
    return _remove(call, ACCESS_BLOCK)


def get_bucket_ownership_controls(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketOwnershipControls.html."""
    return _stored(call, OWNERSHIP, "OwnershipControlsNotFoundError", "The bucket ownership controls were not found")


def put_bucket_ownership_controls(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html."""
    value = parse_configuration_request("OwnershipControls", Payload(call).read(CONFIGURATION_BYTES_MAX))
    ownership = value["Rules"][0]["ObjectOwnership"]
    if ownership == "BucketOwnerEnforced":
        check_enforceable(call.access.bucket)
    editable(call.backend).edit_bucket(call.bucket, {OWNERSHIP: ownership_document(ownership)})
    return Response(200, {})


def delete_bucket_ownership_controls(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketOwnershipControls.html."""
    return _remove(call, OWNERSHIP)


def check_enforceable(bucket: BucketAccess) -> None:
    """Refuse to end the lists of a bucket as long as its own list grants something to others."""
    for grant in bucket.grants or ():
        if grant.grantee.id != bucket.owner:
            raise service_error(
                "InvalidBucketAclWithObjectOwnership",
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
            )


def ownership_document(ownership: str) -> str:
    """The document that is stored; ownership: one of OWNERSHIPS, InvalidArgument otherwise."""
    if ownership not in OWNERSHIPS:
        raise service_error(
            "InvalidArgument",
            f"Invalid x-amz-object-ownership header: {', '.join(OWNERSHIPS)}",
            details={"ArgumentName": "x-amz-object-ownership", "ArgumentValue": ownership[:100]},
        )
    return render_configuration("OwnershipControls", {"Rules": [{"ObjectOwnership": ownership}]}).decode()


def _stored(call: Call, name: str, code: str, message: str) -> Response:
    document = call.access.info.documents.get(name)
    if document is None:
        raise service_error(code, message, status=404)
    return Response(200, dict(_XML), document.encode())


def _remove(call: Call, name: str) -> Response:
    if name in call.access.info.documents:
        editable(call.backend).edit_bucket(call.bucket, {name: None})
    return Response(204, {})
