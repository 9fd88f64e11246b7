"""Listings: the fast path against the full parser, the forms of real stores, and pages that must not be believed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import AccessDenied, ProtocolError, ServerError, ServiceError
from s3func.models import ListPage, ObjectEntry
from s3func.wire import s3xml_listing as listing
from s3func.wire.s3xml_listing import (
    parse_list_object_versions,
    parse_list_objects,
    render_list_object_versions,
    render_list_objects_v1,
    render_list_objects_v2,
)
from s3func.wire.xmltree import decode_document
from tests.shared_data import HOSTILE_KEYS, load_vectors, shared_vectors

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MOMENT = datetime(2026, 11, 21, 10, 0, 0, 123000, tzinfo=UTC)

KEYS = st.one_of(st.sampled_from(HOSTILE_KEYS), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
OWNERS = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8))
WORDS = st.text(st.sampled_from("abc019-&<>\"'"), min_size=1, max_size=8)
ENCODINGS = st.sampled_from(["", "url"])


@st.composite
def objects(draw: st.DrawFn) -> ObjectEntry:
    """A row of an objects listing."""
    return ObjectEntry(
        draw(KEYS), draw(st.integers(0, 2**62)), draw(WORDS), draw(MOMENTS), draw(WORDS), owner=draw(OWNERS)
    )


@st.composite
def versions(draw: st.DrawFn) -> ObjectEntry:
    """A row of a versions listing."""
    latest, version_id = draw(st.booleans()), draw(WORDS)
    if draw(st.booleans()):
        return ObjectEntry(
            draw(KEYS),
            last_modified=draw(MOMENTS),
            version_id=version_id,
            is_latest=latest,
            delete_marker=True,
            owner=draw(OWNERS),
        )
    row = draw(objects())
    row.version_id, row.is_latest = version_id, latest
    return row


def both(body: bytes, form: Any) -> tuple[Any, Any]:
    """What the fast path and the full parser make of a page; an exception in place of what raises."""
    text = decode_document(body)
    fast = listing._fast(text, form)
    try:
        full: Any = listing._full(text, form)
    except (ProtocolError, ServiceError) as error:
        full = error
    return (fast and fast[1:]), full if isinstance(full, Exception) else full[1:]


@given(st.lists(objects(), max_size=5), st.lists(KEYS, max_size=3), ENCODINGS, st.booleans(), KEYS)
def test_objects_come_back_as_they_were(
    entries: list[ObjectEntry], prefixes: list[str], encoding_type: str, truncated: bool, token: str
) -> None:
    """Whatever the keys hold, the parsed page equals the rendered one, and both parsers agree."""
    page = ListPage(entries, prefixes, truncated, token if truncated else None)
    body = render_list_objects_v2(page, bucket="b", prefix=token, delimiter="/", encoding_type=encoding_type)
    assert page == parse_list_objects(body, list_type=2)
    fast, full = both(body, listing._OBJECTS)
    assert (entries, prefixes) == full
    assert fast in (None, full)


@given(st.lists(versions(), max_size=5), st.lists(KEYS, max_size=3), ENCODINGS, st.booleans(), KEYS)
def test_versions_come_back_as_they_were(
    entries: list[ObjectEntry], prefixes: list[str], encoding_type: str, truncated: bool, token: str
) -> None:
    """Versions and delete markers keep their order and every field."""
    page = ListPage(entries, prefixes, truncated, token if truncated else None, "id" if truncated else None)
    body = render_list_object_versions(page, bucket="b", delimiter="/", encoding_type=encoding_type)
    assert page == parse_list_object_versions(body)
    fast, full = both(body, listing._VERSIONS)
    assert (entries, prefixes) == full
    assert fast in (None, full)


@given(st.lists(objects(), min_size=1, max_size=5), ENCODINGS, st.booleans())
def test_version_1_goes_on_from_its_last_key(entries: list[ObjectEntry], encoding_type: str, delimiter: bool) -> None:
    """Without a delimiter there is no NextMarker, and the last key takes its place."""
    page = ListPage(entries, [], True, entries[-1].key)
    body = render_list_objects_v1(
        page, bucket="b", delimiter="/" if delimiter else "", encoding_type=encoding_type, marker="m"
    )
    assert page == parse_list_objects(body, list_type=1)
    assert (b"<NextMarker>" in body) == delimiter


@pytest.mark.parametrize("encoding_type", ["", "url"])
@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_hostile_keys_are_listed_exactly(key: str, encoding_type: str) -> None:
    """Each key is listed as itself, as a key, a version, a common prefix and a marker, and by the fast path."""
    entry = ObjectEntry(key, 1, "e", MOMENT, "STANDARD", owner=None)
    body = render_list_objects_v2(ListPage([entry], [key]), bucket="b", encoding_type=encoding_type)
    assert ListPage([entry], [key]) == parse_list_objects(body)
    assert both(body, listing._OBJECTS)[0] is not None
    version = ObjectEntry(key, 1, "e", MOMENT, "STANDARD", "v", True)
    page = ListPage([version], [], True, key, "v")
    body = render_list_object_versions(page, bucket="b", encoding_type=encoding_type)
    assert page == parse_list_object_versions(body)
    assert both(body, listing._VERSIONS)[0] is not None


PIECES = ["<", ">", "&", "%", "+", "]]>", "<!--", "-->", "<![CDATA[", "?>", "<?x ", "<Contents>", "</Contents>", "<Contents/>", "<Key>k</Key>", "<Owner><ID>o</ID></Owner>", "<CommonPrefixes/>", "</ListBucketResult>", "<Size>1</Size>", "<X>", "</X>", "\n", "\r", "x", "&amp;", "&#x1;", "<Version>", "<DeleteMarker/>", "<CommonPrefixes><Prefix>p</Prefix></CommonPrefixes>"]  # fmt: skip


@given(
    st.lists(objects(), min_size=1, max_size=3),
    st.lists(KEYS, max_size=2),
    ENCODINGS,
    st.sampled_from(PIECES),
    st.data(),
)
def test_a_damaged_page_is_read_the_same_by_both(
    entries: list[ObjectEntry], prefixes: list[str], encoding_type: str, piece: str, data: st.DataObject
) -> None:
    """Wherever a page is changed, the fast path gives what the full parser gives, or leaves it to that one."""
    body = render_list_objects_v2(ListPage(entries, prefixes), bucket="b", encoding_type=encoding_type)
    damage_and_compare(body, listing._OBJECTS, piece, data)


@given(st.lists(versions(), min_size=1, max_size=3), ENCODINGS, st.sampled_from(PIECES), st.data())
def test_a_damaged_versions_page_is_read_the_same_by_both(
    entries: list[ObjectEntry], encoding_type: str, piece: str, data: st.DataObject
) -> None:
    """The same for versions and delete markers."""
    body = render_list_object_versions(ListPage(entries, []), bucket="b", encoding_type=encoding_type)
    damage_and_compare(body, listing._VERSIONS, piece, data)


def damage_and_compare(body: bytes, form: Any, piece: str, data: st.DataObject) -> None:
    """Insert, replace or remove something, mostly at the borders of elements, and let both parsers read it."""
    text = decode_document(body)
    borders = [place for place, character in enumerate(text) if character in "<>"]
    place = data.draw(st.one_of(st.sampled_from(borders), st.integers(0, len(text))))
    place += data.draw(st.integers(0, 1))
    end = data.draw(st.one_of(st.integers(0, 3).map(lambda width: place + width), st.sampled_from(borders)))
    damaged = (text[:place] + piece + text[max(place, end) :]).encode()
    fast, full = both(damaged, form)
    if fast is not None:
        assert fast == full


FOLDED = "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"


@pytest.mark.parametrize(
    "content",
    [
        "<X>{row}</X>",
        "<X>{row}</X><Contents/>",
        "<X>{row}</X><_Rows/>",
        "<_Rows/>{row}",
        "<_Rows/>",
        "<Contents>{row}</Contents>",
        "<!--{row}-->",
        "<![CDATA[{row}]]>",
        "<?x {row}?>",
        "<CommonPrefixes>{folded}<Prefix>q/</Prefix></CommonPrefixes>",
        "<X>{folded}</X><CommonPrefixes/>",
        "{row}{folded}{row}",
        "{folded}{row}{folded}",
        "{row}\n{row}",
        "{row}<X/>{row}",
        "<!-- {row}",
        "{row} -->",
        "<!--<Contents><Key>--></Key>{row}<!-- -->",
        "<s3:Contents xmlns:s3='urn:x'><Key>k</Key><Size>2</Size></s3:Contents>{row}",
        "<Contents a='b'><Key>k</Key><Size>2</Size></Contents>{row}",
    ],
)
def test_rows_in_unusual_places_are_read_the_same_by_both(content: str) -> None:
    """A row inside another element, a comment or an instruction is no row of the page, and none beside it is lost."""
    body = document(content.format(row=ROW, folded=FOLDED), LAST)
    fast, full = both(body, listing._OBJECTS)
    assert fast is None or fast == full


@pytest.mark.parametrize(
    ("usual", "unusual"),
    [
        ("<Key>k</Key>", "<Key>a]]>b</Key>"),
        ("<Key>k</Key>", "<Key>&nbsp;</Key>"),
        ("<Key>k</Key>", "<Key>k</Key><Key>k</Key>"),
        ("<Size>1</Size>", "<Size>1</Size><Size>2</Size>"),
        ("<Size>1</Size>", "<Size>12345678901234567890</Size>"),
        ("<StorageClass>", "<Owner><ID>a</ID></Owner><StorageClass>"),
        ("</StorageClass>", "</StorageClass><Owner><ID>a</ID></Owner><Owner><ID>b</ID></Owner>"),
        ("<StorageClass>STANDARD</StorageClass>", "<Owner><ID>a</ID></Owner><StorageClass>S</StorageClass><Owner/>"),
        ("STANDARD</StorageClass>", "S</StorageClass><Owner><ID>a</ID></Owner>"),
        ("<StorageClass>STANDARD", "<Owner><ID></ID><DisplayName>n</DisplayName></Owner><StorageClass>S"),
        (
            "<StorageClass>STANDARD</StorageClass>",
            "<Owner><ID>a</ID></Owner><StorageClass>S</StorageClass><Owner><ID>b</ID></Owner>",
        ),
        ("&quot;e&quot;", "&quot;e"),
        ("&quot;e&quot;", 'W/"e"'),
        ("&quot;e&quot;", "e"),
        ("&quot;e&quot;", ""),
        ("10:00:00.000Z", "10:00:00+01:00"),
        ("2026-11-21T10:00:00.000Z", "2026-11-21Z"),
        ("2026-11-21T10:00:00.000Z", "2026-02-30T10:00:00.000Z"),
        ("STANDARD", "A&amp;B"),
        ("STANDARD", ""),
    ],
)
def test_unusual_rows_are_read_the_same_by_both(usual: str, unusual: str) -> None:
    """A row that is spelled otherwise, or is broken, gives the same rows or the same refusal."""
    assert usual in ROW
    fast, full = both(document(ROW.replace(usual, unusual), ROW, LAST), listing._OBJECTS)
    assert fast is None or fast == full


@given(st.lists(objects(), min_size=1, max_size=2), st.lists(KEYS, max_size=1), ENCODINGS, st.booleans())
def test_a_page_that_was_cut_off_is_never_a_page(
    entries: list[ObjectEntry], prefixes: list[str], encoding_type: str, truncated: bool
) -> None:
    """No beginning of a page passes for one, wherever the connection broke: fewer rows would be silent loss."""
    page = ListPage(entries, prefixes, truncated, "t" if truncated else None)
    body = render_list_objects_v2(page, bucket="b", encoding_type=encoding_type)
    for length in range(len(body)):
        with pytest.raises(ProtocolError):
            parse_list_objects(body[:length])


def document(*children: str, root: str = "ListBucketResult") -> bytes:
    """A page made by hand."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{"".join(children)}</{root}>'.encode()


