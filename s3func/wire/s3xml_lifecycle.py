"""The lifecycle of a bucket: its document as a table, and the rules that S3 holds every rule against.

Rule 1: a check raises what S3 answers with; what only the form decides, the table has refused before.
Rule 2: nothing here expires anything; Date and Days are kept for whoever does.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from s3func.errors import ServiceError, service_error
from s3func.wire.s3xml_config import check_tags
from s3func.wire.s3xml_schema import (
    TAG,
    Document,
    Value,
    boolean,
    number,
    render_document,
    struct,
    structs,
    text,
    time,
)

_RULES_MAX = 1000
_ID_MAX = 255
_NEWER_VERSIONS_MAX = 100

_SIZES = (number("ObjectSizeGreaterThan"), number("ObjectSizeLessThan"))
LIFECYCLE = Document(
    "LifecycleConfiguration",
    (
        structs(
            "Rule",
            "Rules",
            text("ID"),
            text("Prefix"),
            struct(
                "Filter",
                text("Prefix"),
                struct("Tag", *TAG),
                *_SIZES,
                struct("And", text("Prefix"), structs("Tag", "Tags", *TAG), *_SIZES),
            ),
            text("Status", "Enabled", "Disabled", required=True),
            struct("Expiration", time("Date"), number("Days"), boolean("ExpiredObjectDeleteMarker")),
            structs("Transition", "Transitions", time("Date"), number("Days"), text("StorageClass")),
            structs(
                "NoncurrentVersionTransition",
                "NoncurrentVersionTransitions",
                number("NoncurrentDays"),
                number("NewerNoncurrentVersions"),
                text("StorageClass"),
            ),
            struct(
                "NoncurrentVersionExpiration",
                number("NoncurrentDays"),
                number("NewerNoncurrentVersions"),
            ),
            struct("AbortIncompleteMultipartUpload", number("DaysAfterInitiation")),
            required=True,
        ),
    ),
)

_ACTIONS = (
    "Expiration",
    "Transitions",
    "NoncurrentVersionTransitions",
    "NoncurrentVersionExpiration",
    "AbortIncompleteMultipartUpload",
)


def check_lifecycle(value: Value) -> Value:
    """The configuration with an ID in every rule; a rule that S3 refuses is its ServiceError."""
    rules = value["Rules"]
    if len(rules) > _RULES_MAX:
        raise _refused("InvalidRequest", f"a lifecycle has at most {_RULES_MAX} rules, not {len(rules)}")
    for rule in rules:
        if len(rule.get("ID", "")) > _ID_MAX:
            raise _argument(f"ID length should not exceed allowed limit of {_ID_MAX}")
        _check_filter(rule)
        _check_actions(rule)
    ids = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(set(ids)) != len(ids):
        raise _argument("Rule ID must be unique. Found same ID for more than one rule")
    return {
        "Rules": [
            rule if rule.get("ID") else {**rule, "ID": _made_up_id(rule, place, ids)}
            for place, rule in enumerate(rules)
        ]
    }


def _made_up_id(rule: Value, place: int, taken: list[str]) -> str:
    # From the rule itself, so that the same document gives the same answer every time.
    seed = render_document(LIFECYCLE, {"Rules": [rule]})
    while True:
        made = sha256(b"%d:%s" % (place, seed)).hexdigest()[:32]
        if made not in taken:
            return made
        seed += b" "


def _check_filter(rule: Value) -> None:
    if ("Prefix" in rule) == ("Filter" in rule):
        raise _malformed("a rule has a Filter, or in its older form a Prefix")
    conditions = rule.get("Filter", {})
    if len(conditions) > 1:
        raise _malformed("a Filter holds one condition; And holds several")
    both = conditions.get("And")
    if both is not None:
        if len(both) - ("Tags" in both) + len(both.get("Tags", ())) < 2:
            raise _malformed("And holds at least two conditions")
        conditions = both
    tags = [*conditions.get("Tags", ()), *([conditions["Tag"]] if "Tag" in conditions else ())]
    check_tags((tag["Key"], tag["Value"]) for tag in tags)
    more, less = conditions.get("ObjectSizeGreaterThan"), conditions.get("ObjectSizeLessThan")
    if (more is not None and more < 0) or (less is not None and less < 1):
        raise _argument("the sizes of a Filter must be positive")
    if more is not None and less is not None and more + 1 >= less:
        raise _refused("InvalidRequest", "no object is larger than ObjectSizeGreaterThan and below ObjectSizeLessThan")
    if tags and rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker") is not None:
        raise _refused("InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Tags")
    if tags and "AbortIncompleteMultipartUpload" in rule:
        raise _refused("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags")


def _check_actions(rule: Value) -> None:
    if not any(action in rule for action in _ACTIONS):
        raise _refused("InvalidRequest", "At least one action needs to be specified in a rule")
    expiration = rule.get("Expiration")
    transitions = rule.get("Transitions", [])
    if expiration is not None:
        if len(expiration) != 1:
            raise _malformed("an Expiration holds one of Date, Days and ExpiredObjectDeleteMarker")
        _check_when("Expiration", expiration, 1)
    for transition in transitions:
        if ("Date" in transition) == ("Days" in transition) or "StorageClass" not in transition:
            raise _malformed("a Transition holds a StorageClass and one of Date and Days")
        _check_when("Transition", transition, 0)
    _check_order(expiration or {}, transitions)
    for row in rule.get("NoncurrentVersionTransitions", []):
        _check_noncurrent("NoncurrentVersionTransition", row, 0)
        if "StorageClass" not in row:
            raise _malformed("a NoncurrentVersionTransition lacks its StorageClass")
    if "NoncurrentVersionExpiration" in rule:
        _check_noncurrent("NoncurrentVersionExpiration", rule["NoncurrentVersionExpiration"], 1)
    abort = rule.get("AbortIncompleteMultipartUpload")
    if abort is None:
        return
    if "DaysAfterInitiation" not in abort:
        raise _malformed("an AbortIncompleteMultipartUpload lacks DaysAfterInitiation")
    if abort["DaysAfterInitiation"] < 1:
        raise _argument("'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer")


def _check_noncurrent(action: str, row: Mapping[str, Any], least: int) -> None:
    days = row.get("NoncurrentDays")
    if days is None:
        raise _malformed(f"a {action} lacks its NoncurrentDays")
    if days < least:
        raise _argument(f"'NoncurrentDays' for {action} action must be a positive integer")
    if not 1 <= row.get("NewerNoncurrentVersions", 1) <= _NEWER_VERSIONS_MAX:
        raise _argument(f"'NewerNoncurrentVersions' for {action} action must be 1 to {_NEWER_VERSIONS_MAX}")


def _check_when(action: str, when: Mapping[str, Any], least: int) -> None:
    if when.get("Days", least) < least:
        raise _argument(f"'Days' for {action} action must be a {'positive' if least else 'nonnegative'} integer")
    date = when.get("Date")
    if isinstance(date, datetime) and date.astimezone(UTC).time().replace(tzinfo=None) != datetime.min.time():
        raise _argument("'Date' must be at midnight GMT")


def _check_order(expiration: Mapping[str, Any], transitions: list[Value]) -> None:
    for unit, other in (("Date", "Days"), ("Days", "Date")):
        kinds = [unit in transition for transition in transitions]
        if any(kinds) and (not all(kinds) or other in expiration):
            raise _refused("InvalidRequest", "Found mixed 'Date' and 'Days' based Expiration and Transition actions")
        if any(kinds) and unit in expiration and expiration[unit] <= max(row[unit] for row in transitions):
            raise _argument(f"'{unit}' in the Expiration action must be later than '{unit}' in the Transition action")


def _refused(code: str, message: str) -> ServiceError:
    return service_error(code, message)


def _argument(message: str) -> ServiceError:
    return service_error("InvalidArgument", message)


def _malformed(message: str) -> ServiceError:
    return service_error("MalformedXML", message)
