"""Who signs: explicit keys, the environment, or a profile of the shared credentials files.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from s3func.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Credentials:
    """A key pair, with the session token of temporary ones. Its repr shows the key id only; pickling is refused."""

    __slots__ = ("access_key_id", "secret_access_key", "session_token")

    def __init__(self, access_key_id: str, secret_access_key: str, session_token: str | None = None) -> None:
        """TypeError or ValueError names the part that cannot be sent."""
        self.access_key_id = _printable("access_key_id", access_key_id)
        self.secret_access_key = _secret("secret_access_key", secret_access_key)
        self.session_token = None if session_token is None else _printable("session_token", session_token)

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r}, secret_access_key='***')"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Credentials):
            return NotImplemented
        return (self.access_key_id, self.secret_access_key, self.session_token) == (
            other.access_key_id,
            other.secret_access_key,
            other.session_token,
        )

    def __hash__(self) -> int:
        return hash(self.access_key_id)

    def __reduce__(self) -> str:
        raise TypeError("Credentials are not pickled: a secret must not end up in a file or a queue")


class Profile(NamedTuple):
    """One profile of ~/.aws/credentials and ~/.aws/config, both files merged."""

    name: str
    settings: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Profile(name={self.name!r})"

    def credentials(self) -> Credentials | None:
        """The profile's own key pair, if it has one; half a pair is a CredentialsError."""
        return _pair(
            self.settings.get("aws_access_key_id"),
            self.settings.get("aws_secret_access_key"),
            self.settings.get("aws_session_token") or self.settings.get("aws_security_token"),
            f"profile {self.name!r}",
        )


def resolve(
    access_key_id: str | None,
    secret_access_key: str | None,
    session_token: str | None,
    *,
    profile: Profile | None,
    explicit_profile: bool,
    environment: Mapping[str, str],
) -> Credentials:
    """Explicit keys, else the environment, else the profile; a profile named in code goes before the environment."""
    if access_key_id is not None or secret_access_key is not None:
        pair = _pair(access_key_id, secret_access_key, session_token, "the arguments")
    elif session_token is not None:
        raise ValueError("session_token is given without access_key_id and secret_access_key")
    else:
        pair = None if explicit_profile else from_environment(environment)
        if pair is None and profile is not None:
            pair = profile.credentials()
    if pair is None:
        raise CredentialsError(
            "no credentials: give access_key_id and secret_access_key, set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, configure a profile in ~/.aws/credentials, or pass anonymous=True"
        )
    return pair


def from_environment(environment: Mapping[str, str]) -> Credentials | None:
    """AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; an empty value counts as unset."""
    return _pair(
        environment.get("AWS_ACCESS_KEY_ID"),
        environment.get("AWS_SECRET_ACCESS_KEY"),
        environment.get("AWS_SESSION_TOKEN") or environment.get("AWS_SECURITY_TOKEN"),
        "the environment",
    )


def load_profile(name: str | None, environment: Mapping[str, str]) -> Profile | None:
    """The named profile, else the one of AWS_PROFILE, else "default"; a named one that is missing is an error."""
    wanted = name or environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    home = environment.get("HOME") or os.path.expanduser("~")
    credentials_path = environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    config_path = environment.get("AWS_CONFIG_FILE") or "~/.aws/config"
    section = wanted or "default"
    settings: dict[str, str] = {}
    found = False
    for path, prefixed in ((config_path, True), (credentials_path, False)):
        # A shell has not expanded what comes from a .env file or a service's unit.
        values = _read_profile(home + path[1:] if path.startswith("~/") else path, section, prefixed=prefixed)
        if values is not None:
            found = True
            settings.update(values)
    if found:
        return Profile(section, settings)
    if wanted is not None:
        raise CredentialsError(f"profile {wanted!r} is in neither {credentials_path} nor {config_path}")
    return None


def _read_profile(path: str, profile: str, *, prefixed: bool) -> dict[str, str] | None:
    """One profile of a file; `prefixed`: its section is called `profile name`, as in the config file."""
    if not os.path.isfile(path):
        return None
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
    # In the config file `[default]` may stand without the prefix, and counts where there is none with it.
    titles = [f"profile {profile}", *(["default"] if profile == "default" else [])] if prefixed else [profile]
    return next((sections[title] for title in map(_title, titles) if title in sections), None)


def _title(text: str) -> str:
    """A section's title without what makes no difference: quotes, and how much white space there is."""
    return " ".join(text.replace('"', "").replace("'", "").split())


def _pair(access_key_id: str | None, secret: str | None, token: str | None, where: str) -> Credentials | None:
    if not access_key_id and not secret:
        return None
    if not access_key_id or not secret:
        missing = "secret_access_key" if access_key_id else "access_key_id"
        raise CredentialsError(f"half a key pair in {where}: {missing} is missing")
    return Credentials(access_key_id, secret, token or None)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} is empty")
    return value


def _secret(name: str, value: object) -> str:
    text = _text(name, value)
    # What a file or a clipboard added would only show as a signature that never fits.
    if text != text.strip() or not text.isprintable():
        raise ValueError(f"{name} has white space around it, or characters that are no text")
    return text


def _printable(name: str, value: object) -> str:
    text = _text(name, value)
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(f"{name} has characters that cannot stand in a header")
    return text
