from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

import s3func.testing
from s3func.message import Request, Response
from s3func.server import S3App, User
from s3func.server.access import ObjectAccess, bucket_access, is_allowed, read_grants, write_grants
from s3func.server.authorization import ACTIONS
from s3func.server.backend import BucketInfo
from s3func.server.policy import Principal
from s3func.server.routing import ROUTES
from s3func.wire.s3xml_acl import ALL_USERS, AUTHENTICATED_USERS, Grant, Grantee
from tests.server.forge import code, sign
from tests.server.people import ALT, MAIN, People, client, refused

EVERYBODY = {"Type": "Group", "URI": ALL_USERS}


@pytest.fixture
def people() -> Iterator[People]:
    with s3func.testing.server(users=[MAIN, ALT]) as server:
        found = People(*[client(server.endpoint_url, user) for user in (MAIN, ALT, None)])
        found.main.create_bucket(Bucket="bkt")
        yield found
        for each in found:
            each.close()


def rows(answer: dict[str, Any]) -> set[tuple[str, str]]:
    """(who, permission) of an answer."""
    return {(grant["Grantee"].get("ID") or grant["Grantee"]["URI"], grant["Permission"]) for grant in answer["Grants"]}


# --- pure


def test_every_route_has_an_action() -> None:
    """No operation is reached without a decision that was thought about."""
    assert set() == ROUTES.keys() - ACTIONS.keys()


_PERMISSIONS = ("READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL")
_BUCKET = {
    "s3:ListBucket": "READ",
    "s3:PutObject": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:PutBucketAcl": "WRITE_ACP",
}
_OBJECT = {"s3:GetObject": "READ", "s3:GetObjectAcl": "READ_ACP", "s3:PutObjectAcl": "WRITE_ACP"}
_GRANTEES = {"alt": Grantee(id="alt"), "users": Grantee(uri=AUTHENTICATED_USERS), "all": Grantee(uri=ALL_USERS)}
_INCLUDED = {"alt": {"alt"}, "users": {"alt", "third"}, "all": {"alt", "third", ""}}


@pytest.mark.parametrize(("grantee", "permission"), list(product(_GRANTEES, _PERMISSIONS)))
def test_what_a_grant_gives_to_whom(grantee: str, permission: str) -> None:
    """One grant lets in exactly those whom it names, to exactly what its permission says, and the owner to all."""
    acl = write_grants([Grant(_GRANTEES[grantee], permission)])
    bucket = bucket_access(BucketInfo("bkt", 0, "main", documents={"acl": acl}))
    private = bucket_access(BucketInfo("bkt", 0, "main"))
    stored = ObjectAccess("main", read_grants(acl))
    for who in ("main", "alt", "third", ""):
        included = who in _INCLUDED[grantee]
        for action, needed in _BUCKET.items():
            expected = who == "main" or (included and permission in (needed, "FULL_CONTROL"))
            assert expected == is_allowed(Principal(who), action, bucket, "key"), (who, action)
            assert (who == "main") == is_allowed(Principal(who), action, private, "key")
        for action, needed in _OBJECT.items():
            expected = who == "main" or (included and permission in (needed, "FULL_CONTROL"))
            assert expected == is_allowed(Principal(who), action, private, "key", stored), (who, action)
            assert (who == "main") == is_allowed(Principal(who), action, bucket, "key", ObjectAccess("main"))
        # What lists do not know is the owner's.
        assert (who == "main") == is_allowed(Principal(who), "s3:PutBucketPolicy", bucket)


def test_what_has_no_owner_is_every_signed_users() -> None:
    """A bucket that was made without an owner is open to whoever signs, and to nobody else."""
    bucket = bucket_access(BucketInfo("bkt", 0))
    for action in ("s3:ListBucket", "s3:PutBucketPolicy"):
        assert is_allowed(Principal("any"), action, bucket)
        assert not is_allowed(Principal(), action, bucket)


# --- over HTTP, with boto3


