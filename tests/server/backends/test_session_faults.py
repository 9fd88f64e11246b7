"""A gateway whose store fails: what a client of the gateway is told, and that it is never told too much or too little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from s3func import RetryPolicy, S3Session, TransferConfig, testing
from s3func.errors import (
    ConnectionLost,
    NoSuchUpload,
    PreconditionFailed,
    S3FuncError,
    ServerError,
    ServiceError,
    Throttled,
    TruncatedBody,
)
from s3func.server import SessionBackend
from tests.contract.objects import body_of

QUICKLY = RetryPolicy(attempts=3, base_seconds=0.001, throttled_base_seconds=0.001)
ONCE = RetryPolicy(attempts=1)
MIB = 1024 * 1024


class Chain(NamedTuple):
    """A client, and the server behind the gateway that it talks to."""

    client: S3Session
    behind: testing.Server


@pytest.fixture
def chain(request: pytest.FixtureRequest) -> Iterator[Chain]:
    """A client that does not try again, a gateway that does, and a store behind it, all over sockets."""
    with testing.server() as behind:
        inner = behind.session("bucket", retries=QUICKLY)
        with testing.server(SessionBackend(inner)) as front:
            yield Chain(front.session("bucket", create=False, retries=ONCE), behind)


def stored(chain: Chain) -> dict[str, bytes]:
    """What the store has, by its own account."""
    with chain.behind.session("bucket", create=False) as session:
        return {entry.key: session.get_object(entry.key).data for entry in session.list_objects()}


@pytest.mark.parametrize(
    "fault",
    [{"status": 503, "code": "SlowDown"}, {"reset": "before"}, {"reset": "after"}, {"answer": "html"}, {"status": 500}],
)
def test_a_store_that_fails_once_is_not_noticed(chain: Chain, fault: dict[str, Any]) -> None:
    """The gateway tries again; its client, which does not, sees success, once."""
    # The head of a page of HTML is one of an object as well.
    heads = ("HeadObject",) if "answer" not in fault else ()
    for operation in ("PutObject", "GetObject", "DeleteObject", "ListObjectsV2", *heads):
        chain.behind.faults.add(operation, times=1, **fault)
    chain.client.put_object("key", b"body")
    assert b"body" == chain.client.get_object("key").data
    assert 4 == chain.client.head_object("key").size
    assert ["key"] == [entry.key for entry in chain.client.list_objects()]
    chain.client.delete_object("key")
    assert {} == stored(chain)


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ({"status": 503, "code": "SlowDown"}, Throttled, 503),
        ({"status": 500, "code": "InternalError"}, ServerError, 500),
        ({"reset": "before"}, Throttled, 503),
        ({"answer": "html"}, ServerError, 500),
        ({"status": 403, "code": "InvalidAccessKeyId"}, ServerError, 500),
        ({"status": 403, "code": "AccessDenied"}, ServiceError, 403),
        ({"status": 403, "code": "RequestTimeTooSkewed"}, ServerError, 500),
        ({"status": 409, "code": "OperationAborted"}, ServiceError, 409),
        ({"status": 400, "code": "InvalidObjectState"}, ServiceError, 400),
    ],
)
def test_a_store_that_goes_on_failing(
    chain: Chain, fault: dict[str, Any], kind: type[ServiceError], status: int
) -> None:
    """Refusals are passed on; what is between gateway and store is a fault of the server, and tells nothing of it."""
    chain.behind.faults.add("*Object", **fault)
    for call in (
        lambda: chain.client.put_object("key", b"body"),
        lambda: chain.client.get_object("key"),
        lambda: chain.client.delete_object("key"),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert status == caught.value.status
        said = str(caught.value)
        for secret in (chain.behind.access_key_id, chain.behind.secret_access_key, chain.behind.endpoint_url):
            assert secret not in said
    chain.behind.faults.clear()
    assert {} == stored(chain)


def test_a_body_that_breaks_off_is_gone_on_with(chain: Chain) -> None:
    """The gateway fetches the rest of a broken answer; its client gets every byte of one object."""
    body = body_of(3 * MIB)
    chain.client.put_object("key", body)
    chain.behind.faults.add("GetObject", times=2, cut_answer=MIB)
    assert body == chain.client.get_object("key").data


def test_a_body_that_cannot_be_had_is_no_shorter_body(chain: Chain) -> None:
    """Where the rest cannot be fetched the connection to the client ends before its length, and never as if all came."""
    chain.client.put_object("key", body_of(3 * MIB))
    chain.behind.faults.add("GetObject", cut_answer=MIB)
    with pytest.raises((ConnectionLost, TruncatedBody)):
        _ = chain.client.get_object("key").data


def test_a_listing_is_complete_or_an_error(chain: Chain) -> None:
    """A page of the store that breaks off, or does not say whether more follows, is a 5xx and no shorter page."""
    for number in range(5):
        chain.client.put_object(f"key-{number}", b"")
    for answer in ("cut_list", "unmarked_list"):
        with chain.behind.faults.add("ListObjectsV2", answer=answer), pytest.raises(ServiceError) as caught:
            list(chain.client.list_objects())
        assert 500 <= caught.value.status
    assert 5 == len(list(chain.client.list_objects()))


def test_uploads_in_parts_leave_nothing(chain: Chain) -> None:
    """A part that cannot be stored ends the client's upload with an error; the store has neither object nor upload."""
    parts = TransferConfig(multipart_threshold=5 * MIB, part_size=5 * MIB, concurrency=1)
    chain.behind.faults.add("UploadPart", after=1, status=500)
    with pytest.raises(S3FuncError):
        chain.client.put_object("key", body_of(11 * MIB), transfer=parts)
    chain.behind.faults.clear()
    assert {} == stored(chain)
    with chain.behind.session("bucket", create=False) as session:
        assert [] == list(session.list_multipart_uploads())


def test_a_completion_whose_answer_is_lost(chain: Chain) -> None:
    """The store completed, and the answer was lost: the gateway finds out, and the client is told that it is done."""
    parts = TransferConfig(multipart_threshold=5 * MIB, part_size=5 * MIB, concurrency=1)
    chain.behind.faults.add("CompleteMultipartUpload", times=1, reset="after")
    chain.client.put_object("key", body_of(6 * MIB), transfer=parts)
    assert {"key": body_of(6 * MIB)} == stored(chain)


def test_a_put_under_a_condition_whose_answer_is_lost(chain: Chain) -> None:
    """Of a creation that was carried out, and whose answer was lost, nobody is told that somebody else was faster."""
    chain.behind.faults.add("PutObject", times=1, reset="after")
    try:
        chain.client.put_object("key", b"body", if_none_match="*")
    except PreconditionFailed:  # pragma: no cover -- what must not be
        pytest.fail("the object is our own")
    except ServiceError as error:
        assert 500 <= error.status
    assert {"key": b"body"} == stored(chain)


def test_an_upload_that_is_gone(chain: Chain) -> None:
    """An upload that somebody else ended at the store is NoSuchUpload at the gateway."""
    upload = chain.client.create_multipart_upload("key")
    with chain.behind.session("bucket", create=False) as session:
        session.abort_multipart_upload("key", upload.upload_id)
    with pytest.raises(NoSuchUpload):
        chain.client.upload_part("key", upload.upload_id, 1, b"body")
    with pytest.raises(NoSuchUpload):
        chain.client.abort_multipart_upload("key", upload.upload_id)
