"""Copies, deletions and buckets, in this process."""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from datetime import UTC, datetime

import pytest

from s3func.message import Request
from s3func.wire import s3xml
from tests.server.conditions import BODY, CONDITIONS, ETAG
from tests.server.forge import Caller, base64_of, code, keys, read, sign


def copy(caller: Caller, source: str, target: str = "/bkt/copy", **headers: str) -> tuple[int, str]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    response = caller("PUT", target, headers={"x-amz-copy-source": source, **fields})
    if response.status != 200:
        return code(response)
    assert s3xml.parse_copy_object(read(response)).etag == ETAG
    return 200, ""


@pytest.mark.parametrize(
    "source",
    ["bkt/a%20b", "/bkt/a%20b", "bkt%2Fa%20b", "%2Fbkt%2Fa%20b", "/bkt/a b", "bkt/a+b", "bkt/a%20b?versionId=null"],
)
def test_copy_sources(caller: Caller, source: str) -> None:
    """A source is decoded once, a plus sign is a space, and it may have a slash in front and a version behind."""
    caller.put("a%20b", BODY)
    assert (200, "") == copy(caller, source)
    assert BODY == read(caller("GET", "/bkt/copy"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("bkt", (400, "InvalidArgument")),
        ("bkt/", (400, "InvalidArgument")),
        ("/", (400, "InvalidArgument")),
        ("", (400, "InvalidArgument")),
        ("bkt/%zz", (400, "InvalidArgument")),
        ("bkt/%ff", (400, "InvalidArgument")),
        ("bkt/%00", (400, "InvalidArgument")),
        ("../bkt", (400, "InvalidBucketName")),
        ("bkt/none", (404, "NoSuchKey")),
        ("none/key", (404, "NoSuchBucket")),
        ("bkt/key?versionId=v1", (404, "NoSuchVersion")),
    ],
)
def test_bad_copy_sources(caller: Caller, source: str, expected: tuple[int, str]) -> None:
    """A source that names no object is refused, and nothing is made."""
    caller.put("key", BODY)
    assert expected == copy(caller, source)
    assert ["key"] == keys(caller)


def test_a_copy_takes_everything_along_or_nothing(caller: Caller) -> None:
    """COPY keeps headers, metadata and checksums; REPLACE takes those of the request; the storage class is never kept."""
    crc = base64_of("crc32", BODY)
    caller.put(
        "key",
        BODY,
        content_type="text/plain",
        x_amz_storage_class="GLACIER",
        **{"x-amz-meta-a": "1", "x-amz-checksum-crc32": crc},
    )
    assert (200, "") == copy(caller, "bkt/key", content_type="ignored/type")
    assert (200, "") == copy(
        caller, "bkt/key", "/bkt/new", x_amz_metadata_directive="REPLACE", content_type="text/html", x_amz_meta_b="2"
    )
    copied, replaced = (
        caller("HEAD", f"/bkt/{key}", headers={"x-amz-checksum-mode": "ENABLED"}).headers for key in ("copy", "new")
    )
    assert ("text/plain", "1", crc) == (copied["content-type"], copied["x-amz-meta-a"], copied["x-amz-checksum-crc32"])
    assert "x-amz-storage-class" not in copied
    assert ("text/html", "2", crc) == (
        replaced["content-type"],
        replaced["x-amz-meta-b"],
        replaced["x-amz-checksum-crc32"],
    )
    assert "x-amz-meta-a" not in replaced


def test_a_copy_onto_itself_has_to_change_something(caller: Caller) -> None:
    """Copying an object onto itself is refused, unless metadata or storage class are replaced."""
    caller.put("key", BODY, x_amz_meta_a="1")
    assert (400, "InvalidRequest") == copy(caller, "bkt/key", "/bkt/key")
    assert (400, "InvalidArgument") == copy(caller, "bkt/key", "/bkt/key", x_amz_metadata_directive="MERGE")
    assert (200, "") == copy(caller, "bkt/key", "/bkt/key", x_amz_storage_class="STANDARD_IA")
    assert "1" == caller("HEAD", "/bkt/key").headers["x-amz-meta-a"]
    assert (200, "") == copy(caller, "bkt/key", "/bkt/key", x_amz_metadata_directive="REPLACE")
    assert "x-amz-meta-a" not in caller("HEAD", "/bkt/key").headers
    assert BODY == read(caller("GET", "/bkt/key"))


