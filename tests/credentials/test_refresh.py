"""Renewal: ahead of the end, by one thread, while the others go on; and what happens when it fails."""

from __future__ import annotations

import copy
import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import Credentials
from s3func.errors import CredentialsError
from s3func.s3.credentials.refresh import ADVISORY_SECONDS, MANDATORY_SECONDS, Refreshing
from tests.faults.children import in_child, needs_fork
from tests.faults.scripted import eventually
from tests.s3.rigs import NOW, FrozenClock

HOUR = 3600.0
HERD = 200


class Issuer:
    """Gives numbered credentials of a certain life, or fails, and can be made to take its time."""

    def __init__(self, clock: FrozenClock, life: float | None = HOUR) -> None:
        self.clock, self.life = clock, life
        self.asked = 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self) -> Credentials:
        self.asked += 1
        self.entered.set()
        assert self.gate.wait(30)
        if self.error is not None:
            raise self.error
        end = None if self.life is None else self.clock.now() + self.life
        return Credentials(f"ID{self.asked}", f"S3KRIT{self.asked}", f"T0KEN{self.asked}", end)


@pytest.fixture
def issuer(clock: FrozenClock) -> Issuer:
    return Issuer(clock)


@pytest.fixture
def source(clock: FrozenClock, issuer: Issuer) -> Refreshing:
    return Refreshing(issuer, clock, "the issuer")


@pytest.fixture
def herd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(HERD) as threads:
        yield threads


def together(herd: ThreadPoolExecutor, call: Callable[[], Credentials], count: int = HERD) -> list[object]:
    """What `count` threads get that call at the same moment; an exception is what one gets as well."""
    start = threading.Barrier(count)

    def ask() -> object:
        start.wait(30)
        try:
            return call()
        except Exception as error:
            return error

    return [future.result(60) for future in [herd.submit(ask) for _ in range(count)]]


def test_credentials_are_kept(source: Refreshing, issuer: Issuer, clock: FrozenClock) -> None:
    """As long as they are far from their end, nobody is asked again, and everybody gets the same object."""
    first = source()
    clock.time += HOUR - ADVISORY_SECONDS - 1
    assert first is source()
    assert 1 == issuer.asked


def test_credentials_without_an_end_are_kept_for_good(clock: FrozenClock) -> None:
    """What does not expire is asked for once."""
    issuer = Issuer(clock, None)
    source = Refreshing(issuer, clock, "the issuer")
    first = source()
    clock.time += 1000 * HOUR
    assert first is source()
    assert 1 == issuer.asked


def test_a_herd_causes_one_renewal(source: Refreshing, issuer: Issuer, herd: ThreadPoolExecutor) -> None:
    """200 threads that start together ask once, and all of them get the answer."""
    found = together(herd, source)
    assert 1 == issuer.asked
    assert [source()] * HERD == found


@pytest.mark.parametrize("left", [ADVISORY_SECONDS - 1, MANDATORY_SECONDS - 1, 0.0, -HOUR])
def test_a_herd_at_the_end_causes_one_renewal(
    source: Refreshing, issuer: Issuer, clock: FrozenClock, herd: ThreadPoolExecutor, left: float
) -> None:
    """However near the end is: one is asked for new ones; nobody gets what has expired."""
    old = source()
    clock.time += HOUR - left
    found = together(herd, source)
    assert 2 == issuer.asked
    new = source()
    assert new != old
    allowed = [old, new] if left > MANDATORY_SECONDS else [new]
    assert all(one in allowed for one in found)


def test_early_on_nobody_waits(
    source: Refreshing, issuer: Issuer, clock: FrozenClock, herd: ThreadPoolExecutor
) -> None:
    """While one thread renews in the advisory window, the others go on with the old ones at once."""
    old = source()
    clock.time += HOUR - ADVISORY_SECONDS + 1
    issuer.gate.clear()
    issuer.entered.clear()
    renewing = herd.submit(source)
    assert issuer.entered.wait(30)
    # Only a call that does not wait can come back here: the gate is closed.
    assert [old] * 50 == [source() for _ in range(50)]
    issuer.gate.set()
    assert "ID2" == renewing.result(30).access_key_id == source().access_key_id
    assert 2 == issuer.asked


def test_late_everybody_waits(source: Refreshing, issuer: Issuer, clock: FrozenClock, herd: ThreadPoolExecutor) -> None:
    """In the mandatory window nobody signs with what may end on the way: all wait for the one that renews."""
    source()
    clock.time += HOUR - MANDATORY_SECONDS + 1
    issuer.gate.clear()
    waiting = [herd.submit(source) for _ in range(20)]
    assert issuer.entered.wait(30)
    assert not any(future.done() for future in waiting)
    issuer.gate.set()
    assert {"ID2"} == {future.result(30).access_key_id for future in waiting}
    assert 2 == issuer.asked


