"""Conditions and ranges of requests that read: RFC 9110 §13 and §14, as S3 applies them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from s3func.errors import InvalidRange, PreconditionFailed, service_error
from s3func.server.backend import Precondition, StoredObject, etag_matches
from s3func.wire.encoding import parse_http_date

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,30})\s*-\s*([0-9]{0,30})\s*", re.ASCII | re.IGNORECASE)


class Extent(NamedTuple):
    """The part of a body that was asked for."""

    start: int
    size: int


def is_unmodified(headers: Mapping[str, str], stored: StoredObject, prefix: str = "") -> bool:
    """Whether the reader has the object already (304); PreconditionFailed where it must not have it (412).

    `prefix` is put in front of the names of the headers: "x-amz-copy-source-" for the source of a copy.
    """
    if_match = headers.get(f"{prefix}if-match")
    if if_match is not None:
        if not etag_matches(if_match, stored.etag):
            raise _precondition_failed("If-Match")
    elif _modified_since(headers.get(f"{prefix}if-unmodified-since"), stored) is True:
        raise _precondition_failed("If-Unmodified-Since")
    if_none_match = headers.get(f"{prefix}if-none-match")
    if if_none_match is not None:
        return etag_matches(if_none_match, stored.etag)
    return _modified_since(headers.get(f"{prefix}if-modified-since"), stored) is False


def check_copy_source(headers: Mapping[str, str], stored: StoredObject) -> None:
    """The conditions on the source of a copy, all of which fail with 412."""
    if is_unmodified(headers, stored, "x-amz-copy-source-"):
        raise _precondition_failed("x-amz-copy-source-If-None-Match or x-amz-copy-source-If-Modified-Since")


def write_guard(headers: Mapping[str, str]) -> Precondition | None:
    """The conditions of a request that writes.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    if_match = headers.get("if-match")
    if_none_match = headers.get("if-none-match")
    if if_match is None and if_none_match is None:
        return None
    if if_none_match is not None and if_none_match.strip() != "*":
        raise service_error("NotImplemented", 'A write takes no If-None-Match but "*".')
    return Precondition(if_match, if_none_match)


def requested_extent(headers: Mapping[str, str], stored: StoredObject) -> Extent | None:
    """The range that is asked for, None for the whole body; InvalidRange where it has no byte of the body.

    As in RFC 9110, a Range header that is malformed counts as absent; so do several ranges in one, as S3 has it.
    """
    text = headers.get("range")
    match = None if text is None else _RANGE.fullmatch(text)
    if match is None or not _range_applies(headers.get("if-range"), stored):
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last), stored.size - 1) if last else stored.size - 1
        if last and int(last) < start:
            return None
    elif last:
        start, end = max(stored.size - int(last), 0), stored.size - 1
    else:
        return None
    if start > end:
        raise InvalidRange(
            "The requested range is not satisfiable",
            details={"RangeRequested": text or "", "ActualObjectSize": str(stored.size)},
            headers={"content-range": f"bytes */{stored.size}"},
        )
    return Extent(start, end - start + 1)


def _range_applies(if_range: str | None, stored: StoredObject) -> bool:
    if if_range is None:
        return True
    if '"' in if_range:
        return etag_matches(if_range, stored.etag)
    return _modified_since(if_range, stored) is False


def _modified_since(date: str | None, stored: StoredObject) -> bool | None:
    """Whether the object is newer than the date; None without a date that can be read."""
    if date is None:
        return None
    try:
        moment = parse_http_date(date).timestamp()
    except (ValueError, OverflowError):
        return None
    # An HTTP date has whole seconds, so the fraction of ours must not make the object look newer than it says.
    return int(stored.last_modified) > moment


def _precondition_failed(condition: str) -> PreconditionFailed:
    return PreconditionFailed(
        "At least one of the pre-conditions you specified did not hold", details={"Condition": condition}
    )
