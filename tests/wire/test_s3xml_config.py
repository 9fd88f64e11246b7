"""Versions, tags, Object Lock, CORS, policy status: as botocore sends and reads them, and what S3 refuses in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import InvalidRequest, NotFound, ProtocolError, ServiceError
from s3func.retention import ObjectLockConfiguration, Retention
from s3func.wire import s3xml_config as documents
from s3func.wire.s3xml_config import CORSRule, Versioning
from tests.wire.oracle import parsed, serialized

MOMENT = datetime(2026, 11, 21, 10, 0, 0, 123000, tzinfo=UTC)
TAG_TEXTS = st.text(st.characters(categories=["L", "N", "Zs"], include_characters="_.:/=+-@"), max_size=12)
TAGS = st.dictionaries(
    TAG_TEXTS.filter(lambda key: bool(key) and not key.lower().startswith("aws:")), TAG_TEXTS, max_size=10
)


def refused(code: str, parse: Callable[..., Any], *arguments: Any, status: int = 400, **options: Any) -> None:
    """The server's half refuses this, with the code and the status of S3."""
    with pytest.raises(ServiceError) as caught:
        parse(*arguments, **options)
    assert (code, status) == (caught.value.code, caught.value.status)


@pytest.mark.parametrize("status", [None, "Enabled", "Suspended"])
@pytest.mark.parametrize("mfa_delete", [None, "Enabled", "Disabled"])
def test_versioning_comes_back_as_it_was(status: str | None, mfa_delete: str | None) -> None:
    """Both fields survive, are what botocore reads, and a request of botocore is understood."""
    versioning = Versioning(status, mfa_delete)
    body = documents.render_versioning(versioning)
    assert versioning == documents.parse_versioning(body)
    fields = {"Status": status, "MFADelete": mfa_delete}
    given_fields = {name: text for name, text in fields.items() if text is not None}
    assert given_fields == parsed("GetBucketVersioning", body)
    if status is not None:
        request = serialized("PutBucketVersioning", VersioningConfiguration=given_fields)
        assert versioning == documents.parse_versioning_request(request)
        assert versioning == documents.parse_versioning_request(body)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "IllegalVersioningConfigurationException"),
        ("<MfaDelete>Enabled</MfaDelete>", "IllegalVersioningConfigurationException"),
        ("<Status>enabled</Status>", "MalformedXML"),
        ("<Status>Disabled</Status>", "MalformedXML"),
        ("<Status/>", "MalformedXML"),
        ("<Status>Enabled</Status><MfaDelete>On</MfaDelete>", "MalformedXML"),
        ("<Status>Enabled</Status><Other/>", "MalformedXML"),
        ("<Status>Enabled</Status><Status>Suspended</Status>", "MalformedXML"),
    ],
)
def test_versioning_that_is_refused(content: str, code: str) -> None:
    """A status that is none, or none at all, is refused."""
    body = f"<VersioningConfiguration>{content}</VersioningConfiguration>".encode()
    refused(code, documents.parse_versioning_request, body)


@pytest.mark.parametrize("versioning", [Versioning("On"), Versioning("enabled"), Versioning("Enabled", "On")])
def test_versioning_that_is_not_sent(versioning: Versioning) -> None:
    """A word that S3 does not know is a ValueError."""
    with pytest.raises(ValueError):
        documents.render_versioning(versioning)


@given(TAGS)
def test_tags_come_back_as_they_were(tags: dict[str, str]) -> None:
    """Document and header carry any legal tags; the server answers them in the order of their keys."""
    body = documents.render_tagging(tags)
    assert tags == documents.parse_tagging(body)
    assert list(tags) == list(documents.parse_tagging(body))
    assert sorted(tags.items()) == list(documents.parse_tagging_request(body).items())
    assert tags == documents.parse_tagging_header(documents.tagging_header(tags))
    assert tags == documents.parse_tagging_header(urlencode(tags))


