"""The configuration documents that a server keeps and gives back, and that a client sends as plain values.

Each is a row of CONFIGURATIONS: a table of its elements (s3xml_schema.py) and a check of what S3 refuses beyond that.
Rule 1: what a server keeps is the request after reading and checking, written anew: never the bytes that came.
Rule 2: values are AWS's names, as boto3 has them: {"Rules": [{"ID": "a", "Status": "Enabled", …}]}.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from s3func.errors import ServiceError, service_error
from s3func.wire.s3xml_error import open_document
from s3func.wire.s3xml_fields import read_request
from s3func.wire.s3xml_lifecycle import LIFECYCLE, check_lifecycle
from s3func.wire.s3xml_schema import (
    GRANTEE,
    TAG,
    Document,
    Field,
    Value,
    boolean,
    number,
    read_document,
    render_document,
    struct,
    structs,
    text,
    texts,
)

__all__ = [
    "CONFIGURATIONS",
    "parse_configuration",
    "parse_configuration_request",
    "render_configuration",
]

_PUBLIC_ACCESS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_ROUTING_RULES_MAX = 50
# What Ceph and moto call the root element of an answer.
_OTHER_NAMES = {
    "PublicAccessBlockConfiguration": ("BlockPublicAccessBlockConfiguration",),
    "AccelerateConfiguration": ("GetBucketAccelerateConfigurationResponse",),
}
_SSE_ALGORITHMS = ("AES256", "aws:kms", "aws:kms:dsse")


class _Configuration(NamedTuple):
    """A document, and a function that returns it complete or raises what the server answers with."""

    document: Document
    check: Callable[[Value], Value] = dict


def parse_configuration(name: str, body: bytes) -> Value:
    """An answer's configuration as plain values; `name`: its root element, one of CONFIGURATIONS.

    Raises the ServiceError of an `<Error>` in its place, and ProtocolError. Elements that this version of s3func does
    not know are in it, too.
    """
    return read_document(_known(name).document, open_document(body, name, *_OTHER_NAMES.get(name, ())), strict=False)


def parse_configuration_request(name: str, body: bytes) -> Value:
    """A request's configuration as a server takes it: complete, with what S3 would add.

    Raises InvalidRequest: MalformedXML for its form, otherwise the code that S3 has for what is wrong in it.
    `render_configuration` of it is what a server keeps.
    """
    document, check = _known(name)
    return check(read_request(body, name, lambda root: read_document(document, root, strict=True)))


def render_configuration(name: str, value: Mapping[str, Any]) -> bytes:
    """The document of plain values; ValueError or TypeError names the place that cannot be."""
    return render_document(_known(name).document, value)


def _known(name: str) -> _Configuration:
    known = CONFIGURATIONS.get(name)
    if known is None:
        raise ValueError(f"name must be one of {', '.join(CONFIGURATIONS)}, not {name!r}")
    return known


# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html
_ENCRYPTION = Document(
    "ServerSideEncryptionConfiguration",
    (
        structs(
            "Rule",
            "Rules",
            struct(
                "ApplyServerSideEncryptionByDefault",
                text("SSEAlgorithm", required=True),
                text("KMSMasterKeyID"),
            ),
            boolean("BucketKeyEnabled"),
            struct("BlockedEncryptionTypes", texts("EncryptionType", "EncryptionType", "NONE", "SSE-C")),
            required=True,
        ),
    ),
)


def _check_encryption(value: Value) -> Value:
    (rule,) = _exactly_one(value["Rules"])
    default = rule.get("ApplyServerSideEncryptionByDefault", {"SSEAlgorithm": "AES256"})
    if default["SSEAlgorithm"] not in _SSE_ALGORITHMS:
        raise service_error("MalformedXML", f"SSEAlgorithm is one of {', '.join(_SSE_ALGORITHMS)}")
    if default.get("KMSMasterKeyID") is not None and default["SSEAlgorithm"] == "AES256":
        raise service_error(
            "InvalidArgument", "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms"
        )
    return value


# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html
_OWNERSHIP = Document(
    "OwnershipControls",
    (
        structs(
            "Rule",
            "Rules",
            text("ObjectOwnership", "BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced", required=True),
            required=True,
        ),
    ),
)


def _check_ownership(value: Value) -> Value:
    _exactly_one(value["Rules"])
    return value


# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html
_ACCESS_BLOCK = Document("PublicAccessBlockConfiguration", tuple(map(boolean, _PUBLIC_ACCESS)))


def _check_access_block(value: Value) -> Value:
    if not value:
        raise _refused("Must specify at least one configuration.")
    return {name: value.get(name, False) for name in _PUBLIC_ACCESS}


# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLogging.html
_LOGGING = Document(
    "BucketLoggingStatus",
    (
        struct(
            "LoggingEnabled",
            text("TargetBucket", required=True),
            Field(
                "TargetGrants",
                "struct",
                "TargetGrants",
                (GRANTEE, text("Permission", "FULL_CONTROL", "READ", "WRITE", required=True)),
                item="Grant",
            ),
            text("TargetPrefix", required=True),
            struct(
                "TargetObjectKeyFormat",
                struct("SimplePrefix"),
                struct("PartitionedPrefix", text("PartitionDateSource", "EventTime", "DeliveryTime")),
            ),
        ),
    ),
)


def _check_logging(value: Value) -> Value:
    form = value.get("LoggingEnabled", {}).get("TargetObjectKeyFormat")
    if form is not None and len(form) != 1:
        raise service_error("MalformedXML", "TargetObjectKeyFormat is one of SimplePrefix and PartitionedPrefix")
    return value


# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html
_WEBSITE = Document(
    "WebsiteConfiguration",
    (
        struct("RedirectAllRequestsTo", text("HostName", required=True), text("Protocol")),
        struct("IndexDocument", text("Suffix", required=True)),
        struct("ErrorDocument", text("Key", required=True)),
        Field(
            "RoutingRules",
            "struct",
            "RoutingRules",
            (
                struct("Condition", text("HttpErrorCodeReturnedEquals"), text("KeyPrefixEquals")),
                struct(
                    "Redirect",
                    *map(text, ("HostName", "HttpRedirectCode", "Protocol", "ReplaceKeyPrefixWith", "ReplaceKeyWith")),
                    required=True,
                ),
            ),
            item="RoutingRule",
        ),
    ),
)


def _check_website(value: Value) -> Value:
    everything = value.get("RedirectAllRequestsTo")
    if everything is not None:
        if len(value) > 1:
            raise _refused("RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.")
        _check_protocol(everything)
        return value
    suffix = value.get("IndexDocument", {}).get("Suffix")
    if suffix is None:
        raise service_error(
            "InvalidArgument", "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty"
        )
    if not suffix or "/" in suffix:
        raise service_error("InvalidArgument", "The IndexDocument Suffix is not well formed")
    if "ErrorDocument" in value and not value["ErrorDocument"]["Key"]:
        raise service_error("InvalidArgument", "The ErrorDocument Key is not well formed")
    rules = value.get("RoutingRules", [])
    if len(rules) > _ROUTING_RULES_MAX:
        raise _refused(f"{len(rules)} routing rules provided, the number of routing rules is limited to 50.")
    for rule in rules:
        _check_routing(rule)
    return value


def _check_routing(rule: Value) -> None:
    redirect = rule["Redirect"]
    if not redirect:
        raise service_error("MalformedXML", "a Redirect says where to")
    if rule.get("Condition") == {}:
        raise _refused(
            "Condition cannot be empty. To redirect all requests without a condition, the condition element "
            "shouldn't be present."
        )
    _check_protocol(redirect)
    if "ReplaceKeyPrefixWith" in redirect and "ReplaceKeyWith" in redirect:
        raise _refused("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
    code = redirect.get("HttpRedirectCode", "301")
    if re.fullmatch("3[0-9]{2}", code) is None or code == "300":
        raise _refused(f"The provided HTTP redirect code ({code[:20]}) is not valid. Valid codes are 3XX except 300.")
    code = rule.get("Condition", {}).get("HttpErrorCodeReturnedEquals", "404")
    if re.fullmatch("[45][0-9]{2}", code) is None:
        raise _refused(f"The provided HTTP error code ({code[:20]}) is not valid. Valid codes are 4XX or 5XX.")


def _check_protocol(redirect: Value) -> None:
    if redirect.get("Protocol", "http") not in {"http", "https"}:
        raise _refused(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected "
            "automatically."
        )


# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
_NOTIFICATION_FILTER = struct(
    "Filter",
    struct("S3Key", structs("FilterRule", "FilterRules", text("Name"), text("Value")), key="Key"),
)
_EVENTS = texts("Event", "Events", required=True)


def _notification(name: str, key: str, target: str, target_key: str) -> Field:
    return structs(name, key, text("Id"), text(target, key=target_key, required=True), _EVENTS, _NOTIFICATION_FILTER)


_NOTIFICATIONS = Document(
    "NotificationConfiguration",
    (
        _notification("TopicConfiguration", "TopicConfigurations", "Topic", "TopicArn"),
        _notification("QueueConfiguration", "QueueConfigurations", "Queue", "QueueArn"),
        _notification(
            "CloudFunctionConfiguration", "LambdaFunctionConfigurations", "CloudFunction", "LambdaFunctionArn"
        ),
        struct("EventBridgeConfiguration"),
    ),
)

_REQUEST_PAYMENT = Document("RequestPaymentConfiguration", (text("Payer", "Requester", "BucketOwner", required=True),))
_ACCELERATE = Document("AccelerateConfiguration", (text("Status", "Enabled", "Suspended"),))

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketReplication.html
_ON_OFF = text("Status", "Enabled", "Disabled", required=True)
_MINUTES = number("Minutes")
_REPLICATION = Document(
    "ReplicationConfiguration",
    (
        text("Role", required=True),
        structs(
            "Rule",
            "Rules",
            text("ID"),
            number("Priority"),
            text("Prefix"),
            struct(
                "Filter",
                text("Prefix"),
                struct("Tag", *TAG),
                struct("And", text("Prefix"), structs("Tag", "Tags", *TAG)),
            ),
            _ON_OFF,
            struct(
                "SourceSelectionCriteria",
                struct("SseKmsEncryptedObjects", _ON_OFF),
                struct("ReplicaModifications", _ON_OFF),
            ),
            struct("ExistingObjectReplication", _ON_OFF),
            struct(
                "Destination",
                text("Bucket", required=True),
                text("Account"),
                text("StorageClass"),
                struct("AccessControlTranslation", text("Owner", "Destination", required=True)),
                struct("EncryptionConfiguration", text("ReplicaKmsKeyID")),
                struct("ReplicationTime", _ON_OFF, struct("Time", _MINUTES, required=True)),
                struct("Metrics", _ON_OFF, struct("EventThreshold", _MINUTES)),
                required=True,
            ),
            struct("DeleteMarkerReplication", text("Status", "Enabled", "Disabled")),
            required=True,
        ),
    ),
)

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketInventoryConfiguration.html
_INVENTORY = Document(
    "InventoryConfiguration",
    (
        struct(
            "Destination",
            struct(
                "S3BucketDestination",
                text("AccountId"),
                text("Bucket", required=True),
                text("Format", "CSV", "ORC", "Parquet", required=True),
                text("Prefix"),
                struct(
                    "Encryption",
                    struct("SSE-S3", key="SSES3"),
                    struct("SSE-KMS", text("KeyId", required=True), key="SSEKMS"),
                ),
                required=True,
            ),
            required=True,
        ),
        boolean("IsEnabled", required=True),
        struct("Filter", text("Prefix", required=True)),
        text("Id", required=True),
        text("IncludedObjectVersions", "All", "Current", required=True),
        Field("OptionalFields", "text", "OptionalFields", item="Field"),
        struct("Schedule", text("Frequency", "Daily", "Weekly", required=True), required=True),
    ),
)

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html, without the parts for S3 Select
_TIERS = ("Standard", "Bulk", "Expedited")
_RESTORE = Document(
    "RestoreRequest",
    (
        number("Days"),
        struct("GlacierJobParameters", text("Tier", *_TIERS, required=True)),
        text("Tier", *_TIERS),
        text("Description"),
    ),
)


def _exactly_one(rules: list[Value]) -> list[Value]:
    if len(rules) != 1:
        raise service_error("MalformedXML", f"the configuration has one Rule, not {len(rules)}")
    return rules


def _refused(message: str) -> ServiceError:
    return service_error("InvalidRequest", message)


CONFIGURATIONS: Mapping[str, _Configuration] = {
    row.document.root: row
    for row in (
        _Configuration(LIFECYCLE, check_lifecycle),
        _Configuration(_ENCRYPTION, _check_encryption),
        _Configuration(_OWNERSHIP, _check_ownership),
        _Configuration(_ACCESS_BLOCK, _check_access_block),
        _Configuration(_LOGGING, _check_logging),
        _Configuration(_WEBSITE, _check_website),
        _Configuration(_NOTIFICATIONS),
        _Configuration(_REQUEST_PAYMENT),
        _Configuration(_ACCELERATE),
        _Configuration(_REPLICATION),
        _Configuration(_INVENTORY),
        _Configuration(_RESTORE),
    )
}
"""The documents by the names of their root elements."""
