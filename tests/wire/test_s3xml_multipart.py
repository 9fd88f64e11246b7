"""Multipart uploads and object attributes: rendered as botocore reads them, parsed as stores write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import InvalidRequest, NoSuchUpload, ProtocolError, ServerError, ServiceError
from s3func.wire import s3xml_multipart as documents
from s3func.wire.s3xml_multipart import (
    CompletedPart,
    CompletedUpload,
    CopyPartResult,
    MultipartUpload,
    ObjectAttributes,
    ObjectPart,
    ObjectParts,
    Owner,
    PartEntry,
    PartsPage,
    UploadEntry,
    UploadsPage,
)
from tests.shared_data import HOSTILE_KEYS
from tests.wire.oracle import parsed, serialized

MOMENT = datetime(2026, 11, 21, 10, 0, 0, 123000, tzinfo=UTC)
KEYS = st.one_of(st.sampled_from(HOSTILE_KEYS), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
WORDS = st.text(st.sampled_from("abcXYZ019-_.+/=&<"), min_size=1, max_size=12)
OPTIONAL = st.one_of(st.none(), WORDS)
SIZES = st.integers(0, 5 * 2**40)
CHECKSUMS = st.dictionaries(st.sampled_from(["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]), WORDS)
OWNERS = st.one_of(st.none(), st.builds(Owner, WORDS, st.one_of(st.just(""), WORDS)))
TIMES = st.one_of(
    st.none(),
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
)
NUMBERS = st.lists(st.integers(1, 10_000), max_size=6, unique=True).map(sorted)
ALL_CHECKSUMS = {"crc32": "a==", "crc32c": "b==", "crc64nvme": "c=", "sha1": "d=", "sha256": "e="}
BOTOCORE_CHECKSUMS = {
    "ChecksumCRC32": "a==",
    "ChecksumCRC32C": "b==",
    "ChecksumCRC64NVME": "c=",
    "ChecksumSHA1": "d=",
    "ChecksumSHA256": "e=",
}


@given(WORDS, KEYS, WORDS)
def test_a_begun_upload_comes_back_as_it_was(bucket: str, key: str, upload_id: str) -> None:
    """Bucket, key and upload id survive, whatever the key."""
    upload = MultipartUpload(bucket, key, upload_id)
    assert upload == documents.parse_create_multipart_upload(documents.render_create_multipart_upload(upload))


def test_a_begun_upload_is_what_botocore_reads() -> None:
    """botocore finds the same three values."""
    body = documents.render_create_multipart_upload(MultipartUpload("b", "a&b", "u"))
    assert {"Bucket": "b", "Key": "a&b", "UploadId": "u"} == parsed("CreateMultipartUpload", body)


@given(NUMBERS.filter(bool), st.data())
def test_a_completion_comes_back_as_it_was(numbers: list[int], data: st.DataObject) -> None:
    """Numbers, ETags and checksums of the parts survive; quotes around an ETag make no difference."""
    parts = [CompletedPart(number, data.draw(WORDS), data.draw(CHECKSUMS)) for number in numbers]
    assert parts == documents.parse_complete_multipart_upload(documents.render_complete_multipart_upload(parts))
    quoted = [part._replace(etag=f'"{part.etag}"') for part in parts]
    assert parts == documents.parse_complete_multipart_upload(documents.render_complete_multipart_upload(quoted))


def test_a_completion_as_botocore_sends_it() -> None:
    """The request of botocore is understood, with every checksum and with ETags in quotes or without."""
    rows: list[dict[str, Any]] = [
        {"PartNumber": 1, "ETag": '"x"', **BOTOCORE_CHECKSUMS},
        {"PartNumber": 3, "ETag": "y"},
    ]
    body = serialized("CompleteMultipartUpload", UploadId="u", MultipartUpload={"Parts": rows})
    expected = [CompletedPart(1, "x", ALL_CHECKSUMS), CompletedPart(3, "y", {})]
    assert expected == documents.parse_complete_multipart_upload(body)


COMPLETE = "<CompleteMultipartUpload>{}</CompleteMultipartUpload>"
PART = "<Part><PartNumber>{}</PartNumber><ETag>x</ETag></Part>"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "MalformedXML"),
        ("<CompleteMultipartUpload", "MalformedXML"),
        (COMPLETE.format(""), "MalformedXML"),
        ("<Error><Code>NoSuchKey</Code></Error>", "MalformedXML"),
        (f"<Other>{PART.format(1)}</Other>", "MalformedXML"),
        (COMPLETE.format(PART.format(1) * 10_001), "MalformedXML"),
        (COMPLETE.format(PART.format(1) + "<More/>"), "MalformedXML"),
        (COMPLETE.format("<Part><PartNumber>1</PartNumber></Part>"), "MalformedXML"),
        (COMPLETE.format("<Part><PartNumber>1</PartNumber><ETag/></Part>"), "MalformedXML"),
        (COMPLETE.format("<Part><ETag>x</ETag></Part>"), "MalformedXML"),
        (COMPLETE.format(PART.format("one")), "MalformedXML"),
        (COMPLETE.format(PART.format("1.0")), "MalformedXML"),
        (COMPLETE.format(PART.format("")), "MalformedXML"),
        (COMPLETE.format(PART.format("9" * 5000)), "MalformedXML"),
        (COMPLETE.format("<Part><PartNumber>1</PartNumber><ETag>x</ETag><ETag>y</ETag></Part>"), "MalformedXML"),
        (COMPLETE.format("<Part><PartNumber>1</PartNumber><ETag>x</ETag><Size>1</Size></Part>"), "MalformedXML"),
        (f"<!DOCTYPE a [<!ENTITY b 'c'>]>{COMPLETE.format(PART.format(1))}", "MalformedXML"),
        (COMPLETE.format(PART.format(0)), "InvalidPart"),
        (COMPLETE.format(PART.format(-1)), "InvalidPart"),
        (COMPLETE.format(PART.format(10_001)), "InvalidPart"),
        (COMPLETE.format(PART.format(2) + PART.format(1)), "InvalidPartOrder"),
        (COMPLETE.format(PART.format(1) + PART.format(1)), "InvalidPartOrder"),
    ],
)
def test_completions_that_a_server_refuses(body: str, code: str) -> None:
    """A request of another form, or with impossible numbers, gets S3's code, always with status 400."""
    with pytest.raises(InvalidRequest) as caught:
        documents.parse_complete_multipart_upload(body.encode())
    assert (code, 400) == (caught.value.code, caught.value.status)


