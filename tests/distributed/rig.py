"""A store, a tree of files, and a driver in an interpreter that has a cluster: what the tests and the command share."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from s3func.testing import Server

ROOT = Path(__file__).resolve().parents[2]
OLD = 1_600_000_000
"""When the files were written: long ago, so that none seems to be written to at the moment."""
FOLDER_FILES = 100
CLUSTERS = ("dask", "ray", "processes")


def make_tree(folder: Path, count: int) -> None:
    """So many small files in folders of a hundred; each one has a content and a time of its own."""
    for number in range(count):
        path = folder / f"d{number // FOLDER_FILES:04d}" / f"f{number:06d}"
        if number % FOLDER_FILES == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"%d " % number * (number % 50))
        os.utime(path, ns=(OLD * 10**9, OLD * 10**9 + number))


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of all files below a folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = (path.read_bytes(), path.stat().st_mtime_ns)
    return found


class Store:
    """The server's own account of what it has and what it was asked."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session = server.session("bucket")
        self._seen = 0

    def objects(self, prefix: str) -> dict[str, tuple[int, str]]:
        """Size and ETag by name."""
        found = self._session.list_objects(f"{prefix}/")
        return {entry.key.removeprefix(f"{prefix}/"): (entry.size, entry.etag) for entry in found}

    def time_of(self, key: str) -> str | None:
        """The time that is kept with an object."""
        return self._session.head_object(key).user_metadata.get("mtime")

    def asked(self) -> Counter[str]:
        """Requests since the last time, by operation and status."""
        entries = [entry for entry in self._server.journal if entry.sequence > self._seen]
        if entries:
            self._seen = entries[-1].sequence
        return Counter(f"{entry.operation} {entry.status}" for entry in entries)


class Driver:
    """A process with a cluster; a context manager that ends both, and says what they complained of if a call fails."""

    def __init__(self, python: Path, cluster: str, workers: int, environment: dict[str, str], home: Path) -> None:
        """Start it. python: see tests.ecosystem.environment."""
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the process
        self._process = subprocess.Popen(
            [python, "-m", "tests.distributed.driver", cluster, str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            # A group of its own, so that Ctrl-C reaches the driver of the tests alone.
            start_new_session=True,
            env=variables(home) | environment,
        )

    def call(self, **what: Any) -> dict[str, Any]:
        """One call of driver.carry_out()."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the driver has ended\n{self.errors()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def errors(self) -> str:
        """The end of what the driver and its cluster have written."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-4000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.close()
            process.stdout.read()
            process.wait(60)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
            self._errors.close()


def variables(home: Path) -> dict[str, str]:
    """The environment of a driver, which its workers have as well: nobody's settings."""
    return {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Without other machines to reach it listens on loopback alone; by itself, on all interfaces.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }


def credentials(server: Server) -> dict[str, str]:
    """What the workers find in their environment."""
    return {
        "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_REGION": server.region,
    }
