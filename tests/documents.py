"""Documents as programs: their fenced blocks, what they promise to print, and the ways to run them.

Python blocks of a document run in order in one namespace, as a reader would type them; those of a shell run between
them, in the same folder. A line that ends in `# -> text` promises that this line is printed; an "…" at the end of it
leaves the rest of the line open. `<!-- not run: why -->` above a block is the reason not to run it.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "python"
SHELLS = ("bash", "sh")
CONSOLE = "console"
SHELL_SECONDS = 60
_EXCUSE = re.compile(r"<!-- not run: (?P<reason>\S.*) -->")


class Block(NamedTuple):
    """A fenced block: the document, the line after its fence, its language, its text, and why it is not run."""

    document: str
    line: int
    language: str
    text: str
    excuse: str = ""

    @property
    def place(self) -> str:
        """Where it is, for whoever reads the failure."""
        return f"{self.document}:{self.line}"


def read(document: str) -> str:
    """The text of a document, by its path below the root."""
    return (ROOT / document).read_text("utf-8")


def all_blocks(document: str) -> list[Block]:
    """The fenced blocks of a document, in order."""
    return blocks_of(document, read(document))


def blocks_of(document: str, text: str) -> list[Block]:
    """The fenced blocks of a text."""
    found: list[Block] = []
    inside: Block | None = None
    excuse = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            if inside is None:
                inside = Block(document, number + 1, line.lstrip()[3:].strip(), "", excuse)
            else:
                # One that belongs to an item of a list is indented as the item is.
                found.append(inside._replace(text=textwrap.dedent(inside.text)))
                inside, excuse = None, ""
        elif inside is not None:
            inside = inside._replace(text=f"{inside.text}{line}\n")
        elif match := _EXCUSE.fullmatch(line.strip()):
            excuse = match["reason"]
        elif line:
            excuse = ""
    assert inside is None, f"{document}: the last fence is open"
    return found


def blocks(document: str, *languages: str) -> list[Block]:
    """The blocks of some languages in a document."""
    return [block for block in all_blocks(document) if block.language in languages]


def run(block: Block, namespace: dict[str, Any]) -> str:
    """Run a Python block, its lines numbered as in its document, and return what it printed; check what it promises."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (block.line - 1) + block.text, block.document, "exec"), namespace)
    check_promises(block, printed.getvalue())
    return printed.getvalue()


def run_in_shell(block: Block, folder: Path) -> str:
    """Run a block of a shell, all of it and only if nothing of it fails, and return what it wrote to stdout."""
    done = in_bash(f"set -euo pipefail\n{block.text}", folder)
    assert 0 == done.returncode, f"{block.place}: {done.returncode}\n{done.stdout}{done.stderr}"
    check_promises(block, done.stdout)
    return done.stdout


def run_dialogue(block: Block, folder: Path) -> None:
    """Run what stands behind each `$ ` of a console block, and compare what is shown below it with both its outputs.

    A line "…" stands for any lines, and "…" at the end of a line for the rest of it.
    """
    command, expected = "", list[str]()
    for line in [*block.text.splitlines(), "$ "]:
        if not line.startswith("$ "):
            expected.append(line)
            continue
        if command:
            done = in_bash(f"{{ {command}\n}} 2>&1", folder)
            said = done.stdout.splitlines()
            assert shows(said, expected), f"{block.place}: {command}\n{done.stdout}"
        command, expected = line[2:], []


def shows(lines: list[str], expected: list[str]) -> bool:
    """Whether lines are those that are expected."""
    if not expected:
        return not lines
    if expected[0] == "…":
        return any(shows(lines[skipped:], expected[1:]) for skipped in range(len(lines) + 1))
    return bool(lines) and keeps(lines[0], expected[0]) and shows(lines[1:], expected[1:])


def in_bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script where `s3func` and `python` are those of this environment."""
    return subprocess.run(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        timeout=SHELL_SECONDS,
        check=False,
    )


def check_promises(block: Block, printed: str) -> None:
    """Each promised line was printed, in the order of the promises."""
    lines = iter(printed.splitlines())
    for promise in promises(block.text):
        assert any(keeps(line, promise) for line in lines), f"{block.place}: {promise!r} not in {printed!r}"


def promises(text: str) -> list[str]:
    """The texts behind `# ->`, in order."""
    return [match[1].rstrip() for match in re.finditer(r"# -> (.*)", text)]


def keeps(line: str, promise: str) -> bool:
    """Whether a printed line is the promised one."""
    return line.startswith(promise[:-1]) if promise.endswith("…") else line == promise


def command_lines(document: str) -> Iterator[tuple[str, list[str]]]:
    """Every command of the shell blocks of a document: what it is, and its words."""
    for block in blocks(document, *SHELLS, CONSOLE):
        for line in block.text.splitlines():
            if block.language == CONSOLE and not line.startswith("$ "):
                continue
            for part in re.split(r"&&|\|", line.removeprefix("$ ")):
                words = shlex.split(part, comments=True)
                if words:
                    yield f"{block.place}: {part.strip()}", words
