"""Conditions of requests, and ranges of what they read: RFC 9110 §13 and §14, as S3 applies them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from s3func.errors import InvalidRange, NoSuchKey, PreconditionFailed, ServiceError, service_error
from s3func.server.backend import Part, Precondition, StoredObject, etag_matches
from s3func.server.powers import PART_NUMBER_MAX
from s3func.wire.encoding import parse_http_date

DELETE_CONDITIONS = ("x-amz-if-match-size", "x-amz-if-match-last-modified-time")
"""The headers of a conditional deletion besides If-Match: bytes, and an HTTP date."""

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,30})\s*-\s*([0-9]{0,30})\s*", re.ASCII | re.IGNORECASE)
_COPIED_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


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
    return Precondition(if_match, if_none_match)


@dataclass(frozen=True, slots=True)
class DeletePrecondition:
    """The Guard of a deletion. etag: a value of If-Match. named: the request names a version.

    What is not there is deleted already, but for an ETag without a version: then S3 answers that there is no such key,
    also where a delete marker is the current version. A marker has neither a size nor a time that could match.
    """

    etag: str | None = None
    size: int | None = None
    last_modified: float | None = None
    named: bool = False

    def __call__(self, current: StoredObject | None) -> None:
        """Raise NoSuchKey or PreconditionFailed."""
        is_object = current is not None and not current.delete_marker
        if self.etag is not None and not is_object and not self.named:
            raise NoSuchKey("There is no object whose ETag could match.")
        if current is None:
            return
        if self.etag is not None and not (is_object and etag_matches(self.etag, current.etag)):
            raise _precondition_failed("If-Match")
        if self.size is not None and not (is_object and current.size == self.size):
            raise _precondition_failed("x-amz-if-match-size")
        # A time in a header has whole seconds.
        if self.last_modified is not None and not (is_object and int(current.last_modified) == int(self.last_modified)):
            raise _precondition_failed("x-amz-if-match-last-modified-time")


def delete_guard(headers: Mapping[str, str], version_id: str | None) -> DeletePrecondition | None:
    """The conditions of DeleteObject; InvalidArgument where one cannot be read, for then it would not hold.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
    """
    etag = headers.get("if-match")
    size_text, time_text = (headers.get(name) for name in DELETE_CONDITIONS)
    size = last_modified = None
    if size_text is not None:
        if _NUMBER.fullmatch(size_text) is None:
            raise _invalid(DELETE_CONDITIONS[0], size_text)
        size = int(size_text)
    if time_text is not None:
        last_modified = _time(time_text)
        if last_modified is None:
            raise _invalid(DELETE_CONDITIONS[1], time_text)
    if etag is None and size is None and last_modified is None:
        return None
    return DeletePrecondition(etag, size, last_modified, named=version_id is not None)


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


def requested_part(
    text: str, headers: Mapping[str, str], stored: StoredObject, parts: Sequence[Part]
) -> tuple[Extent | None, Part | None]:
    """Where the part of this number lies, and the part itself; InvalidPart where the object has none such.

    An object that was not uploaded in parts is its own part 1. Without a byte there is no extent: None.
    """
    number = part_number(text)
    if "range" in headers:
        raise service_error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter.")
    if not parts and number == 1:
        return (Extent(0, stored.size) if stored.size else None), None
    start = 0
    for part in parts:
        if part.number == number:
            return (Extent(start, part.size) if part.size else None), part
        start += part.size
    raise service_error(
        "InvalidPart",
        "The requested part number is not satisfiable",
        details={"PartNumberRequested": str(number), "ActualPartCount": str(len(parts) or 1)},
    )


def part_number(text: str) -> int:
    """The number of a part, InvalidArgument for what cannot be one."""
    number = int(text) if _NUMBER.fullmatch(text) is not None else 0
    if not 1 <= number <= PART_NUMBER_MAX:
        raise service_error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive",
            details={"ArgumentName": "partNumber", "ArgumentValue": text},
        )
    return number


def copied_extent(text: str | None, size: int) -> Extent:
    """x-amz-copy-source-range: unlike in a Range, both ends have to be there, and inside of the source."""
    if text is None:
        return Extent(0, size)
    match = _COPIED_RANGE.fullmatch(text)
    if match is None or int(match[2]) < int(match[1]):
        raise service_error(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            details={"ArgumentName": "x-amz-copy-source-range", "ArgumentValue": text},
        )
    start, end = int(match[1]), int(match[2])
    if end >= size:
        raise InvalidRange(
            f"Range specified is not valid for source object of size: {size}",
            details={"RangeRequested": text, "ActualObjectSize": str(size)},
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
    moment = None if date is None else _time(date)
    # An HTTP date has whole seconds, so the fraction of ours must not make the object look newer than it says.
    return None if moment is None else int(stored.last_modified) > moment


def _time(text: str) -> float | None:
    """An HTTP date in seconds since the epoch, None for what is none."""
    try:
        return parse_http_date(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _invalid(name: str, value: str) -> ServiceError:
    return service_error(
        "InvalidArgument",
        f"The value of {name} cannot be read",
        details={"ArgumentName": name, "ArgumentValue": value},
    )


def _precondition_failed(condition: str) -> PreconditionFailed:
    return PreconditionFailed(
        "At least one of the pre-conditions you specified did not hold", details={"Condition": condition}
    )