@pytest.mark.parametrize(("headers", "status"), [row for row in CONDITIONS if "range" not in row[0]])
def test_conditions_on_the_source_of_a_copy(caller: Caller, headers: dict[str, str], status: int) -> None:
    """The conditions of reads hold for the source, and every one that fails is 412."""
    caller.put("key", BODY)
    fields = {f"x-amz-copy-source-{name}": value for name, value in headers.items()}
    expected = (200, "") if status == 200 else (412, "PreconditionFailed")
    assert expected == copy(caller, "bkt/key", **fields)
    assert (["copy", "key"] if status == 200 else ["key"]) == keys(caller)


def test_conditions_on_the_target_of_a_copy(caller: Caller) -> None:
    """If-None-Match: * and If-Match guard what a copy would replace."""
    caller.put("key", BODY)
    caller.put("copy", b"precious")
    assert (412, "PreconditionFailed") == copy(caller, "bkt/key", if_none_match="*")
    assert (412, "PreconditionFailed") == copy(caller, "bkt/key", if_match=f'"{ETAG}"')
    assert b"precious" == read(caller("GET", "/bkt/copy"))


# --- deletions


def test_deleting_what_is_not_there_is_done_already(caller: Caller) -> None:
    """DELETE is 204 with and without an object; in a bucket that is not there it is 404."""
    caller.put("key", BODY)
    for _ in range(2):
        response = caller("DELETE", "/bkt/key")
        assert (204, b"") == (response.status, read(response))
        assert "content-length" not in response.headers
    assert (404, "NoSuchBucket") == code(caller("DELETE", "/none/key"))


def delete(caller: Caller, body: bytes, **headers: str) -> tuple[int, str] | s3xml.DeleteObjectsResult:
    fields = {"content-md5": b64encode(hashlib.md5(body).digest()).decode()}
    if headers:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
    response = caller("POST", "/bkt", "delete=", body, fields)
    return code(response) if response.status != 200 else s3xml.parse_delete_result(read(response))


def test_many_keys_are_deleted_and_each_is_reported(caller: Caller) -> None:
    """Every row has its result: what was there, what was not, and what cannot be; quiet reports refusals only."""
    for key in ("a", "b", "c"):
        caller.put(key)
    long = "k" * 1025
    rows: list[tuple[str, str | None]] = [("a", None), (long, None), ("none", None), ("b", "null")]
    result = delete(caller, s3xml.render_delete_objects(rows))
    assert isinstance(result, s3xml.DeleteObjectsResult)
    assert [("a", None), ("none", None), ("b", "null")] == [(row.key, row.version_id) for row in result.deleted]
    assert [(long, "KeyTooLongError")] == [(row.key, row.code) for row in result.failures]
    assert ["c"] == keys(caller)
    quiet = delete(caller, s3xml.render_delete_objects([("c", None), (long, None)], quiet=True))
    assert isinstance(quiet, s3xml.DeleteObjectsResult)
    assert ([], [long]) == (quiet.deleted, [row.key for row in quiet.failures])
    assert [] == keys(caller)


def test_hostile_keys_in_a_deletion(caller: Caller) -> None:
    """A key with NUL is refused in its row, `..` and markup are just keys."""
    body = b"<Delete><Object><Key>a&#0;b</Key></Object><Object><Key>../&lt;x&gt;</Key></Object></Delete>"
    caller.put("..%2F%3Cx%3E")
    result = delete(caller, body)
    assert isinstance(result, s3xml.DeleteObjectsResult)
    assert (["../<x>"], ["InvalidArgument"]) == (
        [row.key for row in result.deleted],
        [row.code for row in result.failures],
    )
    assert [] == keys(caller)


BAD_DELETIONS = {
    "no XML": b"keys please",
    "cut off": b"<Delete><Object><Key>key</Key></Object>",
    "another document": b"<Erase><Object><Key>key</Key></Object></Erase>",
    "nothing": b"",
    "no row": b"<Delete></Delete>",
    "a row without a key": b"<Delete><Object></Object></Delete>",
    "1001 rows": b"<Delete>" + b"<Object><Key>key</Key></Object>" * 1001 + b"</Delete>",
    "entities": b'<!DOCTYPE d [<!ENTITY a "key">]><Delete><Object><Key>&a;</Key></Object></Delete>',
}


@pytest.mark.parametrize("body", BAD_DELETIONS.values(), ids=list(BAD_DELETIONS))
def test_a_bad_deletion_deletes_nothing(caller: Caller, body: bytes) -> None:
    """A document that is not a deletion is MalformedXML, whatever in it could be understood."""
    caller.put("key")
    assert (400, "MalformedXML") == delete(caller, body)
    assert ["key"] == keys(caller)


