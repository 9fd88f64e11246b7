"""What was wrong with the lock of the releases before, one test each: R1 to R16."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from s3func import S3Session
from s3func.errors import AccessDenied, ConnectError, LockStoreError, ProtocolError, S3FuncError
from s3func.lock import tickets
from s3func.message import Request, Response
from tests.faults.children import in_child, needs_fork
from tests.lock.rigs import HandClock, Shelf, Wire, keys, once

ROOT = Path(__file__).resolve().parents[2]


def test_r01_threads_that_share_a_lock_exclude_each_other(session: S3Session) -> None:
    """A second thread does not get a lock object that the first one holds."""
    lock = session.lock("job")
    got: list[bool] = []
    with lock:
        thread = threading.Thread(target=lambda: got.append(lock.acquire(blocking=False)))
        thread.start()
        thread.join()
    assert [False] == got


def test_r02_an_inner_attempt_leaves_the_outer_lock_alone(session: S3Session) -> None:
    """Acquiring what is held already fails, and the block that holds it stays protected."""
    with session.lock("job") as lock:
        assert not lock.acquire(timeout=0)
        assert lock.verify()
        assert not session.lock("job").acquire(blocking=False)
    assert [] == keys(session)


@pytest.mark.parametrize("attempt", range(10))
def test_r03_times_that_are_equal_decide_nothing(attempt: int) -> None:
    """Where all objects have one LastModified, whoever comes second waits, whatever the order of the ids."""
    shelf = Shelf()
    first, second = shelf.lock(), shelf.lock()
    assert first.acquire()
    assert not second.acquire(blocking=False)
    assert first.verify()
    first.release()
    assert second.acquire(blocking=False)
    second.release()


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("part", [".0.", ".1."])
def test_r04_a_put_that_was_sent_twice_leaves_no_version(wire: Wire, session: S3Session, lost: str, part: str) -> None:
    """On a bucket with versions, nothing that is stored twice comes to light again after the release."""
    configuration = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    session.request("PUT", query={"versioning": None}, body=configuration)
    wire.lose = once(lambda request: request.method == "PUT" and part in request.path, lost)
    with session.lock("job") as lock:
        assert lock.verify()
    assert [] == list(session.list_object_versions())
    assert session.lock("job").acquire(blocking=False)


def test_r05_an_exception_on_the_second_put_leaves_no_ticket() -> None:
    """A refusal in the middle is raised, and blocks nobody."""
    shelf = Shelf()
    shelf.fails = lambda verb, key: AccessDenied("not for you") if verb == "put" and ".1." in key else None
    with pytest.raises(AccessDenied):
        shelf.lock().acquire()
    assert {} == shelf.objects


def test_r06_a_release_that_fails_blocks_nobody_for_good() -> None:
    """The failure is told, not raised; others get the lock when the lease has ended."""
    shelf = Shelf()
    lock = shelf.lock(ttl=10)
    lock.acquire()
    shelf.fails = lambda verb, key: ConnectError("gone") if verb == "delete" else None
    lock.release()
    assert isinstance(lock.release_error, LockStoreError)
    assert lock.release_error.ambiguous
    assert 1 == len(shelf.announced)
    shelf.fails = lambda verb, key: None
    other = shelf.lock(ttl=10)
    assert other.acquire()
    assert not lock.acquire(blocking=False)


@needs_fork
def test_r07_a_forked_child_frees_nothing(session: S3Session) -> None:
    """A child ends normally, with its exit handlers and finalizers, and the parent's lock is as before."""
    with session.lock("job") as lock:

        def child() -> None:
            import atexit
            import gc

            assert not lock.held
            lock.release()
            with pytest.raises(RuntimeError, match="release unlocked lock"):
                lock.release()
            lock.__exit__(None, None, None)
            gc.collect()
            atexit._run_exitfuncs()

        assert in_child(child)
        assert lock.verify()


def test_r08_a_put_that_comes_late_changes_nothing() -> None:
    """Every put of a waiting ticket is carried out once more, later: the holder holds, and the others wait."""
    shelf = Shelf()
    holder = shelf.lock()
    puts: list[str] = []
    shelf.after = lambda verb, key: puts.append(key)
    assert holder.acquire()
    shelf.clock.sleep(5)
    for key in puts:
        shelf.objects[key] = (b"", shelf.clock.now())
    assert not shelf.lock().acquire(blocking=False)
    assert holder.verify()
    holder.release()
    assert shelf.lock().acquire(blocking=False)


def test_r09_names_do_not_touch_each_other(session: S3Session) -> None:
    """Locks whose names begin alike, and objects of users beneath a lock's prefix, are nobody's business."""
    for key in ("a.lock", "a.lock.b", "a.lock/b", "a.lock/0123456789abcdef01234567.0.q60", "a.lock/é"):
        session.put_object(key, b"mine")
    with session.lock("a.lock/b"), session.lock("a.lock.b"), session.lock("a.lock"), session.lock("a") as lock:
        assert 1 == len(lock.owners())
    assert 5 == len(keys(session))


