"""The memory of a pair: what it keeps, when it does not believe itself, and that nothing is lost with it but time."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import SyncError
from s3func.message import Request, Response
from s3func.sync.local import LocalTree
from s3func.sync.operation import Side
from s3func.sync.remote import RemotePrefix
from s3func.sync.state import RACY_NS, State, StateRow, state_folder
from tests.sync.sides import OLD, Sides

MD5 = "0cc175b9c0f1b6a831c399e269772661"


def local_side(**changes: Any) -> Side:
    return Side(5, OLD, OLD, 7, 1, 0o100644, md5=MD5)._replace(**changes)


REMOTE = Side(5, etag=MD5, modified=150.5, version_id="v1", part_size=8)


class Refusing:
    """A transport that nothing may be sent through."""

    def __call__(self, request: Request) -> Response:
        raise AssertionError("nothing is sent")

    def close(self) -> None:
        pass


@pytest.fixture
def session() -> S3Session:
    """A session that sends nothing."""
    return S3Session("ak", "sk", "bucket", endpoint_url="http://127.0.0.1:1", region="us-east-1", transport=Refusing())


@pytest.fixture
def pair(tmp_path: Path, session: S3Session) -> tuple[LocalTree, RemotePrefix, Path]:
    """A folder, a prefix, and where their memory is."""
    return LocalTree(tmp_path / "tree"), RemotePrefix(session, "bucket", "p"), tmp_path / "state" / "s.db"


def opened(pair: tuple[LocalTree, RemotePrefix, Path]) -> State:
    state = State.open(pair[0], pair[1], pair[2])
    assert state is not None
    return state


def rows_of(pair: tuple[LocalTree, RemotePrefix, Path]) -> list[StateRow]:
    with opened(pair) as state:
        return list(state.rows())


def test_what_was_recorded_comes_back_in_order(pair: tuple[LocalTree, RemotePrefix, Path]) -> None:
    """Every field of both sides is kept, and rows come in the order of the bytes of their names."""
    names = ["b/c", "a", "b!", "b", "é", "e\u0301", "\U0001f600", "\uffff", "a\0b", "~"]
    with opened(pair) as state:
        for name in names:
            state.record(name, local_side(), REMOTE)
        state.adopt_root((1, 2**64 - 1))
    rows = rows_of(pair)
    assert sorted(names, key=str.encode) == [row.name for row in rows]
    assert ("a", 5, OLD, OLD, 7, None, None, None, 5, MD5, 150.5, "v1", MD5, None, 8, 0o100644, 0, None) == rows[0]
    with opened(pair) as state:
        assert (1, 2**64 - 1) == state.root


def test_both_directions_have_one_memory(tmp_path: Path, session: S3Session) -> None:
    """The file is the same for up and down, the local side stands first however it is recorded, and XDG says where."""
    tree, remote = LocalTree(tmp_path), RemotePrefix(session, "bucket", "p")
    up, down = State.open(tree, remote), State.open(remote, tree)
    assert up is not None
    assert down is not None
    assert up.path == down.path
    assert os.path.dirname(up.path) == state_folder()
    assert [False, True] == [up.is_swapped, down.is_swapped]
    for state, sides in ((up, (local_side(), REMOTE)), (down, (REMOTE, local_side()))):
        path = tmp_path / f"{id(state)}.db"
        with State(str(path), ("a", "b"), is_swapped=state.is_swapped) as memory:
            memory.record("n", *sides)
            memory.flush()
            (row,) = memory.rows()
            assert (OLD, 7, MD5, "v1") == (row.one_mtime_ns, row.one_inode, row.other_etag, row.other_version)


def test_two_stores_have_one_memory_too(tmp_path: Path, session: S3Session) -> None:
    """Of two prefixes the one whose URL sorts first is `one`, whichever is the source."""
    a, b = RemotePrefix(session, "bucket", "a"), RemotePrefix(session, "bucket", "b")
    for source, target in ((a, b), (b, a)):
        with State.open(source, target, tmp_path / "s.db") as state:  # type: ignore[union-attr]
            assert (source is b) == state.is_swapped
            sides = {a: Side(1, etag="of-a"), b: Side(1, etag="of-b")}
            state.record("n", sides[source], sides[target])
            state.flush()
            assert [("of-a", "of-b")] == [(row.one_etag, row.other_etag) for row in state.rows()]


@pytest.mark.parametrize("value", [None, "", "relative"])
def test_the_folder_of_all_memories_is_that_of_xdg(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XDG_STATE_HOME if it is an absolute path, else ~/.local/state."""
    monkeypatch.setenv("HOME", str(tmp_path))
    if value is None:
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_STATE_HOME", value)
    assert str(tmp_path / ".local/state/s3func/sync") == state_folder()
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert "/var/state/s3func/sync" == state_folder()


