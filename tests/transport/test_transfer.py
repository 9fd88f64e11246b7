from __future__ import annotations

import pickle
from collections.abc import Iterator
from threading import Barrier, Lock, Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.transport.body import BufferBody
from s3func.transport.transfer import BandwidthLimit, ProgressCount, TransferConfig, WatchedBody, checked_transfer


class StandingClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time = 100.0
        self.slept: list[float] = []

    def now(self) -> float:
        """The same as monotonic."""
        return self.time

    def monotonic(self) -> float:
        """Seconds."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.time += seconds


def body_of_size(size: int) -> BufferBody:
    """A body in blocks of 256 KiB."""
    return BufferBody(memoryview(bytes(size)))


def told() -> tuple[list[tuple[int, int | None]], Any]:
    """A list, and a progress function that fills it."""
    calls: list[tuple[int, int | None]] = []
    return calls, lambda done, total: calls.append((done, total))


@given(counts=st.lists(st.integers(1, 10**9), min_size=1, max_size=50), rate=st.floats(1, 1e12))
def test_no_more_passes_than_the_limit(counts: list[int], rate: float) -> None:
    """Whatever is taken, the bytes before the last take have had their time."""
    clock = StandingClock()
    limit = BandwidthLimit(rate, clock=clock)
    for count in counts:
        limit.take(count)
    assert clock.time - 100.0 == pytest.approx(sum(counts[:-1]) / rate, rel=1e-6, abs=1e-6)


def test_nothing_is_saved_up() -> None:
    """After an hour of silence the line does not carry an hour's bytes at once."""
    clock = StandingClock()
    limit = BandwidthLimit(1000, clock=clock)
    limit.take(1000)
    clock.time += 3600
    limit.take(1000)
    limit.take(1000)
    assert [1.0] == clock.slept


def test_a_limit_is_shared() -> None:
    """Two users of one limit wait for each other; each may bring its own way to wait."""
    clock = StandingClock()
    limit = BandwidthLimit(1000, clock=clock)
    waited: list[float] = []
    limit.take(500)
    limit.take(500, waited.append)
    limit.take(500, waited.append)
    assert [0.5, 1.0] == waited
    assert [] == clock.slept


@pytest.mark.parametrize(("rate", "piece"), [(1, 4096), (100_000, 10_000), (1e9, 256 * 1024)])
def test_pieces_are_a_tenth_of_a_second(rate: float, piece: int) -> None:
    """A slow line is not filled in one go, a fast one is not bothered with crumbs."""
    assert piece == BandwidthLimit(rate).piece


def test_a_limit_is_a_value_elsewhere() -> None:
    """It crosses to another process, where it limits by itself."""
    limit = pickle.loads(pickle.dumps(TransferConfig(bandwidth=BandwidthLimit(5000)))).bandwidth
    assert 5000 == limit.bytes_per_second
    assert "BandwidthLimit(5000)" == repr(limit)


@pytest.mark.parametrize(
    ("rate", "error"),
    [(0, ValueError), (-1, ValueError), (float("inf"), ValueError), (float("nan"), ValueError), ("1", TypeError)],
)
def test_a_limit_that_is_none_is_refused(rate: Any, error: type[Exception]) -> None:
    """Bytes per second are a positive number."""
    with pytest.raises(error, match="bytes_per_second"):
        BandwidthLimit(rate)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"multipart_threshold": -1}, ValueError),
        ({"multipart_threshold": 1.5}, TypeError),
        ({"part_size": 0}, ValueError),
        ({"part_size": True}, TypeError),
        ({"concurrency": 0}, ValueError),
        ({"concurrency": 1001}, ValueError),
        ({"concurrency": None}, TypeError),
        ({"bandwidth": 1000}, TypeError),
    ],
)
def test_settings_that_cannot_be_followed_are_refused(change: dict[str, Any], error: type[Exception]) -> None:
    """The message names the setting."""
    with pytest.raises(error, match=f"transfer.{next(iter(change))}"):
        checked_transfer(TransferConfig(**change))


def test_settings_must_be_settings() -> None:
    """A dict is not taken for a TransferConfig."""
    with pytest.raises(TypeError, match="transfer"):
        checked_transfer({"part_size": 1})
    assert TransferConfig(0, 1) == checked_transfer(TransferConfig(0, 1))


