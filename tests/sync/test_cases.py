"""The 68 cases in which other tools lose, tear or mix up data, T01 to T68: each has a test that says so."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

CASES = 68
TESTS = Path(__file__).parents[1]


def named(path: Path) -> dict[str, list[str]]:
    """The tests of a module by the cases that their name or their first words tell."""
    found: dict[str, list[str]] = defaultdict(list)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            words = node.name.upper().replace("_", " ")
            for case in set(re.findall(r"\bT\d\d\b", f"{words} {ast.get_docstring(node)}")):
                found[case].append(node.name)
    return found


def test_each_case_has_a_test() -> None:
    """Each of the 68 cases is named by a test, in its name or in what it says must hold."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        found |= named(path).keys()
    assert [] == sorted({f"T{number:02}" for number in range(1, CASES + 1)} - found)
