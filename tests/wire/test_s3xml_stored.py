"""The stored configurations: their tables against botocore's model, and what S3 refuses beyond the form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3func.errors import InvalidRequest, NotFound, ProtocolError, ServiceError
from s3func.wire import s3xml_stored
from s3func.wire.s3xml_stored import parse_configuration, parse_configuration_request, render_configuration
from s3func.wire.xmltree import xml_can_carry
from tests.wire.oracle import operation_model, serialized

# Each document: the operation that sends it, the name of its parameter, and what of the model is left out on purpose.
DOCUMENTS: dict[str, tuple[str, str, set[str]]] = {
    "LifecycleConfiguration": ("PutBucketLifecycleConfiguration", "LifecycleConfiguration", set()),
    "ServerSideEncryptionConfiguration": ("PutBucketEncryption", "ServerSideEncryptionConfiguration", set()),
    "OwnershipControls": ("PutBucketOwnershipControls", "OwnershipControls", set()),
    "PublicAccessBlockConfiguration": ("PutPublicAccessBlock", "PublicAccessBlockConfiguration", set()),
    "BucketLoggingStatus": ("PutBucketLogging", "BucketLoggingStatus", set()),
    "WebsiteConfiguration": ("PutBucketWebsite", "WebsiteConfiguration", set()),
    "NotificationConfiguration": ("PutBucketNotificationConfiguration", "NotificationConfiguration", set()),
    "RequestPaymentConfiguration": ("PutBucketRequestPayment", "RequestPaymentConfiguration", set()),
    "AccelerateConfiguration": ("PutBucketAccelerateConfiguration", "AccelerateConfiguration", set()),
    "ReplicationConfiguration": ("PutBucketReplication", "ReplicationConfiguration", set()),
    "InventoryConfiguration": ("PutBucketInventoryConfiguration", "InventoryConfiguration", set()),
    "RestoreRequest": ("RestoreObject", "RestoreRequest", {"Type", "SelectParameters", "OutputLocation"}),
}
# botocore writes a carriage return as it is, and every reader then takes it for a line feed.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=6).filter(xml_can_carry)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


def test_every_document_is_in_the_table() -> None:
    """The tests below leave no configuration out."""
    assert set(s3xml_stored.CONFIGURATIONS) == set(DOCUMENTS)


def values_of(shape: Any, left_out: set[str], *, whole: bool = False) -> st.SearchStrategy[Any]:
    """Values of a shape of botocore's model: everything required, and some of the rest, or all of it."""
    if shape.name == "Grantee":
        return st.one_of(
            st.fixed_dictionaries({"Type": st.just("CanonicalUser"), "ID": TEXTS.filter(bool)}),
            st.fixed_dictionaries({"Type": st.just("Group"), "URI": TEXTS.filter(bool)}),
            st.fixed_dictionaries({"Type": st.just("AmazonCustomerByEmail"), "EmailAddress": TEXTS.filter(bool)}),
        )
    if shape.type_name == "structure":
        members = {
            name: values_of(member, left_out, whole=whole)
            for name, member in shape.members.items()
            if name not in left_out
        }
        if whole:
            return st.fixed_dictionaries(members)
        required = {name: members.pop(name) for name in shape.required_members}
        if shape.name in {"TargetGrant", "Grant"}:
            required |= {name: members.pop(name) for name in ("Grantee", "Permission")}
        return st.fixed_dictionaries(required, optional=members)
    if shape.type_name == "list":
        # A list without an element of its own is not there at all when it is empty.
        return st.lists(values_of(shape.member, left_out, whole=whole), min_size=1, max_size=2)
    if shape.type_name == "timestamp":
        return st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
            lambda moment: moment.replace(microsecond=0)
        )
    if shape.type_name in {"integer", "long"}:
        return st.integers(-(2**31), 2**31 - 1)
    if shape.type_name == "boolean":
        return st.booleans()
    return st.sampled_from(shape.enum) if shape.enum else TEXTS


def canonical(element: ET.Element) -> Any:
    """A document without regard to the order of elements of different names, and to milliseconds that are 0."""
    rows: dict[str, list[Any]] = {}
    for child in element:
        rows.setdefault(child.tag, []).append(canonical(child))
    return dict(element.attrib), (element.text or "").replace(".000Z", "Z"), rows


