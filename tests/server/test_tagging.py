from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import s3func.testing
from tests.server.people import ALT, MAIN, People, client, refused


@pytest.fixture
def people() -> Iterator[People]:
    with s3func.testing.server(users=[MAIN, ALT]) as server:
        found = People(*[client(server.endpoint_url, user) for user in (MAIN, ALT, None)])
        found.main.create_bucket(Bucket="bkt")
        yield found
        for each in found:
            each.close()


def tagging(**tags: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def got(boto: Any, **arguments: Any) -> Any:
    """An answer to GetObject whose body was read: an unread one keeps its connection, and nobody closes it."""
    answer = boto.get_object(**arguments)
    answer["Body"].read()
    return answer


def tags_of(boto: Any, key: str, **arguments: Any) -> dict[str, str]:
    return {row["Key"]: row["Value"] for row in boto.get_object_tagging(Bucket="bkt", Key=key, **arguments)["TagSet"]}


def test_the_tags_of_an_object(people: People) -> None:
    """Tags are replaced as a whole, counted, taken away, and change neither ETag nor time of the object."""
    boto = people.main
    boto.put_object(Bucket="bkt", Key="key", Body=b"body")
    before = boto.head_object(Bucket="bkt", Key="key")
    assert "TagCount" not in got(boto, Bucket="bkt", Key="key")
    assert {} == tags_of(boto, "key")
    boto.put_object_tagging(Bucket="bkt", Key="key", Tagging=tagging(a="1", b="x"))
    boto.put_object_tagging(Bucket="bkt", Key="key", Tagging=tagging(b="ä ü/=+", c=""))
    assert {"b": "ä ü/=+", "c": ""} == tags_of(boto, "key")
    after = got(boto, Bucket="bkt", Key="key")
    assert 2 == after["TagCount"]
    assert (before["ETag"], before["LastModified"]) == (after["ETag"], after["LastModified"])
    boto.delete_object_tagging(Bucket="bkt", Key="key")
    assert {} == tags_of(boto, "key")
    refused(boto.get_object_tagging, "NoSuchKey", Bucket="bkt", Key="none")
    refused(boto.put_object_tagging, "NoSuchKey", Bucket="bkt", Key="none", Tagging=tagging(a="1"))


def test_tags_that_come_with_the_object(people: People) -> None:
    """x-amz-tagging works on a put and on an upload in parts, and an overwriting put has its own tags only."""
    boto = people.main
    boto.put_object(Bucket="bkt", Key="key", Tagging="a=1&b=x%20y&c")
    assert {"a": "1", "b": "x y", "c": ""} == tags_of(boto, "key")
    assert 3 == got(boto, Bucket="bkt", Key="key")["TagCount"]
    boto.put_object(Bucket="bkt", Key="key")
    assert {} == tags_of(boto, "key")
    upload = boto.create_multipart_upload(Bucket="bkt", Key="parts", Tagging="a=1")["UploadId"]
    part = boto.upload_part(Bucket="bkt", Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    boto.complete_multipart_upload(
        Bucket="bkt",
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    assert {"a": "1"} == tags_of(boto, "parts")


def test_tags_of_copies(people: People) -> None:
    """A copy has the tags of its source, or with REPLACE those of the request."""
    boto = people.main
    boto.put_object(Bucket="bkt", Key="key", Tagging="a=1")
    boto.copy_object(Bucket="bkt", Key="copy", CopySource="bkt/key")
    assert {"a": "1"} == tags_of(boto, "copy")
    boto.copy_object(Bucket="bkt", Key="copy", CopySource="bkt/key", MetadataDirective="REPLACE")
    assert {"a": "1"} == tags_of(boto, "copy")
    boto.copy_object(Bucket="bkt", Key="copy", CopySource="bkt/key", Tagging="b=2", TaggingDirective="REPLACE")
    assert {"b": "2"} == tags_of(boto, "copy")
    boto.copy_object(Bucket="bkt", Key="copy", CopySource="bkt/key", TaggingDirective="REPLACE")
    assert {} == tags_of(boto, "copy")
    refused(boto.copy_object, "InvalidArgument", Bucket="bkt", Key="c", CopySource="bkt/key", TaggingDirective="KEEP")


LIMITS = {
    "eleven": {f"k{number}": "v" for number in range(11)},
    "a long key": {"k" * 129: "v"},
    "a long value": {"k": "v" * 257},
    "a reserved key": {"aws:k": "v"},
    "an odd character": {"k": "<>"},
}


@pytest.mark.parametrize("tags", LIMITS.values(), ids=LIMITS)
def test_limits(people: People, tags: dict[str, str]) -> None:
    """More than ten tags, long ones and odd ones are InvalidTag, and the object keeps those that it has."""
    people.main.put_object(Bucket="bkt", Key="key", Tagging="a=1")
    refused(people.main.put_object_tagging, "InvalidTag", Bucket="bkt", Key="key", Tagging=tagging(**tags))
    assert {"a": "1"} == tags_of(people.main, "key")


def test_versions_have_tags_of_their_own(people: People) -> None:
    """Tagging one version leaves the others."""
    boto = people.main
    boto.put_bucket_versioning(Bucket="bkt", VersioningConfiguration={"Status": "Enabled"})
    first = boto.put_object(Bucket="bkt", Key="key", Tagging="a=1")["VersionId"]
    boto.put_object(Bucket="bkt", Key="key")
    assert {} == tags_of(boto, "key")
    answer = boto.put_object_tagging(Bucket="bkt", Key="key", VersionId=first, Tagging=tagging(b="2"))
    assert first == answer["VersionId"]
    assert {"b": "2"} == tags_of(boto, "key", VersionId=first)
    assert {} == tags_of(boto, "key")


def test_the_tags_of_a_bucket(people: People) -> None:
    """A bucket has up to fifty tags, and NoSuchTagSet before and after."""
    boto = people.main
    refused(boto.get_bucket_tagging, "NoSuchTagSet", Bucket="bkt")
    tags = {f"k{number}": "v" for number in range(50)}
    boto.put_bucket_tagging(Bucket="bkt", Tagging=tagging(**tags))
    assert tags == {row["Key"]: row["Value"] for row in boto.get_bucket_tagging(Bucket="bkt")["TagSet"]}
    refused(boto.put_bucket_tagging, "InvalidTag", Bucket="bkt", Tagging=tagging(**tags, one_more="v"))
    boto.delete_bucket_tagging(Bucket="bkt")
    refused(boto.get_bucket_tagging, "NoSuchTagSet", Bucket="bkt")


def test_tags_are_the_owners(people: People) -> None:
    """Others see and change tags only where a policy lets them, which may depend on the tags that are there."""
    people.main.put_object(Bucket="bkt", Key="key", Tagging="stage=test")
    people.main.put_object(Bucket="bkt", Key="live", Tagging="stage=live")
    for boto in (people.alt, people.nobody):
        refused(boto.get_object_tagging, Bucket="bkt", Key="key")
        refused(boto.put_object_tagging, Bucket="bkt", Key="key", Tagging=tagging(a="1"))
        refused(boto.delete_object_tagging, Bucket="bkt", Key="key")
        refused(boto.get_bucket_tagging, Bucket="bkt")
        refused(boto.put_bucket_tagging, Bucket="bkt", Tagging=tagging(a="1"))
    people.main.put_bucket_policy(
        Bucket="bkt",
        Policy='{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "alt"},'
        '"Action": ["s3:GetObjectTagging", "s3:PutObjectTagging"], "Resource": "arn:aws:s3:::bkt/*",'
        '"Condition": {"StringEquals": {"s3:ExistingObjectTag/stage": "test"}}}}',
    )
    assert {"stage": "test"} == tags_of(people.alt, "key")
    refused(people.alt.get_object_tagging, Bucket="bkt", Key="live")
    people.alt.put_object_tagging(Bucket="bkt", Key="key", Tagging=tagging(stage="live"))
    refused(people.alt.put_object_tagging, Bucket="bkt", Key="key", Tagging=tagging(stage="test"))


def test_no_tags_on_purpose_are_no_tags(people: People) -> None:
    """A copy that replaces the tags by none is not said to have any."""
    people.main.put_object(Bucket="bkt", Key="tagged", Tagging="a=b")
    people.main.copy_object(Bucket="bkt", Key="bare", CopySource="bkt/tagged", TaggingDirective="REPLACE", Tagging="")
    assert (
        "1"
        == people.main.head_object(Bucket="bkt", Key="tagged")["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"]
    )
    assert (
        "x-amz-tagging-count"
        not in people.main.head_object(Bucket="bkt", Key="bare")["ResponseMetadata"]["HTTPHeaders"]
    )
