"""The handle: threading.Lock's manners, leases that are lost, and what becomes of a lock when its process goes."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import ConnectError, LockError, LockLost, LockStoreError, LockTimeout, NoSuchBucket, S3FuncError
from s3func.lock import Lock
from s3func.lock.lease import LeaseClock
from tests.lock.rigs import START, Answer, HandClock, Shelf, Wire, keys, once

ROOT = Path(__file__).resolve().parents[2]


def outcome(call: Any) -> Any:
    """What a call returns, or the type of what it raises."""
    try:
        return call()
    except Exception as error:
        return type(error)


WAITS_FOR_EVER: list[tuple[Any, ...]] = [(), (True,), (True, -1)]
ENDS: list[tuple[Any, ...]] = [
    (True, 0),
    (True, 0.01),
    (False,),
    (False, -1),
    (False, 0),
    (False, 1),
    (True, -2),
    (True, -0.5),
    (True, "1"),
    (True, None),
    (True, threading.TIMEOUT_MAX * 2),
]


@pytest.mark.parametrize(
    ("arguments", "is_held"),
    [(arguments, False) for arguments in WAITS_FOR_EVER + ENDS] + [(arguments, True) for arguments in ENDS],
)
def test_acquire_takes_what_threading_takes(arguments: tuple[Any, ...], is_held: bool) -> None:
    """The same arguments give the same answer, or the same kind of error, free or held."""
    ours, theirs = Shelf().lock(), threading.Lock()
    if is_held:
        ours.acquire()
        theirs.acquire()
    assert outcome(lambda: theirs.acquire(*arguments)) == outcome(lambda: ours.acquire(*arguments))
    if ours.held:
        ours.release()


def test_release_of_what_is_not_held() -> None:
    """RuntimeError, before and after, with threading's own words."""
    lock = Shelf().lock()
    with pytest.raises(RuntimeError, match="release unlocked lock"):
        lock.release()
    with lock:
        pass
    with pytest.raises(RuntimeError, match="release unlocked lock"):
        lock.release()


def test_another_thread_may_release(session: S3Session) -> None:
    """The thread that releases need not be the one that acquired."""
    lock = session.lock("job")
    lock.acquire()
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    assert not lock.held
    assert [] == keys(session)


def test_with_gives_up_after_its_timeout() -> None:
    """LockTimeout, which is a TimeoutError, and the bucket is as before."""
    shelf = Shelf()
    with shelf.lock(ttl=None), pytest.raises(LockTimeout) as caught, shelf.lock(timeout=3):
        raise AssertionError
    assert isinstance(caught.value, TimeoutError)
    assert {} == shelf.objects


@pytest.mark.parametrize(
    ("settings", "kind", "name"),
    [
        ({"ttl": 0.5}, ValueError, "ttl"),
        ({"ttl": -1}, ValueError, "ttl"),
        ({"ttl": float("nan")}, ValueError, "ttl"),
        ({"ttl": float("inf")}, ValueError, "ttl"),
        ({"ttl": "60"}, TypeError, "ttl"),
        ({"ttl": True}, TypeError, "ttl"),
        ({"grace": -1}, ValueError, "grace"),
        ({"poll": (0, 1)}, ValueError, "poll"),
        ({"poll": (2, 1)}, ValueError, "poll"),
        ({"expiry": "never"}, ValueError, "expiry"),
        ({"fast": True, "fencing": True}, ValueError, "fencing"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"note": 1}, TypeError, "note"),
        ({"on_lost": 1}, TypeError, "on_lost"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], kind: type[Exception], name: str) -> None:
    """A mistake is named before anything is sent."""
    shelf = Shelf()
    with pytest.raises(kind, match=name):
        shelf.lock(**settings)
    assert [] == shelf.requests


