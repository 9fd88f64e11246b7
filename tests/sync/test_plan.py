"""A plan as a thing: made once, told again, written down, read back, and refused where it is not whole."""

from __future__ import annotations

import io
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func import S3Session
from s3func.errors import EmptySourceError, ServerError, SyncError, SyncIncomplete
from s3func.server import MemoryBackend, S3App
from s3func.sync import LocalTree, NamePolicy, Plan, RemotePrefix, plan
from s3func.sync.entry import LocalEntry
from s3func.sync.filters import Filters
from s3func.sync.operation import Operation, Side
from s3func.sync.spool import Spool, dumps, loads, packed, unpacked
from tests.sync.sides import OLD, Sides


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A folder and a prefix that have something of everything between them."""
    sides = Sides(tmp_path)
    for name in ("a", "b/c", "d"):
        sides.write(name, name)
    sides.put("a", "a")
    sides.put("d", "D")
    sides.put("extra", "extra")
    return sides


STEPS = [("record", "a"), ("upload", "b/c"), ("upload", "d"), ("delete", "extra")]


def names_of(made: Plan) -> list[tuple[str, str]]:
    return [(step.kind, step.name) for step in made]


def test_nothing_is_read_or_sent_before_the_plan_is_iterated(tmp_path: Path) -> None:
    """plan() itself touches neither side; the scans begin with the first step."""
    sides = Sides(tmp_path)
    sides.requests()
    with plan(tmp_path / "nowhere", sides.remote, state=None):
        assert [] == sides.requests()


def test_the_second_iteration_repeats_the_first(sides: Sides) -> None:
    """Later iterations scan nothing again, also several at a time; proofs and counts stand from the first end on."""
    with sides.up(delete="all") as made:
        with pytest.raises(RuntimeError, match="first iteration"):
            _ = made.proofs
        assert STEPS == names_of(made)
        sides.write("new", "new")
        sides.requests()
        assert [(one, one) for one in STEPS] == list(zip(names_of(made), names_of(made), strict=True))
        assert [] == sides.requests()
        assert (3, 3) == (made.proofs.source.entries, made.proofs.target.entries)
        assert {"record": 1, "upload": 2, "delete": 1, "unchanged": 1} == dict(made.counts)


def test_an_iteration_that_is_given_up_starts_over(sides: Sides) -> None:
    """What was left after the first step is planned again from the beginning; two at a time are refused."""
    with sides.up(delete="all") as made:
        steps = iter(made)
        next(steps)
        with pytest.raises(RuntimeError, match="another iteration"):
            next(iter(made))
        steps.close()  # type: ignore[attr-defined]
        assert not made.is_complete
        assert STEPS == names_of(made.prepare())


def test_planning_and_looking_at_the_plan_write_nothing(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file appears beside the folder, in it, or where states and temporary files are; nothing is put."""
    scratch = sides.root.parent / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = sorted(os.walk(sides.root.parent))
    sides.requests()
    with sides.up(delete="all") as made:
        made._spool = Spool(in_memory_max=1)
        assert STEPS == names_of(made)
        assert before == sorted(os.walk(sides.root.parent))
        made.summary()
        made.to_jsonl(io.BytesIO())
    assert before == sorted(os.walk(sides.root.parent))
    assert {"ListObjectsV2"} == set(sides.requests())


def test_the_summary_counts_and_says_what_stands_against_deletes(sides: Sides) -> None:
    """Kinds, bytes, what stays, and in words why nothing would be deleted."""
    with sides.up(delete="all") as made:
        summary = made.summary()
        assert {"upload": 2, "record": 1, "delete": 1} == summary.operations
        assert (4, 1, 0, None) == (summary.bytes, summary.unchanged, summary.extra, summary.stop)
        assert "delete: 1" in str(summary)
        assert str(sides.root) in str(summary)
    with sides.up(delete="all", max_delete=0) as made:
        summary = made.summary()
        assert summary.stop is not None
        assert "max_delete is 0" in summary.stop
        assert summary.stop in str(summary)


