"""Patterns and names: what matches, and what a line may hold."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.cli.report import shown
from s3func.cli.urls import glob, is_glob, literal_of

PARTS = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "?", "**/", "[ab]", "[!a]", ".", "\n"]), max_size=6)
KEYS = st.text(alphabet="ab/.\n", max_size=7)


def matches(parts: list[str], key: str) -> bool:
    """Whether a key matches, part by part, by trying everything: the meaning of patterns as docs/cli.md has it."""
    if not parts:
        return not key
    first, rest = parts[0], parts[1:]
    if first == "*":
        return any(matches(rest, key[count:]) for count in range(len(key) + 1) if "/" not in key[:count])
    if not key:
        return False
    if first == "?":
        is_one = key[0] != "/"
    elif first == "[ab]":
        is_one = key[0] in "ab"
    elif first == "[!a]":
        is_one = key[0] not in "a/"
    else:
        is_one = key[0] == first
    return is_one and matches(rest, key[1:])


@given(parts=PARTS.filter(lambda parts: "**" not in "".join(parts)), key=KEYS)
def test_patterns_without_depth(parts: list[str], key: str) -> None:
    """*, ? and classes match what they say, and never a slash."""
    assert matches(parts, key) == (glob("".join(parts)).fullmatch(key) is not None)


@given(parts=PARTS, key=KEYS)
def test_what_matches_begins_with_the_literal(parts: list[str], key: str) -> None:
    """What is listed for a pattern has everything that matches it, and what has no magic is itself alone."""
    pattern = "".join(parts)
    if glob(pattern).fullmatch(key):
        assert key.startswith(literal_of(pattern))
        assert glob(pattern, below=True).fullmatch(f"{key}/x")
    if not is_glob(pattern, raw=False):
        assert (pattern == key) == (glob(pattern).fullmatch(key) is not None)


@pytest.mark.parametrize(
    ("pattern", "key", "is_match"),
    [
        ("**", "a/b", True),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("**/x", "x", True),
        ("**/x", "a/b/x", True),
        ("**/x", "ax", False),
        ("a/**/x", "a/x", True),
        ("a/**/x", "a/b/c/x", True),
        ("a**x", "ab/cx", True),
        ("[]a]", "]", True),
        ("[!]]", "]", False),
        ("[a-c]", "b", True),
        ("[a-c&&b]", "&", True),
        ("[!a]", "/", False),
        ("a.b", "axb", False),
    ],
)
def test_patterns_with_depth(pattern: str, key: str, is_match: bool) -> None:
    """** crosses slashes, **/ is any number of folders, brackets hold what stands in them."""
    assert is_match == (glob(pattern).fullmatch(key) is not None)


@pytest.mark.parametrize("pattern", ["[", "a[b", "[!", "[b-a]"])
def test_what_is_no_pattern(pattern: str) -> None:
    """A bracket that is not closed, or runs backwards, is wrong usage."""
    with pytest.raises(click.UsageError):
        glob(pattern)


@given(st.text())
def test_a_shown_name_is_one_line(name: str) -> None:
    """Whatever is in a name, nothing of it reaches a terminal but what can be printed; what can be is left as it is."""
    assert shown(name).isprintable()
    assert shown(name) == name or not name.isprintable()
