"""Versions over HTTP: their ids on every operation, delete markers, "null" versions and listings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from s3func.message import Response
from s3func.models import ListPage, ObjectEntry
from s3func.wire import s3xml, s3xml_config, s3xml_multipart
from s3func.wire.encoding import encode_query
from tests.server.forge import Caller, base64_of, code, keys, read
from tests.server.parts import begin, complete, put_part, upload

VERSION = "x-amz-version-id"
MARKER = "x-amz-delete-marker"


def configure(caller: Caller, status: str, bucket: str = "bkt") -> Response:
    """PutBucketVersioning."""
    body = s3xml_config.render_versioning(s3xml_config.Versioning(status))
    return caller("PUT", f"/{bucket}", "versioning=", body)


@pytest.fixture
def versioned(caller: Caller) -> Caller:
    """A caller whose bucket `bkt` keeps versions."""
    assert 200 == configure(caller, "Enabled").status
    return caller


def put(caller: Caller, key: str, body: bytes, **headers: str) -> str:
    """PutObject; the id of the version."""
    return caller.put(key, body, **headers).headers[VERSION]


def delete(caller: Caller, key: str, version_id: str = "", **headers: str) -> tuple[int, str | None, str | None]:
    """DeleteObject: the status, the version and whether a delete marker was made or removed."""
    query = f"versionId={version_id}" if version_id else ""
    response = caller("DELETE", f"/bkt/{key}", query, headers={n.replace("_", "-"): v for n, v in headers.items()})
    return response.status, response.headers.get(VERSION), response.headers.get(MARKER)


def get(caller: Caller, key: str, version_id: str = "") -> bytes:
    response = caller("GET", f"/bkt/{key}", f"versionId={version_id}" if version_id else "")
    assert 200 == response.status, read(response)
    return read(response)


def versions(caller: Caller, **parameters: Any) -> ListPage:
    query = encode_query(
        [("versions", ""), *((name.replace("_", "-"), str(text)) for name, text in parameters.items())]
    )
    response = caller("GET", "/bkt", query)
    assert 200 == response.status, read(response)
    return s3xml.parse_list_object_versions(read(response))


def rows(entries: Sequence[ObjectEntry]) -> list[tuple[str, str | None, bool | None, bool]]:
    return [(entry.key, entry.version_id, entry.is_latest, entry.delete_marker) for entry in entries]


def delete_many(caller: Caller, objects: list[tuple[str, str | None]]) -> s3xml.DeleteObjectsResult:
    body = s3xml.render_delete_objects(objects)
    response = caller("POST", "/bkt", "delete=", body, {"x-amz-checksum-crc32": base64_of("crc32", body)})
    assert 200 == response.status, read(response)
    return s3xml.parse_delete_result(read(response))


# --- the bucket's configuration


def test_a_bucket_says_whether_it_keeps_versions(caller: Caller) -> None:
    """At first it has no status at all; then it has the one that was set last, which is never nothing again."""
    statuses = []
    for status in ("", "Suspended", "Enabled", "Enabled", "Suspended"):
        if status:
            assert 200 == configure(caller, status).status
        answer = read(caller("GET", "/bkt", "versioning="))
        statuses.append(s3xml_config.parse_versioning(answer).status or "")
    assert ["", "Suspended", "Enabled", "Enabled", "Suspended"] == statuses
    for response in (configure(caller, "Enabled", "none"), caller("GET", "/none", "versioning=")):
        assert (404, "NoSuchBucket") == code(response)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("", (400, "MalformedXML")),
        ("<VersioningConfiguration/>", (400, "IllegalVersioningConfigurationException")),
        ("<VersioningConfiguration><Status>On</Status></VersioningConfiguration>", (400, "MalformedXML")),
        ("<VersioningConfiguration><Status/></VersioningConfiguration>", (400, "MalformedXML")),
        (
            "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>",
            (501, "NotImplemented"),
        ),
    ],
)
def test_configurations_that_are_none(caller: Caller, document: str, expected: tuple[int, str]) -> None:
    """What cannot be understood, or asks for MFA, changes nothing."""
    assert expected == code(caller("PUT", "/bkt", "versioning=", document.encode()))
    assert not caller.app.backend.get_bucket("bkt").versioning


# --- reading and writing


def test_every_write_makes_a_version(versioned: Caller) -> None:
    """PutObject, CopyObject and CompleteMultipartUpload answer with the id of what they made, and all of it stays."""
    first = put(versioned, "key", b"first")
    second = put(versioned, "key", b"second")
    copied = versioned("PUT", "/bkt/key", headers={"x-amz-copy-source": f"bkt/key?versionId={first}"})
    third = copied.headers[VERSION]
    assert (200, first) == (copied.status, copied.headers["x-amz-copy-source-version-id"])
    fourth = upload(versioned, "key", [b"fourth"]).headers[VERSION]
    assert 4 == len({first, second, third, fourth})
    found = [get(versioned, "key", version) for version in (first, second, third, fourth)]
    assert [b"first", b"second", b"first", b"fourth"] == found
    assert b"fourth" == get(versioned, "key")
    assert fourth == versioned("HEAD", "/bkt/key").headers[VERSION]
    assert second == versioned("HEAD", "/bkt/key", f"versionId={second}").headers[VERSION]
    assert "6" == versioned("HEAD", "/bkt/key", f"versionId={second}").headers["content-length"]
    assert ["key"] == keys(versioned)


def test_a_bucket_without_versions_has_no_ids(caller: Caller) -> None:
    """No answer mentions a version, and the only version that can be named is "null"."""
    assert VERSION not in caller.put("key", b"body").headers
    assert VERSION not in caller("GET", "/bkt/key").headers
    assert b"body" == get(caller, "key", "null")
    assert (404, "NoSuchVersion") == code(caller("GET", "/bkt/key", "versionId=other"))
    assert (204, None, None) == delete(caller, "key")
    assert MARKER not in caller("GET", "/bkt/key").headers
    assert [] == versions(caller).entries


@pytest.mark.parametrize("version_id", ["other", "null", "0" * 32, "%00", "%F0%9F%98%80", "x" * 2000])
def test_versions_that_are_not_there(versioned: Caller, version_id: str) -> None:
    """A version that never was, however it is written, is NoSuchVersion to readers and nothing to deleters."""
    version = put(versioned, "key", b"body")
    assert (404, "NoSuchVersion") == code(versioned("GET", "/bkt/key", f"versionId={version_id}"))
    assert 404 == versioned("HEAD", "/bkt/key", f"versionId={version_id}").status
    copy = {"x-amz-copy-source": f"bkt/key?versionId={version_id}"}
    assert (404, "NoSuchVersion") == code(versioned("PUT", "/bkt/copy", headers=copy))
    assert 204 == versioned("DELETE", "/bkt/key", f"versionId={version_id}").status
    assert [version] == [entry.version_id for entry in versions(versioned).entries]
    assert (400, "InvalidArgument") == code(versioned("GET", "/bkt/key", "versionId="))


def test_conditions_look_at_the_right_version(versioned: Caller) -> None:
    """A read's conditions are about the version that is read, a write's about the current one."""
    first = put(versioned, "key", b"first")
    second = put(versioned, "key", b"second")
    etag = versioned("HEAD", "/bkt/key", f"versionId={first}").headers["etag"]
    assert 200 == versioned("GET", "/bkt/key", f"versionId={first}", headers={"if-match": etag}).status
    refused = versioned("GET", "/bkt/key", f"versionId={second}", headers={"if-match": etag})
    assert (412, "PreconditionFailed") == code(refused)
    assert (412, "PreconditionFailed") == code(versioned("PUT", "/bkt/key", body=b"", headers={"if-match": etag}))
    assert (412, "PreconditionFailed") == code(versioned("PUT", "/bkt/key", body=b"", headers={"if-none-match": "*"}))
    assert (204, None, "true")[::2] == delete(versioned, "key")[::2]
    assert 200 == versioned("PUT", "/bkt/key", body=b"third", headers={"if-none-match": "*"}).status


def test_an_old_version_is_brought_back(versioned: Caller) -> None:
    """A version copied onto its own key becomes the current one again, without another change being asked for."""
    first = put(versioned, "key", b"first", x_amz_meta_a="1")
    put(versioned, "key", b"second")
    response = versioned("PUT", "/bkt/key", headers={"x-amz-copy-source": f"bkt/key?versionId={first}"})
    assert 200 == response.status, read(response)
    assert (b"first", "1") == (get(versioned, "key"), versioned("HEAD", "/bkt/key").headers["x-amz-meta-a"])
    assert 3 == len(versions(versioned).entries)


def test_parts_are_copied_from_a_version(versioned: Caller) -> None:
    """UploadPartCopy takes the version that is named, and says which one it took."""
    first = put(versioned, "source", b"first")
    second = put(versioned, "source", b"second")
    upload_id = begin(versioned, "key")
    for number, source, expected in ((1, f"bkt/source?versionId={first}", first), (2, "bkt/source", second)):
        query = f"partNumber={number}&uploadId={upload_id}"
        response = versioned("PUT", "/bkt/key", query, headers={"x-amz-copy-source": source})
        assert expected == response.headers["x-amz-copy-source-version-id"]
    etag = s3xml_multipart.parse_copy_part(read(response)).etag
    part = s3xml_multipart.CompletedPart(2, etag)
    assert 200 == complete(versioned, "key", upload_id, [part]).status
    assert b"second" == get(versioned, "key")


def test_completing_again_makes_no_second_version(versioned: Caller) -> None:
    """A completion that is repeated answers with the version that it made the first time."""
    upload_id = begin(versioned, "key")
    part = put_part(versioned, "key", upload_id, 1, b"body")
    first, again = (complete(versioned, "key", upload_id, [part]) for _ in range(2))
    assert first.headers[VERSION] == again.headers[VERSION]
    assert 1 == len(versions(versioned).entries)


def test_attributes_of_a_version(versioned: Caller) -> None:
    """GetObjectAttributes tells of the version that is named, and of no delete marker."""
    first = put(versioned, "key", b"first")
    put(versioned, "key", b"other one")
    headers = {"x-amz-object-attributes": "ObjectSize"}
    response = versioned("GET", "/bkt/key", f"attributes=&versionId={first}", headers=headers)
    assert (200, first) == (response.status, response.headers[VERSION])
    assert 5 == s3xml_multipart.parse_object_attributes(read(response)).size
    _, marker, _ = delete(versioned, "key")
    assert (404, "NoSuchKey") == code(versioned("GET", "/bkt/key", "attributes=", headers=headers))
    refused = versioned("GET", "/bkt/key", f"attributes=&versionId={marker}", headers=headers)
    assert (405, "MethodNotAllowed") == code(refused)


# --- deleting


def test_a_delete_marker_hides_and_keeps(versioned: Caller) -> None:
    """DELETE makes a marker; readers get 404 with its id, and 405 if they name it; its removal undoes the deletion."""
    version = put(versioned, "key", b"body")
    status, marker, made = delete(versioned, "key")
    assert (204, "true") == (status, made)
    assert marker is not None
    for method in ("GET", "HEAD"):
        hidden = versioned(method, "/bkt/key")
        assert (404, marker, "true") == (hidden.status, hidden.headers[VERSION], hidden.headers[MARKER])
        named = versioned(method, "/bkt/key", f"versionId={marker}")
        assert (405, "true", "DELETE") == (named.status, named.headers[MARKER], named.headers["allow"])
        assert "last-modified" in named.headers
    assert (404, "NoSuchKey") == code(versioned("GET", "/bkt/key"))
    copy = {"x-amz-copy-source": "bkt/key"}
    assert (404, "NoSuchKey") == code(versioned("PUT", "/bkt/copy", headers=copy))
    assert b"body" == get(versioned, "key", version)
    assert [] == keys(versioned)
    assert (409, "BucketNotEmpty") == code(versioned("DELETE", "/bkt"))
    assert (204, marker, "true") == delete(versioned, "key", marker)
    assert b"body" == get(versioned, "key")
    assert (204, version, None) == delete(versioned, "key", version)
    assert 204 == versioned("DELETE", "/bkt").status


def test_a_marker_is_made_also_where_nothing_is(versioned: Caller) -> None:
    """Each DELETE without a version makes one more marker, and the newest of them is the current version."""
    markers = [delete(versioned, "none")[1] for _ in range(3)]
    assert 3 == len(set(markers))
    expected = [("none", marker, marker == markers[-1], True) for marker in markers[::-1]]
    assert expected == rows(versions(versioned).entries)


def test_deleting_many_versions(versioned: Caller) -> None:
    """Each row of DeleteObjects is one version, or a marker that is made, and says which marker it was."""
    first, second = put(versioned, "a", b"1"), put(versioned, "a", b"2")
    put(versioned, "b", b"3")
    result = delete_many(versioned, [("a", first), ("a", "other"), ("b", None), ("none", None)])
    assert [] == result.failures
    gone, not_there, hidden, nothing = result.deleted
    assert (("a", first, False), ("a", "other", False)) == (gone[:3], not_there[:3])
    assert (("b", None, True), ("none", None, True)) == (hidden[:3], nothing[:3])
    marker = hidden.delete_marker_version_id
    assert ("b", marker, True, marker) == delete_many(versioned, [("b", marker)]).deleted[0]
    assert b"3" == get(versioned, "b")
    assert b"2" == get(versioned, "a", second)
    everything = [(entry.key, entry.version_id) for entry in versions(versioned).entries]
    assert [] == delete_many(versioned, everything).failures
    assert [] == versions(versioned).entries


def test_conditional_deletions_of_many(versioned: Caller) -> None:
    """A row whose condition does not hold is an error of that row alone."""
    etag = versioned.put("a", b"1").headers["etag"]
    put(versioned, "b", b"22")
    put(versioned, "c", b"333")
    body = (
        "<Delete>"
        f"<Object><Key>a</Key><ETag>{etag.strip(chr(34))}</ETag></Object>"
        "<Object><Key>b</Key><ETag>other</ETag></Object>"
        "<Object><Key>c</Key><Size>4</Size></Object>"
        "<Object><Key>none</Key><ETag>other</ETag></Object>"
        "<Object><Key>none</Key><LastModifiedTime>Thu, 01 Jan 2015 00:00:00 GMT</LastModifiedTime></Object>"
        "</Delete>"
    ).encode()
    response = versioned("POST", "/bkt", "delete=", body, {"x-amz-checksum-crc32": base64_of("crc32", body)})
    result = s3xml.parse_delete_result(read(response))
    assert ["a", "none"] == [row.key for row in result.deleted]
    assert [("b", "PreconditionFailed"), ("c", "PreconditionFailed"), ("none", "NoSuchKey")] == [
        (row.key, row.code) for row in result.failures
    ]
    assert ["b", "c"] == keys(versioned)


def test_conditional_deletions_of_versions_and_markers(versioned: Caller) -> None:
    """With a version the condition is about that one; a marker has no ETag, size or time that could match."""
    version = put(versioned, "key", b"first")
    etag = versioned("HEAD", "/bkt/key").headers["etag"]
    put(versioned, "key", b"second")
    assert (412, None, None) == delete(versioned, "key", version, if_match='"other"')
    assert (412, None, None) == delete(versioned, "key", if_match=etag)
    assert (204, version, None) == delete(versioned, "key", version, if_match=etag)
    assert (204, version, None) == delete(versioned, "key", version, if_match=etag), "it is gone already"
    status, marker, _ = delete(versioned, "key")
    assert 204 == status
    assert 404 == delete(versioned, "key", if_match="*")[0]
    for condition in (
        {"x_amz_if_match_size": "0"},
        {"x_amz_if_match_last_modified_time": "Thu, 01 Jan 2015 00:00:00 GMT"},
    ):
        assert 412 == delete(versioned, "key", **condition)[0]
    assert 412 == delete(versioned, "key", marker or "", if_match="*")[0]
    assert (204, marker, "true") == delete(versioned, "key", marker or "")
    assert b"second" == get(versioned, "key")


# --- "null" versions


def test_what_was_there_before_is_the_null_version(caller: Caller) -> None:
    """An object from before stays as the version "null" when it is overwritten or deleted."""
    caller.put("key", b"before")
    assert 200 == configure(caller, "Enabled").status
    assert "null" == caller("HEAD", "/bkt/key").headers[VERSION]
    version = put(caller, "key", b"after")
    assert (b"before", b"after") == (get(caller, "key", "null"), get(caller, "key"))
    assert [("key", version, True, False), ("key", "null", False, False)] == rows(versions(caller).entries)
    assert (204, version, None) == delete(caller, "key", version)
    assert b"before" == get(caller, "key")


def test_a_suspended_bucket_keeps_what_it_has(versioned: Caller) -> None:
    """Writes replace the "null" version only, without naming it, and deletions leave a "null" marker."""
    version = put(versioned, "key", b"kept")
    assert 200 == configure(versioned, "Suspended").status
    for body in (b"one", b"two"):
        assert VERSION not in versioned.put("key", body).headers
        assert "null" == versioned("HEAD", "/bkt/key").headers[VERSION]
    copied = versioned("PUT", "/bkt/copy", headers={"x-amz-copy-source": "bkt/key"})
    assert VERSION not in copied.headers
    assert VERSION not in upload(versioned, "parts", [b"x"]).headers
    assert [("key", "null", True, False), ("key", version, False, False)] == rows(
        versions(versioned, prefix="key").entries
    )
    assert (204, "null", "true") == delete(versioned, "key")
    assert (204, "null", "true") == delete(versioned, "key")
    assert [("key", "null", True, True), ("key", version, False, False)] == rows(
        versions(versioned, prefix="key").entries
    )
    assert (404, "NoSuchKey") == code(versioned("GET", "/bkt/key"))
    assert (204, "null", "true") == delete(versioned, "key", "null")
    assert b"kept" == get(versioned, "key")


# --- listings


def test_pages_of_versions(versioned: Caller) -> None:
    """Pages of every size, with and without folding, are together the whole history: newest first within a key."""
    history: dict[str, list[str]] = {}
    for key in ("a", "b/1", "a", "b/2", "a", "c d", "b/1"):
        history.setdefault(key, []).insert(0, put(versioned, key.replace(" ", "%20"), b"x"))
    expected = [(key, version) for key in sorted(history) for version in history[key]]
    for size in (1, 2, 3, 1000):
        found: list[tuple[str, str | None]] = []
        place: dict[str, str] = {}
        while True:
            page = versions(versioned, max_keys=size, encoding_type="url", **place)
            found += [(entry.key, entry.version_id) for entry in page.entries]
            if not page.is_truncated:
                break
            place = {"key_marker": page.next_token or "", "version_id_marker": page.next_version_id or ""}
        assert expected == found, size
    folded = versions(versioned, delimiter="/", max_keys=4)
    assert (["b/"], ["a", "a", "a"], True) == (
        folded.common_prefixes,
        [entry.key for entry in folded.entries],
        folded.is_truncated,
    )
    rest = versions(versioned, delimiter="/", key_marker=folded.next_token or "")
    assert (["c d"], []) == ([entry.key for entry in rest.entries], rest.common_prefixes)
    assert [True, False, False] == [entry.is_latest for entry in versions(versioned, prefix="a").entries]
    assert all(entry.owner == "s3func" and entry.last_modified for entry in versions(versioned).entries)
    for query in (
        "version-id-marker=x&versions=",
        "key-marker=a&version-id-marker=x&versions=",
        "max-keys=x&versions=",
    ):
        assert (400, "InvalidArgument") == code(versioned("GET", "/bkt", query))


def test_boto3_keeps_versions(boto: Any) -> None:
    """boto3 switches versioning on, reads old versions, lists all in pages and undoes a deletion."""
    boto.put_bucket_versioning(Bucket="bkt", VersioningConfiguration={"Status": "Enabled"})
    assert "Enabled" == boto.get_bucket_versioning(Bucket="bkt")["Status"]
    ids = [boto.put_object(Bucket="bkt", Key="key", Body=body)["VersionId"] for body in (b"1", b"2", b"3")]
    assert b"2" == boto.get_object(Bucket="bkt", Key="key", VersionId=ids[1])["Body"].read()
    marker = boto.delete_object(Bucket="bkt", Key="key")
    assert marker["DeleteMarker"]
    with pytest.raises(boto.exceptions.NoSuchKey):
        boto.get_object(Bucket="bkt", Key="key")
    pages = list(boto.get_paginator("list_object_versions").paginate(Bucket="bkt", PaginationConfig={"PageSize": 2}))
    assert ids[::-1] == [row["VersionId"] for page in pages for row in page.get("Versions", [])]
    assert [marker["VersionId"]] == [row["VersionId"] for page in pages for row in page.get("DeleteMarkers", [])]
    boto.delete_object(Bucket="bkt", Key="key", VersionId=marker["VersionId"])
    assert b"3" == boto.get_object(Bucket="bkt", Key="key")["Body"].read()
    modified = boto.head_object(Bucket="bkt", Key="key")["LastModified"]
    objects = [{"Key": "key", "VersionId": ids[2], "LastModifiedTime": modified, "Size": 1}]
    assert "Errors" not in boto.delete_objects(Bucket="bkt", Delete={"Objects": objects})
    assert b"2" == boto.get_object(Bucket="bkt", Key="key")["Body"].read()
