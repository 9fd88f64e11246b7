"""Bad input: refused before anything is sent, by the name of the argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from s3func import B2Session, RetryPolicy, Timeouts
from s3func.b2 import CustomerKey, Retention
from s3func.b2.config import address, told_address
from s3func.errors import ProtocolError
from tests.b2.fake import KEY, KEY_ID
from tests.b2.rigs import BUCKET, service, session_on

NAIVE = datetime(2027, 1, 1)
AWARE = NAIVE.replace(tzinfo=UTC)

CALLS: list[tuple[str, Callable[[B2Session], Any]]] = [
    ("key", lambda s: s.put_object("", b"")),
    ("key", lambda s: s.put_object("a\x00b", b"")),
    ("key", lambda s: s.put_object("a\nb", b"")),
    ("key", lambda s: s.put_object("a\x7f", b"")),
    ("key", lambda s: s.put_object("\ud800", b"")),
    ("key", lambda s: s.put_object("x" * 1025, b"")),
    ("key", lambda s: s.put_object("é" * 513, b"")),
    ("key", lambda s: s.put_object(b"key", b"")),  # type: ignore[arg-type]  # bytes are what is wrong
    ("key", lambda s: s.get_object("")),
    ("key", lambda s: s.head_object("")),
    ("key", lambda s: s.delete_object("")),
    ("key", lambda s: s.presigned_url("GET", "")),
    ("source_key", lambda s: s.copy_object("", "b")),
    ("dest_key", lambda s: s.copy_object("a", "")),
    ("source_version_id", lambda s: s.copy_object("a", "b", "")),
    ("body", lambda s: s.put_object("key", 5)),  # type: ignore[arg-type]  # a number is what is wrong
    ("body", lambda s: s.put_object("key", None)),  # type: ignore[arg-type]  # nothing is what is wrong
    ("metadata", lambda s: s.put_object("key", b"", {"a b": "c"})),
    ("metadata", lambda s: s.put_object("key", b"", {"a": 5})),  # type: ignore[dict-item]  # a number is what is wrong
    ("metadata", lambda s: s.put_object("key", b"", {"a": "b", "A": "c"})),
    ("metadata", lambda s: s.put_object("key", b"", {"a": "x" * 7000})),
    ("metadata", lambda s: s.put_object("key", b"", {"a": "x" * 2048}, encryption="AES256")),
    ("metadata", lambda s: s.put_object("key", b"", {"a": "\ud800"})),
    ("metadata", lambda s: s.put_object("key", b"", {"B2-Expires": "x"})),
    ("metadata", lambda s: s.put_object("key", b"", {"large_file_sha1": "x"})),
    ("content_type", lambda s: s.put_object("key", b"", content_type="a\r\nb")),
    ("cache_control", lambda s: s.put_object("key", b"", cache_control="é")),
    ("expires", lambda s: s.put_object("key", b"", expires=NAIVE)),
    ("last_modified", lambda s: s.put_object("key", b"", last_modified=NAIVE)),
    ("last_modified", lambda s: s.put_object("key", b"", last_modified="now")),
    ("last_modified", lambda s: s.put_object("key", b"", last_modified=1_795_255_200_000)),
    ("encryption", lambda s: s.put_object("key", b"", encryption="aws:kms")),
    ("retention", lambda s: s.put_object("key", b"", retention=Retention("soft", AWARE))),
    ("retention", lambda s: s.put_object("key", b"", retention=Retention("compliance", NAIVE))),
    ("legal_hold", lambda s: s.put_object("key", b"", legal_hold="on")),  # type: ignore[arg-type]  # a text is wrong
    ("multipart", lambda s: s.put_object("key", b"", multipart=1)),  # type: ignore[arg-type]  # a number is wrong
    ("transfer", lambda s: s.put_object("key", b"", transfer=5)),  # type: ignore[arg-type]  # a number is wrong
    ("progress", lambda s: s.put_object("key", b"", progress=5)),  # type: ignore[arg-type]  # a number is wrong
    ("bucket", lambda s: s.put_object("key", b"", bucket="a/b")),
    ("bucket", lambda s: s.get_object("key", bucket="..")),
    ("bucket", lambda s: s.list_objects(bucket="")),
    ("version_id", lambda s: s.get_object("key", "")),
    ("version_id", lambda s: s.get_object("key", "a\nb")),
    ("version_id", lambda s: s.delete_object("key", "")),
    ("range_start", lambda s: s.get_object("key", range_start=-1)),
    ("range_end", lambda s: s.get_object("key", range_start=5, range_end=4)),
    ("range_end", lambda s: s.get_object("key", range_end=0)),
    ("if_match", lambda s: s.get_object("key", if_match=5)),  # type: ignore[arg-type]  # a number is wrong
    ("if_modified_since", lambda s: s.get_object("key", if_modified_since=NAIVE)),
    ("customer_key", lambda s: s.get_object("key", customer_key=b"x" * 32)),  # type: ignore[arg-type]  # plain bytes
    ("prefix", lambda s: s.list_objects(5)),  # type: ignore[arg-type]  # a number is wrong
    ("start_after", lambda s: s.list_objects(start_after="\ud800")),
    ("max_keys", lambda s: s.list_objects(max_keys=0)),
    ("max_keys", lambda s: s.list_objects(max_keys=1001)),
    ("max_keys", lambda s: s.list_object_versions(max_keys=True)),
    ("prefix", lambda s: s.delete_objects(prefix="")),
    ("keys", lambda s: s.delete_objects("key")),
    ("keys", lambda s: s.delete_objects(["a", ""])),
    ("keys", lambda s: s.delete_objects([{"key": "a", "version_id": ""}])),
    ("keys", lambda s: s.delete_objects()),
    ("part_number", lambda s: s.upload_part("key", "id", 0, b"")),
    ("part_number", lambda s: s.upload_part("key", "id", 10_001, b"")),
    ("upload_id", lambda s: s.upload_part("key", "", 1, b"")),
    ("upload_id", lambda s: s.list_parts("key", "")),
    ("range_start", lambda s: s.upload_part_copy("key", "id", 1, "a", range_start=1)),
    ("parts", lambda s: s.complete_multipart_upload("key", "id", [])),
    ("parts", lambda s: s.complete_multipart_upload("key", "id", [(1, "no-sha1")])),
    ("older_than", lambda s: s.abort_multipart_uploads(-1)),
    ("older_than", lambda s: s.abort_multipart_uploads("1h")),  # type: ignore[arg-type]  # a text is wrong
    ("expires", lambda s: s.presigned_url("GET", "key", expires=1.5)),  # type: ignore[arg-type]  # no whole number
    ("capabilities", lambda s: s.create_app_key("readFiles", "k")),
    ("capabilities", lambda s: s.create_app_key([], "k")),
    ("duration", lambda s: s.create_app_key(["readFiles"], "k", 0)),
    ("buckets", lambda s: s.create_app_key(["readFiles"], "k", buckets=BUCKET)),
    ("bucket_id", lambda s: s.create_app_key(["readFiles"], "k", None, "id", buckets=[BUCKET])),
    ("hold", lambda s: s.put_object_legal_hold("key", "on")),  # type: ignore[arg-type]  # a text is wrong
    ("retention", lambda s: s.put_object_retention("key", "2027")),  # type: ignore[arg-type]  # a text is wrong
    ("call", lambda s: s.request("../b2_x")),
    ("call", lambda s: s.request("list_buckets")),
    ("mode", lambda s: s.put_object_lock_configuration("governance")),
]


@pytest.mark.parametrize(("argument", "call"), CALLS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(CALLS)])
def test_bad_input_is_refused_before_anything_is_sent(argument: str, call: Callable[[B2Session], Any]) -> None:
    """ValueError or TypeError that names the argument, and not one request."""
    fake = service()
    with pytest.raises((ValueError, TypeError), match=argument):
        call(session_on(fake))
    assert [] == fake.journal


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("realm", {"realm": "api.backblazeb2.com"}),
        ("realm", {"realm": "ftp://x"}),
        ("realm", {"realm": "https://user:secret@x"}),
        ("realm", {"realm": "https://x/?a=b"}),
        ("realm", {"realm": "https://x:0"}),
        ("realm", {"realm": "https://x/../y"}),
        ("realm", {"realm": 5}),
        ("download_url", {"download_url": "nowhere"}),
        ("bucket", {"bucket": "a/b"}),
        ("access_key", {"secret_access_key": "other"}),
        ("anonymous", {"anonymous": True}),
        ("max_connections", {"max_connections": 0}),
        ("max_attempts", {"max_attempts": 0}),
        ("retries", {"retries": "5"}),
        ("retries", {"retries": 3, "max_attempts": 3}),
        ("retries.attempts", {"retries": RetryPolicy(attempts=0)}),
        ("retries.base_seconds", {"retries": RetryPolicy(base_seconds=-1)}),
        ("retries.quota", {"retries": RetryPolicy(quota=-1)}),
        ("timeouts", {"timeouts": 5}),
        ("timeouts.read", {"timeouts": Timeouts(read=-1)}),
        ("read_timeout", {"read_timeout": 0}),
        ("connect_timeout", {"connect_timeout": "1"}),
        ("transfer", {"transfer": 5}),
        ("transport", {"transport": 5}),
    ],
)
def test_bad_settings_are_refused(argument: str, options: dict[str, Any]) -> None:
    """ValueError or TypeError that names the setting, and never shows a secret."""
    settings: dict[str, Any] = {"bucket": BUCKET, **options}
    with pytest.raises((ValueError, TypeError), match=argument) as caught:
        B2Session(KEY_ID, KEY, **settings)
    assert KEY not in str(caught.value)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize("pair", [("a b", "c"), ("a:b", "c"), ("a", "c\nd"), ("é", "c")])
def test_a_key_that_cannot_be_sent_is_refused(pair: tuple[str, str]) -> None:
    """A key with characters that HTTP Basic cannot carry is a ValueError that does not show it."""
    with pytest.raises(ValueError, match="access_key"):
        B2Session(*pair, BUCKET)


def test_a_customers_key_has_32_bytes() -> None:
    """ValueError for another length, TypeError for what is no bytes; it is not pickled."""
    import pickle

    with pytest.raises(ValueError, match="32"):
        CustomerKey(b"short")
    with pytest.raises(TypeError):
        CustomerKey("x" * 32)  # type: ignore[arg-type]  # a text is what is wrong
    with pytest.raises(TypeError):
        pickle.dumps(CustomerKey(b"x" * 32))


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://Host", ("https://host", "host", "", "")),
        ("http://127.0.0.1:8080/prefix/", ("http://127.0.0.1:8080", "127.0.0.1:8080", "/prefix", "")),
        ("https://host:443", ("https://host", "host", "", "")),
        ("http://[::1]:80/a", ("http://[::1]", "[::1]", "/a", "")),
    ],
)
def test_addresses(url: str, parts: tuple[str, ...]) -> None:
    """An address is taken apart into origin, host and path."""
    assert parts == tuple(address(url, "realm"))


def test_what_the_service_says_is_checked_too() -> None:
    """An upload URL may have a query; one that is no URL, or leads away from TLS, is a ProtocolError."""
    assert ("/up/x", "cvt=c1&b=2") == told_address("https://pod.test/up/x?cvt=c1&b=2", "uploadUrl", secure=True)[2:]
    for url in ("pod.test/up", "https://pod.test/\r\nx", "http://pod.test/up", "https://pod.test:99999/"):
        with pytest.raises(ProtocolError, match="uploadUrl"):
            told_address(url, "uploadUrl", secure=True)
