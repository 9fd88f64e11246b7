"""Nothing that is made, opened, moved or removed below a folder is reached through a link that leads out of it."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func.errors import SourceChanged, UnsafeKey
from s3func.sync import contained
from s3func.sync.contained import reach
from s3func.sync.local import LocalTree


def make(root: Path, *names: str) -> None:
    """Files that hold their own names."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


FLAVOURS = pytest.mark.parametrize("has_descriptors", [True, False], ids=["by descriptor", "by path"])


@pytest.fixture
def flavour(has_descriptors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to reach a folder: that of POSIX, and that of systems without descriptors of folders."""
    monkeypatch.setattr(contained, "_HAS_DESCRIPTORS", has_descriptors)


@FLAVOURS
@pytest.mark.usefixtures("flavour")
def test_t46_nothing_is_written_through_a_link_that_leads_out(tmp_path: Path) -> None:
    """T46: folders are made, files opened, moved and removed below the root only, whatever links there are."""
    make(tmp_path, "out/victim", "root/a")
    root, out = tmp_path / "root", tmp_path / "out"
    (root / "evil").symlink_to(out)
    (root / "far").symlink_to("evil")
    (root / "up").symlink_to("..")
    tree = LocalTree(root)
    victim = LocalTree(out).side("victim")
    assert victim is not None
    for path in ("evil/victim", "far/victim", "up/out/victim"):
        calls: list[Callable[[str], object]] = [
            tree.make_folders,
            lambda path: tree.reach(path, create=True),
            tree.open_source,
            tree.side,
            lambda path: tree.remove(path, victim),
            lambda path: tree.trash(path, "run", victim),
        ]
        for call in calls:
            with pytest.raises(UnsafeKey, match="leads out"):
                call(path)
    with pytest.raises(UnsafeKey):
        tree.make_folders("evil/new/x")
    assert ["victim"] == [path.name for path in out.iterdir()]
    assert "out/victim" == (out / "victim").read_text()


@FLAVOURS
@pytest.mark.usefixtures("flavour")
@pytest.mark.parametrize("path", ["../x", "..", "/x", "a/../../x", "", ".", "a//b", "a\0b"])
def test_t46_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    """T46: every way to touch a path refuses one that is not below the root."""
    tree = LocalTree(tmp_path / "root")
    for call in (tree.full_path, tree.make_folders, tree.open_source, tree.side, tree.path):
        with pytest.raises(UnsafeKey):
            call(path)
    assert [] == list(tmp_path.iterdir())


@FLAVOURS
@pytest.mark.usefixtures("flavour")
def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    """A link to another folder of the root is a way like any other."""
    make(tmp_path, "real/deep/a")
    (tmp_path / "short").symlink_to("real/deep")
    (tmp_path / "chain").symlink_to(tmp_path / "short")
    tree = LocalTree(tmp_path)
    tree.make_folders("chain/new/b")
    assert (tmp_path / "real/deep/new").is_dir()
    with open(tree.open_source("chain/a"), "rb") as file:
        assert b"real/deep/a" == file.read()


@FLAVOURS
@pytest.mark.usefixtures("flavour")
def test_links_behind_links_are_followed_from_where_they_stand(tmp_path: Path) -> None:
    """A relative link is read in the folder that holds it, however one came there."""
    make(tmp_path, "real/deep/a", "x/y")
    (tmp_path / "x/first").symlink_to("../real")
    (tmp_path / "real/second").symlink_to("deep")
    (tmp_path / "real/deep/back").symlink_to("../../x")
    tree = LocalTree(tmp_path)
    for path, text in (("x/first/second/a", b"real/deep/a"), ("x/first/second/back/first/deep/back/y", b"x/y")):
        with open(tree.open_source(path), "rb") as file:
            assert text == file.read()


@FLAVOURS
@pytest.mark.usefixtures("flavour")
def test_t46_a_neighbour_whose_name_begins_alike_is_outside(tmp_path: Path) -> None:
    """T46: `root2` does not lie below `root`."""
    make(tmp_path, "root/a", "root2/b")
    (tmp_path / "root/link").symlink_to("../root2")
    with pytest.raises(UnsafeKey):
        LocalTree(tmp_path / "root").make_folders("link/x")


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """A way that never arrives is an OSError, not an endless loop."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError):
        LocalTree(tmp_path).make_folders("a/x")


@pytest.mark.skipif(not contained._HAS_DESCRIPTORS, reason="the system has no descriptors of folders")
def test_t46_a_link_that_appears_behind_the_check_leads_nowhere(tmp_path: Path) -> None:
    """T46: a folder that is replaced by a link after it was reached is still the folder that was reached."""
    make(tmp_path, "out/x", "root/d/old")
    with LocalTree(tmp_path / "root").reach("d/new") as folder:
        (tmp_path / "root/d").rename(tmp_path / "root/moved")
        (tmp_path / "root/d").symlink_to(tmp_path / "out")
        os.close(os.open(folder.at("new"), os.O_CREAT | os.O_WRONLY, dir_fd=folder.descriptor))
    assert ["new", "old"] == sorted(path.name for path in (tmp_path / "root/moved").iterdir())
    assert ["x"] == [path.name for path in (tmp_path / "out").iterdir()]


@pytest.mark.parametrize("path", ["C:/x", "C:x", "a/C:", "a\\..\\..\\x", "\\\\host\\share"])
def test_t46_drives_and_backslashes_are_no_parts_of_paths_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """T46: where they would lead out of the folder, a colon and a backslash are refused; elsewhere they are characters."""
    tree = LocalTree(tmp_path)
    assert tree.full_path(path).startswith(f"{tmp_path}/")
    monkeypatch.setattr(contained, "_FORBIDDEN", frozenset("\0:\\"))
    with pytest.raises(UnsafeKey):
        tree.full_path(path)


LINK_PARTS = st.sampled_from(["a", "b", "c"])
WAYS = st.lists(LINK_PARTS, min_size=1, max_size=4)
LEADS = st.one_of(
    st.lists(st.sampled_from(["..", "a", "b", "c", "."]), min_size=1, max_size=4).map("/".join),
    st.sampled_from(["OUT", "OUT/d", "ROOT/a"]),
)


@settings(max_examples=150)
@given(
    links=st.lists(st.tuples(WAYS, LEADS), max_size=6),
    folders=st.lists(WAYS, max_size=4),
    way=WAYS,
    create=st.booleans(),
)
@pytest.mark.parametrize("has_descriptors", [True, False])
def test_t46_no_maze_of_links_leads_out(
    has_descriptors: bool, links: list[tuple[list[str], str]], folders: list[list[str]], way: list[str], create: bool
) -> None:
    """T46: in any tree of folders and links, what is reached lies below the root, and nothing appears outside of it."""
    with tempfile.TemporaryDirectory() as top, pytest.MonkeyPatch.context() as patch:
        patch.setattr(contained, "_HAS_DESCRIPTORS", has_descriptors)
        root, out = Path(top, "root"), Path(top, "out")
        (out / "d").mkdir(parents=True)
        root.mkdir()
        for parts in folders:
            (root / Path(*parts)).mkdir(parents=True, exist_ok=True)
        for parts, lead in links:
            place = root / Path(*parts)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(lead.replace("OUT", str(out)).replace("ROOT", str(root)))
            except OSError:
                continue
        before = sorted(str(path) for path in out.rglob("*")), sorted(os.listdir(top))
        try:
            with reach(str(root), way, create=create) as folder:
                where = os.stat(folder.at("."), dir_fd=folder.descriptor)
                inside = [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]
                assert any(os.path.samestat(where, path.stat()) for path in inside)
                assert os.path.samestat(where, root.joinpath(*way).stat())
        except (UnsafeKey, OSError):
            pass
        assert before == (sorted(str(path) for path in out.rglob("*")), sorted(os.listdir(top)))


def test_what_is_reached_is_let_go_of(tmp_path: Path) -> None:
    """Whatever succeeds or fails, no descriptor stays open."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the system does not list descriptors")
    make(tmp_path, "d/a")
    (tmp_path / "evil").symlink_to("/")
    tree = LocalTree(tmp_path)
    gc.collect()  # an earlier test's descriptors are not closed in between
    before = len(os.listdir("/proc/self/fd"))
    for path in ("d/a", "d/b", "d/a/b", "evil/x", "new/x"):
        calls: list[Callable[[str], object]] = [tree.make_folders, tree.side, tree.open_source]
        for call in calls:
            try:
                found = call(path)
            except (OSError, UnsafeKey, SourceChanged):
                continue
            if isinstance(found, int):
                os.close(found)
    entries = iter(tree.scan())
    next(entries)
    del entries
    assert before == len(os.listdir("/proc/self/fd"))
