"""Which names take part in a sync: patterns, lists of names and sizes; the same on both sides, so nothing hidden is deleted.

A glob, as most tools read it: `*` and `?` stay inside of one part of the name, `**` does not, `[a-z]` and `[!a-z]` are
one character, `{jpg,png}` is either. With a "/" in front it begins at the top, else at any folder; with a "/" at the end
it means folders. What a pattern says of a folder it says of all that is in it.

exclude, include: a name takes part if it matches no exclude and, where there are includes, one of them. (Excluding "*"
beside includes says nothing more, and is not held against them.)
rules: in order, "- pattern" or "+ pattern", and the first one that matches decides; without one, the name takes part. So
rclone's filter files mean what they mean there.
gitignore: the lines of a .gitignore at the top of the tree, the last one that matches decides, "!" takes back.
files_from: these names and no others. min_size, max_size: bytes; a name whose size is outside is left alone on both sides.
Each of them has to let a name through.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

Pattern: TypeAlias = str | re.Pattern[str]
Patterns: TypeAlias = Pattern | Iterable[Pattern]
Dialect = Literal["glob", "regex"]

_END = r"(?:/|\Z)"
_EVERYTHING = frozenset({"*", "**", "/*", "/**", "**/*"})


class Filters:
    """What takes part; immutable, to be pickled, and safe for threads. ValueError names the pattern that is none."""

    def __init__(
        self,
        *,
        exclude: Patterns = (),
        include: Patterns = (),
        rules: Iterable[str] = (),
        gitignore: str | Iterable[str] = (),
        files_from: Iterable[str] | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        dialect: Dialect = "glob",
        ignore_case: bool = False,
    ) -> None:
        """See the top of this file for what each means.

        A re.Pattern is searched for in the name of a file; dialect="regex" makes such a pattern of every str in exclude,
        include and rules. gitignore: lines, or their text. ignore_case: for all patterns.
        """
        if dialect not in {"glob", "regex"}:
            raise ValueError(f"dialect must be glob or regex, not {dialect!r}")
        for name, size in (("min_size", min_size), ("max_size", max_size)):
            if size is not None and (not isinstance(size, int) or size < 0):
                raise ValueError(f"{name} must be a number of bytes, not {size!r}")
        self._exclude = _patterns(exclude, "exclude")
        self._include = _patterns(include, "include")
        self._rules = tuple(map(_rule, [rules] if isinstance(rules, str) else rules))
        lines = gitignore.splitlines() if isinstance(gitignore, str) else gitignore
        self._gitignore = tuple(line.rstrip("\r\n") for line in lines)
        self._files = None if files_from is None else frozenset(files_from)
        self._min_size = min_size
        self._max_size = max_size
        self._dialect: Dialect = dialect
        self._ignore_case = ignore_case
        self._compile()

    def matches(self, name: str, is_folder: bool = False) -> bool:
        """Whether a file takes part; of a folder, whether something was said that keeps it, as such, out."""
        text = f"{name}/" if is_folder else name
        if self._files is not None and not is_folder and name not in self._files:
            return False
        if self._excluded is not None and self._excluded(text):
            return False
        if self._included is not None and not is_folder and not self._included(text):
            return False
        for is_taken, found in self._ruled:
            if found(text):
                if not is_taken:
                    return False
                break
        return self._ignored is None or not self._ignored(text)

    def prunes(self, folder: str) -> bool:
        """Whether nothing below the folder can take part, so that nobody need look."""
        text = f"{folder}/"
        if self._folders is not None and folder not in self._folders:
            return True
        if self._excludes_folders is not None and self._excludes_folders(text):
            return True
        if self._ignored is not None and self._ignored(text):
            return True
        for is_taken, found in self._ruled:
            if is_taken:
                # It may let something through that is deeper.
                return False
            if self._dialect == "glob" and found(text):
                return True
        return False

    def takes_size(self, size: int) -> bool:
        """Whether the size, in bytes, is one of those that were asked for."""
        if self._min_size is not None and size < self._min_size:
            return False
        return self._max_size is None or size <= self._max_size

    @property
    def has_sizes(self) -> bool:
        """Whether takes_size() says no to anything."""
        return self._min_size is not None or self._max_size is not None

    @property
    def is_empty(self) -> bool:
        """Whether everything takes part."""
        return self == Filters()

    @property
    def fingerprint(self) -> str:
        """The same for filters that were given the same, today and in another process."""
        text = json.dumps(self._definition(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _definition(self) -> dict[str, Any]:
        def spelled(patterns: Sequence[Pattern]) -> list[Any]:
            return [item if isinstance(item, str) else [item.pattern, item.flags] for item in patterns]

        return {
            "exclude": spelled(self._exclude),
            "include": spelled(self._include),
            "rules": [list(rule) for rule in self._rules],
            "gitignore": list(self._gitignore),
            "files_from": None if self._files is None else sorted(self._files),
            "sizes": [self._min_size, self._max_size],
            "dialect": self._dialect,
            "ignore_case": self._ignore_case,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filters) and self._definition() == other._definition()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        said = {key: value for key, value in self._definition().items() if value not in ([], None, False, [None, None])}
        if said.get("dialect") == "glob":
            del said["dialect"]
        return f"Filters({', '.join(f'{key}={value!r}' for key, value in said.items())})"

    def __getstate__(self) -> dict[str, Any]:
        compiled = {"_excluded", "_excludes_folders", "_included", "_ruled", "_ignored", "_folders"}
        return {key: value for key, value in self.__dict__.items() if key not in compiled}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._compile()

    def _compile(self) -> None:
        include = self._include
        exclude = [item for item in self._exclude if not include or item not in _EVERYTHING]
        self._excluded = self._search(exclude)
        # A regular expression is about names, and says nothing about what else is in a folder.
        whole = [item for item in exclude if isinstance(item, str)] if self._dialect == "glob" else []
        self._excludes_folders = self._search(whole)
        self._included = self._search(include)
        self._ruled = [(is_taken, _always(self._search([pattern]))) for is_taken, pattern in self._rules]
        self._ignored = _gitignore(self._gitignore, ignore_case=self._ignore_case)
        self._folders = None if self._files is None else _folders_of(self._files)

    def _search(self, patterns: Sequence[Pattern]) -> Callable[[str], Any] | None:
        """Whether any of the patterns is found in a name; folders end with a slash."""
        flags = re.DOTALL | (re.IGNORECASE if self._ignore_case else 0)
        texts = [item for item in patterns if isinstance(item, str)]
        ready = [item.search for item in patterns if not isinstance(item, str)]
        if texts:
            parts = texts if self._dialect == "regex" else [_glob(text) for text in texts]
            try:
                for part in parts:
                    re.compile(part, flags)
            except re.error as error:
                raise ValueError(f"{part!r} is no pattern: {error}") from None
            ready.insert(0, re.compile("|".join(f"(?:{part})" for part in parts), flags).search)
        if len(ready) <= 1:
            return ready[0] if ready else None
        return lambda text: any(search(text) for search in ready)


def _patterns(given: Patterns, argument: str) -> tuple[Pattern, ...]:
    items = (given,) if isinstance(given, str | re.Pattern) else tuple(given)
    for item in items:
        if not isinstance(item, str | re.Pattern) or (isinstance(item, re.Pattern) and isinstance(item.pattern, bytes)):
            raise TypeError(f"{argument} must be patterns of str, not {type(item).__name__}")
        if not item:
            raise ValueError(f"{argument} has an empty pattern")
    return items


def _rule(line: str) -> tuple[bool, str]:
    sign, space, pattern = line[:1], line[1:2], line[2:].strip()
    if sign not in {"+", "-"} or space != " " or not pattern:
        raise ValueError(f"rules must be '+ PATTERN' or '- PATTERN', not {line!r}")
    return sign == "+", pattern


def _always(search: Callable[[str], Any] | None) -> Callable[[str], Any]:
    assert search is not None
    return search


def _folders_of(names: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return frozenset(found)


def _glob(pattern: str) -> str:
    """A regular expression to be searched for in a name: it matches the name, or a folder that the name lies in."""
    is_anchored = pattern.startswith("/")
    is_for_folders = pattern.endswith("/")
    body = pattern.strip("/")
    if not body:
        raise ValueError(f"{pattern!r} is no pattern: nothing is left without its slashes")
    front = r"\A" if is_anchored else r"(?:\A|/)"
    return f"{front}{_translated(body, pattern)}{'/' if is_for_folders else _END}"


def _translated(body: str, pattern: str) -> str:
    """A glob without the slashes around it as a regular expression."""
    out: list[str] = []
    place, depth = 0, 0
    while place < len(body):
        character = body[place]
        place += 1
        if character == "*":
            if body.startswith("*", place):
                end = place
                while body.startswith("*", end):
                    end += 1
                is_start = place == 1 or body[place - 2] == "/"
                if is_start and body.startswith("/", end):
                    # `**/` is any number of folders, also none.
                    out.append("(?:.*/)?")
                    end += 1
                else:
                    out.append(".*")
                place = end
            else:
                out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            text, place = _bracket(body, place, pattern)
            out.append(text)
        elif character == "{":
            depth += 1
            out.append("(?:")
        elif character == "}" and depth:
            depth -= 1
            out.append(")")
        elif character == "," and depth:
            out.append("|")
        elif character == "\\" and place < len(body):
            out.append(re.escape(body[place]))
            place += 1
        else:
            out.append(re.escape(character))
    if depth:
        raise ValueError(f"{pattern!r} is no pattern: a brace is not closed")
    return "".join(out)


def _bracket(body: str, place: int, pattern: str) -> tuple[str, int]:
    """A class of characters, from behind its "[" on; and where it ends."""
    start = place
    if body.startswith(("!", "^"), place):
        place += 1
    # A "]" that comes first is a member.
    end = body.find("]", place + 1)
    if end < 0:
        raise ValueError(f"{pattern!r} is no pattern: a bracket is not closed")
    members = body[place:end].replace("\\", "\\\\").replace("[", "\\[")
    members = members.replace("]", "\\]").replace("&&", "&\\&").replace("||", "|\\|").replace("~~", "~\\~")
    if members.startswith("^"):
        members = "\\" + members
    text = f"(?!/)[{'^' if place > start else ''}{members}]"
    return text, end + 1


def _gitignore(lines: Sequence[str], *, ignore_case: bool) -> Callable[[str], bool] | None:
    """Whether a name is ignored, by the rules of https://git-scm.com/docs/gitignore; folders end with a slash."""
    rules = [rule for line in lines if (rule := _gitignore_rule(line, ignore_case=ignore_case)) is not None]
    if not rules:
        return None
    rules.reverse()

    def said(text: str) -> bool:
        for is_ignored, pattern in rules:
            if pattern.match(text):
                return is_ignored
        return False

    @lru_cache(maxsize=4096)
    def folder_ignored(folder: str) -> bool:
        above = folder[:-1].rpartition("/")[0]
        # What lies in an ignored folder cannot be taken back.
        return (bool(above) and folder_ignored(above + "/")) or said(folder)

    def ignored(text: str) -> bool:
        if text.endswith("/"):
            return folder_ignored(text)
        above = text.rpartition("/")[0]
        return (bool(above) and folder_ignored(above + "/")) or said(text)

    return ignored


