"""What s3func.server.backend promises about keys and listings, checked on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from s3func.errors import InvalidRequest
from s3func.server.backend import Backend, ListSlice, check_key
from tests.contract.objects import can_have, get, keys_of, new_bucket, put, shared_store

BAD_KEYS = [("", "InvalidArgument"), ("\ud800", "InvalidArgument")]
BAD_KEYS += [("x" * 1025, "KeyTooLongError"), ("ü" * 513, "KeyTooLongError")]

# Text that file systems, shells, SQL and XML treat as something else.
NASTY = [
    "a",
    "b",
    "/",
    "//",
    "..",
    ".",
    "\\",
    "%",
    "_",
    "*",
    "?",
    "'",
    '"',
    ";",
    "\0",
    "\x01",
    "\n",
    "\x7f",
    "\x85",
    " ",
]
NASTY += ["+", "%2F", "é", "e\u0301", "ß", "\u2028", "\uffff", "\U0001f600", "\U0010ffff", "\ud7ff", "\ue000", "-", "~"]
hostile_keys = st.one_of(
    st.lists(st.sampled_from(NASTY), min_size=1, max_size=8).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
)


class TestKeys:
    @given(st.sets(hostile_keys, min_size=1, max_size=12))
    @example({"a", "a/", "a/b", "a//b", "/a", "../a", "A"})
    @example({"%2e%2e/x", "..", "../../../../etc/passwd", "/etc/passwd", "C:\\x", "con", "a\0b"})
    @example({"x" * 1024, "ü" * 512, "/" * 1024})
    @shared_store
    def test_keys_are_exact(self, backend: Backend, keys: set[str]) -> None:
        """Any Unicode keys live side by side, each with its own body, and are listed in the order of their bytes."""
        assume(can_have(backend, keys))
        bucket = new_bucket(backend)
        for number, key in enumerate(keys):
            put(backend, key, key.encode() * (1 + 2_000 * (number % 2)), bucket=bucket)
        for number, key in enumerate(keys):
            assert key == backend.head_object(bucket, key).key
            assert key.encode() * (1 + 2_000 * (number % 2)) == get(backend, key, bucket)
        assert sorted(keys, key=str.encode) == keys_of(backend, bucket)
        for key in keys:
            backend.delete_object(bucket, key)
        backend.delete_bucket(bucket)

    @pytest.mark.parametrize(("key", "code"), BAD_KEYS)
    def test_bad_keys(self, backend: Backend, key: str, code: str) -> None:
        """What cannot be a key is refused by every call, before anything is stored."""
        put(backend, "source")
        calls: list[Callable[[], object]] = [
            lambda: check_key(key),
            lambda: backend.begin_put("bucket", key),
            lambda: backend.begin_copy("bucket", "source", "bucket", key),
            lambda: backend.begin_copy("bucket", key, "bucket", "target"),
            lambda: backend.open_object("bucket", key),
            lambda: backend.head_object("bucket", key),
            lambda: backend.delete_object("bucket", key),
        ]
        for call in calls:
            with pytest.raises(InvalidRequest) as caught:
                call()
            assert code == caught.value.code
        assert ["source"] == keys_of(backend)


def naive_list(keys: Iterable[str], prefix: str, delimiter: str, start_after: str) -> list[tuple[str, bool]]:
    """Every item of a listing in order, with whether it is a common prefix: the definition, without a seek."""
    items = set()
    for key in keys:
        if key.startswith(prefix):
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            items.add((prefix + head + delimiter, True) if found else (key, False))
    return sorted((item for item in items if item[0] > start_after), key=lambda item: item[0].encode())


def items_of(page: ListSlice) -> list[tuple[str, bool]]:
    items = [(row.key, False) for row in page.rows] + [(each, True) for each in page.common_prefixes]
    return sorted(items, key=lambda item: item[0].encode())


# Few letters, so that prefixes, delimiters and keys meet; \U0010ffff and \x00 are the ends of what is Unicode.
letters = st.text(alphabet="ab/-\x00\U0010ffff", max_size=6)


class TestListing:
    @given(
        keys=st.sets(letters.filter(bool), max_size=40),
        prefix=letters.map(lambda text: text[:2]),
        delimiter=st.sampled_from(["", "/", "a", "--", "b/", "\U0010ffff", "\x00"]),
        start_after=letters,
        limit=st.integers(0, 8),
    )
    @example(keys={"a/x", "a/y", "b"}, prefix="", delimiter="/", start_after="a/", limit=8)
    @example(keys={"a/x", "a/y", "b"}, prefix="a/", delimiter="/", start_after="a/x", limit=8)
    @example(keys={"a-", "a/", "a/b", "ab"}, prefix="a/", delimiter="/", start_after="", limit=1)
    @shared_store
    def test_pages_are_the_naive_listing_in_pieces(
        self, backend: Backend, keys: set[str], prefix: str, delimiter: str, start_after: str, limit: int
    ) -> None:
        """Each page holds the next `limit` items, keys and common prefixes together, and says whether more follow."""
        assume(can_have(backend, keys))
        bucket = new_bucket(backend)
        for key in keys:
            put(backend, key, bucket=bucket)
        expected = naive_list(keys, prefix, delimiter, start_after)
        while True:
            page = backend.list_objects(
                bucket, prefix=prefix, delimiter=delimiter, start_after=start_after, limit=limit
            )
            assert expected[:limit] == items_of(page)
            assert sorted(page.common_prefixes) == page.common_prefixes
            assert sorted(row.key for row in page.rows) == [row.key for row in page.rows]
            assert page.is_truncated is (limit > 0 and len(expected) > limit)
            if not page.is_truncated:
                break
            assert expected[limit - 1][0] == page.next_start_after
            expected = expected[limit:]
            start_after = page.next_start_after or ""

    def test_a_page_of_everything(self, backend: Backend) -> None:
        """The usual delimiter listing: files of the folder, folders once, everything counted together."""
        for key in ("asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thud", "cquux/bla", "zoo"):
            put(backend, key, key.encode())
        page = backend.list_objects("bucket", delimiter="/", limit=2)
        assert (["asdf"], ["boo/"], "boo/") == ([r.key for r in page.rows], page.common_prefixes, page.next_start_after)
        page = backend.list_objects("bucket", delimiter="/", limit=2, start_after="boo/")
        assert (["zoo"], ["cquux/"], False) == ([r.key for r in page.rows], page.common_prefixes, page.is_truncated)
        page = backend.list_objects("bucket", prefix="boo/", delimiter="/")
        assert (["boo/bar"], ["boo/baz/"]) == ([r.key for r in page.rows], page.common_prefixes)

    def test_wildcards_are_letters(self, backend: Backend) -> None:
        """A prefix is compared letter by letter: no wildcard, no folding of case, no normalisation."""
        for key in ("w/aXc", "w/a_c", "w/a%c", "W/a_c", "e\u0301", "\u00e9"):
            put(backend, key)
        assert ["w/a_c"] == [row.key for row in backend.list_objects("bucket", prefix="w/a_").rows]
        assert ["w/a%c"] == [row.key for row in backend.list_objects("bucket", prefix="w/a%").rows]
        assert ["W/a_c"] == [row.key for row in backend.list_objects("bucket", prefix="W").rows]
        assert ["\u00e9"] == [row.key for row in backend.list_objects("bucket", prefix="\u00e9").rows]

    def test_buckets_do_not_mix(self, backend: Backend) -> None:
        """Each bucket has its own keys, also where the names of the buckets begin alike."""
        for bucket in ("bucket-a", "bucket-aa", "bucket-b"):
            backend.create_bucket(bucket)
            put(backend, bucket, bucket.encode(), bucket=bucket)
            put(backend, "same", bucket.encode(), bucket=bucket)
        backend.delete_object("bucket-a", "same")
        assert ["bucket-a"] == keys_of(backend, "bucket-a")
        assert ["bucket-aa", "same"] == keys_of(backend, "bucket-aa")
        assert b"bucket-b" == get(backend, "same", "bucket-b")
