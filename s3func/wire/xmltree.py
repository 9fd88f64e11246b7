"""The part of XML that S3 documents are made of: text in, a tree of elements out; and the escaping for the way back.

Rule 1: a document is whole and well-formed, or it is a ProtocolError. Nothing is guessed or repaired.
Rule 2: no DOCTYPE, so no entities but XML's own five: nothing expands, nothing is fetched.
Rule 3: an element holds text or elements, never both; S3 has no other kind, and HTML is found out early.
Rule 4: characters that XML 1.0 forbids are read all the same. S3 keys may hold them, S3 writes them as `&#x1;`, and
        expat refuses that, which makes a whole bucket unlistable: the reason why this file is not built on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from s3func.errors import ProtocolError

DEPTH_MAX = 64
"""S3's deepest document has seven levels."""

# Possessive throughout (*+, ++): a hostile document costs one pass, however it fails.
_NAME = r"(?:[A-Za-z_][A-Za-z0-9_.\-]*+:)?[A-Za-z_][A-Za-z0-9_.\-]*+"
_SPACE = r"[ \t\n]"
_VALUE = r"""(?:"[^<"]*+"|'[^<']*+')"""
_EQUALS = f"{_SPACE}*+={_SPACE}*+"
_ATTRIBUTE = re.compile(f"({_NAME}){_EQUALS}({_VALUE})")
_TOKEN = re.compile(
    rf"""
      <({_NAME})((?:{_SPACE}++{_NAME}{_EQUALS}{_VALUE})*+){_SPACE}*+(/?)>   # 1 name, 2 attributes, 3 empty
    | </({_NAME}){_SPACE}*+>                                                # 4 name
    | ([^<]++)                                                              # 5 text
    | <!\[CDATA\[((?:(?!\]\]>).)*+)\]\]>                                    # 6 text as it stands
    | <!--(?:(?!--).)*+-->
    | <\?(?![Xx][Mm][Ll][ \t\n?])[A-Za-z_][A-Za-z0-9_.\-]*+(?:{_SPACE}(?:(?!\?>).)*+)?\?>
    """,
    re.VERBOSE | re.DOTALL,
)
# White space may come before the declaration: S3 sends it to keep the connection alive while it works.
_PROLOG = re.compile(
    rf"""{_SPACE}*+<\?xml{_SPACE}++version{_EQUALS}(["'])1\.[0-9]\1"""
    rf"""(?:{_SPACE}++encoding{_EQUALS}(["'])([A-Za-z][A-Za-z0-9._\-]*)\2)?"""
    rf"""(?:{_SPACE}++standalone{_EQUALS}(["'])(?:yes|no)\4)?{_SPACE}*+\?>"""
)
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos);|#0*([0-9]{1,7});|#x0*([0-9A-Fa-f]{1,6});)?")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
# What a reader would take for markup, or change (a raw CR becomes LF), or refuse.
_SPECIAL = re.compile('[&<>"\x00-\x1f\ufffe\uffff]')
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


