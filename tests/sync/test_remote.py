"""A prefix as one side: what a listing has to prove before it counts, and which keys become which paths."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func import B2Session, S3Session
from s3func.errors import (
    AccessDenied,
    ConnectionLost,
    NoSuchBucket,
    NotFound,
    ProtocolError,
    S3FuncError,
    ServerError,
    SyncIncomplete,
    TimedOut,
)
from s3func.message import Request, Response
from s3func.models import ListPage, ObjectEntry
from s3func.server import Journal, MemoryBackend, S3App
from s3func.sync.entry import RemoteEntry
from s3func.sync.filters import Filters
from s3func.sync.local import LocalTree
from s3func.sync.names import NamePolicy
from s3func.sync.operation import side_of
from s3func.sync.pathing import Folding, folding_of, with_conflicts
from s3func.sync.remote import RemotePrefix
from s3func.wire.s3xml import render_list_objects_v2

TIME = datetime(2026, 11, 21, 10, 0, 0, 250_000, UTC)


def page(keys: list[str], token: str | None = None, prefix: str = "p/") -> bytes:
    """A page of a listing; with a token, another one follows."""
    rows = [ObjectEntry(key, len(key), f"{place:032x}", TIME) for place, key in enumerate(keys)]
    listed = ListPage(rows, [], token is not None, token)
    return render_list_objects_v2(listed, bucket="bucket", prefix=prefix, encoding_type="url")


class Canned:
    """A store that gives these answers one after the other; an exception is raised."""

    def __init__(self, *answers: bytes | Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return Response(200, {"content-type": "application/xml"}, answer)
        return answer

    def close(self) -> None:
        """Nothing to let go of."""


def canned(*answers: bytes | Response | Exception, **options: Any) -> RemotePrefix:
    """The prefix p/ of a store with these answers, which is asked once each."""
    session = S3Session("id", "secret", "bucket", transport=Canned(*answers), retries=1)
    return RemotePrefix(session, prefix="p", **options)


@pytest.fixture
def store() -> Iterator[S3Session]:
    """A session on an empty bucket, with no socket between."""
    app = S3App(MemoryBackend(), access_key_id="id", secret_access_key="secret")
    with S3Session("id", "secret", "bucket", transport=app) as session:
        session.create_bucket()
        yield session


def names_of(remote: RemotePrefix, *, tree: LocalTree | None = None, filters: Filters | None = None) -> list[str]:
    return [entry.name for entry in remote.scan(filters, other=tree)]


def test_a_listing_becomes_entries_and_a_proof() -> None:
    """Names are the keys behind the prefix; size, ETag and time are those of the listing; the proof counts."""
    remote = canned(page(["p/a", "p/d/b"], "next"), page(["p/e"]))
    scan = remote.scan()
    entries = list(scan)
    assert RemoteEntry("d/b", "p/d/b", 5, f"{1:032x}", TIME.timestamp()) == entries[1]
    assert ["a", "d/b", "e"] == [entry.name for entry in entries]
    assert (True, True, 3, 2, (), None) == tuple(scan.proof)
    side = side_of(entries[0])
    assert (3, f"{0:032x}", TIME.timestamp(), None) == (side.size, side.etag, side.modified, side.mtime_ns)


def test_the_proof_comes_at_the_end() -> None:
    """Nobody can delete by the proof of a listing that is not over."""
    scan = canned(page(["p/a", "p/b"])).scan()
    entries = iter(scan)
    next(entries)
    with pytest.raises(RuntimeError):
        scan.proof


HTML = Response(200, {"content-type": "text/html"}, b"<!DOCTYPE html><html><body>Log in</body></html>")
EMPTY = Response(200, {"content-type": "application/xml"}, b"")
REFUSALS: list[tuple[str, Any, type[Exception]]] = [
    ("T03 a portal's page", HTML, ProtocolError),
    ("T03 well-formed HTML", Response(200, {}, b"<html><body/></html>"), ProtocolError),
    ("T03 another document", b"<ListBucketsResult><IsTruncated>false</IsTruncated></ListBucketsResult>", ProtocolError),
    ("T03 another prefix", page([], prefix="q/"), ProtocolError),
    ("T03 no prefix at all", page([], prefix=""), ProtocolError),
    ("T03 keys of another prefix", page(["q/a"], prefix="q/"), ProtocolError),
    ("T04 nothing", EMPTY, ProtocolError),
    ("T04 only a declaration", b'<?xml version="1.0"?>', ProtocolError),
    ("T04 an empty root", b"<ListBucketResult/>", ProtocolError),
    ("T05 truncated, no token", page([f"p/{n}" for n in range(3)]).replace(b">false<", b">true<"), ProtocolError),
    ("cut in the middle", page(["p/a", "p/b"])[:-60], ProtocolError),
    ("an error in a 200", b"<Error><Code>InternalError</Code><Message>oops</Message></Error>", S3FuncError),
    ("T01 403", Response(403, {}, b"<Error><Code>AccessDenied</Code></Error>"), AccessDenied),
    ("T02 404", Response(404, {}, b"<Error><Code>NoSuchBucket</Code></Error>"), NoSuchBucket),
    ("T02 404 of a proxy", Response(404, {}, b"not found"), NotFound),
    ("T02 500", Response(500, {}, b""), ServerError),
    ("T02 502", Response(502, {}, b"<html>bad gateway</html>"), ServerError),
    ("T02 a broken connection", ConnectionLost("reset"), ConnectionLost),
    ("T02 silence", TimedOut("nothing came"), TimedOut),
]


@pytest.mark.parametrize("is_second", [False, True], ids=["first page", "second page"])
@pytest.mark.parametrize(("answer", "error"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_t01_to_t05_a_listing_that_is_not_one_proves_nothing(
    answer: Any, error: type[Exception], is_second: bool
) -> None:
    """T01-T05: whatever is no whole page, on whichever page, is raised out of the scan, which never has a proof."""
    remote = canned(page(["p/0"], "next"), answer) if is_second else canned(answer)
    scan = remote.scan()
    with pytest.raises(error):
        list(scan)
    with pytest.raises(RuntimeError):
        scan.proof


def test_t04_a_wrong_answer_is_asked_for_again() -> None:
    """T04: an empty answer may be a proxy's mood; the next attempt counts."""
    transport = Canned(EMPTY, page(["p/a"]))
    with S3Session("id", "secret", "bucket", transport=transport, clock=Impatient()) as session:
        assert ["a"] == names_of(RemotePrefix(session, prefix="p"))
    assert 2 == len(transport.requests)