def _gitignore_rule(line: str, *, ignore_case: bool) -> tuple[bool, re.Pattern[str]] | None:
    if line.startswith("#"):
        return None
    # Spaces at the end do not count, unless they are escaped.
    while line.endswith(" ") and not line.endswith("\\ "):
        line = line[:-1]
    is_ignored = not line.startswith("!")
    body = line if is_ignored else line[1:]
    is_for_folders = body.endswith("/")
    body = body.removesuffix("/")
    is_anchored = "/" in body
    body = body.removeprefix("/")
    if not body:
        return None
    front = "" if is_anchored else "(?:.*/)?"
    text = f"{_git_translated(body)}{'/' if is_for_folders else '/?'}"
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return is_ignored, re.compile(rf"{front}{text}\Z", flags)


def _git_translated(body: str) -> str:
    """As _translated, but braces are characters, and two stars are two only between slashes."""
    out: list[str] = []
    place = 0
    while place < len(body):
        character = body[place]
        if body.startswith("**/", place) and (place == 0 or body[place - 1] == "/"):
            out.append("(?:.*/)?")
            place += 3
            continue
        if body[place:] == "**" and (place == 0 or body[place - 1] == "/"):
            # All that is in the folder, but not the folder itself.
            out.append(".+")
            break
        place += 1
        if character == "*":
            out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[" and body.find("]", place + 1 + body.startswith(("!", "^"), place)) > 0:
            text, place = _bracket(body, place, body)
            out.append(text)
        elif character == "\\" and place < len(body):
            out.append(re.escape(body[place]))
            place += 1
        else:
            out.append(re.escape(character))
    return "".join(out)
