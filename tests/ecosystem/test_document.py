"""docs/filesystem.md, run where its libraries are."""

from __future__ import annotations

import pytest

from tests.documents import PYTHON, blocks
from tests.ecosystem.conftest import Consumers

pytestmark = pytest.mark.interop
DOCUMENT = "docs/filesystem.md"


def test_every_recipe_runs(consumers: Consumers) -> None:
    """Every block that says nothing else runs behind the ones before it, and prints what it says."""
    consumers.server.session("my-bucket")
    said = consumers.run("document.py", DOCUMENT).splitlines()
    wanted = [block for block in blocks(DOCUMENT, PYTHON) if not block.excuse]
    assert len(wanted) > 5
    assert [block.place for block in wanted] == [line for line in said if line.startswith(f"{DOCUMENT}:")]