@pytest.mark.parametrize(
    ("key", "kind"), [("", ValueError), (None, TypeError), ("x" * 971, ValueError), ("\ud800", ValueError)]
)
def test_bad_names_are_refused(key: Any, kind: type[Exception]) -> None:
    """A name must leave room for what a lock adds to it."""
    with pytest.raises(kind, match="key"):
        Shelf().lock(key)
    with Shelf().lock("x" * 965) as lock:
        assert lock.held


@pytest.mark.parametrize(
    ("settings", "requests"),
    [
        ({}, ["put", "list", "put", "list", "delete", "delete"]),
        ({"fencing": True}, ["put", "list", "put", "list", "delete"]),
        ({"fast": True}, ["put", "list", "delete"]),
    ],
)
def test_a_free_lock_costs_this(settings: dict[str, Any], requests: list[str]) -> None:
    """Acquire and release of a lock that nobody wants: the protocol's own requests and none besides."""
    shelf = Shelf()
    with shelf.lock(**settings):
        pass
    assert requests == [verb for verb, _ in shelf.requests]


def test_shared_holders_are_together_and_an_exclusive_one_is_alone() -> None:
    """Shared with shared; a writer waits for readers, and readers that come later wait for the writer."""
    shelf = Shelf()
    one, other, writer, late = (shelf.lock(shared=True, ttl=None) for _ in range(4))
    assert one.acquire()
    assert other.acquire(exclusive=False)
    assert not writer.acquire(timeout=0, shared=False)
    one.release()
    other.release()
    assert writer.acquire(False, exclusive=True)
    assert not late.acquire(False)
    writer.release()
    with pytest.raises(ValueError, match="opposites"):
        late.acquire(shared=True, exclusive=True)


def test_tokens_grow_over_idle_times(session: S3Session) -> None:
    """Every hold has a larger token, by whatever object, and one empty mark is all that stays."""
    tokens = []
    for _ in range(4):
        with session.lock("job", fencing=True) as lock:
            tokens.append(lock.fencing_token)
        with session.lock("job"):
            pass
    assert sorted(set(tokens)) == tokens
    assert 1 == len(keys(session))
    assert tokens[-1] < 2**63


def test_a_token_has_to_be_asked_for(session: S3Session) -> None:
    """Clear errors: not held, no fencing, shared."""
    lock = session.lock("job", fencing=True)
    with pytest.raises(RuntimeError, match="unlocked"):
        lock.fencing_token
    with session.lock("job") as plain, pytest.raises(LockError, match="fencing=True"):
        plain.fencing_token
    assert lock.acquire(shared=True)
    with pytest.raises(LockError, match="shared"):
        lock.fencing_token
    lock.release()


def test_owners_say_who_they_are() -> None:
    """The holder first, then who waits, with what they say of themselves."""
    shelf = Shelf()
    holder, stranger = shelf.lock(note="nightly"), shelf.lock()
    assert not stranger.locked()
    holder.acquire()
    owners = stranger.owners()
    assert [("holding", "exclusive", "nightly", 0)] == [(o.state, o.mode, o.note, o.position) for o in owners]
    assert owners[0].pid
    assert owners[0]["thread"] == threading.current_thread().name
    assert stranger.locked()
    assert dict.fromkeys(shelf.announced, "exclusive") == {
        ticket_id: about["lock_type"] for ticket_id, about in stranger.other_locks().items()
    }
    assert {} == holder.other_locks()
    holder.release()


def test_a_broken_lock_is_lost() -> None:
    """The holder finds out with its next renewal: valid, check, lost and on_lost say so, and the block ends in LockLost."""
    shelf = Shelf()
    told = []
    holder = shelf.lock(ttl=60, on_lost=lambda lock, reason: told.append((lock, reason)))
    with pytest.raises(LockLost, match="broke"), holder:
        holder.check()
        assert 60 >= holder.remaining() > 50
        assert 1 == len(shelf.lock().break_lock())
        # The holder cannot know yet, and verify() asks.
        assert holder.valid()
        assert not holder.verify()
        shelf.clock.sleep(21)
        renew_now()
        assert holder.lost.wait(10)
        assert not holder.valid()
        assert 0 == holder.remaining()
        with pytest.raises(LockLost):
            holder.check()
    deadline = time.monotonic() + 30
    while not told and time.monotonic() < deadline:
        time.sleep(0.001)
    assert [holder] == [lock for lock, _ in told]
    with holder:
        assert not holder.lost.is_set()


