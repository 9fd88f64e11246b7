"""One step at a time: complete and described, or nothing; and never over what somebody else has put there."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3func.testing
from s3func.errors import ServiceError, SourceChanged, SyncConflict
from s3func.s3 import S3Session
from s3func.sync import publishing
from s3func.sync.describing import mtime_text, parse_mtime
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation, Side
from s3func.sync.publishing import InTheWay
from s3func.sync.remote import RemotePrefix
from s3func.sync.transfers import Mover, Outcome, Settings
from s3func.testing import Server
from s3func.transport.transfer import MIB, TransferConfig
from tests.sync.hand_made import download, side_of_file, side_of_object, upload
from tests.sync.sides import OLD, Sides

PARTS = TransferConfig(multipart_threshold=5 * MIB, part_size=5 * MIB, concurrency=2)


@pytest.fixture(params=["s3", "b2"])
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sides]:
    made = Sides(tmp_path, store=request.param)
    yield made
    made.session.close()


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Sides]:
    made = Sides(tmp_path)
    yield made
    made.session.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with s3func.testing.server() as running:
        yield running


def carry_out(source: Any, target: Any, operation: Operation, **settings: Any) -> Outcome:
    mover = Mover(source, target, Settings(**settings))
    try:
        return mover.carry_out(operation)
    finally:
        mover.close()


def test_upload(sides: Sides) -> None:
    """An upload stores the content, and tells of both sides what the next scan will see."""
    path = sides.write("a b/c.txt", b"content")
    outcome = carry_out(sides.tree, sides.remote, upload(sides.tree, "a b/c.txt"))
    assert outcome.error is None
    assert sides.session.get_object("p/a b/c.txt").data == b"content"
    assert outcome.source == side_of_file(path)._replace(md5=hashlib.md5(b"content").hexdigest())
    assert outcome.target is not None
    assert outcome.target.etag == side_of_object(sides.remote, "a b/c.txt").etag
    assert outcome.size == 7


def test_download(sides: Sides) -> None:
    """A download makes the file with its time, and tells what it looks like."""
    sides.put("d/e", b"content", metadata={"mtime": "1600000000.123456789"})
    outcome = carry_out(sides.remote, sides.tree, download(sides.remote, "d/e"))
    path = sides.root / "d/e"
    assert outcome.error is None
    assert path.read_bytes() == b"content"
    assert path.stat().st_mtime_ns == OLD
    assert outcome.target == side_of_file(path)._replace(md5=hashlib.md5(b"content").hexdigest())


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 11 * MIB])
def test_there_and_back(sides: Sides, size: int) -> None:
    """A file of any size comes back with its content, its time and, where asked for, its permissions."""
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    path = sides.write("file.bin", content)
    path.chmod(0o751)
    kept: dict[str, Any] = {"transfer": PARTS, "metadata": ("mtime", "mode")}
    up = carry_out(sides.tree, sides.remote, upload(sides.tree, "file.bin"), **kept)
    assert up.error is None
    path.unlink()
    down = carry_out(sides.remote, sides.tree, download(sides.remote, "file.bin"), **kept)
    assert down.error is None
    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns == OLD
    assert stat.S_IMODE(path.stat().st_mode) == 0o751
    assert ["file.bin"] == os.listdir(sides.root)


def test_large_says_its_parts(s3: Sides) -> None:
    """An object in parts says how large they are, so that its ETag can be computed again (T28)."""
    s3.write("large", b"z" * (11 * MIB))
    outcome = carry_out(s3.tree, s3.remote, upload(s3.tree, "large"), transfer=PARTS)
    assert s3.session.head_object("p/large").metadata["s3func-part-size"] == str(5 * MIB)
    assert outcome.target is not None
    assert outcome.target.part_size == 5 * MIB


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.html", "text/html"), ("a.tar.gz", None), ("README", None), (".json", None), ("x.JSON", "json")],
)
def test_content_type(s3: Sides, name: str, kind: str | None) -> None:
    """The type of an object follows from its name, and is S3's own where the name does not tell it."""
    s3.write(name, b"1")
    carry_out(s3.tree, s3.remote, upload(s3.tree, name))
    assert (kind or "octet-stream") in str(s3.session.head_object(f"p/{name}").content_type)


