"""The settings of a session, worked out from arguments, environment and profile, and checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import CredentialsError
from s3func.s3.config import read_settings
from s3func.s3.credentials import Credentials, from_arguments, from_environment
from s3func.s3.endpoints import PLAIN, Endpoint, EndpointOptions, host_of, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3func.clock import Clock
    from s3func.s3.auth import CredentialsSource
    from s3func.s3.config import Settings
    from s3func.s3.credentials.chain import Surroundings
    from s3func.s3.credentials.files import Profile, ProfileFiles
    from s3func.s3.session_keywords import SessionKeywords

DEFAULT_REGION = "us-east-1"
# In-process transports have no address; this one is path-style, and says that nothing leaves the machine.
IN_PROCESS_URL = "http://localhost"


class Options:
    """Where each setting comes from: the argument, else the environment, else the profile, else the default.

    The files of ~/.aws are read when something is left to ask them: a session that is told by its arguments where the
    store is, in which region, and who signs, does not open them.
    """

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
        endpoint_url: str | None,
        region: str | None,
    ) -> None:
        self.environment = environment
        self.profile_name = profile
        self._keys = (access_key_id, secret_access_key, session_token)
        self._read: tuple[Profile | None, ProfileFiles] | None = None
        self._credentials = credentials
        self._anonymous = anonymous
        self._endpoint_url = endpoint_url
        self._region = region
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
        told = bool(given) or bool(environment.get("AWS_ACCESS_KEY_ID"))
        if told and profile is None and endpoint_url is not None and region is not None:
            self.settings = read_settings(environment, None, None)
        else:
            self.settings = read_settings(environment, *self.files())

    def files(self) -> tuple[Profile | None, ProfileFiles]:
        """The profile, and the files that it stands in, read once."""
        if self._read is None:
            from s3func.s3.credentials.files import load_profile

            self._read = load_profile(self.profile_name, self.environment)
        return self._read

    def credentials_source(self, clock: Clock) -> CredentialsSource:
        """A callable that gives the credentials of this moment, or None for anonymous."""
        if self._anonymous:
            return lambda: None
        if callable(self._credentials):
            from s3func.s3.credentials.refresh import Refreshing

            return Refreshing(_checked(self._credentials), clock, "credentials", keeps=False)
        if self._credentials is not None:
            if not isinstance(self._credentials, Credentials):
                raise TypeError("credentials must be Credentials or a callable that returns them")
            fixed = self._credentials
            return lambda: fixed
        found = from_arguments(*self._keys)
        if found is None and any(key is not None for key in self._keys):
            raise CredentialsError("no credentials: access_key_id and secret_access_key are given, and both are empty")
        if found is None and self.profile_name is None and not self.environment.get("AWS_CREDENTIAL_EXPIRATION"):
            found = from_environment(self.environment)
        if found is not None:
            return lambda: found
        from s3func.s3.credentials.chain import source

        return source(self.surroundings(clock))

    def surroundings(self, clock: Clock) -> Surroundings:
        """What the chain of credential providers looks at."""
        from s3func.s3.credentials.chain import Surroundings

        profile, files = self.files()
        explicit = self.profile_name is not None
        return Surroundings(self.environment, profile, files, explicit, self.settings, self._region, clock)

    def endpoint(self, addressing_style: str, keywords: SessionKeywords) -> Endpoint:
        """The endpoint, with what environment and profile say about it, and what is known of the store."""
        if keywords:
            _check_keywords(keywords)
        settings = self.settings
        style = settings.addressing_style if addressing_style == "auto" else addressing_style
        url = settings.endpoint_url if self._endpoint_url is None else self._endpoint_url
        options = _endpoint_options(settings, keywords, url)
        otherwise = settings.region or DEFAULT_REGION
        store = None
        if (name := keywords.get("store")) is not None:
            from s3func.s3.stores import named

            store = named(name)
            if url is None and store.is_elsewhere:
                url = store.url(self._region or settings.region)
        if url is None:
            return Endpoint(None, otherwise if self._region is None else self._region, style, options)
        host = host_of(url)
        if store is None and not is_loopback(url):
            from s3func.s3.stores import at_host

            store = at_host(host)
        if store is not None:
            # The host knows better than AWS_REGION, which is about AWS.
            otherwise = store.region_of(host) or otherwise
        return Endpoint(url, otherwise if self._region is None else self._region, style, options, store)


def _check_keywords(keywords: SessionKeywords) -> None:
    from s3func.s3.session_keywords import SessionKeywords

    unknown = keywords.keys() - SessionKeywords.__annotations__.keys()
    if unknown:
        raise TypeError(f"S3Session has no argument {min(unknown)!r}")
    for name, value in keywords.items():
        if name not in {"store", "on_attempt"} and not (value is None or isinstance(value, bool)):
            raise TypeError(f"{name} must be a bool, not {type(value).__name__}")


def _endpoint_options(settings: Settings, keywords: SessionKeywords, endpoint_url: str | None) -> EndpointOptions:
    """Which of AWS's endpoints are asked for. What environment and profile want of AWS's means no other endpoint."""
    is_aws = endpoint_url is None
    wanted = {
        "use_dualstack": settings.use_dualstack_endpoint and is_aws,
        "use_fips": settings.use_fips_endpoint and is_aws,
        "use_accelerate": settings.use_accelerate_endpoint and is_aws,
        "use_arn_region": settings.use_arn_region is not False,
        "use_global_endpoint": settings.us_east_1_regional_endpoint == "legacy",
        "disable_multiregion_access_points": settings.disable_multiregion_access_points,
        "disable_s3_express_session_auth": settings.disable_express_session_auth,
    }
    wanted |= {name: value for name, value in keywords.items() if isinstance(value, bool)}
    if all(getattr(PLAIN, name) == value for name, value in wanted.items()):
        return PLAIN
    return EndpointOptions(**wanted)


def _checked(provider: Callable[[], Credentials]) -> Callable[[], Credentials]:
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
