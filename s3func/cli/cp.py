"""`s3func cp`: objects and files, or with --recursive all that is in a folder or below a prefix.

Single ones are copied by copying.py, exactly; a folder is copied by the engine of `sync`, which reads both sides and plans.
"-" is stdin or stdout.
"""

from __future__ import annotations

import os
from typing import Any

import click

from s3func.cli.copying import Copier, Source, Target, carry_out_each, pairs
from s3func.cli.sync import carry_out
from s3func.cli.sync_options import (
    CARRYING,
    FILTERS,
    OUTPUT,
    SIDES,
    carrying_of,
    filters_of,
    sides_of,
    usage,
    with_options,
)
from s3func.cli.teaching import complete_url
from s3func.cli.urls import ACCESS, RAW, DataCommand, Stores, is_glob, located


@click.command(
    cls=DataCommand,
    examples="""
    s3func cp report.pdf s3://my-bucket/reports/
    s3func cp *.csv s3://my-bucket/incoming/
    s3func cp 's3://my-bucket/logs/2026-*.gz' logs/
    s3func cp --recursive ./photos s3://my-bucket/photos
    s3func cp --recursive s3://my-bucket/photos b2://backup/photos
    """,
)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, shell_complete=complete_url)
@click.argument("target", metavar="TARGET", shell_complete=complete_url)
@click.option("--recursive", "-r", is_flag=True, help="All that is in the folder, or below the prefix.")
@click.option("--no-clobber", is_flag=True, help="Leave alone what is there already.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted copy of one file ended.")
@with_options(RAW, CARRYING, FILTERS, SIDES, ACCESS, OUTPUT)
def cp(sources: tuple[str, ...], target: str, recursive: bool, no_clobber: bool, resume: bool, **options: Any) -> int:
    """Copy SOURCEs to TARGET: paths and s3:// or b2:// URLs, of a pair one at least a URL.

    A TARGET that ends with a slash, or is a folder, gets them under their names. With --recursive what lies in SOURCE comes
    to lie in TARGET. Without it the options of the store, --bwlimit, --progress, --fsync, --no-verify, --verbose, --json
    and --dry-run have a meaning.
    """
    from s3func.connect import is_url

    raw = options.pop("raw")
    is_pattern = [is_url(text) and is_glob(located(text).key, raw=raw) for text in sources]
    if recursive and not any(is_pattern):
        if len(sources) > 1:
            raise click.UsageError(
                "--recursive takes one SOURCE: the folder of them all, with --include for some of it"
            )
        return _copy_tree(sources[0], target, options, no_clobber=no_clobber)
    if (filters_of(options)) is not None:
        raise click.UsageError("--include, --exclude and the like choose what is in a folder: they go with --recursive")
    with Stores(options) as stores:
        copier = Copier(stores, options | {"resume": resume}, no_clobber=no_clobber)
        found = pairs(stores, sources, target, recursive=recursive, raw=raw)
        copier.has_bar = len(found) == 1

        def one(source: Source, place: Target) -> bool:
            return copier.copy(source, place) is not None

        return carry_out_each(found, one, options, verb="cp")


def _copy_tree(source: str, target: str, options: dict[str, Any], *, no_clobber: bool) -> int:
    from s3func.connect import is_url
    from s3func.sync.plans import plan

    if not is_url(source) and not os.path.isdir(source):
        raise click.UsageError(f"{source!r} is no folder")
    if is_url(source):
        with Stores(dict(options)) as stores:
            _check_below(stores, source)
    how, filters = carrying_of(options), filters_of(options)
    with usage():
        steps = plan(
            source, target, compare="missing" if no_clobber else "always", filters=filters, **sides_of(options)
        )
    with steps:
        return carry_out(steps, how, options)


def _check_below(stores: Stores, url: str) -> None:
    """A prefix with nothing below it is most likely a slip: ClickException, with what may have been meant."""
    place = located(url)
    if not place.key:
        return
    below = place.key if place.key.endswith("/") else place.key + "/"
    session: Any = stores.session(place)
    if next(iter(session.list_objects(below, max_keys=1)), None) is None:
        hint = ": it is an object, and no folder" if below != place.key and session.exists(place.key) else ""
        raise click.ClickException(f"nothing is there below {place._replace(key=below).url}{hint}")
