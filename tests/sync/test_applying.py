"""A plan is carried out: what fails fails alone, deletes come last or not at all, and the report says what happened."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3func.testing
from s3func.errors import (
    AccessDenied,
    CredentialsError,
    DeadlineExceeded,
    EmptySourceError,
    InvalidCredentials,
    ServiceError,
    SyncConflict,
    SyncError,
    SyncIncomplete,
    TooManyDeletes,
)
from s3func.sync import deleting
from s3func.sync.applying import apply
from s3func.sync.events import (
    BytesMoved,
    Deleted,
    Event,
    OperationDone,
    OperationFailed,
    OperationPlanned,
    OperationStarted,
    Summary,
    event_row,
)
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation, Side
from s3func.sync.plans import Plan
from s3func.sync.remote import RemotePrefix
from s3func.sync.report import Report
from s3func.sync.syncing import sync
from s3func.sync.transfers import Outcome
from s3func.testing import Server
from s3func.transport.transfer import MIB, TransferConfig
from tests.sync.hand_made import HandMade, download, side_of_file, side_of_object, upload
from tests.sync.sides import Sides

PARTS = TransferConfig(multipart_threshold=5 * MIB, part_size=5 * MIB, concurrency=2)


@pytest.fixture
def server() -> Iterator[Server]:
    with s3func.testing.server() as running:
        yield running


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Sides]:
    made = Sides(tmp_path)
    yield made
    made.session.close()


@pytest.fixture(params=["s3", "b2"])
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sides]:
    made = Sides(tmp_path, store=request.param)
    yield made
    made.session.close()


def deletion(sides: Sides, name: str, *, local: bool = False) -> Operation:
    target = side_of_file(sides.root / name) if local else side_of_object(sides.remote, name)
    return Operation("delete", name, 0, "extraneous", None, target)


def keys(sides: Sides) -> list[str]:
    return [row.key for row in sides.session.list_objects()]


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


# --- T01, T02, T15, T20: deletes


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 404, "code": "NoSuchKey"},
        {"status": 403, "code": "AccessDenied"},
        {"status": 502},
        {"reset": "before"},
        {"cut_answer": 20},
        {"answer": "html"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
@pytest.mark.parametrize("page", [0, 1])
def test_listing_that_fails(server: Server, tmp_path: Path, direction: str, fault: dict[str, Any], page: int) -> None:
    """T01, T02: whatever happens to whichever page of a listing, nothing is deleted and the sync raises."""
    session = server.session("bucket", retries=1)
    root = tmp_path / "tree"
    root.mkdir()
    here, there = ("a", "b") if direction == "up" else ("b", "a")
    for number in range(3):
        (root / f"{here}{number}").write_bytes(b"1")
    for number in range(1003):
        session.put_object(f"{there}{number}", b"1")
    if direction == "down":
        (root / "extra").write_bytes(b"1")
    before = files(root), [row.key for row in session.list_objects()]
    server.faults.add("ListObjectsV2", after=page, **fault)
    options: dict[str, Any] = {"session": session, "delete": "all", "max_delete": "none", "state": None}
    pair = (root, "s3://bucket") if direction == "up" else ("s3://bucket", root)
    with pytest.raises(SyncIncomplete) as caught:
        sync(*pair, **options)
    server.faults.clear()
    assert caught.value.report.exit_code == 2  # type: ignore[attr-defined]  # a Report
    assert set(before[0]) <= set(files(root))
    assert set(before[1]) <= {row.key for row in session.list_objects()}


@pytest.mark.parametrize("refusal", [SyncIncomplete("not seen"), TooManyDeletes("many"), EmptySourceError("empty")])
def test_guards(s3: Sides, refusal: SyncError) -> None:
    """T20: what the guards refuse is refused before the first delete, and raised with the report of what was done."""
    s3.write("new", b"1")
    s3.put("old", b"1")
    plan = HandMade(s3.tree, s3.remote, [upload(s3.tree, "new"), deletion(s3, "old")], refusal=refusal)
    with pytest.raises(type(refusal)) as caught:
        apply(plan)
    report: Report = caught.value.report  # type: ignore[attr-defined]  # put there by apply()
    assert [(1, 0)] == plan.asked
    assert ["p/new", "p/old"] == keys(s3)
    assert (1, 1) == (report.uploaded, report.not_deleted)
    assert report.exit_code == (2 if isinstance(refusal, SyncIncomplete) else 3)


def test_failed_transfer(server: Server, tmp_path: Path) -> None:
    """T15: one transfer that fails keeps all deletes from happening; the other transfers are done."""
    session = server.session("bucket", retries=1)
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"1")
    session.put_object("old", b"1")
    server.faults.add("PutObject", key="b", status=500)
    extraneous = Operation("delete", "old", 0, "extraneous", None, side_of_object(remote, "old"))
    plan = HandMade(tree, remote, [*(upload(tree, name) for name in ("a", "b", "c")), extraneous])
    report = apply(plan)
    assert ["a", "c", "old"] == [row.key for row in session.list_objects()]
    assert (2, 1, 1, 1) == (report.uploaded, report.failed, report.not_deleted, report.exit_code)
    assert [] == plan.asked
    assert {"a", "c"} == set(plan.state.rows)
    assert "b" in str(report)
    with pytest.raises(SyncError):
        report.raise_for_failures()


def test_vanished_source(s3: Sides) -> None:
    """T14: a source that vanished is counted, is no failure, and keeps nothing from being deleted."""
    path = s3.write("f", b"1")
    s3.put("old", b"1")
    steps = [upload(s3.tree, "f"), deletion(s3, "old")]
    path.unlink()
    report = apply(HandMade(s3.tree, s3.remote, steps))
    assert report.ok
    assert (1, 1) == (report.vanished, report.deleted)
    assert [] == keys(s3)


def test_many_deletes(server: Server, tmp_path: Path, s3: Sides) -> None:
    """T17: 2,500 deletes are three requests, and those that the store refuses are told by name."""
    for number in range(2500):
        s3.put(f"{number:04}", b"")
    sides = {row.key: row for row in s3.session.list_objects()}
    steps = [Operation("delete", key[2:], 0, "extraneous", None, side_of_object(s3.remote, "0000")) for key in sides]
    s3.journal.clear()
    plan = HandMade(s3.tree, s3.remote, steps)
    report = apply(plan)
    assert ["DeleteObjects"] * 3 == s3.journal.operations()
    assert report.deleted == 2500
    assert len(plan.state.forgotten) == 2500
    assert [] == keys(s3)


def test_delete_that_the_store_refuses(server: Server) -> None:
    """T17: a key that the store does not delete is a failure of its own."""
    session = server.session("bucket")
    session.put_object("kept", b"1")
    session.put_object("gone", b"1")
    from s3func.errors import DeleteFailed

    class Refusing:
        bucket = "bucket"

        def delete_objects(self, _keys: list[str], bucket: str) -> None:
            assert bucket == "bucket"
            raise DeleteFailed("1 of 2", [("kept", None, "AccessDenied", "not this one")])

    remote = RemotePrefix(session)
    remote.session = Refusing()  # type: ignore[assignment]  # all that deleting needs
    steps = [Operation("delete", name) for name in ("gone", "kept")]
    told = list(deleting.delete_all(remote, steps, None, lambda: None))
    assert [("gone", None), ("kept", "AccessDenied: not this one")] == [
        (operation.name, None if error is None else str(error)) for operation, _, error in told
    ]


def test_local_delete_of_what_has_changed(s3: Sides) -> None:
    """A file that is no longer what the plan saw is not deleted, and the report says so."""
    path = s3.write("d/changed", b"seen")
    s3.write("d/e/old", b"1")
    steps = [deletion(s3, "d/changed", local=True), deletion(s3, "d/e/old", local=True)]
    path.write_bytes(b"edited since")
    report = apply(HandMade(s3.remote, s3.tree, steps))
    assert (1, 1) == (report.deleted, report.failed)
    assert ["d/changed"] == files(s3.root)
    assert not (s3.root / "d/e").exists()


def test_deletes_of_a_stored_plan(sides: Sides, tmp_path: Path) -> None:
    """An object that changed between the making of a plan and its carrying out is not deleted; the others are."""
    sides.write("kept", b"1")
    for name in ("a", "b", "c"):
        sides.put(name, b"1")
    with sides.up(delete="all", max_delete="none", state=None) as plan:
        plan.to_jsonl(tmp_path / "plan.jsonl")
    sides.put("b", b"somebody needs it")
    sides.session.delete_object("p/c")
    with Plan.from_jsonl(tmp_path / "plan.jsonl", session=sides.session) as plan:
        report = apply(plan)
    assert ["p/b", "p/kept"] == keys(sides)
    assert (1, 1) == (report.failed, report.exit_code)
    assert "has changed" in report.failures[0].error


@pytest.mark.parametrize("was", ["folder", "file"])
def test_file_becomes_folder(sides: Sides, was: str) -> None:
    """T19: a file that becomes a folder, or the reverse, is deleted first, then the new one made; in one run."""
    old, new = ("a/b/c", "a") if was == "folder" else ("a", "a/b/c")
    sides.write(old, b"old")
    sides.put(new, b"new")
    with sides.down(delete="all", max_delete="none") as plan:
        report = apply(plan)
    assert report.ok, report
    assert [new] == files(sides.root)
    assert (sides.root / new).read_bytes() == b"new"


def test_file_becomes_folder_without_deletes(s3: Sides) -> None:
    """T19: without leave to delete, what is in the way stays, and the step has failed."""
    s3.write("a", b"old")
    s3.put("a/b", b"new")
    with s3.down() as plan:
        report = apply(plan)
    assert report.failed + report.refused == 1
    assert ["a"] == files(s3.root)


# --- conflicts, backups


def conflict(sides: Sides) -> HandMade:
    """Both sides have a file of their own; it is to be uploaded."""
    sides.write("d/notes.txt", b"mine")
    sides.put("d/notes.txt", b"theirs")
    source, target = side_of_file(sides.root / "d/notes.txt"), side_of_object(sides.remote, "d/notes.txt")
    return HandMade(sides.tree, sides.remote, [Operation("conflict", "d/notes.txt", 4, "both-changed", source, target)])


def test_conflict_is_left(sides: Sides) -> None:
    """A conflict stays one: nothing is changed, it is counted, and the exit code is 1."""
    report = apply(conflict(sides))
    assert (1, 1) == (report.conflicting, report.exit_code)
    assert sides.session.get_object("p/d/notes.txt").data == b"theirs"
    with pytest.raises(SyncConflict):
        report.raise_for_failures()


def test_conflict_that_the_source_wins(sides: Sides) -> None:
    """With on_conflict="source" the source's content takes the place of what the plan saw."""
    report = apply(conflict(sides), on_conflict="source")
    assert report.ok
    assert sides.session.get_object("p/d/notes.txt").data == b"mine"


