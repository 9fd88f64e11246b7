"""RetryPolicy: a value that decides whether and when to try again. It never sleeps, draws no random numbers of its own.

The tables are the union of what botocore, arrow-rs, aws-c-s3 and rclone retry, less what they should not.
"""

from __future__ import annotations

from typing import NamedTuple

from s3func.errors import (
    ConnectError,
    CredentialsError,
    DeadlineExceeded,
    ProtocolError,
    S3FuncError,
    ServiceError,
    Throttled,
    TransportError,
)

# 520-524 are what Cloudflare's edge, in front of B2 and R2, says for 5xx.
RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524})
RETRIED_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "Busy",
        "ConditionalRequestConflict",
        "EC2ThrottledException",
        "InternalError",
        "InternalErrors",
        "LimitExceededException",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


class RetryPolicy(NamedTuple):
    """How often and how patiently a call is tried.

    attempts: tries in all, the first one included. base_seconds: the first wait is drawn from [0, base]; each further
    one from twice as much. throttled_base_seconds: the same after SlowDown. wait_max_seconds: the longest wait.
    retry_after_max_seconds: a longer Retry-After ends the call, because waiting less would only be refused again.
    quota: what a session's retries may cost, 5 each, before it fails fast: at 500, 100 retries. A call that succeeds at
    once pays back 1, one that needed retries pays back its last one.
    """

    attempts: int = 5
    base_seconds: float = 0.05
    throttled_base_seconds: float = 1.0
    wait_max_seconds: float = 20.0
    retry_after_max_seconds: float = 60.0
    quota: int = 500

    def wait_seconds(self, error: S3FuncError, attempt: int, random: float) -> float | None:
        """Seconds to wait before the next attempt, or None when this error is final.

        attempt: tries made so far. random: a draw from [0, 1).
        """
        if attempt >= self.attempts or not is_transient(error):
            return None
        base = self.throttled_base_seconds if isinstance(error, Throttled) else self.base_seconds
        wait = float(random * min(self.wait_max_seconds, base * 2.0 ** min(attempt - 1, 64)))
        asked = retry_after_seconds(error)
        if asked is None:
            return wait
        return None if asked > self.retry_after_max_seconds else max(wait, asked)


def is_transient(error: S3FuncError) -> bool:
    """Whether the same request may succeed when it is sent again."""
    if isinstance(error, ServiceError):
        return error.status in RETRIED_STATUSES or error.code in RETRIED_CODES
    if isinstance(error, DeadlineExceeded | CredentialsError):
        return False
    return isinstance(error, TransportError | ProtocolError | ConnectError)


def retry_after_seconds(error: S3FuncError) -> float | None:
    """What the store asked for: Retry-After in seconds, or x-amz-retry-after in milliseconds."""
    headers = getattr(error, "headers", None) or {}
    for name, unit in (("x-amz-retry-after", 0.001), ("retry-after", 1.0)):
        text = str(headers.get(name, "")).strip()
        # The date form of Retry-After is not worth a clock comparison: the usual backoff serves.
        if text.isascii() and text.isdigit():
            # Not int(): Python refuses to read more than 4,300 digits.
            return float(text) * unit
    return None
