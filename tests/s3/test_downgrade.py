"""Stores that take no checksums: the default one is left out, once, with a warning; nothing else is ever repeated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from hashlib import sha256
from threading import Barrier, Thread
from typing import Any
from xml.sax.saxutils import escape

import pytest

from s3func.errors import ChecksumRefused, InvalidRequest, NotImplementedByStore, ServiceError
from s3func.message import Request, Response
from tests.faults.scripted import Scripted, answer, refusal
from tests.s3.rigs import Recorder, recorded, success

GENERIC = "A header you provided implies functionality that is not implemented"
# Code, message, details: what stores that know no checksums are known to say.
REFUSALS = [
    ("NotImplemented", GENERIC, {"Header": "x-amz-checksum-crc32"}),
    ("NotImplemented", GENERIC, {}),
    ("NotImplemented", "Header 'x-amz-checksum-crc32' with value 'AAAAAA==' not implemented", {}),
    ("NotImplemented", "Checksums are not supported.", {}),
    ("InvalidArgument", "Unsupported header 'x-amz-checksum-crc32' received for this API call.", {}),
    ("InvalidArgument", "Invalid argument.", {"ArgumentName": "x-amz-checksum-crc32"}),
    ("InvalidRequest", "X-Amz-Checksum-Crc32 is no valid header", {}),
]
# What says nothing about checksum headers, or says that a checksum was looked at.
OTHERS = [
    (400, "InvalidRequest", "Missing required header for this request: Content-MD5", {}),
    (400, "InvalidArgument", "Invalid argument.", {"ArgumentName": "x-amz-storage-class"}),
    (400, "InvalidArgument", "Invalid argument.", {"Resource": "/bucket/x-amz-checksum-crc32"}),
    (400, "BadDigest", "The x-amz-checksum-crc32 you specified did not match what we received.", {}),
    (400, "InvalidRequest", "The value of x-amz-checksum-crc32 does not match the body", {}),
    (400, "InvalidDigest", "x-amz-checksum-crc32", {}),
    (403, "AccessDenied", "x-amz-checksum-crc32 is required by the policy", {}),
    (501, "NotImplemented", GENERIC, {"Header": "x-amz-tagging"}),
    (501, "NotImplemented", "The operation is not implemented", {}),
    (412, "PreconditionFailed", "x-amz-checksum-crc32", {}),
]


def error(status: int, code: str, message: str, details: dict[str, str]) -> Response:
    """An error as stores send it."""
    rows = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in details.items())
    body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{rows}</Error>"
    return Response(status, {"content-type": "application/xml"}, body.encode())


def checksums(headers: dict[str, str]) -> list[str]:
    """The checksum headers of a request."""
    return [name for name in headers if name.startswith("x-amz-checksum-")]


def store_without_checksums(status: int, code: str, message: str, details: dict[str, str]) -> Callable[..., Response]:
    """A store that refuses whatever carries a checksum, and takes all else."""

    def answer_to(request: Request) -> Response:
        return error(status, code, message, details) if checksums(request.headers) else success(request)

    return answer_to


@pytest.mark.parametrize(("code", "message", "details"), REFUSALS, ids=str)
def test_the_default_checksum_is_left_out(code: str, message: str, details: dict[str, str]) -> None:
    """A put is sent again without it, whole; later ones do not try any more; one warning says so."""
    recorder = Recorder(store_without_checksums(501 if code == "NotImplemented" else 400, code, message, details))
    session = recorded(recorder)
    with pytest.warns(ChecksumRefused, match="refuses checksums"):
        session.put_object("a", b"body", metadata={"a": "1"})
    # Any further warning would be an error.
    session.put_object("b", b"more")
    session.put_object("c", b"more", bucket="other")
    assert [["x-amz-checksum-crc32"], [], [], []] == [checksums(sent.headers) for sent in recorder.sent]
    assert [b"body", b"body", b"more", b"more"] == [sent.body for sent in recorder.sent]
    assert "1" == recorder.sent[1].headers["x-amz-meta-a"]


@pytest.mark.parametrize(("status", "code", "message", "details"), OTHERS, ids=str)
def test_an_ordinary_refusal_is_not_repeated(status: int, code: str, message: str, details: dict[str, str]) -> None:
    """What is refused for any other reason is refused: one request, no warning, and checksums as before."""
    recorder = Recorder(lambda _: error(status, code, message, details))
    session = recorded(recorder)
    with pytest.raises(ServiceError) as caught:
        session.put_object("a", b"body")
    assert code == caught.value.code
    assert 1 == len(recorder.sent)
    recorder.answer = success
    session.put_object("a", b"body")
    assert ["x-amz-checksum-crc32"] == checksums(recorder.last.headers)


@pytest.mark.parametrize(
    "given",
    [{"tagging": {"a": "1"}}, {"acl": "private"}, {"storage_class": "X"}, {"if_none_match": "*"}, {"if_match": "e"}],
    ids=str,
)
def test_a_header_that_nobody_names_may_be_another_one(given: dict[str, Any]) -> None:
    """Where the store does not say which header it means, and it can be another one, the checksum stays."""
    recorder = Recorder(lambda _: error(501, "NotImplemented", GENERIC, {}))
    with pytest.raises(NotImplementedByStore):
        recorded(recorder).put_object("a", b"body", **given)
    assert 1 == len(recorder.sent)


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_a_checksum_that_was_asked_for_is_never_dropped(algorithm: str) -> None:
    """Asked for in the call or for the session, it is sent, or the call fails."""
    refused = store_without_checksums(400, "InvalidRequest", f"x-amz-checksum-{algorithm} is unknown", {})
    recorder = Recorder(refused)
    with pytest.raises(InvalidRequest):
        recorded(recorder).put_object("a", b"body", checksum=algorithm)
    with pytest.raises(InvalidRequest):
        recorded(recorder, checksum=algorithm).put_object("a", b"body")
    with pytest.raises(InvalidRequest):
        recorded(recorder).put_object("a", b"body", headers={f"x-amz-checksum-{algorithm}": "AAAA"})
    assert [[f"x-amz-checksum-{algorithm}"]] * 3 == [checksums(sent.headers) for sent in recorder.sent]


def test_a_checksum_is_still_sent_where_it_is_asked_for() -> None:
    """After the store has refused the default one, checksum= counts as before."""
    recorder = Recorder(store_without_checksums(501, "NotImplemented", "no checksum", {}))
    session = recorded(recorder)
    with pytest.warns(ChecksumRefused):
        session.put_object("a", b"body")
    recorder.answer = success
    session.put_object("a", b"body", checksum="crc32c")
    assert ["x-amz-checksum-crc32c"] == checksums(recorder.last.headers)


def test_without_the_checksum_the_signature_covers_the_body() -> None:
    """Over TLS the checksum stood for the body; when it goes, the body's SHA-256 is signed, for files as well."""
    recorder = Recorder(store_without_checksums(501, "NotImplemented", "no checksum", {}))
    session = recorded(recorder)
    large = bytearray(b"x" * 2_000_000)
    with pytest.warns(ChecksumRefused):
        session.put_object("a", large)
    assert ["UNSIGNED-PAYLOAD", sha256(large).hexdigest()] == [
        sent.headers["x-amz-content-sha256"] for sent in recorder.sent
    ]
    assert [large, large] == [sent.body for sent in recorder.sent]


