"""Foreign S3 servers for our client: found in the environment, or started once per pytest session and stopped at its end.

Rule 1: a server listens on loopback, on ports that were free a moment ago, and keeps its data in a temporary folder.
Rule 2: a server is stopped by its own script, which knows its processes by their recorded ids.
Rule 3: without CI nothing is installed: a server whose programs are not there yet is an explicit skip. With CI set, a
server that does not run is a failure.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import pytest

from s3func import S3Session

T = TypeVar("T")

# As it was before the tests emptied HOME: the scripts keep what they install under the developer's own cache.
ENVIRONMENT = dict(os.environ)
IN_CI = ENVIRONMENT.get("CI", "").lower() in {"1", "true", "yes"}
SCRIPTS = Path(ENVIRONMENT.get("S3FUNC_SERVERS") or Path(__file__).resolve().parents[3] / "shared" / "servers")
FARM = Path(ENVIRONMENT.get("FARM") or Path(ENVIRONMENT.get("HOME", "/nonexistent")) / ".cache" / "s3-server-farm")
START_SECONDS = 280


class Unavailable(Exception):
    """The server cannot run here, and why."""


def present(find: Callable[[], T]) -> T:
    """What `find` finds; a skip of the test where that is Unavailable, and a failure where CI is set."""
    __tracebackhide__ = True
    try:
        return find()
    except Unavailable as error:
        if IN_CI:
            pytest.fail(str(error))
        pytest.skip(str(error))


class ForeignServer(NamedTuple):
    """Where a server is and whom it knows."""

    name: str
    endpoint: str
    access_key: str
    secret_key: str
    region: str


class Rig(NamedTuple):
    """How a server is started."""

    script: str
    ports: int
    """How many neighbouring ports it needs."""
    installed: Callable[[], bool]
    settings: Mapping[str, str] = MappingProxyType({})
    """Variables for its script."""


def farmed(name: str) -> Callable[[], bool]:
    """Whether a virtual environment of the server scripts has been made."""
    return (FARM / f"venv-{name}" / ".ok").exists


RIGS = {
    "rgw": Rig("ceph-rgw.sh", 3, lambda: all(shutil.which(name) for name in ("radosgw", "ceph-mon", "ceph-osd"))),
    "swift": Rig("swift-s3api.sh", 5, farmed("swift")),
    "rclone": Rig("rclone.sh", 1, farmed("rclone")),
    # With its verification on, moto asks botocore, which is no stranger, and refuses lists and odd keys.
    "moto": Rig("moto.sh", 1, farmed("moto"), {"MOTO_AUTH": "0"}),
}


def free_ports(count: int) -> int:
    """The first of `count` free neighbours, below the ports that clients are given: a server may bind them late."""
    while True:
        port = 15_000 + secrets.randbelow(17_000)
        try:
            for neighbour in range(port, port + count):
                socket.create_server(("127.0.0.1", neighbour)).close()
        except OSError:
            continue
        return port


def data_folder(name: str) -> Path:
    """A new folder, in memory where there is room and (for Swift) the file system keeps user attributes."""
    memory = "/dev/shm"
    try:
        with tempfile.NamedTemporaryFile(dir=memory) as file:
            os.setxattr(file.name, "user.s3func", b"1")
        roomy = shutil.disk_usage(memory).free > 2**30
    except OSError:
        roomy = False
    return Path(tempfile.mkdtemp(prefix=f"s3func-{name}-", dir=memory if roomy else None))


def from_environment(name: str) -> ForeignServer | None:
    """The server that somebody else runs: `S3FUNC_INTEROP_RGW="endpoint=… access_key=… secret_key=… region=…"`."""
    text = ENVIRONMENT.get(f"S3FUNC_INTEROP_{name.upper()}", "")
    if not text:
        return None
    words = dict(word.split("=", 1) for word in text.split())
    return ForeignServer(name, words["endpoint"], words["access_key"], words["secret_key"], words["region"])


class Start(NamedTuple):
    """A start script under way, or one that has ended well."""

    name: str
    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def server(self) -> ForeignServer:
        """Wait until the script has said where the server is."""
        try:
            code = self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{self.name}: not ready after {START_SECONDS} s") from error
        if code:
            raise Unavailable(f"{self.name}: {RIGS[self.name].script} ended with {code}: {self.text('err')[-1000:]}")
        said = dict(word.split("=", 1) for word in shlex.split(self.text("out")) if "=" in word)
        return ForeignServer(
            self.name, said["S3_ENDPOINT"], said["S3_ACCESS_KEY"], said["S3_SECRET_KEY"], said["S3_REGION"]
        )

    def text(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8", errors="replace")

    def run(self, verb: str) -> subprocess.Popen[bytes]:
        """The script once more, with another verb."""
        return run(RIGS[self.name], verb, self.port, self.folder)


def run(rig: Rig, verb: str, port: int, folder: Path) -> subprocess.Popen[bytes]:
    """One call of a server script, in the environment that pytest was started in."""
    command = ["bash", str(SCRIPTS / rig.script), verb, str(port), str(folder / "data")]
    environment = {**ENVIRONMENT, **rig.settings}
    # The daemons outlive the script, so its output goes to files: nobody waits for the end of a pipe.
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)


class Farm:
    """The servers of one pytest session; they start all at once, while the other tests run."""

    def __init__(self) -> None:
        self._starts: list[Start] = []
        self._servers: dict[str, ForeignServer | Start | Unavailable] = {}

    def start(self, names: Iterable[str]) -> None:
        """Begin to start servers; what is in the environment runs already."""
        for name in names:
            try:
                self._servers[name] = from_environment(name) or self._start(name)
            except Unavailable as error:
                self._servers[name] = error

    def _start(self, name: str) -> Start:
        rig = RIGS[name]
        if not (SCRIPTS / rig.script).exists():
            raise Unavailable(f"{name}: there is no {rig.script} in ../shared/servers nor in S3FUNC_SERVERS")
        if not IN_CI and not rig.installed():
            raise Unavailable(f"{name}: not installed; CI=true, or one run of {rig.script}, installs it")
        port, folder = free_ports(rig.ports), data_folder(name)
        start = Start(name, port, folder, run(rig, "start", port, folder))
        self._starts.append(start)
        return start

    def server(self, name: str) -> ForeignServer:
        """The running server; Unavailable, every time, if it cannot run."""
        found = self._servers[name]
        if isinstance(found, Start):
            try:
                found = found.server()
            except Unavailable as error:
                found = error
            self._servers[name] = found
        if isinstance(found, Unavailable):
            raise found
        return found

    def stop(self) -> None:
        """Stop what was started here; a server of the environment goes on."""
        for start in self._starts:
            start.process.wait()
        for process in [start.run("stop") for start in self._starts]:
            process.wait()
        for start in self._starts:
            shutil.rmtree(start.folder, ignore_errors=True)
        self._starts.clear()
        self._servers.clear()


def connect(server: ForeignServer, bucket: str | None = None, **changed: Any) -> S3Session:
    """A session on a foreign server."""
    given: dict[str, Any] = {
        "access_key_id": server.access_key,
        "access_key": server.secret_key,
        "bucket": bucket,
        "endpoint_url": server.endpoint,
        "region": server.region,
    }
    return S3Session(**given | changed)


def new_bucket() -> str:
    """The name of a bucket that nobody has."""
    return f"s3func-{secrets.token_hex(8)}"


class SkewedClock:
    """A machine whose clock is wrong."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return time.time() + self.seconds

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
