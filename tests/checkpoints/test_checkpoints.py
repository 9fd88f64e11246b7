"""Checkpoints appear whole or not at all, and are found again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3func import B2Session, S3Session, testing
from s3func.checkpoints import Checkpoint, Checkpoints
from s3func.errors import (
    DeadlineExceeded,
    HashMismatchError,
    NoSuchKey,
    ObjectExists,
    ProtocolError,
    ServerError,
    SourceChanged,
)
from tests.trees import read, write

FILES = {"model.bin": b"\0\1\2" * 1000, "optimizer/state-0.bin": b"s" * 10, "empty": b""}


def test_a_step_goes_and_comes(make: Callable[..., Checkpoints], tmp_path: Path) -> None:
    """What was written into the folder is what load brings, names and bytes and the caller's own words."""
    checkpoints = make()
    with checkpoints.save(100, metadata={"loss": 0.25}) as folder:
        write(folder, FILES)
    assert not folder.exists()
    found = checkpoints.load(to=tmp_path / "back")
    assert (100, {"loss": 0.25}, FILES) == (found.step, found.metadata, read(tmp_path / "back"))
    assert sum(map(len, FILES.values())) == found.size
    assert ["back"] == os.listdir(tmp_path)


def test_a_step_that_cannot_be_loaded_keeps_none(session: S3Session, make: Any, tmp_path: Path) -> None:
    """A manifest that cannot be read is not counted among the steps that are kept: prune() leaves what can be loaded."""
    with make() as checkpoints:
        for step in (1, 2, 3, 4):
            with checkpoints.save(step) as folder:
                (folder / "model").write_bytes(b"%d" % step)
        for step in (2, 4):
            session.put_object(f"job/step-{step:010d}/MANIFEST.json", b'{"format": 1, "fil')
        assert [] == checkpoints.prune(2)
        assert [1, 2] == checkpoints.prune(1)
        assert b"3" == (checkpoints.load(to=tmp_path / "back") and (tmp_path / "back/model").read_bytes())


def test_the_newest_is_found_with_two_requests(tmp_path: Path) -> None:
    """T62: latest() costs one listing and one read, however many steps there are."""
    with testing.server() as server:
        checkpoints = Checkpoints("s3://runs/job", session=server.session("runs"))
        for step in range(5):
            checkpoints.save_folder(step, write(tmp_path / str(step), {"a": b"%d" % step}))
        before = len(server.journal.operations())
        found = checkpoints.latest()
        assert found is not None
        assert (4, ["ListObjectsV2", "GetObject"]) == (found.step, server.journal.operations()[before:])


def test_no_checkpoint_is_none_or_an_error(make: Callable[..., Checkpoints], tmp_path: Path) -> None:
    """An empty run has no latest, and nothing to load."""
    checkpoints = make()
    assert checkpoints.latest() is None
    with pytest.raises(NoSuchKey):
        checkpoints.load(to=tmp_path / "x")
    with pytest.raises(NoSuchKey, match="of step 5"):
        checkpoints.load(5, to=tmp_path / "x")
    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_publishes_nothing(
    make: Callable[..., Checkpoints], session: S3Session, error: type[BaseException]
) -> None:
    """The block was left by an exception, Ctrl-C as well: there is no step, and no object of one."""
    with pytest.raises(error), make().save(1) as folder:
        write(folder, FILES)
        raise error
    assert not folder.exists()
    assert [] == list(session.list_objects())


def test_a_crash_between_files_leaves_the_step_before(tmp_path: Path) -> None:
    """T62: whichever request fails, the newest checkpoint is the one before, whole, until the manifest is there."""
    with testing.server() as server:
        session = server.session("runs", retries=1)
        checkpoints = Checkpoints("s3://runs/job", session=session)
        checkpoints.save_folder(1, write(tmp_path / "one", FILES))
        changed = {name: content + b"!" for name, content in FILES.items()}
        folder = write(tmp_path / "two", changed)
        for name in [*changed, "MANIFEST.json"]:
            rule = server.faults.add("PutObject", key=f"*/{name}", status=500)
            with pytest.raises(ServerError):
                checkpoints.save_folder(2, folder)
            rule.remove()
            found = checkpoints.load(to=tmp_path / f"back of {name.replace('/', '-')}")
            assert (1, FILES) == (found.step, read(tmp_path / f"back of {name.replace('/', '-')}"))
        checkpoints.save_folder(2, folder)
        assert 2 == checkpoints.load(to=tmp_path / "newest").step
        assert changed == read(tmp_path / "newest")


