"""What a kind of store can be told: settings as data, which a file, options and questions are made from.

A class whose name stands in the table of `s3func/cli/stores.py` satisfies `BackendType`: it says what its settings are,
and makes itself from them. Its module MUST be importable without what it needs from elsewhere, so that its settings can
be shown and saved on any machine; a package from elsewhere is imported in `from_settings`, and if it is missing, the
ImportError is passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from s3func.server.backend import Backend

SettingValue = str | int | bool


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: a key of a table of backends.toml, `--set NAME=VALUE` of a command, a question of `s3func config`.

    about: what it means, as one sentence without its full stop. type: of its value; a path is a str. choices: the only
    values, of a str. secret: it is never shown, nor taken from a command line. variable: of the environment, read where
    neither it nor one of the settings `unless` was given. default: what it is without being given, for people.
    """

    name: str
    about: str
    type: type[str] | type[int] | type[bool] = str
    required: bool = False
    secret: bool = False
    choices: tuple[str, ...] = ()
    variable: str | None = None
    default: str = ""
    unless: tuple[str, ...] = ()

    def parse(self, text: str) -> SettingValue:
        """The value that a text stands for; ValueError names the setting, and does not repeat a secret."""
        if self.type is int:
            if not text.strip().removeprefix("-").isdecimal():
                raise ValueError(f"{self.name} must be a whole number")
            return int(text)
        if self.type is bool:
            if text.strip().lower() not in _TRUTHS:
                raise ValueError(f"{self.name} must be true or false")
            return _TRUTHS[text.strip().lower()]
        return self.check(text)

    def check(self, value: object) -> SettingValue:
        """The value itself if it is one; ValueError as of `parse`."""
        if type(value) is not self.type:
            wanted = {str: "a text", int: "a whole number", bool: "true or false"}[self.type]
            raise ValueError(f"{self.name} must be {wanted}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.name} must be {' or '.join(self.choices)}{suggestion(value, self.choices)}")
        if value == "":
            raise ValueError(f"{self.name} is empty")
        return value


_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class BackendType(Protocol):
    """A class of stores that can be made from settings; the class itself is what has these."""

    SETTINGS: tuple[Setting, ...]

    def from_settings(self, settings: Mapping[str, SettingValue], /) -> Backend:
        """Open the store. `settings` has no other names than SETTINGS, right types, and every one that is required.

        ValueError (a value that is no good, with the name of the setting), OSError, S3FuncError, ImportError.
        """

    def place_of(self, settings: Mapping[str, SettingValue], /) -> str:
        """Where the objects are, for people; no secret. Nothing is opened."""


def suggestion(given: object, known: tuple[str, ...]) -> str:
    """`; did you mean X?` where one of the known words resembles what was given, else nothing."""
    found = get_close_matches(str(given), known, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def setting_of(backend_type: BackendType, name: str) -> Setting:
    """The setting of this name; ValueError for an unknown one."""
    for setting in backend_type.SETTINGS:
        if setting.name == name:
            return setting
    known = tuple(setting.name for setting in backend_type.SETTINGS)
    raise ValueError(f"there is no setting {name!r}{suggestion(name, known)}")


def check_settings(backend_type: BackendType, settings: Mapping[str, object]) -> dict[str, SettingValue]:
    """The settings, all of them known, of the right type and complete; ValueError names the one that is not."""
    checked = {name: setting_of(backend_type, name).check(value) for name, value in settings.items()}
    for setting in backend_type.SETTINGS:
        if setting.required and setting.name not in checked:
            raise ValueError(f"{setting.name} is missing")
    return checked
