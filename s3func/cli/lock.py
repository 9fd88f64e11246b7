"""`s3func lock`: run a command under a lock, look at locks, and break them.

A lock is named by a URL, s3://BUCKET/NAME or b2://BUCKET/NAME. `run` ends
with the exit code of its command (128 + N when signal N ended it). When the lease cannot be kept the command is ended:
SIGTERM when a sixth of the lease is left, SIGKILL when it is over, because from then on somebody else may hold the lock.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.sync_options import STORE, with_options
from s3func.cli.teaching import TeachingCommand, complete_url

if TYPE_CHECKING:
    from s3func.connect import Location
    from s3func.lock import Lock, Owner
    from s3func.session import Session

TOKEN_VARIABLE = "S3FUNC_LOCK_TOKEN"  # noqa: S105 -- the name of a variable
NAME_VARIABLE = "S3FUNC_LOCK_NAME"
# How long a command that was asked to end because its lock was broken may take.
_BROKEN_SECONDS = 2.0
_LOOK_SECONDS = 0.25


def _place(ctx: click.Context, param: click.Parameter, value: str) -> Location:
    from s3func.connect import parse

    needs_name = ctx.info_name != "ls"
    try:
        place = parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if needs_name and not place.key:
        raise click.BadParameter(f"a lock has a name: {place.url.rstrip('/')}/NAME", ctx, param)
    return place


@contextmanager
def _opened(place: Location, options: dict[str, Any]) -> Iterator[Session]:
    from s3func.connect import connect

    try:
        session = connect(place, **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with session:
        yield session


@click.group()
def lock() -> None:
    """Run a command under a distributed lock, list locks, or break them."""


@lock.command(
    cls=TeachingCommand,
    context_settings={"allow_interspersed_args": False},
    examples="""
    s3func lock run s3://my-bucket/locks/nightly -- ./nightly.sh
    s3func lock run --timeout 0 s3://my-bucket/locks/nightly -- ./only-one-of-us.sh
    """,
)
@click.argument("place", metavar="URL", callback=_place, shell_complete=complete_url)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--shared", is_flag=True, help="Together with other shared holders.")
@click.option(
    "--ttl", default=60.0, show_default=True, metavar="SECONDS", help="How long a lease lasts unless renewed."
)
@click.option("--timeout", type=float, metavar="SECONDS", help="Give up after so long; 0 tries once. Without: wait.")
@click.option("--no-token", is_flag=True, help=f"Without a fencing token in {TOKEN_VARIABLE}; leaves the bucket clean.")
@click.option("--note", metavar="TEXT", help="What `lock ls` shows to others.")
@with_options(STORE)
def run(
    place: Location,
    command: tuple[str, ...],
    shared: bool,
    ttl: float,
    timeout: float | None,
    no_token: bool,
    note: str | None,
    **options: Any,
) -> int:
    """Run COMMAND while the lock is held: s3func lock run s3://BUCKET/NAME -- COMMAND ...

    Exit code 1 when the lock was not free in time, or was lost; that of the command otherwise.
    """
    # Parsing ends with the name, and so in front of the two dashes.
    words = list(command[command[0] == "--" :])
    if not words:
        raise click.UsageError("which command?")
    is_fencing = not (no_token or shared)
    # Without a handler, SIGTERM would end us with a ticket in the queue, and everybody would wait for its lease.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with _opened(place, options) as session:
        try:
            held = session.lock(
                place.key, shared=shared, ttl=ttl, fencing=is_fencing, note=note or " ".join(words)[:200]
            )
            is_ours = held.acquire(timeout=-1 if timeout is None else timeout)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        if not is_ours:
            raise click.ClickException(f"{place} is held by somebody else")
        try:
            code = _run(held, place, words, ttl, is_fencing=is_fencing)
        finally:
            is_lost = not held.valid()
            held.release()
        if is_lost:
            raise click.ClickException(f"the lock {place} was lost, and the command was ended")
    return code


def _run(held: Lock, place: Location, command: list[str], ttl: float, *, is_fencing: bool) -> int:
    environment = dict(os.environ) | {NAME_VARIABLE: str(place)}
    if is_fencing:
        environment[TOKEN_VARIABLE] = str(held.fencing_token)
    try:
        process = subprocess.Popen(command, env=environment)  # noqa: S603 -- what the user asked for
    except OSError as error:
        raise click.ClickException(f"{command[0]}: {error.strerror}") from None
    with process, _forwarded(process):
        kill_at: float | None = None
        while True:
            try:
                code = process.wait(_LOOK_SECONDS)
                return 128 - code if code < 0 else code
            except subprocess.TimeoutExpired:
                left = held.remaining()
            if left >= ttl / 6:
                continue
            if kill_at is None:
                process.terminate()
                kill_at = time.monotonic() + (left or _BROKEN_SECONDS)
            elif time.monotonic() >= kill_at:
                process.kill()


@contextmanager
def _forwarded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Signals that ask us to end are the command's to answer; a terminal sends SIGINT to it on its own."""

    def forward(number: int, _frame: object) -> None:
        process.send_signal(number)

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, forward)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, forward)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@lock.command(
    cls=TeachingCommand,
    examples="""
    s3func lock ls s3://my-bucket/locks/
    """,
)
@click.argument("place", metavar="URL", callback=_place, shell_complete=complete_url)
@click.option("--json", "as_json", is_flag=True, help="One JSON document per ticket.")
@with_options(STORE)
def ls(place: Location, as_json: bool, **options: Any) -> None:
    """List who holds the locks under s3://BUCKET/PREFIX and who waits for them."""
    with _opened(place, options) as session:
        for name in _names(session, place.key):
            for owner in session.lock(name).owners():
                click.echo(json.dumps({"lock": name} | _fields(owner)) if as_json else _line(name, owner))