ROW = (
    "<Contents><Key>k</Key><LastModified>2026-11-21T10:00:00.000Z</LastModified>"
    "<ETag>&quot;e&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
VERSION = "<Version><Key>k</Key><VersionId>v</VersionId><IsLatest>true</IsLatest><Size>1</Size></Version>"
LAST = "<IsTruncated>false</IsTruncated>"
MORE = "<IsTruncated>true</IsTruncated>"


@pytest.mark.parametrize(
    "children",
    [
        [ROW],
        [LAST, LAST, ROW],
        ["<IsTruncated>maybe</IsTruncated>", ROW],
        ["<IsTruncated/>", ROW],
        [MORE, ROW, "<KeyCount>1</KeyCount>"],
        [MORE, ROW, "<KeyCount>1</KeyCount>", "<NextContinuationToken/>"],
        [MORE, "<StartAfter>a</StartAfter>", ROW],
        [MORE, "<ContinuationToken>a</ContinuationToken>", ROW, "<NextMarker>k</NextMarker>"],
        [MORE],
        [MORE, "<Marker/>"],
        [LAST, ROW, "<KeyCount>2</KeyCount>"],
        [LAST, ROW, "<KeyCount>0</KeyCount>"],
        [LAST, ROW, "<KeyCount>one</KeyCount>"],
        [LAST, "<KeyCount>1</KeyCount>"],
        [LAST, ROW, "<EncodingType>base64</EncodingType>"],
        [LAST, ROW.replace("<Key>k</Key>", "")],
        [LAST, ROW.replace("<Key>k</Key>", "<Key></Key>")],
        [LAST, ROW.replace("<Key>k</Key>", "<Key>k</Key><Key>l</Key>")],
        [LAST, ROW.replace("<Size>1</Size>", "")],
        [LAST, ROW.replace("<Size>1</Size>", "<Size>-1</Size>")],
        [LAST, ROW.replace("<Size>1</Size>", "<Size>1e3</Size>")],
        [LAST, ROW.replace("<Size>1</Size>", "<Size>١</Size>")],
        [LAST, ROW.replace("<Size>1</Size>", f"<Size>{'9' * 5000}</Size>")],
        [LAST, ROW.replace("2026-11-21T10:00:00.000Z", "2026-13-21T10:00:00.000Z")],
        [LAST, ROW.replace("2026-11-21T10:00:00.000Z", "yesterday")],
        [LAST, "<Contents/>"],
        [LAST, ROW, "<CommonPrefixes><Prefix/></CommonPrefixes>"],
        [LAST, ROW, "text"],
        [LAST, ROW.replace("k", "%zz"), "<EncodingType>url</EncodingType>"],
        [LAST, ROW.replace("k", "%"), "<EncodingType>url</EncodingType>"],
        [LAST, ROW.replace("k", "%FF"), "<EncodingType>url</EncodingType>"],
        [LAST, ROW.replace("k", "&nbsp;")],
    ],
    ids=lambda children: "".join(children)[:60],
)
def test_a_page_that_contradicts_itself_is_refused(children: list[str]) -> None:
    """Without IsTruncated, a token, the promised rows, a key or a size, a page is a ProtocolError."""
    with pytest.raises(ProtocolError):
        parse_list_objects(document(*children))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Please sign in</body></html>",
        b"<!DOCTYPE html><html></html>",
        b'{"Contents": []}',
        document(LAST, root="ListVersionsResult"),
        document(LAST, root="ListAllMyBucketsResult"),
    ],
)
def test_what_is_no_listing_is_refused(body: bytes) -> None:
    """A proxy's page, an empty body or another document is not an empty bucket."""
    with pytest.raises(ProtocolError):
        parse_list_objects(body)