CANNED = {
    "private": {("main", "FULL_CONTROL")},
    "public-read": {("main", "FULL_CONTROL"), (ALL_USERS, "READ")},
    "public-read-write": {("main", "FULL_CONTROL"), (ALL_USERS, "READ"), (ALL_USERS, "WRITE")},
    "authenticated-read": {("main", "FULL_CONTROL"), (AUTHENTICATED_USERS, "READ")},
}


@pytest.mark.parametrize("acl", CANNED)
def test_canned_lists(people: People, acl: str) -> None:
    """A canned ACL is what it stands for, given at the beginning or later, and opens what it opens."""
    main = people.main
    main.create_bucket(Bucket="new", ACL=acl)
    main.put_bucket_acl(Bucket="bkt", ACL=acl)
    main.put_object(Bucket="bkt", Key="key", ACL=acl)
    main.put_object(Bucket="bkt", Key="other")
    main.put_object_acl(Bucket="bkt", Key="other", ACL=acl)
    for answer in (
        main.get_bucket_acl(Bucket="new"),
        main.get_bucket_acl(Bucket="bkt"),
        main.get_object_acl(Bucket="bkt", Key="key"),
        main.get_object_acl(Bucket="bkt", Key="other"),
    ):
        assert CANNED[acl] == rows(answer)
        assert {"ID": "main", "DisplayName": "M. Tester"} == answer["Owner"]
    for who, reads in ((people.alt, acl != "private"), (people.nobody, acl.startswith("public"))):
        for call, arguments in ((who.list_objects_v2, {}), (who.get_object, {"Key": "key"})):
            call(Bucket="bkt", **arguments) if reads else refused(call, Bucket="bkt", **arguments)
        refused(who.get_bucket_acl, Bucket="bkt")
        refused(who.put_object_acl, Bucket="bkt", Key="key", ACL="public-read-write")
        if acl == "public-read-write":
            who.put_object(Bucket="bkt", Key="theirs", Body=b"x")
            who.delete_object(Bucket="bkt", Key="theirs")
        else:
            refused(who.put_object, Bucket="bkt", Key="theirs")
            refused(who.delete_object, Bucket="bkt", Key="key")


def test_grants_by_id_address_and_group(people: People) -> None:
    """Grants in headers and in documents name users by id or address and show them by id, with the names they have."""
    main = people.main
    main.put_object(
        Bucket="bkt", Key="key", GrantRead=f'emailAddress="ALT@example.com", uri="{ALL_USERS}"', GrantReadACP="id=alt"
    )
    assert {("alt", "READ"), (ALL_USERS, "READ"), ("alt", "READ_ACP")} == rows(
        people.alt.get_object_acl(Bucket="bkt", Key="key")
    )
    people.nobody.get_object(Bucket="bkt", Key="key")
    owner = {"ID": "main"}
    by_address = {
        "Grantee": {"Type": "AmazonCustomerByEmail", "EmailAddress": "alt@example.com"},
        "Permission": "WRITE",
    }
    main.put_bucket_acl(Bucket="bkt", AccessControlPolicy={"Owner": owner, "Grants": [by_address]})
    (grant,) = main.get_bucket_acl(Bucket="bkt")["Grants"]
    assert ("alt", "A. Tester", "WRITE") == (
        grant["Grantee"]["ID"],
        grant["Grantee"]["DisplayName"],
        grant["Permission"],
    )
    people.alt.put_object(Bucket="bkt", Key="theirs")
    refused(people.alt.list_objects_v2, Bucket="bkt")


