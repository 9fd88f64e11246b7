"""The time of leases: how long ago something was, on the clock that would make it longest."""

from __future__ import annotations

import time

from s3func.clock import SYSTEM_CLOCK, Clock


class LeaseClock:
    """`elapsed()` never says less than what really passed; `monotonic()` and `sleep()` are the Clock's own.

    Python's monotonic clock stands still while a Linux machine sleeps, the boot-time clock does not, and elsewhere the
    time of day may be the only one that goes on. So each step counts what the fastest of them says: setting the time
    of day forward can lose a lock early, nothing keeps it too long.
    """

    __slots__ = ("_clock", "_seen", "monotonic", "sleep")

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self.monotonic = clock.monotonic
        self.sleep = clock.sleep
        # The readings and the sum belong together and are replaced as one, so threads need no lock: each answer is
        # right by the readings that it started from.
        self._seen = (self._readings(), 0.0)

    def elapsed(self) -> float:
        """Seconds since this clock was made."""
        before, total = self._seen
        readings = self._readings()
        total += max(0.0, *(now - then for now, then in zip(readings, before, strict=True)))
        self._seen = (readings, total)
        return total

    def _readings(self) -> tuple[float, ...]:
        return (self._clock.monotonic(), self._clock.now(), _boot_time())


if hasattr(time, "CLOCK_BOOTTIME"):

    def _boot_time() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
else:  # pragma: no cover -- other systems

    def _boot_time() -> float:
        return 0.0
