"""Errors, buckets, copies and deletions: parsed as stores write them, rendered as clients read them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

import botocore.parsers  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import errors
from s3func.errors import InvalidRequest, NotImplementedByStore, ProtocolError
from s3func.models import BucketEntry
from s3func.wire import s3xml
from s3func.wire.s3xml import DeleteCondition, DeletedObject, DeleteFailure, DeleteObjectsResult, DeleteRequest
from tests.shared_data import HOSTILE_KEYS, shared_vectors

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MOMENT = datetime(2026, 11, 21, 10, 0, 0, 123000, tzinfo=UTC)
KEYS = st.one_of(st.sampled_from(HOSTILE_KEYS), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
PLAIN_KEYS = KEYS.filter(s3xml.xml_can_carry)
IDS = st.one_of(st.none(), st.text(st.sampled_from("abc019-_.&<"), min_size=1, max_size=8))


@cache
def output_shape(operation: str) -> Any:
    """botocore's model of an answer; loading it takes a while."""
    return botocore.session.get_session().get_service_model("s3").operation_model(operation).output_shape


def oracle(operation: str, body: bytes) -> dict[str, Any]:
    """What botocore finds in an answer."""
    response = {"status_code": 200, "headers": {}, "body": body}
    found: dict[str, Any] = botocore.parsers.create_parser("rest-xml").parse(response, output_shape(operation))
    return found


@pytest.mark.parametrize("name", ["s3-create-bucket", "s3-list-objects"])
def test_errors_of_the_botocore_suite(name: str) -> None:
    """The published error documents give the code, message and details that botocore's expectations name."""
    body = shared_vectors(f"xml/errors/{name}.xml").read_bytes()
    expected = json.loads(shared_vectors(f"xml/errors/{name}.json").read_text())["Error"]
    found = s3xml.parse_error(body)
    assert found is not None
    assert expected == {"Code": found.code, "Message": found.message, **found.details}
    assert found.request_id
    assert found.host_id
    assert s3xml.is_error_document(body)


@pytest.mark.parametrize(
    ("body", "code", "message", "details"),
    [
        (b"<Error><Code>NoSuchKey</Code><Message></Message></Error>", "NoSuchKey", "", {}),
        (b"<Error><Code>NoSuchKey</Code><Message/><Key>a&#x1;</Key></Error>", "NoSuchKey", "", {"Key": "a\x01"}),
        (f'<Error xmlns="{NAMESPACE}"><Code>A</Code></Error>'.encode(), "A", "", {}),
        (f'<s3:Error xmlns:s3="{NAMESPACE}"><s3:Code>A</s3:Code></s3:Error>'.encode(), "A", "", {}),
        (b" \r\n \n<?xml version='1.0'?>\n  \n<Error><Code>A</Code></Error>\n", "A", "", {}),
        (b"<?xml version='1.0'?>" + b" " * 100_000 + b"<Error><Code>SlowDown</Code></Error>", "SlowDown", "", {}),
        (b"<!-- proxy --><Error><Code>A</Code><Message>b &amp; c</Message></Error>", "A", "b & c", {}),
        (b"\xef\xbb\xbf<Error><Code>A</Code></Error>", "A", "", {}),
        (b"<Error><Message>no code</Message></Error>", "", "no code", {}),
        (b"<Error/>", "", "", {}),
        (b"<Error><Code>A</Code><Nested><B>1</B></Nested><Region>r</Region></Error>", "A", "", {"Region": "r"}),
        (b"<ErrorResponse><Error><Type>Sender</Type><Code>A</Code></Error></ErrorResponse>", "A", "", {"Type": "Sender"}),
    ],
)  # fmt: skip
def test_error_documents_of_the_field(body: bytes, code: str, message: str, details: dict[str, str]) -> None:
    """With or without a namespace, a message, white space before it: an error document is understood."""
    found = s3xml.parse_error(body)
    assert found is not None
    assert (code, message, details) == (found.code, found.message, found.details)
    assert s3xml.is_error_document(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b"<html><head><title>502 Bad Gateway</title></head></html>",
        b"<!DOCTYPE html><Error><Code>A</Code></Error>",
        b'{"code": "AccessDenied"}',
        b"Service Unavailable",
        b"<Errors/>",
        b"<ListBucketResult><Error/></ListBucketResult>",
        b"<CopyObjectResult/>",
        b"\xff\xfe<\x00",
    ],
)
def test_what_is_no_error_document(body: bytes) -> None:
    """A proxy's page, JSON or another document of S3 is None, never an exception."""
    assert s3xml.parse_error(body) is None
    assert not s3xml.is_error_document(body) or b"DOCTYPE" in body


