"""Several pieces of work whose changes are made together: at the end, all or none."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from s3func.errors import NoSuchKey, PreconditionFailed, ServerError
from s3func.server.backend import Precondition
from s3func.server.backends.local import LocalBackend
from tests.contract.objects import get, keys_of, put
from tests.server.backends.conftest import OpenStore

LARGE = 40_000
"""Bytes that no index takes in."""


def putting(store: LocalBackend, key: str, body: bytes) -> Callable[[], str]:
    return lambda: put(store, key, body).etag


def blobs_of(root: Path) -> list[Path]:
    return sorted(path for path in (root / "blobs").rglob("*") if path.is_file())


def test_changes_are_made_at_the_end(store: LocalBackend) -> None:
    """What one work has written is seen by nobody before all are done, and by everybody afterwards."""

    def look() -> bool:
        try:
            store.head_object("bucket", "a")
        except NoSuchKey:
            return False
        return True

    assert [False, True] == [store.together([putting(store, "a", b"1"), look])[1], look()]
    assert b"1" == get(store, "a")


def test_a_refusal_does_not_touch_its_companions(store: LocalBackend) -> None:
    """A work whose change is refused changes nothing, and the others are made."""
    put(store, "there", b"old")

    def refused() -> str:
        with store.begin_put("bucket", "there") as writer:
            writer.write(b"new")
            try:
                writer.commit(store.head_object("bucket", "there"), Precondition(None, "*"))
            except PreconditionFailed as error:
                return error.code
        return ""

    answers = store.together([putting(store, "a", b"1"), refused, putting(store, "b", b"2")])
    assert "PreconditionFailed" == answers[1]
    assert ["a", "b", "there"] == keys_of(store)
    assert b"old" == get(store, "there")


def test_the_works_see_each_other_in_the_order_they_stand_in(store: LocalBackend) -> None:
    """Of two writers of one key the later one wins, and a guard is shown what the earlier one has made."""

    def only_if_absent() -> bool:
        with store.begin_put("bucket", "a") as writer:
            writer.write(b"2")
            try:
                writer.commit(writer_attributes, Precondition(None, "*"))
            except PreconditionFailed:
                return False
        return True

    writer_attributes = put(store, "other", b"")
    assert not store.together([putting(store, "a", b"1"), only_if_absent])[1]
    assert b"1" == get(store, "a")
    store.together([putting(store, "b", b"1"), putting(store, "b", b"2")])
    assert b"2" == get(store, "b")


def test_when_the_commit_fails_nothing_was_changed(
    store: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that cannot be written leaves every key as it was, with the file of a body that was to be replaced."""
    put(store, "large", bytes(LARGE))
    before = blobs_of(root)

    def failing() -> None:
        def change(db: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        with pytest.raises(ServerError):
            store._database.run(change)

    with pytest.raises(ServerError):
        store.together([putting(store, "new", b"1"), lambda: store.delete_object("bucket", "large"), failing])
    assert ["large"] == keys_of(store)
    assert bytes(LARGE) == get(store, "large")
    assert before == blobs_of(root)
    put(store, "after", b"2")
    assert ["after", "large"] == keys_of(store)


def test_the_file_of_a_replaced_body_goes_with_the_commit(store: LocalBackend, root: Path) -> None:
    """The old file is there while the works run, for the index still names it, and gone when they are done."""
    put(store, "large", bytes(LARGE))
    seen = store.together([putting(store, "large", b"small"), lambda: len(blobs_of(root))])
    assert 1 == seen[1]
    assert [] == blobs_of(root)
    assert b"small" == get(store, "large")


def test_others_may_write_at_the_same_time(open_store: OpenStore) -> None:
    """Groups of works and single changes of many threads are all made, each exactly once."""
    store = open_store()
    store.create_bucket("bucket")

    def in_groups(number: int) -> None:
        for group in range(10):
            store.together([putting(store, f"g{number}-{group}-{each}", b"x") for each in range(5)])

    def alone(number: int) -> None:
        for each in range(30):
            put(store, f"s{number}-{each}", b"x")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4) for work in (in_groups, alone)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 4 * (50 + 30) == len(keys_of(store))
