"""The manifest of a checkpoint: which files it consists of, as JSON beside them. Pure: nothing is read or sent here.

A step exists exactly when its manifest does. `step-0000000100/MANIFEST.json`, and with several ranks, before it, one
document per rank, `step-0000000100/.ranks/ATTEMPT/00003-of-00008.json`. The files lie beside the manifest under their own names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from s3func.errors import ProtocolError

FORMAT = 1
MANIFEST = "MANIFEST.json"
RANKS = ".ranks"
_STEP = re.compile(r"step-(\d{10,})/")
_RANK = re.compile(r"(\d{5,})-of-(\d{5,})\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ATTEMPT = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class SavedFile(NamedTuple):
    """One file: its name relative to the folder ("/" between folders), its bytes, its SHA-256, and who wrote it."""

    name: str
    size: int
    sha256: str
    rank: int = 0


class Checkpoint(NamedTuple):
    """A complete checkpoint. metadata: what the caller gave to save(), as JSON has it. world: how many ranks wrote it."""

    step: int
    files: tuple[SavedFile, ...]
    metadata: Mapping[str, Any]
    world: int = 1

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def folder_of(step: int) -> str:
    """`step-0000000100/`: wide enough that names sort like numbers."""
    return f"step-{step:010d}/"


def step_of(folder: str) -> int | None:
    """The number of a folder of this shape, None for anything else."""
    found = _STEP.fullmatch(folder)
    # A number has one name only: what is written otherwise is not ours.
    return int(found[1]) if found and folder_of(int(found[1])) == folder else None


def rank_name(attempt: str, rank: int, world: int) -> str:
    """Where the document of a rank lies, below the step's folder."""
    return f"{RANKS}/{attempt}/{rank:05d}-of-{world:05d}.json"


def rank_of(name: str, world: int) -> int | None:
    """The rank of such a name, if it is one of a world of this size."""
    found = _RANK.fullmatch(name.rpartition("/")[2])
    return int(found[1]) if found and int(found[2]) == world and int(found[1]) < world else None


def check_attempt(attempt: str) -> str:
    """It becomes a part of a key: letters, digits, "_", "-" and "."."""
    if not isinstance(attempt, str):
        raise TypeError(f"attempt must be a str, not {type(attempt).__name__}")
    if not _ATTEMPT.fullmatch(attempt) or attempt in {".", ".."}:
        raise ValueError(f"attempt must be 1 to 128 letters, digits, '_', '-' or '.', not {attempt!r}")
    return attempt


def check_name(name: str) -> str:
    """A name that is a path below the folder on every system, and none of our own; ValueError says what is wrong."""
    parts = name.split("/")
    wrong = None
    if not name:
        wrong = "it is empty"
    elif any(part in {"", ".", ".."} for part in parts):
        wrong = "it has a part that is empty, '.' or '..'"
    elif "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
        wrong = "it has a backslash, a NUL or a drive"
    elif name == MANIFEST or parts[0] == RANKS:
        wrong = "it is a name that checkpoints use themselves"
    else:
        try:
            name.encode()
        except UnicodeEncodeError:
            wrong = "it is not UTF-8"
    if wrong:
        raise ValueError(f"{name!r} cannot be the name of a file of a checkpoint: {wrong}")
    return name


def render(checkpoint: Checkpoint) -> bytes:
    """The document of a step, or of one rank of it. TypeError for metadata that JSON has no word for."""
    document = {
        "format": FORMAT,
        "step": checkpoint.step,
        "world": checkpoint.world,
        "metadata": dict(checkpoint.metadata),
        "files": [file._asdict() for file in sorted(checkpoint.files)],
    }
    return json.dumps(document, sort_keys=True, indent=1, allow_nan=False).encode()


def parse(body: bytes, step: int) -> Checkpoint:
    """Read what render() wrote for this step; ProtocolError for anything else, names that would leave the folder included."""
    try:
        document = json.loads(body)
        if document["format"] != FORMAT:
            raise ProtocolError(f"the manifest of step {step} has format {document['format']!r}, known is {FORMAT}")
        files = tuple(_file(row) for row in document["files"])
        found = Checkpoint(document["step"], files, document["metadata"], document["world"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"the manifest of step {step} is not one: {error}") from error
    if found.step != step or not isinstance(found.metadata, dict) or not isinstance(found.world, int):
        raise ProtocolError(f"the manifest of step {step} says that it is of step {found.step!r}")
    if len({file.name for file in files}) != len(files):
        raise ProtocolError(f"the manifest of step {step} names a file twice")
    return found


def merged(step: int, parts: Iterable[Checkpoint]) -> Checkpoint:
    """What all ranks wrote, in one; ValueError when two wrote files of the same name with different content."""
    files: dict[str, SavedFile] = {}
    metadata: dict[str, Any] = {}
    world = 0
    for part in parts:
        world += 1
        metadata.update(part.metadata)
        for file in part.files:
            other = files.setdefault(file.name, file)
            if (other.size, other.sha256) != (file.size, file.sha256):
                raise ValueError(
                    f"ranks {other.rank} and {file.rank} both wrote {file.name!r} of step {step}, with different content"
                )
    return Checkpoint(step, tuple(sorted(files.values())), metadata, world)


def _file(row: Mapping[str, Any]) -> SavedFile:
    file = SavedFile(row["name"], row["size"], row["sha256"], row["rank"])
    if not isinstance(file.size, int) or file.size < 0 or not isinstance(file.rank, int):
        raise ValueError(f"{file.name!r} has the size {file.size!r} and the rank {file.rank!r}")
    if not _SHA256.fullmatch(file.sha256):
        raise ValueError(f"{file.name!r} has no SHA-256")
    check_name(file.name)
    return file
