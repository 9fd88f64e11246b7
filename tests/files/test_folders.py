"""Folders through S3Object: excludes on relative paths, mirror=True with its guards, and no write outside."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from s3func.errors import (
    EmptySourceError,
    HashMismatchError,
    S3FuncError,
    S3ObjectError,
    SafetyStop,
    SyncConflict,
    SyncError,
)
from s3func.files import S3Object
from s3func.s3 import S3Session
from s3func.testing import Server

Made = Callable[..., S3Object]


def fill(folder: str, *names: str) -> None:
    for name in names:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def files(folder: str) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(top, name), folder) for top, _, names in os.walk(folder) for name in names
    )


def keys(session: S3Session) -> list[str]:
    return [entry.key for entry in session.list_objects()]


def test_a_folder_goes_both_ways(made: Made, s3_session: S3Session) -> None:
    """All files below a local folder become objects and back, in the default cache as well, which is a hidden folder."""
    obj = made("d", cache=None)
    assert "/cache/" in obj.local_path
    fill(obj.local_path, "a", "b/c", "b/d/e")
    obj.upload()
    assert ["d/a", "d/b/c", "d/b/d/e"] == keys(s3_session)
    other = made("d", local_path=f"{obj.local_path}-2")
    assert other.is_changed()
    assert other.local_path == other.download()
    assert ["a", "b/c", "b/d/e"] == files(other.local_path)
    assert not other.is_changed()
    other.verify()
    Path(other.local_path, "a").write_text("x")
    assert other.is_changed()
    with pytest.raises(HashMismatchError, match="a"):
        other.verify()


def test_a_hidden_cache_is_not_excluded(made: Made, s3_session: S3Session, tmp_path: Path) -> None:
    """Below ~/.cache the default excludes leave out what is hidden below the folder, and not the folder itself."""
    obj = made("d", local_path=tmp_path / ".cache" / "d")
    fill(obj.local_path, "a", ".hidden", ".git/config", "x/__pycache__/y", "p.egg-info/z")
    obj.upload(mirror=True)
    assert ["d/a"] == keys(s3_session)
    obj.clear_excludes().upload()
    assert ["d/.git/config", "d/.hidden", "d/a", "d/p.egg-info/z", "d/x/__pycache__/y"] == keys(s3_session)


def test_mirror_deletes_what_the_other_side_does_not_have(made: Made, s3_session: S3Session) -> None:
    """mirror=True makes both sides the same; without it nothing is ever deleted."""
    obj = made("d")
    fill(obj.local_path, "a", "b", "c")
    obj.upload()
    os.unlink(os.path.join(obj.local_path, "c"))
    obj.upload()
    assert ["d/a", "d/b", "d/c"] == keys(s3_session)
    obj.upload(mirror=True)
    assert ["d/a", "d/b"] == keys(s3_session)
    fill(obj.local_path, "mine")
    obj.download()
    assert ["a", "b", "mine"] == files(obj.local_path)
    obj.download(mirror=True)
    assert ["a", "b"] == files(obj.local_path)


@pytest.mark.parametrize("mirror", [True, False])
def test_excludes_protect_both_sides(mirror: bool, made: Made, s3_session: S3Session) -> None:
    """T12: what is excluded is neither transferred nor deleted, here or in the store."""
    obj = made("d", excludes=[r"\.log$"])
    fill(obj.local_path, "a", "own.log", ".git/x")
    for key in ("d/a", "d/b", "d/their.log", "d/.git/y"):
        s3_session.put_object(key, key.encode())
    obj.download(mirror=mirror)
    assert [".git/x", "a", "b", "own.log"] == files(obj.local_path)
    fill(obj.local_path, "skip.tmp")
    obj.upload(excludes=[r".*\.tmp$"], mirror=mirror)
    assert ["d/.git/y", "d/a", "d/b", "d/their.log"] == keys(s3_session)


def test_a_mistyped_key_deletes_nothing(made: Made, s3_session: S3Session) -> None:
    """T07: download(mirror=True) of a prefix with nothing below it is an error, and the folder stays."""
    s3_session.put_object("right/a", b"x")
    obj = made("wrong")
    fill(obj.local_path, "a", "b")
    with pytest.raises(S3ObjectError):
        obj.download(mirror=True)
    assert ["a", "b"] == files(obj.local_path)


def test_an_empty_folder_deletes_nothing(made: Made, s3_session: S3Session) -> None:
    """T07: upload(mirror=True) of an empty folder is a SafetyStop unless it is meant."""
    for key in ("d/a", "d/b"):
        s3_session.put_object(key, b"x")
    obj = made("d")
    os.makedirs(obj.local_path)
    with pytest.raises(EmptySourceError):
        obj.upload(mirror=True)
    assert ["d/a", "d/b"] == keys(s3_session)
    obj.upload(mirror=True, allow_empty_source=True, max_delete="none")
    assert [] == keys(s3_session)


def test_too_many_deletes_are_stopped(made: Made, s3_session: S3Session) -> None:
    """More than half of a tree does not go by mistake, and does when max_delete allows it; a handful always may."""
    obj = made("d")
    fill(obj.local_path, *(f"{number:02}" for number in range(20)))
    obj.upload()
    for number in range(2, 20):
        os.unlink(os.path.join(obj.local_path, f"{number:02}"))
    with pytest.raises(SafetyStop):
        obj.upload(mirror=True)
    assert 20 == len(keys(s3_session))
    obj.upload(mirror=True, max_delete="100%")
    assert ["d/00", "d/01"] == keys(s3_session)
    os.unlink(os.path.join(obj.local_path, "00"))
    obj.upload(mirror=True)
    assert ["d/01"] == keys(s3_session)


def test_no_key_leads_out_of_the_folder(made: Made, s3_session: S3Session, tmp_path: Path) -> None:
    """T46: a key with ".." is reported and written nowhere; the others arrive."""
    for key in ("d/good", "d/../../evil.txt", "d//abs"):
        s3_session.put_object(key, b"x")
    obj = made("d", local_path=tmp_path / "in" / "here")
    with pytest.raises(SyncError):
        obj.download()
    assert ["good"] == files(obj.local_path)
    assert ["in/here/good"] == [name for name in files(str(tmp_path)) if not name.startswith(("cache", "state"))]


def test_two_changes_are_a_conflict(made: Made, s3_session: S3Session) -> None:
    """A file that changed on both sides is left alone and told; mirror=True lets the source win."""
    obj = made("d")
    fill(obj.local_path, "a", "b")
    obj.upload()
    Path(obj.local_path, "a").write_text("here!")
    s3_session.put_object("d/a", b"there")
    for call in (obj.upload, obj.download):
        with pytest.raises(SyncConflict):
            call()
    assert "here!" == Path(obj.local_path, "a").read_text()
    assert b"there" == s3_session.get_object("d/a").data
    obj.upload(mirror=True)
    assert b"here!" == s3_session.get_object("d/a").data


def test_the_excludes_of_an_object(made: Made) -> None:
    """Patterns are added, taken back and listed, in order; a bad one is a ValueError and changes nothing."""
    obj = made("d", excludes=["a"])
    first = obj.get_excludes()
    assert "a" == first[-1]
    assert [*first, "b", "c"] == obj.add_exclude("b").add_excludes(["b", "c"]).get_excludes()
    assert [*first, "c"] == obj.remove_exclude("b").remove_exclude("none").get_excludes()
    with pytest.raises(ValueError, match="excludes"):
        obj.add_excludes(["ok", "("])
    assert [*first, "c"] == obj.get_excludes()
    assert [] == obj.clear_excludes().get_excludes()


def test_the_requests_of_a_folder(made: Made, s3_session: S3Session, asked: Callable[[], list[str]]) -> None:
    """A cold folder costs a GET per file, a warm one two listings, an upload of what is there already one."""
    for number in range(30):
        s3_session.put_object(f"d/{number}", b"x")
    obj = made("d")
    asked()
    obj.download()
    counted = Counter(asked())
    assert 31 == counted.pop("GetObject")
    assert {"ListObjectsV2": 2} == counted
    obj.download()
    assert {"ListObjectsV2": 2} == Counter(asked())
    obj.upload()
    assert {"ListObjectsV2": 1} == Counter(asked())


def test_a_busy_store_is_asked_again(made: Made, s3_session: S3Session, s3_server: Server) -> None:
    """SlowDown is retried, for one object and for many."""
    for key in ("k", "d/a", "d/b"):
        s3_session.put_object(key, b"x")
    s3_server.faults.add("*", times=1, status=503, code="SlowDown")
    assert os.path.exists(made("k").download())
    s3_server.faults.add("GetObject", key="d/*", times=1, status=503, code="SlowDown")
    assert ["a", "b"] == files(made("d").download())


def test_links_are_left_alone(made: Made, s3_session: S3Session, tmp_path: Path) -> None:
    """A symbolic link in a folder is neither uploaded, nor replaced, nor a reason to delete the object of its name."""
    (tmp_path / "outside").write_text("secret")
    s3_session.put_object("d/link", b"kept")
    obj = made("d")
    fill(obj.local_path, "a", "b")
    os.symlink(tmp_path / "outside", os.path.join(obj.local_path, "link"))
    obj.upload(mirror=True)
    assert b"kept" == s3_session.get_object("d/link").data
    with pytest.raises(SyncError) as caught:
        obj.download(mirror=True)
    assert "link" in caught.value.__notes__[0]
    assert "secret" == (tmp_path / "outside").read_text()
    assert os.path.islink(os.path.join(obj.local_path, "link"))


def test_a_listing_that_fails_deletes_nothing(made: Made, s3_session: S3Session, s3_server: Server) -> None:
    """T01, T03: a proxy's page in place of a listing, or a refusal, raises, and the folder and the store stay as they are."""
    obj = made("d", session=s3_server.session(s3_session.bucket, create=False, retries=1))
    fill(obj.local_path, "a", "b")
    obj.upload()
    fill(obj.local_path, "mine")
    for how in ({"answer": "html"}, {"status": 403}, {"status": 500}):
        s3_server.faults.add("ListObjectsV2", **how)
        for call in (obj.download, obj.upload):
            with pytest.raises(S3FuncError):
                call(mirror=True)
        s3_server.faults.clear()
        assert ["a", "b", "mine"] == files(obj.local_path)
        assert ["d/a", "d/b"] == keys(s3_session)
