"""`python -m benchmarks.lock [--json FILE]`: what a lock costs when it is free, and how long it takes to change hands.

All on one store, our server in memory, one after the other in one run: this lock in its three ways, the release 0.9.6
that this project grew from, and the lock of one conditional PUT that has no lease, no queue and no token. Requests are
counted by the server.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contenders import Entry
from benchmarks.interpreters import BOOTSTRAP, NoEnvironment, child_environment, python_of

BUCKET = "benchmark"
FREE_ROUNDS = 300
SEED_FREE_ROUNDS = 12
CONTENDERS = 6
CONTENDED_ROUNDS = 8
HOLD_SECONDS = 0.01

_SERVER = """
import sys
from s3func.message import Response
from s3func.server import MemoryBackend, S3App, serve

class Counting(S3App):
    requests = 0

    def handle(self, request, *, mount=""):
        if request.path == "/requests":
            text = str(self.requests).encode()
            return Response(200, {"content-length": str(len(text))}, text)
        self.requests += 1
        return super().handle(request, mount=mount)

app = Counting(MemoryBackend(), access_key_id=sys.argv[1], secret_access_key=sys.argv[2])
serve(app, port=0, ready=lambda url: print(url, flush=True))
"""
_WORKER = BOOTSTRAP + "from benchmarks.lock_worker import main\nmain()\n"


class Way(NamedTuple):
    """One kind of lock. theory: requests of an uncontended acquire and release that its protocol cannot do without."""

    name: str
    kind: str
    theory: int
    is_seed: bool = False


WAYS = (
    Way("s3func", "plain", 6),
    Way("s3func, fencing token", "fencing", 6),
    Way("s3func, fast", "fast", 3),
    Way("conditional PUT", "conditional PUT", 2),
    Way("s3func 0.9.6", "plain", 5, is_seed=True),
)


class Figures(NamedTuple):
    """Milliseconds and requests per acquire and release."""

    median: float
    p99: float
    requests: float

    @classmethod
    def of(cls, seconds: list[float], requests: float) -> Figures:
        ordered = sorted(seconds)
        return cls(statistics.median(ordered) * 1e3, ordered[int(0.99 * (len(ordered) - 1))] * 1e3, requests)


@contextmanager
def store() -> Iterator[str]:
    """Our server in a process of its own; its endpoint."""
    from benchmarks.lock_worker import ACCESS_KEY_ID, SECRET_ACCESS_KEY

    command = [sys.executable, "-c", _SERVER, ACCESS_KEY_ID, SECRET_ACCESS_KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def requests_of(endpoint: str) -> int:
    with urllib.request.urlopen(f"{endpoint}/requests") as answer:
        return int(answer.read())


def run(way: Way, endpoint: str, home: str, *, contenders: int, rounds: int, hold: float, warm_up: int) -> Any:
    """The rows of all contenders, and how many requests they made."""
    python = python_of(Entry(way.name, "", "", "", "", own_environment=way.is_seed))
    order = {"kind": way.kind, "endpoint": endpoint, "bucket": BUCKET, "rounds": rounds, "hold_seconds": hold}
    command = [python, "-c", _WORKER, json.dumps(order | {"warm_up": warm_up})]
    workers = []
    try:
        for _ in range(contenders):
            workers.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=child_environment(home),
                    # Not here, where our package would be found before the seed's.
                    cwd=home,
                )
            )
            # One after the other: a warm-up is not to be contended.
            assert workers[-1].stdout is not None
            assert workers[-1].stdout.readline() == "ready\n"
        before = requests_of(endpoint)
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        rows = [row for worker in workers for row in json.loads(worker.communicate()[0])]
        return rows, requests_of(endpoint) - before
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.communicate()


def free(way: Way, endpoint: str, home: str, scale: float) -> Figures:
    """Nobody else is there."""
    rounds = max(3, int((SEED_FREE_ROUNDS if way.is_seed else FREE_ROUNDS) * scale))
    rows, requests = run(way, endpoint, home, contenders=1, rounds=rounds, hold=0, warm_up=2)
    return Figures.of(
        [acquired - asked + released - releasing for asked, acquired, releasing, released in rows], requests / rounds
    )


def contended(way: Way, endpoint: str, home: str, scale: float) -> Figures:
    """Six want it all the time; from the call of release() to the next one's return of acquire()."""
    rounds = max(2, int(CONTENDED_ROUNDS * scale))
    rows, requests = run(way, endpoint, home, contenders=CONTENDERS, rounds=rounds, hold=HOLD_SECONDS, warm_up=0)
    rows.sort(key=lambda row: row[1])
    overlaps = sum(later[1] < earlier[2] for earlier, later in itertools.pairwise(rows))
    if overlaps:
        raise AssertionError(f"{way.name}: {overlaps} times there were two holders")
    # At the end some have done their rounds already; only hand-overs with at least one who waits are counted.
    gaps = [later[1] - earlier[2] for earlier, later in itertools.pairwise(rows) if later[0] < earlier[2]]
    return Figures.of(gaps, requests / len(rows))


def measure(scale: float = 1.0) -> dict[str, dict[str, Any]]:
    """All ways, in one run on one store."""
    found: dict[str, dict[str, Any]] = {}
    with store() as endpoint, tempfile.TemporaryDirectory() as home:
        from benchmarks.lock_worker import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
        from s3func import S3Session

        with S3Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, BUCKET, endpoint, REGION) as session:
            session.create_bucket()
            for way in WAYS:
                try:
                    alone = free(way, endpoint, home, scale)
                    together = contended(way, endpoint, home, scale)
                except NoEnvironment as error:
                    found[way.name] = {"error": str(error)}
                    continue
                found[way.name] = {"theory": way.theory, "free": alone._asdict(), "contended": together._asdict()}
                # The next one finds the bucket as the first one did.
                session.delete_objects([entry.key for entry in session.list_objects()])
    return found


def report(found: dict[str, dict[str, Any]]) -> str:
    """Two tables, as in README."""
    lines = [
        "| lock | free: median | p99 | requests (least) | hand-over among 6: median | p99 | requests |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in found.items():
        if "error" in row:
            lines.append(f"| {name} | {row['error']} | | | | | |")
            continue
        alone, together = row["free"], row["contended"]
        lines.append(
            f"| {name} | {alone['median']:.1f} ms | {alone['p99']:.1f} ms | {alone['requests']:.1f} ({row['theory']}) "
            f"| {together['median']:.0f} ms | {together['p99']:.0f} ms | {together['requests']:.1f} |"
        )
    ours, seed = found.get("s3func", {}), found.get("s3func 0.9.6", {})
    if "free" in ours and "free" in seed:
        lines += ["", f"Free, s3func is {seed['free']['median'] / ours['free']['median']:.0f} x as fast as 0.9.6."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--scale", type=float, default=1.0, help="a fraction of the rounds, for a quick look")
    arguments = parser.parse_args()
    found = measure(arguments.scale)
    print(report(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
