"""Folders and prefixes made to agree: scan both, decide, show the plan, carry it out. Never delete on doubt."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3func.sync.checking import CheckReport as CheckReport
    from s3func.sync.checking import check as check
    from s3func.sync.endpoints import Endpoint as Endpoint
    from s3func.sync.endpoints import as_endpoint as as_endpoint
    from s3func.sync.filters import Filters as Filters
    from s3func.sync.guards import MaxDelete as MaxDelete
    from s3func.sync.local import LocalTree as LocalTree
    from s3func.sync.names import NamePolicy as NamePolicy
    from s3func.sync.operation import Operation as Operation
    from s3func.sync.operation import Side as Side
    from s3func.sync.plans import Plan as Plan
    from s3func.sync.plans import PlanSummary as PlanSummary
    from s3func.sync.plans import plan as plan
    from s3func.sync.remote import RemotePrefix as RemotePrefix
    from s3func.sync.state import State as State

# Where each public name is at home; loaded when it is first used.
_HOMES = {
    "CheckReport": "s3func.sync.checking",
    "Endpoint": "s3func.sync.endpoints",
    "Filters": "s3func.sync.filters",
    "LocalTree": "s3func.sync.local",
    "MaxDelete": "s3func.sync.guards",
    "NamePolicy": "s3func.sync.names",
    "Operation": "s3func.sync.operation",
    "Plan": "s3func.sync.plans",
    "PlanSummary": "s3func.sync.plans",
    "RemotePrefix": "s3func.sync.remote",
    "Side": "s3func.sync.operation",
    "State": "s3func.sync.state",
    "as_endpoint": "s3func.sync.endpoints",
    "check": "s3func.sync.checking",
    "plan": "s3func.sync.plans",
}
__all__ = [
    "CheckReport",
    "Endpoint",
    "Filters",
    "LocalTree",
    "MaxDelete",
    "NamePolicy",
    "Operation",
    "Plan",
    "PlanSummary",
    "RemotePrefix",
    "Side",
    "State",
    "as_endpoint",
    "check",
    "plan",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 's3func.sync' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
