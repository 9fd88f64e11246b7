"""The decision about one name: every row of the table in compare.py, by a second table that was written by hand."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.sync.compare import (
    MODES,
    Compare,
    Verdict,
    decide,
    is_md5,
    is_sha1,
    object_has_content,
    one_is_unchanged,
    other_is_unchanged,
    same_objects,
    same_time,
)
from s3func.sync.entry import Entry, LocalEntry, RemoteEntry
from s3func.sync.state import StateRow

MD5 = "0cc175b9c0f1b6a831c399e269772661"
OTHER_MD5 = "92eb5ffee6ae2fec3ad71c777531578f"
S = 1_000_000_000

LOCAL = LocalEntry("n", "n", 5, 100 * S, 101 * S, 7, 1, 0o100644)
REMOTE = RemoteEntry("n", "p/n", 5, MD5, 150.0)
ROW = StateRow("n", 5, 100 * S, 101 * S, 7, None, None, None, 5, MD5, 150.0, None, MD5, None, None, 0o100644, 0)
STORES_ROW = StateRow("n", 5, None, None, None, MD5, 150.0, None, 5, "x-1", 150.0, None, None, None, None, None, 0)


def expected_outcome(mode: str, *, sizes: bool, remembered: bool, is_download: bool, target_newer: bool) -> str:
    """The table, by hand: what each mode says of a file and an object."""
    if mode == "always":
        return "changed"
    if mode == "missing":
        return "same"
    if not sizes:
        return "changed"
    if mode == "size":
        return "same"
    if mode == "aws":
        return "changed" if target_newer == is_download else "same"
    if remembered and mode in {"auto", "mtime"}:
        return "same"
    return "undecided"


CASES: list[tuple[bool, ...]] = list(itertools.product([True, False], repeat=7))


@pytest.mark.parametrize("mode", MODES)
def test_the_table_holds_in_every_cell(mode: Compare) -> None:
    """Every mode x equal sizes x row x racy x local changed x remote changed x direction x newer: the table's outcome."""
    for sizes, has_row, racy, local_same, remote_same, is_download, local_newer in CASES:
        local = LOCAL if local_same else LOCAL._replace(ctime_ns=102 * S)
        local = local._replace(mtime_ns=(200 if local_newer else 100) * S)
        remote = REMOTE if remote_same else REMOTE._replace(etag=OTHER_MD5)
        if not sizes:
            remote = remote._replace(size=6)
        row = ROW._replace(is_racy=int(racy), one_mtime_ns=local.mtime_ns) if has_row else None
        source, target = (remote, local) if is_download else (local, remote)
        expected = expected_outcome(
            mode,
            sizes=sizes,
            remembered=has_row and not racy and local_same and remote_same,
            is_download=is_download,
            target_newer=local_newer == is_download,
        )
        assert expected == decide(mode, source, target, row, is_swapped=is_download).outcome


@pytest.mark.parametrize(
    ("mode", "source", "target", "expected"),
    [
        ("auto", LOCAL, REMOTE._replace(size=6), Verdict("changed", "size")),
        ("auto", LOCAL, REMOTE, Verdict("undecided", "content")),
        ("hash", LOCAL, REMOTE, Verdict("undecided", "content")),
        ("mtime", LOCAL, REMOTE, Verdict("undecided", "mtime")),
        ("size", LOCAL, REMOTE, Verdict("same", "size")),
        ("always", LOCAL, REMOTE, Verdict("changed", "forced")),
        ("missing", LOCAL, REMOTE._replace(size=6), Verdict("same", "present")),
        ("aws", LOCAL._replace(mtime_ns=200 * S), REMOTE, Verdict("changed", "mtime")),
        ("aws", REMOTE._replace(modified=900.0), LOCAL, Verdict("same", "mtime")),
        ("auto", REMOTE, REMOTE, Verdict("same", "content")),
        ("hash", REMOTE, REMOTE._replace(etag=OTHER_MD5), Verdict("undecided", "content")),
        ("mtime", REMOTE, REMOTE, Verdict("undecided", "mtime")),
    ],
)
def test_reasons_are_those_that_plan_documents(mode: Compare, source: Entry, target: Entry, expected: Verdict) -> None:
    """Each verdict says why, in the words of plan()."""
    assert expected == decide(mode, source, target, None)


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_a_file_is_unchanged_only_if_nothing_about_it_is_new(field: str) -> None:
    """T23: size, both times and the inode all have to be as they were; the device, which a reboot renumbers, need not."""
    assert one_is_unchanged(ROW, LOCAL)
    assert one_is_unchanged(ROW, LOCAL._replace(device=9))
    assert not one_is_unchanged(ROW, LOCAL._replace(**{field: 1}))  # type: ignore[arg-type]


