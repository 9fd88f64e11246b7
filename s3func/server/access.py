"""Who may do what: the one decision over bucket policy, access control lists, ownership and public access block.

Pure: `BucketAccess` and `ObjectAccess` are what the store's records say, `is_allowed` is the answer.

Rule 1: a Deny of the policy is final, but for the bucket's owner who wants to change the policy itself.
Rule 2: what the policy allows is allowed, unless RestrictPublicBuckets keeps strangers out of a public one.
Rule 3: then the lists decide, as far as they know the action; everything else is the bucket owner's alone.
Rule 4: an owner needs no grant for what it owns; only a Deny keeps it out.
Rule 5: what has no owner belongs to every signed user.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-s3-evaluates-access-control.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from s3func.server.backend import BucketInfo, StoredObject
from s3func.server.policy import Context, Policy, Principal, stored_policy
from s3func.wire.s3xml_acl import ALL_USERS, AUTHENTICATED_USERS, Grant, Grantee
from s3func.wire.s3xml_stored import parse_configuration

ACL = "acl"
POLICY = "policy"
TAGGING = "tagging"
OWNERSHIP = "ownershipControls"
ACCESS_BLOCK = "publicAccessBlock"
SHARED = "shared"
"""The names of the documents, of buckets and objects, that access depends on. SHARED stays behind when a policy goes."""

PUBLIC_GROUPS = frozenset({ALL_USERS, AUTHENTICATED_USERS})

# Which permission of which list lets somebody do it. https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
_BUCKET_LIST: Mapping[str, str] = {
    "s3:ListBucket": "READ",
    "s3:ListBucketVersions": "READ",
    "s3:ListBucketMultipartUploads": "READ",
    "s3:PutObject": "WRITE",
    "s3:DeleteObject": "WRITE",
    "s3:DeleteObjectVersion": "WRITE",
    "s3:AbortMultipartUpload": "WRITE",
    "s3:ListMultipartUploadParts": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:PutBucketAcl": "WRITE_ACP",
}
_OBJECT_LIST: Mapping[str, str] = {
    "s3:GetObject": "READ",
    "s3:GetObjectVersion": "READ",
    "s3:GetObjectAttributes": "READ",
    "s3:GetObjectVersionAttributes": "READ",
    "s3:GetObjectTorrent": "READ",
    "s3:GetObjectAcl": "READ_ACP",
    "s3:GetObjectVersionAcl": "READ_ACP",
    "s3:PutObjectAcl": "WRITE_ACP",
    "s3:PutObjectVersionAcl": "WRITE_ACP",
}
_OF_THE_POLICY = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})


class AccessBlock(NamedTuple):
    """The four switches of a public access block."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False


_OPEN = AccessBlock()


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """What a bucket says about access to it and to what lies in it.

    grants: None is the owner's FULL_CONTROL and nothing else. ownership: ObjectWriter unless the bucket says otherwise.
    """

    name: str
    owner: str
    grants: tuple[Grant, ...] | None = None
    policy: Policy | None = None
    block: AccessBlock = _OPEN
    ownership: str = "ObjectWriter"

    @property
    def is_public(self) -> bool:
        """Whether its policy or its list lets in strangers."""
        by_policy = self.policy is not None and self.policy.is_public
        return by_policy or (not self.block.ignore_public_acls and is_public_list(self.grants or ()))


@dataclass(frozen=True, slots=True)
class ObjectAccess:
    """What an object says about access to it."""

    owner: str
    grants: tuple[Grant, ...] | None = None


def bucket_access(info: BucketInfo) -> BucketAccess:
    """What the record of a bucket says."""
    documents = info.documents
    if not documents:
        return BucketAccess(info.name, info.owner)
    acl, policy = documents.get(ACL), documents.get(POLICY)
    return BucketAccess(
        info.name,
        info.owner,
        None if acl is None else read_grants(acl),
        None if policy is None else stored_policy(policy, info.name),
        _access_block(documents.get(ACCESS_BLOCK, "")),
        _ownership(documents.get(OWNERSHIP, "")),
    )


def object_access(stored: StoredObject) -> ObjectAccess:
    """What the record of an object says."""
    acl = stored.documents.get(ACL)
    return ObjectAccess(stored.owner, None if acl is None else read_grants(acl))


def is_closed(info: BucketInfo) -> bool:
    """Whether nobody but the bucket's owner ever had a right in it, so that all that lies in it is the owner's."""
    return not (info.documents and any(name in info.documents for name in (ACL, POLICY, SHARED)))