def test_versions_need_their_markers() -> None:
    """A truncated versions page without NextKeyMarker is refused; NextVersionIdMarker may be missing."""
    root = "ListVersionsResult"
    with pytest.raises(ProtocolError):
        parse_list_object_versions(document(MORE, VERSION, root=root))
    with pytest.raises(ProtocolError):
        parse_list_object_versions(document(LAST, VERSION.replace("<Size>1</Size>", ""), root=root))
    page = parse_list_object_versions(document(MORE, VERSION, "<NextKeyMarker>k</NextKeyMarker>", root=root))
    assert ("k", None) == (page.next_token, page.next_version_id)


def test_an_error_in_place_of_a_page_is_raised() -> None:
    """An `<Error>` with status 200 is that error, and an unknown one counts as the store's failure."""
    with pytest.raises(AccessDenied) as caught:
        parse_list_objects(b"<Error><Code>AccessDenied</Code><RequestId>R</RequestId></Error>")
    assert ("AccessDenied", "R") == (caught.value.code, caught.value.request_id)
    with pytest.raises(ServerError):
        parse_list_object_versions(b" \n<Error><Code>Whatever</Code></Error>")


@pytest.mark.parametrize("children", [[], [MORE.replace("true", "false")], ["<KeyCount>0</KeyCount>", LAST]])
def test_an_empty_page_is_a_page(children: list[str]) -> None:
    """No rows and IsTruncated false: an empty listing, and the only form of one."""
    if LAST not in children:
        with pytest.raises(ProtocolError):
            parse_list_objects(document(*(child for child in children if child != LAST)))
    page = parse_list_objects(document(*{*children, LAST}))
    assert ([], [], False, None) == (page.entries, page.common_prefixes, page.is_truncated, page.next_token)


