"""Presigned URLs: made without a request, equal to botocore's, and good for exactly what they say."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.auth  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

import s3func.testing
from s3func import S3Session
from tests.s3.keys import HOSTILE_KEYS
from tests.s3.rigs import ACCESS_KEY_ID, NOW, SECRET, TOKEN, FrozenClock, Recorder, assert_presigned, encoded, recorded


def fetch(method: str, url: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """One request by the standard library's urllib, as any program without our package would make it."""
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_urls_work_for_whoever_has_them() -> None:
    """Without credentials, a URL puts, gets, heads and deletes its object, and only as long as it lives."""
    with s3func.testing.server() as server:
        session = server.session("bucket")
        key = "a b/c+d%é?#&=.txt"
        assert 200 == fetch("PUT", session.presigned_url("PUT", key), b"by url")[0]
        assert b"by url" == session.get_object(key).data
        assert (200, b"by url") == fetch("GET", session.presigned_url("GET", key))
        assert (200, b"") == fetch("HEAD", session.presigned_url("HEAD", key))
        listing = fetch("GET", session.presigned_url("GET", query={"list-type": 2}))
        assert 200 == listing[0]
        assert b"<ListBucketResult" in listing[1]
        late = S3Session(
            server.access_key_id,
            server.secret_access_key,
            "bucket",
            server.endpoint_url,
            clock=FrozenClock(NOW - 10**8),
        )
        wrong = S3Session(server.access_key_id, "wrong", "bucket", server.endpoint_url)
        url = session.presigned_url("GET", key)
        refused = {
            "another method": fetch("DELETE", url),
            "another key": fetch("GET", url.replace(".txt", ".tx")),
            "a parameter more": fetch("GET", f"{url}&response-content-type=text%2Fhtml"),
            "a longer life": fetch("GET", url.replace("Expires=3600", "Expires=3601")),
            "too late": fetch("GET", late.presigned_url("GET", key, expires=60)),
            "a wrong secret": fetch("GET", wrong.presigned_url("GET", key)),
        }
        assert dict.fromkeys(refused, 403) == {case: status for case, (status, _) in refused.items()}
        late.close()
        wrong.close()
        assert 204 == fetch("DELETE", session.presigned_url("DELETE", key))[0]
        assert not session.exists(key)


def test_what_a_url_fixes_has_to_be_sent() -> None:
    """Headers that were signed must come with the request; response-* parameters change the answer."""
    with s3func.testing.server() as server:
        session = server.session("bucket")
        url = session.presigned_url("PUT", "key", headers={"Content-Type": "text/csv", "x-amz-meta-a": "b"})
        assert 403 == fetch("PUT", url, b"x", **{"Content-Type": "text/html", "x-amz-meta-a": "b"})[0]
        assert 403 == fetch("PUT", url, b"x", **{"Content-Type": "text/csv"})[0]
        assert 200 == fetch("PUT", url, b"x", **{"Content-Type": "text/csv", "x-amz-meta-a": "b"})[0]
        head = session.head_object("key")
        assert ("text/csv", {"a": "b"}) == (head.content_type, head.user_metadata)
        url = session.presigned_url("GET", "key", query={"response-content-type": "text/plain"})
        with urllib.request.urlopen(url, timeout=10) as response:
            assert "text/plain" == response.headers["content-type"]


def test_nothing_is_sent() -> None:
    """A URL is made of what the session knows."""
    recorder = Recorder()
    url = recorded(recorder).presigned_url("GET", "key")
    assert [] == recorder.sent
    assert_presigned("GET", url)
    assert {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{ACCESS_KEY_ID}/20261121/us-east-1/s3/aws4_request",
        "X-Amz-Date": "20261121T100000Z",
        "X-Amz-Expires": "3600",
        "X-Amz-SignedHeaders": "host",
    }.items() <= dict(parse_qsl(urlsplit(url).query)).items()


@contextmanager
def botocore_client(token: str | None, region: str, endpoint_url: str | None) -> Iterator[Any]:
    """botocore's own presigner, at the same moment."""
    session = botocore.session.Session()
    session.set_credentials(ACCESS_KEY_ID, SECRET, token)
    config = botocore.config.Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint_url else "virtual", "us_east_1_regional_endpoint": "regional"},
    )
    client = session.create_client("s3", region, endpoint_url=endpoint_url, config=config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_: datetime.fromtimestamp(NOW, UTC))
        yield client
    client.close()


