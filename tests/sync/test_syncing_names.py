"""Names as people and programs make them, from a folder to a store and back into another folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3func.sync.names import NamePolicy
from s3func.sync.remote import RemotePrefix
from s3func.sync.syncing import sync
from tests.sync.sides import Sides

ODD = [
    *("a b", "a%20b", "a+b", "a%2Fb", "q?x=1&y", "#h", "é", "e\u0301", "日本", "emoji😀", "back\\slash", "'q'", '"dq"'),
    *(
        "*",
        "~",
        "-dash",
        ".hidden",
        "..two",
        "...",
        "d/..x",
        "sp /x",
        "x/ y",
        "trail.",
        "trail ",
        "\ufffe",
        "\u202eabc",
    ),
    *("a" * 255, "é" * 127, "$HOME", "{b}", "[c]", "<x>", "|p", "^", "`b`", "CON", "nul.txt", "a:b", ";", "x/y/z/w"),
    *("x-y", "x!y", "x.y"),
]
CONTROL = ["tab\tx", "nl\nx", "cr\rx", "\x01ctl", "\x7fdel"]
UNSAFE = ["../evil", "a//b", "/abs", "./dot", "c/./d", "datadir/", "..", "."]


@pytest.fixture(params=["s3", "b2"])
def sides(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sides]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Sides(tmp_path / "sides", store=request.param)
    yield made
    made.session.close()


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.skipif(os.name == "nt", reason="Windows has fewer names")
def test_there_and_back(sides: Sides, tmp_path: Path) -> None:
    """T49, T51, T52: every name that file and key can have goes up and comes down as it is; what the store does not take
    is a failure of its own.
    """
    for name in ODD + CONTROL:
        sides.write(name, name.encode())
    report = sync(sides.tree, sides.remote)
    taken = ODD if sides.remote.kind == "b2" else ODD + CONTROL
    assert (len(taken), len(ODD + CONTROL) - len(taken)) == (report.uploaded, report.failed)
    assert sync(sides.remote, tmp_path / "other").ok
    assert {name: name.encode() for name in taken} == contents(tmp_path / "other")
    assert sync(sides.remote, tmp_path / "other").transferred == 0
    assert sync(sides.tree, sides.remote).transferred == 0


def test_keys_that_are_no_paths(sides: Sides, tmp_path: Path) -> None:
    """T46–T48, T53: keys that lead out, or onto other names, are refused one by one; the others come, nothing is outside."""
    remote = RemotePrefix(sides.session, prefix="q")
    for name in [*UNSAFE, "x", "x/y", "fine"]:
        sides.session.put_object(f"q/{name}", name.encode())
    target = tmp_path / "deep/target"
    report = sync(remote, target)
    assert (len(UNSAFE) + 1, 1) == (report.refused, report.exit_code)
    assert {"x": b"x", "fine": b"fine"} == contents(target)
    assert ["target"] == os.listdir(tmp_path / "deep")
    # What could not be taken is not deleted on the way back.
    assert sync(target, remote, delete="all", max_delete="none").deleted == 0
    assert len(UNSAFE) + 3 == len(list(sides.session.list_objects("q/")))


def test_file_and_folder_of_one_name(sides: Sides, tmp_path: Path) -> None:
    """T53: with the policy "suffix" the file `x` beside `x/y` has another name on the disk, and its own in the store."""
    remote = RemotePrefix(sides.session, prefix="q")
    for name in ("x", "x/y"):
        sides.session.put_object(f"q/{name}", name.encode())
    policy = NamePolicy(conflict="suffix")
    target = tmp_path / "target"
    assert sync(remote, target, names=policy).ok
    assert {"x.__file__": b"x", "x/y": b"x/y"} == contents(target)
    (target / "x.__file__").write_bytes(b"edited")
    report = sync(target, remote, names=policy, delete="all", max_delete="none")
    assert (1, 0) == (report.uploaded, report.deleted)
    assert sides.session.get_object("q/x").data == b"edited"
