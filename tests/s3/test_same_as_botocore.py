"""Each verb asks for the same as botocore does for the same call: method, path, query, headers, and document.

Left out of the comparison is what belongs to the client and not to the call: signature, date, names of clients, and
which of the checksums protects a document.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree as ET

import botocore.session  # type: ignore[import-untyped]
import pytest
from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from s3func import S3Session
from s3func.retention import Retention
from s3func.wire.s3xml_acl import AccessControlPolicy, Grant, Grantee
from s3func.wire.s3xml_config import CORSRule
from s3func.wire.s3xml_fields import Owner
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, Recorder, Sent, recorded

BUCKET = "bucket-one"
KEY = "a b/ü?#%+&=.txt"
UNTIL = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}],
}
LIFECYCLE = {
    "Rules": [
        {
            "ID": "old",
            "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "a", "Value": "b"}]}},
            "Status": "Enabled",
            "Expiration": {"Days": 30},
            "Transitions": [{"Days": 5, "StorageClass": "GLACIER"}],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
        },
        {
            "ID": "uploads",
            "Filter": {"Prefix": ""},
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
}
ENCRYPTION = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"},
            "BucketKeyEnabled": True,
        }
    ]
}
ACCESS_BLOCK = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": False,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": False,
}
NOTIFICATION = {
    "QueueConfigurations": [
        {
            "Id": "q",
            "QueueArn": "arn:aws:sqs:us-east-1:1:q",
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}},
        }
    ]
}
REPLICATION = {
    "Role": "arn:aws:iam::1:role/r",
    "Rules": [
        {
            "ID": "r",
            "Priority": 1,
            "Filter": {"Prefix": "x"},
            "Status": "Enabled",
            "Destination": {"Bucket": "arn:aws:s3:::other"},
            "DeleteMarkerReplication": {"Status": "Disabled"},
        }
    ],
}
WEBSITE = {
    "IndexDocument": {"Suffix": "index.html"},
    "ErrorDocument": {"Key": "error.html"},
    "RoutingRules": [
        {"Condition": {"KeyPrefixEquals": "old/"}, "Redirect": {"ReplaceKeyPrefixWith": "new/", "Protocol": "https"}}
    ],
}
LOGGING = {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": "x/"}}
INVENTORY = {
    "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::d", "Format": "CSV", "AccountId": "1"}},
    "IsEnabled": True,
    "Id": "inv",
    "IncludedObjectVersions": "All",
    "OptionalFields": ["Size", "ETag"],
    "Schedule": {"Frequency": "Daily"},
}
GRANT = Grant(Grantee(id="someone", display_name="S"), "READ")
BOTO_GRANT = {"Grantee": {"ID": "someone", "DisplayName": "S", "Type": "CanonicalUser"}, "Permission": "READ"}
TAGS = [{"Key": "a", "Value": "b c"}, {"Key": "ü", "Value": ""}]


class Case(NamedTuple):
    """A call of ours and the same of botocore's: its operation, and its parameters beside bucket and key."""

    ours: Callable[[S3Session], Any]
    operation: str
    parameters: Mapping[str, Any] = MappingProxyType({})
    is_about_object: bool = False


def settings(
    word: str, put: str, wrapper: str, value: Any, *, removed: str | None = None, ours: str = ""
) -> list[Case]:
    """get, put and delete of a bucket's setting that is a document of AWS's own names."""
    name = ours or put
    cases = [
        Case(lambda session: getattr(session, f"get_{name}")(), f"Get{word}"),
        Case(lambda session: getattr(session, f"put_{name}")(value), f"Put{word}", {wrapper: value}),
    ]
    if removed:
        method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in removed).removeprefix("_")
        cases.append(Case(lambda session: getattr(session, method)(), removed))
    return cases


def on_object(ours: Callable[[S3Session], Any], operation: str, **parameters: Any) -> Case:
    """A call about KEY."""
    return Case(ours, operation, parameters, is_about_object=True)


