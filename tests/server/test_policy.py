from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import s3func.testing
from s3func.errors import ServiceError
from s3func.server.access import AccessBlock, BucketAccess, ObjectAccess, is_allowed
from s3func.server.policy import Condition, Policy, Principal, Statement, parse_policy, wildcard_matches
from tests.server.people import ALT, MAIN, People, client, refused

ALT_WHO = Principal("alt", "tenant-1")
NOBODY = Principal()


@pytest.fixture
def people() -> Iterator[People]:
    with s3func.testing.server(users=[MAIN, ALT]) as server:
        found = People(*[client(server.endpoint_url, user) for user in (MAIN, ALT, None)])
        found.main.create_bucket(Bucket="bkt")
        yield found
        for each in found:
            each.close()


def document(**statement: Any) -> str:
    """A policy of one statement, which lets everybody read unless it says otherwise."""
    usual = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bkt/*"}
    row = {name: value for name, value in (usual | statement).items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [row]})


# --- pure


@given(st.text("ab*?", max_size=8), st.text("ab*?", max_size=10))
def test_wildcards_are_what_a_regular_expression_says(pattern: str, text: str) -> None:
    """`*` is any text and `?` one character, and nothing else is special."""
    translated = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
    assert (re.fullmatch(translated, text, re.DOTALL) is not None) == wildcard_matches(pattern, text)


def test_hostile_patterns_take_no_time() -> None:
    """A pattern that makes a backtracking matcher try every way is answered at once."""
    assert not wildcard_matches("*a" * 500 + "b", "a" * 1024)


_patterns = st.sampled_from(["*", "s3:*", "s3:getobject", "s3:get*", "s3:putobject"])
_resources = st.sampled_from(["arn:aws:s3:::*", "arn:aws:s3:::bkt", "arn:aws:s3:::bkt/*", "arn:aws:s3:::bkt/a?"])
_conditions = st.builds(
    Condition,
    st.sampled_from(["StringEquals", "StringNotEquals", "StringLike", "Null", "Bool"]),
    st.sampled_from(["s3:prefix", "s3:x-amz-acl"]),
    st.lists(st.sampled_from(["true", "false", "x", "*"]), min_size=1, max_size=2).map(tuple),
    st.sampled_from(["", "ForAnyValue", "ForAllValues"]),
    st.booleans(),
)
_statements = st.builds(
    Statement,
    st.sampled_from(["Allow", "Deny"]),
    st.lists(st.sampled_from(["*", "alt", "arn:aws:iam::tenant-1:root", "main"]), max_size=2).map(tuple),
    st.lists(_patterns, min_size=1, max_size=2).map(tuple),
    st.lists(_resources, min_size=1, max_size=2).map(tuple),
    st.booleans(),
    st.booleans(),
    st.lists(_conditions, max_size=2).map(tuple),
)
_who = st.sampled_from([NOBODY, ALT_WHO, Principal("main"), Principal("other")])
_actions = st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:ListBucket"])
_keys = st.sampled_from(["bkt", "bkt/a", "bkt/ab", "other/a"])
_contexts = st.dictionaries(
    st.sampled_from(["s3:prefix", "s3:x-amz-acl"]), st.lists(st.sampled_from(["x", "true", ""]), min_size=1, max_size=2)
)


@given(st.lists(_statements, max_size=5), _who, _actions, _keys, _contexts)
def test_deny_wins(
    statements: list[Statement], who: Principal, action: str, resource: str, context: dict[str, list[str]]
) -> None:
    """A policy says what its statements say one by one, in any order: Deny before Allow before nothing."""
    single = [Policy((statement,)).evaluate(who, action, resource, context) for statement in statements]
    expected = "Deny" if "Deny" in single else "Allow" if "Allow" in single else None
    assert expected == Policy(tuple(statements)).evaluate(who, action, resource, context)
    assert expected == Policy(tuple(reversed(statements))).evaluate(who, action, resource, context)
    for statement, effect in zip(statements, single, strict=True):
        assert effect in (None, statement.effect)


@given(st.lists(_statements, max_size=4), _who, _actions, _contexts, st.booleans(), st.booleans())
def test_a_denied_request_is_never_allowed(
    statements: list[Statement],
    who: Principal,
    action: str,
    context: dict[str, list[str]],
    public: bool,
    restrict: bool,
) -> None:
    """Whatever lists and owners say, what a policy denies is denied, to the owner as well."""
    policy = Policy(tuple(statements))
    bucket = BucketAccess("bkt", "main", None, policy, AccessBlock(restrict_public_buckets=restrict))
    key = "" if action == "s3:ListBucket" else "a"
    allowed = is_allowed(who, action, bucket, key, ObjectAccess("main"), context)
    effect = policy.evaluate(who, action, f"bkt/{key}" if key else "bkt", context)
    if effect == "Deny":
        assert not allowed
    elif who == Principal("main"):
        assert allowed
    elif effect is None or (restrict and policy.is_public):
        assert not allowed
    else:
        assert allowed


PRINCIPALS = [
    ("*", True, True),
    ({"AWS": "*"}, True, True),
    ({"AWS": "alt"}, True, False),
    ({"AWS": ["main", "alt"]}, True, False),
    ({"CanonicalUser": "alt"}, True, False),
    ({"AWS": "tenant-1"}, True, False),
    ({"AWS": "arn:aws:iam::tenant-1:root"}, True, False),
    ({"AWS": "arn:aws:iam::alt:root"}, True, False),
    ({"AWS": "arn:aws:iam::tenant-1:user/alt"}, True, False),
    ({"AWS": "arn:aws:iam::tenant-2:user/alt"}, False, False),
    ({"AWS": "arn:aws:iam::tenant-1:user/main"}, False, False),
    ({"AWS": "arn:aws:iam:::root"}, False, False),
    ({"AWS": "main"}, False, False),
    ({"Service": "logging.s3.amazonaws.com"}, False, False),
]


@pytest.mark.parametrize(("principal", "for_alt", "for_nobody"), PRINCIPALS)
def test_principals(principal: Any, for_alt: bool, for_nobody: bool) -> None:
    """Users are named by id, by ARN or by the account that they belong to; everybody only by the star."""
    policy = parse_policy(document(Principal=principal), "bkt")
    assert for_alt == (policy.evaluate(ALT_WHO, "s3:GetObject", "bkt/a", {}) == "Allow")
    assert for_nobody == (policy.evaluate(NOBODY, "s3:GetObject", "bkt/a", {}) == "Allow")


CONDITIONS: list[tuple[dict[str, Any], dict[str, list[str]], bool]] = [
    ({"StringEquals": {"s3:prefix": "a"}}, {"s3:prefix": ["a"]}, True),
    ({"StringEquals": {"S3:Prefix": ["b", "a"]}}, {"s3:prefix": ["a"]}, True),
    ({"StringEquals": {"s3:prefix": "a"}}, {"s3:prefix": ["A"]}, False),
    ({"StringEquals": {"s3:prefix": "a"}}, {}, False),
    ({"StringEqualsIfExists": {"s3:prefix": "a"}}, {}, True),
    ({"StringEqualsIfExists": {"s3:prefix": "a"}}, {"s3:prefix": ["b"]}, False),
    ({"StringNotEquals": {"s3:prefix": "a"}}, {}, True),
    ({"StringNotEquals": {"s3:prefix": ["a", "b"]}}, {"s3:prefix": ["b"]}, False),
    ({"StringEqualsIgnoreCase": {"s3:prefix": "a"}}, {"s3:prefix": ["A"]}, True),
    ({"StringLike": {"s3:prefix": "public/*"}}, {"s3:prefix": ["public/x"]}, True),
    ({"StringNotLike": {"s3:prefix": "public/*"}}, {"s3:prefix": ["public/x"]}, False),
    ({"NumericLessThanEquals": {"s3:max-keys": 10}}, {"s3:max-keys": ["10"]}, True),
    ({"NumericLessThan": {"s3:max-keys": "10"}}, {"s3:max-keys": ["many"]}, False),
    ({"DateGreaterThan": {"aws:CurrentTime": "2026-01-01"}}, {"aws:currenttime": ["2026-11-21T10:00:00Z"]}, True),
    ({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}, {"aws:currenttime": ["2026-11-21"]}, False),
    ({"Bool": {"aws:SecureTransport": False}}, {"aws:securetransport": ["false"]}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": ["10.1.2.3"]}, True),
    ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::1"]}}, {"aws:sourceip": ["::1"]}, True),
    ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": ["10.1.2.3"]}, False),
    ({"Null": {"s3:x-amz-acl": "true"}}, {}, True),
    ({"Null": {"s3:x-amz-acl": "true"}}, {"s3:x-amz-acl": ["private"]}, False),
    ({"Null": {"s3:x-amz-acl": False}}, {"s3:x-amz-acl": ["private"]}, True),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, {"aws:sourcearn": ["arn:aws:s3:::b"]}, True),
    (
        {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}},
        {"s3:requestobjecttagkeys": ["a", "c"]},
        False,
    ),
    (
        {"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}},
        {"s3:requestobjecttagkeys": ["a", "c"]},
        True,
    ),
    (
        {"StringEquals": {"s3:prefix": "a"}, "Bool": {"aws:SecureTransport": "true"}},
        {"s3:prefix": ["a"], "aws:securetransport": ["false"]},
        False,
    ),
]


@pytest.mark.parametrize(("condition", "context", "holds"), CONDITIONS)
def test_conditions(condition: dict[str, Any], context: dict[str, list[str]], holds: bool) -> None:
    """Operators compare as AWS documents them; all conditions have to hold."""
    policy = parse_policy(document(Condition=condition), "bkt")
    assert holds == (policy.evaluate(ALT_WHO, "s3:GetObject", "bkt/a", context) == "Allow")


MALFORMED: dict[str, str] = {
    "no JSON": "{",
    "no object": "[]",
    "deep": "[" * 19_000,
    "a name twice": '{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}',
    "no statement": '{"Version": "2012-10-17"}',
    "no statements": '{"Version": "2012-10-17", "Statement": []}',
    "another version": '{"Version": "2013-10-17", "Statement": []}',
    "an unknown element": '{"Version": "2012-10-17", "Statement": [], "Else": 1}',
    "a statement that is none": '{"Version": "2012-10-17", "Statement": ["x"]}',
    "too long": document(Sid="x" * 21_000),
    "NotPrincipal": document(Principal=None, NotPrincipal={"AWS": "x"}),
    "no principal": document(Principal=None),
    "a pattern of principals": document(Principal={"AWS": "arn:aws:iam::*:root"}),
    "an unknown kind of principal": document(Principal={"People": "x"}),
    "no effect": document(Effect="Maybe"),
    "no action": document(Action=None),
    "both actions": document(NotAction="s3:PutObject"),
    "another service": document(Action="ec2:RunInstances"),
    "no resource": document(Resource=[]),
    "no ARN": document(Resource="bkt/*"),
    "another bucket": document(Resource="arn:aws:s3:::other/*"),
    "a variable": document(Resource="arn:aws:s3:::bkt/${aws:username}/*"),
    "an unknown operator": document(Condition={"StringSimilar": {"s3:prefix": "a"}}),
    "an unknown quantifier": document(Condition={"ForSome:StringEquals": {"s3:prefix": "a"}}),
    "an unknown key": document(Condition={"StringEquals": {"s3:weather": "fine"}}),
    "no network": document(Condition={"IpAddress": {"aws:SourceIp": "here"}}),
    "no number": document(Condition={"NumericEquals": {"s3:max-keys": "few"}}),
    "no date": document(Condition={"DateEquals": {"aws:CurrentTime": "0001-01-01T00:00:00+14:00"}}),
    "no boolean": document(Condition={"Bool": {"aws:SecureTransport": "perhaps"}}),
    "no value": document(Condition={"StringEquals": {"s3:prefix": []}}),
    "an object as a value": document(Condition={"StringEquals": {"s3:prefix": {}}}),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_understood_is_refused(text: str) -> None:
    """A policy that would be skipped in part is MalformedPolicy, whole."""
    with pytest.raises(ServiceError) as caught:
        parse_policy(text, "bkt")
    assert (400, "MalformedPolicy") == (caught.value.status, caught.value.code)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Version", "Statement", "Effect", "Principal", "Action", "Resource", "Condition", "AWS"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(_json)
def test_any_document_is_read_or_refused(value: Any) -> None:
    """No document makes the reader fail in any other way."""
    try:
        parse_policy(json.dumps(value), "bkt")
    except ServiceError as error:
        assert error.code == "MalformedPolicy"


PUBLIC = [
    ({}, True),
    ({"Effect": "Deny"}, False),
    ({"Principal": {"AWS": "alt"}}, False),
    ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/32"}}}, False),
    ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}, True),
    ({"Condition": {"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/32"}}}, True),
    ({"Condition": {"StringLike": {"aws:SourceVpc": "vpc-*"}}}, True),
    ({"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}, False),
    ({"Condition": {"StringLike": {"aws:Referer": "http://a/*"}}}, True),
]


@pytest.mark.parametrize(("statement", "is_public"), PUBLIC)
def test_what_makes_a_policy_public(statement: dict[str, Any], is_public: bool) -> None:
    """A statement for everybody is public unless a condition says where from, once and for all."""
    assert is_public == parse_policy(document(**statement), "bkt").is_public


# --- over HTTP, with boto3


def test_the_life_of_a_policy(people: People) -> None:
    """A policy is kept to the letter, holds at once, and its end ends it; only the owner may see it."""
    main, alt = people.main, people.alt
    refused(main.get_bucket_policy, "NoSuchBucketPolicy", Bucket="bkt")
    main.put_object(Bucket="bkt", Key="key", Body=b"body")
    refused(alt.get_object, Bucket="bkt", Key="key")
    policy = document()
    refused(alt.put_bucket_policy, Bucket="bkt", Policy=policy)
    main.put_bucket_policy(Bucket="bkt", Policy=policy)
    assert policy == main.get_bucket_policy(Bucket="bkt")["Policy"]
    assert main.get_bucket_policy_status(Bucket="bkt")["PolicyStatus"]["IsPublic"] is True
    for each in (alt, people.nobody):
        assert b"body" == each.get_object(Bucket="bkt", Key="key")["Body"].read()
        refused(each.put_object, Bucket="bkt", Key="key", Body=b"x")
        refused(each.get_bucket_policy, Bucket="bkt")
        refused(each.list_objects_v2, Bucket="bkt")
    refused(main.put_bucket_policy, "MalformedPolicy", Bucket="bkt", Policy="{}")
    main.delete_bucket_policy(Bucket="bkt")
    main.delete_bucket_policy(Bucket="bkt")
    refused(alt.get_object, Bucket="bkt", Key="key")
    assert main.get_bucket_policy_status(Bucket="bkt")["PolicyStatus"]["IsPublic"] is False


def test_an_owner_who_denied_everything_can_change_the_policy(people: People) -> None:
    """A Deny for everybody is one for the owner, but never locks the owner out of the policy."""
    deny = document(Effect="Deny", Action="s3:*", Resource=["arn:aws:s3:::bkt", "arn:aws:s3:::bkt/*"])
    people.main.put_bucket_policy(Bucket="bkt", Policy=deny)
    refused(people.main.put_object, Bucket="bkt", Key="key")
    refused(people.main.list_objects_v2, Bucket="bkt")
    refused(people.main.get_bucket_acl, Bucket="bkt")
    assert deny == people.main.get_bucket_policy(Bucket="bkt")["Policy"]
    people.main.delete_bucket_policy(Bucket="bkt")
    people.main.put_object(Bucket="bkt", Key="key")


def test_keys_of_a_deletion_are_asked_one_by_one(people: People) -> None:
    """DeleteObjects deletes what may be deleted, and reports AccessDenied for the rest."""
    for key in ("a/1", "b/1"):
        people.main.put_object(Bucket="bkt", Key=key)
    allow = document(Action="s3:DeleteObject", Resource="arn:aws:s3:::bkt/a/*")
    people.main.put_bucket_policy(Bucket="bkt", Policy=allow)
    answer = people.alt.delete_objects(Bucket="bkt", Delete={"Objects": [{"Key": "a/1"}, {"Key": "b/1"}]})
    assert ["a/1"] == [row["Key"] for row in answer["Deleted"]]
    assert [("b/1", "AccessDenied")] == [(row["Key"], row["Code"]) for row in answer["Errors"]]
    assert ["b/1"] == [row["Key"] for row in people.main.list_objects_v2(Bucket="bkt")["Contents"]]


def test_who_may_not_list_does_not_learn_what_is_there(people: People) -> None:
    """A key that is missing is 403 for who may not list it, and 404 for who may."""
    refused(people.alt.get_object, Bucket="bkt", Key="public/none")
    allow = document(
        Action="s3:ListBucket", Resource="arn:aws:s3:::bkt", Condition={"StringLike": {"s3:prefix": "public/*"}}
    )
    people.main.put_bucket_policy(Bucket="bkt", Policy=allow)
    refused(people.alt.get_object, "NoSuchKey", Bucket="bkt", Key="public/none")
    refused(people.alt.get_object, Bucket="bkt", Key="private/none")
    people.alt.list_objects_v2(Bucket="bkt", Prefix="public/x")
    refused(people.alt.list_objects_v2, Bucket="bkt")


def test_the_source_of_a_copy_has_to_be_readable(people: People) -> None:
    """Nobody copies out of another's bucket what it may not read."""
    people.main.put_object(Bucket="bkt", Key="open/key", Body=b"open")
    people.main.put_object(Bucket="bkt", Key="closed/key", Body=b"closed")
    people.main.put_bucket_policy(Bucket="bkt", Policy=document(Resource="arn:aws:s3:::bkt/open/*"))
    people.alt.create_bucket(Bucket="own")
    people.alt.copy_object(Bucket="own", Key="copy", CopySource="bkt/open/key")
    assert b"open" == people.alt.get_object(Bucket="own", Key="copy")["Body"].read()
    refused(people.alt.copy_object, Bucket="own", Key="copy", CopySource="bkt/closed/key")
    refused(people.main.copy_object, Bucket="own", Key="copy", CopySource="bkt/closed/key")


def test_public_access_block(people: People) -> None:
    """Public policies are refused while they are blocked, and let in no stranger while they are restricted."""
    main = people.main
    refused(main.get_public_access_block, "NoSuchPublicAccessBlockConfiguration", Bucket="bkt")
    block = {"BlockPublicPolicy": True}
    main.put_public_access_block(Bucket="bkt", PublicAccessBlockConfiguration=block)
    assert main.get_public_access_block(Bucket="bkt")["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] is True
    refused(main.put_bucket_policy, Bucket="bkt", Policy=document())
    main.put_bucket_policy(Bucket="bkt", Policy=document(Principal={"AWS": "alt"}))
    main.delete_public_access_block(Bucket="bkt")
    main.put_object(Bucket="bkt", Key="key", Body=b"body")
    main.put_bucket_policy(Bucket="bkt", Policy=document())
    people.nobody.get_object(Bucket="bkt", Key="key")
    main.put_public_access_block(Bucket="bkt", PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    refused(people.nobody.get_object, Bucket="bkt", Key="key")
    refused(people.alt.get_object, Bucket="bkt", Key="key")
    main.get_object(Bucket="bkt", Key="key")


def test_conditions_on_what_is_sent(people: People) -> None:
    """Headers, tags and the sender's address are asked about as they were sent."""
    main, alt = people.main, people.alt
    everything = {"Action": "s3:*", "Resource": "arn:aws:s3:::bkt/*"}
    local = document(**everything, Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}})
    elsewhere = document(**everything, Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    main.put_bucket_policy(Bucket="bkt", Policy=elsewhere)
    refused(alt.put_object, Bucket="bkt", Key="key")
    main.put_bucket_policy(Bucket="bkt", Policy=local)
    alt.put_object(Bucket="bkt", Key="key")
    for condition, good, bad in (
        ({"s3:x-amz-acl": "private"}, {"ACL": "private"}, {}),
        ({"s3:RequestObjectTag/Stage": "test"}, {"Tagging": "Stage=test"}, {"Tagging": "Stage=live"}),
        ({"s3:x-amz-storage-class": "GLACIER"}, {"StorageClass": "GLACIER"}, {"StorageClass": "STANDARD_IA"}),
    ):
        main.put_bucket_policy(Bucket="bkt", Policy=document(**everything, Condition={"StringEquals": condition}))
        alt.put_object(Bucket="bkt", Key="key", **good)
        refused(alt.put_object, Bucket="bkt", Key="key", **bad)
