"""What seems to be gone: a source, a bucket, a disk, a place for backups. None of it makes a run quietly succeed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s3func.testing
from s3func import S3Session
from s3func.errors import NoSuchBucket, SyncIncomplete
from s3func.server import MemoryBackend, S3App
from s3func.sync import deleting
from s3func.sync.applying import apply
from s3func.sync.events import OperationDone
from s3func.sync.operation import Operation, Side
from s3func.sync.plans import plan
from s3func.sync.remote import RemotePrefix
from s3func.sync.syncing import sync
from s3func.testing import Server
from tests.sync.sides import Sides


@pytest.fixture(params=["s3", "b2"])
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sides]:
    made = Sides(tmp_path, store=request.param)
    yield made
    made.session.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with s3func.testing.server() as running:
        yield running


def keys(sides: Sides) -> list[str]:
    return [row.key for row in sides.session.list_objects()]


# --- a backup that cannot be made


def test_backup_into_a_bucket_that_is_not_there(sides: Sides) -> None:
    """Where the bucket for backups does not exist, nothing is deleted: a typo is no permission."""
    sides.write("kept", b"1")
    sides.put("kept", b"1")
    sides.put("gone", b"precious")
    store = sides.remote.kind
    report = sync(
        sides.tree, sides.remote, delete="all", max_delete="none", state=None, backup=f"{store}://no-such-bucket/x"
    )
    assert ["p/gone", "p/kept"] == keys(sides)
    assert (0, 1) == (report.deleted, report.failed)


def test_replacing_with_a_backup_into_a_bucket_that_is_not_there(sides: Sides) -> None:
    """The same for what would be replaced, and the run ends there: no other step could keep anything either."""
    sides.write("f", b"new")
    sides.put("f", b"precious")
    with pytest.raises(NoSuchBucket):
        sync(sides.tree, sides.remote, state=None, backup=f"{sides.remote.kind}://no-such-bucket/x")
    assert {"f": b"precious"} == sides.stored()


def test_folder_for_backups_that_goes_away(sides: Sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that could not be kept is not deleted, also where the system says that something is not there."""
    sides.write("kept", b"1")
    sides.put("kept", b"1")
    sides.write("gone", b"precious")

    def lost(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("s3func.sync.keeping.os.link", lost)
    report = sync(sides.remote, sides.tree, delete="all", max_delete="none", state=None, backup=tmp_path / "elsewhere")
    assert {"kept": b"1", "gone": b"precious"} == sides.local()
    assert (0, 1) == (report.deleted, report.failed)


# --- a source that cannot be read


def test_objects_that_are_listed_and_cannot_be_got(server: Server, tmp_path: Path) -> None:
    """A store that lists objects and answers 404 to whoever wants them has lost nothing: each of them is a failure."""
    session = server.session("bucket")
    for number in range(3):
        session.put_object(f"p/{number}", b"1")
    server.faults.add("GetObject", status=404, code="NoSuchKey")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/extra").write_bytes(b"1")
    report = sync(
        RemotePrefix(session, prefix="p"), tmp_path / "out", delete="all", max_delete="none", state=tmp_path / "db"
    )
    assert (3, 0, 1) == (report.failed, report.vanished, report.not_deleted)
    assert (tmp_path / "out/extra").exists()


def test_copies_of_objects_that_are_listed_and_cannot_be_got(server: Server) -> None:
    """The same from one prefix to another one of the same store."""
    session = server.session("bucket")
    session.put_object("p/1", b"1")
    server.faults.add("CopyObject", status=404, code="NoSuchKey")
    report = sync(RemotePrefix(session, prefix="p"), RemotePrefix(session, prefix="q"), state=None)
    assert (1, 0) == (report.failed, report.vanished)


@pytest.mark.parametrize("which", ["source", "target"])
@pytest.mark.parametrize("is_local", [True, False])
def test_bucket_that_goes_away(server: Server, tmp_path: Path, which: str, is_local: bool) -> None:
    """A bucket that is deleted after it was listed ends the run, for a source as for a target."""
    session = server.session("bucket")
    server.session("other")
    session.put_object("p/1", b"1")
    source: Any = RemotePrefix(session, prefix="p")
    target: Any = RemotePrefix(session, "other", "q")
    if is_local:
        folder = tmp_path / "folder"
        folder.mkdir()
        if which == "source":
            target = folder
        else:
            (folder / "1").write_bytes(b"1")
            source = folder
    with plan(source, target, state=None) as made:
        made.prepare()
        server.remove_bucket("bucket" if which == "source" else "other")
        with pytest.raises(NoSuchBucket):
            apply(made)


def test_file_that_is_being_replaced_during_the_scan(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is listed, and away for a moment, is not deleted in the target by that; the next run knows."""
    for name in ("a", "b"):
        sides.write(name, b"1")
        sides.put(name, b"1")
    lstat = os.lstat

    def away(path: str) -> os.stat_result:
        if os.path.basename(path) == "b":
            raise FileNotFoundError(2, "No such file or directory")
        return lstat(path)

    with monkeypatch.context() as patch:
        patch.setattr("s3func.sync.local.os.lstat", away)
        report = sync(sides.tree, sides.remote, delete="all", max_delete="none", state=None)
    assert (True, 0) == (report.ok, report.deleted)
    assert ["p/a", "p/b"] == keys(sides)
    (sides.root / "b").unlink()
    assert sync(sides.tree, sides.remote, delete="all", max_delete="none", state=None).deleted == 1


@pytest.mark.parametrize("is_upload", [True, False])
@pytest.mark.parametrize("is_empty", [True, False])
def test_folder_that_becomes_another_one(sides: Sides, *, is_upload: bool, is_empty: bool) -> None:
    """A disk that is taken away after the scan leaves an empty folder: the run is incomplete, and deletes nothing."""
    for name in ("a", "b"):
        sides.write(name, b"1") if is_upload else sides.put(name, b"1")
    sides.write("old", b"old") if not is_upload else sides.put("old", b"old")
    made = (sides.up if is_upload else sides.down)(delete="all", max_delete="none", state=None)
    with made:
        made.prepare()
        sides.root.rename(sides.root.with_name("unmounted"))
        sides.root.mkdir()
        if not is_empty:
            (sides.root / "old").write_bytes(b"old")
        with pytest.raises(SyncIncomplete, match="another folder"):
            apply(made)
    if is_upload:
        assert "p/old" in keys(sides)
    else:
        assert (sides.root.with_name("unmounted") / "old").exists()
        assert is_empty or (sides.root / "old").exists()


# --- a target that changes while the run takes its time


def test_object_that_is_written_during_a_long_run(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody writes to the target while the transfers take their time is not deleted by what was listed before."""
    monkeypatch.setattr(deleting, "FRESH_SECONDS", 0.0)
    sides.write("a", b"1")
    sides.put("gone", b"1")
    sides.put("written", b"1")

    def write(event: object) -> None:
        if isinstance(event, OperationDone):
            sides.put("written", b"by somebody else, meanwhile")

    report = sync(sides.tree, sides.remote, delete="all", max_delete="none", state=None, on_event=write)
    assert ["p/a", "p/written"] == keys(sides)
    assert (1, 1) == (report.deleted, report.failed)


def test_second_look_costs_no_more_than_there_are_deletes(sides: Sides) -> None:
    """Few deletes among many objects are looked at one by one, and many side by side with their pages."""
    names = [f"{number:04}" for number in range(2500)]
    for name in names:
        sides.put(name, b"1")
    expected = {name: sides.side(name) for name in ("0000", "1200", "2499")}
    few = [Operation("delete", name, 0, "extraneous", None, side) for name, side in expected.items()]
    sides.requests()
    assert [None] * 3 == [
        error for _, _, error in deleting.delete_all(sides.remote, few, None, lambda: None, fresh_until=0)
    ]
    lists = [name for name in sides.requests() if "ist" in name]
    assert len(lists) <= 3, lists
    assert 2497 == len(keys(sides))


letters = st.text(st.sampled_from(["a", "b", "!", "/", "~", "é", "\U0001f600"]), min_size=1, max_size=4)


@pytest.mark.parametrize("order", ["auto", "sort"])
@given(
    there=st.sets(letters, max_size=30),
    wanted=st.sets(letters, min_size=1, max_size=10),
    prefix=st.sampled_from(["", "p/"]),
)
@settings(max_examples=60)
def test_second_look_finds_what_is_there(order: Any, there: set[str], wanted: set[str], prefix: str) -> None:
    """Whatever the names and however many per page, only what is still there is deleted, and no other object."""
    app = S3App(MemoryBackend(), access_key_id="k", secret_access_key="s")
    with S3Session("k", "s", "bucket", transport=app) as session:
        session.create_bucket()
        for name in there:
            session.put_object(prefix + name, b"1")
        session.put_object("q", b"next to it")
        remote = RemotePrefix(TwoPerPage(session), "bucket", prefix, order=order)  # type: ignore[arg-type]
        steps = [Operation("delete", name, 0, "extraneous", None, Side(1)) for name in wanted]
        asked: list[str] = []
        remote.session.delete_objects = lambda names, bucket: asked.extend(names)  # type: ignore[attr-defined]
        told = list(deleting.delete_all(remote, steps, None, lambda: None, fresh_until=0))
        assert [None] * len(wanted) == [error for _, _, error in told]
        everything = there if prefix else there | {"q"}
        assert sorted(prefix + name for name in wanted & everything) == sorted(asked)


class TwoPerPage:
    """A session whose listings come in pages of two."""

    def __init__(self, session: S3Session) -> None:
        self.bucket = session.bucket
        self._session = session

    def list_objects(self, prefix: str | None = None, **options: Any) -> Any:
        return self._session.list_objects(prefix, **{"max_keys": 2, **options})
