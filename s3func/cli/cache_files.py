"""`s3func cache ls`, `stats`, `clean` and `clear`: the files that S3Objects keep, see s3func/files/cache.py.

Nothing is deleted that only this disk has: what was edited here, or whose object is not in the store exactly so, stays.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.report import counted, parse_size, shown, size_text
from s3func.cli.sync_options import STORE, say, usage, with_options
from s3func.cli.urls import DRY_RUN, JSON, DataCommand, Stores, line, line_of_json, tell, time_text
from s3func.cli.values import duration
from s3func.errors import S3FuncError

if TYPE_CHECKING:
    from s3func.files.cache import Cache, Kept

_ROOT = (
    click.option(
        "--root",
        type=click.Path(file_okay=False),
        metavar="DIR",
        help="Another cache than ~/.cache/s3func ($XDG_CACHE_HOME).",
    ),
)


@click.command(
    cls=DataCommand,
    examples="""
    s3func cache ls
    s3func cache ls --json | jq -r 'select(.edited) | .path'
    """,
)
@with_options(_ROOT, JSON)
def ls(root: str | None, as_json: bool) -> int:
    """List the files, those first that were not used for longest: bytes, last use, state, URL, with tabs between.

    The state is `clean`, or `edited`: changed here and not in the store yet.
    """
    kept = _cache(root)
    for entry in sorted(kept.entries(), key=lambda entry: (entry.used, entry.record.path)):
        used = datetime.fromtimestamp(entry.used, UTC)
        is_edited = _is_edited(kept, entry)
        if as_json:
            about = {"url": entry.record.url, "path": entry.record.path, "size": entry.size}
            line_of_json(about | {"last_used": used, "edited": is_edited})
        else:
            state = "edited" if is_edited else "clean"
            line(f"{entry.size}\t{time_text(used)}\t{state}\t{shown(entry.record.url)}")
    return 0


@click.command(
    cls=DataCommand,
    examples="""
    s3func cache stats
    s3func cache stats --workspace 1465
    """,
)
@click.option("--workspace", type=click.IntRange(min=0), metavar="N", help="Only of this workspace of Drime.")
@with_options(JSON)
def stats(workspace: int | None, as_json: bool) -> int:
    """Show how much each cache holds, and where it is."""
    from s3func.cli.cache import STATS, imported

    for place in STATS.values():
        imported(place)(as_json=as_json, workspace=workspace)
    return 0


def show_stats(*, as_json: bool, workspace: int | None = None) -> None:
    """The files of S3Objects: a line for all of them."""
    if workspace is not None:
        return
    kept = _cache(None)
    entries = list(kept.entries())
    size = sum(entry.size for entry in entries)
    edited = sum(_is_edited(kept, entry) for entry in entries)
    if as_json:
        line_of_json({"cache": "files", "path": kept.root, "files": len(entries), "size": size, "edited": edited})
    else:
        line(f"files: {counted(len(entries), 'file')}, {size_text(size)}, {edited} edited, in {shown(kept.root)}")


@click.command(
    cls=DataCommand,
    examples="""
    s3func cache clean --older-than 30d
    s3func cache clean --max-size 10G --dry-run
    """,
)
@click.option("--older-than", callback=duration, metavar="TIME", help="What was not used for 90 (seconds), 12h, 30d.")
@click.option("--max-size", metavar="SIZE", help="What was not used for longest, until the rest has at most 10G.")
@with_options(_ROOT, DRY_RUN, JSON, STORE)
def clean(older_than: int | None, max_size: str | None, root: str | None, **options: Any) -> int:
    """Delete files that were not used for long, and print their URLs.

    Each one only if the store still has exactly that: what was edited here, and what is not there any more, stays.
    """
    if older_than is None and max_size is None:
        raise click.UsageError("say how much: --older-than TIME, --max-size SIZE, or s3func cache clear")
    with usage():
        limit = None if max_size is None else 0 if max_size == "0" else parse_size(max_size)
    kept = _cache(root)
    entries = sorted(kept.entries(), key=lambda entry: (entry.used, entry.record.path))
    left = sum(entry.size for entry in entries)
    latest = None if older_than is None else datetime.now(UTC).timestamp() - older_than

    def is_wanted(entry: Kept) -> bool:
        return (latest is not None and entry.used <= latest) or (limit is not None and left > limit)

    def evicted(entry: Kept) -> None:
        nonlocal left
        left -= entry.size

    return _evict(kept, entries, is_wanted, evicted, options)


@click.command(
    cls=DataCommand,
    examples="""
    s3func cache clear --dry-run
    """,
)
@with_options(_ROOT, DRY_RUN, JSON, STORE)
def clear(root: str | None, **options: Any) -> int:
    """Delete all files that the store still has exactly so, and print their URLs; the others stay, and are counted."""
    kept = _cache(root)
    entries = sorted(kept.entries(), key=lambda entry: entry.record.path)
    return _evict(kept, entries, lambda _: True, lambda _: None, options)


def _evict(
    kept: Cache,
    entries: list[Kept],
    is_wanted: Callable[[Kept], bool],
    evicted: Callable[[Kept], None],
    options: dict[str, Any],
) -> int:
    """Evict what is wanted; the exit code. What stays is not an error, but what could not be asked for is."""
    code = stayed = 0
    with Stores(options) as stores:
        for entry in entries:
            if not is_wanted(entry):
                continue
            try:
                is_gone = not _is_edited(kept, entry) if options["dry_run"] else _is_gone(kept, entry, stores)
            except S3FuncError as error:
                tell(error)
                code = 1
                continue
            if not is_gone:
                stayed += 1
                continue
            evicted(entry)
            if options["as_json"]:
                line_of_json({"url": entry.record.url, "path": entry.record.path, "size": entry.size})
            else:
                line(shown(entry.record.url))
    if stayed:
        say(f"{counted(stayed, 'file')} not deleted: edited here, or not in the store exactly so")
    return code


def _is_gone(kept: Cache, entry: Kept, stores: Stores) -> bool:
    from s3func.connect import parse

    if not kept.evict(entry.record, stores.session(parse(entry.record.url))):
        return False
    # Folders that are empty now; one that is not stops the way up.
    folder = os.path.dirname(entry.record.path)
    with suppress(OSError):
        while kept.contains(folder):
            os.rmdir(folder)
            folder = os.path.dirname(folder)
    return True


def _is_edited(kept: Cache, entry: Kept) -> bool:
    from s3func.files.cache import fingerprint

    return entry.record.pending or not kept.records.is_as_it_was(entry.record, fingerprint(entry.record.path))


def _cache(root: str | None) -> Cache:
    from s3func.files.cache import Cache

    return Cache(root)
