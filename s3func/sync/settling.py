"""What a conflict becomes when somebody has decided: one step, or another name for the target's content and a step.

Pure, but for `keep-both`, which is done at once: the target's content has both names for a moment, and never none.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation

if TYPE_CHECKING:
    from s3func.sync.endpoints import Endpoint

Conflicts: TypeAlias = Literal["error", "source", "target", "keep-both"]
TransferKind: TypeAlias = Literal["upload", "download", "copy"]


def settled(conflict: Operation, decision: Conflicts, kind: TransferKind, target: Endpoint, run_id: str) -> Operation:
    """The step that carries out the decision "source" or "keep-both". Errors of the store and of the disk as they come."""
    if decision == "keep-both" and conflict.target is not None:
        _keep(conflict, target, run_id)
    if conflict.source is None:
        return conflict._replace(kind="delete")
    return conflict._replace(kind=kind, size=conflict.source.size)


def other_name(name: str, run_id: str) -> str:
    """What the target's content is called from then on: `notes.conflict-20261121T100000Z.txt`."""
    folder, slash, file = name.rpartition("/")
    stem, dot, ending = file.rpartition(".")
    mark = f"conflict-{run_id}"
    renamed = f"{stem}.{mark}.{ending}" if dot and stem else f"{file}.{mark}"
    return f"{folder}{slash}{renamed}"


def _keep(conflict: Operation, target: Endpoint, run_id: str) -> None:
    if not isinstance(target, LocalTree):
        copy: Any = target.session.copy_object
        etag = conflict.target.etag if conflict.target is not None else None
        copy(
            target.key(conflict.name),
            target.key(other_name(conflict.name, run_id)),
            source_bucket=target.bucket,
            dest_bucket=target.bucket,
            source_if_match=etag or None,
        )
        return
    path = conflict.path or conflict.name
    name = path.rpartition("/")[2]
    with target.reach(path) as folder:
        ways = {"src_dir_fd": folder.descriptor, "dst_dir_fd": folder.descriptor}
        os.link(folder.at(name), folder.at(other_name(name, run_id)), follow_symlinks=False, **ways)