@pytest.mark.parametrize("ns", [0, 1, 1_600_000_000_123_456_789, -1, -1_500_000_000, 4_000_000_000_000_000_000])
def test_mtime_text(ns: int) -> None:
    """A time survives its text to the nanosecond, also before 1970."""
    assert parse_mtime(mtime_text(ns)) == ns


@pytest.mark.parametrize("text", ["", "x", "1e9", "1.2.3", "99999999999999999", "²", None])
def test_mtime_text_of_others(text: str | None) -> None:
    """What is no time is none, and no error: anybody can write metadata."""
    assert parse_mtime(text) is None


# --- T34, T14: the source


@pytest.mark.parametrize("size", [100, 2 * MIB])
def test_file_that_changes_while_it_is_read(s3: Sides, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """T34: a file that is written to all the time is SourceChanged, and nothing of it is stored."""
    path = s3.write("log", b"a" * size)
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        with path.open("ab") as file:
            file.write(b"b")
        return real(descriptor)

    operation = upload(s3.tree, "log")
    monkeypatch.setattr(os, "fstat", fstat)
    outcome = carry_out(s3.tree, s3.remote, operation)
    monkeypatch.undo()
    assert outcome.state == "failed"
    assert isinstance(outcome.error, SourceChanged)
    assert [] == [row.key for row in s3.session.list_objects()]


@pytest.mark.parametrize("size", [100, 11 * MIB])
@pytest.mark.parametrize("store", ["s3", "b2"])
def test_file_system_whose_times_are_not_stable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, size: int
) -> None:
    """T35: where times change by themselves, the size is what must not; or nothing, where somebody says so."""
    sides = Sides(tmp_path, store=store)
    path = sides.write("f", b"a" * size)
    operation = upload(sides.tree, "f")
    real, count = os.fstat, 0

    def fstat(descriptor: int) -> os.stat_result:
        nonlocal count
        count += 1
        os.utime(path, ns=(0, count * 10**9))
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    outcomes = {
        stable: carry_out(sides.tree, sides.remote, operation, stable=stable, force=True, transfer=PARTS)
        for stable in ("times", "size", "off")
    }
    monkeypatch.undo()
    assert {"times": "failed", "size": "done", "off": "done"} == {
        stable: outcome.state for stable, outcome in outcomes.items()
    }
    assert sides.session.get_object("p/f").data == b"a" * size
    sides.session.close()


