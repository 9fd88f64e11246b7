"""A folder as one side: what a scan sees, what it says it could not see, and that nothing leads out of the root."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import SourceChanged, SyncConflict, SyncError, SyncIncomplete
from s3func.sync import local
from s3func.sync.entry import Problem
from s3func.sync.filters import Filters
from s3func.sync.local import LocalTree, is_same_file
from s3func.sync.names import NamePolicy
from s3func.sync.operation import side_of

# What has broken other tools: s5cmd loses five of them, rclone renames one, an ordinary shell loop most of the rest.
ODD_NAMES = [
    " ", "a ", " a", "a  b", "-", "-rf", "--help", "~", "~root", "$HOME", "`id`", "$(id)", ";", "&", "|", "<>", "*", "?",
    "[a]", "{a,b}", "!", "#", "%", "%41", "%2F", "%FF", "+", "a+b", "=", "@", ":", "C:", "a\\b", "'", '"', "\t", "\n",
    "a\r\nb", "\x01", "\x1b[31m", "\x7f", "...", ".hidden", "a.", "\u00e9", "e\u0301", "\u202e", "\ufffe", "\U0001f600",
    "\u200b", "con", "x" * 255,
]  # fmt: skip


def make(root: Path, *names: str) -> None:
    """Files that hold their own names."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, "utf-8", "surrogateescape")


def names_of(tree: LocalTree, filters: Filters | None = None) -> list[str]:
    return [entry.name for entry in tree.scan(filters)]


def problems_of(tree: LocalTree, filters: Filters | None = None) -> list[tuple[str, str, bool, bool]]:
    """Name, kind, is_subtree, is_harmless."""
    scan = tree.scan(filters)
    list(scan)
    return sorted((one.name, one.kind, one.is_subtree, one.is_harmless) for one in scan.proof.problems)


def test_t49_odd_names_are_seen_byte_by_byte(tmp_path: Path) -> None:
    """T49: every odd name is an entry, its name and its path are its own, and its content is read through both."""
    make(tmp_path, *ODD_NAMES, "d/" + "x" * 200)
    tree = LocalTree(tmp_path)
    scan = tree.scan()
    found = list(scan)
    assert sorted([*ODD_NAMES, "d/" + "x" * 200], key=str.encode) == [entry.name for entry in found]
    assert () == scan.proof.problems
    for entry in found:
        assert entry.name == entry.path
        with open(tree.open_source(entry.path), "rb") as file:
            assert entry.name.encode() == file.read()


def test_an_entry_is_what_lstat_says(tmp_path: Path) -> None:
    """Size, times, inode, device and mode are those of the file."""
    make(tmp_path, "d/a")
    (entry,) = LocalTree(tmp_path).scan()
    found = (tmp_path / "d/a").lstat()
    expected = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev, found.st_mode, None)
    assert ("d/a", "d/a", *expected) == tuple(entry)
    assert side_of(entry) == LocalTree(tmp_path).side("d/a")


def test_a_scan_is_proved_when_it_is_over(tmp_path: Path) -> None:
    """The proof is there at the end and not before, with the identity of the root; a missing root is said to be missing."""
    make(tmp_path, "a", "b")
    scan = LocalTree(tmp_path).scan()
    entries = iter(scan)
    next(entries)
    with pytest.raises(RuntimeError):
        scan.proof
    assert 1 == len(list(entries))
    found = tmp_path.stat()
    assert (True, True, 2, 0, (), (found.st_dev, found.st_ino)) == tuple(scan.proof)
    missing = LocalTree(tmp_path / "missing").scan()
    assert [] == list(missing)
    assert (True, False, 0) == missing.proof[:3]


def test_a_root_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    """A file cannot be scanned, and is not taken for an empty folder."""
    make(tmp_path, "a")
    with pytest.raises(SyncError, match="not a folder"):
        list(LocalTree(tmp_path / "a").scan())


