"""ListObjects in both versions: pages, delimiters, tokens and bad arguments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.models import ListPage
from s3func.server import S3App
from s3func.server.backend import ObjectAttributes
from s3func.wire import s3xml
from s3func.wire.encoding import encode_query
from tests.interop.keys import HOSTILE_KEYS
from tests.server.forge import KEY_ID, SECRET, Caller, base64_of, code, keys, read

_NOTHING = ObjectAttributes()


def pages(caller: Caller, list_type: int, **parameters: str) -> Iterator[ListPage]:
    """Every page of a listing, fetched as a client would."""
    query = {name.replace("_", "-"): value for name, value in parameters.items()} | {"encoding-type": "url"}
    if list_type == 2:
        query["list-type"] = "2"
    while True:
        response = caller("GET", "/bkt", encode_query(query.items()))
        assert 200 == response.status, read(response)
        page = s3xml.parse_list_objects(read(response), list_type=list_type)
        yield page
        if not page.is_truncated:
            return
        assert page.next_token
        query["continuation-token" if list_type == 2 else "marker"] = page.next_token


def expected_rows(keys: list[str], prefix: str, delimiter: str, after: str) -> list[str]:
    """A listing by its definition: keys and common prefixes in the order of UTF-8."""
    rows: dict[str, None] = {}
    for key in sorted(keys, key=str.encode):
        if key.startswith(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            row = key if cut < 0 else key[: cut + len(delimiter)]
            if row.encode() > after.encode():
                rows[row] = None
    return list(rows)


names = st.text(alphabet="ab/é\U0001f680", min_size=1, max_size=5)


@given(
    st.lists(names, max_size=12, unique=True),
    st.text(alphabet="ab/", max_size=2),
    st.sampled_from(["", "/", "a", "b/"]),
    st.text(alphabet="ab/é", max_size=3),
    st.integers(1, 4),
    st.sampled_from([1, 2]),
)
def test_pages_together_are_the_listing(
    keys: list[str], prefix: str, delimiter: str, after: str, max_keys: int, list_type: int
) -> None:
    """Whatever the keys, prefix, delimiter, start and page size: nothing is missing, repeated or out of order."""
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET)
    app.backend.create_bucket("bkt")
    for key in keys:
        with app.backend.begin_put("bkt", key) as writer:
            writer.commit(_NOTHING)
    place = {"start_after" if list_type == 2 else "marker": after} if after else {}
    found: list[str] = []
    for page in pages(Caller(app), list_type, prefix=prefix, delimiter=delimiter, max_keys=str(max_keys), **place):
        rows = sorted([*(entry.key for entry in page.entries), *page.common_prefixes], key=str.encode)
        assert len(rows) <= max_keys
        assert not page.is_truncated or len(rows) == max_keys
        found += rows
    assert expected_rows(keys, prefix, delimiter, after) == found


def test_a_row_says_what_there_is(caller: Caller) -> None:
    """Key, size, ETag, time, storage class, and the owner: always in version 1, on demand in version 2."""
    caller.put("key", b"hello", x_amz_storage_class="GLACIER")
    [first] = next(pages(caller, 1)).entries
    [second] = next(pages(caller, 2)).entries
    [third] = next(pages(caller, 2, fetch_owner="true")).entries
    for entry in (first, second, third):
        assert ("key", 5, "5d41402abc4b2a76b9719d911017c592", "GLACIER") == (
            entry.key,
            entry.size,
            entry.etag,
            entry.storage_class,
        )
        assert entry.last_modified is not None
        assert abs((datetime.now(UTC) - entry.last_modified).total_seconds()) < 60
    assert ("s3func", None, "s3func") == (first.owner, second.owner, third.owner)


def test_hostile_keys_are_listed_in_the_order_of_their_bytes(caller: Caller) -> None:
    """With encoding-type=url every key comes back, exactly, in both versions, in one page and in many."""
    for key in HOSTILE_KEYS:
        with caller.app.backend.begin_put("bkt", key) as writer:
            writer.commit(_NOTHING)
    expected = sorted(HOSTILE_KEYS, key=str.encode)
    for list_type in (1, 2):
        for max_keys in ("1000", "3"):
            found = [entry.key for page in pages(caller, list_type, max_keys=max_keys) for entry in page.entries]
            # Version 1 has its marker in the document, where NextMarker stands only with a delimiter.
            assert expected == found


def test_an_empty_token_is_the_beginning(caller: Caller) -> None:
    """A continuation token without a character is answered with itself and the first page."""
    caller.put("key")
    body = read(caller("GET", "/bkt", "continuation-token=&list-type=2"))
    assert b"<ContinuationToken></ContinuationToken>" in body
    assert b"<Key>key</Key>" in body
    assert b"ContinuationToken" not in read(caller("GET", "/bkt", "list-type=2"))


def test_a_prefix_is_no_pattern(caller: Caller) -> None:
    """`_` and `%` in a prefix are themselves, and case counts."""
    for key in ("w/aXc", "w/a_c", "W/a_c", "w/a%25c"):
        caller.put(key)
    for prefix, expected in [("w/a_", ["w/a_c"]), ("w/a%", ["w/a%c"]), ("W/", ["W/a_c"]), ("w/A", [])]:
        assert expected == [entry.key for page in pages(caller, 2, prefix=prefix) for entry in page.entries]


def test_a_plus_in_a_query_is_a_space(caller: Caller) -> None:
    """As forms have it, and as every S3 server does; %2B is the plus sign."""
    caller.put("a%20b")
    caller.put("a%2Bb")
    for prefix, expected in [("a+b", b"<Key>a b</Key>"), ("a%20b", b"<Key>a b</Key>"), ("a%2Bb", b"<Key>a+b</Key>")]:
        body = read(caller("GET", "/bkt", f"prefix={prefix}"))
        assert expected in body
        assert 1 == body.count(b"<Key>")


def test_the_document_says_what_was_asked(caller: Caller) -> None:
    """Version 2 has KeyCount, StartAfter and the tokens; version 1 has Marker, and NextMarker with a delimiter."""
    for key in ("a/1", "a/2", "b", "c"):
        caller.put(key)
    body = read(caller("GET", "/bkt", "list-type=2&max-keys=2&delimiter=%2F&start-after=%21"))
    for element in (b"<KeyCount>2</KeyCount>", b"<StartAfter>!</StartAfter>", b"<MaxKeys>2</MaxKeys>"):
        assert element in body
    assert b"<IsTruncated>true</IsTruncated><" in body
    assert b"<NextContinuationToken>" in body
    first = read(caller("GET", "/bkt", "max-keys=2&delimiter=%2F&marker=%21"))
    assert b"<Marker>!</Marker><NextMarker>b</NextMarker>" in first
    assert b"NextMarker" not in read(caller("GET", "/bkt", "max-keys=2"))
    assert b"<Key>c</Key>" in read(caller("GET", "/bkt", "max-keys=2&delimiter=%2F&marker=b"))


@pytest.mark.parametrize("list_type", ["", "&list-type=2"])
def test_max_keys(caller: Caller, list_type: str) -> None:
    """0 is an empty page that is not truncated, more than 1,000 counts as 1,000, and what is no number is refused."""
    for number in range(3):
        caller.put(f"k{number}")
    empty = read(caller("GET", "/bkt", f"max-keys=0{list_type}"))
    assert b"<MaxKeys>0</MaxKeys>" in empty
    assert b"<IsTruncated>false</IsTruncated>" in empty
    assert b"<Contents>" not in empty
    assert b"<MaxKeys>1000</MaxKeys>" in read(caller("GET", "/bkt", f"max-keys=5000{list_type}"))
    for wrong in ("abc", "-1", "1.5", "%2B1", "99999999999", "2147483648", "%D9%A1"):
        assert (400, "InvalidArgument") == code(caller("GET", "/bkt", f"max-keys={wrong}{list_type}"))


@pytest.mark.parametrize(
    "query",
    [
        "encoding-type=xml",
        "list-type=2&encoding-type=URL",
        "list-type=1",
        "list-type=3",
        "list-type=",
        "list-type=2&continuation-token=abc",
        "list-type=2&continuation-token=" + "A" * 40,
        "list-type=2&continuation-token=%C3%A9",
        "list-type=2&continuation-token=YmFk",
    ],
)
def test_bad_arguments_are_named(caller: Caller, query: str) -> None:
    """Another encoding, another version and a token that was never given out are InvalidArgument."""
    assert (400, "InvalidArgument") == code(caller("GET", "/bkt", query))


def test_a_token_is_opaque_and_whole(caller: Caller) -> None:
    """A token works with another prefix's start-after beside it, and not with a character changed or cut."""
    for number in range(3):
        caller.put(f"k{number}")
    token = next(pages(caller, 2, max_keys="1")).next_token
    assert token
    good = encode_query([("list-type", "2"), ("continuation-token", token), ("start-after", "zzz")])
    assert b"<Key>k1</Key>" in read(caller("GET", "/bkt", good))
    for wrong in (token[:-4], token + "AAAA", token.swapcase()):
        query = encode_query([("list-type", "2"), ("continuation-token", wrong)])
        assert (400, "InvalidArgument") == code(caller("GET", "/bkt", query))


