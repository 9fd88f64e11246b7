"""What goes wrong on purpose through B2: answers that are spoiled, the modes that a client asks for, keys after a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3func import B2Session
from s3func.errors import ChecksumMismatch, ProtocolError, S3FuncError
from s3func.server import LocalBackend, MemoryBackend, S3App
from s3func.server.b2 import modes
from s3func.server.users import User
from tests.server.b2.callers import Answer, B2Caller
from tests.server.forge import KEY_ID, SECRET


@pytest.fixture
def session(app: S3App, b2: B2Caller) -> B2Session:
    """Our own session on three files, two of which make a page."""
    bucket_id = b2.bucket()
    for name in ("a", "b", "c"):
        b2.upload(bucket_id, name, b"content")
    return B2Session(KEY_ID, SECRET, "test-bucket", transport=app)


LISTS: list[tuple[str, Callable[[B2Session], Any]]] = [
    ("b2_list_file_names", lambda s: s.list_objects(max_keys=2)),
    ("b2_list_file_versions", lambda s: s.list_object_versions(max_keys=2)),
    ("b2_list_unfinished_large_files", lambda s: s.list_multipart_uploads()),
    ("b2_list_keys", lambda s: s.list_app_keys()),
]


@pytest.mark.parametrize("answer", ["html", "error", "cut_list", "unmarked_list"])
@pytest.mark.parametrize(("call", "listing"), LISTS, ids=[row[0] for row in LISTS])
def test_a_spoiled_page_is_no_list(
    app: S3App, session: B2Session, call: str, listing: Callable[[B2Session], Any], answer: Any
) -> None:
    """Half a page, one that does not say whether another follows, an error with 200, a portal: never a short list."""
    fault = app.faults.add(call, answer=answer)
    with pytest.raises(ProtocolError):
        list(listing(session))
    assert fault.fired


@pytest.mark.parametrize("answer", ["html", "error", "cut_list", "unmarked_list"])
@pytest.mark.parametrize(("call", "listing"), LISTS[:2], ids=[row[0] for row in LISTS[:2]])
def test_a_spoiled_second_page_is_no_list(
    app: S3App, session: B2Session, call: str, listing: Callable[[B2Session], Any], answer: Any
) -> None:
    """The same for the second page: what came before is not taken for all."""
    app.faults.add(call, after=1, answer=answer)
    rows = []
    with pytest.raises(ProtocolError):
        rows.extend(listing(session))
    assert len(rows) < 3


def test_a_short_list_is_short(app: S3App, b2: B2Caller, session: B2Session) -> None:
    """A page that lost its last row and says that nothing follows: no client can know, so the fault is seen here."""
    app.faults.add("b2_list_file_names", answer="short_list")
    bucket_id = b2("b2_list_buckets", accountId=b2.account["accountId"]).document["buckets"][0]["bucketId"]
    page = b2("b2_list_file_names", bucketId=bucket_id, maxFileCount=2).document
    assert (["a"], None) == ([row["fileName"] for row in page["files"]], page["nextFileName"])
    assert ["a", "b"] == [entry.key for entry in session.list_objects()]


def test_wrong_checksums_are_seen(app: S3App, session: B2Session) -> None:
    """The SHA-1 of another content, in the head of a download and in the answer to an upload."""
    with app.faults.add("b2_download_file_by_*", answer="wrong_checksum"), pytest.raises(ChecksumMismatch):
        session.get_object("a").read()
    with app.faults.add("b2_upload_file", answer="wrong_checksum"), pytest.raises(S3FuncError):
        session.put_object("d", b"content")
    assert b"content" == session.get_object("a").read()


def test_an_error_with_200_has_the_code_that_was_asked_for(app: S3App, b2: B2Caller) -> None:
    """The document is B2's, in JSON."""
    app.faults.add("b2_list_buckets", answer="error", code="cap_exceeded", message="enough")
    answer = b2("b2_list_buckets")
    assert (200, {"status": 403, "code": "cap_exceeded", "message": "enough"}) == (answer.status, answer.document)


def test_a_refused_upload_ends_its_url(app: S3App, b2: B2Caller) -> None:
    """An injected refusal is one as any other: the URL is good no more."""
    url = b2("b2_get_upload_url", bucketId=b2.bucket()).document
    with app.faults.add("b2_upload_file", status=500, times=1):
        assert (500, "internal_error") == b2.upload_to(url, "a").refusal
        assert (401, "expired_auth_token") == b2.upload_to(url, "a").refusal


def _asking(b2: B2Caller, operation: str, mode: str, **fields: Any) -> Answer:
    headers = {"authorization": b2.token, modes.HEADER: mode}
    return b2.send("POST", f"/b2api/v4/{operation}", headers, json.dumps(fields).encode())


