"""The cache: one path per object, right with many processes and without locks, smaller only by what the store still has."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import SourceChanged, SyncConflict
from s3func.files import Cache, S3Object
from s3func.files import single as single_module
from s3func.files.cache import locked
from s3func.s3 import S3Session
from s3func.testing import Server

Made = Callable[..., S3Object]
AWS = "https://s3.eu-west-1.amazonaws.com"


def test_stores_do_not_share_files(tmp_path: Path) -> None:
    """AWS has the short path, every other store a folder of its own, and its regions one."""
    cache = Cache(tmp_path)
    paths = {cache.path(url, "b", "k") for url in ("http://a:1", "http://a:2", "https://a:1", "http://a_1", AWS)}
    assert 5 == len(paths)
    assert f"{tmp_path}/b/k" == cache.path(AWS, "b", "k") == cache.path("https://s3.amazonaws.com", "b", "k")
    assert cache.path("https://s3.cn-north-1.amazonaws.com.cn", "b", "k") not in paths


KEYS = st.lists(
    st.sampled_from(["", ".", "..", "a", "b", "%~x", "a b", "ä", "CON", "x" * 300, "a:b", "\\", "\0", " "])
    | st.text(max_size=8),
    min_size=1,
    max_size=4,
).map("/".join)


@given(st.lists(KEYS.filter(bool), min_size=1, max_size=6, unique_by=lambda key: key.removesuffix("/")))
def test_a_key_has_one_path_below_the_root(keys: list[str]) -> None:
    """Whatever the keys are, their paths lie below the bucket's folder and no two are the same."""
    cache = Cache("/root-of-cache")
    paths = [cache.path("http://store", "bucket", key) for key in keys]
    assert len(set(paths)) == len(keys)
    for path in paths:
        assert path == os.path.normpath(path)
        assert path.startswith("/root-of-cache/@store-")


def test_the_root_is_where_caches_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_CACHE_HOME, else ~/.cache; a relative value counts as none, as the specification says."""
    assert str(tmp_path / "cache" / "s3func") == Cache().root
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(tmp_path / ".cache" / "s3func") == Cache().root


PROGRAM = """
import contextlib, sys, time
from s3func.files import S3Object, Cache
from s3func.files import single
from s3func.s3 import S3Session
endpoint, bucket, cache, is_locked, delay = sys.argv[1:]
if is_locked == "no":
    single.locked = lambda *_: contextlib.nullcontext(False)
time.sleep(float(delay))
with S3Session("test-access-key-id", "test-secret-access-key", bucket, endpoint, "us-east-1") as session:
    with S3Object(f"s3://{bucket}/big", session=session, cache=Cache(cache)).open("rb") as file:
        content = file.read()
