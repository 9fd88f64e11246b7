"""Multipart uploads over HTTP: what they become, how they are listed, and what is refused."""

from __future__ import annotations

import hashlib
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]

from s3func.message import Request, Response
from s3func.server import S3App
from s3func.wire import s3xml_multipart
from s3func.wire.encoding import encode_query
from s3func.wire.s3xml_multipart import CompletedPart
from tests.server.forge import KEY_ID, SECRET, Caller, code, keys, read, sign
from tests.server.parts import PART, begin, complete, put_part, send_part, upload

FIRST, SECOND, LAST = b"a" * PART, b"b" * (PART + 1), b"c"
WHOLE = FIRST + SECOND + LAST
ETAG = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in (FIRST, SECOND, LAST))).hexdigest() + "-3"


def parts_page(response: Response) -> s3xml_multipart.PartsPage:
    assert 200 == response.status, read(response)
    return s3xml_multipart.parse_list_parts(read(response))


def uploads_page(caller: Caller, **parameters: Any) -> s3xml_multipart.UploadsPage:
    query = encode_query([("uploads", ""), *((name.replace("_", "-"), str(text)) for name, text in parameters.items())])
    response = caller("GET", "/bkt", query)
    assert 200 == response.status, read(response)
    return s3xml_multipart.parse_list_multipart_uploads(read(response))


# --- what an upload becomes


def test_an_upload_becomes_one_object(caller: Caller) -> None:
    """Parts sent in any order are joined by number, under S3's "-N" ETag, with what was said at the beginning."""
    caller.put("key", b"precious")
    upload_id = begin(
        caller,
        "key",
        content_type="text/plain",
        cache_control="no-cache",
        x_amz_meta_a="1",
        x_amz_storage_class="STANDARD_IA",
    )
    parts = [put_part(caller, "key", upload_id, number, body) for number, body in ((7, LAST), (3, SECOND), (1, FIRST))]
    assert b"precious" == read(caller("GET", "/bkt/key")), "nothing is visible before the completion"
    response = complete(caller, "key", upload_id, parts[::-1])
    result = s3xml_multipart.parse_complete_result(read(response))
    assert (200, "bkt", "key", ETAG) == (response.status, result.bucket, result.key, result.etag)
    assert "http://localhost/bkt/key" == result.location
    stored = caller("GET", "/bkt/key")
    assert WHOLE == read(stored)
    assert ("text/plain", "no-cache", "1", "STANDARD_IA", f'"{ETAG}"') == tuple(
        stored.headers[name]
        for name in ("content-type", "cache-control", "x-amz-meta-a", "x-amz-storage-class", "etag")
    )
    assert [] == uploads_page(caller).uploads


def test_a_part_is_replaced_by_a_later_one(caller: Caller) -> None:
    """Of two parts with one number the later is the part, and the ETag of the earlier completes nothing."""
    upload_id = begin(caller, "key")
    former = put_part(caller, "key", upload_id, 1, b"former")
    part = put_part(caller, "key", upload_id, 1, b"later")
    assert (400, "InvalidPart") == code(complete(caller, "key", upload_id, [former]))
    assert 200 == complete(caller, "key", upload_id, [part]).status
    assert b"later" == read(caller("GET", "/bkt/key"))


def test_not_all_parts_need_be_used(caller: Caller) -> None:
    """The object is made of the parts that are named, also when they are not numbered from 1."""
    upload_id = begin(caller, "key")
    parts = [put_part(caller, "key", upload_id, number, bytes([number % 256]) * 10) for number in (5, 9_999, 10_000)]
    assert 200 == complete(caller, "key", upload_id, parts[2:]).status
    assert bytes([10_000 % 256]) * 10 == read(caller("GET", "/bkt/key"))


