"""Folders and prefixes made to agree: scan both, decide, show the plan, carry it out. Never delete on doubt."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3func.sync.applying import apply as apply
    from s3func.sync.both_ways import BothWaysReport as BothWaysReport
    from s3func.sync.both_ways import bisync as bisync
    from s3func.sync.checking import CheckReport as CheckReport
    from s3func.sync.checking import check as check
    from s3func.sync.chunks import SessionSpec as SessionSpec
    from s3func.sync.endpoints import Endpoint as Endpoint
    from s3func.sync.endpoints import as_endpoint as as_endpoint
    from s3func.sync.events import BytesMoved as BytesMoved
    from s3func.sync.events import Deleted as Deleted
    from s3func.sync.events import Event as Event
    from s3func.sync.events import OperationDone as OperationDone
    from s3func.sync.events import OperationFailed as OperationFailed
    from s3func.sync.events import OperationPlanned as OperationPlanned
    from s3func.sync.events import OperationStarted as OperationStarted
    from s3func.sync.events import ScanPage as ScanPage
    from s3func.sync.events import Summary as Summary
    from s3func.sync.events import event_row as event_row
    from s3func.sync.executors import DaskExecutor as DaskExecutor
    from s3func.sync.executors import RayExecutor as RayExecutor
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
    from s3func.sync.report import Failure as Failure
    from s3func.sync.report import Report as Report
    from s3func.sync.state import State as State
    from s3func.sync.syncing import sync as sync

# Where each public name is at home; loaded when it is first used.
_HOMES = {
    "BothWaysReport": "s3func.sync.both_ways",
    "BytesMoved": "s3func.sync.events",
    "CheckReport": "s3func.sync.checking",
    "DaskExecutor": "s3func.sync.executors",
    "Deleted": "s3func.sync.events",
    "Endpoint": "s3func.sync.endpoints",
    "Event": "s3func.sync.events",
    "Failure": "s3func.sync.report",
    "Filters": "s3func.sync.filters",
    "LocalTree": "s3func.sync.local",
    "MaxDelete": "s3func.sync.guards",
    "NamePolicy": "s3func.sync.names",
    "Operation": "s3func.sync.operation",
    "OperationDone": "s3func.sync.events",
    "OperationFailed": "s3func.sync.events",
    "OperationPlanned": "s3func.sync.events",
    "OperationStarted": "s3func.sync.events",
    "Plan": "s3func.sync.plans",
    "PlanSummary": "s3func.sync.plans",
    "RayExecutor": "s3func.sync.executors",
    "RemotePrefix": "s3func.sync.remote",
    "Report": "s3func.sync.report",
    "ScanPage": "s3func.sync.events",
    "SessionSpec": "s3func.sync.chunks",
    "Side": "s3func.sync.operation",
    "State": "s3func.sync.state",
    "Summary": "s3func.sync.events",
    "apply": "s3func.sync.applying",
    "as_endpoint": "s3func.sync.endpoints",
    "bisync": "s3func.sync.both_ways",
    "check": "s3func.sync.checking",
    "event_row": "s3func.sync.events",
    "plan": "s3func.sync.plans",
    "sync": "s3func.sync.syncing",
}
__all__ = [
    "BothWaysReport",
    "BytesMoved",
    "CheckReport",
    "DaskExecutor",
    "Deleted",
    "Endpoint",
    "Event",
    "Failure",
    "Filters",
    "LocalTree",
    "MaxDelete",
    "NamePolicy",
    "Operation",
    "OperationDone",
    "OperationFailed",
    "OperationPlanned",
    "OperationStarted",
    "Plan",
    "PlanSummary",
    "RayExecutor",
    "RemotePrefix",
    "Report",
    "ScanPage",
    "SessionSpec",
    "Side",
    "State",
    "Summary",
    "apply",
    "as_endpoint",
    "bisync",
    "check",
    "event_row",
    "plan",
    "sync",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 's3func.sync' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
