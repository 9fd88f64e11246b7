from __future__ import annotations

import errno
import json
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3func.download.journal import Subject, Written, parse_journal
from s3func.errors import ChecksumMismatch, ConnectionLost, NoSuchKey, ServerError, TransportError
from s3func.message import Request, Response
from s3func.transport.transfer import TransferConfig
from tests.s3.one_object import OneObject, throttled

fcntl = pytest.importorskip("fcntl", reason="resuming needs locks of files")

PART = 1000
DATA = bytes(range(256)) * 40 + b"the end"
OTHER = DATA[::-1]
PARTS = TransferConfig(multipart_threshold=PART, part_size=PART, concurrency=4)
ONE_BY_ONE = PARTS._replace(concurrency=1)
LEFT = [".file.s3func-journal", ".file.s3func-part"]


class Enough(Exception):
    """What breaks a download off."""


def broken_off(store: OneObject, path: Path, after: int = 5000, transfer: TransferConfig = PARTS) -> None:
    """A download that fails when so many bytes have come."""

    def fail(done: int, _: int | None) -> None:
        if done > after:
            raise Enough

    with store.session() as session, pytest.raises(Enough):
        session.download_file("key", path, resume=True, transfer=transfer, progress=fail)
    store.forget()


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def noted(path: Path) -> int:
    """How many bytes the journal beside a path has."""
    journal = path.with_name(f".{path.name}.s3func-journal").read_bytes()
    return sum(block.length for block in parse_journal(journal)[1])


