"""The servers that are measured: ours over each store, and the peers by their start scripts; each on a port of its own.

A server is started for one turn, in an empty folder on the disk, and stopped by the ids of its own processes. Its small
files stay until the end of the run: ext4 gives the inodes of deleted files away again only after minutes, and until then
searches behind them for every new file, which made the next turn of a file store up to seven times slower.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.interpreters import ROOT

SCRIPTS = Path(os.environ.get("S3FUNC_SERVERS") or ROOT.parent / "shared" / "servers")
_ACCESS_KEY_ID, _SECRET_ACCESS_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
_SMALL_BYTES = 1 << 20
_OURS = """
import sys
from s3func.server import LocalBackend, MemoryBackend, S3App, serve
kind, folder, port, key_id, secret = sys.argv[1:]
backend = MemoryBackend() if kind == "memory" else LocalBackend(folder, durability=kind)
serve(S3App(backend, access_key_id=key_id, secret_access_key=secret), port=int(port), ready=lambda url: print(url, flush=True))
"""


class ServerUnavailable(Exception):
    """The server cannot run here, and why."""


@dataclass(frozen=True, slots=True)
class Rig:
    """One server: `ours` is the kind of our store, or `script` the start script of a peer."""

    name: str
    ours: str = ""
    script: str = ""
    note: str = ""
    """What it does of what S3 promises."""


ROSTER = (
    Rig("s3func, disk", ours="disk", note="signature, SHA-256, MD5; on the disk when answered"),
    Rig("s3func, os", ours="os", note="signature, SHA-256, MD5; a file when answered"),
    Rig("s3func, memory", ours="memory", note="signature, SHA-256, MD5; in memory"),
    Rig("moto_server", script="moto.sh", note="no signature, MD5; in memory"),
    Rig("pys3local", script="pys3local.sh", note="signature, MD5; a file, not whole if killed"),
    Rig("rclone serve s3", script="rclone.sh", note="signature, MD5; a file"),
    Rig("nginx", script="nginx-sink.sh", note="nothing is checked or computed; a file"),
)


class Server:
    """A running server; a context manager that ends it, and leaves only small files behind in a folder of the run."""

    def __init__(self, rig: Rig, run_folder: Path) -> None:
        self.rig = rig
        self._run_folder = run_folder
        self.access_key_id, self.secret_access_key = _ACCESS_KEY_ID, _SECRET_ACCESS_KEY
        self.version = ""
        self.port = 0
        self._folder = Path()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(dir=self._run_folder))
        self.port = _free_port()
        try:
            if self.rig.ours:
                self._start_ours()
            else:
                self._start_peer()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stop()

    def pids(self) -> list[int]:
        """The server's processes, with those that they have started."""
        if self._process is not None:
            found = [self._process.pid]
        else:
            listing = (self._folder / "data" / "run" / "pids").read_text()
            found = [int(line.split()[0]) for line in listing.splitlines()]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(word) for word in task.read_text().split()]
        return found

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def forget_peak(self) -> None:
        """Count the peak of memory from here on."""
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_bytes(self) -> int:
        """The highest resident memory of each process, added up."""
        total = 0
        for pid in self.pids():
            status = Path(f"/proc/{pid}/status").read_text()
            total += int(status.partition("VmHWM:")[2].split()[0]) * 1024
        return total

    def _start_ours(self) -> None:
        arguments = [self.rig.ours, str(self._folder / "data"), str(self.port), self.access_key_id]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OURS, *arguments, self.secret_access_key],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise ServerUnavailable("it ended at once; its own words are on stderr")
        self.version = "s3func"

    def _start_peer(self) -> None:
        if not (SCRIPTS / self.rig.script).exists():
            raise ServerUnavailable(f"there is no {self.rig.script} in ../shared/servers nor in S3FUNC_SERVERS")
        out, err = self._run_script("start")
        said = dict(word.split("=", 1) for word in shlex.split(out) if "=" in word)
        if "S3_ENDPOINT" not in said:
            raise ServerUnavailable(f"{self.rig.script} did not start it: {err[-400:].strip()}")
        self.access_key_id, self.secret_access_key = said["S3_ACCESS_KEY"], said["S3_SECRET_KEY"]
        self.version = said.get("SERVER", "")

    def _run_script(self, verb: str) -> tuple[str, str]:
        command = ["bash", str(SCRIPTS / self.rig.script), verb, str(self.port), str(self._folder / "data")]
        # The server outlives the script and keeps what it was given open, so its output goes to files.
        with (self._folder / "out").open("w+") as out, (self._folder / "err").open("w+") as err:
            environment = {**os.environ, "MOTO_AUTH": "0", "KEEP_DATA": "1"}
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, check=False)
            out.seek(0)
            err.seek(0)
            return out.read(), err.read()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
        elif (self._folder / "data" / "run").exists():
            self._run_script("stop")
        for path in self._folder.rglob("*"):
            if path.is_file() and path.stat().st_size > _SMALL_BYTES:
                path.unlink()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settle(seconds: float = 0.2) -> None:
    """Let what a server still writes, or frees, be over."""
    os.sync()
    time.sleep(seconds)
