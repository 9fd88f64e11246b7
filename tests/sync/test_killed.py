"""A sync that is killed at any moment: names hold what they held or what they shall hold, and the next run goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3func.testing
from s3func.s3 import S3Session
from s3func.testing import Server

KILLS = 30
FILES = 40
LARGE = "large/part.bin"
LARGE_BYTES = 6 * 1024 * 1024

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system kills in another way, and cannot fork")


class Children:
    """The process that forks, and what is said to it."""

    def __init__(self, state: Path) -> None:
        """state: where the children remember."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.sync.killed_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "XDG_STATE_HOME": str(state)},
            text=True,
        )

    def run(self, seconds: float | None, **call: Any) -> int:
        """The exit code of a sync, which is killed after so many seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(call), file=self._process.stdin, flush=True)
        child = int(self._process.stdout.readline())
        if seconds is not None:
            time.sleep(seconds)
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


@pytest.fixture
def server() -> Iterator[Server]:
    with s3func.testing.server() as running:
        yield running


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    running = Children(tmp_path / "state")
    yield running
    running.close()


def content(name: str, generation: int) -> bytes:
    """What a name holds in a generation: different ones for each, of the same size or of another."""
    if name == LARGE:
        return f"{name} {generation // 4:04}|".encode() * (LARGE_BYTES // 20)
    return f"{name} {generation:04}|".encode() * (1 + len(name) * (1 + generation % 2) * 20)


def names() -> list[str]:
    return [LARGE, *(f"d{number % 7}/f{number}" for number in range(FILES))]


def changed(generation: int) -> list[str]:
    """The names whose content is another one since the last generation."""
    chosen = random.Random(generation).sample(names(), FILES // 2)
    return [name for name in chosen if name != LARGE or generation % 4 == 0]


def visible(root: Path) -> dict[str, bytes]:
    """What is there, but for hidden files of ours."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".s3func" not in path.name
    }


def stored(session: S3Session) -> dict[str, bytes]:
    return {row.key: session.get_object(row.key).data for row in session.list_objects()}


def check(expected: dict[str, list[bytes]], found: dict[str, bytes]) -> None:
    """Every name holds one of what it may hold."""
    assert [] == sorted(found.keys() - expected.keys())
    assert [] == [name for name, held in found.items() if held not in expected[name]]


class Truth:
    """What the source holds, and what the target may hold."""

    def __init__(self) -> None:
        self.source = {name: content(name, 0) for name in names()}
        self.possible: dict[str, list[bytes]] = {name: [held] for name, held in self.source.items()}

    def advance(self, generation: int) -> tuple[dict[str, bytes], list[str]]:
        """The next generation: what changes in the source, and what goes from it."""
        new = {name: content(name, generation) for name in changed(generation)}
        self.source.update(new)
        for name, held in new.items():
            self.possible.setdefault(name, []).append(held)
        gone = random.Random(-generation).sample(sorted(self.source.keys() - new.keys() - {LARGE}), 3)
        for name in gone:
            del self.source[name]
        return new, gone

    def observe(self, found: dict[str, bytes]) -> None:
        """The target holds this now: from here on that, or what comes."""
        check(self.possible, found)
        for name in self.possible:
            self.possible[name] = [held[name] for held in (found, self.source) if name in held]


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, held in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held)


EVERYTHING = {"delete": "all", "max_delete": "none"}


def test_killed_uploads(tmp_path: Path, server: Server, children: Children) -> None:
    """T31: an upload that is killed leaves objects that are old or new, and the next run ends with all of the source, no more."""
    session = server.session("bucket")
    root, truth = tmp_path / "tree", Truth()
    write(root, truth.source)
    call = {"source": str(root), "target": "s3://bucket", "settings": server.settings, "options": EVERYTHING}
    chance = random.Random(1)
    began = time.monotonic()
    assert children.run(None, **call) == 0
    longest = time.monotonic() - began
    codes = []
    for generation in range(1, KILLS + 1):
        new, gone = truth.advance(generation)
        write(root, new)
        for name in gone:
            (root / name).unlink()
        codes.append(children.run(chance.uniform(0.005, longest), **call))
        truth.observe(stored(session))
    assert -signal.SIGKILL in codes
    assert children.run(None, **call) == 0
    assert truth.source == stored(session)
    server.journal.clear()
    assert children.run(None, **call) == 0
    assert ["ListObjectsV2"] == server.journal.operations()


def test_killed_downloads(tmp_path: Path, server: Server, children: Children) -> None:
    """T31: a download that is killed leaves files that are old or new, and the next run ends with all new and nothing else."""
    session = server.session("bucket")
    root, truth = tmp_path / "tree", Truth()
    for name, held in truth.source.items():
        session.put_object(name, held)
    call = {"source": "s3://bucket", "target": str(root), "settings": server.settings, "options": EVERYTHING}
    chance = random.Random(2)
    began = time.monotonic()
    assert children.run(None, **call) == 0
    longest = time.monotonic() - began
    codes = []
    for generation in range(1, KILLS + 1):
        new, gone = truth.advance(generation)
        for name, held in new.items():
            session.put_object(name, held)
        session.delete_objects(gone)
        codes.append(children.run(chance.uniform(0.005, longest), **call))
        truth.observe(visible(root))
    assert -signal.SIGKILL in codes
    assert children.run(None, **call) == 0
    assert truth.source == visible(root)
    server.journal.clear()
    assert children.run(None, **call) == 0
    assert ["ListObjectsV2"] == server.journal.operations()