def test_file_that_changed_once(s3: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """T34: a file that was written to between scan and upload is stored as it is now, and remembered as that."""
    path = s3.write("log", b"old")
    operation = upload(s3.tree, "log")
    path.write_bytes(b"newer")
    outcome = carry_out(s3.tree, s3.remote, operation)
    assert s3.session.get_object("p/log").data == b"newer"
    assert outcome.source is not None
    assert outcome.source.size == 5


def test_source_that_went_away(sides: Sides) -> None:
    """T14: a source that is gone when it is its turn is vanished, which is no failure."""
    path = sides.write("f", b"1")
    up = upload(sides.tree, "f")
    path.unlink()
    assert carry_out(sides.tree, sides.remote, up).state == "vanished"
    sides.put("g", b"1")
    down = download(sides.remote, "g")
    sides.session.delete_object("p/g")
    assert carry_out(sides.remote, sides.tree, down).state == "vanished"


def test_link_in_place_of_a_file(s3: Sides, tmp_path: Path) -> None:
    """T57: what was a file and is a symbolic link now is not followed."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path = s3.write("f", b"1")
    operation = upload(s3.tree, "f")
    path.unlink()
    path.symlink_to(secret)
    assert carry_out(s3.tree, s3.remote, operation).state == "failed"
    assert [] == [row.key for row in s3.session.list_objects()]


# --- the target is not what the plan saw


@pytest.mark.parametrize("replaced", [False, True])
def test_object_that_somebody_else_has_put_there(s3: Sides, replaced: bool) -> None:
    """An upload takes the place of what the plan saw, and of nothing else."""
    s3.write("f", b"mine")
    target = None
    if replaced:
        s3.put("f", b"seen")
        target = side_of_object(s3.remote, "f")
    operation = upload(s3.tree, "f", target)
    s3.put("f", b"of somebody else")
    outcome = carry_out(s3.tree, s3.remote, operation)
    assert outcome.state == "conflict"
    assert isinstance(outcome.error, SyncConflict)
    assert s3.session.get_object("p/f").data == b"of somebody else"
    assert carry_out(s3.tree, s3.remote, operation, force=True).state == "done"
    assert s3.session.get_object("p/f").data == b"mine"


@pytest.mark.parametrize("size", [10, 2 * MIB])
@pytest.mark.parametrize("was_there", [False, True])
def test_file_that_somebody_else_has_put_there(sides: Sides, was_there: bool, size: int) -> None:
    """T39: a download takes the place of what the plan saw, and of nothing else."""
    path = sides.root / "f"
    sides.put("f", b"n" * size)
    if was_there:
        sides.write("f", b"seen")
    operation = download(sides.remote, "f", side_of_file(path) if was_there else None)
    path.unlink(missing_ok=True)
    path.write_bytes(b"of somebody else")
    outcome = carry_out(sides.remote, sides.tree, operation)
    assert outcome.state == "conflict"
    assert path.read_bytes() == b"of somebody else"
    assert ["f"] == os.listdir(sides.root)


@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_file_that_was_removed(sides: Sides, size: int) -> None:
    """A file that the plan wants to replace, and that is gone, is a conflict: somebody has decided something."""
    path = sides.write("f", b"seen")
    sides.put("f", b"n" * size)
    operation = download(sides.remote, "f", side_of_file(path))
    path.unlink()
    assert carry_out(sides.remote, sides.tree, operation).state == "conflict"
    assert [] == os.listdir(sides.root)


@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_link_at_the_target(sides: Sides, tmp_path: Path, size: int) -> None:
    """T46: a symbolic link where the file shall be is neither followed nor replaced."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    (sides.root / "f").symlink_to(outside)
    sides.put("f", b"n" * size)
    assert carry_out(sides.remote, sides.tree, download(sides.remote, "f")).state == "conflict"
    assert outside.read_bytes() == b"mine"
    assert (sides.root / "f").is_symlink()


def test_link_on_the_way(sides: Sides, tmp_path: Path) -> None:
    """T46: a folder that is a symbolic link out of the root is not written to."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (sides.root / "d").symlink_to(outside)
    sides.put("d/f", b"1")
    assert carry_out(sides.remote, sides.tree, download(sides.remote, "d/f")).state == "failed"
    assert [] == os.listdir(outside)


@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_replacing(sides: Sides, size: int) -> None:
    """A file that is replaced keeps its permissions, and is replaced as a whole."""
    path = sides.write("f", b"old")
    path.chmod(0o640)
    sides.put("f", b"n" * size)
    with path.open("rb") as before:
        outcome = carry_out(sides.remote, sides.tree, download(sides.remote, "f", side_of_file(path)))
        assert outcome.error is None
        assert before.read() == b"old"
    assert path.read_bytes() == b"n" * size
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert ["f"] == os.listdir(sides.root)


def test_lost_answer(server: Server, tmp_path: Path) -> None:
    """An upload whose answer is lost is found to have been carried out, not taken for somebody else's object."""
    session = server.session("bucket")
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    (tmp_path / "f").write_bytes(b"mine")
    server.faults.add("PutObject", times=1, reset="after")
    assert carry_out(tree, remote, upload(tree, "f")).state == "done"
    assert session.get_object("f").data == b"mine"


def test_store_without_conditions(server: Server, tmp_path: Path) -> None:
    """A store that knows no conditions is asked without them, from then on at once."""
    session = server.session("bucket")
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    for name in ("f", "g"):
        (tmp_path / name).write_bytes(b"mine")
    server.faults.add("PutObject", times=1, status=501, code="NotImplemented")
    mover = Mover(tree, remote, Settings())
    assert mover.carry_out(upload(tree, "f")).state == "done"
    assert mover.carry_out(upload(tree, "g")).state == "done"
    assert server.journal.operations().count("PutObject") == 3


def test_writer_who_may_not_read(server: Server, tmp_path: Path) -> None:
    """Who may write and not read is refused If-Match, and replaces without; who may not write at all stays refused."""
    session = server.session("bucket", retries=1)
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    (tmp_path / "f").write_bytes(b"mine")
    session.put_object("f", b"old")
    operation = upload(tree, "f", side_of_object(remote, "f"))
    server.faults.add("PutObject", times=1, status=403, code="AccessDenied")
    assert carry_out(tree, remote, operation).state == "done"
    assert session.get_object("f").data == b"mine"
    server.faults.add("PutObject", status=403, code="AccessDenied")
    assert carry_out(tree, remote, operation).state == "failed"


# --- T31, T39, T41–T44: the disk


@pytest.mark.parametrize("size", [4000, 3 * MIB])
def test_broken_download(server: Server, tmp_path: Path, size: int) -> None:
    """T31, T39: a download that fails leaves the file that was there, and nothing beside it."""
    session = server.session("bucket", retries=1)
    remote, tree = RemotePrefix(session), LocalTree(tmp_path / "tree")
    session.put_object("f", b"n" * size)
    path = tmp_path / "tree/f"
    path.parent.mkdir()
    path.write_bytes(b"old")
    operation = download(remote, "f", side_of_file(path))
    server.faults.add("GetObject", cut_answer=size // 2)
    outcome = carry_out(remote, tree, operation)
    assert outcome.state == "failed"
    assert path.read_bytes() == b"old"
    assert ["f"] == os.listdir(path.parent)


@pytest.mark.parametrize("nameless", [True, False])
@pytest.mark.parametrize("was_there", [True, False])
def test_full_disk(s3: Sides, monkeypatch: pytest.MonkeyPatch, was_there: bool, nameless: bool) -> None:
    """T41: a disk that is full leaves the old file, or none, and no hidden one."""
    path = s3.root / "f"
    if was_there:
        s3.write("f", b"old")
    s3.put("f", b"new")
    operation = download(s3.remote, "f", side_of_file(path) if was_there else None)

    def write(_descriptor: int, _content: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if not nameless:
        monkeypatch.setattr(publishing, "_NAMELESS", 0)
    monkeypatch.setattr(os, "write", write)
    outcome = carry_out(s3.remote, s3.tree, operation)
    monkeypatch.undo()
    assert outcome.state == "failed"
    assert isinstance(outcome.error, OSError)
    assert (["f"] if was_there else []) == os.listdir(s3.root)


def test_full_disk_is_told_by_its_file(s3: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """T41: the error of a large download names the file, and not the descriptor that it is written by."""
    s3.put("d/f", bytes(2 * MIB))

    def full(path: str, *_: Any) -> None:
        raise OSError(errno.ENOSPC, "full", path)

    monkeypatch.setattr("s3func.download.target._PREFLIGHT_BYTES", 0)
    monkeypatch.setattr("s3func.download.target.check_room", full)
    outcome = carry_out(s3.remote, s3.tree, download(s3.remote, "d/f"))
    assert isinstance(outcome.error, OSError)
    assert (errno.ENOSPC, str(s3.root / "d/f")) == (outcome.error.errno, outcome.error.filename)
    assert [] == [path for path in s3.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("nameless", [True, False])
def test_permissions_of_a_new_file(s3: Sides, monkeypatch: pytest.MonkeyPatch, nameless: bool) -> None:
    """T44: a new file has the permissions that any new file gets."""
    if not nameless:
        monkeypatch.setattr(publishing, "_NAMELESS", 0)
    s3.put("f", b"new")
    before = os.umask(0o027)
    try:
        assert carry_out(s3.remote, s3.tree, download(s3.remote, "f")).state == "done"
    finally:
        os.umask(before)
    assert stat.S_IMODE((s3.root / "f").stat().st_mode) == 0o640


def test_file_system_without_nameless_files(s3: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has no files without names gets hidden ones, beside the file (T43), which leave nothing."""
    monkeypatch.setattr(publishing, "_NAMELESS", os.O_WRONLY | os.O_DIRECTORY)
    s3.put("d/f", b"new")
    places: list[str] = []
    real = os.replace

    def replace(source: str, target: str, **options: Any) -> None:
        places.append(source)
        real(source, target, **options)

    monkeypatch.setattr(os, "replace", replace)
    outcome = carry_out(s3.remote, s3.tree, download(s3.remote, "d/f"))
    assert outcome.error is None
    assert len(places) == 1
    assert places[0].startswith(".f.")
    assert places[0].endswith(".s3func-part")
    assert ["f"] == os.listdir(s3.root / "d")


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux has files without names")
def test_policy_against_links(s3: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file without a name cannot be given one, it is written again with a hidden one."""

    def link(*_arguments: Any, **_options: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    s3.put("f", b"new")
    assert carry_out(s3.remote, s3.tree, download(s3.remote, "f")).state == "done"
    assert (s3.root / "f").read_bytes() == b"new"
    assert ["f"] == os.listdir(s3.root)


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux has files without names")
def test_somebody_is_faster(s3: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that appears in the very moment in which ours gets its name stays."""
    real = os.link

    def link(*arguments: Any, **options: Any) -> None:
        (s3.root / "f").write_bytes(b"of somebody else")
        real(*arguments, **options)

    monkeypatch.setattr(os, "link", link)
    s3.put("f", b"new")
    assert carry_out(s3.remote, s3.tree, download(s3.remote, "f")).state == "conflict"
    assert (s3.root / "f").read_bytes() == b"of somebody else"


def test_folder_that_goes_away(s3: Sides) -> None:
    """A folder that is removed between two files of it is made again."""
    mover = Mover(s3.remote, s3.tree, Settings())
    for name in ("d/f", "d/g"):
        s3.put(name, b"new")
        assert mover.carry_out(download(s3.remote, name)).state == "done"
        (s3.root / name).unlink()
        (s3.root / "d").rmdir()
    mover.close()


def test_sweep(s3: Sides) -> None:
    """T42: what a dead process has left is removed where something is replaced; what lives, and is others', stays."""
    path = s3.write("d/f", b"old")
    s3.put("d/f", b"new")
    operation = download(s3.remote, "d/f", side_of_file(path))
    own = publishing.hidden_name("f")
    host = own.split(".")[2].split("-")[0]
    dead = f".f.{host}-999999999-0123456789abcdef.s3func-part"
    foreign = ".f.00000000-1-0123456789abcdef.s3func-part"
    for name in (own, dead, foreign, ".f.s3func-part", ".f.part"):
        (s3.root / "d" / name).write_bytes(b"")
    assert carry_out(s3.remote, s3.tree, operation).state == "done"
    assert sorted(["f", own, foreign, ".f.s3func-part", ".f.part"]) == sorted(os.listdir(s3.root / "d"))


def test_long_names(s3: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """T55: the hidden file of a name that is as long as names may be has one that is not longer."""
    monkeypatch.setattr(publishing, "_NAMELESS", 0)
    for name in ("n" * 255, "é" * 127):
        s3.put(name, b"1")
        assert carry_out(s3.remote, s3.tree, download(s3.remote, name)).state == "done"


def test_folder_in_the_way(s3: Sides) -> None:
    """T19: a folder where the file shall be, and a file where a folder shall be, block the step; deletes may help."""
    s3.write("a/b", b"1")
    s3.write("c", b"1")
    s3.put("a", b"file")
    s3.put("c/d", b"file")
    for name in ("a", "c/d"):
        outcome = carry_out(s3.remote, s3.tree, download(s3.remote, name))
        assert outcome.state == "blocked"
        assert isinstance(outcome.error, InTheWay)
    s3.session.put_object("p/a", b"x" * (2 * MIB))
    assert carry_out(s3.remote, s3.tree, download(s3.remote, "a")).state == "blocked"


def test_fsync(s3: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fsync both the file and the folder of its name are on the disk, in this order."""
    s3.put("d/f", b"1")
    synced: list[bool] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    carry_out(s3.remote, s3.tree, download(s3.remote, "d/f"), fsync=True)
    assert synced == [False, True]


def test_links_are_kept(s3: Sides) -> None:
    """Links that are to be preserved become objects, and links again; for others the object is a file."""
    tree = LocalTree(s3.root, symlinks="preserve")
    (s3.root / "link").symlink_to("no/where")
    assert carry_out(tree, s3.remote, upload(tree, "link")).state == "done"
    (s3.root / "link").unlink()
    assert carry_out(s3.remote, tree, download(s3.remote, "link")).state == "done"
    assert os.readlink(s3.root / "link") == "no/where"
    (s3.root / "link").unlink()
    assert carry_out(s3.remote, s3.tree, download(s3.remote, "link")).state == "done"
    assert (s3.root / "link").read_bytes() == b"no/where"


# --- T36, T38, T59: the store


def test_object_that_is_replaced_during_the_download(server: Server, tmp_path: Path) -> None:
    """T36: a large object that is replaced while its ranges come is begun again: never a mixture."""
    session = server.session("bucket")
    remote, tree = RemotePrefix(session), LocalTree(tmp_path)
    session.put_object("f", b"1" * (24 * MIB))
    operation = download(remote, "f")
    server.faults.add("GetObject", after=1, times=1, delay=0.2)
    changed = threading.Timer(0.05, lambda: session.put_object("f", b"2" * (24 * MIB)))
    changed.start()
    outcome = carry_out(remote, tree, operation, transfer=TransferConfig(5 * MIB, 8 * MIB, 2))
    changed.join()
    assert outcome.state == "done"
    assert (tmp_path / "f").read_bytes() in {b"1" * (24 * MIB), b"2" * (24 * MIB)}
    assert outcome.source is not None
    assert outcome.source.etag in {side_of_object(remote, "f").etag, operation.source and operation.source.etag}


def test_completion_that_fails_with_200(server: Server, tmp_path: Path) -> None:
    """T38: an <Error> in the 200 of a completed upload is a failure, and leaves neither object nor parts."""
    session = server.session("bucket", retries=1)
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    (tmp_path / "f").write_bytes(b"1" * (11 * MIB))
    server.faults.add("CompleteMultipartUpload", answer="error", code="InternalError")
    outcome = carry_out(tree, remote, upload(tree, "f"), transfer=PARTS)
    assert outcome.state == "failed"
    assert [] == [row.key for row in session.list_objects()]
    assert [] == list(session.list_multipart_uploads())


def test_no_bucket_is_made(server: Server, tmp_path: Path) -> None:
    """T59: a mistyped bucket is an error that ends the run, and is not created."""
    session = server.session("bucket")
    tree, remote = LocalTree(tmp_path), RemotePrefix(session, "buckett")
    (tmp_path / "f").write_bytes(b"1")
    mover = Mover(tree, remote, Settings())
    with pytest.raises(ServiceError, match="NoSuchBucket"):
        mover.carry_out(upload(tree, "f"))
    assert ["bucket"] == [row.name for row in session.list_buckets()]


# --- store to store


def test_copy_inside(sides: Sides) -> None:
    """Between prefixes of one store nothing is moved over the line."""
    sides.put("f", b"content", metadata={"mtime": "1.5"}, content_type="text/x")
    other = RemotePrefix(sides.session, prefix="q/")
    operation = Operation("copy", "f", 7, "new", side_of_object(sides.remote, "f"), None)
    sides.journal.clear()
    outcome = carry_out(sides.remote, other, operation)
    assert outcome.error is None
    assert outcome.size == 0
    assert "GetObject" not in sides.journal.operations()
    found = sides.session.get_object("q/f")
    assert (b"content", "1.5", "text/x") == (found.data, found.metadata["mtime"], found.content_type)
    assert outcome.target is not None
    assert outcome.target.etag == found.etag


def test_copy_of_what_was_replaced(s3: Sides) -> None:
    """A source that was replaced since is copied as it is now; one that is gone has vanished."""
    s3.put("f", b"old")
    operation = Operation("copy", "f", 3, "new", side_of_object(s3.remote, "f"), None)
    s3.put("f", b"newer")
    other = RemotePrefix(s3.session, prefix="q/")
    outcome = carry_out(s3.remote, other, operation)
    assert s3.session.get_object("q/f").data == b"newer"
    assert outcome.source is not None
    assert (5, side_of_object(s3.remote, "f").etag) == (outcome.source.size, outcome.source.etag)
    s3.session.delete_object("p/f")
    assert carry_out(s3.remote, other, operation).state == "vanished"


def test_copy_over_somebody_else(s3: Sides) -> None:
    """A copy takes the place of what the plan saw, and of nothing else."""
    s3.put("f", b"mine")
    s3.session.put_object("q/f", b"theirs")
    operation = Operation("copy", "f", 4, "new", side_of_object(s3.remote, "f"), None)
    assert carry_out(s3.remote, RemotePrefix(s3.session, prefix="q/"), operation).state == "conflict"
    assert s3.session.get_object("q/f").data == b"theirs"


@pytest.mark.parametrize("size", [10, 11 * MIB])
@pytest.mark.parametrize("stores", ["s3>b2", "b2>s3", "s3>s3"])
def test_copy_through(tmp_path: Path, stores: str, size: int) -> None:
    """Between stores that do not know each other the content goes through, with its metadata."""
    kinds = stores.split(">")
    one, other = Sides(tmp_path / "one", store=kinds[0]), Sides(tmp_path / "other", store=kinds[1])
    one.put("f", b"c" * size, metadata={"mtime": "1.5", "owner": "me"}, content_type="text/x")
    operation = Operation("copy", "f", size, "new", side_of_object(one.remote, "f"), None)
    outcome = carry_out(one.remote, other.remote, operation, transfer=PARTS)
    assert outcome.error is None
    found = other.session.get_object("p/f")
    assert found.data == b"c" * size
    assert ("1.5", "me", "text/x") == (found.metadata["mtime"], found.metadata["owner"], found.content_type)
    assert outcome.target is not None
    assert outcome.target.etag == found.etag
    one.session.close()
    other.session.close()


def renamed(sides: Sides, name: str, earlier: str) -> Operation:
    source = side_of_file(sides.root / name)._replace(etag=side_of_object(sides.remote, earlier).etag)
    return Operation("rename", name, source.size, "renamed", source, None, None, earlier)


def test_rename(sides: Sides) -> None:
    """What the store has already under another name is copied there, with the time of the file."""
    sides.put("old.txt", b"content")
    sides.write("new.html", b"content")
    sides.journal.clear()
    outcome = carry_out(sides.tree, sides.remote, renamed(sides, "new.html", "old.txt"))
    assert outcome.error is None
    assert not {"PutObject", "b2_upload_file"} & set(sides.journal.operations())
    found = sides.session.get_object("p/new.html")
    assert (b"content", mtime_text(OLD)) == (found.data, found.metadata["mtime"])
    assert "html" in str(found.content_type)


@pytest.mark.parametrize("case", ["replaced", "gone", "edited"])
def test_rename_that_cannot_be(s3: Sides, case: str) -> None:
    """Where the object or the file is another one by now, the file is uploaded."""
    s3.put("old", b"content")
    s3.write("new", b"content")
    operation = renamed(s3, "new", "old")
    if case == "replaced":
        s3.put("old", b"something else")
    elif case == "gone":
        s3.session.delete_object("p/old")
    else:
        s3.write("new", b"edited", mtime_ns=None)
    outcome = carry_out(s3.tree, s3.remote, operation)
    assert outcome.state == "done"
    assert s3.session.get_object("p/new").data == (s3.root / "new").read_bytes()


def test_bandwidth(s3: Sides) -> None:
    """Small files count against the bandwidth as well."""
    from s3func.transport.transfer import BandwidthLimit

    taken: list[int] = []

    class Counting(BandwidthLimit):
        def take(self, count: int, _sleep: Any = None) -> None:
            taken.append(count)

    limit = Counting(1000)
    s3.write("f", b"12345")
    carry_out(s3.tree, s3.remote, upload(s3.tree, "f"), bandwidth=limit)
    s3.put("g", b"123")
    carry_out(s3.remote, s3.tree, download(s3.remote, "g"), bandwidth=limit)
    assert [5, 3] == taken


def test_credentials_that_change(tmp_path: Path) -> None:
    """T60: credentials are asked for when they are needed, so a long sync goes on when they were renewed."""
    from s3func.s3.credentials import Credentials

    with s3func.testing.server() as running:
        current = [Credentials("unknown", "wrong")]
        session = S3Session(
            bucket="bucket", endpoint_url=running.endpoint_url, region=running.region, credentials=lambda: current[0]
        )
        running.session("bucket")
        tree, remote = LocalTree(tmp_path), RemotePrefix(session)
        (tmp_path / "f").write_bytes(b"1")
        current[0] = Credentials(running.access_key_id, running.secret_access_key)
        with session:
            assert carry_out(tree, remote, upload(tree, "f")).state == "done"


def test_side_of_what_was_listed(s3: Sides) -> None:
    """The time of a listing is more exact than that of an answer, and stays what is remembered."""
    s3.put("f", b"1")
    listed = side_of_object(s3.remote, "f")._replace(modified=1234.567)
    operation = Operation("download", "f", 1, "new", listed, None)
    assert listed == carry_out(s3.remote, s3.tree, operation).source
    other = Side(1, etag="another", modified=1234.567)
    outcome = carry_out(s3.remote, s3.tree, operation._replace(source=other, target=side_of_file(s3.root / "f")))
    assert outcome.source is not None
    assert outcome.source.etag == listed.etag
