from __future__ import annotations

import time
from threading import Lock

START = 1_800_000_000.0
"""2027-01-15 08:00:00 UTC, when every test begins."""


class FakeClock:
    """A clock whose waits cost nothing: sleeping moves it, and it remembers how long each sleep was.

    Its monotonic time runs with the machine's, because sockets wait in real time, and jumps with each sleep.
    """

    def __init__(self, now: float = START) -> None:
        self.slept: list[float] = []
        self._now = now
        self._lock = Lock()

    def now(self) -> float:
        """The time of day, which stands still except for sleeps and steps."""
        return self._now

    def monotonic(self) -> float:
        """The machine's own, and all sleeps."""
        return time.monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        with self._lock:
            self.slept.append(seconds)
            self._now += seconds

    def step(self, seconds: float) -> None:
        """Let somebody set the clock."""
        self._now += seconds
