"""Keys as names of folders and files: every key has one place, every place one key."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3func.server.backends.drime.names import (
    PIECE_BYTES,
    Name,
    escape,
    escape_all,
    forms_of,
    meaning_of,
    pieces_of,
    split_key,
)

odd = st.sampled_from(["/", "//", "%", "%%", "%~", "%2F", ".", "..", " ", "\u3000", "\ufeff", "\\", "\0", "\x9f", "é"])
keys = st.one_of(
    st.lists(st.one_of(odd, st.sampled_from("abAB")), min_size=1, max_size=9).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400),
)


def places_of(key: str) -> list[tuple[Name, bool]]:
    """Every folder on the way, and the file: what each is called, and whether it is a folder."""
    names = split_key(key)
    found = []
    for number, text in enumerate(names):
        pieces = pieces_of(text)
        for place, piece in enumerate(pieces):
            is_more = place < len(pieces) - 1
            found.append((Name(piece, is_more), is_more or number < len(names) - 1))
    return found


@given(keys)
@example("/" * 1024)
@example("ü" * 512)
@example("a/" * 512)
@example("x" * 239 + " ")
def test_every_key_has_names_that_drime_keeps(key: str) -> None:
    """Names are neither empty nor too long, begin and end with something, and mean what they were made of."""
    assert key == "/".join(split_key(key))
    for name, is_folder in places_of(key):
        forms = forms_of(name)
        assert forms
        for form in forms:
            assert name == meaning_of(form, is_folder=is_folder)
            assert 0 < len(form.encode()) <= 255
            assert form == form.strip() == form.strip("\u200b\ufeff\u200e")
            assert form not in {".", ".."}
            assert re.search(r"[\x00-\x1f\x7f-\x9f/\\]", form) is None


@given(st.lists(keys, min_size=2, max_size=2, unique=True))
@example(["a%2Fb", "a/b"])
@example(["a b", "a%20b"])
@example(["a//b", "a/%2Fb"])
@example(["%7E", "~"])
def test_no_two_keys_share_a_place(pair: list[str]) -> None:
    """Different keys have different names somewhere on their way, in whatever form these are written."""
    ways = [[{*forms_of(name)} for name, _ in places_of(key)] for key in pair]
    assert len(ways[0]) != len(ways[1]) or any(ours.isdisjoint(theirs) for ours, theirs in zip(*ways, strict=True))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=60))
@example("100%.txt")
@example("%zz")
@example("%4")
@example("%2f")
@example("%~")
@example("%%")
def test_what_others_made_is_a_key_as_well(name: str) -> None:
    """Each name that somebody gave a file is one key; a name that is no escaping of ours is its own key."""
    meaning = meaning_of(name, is_folder=False)
    assert meaning is not None
    assert name in (*forms_of(meaning), meaning.text)


def test_readable_names_stay() -> None:
    """What people usually call files is called so at Drime."""
    for text in ("README.md", "date=2024-01-01", "Ärger & Co (2).txt", "日本語", ".profile", "a  b", "C:x", "~"):
        assert text == escape(text)


def test_the_other_form_is_the_same_in_every_alphabet() -> None:
    """The second form tells names apart for whoever ignores case, accents and compositions."""
    texts = ["a", "A", "á", "a\u0301", "Á", "ａ", "ß", "ss"]
    forms = {unicodedata.normalize("NFKC", escape_all(text)).casefold() for text in texts}
    assert len(texts) == len(forms)


@pytest.mark.parametrize("name", ["x%~", "a" * PIECE_BYTES + "b%~"])
def test_a_short_name_does_not_go_on(name: str) -> None:
    """A folder whose name merely ends like the piece of a long one is a folder."""
    assert Name(name) == meaning_of(name, is_folder=True)
    assert Name("a" * PIECE_BYTES, is_more=True) == meaning_of("a" * PIECE_BYTES + "%~", is_folder=True)