ORACLE: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("get_object", {}, "GET", {}),
    ("put_object", {}, "PUT", {}),
    ("head_object", {}, "HEAD", {}),
    ("delete_object", {}, "DELETE", {}),
    ("get_object", {"VersionId": "v 1+2"}, "GET", {"version_id": "v 1+2"}),
    (
        "get_object",
        {"ResponseContentType": "text/csv; a=b", "ResponseContentDisposition": 'attachment; filename="é"'},
        "GET",
        {
            "query": {
                "response-content-type": "text/csv; a=b",
                "response-content-disposition": 'attachment; filename="é"',
            }
        },
    ),
    ("upload_part", {"UploadId": "u/1", "PartNumber": 7}, "PUT", {"query": {"uploadId": "u/1", "partNumber": 7}}),
    ("put_object", {"StorageClass": "STANDARD_IA"}, "PUT", {"headers": {"x-amz-storage-class": "STANDARD_IA"}}),
    ("put_object", {"Metadata": {"a": "b  c"}}, "PUT", {"headers": {"x-amz-meta-a": "b  c"}}),
]


@pytest.mark.parametrize("token", [None, TOKEN], ids=["keys", "token"])
@pytest.mark.parametrize(
    ("region", "endpoint_url"),
    [("eu-central-2", None), ("us-east-1", "http://localhost:9000"), ("us-east-1", "https://store.example/s3")],
)
def test_a_url_is_the_one_of_botocore(region: str, endpoint_url: str | None, token: str | None) -> None:
    """Same inputs, same moment: location, parameters and signature are those of botocore, for every operation."""
    with (
        botocore_client(token, region, endpoint_url) as client,
        S3Session(
            ACCESS_KEY_ID, SECRET, "bucket", endpoint_url, region, session_token=token, clock=FrozenClock()
        ) as session,
    ):
        for operation, theirs, method, ours in ORACLE:
            for key in ("key", "a//b c+d/é%?#&", "../x"):
                expected = client.generate_presigned_url(
                    operation, {"Bucket": "bucket", "Key": key, **theirs}, ExpiresIn=77, HttpMethod=method
                )
                url = session.presigned_url(method, key, expires=77, **ours)
                case = (operation, theirs, key)
                assert expected.partition("?")[0] == url.partition("?")[0], case
                assert sorted(parse_qsl(urlsplit(expected).query, True)) == sorted(
                    parse_qsl(urlsplit(url).query, True)
                ), case


@given(
    st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"]),
    st.sampled_from(HOSTILE_KEYS),
    st.integers(1, 604_800),
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10).filter(
            lambda name: not name.lower().startswith("x-amz-")
        ),
        st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        max_size=4,
    ),
)
def test_any_url(method: str, key: str, expires: int, query: dict[str, Any]) -> None:
    """Whatever the key and the parameters, they stand in the URL exactly, and the signature is right."""
    url = recorded(Recorder()).presigned_url(method, key, expires=expires, query=query)
    assert_presigned(method, url)
    parts = urlsplit(url)
    assert f"/bucket/{encoded(key)}" == parts.path
    found = dict(parse_qsl(parts.query, keep_blank_values=True))
    assert {name: "" if value is None else str(value) for name, value in query.items()}.items() <= found.items()
    assert str(expires) == found["X-Amz-Expires"]


def test_a_url_of_the_bucket() -> None:
    """Without a key it is about the bucket itself."""
    url = recorded(Recorder()).presigned_url("get", query={"location": None})
    assert url.startswith("http://localhost/bucket?")
    assert_presigned("GET", url)


@pytest.mark.parametrize("method", ["report", "CONNECT", "TRACE", "LIST"])
def test_a_method_that_s3_does_not_have(method: str) -> None:
    """Method and key that have changed places are noticed, as is a method that S3 would refuse."""
    with pytest.raises(ValueError, match="method must be one of"):
        recorded(Recorder()).presigned_url(method, "GET")


def test_a_url_lives_from_now() -> None:
    """Every URL is dated when it is made, by the session's clock."""
    clock = FrozenClock()
    session = recorded(Recorder(), clock=clock)
    first = session.presigned_url("GET", "key")
    assert first == session.presigned_url("GET", "key")
    clock.time += 1
    assert "X-Amz-Date=20261121T100001Z" in session.presigned_url("GET", "key")