def test_an_empty_page_may_be_followed_by_more() -> None:
    """A store may answer a page without rows and a token: what follows still has to be asked for."""
    token = "<NextContinuationToken>t</NextContinuationToken>"
    assert "t" == parse_list_objects(document(MORE, "<KeyCount>0</KeyCount>", token)).next_token


@pytest.mark.parametrize(("list_type", "token"), [(None, "t"), (2, "t"), (1, "m")])
def test_only_the_token_of_the_version_that_was_asked_for_counts(list_type: int | None, token: str) -> None:
    """With both tokens in a page, list_type decides; the document alone counts as version 2."""
    both_tokens = ["<NextContinuationToken>t</NextContinuationToken>", "<NextMarker>m</NextMarker>"]
    assert token == parse_list_objects(document(MORE, ROW, *both_tokens), list_type=list_type).next_token


def test_a_store_that_ignores_version_2_does_not_end_the_listing() -> None:
    """Asked for version 2, a truncated page of version 1 is refused: its marker would not be understood."""
    page = document("<Marker/>", MORE, ROW, "<NextMarker>k</NextMarker>")
    assert "k" == parse_list_objects(page).next_token
    with pytest.raises(ProtocolError, match="NextContinuationToken"):
        parse_list_objects(page, list_type=2)


