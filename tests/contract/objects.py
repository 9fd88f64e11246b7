"""Words in which the contract suite speaks about objects."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings

from s3func.server.backend import Backend, Guard, ObjectAttributes, StoredObject
from s3func.server.backends.drime import DrimeBackend
from s3func.server.backends.local import LocalBackend
from s3func.server.backends.memory import MemoryBackend
from s3func.server.backends.session import SessionBackend
from s3func.server.powers import Editable, Multipart, Versioned

STORES: dict[str, type] = {
    "memory": MemoryBackend,
    "local": LocalBackend,
    "drime": DrimeBackend,
    "session": SessionBackend,
}
"""Every store that the contract suite runs over."""


_DOCUMENTS = "a gateway keeps no documents, and refuses them: nobody is told that a legal hold was set when it was not"
_DESCRIBED = "a record says what the store behind says, which has more headers and checksums, and whole seconds"
_PARTS = "a session's reader does not say which parts an object was uploaded in"
_ROWS = "the rows of a listing say no more than those of S3: no owner, and no version of an object"
_MARKERS = (
    "a listing goes on at a version or an upload that is gone with all of its key, so that nothing is left out: a "
    "session's listing begins at a key, and no id is known to be none"
)
SHORTFALLS = {
    "test_multipart.py::TestUploads::test_life_of_an_upload": _DOCUMENTS,
    "test_multipart.py::TestUploads::test_objects_of_one_put_have_no_parts": _PARTS,
    "test_multipart.py::TestCompleting::test_only_the_named_parts": _PARTS,
    "test_multipart.py::TestCompleting::test_guards": _DESCRIBED,
    "test_multipart.py::TestCompleting::test_completing_again": _DOCUMENTS,
    "test_multipart.py::TestCompleting::test_racing_conditions": _DESCRIBED,
    "test_multipart.py::TestObjectsOfParts::test_open_readers_go_on": _PARTS,
    "test_multipart.py::TestObjectsOfParts::test_copies": "a copy is begun by the store when it is committed",
    "test_multipart.py::TestListing::test_pages_are_the_whole_in_pieces": _MARKERS,
    "test_multipart.py::TestListing::test_markers": _MARKERS,
    "test_versioned.py::TestStatus::test_life_of_a_status": "when a bucket was made is known to a listing only, and its status is not",
    "test_versioned.py::TestEnabled::test_every_version_is_kept": _DOCUMENTS,
    "test_versioned.py::TestEnabled::test_a_delete_marker": _ROWS,
    "test_versioned.py::TestEnabled::test_deleting_versions": _ROWS,
    "test_versioned.py::TestEnabled::test_copies_of_versions": _DOCUMENTS,
    "test_versioned.py::TestNullVersions::test_what_was_there_before": _DOCUMENTS,
    "test_versioned.py::TestGuards::test_commits_see_the_current_object": _DESCRIBED,
    "test_versioned.py::TestGuards::test_deletions_see_what_they_take": _DOCUMENTS,
    "test_versioned.py::TestListing::test_pages_are_the_whole_in_pieces": _MARKERS,
    "test_versioned.py::TestListing::test_markers_of_a_listing": _MARKERS,
}
"""Where a gateway cannot do what the contract says, and why: each of these tests is run, and has to fail."""


KEEPERS = ["memory", "local", "drime"]
"""The stores that keep everything themselves. A gateway keeps what the store behind it keeps: see test_session.py."""

of_keepers = pytest.mark.parametrize("make_backend", KEEPERS, indirect=True)


def can_have(backend: Backend, keys: Iterable[str]) -> bool:
    """Whether the store can have these keys: S3, and so what is reached through it, has none with a NUL."""
    return not isinstance(backend, SessionBackend) or not any("\0" in key for key in keys)


def stores_with(power: type) -> list[str]:
    """The stores that have a power."""
    return [name for name, store in STORES.items() if issubclass(store, power)]


class VersionedBackend(Backend, Versioned, Protocol):
    """A store with versions."""


class MultipartBackend(Backend, Multipart, Protocol):
    """A store that takes objects in parts."""


class EditableBackend(Backend, Editable, Protocol):
    """A store whose documents can be edited."""


# Property tests share the store of their test function; each example makes a bucket of its own.
shared_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)

PLAIN = ObjectAttributes()

FULL = ObjectAttributes(
    headers={"content-type": "text/plain", "cache-control": "no-store", "x-amz-storage-class": "GLACIER"},
    metadata={"source": "sensor-1", "name": "Grüße \u2603 \x01"},
    checksums={"crc32": "AAAAAA==", "sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
    documents={"tagging": "<Tagging/>", "acl": "private"},
    owner="someone",
)

_bucket_numbers = count(1)


def new_bucket(backend: Backend) -> str:
    name = f"bucket-{next(_bucket_numbers)}"
    backend.create_bucket(name)
    return name


def put(
    backend: Backend,
    key: str,
    body: bytes = b"",
    attributes: ObjectAttributes = PLAIN,
    guard: Guard | None = None,
    bucket: str = "bucket",
) -> StoredObject:
    with backend.begin_put(bucket, key) as writer:
        for start in range(0, len(body), 100_000):
            writer.write(memoryview(body)[start : start + 100_000])
        return writer.commit(attributes, guard)


def get(backend: Backend, key: str, bucket: str = "bucket") -> bytes:
    with backend.open_object(bucket, key) as reader:
        return reader.read_at(0, reader.stored.size + 1)


def body_of(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_128(seed.to_bytes(4, "big")).digest(size)


def keys_of(backend: Backend, bucket: str = "bucket") -> list[str]:
    return [row.key for row in backend.list_objects(bucket, limit=10_000).rows]


def run_threads(works: Iterable[Callable[[], Any]]) -> list[Any]:
    """Run each work in a thread of its own, all at once; return what they returned or raised, in order."""
    works = list(works)
    results: list[Any] = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def run(number: int, work: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[number] = work()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class StoppedClock:
    """A clock that shows what it is set to."""

    def __init__(self, time: float) -> None:
        self.time = time

    def now(self) -> float:
        return self.time

    monotonic = now

    def sleep(self, seconds: float) -> None:
        self.time += seconds
