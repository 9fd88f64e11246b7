"""The questions of `s3func config`: they go to stderr, and what a secret is answered with is not seen.

An empty answer keeps what was, or leaves a setting out; "-" forgets one. What is no good is said and asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from s3func.cli import config
from s3func.cli.backends_file import backends_path, check_name, read_table, read_tables
from s3func.cli.obscure import read_secret, reveal
from s3func.cli.stores import BACKENDS, backend_type

if TYPE_CHECKING:
    from s3func.server.backends.settings import BackendType, Setting, SettingValue

_FORGET = "-"


def menu() -> None:
    """Ask what to do until there is no more. What goes wrong is said, and the menu comes again."""
    click.echo(f"Backends for s3func serve --backend-config NAME, in {backends_path()}", err=True)
    while True:
        names = sorted(read_tables())
        click.echo(f"\nThere are: {', '.join(names)}" if names else "\nThere is none yet.", err=True)
        choices = [*(_CHOICES if names else ["add"]), "quit"]
        shown = ", ".join(f"{number} {word}" for number, word in enumerate(choices, 1))
        answer = str(click.prompt(shown, err=True, prompt_suffix="\n> ")).strip().lower()
        chosen = [word for number, word in enumerate(choices, 1) if answer in (str(number), word, word[:1])]
        if not chosen:
            click.echo("a number or a word of these", err=True)
        elif chosen[0] == "quit":
            return
        else:
            _do(chosen[0])


def ask_type() -> str:
    """One of the types of backends."""
    kinds = tuple(BACKENDS)
    return str(click.prompt("Type", type=click.Choice(kinds), default="local", err=True))


def ask_settings(kind: BackendType, settings: Mapping[str, Any]) -> dict[str, SettingValue]:
    """Every setting, from what they are now; none of these is obscured."""
    found: dict[str, Any] = dict(settings)
    for setting in kind.SETTINGS:
        value = _ask(setting, found.get(setting.name))
        if value is None:
            found.pop(setting.name, None)
        else:
            found[setting.name] = value
    return found


def _ask(setting: Setting, now: Any) -> Any:
    click.echo(f"{setting.name}: {setting.about}.{_notes(setting)}", err=True)
    may_be_left_out = not setting.required or setting.variable is not None
    while True:
        answer = _answer(setting, now)
        try:
            if answer == "" and now is not None:
                return now
            if answer in ("", _FORGET):
                if not may_be_left_out:
                    raise ValueError(f"{setting.name} is needed")
                return None
            return setting.parse(reveal(answer))
        except ValueError as error:
            click.echo(f"  {error}", err=True)


def _answer(setting: Setting, now: Any) -> str:
    shown = "" if now is None else " [keep it]" if setting.secret else f" [{now}]"
    if setting.secret:
        return read_secret(f"{setting.name}{shown}", is_needed=False)
    return str(click.prompt(f"{setting.name}{shown}", default="", show_default=False, err=True)).strip()


def _notes(setting: Setting) -> str:
    notes = [f" One of {', '.join(setting.choices)}."] if setting.choices else []
    notes += [f" Without it ${setting.variable} is read."] if setting.variable else []
    notes += [f" Default: {setting.default}."] if setting.default else []
    return "".join(notes)


def _do(what: str) -> None:
    try:
        _CHOICES[what]()
    except click.ClickException as error:
        error.show()


def _name() -> str:
    name = str(click.prompt("Name", err=True)).strip()
    read_table(name)
    return name


def _list() -> None:
    config.list_.main([], standalone_mode=False)


def _add() -> None:
    name = check_name(str(click.prompt("Name", err=True)).strip())
    config.refuse_known(name)
    kind = ask_type()
    config.save_new(name, kind, ask_settings(backend_type(kind), {}))


def _show() -> None:
    config.show.main([_name()], standalone_mode=False)


def _edit() -> None:
    config.edit.main([_name()], standalone_mode=False)


def _remove() -> None:
    name = _name()
    if click.confirm(f"Forget [{name}]? Its objects stay where they are", err=True):
        config.remove.main([name], standalone_mode=False)


def _test() -> None:
    config.test.main([_name()], standalone_mode=False)


_CHOICES: dict[str, Callable[[], None]] = {
    "list": _list,
    "add": _add,
    "show": _show,
    "edit": _edit,
    "remove": _remove,
    "test": _test,
}
