"""The options that `sync`, `cp`, `check`, `plan` and `apply` have in common, and what they mean to `s3func.sync`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from s3func.cli.report import shown
from s3func.cli.teaching import TeachingCommand
from s3func.cli.values import byte_count

if TYPE_CHECKING:
    from s3func.sync.filters import Filters
    from s3func.sync.names import NamePolicy

Command = TypeVar("Command", bound=Callable[..., Any])
Options = dict[str, Any]

# A name that is no text matches nothing, and is no reason to fail.
_FILE = click.File("r", encoding="utf-8", errors="surrogateescape")
_NAMES = ("unsafe", "conflict", "non_utf8", "unicode", "case", "rules")


class SyncCommand(TeachingCommand):
    """A command whose `--delete` may stand without its word, whatever follows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """click would take the next argument for the word."""
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [_spelled(word) for word in args[:end]] + args[end:])


def _spelled(word: str) -> str:
    return "--delete=tracked" if word == "--delete" else word


def _bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    return 0 if value == "0" else byte_count(ctx, param, value)


def _workers(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    if value == "auto":
        return value
    if not value.isdecimal() or not 1 <= int(value) <= 1000:
        raise click.BadParameter(f"{value!r} is neither auto nor a number from 1 to 1000", ctx, param)
    return int(value)


def _names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> NamePolicy | None:
    from s3func.sync.names import NamePolicy

    words = dict(item.partition("=")[::2] for item in value)
    if unknown := words.keys() - set(_NAMES):
        raise click.BadParameter(f"{unknown.pop()!r} is none of {', '.join(_NAMES)}", ctx, param)
    try:
        return NamePolicy(**words) if words else None  # type: ignore[arg-type]  # NamePolicy checks them
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


STORE = (
    click.option("--endpoint-url", metavar="URL", help="The store of URLs that name none, unless it is AWS."),
    click.option("--profile", metavar="NAME", help="The profile of URLs that name none."),
    click.option("--region", metavar="REGION", help="The region of the store."),
)
ANONYMOUS = (
    click.option("--no-sign-request", "anonymous", is_flag=True, help="Without credentials, of what is public."),
)
FILTERS = (
    click.option("--exclude", multiple=True, metavar="GLOB", help="Leave these out, on both sides."),
    click.option("--include", multiple=True, metavar="GLOB", help="Only these; may be repeated."),
    click.option(
        "--filter", "rules", multiple=True, metavar="RULE", help="'- GLOB' or '+ GLOB', the first one decides."
    ),
    click.option("--filter-from", type=_FILE, metavar="FILE", help="Such rules, one in a line; - is stdin."),
    click.option("--gitignore", type=_FILE, metavar="FILE", help="Leave out what this .gitignore says."),
    click.option("--files-from", type=_FILE, metavar="FILE", help="Only the names in this file; - is stdin."),
    click.option("--min-size", callback=_bytes, metavar="SIZE", help="Leave alone what is smaller (64k, 1M …)."),
    click.option("--max-size", callback=_bytes, metavar="SIZE", help="Leave alone what is larger."),
    click.option("--ignore-case", is_flag=True, help="Patterns match in both cases."),
)
SIDES = (
    click.option(
        "--symlinks",
        type=click.Choice(["skip", "follow", "preserve"]),
        default="skip",
        show_default=True,
        help="What becomes of symbolic links.",
    ),
    click.option(
        "--names",
        multiple=True,
        callback=_names,
        metavar="FIELD=WORD",
        help="What becomes of names that one side cannot have, e.g. conflict=suffix or non_utf8=escape.",
    ),
    click.option("--state", default="auto", metavar="FILE", help="The memory of the pair; 'none' goes without."),
)
PLANNING = (
    click.option(
        "--compare",
        type=click.Choice(["auto", "hash", "mtime", "size", "aws", "always", "missing"]),
        default="auto",
        show_default=True,
        help="How it is seen that two files differ.",
    ),
    click.option(
        "--delete",
        type=click.Choice(["none", "tracked", "all"]),
        default="none",
        metavar="[=tracked|all]",
        help="Delete from the target what the source has no more: 'tracked' (without a word) only what this pair has "
        "synced before, 'all' whatever the source does not have.",
    ),
    click.option("--max-delete", metavar="N|P%", help="Stop rather than delete more.  [default: 1000|50%]"),
    click.option("--allow-empty-source", is_flag=True, help="Delete also if the source is empty or not there."),
    click.option("--allow-new-root", is_flag=True, help="Delete also if the folder is another one than last time."),
    click.option(
        "--metadata",
        multiple=True,
        type=click.Choice(["mtime", "mode", "none"]),
        default=("mtime",),
        show_default=True,
        help="What is kept with objects and restored with files; may be repeated.",
    ),
)
BWLIMIT = (
    click.option(
        "--bwlimit", callback=byte_count, metavar="RATE", help="Bytes per second, of all transfers together (10M …)."
    ),
)
PROGRESS = (
    click.option(
        "--progress",
        type=click.Choice(["auto", "bar", "json", "none"]),
        default="auto",
        show_default=True,
        help="On stderr: a bar (auto: on a terminal), lines of JSON, or nothing.",
    ),
)
VERBOSE = (click.option("--verbose", "-v", is_flag=True, help="A line per step on stderr."),)
CARRYING = (
    click.option("--dry-run", "-n", is_flag=True, help="Change nothing, and show what would be done."),
    click.option(
        "--backup-dir", "backup", metavar="WHERE", help="Keep what is replaced or deleted: a folder, a URL, or trash."
    ),
    click.option(
        "--on-conflict",
        type=click.Choice(["error", "source", "target", "keep-both"]),
        default="error",
        show_default=True,
        help="Who wins where both sides have changed.",
    ),
    *BWLIMIT,
    click.option(
        "--workers", default="auto", callback=_workers, metavar="N", help="Threads; auto finds out how many help."
    ),
    click.option("--no-verify", is_flag=True, help="Compare no checksums of what was downloaded."),
    click.option("--fsync", is_flag=True, help="Files outlast a power failure before they have their names."),
    click.option("--fail-fast", is_flag=True, help="End at the first step that fails."),
)
OUTPUT = (
    click.option("--json", "as_json", is_flag=True, help="A line of JSON per event on stdout."),
    *PROGRESS,
    *VERBOSE,
)


def with_options(*groups: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    """These groups of options, in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


def filters_of(options: Options) -> Filters | None:
    """Take the options of FILTERS out of the others; None where everything takes part. UsageError."""
    from s3func.sync.filters import Filters

    rules = [*options.pop("rules"), *_rules(options.pop("filter_from"))]
    names = _listed(options.pop("files_from"))
    file = options.pop("gitignore")
    ignore = "" if file is None else file.read()
    given = {name: options.pop(name) for name in ("exclude", "include", "min_size", "max_size", "ignore_case")}
    try:
        filters = Filters(**given, rules=rules, files_from=names, gitignore=ignore)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return None if filters.is_empty else filters


def _rules(file: Any) -> list[str]:
    """The lines of a file of rules, without comments and empty ones."""
    lines = [] if file is None else [line.rstrip("\r\n") for line in file]
    return [line for line in lines if line.strip() and line[0] not in "#;"]


def _listed(file: Any) -> list[str] | None:
    """The names in a file, one in a line, or with null characters between them; as `find .` writes them as well."""
    if file is None:
        return None
    text = file.read()
    names = text.split("\0") if "\0" in text else text.split("\n")
    return [name.removeprefix("./") for name in names if name]


def sides_of(options: Options) -> Options:
    """Take what reaches and reads both sides out of the others, as plan() and check() take it."""
    taken = {name: options.pop(name) for name in ("endpoint_url", "profile", "region", "symlinks", "names")}
    if options.pop("anonymous", False):
        taken["anonymous"] = True
    state = options.pop("state")
    return taken | {"state": None if state == "none" else state}


def planning_of(options: Options) -> Options:
    """Take the options of PLANNING out of the others, as plan() takes them."""
    names = ("compare", "delete", "max_delete", "allow_empty_source", "allow_new_root")
    taken = {name: options.pop(name) for name in names}
    return taken | {"metadata": tuple(word for word in options.pop("metadata") if word != "none")}


def carrying_of(options: Options) -> Options:
    """Take the options of CARRYING, but --fail-fast, out of the others, as apply() takes them."""
    taken = {name: options.pop(name) for name in ("dry_run", "backup", "on_conflict", "bwlimit", "workers")}
    verify = False if options.pop("no_verify") else "auto"
    return taken | {"verify": verify, "durability": "fsync" if options.pop("fsync") else "rename"}


@contextmanager
def usage() -> Iterator[None]:
    """What is wrong with an argument is said as the shell's own mistakes are."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from None


def say(text: str) -> None:
    """A line on stderr, whatever names are in it."""
    click.echo(shown(text), file=sys.stderr)
