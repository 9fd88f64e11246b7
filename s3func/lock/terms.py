"""The settings of a lock, checked before anything is sent."""

from __future__ import annotations

import math
import threading

from s3func.lock import tickets
from s3func.lock.core import Terms

PATIENCE_SECONDS = 60.0
CONFIRM_SECONDS = 2.0
_KEY_BYTES_MAX = 1024
_TTL_MAX = 999_999_999
EXPIRIES = ("server", "observed")


def terms_of(
    name: str,
    shared: bool,
    ttl: float | None,
    grace: float | None,
    poll: tuple[float, float],
    expiry: str,
    *,
    fencing: bool,
    fast: bool,
) -> Terms:
    """The terms of a lock; TypeError and ValueError name the argument."""
    lease = 0.0 if ttl is None else check_seconds("ttl", ttl)
    if ttl is not None and not 1 <= lease <= _TTL_MAX:
        raise ValueError(f"ttl must be 1 to {_TTL_MAX} seconds, or None for a lock that never expires, not {ttl}")
    if expiry not in EXPIRIES:
        raise ValueError(f"expiry must be one of {EXPIRIES}, not {expiry!r}")
    if fencing and fast:
        raise ValueError("fast and fencing exclude each other: the fast way takes no number, and a token is one")
    if not isinstance(poll, tuple | list) or len(poll) != 2:
        raise ValueError(f"poll must be (shortest, longest) in seconds, not {poll!r}")
    poll_min, poll_max = (check_seconds("poll", seconds) for seconds in poll)
    if not 0 < poll_min <= poll_max:
        raise ValueError(f"poll must be (shortest, longest) in seconds, more than 0, not {poll}")
    return Terms(
        prefix=_prefix(name),
        mode=tickets.SHARED if shared else tickets.EXCLUSIVE,
        ttl=lease,
        grace=max(10.0, lease / 4) if grace is None else check_seconds("grace", grace),
        poll_min=poll_min,
        poll_max=poll_max,
        confirm=min(CONFIRM_SECONDS, lease / 5) if lease else CONFIRM_SECONDS,
        patience=PATIENCE_SECONDS,
        fencing=fencing,
        fast=fast,
        expiry=expiry,
    )


def _prefix(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"key must be a str, not {type(name).__name__}")
    if not name:
        raise ValueError("key is empty: a lock needs a name")
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"key is not Unicode text: {error.reason}") from None
    if length > _KEY_BYTES_MAX - tickets.KEY_OVERHEAD:
        raise ValueError(
            f"key is {length} bytes long; a lock's name has at most {_KEY_BYTES_MAX - tickets.KEY_OVERHEAD}"
        )
    return name + tickets.SUFFIX


def check_note(note: str | None) -> None:
    """What others are shown; TypeError and ValueError."""
    if note is None:
        return
    if not isinstance(note, str):
        raise TypeError(f"note must be a str, not {type(note).__name__}")
    try:
        note.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"note is not Unicode text: {error.reason}") from None


def check_seconds(argument: str, seconds: float) -> float:
    """A number of seconds, not negative and not infinite."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{argument} must be a number of seconds, not {type(seconds).__name__}")
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{argument} must be 0 seconds or more, not {seconds}")
    return float(seconds)


def check_timeout(blocking: bool, timeout: float) -> float | None:
    """How long acquire() may take, None for ever; with the errors of threading.Lock."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds, not {type(timeout).__name__}")
    if not blocking:
        if timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        return 0.0
    if timeout == -1:
        return None
    if not timeout >= 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > threading.TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return float(timeout)