def test_completing_again_answers_the_same(caller: Caller) -> None:
    """A client that lost the answer may ask again, even with its condition, until it names other parts."""
    upload_id = begin(caller, "key")
    part = put_part(caller, "key", upload_id, 1, b"body")
    first = complete(caller, "key", upload_id, [part], if_none_match="*")
    again = complete(caller, "key", upload_id, [part], if_none_match="*")
    assert (200, read(first)) == (again.status, read(again))
    other = CompletedPart(1, hashlib.md5(b"other").hexdigest())
    assert (404, "NoSuchUpload") == code(complete(caller, "key", upload_id, [other]))
    assert (404, "NoSuchUpload") == code(send_part(caller, "key", upload_id, 1, b"late"))


def test_an_aborted_upload_is_gone(caller: Caller) -> None:
    """After AbortMultipartUpload there is neither the upload nor its parts, and aborting it again is NoSuchUpload."""
    upload_id = begin(caller, "key")
    part = put_part(caller, "key", upload_id, 1, b"body")
    assert 204 == caller("DELETE", "/bkt/key", f"uploadId={upload_id}").status
    assert (404, "NoSuchUpload") == code(caller("DELETE", "/bkt/key", f"uploadId={upload_id}"))
    assert (404, "NoSuchUpload") == code(caller("GET", "/bkt/key", f"uploadId={upload_id}"))
    assert (404, "NoSuchUpload") == code(send_part(caller, "key", upload_id, 2, b"late"))
    assert (404, "NoSuchUpload") == code(complete(caller, "key", upload_id, [part]))
    assert [] == keys(caller)


def test_hostile_keys_in_uploads(caller: Caller) -> None:
    """An upload's key is exactly what it was, in the listing, in the answer and in the object."""
    for path in ("a//b", "..%2F..%2Fx", "%0A%26%3C", "a+b%20c", "%C3%A9"):
        response = upload(caller, path, [b"body"])
        key = s3xml_multipart.parse_complete_result(read(response)).key
        assert b"body" == read(caller("GET", f"/bkt/{path}"))
        assert key in keys(caller)


def test_the_location_of_a_bucket_that_is_a_host(caller: Caller) -> None:
    """Where a bucket is part of the host, the Location of what was uploaded has it there and nowhere else."""
    upload_id = begin(caller, "a%20b")
    document = s3xml_multipart.render_complete_multipart_upload([put_part(caller, "a%20b", upload_id, 1, b"x")])
    query = f"uploadId={upload_id}"
    headers = sign("POST", "/a%20b", query, document, host="bkt.localhost")
    response = caller.app(Request("POST", "http://bkt.localhost", "/a%20b", query, headers, document))
    result = s3xml_multipart.parse_complete_result(read(response))
    assert ("http://bkt.localhost/a%20b", "bkt", "a b") == (result.location, result.bucket, result.key)


# --- what is refused

PART_1 = "<Part><PartNumber>1</PartNumber><ETag>{0}</ETag></Part>"
PART_2 = "<Part><PartNumber>2</PartNumber><ETag>{1}</ETag></Part>"


