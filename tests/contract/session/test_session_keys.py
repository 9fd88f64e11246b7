"""Keys: any key is used exactly as it is, in every verb, or refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3func.errors import InvalidRequest
from tests.contract.session.services import Service, of_each_kind

shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)

HOSTILE = [
    "a?b#c",
    "%20",
    "%2e%2e/%2F",
    "100%",
    "..",
    ".",
    "../a",
    "a/./b/../c",
    "//",
    "a//b",
    "/lead",
    "trail/",
    "/",
    "a b+c",
    "a&b=c;d,e",
    "?versionId=x&uploads",
    "'\"<>{}|\\^`~*()[]!$@:",
    "bl\u00fc/\u65e5\u672c/\U0001f600",
    "e\u0301",
    "\u00e9",
    "\ufeff\u200b\u202e",
    "\u2028\uffff",
    "x" * 1024,
    "\u00e9" * 512,
]
# Of these S3 has the first ones, our server and AWS; B2 has none.
CONTROLS = ["a\nb", "\ttab", "a\rb", "\x01", "\x1b[31m", "\x7f"]
NEVER = ["", "x" * 1025, "\u00e9" * 513, "\ud800"]


def round_trip(session: Any, key: str) -> None:
    """Through every verb that a key can be given to."""
    body = key.encode()
    put = session.put_object(key, body, {"a": "b"})
    got = session.get_object(key)
    assert (body, put.etag, {"a": "b"}) == (got.data, got.etag, got.user_metadata)
    if put.version_id is not None:
        assert body == session.get_object(key, put.version_id).data
    assert len(body) == session.head_object(key).size
    assert key in [entry.key for entry in session.list_objects(key)]
    assert key in [entry.key for entry in session.list_object_versions(key)]
    assert key not in [entry.key for entry in session.list_objects(start_after=key)]
    # What is beside it is something else.
    assert not session.exists(key[:-1] + chr(ord(key[-1]) ^ 1)) if 0x20 < ord(key[-1]) < 0x7F else True
    session.copy_object(key, "copy")
    assert body == session.get_object("copy").data
    session.copy_object("copy", key, metadata={"c": "d"})
    assert {"c": "d"} == session.head_object(key).user_metadata
    if put.version_id is not None:
        rows = [row for row in session.list_object_versions(key) if row.key == key]
        session.delete_objects(rows)
        assert key not in [row.key for row in session.list_object_versions(key)]
    else:
        session.delete_object(key)
    assert not session.exists(key)


@pytest.mark.parametrize("key", HOSTILE, ids=lambda key: ascii(key)[:30])
def test_hostile_keys(session: Any, key: str) -> None:
    """What clients and servers like to tidy up stays as it is."""
    round_trip(session, key)


def _calls(session: Any, key: str) -> list[Callable[[], Any]]:
    """Every verb that a key is given to."""
    # None has a meaning there: the bucket itself.
    presigned = [] if key is None else [lambda: session.presigned_url("GET", key)]
    return [
        *presigned,
        lambda: session.put_object(key, b""),
        lambda: session.get_object(key),
        lambda: session.head_object(key),
        lambda: session.exists(key),
        lambda: session.copy_object(key, "copy"),
        lambda: session.copy_object("source", key),
        lambda: session.move(key, "copy"),
        lambda: session.move("source", key),
        lambda: session.delete_object(key),
        lambda: session.delete_objects([key]),
        lambda: session.create_multipart_upload(key),
        lambda: session.upload_part(key, "id", 1, b""),
        lambda: session.abort_multipart_upload(key, "id"),
        lambda: session.upload_file(__file__, key),
        lambda: session.download_file(key, "/nonexistent/folder/file"),
        lambda: session.open(key),
        lambda: session.open(key, "wb"),
    ]


def _assert_refused(service: Service, key: str) -> None:
    for number, call in enumerate(_calls(service.session, key)):
        sent = len(service.wire.sent)
        with pytest.raises((ValueError, TypeError)):
            call()
        assert sent == len(service.wire.sent), number


@of_each_kind
@pytest.mark.parametrize("key", NEVER, ids=["empty", "long", "long in bytes", "surrogate"])
def test_keys_that_nobody_has(service: Service, key: str) -> None:
    """ValueError from every verb, and nothing is sent."""
    _assert_refused(service, key)


@of_each_kind
@pytest.mark.parametrize("key", [None, b"key", 5, ["key"]], ids=repr)
def test_keys_that_are_no_text(service: Service, key: Any) -> None:
    """TypeError from every verb, and nothing is sent."""
    _assert_refused(service, key)


@pytest.mark.parametrize("key", CONTROLS, ids=ascii)
def test_control_characters(service: Service, key: str) -> None:
    """S3 has them, and they come back; B2 has none, so they are refused before anything is sent."""
    if service.is_b2:
        _assert_refused(service, key)
    else:
        round_trip(service.session, key)


ANY = st.text(min_size=1, max_size=40)
SEGMENTS = st.lists(st.sampled_from(["", ".", "..", "a", "%2F", "%", "?", "#", "+", " ", "\u00fc"]), min_size=1).map(
    "/".join
)


@shared
@given(key=st.one_of(ANY, SEGMENTS))
def test_any_text_is_a_key_or_is_refused(service: Service, key: str) -> None:
    """Any Unicode: exactly that key, or ValueError and nothing was sent."""
    session = service.session
    sent = len(service.wire.sent)
    try:
        put = session.put_object(key, key.encode(errors="replace"))
    except ValueError:
        assert sent == len(service.wire.sent)
        assert not key or not key.isprintable() or len(key.encode(errors="replace")) > 1024
        return
    except InvalidRequest:
        # What S3 itself makes of a NUL is not known: it is asked, and our server has none.
        assert "\0" in key
        return
    assert key.encode() == session.get_object(key).data
    assert key in [entry.key for entry in session.list_objects(key)]
    session.delete_object(key, put.version_id)
    assert not session.exists(key)


@shared
@given(keys=st.sets(SEGMENTS.filter(bool), max_size=12))
def test_keys_do_not_touch_each_other(service: Service, keys: set[str]) -> None:
    """Keys that differ are different objects, listed in the order of their UTF-8 bytes."""
    session = service.session
    puts = {key: session.put_object(key, key) for key in keys}
    assert sorted(keys, key=str.encode) == [entry.key for entry in session.list_objects()]
    assert {key: key.encode() for key in keys} == {key: session.get_object(key).data for key in keys}
    for key, put in puts.items():
        session.delete_object(key, put.version_id)
    assert [] == list(session.list_objects())
