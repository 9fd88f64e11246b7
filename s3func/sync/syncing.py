"""sync: a plan that is carried out while it is made; transfers begin with the first page, deletes wait for the last one."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from s3func.sync.applying import apply
from s3func.sync.plans import plan

if TYPE_CHECKING:
    import os

    from s3func.sync.endpoints import Endpoint
    from s3func.sync.report import Report

_OF_PLAN = frozenset(inspect.signature(plan).parameters)
_OF_APPLY = frozenset(inspect.signature(apply).parameters) - {"plan", "metadata"}


def sync(
    source: str | os.PathLike[str] | Endpoint, target: str | os.PathLike[str] | Endpoint, **options: Any
) -> Report:
    """Make the target like the source: a folder, an s3:// or b2:// URL, in each direction and from store to store.

    options: those of plan() (compare, delete, filters, state, max_delete, session, …) and of apply() (workers, bwlimit,
    on_event, on_conflict, backup, durability, dry_run, …). Nothing is deleted unless `delete` says so. Run again after an
    interrupt, it finishes the job. Raises as plan() and apply() do; failed steps are in the report.
    """
    if "session" in options and (unknown := options.keys() - _OF_PLAN - _OF_APPLY):
        # Without a session it would be one of its arguments.
        raise TypeError(f"sync has no argument {min(unknown)!r}, and a session that is given takes none")
    carrying_out = {name: options.pop(name) for name in _OF_APPLY & options.keys()}
    with plan(source, target, **options) as steps:
        steps.keeps_steps = False
        return apply(steps, **carrying_out)
