"""Uploads that meet every trouble of B2: which URL is asked next, and how often."""

from __future__ import annotations

import hashlib
from threading import Barrier, Thread

import pytest

from s3func import RetryPolicy
from s3func.errors import (
    AccessDenied,
    ChecksumMismatch,
    InvalidCredentials,
    InvalidRequest,
    NotFound,
    S3FuncError,
    ServerError,
    Throttled,
    TimedOut,
)
from s3func.message import Request, Response
from tests.b2.fake import Fault
from tests.b2.rigs import BUCKET, VirtualClock, refused, service, session_on

TRANSIENT = {
    "408": refused(408, "request_timeout"),
    "429": refused(429, "too_many_requests"),
    "500": refused(500, "internal_error"),
    "503": refused(503, "service_unavailable", "no tomes available"),
    "502 of a proxy": Fault(502, body=b"<html>bad gateway</html>"),
    "reset before": Fault(lost="before"),
    "reset after": Fault(lost="after"),
    "stall": Fault(lost="stall"),
    "expired token": refused(401, "expired_auth_token"),
    "unknown token": refused(401, "bad_auth_token"),
    "busy token": refused(400, "auth_token_limit", "more than one upload using auth token x"),
    "busy token of older servers": refused(400, "bad_request", "more than one upload using auth token x"),
    "damaged on its way": refused(400, "bad_request", "Sha1 did not match data received"),
}


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_each_retry_goes_to_another_url(fault: Fault) -> None:
    """After a failure that another try may mend, the upload succeeds, and no URL is asked twice."""
    fake = service()
    session = session_on(fake)
    session.put_object("warm", b"up")
    fake.fault("b2_upload_file", fault, fault if fault.message[:4] != "Sha1" else Fault())
    result = session.put_object("key", b"content")
    places = [entry.where for entry in fake.journal if entry.call == "b2_upload_file"]
    # The URL of the first upload was used again for the second one, and then never more.
    assert places[0] == places[1]
    assert len(set(places)) == len(places) - 1
    assert b"content" == session.get_object("key", result.version_id).data


@pytest.mark.parametrize("code", ["cap_exceeded", "storage_cap_exceeded", "transaction_cap_exceeded"])
def test_a_cap_ends_the_upload_at_once(code: str) -> None:
    """There is exactly one upload call when a cap is reached, and the error says what to look at."""
    fake = service()
    clock = VirtualClock()
    session = session_on(fake, clock=clock)
    fake.fault("b2_upload_file", refused(403, code, "Cannot upload, storage cap exceeded."))
    with pytest.raises(AccessDenied, match="caps") as caught:
        session.put_object("key", b"content")
    assert ["b2_upload_file"] == fake.calls("b2_upload_file")
    assert (403, code, BUCKET, "key") == (caught.value.status, caught.value.code, caught.value.bucket, caught.value.key)
    assert [] == clock.waits


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(400, "bad_request", InvalidRequest), (401, "unauthorized", AccessDenied), (403, "access_denied", AccessDenied)],
)
def test_what_no_retry_can_mend_is_not_retried(status: int, code: str, kind: type[S3FuncError]) -> None:
    """A bad request and a missing right are one call."""
    fake = service()
    session = session_on(fake)
    fake.fault("b2_upload_file", refused(status, code, "no"))
    with pytest.raises(kind):
        session.put_object("key", b"content")
    assert 1 == len(fake.calls("b2_upload_file"))


def test_five_urls_are_enough() -> None:
    """An upload that always fails has tried five different URLs."""
    fake = service()
    fake.fault("b2_upload_file", *[refused(500, "internal_error")] * 20)
    with pytest.raises(ServerError) as caught:
        session_on(fake, retries=RetryPolicy(attempts=9)).put_object("key", b"content")
    assert 5 == len({entry.where for entry in fake.journal if entry.call == "b2_upload_file"})
    assert 5 == len(fake.calls("b2_upload_file"))
    assert 5 == caught.value.attempts


def test_five_urls_are_enough_for_tokens_that_expire() -> None:
    """Tokens that are refused, one after the other, do not make an endless loop."""
    fake = service()
    fake.fault("b2_upload_file", *[refused(401, "expired_auth_token")] * 20)
    with pytest.raises(InvalidCredentials):
        session_on(fake).put_object("key", b"content")
    assert len(fake.calls("b2_upload_file")) <= 5


