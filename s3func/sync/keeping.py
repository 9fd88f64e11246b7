"""What happens to content that is replaced or deleted: nothing is kept, or it is moved where it can be found again.

A folder's own trash is `.s3func-trash/RUN/` in it, a prefix's is `.s3func-trash/RUN/` below it; no scan ever sees them.
A backup is another prefix of the same store, or another folder, into which the names go below `RUN/`.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING, Any

from s3func.connect import endpoint_of, is_url, parse
from s3func.errors import NoSuchBucket, NotFound, SyncError
from s3func.sync.endpoints import as_endpoint
from s3func.sync.local import TRASH, LocalTree
from s3func.sync.names import printable
from s3func.sync.publishing import hidden_name
from s3func.sync.remote import RemotePrefix

if TYPE_CHECKING:
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.operation import Operation


class Keeper:
    """Keeps what a run replaces or deletes in its target; safe for threads."""

    def __init__(self, target: Endpoint, backup: str | os.PathLike[str] | Endpoint, run_id: str) -> None:
        """backup: "trash", or where to. ValueError where that is of another kind than the target, or inside of it."""
        self._target = target
        self._run_id = run_id
        self._place: Endpoint | None = None
        if isinstance(backup, str) and backup == "trash":
            return
        is_local = isinstance(target, LocalTree)
        if (is_url(backup) or isinstance(backup, RemotePrefix)) == is_local:
            raise ValueError("backup must be a folder for a folder, and a prefix of the same store for a prefix")
        if not isinstance(target, LocalTree) and isinstance(backup, str):
            _check_store(target, backup)
        place = as_endpoint(backup, session=None if isinstance(target, LocalTree) else target.session)
        if isinstance(place, LocalTree) and isinstance(target, LocalTree):
            if os.path.join(place.root, "").startswith(os.path.join(target.root, "")):
                raise ValueError(
                    "backup is a folder inside of the target, where it would be synced: use backup='trash'"
                )
        elif not isinstance(place, LocalTree) and not isinstance(target, LocalTree):
            if place.bucket == target.bucket and place.prefix.startswith(target.prefix):
                raise ValueError("backup is a prefix below the target, where it would be synced: use backup='trash'")
        self._place = place

    def keep_replaced(self, operation: Operation) -> None:
        """Copy what is about to be replaced; it stays where it is until the new content takes its place."""
        if isinstance(self._target, LocalTree):
            self._link_file(self._target, operation)
        else:
            self._copy_object(self._target, operation.name, operation)

    def keep_deleted(self, operation: Operation) -> str | None:
        """Put away what is to be deleted, and return where it is then; of a folder it is gone from its place with that."""
        target = self._target
        if not isinstance(target, LocalTree):
            return self._copy_object(target, operation.name, operation)
        assert operation.target is not None
        path = operation.path or operation.name
        if self._place is None:
            return target.trash(path, self._run_id, operation.target)
        kept = self._link_file(target, operation)
        # A second name is a change of the file, if not of its content.
        target.remove(path, operation.target._replace(ctime_ns=None))
        return kept

    def _copy_object(self, target: RemotePrefix, name: str, operation: Operation) -> str | None:
        place = self._place
        if place is None:
            bucket, key = target.bucket, f"{target.prefix}{TRASH}/{self._run_id}/{name}"
        else:
            assert not isinstance(place, LocalTree)
            bucket, key = place.bucket, f"{place.prefix}{self._run_id}/{name}"
        copy: Any = target.session.copy_object
        expected = operation.target.etag if operation.target is not None else None
        try:
            copy(
                target.key(name),
                key,
                source_bucket=target.bucket,
                dest_bucket=bucket,
                source_if_match=expected or None,
            )
        except NotFound as error:
            # Only what is gone already needs not be kept: a backup's bucket that is not there is answered in the same way.
            if isinstance(error, NoSuchBucket) or target.has(name):
                raise
            return None
        return key

    def _link_file(self, target: LocalTree, operation: Operation) -> str | None:
        """A second name for a file, or a copy where the file system has none, or the other disk is another one."""
        path = operation.path or operation.name
        place = f"{self._run_id}/{path}"
        kept = target if self._place is None else self._place
        assert isinstance(kept, LocalTree)
        if self._place is None:
            place = f"{TRASH}/{place}"
        name = path.rpartition("/")[2]
        try:
            with target.reach(path) as folder, kept.reach(place, create=True) as bin_:
                at, to = folder.at(name), bin_.at(name)
                ways = {"src_dir_fd": folder.descriptor, "dst_dir_fd": bin_.descriptor}
                try:
                    os.link(at, to, follow_symlinks=False, **ways)
                except FileExistsError:
                    # Of an attempt before this one.
                    return place
                except FileNotFoundError:
                    raise
                except OSError:
                    _copy_file(folder.descriptor, at, bin_.descriptor, to, bin_.at(hidden_name(name)))
        except FileNotFoundError as error:
            if target.side(path) is not None:
                raise SyncError(f"{printable(path)!r} could not be kept: the folder for it went away") from error
            return None
        except OSError as error:
            raise SyncError(f"{printable(path)!r} could not be kept: {error.strerror or error}") from error
        return place


def _check_store(target: RemotePrefix, url: str) -> None:
    """ValueError for a URL of another store: it would be looked for in the target's, by the bucket's name alone."""
    location = parse(url)
    own = getattr(target.session, "endpoint_url", None) or getattr(target.session, "realm", "")
    is_same = location.scheme == target.kind
    if is_same and (location.endpoint_url is not None or location.profile is not None):
        is_same = endpoint_of(location).rstrip("/") == str(own).rstrip("/")
    if not is_same:
        raise ValueError(f"backup must be a prefix of the target's own store, {own}, which {location.url} is not")


def _copy_file(source: int | None, name: str, target: int | None, new_name: str, hidden: str) -> None:
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), new_name, dir_fd=target)
        return
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
    with open(name, "rb", opener=lambda path, _: os.open(path, flags, dir_fd=source)) as file:
        made = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(hidden, "wb", opener=lambda path, _: os.open(path, made, 0o600, dir_fd=target)) as copy:
            shutil.copyfileobj(file, copy)
            os.utime(copy.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
            if hasattr(os, "fchmod"):
                os.fchmod(copy.fileno(), stat.S_IMODE(found.st_mode))
    os.replace(hidden, new_name, src_dir_fd=target, dst_dir_fd=target)
