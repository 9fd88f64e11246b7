"""`python -m tests.distributed.sync 50000 dask`: the tests' claims at any size, with figures; dask, ray or processes.

A folder of so many files goes to a store by one process and by a cluster, of which one worker is killed in the middle;
both have to be the same, a repeat has to do nothing, and what comes down again has to be what went up.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import s3func.testing
from s3func.server import Journal
from s3func.sync import RemotePrefix, sync
from tests.distributed.rig import Driver, Store, credentials, files_of, make_tree
from tests.ecosystem.environment import interpreter
from tests.interop.servers import Unavailable


class Differs(Exception):
    """A claim does not hold."""


def main() -> int:
    """The exit code: 0, 1 when a claim does not hold, 2 where there is no such cluster."""
    parser = argparse.ArgumentParser(prog="python -m tests.distributed.sync", description=__doc__)
    parser.add_argument("files", type=int)
    parser.add_argument("cluster", choices=["dask", "ray", "processes"])
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="s3func-distributed-", dir=shared if shared.is_dir() else None))
    try:
        with s3func.testing.server(journal=Journal(20 * options.files)) as server:
            run(folder, server, options.files, options.cluster, options.workers)
    except Differs as error:
        say(f"FAILED: {error}")
        return 1
    except Unavailable as error:
        say(str(error))
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def run(folder: Path, server: s3func.testing.Server, files: int, cluster: str, workers: int) -> None:
    """All of it, step by step; Differs."""
    store, tree = Store(server), folder / "tree"
    make_tree(tree, files)
    began = time.monotonic()
    report = sync(tree, RemotePrefix(server.session("bucket"), prefix="alone"), state=None)
    claim(report.ok, str(report))
    tell("one process", files, time.monotonic() - began, store.asked())
    (folder / "home").mkdir()
    with Driver(interpreter(), cluster, workers, credentials(server), folder / "home") as driver:
        # A first, small call: clusters start their workers when there is something to do.
        (folder / "small").mkdir()
        (folder / "small" / "f").write_bytes(b"1")
        driver.call(sides=[str(folder / "small"), "at:small"], options={"state": None})
        store.asked()
        whole = {"sides": [str(tree), "at:whole"], "options": {"state": str(folder / "whole.db")}}
        answer = driver.call(**whole)
        claim(answer["report"].get("uploaded") == files, str(answer))
        tell(f"{cluster}, {len(answer['workers'])} workers", files, answer["seconds"], store.asked())
        kill = {"sides": [str(tree), "at:killed"], "options": {"state": str(folder / "killed.db")}}
        # Of a pool of processes, the first one that is killed is the end.
        answer = driver.call(**kill, **({} if cluster == "processes" else {"kill_after": files // 3}))
        claim(answer["report"].get("uploaded") == files and answer["report"]["exit_code"] == 0, str(answer))
        claim(cluster == "processes" or answer["killed"] is not None, "no worker was killed")
        tell(f"{cluster}, process {answer['killed']} killed", files, answer["seconds"], store.asked())
        alone = store.objects("alone")
        claim(len(alone) == files, f"{len(alone)} objects")
        claim(alone == store.objects("whole") == store.objects("killed"), "the stored objects differ")
        say(f"equal: {files:,} names, sizes and ETags, three times")
        store.asked()
        for call in (whole, kill):
            answer = driver.call(**call)
            claim(answer["said"] == "nothing to do", str(answer))
            tell("again", files, answer["seconds"], store.asked())
        copy = folder / "copy"
        answer = driver.call(sides=["at:killed", str(copy)], options={"state": None})
        claim(answer["report"].get("downloaded") == files, str(answer))
        tell(f"{cluster}, down", files, answer["seconds"], store.asked())
        claim(files_of(tree) == files_of(copy), "the files that came down differ")
        say(f"equal: {files:,} files, contents and times")


def claim(holds: bool, otherwise: str) -> None:
    """Differs unless it holds."""
    if not holds:
        raise Differs(otherwise)


def tell(what: str, files: int, seconds: float, asked: Counter[str]) -> None:
    """A line of figures."""
    requests = ", ".join(f"{count:,} {name}" for name, count in sorted(asked.items()))
    say(f"{what}: {seconds:.1f} s, {files / seconds:,.0f} files/s; {requests}")


def say(text: str) -> None:
    """A line of the output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
