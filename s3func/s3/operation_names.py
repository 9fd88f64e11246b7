"""What AWS calls the operation that a request is: for counters, traces and logs; imported when somebody wants to know.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3func.message import Request

_VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete", "POST": "Post", "HEAD": "Head"}
# What stands in the query, and what the setting is called: GetBucketCors, PutBucketCors, DeleteBucketCors …
_BUCKET_SETTINGS = {
    "accelerate": "BucketAccelerateConfiguration",
    "acl": "BucketAcl",
    "analytics": "BucketAnalyticsConfiguration",
    "cors": "BucketCors",
    "encryption": "BucketEncryption",
    "intelligent-tiering": "BucketIntelligentTieringConfiguration",
    "inventory": "BucketInventoryConfiguration",
    "lifecycle": "BucketLifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "metrics": "BucketMetricsConfiguration",
    "notification": "BucketNotificationConfiguration",
    "object-lock": "ObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "PublicAccessBlock",
    "replication": "BucketReplication",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
_OBJECT_SETTINGS = {
    "acl": "ObjectAcl",
    "attributes": "ObjectAttributes",
    "legal-hold": "ObjectLegalHold",
    "retention": "ObjectRetention",
    "tagging": "ObjectTagging",
    "torrent": "ObjectTorrent",
}
_ON_UPLOAD = {
    "GET": "ListParts",
    "PUT": "UploadPart",
    "POST": "CompleteMultipartUpload",
    "DELETE": "AbortMultipartUpload",
}
_ON_BUCKET = {
    "GET": "ListObjects",
    "PUT": "CreateBucket",
    "DELETE": "DeleteBucket",
    "HEAD": "HeadBucket",
    "POST": "PostObject",
}
_IRREGULAR = {"DeleteBucketLifecycleConfiguration": "DeleteBucketLifecycle"}


def operation_of(request: Request, bucket: str | None, key: str | None) -> str:
    """The name; for what has none, the method."""
    names = {pair.partition("=")[0] for pair in request.query.split("&")} if request.query else set()
    if bucket is None:
        return "ListBuckets"
    if key is None:
        return _of_bucket(request.method, names)
    return _of_object(request, names)


def _of_bucket(method: str, names: set[str]) -> str:
    for name, operation in (
        ("session", "CreateSession"),
        ("delete", "DeleteObjects"),
        ("uploads", "ListMultipartUploads"),
        ("versions", "ListObjectVersions"),
        ("list-type", "ListObjectsV2"),
    ):
        if name in names:
            return operation
    if "inventory" in names and "id" not in names:
        return "ListBucketInventoryConfigurations"
    for name in names & _BUCKET_SETTINGS.keys():
        operation = f"{_VERBS.get(method, method)}{_BUCKET_SETTINGS[name]}"
        return _IRREGULAR.get(operation, operation)
    return _ON_BUCKET.get(method, method)


def _of_object(request: Request, names: set[str]) -> str:
    method, is_copy = request.method, "x-amz-copy-source" in request.headers
    if "uploadId" in names:
        return "UploadPartCopy" if is_copy else _ON_UPLOAD.get(method, method)
    if "uploads" in names:
        return "CreateMultipartUpload"
    if "restore" in names:
        return "RestoreObject"
    if "select" in names:
        return "SelectObjectContent"
    for name in names & _OBJECT_SETTINGS.keys():
        return f"{_VERBS.get(method, method)}{_OBJECT_SETTINGS[name]}"
    return "CopyObject" if is_copy and method == "PUT" else f"{_VERBS.get(method, method)}Object"