# --- as JSON lines


def test_a_plan_comes_back_from_its_lines(sides: Sides, tmp_path: Path) -> None:
    """Steps, sides, options, proofs, counts and the guards are those of the plan that was written."""
    file = tmp_path / "plan.jsonl"
    filters = Filters(exclude="*.tmp")
    options = {"delete": "all", "max_delete": "7|90%", "compare": "hash", "filters": filters, "metadata": ("mode",)}
    with sides.up(**options, names=NamePolicy(non_utf8="escape")) as made:
        made.to_jsonl(file)
        with Plan.from_jsonl(file, session=sides.session) as again:
            assert list(made) == list(again)
            assert made.options == again.options
            assert filters.fingerprint == again.options.filters
            assert (made.proofs, made.counts, made.bytes) == (again.proofs, again.counts, again.bytes)
            assert made.summary() == again.summary()
            assert (made.source.url, made.target.url) == (again.source.url, again.target.url)
            assert made.created_ns == again.created_ns
            assert again.state is not None
            assert (str(sides.database), made.created_ns) == (again.state.path, again.state.observed_ns)
            again.guard()
            with pytest.raises(SyncError):
                again.guard(8)


@pytest.mark.parametrize("make", [io.StringIO, io.BytesIO])
def test_open_files_of_text_and_of_bytes_are_taken(sides: Sides, make: Callable[[], Any]) -> None:
    """to_jsonl and from_jsonl take what is open already, and leave it open."""
    file = make()
    with sides.up(delete="all") as made:
        made.to_jsonl(file)
    file.seek(0)
    with Plan.from_jsonl(file, session=sides.session) as again:
        assert STEPS == names_of(again)
    assert not file.closed


def lines_of(sides: Sides) -> list[bytes]:
    file = io.BytesIO()
    with sides.up(delete="all") as made:
        made.to_jsonl(file)
    return file.getvalue().splitlines(keepends=True)


def test_the_lines_are_one_header_the_steps_and_one_end(sides: Sides) -> None:
    """The format: a header with version, sides and options; a step per line; an end with counts and proofs."""
    header, *steps, end = map(json.loads, lines_of(sides))
    assert ("plan", 1) == (header["s3func"], header["version"])
    assert (str(sides.root), sides.remote.url) == (header["source"], header["target"])
    assert ("auto", "all", "1000|50%") == tuple(header["options"][key] for key in ("compare", "delete", "max_delete"))
    assert STEPS == [(step["op"], step["name"]) for step in steps]
    assert (True, 4) == (end["end"], end["operations"])
    assert end["proofs"]["source"]["is_complete"]
    assert {"target", "op", "name", "reason"} == set(steps[-1])


def test_a_truncated_plan_is_refused_wherever_it_was_cut(sides: Sides) -> None:
    """Every prefix of the file, byte by byte, is no plan; nor is one that lacks a line, or has one more."""
    lines = lines_of(sides)
    whole = b"".join(lines)
    for length in range(len(whole) - 1):
        with pytest.raises(SyncError):
            Plan.from_jsonl(io.BytesIO(whole[:length]), session=sides.session)
    for number in range(len(lines)):
        with pytest.raises(SyncError):
            Plan.from_jsonl(io.BytesIO(b"".join(lines[:number] + lines[number + 1 :])), session=sides.session)
    for number in range(1, len(lines)):
        with pytest.raises(SyncError):
            Plan.from_jsonl(io.BytesIO(b"".join([*lines, lines[number]])), session=sides.session)


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (0, {"version": 2}, "format 2"),
        (0, {"s3func": "lock"}, "no plan"),
        (0, {"options": {}}, "damaged"),
        (0, {"options": None}, "damaged"),
        (0, {"source": 5}, "damaged"),
        (1, {"op": "explode"}, "no step"),
        (1, {"size": "5"}, "no step"),
        (1, {"size": -1}, "no step"),
        (1, {"name": None}, "no step"),
        (1, {"more": 1}, "no step"),
        (2, {"source": {"size": "5"}}, "no step"),
        (2, {"source": {"weight": 5}}, "no step"),
        (2, {"source": {"size": 5, "etag": 7}}, "no step"),
        (2, {"source": {"size": 5, "modified": "now"}}, "no step"),
        (-1, {"operations": 3}, "not complete"),
        (-1, {"counts": {}}, "not complete"),
        (-1, {"proofs": {}}, "damaged"),
        (-1, {"proofs": None}, "damaged"),
    ],
)
def test_a_line_that_was_tampered_with_is_refused(
    sides: Sides, number: int, change: dict[str, Any], message: str
) -> None:
    """A foreign version, a step that is none, an end that does not fit: SyncError says which."""
    lines = lines_of(sides)
    lines[number] = json.dumps({**json.loads(lines[number]), **change}).encode() + b"\n"
    with pytest.raises(SyncError, match=message):
        Plan.from_jsonl(io.BytesIO(b"".join(lines)), session=sides.session)


