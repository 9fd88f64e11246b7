"""Answers that are not what they seem: a success that is an error, a document that is none, a listing that is not whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest

from s3func import S3Session
from s3func.errors import (
    DeleteFailed,
    NoSuchBucket,
    NoSuchKey,
    ProtocolError,
    S3FuncError,
    ServerError,
    ServiceError,
    Throttled,
    TruncatedBody,
)
from tests.faults.clock import FakeClock
from tests.faults.conftest import Connect, Serve
from tests.faults.scripted import Exchange, Step, answer, chunked, error_document, refusal, then_close, then_reset

HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Welcome to the airport</body></html>"
COPIED = b'<?xml version="1.0"?><CopyObjectResult><LastModified>2026-11-21T10:00:00.000Z</LastModified><ETag>"e"</ETag></CopyObjectResult>'
DELETED = b"<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><Key>b</Key></Deleted></DeleteResult>"
BUCKETS = b"<ListAllMyBucketsResult><Buckets><Bucket><Name>bucket</Name></Bucket></Buckets></ListAllMyBucketsResult>"


def page(*keys: str, token: str | None = None, truncated: bool | None = None, count: int | None = None) -> bytes:
    """A page of ListObjectsV2."""
    rows = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-21T10:00:00.000Z</LastModified>"
        f'<ETag>"e"</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>'
        for key in keys
    )
    more = token is not None if truncated is None else truncated
    next_token = "" if token is None else f"<NextContinuationToken>{escape(token)}</NextContinuationToken>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>bucket</Name><Prefix></Prefix><KeyCount>{len(keys) if count is None else count}</KeyCount>"
        f"<MaxKeys>1000</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{next_token}{rows}</ListBucketResult>"
    ).encode()


def versions(*keys: str, marker: str | None = None, version: str = "v", truncated: bool | None = None) -> bytes:
    """A page of ListObjectVersions."""
    rows = "".join(
        f"<Version><Key>{escape(key)}</Key><VersionId>v</VersionId><IsLatest>true</IsLatest>"
        f'<LastModified>2026-11-21T10:00:00.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Version>'
        for key in keys
    )
    more = marker is not None if truncated is None else truncated
    next_marker = ""
    if marker is not None:
        next_marker = f"<NextKeyMarker>{marker}</NextKeyMarker><NextVersionIdMarker>{version}</NextVersionIdMarker>"
    return (
        f"<ListVersionsResult><Name>bucket</Name><IsTruncated>{str(more).lower()}</IsTruncated>{next_marker}{rows}"
        f"</ListVersionsResult>"
    ).encode()


VERBS: dict[str, tuple[Callable[[S3Session], Any], bytes]] = {
    "list_objects": (lambda session: [entry.key for entry in session.list_objects()], page("a", "b")),
    "list_object_versions": (
        lambda session: [entry.key for entry in session.list_object_versions()],
        versions("a", "b"),
    ),
    "copy_object": (lambda session: session.copy_object("a", "b").etag, COPIED),
    "delete_objects": (lambda session: [row.key for row in session.delete_objects(["a", "b"])], DELETED),
    "list_buckets": (lambda session: [bucket.name for bucket in session.list_buckets()], BUCKETS),
}
verbs = pytest.mark.parametrize(("verb", "good"), VERBS.values(), ids=VERBS)

NO_DOCUMENT: dict[str, bytes] = {
    "HTML": answer(200, HTML, content_type="text/html"),
    "JSON": answer(200, b'{"ok": true}'),
    "text": answer(200, b"OK"),
    "nothing": answer(200),
    "nothing but space": answer(200, b"   \n  "),
    "another document": answer(200, b"<Tagging><TagSet></TagSet></Tagging>"),
    "not UTF-8": answer(200, b"<ListBucketResult>\xff\xfe</ListBucketResult>"),
    "a form of another coding": answer(200, b"\x1f\x8b\x08\x00\x00\x00\x00\x00", content_encoding="gzip"),
    "204": answer(204, content_length=None),
}


@verbs
@pytest.mark.parametrize("data", NO_DOCUMENT.values(), ids=NO_DOCUMENT)
def test_a_success_that_is_no_document(
    serve: Serve, connect: Connect, verb: Callable[[S3Session], Any], good: bytes, data: bytes
) -> None:
    """Where a document is expected, anything else is asked for again and then a ProtocolError, never an empty result."""
    with pytest.raises(ProtocolError) as caught:
        verb(connect(serve(always=data), retries=3))
    assert 3 == caught.value.attempts


@verbs
def test_a_document_comes_at_last(
    serve: Serve, connect: Connect, verb: Callable[[S3Session], Any], good: bytes
) -> None:
    """When the airport's page is gone, the call goes on as if nothing had been."""
    expected = verb(connect(serve(answer(200, good))))
    assert expected == verb(connect(serve(answer(200, HTML), answer(200, b""), answer(200, good))))