def test_tags_are_what_botocore_sends_and_reads() -> None:
    """botocore's request is understood, and it finds the same tags in the answer."""
    rows = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    request = serialized("PutObjectTagging", Tagging={"TagSet": rows})
    tags = documents.parse_tagging_request(request)
    assert {"a": "1", "b": ""} == tags
    assert {"TagSet": rows} == parsed("GetObjectTagging", documents.render_tagging(tags))
    assert {} == documents.parse_tagging_request(serialized("PutObjectTagging", Tagging={"TagSet": []}))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("foo=bar&bar", {"bar": "", "foo": "bar"}),
        ("Hello=World&foo=bar", {"Hello": "World", "foo": "bar"}),
        ("a%20b=c+d", {"a b": "c d"}),
        ("a=b=c", {"a": "b=c"}),
        ("", {}),
        ("&a=1&", {"a": "1"}),
        ("%C3%A9=%2B", {"é": "+"}),
    ],
)
def test_tags_of_a_header(header: str, expected: dict[str, str]) -> None:
    """The header is a form's query: "+" is a space, a value may be missing."""
    assert expected == documents.parse_tagging_header(header)


def tag_set(*pairs: tuple[str, str]) -> bytes:
    """A Tagging document that no check stands before."""
    rows = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return f"<Tagging><TagSet>{rows}</TagSet></Tagging>".encode()


@pytest.mark.parametrize(
    "pairs",
    [
        [(str(number), "") for number in range(11)],
        [("a" * 129, "")],
        [("a", "b" * 257)],
        [("", "a")],
        [("a", "1"), ("a", "2")],
        [("a", "1"), ("a", "1")],
        [("aws:a", "1")],
        [("AWS:a", "1")],
        [("a", "b!")],
        [("a\n", "b")],
        [("😀", "b")],
    ],
)
def test_tags_that_are_refused(pairs: list[tuple[str, str]]) -> None:
    """Too many, too long, twice, reserved or odd: InvalidTag, in the document and in the header."""
    refused("InvalidTag", documents.parse_tagging_request, tag_set(*pairs))
    if pairs[0][0]:
        refused("InvalidTag", documents.parse_tagging_header, urlencode(pairs))


def test_the_limits_of_tags() -> None:
    """The longest tags are taken, and a bucket may have fifty."""
    tags = [(f"{number:0128}", "b" * 256) for number in range(10)]
    assert dict(tags) == documents.parse_tagging_request(tag_set(*tags))
    many = [(str(number), "") for number in range(50)]
    assert dict(many) == documents.parse_tagging_request(tag_set(*many), tags_max=documents.BUCKET_TAGS_MAX)
    refused("InvalidTag", documents.parse_tagging_request, tag_set(*many, ("x", "")), tags_max=50)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<Tagging/>",
        "<Tagging><TagSet/><TagSet/></Tagging>",
        "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Key>a</Key><Value>a</Value><X/></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Other/></TagSet></Tagging>",
        "<Tagging><TagSet/><Other/></Tagging>",
        "<TagSet/>",
    ],
)
def test_taggings_of_another_form(body: str) -> None:
    """What is no tagging is MalformedXML."""
    refused("MalformedXML", documents.parse_tagging_request, body.encode())


def test_a_header_that_is_not_utf_8() -> None:
    """Bytes that are no text are InvalidArgument."""
    refused("InvalidArgument", documents.parse_tagging_header, "a=%ff")


LOCKS = [
    ObjectLockConfiguration(),
    ObjectLockConfiguration(mode="GOVERNANCE", days=1),
    ObjectLockConfiguration(mode="COMPLIANCE", years=100),
    ObjectLockConfiguration(mode="COMPLIANCE", days=36_500),
]


