"""Where a foreign server does not do what AWS documents: data, so that the tests themselves know no server by name.

A row makes its test an expected failure, with exactly the named error. The expectation is strict: when a new version of
the server mends the matter, the test fails and the row goes. No row may stand for a fault of our own client.
"""

from __future__ import annotations

import pytest

from s3func.errors import (
    ChecksumMismatch,
    DeleteFailed,
    InvalidRequest,
    NoSuchKey,
    NotImplementedByStore,
    NotSupported,
    PreconditionFailed,
    ProtocolError,
    ServerError,
    TruncatedBody,
)
from tests.interop.keys import HOSTILE_KEYS

NOT_REFUSED = pytest.fail.Exception
"""What `pytest.raises` fails with where the server did what it should have refused."""

# (server, test, with the rest of its id where only that case differs) -> the error that the test meets, and why.
DEVIATIONS: dict[tuple[str, str], tuple[type[BaseException], str]] = {
    ("rgw", "test_replace_only_what_was_read"): (PreconditionFailed, "a quoted ETag in If-Match never matches"),
    ("rgw", "test_delete_only_what_was_read"): (NOT_REFUSED, "DELETE ignores If-Match"),
    ("rgw", "test_an_upload_that_is_gone"): (NoSuchKey, "an upload that is gone is NoSuchKey"),
    **{
        ("rgw", f"test_documents[{name}]"): (InvalidRequest, "Ceph 16 has no such setting")
        for name in (
            "bucket_accelerate_configuration",
            "bucket_encryption",
            "bucket_notification_configuration",
            "bucket_ownership_controls",
            "bucket_website",
        )
    },
    **{
        ("rgw", test): (InvalidRequest, "Ceph 16 has no such operation")
        for test in ("test_inventories", "test_logging", "test_restore")
    },
    ("rgw", "test_documents[public_access_block]"): (NOT_REFUSED, "what was deleted is answered with its defaults"),
    ("rgw", "test_retention"): (InvalidRequest, "a retention cannot be lifted: the empty document is malformed"),
    ("rgw", "test_select"): (
        TruncatedBody,
        "Ceph 16 has SQL of its own, and says what it refuses as rows without an end",
    ),
    ("rgw", "test_attributes"): (ProtocolError, "Ceph 16 answers with the object"),
    ("moto", "test_access"): (AssertionError, "the document of an object's access list is not read"),
    ("moto", "test_documents[bucket_request_payment]"): (ProtocolError, "answers with a listing"),
    ("moto", "test_inventories"): (ProtocolError, "the list has a root element of its own"),
    ("moto", "test_legal_hold"): (ProtocolError, "a hold that was never set is a document without a Status"),
    ("moto", "test_policy_status"): (ProtocolError, "answers with a listing"),
    ("moto", "test_retention"): (ProtocolError, "answers with the object"),
    ("swift", "test_a_copy_in_parts_takes_the_tags_along"): (NotImplementedByStore, "no tags"),
    ("swift", "test_replace_only_what_was_read"): (NotImplementedByStore, "PUT with If-Match is 501"),
    ("swift", "test_nobody_is_refused"): (InvalidRequest, "an unsigned request is taken for one of Swift's own API"),
    ("rclone", "test_a_copy_in_parts"): (AssertionError, "a copy has its time among its metadata"),
    ("rclone", "test_a_copy_in_parts_can_be_described_anew"): (
        AssertionError,
        "a copy keeps the metadata of its source",
    ),
    ("rclone", "test_a_copy_in_parts_is_refused_like_a_small_one"): (NOT_REFUSED, "copies know no conditions"),
    ("rclone", "test_a_copy_in_parts_takes_the_tags_along"): (AssertionError, "no tags: answers with the object"),
    ("rclone", "test_a_move"): (AssertionError, "a copy has its time among its metadata"),
    ("rclone", "test_a_part_of_an_object"): (NotSupported, "no UploadPartCopy"),
    ("rclone", "test_an_exception_publishes_nothing"): (ProtocolError, "lists uploads without IsTruncated"),
    ("rclone", "test_an_upload_in_parts"): (ProtocolError, "lists parts without IsTruncated"),
    ("rclone", "test_parts_are_listed_page_by_page"): (ProtocolError, "lists parts without IsTruncated"),
    ("rclone", "test_uploads_are_listed_with_exact_keys"): (ProtocolError, "lists uploads without IsTruncated"),
    ("rclone", "test_young_uploads_are_left_alone"): (ProtocolError, "lists uploads without IsTruncated"),
    ("rclone", "test_a_copy_can_replace_the_metadata"): (AssertionError, "a copy keeps the metadata of its source"),
    ("rclone", "test_a_copy_from_an_odd_key[x/]"): (InvalidRequest, "stores a key under its name without a last slash"),
    ("rclone", "test_conditional_reads"): (NOT_REFUSED, "GET knows If-None-Match only"),
    ("rclone", "test_create_only"): (NOT_REFUSED, "PUT ignores If-None-Match"),
    ("rclone", "test_delete_only_what_was_read"): (NOT_REFUSED, "DELETE ignores If-Match"),
    ("rclone", "test_deleting_a_prefix"): (ServerError, "a file and a folder of the same name cannot be"),
    ("rclone", "test_nobody_is_refused"): (InvalidRequest, "an unsigned request is UnsupportedAlgorithm"),
    ("rclone", "test_odd_keys_are_listed_as_versions"): (NotImplementedByStore, "no versions"),
    ("rclone", "test_replace_only_what_was_read"): (NOT_REFUSED, "PUT ignores If-Match"),
    ("rclone", "test_versions_are_kept"): (NotImplementedByStore, "no versions"),
    ("rclone", "test_every_size_from_every_source"): (ProtocolError, "lists uploads without IsTruncated"),
    ("rclone", "test_an_upload_goes_on_where_it_was_interrupted"): (ProtocolError, "lists uploads without IsTruncated"),
    ("moto", "test_an_upload_goes_on_where_it_was_interrupted"): (
        InvalidRequest,
        "the version that Complete tells in a bucket without versions is a bad request afterwards",
    ),
    ("moto", "test_a_presigned_url_is_for_one_thing"): (AssertionError, "verifies no signature"),
    ("moto", "test_an_upload_in_parts[crc32c]"): (ChecksumMismatch, "has a CRC32 where it says CRC32C"),
    ("moto", "test_an_upload_in_parts[crc64nvme]"): (ChecksumMismatch, "has a CRC32 where it says CRC64NVME"),
    ("moto", "test_parts_are_listed_page_by_page"): (AssertionError, "counts rows where the marker is a number"),
    ("moto", "test_young_uploads_are_left_alone"): (AssertionError, "every upload is of the year 2010"),
    ("moto", "test_an_upload_that_is_gone"): (ServerError, "completing what was aborted is 500"),
    ("moto", "test_nobody_is_refused"): (NOT_REFUSED, "verifies no signature"),
    ("moto", "test_odd_keys_are_deleted_together"): (DeleteFailed, "answers with a bare CR, which XML reads as LF"),
    ("moto", "test_odd_keys_are_listed_as_versions"): (AssertionError, "no encoding-type for versions, CR becomes LF"),
    ("moto", "test_versions_are_kept"): (AssertionError, "delete markers are listed behind all versions"),
    ("moto", "test_wrong_credentials_are_told"): (NOT_REFUSED, "verifies no signature"),
}

# Keys that a server refuses, and keys that it stores under another name.
REFUSED_KEYS: dict[str, frozenset[str]] = {
    "rclone": frozenset(
        key
        for key in HOSTILE_KEYS
        if {"", ".", ".."} & set(key.rstrip("/").split("/")) or max(len(part.encode()) for part in key.split("/")) > 255
    ),
    "moto": frozenset(key for key in HOSTILE_KEYS if "\n" in key),
}
ALTERED_KEYS: dict[str, frozenset[str]] = {
    "rclone": frozenset(key for key in HOSTILE_KEYS if key.endswith("/")),
}


def usable_keys(server: str) -> list[str]:
    """The hostile keys that a server can have."""
    lost = REFUSED_KEYS.get(server, frozenset()) | ALTERED_KEYS.get(server, frozenset())
    return [key for key in HOSTILE_KEYS if key not in lost]
