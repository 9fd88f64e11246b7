"""Contention in real processes over real sockets, and what its diaries say.

`python -m tests.lock.contention [SECONDS [PAUSE [API]]]`: six workers (worker.py) on the embedded server, through S3 or,
with API "b2", through B2. Every PAUSE seconds
(2) whoever holds the lock is killed and another one takes its place; at the end one is stopped for longer than its lease.
One in ten requests about the lock is carried out and then answered with 500. The server itself sees every counter that is
written, and refuses a token smaller than one that it saw. With S3FUNC_INTEROP_RGW in the environment (see
tests/interop/servers.py) all this is on that server instead, which guards nothing.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from s3func.message import Request, Response
from s3func.server import Listener, MemoryBackend, S3App
from s3func.transport.pool import Pool
from tests.lock.worker import TOKEN_HEADER, is_about_the_counter, open_session

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "bucket"
FOREIGN = "S3FUNC_INTEROP_RGW"


class FencedApp(S3App):
    """A server that loses answers about locks, and guards a counter with the fencing token."""

    def __init__(self, share: float, **options: Any) -> None:
        super().__init__(MemoryBackend(), access_key_id="id", secret_access_key="secret", **options)
        self.share = share
        self.rng = random.Random(1)
        self.counter: list[tuple[int, int]] = []
        self.lost = 0
        self._token = -1
        self._guard = threading.Lock()

    def handle(self, request: Request, *, mount: str = "") -> Response:
        token = request.headers.get(TOKEN_HEADER)
        if token is None or not is_about_the_counter(request):
            return self._lossy(request)
        with self._guard:
            self._token = max(self._token, int(token))
            if int(token) < self._token:
                return Response(412, {"content-length": "0"}, b"")
            if request.method not in {"PUT", "POST"}:
                return self._lossy(request)
            written = _read(request)
            response = self._lossy(request)
            if response.status == 200 and (int(written), int(token)) not in self.counter[-1:]:
                self.counter.append((int(written), int(token)))
            return response

    def _lossy(self, request: Request) -> Response:
        # Through B2, most calls name what they are about in a document.
        is_call = (
            request.method == "POST" and request.path.startswith("/b2api/") and "x-bz-file-name" not in request.headers
        )
        named = _read(request).decode() if is_call else ""
        named += request.path + request.query + request.headers.get("x-bz-file-name", "")
        response = super().handle(request)
        if "job.lock" in named and self.rng.random() < self.share:
            self.lost += 1
            response.close()
            return Response(500, {"content-length": "0"}, b"")
        return response


def _read(request: Request) -> bytes:
    """The body, which the request then has as a whole."""
    if not isinstance(request.body, bytes):
        request.body = request.body.read()  # type: ignore[union-attr]  # a listener's body is a stream
    return request.body


class Hold(NamedTuple):
    """One holder's time: from when it was told until it left, was killed, or its lease ended."""

    begin: float
    end: float
    token: int
    pid: int


class Report(NamedTuple):
    """counter: every value and token that the server saw written, where it looks. final: what the counter says.

    sure: what workers say that they wrote; unsure: what those that were killed may have written. silences: seconds from a
    kill until somebody held.
    """

    holds: list[Hold]
    counter: list[tuple[int, int]]
    final: int
    sure: int
    unsure: int
    killed: int
    stopped: int
    lost_leases: int
    fenced: int
    lost_answers: int
    silences: list[float]
    announced: list[str]
    exit_codes: list[int]


