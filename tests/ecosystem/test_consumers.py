"""The programs of others read and write through us, on S3 and on B2, each in an environment of its own."""

from __future__ import annotations

import pytest

from tests.ecosystem.conftest import PROGRAMS, Consumers

NAMES = sorted(path.name for path in PROGRAMS.glob("*.py") if path.name not in {"document.py", "stores.py"})
pytestmark = pytest.mark.interop


@pytest.mark.parametrize("program", NAMES)
def test_a_consumer_reads_and_writes(consumers: Consumers, program: str) -> None:
    """Every step of the program holds on both stores, and it says which it took."""
    said = consumers.run(program, *consumers.stores(consumers.bucket()))
    assert {"s3func:", "b2:"} <= {line.split(" ")[0] for line in said.splitlines() if ": " in line}