class Impatient:
    """A clock whose sleep takes no time."""

    def now(self) -> float:
        return TIME.timestamp()

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        """No time passes."""


def test_t03_an_empty_listing_of_the_right_prefix_counts() -> None:
    """T03: that there is nothing is believed of a page that says so of this prefix, also where it is written plainly."""
    for answer in (
        page([]),
        page([]).replace(b"<Prefix>p/<", b"<Prefix>p%2F<"),
        page([]).replace(b"<Prefix>p/</Prefix>", b""),
    ):
        scan = canned(answer).scan()
        assert [] == list(scan)
        assert scan.proof.is_complete
    plus = page([], prefix="a+b/").replace(b"a%2Bb", b"a+b")
    session = S3Session("id", "secret", "bucket", transport=Canned(plus), retries=1)
    assert [] == names_of(RemotePrefix(session, prefix="a+b"))


@pytest.mark.parametrize(
    "pages",
    [
        [["p/b", "p/a"]],
        [["p/a", "p/c"], ["p/b"]],
        [["p/a", "p/a"]],
        [["p/a"], ["p/a"]],
        [["p/d/x", "p/d-x"]],
        # What a store that sorts by UTF-16 or by folder thinks is in order.
        [["p/\U0001f600", "p/\uffee"]],
        [["p/d", "p/d/x", "p/d-x"]],
    ],
)
def test_t06_a_store_that_lists_out_of_order_is_caught(pages: list[list[str]]) -> None:
    """T06: a key that comes too late, or twice, ends the scan; the next one of the same prefix sorts, and loses nothing."""
    answers = [page(keys, f"t{place}" if place < len(pages) - 1 else None, "p/") for place, keys in enumerate(pages)]
    with pytest.raises(SyncIncomplete, match="order"):
        names_of(canned(*answers, order="check"))
    transport = Canned(*answers)
    with S3Session("id", "secret", "bucket", transport=transport) as session:
        remote = RemotePrefix(session, prefix="p")
        with pytest.raises(SyncIncomplete, match="order"):
            names_of(remote)
        transport.answers[:] = answers
        expected = sorted({key[2:] for keys in pages for key in keys}, key=str.encode)
        scan = remote.scan()
        assert expected == [entry.name for entry in scan]
        assert len(expected) == scan.proof.entries


