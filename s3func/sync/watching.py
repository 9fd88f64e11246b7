"""A scan that tells how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3func.sync.entry import Entry, Problem, Scan, ScanProof

_EVERY = 1000


class WatchedScan:
    """A Scan around another: after every thousand entries, and at its end, it says how many there were, in how many pages."""

    def __init__(self, scan: Scan, side: str, tell: Callable[[str, int, int], object]) -> None:
        """side: "source" or "target". tell: is given it, the entries and the pages until now."""
        self._scan = scan
        self._side = side
        self._tell = tell

    def __iter__(self) -> Iterator[Entry]:
        for entries, entry in enumerate(self._scan, 1):
            yield entry
            if entries % _EVERY == 0:
                # A listing knows its pages before it has its proof.
                self._tell(self._side, entries, getattr(self._scan, "pages", 0))
        proof = self._scan.proof
        self._tell(self._side, proof.entries, proof.pages)

    def problem_of(self, name: str) -> Problem | None:
        """As the scan says."""
        return self._scan.problem_of(name)

    @property
    def proof(self) -> ScanProof:
        """As the scan says."""
        return self._scan.proof
