"""`s3func doctor`: explains the settings of a session, tries them on the store, and says what to fix.

stdout gets the report, one line per finding or, with --json, one object. Exit code 0: nothing is wrong; 1: something
is, and each problem has its fix; 2: wrong usage.
"""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING

import click

from s3func.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from s3func.cli.diagnosis import Finding
    from s3func.connect import Location

_MARKS = {"ok": "ok", "note": "--", "problem": "!!"}
_WIDTH = 110


def _place(ctx: click.Context, param: click.Parameter, value: str | None) -> Location | None:
    from s3func.connect import parse
    from s3func.profiles import find_profile

    if value is None:
        return None
    try:
        place = parse(value if "://" in value else f"s3://{value}")
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if place.scheme != "s3" or place.credentials is not None:
        raise click.BadParameter("it looks at s3://[PROFILE@|HOST@]BUCKET[/PREFIX], without a key in it", ctx, param)
    if place.profile is not None and find_profile(place.profile) is not None:
        raise click.BadParameter(f"{place.profile!r} is no profile of ~/.aws: give --endpoint-url", ctx, param)
    return place


@click.command(
    cls=TeachingCommand,
    examples="""
    s3func doctor
    s3func doctor --write s3://my-bucket
    """,
)
@click.argument("place", metavar="[s3://BUCKET[/PREFIX]]", required=False, callback=_place)
@click.option("--profile", metavar="NAME", help="A profile of ~/.aws/config.")
@click.option("--region", metavar="REGION", help="The region of the store.")
@click.option("--endpoint-url", metavar="URL", help="The store, unless it is AWS.")
@click.option("--write", is_flag=True, help="Also put a small object, read it and delete it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(
    place: Location | None,
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
    *,
    write: bool,
    as_json: bool,
) -> int:
    """Say where each setting comes from, try them, and what to fix.

    Nothing is changed at the store, unless --write is given. Secrets are not shown.
    """
    from s3func.cli.diagnosis import PROBLEM, Question, examine

    if write and place is None:
        raise click.UsageError("--write needs s3://BUCKET")
    bucket, prefix = (None, "") if place is None else (place.bucket, place.key)
    if place is not None:
        profile = place.profile or profile
        endpoint_url = place.endpoint_url or endpoint_url
    findings = []
    for finding in examine(Question(bucket, prefix, profile, region, endpoint_url, write)):
        findings.append(finding)
        if not as_json:
            _show(finding)
    problems = sum(finding.status == PROBLEM for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not problems, "findings": [finding._asdict() for finding in findings]}, indent=2))
    else:
        click.echo(f"\n{problems} problem{'s' * (problems != 1)}" if problems else "\nnothing is wrong")
    return 1 if problems else 0


def _show(finding: Finding) -> None:
    text = finding.text + (f"  (from {finding.source})" if finding.source else "")
    head = f"{_MARKS[finding.status]} {finding.subject + ':':26}"
    indent = " " * 29
    lines = textwrap.wrap(text, _WIDTH - 29, break_long_words=False, break_on_hyphens=False) or [""]
    click.echo(head + f"\n{indent}".join(lines))
    if finding.fix:
        fix = textwrap.wrap(f"fix: {finding.fix}", _WIDTH - 29, break_long_words=False, break_on_hyphens=False)
        click.echo(indent + f"\n{indent}".join(fix))
    sys.stdout.flush()
