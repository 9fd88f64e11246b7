"""The benchmark of folders counts what it says it counts, and finds out who did not do what it was asked to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import sync
from benchmarks.sink import SinkUnavailable
from benchmarks.sync_clients import DOWNLOAD, NOOP, PLAN, ROSTER, UPLOAD, US, Client, Task, ours
from benchmarks.sync_sink import BUCKET, WRITTEN, SyncSink, make_tree
from s3func import S3Session

SETTINGS = sync.Settings(rounds=1, files=120, noop_keys=1100, plan_all=120, plan_keys=1100)


@pytest.fixture(scope="module")
def sink() -> Iterator[SyncSink]:
    """A running store with small shelves."""
    shelves = {"small/": (120, 4096), "few/": (12, 4096), "noop/": (1100, 16), "plan/": (120, 16), "big/": (1100, 16)}
    try:
        with SyncSink(shelves) as running:
            yield running
    except SinkUnavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def rig(sink: SyncSink, tmp_path: Path) -> sync.Rig:
    """What the runs need."""
    return sync.Rig(tmp_path, SETTINGS, sink)


def test_the_store_lists_and_gives_what_the_trees_hold(sink: SyncSink, tmp_path: Path) -> None:
    """Keys in order over several pages, and objects with the bytes of the files."""
    with S3Session("id", "secret", BUCKET, sink.endpoint, region="us-east-1") as session:
        keys = [entry.key for entry in session.list_objects("noop/")]
        make_tree(tmp_path / "t", 1100, 16)
        names = sorted(path.relative_to(tmp_path / "t").as_posix() for path in (tmp_path / "t").rglob("f*"))
        assert [f"noop/{name}" for name in names] == keys
        path = tmp_path / "t" / names[-1]
        assert path.read_bytes() == session.get_object(keys[-1]).data
        assert path.stat().st_mtime == WRITTEN
        assert [] == list(session.list_objects("empty/"))


@pytest.mark.parametrize("action", [UPLOAD, DOWNLOAD, NOOP, PLAN, sync.BIG_PLAN])
def test_our_own_row(rig: sync.Rig, action: str) -> None:
    """The least requests that the action can be done with, and a sample that says so."""
    client = next(client for client in ROSTER if client.name == US)
    sample = rig.measure(client, action, 0)
    expected = {UPLOAD: (1, 120, 0), DOWNLOAD: (1, 0, 120), NOOP: (2, 0, 0), PLAN: (1, 0, 0), sync.BIG_PLAN: (2, 0, 0)}
    assert (*expected[action], 0) == (sample.lists, sample.puts, sample.gets, sample.heads)
    assert sample.wall_seconds > 0 < sample.peak_bytes


@pytest.mark.parametrize("action", [UPLOAD, DOWNLOAD])
def test_who_does_nothing_is_found_out(rig: sync.Rig, action: str) -> None:
    """A program that ends well without having moved anything, and one that fails, are no samples."""

    def nothing(_: Task) -> list[str]:
        return ["true"]

    def failing(_: Task) -> list[str]:
        return ["sh", "-c", "echo what went wrong >&2; exit 3"]

    with pytest.raises(sync.RunFailed):
        rig.measure(Client("idle", nothing), action, 0)
    with pytest.raises(sync.RunFailed, match=r"exit code 3 .* what went wrong"):
        rig.measure(Client("failing", failing), action, 0)


def test_the_tables(rig: sync.Rig) -> None:
    """A row per client, and who was left out with the reason."""
    clients = [Client(US, ours), Client("failing", lambda _: ["false"], note="always")]
    samples, failures = sync.measure_all(clients, [UPLOAD], rig)
    text = sync.report(samples, failures, clients)
    assert "| s3func | 120 |" in text
    assert "left out: failing, upload: exit code 1" in text
