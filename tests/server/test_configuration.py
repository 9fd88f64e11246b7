"""Configurations of buckets: kept as they were put, refused where they cannot be, absent in the way that each is."""

from __future__ import annotations

from typing import Any

import pytest

from s3func.server.handlers.configuration import KINDS
from s3func.wire.s3xml_stored import parse_configuration, render_configuration
from tests.server.forge import Caller, code, read

VALUES: dict[str, dict[str, Any]] = {
    "accelerate": {"Status": "Enabled"},
    "encryption": {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
    "lifecycle": {"Rules": [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "a/"}, "Expiration": {"Days": 1}}]},
    "logging": {"LoggingEnabled": {"TargetBucket": "bkt", "TargetPrefix": "logs/"}},
    "notification": {"QueueConfigurations": [{"Id": "a", "QueueArn": "arn:q", "Events": ["s3:ObjectCreated:*"]}]},
    "replication": {
        "Role": "arn:aws:iam::1:role/r",
        "Rules": [{"ID": "a", "Prefix": "", "Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::b"}}],
    },
    "requestPayment": {"Payer": "Requester"},
    "website": {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}},
}
ABSENT = {
    "encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "lifecycle": "NoSuchLifecycleConfiguration",
    "replication": "ReplicationConfigurationNotFoundError",
    "website": "NoSuchWebsiteConfiguration",
}


def versioned(caller: Caller) -> None:
    """Let the bucket keep versions, which replication needs."""
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert 200 == caller("PUT", "/bkt", "versioning=", body).status


def test_every_configuration_is_tried() -> None:
    """The tables of this file are complete."""
    assert set(KINDS) == set(VALUES)
    assert set(ABSENT) == {name for name, kind in KINDS.items() if kind.default is None}


@pytest.mark.parametrize("name", VALUES)
def test_what_was_put_is_returned(caller: Caller, name: str) -> None:
    """GET answers with the values of PUT, in the same elements."""
    versioned(caller)
    root = KINDS[name].root
    answer = caller("PUT", "/bkt", f"{name}=", render_configuration(root, VALUES[name]))
    assert 200 == answer.status, read(answer)
    assert VALUES[name] == parse_configuration(root, read(caller("GET", "/bkt", f"{name}=")))


@pytest.mark.parametrize(("name", "expected"), ABSENT.items())
def test_what_is_absent_is_an_error(caller: Caller, name: str, expected: str) -> None:
    """Before it is put and after it was deleted there is none; deleting twice is no error."""
    versioned(caller)
    assert (404, expected) == code(caller("GET", "/bkt", f"{name}="))
    caller("PUT", "/bkt", f"{name}=", render_configuration(KINDS[name].root, VALUES[name]))
    for _ in range(2):
        assert 204 == caller("DELETE", "/bkt", f"{name}=").status
        assert (404, expected) == code(caller("GET", "/bkt", f"{name}="))


@pytest.mark.parametrize("name", sorted(set(VALUES) - set(ABSENT)))
def test_what_every_bucket_has(caller: Caller, name: str) -> None:
    """A bucket that was never configured answers with the default, and there is nothing to delete."""
    root, default = KINDS[name].root, KINDS[name].default
    assert default == parse_configuration(root, read(caller("GET", "/bkt", f"{name}=")))
    assert (501, "NotImplemented") == code(caller("DELETE", "/bkt", f"{name}="))


@pytest.mark.parametrize("name", VALUES)
def test_malformed_documents_are_refused(caller: Caller, name: str) -> None:
    """What is no such document is MalformedXML, and nothing is kept."""
    before = caller("GET", "/bkt", f"{name}=").status
    for body in (b"", b"<a", b"<Other/>"):
        assert (400, "MalformedXML") == code(caller("PUT", "/bkt", f"{name}=", body))
    assert before == caller("GET", "/bkt", f"{name}=").status


def test_what_only_the_server_knows(caller: Caller) -> None:
    """Replication needs versions, logging a bucket to write to, aws:kms a key."""
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("replication", VALUES["replication"], "InvalidRequest"),
        ("logging", {"LoggingEnabled": {"TargetBucket": "none", "TargetPrefix": ""}}, "InvalidTargetBucketForLogging"),
        (
            "encryption",
            {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]},
            "InvalidArgument",
        ),
    ]
    for name, value, expected in cases:
        body = render_configuration(KINDS[name].root, value)
        assert (400, expected) == code(caller("PUT", "/bkt", f"{name}=", body))
