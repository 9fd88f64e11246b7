from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from s3func import S3Session
from s3func.cli import steps
from s3func.cli.main import run as run_here

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few small files and one that is streamed."""
    root = tmp_path / "material"
    for name in ("a.txt", "b/c.txt", "b/d/e.txt", "empty"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode() * 100 if name != "empty" else b"")
    (root / "large.bin").write_bytes(bytes(range(256)) * 20_000)
    return root


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demonstration puts its store."""
    root = tmp_path / "tmp"
    root.mkdir()
    monkeypatch.setenv("TMPDIR", str(root))
    monkeypatch.setattr("tempfile.tempdir", str(root))
    return root


VERBS = [
    *("create_bucket", "put_object", "put_object", "list_objects", "delimiter", "get_object", "get_object", "range"),
    *("head_object", "copy_object", "presigned_url", "if_none_match", "odd keys", "errors"),
]


def steps_of(printed: str) -> list[str]:
    """The verbs of the lines that say ok."""
    return [line[10:26].strip() for line in printed.splitlines() if line.startswith("  ok ")]


def test_demo_runs_every_step_and_leaves_nothing(run: Run, folder: Path, temporary: Path) -> None:
    """`s3func demo` ends with 0, shows each step with what it did, prints no bar into a pipe, and cleans up."""
    before = {path: path.stat() for path in folder.rglob("*")}
    done = run("demo", "--path", str(folder))
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert [*VERBS, "delete_objects", "delete_bucket"] == steps_of(done.stdout)
    assert "4 small files, 2.1 KiB" in done.stdout
    assert re.search(r"1 large file, 4\.9 MiB, streamed, SHA-256 equal +\d+\.\d\d s +[\d.]+ [MG]iB/s", done.stdout)
    assert "\x1b" not in done.stdout
    assert [] == list(temporary.iterdir())
    assert {path: (stat.st_mtime_ns, stat.st_size) for path, stat in before.items()} == {
        path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")
    }


def test_demo_of_this_python_needs_no_argument(run: Run, temporary: Path) -> None:
    """Without --path there is material on every machine."""
    done = run("demo", "--size-limit", "8M")
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert "16 steps, every one checked" in done.stdout or "14 steps, every one checked" in done.stdout
    assert [] == list(temporary.iterdir())


def test_kept_objects_can_be_served(run: Run, start: Start, folder: Path, temporary: Path) -> None:
    """--keep leaves the store, and the command that it prints serves it."""
    done = run("demo", "--path", str(folder), "--keep")
    assert 0 == done.returncode
    assert VERBS == steps_of(done.stdout)
    [store] = temporary.iterdir()
    assert f"s3func serve --path {store}" in done.stdout

    process = start("serve", "--path", str(store), "--listen", "127.0.0.1:0", "--no-auth")
    assert process.stdout is not None
    with S3Session(bucket="demo", endpoint_url=process.stdout.readline().strip(), anonymous=True) as session:
        assert b"a.txt" * 100 == session.get_object("material/a.txt").data
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert 0 == process.returncode


@pytest.mark.parametrize(("by", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_demo_leaves_nothing(start: Start, temporary: Path, by: signal.Signals, status: int) -> None:
    """A demonstration that is interrupted or terminated says so by its exit code, and removes its store."""
    process = start("demo")
    assert process.stdout is not None
    for line in process.stdout:
        if "create_bucket" in line:
            break
    process.send_signal(by)
    _, err = process.communicate(timeout=60)
    assert status == process.returncode
    assert "Traceback" not in err
    assert [] == list(temporary.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--path", "nowhere"), "does not exist"),
        (("--path", "."), "there is no readable file"),
        (("--size-limit", "much"), "'much' is not a size"),
    ],
)
def test_wrong_usage_of_demo_is_refused(run: Run, arguments: tuple[str, str], said: str) -> None:
    """Nothing to work on is wrong usage, and so is a size that is none."""
    done = run("demo", *arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert said in done.stderr


def fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the demonstration in this process; it has to end with 1. Returns the line of the failed step."""
    assert 1 == run_here(["demo", "--path", str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert not any("every one checked" in line for line in lines)
    [failed] = [line for line in lines if line.startswith("  FAILED")]
    return failed


def test_wrong_bytes_fail_the_demo(
    folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An object that differs from its file in one byte is noticed, and the exit code says so."""
    put = steps.Demonstration.put_small

    def put_and_change(self: steps.Demonstration) -> object:
        outcome = put(self)
        (folder / "b" / "c.txt").write_bytes(b"c/c.txt" * 100)
        return outcome

    monkeypatch.setattr(steps.Demonstration, "put_small", put_and_change)
    failed = fails(folder, capsys)
    assert "get_object" in failed
    assert "'material/b/c.txt' differs" in failed
    assert [] == list(temporary.iterdir())


def test_wrong_large_bytes_fail_the_demo(
    folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The SHA-256 of a large object is compared with the file's."""
    put = steps.Demonstration.put_large

    def put_and_change(self: steps.Demonstration) -> object:
        outcome = put(self)
        with (folder / "large.bin").open("r+b") as file:
            file.seek(3_000_000)
            file.write(b"?")
        return outcome

    monkeypatch.setattr(steps.Demonstration, "put_large", put_and_change)
    failed = fails(folder, capsys)
    assert "'material/large.bin' differs" in failed


def test_lost_object_fails_the_demo(
    folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A listing that lacks a key is noticed."""
    put = steps.Demonstration.put_small

    def put_and_lose(self: steps.Demonstration) -> object:
        outcome = put(self)
        self.session.delete_object("material/a.txt")
        return outcome

    monkeypatch.setattr(steps.Demonstration, "put_small", put_and_lose)
    assert "the listing is not the files that were put" in fails(folder, capsys)


def test_refusal_fails_the_demo(
    folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typed error in a step is shown by its name, and is a failure."""
    monkeypatch.setattr(steps.Demonstration, "create_bucket", lambda self: self.session.head_bucket("missing"))
    assert "NotFound: 404" in fails(folder, capsys)


def on_a_terminal(*arguments: str) -> str:
    """What `s3func` writes when stdout and stderr are a terminal of 110 columns."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (40, 110))
    printed = bytearray()
    try:
        with subprocess.Popen([sys.executable, "-m", "s3func", *arguments], stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            # On Linux reading a terminal that nobody writes to any more is an error, elsewhere it is the end.
            with contextlib.suppress(OSError):
                while block := os.read(ours, 65536):
                    printed += block
        assert 0 == process.returncode
    finally:
        os.close(ours)
    return printed.decode()


def test_a_terminal_gets_bars_and_colours(folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal each bulk step shows a bar while it runs; colours obey NO_COLOR."""
    printed = on_a_terminal("demo", "--path", str(folder))
    assert re.search(r"\r +put_object: +0%\|.*4\.", printed)
    assert re.search(r"\r +get_object: +0%\|.*file/s", printed)
    assert "\x1b[32mok\x1b[0m" in printed

    monkeypatch.setenv("NO_COLOR", "1")
    printed = on_a_terminal("demo", "--path", str(folder))
    assert "put_object: " in printed
    assert "\x1b[3" not in printed
