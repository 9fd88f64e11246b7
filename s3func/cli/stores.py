"""Which store `s3func serve` puts behind the server: from its options, and from a file of named backends.

The file is TOML with a table per backend, `[name]`, with `type` and the settings of that type, whose names are those of
the options (`path`, `durability`; `endpoint_url`, `region`, `profile`, `bucket`, `access_key_id`, `secret_access_key`).
What an option says counts more than what the file says.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from s3func.server import Backend

BACKENDS = {
    "drime": "s3func.server.backends.drime:DrimeBackend",
    "local": "s3func.server.backends.local:LocalBackend",
    "memory": "s3func.server.backends.memory:MemoryBackend",
    "session": "s3func.cli.upstream:UpstreamBackend",
}
"""Type of a backend to the class that satisfies `BackendType`; see "Add a backend" in docs/server.md."""

TYPES = ("memory", "local", "session")
# Setting → the option that it is given with.
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
_OF_LOCAL = frozenset({"path", "durability"})
_OF_TYPE = {"memory": frozenset[str](), "local": _OF_LOCAL, "session": frozenset(OPTIONS) - _OF_LOCAL}


class StoreChoice(NamedTuple):
    """A type, and the settings that it was given."""

    type: str
    settings: Mapping[str, str]

    @property
    def place(self) -> str:
        """Where the objects are, for people."""
        if self.type == "memory":
            return "memory, and end with the server"
        if self.type == "local":
            return str(Path(self.settings["path"]).absolute())
        where = self.settings.get("endpoint_url", "the store that the environment names")
        bucket = self.settings.get("bucket")
        return where if bucket is None else f"{where}, bucket {bucket}"

    def __repr__(self) -> str:
        shown = {name: value for name, value in self.settings.items() if name != "secret_access_key"}
        return f"StoreChoice({self.type!r}, {shown!r})"


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
            "backend_type",
            type=click.Choice(TYPES),
            help="Where objects are kept: local with --path and memory without it are assumed; session is a gateway to "
            "another S3 store.",
        ),
        click.option(
            "--backend-config",
            metavar="NAME",
            help=f"The backend of this name in {_file()}; options change what it says.",
        ),
        click.option(
            "--durability",
            type=click.Choice(["disk", "os"]),
            help="Of --path, when a put is answered: once it is on the disk (the default), or once the operating "
            "system has it, which is faster and which a power failure may undo.",
        ),
        click.option(
            "--upstream-endpoint-url",
            envvar="S3FUNC_UPSTREAM_ENDPOINT_URL",
            show_envvar=True,
            metavar="URL",
            help="Of --backend session: the store behind this server. What is not given comes from AWS's variables "
            "and profiles.",
        ),
        click.option("--upstream-region", metavar="REGION", help="Its region."),
        click.option("--upstream-profile", metavar="NAME", help="The profile with its keys."),
        click.option("--upstream-bucket", metavar="BUCKET", help="Serve this one of its buckets only."),
        click.option(
            "--upstream-access-key-id",
            envvar="S3FUNC_UPSTREAM_ACCESS_KEY_ID",
            show_envvar=True,
            metavar="ID",
            help="Its key.",
        ),
        click.option(
            "--upstream-secret-access-key",
            envvar="S3FUNC_UPSTREAM_SECRET_ACCESS_KEY",
            show_envvar=True,
            metavar="SECRET",
            help="The secret of that key.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def choose(context: click.Context, store: Mapping[str, str | None]) -> StoreChoice:
    """The store that options and file ask for; UsageError where they do not fit each other."""
    backend_type, backend_config = store["backend_type"], store["backend_config"]
    settings: dict[str, str] = {}
    if backend_config is not None:
        settings = dict(_named_backend(backend_config))
        type_in_file = settings.pop("type")
        if backend_type not in (None, type_in_file):
            raise click.UsageError(f"--backend {backend_type}: [{backend_config}] is {type_in_file}")
        backend_type = type_in_file
    elif backend_type is None:
        backend_type = "memory" if store["path"] is None else "local"
    for name, option in OPTIONS.items():
        parameter = option.removeprefix("--").replace("-", "_")
        value = store[parameter]
        if value is not None and name in _OF_TYPE[backend_type]:
            settings[name] = value
        # An upstream's keys may stand in the environment of a server that has no use for them.
        elif value is not None and context.get_parameter_source(parameter) is not ParameterSource.ENVIRONMENT:
            raise click.UsageError(f"{option} does not go with a {backend_type} backend")
    if backend_type == "local" and "path" not in settings:
        raise click.UsageError("a local backend needs --path")
    if ("access_key_id" in settings) != ("secret_access_key" in settings):
        missing = "secret_access_key" if "access_key_id" in settings else "access_key_id"
        raise click.UsageError(f"half a key pair: {OPTIONS[missing]} is missing")
    return StoreChoice(backend_type, settings)


def open_store(choice: StoreChoice) -> Backend:
    """Open it; ClickException where that cannot be done."""
    from s3func.errors import S3FuncError
    from s3func.server import LocalBackend, MemoryBackend, SessionBackend

    settings: dict[str, Any] = dict(choice.settings)
    if choice.type == "memory":
        return MemoryBackend()
    if choice.type == "local":
        try:
            return LocalBackend(**settings)
        except (ValueError, OSError) as error:
            raise click.ClickException(f"--path {settings['path']}: {error}") from None
    from s3func.s3 import S3Session

    bucket = settings.pop("bucket", None)
    try:
        return SessionBackend(S3Session(**settings, bucket=bucket), bucket=bucket)
    except (ValueError, S3FuncError) as error:
        raise click.ClickException(f"the store behind this server: {error}") from None


def _file() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME") or os.path.join("~", ".config")
    return Path(folder) / "s3func" / "backends.toml"


def _named_backend(name: str) -> Mapping[str, str]:
    path = _file().expanduser()
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        raise click.ClickException(f"--backend-config: {path}: {error.strerror or error}") from None
    except ValueError:
        # The parser would quote a line, which may have a secret in it.
        raise click.ClickException(f"--backend-config: {path} is not valid TOML") from None
    table = tables.get(name)
    if not isinstance(table, dict):
        raise click.ClickException(f"--backend-config: {path} has no table [{name}]")
    kind = table.get("type")
    if kind not in TYPES:
        raise click.ClickException(f"--backend-config: [{name}] needs a type: {', '.join(TYPES)}")
    unknown = sorted(table.keys() - _OF_TYPE[kind] - {"type"})
    if unknown:
        raise click.ClickException(f"--backend-config: [{name}]: a {kind} backend has no {', '.join(unknown)}")
    for setting, value in table.items():
        if not isinstance(value, str):
            raise click.ClickException(f"--backend-config: [{name}] {setting} must be a text")
    if table.get("durability", "disk") not in ("disk", "os"):
        raise click.ClickException(f"--backend-config: [{name}] durability must be disk or os")
    return table
