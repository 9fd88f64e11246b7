"""`s3func mpu`: uploads in parts that were begun and never finished, whose parts are stored, and paid for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.report import shown, size_text
from s3func.cli.sync_options import with_options
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
    glob,
    is_glob,
    line,
    line_of_json,
    literal_of,
    located,
    nothing_there,
    time_text,
)
from s3func.cli.values import duration
from s3func.errors import NoSuchUpload, S3FuncError

if TYPE_CHECKING:
    from s3func.connect import Location
    from s3func.wire.s3xml_multipart import UploadEntry

_AGE = click.option(
    "--older-than", callback=duration, metavar="TIME", help="Begun longer ago than 90 (seconds), 15m, 1h30m, 7d."
)


@click.group()
def mpu() -> None:
    """Find and abort uploads in parts that were never finished (at B2: large files)."""


@mpu.command(
    cls=DataCommand,
    examples="""
    s3func mpu ls s3://my-bucket
    s3func mpu ls --long --older-than 7d s3://my-bucket
    """,
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True, shell_complete=complete_url)
@click.option(
    "--long", "-l", "is_long", is_flag=True, help="Bytes and number of the parts as well, a request for each."
)
@_AGE
@with_options(RAW, JSON, ACCESS)
def ls(urls: tuple[str, ...], is_long: bool, older_than: int | None, **options: Any) -> int:
    """List unfinished uploads: when they were begun, URL, upload id, with tabs between.

    A URL is a bucket, an object's or all below it, or a pattern.
    """

    def one(url: str) -> int:
        place = located(url)
        session: Any = stores.session(place)
        for upload in _found(session, place, older_than, raw=options["raw"]):
            parts = list(session.list_parts(upload.key, upload.upload_id)) if is_long else []
            size = sum(part.size for part in parts)
            if options["as_json"]:
                line_of_json(_fields(place, upload) | ({"parts": len(parts), "size": size} if is_long else {}))
            else:
                more = f"\t{len(parts)} parts\t{size_text(size)}" if is_long else ""
                line(f"{time_text(upload.initiated)}\t{_line(place, upload)}{more}")
        return 0

    with Stores(options) as stores:
        return each(urls, one)


@mpu.command(
    cls=DataCommand,
    examples="""
    s3func mpu abort --older-than 7d s3://my-bucket
    s3func mpu abort --upload-id ID s3://my-bucket/big.iso
    """,
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True, shell_complete=complete_url)
@_AGE
@click.option("--upload-id", metavar="ID", help="This upload, as `mpu ls` shows it.")
@click.option("--all", "everything", is_flag=True, help="All of them, also those that somebody is working on.")
@with_options(RAW, DRY_RUN, JSON, ACCESS)
def abort(
    urls: tuple[str, ...], older_than: int | None, upload_id: str | None, everything: bool, **options: Any
) -> int:
    """Abort unfinished uploads, and print each one. Which ones must be said: --older-than, --upload-id or --all.

    Their age is reckoned by the store's clock (at B2, this machine's). One that somebody finishes meanwhile is left alone.
    """
    if sum((older_than is not None, upload_id is not None, everything)) != 1:
        raise click.UsageError("say which: --older-than TIME, --upload-id ID or --all")

    def one(url: str) -> int:
        place = located(url, needs_key=upload_id is not None)
        session: Any = stores.session(place)
        count = 0
        for upload in list(_found(session, place, older_than, raw=options["raw"])):
            if upload_id is not None and upload.upload_id != upload_id:
                continue
            if not options["dry_run"]:
                try:
                    session.abort_multipart_upload(upload.key, upload.upload_id)
                except NoSuchUpload:
                    # Finished or aborted by somebody else meanwhile.
                    continue
            count += 1
            if options["as_json"]:
                line_of_json(_fields(place, upload))
            else:
                line(_line(place, upload))
        return nothing_there(place) if upload_id is not None and not count else 0

    with Stores(options) as stores:
        return each(urls, one)


def _found(session: Any, place: Location, older_than: int | None, *, raw: bool) -> Iterator[UploadEntry]:
    """The uploads that a URL means. Refused where an age is asked for and the store does not tell it."""
    key = place.key
    pattern = glob(key, below=True) if is_glob(key, raw=raw) else None
    folder = key if key.endswith("/") or not key else key + "/"
    # An age of 0 is everybody, whatever the clocks say.
    latest = None if not older_than else _store_time(session) - older_than
    for upload in session.list_multipart_uploads(literal_of(key) if pattern else key or None):
        if pattern is not None and pattern.fullmatch(upload.key) is None:
            continue
        if pattern is None and upload.key != key and not upload.key.startswith(folder):
            continue
        if latest is not None:
            if upload.initiated is None:
                raise Refused(
                    f"the store does not tell when the upload of {place._replace(key=upload.key).url} was begun"
                )
            if upload.initiated.timestamp() > latest:
                continue
        yield upload


def _store_time(session: Any) -> float:
    """The store's time where an answer of it tells, else our own."""
    from s3func.wire.encoding import parse_http_date

    try:
        told: datetime = parse_http_date(session.head_bucket().headers["date"])
    except (KeyError, ValueError, S3FuncError):
        return time.time()
    return told.timestamp()


def _fields(place: Location, upload: UploadEntry) -> dict[str, Any]:
    return {
        "url": place._replace(key=upload.key).url,
        "bucket": place.bucket,
        "key": upload.key,
        "upload_id": upload.upload_id,
        "initiated": upload.initiated,
        "storage_class": upload.storage_class,
    }


def _line(place: Location, upload: UploadEntry) -> str:
    return f"{shown(place._replace(key=upload.key).url)}\t{shown(upload.upload_id)}"