@pytest.mark.parametrize("transfer", [PARTS, ONE_BY_ONE, PARTS._replace(concurrency=20)])
@pytest.mark.parametrize("after", [1000, 3333, 7000, 10_100])
def test_only_what_is_missing_is_fetched(tmp_path: Path, after: int, transfer: TransferConfig) -> None:
    """What an interrupted download has noted is not fetched again, and the whole is compared as ever."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    store = OneObject(DATA)
    broken_off(store, path, after, transfer)
    assert b"before" == path.read_bytes()
    told: list[int] = []
    if [*LEFT, "file"] == names(tmp_path):
        present = noted(path)
    else:
        # With so many connections no block may have been whole.
        assert ["file"] == names(tmp_path)
        present = 0
    with store.session() as session:
        result = session.download_file(
            "key", path, resume=True, transfer=transfer, progress=lambda done, _: told.append(done)
        )
    assert (present, True) == (result.resumed, result.verified)
    # The first answer may bring some more than its range, and is closed.
    assert len(DATA) - present == store.moved
    assert DATA == path.read_bytes()
    assert ["file"] == names(tmp_path)
    assert sorted(told) == told
    assert len(DATA) == told[-1]
    assert min(told) >= present


def test_it_takes_any_number_of_calls(tmp_path: Path) -> None:
    """A download that is broken off again and again ends, and moves every block once."""
    store = OneObject(DATA)
    moved = 0
    for step in range(1, 10):
        with store.session() as session, pytest.raises(ServerError):
            store.breaks_after = lambda request: 1100
            store.on_get = lambda request: Response(500, {}) if len(store.requests) > 1 else None
            session.download_file("key", tmp_path / "file", resume=True, transfer=ONE_BY_ONE)
        moved += store.moved
        store.forget()
        assert step * PART == noted(tmp_path / "file")
    store.breaks_after = lambda request: None
    store.on_get = lambda request: None
    with store.session() as session:
        session.download_file("key", tmp_path / "file", resume=True, transfer=ONE_BY_ONE)
    assert DATA == (tmp_path / "file").read_bytes()
    assert 9 * 1100 + len(DATA) - 9 * PART == moved + store.moved


def test_without_resume_nothing_is_kept_and_nothing_is_used(tmp_path: Path) -> None:
    """A call without resume neither leaves anything nor touches what another one has left."""
    store = OneObject(DATA)
    broken_off(store, tmp_path / "file")
    left = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with store.session() as session:
        assert 0 == session.download_file("key", tmp_path / "file", transfer=PARTS).resumed
    assert DATA == (tmp_path / "file").read_bytes()
    assert left == {name: (tmp_path / name).read_bytes() for name in LEFT}


def changed_object(store: OneObject, _: Path) -> None:
    store.put(OTHER)


def shorter_object(store: OneObject, _: Path) -> None:
    store.put(DATA[:1500])


def longer_object(store: OneObject, _: Path) -> None:
    store.put(DATA * 2)


def ignored_if_match(store: OneObject, _: Path) -> None:
    store.put(OTHER)
    store.sees_if_match = False


def no_journal(_: OneObject, folder: Path) -> None:
    (folder / LEFT[0]).unlink()


def no_part(_: OneObject, folder: Path) -> None:
    (folder / LEFT[1]).unlink()


def empty_journal(_: OneObject, folder: Path) -> None:
    (folder / LEFT[0]).write_bytes(b"")


def garbage(_: OneObject, folder: Path) -> None:
    (folder / LEFT[0]).write_bytes(bytes(range(256)))


def empty_part(_: OneObject, folder: Path) -> None:
    (folder / LEFT[1]).write_bytes(b"")


def other_bytes(_: OneObject, folder: Path) -> None:
    (folder / LEFT[1]).write_bytes(bytes(len(DATA)))


def part_is_a_link(_: OneObject, folder: Path) -> None:
    (folder / "victim").write_bytes(b"precious")
    (folder / LEFT[1]).unlink()
    (folder / LEFT[1]).symlink_to(folder / "victim")


@pytest.mark.parametrize(
    "change",
    [
        changed_object,
        shorter_object,
        longer_object,
        ignored_if_match,
        no_journal,
        no_part,
        empty_journal,
        garbage,
        empty_part,
        other_bytes,
        part_is_a_link,
    ],
)
def test_what_cannot_be_used_is_begun_anew(tmp_path: Path, change: Callable[[OneObject, Path], None]) -> None:
    """Another object, or what is left in a state that proves nothing: the result is right, and nothing is left."""
    store = OneObject(DATA)
    broken_off(store, tmp_path / "file")
    change(store, tmp_path)
    with store.session() as session:
        result = session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS)
    assert (0, True) == (result.resumed, result.verified)
    assert store.data == (tmp_path / "file").read_bytes()
    if change is part_is_a_link:
        assert b"precious" == (tmp_path / "victim").read_bytes()
    else:
        assert ["file"] == names(tmp_path)


def test_another_key_is_another_object(tmp_path: Path) -> None:
    """What is left of one object is not taken for a part of another, whatever its ETag and size are."""
    store = OneObject(DATA)
    broken_off(store, tmp_path / "file")
    with store.session() as session:
        assert 0 == session.download_file("other", tmp_path / "file", resume=True, transfer=PARTS).resumed
    assert ["file"] == names(tmp_path)


def test_a_torn_page(tmp_path: Path) -> None:
    """A block whose bytes are not in the file, as after a power failure, is fetched again, and only that one."""
    store = OneObject(DATA)
    broken_off(store, tmp_path / "file", 6000, ONE_BY_ONE)
    present = noted(tmp_path / "file")
    with (tmp_path / LEFT[1]).open("r+b") as part:
        part.seek(2345)
        part.write(b"\0\0\0\0")
    with store.session() as session:
        result = session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS)
    assert present - PART == result.resumed
    assert (2000, len(DATA)) == store.ranges[0]
    assert len(DATA) - present + PART == store.moved
    assert DATA == (tmp_path / "file").read_bytes()


def test_a_journal_that_ends_in_the_middle_of_a_line(tmp_path: Path) -> None:
    """What a killed process has not finished writing is passed over, and what follows it can be read again."""
    store = OneObject(DATA)
    path = tmp_path / "file"
    broken_off(store, path, 5000, ONE_BY_ONE)
    present = noted(path)
    with (tmp_path / LEFT[0]).open("ab") as journal:
        journal.write(b"[5000, 10")
    broken_off(store, path, present + 2500, ONE_BY_ONE)
    assert noted(path) > present
    with store.session() as session:
        assert session.download_file("key", path, resume=True, transfer=PARTS).resumed > present
    assert DATA == path.read_bytes()


DAMAGE = st.lists(st.tuples(st.integers(0, 12_000), st.integers(0, 3), st.binary(max_size=3)), max_size=3)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2000, 9000), DAMAGE, DAMAGE, st.integers(0, 20_000), st.integers(0, 20_000))
def test_any_damage(
    tmp_path_factory: pytest.TempPathFactory,
    after: int,
    in_journal: list[tuple[int, int, bytes]],
    in_part: list[tuple[int, int, bytes]],
    end_of_journal: int,
    end_of_part: int,
) -> None:
    """Whatever happens to the journal and to the part, the file that comes of it is the object."""
    folder = tmp_path_factory.mktemp("damaged")
    store = OneObject(DATA)
    broken_off(store, folder / "file", after, ONE_BY_ONE)
    for name, damage, end in [(LEFT[0], in_journal, end_of_journal), (LEFT[1], in_part, end_of_part)]:
        content = bytearray((folder / name).read_bytes())
        for place, length, other in damage:
            begin = place % len(content) if content else 0
            content[begin : begin + length] = other
        (folder / name).write_bytes(content[:end])
    with store.session() as session:
        session.download_file("key", folder / "file", resume=True, transfer=PARTS)
    assert DATA == (folder / "file").read_bytes()
    assert ["file"] == names(folder)


SUBJECT = Subject("a", None, '"e"', 100, "crc32", ("crc32", "AAAAAA=="))
HEAD = json.dumps({"s3func": 1, **SUBJECT._asdict()})


def line(text: str) -> bytes:
    """A line of a journal: its CRC32 and its text."""
    return b"%08x %s\n" % (zlib.crc32(text.encode()), text.encode())


def test_what_a_journal_says() -> None:
    """The blocks of a journal come in order, each once, and an unfinished line is none."""
    text = b"".join(map(line, [HEAD, '[10, 5, "00ff"]', '[0, 10, "01"]', '[10, 5, "00ff"]']))
    text += line('[20, 5, "00"]')[:-2] + b"\n" + line('[30, 5, "00"]').replace(b"5", b"6") + line('[40, 5, "00"]')[:-3]
    assert (SUBJECT, [Written(0, 10, b"\x01"), Written(10, 5, b"\x00\xff")]) == parse_journal(text)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["{}"],
        ["[]"],
        [HEAD.replace('"s3func": 1', '"s3func": 2')],
        [HEAD.replace("100", "-1")],
        [HEAD.replace("100", "true")],
        [HEAD.replace('"crc32", "check', '"rot13", "check')],
        [HEAD.replace('"a"', "1")],
        [HEAD, "not json"],
        [HEAD, "[0, 10]"],
        [HEAD, '[0, 10, "0"]'],
        [HEAD, '[0, 0, ""]'],
        [HEAD, '[-1, 10, ""]'],
        [HEAD, '[91, 10, ""]'],
        [HEAD, '[0, 10, ""]', '[9, 10, ""]'],
        [HEAD, '[0.0, 10, ""]'],
        [HEAD, '["0", 10, ""]'],
        [HEAD, "[" * 100_000],
    ],
)
def test_what_is_no_journal(lines: list[str]) -> None:
    """What no download has written is refused as a whole."""
    with pytest.raises(ValueError, match="not a journal"):
        parse_journal(b"".join(map(line, lines)))


@given(st.binary())
def test_any_bytes_as_a_journal(text: bytes) -> None:
    """Any bytes are a journal or a ValueError."""
    try:
        parse_journal(text)
    except ValueError as error:
        assert "not a journal" in str(error)


def test_when_nothing_is_missing(tmp_path: Path) -> None:
    """A download that was killed before its last step asks for one byte, to see whether the object is still the same."""
    store = OneObject(DATA)
    path = tmp_path / "file"
    broken_off(store, path, len(DATA) - 1, ONE_BY_ONE)
    subject, blocks = parse_journal((tmp_path / LEFT[0]).read_bytes())
    missing = blocks[-1].start + blocks[-1].length
    if missing < len(DATA):
        # The last block was written, and then the error came.
        digest = zlib.crc32(DATA[missing:]).to_bytes(4, "big").hex()
        with (tmp_path / LEFT[0]).open("ab") as journal:
            journal.write(line(f'[{missing}, {len(DATA) - missing}, "{digest}"]'))
    assert len(DATA) == subject.size
    with store.session() as session:
        result = session.download_file("key", path, resume=True)
    assert [(len(DATA) - 1, len(DATA))] == store.ranges
    assert (len(DATA), True) == (result.resumed, result.verified)
    assert DATA == path.read_bytes()
    assert ["file"] == names(tmp_path)


@pytest.mark.parametrize("status", [404, 503])
def test_a_failure_before_the_first_answer(tmp_path: Path, status: int) -> None:
    """A store that cannot be asked now does not cost what was fetched before."""
    store = OneObject(DATA)
    broken_off(store, tmp_path / "file")
    present = noted(tmp_path / "file")
    store.on_get = lambda request: throttled(request) if status == 503 else Response(404, {})
    with store.session() as session, pytest.raises(Exception, match=str(status)):
        session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS)
    assert LEFT == names(tmp_path)
    store.on_get = lambda request: None
    with store.session() as session:
        assert present == session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS).resumed


def test_a_failure_before_the_first_block(tmp_path: Path) -> None:
    """Nothing is left where there is nothing to go on with."""
    store = OneObject(DATA)
    broken_off(store, tmp_path / "file", 10, ONE_BY_ONE)
    assert [] == names(tmp_path)
    store.on_get = lambda request: Response(404, {}, b"<Error><Code>NoSuchKey</Code></Error>")
    with store.session() as session, pytest.raises(NoSuchKey):
        session.download_file("key", tmp_path / "file", resume=True)
    assert [] == names(tmp_path)


def test_a_wrong_checksum_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    """When the whole turns out to be wrong, all of it is thrown away."""
    store = OneObject(DATA)
    store.crc32 = "AAAAAA=="
    broken_off(store, tmp_path / "file")
    with store.session() as session:
        with pytest.raises(ChecksumMismatch):
            session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS)
        assert [] == names(tmp_path)
        result = session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS, verify=False)
    assert (0, False) == (result.resumed, result.verified)
    broken = OneObject(DATA)
    broken.crc32 = "AAAAAA=="
    broken_off(broken, tmp_path / "file")
    with broken.session() as session:
        result = session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS, verify=False)
    assert result.resumed
    assert not result.verified


def test_an_object_that_is_replaced_while_it_is_resumed(tmp_path: Path) -> None:
    """A replaced object is begun again from its beginning, and what was there of the old one is in nobody's way."""
    store = OneObject(DATA)
    broken_off(store, tmp_path / "file", 3000)
    store.on_get = lambda request: store.put(OTHER) if len(store.requests) == 3 and store.data == DATA else None
    with store.session() as session:
        result = session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS)
    assert (0, True) == (result.resumed, result.verified)
    assert OTHER == (tmp_path / "file").read_bytes()
    assert ["file"] == names(tmp_path)


