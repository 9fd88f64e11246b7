"""Keys: whatever a key is, the request line on the wire has exactly it, encoded once and signed, or nothing is sent."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import S3Session
from s3func.errors import NotFound
from tests.s3.keys import HAND_PICKED, HOSTILE_KEYS, MORE_BY_HAND, NO_KEYS
from tests.s3.rigs import (
    ACCESS_KEY_ID,
    SECRET,
    Recorder,
    WireServer,
    assert_presigned,
    assert_signed,
    embedded,
    encoded,
    recorded,
)

VERBS: dict[str, Callable[[S3Session, str], object]] = {
    "PUT": lambda session, key: session.put_object(key, b"body"),
    "GET": lambda session, key: session.get_object(key).data,
    "HEAD": lambda session, key: session.head_object(key),
    "DELETE": lambda session, key: session.delete_object(key),
}
# Every public method that takes a key, and nothing but keys that are keys besides.
TAKING_KEYS: dict[str, Callable[[S3Session, object], object]] = {
    "put_object": lambda session, key: session.put_object(key, b""),  # type: ignore[arg-type]
    "get_object": lambda session, key: session.get_object(key),  # type: ignore[arg-type]
    "head_object": lambda session, key: session.head_object(key),  # type: ignore[arg-type]
    "exists": lambda session, key: session.exists(key),  # type: ignore[arg-type]
    "copy_object from": lambda session, key: session.copy_object(key, "b"),  # type: ignore[arg-type]
    "copy_object to": lambda session, key: session.copy_object("a", key),  # type: ignore[arg-type]
    "delete_object": lambda session, key: session.delete_object(key),  # type: ignore[arg-type]
    "delete_objects": lambda session, key: session.delete_objects(["good", key]),  # type: ignore[list-item]
    "delete_objects by version": lambda session, key: session.delete_objects(
        [{"key": key, "version_id": "1"}]  # type: ignore[dict-item]
    ),
    "delete_objects purging": lambda session, key: session.delete_objects(
        ["good", key],  # type: ignore[list-item]
        purge=True,
    ),
    "presigned_url": lambda session, key: session.presigned_url("GET", "" if key is None else key),  # type: ignore[arg-type]
    "request": lambda session, key: session.request("GET", "" if key is None else key),  # type: ignore[arg-type]
}
ANY_KEY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256).filter(
    lambda key: len(key.encode()) <= 1024
)


@pytest.fixture(scope="module")
def wire() -> Iterator[WireServer]:
    """One socket for all tests of this file."""
    with WireServer() as server:
        yield server


@pytest.fixture(scope="module")
def session(wire: WireServer) -> Iterator[S3Session]:
    """A session over real sockets."""
    with S3Session(ACCESS_KEY_ID, SECRET, "bucket", wire.url) as session:
        yield session


def test_there_are_enough_keys() -> None:
    """At least 400 keys are tried, 60 of them picked by hand, none of them twice, all of them legal."""
    assert len(set(HAND_PICKED) | set(MORE_BY_HAND)) >= 60
    assert len(set(HOSTILE_KEYS)) == len(HOSTILE_KEYS) >= 400
    assert all(1 <= len(key.encode()) <= 1024 for key in HOSTILE_KEYS)


@pytest.mark.parametrize("method", VERBS)
def test_the_request_line_is_the_key(wire: WireServer, session: S3Session, method: str) -> None:
    """The target that arrives is the key, percent-encoded exactly once, and the signature is botocore's."""
    for key in HOSTILE_KEYS:
        VERBS[method](session, key)
        assert (method, f"/bucket/{encoded(key)}", "HTTP/1.1") == wire.last.line, ascii(key)
        assert_signed(wire.last)
    wire.received.clear()


@given(st.sampled_from(sorted(VERBS)), ANY_KEY)
def test_the_request_line_is_any_key(wire: WireServer, session: S3Session, method: str, key: str) -> None:
    """The same for whatever text a key may be."""
    VERBS[method](session, key)
    assert (method, f"/bucket/{encoded(key)}", "HTTP/1.1") == wire.last.line
    assert_signed(wire.last)
    wire.received.clear()


