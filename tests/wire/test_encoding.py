"""Percent-encoding and timestamps against S3's rules, and against botocore's encoder."""

from __future__ import annotations

import math
import string
from datetime import UTC, datetime, timedelta, timezone

import pytest
from botocore.utils import percent_encode  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from s3func.wire import encoding
from tests.shared_data import HOSTILE_KEYS

UNRESERVED = string.ascii_letters + string.digits + "-._~"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
# The years in which every form of date exists: HTTP dates begin with 1900 in practice, four digits end with 9999.
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))


@pytest.mark.parametrize("byte", range(128))
def test_every_ascii_character_is_unreserved_or_escaped(byte: int) -> None:
    """Letters, digits and -._~ stay; "/" stays in a path only; everything else becomes %XX in upper case."""
    character = chr(byte)
    escaped = character if character in UNRESERVED else f"%{byte:02X}"
    assert escaped == encoding.encode_component(character)
    assert ("/" if character == "/" else escaped) == encoding.encode_path(character)


def test_encoding_is_that_of_the_sdks() -> None:
    """The characters over which clients differ are encoded as AWS's own SDK sends them."""
    assert "~%21%28%29%2A%27%24%26%2B%2C%3A%3B%3D%40%20%25" == encoding.encode_path("~!()*'$&+,:;=@ %")
    assert "%E1%88%B4/%F0%9F%98%80" == encoding.encode_path("ሴ/😀")


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_hostile_keys_survive_the_round_trip(key: str) -> None:
    """What is encoded, in a path or a query, decodes to exactly the same key."""
    assert key == encoding.decode_component(encoding.encode_path(key))
    assert key == encoding.decode_component(encoding.encode_component(key))


@pytest.mark.parametrize(
    "key", ["a//b", "/x", "//", ".", "..", "../o/x", "a/./b", "a/../b", "./", "a/", "...", "a/..."]
)
def test_a_key_is_never_normalised(key: str) -> None:
    """Slashes and dots stay as they are: to S3 these are different keys."""
    assert key == encoding.encode_path(key)


@given(TEXTS)
def test_encoding_equals_the_oracle(text: str) -> None:
    """For any text, path and component encoding are botocore's, byte for byte, and pure unreserved ASCII."""
    assert percent_encode(text, safe="/-._~") == encoding.encode_path(text)
    assert percent_encode(text, safe="-._~") == encoding.encode_component(text)
    assert set(encoding.encode_component(text)) <= set(UNRESERVED + "%")


@given(TEXTS)
def test_decoding_undoes_encoding(text: str) -> None:
    """No text is changed by encoding and decoding it, once or twice."""
    once = encoding.encode_path(text)
    assert text == encoding.decode_component(once)
    assert once == encoding.decode_component(encoding.encode_component(once))


@pytest.mark.parametrize("encode", [encoding.encode_path, encoding.encode_component])
def test_what_is_not_unicode_is_refused(encode: object) -> None:
    """A lone surrogate has no UTF-8 form: a ValueError, not a replacement character."""
    assert callable(encode)
    with pytest.raises(UnicodeEncodeError):
        encode("a\ud800b")


def test_a_plus_sign_is_a_plus_sign() -> None:
    """In a URL of S3 a space is %20, and "+" means itself."""
    assert "a+b c" == encoding.decode_component("a+b%20c")
    assert "a%2Bb%20c" == encoding.encode_component("a+b c")


@pytest.mark.parametrize(
    "text", ["%", "a%", "%2", "%zz", "a%2zb", "%%41", "%+1", "%-1", "% 1", "%FF", "%C3", "%ED%A0%80"]
)
def test_malformed_escapes_are_refused(text: str) -> None:
    """A stray "%", digits that are none, and bytes that are not UTF-8 are a ValueError, never a guess."""
    with pytest.raises(ValueError):
        encoding.decode_component(text)


def test_query_is_canonical() -> None:
    """Parameters are encoded, sorted by their encoded names and then values, and "=" is always written."""
    pairs = [("uploads", ""), ("prefix", "a b/ü"), ("list-type", "2"), ("a~", "1"), ("a", "2"), ("a", "10"), ("A", "")]
    assert "A=&a=10&a=2&a~=1&list-type=2&prefix=a%20b%2F%C3%BC&uploads=" == encoding.encode_query(pairs)
    assert "" == encoding.encode_query([])


def test_query_is_sorted_after_encoding() -> None:
    """The order is that of the encoded bytes: "%" comes before letters, although "[" comes after capitals."""
    assert "%5B=1&A=2" == encoding.encode_query([("A", "2"), ("[", "1")])


@given(st.lists(st.tuples(TEXTS, TEXTS)))
def test_query_keeps_every_pair(pairs: list[tuple[str, str]]) -> None:
    """Decoding the query gives back the same pairs, repeated ones included, in canonical order."""
    query = encoding.encode_query(pairs)
    found = [pair.partition("=") for pair in query.split("&")] if pairs else []
    decoded = [(encoding.decode_component(name), encoding.decode_component(value)) for name, _, value in found]
    assert sorted(pairs) == sorted(decoded)
    assert [pair[::2] for pair in found] == sorted(pair[::2] for pair in found)


