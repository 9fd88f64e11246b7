from __future__ import annotations

import builtins
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from s3func.progress import tqdm_progress
from s3func.transport.transfer import TransferConfig
from tests.s3.rigs import embedded

tqdm = pytest.importorskip("tqdm").tqdm

DATA = bytes(1_000_000)
PARTS = TransferConfig(multipart_threshold=1, part_size=100_000)


class Screen(io.StringIO):
    """A terminal."""

    def __init__(self, *, is_terminal: bool = True) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def test_a_download_and_an_upload(tmp_path: Path) -> None:
    """The bar shows what is done and in all, ends with its transfer, and can be used for the next one."""
    screen = Screen()
    progress = tqdm_progress("model.bin", file=screen, mininterval=0)
    with embedded() as (session, _):
        session.put_object("key", DATA)
        session.download_file("key", tmp_path / "file", transfer=PARTS, progress=progress)
        first = screen.getvalue()
        assert "model.bin: 100%" in first
        assert "977k/977k" in first
        session.download_file("key", tmp_path / "file", progress=progress)
        assert 2 * first.count("100%") >= screen.getvalue().count("100%") > first.count("100%")
    assert progress._bar is None


def test_only_a_terminal_sees_it(tmp_path: Path) -> None:
    """Where the output is no terminal nothing is printed, unless it is asked for."""
    with embedded() as (session, _):
        session.put_object("key", DATA)
        for disable, silent in [(None, True), (False, False), (True, True)]:
            screen = Screen(is_terminal=False)
            session.download_file("key", tmp_path / "file", progress=tqdm_progress(file=screen, disable=disable))
            assert silent == (screen.getvalue() == "")


class Bar:
    """What is asked of tqdm."""

    made: list[Bar] = []  # noqa: RUF012 -- emptied by the test

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.total = options["total"]
        self.n = 0
        self.closed = 0
        self.made.append(self)

    def update(self, count: int) -> None:
        self.n += count

    def refresh(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


def test_what_the_bar_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A total that becomes known, and one that gets less, reach the bar; the last call closes it, also with no bytes."""
    monkeypatch.setattr("tqdm.tqdm", Bar)
    monkeypatch.setattr(Bar, "made", [])
    with tqdm_progress("x", leave=False) as progress:
        progress(10, None)
        progress(20, 100)
        (bar,) = Bar.made
        assert (20, 100, 0) == (bar.n, bar.total, bar.closed)
        progress(15, 15)
        assert (15, 15, 1) == (bar.n, bar.total, bar.closed)
        progress(0, 0)
        assert (0, 0, 1) == (Bar.made[1].n, Bar.made[1].total, Bar.made[1].closed)
        progress(5, 10)
        assert 0 == Bar.made[2].closed
    assert 1 == Bar.made[2].closed
    progress.close()
    assert {"desc": "x", "unit": "B", "unit_scale": True, "unit_divisor": 1024, "disable": None, "leave": False} == {
        name: value for name, value in bar.options.items() if name != "total"
    }


def test_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tqdm the error says what has it."""
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "tqdm":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"s3func\[cli\]"):
        tqdm_progress()


def test_importing_the_module_imports_no_tqdm() -> None:
    """tqdm is imported when a bar is made."""
    code = "import sys, s3func.progress; sys.exit('tqdm' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[1]).returncode
