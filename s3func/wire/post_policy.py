"""Uploads from a browser's form: the POST policy that says what a form may upload, its signature, and the answer.

Rule 1: the server's half raises what the server answers with: InvalidPolicyDocument for a policy that is none,
        AccessDenied for a form that it does not allow, InvalidArgument for a form that lacks something.
Rule 2: names of fields and of conditions have no case, their values do; values are text and compared as such.
Rule 3: a form is allowed what its policy names and nothing else: every field has to stand in a condition.
Rule 4: nothing here reads a clock or a body; taking multipart/form-data apart is the server's business.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from s3func.errors import ServiceError, service_error
from s3func.wire import sigv2, sigv4
from s3func.wire.encoding import amz_date, encode_component
from s3func.wire.s3xml_error import element, open_document, strip_quotes
from s3func.wire.s3xml_fields import demand

__all__ = [
    "FILENAME",
    "Condition",
    "FormSignature",
    "PostPolicy",
    "PostResponse",
    "check_content_length",
    "check_form",
    "form_fields",
    "is_signed_with",
    "parse_form_signature",
    "parse_policy",
    "parse_post_response",
    "presigned_form",
    "redirect_location",
    "render_post_response",
    "substitute_filename",
]

FILENAME = "${filename}"
"""What stands in a field for the name of the file that the user chose."""

_EXPIRATION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z", re.ASCII)
# Fields that no condition needs to name: the policy itself, who signed it and how, and the file.
_UNCONDITIONAL = frozenset({"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"})
# A checksum can only make an upload fail, never allow one; Ceph's suite sends it without a condition.
_UNCONDITIONAL_PREFIXES = ("x-ignore-", "x-amz-checksum-")
_V4_FIELDS = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")


class Condition(NamedTuple):
    """What a field has to be: `operator` "eq" or "starts-with", `field` in lower case without the "$"."""

    operator: str
    field: str
    value: str

    def __str__(self) -> str:
        return json.dumps([self.operator, f"${self.field}", self.value])


class PostPolicy(NamedTuple):
    """What a form may upload, and until when (aware, UTC); `length_max` is None where there is no limit."""

    expiration: datetime
    conditions: tuple[Condition, ...]
    length_min: int = 0
    length_max: int | None = None


class FormSignature(NamedTuple):
    """Who signed a form's policy; version 2 has no date, region and service."""

    version: int
    access_key_id: str
    signature: str
    date8: str = ""
    region: str = ""
    service: str = ""


class PostResponse(NamedTuple):
    """The answer to an upload with success_action_status 201."""

    location: str
    bucket: str
    key: str
    etag: str