@pytest.mark.parametrize("number", ["0", "10001", "-1", "1.5", "1e3", "abc", "", "9" * 30, "%D9%A1"])
def test_numbers_that_no_part_has(caller: Caller, number: str) -> None:
    """Parts are numbered from 1 to 10,000, for UploadPart, UploadPartCopy, GET and HEAD alike."""
    caller.put("key", b"precious")
    upload_id = begin(caller, "key")
    assert (400, "InvalidArgument") == code(send_part(caller, "key", upload_id, number, b"body"))
    source = {"x-amz-copy-source": "bkt/key"}
    query = f"partNumber={number}&uploadId={upload_id}"
    assert (400, "InvalidArgument") == code(caller("PUT", "/bkt/key", query, headers=source))
    assert (400, "InvalidArgument") == code(caller("GET", "/bkt/key", f"partNumber={number}"))
    assert 400 == caller("HEAD", "/bkt/key", f"partNumber={number}").status
    assert [] == parts_page(caller("GET", "/bkt/key", f"uploadId={upload_id}")).parts


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("", (400, "MalformedXML")),
        ("<Part/>", (400, "MalformedXML")),
        ("<Part><PartNumber>1</PartNumber></Part>", (400, "MalformedXML")),
        ("<Part><PartNumber>one</PartNumber><ETag>{0}</ETag></Part>", (400, "MalformedXML")),
        ("<Part><PartNumber>1</PartNumber><ETag>{0}</ETag><Size>3</Size></Part>", (400, "MalformedXML")),
        ("<Part><PartNumber>0</PartNumber><ETag>{0}</ETag></Part>", (400, "InvalidPart")),
        ("<Part><PartNumber>10001</PartNumber><ETag>{0}</ETag></Part>", (400, "InvalidPart")),
        ("<Part><PartNumber>3</PartNumber><ETag>{0}</ETag></Part>", (400, "InvalidPart")),
        ("<Part><PartNumber>1</PartNumber><ETag>{1}</ETag></Part>", (400, "InvalidPart")),
        ("<Part><PartNumber>1</PartNumber><ETag>{0}-1</ETag></Part>", (400, "InvalidPart")),
        (PART_2 + PART_1, (400, "InvalidPartOrder")),
        (PART_1 + PART_1, (400, "InvalidPartOrder")),
        (PART_1 + PART_2, (400, "EntityTooSmall")),
        (PART_1 * 10_001, (400, "MalformedXML")),
        (
            "<!DOCTYPE a [<!ENTITY b 'c'>]><Part><PartNumber>1</PartNumber><ETag>&b;</ETag></Part>",
            (400, "MalformedXML"),
        ),
    ],
)
def test_documents_that_complete_nothing(caller: Caller, document: str, expected: tuple[int, str]) -> None:
    """A completion that is malformed, or names what is not there, leaves the upload as it was."""
    upload_id = begin(caller, "key")
    etags = [put_part(caller, "key", upload_id, number, body).etag for number, body in ((1, b"one"), (2, b"two"))]
    body = f"<CompleteMultipartUpload>{document.format(*etags)}</CompleteMultipartUpload>".encode()
    assert expected == code(caller("POST", "/bkt/key", f"uploadId={upload_id}", body))
    assert (400, "MalformedXML") == code(caller("POST", "/bkt/key", f"uploadId={upload_id}", b""))
    assert [] == keys(caller)
    assert [1, 2] == [part.part_number for part in parts_page(caller("GET", "/bkt/key", f"uploadId={upload_id}")).parts]


@pytest.mark.parametrize("size", [str(len(WHOLE) - 1), "0", "-1", "many", ""])
def test_the_size_that_a_client_expects(caller: Caller, size: str) -> None:
    """x-amz-mp-object-size has to be the sum of the parts."""
    upload_id = begin(caller, "key")
    part = put_part(caller, "key", upload_id, 1, b"body")
    refused = complete(caller, "key", upload_id, [part], x_amz_mp_object_size=size)
    assert (400, "InvalidRequest") == code(refused)
    assert [] == keys(caller)
    assert 200 == complete(caller, "key", upload_id, [part], x_amz_mp_object_size="4").status


def test_an_upload_belongs_to_its_key(caller: Caller) -> None:
    """Under another key or in another bucket, and with an id made up, there is no such upload."""
    upload_id = begin(caller, "key")
    part = put_part(caller, "key", upload_id, 1, b"body")
    assert 200 == caller("PUT", "/other-bucket").status
    for path, identifier in (
        ("/bkt/other", upload_id),
        ("/other-bucket/key", upload_id),
        ("/bkt/key", "made-up"),
        ("/bkt/key", upload_id[:-1]),
        ("/bkt/key", ""),
    ):
        query = f"uploadId={identifier}"
        body = s3xml_multipart.render_complete_multipart_upload([part])
        for response in (
            caller("PUT", path, f"partNumber=1&{query}", b"x"),
            caller("PUT", path, f"partNumber=1&{query}", headers={"x-amz-copy-source": "bkt/key"}),
            caller("GET", path, query),
            caller("POST", path, query, body),
            caller("DELETE", path, query),
        ):
            assert (404, "NoSuchUpload") == code(response)
    assert 200 == complete(caller, "key", upload_id, [part]).status