def test_lists_that_cannot_be(people: People) -> None:
    """Users and groups that do not exist, another owner and two kinds of list at once are refused; nothing changes."""
    main = people.main

    def put(grantee: dict[str, str], owner: str = "main") -> dict[str, Any]:
        grants = [{"Grantee": grantee, "Permission": "READ"}]
        return {"Bucket": "bkt", "AccessControlPolicy": {"Owner": {"ID": owner}, "Grants": grants}}

    nobody = {"Type": "AmazonCustomerByEmail", "EmailAddress": "nobody@example.com"}
    refused(main.put_bucket_acl, "UnresolvableGrantByEmailAddress", **put(nobody))
    refused(main.put_bucket_acl, "InvalidArgument", **put({"Type": "CanonicalUser", "ID": "nobody"}))
    refused(main.put_bucket_acl, "InvalidArgument", **put({"Type": "Group", "URI": "http://example.com/all"}))
    refused(main.put_bucket_acl, **put(EVERYBODY, owner="alt"))
    refused(main.put_bucket_acl, "InvalidArgument", Bucket="bkt", ACL="open")
    refused(main.put_bucket_acl, "InvalidRequest", Bucket="bkt", ACL="private", GrantRead="id=alt")
    refused(main.put_object, "InvalidRequest", Bucket="bkt", Key="key", ACL="private", GrantRead="id=alt")
    refused(main.put_object, "InvalidArgument", Bucket="bkt", Key="key", GrantRead="id=nobody")
    refused(main.create_bucket, "InvalidArgument", Bucket="new", ACL="open")
    refused(main.head_bucket, "404", Bucket="new")
    assert {("main", "FULL_CONTROL")} == rows(main.get_bucket_acl(Bucket="bkt"))


def test_objects_belong_to_who_writes_them(people: People) -> None:
    """In a bucket that is open, the bucket's owner may delete what others put, but reads only what it is granted."""
    main, alt = people.main, people.alt
    main.put_bucket_acl(Bucket="bkt", ACL="public-read-write")
    alt.put_object(Bucket="bkt", Key="key", Body=b"alt's")
    assert "alt" == alt.get_object_acl(Bucket="bkt", Key="key")["Owner"]["ID"]
    refused(main.get_object, Bucket="bkt", Key="key")
    # Closing the bucket does not give away what lies in it.
    main.put_bucket_acl(Bucket="bkt", ACL="private")
    refused(main.get_object, Bucket="bkt", Key="key")
    assert b"alt's" == alt.get_object(Bucket="bkt", Key="key")["Body"].read()
    alt.put_object_acl(Bucket="bkt", Key="key", ACL="bucket-owner-read")
    assert b"alt's" == main.get_object(Bucket="bkt", Key="key")["Body"].read()
    main.delete_object(Bucket="bkt", Key="key")
    main.put_bucket_acl(Bucket="bkt", ACL="public-read-write")
    people.nobody.put_object(Bucket="bkt", Key="found", Body=b"nobody's")
    assert b"nobody's" == main.get_object(Bucket="bkt", Key="found")["Body"].read()


def test_a_copy_is_private_whatever_its_source_was(people: People) -> None:
    """The list of an object does not go along with a copy, and an overwritten object has none."""
    main = people.main
    main.put_object(Bucket="bkt", Key="key", ACL="public-read")
    main.copy_object(Bucket="bkt", Key="copy", CopySource="bkt/key")
    refused(people.nobody.get_object, Bucket="bkt", Key="copy")
    main.copy_object(Bucket="bkt", Key="copy", CopySource="bkt/key", ACL="public-read")
    people.nobody.get_object(Bucket="bkt", Key="copy")
    main.put_object(Bucket="bkt", Key="key")
    refused(people.nobody.get_object, Bucket="bkt", Key="key")


OWNERSHIPS = [
    ("ObjectWriter", None, "alt"),
    ("ObjectWriter", "bucket-owner-full-control", "alt"),
    ("BucketOwnerPreferred", None, "alt"),
    ("BucketOwnerPreferred", "bucket-owner-full-control", "main"),
    ("BucketOwnerEnforced", None, "main"),
    ("BucketOwnerEnforced", "bucket-owner-full-control", "main"),
]
OPEN = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*",'
    '"Resource": ["arn:aws:s3:::new", "arn:aws:s3:::new/*"]}}'
)


