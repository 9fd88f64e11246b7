"""bisync(): what happened on one side happens on the other; no content is lost, whatever happened on both."""

from __future__ import annotations

import itertools
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func.errors import EmptySourceError, SafetyStop
from s3func.sync.both_ways import BothWaysReport, bisync
from s3func.sync.remote import RemotePrefix
from s3func.sync.report import Report
from tests.sync.sides import OLD, Sides

MARK = re.compile(r"\.conflict-[0-9TZ]+")
KEPT, EDITED, DELETED, AGAIN = "kept", "edited", "deleted", "written again"


def both(sides: Sides, *, is_swapped: bool = False, **options: Any) -> BothWaysReport:
    """Run it on both sides, from either end."""
    pair = (sides.remote, sides.tree) if is_swapped else (sides.tree, sides.remote)
    return bisync(*pair, state=sides.database, **{"max_delete": "none", **options})


def named(contents: dict[str, bytes]) -> dict[str, str]:
    """Contents as text, the moment taken out of second names."""
    return {MARK.sub(".conflict", name): content.decode() for name, content in contents.items()}


def alike(sides: Sides) -> dict[str, str]:
    """What both sides have, which is the same."""
    local, stored = sides.local(), sides.stored()
    assert local == stored
    return named(local)


def happen(sides: Sides, where: str, what: str) -> None:
    """Let something happen to the name n on one side."""
    if what == DELETED and where == "local":
        (sides.root / "n").unlink()
    elif what == DELETED:
        sides.session.delete_object(sides.remote.key("n"))
    elif what in {EDITED, AGAIN}:
        content = "base" if what == AGAIN else {"local": "here", "remote": "over"}[where]
        if where == "local":
            sides.write("n", content, mtime_ns=OLD + 7)
        else:
            sides.put("n", content)


@pytest.mark.parametrize("store", ["s3", "b2"])
@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize(("local", "remote"), list(itertools.product([KEPT, EDITED, DELETED, AGAIN], repeat=2)))
def test_t66_every_cell_of_the_matrix(tmp_path: Path, local: str, remote: str, is_swapped: bool, store: str) -> None:
    """T66: an edit goes over, a delete too, an edit outlives a delete, and of two edits both are kept on both sides."""
    sides = Sides(tmp_path, store=store)
    sides.write("n", "base")
    sides.write("other", "other")
    assert both(sides).ok
    happen(sides, "local", local)
    happen(sides, "remote", remote)
    assert both(sides, is_swapped=is_swapped).ok
    edits = {"here"} if local == EDITED else set()
    edits |= {"over"} if remote == EDITED else set()
    if len(edits) == 2:
        source = "over" if is_swapped else "here"
        expected = {"n": source, "n.conflict": (edits - {source}).pop()}
    elif edits:
        expected = {"n": edits.pop()}
    elif DELETED in {local, remote}:
        expected = {}
    else:
        expected = {"n": "base"}
    assert expected | {"other": "other"} == alike(sides)
    sides.requests()
    assert both(sides).ok
    assert {"ListObjectsV2" if store == "s3" else "b2_list_file_names"} == set(sides.requests())


@pytest.mark.parametrize(("decision", "expected"), [("source", "here"), ("target", "over")])
def test_one_side_may_win(tmp_path: Path, decision: Any, expected: str) -> None:
    """With "source" or "target" the content of that side is on both, and nothing is kept beside it."""
    sides = Sides(tmp_path)
    sides.write("n", "here")
    sides.put("n", "over")
    assert both(sides, on_conflict=decision).ok
    assert {"n": expected} == alike(sides)


def test_a_conflict_may_be_left_alone(tmp_path: Path) -> None:
    """With "error" neither content changes, the name is reported once, and the rest of both sides is made alike."""
    sides = Sides(tmp_path)
    sides.write("n", "here")
    sides.put("n", "over")
    sides.write("mine", "mine")
    sides.put("theirs", "theirs")
    report = both(sides, on_conflict="error")
    assert (1, False) == (report.exit_code, report.ok)
    assert report.back is not None
    conflicts = [*report.there.conflicts, *report.back.conflicts]
    assert [("n", "both-new")] == [(step.name, step.reason) for step in conflicts]
    assert (b"here", b"over") == (sides.local().pop("n"), sides.stored().pop("n"))
    assert {"mine", "theirs"} == (sides.local().keys() & sides.stored().keys()) - {"n"}
    assert "there: " in str(report)


def test_the_first_time_both_have_everything_of_both(tmp_path: Path) -> None:
    """Without a memory nothing is deleted: the first run makes the union."""
    sides = Sides(tmp_path)
    sides.write("mine", "1")
    sides.put("theirs", "2")
    sides.write("same", "3")
    sides.put("same", "3")
    assert both(sides).ok
    assert {"mine": "1", "theirs": "2", "same": "3"} == alike(sides)