def test_the_last_row_is_the_greater_of_key_and_prefix() -> None:
    """Version 1 without NextMarker goes on behind whatever came last in the order of the listing."""
    prefix = "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>"
    assert "k" == parse_list_objects(document(MORE, "<Marker/>", ROW, prefix.format("a/"))).next_token
    assert "z/" == parse_list_objects(document(MORE, "<Marker/>", ROW, prefix.format("z/"))).next_token


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("a+b", "a b"),
        ("a%20b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%2bb", "a+b"),
        ("a%2Fb/c", "a/b/c"),
        ("%252F", "%2F"),
        ("%E3%81%82", "あ"),
        ("あ%E3%81%82", "ああ"),
        ("%00%0D%0A", "\0\r\n"),
        ("a&amp;b%26", "a&b&"),
        ("a%25&#x41;", "a%A"),
    ],
)
def test_keys_are_decoded_only_where_the_page_says_so(written: str, key: str) -> None:
    """With EncodingType "url" all spellings of stores are understood; without it a key is what it is."""
    row = ROW.replace(">k<", f">{written}<")
    prefix = f"<CommonPrefixes><Prefix>{written}</Prefix></CommonPrefixes>"
    encoded = document(LAST, "<EncodingType>url</EncodingType>", row, prefix)
    page = parse_list_objects(encoded)
    assert (key, [key]) == (page.entries[0].key, page.common_prefixes)
    assert both(encoded, listing._OBJECTS)[0] == both(encoded, listing._OBJECTS)[1]
    raw = written.replace("&amp;", "&").replace("&#x41;", "A")
    assert raw == parse_list_objects(document(LAST, row)).entries[0].key


STORES = load_vectors("listings.json")


@pytest.mark.parametrize("store", STORES["pages"], ids=lambda store: store["store"])
def test_pages_of_real_stores(store: dict[str, Any]) -> None:
    """The pages of each store are read whole, in its own spelling, and by the fast path where it is said to be."""
    is_versions = "ListVersionsResult" in store["body"]
    body = store["body"].encode()
    page = parse_list_object_versions(body) if is_versions else parse_list_objects(body)
    assert store["keys"] == [entry.key for entry in page.entries]
    assert store["prefixes"] == page.common_prefixes
    assert (store["next_token"], store["next_version_id"]) == (page.next_token, page.next_version_id)
    assert store["etags"] == [entry.etag for entry in page.entries]
    assert store["sizes"] == [entry.size for entry in page.entries]
    assert store["owners"] == [entry.owner for entry in page.entries]
    fast, full = both(body, listing._VERSIONS if is_versions else listing._OBJECTS)
    assert store["fast"] == (fast is not None)
    assert fast in (None, full)