def test_a_part_is_checked_like_an_object(caller: Caller) -> None:
    """A part whose MD5, hash or checksum is not the one that was announced does not replace the one before."""
    upload_id = begin(caller, "key")
    part = put_part(caller, "key", upload_id, 1, b"body")
    for headers in ({"content_md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, {"x_amz_checksum_crc32": "AAAAAA=="}):
        assert (400, "BadDigest") == code(send_part(caller, "key", upload_id, 1, b"wrong", **headers))
    assert 200 == complete(caller, "key", upload_id, [part]).status
    assert b"body" == read(caller("GET", "/bkt/key"))


def test_conditions_on_a_completion(caller: Caller) -> None:
    """If-None-Match and If-Match are asked when the object appears, and the refused upload is still there."""
    caller.put("key", b"precious")
    upload_id = begin(caller, "key")
    part = put_part(caller, "key", upload_id, 1, b"body")
    etag = hashlib.md5(b"precious").hexdigest()
    assert (412, "PreconditionFailed") == code(complete(caller, "key", upload_id, [part], if_none_match="*"))
    assert (412, "PreconditionFailed") == code(complete(caller, "key", upload_id, [part], if_match='"other"'))
    assert b"precious" == read(caller("GET", "/bkt/key"))
    assert 200 == complete(caller, "key", upload_id, [part], if_match=f'"{etag}"').status
    assert b"body" == read(caller("GET", "/bkt/key"))
    upload_id = begin(caller, "none")
    part = put_part(caller, "none", upload_id, 1, b"body")
    assert (404, "NoSuchKey") == code(complete(caller, "none", upload_id, [part], if_match="*"))


def test_uploads_do_not_make_a_bucket_full(caller: Caller) -> None:
    """A bucket with nothing but unfinished uploads can be deleted, and they go with it."""
    upload_id = begin(caller, "key")
    assert 204 == caller("DELETE", "/bkt").status
    assert (404, "NoSuchBucket") == code(send_part(caller, "key", upload_id, 1, b"body"))
    assert 200 == caller("PUT", "/bkt").status
    assert (404, "NoSuchUpload") == code(send_part(caller, "key", upload_id, 1, b"body"))


# --- copies


def copy_part(caller: Caller, upload_id: str, source: str, span: str = "", **headers: str) -> Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if span:
        fields["x-amz-copy-source-range"] = span
    return caller(
        "PUT", "/bkt/key", f"partNumber=1&uploadId={upload_id}", headers={"x-amz-copy-source": source, **fields}
    )


@pytest.mark.parametrize(
    ("span", "body"), [("", b"0123456789"), ("bytes=0-9", b"0123456789"), ("bytes=3-3", b"3"), ("bytes=8-9", b"89")]
)
def test_parts_copied_from_objects(caller: Caller, span: str, body: bytes) -> None:
    """UploadPartCopy takes the object or the range that is asked for, and answers with the part's ETag."""
    caller.put("source%20%3F", b"0123456789")
    upload_id = begin(caller, "key")
    response = copy_part(caller, upload_id, "/bkt/source%20%3F", span)
    assert 200 == response.status, read(response)
    result = s3xml_multipart.parse_copy_part(read(response))
    assert hashlib.md5(body).hexdigest() == result.etag
    assert result.last_modified is not None
    assert 200 == complete(caller, "key", upload_id, [CompletedPart(1, result.etag)]).status
    assert body == read(caller("GET", "/bkt/key"))


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("bytes=0-10", (416, "InvalidRange")),
        ("bytes=10-10", (416, "InvalidRange")),
        ("bytes=0-99999999999999999", (416, "InvalidRange")),
        ("bytes=5-4", (400, "InvalidArgument")),
        ("bytes=5-", (400, "InvalidArgument")),
        ("bytes=-5", (400, "InvalidArgument")),
        ("bytes=0-1,3-4", (400, "InvalidArgument")),
        ("0-4", (400, "InvalidArgument")),
        ("bytes=" + "9" * 40 + "-" + "9" * 40, (400, "InvalidArgument")),
        ("bytes=a-b", (400, "InvalidArgument")),
    ],
)
def test_ranges_that_cannot_be_copied(caller: Caller, span: str, expected: tuple[int, str]) -> None:
    """A range must have both ends and lie inside of its source; nothing becomes a part otherwise."""
    caller.put("source", b"0123456789")
    upload_id = begin(caller, "key")
    assert expected == code(copy_part(caller, upload_id, "bkt/source", span))
    assert [] == parts_page(caller("GET", "/bkt/key", f"uploadId={upload_id}")).parts


