"""The chain: which provider signs for a session, in botocore's order, found without asking the network.

Each row says whether its provider was asked for, by looking at environment and profile; the first one that was is the
provider, and a mistake in its settings is an error rather than a reason to go on. Only the last, the instance's own
role, can be found out about in no other way than by asking; that happens when the first request is signed.
What stands in files is read again, and what expires is renewed, by refresh.py.
https://docs.aws.amazon.com/boto3/latest/guide/credentials.html
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from s3func.errors import CredentialsError
from s3func.s3.credentials import from_environment, http, pair
from s3func.s3.credentials.refresh import Refreshing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3func.clock import Clock
    from s3func.message import Transport
    from s3func.s3.config import Settings
    from s3func.s3.credentials import Credentials
    from s3func.s3.credentials.files import Profile, ProfileFiles
    from s3func.transport.network import Network
    from s3func.transport.timeouts import Timeouts

GIVE_SOME = (
    "no credentials: give access_key_id and secret_access_key, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "configure a profile in ~/.aws/credentials, or pass anonymous=True"
)


class Surroundings(NamedTuple):
    """All that providers look at. explicit: the profile was named in code, which goes before the environment's keys."""

    environment: Mapping[str, str]
    profile: Profile | None
    files: ProfileFiles
    explicit: bool
    settings: Settings
    region: str | None
    clock: Clock
    transport: Callable[[Timeouts, Network], Transport] = http.pool

    def __repr__(self) -> str:
        return f"<Surroundings profile={self.profile!r}>"


class Provider(NamedTuple):
    """One way to credentials.

    name: what it is. where: what it was found by, for people. load: asks it. local: whether that is done without the
    network and without a process. roles: the ARNs that are assumed on the way, the last one is who signs.
    extend_seconds: see Refreshing.
    """

    name: str
    where: str
    load: Callable[[], Credentials]
    local: bool = False
    roles: tuple[str, ...] = ()
    extend_seconds: float = 0.0


class Row(NamedTuple):
    """A provider in its place. unasked: why it is not its turn, or "". find: the provider, or a CredentialsError."""

    name: str
    unasked: Callable[[Surroundings, Profile | None], str]
    find: Callable[[Surroundings, Profile | None], Provider]


def source(surroundings: Surroundings) -> Refreshing:
    """The source of a session's credentials; CredentialsError where nothing names one, or what names it is wrong."""
    provider, unasked = choose(surroundings)
    if provider is None:
        raise CredentialsError(f"{GIVE_SOME}. Looked at: {told(unasked)}")
    load = provider.load
    if provider.name == INSTANCE:
        load = _last_resort(load, unasked)
    refreshing = Refreshing(load, surroundings.clock, provider.where, extend_seconds=provider.extend_seconds)
    if provider.local:
        # Half a key pair is the mistake of whoever makes the session, and is said there.
        refreshing()
    return refreshing


def choose(surroundings: Surroundings) -> tuple[Provider | None, list[tuple[str, str]]]:
    """The provider, and the names of those before it with why each was not asked."""
    unasked: list[tuple[str, str]] = []
    for row in CHAIN:
        reason = row.unasked(surroundings, surroundings.profile)
        if not reason:
            return row.find(surroundings, surroundings.profile), unasked
        unasked.append((row.name, reason))
    return None, unasked


def of_profile(surroundings: Surroundings, profile: Profile) -> Provider:
    """The provider that a profile alone names, as a source_profile does; the environment has no say."""
    alone = surroundings._replace(explicit=True)
    for row in PROFILE_ROWS:
        if not row.unasked(alone, profile):
            return row.find(alone, profile)
    raise CredentialsError(
        f"profile {profile.name!r} has no credentials: no keys, role_arn, web_identity_token_file, sso_account_id or "
        "credential_process"
    )


def told(unasked: list[tuple[str, str]]) -> str:
    """The list for an error message."""
    return "; ".join(f"{name} ({reason})" for name, reason in unasked)


def _last_resort(load: Callable[[], Credentials], unasked: list[tuple[str, str]]) -> Callable[[], Credentials]:
    def asked() -> Credentials:
        try:
            return load()
        except CredentialsError as error:
            raise CredentialsError(f"{GIVE_SOME}. Looked at: {told(unasked)}; {error}") from error.__cause__

    return asked


def _lacks(profile: Profile | None, *names: str) -> str:
    """Why a profile does not ask for what these settings ask for; "" if one of them is there."""
    if profile is None:
        return "no profile"
    if any(profile.settings.get(name) for name in names):
        return ""
    return f"profile {profile.name!r} has no {' and no '.join(names)}"


def _environment_unasked(surroundings: Surroundings, _profile: Profile | None) -> str:
    if surroundings.explicit:
        return "a profile is named in code"
    environment = surroundings.environment
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return "" if any(environment.get(name, "").strip() for name in names) else "AWS_ACCESS_KEY_ID is not set"


def environment_provider(surroundings: Surroundings, _profile: Profile | None = None) -> Provider:
    """AWS_ACCESS_KEY_ID and its siblings, read again when AWS_CREDENTIAL_EXPIRATION is near."""
    environment = surroundings.environment

    def load() -> Credentials:
        found = from_environment(environment)
        if found is None:
            raise CredentialsError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
        end = http.end_of(environment.get("AWS_CREDENTIAL_EXPIRATION"), 0.0, "AWS_CREDENTIAL_EXPIRATION")
        return _ending(found, end)

    return Provider("environment", "AWS_ACCESS_KEY_ID", load, local=True)


