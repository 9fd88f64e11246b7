"""A program that writes to a local store until it is killed; it tells what the store has acknowledged.

Run as `python writers.py STORE THREADS`. Every line of its output is "KEY NUMBER": put, copy or (a negative number)
deletion of that number has returned. A key belongs to one thread, whose numbers rise.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from itertools import count

from s3func.server.backend import ObjectAttributes
from s3func.server.backends.local import LocalBackend

SIZES = [0, 700, 16_384, 16_385, 90_000, 400_000]


def body_of(key: str, number: int) -> bytes:
    """The body that the given put writes: nobody else's, so that a mixture of two is seen."""
    return hashlib.shake_128(f"{key} {number}".encode()).digest(SIZES[number % len(SIZES)])


def write(backend: LocalBackend, thread: int) -> None:
    for number in count(1):
        key = f"thread-{thread}/key-{number % 7}"
        if number % 11 == 10:
            backend.delete_object("bucket", key)
            os.write(1, f"{key} {-number}\n".encode())
            continue
        body = body_of(key, number)
        attributes = ObjectAttributes(metadata={"key": key, "number": str(number)})
        with backend.begin_put("bucket", key) as writer:
            for start in range(0, len(body), 50_000):
                writer.write(body[start : start + 50_000])
            writer.commit(attributes)
        os.write(1, f"{key} {number}\n".encode())
        if number % 5 == 0:
            with backend.begin_copy("bucket", key, "bucket", f"{key}-copy") as copy:
                copy.commit(copy.source)
            os.write(1, f"{key}-copy {number}\n".encode())


def main() -> None:
    backend = LocalBackend(sys.argv[1], durability="os")
    if not backend.list_buckets():
        backend.create_bucket("bucket")
    for thread in range(int(sys.argv[2])):
        threading.Thread(target=write, args=(backend, thread)).start()


if __name__ == "__main__":
    main()
