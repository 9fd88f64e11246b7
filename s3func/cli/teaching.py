"""Commands whose --help ends with examples, line by line as one would type them."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import click


class TeachingCommand(click.Command):
    """A command with examples."""

    def __init__(self, *args: Any, examples: str = "", **options: Any) -> None:
        """examples: lines, indented as one likes."""
        super().__init__(*args, **options)
        self.examples = cleandoc(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, then what click has."""
        write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


def write_examples(examples: str, formatter: click.HelpFormatter) -> None:
    """A section of lines that are not wrapped."""
    if examples:
        with formatter.section("Examples"):
            for text in examples.splitlines():
                formatter.write(f"  {text}\n")


def complete_url(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """What the TAB key puts where a URL is expected; for the `shell_complete` of arguments."""
    from s3func.cli.completion import complete_url

    return complete_url(ctx, param, incomplete)