def test_a_step_is_never_written_to_again(make: Callable[..., Checkpoints], tmp_path: Path) -> None:
    """A published step stays what it is, whoever tries, and says so before anything is computed."""
    checkpoints = make()
    checkpoints.save_folder(1, write(tmp_path / "one", FILES))
    with pytest.raises(ObjectExists), checkpoints.save(1) as _:
        raise AssertionError("the block must not begin")
    with pytest.raises(ObjectExists):
        checkpoints.save_folder(1, write(tmp_path / "two", {"other": b"x"}))
    assert FILES == read_back(checkpoints, tmp_path / "back")


def read_back(checkpoints: Checkpoints, to: Path) -> dict[str, bytes]:
    """What the newest checkpoint holds."""
    checkpoints.load(to=to)
    return read(to)


def test_unchanged_files_are_copied_in_the_store(tmp_path: Path) -> None:
    """A file whose content the step before has costs a copy, not an upload, under whatever name."""
    with testing.server() as server:
        checkpoints = Checkpoints("s3://runs/job", session=server.session("runs"))
        checkpoints.save_folder(1, write(tmp_path / "one", {"frozen.bin": b"f" * 5000, "head.bin": b"1"}))
        before = len(server.journal.operations())
        checkpoints.save_folder(2, write(tmp_path / "two", {"renamed.bin": b"f" * 5000, "head.bin": b"2"}))
        asked = server.journal.operations()[before:]
        assert (1, 2) == (asked.count("CopyObject"), asked.count("PutObject"))
        assert {"renamed.bin": b"f" * 5000, "head.bin": b"2"} == read_back(checkpoints, tmp_path / "back")


def test_a_file_that_was_damaged_is_not_loaded(
    make: Callable[..., Checkpoints], session: S3Session, tmp_path: Path
) -> None:
    """What lies in the store is compared with what was saved; the folder does not appear."""
    checkpoints = make()
    checkpoints.save_folder(1, write(tmp_path / "one", FILES))
    session.put_object("job/step-0000000001/model.bin", b"\0\1\3" * 1000)
    with pytest.raises(HashMismatchError, match=r"model\.bin"):
        checkpoints.load(to=tmp_path / "back")
    assert ["one"] == os.listdir(tmp_path)


def test_a_manifest_that_cannot_be_read_is_passed_over(
    make: Callable[..., Checkpoints], session: S3Session, tmp_path: Path
) -> None:
    """latest() goes on to the step before; asking for the broken one by its number says what is wrong."""
    checkpoints = make()
    checkpoints.save_folder(1, write(tmp_path / "one", FILES))
    session.put_object("job/step-0000000002/MANIFEST.json", b"{}")
    found = checkpoints.latest()
    assert found is not None
    assert 1 == found.step
    with pytest.raises(ProtocolError):
        checkpoints.load(2, to=tmp_path / "back")


def test_load_replaces_only_when_told(make: Callable[..., Checkpoints], tmp_path: Path) -> None:
    """A folder with something else in it is not touched; with replace it is exchanged whole; one that fits is kept."""
    checkpoints = make()
    checkpoints.save_folder(1, write(tmp_path / "one", FILES))
    target = write(tmp_path / "target", {"mine": b"x"})
    with pytest.raises(FileExistsError):
        checkpoints.load(to=target)
    assert {"mine": b"x"} == read(target)
    checkpoints.load(to=target, replace=True, fsync=True)
    assert FILES == read(target)
    inode = (target / "model.bin").stat().st_ino
    checkpoints.load(to=target)
    assert inode == (target / "model.bin").stat().st_ino
    assert ["one", "target"] == sorted(os.listdir(tmp_path))


