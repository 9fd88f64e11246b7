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


DOCS = Path(__file__).resolve().parents[2] / "docs"
SHARED, _, _SECTIONS = TEXT.partition("\n## Commands\n")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", _SECTIONS, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented(name: str) -> None:
    """Each option stands in the section of its command, in what holds for all of them, or where the section leads."""
    section = SECTIONS[name.split(maxsplit=1)[0]]
    linked = [(DOCS / file).read_text("utf-8") for file in re.findall(r"\]\((\w[\w-]*\.md)", section)]
    words = set(re.findall(r"--[a-z][a-z0-9-]*", "\n".join([SHARED, section, *linked])))
    options = [
        [word for word in (*option.opts, *option.secondary_opts) if word.startswith("--")]
        for option in COMMANDS[name].get_params(click.Context(COMMANDS[name]))
        if isinstance(option, click.Option) and not option.hidden
    ]
    assert [] == [option for option in options if option != ["--help"] and not words & set(option)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_run_by_a_test(name: str) -> None:
    """Each command is run as a process of its own by a test of this folder."""
    call = ", ".join(f'"{word}"' for word in name.split())
    folder = Path(__file__).parent
    texts = [path.read_text("utf-8") for path in folder.rglob("test_*.py") if path.name != Path(__file__).name]
    assert [
        text
        for text in texts
        if re.search(rf"\b(?:run|start|shell|out|rows|fails)\((?:\d, )?{call}|\[?\*COMMAND, {call}", text)
    ]


# What only reads, starts something, or has nothing to lose: a lock, settings, a file that is made smaller.
_CHANGES_NOTHING = {
    *("cat", "check", "config", "demo", "doctor", "du", "hash", "lock", "ls", "obscure", "plan", "presign", "serve"),
    *("stat", "stats", "vacuum"),
}


@pytest.mark.parametrize("name", [name for name in COMMANDS if not _CHANGES_NOTHING & set(name.split())])
def test_what_writes_or_deletes_can_be_tried(name: str) -> None:
    """Every command that changes objects, buckets or files has --dry-run."""
    assert "--dry-run" in {word for option in COMMANDS[name].params for word in option.opts}


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
    (tmp_path / "checkpoint").mkdir()
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