assert content == bytes(range(256)) * (len(content) // 256) and len(content) == 12 * 1024 * 1024, len(content)
"""


@pytest.mark.parametrize("is_locked", ["yes", "no"])
def test_many_processes_share_a_cache(
    is_locked: str, s3_server: Server, s3_session: S3Session, s3_bucket: str, tmp_path: Path
) -> None:
    """T32, T33: each of several processes that read one uncached object reads exactly it, also where locks do nothing."""
    s3_session.put_object("big", bytes(range(256)) * (48 * 1024))
    s3_server.journal.clear()
    arguments = [s3_server.endpoint_url, s3_bucket, str(tmp_path / "shared"), is_locked]
    processes = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments, str(number * 0.05)]) for number in range(4)
    ]
    assert [0] * 4 == [process.wait() for process in processes]
    statuses = [entry.status for entry in s3_server.journal.entries("GetObject")]
    if is_locked == "yes":
        assert 3 == statuses.count(304)
    assert [] == [name for _, _, names in os.walk(tmp_path / "shared") for name in names if "s3func-part" in name]


def test_a_lock_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """T67: after its time somebody goes on without the lock; where there can be none, at once."""
    place = str(tmp_path / "folder" / "x.lock")
    with locked(place) as first, locked(place, 0.05) as second:
        assert first
        assert not second
    with locked(place) as again:
        assert again
    (tmp_path / "file").write_text("")
    with locked(str(tmp_path / "file" / "x.lock")) as impossible:
        assert not impossible


def settle() -> None:
    """Let the files' times get past."""
    time.sleep(0.15)


def test_shrinking_takes_the_oldest_clean_files(made: Made, cache: Cache, s3_session: S3Session) -> None:
    """What was not used for longest goes first, until the rest is small enough; a new download brings it back."""
    for number in range(4):
        s3_session.put_object(f"k{number}", b"x" * 100)
        made(f"k{number}").download()
        record = cache.records.place(made(f"k{number}").local_path, made(f"k{number}")._file().url)
        os.utime(record, (number, number))
    assert 400 == cache.size()
    made("k0").download()
    gone = cache.shrink(250, s3_session)
    assert [made("k1").local_path, made("k2").local_path] == gone
    assert [True, False, False, True] == [os.path.exists(made(f"k{number}").local_path) for number in range(4)]
    made("k1").download()
    assert b"x" * 100 == Path(made("k1").local_path).read_bytes()


def test_shrinking_never_takes_the_only_copy(
    made: Made, cache: Cache, s3_session: S3Session, s3_server: Server
) -> None:
    """T18: what was edited, was not uploaded, is gone from the store or replaced there, or is of another store, stays."""
    for key in ("edited", "deleted", "replaced", "pending", "linked"):
        s3_session.put_object(key, b"x")
        made(key).download()
    settle()
    Path(made("edited").local_path).write_text("y")
    s3_session.delete_object("deleted")
    s3_session.put_object("replaced", b"y")
    broken = s3_server.session(s3_session.bucket, create=False, retries=1)
    s3_server.faults.add("PutObject", status=500)
    with contextlib.suppress(Exception), made("pending", session=broken).open("w") as file:
        file.write("unsent")
    s3_server.faults.clear()
    linked = Path(made("linked").local_path)
    os.rename(linked, f"{linked}-real")
    linked.symlink_to(f"{linked}-real")
    Path(made("unknown").local_path).write_text("mine")
    assert [] == cache.shrink(0, s3_session)
    with s3_server.session(s3_session.bucket, create=False, endpoint_url="http://localhost:1") as elsewhere:
        assert [] == cache.shrink(0, elsewhere)
    for key in ("edited", "deleted", "replaced", "pending", "linked", "unknown"):
        assert os.path.exists(made(key).local_path)


def test_an_edit_while_shrinking_is_kept(
    made: Made, cache: Cache, s3_session: S3Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that somebody writes to between the look and the deletion is put back."""
    s3_session.put_object("k", b"x")
    path = Path(made("k").download())
    real = os.rename

    def late(source: str, target: str) -> None:
        path.write_text("edited")
        real(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert [] == cache.shrink(0, s3_session)
    assert "edited" == path.read_text()


@pytest.mark.parametrize(("wrong", "error"), [(-1, ValueError), ("5", TypeError), (True, TypeError)])
def test_a_bad_size_is_refused(wrong: int, error: type[Exception], cache: Cache, s3_session: S3Session) -> None:
    """max_bytes is a number of bytes."""
    with pytest.raises(error, match="max_bytes"):
        cache.shrink(wrong, s3_session)


def test_without_locks_nothing_is_wrong(made: Made, s3_session: S3Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """T33: with locks that do nothing, whoever publishes last has published something whole."""

    @contextlib.contextmanager
    def nothing(*_: object) -> Iterator[bool]:
        yield False

    monkeypatch.setattr(single_module, "locked", nothing)
    one, two = made("k"), made("k")
    with one.open("w") as first, two.open("w") as second:
        first.write("first")
        second.write("second!")
    assert b"first" == s3_session.get_object("k").data
    one.download()
    assert "first" == Path(one.local_path).read_text()


def test_a_path_is_known_without_credentials(tmp_path: Path) -> None:
    """Where a copy would be can be asked without any credentials, for S3 and for B2."""
    assert str(tmp_path / "cache/s3func/b/k") == S3Object("s3://b/k").local_path
    path = S3Object("b2://b/k").local_path
    assert path.startswith(str(tmp_path / "cache/s3func/@api.backblazeb2.com-"))
    assert path.endswith("/b/k")


def lines(number: float) -> str:
    """A content that shows whether all of it is of one writer."""
    line = hashlib.sha256(str(number).encode()).hexdigest()
    return f"{line}\n" * random.Random(number).randint(1, 500)


@pytest.mark.parametrize("is_locked", [True, False])
def test_many_threads_share_an_object(
    is_locked: bool, s3_session: S3Session, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers and writers of two caches see contents of one writer only, and fail with conflicts or not at all."""
    if not is_locked:
        monkeypatch.setattr(single_module, "locked", lambda *_: contextlib.nullcontext(False))
    s3_session.put_object("k", lines(0).encode())
    caches = [Cache(tmp_path / "one"), Cache(tmp_path / "two")]
    for cache in caches:
        S3Object(f"s3://{s3_bucket}/k", session=s3_session, cache=cache).download()
    wrong: list[object] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(15):
            obj = S3Object(f"s3://{s3_bucket}/k", session=s3_session, cache=caches[number % 2])
            with contextlib.suppress(SyncConflict, SourceChanged):
                match chance.randrange(4):
                    case 0:
                        with obj.open() as file:
                            found = file.read().splitlines()
                        if len(set(found)) != 1 or len(found[-1]) != 64:
                            wrong.append(found)
                    case 1:
                        with obj.open("w") as file:
                            file.write(lines(chance.random()))
                    case 2:
                        obj.upload()
                    case _:
                        obj.download(mirror=chance.random() < 0.5)

    with ThreadPoolExecutor(6) as threads:
        for each in [threads.submit(work, number) for number in range(6)]:
            each.result()
    assert [] == wrong
    for cache in caches:
        obj = S3Object(f"s3://{s3_bucket}/k", session=s3_session, cache=cache)
        obj.download(mirror=True)
        assert Path(obj.local_path).read_bytes() == s3_session.get_object("k").data
        assert ["k"] == os.listdir(os.path.dirname(obj.local_path))
