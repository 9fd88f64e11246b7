"""The configuration documents that have a record of their own: versions, tags, Object Lock, CORS, policy status.

Each is sent in both directions, so there are three functions for one: `parse_x` reads an answer as the client does and
raises ProtocolError, `parse_x_request` reads a request as the server does and raises what the server answers with,
`render_x` writes it for either and raises ValueError. The documents that a server only keeps: s3xml_stored.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from s3func.errors import ProtocolError, ServiceError, service_error
from s3func.retention import MODES, ObjectLockConfiguration, Retention
from s3func.wire.encoding import encode_query
from s3func.wire.s3xml_error import element, frame, open_document
from s3func.wire.s3xml_fields import (
    demand,
    demand_boolean,
    flag,
    given,
    given_number,
    given_time,
    integer,
    only,
    read_request,
    time_of,
)
from s3func.wire.xmltree import Element

__all__ = [
    "Versioning",
    "parse_versioning",
    "parse_versioning_request",
    "render_versioning",
    "BUCKET_TAGS_MAX",
    "OBJECT_TAGS_MAX",
    "check_tags",
    "parse_tagging",
    "parse_tagging_header",
    "parse_tagging_request",
    "render_tagging",
    "tagging_header",
    "parse_object_lock",
    "parse_object_lock_request",
    "render_object_lock",
    "parse_retention",
    "parse_retention_request",
    "render_retention",
    "parse_legal_hold",
    "parse_legal_hold_request",
    "render_legal_hold",
    "CORSRule",
    "parse_cors",
    "parse_cors_request",
    "render_cors",
    "parse_policy_status",
    "render_policy_status",
]

OBJECT_TAGS_MAX = 10
BUCKET_TAGS_MAX = 50
_TAG_KEY_MAX = 128
_TAG_VALUE_MAX = 256
_CORS_RULES_MAX = 100
_CORS_METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
_RULE_ID_MAX = 255
_RETENTION_DAYS_MAX = 36_500
_RETENTION_YEARS_MAX = 100


class Versioning(NamedTuple):
    """`status`: "Enabled", "Suspended", or None where versions never were on; `mfa_delete`: "Enabled", "Disabled"."""

    status: str | None = None
    mfa_delete: str | None = None


class CORSRule(NamedTuple):
    """What pages of other origins may do; origins and allowed headers may hold one "*"."""

    allowed_origins: Sequence[str]
    allowed_methods: Sequence[str]
    allowed_headers: Sequence[str] = ()
    expose_headers: Sequence[str] = ()
    max_age_seconds: int | None = None
    id: str | None = None


def parse_versioning(body: bytes) -> Versioning:
    """The answer to GetBucketVersioning.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html
    """
    # The second name is that of moto.
    root = open_document(body, "VersioningConfiguration", "GetBucketVersioningResponse")
    return Versioning(root.value("Status") or None, root.value("MfaDelete") or None)


def parse_versioning_request(body: bytes) -> Versioning:
    """The document of PutBucketVersioning; its status is never None."""
    return read_request(body, "VersioningConfiguration", _strict_versioning)


def _strict_versioning(root: Element) -> Versioning:
    only(root, "Status", "MfaDelete")
    status = root.value("Status")
    mfa_delete = root.value("MfaDelete")
    if status is None:
        raise service_error("IllegalVersioningConfigurationException", "the configuration has no Status")
    _one_of("Status", status, "Enabled", "Suspended")
    if mfa_delete is not None:
        _one_of("MfaDelete", mfa_delete, "Enabled", "Disabled")
    return Versioning(status, mfa_delete)


def render_versioning(versioning: Versioning) -> bytes:
    """A VersioningConfiguration."""
    status, mfa_delete = versioning
    if status not in {None, "Enabled", "Suspended"}:
        raise ValueError(f"status is 'Enabled' or 'Suspended', not {status!r}")
    if mfa_delete not in {None, "Enabled", "Disabled"}:
        raise ValueError(f"mfa_delete is 'Enabled' or 'Disabled', not {mfa_delete!r}")
    return frame("VersioningConfiguration", given("Status", status) + given("MfaDelete", mfa_delete))


def parse_tagging(body: bytes) -> dict[str, str]:
    """The tags in the answer to GetObjectTagging and GetBucketTagging, in their order.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html
    """
    return dict(_tags(open_document(body, "Tagging")))


def parse_tagging_request(body: bytes, *, tags_max: int = OBJECT_TAGS_MAX) -> dict[str, str]:
    """The tags of PutObjectTagging (10 at most) or PutBucketTagging (50).

    Raises InvalidRequest: MalformedXML, or InvalidTag for too many, too long, a key twice, a reserved or odd character.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    """
    return check_tags(read_request(body, "Tagging", _strict_tags), tags_max=tags_max)


def render_tagging(tags: Mapping[str, str]) -> bytes:
    """A Tagging document."""
    rows = [f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in tags.items()]
    return frame("Tagging", f"<TagSet>{''.join(rows)}</TagSet>")


def parse_tagging_header(header: str, *, tags_max: int = OBJECT_TAGS_MAX) -> dict[str, str]:
    """The tags of an x-amz-tagging header: "key=value&key=value", percent-encoded, "+" for a space.

    Raises InvalidRequest: InvalidArgument for what cannot be read, InvalidTag as `parse_tagging_request` does.
    """
    from urllib.parse import unquote_plus

    try:
        parts = [pair.partition("=") for pair in header.split("&") if pair]
        pairs = [(unquote_plus(key, errors="strict"), unquote_plus(value, errors="strict")) for key, _, value in parts]
    except UnicodeDecodeError as error:
        raise service_error("InvalidArgument", "the header x-amz-tagging is not UTF-8, percent-encoded") from error
    return check_tags(pairs, tags_max=tags_max)


def tagging_header(tags: Mapping[str, str]) -> str:
    """The value of an x-amz-tagging header."""
    return encode_query(tags.items())


def check_tags(pairs: Iterable[tuple[str, str]], *, tags_max: int = OBJECT_TAGS_MAX) -> dict[str, str]:
    """The pairs as a dict in the order of their keys; InvalidRequest (InvalidTag) where they break a rule of S3."""
    tags: dict[str, str] = {}
    for key, value in pairs:
        if key in tags:
            raise _invalid_tag(f"the key {key[:_TAG_KEY_MAX]!r} is given twice")
        if not 1 <= len(key) <= _TAG_KEY_MAX:
            raise _invalid_tag(f"a key has 1 to {_TAG_KEY_MAX} characters, not {len(key)}")
        if len(value) > _TAG_VALUE_MAX:
            raise _invalid_tag(f"a value has at most {_TAG_VALUE_MAX} characters, not {len(value)}")
        if key.lower().startswith("aws:"):
            raise _invalid_tag("keys that begin with aws: are reserved")
        if not all(map(_may_stand_in_tag, key + value)):
            raise _invalid_tag(f"letters, digits, spaces and _.:/=+-@ may stand in a tag: {key!r}, {value!r}")
        tags[key] = value
    if len(tags) > tags_max:
        raise _invalid_tag(f"at most {tags_max} tags, not {len(tags)}")
    return dict(sorted(tags.items()))


def _may_stand_in_tag(character: str) -> bool:
    return character in "_.:/=+-@" or unicodedata.category(character)[0] in "LNZ"


def _invalid_tag(message: str) -> ServiceError:
    return service_error("InvalidTag", message)


def _tags(root: Element) -> list[tuple[str, str]]:
    group = root.child("TagSet")
    if group is None:
        raise ProtocolError("the tagging has no TagSet")
    pairs = []
    for row in group.all("Tag"):
        value = row.value("Value")
        if value is None:
            raise ProtocolError("a Tag has no Value")
        pairs.append((row.value("Key") or "", value))
    return pairs


def _strict_tags(root: Element) -> list[tuple[str, str]]:
    for group in only(root, "TagSet").children:
        for row in only(group, "Tag").children:
            only(row, "Key", "Value")
            if row.child("Key") is None:
                raise ProtocolError("a Tag has no Key")
    return _tags(root)


def parse_object_lock(body: bytes) -> ObjectLockConfiguration:
    """The answer to GetObjectLockConfiguration.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html
    """
    return _object_lock(open_document(body, "ObjectLockConfiguration"))


def _object_lock(root: Element) -> ObjectLockConfiguration:
    enabled = root.value("ObjectLockEnabled") == "Enabled"
    rule = root.child("Rule")
    default = rule.child("DefaultRetention") if rule is not None else None
    if default is None:
        return ObjectLockConfiguration(enabled)
    mode = demand(default, "Mode")
    return ObjectLockConfiguration(enabled, mode, integer(default, "Days"), integer(default, "Years"))


def parse_object_lock_request(body: bytes) -> ObjectLockConfiguration:
    """The document of PutObjectLockConfiguration; InvalidRequest: MalformedXML, InvalidRetentionPeriod."""
    lock = read_request(body, "ObjectLockConfiguration", _strict_object_lock)
    for unit, number, most in (("days", lock.days, _RETENTION_DAYS_MAX), ("years", lock.years, _RETENTION_YEARS_MAX)):
        if number is not None and not 1 <= number <= most:
            raise service_error("InvalidRetentionPeriod", f"the default retention is 1 to {most} {unit}, not {number}")
    return lock


def _strict_object_lock(root: Element) -> ObjectLockConfiguration:
    only(root, "ObjectLockEnabled", "Rule")
    rule = root.child("Rule")
    if rule is not None:
        default = only(rule, "DefaultRetention").child("DefaultRetention")
        if default is None:
            raise ProtocolError("the Rule has no DefaultRetention")
        only(default, "Mode", "Days", "Years")
    lock = _object_lock(root)
    if not lock.enabled:
        raise ProtocolError("ObjectLockEnabled must be Enabled")
    if lock.mode is not None:
        _one_of("Mode", lock.mode, *MODES)
        if (lock.days is None) == (lock.years is None):
            raise ProtocolError("the default retention is given in days or in years")
    return lock


def render_object_lock(lock: ObjectLockConfiguration) -> bytes:
    """An ObjectLockConfiguration; ValueError for an unknown mode, or one without exactly one of days and years."""
    rule = ""
    if lock.mode is not None or lock.days is not None or lock.years is not None:
        if lock.mode not in MODES:
            raise ValueError(f"mode is one of {', '.join(MODES)}, not {lock.mode!r}")
        if (lock.days is None) == (lock.years is None):
            raise ValueError("the default retention is given in days or in years")
        rule = (
            f"<Rule><DefaultRetention>{element('Mode', lock.mode)}{given_number('Days', lock.days)}"
            f"{given_number('Years', lock.years)}</DefaultRetention></Rule>"
        )
    return frame("ObjectLockConfiguration", given("ObjectLockEnabled", "Enabled" if lock.enabled else None) + rule)


def parse_retention(body: bytes) -> Retention:
    """The answer to GetObjectRetention.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html
    """
    return _retention(open_document(body, "Retention"))


def _retention(root: Element) -> Retention:
    leaf = root.child("RetainUntilDate")
    return Retention(root.value("Mode") or None, time_of(leaf) if leaf is not None else None)


def parse_retention_request(body: bytes) -> Retention:
    """The document of PutObjectRetention; both fields are set, or neither, which takes the retention away."""
    return read_request(body, "Retention", _strict_retention)


def _strict_retention(root: Element) -> Retention:
    retention = _retention(only(root, "Mode", "RetainUntilDate"))
    if (retention.mode is None) != (retention.retain_until is None):
        raise ProtocolError("a Retention has both a Mode and a RetainUntilDate")
    if retention.mode is not None:
        _one_of("Mode", retention.mode, *MODES)
    return retention


def render_retention(retention: Retention) -> bytes:
    """A Retention; ValueError for an unknown mode, half of one, and a naive time."""
    mode, moment = retention
    if (mode is None) != (moment is None) or mode not in {None, *MODES}:
        raise ValueError(f"a retention has a mode ({' or '.join(MODES)}) and a retain_until, or neither")
    if moment is not None and moment.tzinfo is None:
        raise ValueError("retain_until must be aware of its time zone")
    return frame("Retention", given("Mode", mode) + given_time("RetainUntilDate", moment))


def parse_legal_hold(body: bytes) -> bool:
    """Whether a version is under legal hold: the answer to GetObjectLegalHold.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html
    """
    return _legal_hold(open_document(body, "LegalHold"))


def parse_legal_hold_request(body: bytes) -> bool:
    """The document of PutObjectLegalHold."""
    return read_request(body, "LegalHold", lambda root: _legal_hold(only(root, "Status")))


def _legal_hold(root: Element) -> bool:
    status = demand(root, "Status")
    _one_of("Status", status, "ON", "OFF")
    return status == "ON"


def render_legal_hold(on: bool) -> bytes:
    """A LegalHold."""
    return frame("LegalHold", element("Status", "ON" if on else "OFF"))


def parse_cors(body: bytes) -> list[CORSRule]:
    """The answer to GetBucketCors.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketCors.html
    """
    return _cors(open_document(body, "CORSConfiguration"))


def _cors(root: Element) -> list[CORSRule]:
    return [
        CORSRule(
            [item.text for item in row.all("AllowedOrigin")],
            [item.text for item in row.all("AllowedMethod")],
            [item.text for item in row.all("AllowedHeader")],
            [item.text for item in row.all("ExposeHeader")],
            integer(row, "MaxAgeSeconds"),
            row.value("ID") or None,
        )
        for row in root.all("CORSRule")
    ]


def parse_cors_request(body: bytes) -> list[CORSRule]:
    """The document of PutBucketCors, 1 to 100 rules; InvalidRequest: MalformedXML, InvalidRequest."""
    rules = read_request(body, "CORSConfiguration", _strict_cors)
    for rule in rules:
        _check_cors(rule)
    ids = [rule.id for rule in rules if rule.id is not None]
    if len(set(ids)) != len(ids):
        raise _invalid("two CORS rules have the same ID")
    return rules


def _strict_cors(root: Element) -> list[CORSRule]:
    rows = only(root, "CORSRule").children
    if not 1 <= len(rows) <= _CORS_RULES_MAX:
        raise ProtocolError(f"a CORS configuration has 1 to {_CORS_RULES_MAX} rules, not {len(rows)}")
    for row in rows:
        only(row, "ID", "AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader", "MaxAgeSeconds")
    rules = _cors(root)
    if not all(rule.allowed_origins and rule.allowed_methods for rule in rules):
        raise ProtocolError("a CORSRule has at least one AllowedOrigin and one AllowedMethod")
    return rules


def _check_cors(rule: CORSRule) -> None:
    if rule.id is not None and len(rule.id) > _RULE_ID_MAX:
        raise _invalid(f"the ID of a CORS rule has at most {_RULE_ID_MAX} characters")
    for method in rule.allowed_methods:
        if method not in _CORS_METHODS:
            raise _invalid(f"found unsupported HTTP method in CORS config: {method[:40]!r}")
    for name, values in (("AllowedOrigin", rule.allowed_origins), ("AllowedHeader", rule.allowed_headers)):
        for value in values:
            if value.count("*") > 1:
                raise _invalid(f"{name} {value[:200]!r} can not have more than one wildcard")
    for value in rule.expose_headers:
        if "*" in value:
            raise _invalid(f"ExposeHeader {value[:200]!r} contains a wildcard, which is not supported there")
    for value in [*rule.allowed_origins, *rule.allowed_headers, *rule.expose_headers]:
        # These are sent back as headers.
        if not value or re.search(r"[\x00-\x1f\x7f]", value):
            raise _invalid("a CORS rule holds a value that is empty or no text")
    if rule.max_age_seconds is not None and rule.max_age_seconds < 0:
        raise _invalid("MaxAgeSeconds is negative")


def render_cors(rules: Iterable[CORSRule]) -> bytes:
    """A CORSConfiguration; ValueError for no rule, and for a rule without an origin or a method."""
    rows = []
    for rule in rules:
        if not rule.allowed_origins or not rule.allowed_methods:
            raise ValueError("a CORS rule has at least one allowed origin and one allowed method")
        lists = {
            "AllowedHeader": rule.allowed_headers,
            "AllowedMethod": rule.allowed_methods,
            "AllowedOrigin": rule.allowed_origins,
            "ExposeHeader": rule.expose_headers,
        }
        elements = [element(name, value) for name, values in lists.items() for value in values]
        age = given_number("MaxAgeSeconds", rule.max_age_seconds)
        rows.append(f"<CORSRule>{given('ID', rule.id)}{''.join(elements)}{age}</CORSRule>")
    if not rows:
        raise ValueError("rules must not be empty; a configuration is removed with DeleteBucketCors")
    return frame("CORSConfiguration", "".join(rows))


def parse_policy_status(body: bytes) -> bool:
    """Whether a bucket is public: the answer to GetBucketPolicyStatus.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html
    """
    return demand_boolean(open_document(body, "PolicyStatus"), "IsPublic")


def render_policy_status(is_public: bool) -> bytes:
    """The answer to GetBucketPolicyStatus."""
    return frame("PolicyStatus", flag("IsPublic", is_public))


def _one_of(name: str, text: str, *choices: str) -> None:
    if text not in choices:
        raise ProtocolError(f"{name} is one of {', '.join(choices)}, not {text[:40]!r}")


def _invalid(message: str) -> ServiceError:
    return service_error("InvalidRequest", message)
