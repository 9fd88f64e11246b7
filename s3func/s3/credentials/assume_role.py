"""The role of a profile: `role_arn`, assumed with the credentials of its `source_profile` or `credential_source`.

A source_profile may have a role and a source of its own; each role of such a chain is kept and renewed by itself.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import CredentialsError
from s3func.s3.credentials.chain import Provider, environment_provider, of_profile
from s3func.s3.credentials.refresh import Refreshing

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.s3.credentials import Credentials
    from s3func.s3.credentials.chain import Surroundings
    from s3func.s3.credentials.files import Profile

_NAMED_SOURCES = {
    "environment": "Environment",
    "ecscontainer": "EcsContainer",
    "ec2instancemetadata": "Ec2InstanceMetadata",
}
_DURATIONS = (900, 43200)


def find(surroundings: Surroundings, profile: Profile | None) -> Provider:
    """The provider; CredentialsError for a profile that contradicts itself, leads to itself or asks for an MFA code."""
    assert profile is not None
    return _role(surroundings, profile, [profile.name])


def _role(surroundings: Surroundings, profile: Profile, visited: list[str]) -> Provider:
    name, settings = profile.name, profile.settings
    if settings.get("mfa_serial"):
        raise CredentialsError(
            f"profile {name!r} needs the code of an MFA device (mfa_serial), which a session cannot ask for: get temporary "
            f"credentials first, for example with `credential_process = aws configure export-credentials --profile {name} "
            "--format process` in a profile of its own"
        )
    base = _source(surroundings, profile, visited)
    parameters = _parameters(profile)
    arn = settings["role_arn"]
    source = Refreshing(base.load, surroundings.clock, base.where, extend_seconds=base.extend_seconds)
    return Provider(
        "assumed role",
        f"role {arn} of profile {name!r}, with {base.where}",
        _assume(surroundings, source, parameters, f"role {arn} of profile {name!r}"),
        roles=(*base.roles, arn),
    )


def _assume(
    surroundings: Surroundings, source: Callable[[], Credentials], parameters: dict[str, str], what: str
) -> Callable[[], Credentials]:
    def load() -> Credentials:
        from s3func.s3.credentials import sts

        now = surroundings.clock.now()
        asked = {"Action": "AssumeRole", "RoleSessionName": f"s3func-{now:.0f}", **parameters}
        return sts.call(surroundings, asked, source(), what)

    return load


def _parameters(profile: Profile) -> dict[str, str]:
    settings = profile.settings
    parameters = {"RoleArn": settings["role_arn"]}
    for name, setting in (("RoleSessionName", "role_session_name"), ("ExternalId", "external_id")):
        if value := settings.get(setting):
            parameters[name] = value
    if seconds := settings.get("duration_seconds"):
        low, high = _DURATIONS
        if not (seconds.isascii() and seconds.isdigit() and low <= int(seconds[:9]) <= high):
            raise CredentialsError(
                f"duration_seconds of profile {profile.name!r} must be {low} to {high}, not {seconds[:40]!r}"
            )
        parameters["DurationSeconds"] = seconds
    return parameters


def _source(surroundings: Surroundings, profile: Profile, visited: list[str]) -> Provider:
    name = profile.name
    source_profile = profile.settings.get("source_profile")
    credential_source = profile.settings.get("credential_source")
    if source_profile and credential_source:
        raise CredentialsError(f"profile {name!r} has both source_profile and credential_source: who assumes the role?")
    if credential_source:
        return _named(surroundings, profile, credential_source)
    if not source_profile:
        raise CredentialsError(f"profile {name!r} has a role_arn but neither source_profile nor credential_source")
    source = surroundings.files.profile(source_profile)
    if source is None:
        raise CredentialsError(f"source_profile {source_profile!r} of profile {name!r} does not exist")
    has_keys = bool(source.settings.get("aws_access_key_id") or source.settings.get("aws_secret_access_key"))
    # A profile may be its own source if it has keys: the role and who assumes it in one place.
    if source.name in visited and not (source.name == name and has_keys):
        raise CredentialsError(f"the source_profiles lead in a circle: {' -> '.join([*visited, source.name])}")
    visited.append(source.name)
    has_role = bool(source.settings.get("role_arn")) and not source.settings.get("web_identity_token_file")
    return _role(surroundings, source, visited) if has_role and not has_keys else of_profile(surroundings, source)


def _named(surroundings: Surroundings, profile: Profile, credential_source: str) -> Provider:
    source = _NAMED_SOURCES.get(credential_source.lower())
    if source == "Environment":
        provider = environment_provider(surroundings)
        provider.load()
        return provider
    if source == "EcsContainer":
        from s3func.s3.credentials import container

        return container.find(surroundings, profile)
    if source == "Ec2InstanceMetadata":
        from s3func.s3.credentials import imds

        return imds.find(surroundings, profile)
    raise CredentialsError(
        f"credential_source of profile {profile.name!r} must be one of {', '.join(_NAMED_SOURCES.values())}, "
        f"not {credential_source[:60]!r}"
    )