def test_conflict_that_the_target_wins(sides: Sides) -> None:
    """With on_conflict="target" it is left, and is nothing to report."""
    report = apply(conflict(sides), on_conflict="target")
    assert report.ok
    assert sides.session.get_object("p/d/notes.txt").data == b"theirs"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_conflict_that_keeps_both(sides: Sides, direction: str) -> None:
    """T66: with on_conflict="keep-both" the target has both contents, the old one under a name that says why."""
    plan = conflict(sides)
    if direction == "down":
        [step] = plan.steps
        turned = step._replace(source=step.target, target=step.source, size=6)
        plan = HandMade(sides.remote, sides.tree, [turned])
    report = apply(plan, on_conflict="keep-both")
    assert report.ok, report
    if direction == "up":
        found = {row.key[2:]: sides.session.get_object(row.key).data for row in sides.session.list_objects()}
        mine, its = b"mine", b"theirs"
    else:
        found = {name: (sides.root / name).read_bytes() for name in files(sides.root)}
        mine, its = b"theirs", b"mine"
    [other] = found.keys() - {"d/notes.txt"}
    assert other.startswith("d/notes.conflict-")
    assert other.endswith(".txt")
    assert {"d/notes.txt": mine, other: its} == found


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("what", ["changed", "gone", "refused"])
def test_conflict_that_cannot_keep_both(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, direction: str, what: str
) -> None:
    """Where the target's content cannot be kept under another name, it stays where it is, and the other steps go on."""
    is_up = direction == "up"
    for name in ("f", "g"):
        sides.write(name, f"{name} here") if is_up or name == "f" else None
        sides.put(name, f"{name} over there") if not is_up or name == "f" else None
    local, remote = side_of_file(sides.root / "f"), side_of_object(sides.remote, "f")
    both = (local, remote) if is_up else (remote, local)
    conflict = Operation("conflict", "f", 6, "both-changed", *both)
    step = upload(sides.tree, "g") if is_up else download(sides.remote, "g")
    if what == "gone":
        sides.session.delete_object("p/f") if is_up else (sides.root / "f").unlink()
    elif what == "changed" and is_up:
        sides.put("f", "and again")
    elif is_up:
        monkeypatch.setattr(sides.session, "copy_object", refused)
    else:
        monkeypatch.setattr("s3func.sync.settling.os.link", refused)
    before = (sides.stored() if is_up else sides.local()).get("f")
    steps = [conflict, step]
    made = HandMade(sides.tree, sides.remote, steps) if is_up else HandMade(sides.remote, sides.tree, steps)
    report = apply(made, on_conflict="keep-both")
    assert before == (sides.stored() if is_up else sides.local()).get("f")
    is_conflict = what == "gone" or (what == "changed" and is_up)
    assert (1, is_conflict, not is_conflict) == (report.transferred, report.conflicting, report.failed), report


