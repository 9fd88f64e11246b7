"""Access control lists: the document, the x-amz-grant headers, and what the canned ones stand for.

Rule 1: the client's half raises ProtocolError, the server's MalformedACLError or InvalidArgument.
Rule 2: a grantee's kind follows from what names it: an id, a group's URI, or an e-mail address, exactly one of them.
Rule 3: the order of grants means nothing; on the server grants to groups come first, as Ceph answers them.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from s3func.errors import ProtocolError, ServiceError, service_error
from s3func.wire.s3xml_error import element, frame, open_document
from s3func.wire.s3xml_fields import Owner, demand, given, only, owner, owner_element, read_request
from s3func.wire.xmltree import Element

__all__ = [
    "ALL_USERS",
    "AUTHENTICATED_USERS",
    "LOG_DELIVERY",
    "CANNED_ACLS",
    "GRANTS_MAX",
    "AccessControlPolicy",
    "Grant",
    "Grantee",
    "Owner",
    "canned_grants",
    "grant_headers",
    "grantee_element",
    "parse_access_control_policy",
    "parse_access_control_policy_request",
    "parse_grant_headers",
    "render_access_control_policy",
]

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
"""Everybody, with or without an account."""
AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
"""Everybody with an account."""
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
"""The service that writes access logs."""
GRANTS_MAX = 100
"""Grants in one list."""
CANNED_ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
)
"""The values of the x-amz-acl header."""

_GROUPS = frozenset({ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY})
_PERMISSIONS = ("READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL")
_HEADERS = {f"x-amz-grant-{permission.lower().replace('_', '-')}": permission for permission in _PERMISSIONS}
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
# What a canned list grants to groups, beside all rights for the owner.
_CANNED_GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "private": (),
    "public-read": ((ALL_USERS, "READ"),),
    "public-read-write": ((ALL_USERS, "READ"), (ALL_USERS, "WRITE")),
    "authenticated-read": ((AUTHENTICATED_USERS, "READ"),),
    "aws-exec-read": (),
    "bucket-owner-read": (),
    "bucket-owner-full-control": (),
    "log-delivery-write": ((LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")),
}
_CANNED_BUCKET_OWNER = {"bucket-owner-read": "READ", "bucket-owner-full-control": "FULL_CONTROL"}
# One grantee of a header: id="…", uri="…" or emailAddress="…", and the quotes may be missing.
_GRANTEE = re.compile(r'[ \t]*(id|uri|emailAddress)[ \t]*=[ \t]*(?:"([^"]*)"|([^",;=\s]+))[ \t]*(?:,|$)', re.IGNORECASE)


class Grantee(NamedTuple):
    """Who is granted something: one of `id`, `uri` and `email_address`; some stores name nobody in their answers."""

    id: str = ""
    display_name: str = ""
    uri: str = ""
    email_address: str = ""

    @property
    def kind(self) -> str:
        """`CanonicalUser`, `Group` or `AmazonCustomerByEmail`: the document's xsi:type."""
        if self.uri:
            return "Group"
        return "AmazonCustomerByEmail" if self.email_address and not self.id else "CanonicalUser"


class Grant(NamedTuple):
    """One permission for one grantee: READ, WRITE, READ_ACP, WRITE_ACP or FULL_CONTROL."""

    grantee: Grantee
    permission: str


class AccessControlPolicy(NamedTuple):
    """A whole list: who owns the bucket or object, and what is granted."""

    owner: Owner
    grants: list[Grant]


def parse_access_control_policy(body: bytes) -> AccessControlPolicy:
    """The answer to GetBucketAcl and GetObjectAcl.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html
    """
    return _policy(open_document(body, "AccessControlPolicy"))


def parse_access_control_policy_request(body: bytes) -> AccessControlPolicy:
    """The document of PutBucketAcl and PutObjectAcl, as a server reads it.

    Raises InvalidRequest: MalformedACLError, or InvalidArgument for a group that does not exist.
    Whether ids and e-mail addresses exist is for the server to say.
    """
    policy = read_request(body, "AccessControlPolicy", _strict_policy, code="MalformedACLError")
    return AccessControlPolicy(policy.owner, _checked(policy.grants))


def render_access_control_policy(policy: AccessControlPolicy) -> bytes:
    """An access control list, for both directions; ValueError for a permission or a grantee that cannot be."""
    return frame(
        "AccessControlPolicy",
        f"{owner_element('Owner', policy.owner)}"
        f"<AccessControlList>{''.join([_grant_element(grant) for grant in policy.grants])}</AccessControlList>",
    )


def grantee_element(kind: str, content: str) -> str:
    """A Grantee element with its xsi:type; `content` is escaped already."""
    return f'<Grantee xmlns:xsi="{_XSI}" xsi:type="{kind}">{content}</Grantee>'


