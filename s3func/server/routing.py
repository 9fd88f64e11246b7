"""Which handler answers a request: one table of method, scope and sub-resource.

The rule: a sub-resource that no handler is written for is NotImplemented. It never falls through to the operation that
the same request would be without it: `PUT /bucket/key?tagging` must not overwrite the object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from s3func.errors import ServiceError, service_error
from s3func.server.call import Handler
from s3func.server.handlers import (
    acl,
    buckets,
    configuration,
    copying,
    cors,
    deletion,
    inventory,
    listing,
    multipart,
    objectlock,
    objects,
    policy,
    post,
    restore,
    tagging,
    uploads,
    versions,
)

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
# Every query parameter that makes another operation out of a request.
SUBRESOURCES = frozenset(
    {
        *("abac", "accelerate", "acl", "analytics", "annotation", "annotations", "append", "attributes", "cors"),
        *("delete", "encryption", "events", "intelligent-tiering", "inventory", "legal-hold", "lifecycle", "list-type"),
        *("location", "logging", "metadataAnnotationTable", "metadataConfiguration", "metadataInventoryTable"),
        *("metadataJournalTable", "metadataTable", "metrics", "notification", "object-lock", "ownershipControls"),
        *("partNumber", "policy", "policyStatus", "publicAccessBlock", "renameObject", "replication"),
        *("requestPayment", "restore", "retention", "select", "select-type", "session", "tagging", "torrent"),
        *("uploadId", "uploads", "versioning", "versions", "website"),
    }
)
# Parameters that refine an operation; any of them may be empty.
PARAMETERS = frozenset(
    {
        *("bucket-region", "continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker", "marker"),
        *("max-buckets", "max-keys", "max-parts", "max-uploads", "part-number-marker", "prefix"),
        *("response-cache-control", "response-content-disposition", "response-content-encoding"),
        *("response-content-language", "response-content-type", "response-expires", "start-after"),
        *("upload-id-marker", "version-id-marker", "versionId"),
    }
)
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")

# (method, scope, sub-resources in alphabetical order, joined by "+") → who answers. A header that makes another
# operation of a request stands in the third place, too.
ROUTES: Mapping[tuple[str, str, str], Handler] = {
    ("GET", "service", ""): buckets.list_buckets,
    ("PUT", "bucket", ""): buckets.create_bucket,
    ("HEAD", "bucket", ""): buckets.head_bucket,
    ("DELETE", "bucket", ""): buckets.delete_bucket,
    ("GET", "bucket", "location"): buckets.get_bucket_location,
    ("GET", "bucket", ""): listing.list_objects,
    ("GET", "bucket", "list-type"): listing.list_objects_v2,
    ("GET", "bucket", "versions"): versions.list_object_versions,
    ("GET", "bucket", "versioning"): versions.get_bucket_versioning,
    ("PUT", "bucket", "versioning"): versions.put_bucket_versioning,
    ("GET", "bucket", "uploads"): uploads.list_multipart_uploads,
    ("POST", "bucket", "delete"): deletion.delete_objects,
    ("POST", "bucket", ""): post.post_object,
    ("PUT", "object", ""): objects.put_object,
    ("PUT", "object", "x-amz-copy-source"): copying.copy_object,
    ("GET", "object", ""): objects.get_object,
    ("HEAD", "object", ""): objects.head_object,
    ("DELETE", "object", ""): objects.delete_object,
    ("GET", "bucket", "cors"): cors.get_bucket_cors,
    ("PUT", "bucket", "cors"): cors.put_bucket_cors,
    ("DELETE", "bucket", "cors"): cors.delete_bucket_cors,
    ("GET", "bucket", "object-lock"): objectlock.get_object_lock_configuration,
    ("PUT", "bucket", "object-lock"): objectlock.put_object_lock_configuration,
    ("GET", "object", "retention"): objectlock.get_object_retention,
    ("PUT", "object", "retention"): objectlock.put_object_retention,
    ("GET", "object", "legal-hold"): objectlock.get_object_legal_hold,
    ("PUT", "object", "legal-hold"): objectlock.put_object_legal_hold,
    **configuration.ROUTES,
    ("GET", "bucket", "inventory"): inventory.get_bucket_inventory_configuration,
    ("PUT", "bucket", "inventory"): inventory.put_bucket_inventory_configuration,
    ("DELETE", "bucket", "inventory"): inventory.delete_bucket_inventory_configuration,
    ("GET", "bucket", "acl"): acl.get_bucket_acl,
    ("PUT", "bucket", "acl"): acl.put_bucket_acl,
    ("GET", "object", "acl"): acl.get_object_acl,
    ("PUT", "object", "acl"): acl.put_object_acl,
    ("GET", "bucket", "policy"): policy.get_bucket_policy,
    ("PUT", "bucket", "policy"): policy.put_bucket_policy,
    ("DELETE", "bucket", "policy"): policy.delete_bucket_policy,
    ("GET", "bucket", "policyStatus"): policy.get_bucket_policy_status,
    ("GET", "bucket", "publicAccessBlock"): policy.get_public_access_block,
    ("PUT", "bucket", "publicAccessBlock"): policy.put_public_access_block,
    ("DELETE", "bucket", "publicAccessBlock"): policy.delete_public_access_block,
    ("GET", "bucket", "ownershipControls"): policy.get_bucket_ownership_controls,
    ("PUT", "bucket", "ownershipControls"): policy.put_bucket_ownership_controls,
    ("DELETE", "bucket", "ownershipControls"): policy.delete_bucket_ownership_controls,
    ("GET", "bucket", "tagging"): tagging.get_bucket_tagging,
    ("PUT", "bucket", "tagging"): tagging.put_bucket_tagging,
    ("DELETE", "bucket", "tagging"): tagging.delete_bucket_tagging,
    ("GET", "object", "tagging"): tagging.get_object_tagging,
    ("PUT", "object", "tagging"): tagging.put_object_tagging,
    ("DELETE", "object", "tagging"): tagging.delete_object_tagging,
    ("GET", "object", "partNumber"): objects.get_object,
    ("HEAD", "object", "partNumber"): objects.head_object,
    ("GET", "object", "attributes"): uploads.get_object_attributes,
    ("POST", "object", "restore"): restore.restore_object,
    ("POST", "object", "uploads"): multipart.create_multipart_upload,
    ("PUT", "object", "partNumber+uploadId"): multipart.upload_part,
    ("PUT", "object", "partNumber+uploadId+x-amz-copy-source"): multipart.upload_part_copy,
    ("GET", "object", "uploadId"): uploads.list_parts,
    ("POST", "object", "uploadId"): multipart.complete_multipart_upload,
    ("DELETE", "object", "uploadId"): multipart.abort_multipart_upload,
}


def route_of(
    method: str, scope: str, parameters: Sequence[tuple[str, str]], headers: Mapping[str, str]
) -> tuple[str, str, str]:
    """What the tables of handlers and of actions have as their keys."""
    names = subresources(parameters) if parameters else []
    if method == "PUT" and scope == "object" and "x-amz-copy-source" in headers:
        names = sorted([*names, "x-amz-copy-source"])
    return method, scope, "+".join(names)


def find_handler(route: tuple[str, str, str]) -> Handler:
    """The handler of an operation; NotImplemented or MethodNotAllowed where there is none."""
    handler = ROUTES.get(route)
    if handler is not None:
        return handler
    method, scope, names = route
    if names:
        raise service_error("NotImplemented", f"{method} {scope} ?{names.replace('+', '&')} is not implemented.")
    raise method_not_allowed(method)


def method_not_allowed(method: str) -> ServiceError:
    """The refusal of a method that S3, or this scope of it, does not have."""
    return service_error(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        details={"Method": method},
        headers={"allow": ", ".join(METHODS)},
    )


def subresources(parameters: Sequence[tuple[str, str]]) -> list[str]:
    """The parameters that choose the operation, sorted.

    A bare name that nobody knows counts as one, since S3 grows by those. What has a value and is unknown is harmless
    (`x-id=PutObject`), as is everything that begins with x-.
    """
    found = {
        name
        for name, value in parameters
        if name in SUBRESOURCES or not (value or name in PARAMETERS or name[:2] in {"x-", "X-"})
    }
    return sorted(found)
