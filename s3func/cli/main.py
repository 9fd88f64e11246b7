"""The `s3func` command: which subcommands there are, and what a failure looks like to a shell.

A subcommand is one file beside this one and one row in COMMANDS; it is imported when it is asked for, so that
`s3func --version` loads neither a server nor a client. Exit codes: 0 done, 1 something failed, 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from s3func import __version__
from s3func.errors import S3FuncError

COMMANDS = {
    "apply": "s3func.cli.sync:apply_",
    "cat": "s3func.cli.cat:cat",
    "check": "s3func.cli.sync:check",
    "cp": "s3func.cli.cp:cp",
    "demo": "s3func.cli.demo:demo",
    "doctor": "s3func.cli.doctor:doctor",
    "du": "s3func.cli.ls:du",
    "lock": "s3func.cli.lock:lock",
    "ls": "s3func.cli.ls:ls",
    "plan": "s3func.cli.sync:plan_",
    "put": "s3func.cli.cat:put",
    "serve": "s3func.cli.serve:serve",
    "stat": "s3func.cli.ls:stat",
    "sync": "s3func.cli.sync:sync",
}

WRONG_USAGE = 2
INTERRUPTED = 130


class CommandTable(click.Group):
    """A group that imports a subcommand only when it is used or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands in alphabetical order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand; None makes click answer with a usage error."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="s3func", message="%(prog)s %(version)s")
def s3func() -> None:
    """S3 without boto: a local server for it, and a demonstration of the client."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` unless arguments are given, and return its exit code."""
    try:
        status = s3func.main(
            args=None if arguments is None else list(arguments), prog_name="s3func", standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("s3func: interrupted", err=True)
        return INTERRUPTED
    except S3FuncError as error:
        click.echo(f"s3func: {type(error).__name__}: {error}", err=True)
        return 1
    except ImportError as error:
        # The listener says which extra it needs. A module that cannot be found has a name, and is a mistake of ours.
        if error.name is not None:
            raise
        click.echo(f"s3func: {error}", err=True)
        return WRONG_USAGE
    return status if isinstance(status, int) else 0
