"""`s3func cat` and `put`: objects at the ends of a pipe."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.sync_options import usage, with_options
from s3func.cli.teaching import complete_url
from s3func.cli.urls import (
    ACCESS,
    BLOCK,
    DRY_RUN,
    JSON,
    RAW,
    DataCommand,
    Stores,
    each,
    line,
    line_of_json,
    located,
    missing,
    nothing_there,
    object_of,
    objects_of,
)
from s3func.cli.values import name_values
from s3func.errors import NoSuchKey, PreconditionFailed

if TYPE_CHECKING:
    from s3func.connect import Location
    from s3func.session import Session

Range = tuple[int | None, int | None]


def _range(ctx: click.Context, param: click.Parameter, value: str | None) -> Range:
    """First and last byte, as get_object takes them."""
    if value is None:
        return None, None
    first, dash, last = value.partition("-")
    is_good = (
        dash and (first or last) and all(not text or (text.isascii() and text.isdecimal()) for text in (first, last))
    )
    if not is_good or (first and last and int(first) > int(last)):
        raise click.BadParameter(f"{value!r} is not FIRST-LAST, FIRST- or -COUNT, in bytes from 0", ctx, param)
    return (int(first) if first else None), (int(last) if last else None)


@click.command(
    cls=DataCommand,
    examples="""
    s3func cat s3://my-bucket/logs/2026.gz | zcat | grep ERROR
    s3func cat --range -512 s3://my-bucket/big.zip | xxd
    """,
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True, shell_complete=complete_url)
@click.option(
    "--range", "bounds", callback=_range, metavar="FIRST-LAST", help="These bytes; 100- from there on, -100 the last."
)
@click.option("--version-id", metavar="ID", help="This version of the object.")
@with_options(RAW, ACCESS)
def cat(urls: tuple[str, ...], bounds: Range, version_id: str | None, **options: Any) -> int:
    """Write objects to stdout, one after the other, byte for byte.

    What breaks on its way is asked for again from there; a checksum that the store keeps is compared at the end, and a
    difference is exit code 1.
    """

    def one(url: str) -> int:
        place = located(url, needs_key=True)
        session = stores.session(place)
        count = 0
        for entry in objects_of(session, place.key, raw=options["raw"]):
            count += 1
            try:
                _write(session, entry.key, bounds, version_id)
            except NoSuchKey:
                raise missing(session, place._replace(key=entry.key)) from None
        return 0 if count else nothing_there(place)

    with Stores(options) as stores:
        return each(urls, one)


def _write(session: Session, key: str, bounds: Range, version_id: str | None) -> None:
    if bounds == (None, None):
        # Large ones come on several connections.
        session.download_file(key, sys.stdout.buffer, version_id=version_id)
        sys.stdout.buffer.flush()
        return
    get: Any = session.get_object
    with get(key, version_id=version_id, range_start=bounds[0], range_end=bounds[1], stream=True) as found:
        shutil.copyfileobj(found, sys.stdout.buffer, BLOCK)
    sys.stdout.buffer.flush()


@click.command(
    cls=DataCommand,
    examples="""
    pg_dump shop | gzip | s3func put - s3://my-bucket/dumps/shop.gz
    s3func put report.csv s3://my-bucket/reports/ --content-type text/csv
    """,
)
@click.argument("source", metavar="FILE|-", shell_complete=complete_url)
@click.argument("url", metavar="URL", shell_complete=complete_url)
@click.option("--content-type", metavar="TYPE", help="As text/csv.")
@click.option("--content-encoding", metavar="CODING", help="As gzip.")
@click.option("--cache-control", metavar="RULE", help="As max-age=3600.")
@click.option("--storage-class", metavar="CLASS", help="As STANDARD_IA.")
@click.option(
    "--metadata", multiple=True, callback=name_values, metavar="NAME=VALUE", help="Kept with it; may be repeated."
)
@click.option("--no-clobber", is_flag=True, help="Fail if there is such an object, also one that appears meanwhile.")
@with_options(DRY_RUN, JSON, ACCESS)
def put(source: str, url: str, no_clobber: bool, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Store a file, or stdin (-), whose length nobody need know, as the object URL.

    The object appears whole when everything has arrived, and not at all if reading or sending fails. Behind a slash the
    file's name is added. Folders: see s3func cp --recursive.
    """
    if os.path.isdir(source):
        raise click.UsageError(f"{source} is a folder: s3func cp --recursive {source} {url}")
    place = object_of(located(url), "" if source == "-" else source.rpartition("/")[2])
    if dry_run:
        line(f"{source} -> {place.url}")
        return 0
    with Stores(options) as stores:
        session = stores.session(place)
        fields = {name: value for name, value in options.items() if value}
        if no_clobber and session.capabilities.conditional_writes:
            fields["if_none_match"] = "*"
        elif no_clobber and session.exists(place.key):
            raise _exists(place)
        try:
            result = _store(session, source, place.key, fields)
        except PreconditionFailed:
            raise _exists(place) from None
    if as_json:
        about = {"url": place.url, "bucket": place.bucket, "key": place.key}
        line_of_json(about | {"etag": result.etag, "version_id": result.version_id})
    return 0


def _exists(place: Location) -> click.ClickException:
    return click.ClickException(f"{place.url} exists; without --no-clobber it is replaced")


def _store(session: Session, source: str, key: str, fields: dict[str, Any]) -> Any:
    with usage():
        if source != "-":
            return session.upload_file(source, key, **fields)
        opened: Any = session.open
        with opened(key, "wb", **fields) as writer:
            shutil.copyfileobj(sys.stdin.buffer, writer, BLOCK)
        return writer.result
