"""The benchmark of clusters limits what it says it limits, and its tables say what was measured."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import distributed
from benchmarks.distributed import FREE_BYTES, PACED_BYTES, PACED_DOWN, RATE, LimitedSink, Sample
from benchmarks.sink import SinkUnavailable
from benchmarks.sync_sink import BUCKET, content
from s3func import S3Session


@pytest.fixture(scope="module")
def sink() -> Iterator[LimitedSink]:
    """A running store with one object on each shelf."""
    try:
        with LimitedSink({"paced/": (1, PACED_BYTES), "free/": (1, FREE_BYTES)}) as running:
            yield running
    except SinkUnavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def test_a_connection_is_as_slow_as_it_shall_be(sink: LimitedSink) -> None:
    """Both ways take at least as long as the bytes take at the rate, and what arrives is whole."""
    key = "paced/d00000/f0000000"
    with S3Session("id", "secret", BUCKET, sink.endpoint, region="us-east-1") as session:
        began = time.monotonic()
        assert content(PACED_BYTES) == session.get_object(key).data
        between = time.monotonic()
        session.put_object("empty/f", content(PACED_BYTES))
        ended = time.monotonic()
        assert content(FREE_BYTES) == session.get_object("free/d00000/f0000000").data
    # Less than this would be no limit; more is the machine's business.
    least = 0.9 * PACED_BYTES / RATE
    assert least < between - began
    assert least < ended - between


def test_the_tables() -> None:
    """Seconds of each number of workers, and how many times as fast as one of the same cluster."""
    samples = [
        Sample("dask", workers, PACED_DOWN, number, 480, seconds + number, workers)
        for workers, seconds in ((1, 15.0), (2, 7.0))
        for number in range(3)
    ]
    text = distributed.report(samples, {"ray, 1 workers": "not there"})
    assert "### down, limited: 480 files" in text
    assert "| dask | 16.0 (15.0–17.0) | 8.0 (7.0–9.0) | 2.00 x |" in text
    assert "- left out: ray, 1 workers: not there" in text


def test_a_cluster_that_does_less_is_found_out(sink: LimitedSink, tmp_path: Path) -> None:
    """A report of fewer files than there are is no sample."""

    class Idle:
        def call(self, **_: object) -> dict[str, object]:
            return {"report": {"exit_code": 0, "downloaded": 3}, "said": "3 downloaded", "seconds": 1.0, "workers": []}

    rig = distributed.Rig(tmp_path, distributed.QUICK, sink)
    with pytest.raises(distributed.RunFailed, match="3 of 64 files"):
        rig.measure(Idle(), "dask", 1, PACED_DOWN, 0)  # type: ignore[arg-type]  # as much of a driver as is asked for
