"""OpenTelemetry: a span for each attempt of a session, `S3Session(on_attempt=s3func.telemetry.spans())`.

Needs the package opentelemetry-api (`pip install s3func[otel]`), which is imported here and nowhere else.
https://opentelemetry.io/docs/specs/semconv/object-stores/s3/
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from s3func.version import VERSION

if TYPE_CHECKING:
    from s3func.transport.observation import Attempt, OnAttempt

__all__ = ["spans"]


def spans(tracer: Any = None) -> OnAttempt:
    """A function for on_attempt that makes a finished client span of every attempt.

    tracer: an OpenTelemetry Tracer; None takes the one of the global provider. A span's parent is the current span of the
    thread that made the attempt: the parts of a large object are moved by threads of their own, whose spans are roots.
    ImportError without the package opentelemetry-api.
    """
    trace = import_module("opentelemetry.trace")
    made = trace.get_tracer("s3func", VERSION) if tracer is None else tracer

    def on_attempt(attempt: Attempt) -> None:
        end = time.time_ns()
        span = made.start_span(
            attempt.operation,
            kind=trace.SpanKind.CLIENT,
            attributes=_attributes(attempt),
            start_time=end - int(attempt.seconds * 1e9),
        )
        if attempt.error:
            span.set_status(trace.Status(trace.StatusCode.ERROR, attempt.code or attempt.error))
        span.end(end)

    return on_attempt


def _attributes(attempt: Attempt) -> dict[str, str | int]:
    """The attributes, under the names of the specification; what is not known is left out."""
    host = attempt.url.partition("://")[2].partition("/")[0]
    found: dict[str, str | int | None] = {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": attempt.operation,
        "http.request.method": attempt.method,
        "http.response.status_code": attempt.status or None,
        "http.request.resend_count": attempt.attempt - 1 or None,
        "http.request.body.size": attempt.bytes_sent,
        "http.response.body.size": attempt.bytes_received,
        "server.address": host,
        "aws.s3.bucket": attempt.bucket,
        "aws.s3.key": attempt.key,
        "aws.request_id": attempt.request_id or None,
        "error.type": attempt.code or attempt.error or None,
    }
    return {name: value for name, value in found.items() if value is not None}
