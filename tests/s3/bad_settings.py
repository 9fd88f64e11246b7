"""What is bad for each argument of the verbs about settings: the rows of test_bad_input's table for them."""

from __future__ import annotations

from typing import Any

from s3func.retention import Retention
from tests.s3.test_same_as_botocore import (
    ACCESS_BLOCK,
    ENCRYPTION,
    INVENTORY,
    LIFECYCLE,
    LOGGING,
    NOTIFICATION,
    REPLICATION,
    WEBSITE,
)

NO_MAPPINGS: list[Any] = [None, 5, "text", b"text", [("a", "b")], True]
NO_TAGS: list[Any] = [*NO_MAPPINGS, {"": "x"}, {5: "x"}, {"a": 5}, {"a": "\ud800"}, {"\ud800": "a"}]
NO_RETENTIONS: list[Any] = [
    5,
    "GOVERNANCE",
    ("GOVERNANCE", None),
    Retention("GOVERNANCE"),
    Retention("FOREVER", "2030"),  # type: ignore[arg-type]
    Retention("GOVERNANCE", "2030-01-01"),  # type: ignore[arg-type]
]
_NO_IDENTIFIERS: list[Any] = [None, 5, b"x", "", "\ud800"]
_DOCUMENTS: dict[str, Any] = {
    "bucket_lifecycle_configuration": LIFECYCLE,
    "bucket_encryption": ENCRYPTION,
    "public_access_block": ACCESS_BLOCK,
    "bucket_ownership_controls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
    "bucket_notification_configuration": NOTIFICATION,
    "bucket_replication": REPLICATION,
    "bucket_website": WEBSITE,
    "bucket_logging": LOGGING,
    "bucket_request_payment": {"Payer": "Requester"},
    "bucket_accelerate_configuration": {"Status": "Enabled"},
}
_REMOVED = (
    *("bucket_lifecycle", "bucket_encryption", "public_access_block", "bucket_ownership_controls"),
    *("bucket_replication", "bucket_website", "bucket_tagging", "bucket_cors", "bucket_policy"),
)
_READ = (
    *("bucket_location", "bucket_versioning", "bucket_tagging", "bucket_acl", "bucket_cors", "bucket_policy"),
    *("bucket_policy_status", "object_lock_configuration"),
)

Row = tuple[dict[str, Any], dict[str, list[Any]], frozenset[str]]


def rows(keys: list[Any], versions: list[Any], buckets: list[Any], seconds: list[Any]) -> dict[str, Row]:
    """Arguments that are good, what is bad for each, and those that nothing is bad for; by the name of the verb."""
    about_bucket: dict[str, list[Any]] = {"bucket": buckets}
    about_object: dict[str, list[Any]] = {"key": keys, "version_id": versions, "bucket": buckets}
    named = {"identifier": _NO_IDENTIFIERS, "bucket": buckets}
    configured = {"configuration": NO_MAPPINGS, "bucket": buckets}
    nothing: frozenset[str] = frozenset()
    key = {"key": "key"}
    inventory = {"identifier": "i"}
    found: dict[str, Row] = {f"get_{name}": ({}, about_bucket, nothing) for name in (*_READ, *_DOCUMENTS)}
    found |= {f"put_{name}": ({"configuration": value}, configured, nothing) for name, value in _DOCUMENTS.items()}
    found |= {f"delete_{name}": ({}, about_bucket, nothing) for name in _REMOVED}
    found |= {f"get_object_{name}": (key, about_object, nothing) for name in ("tagging", "acl")}
    found |= {f"get_object_{name}": (key, about_object, nothing) for name in ("legal_hold", "retention")}
    access = {"acl": [5, b"private", "a\r\nb", None], "grants": [5, ["x"]], "bucket": buckets}
    return found | {
        "list_bucket_inventory_configurations": ({}, about_bucket, nothing),
        "get_bucket_inventory_configuration": (inventory, named, nothing),
        "delete_bucket_inventory_configuration": (inventory, named, nothing),
        "put_bucket_inventory_configuration": (inventory | {"configuration": INVENTORY}, named | configured, nothing),
        "put_bucket_versioning": ({"status": "Enabled"}, about_bucket | {"status": [None, 5, "on", ""]}, nothing),
        "put_bucket_tagging": ({"tags": {}}, about_bucket | {"tags": NO_TAGS}, nothing),
        "put_object_tagging": (key | {"tags": {}}, about_object | {"tags": NO_TAGS}, nothing),
        "delete_object_tagging": (key, about_object, nothing),
        "put_bucket_acl": ({"acl": "private"}, access, nothing),
        "put_object_acl": (key | {"acl": "private"}, about_object | access, nothing),
        "put_bucket_cors": (
            {"rules": [{"allowed_origins": ["*"], "allowed_methods": ["GET"]}]},
            about_bucket | {"rules": [None, 5, "x", {}, [], [5], [{"origin": "*"}]]},
            nothing,
        ),
        "put_bucket_policy": ({"policy": {}}, about_bucket | {"policy": [None, 5, b"{}", "x", "[]", []]}, nothing),
        "put_object_lock_configuration": (
            {"mode": "GOVERNANCE", "days": 1},
            about_bucket | {"mode": [5, "x", None], "days": [0, "1", True, 1.5, None], "years": [0, "1", True, 1.5, 1]},
            nothing,
        ),
        "get_object_lock_config": ({}, {}, nothing),
        "polars_storage_options": ({}, {"bucket": buckets}, nothing),
        "duckdb_secret": ({}, {"bucket": buckets, "name": [5, b"x", "\0"], "scope": [5, b"x", "\0"]}, nothing),
        "put_object_lock_config": ({"lock": True}, {"lock": [None, 0, 1, "x"]}, nothing),
        "put_object_legal_hold": (
            key | {"hold": True},
            about_object | {"hold": [None, 1, "ON"]},
            nothing,
        ),
        "put_object_retention": (
            key | {"retention": None},
            about_object | {"retention": NO_RETENTIONS},
            frozenset({"bypass_governance"}),
        ),
        "get_object_attributes": (
            key,
            about_object | {"attributes": [None, 5, [], "Size", ["ETag", 5]]},
            nothing,
        ),
        "restore_object": (
            key | {"days": 1},
            about_object | {"days": [0, -1, "1", True, 1.5], "tier": [None, 5, "Slow"]},
            nothing,
        ),
        "select_object_content": (
            key | {"expression": "SELECT", "input_serialization": {"Parquet": {}}},
            {
                "key": keys,
                "bucket": buckets,
                "expression": [None, 5, "", "\ud800"],
                "input_serialization": [None, 5, "CSV", {}],
                "output_serialization": [5, "CSV", {}],
                "scan_range": [5, (1,), (-1, 2), ("1", 2), (None, None)],
            },
            nothing,
        ),
        "with_options": (
            {},
            {
                "request_payer": [0, 1, "yes"],
                "expected_bucket_owner": ["", 5, b"1", "a b", "1\r\n"],
                "encryption": ["AES256", 5, {"a": "b"}],
            },
            nothing,
        ),
        "presigned_post": (
            key,
            {
                "key": keys,
                "expires": [value for value in seconds if value != 5],
                "fields": [*NO_MAPPINGS[1:], {5: "x"}, {"a": 5}, {"a": "\ud800"}, {"policy": "x"}],
                "conditions": [5, "x", {"a": "b"}, [5], [["starts-with", "$a"]], [["like", "$a", "b"]]],
                "bucket": buckets,
            },
            nothing,
        ),
    }