def canned_grants(name: str, owner: Owner, bucket_owner: Owner | None = None) -> list[Grant]:
    """The grants that a canned ACL stands for; InvalidRequest (InvalidArgument) for an unknown name.

    bucket_owner: of the bucket that an object lies in; for a bucket itself None, bucket-owner-… then says nothing.
    """
    groups = _CANNED_GROUPS.get(name)
    if groups is None:
        raise _invalid(f"{name[:80]!r} is no canned ACL")
    grants = [Grant(Grantee(uri=uri), permission) for uri, permission in groups]
    grants.append(Grant(Grantee(owner.id, owner.display_name), "FULL_CONTROL"))
    permission = _CANNED_BUCKET_OWNER.get(name)
    if permission is not None and bucket_owner is not None and bucket_owner.id != owner.id:
        grants.append(Grant(Grantee(bucket_owner.id, bucket_owner.display_name), permission))
    return grants


def parse_grant_headers(headers: Mapping[str, str]) -> list[Grant]:
    """The grants that the x-amz-grant-… headers of a request ask for; [] where there are none.

    headers: lower-case names. Raises InvalidRequest (InvalidArgument) for a value that cannot be read.
    """
    grants = []
    for name, permission in _HEADERS.items():
        value = headers.get(name)
        if value is not None:
            grants += [Grant(grantee, permission) for grantee in _header_grantees(name, value)]
    return _checked(grants)


def grant_headers(grants: Iterable[Grant]) -> dict[str, str]:
    """The x-amz-grant-… headers of a request; ValueError for a grant that no header can carry."""
    values: dict[str, list[str]] = {}
    names = {permission: name for name, permission in _HEADERS.items()}
    for grant in grants:
        _check_grant(grant)
        grantee, permission = grant
        word = {"CanonicalUser": "id", "Group": "uri", "AmazonCustomerByEmail": "emailAddress"}[grantee.kind]
        text = grantee.id or grantee.uri or grantee.email_address
        if re.search(r'["\x00-\x1f\x7f]', text):
            raise ValueError(f"grants holds a grantee that a header cannot carry: {text!r}")
        values.setdefault(names[permission], []).append(f'{word}="{text}"')
    return {name: ", ".join(values[name]) for name in _HEADERS if name in values}


def _policy(root: Element) -> AccessControlPolicy:
    group = root.child("AccessControlList")
    if group is None:
        raise ProtocolError("the access control policy has no AccessControlList")
    return AccessControlPolicy(owner(root, "Owner") or Owner(""), [_grant(row) for row in group.all("Grant")])


def _grant(row: Element) -> Grant:
    who = row.child("Grantee")
    if who is None:
        raise ProtocolError("a Grant has no Grantee")
    grantee = Grantee(*[who.value(name) or "" for name in ("ID", "DisplayName", "URI", "EmailAddress")])
    return Grant(grantee, demand(row, "Permission"))


def _strict_policy(root: Element) -> AccessControlPolicy:
    for child in only(root, "Owner", "AccessControlList").children:
        if child.name == "Owner":
            only(child, "ID", "DisplayName")
            continue
        for row in only(child, "Grant").children:
            for who in only(row, "Grantee", "Permission").all("Grantee"):
                only(who, "ID", "DisplayName", "URI", "EmailAddress")
    policy = _policy(root)
    if not policy.owner.id:
        raise ProtocolError("the access control policy has no owner")
    try:
        for grant in policy.grants:
            _check_grant(grant)
    except ValueError as error:
        raise ProtocolError(str(error)) from error
    return policy


def _checked(grants: list[Grant]) -> list[Grant]:
    if len(grants) > GRANTS_MAX:
        raise service_error("MalformedACLError", f"an access control list has at most {GRANTS_MAX} grants")
    for grantee, _ in grants:
        if grantee.uri and grantee.uri not in _GROUPS:
            raise _invalid(f"there is no group {grantee.uri[:200]!r}")
    return sorted(grants, key=lambda grant: not grant.grantee.uri)


def _header_grantees(name: str, value: str) -> list[Grantee]:
    grantees = []
    position = 0
    while position < len(value):
        match = _GRANTEE.match(value, position)
        text = (match[2] or match[3]) if match is not None else None
        if match is None or not text:
            raise _invalid(f"the header {name} is not a list of id=…, uri=… and emailAddress=…: {value[:200]!r}")
        word = match[1].lower()
        grantees.append(
            Grantee(
                id=text if word == "id" else "",
                uri=text if word == "uri" else "",
                email_address=text if word == "emailaddress" else "",
            )
        )
        position = match.end()
    return grantees


def _grant_element(grant: Grant) -> str:
    _check_grant(grant)
    grantee, permission = grant
    content = (
        f"{given('ID', grantee.id)}{given('DisplayName', grantee.display_name)}"
        f"{given('EmailAddress', grantee.email_address)}{given('URI', grantee.uri)}"
    )
    return f"<Grant>{grantee_element(grantee.kind, content)}{element('Permission', permission)}</Grant>"


def _check_grant(grant: Grant) -> None:
    grantee, permission = grant
    if permission not in _PERMISSIONS:
        raise ValueError(f"grants holds an unknown permission: {permission[:40]!r}")
    if sum(map(bool, (grantee.id, grantee.uri, grantee.email_address))) != 1:
        raise ValueError("grants holds a grantee without exactly one of an id, a URI and an e-mail address")


def _invalid(message: str) -> ServiceError:
    return service_error("InvalidArgument", message)
