"""Documents that are described by data: one table per document, and the two functions that read and write them all.

Rule 1: a document is plain values under AWS's own names, as boto3 has them: {"Rules": [{"ID": "a", …}]}: str, int,
        bool, aware datetime, list and dict.
Rule 2: a request is read strictly: what the table does not know is refused, and so is a missing or a wrong value.
Rule 3: an answer is read leniently: what the table does not know is kept, as text, dict or list. Nothing is dropped.
Rule 4: writing is strict: what the table does not know is a ValueError, a wrong type a TypeError; both name the place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from s3func.errors import ProtocolError
from s3func.wire.s3xml_acl import Grantee, grantee_element
from s3func.wire.s3xml_error import element, frame, render_time
from s3func.wire.s3xml_fields import boolean_of, integer_of, only, time_of
from s3func.wire.xmltree import Element, xml_can_carry

Value = dict[str, Any]
"""A document or a part of one: AWS's names and their values."""


class Field(NamedTuple):
    """One element: its name, what it holds, and whether there may be more of it.

    kind: text, integer, boolean, time, struct (of `fields`) or grantee (a struct with an xsi:type).
    many: any number of them, side by side, under the name `key`. item: one of them, around any number of `item`s.
    """

    element: str
    kind: str
    key: str
    fields: tuple[Field, ...] = ()
    many: bool = False
    item: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()


class Document(NamedTuple):
    """A document: the name of its root element, and the fields in it."""

    root: str
    fields: tuple[Field, ...]


def text(name: str, *choices: str, key: str = "", required: bool = False) -> Field:
    """A text, or one of the choices."""
    return Field(name, "text", key or name, required=required, choices=choices)


def texts(name: str, key: str, *choices: str, required: bool = False) -> Field:
    """Any number of texts side by side."""
    return Field(name, "text", key, many=True, required=required, choices=choices)


def number(name: str, *, required: bool = False) -> Field:
    """A whole number."""
    return Field(name, "integer", name, required=required)


def boolean(name: str, *, required: bool = False) -> Field:
    """true or false."""
    return Field(name, "boolean", name, required=required)


def time(name: str) -> Field:
    """A point in time."""
    return Field(name, "time", name)


def struct(name: str, *fields: Field, key: str = "", required: bool = False) -> Field:
    """One element with fields."""
    return Field(name, "struct", key or name, fields, required=required)


def structs(name: str, key: str, *fields: Field, required: bool = False) -> Field:
    """Any number of elements with fields, side by side."""
    return Field(name, "struct", key, fields, many=True, required=required)


GRANTEE = Field("Grantee", "grantee", "Grantee", tuple(map(text, ("ID", "DisplayName", "EmailAddress", "URI"))))
TAG = (text("Key", required=True), text("Value", required=True))


def read_document(document: Document, root: Element, *, strict: bool) -> Value:
    """The values in a root element: a request is read strictly, an answer is not. ProtocolError for what is wrong."""
    return _read_fields(document.fields, root, strict)


def render_document(document: Document, value: Mapping[str, Any]) -> bytes:
    """A document of plain values, its elements in the order of the table."""
    return frame(document.root, _render_fields(document.fields, value, document.root))


def _read_fields(fields: Sequence[Field], row: Element, strict: bool) -> Value:
    if strict:
        only(row, *[field.element for field in fields])
    if row.text.strip():
        raise ProtocolError(f"{row.name} holds text in the place of elements: {row.text[:40]!r}")
    value: Value = {}
    for field in fields:
        found = [_read(field, child, strict) for child in row.all(field.element)]
        if field.many:
            if found:
                value[field.key] = found
        elif len(found) > 1:
            raise ProtocolError(f"{row.name} has more than one {field.element}")
        elif found:
            value[field.key] = found[0]
        if strict and field.required and not found:
            raise ProtocolError(f"{row.name} has no {field.element}")
    known = {field.element for field in fields}
    for child in row.children:
        if child.name not in known:
            _keep(value, child)
    return value