def forbid(monkeypatch: pytest.MonkeyPatch, call: str, path: Path, number: int = errno.EACCES) -> None:
    """Let a call of os fail for one path."""
    real = getattr(os, call)

    def failing(given: Any, *arguments: Any, **options: Any) -> Any:
        if os.path.normpath(os.fspath(given)) == str(path):
            raise OSError(number, os.strerror(number), given)
        return real(given, *arguments, **options)

    monkeypatch.setattr(os, call, failing)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_t09_t11_an_unreadable_folder_is_unknown_and_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """T09, T11: what cannot be listed is one problem that covers its subtree; the rest is scanned."""
    make(tmp_path, "a", "d/x", "d/e/y", "z")
    forbid(monkeypatch, "scandir", tmp_path / "d", number)
    scan = LocalTree(tmp_path).scan()
    assert ["a", "z"] == [entry.name for entry in scan]
    assert [("d", "unreadable", True, False)] == [
        (one.name, one.kind, one.is_subtree, one.is_harmless) for one in scan.proof.problems
    ]
    assert [True, True, True, False, False] == [
        scan.problem_of(name) is not None for name in ("d", "d/x", "d/e/y", "d2", "a")
    ]


def test_t09_an_unreadable_file_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T09: a file that cannot be looked at is a problem of its own."""
    make(tmp_path, "a", "b", "c")
    forbid(monkeypatch, "lstat", tmp_path / "b")
    tree = LocalTree(tmp_path)
    assert ["a", "c"] == names_of(tree)
    assert [("b", "unreadable", False, False)] == problems_of(tree)


def test_t09_a_listing_that_breaks_off_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T09: an error in the middle of a folder's list leaves the whole of it unknown, not its second half empty."""
    make(tmp_path, "a", "d/x", "d/y")
    real = os.scandir

    class Breaking:
        def __init__(self, path: str) -> None:
            self.inner = real(path)
            self.is_broken = path.rstrip("/").endswith("/d")

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *error: object) -> None:
            self.inner.close()

        def __iter__(self) -> Any:
            for item in self.inner:
                yield item
                if self.is_broken:
                    raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "scandir", Breaking)
    tree = LocalTree(tmp_path)
    assert ["a"] == names_of(tree)
    assert [("d", "unreadable", True, False)] == problems_of(tree)


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """The superuser may read everything, and is somebody else for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the system has no permissions of this kind")
def test_t09_permissions_of_the_real_disk() -> None:
    """T09: a folder of mode 000 is unknown; a file of mode 000 is an entry, which only reading will show to be locked."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        make(root, "a", "d/x", "locked")
        (root / "locked").chmod(0)
        (root / "d").chmod(0)
        tree = LocalTree(root)
        try:
            with nobody():
                assert ["a", "locked"] == names_of(tree)
                assert [("d", "unreadable", True, False)] == problems_of(tree)
                with pytest.raises(PermissionError):
                    tree.open_source("locked")
        finally:
            (root / "d").chmod(0o700)