def test_a_plan_that_cannot_be_written_leaves_what_was_there(sides: Sides, tmp_path: Path) -> None:
    """The file has the whole plan or what it had; no other file stays."""
    file = tmp_path / "plan.jsonl"
    file.write_text("before")
    with pytest.raises(EmptySourceError), plan(tmp_path / "nowhere", sides.remote, state=None) as made:
        made.to_jsonl(file)
    assert "before" == file.read_text()
    assert ["plan.jsonl", "tree"] == sorted(os.listdir(tmp_path))


def test_no_secret_is_in_a_plan(tmp_path: Path) -> None:
    """Neither the lines nor the repr nor the summary have the keys of the session, or those of a URL."""
    app = S3App(MemoryBackend(), access_key_id="AKIDSECRETID", secret_access_key="SECRETSECRET")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_text("a")
    with S3Session("AKIDSECRETID", "SECRETSECRET", "bucket", region="us-east-1", transport=app) as session:
        session.create_bucket("bucket")
        file = io.StringIO()
        with plan(tmp_path / "tree", "s3://bucket/p", session=session, state=None) as made:
            made.to_jsonl(file)
            told = file.getvalue() + repr(made) + str(made.summary()) + repr(made.source) + repr(made.target)
    assert "SECRET" not in told


def test_what_is_no_text_survives_the_lines() -> None:
    """A path with bytes that are no UTF-8 is written and read back as it is."""
    step = Operation("upload", "%FF", 1, "new", Side(1, link="\udcfe"), None, "d/\udcff")
    line = dumps(packed(step))
    line.decode("ascii")
    assert step == unpacked(loads(line))


texts = st.text(min_size=1, max_size=9)
numbers = st.one_of(st.none(), st.integers(-(2**63), 2**64 - 1))
side = st.one_of(
    st.none(),
    st.builds(
        Side,
        st.integers(0, 2**53),
        numbers,
        numbers,
        numbers,
        numbers,
        numbers,
        st.one_of(st.none(), texts),
        st.one_of(st.none(), st.floats(0, 1e11)),
        md5=st.one_of(st.none(), texts),
        sha1=st.one_of(st.none(), texts),
        part_size=numbers,
        link=st.one_of(st.none(), texts),
        version_id=st.one_of(st.none(), texts),
    ),
)
steps = st.builds(
    Operation,
    st.sampled_from(["upload", "download", "copy", "rename", "delete", "record", "conflict", "problem"]),
    texts,
    st.integers(0, 2**53),
    texts,
    side,
    side,
    st.one_of(st.none(), texts),
    st.one_of(st.none(), texts),
    st.one_of(st.none(), texts),
)