def test_a_batch_of_deletions_goes_on_with_its_md5() -> None:
    """DeleteObjects carries Content-MD5 as well, which stays."""
    recorder = Recorder(store_without_checksums(501, "NotImplemented", "no checksum", {}))
    with pytest.warns(ChecksumRefused):
        recorded(recorder).delete_objects(["a"])
    assert [["x-amz-checksum-crc32"], []] == [checksums(sent.headers) for sent in recorder.sent]
    assert all("content-md5" in sent.headers for sent in recorder.sent)


def test_a_store_that_refuses_all_the_same() -> None:
    """When the checksum was not the reason after all, the second refusal is the error."""
    recorder = Recorder(lambda _: error(501, "NotImplemented", GENERIC, {}))
    with pytest.warns(ChecksumRefused), pytest.raises(NotImplementedByStore):
        recorded(recorder).put_object("a", b"body")
    assert 2 == len(recorder.sent)


def test_threads_that_learn_it_together_warn_once() -> None:
    """Eight puts that are refused at the same time all succeed, and one of them warns."""
    together = Barrier(8)

    def answer_to(request: Request) -> Response:
        if checksums(request.headers):
            together.wait()
            return error(501, "NotImplemented", "no checksum", {})
        return success(request)

    session = recorded(Recorder(answer_to))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        threads = [Thread(target=session.put_object, args=(f"{n}", b"body")) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [ChecksumRefused] == [warning.category for warning in caught]


def test_a_twin_of_a_session_knows_it_too() -> None:
    """A session with other limits that was made before is the same session as far as the store is concerned."""
    recorder = Recorder(store_without_checksums(501, "NotImplemented", "no checksum", {}))
    session = recorded(recorder)
    twin = session.limited(10)
    with pytest.warns(ChecksumRefused):
        twin.put_object("a", b"body")
    session.put_object("b", b"body")
    assert [1, 0, 0] == [len(checksums(sent.headers)) for sent in recorder.sent]


def test_over_a_socket() -> None:
    """The same over HTTP: the second request is whole, and signed anew."""
    with (
        Scripted(
            refusal(501, "NotImplemented", GENERIC, Header="x-amz-checksum-crc32"), answer(etag='"e"'), answer()
        ) as server,
        recorded(Recorder(), transport=None, endpoint_url=server.url) as session,
    ):
        with pytest.warns(ChecksumRefused):
            session.put_object("a", b"body")
        session.put_object("b", b"body")
        assert [True, False, False] == ["x-amz-checksum-crc32" in exchange.headers for exchange in server.requests]
        assert [b"body"] * 3 == [exchange.body for exchange in server.requests]
        first, second = (exchange.headers["authorization"] for exchange in server.requests[:2])
        assert "x-amz-checksum-crc32" in first
        assert "x-amz-checksum-crc32" not in second


def without_questions(request: Request) -> Response:
    """A store that refuses to be asked for the checksums that it keeps, by name where it has a body to say so in."""
    if "x-amz-checksum-mode" not in request.headers:
        return success(request)
    if request.method == "HEAD":
        return Response(400, {})
    return error(400, "InvalidArgument", "Unsupported header 'x-amz-checksum-mode' received for this API call.", {})


def test_a_store_that_cannot_be_asked_for_checksums() -> None:
    """A read is repeated without the question; one that a GET was refused for is not asked again, and that is said once."""
    recorder = Recorder(without_questions)
    with recorded(recorder) as session:
        session.head_object("key")
        heads = [sent.headers for sent in recorder.sent if sent.method == "HEAD"]
        assert ["ENABLED", None] == [headers.get("x-amz-checksum-mode") for headers in heads]
        with pytest.warns(ChecksumRefused, match="x-amz-checksum-mode"):
            session.get_object("key")
        recorder.sent.clear()
        session.get_object("key")
        session.head_object("key")
        assert [None, None] == [sent.headers.get("x-amz-checksum-mode") for sent in recorder.sent]
