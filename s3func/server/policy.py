"""Bucket policies: reading the document, and what it says about one request. Pure: no store, no clock, no network.

Rule 1: a Deny that applies wins over every Allow; where nothing applies the policy says nothing.
Rule 2: what this file does not understand is refused when the policy is put, never skipped: a Deny that is not
        understood would let in whom it is there to keep out.
Rule 3: wildcards are matched in a time that grows with pattern times text, for patterns are the clients'.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Literal, NamedTuple

from s3func.errors import ServiceError, service_error
from s3func.wire.encoding import parse_iso8601

POLICY_BYTES_MAX = 20 * 1024

Effect = Literal["Allow", "Deny"]
Context = Mapping[str, Sequence[str]]
"""What conditions are asked about: values by the key's name in lower case; a key that does not apply is missing."""

_PREFIX = "arn:aws:s3:"
_VERSIONS = ("2012-10-17", "2008-10-17")
_STATEMENT = frozenset({"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"})
# What a request has, and what only requests have that come in ways which lead elsewhere: those keys are never there.
_KEYS = frozenset(
    {
        *("aws:currenttime", "aws:epochtime", "aws:referer", "aws:securetransport", "aws:sourceip", "aws:useragent"),
        *("aws:multifactorauthage", "aws:multifactorauthpresent", "aws:principalorgid", "aws:principalservicename"),
        *(
            "aws:sourceaccount",
            "aws:sourcearn",
            "aws:sourcevpc",
            "aws:sourcevpce",
            "aws:viaawsservice",
            "aws:vpcsourceip",
        ),
        *("aws:principalaccount", "aws:principalarn", "aws:userid", "aws:username", "aws:principalisawsservice"),
        *("s3:authtype", "s3:delimiter", "s3:max-keys", "s3:prefix", "s3:requestobjecttagkeys", "s3:signatureversion"),
        *("s3:if-match", "s3:if-none-match", "s3:locationconstraint", "s3:versionid", "s3:resourceaccount"),
        *("s3:object-lock-mode", "s3:object-lock-retain-until-date", "s3:object-lock-legal-hold"),
    }
)
_KEY_PREFIXES = ("s3:existingobjecttag/", "s3:requestobjecttag/", "s3:x-amz-", "aws:principaltag/")
# A condition that pins one of these down keeps a statement for everybody from being public.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
_PINS = frozenset(
    {
        *("aws:sourceip", "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceaccount", "aws:userid"),
        *(
            "aws:principalorgid",
            "aws:principalarn",
            "aws:principalaccount",
            "s3:x-amz-server-side-encryption-aws-kms-key-id",
        ),
    }
)


