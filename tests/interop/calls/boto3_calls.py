"""What boto3 is asked to do with our server; each function is one process, and an assertion is its exit status."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

BUCKET = os.environ["S3_BUCKET"]
LARGE = 20 * 1024 * 1024
s3: Any = boto3.client("s3")
# URLs and forms are signed with Signature Version 2 unless boto3 is told otherwise, requests never.
signers: dict[str, Any] = {
    version: boto3.client("s3", config=Config(signature_version=version)) for version in ("s3", "s3v4")
}


def body_of(name: str, size: int = 1000) -> bytes:
    """Bytes that only this name has."""
    return hashlib.shake_128(name.encode()).digest(size)


def code_of(call: Callable[[], object]) -> str:
    """The error code of a call that has to be refused."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    raise AssertionError("the call was not refused")


def fetch(method: str, url: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """A request by a client that knows no keys."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, named, method=method), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def transfers() -> None:
    """20 MiB up in parts and down in ranges are the same 20 MiB."""
    body = body_of("large", LARGE)
    Path("up").write_bytes(body)
    s3.upload_file("up", BUCKET, "dir/large file", ExtraArgs={"Metadata": {"colour": "red"}, "ContentType": "x/y"})
    head = s3.head_object(Bucket=BUCKET, Key="dir/large file")
    assert (LARGE, "x/y", {"colour": "red"}) == (head["ContentLength"], head["ContentType"], head["Metadata"])
    parts = [hashlib.md5(body[start : start + (8 << 20)]).digest() for start in range(0, LARGE, 8 << 20)]
    assert f'"{hashlib.md5(b"".join(parts)).hexdigest()}-3"' == head["ETag"]
    s3.download_file(BUCKET, "dir/large file", "down")
    assert body == Path("down").read_bytes()
    assert body[8 << 20 : 16 << 20] == s3.get_object(Bucket=BUCKET, Key="dir/large file", PartNumber=2)["Body"].read()
    s3.copy({"Bucket": BUCKET, "Key": "dir/large file"}, BUCKET, "copy")
    assert body == s3.get_object(Bucket=BUCKET, Key="copy")["Body"].read()


def ranges() -> None:
    """A range from the front, the middle and the end is 206 with exactly its bytes; one behind the end is 416."""
    body = body_of("ranges", 100_000)
    s3.put_object(Bucket=BUCKET, Key="key", Body=body)
    for asked, expected in {
        "bytes=0-0": body[:1],
        "bytes=500-99999": body[500:],
        "bytes=99990-200000": body[99990:],
        "bytes=-7": body[-7:],
        "bytes=4096-": body[4096:],
    }.items():
        answer = s3.get_object(Bucket=BUCKET, Key="key", Range=asked)
        assert 206 == answer["ResponseMetadata"]["HTTPStatusCode"], asked
        assert expected == answer["Body"].read(), asked
    assert code_of(lambda: s3.get_object(Bucket=BUCKET, Key="key", Range="bytes=100000-")) == "InvalidRange"


def presigned_urls() -> None:
    """Presigned PUT and GET work without keys, for one method and one key, and not with a changed signature."""
    for version, signer in signers.items():
        key = f"by url/é +%&?# {version}"
        url = signer.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": key, "ContentType": "x/y"})
        assert ("X-Amz-Signature=" in url) == (version == "s3v4")
        assert (200, b"") == fetch("PUT", url, b"by url", content_type="x/y")
        assert 403 == fetch("PUT", url, b"by url", content_type="x/z")[0]
        assert b"by url" == s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        url = signer.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key, "ResponseContentType": "a/b"})
        assert (200, b"by url") == fetch("GET", url)
        name = "X-Amz-Signature=" if version == "s3v4" else "&Signature="
        assert 403 == fetch("GET", url.replace(name, f"{name}0"))[0]
        assert 403 == fetch("DELETE", url)[0]


def presigned_post() -> None:
    """A form with a policy stores a file under the name that the policy allows, and nothing else."""
    given: dict[str, Any] = {
        "Fields": {"x-amz-meta-colour": "red", "success_action_status": "201"},
        "Conditions": [
            ["content-length-range", 1, 100],
            {"x-amz-meta-colour": "red"},
            {"success_action_status": "201"},
        ],
    }

    def post(form: dict[str, Any], body: bytes, **changed: str) -> int:
        fields = form["fields"] | {name.replace("_", "-"): value for name, value in changed.items()}
        mark = "0123456789abcdef"
        parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
        file = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\n\r\n'
        data = "".join([*parts, file]).encode() + body + f"\r\n--{mark}--\r\n".encode()
        return fetch("POST", form["url"], data, content_type=f"multipart/form-data; boundary={mark}")[0]

    for version, signer in signers.items():
        form = signer.generate_presigned_post(BUCKET, f"{version}/${{filename}}", **given)
        signature = "x-amz-signature" if version == "s3v4" else "signature"
        assert signature in form["fields"]
        assert 201 == post(form, b"\r\nby form\r\n")
        answer = s3.get_object(Bucket=BUCKET, Key=f"{version}/f.bin")
        assert (b"\r\nby form\r\n", {"colour": "red"}) == (answer["Body"].read(), answer["Metadata"])
        assert 400 == post(form, b"x" * 101)
        assert 403 == post(form, b"x", key="elsewhere")
        assert 403 == post(form, b"x", x_amz_meta_colour="blue")
        assert 403 == post(form, b"x", x_amz_meta_other="not in the policy")
        assert 403 == post(form, b"x", **{signature: "0" * 64})
    assert ["s3/f.bin", "s3v4/f.bin"] == [row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]


def pages() -> None:
    """Both listings have all of 1,005 keys over their pages, in order, and fold them at a delimiter."""
    keys = sorted([f"data/{n % 5}/{n:04d} ü&<+%" for n in range(1000)] + [f"top {n}" for n in range(5)], key=str.encode)
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    for operation in ("list_objects", "list_objects_v2"):
        found = [page["Contents"] for page in s3.get_paginator(operation).paginate(Bucket=BUCKET)]
        assert [1000, 5] == [len(rows) for rows in found], operation
        assert keys == [row["Key"] for rows in found for row in rows], operation
        folded = list(
            s3.get_paginator(operation).paginate(Bucket=BUCKET, Delimiter="/", PaginationConfig={"PageSize": 2})
        )
        assert ["data/"] == [row["Prefix"] for page in folded for row in page.get("CommonPrefixes", [])], operation
        assert [f"top {n}" for n in range(5)] == [row["Key"] for page in folded for row in page.get("Contents", [])]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys[:1000]]})
    assert keys[:1000] == [row["Key"] for row in answer["Deleted"]]
    assert keys[1000:] == [row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]


def versions() -> None:
    """What is overwritten and deleted in a bucket with versions is kept, listed, read and brought back."""
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=BUCKET, Key="key", Body=b"%d" % n)["VersionId"] for n in range(3)]
    assert 3 == len(set(ids))
    marker = s3.delete_object(Bucket=BUCKET, Key="key")
    assert marker["DeleteMarker"]
    assert "NoSuchKey" == code_of(lambda: s3.get_object(Bucket=BUCKET, Key="key"))
    assert b"1" == s3.get_object(Bucket=BUCKET, Key="key", VersionId=ids[1])["Body"].read()
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 2}))
    assert ids[::-1] == [row["VersionId"] for page in pages for row in page.get("Versions", [])]
    assert [marker["VersionId"]] == [row["VersionId"] for page in pages for row in page.get("DeleteMarkers", [])]
    s3.delete_object(Bucket=BUCKET, Key="key", VersionId=marker["VersionId"])
    assert b"2" == s3.get_object(Bucket=BUCKET, Key="key")["Body"].read()
    rows = [{"Key": "key", "VersionId": version} for version in ids]
    assert 3 == len(s3.delete_objects(Bucket=BUCKET, Delete={"Objects": rows})["Deleted"])
    assert "Versions" not in s3.list_object_versions(Bucket=BUCKET)


def conditions() -> None:
    """If-None-Match and If-Match decide a put, a get and the completion of an upload."""
    etag = s3.put_object(Bucket=BUCKET, Key="key", Body=b"1", IfNoneMatch="*")["ETag"]
    assert "PreconditionFailed" == code_of(lambda: s3.put_object(Bucket=BUCKET, Key="key", Body=b"2", IfNoneMatch="*"))
    assert "304" == code_of(lambda: s3.get_object(Bucket=BUCKET, Key="key", IfNoneMatch=etag))
    s3.put_object(Bucket=BUCKET, Key="key", Body=b"3", IfMatch=etag)
    upload = {
        "Bucket": BUCKET,
        "Key": "key",
        "UploadId": s3.create_multipart_upload(Bucket=BUCKET, Key="key")["UploadId"],
    }
    part = {"PartNumber": 1, "ETag": s3.upload_part(**upload, PartNumber=1, Body=b"4")["ETag"]}
    end = {**upload, "MultipartUpload": {"Parts": [part]}}
    assert "PreconditionFailed" == code_of(lambda: s3.complete_multipart_upload(**end, IfNoneMatch="*"))
    assert b"3" == s3.get_object(Bucket=BUCKET, Key="key")["Body"].read()
    s3.complete_multipart_upload(**end)
    assert b"4" == s3.get_object(Bucket=BUCKET, Key="key")["Body"].read()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
