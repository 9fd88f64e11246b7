"""Which operation a request is: nothing falls through, and every name is exactly the one that was sent."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func.message import Request
from s3func.server import S3App
from s3func.server.addressing import Target, parse_target
from s3func.server.backend import ObjectAttributes
from s3func.server.routing import METHODS, PARAMETERS, ROUTES, SUBRESOURCES
from s3func.wire.encoding import encode_component, encode_path, encode_query
from tests.interop.keys import HOSTILE_KEYS
from tests.server.forge import KEY_ID, SECRET, Caller, code, path_of, read, sign

BUCKET_SUBRESOURCES = [*sorted(SUBRESOURCES - {"location", "list-type", "versions"}), "not-yet-invented"]
PARTS = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
OBJECT_SUBRESOURCES = [*sorted(SUBRESOURCES), "not-yet-invented"]


@pytest.mark.parametrize("form", ["{}", "{}="])
@pytest.mark.parametrize("name", OBJECT_SUBRESOURCES)
def test_a_subresource_of_an_object_is_never_the_object(caller: Caller, name: str, form: str) -> None:
    """PUT ?tagging does not overwrite the object, DELETE ?tagging does not delete it, GET ?acl does not read it."""
    caller.put("key", b"precious")
    for method in ("GET", "PUT", "POST", "DELETE"):
        response = caller(method, "/bkt/key", form.format(name), b"<Tagging/>" if method in {"PUT", "POST"} else b"")
        if (method, "object", name) not in ROUTES:
            assert (501, "NotImplemented") == code(response), method
    if ("HEAD", "object", name) not in ROUTES:
        assert 501 == caller("HEAD", "/bkt/key", form.format(name)).status
    assert b"precious" == read(caller("GET", "/bkt/key"))


@pytest.mark.parametrize("name", BUCKET_SUBRESOURCES)
def test_a_subresource_of_a_bucket_is_never_the_bucket(caller: Caller, name: str) -> None:
    """DELETE ?policy does not delete the bucket, and PUT ?versioning does not try to make it."""
    for method in ("GET", "PUT", "POST", "DELETE"):
        if (method, "bucket", name) not in ROUTES:
            assert (501, "NotImplemented") == code(caller(method, "/bkt", name)), method
    assert 200 == caller("HEAD", "/bkt").status


def test_parts_are_not_objects(caller: Caller) -> None:
    """UploadPart, CompleteMultipartUpload and AbortMultipartUpload leave the object of that key alone."""
    caller.put("key", b"precious")
    for method, query in [("PUT", "partNumber=1&uploadId=x"), ("POST", "uploadId=x"), ("DELETE", "uploadId=x")]:
        assert (404, "NoSuchUpload") == code(caller(method, "/bkt/key", query, PARTS if method == "POST" else b""))
    assert b"precious" == read(caller("GET", "/bkt/key"))


@pytest.mark.parametrize("query", ["x-id=PutObject", "x-amz-anything", "unknown=value", "X-Amz-Whatever=1"])
def test_harmless_parameters_are_ignored(caller: Caller, query: str) -> None:
    """What SDKs add to a query, and what has a value and no meaning, changes nothing."""
    assert 200 == caller("PUT", "/bkt/key", query, b"body").status
    assert b"body" == read(caller("GET", "/bkt/key", query))


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "CONNECT", "PROPFIND", "get", ""])
def test_other_methods_are_not_allowed(caller: Caller, method: str) -> None:
    """A method that S3 does not have is 405, and the answer says which there are."""
    response = caller(method, "/bkt/key")
    assert "GET, HEAD, PUT, POST, DELETE" == response.headers["allow"]
    assert (405, "MethodNotAllowed") == code(response)


@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("DELETE", "/"), ("PUT", "/"), ("POST", "/bkt/key")])
def test_methods_that_a_scope_does_not_have(caller: Caller, method: str, path: str) -> None:
    """DELETE of the service, POST to an object: 405."""
    assert (405, "MethodNotAllowed") == code(caller(method, path))


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_hostile_keys_are_exact(caller: Caller, key: str) -> None:
    """Every key is stored, read, headed, listed, copied and deleted as itself, and has no neighbours."""
    body = repr(key).encode()
    path = "/bkt/" + encode_path(key)
    assert 200 == caller("PUT", path, body=body).status
    assert body == read(caller("GET", path_of(key)))
    assert 200 == caller("HEAD", path).status
    assert [key] == [row.key for row in caller.app.backend.list_objects("bkt").rows]
    headers = {"x-amz-copy-source": "bkt/" + encode_path(key)}
    assert 200 == caller("PUT", "/bkt/the-copy", headers=headers).status
    assert body == read(caller("GET", "/bkt/the-copy"))
    assert 204 == caller("DELETE", path).status
    assert ["the-copy"] == [row.key for row in caller.app.backend.list_objects("bkt").rows]


@given(st.text(min_size=1, max_size=60).filter(lambda key: "\0" not in key and _is_text(key)))
def test_any_key_arrives_as_it_is(key: str) -> None:
    """Whatever the key, its path leads back to it, escaped as little or as much as the rules allow."""
    assert Target("object", "bkt", key) == parse_target(path_of(key), "localhost", ("localhost",))
    assert Target("object", "bkt", key) == parse_target("/bkt/" + encode_path(key), "127.0.0.1:80", ("localhost",))
    assert Target("object", "bkt", key) == parse_target("/" + encode_path(key), "bkt.localhost:80", ("localhost",))


def _is_text(key: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in key)


def test_a_key_is_decoded_once(caller: Caller) -> None:
    """`a%2520b` in a path is the key `a%20b`, `+` is a plus sign, and %2F and / are the same character."""
    caller.put("a%2520b", b"escaped")
    caller.put("a+b", b"plus")
    caller.put("a%2F%2Fb", b"slashes")
    assert ["a%20b", "a+b", "a//b"] == [row.key for row in caller.app.backend.list_objects("bkt").rows]
    assert b"slashes" == read(caller("GET", "/bkt/a//b"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/bkt/a%00b", "InvalidArgument"),
        ("/bkt/%ff", "InvalidURI"),
        ("/bkt/%C3", "InvalidURI"),
        ("/bkt/%ED%A0%80", "InvalidURI"),
        ("/bkt/100%", "InvalidURI"),
        ("/bkt/%zz", "InvalidURI"),
        ("/bkt/" + "k" * 1025, "KeyTooLongError"),
        ("/bkt/" + "%C3%A9" * 513, "KeyTooLongError"),
        ("/..", "InvalidBucketName"),
        ("/../..", "InvalidBucketName"),
        ("/%2e%2e", "InvalidBucketName"),
        ("/.", "InvalidBucketName"),
        ("//", "InvalidBucketName"),
        ("//bkt/key", "InvalidBucketName"),
        ("/bkt%2Fkey", "InvalidBucketName"),
        ("/BKT/key", "InvalidBucketName"),
        ("/b/key", "InvalidBucketName"),
        ("/192.168.0.1/key", "InvalidBucketName"),
        ("/b%00t/key", "InvalidBucketName"),
        ("*", "InvalidURI"),
        ("", "InvalidURI"),
        ("/bkt/\u00e9", "InvalidURI"),
    ],
)
def test_what_is_no_name_is_refused(caller: Caller, path: str, expected: str) -> None:
    """A path that names no possible bucket or key is a clear 400, for every method, and nothing is touched."""
    caller.put("key", b"precious")
    for method in ("GET", "PUT", "DELETE"):
        headers = sign(method, encode_path(path))
        response = caller.app(Request(method, "http://localhost", path, "", headers))
        assert (400, expected) == code(response)
    assert ["key"] == [row.key for row in caller.app.backend.list_objects("bkt").rows]


@pytest.mark.parametrize("query", ["prefix=%ff", "prefix=%", "%zz=1", "list-type=2&prefix=%C3"])
def test_a_query_that_is_no_text_is_refused(caller: Caller, query: str) -> None:
    """A query that cannot be decoded is a 400."""
    assert (400, "InvalidURI") == code(caller("GET", "/bkt", query))


HOSTS = [
    ("bkt.localhost", "/key", "bkt", "key"),
    ("BKT.LocalHost:8080", "/key", "bkt", "key"),
    ("bkt.s3.example.com", "/key", "bkt", "key"),
    ("a.bkt.s3.example.com:443", "/a/key", "a.bkt", "a/key"),
    ("localhost", "/bkt/key", "bkt", "key"),
    ("localhost:10001", "/bkt/key", "bkt", "key"),
    ("s3.example.com", "/bkt/key", "bkt", "key"),
    ("127.0.0.1:10001", "/bkt/key", "bkt", "key"),
    ("[::1]:10001", "/bkt/key", "bkt", "key"),
    ("::1", "/bkt/key", "bkt", "key"),
    ("bkt.elsewhere.com", "/bkt/key", "bkt", "key"),
    ("evils3.example.com", "/bkt/key", "bkt", "key"),
    ("", "/bkt/key", "bkt", "key"),
    ("bkt.localhost", "//key", "bkt", "/key"),
    ("bkt.localhost", "/", "bkt", ""),
]


@pytest.mark.parametrize(("host", "path", "bucket", "key"), HOSTS)
def test_where_the_bucket_stands(host: str, path: str, bucket: str, key: str) -> None:
    """A sub-domain of a domain of ours is a bucket; localhost with a port, addresses and other hosts are not."""
    found = parse_target(path, host, ("s3.example.com", "localhost"))
    assert (bucket, key) == (found.bucket, found.key)
    assert ("object" if key else "bucket") == found.scope


def test_virtual_hosts_work(caller: Caller) -> None:
    """An object that was put by path is read through its bucket's own host, with the signature over that host."""
    caller.put("a//b", b"body")
    headers = sign("GET", "/a//b", host="bkt.localhost:1234")
    assert b"body" == read(caller.app(Request("GET", "http://bkt.localhost:1234", "/a//b", "", headers)))


