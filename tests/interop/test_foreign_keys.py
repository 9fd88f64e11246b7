"""Keys, listings and URLs against foreign servers: an exact key is the one thing that client and server must not share."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from s3func import S3Session
from s3func.errors import ServiceError
from tests.interop.deviations import ALTERED_KEYS, REFUSED_KEYS, usable_keys
from tests.interop.keys import HOSTILE_KEYS
from tests.interop.servers import ForeignServer, SkewedClock, connect, new_bucket

# A first test may have to wait for a server that is still starting.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


def fetch(method: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
    """One request by the standard library's client, which sends the target of a URL exactly as it stands."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, url[len(f"{parts.scheme}://{parts.netloc}") :], body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.fixture(scope="session")
def filled() -> dict[str, tuple[str, list[str]]]:
    """Buckets of 1,005 keys, by server name: a second test finds the first one's."""
    return {}


@pytest.fixture
def thousand(foreign: ForeignServer, filled: dict[str, tuple[str, list[str]]]) -> Iterator[tuple[S3Session, list[str]]]:
    """A session on a bucket of 1,005 keys, which nobody changes, and the keys in the order of their UTF-8 bytes."""
    if foreign.name not in filled:
        keys = [f"data/{n % 7}/item {n:04d}.csv" for n in range(1000)] + ["a+b", "a b", "é", "z&<>", "data.csv"]
        bucket = new_bucket()
        with connect(foreign, bucket) as session, ThreadPoolExecutor(4) as pool:
            session.create_bucket()
            list(pool.map(lambda key: session.put_object(key, key.encode()), keys))
        filled[foreign.name] = bucket, sorted(keys, key=str.encode)
    bucket, keys = filled[foreign.name]
    with connect(foreign, bucket) as session:
        yield session, keys


def test_a_listing_is_complete_and_in_order(thousand: tuple[S3Session, list[str]]) -> None:
    """All keys over all pages come in the order of their UTF-8 bytes, with size, ETag and time."""
    session, keys = thousand
    entries = list(session.list_objects())
    assert keys == [entry.key for entry in entries]
    first = entries[0]
    assert len(first.key.encode()) == first.size == first["content_length"]
    assert hashlib.md5(first.key.encode()).hexdigest() == first.etag
    assert first.last_modified is not None
    assert abs(first.last_modified - datetime.now(UTC)) < timedelta(hours=1)


def test_pages_have_the_size_asked_for(thousand: tuple[S3Session, list[str]]) -> None:
    """max_keys is the size of a page; the listing is complete all the same."""
    session, keys = thousand
    pages = list(session.list_objects(max_keys=400).pages())
    assert [400, 400, 205] == [len(page.entries) for page in pages]
    assert keys == [entry.key for page in pages for entry in page]


def test_a_listing_below_a_prefix(thousand: tuple[S3Session, list[str]]) -> None:
    """A prefix selects the keys that begin with it, whatever characters it has."""
    session, keys = thousand
    for prefix in ("data/3/", "data/3/item 00", "a+", "a ", "é", "z&<", "none"):
        expected = [key for key in keys if key.startswith(prefix)]
        assert expected == [entry.key for entry in session.list_objects(prefix=prefix)]


def test_a_listing_from_a_key_on(thousand: tuple[S3Session, list[str]]) -> None:
    """start_after leaves out every key up to and including itself."""
    session, keys = thousand
    for start in (keys[0], keys[500], "data/5", "a+a", keys[-1]):
        expected = [key for key in keys if key.encode() > start.encode()]
        assert expected == [entry.key for entry in session.list_objects(start_after=start)]


def test_a_delimiter_folds_keys(thousand: tuple[S3Session, list[str]]) -> None:
    """A delimiter folds what lies below it into common prefixes, each once."""
    session, keys = thousand
    top = session.list_objects(delimiter="/")
    assert [key for key in keys if "/" not in key] == [entry.key for entry in top]
    assert ["data/"] == list(top.common_prefixes)
    below = session.list_objects(prefix="data/", delimiter="/", max_keys=3)
    assert [] == list(below)
    assert [f"data/{n}/" for n in range(7)] == list(below.common_prefixes)


