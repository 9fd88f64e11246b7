"""The lock on stores that are not ours: listings, stamps, versions and contention as strangers do them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import LockLost
from tests.interop.servers import ForeignServer
from tests.lock.contention import contend, faults

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]


@pytest.mark.parametrize("settings", [{}, {"fencing": True}, {"fast": True}, {"expiry": "observed"}], ids=str)
def test_a_lock_excludes(session: S3Session, settings: dict[str, Any]) -> None:
    """One holds, the other does not; then the other; and the bucket is as clean as was promised."""
    with session.lock("jobs/nightly", **settings) as lock:
        assert lock.verify()
        assert not session.lock("jobs/nightly").acquire(blocking=False)
        assert ["exclusive"] == [owner.mode for owner in lock.owners()]
    with session.lock("jobs/nightly", **settings):
        pass
    assert bool(settings.get("fencing")) == bool(list(session.list_objects()))


def test_threads_count(session: S3Session) -> None:
    """Four threads, each with a lock object of its own, add to one counter and lose nothing; tokens grow."""
    session.put_object("counter", b"0")
    tokens = []

    def work() -> None:
        lock = session.lock("job", fencing=True, poll=(0.05, 0.5))
        for _ in range(4):
            with lock:
                tokens.append(lock.fencing_token)
                value = int(session.get_object("counter").data)
                session.put_object("counter", str(value + 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert b"16" == session.get_object("counter").data
    assert sorted(set(tokens)) == tokens


def test_a_broken_lock_is_lost(session: S3Session) -> None:
    """What break_lock removes, its holder finds gone with its next renewal."""
    with pytest.raises(LockLost), session.lock("job", ttl=3) as lock:
        assert 1 == len(session.lock("job").break_lock())
        assert lock.lost.wait(60)


def test_who_died_is_removed(session: S3Session) -> None:
    """A ticket that nobody renews goes by the store's own stamps, which are fit to tell."""
    lock = session.lock("job", ttl=2, grace=2)
    session.put_object("job.lock/" + "0" * 24 + ".0.x2", b"")
    assert lock.acquire(timeout=60)
    assert "server" == lock._held[0].own.expiry
    lock.release()
    assert [] == list(session.list_objects())


@pytest.mark.parametrize("foreign", ["rgw"], indirect=True)
def test_versions_leave_nothing(session: S3Session) -> None:
    """On a bucket with versions every version goes with its ticket."""
    body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    session.request("PUT", query={"versioning": None}, body=body)
    with session.lock("job"):
        assert not session.lock("job").acquire(blocking=False)
    assert [] == list(session.list_object_versions())


@pytest.mark.parametrize("foreign", ["rgw"], indirect=True)
def test_killed_stopped_and_forked_holders_harm_nobody(foreign: ForeignServer, session: S3Session) -> None:
    """Six processes, holders killed, one stopped past its lease, children that exit, one answer in ten lost."""
    store = {
        "access_key_id": foreign.access_key,
        "access_key": foreign.secret_key,
        "bucket": session.bucket,
        "endpoint_url": foreign.endpoint,
        "region": foreign.region,
        "share": 0.1,
    }
    report = contend(store, kills=2, pause=1, stops=1, ttl=3)
    assert [] == faults(report)
    assert report.final >= 3
