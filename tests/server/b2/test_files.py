"""Files through B2: up, down, listed, hidden, deleted, and the same objects through S3."""

from __future__ import annotations

import hashlib
import re

import pytest

from s3func.server import S3App
from tests.server.b2.callers import B2Caller
from tests.server.forge import Caller

FILE_ID = re.compile(r"4_z[0-9a-f]{24}_f[12][0-9a-f]{15}_d\d{8}_m\d{6}_c\d{3}_v\d{7}_t\d{4}_u0\d{13}")
NAMES = ("a", "a/", "a//b", "../a", "/lead", "a+b c%20", "é#?[]", "日本 🚀")
MB = 1_000_000


@pytest.mark.parametrize("name", NAMES)
def test_a_file_comes_back(b2: B2Caller, name: str) -> None:
    """What was uploaded is downloaded by name and by id, with its info, type and SHA-1."""
    bucket_id = b2.bucket()
    row = b2.upload(bucket_id, name, b"body", x_bz_info_who="m%C3%A9+%2B", x_bz_info_b2_cache_control="no-store")
    assert FILE_ID.fullmatch(row["fileId"])
    assert (name, "upload", 4) == (row["fileName"], row["action"], row["contentLength"])
    assert {"who": "mé +", "b2-cache-control": "no-store"} == row["fileInfo"]
    by_name = b2.download("test-bucket", name)
    by_id = b2("b2_download_file_by_id", fileId=row["fileId"])
    for found in (by_name, by_id):
        assert (200, b"body") == (found.status, found.body)
        assert row["fileId"] == found.headers["x-bz-file-id"]
        assert hashlib.sha1(b"body").hexdigest() == found.headers["x-bz-content-sha1"]
        assert "no-store" == found.headers["cache-control"]
        assert "x-bz-info-b2-cache-control" not in found.headers
        assert "date" in found.headers
    assert row == b2("b2_get_file_info", fileId=row["fileId"]).document


def test_both_apis_see_the_same(app: S3App, b2: B2Caller) -> None:
    """An object of one API is an object of the other: bytes, metadata, SHA-1 and id."""
    s3 = Caller(app)
    bucket_id = b2.bucket()
    row = b2.upload(bucket_id, "from-b2.txt", b"b2", x_bz_info_who="me")
    seen = s3("GET", "/test-bucket/from-b2.txt")
    assert (b"b2", "me", row["fileId"], "text/plain") == (
        seen.read(),
        seen.headers["x-amz-meta-who"],
        seen.headers["x-amz-version-id"],
        seen.headers["content-type"],
    )
    put = s3("PUT", "/test-bucket/from-s3", body=b"s3", headers={"x-amz-meta-who": "you"})
    info = b2("b2_get_file_info", fileId=put.headers["x-amz-version-id"]).document
    assert ("from-s3", {"who": "you"}, "none") == (info["fileName"], info["fileInfo"], info["contentSha1"])
    b2("b2_hide_file", bucketId=bucket_id, fileName="from-s3")
    assert 404 == s3("GET", "/test-bucket/from-s3").status


def test_a_bucket_of_s3_without_versions(app: S3App, b2: B2Caller) -> None:
    """Its objects have file ids, by which they are read and deleted; hiding is refused, for it would destroy."""
    s3 = Caller(app)
    assert 200 == s3("PUT", "/plain-bucket").status
    s3("PUT", "/plain-bucket/key/ü".replace("ü", "%C3%BC"), body=b"1")
    [bucket] = b2("b2_list_buckets", bucketName="plain-bucket").document["buckets"]
    [row] = b2("b2_list_file_versions", bucketId=bucket["bucketId"]).document["files"]
    assert b"1" == b2("b2_download_file_by_id", fileId=row["fileId"]).body
    assert (400, "bad_request") == b2("b2_hide_file", bucketId=bucket["bucketId"], fileName="key/ü").refusal
    assert 200 == b2("b2_delete_file_version", fileId=row["fileId"], fileName="key/ü").status
    assert 404 == b2.download("plain-bucket", "key/ü").status


def test_checksums_decide(b2: B2Caller) -> None:
    """A SHA-1 in the head or at the end is compared; what nobody compared is called unverified."""
    bucket_id = b2.bucket()
    digits = hashlib.sha1(b"body").hexdigest()
    at_end = b2.upload(bucket_id, "a", b"body" + digits.encode(), x_bz_content_sha1="hex_digits_at_end")
    assert (digits, 4) == (at_end["contentSha1"], at_end["contentLength"])
    unverified = b2.upload(bucket_id, "b", b"body", x_bz_content_sha1="do_not_verify")
    assert f"unverified:{digits}" == unverified["contentSha1"]
    for body, sha1 in ((b"body", "0" * 40), (b"body" + b"0" * 40, "hex_digits_at_end"), (b"b", "nonsense")):
        url = b2("b2_get_upload_url", bucketId=bucket_id).document
        assert (400, "bad_request") == b2.upload_to(url, "c", body, x_bz_content_sha1=sha1).refusal
    assert 404 == b2.download("test-bucket", "c").status


