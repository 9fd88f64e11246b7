"""The lock through a B2Session: every bucket has versions there, and a put that is sent twice makes two."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from s3func import B2Session
from s3func.errors import LockLost
from tests.b2.fake import FakeB2, Fault
from tests.b2.rigs import service, session_on
from tests.lock.rigs import HandClock


@pytest.fixture
def fake() -> FakeB2:
    return service()


@pytest.fixture
def session(fake: FakeB2) -> B2Session:
    return session_on(fake)


def versions(session: B2Session) -> list[str]:
    return [entry.key for entry in session.list_object_versions()]


@pytest.mark.parametrize("settings", [{}, {"fast": True}, {"expiry": "observed"}, {"shared": True}], ids=str)
def test_nothing_stays_behind(session: B2Session, settings: dict[str, Any]) -> None:
    """One holds, an exclusive other does not, and of all that every version goes."""
    with session.lock("jobs/nightly", **settings) as lock:
        assert lock.verify()
        assert not session.lock("jobs/nightly").acquire(blocking=False)
        assert 1 == len(lock.owners())
    assert [] == versions(session)


def test_tokens_grow_and_one_mark_stays(session: B2Session) -> None:
    """A fencing lock keeps its newest mark, in one version."""
    tokens = []
    for _ in range(3):
        with session.lock("job", fencing=True) as lock:
            tokens.append(lock.fencing_token)
    assert sorted(set(tokens)) == tokens
    assert 1 == len(versions(session))


def test_a_put_that_was_sent_twice_leaves_no_version(fake: FakeB2, session: B2Session) -> None:
    """Uploads whose answers are lost are sent again; all of their versions go with the ticket."""
    fake.fault("b2_upload_file", Fault(lost="after"), Fault(lost="after"))
    with session.lock("job") as lock:
        assert lock.verify()
    assert [] == versions(session)
    assert 4 == len(fake.calls("b2_upload_file"))
    other = session.lock("job")
    assert other.acquire(blocking=False)
    other.release()


def test_a_broken_lock_is_lost_and_leaves_nothing(session: B2Session) -> None:
    """Hiding the announcement would be enough to break it; that it was hidden is removed as well."""
    with pytest.raises(LockLost), session.lock("job", ttl=60) as lock:
        assert 1 == len(session.lock("job").break_lock())
        assert not lock.verify()
        kept = lock._held[0]
        kept.due = 0.0
        assert not kept.beat()
    assert [] == versions(session)


def test_threads_take_turns(session: B2Session) -> None:
    """Four threads add to a counter."""
    counter = [0]

    def work() -> None:
        for _ in range(3):
            with session.lock("job", poll=(0.01, 0.1)):
                value = counter[0]
                threading.Event().wait(0.001)
                counter[0] = value + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [12] == counter
    assert [] == versions(session)


def test_who_died_is_removed(session: B2Session) -> None:
    """A ticket without a sign of life goes by B2's own upload times."""
    clock = HandClock()
    session.put_object("job.lock/" + "0" * 24 + ".0.x20", b"")
    from s3func.lock import Lock

    lock = Lock(session, "job", grace=10, expiry="observed", clock=clock)
    assert lock.acquire(timeout=120)
    lock.release()
    assert [] == versions(session)
