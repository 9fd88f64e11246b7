"""The order of names: both scans give the one that stores list in, whatever characters stand below "/"."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func import S3Session
from s3func.server import MemoryBackend, S3App
from s3func.sync.entry import RemoteEntry
from s3func.sync.local import LocalTree
from s3func.sync.names import NamePolicy
from s3func.sync.order import in_order, is_ordered
from s3func.sync.remote import RemotePrefix

# Those below "/" (0x2F) are what a walk that sorts by folder gets wrong; then those where UTF-16 and UTF-8 differ.
CHARACTERS = st.sampled_from([*"-.! +%,#0aB~", "\t", "\x01", "\u00e9", "\uffee", "\U0001f600"])
COMPONENTS = st.text(CHARACTERS, min_size=1, max_size=3).filter(lambda part: part not in {".", ".."})
TREES = st.lists(st.lists(COMPONENTS, min_size=1, max_size=4).map("/".join), max_size=25, unique=True).map(
    # A file cannot be a folder on a disk.
    lambda names: [name for name in names if not any(other.startswith(name + "/") for other in names)]
)


def make(root: str, names: list[str]) -> None:
    """Empty files of these names."""
    for name in names:
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@settings(max_examples=60)
@given(TREES)
def test_t13_a_walk_has_the_order_of_the_keys(names: list[str]) -> None:
    """T13: a folder is walked in the order of the UTF-8 bytes of the names, `a-b` and `a.txt` before `a/b`."""
    with tempfile.TemporaryDirectory() as root:
        make(root, names)
        found = [entry.name for entry in LocalTree(root).scan()]
        assert sorted(names, key=str.encode) == found


@settings(max_examples=30)
@given(TREES)
def test_t13_both_scans_have_the_same_order(names: list[str]) -> None:
    """T13: the same names, scanned on the disk and in a store, are the same two lists."""
    app = S3App(MemoryBackend(), access_key_id="id", secret_access_key="secret")
    with tempfile.TemporaryDirectory() as root, S3Session("id", "secret", "bucket", transport=app) as session:
        session.create_bucket()
        make(root, names)
        for name in names:
            session.put_object(f"p/{name}", b"")
        local = [entry.name for entry in LocalTree(root).scan()]
        remote = [entry.name for entry in RemotePrefix(session, prefix="p").scan(other=LocalTree(root))]
        assert sorted(names, key=str.encode) == local == remote


@settings(max_examples=40)
@given(
    TREES, st.sampled_from(["escape", "error"]), st.sampled_from(["nfc", "raw"]), st.sampled_from(["suffix", "error"])
)
def test_t13_names_that_differ_from_their_paths_are_in_order_too(
    names: list[str], non_utf8: str, unicode: str, conflict: str
) -> None:
    """T13: a policy that maps names does so before they are sorted."""
    policy = NamePolicy(non_utf8=non_utf8, unicode=unicode, conflict=conflict)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as root:
        make(root, [name + odd for name in names for odd in ("", "%FF", "e\u0301", ".__file__")])
        with open(os.path.join(os.fsencode(root), b"\xff\xfe"), "wb"):
            pass
        found = [entry.name for entry in LocalTree(root, names=policy).scan()]
        assert sorted(set(found), key=str.encode) == found


def test_t13_the_case_of_the_report(tmp_path: Path) -> None:
    """T13: `test/` and `test-1.txt`, by which aws-cli deleted what it had just uploaded."""
    make(str(tmp_path), ["test/a", "test-1.txt", "test.txt", "test0", "test!/b"])
    assert ["test!/b", "test-1.txt", "test.txt", "test/a", "test0"] == [e.name for e in LocalTree(tmp_path).scan()]


@given(st.lists(st.text(max_size=3), max_size=8), st.one_of(st.none(), st.text(max_size=2)))
def test_order_is_strict_and_that_of_the_bytes(names: list[str], last: str | None) -> None:
    """Names are in order if their UTF-8 bytes rise, from the one before on; equal ones are not."""
    raw = [name.encode() for name in ([] if last is None or not names else [last]) + names]
    assert (raw == sorted(set(raw))) == is_ordered(names, last)


def entries(names: list[str]) -> list[RemoteEntry]:
    return [RemoteEntry(name, f"p/{name}", place, f"etag{place}", 0.5, None) for place, name in enumerate(names)]


@given(st.lists(st.lists(st.text(CHARACTERS, min_size=1, max_size=4), max_size=6), max_size=5))
def test_t06_what_comes_out_of_order_is_sorted_outside_of_memory(pages: list[list[str]]) -> None:
    """T06: the external sort gives every name once, in order, as it was listed last, all its fields as they were."""
    listed = [entries(page) for page in pages]
    last = {entry.name: entry for page in listed for entry in page}
    found = [entry for page in in_order(listed) for entry in page]
    assert [last[name] for name in sorted(last, key=str.encode)] == found


def test_a_sort_that_is_given_up_leaves_nothing_open() -> None:
    """Whoever stops in the middle of sorted pages, or whose listing breaks, has closed the database."""
    pages = in_order([entries(["b", "a"])])
    assert ["a", "b"] == [entry.name for entry in next(pages)]
    del pages

    def broken() -> Iterator[list[RemoteEntry]]:
        yield entries(["b"])
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(in_order(broken()))