def test_ranges_and_overrides(b2: B2Caller) -> None:
    """A range is a part of the file, one behind its end is refused, and the query says what else is answered."""
    b2.upload(b2.bucket(), "a", b"0123456789")
    part = b2.download("test-bucket", "a", range="bytes=2-4")
    assert (206, b"234", "bytes 2-4/10") == (part.status, part.body, part.headers["content-range"])
    assert (416, "range_not_satisfiable") == b2.download("test-bucket", "a", range="bytes=10-").refusal
    query = "b2ContentType=text%2Fx&b2ContentDisposition=inline"
    told = b2.send("GET", "/file/test-bucket/a", {"authorization": b2.token}, query=query)
    assert ("text/x", "inline") == (told.headers["content-type"], told.headers["content-disposition"])
    head = b2.download("test-bucket", "a", "HEAD")
    assert (200, b"", "10") == (head.status, head.body, head.headers["content-length"])
    gone = b2.download("test-bucket", "b", "HEAD")
    assert (404, b"", "0") == (gone.status, gone.body, gone.headers["content-length"])


def test_hiding_and_deleting(b2: B2Caller) -> None:
    """Hiding hides once, deleting a version brings the one before back, and what is gone is not deleted again."""
    bucket_id = b2.bucket()
    old, new = b2.upload(bucket_id, "a", b"1"), b2.upload(bucket_id, "a", b"2")
    hide = b2("b2_hide_file", bucketId=bucket_id, fileName="a")
    assert "hide" == hide.document["action"]
    assert (400, "already_hidden") == b2("b2_hide_file", bucketId=bucket_id, fileName="a").refusal
    assert (400, "no_such_file") == b2("b2_hide_file", bucketId=bucket_id, fileName="b").refusal
    assert (404, "not_found") == b2.download("test-bucket", "a").refusal
    assert [] == b2.names("b2_list_file_names", bucket_id)
    for file_id in (hide.document["fileId"], new["fileId"]):
        assert 200 == b2("b2_delete_file_version", fileName="a", fileId=file_id).status
        assert (400, "file_not_present") == b2("b2_delete_file_version", fileName="a", fileId=file_id).refusal
    assert b"1" == b2.download("test-bucket", "a").body
    assert (400, "file_not_present") == b2("b2_delete_file_version", fileName="b", fileId=old["fileId"]).refusal


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lists_go_on_where_they_ended(b2: B2Caller, size: int) -> None:
    """Every row comes once, in order, however long a page is: versions, hide markers, unfinished files, folders."""
    bucket_id = b2.bucket()
    for name in ("a", "a", "b/1", "b/2", "c"):
        b2.upload(bucket_id, name)
    b2("b2_hide_file", bucketId=bucket_id, fileName="c")
    for name in ("a", "b/0"):
        b2("b2_start_large_file", bucketId=bucket_id, fileName=name, contentType="b2/x-auto")
    assert [("a", "upload"), ("b/1", "upload"), ("b/2", "upload")] == b2.names(
        "b2_list_file_names", bucket_id, maxFileCount=size
    )
    assert [("a", "upload"), ("b/", "folder")] == b2.names(
        "b2_list_file_names", bucket_id, maxFileCount=size, delimiter="/"
    )
    versions = b2.names("b2_list_file_versions", bucket_id, maxFileCount=size)
    assert [("a", "start"), ("a", "upload"), ("a", "upload"), ("b/0", "start")] == sorted(versions)[:4]
    assert [("b/1", "upload"), ("b/2", "upload"), ("c", "hide"), ("c", "upload")] == versions[4:]
    folders = b2.names("b2_list_file_versions", bucket_id, maxFileCount=size, delimiter="/")
    assert [("b/", "folder"), ("c", "hide"), ("c", "upload")] == folders[3:]
    assert [("b/1", "upload"), ("b/2", "upload")] == b2.names(
        "b2_list_file_names", bucket_id, maxFileCount=size, prefix="b/", startFileName="b/1", delimiter="/"
    )


