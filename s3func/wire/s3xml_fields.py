"""What the documents of S3 are read and written with: one value of a row, demanded or allowed to be missing.

Rule 1: reading raises ProtocolError; where a server reads a request, `read_request` makes MalformedXML of it.
Rule 2: writing leaves out what is None or "", as S3 does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple, TypeVar

from s3func.errors import ProtocolError, service_error
from s3func.wire.encoding import parse_iso8601
from s3func.wire.s3xml_error import element, render_time
from s3func.wire.xmltree import Element, decode_document, parse_tree

_Content = TypeVar("_Content")

_INTEGER = re.compile("-?[0-9]{1,19}")
# What Python reads as ISO 8601 is wider: "20200101" and week dates, which no S3 takes.
_TIME = re.compile(
    "[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_BOOLEANS = {"true": True, "false": False}

# The element of each checksum by our name of its algorithm, in the order in which S3 writes them.
_CHECKSUMS = {
    "crc32": "ChecksumCRC32",
    "crc32c": "ChecksumCRC32C",
    "crc64nvme": "ChecksumCRC64NVME",
    "sha1": "ChecksumSHA1",
    "sha256": "ChecksumSHA256",
}
CHECKSUM_ELEMENTS = frozenset(_CHECKSUMS.values())
NO_CHECKSUMS: Mapping[str, str] = {}
"""What a row without checksums has."""


class Owner(NamedTuple):
    """Who owns or began something: the canonical user id, and a name for people."""

    id: str
    display_name: str = ""


def demand(row: Element, name: str) -> str:
    """The text of a child that has to be there and not empty."""
    value = row.value(name)
    if not value:
        raise ProtocolError(f"{row.name} has no {name}")
    return value


def integer_of(leaf: Element) -> int:
    """The whole number that an element holds."""
    text = leaf.text.strip()
    if leaf.children or _INTEGER.fullmatch(text) is None:
        raise ProtocolError(f"{leaf.name} is not a whole number: {text[:40]!r}")
    return int(text)


def boolean_of(leaf: Element) -> bool:
    """true or false, as an element holds it."""
    value = _BOOLEANS.get(leaf.text.strip().lower())
    if value is None or leaf.children:
        raise ProtocolError(f"{leaf.name} is neither true nor false: {leaf.text[:40]!r}")
    return value


def time_of(leaf: Element) -> datetime:
    """The time that an element holds: aware, in UTC; a date alone is its midnight."""
    text = leaf.text.strip()
    if leaf.children or _TIME.fullmatch(text) is None:
        raise ProtocolError(f"{leaf.name} is not a timestamp: {text[:40]!r}")
    try:
        return parse_iso8601(text)
    except (ValueError, OverflowError) as error:
        raise ProtocolError(f"{leaf.name} is not a timestamp: {text[:40]!r}") from error


def integer(row: Element, name: str) -> int | None:
    """The whole number of a child, None without one."""
    leaf = row.child(name)
    return None if leaf is None else integer_of(leaf)


def demand_integer(row: Element, name: str) -> int:
    """The whole number of a child that has to be there and not negative."""
    number = integer(row, name)
    if number is None or number < 0:
        raise ProtocolError(f"{row.name} has no {name}" if number is None else f"{name} of {row.name} is {number}")
    return number


def boolean(row: Element, name: str) -> bool | None:
    """true or false in a child, None without one."""
    leaf = row.child(name)
    return None if leaf is None else boolean_of(leaf)


def demand_boolean(row: Element, name: str) -> bool:
    """true or false in a child that has to be there."""
    value = boolean(row, name)
    if value is None:
        raise ProtocolError(f"{row.name} has no {name}")
    return value


def owner(row: Element, name: str) -> Owner | None:
    """Who a child names, None without one."""
    child = row.child(name)
    return None if child is None else Owner(child.value("ID") or "", child.value("DisplayName") or "")


def checksums(row: Element) -> dict[str, str]:
    """The checksums of a row: base64 by the lower-case name of the algorithm."""
    return {algorithm: text for algorithm, name in _CHECKSUMS.items() if (text := row.value(name))}


def given(name: str, text: str | None) -> str:
    """An element for a text that may be missing."""
    return element(name, text) if text else ""


def given_number(name: str, number: int | None) -> str:
    """An element for a number that may be missing."""
    return "" if number is None else f"<{name}>{number}</{name}>"


def given_time(name: str, moment: datetime | None) -> str:
    """An element for an aware time that may be missing."""
    return "" if moment is None else f"<{name}>{render_time(moment)}</{name}>"


def flag(name: str, value: bool | None) -> str:
    """An element for true or false that may be missing."""
    return "" if value is None else f"<{name}>{'true' if value else 'false'}</{name}>"


def owner_element(name: str, who: Owner | None) -> str:
    """An element for an owner that may be missing."""
    return "" if who is None else f"<{name}>{element('ID', who.id)}{given('DisplayName', who.display_name)}</{name}>"


def checksum_elements(values: Mapping[str, str]) -> str:
    """An element for each checksum; ValueError for an algorithm that S3 has no element for."""
    unknown = values.keys() - _CHECKSUMS.keys()
    if unknown:
        raise ValueError(f"checksums holds unknown algorithms: {', '.join(sorted(unknown))}")
    return "".join([element(name, values[algorithm]) for algorithm, name in _CHECKSUMS.items() if algorithm in values])


def read_request(
    body: bytes, name: str, content: Callable[[Element], _Content], *, code: str = "MalformedXML"
) -> _Content:
    """What `content` finds in the root element of a request; where it raises ProtocolError, that is MalformedXML.

    code: what the server answers instead, in the few cases where S3 has a word of its own.
    """
    try:
        root = parse_tree(decode_document(body))
        if root.name != name:
            raise ProtocolError(f"the request is a <{root.name[:40]}> document, not <{name}>")
        return content(root)
    except ProtocolError as error:
        raise service_error(code, str(error)) from error


def only(row: Element, *names: str) -> Element:
    """The row itself, which must have no other children than these."""
    for child in row.children:
        if child.name not in names:
            raise ProtocolError(f"{row.name} holds an unknown element: {child.name[:40]}")
    return row
