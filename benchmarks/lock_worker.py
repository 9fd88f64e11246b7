"""One contender for a lock, in a process of its own: takes it, holds it, gives it back, and says when.

Given one JSON document as its argument; waits for a line; prints one JSON document: a row (asked, acquired, releasing,
released) per round, on the machine's monotonic clock. The seed's release runs this file too, so it imports nothing of
ours before it knows which lock it is to take.
"""

from __future__ import annotations

import json
import random
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
# What a plain lock waits between two looks; ours waits as long before it knows how many are ahead.
POLL_SECONDS = 0.25


class Taken(NamedTuple):
    """How to take a lock and how to give it back."""

    acquire: Callable[[], Any]
    release: Callable[[], Any]


def conditional_put(session: Any, key: str) -> Taken:
    """The lock that most people write: create the object if it is not there, delete it; no lease, no queue, no token."""
    from s3func.errors import Conflict, PreconditionFailed

    def acquire() -> None:
        while True:
            try:
                session.put_object(key, uuid.uuid4().hex, if_none_match="*")
                return
            except (PreconditionFailed, Conflict):
                time.sleep(random.uniform(0.5, 1.5) * POLL_SECONDS)

    return Taken(acquire, lambda: session.delete_object(key))


def open_lock(kind: str, endpoint: str, bucket: str) -> Taken:
    from s3func import S3Session

    session: Any = S3Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, bucket, endpoint, REGION)
    if kind == "conditional PUT":
        return conditional_put(session, "job")
    settings: dict[str, Any] = {"fencing": {"fencing": True}, "fast": {"fast": True}}.get(kind, {})
    lock = session.lock("job", **settings)
    return Taken(lock.acquire, lock.release)


def main() -> None:
    order = json.loads(sys.argv[1])
    taken = open_lock(order["kind"], order["endpoint"], order["bucket"])
    for _ in range(order["warm_up"]):
        taken.acquire()
        taken.release()
    print("ready", flush=True)
    sys.stdin.readline()
    rows = []
    for _ in range(order["rounds"]):
        asked = time.monotonic()
        taken.acquire()
        acquired = time.monotonic()
        if order["hold_seconds"]:
            time.sleep(order["hold_seconds"])
        releasing = time.monotonic()
        taken.release()
        rows.append((asked, acquired, releasing, time.monotonic()))
    print(json.dumps(rows), flush=True)
