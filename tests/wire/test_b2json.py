"""The documents of the B2 native API: shapes that the service was seen to send, and each pair as inverse functions.

The shapes are those of recorded traffic (2021, v2), of the reference (v3, v4) and of Backblaze's own clients.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func.errors import (
    AccessDenied,
    BucketAlreadyExists,
    BucketNotEmpty,
    Conflict,
    InvalidCredentials,
    InvalidRange,
    InvalidRequest,
    NoSuchBucket,
    NotFound,
    ProtocolError,
    ServerError,
    Throttled,
)
from s3func.wire import b2json, b2json_account
from s3func.wire.b2json import StoredFile
from s3func.wire.b2json_account import AllowedBucket, ApplicationKey, Authorization

FLAT = {
    "absoluteMinimumPartSize": 5000000,
    "accountId": "abcdef123456",
    "apiUrl": "https://api005.backblazeb2.com",
    "authorizationToken": "4_0023_token",
    "downloadUrl": "https://f005.backblazeb2.com",
    "recommendedPartSize": 100000000,
    "s3ApiUrl": "https://s3.us-west-005.backblazeb2.com",
}
ALLOWED_V2 = {"bucketId": None, "bucketName": None, "capabilities": ["listFiles"], "namePrefix": None}


def storage(**fields: Any) -> dict[str, Any]:
    """The storageApi object of v3 and v4."""
    urls = {name: value for name, value in FLAT.items() if name not in {"accountId", "authorizationToken"}}
    return {
        "accountId": FLAT["accountId"],
        "authorizationToken": FLAT["authorizationToken"],
        "applicationKeyExpirationTimestamp": None,
        "apiInfo": {"storageApi": {**urls, "infoType": "storageApi", **fields}, "groupsApi": {"capabilities": []}},
    }


AUTHORIZATIONS = {
    "v1": ({**FLAT, "minimumPartSize": 100000000, "allowed": ALLOWED_V2}, None),
    "v2": ({**FLAT, "allowed": ALLOWED_V2}, None),
    "v2 restricted": (
        {**FLAT, "allowed": {**ALLOWED_V2, "bucketId": "8d625eb63be2775577c70e1a", "bucketName": "a-bucket"}},
        (AllowedBucket("8d625eb63be2775577c70e1a", "a-bucket"),),
    ),
    "v3": (storage(bucketId=None, bucketName=None, capabilities=["listFiles"], namePrefix=None), None),
    "v3 restricted": (
        storage(bucketId="8d625e", bucketName="a-bucket", capabilities=["listFiles"], namePrefix=None),
        (AllowedBucket("8d625e", "a-bucket"),),
    ),
    "v4": (storage(allowed={"buckets": None, "capabilities": ["listFiles"], "namePrefix": None}), None),
    "v4 restricted": (
        storage(
            allowed={
                "buckets": [{"id": "8d625e", "name": "a-bucket"}, {"id": "9d625e", "name": None}],
                "capabilities": ["listFiles"],
                "namePrefix": None,
            }
        ),
        (AllowedBucket("8d625e", "a-bucket"), AllowedBucket("9d625e", None)),
    ),
}


@pytest.mark.parametrize(("document", "buckets"), AUTHORIZATIONS.values(), ids=AUTHORIZATIONS)
def test_every_version_of_an_authorization(document: dict[str, Any], buckets: tuple[AllowedBucket, ...] | None) -> None:
    """All versions say the same: addresses, capabilities, and which buckets a key is for; null is no restriction."""
    parsed = b2json_account.parse_authorization(json.dumps(document).encode())
    assert (
        Authorization(
            account_id="abcdef123456",
            token="4_0023_token",
            api_url="https://api005.backblazeb2.com",
            download_url="https://f005.backblazeb2.com",
            s3_api_url="https://s3.us-west-005.backblazeb2.com",
            capabilities=("listFiles",),
            buckets=buckets,
        )
        == parsed
    )
    assert "token" not in repr(parsed).replace("token='***'", "")
    assert parsed == b2json_account.parse_authorization(b2json_account.render_authorization(parsed))


HIDE = {
    "accountId": "abcdef123456",
    "action": "hide",
    "bucketId": "8d625eb63be2775577c70e1a",
    "contentLength": 0,
    "contentMd5": "d41d8cd98f00b204e9800998ecf8427e",
    "contentSha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "contentType": "application/x-bz-hide-marker",
    "fileId": "4_z8d625eb63be2775577c70e1a_f111954e3108ff3f6_d20210310_m175320_c002_v0001158_t0000",
    "fileInfo": {},
    "fileName": "test-file.txt",
    "uploadTimestamp": 1615398800000,
}
LARGE = {
    "action": "upload",
    "contentLength": 100000100,
    "contentMd5": None,
    "contentSha1": "none",
    "contentType": "b2/x-auto",
    "fileId": "4_z8d62_f2",
    "fileInfo": {"large_file_sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    "fileName": "large",
    "fileRetention": {"isClientAuthorizedToRead": False, "value": None},
    "legalHold": {"isClientAuthorizedToRead": True, "value": None},
    "serverSideEncryption": {"algorithm": None, "mode": None},
    "uploadTimestamp": 1615398800000,
    "replicationStatus": "pending",
}
FOLDER = {
    "action": "folder",
    "contentLength": 0,
    "contentSha1": None,
    "contentType": None,
    "fileId": None,
    "fileInfo": {},
    "fileName": "logs/",
    "uploadTimestamp": 0,
}


def test_rows_of_every_kind() -> None:
    """Hide markers, large files, folders, unfinished files and rows of v1 are all read."""
    rows = [HIDE, LARGE, FOLDER, {"fileName": "x"}, {"fileName": "y", "action": "upload", "size": 7}]
    page = b2json.parse_files(json.dumps({"files": rows, "nextFileName": "z", "nextFileId": None}).encode())
    assert ["hide", "upload", "folder", "start", "upload"] == [file.action for file in page.files]
    assert [0, 100000100, 0, 0, 7] == [file.size for file in page.files]
    assert ("z", None) == (page.next_file_name, page.next_file_id)
    assert HIDE["fileId"] == page.files[0].file_id
    assert page.files[0].retention is None
    assert page == b2json.parse_files(b2json.render_files(page))
    assert page == b2json.parse_files(b2json.render_files(page, v1=True))


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FILES = st.tuples(
    TEXT,
    st.sampled_from(["upload", "hide", "folder", "copy"]),
    st.none() | TEXT,
    st.integers(0, 10**13),
    st.none() | TEXT,
    st.none() | TEXT,
    st.none() | TEXT,
    st.dictionaries(TEXT, TEXT, max_size=3),
    st.integers(0, 2**53),
    st.none() | TEXT,
    st.none() | TEXT,
).map(lambda fields: StoredFile(*fields))


@given(FILES)
def test_a_file_comes_back(file: StoredFile) -> None:
    """Rendering and parsing a file are inverse."""
    assert file == b2json.parse_file(b2json.render_file(file))


@given(st.lists(FILES, max_size=3), st.none() | TEXT, st.none() | TEXT)
def test_a_page_comes_back(files: list[StoredFile], name: str | None, file_id: str | None) -> None:
    """Rendering and parsing a page are inverse."""
    page = b2json.FilesPage(files, name, file_id)
    assert page == b2json.parse_files(b2json.render_files(page))


def test_the_other_documents_come_back() -> None:
    """Upload URLs, parts, tokens for downloads, buckets and keys: rendering and parsing are inverse."""
    for part in (True, False):
        url = b2json.UploadUrl("https://pod.test/b2api/v2/x", "secret", "id")
        assert url == b2json.parse_upload_url(b2json.render_upload_url(url, part=part))
    assert "secret" not in repr(url)
    stored = b2json.StoredPart(3, 100, "0" * 40, "id", None, 17)
    assert stored == b2json.parse_part(b2json.render_part(stored))
    parts = b2json.PartsPage([stored], 4)
    assert parts == b2json.parse_parts(b2json.render_parts(parts))
    granted = b2json.DownloadAuthorization("id", "prefix", "secret")
    assert granted == b2json.parse_download_authorization(b2json.render_download_authorization(granted))
    assert "secret" not in repr(granted)
    key = ApplicationKey("id", "name", ("readFiles",), ("b1", "b2"), "a/", 17, "secret", "account")
    assert key == b2json_account.parse_key(b2json_account.render_key(key))
    assert "secret" not in repr(key)
    keys = b2json_account.KeysPage([key._replace(application_key=None, bucket_ids=None)], "next")
    assert keys == b2json_account.parse_keys(b2json_account.render_keys(keys))
    bucket = b2json_account.parse_bucket(
        b'{"accountId": "a", "bucketId": "i", "bucketName": "n", "bucketType": "allPrivate", "revision": 3, "new": {}}'
    )
    assert ("i", "n", "allPrivate", 3, {}) == (*bucket[:4], bucket.settings["new"])
    assert bucket == b2json_account.parse_bucket(b2json_account.render_bucket(bucket))
    assert [bucket] == b2json_account.parse_buckets(b2json_account.render_buckets([bucket]))


def test_a_key_of_version_3_has_one_bucket() -> None:
    """bucketId of older versions is a list of one."""
    parsed = b2json_account.parse_key(b'{"applicationKeyId": "i", "keyName": "n", "bucketId": "b", "capabilities": []}')
    assert ("b",) == parsed.bucket_ids


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "bad_request", InvalidRequest),
        (400, "bad_bucket_id", NoSuchBucket),
        (400, "duplicate_bucket_name", BucketAlreadyExists),
        (400, "cannot_delete_non_empty_bucket", BucketNotEmpty),
        (400, "file_not_present", NotFound),
        (400, "something_new", InvalidRequest),
        (401, "bad_auth_token", InvalidCredentials),
        (401, "expired_auth_token", InvalidCredentials),
        (401, "unauthorized", AccessDenied),
        (401, "something_new", AccessDenied),
        (403, "storage_cap_exceeded", AccessDenied),
        (403, "something_cap_exceeded", AccessDenied),
        (404, "not_found", NotFound),
        (408, "request_timeout", ServerError),
        (408, "something_new", ServerError),
        (409, "conflict", Conflict),
        (416, "range_not_satisfiable", InvalidRange),
        (429, "too_many_requests", Throttled),
        (500, "internal_error", ServerError),
        (503, "service_unavailable", Throttled),
        (520, "something_new", ServerError),
    ],
)
def test_every_error_has_its_class(status: int, code: str, kind: type[Exception]) -> None:
    """A code decides the class; with an unknown one the status does."""
    document = b2json.parse_error(b2json.render_error(status, code, "why"))
    assert document is not None
    error = b2json.typed_error(*document)
    assert kind is type(error)
    assert (status, code, "why") == (error.status, error.code, error.message)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"{}", b'{"status": "400", "code": 1}', b"\xff"])
def test_what_is_no_error_document(body: bytes) -> None:
    """A proxy's page is not taken for an error of B2."""
    assert b2json.parse_error(body) is None


