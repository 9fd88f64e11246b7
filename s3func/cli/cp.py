"""`s3func cp`: one object or file, or with --recursive all that is in a folder or below a prefix.

A single copy is exact: the key is the key. Where the target ends with a slash, or is a folder, the last part of the
source's name is added. "-" is stdin or stdout.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.sync import carry_out
from s3func.cli.sync_options import (
    CARRYING,
    FILTERS,
    OUTPUT,
    SIDES,
    STORE,
    carrying_of,
    filters_of,
    sides_of,
    usage,
    with_options,
)
from s3func.errors import ObjectExists, S3FuncError

if TYPE_CHECKING:
    from s3func.connect import Location
    from s3func.session import Session
    from s3func.transport.transfer import TransferConfig

_BLOCK = 1 << 20


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.option("--recursive", "-r", is_flag=True, help="All that is in the folder, or below the prefix.")
@click.option("--no-clobber", is_flag=True, help="Leave alone what is there already.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted copy of this one file ended.")
@with_options(CARRYING, FILTERS, SIDES, STORE, OUTPUT)
def cp(source: str, target: str, recursive: bool, no_clobber: bool, resume: bool, **options: Any) -> int:
    """Copy SOURCE to TARGET: paths and s3:// or b2:// URLs, one of them at least a URL.

    Without --recursive one object or file; of the other options, those of the store, --bwlimit, --progress, --fsync,
    --no-verify and --dry-run have a meaning then.
    """
    from s3func.connect import is_url

    if not recursive:
        return _copy_one(source, target, options | {"resume": resume}, no_clobber=no_clobber)
    from s3func.sync.plans import plan

    if not is_url(source) and not os.path.isdir(source):
        raise click.UsageError(f"{source!r} is no folder")
    how, filters = carrying_of(options), filters_of(options)
    with usage():
        steps = plan(
            source, target, compare="missing" if no_clobber else "always", filters=filters, **sides_of(options)
        )
    with steps:
        return carry_out(steps, how, options)


def _copy_one(source: str, target: str, options: dict[str, Any], *, no_clobber: bool) -> int:
    from s3func.connect import connect, is_url, parse

    sides = [is_url(source), is_url(target)]
    if not any(sides):
        raise click.UsageError("neither SOURCE nor TARGET is a URL of a store")
    where = {name: options[name] for name in ("endpoint_url", "profile", "region")}
    with usage():
        source_place, target_place = (
            parse(text) if is_one else None for text, is_one in zip((source, target), sides, strict=True)
        )
    if source_place is not None and not source_place.key:
        raise click.UsageError(f"{source!r} is a bucket; all that is in it is copied with --recursive")
    name = source.rpartition("/")[2] if source_place is None else source_place.key.rpartition("/")[2]
    target_place = _object_of(target_place, os.path.basename(source) if source_place is None else name)
    if options["dry_run"]:
        click.echo(f"{source} -> {target if target_place is None else target_place.url}")
        return 0
    with ExitStack() as stack:

        def opened(place: Location) -> Session:
            with usage():
                return stack.enter_context(connect(place, **where))

        transfer = _transfer_of(options)
        if source_place is None:
            assert target_place is not None
            _upload(opened(target_place), source, target_place.key, options, transfer, no_clobber=no_clobber)
        elif target_place is None:
            path = target
            if target != "-":
                path = _file_of(target, name)
                if no_clobber and os.path.lexists(path):
                    return 0
            _download(opened(source_place), source_place.key, path, options, transfer)
        else:
            _between(opened(source_place), source_place, opened(target_place), target_place, no_clobber=no_clobber)
    return 0


def _object_of(place: Location | None, name: str) -> Location | None:
    """The object that a target URL means."""
    if place is None or (place.key and not place.key.endswith("/")):
        return place
    if name in {"", "-"}:
        raise click.UsageError("TARGET needs a key: the source has no name")
    return place._replace(key=place.key + name)


def _file_of(path: str, name: str) -> str:
    """The file that a target path means; the name comes from a key, and must be one."""
    from s3func.sync.names import NamePolicy

    if not os.path.isdir(path) and not path.endswith(("/", os.sep)):
        return path
    os.makedirs(path, exist_ok=True)
    return os.path.join(path, NamePolicy().to_path(name))


def _transfer_of(options: dict[str, Any]) -> TransferConfig | None:
    from s3func.transport.transfer import BandwidthLimit, TransferConfig

    rate = options["bwlimit"]
    return None if rate is None else TransferConfig(bandwidth=BandwidthLimit(rate))


def _bar(options: dict[str, Any], name: str) -> Any:
    """A bar where one is wanted: on a terminal, or if it was asked for."""
    if options["progress"] in {"none", "json"} or (options["progress"] == "auto" and not sys.stderr.isatty()):
        return None
    from s3func.progress import tqdm_progress

    return tqdm_progress(name, disable=False)


def _upload(
    session: Session,
    source: str,
    key: str,
    options: dict[str, Any],
    transfer: TransferConfig | None,
    *,
    no_clobber: bool,
) -> None:
    if no_clobber and session.exists(key):
        return
    only_new = {"if_none_match": "*"} if no_clobber and session.capabilities.conditional_writes else {}
    if source == "-":
        opened: Any = session.open
        with opened(key, "wb", transfer=transfer, **only_new) as writer:
            shutil.copyfileobj(sys.stdin.buffer, writer, _BLOCK)
        return
    upload: Any = session.upload_file
    try:
        upload(source, key, resume=options["resume"], progress=_bar(options, key), transfer=transfer, **only_new)
    except ObjectExists:
        # Somebody else was faster, and was not to be overwritten.
        return
    except OSError as error:
        if isinstance(error, S3FuncError):
            raise
        raise click.ClickException(f"{source}: {error.strerror or error}") from None


def _download(session: Session, key: str, path: str, options: dict[str, Any], transfer: TransferConfig | None) -> None:
    verify = False if options["no_verify"] else None
    target = sys.stdout.buffer if path == "-" else path
    try:
        session.download_file(
            key,
            target,
            resume=options["resume"] and path != "-",
            progress=_bar(options, key),
            transfer=transfer,
            verify=verify,
            fsync=options["fsync"],
        )
    except (OSError, ValueError) as error:
        if isinstance(error, S3FuncError):
            raise
        raise click.ClickException(f"{path}: {error}") from None


def _between(source: Session, from_: Location, target: Session, to: Location, *, no_clobber: bool) -> None:
    """Inside of one store on its side, else through us."""
    if no_clobber and target.exists(to.key):
        return
    if from_._replace(bucket="", key="") == to._replace(bucket="", key=""):
        source.copy_object(from_.key, to.key, dest_bucket=to.bucket)
        return
    with source.get_object(from_.key) as found:
        about = {"metadata": found.user_metadata, "content_type": found.content_type}
        opened: Any = target.open
        with opened(to.key, "wb", **about) as writer:
            shutil.copyfileobj(found, writer, _BLOCK)
