"""Which store `s3func serve` puts behind the server: from its options, from a file of named backends, from variables.

A setting counts as the first of these says that has it: an option, the table of backends.toml, its variable. Which
settings there are, a backend says itself; see "Add a backend" in docs/server.md.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from s3func.cli.backends_file import backends_path, complete_name, is_readable_by_others, read_table
from s3func.cli.obscure import is_obscured, reveal
from s3func.server.backends.settings import (
    BackendType,
    Setting,
    SettingValue,
    check_settings,
    setting_of,
    suggestion,
)

if TYPE_CHECKING:
    from s3func.server import Backend

BACKENDS = {
    "drime": "s3func.server.backends.drime:DrimeBackend",
    "local": "s3func.server.backends.local:LocalBackend",
    "memory": "s3func.server.backends.memory:MemoryBackend",
    "session": "s3func.cli.upstream:UpstreamBackend",
}
"""Type of a backend to the class that satisfies `BackendType`; see "Add a backend" in docs/server.md."""

# Settings that are typed often enough to have an option of their own; the others are given with --set.
OPTIONS = {
    "path": "--path",
    "durability": "--durability",
    "endpoint_url": "--upstream-endpoint-url",
    "region": "--upstream-region",
    "profile": "--upstream-profile",
    "bucket": "--upstream-bucket",
    "access_key_id": "--upstream-access-key-id",
    "secret_access_key": "--upstream-secret-access-key",
}


class StoreChoice(NamedTuple):
    """A type, and the settings that it was given: all of them, checked, and with nothing obscured."""

    type: str
    settings: Mapping[str, SettingValue]

    @property
    def place(self) -> str:
        """Where the objects are, for people."""
        return backend_type(self.type).place_of(self.settings)

    def __repr__(self) -> str:
        return f"StoreChoice({self.type!r}, {masked(backend_type(self.type), self.settings)!r})"


def backend_type(name: str) -> BackendType:
    """The class that a type's name stands for, of the table or as `module:Class`. ValueError, with a suggestion."""
    place = BACKENDS.get(name, name)
    module, colon, attribute = place.partition(":")
    if not colon:
        hint = suggestion(name, tuple(BACKENDS)) or f"; there are {', '.join(BACKENDS)}"
        raise ValueError(f"there is no backend {name!r}{hint}")
    try:
        found: BackendType = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"the backend {name!r} cannot be imported: {error}") from None
    if not (hasattr(found, "SETTINGS") and hasattr(found, "from_settings") and hasattr(found, "place_of")):
        raise ValueError(f"{place} is no type of backends: it has no SETTINGS, from_settings and place_of")
    return found