@pytest.mark.parametrize("name", DOCUMENTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_the_tables_are_botocores(name: str, data: st.DataObject) -> None:
    """What botocore sends is read as what it was given, strictly and leniently, and we would send the same."""
    operation, parameter, left_out = DOCUMENTS[name]
    shape = operation_model(operation).input_shape.members[parameter]
    value = data.draw(values_of(shape, left_out))
    body = serialized(operation, **{parameter: value})
    if not body:
        # Nothing in it: botocore then sends nothing at all.
        body = f"<{name}/>".encode()
    assert value == parse_configuration(name, body)
    ours = render_configuration(name, value)
    assert value == parse_configuration(name, ours)
    assert canonical(ET.fromstring(body)) == canonical(ET.fromstring(ours))
    try:
        found = parse_configuration_request(name, body)
    except ServiceError as error:
        assert 400 == error.status
    else:
        assert found == parse_configuration_request(name, render_configuration(name, found))


def lacking(shape: Any, value: Any) -> Iterator[Any]:
    """Copies of a value, each without one thing that botocore's model requires at its place."""
    if shape.type_name == "list":
        for place, entry in enumerate(value):
            yield from ([*value[:place], less, *value[place + 1 :]] for less in lacking(shape.member, entry))
    elif shape.type_name == "structure":
        # The type of a grantee follows from what names it.
        for name in set(shape.required_members) - {"Type"}:
            yield {key: entry for key, entry in value.items() if key != name}
        for name, entry in value.items():
            yield from ({**value, name: less} for less in lacking(shape.members[name], entry))


@pytest.mark.parametrize("name", DOCUMENTS)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_what_the_model_requires_is_required(name: str, data: st.DataObject) -> None:
    """A value without anything that botocore's model requires is a ValueError, and MalformedXML for a server."""
    operation, parameter, left_out = DOCUMENTS[name]
    shape = operation_model(operation).input_shape.members[parameter]
    value = data.draw(values_of(shape, left_out, whole=True))
    for less in lacking(shape, value):
        with pytest.raises(ValueError, match="is missing"):
            render_configuration(name, less)
        with pytest.raises(InvalidRequest) as caught:
            parse_configuration_request(name, serialized(operation, **{parameter: less}) or f"<{name}/>".encode())
        assert "MalformedXML" == caught.value.code


def ask(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """What a server takes from a request of botocore."""
    operation, parameter, _ = DOCUMENTS[name]
    return parse_configuration_request(name, serialized(operation, **{parameter: value}) or f"<{name}/>".encode())


def rule(**changes: Any) -> dict[str, Any]:
    """A lifecycle rule; None takes a part away."""
    whole = {"ID": "r", "Prefix": "a/", "Status": "Enabled", "Expiration": {"Days": 1}, **changes}
    return {name: value for name, value in whole.items() if value is not None}


TAG = {"Key": "a", "Value": "b"}
LIFECYCLES = [
    [rule()],
    [rule(ID="r1"), rule(ID="r2", Status="Disabled")],
    [rule(ID="a" * 255)],
    [rule(Prefix="")],
    [rule(Expiration={"Date": MIDNIGHT})],
    [rule(Expiration={"ExpiredObjectDeleteMarker": True})],
    [rule(Prefix=None, Filter={})],
    [rule(Prefix=None, Filter={"Prefix": "foo"})],
    [rule(Prefix=None, Filter={"Tag": TAG})],
    [rule(Prefix=None, Filter={"ObjectSizeGreaterThan": 0})],
    [rule(Prefix=None, Filter={"ObjectSizeLessThan": 1})],
    [rule(Expiration=None, NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 100})],
    [rule(Expiration=None, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})],
    [rule(ID=f"r{number}") for number in range(1000)],
    [rule(Prefix=None, Filter={"And": {"Prefix": "", "Tags": [TAG]}})],
    [rule(Prefix=None, Filter={"And": {"Tags": [TAG, {"Key": "c", "Value": ""}]}})],
    [rule(Prefix=None, Filter={"And": {"ObjectSizeGreaterThan": 1, "ObjectSizeLessThan": 3}})],
    [rule(Expiration=None, NoncurrentVersionExpiration={"NoncurrentDays": 2, "NewerNoncurrentVersions": 5})],
    [rule(Expiration=None, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 2})],
    [rule(Expiration=None, Transitions=[{"Days": 0, "StorageClass": "GLACIER"}])],
    [rule(Expiration={"Days": 9}, Transitions=[{"Days": 1, "StorageClass": "GLACIER"}, {"Days": 8, "StorageClass": "X"}])],
    [rule(Expiration=None, NoncurrentVersionTransitions=[{"NoncurrentDays": 0, "StorageClass": "GLACIER"}])],
]  # fmt: skip