CASES = [
    *settings(
        "BucketLifecycleConfiguration",
        "bucket_lifecycle_configuration",
        "LifecycleConfiguration",
        LIFECYCLE,
        removed="DeleteBucketLifecycle",
    ),
    *settings(
        "BucketEncryption",
        "bucket_encryption",
        "ServerSideEncryptionConfiguration",
        ENCRYPTION,
        removed="DeleteBucketEncryption",
    ),
    *settings(
        "PublicAccessBlock",
        "public_access_block",
        "PublicAccessBlockConfiguration",
        ACCESS_BLOCK,
        removed="DeletePublicAccessBlock",
    ),
    *settings(
        "BucketOwnershipControls",
        "bucket_ownership_controls",
        "OwnershipControls",
        {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        removed="DeleteBucketOwnershipControls",
    ),
    *settings(
        "BucketNotificationConfiguration",
        "bucket_notification_configuration",
        "NotificationConfiguration",
        NOTIFICATION,
    ),
    *settings(
        "BucketReplication",
        "bucket_replication",
        "ReplicationConfiguration",
        REPLICATION,
        removed="DeleteBucketReplication",
    ),
    *settings("BucketWebsite", "bucket_website", "WebsiteConfiguration", WEBSITE, removed="DeleteBucketWebsite"),
    *settings("BucketLogging", "bucket_logging", "BucketLoggingStatus", LOGGING),
    *settings("BucketRequestPayment", "bucket_request_payment", "RequestPaymentConfiguration", {"Payer": "Requester"}),
    *settings(
        "BucketAccelerateConfiguration",
        "bucket_accelerate_configuration",
        "AccelerateConfiguration",
        {"Status": "Enabled"},
    ),
    Case(lambda s: s.get_bucket_inventory_configuration("inv"), "GetBucketInventoryConfiguration", {"Id": "inv"}),
    Case(
        lambda s: s.put_bucket_inventory_configuration("inv", INVENTORY),
        "PutBucketInventoryConfiguration",
        {"Id": "inv", "InventoryConfiguration": INVENTORY},
    ),
    Case(lambda s: s.delete_bucket_inventory_configuration("inv"), "DeleteBucketInventoryConfiguration", {"Id": "inv"}),
    Case(lambda s: s.list_bucket_inventory_configurations(), "ListBucketInventoryConfigurations"),
    Case(lambda s: s.get_bucket_location(), "GetBucketLocation"),
    Case(lambda s: s.get_bucket_versioning(), "GetBucketVersioning"),
    Case(
        lambda s: s.put_bucket_versioning("Suspended"),
        "PutBucketVersioning",
        {"VersioningConfiguration": {"Status": "Suspended"}},
    ),
    Case(lambda s: s.get_bucket_tagging(), "GetBucketTagging"),
    Case(lambda s: s.put_bucket_tagging({"a": "b c", "ü": ""}), "PutBucketTagging", {"Tagging": {"TagSet": TAGS}}),
    Case(lambda s: s.delete_bucket_tagging(), "DeleteBucketTagging"),
    Case(lambda s: s.get_bucket_acl(), "GetBucketAcl"),
    Case(lambda s: s.put_bucket_acl("public-read"), "PutBucketAcl", {"ACL": "public-read"}),
    Case(lambda s: s.put_bucket_acl(grants=[GRANT]), "PutBucketAcl", {"GrantRead": 'id="someone"'}),
    Case(
        lambda s: s.put_bucket_acl(AccessControlPolicy(Owner("me"), [GRANT])),
        "PutBucketAcl",
        {"AccessControlPolicy": {"Owner": {"ID": "me"}, "Grants": [BOTO_GRANT]}},
    ),
    Case(lambda s: s.get_bucket_cors(), "GetBucketCors"),
    Case(
        lambda s: s.put_bucket_cors([CORSRule(["*"], ["GET", "PUT"], ["x-*"], ["etag"], 60, "id")]),
        "PutBucketCors",
        {
            "CORSConfiguration": {
                "CORSRules": [
                    {
                        "ID": "id",
                        "AllowedOrigins": ["*"],
                        "AllowedMethods": ["GET", "PUT"],
                        "AllowedHeaders": ["x-*"],
                        "ExposeHeaders": ["etag"],
                        "MaxAgeSeconds": 60,
                    }
                ]
            }
        },
    ),
    Case(lambda s: s.delete_bucket_cors(), "DeleteBucketCors"),
    Case(lambda s: s.get_bucket_policy(), "GetBucketPolicy"),
    Case(lambda s: s.put_bucket_policy(POLICY), "PutBucketPolicy", {"Policy": json.dumps(POLICY)}),
    Case(lambda s: s.put_bucket_policy(json.dumps(POLICY)), "PutBucketPolicy", {"Policy": json.dumps(POLICY)}),
    Case(lambda s: s.delete_bucket_policy(), "DeleteBucketPolicy"),
    Case(lambda s: s.get_bucket_policy_status(), "GetBucketPolicyStatus"),
    Case(lambda s: s.get_object_lock_configuration(), "GetObjectLockConfiguration"),
    Case(
        lambda s: s.put_object_lock_configuration("GOVERNANCE", days=3),
        "PutObjectLockConfiguration",
        {
            "ObjectLockConfiguration": {
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}},
            }
        },
    ),
    on_object(lambda s: s.get_object_tagging(KEY), "GetObjectTagging"),
    on_object(lambda s: s.get_object_tagging(KEY, version_id="v"), "GetObjectTagging", VersionId="v"),
    on_object(lambda s: s.put_object_tagging(KEY, {"a": "b c", "ü": ""}), "PutObjectTagging", Tagging={"TagSet": TAGS}),
    on_object(lambda s: s.delete_object_tagging(KEY), "DeleteObjectTagging"),
    on_object(lambda s: s.get_object_acl(KEY), "GetObjectAcl"),
    on_object(lambda s: s.put_object_acl(KEY, "private"), "PutObjectAcl", ACL="private"),
    on_object(lambda s: s.put_object_acl(KEY, grants=[GRANT]), "PutObjectAcl", GrantRead='id="someone"'),
    on_object(lambda s: s.get_object_legal_hold(KEY), "GetObjectLegalHold"),
    on_object(lambda s: s.put_object_legal_hold(KEY, True), "PutObjectLegalHold", LegalHold={"Status": "ON"}),
    on_object(lambda s: s.get_object_retention(KEY, "v"), "GetObjectRetention", VersionId="v"),
    on_object(
        lambda s: s.put_object_retention(KEY, Retention("GOVERNANCE", UNTIL), bypass_governance=True),
        "PutObjectRetention",
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": UNTIL},
        BypassGovernanceRetention=True,
    ),
    on_object(
        lambda s: s.get_object_attributes(KEY, ["ETag", "ObjectSize"]),
        "GetObjectAttributes",
        ObjectAttributes=["ETag", "ObjectSize"],
    ),
    on_object(
        lambda s: s.restore_object(KEY, 3, tier="Bulk"),
        "RestoreObject",
        RestoreRequest={"Days": 3, "GlacierJobParameters": {"Tier": "Bulk"}},
    ),
    on_object(
        lambda s: s.select_object_content(
            KEY,
            "SELECT * FROM S3Object s WHERE s.a < '<&>'",
            input_serialization={"CSV": {"FileHeaderInfo": "USE", "RecordDelimiter": "\n"}, "CompressionType": "GZIP"},
            output_serialization={"JSON": {"RecordDelimiter": ","}},
            scan_range=(0, 100),
        ),
        "SelectObjectContent",
        Expression="SELECT * FROM S3Object s WHERE s.a < '<&>'",
        ExpressionType="SQL",
        InputSerialization={"CSV": {"FileHeaderInfo": "USE", "RecordDelimiter": "\n"}, "CompressionType": "GZIP"},
        OutputSerialization={"JSON": {"RecordDelimiter": ","}},
        ScanRange={"Start": 0, "End": 100},
    ),
    on_object(
        lambda s: s.put_object(
            KEY,
            b"hello",
            metadata={"A-b": "c"},
            content_type="text/plain",
            cache_control="no-cache",
            content_disposition="inline",
            content_encoding="gzip",
            content_language="de",
            expires=UNTIL,
            storage_class="STANDARD_IA",
            acl="private",
            tagging={"a": "b c"},
            if_none_match="*",
        ),
        "PutObject",
        Body=b"hello",
        Metadata={"A-b": "c"},
        ContentType="text/plain",
        CacheControl="no-cache",
        ContentDisposition="inline",
        ContentEncoding="gzip",
        ContentLanguage="de",
        Expires=UNTIL,
        StorageClass="STANDARD_IA",
        ACL="private",
        Tagging="a=b%20c",
        IfNoneMatch="*",
    ),
    on_object(lambda s: s.get_object(KEY, "v", if_match="abc"), "GetObject", VersionId="v", IfMatch='"abc"'),
    on_object(lambda s: s.get_object(KEY, range_start=2, range_end=5), "GetObject", Range="bytes=2-5"),
    on_object(lambda s: s.head_object(KEY, if_modified_since=UNTIL), "HeadObject", IfModifiedSince=UNTIL),
    on_object(lambda s: s.delete_object(KEY, "v"), "DeleteObject", VersionId="v"),
    on_object(
        lambda s: s.copy_object("from ü", KEY, source_version_id="v"),
        "CopyObject",
        CopySource={"Bucket": BUCKET, "Key": "from ü", "VersionId": "v"},
    ),
    on_object(lambda s: list(s.list_parts(KEY, "u")), "ListParts", UploadId="u"),
    on_object(lambda s: s.abort_multipart_upload(KEY, "u"), "AbortMultipartUpload", UploadId="u"),
    on_object(
        lambda s: s.create_multipart_upload(KEY, content_type="x/y"),
        "CreateMultipartUpload",
        ContentType="x/y",
        ChecksumAlgorithm="CRC32",
        ChecksumType="FULL_OBJECT",
    ),
    Case(
        lambda s: list(s.list_objects("p/ü", start_after="a", delimiter="/", max_keys=7)),
        "ListObjectsV2",
        {"Prefix": "p/ü", "StartAfter": "a", "Delimiter": "/", "MaxKeys": 7},
    ),
    Case(lambda s: list(s.list_object_versions("p")), "ListObjectVersions", {"Prefix": "p"}),
    Case(lambda s: list(s.list_multipart_uploads("p")), "ListMultipartUploads", {"Prefix": "p", "EncodingType": "url"}),
    Case(
        lambda s: s.delete_objects(["a", "ü<&>"]),
        "DeleteObjects",
        {"Delete": {"Objects": [{"Key": "a"}, {"Key": "ü<&>"}]}},
    ),
    # A region is named to AWS alone: other stores refuse those that they do not know.
    Case(lambda s: s.create_bucket(), "CreateBucket"),
    Case(
        lambda s: s.create_bucket(object_lock=True, object_ownership="ObjectWriter", acl="private"),
        "CreateBucket",
        {"ObjectLockEnabledForBucket": True, "ObjectOwnership": "ObjectWriter", "ACL": "private"},
    ),
    Case(lambda s: s.delete_bucket(), "DeleteBucket"),
    Case(lambda s: s.head_bucket(), "HeadBucket"),
]
# What is about the client and its connection.
_CLIENT_HEADERS = frozenset(
    {
        *("authorization", "connection", "content-length", "content-md5", "date", "expect", "host", "user-agent"),
        *("accept-encoding", "amz-sdk-invocation-id", "amz-sdk-request", "transfer-encoding", "x-amz-content-sha256"),
        *("x-amz-date", "x-amz-sdk-checksum-algorithm", "x-amz-checksum-crc32", "x-amz-checksum-mode", "x-amz-trailer"),
        *("x-amz-decoded-content-length", "x-amz-te"),
    }
)