@pytest.mark.parametrize("call", ["write", "replace"])
@pytest.mark.parametrize("is_resumed", [True, False])
def test_a_journal_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, *, is_resumed: bool
) -> None:
    """A disk that fails with the journal ends the download; what an earlier one has left is still there."""
    store = OneObject(DATA)
    if is_resumed:
        broken_off(store, tmp_path / "file")
    left = names(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with store.session() as session:
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(OSError, match="Input/output error"):
                session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS)
        assert left == names(tmp_path)
        assert is_resumed == bool(session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS).resumed)
    assert DATA == (tmp_path / "file").read_bytes()
    assert ["file"] == names(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_something_else_where_the_part_should_be(tmp_path: Path, kind: str) -> None:
    """Where the part's name is taken by something that is no file, the download goes another way."""
    if kind == "folder":
        (tmp_path / LEFT[1]).mkdir()
    else:
        os.mkfifo(tmp_path / LEFT[1])
    with OneObject(DATA).session() as session:
        session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS)
    assert DATA == (tmp_path / "file").read_bytes()
    assert [LEFT[1], "file"] == names(tmp_path)


# --- several at once


def at_once(calls: list[Callable[[], object]]) -> list[BaseException]:
    """Run them all at the same time; what they raised."""
    failures: list[BaseException] = []
    begin = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        begin.wait()
        try:
            call()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.parametrize("broken_before", [False, True])
