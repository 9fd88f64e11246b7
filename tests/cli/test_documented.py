"""What docs/cli.md and the help texts say is true: every command is there, and every example is one."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from s3func.cli import main

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text("utf-8")


def leaves(group: click.Group, *above: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that has none below it, and its whole name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, *above, name)
        else:
            yield " ".join([*above, name]), command


COMMANDS = dict(leaves(main.s3func))


def test_every_command_is_documented() -> None:
    """docs/cli.md has a heading for each command and for nothing else, in alphabetical order."""
    assert sorted(main.COMMANDS) == re.findall(r"^### (.+)$", TEXT, re.MULTILINE)


def examples(text: str) -> list[str]:
    """The command lines of s3func in a text: what stands between pipes and other commands."""
    found = []
    for line in text.splitlines():
        for part in re.split(r"&&|\|\|?(?=(?:[^']*'[^']*')*[^']*$)|;", line):
            words = part.split("#")[0].strip()
            if words.startswith("s3func "):
                found.append(re.split(r" [<>]", words)[0])
    return found


DOCUMENTED = examples("\n".join(re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)))


def helped(name: str) -> list[str]:
    """The examples in the help of a command."""
    text = COMMANDS[name].get_help(click.Context(COMMANDS[name], info_name=name))
    found = re.search(r"^ *Examples:\n((?: +.+\n?)+)", text, re.MULTILINE)
    return [] if found is None else examples("\n".join(map(str.strip, found[1].splitlines())))


HELPED = {name: helped(name) for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example(name: str) -> None:
    """The help of a command shows the command at work."""
    assert [line for line in HELPED[name] if line.startswith(f"s3func {name}")]


@pytest.mark.parametrize("line", sorted({*DOCUMENTED, *(line for lines in HELPED.values() for line in lines)}))
def test_every_example_is_a_command_line(line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands and options of every example exist, and take what they are given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.jsonl").touch()
    command: click.Command | None = main.s3func
    words = shlex.split(line)[1:]
    context = click.Context(main.s3func)
    while isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0))
    assert command is not None
    with command.make_context(command.name, words) as made:
        assert made.params or not command.params


def test_completion_is_there() -> None:
    """The line of docs/cli.md for bash prints a script that names the command."""
    done = subprocess.run(
        [sys.executable, "-m", "s3func"],
        env={"_S3FUNC_COMPLETE": "bash_source", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "complete -o nosort -F _s3func_completion s3func" in done.stdout
