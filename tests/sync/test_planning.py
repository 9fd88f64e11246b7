"""What a plan says about trees and prefixes: what is transferred, what is left alone, and what is a conflict."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func.sync.entry import RemoteEntry
from s3func.sync.filters import Filters
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation
from s3func.sync.plans import plan
from s3func.sync.remote import RemotePrefix, RemoteScan
from tests.sync.sides import OLD, Sides


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A folder and a prefix of an S3 store."""
    return Sides(tmp_path)


@pytest.fixture
def agreed(sides: Sides) -> Sides:
    """Both sides have a, b/c and d, and it is remembered."""
    for name in ("a", "b/c", "d"):
        sides.write(name, f"content of {name}")
    sides.carry_out(sides.up())
    sides.requests()
    return sides


def one_step(sides: Sides, made: Any) -> Operation:
    """The only step of a plan, which is closed then."""
    with made:
        (step,) = list(made)
    assert isinstance(step, Operation)
    return step


# --- what is transferred


def test_a_first_upload_has_every_name_in_order(sides: Sides) -> None:
    """Names come in the order of their bytes, with sizes, the file as precondition and nothing on the other side."""
    for name in ("b/c", "a", "b!", "b0", "é"):
        sides.write(name, name)
    with sides.up() as made:
        steps = list(made)
    assert ["a", "b!", "b/c", "b0", "é"] == [step.name for step in steps]
    assert {("upload", "new", None, None)} == {(step.kind, step.reason, step.target, step.path) for step in steps}
    assert [len(step.name.encode()) for step in steps] == [step.size for step in steps]
    assert [sides.tree.side(step.name) for step in steps] == [step.source for step in steps]


def test_each_direction_and_store_to_store_has_its_kind(sides: Sides) -> None:
    """upload, download, copy: by what the sides are."""
    sides.put("n", "n")
    other = RemotePrefix(sides.session, None, "other")
    assert [("download", "n", "new")] == sides.steps(sides.down())
    assert [("copy", "n", "new")] == sides.steps(plan(sides.remote, other, state=None))
    sides.write("m", "m")
    assert [("upload", "m", "new")] == sides.steps(sides.up())


@pytest.mark.parametrize("store", ["s3", "b2"])
def test_a_repeat_in_either_direction_sends_lists_and_nothing_else(tmp_path: Path, store: str) -> None:
    """The issue's figure: 3,000 names are three pages, and not one request more, in both directions."""
    sides = Sides(tmp_path, store=store)
    for number in range(3000):
        sides.put(f"d{number % 7}/f{number}", b"")
        sides.write(f"d{number % 7}/f{number}", b"")
    first = sides.steps(sides.up())
    assert {("record", "content")} == {(kind, reason) for kind, _, reason in first}
    with sides.up() as made:
        assert made.state is not None
        for step in made:
            assert step.source is not None
            assert step.target is not None
            made.state.record(step.name, step.source, step.target)
    for again in (sides.up, sides.down):
        sides.requests()
        with again(delete="all") as made:
            assert [] == list(made)
            assert 3000 == made.counts["unchanged"]
        assert 3 == len(sides.requests())


def test_t22_a_newer_object_of_the_same_size_is_downloaded(agreed: Sides) -> None:
    """T22: found by its ETag against what is remembered, with one LIST and no other request, and not by any time."""
    agreed.put("a", "CONTENT of a")
    agreed.requests()
    assert [("download", "a", "content")] == agreed.steps(agreed.down())
    assert ["ListObjectsV2"] == agreed.requests()


def test_t22_without_a_memory_it_is_downloaded_too(agreed: Sides) -> None:
    """T22: a fresh machine reads its file, and one head says that ETags are MD5s here."""
    agreed.put("a", "CONTENT of a")
    agreed.requests()
    assert [("download", "a", "content")] == agreed.steps(agreed.down(state=None))
    assert agreed.requests().count("HeadObject") <= 1


@pytest.mark.parametrize("mtime_ns", [OLD, OLD - 10**15, OLD + 1, 4 * 10**18])
@pytest.mark.parametrize("state", [True, False])
def test_t23_an_edit_of_the_same_size_is_found_whatever_its_time(agreed: Sides, mtime_ns: int, state: bool) -> None:
    """T23, T27: with its time set back, into the past or the future; with a memory and without one."""
    agreed.write("a", "CONTENT of a", mtime_ns=mtime_ns)
    options = {} if state else {"state": None}
    assert [("upload", "a", "content")] == agreed.steps(agreed.up(**options))


