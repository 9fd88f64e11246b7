"""check(): what both sides do not have alike, told without changing anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3func.sync import check
from s3func.sync.checking import CheckReport, Difference
from s3func.sync.local import LocalTree
from s3func.sync.remote import RemotePrefix
from tests.sync.sides import Sides


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """Three names that agree and are remembered."""
    sides = Sides(tmp_path)
    for name in ("a", "b/c", "d"):
        sides.write(name, name)
    sides.carry_out(sides.up())
    sides.requests()
    return sides


def test_sides_that_agree(sides: Sides) -> None:
    """0, with one listing and nothing else, and the memory is not written to."""
    before = sides.database.read_bytes()
    report = check(sides.tree, sides.remote, state=sides.database)
    assert (True, 0, 3, []) == (report.ok, report.exit_code, report.same, report.differences)
    assert ["ListObjectsV2"] == sides.requests()
    assert "3 the same, 0 not" in str(report)
    assert before == sides.database.read_bytes()


@pytest.mark.parametrize("is_hash", [False, True])
def test_every_kind_of_difference_is_named(sides: Sides, is_hash: bool) -> None:
    """Only here, only there, other contents of the same size and of another one: 1, and nothing is changed."""
    sides.write("a", "A")
    sides.write("d", "longer")
    sides.write("mine", "x")
    sides.put("theirs", "x")
    local, stored = sides.local(), sides.stored()
    sides.requests()
    report = check(sides.tree, sides.remote, hash=is_hash, state=sides.database)
    assert {"ListObjectsV2", "HeadObject"} >= set(sides.requests())
    assert (False, 1, 1) == (report.ok, report.exit_code, report.same)
    assert ["a", "d"] == report.names("different")
    assert (["mine"], ["theirs"]) == (report.names("only-source"), report.names("only-target"))
    assert (local, stored) == (sides.local(), sides.stored())
    assert "different: a (content)" in str(report)


def test_t45_a_file_that_rotted_is_found_with_hash(sides: Sides) -> None:
    """T45: what looks unchanged from outside and is not is "up to date" by its memory, and different by its hash."""
    path = sides.root / "a"
    path.write_text("A")
    side = sides.tree.side("a")
    assert side is not None
    with sides.up() as made:
        assert made.state is not None
        made.state.record("a", side._replace(mtime_ns=1, ctime_ns=1), sides.side("a"))
    os.utime(path, ns=(1, 1))
    side = sides.tree.side("a")
    assert side is not None
    with sides.up() as made:
        assert made.state is not None
        made.state.record("a", side, sides.side("a"))
    assert check(sides.tree, sides.remote, state=sides.database).ok
    report = check(sides.tree, sides.remote, hash=True, state=sides.database)
    assert ["a"] == report.names("different")


def test_an_empty_or_missing_side_is_a_difference_and_no_accident(sides: Sides, tmp_path: Path) -> None:
    """There is nothing to guard where nothing is changed."""
    report = check(LocalTree(tmp_path / "nowhere"), sides.remote, state=None)
    assert ["a", "b/c", "d"] == report.names("only-target")
    report = check(sides.tree, RemotePrefix(sides.session, None, "nothing"), state=None)
    assert ["a", "b/c", "d"] == report.names("only-source")


def test_what_cannot_be_looked_at_is_no_agreement(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """2, and the name is told."""
    sides.write("a", "a")

    def refusing(tree: LocalTree, path: str) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(LocalTree, "open_source", refusing)
    report = check(sides.tree, sides.remote, hash=True)
    assert (2, ["a", "b/c", "d"]) == (report.exit_code, report.names("problem"))


def test_what_nothing_can_tell_is_unknown(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stores without a common hash: no agreement, and no difference either."""
    from s3func.results import HeadResult

    other = RemotePrefix(sides.session, None, "other")
    sides.session.put_object("other/a", "A")
    monkeypatch.setattr(sides.session, "head_object", lambda *_, **__: HeadResult(200, {}))
    report = check(sides.remote, other, state=None)
    assert (["a"], ["b/c", "d"]) == (report.names("unknown"), report.names("only-source"))


def test_a_conflict_is_a_difference(sides: Sides) -> None:
    """Both changed since they agreed."""
    sides.write("a", "1")
    sides.put("a", "2")
    report = check(sides.tree, sides.remote, state=sides.database)
    assert [Difference("a", "different", "both-changed")] == report.differences


def test_a_report_is_a_value() -> None:
    """Without differences it is fine, and says of what."""
    report = CheckReport("s", "t", 5, [])
    assert report.ok
    assert "5 the same, 0 not: s and t" == str(report)
