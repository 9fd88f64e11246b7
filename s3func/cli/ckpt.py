"""`s3func ckpt`: the checkpoints of a training run in a shell, see s3func.checkpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.report import shown, size_text
from s3func.cli.sync_options import STORE, usage, with_options
from s3func.cli.teaching import complete_url
from s3func.cli.urls import DRY_RUN, JSON, DataCommand, line, line_of_json
from s3func.cli.values import name_values
from s3func.errors import NoSuchKey, ObjectExists

if TYPE_CHECKING:
    from s3func.checkpoints import Checkpoint, Checkpoints

_STEP = click.IntRange(min=0)


@click.group()
def ckpt() -> None:
    """Save, load, list and prune the checkpoints of a training run. URL is the run: s3://my-bucket/run-7."""


@contextmanager
def _opened(url: str, options: dict[str, Any]) -> Iterator[Checkpoints]:
    from s3func.checkpoints import Checkpoints

    where = {name: options[name] for name in ("endpoint_url", "profile", "region")}
    with usage():
        checkpoints = Checkpoints(url, **where)
    with checkpoints:
        yield checkpoints


def _fields(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "step": checkpoint.step,
        "files": len(checkpoint.files),
        "size": checkpoint.size,
        "ranks": checkpoint.world,
        "metadata": dict(checkpoint.metadata),
    }


@ckpt.command(
    cls=DataCommand,
    examples="""
    s3func ckpt ls s3://my-bucket/run-7
    s3func ckpt ls --latest --json s3://my-bucket/run-7 | jq .step
    """,
)
@click.argument("url", metavar="URL", shell_complete=complete_url)
@click.option("--latest", is_flag=True, help="The newest one and what was saved with it; exit code 1 if there is none.")
@with_options(JSON, STORE)
def ls(url: str, latest: bool, **options: Any) -> int:
    """List the complete steps, oldest first."""
    with _opened(url, options) as checkpoints:
        if not latest:
            for step in checkpoints.steps():
                if options["as_json"]:
                    line_of_json({"step": step})
                else:
                    line(str(step))
            return 0
        found = checkpoints.latest()
    if found is None:
        raise click.ClickException(f"there is no complete checkpoint in {shown(url)}")
    if options["as_json"]:
        line_of_json(_fields(found))
        return 0
    line(f"{found.step}\t{len(found.files)} files\t{size_text(found.size)}")
    for name, value in found.metadata.items():
        line(f"metadata.{shown(str(name))}: {shown(json.dumps(value))}")
    return 0


@ckpt.command(
    cls=DataCommand,
    examples="""
    s3func ckpt save s3://my-bucket/run-7 1000 ./checkpoint --metadata loss=0.5
    s3func ckpt save --keep 3 s3://my-bucket/run-7 2000 ./checkpoint
    """,
)
@click.argument("url", metavar="URL", shell_complete=complete_url)
@click.argument("step", type=_STEP)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--metadata", multiple=True, callback=name_values, metavar="NAME=VALUE", help="Kept with it; may be repeated."
)
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Delete older ones than the newest N afterwards.")
@with_options(DRY_RUN, JSON, STORE)
def save(url: str, step: int, folder: str, metadata: dict[str, str], keep: int | None, **options: Any) -> int:
    """Make the files of FOLDER the checkpoint of STEP: whole, or not at all. A step that exists is never replaced.

    A VALUE that is a number, true, false or null is kept as one.
    """
    with _opened(url, options) as checkpoints:
        if options["dry_run"]:
            if step in checkpoints.steps():
                raise ObjectExists(f"step {step} exists already; a checkpoint is never written to again")
            for path in _files(folder):
                line(shown(path))
            return 0
        with usage():
            made = checkpoints.save_folder(
                step, folder, metadata={name: _value(text) for name, text in metadata.items()}
            )
        if keep is not None:
            checkpoints.prune(keep)
    if options["as_json"]:
        line_of_json(_fields(made))
    return 0


def _files(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield os.path.relpath(os.path.join(place, name), folder)


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, bool | int | float) else text


@ckpt.command(
    cls=DataCommand,
    examples="""
    s3func ckpt load s3://my-bucket/run-7 ./checkpoint
    s3func ckpt load --step 1000 --replace s3://my-bucket/run-7 ./checkpoint
    """,
)
@click.argument("url", metavar="URL", shell_complete=complete_url)
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--step", type=_STEP, metavar="N", help="This step; without, the newest complete one.")
@click.option("--replace", is_flag=True, help="Also if FOLDER holds something else, which is deleted then.")
@click.option("--fsync", is_flag=True, help="The folder outlasts a power failure before it has its name.")
@with_options(DRY_RUN, JSON, STORE)
def load(url: str, folder: str, step: int | None, replace: bool, fsync: bool, **options: Any) -> int:
    """Bring a checkpoint into FOLDER, which appears whole and compared, or not at all. Prints the step."""
    with _opened(url, options) as checkpoints:
        if options["dry_run"]:
            steps = checkpoints.steps()
            if step not in steps and (step is not None or not steps):
                raise NoSuchKey("there is no such checkpoint here")
            line(str(steps[-1] if step is None else step))
            return 0
        try:
            found = checkpoints.load(step, to=folder, replace=replace, fsync=fsync)
        except FileExistsError:
            raise click.ClickException(
                f"{shown(folder)} exists and is not this checkpoint; --replace replaces it"
            ) from None
    if options["as_json"]:
        line_of_json(_fields(found))
    else:
        line(str(found.step))
    return 0


@ckpt.command(
    cls=DataCommand,
    examples="""
    s3func ckpt prune --keep 3 --dry-run s3://my-bucket/run-7
    """,
)
@click.argument("url", metavar="URL", shell_complete=complete_url)
@click.option(
    "--keep", type=click.IntRange(min=1), required=True, metavar="N", help="How many of the newest complete ones stay."
)
@with_options(DRY_RUN, JSON, STORE)
def prune(url: str, keep: int, **options: Any) -> int:
    """Delete all complete steps but the newest, and unfinished ones before those; prints the steps that are gone.

    --dry-run shows the complete ones. What is newer than the newest complete step is left alone: somebody may be writing.
    """
    with _opened(url, options) as checkpoints:
        gone = checkpoints.steps()[:-keep] if options["dry_run"] else checkpoints.prune(keep)
    for step in gone:
        if options["as_json"]:
            line_of_json({"step": step})
        else:
            line(str(step))
    return 0