class Crowd:
    """The workers, and what is done to them."""

    def __init__(self, store: dict[str, Any], folder: Path, settings: dict[str, Any]) -> None:
        self.store, self.folder, self.settings = store, folder, settings
        self.count = itertools.count()
        self.workers: list[subprocess.Popen[bytes]] = []
        self.killed: dict[int, float] = {}

    def start(self) -> None:
        log = self.folder / f"{next(self.count)}.log"
        command = [sys.executable, "-m", "tests.lock.worker"]
        command += [json.dumps(self.store), str(log), json.dumps(self.settings)]
        self.workers.append(subprocess.Popen(command, cwd=ROOT))

    def lines(self) -> list[dict[str, Any]]:
        found = []
        for log in self.folder.glob("*.log"):
            found += [json.loads(line) for line in log.read_text().splitlines()]
        return sorted(found, key=lambda line: line["at"])

    def holder(self) -> subprocess.Popen[bytes]:
        """Whoever holds, by the diaries; after a second in which nobody does, anybody who waits."""
        living = {worker.pid: worker for worker in self.workers if worker.poll() is None}
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            last = {line["pid"]: line["what"] for line in self.lines()}
            for pid, what in last.items():
                if what in {"held", "writing"} and pid in living:
                    return living[pid]
            time.sleep(0.005)
        return next(iter(living.values()))

    def kill(self) -> None:
        worker = self.holder()
        self.killed[worker.pid] = time.monotonic()
        worker.kill()
        worker.wait()
        self.workers.remove(worker)
        self.start()

    def stop(self, seconds: float) -> None:
        worker = self.holder()
        worker.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        worker.send_signal(signal.SIGCONT)

    def end(self) -> list[int]:
        return [worker.wait(120) for worker in self.workers]

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()


def contend_here(*, share: float = 0.1, api: str = "s3", **settings: Any) -> Report:
    """On the embedded server, which loses answers, and guards the counter."""
    app = FencedApp(share)
    listener = Listener(app).start()
    place = "realm" if api == "b2" else "endpoint_url"
    store = {"api": api, "access_key_id": "id", "access_key": "secret", "bucket": BUCKET, place: listener.endpoint_url}
    try:
        # A transport of its own: the process keeps no token of a server that will be gone.
        with open_session(store, transport=Pool()) as session:
            session.create_bucket()
        report = contend(store | {"share": 0.0}, **settings)
    finally:
        listener.stop()
    return report._replace(counter=app.counter, lost_answers=app.lost)


def contend_there(**settings: Any) -> Report:
    """On the server that the environment names; the workers themselves lose answers."""
    words = dict(word.split("=", 1) for word in os.environ[FOREIGN].split())
    store = {
        "access_key_id": words["access_key"],
        "access_key": words["secret_key"],
        "endpoint_url": words["endpoint"],
        "region": words["region"],
        "bucket": f"s3func-{secrets.token_hex(8)}",
    }
    with open_session(store) as session:
        session.create_bucket()
        try:
            return contend(store | {"share": 0.1}, **settings)
        finally:
            session.delete_objects([entry.key for entry in session.list_objects()])
            session.delete_bucket()


def contend(
    store: dict[str, Any], *, workers: int = 6, kills: int = 3, pause: float = 2.0, stops: int = 1, ttl: float = 3
) -> Report:
    """Let them contend on a store, and read what happened. store: the arguments of a session; share: of lost answers."""
    with open_session(store, transport=Pool()) as session, tempfile.TemporaryDirectory() as name:
        session.put_object("counter", b"0")
        crowd = Crowd(store, Path(name), {"ttl": ttl, "grace": 2.0})
        try:
            for _ in range(workers):
                crowd.start()
            _until_held(crowd)
            for _ in range(kills):
                time.sleep(pause)
                crowd.kill()
            for _ in range(stops):
                _until_held(crowd)
                crowd.stop(2 * ttl)
            _until_held(crowd)
            session.put_object("stop", b"")
            codes = crowd.end()
            lines = crowd.lines()
        finally:
            crowd.close()
        final = int(session.get_object("counter").data)
        announced = [entry.key for entry in session.list_objects("job.lock/") if ".0." in entry.key]
        return _report(lines, crowd.killed, final, announced, codes, stops)


