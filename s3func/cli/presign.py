"""`s3func presign`: a URL, or the fields of a form, that lets whoever has it do one thing for a while."""

from __future__ import annotations

import shlex
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.report import shown
from s3func.cli.sync_options import usage, with_options
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
    nothing_there,
    objects_of,
)
from s3func.cli.values import byte_count, duration, name_values
from s3func.errors import NotSupported, S3FuncError

if TYPE_CHECKING:
    from s3func.connect import Location

_REGION_SECONDS = 5.0


@click.command(
    cls=DataCommand,
    examples="""
    s3func presign s3://my-bucket/report.pdf
    s3func presign --expires 7d --query response-content-disposition=attachment s3://my-bucket/report.pdf
    curl -T report.pdf "$(s3func presign --method PUT s3://my-bucket/inbox/report.pdf)"
    s3func presign --method POST --max-size 10M s3://my-bucket/inbox/photo.jpg
    """,
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True, shell_complete=complete_url)
@click.option(
    "--method",
    "-X",
    type=click.Choice(["GET", "PUT", "HEAD", "DELETE", "POST"], case_sensitive=False),
    default="GET",
    show_default=True,
    help="What may be done with it; POST is a form for browsers.",
)
@click.option(
    "--expires", default="1h", show_default=True, callback=duration, metavar="TIME", help="For so long: 90, 15m, 7d."
)
@click.option("--version-id", metavar="ID", help="This version of the object.")
@click.option("--header", "headers", multiple=True, callback=name_values, metavar="NAME=VALUE", help="Must be sent so.")
@click.option("--query", multiple=True, callback=name_values, metavar="NAME=VALUE", help="A further parameter.")
@click.option("--max-size", callback=byte_count, metavar="SIZE", help="Of POST: files up to this size.")
@with_options(RAW, JSON, ACCESS)
def presign(urls: tuple[str, ...], method: str, expires: int, **options: Any) -> int:
    """Make URLs that let whoever has them read (or write, or delete) one object, without credentials, for a while.

    The object need not exist. At AWS the region of the bucket is asked for, unless --region says it. At Backblaze B2 reading
    is all that can be given, for all keys that begin with this one. With POST the answer is a curl command, or with --json
    the address and the fields of a form; a key that ends with ${filename} takes the name of the file.
    """
    method = method.upper()
    if options["max_size"] is not None and method != "POST":
        raise click.UsageError("--max-size goes with --method POST")

    has_region = options["region"] is not None

    def one(url: str) -> int:
        place = located(url, needs_key=True)
        session: Any = stores.session(place)
        if not has_region:
            learn_region(session)
        count = 0
        for entry in objects_of(session, place.key, raw=options["raw"]):
            count += 1
            with usage():
                _make(session, place._replace(key=entry.key), method, expires, options)
        return 0 if count else nothing_there(place)

    with Stores(options) as stores:
        return each(urls, one)


def learn_region(session: Any) -> None:
    """A URL for another region than the bucket's is refused, and not redirected; only AWS has that problem."""
    if str(getattr(session, "endpoint_url", "")).endswith(".amazonaws.com"):
        with suppress(S3FuncError):
            session.limited(_REGION_SECONDS).bucket_region()


def _make(session: Any, place: Location, method: str, expires: int, options: dict[str, Any]) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=expires)
    about = {"method": method, "expires": ends, "bucket": place.bucket, "key": place.key}
    if method == "POST":
        if not hasattr(session, "presigned_post"):
            raise NotSupported("B2 has no forms: use its S3 endpoint, or a GET")
        size = options["max_size"]
        conditions = [] if size is None else [["content-length-range", 0, size]]
        url, fields = session.presigned_post(
            place.key, expires=expires, fields=options["headers"] or None, conditions=conditions
        )
        if options["as_json"]:
            line_of_json({"url": url, "fields": fields} | about)
        else:
            form = "".join(f"-F {shlex.quote(f'{name}={value}')} " for name, value in fields.items())
            line(f"curl {form}-F file=@FILE {shlex.quote(url)}")
        return
    url = session.presigned_url(
        method,
        place.key,
        expires=expires,
        version_id=options["version_id"],
        headers=options["headers"] or None,
        query=options["query"] or None,
    )
    if options["as_json"]:
        line_of_json({"url": url} | about)
    else:
        line(shown(url))