@pytest.mark.parametrize("rules", LIFECYCLES)
def test_lifecycles_that_are_kept(rules: list[dict[str, Any]]) -> None:
    """A lifecycle that S3 takes is read as it was sent."""
    assert {"Rules": rules} == ask("LifecycleConfiguration", {"Rules": rules})


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([], "MalformedXML"),
        ([rule(ID=f"r{number}") for number in range(1001)], "InvalidRequest"),
        ([rule(ID="a" * 256)], "InvalidArgument"),
        ([rule(), rule(Prefix="b/")], "InvalidArgument"),
        ([rule(Status="enabled")], "MalformedXML"),
        ([rule(Status="invalid")], "MalformedXML"),
        ([rule(Status=None)], "MalformedXML"),
        ([rule(Prefix=None)], "MalformedXML"),
        ([rule(Filter={"Prefix": "a"})], "MalformedXML"),
        ([rule(Prefix=None, Filter={"Prefix": "a", "Tag": TAG})], "MalformedXML"),
        ([rule(Prefix=None, Filter={"And": {"Prefix": "a"}})], "MalformedXML"),
        ([rule(Prefix=None, Filter={"And": {}})], "MalformedXML"),
        ([rule(Prefix=None, Filter={"And": {"Prefix": "", "Tags": [TAG, TAG]}})], "InvalidTag"),
        ([rule(Prefix=None, Filter={"Tag": {"Key": "a" * 129, "Value": ""}})], "InvalidTag"),
        ([rule(Prefix=None, Filter={"ObjectSizeLessThan": 0})], "InvalidArgument"),
        ([rule(Prefix=None, Filter={"And": {"ObjectSizeGreaterThan": 2, "ObjectSizeLessThan": 3}})], "InvalidRequest"),
        ([rule(Expiration=None)], "InvalidRequest"),
        ([rule(Expiration={})], "MalformedXML"),
        ([rule(Expiration={"Days": 1, "Date": MIDNIGHT})], "MalformedXML"),
        ([rule(Expiration={"Days": 0})], "InvalidArgument"),
        ([rule(Expiration={"Days": -1})], "InvalidArgument"),
        ([rule(Expiration={"Date": MIDNIGHT + timedelta(seconds=1)})], "InvalidArgument"),
        ([rule(Expiration={"Date": "20200101"})], "InvalidArgument"),
        ([rule(Expiration=None, Transitions=[{"Days": 1}])], "MalformedXML"),
        ([rule(Expiration=None, Transitions=[{"StorageClass": "X"}])], "MalformedXML"),
        ([rule(Expiration=None, Transitions=[{"Days": -1, "StorageClass": "X"}])], "InvalidArgument"),
        ([rule(Expiration=None, Transitions=[{"Date": "20220927", "StorageClass": "X"}])], "InvalidArgument"),
        ([rule(Expiration={"Date": MIDNIGHT}, Transitions=[{"Days": 1, "StorageClass": "X"}])], "InvalidRequest"),
        ([rule(Expiration=None, Transitions=[{"Days": 1, "StorageClass": "X"}, {"Date": MIDNIGHT, "StorageClass": "Y"}])],
         "InvalidRequest"),
        ([rule(Expiration={"Days": 8}, Transitions=[{"Days": 8, "StorageClass": "X"}])], "InvalidArgument"),
        ([rule(NoncurrentVersionExpiration={"NoncurrentDays": 0})], "InvalidArgument"),
        ([rule(NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 101})], "InvalidArgument"),
        ([rule(NoncurrentVersionExpiration={"NewerNoncurrentVersions": 1})], "MalformedXML"),
        ([rule(NoncurrentVersionTransitions=[{"NoncurrentDays": 1}])], "MalformedXML"),
        ([rule(AbortIncompleteMultipartUpload={})], "MalformedXML"),
        ([rule(NoncurrentVersionTransitions=[{"NoncurrentDays": -1, "StorageClass": "X"}])], "InvalidArgument"),
        ([rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 0})], "InvalidArgument"),
        ([rule(Prefix=None, Filter={"Tag": TAG}, Expiration={"ExpiredObjectDeleteMarker": True})], "InvalidRequest"),
        ([rule(Prefix=None, Filter={"Tag": TAG}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})],
         "InvalidRequest"),
    ],
)  # fmt: skip
def test_lifecycles_that_are_refused(rules: list[dict[str, Any]], code: str) -> None:
    """A lifecycle that S3 refuses gets S3's code for it, with status 400."""
    with pytest.raises(InvalidRequest) as caught:
        ask("LifecycleConfiguration", {"Rules": rules})
    assert (code, 400) == (caught.value.code, caught.value.status)


