from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points, version
from pathlib import Path

import click
import pytest

from s3func.cli import main
from s3func.errors import NoSuchBucket

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_version_is_the_package_s(run: Run) -> None:
    """`s3func --version` prints the name and the installed version, and nothing else."""
    done = run("--version")
    assert (0, f"s3func {version('s3func')}\n", "") == (done.returncode, done.stdout, done.stderr)


def test_help_names_every_command(run: Run) -> None:
    """The help of the whole has a line for each command, and each command has a help of its own with all options."""
    printed = run("--help").stdout
    for name in main.COMMANDS:
        assert f"\n  {name} " in printed
    served = run("serve", "--help").stdout
    for option in (
        "--path",
        "--listen",
        "--access-key-id",
        "--secret-access-key",
        "--region",
        "--no-auth",
        "--debug",
        "127.0.0.1:10001",
    ):
        assert option in served
    demonstrated = run("demo", "-h").stdout
    for option in ("--path", "--size-limit", "--keep"):
        assert option in demonstrated


def test_unknown_command_is_wrong_usage(run: Run) -> None:
    """A command that does not exist ends with 2, and says so on stderr, in one line."""
    done = run("teleport")
    assert (2, "") == (done.returncode, done.stdout)
    assert "s3func: No such command 'teleport'; see s3func --help\n" == done.stderr


@pytest.mark.parametrize(
    ("word", "meant"), [("synk", "sync"), ("lss", "ls"), ("delete", "rm"), ("upload", "cp"), ("presing", "presign")]
)
def test_unknown_command_is_told_the_nearest_one(word: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the fingers, and what other tools call a command, lead to ours."""
    assert 2 == main.run([word])
    assert f"did you mean '{meant}'?" in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    """`s3func` alone ends with 2 and shows its commands under headings, each of them once, and examples."""
    done = run()
    assert (2, "") == (done.returncode, done.stdout)
    assert [
        heading for heading in ("Objects:", "Folders:", "Buckets:", "Examples:") if f"\n{heading}\n" not in done.stderr
    ] == []
    for name in main.COMMANDS:
        assert 1 == done.stderr.count(f"\n  {name} ")


def test_sections_name_commands() -> None:
    """What the help shows is there."""
    assert set() == {name for section in main.SECTIONS.values() for name in section} - set(main.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ls", "--lnog"], "s3func ls: No such option"),
        (["cp", "a"], "s3func cp: Missing argument"),
        (["mpu", "abort", "s3://b"], "s3func mpu abort: say which"),
        (
            ["ls", "http://id:secret@x"],
            "s3func ls: this is not the URL of a store, s3://bucket/key or b2://bucket/key; see",
        ),
        (["ls", "x/y"], "s3func ls: 'x/y' is not the URL of a store: did you mean s3://x/y?; see"),
        (["ls", "s3:/x"], "s3func ls: 's3:/x' is not the URL of a store: did you mean s3://x?; see"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Which command, what is wrong, and where its help is."""
    assert 2 == main.run(arguments)
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert err.endswith("--help\n")
    assert 1 == err.count("\n")


def test_every_row_of_the_table_is_a_command() -> None:
    """Each place in COMMANDS can be imported and is a click command of that name."""
    group = main.s3func
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert isinstance(command, click.Command)
        assert name == command.name


def test_version_and_help_load_no_server() -> None:
    """The command line itself is light: no server, event loop or client comes with it."""
    program = (
        "import sys\nfrom s3func.cli.main import run\nstatus = run(['--version']) + run(['--help'])\n"
        "print(sorted({'uvicorn', 'asyncio', 'sqlite3', 'urllib3', 'tqdm', 's3func.server', 's3func.s3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.splitlines()[-1]


def test_console_script_is_the_module() -> None:
    """The installed `s3func` and `python -m s3func` are the same function."""
    [script] = entry_points(group="console_scripts", name="s3func")
    assert "s3func.__main__:main" == script.value


def without(folder: Path, *names: str) -> dict[str, str]:
    """An environment whose interpreters do not find these modules."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({names!r}))\n")
    return os.environ | {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize(
    ("missing", "said"), [(("click", "tqdm"), "click and tqdm"), (("click",), "click"), (("tqdm",), "tqdm")]
)
def test_missing_extra_is_one_clear_line(tmp_path: Path, missing: tuple[str, ...], said: str) -> None:
    """Without the extra, `s3func` ends with 2 and one line that says what to install."""
    done = subprocess.run(
        [sys.executable, "-m", "s3func", "demo"],
        capture_output=True,
        text=True,
        env=without(tmp_path / "site", *missing),
        check=False,
    )
    expected = f"s3func: the command line needs {said}: pip install 's3func[cli,server]'\n"
    assert (2, "", expected) == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("arguments", [["serve", "--listen", "127.0.0.1:0"], ["demo", "--path", "."]])
def test_missing_server_extra_is_one_clear_line(tmp_path: Path, arguments: list[str]) -> None:
    """Without uvicorn, the commands that open a port end with 2 and the extra to install."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-m", "s3func", *arguments],
        capture_output=True,
        text=True,
        env=without(tmp_path / "site", "uvicorn"),
        cwd=tmp_path / "data",
        check=False,
    )
    assert (2, "") == (done.returncode, done.stdout)
    assert ["s3func: serving on a port needs the extra: pip install 's3func[server]'"] == done.stderr.splitlines()


def outcome(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """The exit code when a command ends with this error."""

    @click.command("fail")
    def fail() -> None:
        raise error

    monkeypatch.setattr(main.CommandTable, "get_command", lambda self, ctx, name: fail)
    return main.run(["fail"])


def test_errors_become_exit_codes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A typed error is 1 with one line on stderr, wrong usage 2, an interruption 130."""
    assert 1 == outcome(monkeypatch, NoSuchBucket("no such bucket", bucket="b"))
    assert "s3func: NoSuchBucket: 404 NoSuchBucket: no such bucket (bucket='b')\n" == capsys.readouterr().err
    assert 2 == outcome(monkeypatch, click.UsageError("so not"))
    assert "so not" in capsys.readouterr().err
    assert 130 == outcome(monkeypatch, KeyboardInterrupt())
    assert "s3func: interrupted" in capsys.readouterr().err


def test_mistakes_of_ours_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that no user caused keeps its traceback."""
    with pytest.raises(ZeroDivisionError):
        outcome(monkeypatch, ZeroDivisionError())
    with pytest.raises(ModuleNotFoundError):
        outcome(monkeypatch, ModuleNotFoundError("no module", name="s3func.cli.nowhere"))
