"""Ids of buckets, versions and uploads, in the shape that B2 gives its file ids: one id serves both APIs.

`4_z<bucket>_f<kind><serial>_d<date>_m<time>_c<3>_v<7>_t<4>_u0<milliseconds>`: the kind is 1 for what was written at once
and for markers, 2 for an upload and for the version that it becomes; the serial is the store's own number, 15 digits;
the 14 digits behind c, v and t are random (46 bits), so knowing one id nobody guesses the next.

Rule 1: the serial of kind 1 is its place among the versions of its key, known also when what it named is gone. A large
        file keeps the id of its upload, whose serial is older than the version's place: a place is written behind it.
Rule 2: ids of the former shape, 16 digits of the serial and 64 random bits, stay valid for ever.
https://www.backblaze.com/apidocs/b2-get-file-info
"""

from __future__ import annotations

import hashlib
import re
import secrets
from time import gmtime, strftime

from s3func.errors import service_error

_ID = re.compile(
    r"4_z[0-9a-f]{24}_f(?P<kind>[12])(?P<serial>[0-9a-f]{15})_d[0-9]{8}_m[0-9]{6}_c[0-9]{3}_v[0-9]{7}_t[0-9]{4}_u0[0-9]{13}",
    re.ASCII,
)
_PLACE = re.compile(r"[0-9a-f]{1,16}", re.ASCII)
_FORMER_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SERIALS = 1 << 60
_RANDOM = 10**14


def bucket_identity(name: str, created: float) -> str:
    """The id of a bucket: 24 digits, another one when the name is given to a new bucket."""
    return hashlib.sha256(f"{round(created * 1000)}/{name}".encode()).hexdigest()[:24]


def new_id(serial: int, bucket: str, now: float, *, large: bool = False) -> str:
    """An id for what has this serial number in the bucket of this id. large: it is an upload's. now: epoch seconds."""
    if serial >= _SERIALS:
        raise ValueError("serial: the store has been opened too often")
    random = f"{secrets.randbelow(_RANDOM):014d}"
    date = strftime("d%Y%m%d_m%H%M%S", gmtime(now))
    return (
        f"4_z{bucket}_f{2 if large else 1}{serial:015x}_{date}"
        f"_c{random[:3]}_v{random[3:10]}_t{random[10:]}_u0{round(now * 1000):013d}"
    )


def serial_of(text: str) -> int | None:
    """The serial number of an id; None for what is no id of ours."""
    found = _ID.fullmatch(text)
    if found is not None:
        return int(found["serial"], 16)
    if _FORMER_ID.fullmatch(text) is None:
        return None
    serial = int(text[:16], 16)
    return serial if serial < 1 << 63 else None


def placed(version_id: str, serial: int) -> str:
    """The id with the place of its version, where that is not the serial in it: what a listing says to go on behind."""
    return version_id if serial_of(version_id) in (None, serial) else f"{version_id}@{serial:x}"


def version_place(text: str, argument: str) -> int | None:
    """The place of the version that a marker names; None: it is that of a large file, and only the store knows.

    InvalidArgument for what is no id of ours.
    """
    identity, _, place = text.partition("@")
    serial = marker_serial(identity, argument)
    if _PLACE.fullmatch(place) is not None:
        return int(place, 16)
    found = _ID.fullmatch(identity)
    return None if found is not None and found["kind"] == "2" else serial


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