class Principal(NamedTuple):
    """Who asks: a user's canonical id ("" for everybody) and the tenant that it belongs to."""

    canonical_id: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key. quantifier: "", "ForAnyValue" or "ForAllValues"; if_exists: a missing key holds."""

    operator: str
    key: str
    values: tuple[str, ...]
    quantifier: str = ""
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. principals: ids, ARNs or "*"; a list that is None does not restrict."""

    effect: Effect
    principals: tuple[str, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_actions: bool = False
    not_resources: bool = False
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was understood, whole."""

    statements: tuple[Statement, ...]

    @property
    def is_public(self) -> bool:
        """Whether a statement lets in everybody, with no condition that says where from."""
        return any(
            statement.effect == "Allow"
            and "*" in statement.principals
            and not any(map(_pins_down, statement.conditions))
            for statement in self.statements
        )

    def evaluate(self, who: Principal, action: str, resource: str, context: Context) -> Effect | None:
        """What the policy says: "Deny", "Allow", or None where no statement applies.

        action: "s3:GetObject". resource: "bucket" or "bucket/key".
        """
        effects = {
            statement.effect
            for statement in self.statements
            if _applies(statement, who, action, _PREFIX + "::" + resource, context)
        }
        return "Deny" if "Deny" in effects else "Allow" if effects else None


def parse_policy(text: str, bucket: str) -> Policy:
    """Read the document of PutBucketPolicy for a bucket.

    Raises InvalidRequest (MalformedPolicy) with what is wrong.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    if len(text.encode()) > POLICY_BYTES_MAX:
        raise _malformed(f"Policies have at most {POLICY_BYTES_MAX} bytes.")
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _malformed("This policy contains invalid Json") from error
    if not isinstance(document, dict):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    if document.keys() - {"Version", "Id", "Statement"}:
        raise _malformed("The policy has an unknown element.")
    if document.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise _malformed("The policy must contain a valid version string")
    statements = document.get("Statement")
    rows = [statements] if isinstance(statements, dict) else statements
    if not isinstance(rows, list) or not rows:
        raise _malformed("Missing required field Statement")
    return Policy(tuple(_statement(row, bucket) for row in rows))


@lru_cache(maxsize=256)
def stored_policy(text: str, bucket: str) -> Policy:
    """A policy as it was accepted; reading it again for every request would cost more than most requests."""
    return parse_policy(text, bucket)


def wildcard_matches(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern in which `*` is anything and `?` one character."""
    place = at = 0
    star = mark = -1
    while at < len(text):
        # A star first: in the text it is an ordinary character.
        if place < len(pattern) and pattern[place] == "*":
            star, mark = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[at]):
            place += 1
            at += 1
        elif star >= 0:
            # The last star takes one more; an earlier one never needs to.
            mark += 1
            place, at = star + 1, mark
        else:
            return False
    return all(each == "*" for each in pattern[place:])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return names


def _statement(row: Any, bucket: str) -> Statement:
    if not isinstance(row, dict):
        raise _malformed("A Statement is an object.")
    if unknown := row.keys() - _STATEMENT:
        # NotPrincipal with Allow lets in the whole world, which S3 refuses; with Deny it is discouraged.
        raise _malformed(f"Policy has an unsupported element: {min(unknown)[:40]}")
    effect = row.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise _malformed("Invalid effect: Allow or Deny")
    if not isinstance(row.get("Sid", ""), str):
        raise _malformed("A Sid is a text.")
    not_actions, actions = _one_of(row, "Action")
    for action in actions:
        if action != "*" and not action.lower().startswith("s3:"):
            raise _malformed("Policy has invalid action")
    not_resources, resources = _one_of(row, "Resource")
    conditions = row.get("Condition", {})
    if not isinstance(conditions, dict):
        raise _malformed("A Condition is an object.")
    return Statement(
        effect,
        _principals(row.get("Principal")),
        tuple(action.lower() for action in actions),
        tuple(_resource(resource, bucket) for resource in resources),
        not_actions,
        not_resources,
        tuple(each for name, keys in conditions.items() for each in _conditions(name, keys)),
    )


def _one_of(row: Mapping[str, Any], name: str) -> tuple[bool, tuple[str, ...]]:
    """The texts of `name` or of its opposite; exactly one of them has to be there."""
    if (name in row) == (f"Not{name}" in row):
        raise _malformed(f"Missing required field {name}")
    is_not = name not in row
    texts = _texts(row[f"Not{name}" if is_not else name])
    if not texts:
        raise _malformed(f"Policy has no {name}")
    return is_not, texts


def _texts(value: Any) -> tuple[str, ...]:
    rows = value if isinstance(value, list) else [value]
    for row in rows:
        if not isinstance(row, str):
            raise _malformed("The policy holds something else where a text must stand.")
        if "${" in row:
            raise _malformed("Policy variables are not supported.")
    return tuple(rows)


def _principals(value: Any) -> tuple[str, ...]:
    if value == "*":
        return ("*",)
    if not isinstance(value, dict) or not value:
        raise _malformed("Invalid principal in policy")
    found: list[str] = []
    for kind, ids in value.items():
        texts = _texts(ids)
        if kind not in ("AWS", "CanonicalUser", "Service", "Federated") or not texts or not all(texts):
            raise _malformed("Invalid principal in policy")
        for text in texts:
            # No pattern but the star alone is allowed, for it would say "everybody" without saying so.
            if "*" in text and (text != "*" or kind != "AWS"):
                raise _malformed("Invalid principal in policy")
            if kind in ("AWS", "CanonicalUser"):
                found.append(text)
    return tuple(found)


def _resource(text: str, bucket: str) -> str:
    """The pattern for "arn:aws:s3:::bucket/key", which has to be about this bucket."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[:3] != ["arn", "aws", "s3"] or parts[3]:
        raise _malformed("Policy has invalid resource")
    name = parts[5].partition("/")[0]
    if not wildcard_matches(name, bucket):
        raise _malformed("Policy has invalid resource")
    return f"{_PREFIX}::{parts[5]}"


def _conditions(name: Any, keys: Any) -> list[Condition]:
    quantifier, separator, operator = name.rpartition(":")
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    if separator and quantifier not in ("ForAnyValue", "ForAllValues"):
        raise _malformed(f"Invalid Condition type : {name[:60]}")
    if operator not in _OPERATORS or (operator == "Null" and (if_exists or quantifier)):
        raise _malformed(f"Invalid Condition type : {name[:60]}")
    if not isinstance(keys, dict):
        raise _malformed("The keys of a Condition are an object.")
    found = []
    for key, given in keys.items():
        lower = key.lower()
        if lower not in _KEYS and not lower.startswith(_KEY_PREFIXES):
            raise _malformed("Policy has an invalid condition key")
        rows = given if isinstance(given, list) else [given]
        values = _texts([_as_text(row) for row in rows])
        if not values:
            raise _malformed("A Condition has no value.")
        for value in values:
            _check_value(operator, value)
        found.append(Condition(operator, lower, values, quantifier, if_exists))
    return found


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _check_value(operator: str, value: str) -> None:
    """A value that its operator cannot read would never match, which for a Deny is the wrong way."""
    try:
        if operator.startswith("Numeric"):
            Decimal(value)
        elif operator.startswith("Date"):
            _moment(value)
        elif operator in ("IpAddress", "NotIpAddress"):
            ip_network(value, strict=False)
        elif operator in ("Bool", "Null") and value.lower() not in ("true", "false"):
            raise ValueError("neither true nor false")
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise _malformed(f"{operator} cannot take the value {value[:60]!r}") from error


def _malformed(message: str) -> ServiceError:
    return service_error("MalformedPolicy", message)


def _pins_down(condition: Condition) -> bool:
    if condition.key not in _PINS or condition.if_exists or condition.quantifier == "ForAllValues":
        return False
    if condition.operator == "IpAddress":
        return all(ip_network(value, strict=False).prefixlen >= 8 for value in condition.values)
    if condition.operator not in ("StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnEquals", "ArnLike"):
        return False
    return not any("*" in value or "?" in value for value in condition.values)


def _applies(statement: Statement, who: Principal, action: str, resource: str, context: Context) -> bool:
    lower = action.lower()
    return (
        any(_names(principal, who) for principal in statement.principals)
        and any(wildcard_matches(pattern, lower) for pattern in statement.actions) != statement.not_actions
        and any(wildcard_matches(pattern, resource) for pattern in statement.resources) != statement.not_resources
        and all(_holds(condition, context) for condition in statement.conditions)
    )


def _names(principal: str, who: Principal) -> bool:
    """Whether a principal of a policy is, or includes, who asks.

    A user is an account of its own, and those of a tenant are one account: "arn:aws:iam::ACCOUNT:root".
    """
    if principal == "*":
        return True
    if not who.canonical_id:
        return False
    if not principal.startswith("arn:"):
        return principal in (who.canonical_id, who.tenant)
    parts = principal.split(":", 5)
    if len(parts) != 6 or parts[:3] != ["arn", "aws", "iam"]:
        return False
    account, name = parts[4], parts[5]
    if name == "root":
        return account != "" and account in (who.tenant, who.canonical_id)
    return account in (who.tenant, who.canonical_id) and name == f"user/{who.canonical_id}"


def _holds(condition: Condition, context: Context) -> bool:
    given = context.get(condition.key)
    if condition.operator == "Null":
        return ("true" if given is None else "false") in [value.lower() for value in condition.values]
    test, negated = _OPERATORS[condition.operator]
    if given is None:
        return condition.if_exists or negated or condition.quantifier == "ForAllValues"

    def fits(value: str) -> bool:
        return any(_compare(test, value, each) for each in condition.values) != negated

    # Without a quantifier a key has one value; a negated operator must hold for all there are.
    if condition.quantifier == "ForAllValues" or (negated and condition.quantifier != "ForAnyValue"):
        return all(map(fits, given))
    return any(map(fits, given))


def _compare(test: Callable[[str, str], bool], value: str, expected: str) -> bool:
    try:
        return test(value, expected)
    except (ValueError, OverflowError, InvalidOperation):
        # What the client sent is no number, date or address.
        return False


def _moment(text: str) -> datetime:
    return parse_iso8601(text)


def _in_network(value: str, expected: str) -> bool:
    return ip_address(value) in ip_network(expected, strict=False)


# Each operator: the comparison of the request's value with one of the policy's, and whether it is turned round.
_OPERATORS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (str.__eq__, False),
    "StringNotEquals": (str.__eq__, True),
    "StringEqualsIgnoreCase": (lambda value, expected: value.lower() == expected.lower(), False),
    "StringNotEqualsIgnoreCase": (lambda value, expected: value.lower() == expected.lower(), True),
    "StringLike": (lambda value, expected: wildcard_matches(expected, value), False),
    "StringNotLike": (lambda value, expected: wildcard_matches(expected, value), True),
    "ArnEquals": (lambda value, expected: wildcard_matches(expected, value), False),
    "ArnLike": (lambda value, expected: wildcard_matches(expected, value), False),
    "ArnNotEquals": (lambda value, expected: wildcard_matches(expected, value), True),
    "ArnNotLike": (lambda value, expected: wildcard_matches(expected, value), True),
    "NumericEquals": (lambda value, expected: Decimal(value) == Decimal(expected), False),
    "NumericNotEquals": (lambda value, expected: Decimal(value) == Decimal(expected), True),
    "NumericLessThan": (lambda value, expected: Decimal(value) < Decimal(expected), False),
    "NumericLessThanEquals": (lambda value, expected: Decimal(value) <= Decimal(expected), False),
    "NumericGreaterThan": (lambda value, expected: Decimal(value) > Decimal(expected), False),
    "NumericGreaterThanEquals": (lambda value, expected: Decimal(value) >= Decimal(expected), False),
    "DateEquals": (lambda value, expected: _moment(value) == _moment(expected), False),
    "DateNotEquals": (lambda value, expected: _moment(value) == _moment(expected), True),
    "DateLessThan": (lambda value, expected: _moment(value) < _moment(expected), False),
    "DateLessThanEquals": (lambda value, expected: _moment(value) <= _moment(expected), False),
    "DateGreaterThan": (lambda value, expected: _moment(value) > _moment(expected), False),
    "DateGreaterThanEquals": (lambda value, expected: _moment(value) >= _moment(expected), False),
    "Bool": (lambda value, expected: value.lower() == expected.lower(), False),
    "IpAddress": (_in_network, False),
    "NotIpAddress": (_in_network, True),
    "Null": (str.__eq__, False),
}