def renew_now() -> None:
    """Wake the keeper, whose waits are real, for a clock that is moved by hand."""
    from s3func.lock.keeper import KEEPER

    with KEEPER._changed:
        KEEPER._changed.notify_all()


def test_a_lease_that_is_not_renewed_is_lost() -> None:
    """A holder that slept too long knows it, without asking anybody; an exception inside the block is not hidden."""
    shelf = Shelf()
    with pytest.raises(LockLost, match="lease"), shelf.lock(ttl=10) as lock:
        shelf.clock.sleep(11)
        assert not lock.valid()
    with pytest.raises(ZeroDivisionError), shelf.lock(ttl=10):
        shelf.clock.sleep(11)
        raise ZeroDivisionError


def test_a_lease_is_renewed_while_it_is_held() -> None:
    """A holder that lives keeps the lock beyond its ttl, with at most two signs of life in the bucket."""
    shelf = Shelf()
    with shelf.lock(ttl=9) as lock:
        for _ in range(9):
            before = lock._held[0].own.sent
            shelf.clock.sleep(3.1)
            renew_now()
            deadline = time.monotonic() + 30
            while lock._held[0].own.sent == before and time.monotonic() < deadline:
                time.sleep(0.001)
        assert lock.valid()
        assert lock.verify()
    assert {} == shelf.objects


def test_the_dead_are_removed_by_the_stores_clock() -> None:
    """A ticket that gives no sign of life goes when ttl and grace are over, and not before."""
    shelf = Shelf()
    shelf.put_object("job.lock/" + "0" * 24 + ".0.x20", b"")
    shelf.put_object("job.lock/" + "0" * 24 + ".1.xp" + "1".zfill(19), b"")
    lock = shelf.lock(grace=10)
    assert not lock.acquire(timeout=29)
    assert 1 == len(shelf.announced)
    assert lock.acquire(timeout=60)
    lock.release()
    # The dead one's number was garbage, and went as well.
    assert {} == shelf.objects


def test_who_comes_once_removes_the_dead_as_well() -> None:
    """A job that only tries, once a night, takes over from a holder that died."""
    shelf = Shelf()
    shelf.put_object("job.lock/" + "0" * 24 + ".0.x20", b"")
    shelf.clock.sleep(3600)
    lock = shelf.lock(grace=10)
    assert lock.acquire(blocking=False)
    lock.release()


def test_without_a_ttl_nothing_expires() -> None:
    """ttl=None: whoever waits, waits; breaking is what ends it."""
    shelf = Shelf()
    shelf.put_object("job.lock/" + "0" * 24 + ".0.x0", b"")
    shelf.clock.sleep(1e6)
    lock = shelf.lock()
    assert not lock.acquire(timeout=1000)
    assert [""] == [owner.host for owner in lock.break_lock(["0" * 24])]
    assert lock.acquire(blocking=False)
    lock.release()


def test_breaking_with_wait_lets_nobody_in_before_the_victim_knows() -> None:
    """While break_lock waits, the lock is held by nobody and free for nobody."""
    shelf = Shelf()
    victim, breaker, third = shelf.lock(ttl=20, grace=5), shelf.lock(grace=5), shelf.lock(ttl=None)
    victim.acquire()
    begun = shelf.clock.time
    seen: list[bool] = []
    sleep = shelf.clock.sleep

    def look_and_sleep(seconds: float) -> None:
        seen.append(third.acquire(blocking=False))
        sleep(seconds)

    breaker._time.sleep = look_and_sleep
    assert 1 == len(breaker.break_lock(wait=True))
    assert [False] == seen
    assert shelf.clock.time - begun >= 25
    assert not victim.valid()
    assert third.acquire(blocking=False)
    third.release()
    victim.release()


