"""Words on a command line that stand for something else: durations, sizes, and pairs of a name and a value."""

from __future__ import annotations

import re

import click

from s3func.cli.report import parse_size

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:[0-9]+[smhdw])+|[0-9]+")


def parse_duration(text: str) -> int:
    """Seconds from a duration as people write it: "90", "15m", "1h30m", "7d". ValueError for anything else."""
    if _DURATION.fullmatch(text.strip()) is None:
        raise ValueError(f"{text!r} is not a duration such as 90, 15m, 1h30m or 7d")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smhdw]?)", text))


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A callback for options that take a duration."""
    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def byte_count(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A callback for options that take a number of bytes."""
    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def name_values(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """A callback for options that take NAME=VALUE and may be repeated."""
    found = {}
    for item in value:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{item!r} is not NAME=VALUE", ctx, param)
        found[name] = text
    return found
