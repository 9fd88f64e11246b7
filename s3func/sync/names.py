"""Names and paths: what an object below a prefix is called, and where its file lies below a folder.

Rule 1: a name becomes one path below the folder, or a Problem; never another path, and never one outside.
Rule 2: injective both ways: two names never share a path, two paths never share a name; the second one is a Problem.
Rule 3: a path is written with "/" on every system, relative, in the disk's own spelling (surrogates for what is not UTF-8).
The rules of Windows are functions of the text alone, so that they are tested everywhere.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import dataclass
from typing import Literal, NamedTuple

from s3func.errors import UnsafeKey

CONFLICT_SUFFIX = ".__file__"
"""What the file of the key `a` is called where there are keys below `a/` as well, if the policy says so."""
NAME_BYTES = 1024
"""The longest key that S3 and B2 take, in UTF-8. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
COMPONENT_MAX = 255
"""The longest part of a path: bytes on POSIX, UTF-16 units on Windows."""

# Downloads that are under way, their journals, what was thrown away, what we remember: never synced, at any depth.
OURS = re.compile(r"(?:\A|/)\.(?:[^/]*\.)?s3func(?:-part|-journal|-trash)?(?:/|\Z)", re.DOTALL)

_WINDOWS_CHARACTERS = re.compile(r'[<>:"\\|?*\x00-\x1f]')
# With any ending; the digits may be superscripts. https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_WINDOWS_DEVICES = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])(?: *\.| *:| *\Z)", re.IGNORECASE
)
_ESCAPED = re.compile(r"%(25|[89A-F][0-9A-F])")
_RAW = re.compile("%(?=25|[89A-F][0-9A-F])|[\udc80-\udcff]")


class Fault(NamedTuple):
    """Why a name cannot be a path or a path cannot be a name: the kind of a Problem, and its sentence."""

    kind: str
    message: str


def posix_fault(component: str) -> Fault | None:
    """What keeps a part of a name from being the name of a file on POSIX."""
    if component in {"", ".", ".."}:
        shown = "an empty part" if not component else f"the part {component!r}"
        return Fault("unsafe", f"{shown} between slashes is no name of a file")
    if "\0" in component or "/" in component:
        return Fault("unsafe", "a null character or a slash cannot be part of the name of a file")
    if len(component) > COMPONENT_MAX // 4 and len(component.encode("utf-8", "replace")) > COMPONENT_MAX:
        return Fault("too-long", f"a part of the name is longer than {COMPONENT_MAX} bytes")
    return None


def windows_fault(component: str) -> Fault | None:
    """The same on Windows: no drives, devices, streams, wildcards, and nothing that it would cut off silently."""
    if component in {"", ".", ".."} or "/" in component:
        return posix_fault(component)
    if found := _WINDOWS_CHARACTERS.search(component):
        return Fault("unsafe", f"the character {found[0]!r} cannot be part of the name of a file on Windows")
    if component[-1] in ". ":
        return Fault("unsafe", "a name that ends with a dot or a space is another one on Windows")
    if _WINDOWS_DEVICES.match(component):
        return Fault("unsafe", f"{component!r} is a device on Windows")
    if len(component.encode("utf-16-le", "surrogatepass")) > 2 * COMPONENT_MAX:
        return Fault("too-long", f"a part of the name is longer than {COMPONENT_MAX} characters")
    return None


def folded(component: str, *, case: bool, unicode: bool) -> str:
    """What a file system that does not tell cases, or normal forms, apart takes the name for; rather too much alike."""
    if case:
        component = component.casefold()
    return unicodedata.normalize("NFC", component) if unicode or case else component


