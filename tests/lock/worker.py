"""One contender in a process of its own: `python -m tests.lock.worker STORE LOG SETTINGS`, STORE and SETTINGS in JSON.

It takes the lock again and again until there is an object "stop", and adds one to a counter each time: read, wait,
check, write, with nothing but the lock around it. What it does it writes down, line by line, with the machine's own
monotonic clock, which all processes share. Requests about the counter carry the fencing token. STORE says with "api"
whether the session is of S3 or of B2.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import Any

from s3func import B2Session, RetryPolicy, S3Session
from s3func.errors import ConnectionLost, LockStoreError, NotFound, PreconditionFailed
from s3func.message import Request, Response
from s3func.transport.pool import Pool

TOKEN_HEADER = "x-fencing-token"


class Diary:
    """Lines that are whole, or not there: each is one write."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.hold = 0

    def write(self, what: str, lock: Any = None, **about: Any) -> None:
        """The time is taken first: whoever is stopped in the middle of this says less of its lease, never more."""
        line = {"what": what, "at": time.monotonic(), "pid": os.getpid(), "hold": self.hold} | about
        if lock is not None:
            line["remaining"] = lock.remaining()
        os.write(self.file, json.dumps(line).encode() + b"\n")


class Lossy:
    """A pool that loses a share of the answers about locks, after the request was carried out, and adds the token."""

    def __init__(self, share: float, rng: random.Random) -> None:
        self.pool, self.share, self.rng = Pool(), share, rng
        self.token: int | None = None

    def __call__(self, request: Request) -> Response:
        if self.token is not None and is_about_the_counter(request):
            request.headers[TOKEN_HEADER] = str(self.token)
        response = self.pool(request)
        if "job.lock" in request.target and self.rng.random() < self.share:
            response.close()
            raise ConnectionLost("the answer was lost")
        return response

    def close(self) -> None:
        self.pool.close()


def is_about_the_counter(request: Request) -> bool:
    """A read or a write of it, through either API."""
    return request.path.endswith("/counter") or request.headers.get("x-bz-file-name") == "counter"


def open_session(store: dict[str, Any], **options: Any) -> S3Session | B2Session:
    """A session on the store that the words say."""
    words = {name: value for name, value in store.items() if name not in {"api", "share"}}
    return (B2Session if store.get("api") == "b2" else S3Session)(**words, **options)


def fork_and_exit() -> None:
    """A child that ends as any program does, while its parent holds the lock."""
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    os.waitpid(pid, 0)


def section(session: Any, lock: Any, wire: Lossy, diary: Diary, rng: random.Random) -> None:
    wire.token = token = lock.fencing_token
    diary.write("held", lock, token=token)
    if rng.random() < 0.2:
        fork_and_exit()
    try:
        value = int(session.get_object("counter").data)
        time.sleep(rng.uniform(0.001, 0.1))
        if not lock.valid():
            diary.write("lost", token=token)
            return
        diary.write("writing", lock, token=token)
        session.put_object("counter", str(value + 1))
        diary.write("wrote", token=token)
    except PreconditionFailed:
        # The lease ran out meanwhile, and the next holder has been here.
        diary.write("fenced", token=token)


def main() -> None:
    store, log, text = sys.argv[1:]
    settings = json.loads(text)
    rng, diary = random.Random(os.getpid()), Diary(log)
    words = json.loads(store)
    wire = Lossy(words["share"], rng)
    with open_session(words, transport=wire, retries=RetryPolicy(attempts=8)) as session:
        lock = session.lock("job", fencing=True, poll=(0.02, 0.3), **settings)
        while True:
            try:
                session.head_object("stop")
                break
            except NotFound:
                pass
            diary.hold += 1
            try:
                if not lock.acquire():
                    continue
            except LockStoreError:
                continue
            try:
                section(session, lock, wire, diary, rng)
            finally:
                wire.token = None
                diary.write("leaving", lock)
                lock.release()
        diary.write("done")


if __name__ == "__main__":
    main()