def test_page_sizes(b2: B2Caller) -> None:
    """A page is of 1 to 10,000 rows; 0 is the usual 100."""
    bucket_id = b2.bucket()
    assert (400, "out_of_range") == b2("b2_list_file_names", bucketId=bucket_id, maxFileCount=10_001).refusal
    assert [] == b2("b2_list_file_names", bucketId=bucket_id, maxFileCount=0).document["files"]


def test_large_files(b2: B2Caller) -> None:
    """Parts become a file that keeps its id; a missing, a wrong and a small part are refused; finishing is once."""
    bucket_id = b2.bucket()
    begun = b2("b2_start_large_file", bucketId=bucket_id, fileName="l", contentType="text/x", fileInfo={"who": "me"})
    file_id = begun.document["fileId"]
    assert ("start", True) == (begun.document["action"], "_f2" in file_id)
    first, last = b"1" * 5 * MB, b"2"
    digits = [b2.part(file_id, 1, first), b2.part(file_id, 2, last)]
    parts = b2("b2_list_parts", fileId=file_id).document["parts"]
    assert [(1, 5 * MB, digits[0]), (2, 1, digits[1])] == [
        (row["partNumber"], row["contentLength"], row["contentSha1"]) for row in parts
    ]
    finish = "b2_finish_large_file"
    assert (400, "missing_part") == b2(finish, fileId=file_id, partSha1Array=[*digits, "0" * 40]).refusal
    assert (400, "part_sha1_mismatch") == b2(finish, fileId=file_id, partSha1Array=[digits[0], "0" * 40]).refusal
    done = b2(finish, fileId=file_id, partSha1Array=digits)
    assert (200, file_id, "none", {"who": "me"}) == (
        done.status,
        done.document["fileId"],
        done.document["contentSha1"],
        done.document["fileInfo"],
    )
    assert first + last == b2("b2_download_file_by_id", fileId=file_id).body
    assert (400, "bad_request") == b2(finish, fileId=file_id, partSha1Array=digits).refusal
    assert "upload" == b2("b2_get_file_info", fileId=file_id).document["action"]
    small = b2("b2_start_large_file", bucketId=bucket_id, fileName="s", contentType="text/x").document["fileId"]
    digits = [b2.part(small, 1, b"1"), b2.part(small, 2, b"2")]
    assert (400, "bad_request") == b2(finish, fileId=small, partSha1Array=digits).refusal
    [unfinished] = b2("b2_list_unfinished_large_files", bucketId=bucket_id).document["files"]
    assert small == unfinished["fileId"]
    assert 200 == b2("b2_cancel_large_file", fileId=small).status
    assert (400, "bad_request") == b2("b2_cancel_large_file", fileId=small).refusal


def test_copies(b2: B2Caller) -> None:
    """A copy is of one version or a part of it; info is kept or replaced as a whole."""
    bucket_id = b2.bucket()
    source = b2.upload(bucket_id, "a", b"0123456789", x_bz_info_who="me")["fileId"]
    copy = b2("b2_copy_file", sourceFileId=source, fileName="b").document
    assert ("copy", {"who": "me"}, "b") == (copy["action"], copy["fileInfo"], copy["fileName"])
    part = b2(
        "b2_copy_file",
        sourceFileId=source,
        fileName="c",
        range="bytes=2-4",
        metadataDirective="REPLACE",
        contentType="text/x",
        fileInfo={"k": "v"},
    ).document
    assert ("text/x", {"k": "v"}, 3) == (part["contentType"], part["fileInfo"], part["contentLength"])
    assert hashlib.sha1(b"234").hexdigest() == part["contentSha1"]
    assert b"234" == b2.download("test-bucket", "c").body
    refused = b2("b2_copy_file", sourceFileId=source, fileName="d", contentType="text/x")
    assert (400, "bad_request") == refused.refusal
    assert (404, "not_found") == b2("b2_copy_file", sourceFileId="4_z", fileName="d").refusal


@pytest.mark.parametrize("name", ["", "a\n", "\x7f", "x" * 1025])
def test_names_that_no_file_has(b2: B2Caller, name: str) -> None:
    """A name is 1 to 1,024 bytes without control characters."""
    url = b2("b2_get_upload_url", bucketId=b2.bucket()).document
    assert (400, "bad_request") == b2.upload_to(url, name).refusal


def test_info_has_a_limit(b2: B2Caller) -> None:
    """File name and info are 7,000 bytes together."""
    bucket_id = b2.bucket()
    b2.upload(bucket_id, "a", x_bz_info_k="v" * 6998)
    url = b2("b2_get_upload_url", bucketId=bucket_id).document
    assert (400, "bad_request") == b2.upload_to(url, "a", x_bz_info_k="v" * 6999).refusal
