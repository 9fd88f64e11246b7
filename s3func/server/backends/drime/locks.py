"""Locks of the Drime store: one per key for the moment of a change, and one between changes of objects and of buckets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, RLock

_STRIPES = 128


class KeyLocks:
    """A lock per key; some keys share one."""

    def __init__(self) -> None:
        self._locks = [RLock() for _ in range(_STRIPES)]

    def of(self, *what: object) -> RLock:
        """The lock of a key or an entry."""
        return self._locks[hash(what) % _STRIPES]


class Gate:
    """Many at a time, or one alone."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._inside = 0
        self._is_taken = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """With others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_taken)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Once everybody is out; nobody comes in meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_taken)
            self._is_taken = True
            self._changed.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()
