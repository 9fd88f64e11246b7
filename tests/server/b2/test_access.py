"""Who may do what through B2: versions of the API, tokens, keys, upload URLs, public buckets, faults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from s3func.errors import ConnectionLost
from s3func.message import Request
from s3func.server import MemoryBackend, S3App
from s3func.server.journal import Journal
from tests.contract.objects import StoppedClock
from tests.server.b2.callers import ORIGIN, B2Caller
from tests.server.forge import KEY_ID, SECRET, Caller

DAY = 24 * 60 * 60


@pytest.fixture
def clock() -> StoppedClock:
    """A clock that goes when it is told to."""
    return StoppedClock(1_795_000_000.0)


@pytest.fixture
def timed(clock: StoppedClock) -> B2Caller:
    """Calls of a server that lives by that clock."""
    return B2Caller(S3App(MemoryBackend(clock=clock), access_key_id=KEY_ID, secret_access_key=SECRET, clock=clock))


def test_every_version_authorizes(b2: B2Caller) -> None:
    """v1 and v2 are flat, v3 names one bucket, v4 a list; a token of one is good for all."""
    shapes = {version: b2.authorize(KEY_ID, SECRET, version).document for version in ("v1", "v2", "v3", "v4")}
    assert ORIGIN == shapes["v1"]["apiUrl"] == shapes["v2"]["downloadUrl"]
    assert "minimumPartSize" in shapes["v1"]
    third, fourth = (shapes[version]["apiInfo"]["storageApi"] for version in ("v3", "v4"))
    assert (None, None) == (third["bucketId"], third["bucketName"])
    assert None is fourth["allowed"]["buckets"]
    b2.token = shapes["v2"]["authorizationToken"]
    bucket_id = b2.bucket()
    b2.upload(bucket_id, "a", b"123")
    [row] = b2("b2_list_file_names", "v1", bucketId=bucket_id).document["files"]
    assert 3 == row["size"] == row["contentLength"]
    [row] = b2("b2_list_file_names", "v2", bucketId=bucket_id).document["files"]
    assert "size" not in row


@pytest.mark.parametrize(("key_id", "key"), [(KEY_ID, "wrong"), ("wrong", SECRET), ("", "")])
def test_wrong_keys(b2: B2Caller, key_id: str, key: str) -> None:
    """A wrong key is refused, and so is a call without a token."""
    assert (401, "bad_auth_token") == b2.authorize(key_id, key).refusal
    b2.token = "wrong"
    assert (401, "bad_auth_token") == b2("b2_list_buckets").refusal


def test_tokens_end(timed: B2Caller, clock: StoppedClock) -> None:
    """An account token and a URL for uploads last a day; a key as long as it was made for."""
    bucket_id = timed.bucket()
    url = timed("b2_get_upload_url", bucketId=bucket_id).document
    made = timed("b2_create_key", capabilities=["listBuckets"], keyName="short", validDurationInSeconds=60).document
    short = B2Caller(timed.app, made["applicationKeyId"], made["applicationKey"])
    clock.time += 61
    assert (401, "expired_auth_token") == short("b2_list_buckets").refusal
    assert (401, "unauthorized") == timed.authorize(made["applicationKeyId"], made["applicationKey"]).refusal
    clock.time += DAY
    assert (401, "expired_auth_token") == timed("b2_list_buckets").refusal
    assert (401, "expired_auth_token") == timed.upload_to(url, "a").refusal


def test_an_upload_url_dies_with_its_first_failure(b2: B2Caller) -> None:
    """It takes upload after upload, and none after one that was refused."""
    bucket_id = b2.bucket()
    url = b2("b2_get_upload_url", bucketId=bucket_id).document
    assert [200, 200] == [b2.upload_to(url, "a").status for _ in range(2)]
    assert 400 == b2.upload_to(url, "a", x_bz_content_sha1="0" * 40).status
    assert (401, "expired_auth_token") == b2.upload_to(url, "a").refusal
    other = b2("b2_get_upload_url", bucketId=b2.bucket("other-bucket")).document
    crossed = {**other, "uploadUrl": b2("b2_get_upload_url", bucketId=bucket_id).document["uploadUrl"]}
    assert (401, "bad_auth_token") == b2.upload_to(crossed, "a").refusal


def test_one_upload_at_a_time(b2: B2Caller) -> None:
    """While a token uploads, a second upload with it is refused, and the first one goes on."""
    bucket_id = b2.bucket()
    url = b2("b2_get_upload_url", bucketId=bucket_id).document
    seen = []

    class Body:
        """Asks for a second upload in the middle of the first."""

        length = 1
        replayable = False

        def blocks(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- the shape of an UploadBody
            seen.append(b2.upload_to(url, "second").refusal)
            yield b"x"

    headers = {
        "authorization": url["authorizationToken"],
        "content-length": "1",
        "content-type": "text/plain",
        "x-bz-content-sha1": "do_not_verify",
        "x-bz-file-name": "first",
    }
    path = url["uploadUrl"].removeprefix(ORIGIN)
    assert 200 == b2.app(Request("POST", ORIGIN, path, "", headers, Body())).status
    assert [(400, "auth_token_limit")] == seen
    assert [("first", "upload")] == b2.names("b2_list_file_names", bucket_id)


def test_keys_are_held_to_what_they_may(b2: B2Caller) -> None:
    """Capabilities, buckets and prefix bind every call; a deleted key is nobody's."""
    mine, other = b2.bucket("mine-bucket"), b2.bucket("other-bucket")
    for name in ("in/a", "out"):
        b2.upload(mine, name)
    outside = b2.upload(other, "in/a")["fileId"]
    made = b2(
        "b2_create_key",
        capabilities=["listBuckets", "listFiles", "readFiles", "shareFiles"],
        keyName="reader",
        bucketIds=[mine],
        namePrefix="in/",
    ).document
    reader = B2Caller(b2.app, made["applicationKeyId"], made["applicationKey"])
    allowed = reader.account["apiInfo"]["storageApi"]["allowed"]
    assert ([{"id": mine, "name": "mine-bucket"}], "in/") == (allowed["buckets"], allowed["namePrefix"])
    unauthorized = (401, "unauthorized")
    assert 200 == reader.download("mine-bucket", "in/a").status
    assert [("in/a", "upload")] == reader.names("b2_list_file_names", mine, prefix="in/")
    for refused in (
        reader.download("mine-bucket", "out"),
        reader.download("other-bucket", "in/a"),
        reader("b2_download_file_by_id", fileId=outside),
        reader("b2_list_file_names", bucketId=mine),
        reader("b2_list_buckets"),
        reader("b2_list_buckets", bucketName="other-bucket"),
        reader("b2_get_upload_url", bucketId=mine),
        reader("b2_hide_file", bucketId=mine, fileName="in/a"),
        reader("b2_create_key", capabilities=["writeFiles"], keyName="more"),
        reader("b2_get_download_authorization", bucketId=mine, fileNamePrefix="", validDurationInSeconds=9),
    ):
        assert unauthorized == refused.refusal
    [bucket] = reader("b2_list_buckets", bucketId=mine).document["buckets"]
    assert {"isClientAuthorizedToRead": False, "value": None} == bucket["fileLockConfiguration"]
    assert (401, "") == (reader.download("mine-bucket", "out", "HEAD").status, "")
    assert 200 == b2("b2_delete_key", applicationKeyId=made["applicationKeyId"]).status
    assert (401, "bad_auth_token") == reader("b2_list_buckets", bucketId=mine).refusal
    assert (401, "bad_auth_token") == b2.authorize(made["applicationKeyId"], made["applicationKey"]).refusal


