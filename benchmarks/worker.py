"""The process that is measured: one contender, a few tasks, in a fresh interpreter.

It is given one JSON document as its argument and speaks in lines: for each task it warms up, writes `ready`, waits for
a line, measures, and writes the reading as JSON. The waiting lets the parent start several processes at once.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.contenders import Contender, Target, WrongAnswer, open_contender
from benchmarks.measure import (
    KEY_COUNT,
    Reading,
    list_call,
    repeat_for,
    run_calls,
    run_stream,
    small_call,
)
from benchmarks.sink import ETAG, bulk_block

_SMALL_KEYS = [f"small/2026/11/event-{number:05d}.json" for number in range(KEY_COUNT)]
_BULK_KEY = "bulk/object"


def main() -> int:
    order = json.loads(sys.argv[1])
    target = Target(order["host"], order["port"], order["bucket"], max(task["threads"] for task in order["tasks"]))
    contender = open_contender(order["contender"], target)
    try:
        for task in order["tasks"]:
            reading = _measure(contender, target, task, order["sink_pids"])
            print(json.dumps(reading.as_dict()), flush=True)
    finally:
        contender.close()
    return 0


def _measure(contender: Contender, target: Target, task: dict[str, Any], sink_pids: list[int]) -> Reading:
    verb = task["verb"]
    if verb in {"put", "get", "head", "list"}:
        call = list_call(contender) if verb == "list" else small_call(contender, verb)
        keys = [task["prefix"]] if verb == "list" else _SMALL_KEYS
        repeat_for(call, keys, task["warm_up_seconds"])
        _wait_for_start()
        return run_calls(call, keys, task["threads"], task["seconds"], sink_pids)
    contender.head(_BULK_KEY)
    size, path = task["bulk_size"], task["bulk_path"]
    work: Callable[[], None]
    if verb == "download":

        def work() -> None:
            if (count := contender.download(_BULK_KEY)) != size:
                raise WrongAnswer(f"download: {count} bytes")

    else:
        body = bulk_block() * (size >> 20) if verb == "upload from memory" else b""
        received_before_now(target)

        def work() -> None:
            etag = contender.upload_memory(_BULK_KEY, body) if body else contender.upload_file(_BULK_KEY, path)
            if etag != ETAG:
                raise WrongAnswer(f"{verb}: ETag {etag!r}")

    _wait_for_start()
    reading = run_stream(work, sink_pids)
    if verb != "download" and (count := received_before_now(target)) != size:
        raise WrongAnswer(f"{verb}: the sink received {count} of {size} bytes")
    return reading


def _wait_for_start() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def received_before_now(target: Target) -> int:
    """Bytes of large uploads that have reached the sink since the last time somebody asked."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=10)
    try:
        connection.request("GET", "/received")
        return int(connection.getresponse().read())
    finally:
        connection.close()