def _names(session: Session, prefix: str) -> list[str]:
    """The locks that have a ticket: a listing of everything under the prefix."""
    from s3func.lock.tickets import SUFFIX, read

    found: dict[str, None] = {}
    for entry in session.list_objects(prefix):
        name, suffix, _ = entry.key.rpartition(SUFFIX)
        if suffix and any(ticket.is_announced for ticket in read([(entry.key, None)], name + suffix).values()):
            found[name] = None
    return list(found)


def _fields(owner: Owner) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in owner.items()}


def _line(name: str, owner: Owner) -> str:
    since = "" if owner.since is None else owner.since.isoformat(timespec="seconds")
    silent = "" if owner.silent_for is None else f"silent for {owner.silent_for:.0f} s"
    row = [name, owner.state, owner.mode, owner.id, f"{owner.host}:{owner.pid}", since, silent, owner.note or ""]
    return "\t".join(ascii(text)[1:-1] if not text.isprintable() else text for text in row)


@lock.command(
    name="break",
    cls=TeachingCommand,
    examples="""
    s3func lock break s3://my-bucket/locks/nightly --older-than 3600
    """,
)
@click.argument("place", metavar="URL", callback=_place, shell_complete=complete_url)
@click.option("--id", "ids", multiple=True, metavar="ID", help="This ticket, as `lock ls` shows it; may be repeated.")
@click.option("--older-than", type=float, metavar="SECONDS", help="Those without a sign of life for so long.")
@click.option("--all", "everything", is_flag=True, help="Every ticket, whoever lives.")
@click.option("--wait", is_flag=True, help="Keep everybody out until living victims must have noticed.")
@with_options(STORE)
def break_(
    place: Location, ids: tuple[str, ...], older_than: float | None, everything: bool, wait: bool, **options: Any
) -> None:
    """Remove tickets of a lock; prints the id of each.

    A holder that lives is told by its next renewal only: without --wait there are two until then.
    """
    if sum((bool(ids), older_than is not None, everything)) != 1:
        raise click.UsageError("say which: --id, --older-than or --all")
    with _opened(place, options) as session:
        for owner in session.lock(place.key).break_lock(ids or None, older_than, wait):
            click.echo(owner.id)