def test_t06_directory_buckets_are_sorted_at_once() -> None:
    """T06: S3 Express does not list in order, and says so by the name of the bucket."""
    with S3Session("id", "secret", "bucket", transport=Canned()) as session:
        assert ["sort", "auto"] == [
            RemotePrefix(session, name, "p").order for name in ("logs--usw2-az1--x-s3", "logs--usw2-az1")
        ]
    assert ["a", "b"] == names_of(canned(page(["p/b"], "t"), page(["p/a"]), order="sort"))


def test_t51_keys_are_asked_for_and_read_url_encoded(store: S3Session) -> None:
    """T51: control characters, newlines, U+FFFE, percent, plus and space come back as they were put."""
    names = ["\x01", "\n", "\r", "a\tb", "\ufffe", "%", "%41", "+", " ", "a b+c%20", "&lt;", "]]>", "\u202e"]
    for name in names:
        store.put_object(f"p/{name}", b"")
    assert sorted(names, key=str.encode) == names_of(RemotePrefix(store, prefix="p"), tree=LocalTree("/nowhere"))
    transport = Canned(page([]))
    with S3Session("id", "secret", "bucket", transport=transport) as session:
        names_of(RemotePrefix(session, prefix="p"))
    assert "encoding-type=url" in transport.requests[0].query


ODD_KEYS = ["../o/x", "a/./b", ".", "..", "a//b", "/lead", "trail/", "./x", "a/../b", "//", "b/.."]


def test_t47_odd_keys_are_those_keys_or_nothing(store: S3Session) -> None:
    """T47: every odd key is put, read, listed and deleted as itself; none reaches another key or bucket."""
    store.create_bucket("other")
    remote = RemotePrefix(store, prefix="p")
    for name in ODD_KEYS:
        store.put_object(remote.key(name), name.encode())
    entries = list(remote.scan())
    assert sorted(ODD_KEYS, key=str.encode) == [entry.name for entry in entries]
    for entry in entries:
        assert entry.name.encode() == store.get_object(entry.key).data
    assert [] == list(store.list_objects(bucket="other"))
    for entry in entries:
        store.delete_object(entry.key)
    assert [] == names_of(remote)


def test_t46_t48_each_key_that_cannot_be_a_path_is_a_problem_and_the_others_go_on(store: S3Session) -> None:
    """T46, T48: unsafe keys are problems of their own where the other side is a folder; the rest are entries."""
    good = ["a", "d/b", "...", "x\\y"]
    for name in [*ODD_KEYS, *good]:
        store.put_object(f"p/{name}", name.encode())
    scan = RemotePrefix(store, prefix="p").scan(other=LocalTree("/nowhere"))
    assert sorted(good, key=str.encode) == [entry.name for entry in scan]
    assert sorted(ODD_KEYS, key=str.encode) == [problem.name for problem in scan.proof.problems]
    assert {("unsafe", False, False)} == {(one.kind, one.is_harmless, one.is_subtree) for one in scan.proof.problems}
    assert scan.proof.is_complete
    windows = LocalTree("/nowhere", names=NamePolicy(rules="windows", unsafe="skip"))
    scan = RemotePrefix(store, prefix="p").scan(other=windows)
    assert ["a", "d/b"] == [entry.name for entry in scan]
    assert all(problem.is_harmless for problem in scan.proof.problems)


KEYS = st.lists(
    st.lists(st.sampled_from([".", "/", "a", "b", "-", "A", "\0", "\n", "x" * 130]), min_size=1, max_size=6).map(
        "".join
    ),
    max_size=12,
    unique=True,
)


