"""The settings of a session, worked out from arguments, environment and profile, and checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.s3.config import Endpoint
from s3func.s3.credentials import Credentials, Profile, load_profile, resolve
from s3func.transport.retry import RetryPolicy
from s3func.transport.timeouts import Timeouts

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
                ("access_key_id", access_key_id or secret_access_key),
                ("credentials", credentials),
                ("anonymous", anonymous or None),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other: who signs?")

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
            return self._credentials
        if self._credentials is not None:
            if not isinstance(self._credentials, Credentials):
                raise TypeError("credentials must be Credentials or a callable that returns them")
            fixed = self._credentials
        else:
            explicit = any(self._keys) or (
                self._profile_name is None and self._environment.get("AWS_ACCESS_KEY_ID") is not None
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
        return Endpoint(endpoint_url, region or DEFAULT_REGION, addressing_style)

    def _setting(self, name: str) -> str | None:
        profile = self.profile()
        return None if profile is None else profile.settings.get(name) or None

    @staticmethod
    def timeouts(timeouts: Timeouts | None, connect: float | None, read: float | None) -> Timeouts:
        """The limits in seconds; ValueError for one that is not positive."""
        if timeouts is not None and not isinstance(timeouts, Timeouts):
            raise TypeError(f"timeouts must be Timeouts, not {type(timeouts).__name__}")
        limits = timeouts or Timeouts()
        if connect is not None:
            limits = limits._replace(connect=connect)
        if read is not None:
            limits = limits._replace(read=read)
        for name, seconds in zip(limits._fields, limits, strict=True):
            if seconds is None:
                continue
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise TypeError(f"timeouts.{name} must be a number of seconds, not {type(seconds).__name__}")
            if not seconds > 0:
                raise ValueError(f"timeouts.{name} must be more than 0 seconds, not {seconds}")
        return limits

    @classmethod
    def retry_policy(cls, retries: RetryPolicy | int | None, max_attempts: int | None) -> RetryPolicy:
        """The policy; a number means how many attempts."""
        if retries is None:
            retries = max_attempts
        if retries is None:
            return RetryPolicy()
        if isinstance(retries, RetryPolicy):
            cls.count("retries.attempts", retries.attempts)
            return retries
        return RetryPolicy(attempts=cls.count("retries", retries))

    @staticmethod
    def count(name: str, value: object) -> int:
        """A whole number of at least 1."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
        return value