def test_rules_without_a_name_get_one() -> None:
    """Each rule has an ID of its own in the end, the same one every time, and no one else's."""
    rules = [rule(ID=None), rule(ID=None), rule(ID=""), rule(ID="mine")]
    found = ask("LifecycleConfiguration", {"Rules": rules})
    ids = [row["ID"] for row in found["Rules"]]
    assert 4 == len(set(ids))
    assert all(1 <= len(name) <= 255 for name in ids)
    assert "mine" == ids[3]
    assert found == ask("LifecycleConfiguration", {"Rules": rules})
    taken = ask("LifecycleConfiguration", {"Rules": [rule(ID=None), rule(ID=ids[0])]})
    assert 2 == len({row["ID"] for row in taken["Rules"]})


@pytest.mark.parametrize("date", ["20260101", "2026-W01", "2026-01-01T00:00:00+0000", "tomorrow", "", "2026-13-01"])
def test_dates_that_are_none(date: str) -> None:
    """Only the long form of ISO 8601 is a date."""
    body = (
        "<LifecycleConfiguration><Rule><Prefix/><Status>Enabled</Status>"
        f"<Expiration><Date>{date}</Date></Expiration></Rule></LifecycleConfiguration>"
    )
    with pytest.raises(InvalidRequest, match="MalformedXML"):
        parse_configuration_request("LifecycleConfiguration", body.encode())
    expected = {"Date": datetime(2026, 1, 1, tzinfo=UTC)}
    found = parse_configuration_request(
        "LifecycleConfiguration", body.replace(f"<Date>{date}</Date>", "<Date>2026-01-01</Date>").encode()
    )
    assert expected == found["Rules"][0]["Expiration"]


def sse(algorithm: str, **more: Any) -> dict[str, Any]:
    """An encryption by default."""
    return {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **more}}