def test_uploads_that_ask_to_fail(b2: B2Caller) -> None:
    """fail_some_uploads: one in three is refused with 503 and its URL is over, and the others are stored."""
    bucket_id = b2.bucket()
    statuses = []
    for number in range(6):
        url = b2("b2_get_upload_url", bucketId=bucket_id).document
        done = b2.upload_to(url, str(number), x_bz_test_mode=modes.UPLOADS)
        statuses.append(done.status)
        if done.status != 200:
            assert (401, "expired_auth_token") == b2.upload_to(url, str(number)).refusal
    assert [503, 200, 200, 503, 200, 200] == statuses


def test_tokens_that_ask_to_expire(b2: B2Caller) -> None:
    """expire_some_account_authorization_tokens: a call finds its token expired, and so do all that follow with it."""
    assert (401, "expired_auth_token") == _asking(b2, "b2_list_buckets", modes.TOKENS).refusal
    assert (401, "expired_auth_token") == b2("b2_list_buckets").refusal
    fresh = B2Caller(b2.app)
    assert [200, 200, 401] == [_asking(fresh, "b2_list_buckets", modes.TOKENS).status for _ in range(3)]


def test_caps_that_are_asked_for(b2: B2Caller) -> None:
    """force_cap_exceeded: every upload is refused as by a cap, and what was never a mode changes nothing."""
    bucket_id = b2.bucket()
    for mode, status in ((modes.CAPS, 403), (modes.CAPS, 403), ("no such mode", 200)):
        url = b2("b2_get_upload_url", bucketId=bucket_id).document
        assert status == b2.upload_to(url, "a", x_bz_test_mode=mode).status


def test_application_keys_survive_a_restart(tmp_path: Path) -> None:
    """With a store on a disk, a key is what it was after the server was started again; one that was deleted is not."""
    path = tmp_path / "store"
    app = S3App(LocalBackend(path, durability="os"), access_key_id=KEY_ID, secret_access_key=SECRET)
    b2 = B2Caller(app)
    bucket_id = b2.bucket()
    made = b2(
        "b2_create_key",
        accountId=b2.account["accountId"],
        capabilities=["listFiles", "readFiles"],
        keyName="reader",
        bucketIds=[bucket_id],
        namePrefix="logs/",
        validDurationInSeconds=86_400,
    ).document
    gone = b2("b2_create_key", accountId=b2.account["accountId"], capabilities=["listFiles"], keyName="gone").document
    assert 200 == b2("b2_delete_key", applicationKeyId=gone["applicationKeyId"]).status
    app.close()
    assert made["applicationKey"].encode() not in (path / "index.sqlite").read_bytes()

    strangers = S3App(LocalBackend(path, durability="os"), users=[User("other", "secret", "other")])
    other = B2Caller(strangers, "other", "secret")
    other("b2_create_key", accountId=other.account["accountId"], capabilities=["listFiles"], keyName="theirs")
    assert (401, "bad_auth_token") == other.authorize(made["applicationKeyId"], made["applicationKey"]).refusal
    strangers.close()

    app = S3App(LocalBackend(path, durability="os"), access_key_id=KEY_ID, secret_access_key=SECRET)
    reader = B2Caller(app, made["applicationKeyId"], made["applicationKey"])
    allowed = reader.account["apiInfo"]["storageApi"]["allowed"]
    assert ([bucket_id], "logs/") == ([each["id"] for each in allowed["buckets"]], allowed["namePrefix"])
    assert 200 == reader("b2_list_file_names", bucketId=bucket_id, prefix="logs/").status
    assert 401 == reader("b2_hide_file", bucketId=bucket_id, fileName="logs/a").status
    assert ["reader"] == [each["keyName"] for each in B2Caller(app)("b2_list_keys").document["keys"]]
    assert (401, "bad_auth_token") == reader.authorize(gone["applicationKeyId"], gone["applicationKey"]).refusal
    app.close()


def test_application_keys_in_memory_end_with_the_app(b2: B2Caller) -> None:
    """A store that remembers nothing of the server's has keys all the same, for as long as the app lives."""
    app = S3App(MemoryBackend(), access_key_id=KEY_ID, secret_access_key=SECRET)
    caller = B2Caller(app)
    fields = {"accountId": caller.account["accountId"], "capabilities": ["listFiles"], "keyName": "lister"}
    made = caller("b2_create_key", **fields).document
    assert B2Caller(app, made["applicationKeyId"], made["applicationKey"]).token
    again = S3App(app.backend, access_key_id=KEY_ID, secret_access_key=SECRET)
    assert (401, "bad_auth_token") == B2Caller(again).authorize(
        made["applicationKeyId"], made["applicationKey"]
    ).refusal