@pytest.mark.parametrize("lock", LOCKS)
def test_an_object_lock_comes_back_as_it_was(lock: ObjectLockConfiguration) -> None:
    """Mode and period survive, are what botocore reads, and a request of botocore is understood."""
    body = documents.render_object_lock(lock)
    assert lock == documents.parse_object_lock(body)
    assert lock == documents.parse_object_lock_request(body)
    value: dict[str, Any] = {"ObjectLockEnabled": "Enabled"}
    if lock.mode is not None:
        period = {"Days": lock.days} if lock.days is not None else {"Years": lock.years}
        value["Rule"] = {"DefaultRetention": {"Mode": lock.mode, **period}}
    assert {"ObjectLockConfiguration": value} == parsed("GetObjectLockConfiguration", body)
    request = serialized("PutObjectLockConfiguration", ObjectLockConfiguration=value)
    assert lock == documents.parse_object_lock_request(request)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({}, "MalformedXML"),
        ({"ObjectLockEnabled": "Disabled"}, "MalformedXML"),
        ({"ObjectLockEnabled": "Enabled", "Rule": {}}, "MalformedXML"),
        ({"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}, "MalformedXML"),
        *[
            ({"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": default}}, code)
            for default, code in [
                ({}, "MalformedXML"),
                ({"Days": 1}, "MalformedXML"),
                ({"Mode": "GOVERNANCE"}, "MalformedXML"),
                ({"Mode": "GOVERNANCE", "Days": 1, "Years": 1}, "MalformedXML"),
                ({"Mode": "governance", "Days": 1}, "MalformedXML"),
                ({"Mode": "abc", "Years": 1}, "MalformedXML"),
                ({"Mode": "GOVERNANCE", "Days": 0}, "InvalidRetentionPeriod"),
                ({"Mode": "GOVERNANCE", "Years": -1}, "InvalidRetentionPeriod"),
                ({"Mode": "GOVERNANCE", "Days": 36_501}, "InvalidRetentionPeriod"),
                ({"Mode": "GOVERNANCE", "Years": 101}, "InvalidRetentionPeriod"),
            ]
        ],
    ],
)
def test_object_locks_that_are_refused(value: dict[str, Any], code: str) -> None:
    """A configuration that S3 refuses gets its code."""
    body = serialized("PutObjectLockConfiguration", ObjectLockConfiguration=value) or b"<ObjectLockConfiguration/>"
    refused(code, documents.parse_object_lock_request, body)


@pytest.mark.parametrize(
    "lock",
    [
        ObjectLockConfiguration(mode="GOVERNANCE"),
        ObjectLockConfiguration(mode="GOVERNANCE", days=1, years=1),
        ObjectLockConfiguration(mode="governance", days=1),
        ObjectLockConfiguration(days=1),
    ],
)
def test_object_locks_that_are_not_sent(lock: ObjectLockConfiguration) -> None:
    """Half a rule is a ValueError."""
    with pytest.raises(ValueError):
        documents.render_object_lock(lock)


def test_a_bucket_without_an_object_lock() -> None:
    """Some stores answer with an empty document."""
    assert ObjectLockConfiguration(False) == documents.parse_object_lock(b"<ObjectLockConfiguration/>")
    assert b"Enabled" not in documents.render_object_lock(ObjectLockConfiguration(False))


@pytest.mark.parametrize("retention", [Retention(), Retention("GOVERNANCE", MOMENT), Retention("COMPLIANCE", MOMENT)])
def test_a_retention_comes_back_as_it_was(retention: Retention) -> None:
    """Mode and time survive, are what botocore reads, and a request of botocore is understood."""
    body = documents.render_retention(retention)
    assert retention == documents.parse_retention(body)
    assert retention == documents.parse_retention_request(body)
    value = {"Mode": retention.mode, "RetainUntilDate": retention.retain_until} if retention.mode else {}
    assert {"Retention": value} == parsed("GetObjectRetention", body)
    request = serialized("PutObjectRetention", Retention=value) or b"<Retention/>"
    assert retention == documents.parse_retention_request(request)


@pytest.mark.parametrize(
    "content",
    [
        "<Mode>GOVERNANCE</Mode>",
        "<RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>",
        "<Mode>governance</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>",
        "<Mode>GOVERNANCE</Mode><RetainUntilDate>20300101</RetainUntilDate>",
        "<Mode>GOVERNANCE</Mode><RetainUntilDate>2030-02-30T00:00:00Z</RetainUntilDate>",
        "<Mode>GOVERNANCE</Mode><RetainUntilDate/>",
        "<Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate><More/>",
    ],
)
def test_retentions_that_are_refused(content: str) -> None:
    """Half a retention, an unknown mode and a date that is none are MalformedXML."""
    refused("MalformedXML", documents.parse_retention_request, f"<Retention>{content}</Retention>".encode())


@pytest.mark.parametrize(
    "retention",
    [
        Retention("GOVERNANCE"),
        Retention(None, MOMENT),
        Retention("governance", MOMENT),
        Retention("GOVERNANCE", datetime(2030, 1, 1)),
    ],
)
def test_retentions_that_are_not_sent(retention: Retention) -> None:
    """Half a retention, an unknown mode and a naive time are a ValueError."""
    with pytest.raises(ValueError):
        documents.render_retention(retention)


def test_a_retention_is_sent_in_utc() -> None:
    """A time of another zone is the same moment."""
    there = MOMENT.astimezone(timezone(timedelta(hours=-5)))
    assert Retention("GOVERNANCE", MOMENT) == documents.parse_retention(
        documents.render_retention(Retention("GOVERNANCE", there))
    )


