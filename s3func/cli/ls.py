"""`s3func ls`, `du` and `stat`: what is in a store, how much it is, and what is known of an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from s3func.cli.report import shown, size_text
from s3func.cli.sync_options import with_options
from s3func.cli.teaching import complete_url
from s3func.cli.urls import (
    ACCESS,
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
    objects_of,
    rows_of,
    time_text,
)
from s3func.errors import NotFound
from s3func.models import ObjectEntry

if TYPE_CHECKING:
    from s3func.connect import Location
    from s3func.session import Session

_HUMAN = click.option("--human", "-H", is_flag=True, help="Sizes as 24.3 MiB.")


@click.command(
    cls=DataCommand,
    examples="""
    s3func ls s3://my-bucket/logs/
    s3func ls -lH 's3://my-bucket/logs/2026-*.gz'
    s3func ls -r --json s3://my-bucket | jq -r .key
    """,
)
@click.argument("urls", metavar="[URL]...", nargs=-1, shell_complete=complete_url)
@click.option("--long", "-l", "is_long", is_flag=True, help="Bytes and time of each object as well.")
@click.option("--recursive", "-r", is_flag=True, help="All that is below, not the folders.")
@_HUMAN
@click.option("--versions", is_flag=True, help="All versions and delete markers.")
@with_options(RAW, JSON, ACCESS)
def ls(urls: tuple[str, ...], **options: Any) -> int:
    """List buckets, folders and objects, a URL per line.

    Without a URL (or for s3:// and b2://) the buckets. A key may be a pattern: * and ? stay inside of a folder, ** does
    not. Exit code 1 where nothing is there.
    """
    with Stores(options) as stores:
        return each(urls or ("s3://",), lambda url: _list(stores, url, options))


def _list(stores: Stores, url: str, options: dict[str, Any]) -> int:
    scheme, _, rest = url.partition("://")
    if not rest and scheme.lower() in {"s3", "b2"}:
        return _list_buckets(stores, scheme.lower(), options)
    place = located(url)
    count = 0
    how = {name: options[name] for name in ("raw", "recursive", "versions")}
    for row in rows_of(stores.session(place), place.key, **how):
        count += 1
        if options["as_json"]:
            line_of_json(_fields(place, row))
        else:
            line(_line(place, row, options))
    return nothing_there(place) if place.key and not count else 0


def _list_buckets(stores: Stores, scheme: str, options: dict[str, Any]) -> int:
    session: Any = stores.account(scheme)
    for entry in session.list_buckets():
        url = f"{scheme}://{entry.name}"
        if options["as_json"]:
            about = {"creation_date": entry.creation_date, "region": entry.region}
            line_of_json({"type": "bucket", "url": url, "bucket": entry.name} | about)
        else:
            line(f"{'-':>12}  {time_text(entry.creation_date):20}  {url}" if options["is_long"] else url)
    return 0


def _fields(place: Location, row: ObjectEntry | str) -> dict[str, Any]:
    """A row as data; `type` says which of the others there are."""
    if isinstance(row, str):
        return {"type": "prefix", "url": place._replace(key=row).url, "bucket": place.bucket, "key": row}
    kind = "object"
    if row.is_latest is not None:
        kind = "delete_marker" if row.delete_marker else "version"
    about: dict[str, Any] = {
        "type": kind,
        "url": place._replace(key=row.key).url,
        "bucket": place.bucket,
        "key": row.key,
    }
    if kind != "delete_marker":
        about |= {"size": row.size, "etag": row.etag, "storage_class": row.storage_class}
    return about | {
        "last_modified": row.last_modified,
        "version_id": row.version_id,
        "is_latest": row.is_latest,
    }


def _line(place: Location, row: ObjectEntry | str, options: dict[str, Any]) -> str:
    if isinstance(row, str):
        url = shown(place._replace(key=row).url)
        return f"{'-':>12}  {'-':20}  {url}" if options["is_long"] else url
    url = shown(place._replace(key=row.key).url)
    if options["versions"]:
        state = "deleted" if row.delete_marker else "latest" if row.is_latest else "old"
        url = f"{url}\t{row.version_id}\t{state}"
    if not options["is_long"]:
        return url
    size = "-" if row.delete_marker else size_text(row.size) if options["human"] else str(row.size)
    return f"{size:>12}  {time_text(row.last_modified):20}  {url}"


@click.command(
    cls=DataCommand,
    examples="""
    s3func du -H s3://my-bucket/photos
    s3func du --depth 1 s3://my-bucket | sort -n
    """,
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True, shell_complete=complete_url)
@click.option("--depth", type=click.IntRange(min=0), default=0, metavar="N", help="A line per folder, so deep.")
@_HUMAN
@click.option("--versions", is_flag=True, help="All versions, which is what is paid for.")
@with_options(RAW, JSON, ACCESS)
def du(urls: tuple[str, ...], depth: int, **options: Any) -> int:
    """Count bytes and objects below URL: a line of bytes, objects, URL, divided by tabs."""
    with Stores(options) as stores:
        return each(urls, lambda url: _count(stores, located(url), depth, options))


def _count(stores: Stores, place: Location, depth: int, options: dict[str, Any]) -> int:
    # Folders in the order in which they end, which is how du prints them; the whole comes last.
    totals: dict[str, list[int]] = {}
    whole = [0, 0]
    session = stores.session(place)
    base = place.key if place.key.endswith("/") or not place.key else place.key + "/"
    is_pattern = False
    for row in objects_of(session, place.key, raw=options["raw"], recursive=True, versions=options["versions"]):
        parts = row.key.removeprefix(base).split("/")[:-1] if row.key.startswith(base) else []
        names = [base + "/".join(parts[: level + 1]) + "/" for level in range(min(depth, len(parts)))]
        for total in (whole, *(totals.setdefault(name, [0, 0]) for name in names)):
            total[0] += row.size
            total[1] += not row.delete_marker
        is_pattern = True
    if not is_pattern and place.key:
        return nothing_there(place)
    for key, (size, count) in [*sorted(totals.items()), (place.key, whole)]:
        url = place._replace(key=key).url
        if options["as_json"]:
            line_of_json({"url": url, "bucket": place.bucket, "key": key, "size": size, "objects": count})
        else:
            line(f"{size_text(size) if options['human'] else size}\t{count}\t{shown(url)}")
    return 0


@click.command(
    cls=DataCommand,
    examples="""
    s3func stat s3://my-bucket/report.pdf
    s3func stat --json s3://my-bucket/report.pdf | jq .size
    """,
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True, shell_complete=complete_url)
@click.option("--version-id", metavar="ID", help="This version of the object.")
@with_options(RAW, JSON, ACCESS)
def stat(urls: tuple[str, ...], version_id: str | None, **options: Any) -> int:
    """Show what the store knows of objects: size, ETag, time, type, version, metadata; of a bucket, that it is there.

    Exit code 1 where there is no such object: `s3func stat URL >/dev/null && …` is a test.
    """

    def each_of(url: str) -> int:
        place = located(url)
        session = stores.session(place)
        if not place.key:
            _show_bucket(session, place, as_json=options["as_json"])
            return 0
        count = 0
        for row in objects_of(session, place.key, raw=options["raw"]):
            count += 1
            one = place._replace(key=row.key)
            try:
                _show(session, one, version_id, as_json=options["as_json"])
            except NotFound:
                raise missing(session, one) from None
        return 0 if count else nothing_there(place)

    with Stores(options) as stores:
        return each(urls, each_of)


def _show_bucket(session: Session, place: Location, *, as_json: bool) -> None:
    bucket: Any = session
    head = bucket.head_bucket()
    region = head.headers.get("x-amz-bucket-region")
    if as_json:
        line_of_json({"url": place.url, "bucket": place.bucket, "region": region})
        return
    line(f"url: {place.url}")
    if region:
        line(f"region: {region}")


def _show(session: Session, place: Location, version_id: str | None, *, as_json: bool) -> None:
    head = session.head_object(place.key, version_id)
    about: dict[str, Any] = {
        "url": place.url,
        "bucket": place.bucket,
        "key": place.key,
        "size": head.size,
        "etag": head.etag,
        "last_modified": head.last_modified,
        "content_type": head.content_type,
        "storage_class": head.storage_class,
        "version_id": head.version_id,
    }
    names = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
    about |= {name.replace("-", "_"): head.headers.get(name) for name in names}
    metadata = head.user_metadata
    if as_json:
        line_of_json(about | {"metadata": metadata})
        return
    for name, value in about.items():
        if value is not None and name not in {"bucket", "key"}:
            line(f"{name}: {time_text(value) if name == 'last_modified' else shown(str(value))}")
    for name, value in sorted(metadata.items()):
        line(f"metadata.{shown(name)}: {shown(value)}")
