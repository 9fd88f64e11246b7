"""The account's token: shared, renewed once by one thread, never shown."""

from __future__ import annotations

import json
import logging
import os
import pickle
import time
from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest

from s3func import B2Session
from s3func.b2.auth import account_of
from s3func.b2.config import address
from s3func.errors import (
    AccessDenied,
    CredentialsError,
    InvalidCredentials,
    NotFound,
    NotSupported,
    ProtocolError,
    S3FuncError,
    Throttled,
)
from s3func.message import Request, Response
from tests.b2.fake import API, KEY, KEY_ID, REALM, FakeB2
from tests.b2.rigs import BUCKET, VirtualClock, refused, service, session_on


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """Let threads begin at the same moment; what each returned or raised."""
    barrier = Barrier(count, timeout=30)
    results: list[Any] = []

    def run() -> None:
        barrier.wait()
        try:
            results.append(work())
        except S3FuncError as error:
            results.append(error)

    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_sessions_of_one_key_share_one_account() -> None:
    """All sessions of a process with the same key at the same realm have one token; another secret has its own."""
    one, two = B2Session(KEY_ID, KEY, "a-bucket"), B2Session(KEY_ID, KEY, "b-bucket")
    other = B2Session(KEY_ID, KEY + "x", "a-bucket")
    elsewhere = B2Session(KEY_ID, KEY, "a-bucket", realm="http://localhost:1")
    assert one._account is two._account
    assert 3 == len({id(session._account) for session in (one, other, elsewhere)})


def test_the_cache_does_not_grow_without_end() -> None:
    """A process that sees thousands of keys forgets the oldest; a session keeps the account that it has."""
    realm = address("https://realm.test", "realm")
    first = account_of(realm, "first", "secret")
    for number in range(300):
        account_of(realm, f"key{number}", "secret")
    assert first is not account_of(realm, "first", "secret")


def test_one_thread_asks_for_the_token() -> None:
    """Sixteen threads that begin together cost one authorization."""
    fake = service()
    session = session_on(fake)
    results = in_threads(16, lambda: len(list(session.list_objects())))
    assert [0] * 16 == results
    assert 1 == len(fake.calls("b2_authorize_account"))


def test_an_expired_token_is_renewed_once_by_all_together() -> None:
    """Eight threads whose token has expired cost one further authorization, and none of them fails."""
    fake = service()
    session = session_on(fake)
    list(session.list_objects())
    fake.expire()
    results = in_threads(8, lambda: len(list(session.list_objects())))
    assert [0] * 8 == results
    assert 2 == len(fake.calls("b2_authorize_account"))


def test_a_token_that_is_gone_already_is_not_dropped_twice() -> None:
    """Whoever was refused with an old token does not throw away the new one that somebody else has asked for."""
    fake = service()
    session = session_on(fake)
    session.head_bucket()
    account = session._account
    assert account is not None
    old = session._grant().token
    account.drop(old)
    new = session._grant().token
    account.drop(old)
    assert new == session._grant().token != old
    assert 2 == len(fake.calls("b2_authorize_account"))


def test_a_token_that_expires_in_the_middle_of_a_listing() -> None:
    """The second page of a listing is asked for again with the new token, and nothing is missing."""
    fake = service()
    for number in range(5):
        fake.add(BUCKET, f"key{number}")
    keys = []
    for entry in session_on(fake).list_objects(max_keys=2):
        keys.append(entry.key)
        fake.expire()
    assert [f"key{number}" for number in range(5)] == keys


@pytest.mark.parametrize("code", ["expired_auth_token", "bad_auth_token"])
def test_a_token_is_renewed_once_per_call(code: str) -> None:
    """A service that refuses every token ends the call after one renewal."""
    fake = service()
    session = session_on(fake)
    session.head_bucket()
    fake.fault("b2_list_file_names", *[refused(401, code)] * 9)
    with pytest.raises(InvalidCredentials):
        list(session.list_objects())
    assert 2 == len(fake.calls("b2_list_file_names"))
    assert 2 == len(fake.calls("b2_authorize_account"))


