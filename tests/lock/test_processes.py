"""Real processes, real sockets, real signals. No time is asserted: how long things take is printed by contention.py."""

from __future__ import annotations

import pytest

from tests.faults.children import needs_fork
from tests.lock.contention import Report, contend_here, faults


def counted(report: Report) -> None:
    """A counter that misses nothing, written by several, while answers were lost and holders killed."""
    assert [] == faults(report)
    assert report.final >= 3
    assert len(report.counter) == report.final
    assert report.lost_answers
    assert len({hold.pid for hold in report.holds}) > 1


@needs_fork
@pytest.mark.timeout(300)
@pytest.mark.parametrize("api", ["s3", "b2"])
def test_killed_stopped_and_forked_holders_harm_nobody(api: str) -> None:
    """Six workers, holders killed and one stopped past its lease, children that exit, answers lost after the deed.

    No two leases at a time, tokens that grow, a counter that misses nothing, and the others always go on.
    """
    report = contend_here(kills=2, pause=0.5, stops=1, ttl=3, api=api)
    counted(report)
    assert 2 == report.killed