def test_a_domain_of_ones_own() -> None:
    """`domain` is one name or several, and localhost goes on being one."""
    for domain in ("s3.example.com", ["other.example", ".S3.Example.com."]):
        app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET, domain=domain)
        for host in ("bkt.s3.example.com", "other.localhost"):
            headers = sign("PUT", "/", host=host)
            assert 200 == app(Request("PUT", f"http://{host}", "/", "", headers)).status
        assert ["bkt", "other"] == [bucket.name for bucket in app.backend.list_buckets()]


def test_every_answer_has_a_request_id(caller: Caller) -> None:
    """Answers and refusals carry an id of their own, by which the log can be searched, and the date."""
    answers = [caller("HEAD", "/bkt"), caller("GET", "/bkt/none"), caller("HEAD", "/bkt/none"), caller("GET", "/")]
    ids = {answer.headers["x-amz-request-id"] for answer in answers}
    assert len(answers) == len(ids)
    assert all(re.fullmatch("[0-9A-F]{16}", request_id) for request_id in ids)
    assert all(answer.headers["x-amz-id-2"] and answer.headers["date"] for answer in answers)


def test_an_error_to_head_has_no_body(caller: Caller) -> None:
    """HEAD is refused with a status alone."""
    for path, status in [("/bkt/none", 404), ("/none", 404), ("/..", 400), ("/bkt/%00", 400)]:
        response = caller("HEAD", path)
        assert (status, b"") == (response.status, read(response))


