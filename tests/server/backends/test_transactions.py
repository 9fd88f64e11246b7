"""The transactions that threads share: whose fault is whose, and that nobody waits for a thread that has gone."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

import pytest

from s3func.errors import ServerError
from s3func.server.backends.local import transactions as module
from s3func.server.backends.local.transactions import Transactions


@pytest.fixture
def transactions() -> Iterator[Transactions]:
    """The transactions of a database with one table of numbers."""
    made = Transactions(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
    made.connection.execute("CREATE TABLE numbers (number INTEGER NOT NULL UNIQUE)")
    yield made
    made.close()


def adding(number: int | None) -> Callable[[sqlite3.Connection], int]:
    def change(db: sqlite3.Connection) -> int:
        db.execute("INSERT INTO numbers VALUES (?)", (number,))
        return db.execute("SELECT count(*) FROM numbers").fetchone()[0]  # type: ignore[no-any-return]

    return change


def numbers_of(transactions: Transactions) -> list[int]:
    return [number for (number,) in transactions.connection.execute("SELECT number FROM numbers ORDER BY number")]


class Waiting:
    """Threads that each run one change while the connection is held, so that they all have to wait for it."""

    def __init__(self, transactions: Transactions, changes: list[Callable[[sqlite3.Connection], int]]) -> None:
        self.transactions = transactions
        self.outcomes: list[int | Exception | None] = [None] * len(changes)
        self.threads = [threading.Thread(target=self.run, args=each) for each in enumerate(changes)]

    def run(self, number: int, change: Callable[[sqlite3.Connection], int]) -> None:
        try:
            self.outcomes[number] = self.transactions.run(change)
        except Exception as error:
            self.outcomes[number] = error

    def __enter__(self) -> Self:
        self.transactions._using.acquire()
        for number, thread in enumerate(self.threads):
            thread.start()
            # The first one leads, so it does not stand in the queue.
            while len(self.transactions._waiting) < number or not self.transactions._busy:
                time.sleep(0.001)
        return self

    def __exit__(self, *_: object) -> None:
        self.transactions._using.release()
        for thread in self.threads:
            thread.join()


def test_changes_that_wait_are_run_together_in_order(transactions: Transactions) -> None:
    """All that wait are in one transaction, first come, first served; each thread gets its own result."""
    statements: list[str] = []
    transactions.connection.set_trace_callback(statements.append)
    with Waiting(transactions, [adding(number) for number in range(5)]) as waiting:
        pass
    assert [1, 2, 3, 4, 5] == waiting.outcomes
    assert 1 == statements.count("COMMIT")
    assert 6 == transactions.run(adding(5))


def test_a_refused_change_is_undone_alone(transactions: Transactions) -> None:
    """What a change did before it raised is undone, and its companions do not notice."""

    def refused(db: sqlite3.Connection) -> int:
        adding(100)(db)
        raise LookupError("no")

    with Waiting(transactions, [adding(1), refused, adding(2)]) as waiting:
        pass
    assert isinstance(waiting.outcomes[1], LookupError)
    assert [1, 2] == [waiting.outcomes[0], waiting.outcomes[2]]
    assert [1, 2] == numbers_of(transactions)


def test_a_failed_transaction_fails_for_all(transactions: Transactions) -> None:
    """When the database fails, none of the changes has happened and every thread is told so; the next one works."""
    with Waiting(transactions, [adding(1), adding(None), adding(2)]) as waiting:
        pass
    assert [ServerError] * 3 == [type(outcome) for outcome in waiting.outcomes]
    assert [] == numbers_of(transactions)
    assert 1 == transactions.run(adding(1))


def test_closing_while_changes_wait(transactions: Transactions) -> None:
    """Changes that come too late are refused, each with an error of its own, and the queue is empty afterwards."""
    with Waiting(transactions, [adding(1), adding(2)]) as waiting:
        transactions._closed = True
    assert [ValueError, ValueError] == [type(outcome) for outcome in waiting.outcomes]
    assert waiting.outcomes[0] is not waiting.outcomes[1]
    transactions._closed = False
    assert 1 == transactions.run(adding(1))


@pytest.mark.parametrize(("moment", "expected"), [("in the queue", [1]), ("being run", [1, 2]), ("asked to lead", [1])])
def test_ctrl_c_while_waiting(
    transactions: Transactions, monkeypatch: pytest.MonkeyPatch, moment: str, expected: list[int]
) -> None:
    """A thread that is interrupted leaves the queue, or passes its turn on: nobody waits for it for ever."""
    started, gate = threading.Event(), threading.Event()

    def leading(db: sqlite3.Connection) -> int:
        # What comes while this change runs is not run with it.
        started.set()
        gate.wait()
        return adding(1)(db)

    class Interrupted(threading.Event):
        waits = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.waits += 1
            if self.waits == 1:
                if moment != "in the queue":
                    transactions._using.release() if moment == "being run" else gate.set()
                    super().wait()
                raise KeyboardInterrupt
            return super().wait(timeout)

    leader = threading.Thread(target=transactions.run, args=(leading,))
    if moment == "being run":
        gate.set()
        transactions._using.acquire()
    leader.start()
    if moment == "being run":
        while not transactions._busy:
            time.sleep(0.001)
    else:
        started.wait()
    monkeypatch.setattr(module, "Event", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        transactions.run(adding(2))
    monkeypatch.undo()
    gate.set()
    leader.join()
    assert expected == numbers_of(transactions)
    assert len(expected) + 1 == transactions.run(adding(3))
