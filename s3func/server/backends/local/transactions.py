"""The one connection of a local store that writes, and the transactions that its threads share.

A thread that finds the connection idle runs its change at once. Those that come meanwhile wait, and the first of them
then runs the changes of all, each behind a savepoint of its own, in one transaction: many writers wait for the disk
together. A change that is refused does not touch its companions; a transaction that fails, fails for all of them.

A thread that has many small pieces of work, each with changes of its own, can do the same without waiting for others:
inside of `together` its changes are made at once, and are durable when `together` returns.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Lock, get_ident
from typing import Any, Generic, TypeVar, cast

from s3func.errors import ServerError
from s3func.server.backends.local.recent import Recent

T = TypeVar("T")


class _Change(Generic[T]):
    """A change that waits for its transaction, then holds its outcome."""

    __slots__ = ("after", "apply", "error", "leads_or_done", "result", "settled")

    def __init__(self, apply: Callable[[sqlite3.Connection], T], after: Callable[[], None] | None) -> None:
        self.apply = apply
        self.after = after
        self.leads_or_done: Event | None = None
        self.settled = False
        self.result: T | None = None
        self.error: BaseException | None = None


class Transactions:
    """Takes changes from any thread; `run` returns when the change is as durable as the connection makes it."""

    def __init__(self, connection: sqlite3.Connection, recent: Recent | None = None) -> None:
        """recent: is told when a transaction begins and ends."""
        self.connection = connection
        self._recent = Recent() if recent is None else recent
        self._waiting: deque[_Change[Any]] = deque()
        self._busy = False
        # Guards the two above, for moments.
        self._mutex = Lock()
        # Held while the connection is used.
        self._using = Lock()
        self._closed = False
        # While `together` is at work: its thread, what waits for its commit, and what broke its transaction.
        self._thread = 0
        self._afterwards: list[Callable[[], None]] = []
        self._broken: sqlite3.Error | None = None

    def run(self, apply: Callable[[sqlite3.Connection], T], after: Callable[[], None] | None = None) -> T:
        """Run the change in a transaction and return its result; `after` runs when it is committed, before others do.

        Raises what the change raised, or ServerError when the database failed. ValueError: the store is closed.
        """
        change = _Change(apply, after)
        if self._thread == get_ident():
            return self._run_inside(change)
        with self._mutex:
            leads = not self._busy
            self._busy = True
            if not leads:
                change.leads_or_done = Event()
                self._waiting.append(change)
        if leads or self._wait(change):
            self._lead(change)
        if change.error is not None:
            raise change.error
        if not change.settled:
            raise ServerError("The change was interrupted before it was made.")
        return cast("T", change.result)

    def together(self, works: Sequence[Callable[[], T]]) -> list[T]:
        """Do the works, with their changes in one transaction; ServerError when it failed, and with it all of them.

        What a work raises belongs to its caller, so works answer for themselves and raise nothing.
        """

        def apply(_: sqlite3.Connection) -> list[T]:
            self._thread, self._afterwards, self._broken = get_ident(), [], None
            try:
                results = [work() for work in works]
            finally:
                self._thread = 0
            if self._broken is not None:
                raise self._broken
            return results

        def after() -> None:
            waiting, self._afterwards = self._afterwards, []
            for each in waiting:
                each()

        return self.run(apply, after)

    def afterwards(self, then: Callable[[], None]) -> None:
        """Do it when what this thread has changed is committed, which is now unless it is inside of `together`."""
        if self._thread == get_ident():
            self._afterwards.append(then)
        else:
            then()

    def _run_inside(self, change: _Change[T]) -> T:
        try:
            _apply(self.connection, change)
        except sqlite3.Error as error:
            self._broken = error
            raise _failure(error) from error
        if change.error is not None:
            raise change.error
        if change.after is not None:
            self._afterwards.append(change.after)
        return cast("T", change.result)

    def close(self) -> None:
        """Close the connection; later changes fail."""
        with self._using:
            self._closed = True
            self.connection.close()

    def _wait(self, change: _Change[Any]) -> bool:
        """Wait until the change is done (False), or its thread shall run it and all others that wait (True)."""
        assert change.leads_or_done is not None
        try:
            change.leads_or_done.wait()
        except BaseException:
            # Ctrl-C: leave the queue; too late for that, do not let the others wait for this thread.
            with self._mutex:
                queued = change in self._waiting
                if queued:
                    self._waiting.remove(change)
            if not queued:
                change.leads_or_done.wait()
                if not change.settled:
                    self._hand_over()
            raise
        return not change.settled

    def _lead(self, change: _Change[Any]) -> None:
        changes = [change]
        try:
            with self._using:
                with self._mutex:
                    changes += self._waiting
                    self._waiting.clear()
                self._transact(changes)
        finally:
            for each in changes:
                if each is not change and each.leads_or_done is not None:
                    each.leads_or_done.set()
            self._hand_over()

    def _hand_over(self) -> None:
        with self._mutex:
            self._busy = bool(self._waiting)
            following = self._waiting.popleft() if self._busy else None
        if following is not None and following.leads_or_done is not None:
            following.leads_or_done.set()

    def _transact(self, changes: list[_Change[Any]]) -> None:
        db = self.connection
        committing = False
        self._recent.begin()
        try:
            if self._closed:
                raise ValueError("the store is closed")
            db.execute("BEGIN IMMEDIATE")
            for change in changes:
                _apply(db, change)
            committing = True
            db.execute("COMMIT")
        except BaseException as error:
            rolled_back = not self._closed and db.in_transaction
            if rolled_back or not committing or isinstance(error, sqlite3.Error):
                for change in changes:
                    change.error = _failure(error)
            if rolled_back:
                db.execute("ROLLBACK")
            if not isinstance(error, Exception):
                # Ctrl-C belongs to this thread only.
                raise
        else:
            for change in changes:
                if change.after is not None:
                    change.after()
        finally:
            self._recent.end()
            for change in changes:
                change.settled = True


def _apply(db: sqlite3.Connection, change: _Change[Any]) -> None:
    db.execute("SAVEPOINT change")
    try:
        change.result = change.apply(db)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 -- it belongs to the thread that asked for this change
        change.error = error
        db.execute("ROLLBACK TO change")
    db.execute("RELEASE change")


def _failure(error: BaseException) -> Exception:
    if isinstance(error, ValueError):
        return ValueError(*error.args)
    failure = ServerError(f"The index could not be written: {error}")
    failure.__cause__ = error
    return failure