@settings(max_examples=150)
@given(KEYS, st.sampled_from(["error", "suffix"]), st.sampled_from(["sensitive", "insensitive"]))
def test_t48_no_two_keys_share_a_path(names: list[str], conflict: str, case: str) -> None:
    """T48: of any keys, those that become entries have different paths, none a folder of another; the others are problems."""
    names.sort()
    policy = NamePolicy(conflict=conflict, case=case, rules="posix")  # type: ignore[arg-type]
    answers = [page([f"p/{name}" for name in names])] + [page([])] * len(names)
    scan = canned(*answers).scan(other=LocalTree("/nowhere", names=policy))
    entries = list(scan)
    paths = [entry.path or entry.name for entry in entries]
    alike = [path.casefold() if case == "insensitive" else path for path in paths]
    assert len(set(alike)) == len(alike)
    problems = scan.proof.problems
    if conflict == "suffix":
        assert not any(other.startswith(path + "/") for path in alike for other in alike)
    for entry in entries:
        assert entry.name == policy.to_name(entry.path or entry.name)
    # Nothing is lost: an entry, a problem, covered by one, or the mark of a folder (which is not empty here).
    missing = set(names) - {entry.name for entry in entries}
    assert set() == {name for name in missing if scan.problem_of(name) is None}
    assert [] == [problem for problem in problems if problem.is_harmless]


def test_t53_a_key_that_is_also_a_folder(store: S3Session) -> None:
    """T53: by default `a` is an entry and all below it one problem; with "suffix" both are entries, whatever lies between."""
    for name in ("a", "a!", "a-1", "a-2/x", "a/b", "a/c/d", "a0", "c", "c/d/e"):
        store.put_object(f"p/{name}", name.encode())
    remote = RemotePrefix(store, prefix="p")
    scan = remote.scan(other=LocalTree("/nowhere"))
    assert ["a", "a!", "a-1", "a-2/x", "a0", "c"] == [entry.name for entry in scan]
    assert [("a", "collision", True, False), ("c", "collision", True, False)] == [
        (one.name, one.kind, one.is_subtree, one.is_harmless) for one in scan.proof.problems
    ]
    assert scan.problem_of("a/b") is not None
    scan = remote.scan(other=LocalTree("/nowhere", names=NamePolicy(conflict="suffix")))
    assert [("a", "a.__file__"), ("a!", None), ("a-1", None), ("a-2/x", None), ("a/b", None), ("a/c/d", None)] == [
        (entry.name, entry.path) for entry in scan
    ][:6]
    assert () == scan.proof.problems


def test_t53_marks_of_folders_are_invisible_and_content_is_not(store: S3Session) -> None:
    """T53: an empty `d/` stands for a folder and is no file; `full/` with content is a problem; stores keep both."""
    store.put_object("p/", b"")
    store.put_object("p/d/", b"")
    store.put_object("p/d/a", b"")
    store.put_object("p/full/", b"content")
    scan = RemotePrefix(store, prefix="p").scan(other=LocalTree("/nowhere"))
    assert ["d/a"] == [entry.name for entry in scan]
    assert ["full/"] == [problem.name for problem in scan.proof.problems]
    assert ["d/", "d/a", "full/"] == names_of(RemotePrefix(store, prefix="p"))


def entry(name: str) -> RemoteEntry:
    return RemoteEntry(name, f"p/{name}", 0, "", 0.0)


@given(KEYS, st.integers(1, 4))
def test_t53_conflicts_are_known_before_the_entry_is_given(names: list[str], size: int) -> None:
    """T53: entries come once, in order, and exactly those that others lie below are marked, however pages are cut."""
    names.sort()
    pages = [[entry(name) for name in names[place : place + size]] for place in range(0, len(names), size)]

    def never(_name: str) -> bool:
        raise AssertionError("nothing had to be asked")

    found = [row for rows in with_conflicts(pages, never) for row in rows]
    assert names == [row.name for row in found]
    # The mark of a folder, `a/` itself, lies beside the file `a` and not below it.
    below = {name for name in names if any(other.startswith(name + "/") and other != name + "/" for other in names)}
    assert below == {row.name for row in found if row.path is not None}


