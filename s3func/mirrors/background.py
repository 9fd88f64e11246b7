"""The thread of a mirror that uploads at intervals while the job runs.

1. One thread, one upload at a time; each registration's first turn comes after its first interval.
2. A turn that fails is written down and comes again later and later; it never ends the job.
3. stop() waits for the turn under way, so that nobody uploads the same beside it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

log = logging.getLogger("s3func.mirrors")

_BACK_OFF_MAX = 10


class Turn(Protocol):
    """What is done at intervals. due: on the monotonic clock; interval: seconds, None for never."""

    interval: float | None
    due: float
    failures: int
    last_error: BaseException | None


class Background:
    """Takes turns until it is stopped. `work` does one; it may raise."""

    def __init__(self, turns: Callable[[], Iterable[Turn]], work: Callable[[Turn], object]) -> None:
        """turns: those that there are at the moment."""
        self._turns = turns
        self._work = work
        self._wake = threading.Condition()
        self._is_stopped = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is a new turn: begin, or look again when the next one is due."""
        with self._wake:
            if self._thread is None and not self._is_stopped:
                self._thread = threading.Thread(target=self._run, name="s3func-mirror", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def stop(self, seconds: float | None = None) -> None:
        """Begin no turn any more, and wait for the one under way; no longer than so many seconds."""
        with self._wake:
            self._is_stopped = True
            self._wake.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _run(self) -> None:
        while (turn := self._next()) is not None:
            try:
                self._work(turn)
            except Exception as error:  # noqa: BLE001 -- whatever it is, a listener's own included: the next turn comes
                turn.failures += 1
                turn.last_error = error
                log.warning("an upload in the background failed, and will be tried again: %s", error)
            else:
                turn.failures = 0
                turn.last_error = None
            pause = (turn.interval or 0) * min(2**turn.failures, _BACK_OFF_MAX)
            turn.due = time.monotonic() + pause

    def _next(self) -> Turn | None:
        with self._wake:
            while not self._is_stopped:
                waiting = [turn for turn in self._turns() if turn.interval is not None]
                first = min(waiting, key=lambda turn: turn.due, default=None)
                left = None if first is None else first.due - time.monotonic()
                if left is not None and left <= 0:
                    return first
                self._wake.wait(left)
            return None