def test_the_largest_completion() -> None:
    """Ten thousand parts are taken."""
    parts = [CompletedPart(number, "x") for number in range(1, 10_001)]
    assert parts == documents.parse_complete_multipart_upload(documents.render_complete_multipart_upload(parts))


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [CompletedPart(1, "x")] * 10_001,
        [CompletedPart(0, "x")],
        [CompletedPart(10_001, "x")],
        [CompletedPart(2, "x"), CompletedPart(1, "x")],
        [CompletedPart(1, "x"), CompletedPart(1, "x")],
        [CompletedPart(1, "")],
        [CompletedPart(1, "x", {"md4": "x"})],
    ],
)
def test_completions_that_are_not_sent(parts: list[CompletedPart]) -> None:
    """Parts that no store could take are a ValueError."""
    with pytest.raises(ValueError):
        documents.render_complete_multipart_upload(parts)


@given(WORDS, KEYS, WORDS, CHECKSUMS, OPTIONAL)
def test_a_completed_upload_comes_back_as_it_was(
    location: str, key: str, etag: str, checksums: dict[str, str], kind: str | None
) -> None:
    """Location, key, ETag and checksums survive, also behind the white space that keeps the client waiting."""
    upload = CompletedUpload(location, "b", key, etag, checksums, kind)
    body = documents.render_complete_result(upload)
    assert upload == documents.parse_complete_result(body)
    assert body.startswith(documents.DECLARATION)
    rest = body.removeprefix(documents.DECLARATION)
    assert upload == documents.parse_complete_result(documents.DECLARATION + b" " * 1000 + rest)
    assert upload == documents.parse_complete_result(b" \r\n" * 1000 + body)