@settings(max_examples=300)
@given(KEYS, st.integers(1, 5))
def test_t53_where_pages_are_cut_makes_no_difference(names: list[str], size: int) -> None:
    """T53: the same keys become the same entries and problems, all on one page or on many."""
    names.sort()
    found = []
    for step in (max(1, len(names)), size):
        pages = [[f"p/{name}" for name in names[place : place + step]] for place in range(0, len(names), step)] or [[]]
        last = len(pages) - 1
        answers = [page(keys, f"t{place}" if place < last else None) for place, keys in enumerate(pages)]
        scan = canned(*answers).scan(other=LocalTree("/nowhere"))
        found.append(([entry.name for entry in scan], sorted(scan.proof.problems)))
    assert found[0] == found[1]


@pytest.mark.parametrize("is_folder", [False, True])
def test_t53_a_name_is_not_held_back_for_ever(monkeypatch: pytest.MonkeyPatch, is_folder: bool) -> None:
    """T53: behind so many names that memory would suffer, the store is asked whether anything lies below."""
    monkeypatch.setattr("s3func.sync.pathing._HELD_MAX", 5)
    asked: list[str] = []

    def has_below(name: str) -> bool:
        asked.append(name)
        return is_folder

    rows = [entry("a"), *(entry(f"a-{number:02}") for number in range(20)), entry("a/b")]
    found = [row for page in with_conflicts([rows], has_below) for row in page]
    assert ["a/"] == asked
    assert [row.name for row in rows] == [row.name for row in found]
    assert ("a.__file__" if is_folder else None) == found[0].path


def test_the_store_is_asked_with_one_request_what_lies_below(store: S3Session) -> None:
    """has_below() sees an object in a folder, and none beside it."""
    store.put_object("p/a/b", b"")
    remote = RemotePrefix(store, prefix="p")
    assert remote.has_below("a/")
    assert not remote.has_below("b/")


def test_t54_twins_by_case_are_a_problem_where_the_disk_takes_them_for_one(store: S3Session) -> None:
    """T54: of keys that differ in case only the first is an entry, on a disk that cannot have both; else all are."""
    names = ["Dir/a", "README", "dir/b", "readme", "x/A", "x/B", "x/a", "y/a"]
    for name in names:
        store.put_object(f"p/{name}", b"")
    remote = RemotePrefix(store, prefix="p")
    assert names == names_of(remote, tree=LocalTree("/nowhere", names=NamePolicy(case="sensitive")))
    scan = remote.scan(other=LocalTree("/nowhere", names=NamePolicy(case="insensitive")))
    assert ["Dir/a", "README", "x/A", "x/B", "y/a"] == [entry.name for entry in scan]
    assert [("dir", True), ("readme", False), ("x/a", False)] == [
        (problem.name, problem.is_subtree) for problem in scan.proof.problems
    ]
    assert {"collision"} == {problem.kind for problem in scan.proof.problems}