def test_breaking_that_is_interrupted_blocks_nobody() -> None:
    """KeyboardInterrupt, or a store that fails, while break_lock waits: its own ticket goes at once."""
    shelf = Shelf()
    victim, breaker = shelf.lock(), shelf.lock()
    victim.acquire()

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    breaker._time.sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        breaker.break_lock(wait=True)
    assert [] == shelf.announced
    victim.release()
    victim.acquire()
    shelf.fails = lambda verb, key: NoSuchBucket("gone") if verb == "delete" and ".0." in key else None
    with pytest.raises(NoSuchBucket):
        breaker.break_lock(wait=True)
    shelf.fails = lambda verb, key: None
    victim.release()


def test_an_interrupt_leaves_no_ticket() -> None:
    """KeyboardInterrupt while waiting, or between the puts: the ticket goes, and the lock can be acquired again."""
    shelf = Shelf()
    holder, lock = shelf.lock(ttl=None), shelf.lock()
    holder.acquire()
    before = set(shelf.objects)
    for verb, at in (("put", ".0."), ("list", "job"), ("put", ".1.")):

        def interrupt(asked: str, key: str, verb: str = verb, at: str = at) -> S3FuncError | None:
            if asked == verb and at in key:
                raise KeyboardInterrupt
            return None

        shelf.fails = interrupt
        with pytest.raises(KeyboardInterrupt):
            lock.acquire()
        assert before == set(shelf.objects)
    shelf.fails = lambda verb, key: None
    holder.release()
    assert lock.acquire(timeout=0)
    lock.release()


def test_a_store_that_fails_is_waited_for_a_minute() -> None:
    """Then LockStoreError, with its cause; a refusal that no waiting mends is raised as it is, at once."""
    shelf = Shelf()
    shelf.fails = lambda verb, key: ConnectError("down")
    before = shelf.clock.time
    with pytest.raises(LockStoreError) as caught:
        shelf.lock().acquire()
    assert isinstance(caught.value.__cause__, ConnectError)
    assert caught.value.ambiguous
    assert shelf.clock.time - before >= 60
    shelf.fails = lambda verb, key: NoSuchBucket("none")
    shelf.requests.clear()
    with pytest.raises(NoSuchBucket):
        shelf.lock().acquire()
    assert 1 == len([verb for verb, _ in shelf.requests if verb == "put"])


def test_a_failed_poll_keeps_the_place() -> None:
    """Whoever waits does not go to the end of the queue because one listing failed."""
    shelf = Shelf()
    holder, lock = shelf.lock(ttl=None), shelf.lock()
    holder.acquire()
    lists = iter(range(100))

    def fails(verb: str, key: str) -> S3FuncError | None:
        if verb != "list":
            return None
        count = next(lists)
        if count == 5:
            holder.release()
        return ConnectError("hiccup") if count in {2, 3, 4} else None

    shelf.fails = fails
    shelf.requests.clear()
    assert lock.acquire()
    assert 2 == len([key for verb, key in shelf.requests if verb == "put"])
    lock.release()


def test_a_store_that_does_not_list_its_puts_is_refused() -> None:
    """No lock is safe there, and it says so."""

    class Late(Shelf):
        def list_objects(self, prefix: str, *, bucket: str | None = None) -> list[Any]:
            return []

    shelf = Late()
    with pytest.raises(LockStoreError, match="does not list"):
        shelf.lock().acquire()
    assert {} == shelf.objects


