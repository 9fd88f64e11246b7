"""Random trees and random steps, beside a dictionary that says what each side must hold."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3func import B2Session, S3Session
from s3func.server import MemoryBackend, S3App
from s3func.sync.remote import RemotePrefix
from s3func.sync.syncing import sync

NAMES = ["a.txt", "a-b", "a/b", "a/b c", "a+/é", "z%2F"]
CONTENTS = [b"", b"1", b"2", b"11", b"22", b"\0" * 3000]
PAST, FUTURE = 1_000_000_000, 4_000_000_000
MODES = ["auto", "hash", "size", "always", "missing", "aws", "mtime"]


class Folder:
    """A local side; every edit leaves a time of the past or of the future behind, so that times tell nothing new."""

    def __init__(self, stack: ExitStack) -> None:
        self.root = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "root"
        self.root.mkdir()
        self.endpoint: Any = str(self.root)

    def put(self, name: str, content: bytes, mtime: int) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (mtime, mtime))

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def read(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes() for path in self.root.rglob("*") if path.is_file()
        }

    def mtime(self, name: str) -> int:
        return int((self.root / name).stat().st_mtime)


class Store:
    """A prefix in a store of its own, in this process."""

    def __init__(self, stack: ExitStack, kind: str) -> None:
        keys = secrets.token_hex(8), "secret"
        app = S3App(MemoryBackend(), access_key_id=keys[0], secret_access_key=keys[1])
        stack.callback(app.close)
        make: Any = S3Session if kind == "s3" else B2Session
        self.session = make(*keys, "bucket", transport=app)
        stack.callback(self.session.close)
        self.session.create_bucket()
        self.endpoint: Any = RemotePrefix(self.session, prefix="p+/x")
        self.session.put_object("p+/xy", b"next to the prefix")

    def put(self, name: str, content: bytes, mtime: int) -> None:
        self.session.put_object(self.endpoint.key(name), content, metadata={"mtime": str(mtime)})

    def remove(self, name: str) -> None:
        self.session.delete_object(self.endpoint.key(name))

    def read(self) -> dict[str, bytes]:
        prefix = self.endpoint.prefix
        rows = self.session.list_objects(prefix)
        return {row.key.removeprefix(prefix): self.session.get_object(row.key).data for row in rows}


Edit = tuple[str, str, "bytes | None", int]
edits = st.tuples(
    st.sampled_from(["source", "target"]),
    st.sampled_from(NAMES),
    st.none() | st.sampled_from(CONTENTS),
    st.sampled_from([PAST, FUTURE]),
)
histories = st.lists(st.lists(edits, max_size=6), min_size=1, max_size=4)


def sides(stack: ExitStack, direction: str) -> tuple[Any, Any]:
    makers: dict[str, Any] = {"local": Folder, "s3": lambda s: Store(s, "s3"), "b2": lambda s: Store(s, "b2")}
    source, _, target = direction.partition(">")
    return makers[source](stack), makers[target](stack)


def expected(
    compare: str,
    delete: str,
    source: dict[str, tuple[bytes, int]],
    target: dict[str, tuple[bytes, int]],
    direction: str,
) -> dict[str, bytes]:
    """What the target holds after a sync without a memory."""
    result = {}
    for name, (content, mtime) in source.items():
        there = target.get(name)
        moves = True
        if there is not None:
            same_size = len(content) == len(there[0])
            moves = {
                "auto": content != there[0],
                "hash": content != there[0],
                "always": True,
                "missing": False,
                "size": not same_size,
                "mtime": not same_size or mtime != there[1],
                # Objects were written now: later than the past, before the future.
                "aws": not same_size or FUTURE == (mtime if direction.startswith("local") else there[1]),
            }[compare]
        result[name] = content if moves else there[0]  # type: ignore[index]  # moves without one
    if delete in {"none", "tracked"}:
        result.update({name: there[0] for name, there in target.items() if name not in source})
    return result


def play(side: Any, model: dict[str, tuple[bytes, int]], edit: Edit) -> None:
    _, name, content, mtime = edit
    if content is None:
        if model.pop(name, None) is not None:
            side.remove(name)
    else:
        side.put(name, content, mtime)
        model[name] = (content, mtime)


@pytest.mark.parametrize("direction", ["local>s3", "s3>local", "local>b2", "b2>local", "s3>s3", "s3>b2", "b2>s3"])
@given(history=histories, compare=st.sampled_from(MODES), delete=st.sampled_from(["none", "tracked", "all"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_without_memory(direction: str, history: list[list[Edit]], compare: str, delete: str) -> None:
    """Without a memory, the target holds what the mode says, and a second run changes nothing."""
    if compare in {"aws", "mtime"} and "local" not in direction:
        # Between stores both look at times that these steps do not choose.
        compare = "auto"
    with ExitStack() as stack:
        source, target = sides(stack, direction)
        models: dict[str, dict[str, tuple[bytes, int]]] = {"source": {}, "target": {}}
        options: dict[str, Any] = {"compare": compare, "delete": delete, "max_delete": "none", "state": None}
        for round_of_edits in history:
            for edit in round_of_edits:
                play(source if edit[0] == "source" else target, models[edit[0]], edit)
            wanted = expected(compare, delete, models["source"], models["target"], direction)
            report = sync(source.endpoint, target.endpoint, allow_empty_source=True, **options)
            assert report.ok, report
            assert wanted == target.read()
            assert {name: content for name, (content, _) in models["source"].items()} == source.read()
            models["target"] = {
                name: (content, times_after(name, content, models, direction, compare))
                for name, content in wanted.items()
            }


def times_after(
    name: str, content: bytes, models: dict[str, dict[str, tuple[bytes, int]]], direction: str, compare: str
) -> int:
    """The time that the target has with a name: that of the source where it was moved, else what it was."""
    source, target = models["source"].get(name), models["target"].get(name)
    if source is None:
        assert target is not None
        return target[1]
    if target is None:
        return source[1]
    moved = {
        "mtime": len(source[0]) != len(target[0]) or source[1] != target[1],
        "aws": len(source[0]) != len(target[0]) or FUTURE == (source if direction.startswith("local") else target)[1],
        "always": True,
        "missing": False,
        "size": len(source[0]) != len(target[0]),
    }.get(compare, source[0] != target[0])
    return source[1] if moved else target[1]


# Between S3 and B2 nobody can tell whether two changes were the same one: their hashes are of different kinds.
@pytest.mark.parametrize("direction", ["local>s3", "s3>local", "local>b2", "b2>local", "s3>s3", "b2>b2"])
@given(history=histories, delete=st.sampled_from(["none", "tracked", "all"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_with_memory(direction: str, history: list[list[Edit]], delete: str) -> None:
    """With a memory, what both sides have changed is a conflict and stays, and all else becomes like the source."""
    with ExitStack() as stack:
        source, target = sides(stack, direction)
        models: dict[str, dict[str, tuple[bytes, int]]] = {"source": {}, "target": {}}
        agreed: dict[str, bytes] = {}
        state = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "state.db"
        options: dict[str, Any] = {"delete": delete, "max_delete": "none", "state": state, "allow_empty_source": True}
        for round_of_edits in history:
            for edit in round_of_edits:
                play(source if edit[0] == "source" else target, models[edit[0]], edit)
            here = {name: content for name, (content, _) in models["source"].items()}
            there = {name: content for name, (content, _) in models["target"].items()}
            wanted, conflicts = {}, set()
            for name in here.keys() | there.keys():
                base, mine, its = agreed.get(name), here.get(name), there.get(name)
                if mine is not None and its is not None:
                    if mine != its and base is not None and base not in (mine, its):
                        conflicts.add(name)
                        wanted[name] = its
                    else:
                        wanted[name] = mine
                elif mine is not None:
                    wanted[name] = mine
                elif its is not None:
                    if delete == "tracked" and base is not None and base != its:
                        conflicts.add(name)
                        wanted[name] = its
                    elif delete == "none" or (delete == "tracked" and base is None):
                        wanted[name] = its
            report = sync(source.endpoint, target.endpoint, **options)
            assert wanted == target.read()
            assert conflicts == {operation.name for operation in report.conflicts}
            assert (report.failed, report.refused, report.not_deleted) == (0, 0, 0)
            agreed = {
                name: content
                for name in here.keys() | wanted.keys() | agreed.keys()
                if (content := after(name, here, wanted, agreed)) is not None
            }
            models["target"] = {
                name: (content, times_after(name, content, models, direction, "auto"))
                for name, content in wanted.items()
            }
            again = sync(source.endpoint, target.endpoint, **options)
            assert again.transferred == 0
            assert again.deleted == 0
            assert wanted == target.read()


def after(name: str, here: dict[str, bytes], there: dict[str, bytes], before: dict[str, bytes]) -> bytes | None:
    """What is remembered of a name after a sync."""
    if name in here and here.get(name) == there.get(name):
        return here[name]
    return before.get(name) if name in here or name in there else None
