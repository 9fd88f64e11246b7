"""What fsspec's suite does not ask: requests, secrets, errors, exceptions, and who else uses it."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from s3func import S3Session, testing
from s3func.errors import AccessDenied, NotSupported
from s3func.filesystem import B2FileSystem, S3FileSystem, install

BUCKET = "data"


@pytest.fixture(scope="module")
def server() -> Iterator[testing.Server]:
    """One server for the tests of this file."""
    with testing.server() as running:
        yield running


@pytest.fixture
def session(server: testing.Server) -> Iterator[S3Session]:
    """A session on an empty bucket."""
    made = server.session(BUCKET)
    yield made
    server.faults.clear()
    made.delete_objects([entry.key for entry in made.list_objects()])


@pytest.fixture
def fs(session: S3Session) -> Any:
    """A filesystem over that session."""
    return S3FileSystem(session=session, skip_instance_cache=True)


def asked(server: testing.Server, call: Any) -> list[str]:
    """The operations that a call comes to."""
    before = len(server.journal.operations())
    call()
    return list(server.journal.operations()[before:])


def test_what_things_cost(server: testing.Server, fs: Any, tmp_path: Path) -> None:
    """Requests are counted by those who pay for them: no probing, one flat listing, batched deletes."""
    for number in range(5):
        fs.pipe_file(f"{BUCKET}/t/p={number}/x", b"0123456789")
    name = f"{BUCKET}/t/p=1/x"
    costs = {
        "info": (lambda: fs.info(name), ["HeadObject"]),
        "cat": (lambda: fs.cat_file(name), ["GetObject"]),
        "range": (lambda: fs.cat_file(name, 2, 4), ["GetObject"]),
        "tail": (lambda: fs.cat_file(name, -3), ["GetObject"]),
        "ranges": (lambda: fs.cat_ranges([name] * 3, [0, 3, 6], [2, 5, 8]), ["GetObject"]),
        "open": (lambda: fs.open(name, "rb").close(), ["GetObject"]),
        "get": (lambda: fs.get_file(name, str(tmp_path / "x")), ["GetObject"]),
        "pipe": (lambda: fs.pipe_file(name, b"0123456789"), ["PutObject"]),
        "find": (lambda: fs.find(f"{BUCKET}/t", detail=True), ["ListObjectsV2"]),
        "ls": (lambda: fs.ls(f"{BUCKET}/t"), ["ListObjectsV2"]),
        "copy": (lambda: fs.cp_file(name, f"{BUCKET}/c"), ["CopyObject"]),
        "rm": (lambda: fs.rm(f"{BUCKET}/t", recursive=True), ["ListObjectsV2", "DeleteObjects"]),
    }
    for what, (call, operations) in costs.items():
        assert (what, operations) == (what, asked(server, call))


def test_listings_are_not_kept(session: S3Session, fs: Any) -> None:
    """T58: what somebody else writes is seen at once; only who asks for it has a cache, which a write of ours ends."""
    fs.pipe_file(f"{BUCKET}/d/a", b"1")
    assert [f"{BUCKET}/d/a"] == fs.ls(f"{BUCKET}/d", detail=False)
    session.put_object("d/b", b"2")
    assert [f"{BUCKET}/d/a", f"{BUCKET}/d/b"] == fs.ls(f"{BUCKET}/d", detail=False)
    keeping = S3FileSystem(session=session, skip_instance_cache=True, use_listings_cache=True)
    keeping.ls(f"{BUCKET}/d")
    session.put_object("d/c", b"3")
    assert 2 == len(keeping.ls(f"{BUCKET}/d"))
    keeping.pipe_file(f"{BUCKET}/d/d", b"4")
    assert 4 == len(keeping.ls(f"{BUCKET}/d"))


@pytest.mark.parametrize("key", ["a//b", "a?b#c", "%20", "../x", "ü/\n", "a b+c"])
def test_keys_are_exact(session: S3Session, fs: Any, key: str) -> None:
    """A path is the bucket and the key as it is."""
    fs.pipe_file(f"{BUCKET}/{key}", b"x")
    assert ([key], b"x") == ([entry.key for entry in session.list_objects()], fs.cat_file(f"s3func://{BUCKET}/{key}"))


def test_an_exception_publishes_nothing(session: S3Session, fs: Any) -> None:
    """T37: a block that fails leaves the object as it was, whatever is wrapped around the file."""
    fs.pipe_file(f"{BUCKET}/x", b"good")
    for opened in (
        lambda: fs.open(f"{BUCKET}/x", "wb"),
        lambda: fs.open(f"{BUCKET}/x", "w"),
        lambda: io.BufferedWriter(fs.open(f"{BUCKET}/x", "wb")),
    ):
        with pytest.raises(ZeroDivisionError), opened() as file:
            half: Any = "half" if isinstance(file, io.TextIOBase) else b"half"
            file.write(half)
            raise ZeroDivisionError
    with (
        pytest.raises(ZeroDivisionError),
        fs.open(f"{BUCKET}/x", "wb") as raw,
        gzip.open(raw, "wb") as packed,
    ):
        packed.write(b"half")
        raise ZeroDivisionError
    assert (b"good", ["x"]) == (fs.cat_file(f"{BUCKET}/x"), [entry.key for entry in session.list_objects()])


def test_a_transaction_publishes_at_its_end(session: S3Session, fs: Any) -> None:
    """Files that are closed inside of it appear together; those of one that fails never do."""
    with fs.transaction:
        with fs.open(f"{BUCKET}/t1", "wb") as file:
            file.write(b"1")
        assert not session.exists("t1")
    assert b"1" == fs.cat_file(f"{BUCKET}/t1")
    with pytest.raises(ZeroDivisionError), fs.transaction:
        with fs.open(f"{BUCKET}/t2", "wb") as file:
            file.write(b"2")
        raise ZeroDivisionError
    assert not session.exists("t2")


def test_a_broken_download_leaves_the_file(server: testing.Server, fs: Any, tmp_path: Path) -> None:
    """T31: what was there stays; nothing half appears under the name."""
    fs.pipe_file(f"{BUCKET}/x", b"n" * 5000)
    target = tmp_path / "x"
    target.write_bytes(b"old")
    server.faults.add("GetObject", cut_answer=1000)
    with pytest.raises(Exception, match=r"."):
        fs.get_file(f"{BUCKET}/x", str(target))
    assert (b"old", ["x"]) == (target.read_bytes(), [path.name for path in tmp_path.iterdir()])


def test_no_bucket_is_made_by_the_way(fs: Any, session: S3Session, tmp_path: Path) -> None:
    """T59: a mistyped bucket is an error of put, mkdir and makedirs; create_bucket() makes one."""
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(Exception, match="bucket"):
        fs.put(str(tmp_path / "f"), "typo-bucket/f")
    with pytest.raises(FileNotFoundError):
        fs.mkdir("typo-bucket")
    assert "typo-bucket" not in [entry.name for entry in session.list_buckets()]
    fs.create_bucket("made-here")
    assert "made-here" in fs.ls("", detail=False)
    session.delete_bucket("made-here")


def test_refusals_are_not_absence(server: testing.Server, fs: Any) -> None:
    """A forbidden or a failing store is not taken for an empty one."""
    server.faults.add("HeadObject", status=403)
    with pytest.raises(AccessDenied):
        fs.exists(f"{BUCKET}/x")


def test_what_is_not_there(fs: Any) -> None:
    """Missing objects are FileNotFoundError everywhere, buckets are no objects, other modes no modes."""
    calls: list[Callable[[], Any]] = [
        lambda: fs.info(f"{BUCKET}/no"),
        lambda: fs.cat_file(f"{BUCKET}/no"),
        lambda: fs.open(f"{BUCKET}/no", "rb"),
        lambda: fs.ls(f"{BUCKET}/no"),
        lambda: fs.cp_file(f"{BUCKET}/no", f"{BUCKET}/x"),
        lambda: fs.ls("no-such-bucket/"),
    ]
    for call in calls:
        with pytest.raises(FileNotFoundError):
            call()
    with pytest.raises(IsADirectoryError):
        fs.cat_file(BUCKET)
    with pytest.raises(NotSupported):
        fs.open(f"{BUCKET}/x", "ab")
    assert b"" == (fs.pipe_file(f"{BUCKET}/e", b"abc") or fs.cat_file(f"{BUCKET}/e", 5, 9))


def test_reading_as_a_file(fs: Any) -> None:
    """Text, seeks, and the attributes that others look for."""
    fs.pipe_file(f"{BUCKET}/t", "zwei\ndrei ü\n".encode())
    with fs.open(f"{BUCKET}/t", "r", encoding="utf-8") as text:
        assert ["zwei\n", "drei ü\n"] == list(text)
    with fs.open(f"{BUCKET}/t", "rb") as file:
        assert (13, f"{BUCKET}/t", fs) == (file.size, file.path, file.fs)
        file.seek(-3, 2)
        assert "ü\n".encode() == file.read()


def test_secrets_stay(server: testing.Server, session: S3Session) -> None:
    """Not in a repr, not in JSON; a pickle with secrets is refused unless somebody allows it, a session always."""
    settings = server.settings
    options = {
        "key": settings["access_key_id"],
        "secret": settings["secret_access_key"],
        "endpoint_url": server.endpoint_url,
        "region": "us-east-1",
    }
    made = S3FileSystem(**options)
    for text in (repr(made), str(made), made.to_json(), json.dumps(made.to_dict()), made.fsid):
        assert settings["secret_access_key"] not in text
    with pytest.raises(TypeError, match="share_secrets"):
        pickle.dumps(made)
    allowed = pickle.loads(pickle.dumps(S3FileSystem(**options, share_secrets=True)))
    allowed.pipe_file(f"{BUCKET}/x", b"1")
    with pytest.raises(TypeError, match="session"):
        pickle.dumps(S3FileSystem(session=session, skip_instance_cache=True))


def test_a_pickle_finds_its_credentials_where_it_runs(
    server: testing.Server, session: S3Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configuration travels, credentials are those of the environment."""
    made = S3FileSystem(endpoint_url=server.endpoint_url, region="us-east-1")
    data = pickle.dumps(made)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
    pickle.loads(data).pipe_file(f"{BUCKET}/p", b"1")
    assert b"1" == session.get_object("p").data


def test_protocols() -> None:
    """s3func:// and b2:// are ours by entry point; s3:// only after install()."""
    assert S3FileSystem is fsspec.get_filesystem_class("s3func")
    assert B2FileSystem is fsspec.get_filesystem_class("b2")
    # fsspec.registry, as an attribute, is the read-only view of what this module holds.
    known = importlib.import_module("fsspec.registry")._registry
    before = dict(known)
    try:
        install(["s3"])
        assert S3FileSystem is fsspec.get_filesystem_class("s3")
    finally:
        known.clear()
        known.update(before)


def test_urls_for_others(fs: Any) -> None:
    """A signed link reads the object without us."""
    import urllib.request

    fs.pipe_file(f"{BUCKET}/x", b"linked")
    with urllib.request.urlopen(fs.sign(f"{BUCKET}/x", 60)) as answer:
        assert b"linked" == answer.read()


def test_boto_arguments_are_explained() -> None:
    """client_kwargs would be ignored silently; it is refused with what to give in its place."""
    with pytest.raises(ValueError, match="endpoint_url"):
        S3FileSystem(client_kwargs={"endpoint_url": "http://x"})