@pytest.mark.parametrize("key", HOSTILE_KEYS, ids=lambda key: ascii(key)[1:40])
def test_a_key_is_exact(session: S3Session, foreign: ForeignServer, key: str) -> None:
    """Put, get, head, list, presign and delete mean exactly this key; a server that cannot have it says so."""
    body = b"body of " + key.encode()
    if key in REFUSED_KEYS.get(foreign.name, ()):
        with pytest.raises(ServiceError):
            session.put_object(key, body)
        # rclone lists a file that it then could not store.
        assert {entry.key for entry in session.list_objects()} <= {key}
        return
    session.put_object(key, body)
    assert body == session.get_object(key).data
    assert len(body) == session.head_object(key).size
    assert (200, body) == fetch("GET", session.presigned_url("GET", key))
    if key not in ALTERED_KEYS.get(foreign.name, ()):
        assert [key] == [entry.key for entry in session.list_objects()]
    session.delete_object(key)
    assert not session.exists(key)
    assert [] == list(session.list_objects())


def test_odd_keys_are_listed_together(session: S3Session, foreign: ForeignServer) -> None:
    """A listing of every hostile key has them all, exactly, in the order of their UTF-8 bytes."""
    keys = usable_keys(foreign.name)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: session.put_object(key, b""), keys))
    expected = sorted(keys, key=str.encode)
    assert expected == [entry.key for entry in session.list_objects()]
    assert expected == [entry.key for entry in session.list_objects(max_keys=5)]


def test_odd_keys_are_listed_as_versions(session: S3Session, foreign: ForeignServer) -> None:
    """A listing of versions has the same keys as a listing of objects."""
    keys = usable_keys(foreign.name)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: session.put_object(key, b""), keys))
    assert sorted(keys, key=str.encode) == [entry.key for entry in session.list_object_versions(max_keys=20)]


def test_many_deletes_in_one_call(session: S3Session) -> None:
    """delete_objects deletes what it is given, more than one request's worth, and leaves the rest."""
    keys = [f"gone/{n:04d} é&<" for n in range(1005)]
    # Deleting a key that is not there succeeds, so a few that are there tell as much as a thousand.
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: session.put_object(key, b""), [*keys[:5], *keys[-10:], "kept"]))
    session.delete_objects(keys)
    assert ["kept"] == [entry.key for entry in session.list_objects()]


def test_deleting_a_prefix(session: S3Session) -> None:
    """delete_objects(prefix=…) deletes what begins with it and nothing else."""
    for key in ("a/1", "a/2", "a", "ab", "b/a/1"):
        session.put_object(key, b"")
    session.delete_objects(prefix="a/")
    assert ["a", "ab", "b/a/1"] == [entry.key for entry in session.list_objects()]


def test_odd_keys_are_deleted_together(session: S3Session, foreign: ForeignServer) -> None:
    """delete_objects deletes every hostile key, also those that XML cannot carry."""
    keys = usable_keys(foreign.name)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: session.put_object(key, b""), keys))
    session.delete_objects(keys)
    assert [] == list(session.list_objects())


@pytest.mark.parametrize("key", ["key", "a b+c%d é/é?f#g&h"])
def test_presigned_urls_work_without_credentials(session: S3Session, key: str) -> None:
    """A presigned PUT stores and a presigned GET reads, by a client that knows no keys."""
    status, _ = fetch("PUT", session.presigned_url("PUT", key), b"by url")
    assert 200 == status
    assert b"by url" == session.get_object(key).data
    assert (200, b"by url") == fetch("GET", session.presigned_url("GET", key, expires=60))
    assert (200, b"") == fetch("HEAD", session.presigned_url("HEAD", key))


def test_a_presigned_url_is_for_one_thing(session: S3Session, foreign: ForeignServer) -> None:
    """A presigned URL of another method or key, of a wrong secret or past its time is refused."""
    session.put_object("key", b"x")
    url = session.presigned_url("GET", "key")
    with (
        connect(foreign, session.bucket, access_key="wrong" * 8) as stranger,
        connect(foreign, session.bucket, clock=SkewedClock(-3600)) as earlier,
    ):
        refused = {
            "method": fetch("DELETE", url)[0],
            "key": fetch("GET", url.replace("/key?", "/kex?"))[0],
            "secret": fetch("GET", stranger.presigned_url("GET", "key"))[0],
            "late": fetch("GET", earlier.presigned_url("GET", "key", expires=60))[0],
        }
    # 403 with AWS; rclone answers 400 where the time is over.
    assert dict.fromkeys(refused, True) == {case: status in {400, 403} for case, status in refused.items()}
    assert session.exists("key")
