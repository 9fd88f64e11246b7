"""Spans of attempts, through OpenTelemetry's own SDK."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from s3func.errors import AccessDenied
from s3func.message import Response
from s3func.telemetry import spans
from s3func.testing import server
from tests.s3.rigs import Recorder, recorded, success


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    """A provider of the test's own, which is not the global one."""
    made = TracerProvider(shutdown_on_exit=False)
    yield made
    made.shutdown()


@pytest.fixture
def exporter(provider: TracerProvider) -> InMemorySpanExporter:
    """What has been finished."""
    kept = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return kept


def test_spans(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """Each attempt is one finished client span that says what it was, how long it took and how it ended."""
    refusal = Response(403, {"x-amz-request-id": "R9"}, b"<Error><Code>AccessDenied</Code></Error>")
    recorder = Recorder(lambda request: refusal if request.method == "GET" else success(request))
    with recorded(recorder, on_attempt=spans(provider.get_tracer("test"))) as session:
        session.put_object("key", b"body")
        with pytest.raises(AccessDenied):
            session.get_object("key")
    put, get = exporter.get_finished_spans()
    assert ("PutObject", SpanKind.CLIENT, StatusCode.UNSET) == (put.name, put.kind, put.status.status_code)
    assert {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": "PutObject",
        "http.request.method": "PUT",
        "http.response.status_code": 200,
        "http.request.body.size": 4,
        "http.response.body.size": 0,
        "server.address": "localhost",
        "aws.s3.bucket": "bucket",
        "aws.s3.key": "key",
        "aws.request_id": "R1",
    } == dict(put.attributes or {})
    assert ("GetObject", StatusCode.ERROR, "AccessDenied") == (
        get.name,
        get.status.status_code,
        get.status.description,
    )
    told = dict(get.attributes or {})
    assert ("AccessDenied", "R9") == (told["error.type"], told["aws.request_id"])
    assert (put.end_time or 0) >= (put.start_time or 0) > 0


def test_a_span_belongs_to_the_one_around_it(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """The attempts of a call are children of the program's own span; a retry is a second child that says so."""
    tracer = provider.get_tracer("test")
    with server() as s3, s3.session("bucket", on_attempt=spans(tracer)) as session:
        s3.faults.add("PutObject", times=1, status=503)
        with tracer.start_as_current_span("job"):
            session.put_object("key", b"body")
    job = next(span for span in exporter.get_finished_spans() if span.name == "job")
    puts = [span for span in exporter.get_finished_spans() if span.name == "PutObject"]
    assert [None, 1] == [(span.attributes or {}).get("http.request.resend_count") for span in puts]
    assert [job.context.span_id] * 2 == [span.parent.span_id for span in puts if span.parent is not None]


def test_spans_need_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without opentelemetry-api spans() says so at once, and not in the middle of a call."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    with pytest.raises(ImportError, match="opentelemetry"):
        spans()
