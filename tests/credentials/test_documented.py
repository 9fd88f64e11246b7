"""docs/credentials.md says what is there: every provider in its order, every variable, and an example that runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from s3func.s3.config import VARIABLES
from s3func.s3.credentials.chain import CHAIN

DOCUMENT = (Path(__file__).parents[2] / "docs/credentials.md").read_text("utf-8")
SOURCES = Path(__file__).parents[2] / "s3func"


def test_the_order_is_the_chain_s() -> None:
    """The table's rows are the chain's, in its order; what is not supported is said below it."""
    rows = re.findall(r"^\| [1-9] \| ([^|]+) \|", DOCUMENT, re.MULTILINE)
    assert rows == [row.name for row in CHAIN if row.name != "login session"]
    assert "`login_session`" in DOCUMENT


def test_every_variable_is_there() -> None:
    """Each variable and each key of a profile that is read stands in the document, and none that is not."""
    for variable in VARIABLES:
        for name in (*variable.environment, variable.profile, variable.section):
            assert name in DOCUMENT, name
    code = "".join(path.read_text("utf-8") for path in (SOURCES / "s3").rglob("*.py"))
    for name in re.findall(r"`(AWS_[A-Z0-9_]+)", DOCUMENT):
        service = re.fullmatch(r"AWS_ENDPOINT_URL_(\w+)", name)
        metadata = re.fullmatch(r"AWS_((?:EC2_METADATA_(?:SERVICE|V1)|METADATA)_\w+)", name)
        written = service and f'"{service[1].lower()}"' in code
        written = written or (metadata and f'"{metadata[1].lower()}"' in code)
        assert written or name in code, name


def test_the_example_runs() -> None:
    """The function of one's own provider works as it stands."""
    [block] = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    names["session"].close()
