"""Our client against the simulator of the vendor's own SDK, over HTTP: a second opinion about every call."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from s3func import B2Session
from s3func.errors import AccessDenied, InvalidCredentials, NoSuchKey, NoSuchVersion, NotFound
from s3func.transport.transfer import TransferConfig
from tests.interop.clients import PROGRAMS
from tests.interop.servers import present

pytestmark = pytest.mark.interop
SIMULATOR = Path(__file__).parent / "b2_simulator.py"
SMALL = TransferConfig(multipart_threshold=1000, part_size=300, concurrency=4)
BUCKET = "bucket-one"


@pytest.fixture(scope="module")
def simulator() -> Iterator[dict[str, str]]:
    """A running simulator: its URL and its master key; a skip where b2sdk is not installed, which CI does not allow."""
    python = present(PROGRAMS["b2sdk"].path)
    with subprocess.Popen([python, "-I", SIMULATOR], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


@pytest.fixture
def session(simulator: dict[str, str], request: pytest.FixtureRequest) -> Iterator[B2Session]:
    """A session on a bucket of its own."""
    name = f"bucket-{abs(hash(request.node.name)) % 10**9}"
    options: dict[str, Any] = {"realm": simulator["url"], "transfer": SMALL}
    with B2Session(simulator["key_id"], simulator["key"], name, **options) as opened:
        opened.create_bucket()
        yield opened


@pytest.mark.parametrize("key", ["a?b#c %20", "..", "a//b", "/lead", "bl\u00fc/\u65e5/\U0001f600", "a+b", "a&b=c"])
def test_objects(session: B2Session, key: str) -> None:
    """What is put is got, by name, by id, as a range and as a head, with its metadata."""
    put = session.put_object(key, b"content", {"Name": "bl\u00fce + %"}, "text/plain", cache_control="no-cache")
    for got in (session.get_object(key), session.get_object(key, put.version_id)):
        assert (b"content", {"name": "bl\u00fce + %"}, put.etag) == (got.data, got.user_metadata, got.etag)
        assert ("text/plain", "no-cache") == (got.content_type, got.headers["cache-control"])
    assert b"nte" == session.get_object(key, range_start=2, range_end=4).data
    assert 7 == session.head_object(key).size
    assert [key] == [entry.key for entry in session.list_objects()]


def test_large_files(session: B2Session, tmp_path: Path) -> None:
    """Parts in parallel, a stream of unknown length, and a file: each is one file with the same bytes."""
    content = bytes(range(256)) * 20
    path = tmp_path / "content"
    path.write_bytes(content)
    session.put_object("bytes", content, {"a": "b"})
    session.put_object("path", path)
    session.put_object("stream", (content[start : start + 100] for start in range(0, len(content), 100)))
    session.upload_file(path, "resumable", resume=True)
    for key in ("bytes", "path", "stream", "resumable"):
        assert content == session.get_object(key).data
    assert {"a": "b"} == session.head_object("bytes").user_metadata
    assert [] == list(session.list_multipart_uploads())


def test_unfinished_large_files(session: B2Session) -> None:
    """An unfinished file is listed with its parts, and nothing else is; aborted it is gone."""
    upload = session.create_multipart_upload("key")
    upload.upload_part(1, bytes(300))
    upload.upload_part(2, b"end")
    assert [(1, 300), (2, 3)] == [(part.part_number, part.size) for part in upload.list_parts()]
    assert ["key"] == [entry.key for entry in session.list_multipart_uploads()]
    assert [] == list(session.list_objects())
    assert [] == list(session.list_object_versions())
    upload.abort()
    assert [] == list(session.list_multipart_uploads())


def test_copies(session: B2Session) -> None:
    """A copy in one call and one in parts have the bytes and the metadata of their source."""
    small, large = b"content", bytes(range(256)) * 500
    session.put_object("small", small, {"a": "b"}, multipart=False)
    session.put_object("large", large, {"a": "b"}, multipart=False)
    for key, content in (("small", small), ("large", large)):
        session.copy_object(key, key + ".copy")
        got = session.get_object(key + ".copy")
        assert (content, {"a": "b"}) == (got.data, got.user_metadata)
    session.copy_object("small", "replaced", metadata={"c": "d"})
    assert {"c": "d"} == session.head_object("replaced").user_metadata


def test_hiding_and_versions(session: B2Session) -> None:
    """Versions newest first, hide markers as delete markers, and each version deleted by its id."""
    first = session.put_object("key", b"one")
    session.put_object("key", b"two")
    assert session.delete_object("key").delete_marker
    with pytest.raises(NoSuchKey):
        session.get_object("key")
    rows = list(session.list_object_versions())
    assert [(True, True), (False, False), (False, False)] == [(row.delete_marker, row.is_latest) for row in rows]
    session.delete_object("key", rows[0].version_id)
    assert b"two" == session.get_object("key").data
    session.delete_object("key", rows[1].version_id)
    assert b"one" == session.get_object("key", first.version_id).data
    with pytest.raises(NoSuchVersion):
        session.get_object("key", rows[1].version_id)
    assert rows[1].version_id == session.delete_object("key", rows[1].version_id).version_id
    session.delete_objects(prefix="k", purge=True)
    assert [] == list(session.list_object_versions())


def test_listings(session: B2Session) -> None:
    """All keys over several pages, below a prefix, and behind a key."""
    keys = sorted(f"{folder}/{number}" for folder in "ab" for number in range(12))
    for key in keys:
        session.put_object(key, b"")
    assert keys == [entry.key for entry in session.list_objects(max_keys=5)]
    assert keys[12:] == [entry.key for entry in session.list_objects("b/", max_keys=5)]
    assert keys[5:] == [entry.key for entry in session.list_objects(start_after=keys[4])]
    assert keys == [entry.key for entry in session.list_object_versions(max_keys=7)]


def test_an_expired_token(session: B2Session, simulator: dict[str, str]) -> None:
    """All tokens expire in the middle of things, and nobody notices."""
    session.put_object("key", b"content")
    session.put_object("other", b"content")
    entries = iter(session.list_objects(max_keys=1))
    assert "key" == next(entries).key
    from s3func.message import Request
    from s3func.transport.pool import Pool

    pool = Pool()
    host = simulator["url"].removeprefix("http://")
    pool(Request("POST", simulator["url"], "/control/expire", "", {"host": host}, b"{}")).read()
    pool.close()
    assert ["other"] == [entry.key for entry in entries]
    session.put_object("key", b"again")


def test_threads_and_tokens(session: B2Session) -> None:
    """Eight threads upload at once; the simulator refuses a token that is in use, and nothing has to be tried twice."""
    failures: list[BaseException] = []

    def upload(thread: int) -> None:
        try:
            for number in range(8):
                session.put_object(f"{thread}/{number}", b"content")
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=upload, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failures
    assert 64 == sum(1 for _ in session.list_objects())


def test_keys_and_rights(session: B2Session, simulator: dict[str, str]) -> None:
    """A key that may only list may not write; a deleted one and a wrong one are nobody."""
    made = session.create_app_key(["listFiles", "listBuckets"], "lister")
    options: dict[str, Any] = {"realm": simulator["url"]}
    with B2Session(made.application_key_id, made.application_key, session.bucket, **options) as lister:
        assert [] == list(lister.list_objects())
        with pytest.raises(AccessDenied):
            lister.put_object("key", b"")
    assert made.application_key_id in {key.application_key_id for key in session.list_app_keys()}
    session.delete_app_key(made.application_key_id)
    with (
        B2Session(simulator["key_id"], "wrong", session.bucket, **options) as nobody,
        pytest.raises(InvalidCredentials),
    ):
        nobody.head_object("key")


def test_buckets(session: B2Session) -> None:
    """A bucket is listed, and gone when it was deleted."""
    assert session.bucket in {entry.name for entry in session.list_buckets()}
    session.delete_bucket()
    with pytest.raises(NotFound):
        session.head_bucket()


def test_presigned_urls(session: B2Session) -> None:
    """A URL for one object carries a token of its own."""
    session.put_object("key", b"content")
    assert "fake_download_auth_token" in session.presigned_url("GET", "key")
