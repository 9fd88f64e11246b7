"""Access control lists: as botocore sends and reads them, canned, and in headers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import AccessDenied, InvalidRequest, ProtocolError, ServiceError
from s3func.wire import s3xml_acl
from s3func.wire.s3xml_acl import (
    ALL_USERS,
    AUTHENTICATED_USERS,
    LOG_DELIVERY,
    AccessControlPolicy,
    Grant,
    Grantee,
    Owner,
)
from tests.wire.oracle import parsed, serialized

OLGA = Owner("olga", "Olga O.")
IGOR = Owner("igor", "Igor I.")
ALL_RIGHTS = Grant(Grantee("olga", "Olga O."), "FULL_CONTROL")

PERMISSIONS = st.sampled_from(["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"])
# What a header can carry: no quotes and no control characters.
NAMES = st.text(st.characters(exclude_categories=["C"], exclude_characters='"'), min_size=1, max_size=10)
GRANTEES = st.one_of(
    NAMES.map(Grantee),
    st.sampled_from([ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY]).map(lambda uri: Grantee(uri=uri)),
    NAMES.map(lambda address: Grantee(email_address=address)),
)
GRANTS = st.lists(st.builds(Grant, GRANTEES, PERMISSIONS), max_size=6)


def groups_first(grants: list[Grant]) -> list[Grant]:
    """The order in which the server's half gives grants."""
    return [grant for grant in grants if grant.grantee.uri] + [grant for grant in grants if not grant.grantee.uri]


@given(NAMES, st.one_of(st.just(""), NAMES), GRANTS)
def test_a_policy_comes_back_as_it_was(owner_id: str, name: str, grants: list[Grant]) -> None:
    """Owner and grants survive; for the server, groups come first."""
    policy = AccessControlPolicy(Owner(owner_id, name), grants)
    body = s3xml_acl.render_access_control_policy(policy)
    assert policy == s3xml_acl.parse_access_control_policy(body)
    expected = AccessControlPolicy(policy.owner, groups_first(grants))
    assert expected == s3xml_acl.parse_access_control_policy_request(body)


@given(GRANTS)
def test_a_policy_is_what_botocore_sends_and_reads(grants: list[Grant]) -> None:
    """botocore finds every grantee with its type, and a request of botocore is understood."""
    rows: list[dict[str, Any]] = []
    for grantee, permission in grants:
        names = {"ID": grantee.id, "URI": grantee.uri, "EmailAddress": grantee.email_address}
        named = {name: text for name, text in names.items() if text}
        rows.append({"Grantee": {"Type": grantee.kind, **named}, "Permission": permission})
    value = {"Owner": {"ID": "olga", "DisplayName": "Olga O."}, "Grants": rows}
    policy = AccessControlPolicy(OLGA, grants)
    assert value == parsed("GetObjectAcl", s3xml_acl.render_access_control_policy(policy))
    request = serialized("PutObjectAcl", AccessControlPolicy=value)
    assert AccessControlPolicy(OLGA, groups_first(grants)) == s3xml_acl.parse_access_control_policy_request(request)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("private", [ALL_RIGHTS]),
        ("public-read", [Grant(Grantee(uri=ALL_USERS), "READ"), ALL_RIGHTS]),
        (
            "public-read-write",
            [Grant(Grantee(uri=ALL_USERS), "READ"), Grant(Grantee(uri=ALL_USERS), "WRITE"), ALL_RIGHTS],
        ),
        ("authenticated-read", [Grant(Grantee(uri=AUTHENTICATED_USERS), "READ"), ALL_RIGHTS]),
        ("bucket-owner-read", [ALL_RIGHTS, Grant(Grantee("igor", "Igor I."), "READ")]),
        ("bucket-owner-full-control", [ALL_RIGHTS, Grant(Grantee("igor", "Igor I."), "FULL_CONTROL")]),
        (
            "log-delivery-write",
            [Grant(Grantee(uri=LOG_DELIVERY), "WRITE"), Grant(Grantee(uri=LOG_DELIVERY), "READ_ACP"), ALL_RIGHTS],
        ),
    ],
)
def test_canned_acls(name: str, expected: list[Grant]) -> None:
    """Each stands for the grants of S3's table, groups first."""
    assert expected == s3xml_acl.canned_grants(name, OLGA, IGOR)


