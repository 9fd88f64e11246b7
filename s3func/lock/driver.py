"""Driver: carries out the steps of the protocol with the verbs of a store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from s3func.errors import NotFound, S3FuncError
from s3func.lock.core import Delete, Head, Listing, Pause, Purge, Put, Steps
from s3func.lock.lease import LeaseClock

Result = TypeVar("Result")


class Store(Protocol):
    """What a lock needs: three verbs to be safe, the others to renew, to tidy up and to say who holds it.

    A listing that begins after a put of a new key has returned must show that key: nothing else is asked of a store.
    """

    def put_object(self, key: str, body: bytes, *, bucket: str | None = None) -> Any:
        """Store an object; the result has a `version_id`, None without versions."""

    def list_objects(self, prefix: str, *, bucket: str | None = None) -> Iterable[Any]:
        """All objects under a prefix, with `key` and `last_modified`."""

    def delete_object(self, key: str, version_id: str | None = None, *, bucket: str | None = None) -> Any:
        """Delete an object or a version; the result has a `version_id`, None without versions."""

    def head_object(self, key: str, *, bucket: str | None = None) -> Any:
        """NotFound when there is no such object."""

    def get_object(self, key: str, *, bucket: str | None = None) -> Any:
        """An object with its `data`."""

    def list_object_versions(self, prefix: str, *, bucket: str | None = None) -> Iterable[Any]:
        """All versions under a prefix, the newest of a key first."""

    def limited(self, seconds: float) -> Store:
        """The same store, each of whose calls ends after so many seconds."""


class Driver:
    """One store, one bucket; safe for threads, because it remembers nothing."""

    __slots__ = ("bucket", "store", "time")

    def __init__(self, store: Store, bucket: str | None, time: LeaseClock) -> None:
        self.store = store
        self.bucket = bucket
        self.time = time

    def run(self, steps: Steps[Result]) -> Result:
        """Carry out one generator to its end; what interrupts it (KeyboardInterrupt) ends it where it stands."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = self.perform(step)
                except S3FuncError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        finally:
            steps.close()

    def perform(self, step: Put | Listing | Delete | Head | Purge | Pause) -> Any:
        """Carry out one step."""
        match step:
            case Put(key, body):
                return self.store.put_object(key, body, bucket=self.bucket).version_id
            case Listing(prefix):
                return [
                    (entry.key, None if entry.last_modified is None else entry.last_modified.timestamp())
                    for entry in self.store.list_objects(prefix, bucket=self.bucket)
                ]
            case Delete(key, version_id):
                done = self.store.delete_object(key, version_id, bucket=self.bucket)
                return done.version_id is not None
            case Head(key):
                try:
                    self.store.head_object(key, bucket=self.bucket)
                except NotFound:
                    return False
                return True
            case Purge(prefix, keep):
                # The oldest first and a delete marker last: nothing comes to light again in between.
                for entry in reversed(list(self.store.list_object_versions(prefix, bucket=self.bucket))):
                    if entry.key != keep:
                        self.store.delete_object(entry.key, entry.version_id, bucket=self.bucket)
                return None
            case Pause(seconds):
                self.time.sleep(seconds)
                return None


def log_warning(text: str, *arguments: object) -> None:
    """One line for whoever listens: nobody asked, so nothing is raised."""
    import logging

    logging.getLogger("s3func").warning(text, *arguments)
