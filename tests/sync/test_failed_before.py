"""A run that failed or was killed, what others did meanwhile, and the run behind it: own work is known, theirs is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import DeadlineExceeded
from s3func.sync.applying import apply
from s3func.sync.report import Report
from s3func.sync.transfers import Mover, Outcome
from tests.sync.sides import OLD, Sides


@pytest.fixture(params=["s3", "b2"])
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sides]:
    made = Sides(tmp_path, store=request.param)
    yield made
    made.session.close()


@pytest.fixture(params=[True, False], ids=["up", "down"])
def both(request: pytest.FixtureRequest, sides: Sides) -> Both:
    return Both(sides, is_upload=request.param)


class Both:
    """Sides that agreed once, and runs in one direction that may end in the middle."""

    def __init__(self, sides: Sides, *, is_upload: bool) -> None:
        self.sides = sides
        self.is_upload = is_upload
        self.times = iter(range(OLD + 10**9, OLD + 10**12, 10**9))
        self.edit("n", "base")
        self.edit("other", "other")
        assert self.run().ok

    def edit(self, name: str, content: str) -> None:
        """Somebody changes the source."""
        self._write(name, content, is_local=self.is_upload)

    def meddle(self, name: str, content: str) -> None:
        """Somebody changes the target."""
        self._write(name, content, is_local=not self.is_upload)

    def _write(self, name: str, content: str, *, is_local: bool) -> None:
        if is_local:
            self.sides.write(name, content, mtime_ns=next(self.times))
        else:
            self.sides.put(name, content)

    def run(self) -> Report:
        with self.sides.up() if self.is_upload else self.sides.down() as made:
            return apply(made)

    def killed(self, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
        """A run that ends with its first step, before or after that is carried out; nothing of it is remembered."""
        carry_out = Mover.carry_out

        def ending(mover: Mover, operation: Any) -> Outcome:
            if after:
                assert carry_out(mover, operation).state == "done"
            raise DeadlineExceeded("killed")

        with monkeypatch.context() as patch:
            patch.setattr(Mover, "carry_out", ending)
            with pytest.raises(DeadlineExceeded):
                self.run()

    def failed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run whose steps are all refused."""
        with monkeypatch.context() as patch:
            patch.setattr(Mover, "carry_out", lambda _, step: Outcome(step, "failed", error=OSError("refused")))
            assert self.run().failed == 1

    def target(self) -> dict[str, bytes]:
        return self.sides.stored() if self.is_upload else self.sides.local()


@pytest.mark.parametrize("end", ["failed", "killed before", "killed after"])
@pytest.mark.parametrize("is_edited_again", [True, False])
def test_somebody_else_writes_behind_a_run_that_failed(
    both: Both, monkeypatch: pytest.MonkeyPatch, *, end: str, is_edited_again: bool
) -> None:
    """What others write to the target behind a run that did not come to its end is theirs: a conflict, and it stays."""
    both.edit("n", "mine, new")
    both.failed(monkeypatch) if end == "failed" else both.killed(monkeypatch, after=end == "killed after")
    both.meddle("n", "a colleague's")
    if is_edited_again:
        both.edit("n", "mine, newer")
    for _ in range(2):
        report = both.run()
        assert ["n"] == [operation.name for operation in report.conflicts]
        assert both.target()["n"] == b"a colleague's"


@pytest.mark.parametrize("runs", [["after"], ["before"], ["before", "after"], ["after", "before"], ["after", "after"]])
def test_runs_that_were_killed_are_taken_up(both: Both, monkeypatch: pytest.MonkeyPatch, runs: list[str]) -> None:
    """However many runs were killed, and whatever they did, with edits in between: the next one finishes the job."""
    for number, moment in enumerate(runs):
        both.edit("n", f"generation {number}")
        both.killed(monkeypatch, after=moment == "after")
    both.edit("n", "the last generation")
    report = both.run()
    assert report.ok, report
    assert both.target()["n"] == b"the last generation"
    assert both.run().transferred == 0


@pytest.mark.parametrize("text", ["", "[]", "[1,2]", "nothing", "[[1],[2]]", "[null,null]"])
def test_memory_of_a_step_that_is_damaged(both: Both, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Where nobody can read what the earlier run was about to do, what both sides changed is a conflict."""
    both.edit("n", "mine, new")
    both.killed(monkeypatch, after=False)
    both.meddle("n", "a colleague's")
    connection = sqlite3.connect(both.sides.database)
    with connection:
        connection.execute("UPDATE entry SET step = ?", (text,))
    connection.close()
    assert both.run().conflicting == 1
    assert both.target()["n"] == b"a colleague's"
