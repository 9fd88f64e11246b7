"""Names of tickets, whatever lies beside them, and what is decided from them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s3func import S3Session
from s3func.lock import tickets
from tests.lock.rigs import keys

IDS = st.text("0123456789abcdef", min_size=24, max_size=24)
MODES = st.sampled_from("xs")
NUMBERS = st.integers(1, tickets.NUMBER_MAX)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
STAMPS = st.one_of(st.none(), st.floats(0, 4e9))
NEARLY = st.from_regex(r"[0-9a-fA-F٠-٩]{23,25}\.[0-3]\.[xsfp]{0,3}[0-9٠-٩]{0,20}\n?", fullmatch=True)


@given(NAMES, IDS, MODES, st.integers(0, 999_999_999), NUMBERS, st.booleans(), st.integers(1, 10**7))
def test_what_is_written_is_read(
    name: str, ticket_id: str, mode: str, ttl: int, number: int, is_mark: bool, beat: int
) -> None:
    """Every key that a ticket can have is read back as what it says."""
    prefix = name + tickets.SUFFIX
    written = [
        tickets.announcement_key(prefix, ticket_id, mode, ttl),
        tickets.number_key(prefix, ticket_id, mode, number, is_mark=is_mark),
        tickets.beat_key(prefix, ticket_id, beat),
    ]
    assert all(len(key.encode()) <= len(name.encode()) + tickets.KEY_OVERHEAD for key in written)
    (ticket,) = tickets.read([(key, float(place)) for place, key in enumerate(written)], prefix).values()
    assert (ticket_id, True, mode, ttl, number, is_mark) == (
        ticket.id,
        ticket.is_announced,
        ticket.mode,
        ticket.ttl,
        ticket.number,
        ticket.is_mark,
    )
    assert (2.0, written) == (ticket.stamp, ticket.keys)


@given(NAMES, st.lists(st.tuples(st.one_of(st.text(), NEARLY), STAMPS)))
def test_what_is_not_a_ticket_is_nobodys(name: str, rest: list[tuple[str, float | None]]) -> None:
    """Whatever lies under the prefix, nothing raises, and only keys of the exact form count."""
    prefix = name + tickets.SUFFIX
    found = tickets.read([(prefix + key, stamp) for key, stamp in rest], prefix)
    for ticket in found.values():
        assert 24 == len(ticket.id)
        for key in ticket.keys:
            assert key.isascii() or not name.isascii()
            assert "\n" not in key[len(prefix) :]
    tickets.standings(found)
    assert {} == tickets.read([("x" + prefix + key, stamp) for key, stamp in rest], prefix)


@given(st.lists(st.tuples(IDS, MODES, st.integers(0, 3), st.booleans()), unique_by=lambda row: row[0]))
def test_somebody_is_first(rows: list[tuple[str, str, int, bool]]) -> None:
    """Unless somebody is choosing, whoever has a ticket: one of them waits for nobody, and no two who conflict do."""
    listed = {}
    for ticket_id, mode, number, is_announced in rows:
        ticket = listed[ticket_id] = tickets.Ticket(ticket_id)
        ticket.mode, ticket.number, ticket.is_announced = mode, number, is_announced
    queue = [ticket for ticket in listed.values() if ticket.is_announced and ticket.number]
    is_choosing = any(ticket.is_choosing for ticket in listed.values())
    first = [ticket for ticket in queue if not tickets.blockers(listed, ticket.id, ticket.mode, ticket.number)]
    assert not queue or is_choosing or first
    assert not any(tickets.conflict(one.mode, other.mode) for place, one in enumerate(first) for other in first[:place])


@given(NUMBERS, NUMBERS, IDS, IDS)
def test_tokens_are_ordered_as_tickets_are(number: int, other: int, ticket_id: str, other_id: str) -> None:
    """Whoever comes later in the queue has the larger token, unless the tokens would be the same."""
    one, two = tickets.fencing_token(number, ticket_id), tickets.fencing_token(other, other_id)
    if (number, ticket_id[:8]) != (other, other_id[:8]):
        assert (one < two) == ((number, ticket_id) < (other, other_id))
    else:
        assert one == two


def test_beats_come_round() -> None:
    """After 999,999 signs of life their numbers begin again, and two are always kept."""
    prefix = "a.lock/"
    names = [tickets.beat_key(prefix, "0" * 24, beat)[-6:] for beat in (1, 2, 999_999, 1_000_000, 1_000_001)]
    assert ["000001", "000002", "999999", "000001", "000002"] == names
    assert [None, None, 1, 2] == [tickets.superseded_beat(beat) for beat in (1, 2, 3, 4)]


def test_a_queue_longer_than_a_page(session: S3Session) -> None:
    """A listing of more than a page is read to its end: whoever is first is on the last one."""
    for number in range(1, 400):
        for key in (
            tickets.number_key("job.lock/", f"{number:024x}", "x", 5, is_mark=False),
            tickets.beat_key("job.lock/", f"{number:024x}", 1),
            f"job.lock/somebody else's {number}",
        ):
            session.put_object(key, b"")
    first = "f" * 24
    session.put_object(tickets.announcement_key("job.lock/", first, "x", 60), b"")
    session.put_object(tickets.number_key("job.lock/", first, "x", 4, is_mark=False), b"")
    lock = session.lock("job")
    assert not lock.acquire(blocking=False)
    assert [first] == [owner.id for owner in lock.break_lock()]
    assert lock.acquire(blocking=False)
    lock.release()
    # The numbers of all who are gone went with the release; what is not the lock's is as it was.
    assert [] == [key for key in keys(session) if "somebody" not in key]
    assert 399 == len(keys(session))
