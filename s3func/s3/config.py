"""What a session can be told by environment and profile: the settings as one value, and the table of where each is read.

A variable goes before the profile, and an empty one counts as unset. Values are checked here, so that a mistake is
named by the variable or the profile that it stands in.
https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3func.s3.credentials.files import Profile, ProfileFiles


class Settings(NamedTuple):
    """What environment and profile say about a session; an argument of the session goes before each of them.

    None and False: nothing was said. The endpoint_url is S3's own (AWS_ENDPOINT_URL_S3 and `services` considered).
    """

    region: str | None = None
    endpoint_url: str | None = None
    addressing_style: str = "auto"
    use_accelerate_endpoint: bool = False
    use_dualstack_endpoint: bool = False
    use_fips_endpoint: bool = False
    use_arn_region: bool | None = None
    us_east_1_regional_endpoint: str | None = None
    disable_multiregion_access_points: bool = False
    disable_express_session_auth: bool = False
    ca_bundle: str | None = None
    max_attempts: int | None = None
    retry_mode: str | None = None
    request_checksum_calculation: str | None = None
    response_checksum_validation: str | None = None


class Variable:
    """Where one setting is looked up: variables of the environment, then a key of the profile, then of its section s3.

    kind: "text", "flag", "count", or the values that are allowed, with a blank between them.
    """

    # No NamedTuple: making one is a fifth of what this file costs to import.
    __slots__ = ("environment", "kind", "name", "profile", "section")

    def __init__(
        self, name: str, environment: tuple[str, ...] = (), profile: str = "", section: str = "", kind: str = "text"
    ) -> None:
        self.name = name
        self.environment = environment
        self.profile = profile
        self.section = section
        self.kind = kind


_WHEN = "when_supported when_required"
# https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html. Where AWS knows two places in a profile, the
# section s3 is the older one and counts where the other is silent.
VARIABLES = (
    Variable("region", ("AWS_REGION", "AWS_DEFAULT_REGION"), "region"),
    Variable("addressing_style", (), "", "addressing_style", "auto path virtual"),
    Variable("use_accelerate_endpoint", (), "", "use_accelerate_endpoint", "flag"),
    Variable(
        "use_dualstack_endpoint",
        ("AWS_USE_DUALSTACK_ENDPOINT",),
        "use_dualstack_endpoint",
        "use_dualstack_endpoint",
        "flag",
    ),
    Variable("use_fips_endpoint", ("AWS_USE_FIPS_ENDPOINT",), "use_fips_endpoint", "", "flag"),
    Variable("use_arn_region", ("AWS_S3_USE_ARN_REGION",), "s3_use_arn_region", "use_arn_region", "flag"),
    Variable(
        "disable_multiregion_access_points",
        ("AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS",),
        "s3_disable_multiregion_access_points",
        "s3_disable_multiregion_access_points",
        "flag",
    ),
    Variable(
        "disable_express_session_auth",
        ("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",),
        "s3_disable_express_session_auth",
        "",
        "flag",
    ),
    Variable(
        "us_east_1_regional_endpoint",
        ("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT",),
        "s3_us_east_1_regional_endpoint",
        "us_east_1_regional_endpoint",
        "legacy regional",
    ),
    Variable("ca_bundle", ("AWS_CA_BUNDLE",), "ca_bundle"),
    Variable("max_attempts", ("AWS_MAX_ATTEMPTS",), "max_attempts", "", "count"),
    Variable("retry_mode", ("AWS_RETRY_MODE",), "retry_mode", "", "legacy standard adaptive"),
    Variable(
        "request_checksum_calculation",
        ("AWS_REQUEST_CHECKSUM_CALCULATION",),
        "request_checksum_calculation",
        "",
        _WHEN,
    ),
    Variable(
        "response_checksum_validation",
        ("AWS_RESPONSE_CHECKSUM_VALIDATION",),
        "response_checksum_validation",
        "",
        _WHEN,
    ),
)


class Found(NamedTuple):
    """A value, and where it stood; both are None for a setting that nothing was said about."""

    value: Any = None
    source: str | None = None


def read_settings(environment: Mapping[str, str], profile: Profile | None, files: ProfileFiles | None) -> Settings:
    """All settings; ValueError names the variable or the profile with a value that cannot be."""
    section = _section(profile)
    found: dict[str, Any] = {"endpoint_url": configured_endpoint("s3", environment, profile, files).value}
    for variable in VARIABLES:
        value = look_up(variable, environment, profile, section).value
        if value is not None:
            found[variable.name] = value
    return Settings(**found)


def look_up(
    variable: Variable,
    environment: Mapping[str, str],
    profile: Profile | None,
    section: Mapping[str, str] | None = None,
) -> Found:
    """One setting; `section` is the profile's section s3."""
    for name in variable.environment:
        text = environment.get(name)
        if text:
            return Found(_checked(variable.kind, text, name), name)
    if profile is None:
        return Found()
    for key, settings, place in (
        (variable.profile, profile.settings, ""),
        (variable.section, _section(profile) if section is None else section, "s3."),
    ):
        text = settings.get(key) if key else None
        if text:
            source = f"{place}{key} of profile {profile.name!r}"
            return Found(_checked(variable.kind, text, source), source)
    return Found()


def configured_endpoint(
    service: str, environment: Mapping[str, str], profile: Profile | None, files: ProfileFiles | None
) -> Found:
    """The endpoint_url of a service ("s3", "sts", "sso", "sso_oidc"): its own before the one of all services.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    ignored = environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
    if not ignored and profile is not None:
        ignored = profile.settings.get("ignore_configured_endpoint_urls")
    if ignored and ignored.lower() == "true":
        return Found()
    for name in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
        if url := environment.get(name):
            return Found(url, name)
    if profile is None:
        return Found()
    name = profile.settings.get("services", "")
    if name and files is not None:
        from s3func.s3.credentials.files import nested

        own = nested(files.services.get(name, {}).get(service, ""))
        if url := own.get("endpoint_url"):
            return Found(url, f"services {name!r} of profile {profile.name!r}")
    if url := profile.settings.get("endpoint_url"):
        return Found(url, f"endpoint_url of profile {profile.name!r}")
    return Found()


def _section(profile: Profile | None) -> Mapping[str, str]:
    value = "" if profile is None else profile.settings.get("s3", "")
    if not value:
        return {}
    from s3func.s3.credentials.files import nested

    return nested(value)


def _checked(kind: str, text: str, source: str) -> Any:
    if kind == "text":
        return text
    said = text.strip().lower()
    if kind == "flag":
        return said == "true"
    if kind == "count":
        if not (said.isascii() and said.isdigit() and len(said) < 10 and int(said) > 0):
            raise ValueError(f"{source} must be a whole number of at least 1, not {text[:40]!r}")
        return int(said)
    if said not in kind.split(" "):
        raise ValueError(f"{source} must be one of {kind.replace(' ', ', ')}, not {text[:40]!r}")
    return said
