"""What a verb costs, as docs/b2.md has it: exactly these calls, once token, bucket id and upload URL are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from s3func import B2Session
from s3func.transport.transfer import TransferConfig
from tests.b2.rigs import service, session_on

COSTS: list[tuple[str, Callable[[B2Session], Any], list[str]]] = [
    ("put_object", lambda s: s.put_object("new", b"x"), ["b2_upload_file"]),
    (
        "put_object in parts",
        lambda s: s.put_object("new", bytes(1000)),
        ["b2_start_large_file", "b2_get_upload_part_url", "b2_upload_part", "b2_upload_part", "b2_finish_large_file"],
    ),
    ("get_object", lambda s: s.get_object("key"), ["GET name"]),
    (
        "get_object of a version",
        lambda s: s.get_object("key", s.head_object("key").version_id),
        ["HEAD name", "GET id"],
    ),
    ("head_object", lambda s: s.head_object("key"), ["HEAD name"]),
    ("exists", lambda s: s.exists("nothing"), ["HEAD name"]),
    ("list_objects", lambda s: list(s.list_objects()), ["b2_list_file_names"]),
    ("list_objects with a delimiter", lambda s: s.list_objects(delimiter="/").common_prefixes, ["b2_list_file_names"]),
    ("list_object_versions", lambda s: list(s.list_object_versions()), ["b2_list_file_versions"]),
    ("copy_object", lambda s: s.copy_object("key", "copy"), ["HEAD name", "b2_copy_file"]),
    ("delete_object", lambda s: s.delete_object("key"), ["b2_hide_file"]),
    ("delete_objects", lambda s: s.delete_objects(["key", "nothing"]), ["b2_hide_file", "b2_hide_file"]),
    ("delete_objects of a prefix", lambda s: s.delete_objects(prefix="k"), ["b2_list_file_names", "b2_hide_file"]),
    ("presigned_url", lambda s: s.presigned_url("GET", "key"), ["b2_get_download_authorization"]),
    ("head_bucket", lambda s: s.head_bucket(), ["b2_list_buckets"]),
]


@pytest.mark.parametrize(("call", "expected"), [row[1:] for row in COSTS], ids=[row[0] for row in COSTS])
def test_a_verb_costs_what_the_documentation_says(call: Callable[[B2Session], Any], expected: list[str]) -> None:
    """No verb authorizes, looks for its bucket, or lists on the side."""
    fake = service()
    fake.minimum = 100
    transfer = TransferConfig(multipart_threshold=500, part_size=500, concurrency=1)
    session = session_on(fake, transfer=transfer)
    session.put_object("key", b"content")
    before = len(fake.journal)
    call(session)
    assert expected == [entry.call for entry in fake.journal[before:]]
