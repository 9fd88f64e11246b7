"""`s3func rm`: delete objects, and never more than was meant.

1. Nothing is deleted before all URLs were looked at. What is a whole bucket (s3://bucket, s3://bucket/, a pattern that
   leaves nothing out) is refused without --whole-bucket: that is what an empty variable makes of s3://bucket/$FOLDER.
2. `rm -r URL` deletes what `ls -r URL` shows, `rm --versions URL` what `ls --versions URL` shows.
3. What is not there, and what the store did not delete, is told and is exit code 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.report import counted, progress, shown
from s3func.cli.sync_options import say, with_options
from s3func.cli.teaching import complete_url
from s3func.cli.urls import (
    ACCESS,
    DRY_RUN,
    JSON,
    RAW,
    DataCommand,
    Refused,
    Stores,
    each,
    is_glob,
    line,
    line_of_json,
    located,
    missing,
    nothing_there,
    objects_of,
)
from s3func.errors import AccessDenied, DeleteFailed, NotFound
from s3func.models import ObjectEntry

if TYPE_CHECKING:
    from s3func.connect import Location
    from s3func.session import Session

# What is deleted between two looks at the listing: ten requests of S3.
_BATCH = 10_000


@click.command(
    cls=DataCommand,
    examples="""
    s3func rm s3://my-bucket/report.pdf
    s3func rm --recursive --dry-run s3://my-bucket/old-logs
    s3func rm 's3://my-bucket/tmp/*.part'
    s3func rm --versions s3://my-bucket/secrets.env
    """,
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True, shell_complete=complete_url)
@click.option("--recursive", "-r", is_flag=True, help="All that is below as well.")
@click.option("--versions", is_flag=True, help="All versions and delete markers, for good.")
@click.option("--version-id", metavar="ID", help="This version of the object, for good.")
@click.option("--whole-bucket", is_flag=True, help="What is meant is really all that is in the bucket.")
@click.option("--force", "-f", is_flag=True, help="What is not there is no error, and is not looked for.")
@click.option("--verbose", "-v", is_flag=True, help="Print the URL of each one that is deleted.")
@with_options(RAW, DRY_RUN, JSON, ACCESS)
def rm(urls: tuple[str, ...], recursive: bool, whole_bucket: bool, version_id: str | None, **options: Any) -> int:
    """Delete objects. Without --recursive a URL is one object, or a pattern for some.

    Where a bucket keeps versions, an object is hidden and its versions stay, unless --versions is given. A whole bucket is
    refused (exit code 3), also as the outcome of an empty variable, unless --whole-bucket says that it is meant.
    """
    places = [located(url) for url in urls]
    is_pattern = any(is_glob(place.key, raw=options["raw"]) for place in places)
    if version_id is not None and (len(urls) > 1 or recursive or is_pattern or options["versions"]):
        raise click.UsageError("--version-id is for one object")
    for place in places:
        _check(place, recursive=recursive, raw=options["raw"], whole_bucket=whole_bucket)
    with Stores(options) as stores:

        def one(url: str) -> int:
            place = located(url)
            session = stores.session(place)
            rows = objects_of(session, place.key, raw=options["raw"], recursive=recursive, versions=options["versions"])
            if not options["versions"]:
                # A listing may name the version of an object, which would be deleted for good.
                rows = (ObjectEntry(row.key) for row in rows)
            is_one = not recursive and not options["versions"] and not is_glob(place.key, raw=options["raw"])
            if is_one:
                if not options["force"] and version_id is None:
                    _check_there(session, place)
                rows = iter([ObjectEntry(place.key, version_id=version_id)])
            return _delete(session, place, rows, options | {"bar": not is_one})

        return each(urls, one)


def _check(place: Location, *, recursive: bool, raw: bool, whole_bucket: bool) -> None:
    """Refuse a whole bucket that is not meant, and what names nothing."""
    is_everything = is_glob(place.key, raw=raw) and re.fullmatch(r"[*/]*", place.key) is not None
    if place.key and not is_everything:
        return
    if not whole_bucket:
        raise Refused(
            f"{place.url} is the whole bucket: nothing was deleted. If that is what you mean: "
            f"s3func rm --recursive --whole-bucket {place._replace(key='').url}"
        )
    if not recursive and not place.key:
        raise click.UsageError(f"{place.url} is a bucket: --recursive deletes what is in it, s3func rb the bucket")


def _check_there(session: Session, place: Location) -> None:
    """ClickException where the one object is not there, with what may have been meant."""
    try:
        session.head_object(place.key)
    except AccessDenied:
        # Who may delete need not be allowed to look.
        return
    except NotFound:
        raise missing(session, place) from None


def _delete(session: Session, place: Location, rows: Iterable[ObjectEntry], options: dict[str, Any]) -> int:
    """Delete rows in batches; the exit code."""
    if options["dry_run"]:
        count = 0
        for row in rows:
            count += 1
            _show(place, row.key, row.version_id, options["as_json"])
        return 0 if count or options["force"] else nothing_there(place)
    iterator, code, count = iter(rows), 0, 0
    with progress("rm", 0, " objects") if options["bar"] else nullcontext() as bar:
        while batch := list(islice(iterator, _BATCH)):
            deleted, failed = _batch(session, batch)
            code |= failed
            count += len(batch)
            if bar is not None:
                bar.update(len(batch))
            for key, version_id, marker in deleted:
                if options["as_json"] or options["verbose"]:
                    _show(place, key, version_id, options["as_json"], marker)
    if not count:
        return 0 if options["force"] else nothing_there(place)
    if count > 1:
        say(
            f"{counted(count, 'object' if not options['versions'] else 'version')}, {'some' if code else 'all'} deleted"
        )
    return code


def _batch(session: Session, batch: list[ObjectEntry]) -> tuple[Iterator[tuple[str, str | None, bool]], int]:
    """Delete some; what is gone (key, version, whether it is only hidden), and the exit code."""
    if len(batch) == 1:
        row = batch[0]
        result = session.delete_object(row.key, row.version_id)
        is_hidden = result.delete_marker and row.version_id is None
        return iter([(row.key, row.version_id, is_hidden)]), 0
    many: Any = session
    try:
        deleted = many.delete_objects(batch)
    except DeleteFailed as error:
        for key, version_id, code, message in error.failures:
            version = f" (version {version_id})" if version_id else ""
            say(f"s3func: not deleted: {key}{version}: {code} {message}")
        kept = {(failure[0], failure[1]) for failure in error.failures}
        return ((row.key, row.version_id, False) for row in batch if (row.key, row.version_id) not in kept), 1
    return ((row.key, row.version_id, row.delete_marker and row.version_id is None) for row in deleted), 0


def _show(place: Location, key: str, version_id: str | None, as_json: bool, is_hidden: bool = False) -> None:
    url = place._replace(key=key).url
    if as_json:
        about = {"url": url, "bucket": place.bucket, "key": key, "version_id": version_id}
        line_of_json(about | ({"delete_marker": True} if is_hidden else {}))
    else:
        line(shown(url) + (f"\t{version_id}" if version_id else ""))
