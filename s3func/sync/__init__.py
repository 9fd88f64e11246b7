"""Folders and prefixes made to agree: scan both, decide, show the plan, carry it out. Never delete on doubt."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3func.sync.endpoints import Endpoint as Endpoint
    from s3func.sync.endpoints import as_endpoint as as_endpoint
    from s3func.sync.filters import Filters as Filters
    from s3func.sync.local import LocalTree as LocalTree
    from s3func.sync.names import NamePolicy as NamePolicy
    from s3func.sync.remote import RemotePrefix as RemotePrefix

# Where each public name is at home; loaded when it is first used.
_HOMES = {
    "Endpoint": "s3func.sync.endpoints",
    "Filters": "s3func.sync.filters",
    "LocalTree": "s3func.sync.local",
    "NamePolicy": "s3func.sync.names",
    "RemotePrefix": "s3func.sync.remote",
    "as_endpoint": "s3func.sync.endpoints",
}
__all__ = [
    "Endpoint",
    "Filters",
    "LocalTree",
    "NamePolicy",
    "RemotePrefix",
    "as_endpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 's3func.sync' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