def test_t08_a_root_that_cannot_be_read_or_is_taken_away_ends_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T08: a root that fails, or becomes another folder during the scan (a disk that is unmounted), is SyncIncomplete."""
    root = tmp_path / "root"
    make(root, "a", "b")
    scan = LocalTree(root).scan()
    entries = iter(scan)
    next(entries)
    root.rename(tmp_path / "gone")
    root.mkdir()
    with pytest.raises(SyncIncomplete, match="another folder"):
        list(entries)
    root.rmdir()
    (tmp_path / "gone").rename(root)
    scan = LocalTree(root).scan()
    entries = iter(scan)
    next(entries)
    shutil.rmtree(root)
    with pytest.raises(SyncIncomplete, match="went away"):
        list(entries)
    root.mkdir()
    forbid(monkeypatch, "scandir", root)
    with pytest.raises(SyncIncomplete, match="cannot be read"):
        list(LocalTree(root).scan())


def test_t08_the_identity_of_the_root_is_that_of_the_disk(tmp_path: Path) -> None:
    """T08: two folders that take turns at one path have different identities in their proofs."""
    root = tmp_path / "root"
    identities = []
    for name in ("disk", "mount point"):
        root.mkdir()
        scan = LocalTree(root).scan()
        list(scan)
        identities.append(scan.proof.identity)
        root.rename(tmp_path / name)
    assert None not in identities
    assert identities[0] != identities[1]


def test_t14_what_vanishes_during_the_scan_is_no_failure(tmp_path: Path) -> None:
    """T14: of a file or a folder that is gone when it is looked at nothing is known, harmlessly."""
    make(tmp_path, "a", "b", "d/x", "z")
    scan = LocalTree(tmp_path).scan()
    entries = iter(scan)
    assert "a" == next(entries).name
    (tmp_path / "b").unlink()
    shutil.rmtree(tmp_path / "d")
    assert ["z"] == [entry.name for entry in entries]
    assert [("b", "vanished", False, True), ("d", "vanished", True, True)] == [
        (one.name, one.kind, one.is_subtree, one.is_harmless) for one in scan.proof.problems
    ]


def test_t10_a_dangling_link_does_not_end_the_scan(tmp_path: Path) -> None:
    """T10: with any policy, a link that leads nowhere costs nothing but itself."""
    make(tmp_path, "a", "z")
    (tmp_path / "link").symlink_to("nowhere")
    assert ["a", "z"] == names_of(LocalTree(tmp_path))
    assert [("link", "link", True, True)] == problems_of(LocalTree(tmp_path))
    following = LocalTree(tmp_path, symlinks="follow")
    assert ["a", "z"] == names_of(following)
    # Somebody wanted what it leads to: that it is not there is a failure.
    assert [("link", "link", True, False)] == problems_of(following)
    assert ["a", "link", "z"] == names_of(LocalTree(tmp_path, symlinks="preserve"))


def test_links_are_skipped_followed_or_preserved(tmp_path: Path) -> None:
    """Each policy says what a link to a file and a link to a folder are."""
    make(tmp_path, "root/d/x", "out/file", "out/folder/y")
    root = tmp_path / "root"
    (root / "file").symlink_to("../out/file")
    (root / "folder").symlink_to("../out/folder")
    assert ["d/x"] == names_of(LocalTree(root))
    assert [("file", "link", True, True), ("folder", "link", True, True)] == problems_of(LocalTree(root))
    following = LocalTree(root, symlinks="follow")
    entries = {entry.name: entry for entry in following.scan()}
    assert ["d/x", "file", "folder/y"] == list(entries)
    assert (tmp_path / "out/file").stat().st_ino == entries["file"].inode
    for name, text in (("file", b"out/file"), ("folder/y", b"out/folder/y")):
        with open(following.open_source(name), "rb") as file:
            assert text == file.read()
        assert side_of(entries[name]) == following.side(name)
    preserving = LocalTree(root, symlinks="preserve")
    entries = {entry.name: entry for entry in preserving.scan()}
    assert ["d/x", "file", "folder"] == list(entries)
    assert ("../out/file", len("../out/file")) == (entries["file"].link, entries["file"].size)
    assert side_of(entries["folder"]) == preserving.side("folder")


def test_t56_a_circle_of_links_is_seen(tmp_path: Path) -> None:
    """T56: followed links that lead to a folder above them are reported once each; every file is seen once per way."""
    make(tmp_path, "a", "d/x", "d/e/y")
    (tmp_path / "d/up").symlink_to("..")
    (tmp_path / "d/e/self").symlink_to(".")
    (tmp_path / "again").symlink_to("d/e")
    tree = LocalTree(tmp_path, symlinks="follow")
    assert ["a", "again/y", "d/e/y", "d/x"] == names_of(tree)
    expected = [("again/self", "loop", True, True), ("d/e/self", "loop", True, True), ("d/up", "loop", True, True)]
    assert expected == problems_of(tree)


def test_t56_a_link_that_leads_to_itself_costs_itself_only(tmp_path: Path) -> None:
    """T56: links in a circle of their own are problems, whatever the policy, and the folder around them is scanned."""
    make(tmp_path, "d/a", "d/z")
    (tmp_path / "d/self").symlink_to("self")
    (tmp_path / "d/ping").symlink_to("pong")
    (tmp_path / "d/pong").symlink_to("ping")
    assert ["d/a", "d/z"] == names_of(LocalTree(tmp_path))
    following = LocalTree(tmp_path, symlinks="follow")
    assert ["d/a", "d/z"] == names_of(following)
    assert [(f"d/{name}", "link", True, False) for name in ("ping", "pong", "self")] == problems_of(following)
    assert ["d/a", "d/ping", "d/pong", "d/self", "d/z"] == names_of(LocalTree(tmp_path, symlinks="preserve"))


def test_t57_what_is_no_file_is_reported_and_never_opened(tmp_path: Path) -> None:
    """T57: a pipe and a socket are harmless problems, and opening one as a source neither waits nor succeeds."""
    make(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")
    with tempfile.TemporaryDirectory(dir="/tmp") as short, socket.socket(socket.AF_UNIX) as server:
        # The path of a socket has little room.
        server.bind(f"{short}/s")
        os.rename(f"{short}/s", tmp_path / "socket")
        (tmp_path / "device").symlink_to("/dev/null")
        tree = LocalTree(tmp_path)
        assert ["a"] == names_of(tree)
        assert [("pipe", "special", False, True), ("socket", "special", False, True)] == problems_of(tree)[1:]
        following = LocalTree(tmp_path, symlinks="follow")
        assert ("device", "special", False, True) == problems_of(following)[0]
        for each in (tree, following):
            for name in ("pipe", "socket", "device"):
                with pytest.raises(SourceChanged, match="regular"):
                    each.open_source(name)
    with pytest.raises(SourceChanged):
        LocalTree(tmp_path.parent).open_source(tmp_path.name)


def test_t50_a_name_that_is_no_text_is_a_problem_or_escaped(tmp_path: Path) -> None:
    """T50: by default such a file is a problem and the others are scanned; with escapes it is an entry with its own path."""
    make(tmp_path, "a", "caf\udce9", "d\udcff/x", "z")
    assert ["a", "z"] == names_of(LocalTree(tmp_path))
    assert [("caf\\udce9", "not-utf-8", False, False), ("d\\udcff", "not-utf-8", True, False)] == problems_of(
        LocalTree(tmp_path)
    )
    tree = LocalTree(tmp_path, names=NamePolicy(non_utf8="escape"))
    assert [("a", "a"), ("caf%E9", "caf\udce9"), ("d%FF/x", "d\udcff/x"), ("z", "z")] == [
        (entry.name, entry.path) for entry in tree.scan()
    ]
    with open(tree.open_source("d\udcff/x"), "rb") as file:
        assert b"d\xff/x" == file.read()


def test_t52_t21_normal_forms_on_one_disk(tmp_path: Path) -> None:
    """T52, T21: both spellings are two entries; made one by unicode="nfc", they are a problem and no entry at all."""
    make(tmp_path, "caf\u00e9", "cafe\u0301", "u\u0308")
    if len(list(tmp_path.iterdir())) != 3:
        pytest.skip("this disk takes both spellings for one name")
    assert ["cafe\u0301", "caf\u00e9", "u\u0308"] == sorted(names_of(LocalTree(tmp_path)), key=str.encode)
    tree = LocalTree(tmp_path, names=NamePolicy(unicode="nfc"))
    assert [("\u00fc", "u\u0308")] == [(entry.name, entry.path) for entry in tree.scan()]
    assert [("caf\u00e9", "collision", False, False)] == problems_of(tree)


def test_t53_suffixed_files_have_the_names_of_their_keys(tmp_path: Path) -> None:
    """T53: `a.__file__` beside `a/b` is the name `a`; with a file `a` beside it, neither is guessed."""
    make(tmp_path, "a.__file__", "a/b", "c", "c.__file__")
    tree = LocalTree(tmp_path, names=NamePolicy(conflict="suffix"))
    assert [("a", "a.__file__"), ("a/b", "a/b")] == [(entry.name, entry.path) for entry in tree.scan()]
    assert [("c", "collision", False, False)] == problems_of(tree)


def test_t55_names_that_no_key_can_have_are_problems(tmp_path: Path) -> None:
    """T55: a file or a folder whose name is longer than a key may be is a problem before anything is sent."""
    deep = "/".join(["d" * 240] * 4)
    make(tmp_path, f"{deep}/ok", f"{deep}/{'x' * 60}", f"{deep}/{'y' * 61}/z", "a")
    tree = LocalTree(tmp_path)
    assert ["a", f"{deep}/ok", f"{deep}/{'x' * 60}"] == names_of(tree)
    assert [(f"{deep}/{'y' * 61}", "too-long", True, False)] == problems_of(tree)


class Store:
    """Another side, as far as a walk looks at it."""

    name_bytes = 10


def test_t55_a_long_prefix_leaves_less_room(tmp_path: Path) -> None:
    """T55: what the prefix of the other side takes away is counted."""
    make(tmp_path, "0123456789", "0123456789a", "d/12345678", "d/123456789", "\u00e9" * 5, "\u00e9" * 6)
    scan = LocalTree(tmp_path).scan(other=Store())  # type: ignore[arg-type]
    assert ["0123456789", "d/12345678", "\u00e9" * 5] == [entry.name for entry in scan]
    assert {"too-long"} == {problem.kind for problem in scan.proof.problems}
    assert 3 == len(scan.proof.problems)


def test_our_own_files_are_invisible(tmp_path: Path) -> None:
    """What we leave beside files is neither an entry nor a problem, at any depth."""
    make(
        tmp_path,
        "a",
        ".s3func/state.db",
        ".s3func-trash/r/a",
        "d/.x.s3func-part",
        "d/.x.0a.s3func",
        "d/.s3func-trash/y",
    )
    (tmp_path / ".s3func-trash/link").symlink_to("x")
    tree = LocalTree(tmp_path)
    assert ["a"] == names_of(tree)
    assert [] == problems_of(tree)


def test_t12_what_is_filtered_is_neither_seen_nor_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T12: excluded names are invisible, whatever they are; an excluded folder is not even opened."""
    make(tmp_path, "a", "b.tmp", "skip/x", "caf\udce9")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("a")
    forbid(monkeypatch, "scandir", tmp_path / "skip")
    tree = LocalTree(tmp_path)
    assert 4 == len(problems_of(tree))
    filters = Filters(exclude=["*.tmp", "skip", "pipe", "link", "caf*"])
    assert ["a"] == names_of(tree, filters)
    assert [] == problems_of(tree, filters)