def _read(field: Field, child: Element, strict: bool) -> Any:
    if field.item:
        return [_read(field._replace(item=""), item, strict) for item in only(child, field.item).children]
    if field.kind == "struct":
        return _read_fields(field.fields, child, strict)
    if field.kind == "grantee":
        return _read_grantee(field, child, strict)
    if field.kind == "integer":
        return integer_of(child)
    if field.kind == "boolean":
        return boolean_of(child)
    if field.kind == "time":
        return time_of(child)
    if child.children:
        raise ProtocolError(f"{child.name} holds elements in the place of text")
    if strict:
        if field.choices and child.text not in field.choices:
            raise ProtocolError(f"{child.name} is one of {', '.join(field.choices)}, not {child.text[:40]!r}")
        if not xml_can_carry(child.text):
            raise ProtocolError(f"{child.name} holds a character that XML does not allow")
    return child.text


def _read_grantee(field: Field, child: Element, strict: bool) -> Value:
    value = _read_fields(field.fields, child, strict)
    names = [name for name in ("ID", "URI", "EmailAddress") if value.get(name)]
    if strict and len(names) != 1:
        raise ProtocolError("a Grantee is named by exactly one of ID, URI and EmailAddress")
    return {**value, "Type": _grantee_kind(value)}


def _grantee_kind(value: Mapping[str, Any]) -> str:
    return Grantee(value.get("ID", ""), "", value.get("URI", ""), value.get("EmailAddress", "")).kind


def _keep(value: Value, child: Element) -> None:
    """Keep what no table knows under its own name; several of one name become a list."""
    kept: Any = child.text
    if child.children:
        kept = {}
        for inner in child.children:
            _keep(kept, inner)
    if child.name not in value:
        value[child.name] = kept
    elif isinstance(value[child.name], list):
        value[child.name].append(kept)
    else:
        value[child.name] = [value[child.name], kept]


def _render_fields(fields: Sequence[Field], value: Mapping[str, Any], place: str) -> str:
    if not isinstance(value, Mapping):
        raise TypeError(f"{place} must be a dict, not {type(value).__name__}")
    unknown = value.keys() - {field.key for field in fields}
    if unknown:
        raise ValueError(f"{place} has unknown entries: {', '.join(sorted(map(str, unknown)))}")
    parts = []
    for field in fields:
        entry = value.get(field.key)
        where = f"{place}.{field.key}"
        if entry is None or (field.many and not entry):
            if field.required:
                raise ValueError(f"{where} is missing")
        elif field.many or field.item:
            if not isinstance(entry, list | tuple):
                raise TypeError(f"{where} must be a list, not {type(entry).__name__}")
            name = field.item or field.element
            rows = "".join([_render(field, name, item, f"{where}[{index}]") for index, item in enumerate(entry)])
            parts.append(f"<{field.element}>{rows}</{field.element}>" if field.item else rows)
        else:
            parts.append(_render(field, field.element, entry, where))
    return "".join(parts)


def _render(field: Field, name: str, entry: Any, where: str) -> str:
    if field.kind == "struct":
        return f"<{name}>{_render_fields(field.fields, entry, where)}</{name}>"
    if field.kind == "grantee":
        return _render_grantee(field, entry, where)
    kinds: dict[str, type] = {"text": str, "integer": int, "boolean": bool, "time": datetime}
    expected = kinds[field.kind]
    if not isinstance(entry, expected) or (expected is int and isinstance(entry, bool)):
        raise TypeError(f"{where} must be {expected.__name__}, not {type(entry).__name__}")
    if isinstance(entry, datetime):
        if entry.tzinfo is None:
            raise ValueError(f"{where} must be aware of its time zone")
        return f"<{name}>{render_time(entry)}</{name}>"
    if isinstance(entry, str):
        if field.choices and entry not in field.choices:
            raise ValueError(f"{where} is one of {', '.join(field.choices)}, not {entry!r}")
        if not xml_can_carry(entry):
            raise ValueError(f"{where} holds a character that XML does not allow: {entry!r}")
        return element(name, entry)
    return f"<{name}>{str(entry).lower()}</{name}>"


def _render_grantee(field: Field, entry: Any, where: str) -> str:
    if not isinstance(entry, Mapping):
        raise TypeError(f"{where} must be a dict, not {type(entry).__name__}")
    kind = _grantee_kind(entry)
    if entry.get("Type", kind) != kind:
        raise ValueError(f"{where} names a {kind}, but its Type is {entry['Type']!r}")
    named = {key: value for key, value in entry.items() if key != "Type"}
    return grantee_element(kind, _render_fields(field.fields, named, where))