def test_t54_the_disk_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T54: whether cases are told apart is seen by a name that is there, of the folder or the nearest one above it."""
    here = folding_of(str(tmp_path), NamePolicy())
    (tmp_path / "Probe").write_bytes(b"")
    assert here == folding_of(str(tmp_path), NamePolicy()) == folding_of(str(tmp_path / "x/y"), NamePolicy())
    assert here.case == (tmp_path / "pROBE").exists()
    real = (tmp_path / "Probe").lstat()
    monkeypatch.setattr("s3func.sync.pathing.os.lstat", lambda path: real)
    assert folding_of(str(tmp_path), NamePolicy()).case
    assert Folding() == folding_of(str(tmp_path), NamePolicy(case="sensitive"))
    assert folding_of("/", NamePolicy(case="insensitive")).case


def test_t52_both_normal_forms_are_two_entries_or_a_problem(store: S3Session) -> None:
    """T52: NFC and NFD keys are two entries; where the disk takes them for one, or NFC was asked for, one is a problem."""
    for name in ("cafe\u0301", "caf\u00e9"):
        store.put_object(f"p/{name}", b"")
    remote = RemotePrefix(store, prefix="p")
    assert ["cafe\u0301", "caf\u00e9"] == names_of(remote, tree=LocalTree("/n", names=NamePolicy(case="sensitive")))
    for policy in (NamePolicy(case="insensitive"), NamePolicy(unicode="nfc")):
        scan = remote.scan(other=LocalTree("/n", names=policy))
        assert 1 == len(list(scan))
        assert 1 == len(scan.proof.problems)


def test_t55_paths_that_are_too_long_are_problems(store: S3Session) -> None:
    """T55: a part of more than 255 bytes, or a path that the system does not take, is a problem before any transfer."""
    names = ["a", "\u00e9" * 128, "x" * 256, "d/" + "y" * 255, "/".join(["z" * 200] * 4)]
    for name in names:
        store.put_object(f"p/{name}", b"")
    remote = RemotePrefix(store, prefix="p")
    scan = remote.scan(other=LocalTree("/nowhere"))
    assert ["a", "d/" + "y" * 255, "/".join(["z" * 200] * 4)] == [entry.name for entry in scan]
    assert [("too-long", "x" * 256), ("too-long", "\u00e9" * 128)] == [
        (one.kind, one.name) for one in scan.proof.problems
    ]
    assert ["a", "d/" + "y" * 255] == names_of(remote, tree=LocalTree("/" + "/".join(["r" * 200] * 17)))


def test_our_own_objects_and_the_prefix_itself_are_invisible(store: S3Session) -> None:
    """What we keep, and what stands for the prefix, is neither an entry nor a problem, for a folder or a store."""
    for name in ("", ".s3func/x", ".s3func-trash/run/a", "d/.b.s3func-part", "a", "s3func"):
        store.put_object(f"p/{name}", b"")
    for tree in (None, LocalTree("/nowhere")):
        scan = RemotePrefix(store, prefix="p").scan(other=tree)
        assert ["a", "s3func"] == [entry.name for entry in scan]
        assert () == scan.proof.problems
    assert ["p/a", "p/s3func"] == [name for name in names_of(RemotePrefix(store)) if "." not in name and name != "p/"]


def test_t12_filters_hide_keys(store: S3Session) -> None:
    """T12: what is filtered is neither an entry nor a problem; a size that was not asked for is a harmless problem."""
    for name in ("a", "b.tmp", "../x", "big"):
        store.put_object(f"p/{name}", name.encode())
    remote = RemotePrefix(store, prefix="p")
    scan = remote.scan(Filters(exclude=["*.tmp", "/../**"], max_size=2), other=LocalTree("/nowhere"))
    assert ["a"] == [entry.name for entry in scan]
    assert [("big", "filtered", True)] == [(one.name, one.kind, one.is_harmless) for one in scan.proof.problems]


def test_a_prefix_is_a_folder(store: S3Session) -> None:
    """`logs` is `logs/`, and `logs2/x` does not belong to it."""
    store.put_object("logs/a", b"")
    store.put_object("logs2/x", b"")
    store.put_object("logs", b"")
    assert ["a"] == names_of(RemotePrefix(store, prefix="logs"))
    assert "logs/a" == RemotePrefix(store, prefix="logs").key("a")
    assert ["logs", "logs/a", "logs2/x"] == names_of(RemotePrefix(store))


def test_a_no_op_costs_one_request_per_thousand_keys() -> None:
    """2,001 keys are three requests, and nothing but listings is asked."""
    journal = Journal()
    app = S3App(MemoryBackend(), access_key_id="id", secret_access_key="secret", journal=journal)
    with S3Session("id", "secret", "bucket", transport=app) as session:
        session.create_bucket()
        for number in range(2001):
            session.put_object(f"p/{number:05}", b"")
        before = len(journal.operations())
        scan = RemotePrefix(session, prefix="p").scan(other=LocalTree("/nowhere"))
        assert 2001 == len(list(scan))
        assert 3 == scan.proof.pages
        assert ["ListObjectsV2"] * 3 == journal.operations()[before:]


class Gated(Canned):
    """Says when each answer is asked for."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__(*answers)
        self.asked = threading.Semaphore(0)

    def __call__(self, request: Request) -> Response:
        self.asked.release()
        return super().__call__(request)


