"""The threads of a run: as many as help, fewer when the store asks for it, and none that is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3func.testing
from s3func.sync.applying import apply
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation
from s3func.sync.remote import RemotePrefix
from s3func.sync.transfers import Outcome, Settings
from s3func.sync.workers import Lane, Movers
from s3func.testing import Server
from s3func.transport.pool import Pool
from tests.sync.hand_made import HandMade, upload

STEPS = [Operation("upload", f"{number:05}") for number in range(3000)]


@pytest.fixture
def server() -> Iterator[Server]:
    with s3func.testing.server() as running:
        yield running


def drive(lane: Lane, steps: list[Operation]) -> list[str]:
    """Put all steps, take all outcomes."""
    names = []
    for step in steps:
        lane.put(step)
        names += [outcome.operation.name for outcome in lane.outcomes()]
    while lane.wait_a_little():
        names += [outcome.operation.name for outcome in lane.outcomes()]
    return names + [outcome.operation.name for outcome in lane.outcomes()]


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("maximum", [1, 5])
def test_every_step_once(maximum: int, adaptive: bool) -> None:
    """Every step is carried out once, and its outcome is told once."""
    with Lane(maximum, adaptive=adaptive) as lane:
        lane.begin(Outcome)
        assert [step.name for step in STEPS] == sorted(drive(lane, STEPS))


def test_grows_while_it_waits() -> None:
    """Steps that wait are carried out by more and more threads, up to the maximum."""
    at_once, most = 0, 0
    lock = threading.Lock()

    def carry_out(operation: Operation) -> Outcome:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1
        return Outcome(operation)

    with Lane(16) as lane:
        lane.begin(carry_out)
        drive(lane, STEPS[:1000])
    assert most == 16


def test_stays_small_while_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that computes all the time is not given more threads."""
    monkeypatch.setattr(time, "process_time", time.monotonic)
    with Lane(16) as lane:
        lane.begin(Outcome)
        drive(lane, STEPS)
        assert lane.limit.current == 1


def test_queue_is_short() -> None:
    """The driver waits while many steps are waiting, so that a plan of any length takes little memory."""
    most = 0
    with Lane(2) as lane:
        lane.begin(Outcome)
        for step in STEPS * 3:
            lane.put(step)
            most = max(most, len(lane._queue))
        while lane.wait_a_little():
            pass
    assert most <= 1024


def test_failure_is_raised_by_the_driver() -> None:
    """What a step raises ends the lane and is raised where steps are put; what was done before is still told."""

    def carry_out(operation: Operation) -> Outcome:
        if operation.name == "00100":
            raise ZeroDivisionError
        return Outcome(operation)

    lane = Lane(2)
    with pytest.raises(ZeroDivisionError), lane:
        lane.begin(carry_out)
        drive(lane, STEPS)
    assert [thread for thread in threading.enumerate() if thread.name.startswith("s3func-sync")] == []


def test_stop_ends_waiting_for_a_retry(server: Server, tmp_path: Path) -> None:
    """A run that ends does not wait for a store that asks to be asked again in a minute."""
    session = server.session("bucket")
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    for number in range(3):
        (tmp_path / f"{number}").write_bytes(b"1")
    server.faults.add("PutObject", status=503, code="SlowDown", headers={"Retry-After": "20"})
    began = time.monotonic()
    movers = Movers(tree, remote, Settings())
    with pytest.raises(ZeroDivisionError), movers:
        for number in range(3):
            movers.put(upload(tree, f"{number}"))
        while "PutObject" not in server.journal.operations():
            time.sleep(0.01)
        raise ZeroDivisionError
    assert time.monotonic() - began < 15


def test_fewer_when_throttled(server: Server, tmp_path: Path) -> None:
    """A store that asks for fewer requests gets half as many at a time, and the run ends well."""
    from s3func.transport.retry import RetryPolicy

    session = server.session("bucket", retries=RetryPolicy(attempts=20, throttled_base_seconds=0.001))
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    for number in range(200):
        (tmp_path / f"{number:03}").write_bytes(b"1")
    server.faults.add("PutObject", times=3, after=30, status=503, code="SlowDown")
    with Movers(tree, remote, Settings(), 16) as movers:
        for number in range(200):
            movers.put(upload(tree, f"{number:03}"))
        while movers.is_waiting():
            pass
        done = list(movers.outcomes())
        limit = movers._small.limit
        assert limit.ticket > 0
    assert {"done"} == {outcome.state for outcome in done}
    assert len(done) == 200


def test_session_with_a_small_pool(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that keeps few connections neither blocks many threads, nor makes them connect again and again."""
    session = server.session("bucket", max_connections=1)
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    for number in range(300):
        (tmp_path / f"{number:03}").write_bytes(b"1")
    made: list[str] = []
    real = Pool._connect

    def connect(pool: Pool, request: Any, shelf: Any) -> Any:
        made.append(request.path)
        return real(pool, request, shelf)

    monkeypatch.setattr(Pool, "_connect", connect)
    plan = HandMade(tree, remote, [upload(tree, f"{number:03}") for number in range(300)])
    assert apply(plan, workers=8).uploaded == 300
    assert len(made) <= 16
    # The session itself is as it was.
    assert session._client.transport.max_connections == 1  # type: ignore[attr-defined]  # a Pool