def refused(*_: Any, **__: Any) -> Any:
    """What a disk or a store says that is not in the mood."""
    raise OSError("refused")


def test_conflict_of_a_delete(s3: Sides) -> None:
    """What the source has lost and the target has changed is deleted only if the source shall win."""
    s3.put("f", b"changed")
    gone = Operation("conflict", "f", 0, "deleted-changed", None, side_of_object(s3.remote, "f"))
    assert apply(HandMade(s3.tree, s3.remote, [gone])).conflicting == 1
    assert ["p/f"] == keys(s3)
    assert apply(HandMade(s3.tree, s3.remote, [gone]), on_conflict="source").deleted == 1
    assert [] == keys(s3)


def test_trash_of_a_prefix(sides: Sides) -> None:
    """backup="trash" keeps what is replaced and deleted below `.s3func-trash/`, which no later plan sees."""
    sides.write("f", b"new")
    sides.put("f", b"old")
    sides.put("g", b"deleted")
    steps = [upload(sides.tree, "f", side_of_object(sides.remote, "f")), deletion(sides, "g")]
    report = apply(HandMade(sides.tree, sides.remote, steps), backup="trash")
    assert report.ok, report
    found = {row.key: sides.session.get_object(row.key).data for row in sides.session.list_objects()}
    assert found.pop("p/f") == b"new"
    assert {("f", b"old"), ("g", b"deleted")} == {(key.rpartition("/")[2], held) for key, held in found.items()}
    assert all(key.startswith("p/.s3func-trash/2") for key in found)
    with sides.up(delete="all", max_delete="none") as plan:
        assert ["record"] == [step.kind for step in plan]


