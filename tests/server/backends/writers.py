"""A program that writes to a local store until it is killed; it tells what the store has acknowledged.

Run as `python writers.py STORE THREADS`. Every line of its output is "BUCKET KEY NUMBER VERSION": the write of that
number, or (a negative one) the deletion, has returned; VERSION is "-" in the bucket that keeps none. A key belongs to
one thread, whose numbers rise. What a number writes, and how, follows from it, so that a reader can tell.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from itertools import count

from s3func.server.backend import ObjectAttributes, StoredObject
from s3func.server.backends.local import LocalBackend

PLAIN, VERSIONED = "bucket", "history"
SIZES = [0, 700, 16_384, 16_385, 60_000, 200_000]


def body_of(key: str, number: int, part: int = 0) -> bytes:
    """The body that the given write has, or one part of it: nobody else's, so that a mixture of two is seen."""
    return hashlib.shake_128(f"{key} {number} {part}".encode()).digest(SIZES[(number + part) % len(SIZES)])


def parts_of(number: int) -> list[int]:
    """The parts that the given write is made of; none: it is one put."""
    return list(range(1, 2 + number % 3)) if number % 4 == 3 else []


def write(backend: LocalBackend, bucket: str, key: str, number: int) -> StoredObject:
    """Put an object, or upload it in parts: one of them twice, and one that is not used."""
    attributes = ObjectAttributes(metadata={"key": key, "number": str(number)})
    parts = parts_of(number)
    if not parts:
        body = body_of(key, number)
        with backend.begin_put(bucket, key) as writer:
            for start in range(0, len(body), 50_000):
                writer.write(body[start : start + 50_000])
            return writer.commit(attributes)
    upload_id = backend.create_upload(bucket, key, attributes).upload_id
    etags: dict[int, str] = {}
    for part in [9, 1, *parts]:
        with backend.begin_part(bucket, key, upload_id, part) as part_writer:
            part_writer.write(body_of(key, number, part))
            etags[part] = part_writer.commit().etag
    with backend.begin_complete(bucket, key, upload_id, [(part, etags[part]) for part in parts]) as completion:
        return completion.commit(completion.upload.attributes)


def work(backend: LocalBackend, thread: int) -> None:
    for number in count(1):
        bucket = (PLAIN, VERSIONED)[number % 2]
        key = f"thread-{thread}/key-{number % 6}"
        if number % 11 == 10:
            deleted = backend.delete_object(bucket, key)
            os.write(1, f"{bucket} {key} {-number} {deleted.version_id or '-'}\n".encode())
            continue
        stored = write(backend, bucket, key, number)
        os.write(1, f"{bucket} {key} {number} {stored.version_id or '-'}\n".encode())
        if number % 5 == 0:
            with backend.begin_copy(bucket, key, bucket, f"{key}-copy") as copy:
                stored = copy.commit(copy.source)
            os.write(1, f"{bucket} {key}-copy {number} {stored.version_id or '-'}\n".encode())


def main() -> None:
    backend = LocalBackend(sys.argv[1], durability="os")
    for thread in range(int(sys.argv[2])):
        threading.Thread(target=work, args=(backend, thread)).start()


if __name__ == "__main__":
    main()