def test_a_completed_upload_is_what_botocore_reads() -> None:
    """botocore finds the same values, the ETag in its quotes."""
    upload = CompletedUpload("http://h/b/k", "b", "k", "x-2", ALL_CHECKSUMS, "COMPOSITE")
    expected = {"Location": "http://h/b/k", "Bucket": "b", "Key": "k", "ETag": '"x-2"', "ChecksumType": "COMPOSITE"}
    found = parsed("CompleteMultipartUpload", documents.render_complete_result(upload))
    assert expected | BOTOCORE_CHECKSUMS == found


def test_an_error_that_came_with_200() -> None:
    """An error document in the place of an answer is its error, also after white space."""
    body = documents.DECLARATION + b"   \n" * 50 + b"<Error><Code>InternalError</Code><Message>m</Message></Error>"
    with pytest.raises(ServerError, match="InternalError: m"):
        documents.parse_complete_result(body)
    with pytest.raises(NoSuchUpload):
        documents.parse_copy_part(b"<Error><Code>NoSuchUpload</Code></Error>")


@given(WORDS, TIMES, CHECKSUMS)
def test_a_copied_part_comes_back_as_it_was(etag: str, moment: datetime | None, checksums: dict[str, str]) -> None:
    """ETag, time and checksums survive."""
    part = CopyPartResult(etag, moment, checksums)
    assert part == documents.parse_copy_part(documents.render_copy_part(part))


def test_a_copied_part_is_what_botocore_reads() -> None:
    """botocore finds the same values; a store that answers as for CopyObject is understood, too."""
    body = documents.render_copy_part(CopyPartResult("x", MOMENT, ALL_CHECKSUMS))
    expected = {"ETag": '"x"', "LastModified": MOMENT, **BOTOCORE_CHECKSUMS}
    assert {"CopyPartResult": expected} == parsed("UploadPartCopy", body)
    assert CopyPartResult("x", MOMENT, ALL_CHECKSUMS) == documents.parse_copy_part(
        body.replace(b"CopyPartResult", b"CopyObjectResult")
    )


@given(NUMBERS, st.booleans(), KEYS, OWNERS, OWNERS, st.data())
def test_a_page_of_parts_comes_back_as_it_was(
    numbers: list[int], truncated: bool, key: str, owner: Owner | None, initiator: Owner | None, data: st.DataObject
) -> None:
    """Rows, owners and the place where the next page begins survive."""
    parts = [
        PartEntry(number, data.draw(SIZES), data.draw(WORDS), data.draw(TIMES), data.draw(CHECKSUMS))
        for number in numbers
    ]
    truncated = truncated and bool(parts)
    marker = parts[-1].part_number if truncated else None
    page = PartsPage(parts, truncated, marker, "STANDARD_IA", owner, initiator, data.draw(OPTIONAL), "FULL_OBJECT")
    body = documents.render_list_parts(page, bucket="b", key=key, upload_id="u", part_number_marker=7, max_parts=6)
    assert page == documents.parse_list_parts(body)


def test_a_page_of_parts_is_what_botocore_reads() -> None:
    """botocore finds the same values under S3's names."""
    row = PartEntry(2, 5, "x", MOMENT, ALL_CHECKSUMS)
    page = PartsPage([row], True, 2, None, Owner("o", "Olga"), Owner("i"), "CRC32", "FULL_OBJECT")
    body = documents.render_list_parts(page, bucket="b", key="k&", upload_id="u", part_number_marker=1, max_parts=1)
    assert {
        "Bucket": "b",
        "Key": "k&",
        "UploadId": "u",
        "PartNumberMarker": 1,
        "NextPartNumberMarker": 2,
        "MaxParts": 1,
        "IsTruncated": True,
        "Parts": [{"PartNumber": 2, "LastModified": MOMENT, "ETag": '"x"', "Size": 5, **BOTOCORE_CHECKSUMS}],
        "Initiator": {"ID": "i"},
        "Owner": {"DisplayName": "Olga", "ID": "o"},
        "StorageClass": "STANDARD",
        "ChecksumAlgorithm": "CRC32",
        "ChecksumType": "FULL_OBJECT",
    } == parsed("ListParts", body)
    empty = documents.render_list_parts(PartsPage([]), bucket="b", key="k", upload_id="u")
    assert 0 == parsed("ListParts", empty)["NextPartNumberMarker"]


