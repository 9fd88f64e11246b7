"""Profiles: names for stores, so that one program can use several, and so that URLs can name them: s3://name@bucket/key.

A name is looked for among those of register_profile(), then in profiles.toml:

    [profiles.minio]
    endpoint = "http://localhost:9000"
    region = "us-east-1"                # optional, like the rest
    public = false                      # true: nothing is signed
    local_name = "minio"                # its folder in caches
    credentials_file = "minio.ini"      # section [minio] or [default], beside this file unless absolute

The file is $S3FUNC_PROFILES_FILE or $POS3_PROFILES_FILE, else s3func/profiles.toml or pos3/profiles.toml in
$XDG_CONFIG_HOME (~/.config). It holds no secret; without credentials_file the credentials are those of the environment.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from s3func.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3func.s3.credentials import Credentials

__all__ = ["Profile", "find_profile", "register_profile"]

_LOCAL_NAME = r"[A-Za-z0-9_-]{1,64}"
# The session looks closer; here nothing passes that could hold a secret or a query.
_ENDPOINT = r"https?://[A-Za-z0-9.:_\[\]-]+(?:/[A-Za-z0-9._~/%-]*)?"
_REGION = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SETTINGS = {"endpoint", "region", "public", "local_name", "credentials_file"}
_registered: dict[str, Profile] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Profile:
    """How to reach one store. local_name: its folder in caches. public: read without signing.

    access_key: the key id, secret_key: its secret; without them the environment's credentials sign. The repr shows no
    secret, and a profile that has one is not pickled.
    """

    local_name: str
    endpoint: str
    public: bool = False
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """ValueError or TypeError names the argument."""
        for name, value in (("local_name", self.local_name), ("endpoint", self.endpoint)):
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a str, not {type(value).__name__}")
        if re.fullmatch(_LOCAL_NAME, self.local_name) is None or self.local_name == "_":
            raise ValueError(f"local_name must be letters, digits, '_' and '-', and not '_': {self.local_name[:80]!r}")
        if not isinstance(self.public, bool):
            raise TypeError(f"public must be a bool, not {type(self.public).__name__}")
        if re.fullmatch(_ENDPOINT, self.endpoint, re.ASCII) is None:
            shown = "" if "@" in self.endpoint or "?" in self.endpoint else f": {self.endpoint[:200]!r}"
            raise ValueError(f"endpoint must be https://host[:port][/prefix] (or http://){shown}")
        if self.region is not None:
            if not isinstance(self.region, str):
                raise TypeError(f"region must be a str, not {type(self.region).__name__}")
            if re.fullmatch(_REGION, self.region) is None:
                raise ValueError(f"region is not a region name: {self.region[:80]!r}")
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key belong together")
        if self.session_token is not None and self.access_key is None:
            raise ValueError("session_token is given without access_key and secret_key")
        if self.public and self.access_key is not None:
            raise ValueError("public and access_key exclude each other: who signs?")
        self.credentials()

    def credentials(self) -> Credentials | None:
        """The profile's own keys, if it has them."""
        if self.access_key is None or self.secret_key is None:
            return None
        from s3func.s3.credentials import Credentials

        return Credentials(self.access_key, self.secret_key, self.session_token)

    def __reduce__(self) -> Any:
        if self.secret_key is not None:
            raise TypeError("a Profile with keys is not pickled: a secret must not end up in a file or a queue")
        return type(self), (self.local_name, self.endpoint, self.public, self.region)


def register_profile(
    name: str,
    endpoint: str,
    public: bool = False,
    region: str | None = None,
    local_name: str | None = None,
    *,
    access_key: str | None = None,
    secret_key: str | None = None,
    session_token: str | None = None,
) -> Profile:
    """Give a store a name for the rest of the process; it goes before a profile of the same name in a file.

    local_name: the folder in caches, the name itself unless given. Registering the same again changes nothing; ValueError
    when the name stands for something else already.
    """
    _check_name(name)
    profile = Profile(
        name if local_name is None else local_name,
        endpoint,
        public=public,
        region=region,
        access_key=access_key,
        secret_key=secret_key,
        session_token=session_token,
    )
    with _lock:
        if _registered.setdefault(name, profile) != profile:
            raise ValueError(f"profile {name!r} is registered already, with other settings")
    return profile