@pytest.mark.parametrize("backup", ["trash", "elsewhere"])
def test_backup_of_a_folder(sides: Sides, tmp_path: Path, backup: str) -> None:
    """What is replaced and deleted in a folder is kept in its trash, or in another folder, with its names."""
    sides.write("d/f", b"old")
    sides.write("g", b"deleted")
    sides.put("d/f", b"new")
    place = "trash" if backup == "trash" else tmp_path / "elsewhere"
    steps = [download(sides.remote, "d/f", side_of_file(sides.root / "d/f")), deletion(sides, "g", local=True)]
    events: list[Event] = []
    report = apply(HandMade(sides.remote, sides.tree, steps), backup=place, on_event=events.append)
    assert report.ok, report
    kept = sides.root / ".s3func-trash" if backup == "trash" else tmp_path / "elsewhere"
    [run] = kept.iterdir()
    assert {"d/f": b"old", "g": b"deleted"} == {name: (run / name).read_bytes() for name in files(run)}
    assert (sides.root / "d/f").read_bytes() == b"new"
    assert not (sides.root / "g").exists()
    [deleted] = [event for event in events if isinstance(event, Deleted)]
    assert deleted.kept is not None


def test_backup_in_the_wrong_place(s3: Sides, tmp_path: Path) -> None:
    """A backup inside of what is synced, or of another kind, is refused before anything is done."""
    plan = HandMade(s3.remote, s3.tree, [])
    for place in (s3.root / "inside", "s3://bucket/backup"):
        with pytest.raises(ValueError, match="backup"):
            apply(plan, backup=place)
    up = HandMade(s3.tree, s3.remote, [])
    for place in ("s3://bucket/p/inside", tmp_path / "folder"):
        with pytest.raises(ValueError, match="backup"):
            apply(up, backup=place)
    # What names another store is not looked for in this one.
    for url in ("b2://bucket/backup", "s3://https://other.example@bucket/backup"):
        with pytest.raises(ValueError, match="own store"):
            apply(up, backup=url)
    with pytest.raises(CredentialsError, match="other"):
        apply(up, backup="s3://other@bucket/backup")
    own = s3.remote.url.partition("@")[0]
    assert apply(up, backup=f"{own}@bucket/backup").ok