def test_five_urls_are_enough_for_a_mixture() -> None:
    """Tokens that are refused and then servers that fail are five uploads together."""
    fake = service()
    fake.fault("b2_upload_file", *[refused(401, "expired_auth_token")] * 3, *[refused(500, "internal_error")] * 20)
    with pytest.raises(ServerError):
        session_on(fake).put_object("key", b"content")
    assert 5 == len(fake.calls("b2_upload_file"))


def test_one_attempt_means_one() -> None:
    """With retries=1 a failing upload is one call."""
    fake = service()
    fake.fault("b2_upload_file", refused(503, "service_unavailable"))
    with pytest.raises(ServerError):
        session_on(fake, retries=1).put_object("key", b"content")
    assert 1 == len(fake.calls("b2_upload_file"))


def test_retry_after_is_honoured() -> None:
    """A 429 that names a time is obeyed, and the next attempt has another URL."""
    fake = service()
    clock = VirtualClock()
    fake.fault("b2_upload_file", refused(429, "too_many_requests", retry_after="7"))
    session_on(fake, clock=clock).put_object("key", b"content")
    assert 1 == len(clock.waits)
    assert clock.waits[0] >= 7


def test_a_503_is_no_reason_to_wait_long() -> None:
    """A 503 is about one machine: the next URL is asked within a tenth of a second."""
    fake = service()
    clock = VirtualClock()
    fake.fault("b2_upload_file", refused(503, "service_unavailable"))
    session_on(fake, clock=clock).put_object("key", b"content")
    assert sum(clock.waits) < 0.1


def test_a_long_retry_after_ends_the_call() -> None:
    """A store that wants to be left alone for an hour is: Throttled."""
    fake = service()
    fake.fault("b2_upload_file", refused(429, "too_many_requests", retry_after="3600"))
    with pytest.raises(Throttled):
        session_on(fake).put_object("key", b"content")


def test_urls_are_used_again_and_last_in_first_out() -> None:
    """Ten uploads in a row ask for one URL."""
    fake = service()
    session = session_on(fake)
    for number in range(10):
        session.put_object(f"key{number}", b"content")
    assert 1 == len(fake.calls("b2_get_upload_url"))


def test_a_retry_trusts_no_idle_url() -> None:
    """Idle URLs have gone bad together: after a failure a fresh one is asked for although others are idle."""
    fake = service()
    session = session_on(fake)
    idle = [session._upload_authorizer(BUCKET, "key") for _ in range(3)]
    for authorizer in idle:
        authorizer.authorize(Request("POST", "", "/", "", {}))
    for authorizer in idle:
        authorizer.put_back()
    assert 3 == len(fake.calls("b2_get_upload_url"))
    fake.fault("b2_upload_file", refused(503, "service_unavailable"))
    session.put_object("key", b"content")
    assert 4 == len(fake.calls("b2_get_upload_url"))


def test_a_url_that_failed_is_never_used_again() -> None:
    """What refused an upload does not come back to the pool, also when the upload itself failed in the end."""
    fake = service()
    session = session_on(fake)
    fake.fault("b2_upload_file", refused(403, "storage_cap_exceeded"))
    with pytest.raises(AccessDenied):
        session.put_object("key", b"content")
    fake.fault("b2_upload_file", refused(503, "service_unavailable"))
    for _ in range(3):
        session.put_object("key", b"content")
    places = [entry.where for entry in fake.journal if entry.call == "b2_upload_file"]
    assert 5 == len(places)
    assert [places[2]] * 3 == places[2:]
    assert 3 == len(set(places))


def test_urls_grow_old() -> None:
    """A URL that is a day old is not tried."""
    fake = service()
    clock = VirtualClock()
    session = session_on(fake, clock=clock)
    session.put_object("key", b"content")
    clock.time += 23.5 * 3600
    session.put_object("key", b"content")
    assert 2 == len(fake.calls("b2_get_upload_url"))