def test_a_dead_ticket_is_not_judged_by_one_listing() -> None:
    """A listing that lags once, and shows an old stamp, costs nobody its lock."""
    shelf = Shelf()
    holder, lock = shelf.lock(ttl=1e6), shelf.lock(ttl=60, grace=10)
    holder.acquire()
    announcement = next(iter(shelf.objects))
    short = announcement.replace("x1000000", "x60")
    shelf.objects = {short if key == announcement else key: value for key, value in shelf.objects.items()}
    shelf.clock.sleep(1000)
    fresh = {key: (body, shelf.clock.now()) for key, (body, _) in shelf.objects.items()}
    lists = iter(range(100))

    def lagging(verb: str, key: str) -> S3FuncError | None:
        if verb == "list" and next(lists) == 2:
            shelf.objects.update(fresh)
        return None

    shelf.fails = lagging
    assert not lock.acquire(timeout=5)
    assert short in shelf.objects


def test_unfit_clocks_are_not_trusted(caplog: pytest.LogCaptureFixture) -> None:
    """Where LastModified does not go with time, the dead are those who stand still before our own eyes."""

    class Odd(Shelf):
        def put_object(self, key: str, body: bytes, *, bucket: str | None = None) -> Any:
            super().put_object(key, body)
            self.objects[key] = (body, START + (self.clock.time - START) * 100)
            return Answer()

    shelf = Odd()
    shelf.put_object("job.lock/" + "0" * 24 + ".0.x20", b"")
    lock = shelf.lock(ttl=20, grace=10)
    assert lock.acquire(timeout=120)
    lock.release()
    assert "no measure" in caplog.text


def test_a_missing_stamp_is_not_trusted_either() -> None:
    """Without LastModified, the same: it takes ttl and grace on our own clock, and a single try cannot tell."""

    class Timeless(Shelf):
        def list_objects(self, prefix: str, *, bucket: str | None = None) -> list[Any]:
            return [row._replace(last_modified=None) for row in super().list_objects(prefix, bucket=bucket)]

    shelf = Timeless()
    shelf.put_object("job.lock/" + "0" * 24 + ".0.x20", b"")
    shelf.clock.sleep(1e5)
    lock = shelf.lock(grace=10)
    assert not lock.acquire(blocking=False)
    before = shelf.clock.time
    assert lock.acquire()
    assert shelf.clock.time - before > 30
    lock.release()


def test_a_forgotten_lock_is_given_up(session: S3Session) -> None:
    """A lock object that is garbage while it holds takes its ticket along, and its thread."""
    session.lock("job", ttl=60).acquire()
    gc.collect()
    other = session.lock("job")
    assert other.acquire(timeout=30)
    other.release()


def test_a_lock_is_pickled_as_its_settings() -> None:
    """What is held stays with the process that holds it; a session, which has secrets, is not pickled."""
    lock = Shelf().lock(shared=True, ttl=33)
    lock._store = Plain()
    lock.acquire()
    twin = pickle.loads(pickle.dumps(lock))
    assert (False, "job", 33.0, "s") == (twin.held, twin.name, twin._terms.ttl, twin._terms.mode)
    lock.release()


def test_a_lock_of_a_session_is_not_pickled(session: S3Session) -> None:
    """The session says why."""
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(session.lock("job"))
    with pytest.raises(TypeError, match="not pickled"):
        copy.copy(session)


class Plain(Shelf):
    """A store without lambdas."""

    def __reduce__(self) -> Any:
        return (Plain, ())


def test_its_repr_says_what_it_is(session: S3Session) -> None:
    """Name and state, and nothing of the session."""
    lock = session.lock("job")
    assert "<Lock 'job' unlocked>" == repr(lock)
    with lock:
        assert "<Lock 'job' locked>" == repr(lock)