GROUP = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}
LOG = {"TargetBucket": "logs", "TargetPrefix": "log/"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ServerSideEncryptionConfiguration", {"Rules": [sse("AES256")]}),
        ("ServerSideEncryptionConfiguration", {"Rules": [sse("aws:kms", KMSMasterKeyID="k")]}),
        ("ServerSideEncryptionConfiguration", {"Rules": [{"BucketKeyEnabled": True}]}),
        ("OwnershipControls", {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}),
        ("BucketLoggingStatus", {}),
        ("BucketLoggingStatus", {"LoggingEnabled": LOG}),
        ("BucketLoggingStatus", {"LoggingEnabled": {**LOG, "TargetPrefix": ""}}),
        ("BucketLoggingStatus", {"LoggingEnabled": {**LOG, "TargetObjectKeyFormat": {"SimplePrefix": {}}}}),
        (
            "BucketLoggingStatus",
            {"LoggingEnabled": {**LOG, "TargetGrants": [{"Grantee": GROUP, "Permission": "READ"}]}},
        ),
        ("WebsiteConfiguration", {"IndexDocument": {"Suffix": "index.html"}}),
        ("WebsiteConfiguration", {"RedirectAllRequestsTo": {"HostName": "h", "Protocol": "https"}}),
        (
            "WebsiteConfiguration",
            {
                "IndexDocument": {"Suffix": "i"},
                "ErrorDocument": {"Key": "e"},
                "RoutingRules": [
                    {
                        "Condition": {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "a/"},
                        "Redirect": {"HttpRedirectCode": "302", "ReplaceKeyPrefixWith": "b/"},
                    }
                ],
            },
        ),
        (
            "WebsiteConfiguration",
            {"IndexDocument": {"Suffix": "i"}, "RoutingRules": [{"Redirect": {"HostName": "h"}}] * 50},
        ),
        ("NotificationConfiguration", {}),
        ("RequestPaymentConfiguration", {"Payer": "Requester"}),
        ("AccelerateConfiguration", {"Status": "Suspended"}),
        ("RestoreRequest", {"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}}),
    ],
)
def test_configurations_that_are_kept(name: str, value: dict[str, Any]) -> None:
    """What S3 takes is read as it was sent."""
    assert value == ask(name, value)


def website(**changes: Any) -> dict[str, Any]:
    """A website with an index."""
    return {"IndexDocument": {"Suffix": "i"}, **changes}


def routing(redirect: dict[str, Any], **condition: Any) -> dict[str, Any]:
    """A website with one routing rule."""
    row = {"Redirect": redirect, **({"Condition": condition} if condition else {})}
    return website(RoutingRules=[row])


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("ServerSideEncryptionConfiguration", {"Rules": []}, "MalformedXML"),
        ("ServerSideEncryptionConfiguration", {"Rules": [sse("AES256"), sse("AES256")]}, "MalformedXML"),
        ("ServerSideEncryptionConfiguration", {"Rules": [sse("aes256")]}, "MalformedXML"),
        ("ServerSideEncryptionConfiguration", {"Rules": [sse("AES256", KMSMasterKeyID="k")]}, "InvalidArgument"),
        ("OwnershipControls", {"Rules": []}, "MalformedXML"),
        ("OwnershipControls", {"Rules": [{"ObjectOwnership": "Nobody"}]}, "MalformedXML"),
        ("OwnershipControls", {"Rules": [{"ObjectOwnership": "ObjectWriter"}] * 2}, "MalformedXML"),
        ("PublicAccessBlockConfiguration", {}, "InvalidRequest"),
        ("BucketLoggingStatus", {"LoggingEnabled": {"TargetBucket": "b"}}, "MalformedXML"),
        ("BucketLoggingStatus", {"LoggingEnabled": {"TargetPrefix": "b"}}, "MalformedXML"),
        ("BucketLoggingStatus", {"LoggingEnabled": {**LOG, "TargetObjectKeyFormat": {}}}, "MalformedXML"),
        ("BucketLoggingStatus", {"LoggingEnabled": {
            **LOG, "TargetObjectKeyFormat": {"SimplePrefix": {}, "PartitionedPrefix": {}}}}, "MalformedXML"),
        ("BucketLoggingStatus", {"LoggingEnabled": {
            **LOG, "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "kaboom"}}}}, "MalformedXML"),
        ("BucketLoggingStatus", {"LoggingEnabled": {
            **LOG, "TargetGrants": [{"Grantee": GROUP, "Permission": "WRITE_ACP"}]}}, "MalformedXML"),
        ("BucketLoggingStatus", {"LoggingEnabled": {
            **LOG, "TargetGrants": [{"Grantee": {"Type": "Group"}, "Permission": "READ"}]}}, "MalformedXML"),
        ("WebsiteConfiguration", {}, "InvalidArgument"),
        ("WebsiteConfiguration", {"ErrorDocument": {"Key": "e"}}, "InvalidArgument"),
        ("WebsiteConfiguration", {"IndexDocument": {"Suffix": ""}}, "InvalidArgument"),
        ("WebsiteConfiguration", {"IndexDocument": {"Suffix": "a/b"}}, "InvalidArgument"),
        ("WebsiteConfiguration", website(ErrorDocument={"Key": ""}), "InvalidArgument"),
        ("WebsiteConfiguration", website(RedirectAllRequestsTo={"HostName": "h"}), "InvalidRequest"),
        ("WebsiteConfiguration", {"RedirectAllRequestsTo": {"HostName": "h", "Protocol": "ftp"}}, "InvalidRequest"),
        ("WebsiteConfiguration", {"RedirectAllRequestsTo": {"Protocol": "http"}}, "MalformedXML"),
        ("WebsiteConfiguration", website(RoutingRules=[{"Redirect": {"HostName": "h"}}] * 51), "InvalidRequest"),
        ("WebsiteConfiguration", website(RoutingRules=[{"Redirect": {}}]), "MalformedXML"),
        ("WebsiteConfiguration", website(RoutingRules=[{"Condition": {}, "Redirect": {"HostName": "h"}}]), "InvalidRequest"),
        ("WebsiteConfiguration", routing({"ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b"}), "InvalidRequest"),
        ("WebsiteConfiguration", routing({"Protocol": "gopher"}), "InvalidRequest"),
        ("WebsiteConfiguration", routing({"HttpRedirectCode": "300"}), "InvalidRequest"),
        ("WebsiteConfiguration", routing({"HttpRedirectCode": "200"}), "InvalidRequest"),
        ("WebsiteConfiguration", routing({"HostName": "h"}, HttpErrorCodeReturnedEquals="302"), "InvalidRequest"),
        ("RequestPaymentConfiguration", {"Payer": "Nobody"}, "MalformedXML"),
        ("RequestPaymentConfiguration", {}, "MalformedXML"),
        ("AccelerateConfiguration", {"Status": "On"}, "MalformedXML"),
        ("NotificationConfiguration", {"QueueConfigurations": [{"QueueArn": "q", "Events": []}]}, "MalformedXML"),
    ],
)  # fmt: skip
def test_configurations_that_are_refused(name: str, value: dict[str, Any], code: str) -> None:
    """What S3 refuses gets S3's code for it, with status 400."""
    with pytest.raises(InvalidRequest) as caught:
        ask(name, value)
    assert (code, 400) == (caught.value.code, caught.value.status)


def test_an_access_block_is_completed() -> None:
    """What a request does not name is off."""
    expected = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }
    assert expected == ask("PublicAccessBlockConfiguration", {"BlockPublicAcls": True})


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<AccelerateConfiguration>",
        "<Other/>",
        "<Error><Code>NoSuchKey</Code></Error>",
        "<AccelerateConfiguration><Status>Enabled</Status><More/></AccelerateConfiguration>",
        "<AccelerateConfiguration><Status>Enabled</Status><Status>Enabled</Status></AccelerateConfiguration>",
        "<AccelerateConfiguration><Status><a/></Status></AccelerateConfiguration>",
        "<AccelerateConfiguration>text</AccelerateConfiguration>",
        "<!DOCTYPE a><AccelerateConfiguration/>",
    ],
)
def test_requests_of_another_form(body: str) -> None:
    """Nothing is dropped: what the table does not know is MalformedXML."""
    with pytest.raises(InvalidRequest) as caught:
        parse_configuration_request("AccelerateConfiguration", body.encode())
    assert "MalformedXML" == caught.value.code


