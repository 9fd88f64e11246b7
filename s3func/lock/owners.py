"""Owners: who holds a lock and who waits for it, as their tickets say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from s3func.errors import NotFound
from s3func.lock.driver import Driver
from s3func.lock.tickets import EXCLUSIVE, Standing, Tickets, standings
from s3func.models import Record
from s3func.wire.encoding import parse_http_date


class Owner(Record):
    """One ticket of a lock.

    host, pid, thread, note: what its owner says of itself. mode: "exclusive" or "shared". state: "holding", "waiting" or
    "choosing"; position: how many it waits for. since: the store's time of its announcement (aware, UTC). silent_for:
    seconds since its last sign of life; expires_in: seconds until others may remove it, None without a lease. Both by
    the store's clock, None where the store does not tell its time.
    """

    __slots__ = (
        "id",
        "host",
        "pid",
        "thread",
        "since",
        "mode",
        "state",
        "position",
        "silent_for",
        "expires_in",
        "note",
    )

    def __init__(
        self,
        id: str,  # noqa: A002 -- the name of the field
        host: str,
        pid: int,
        thread: str,
        since: datetime | None,
        mode: str,
        state: str,
        position: int,
        silent_for: float | None,
        expires_in: float | None,
        note: str | None,
    ) -> None:
        self.id = id
        self.host = host
        self.pid = pid
        self.thread = thread
        self.since = since
        self.mode = mode
        self.state = state
        self.position = position
        self.silent_for = silent_for
        self.expires_in = expires_in
        self.note = note


def owners_of(driver: Driver, listing: Tickets, grace: float) -> list[Owner]:
    """Whoever has a ticket in the listing and still has it when asked."""
    found = []
    for standing in standings(listing):
        try:
            found.append(_owner(driver, standing, grace))
        except NotFound:
            continue
    return found


def _owner(driver: Driver, standing: Standing, grace: float) -> Owner:
    ticket = standing.ticket
    announcement = next(key for key in ticket.keys if key.startswith(".0.", key.rindex(ticket.id) + len(ticket.id)))
    result = driver.store.get_object(announcement, bucket=driver.bucket)
    about = _about(result.data)
    silent = None
    now = _date(result.headers)
    if now is not None and ticket.stamp is not None:
        silent = max(0.0, now - ticket.stamp)
    return Owner(
        id=ticket.id,
        host=str(about.get("host") or ""),
        pid=about["pid"] if isinstance(about.get("pid"), int) else 0,
        thread=str(about.get("thread") or ""),
        since=result.last_modified,
        mode="exclusive" if ticket.mode == EXCLUSIVE else "shared",
        state=standing.state,
        position=standing.position,
        silent_for=silent,
        expires_in=None if silent is None or not ticket.ttl else max(0.0, ticket.ttl + grace - silent),
        note=about["note"] if isinstance(about.get("note"), str) else None,
    )


def _about(body: bytes) -> dict[str, Any]:
    try:
        about = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _date(headers: dict[str, str]) -> float | None:
    try:
        return parse_http_date(headers["date"]).astimezone(UTC).timestamp()
    except (KeyError, ValueError):
        return None