def test_amz_date_of_the_documentation() -> None:
    """The date of AWS's examples, in both directions."""
    assert "20130524T000000Z" == encoding.amz_date(1369353600)
    assert 1369353600.0 == encoding.parse_amz_date("20130524T000000Z")
    assert "20130524T000000Z" == encoding.amz_date(1369353600.999)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20130524",
        "2013-05-24T00:00:00Z",
        "20130524T000000",
        "20130524T000000z",
        "20131324T000000Z",
        "20130532T000000Z",
        "20130524T240000Z",
        "20130524T006000Z",
        " 20130524T000000Z",
        "20130524T000000Z\n",
        "\u0662\u0660\u0661\u0663\u0660\u0665\u0662\u0664T000000Z",
    ],
)
def test_bad_amz_dates_are_refused(text: str) -> None:
    """Anything that is not exactly an x-amz-date of the calendar is a ValueError."""
    with pytest.raises(ValueError):
        encoding.parse_amz_date(text)


@given(st.integers(0, 253402300799))
def test_amz_date_round_trip(epoch: int) -> None:
    """Every whole second to the end of year 9999 survives."""
    assert float(epoch) == encoding.parse_amz_date(encoding.amz_date(epoch))


@given(MOMENTS)
def test_http_date_is_the_standard_form(moment: datetime) -> None:
    """HTTP dates are those of RFC 9110, in English whatever the locale, and come back as the same second."""
    # In far years a float has no room for the last microseconds of a second, and is that of the next one.
    epoch = moment.timestamp()
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=math.floor(epoch))
    text = encoding.http_date(epoch)
    assert whole == encoding.parse_http_date(text)
    assert ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[whole.weekday()] == text[:3]
    assert 29 == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 12 Oct 2009 17:50:00 GMT",
        "Wed, 12 Oct 2009 17:50:00 GMT",  # AWS's own sample, with the wrong weekday
        "Monday, 12-Oct-09 17:50:00 GMT",  # RFC 850
        " Mon, 12 Oct 2009 17:50:00 GMT ",
    ],
)
def test_http_dates_of_the_field(text: str) -> None:
    """The weekday does not matter, and the older form is understood."""
    assert datetime(2009, 10, 12, 17, 50, tzinfo=UTC) == encoding.parse_http_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "never",
        "Mon, 12 Okt 2009 17:50:00 GMT",
        "Mon, 32 Oct 2009 17:50:00 GMT",
        "Mon, 12 Oct 2009 17:50:00",
        "2009-10-12T17:50:00Z",
    ],
)
def test_bad_http_dates_are_refused(text: str) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError):
        encoding.parse_http_date(text)


def test_iso8601_of_the_documentation() -> None:
    """The timestamps of documents have milliseconds and a Z."""
    assert "2009-10-12T17:50:30.000Z" == encoding.iso8601(1255369830)
    assert "1970-01-01T00:00:00.250Z" == encoding.iso8601(0.25)


@given(st.integers(1_136_073_600_000, 4_102_444_800_000))
def test_iso8601_keeps_every_millisecond(milliseconds: int) -> None:
    """From the year of S3 (2006) to 2100, a time of whole milliseconds is written as itself, although floats are not exact."""
    text = encoding.iso8601(milliseconds / 1000)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds) == encoding.parse_iso8601(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2009-10-12T17:50:30Z", datetime(2009, 10, 12, 17, 50, 30, tzinfo=UTC)),
        ("2009-10-12T17:50:30.5Z", datetime(2009, 10, 12, 17, 50, 30, 500000, tzinfo=UTC)),
        ("2009-10-12T17:50:30.123456789Z", datetime(2009, 10, 12, 17, 50, 30, 123456, tzinfo=UTC)),
        ("2009-10-12T19:50:30+02:00", datetime(2009, 10, 12, 17, 50, 30, tzinfo=UTC)),
        ("2009-10-12T17:50:30", datetime(2009, 10, 12, 17, 50, 30, tzinfo=UTC)),
    ],
)
def test_iso8601_of_other_stores(text: str, moment: datetime) -> None:
    """With or without a fraction, an offset or a zone at all: aware, in UTC."""
    found = encoding.parse_iso8601(text)
    assert moment == found
    assert UTC == found.tzinfo


@pytest.mark.parametrize("text", ["", "yesterday", "1255369830", "2009-13-12T17:50:30Z", "2009-10-12T25:50:30Z"])
def test_bad_iso8601_is_refused(text: str) -> None:
    """What is no timestamp is a ValueError."""
    with pytest.raises(ValueError):
        encoding.parse_iso8601(text)


def test_iso8601_is_not_the_local_time() -> None:
    """An offset is applied, not cut off."""
    zone = timezone(timedelta(hours=-5))
    assert datetime(2026, 1, 1, 23, tzinfo=zone) == encoding.parse_iso8601("2026-01-01T23:00:00.000-05:00")
