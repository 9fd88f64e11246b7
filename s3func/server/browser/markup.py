"""HTML that is safe by construction: whatever is not Markup already is escaped on its way in.

Rule 1: markup is made by `element` and `joined` only; no page puts a text into HTML by itself.
Rule 2: a name is shown with what is invisible in it, such as a line feed or a change of direction, written out, and it
        cannot change the direction of what stands around it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from html import escape

_VOID = frozenset({"br", "hr", "input", "link", "meta"})
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Control characters, the bidirectional ones, joiners, every space but the usual one, private and unassigned letters.
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_PLAIN = re.compile(r"[ -~]*")


class Markup(str):
    """A piece of a page that may stand in it as it is."""

    __slots__ = ()


def element(tag: str, /, *children: str, **attributes: str | bool | None) -> Markup:
    """An element. Children that are no Markup are text. An attribute's "_" is "-", at its end nothing (`class_`)."""
    words = [tag]
    for each, value in attributes.items():
        attribute = each.rstrip("_").replace("_", "-")
        if value is True:
            words.append(attribute)
        elif value is not None and value is not False:
            words.append(f'{attribute}="{escape(value)}"')
    start = f"<{' '.join(words)}>"
    return Markup(start) if tag in _VOID else Markup(f"{start}{joined(children)}</{tag}>")


def joined(pieces: Iterable[str]) -> Markup:
    """Pieces one after the other."""
    return Markup("".join([piece if isinstance(piece, Markup) else escape(piece) for piece in pieces]))


def document(title: str, head: Iterable[Markup], body: Iterable[Markup]) -> bytes:
    """A whole page."""
    content = element(
        "html",
        element("head", element("meta", charset="utf-8"), element("title", title), *head),
        element("body", *body),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{content}\n".encode()


def is_plain(text: str) -> bool:
    """Whether a text is shown as it is, and comes back from a form as it was."""
    return _PLAIN.fullmatch(text) is not None or all(not _is_invisible(each) for each in text)


def written_out(text: str) -> str:
    """A text with everything invisible in it written as an escape of Python's; for titles and labels."""
    return text if is_plain(text) else "".join([_escape(each) if _is_invisible(each) else each for each in text])


def name(text: str) -> Markup:
    """A name as the page shows it: isolated, with its escapes marked as such."""
    if is_plain(text):
        return element("bdi", text)
    return element("bdi", *[element("i", _escape(each)) if _is_invisible(each) else each for each in text])


def _is_invisible(letter: str) -> bool:
    return letter != " " and unicodedata.category(letter) in _INVISIBLE


def _escape(letter: str) -> str:
    known = _NAMED.get(letter)
    if known is not None:
        return known
    number = ord(letter)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
