"""What a scan of a folder could not see is not deleted from the store, whatever the run was told to delete."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import SyncIncomplete
from s3func.server import MemoryBackend, S3App
from s3func.sync import LocalTree, RemotePrefix, sync
from s3func.sync.local import Symlinks

NAMES = ["a", "d/e/y", "d/x", "gone", "z"]


@pytest.fixture
def store() -> Iterator[RemotePrefix]:
    """A prefix that has all names, one of which the folder has no more."""
    app = S3App(MemoryBackend(), access_key_id="id", secret_access_key="secret")
    with S3Session("id", "secret", "bucket", transport=app) as session:
        session.create_bucket()
        for name in NAMES:
            session.put_object(f"p/{name}", name.encode())
        yield RemotePrefix(session, prefix="p")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder, without `gone`."""
    root = tmp_path / "root"
    for name in NAMES:
        if name != "gone":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
    return root


def keys(store: RemotePrefix) -> list[str]:
    return [entry.name for entry in store.scan()]


def mirror(folder: Path, store: RemotePrefix, symlinks: Symlinks = "skip") -> Any:
    """Delete as much as can be asked for."""
    tree = LocalTree(folder, symlinks=symlinks)
    return sync(tree, store, delete="all", max_delete="none", allow_empty_source=True, allow_new_root=True, state=None)


def unreadable(path: Path, patch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(given: str) -> Any:
        if os.path.normpath(given) == str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), given)
        return real(given)

    patch.setattr(os, "scandir", scandir)


def test_what_is_gone_is_deleted(folder: Path, store: RemotePrefix) -> None:
    """Where everything was seen, a mirror deletes what the folder has no more: the tests below could fail."""
    assert 0 == mirror(folder, store).exit_code
    assert ["a", "d/e/y", "d/x", "z"] == keys(store)


def test_t09_t11_what_lies_in_an_unreadable_folder_stays(
    folder: Path, store: RemotePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T09, T11: nothing below a folder that cannot be read is deleted, and the exit code says that not all was seen."""
    unreadable(folder / "d", monkeypatch)
    (folder / "z").write_text("changed")
    report = mirror(folder, store)
    assert 2 == report.exit_code
    assert {"a", "d/e/y", "d/x", "z"} <= set(keys(store))
    assert 1 == report.uploaded


def test_t09_what_lies_behind_a_link_stays(folder: Path, store: RemotePrefix) -> None:
    """T09, T10: a name that is a link now, or a link that leads nowhere, keeps its objects and ends no scan."""
    (folder / "d").rename(folder.parent / "elsewhere")
    (folder / "d").symlink_to("../elsewhere")
    (folder / "a").unlink()
    (folder / "a").symlink_to("nowhere")
    assert 0 == mirror(folder, store).exit_code
    assert {"a", "d/e/y", "d/x", "z"} <= set(keys(store))
    report = mirror(folder, store, "follow")
    assert 0 != report.exit_code
    assert {"a", "d/e/y", "d/x", "z"} <= set(keys(store))


def become_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_bytes(path: Path) -> None:
    path.rename(os.fsdecode(os.fsencode(path) + b"\xff"))


@pytest.mark.parametrize(("change", "is_harmless"), [(become_pipe, True), (become_bytes, False)])
def test_t50_t57_what_is_no_file_or_no_text_costs_nobody_else(
    folder: Path, store: RemotePrefix, change: Callable[[Path], None], is_harmless: bool
) -> None:
    """T50, T57: a pipe keeps the object of its name; a file whose name is no text is a failure and no new name."""
    change(folder / "a")
    report = mirror(folder, store)
    assert is_harmless == (report.exit_code == 0)
    assert {"d/e/y", "d/x", "z"} <= set(keys(store))
    assert is_harmless == ("a" in keys(store)) or report.exit_code != 0
    assert all(name.isascii() for name in keys(store))


def test_t08_a_folder_that_cannot_be_read_at_all_ends_the_run(
    folder: Path, store: RemotePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T08: a root that cannot be listed is SyncIncomplete, and every object is still there."""
    unreadable(folder, monkeypatch)
    with pytest.raises(SyncIncomplete):
        mirror(folder, store)
    assert NAMES == keys(store)


def test_t14_a_file_that_vanishes_does_not_keep_the_others_from_being_deleted(
    folder: Path, store: RemotePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T14: a source that is gone before it could be sent is counted, and the deletes of what was seen go on."""
    (folder / "new").write_text("new")
    real = LocalTree.open_source

    def open_source(tree: LocalTree, path: str) -> int:
        if path == "new":
            (folder / "new").unlink(missing_ok=True)
        return real(tree, path)

    monkeypatch.setattr(LocalTree, "open_source", open_source)
    report = mirror(folder, store)
    assert (0, 1) == (report.exit_code, report.vanished)
    assert ["a", "d/e/y", "d/x", "z"] == keys(store)