def test_a_page_of_parts_without_its_marker() -> None:
    """Where a store does not say so, the next page begins behind the last row."""
    rows = "".join(f"<Part><PartNumber>{number}</PartNumber><Size>1</Size><ETag>x</ETag></Part>" for number in (3, 7))
    body = f"<ListPartsResult><IsTruncated>true</IsTruncated>{rows}</ListPartsResult>"
    assert 7 == documents.parse_list_parts(body.encode()).next_part_number_marker
    body = (
        "<GetObjectAttributesResponse><ObjectParts><PartsCount>9</PartsCount><IsTruncated>true</IsTruncated>"
        f"{rows}</ObjectParts></GetObjectAttributesResponse>"
    )
    parts = documents.parse_object_attributes(body.encode()).parts
    assert parts is not None
    assert 7 == parts.next_part_number_marker


@given(st.lists(KEYS, max_size=5), st.lists(KEYS, max_size=3), st.sampled_from(["", "url"]), st.data())
def test_a_page_of_uploads_comes_back_as_it_was(
    keys: list[str], prefixes: list[str], encoding_type: str, data: st.DataObject
) -> None:
    """Rows, common prefixes and both markers survive, percent-encoded or not, whatever the keys."""
    uploads = [
        UploadEntry(
            key, data.draw(WORDS), data.draw(TIMES), "STANDARD", data.draw(OWNERS), data.draw(OWNERS), "CRC32", "COMPOSITE"
        )
        for key in keys
    ]  # fmt: skip
    marker = data.draw(st.one_of(st.none(), KEYS))
    page = UploadsPage(uploads, prefixes, marker is not None, marker, "u2" if marker is not None else None)
    body = documents.render_list_multipart_uploads(
        page, bucket="b", prefix="p", delimiter="/", encoding_type=encoding_type, key_marker="a b", upload_id_marker="u"
    )
    assert page == documents.parse_list_multipart_uploads(body)


def test_a_page_of_uploads_is_what_botocore_reads() -> None:
    """botocore finds the same values under S3's names."""
    row = UploadEntry("a b", "u1", MOMENT, "STANDARD", Owner("o", "Olga"), Owner("i", "Igor"), "SHA256", "COMPOSITE")
    page = UploadsPage([row], ["p/"], True, "a b", "u1")
    body = documents.render_list_multipart_uploads(
        page, bucket="b", prefix="p&", delimiter="/", max_uploads=1, encoding_type="url", key_marker="", upload_id_marker=""
    )  # fmt: skip
    assert {
        "Bucket": "b",
        "KeyMarker": "",
        "UploadIdMarker": "",
        "NextKeyMarker": "a%20b",
        "Prefix": "p%26",
        "Delimiter": "/",
        "NextUploadIdMarker": "u1",
        "MaxUploads": 1,
        "IsTruncated": True,
        "Uploads": [
            {
                "UploadId": "u1",
                "Key": "a%20b",
                "Initiated": MOMENT,
                "StorageClass": "STANDARD",
                "Owner": {"DisplayName": "Olga", "ID": "o"},
                "Initiator": {"ID": "i", "DisplayName": "Igor"},
                "ChecksumAlgorithm": "SHA256",
                "ChecksumType": "COMPOSITE",
            }
        ],
        "CommonPrefixes": [{"Prefix": "p/"}],
        "EncodingType": "url",
    } == parsed("ListMultipartUploads", body)


