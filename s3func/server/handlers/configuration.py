"""Configurations of buckets that are checked, kept and given back: lifecycle, encryption, website, logging and others.

Rule: of these only the encryption has an effect here, as the default of new objects; docs/server.md says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from s3func.errors import NoSuchBucket, service_error
from s3func.message import Response
from s3func.server.call import Call, Handler
from s3func.server.encryption import ENCRYPTION, check_key_id
from s3func.server.payload import Payload
from s3func.server.powers import editable
from s3func.wire.s3xml_stored import parse_configuration_request, render_configuration

DOCUMENT_BYTES_MAX = 1024 * 1024
"""A thousand rules of a lifecycle, with room."""

_XML = {"content-type": "application/xml"}


class _Kind(NamedTuple):
    """One configuration: its root element, and what a bucket without one is answered with.

    default: the values of a bucket that was never configured; None where that is an error. check: what only the server
    can know of a new one.
    """

    root: str
    code: str = ""
    message: str = ""
    default: Mapping[str, Any] | None = None
    check: Callable[[Call, Mapping[str, Any]], None] | None = None


def _check_target(call: Call, value: Mapping[str, Any]) -> None:
    target = value.get("LoggingEnabled", {}).get("TargetBucket")
    if target is None:
        return
    try:
        info = call.backend.get_bucket(target)
    except NoSuchBucket:
        info = None
    if info is None or info.owner != call.access.info.owner:
        raise service_error(
            "InvalidTargetBucketForLogging", "The target bucket for logging does not exist, or is not yours."
        )


def _check_default_key(call: Call, value: Mapping[str, Any]) -> None:
    default = value["Rules"][0].get("ApplyServerSideEncryptionByDefault", {})
    if default.get("SSEAlgorithm", "AES256") != "AES256":
        check_key_id(default.get("KMSMasterKeyID"), call.kms_key_ids)


def _check_keeps_versions(call: Call, _value: Mapping[str, Any]) -> None:
    if call.access.info.versioning != "Enabled":
        raise service_error(
            "InvalidRequest", "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
        )


# https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
KINDS: Mapping[str, _Kind] = {
    "accelerate": _Kind("AccelerateConfiguration", default={}),
    ENCRYPTION: _Kind(
        "ServerSideEncryptionConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
        check=_check_default_key,
    ),
    "lifecycle": _Kind(
        "LifecycleConfiguration", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"
    ),
    "logging": _Kind("BucketLoggingStatus", default={}, check=_check_target),
    "notification": _Kind("NotificationConfiguration", default={}),
    "replication": _Kind(
        "ReplicationConfiguration",
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
        check=_check_keeps_versions,
    ),
    "requestPayment": _Kind("RequestPaymentConfiguration", default={"Payer": "BucketOwner"}),
    "website": _Kind(
        "WebsiteConfiguration",
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
}
"""The configurations by their sub-resources, which are the names of the documents as well."""


def _getter(name: str, kind: _Kind) -> Handler:
    def get(call: Call) -> Response:
        document = call.access.info.documents.get(name)
        if document is not None:
            return Response(200, dict(_XML), document.encode())
        if kind.default is None:
            raise service_error(kind.code, kind.message, status=404, bucket=call.bucket)
        return Response(200, dict(_XML), render_configuration(kind.root, kind.default))

    return get


def _setter(name: str, kind: _Kind) -> Handler:
    def put(call: Call) -> Response:
        value = parse_configuration_request(kind.root, Payload(call).read(DOCUMENT_BYTES_MAX))
        if kind.check is not None:
            kind.check(call, value)
        document = render_configuration(kind.root, value).decode()
        editable(call.backend).edit_bucket(call.bucket, {name: document})
        return Response(200, {})

    return put


def _remover(name: str) -> Handler:
    def delete(call: Call) -> Response:
        if name in call.access.info.documents:
            editable(call.backend).edit_bucket(call.bucket, {name: None})
        return Response(204, {})

    return delete


ROUTES: Mapping[tuple[str, str, str], Handler] = {
    **{("GET", "bucket", name): _getter(name, kind) for name, kind in KINDS.items()},
    **{("PUT", "bucket", name): _setter(name, kind) for name, kind in KINDS.items()},
    # What every bucket has is not removed, only set to something else.
    **{("DELETE", "bucket", name): _remover(name) for name, kind in KINDS.items() if kind.default is None},
}
