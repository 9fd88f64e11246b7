"""The `s3func` command: which subcommands there are, and what a failure looks like to a shell.

A subcommand is one file beside this one and one row in COMMANDS; it is imported when it is asked for, so that
`s3func --version` and `--help` load neither a server nor a client: what --help says of it stands in SECTIONS. Every
error is one line on stderr. Exit codes: 0 done, 1 something failed, 2 wrong usage, 3 refused for safety, 130 interrupted.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from s3func import __version__
from s3func.cli.report import shown, told
from s3func.cli.teaching import write_examples
from s3func.errors import S3FuncError

COMMANDS = {
    "apply": "s3func.cli.sync:apply_",
    "cache": "s3func.cli.cache:cache",
    "cat": "s3func.cli.cat:cat",
    "check": "s3func.cli.sync:check",
    "ckpt": "s3func.cli.ckpt:ckpt",
    "config": "s3func.cli.config:config",
    "cp": "s3func.cli.cp:cp",
    "demo": "s3func.cli.demo:demo",
    "doctor": "s3func.cli.doctor:doctor",
    "du": "s3func.cli.ls:du",
    "hash": "s3func.cli.hash:hash_",
    "lock": "s3func.cli.lock:lock",
    "ls": "s3func.cli.ls:ls",
    "mb": "s3func.cli.buckets:mb",
    "mpu": "s3func.cli.mpu:mpu",
    "mv": "s3func.cli.mv:mv",
    "obscure": "s3func.cli.obscure:obscure",
    "plan": "s3func.cli.sync:plan_",
    "presign": "s3func.cli.presign:presign",
    "put": "s3func.cli.cat:put",
    "rb": "s3func.cli.buckets:rb",
    "rm": "s3func.cli.rm:rm",
    "serve": "s3func.cli.serve:serve",
    "stat": "s3func.cli.ls:stat",
    "sync": "s3func.cli.sync:sync",
}

# What --help shows, in this order; a command that stands in no section is told by its own first sentence.
SECTIONS = {
    "Objects": {
        "ls": "List buckets, folders and objects.",
        "du": "Count bytes and objects.",
        "stat": "Show what the store knows of objects.",
        "cat": "Write objects to stdout.",
        "put": "Store a file or stdin.",
        "cp": "Copy objects, files and folders.",
        "mv": "Move them: copy, verify, delete.",
        "rm": "Delete objects, folders, versions.",
        "hash": "Hashes of files and objects, comparable.",
        "presign": "Make a URL that anybody may use for a while.",
    },
    "Folders": {
        "sync": "Make a folder or URL like another one.",
        "check": "Compare two of them.",
        "plan": "Show, or write down, what sync would do.",
        "apply": "Carry out such a plan.",
        "ckpt": "Checkpoints: save, load, list, prune.",
    },
    "Buckets": {
        "mb": "Make a bucket.",
        "rb": "Remove an empty one.",
        "mpu": "Find and abort unfinished uploads.",
        "lock": "Run a command under a distributed lock.",
    },
    "This machine": {
        "demo": "Run the client on real files, against a server of its own.",
        "serve": "Serve S3 and B2 on a port.",
        "config": "Name the stores that serve can stand in front of.",
        "obscure": "Make a secret unreadable at a glance.",
        "doctor": "Say where each setting comes from, and what to fix.",
        "cache": "What S3Objects keep on this disk.",
    },
}
# What other tools call them.
_ALSO_KNOWN = {
    "copy": "cp", "delete": "rm", "del": "rm", "download": "cp", "get": "cp", "head": "stat", "info": "stat",
    "list": "ls", "md5sum": "hash", "mkdir": "mb", "move": "mv", "pipe": "put", "rmdir": "rb", "sha256sum": "hash",
    "sign": "presign", "tree": "ls", "upload": "cp", "url": "presign",
}  # fmt: skip

EXAMPLES = """\
s3func ls -lH s3://my-bucket/logs/
s3func cp --recursive ./photos s3://my-bucket/photos
s3func cat s3://my-bucket/dump.gz | zcat | head
s3func COMMAND --help"""

# Of a group below this one: click 8.1 shows its help by itself.
_NO_ARGUMENTS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())
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

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without any the help is shown on stderr, as wrong usage is; click 8.1 would call it a success."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(WRONG_USAGE)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that a line begins with; UsageError that names the nearest one."""
        word = args[0] if args else ""
        if word.startswith("-") or self.get_command(ctx, word) is not None:
            return super().resolve_command(ctx, args)
        near = [_ALSO_KNOWN[word]] if word in _ALSO_KNOWN else difflib.get_close_matches(word, COMMANDS, 1, 0.5)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"No such command {word!r}{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The subcommands under their headings."""
        told = {name for section in SECTIONS.values() for name in section}
        rows = {
            heading: {name: text for name, text in section.items() if name in COMMANDS}
            for heading, section in SECTIONS.items()
        }
        rows["More"] = {
            name: command.get_short_help_str(60)
            for name in self.list_commands(ctx)
            if name not in told and (command := self.get_command(ctx, name)) is not None
        }
        width = max(map(len, COMMANDS))
        for heading, section in rows.items():
            if section:
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(width), text) for name, text in section.items()])
        write_examples(EXAMPLES, formatter)


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="s3func", message="%(prog)s %(version)s")
def s3func() -> None:
    """S3 and Backblaze B2 in a shell: objects, folders, buckets, and a server of your own."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` unless arguments are given, and return its exit code."""
    if "_S3FUNC_COMPLETE" in os.environ:
        # It tells click how bash sees URLs.
        importlib.import_module("s3func.cli.completion")
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding does not have is shown escaped, and is no reason to fail.
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")
    try:
        status = s3func.main(
            args=None if arguments is None else list(arguments), prog_name="s3func", standalone_mode=False
        )
    except _NO_ARGUMENTS as error:
        error.show()
        return WRONG_USAGE
    except click.UsageError as error:
        command = "s3func" if error.ctx is None else error.ctx.command_path
        _tell(f"{command}: {error.format_message().rstrip('.')}; see {command} --help")
        return error.exit_code
    except click.ClickException as error:
        _tell(f"s3func: {error.format_message()}")
        return error.exit_code
    except click.Abort:
        _tell("s3func: interrupted")
        return INTERRUPTED
    except S3FuncError as error:
        _tell(told(error))
        return 1
    except ImportError as error:
        # The listener says which extra it needs. A module that cannot be found has a name, and is a mistake of ours.
        if error.name is not None:
            raise
        _tell(f"s3func: {error}")
        return WRONG_USAGE
    return status if isinstance(status, int) else 0


def _tell(text: str) -> None:
    """One line on stderr, whatever names are in it."""
    click.echo(shown(text), err=True)
