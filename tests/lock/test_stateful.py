"""Locks in any sequence of uses and misuses, beside a reference that is a list of who holds."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from s3func.errors import ConnectError, S3FuncError
from s3func.lock.keeper import KEEPER
from tests.lock.rigs import Shelf

LOCKS = st.integers(0, 2)


class Uses(RuleBasedStateMachine):
    """Three lock objects of one name, two with tokens and one without. No leases: what a ticket does, it does for good."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()
        self.locks = [self.shelf.lock(ttl=None, fencing=number < 2) for number in range(3)]
        # The reference: who holds, and whether shared; then the tickets of those who crashed.
        self.holders: dict[int, bool] = {}
        self.dead: dict[str, bool] = {}
        self.token = -1
        self.puts: list[str] = []
        self.shelf.after = lambda verb, key: self.puts.append(key)

    def is_free(self, shared: bool) -> bool:
        others = [*self.holders.values(), *self.dead.values()]
        return all(other and shared for other in others)

    @rule(number=LOCKS, shared=st.booleans())
    def try_it(self, number: int, shared: bool) -> None:
        lock = self.locks[number]
        expected = number not in self.holders and self.is_free(shared)
        assert expected == lock.acquire(blocking=False, shared=shared)
        if expected:
            self.holders[number] = shared
            if not shared and number < 2:
                assert lock.fencing_token > self.token
                self.token = lock.fencing_token

    @rule(number=LOCKS, seconds=st.floats(0, 20))
    def wait_for_it(self, number: int, seconds: float) -> None:
        expected = number not in self.holders and self.is_free(shared=False)
        if number in self.holders:
            return  # the wait for one's own object is threading.Lock's, in real time
        assert expected == self.locks[number].acquire(timeout=seconds, exclusive=True)
        if expected:
            self.holders[number] = False
            if number < 2:
                assert self.locks[number].fencing_token > self.token
                self.token = self.locks[number].fencing_token

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.holders)))
        self.locks[number].release()
        del self.holders[number]

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.holders)))
        lock = self.locks[number]
        kept = lock._held.pop()
        KEEPER.gone(kept)
        lock._mutex.release()
        self.dead[kept.own.id] = self.holders.pop(number)

    @precondition(lambda self: self.dead)
    @rule(data=st.data())
    def break_one(self, data: st.DataObject) -> None:
        ticket_id = data.draw(st.sampled_from(sorted(self.dead)))
        assert [ticket_id] == [owner.id for owner in self.locks[0].break_lock([ticket_id])]
        del self.dead[ticket_id]

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def put_again(self, data: st.DataObject) -> None:
        """A request of a ticket that is held is carried out once more."""
        number = data.draw(st.sampled_from(sorted(self.holders)))
        own_id = self.locks[number]._held[0].own.id
        key = data.draw(st.sampled_from([key for key in self.puts if own_id in key]))
        self.shelf.objects[key] = (b"", self.shelf.clock.now())

    @rule(number=LOCKS, at=st.sampled_from(["put", "list", "delete"]), count=st.integers(0, 1))
    def try_it_on_a_failing_store(self, number: int, at: str, count: int) -> None:
        """Whatever fails, once or twice: the lock is acquired, or it is not, and nothing is left in between."""
        if number in self.holders:
            return
        left = [ConnectError("once")] * (count + 1)
        self.shelf.fails = lambda verb, key: left.pop() if verb == at and left else None
        try:
            is_ours = self.locks[number].acquire(blocking=False)
        except S3FuncError:
            is_ours = False
        self.shelf.fails = lambda verb, key: None
        if is_ours:
            assert self.is_free(shared=False)
            self.locks[number].release()

    @rule(seconds=st.floats(0, 1e6))
    def time_passes(self, seconds: float) -> None:
        self.shelf.clock.sleep(seconds)

    @invariant()
    def everybody_knows(self) -> None:
        """Who holds is valid, and the store has the tickets of holders and of the dead, and no others."""
        assert set(self.holders) == {number for number, lock in enumerate(self.locks) if lock.held and lock.valid()}
        assert len(self.holders) + len(self.dead) == len(self.shelf.announced)

    def teardown(self) -> None:
        for number in self.holders:
            self.locks[number].release()


TestUses = Uses.TestCase
TestUses.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