def test_a_size_that_was_not_asked_for_is_left_alone_on_both_sides(tmp_path: Path) -> None:
    """A file whose size is filtered is a harmless problem of its name, so that its twin is not taken for superfluous."""
    make(tmp_path, "a", "long name")
    tree = LocalTree(tmp_path)
    assert ["a"] == names_of(tree, Filters(max_size=3))
    assert [("long name", "filtered", False, True)] == problems_of(tree, Filters(max_size=3))


def test_a_source_that_became_a_link_is_not_read(tmp_path: Path) -> None:
    """T57: a file that is replaced by a link after the scan is SourceChanged, not what the link leads to."""
    make(tmp_path, "secret", "root/a")
    (tmp_path / "root/a").unlink()
    (tmp_path / "root/a").symlink_to(tmp_path / "secret")
    with pytest.raises(SourceChanged):
        LocalTree(tmp_path / "root").open_source("a")
    with pytest.raises(FileNotFoundError):
        LocalTree(tmp_path / "root").open_source("gone")


def test_what_has_changed_is_not_removed(tmp_path: Path) -> None:
    """A file is removed only as it was seen; another content, another file or a folder of its name is a SyncConflict."""
    tree = LocalTree(tmp_path)
    for change in ("content", "replaced", "folder", "link"):
        make(tmp_path, "a")
        seen = tree.side("a")
        assert seen is not None
        path = tmp_path / "a"
        if change == "content":
            path.write_text("other")
        else:
            path.rename(tmp_path / "b")
            if change == "replaced":
                shutil.copy2(tmp_path / "b", path)
            elif change == "folder":
                path.mkdir()
            else:
                path.symlink_to("b")
        with pytest.raises(SyncConflict):
            tree.remove("a", seen)
        with pytest.raises(SyncConflict):
            tree.trash("a", "run", seen)
        assert os.path.lexists(path)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def test_removing_takes_the_folders_that_are_empty_then(tmp_path: Path) -> None:
    """Folders that held nothing else go with the last file, never the root; what is gone already is no error."""
    tree = LocalTree(tmp_path / "root")
    make(tmp_path / "root", "d/e/f/x", "d/y")
    for path in ("d/e/f/x", "d/y"):
        seen = tree.side(path)
        assert seen is not None
        tree.remove(path, seen)
        tree.remove(path, seen)
        assert tree.trash(path, "run", seen) is None
        assert ("d/y" == path) == (not (tmp_path / "root/d").exists())
    assert [] == list((tmp_path / "root").iterdir())


