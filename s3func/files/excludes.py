"""Excludes: what of a folder does not take part, as regular expressions that are searched for in the relative path.

A pattern that begins with "/" means a name at any depth, as it does where it is searched for in an absolute path; but
what is above the folder never matters: a cache below `~/.cache` is not hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["Excludes"]

HIDDEN = (r"/\.", r"(?:^|/)__pycache__(?:/|$)", r"\.egg-info(?:/|$)")
"""What Config.should_exclude_hidden() excludes."""


class Excludes:
    """An ordered list of patterns without doubles."""

    def __init__(self, patterns: str | Iterable[str] = ()) -> None:
        """ValueError names the pattern that is no regular expression."""
        self._patterns: dict[str, re.Pattern[str]] = {}
        self.add(patterns)

    def add(self, patterns: str | Iterable[str]) -> None:
        """Add one pattern or several; all of them or, when one is wrong, none."""
        added = [patterns] if isinstance(patterns, str) else list(patterns)
        compiled = {pattern: _compiled(pattern) for pattern in added if pattern != ""}
        self._patterns.update(compiled)

    def remove(self, pattern: str) -> None:
        """Remove a pattern; one that is not there is no error."""
        self._patterns.pop(pattern, None)

    def clear(self) -> None:
        """Remove them all."""
        self._patterns.clear()

    def patterns(self) -> list[str]:
        """As they were given."""
        return list(self._patterns)

    def compiled(self, more: str | Iterable[str] = ()) -> list[re.Pattern[str]]:
        """For `Filters(exclude=…)`, together with some more."""
        both = Excludes(self._patterns)
        both.add(more)
        return list(both._patterns.values())


def _compiled(pattern: object) -> re.Pattern[str]:
    if not isinstance(pattern, str):
        raise TypeError(f"excludes must be regular expressions as str, not {type(pattern).__name__}")
    # A relative path has no slash at its beginning.
    text = f"(?:^|/){pattern[1:]}" if pattern.startswith("/") else pattern
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"excludes has {pattern[:200]!r}, which is no regular expression: {error}") from None