def uploads_document(content: str) -> bytes:
    """A page of uploads around its content."""
    return f"<ListMultipartUploadsResult>{content}</ListMultipartUploadsResult>".encode()


def test_a_marker_that_a_store_did_not_encode() -> None:
    """A marker that is the last key as it stands is that key, not what decoding would make of it."""
    body = uploads_document(
        "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>a+b</NextKeyMarker>"
        "<Upload><Key>a%2Bb</Key><UploadId>u</UploadId></Upload>"
    )
    assert "a+b" == documents.parse_list_multipart_uploads(body).next_key_marker


def test_an_unknown_encoding_is_not_written() -> None:
    """Only "url" is an encoding."""
    with pytest.raises(ValueError, match="encoding_type"):
        documents.render_list_multipart_uploads(UploadsPage([]), bucket="b", encoding_type="base64")


@given(st.one_of(st.none(), WORDS), CHECKSUMS, SIZES, st.booleans(), NUMBERS, st.data())
def test_attributes_come_back_as_they_were(
    etag: str | None,
    checksums: dict[str, str],
    size: int,
    truncated: bool,
    numbers: list[int],
    data: st.DataObject,
) -> None:
    """Whatever was asked for survives, and what was not stays away."""
    rows = [ObjectPart(number, data.draw(SIZES), data.draw(CHECKSUMS)) for number in numbers]
    truncated = truncated and bool(rows)
    marker = rows[-1].part_number if truncated else None
    parts = data.draw(st.sampled_from([None, ObjectParts(len(rows) + 3, rows, truncated, 2, marker, 5)]))
    kind = "COMPOSITE" if checksums else None
    attributes = ObjectAttributes(etag, checksums, kind, parts, data.draw(OPTIONAL), size)
    assert attributes == documents.parse_object_attributes(documents.render_object_attributes(attributes))


def test_attributes_are_what_botocore_reads() -> None:
    """botocore finds the same values; the ETag has no quotes here, as at S3."""
    parts = ObjectParts(6, [ObjectPart(4, 5, ALL_CHECKSUMS)], True, 3, 4, 1)
    body = documents.render_object_attributes(
        ObjectAttributes("x-6", ALL_CHECKSUMS, "COMPOSITE", parts, "STANDARD", 30)
    )
    assert {
        "ETag": "x-6",
        "Checksum": {**BOTOCORE_CHECKSUMS, "ChecksumType": "COMPOSITE"},
        "ObjectParts": {
            "TotalPartsCount": 6,
            "PartNumberMarker": 3,
            "NextPartNumberMarker": 4,
            "MaxParts": 1,
            "IsTruncated": True,
            "Parts": [{"PartNumber": 4, "Size": 5, **BOTOCORE_CHECKSUMS}],
        },
        "StorageClass": "STANDARD",
        "ObjectSize": 30,
    } == parsed("GetObjectAttributes", body)
    assert {} == parsed("GetObjectAttributes", documents.render_object_attributes(ObjectAttributes()))


@pytest.mark.parametrize("root", ["GetObjectAttributesResponse", "GetObjectAttributesOutput"])
def test_attributes_of_the_field(root: str) -> None:
    """Both names of the root, and both names of the number of parts, are understood."""
    body = f"<{root}><ObjectParts><TotalPartsCount>2</TotalPartsCount></ObjectParts></{root}>"
    assert ObjectAttributes(parts=ObjectParts(2, [])) == documents.parse_object_attributes(body.encode())


