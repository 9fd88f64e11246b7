"""The mirror of the moment, so that functions far below a `with mirror():` need not be handed it.

Mirrors may be nested and may be active in several threads at once: each task and thread has its own innermost one. A
thread that was started inside of a block, and entered none itself, has the one that was entered last in this process.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from s3func.mirrors.mirroring import CACHE, Mirror

if TYPE_CHECKING:
    from s3func.profiles import Profile
    from s3func.sync.plans import Plan

_P = ParamSpec("_P")
_R = TypeVar("_R")
_own: ContextVar[tuple[Mirror, ...]] = ContextVar("s3func.mirrors", default=())
_everywhere: list[Mirror] = []
_lock = threading.Lock()


def enter(mirror: Mirror) -> None:
    """The mirror is the innermost one from now on."""
    _own.set((*_own.get(), mirror))
    with _lock:
        _everywhere.append(mirror)


def leave(mirror: Mirror) -> None:
    """The mirror is active no more."""
    _own.set(tuple(entry for entry in _own.get() if entry is not mirror))
    with _lock:
        if mirror in _everywhere:
            _everywhere.remove(mirror)


def current() -> Mirror:
    """The innermost active mirror; RuntimeError where there is none."""
    if own := _own.get():
        return own[-1]
    with _lock:
        if _everywhere:
            return _everywhere[-1]
    raise RuntimeError("no mirror is active: use this inside of `with s3func.mirror():`")


def mirror(cache_root: str | os.PathLike[str] = CACHE, **options: Any) -> Mirror:
    """Paths that stand for places in stores while a block runs: `with s3func.mirror() as m: m.download("s3://b/data")`.

    cache_root: the folder of paths that nobody chose. workers: threads for small files. default_profile: for URLs that
    name none. bandwidth: a BandwidthLimit for everything. max_delete: see plan(). on_event: see apply(). deadline: seconds that the
    end of the block may take, its uploads and those under way, before DeadlineExceeded; None: as long as it takes. session: to use
    for every URL in place of new ones; other options are those of connect(). Blocks may be nested, and active in
    several threads.
    """
    return Mirror(cache_root, **options)


def with_mirror(
    cache_root: str | os.PathLike[str] = CACHE, **options: Any
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """A decorator: each call of the function is a block of mirror() of its own."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def call(*arguments: _P.args, **named: _P.kwargs) -> _R:
            with mirror(cache_root, **options):
                return function(*arguments, **named)

        return call

    return decorate


def download(remote: str | os.PathLike[str], local: str | os.PathLike[str] | None = None, **options: Any) -> Path:
    """Mirror.download of the active mirror."""
    return current().download(remote, local, **options)


def upload(remote: str | os.PathLike[str], local: str | os.PathLike[str] | None = None, **options: Any) -> Path:
    """Mirror.upload of the active mirror."""
    return current().upload(remote, local, **options)


def sync(remote: str | os.PathLike[str], local: str | os.PathLike[str] | None = None, **options: Any) -> Path:
    """Mirror.sync of the active mirror."""
    return current().sync(remote, local, **options)


def ls(prefix: str | os.PathLike[str], *, recursive: bool = False, profile: str | Profile | None = None) -> list[str]:
    """Mirror.ls of the active mirror."""
    return current().ls(prefix, recursive=recursive, profile=profile)


def plan_download(
    remote: str,
    local: str | os.PathLike[str] | None = None,
    *,
    exclude: str | Iterable[str] = (),
    **options: Any,
) -> Plan:
    """Mirror.plan_download of the active mirror."""
    return current().plan_download(remote, local, exclude=exclude, **options)


def plan_upload(
    remote: str,
    local: str | os.PathLike[str] | None = None,
    *,
    exclude: str | Iterable[str] = (),
    **options: Any,
) -> Plan:
    """Mirror.plan_upload of the active mirror."""
    return current().plan_upload(remote, local, exclude=exclude, **options)
