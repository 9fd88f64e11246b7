"""`backends.toml`, where backends have names: read by `s3func serve`, written by `s3func config`.

The file is TOML with a table per backend, `[name]`, with `type` and the settings of that type. It may hold secrets, so
nothing that is said about it repeats a part of it but names; it is written so that only its owner can read it, as a
whole or not at all, and with every comment, order and table that is not the one to be changed. A file that is not valid
TOML is never written to.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s3func.server.backends.settings import suggestion

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def backends_path() -> Path:
    """Where it is: $XDG_CONFIG_HOME/s3func/backends.toml, and ~/.config without that variable."""
    folder = os.environ.get("XDG_CONFIG_HOME") or os.path.join("~", ".config")
    return Path(folder).expanduser() / "s3func" / "backends.toml"


def check_name(name: str) -> str:
    """The name, if a backend can have it; UsageError."""
    if _NAME.fullmatch(name) is None:
        raise click.UsageError(f"a name has letters, digits, '_' and '-', and at most 64 of them: {name[:80]!r}")
    return name


def read_tables() -> dict[str, Mapping[str, Any]]:
    """Every table, by name; nothing where there is no file. ClickException for a file that cannot be read."""
    path = backends_path()
    try:
        tables = _parsed(path, path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from None
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def read_table(name: str) -> Mapping[str, Any]:
    """The table of this name; ClickException where there is none."""
    tables = read_tables()
    if name not in tables:
        path, known = backends_path(), tuple(tables)
        if not path.exists():
            raise click.ClickException(f"there is no {path}; s3func config add {name} makes it")
        there = f"; there are {', '.join(sorted(known))}" if known else "; s3func config add makes one"
        raise click.ClickException(f"{path} has no table [{name}]{suggestion(name, known) or there}")
    return tables[name]


def complete_name(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """What the TAB key puts where the name of a backend is expected; nothing where the file cannot be read."""
    try:
        return sorted(name for name in read_tables() if name.startswith(incomplete))
    except click.ClickException:
        return []


def is_readable_by_others() -> bool:
    """Whether somebody else on this machine may read the file."""
    try:
        return os.name == "posix" and bool(backends_path().stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def change_tables(change: Callable[[TOMLDocument], None]) -> Path:
    """Rewrite the file with what `change` makes of it, and return its path. ClickException; nothing is changed then."""
    try:
        import tomlkit
    except ImportError:
        raise click.ClickException("writing backends.toml needs tomlkit: pip install 's3func[cli]'") from None
    # What a link leads to is replaced, not the link: such files live in repositories of dotfiles.
    path = Path(os.path.realpath(backends_path()))
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        before = None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from None
    if before is not None:
        _parsed(path, before)
    document = tomlkit.parse(before or b"")
    change(document)
    after = tomlkit.dumps(document).encode()
    # A writer is trusted as far as what it wrote can be read and says the same.
    if tomllib.loads(after.decode()) != document.unwrap():
        raise click.ClickException(f"{path}: this change cannot be written into this file; it was left as it was")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(path, before, after)
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from None
    return path


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(text.decode())
    except ValueError as error:
        # The parser's own words may quote the file; where it stopped is no secret.
        found = re.search(r"at line (\d+)", str(error))
        line = f", line {found[1]}" if found else ""
        raise click.ClickException(f"{path} is not valid TOML{line}") from None


def _replace(path: Path, before: bytes | None, after: bytes) -> None:
    """Put a new file in the place of the old one, unless that is another one by now."""
    descriptor, name = tempfile.mkstemp(prefix=".backends-", suffix=".toml", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        try:
            now = path.read_bytes()
        except FileNotFoundError:
            now = None
        if now != before:
            raise click.ClickException(f"{path} was changed by somebody else just now; try again")
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