class Element:
    """One element: its local name, its text ("" where it has children), its child elements in order."""

    __slots__ = ("children", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        self.children: list[Element] = []

    def child(self, name: str) -> Element | None:
        """The child of this name, None without one; a second one makes the document ambiguous: ProtocolError."""
        found = None
        for element in self.children:
            if element.name == name:
                if found is not None:
                    raise ProtocolError(f"{self.name} has more than one {name}")
                found = element
        return found

    def value(self, name: str) -> str | None:
        """The text of the child of this name, None without one."""
        element = self.child(name)
        return None if element is None else element.text

    def all(self, name: str) -> Iterator[Element]:
        """Every child of this name, in the order of the document."""
        return (element for element in self.children if element.name == name)


def decode_document(body: bytes) -> str:
    """The document's text, its line ends made LF as XML demands; what is not UTF-8 is a ProtocolError."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"the document is not UTF-8: {error}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def parse_tree(text: str) -> Element:
    """The root element of a decoded document."""
    position = 0
    prolog = _PROLOG.match(text)
    if prolog is not None:
        if (prolog[3] or "utf-8").lower() not in {"utf-8", "us-ascii"}:
            raise ProtocolError(f"the document says that it is {prolog[3]}, not UTF-8")
        position = prolog.end()
    document = Element("")
    # What is open: the element, its name with prefix, the pieces of its text.
    element, qualified = document, ""
    pieces: list[str] = []
    outer: list[tuple[Element, str, list[str]]] = []
    for match in _TOKEN.finditer(text, position):
        if match.start() != position:
            break
        position = match.end()
        name, attributes, empty, closed, data, raw = match.groups()
        if name is not None:
            if attributes:
                _check_attributes(attributes)
            inner = Element(name.rpartition(":")[2])
            element.children.append(inner)
            if not empty:
                if len(outer) >= DEPTH_MAX:
                    raise ProtocolError("the document is nested too deeply")
                outer.append((element, qualified, pieces))
                element, qualified, pieces = inner, name, []
        elif closed is not None:
            if closed != qualified:
                raise ProtocolError(f"broken XML: </{closed}> where </{qualified}> was expected")
            _set_text(element, pieces)
            element, qualified, pieces = outer.pop()
        elif data is not None:
            if "]]>" in data:
                raise ProtocolError("broken XML: a stray ]]>")
            pieces.append(unescape(data) if outer else _outside(data))
        elif raw is not None:
            pieces.append(raw if outer else _outside("<![CDATA["))
    if text.startswith("<!DOCTYPE", position):
        raise ProtocolError("a document with a DOCTYPE is not read: S3 sends none")
    if position != len(text):
        raise ProtocolError(f"broken XML at character {position}: {text[position : position + 40]!r}")
    if outer:
        raise ProtocolError(f"the document ends inside <{qualified}>: it was cut off")
    if len(document.children) != 1:
        raise ProtocolError(f"the document has {len(document.children)} root elements")
    return document.children[0]


def unescape(text: str) -> str:
    """Resolve the character references of a text; any other use of "&" is a ProtocolError."""
    return _REFERENCE.sub(_resolve, text) if "&" in text else text


def escape(text: str) -> str:
    """Escape a text so that a reader gets back exactly it; line ends and control characters become `&#xN;`.

    XML 1.0 has no way to write the control characters; like S3, this writes them as XML 1.1 does.
    """
    return _SPECIAL.sub(_refer, text)


def xml_can_carry(text: str) -> bool:
    """Whether every character may stand in an XML 1.0 document, escaped or not."""
    return _FORBIDDEN.search(text) is None


def _set_text(element: Element, pieces: list[str]) -> None:
    if not element.children:
        element.text = "".join(pieces)
    elif any(not _is_space(piece) for piece in pieces):
        raise ProtocolError(f"<{element.name}> mixes text and elements")


def _outside(data: str) -> str:
    if not _is_space(data):
        raise ProtocolError(f"not an XML document: text outside the root element: {data.strip()[:40]!r}")
    return data


def _is_space(text: str) -> bool:
    return not text.strip(" \t\n")


def _check_attributes(attributes: str) -> None:
    # S3 has none but namespaces; they are looked at only as far as well-formed XML demands.
    pairs = _ATTRIBUTE.findall(attributes)
    if len({name for name, _ in pairs}) != len(pairs):
        raise ProtocolError("broken XML: an attribute is given twice")
    for _, value in pairs:
        unescape(value)


def _resolve(match: re.Match[str]) -> str:
    name, decimal, hexadecimal = match.groups()
    if name is not None:
        return _ENTITIES[name]
    if decimal is None and hexadecimal is None:
        raise ProtocolError(f"broken XML: stray & in {match.string[match.start() : match.start() + 20]!r}")
    code = int(decimal) if decimal is not None else int(hexadecimal, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ProtocolError(f"{match[0]} is not a character")
    return chr(code)


def _refer(match: re.Match[str]) -> str:
    character = match[0]
    return _NAMED.get(character) or f"&#x{ord(character):X};"