def test_no_key_makes_a_mightier_one(b2: B2Caller) -> None:
    """A key that may make keys gives on what it has, and where it may."""
    bucket_id = b2.bucket()
    mighty = ["writeKeys", "readFiles"]
    restrictions: list[dict[str, Any]] = [{}, {"bucketIds": [bucket_id]}]
    for fields in restrictions:
        made = b2("b2_create_key", capabilities=mighty, keyName="maker", **fields).document
        maker = B2Caller(b2.app, made["applicationKeyId"], made["applicationKey"])
        more = maker("b2_create_key", capabilities=["deleteFiles"], keyName="more")
        assert (401, "unauthorized") == more.refusal
        same = maker("b2_create_key", capabilities=["readFiles"], keyName="same")
        assert (401 if fields else 200) == same.status


def test_a_key_of_two_buckets_needs_version_4(b2: B2Caller) -> None:
    """Older versions cannot say it."""
    ids = [b2.bucket("mine-bucket"), b2.bucket("other-bucket")]
    made = b2("b2_create_key", capabilities=["readFiles"], keyName="two", bucketIds=ids).document
    key = made["applicationKeyId"], made["applicationKey"]
    assert (401, "unsupported") == b2.authorize(*key, "v3").refusal
    assert 200 == b2.authorize(*key, "v4").status