@given(st.lists(steps, max_size=12), st.integers(0, 4))
@settings(max_examples=50)
def test_a_spool_gives_back_what_was_put_in(put: list[Operation], in_memory_max: int) -> None:
    """Any steps, in memory and in a file, in order, for two readers at once."""
    spool = Spool(in_memory_max)
    try:
        for step in put:
            spool.append(step)
        assert len(put) == len(spool)
        assert [(step, step) for step in put] == list(zip(spool, spool, strict=True))
    finally:
        spool.close()


def test_a_large_plan_is_kept_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its number in memory, steps are in a file that has no name, and read back in any number of blocks."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool(10)
    put = [Operation("upload", f"name-{number}", number, "new", Side(number)) for number in range(20_000)]
    for step in put:
        spool.append(step)
    assert [] == os.listdir(tmp_path)
    assert put == list(spool)
    spool.close()
    assert 0 == len(spool)


# --- arguments and errors


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"compare": "guess"}, "compare must be one of auto"),
        ({"delete": "some"}, "delete must be one of none"),
        ({"filters": ["*.tmp"]}, "filters must be Filters"),
        ({"metadata": "mtime"}, "metadata must be some of"),
        ({"metadata": ("owner",)}, "metadata must be some of"),
        ({"max_delete": "many"}, "max_delete must look like"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, options: dict[str, Any], error: str) -> None:
    """ValueError or TypeError with the argument's name, before anything is looked at."""
    sides = Sides(tmp_path)
    sides.requests()
    with pytest.raises((ValueError, TypeError), match=error):
        sides.up(**options)
    assert [] == sides.requests()


def test_two_folders_are_none_of_our_concern(tmp_path: Path) -> None:
    """ValueError names the target."""
    with pytest.raises(ValueError, match="target must be a store"):
        plan(tmp_path / "a", tmp_path / "b")


def test_a_missing_source_is_an_error_and_a_missing_target_is_empty(tmp_path: Path) -> None:
    """A folder that is not there cannot be uploaded; it can be downloaded to."""
    sides = Sides(tmp_path)
    sides.put("a", "a")
    nowhere = LocalTree(tmp_path / "nowhere")
    with plan(nowhere, sides.remote, state=None) as made, pytest.raises(EmptySourceError, match="not there"):
        list(made)
    with plan(nowhere, sides.remote, state=None, allow_empty_source=True) as made:
        assert [] == list(made)
    assert [("download", "a", "new")] == sides.steps(plan(sides.remote, nowhere, state=None))


