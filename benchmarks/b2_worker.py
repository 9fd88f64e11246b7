"""The process that is measured against B2's API: one client, and either some small calls or one large transfer.

It is given one JSON document as its argument and writes one as its result.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from benchmarks.b2_clients import Client, Entry, Where, entry_named
from benchmarks.b2_documents import TOKEN
from benchmarks.contenders import WrongAnswer
from benchmarks.measure import KEY_COUNT, repeat_for, run_calls
from benchmarks.page import KEYS, PLAIN_PREFIX, TOTAL_SIZE
from benchmarks.sink import BUCKET, SMALL_SIZE, small_body
from benchmarks.transfer_clients import Task
from benchmarks.transfer_worker import measured

SMALL_KEYS = [f"small/2026/11/event-{number:05d}.json" for number in range(KEY_COUNT)]


def main() -> int:
    order = json.loads(sys.argv[1])
    entry = entry_named(order.pop("client"))
    print(json.dumps(_calls(entry, order) if "verbs" in order else _transfer(entry, order)))
    return 0


def _transfer(entry: Entry, order: dict[str, Any]) -> dict[str, Any]:
    direction = order.pop("direction")
    task = Task(**order)
    where = Where(task.port, task.connections if entry.given_connections else 0, task.part_size)
    if direction == "download":
        _ask_for_sha1(task)
    client = entry.make(where, entry.variant)
    try:
        return asdict(measured(client.upload if direction == "upload" else client.download, task))
    finally:
        client.close()


def _ask_for_sha1(task: Task) -> None:
    """Have the sink take the SHA-1 of its object now, if nobody has asked it before."""
    connection = http.client.HTTPConnection("127.0.0.1", task.port, timeout=60)
    try:
        connection.request("HEAD", f"/file/{BUCKET}/{task.download_key}", headers={"Authorization": TOKEN})
        connection.getresponse().read()
    finally:
        connection.close()


def _calls(entry: Entry, order: dict[str, Any]) -> dict[str, Any]:
    """For each verb the reading of its loop."""
    threads = order["threads"]
    client = entry.make(Where(order["port"], threads), entry.variant)
    readings = {}
    try:
        for verb in order["verbs"]:
            call = checked_call(client, verb)
            keys = [PLAIN_PREFIX] if verb == "list" else SMALL_KEYS
            repeat_for(call, keys, order["warm_up_seconds"])
            readings[verb] = run_calls(call, keys, threads, order["seconds"], order["sink_pids"]).as_dict()
    finally:
        client.close()
    return readings


def checked_call(client: Client, verb: str) -> Callable[[str], None]:
    """One call whose answer is looked at."""
    body = small_body()
    digest = hashlib.sha1(body, usedforsecurity=False).hexdigest()
    put, get, list_page = client.put, client.get, client.list_page

    def checked_put(key: str) -> None:
        if (sha1 := put(key, body)) != digest:
            raise WrongAnswer(f"put: SHA-1 {sha1!r}")

    def checked_get(key: str) -> None:
        if (size := get(key)) != SMALL_SIZE:
            raise WrongAnswer(f"get: {size} bytes")

    def checked_list(prefix: str) -> None:
        if (found := list_page(prefix)) != (KEYS, TOTAL_SIZE):
            raise WrongAnswer(f"list: {found}")

    return {"put": checked_put, "get": checked_get, "list": checked_list}[verb]


if __name__ == "__main__":
    sys.exit(main())