@pytest.mark.parametrize(
    "content",
    [
        "<BlockPublicAcls>yes</BlockPublicAcls>",
        "<BlockPublicAcls/>",
        "<BlockPublicAcls><a/></BlockPublicAcls>",
    ],
)
def test_booleans_that_are_none(content: str) -> None:
    """Only true and false are booleans."""
    with pytest.raises(InvalidRequest):
        parse_configuration_request(
            "PublicAccessBlockConfiguration",
            f"<PublicAccessBlockConfiguration>{content}</PublicAccessBlockConfiguration>".encode(),
        )


def test_a_control_character_is_not_kept() -> None:
    """What XML cannot carry back is refused when it comes."""
    body = b"<RestoreRequest><Description>a&#x1;</Description></RestoreRequest>"
    with pytest.raises(InvalidRequest):
        parse_configuration_request("RestoreRequest", body)
    assert {"Description": "a\x01"} == parse_configuration("RestoreRequest", body)


def test_an_answer_may_say_more() -> None:
    """Elements that the table does not know are kept under their own names; sending them back is a ValueError."""
    body = (
        "<AccelerateConfiguration><Status>Later</Status><New>1</New><Row><A>1</A></Row><Row><A>2</A><A>3</A></Row>"
        "<Row><A>4</A></Row></AccelerateConfiguration>"
    )
    expected = {"Status": "Later", "New": "1", "Row": [{"A": "1"}, {"A": ["2", "3"]}, {"A": "4"}]}
    found = parse_configuration("AccelerateConfiguration", body.encode())
    assert expected == found
    with pytest.raises(ValueError, match="AccelerateConfiguration has unknown entries: New, Row"):
        render_configuration("AccelerateConfiguration", found)


