"""`s3func cache cleanup`, `vacuum` and `migrate`, and its row of `stats`: what the Drime backend keeps of its objects.

That is their MD5, which can be read again, and their metadata and content headers, which exist nowhere else: forgetting
them is asked for by name. See s3func/server/backends/drime.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.report import counted, shown, size_text
from s3func.cli.sync_options import say, with_options
from s3func.cli.urls import DRY_RUN, JSON, DataCommand, line, line_of_json, tell, time_text
from s3func.errors import S3FuncError

if TYPE_CHECKING:
    from s3func.server.backends.drime import Database, DrimeBackend

_CACHE = (
    click.option(
        "--cache-path",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Another file than ~/.local/state/s3func/drime/metadata.db ($XDG_STATE_HOME).",
    ),
)
_WORKSPACE = click.option("--workspace", type=click.IntRange(min=0), metavar="N", help="Of this workspace of Drime.")
_BUCKET = click.option("--bucket", metavar="NAME", help="Of this bucket.")


def show_stats(*, as_json: bool, workspace: int | None = None) -> None:
    """A line for each workspace of which something is known, and one for all of them."""
    database = _open(None)
    if database is None:
        return
    from s3func.server.backends.drime import cache_stats

    with closing(database):
        found = cache_stats(database, workspace)
    for each in found:
        oldest, newest = (datetime.fromtimestamp(time, UTC) for time in (each.oldest, each.newest))
        if as_json:
            about = {"cache": "drime", "path": database.path, "workspace": each.workspace, "files": each.files}
            line_of_json(about | {"size": each.size, "oldest": oldest, "newest": newest})
        else:
            span = f"from {time_text(oldest)} to {time_text(newest)}"
            line(f"drime: workspace {each.workspace}: {counted(each.files, 'file')}, {size_text(each.size)}, {span}")
    if not as_json:
        files, size = sum(each.files for each in found), sum(each.size for each in found)
        line(f"drime: {counted(files, 'file')}, {size_text(size)}, in {shown(database.path)}")


@click.command(
    cls=DataCommand,
    examples="""
    s3func cache cleanup --workspace 1465 --bucket my-bucket --dry-run
    s3func cache cleanup --all
    """,
)
@_WORKSPACE
@_BUCKET
@click.option("--all", "is_all", is_flag=True, help="Everything; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_options(_CACHE, DRY_RUN, JSON)
def cleanup(
    workspace: int | None,
    bucket: str | None,
    is_all: bool,
    yes: bool,
    cache_path: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Forget what is known of objects in Drime: their MD5s, which can be read again, and their metadata, which cannot.

    The objects themselves stay. Exit code 1 if the answer to the question of --all is no.
    """
    if is_all == (workspace is not None or bucket is not None):
        raise click.UsageError("say whose: --workspace N and --bucket NAME, or --all")
    database = _open(cache_path)
    if database is None:
        say("nothing is known of objects in Drime")
        return 0
    from s3func.server.backends.drime import cleanup as forget

    with closing(database):
        if is_all and not (dry_run or yes):
            files, _ = forget(database, dry_run=True)
            if not click.confirm(f"Forget MD5s and metadata of {counted(files, 'object')}?", err=True):
                return 1
        files, size = forget(database, workspace=workspace, bucket=bucket, dry_run=dry_run)
    if as_json:
        line_of_json({"path": database.path, "files": files, "size": size, "dry_run": dry_run})
    else:
        line(f"{'would forget' if dry_run else 'forgot'} {counted(files, 'object')}, {size_text(size)}")
    return 0


@click.command(
    cls=DataCommand,
    examples="""
    s3func cache vacuum
    """,
)
@with_options(_CACHE, JSON)
def vacuum(cache_path: str | None, as_json: bool) -> int:
    """Give the space of what was forgotten back to the disk."""
    database = _open(cache_path)
    if database is None:
        say("nothing is known of objects in Drime")
        return 0
    with closing(database):
        before, after = database.vacuum()
    if as_json:
        line_of_json({"path": database.path, "before": before, "after": after})
    else:
        line(f"{size_text(before)} before, {size_text(after)} after, in {shown(database.path)}")
    return 0


@click.command(
    cls=DataCommand,
    examples="""
    s3func cache migrate --backend-config mydrime --dry-run
    s3func cache migrate --backend-config mydrime --bucket my-bucket
    """,
)
@click.option(
    "--backend-config",
    metavar="NAME",
    help="The backend of this name in backends.toml (s3func config). Without it, the variables DRIME_API_KEY, "
    "DRIME_WORKSPACE_ID and DRIME_API_URL say what they do for s3func serve --backend drime.",
)
@_WORKSPACE
@_BUCKET
@with_options(_CACHE, DRY_RUN, JSON)
def migrate(
    backend_config: str | None,
    workspace: int | None,
    bucket: str | None,
    cache_path: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Read objects in Drime whose MD5 is not known, because others uploaded them, and print them.

    It may be interrupted: what was read is remembered.
    """
    code = 0
    with closing(_backend(backend_config, workspace, cache_path)) as backend:
        try:
            for name, key, size in _objects(backend, bucket):
                try:
                    if backend.knows(name, key) or not (dry_run or backend.hash_object(name, key)):
                        continue
                except S3FuncError as error:
                    tell(error)
                    code = 1
                    continue
                if as_json:
                    line_of_json({"bucket": name, "key": key, "size": size})
                else:
                    line(f"{size}\t{shown(name)}/{shown(key)}")
        except S3FuncError as error:
            raise click.ClickException(str(error)) from None
    return code


def _objects(backend: DrimeBackend, bucket: str | None) -> Iterator[tuple[str, str, int]]:
    for name in [info.name for info in backend.list_buckets()] if bucket is None else [bucket]:
        start_after: str | None = ""
        while start_after is not None:
            page = backend.list_objects(name, start_after=start_after)
            yield from ((name, row.key, row.size) for row in page.rows)
            start_after = page.next_start_after


def _backend(name: str | None, workspace: int | None, cache_path: str | None) -> DrimeBackend:
    from s3func.cli.stores import OPTIONS, choose, open_store
    from s3func.server.backends.drime import DrimeBackend

    settings: list[str] = []
    if workspace is not None:
        settings.append(f"workspace_id={workspace}")
    if cache_path is not None:
        settings.append(f"cache_path={cache_path}")
    options: dict[str, Any] = {option.removeprefix("--").replace("-", "_"): None for option in OPTIONS.values()}
    options |= {"backend_name": "drime", "backend_config": name, "assignments": settings}
    backend = open_store(choose(options))
    assert isinstance(backend, DrimeBackend)
    return backend


def _open(cache_path: str | None) -> Database | None:
    """The cache; None where there is none, which is not made by looking at it."""
    from s3func.server.backends.drime import Database, default_cache_path

    path = os.path.abspath(cache_path or default_cache_path())
    if not os.path.exists(path):
        return None
    try:
        return Database(path)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
