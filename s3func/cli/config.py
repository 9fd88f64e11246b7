"""`s3func config`: the named backends of backends.toml, by questions or, for scripts, by options.

Without a subcommand it is a menu. A subcommand that was told everything asks nothing. Secrets are typed unseen or come
from stdin, are saved obscured, and are shown by nothing here. What cannot be served is not saved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

import click

from s3func.cli.backends_file import backends_path, change_tables, check_name, complete_name, read_table, read_tables
from s3func.cli.obscure import is_obscured, obscure_text, read_secret, reveal
from s3func.cli.stores import (
    BACKENDS,
    assignment,
    backend_type,
    complete,
    complete_type,
    masked,
    open_store,
    table_settings,
)
from s3func.cli.teaching import TeachingCommand, write_examples
from s3func.server.backends.settings import BackendType, Setting, check_settings, setting_of

if TYPE_CHECKING:
    from s3func.server.backends.settings import SettingValue


class TeachingGroup(click.Group):
    """A group with examples of its own."""

    def __init__(self, *args: Any, examples: str = "", **options: Any) -> None:
        """examples: as of TeachingCommand."""
        super().__init__(*args, **options)
        self.examples = cleandoc(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, then what click has."""
        write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


_NO_CHANGE: Mapping[str, SettingValue] = {}


@click.group(
    invoke_without_command=True,
    cls=TeachingGroup,
    examples="""
    s3func config
    s3func config add mylocal --type local --set path=/srv/s3
    s3func config test mylocal
    """,
)
@click.pass_context
def config(context: click.Context) -> None:
    """Backends with names, for s3func serve --backend-config NAME.

    They are kept in backends.toml; s3func config path says where. Without a command there is a menu.
    """
    if context.invoked_subcommand is None:
        from s3func.cli.config_menu import menu

        menu()


@config.command(
    "list",
    cls=TeachingCommand,
    examples="""
    s3func config list
    """,
)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON per backend.")
def list_(as_json: bool) -> None:
    """Name, type and place of every backend, a line each."""
    for name, table in sorted(read_tables().items()):
        try:
            kind, settings = table_settings(table)
            place, problem = backend_type(kind).place_of(complete(kind, settings).settings), None
        except ValueError as error:
            kind, place, problem = str(table.get("type", "")), "", str(error)
        if as_json:
            click.echo(json.dumps({"name": name, "type": kind, "place": place or None, "problem": problem}))
        else:
            click.echo(f"{name:20}  {kind:8}  {place if problem is None else f'cannot be used: {problem}'}")


@config.command(
    cls=TeachingCommand,
    examples="""
    s3func config show mylocal
    """,
)
@click.argument("name", shell_complete=complete_name)
@click.option("--json", "as_json", is_flag=True, help="One object of JSON.")
def show(name: str, as_json: bool) -> int:
    """The settings of one backend, without its secrets. Exit code 1 if it cannot be used."""
    table = read_table(name)
    try:
        shown = {"type": table.get("type")} | masked(backend_type(str(table.get("type", ""))), _settings_of(table))
    except ValueError:
        shown = dict.fromkeys(table, "********") | {"type": table.get("type")}
    if as_json:
        click.echo(json.dumps({"name": name} | shown, default=str))
    else:
        click.echo(
            "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value, default=str)}" for key, value in shown.items())])
        )
    try:
        table_settings(table)
    except ValueError as error:
        click.echo(f"s3func: [{name}] cannot be used: {error}", err=True)
        return 1
    return 0


_SETTINGS = (
    click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="A setting; none that is secret."),
    click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar="NAME",
        help="A secret setting: asked for on a terminal, else the next line of stdin.",
    ),
)


def _settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


