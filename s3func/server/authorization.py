"""Before an operation: which action it is, what the store says about it, and AccessDenied where access.py says no.

Rule 1: every route has an action in ACTIONS; one without is the bucket owner's alone.
Rule 2: an operation on many keys, or one whose body has a say, asks for itself: it has no action here.
Rule 3: whoever may not list a bucket does not learn which keys it has: AccessDenied instead of NoSuchKey.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from s3func.errors import AccessDenied, NoSuchBucket, NotFound, ServiceError, service_error
from s3func.server.access import (
    ACL,
    TAGGING,
    BucketAccess,
    bucket_access,
    is_allowed,
    is_closed,
    object_access,
    object_owner,
    write_grants,
)
from s3func.server.grants import check_grants, requested_grants
from s3func.server.handlers.copying import parse_copy_source
from s3func.server.policy import Principal
from s3func.wire.encoding import iso8601
from s3func.wire.s3xml_config import BUCKET_TAGS_MAX, parse_tagging_header, tagging_header

if TYPE_CHECKING:
    from s3func.server.backend import BucketInfo, StoredObject
    from s3func.server.call import Call

Route = tuple[str, str, str]

ASKS_ITSELF = "-"
"""The action of a route whose handler asks for what it does."""

_BUCKET_ACTIONS = {
    "": ("ListBucket", "CreateBucket", "DeleteBucket"),
    "accelerate": ("GetAccelerateConfiguration", "PutAccelerateConfiguration", ""),
    "acl": ("GetBucketAcl", "PutBucketAcl", ""),
    "analytics": ("GetAnalyticsConfiguration", "PutAnalyticsConfiguration", "PutAnalyticsConfiguration"),
    "cors": ("GetBucketCORS", "PutBucketCORS", "PutBucketCORS"),
    "encryption": ("GetEncryptionConfiguration", "PutEncryptionConfiguration", "PutEncryptionConfiguration"),
    "intelligent-tiering": (
        "GetIntelligentTieringConfiguration",
        "PutIntelligentTieringConfiguration",
        "PutIntelligentTieringConfiguration",
    ),
    "inventory": ("GetInventoryConfiguration", "PutInventoryConfiguration", "PutInventoryConfiguration"),
    "lifecycle": ("GetLifecycleConfiguration", "PutLifecycleConfiguration", "PutLifecycleConfiguration"),
    "list-type": ("ListBucket", "", ""),
    "location": ("GetBucketLocation", "", ""),
    "logging": ("GetBucketLogging", "PutBucketLogging", ""),
    "metrics": ("GetMetricsConfiguration", "PutMetricsConfiguration", "PutMetricsConfiguration"),
    "notification": ("GetBucketNotification", "PutBucketNotification", ""),
    "object-lock": ("GetBucketObjectLockConfiguration", "PutBucketObjectLockConfiguration", ""),
    "ownershipControls": (
        "GetBucketOwnershipControls",
        "PutBucketOwnershipControls",
        "PutBucketOwnershipControls",
    ),
    "policy": ("GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"),
    "policyStatus": ("GetBucketPolicyStatus", "", ""),
    "publicAccessBlock": (
        "GetBucketPublicAccessBlock",
        "PutBucketPublicAccessBlock",
        "PutBucketPublicAccessBlock",
    ),
    "replication": ("GetReplicationConfiguration", "PutReplicationConfiguration", "PutReplicationConfiguration"),
    "requestPayment": ("GetBucketRequestPayment", "PutBucketRequestPayment", ""),
    "tagging": ("GetBucketTagging", "PutBucketTagging", "PutBucketTagging"),
    "uploads": ("ListBucketMultipartUploads", "", ""),
    "versioning": ("GetBucketVersioning", "PutBucketVersioning", ""),
    "versions": ("ListBucketVersions", "", ""),
    "website": ("GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite"),
}
ACTIONS: Mapping[Route, str] = {
    ("GET", "service", ""): ASKS_ITSELF,
    ("HEAD", "bucket", ""): "s3:ListBucket",
    # Each key, and a form with its own signature.
    ("POST", "bucket", "delete"): ASKS_ITSELF,
    ("POST", "bucket", ""): ASKS_ITSELF,
    **{
        (method, "bucket", name): f"s3:{action}"
        for name, actions in _BUCKET_ACTIONS.items()
        for method, action in zip(("GET", "PUT", "DELETE"), actions, strict=True)
        if action
    },
    ("GET", "object", ""): "s3:GetObject",
    ("HEAD", "object", ""): "s3:GetObject",
    ("GET", "object", "partNumber"): "s3:GetObject",
    ("HEAD", "object", "partNumber"): "s3:GetObject",
    ("GET", "object", "attributes"): "s3:GetObjectAttributes",
    ("GET", "object", "torrent"): "s3:GetObjectTorrent",
    ("POST", "object", "select+select-type"): "s3:GetObject",
    ("PUT", "object", ""): "s3:PutObject",
    ("PUT", "object", "x-amz-copy-source"): "s3:PutObject",
    ("POST", "object", "uploads"): "s3:PutObject",
    ("PUT", "object", "partNumber+uploadId"): "s3:PutObject",
    ("PUT", "object", "partNumber+uploadId+x-amz-copy-source"): "s3:PutObject",
    ("POST", "object", "uploadId"): "s3:PutObject",
    ("GET", "object", "uploadId"): "s3:ListMultipartUploadParts",
    ("DELETE", "object", "uploadId"): "s3:AbortMultipartUpload",
    ("DELETE", "object", ""): "s3:DeleteObject",
    ("GET", "object", "acl"): "s3:GetObjectAcl",
    ("PUT", "object", "acl"): "s3:PutObjectAcl",
    ("GET", "object", "tagging"): "s3:GetObjectTagging",
    # Which tags it sets stands in the body.
    ("PUT", "object", "tagging"): ASKS_ITSELF,
    ("DELETE", "object", "tagging"): "s3:DeleteObjectTagging",
    ("GET", "object", "retention"): "s3:GetObjectRetention",
    ("PUT", "object", "retention"): "s3:PutObjectRetention",
    ("GET", "object", "legal-hold"): "s3:GetObjectLegalHold",
    ("PUT", "object", "legal-hold"): "s3:PutObjectLegalHold",
    ("POST", "object", "restore"): "s3:RestoreObject",
}
# With a versionId these are actions of their own.
_OF_VERSIONS = {
    f"s3:{action}": f"s3:{versioned}"
    for action, versioned in (
        ("GetObject", "GetObjectVersion"),
        ("GetObjectAttributes", "GetObjectVersionAttributes"),
        ("GetObjectAcl", "GetObjectVersionAcl"),
        ("PutObjectAcl", "PutObjectVersionAcl"),
        ("GetObjectTagging", "GetObjectVersionTagging"),
        ("PutObjectTagging", "PutObjectVersionTagging"),
        ("DeleteObjectTagging", "DeleteObjectVersionTagging"),
        ("DeleteObject", "DeleteObjectVersion"),
    )
}
# Actions on a key that do not ask what is there.
_BLIND = frozenset(
    {
        *("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"),
        *("s3:ListMultipartUploadParts", "s3:BypassGovernanceRetention"),
        *("s3:PutObjectRetention", "s3:PutObjectLegalHold"),
    }
)


class Authorization:
    """What one request may do; made by `authorize` for every call, and asked by handlers that do more than one thing.

    who: whose rights count. headers: what conditions are asked about; of a form, its fields.
    """

    def __init__(self, call: Call, *, is_open: bool) -> None:
        """is_open: everybody may do everything."""
        user = call.grant.user
        self.who = Principal() if user is None else Principal(user.canonical_id, user.tenant)
        self.headers: Mapping[str, str] = call.headers
        self._call = call
        self._is_open = is_open
        self._info: BucketInfo | None = None
        self._bucket: BucketAccess | None = None
        self._seen: tuple[BucketInfo, str, StoredObject] | None = None

    @property
    def info(self) -> BucketInfo:
        """The record of the call's bucket; NoSuchBucket."""
        if self._info is None:
            self._info = self._call.backend.get_bucket(self._call.bucket)
        return self._info

    @property
    def bucket(self) -> BucketAccess:
        """What the call's bucket says about access; NoSuchBucket."""
        if self._bucket is None:
            self._bucket = bucket_access(self.info)
        return self._bucket

    def demand(
        self,
        action: str,
        key: str = "",
        version_id: str | None = None,
        *,
        info: BucketInfo | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Raise AccessDenied unless the action is allowed, on the call's bucket or on another one (`info`).

        tags: those that the request sets, where they are not in its x-amz-tagging header. NoSuchKey, NoSuchVersion and
        the like only for who may list the bucket.
        """
        if self._is_open:
            return
        if version_id is not None:
            action = _OF_VERSIONS.get(action, action)
        info = self.info if info is None else info
        if is_closed(info) and self.who.canonical_id and info.owner in ("", self.who.canonical_id):
            return
        stored = None
        if key and action not in _BLIND:
            stored = self._look(info, key, version_id)
        if not self._allows(info, action, key, stored, tags):
            raise denied(info.name, key)
        if stored is not None:
            self._seen = info, action, stored

    def confirm(self, stored: StoredObject) -> None:
        """Ask once more about an object that was opened, if it is not the one that was asked about.

        Between the question and the opening it may have been replaced by one that is nobody else's business.
        """
        if self._seen is not None and self._seen[2] != stored:
            info, action, _ = self._seen
            if not self._allows(info, action, stored.key, stored, None):
                raise denied(info.name, stored.key)

    def begin_object(self, key: str) -> None:
        """Demand that an object may be written, and set the owner and the documents (list, tags) that it is to have."""
        self.demand("s3:PutObject", key)
        call, headers = self._call, self.headers
        call.owner = object_owner(self.who, self.bucket, headers.get("x-amz-acl"))
        call.documents = {}
        grants = requested_grants(headers, call.users, call.owner, self.bucket.owner)
        if grants is not None:
            check_grants(grants, headers, self.bucket)
            if headers.get("x-amz-acl") != "private":
                call.documents[ACL] = write_grants(grants)
        if "x-amz-tagging" in headers:
            call.documents[TAGGING] = tagging_header(parse_tagging_header(headers["x-amz-tagging"]))

    def _look(self, info: BucketInfo, key: str, version_id: str | None) -> StoredObject:
        try:
            return self._call.backend.head_object(info.name, key, version_id)
        except ServiceError as error:
            if isinstance(error, NotFound) or error.status == 405:
                if not self._allows(info, "s3:ListBucket", "", None, None, prefix=key):
                    raise denied(info.name, key) from None
            raise

    def _allows(
        self,
        info: BucketInfo,
        action: str,
        key: str,
        stored: StoredObject | None,
        tags: Mapping[str, str] | None,
        prefix: str | None = None,
    ) -> bool:
        access = self.bucket if info is self._info else bucket_access(info)
        context: dict[str, list[str]] = {}
        if access.policy is not None:
            context = self._context(stored, tags)
            if prefix is not None:
                context["s3:prefix"] = [prefix]
        return is_allowed(self.who, action, access, key, None if stored is None else object_access(stored), context)

    def _context(self, stored: StoredObject | None, tags: Mapping[str, str] | None) -> dict[str, list[str]]:
        """https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html."""
        call, headers = self._call, self.headers
        now = call.clock.now()
        context = {f"s3:{name}": [value] for name, value in headers.items() if name.startswith("x-amz-")}
        if "x-amz-copy-source" in headers:
            source = parse_copy_source(headers["x-amz-copy-source"])
            context["s3:x-amz-copy-source"] = [f"{source.bucket}/{source.key}"]
        context["aws:currenttime"] = [iso8601(now)]
        context["aws:epochtime"] = [str(int(now))]
        context["aws:securetransport"] = ["true" if call.request.origin.startswith("https:") else "false"]
        for key, value in (
            ("aws:sourceip", call.request.peer or None),
            ("aws:referer", headers.get("referer")),
            ("aws:useragent", headers.get("user-agent")),
            ("s3:if-match", headers.get("if-match")),
            ("s3:if-none-match", headers.get("if-none-match")),
            ("s3:prefix", call.query.get("prefix")),
            ("s3:delimiter", call.query.get("delimiter")),
            ("s3:max-keys", call.query.get("max-keys")),
            ("s3:versionid", call.query.get("versionId")),
            ("s3:object-lock-mode", headers.get("x-amz-object-lock-mode")),
            ("s3:object-lock-retain-until-date", headers.get("x-amz-object-lock-retain-until-date")),
            ("s3:object-lock-legal-hold", headers.get("x-amz-object-lock-legal-hold")),
        ):
            if value is not None:
                context[key] = [value]
        if self.who.canonical_id:
            account = self.who.tenant or self.who.canonical_id
            context["aws:userid"] = context["aws:username"] = [self.who.canonical_id]
            context["aws:principalaccount"] = [account]
            context["aws:principalarn"] = [f"arn:aws:iam::{account}:user/{self.who.canonical_id}"]
            context["s3:authtype"] = ["REST-HEADER" if "authorization" in headers else "REST-QUERY-STRING"]
        _add_tags(context, "s3:existingobjecttag/", tags_of(stored))
        if tags is None and "x-amz-tagging" in headers:
            tags = parse_tagging_header(headers["x-amz-tagging"])
        if tags:
            _add_tags(context, "s3:requestobjecttag/", tags)
            context["s3:requestobjecttagkeys"] = list(tags)
        return context


def authorize(call: Call, route: Route, tenant: str | None, *, is_open: bool) -> Authorization:
    """Decide about a request before anything is done for it; the handler goes on asking what is returned.

    tenant: whose bucket it has to be, None for anybody's.

    Raises AccessDenied, NoSuchBucket, and for who may know it what is wrong with the object.
    """
    authorization = Authorization(call, is_open=is_open)
    _, scope, _ = route
    action = ACTIONS.get(route, "")
    if action == "s3:CreateBucket":
        # Anybody with a key may have buckets of its own.
        if call.grant.user is None:
            raise denied(call.bucket)
        if tenant is not None:
            raise service_error("InvalidBucketName", "The specified bucket is not valid.", bucket=call.bucket)
        return authorization
    if tenant is not None:
        owner = call.users.with_id(authorization.info.owner)
        if tenant != ("" if owner is None else owner.tenant):
            raise NoSuchBucket("The specified bucket does not exist.", bucket=call.bucket)
    if scope != "service":
        check_expected_owner(call.headers.get("x-amz-expected-bucket-owner"), authorization.info)
    if action == ASKS_ITSELF:
        return authorization
    version_id = call.query.get("versionId") if scope == "object" else None
    if action == "s3:PutObject":
        authorization.begin_object(call.key)
    else:
        authorization.demand(action, call.key, version_id)
    if action == "s3:DeleteObject":
        # Of the delete marker.
        call.owner = call.owner or authorization.info.owner
    if action == "s3:PutObject" and "x-amz-copy-source" in call.headers:
        source = parse_copy_source(call.headers["x-amz-copy-source"])
        info = call.backend.get_bucket(source.bucket)
        check_expected_owner(call.headers.get("x-amz-source-expected-bucket-owner"), info)
        authorization.demand("s3:GetObject", source.key, source.version_id, info=info)
    return authorization


def check_expected_owner(expected: str | None, info: BucketInfo) -> None:
    """Refuse a request that is meant for somebody else's bucket.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    """
    if expected is not None and expected != info.owner:
        raise denied(info.name)


def denied(bucket: str, key: str = "") -> ServiceError:
    """The refusal, which does not say why."""
    return AccessDenied("Access Denied", bucket=bucket, key=key or None)


def tags_of(stored: StoredObject | None) -> dict[str, str]:
    """The tags of an object, {} without any."""
    document = None if stored is None else stored.documents.get(TAGGING)
    return {} if document is None else parse_tagging_header(document, tags_max=BUCKET_TAGS_MAX)


def _add_tags(context: dict[str, list[str]], prefix: str, tags: Mapping[str, str]) -> None:
    # The names of condition keys have no case, those of tags have: what differs in case only is asked about together.
    for name, value in tags.items():
        context.setdefault(prefix + name.lower(), []).append(value)