def _until_held(crowd: Crowd) -> None:
    """Wait until somebody holds the lock who did not a moment ago."""
    before = sum(line["what"] == "held" for line in crowd.lines())
    deadline = time.monotonic() + 90
    while sum(line["what"] == "held" for line in crowd.lines()) <= before:
        if time.monotonic() > deadline:
            raise TimeoutError("nobody gets the lock")
        time.sleep(0.02)


def _report(
    lines: list[dict[str, Any]],
    killed: dict[int, float],
    final: int,
    announced: list[str],
    codes: list[int],
    stops: int,
) -> Report:
    holds = []
    for _, group in itertools.groupby(sorted(lines, key=lambda line: (line["pid"], line["hold"])), _whose):
        rows = sorted(group, key=lambda line: line["at"])
        held = next((row for row in rows if row["what"] == "held"), None)
        if held is None or not held["remaining"]:
            # Whoever was stopped before it could say that it holds, holds no more when it says so.
            continue
        # The lease as it was known last; it may have been renewed since, and then the hold was longer than this.
        known = [row for row in rows if row.get("remaining")]
        lease_end = max(row["at"] + row["remaining"] for row in known)
        left = [row["at"] for row in rows if row["what"] == "leaving"]
        end = min([lease_end, *left, killed.get(held["pid"], lease_end)])
        holds.append(Hold(held["at"], end, held["token"], held["pid"]))
    holds.sort()
    silences = []
    moments = sorted(killed.values())
    for moment, following in itertools.zip_longest(moments, moments[1:], fillvalue=float("inf")):
        begun = min((hold.begin for hold in holds if hold.begin > moment), default=following)
        # Whoever was next may have been killed before it was its turn; then the silence counts from that.
        if begun < following:
            silences.append(begun - moment)
    count = Counter(line["what"] for line in lines)
    sure = count["wrote"]
    return Report(
        holds=holds,
        counter=[],
        final=final,
        sure=sure,
        unsure=count["writing"] - sure,
        killed=len(killed),
        stopped=stops,
        lost_leases=count["lost"],
        fenced=count["fenced"],
        lost_answers=0,
        silences=silences,
        announced=announced,
        exit_codes=codes,
    )


def _whose(line: dict[str, Any]) -> tuple[int, int]:
    return line["pid"], line["hold"]


def faults(report: Report) -> list[str]:
    """What must not be."""
    found = []
    for one, other in itertools.pairwise(report.holds):
        if other.begin < one.end:
            found.append(f"two holders: {one} and {other}")
        if other.token <= one.token:
            found.append(f"the token did not grow: {one} and {other}")
    values = [value for value, _ in report.counter]
    if values and (values != list(range(1, len(values) + 1)) or report.final != len(values)):
        found.append(f"the counter was written as {values}, and is {report.final}")
    if not report.sure <= report.final <= report.sure + report.unsure:
        found.append(f"the counter is {report.final}, but {report.sure} to {report.sure + report.unsure} were added")
    if any(report.exit_codes):
        found.append(f"exit codes {report.exit_codes}")
    return found


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    pause = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    ttl = 3.0
    settings: dict[str, Any] = {"kills": max(1, int(seconds / pause)), "pause": pause, "ttl": ttl}
    api = sys.argv[3] if len(sys.argv) > 3 else "s3"
    report = contend_there(**settings) if FOREIGN in os.environ else contend_here(api=api, **settings)
    wrong = faults(report)
    silences = ", ".join(f"{silence:.2f}" for silence in sorted(report.silences))
    # ttl, grace, confirm, and the longest poll with its jitter.
    bound = ttl + 2.0 + min(2.0, ttl / 5) + 1.5 * 0.3
    lines = [
        f"{len(report.holds)} holds, counter {report.final}, {report.killed} killed, {report.stopped} stopped",
        f"{report.lost_leases} leases found lost, {report.fenced} writes refused, {report.lost_answers} answers lost",
        f"silence after a kill: {silences} s (ttl + grace + confirm + poll = {bound:.2f} s)",
        f"announcements left: {len(report.announced)}",
        *(wrong or ["all is well"]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