def masked(kind: BackendType, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they may be shown: without what is secret, and without what nobody knows, which may be."""
    shown = {}
    for name, value in settings.items():
        setting = next((each for each in kind.SETTINGS if each.name == name), None)
        is_hidden = setting is None or setting.secret or is_obscured(value)
        shown[name] = "********" if is_hidden else value
    return shown


def table_settings(table: Mapping[str, Any]) -> tuple[str, dict[str, SettingValue]]:
    """Type and settings of a table of backends.toml, as far as they go; ValueError says what is wrong with it."""
    name = table.get("type", "")
    if not name:
        raise ValueError(f"a backend needs a type: {', '.join(BACKENDS)}")
    kind = backend_type(str(name))
    settings = {}
    for key, value in table.items():
        if key != "type":
            setting = setting_of(kind, key)
            try:
                settings[key] = setting.check(reveal(value) if is_obscured(value) else value)
            except ValueError as error:
                # A damaged text does not say which one it is.
                said = str(error)
                raise ValueError(said if said.startswith(key) else f"{key}: {said}") from None
    return str(name), settings


def complete(name: str, settings: Mapping[str, SettingValue]) -> StoreChoice:
    """The choice of these settings, and of the variables of those that are missing. ValueError."""
    kind = backend_type(name)
    found = dict(settings)
    for setting in kind.SETTINGS:
        text = os.environ.get(setting.variable) if setting.variable else None
        if text and setting.name not in found and not any(settings.get(name) for name in setting.unless):
            try:
                found[setting.name] = setting.parse(text)
            except ValueError as error:
                raise ValueError(f"{setting.variable}: {error}") from None
    return StoreChoice(name, check_settings(kind, found))


def assignment(kind: BackendType, text: str) -> tuple[str, SettingValue]:
    """The setting that NAME=VALUE gives. ValueError: unknown, of the wrong type, or a secret."""
    name, equals, value = text.partition("=")
    setting = setting_of(kind, name.strip())
    if setting.secret:
        raise ValueError(f"{setting.name} is a secret, and others can see a command line: {_instead(setting)}")
    if not equals:
        raise ValueError(f"{name!r} is not NAME=VALUE")
    return setting.name, setting.parse(value)


def _instead(setting: Setting) -> str:
    ways = [f"set {setting.variable}"] if setting.variable else []
    return " or ".join([*ways, f"use s3func config with --secret {setting.name}"])


def complete_type(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """What the TAB key puts where a type of backends is expected."""
    return [name for name in BACKENDS if name.startswith(incomplete)]


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name a store."""
    options = [
        click.option(
            "--path",
            type=click.Path(file_okay=False),
            metavar="DIR",
            help="Keep buckets and objects in this directory. Without it they live in memory and end with the server.",
        ),
        click.option(
            "--backend",
            "backend_name",
            metavar="TYPE",
            shell_complete=complete_type,
            help=f"Where objects are kept: {', '.join(BACKENDS)}, or the class of another distribution, module:Class. "
            "local with --path and memory without it are assumed; session is a gateway to another store.",
        ),
        click.option(
            "--backend-config",
            metavar="NAME",
            shell_complete=complete_name,
            help="The backend of this name in backends.toml (s3func config); options change what it says.",
        ),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="NAME=VALUE",
            help="Any setting of the backend but secrets, as backends.toml has it. Settings of each: s3func config types.",
        ),
        click.option(
            "--durability",
            type=click.Choice(["disk", "os"]),
            help="Of --path, when a put is answered: once it is on the disk (the default), or once the operating "
            "system has it, which is faster and which a power failure may undo.",
        ),
        click.option(
            "--upstream-endpoint-url",
            metavar="URL",
            help="Of --backend session: the store behind this server, also S3FUNC_UPSTREAM_ENDPOINT_URL. What is not "
            "given comes from AWS's variables and profiles.",
        ),
        click.option("--upstream-region", metavar="REGION", help="Its region."),
        click.option("--upstream-profile", metavar="NAME", help="The profile with its keys."),
        click.option("--upstream-bucket", metavar="BUCKET", help="Serve this one of its buckets only."),
        click.option("--upstream-access-key-id", metavar="ID", help="Its key, also S3FUNC_UPSTREAM_ACCESS_KEY_ID."),
        click.option(
            "--upstream-secret-access-key",
            metavar="SECRET",
            help="The secret of that key, also S3FUNC_UPSTREAM_SECRET_ACCESS_KEY, which others cannot see.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def choose(store: Mapping[str, Any]) -> StoreChoice:
    """The store that options, file and variables ask for. UsageError for an option, ClickException for the file."""
    name: str | None = store["backend_name"]
    settings: dict[str, SettingValue] = {}
    if store["backend_config"] is not None:
        name_in_file, settings = _named(store["backend_config"])
        if name not in (None, name_in_file):
            raise click.UsageError(f"--backend {name}: [{store['backend_config']}] is {name_in_file}")
        name = name_in_file
    elif name is None:
        name = "memory" if store["path"] is None else "local"
    try:
        kind = backend_type(name)
    except ValueError as error:
        raise click.UsageError(f"--backend: {error}") from None
    known = {setting.name for setting in kind.SETTINGS}
    for setting, option in OPTIONS.items():
        value = store[option.removeprefix("--").replace("-", "_")]
        if value is not None and setting not in known:
            raise click.UsageError(f"{option} does not go with a {name} backend")
        if value is not None:
            settings[setting] = value
    for text in store["assignments"]:
        try:
            settings.update([assignment(kind, text)])
        except ValueError as error:
            raise click.UsageError(f"--set: {error}") from None
    try:
        return complete(name, settings)
    except ValueError as error:
        raise click.UsageError(f"a {name} backend: {error}{_way_to_give(kind, str(error))}") from None


def open_store(choice: StoreChoice) -> Backend:
    """Open it; ClickException where that cannot be done."""
    from s3func.errors import S3FuncError

    try:
        return backend_type(choice.type).from_settings(choice.settings)
    except ImportError as error:
        if error.name is None:
            raise
        cure = f": pip install 's3func[{choice.type}]'" if choice.type in BACKENDS else ", which is not installed"
        raise click.ClickException(f"a {choice.type} backend needs {error.name}{cure}") from None
    except (ValueError, OSError, S3FuncError) as error:
        raise click.ClickException(f"a {choice.type} backend in {choice.place}: {error}") from None


def _named(name: str) -> tuple[str, dict[str, SettingValue]]:
    table = read_table(name)
    if any(_is_plain_secret(table, key) for key in table) and is_readable_by_others():
        click.echo(f"s3func: warning: others can read the secrets in {backends_path()}: chmod 600", err=True)
    try:
        return table_settings(table)
    except ValueError as error:
        raise click.ClickException(f"{backends_path()}: [{name}]: {error}") from None


def _is_plain_secret(table: Mapping[str, Any], key: str) -> bool:
    try:
        return setting_of(backend_type(str(table.get("type"))), key).secret
    except ValueError:
        return False


def _way_to_give(kind: BackendType, said: str) -> str:
    name, _, rest = said.partition(" ")
    if rest != "is missing":
        return ""
    if name in OPTIONS:
        return f"; say {OPTIONS[name]}"
    setting = setting_of(kind, name)
    return f"; {_instead(setting)}" if setting.secret else f"; say --set {name}=…"
