"""The settings of waiting and of trying again, and ages, as sessions take them from their callers: checked, and each by its name."""

from __future__ import annotations

import math
from datetime import timedelta

from s3func.transport.retry import RetryPolicy
from s3func.transport.timeouts import Timeouts

_SECONDS_MAX = 1e9


def checked_timeouts(timeouts: Timeouts | None, connect: float | None, read: float | None) -> Timeouts:
    """The limits; ValueError for one that is not positive, None for infinity."""
    if timeouts is not None and not isinstance(timeouts, Timeouts):
        raise TypeError(f"timeouts must be Timeouts, not {type(timeouts).__name__}")
    given = timeouts or Timeouts()
    limits = {name: _seconds(f"timeouts.{name}", value) for name, value in given._asdict().items()}
    if connect is not None:
        limits["connect"] = _seconds("connect_timeout", connect)
    if read is not None:
        limits["read"] = _seconds("read_timeout", read)
    return Timeouts(**limits)


def checked_policy(retries: RetryPolicy | int | None, max_attempts: int | None) -> RetryPolicy:
    """The policy; a number means how many attempts."""
    if max_attempts is not None:
        if retries is not None:
            raise ValueError("retries and max_attempts are two names of one argument: give one of them")
        return RetryPolicy(attempts=checked_count("max_attempts", max_attempts))
    if retries is None:
        return RetryPolicy()
    if not isinstance(retries, RetryPolicy):
        return RetryPolicy(attempts=checked_count("retries", retries))
    checked_count("retries.attempts", retries.attempts)
    for name, value in retries._asdict().items():
        _number(f"retries.{name}", value)
    return retries


def checked_count(name: str, value: object) -> int:
    """A whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return value


def checked_age(older_than: timedelta | float) -> float:
    """An age in seconds."""
    if isinstance(older_than, timedelta):
        seconds = older_than.total_seconds()
    elif isinstance(older_than, int | float) and not isinstance(older_than, bool):
        seconds = float(older_than)
    else:
        raise TypeError(f"older_than must be a timedelta or seconds, not {type(older_than).__name__}")
    if not 0 <= seconds < math.inf:
        raise ValueError(f"older_than must not be negative, nor endless: {older_than!r}")
    return seconds


def _seconds(name: str, value: object) -> float | None:
    """A limit in seconds; None, and infinity as well, is no limit."""
    if value is None:
        return None
    seconds = _number(name, value)
    if seconds == float("inf"):
        return None
    # More than 30 years is a mistake of the unit, and more than a kernel can count.
    if not 0 < seconds <= _SECONDS_MAX:
        raise ValueError(f"{name} must be more than 0 seconds and at most {_SECONDS_MAX:.0f}, not {seconds}")
    return seconds


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not value >= 0:
        raise ValueError(f"{name} must not be negative, but it is {value}")
    return value