def test_versions_where_none_are_kept(caller: Caller) -> None:
    """Every object is listed as its one version, "null" and latest, page by page, and can be deleted as that."""
    for key in ("a/1", "a/2", "b", "c"):
        caller.put(key, b"body")
    marker, found = "", []
    for _ in range(4):
        page = s3xml.parse_list_object_versions(read(caller("GET", "/bkt", f"max-keys=1&{marker}versions=")))
        found += [(entry.key, entry.version_id, entry.is_latest, entry.size) for entry in page.entries]
        marker = f"key-marker={page.next_token}&version-id-marker={page.next_version_id}&"
    assert not page.is_truncated
    assert [(key, "null", True, 4) for key in ("a/1", "a/2", "b", "c")] == found
    folded = s3xml.parse_list_object_versions(read(caller("GET", "/bkt", "delimiter=%2F&versions=")))
    assert (["b", "c"], ["a/"]) == ([entry.key for entry in folded.entries], folded.common_prefixes)
    assert (400, "InvalidArgument") == code(caller("GET", "/bkt", "version-id-marker=null&versions="))
    assert 204 == caller("DELETE", "/bkt/b", "versionId=null").status
    assert ["a/1", "a/2", "c"] == keys(caller)


def test_a_listing_of_no_bucket(caller: Caller) -> None:
    """Listing a bucket that is not there is NoSuchBucket in both versions."""
    assert (404, "NoSuchBucket") == code(caller("GET", "/none"))
    assert (404, "NoSuchBucket") == code(caller("GET", "/none", "list-type=2"))


def test_a_plain_listing_with_control_characters_can_be_read(caller: Caller) -> None:
    """Without encoding-type, a key with control characters does not make the bucket's listing unreadable."""
    caller.put("%01%1f%0D%0A", b"x", **{"x-amz-checksum-crc32": base64_of("crc32", b"x")})
    [entry] = s3xml.parse_list_objects(read(caller("GET", "/bkt"))).entries
    assert "\x01\x1f\r\n" == entry.key
