"""The limits of waiting, as a value."""

from __future__ import annotations

from typing import NamedTuple


class Timeouts(NamedTuple):
    """How long to wait, in seconds; None waits for ever.

    connect: for a connection. read: for the next bytes in either direction, however long the whole body takes.
    total: for a whole call, all its attempts and the waits between them included, and a body that is read later.
    """

    connect: float | None = 10.0
    read: float | None = 60.0
    total: float | None = None