def test_a_missing_right_is_told_with_what_the_key_may_do() -> None:
    """`unauthorized` is not retried, and the error names capabilities, bucket and prefix of the key."""
    fake = service()
    owner = session_on(fake)
    key = owner.create_app_key(["listFiles", "listBuckets"], "lists", buckets=[BUCKET], prefix="logs/")
    session = B2Session(key.application_key_id, key.application_key, BUCKET, transport=fake, clock=VirtualClock())
    with pytest.raises(AccessDenied) as caught:
        session.put_object("logs/a", b"")
    text = str(caught.value)
    assert 401 == caught.value.status
    assert "listFiles" in text
    assert BUCKET in text
    assert "'logs/'" in text
    assert 1 == len(fake.calls("b2_get_upload_url"))


def test_a_wrong_key_is_asked_about_once() -> None:
    """A key that B2 does not know is InvalidCredentials after one call, and neither half of it is in the error."""
    fake = service()
    session = B2Session("nobody", "no-secret", BUCKET, transport=fake)
    with pytest.raises(InvalidCredentials) as caught:
        session.head_object("key")
    assert ["b2_authorize_account"] == fake.calls()
    assert "no-secret" not in repr(caught.value) + str(caught.value)


def test_threads_that_wait_share_a_failure() -> None:
    """Threads that waited while another was refused are refused as well, without asking one after the other."""
    fake = service()

    def slow(request: Request) -> Response:
        # Long enough for the others to come and wait.
        time.sleep(0.2)
        return fake(request)

    session = B2Session("nobody", "no-secret", BUCKET, transport=fake)
    session._client.transport = slow  # type: ignore[assignment]  # a Transport as far as a call goes
    results = in_threads(16, lambda: session.head_object("key"))
    assert all(isinstance(result, InvalidCredentials) for result in results)
    # Those that had not begun to wait yet may ask for themselves.
    assert len(fake.calls("b2_authorize_account")) < 16


def test_a_token_is_renewed_before_it_expires() -> None:
    """After 23 hours the next call asks for a new token; nobody is ever refused."""
    fake = service()
    clock = VirtualClock()
    session = session_on(fake, clock=clock)
    session.head_bucket()
    clock.time += 23.1 * 3600
    fake.expire()
    session.head_bucket()
    assert 2 == len(fake.calls("b2_authorize_account"))
    assert all(entry.status == 200 for entry in fake.journal)


def test_a_renewal_that_fails_early_harms_nobody() -> None:
    """When the token cannot be renewed an hour early, the old one is used on, and asked for again minutes later."""
    fake = service()
    clock = VirtualClock()
    session = session_on(fake, clock=clock)
    session.head_bucket()
    clock.time += 23.1 * 3600
    fake.fault("b2_authorize_account", *[refused(503, "service_unavailable")] * 5)
    session.head_bucket()
    session.head_bucket()
    assert 6 == len(fake.calls("b2_authorize_account"))
    clock.time += 600
    session.head_bucket()
    assert 7 == len(fake.calls("b2_authorize_account"))


def test_a_bare_401_on_head_may_be_an_expired_token() -> None:
    """HEAD is answered without a body, so a 401 is taken for an expired token, once."""
    fake = service()
    fake.add(BUCKET, "key", b"content")
    session = session_on(fake)
    session.head_object("key")
    fake.expire()
    assert 7 == session.head_object("key").size
    assert 2 == len(fake.calls("b2_authorize_account"))


def test_a_bare_401_that_stays_is_access_denied() -> None:
    """A HEAD that is refused with a fresh token as well is AccessDenied, after two requests."""
    fake = service()
    session = session_on(fake)
    fake.fault("HEAD name", *[refused(401, "unauthorized")] * 9)
    with pytest.raises(AccessDenied):
        session.head_object("key")
    assert 2 == len(fake.calls("HEAD name"))


