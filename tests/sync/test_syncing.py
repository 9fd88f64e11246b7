"""sync() from end to end over a socket: how many requests it costs, what it finds, and that it finishes."""

from __future__ import annotations

import math
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3func.testing
from s3func.errors import TooManyDeletes
from s3func.sync.events import ScanPage
from s3func.sync.report import Report
from s3func.sync.syncing import sync
from s3func.testing import Server

NUMBER = 3000
LISTS = {"ListObjectsV2": math.ceil(NUMBER / 1000)}


@pytest.fixture
def server() -> Iterator[Server]:
    with s3func.testing.server() as running:
        yield running


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for number in range(NUMBER):
        path = root / f"d{number % 30:02}/f{number:04}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{number}".encode() * (number % 7))
    return root


class Counted:
    """Syncs whose requests are counted."""

    def __init__(self, server: Server) -> None:
        self.session = server.session("bucket")
        self._server = server

    def __call__(self, source: Any, target: Any, **options: Any) -> tuple[Report, dict[str, int]]:
        self._server.journal.clear()
        report = sync(source, target, session=self.session, **options)
        return report, dict(Counter(self._server.journal.operations()))


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_requests(server: Server, tree: Path, tmp_path: Path) -> None:
    """What did not change costs one list per thousand files and nothing else: again, the other way, and from a fresh
    checkout; what changed costs one request each.
    """
    run = Counted(server)
    there = "s3://bucket/p"
    report, requests = run(tree, there)
    assert (NUMBER, {"PutObject": NUMBER, "ListObjectsV2": 1}) == (report.uploaded, requests)
    for _ in range(2):
        report, requests = run(tree, there)
        assert (0, LISTS) == (report.transferred, requests)
    report, requests = run(there, tree)
    assert (0, LISTS) == (report.transferred, requests)
    other = tmp_path / "other"
    report, requests = run(there, other)
    assert (NUMBER, {"GetObject": NUMBER, **LISTS}) == (report.downloaded, requests)
    assert contents(tree) == contents(other)
    for source, target in ((there, other), (other, there)):
        report, requests = run(source, target)
        assert (0, LISTS) == (report.transferred, requests)
    fresh = tmp_path / "fresh"
    shutil.copytree(tree, fresh, copy_function=shutil.copyfile)
    for _ in range(2):
        report, requests = run(fresh, there)
        assert (0, LISTS) == (report.transferred, requests)


def test_edit_of_the_same_size_and_time(server: Server, tree: Path, tmp_path: Path) -> None:
    """T23: an edit that restores the time, and keeps the size, is found in either direction."""
    run = Counted(server)
    there, other = "s3://bucket/p", tmp_path / "other"
    run(tree, there)
    run(there, other)
    edited = tree / "d05/f0005.txt"
    before = edited.stat()
    edited.write_bytes(b"6" * before.st_size)
    os.utime(edited, ns=(before.st_atime_ns, before.st_mtime_ns))
    report, requests = run(tree, there)
    assert (1, {"PutObject": 1, **LISTS}) == (report.uploaded, requests)
    report, requests = run(there, other)
    assert (1, {"GetObject": 1, **LISTS}) == (report.downloaded, requests)
    assert contents(tree) == contents(other)


def test_between_prefixes(server: Server, tree: Path) -> None:
    """From prefix to prefix the store copies; a repeat is lists of both and nothing else."""
    run = Counted(server)
    run(tree, "s3://bucket/p")
    report, requests = run("s3://bucket/p", "s3://bucket/q")
    assert NUMBER == report.copied
    assert {"CopyObject": NUMBER} == {name: count for name, count in requests.items() if name != "ListObjectsV2"}
    report, requests = run("s3://bucket/p", "s3://bucket/q")
    assert (0, {"ListObjectsV2": 6}) == (report.transferred, requests)


def test_moved_files(server: Server, tree: Path) -> None:
    """A folder that was renamed is copied inside the store, and its old names deleted, a thousand at a time."""
    run = Counted(server)
    run(tree, "s3://bucket/p")
    (tree / "d07").rename(tree / "e07")
    report, requests = run(tree, "s3://bucket/p", delete="tracked")
    assert (report.renamed + report.uploaded, report.deleted) == (100, 100)
    assert requests["DeleteObjects"] == 1
    # Empty files have nothing that was worth copying.
    assert report.uploaded == sum(path.stat().st_size == 0 for path in (tree / "e07").iterdir())
    report, requests = run(tree, "s3://bucket/p", delete="tracked")
    assert (0, 0, LISTS) == (report.transferred, report.deleted, requests)


def test_too_many_deletes(server: Server, tree: Path) -> None:
    """T20: a folder that was emptied by mistake does not empty the prefix: nothing is deleted before it is stopped."""
    run = Counted(server)
    run(tree, "s3://bucket/p")
    for number in range(2, 30):
        shutil.rmtree(tree / f"d{number:02}")
    with pytest.raises(TooManyDeletes) as caught:
        run(tree, "s3://bucket/p", delete="all")
    assert caught.value.report.exit_code == 3  # type: ignore[attr-defined]  # put there by apply()
    assert len(list(run.session.list_objects())) == NUMBER


def test_pages_are_told(server: Server, tree: Path) -> None:
    """While it scans, a sync tells how far it is, on both sides, also when there is nothing to do."""
    run = Counted(server)
    run(tree, "s3://bucket/p")
    told: list[ScanPage] = []
    run(tree, "s3://bucket/p", on_event=lambda event: told.append(event) if isinstance(event, ScanPage) else None)
    assert [1000, 2000, 3000, 3000] == [page.entries for page in told if page.side == "source"]
    assert (3000, 3) == [(page.entries, page.pages) for page in told if page.side == "target"][-1]


def test_unknown_argument(server: Server, tmp_path: Path) -> None:
    """An argument that neither planning nor carrying out knows is an error, and nothing is sent."""
    server.session("bucket")
    server.journal.clear()
    with pytest.raises(TypeError):
        sync(tmp_path, "s3://bucket/p", session=server.session("bucket", create=False), recursive=True)
    assert [] == server.journal.operations()