def test_old_steps_are_pruned_manifest_first(tmp_path: Path) -> None:
    """keep=2 leaves two; of each step that goes, the manifest goes before any file; unfinished newer ones stay."""
    with testing.server() as server:
        session = server.session("runs")
        checkpoints = Checkpoints("s3://runs/job", session=session, keep=2)
        session.put_object("job/step-0000000000/left over", b"of a crash")
        session.put_object("job/step-0000000009/being written", b"by somebody")
        session.put_object("job/notes.txt", b"mine")
        for step in range(1, 5):
            checkpoints.save_folder(step, write(tmp_path / str(step), {"a": b"%d" % step}))
        assert [3, 4] == checkpoints.steps()
        keys = [entry.key for entry in session.list_objects()]
        assert ["job/notes.txt", "job/step-0000000009/being written"] == [
            key for key in keys if "/a" not in key and "MANIFEST" not in key
        ]
        manifest = "job/step-0000000003/MANIFEST.json"
        server.faults.add("DeleteObjects", status=500)
        with pytest.raises(ServerError):
            Checkpoints("s3://runs/job", session=server.session("runs", retries=1)).prune(1)
        assert not session.exists(manifest)
        assert session.exists("job/step-0000000003/a")


def test_ranks_publish_together(make: Callable[..., Checkpoints], tmp_path: Path) -> None:
    """The step exists when the last of the ranks is done, in whatever order; it holds the files of all."""
    ranks = [make(rank=rank, world=3) for rank in range(3)]
    for rank in (2, 0, 1):
        assert ranks[0].latest() is None
        ranks[rank].save_folder(
            5, write(tmp_path / str(rank), {f"shard-{rank}": b"%d" % rank}), metadata={f"r{rank}": rank}
        )
    found = ranks[0].wait(5, timeout=10)
    assert (3, {"r0": 0, "r1": 1, "r2": 2}) == (found.world, found.metadata)
    assert {f"shard-{rank}": b"%d" % rank for rank in range(3)} == read_back(ranks[1], tmp_path / "back")


def test_ranks_at_the_same_time_publish_one_manifest(tmp_path: Path) -> None:
    """Eight ranks that end together make one step, and none of them fails."""
    with testing.server() as server:
        session = server.session("runs")
        failures: list[BaseException] = []

        def run(rank: int) -> None:
            try:
                with Checkpoints("s3://runs/job", session=session, rank=rank, world=8) as checkpoints:
                    checkpoints.save_folder(1, write(tmp_path / str(rank), {f"s{rank}": b"%d" % rank}))
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = Checkpoints("s3://runs/job", session=session).latest()
        assert [] == failures
        assert found is not None
        assert (8, 8) == (found.world, len(found.files))


def test_ranks_of_different_attempts_are_never_mixed(make: Callable[..., Checkpoints], tmp_path: Path) -> None:
    """A rank that was done before the job was started again does not count for the new start."""
    make(rank=1, world=2, attempt="first").save_folder(1, write(tmp_path / "old", {"b": b"old"}))
    make(rank=0, world=2, attempt="second").save_folder(1, write(tmp_path / "a", {"a": b"new"}))
    assert make().latest() is None
    make(rank=1, world=2, attempt="second").save_folder(1, write(tmp_path / "b", {"b": b"new"}))
    assert {"a": b"new", "b": b"new"} == read_back(make(), tmp_path / "back")