@pytest.mark.parametrize("name", ["bucket-owner-read", "bucket-owner-full-control", "aws-exec-read"])
def test_canned_acls_that_add_nothing(name: str) -> None:
    """The bucket's owner needs no second grant, and a bucket has no bucket around it."""
    assert [ALL_RIGHTS] == s3xml_acl.canned_grants(name, OLGA, OLGA)
    assert [ALL_RIGHTS] == s3xml_acl.canned_grants(name, OLGA)


def test_an_unknown_canned_acl() -> None:
    """A name that S3 does not have is InvalidArgument; every name that we list is known."""
    for name in ("", "Private", "public"):
        with pytest.raises(InvalidRequest) as caught:
            s3xml_acl.canned_grants(name, OLGA)
        assert "InvalidArgument" == caught.value.code
    assert all(s3xml_acl.canned_grants(name, OLGA) for name in s3xml_acl.CANNED_ACLS)


@given(GRANTS)
def test_headers_come_back_as_they_were(grants: list[Grant]) -> None:
    """The grants of a request's headers are those that were put in."""
    headers = s3xml_acl.grant_headers(grants)
    found = s3xml_acl.parse_grant_headers({**headers, "x-amz-acl": "private", "host": "h"})
    assert sorted(grants) == sorted(found)
    assert groups_first(found) == found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("id=abc", [Grantee("abc")]),
        ('id="abc"', [Grantee("abc")]),
        ('ID="a b", id="c"', [Grantee("a b"), Grantee("c")]),
        ('emailAddress="a@b.c",EMAILADDRESS=d@e.f', [Grantee(email_address="a@b.c"), Grantee(email_address="d@e.f")]),
        (f'id = "a,b" , uri="{ALL_USERS}"', [Grantee(uri=ALL_USERS), Grantee("a,b")]),
        ("", []),
    ],
)
def test_headers_of_the_field(value: str, expected: list[Grantee]) -> None:
    """With quotes and without, with white space, in any case of the word."""
    expected_grants = [Grant(grantee, "READ_ACP") for grantee in expected]
    assert expected_grants == s3xml_acl.parse_grant_headers({"x-amz-grant-read-acp": value})


def test_headers_are_read_in_the_order_of_permissions() -> None:
    """READ, WRITE, READ_ACP, WRITE_ACP, FULL_CONTROL, whatever the order of the headers."""
    names = ["full-control", "write-acp", "read-acp", "write", "read"]
    found = s3xml_acl.parse_grant_headers({f"x-amz-grant-{name}": "id=a" for name in names})
    assert ["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"] == [grant.permission for grant in found]


@pytest.mark.parametrize(
    "value",
    ["abc", "id=", 'id=""', 'id="abc', "name=abc", "id=a id=b", "id=a;id=b", 'uri="http://x"', 'id="a"b', ","],
)
def test_headers_that_are_refused(value: str) -> None:
    """A header that cannot be read, or names a group that does not exist, is InvalidArgument."""
    with pytest.raises(InvalidRequest) as caught:
        s3xml_acl.parse_grant_headers({"x-amz-grant-read": value})
    assert ("InvalidArgument", 400) == (caught.value.code, caught.value.status)


OWNER = "<Owner><ID>o</ID></Owner>"
POLICY = "<AccessControlPolicy>{}</AccessControlPolicy>"
LIST = OWNER + "<AccessControlList>{}</AccessControlList>"
GRANT = "<Grant><Grantee>{}</Grantee><Permission>{}</Permission></Grant>"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "MalformedACLError"),
        ("<Other/>", "MalformedACLError"),
        ("<Error><Code>NoSuchKey</Code></Error>", "MalformedACLError"),
        (POLICY.format(""), "MalformedACLError"),
        (POLICY.format(OWNER), "MalformedACLError"),
        (POLICY.format("<AccessControlList/>"), "MalformedACLError"),
        (POLICY.format("<Owner/><AccessControlList/>"), "MalformedACLError"),
        (POLICY.format(LIST.format("<Other/>")), "MalformedACLError"),
        (POLICY.format(LIST.format("") + "<Other/>"), "MalformedACLError"),
        (POLICY.format(LIST.format("") + OWNER), "MalformedACLError"),
        (POLICY.format(LIST.format("<Grant><Permission>READ</Permission></Grant>")), "MalformedACLError"),
        (POLICY.format(LIST.format(GRANT.format("", "READ"))), "MalformedACLError"),
        (POLICY.format(LIST.format(GRANT.format("<DisplayName>a</DisplayName>", "READ"))), "MalformedACLError"),
        (POLICY.format(LIST.format(GRANT.format("<ID>a</ID><URI>b</URI>", "READ"))), "MalformedACLError"),
        (POLICY.format(LIST.format(GRANT.format("<ID>a</ID><ID>b</ID>", "READ"))), "MalformedACLError"),
        (POLICY.format(LIST.format(GRANT.format("<ID>a</ID><Other/>", "READ"))), "MalformedACLError"),
        (POLICY.format(LIST.format(GRANT.format("<ID>a</ID>", ""))), "MalformedACLError"),
        (POLICY.format(LIST.format(GRANT.format("<ID>a</ID>", "read"))), "MalformedACLError"),
        (POLICY.format(LIST.format(GRANT.format("<ID>a</ID>", "READ") * 101)), "MalformedACLError"),
        (POLICY.format(LIST.format(GRANT.format("<URI>http://x</URI>", "READ"))), "InvalidArgument"),
    ],
)
def test_policies_that_are_refused(body: str, code: str) -> None:
    """A list of another form is MalformedACLError, a group that does not exist InvalidArgument."""
    with pytest.raises(InvalidRequest) as caught:
        s3xml_acl.parse_access_control_policy_request(body.encode())
    assert (code, 400) == (caught.value.code, caught.value.status)