@pytest.mark.parametrize("name", ["s3-list-objects", "s3-list-object-versions"])
def test_pages_of_the_botocore_suite(name: str) -> None:
    """The published pages give the keys, sizes and times that botocore's expectations name."""
    body = shared_vectors(f"xml/responses/{name}.xml").read_bytes()
    expected = json.loads(shared_vectors(f"xml/responses/{name}.json").read_text())
    rows = [*expected.get("Contents", []), *expected.get("Versions", []), *expected.get("DeleteMarkers", [])]
    page = parse_list_objects(body) if name == "s3-list-objects" else parse_list_object_versions(body)
    found = {(row.key, row.version_id): row for row in page.entries}
    assert len(rows) == len(found) == len(page.entries)
    for row in rows:
        entry = found[row["Key"], row.get("VersionId")]
        assert row.get("Size", 0) == entry.size
        assert row.get("ETag", "").strip('"') == entry.etag
        assert datetime.fromisoformat(row["LastModified"]) == entry.last_modified
        assert row.get("StorageClass") == entry.storage_class
        assert row["Owner"]["ID"] == entry.owner
        assert row.get("IsLatest") == entry.is_latest


@pytest.mark.parametrize("key", ["a+b%20c", "100%", "a%2Fb", "plain"])
def test_a_marker_that_was_not_encoded_is_known_by_the_last_row(key: str) -> None:
    """Ceph encodes keys but not markers; where the marker is the last key as it stands, it is not decoded."""
    page = ListPage([ObjectEntry(key, 1, "e", MOMENT, "STANDARD", "v", True)], [], True, key, "v")
    body = render_list_object_versions(page, bucket="b", encoding_type="url")
    encoded = body.split(b"<NextKeyMarker>")[1].split(b"<")[0]
    as_ceph = body.replace(b"<NextKeyMarker>" + encoded, b"<NextKeyMarker>" + key.encode())
    assert page == parse_list_object_versions(body)
    assert page == parse_list_object_versions(as_ceph)


def test_a_laid_out_page_is_read_by_the_full_parser() -> None:
    """Comments, CDATA, prefixes and layout change nothing in what is read."""
    plain = parse_list_objects(document(LAST, ROW))
    laid_out = (
        f'<s3:ListBucketResult xmlns:s3="{NAMESPACE}">\n <s3:IsTruncated>false</s3:IsTruncated><!-- rows -->\n <s3:Contents>'
        '\n  <s3:Size>1</s3:Size><s3:Key><![CDATA[k]]></s3:Key><s3:ETag>"e"</s3:ETag>'
        "<s3:StorageClass>STANDARD</s3:StorageClass><s3:LastModified>2026-11-21T10:00:00Z</s3:LastModified>"
        "<s3:RestoreStatus><s3:IsRestoreInProgress>false</s3:IsRestoreInProgress></s3:RestoreStatus>\n"
        " </s3:Contents>\n</s3:ListBucketResult>\n"
    )
    assert plain == parse_list_objects(laid_out.encode())


def test_children_stand_in_the_order_of_aws() -> None:
    """The rendered page has the elements of AWS's sample answers, in their order."""
    page = ListPage([ObjectEntry("k", 1, "e", MOMENT, "STANDARD", owner="o")], ["p/"], True, "t")
    body = render_list_objects_v2(
        page,
        bucket="b",
        prefix="x",
        delimiter="/",
        max_keys=2,
        encoding_type="url",
        continuation_token="c",
        start_after="s",
    )
    expected = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{NAMESPACE}"><Name>b</Name>'
        "<Prefix>x</Prefix><StartAfter>s</StartAfter><ContinuationToken>c</ContinuationToken>"
        "<NextContinuationToken>t</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys>"
        "<Delimiter>/</Delimiter><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
        "<Contents><Key>k</Key><LastModified>2026-11-21T10:00:00.123Z</LastModified><ETag>&quot;e&quot;</ETag>"
        "<Size>1</Size><StorageClass>STANDARD</StorageClass><Owner><ID>o</ID><DisplayName>o</DisplayName></Owner>"
        "</Contents><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>"
    )
    assert expected == body.decode()


@pytest.mark.parametrize("render", [render_list_objects_v2, render_list_objects_v1, render_list_object_versions])
def test_an_unknown_encoding_type_is_refused(render: Any) -> None:
    """A server must answer InvalidArgument before it renders, so rendering refuses: ValueError."""
    with pytest.raises(ValueError, match="encoding_type"):
        render(ListPage([], []), bucket="b", encoding_type="base64")
