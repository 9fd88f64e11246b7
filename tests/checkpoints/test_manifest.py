"""The manifest: what is written is what is read, and nothing else is read at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from s3func.checkpoints.manifest import (
    Checkpoint,
    SavedFile,
    check_attempt,
    check_name,
    folder_of,
    merged,
    parse,
    rank_name,
    rank_of,
    render,
    step_of,
)
from s3func.errors import ProtocolError

DIGEST = "0" * 64


@given(some.integers(min_value=0, max_value=10**30))
def test_a_folder_names_its_step(step: int) -> None:
    """A step has one folder, and the folder gives the step back."""
    assert step == step_of(folder_of(step))


@pytest.mark.parametrize(
    "folder", ["step-1/", "step-00000000001/", "step-0000000001", "STEP-0000000001/", "x/", "step-000000000x/"]
)
def test_other_folders_are_no_steps(folder: str) -> None:
    """What is not written exactly as we write it belongs to somebody else."""
    assert step_of(folder) is None


def test_a_manifest_survives() -> None:
    """What render writes, parse reads."""
    files = (SavedFile("a/b.bin", 3, DIGEST, 0), SavedFile("ü.txt", 0, "f" * 64, 1))
    checkpoint = Checkpoint(7, files, {"loss": 0.5, "tags": ["x"]}, 2)
    assert checkpoint == parse(render(checkpoint), 7)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"step": 8},
        {"files": [{"name": "a", "size": -1, "sha256": DIGEST, "rank": 0}]},
        {"files": [{"name": "a", "size": 1, "sha256": "x", "rank": 0}]},
        {"files": [{"name": "../a", "size": 1, "sha256": DIGEST, "rank": 0}]},
        {"files": [{"name": "/etc/passwd", "size": 1, "sha256": DIGEST, "rank": 0}]},
        {"files": [{"name": "a", "size": 1, "sha256": DIGEST, "rank": 0}] * 2},
        {"files": None},
        {"metadata": None},
        {"world": "two"},
    ],
)
def test_a_broken_manifest_is_refused(change: dict[str, Any]) -> None:
    """One wrong value, and the document is no manifest: no name of it may reach the disk."""
    good = json.loads(render(Checkpoint(7, (SavedFile("a", 1, DIGEST),), {})))
    with pytest.raises(ProtocolError):
        parse(json.dumps(good | change).encode(), 7)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"<html>", b"\xff"])
def test_other_documents_are_refused(body: bytes) -> None:
    """Whatever else may lie there is a ProtocolError."""
    with pytest.raises(ProtocolError):
        parse(body, 7)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/../b", "/a", "a//b", "a/", "a\\b", "C:x", "a\0", "MANIFEST.json", ".ranks/0/x", "\udcff"]
)
def test_names_that_no_file_may_have(name: str) -> None:
    """A name stays below the folder on every system, and is none of ours."""
    with pytest.raises(ValueError, match="cannot be the name"):
        check_name(name)


def test_ranks_have_names() -> None:
    """The document of a rank says its rank, for worlds of this size only."""
    name = rank_name("job-1", 3, 8)
    assert (3, None, None) == (rank_of(name, 8), rank_of(name, 9), rank_of("x", 8))


@pytest.mark.parametrize("attempt", ["", "a/b", "..", ".", "a" * 129, "a b"])
def test_attempts_are_parts_of_keys(attempt: str) -> None:
    """An attempt that would make another key is refused."""
    with pytest.raises(ValueError, match="attempt"):
        check_attempt(attempt)


def test_ranks_are_merged_or_contradict_each_other() -> None:
    """The same file from two ranks is one file; another content under the same name is a mistake of the job."""
    one = Checkpoint(1, (SavedFile("a", 1, DIGEST, 0), SavedFile("b", 1, DIGEST, 0)), {"x": 1})
    two = Checkpoint(1, (SavedFile("b", 1, DIGEST, 1), SavedFile("c", 1, DIGEST, 1)), {"y": 2})
    both = merged(1, [one, two])
    assert (["a", "b", "c"], {"x": 1, "y": 2}, 2) == ([file.name for file in both.files], both.metadata, both.world)
    with pytest.raises(ValueError, match="ranks 0 and 1 both wrote 'b'"):
        merged(1, [one, Checkpoint(1, (SavedFile("b", 2, DIGEST, 1),), {})])