@pytest.mark.parametrize("locks", ["work", "do nothing", "are not there", "are refused"])
def test_several_downloads_to_one_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: str, *, broken_before: bool
) -> None:
    """Downloads of one object to one path at the same time do each other no harm, whether files can be locked or not."""
    if locks == "do nothing":
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    elif locks == "are refused":

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
    elif locks == "are not there":
        import builtins

        real = builtins.__import__

        def without(name: str, *rest: object) -> object:
            if name == "fcntl":
                raise ImportError(name)
            return real(name, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(builtins, "__import__", without)
    store = OneObject(DATA)
    path = tmp_path / "file"
    for _ in range(15):
        path.unlink(missing_ok=True)
        if broken_before and locks == "work":
            broken_off(store, path)
        with store.session() as session:

            def download(session: object = session) -> None:
                session.download_file("key", path, resume=True, transfer=PARTS)  # type: ignore[attr-defined]

            failures = at_once([download] * 3)
        if locks == "do nothing":
            # Who is overtaken may say so, but nobody publishes what is not whole.
            assert {errno.EBUSY} >= {getattr(failure, "errno", failure) for failure in failures}
            assert len(failures) == 3 or DATA == path.read_bytes()
        else:
            assert [] == failures
            assert ["file"] == names(tmp_path)
            assert DATA == path.read_bytes()


def test_a_lock_that_somebody_else_has(tmp_path: Path) -> None:
    """While another process works on the part, a download goes through a file of its own and leaves the part alone."""
    store = OneObject(DATA)
    broken_off(store, tmp_path / "file")
    left = [(tmp_path / name).read_bytes() for name in LEFT]
    with (tmp_path / LEFT[1]).open("rb") as part, store.session() as session:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert 0 == session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS).resumed
        assert left == [(tmp_path / name).read_bytes() for name in LEFT]
        broken = OneObject(DATA)
        broken_off(broken, tmp_path / "file")
        assert [*LEFT, "file"] == names(tmp_path)
        assert left == [(tmp_path / name).read_bytes() for name in LEFT]
    assert DATA == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("locks_work", [True, False])