def test_public_buckets_and_download_tokens(b2: B2Caller) -> None:
    """A public bucket is read by everybody, a private one with a token for the prefix, until it ends."""
    public = b2.bucket("public-bucket", bucketType="allPublic")
    private = b2.bucket("private-bucket")
    for bucket_id in (public, private):
        b2.upload(bucket_id, "in/a")
        b2.upload(bucket_id, "out")
    granted = b2(
        "b2_get_download_authorization", bucketId=private, fileNamePrefix="in/", validDurationInSeconds=60
    ).document["authorizationToken"]
    b2.token = ""
    assert 200 == b2.send("GET", "/file/public-bucket/out", {}).status
    assert 401 == b2.send("GET", "/file/private-bucket/out", {}).status
    assert 200 == b2.send("GET", "/file/private-bucket/in/a", {}, query=f"Authorization={granted}").status
    assert 200 == b2.send("GET", "/file/private-bucket/in/a", {"authorization": granted}).status
    assert (401, "unauthorized") == b2.send("GET", "/file/private-bucket/out", {"authorization": granted}).refusal


def test_buckets(b2: B2Caller) -> None:
    """Settings come back, a revision guards them, a name is given once, and only an empty bucket goes."""
    rules = [{"daysFromHidingToDeleting": 1, "daysFromUploadingToHiding": None, "fileNamePrefix": "x"}]
    bucket_id = b2.bucket(lifecycleRules=rules, bucketInfo={"k": "v"})
    [bucket] = b2("b2_list_buckets").document["buckets"]
    assert (rules, {"k": "v"}, 1, "allPrivate") == tuple(
        bucket[name] for name in ("lifecycleRules", "bucketInfo", "revision", "bucketType")
    )
    again = b2("b2_create_bucket", bucketName="test-bucket", bucketType="allPrivate")
    assert (400, "duplicate_bucket_name") == again.refusal
    updated = b2("b2_update_bucket", bucketId=bucket_id, bucketType="allPublic", ifRevisionIs=1).document
    assert ("allPublic", 2, rules) == (updated["bucketType"], updated["revision"], updated["lifecycleRules"])
    assert (409, "conflict") == b2("b2_update_bucket", bucketId=bucket_id, ifRevisionIs=1).refusal
    b2.upload(bucket_id, "a")
    assert (400, "cannot_delete_non_empty_bucket") == b2("b2_delete_bucket", bucketId=bucket_id).refusal
    assert (400, "bad_bucket_id") == b2("b2_delete_bucket", bucketId="0" * 24).refusal


def test_locks(b2: B2Caller) -> None:
    """A hold and a retention keep a version; a bucket without file lock takes neither."""
    locked = b2.bucket("locked-bucket", fileLockEnabled=True)
    held = b2.upload(locked, "held", x_bz_file_legal_hold="on")
    assert "on" == held["legalHold"]["value"]
    gone = {"fileName": "held", "fileId": held["fileId"]}
    assert (401, "unauthorized") == b2("b2_delete_file_version", **gone).refusal
    assert 200 == b2("b2_update_file_legal_hold", legalHold="off", **gone).status
    until = {"mode": "governance", "retainUntilTimestamp": 4_000_000_000_000}
    assert 200 == b2("b2_update_file_retention", fileRetention=until, **gone).status
    assert until == b2("b2_get_file_info", fileId=held["fileId"]).document["fileRetention"]["value"]
    assert (401, "unauthorized") == b2("b2_delete_file_version", **gone).refusal
    assert 200 == b2("b2_delete_file_version", bypassGovernance=True, **gone).status
    url = b2("b2_get_upload_url", bucketId=b2.bucket()).document
    assert (400, "bucket_missing_file_lock") == b2.upload_to(url, "a", x_bz_file_legal_hold="on").refusal


