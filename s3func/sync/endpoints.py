"""The two sides of a sync: a folder or the objects below a prefix, from a URL, a path, or ready-made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

from s3func.sync.local import LocalTree, Symlinks
from s3func.sync.names import NamePolicy
from s3func.sync.remote import RemotePrefix

if TYPE_CHECKING:
    from s3func.session import Session

Endpoint: TypeAlias = LocalTree | RemotePrefix


def as_endpoint(
    value: str | os.PathLike[str] | Endpoint,
    *,
    session: Session | None = None,
    symlinks: Symlinks = "skip",
    names: NamePolicy | None = None,
    **session_options: Any,
) -> Endpoint:
    """A side of a sync: `s3://…` or `b2://…` (see connect), a path, or an endpoint, which comes back as it is.

    session: reaches the URL, whose bucket and key alone then count; without one, a session is made of the URL and of
    session_options (endpoint_url, profile, region …), and the caller closes it. A key is a folder: `s3://b/logs` is
    what lies below `logs/`. symlinks, names: of a folder. TypeError or ValueError; nothing is sent.
    """
    from s3func.connect import connect, is_url, parse

    if isinstance(value, LocalTree | RemotePrefix):
        return value
    if is_url(value):
        location = parse(str(value))
        reached = connect(location, **session_options) if session is None else session
        return RemotePrefix(reached, location.bucket, location.key)
    return LocalTree(value, symlinks=symlinks, names=names)
