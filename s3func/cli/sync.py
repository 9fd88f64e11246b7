"""`s3func sync`, `check`, `plan` and `apply`: folders and prefixes made to agree, or compared.

Exit codes: 0 all done (check: the same) · 1 something failed or differs · 2 a side could not be seen completely, or wrong
usage · 3 safety stop · 130 interrupted. See docs/sync.md.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.sync_options import (
    ANONYMOUS,
    CARRYING,
    FILTERS,
    OUTPUT,
    PLANNING,
    SIDES,
    STORE,
    SyncCommand,
    carrying_of,
    filters_of,
    planning_of,
    say,
    sides_of,
    usage,
    with_options,
)
from s3func.cli.teaching import TeachingCommand, complete_url
from s3func.errors import S3FuncError, SafetyStop, SyncIncomplete

if TYPE_CHECKING:
    from s3func.sync.plans import Plan
    from s3func.sync.report import Report

INCOMPLETE = 2
STOPPED = 3


@click.command(
    cls=SyncCommand,
    examples="""
    s3func sync ./photos s3://my-bucket/photos
    s3func sync s3://my-bucket/photos ./photos --delete --dry-run
    s3func sync s3://my-bucket/photos b2://backup/photos
    """,
)
@click.argument("source", metavar="SOURCE", shell_complete=complete_url)
@click.argument("target", metavar="TARGET", shell_complete=complete_url)
@with_options(PLANNING, CARRYING, FILTERS, SIDES, STORE, ANONYMOUS, OUTPUT)
def sync(source: str, target: str, **options: Any) -> int:
    """Make TARGET like SOURCE: a folder and an s3:// or b2:// URL, in either direction, or two URLs.

    What lies in SOURCE comes to lie in TARGET; a slash at the end means nothing. Nothing is deleted without --delete.
    """
    from s3func.sync.plans import plan

    how, filters = carrying_of(options), filters_of(options)
    with usage():
        steps = plan(source, target, filters=filters, **planning_of(options), **sides_of(options))
    with steps:
        return carry_out(steps, how, options)


@click.command(
    name="apply",
    cls=TeachingCommand,
    examples="""
    s3func plan ./photos s3://my-bucket/photos -o plan.jsonl && s3func apply plan.jsonl
    """,
)
@click.argument("file", metavar="PLAN", type=click.File("rb"))
@click.option("--journal", metavar="FILE", help="Note there what is done, and go on there when it is applied again.")
@with_options(CARRYING, STORE, OUTPUT)
def apply_(file: Any, journal: str | None, **options: Any) -> int:
    """Carry out a plan that `s3func plan --output PLAN` wrote (- is stdin).

    Every step looks first whether both sides still are what the plan says; if not, it is a conflict and nothing happens.
    """
    from s3func.sync.plans import Plan

    how = carrying_of(options) | {"journal": journal}
    where = {name: options.pop(name) for name in ("endpoint_url", "profile", "region")}
    with usage():
        steps = Plan.from_jsonl(file, **where)
    with steps:
        return carry_out(steps, how, options)


@click.command(
    name="plan",
    cls=SyncCommand,
    examples="""
    s3func plan ./photos s3://my-bucket/photos --delete
    s3func plan ./photos s3://my-bucket/photos --json | jq .
    """,
)
@click.argument("source", metavar="SOURCE", shell_complete=complete_url)
@click.argument("target", metavar="TARGET", shell_complete=complete_url)
@click.option("--output", "-o", metavar="FILE", help="Write the plan there, for `s3func apply`.")
@click.option("--json", "as_json", is_flag=True, help="Write the plan to stdout, for `s3func apply -`.")
@with_options(PLANNING, FILTERS, SIDES, STORE, ANONYMOUS)
def plan_(source: str, target: str, output: str | None, as_json: bool, **options: Any) -> int:
    """Show what `s3func sync` would do, and change nothing.

    A line per step: what, the name, bytes, why. With --output or --json, the plan as lines of JSON.
    """
    from s3func.cli.sync_events import line_of
    from s3func.sync.plans import plan

    filters = filters_of(options)
    with usage():
        steps = plan(source, target, filters=filters, **planning_of(options), **sides_of(options))
    with steps:
        try:
            prepare(steps)
        except S3FuncError as error:
            return ended(error)
        if output is not None:
            steps.to_jsonl(output)
        if as_json:
            steps.to_jsonl(sys.stdout)
        elif output is None:
            for operation in steps:
                click.echo(line_of(operation))
        say(str(steps.summary()))
    return 0


@click.command(
    cls=TeachingCommand,
    examples="""
    s3func check ./photos s3://my-bucket/photos
    s3func check --hash ./photos s3://my-bucket/photos && echo same
    """,
)
@click.argument("source", metavar="SOURCE", shell_complete=complete_url)
@click.argument("target", metavar="TARGET", shell_complete=complete_url)
@click.option("--hash", "is_hash", is_flag=True, help="Read all files again, whatever is remembered of them.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON per difference.")
@with_options(FILTERS, SIDES, STORE, ANONYMOUS)
def check(source: str, target: str, is_hash: bool, as_json: bool, **options: Any) -> int:
    """Compare SOURCE and TARGET, and change nothing. Exit code 0 if they are the same, 1 if not.

    A line per name that is not alike: how, the name, why.
    """
    from s3func.cli.report import shown
    from s3func.sync.checking import check as compare

    filters = filters_of(options)
    with usage():
        try:
            report = compare(source, target, hash=is_hash, filters=filters, **sides_of(options))
        except (SyncIncomplete, SafetyStop) as error:
            return ended(error)
    for difference in report.differences:
        if as_json:
            click.echo(json.dumps(difference._asdict()))
        else:
            click.echo(f"{difference.kind}\t{shown(difference.name)}\t{difference.detail}")
    say(f"{report.same} the same, {len(report.differences)} not: {report.source} and {report.target}")
    return report.exit_code


def carry_out(steps: Plan, how: dict[str, Any], options: dict[str, Any]) -> int:
    """Apply a plan, show it, and return the exit code."""
    from s3func.cli.sync_events import FailedFast, Show
    from s3func.sync.applying import apply

    # SIGTERM ends a run as Ctrl-C does: what is under way is taken back, what is done stays.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    show = Show(
        **{name: options.pop(name) for name in ("as_json", "progress", "verbose", "fail_fast")}, dry_run=how["dry_run"]
    )
    try:
        with show:
            report = _sorted_if_need_be(steps, lambda: apply(steps, on_event=show, **how))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except BaseException as error:
        done: Report | None = getattr(error, "report", None)
        # Of a run that did nothing, the reason alone is worth a line.
        if done is not None and (done.transferred or not isinstance(error, S3FuncError)):
            say(f"{done} ({done.seconds:.1f} s)")
        if isinstance(error, FailedFast):
            return 1
        if isinstance(error, S3FuncError):
            return ended(error)
        raise
    say(f"{report} ({report.seconds:.1f} s)")
    code: int = report.exit_code
    return code


def prepare(steps: Plan) -> None:
    """Make a plan now."""
    _sorted_if_need_be(steps, steps.prepare)


def _sorted_if_need_be(steps: Plan, call: Any) -> Any:
    """A store that turns out to list out of order is read again, and sorted."""
    before = [getattr(side, "order", None) for side in (steps.source, steps.target)]
    try:
        return call()
    except SyncIncomplete:
        if before == [getattr(side, "order", None) for side in (steps.source, steps.target)]:
            raise
    return call()


def ended(error: S3FuncError) -> int:
    """Say what ended a run or kept it from deleting; the exit code for it."""
    words = re.sub(r"\b(allow_[a-z_]+)=True", lambda found: f"--{found[1].replace('_', '-')}", str(error))
    say(f"s3func: {type(error).__name__}: {words}")
    if isinstance(error, SafetyStop):
        return STOPPED
    report = getattr(error, "report", None)
    return INCOMPLETE if isinstance(error, SyncIncomplete) or (report is not None and report.is_incomplete) else 1