def test_a_signed_request_is_of_s3(app: S3App, b2: B2Caller) -> None:
    """Buckets may be called as B2's paths begin; S3's signature, and a name in the host, tell them apart."""
    s3 = Caller(app)
    for name in ("file", "b2api"):
        assert 200 == s3("PUT", f"/{name}").status
        assert 200 == s3("PUT", f"/{name}/v4/b2_list_buckets", body=b"an object").status
        assert b"an object" == s3("GET", f"/{name}/v4/b2_list_buckets").read()
    by_host = app(Request("GET", "http://file.localhost", "/b2api/v4/b2_list_buckets", "", {}))
    assert "application/xml" == by_host.headers["content-type"]
    assert (400, "bad_request") == b2("b2_no_such_call").refusal
    assert (400, "bad_request") == b2("b2_list_buckets", "v9").refusal
    assert (405, "method_not_allowed") == b2.send("GET", "/b2api/v4/b2_create_bucket", {}).refusal
    assert (400, "bad_json") == b2.send("POST", "/b2api/v4/b2_list_buckets", {}, b"{").refusal


def test_faults_and_journal() -> None:
    """B2's calls go wrong and are recorded under their names."""
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET, journal=Journal())
    b2 = B2Caller(app)
    bucket_id = b2.bucket()
    app.faults.add("b2_upload_file", key="a/*", times=1, status=503, headers={"Retry-After": "7"})
    url = b2("b2_get_upload_url", bucketId=bucket_id).document
    refused = b2.upload_to(url, "a/b")
    assert ((503, "service_unavailable"), "7") == (refused.refusal, refused.headers["retry-after"])
    assert (401, "expired_auth_token") == b2.upload_to(url, "a/b").refusal
    b2.upload(bucket_id, "a/b")
    app.faults.add("b2_list_file_*", after=1, status=401)
    assert [200, 401] == [b2("b2_list_file_names", bucketId=bucket_id).status for _ in range(2)]
    b2.download("test-bucket", "a/b")
    assert app.journal is not None
    assert [
        ("b2_upload_file", "test-bucket", "a/b", 503, "service_unavailable"),
        ("b2_upload_file", "test-bucket", "a/b", 401, "expired_auth_token"),
        ("b2_get_upload_url", "", "", 200, ""),
        ("b2_upload_file", "test-bucket", "a/b", 200, ""),
        ("b2_list_file_names", "", "", 200, ""),
        ("b2_list_file_names", "", "", 401, "expired_auth_token"),
        ("b2_download_file_by_name", "test-bucket", "a/b", 200, ""),
    ] == [(entry.operation, entry.bucket, entry.key, entry.status, entry.code) for entry in app.journal.entries()][3:]
    assert SECRET not in json.dumps([str(entry) for entry in app.journal.entries()])


def test_backblaze_names_of_faults_and_journal() -> None:
    """The harness of Backblaze sets faults and reads the journal in its own words."""
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET, control=True)
    b2 = B2Caller(app)
    url = b2("b2_get_upload_url", bucketId=b2.bucket()).document

    def control(method: str, name: str, **fields: object) -> tuple[int, dict[str, object]]:
        headers = {"host": "localhost"}
        body = json.dumps(fields).encode()
        answer = app(Request(method, ORIGIN, f"/-/b2/{name}", "", headers, body, peer="127.0.0.1"))
        return answer.status, json.loads(answer.read())

    assert 201 == control("POST", "faults", on="upload_file", status=503, code="service_unavailable", retryAfter=3)[0]
    assert 201 == control("POST", "wire-faults", on="b2_upload_file", kind="reset-mid-request", count=1)[0]
    assert 400 == control("POST", "wire-faults", on="b2_upload_file", kind="unknown")[0]
    assert 400 == control("POST", "faults", on="b2_no_such_call", status=503)[0]
    refused = b2.upload_to(url, "a", b"body")
    url = b2("b2_get_upload_url", bucketId=url["bucketId"]).document
    assert (503, "3") == (refused.status, refused.headers["retry-after"])
    with pytest.raises(ConnectionLost):
        b2.upload_to(url, "a", b"body")
    entries = control("GET", "journal")[1]["entries"]
    assert isinstance(entries, list)
    assert [("b2_upload_file", 503), ("b2_get_upload_url", 200), ("b2_upload_file", 0)] == [
        (entry["endpoint"], entry["status"]) for entry in entries[-3:]
    ]
    assert url["uploadUrl"].endswith(entries[-1]["uploadUrlId"])


def test_a_server_that_is_read_only(b2: B2Caller) -> None:
    """Reading is allowed, changing is not."""
    b2.upload(b2.bucket(), "a")
    reading = S3App(b2.app.backend, access_key_id=KEY_ID, secret_access_key=SECRET, read_only=True)
    reader = B2Caller(reading)
    assert 200 == reader.download("test-bucket", "a").status
    assert (403, "access_denied") == reader("b2_create_bucket", bucketName="another-one").refusal
