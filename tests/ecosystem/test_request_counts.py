"""What the same programs ask of the store through us and through s3fs, counted by the server's journal.

Both are asked by fresh processes that do one thing once (benchmarks/filesystem_worker.py, which measures the same).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import filesystem_worker as worker
from s3func import testing
from s3func.server import Journal
from tests.ecosystem.conftest import Consumers

pytestmark = pytest.mark.interop
PROGRAM = worker.__file__
BUCKET = "counted"
# Enough for a second page; s3fs takes long for the ten thousand of the benchmark.
KEYS = 1500
# Which of ours is compared with which of s3fs's, which keeps listings unless it is told not to.
PAIRS = [("s3func", "s3fs"), ("s3func, listings kept", "s3fs"), ("s3func", "s3fs, listings not kept")]


@pytest.fixture(scope="module")
def counts(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Counter[str]]:
    """The requests of every client for every action; the server is gone when the tests begin."""
    found: dict[tuple[str, str], Counter[str]] = {}
    with testing.server(journal=Journal(1_000_000)) as server:
        consumers = Consumers(python, server, tmp_path_factory.mktemp("consumers"))
        session = server.session(BUCKET)
        for number in range(KEYS):
            session.put_object(f"many/{number // 100:03d}/{number:05d}.bin", b"")
        consumers.run(PROGRAM, "s3func", "make", BUCKET, "1")
        for client in worker.PROTOCOLS:
            server.journal.clear()
            consumers.run(PROGRAM, client, ",".join(worker.ACTIONS), BUCKET, "1", str(KEYS))
            action = ""
            for entry in server.journal:
                if entry.bucket == worker.MARKS:
                    action = entry.key
                else:
                    found.setdefault((client, action), Counter())[entry.operation or entry.method] += 1
    return found


@pytest.mark.parametrize("action", worker.ACTIONS)
def test_no_more_requests_than_s3fs(counts: dict[tuple[str, str], Counter[str]], action: str) -> None:
    """At most as many as s3fs makes, for the same result, although ours keeps no listings unless it is told to."""
    for ours, theirs in PAIRS:
        mine, others = counts[ours, action], counts[theirs, action]
        assert 0 < mine.total() <= others.total(), f"{ours} {dict(mine)}, {theirs} {dict(others)}"
