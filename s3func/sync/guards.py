"""What has to hold before anything is deleted, looked at on the whole plan.

Rule: never delete on doubt. Each guard can be told to stand aside, by the argument that its error names, and none does
so by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from s3func.errors import EmptySourceError, RootChanged, SyncIncomplete, TooManyDeletes

if TYPE_CHECKING:
    from s3func.sync.entry import ScanProof


@dataclass(frozen=True, slots=True)
class MaxDelete:
    """How much may be deleted: at most `count` names, and at most `ratio` of the target's; None sets no such limit."""

    count: int | None = 1000
    ratio: float | None = 0.5

    def allows(self, deletes: int, entries: int) -> bool:
        """Whether so many of so many entries of the target may go."""
        if self.count is not None and deletes > self.count:
            return False
        return self.ratio is None or deletes <= self.ratio * entries

    def __str__(self) -> str:
        """The text that parse_max_delete() reads."""
        parts = [] if self.count is None else [str(self.count)]
        if self.ratio is not None:
            parts.append(f"{self.ratio * 100:g}%")
        return "|".join(parts) or "none"


MaxDeleteLike: TypeAlias = MaxDelete | str | int | float | None


def parse_max_delete(value: MaxDeleteLike) -> MaxDelete:
    """The limit that was meant; ValueError, TypeError.

    None: 1000 names and half of the target. "1000", "50%", "1000|50%" or "none"; an int is a count, a float a ratio.
    """
    if value is None:
        return MaxDelete()
    if isinstance(value, MaxDelete):
        limit = value
    elif isinstance(value, bool):
        raise TypeError("max_delete must be a number or a text, not a bool")
    elif isinstance(value, int):
        limit = MaxDelete(value, None)
    elif isinstance(value, float):
        limit = MaxDelete(None, value)
    elif isinstance(value, str):
        limit = _parsed(value)
    else:
        raise TypeError(f"max_delete must be a number or a text, not {type(value).__name__}")
    if (limit.count is not None and limit.count < 0) or (limit.ratio is not None and not 0 <= limit.ratio <= 1):
        raise ValueError(f"max_delete must be a count and a share of at most 100%, not {value!r}")
    return limit


def _parsed(text: str) -> MaxDelete:
    if text.strip() == "none":
        return MaxDelete(None, None)
    count: int | None = None
    ratio: float | None = None
    for part in text.split("|"):
        matched = re.fullmatch(r"\s*(?:(\d{1,18})|(\d{1,3}(?:\.\d{1,9})?)\s*%)\s*", part, re.ASCII)
        if matched is None or (count if matched[1] else ratio) is not None:
            raise ValueError(f"max_delete must look like 1000, 50%, 1000|50% or none, not {text!r}")
        if matched[1]:
            count = int(matched[1])
        else:
            ratio = float(matched[2]) / 100
    return MaxDelete(count, ratio)


class Proofs(NamedTuple):
    """What both scans know about themselves when they have come to their end."""

    source: ScanProof
    target: ScanProof


class Guard(NamedTuple):
    """The limits of a plan and what was seen of its root.

    is_new_root: the folder is not the one that was synced the last time, and little of what was in that is in it.
    """

    max_delete: MaxDelete
    allow_empty_source: bool = False
    allow_new_root: bool = False
    is_new_root: bool = False

    def check_source(self, proofs: Proofs, source: str) -> None:
        """EmptySourceError for a source that does not exist: there is nothing that the target could be made like."""
        if not proofs.source.is_there and not self.allow_empty_source:
            raise EmptySourceError(f"{source} is not there (allow_empty_source=True means it)")

    def check(self, deletes: int, failed: int, proofs: Proofs, source: str, target: str) -> None:
        """Raise SyncIncomplete, or a SafetyStop, where these deletes must not happen. None are always allowed."""
        if not deletes:
            return
        for proof, url in zip(proofs, (source, target), strict=True):
            if not proof.is_complete:
                raise SyncIncomplete(f"{url} was not seen completely, so that nothing is deleted")
        self.check_source(proofs, source)
        if not proofs.source.entries and not self.allow_empty_source:
            raise EmptySourceError(
                f"{source} is empty, and {deletes} of {target} would be deleted (allow_empty_source=True means it)"
            )
        if self.is_new_root and not self.allow_new_root:
            raise RootChanged(
                f"{source} is not the folder that was synced the last time, and hardly anything of that is in it; is a "
                "disk not mounted? (allow_new_root=True means it)"
            )
        if not self.max_delete.allows(deletes, proofs.target.entries):
            raise TooManyDeletes(
                f"{deletes} of {proofs.target.entries} in {target} would be deleted, and max_delete is {self.max_delete}"
            )
        if failed:
            raise SyncIncomplete(f"{failed} steps before the deletes failed, so that nothing is deleted")
