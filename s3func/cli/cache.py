"""`s3func cache`: what is kept on this machine's disk.

A subcommand is a row of SUBCOMMANDS, imported when it is used. Each cache has a row of STATS as well: a function that is
called with as_json and workspace (of Drime; None: all) and prints what is in that cache, or nothing where it is not in
use.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

SUBCOMMANDS = {
    "clean": "s3func.cli.cache_files:clean",
    "cleanup": "s3func.cli.drime_cache:cleanup",
    "clear": "s3func.cli.cache_files:clear",
    "ls": "s3func.cli.cache_files:ls",
    "migrate": "s3func.cli.drime_cache:migrate",
    "stats": "s3func.cli.cache_files:stats",
    "vacuum": "s3func.cli.drime_cache:vacuum",
}
STATS = {"files": "s3func.cli.cache_files:show_stats", "drime": "s3func.cli.drime_cache:show_stats"}


def imported(place: str) -> Any:
    """What a row names."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


class SubcommandTable(click.Group):
    """A group of the commands in SUBCOMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names in alphabetical order."""
        return sorted(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one; None makes click answer with a usage error."""
        place = SUBCOMMANDS.get(cmd_name)
        return None if place is None else imported(place)


@click.group(cls=SubcommandTable)
def cache() -> None:
    """See, and make smaller, what is kept on this disk: files of S3Objects, and what is known of objects in Drime."""