def test_another_version_while_one_is_being_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, locks_work: bool
) -> None:
    """Two versions that are fetched to one path at the same time are never mixed, whatever locks do."""
    if not locks_work:
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    stores = [OneObject(DATA), OneObject(OTHER)]
    path = tmp_path / "file"
    for _ in range(15):
        calls: list[Callable[[], object]] = []
        for store in stores:

            def download(store: OneObject = store) -> None:
                with store.session() as session:
                    session.download_file("key", path, resume=True, transfer=PARTS)

            calls += [download, download]
        failures = at_once(calls)
        if locks_work:
            assert [] == failures
            assert ["file"] == names(tmp_path)
        else:
            assert {errno.EBUSY} >= {getattr(failure, "errno", failure) for failure in failures}
        if path.exists():
            assert path.read_bytes() in {DATA, OTHER}


def test_a_store_that_is_gone(tmp_path: Path) -> None:
    """A store that cannot be reached any more is a TransportError, and the next call goes on with what had come."""
    store = OneObject(DATA)

    def fail(request: Request) -> Response | None:
        if len(store.requests) > 1:
            raise ConnectionLost("gone")
        return None

    store.on_get = fail
    store.breaks_after = lambda request: 4500
    with store.session(retries=3) as session, pytest.raises(TransportError):
        session.download_file("key", tmp_path / "file", resume=True, transfer=ONE_BY_ONE)
    store.on_get = lambda request: None
    store.breaks_after = lambda request: None
    with store.session() as session:
        assert 4 * PART == session.download_file("key", tmp_path / "file", resume=True, transfer=PARTS).resumed
