"""What a request asks for in matters of access control lists, with everybody in them known to the server. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from s3func.errors import AccessDenied, service_error
from s3func.server.access import BucketAccess, is_public_list
from s3func.server.users import Users
from s3func.wire.s3xml_acl import Grant, Grantee, canned_grants, parse_grant_headers

_CANNED = "x-amz-acl"


def requested_grants(
    headers: Mapping[str, str], users: Users, owner: str, bucket_owner: str | None = None
) -> list[Grant] | None:
    """The list that x-amz-acl or the x-amz-grant headers ask for; None where there is neither.

    owner: of the bucket or object. bucket_owner: of the bucket that an object lies in. Raises InvalidRequest.
    """
    granted = parse_grant_headers(headers)
    canned = headers.get(_CANNED)
    if canned is None:
        return resolved(granted, users, owner) if granted else None
    if granted:
        raise service_error("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
    return canned_grants(canned, users.owner(owner), None if bucket_owner is None else users.owner(bucket_owner))


def resolved(grants: Iterable[Grant], users: Users, owner: str) -> list[Grant]:
    """The grants with ids instead of e-mail addresses.

    Raises InvalidRequest: InvalidArgument for an id that nobody has, UnresolvableGrantByEmailAddress likewise.
    """
    found = []
    for grantee, permission in grants:
        canonical_id = grantee.id
        if grantee.email_address:
            user = users.with_email(grantee.email_address)
            if user is None:
                raise service_error(
                    "UnresolvableGrantByEmailAddress",
                    "The email address you provided does not match any account on record.",
                )
            canonical_id = user.canonical_id
        elif canonical_id and canonical_id != owner and users.with_id(canonical_id) is None:
            raise service_error(
                "InvalidArgument",
                "Invalid id",
                details={"ArgumentName": "CanonicalUser/ID", "ArgumentValue": canonical_id},
            )
        found.append(Grant(Grantee(uri=grantee.uri) if grantee.uri else Grantee(id=canonical_id), permission))
    return found


def check_grants(grants: Iterable[Grant], headers: Mapping[str, str], bucket: BucketAccess) -> None:
    """Refuse a list that the bucket does not take: any where owners are enforced, a public one where those are blocked.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
    """
    grants = list(grants)
    if bucket.ownership == "BucketOwnerEnforced" and headers.get(_CANNED) != "bucket-owner-full-control":
        names_the_owner = [(grant.grantee.id, grant.permission) for grant in grants] == [(bucket.owner, "FULL_CONTROL")]
        if _CANNED in headers or not names_the_owner:
            raise service_error("AccessControlListNotSupported", "The bucket does not allow ACLs")
    if bucket.block.block_public_acls and is_public_list(grants):
        raise AccessDenied("Access Denied: public access control lists are blocked.", bucket=bucket.name)