def test_a_copy_names_exactly_its_source_and_destination(wire: WireServer, session: S3Session) -> None:
    """Both keys of a copy are encoded once: one in the request line, one in x-amz-copy-source."""
    for key, other in zip(HOSTILE_KEYS, reversed(HOSTILE_KEYS), strict=True):
        session.copy_object(key, other, source_bucket="source")
        assert ("PUT", f"/bucket/{encoded(other)}", "HTTP/1.1") == wire.last.line, ascii(other)
        assert f"/source/{encoded(key)}" == dict(wire.last.headers)["x-amz-copy-source"], ascii(key)
        assert_signed(wire.last)
    wire.received.clear()


@given(ANY_KEY, ANY_KEY, st.none() | ANY_KEY)
def test_a_copy_names_any_source(key: str, other: str, version: str | None) -> None:
    """A version of the source stands behind its key, and neither runs into the other."""
    recorder = Recorder()
    recorded(recorder).copy_object(key, other, source_version_id=version)
    version_query = "" if version is None else "?versionId=" + encoded(version).replace("/", "%2F")
    assert f"/bucket/{encoded(key)}{version_query}" == recorder.last.headers["x-amz-copy-source"]
    assert f"/bucket/{encoded(other)}" == recorder.last.path


@pytest.mark.parametrize("method", VERBS)
def test_a_presigned_url_is_the_key(wire: WireServer, session: S3Session, method: str) -> None:
    """A presigned URL, sent as it stands, has the key in its path, and its signature is botocore's."""
    with closing(http.client.HTTPConnection(urlsplit(wire.url).netloc)) as connection:
        for key in HOSTILE_KEYS:
            url = session.presigned_url(method, key)
            assert_presigned(method, url)
            target = url.removeprefix(wire.url)
            connection.request(method, target)
            connection.getresponse().read()
            assert (method, target, "HTTP/1.1") == wire.last.line
            assert f"/bucket/{encoded(key)}" == target.partition("?")[0], ascii(key)
    wire.received.clear()


@pytest.mark.parametrize("verb", TAKING_KEYS)
@pytest.mark.parametrize(("key", "error"), NO_KEYS, ids=lambda value: ascii(value)[:20])
def test_what_is_no_key_is_never_sent(verb: str, key: object, error: type[Exception]) -> None:
    """An empty, too long or unencodable key is a ValueError, anything but a str a TypeError; nothing is sent."""
    recorder = Recorder()
    session = recorded(recorder)
    if key is None and verb in {"presigned_url", "request"}:
        # These two take None for the bucket itself, so the empty key stands in.
        error = ValueError
    if isinstance(key, dict) and verb.startswith("delete_objects") and "version" not in verb:
        key = {"key": ["no", "key"]}
    with pytest.raises(error, match="key"):
        TAKING_KEYS[verb](session, key)
    assert [] == recorder.sent


def test_an_odd_key_is_one_object_among_many() -> None:
    """All hostile keys live side by side in one bucket, each with its own body, and are listed and deleted exactly."""
    keys = [key for key in HOSTILE_KEYS if "\0" not in key]  # S3 stores any key, our server none with NUL
    with embedded() as (session, _):
        for key in keys:
            session.put_object(key, b"body of " + key.encode())
        assert sorted(keys) == [entry.key for entry in session.list_objects()]
        for key in keys:
            assert b"body of " + key.encode() == session.get_object(key).data
        assert sorted(keys) == sorted(row.key for row in session.delete_objects(keys))
        assert [] == list(session.list_objects())


def test_the_key_of_an_error_is_the_key() -> None:
    """A refusal names the key as it was given."""
    with embedded() as (session, _):
        for key in HOSTILE_KEYS:
            if "\0" in key:
                continue
            with pytest.raises(NotFound) as caught:
                session.get_object(key)
            assert (key, "bucket") == (caught.value.key, caught.value.bucket)