def test_answers_that_are_none() -> None:
    """An error document is its error, anything else a ProtocolError."""
    with pytest.raises(NotFound):
        parse_configuration("LifecycleConfiguration", b"<Error><Code>NotFound</Code></Error>")
    for body in (b"", b"<html/>", b"<AccelerateConfiguration/>", b"<LifecycleConfiguration>x</LifecycleConfiguration>"):
        with pytest.raises(ProtocolError):
            parse_configuration("LifecycleConfiguration", body)


@pytest.mark.parametrize(
    ("name", "value", "error", "place"),
    [
        ("LifecycleConfiguration", {}, ValueError, "LifecycleConfiguration.Rules is missing"),
        ("LifecycleConfiguration", {"Rules": []}, ValueError, "LifecycleConfiguration.Rules is missing"),
        ("LifecycleConfiguration", {"Rules": {}}, ValueError, "LifecycleConfiguration.Rules is missing"),
        ("LifecycleConfiguration", {"Rules": "abc"}, TypeError, "LifecycleConfiguration.Rules must be a list, not str"),
        ("LifecycleConfiguration", {"Rules": ["abc"]}, TypeError, r"LifecycleConfiguration.Rules\[0\] must be a dict"),
        ("LifecycleConfiguration", {"Rules": [rule(), rule(Status=None)]}, ValueError, r"Rules\[1\].Status is missing"),
        ("LifecycleConfiguration", {"Rules": [rule(Status="on")]}, ValueError, r"Rules\[0\].Status is one of Enabled"),
        ("LifecycleConfiguration", {"Rules": [rule(Id="x")]}, ValueError, r"Rules\[0\] has unknown entries: Id"),
        ("LifecycleConfiguration", {"Rules": [rule(Prefix="\x01")]}, ValueError, r"Rules\[0\].Prefix holds a character"),
        ("LifecycleConfiguration", {"Rules": [rule(Prefix=1)]}, TypeError, r"Rules\[0\].Prefix must be str, not int"),
        ("LifecycleConfiguration", {"Rules": [rule(Expiration={"Days": "1"})]}, TypeError, "Days must be int, not str"),
        ("LifecycleConfiguration", {"Rules": [rule(Expiration={"Days": True})]}, TypeError, "Days must be int, not bool"),
        ("LifecycleConfiguration", {"Rules": [rule(Expiration={"Date": "2026-01-01"})]}, TypeError, "Date must be datetime"),
        ("LifecycleConfiguration", {"Rules": [rule(Expiration={"Date": datetime(2026, 1, 1)})]}, ValueError, "aware"),
        ("PublicAccessBlockConfiguration", {"BlockPublicAcls": 1}, TypeError, "BlockPublicAcls must be bool, not int"),
        ("BucketLoggingStatus", {"LoggingEnabled": {**LOG, "TargetGrants": [{"Grantee": "x", "Permission": "READ"}]}},
         TypeError, r"TargetGrants\[0\].Grantee must be a dict"),
        ("BucketLoggingStatus",
         {"LoggingEnabled": {**LOG, "TargetGrants": [{"Grantee": {"Type": "Group", "ID": "x"}, "Permission": "READ"}]}},
         ValueError, "names a CanonicalUser, but its Type is 'Group'"),
        ("Unheard", {}, ValueError, "name must be one of LifecycleConfiguration"),
    ],
)  # fmt: skip
def test_values_that_are_not_sent(name: str, value: Any, error: type[Exception], place: str) -> None:
    """Bad input is a ValueError or TypeError that names the place."""
    with pytest.raises(error, match=place):
        render_configuration(name, value)


def test_times_are_sent_in_utc() -> None:
    """A time of another zone is the same moment on the wire."""
    there = datetime(2026, 11, 21, 2, tzinfo=timezone(timedelta(hours=2)))
    body = render_configuration("LifecycleConfiguration", {"Rules": [rule(Expiration={"Date": there})]})
    assert b"<Date>2026-11-21T00:00:00.000Z</Date>" in body
    assert MIDNIGHT == parse_configuration_request("LifecycleConfiguration", body)["Rules"][0]["Expiration"]["Date"]


@given(st.sampled_from(sorted(DOCUMENTS)), st.binary(max_size=200))
def test_no_body_breaks_a_reader(name: str, body: bytes) -> None:
    """Whatever bytes come, a reader gives one of our errors."""
    for parse in (parse_configuration, parse_configuration_request):
        with pytest.raises((ProtocolError, ServiceError)):
            parse(name, body)
