"""Many files at once: fsspec decides which go where, threads move them, and a callback is told by one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from fsspec.callbacks import Callback

from s3func.transport.parallel import Crew

_AT_A_TIME = 16


def side_by_side(call: Callable[[Any], None], places: Iterable[Any]) -> None:
    """Call for each, some at a time; the first failure is raised when those under way are done."""
    with Crew(_AT_A_TIME, name="s3func-files") as crew:
        for place in places:
            crew.submit(lambda place=place: call(place))  # type: ignore[misc]


def ancestors(paths: Iterable[str]) -> set[str]:
    """Every folder that one of the paths lies in."""
    found: set[str] = set()
    for path in paths:
        above = path.rstrip("/").rpartition("/")[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return found


class Recorder:
    """A filesystem to fsspec's get(), put() and copy(), which writes down what they would do to single files."""

    def __init__(self, filesystem: Any, verb: str) -> None:
        """verb: the method that is written down: get_file, put_file or cp_file."""
        self.pairs: list[tuple[Any, Any, dict[str, Any]]] = []
        self._filesystem = filesystem
        setattr(self, verb, self._record)

    def _record(self, source: Any, target: Any, callback: Any = None, **options: Any) -> None:
        self.pairs.append((source, target, options))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._filesystem, name)


class Told:
    """A callback of fsspec's, which knows nothing of threads, for several of them."""

    def __init__(self, callback: Callback, size: int) -> None:
        """size: how many files there are."""
        self._callback = callback
        self._lock = threading.Lock()
        callback.set_size(size)

    def done(self, count: int = 1) -> None:
        """So many files are done."""
        with self._lock:
            self._callback.relative_update(count)

    @contextmanager
    def branched(self, source: Any, target: Any) -> Iterator[Any]:
        """The callback of one file."""
        with self._lock:
            child = self._callback.branched(source, target)
        with child:
            yield child
        self.done()