@config.command(
    cls=TeachingCommand,
    examples="""
    s3func config add mylocal --type local --set path=/srv/s3 --set durability=os
    pass show archive | s3func config add archive --type session --set access_key_id=AKID --secret secret_access_key
    """,
)
@click.argument("name")
@click.option(
    "--type",
    "kind",
    metavar="TYPE",
    shell_complete=complete_type,
    help=f"{', '.join(BACKENDS)}, or module:Class. Without it, you are asked.",
)
@_settings_options
def add(name: str, kind: str | None, assignments: tuple[str, ...], secrets: tuple[str, ...]) -> None:
    """Save a new backend. Without --type it asks for everything."""
    refuse_known(check_name(name))
    if kind is None:
        if assignments or secrets:
            raise click.UsageError("--set and --secret go with --type")
        from s3func.cli.config_menu import ask_settings, ask_type

        kind = ask_type()
        save_new(name, kind, ask_settings(backend_type(kind), _NO_CHANGE))
    else:
        save_new(name, kind, _given(_type_of(kind), assignments, secrets))


@config.command(
    cls=TeachingCommand,
    examples="""
    s3func config edit mylocal --set durability=disk
    s3func config edit archive --unset bucket
    """,
)
@click.argument("name", shell_complete=complete_name)
@_settings_options
@click.option("--unset", "unset", multiple=True, metavar="NAME", help="Forget a setting.")
def edit(name: str, assignments: tuple[str, ...], secrets: tuple[str, ...], unset: tuple[str, ...]) -> None:
    """Change settings of a backend, and keep the others. Without an option it asks for everything.

    Comments in the file stay where they are.
    """
    table = read_table(name)
    for key in unset:
        if key not in table or key == "type":
            raise click.UsageError(f"--unset {key}: [{name}] has no such setting")
    kind = _type_of(str(table.get("type", "")))
    if assignments or secrets or unset:
        save_changed(name, _given(kind, assignments, secrets), unset)
    else:
        from s3func.cli.config_menu import ask_settings

        settings = _revealed(name, _settings_of(table))
        changed = ask_settings(kind, settings)
        save_changed(
            name,
            {key: value for key, value in changed.items() if settings.get(key) != value},
            [key for key in settings if key not in changed and any(key == each.name for each in kind.SETTINGS)],
        )


@config.command(
    cls=TeachingCommand,
    examples="""
    s3func config remove mylocal
    """,
)
@click.argument("name", shell_complete=complete_name)
def remove(name: str) -> None:
    """Forget a backend. What is stored in it stays."""
    read_table(name)

    def change(document: Any) -> None:
        del document[name]

    change_tables(change)
    click.echo(f"s3func: removed [{name}]; its objects are where they were", err=True)


@config.command(
    cls=TeachingCommand,
    examples="""
    s3func config test mylocal
    """,
)
@click.argument("name", shell_complete=complete_name)
def test(name: str) -> None:
    """Open a backend and count its buckets; nothing is written."""
    try:
        choice = complete(*table_settings(read_table(name)))
    except ValueError as error:
        raise click.ClickException(f"[{name}]: {error}") from None
    if choice.type == "local" and _is_nothing(choice.place):
        click.echo(f"{name}: local in {choice.place}, which s3func serve will make")
        return
    backend = open_store(choice)
    try:
        count = len(backend.list_buckets())
    finally:
        backend.close()
    click.echo(f"{name}: {choice.type} in {choice.place}: {count} {'bucket' if count == 1 else 'buckets'}")


@config.command(
    cls=TeachingCommand,
    examples="""
    s3func config types session
    """,
)
@click.argument("name", required=False, shell_complete=complete_type)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON per setting.")
def types(name: str | None, as_json: bool) -> None:
    """What types of backends there are, and the settings of each."""
    for kind in BACKENDS if name is None else (name,):
        try:
            found = backend_type(kind)
        except ValueError as error:
            if name is not None:
                raise click.UsageError(str(error)) from None
            click.echo(f"s3func: {error}", err=True)
            continue
        if not as_json:
            click.echo(kind)
        for setting in found.SETTINGS:
            click.echo(json.dumps({"backend": kind} | _described(setting)) if as_json else _line(setting))


