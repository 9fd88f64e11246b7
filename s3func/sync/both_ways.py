"""bisync(): two sides made alike, whichever of them changed: what happened on one side happens on the other.

It is two plans, there and back, that share one memory of what both sides had when they last agreed. Each is complete in
itself, so that a run that is interrupted is simply run again:

    since both agreed      there: source -> target     back: target -> source
    source edited          transfer                    -
    source deleted         delete                      -
    target edited          -                           transfer
    target deleted         -                           delete
    both edited            conflict                    -
    edited and deleted     the edit, from wherever it was made
    both deleted           forgotten                   -

Rule: without a memory of a name nothing of it is deleted, and two contents are a conflict.
"""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.sync.applying import apply
from s3func.sync.plans import plan

if TYPE_CHECKING:
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.planning import Way
    from s3func.sync.report import Report
    from s3func.sync.settling import Conflicts

_OF_APPLY = frozenset(inspect.signature(apply).parameters) - {"plan", "metadata", "journal", "on_conflict"}
_COMPARES = ("auto", "hash", "mtime", "size")


class BothWaysReport(NamedTuple):
    """What was done in each direction. back: None where the way there ended with an error that it reports."""

    there: Report
    back: Report | None

    @property
    def ok(self) -> bool:
        """Whether both sides are alike now, as far as was planned."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """The graver one of both reports' exit codes."""
        return max(report.exit_code for report in self if report is not None)

    def __str__(self) -> str:
        """A line for each direction."""
        return f"there: {self.there}\nback: {self.back if self.back is not None else 'not begun'}"


def bisync(
    source: str | os.PathLike[str] | Endpoint,
    target: str | os.PathLike[str] | Endpoint,
    *,
    on_conflict: Conflicts = "keep-both",
    state: str | os.PathLike[str] = "auto",
    compare: str = "auto",
    **options: Any,
) -> BothWaysReport:
    """Make two sides alike in both directions, by what each has changed since they last agreed.

    on_conflict: of a name that both sides changed, "keep-both" keeps the target's content under a second name, on both
    sides; "source" and "target" take that side's; "error" leaves both alone and reports it. state: see State.open; it
    cannot be None. compare: auto, hash, mtime or size. options: those of plan() and apply() but delete and journal; limits
    (max_delete) and guards hold for each direction. The way back is not begun when the way there was stopped or could not
    see everything. Raises as plan() and apply() do.
    """
    if state is None:
        raise ValueError("state must be given: without a memory of both sides nobody knows who changed what")
    if compare not in _COMPARES:
        raise ValueError(f"compare must be one of {', '.join(_COMPARES)}, not {compare!r}")
    for name in ("delete", "journal"):
        if name in options:
            raise TypeError(f"bisync has no argument {name!r}")
    if on_conflict not in {"error", "source", "target", "keep-both"}:
        raise ValueError(f"on_conflict must be error, source, target or keep-both, not {on_conflict!r}")
    carrying_out = {name: options.pop(name) for name in _OF_APPLY & options.keys()}
    planning = {**options, "state": state, "compare": compare, "delete": "tracked"}
    # Where the target wins, its conflicts are carried out on the way back.
    ways: tuple[Way, Way] = ("back", "there") if on_conflict == "target" else ("there", "back")
    decision: Conflicts = "source" if on_conflict == "target" else on_conflict
    there = _half(source, target, planning, carrying_out, ways[0], decision)
    if there.exit_code > 1 or there.ended:
        return BothWaysReport(there, None)
    if "source_session" in planning:
        planning["session"], planning["source_session"] = planning["source_session"], planning.get("session")
    return BothWaysReport(there, _half(target, source, planning, carrying_out, ways[1], decision))


def _half(
    source: str | os.PathLike[str] | Endpoint,
    target: str | os.PathLike[str] | Endpoint,
    planning: dict[str, Any],
    carrying_out: dict[str, Any],
    way: Way,
    decision: Conflicts,
) -> Report:
    with plan(source, target, **planning) as steps:
        steps.keeps_steps = False
        steps.way = way
        return apply(steps, on_conflict=decision, **carrying_out)