def test_a_bucket_has_urls_of_its_own() -> None:
    """A URL of one bucket is not used for another."""
    fake = service()
    fake.bucket("bucket-two")
    session = session_on(fake)
    session.put_object("key", b"one")
    session.put_object("key", b"two", bucket="bucket-two")
    assert b"one" == session.get_object("key").data
    assert b"two" == session.get_object("key", bucket="bucket-two").data


def test_an_expired_account_token_is_renewed_on_the_way_to_a_url() -> None:
    """Upload token and account token have both expired: one new account token, one new URL, and the upload goes on."""
    fake = service()
    session = session_on(fake)
    session.put_object("warm", b"up")
    fake.expire()
    fake.fault("b2_upload_file", refused(401, "expired_auth_token"))
    before = len(fake.journal)
    session.put_object("key", b"content")
    assert [
        "b2_upload_file",
        "b2_get_upload_url",
        "b2_authorize_account",
        "b2_get_upload_url",
        "b2_upload_file",
    ] == [entry.call for entry in fake.journal[before:]]


def test_failing_to_get_a_url_is_not_multiplied() -> None:
    """When no URL can be had, its own attempts are all there are: the upload does not repeat them five times."""
    fake = service()
    fake.fault("b2_get_upload_url", *[refused(503, "service_unavailable")] * 30)
    with pytest.raises(Throttled):
        session_on(fake).put_object("key", b"content")
    assert 5 == len(fake.calls("b2_get_upload_url"))
    assert [] == fake.calls("b2_upload_file")


def test_sixteen_threads_never_share_a_token() -> None:
    """Sixteen threads upload at once: never are two uploads under way with one token, and nothing is lost."""
    fake = service()
    session = session_on(fake)
    barrier = Barrier(16, timeout=30)
    errors: list[BaseException] = []

    def upload(thread: int) -> None:
        try:
            barrier.wait()
            for number in range(10):
                session.put_object(f"{thread}/{number}", b"%d" % number)
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=upload, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == errors
    assert 0 == fake.overlaps
    assert 160 == len(list(session.list_objects()))
    assert 1 == len(fake.calls("b2_authorize_account"))
    assert len(fake.calls("b2_get_upload_url")) <= 16


def test_the_sha1_travels_in_the_header_or_behind_the_body() -> None:
    """Bytes go with their SHA-1 in the header; a file that is read once has it at its end; both are compared."""
    fake = service()
    session = session_on(fake)
    session.put_object("bytes", b"content")
    buffer = bytearray(b"x" * 3_000_000)
    session.put_object("buffer", buffer, multipart=False)
    sent = [entry.headers["x-bz-content-sha1"] for entry in fake.journal if entry.call == "b2_upload_file"]
    assert [hashlib.sha1(b"content").hexdigest(), "hex_digits_at_end"] == sent
    assert hashlib.sha1(buffer).hexdigest() == session.head_object("buffer").etag
    assert len(buffer) == session.head_object("buffer").size


def test_an_answer_about_other_bytes_is_refused() -> None:
    """ChecksumMismatch when B2 says that it has stored something else."""
    fake = service()
    inner = fake.__call__

    def lying(request: Request) -> Response:
        response = inner(request)
        if "x-bz-file-name" in request.headers and isinstance(response.body, bytes):
            response.body = response.body.replace(hashlib.sha1(b"content").hexdigest().encode(), b"0" * 40)
        return response

    session = session_on(fake)
    session._client.transport = lying  # type: ignore[assignment]  # a Transport as far as a call goes
    with pytest.raises(ChecksumMismatch):
        session.put_object("key", b"content")


def test_a_lost_answer_may_leave_two_equal_versions_and_says_so() -> None:
    """An upload whose every answer is lost fails, and says that it may have been carried out."""
    fake = service()
    fake.fault("b2_upload_file", *[Fault(lost="stall")] * 9)
    with pytest.raises(TimedOut) as caught:
        session_on(fake).put_object("key", b"content")
    assert caught.value.maybe_applied
    assert 5 == len(list(session_on(fake).list_object_versions()))


def test_a_missing_bucket_is_no_such_bucket() -> None:
    """NotFound, and nothing is uploaded."""
    fake = service()
    with pytest.raises(NotFound) as caught:
        session_on(fake).put_object("key", b"content", bucket="no-such-bucket")
    assert "no-such-bucket" == caught.value.bucket
    assert [] == fake.calls("b2_get_upload_url")
