"""docs/sync.md: its Python runs, its command lines and options exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from s3func import testing
from s3func.cli.main import s3func

TEXT = (Path(__file__).resolve().parents[2] / "docs/sync.md").read_text("utf-8")


def command(name: str) -> click.Command:
    found = s3func.get_command(click.Context(s3func), name)
    assert isinstance(found, click.Command)
    return found


def options(name: str) -> set[str]:
    return {word for parameter in command(name).params for word in parameter.opts if word.startswith("--")}


def test_the_python_of_the_document_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example does what it says, from where it is run."""
    (block,) = re.findall("```python\n(.*?)```", TEXT, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"a")
    (tmp_path / "photos/b.tmp").write_bytes(b"b")
    with testing.server() as server:
        session = server.session("bucket")
        exec(compile(block, "docs/sync.md", "exec"), {"session": session})
        assert ["photos/a.jpg"] == [entry.key for entry in session.list_objects()]


def test_the_commands_of_the_document_exist() -> None:
    """Every command line names a command and options that there are."""
    (block,) = re.findall("```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines():
        words = line.partition("#")[0].split()
        assert "s3func" == words[0]
        short = {word for parameter in command(words[1]).params for word in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= short


def test_every_option_is_documented() -> None:
    """The table names every option of `sync`, and none that there is not."""
    named = set(re.findall(r"--[a-z][a-z-]+", TEXT))
    known = {name: options(name) for name in ("sync", "plan", "check", "apply", "cp")}
    assert set() == known["sync"] - named
    # rclone's own, in the comparison.
    assert {"--checksum"} == named - set().union(*known.values())
