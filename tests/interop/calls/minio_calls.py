"""What minio-py is asked to do with our server; each function is one process, and an assertion is its exit status."""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

minio: Any = importlib.import_module("minio")
commonconfig: Any = importlib.import_module("minio.commonconfig")
deleteobjects: Any = importlib.import_module("minio.deleteobjects")

BUCKET = os.environ["S3_BUCKET"]
MIB = 1024 * 1024
# Its own interface wants the keys and the address; the region is left for it to ask.
store: Any = minio.Minio(
    os.environ["S3_ADDRESS"], os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], secure=False
)


def body_of(name: str, size: int = 1000) -> bytes:
    """Bytes that only this name has."""
    return hashlib.shake_128(name.encode()).digest(size)


def read(key: str, **options: Any) -> bytes:
    """A whole object, or a part of it."""
    answer = store.get_object(BUCKET, key, **options)
    try:
        return bytes(answer.data)
    finally:
        answer.close()
        answer.release_conn()


def transfers() -> None:
    """Bodies of known and of unknown length arrive whole, in one piece and in parts, and come back into a file."""
    small, large = body_of("small"), body_of("large", 20 * MIB)
    store.put_object(BUCKET, "small", io.BytesIO(small), len(small), content_type="x/y", metadata={"colour": "red"})
    stat = store.stat_object(BUCKET, "small")
    assert (len(small), "x/y", "red") == (stat.size, stat.content_type, stat.metadata["x-amz-meta-colour"])
    store.put_object(BUCKET, "unknown", io.BytesIO(large), -1, part_size=5 * MIB)
    assert large == read("unknown")
    assert large[7 * MIB : 7 * MIB + 9] == read("unknown", offset=7 * MIB, length=9)
    Path("up").write_bytes(large)
    store.fput_object(BUCKET, "a file/é +", "up", part_size=5 * MIB)
    store.fget_object(BUCKET, "a file/é +", "down")
    assert large == Path("down").read_bytes()
    store.put_object(BUCKET, "empty", io.BytesIO(b""), -1, part_size=5 * MIB)
    assert b"" == read("empty")


def copies() -> None:
    """An object is copied with new metadata, and composed of others without a byte leaving the server."""
    one, two = body_of("one", 5 * MIB), body_of("two", 1 * MIB)
    for key, body in (("one", one), ("two", two)):
        store.put_object(BUCKET, key, io.BytesIO(body), len(body))
    source = commonconfig.CopySource(BUCKET, "two")
    store.copy_object(BUCKET, "copy", source, metadata={"colour": "blue"}, metadata_directive="REPLACE")
    assert "blue" == store.stat_object(BUCKET, "copy").metadata["x-amz-meta-colour"]
    sources = [commonconfig.ComposeSource(BUCKET, "one"), commonconfig.ComposeSource(BUCKET, "two", offset=9)]
    store.compose_object(BUCKET, "both", sources)
    assert one + two[9:] == read("both")


def listings() -> None:
    """Listings are complete, flat and by folder, and remove_objects deletes exactly what it is given."""
    keys = sorted([f"dir {n % 3}/é+{n:02d}%&<" for n in range(20)] + ["top"], key=str.encode)
    for key in keys:
        store.put_object(BUCKET, key, io.BytesIO(b"x"), 1)
    assert keys == [entry.object_name for entry in store.list_objects(BUCKET, recursive=True)]
    assert ["dir 0/", "dir 1/", "dir 2/", "top"] == sorted(entry.object_name for entry in store.list_objects(BUCKET))
    gone = [deleteobjects.DeleteObject(key) for key in keys[:15]]
    assert [] == list(store.remove_objects(BUCKET, gone))
    assert keys[15:] == [entry.object_name for entry in store.list_objects(BUCKET, recursive=True)]


def buckets() -> None:
    """Buckets come and go, tags are kept, versions are switched on, and presigned URLs are signed for this server."""
    store.make_bucket("minio-made")
    assert store.bucket_exists("minio-made")
    assert {BUCKET, "minio-made"} == {bucket.name for bucket in store.list_buckets()}
    store.remove_bucket("minio-made")
    assert not store.bucket_exists("minio-made")
    store.put_object(BUCKET, "key", io.BytesIO(b"x"), 1)
    tags = commonconfig.Tags.new_object_tags()
    tags["colour"] = "a+b = c/d"
    store.set_object_tags(BUCKET, "key", tags)
    assert {"colour": "a+b = c/d"} == dict(store.get_object_tags(BUCKET, "key"))
    url = store.presigned_get_object(BUCKET, "key", expires=timedelta(minutes=1))
    urllib3: Any = importlib.import_module("urllib3")
    assert b"x" == urllib3.PoolManager().request("GET", url).data


if __name__ == "__main__":
    globals()[sys.argv[1]]()