def test_an_error_document_that_was_cut_off() -> None:
    """A broken error document tells nothing, but it still shows that the answer is no success."""
    body = b"<?xml version='1.0'?>\n<Error><Code>InternalErr"
    assert s3xml.parse_error(body) is None
    assert s3xml.is_error_document(body)


@given(st.text(st.characters(exclude_categories=["Cs"])), KEYS, st.text(st.sampled_from("AZ09+/=")))
def test_errors_come_back_as_they_were(message: str, resource: str, request_id: str) -> None:
    """Whatever stands in message and resource, the client reads what the server meant."""
    body = s3xml.render_error(
        "NoSuchKey", message, resource=resource, request_id=request_id, host_id="h", extra={"Key": resource}
    )
    expected = s3xml.ErrorDocument("NoSuchKey", message, request_id, "h", {"Resource": resource, "Key": resource})
    assert expected == s3xml.parse_error(body)
    assert s3xml.is_error_document(body)


def test_an_error_can_always_be_told() -> None:
    """What cannot be encoded is replaced: the answer to a request must not fail on the request's own bytes."""
    found = s3xml.parse_error(s3xml.render_error("InvalidURI", "bad \ud800"))
    assert found is not None
    assert "bad ?" == found.message


def test_a_rendered_error_is_that_of_the_documentation() -> None:
    """The elements and their order are those of AWS's sample, without a namespace."""
    body = s3xml.render_error(
        "NoSuchKey", "The resource you requested does not exist", resource="/b/k", request_id="4442587FB7D0A2F9"
    )
    expected = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The resource you requested does '
        "not exist</Message><Resource>/b/k</Resource><RequestId>4442587FB7D0A2F9</RequestId></Error>"
    )
    assert expected == body.decode()


@pytest.mark.parametrize(
    ("code", "status", "cls", "expected_status"),
    [
        ("NoSuchKey", None, errors.NoSuchKey, 404),
        ("SlowDown", None, errors.Throttled, 503),
        ("InternalError", None, errors.ServerError, 500),
        ("Unheard", None, errors.ServerError, 500),
        ("Unheard", 403, errors.AccessDenied, 403),
        ("AccessDenied", 400, errors.AccessDenied, 400),
    ],
)
def test_a_document_becomes_its_exception(code: str, status: int | None, cls: type, expected_status: int) -> None:
    """The code decides the class; with status 200 an unknown code counts as a failure of the store."""
    error = s3xml.error_from_document(s3xml.ErrorDocument(code, "m", "r", "h", {"Region": "x"}), status=status)
    assert cls is type(error)
    assert (expected_status, code, "m", "r", "h") == (
        error.status,
        error.code,
        error.message,
        error.request_id,
        error.host_id,
    )
    assert {"Region": "x"} == error.details


def test_buckets_of_the_botocore_suite() -> None:
    """The published list of buckets gives every name and date."""
    expected = json.loads(shared_vectors("xml/responses/s3-list-buckets.json").read_text())["Buckets"]
    page = s3xml.parse_list_buckets(shared_vectors("xml/responses/s3-list-buckets.xml").read_bytes())
    found = [(bucket.name, bucket.creation_date) for bucket in page.buckets]
    assert [(row["Name"], datetime.fromisoformat(row["CreationDate"])) for row in expected] == found
    assert page.continuation_token is None


def test_buckets_come_back_as_they_were() -> None:
    """Region, date and token survive; a bucket without them stays without."""
    buckets = [BucketEntry("a", MOMENT, "eu-west-1"), BucketEntry("b<&>", None, None)]
    body = s3xml.render_list_buckets(buckets, owner="me", prefix="p", continuation_token="t&")
    assert s3xml.BucketsPage(buckets, "t&") == s3xml.parse_list_buckets(body)
    found = oracle("ListBuckets", body)
    assert (["a", "b<&>"], "me", "t&", "p") == (
        [bucket["Name"] for bucket in found["Buckets"]],
        found["Owner"]["ID"],
        found["ContinuationToken"],
        found["Prefix"],
    )
    assert s3xml.BucketsPage([], None) == s3xml.parse_list_buckets(s3xml.render_list_buckets([]))


