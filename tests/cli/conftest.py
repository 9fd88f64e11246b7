"""Command lines as a shell runs them: a process of their own, with its exit code, stdout and stderr."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3func import S3Session, testing
from tests.cli.shell import Shell

COMMAND = [sys.executable, "-W", "error", "-m", "s3func"]
SECONDS = 60


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `s3func` with these arguments to its end."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, timeout=SECONDS, cwd=tmp_path, check=False
        )

    return call


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `s3func` with these arguments and do not wait; what is still running at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def call(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def server() -> Iterator[testing.Server]:
    """A server in this process."""
    with testing.server() as running:
        yield running


@pytest.fixture
def session(server: testing.Server) -> S3Session:
    """The bucket that the commands are given."""
    return server.session("bucket")


@pytest.fixture
def shell(tmp_path: Path, server: testing.Server, session: S3Session) -> Shell:
    """Command lines in an empty folder."""
    return Shell(tmp_path, server, session.bucket)
