"""A memory that cannot be kept: said before anything is sent, or at the end with the report of what was done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3func.errors import SyncError, TooManyDeletes
from s3func.sync.applying import apply
from s3func.sync.events import Event, Summary
from s3func.sync.state import State
from tests.sync.sides import Sides


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    made = Sides(tmp_path)
    yield made
    made.session.close()


@pytest.mark.parametrize("place", ["file/state.db", "file/deep/er/state.db", "folder"])
def test_a_place_that_can_never_be_written_to(sides: Sides, tmp_path: Path, place: str) -> None:
    """Nothing is sent, and the error says which argument helps; without a memory it goes."""
    (tmp_path / "file").write_bytes(b"in the way")
    (tmp_path / "folder").mkdir()
    sides.write("f", b"1")
    with sides.up(state=tmp_path / place) as made, pytest.raises(SyncError, match="state=None"):
        apply(made)
    assert {} == sides.stored()
    with sides.up(state=tmp_path / place) as made:
        assert apply(made, dry_run=True).uploaded == 1
    with sides.up(state=None) as made:
        assert apply(made).uploaded == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_a_permission(sides: Sides, tmp_path: Path) -> None:
    """The same where the folder, or the file, may not be written to."""
    (tmp_path / "closed").mkdir(mode=0o500)
    sides.write("f", b"1")
    with sides.up(state=tmp_path / "closed/state.db") as made, pytest.raises(SyncError, match="state=None"):
        apply(made)
    assert {} == sides.stored()


def test_a_place_that_is_full_at_the_end(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is in the report of the error, and in the last event."""
    sides.write("f", b"1")
    events: list[Event] = []

    def full(_: State) -> None:
        raise SyncError("the state cannot be written: no space")

    with sides.up() as made:
        monkeypatch.setattr(State, "flush", full)
        with pytest.raises(SyncError, match="no space") as caught:
            apply(made, on_event=events.append)
        monkeypatch.undo()
    report = caught.value.report  # type: ignore[attr-defined]  # what apply() adds
    assert (1, "the state cannot be written: no space") == (report.uploaded, report.ended)
    assert report.exit_code == 1
    [summary] = [event for event in events if isinstance(event, Summary)]
    assert summary.report is report
    assert {"f": b"1"} == sides.stored()


def test_what_stops_a_run_is_said_first(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the memory does not hide why the run has ended."""
    sides.write("f", b"1")
    sides.put("g", b"1")

    def full(_: State) -> None:
        raise SyncError("no space")

    with sides.up(delete="all", max_delete=0) as made:
        monkeypatch.setattr(State, "flush", full)
        with pytest.raises(TooManyDeletes):
            apply(made)
        monkeypatch.undo()
