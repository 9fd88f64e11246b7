"""Settings of buckets and objects on the embedded server: what is put is what is got, and what is deleted is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import AccessDenied, InvalidRequest, NotFound, NotSupported, S3FuncError
from s3func.message import Request, Response
from s3func.retention import Retention
from s3func.server import MemoryBackend, S3App
from s3func.wire.s3xml_acl import Grant, Grantee
from s3func.wire.s3xml_config import CORSRule
from tests.s3.rigs import Recorder, recorded
from tests.s3.test_same_as_botocore import ACCESS_BLOCK, LIFECYCLE, LOGGING, NOTIFICATION, POLICY, REPLICATION, WEBSITE

KEY = "a b/ü?#%.txt"
SETTINGS: dict[str, Any] = {
    "bucket_lifecycle_configuration": LIFECYCLE,
    "bucket_encryption": {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
    "public_access_block": ACCESS_BLOCK,
    "bucket_ownership_controls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
    "bucket_notification_configuration": NOTIFICATION,
    "bucket_replication": REPLICATION,
    "bucket_website": WEBSITE,
    "bucket_logging": LOGGING,
    "bucket_request_payment": {"Payer": "Requester"},
    "bucket_accelerate_configuration": {"Status": "Enabled"},
    "bucket_tagging": {"a": "b c", "ü": ""},
    "bucket_policy": POLICY,
}
REMOVERS = {"bucket_lifecycle_configuration": "delete_bucket_lifecycle"}


@pytest.fixture
def session() -> Iterator[S3Session]:
    """A session on a versioned bucket, with one object."""
    app = S3App(MemoryBackend(), access_key_id="id", secret_access_key="secret")
    with S3Session("id", "secret", "bucket-one", transport=app) as made:
        made.create_bucket()
        made.put_bucket_versioning("Enabled")
        made.put_object(KEY, b"x")
        yield made


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_comes_back(session: S3Session, name: str) -> None:
    """What was put is a part of what is got; the store may add what it would fill in."""
    if name == "bucket_logging":
        session.create_bucket("logs")
    value = SETTINGS[name]
    if name == "bucket_policy":
        statement = {**POLICY["Statement"][0], "Resource": "arn:aws:s3:::bucket-one/*"}
        value = {**POLICY, "Statement": [statement]}
    getattr(session, f"put_{name}")(value)
    assert holds(getattr(session, f"get_{name}")(), value)
    remover = getattr(session, REMOVERS.get(name, f"delete_{name}"), None)
    if remover is not None:
        remover()
        with pytest.raises(NotFound):
            getattr(session, f"get_{name}")()


def holds(found: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is found, at its place."""
    if isinstance(wanted, dict):
        return all(name in found and holds(found[name], value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(holds, found, wanted))
    return bool(found == wanted)


def test_versioning_and_location(session: S3Session) -> None:
    """Versions can be switched on and suspended; a bucket of the first region has no location in the document."""
    assert "Enabled" == session.get_bucket_versioning().status
    session.put_bucket_versioning("Suspended")
    assert "Suspended" == session.get_bucket_versioning().status
    assert "us-east-1" == session.get_bucket_location()


def test_cors(session: S3Session) -> None:
    """Rules may be written as mappings and come back typed."""
    session.put_bucket_cors([{"allowed_origins": ["*"], "allowed_methods": ["GET"], "max_age_seconds": 5}])
    (rule,) = session.get_bucket_cors()
    assert (["*"], ["GET"], 5) == (list(rule.allowed_origins), list(rule.allowed_methods), rule.max_age_seconds)
    session.delete_bucket_cors()
    with pytest.raises(NotFound):
        session.get_bucket_cors()


def test_the_tags_of_an_object(session: S3Session) -> None:
    """Tags belong to a version; taking them away leaves none."""
    first = session.head_object(KEY).version_id
    session.put_object(KEY, b"y", tagging={"new": "1"})
    session.put_object_tagging(KEY, {"old": "ü &<>"[:1]}, version_id=first)
    assert ({"new": "1"}, {"old": "ü"}) == (
        session.get_object_tagging(KEY),
        session.get_object_tagging(KEY, version_id=first),
    )
    session.delete_object_tagging(KEY)
    assert {} == session.get_object_tagging(KEY)


def test_access(session: S3Session) -> None:
    """A canned list, grants, and the whole document that was got can be put."""
    session.put_bucket_ownership_controls({"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    session.put_public_access_block(dict.fromkeys(ACCESS_BLOCK, False))
    owner = session.get_object_acl(KEY).owner.id
    session.put_object_acl(KEY, "public-read")
    assert ["FULL_CONTROL", "READ"] == sorted(grant.permission for grant in session.get_object_acl(KEY).grants)
    session.put_object_acl(KEY, grants=[Grant(Grantee(id=owner), "READ")])
    policy = session.get_object_acl(KEY)
    assert ["READ"] == [grant.permission for grant in policy.grants]
    session.put_object_acl(KEY, policy)
    session.put_bucket_acl("private")
    assert [(owner, "FULL_CONTROL")] == [(row.grantee.id, row.permission) for row in session.get_bucket_acl().grants]


def test_object_lock(session: S3Session) -> None:
    """A held or kept version cannot be deleted; governance can be lifted by whoever says so, as can a hold."""
    session.create_bucket("locked", object_lock=True)
    locked = S3Session("id", "secret", "locked", transport=session._client.transport)
    assert locked.get_object_lock_configuration().enabled
    locked.put_object_lock_configuration("GOVERNANCE", days=2)
    assert ("GOVERNANCE", 2) == locked.get_object_lock_configuration()[1:3]
    locked.put_object_lock_configuration()
    version = locked.put_object(KEY, b"x").version_id
    assert (False, None) == (locked.get_object_legal_hold(KEY), locked.get_object_retention(KEY))
    locked.put_object_legal_hold(KEY, True)
    assert locked.get_object_legal_hold(KEY, version)
    with pytest.raises(AccessDenied):
        locked.delete_object(KEY, version)
    locked.put_object_legal_hold(KEY, False)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    locked.put_object_retention(KEY, Retention("governance", until))
    assert Retention("GOVERNANCE", until) == locked.get_object_retention(KEY)
    with pytest.raises(AccessDenied):
        locked.put_object_retention(KEY, None)
    locked.put_object_retention(KEY, None, bypass_governance=True)
    locked.delete_object(KEY, version)


def test_attributes(session: S3Session) -> None:
    """Size, class and checksum without reading the object, and every part of one that came in many."""
    found = session.get_object_attributes(KEY)
    assert (1, "STANDARD") == (found.size, found.storage_class)
    assert found.etag == session.head_object(KEY).etag
    with session.create_multipart_upload("parts", checksum="sha256") as upload:
        for number in (1, 2):
            upload.upload_part(number, b"z" * 5 * 1024 * 1024)
    parts = session.get_object_attributes("parts", "ObjectParts").parts
    assert parts is not None
    assert (2, [1, 2]) == (parts.total, [part.part_number for part in parts.parts])


def test_all_pages_of_parts_are_asked_for() -> None:
    """A page that says that more follow is followed, and the answer has the parts of both."""
    pages = [
        (
            b"<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>"
            b"<Part><PartNumber>1</PartNumber><Size>5</Size></Part>"
        ),
        (
            b"<IsTruncated>false</IsTruncated><PartNumberMarker>1</PartNumberMarker>"
            b"<Part><PartNumber>2</PartNumber><Size>3</Size></Part>"
        ),
    ]

    def answer(request: Request) -> Any:
        page = b"<TotalPartsCount>2</TotalPartsCount>" + pages["x-amz-part-number-marker" in request.headers]
        document = b"<ObjectParts>" + page + b"</ObjectParts>"
        return Response(200, {}, b"<GetObjectAttributesResponse>" + document + b"</GetObjectAttributesResponse>")

    recorder = Recorder(answer)
    with recorded(recorder) as session:
        parts = session.get_object_attributes("k", "ObjectParts").parts
    assert parts is not None
    assert ([5, 3], False, 2) == ([part.size for part in parts.parts], parts.is_truncated, len(recorder.sent))


@pytest.mark.parametrize(("status", "begun"), [(202, True), (200, False)])
def test_restore(status: int, begun: bool) -> None:
    """202: it has begun; 200: the copy was there, and stays longer."""
    recorder = Recorder(lambda _request: Response(status, {}, b""))
    with recorded(recorder) as session:
        assert begun is session.restore_object("k", 3)


def test_a_form_is_taken(session: S3Session) -> None:
    """The server takes the form that presigned_post makes, under the name of the file, and nothing beyond its limits."""
    url, fields = session.presigned_post(
        "up/${filename}", conditions=[["content-length-range", 1, 5]], fields={"Content-Type": "text/plain"}
    )
    assert 204 == post(session, url, fields, b"12345")
    assert (b"12345", "text/plain") == (
        session.get_object("up/f.txt").data,
        session.head_object("up/f.txt").content_type,
    )
    assert 400 == post(session, url, fields, b"123456")
    assert 403 == post(session, url, fields | {"key": "other/x"}, b"1")


def post(session: S3Session, url: str, fields: dict[str, str], content: bytes) -> int:
    """Send a form as a browser does; the status of the answer."""
    rows = [
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    head = "".join(rows) + '--B\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n'
    body = head.encode() + content + b"\r\n--B--\r\n"
    origin, _, path = url.partition("//")[2].partition("/")
    headers = {"host": origin, "content-type": "multipart/form-data; boundary=B", "content-length": str(len(body))}
    response = session._client.transport(Request("POST", f"http://{origin}", f"/{path}", "", headers, body))
    response.read()
    return response.status


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.put_bucket_versioning("on"),
        lambda s: s.put_bucket_tagging([("a", "b")]),
        lambda s: s.put_bucket_tagging({"": "b"}),
        lambda s: s.put_bucket_acl(),
        lambda s: s.put_bucket_acl("private", grants=[Grant(Grantee(id="x"), "READ")]),
        lambda s: s.put_bucket_cors([]),
        lambda s: s.put_bucket_cors({"CORSRules": []}),
        lambda s: s.put_bucket_cors([CORSRule("*", ["GET"])]),
        lambda s: s.put_bucket_policy("no json"),
        lambda s: s.put_bucket_policy("[]"),
        lambda s: s.put_bucket_lifecycle_configuration({"Rule": []}),
        lambda s: s.put_bucket_lifecycle_configuration({"Rules": [{"Status": 1}]}),
        lambda s: s.put_object_lock_configuration("GOVERNANCE"),
        lambda s: s.put_object_lock_configuration(days=1),
        lambda s: s.put_object_lock_configuration("GOVERNANCE", days=1, years=1),
        lambda s: s.put_object_legal_hold("k", "ON"),
        lambda s: s.put_object_retention("k", "GOVERNANCE"),
        lambda s: s.put_object_retention("k", Retention("GOVERNANCE", datetime(2030, 1, 1))),
        lambda s: s.put_object_retention("k", Retention("FOREVER", datetime(2030, 1, 1, tzinfo=UTC))),
        lambda s: s.get_object_attributes("k", ["Size"]),
        lambda s: s.get_object_attributes("k", []),
        lambda s: s.restore_object("k", 0),
        lambda s: s.restore_object("k", 1, tier="Slow"),
        lambda s: s.get_object_tagging(""),
        lambda s: s.get_object_tagging("k", version_id=""),
        lambda s: s.get_bucket_inventory_configuration(""),
        lambda s: s.presigned_post(""),
        lambda s: s.presigned_post("k", expires=0),
        lambda s: s.presigned_post("k", fields={"policy": "x"}),
    ],
)
def test_what_cannot_be_meant_is_not_sent(call: Callable[[S3Session], Any]) -> None:
    """A wrong argument is a ValueError or a TypeError, and the store hears nothing of it."""
    recorder = Recorder()
    with recorded(recorder) as session, pytest.raises((ValueError, TypeError)):
        call(session)
    assert [] == recorder.sent


def test_a_form_cannot_name_an_arn() -> None:
    """A policy names a bucket; an access point is none."""
    arn = "arn:aws:s3:us-east-1:123456789012:accesspoint/x"
    with pytest.raises((NotSupported, ValueError)), recorded(Recorder(), bucket=arn) as session:
        session.presigned_post("k")


def test_a_document_that_is_none_is_an_error() -> None:
    """HTML, or an error with status 200, in the place of a setting."""
    for body in (b"<html><body>login</body></html>", b"<Error><Code>InternalError</Code></Error>", b"{"):
        recorder = Recorder(lambda _request, body=body: Response(200, {}, body))  # type: ignore[misc]
        with recorded(recorder) as session:
            for call in (session.get_bucket_cors, session.get_bucket_policy, session.get_bucket_website):
                with pytest.raises(S3FuncError):
                    call()


def test_refusals_are_typed(session: S3Session) -> None:
    """What the store does not take is its own words in our class."""
    session.put_bucket_versioning("Suspended")
    with pytest.raises(InvalidRequest, match="Versioning must be 'Enabled'"):
        session.put_bucket_replication(REPLICATION)