def form_fields(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The fields of a form before its file, by lower-case name; InvalidRequest (InvalidArgument) for one given twice."""
    fields: dict[str, str] = {}
    for name, value in pairs:
        name = name.lower()
        if name in fields:
            raise _argument(f"POST requires exactly one field {name[:80]!r}", name)
        fields[name] = value
    if not fields.get("key"):
        raise _missing("key")
    return fields


def substitute_filename(fields: Mapping[str, str], filename: str) -> dict[str, str]:
    """The fields with the user's file name in the place of ${filename}; only what is behind its last slash counts."""
    name = re.split(r"[/\\]", filename)[-1]
    return {
        field: value if field in _UNCONDITIONAL else value.replace(FILENAME, name) for field, value in fields.items()
    }


def parse_policy(policy: str) -> PostPolicy:
    """Read the field "policy": base64 of a JSON document. Raises InvalidRequest (InvalidPolicyDocument)."""
    try:
        # Some forms break the base64 into lines; what is signed is the field as it came.
        document = b64decode("".join(policy.split()), validate=True).decode()
        # S3 allows one escape that JSON does not have.
        document = re.sub(r"\\(.)", lambda match: "$" if match[1] == "$" else match[0], document, flags=re.DOTALL)
        return _policy(json.loads(document, object_pairs_hook=_unambiguous))
    except (ValueError, RecursionError) as error:
        message = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise service_error("InvalidPolicyDocument", f"Invalid Policy: {message}"[:500]) from error


def check_form(policy: PostPolicy, fields: Mapping[str, str], *, bucket: str, now: float) -> None:
    """Raise AccessDenied unless the policy allows the form.

    fields: as `form_fields` and `substitute_filename` give them. bucket: the one that the form was sent to, whatever
    the form says. now: seconds since the epoch.
    """
    if datetime.fromtimestamp(now, UTC) >= policy.expiration:
        raise _denied("Policy expired.")
    values = {**fields, "bucket": bucket}
    for condition in policy.conditions:
        if not _holds(condition, values.get(condition.field)):
            raise _denied(f"Policy Condition failed: {condition}")
    covered = {condition.field for condition in policy.conditions}
    extra = [
        name
        for name in sorted(values)
        if name not in covered and name not in _UNCONDITIONAL and not name.startswith(_UNCONDITIONAL_PREFIXES)
    ]
    if extra:
        raise _denied(f"Extra input fields: {', '.join(extra)[:200]}")


def check_content_length(policy: PostPolicy, length: int) -> None:
    """Raise InvalidRequest (EntityTooSmall, EntityTooLarge) unless the policy allows a file of so many bytes."""
    if length < policy.length_min:
        details = {"ProposedSize": str(length), "MinSizeAllowed": str(policy.length_min)}
        message = "Your proposed upload is smaller than the minimum allowed size"
        raise service_error("EntityTooSmall", message, details=details)
    if policy.length_max is not None and length > policy.length_max:
        details = {"ProposedSize": str(length), "MaxSizeAllowed": str(policy.length_max)}
        message = "Your proposed upload exceeds the maximum allowed size"
        raise service_error("EntityTooLarge", message, details=details)


def parse_form_signature(fields: Mapping[str, str]) -> FormSignature | None:
    """Who signed the form; None for a form without a policy, which is anonymous.

    Raises InvalidRequest (InvalidArgument) for a policy without a signature, and for half a signature. Whether region,
    service and day are right is for the server to say, and whether the signature is: `is_signed_with`.
    """
    version_4 = any(name in fields for name in _V4_FIELDS)
    if "policy" not in fields:
        if version_4 or "signature" in fields or "awsaccesskeyid" in fields:
            raise _missing("policy")
        return None
    if not version_4:
        for name in ("AWSAccessKeyId", "signature"):
            if not fields.get(name.lower()):
                raise _missing(name)
        return FormSignature(2, fields["awsaccesskeyid"], fields["signature"])
    for name in _V4_FIELDS:
        if not fields.get(name):
            raise _missing(name)
    if fields["x-amz-algorithm"] != sigv4.ALGORITHM:
        raise _argument(f"X-Amz-Algorithm only supports {sigv4.ALGORITHM}", "x-amz-algorithm")
    parts = fields["x-amz-credential"].rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or parts[1] != fields["x-amz-date"][:8]:
        raise _argument("X-Amz-Credential is not ID/DATE/REGION/SERVICE/aws4_request", "x-amz-credential")
    key_id, date8, region, service, _ = parts
    return FormSignature(4, key_id, fields["x-amz-signature"], date8, region, service)


def is_signed_with(signature: FormSignature, policy: str, secret_access_key: str) -> bool:
    """Whether the field "policy", exactly as it came, was signed with the secret."""
    if signature.version == 2:
        expected = sigv2.signature(secret_access_key, policy)
    else:
        key = sigv4.signing_key(secret_access_key, signature.date8, signature.region, signature.service)
        expected = sigv4.signature(key, policy)
    return hmac.compare_digest(expected.encode(), signature.signature.encode())


def presigned_form(
    *,
    bucket: str,
    key: str,
    access_key_id: str,
    secret_access_key: str,
    region: str,
    now: float,
    expires_seconds: int,
    session_token: str | None = None,
    fields: Mapping[str, str] | None = None,
    conditions: Sequence[Mapping[str, str] | Sequence[Any]] = (),
) -> dict[str, str]:
    """The fields of a form that uploads to one key; the file's own field, "file", has to come behind them.

    key: with ${filename} at its end, whatever name the user's file has behind that prefix.
    fields: what else the form sends (Content-Type, acl, x-amz-meta-…); each is allowed exactly as it stands here,
    unless a condition says otherwise. conditions: as S3 writes them, {"acl": "private"},
    ["starts-with", "$Content-Type", "image/"], ["content-length-range", 1, 1048576].
    now: seconds since the epoch. Raises ValueError for arguments that no policy can be made of.
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
    """
    if not 1 <= expires_seconds <= sigv4.EXPIRES_MAX_SECONDS:
        raise ValueError(f"expires_seconds must be 1 to {sigv4.EXPIRES_MAX_SECONDS}, not {expires_seconds}")
    if not key:
        raise ValueError("key must not be empty")
    form = dict(fields or {})
    date = amz_date(now)
    scope = sigv4.credential_scope(date[:8], region)
    reserved = {"key", "bucket", "file", "policy", "x-amz-security-token", *_V4_FIELDS}
    taken = sorted(name for name in form if name.lower() in reserved)
    if taken:
        raise ValueError(f"fields must not hold what the form gets anyway: {', '.join(taken)}")
    given = [dict(row) if isinstance(row, Mapping) else list(row) for row in conditions]
    parsed, _, _ = _conditions(given)
    named = {condition.field for condition in parsed}
    given += [{name: value} for name, value in form.items() if name.lower() not in named]
    given.append({"bucket": bucket})
    whole = not key.endswith(FILENAME)
    given.append({"key": key} if whole else ["starts-with", "$key", key.removesuffix(FILENAME)])
    form["key"] = key
    signing = {
        "x-amz-algorithm": sigv4.ALGORITHM,
        "x-amz-credential": f"{access_key_id}/{scope}",
        "x-amz-date": date,
    }
    if session_token is not None:
        signing["x-amz-security-token"] = session_token
    form |= signing
    given += [{name: value} for name, value in signing.items()]
    expiration = datetime.fromtimestamp(int(now) + expires_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = json.dumps({"expiration": expiration, "conditions": given})
    form["policy"] = b64encode(document.encode()).decode("ascii")
    signing_key = sigv4.signing_key(secret_access_key, date[:8], region)
    form["x-amz-signature"] = sigv4.signature(signing_key, form["policy"])
    return form


def redirect_location(url: str, *, bucket: str, key: str, etag: str) -> str:
    """Where success_action_redirect leads: the URL with bucket, key and ETag behind it; `etag` without quotes."""
    query = f"bucket={encode_component(bucket)}&key={encode_component(key)}&etag=%22{encode_component(etag)}%22"
    return f"{url}{'&' if '?' in url else '?'}{query}"


def render_post_response(response: PostResponse) -> bytes:
    """The answer to an upload with success_action_status 201. Like S3's, it has no namespace."""
    location, bucket, key, etag = response
    content = element("Location", location) + element("Bucket", bucket) + element("Key", key)
    content += element("ETag", f'"{etag}"')
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{content}</PostResponse>'.encode()


def parse_post_response(body: bytes) -> PostResponse:
    """The answer to an upload with success_action_status 201, as a client reads it."""
    root = open_document(body, "PostResponse")
    key, etag = demand(root, "Key"), strip_quotes(demand(root, "ETag"))
    return PostResponse(root.value("Location") or "", root.value("Bucket") or "", key, etag)


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it gives one name twice")
    return found


def _policy(document: Any) -> PostPolicy:
    if not isinstance(document, dict) or document.keys() != {"expiration", "conditions"}:
        raise ValueError("it is not an object of expiration and conditions")
    expiration, conditions = document["expiration"], document["conditions"]
    if not (isinstance(expiration, str) and _EXPIRATION.fullmatch(expiration) and isinstance(conditions, list)):
        raise ValueError("expiration is a date of the form 2026-11-21T10:00:00.000Z, conditions is a list")
    return PostPolicy(datetime.fromisoformat(expiration), *_conditions(conditions))


def _conditions(rows: Sequence[Any]) -> tuple[tuple[Condition, ...], int, int | None]:
    """The conditions, and the least and the greatest length; ValueError for what is none."""
    conditions = []
    least, greatest = 0, None
    for row in rows:
        if isinstance(row, dict):
            if len(row) != 1:
                raise ValueError("Simple-Conditions must have exactly one property specified")
            ((field, value),) = row.items()
            conditions.append(_condition("eq", field, value))
            continue
        if not isinstance(row, list) or len(row) != 3 or not isinstance(row[0], str):
            raise ValueError("a condition is an object of one name, or a list of three entries")
        operator = row[0].lower()
        if operator == "content-length-range":
            low, high = _length(row[1]), _length(row[2])
            least, greatest = max(least, low), high if greatest is None else min(greatest, high)
        elif operator in {"eq", "starts-with"}:
            if not isinstance(row[1], str) or not row[1].startswith("$"):
                raise ValueError(f"the field of a condition begins with $: {str(row[1])[:80]!r}")
            conditions.append(_condition(operator, row[1][1:], row[2]))
        else:
            raise ValueError(f"unknown condition {operator[:80]!r}")
    return tuple(conditions), least, greatest


def _condition(operator: str, field: Any, value: Any) -> Condition:
    if not isinstance(field, str) or not field or not isinstance(value, str):
        raise ValueError(f"name and value of a condition are text: {str(field)[:80]!r}")
    return Condition(operator, field.lower(), value)


def _length(value: Any) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if re.fullmatch("[0-9]{1,19}", text, re.ASCII) is None:
        raise ValueError("content-length-range has two numbers of bytes")
    return int(text)


def _holds(condition: Condition, value: str | None) -> bool:
    if value is None:
        return False
    if condition.operator == "eq":
        return value == condition.value
    if condition.field == "content-type":
        # A list of types: each of them has to be allowed.
        return all(part.strip().startswith(condition.value) for part in value.split(","))
    return value.startswith(condition.value)


def _denied(message: str) -> ServiceError:
    return service_error("AccessDenied", f"Invalid according to Policy: {message}")


def _missing(name: str) -> ServiceError:
    return _argument(
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields.",
        name,
    )


def _argument(message: str, name: str) -> ServiceError:
    return service_error("InvalidArgument", message, details={"ArgumentName": name})