def test_no_memory_and_another_one(pair: tuple[LocalTree, RemotePrefix, Path], tmp_path: Path) -> None:
    """None means none; a file that is the memory of another pair is refused, and left as it is."""
    assert State.open(pair[0], pair[1], None) is None
    with opened(pair) as state:
        state.record("n", local_side(), REMOTE)
    before = pair[2].read_bytes()
    with State.open(LocalTree(tmp_path / "other"), pair[1], pair[2]) as other:  # type: ignore[union-attr]
        with pytest.raises(SyncError, match="another pair"):
            list(other.rows())
        other.record("n", local_side(), REMOTE)
        with pytest.raises(SyncError, match="another pair"):
            other.flush()
        other._pending.clear()
    assert before == pair[2].read_bytes()


def test_reading_writes_nothing(pair: tuple[LocalTree, RemotePrefix, Path]) -> None:
    """No file before the first record, and none beside it after reading; its bytes stay."""
    with opened(pair) as state:
        assert [] == list(state.rows())
        assert state.root is None
        assert state.moved(1, 2, 3) is None
    assert not pair[2].parent.exists()
    with opened(pair) as state:
        state.record("n", local_side(), REMOTE)
    before = pair[2].read_bytes()
    with opened(pair) as state:
        assert ["n"] == [row.name for row in state.rows()]
        assert state.moved(7, 5, OLD) is not None
    assert ["s.db"] == os.listdir(pair[2].parent)
    assert before == pair[2].read_bytes()
    assert 0o700 == stat.S_IMODE(pair[2].parent.stat().st_mode)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not a database, and longer than the head of one" * 40),
        lambda path: path.write_bytes(path.read_bytes()[:6000] + os.urandom(4000)),
        lambda path: _pragma(path, "user_version = 99"),
        lambda path: _pragma(path, "application_id = 5"),
    ],
    ids=["garbage", "damaged", "newer", "foreign"],
)
def test_what_cannot_be_read_is_set_aside_and_costs_nothing_else(
    pair: tuple[LocalTree, RemotePrefix, Path], spoil: Any
) -> None:
    """A corrupt, foreign or newer file gives no wrong row, is kept under another name, and a new one takes its place."""
    with opened(pair) as state:
        for number in range(500):
            state.record(f"n{number:04d}", local_side(), REMOTE)
    spoil(pair[2])
    spoiled = pair[2].read_bytes()
    with opened(pair) as state:
        found = list(state.rows())
        assert [f"n{number:04d}" for number in range(len(found))] == [row.name for row in found]
        assert len(found) < 500
        assert state.is_doubtful
        assert state.root is None
        state.record("new", local_side(), REMOTE)
    assert ["new"] == [row.name for row in rows_of(pair)]
    aside = [name for name in os.listdir(pair[2].parent) if ".aside-" in name]
    assert spoiled in [(pair[2].parent / name).read_bytes() for name in aside]


def test_an_empty_file_is_a_memory_that_is_being_made(pair: tuple[LocalTree, RemotePrefix, Path]) -> None:
    """Nothing is known, nothing is doubtful, and what is recorded goes into it."""
    pair[2].parent.mkdir()
    pair[2].touch()
    with opened(pair) as state:
        assert [] == list(state.rows())
        assert not state.is_doubtful
        state.record("n", local_side(), REMOTE)
    assert ["n"] == [row.name for row in rows_of(pair)]
    assert ["s.db"] == os.listdir(pair[2].parent)


def test_damage_that_is_met_while_writing_sets_it_aside_too(pair: tuple[LocalTree, RemotePrefix, Path]) -> None:
    """Nobody need have read the damaged place before; what was recorded is in the new file."""
    with opened(pair) as state:
        for number in range(500):
            state.record(f"n{number:04d}", local_side(), REMOTE)
    head = pair[2].read_bytes()[:4096]
    pair[2].write_bytes(head + os.urandom(pair[2].stat().st_size - 4096))
    with opened(pair) as state:
        state.record("new", local_side(), REMOTE)
    assert ["new"] == [row.name for row in rows_of(pair)]