@pytest.mark.parametrize(
    "content",
    [
        "<ListAllMyBucketsResult/>",
        "<ListAllMyBucketsResult><Buckets><Bucket/></Buckets></ListAllMyBucketsResult>",
        "<ListAllMyBucketsResult><Buckets><Bucket><Name/></Bucket></Buckets></ListAllMyBucketsResult>",
        (
            "<ListAllMyBucketsResult><Buckets><Bucket><Name>a</Name><CreationDate>x</CreationDate></Bucket></Buckets>"
            "</ListAllMyBucketsResult>"
        ),
        "<html/>",
    ],
)
def test_a_list_of_buckets_must_be_whole(content: str) -> None:
    """Without Buckets, a name or a readable date it is a ProtocolError, not a shorter list."""
    with pytest.raises(ProtocolError):
        s3xml.parse_list_buckets(content.encode())


@pytest.mark.parametrize(
    ("body", "region"),
    [
        (f'<LocationConstraint xmlns="{NAMESPACE}"/>', "us-east-1"),
        (f'<LocationConstraint xmlns="{NAMESPACE}">eu-central-1</LocationConstraint>', "eu-central-1"),
        ("<LocationConstraint>EU</LocationConstraint>", "eu-west-1"),
        ("<LocationConstraint>\n</LocationConstraint>", "us-east-1"),
        (
            "<CreateBucketConfiguration><LocationConstraint>a</LocationConstraint></CreateBucketConfiguration>",
            "a",
        ),
    ],
)
def test_locations(body: str, region: str) -> None:
    """The historic names are translated, and a store that wraps the answer is understood."""
    assert region == s3xml.parse_location(body.encode())


def test_location_of_the_botocore_suite() -> None:
    """The published answer says EU, which is eu-west-1."""
    assert "eu-west-1" == s3xml.parse_location(shared_vectors("xml/responses/s3-get-bucket-location.xml").read_bytes())


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "a&b"])
def test_locations_come_back_as_they_were(region: str) -> None:
    """The region is read as it was written; us-east-1 has no name on the wire."""
    body = s3xml.render_location(region)
    assert region == s3xml.parse_location(body)
    assert (region == "us-east-1") == (ET.fromstring(body).text is None)


def test_create_bucket_comes_back_as_it_was() -> None:
    """The region of a request is read as it was written; no body is no region."""
    assert "eu-west-1" == s3xml.parse_create_bucket(s3xml.render_create_bucket("eu-west-1"))
    assert s3xml.parse_create_bucket(b"") is None
    assert s3xml.parse_create_bucket(b" \n") is None
    assert s3xml.parse_create_bucket(b"<CreateBucketConfiguration/>") is None


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"<CreateBucketConfiguration>", "MalformedXML"),
        (b"<Other/>", "MalformedXML"),
        (b"text", "MalformedXML"),
        (b"<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>", "NotImplemented"),
    ],
)  # fmt: skip
def test_create_bucket_refuses_what_it_does_not_understand(body: bytes, refusal: str) -> None:
    """A broken request is MalformedXML; a kind of bucket that does not exist here is NotImplemented."""
    with pytest.raises(errors.ServiceError) as caught:
        s3xml.parse_create_bucket(body)
    assert refusal == caught.value.code