def test_progress_ends_at_the_size() -> None:
    """The last call is (size, size), and it is made once."""
    calls, progress = told()
    count = ProgressCount(progress, 10)
    count.add(4)
    count.add(0)
    count.add(6)
    count.finish(10)
    assert [(4, 10), (10, 10)] == calls


def test_progress_of_unknown_size_ends_at_the_size() -> None:
    """While nobody knows the size it is None; the end says it, also for nothing at all."""
    calls, progress = told()
    count = ProgressCount(progress, None)
    count.add(4)
    count.finish(4)
    assert [(4, None), (4, 4)] == calls
    calls, progress = told()
    ProgressCount(progress, None).finish(0)
    assert [(0, 0)] == calls


def test_progress_never_goes_backwards() -> None:
    """A transfer that begins again tells nothing before it has come further than before."""
    calls, progress = told()
    count = ProgressCount(progress, 10)
    count.add(6)
    count.restart(12)
    count.add(5)
    count.add(4)
    count.finish(12)
    assert [(6, 10), (9, 12), (12, 12)] == calls


def test_progress_is_never_told_by_two_threads_at_a_time() -> None:
    """The caller's function needs no lock of its own."""
    inside = Lock()
    calls: list[int] = []

    def progress(done: int, total: int | None) -> None:
        assert inside.acquire(blocking=False)
        calls.append(done)
        inside.release()

    count = ProgressCount(progress, 4000)
    begin = Barrier(4)

    def run() -> None:
        begin.wait(10)
        for _ in range(1000):
            count.add(1)

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(range(1, 4001)) == calls


def test_progress_must_be_callable() -> None:
    """A mistake is found before anything is sent."""
    wrong: Any = 1
    with pytest.raises(TypeError, match="progress"):
        ProgressCount(wrong, 1)


def test_a_body_that_is_sent_again_is_counted_once() -> None:
    """A retry adds only what the attempts before it did not reach."""
    calls, progress = told()
    size = 700_000
    body = WatchedBody(body_of_size(size), count=ProgressCount(progress, size))
    blocks = body.blocks()
    next(blocks)
    next(blocks)
    assert size == sum(len(block) for block in body.blocks())
    assert [262_144, 524_288, 700_000] == [done for done, _ in calls]


def test_a_body_whose_end_nobody_asked_for_is_counted_whole() -> None:
    """A transport that knows the length takes the last block and never comes back."""
    calls, progress = told()
    body = WatchedBody(body_of_size(300_000), count=ProgressCount(progress, 300_000))
    blocks = body.blocks()
    next(blocks)
    next(blocks)
    body.finish()
    body.finish()
    assert [(262_144, 300_000), (300_000, 300_000)] == calls


def test_a_body_keeps_to_the_bandwidth() -> None:
    """Blocks are cut into pieces that the limit lets pass one by one; the bytes stay the same."""
    clock = StandingClock()
    content = bytes(range(256)) * 100
    limit = BandwidthLimit(51_200, clock=clock)
    body = WatchedBody(BufferBody(memoryview(content)), bandwidth=limit)
    blocks = [bytes(block) for block in body.blocks()]
    assert content == b"".join(blocks)
    assert [5120] * 5 == [len(block) for block in blocks]
    assert clock.time == pytest.approx(100.4)


def test_a_body_stops_when_it_is_told_to() -> None:
    """check() is asked before every block, and what it raises ends the sending."""
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise InterruptedError

    def send(blocks: Iterator[bytes | memoryview]) -> None:
        sent.extend(len(block) for block in blocks)

    sent: list[int] = []
    with pytest.raises(InterruptedError):
        send(WatchedBody(body_of_size(600_000), check=check).blocks())
    assert [262_144] == sent


def test_whoever_asks_behind_the_end_sets_the_memory_free() -> None:
    """on_sent is called once all blocks were taken and another one is asked for, each time; never before."""
    calls: list[int] = []
    body = WatchedBody(body_of_size(300_000), on_sent=lambda: calls.append(1))
    blocks = body.blocks()
    next(blocks)
    next(blocks)
    assert [] == calls
    assert [] == list(blocks)
    assert [1] == calls
    assert 2 == len(list(body.blocks()))
    assert [1, 1] == calls
