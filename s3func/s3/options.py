"""The settings of a session, worked out from arguments, environment and profile, and checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.s3.config import Endpoint
from s3func.s3.credentials import Credentials, Profile, load_profile, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3func.s3.auth import CredentialsSource

DEFAULT_REGION = "us-east-1"
# In-process transports have no address; this one is path-style, and says that nothing leaves the machine.
IN_PROCESS_URL = "http://localhost"


class Options:
    """Where each setting comes from: the argument, else the environment, else the profile, else the default."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        access_key_id: str | None,
        secret_access_key: str | None,
        session_token: str | None,
        profile: str | None,
        credentials: Credentials | Callable[[], Credentials] | None,
        anonymous: bool,
        in_process: bool,
    ) -> None:
        self._environment = environment
        self._keys = (access_key_id, secret_access_key, session_token)
        self._profile_name = profile
        self._profile: tuple[Profile | None] | None = None
        self._credentials = credentials
        self._anonymous = anonymous
        self._in_process = in_process
        given = [
            name
            for name, value in (
                ("access_key_id", access_key_id or secret_access_key or session_token),
                ("credentials", credentials),
                ("anonymous", anonymous or None),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other: who signs?")
        if profile is not None and not isinstance(profile, str):
            raise TypeError(f"profile must be a str, not {type(profile).__name__}")
        if profile == "":
            raise ValueError("profile is empty")

    def profile(self) -> Profile | None:
        """The profile, read when something needs it."""
        if self._profile is None:
            self._profile = (load_profile(self._profile_name, self._environment),)
        return self._profile[0]

    def credentials_source(self) -> CredentialsSource:
        """A callable that gives the credentials, or None for anonymous."""
        if self._anonymous:
            return lambda: None
        if callable(self._credentials):
            return _checked(self._credentials)
        if self._credentials is not None:
            if not isinstance(self._credentials, Credentials):
                raise TypeError("credentials must be Credentials or a callable that returns them")
            fixed = self._credentials
        else:
            # An empty variable counts as unset.
            explicit = any(self._keys) or (
                self._profile_name is None and bool(self._environment.get("AWS_ACCESS_KEY_ID"))
            )
            fixed = resolve(
                *self._keys,
                profile=None if explicit else self.profile(),
                explicit_profile=self._profile_name is not None,
                environment=self._environment,
            )
        return lambda: fixed

    def endpoint(self, endpoint_url: str | None, region: str | None, addressing_style: str) -> Endpoint:
        """The endpoint, with AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION and AWS_DEFAULT_REGION obeyed."""
        environment = self._environment
        if region is None:
            region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or self._setting("region")
        if endpoint_url is None and self._in_process:
            endpoint_url = IN_PROCESS_URL
        if endpoint_url is None and environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
            endpoint_url = (
                environment.get("AWS_ENDPOINT_URL_S3")
                or environment.get("AWS_ENDPOINT_URL")
                or self._setting("endpoint_url")
            )
        return Endpoint(endpoint_url, DEFAULT_REGION if region is None else region, addressing_style)

    def _setting(self, name: str) -> str | None:
        profile = self.profile()
        return None if profile is None else profile.settings.get(name) or None


def _checked(provider: Callable[[], Credentials]) -> CredentialsSource:
    """What a caller's own function gives must be credentials: nothing is ever sent unsigned by mistake."""

    def credentials() -> Credentials:
        given = provider()
        if not isinstance(given, Credentials):
            raise TypeError(f"credentials must return Credentials, not {type(given).__name__}")
        return given

    return credentials


def one_secret(access_key: str | None, secret_access_key: str | None) -> str | None:
    """The secret under either of its two names."""
    if access_key is not None and secret_access_key is not None and access_key != secret_access_key:
        raise ValueError("access_key and secret_access_key are two names of one argument and differ")
    return secret_access_key if access_key is None else access_key