def _ending(credentials: Credentials, end: float | None) -> Credentials:
    if end is None:
        return credentials
    return type(credentials)(credentials.access_key_id, credentials.secret_access_key, credentials.session_token, end)


def _keys(surroundings: Surroundings, profile: Profile | None, name: str, *, shared: bool) -> Provider:
    assert profile is not None
    files = surroundings.files
    where = f"profile {profile.name!r} of {files.credentials_path if shared else files.config_path}"
    first = [profile]

    def load() -> Credentials:
        # The first time as it was read for the session; later, because a store has refused it, as it is by then.
        current = first.pop() if first else _again(surroundings.environment, profile)
        settings = current.shared if shared else current.settings
        token = settings.get("aws_session_token") or settings.get("aws_security_token")
        keys = (settings.get("aws_access_key_id"), settings.get("aws_secret_access_key"))
        found = pair(*keys, token, f"profile {profile.name!r}")
        if found is None:
            raise CredentialsError(f"{where} has no keys any more")
        return found

    return Provider(name, where, load, local=True)


def _again(environment: Mapping[str, str], profile: Profile) -> Profile:
    from s3func.s3.credentials.files import ProfileFiles

    return ProfileFiles(environment).profile(profile.name) or profile._replace(settings={}, shared={})


def _shared_unasked(surroundings: Surroundings, profile: Profile | None) -> str:
    if profile is None:
        return f"no profile in {surroundings.files.credentials_path}"
    if any(profile.shared.get(name) for name in ("aws_access_key_id", "aws_secret_access_key")):
        return ""
    return f"profile {profile.name!r} has no keys in {surroundings.files.credentials_path}"


def _role_unasked(_surroundings: Surroundings, profile: Profile | None) -> str:
    reason = _lacks(profile, "role_arn")
    if not reason and profile is not None and profile.settings.get("web_identity_token_file"):
        return f"profile {profile.name!r} has a web_identity_token_file"
    return reason


def _web_identity_unasked(surroundings: Surroundings, profile: Profile | None) -> str:
    if not surroundings.explicit and surroundings.environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return ""
    reason = _lacks(profile, "web_identity_token_file")
    return reason and f"AWS_WEB_IDENTITY_TOKEN_FILE is not set, {reason}"


def _sso_unasked(_surroundings: Surroundings, profile: Profile | None) -> str:
    reason = _lacks(profile, "sso_account_id", "sso_role_name")
    if reason and profile is not None and profile.settings.get("sso_session"):
        return f"{reason}: its sso_session gives an access token and no credentials"
    return reason


def _login(_surroundings: Surroundings, profile: Profile | None) -> Provider:
    assert profile is not None
    raise CredentialsError(
        f"profile {profile.name!r} uses `aws login`, whose tokens only AWS's own tools can renew: put `credential_process "
        f"= aws configure export-credentials --profile {profile.name} --format process` into another profile, and use that"
    )


def _container_unasked(surroundings: Surroundings, _profile: Profile | None) -> str:
    names = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
    return "" if any(surroundings.environment.get(name) for name in names) else f"{names[0]} is not set"


def _instance_unasked(surroundings: Surroundings, _profile: Profile | None) -> str:
    disabled = surroundings.environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    return "AWS_EC2_METADATA_DISABLED is true" if disabled else ""


def _in(module: str) -> Callable[[Surroundings, Profile | None], Provider]:
    """The `find` of a provider's own file, which is imported when it is its turn."""

    def find(surroundings: Surroundings, profile: Profile | None) -> Provider:
        provider: Provider = import_module(f"s3func.s3.credentials.{module}").find(surroundings, profile)
        return provider

    return find


INSTANCE = "instance metadata"
_ROLE = Row("assumed role", _role_unasked, _in("assume_role"))
# https://docs.aws.amazon.com/boto3/latest/guide/credentials.html; botocore's last three (AWS_CREDENTIAL_FILE, /etc/boto.cfg
# and ~/.boto) are of boto 2, whose last release was in 2018.
PROFILE_ROWS = (
    Row("web identity", _web_identity_unasked, _in("web_identity")),
    Row("SSO", _sso_unasked, _in("sso")),
    Row(
        "credentials file",
        _shared_unasked,
        lambda surroundings, profile: _keys(surroundings, profile, "credentials file", shared=True),
    ),
    Row("login session", lambda _surroundings, profile: _lacks(profile, "login_session"), _login),
    Row("process", lambda _surroundings, profile: _lacks(profile, "credential_process"), _in("process")),
    Row(
        "config file",
        lambda _surroundings, profile: _lacks(profile, "aws_access_key_id", "aws_secret_access_key"),
        lambda surroundings, profile: _keys(surroundings, profile, "config file", shared=False),
    ),
)
CHAIN = (
    Row("environment", _environment_unasked, environment_provider),
    _ROLE,
    *PROFILE_ROWS,
    Row("container", _container_unasked, _in("container")),
    Row(INSTANCE, _instance_unasked, _in("imds")),
)