@pytest.mark.parametrize(("on", "status"), [(True, "ON"), (False, "OFF")])
def test_a_legal_hold_comes_back_as_it_was(on: bool, status: str) -> None:
    """ON and OFF, for us and for botocore."""
    body = documents.render_legal_hold(on)
    assert on is documents.parse_legal_hold(body)
    assert {"LegalHold": {"Status": status}} == parsed("GetObjectLegalHold", body)
    assert on is documents.parse_legal_hold_request(serialized("PutObjectLegalHold", LegalHold={"Status": status}))


@pytest.mark.parametrize("content", ["", "<Status/>", "<Status>abc</Status>", "<Status>on</Status>", "<Other/>"])
def test_legal_holds_that_are_refused(content: str) -> None:
    """Any other word, or none, is MalformedXML, and for the client a ProtocolError."""
    body = f"<LegalHold>{content}</LegalHold>".encode()
    refused("MalformedXML", documents.parse_legal_hold_request, body)
    with pytest.raises(ProtocolError):
        documents.parse_legal_hold(body)


RULES = st.builds(
    CORSRule,
    st.lists(st.sampled_from(["*", "http://*.example.com", "https://a&b"]), min_size=1, max_size=3),
    st.lists(st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]), min_size=1, max_size=3),
    st.lists(st.sampled_from(["*", "x-amz-*", "Content-Type"]), max_size=2),
    st.lists(st.sampled_from(["ETag", "x-amz-request-id"]), max_size=2),
    st.one_of(st.none(), st.integers(0, 10**6)),
    st.just(None),
)


@given(st.lists(RULES, min_size=1, max_size=4), st.booleans())
def test_cors_rules_come_back_as_they_were(rules: list[CORSRule], named: bool) -> None:
    """Every rule survives, is what botocore reads, and a request of botocore is understood."""
    if named:
        rules = [rule._replace(id=f"rule {place}") for place, rule in enumerate(rules)]
    body = documents.render_cors(rules)
    assert rules == documents.parse_cors(body)
    assert rules == documents.parse_cors_request(body)
    rows = [
        {
            "ID": rule.id,
            "AllowedHeaders": rule.allowed_headers or None,
            "AllowedMethods": rule.allowed_methods,
            "AllowedOrigins": rule.allowed_origins,
            "ExposeHeaders": rule.expose_headers or None,
            "MaxAgeSeconds": rule.max_age_seconds,
        }
        for rule in rules
    ]
    value = [{name: entry for name, entry in row.items() if entry is not None} for row in rows]
    assert {"CORSRules": value} == parsed("GetBucketCors", body)
    request = serialized("PutBucketCors", CORSConfiguration={"CORSRules": value})
    assert rules == documents.parse_cors_request(request)


def cors(*rules: CORSRule) -> bytes:
    """A configuration of rules, of which only the first needs to be one."""
    return documents.render_cors(rules)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<CORSConfiguration/>", "MalformedXML"),
        (b"<CORSConfiguration><CORSRule/></CORSConfiguration>", "MalformedXML"),
        (
            b"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>",
            "MalformedXML",
        ),
        (
            b"<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>",
            "MalformedXML",
        ),
        (cors(CORSRule(["*"], ["GET"])).replace(b"AllowedMethod", b"AllowedVerb"), "MalformedXML"),
        (cors(*[CORSRule(["*"], ["GET"])] * 101), "MalformedXML"),
        (cors(CORSRule(["*"], ["GET"], max_age_seconds=1)).replace(b">1<", b">x<"), "MalformedXML"),
        (cors(CORSRule(["*"], ["PATCH"])), "InvalidRequest"),
        (cors(CORSRule(["*"], ["get"])), "InvalidRequest"),
        (cors(CORSRule(["*"], ["OPTIONS"])), "InvalidRequest"),
        (cors(CORSRule(["http://*.*.com"], ["GET"])), "InvalidRequest"),
        (cors(CORSRule([""], ["GET"])), "InvalidRequest"),
        (cors(CORSRule(["http://a\r\nSet-Cookie: b"], ["GET"])), "InvalidRequest"),
        (cors(CORSRule(["*"], ["GET"], ["**"])), "InvalidRequest"),
        (cors(CORSRule(["*"], ["GET"], (), ["*"])), "InvalidRequest"),
        (cors(CORSRule(["*"], ["GET"], (), ["a\nb"])), "InvalidRequest"),
        (cors(CORSRule(["*"], ["GET"], max_age_seconds=-1)), "InvalidRequest"),
        (cors(CORSRule(["*"], ["GET"], id="a" * 256)), "InvalidRequest"),
        (cors(CORSRule(["*"], ["GET"], id="a"), CORSRule(["*"], ["PUT"], id="a")), "InvalidRequest"),
    ],
)
def test_cors_that_is_refused(body: bytes, code: str) -> None:
    """A rule that S3 refuses gets its code."""
    refused(code, documents.parse_cors_request, body)