# --- how a run ends


def test_credentials_end_the_run(server: Server, tmp_path: Path) -> None:
    """What no further step would survive is raised, not collected ten thousand times."""
    session = server.session("bucket", retries=1)
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    for number in range(300):
        (tmp_path / f"{number:03}").write_bytes(b"1")
    server.faults.add("PutObject", after=5, status=403, code="InvalidAccessKeyId")
    plan = HandMade(tree, remote, [upload(tree, f"{number:03}") for number in range(300)])
    with pytest.raises(InvalidCredentials) as caught:
        apply(plan, workers=2)
    assert caught.value.report.uploaded == 5  # type: ignore[attr-defined]  # put there by apply()
    assert server.journal.operations().count("PutObject") < 20
    assert len(plan.state.rows) == 5
    assert plan.state.flushes == 1


def test_access_denied_is_one_step(server: Server, tmp_path: Path) -> None:
    """A key that may not be written is a failure of its own."""
    session = server.session("bucket", retries=1)
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"1")
    server.faults.add("PutObject", key="a", status=403, code="AccessDenied")
    report = apply(HandMade(tree, remote, [upload(tree, "a"), upload(tree, "b")]))
    assert [AccessDenied.__name__] == [failure.kind for failure in report.failures]
    assert report.uploaded == 1


def test_full_disk_ends_the_run(s3: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """T41: a disk that is full ends the run, after what was under way."""
    import errno

    for number in range(100):
        s3.put(f"{number:03}", b"1")
    steps = [download(s3.remote, f"{number:03}") for number in range(100)]

    def write(_descriptor: int, _content: Any) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="no room"):
        apply(HandMade(s3.remote, s3.tree, steps), workers=1)
    monkeypatch.undo()
    assert [] == files(s3.root)


def test_deadline(server: Server, tmp_path: Path) -> None:
    """What has not begun by the deadline does not begin, and nothing is deleted."""
    session = server.session("bucket")
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    for number in range(50):
        (tmp_path / f"{number:03}").write_bytes(b"1")
    session.put_object("old", b"1")

    class Slow(HandMade):
        def __iter__(self) -> Iterator[Operation]:
            for step in self.steps:
                yield step
                time.sleep(0.02)

    extraneous = Operation("delete", "old", 0, "extraneous", None, side_of_object(remote, "old"))
    steps = [extraneous, *(upload(tree, f"{number:03}") for number in range(50))]
    with pytest.raises(DeadlineExceeded) as caught:
        apply(Slow(tree, remote, steps), deadline=0.1)
    report = caught.value.report  # type: ignore[attr-defined]  # put there by apply()
    assert report.uploaded < 50
    assert report.not_deleted == 1
    assert "old" in [row.key for row in session.list_objects()]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no signals for threads")