@pytest.mark.parametrize(("ownership", "acl", "owner"), OWNERSHIPS)
def test_ownership_controls(people: People, ownership: str, acl: str | None, owner: str) -> None:
    """The bucket says whether writers own their objects, from its beginning or later, also of uploads in parts."""
    main, alt = people.main, people.alt
    main.create_bucket(Bucket="new", ObjectOwnership=ownership)
    rules = main.get_bucket_ownership_controls(Bucket="new")["OwnershipControls"]["Rules"]
    assert [{"ObjectOwnership": ownership}] == rules
    main.put_bucket_policy(Bucket="new", Policy=OPEN)
    arguments = {} if acl is None else {"ACL": acl}
    alt.put_object(Bucket="new", Key="key", **arguments)
    upload = alt.create_multipart_upload(Bucket="new", Key="parts", **arguments)["UploadId"]
    part = alt.upload_part(Bucket="new", Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    alt.complete_multipart_upload(Bucket="new", Key="parts", UploadId=upload, MultipartUpload=parts)
    for key in ("key", "parts"):
        assert owner == alt.get_object_acl(Bucket="new", Key=key)["Owner"]["ID"]
    main.delete_bucket_ownership_controls(Bucket="new")
    refused(main.get_bucket_ownership_controls, "OwnershipControlsNotFoundError", Bucket="new")


def test_where_owners_are_enforced_there_are_no_lists(people: People) -> None:
    """BucketOwnerEnforced refuses lists, ignores those that objects have, and is refused by a bucket that has one."""
    main = people.main
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    main.put_object(Bucket="bkt", Key="key", ACL="public-read")
    main.put_bucket_acl(Bucket="bkt", ACL="public-read")
    refused(
        main.put_bucket_ownership_controls,
        "InvalidBucketAclWithObjectOwnership",
        Bucket="bkt",
        OwnershipControls=enforced,
    )
    main.put_bucket_acl(Bucket="bkt", ACL="private")
    main.put_bucket_ownership_controls(Bucket="bkt", OwnershipControls=enforced)
    refused(people.nobody.get_object, Bucket="bkt", Key="key")
    assert {("main", "FULL_CONTROL")} == rows(main.get_object_acl(Bucket="bkt", Key="key"))
    for call, arguments in (
        (main.put_bucket_acl, {"ACL": "private"}),
        (main.put_object_acl, {"Key": "key", "ACL": "public-read"}),
        (main.put_object, {"Key": "key", "ACL": "public-read"}),
        (main.put_object, {"Key": "key", "GrantRead": "id=alt"}),
    ):
        refused(call, "AccessControlListNotSupported", Bucket="bkt", **arguments)
    refused(
        main.create_bucket,
        "InvalidBucketAclWithObjectOwnership",
        Bucket="new",
        ACL="public-read",
        ObjectOwnership="BucketOwnerEnforced",
    )


def test_public_lists_can_be_blocked_and_ignored(people: People) -> None:
    """BlockPublicAcls refuses new public lists, IgnorePublicAcls closes what old ones have opened."""
    main = people.main
    main.put_object(Bucket="bkt", Key="key", ACL="public-read")
    people.nobody.get_object(Bucket="bkt", Key="key")
    main.put_public_access_block(Bucket="bkt", PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    people.nobody.get_object(Bucket="bkt", Key="key")
    refused(main.put_object, Bucket="bkt", Key="key", ACL="authenticated-read")
    refused(main.put_object_acl, Bucket="bkt", Key="key", ACL="public-read")
    refused(main.put_bucket_acl, Bucket="bkt", ACL="public-read")
    main.put_object_acl(Bucket="bkt", Key="key", GrantRead='id="alt"')
    people.alt.get_object(Bucket="bkt", Key="key")
    main.delete_public_access_block(Bucket="bkt")
    main.put_object_acl(Bucket="bkt", Key="key", ACL="public-read")
    main.put_public_access_block(Bucket="bkt", PublicAccessBlockConfiguration={"IgnorePublicAcls": True})
    refused(people.nobody.get_object, Bucket="bkt", Key="key")
    refused(people.alt.get_object, Bucket="bkt", Key="key")


def test_whose_bucket_it_is_meant_to_be(people: People) -> None:
    """A request with another owner's id is refused, for the bucket and for the source of a copy."""
    main = people.main
    main.put_object(Bucket="bkt", Key="key", ExpectedBucketOwner="main")
    refused(main.put_object, Bucket="bkt", Key="key", ExpectedBucketOwner="alt")
    refused(main.list_objects_v2, Bucket="bkt", ExpectedBucketOwner="alt")
    copy = {"Bucket": "bkt", "Key": "copy", "CopySource": "bkt/key"}
    main.copy_object(**copy, ExpectedSourceBucketOwner="main")
    refused(main.copy_object, **copy, ExpectedSourceBucketOwner="alt")


def test_pages_of_buckets(people: People) -> None:
    """ListBuckets goes through one's own buckets page by page, by prefix, and shows nobody else's."""
    names = [f"b-{number}" for number in range(5)]
    for name in names:
        people.main.create_bucket(Bucket=name)
    people.alt.create_bucket(Bucket="b-of-alt")
    pages = list(people.main.get_paginator("list_buckets").paginate(Prefix="b-", PaginationConfig={"PageSize": 2}))
    assert [names[:2], names[2:4], names[4:]] == [[row["Name"] for row in page["Buckets"]] for page in pages]
    assert {"DisplayName": "M. Tester", "ID": "main"} == pages[0]["Owner"]
    assert [] == people.nobody.list_buckets()["Buckets"]
    refused(people.main.list_buckets, "InvalidArgument", MaxBuckets=10_001)
    refused(people.main.list_buckets, "InvalidArgument", ContinuationToken="*")


def test_one_own_bucket_again(people: People) -> None:
    """As in us-east-1 one's own bucket can be made again with the same rights; anybody else's name is taken."""
    people.main.create_bucket(Bucket="bkt")
    refused(people.main.create_bucket, "BucketAlreadyExists", Bucket="bkt", ACL="public-read")
    refused(people.alt.create_bucket, "BucketAlreadyExists", Bucket="bkt")
    refused(people.nobody.create_bucket, Bucket="new")


# --- in this process


def asked(app: S3App, user: User, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
    """A signed call of this user; header names have "_" for "-"."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    fields = sign(method, path, "", body, fields, key_id=user.access_key_id, secret=user.secret_access_key)
    return app(Request(method, "http://localhost", path, "", fields, body))


def test_a_bucket_may_be_asked_for_with_its_tenant() -> None:
    """`tenant:bucket` is the bucket if its owner is of the tenant, and rights are what they are without."""
    app = S3App(users=[MAIN, ALT])
    assert 200 == asked(app, ALT, "PUT", "/of-alt").status
    assert 200 == asked(app, MAIN, "PUT", "/of-main").status
    assert 200 == asked(app, ALT, "HEAD", "/tenant-1:of-alt").status
    assert 200 == asked(app, MAIN, "PUT", "/:of-main/key").status
    assert (404, "NoSuchBucket") == code(asked(app, ALT, "GET", "/:of-alt"))
    assert (404, "NoSuchBucket") == code(asked(app, MAIN, "GET", "/tenant-1:of-main"))
    assert (403, "AccessDenied") == code(asked(app, MAIN, "GET", "/tenant-1:of-alt"))
    assert (400, "InvalidBucketName") == code(asked(app, ALT, "PUT", "/tenant-1:new-bucket"))


@pytest.mark.parametrize("operation", ["GET", "copy"])
def test_what_replaces_an_object_meanwhile_stays_private(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that becomes private between the decision and its opening is not handed out."""
    app = S3App(users=[MAIN, ALT])
    for user, bucket in ((MAIN, "/bkt"), (ALT, "/own")):
        assert 200 == asked(app, user, "PUT", bucket).status
    assert 200 == asked(app, MAIN, "PUT", "/bkt/key", b"open", x_amz_acl="public-read").status

    def replaced(opens: Callable[..., Any]) -> Callable[..., Any]:
        def opened(*arguments: Any, **options: Any) -> Any:
            assert 200 == asked(app, MAIN, "PUT", "/bkt/key", b"secret").status
            return opens(*arguments, **options)

        return opened

    def go() -> Response:
        if operation == "GET":
            return asked(app, ALT, "GET", "/bkt/key")
        return asked(app, ALT, "PUT", "/own/copy", x_amz_copy_source="bkt/key")

    assert 200 == go().status
    for name in ("open_object", "begin_copy"):
        monkeypatch.setattr(app.backend, name, replaced(getattr(app.backend, name)))
    assert (403, "AccessDenied") == code(go())