def test_inodes_of_64_bits_are_the_same_after_sqlite() -> None:
    """An inode above 2^63, which SQLite keeps as a negative number, is recognised."""
    assert one_is_unchanged(ROW._replace(one_inode=-1), LOCAL._replace(inode=2**64 - 1))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"etag": OTHER_MD5}, False),
        ({"size": 6}, False),
        ({"modified": 151.0}, False),
        ({"modified": 0.0}, True),
        ({"version_id": "v"}, True),
        ({"etag": ""}, False),
    ],
)
def test_an_object_is_unchanged_as_far_as_the_listing_tells(change: dict[str, object], expected: bool) -> None:
    """ETag, size and, where both are known, time and version have to be as they were."""
    assert expected == other_is_unchanged(ROW, REMOTE._replace(**change))  # type: ignore[arg-type]
    assert not other_is_unchanged(ROW._replace(other_etag=""), REMOTE._replace(etag=""))
    assert not other_is_unchanged(ROW, LOCAL)


def test_an_object_has_the_content_whenever_it_was_written() -> None:
    """Written again with the same ETag, or with the MD5 that is remembered, it is the same content."""
    assert object_has_content(ROW, REMOTE._replace(modified=999.0), is_one=False)
    assert object_has_content(ROW._replace(other_etag="x-2"), REMOTE, is_one=False)
    assert not object_has_content(ROW, REMOTE._replace(etag=OTHER_MD5), is_one=False)
    assert not object_has_content(ROW._replace(sha1=None), REMOTE._replace(etag=""), is_one=False)
    assert object_has_content(STORES_ROW, REMOTE, is_one=True)
    assert not object_has_content(STORES_ROW, REMOTE, is_one=False)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (MD5, MD5, True),
        (f"{MD5}-3", f"{MD5}-3", True),
        (MD5, OTHER_MD5, None),
        ("opaque", "opaque", None),
        ("", "", None),
        ("a" * 40, "a" * 40, True),
        ("a" * 40, "b" * 40, False),
        ("a" * 40, MD5, None),
    ],
)
def test_two_etags_tell_only_what_they_are_hashes_of(one: str, other: str, expected: bool | None) -> None:
    """T29: equal hashes are equal contents; other MD5s need not be, and a token that is no hash says nothing."""
    assert expected is same_objects(REMOTE._replace(etag=one), REMOTE._replace(etag=other))


def test_etags_are_told_apart_by_their_look() -> None:
    """32 digits may be an MD5, 40 are B2's SHA-1, all else is a token."""
    assert [True, False, False, False] == [is_md5(text) for text in (MD5, f"{MD5}-2", MD5.upper(), None)]
    assert [True, False, False] == [is_sha1(text) for text in ("a" * 40, MD5, None)]


@pytest.mark.parametrize(
    ("mtime_ns", "stored", "expected"),
    [
        (1_700_000_000_123_456_789, "1700000000.123456789", True),
        (1_700_000_000_123_456_789, "1700000000.123456", True),
        (1_700_000_000_123_456_789, "1700000000.123457", True),
        (1_700_000_000_123_456_789, "1700000000.123", True),
        (1_700_000_000_123_999_999, "1700000000.124", True),
        (1_700_000_000_123_456_789, "1700000000.122", False),
        (1_700_000_000_123_456_700, "1700000000.123456789", True),
        (1_700_000_000_123_456_789, "1700000000", True),
        (1_700_000_000_999_999_999, "1700000001", True),
        (1_700_000_000_123_456_789, "1700000002", False),
        (1_700_000_000_000_000_000, "1700000001.5", True),
        (1_700_000_000_000_000_000, "1700000001", True),
        (1_700_000_001_000_000_000, "1700000000", False),
        (1_700_000_000_000_000_000, "1700000002", False),
        (1_700_000_000_123_456_789, "1700000000.123456788", False),
        (4_000_000_000_000_000_001, "4000000000.000000001", True),
        (-1_500_000_000, "-1.5", True),
        (0, "yesterday", None),
        (0, "", None),
        (0, "1e9", None),
        (0, "1.", None),
        (0, "١", None),
    ],
)
def test_t26_times_are_the_same_as_far_as_the_less_exact_one_tells(
    mtime_ns: int, stored: str, expected: bool | None
) -> None:
    """T26, T27: cut off or rounded to s, ms, µs, 100 ns or FAT's two seconds, in the future or before 1970."""
    assert expected is same_time(mtime_ns, stored)


@given(st.integers(0, 2**62), st.sampled_from([1, 100, 1000, 1_000_000, S]), st.booleans())
def test_t26_a_time_survives_every_way_of_writing_it_less_exactly(time_ns: int, unit: int, is_rounded: bool) -> None:
    """Whatever cuts off or rounds a time to a unit, it is still taken for the same."""
    kept = (time_ns + (unit // 2 if is_rounded else 0)) // unit * unit
    text = f"{kept // S}.{kept % S:09d}".rstrip("0").rstrip(".")
    if len(text.partition(".")[0]) <= 12:
        assert same_time(time_ns, text)
