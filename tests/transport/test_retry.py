from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import errors
from s3func.errors import S3FuncError, service_error
from s3func.transport.retry import RetryPolicy, is_transient, retry_after_seconds

SLOW_DOWN = service_error("SlowDown")
INTERNAL_ERROR = service_error("InternalError")


SECONDS = st.floats(0, 1e9)


@given(
    attempt=st.integers(1, 10**6),
    draw=st.floats(0, 1, exclude_max=True),
    policy=st.builds(
        RetryPolicy, base_seconds=SECONDS, throttled_base_seconds=SECONDS, wait_max_seconds=SECONDS | st.just(20.0)
    ),
)
def test_a_wait_is_within_its_limits(attempt: int, draw: float, policy: RetryPolicy) -> None:
    """Whatever the attempt and the draw, the wait is between nothing and the longest wait."""
    policy = policy._replace(attempts=attempt + 1)
    for error in (SLOW_DOWN, INTERNAL_ERROR):
        wait = policy.wait_seconds(error, attempt, draw)
        assert wait is not None
        assert 0 <= wait <= policy.wait_max_seconds


def test_the_limit_of_a_wait_doubles() -> None:
    """Each wait may be twice as long as the one before, up to the longest."""
    policy = RetryPolicy(attempts=100, base_seconds=1.0, wait_max_seconds=64.0)
    waits = [policy.wait_seconds(INTERNAL_ERROR, attempt, 0.5) for attempt in range(1, 12)]
    assert [0.5, 1, 2, 4, 8, 16, 32, 32, 32, 32, 32] == waits


def test_after_the_last_attempt_there_is_no_wait() -> None:
    """As many attempts are made as the policy says, the first one included."""
    policy = RetryPolicy(attempts=3)
    assert [True, True, False, False] == [
        policy.wait_seconds(SLOW_DOWN, attempt, 0.5) is not None for attempt in range(1, 5)
    ]


TRANSIENT: list[S3FuncError] = [
    SLOW_DOWN,
    INTERNAL_ERROR,
    errors.ConnectError("x"),
    errors.TimedOut("x"),
    errors.ConnectionLost("x"),
    errors.TruncatedBody("x"),
    errors.ProtocolError("x"),
    *[service_error("Unheard", status=status) for status in (408, 429, 500, 502, 503, 504, 509, 520, 524)],
    *[service_error(code, status=400) for code in ("RequestTimeout", "Throttling", "RequestLimitExceeded")],
    *[service_error(code) for code in ("OperationAborted", "ConditionalRequestConflict", "Busy")],
    service_error("InternalError", status=200),
]
FINAL: list[S3FuncError] = [
    errors.DeadlineExceeded("x"),
    errors.CredentialsError("x"),
    errors.ChecksumMismatch("x"),
    errors.DeleteFailed("x"),
    errors.NotSupported("x"),
    *[service_error("Unheard", status=status) for status in (301, 304, 400, 401, 403, 404, 405, 409, 412, 416, 501)],
    *[service_error(code) for code in ("NoSuchKey", "AccessDenied", "BucketNotEmpty", "RequestTimeTooSkewed")],
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_what_may_pass(error: S3FuncError) -> None:
    """Failures of the moment are worth another attempt."""
    assert is_transient(error)


@pytest.mark.parametrize("error", FINAL, ids=repr)
def test_what_does_not_pass(error: S3FuncError) -> None:
    """Refusals of the request itself, and the end of the time for it, are not."""
    assert not is_transient(error)
    assert RetryPolicy().wait_seconds(error, 1, 0.5) is None


@given(text=st.text(max_size=30) | st.from_regex(r"[0-9]{1,30}", fullmatch=True))
def test_any_retry_after(text: str) -> None:
    """Whatever a header says, it is a number of seconds, or nothing."""
    seconds = retry_after_seconds(service_error("SlowDown", headers={"retry-after": text}))
    assert seconds is None or seconds >= 0
    assert (seconds is not None) == (text.strip().isascii() and text.strip().isdigit())


def test_the_milliseconds_go_first() -> None:
    """x-amz-retry-after, in milliseconds, is more exact than Retry-After, in seconds."""
    headers = {"retry-after": "9", "x-amz-retry-after": "250"}
    assert 0.25 == retry_after_seconds(service_error("SlowDown", headers=headers))


def test_an_endless_retry_after_is_longer_than_any_limit() -> None:
    """A Retry-After of 5,000 digits is one that nobody waits for."""
    error = service_error("SlowDown", headers={"retry-after": "9" * 5000})
    assert RetryPolicy(retry_after_max_seconds=1e300).wait_seconds(error, 1, 0.5) is None


def test_a_longer_wait_than_asked_for_stays() -> None:
    """Retry-After is a lower limit: a longer wait of our own is not cut down to it."""
    policy = RetryPolicy(base_seconds=8.0)
    waits = [
        policy.wait_seconds(service_error("InternalError", headers={"retry-after": asked}), 1, 0.5)
        for asked in ("1", "4", "5")
    ]
    assert [4.0, 4.0, 5.0] == waits
    assert all(a is not None and b is not None and a <= b for a, b in pairwise(waits))