ATTRIBUTES = "<GetObjectAttributesResponse>{}</GetObjectAttributesResponse>"
PARTS = "<ListPartsResult>{}</ListPartsResult>"
ROW = "<Part><PartNumber>1</PartNumber><Size>1</Size><ETag>x</ETag></Part>"
NOT_LAST = "<IsTruncated>true</IsTruncated>"
LAST = "<IsTruncated>false</IsTruncated>"


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        (documents.parse_create_multipart_upload, "<InitiateMultipartUploadResult><Key>a</Key></InitiateMultipartUploadResult>"),
        (documents.parse_create_multipart_upload, "<html/>"),
        (documents.parse_complete_result, "<CompleteMultipartUploadResult/>"),
        (documents.parse_complete_result, ""),
        (documents.parse_complete_result, "   "),
        (documents.parse_complete_result, "<CompleteMultipartUploadResult><ETag>x</ETag>"),
        (documents.parse_copy_part, "<CopyPartResult><LastModified>now</LastModified><ETag>x</ETag></CopyPartResult>"),
        (documents.parse_copy_part, "<CopyPartResult/>"),
        (documents.parse_list_parts, PARTS.format("")),
        (documents.parse_list_parts, PARTS.format(ROW)),
        (documents.parse_list_parts, PARTS.format(NOT_LAST)),
        (documents.parse_list_parts, PARTS.format(NOT_LAST + "<NextPartNumberMarker>0</NextPartNumberMarker>")),
        (documents.parse_list_parts, PARTS.format(NOT_LAST + "<NextPartNumberMarker>x</NextPartNumberMarker>" + ROW)),
        (documents.parse_list_parts, PARTS.format("<IsTruncated>maybe</IsTruncated>" + ROW)),
        (documents.parse_list_parts, PARTS.format(LAST + ROW.replace("<Size>1</Size>", ""))),
        (documents.parse_list_parts, PARTS.format(LAST + ROW.replace("<Size>1</Size>", "<Size>-1</Size>"))),
        (documents.parse_list_parts, PARTS.format(LAST + ROW.replace("<ETag>x</ETag>", ""))),
        (documents.parse_list_parts, PARTS.format(LAST + ROW.replace("<PartNumber>1</PartNumber>", ""))),
        (documents.parse_list_multipart_uploads, "<ListMultipartUploadsResult/>"),
        (documents.parse_list_multipart_uploads, f"<ListMultipartUploadsResult>{NOT_LAST}</ListMultipartUploadsResult>"),
        (documents.parse_object_attributes, ATTRIBUTES.format("<ObjectSize/>")),
        (documents.parse_object_attributes, ATTRIBUTES.format("<ObjectParts/>")),
        (
            documents.parse_object_attributes,
            ATTRIBUTES.format("<ObjectParts><PartsCount>2</PartsCount><IsTruncated>true</IsTruncated></ObjectParts>"),
        ),
    ],
)  # fmt: skip
def test_answers_that_are_none(parse: Callable[[bytes], Any], body: str) -> None:
    """What is not the whole document that was asked for is a ProtocolError."""
    with pytest.raises(ProtocolError):
        parse(body.encode())


@pytest.mark.parametrize(
    "content",
    [
        LAST + "<Upload><Key>a</Key></Upload>",
        LAST + "<Upload><UploadId>a</UploadId></Upload>",
        LAST + "<CommonPrefixes><Prefix/></CommonPrefixes>",
        LAST + "<EncodingType>gzip</EncodingType>",
        LAST + "<EncodingType>url</EncodingType><Upload><Key>%zz</Key><UploadId>u</UploadId></Upload>",
        LAST + "<EncodingType>url</EncodingType><Upload><Key>%FF</Key><UploadId>u</UploadId></Upload>",
    ],
)
def test_pages_of_uploads_that_are_none(content: str) -> None:
    """A row without a key or an id, or in an encoding that cannot be read, is a ProtocolError."""
    with pytest.raises(ProtocolError):
        documents.parse_list_multipart_uploads(uploads_document(content))


@given(st.binary(max_size=200))
def test_no_body_breaks_a_reader(body: bytes) -> None:
    """Whatever bytes come, a reader gives a value or one of our errors."""
    for parse in (
        documents.parse_create_multipart_upload,
        documents.parse_complete_multipart_upload,
        documents.parse_complete_result,
        documents.parse_list_parts,
        documents.parse_list_multipart_uploads,
        documents.parse_object_attributes,
    ):
        with pytest.raises((ProtocolError, ServiceError)):
            parse(body)
