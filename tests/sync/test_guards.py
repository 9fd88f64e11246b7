"""What has to hold before anything is deleted, and what each refusal is called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import EmptySourceError, RootChanged, SafetyStop, SyncIncomplete, TooManyDeletes
from s3func.sync.entry import ScanProof
from s3func.sync.guards import Guard, MaxDelete, Proofs, parse_max_delete
from s3func.sync.local import LocalTree
from s3func.sync.plans import plan
from s3func.sync.remote import RemotePrefix
from tests.sync.sides import Sides

FULL = ScanProof(is_complete=True, is_there=True, entries=100, pages=0, problems=())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, MaxDelete(1000, 0.5)),
        ("1000|50%", MaxDelete(1000, 0.5)),
        ("7", MaxDelete(7, None)),
        (" 12.5% ", MaxDelete(None, 0.125)),
        ("10% | 3", MaxDelete(3, 0.1)),
        ("none", MaxDelete(None, None)),
        (0, MaxDelete(0, None)),
        (0.25, MaxDelete(None, 0.25)),
        (MaxDelete(3, None), MaxDelete(3, None)),
    ],
)
def test_limits_are_read_and_written(value: Any, expected: MaxDelete) -> None:
    """Counts, shares and both, as text, number or limit; the text of a limit is read as the same limit."""
    assert expected == parse_max_delete(value)
    assert expected == parse_max_delete(str(expected))


@pytest.mark.parametrize(
    "value", ["", "many", "5|6", "5%|6%", "-1", "101%", "1.5", "٣", -1, 1.5, True, [1], MaxDelete(-1)]
)
def test_limits_that_are_none_are_refused(value: Any) -> None:
    """ValueError or TypeError names max_delete."""
    with pytest.raises((ValueError, TypeError), match="max_delete"):
        parse_max_delete(value)


def test_t20_the_limit_is_the_smaller_of_count_and_share() -> None:
    """T20: 1,000 of however many, and half of the target, by default; the whole plan counts, before the first delete."""
    limit = MaxDelete()
    assert [True, False, True, False] == [
        limit.allows(*each) for each in ((50, 100), (51, 100), (1000, 9999), (1001, 9999))
    ]
    assert MaxDelete(None, None).allows(10**9, 1)
    assert not MaxDelete(0, None).allows(1, 10)


@pytest.mark.parametrize(
    ("guard", "source", "target", "deletes", "failed", "expected"),
    [
        (Guard(MaxDelete()), FULL, FULL, 5, 0, None),
        (Guard(MaxDelete()), FULL, FULL, 0, 9, None),
        (Guard(MaxDelete()), FULL, FULL, 5, 1, SyncIncomplete),
        (Guard(MaxDelete()), FULL, FULL, 51, 0, TooManyDeletes),
        (Guard(MaxDelete()), FULL._replace(is_complete=False), FULL, 1, 0, SyncIncomplete),
        (Guard(MaxDelete()), FULL, FULL._replace(is_complete=False), 1, 0, SyncIncomplete),
        (Guard(MaxDelete()), FULL._replace(entries=0), FULL, 1, 0, EmptySourceError),
        (Guard(MaxDelete(), allow_empty_source=True), FULL._replace(entries=0), FULL, 1, 0, None),
        (Guard(MaxDelete()), FULL._replace(is_there=False, entries=0), FULL, 1, 0, EmptySourceError),
        (Guard(MaxDelete(), is_new_root=True), FULL, FULL, 1, 0, RootChanged),
        (Guard(MaxDelete(), allow_new_root=True, is_new_root=True), FULL, FULL, 1, 0, None),
        (Guard(MaxDelete(), is_new_root=True), FULL, FULL, 0, 0, None),
    ],
)
def test_each_guard_stops_deletes_and_nothing_else(
    guard: Guard, source: ScanProof, target: ScanProof, deletes: int, failed: int, expected: type[Exception] | None
) -> None:
    """Without deletes nothing is refused; with them each doubt has its own error."""
    if expected is None:
        guard.check(deletes, failed, Proofs(source, target), "source", "target")
        return
    with pytest.raises(expected) as caught:
        guard.check(deletes, failed, Proofs(source, target), "source", "target")
    assert expected is type(caught.value)


@pytest.fixture
def agreed(tmp_path: Path) -> Sides:
    """Ten names on both sides, remembered."""
    sides = Sides(tmp_path)
    for number in range(10):
        sides.write(f"d/f{number}", str(number))
    sides.carry_out(sides.up())
    return sides


def refusal(made: Any) -> type[Exception] | None:
    """What the guard of a prepared plan says."""
    with made:
        try:
            made.prepare().guard()
        except (SafetyStop, SyncIncomplete) as error:
            return type(error)
    return None


@pytest.mark.parametrize("delete", ["tracked", "all"])
def test_t07_a_mistyped_prefix_empties_no_folder(agreed: Sides, delete: Any) -> None:
    """T07: nothing is below the prefix, everything in the folder would go: EmptySourceError, unless that is meant."""
    typo = RemotePrefix(agreed.session, None, "typo")
    options = {"state": None, "delete": delete, "max_delete": "none"}
    if delete == "all":
        assert EmptySourceError is refusal(plan(typo, agreed.tree, **options))
        assert refusal(plan(typo, agreed.tree, **options, allow_empty_source=True)) is None
    for name in list(agreed.stored()):
        agreed.session.delete_object(agreed.remote.key(name))
    assert EmptySourceError is refusal(agreed.down(delete=delete, max_delete="none"))


def test_t07_an_empty_folder_empties_no_prefix(agreed: Sides, tmp_path: Path) -> None:
    """T07: nor does an empty folder, or one that is not there, empty a prefix."""
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        made = plan(LocalTree(tmp_path / name), agreed.remote, state=None, delete="all", max_delete="none")
        with made, pytest.raises(EmptySourceError):
            made.prepare().guard()


def test_t08_a_folder_that_is_not_mounted_deletes_nothing(agreed: Sides) -> None:
    """T08: another folder under the same path, with something in it: RootChanged, unless that is meant."""
    kept = agreed.root.rename(agreed.root.with_name("kept"))
    agreed.root.mkdir()
    (agreed.root / "lost+found").write_text("x")
    options = {"delete": "all", "max_delete": "none"}
    assert RootChanged is refusal(agreed.up(**options))
    assert RootChanged is refusal(agreed.up(**(options | {"delete": "tracked"})))
    assert refusal(agreed.up(**options, allow_new_root=True)) is None
    assert refusal(agreed.up()) is None
    # The disk is back.
    os.unlink(agreed.root / "lost+found")
    agreed.root.rmdir()
    kept.rename(agreed.root)
    (agreed.root / "d" / "f0").unlink()
    assert refusal(agreed.up(**options)) is None


def test_t08_a_folder_that_was_restored_is_the_same_one(agreed: Sides) -> None:
    """T08: a new inode, as after a restored backup or a reboot, with the same files in it, is no other folder."""
    kept = agreed.root.rename(agreed.root.with_name("kept"))
    agreed.root.mkdir()
    for number in range(1, 10):
        agreed.write(f"d/f{number}", (kept / "d" / f"f{number}").read_bytes())
    assert refusal(agreed.up(delete="all")) is None
    agreed.carry_out(agreed.up(delete="all"))
    with agreed.up() as made:
        assert made.state is not None
        status = agreed.root.stat()
        assert (status.st_dev, status.st_ino) == made.state.root


def test_t08_what_is_copied_from_another_folder_does_not_make_it_the_right_one(agreed: Sides) -> None:
    """T08: a run without deletes from the wrong folder leaves the guard where it was."""
    kept = agreed.root.rename(agreed.root.with_name("kept"))
    agreed.root.mkdir()
    (agreed.root / "lost+found").write_text("x")
    agreed.carry_out(agreed.up())
    assert RootChanged is refusal(agreed.up(delete="all", max_delete="none"))
    assert kept.exists()


def test_t16_t20_too_many_deletes_stop_before_the_first(agreed: Sides) -> None:
    """T20: six of ten is more than half; the limit is the whole plan's, and can be set."""
    for number in range(6):
        (agreed.root / "d" / f"f{number}").unlink()
    assert TooManyDeletes is refusal(agreed.up(delete="tracked"))
    assert refusal(agreed.up(delete="tracked", max_delete="60%")) is None
    assert refusal(agreed.up(delete="tracked", max_delete=6)) is None
    assert TooManyDeletes is refusal(agreed.up(delete="tracked", max_delete=5))
    with agreed.up(delete="all") as made:
        made.prepare()
        made.guard(5)
        made.guard([])
        made.guard(0, 3)
        with pytest.raises(SyncIncomplete, match="2 steps before the deletes failed"):
            made.guard(5, 2)
        with pytest.raises(TooManyDeletes):
            made.guard(range(6))


def test_t12_what_is_hidden_is_not_counted_as_the_targets(agreed: Sides) -> None:
    """T12: deleting all that takes part is all of it, however much is hidden by filters."""
    from s3func.sync.filters import Filters

    agreed.put("only/here", "x")
    filters = Filters(include="only/**")
    assert EmptySourceError is refusal(agreed.up(delete="all", filters=filters))
