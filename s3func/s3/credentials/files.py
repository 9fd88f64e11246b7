"""The files of ~/.aws: profiles, sso-sessions and services, read as botocore reads them.

The credentials file and the config file are one to their reader: a profile has the settings of both, and where both
say something the credentials file is right. A value that begins on its next line is a section of its own (`nested`).
No error quotes a line, which may hold a secret.
https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from s3func.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIALS_FILE = "~/.aws/credentials"
CONFIG_FILE = "~/.aws/config"
_NOTHING: Mapping[str, str] = {}


class Profile(NamedTuple):
    """One profile, both files merged; `shared` is what the credentials file says of it. The repr shows the name only."""

    name: str
    settings: Mapping[str, str]
    shared: Mapping[str, str] = _NOTHING

    def __repr__(self) -> str:
        return f"Profile(name={self.name!r})"


class ProfileFiles:
    """What stands in the two files."""

    __slots__ = ("config_path", "credentials_path", "home", "profiles", "services", "sso_sessions")

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read them; a file that is not there is an empty one, one that cannot be read is a CredentialsError."""
        self.home = environment.get("HOME") or os.path.expanduser("~")
        self.credentials_path = environment.get("AWS_SHARED_CREDENTIALS_FILE") or CREDENTIALS_FILE
        self.config_path = environment.get("AWS_CONFIG_FILE") or CONFIG_FILE
        self.profiles: dict[str, Profile] = {}
        self.sso_sessions: dict[str, Mapping[str, str]] = {}
        self.services: dict[str, Mapping[str, str]] = {}
        config: dict[str, dict[str, str]] = {}
        sections = _read(self.expanded(self.config_path))
        for title, settings in sections.items():
            kind, _, name = title.partition(" ")
            if kind == "profile" and name:
                config[name] = settings
            elif kind == "sso-session" and name:
                self.sso_sessions[name] = settings
            elif kind == "services" and name:
                self.services[name] = settings
        # `[default]` may stand without the prefix, and counts where there is none with it.
        if "default" in sections:
            config.setdefault("default", sections["default"])
        shared = _read(self.expanded(self.credentials_path))
        for name in (*config, *(name for name in shared if name not in config)):
            settings = {**config.get(name, {}), **shared.get(name, {})}
            self.profiles[name] = Profile(name, settings, shared.get(name, {}))

    def expanded(self, path: str) -> str:
        """The path with "~" and variables replaced: no shell has expanded what comes from a .env file or a service's unit."""
        if "$" in path:
            path = os.path.expandvars(path)
        return self.home + path[1:] if path.startswith("~/") else os.path.expanduser(path)

    def profile(self, name: str) -> Profile | None:
        """One profile; the white space inside of a name counts as one blank, as in the files."""
        return self.profiles.get(_title(name))


def nested(value: str) -> dict[str, str]:
    """The section that stands in a value: `name = value` on each line, indented under its name."""
    settings = {}
    for line in value.splitlines() if value.startswith("\n") else ():
        name, equals, text = line.partition("=")
        if equals:
            settings[name.strip().lower()] = text.strip()
    return settings


def profile_name(environment: Mapping[str, str]) -> str | None:
    """The profile that the environment names."""
    return environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or None


def load_profile(name: str | None, environment: Mapping[str, str]) -> tuple[Profile | None, ProfileFiles]:
    """The named profile, else the one of AWS_PROFILE, else "default"; a named one that is missing is an error."""
    wanted = name or profile_name(environment)
    files = ProfileFiles(environment)
    profile = files.profile(wanted or "default")
    if profile is None and wanted is not None:
        raise CredentialsError(f"profile {wanted!r} is in neither {files.credentials_path} nor {files.config_path}")
    return profile, files


def _read(path: str) -> dict[str, dict[str, str]]:
    """The sections of a file; those whose titles say the same are one."""
    if not os.path.isfile(path):
        return {}
    # Imported here: most services are configured by arguments or the environment, and never pay the 4 ms.
    import configparser

    parser = configparser.RawConfigParser(default_section="\0", strict=False, inline_comment_prefixes=("#", ";"))
    failure = ""
    try:
        # Notepad begins a UTF-8 file with a byte order mark.
        with open(path, encoding="utf-8-sig") as file:
            parser.read_file(file)
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        failure = type(error).__name__
    if failure:
        # The parser's own message quotes the line, which may hold a secret, so the error is raised outside of its
        # handler: neither the message nor the context has it.
        raise CredentialsError(f"{path} cannot be read: {failure}")
    sections: dict[str, dict[str, str]] = {}
    for title in parser.sections():
        sections.setdefault(_title(title), {}).update(parser.items(title))
    return sections


def _title(text: str) -> str:
    """A section's title without what makes no difference: quotes, and how much white space there is."""
    return " ".join(text.replace('"', "").replace("'", "").split())
