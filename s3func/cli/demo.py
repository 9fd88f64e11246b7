"""`s3func demo`: the main job of the client, done on real files of this machine against the embedded server.

Every step compares what came back with what is on disk or with what it sent; the first that does not hold ends the
demonstration with exit code 1. Nothing is written outside of a temporary directory.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from types import FrameType

import click

from s3func import __version__
from s3func.cli.material import Material, from_directory, from_python
from s3func.cli.report import counted, parse_size, show, show_failure, show_step, size_text
from s3func.cli.steps import CheckFailed, Demonstration
from s3func.cli.teaching import TeachingCommand
from s3func.errors import S3FuncError
from s3func.server import LocalBackend
from s3func.testing import server

BUCKET = "demo"


def _size(ctx: click.Context, param: click.Parameter, value: str) -> int:
    try:
        return parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command(
    cls=TeachingCommand,
    examples="""
    s3func demo
    s3func demo --size-limit 50MiB
    """,
)
@click.option(
    "--path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Work on the files below this directory, read only. Without it: on the files of this Python.",
)
@click.option(
    "--size-limit",
    default="200MiB",
    show_default=True,
    metavar="SIZE",
    callback=_size,
    help="Take files up to this total.",
)
@click.option("--keep", is_flag=True, help="Keep the objects, and say where they are.")
def demo(path: Path | None, size_limit: int, keep: bool) -> int:
    """Run the client on real files of this machine.

    Starts an S3 server on a free port of 127.0.0.1 with its store in a temporary directory; puts, streams, lists,
    copies, presigns and deletes over HTTP, and compares every byte that comes back. The files are only read.
    """
    material = from_python(size_limit) if path is None else from_directory(path, size_limit)
    if not material.files:
        raise click.UsageError(f"there is no readable file of at most {size_text(size_limit)} in {material.source}")
    start = perf_counter()
    before = signal.signal(signal.SIGTERM, _terminated)
    store = Path(tempfile.mkdtemp(prefix="s3func-demo-"))
    try:
        steps = _demonstrate(material, store, keep=keep)
    finally:
        if not keep:
            shutil.rmtree(store)
        signal.signal(signal.SIGTERM, before)
    if steps is not None:
        rest = "" if keep else "; nothing is left on the disk"
        show(f"\n{counted(steps, 'step')}, every one checked, {perf_counter() - start:.1f} s{rest}")
    if keep:
        show(f"kept      s3func serve --path {shlex.quote(str(store))}")
    return 1 if steps is None else 0


def _terminated(signum: int, frame: FrameType | None) -> None:
    # As an exception it unwinds through the blocks that stop the server and remove the store.
    sys.exit(128 + signum)


def _demonstrate(material: Material, store: Path, *, keep: bool) -> int | None:
    """Run the steps and return how many there were; None when one failed."""
    # The store is temporary: nobody needs it after a power failure, so no write waits for the disk.
    backend = LocalBackend(store, durability="os")
    with server(backend) as running, running.session(BUCKET, create=False) as session:
        show(f"s3func {__version__} demonstrates itself")
        show(f"server    {running.endpoint_url}, objects in {store}")
        show(f"material  {_described(material)}")
        show()
        stranger = running.session(BUCKET, create=False, secret_access_key="wrong")  # noqa: S106 -- is to be refused
        steps = 0
        for verb, step in Demonstration(session, stranger, material).steps(keep=keep):
            try:
                show_step(verb, step())
            except (CheckFailed, S3FuncError, OSError) as reason:
                show_failure(verb, f"{type(reason).__name__}: {reason}")
                return None
            steps += 1
    return steps


def _described(material: Material) -> str:
    size = size_text(sum(file.size for file in material.files))
    left_out = f", {material.left_out:,} more left out" if material.left_out else ""
    return f"{counted(len(material.files), 'file')}, {size}, of {material.source}, read only{left_out}"