def test_a_deletion_has_to_be_checked(caller: Caller) -> None:
    """DeleteObjects demands Content-MD5 or a checksum, and the right one."""
    caller.put("key")
    body = s3xml.render_delete_objects([("key", None)])
    assert (400, "InvalidRequest") == delete(caller, body, x_id="none")
    assert (400, "BadDigest") == delete(caller, body, content_md5=b64encode(bytes(16)).decode())
    assert (400, "BadDigest") == delete(caller, body, x_amz_checksum_crc32=base64_of("crc32", b"other"))
    assert ["key"] == keys(caller)
    assert isinstance(delete(caller, body, x_amz_checksum_crc32=base64_of("crc32", body)), s3xml.DeleteObjectsResult)
    assert [] == keys(caller)


def test_a_deletion_is_not_endless(caller: Caller) -> None:
    """A document of more than eight megabytes is refused from its length."""
    assert (400, "EntityTooLarge") == delete(caller, b" " * (8 * 1024 * 1024 + 1))


# --- buckets


def test_the_life_of_a_bucket(caller: Caller) -> None:
    """A bucket is made once, found, listed, told its region, kept while it has objects, and deleted."""
    assert 200 == caller("PUT", "/bkt").status
    assert (409, "BucketAlreadyExists") == code(caller("PUT", "/bkt", headers={"x-amz-acl": "public-read"}))
    assert 200 == caller("PUT", "/other-bucket").status
    head = caller("HEAD", "/bkt")
    assert (200, "us-east-1") == (head.status, head.headers["x-amz-bucket-region"])
    assert ["bkt", "other-bucket"] == [row.name for row in s3xml.parse_list_buckets(read(caller("GET", "/"))).buckets]
    assert ["other-bucket"] == [
        row.name for row in s3xml.parse_list_buckets(read(caller("GET", "/", "prefix=oth"))).buckets
    ]
    assert "us-east-1" == s3xml.parse_location(read(caller("GET", "/bkt", "location=")))
    caller.put("key")
    assert (409, "BucketNotEmpty") == code(caller("DELETE", "/bkt"))
    assert 204 == caller("DELETE", "/other-bucket").status
    assert (404, "NoSuchBucket") == code(caller("DELETE", "/other-bucket"))
    assert 404 == caller("HEAD", "/other-bucket").status
    assert (404, "NoSuchBucket") == code(caller("GET", "/other-bucket", "location="))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (200, "")),
        (s3xml.render_create_bucket("us-east-1"), (200, "")),
        (s3xml.render_create_bucket("eu-west-1"), (400, "IllegalLocationConstraintException")),
        (b"<CreateBucket", (400, "MalformedXML")),
        (b"<x>" + b" " * 65536 + b"</x>", (400, "EntityTooLarge")),
    ],
)
def test_where_a_bucket_is_made(caller: Caller, body: bytes, expected: tuple[int, str]) -> None:
    """A bucket is made in the server's region only, and only from a configuration that can be read."""
    response = caller("PUT", "/new-bucket", body=body)
    assert expected == ((200, "") if response.status == 200 else code(response))
    assert expected[0] == (200 if caller("HEAD", "/new-bucket").status == 200 else 400)


class Endless:
    """A body that never ends."""

    def read(self, size: int = -1) -> bytes:
        return b" " * size

    def readinto(self, buffer: memoryview) -> int:
        return len(buffer)

    def close(self) -> None:
        """Nothing to give up."""


def test_an_endless_configuration_is_given_up(caller: Caller) -> None:
    """A document of unknown length is read no further than documents go."""
    headers = sign("PUT", "/new-bucket", payload_hash="UNSIGNED-PAYLOAD") | {"transfer-encoding": "chunked"}
    response = caller.app(Request("PUT", "http://localhost", "/new-bucket", "", headers, Endless()))
    assert (400, "EntityTooLarge") == code(response)


def test_the_clock_of_the_app_is_the_one_it_is_given(caller: Caller) -> None:
    """The date header comes from the app's clock, by which clients correct theirs."""
    told = datetime.strptime(caller("HEAD", "/bkt").headers["date"], "%a, %d %b %Y %H:%M:%S GMT")
    assert abs(time.time() - told.replace(tzinfo=UTC).timestamp()) < 60