def find_profile(name: str) -> Profile | None:
    """The profile of this name, registered or of profiles.toml; None if there is none.

    CredentialsError when the file, or the credentials_file of this profile, cannot be read.
    """
    _check_name(name)
    return _registered.get(name) or _from_file(name, os.environ)


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"profile must be a str, not {type(name).__name__}")
    if not name or not name.isprintable():
        raise ValueError("profile is empty" if not name else "profile has a character that cannot be printed")


def _path(environment: Mapping[str, str]) -> str | None:
    """The file of profiles; one that a variable names must be there."""
    home = environment.get("HOME") or os.path.expanduser("~")
    for variable in ("S3FUNC_PROFILES_FILE", "POS3_PROFILES_FILE"):
        if path := environment.get(variable):
            return os.path.join(home, path[2:]) if path.startswith("~/") else path
    config = environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    paths = [os.path.join(config, owner, "profiles.toml") for owner in ("s3func", "pos3")]
    return next((path for path in paths if os.path.isfile(path)), None)


def _from_file(name: str, environment: Mapping[str, str]) -> Profile | None:
    path = _path(environment)
    if path is None:
        return None
    table = _read(path).get("profiles", {})
    settings = table.get(name) if isinstance(table, dict) else None
    if settings is None:
        return None
    where = f"profile {name!r} of {path}"
    if not isinstance(settings, dict):
        raise CredentialsError(f"{where} is no table")
    if unknown := settings.keys() - _SETTINGS:
        # Their values may be secrets that somebody put into the wrong file.
        raise CredentialsError(f"{where} has unknown settings: {', '.join(sorted(unknown))}")
    try:
        profile = Profile(
            settings.get("local_name", name),
            settings.get("endpoint"),  # type: ignore[arg-type]  # checked in there
            public=settings.get("public", False),
            region=settings.get("region"),
        )
    except (TypeError, ValueError) as error:
        raise CredentialsError(f"{where}: {error}") from None
    return _with_keys(profile, name, settings.get("credentials_file"), os.path.dirname(path), where)


def _with_keys(profile: Profile, name: str, file: object, folder: str, where: str) -> Profile:
    if file is None:
        return profile
    if not isinstance(file, str) or not file:
        raise CredentialsError(f"{where}: credentials_file must be a path")
    if profile.public:
        raise CredentialsError(f"{where}: public and credentials_file exclude each other")
    path = os.path.join(folder, os.path.expanduser(file))
    if not os.path.isfile(path):
        raise CredentialsError(f"{where}: credentials_file {path} is not there")
    from s3func.s3.credentials import pair
    from s3func.s3.credentials.files import ProfileFiles

    # The same reader as for ~/.aws, which is shown this one file.
    shown = {"AWS_SHARED_CREDENTIALS_FILE": os.path.abspath(path), "AWS_CONFIG_FILE": os.devnull, "HOME": folder}
    files = ProfileFiles(shown)
    found = files.profile(name) or files.profile("default")
    settings = {} if found is None else found.settings
    credentials = pair(
        settings.get("aws_access_key_id"),
        settings.get("aws_secret_access_key"),
        settings.get("aws_session_token"),
        where,
    )
    if credentials is None:
        raise CredentialsError(f"{where}: {path} has no keys in [{name}] or [default]")
    return replace(
        profile,
        access_key=credentials.access_key_id,
        secret_key=credentials.secret_access_key,
        session_token=credentials.session_token,
    )


def _read(path: str) -> dict[str, Any]:
    # Imported here: most programs have no such file.
    import tomllib

    failure = ""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        failure = type(error).__name__ if not isinstance(error, OSError) else error.strerror or "OSError"
    # Outside of the handler: the parser's error holds the text of the file, which may have a secret in the wrong place.
    raise CredentialsError(f"{path} cannot be read: {failure}")