@config.command(
    cls=TeachingCommand,
    examples="""
    s3func config path
    """,
)
def path() -> None:
    """Where backends.toml is, whether it exists or not."""
    click.echo(str(backends_path()))


def refuse_known(name: str) -> None:
    """ClickException where the file has something of this name."""
    if name in read_tables():
        raise click.ClickException(f"there is a backend [{name}] already; s3func config edit {name} changes it")


def save_new(name: str, kind: str, settings: Mapping[str, SettingValue]) -> None:
    """Write a table that was not there. ClickException."""
    _check_saved(backend_type(kind), settings, name)

    def change(document: Any) -> None:
        import tomlkit

        table = tomlkit.table()
        table.update({"type": kind} | _hidden(backend_type(kind), settings))
        if document:
            document.add(tomlkit.nl())
        document.add(name, table)

    click.echo(f"s3func: saved [{name}] in {change_tables(change)}", err=True)


def save_changed(name: str, settings: Mapping[str, SettingValue], unset: Any = ()) -> None:
    """Change a table. ClickException, also where the table could not be used then."""
    table = dict(read_table(name))
    kind = _type_of(str(table.get("type", "")))
    hidden = _hidden(kind, settings)
    try:
        _, after = table_settings({key: value for key, value in table.items() if key not in unset} | hidden)
    except ValueError as error:
        raise click.ClickException(
            f"[{name}]: {error}; s3func config edit {name} --unset … forgets a setting"
        ) from None
    _check_saved(kind, after, name)

    def change(document: Any) -> None:
        for key in unset:
            del document[name][key]
        for key, value in hidden.items():
            document[name][key] = value

    click.echo(f"s3func: saved [{name}] in {change_tables(change)}", err=True)


def _type_of(name: str) -> BackendType:
    try:
        return backend_type(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _given(kind: BackendType, assignments: tuple[str, ...], secrets: tuple[str, ...]) -> dict[str, SettingValue]:
    """Settings out of options; secrets are read in the order that they are named in."""
    try:
        found = dict(assignment(kind, text) for text in assignments)
        for name in secrets:
            setting = setting_of(kind, name)
            found[name] = setting.check(reveal(read_secret(setting.name)))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return found


def _check_saved(kind: BackendType, settings: Mapping[str, SettingValue], name: str) -> None:
    """Refuse what could not be served; what a variable can say may be missing."""
    given = {each.name: "x" for each in kind.SETTINGS if each.required and each.variable and each.name not in settings}
    try:
        check_settings(kind, {**given, **settings})
    except ValueError as error:
        raise click.ClickException(f"[{name}] was not saved: {error}") from None


def _hidden(kind: BackendType, settings: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
    """The settings as they are written."""
    return {
        name: obscure_text(str(value)) if setting_of(kind, name).secret else value for name, value in settings.items()
    }


def _settings_of(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "type"}


def _revealed(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(settings)
    for key, value in settings.items():
        if is_obscured(value):
            try:
                found[key] = reveal(value)
            except ValueError as error:
                raise click.ClickException(
                    f"[{name}]: {key}: {error}; s3func config edit {name} --secret {key} replaces it"
                ) from None
    return found


def _is_nothing(place: str) -> bool:
    from pathlib import Path

    return not Path(place).exists()


def _described(setting: Setting) -> dict[str, Any]:
    return {
        "name": setting.name,
        "type": setting.type.__name__,
        "about": setting.about,
        "required": setting.required,
        "secret": setting.secret,
        "choices": list(setting.choices),
        "variable": setting.variable,
        "default": setting.default or None,
    }


def _line(setting: Setting) -> str:
    notes = [word for word, is_true in (("required", setting.required), ("secret", setting.secret)) if is_true]
    notes += [" or ".join(setting.choices)] if setting.choices else []
    notes += [f"else ${setting.variable}"] if setting.variable else []
    notes += [f"default: {setting.default}"] if setting.default else []
    return f"  {setting.name:20}  {setting.about}" + (f" ({', '.join(notes)})" if notes else "")
