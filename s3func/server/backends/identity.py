"""Ids of versions and uploads: they sort as they were given, and nobody can guess one.

An id is the store's own serial number, 16 digits, and 64 random bits, both hexadecimal. So the place of an id in a
listing is known also when what it named is gone.
"""

from __future__ import annotations

import re
import secrets

from s3func.errors import service_error

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def new_id(serial: int) -> str:
    """An id for what has this serial number, below 2**63."""
    return f"{serial:016x}{secrets.token_hex(8)}"


def serial_of(text: str) -> int | None:
    """The serial number of an id; None for what is no id of ours."""
    if _ID.fullmatch(text) is None:
        return None
    serial = int(text[:16], 16)
    return serial if serial < 1 << 63 else None


def marker_serial(text: str, argument: str) -> int:
    """The serial number of an id that says where a listing goes on; InvalidArgument for what is no id of ours."""
    serial = serial_of(text)
    if serial is None:
        raise service_error(
            "InvalidArgument",
            "Invalid id specified",
            details={"ArgumentName": argument, "ArgumentValue": text},
        )
    return serial
