"""`s3func mb` and `rb`: make a bucket, and remove one that is empty, or, if that is said, with all that is in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.report import counted
from s3func.cli.sync_options import STORE, say, usage, with_options
from s3func.cli.teaching import complete_url
from s3func.cli.urls import DRY_RUN, JSON, DataCommand, Refused, Stores, each, line, line_of_json, located
from s3func.errors import AccessDenied, BucketNotEmpty, InvalidRequest, NotFound, NotImplementedByStore, NotSupported

if TYPE_CHECKING:
    from s3func.connect import Location
    from s3func.models import ObjectEntry


def _bucket(url: str) -> Location:
    """The bucket that a URL names and nothing more; UsageError."""
    place = located(url)
    if place.key:
        raise click.UsageError(f"{url!r} is a key: this is about the bucket s3://{place.bucket}")
    return place


@click.command(
    cls=DataCommand,
    examples="""
    s3func mb s3://my-bucket
    s3func mb --region eu-west-1 --versioning s3://my-bucket
    """,
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True, shell_complete=complete_url)
@click.option("--versioning", is_flag=True, help="Keep versions (B2 always does).")
@click.option("--object-lock", is_flag=True, help="Keep versions, and let them be locked.")
@click.option("--exist-ok", is_flag=True, help="That it is there already, and ours, is no error.")
@with_options(DRY_RUN, JSON, STORE)
def mb(urls: tuple[str, ...], versioning: bool, object_lock: bool, exist_ok: bool, **options: Any) -> int:
    """Make buckets, in the region of the session (--region, AWS_REGION)."""
    places = {url: _bucket(url) for url in urls}

    def one(url: str) -> int:
        place = places[url]
        if options["dry_run"]:
            line(place.url)
            return 0
        session: Any = stores.session(place)
        # AWS makes a bucket that is ours already once more in us-east-1, and nowhere else.
        if not _is_there(session):
            _make(session, place.scheme, object_lock=object_lock)
        elif not exist_ok:
            raise click.ClickException(f"{place.url} is there already; with --exist-ok that is no error")
        if versioning and place.scheme != "b2":
            session.put_bucket_versioning("Enabled")
        if options["as_json"]:
            line_of_json({"url": place.url, "bucket": place.bucket})
        return 0

    with Stores(options) as stores:
        return each(urls, one)


def _is_there(session: Any) -> bool:
    """Whether there is such a bucket that we may see; that it is somebody else's is said when it is made."""
    try:
        session.head_bucket()
    except (NotFound, AccessDenied, InvalidRequest):
        return False
    return True


def _make(session: Any, scheme: str, *, object_lock: bool) -> None:
    with usage():
        if scheme == "b2":
            session.create_bucket(**({"fileLockEnabled": True} if object_lock else {}))
        else:
            session.create_bucket(object_lock=object_lock)


@click.command(
    cls=DataCommand,
    examples="""
    s3func rb s3://my-bucket
    s3func rb --force --dry-run s3://my-bucket
    """,
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True, shell_complete=complete_url)
@click.option("--force", is_flag=True, help="First delete all that is in it, for good: objects, versions, uploads.")
@with_options(DRY_RUN, JSON, STORE)
def rb(urls: tuple[str, ...], force: bool, **options: Any) -> int:
    """Remove buckets. One that is not empty is refused (exit code 3), unless --force is given.

    Not empty is also one that keeps old versions, delete markers or unfinished uploads.
    """
    places = {url: _bucket(url) for url in urls}

    def one(url: str) -> int:
        place = places[url]
        session: Any = stores.session(place)
        if options["dry_run"]:
            return _show(session, place, force=force)
        if force:
            session.head_bucket()
            _empty(session)
        try:
            session.delete_bucket()
        except BucketNotEmpty:
            if force:
                raise
            raise Refused(_not_empty(place)) from None
        if options["as_json"]:
            line_of_json({"url": place.url, "bucket": place.bucket})
        return 0

    with Stores(options) as stores:
        return each(urls, one)


def _not_empty(place: Location) -> str:
    return (
        f"{place.url} is not empty: nothing was deleted. See s3func ls -r --versions {place.url}; "
        f"s3func rb --force {place.url} deletes it with all of that"
    )


def _show(session: Any, place: Location, *, force: bool) -> int:
    """What would be deleted."""
    session.head_bucket()
    count = size = 0
    for entry in _everything(session):
        count += 1
        size += entry.size
    uploads = len(list(_uploads(session)))
    if (count or uploads) and not force:
        raise Refused(_not_empty(place))
    line(f"{place.url}\t{counted(count, 'version')}\t{counted(uploads, 'unfinished upload')}\t{size}")
    return 0


def _empty(session: Any) -> None:
    count = 0
    batch = []
    for entry in _everything(session):
        batch.append(entry)
        if len(batch) == 10_000:
            session.delete_objects(batch)
            count += len(batch)
            batch = []
    if batch:
        session.delete_objects(batch)
    count += len(batch)
    for upload in _uploads(session):
        session.abort_multipart_upload(upload.key, upload.upload_id)
    if count:
        say(f"{counted(count, 'version')} deleted")


def _everything(session: Any) -> Iterator[ObjectEntry]:
    """All versions; all objects where the store has no versions."""
    rows = iter(session.list_object_versions())
    try:
        first = next(rows, None)
    except NotImplementedByStore:
        yield from session.list_objects()
        return
    if first is not None:
        yield first
        yield from rows


def _uploads(session: Any) -> list[Any]:
    try:
        return list(session.list_multipart_uploads())
    except (NotImplementedByStore, NotSupported):
        return []