def test_the_longest_cors() -> None:
    """A hundred rules are taken, and an ID of 255 characters."""
    rules = [CORSRule(["*"], ["GET"], [], [], 0, "a" * 252 + f"{number:03}") for number in range(100)]
    assert rules == documents.parse_cors_request(cors(*rules))


@pytest.mark.parametrize("rules", [[], [CORSRule([], ["GET"])], [CORSRule(["*"], [])]])
def test_cors_that_is_not_sent(rules: list[CORSRule]) -> None:
    """No rule, or one without an origin or a method, is a ValueError."""
    with pytest.raises(ValueError):
        documents.render_cors(rules)


@pytest.mark.parametrize("public", [True, False])
def test_a_policy_status_comes_back_as_it_was(public: bool) -> None:
    """true and false, for us and for botocore; stores that shout are understood."""
    body = documents.render_policy_status(public)
    assert public is documents.parse_policy_status(body)
    assert {"PolicyStatus": {"IsPublic": public}} == parsed("GetBucketPolicyStatus", body)
    assert public is documents.parse_policy_status(body.replace(b">true<", b">TRUE<").replace(b">false<", b">FALSE<"))


CLIENT_HALF: list[Callable[[bytes], Any]] = [
    documents.parse_versioning,
    documents.parse_tagging,
    documents.parse_object_lock,
    documents.parse_retention,
    documents.parse_legal_hold,
    documents.parse_cors,
    documents.parse_policy_status,
]
SERVER_HALF: list[Callable[[bytes], Any]] = [
    documents.parse_versioning_request,
    documents.parse_tagging_request,
    documents.parse_object_lock_request,
    documents.parse_retention_request,
    documents.parse_legal_hold_request,
    documents.parse_cors_request,
]


@pytest.mark.parametrize("parse", CLIENT_HALF)
def test_answers_that_are_none(parse: Callable[[bytes], Any]) -> None:
    """An error document is its error, anything else a ProtocolError."""
    with pytest.raises(NotFound):
        parse(b"<Error><Code>NotFound</Code></Error>")
    for body in (b"", b"<html/>", b"<Tagging>", b"\xff"):
        with pytest.raises(ProtocolError):
            parse(body)


@pytest.mark.parametrize("parse", SERVER_HALF)
def test_requests_that_are_none(parse: Callable[[bytes], Any]) -> None:
    """Whatever is no document of the operation is MalformedXML, an error document included."""
    for body in (b"", b"<html/>", b"<Tagging>", b"\xff", b"<Error><Code>NotFound</Code></Error>", b"<!DOCTYPE a><a/>"):
        refused("MalformedXML", parse, body)


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        (documents.parse_tagging, "<Tagging/>"),
        (documents.parse_tagging, "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>"),
        (documents.parse_retention, "<Retention><RetainUntilDate>soon</RetainUntilDate></Retention>"),
        (documents.parse_cors, "<CORSConfiguration><CORSRule><MaxAgeSeconds/></CORSRule></CORSConfiguration>"),
        (documents.parse_policy_status, "<PolicyStatus/>"),
        (documents.parse_policy_status, "<PolicyStatus><IsPublic>maybe</IsPublic></PolicyStatus>"),
        (
            documents.parse_object_lock,
            "<ObjectLockConfiguration><Rule><DefaultRetention/></Rule></ObjectLockConfiguration>",
        ),
    ],
)
def test_answers_with_a_hole(parse: Callable[[bytes], Any], body: str) -> None:
    """A document without what it is for is a ProtocolError."""
    with pytest.raises(ProtocolError):
        parse(body.encode())


def test_refusals_are_of_the_right_class() -> None:
    """Every refusal here is the client's fault: InvalidRequest."""
    with pytest.raises(InvalidRequest):
        documents.parse_tagging_request(tag_set(("", "")))