def test_nobody_may_be_granted_anything() -> None:
    """An empty list is legal, and takes all rights away."""
    body = POLICY.format(LIST.format(""))
    assert AccessControlPolicy(Owner("o"), []) == s3xml_acl.parse_access_control_policy_request(body.encode())


def test_the_longest_list() -> None:
    """A hundred grants are taken."""
    body = POLICY.format(LIST.format(GRANT.format("<ID>a</ID>", "READ") * 100))
    assert 100 == len(s3xml_acl.parse_access_control_policy_request(body.encode()).grants)


def test_an_answer_that_names_nobody() -> None:
    """Stores without users answer with nameless owners and grantees; the client takes them as they are."""
    body = POLICY.format("<Owner><ID/></Owner><AccessControlList>{}</AccessControlList>").format(
        GRANT.format("<Type>CanonicalUser</Type>", "FULL_CONTROL")
    )
    policy = s3xml_acl.parse_access_control_policy(body.encode())
    assert AccessControlPolicy(Owner(""), [Grant(Grantee(), "FULL_CONTROL")]) == policy
    assert "CanonicalUser" == policy.grants[0].grantee.kind


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html/>",
        POLICY.format(OWNER),
        POLICY.format(LIST.format("<Grant><Permission>READ</Permission></Grant>")),
        POLICY.format(LIST.format("<Grant><Grantee><ID>a</ID></Grantee></Grant>")),
    ],
)
def test_answers_that_are_none(body: str) -> None:
    """An answer without its list, a grantee or a permission is a ProtocolError; an error document is its error."""
    with pytest.raises(ProtocolError):
        s3xml_acl.parse_access_control_policy(body.encode())
    with pytest.raises(AccessDenied):
        s3xml_acl.parse_access_control_policy(b"<Error><Code>AccessDenied</Code></Error>")


@pytest.mark.parametrize(
    "grant",
    [
        Grant(Grantee("a"), "read"),
        Grant(Grantee("a"), ""),
        Grant(Grantee(), "READ"),
        Grant(Grantee("a", uri=ALL_USERS), "READ"),
        Grant(Grantee("", "Only a name"), "READ"),
    ],
)
def test_grants_that_are_not_sent(grant: Grant) -> None:
    """A grant that cannot be is a ValueError, in the document and in the headers."""
    with pytest.raises(ValueError, match="grants"):
        s3xml_acl.render_access_control_policy(AccessControlPolicy(OLGA, [grant]))
    with pytest.raises(ValueError, match="grants"):
        s3xml_acl.grant_headers([grant])


@pytest.mark.parametrize("name", ['a"b', "a\r\nb", "a\x00"])
def test_what_a_header_cannot_carry(name: str) -> None:
    """A name that would end the value, or the header, is a ValueError."""
    with pytest.raises(ValueError, match="cannot carry"):
        s3xml_acl.grant_headers([Grant(Grantee(name), "READ")])


@given(st.binary(max_size=200))
def test_no_body_breaks_a_reader(body: bytes) -> None:
    """Whatever bytes come, a reader gives one of our errors."""
    for parse in (s3xml_acl.parse_access_control_policy, s3xml_acl.parse_access_control_policy_request):
        with pytest.raises((ProtocolError, ServiceError)):
            parse(body)
