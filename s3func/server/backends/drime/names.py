"""Keys as names of Drime's folders and files, and back: every key has a place, and every place is of one key.

Rule 1: a slash separates a folder from what is in it, but for slashes that follow a slash or begin the key: those begin
        the name behind them, for no folder has an empty name. `a//b` is `/b` in the folder `a`, `a/` is the file of the
        empty name in it. So all keys of a folder lie together in the order of keys.
Rule 2: what Drime does not keep in a name is written as `%` and two hexadecimal digits per byte of UTF-8: `%` itself,
        slashes, backslashes, control characters, white space at either end, and all of `.` and `..`. The empty name is
        `%%`. Everything else is as it is, so that people recognize their keys.
Rule 3: a name that would be too long is cut into pieces; each but the last is a folder whose name ends with `%~`.
Rule 4: Drime may take two names for one, such as those that differ in case, and refuse the second. Every name
        therefore has another form, in which each byte is written as in rule 2.
Rule 5: whatever is not written like this was not written here: it means itself, so that `100%.txt` of the web interface
        is the key `100%.txt`. Its own form here would be `100%25.txt`; whoever looks a key up has to look for what a
        name means, never for a name.
"""

from __future__ import annotations

from typing import NamedTuple

NAME_BYTES_MAX = 240
"""Of a name in UTF-8; Drime takes 255."""

PIECE_BYTES = 80
"""Of a piece of a name that is too long, in UTF-8: both of its forms are short enough to be names."""

_EMPTY = "%%"
_MORE = "%~"
# What may be lost at the ends of a name: white space of Unicode, and the marks without width. A fixed list, because what
# `str.isspace` says depends on the version of Python, and a name has to mean the same for ever.
_EDGES = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
_ESCAPED = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFFFE, 0xFFFF))) | frozenset("%/\\")
_DOTS = frozenset({".", ".."})


class Name(NamedTuple):
    """What the name of a file or folder means. is_more: it is a folder with the rest of a name that is too long."""

    text: str
    is_more: bool = False


def split_key(key: str) -> list[str]:
    """The names on the way to an object: folders, and last the file. `"/".join` of them is the key."""
    names: list[str] = []
    start = 0
    while True:
        place = start
        while place < len(key) and key[place] == "/":
            place += 1
        end = key.find("/", place)
        if end < 0:
            return [*names, key[start:]]
        names.append(key[start:end])
        start = end + 1


def pieces_of(text: str) -> list[str]:
    """The name in pieces that are short enough; usually it is one."""
    if len(escape(text).encode()) <= NAME_BYTES_MAX:
        return [text]
    pieces: list[str] = []
    piece: list[str] = []
    size = 0
    for character in text:
        width = len(character.encode())
        if size + width > PIECE_BYTES:
            pieces.append("".join(piece))
            piece, size = [], 0
        piece.append(character)
        size += width
    return [*pieces, "".join(piece)]


def forms_of(name: Name) -> tuple[str, ...]:
    """What a folder or file of this meaning may be called, the readable form first."""
    suffix = _MORE if name.is_more else ""
    forms = (escape(name.text) + suffix, escape_all(name.text) + suffix)
    return tuple(dict.fromkeys(form for form in forms if len(form.encode()) <= 255))


def meaning_of(name: str, *, is_folder: bool) -> Name | None:
    """What a name means; None for one that can be no part of a key."""
    if is_folder and name.endswith(_MORE):
        text = _unescape(name.removesuffix(_MORE))
        if text is not None and PIECE_BYTES - 3 <= len(text.encode()) <= PIECE_BYTES and "/" not in text.lstrip("/"):
            return Name(text, is_more=True)
    text = _unescape(name)
    if text is not None and is_name(text, is_folder=is_folder):
        return Name(text)
    return Name(name) if name and "/" not in name else None


def is_name(text: str, *, is_folder: bool) -> bool:
    """Whether it can be one of the names that `split_key` gives."""
    rest = text.lstrip("/")
    return "/" not in rest and (rest != "" or not is_folder)


def escape(text: str) -> str:
    """The readable form."""
    if not text:
        return _EMPTY
    if text in _DOTS:
        return escape_all(text)
    kept = len(text.lstrip(_EDGES))
    first, last = len(text) - kept, len(text.rstrip(_EDGES))
    return "".join(
        escape_all(character) if character in _ESCAPED or not first <= place < last else character
        for place, character in enumerate(text)
    )


def escape_all(text: str) -> str:
    """The form that is the same in every alphabet and case."""
    return "".join(f"%{byte:02X}" for byte in text.encode()) or _EMPTY


def _unescape(name: str) -> str | None:
    """What was escaped to this name; None for what never is the result of escaping."""
    if name == _EMPTY:
        return ""
    if "%" not in name:
        text = name
    else:
        head, *rest = name.split("%")
        encoded = bytearray(head.encode(errors="surrogatepass"))
        try:
            for part in rest:
                encoded += bytes.fromhex(part[:2]) + part[2:].encode()
            text = encoded.decode()
        except ValueError:
            return None
    try:
        return text if name in (escape(text), escape_all(text)) else None
    except UnicodeEncodeError:
        return None