def test_r10_a_timeout_is_a_timeout() -> None:
    """timeout=0 asks once; another one ends when it ends, whatever the store does meanwhile."""
    shelf = Shelf()
    holder = shelf.lock(ttl=None)
    assert holder.acquire()
    before = shelf.clock.time
    assert not shelf.lock().acquire(timeout=0)
    assert before == shelf.clock.time
    assert not shelf.lock().acquire(timeout=30)
    assert 30 <= shelf.clock.time - before <= 30 + 0.1


def test_r11_etags_mean_nothing(session: S3Session) -> None:
    """A store that encrypts has ETags that are no hash, and this one has none at all: shared and exclusive work."""
    shelf = Shelf()
    assert not hasattr(shelf.put_object("x", b""), "etag")
    one, other = shelf.lock(shared=True), shelf.lock(shared=True)
    assert one.acquire(blocking=False)
    assert other.acquire(blocking=False)
    assert not shelf.lock().acquire(blocking=False)


def test_r12_one_of_two_who_try_gets_a_free_lock(session: S3Session) -> None:
    """Two that try at the same moment never both fail."""
    for _ in range(10):
        start = threading.Barrier(2)
        got: list[bool] = []

        def attempt(start: threading.Barrier = start, got: list[bool] = got) -> None:
            lock = session.lock("job")
            start.wait()
            is_ours = lock.acquire(blocking=False)
            start.wait()
            got.append(is_ours)
            if is_ours:
                lock.release()

        threads = [threading.Thread(target=attempt) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert any(got)


def test_r13_a_wrong_clock_breaks_nothing() -> None:
    """A client whose clock is three hours ahead takes no living holder for a dead one."""
    shelf = Shelf()
    holder = shelf.lock()
    assert holder.acquire()
    ahead = HandClock()
    ahead.time += 3 * 3600
    from s3func.lock import Lock

    stranger = Lock(shelf, "job", clock=ahead)
    assert not stranger.acquire(blocking=False)
    assert holder.verify()


def test_r13_ages_are_the_stores(session: S3Session) -> None:
    """break_lock asks the store how old a ticket is."""
    with session.lock("job") as holder:
        stranger = session.lock("job")
        assert [] == stranger.break_lock(older_than=timedelta(hours=2))
        assert [] == stranger.break_other_locks()
        assert [] == stranger.break_other_locks(datetime.now(UTC) - timedelta(hours=2))
        assert holder.verify()


def test_r14_nobody_takes_over_a_living_ticket(session: S3Session) -> None:
    """There is no way to name a ticket to take; each acquisition has a new one."""
    with pytest.raises(TypeError, match="lock_id"):
        session.lock("job", lock_id="0" * 24)  # type: ignore[call-arg]
    lock = session.lock("job")
    ids = set()
    for _ in range(3):
        with lock:
            ids |= {owner.id for owner in lock.owners()}
    assert 3 == len(ids)


def test_r15_every_rival_counts() -> None:
    """The holder is waited for wherever in the listing it stands."""
    shelf = Shelf()
    holder = shelf.lock()
    assert holder.acquire()
    prefix = "job.lock/"
    for digit in "0f":
        # Two who came later: one is listed before the holder, one behind it.
        rival = digit * 24
        shelf.put_object(tickets.announcement_key(prefix, rival, "x", 60), b"")
        shelf.put_object(tickets.number_key(prefix, rival, "x", 5, is_mark=False), b"")
    assert not shelf.lock().acquire(blocking=False)
    listed = tickets.read([(key, 0.0) for key in shelf.objects], prefix)
    assert 3 == len(tickets.blockers(listed, "8" * 24, "x", 9))


@pytest.mark.parametrize("page", [b"<html>busy</html>", b"<?xml version='1.0'?><ListBucketResult><Name>bucket</Name>"])
def test_r16_half_a_listing_is_no_listing(wire: Wire, session: S3Session, page: bytes) -> None:
    """A page that is an error in disguise makes nobody a holder."""
    holder = session.lock("job")
    assert holder.acquire()
    app = wire.app

    class Disguise:
        def __call__(self, request: Request) -> Response:
            if "list-type" in request.query:
                return Response(200, {"content-type": "application/xml"}, page)
            return app(request)

    wire.app = Disguise()  # type: ignore[assignment]
    with pytest.raises(LockStoreError) as caught:
        session.lock("job").acquire(timeout=0)
    wire.app = app
    assert isinstance(caught.value.__cause__, ProtocolError | S3FuncError)
    assert holder.verify()
    holder.release()


def test_an_exit_gives_up_what_is_held() -> None:
    """A process that ends while it holds a lock, leaves no ticket behind."""
    program = """
import atexit
atexit.register(lambda: print(keys(session)))
from tests.lock.rigs import Wire, keys
wire = Wire()
session = wire.session()
session.create_bucket()
lock = session.lock("job")
lock.acquire()
raise SystemExit(3)
"""
    # Exit handlers run in reverse: the one that was registered before ours sees what is left.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (3, "[]", "") == (done.returncode, done.stdout.strip(), done.stderr.strip())