def test_an_emptied_side_empties_nothing(tmp_path: Path) -> None:
    """A folder that is not mounted, and a prefix that lost everything, stop the run before the first delete."""
    sides = Sides(tmp_path)
    for name in "abc":
        sides.write(name, name)
    assert both(sides).ok
    for name in "abc":
        (sides.root / name).rename(tmp_path / name)
    with pytest.raises(EmptySourceError):
        both(sides)
    assert 3 == len(sides.stored())
    for name in "abc":
        (tmp_path / name).rename(sides.root / name)
        sides.session.delete_object(sides.remote.key(name))
    with pytest.raises(SafetyStop):
        both(sides)
    assert 3 == len(sides.local())


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    """Both directions say what they would do."""
    sides = Sides(tmp_path)
    sides.write("mine", "1")
    sides.put("theirs", "2")
    report = both(sides, dry_run=True)
    assert report.back is not None
    assert (1, 1) == (report.there.uploaded, report.back.downloaded)
    assert ({"mine"}, {"theirs"}) == (set(sides.local()), set(sides.stored()))
    assert not sides.database.exists()


def test_two_prefixes_are_made_alike(tmp_path: Path) -> None:
    """Store to store, in both directions."""
    sides = Sides(tmp_path)
    other = RemotePrefix(sides.session, None, "other")
    sides.put("a", "1")
    sides.session.put_object("other/b", "2")
    for _ in range(2):
        assert bisync(sides.remote, other, state=sides.database, max_delete="none").ok
        assert ["a", "b"] == [entry.name for entry in other.scan()] == sorted(sides.stored())
    sides.put("a", "11")
    sides.session.put_object("other/b", "22")
    assert bisync(sides.remote, other, state=sides.database).ok
    assert {"a": b"11", "b": b"22"} == sides.stored()
    sides.session.delete_object("other/a")
    assert bisync(sides.remote, other, state=sides.database).ok
    assert {"b": b"22"} == sides.stored()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"state": None}, "state must be given"),
        ({"compare": "always"}, "compare must be one of"),
        ({"delete": "all"}, "no argument 'delete'"),
        ({"on_conflict": "newer"}, "on_conflict must be"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, options: dict[str, Any], error: str) -> None:
    """ValueError or TypeError with the argument's name, before anything is looked at."""
    sides = Sides(tmp_path)
    sides.requests()
    with pytest.raises((ValueError, TypeError), match=error):
        bisync(sides.tree, sides.remote, **{"state": sides.database, **options})
    assert [] == sides.requests()


def test_the_graver_exit_code_counts() -> None:
    """0 when both went well, 2 when one side was not seen, and a way back that was not begun has none."""
    fine, incomplete = Report(), Report()
    incomplete.is_incomplete = True
    assert [0, 2, 2] == [
        BothWaysReport(*pair).exit_code for pair in ((fine, fine), (fine, incomplete), (incomplete, None))
    ]
    assert "not begun" in str(BothWaysReport(incomplete, None))


NAMES = ["a", "a!", "b/c", "b/d", "é"]
events = st.tuples(st.booleans(), st.sampled_from(NAMES), st.one_of(st.none(), st.sampled_from(["x", "y", "zz"])))


@given(st.lists(st.one_of(events, st.just(None)), max_size=30), st.booleans())
@settings(max_examples=40)
def test_no_content_is_lost_whatever_happens(
    history: list[tuple[bool, str, str | None] | None], is_swapped: bool
) -> None:
    """After each run both sides are alike, with every edit since the last one in it, and no name that both let go."""
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(Path(folder))
        base: dict[str, str] = {}
        local: dict[str, str] = {}
        remote: dict[str, str] = {}
        for event in [*history, None]:
            if event is not None:
                is_local, name, content = event
                here = local if is_local else remote
                if content is not None:
                    here[name] = content
                    sides.write(name, content) if is_local else sides.put(name, content)
                elif here.pop(name, None) is not None:
                    if is_local:
                        (sides.root / name).unlink()
                    else:
                        sides.session.delete_object(sides.remote.key(name))
                continue
            assert both(sides, is_swapped=is_swapped, allow_empty_source=True).ok
            alike(sides)
            found = {name: content.decode() for name, content in sides.local().items()}
            for name in {*local, *remote, *base}:
                mine, theirs, before = local.get(name), remote.get(name), base.get(name)
                edits = {one for one in (mine, theirs) if one is not None and one != before}
                if len(edits) == 2:
                    kept = {text for other, text in found.items() if other != name and MARK.sub("", other) == name}
                    assert found[name] in edits
                    assert edits <= {found[name], *kept}
                elif edits:
                    assert edits == {found[name]}
                elif mine is None or theirs is None:
                    assert name not in found
                else:
                    assert before == found[name]
            base, local, remote = dict(found), dict(found), dict(found)
