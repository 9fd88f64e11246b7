"""pos3's names: `from s3func.compat import pos3`. What is different from pos3, always for safety's sake:

    delete=True     deletes what this pair of path and place had before, behind the transfers and within limits; exact=True
                    is every file that the other side does not have
    a typo          a place with nothing in it empties no folder, and an empty folder empties no place
    same size       files are compared by their content
    both changed    is a SyncConflict (a TransferError here), and what others wrote meanwhile stays
    Ctrl-C          and sys.exit() are no success: only what has sync_on_error is uploaded
    interval        the first turn comes after it, files that are being written wait, and no turn deletes anything
    nested          and concurrent mirrors are allowed

The cache is where pos3 has it. A TransferError is also a SyncError.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from s3func.connect import Location, is_url, parse
from s3func.errors import S3FuncError, S3ObjectError, SyncError
from s3func.mirrors import Mirror, Profile, current, register_profile
from s3func.mirrors import ls as _ls
from s3func.profiles import find_profile
from s3func.transport.transfer import BandwidthLimit

__all__ = [
    "Profile",
    "TransferError",
    "TransferPlan",
    "download",
    "ls",
    "mirror",
    "plan_download",
    "plan_upload",
    "register_profile",
    "sync",
    "upload",
    "with_mirror",
]

CACHE = "~/.cache/positronic/s3/"
_P = ParamSpec("_P")
_R = TypeVar("_R")


class TransferError(SyncError):
    """A transfer was not done. operation: which one; failures: what went wrong."""

    operation: str = ""
    failures: tuple[str, ...] = ()


class _Mirror(Mirror):
    """A Mirror whose uploads at the end fail with a TransferError."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            return super().__exit__(kind, error, trace)
        with _transfer("upload"):
            return super().__exit__(None, None, None)


class TransferPlan(NamedTuple):
    """What would happen: pairs of where from and where to, and what would be deleted, each a URL or a path."""

    to_copy: list[tuple[str, str]]
    to_delete: list[str]


@contextmanager
def mirror(
    cache_root: str | os.PathLike[str] = CACHE,
    show_progress: bool = True,
    max_workers: int = 10,
    default_profile: str | Profile | None = None,
    max_upload_bytes_per_second: float | None = None,
    **options: Any,
) -> Iterator[None]:
    """See s3func.mirror. show_progress: a line on a terminal; further options are those of s3func.mirror."""
    from s3func.files.progress import ProgressBar

    limit = None if max_upload_bytes_per_second is None else BandwidthLimit(max_upload_bytes_per_second)
    with ProgressBar(desc="pos3", mode="progress" if show_progress else "disabled") as bar:
        settings = {"workers": max_workers, "bandwidth": limit, "on_event": _counting(bar), **options}
        with _Mirror(cache_root, default_profile=default_profile, **settings):
            yield None