PARSERS = [
    b2json.parse_file,
    b2json.parse_files,
    b2json.parse_upload_url,
    b2json.parse_part,
    b2json.parse_parts,
    b2json.parse_download_authorization,
    b2json_account.parse_authorization,
    b2json_account.parse_bucket,
    b2json_account.parse_buckets,
    b2json_account.parse_key,
    b2json_account.parse_keys,
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "files",
                    "fileName",
                    "action",
                    "fileInfo",
                    "parts",
                    "partNumber",
                    "contentSha1",
                    "buckets",
                    "bucketId",
                    "keys",
                    "uploadUrl",
                    "authorizationToken",
                    "apiInfo",
                    "storageApi",
                    "allowed",
                    "accountId",
                    "capabilities",
                    "size",
                    "apiUrl",
                    "downloadUrl",
                    "applicationKeyId",
                    "keyName",
                    "bucketIds",
                    "bucketName",
                    "fileNamePrefix",
                    "id",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@settings(max_examples=60)
@given(document=JSON, known=st.booleans())
def test_nothing_else_is_believed(parse: Any, document: Any, known: bool) -> None:
    """Whatever arrives is a document of the right shape or a ProtocolError, and no other exception."""
    if known and isinstance(document, dict):
        # So that what comes behind the first required field is looked at as well.
        names = (
            "accountId",
            "authorizationToken",
            "apiUrl",
            "downloadUrl",
            "applicationKeyId",
            "keyName",
            "bucketName",
        )
        document = {**dict.fromkeys(names, "x"), **document}
    try:
        parse(json.dumps(document).encode())
    except ProtocolError:
        return


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"files": [', b"\xff\xfe", b"[" * 100_000])
def test_broken_documents_are_refused(parse: Any, body: bytes) -> None:
    """ProtocolError for what is no JSON, or is cut off, or is nested without end."""
    with pytest.raises(ProtocolError):
        parse(body)


def test_requests() -> None:
    """What is None is left out of a request; an explicit null is read as left out."""
    assert b'{"a":1,"c":[null]}' == b2json.render_request({"a": 1, "b": None, "c": [None]})
    assert {"a": 1} == b2json.parse_request(b'{"a": 1, "b": null}')
    assert {} == b2json.parse_request(b"  ")
    for body in (b"[]", b"{", b"1", b"\xff"):
        with pytest.raises(ValueError, match="request"):
            b2json.parse_request(body)
    assert {"a": 1} == b2json.parse_object(b2json.render_object({"a": 1}))