def printable(text: str) -> str:
    """The text, with surrogates as escapes, so that it can be encoded."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class NamePolicy:
    """What is to become of names that a disk and a store cannot both have.

    unsafe: a key that is no path below the folder is a failure of its own ("error") or only reported ("skip").
    conflict: where there are keys `a` and `a/b`, all below `a/` are Problems ("error"), or the file of `a` is called
    `a.__file__` ("suffix"), on the way back as well. non_utf8: a file name that is no text is a Problem ("error"), or its
    bytes are written as %FF ("escape"; a "%" that would then read as one becomes %25). unicode: names are what their bytes
    are ("raw"), or local ones are made NFC ("nfc"). case: whether the folder's file system tells cases apart: "auto"
    looks, "sensitive" and "insensitive" know. rules: "posix", "windows", or those of this system ("auto").
    """

    unsafe: Literal["error", "skip"] = "error"
    conflict: Literal["error", "suffix"] = "error"
    non_utf8: Literal["error", "escape"] = "error"
    unicode: Literal["raw", "nfc"] = "raw"
    case: Literal["auto", "sensitive", "insensitive"] = "auto"
    rules: Literal["auto", "posix", "windows"] = "auto"

    def __post_init__(self) -> None:
        """ValueError names the field that has none of its words."""
        choices = {
            "unsafe": ("error", "skip"),
            "conflict": ("error", "suffix"),
            "non_utf8": ("error", "escape"),
            "unicode": ("raw", "nfc"),
            "case": ("auto", "sensitive", "insensitive"),
            "rules": ("auto", "posix", "windows"),
        }
        for field, words in choices.items():
            if getattr(self, field) not in words:
                raise ValueError(f"{field} must be one of {', '.join(words)}, not {getattr(self, field)!r}")

    @property
    def is_windows(self) -> bool:
        """Whether paths follow the rules of Windows."""
        return self.rules == "windows" or (self.rules == "auto" and sys.platform == "win32")

    @property
    def is_plain(self) -> bool:
        """Whether a part of a path and of a name are always the same text."""
        return self.conflict == "error" and self.non_utf8 == "error" and self.unicode == "raw"

    def to_path(self, name: str, *, is_conflict: bool = False) -> str:
        """Where the object of this name belongs; UnsafeKey. is_conflict: there are names below it as well."""
        path = self.path_of(name, is_conflict=is_conflict)
        if isinstance(path, Fault):
            raise UnsafeKey(f"{printable(name)!r}: {path.message}")
        return path

    def to_name(self, path: str) -> str:
        """What the object of the file at this path is called; UnsafeKey."""
        *folders, file = path.split("/")
        parts = [self.name_component(part, is_folder=True) for part in folders]
        parts.append(self.name_component(file))
        for part in parts:
            if isinstance(part, Fault):
                raise UnsafeKey(f"{printable(path)!r}: {part.message}")
        name = "/".join(map(str, parts))
        if len(name.encode()) > NAME_BYTES:
            raise UnsafeKey(f"{name!r}: longer than {NAME_BYTES} bytes, which is as long as keys may be")
        return name

    def path_of(self, name: str, *, is_conflict: bool = False) -> str | Fault:
        """As to_path, with a Fault in place of the error."""
        if not name.isascii() and not _is_text(name):
            return Fault("not-utf-8", "the name is no text")
        path = name
        if not self.is_plain:
            mapped = self._mapped(name)
            if isinstance(mapped, Fault):
                return mapped
            path = mapped
        check = windows_fault if self.is_windows else posix_fault
        for component in path.split("/"):
            if fault := check(component):
                return fault
        if self.conflict == "suffix" and (is_conflict or name.endswith(CONFLICT_SUFFIX)):
            path += CONFLICT_SUFFIX
            # Only now: with the suffix, also what is no name of a file would look like one.
            if fault := check(path.rpartition("/")[2]):
                return fault
        return path

    def name_component(self, component: str, *, is_folder: bool = False) -> str | Fault:
        """What one part of a path is called in a name."""
        text: str = component
        if self.non_utf8 == "escape":
            text = _RAW.sub(_escape, text)
        if not text.isascii():
            if not _is_text(text):
                return Fault("not-utf-8", "the name is no UTF-8 text, which keys are; rename it, or let it be escaped")
            if self.unicode == "nfc":
                text = unicodedata.normalize("NFC", text)
        if self.conflict == "suffix" and not is_folder and len(text) > len(CONFLICT_SUFFIX):
            text = text.removesuffix(CONFLICT_SUFFIX)
        return text

    def _mapped(self, name: str) -> str | Fault:
        if self.unicode == "nfc" and not unicodedata.is_normalized("NFC", name):
            return Fault("unsafe", "the key is not in the normal form NFC; rename it, or sync names as they are")
        path = name
        if self.non_utf8 == "escape" and "%" in name:
            # Bytes that were escaped one by one may be a character together, and then they are not escaped on the way back.
            path = _ESCAPED.sub(_unescape, name).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
            if _RAW.sub(_escape, path) != name:
                return Fault("unsafe", "the key looks like an escaped name and is none; sync without escapes")
        return path


def _escape(match: re.Match[str]) -> str:
    return "%25" if match[0] == "%" else f"%{ord(match[0]) - 0xDC00:02X}"


def _unescape(match: re.Match[str]) -> str:
    return "%" if match[1] == "25" else chr(0xDC00 + int(match[1], 16))


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