def is_allowed(
    who: Principal,
    action: str,
    bucket: BucketAccess,
    key: str = "",
    stored: ObjectAccess | None = None,
    context: Context | None = None,
) -> bool:
    """Whether somebody may do it. stored: the object, for actions on one that is there already."""
    is_owner = _owns(who, bucket.owner)
    if bucket.policy is not None and not (is_owner and action in _OF_THE_POLICY):
        effect = bucket.policy.evaluate(who, action, f"{bucket.name}/{key}" if key else bucket.name, context or {})
        if effect == "Deny":
            return False
        if effect == "Allow" and (is_owner or not (bucket.block.restrict_public_buckets and bucket.policy.is_public)):
            return True
    if action in _OBJECT_LIST:
        return stored is not None and _object_allows(who, _OBJECT_LIST[action], bucket, stored)
    permission = _BUCKET_LIST.get(action)
    if is_owner or permission is None or bucket.ownership == "BucketOwnerEnforced" or bucket.grants is None:
        return is_owner or (stored is not None and _owns_object(who, bucket, stored))
    return _granted(who, permission, bucket.grants, bucket.block)


def object_owner(who: Principal, bucket: BucketAccess, canned_acl: str | None) -> str:
    """The owner of an object that somebody writes into a bucket; what nobody in particular writes is the bucket owner's.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
    """
    taken_over = bucket.ownership == "BucketOwnerEnforced" or (
        bucket.ownership == "BucketOwnerPreferred" and canned_acl == "bucket-owner-full-control"
    )
    return bucket.owner if taken_over or not who.canonical_id else who.canonical_id


def is_public_list(grants: Iterable[Grant]) -> bool:
    """Whether a list grants anything to everybody, or to everybody with an account."""
    return any(grant.grantee.uri in PUBLIC_GROUPS for grant in grants)


def write_grants(grants: Iterable[Grant]) -> str:
    """A list as the document that is stored: [kind, name, permission] rows, without names for people, which change."""
    rows = [
        ["uri", grantee.uri, permission] if grantee.uri else ["id", grantee.id, permission]
        for grantee, permission in grants
    ]
    return json.dumps(rows, separators=(",", ":"))


@lru_cache(maxsize=1024)
def read_grants(document: str) -> tuple[Grant, ...]:
    """The list in a stored document."""
    return tuple(
        Grant(Grantee(uri=name) if kind == "uri" else Grantee(id=name), permission)
        for kind, name, permission in json.loads(document)
    )


def _object_allows(who: Principal, permission: str, bucket: BucketAccess, stored: ObjectAccess) -> bool:
    if _owns_object(who, bucket, stored):
        return True
    if stored.grants is None or bucket.ownership == "BucketOwnerEnforced":
        return False
    return _granted(who, permission, stored.grants, bucket.block)


def _owns_object(who: Principal, bucket: BucketAccess, stored: ObjectAccess) -> bool:
    # What has no owner of its own lies in its bucket like the rest.
    return _owns(who, bucket.owner if bucket.ownership == "BucketOwnerEnforced" else stored.owner or bucket.owner)


def _granted(who: Principal, permission: str, grants: Iterable[Grant], block: AccessBlock) -> bool:
    return any(
        given in (permission, "FULL_CONTROL")
        and _includes(grantee, who)
        and not (block.ignore_public_acls and grantee.uri in PUBLIC_GROUPS)
        for grantee, given in grants
    )


def _includes(grantee: Grantee, who: Principal) -> bool:
    if grantee.uri:
        return grantee.uri == ALL_USERS or (grantee.uri == AUTHENTICATED_USERS and who.canonical_id != "")
    return who.canonical_id != "" and grantee.id == who.canonical_id


def _owns(who: Principal, owner: str) -> bool:
    return who.canonical_id != "" and owner in ("", who.canonical_id)


@lru_cache(maxsize=64)
def _access_block(document: str) -> AccessBlock:
    if not document:
        return AccessBlock()
    value = parse_configuration("PublicAccessBlockConfiguration", document.encode())
    return AccessBlock(
        value.get("BlockPublicAcls", False),
        value.get("IgnorePublicAcls", False),
        value.get("BlockPublicPolicy", False),
        value.get("RestrictPublicBuckets", False),
    )


@lru_cache(maxsize=64)
def _ownership(document: str) -> str:
    if not document:
        return "ObjectWriter"
    ownership: str = parse_configuration("OwnershipControls", document.encode())["Rules"][0]["ObjectOwnership"]
    return ownership