def test_t29_a_touched_file_needs_no_etag_that_is_a_hash(agreed: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """T29: while the object is the one that was remembered, its MD5 is known, and no head is asked for."""
    side = agreed.tree.side("a")
    assert side is not None
    with agreed.up() as made:
        assert made.state is not None
        md5 = hashlib.md5(b"content of a").hexdigest()
        made.state.record("a", side._replace(md5=md5), agreed.side("a")._replace(etag="opaque"))
    listed = RemoteScan.__iter__

    def opaque(scan: RemoteScan) -> Iterator[RemoteEntry]:
        return (entry._replace(etag="opaque") if entry.name == "a" else entry for entry in listed(scan))

    monkeypatch.setattr(RemoteScan, "__iter__", opaque)
    agreed.requests()
    for content, expected in (
        ("content of a", ("record", "a", "content")),
        ("CONTENT of a", ("upload", "a", "content")),
    ):
        agreed.write("a", content, mtime_ns=OLD + 1)
        assert [expected] == agreed.steps(agreed.up())
    assert {"ListObjectsV2"} == set(agreed.requests())


def test_t24_a_fresh_checkout_transfers_nothing(agreed: Sides) -> None:
    """T24: new files, new times, no memory, the same content: everything is read once, recorded, and nothing sent."""
    for name in ("a", "b/c", "d"):
        (agreed.root / name).unlink()
        agreed.write(name, f"content of {name}", mtime_ns=None)
    agreed.requests()
    for database in (agreed.database, agreed.database.with_name("new.db")):
        steps = agreed.steps(agreed.up(state=database))
        assert [("record", name, "content") for name in ("a", "b/c", "d")] == steps
    assert ["ListObjectsV2"] * 2 == agreed.requests()


def test_t25_a_file_written_in_the_second_of_its_upload_is_read_again(sides: Sides) -> None:
    """T25: an edit that keeps size and all times is found, if the file was new when it was uploaded."""
    path = sides.write("a", "one", mtime_ns=None)
    sides.carry_out(sides.up())
    before = path.stat()
    with sides.up() as made:
        assert made.state is not None
        (row,) = made.state.rows()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert row.is_racy
    # As if ctime could not tell either.
    side = sides.tree.side("a")
    assert side is not None
    with sides.up() as made:
        assert made.state is not None
        made.state.observed_ns = before.st_mtime_ns
        made.state.record("a", side, sides.side("a"))
    assert [("upload", "a", "content")] == sides.steps(sides.up())


def test_t25_times_of_the_store_are_never_compared(agreed: Sides) -> None:
    """T25, T27: a file that is newer, or from the year 2100, is no change; nor is an object that was written again."""
    for mtime_ns in (time.time_ns(), 4_102_444_800 * 10**9, 0):
        os.utime(agreed.root / "a", ns=(mtime_ns, mtime_ns))
        assert [("record", "a", "content")] == agreed.steps(agreed.up())
    agreed.put("d", "content of d")
    assert {"record"} == {kind for kind, _, _ in agreed.steps(agreed.down())}


@pytest.mark.parametrize(
    ("stored", "expected"), [("1600000000.123456789", []), ("1600000000.123", []), ("1600000009", 1)]
)
def test_t26_the_mode_mtime_compares_the_time_that_is_kept(sides: Sides, stored: str, expected: Any) -> None:
    """T26: as far as the kept time is exact; contents are not read, and an object without a time is transferred."""
    sides.write("a", "one")
    sides.put("a", "two", metadata={"mtime": stored})
    steps = sides.steps(sides.up(compare="mtime"))
    assert ([("upload", "a", "mtime")] if expected else []) == steps
    sides.put("a", "two")
    assert [("upload", "a", "unknown")] == sides.steps(sides.up(compare="mtime"))


def test_t26_b2_keeps_milliseconds(tmp_path: Path) -> None:
    """T26: what B2's own tools keep, rounded or cut off, is the file's time."""
    sides = Sides(tmp_path, store="b2")
    sides.write("a", "one")
    for millis in (OLD // 10**6, OLD // 10**6 + 1):
        sides.put("a", "two", metadata={"src_last_modified_millis": str(millis)})
        assert [] == sides.steps(sides.up(compare="mtime"))
    sides.put("a", "two", metadata={"src_last_modified_millis": str(OLD // 10**6 + 2000)})
    assert [("upload", "a", "mtime")] == sides.steps(sides.up(compare="mtime"))


def test_t30_size_alone_is_a_mode_and_no_default(sides: Sides) -> None:
    """T30: "size" misses an edit of the same size, as it says; by default it is found."""
    sides.write("a", "one")
    sides.put("a", "two")
    assert [] == sides.steps(sides.up(compare="size"))
    assert [("upload", "a", "content")] == sides.steps(sides.up())


def test_aws_is_as_asymmetric_as_the_original(sides: Sides) -> None:
    """An older file is not uploaded, a newer object not downloaded: only where somebody asks for it."""
    sides.put("a", "two")
    sides.write("a", "one", mtime_ns=OLD)
    assert [] == sides.steps(sides.up(compare="aws"))
    assert [] == sides.steps(sides.down(compare="aws"))
    sides.write("a", "one", mtime_ns=time.time_ns() + 10**12)
    assert [("upload", "a", "mtime")] == sides.steps(sides.up(compare="aws"))
    assert [("download", "a", "mtime")] == sides.steps(sides.down(compare="aws"))


def test_always_and_missing(agreed: Sides) -> None:
    """always transfers what both have, missing nothing of it."""
    agreed.write("new", "new")
    agreed.write("a", "edited")
    forced = [("upload", name, "forced") for name in ("a", "b/c", "d")]
    assert [*forced, ("upload", "new", "new")] == agreed.steps(agreed.up(compare="always"))
    assert [("upload", "new", "new")] == agreed.steps(agreed.up(compare="missing"))


def test_hash_believes_no_memory(agreed: Sides) -> None:
    """What is remembered to be the same is read again, and what cannot be seen from outside is found."""
    path = agreed.root / "a"
    before = path.stat()
    path.write_text("CONTENT of a")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    side = agreed.tree.side("a")
    assert side is not None
    with agreed.up() as made:
        assert made.state is not None
        made.state.record("a", side, agreed.side("a"))
    assert [] == agreed.steps(agreed.up())
    steps = agreed.steps(agreed.up(compare="hash"))
    assert [("upload", "a", "content")] == [step for step in steps if step[0] != "record"]


def test_stores_are_compared_by_etags_and_heads(sides: Sides) -> None:
    """Store to store, equal MD5s need no further request; what the heads tell in common decides the rest."""
    other = RemotePrefix(sides.session, None, "other/")
    for name, one, two in (("a", "1", "1"), ("b", "1", "2"), ("c", "1", "22")):
        sides.put(name, one)
        sides.session.put_object(f"other/{name}", two)
    sides.requests()
    steps = sides.steps(plan(sides.remote, other, state=None))
    assert [("copy", "b", "content"), ("copy", "c", "size")] == steps
    assert ["HeadObject"] * 2 == [each for each in sides.requests() if each != "ListObjectsV2"]


def test_stores_that_agree_are_remembered(sides: Sides) -> None:
    """Store to store with a memory: recorded once, then unchanged in both directions."""
    other = RemotePrefix(sides.session, None, "other/")
    sides.put("a", "1")
    sides.session.put_object("other/a", "1")
    with plan(sides.remote, other, state=sides.database) as made:
        for step in made:
            assert ("record", "a") == (step.kind, step.name)
            assert made.state is not None
            assert step.source is not None
            assert step.target is not None
            made.state.record(step.name, step.source, step.target)
    for pair in ((sides.remote, other), (other, sides.remote)):
        assert [] == sides.steps(plan(*pair, state=sides.database))


def test_a_changed_mode_is_uploaded_where_modes_are_kept(agreed: Sides) -> None:
    """chmod alone is a change only with metadata=("mtime", "mode")."""
    (agreed.root / "a").chmod(0o755)
    assert [("record", "a", "content")] == agreed.steps(agreed.up())
    assert [("upload", "a", "metadata")] == agreed.steps(agreed.up(metadata=("mtime", "mode")))


def test_a_renamed_file_is_copied_in_the_store(agreed: Sides) -> None:
    """A file that moved is recognised by its inode and its content; the plan says which object has it, and its ETag."""
    (agreed.root / "a").rename(agreed.root / "z")
    step = one_step(agreed, agreed.up())
    assert ("rename", "z", "renamed", "a") == (step.kind, step.name, step.reason, step.moved_from)
    assert step.source is not None
    assert agreed.side("a").etag == step.source.etag
    assert [("rename", "z", "renamed")] == [one for one in agreed.steps(agreed.up(delete="all")) if one[0] == "rename"]


def test_an_edited_file_that_moved_is_uploaded(agreed: Sides) -> None:
    """The same inode, size and time with another content is no rename."""
    path = agreed.root / "a"
    path.write_text("CONTENT of a")
    os.utime(path, ns=(OLD, OLD))
    path.rename(agreed.root / "z")
    assert [("upload", "z", "new")] == agreed.steps(agreed.up())


# --- what is deleted, and what is left alone


def test_nothing_is_deleted_unless_it_is_asked_for(agreed: Sides) -> None:
    """delete="none" counts what only the target has."""
    (agreed.root / "a").unlink()
    agreed.put("other", "other")
    with agreed.up() as made:
        assert [] == list(made)
        assert 2 == made.counts["extra"]


def test_tracked_deletes_only_what_both_had(agreed: Sides) -> None:
    """T16: a history that this folder never had stays; what it had, and has no more, goes. In both directions."""
    (agreed.root / "a").unlink()
    agreed.put("history", "of another machine")
    assert [("delete", "a", "tracked")] == agreed.steps(agreed.up(delete="tracked"))
    assert [("delete", "a", "extraneous"), ("delete", "history", "extraneous")] == agreed.steps(agreed.up(delete="all"))
    assert agreed.steps(agreed.up(delete="all")) == agreed.steps(agreed.up(delete=True))


def test_t16_a_fresh_machine_deletes_nothing(agreed: Sides, tmp_path: Path) -> None:
    """T16: without a memory of this pair, tracked deletes nothing at all."""
    fresh = LocalTree(tmp_path / "fresh")
    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh" / "mine").write_text("mine")
    made = plan(fresh, agreed.remote, state=tmp_path / "fresh.db", delete="tracked")
    assert [("upload", "mine", "new")] == agreed.steps(made)


def test_t18_only_clean_copies_are_deleted(agreed: Sides) -> None:
    """T18: a local file that was edited since it agreed with its object is no copy of it: a conflict, and no delete."""
    for name in ("a", "d"):
        agreed.session.delete_object(agreed.remote.key(name))
    agreed.write("a", "CONTENT of a")
    os.utime(agreed.root / "d", ns=(OLD + 5, OLD + 5))
    steps = agreed.steps(agreed.down(delete="tracked"))
    assert [("conflict", "a", "deleted-changed"), ("delete", "d", "tracked")] == steps


def test_an_object_that_changed_is_not_deleted_as_tracked(agreed: Sides) -> None:
    """Deleted here and changed there is a conflict, which names both."""
    (agreed.root / "a").unlink()
    agreed.put("a", "somebody else's")
    step = one_step(agreed, agreed.up(delete="tracked"))
    assert ("conflict", "a", "deleted-changed") == (step.kind, step.name, step.reason)
    assert step.source is None
    assert agreed.side("a") == step.target


def test_t12_what_is_excluded_is_invisible_on_both_sides(agreed: Sides) -> None:
    """T12: excluded names are not transferred, not deleted, and not forgotten, whichever side has them."""
    filters = Filters(exclude=["*.tmp", "b"])
    agreed.write("here.tmp", "x")
    agreed.put("there.tmp", "x")
    (agreed.root / "b" / "c").unlink()
    agreed.session.delete_object(agreed.remote.key("b/c"))
    for made in (agreed.up(filters=filters, delete="all"), agreed.down(filters=filters, delete="all")):
        assert [] == agreed.steps(made)
    assert [("record", "b/c", "gone")] == [one for one in agreed.steps(agreed.up()) if one[0] == "record"]


def test_t09_nothing_below_an_unreadable_folder_is_touched(agreed: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """T09: what the source cannot read is a problem of its own, and no delete; elsewhere the plan goes on."""
    scandir = os.scandir

    def refusing(path: str) -> Any:
        if str(path).rstrip("/").endswith("tree/b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (agreed.root / "a").unlink()
    steps = agreed.steps(agreed.up(delete="all"))
    assert [("delete", "a", "extraneous"), ("problem", "b", "unreadable")] == steps


def test_t14_a_file_that_vanishes_while_the_plan_is_made_is_skipped(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T14: gone between the scan and the look at its content: counted, no failure, and what is deleted stays deleted."""
    for name in ("a", "b"):
        sides.write(name, name)
        sides.put(name, name)
    sides.put("extra", "x")
    real = LocalTree.open_source

    def vanishing(tree: LocalTree, path: str) -> int:
        if path == "a":
            raise FileNotFoundError(2, "No such file or directory", path)
        return real(tree, path)

    monkeypatch.setattr(LocalTree, "open_source", vanishing)
    with sides.up(delete="all") as made:
        steps = [(step.kind, step.name) for step in made]
        assert 1 == made.counts["vanished"]
        made.guard()
    assert [("record", "b"), ("delete", "extra")] == steps


def test_a_file_that_cannot_be_read_is_a_problem(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its object stays, and the others are compared."""
    for name in ("a", "b"):
        sides.write(name, name)
        sides.put(name, name)

    real = LocalTree.open_source

    def refusing(tree: LocalTree, path: str) -> int:
        if path == "a":
            raise PermissionError(13, "Permission denied", path)
        return real(tree, path)

    monkeypatch.setattr(LocalTree, "open_source", refusing)
    assert [("problem", "a", "unreadable"), ("record", "b", "content")] == sides.steps(sides.up(delete="all"))


def test_a_file_that_changes_while_it_is_looked_at_is_transferred(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be told is a change; carrying it out sees whether it holds still."""
    path = sides.write("a", "one")
    sides.put("a", "one")
    real = LocalTree.open_source

    def touching(tree: LocalTree, name: str) -> int:
        os.utime(path)
        return real(tree, name)

    monkeypatch.setattr(LocalTree, "open_source", touching)
    assert [("upload", "a", "unknown")] == sides.steps(sides.up())


@pytest.mark.parametrize("name", ["l", "l/below"])
def test_a_name_that_the_target_cannot_take_is_a_problem(sides: Sides, name: str) -> None:
    """A symbolic link in the way is left alone, and the object that would have its place is reported, not lost."""
    (sides.root / "l").symlink_to("/etc")
    sides.put(name, "x")
    assert [("problem", name, "link")] == sides.steps(sides.down(delete="all"))


@pytest.mark.parametrize("direction", ["up", "down"])
def test_t21_two_spellings_of_one_name_are_never_deleted_and_made(sides: Sides, direction: str) -> None:
    """T21: NFC here and NFD there look the same; the one that would go stays, and is a problem until somebody decides."""
    nfc, nfd = "caf\u00e9", "cafe\u0301"
    sides.write("other", "x")
    sides.put("other", "x")
    sides.write(nfd, "x")
    sides.put(nfc, "x")
    made = sides.up(delete="all") if direction == "up" else sides.down(delete="all")
    steps = [step for step in sides.steps(made) if step[0] != "record"]
    kept = nfc if direction == "up" else nfd
    assert ("problem", kept, "unicode") in steps
    assert "delete" not in {kind for kind, _, _ in steps}


def test_a_name_that_is_not_ascii_is_deleted_like_any_other(agreed: Sides) -> None:
    """Only a twin keeps it."""
    agreed.put("caf\u00e9", "x")
    agreed.put("日本", "x")
    assert [("delete", "caf\u00e9"), ("delete", "日本")] == sorted(
        (kind, name) for kind, name, _ in agreed.steps(agreed.up(delete="all"))
    )


def test_what_neither_side_has_is_forgotten(agreed: Sides) -> None:
    """A record without sides takes the row away, once."""
    (agreed.root / "a").unlink()
    agreed.session.delete_object(agreed.remote.key("a"))
    step = one_step(agreed, agreed.up())
    assert ("record", "a", "gone", None, None) == (step.kind, step.name, step.reason, step.source, step.target)
    agreed.carry_out(agreed.up())
    assert [] == agreed.steps(agreed.up())


def test_a_sync_with_itself_by_another_way_keeps_its_own_memory(agreed: Sides, tmp_path: Path) -> None:
    """A folder is known by its real path: a symbolic link to it is the same folder, another prefix is another pair."""
    (tmp_path / "link").symlink_to(agreed.root)
    assert [] == agreed.steps(plan(LocalTree(tmp_path / "link"), agreed.remote, state=agreed.database))