def test_a_scan_that_fails_fails_the_plan(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """T01, T02: whatever breaks a listing comes out of the iteration; there are no proofs, and no guard lets go."""
    for error in (ServerError("x", status=500), SyncIncomplete("x")):
        monkeypatch.setattr(RemotePrefix, "scan", lambda *_, error=error, **__: _Broken(error))
        with sides.up(delete="all") as made:
            with pytest.raises(type(error)):
                list(made)
            assert not made.is_complete
            with pytest.raises(RuntimeError):
                made.guard(1)


def test_an_error_that_is_kept_keeps_no_thread(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listing of the other side, which is pages ahead, ends with the plan, though the error is still held."""
    for number in range(6):
        sides.put(f"x{number}", "x")
    listed = sides.session.list_objects
    monkeypatch.setattr(sides.session, "list_objects", lambda *one, **other: listed(*one, max_keys=1, **other))
    before = set(threading.enumerate())
    monkeypatch.setattr(LocalTree, "scan", lambda *_, **__: _Broken(SyncIncomplete("x"), 1))
    with sides.up(delete="all") as made:
        with pytest.raises(SyncIncomplete) as kept:
            list(made)
        assert before == set(threading.enumerate())
        assert kept.value.__traceback__ is not None


def test_steps_that_are_not_kept_are_told_once(sides: Sides) -> None:
    """A sync needs its steps once; whoever wants them again, or as lines, is told that they were not kept."""
    with sides.up(delete="all") as made:
        made.keeps_steps = False
        assert STEPS == names_of(made)
        assert {"upload": 2, "record": 1, "delete": 1} == made.summary().operations
        made.guard()
        with pytest.raises(RuntimeError, match="not kept"):
            list(made)
        with pytest.raises(RuntimeError, match="not kept"):
            made.to_jsonl(io.BytesIO())


def test_closing_a_plan_ends_the_iteration_that_was_left(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops in the middle, and still holds the iterator, leaves no thread behind once the plan is closed."""
    for number in range(6):
        sides.put(f"x{number}", "x")
    listed = sides.session.list_objects
    monkeypatch.setattr(sides.session, "list_objects", lambda *one, **other: listed(*one, max_keys=1, **other))
    before = set(threading.enumerate())
    with sides.down() as made:
        steps = iter(made)
        assert ["a", "d", "extra"] == [next(steps).name for _ in range(3)]
        assert before != set(threading.enumerate())
    assert before == set(threading.enumerate())
    assert [] == list(steps)


class _Broken:
    """A scan that breaks in the middle."""

    def __init__(self, error: Exception, entries: int = 0) -> None:
        self._error = error
        self._entries = entries

    def __iter__(self) -> Iterator[Any]:
        for number in range(self._entries):
            yield LocalEntry(f"x{number + 1}", f"x{number + 1}", 1, OLD, OLD, 1, 1, 0o100644)
        raise self._error

    def problem_of(self, name: str) -> None:
        return None


def test_sessions_that_plan_made_are_closed_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL without a session has one made of it, closed with the plan; a given session stays open."""
    closed = []
    monkeypatch.setattr(S3Session, "close", lambda self: closed.append(self.bucket))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ak")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sk")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with plan(tmp_path, "s3://one/p", state=None):
        assert [] == closed
    assert ["one"] == closed
    sides = Sides(tmp_path)
    with plan(tmp_path, "s3://two/p", session=sides.session, state=None):
        pass
    assert ["one"] == closed


@pytest.mark.parametrize("store", ["s3", "b2"])
@pytest.mark.parametrize(("source", "target"), [("p/q", "p"), ("p", "p/q"), ("p", "p"), ("", "p"), ("p/q/r", "")])
def test_prefixes_that_overlap_are_refused(tmp_path: Path, store: str, source: str, target: str) -> None:
    """A prefix is not synced with one that lies in it, or around it: its own source would be what is extraneous."""
    sides = Sides(tmp_path, store=store)
    first, second = (RemotePrefix(sides.session, prefix=prefix) for prefix in (source, target))
    sides.requests()
    with pytest.raises(ValueError, match="overlap"):
        plan(first, second, delete="all")
    assert [] == sides.requests()


@pytest.mark.parametrize(
    ("source", "target", "exclude"),
    [("p/q", "p2", ()), ("p", "pq", ()), ("p/q", "p", "q/"), ("p", "p/q", "/q/**"), ("p/.s3func-trash/run", "p", ())],
)
def test_prefixes_that_are_kept_apart(tmp_path: Path, source: str, target: str, exclude: Any) -> None:
    """Where a filter hides the one from the other, or both only begin alike, nothing of the source is ever deleted."""
    sides = Sides(tmp_path)
    first, second = (RemotePrefix(sides.session, prefix=prefix) for prefix in (source, target))
    for side in (first, second):
        sides.session.put_object(side.key("x"), b"1")
    sides.session.put_object(second.key("extra"), b"1")
    filters = Filters(exclude=exclude)
    with plan(first, second, delete="all", max_delete="none", filters=filters, state=None) as made:
        assert [("delete", "extra")] == [(step.kind, step.name) for step in made]


def test_buckets_whose_names_begin_alike_are_apart(tmp_path: Path) -> None:
    """All of a bucket goes into another one, whatever that is called."""
    sides = Sides(tmp_path)
    sides.session.create_bucket("bucket-2")
    sides.session.put_object("x", b"1")
    with plan(RemotePrefix(sides.session), RemotePrefix(sides.session, "bucket-2"), state=None) as made:
        assert ["x"] == [step.name for step in made]