def test_copies_come_back_as_they_were() -> None:
    """The ETag loses its quotes, the time keeps its milliseconds."""
    body = s3xml.render_copy_object("9b2cf5-2", MOMENT)
    assert s3xml.CopyObjectResult("9b2cf5-2", MOMENT) == s3xml.parse_copy_object(body)
    found = oracle("CopyObject", body)["CopyObjectResult"]
    assert ('"9b2cf5-2"', MOMENT) == (found["ETag"], found["LastModified"])
    # Ceph writes no quotes.
    assert "e" == s3xml.parse_copy_object(b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>").etag


@pytest.mark.parametrize(
    "body",
    [b"", b"  \n ", b"<CopyObjectResult/>", b"<CopyObjectResult><ETag>e</ETag>", b"<CopyPartResult><ETag>e</ETag></CopyPartResult>"],
)  # fmt: skip
def test_a_copy_that_was_not_confirmed_is_no_copy(body: bytes) -> None:
    """An empty, broken or foreign answer with status 200 is a ProtocolError."""
    with pytest.raises(ProtocolError):
        s3xml.parse_copy_object(body)


def test_a_copy_that_failed_after_its_head() -> None:
    """White space to keep the connection alive, and then an error: the error is raised."""
    with pytest.raises(errors.ServerError) as caught:
        s3xml.parse_copy_object(b"<?xml version='1.0'?>\n   \n  <Error><Code>InternalError</Code></Error>")
    assert "InternalError" == caught.value.code


@given(st.lists(st.tuples(PLAIN_KEYS, IDS), min_size=1, max_size=5), st.booleans())
def test_deletions_come_back_as_they_were(objects: list[tuple[str, str | None]], quiet: bool) -> None:
    """Every key arrives at the server exactly, line ends and quotes included, and for any other XML reader too."""
    body = s3xml.render_delete_objects(objects, quiet=quiet)
    assert DeleteRequest(objects, quiet) == s3xml.parse_delete_objects(body)
    keys = [element.text for element in ET.fromstring(body).iter(f"{{{NAMESPACE}}}Key")]
    assert [key for key, _ in objects] == keys


def test_line_ends_are_escaped_in_deletions() -> None:
    """A raw CR would become LF, and the server would delete another key."""
    body = s3xml.render_delete_objects([("a\r\nb", None)])
    assert b"<Key>a&#xD;&#xA;b</Key>" in body
    assert b"Quiet" not in body


@pytest.mark.parametrize(
    "objects", [[], [("", None)], [("a\x01", None)], [("a\uffff", "v")], [("\ud800", None)], [("k", None)] * 1001]
)
def test_deletions_that_cannot_be_written_are_refused(objects: list[tuple[str, str | None]]) -> None:
    """No keys, too many, an empty one, or one that XML cannot carry: ValueError, and it names the argument."""
    with pytest.raises(ValueError, match="objects"):
        s3xml.render_delete_objects(objects)


@pytest.mark.parametrize(
    ("key", "carried"),
    [
        ("a\t\r\n", True),
        ("é\U0010ffff", True),
        ("\x00", False),
        ("\x1f", False),
        ("\x7f\x80", True),
        ("\ufffe", False),
        ("\udfff", False),
    ],
)
def test_which_keys_a_document_can_carry(key: str, carried: bool) -> None:
    """The characters of XML 1.0, https://www.w3.org/TR/xml/#charsets."""
    assert carried == s3xml.xml_can_carry(key)


OBJECT = "<Object><Key>k</Key></Object>"


@pytest.mark.parametrize(
    ("content", "cls"),
    [
        ("", InvalidRequest),
        (OBJECT * 1001, InvalidRequest),
        ("<Object/>", InvalidRequest),
        ("<Object><Key></Key></Object>", InvalidRequest),
        ("<Object><Key>a</Key><Key>b</Key></Object>", InvalidRequest),
        ("<Object><Key>a</Key>", InvalidRequest),
        (f"{OBJECT}<Quiet>yes</Quiet>", InvalidRequest),
        (f"{OBJECT}<Quiet>true</Quiet><Quiet>false</Quiet>", InvalidRequest),
        (f"{OBJECT}text", InvalidRequest),
        ("<Object><Key>a</Key><ETag>e</ETag><ETag>f</ETag></Object>", InvalidRequest),
        ("<Object><Key>a</Key><Size>-1</Size></Object>", InvalidRequest),
        ("<Object><Key>a</Key><Size></Size></Object>", InvalidRequest),
        ("<Object><Key>a</Key><Size>many</Size></Object>", InvalidRequest),
        ("<Object><Key>a</Key><LastModifiedTime>yesterday</LastModifiedTime></Object>", InvalidRequest),
        ("<Object><Key>a</Key><LastModifiedTime/></Object>", InvalidRequest),
        ("<Object><Key>a</Key><Owner>o</Owner></Object>", NotImplementedByStore),
        (f"{OBJECT}<BypassGovernance/>", NotImplementedByStore),
    ],
)
def test_a_malformed_deletion_deletes_nothing(content: str, cls: type[Exception]) -> None:
    """Broken, empty, too long, or with conditions that nobody understands: refused as a whole."""
    with pytest.raises(cls):
        s3xml.parse_delete_objects(f"<Delete>{content}</Delete>".encode())


def test_conditions_of_a_deletion() -> None:
    """Each row has its own conditions, found by its number; a time is an HTTP date or ISO 8601."""
    moment = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
    rows = (
        "<Object><Key>a</Key></Object>"
        '<Object><Key>b</Key><ETag>"e"</ETag><Size>7</Size></Object>'
        "<Object><Key>c</Key><LastModifiedTime>Sat, 21 Nov 2026 10:00:00 GMT</LastModifiedTime></Object>"
        "<Object><Key>d</Key><LastModifiedTime>2026-11-21T10:00:00.000Z</LastModifiedTime></Object>"
    )
    request = s3xml.parse_delete_objects(f"<Delete>{rows}</Delete>".encode())
    assert {
        1: DeleteCondition('"e"', 7),
        2: DeleteCondition(last_modified=moment),
        3: DeleteCondition(last_modified=moment),
    } == request.conditions


def test_another_document_is_no_deletion() -> None:
    """The root has to be Delete; nothing else is guessed."""
    for body in (b"", b"<DeleteResult/>", b"<Error><Code>A</Code></Error>", b"<!DOCTYPE Delete><Delete/>"):
        with pytest.raises(InvalidRequest) as caught:
            s3xml.parse_delete_objects(body)
        assert ("MalformedXML", 400) == (caught.value.code, caught.value.status)


@pytest.mark.parametrize("quiet", ["true", "false", "True", " true "])
def test_a_thousand_deletions_are_allowed(quiet: str) -> None:
    """A full request with the spellings of Quiet that clients send."""
    request = s3xml.parse_delete_objects(f"<Delete>{OBJECT * 1000}<Quiet>{quiet}</Quiet></Delete>".encode())
    assert (1000, "true" in quiet.lower()) == (len(request.objects), request.quiet)


DELETED = st.builds(DeletedObject, KEYS, IDS, st.booleans(), IDS)
FAILURES = st.builds(DeleteFailure, KEYS, IDS, st.just("AccessDenied"), st.text(st.sampled_from("abc <&>")))


@given(st.lists(DELETED, max_size=3), st.lists(FAILURES, max_size=3))
def test_delete_results_come_back_as_they_were(deleted: list[DeletedObject], failures: list[DeleteFailure]) -> None:
    """Each row is reported once, in order, exactly, and botocore reads the same where XML 1.0 can carry the keys."""
    body = s3xml.render_delete_result(deleted, failures)
    assert DeleteObjectsResult(deleted, failures) == s3xml.parse_delete_result(body)
    if all(map(s3xml.xml_can_carry, [row.key for row in deleted] + [row.key for row in failures])):
        found = oracle("DeleteObjects", body)
        assert [row.key for row in deleted] == [row["Key"] for row in found.get("Deleted", [])]
        assert [row.key for row in failures] == [row["Key"] for row in found.get("Errors", [])]


@pytest.mark.parametrize(
    "row", ["<Deleted/>", "<Deleted><Key/></Deleted>", "<Error><Key>k</Key></Error>", "<Deleted><Key>a</Key>"]
)
def test_a_delete_result_must_be_whole(row: str) -> None:
    """A row that does not say what it is about, or a result that breaks off, is a ProtocolError."""
    with pytest.raises(ProtocolError):
        s3xml.parse_delete_result(f"<DeleteResult>{row}</DeleteResult>".encode())


def test_a_failure_without_a_key_is_not_lost() -> None:
    """Some stores refuse the whole request in one row that names no key."""
    result = s3xml.parse_delete_result(b"<DeleteResult><Error><Code>AccessDenied</Code></Error></DeleteResult>")
    assert [DeleteFailure("", None, "AccessDenied", "")] == result.failures