def _pragma(path: Path, text: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA {text}")
    connection.close()


def test_a_folder_that_may_not_be_written_to_is_read(pair: tuple[LocalTree, RemotePrefix, Path]) -> None:
    """A memory on a read-only medium is still a memory; recording says that it cannot."""
    with opened(pair) as state:
        state.record("n", local_side(), REMOTE)
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    pair[2].chmod(0o400)
    pair[2].parent.chmod(0o500)
    try:
        with opened(pair) as state:
            assert ["n"] == [row.name for row in state.rows()]
            state.record("m", local_side(), REMOTE)
            with pytest.raises(SyncError, match="cannot be written"):
                state.flush()
            state._pending.clear()
    finally:
        pair[2].parent.chmod(0o700)


@pytest.mark.parametrize(
    ("mtime_ago", "ctime_ago", "expected"),
    [
        (10 * RACY_NS, 10 * RACY_NS, 0),
        (RACY_NS // 2, 10 * RACY_NS, 1),
        (0, 0, 1),
        (-RACY_NS // 2, 10 * RACY_NS, 1),
        (-(10**15), 10 * RACY_NS, 0),
        (10 * RACY_NS, 0, 0),
    ],
)
def test_t25_a_file_written_around_the_look_at_it_is_marked(
    pair: tuple[LocalTree, RemotePrefix, Path], mtime_ago: int, ctime_ago: int, expected: int
) -> None:
    """T25: an mtime within two seconds of the look is racy, in the far past or future it is not; ctime has to be fine."""
    now = time.time_ns() // 1000 * 1000 + 1
    with opened(pair) as state:
        state.record("n", local_side(mtime_ns=now - mtime_ago, ctime_ns=now - ctime_ago), REMOTE)
    assert [expected] == [row.is_racy for row in rows_of(pair)]


def test_t25_times_that_are_counted_coarsely_are_marked_by_ctime_too(
    pair: tuple[LocalTree, RemotePrefix, Path],
) -> None:
    """T25: where ctime has whole milliseconds only, a change could hide in it."""
    now = time.time_ns() // 1_000_000 * 1_000_000
    with opened(pair) as state:
        state.record("n", local_side(ctime_ns=now), REMOTE)
    assert [1] == [row.is_racy for row in rows_of(pair)]


def test_the_look_counts_from_when_the_plan_was_made(pair: tuple[LocalTree, RemotePrefix, Path]) -> None:
    """T25: a plan that is carried out an hour later does not make an hour-old look a fresh one."""
    hour_ago = time.time_ns() - 3600 * 10**9
    with opened(pair) as state:
        state.observed_ns = hour_ago
        state.record("n", local_side(mtime_ns=hour_ago + 1), REMOTE)
    assert [1] == [row.is_racy for row in rows_of(pair)]


def test_forgetting_and_replacing_happen_in_the_order_they_were_said(
    pair: tuple[LocalTree, RemotePrefix, Path],
) -> None:
    """The last word about a name counts, over any number of batches."""
    with opened(pair) as state:
        for number in range(2500):
            state.record(f"n{number}", local_side(), REMOTE)
        state.forget(f"n{number}" for number in range(2499))
        state.forget("n2499")
        state.record("n2499", local_side(size=6), REMOTE)
        state.record("n2499", local_side(size=7), REMOTE)
    assert [("n2499", 7)] == [(row.name, row.one_size) for row in rows_of(pair)]


def test_rows_are_those_of_the_beginning(pair: tuple[LocalTree, RemotePrefix, Path]) -> None:
    """What is recorded while the rows are read does not appear among them, and does not wait for them."""
    with opened(pair) as state:
        for number in range(3000):
            state.record(f"n{number:04d}", local_side(), REMOTE)
        state.flush()
        rows = state.rows()
        first = next(rows)
        state.record("z", local_side(), REMOTE)
        state.forget("n2999")
        state.flush()
        assert [f"n{number:04d}" for number in range(3000)] == [first.name, *(row.name for row in rows)]


def test_threads_and_other_connections_record_side_by_side(pair: tuple[LocalTree, RemotePrefix, Path]) -> None:
    """Two states of one pair, each with four threads, lose nothing."""
    states = [opened(pair), opened(pair)]

    def record(state: State, letter: str) -> None:
        for number in range(400):
            state.record(f"{letter}{number}", local_side(), REMOTE)
            if number % 100 == 0:
                state.flush()

    threads = [threading.Thread(target=record, args=(states[each % 2], "abcdefgh"[each])) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for state in states:
        state.close()
    assert 3200 == len(rows_of(pair))


def test_the_root_is_remembered_with_rows_only(pair: tuple[LocalTree, RemotePrefix, Path]) -> None:
    """A folder of which nothing was recorded is not remembered; with a record, before or after it, it is."""
    with opened(pair) as state:
        state.adopt_root((1, 2))
    assert not pair[2].exists()
    with opened(pair) as state:
        state.record("n", local_side(), REMOTE)
        state.flush()
        state.adopt_root((1, 3))
    with opened(pair) as state:
        assert (1, 3) == state.root
    with opened(pair) as state:
        state.adopt_root((1, 4))
    with opened(pair) as state:
        assert (1, 3) == state.root


def test_t24_a_lost_memory_costs_reading_and_no_transfer(tmp_path: Path) -> None:
    """T24: without the file everything is hashed once and recorded; nothing is sent but the listing."""
    sides = Sides(tmp_path)
    for number in range(30):
        sides.write(f"f{number}", f"content {number}")
    sides.carry_out(sides.up())
    sides.database.unlink()
    sides.requests()
    assert {("record", "content")} == {(kind, reason) for kind, _, reason in sides.carry_out(sides.up())}
    assert [] == sides.steps(sides.up())
    assert {"ListObjectsV2"} == set(sides.requests())
