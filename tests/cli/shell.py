"""Command lines as a shell runs them, against an embedded server: what the tests of the commands have in common."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from s3func import S3Session, testing

COMMAND = [sys.executable, "-W", "error", "-m", "s3func"]
Done = subprocess.CompletedProcess[bytes]


class Shell:
    """Runs command lines in one folder; `{}` in an argument is the test's bucket as a URL, `{b2}` the same for B2."""

    def __init__(self, folder: Path, server: testing.Server, bucket: str | None) -> None:
        self.folder = folder
        self.url = f"s3://{bucket}"
        self.full_url = f"s3://{server.endpoint_url}@{bucket}"
        self.b2_url = f"b2://{server.endpoint_url}/{bucket}"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "AWS_ENDPOINT_URL": server.endpoint_url,
            "AWS_ACCESS_KEY_ID": server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
            "AWS_REGION": server.region,
            "AWS_MAX_ATTEMPTS": "1",
            "B2_APPLICATION_KEY_ID": server.access_key_id,
            "B2_APPLICATION_KEY": server.secret_access_key,
            "XDG_CACHE_HOME": str(folder / ".cache"),
            "XDG_STATE_HOME": str(folder / ".state"),
        }

    def __call__(self, *arguments: str, data: bytes = b"") -> Done:
        words = [word.replace("{}", self.url).replace("{b2}", self.b2_url) for word in arguments]
        return subprocess.run(
            [*COMMAND, *words],
            input=data,
            capture_output=True,
            timeout=60,
            cwd=self.folder,
            env=self.environment,
            check=False,
        )

    def out(self, *arguments: str, data: bytes = b"") -> list[str]:
        """The lines of stdout of a command that succeeds and says nothing else."""
        done = self(*arguments, data=data)
        assert (0, b"") == (done.returncode, done.stderr)
        return done.stdout.decode().replace(self.url, "{}").replace(self.full_url, "{}").splitlines()

    def fails(self, code: int, *arguments: str, data: bytes = b"") -> str:
        """The one line on stderr of a command that ends with this code and prints nothing else."""
        done = self(*arguments, data=data)
        assert (code, b"", 1) == (done.returncode, done.stdout, done.stderr.count(b"\n")), done
        return done.stderr.decode()

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """The same, as JSON."""
        return [json.loads(text) for text in self.out(*arguments)]


def put(session: S3Session, *keys: str) -> None:
    """Objects that hold their own keys."""
    for key in keys:
        session.put_object(key, key)


def keys(session: S3Session) -> list[str]:
    """The keys in the bucket."""
    return [entry.key for entry in session.list_objects()]