def test_the_trash_keeps_the_path(tmp_path: Path) -> None:
    """What is thrown away lies in the trash of the run, whole, under its path, and the next scan does not see it."""
    tree = LocalTree(tmp_path)
    make(tmp_path, "d/x", "y")
    seen = tree.side("d/x")
    assert seen is not None
    assert ".s3func-trash/2026/d/x" == tree.trash("d/x", "2026", seen)
    assert "d/x" == (tmp_path / ".s3func-trash/2026/d/x").read_text()
    assert ["y"] == names_of(tree)
    assert not (tmp_path / "d").exists()


def test_side_sees_what_a_scan_sees(tmp_path: Path) -> None:
    """side() is None where nothing is, and where a file stands in the place of a folder."""
    make(tmp_path, "a")
    tree = LocalTree(tmp_path)
    assert [None, None, None] == [tree.side(path) for path in ("b", "a/b", "no/folder")]
    seen = tree.side("a")
    assert seen is not None
    assert is_same_file(seen, seen)
    assert not is_same_file(seen, seen._replace(mtime_ns=1))
    # What a plan did not note is not compared.
    assert is_same_file(seen, seen._replace(mtime_ns=None, inode=None, mode=None))
    assert not is_same_file(seen, seen._replace(mode=stat.S_IFDIR | 0o700))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (("",), {}, ValueError, "root"),
        (("a\0b",), {}, ValueError, "root"),
        ((b"a",), {}, TypeError, "root"),
        ((3,), {}, TypeError, None),
        (("a",), {"symlinks": "copy"}, ValueError, "symlinks"),
        (("a",), {"names": "error"}, TypeError, "names"),
    ],
)
def test_bad_arguments_are_named(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], words: str | None
) -> None:
    """A folder that cannot be one is refused before the disk is touched."""
    with pytest.raises(error, match=words):
        LocalTree(*arguments, **options)