def test_an_authorization_that_is_throttled_is_tried_again() -> None:
    """Retry-After of b2_authorize_account is honoured, and attempts are not multiplied by those of the call."""
    fake = service()
    clock = VirtualClock()
    fake.fault("b2_authorize_account", refused(429, "too_many_requests", retry_after="3"))
    session_on(fake, clock=clock).head_bucket()
    assert clock.waits[0] >= 3
    fake = service()
    fake.fault("b2_authorize_account", *[refused(429, "too_many_requests")] * 30)
    with pytest.raises(Throttled):
        session_on(fake).head_bucket()
    assert 5 == len(fake.calls("b2_authorize_account"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_begins_without_token() -> None:
    """A forked child asks for a token and upload URLs of its own; its parent keeps both."""
    fake = service()
    session = session_on(fake)
    session.put_object("key", b"content")
    account = session._account
    assert account is not None
    child = os.fork()
    if child == 0:
        forgotten = False
        try:
            forgotten = account._grant is None and not account.uploads and account._lock.acquire(blocking=False)
        finally:
            os._exit(0 if forgotten else 1)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert account._grant is not None
    assert account.uploads


def test_secrets_are_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Neither key nor token is in a repr, a log line or an error, also where the service repeats the token."""
    fake = service()
    session = session_on(fake)
    made = session.create_app_key(["readFiles"], "reader")
    session.put_object("key", b"content")
    token = session._grant().token
    with caplog.at_level(logging.DEBUG, "s3func"):
        fake.fault("b2_list_file_names", refused(400, "bad_request", f"Invalid token: {token}"))
        with pytest.raises(S3FuncError) as caught:
            list(session.list_objects())
    account = session._account
    assert account is not None
    upload = next(iter(account.uploads.values()))[0]
    shown = "".join(map(repr, (session, account, session._grant(), session._grant().authorization, made, upload)))
    shown += caplog.text + str(caught.value) + repr(caught.value) + repr(pickle.dumps(caught.value))
    for secret in (KEY, token, made.application_key, upload.token):
        assert secret is not None
        assert secret not in shown
    for holder in (session, account):
        with pytest.raises(TypeError):
            pickle.dumps(holder)


def shaped(fake: FakeB2, change: Callable[[dict[str, Any]], dict[str, Any]], **options: Any) -> B2Session:
    """A session whose authorizations have another shape."""
    inner = fake.__call__

    def transport(request: Request) -> Response:
        response = inner(request)
        if request.path.endswith("b2_authorize_account") and isinstance(response.body, bytes):
            response.body = json.dumps(change(json.loads(response.body))).encode()
        return response

    session = session_on(fake, **options)
    session._client.transport = transport  # type: ignore[assignment]  # a Transport as far as a call goes
    return session


def test_the_shape_of_version_3_is_understood() -> None:
    """A v3 answer names one bucket or null; null is no restriction, and does not forget the session's bucket."""
    fake = service()
    fake.add(BUCKET, "key", b"content")

    def v3(document: dict[str, Any]) -> dict[str, Any]:
        storage = document["apiInfo"]["storageApi"]
        allowed = storage.pop("allowed")
        storage.update(bucketId=None, bucketName=None, namePrefix=None, capabilities=allowed["capabilities"])
        return document

    session = shaped(fake, v3)
    assert ["key"] == [entry.key for entry in session.list_objects()]
    assert BUCKET == session.bucket


def test_a_service_must_not_lead_away_from_tls() -> None:
    """An https realm that names an http address is not believed: ProtocolError, and no token goes there."""
    fake = service()

    def downgraded(document: dict[str, Any]) -> dict[str, Any]:
        document["apiInfo"]["storageApi"]["apiUrl"] = API.replace("https", "http")
        return document

    with pytest.raises(ProtocolError):
        shaped(fake, downgraded, realm=REALM).head_bucket()
    assert {"b2_authorize_account"} == set(fake.calls())


def test_a_key_of_one_bucket_needs_no_name_of_it() -> None:
    """A session without bucket takes the only one that its key is for, and asks for no list of buckets."""
    fake = service()
    key = session_on(fake).create_app_key(["listFiles", "readFiles", "writeFiles"], "one", buckets=[BUCKET])
    session = B2Session(key.application_key_id, key.application_key, transport=fake)
    before = len(fake.calls("b2_list_buckets"))
    session.put_object("key", b"content")
    assert BUCKET == session.bucket
    assert b"content" == session.get_object("key").data
    assert before == len(fake.calls("b2_list_buckets"))


def test_a_key_of_several_buckets_knows_their_ids() -> None:
    """A multi-bucket key works in each of its buckets without listing any."""
    fake = service()
    fake.bucket("bucket-two")
    key = session_on(fake).create_app_key(
        ["listFiles", "readFiles", "writeFiles", "listBuckets"], "two", buckets=[BUCKET, "bucket-two"]
    )
    session = B2Session(key.application_key_id, key.application_key, "bucket-two", transport=fake)
    before = len(fake.calls("b2_list_buckets"))
    session.put_object("key", b"two")
    session.put_object("key", b"one", bucket=BUCKET)
    assert b"two" == session.get_object("key").data
    assert before == len(fake.calls("b2_list_buckets"))
    assert ["bucket-one", "bucket-two"] == [entry.name for entry in session.list_buckets()]


def test_a_prefix_of_a_key_is_kept_to_by_the_service() -> None:
    """Outside of its prefix a restricted key is AccessDenied; inside it works."""
    fake = service()
    made = session_on(fake).create_app_key(
        ["listFiles", "readFiles", "writeFiles"], "one", buckets=[BUCKET], prefix="a/"
    )
    session = B2Session(made.application_key_id, made.application_key, BUCKET, transport=fake)
    session.put_object("a/key", b"content")
    assert ["a/key"] == [entry.key for entry in session.list_objects("a/")]
    with pytest.raises(AccessDenied):
        list(session.list_objects())


def test_the_environment_has_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY are used where no key is given."""
    fake = service()
    monkeypatch.setenv("B2_APPLICATION_KEY_ID", KEY_ID)
    monkeypatch.setenv("B2_APPLICATION_KEY", KEY)
    session = B2Session(bucket=BUCKET, transport=fake)
    session.put_object("key", b"content")
    monkeypatch.delenv("B2_APPLICATION_KEY")
    with pytest.raises(CredentialsError, match="the environment"):
        B2Session(bucket=BUCKET, transport=fake)


def test_a_public_bucket_needs_no_key() -> None:
    """Without a key a session reads a public bucket from its download address, and cannot do anything else."""
    fake = service(bucketType="allPublic")
    fake.add(BUCKET, "a b/c?", b"content")
    session = B2Session(bucket=BUCKET, download_url="https://f001.test", transport=fake)
    assert b"content" == session.get_object("a b/c?").data
    assert 7 == session.head_object("a b/c?").size
    assert not session.exists("nothing")
    assert "authorization" not in fake.journal[-1].headers
    for call in (
        lambda: session.put_object("key", b""),
        lambda: list(session.list_objects()),
        lambda: session.delete_object("key"),
        lambda: session.presigned_url("GET", "key"),
    ):
        with pytest.raises(NotSupported):
            call()
    with pytest.raises(NotFound):
        session.get_object("nothing")


def test_without_key_and_without_address_there_is_no_session() -> None:
    """CredentialsError says what is missing."""
    with pytest.raises(CredentialsError, match="B2_APPLICATION_KEY_ID"):
        B2Session(bucket=BUCKET)
    with pytest.raises(CredentialsError, match="secret"):
        B2Session(KEY_ID, bucket=BUCKET)


def test_a_download_address_of_ones_own_is_used_for_downloads_alone() -> None:
    """download_url replaces what B2 says for get and head; calls of the API go where B2 says."""
    fake = service()
    fake.add(BUCKET, "key", b"content")
    origins: list[tuple[str, str]] = []
    inner = fake.__call__

    def transport(request: Request) -> Response:
        origins.append((request.origin, request.path.partition("?")[0]))
        return inner(request)

    session = session_on(fake, download_url="https://cdn.test")
    session._client.transport = transport  # type: ignore[assignment]  # a Transport as far as a call goes
    assert b"content" == session.get_object("key").data
    list(session.list_objects())
    assert ("https://cdn.test", f"/file/{BUCKET}/key") in origins
    assert (API, "/b2api/v4/b2_list_file_names") in origins
    assert session.presigned_url("GET", "key").startswith("https://cdn.test/file/")


@pytest.mark.parametrize("prefix", ["", "/file", "/cdn/v1"])
@pytest.mark.parametrize("bucket", [BUCKET, "file", "cdn"])
def test_a_public_address_with_a_path(prefix: str, bucket: str) -> None:
    """A download address may have a path, which is put in front once, also when the request is sent again."""
    fake = FakeB2()
    fake.bucket(bucket, bucketType="allPublic")
    fake.add(bucket, "file/key", b"content")
    paths: list[str] = []

    def transport(request: Request) -> Response:
        paths.append(request.path)
        request.path = request.path.removeprefix(prefix)
        return fake(request)

    fake.fault("GET name", refused(503, "service_unavailable"))
    session = B2Session(bucket=bucket, download_url=f"https://f001.test{prefix}", transport=fake, clock=VirtualClock())
    session._client.transport = transport  # type: ignore[assignment]  # a Transport as far as a call goes
    assert b"content" == session.get_object("file/key").data
    assert [f"{prefix}/file/{bucket}/file/key"] * 2 == paths