def test_a_renewal_is_a_line_of_the_debug_log(
    source: Refreshing, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Who gave which key, and for how long; nothing secret."""
    with caplog.at_level(logging.DEBUG, "s3func"):
        source()
        clock.time += HOUR
        source()
    assert [f"the issuer gives the key ID{n}, 3600 seconds left" for n in (1, 2)] == caplog.messages


@pytest.mark.parametrize("left", [ADVISORY_SECONDS - 1, MANDATORY_SECONDS - 1, 1.0])
def test_a_failure_costs_nothing_while_the_old_ones_are_good(
    source: Refreshing, issuer: Issuer, clock: FrozenClock, left: float, caplog: pytest.LogCaptureFixture
) -> None:
    """A renewal that fails is logged, not raised, and not repeated on every request."""
    old = source()
    clock.time += HOUR - left
    issuer.error = CredentialsError("the issuer is ill")
    with caplog.at_level(logging.WARNING, "s3func"):
        assert [old] * 100 == [source() for _ in range(100)]
    assert 2 == issuer.asked
    assert ["the issuer cannot renew its credentials, the old ones are used on: the issuer is ill"] == caplog.messages
    issuer.error = None
    clock.time += min(31.0, left)
    assert "ID3" == source().access_key_id


def test_a_failure_when_the_old_ones_have_ended_is_everybodys(
    source: Refreshing, issuer: Issuer, clock: FrozenClock, herd: ThreadPoolExecutor
) -> None:
    """All that wait get the one error, each an exception of its own; whoever comes later asks again."""
    source()
    clock.time += HOUR + 1
    issuer.error = CredentialsError("the issuer is ill")
    issuer.gate.clear()
    issuer.entered.clear()
    waiting = [herd.submit(source) for _ in range(20)]
    assert issuer.entered.wait(30)
    assert eventually(lambda: all(future.running() for future in waiting))
    issuer.gate.set()
    errors = [future.exception(30) for future in waiting]
    assert {"the issuer is ill"} == {str(error) for error in errors}
    assert len(errors) == len({id(error) for error in errors})
    asked = issuer.asked
    # Some may have come after the failure; each of these has asked once.
    assert asked <= 21
    issuer.error = None
    assert f"ID{asked + 1}" == source().access_key_id


def test_what_has_expired_on_arrival_is_refused(clock: FrozenClock) -> None:
    """Credentials that have ended by our clock are an error that speaks of the clock."""
    source = Refreshing(Issuer(clock, -120.0), clock, "the issuer")
    with pytest.raises(
        CredentialsError, match=r"the issuer gives credentials that have expired 120 seconds ago .*clock"
    ):
        source()


@pytest.mark.parametrize("life", [900.0, 60.0])
def test_a_short_life_is_not_all_renewal(clock: FrozenClock, life: float) -> None:
    """Credentials of a quarter of an hour are renewed in their last quarter, not on every use."""
    issuer = Issuer(clock, life)
    source = Refreshing(issuer, clock, "the issuer")
    source()
    clock.time += life * 0.7
    source()
    assert 1 == issuer.asked
    clock.time += life * 0.1
    source()
    assert 2 == issuer.asked


def test_static_stability(clock: FrozenClock, issuer: Issuer) -> None:
    """Who may, goes on beyond the end while no new ones can be had, asking from time to time."""
    source = Refreshing(issuer, clock, "the instance", extend_seconds=600.0)
    old = source()
    issuer.error = CredentialsError("the instance is ill")
    clock.time += HOUR + 100
    for _ in range(10):
        assert old is source()
        clock.time += HOUR
    assert 11 == issuer.asked
    issuer.error = None
    assert "ID12" == source().access_key_id


def test_a_stranger_s_error_passes(source: Refreshing, issuer: Issuer, herd: ThreadPoolExecutor) -> None:
    """What a caller's own function raises arrives as it is, in each thread that asked it."""
    issuer.error = RuntimeError("the vault is sealed")
    errors = together(herd, source, 8)
    assert {"RuntimeError('the vault is sealed')"} == {repr(error) for error in errors}


@pytest.mark.parametrize("left", [ADVISORY_SECONDS - 1, MANDATORY_SECONDS - 1])
def test_a_stranger_s_error_costs_nothing_while_the_old_ones_are_good(
    source: Refreshing, issuer: Issuer, clock: FrozenClock, left: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Then it is a failure like any other; its words, which nobody has checked for secrets, are not logged."""
    old = source()
    clock.time += HOUR - left
    issuer.error = RuntimeError("the vault is sealed, S3KRIT")
    with caplog.at_level(logging.WARNING, "s3func"):
        assert [old] * 10 == [source() for _ in range(10)]
    assert 2 == issuer.asked
    assert caplog.messages[0].endswith("are used on: it raised RuntimeError")
    assert "S3KRIT" not in caplog.text
    clock.time += left
    with pytest.raises(RuntimeError, match="the vault is sealed"):
        source()


def test_refused_credentials_are_replaced_once(
    source: Refreshing, issuer: Issuer, clock: FrozenClock, herd: ThreadPoolExecutor
) -> None:
    """200 threads that a store has refused cause one renewal; a store that refuses everything causes no more."""
    old = source()
    clock.time += 60
    found = together(herd, lambda: source.renewed(old.access_key_id, old.session_token))
    assert {"ID2"} == {getattr(one, "access_key_id", repr(one)) for one in found}
    assert 2 == issuer.asked
    assert "ID2" == source.renewed("ID2", "T0KEN2").access_key_id
    assert 2 == issuer.asked


def test_threads_that_wait_for_a_replacement_take_it(
    source: Refreshing, issuer: Issuer, clock: FrozenClock, herd: ThreadPoolExecutor
) -> None:
    """Those that were refused while one of them asks for others do not ask as well."""
    old = source()
    clock.time += 60
    issuer.gate.clear()
    issuer.entered.clear()
    first = herd.submit(source.renewed, old.access_key_id, old.session_token)
    assert issuer.entered.wait(30)
    others = [herd.submit(source.renewed, old.access_key_id, old.session_token) for _ in range(20)]
    assert eventually(lambda: all(future.running() for future in others))
    issuer.gate.set()
    assert {"ID2"} == {future.result(30).access_key_id for future in [first, *others]}
    assert 2 == issuer.asked


def test_refused_credentials_that_cannot_be_replaced(source: Refreshing, issuer: Issuer, clock: FrozenClock) -> None:
    """Then the old ones are all there are, and the store's refusal is what the caller sees."""
    old = source()
    clock.time += 60
    issuer.error = CredentialsError("no")
    assert old is source.renewed(old.access_key_id, old.session_token)


def test_a_function_of_the_caller_is_asked_each_time(clock: FrozenClock) -> None:
    """Without an end nothing is kept; with one, what the function gives is kept like any other's."""
    issuer = Issuer(clock, None)
    source = Refreshing(issuer, clock, "credentials", keeps=False)
    assert ["ID1", "ID2", "ID3"] == [source().access_key_id for _ in range(3)]
    issuer.life = HOUR
    assert ["ID4", "ID4", "ID4"] == [source().access_key_id for _ in range(3)]
    issuer.life = None
    issuer.error = CredentialsError("none today")
    clock.time += 2 * HOUR
    with pytest.raises(CredentialsError, match="none today"):
        source()


def test_a_function_that_fails_is_not_covered_by_what_it_gave_before(clock: FrozenClock) -> None:
    """Credentials without an end are good for the moment that they were given in."""
    issuer = Issuer(clock, None)
    source = Refreshing(issuer, clock, "credentials", keeps=False)
    source()
    issuer.error = CredentialsError("none today")
    with pytest.raises(CredentialsError, match="none today"):
        source()


@needs_fork
def test_a_forked_child_is_not_stuck(
    source: Refreshing, issuer: Issuer, clock: FrozenClock, herd: ThreadPoolExecutor
) -> None:
    """A child that was forked while a thread renewed can renew by itself."""
    source()
    clock.time += HOUR + 1
    issuer.gate.clear()
    issuer.entered.clear()
    renewing = herd.submit(source)
    assert issuer.entered.wait(30)

    def renew_in_the_child() -> None:
        # The old one has a thread waiting, which the child does not have.
        issuer.gate = threading.Event()
        issuer.gate.set()
        assert "ID3" == source().access_key_id

    assert in_child(renew_in_the_child)
    issuer.gate.set()
    assert "ID2" == renewing.result(30).access_key_id


@pytest.mark.parametrize("carry", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_nothing_leaks(source: Refreshing, carry: Callable[[object], object]) -> None:
    """A source shows its name only, and is neither pickled nor copied."""
    source()
    assert "<Refreshing the issuer>" == repr(source) == str(source)
    with pytest.raises(TypeError, match="not pickled") as caught:
        carry(source)
    assert "S3KRIT" not in str(caught.value)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 2 * HOUR), st.sampled_from(["good", "ill", "stranger"]), st.sampled_from([60.0, 900.0, HOUR])
        ),
        max_size=40,
    )
)
def test_whatever_happens_nothing_expired_is_given(steps: list[tuple[float, str, float]]) -> None:
    """Over any history of times and failures: what is given is good, or there is an error and nobody good was at hand."""
    clock = FrozenClock(NOW)
    issuer = Issuer(clock)
    source = Refreshing(issuer, clock, "the issuer")
    for seconds, state, life in steps:
        clock.time += seconds
        issuer.life = life
        issuer.error = {"good": None, "ill": CredentialsError("ill"), "stranger": RuntimeError("strange")}[state]
        try:
            found = source()
        except (CredentialsError, RuntimeError):
            assert state != "good"
        else:
            assert found.expires_at is not None
            assert clock.now() < found.expires_at