def test_interrupt(server: Server, tmp_path: Path) -> None:
    """Ctrl-C ends the threads, remembers what is done, deletes nothing, and is raised again; exit code 130."""
    session = server.session("bucket")
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    for number in range(200):
        (tmp_path / f"{number:03}").write_bytes(b"1")
    server.faults.add("PutObject", delay=0.02)
    extraneous = Operation("delete", "old")
    plan = HandMade(tree, remote, [extraneous, *(upload(tree, f"{number:03}") for number in range(200))])
    main = threading.get_ident()
    timer = threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        apply(plan, workers=2)
    timer.join()
    report = caught.value.report  # type: ignore[attr-defined]  # put there by apply()
    assert report.exit_code == 130
    assert report.not_deleted == 1
    assert set(plan.state.rows) <= {row.key for row in session.list_objects()}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("s3func-sync")]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no signals for threads")
@pytest.mark.parametrize("direction", ["up", "down"])
def test_interrupt_of_a_large_transfer(server: Server, tmp_path: Path, direction: str) -> None:
    """T40: Ctrl-C in the middle of a large file leaves no parts in the store and no file, and does not wait for its end."""
    session = server.session("bucket")
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    if direction == "up":
        (tmp_path / "large").write_bytes(bytes(100 * MIB))
        plan = HandMade(tree, remote, [upload(tree, "large")])
    else:
        session.put_object("large", bytes(100 * MIB))
        plan = HandMade(remote, tree, [download(remote, "large")])
    server.journal.clear()
    moving = "UploadPart" if direction == "up" else "GetObject"
    server.faults.add(moving, delay=0.3)
    main = threading.get_ident()

    def interrupt() -> None:
        while moving not in server.journal.operations():
            time.sleep(0.01)
        signal.pthread_kill(main, signal.SIGINT)

    timer = threading.Thread(target=interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        apply(plan, transfer=TransferConfig(5 * MIB, 5 * MIB, 2))
    timer.join()
    assert [] == list(session.list_multipart_uploads())
    assert server.journal.operations().count(moving) < 15
    assert ("large" in files(tmp_path)) == (direction == "up")


def test_dry_run_that_would_be_stopped(s3: Sides) -> None:
    """T20: a dry run says that the guards would stop the deletes, by the same error, and changes nothing."""
    for name in ("a", "b", "c"):
        s3.put(name, b"1")
    s3.write("a", b"1")
    with s3.up(delete="all", max_delete=1, state=None) as plan, pytest.raises(TooManyDeletes) as caught:
        apply(plan, dry_run=True)
    report = caught.value.report  # type: ignore[attr-defined]  # what apply() adds
    assert (True, 0, 3) == (report.is_dry_run, report.deleted, report.exit_code)
    assert ["p/a", "p/b", "p/c"] == keys(s3)


def test_what_was_done_before_an_interrupt_is_remembered(s3: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that were carried out, and not yet looked at, when the run is interrupted are in the memory and the report."""
    s3.write("a", b"1")
    s3.write("b", b"1")

    class Movers:
        """Carries everything out, and is interrupted before anybody asks."""

        def __init__(self) -> None:
            self._done: list[Outcome] = []
            self._is_over = False

        def put(self, step: Operation) -> None:
            self._done.append(Outcome(step, "done", step.source, Side(1, etag="e"), 1))

        def outcomes(self) -> Iterator[Outcome]:
            return iter(self._done if self._is_over else [])

        def is_waiting(self) -> bool:
            self._is_over = True
            raise KeyboardInterrupt

        def is_large(self, _: Operation) -> bool:
            return False

        def __enter__(self) -> Movers:  # noqa: PYI034 -- a class of one test
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("s3func.sync.applying._Run._movers", lambda *_: Movers())
    plan = HandMade(s3.tree, s3.remote, [upload(s3.tree, "a"), upload(s3.tree, "b")])
    with pytest.raises(KeyboardInterrupt) as caught:
        apply(plan)
    assert {"a", "b"} == set(plan.state.rows)
    report = caught.value.report  # type: ignore[attr-defined]  # likewise
    assert (2, 130) == (report.uploaded, report.exit_code)


def test_dry_run(sides: Sides) -> None:
    """A dry run sends nothing but listings, changes nothing, and says what would be done."""
    sides.write("new", b"12345")
    sides.put("old", b"1")
    sides.journal.clear()
    with sides.up(delete="all", max_delete="none") as plan:
        report = apply(plan, dry_run=True)
    assert (1, 1, 5) == (report.uploaded, report.deleted, report.bytes_moved)
    assert str(report).startswith("would be ")
    assert {"ListObjectsV2", "b2_list_file_names"} >= set(sides.journal.operations()) - {
        "b2_authorize_account",
        "b2_list_buckets",
    }
    assert ["p/old"] == keys(sides)
    assert not sides.database.exists()


def test_journal(server: Server, tmp_path: Path) -> None:
    """T68: a plan that was interrupted goes on where it ended, without a listing and without what is done."""
    session = server.session("bucket", retries=1)
    tree, remote = LocalTree(tmp_path / "tree"), RemotePrefix(session)
    (tmp_path / "tree").mkdir()
    for number in range(100):
        (tmp_path / f"tree/{number:03}").write_bytes(b"1")
    with sync_plan(tree, remote) as plan:
        plan.to_jsonl(tmp_path / "plan.jsonl")
    journal = tmp_path / "journal"
    server.faults.add("PutObject", after=60, status=403, code="InvalidAccessKeyId")
    with Plan.from_jsonl(tmp_path / "plan.jsonl", session=session) as plan, pytest.raises(InvalidCredentials):
        apply(plan, journal=journal)
    server.faults.clear()
    server.journal.clear()
    with Plan.from_jsonl(tmp_path / "plan.jsonl", session=session) as plan:
        report = apply(plan, journal=journal)
    assert report.ok
    assert ["PutObject"] * 40 == server.journal.operations()
    assert not journal.exists()
    journal.write_bytes(b"something else\n")
    with Plan.from_jsonl(tmp_path / "plan.jsonl", session=session) as plan, pytest.raises(ValueError, match="journal"):
        apply(plan, journal=journal)


def test_large_upload_goes_on(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T40: with a journal, a large upload that was interrupted goes on with the parts that the store has."""
    from s3func.sync import transfers

    monkeypatch.setattr(transfers, "RESUMED_BYTES", 5 * MIB)
    session = server.session("bucket", retries=1)
    tree, remote = LocalTree(tmp_path / "tree"), RemotePrefix(session)
    (tmp_path / "tree").mkdir()
    content = b"".join(bytes([number]) * MIB for number in range(31))
    (tmp_path / "tree/large").write_bytes(content)
    plan = HandMade(tree, remote, [upload(tree, "large")])
    server.faults.add("UploadPart", after=4, status=500)
    assert apply(plan, journal=tmp_path / "journal", transfer=PARTS).failed == 1
    server.faults.clear()
    server.journal.clear()
    assert apply(plan, journal=tmp_path / "journal", transfer=PARTS).ok
    assert session.get_object("large").data == content
    assert server.journal.operations().count("UploadPart") <= 4
    assert [] == list(session.list_multipart_uploads())


def sync_plan(tree: LocalTree, remote: RemotePrefix) -> Plan:
    from s3func.sync.plans import plan

    return plan(tree, remote, state=None)


def test_journal_that_was_cut(tmp_path: Path) -> None:
    """T68: a line that was not finished is no line, and the next one does not continue it."""
    from s3func.sync.journal import Journal

    steps = [Operation("upload", f"{number}") for number in range(3)]
    journal = Journal(tmp_path / "j", "a", "b")
    journal.note(steps[0])
    journal.note(steps[1])
    journal.close()
    cut = (tmp_path / "j").read_bytes()[:-5]
    (tmp_path / "j").write_bytes(cut)
    journal = Journal(tmp_path / "j", "a", "b")
    assert [True, False, False] == [journal.knows(step) for step in steps]
    journal.note(steps[2])
    journal.close()
    journal = Journal(tmp_path / "j", "a", "b")
    assert [True, False, True] == [journal.knows(step) for step in steps]
    assert not journal.knows(steps[2]._replace(size=7))
    journal.remove()
    assert not (tmp_path / "j").exists()


# --- events and reports


def test_events(s3: Sides) -> None:
    """A listener learns of every step, of the bytes of large ones, and of the end; each event is a row of JSON."""
    import json

    s3.write("large", b"x" * (11 * MIB))
    s3.write("small", b"x")
    s3.put("old", b"1")
    s3.write("denied", b"1")
    s3.put("denied", b"theirs")
    events: list[Event] = []
    steps = [upload(s3.tree, "denied"), upload(s3.tree, "large"), upload(s3.tree, "small"), deletion(s3, "old")]
    apply(HandMade(s3.tree, s3.remote, steps), on_event=events.append, transfer=PARTS)
    kinds = [type(event) for event in events]
    assert [4, 1, 2, 1, 1, 1] == [
        kinds.count(kind)
        for kind in (OperationPlanned, OperationStarted, OperationDone, OperationFailed, Deleted, Summary)
    ]
    moved = [event for event in events if isinstance(event, BytesMoved)]
    assert (11 * MIB, 11 * MIB, "large") == (moved[-1].done, moved[-1].total, moved[-1].name)
    rows = [json.loads(json.dumps(event_row(event))) for event in events]
    assert rows[0] == {"event": "operation_planned", "kind": "upload", "name": "denied", "size": 1, "reason": "new"}
    assert rows[-1]["event"] == "summary"
    assert rows[-1]["uploaded"] == 2


def test_listener_that_fails(s3: Sides) -> None:
    """Whatever a listener raises ends the run."""
    s3.write("f", b"1")

    def on_event(_event: Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        apply(HandMade(s3.tree, s3.remote, [upload(s3.tree, "f")]), on_event=on_event)


def test_records(s3: Sides) -> None:
    """A pair that agrees is remembered, one that is gone on both sides forgotten; nothing is sent."""
    s3.write("f", b"1")
    s3.put("f", b"1")
    both = Operation("record", "f", 0, "content", side_of_file(s3.root / "f"), side_of_object(s3.remote, "f"))
    plan = HandMade(s3.tree, s3.remote, [both, Operation("record", "g", 0, "gone")])
    s3.journal.clear()
    report = apply(plan)
    assert report.ok
    assert {"f": (both.source, both.target)} == plan.state.rows
    assert ["g"] == plan.state.forgotten
    assert [] == s3.journal.operations()


def test_steps_are_doubted_before(s3: Sides) -> None:
    """What is about to happen is noted before it begins; a conflict, where nothing happened, is trusted again."""
    s3.put("f", b"old")
    s3.put("g", b"old")
    s3.write("f", b"new")
    s3.write("g", b"new")
    s3.write("h", b"new")
    steps = [upload(s3.tree, name, side_of_object(s3.remote, name)) for name in ("f", "g")]
    s3.put("g", b"theirs")
    plan = HandMade(s3.tree, s3.remote, [*steps, upload(s3.tree, "h")])
    apply(plan)
    assert ["f", "g", "h"] == plan.state.doubted
    assert ["g"] == plan.state.trusted


def test_problems(s3: Sides) -> None:
    """Names that a scan could not take are counted; what could not be read makes the run incomplete."""
    unsafe = Operation("problem", "../x", reason="unsafe", detail="no path")
    assert apply(HandMade(s3.tree, s3.remote, [unsafe])).exit_code == 1
    unreadable = Operation("problem", "d", reason="unreadable", detail="no permission")
    report = apply(HandMade(s3.tree, s3.remote, [unsafe, unreadable]))
    assert (2, 2) == (report.refused, report.exit_code)
    with pytest.raises(SyncIncomplete):
        report.raise_for_failures()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("workers", 0),
        ("workers", "many"),
        ("on_conflict", "newer"),
        ("durability", "sync"),
        ("deadline", -1),
        ("metadata", ("owner",)),
        ("bwlimit", 0),
    ],
)
def test_bad_arguments(s3: Sides, argument: str, value: Any) -> None:
    """A mistake in an argument is named before anything is done."""
    with pytest.raises((ValueError, TypeError)):
        apply(HandMade(s3.tree, s3.remote, []), **{argument: value})


def test_reports_travel(s3: Sides) -> None:
    """A report, with the errors in it, survives pickling."""
    import pickle

    report = Report()
    report.fail(Operation("upload", "f"), ServiceError("no"))
    assert str(pickle.loads(pickle.dumps(report))) == str(report)