class Asked(NamedTuple):
    """A request, as far as it says what is asked for."""

    method: str
    place: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: Any


def asked(method: str, url: str, headers: dict[str, str], body: bytes) -> Asked:
    """What a request asks for; of an XML document its tree, whose siblings have no order."""
    parts = urlsplit(url)
    # Both write a slash behind the bucket, or none, as they like.
    place = f"{parts.netloc}{parts.path}".rstrip("/")
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "x-id"]
    kept = {name.lower(): value for name, value in headers.items() if name.lower() not in _CLIENT_HEADERS}
    if "x-amz-copy-source" in kept:
        # The slash in front of the bucket may be left out.
        kept["x-amz-copy-source"] = kept["x-amz-copy-source"].removeprefix("/")
    document: Any = body
    if body.lstrip().startswith(b"<"):
        document = tree(ET.fromstring(body))
        kept.pop("content-type", None)
    elif body.startswith(b"{"):
        document = json.loads(body)
        kept.pop("content-type", None)
    elif not body or "content-encoding" not in kept:
        # botocore gives a body without a type one of its own.
        kept = {name: value for name, value in kept.items() if (name, value) != ("content-type", "binary/octet-stream")}
    return Asked(method, place, sorted(query), kept, document)


def tree(element: ET.Element) -> tuple[str, dict[str, str], str, list[Any]]:
    """A document without its namespaces' prefixes and without the order of siblings."""
    children = sorted(map(tree, element), key=repr)
    name = element.tag.rpartition("}")[2]
    text = "" if children else (element.text or "")
    # Times have milliseconds or none.
    return name, dict(element.attrib), re.sub(r"(T\d\d:\d\d:\d\d)\.000Z", r"\1Z", text), children


