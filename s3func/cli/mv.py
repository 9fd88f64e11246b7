"""`s3func mv`: a copy, then the proof that it is there, then the end of the source.

1. A source is deleted after its copy was verified, and only if it still is what was copied; else both stay, and it is told.
2. Nothing moves onto itself, under whatever name: targets that are sources as well are refused, and two URLs that turn
   out to lead to one object end with that object in its place.
3. Of a local folder only files are moved, and folders that are empty then are removed; links and devices stay, and are told.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.copying import FOLDER, Copier, Pair, Source, Target, carry_out_each, is_one_store, pairs
from s3func.cli.sync_options import BWLIMIT, PROGRESS, VERBOSE, with_options
from s3func.cli.teaching import complete_url
from s3func.cli.urls import (
    ACCESS,
    DRY_RUN,
    JSON,
    RAW,
    DataCommand,
    Stores,
    delete_unchanged,
)
from s3func.errors import ChecksumMismatch, ObjectChanged

if TYPE_CHECKING:
    from s3func.connect import Location
    from s3func.results import HeadResult


@click.command(
    cls=DataCommand,
    examples="""
    s3func mv report.pdf s3://my-bucket/reports/
    s3func mv 's3://my-bucket/incoming/*.csv' s3://my-bucket/done/
    s3func mv --recursive s3://my-bucket/old s3://my-bucket/archive/old
    """,
)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, shell_complete=complete_url)
@click.argument("target", metavar="TARGET", shell_complete=complete_url)
@click.option("--recursive", "-r", is_flag=True, help="All files in the folder, or all objects below the prefix.")
@click.option("--no-clobber", is_flag=True, help="Leave alone, and do not move onto, what is there already.")
@with_options(RAW, DRY_RUN, BWLIMIT, PROGRESS, VERBOSE, JSON, ACCESS)
def mv(sources: tuple[str, ...], target: str, recursive: bool, no_clobber: bool, **options: Any) -> int:
    """Move SOURCEs to TARGET: paths and s3:// or b2:// URLs, of a pair one at least a URL.

    Each one is copied, the copy is verified, and then the source is deleted if nobody has changed it meanwhile; where
    anything fails, it stays. Names are those that cp would give. Where a bucket keeps versions, the source's stay in them.
    """
    if recursive and len(sources) > 1:
        raise click.UsageError("--recursive takes one SOURCE, whose contents come to lie in TARGET")
    with Stores(options) as stores:
        mover = _Mover(Copier(stores, options, no_clobber=no_clobber))
        found = pairs(stores, sources, target, recursive=recursive, raw=options["raw"])
        if recursive:
            found = [pair for pair in found if pair[0].name]
        _check_apart(found)
        mover.copier.has_bar = len(found) == 1
        code = carry_out_each(found, mover.move, options, verb="mv")
        if not options["dry_run"] and recursive:
            _remove_empty(sources[0], [source.path for source, _ in found if source.place is None])
        return code


def _check_apart(found: list[Pair]) -> None:
    """UsageError where a target is another one's source: which one is moved first would decide what is lost.

    Buckets of one name are taken for one: two URLs may lead to the same store.
    """
    sources = {(source.place.bucket, source.place.key): source for source, _ in found if source.place is not None}
    for source, target in found:
        if target.place is None or (other := sources.get((target.place.bucket, target.place.key))) is None:
            continue
        if other is not source:
            raise click.UsageError(f"{target.shown} is a source and a target: move in two steps")


def _remove_empty(root: str, paths: list[str]) -> None:
    """Remove the folders that files were moved out of, if nothing is left in them."""
    for folder in sorted({os.path.dirname(path) for path in paths}, key=len, reverse=True):
        while len(folder) >= len(root.rstrip(os.sep)):
            try:
                os.rmdir(folder)
            except OSError:
                break
            folder = os.path.dirname(folder)


class _Mover:
    """Moves one at a time; safe for threads."""

    def __init__(self, copier: Copier) -> None:
        self.copier = copier

    def move(self, source: Source, target: Target) -> bool:
        """Whether it was moved, and not left alone. S3FuncError, OSError, ClickException."""
        if source.place is None:
            return self._file(source.path, target)
        with self.copier.explained(source.place):
            if target.place is None:
                return self._to_file(source.place, target.path)
            if is_one_store(source.place, target.place):
                return self._inside(source.place, target.place)
            return self._across(source.place, target.place)

    def _left_alone(self, target: str) -> bool:
        """Told, because the source is still there."""
        raise click.ClickException(f"not moved, for it exists: {target}")

    def _file(self, path: str, target: Target) -> bool:
        place = target.place
        assert place is not None
        if path == "-":
            raise click.UsageError("stdin cannot be moved; s3func put stores it")
        before = os.lstat(path)
        if not stat.S_ISREG(before.st_mode):
            raise click.ClickException(f"not moved, for it is no file: {path}")
        put = self.copier.upload(path, target)
        if put is None:
            return self._left_alone(place.url)
        head = self.copier.session(place).head_object(place.key, put.version_id)
        if (head.size, head.etag) != (before.st_size, put.etag):
            raise ChecksumMismatch(f"{place.url} is not what was sent: {path!r} stays")
        now = os.lstat(path)
        if _times(now) != _times(before):
            raise click.ClickException(f"{path} was changed while it was copied: it stays, and so does the copy")
        os.unlink(path)
        return True

    def _to_file(self, place: Location, path: str) -> bool:
        if path == "-":
            raise click.UsageError("nothing is moved to stdout; s3func cat writes it there")
        if os.path.exists(path) and not os.path.isfile(path):
            raise click.ClickException(f"not moved, for what is there is no file: {path}")
        session = self.copier.session(place)
        before = session.head_object(place.key)
        got = self.copier.download(place, path, if_match=before.etag or None)
        if got is None:
            return self._left_alone(path)
        if got is not FOLDER and not got.verified:
            _check_content(path, place, session, before)
        delete_unchanged(session, place.key, before)
        return True

    def _inside(self, source: Location, target: Location) -> bool:
        session = self.copier.session(source)
        options: dict[str, Any] = {}
        if self.copier.no_clobber:
            if self.copier.session(target).exists(target.key):
                return self._left_alone(target.url)
            if session.capabilities.conditional_writes:
                options["if_none_match"] = "*"
        session.move(source.key, target.key, dest_bucket=target.bucket, **options)
        return True

    def _across(self, source: Location, target: Location) -> bool:
        from_, to = self.copier.session(source), self.copier.session(target)
        before = from_.head_object(source.key)
        put = self.copier.between(source, target)
        if put is None:
            return self._left_alone(target.url)
        copy = to.head_object(target.key, put.version_id)
        if (copy.size, copy.etag) != (before.size, put.etag):
            raise ChecksumMismatch(f"{target.url} is not what was sent: {source.url} stays")
        if source.key == target.key and _facts(copy) == _facts(from_.head_object(source.key)):
            # Two names of one store: what would be deleted is the copy.
            raise ObjectChanged("both URLs seem to be one object, which stays", bucket=source.bucket, key=source.key)
        delete_unchanged(from_, source.key, before)
        return True


def _facts(head: HeadResult) -> tuple[Any, ...]:
    return head.etag, head.version_id, head.last_modified, head.size


def _times(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev


def _check_content(path: str, place: Location, session: Any, head: HeadResult) -> None:
    """Compare a file with an object of which the store keeps no checksum, as far as its ETag tells. ChecksumMismatch."""
    from s3func.files.contents import same_content

    if os.stat(path).st_size != head.size or same_content(path, session, place.bucket, place.key, head) is False:
        raise ChecksumMismatch(f"{path!r} is not what {place.url} is, which stays")
