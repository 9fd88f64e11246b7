"""What the operations are called: AWS's name for every route, for journals and for faults.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

from collections.abc import Mapping

Route = tuple[str, str, str]

# Sub-resource → the names for GET, PUT and DELETE, "" for what there is not.
_OF_BUCKETS = {
    "": ("ListObjects", "CreateBucket", "DeleteBucket"),
    "accelerate": ("GetBucketAccelerateConfiguration", "PutBucketAccelerateConfiguration", ""),
    "acl": ("GetBucketAcl", "PutBucketAcl", ""),
    "cors": ("GetBucketCors", "PutBucketCors", "DeleteBucketCors"),
    "encryption": ("GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption"),
    "inventory": (
        "GetBucketInventoryConfiguration",
        "PutBucketInventoryConfiguration",
        "DeleteBucketInventoryConfiguration",
    ),
    "lifecycle": ("GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle"),
    "list-type": ("ListObjectsV2", "", ""),
    "location": ("GetBucketLocation", "", ""),
    "logging": ("GetBucketLogging", "PutBucketLogging", ""),
    "notification": ("GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration", ""),
    "object-lock": ("GetObjectLockConfiguration", "PutObjectLockConfiguration", ""),
    "ownershipControls": (
        "GetBucketOwnershipControls",
        "PutBucketOwnershipControls",
        "DeleteBucketOwnershipControls",
    ),
    "policy": ("GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"),
    "policyStatus": ("GetBucketPolicyStatus", "", ""),
    "publicAccessBlock": ("GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock"),
    "replication": ("GetBucketReplication", "PutBucketReplication", "DeleteBucketReplication"),
    "requestPayment": ("GetBucketRequestPayment", "PutBucketRequestPayment", ""),
    "tagging": ("GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging"),
    "uploads": ("ListMultipartUploads", "", ""),
    "versioning": ("GetBucketVersioning", "PutBucketVersioning", ""),
    "versions": ("ListObjectVersions", "", ""),
    "website": ("GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite"),
}
_OF_OBJECTS = {
    "": ("GetObject", "PutObject", "DeleteObject"),
    "acl": ("GetObjectAcl", "PutObjectAcl", ""),
    "attributes": ("GetObjectAttributes", "", ""),
    "legal-hold": ("GetObjectLegalHold", "PutObjectLegalHold", ""),
    "partNumber": ("GetObject", "", ""),
    "partNumber+uploadId": ("", "UploadPart", ""),
    "partNumber+uploadId+x-amz-copy-source": ("", "UploadPartCopy", ""),
    "retention": ("GetObjectRetention", "PutObjectRetention", ""),
    "tagging": ("GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"),
    "uploadId": ("ListParts", "", "AbortMultipartUpload"),
    "x-amz-copy-source": ("", "CopyObject", ""),
}
PREFLIGHT = "Preflight"
"""The name of an OPTIONS request, for which AWS has none."""
OPERATIONS: Mapping[Route, str] = {
    ("GET", "service", ""): "ListBuckets",
    ("HEAD", "bucket", ""): "HeadBucket",
    ("HEAD", "object", ""): "HeadObject",
    ("HEAD", "object", "partNumber"): "HeadObject",
    ("POST", "bucket", ""): "PostObject",
    ("POST", "bucket", "delete"): "DeleteObjects",
    ("POST", "object", "restore"): "RestoreObject",
    ("POST", "object", "uploadId"): "CompleteMultipartUpload",
    ("POST", "object", "uploads"): "CreateMultipartUpload",
    **{
        (method, scope, subresource): name
        for scope, table in (("bucket", _OF_BUCKETS), ("object", _OF_OBJECTS))
        for subresource, names in table.items()
        for method, name in zip(("GET", "PUT", "DELETE"), names, strict=True)
        if name
    },
}
LISTINGS = frozenset({"ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads", "ListParts"})
"""The operations whose answers come in pages, and say whether more follows."""