@verbs
def test_a_cut_document(serve: Serve, connect: Connect, verb: Callable[[S3Session], Any], good: bytes) -> None:
    """A document that lacks its end, in a body that is whole, is a ProtocolError at every cut."""
    cuts = range(1, len(good), max(1, len(good) // 40))
    session = connect(serve(*[answer(200, good[:end]) for end in cuts]), retries=1)
    for _ in cuts:
        with pytest.raises(ProtocolError):
            verb(session)


@verbs
@pytest.mark.parametrize(
    "cut",
    [
        lambda good: then_close(answer(200, good)[:-1]),
        lambda good: then_reset(answer(200, good)[:-1]),
        lambda good: then_close(chunked(good[:50], good[50:])[:-1]),
        lambda good: then_close(chunked(good)[:-30]),
    ],
    ids=["closed", "reset", "last chunk", "in a chunk"],
)
def test_a_body_that_is_cut(
    serve: Serve,
    connect: Connect,
    verb: Callable[[S3Session], Any],
    good: bytes,
    cut: Callable[[bytes], Step],
) -> None:
    """A body that is not whole is asked for again, however much of the document had come."""
    expected = verb(connect(serve(answer(200, good))))
    assert expected == verb(connect(serve(cut(good), answer(200, good))))


def put(session: S3Session) -> object:
    return session.put_object("key", b"body", if_none_match="*").etag


@pytest.mark.parametrize("verb", [*[verb for verb, _ in VERBS.values()], put], ids=[*VERBS, "put_object"])
@pytest.mark.parametrize("space", [b"", b" \n" * 1000], ids=["at once", "after a while"])
def test_a_success_that_is_an_error(
    serve: Serve, connect: Connect, verb: Callable[[S3Session], Any], space: bytes
) -> None:
    """An <Error> in an answer of status 200 is raised as what it is."""
    with pytest.raises(NoSuchKey, match="gone in the meantime") as caught:
        verb(connect(serve(answer(200, space + error_document("NoSuchKey", "gone in the meantime")))))
    assert 1 == caught.value.attempts
    assert "REQ" == caught.value.request_id


@pytest.mark.parametrize("verb", [*[verb for verb, _ in VERBS.values()], put], ids=[*VERBS, "put_object"])
@pytest.mark.parametrize(("code", "kind"), [("InternalError", ServerError), ("SlowDown", Throttled)])
def test_a_success_that_is_an_error_that_passes(
    serve: Serve,
    connect: Connect,
    clock: FakeClock,
    verb: Callable[[S3Session], Any],
    code: str,
    kind: type[ServiceError],
) -> None:
    """One that may pass is tried again, like one that came with its own status."""
    with pytest.raises(kind) as caught:
        verb(connect(serve(always=answer(200, error_document(code))), retries=3))
    assert 3 == caught.value.attempts
    assert 2 == len(clock.slept)


def test_an_object_that_is_an_error_document(serve: Serve, connect: Connect) -> None:
    """An object may have any content, so that of a get is never taken for an error."""
    document = error_document("NoSuchKey")
    assert document == connect(serve(answer(200, document))).get_object("key").data


def test_an_ignored_range(serve: Serve, connect: Connect) -> None:
    """A store that answers a range with the whole object would hand out other bytes: a ProtocolError."""
    with pytest.raises(ProtocolError, match="range"):
        connect(serve(always=answer(200, b"all of it")), retries=2).get_object("key", range_start=4)


def test_rows_that_are_missing_from_a_deletion(serve: Serve, connect: Connect) -> None:
    """A key that the answer to DeleteObjects does not mention counts as not deleted."""
    with pytest.raises(DeleteFailed) as caught:
        connect(serve(answer(200, DELETED))).delete_objects(["a", "b", "c"])
    assert ["c"] == [failure[0] for failure in caught.value.failures]


# --- refusals without a document


@pytest.mark.parametrize("body", [HTML, b"", b"<Error><Code>NoSu", b"\xff\xfe", b"<Error></Error>", b'{"code": 1}'])
def test_a_refusal_without_a_document(serve: Serve, connect: Connect, body: bytes) -> None:
    """The status alone makes a typed error, and the error says what came instead of a document."""
    with pytest.raises(ServiceError) as caught:
        connect(serve(answer(404, body, content_type="text/html", x_amz_request_id="R9"))).get_object("key")
    assert 404 == caught.value.status
    assert "R9" == caught.value.request_id
    assert isinstance(caught.value, ServiceError)


def test_a_refusal_with_an_endless_document(serve: Serve, connect: Connect) -> None:
    """Of a refusal's document no more is read than any error could have; the status says enough."""

    def endless(exchange: Exchange) -> None:
        exchange.send(answer(403, content_length=str(1 << 40)), *[b"x" * (1 << 20)] * 64)

    with pytest.raises(ServiceError) as caught:
        connect(serve(endless)).get_object("key")
    assert 403 == caught.value.status


# --- listings


class Pages:
    """Answers each request of a listing by its token, and counts them."""

    def __init__(self, pages: dict[str, Step | list[Step]]) -> None:
        self._pages = pages

    def __call__(self, exchange: Exchange) -> None:
        query = parse_qs(urlsplit(exchange.target).query)
        token = (query.get("continuation-token") or query.get("key-marker") or [""])[0]
        found = self._pages[token]
        step = found.pop(0) if isinstance(found, list) else found
        if isinstance(step, bytes):
            exchange.send(step)
        else:
            step(exchange)


def seen(entries: Iterator[Any]) -> tuple[list[str], S3FuncError | None]:
    """The keys of a listing, and the error that ended it."""
    keys = []
    try:
        for entry in entries:
            keys.append(entry.key)
            assert len(keys) < 1000, "the listing goes round in circles"
    except S3FuncError as error:
        return keys, error
    return keys, None


def test_pages_are_chained(serve: Serve, connect: Connect) -> None:
    """A listing goes on from token to token, over empty pages as well, to the page that is not truncated."""
    steps: dict[str, Step | list[Step]] = {
        "": answer(200, page("a", "b", token="1 &+/=")),
        "1 &+/=": answer(200, page(token="2")),
        "2": answer(200, page("c")),
    }
    assert (["a", "b", "c"], None) == seen(connect(serve(always=Pages(steps))).list_objects().iter_objects())


SECOND: dict[str, tuple[Step, type[S3FuncError]]] = {
    "500": (refusal(500, "InternalError"), ServerError),
    "404": (refusal(404, "NoSuchBucket"), NoSuchBucket),
    "HTML": (answer(200, HTML), ProtocolError),
    "nothing": (answer(200), ProtocolError),
    "an error": (answer(200, error_document("NoSuchBucket")), NoSuchBucket),
    "cut": (then_close(answer(200, page("c", "d"))[:-1]), TruncatedBody),
    "cut between rows": (answer(200, page("c", "d").partition(b"<Key>d")[0]), ProtocolError),
    "cut without a sign": (answer(200, page("c", count=2)), ProtocolError),
    "truncated without a token": (answer(200, page("c", truncated=True)), ProtocolError),
    "truncated with an empty token": (answer(200, page("c", token="")), ProtocolError),
    "the same token": (answer(200, page("c", token="2")), ProtocolError),
    "the versions": (answer(200, versions("c")), ProtocolError),
}


@pytest.mark.parametrize(("step", "kind"), SECOND.values(), ids=SECOND)
def test_a_second_page_that_fails(serve: Serve, connect: Connect, step: Step, kind: type[S3FuncError]) -> None:
    """A listing whose second page is not to be had raises, after the first page; it never just ends."""
    session = connect(serve(always=Pages({"": answer(200, page("a", "b", token="2")), "2": step})), retries=2)
    keys, error = seen(session.list_objects().iter_objects())
    assert isinstance(error, kind), error
    assert ["a", "b"] == keys[:2]
    with pytest.raises(kind):
        _ = session.list_objects().common_prefixes
    with pytest.raises(kind):
        list(session.list_objects().pages())


def test_a_second_page_that_fails_once(serve: Serve, connect: Connect) -> None:
    """A page that was cut is asked for again by the same token, and no row comes twice."""
    second = answer(200, page("c", "d"))
    steps: dict[str, Step | list[Step]] = {
        "": answer(200, page("a", "b", token="2")),
        "2": [then_close(second[:-1]), answer(200, HTML), then_reset(), second],
    }
    assert (["a", "b", "c", "d"], None) == seen(connect(serve(always=Pages(steps))).list_objects().iter_objects())


@pytest.mark.parametrize("tokens", ["2", "23", "234", "2345678", "23456789A"])
def test_tokens_in_a_circle(serve: Serve, connect: Connect, tokens: str) -> None:
    """A store whose tokens lead back to where they were is noticed, however long the circle is."""
    steps: dict[str, Step | list[Step]] = {"": answer(200, page("a", token=tokens[0]))}
    for token, following in zip(tokens, tokens[1:] + tokens[0], strict=True):
        steps[token] = answer(200, page(f"key{token}", token=following))
    _, error = seen(connect(serve(always=Pages(steps))).list_objects().iter_objects())
    assert isinstance(error, ProtocolError)


def test_versions_that_go_on_within_a_key(serve: Serve, connect: Connect) -> None:
    """The key alone may stay the same from page to page, as long as the version does not."""
    numbers = iter(range(20))

    def step(exchange: Exchange) -> None:
        number = next(numbers)
        exchange.send(answer(200, versions("a", marker="a" if number < 19 else None, version=f"v{number}")))

    keys, error = seen(connect(serve(always=step)).list_object_versions().iter_objects())
    assert (["a"] * 20, None) == (keys, error)


@pytest.mark.parametrize(
    "body",
    [versions("b", marker="a"), versions("b", truncated=True), versions("b", marker=""), HTML, page("b")],
    ids=["the same marker", "no marker", "an empty marker", "HTML", "no versions"],
)
def test_a_second_page_of_versions_that_fails(serve: Serve, connect: Connect, body: bytes) -> None:
    """The same for versions and their markers."""
    steps: dict[str, Step | list[Step]] = {"": answer(200, versions("a", marker="a")), "a": answer(200, body)}
    keys, error = seen(connect(serve(always=Pages(steps)), retries=1).list_object_versions().iter_objects())
    assert "a" == keys[0]
    assert isinstance(error, ProtocolError), error


def test_a_listing_that_fails_deletes_nothing_more(serve: Serve, connect: Connect) -> None:
    """delete_objects(prefix=) whose listing breaks off says so, and does not report success for a part."""

    def step(exchange: Exchange) -> None:
        exchange.read_body()
        if exchange.method == "POST":
            exchange.send(answer(200, DELETED))
        else:
            Pages({"": answer(200, page("a", "b", token="2")), "2": answer(200, HTML)})(exchange)

    with pytest.raises(ProtocolError):
        connect(serve(always=step), retries=1).delete_objects(prefix="p")


def test_the_page_of_a_proxy_is_no_object(serve: Serve, connect: Connect) -> None:
    """HTML with status 200 and no ETag is asked for again, and then a ProtocolError; an object that is HTML is read."""
    page_of_a_proxy = answer(200, HTML, content_type="text/html; charset=utf-8")
    with pytest.raises(ProtocolError, match="HTML") as caught:
        connect(serve(always=page_of_a_proxy), retries=2).get_object("key")
    assert 2 == caught.value.attempts
    stored = answer(200, HTML, content_type="text/html", etag='"1"')
    assert HTML == connect(serve(page_of_a_proxy, stored)).get_object("key").data
