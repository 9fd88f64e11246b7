"""Requests about the settings of buckets and objects: one sub-resource each, read and written as one document.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import md5
from typing import TYPE_CHECKING, Any
from zlib import crc32

from s3func.errors import ProtocolError, ServiceError
from s3func.retention import Retention, checked_retention
from s3func.s3.headers import check_key, check_text
from s3func.s3.operations import bare, on_bucket, with_document
from s3func.s3.payload import DefaultChecksum
from s3func.wire.encoding import encode_query, header_value

if TYPE_CHECKING:
    from s3func.message import Request
    from s3func.s3.endpoints import Place
    from s3func.wire.s3xml_acl import AccessControlPolicy, Grant
    from s3func.wire.s3xml_config import CORSRule

TIERS = ("Standard", "Bulk", "Expedited")


def about_bucket(
    method: str,
    place: Place,
    setting: str,
    *,
    identifier: str | None = None,
    token: str | None = None,
    body: bytes | None = None,
) -> Request:
    """A request about one setting of a bucket. identifier: of those that a bucket may have several of; token: of a page."""
    pairs = [(setting, "")]
    if identifier is not None:
        pairs.append(("id", identifier))
    if token is not None:
        pairs.append(("continuation-token", token))
    return _with_body(on_bucket(method, place, encode_query(pairs)), body)


def about_object(
    method: str,
    place: Place,
    key: str,
    setting: str,
    *,
    version_id: str | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """A request about one setting of an object, or of a version of it."""
    pairs = [(setting, "")]
    if version_id is not None:
        if not check_text("version_id", version_id):
            raise ValueError("version_id is empty")
        pairs.append(("versionId", version_id))
    request = bare(method, place, check_key(key), encode_query(pairs), dict(headers or {}))
    return _with_body(request, body)


def _with_body(request: Request, body: bytes | None) -> Request:
    if body is None:
        return request
    # S3 wants one of the two on documents that change settings, and which one differs from store to store.
    request.headers["content-md5"] = b64encode(md5(body, usedforsecurity=False).digest()).decode()
    request.headers["x-amz-checksum-crc32"] = DefaultChecksum(b64encode(crc32(body).to_bytes(4, "big")).decode())
    if body:
        request.headers["content-type"] = "application/json" if body.startswith(b"{") else "application/xml"
    return with_document(request, body)


def check_identifier(identifier: str) -> str:
    """The name of one of several configurations; TypeError or ValueError."""
    if not check_text("identifier", identifier):
        raise ValueError("identifier is empty")
    return identifier


def tags_document(tags: Mapping[str, str]) -> bytes:
    """A Tagging document; TypeError for anything but a mapping of text to text."""
    from s3func.wire.s3xml_config import render_tagging

    if not isinstance(tags, Mapping):
        raise TypeError(f"tags must be a mapping, not {type(tags).__name__}")
    for name, value in tags.items():
        if not name:
            raise ValueError("tags has a tag without a name")
        check_text("tags", name)
        check_text("tags", value)
    return render_tagging(tags)


def access_headers(acl: str | AccessControlPolicy | None, grants: Iterable[Grant]) -> tuple[dict[str, str], bytes]:
    """The headers and the document that set an access control list: exactly one of the three ways to say it."""
    from s3func.wire.s3xml_acl import AccessControlPolicy, Grant, grant_headers, render_access_control_policy

    rows = list(grants) if isinstance(grants, Iterable) else [grants]
    if not all(isinstance(grant, Grant) for grant in rows):
        raise TypeError("grants must be an iterable of Grant")
    granted = grant_headers(rows)
    if (acl is None) != bool(granted):
        raise ValueError("give either acl or grants")
    if isinstance(acl, AccessControlPolicy):
        return {}, render_access_control_policy(acl)
    return (granted if acl is None else {"x-amz-acl": header_value("acl", acl)}), b""


def retention_document(retention: Retention | None) -> bytes:
    """A Retention document, an empty one for None; TypeError or ValueError names the argument."""
    from s3func.wire.s3xml_config import render_retention

    return render_retention(Retention() if retention is None else Retention(*checked_retention(retention)))


def cors_document(rules: Iterable[CORSRule | Mapping[str, Any]]) -> bytes:
    """A CORSConfiguration; rules as CORSRule or as mappings of its fields."""
    from s3func.wire.s3xml_config import CORSRule, render_cors

    if not isinstance(rules, Iterable) or isinstance(rules, str | bytes | Mapping):
        raise TypeError(f"rules must be an iterable of rules, not {type(rules).__name__}")
    made = [rule if isinstance(rule, CORSRule) else _cors_rule(rule) for rule in rules]
    if not made:
        raise ValueError("rules is empty: delete_bucket_cors takes them away")
    for rule in made:
        for name in ("allowed_origins", "allowed_methods", "allowed_headers", "expose_headers"):
            if isinstance(getattr(rule, name), str):
                raise TypeError(f"rules: {name} must be a sequence of str, not a str")
    return render_cors(made)


def _cors_rule(rule: Mapping[str, Any]) -> CORSRule:
    from s3func.wire.s3xml_config import CORSRule

    if not isinstance(rule, Mapping):
        raise TypeError(f"rules must hold CORSRule or mappings, not {type(rule).__name__}")
    unknown = sorted(set(rule) - set(CORSRule._fields))
    if unknown:
        raise ValueError(f"rules has a rule with {unknown[0]!r}; the fields are {', '.join(CORSRule._fields)}")
    return CORSRule(**{"allowed_origins": (), "allowed_methods": (), **rule})


def policy_document(policy: Mapping[str, Any] | str) -> bytes:
    """A policy as JSON; ValueError for a text that is none, before S3 says so."""
    import json

    if isinstance(policy, Mapping):
        return json.dumps(policy, separators=(",", ":")).encode()
    if not isinstance(policy, str):
        raise TypeError(f"policy must be a mapping or a str, not {type(policy).__name__}")
    try:
        found = json.loads(policy)
    except ValueError as error:
        raise ValueError(f"policy is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("policy must be a JSON object")  # noqa: TRY004 -- the argument is a str, as it may be
    return policy.encode()


def parse_policy(body: bytes) -> dict[str, Any]:
    """The policy as plain values."""
    import json

    try:
        found = json.loads(body)
    except ValueError as error:
        raise ProtocolError(f"the bucket's policy is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ProtocolError("the bucket's policy is no JSON object")
    return found


def parse_inventories(body: bytes) -> tuple[list[dict[str, Any]], str | None]:
    """A page of ListBucketInventoryConfigurations, and the token of the next one.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBucketInventoryConfigurations.html
    """
    from s3func.wire.s3xml_error import open_document
    from s3func.wire.s3xml_schema import read_document
    from s3func.wire.s3xml_stored import CONFIGURATIONS

    root = open_document(body, "ListInventoryConfigurationsResult", "ListBucketInventoryConfigurationsResult")
    known = CONFIGURATIONS["InventoryConfiguration"].document
    rows = [read_document(known, row, strict=False) for row in root.all("InventoryConfiguration")]
    token = root.value("NextContinuationToken") or None
    if root.value("IsTruncated") == "true" and token is None:
        raise ProtocolError("the list of inventories is truncated, and the store gives no token to go on from")
    return rows, token


def check_form(fields: Mapping[str, str] | None, conditions: Sequence[Mapping[str, str] | Sequence[Any]]) -> None:
    """What a form is made of, as far as it can be seen before it is signed; TypeError or ValueError names the argument."""
    import json

    from s3func.wire.post_policy import parse_policy

    if fields is not None and not isinstance(fields, Mapping):
        raise TypeError(f"fields must be a mapping, not {type(fields).__name__}")
    for name, value in (fields or {}).items():
        check_text("fields", name)
        check_text("fields", value)
    if not isinstance(conditions, Sequence) or isinstance(conditions, str):
        raise TypeError(f"conditions must be a sequence, not {type(conditions).__name__}")
    policy = {"expiration": "2030-01-01T00:00:00Z", "conditions": list(conditions)}
    try:
        parse_policy(b64encode(json.dumps(policy).encode()).decode())
    except (ServiceError, TypeError) as error:
        raise ValueError(f"conditions is no list of conditions: {getattr(error, 'message', error)}") from None


def restore_document(days: int | None, tier: str) -> bytes:
    """A RestoreRequest; `days` None for classes that are restored in place."""
    from s3func.wire.s3xml_stored import render_configuration

    if tier not in TIERS:
        raise ValueError(f"tier must be one of {', '.join(TIERS)}, not {tier!r}")
    if days is None:
        return render_configuration("RestoreRequest", {"GlacierJobParameters": {"Tier": tier}})
    if isinstance(days, bool) or not isinstance(days, int):
        raise TypeError(f"days must be an int, not {type(days).__name__}")
    if days < 1:
        raise ValueError(f"days must be at least 1, not {days}")
    return render_configuration("RestoreRequest", {"Days": days, "GlacierJobParameters": {"Tier": tier}})
