"""Plans against a model that is two dictionaries and a third one of what was last agreed: every mode, every history.

The model knows contents alone, no times, ETags or requests; what a plan says, and what is there once it is carried out,
has to follow from the contents.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sync.sides import OLD, Sides

# No name is a folder of another one, which is a matter of its own; the order of the rest is where walks go wrong (T13).
NAMES = [
    "a",
    "a!",
    "a-b/c",
    "a.b",
    "a0",
    "b/a",
    "b/b!",
    "b/c-d/e",
    "b/c/e",
    "b-",
    "c d",
    "é",
    "e\u0301x",
    "\U0001f600",
    "~",
]
CONTENTS = ["", "x", "y", "zz", "z!"]
MODES = ["auto", "hash", "size", "always", "missing"]
DELETES = ["none", "tracked", "all"]


class Change(NamedTuple):
    """Something happens on one side between two syncs; content None is a delete."""

    is_local: bool
    name: str
    content: str | None
    mtime_ns: int


class Sync(NamedTuple):
    """A plan is made, looked at, and carried out."""

    is_upload: bool
    compare: str
    delete: str


changes = st.builds(
    Change,
    st.booleans(),
    st.sampled_from(NAMES),
    st.one_of(st.none(), st.sampled_from(CONTENTS), st.sampled_from(CONTENTS)),
    st.sampled_from([OLD, OLD - 1, OLD + 10**12]),
)
syncs = st.builds(Sync, st.booleans(), st.sampled_from(MODES), st.sampled_from(DELETES))


class Model:
    """What is here, what is there, and what both had when they last agreed."""

    def __init__(self) -> None:
        self.local: dict[str, str] = {}
        self.remote: dict[str, str] = {}
        self.base: dict[str, str] = {}

    def expected(self, sync: Sync) -> dict[str, str]:
        """The kind of step by name; what both agree about already may be recorded again."""
        source, target = (self.local, self.remote) if sync.is_upload else (self.remote, self.local)
        steps = {}
        for name in sorted({*source, *target, *self.base}):
            step = self._step(sync, source.get(name), target.get(name), self.base.get(name))
            if step is not None:
                steps[name] = step
        return steps

    @staticmethod
    def _step(sync: Sync, source: str | None, target: str | None, base: str | None) -> str | None:
        transfer = "upload" if sync.is_upload else "download"
        if source is None and target is None:
            return "gone"
        if source is None:
            if sync.delete == "all":
                return "delete"
            if sync.delete == "none" or base is None:
                return None
            return "delete" if target == base else "conflict"
        if target is None:
            return transfer
        if sync.compare == "always":
            return transfer
        if sync.compare == "missing":
            return None
        is_same = source == target if sync.compare != "size" else len(source) == len(target)
        if is_same:
            return "same" if sync.compare != "size" else None
        return "conflict" if base is not None and base not in {source, target} else transfer

    def carry_out(self, sync: Sync) -> None:
        """What is there afterwards."""
        source, target = (self.local, self.remote) if sync.is_upload else (self.remote, self.local)
        for name, step in self.expected(sync).items():
            if step in {"upload", "download", "same"}:
                target[name] = self.base[name] = source[name]
            elif step in {"delete", "gone"}:
                target.pop(name, None)
                self.base.pop(name, None)


def apply_change(sides: Sides, model: Model, change: Change) -> None:
    """Let it happen to the real sides and to the model."""
    here = model.local if change.is_local else model.remote
    if change.content is not None:
        here[change.name] = change.content
        if change.is_local:
            sides.write(change.name, change.content, mtime_ns=change.mtime_ns)
        else:
            sides.put(change.name, change.content)
    elif here.pop(change.name, None) is not None:
        if change.is_local:
            (sides.root / change.name).unlink()
        else:
            sides.session.delete_object(sides.remote.key(change.name))


def told(sides: Sides, sync: Sync) -> tuple[dict[str, str], list[str]]:
    """The real plan by name, in the model's words, and the names in the order of the steps."""
    options: dict[str, Any] = {"compare": sync.compare, "delete": sync.delete, "max_delete": "none"}
    options["allow_empty_source"] = True
    made = sides.up(**options) if sync.is_upload else sides.down(**options)
    words, order = {}, []
    with made:
        for step in made:
            kind: str = step.kind
            if kind == "record":
                kind = "gone" if step.reason == "gone" else "same"
            words[step.name] = "upload" if kind == "rename" else kind
            order.append(step.name)
    return words, order


@given(st.lists(st.one_of(changes, changes, changes, syncs), max_size=25), syncs)
@settings(max_examples=60)
def test_plans_follow_from_contents(history: list[Change | Sync], last: Sync) -> None:
    """Whatever happened on both sides, each plan says what the model says, and carried out leaves what it leaves."""
    with tempfile.TemporaryDirectory() as folder:
        sides, model = Sides(Path(folder)), Model()
        for event in [*history, last]:
            if isinstance(event, Change):
                apply_change(sides, model, event)
                continue
            expected = model.expected(event)
            words, order = told(sides, event)
            held = [name for name in order if not name.isascii() and words[name] == "delete"]
            assert sorted(set(order) - set(held)) == [name for name in order if name not in held]
            # What both agree about is recorded only if that was not known.
            known = {name for name, step in expected.items() if step == "same" and name not in words}
            assert {name: step for name, step in expected.items() if name not in known} == words
            assert all(model.base[name] == model.local[name] for name in known)
            options = {"compare": event.compare, "delete": event.delete, "max_delete": "none"}
            options["allow_empty_source"] = True  # type: ignore[assignment]
            sides.carry_out(sides.up(**options) if event.is_upload else sides.down(**options))
            model.carry_out(event)
            assert {name: text.encode() for name, text in model.local.items()} == sides.local()
            assert {name: text.encode() for name, text in model.remote.items()} == sides.stored()


