"""Does what one column of a table says, line by line: Python in, what came of it out, as JSON.

The first line of stdin is the code that comes before every other; each further one is a cell of the table. Runs in any
interpreter, and knows nothing of s3func.
"""

from __future__ import annotations

import ast
import json
import sys
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON, so that two libraries' can be compared; what is neither text nor number nor a list of them is "?"."""
    if isinstance(value, bytes | bytearray):
        return ["bytes", bytes(value).decode("latin-1")]
    if isinstance(value, list | tuple):
        rows = [plain(row) for row in value]
        return "?" if "?" in rows else rows
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, dict):
        pairs = {str(name): plain(row) for name, row in value.items()}
        return "?" if "?" in pairs.values() else pairs
    return value if isinstance(value, bool | int | str) else "?"


def carried_out(code: str, names: dict[str, Any]) -> Any:
    """Run statements; the value of the last one, if it is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is None:
        return "?"
    assert isinstance(last, ast.Expr)
    return plain(eval(compile(ast.Expression(last.value), "cell", "eval"), names))


def main() -> None:
    """One line of JSON for each line of JSON."""
    names: dict[str, Any] = {"__name__": "columns"}
    for line in sys.stdin:
        try:
            answer = {"value": carried_out(json.loads(line), names)}
        except Exception as error:
            response = getattr(error, "response", None)
            code = response.get("Error", {}).get("Code") if isinstance(response, dict) else getattr(error, "code", None)
            kinds = [kind.__name__ for kind in type(error).__mro__]
            answer = {"error": kinds, "code": code if isinstance(code, str) else None, "text": str(error)[:500]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