def test_a_fault_of_the_store_is_an_internal_error(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    """What no one foresaw is a 500 without details; the log has them, under the request id."""

    def fail(*_: object) -> None:
        raise RuntimeError("the disk is on fire")

    caller.app.backend.head_object = fail  # type: ignore[method-assign, assignment] # a broken store
    response = caller("HEAD", "/bkt/key")
    assert 500 == response.status
    assert response.headers["x-amz-request-id"] in caplog.text
    assert "the disk is on fire" in caplog.text


def test_a_repeated_parameter_counts_once(caller: Caller) -> None:
    """Of two values of one parameter, the first counts."""
    caller.put("a1")
    caller.put("b1")
    assert b"<Key>b1</Key>" in read(caller("GET", "/bkt", "prefix=" + encode_component("b") + "&prefix=a"))


# What a request may be made of: the words of the protocol, and anything.
_WORDS = sorted({sub for _, _, subs in ROUTES for sub in subs.split("+")} | SUBRESOURCES | PARAMETERS)
_HEADERS = (
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-range",
    "content-length",
    "content-md5",
    "content-type",
    "x-amz-copy-source",
    "x-amz-checksum-crc32",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-metadata-directive",
    "x-amz-meta-a",
    "x-amz-storage-class",
    "x-amz-sdk-checksum-algorithm",
    "transfer-encoding",
    "host",
    "authorization",
)
_anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_values = (
    st.sampled_from(["", "0", "1", "*", "2", "bytes=0-", "bytes=-1", "/bkt/key", "COPY", "null", "url"]) | _anything
)
_paths = st.sampled_from(["/", "/bkt", "/bkt/", "/bkt/key", "/other-bucket", "//", "/bkt//", "/bkt/%2e%2e"])


@given(
    st.sampled_from(METHODS) | _anything,
    _paths | _anything.map(lambda text: "/bkt/" + encode_path(text)) | _anything,
    st.lists(st.tuples(st.sampled_from(_WORDS) | _anything, _values), max_size=3).map(encode_query) | _anything,
    st.dictionaries(st.sampled_from(_HEADERS), _values, max_size=4),
    st.sampled_from([b"", b"body", b"<Delete><Object><Key>key</Key></Object></Delete>", b"<a"])
    | st.binary(max_size=20),
)
@settings(max_examples=500)
def test_whatever_is_asked_is_answered(
    method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    """No request, however strange, is the server's own fault, or touches another bucket than the one it names."""
    app = S3App(no_auth=True)
    app.backend.create_bucket("bkt")
    app.backend.create_bucket("bystander")
    with app.backend.begin_put("bystander", "key") as writer:
        writer.commit(ObjectAttributes())
    answer = app(Request(method, "http://localhost", path, query, headers, body))
    assert answer.status < 500 or answer.status == 501
    assert answer.headers["x-amz-request-id"]
    for name, value in answer.headers.items():
        assert "\n" not in name + value
        assert "\r" not in name + value
    assert isinstance(answer.body, bytes)
    assert ["key"] == [row.key for row in app.backend.list_objects("bystander").rows]