def with_mirror(
    cache_root: str | os.PathLike[str] = CACHE, *arguments: Any, **options: Any
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """A decorator: each call of the function is a block of mirror() of its own."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        from functools import wraps

        @wraps(function)
        def call(*given: _P.args, **named: _P.kwargs) -> _R:
            with mirror(cache_root, *arguments, **options):
                return function(*given, **named)

        return call

    return decorate


def download(
    remote: str | os.PathLike[str],
    local: str | os.PathLike[str] | None = None,
    delete: bool = True,
    exclude: list[str] | None = None,
    profile: str | Profile | None = None,
    *,
    exact: bool = False,
) -> Path:
    """Bring a prefix, an object or nothing down; see Mirror.download and the top of this file."""
    _check_profile(remote, profile)
    with _transfer("download"):
        try:
            return current().download(
                remote, local, delete=_delete(delete, exact=exact), exclude=exclude or (), profile=profile
            )
        except S3ObjectError:
            # pos3 answers with an empty folder. Where there are files, the place is most likely mistyped.
            path = _path_of(remote, local, profile)
            if path.exists() and (path.is_file() or any(path.iterdir())):
                raise
            path.mkdir(parents=True, exist_ok=True)
            return path


def upload(
    remote: str | os.PathLike[str],
    local: str | os.PathLike[str] | None = None,
    interval: float | None = 300,
    delete: bool = True,
    sync_on_error: bool = False,
    exclude: list[str] | None = None,
    profile: str | Profile | None = None,
    *,
    exact: bool = False,
) -> Path:
    """Upload a path at the end and at intervals; see Mirror.upload and the top of this file."""
    _check_profile(remote, profile)
    return current().upload(
        remote,
        local,
        interval=interval,
        delete=_delete(delete, exact=exact),
        sync_on_error=sync_on_error,
        exclude=exclude or (),
        profile=profile,
    )


def sync(
    remote: str | os.PathLike[str],
    local: str | os.PathLike[str] | None = None,
    interval: float | None = 300,
    delete_local: bool = True,
    delete_remote: bool = True,
    sync_on_error: bool = False,
    exclude: list[str] | None = None,
    profile: str | Profile | None = None,
    *,
    exact: bool = False,
) -> Path:
    """download() and then upload(); see Mirror.sync and the top of this file."""
    _check_profile(remote, profile)
    with _transfer("sync"):
        return current().sync(
            remote,
            local,
            interval=interval,
            delete_local=_delete(delete_local, exact=exact),
            delete_remote=_delete(delete_remote, exact=exact),
            sync_on_error=sync_on_error,
            exclude=exclude or (),
            profile=profile,
        )


def ls(prefix: str | os.PathLike[str], recursive: bool = False, profile: str | Profile | None = None) -> list[str]:
    """See Mirror.ls."""
    _check_profile(prefix, profile)
    return _ls(prefix, recursive=recursive, profile=profile)


def plan_download(
    remote: str,
    local: str | os.PathLike[str] | None = None,
    exclude: list[str] | None = None,
    profile: str | Profile | None = None,
) -> TransferPlan:
    """What a download with exact=True would do. ValueError for what is no s3:// URL."""
    _check_profile(remote, profile)
    location, path = _demand_url(remote), _path_of(remote, local, profile)
    with current().plan_download(remote, local, delete="all", exclude=exclude or (), profile=profile) as steps:
        found = list(steps)
    return TransferPlan(
        [(_url(location, step.name), str(path / step.name)) for step in found if step.kind == "download"],
        [str(path / step.name) for step in found if step.kind == "delete"],
    )


def plan_upload(
    remote: str,
    local: str | os.PathLike[str] | None = None,
    exclude: list[str] | None = None,
    profile: str | Profile | None = None,
) -> TransferPlan:
    """What an upload with exact=True would do. ValueError for what is no s3:// URL."""
    _check_profile(remote, profile)
    location, path = _demand_url(remote), _path_of(remote, local, profile)
    with current().plan_upload(remote, local, delete="all", exclude=exclude or (), profile=profile) as steps:
        found = list(steps)
    return TransferPlan(
        [(str(path / step.name), _url(location, step.name)) for step in found if step.kind in {"upload", "rename"}],
        [_url(location, step.name) for step in found if step.kind == "delete"],
    )


def _demand_url(remote: str) -> Location:
    if not is_url(remote):
        raise ValueError(f"remote must be an s3:// URL, not {remote!r}")
    return parse(remote)


def _url(location: Location, name: str) -> str:
    key = location.key.rstrip("/")
    return location._replace(key=f"{key}/{name}" if key else name).url


def _path_of(
    remote: str | os.PathLike[str], local: str | os.PathLike[str] | None, profile: str | Profile | None
) -> Path:
    return current().path_of(remote, local, profile=profile)


def _delete(delete: bool, *, exact: bool) -> Any:
    return ("all" if exact else "tracked") if delete else "none"


def _check_profile(remote: object, profile: str | Profile | None) -> None:
    """ValueError for the name of a profile that nobody knows, as from pos3."""
    name = (parse(str(remote)).profile if is_url(remote) else None) or profile
    if not isinstance(name, str) or not is_url(remote) or find_profile(name) is not None:
        return
    from s3func.s3.credentials.files import ProfileFiles

    if ProfileFiles(os.environ).profile(name) is None:
        raise ValueError(f"profile {name!r} is not known: register_profile() makes it known")


@contextmanager
def _transfer(operation: str) -> Iterator[None]:
    """Failures of transfers are TransferErrors, with the typed error as their cause."""
    try:
        yield
    except TransferError:
        raise
    except S3FuncError as error:
        made = TransferError(f"{operation}: {error}")
        made.operation, made.failures = operation, (str(error), *getattr(error, "__notes__", ()))
        raise made from error


def _counting(bar: Any) -> Callable[[Any], object]:
    def listen(event: Any) -> None:
        operation = getattr(event, "operation", None)
        if type(event).__name__ == "OperationDone" and operation is not None and operation.kind != "record":
            bar.update(operation.size)

    return listen