def test_the_next_pages_are_asked_for_while_one_is_worked_on() -> None:
    """While the first entry of many pages is in hand, the following ones are under way already, but not all of them."""
    count = 12
    answers = [page([f"p/{number:02}"], f"t{number}" if number < count - 1 else None) for number in range(count)]
    transport = Gated(*answers)
    with S3Session("id", "secret", "bucket", transport=transport) as session:
        entries = iter(RemotePrefix(session, prefix="p").scan())
        assert "00" == next(entries).name
        assert "01" == next(entries).name
        for _ in range(3):
            assert transport.asked.acquire(timeout=30)
        assert len(transport.requests) < count
        assert count - 2 == len(list(entries))
    assert count == len(transport.requests)


@pytest.mark.parametrize("read", [0, 1, 2, 3])
def test_a_scan_that_is_given_up_leaves_no_thread(read: int) -> None:
    """Wherever the reader stops, the thread that asks for pages ends, and so do its requests."""
    answers = [page([f"p/{number:03}"], f"t{number}") for number in range(300)]
    transport = Canned(*answers)
    with S3Session("id", "secret", "bucket", transport=transport) as session:
        entries = iter(RemotePrefix(session, prefix="p").scan())
        for _ in range(read):
            next(entries)
        del entries
        assert [] == [thread for thread in threading.enumerate() if thread.name == "s3func-listing"]
        asked = len(transport.requests)
    assert asked < 12


def test_an_error_behind_the_first_page_reaches_the_reader_as_it_is() -> None:
    """What goes wrong in the thread is raised where the entries are read, behind those that came before."""
    scan = canned(page(["p/a"], "t1"), page(["p/b"], "t2"), ConnectionLost("reset")).scan()
    found: list[str] = []
    with pytest.raises(ConnectionLost, match="reset"):
        found.extend(each.name for each in scan)
    assert ["a", "b"] == found


def test_b2_is_scanned_alike() -> None:
    """A prefix of B2 gives the names, sizes and times of its newest versions, in the same order."""
    app = S3App(MemoryBackend(), access_key_id="id", secret_access_key="secret")
    with (
        S3Session("id", "secret", "bucket", transport=app) as s3,
        B2Session("id", "secret", "bucket", transport=app) as b2,
    ):
        s3.create_bucket()
        for name in ("a-b", "a/b", "c"):
            s3.put_object(f"p/{name}", name.encode())
        scans = [RemotePrefix(session, prefix="p").scan(other=LocalTree("/nowhere")) for session in (s3, b2)]
        seen = [[(entry.name, entry.key, entry.size) for entry in scan] for scan in scans]
        assert seen[0] == seen[1]
        assert ["s3", "b2"] == [RemotePrefix(session).kind for session in (s3, b2)]


def test_two_stores_with_one_bucket_have_different_urls() -> None:
    """Where a bucket's name is not unique in the world, the URL says which store; credentials are never in it."""

    def url(make: Callable[..., Any], **options: Any) -> str:
        with make("AKIAIOSFODNN7EXAMPLE", "secret", "bucket", **options) as session:
            remote = RemotePrefix(session, prefix="p")
            assert "secret" not in remote.url + repr(remote)
            assert "AKIA" not in remote.url + repr(remote)
            return remote.url

    assert "s3://bucket/p/" == url(S3Session, region="eu-west-1")
    assert "s3://http://127.0.0.1:9000@bucket/p/" == url(S3Session, endpoint_url="http://127.0.0.1:9000")
    assert "s3://https://s3.us-gov-west-1.amazonaws.com@bucket/p/" == url(S3Session, region="us-gov-west-1")
    assert "b2://bucket/p/" == url(B2Session)
    assert "b2://http://127.0.0.1:9001@bucket/p/" == url(B2Session, realm="http://127.0.0.1:9001")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"prefix": 3}, TypeError, "prefix"),
        ({"prefix": "x" * 1024}, ValueError, "prefix"),
        ({"bucket": ""}, ValueError, "bucket"),
        ({"order": "random"}, ValueError, "order"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], error: type[Exception], words: str) -> None:
    """What cannot be a prefix is refused before anything is sent."""
    session = S3Session("id", "secret", "bucket", transport=Canned())
    with pytest.raises(error, match=words):
        RemotePrefix(session, **options)
    with pytest.raises(ValueError, match="bucket"):
        RemotePrefix(S3Session("id", "secret", transport=Canned()))
    with pytest.raises(ValueError, match="name"):
        RemotePrefix(session).key("")