@pytest.mark.parametrize("way", ["sys.exit(3)", "signal.raise_signal(signal.SIGTERM)"])
def test_a_process_that_ends_keeps_nothing(way: str) -> None:
    """At the end of a process its locks are given up, those that wait included; SIGTERM needs a handler that exits."""
    program = f"""
import atexit, signal, sys, threading, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
atexit.register(lambda: print(keys(session)))
from tests.lock.rigs import Wire, keys
wire = Wire()
session = wire.session()
session.create_bucket()
lock = session.lock("job")
lock.acquire()
waiter = session.lock("job")
threading.Thread(target=waiter.acquire, daemon=True).start()
while [owner.state for owner in session.lock("job").owners()] != ["holding", "waiting"]:
    time.sleep(0.01)
{way}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (3, "[]", "") == (done.returncode, done.stdout.strip(), done.stderr.strip())


def test_a_call_that_hangs_does_not_outlast_the_lease(session: S3Session) -> None:
    """Each request of a lock has a limit of its own, a part of its ttl; the session's other calls have theirs."""
    assert session._client.total_seconds is None
    limited = session.limited(5)
    assert 5 == limited._client.total_seconds
    assert 3 == limited.limited(3)._client.total_seconds == limited.limited(3).limited(9)._client.total_seconds
    assert limited._client.transport is session._client.transport


def test_the_lease_clock_never_says_less() -> None:
    """Monotonic, boot time or the time of day: whichever went further."""
    clock = HandClock()
    lease = LeaseClock(clock)
    clock.sleep(5)
    assert 5 <= lease.elapsed() < 6

    class Stepped(HandClock):
        def monotonic(self) -> float:
            return 0.0

    stepped = Stepped()
    lease = LeaseClock(stepped)
    stepped.time += 3600
    assert lease.elapsed() >= 3600
    stepped.time -= 7200
    assert lease.elapsed() >= 3600


def test_an_answer_that_is_lost_while_renewing_is_survived(wire: Wire, session: S3Session) -> None:
    """A renewal whose answer is lost is sent again, and the lock is not."""
    with session.lock("job", ttl=60) as lock:
        wire.lose = once(lambda request: ".2." in request.path, "answer")
        kept = lock._held[0]
        kept.due = 0
        assert kept.beat()
        assert lock.valid()
    assert [] == keys(session)


def test_numbers_that_run_out_are_an_error() -> None:
    """Somebody who may write to the bucket wrote the last number that there is: a clear error, and no ticket."""
    shelf = Shelf()
    last = "job.lock/" + "0" * 24 + ".1.xf" + "9" * 19
    shelf.put_object(last, b"")
    with pytest.raises(LockStoreError, match="run out"):
        shelf.lock().acquire()
    assert [last] == list(shelf.objects)


def test_on_lost_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    """What the caller's function raises is logged, and the thread that renews goes on."""

    def fail(lock: Lock, reason: str) -> None:
        raise ZeroDivisionError(reason)

    shelf = Shelf()
    lock = shelf.lock(ttl=9, on_lost=fail)
    lock.acquire()
    shelf.clock.sleep(10)
    renew_now()
    assert lock.lost.wait(30)
    deadline = time.monotonic() + 30
    while "ZeroDivisionError" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.001)
    assert "ZeroDivisionError" in caplog.text
    lock.release()


def test_a_ticket_that_stays_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """acquire() says False, and the log that the ticket could not be withdrawn."""
    shelf = Shelf()
    holder = shelf.lock(ttl=None)
    holder.acquire()
    shelf.fails = lambda verb, key: ConnectError("down") if verb == "delete" else None
    assert not shelf.lock().acquire(blocking=False)
    assert "may stand in the queue" in caplog.text
    shelf.fails = lambda verb, key: None
    holder.release()


def test_its_names_are_at_the_door() -> None:
    """`s3func.Lock` and `s3func.Owner` are there for annotations, and loaded when they are asked for."""
    program = """
import sys, s3func
assert "s3func.lock" not in sys.modules
from s3func import Lock, Owner
import s3func.lock
assert (Lock, Owner) == (s3func.lock.Lock, s3func.lock.Owner)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (0, "") == (done.returncode, done.stderr)