# --- T66: what may have happened to a name on each side since both agreed

KEPT, EDITED, DELETED, AGAIN = "kept", "edited", "deleted", "written again"
CELLS: dict[tuple[str, str], list[tuple[str, str]]] = {
    (KEPT, KEPT): [],
    (KEPT, EDITED): [("transfer", "content")],
    (KEPT, DELETED): [("transfer", "new")],
    (KEPT, AGAIN): [("record", "content")],
    (EDITED, KEPT): [("transfer", "content")],
    (EDITED, EDITED): [("conflict", "both-changed")],
    (EDITED, DELETED): [("transfer", "new")],
    (EDITED, AGAIN): [("transfer", "content")],
    (DELETED, KEPT): [("delete", "tracked")],
    (DELETED, EDITED): [("conflict", "deleted-changed")],
    (DELETED, DELETED): [("record", "gone")],
    (DELETED, AGAIN): [("delete", "tracked")],
    (AGAIN, KEPT): [("record", "content")],
    (AGAIN, EDITED): [("transfer", "content")],
    (AGAIN, DELETED): [("transfer", "new")],
    (AGAIN, AGAIN): [("record", "content")],
}


@pytest.mark.parametrize("store", ["s3", "b2"])
@pytest.mark.parametrize("is_upload", [True, False])
@pytest.mark.parametrize(("source", "target"), CELLS)
def test_t66_every_cell_of_the_matrix(tmp_path: Path, source: str, target: str, is_upload: bool, store: str) -> None:
    """T66: of the 16 pairs of histories, two are conflicts, and in no cell does anything go that only one side has."""
    sides = Sides(tmp_path, store=store)
    sides.write("n", "base")
    sides.write("other", "other")
    sides.carry_out(sides.up())
    local, remote = (source, target) if is_upload else (target, source)
    if local == EDITED:
        sides.write("n", "here")
    elif local == AGAIN:
        sides.write("n", "base", mtime_ns=OLD + 7)
    elif local == DELETED:
        (sides.root / "n").unlink()
    if remote == EDITED:
        sides.put("n", "over")
    elif remote == AGAIN:
        sides.put("n", "base")
    elif remote == DELETED:
        sides.session.delete_object(sides.remote.key("n"))
    made = sides.up(delete="tracked") if is_upload else sides.down(delete="tracked")
    transfer = "upload" if is_upload else "download"
    steps = [("transfer" if kind == transfer else kind, reason) for kind, _, reason in sides.steps(made)]
    assert CELLS[source, target] == steps or (steps == [] and CELLS[source, target] == [("record", "content")])


@pytest.mark.parametrize("is_upload", [True, False])
def test_t66_an_interrupted_run_is_run_again(tmp_path: Path, is_upload: bool) -> None:
    """T66: after some of the steps were carried out, and not all of those remembered, the rest is planned, no more."""
    sides = Sides(tmp_path)
    for name in "abcd":
        sides.write(name, name)
        sides.put(name, name)
    sides.carry_out(sides.up())
    for name in "abcd":
        sides.write(name, name * 2)
        sides.put(name, name * 2) if name in "ab" else None
    if is_upload:
        steps = sides.steps(sides.up())
        assert [("record", "a"), ("record", "b"), ("upload", "c"), ("upload", "d")] == [step[:2] for step in steps]
    else:
        steps = sides.steps(sides.down())
        assert [("record", "a"), ("record", "b"), ("download", "c"), ("download", "d")] == [step[:2] for step in steps]


# --- T64: memory

MEASURE = """
import resource, sys
from s3func.sync.entry import RemoteEntry, ScanProof
from s3func.sync.planning import Planner, Rules
from s3func.sync.plans import Spool

class Scan:
    def __init__(self, count, modified):
        self.count, self.modified = count, modified
        self.proof = ScanProof(True, True, count, 0, ())
    def __iter__(self):
        for number in range(self.count):
            yield RemoteEntry(f"{number:012d}/a-name-of-usual-length.bin", "", 5, f"{number:032x}", self.modified)
    def problem_of(self, name):
        return None

class Examiner:
    def stop(self):
        pass

class Nothing:
    count, proof = 0, ScanProof(True, True, 0, 0, ())
    def __iter__(self):
        return iter(())
    def problem_of(self, name):
        return None

count, is_new = int(sys.argv[1]), sys.argv[2] == "new"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
planner = Planner(Scan(count, 1.0), Nothing() if is_new else Scan(count, 2.0), None, Examiner(), Rules(), transfer="copy")
spool = Spool()
for operation in planner.operations():
    spool.append(operation)
assert (len(spool), planner.unchanged) == ((count, 0) if is_new else (0, count))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("which", ["new", "same"])
def test_t64_memory_does_not_grow_with_the_number_of_names(which: str) -> None:
    """T64: 120,000 names on each side take no more than 30 MiB more than the modules themselves; as steps, they spool."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, "120000", which], check=True, capture_output=True, text=True, env=os.environ
    )
    assert int(done.stdout) < 30 * 1024


def test_the_matrix_is_whole() -> None:
    """16 cells, all pairs."""
    assert set(itertools.product([KEPT, EDITED, DELETED, AGAIN], repeat=2)) == set(CELLS)