def test_a_tree_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickled tree is the same folder with the same policies; a relative root is where it was when it was given."""
    monkeypatch.chdir(tmp_path)
    tree = LocalTree("d", symlinks="follow", names=NamePolicy(conflict="suffix"))
    twin = pickle.loads(pickle.dumps(tree))
    monkeypatch.chdir("/")
    assert str(tmp_path / "d") == tree.root == tree.url == twin.root
    assert (tree.symlinks, tree.names) == (twin.symlinks, twin.names)
    assert repr(str(tmp_path / "d")) in repr(tree)


@pytest.mark.skipif(sys.platform != "win32", reason="junctions exist on Windows only")
def test_a_junction_is_a_link(tmp_path: Path) -> None:
    """A junction of Windows is treated as the symbolic link that it is in all but name."""
    import _winapi

    make(tmp_path, "out/x", "root/a")
    _winapi.CreateJunction(str(tmp_path / "out"), str(tmp_path / "root/j"))  # type: ignore[attr-defined]
    assert ["a"] == names_of(LocalTree(tmp_path / "root"))
    assert [("j", "link", True, True)] == problems_of(LocalTree(tmp_path / "root"))


def test_the_mark_of_a_junction_is_known() -> None:
    """What Windows says of a junction is taken for a link by the part that can be tried everywhere."""

    class Junction:
        st_mode = stat.S_IFDIR | 0o777
        st_reparse_tag = 0xA0000003

    assert local._is_link(Junction())  # type: ignore[arg-type]
    assert not local._is_link(os.stat("."))


def test_problems_cover_their_subtrees() -> None:
    """A problem of a folder covers what is below it and not what is merely called alike; a file's covers itself."""
    from s3func.sync.entry import Problems

    problems = Problems()
    assert problems.of("a/b") is None
    problems.add(Problem("a", "unreadable", "", is_subtree=True))
    problems.add(Problem("a/b", "special", ""))
    problems.add(Problem("c", "special", ""))
    assert ["unreadable", "special", "unreadable", None, "special", None] == [
        found.kind if (found := problems.of(name)) else None for name in ("a", "a/b", "a/c/d", "ab", "c", "c/d")
    ]
    # The wider one stays, in whichever order they come.
    problems.add(Problem("c", "unreadable", "", is_subtree=True))
    problems.add(Problem("c", "special", ""))
    assert problems.of("c/d") is not None
