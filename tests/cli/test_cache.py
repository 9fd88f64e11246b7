"""What `cache` shows of the files of S3Objects, and what it never deletes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from s3func import S3Session
from tests.cli.shell import Shell, put

FETCH = "import sys\nfrom s3func import S3Object\nfor url in sys.argv[1:]:\n    print(S3Object(url).download())"


@pytest.fixture
def cached(shell: Shell, session: S3Session) -> list[Path]:
    """Three files in the cache: d/a, d/bb, ccc, whose last uses are two hours, one hour and no time ago."""
    names = ["d/a", "d/bb", "ccc"]
    put(session, *names)
    time.sleep(0.12)  # so that their times alone tell that they are as they were
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FETCH, *(f"{shell.url}/{name}" for name in names)],
        env=shell.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    records = shell.folder / ".cache/s3func/.s3func"
    for place in records.glob("*.json"):
        for name, hours in zip(names, (2, 1, 0), strict=True):
            if f'{name}"' in place.read_text():
                when = time.time() - hours * 3600
                os.utime(place, (when, when))
    return [Path(text) for text in done.stdout.splitlines()]


def test_cache_shows_what_is_there(shell: Shell, cached: list[Path]) -> None:
    """The longest unused first, with bytes and state; stats are the sum."""
    cached[1].write_text("edited")
    rows = [text.split("\t") for text in shell.out("cache", "ls")]
    assert [("3", "clean", "{}/d/a"), ("6", "edited", "{}/d/bb"), ("3", "clean", "{}/ccc")] == [
        (size, state, url) for size, _, state, url in rows
    ]
    row = shell.rows("cache", "ls", "--json")[0]
    assert (str(cached[0]), 3, False) == (row["path"], row["size"], row["edited"])
    [whole] = [row for row in shell.rows("cache", "stats", "--json") if row["cache"] == "files"]
    assert (3, 12, 1) == (whole["files"], whole["size"], whole["edited"])
    assert any(text.startswith("files: 3 files, 12 B, 1 edited") for text in shell.out("cache", "stats"))


def test_cache_clean_takes_what_was_not_used(shell: Shell, cached: list[Path]) -> None:
    """By age or by size, the longest unused first; --dry-run takes nothing; saying neither is wrong usage."""
    assert "--older-than" in shell.fails(2, "cache", "clean")
    assert ["{}/d/a"] == shell.out("cache", "clean", "--older-than", "90m", "-n")
    assert all(path.exists() for path in cached)
    assert ["{}/d/a"] == shell.out("cache", "clean", "--older-than", "90m")
    assert [False, True, True] == [path.exists() for path in cached]
    assert ["{}/d/bb"] == shell.out("cache", "clean", "--max-size", "5")
    assert [False, False, True] == [path.exists() for path in cached]
    assert not cached[0].parent.exists()


def test_cache_clear_keeps_the_only_copy(shell: Shell, session: S3Session, cached: list[Path]) -> None:
    """What was edited, replaced or deleted elsewhere stays, and is counted."""
    cached[0].write_text("edited")
    session.delete_object("d/bb")
    done = shell("cache", "clear")
    assert (0, f"{shell.full_url}/ccc\n".encode()) == (done.returncode, done.stdout)
    assert b"2 files not deleted" in done.stderr
    assert [True, True, False] == [path.exists() for path in cached]


def test_an_empty_cache_is_empty(shell: Shell) -> None:
    """Nothing is there, nothing is made, nothing fails."""
    assert [] == shell.out("cache", "ls", "--root", "nowhere")
    assert [] == shell.out("cache", "clear", "--root", "nowhere")
    assert not (shell.folder / "nowhere").exists()