def test_more_than_a_part_can_hold_is_not_copied(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source beyond the size of a part is refused before it is read, unless a range of it is asked for."""
    monkeypatch.setattr("s3func.server.handlers.multipart.PUT_BYTES_MAX", 9)
    caller.put("source", b"0123456789")
    upload_id = begin(caller, "key")
    assert (400, "InvalidRequest") == code(copy_part(caller, upload_id, "bkt/source"))
    assert 200 == copy_part(caller, upload_id, "bkt/source", "bytes=1-9").status


@pytest.mark.parametrize(
    ("source", "headers", "expected"),
    [
        ("bkt/none", {}, (404, "NoSuchKey")),
        ("none/key", {}, (404, "NoSuchBucket")),
        ("bkt/source?versionId=v1", {}, (404, "NoSuchVersion")),
        ("bkt", {}, (400, "InvalidArgument")),
        ("bkt/source", {"x_amz_copy_source_if_match": '"other"'}, (412, "PreconditionFailed")),
        ("bkt/source", {"x_amz_copy_source_if_none_match": "*"}, (412, "PreconditionFailed")),
        (
            "bkt/source",
            {"x_amz_copy_source_if_unmodified_since": "Thu, 01 Jan 2015 00:00:00 GMT"},
            (412, "PreconditionFailed"),
        ),
    ],
)
def test_sources_that_are_not_copied(
    caller: Caller, source: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    """What is not there, or not as it should be, becomes no part."""
    caller.put("source", b"0123456789")
    upload_id = begin(caller, "key")
    assert expected == code(copy_part(caller, upload_id, source, **headers))
    assert [] == parts_page(caller("GET", "/bkt/key", f"uploadId={upload_id}")).parts


# --- single parts of an object


@pytest.mark.parametrize(("number", "start", "body"), [(1, 0, FIRST), (2, PART, SECOND), (3, 2 * PART + 1, LAST)])
def test_a_part_of_an_object(caller: Caller, number: int, start: int, body: bytes) -> None:
    """GET and HEAD ?partNumber answer with that part as a range of the object, and say how many parts there are."""
    upload(caller, "key", [FIRST, SECOND, LAST])
    for method in ("GET", "HEAD"):
        response = caller(method, "/bkt/key", f"partNumber={number}")
        assert (206, str(len(body)), f"bytes {start}-{start + len(body) - 1}/{len(WHOLE)}", "3", f'"{ETAG}"') == (
            response.status,
            response.headers["content-length"],
            response.headers["content-range"],
            response.headers["x-amz-mp-parts-count"],
            response.headers["etag"],
        )
        assert (body if method == "GET" else b"") == read(response)


def test_parts_that_an_object_does_not_have(caller: Caller) -> None:
    """A number behind the last part is refused; so is a range together with a part."""
    upload(caller, "key", [FIRST, LAST])
    assert (400, "InvalidPart") == code(caller("GET", "/bkt/key", "partNumber=3"))
    assert 400 == caller("HEAD", "/bkt/key", "partNumber=3").status
    refused = caller("GET", "/bkt/key", "partNumber=1", headers={"range": "bytes=0-1"})
    assert (400, "InvalidRequest") == code(refused)
    assert (404, "NoSuchKey") == code(caller("GET", "/bkt/none", "partNumber=1"))
    not_modified = caller("GET", "/bkt/key", "partNumber=2", headers={"if-none-match": "*"})
    assert (304, b"") == (not_modified.status, read(not_modified))


def test_an_object_of_one_put_is_its_own_part(caller: Caller) -> None:
    """Part 1 of an object that was put in one request is all of it, and there is no other; it has no count of parts."""
    caller.put("key", b"body")
    caller.put("empty", b"")
    response = caller("GET", "/bkt/key", "partNumber=1")
    assert (206, b"body", "bytes 0-3/4") == (response.status, read(response), response.headers["content-range"])
    assert "x-amz-mp-parts-count" not in response.headers
    empty = caller("GET", "/bkt/empty", "partNumber=1")
    assert (200, b"") == (empty.status, read(empty))
    assert (400, "InvalidPart") == code(caller("GET", "/bkt/key", "partNumber=2"))


# --- listings


def test_pages_of_parts(caller: Caller) -> None:
    """ListParts shows number, size, ETag and time in pages that end, however small they are asked for."""
    upload_id = begin(caller, "key", x_amz_storage_class="STANDARD_IA")
    bodies = {number: b"x" * number for number in (1, 2, 40, 9_999, 10_000)}
    for number, body in bodies.items():
        put_part(caller, "key", upload_id, number, body)
    found: dict[int, tuple[int, str]] = {}
    marker: int | None = 0
    while marker is not None:
        page = parts_page(caller("GET", "/bkt/key", f"max-parts=2&part-number-marker={marker}&uploadId={upload_id}"))
        found |= {part.part_number: (part.size, part.etag) for part in page.parts}
        assert all(part.last_modified is not None for part in page.parts)
        assert "STANDARD_IA" == page.storage_class
        marker = page.next_part_number_marker
    assert {number: (len(body), hashlib.md5(body).hexdigest()) for number, body in bodies.items()} == found
    page = parts_page(caller("GET", "/bkt/key", f"max-parts=0&uploadId={upload_id}"))
    assert ([], False) == (page.parts, page.is_truncated)
    for query in ("max-parts=-1", "max-parts=x", "part-number-marker=x", "max-parts=99999999999"):
        assert (400, "InvalidArgument") == code(caller("GET", "/bkt/key", f"{query}&uploadId={upload_id}"))


def test_pages_of_uploads(caller: Caller) -> None:
    """ListMultipartUploads goes through all uploads by key and age, one by one, and folds what a delimiter folds."""
    begun = [(key, begin(caller, key)) for key in ("b", "a/1", "a/2", "b", "c+d%20e")]
    begun = [(key.replace("%20", " "), upload_id) for key, upload_id in begun]
    expected = sorted(begun, key=lambda row: row[0])
    found: list[tuple[str, str]] = []
    place: dict[str, str] = {}
    while True:
        page = uploads_page(caller, max_uploads=1, encoding_type="url", **place)
        found += [(row.key, row.upload_id) for row in page.uploads]
        assert all(row.initiated and row.owner == row.initiator and row.owner for row in page.uploads)
        if not page.is_truncated:
            break
        place = {"key_marker": str(page.next_key_marker), "upload_id_marker": str(page.next_upload_id_marker)}
    assert expected == found
    folded = uploads_page(caller, delimiter="/")
    assert (["a/"], ["b", "b", "c+d e"]) == (list(folded.common_prefixes), [row.key for row in folded.uploads])
    assert ["a/1", "a/2"] == [row.key for row in uploads_page(caller, prefix="a/").uploads]
    assert 5 == len(uploads_page(caller, upload_id_marker="ignored without a key").uploads)
    assert (400, "InvalidArgument") == code(caller("GET", "/bkt", "encoding-type=xml&uploads="))
    assert (400, "InvalidArgument") == code(caller("GET", "/bkt", "max-uploads=x&uploads="))
    assert (404, "NoSuchBucket") == code(caller("GET", "/none", "uploads="))


# --- another client, and a store without this power


def test_boto3_uploads_and_reads_in_parts(boto: Any, tmp_path: Path) -> None:
    """boto3 cuts 20 MiB into parts in parallel, and what it reads back, also in parallel ranges, is the same."""
    body = os.urandom(20 * 1024**2 + 7)
    config = TransferConfig(multipart_threshold=8 * 1024**2, multipart_chunksize=8 * 1024**2)
    boto.upload_fileobj(BytesIO(body), "bkt", "key", Config=config, ExtraArgs={"Metadata": {"a": "1"}})
    head = boto.head_object(Bucket="bkt", Key="key")
    assert (len(body), {"a": "1"}, "-3") == (head["ContentLength"], head["Metadata"], head["ETag"].strip('"')[-2:])
    boto.download_file("bkt", "key", str(tmp_path / "file"), Config=config)
    assert body == (tmp_path / "file").read_bytes()
    boto.copy({"Bucket": "bkt", "Key": "key"}, "bkt", "copy", Config=config)
    assert body == boto.get_object(Bucket="bkt", Key="copy")["Body"].read()
    assert 3 == boto.get_object(Bucket="bkt", Key="key", PartNumber=2)["PartsCount"]


def test_boto3_lists_parts_and_uploads(boto: Any) -> None:
    """boto3's paginators find every part and every upload, and its abort ends one."""
    upload_id = boto.create_multipart_upload(Bucket="bkt", Key="a b")["UploadId"]
    for number in range(1, 6):
        boto.upload_part(Bucket="bkt", Key="a b", UploadId=upload_id, PartNumber=number, Body=b"x")
    pages = boto.get_paginator("list_parts").paginate(
        Bucket="bkt", Key="a b", UploadId=upload_id, PaginationConfig={"PageSize": 2}
    )
    assert [1, 2, 3, 4, 5] == [part["PartNumber"] for page in pages for part in page["Parts"]]
    uploads = boto.get_paginator("list_multipart_uploads").paginate(Bucket="bkt", PaginationConfig={"PageSize": 1})
    assert [("a b", upload_id)] == [(row["Key"], row["UploadId"]) for page in uploads for row in page["Uploads"]]
    boto.abort_multipart_upload(Bucket="bkt", Key="a b", UploadId=upload_id)
    assert "Uploads" not in boto.list_multipart_uploads(Bucket="bkt")


class Plain:
    """A store that has no powers: only what every store has is passed on."""

    _KNOWN = frozenset({"create_bucket", "get_bucket", "head_object", "list_objects", "open_object", "close"})

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        if name not in self._KNOWN:
            raise AttributeError(name)
        return getattr(self._backend, name)


def test_a_store_without_uploads(caller: Caller) -> None:
    """A store that takes no uploads and keeps no versions says so, and lists each object as its own one version."""
    caller.put("key", b"body")
    plain: Any = Plain(caller.app.backend)
    other = Caller(S3App(plain, access_key_id=KEY_ID, secret_access_key=SECRET))
    for method, path, query in (
        ("POST", "/bkt/key", "uploads="),
        ("PUT", "/bkt/key", "partNumber=1&uploadId=x"),
        ("GET", "/bkt/key", "uploadId=x"),
        ("GET", "/bkt", "uploads="),
    ):
        assert (501, "NotImplemented") == code(other(method, path, query))
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert (501, "NotImplemented") == code(other("PUT", "/bkt", "versioning=", body))
    listed = read(other("GET", "/bkt", "versions="))
    assert b"<VersionId>null</VersionId><IsLatest>true</IsLatest>" in listed