@pytest.fixture(scope="module")
def foreign() -> Iterator[Any]:
    """A client of botocore that sends nothing, and says what it would have sent."""
    session = botocore.session.Session()
    session.set_credentials(ACCESS_KEY_ID, SECRET)
    client = session.create_client(
        "s3",
        region_name="eu-west-1",
        endpoint_url="http://s3.test",
        config=Config(s3={"addressing_style": "path"}, parameter_validation=True, retries={"max_attempts": 0}),
    )
    kept: list[Asked] = []

    def keep(request: Any, **_: Any) -> AWSResponse:
        body = request.body if isinstance(request.body, bytes) else request.body.read() if request.body else b""
        headers = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
        }
        kept.append(asked(request.method, request.url, headers, body))
        return AWSResponse(request.url, 200, {}, _Raw())

    client.meta.events.register("before-send.s3", keep)

    def ask(operation: str, parameters: dict[str, Any]) -> Asked:
        kept.clear()
        method = {value: name for name, value in client.meta.method_to_api_mapping.items()}[operation]
        # An empty answer is no answer to some of them, which botocore says after it has asked.
        with contextlib.suppress(Exception):
            getattr(client, method)(Bucket=BUCKET, **parameters)
        return kept[-1]

    yield ask
    client.close()


class _Raw:
    """An empty body, as botocore reads one."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        return iter(())

    def read(self, *_: Any) -> bytes:
        return b""


def first_asked(case: Case) -> Sent:
    """The request that our verb sends; what the recorder answers may be no answer to it."""
    recorder = Recorder()
    with recorded(recorder, bucket=BUCKET, region="eu-west-1", endpoint_url="http://s3.test") as session:
        try:
            case.ours(session)
        except Exception:
            if not recorder.sent:
                raise
    return recorder.sent[0]


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case.operation}" for number, case in enumerate(CASES)])
def test_what_is_asked_for(case: Case, foreign: Callable[[str, dict[str, Any]], Asked]) -> None:
    """The same method, place, query, headers and document as botocore's for the same call."""
    sent = first_asked(case)
    parameters = dict(case.parameters) | ({"Key": KEY} if case.is_about_object else {})
    assert foreign(case.operation, parameters) == asked(sent.method, sent.url, sent.headers, sent.body)
