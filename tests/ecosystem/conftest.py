"""A server that both APIs reach, and programs that run against it in the consumers' own environment."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from s3func import B2Session, testing
from s3func.server import Journal
from tests.ecosystem.environment import ROOT, interpreter, write_entry_points
from tests.interop.servers import present

PROGRAMS = Path(__file__).parent / "programs"
RUN_SECONDS = 110


class Consumers:
    """The interpreter that has them, and a store for their programs."""

    def __init__(self, python: Path, server: testing.Server, folder: Path) -> None:
        self.server = server
        self.python = python
        self._home = folder / "home"
        self._home.mkdir()
        write_entry_points(folder / "told")
        self._path = os.pathsep.join([str(folder / "told"), str(ROOT)])

    def bucket(self) -> str:
        """A new bucket, which both APIs may use."""
        server, name = self.server, f"eco-{uuid.uuid4().hex[:20]}"
        with B2Session(server.access_key_id, server.secret_access_key, name, realm=server.endpoint_url) as session:
            session.create_bucket()
        return name

    def environment(self) -> dict[str, str]:
        """The variables of a program: credentials, and nobody's settings."""
        server = self.server
        return {
            "HOME": str(self._home),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONPATH": self._path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ACCESS_KEY_ID": server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
            "AWS_REGION": server.region,
            "AWS_DEFAULT_REGION": server.region,
            "AWS_ENDPOINT_URL": server.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "B2_APPLICATION_KEY_ID": server.access_key_id,
            "B2_APPLICATION_KEY": server.secret_access_key,
            # Nobody is told that somebody uses Ray.
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }

    def run(self, program: str | Path, *arguments: str) -> str:
        """What a program prints; AssertionError with its own words where it fails."""
        __tracebackhide__ = True
        process = subprocess.Popen(
            [self.python, "-P", PROGRAMS / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self._home,
            env=self.environment(),
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=RUN_SECONDS)
        finally:
            if process.poll() is None:
                # A program that hangs has its cluster with it, in a session of its own.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        assert 0 == process.returncode, f"{program} {' '.join(arguments)}\n{said[-6000:]}"
        return said

    def stores(self, bucket: str) -> list[str]:
        """The arguments that name a bucket twice: as S3 has it, and as B2."""
        return [f"s3func://{bucket}", f"b2://{bucket}", self.server.endpoint_url]


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter that has the consumers; a skip where there is none, which CI does not allow."""
    return present(interpreter)


@pytest.fixture
def consumers(python: Path, tmp_path: Path) -> Iterator[Consumers]:
    """Them, with a server of their own whose journal forgets nothing."""
    with testing.server(journal=Journal(1_000_000)) as server:
        yield Consumers(python, server, tmp_path)
