"""check(): whether two sides have the same, without changing either: a plan that nobody carries out, in other words.

Rule: with hash=True nothing is believed that was remembered: every file is read again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from s3func.sync.plans import plan

if TYPE_CHECKING:
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.filters import Filters
    from s3func.sync.operation import Operation

Kind: TypeAlias = Literal["different", "unknown", "only-source", "only-target", "problem"]


class Difference(NamedTuple):
    """One name that both sides do not have alike. unknown: equal sizes, and nothing can tell without reading the object.

    detail: why; of a problem, what keeps the name from being looked at.
    """

    name: str
    kind: Kind
    detail: str


class CheckReport(NamedTuple):
    """What check() found. same: how many names both sides have alike."""

    source: str
    target: str
    same: int
    differences: list[Difference]

    @property
    def ok(self) -> bool:
        """Whether both sides are known to have the same."""
        return not self.differences

    @property
    def exit_code(self) -> int:
        """0 when they are the same, 2 when something could not be looked at, else 1."""
        if any(difference.kind == "problem" for difference in self.differences):
            return 2
        return 0 if self.ok else 1

    def names(self, kind: Kind) -> list[str]:
        """The names of one kind of difference, in order."""
        return [difference.name for difference in self.differences if difference.kind == kind]

    def __str__(self) -> str:
        """A line per difference, and one that counts."""
        lines = [f"{difference.kind}: {difference.name} ({difference.detail})" for difference in self.differences]
        lines.append(f"{self.same} the same, {len(self.differences)} not: {self.source} and {self.target}")
        return "\n".join(lines)


def check(
    source: str | os.PathLike[str] | Endpoint,
    target: str | os.PathLike[str] | Endpoint,
    *,
    hash: bool = False,  # noqa: A002 -- the word for it
    filters: Filters | None = None,
    state: str | os.PathLike[str] | None = "auto",
    **options: Any,
) -> CheckReport:
    """Compare two sides, as plan() takes them, and change nothing.

    hash: compare the contents of all files, also of those that are remembered to be the same. options: symlinks, names,
    session, source_session and what sessions are made with. SyncIncomplete when a side cannot be seen completely.
    """
    compared = plan(
        source,
        target,
        compare="hash" if hash else "auto",
        delete="all",
        filters=filters,
        state=None if hash else state,
        allow_empty_source=True,
        **options,
    )
    with compared:
        differences = [found for operation in compared if (found := _difference(operation)) is not None]
        return CheckReport(compared.source.url, compared.target.url, compared.counts["unchanged"], differences)


def _difference(operation: Operation) -> Difference | None:
    kind, reason = operation.kind, operation.reason
    if kind == "record":
        return None
    if kind == "delete" or (kind == "problem" and reason == "unicode") or reason == "deleted-changed":
        return Difference(operation.name, "only-target", reason)
    if kind == "problem":
        return Difference(operation.name, "problem", operation.detail or reason)
    if reason in {"new", "renamed"}:
        return Difference(operation.name, "only-source", reason)
    return Difference(operation.name, "unknown" if reason == "unknown" else "different", reason)