def test_the_attempt_comes_from_the_launcher(make: Callable[..., Checkpoints], monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun and Slurm say which start of the job this is."""
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert "0" == make().attempt
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert "77-2" == make().attempt
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a/b")
    assert "a-b-0" == make().attempt


def test_saving_in_the_background(make: Callable[..., Checkpoints], tmp_path: Path) -> None:
    """T61: the caller goes on; the Future has the checkpoint, or the error; a later save is not hurt by it."""
    with make() as checkpoints:
        futures = [checkpoints.save_async(step, write(tmp_path / str(step), {"a": b"%d" % step})) for step in (1, 2)]
        missing = checkpoints.save_async(3, tmp_path / "missing")
        last = checkpoints.save_async(4, write(tmp_path / "4", {"a": b"4"}))
        assert [1, 2, 4] == [future.result(60).step for future in (*futures, last)]
        with pytest.raises(NotADirectoryError):
            missing.result(60)
    assert [1, 2, 4] == checkpoints.steps()


def test_a_store_that_does_not_answer_costs_no_more_than_the_timeout(tmp_path: Path) -> None:
    """T61: an upload that hangs ends with DeadlineExceeded in the Future, and the process may go on training."""
    with testing.server() as server:
        server.faults.add("PutObject", delay=30)
        checkpoints = Checkpoints("s3://runs/job", session=server.session("runs"), timeout=0.5)
        began = time.monotonic()
        future = checkpoints.save_async(1, write(tmp_path / "a", {"a": b"1"}))
        with pytest.raises(DeadlineExceeded):
            future.result(25)
        assert time.monotonic() - began < 25
        checkpoints.close()


def test_a_file_that_changes_meanwhile_is_not_saved(
    make: Callable[..., Checkpoints], session: S3Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is written to between its digest and its upload makes no checkpoint."""
    folder = write(tmp_path / "a", {"a": b"1"})
    upload = S3Session.put_object

    def put(self: S3Session, key: str, body: Any, **options: Any) -> Any:
        result = upload(self, key, body, **options)
        if key.endswith("/a"):
            (folder / "a").write_bytes(b"22")
        return result

    monkeypatch.setattr(S3Session, "put_object", put)
    with pytest.raises(SourceChanged):
        make().save_folder(1, folder)
    assert make().latest() is None


@pytest.mark.parametrize("kind", ["empty", "file", "linked folder", "pipe"])
def test_folders_that_are_no_checkpoints(make: Callable[..., Checkpoints], tmp_path: Path, kind: str) -> None:
    """Nothing to save, or something that would be lost on the way: an error before anything is sent."""
    folder = tmp_path / "x"
    if kind == "file":
        folder.write_bytes(b"")
    else:
        folder.mkdir()
    if kind == "linked folder":
        (folder / "link").symlink_to(tmp_path)
    if kind == "pipe":
        os.mkfifo(folder / "pipe")
    with pytest.raises((ValueError, NotADirectoryError)):
        make().save_folder(1, folder)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (TypeError, {"keep": 1.5}),
        (ValueError, {"keep": 0}),
        (ValueError, {"rank": 1}),
        (ValueError, {"rank": -1}),
        (ValueError, {"world": 0}),
        (ValueError, {"timeout": 0}),
        (TypeError, {"timeout": "1"}),
        (ValueError, {"attempt": "a/b"}),
        (TypeError, {"region": "x"}),
    ],
)
def test_wrong_arguments(make: Callable[..., Checkpoints], error: type[Exception], options: dict[str, Any]) -> None:
    """An argument that cannot be meant is refused by its name."""
    with pytest.raises(error, match=next(iter(options))):
        make(**options)


@pytest.mark.parametrize("step", [-1, "1", True, 1.0])
def test_wrong_steps(make: Callable[..., Checkpoints], tmp_path: Path, step: Any) -> None:
    """A step is a number from 0 on."""
    for call in (make().save_folder, make().save_async):
        with pytest.raises((ValueError, TypeError), match="step"):
            call(step, tmp_path)


def test_through_b2(tmp_path: Path) -> None:
    """The same on B2's native API, which has no conditional writes."""
    with (
        testing.server() as server,
        B2Session(server.access_key_id, server.secret_access_key, "all-runs", realm=server.endpoint_url) as session,
    ):
        session.create_bucket()
        checkpoints = Checkpoints("b2://all-runs/job", session=session, keep=1)
        for step in (1, 2):
            checkpoints.save_folder(step, write(tmp_path / str(step), FILES | {"step": b"%d" % step}))
        assert FILES | {"step": b"2"} == read_back(checkpoints, tmp_path / "back")
        assert [2] == checkpoints.steps()


def test_a_checkpoint_is_data() -> None:
    """What latest() gives can be compared and printed."""
    assert Checkpoint(1, (), {}) == Checkpoint(1, (), {}, 1)
