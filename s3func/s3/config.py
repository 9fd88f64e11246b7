"""What a session can be told by environment and profile: the settings as one value, and the table of where each is read.

https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
"""

from __future__ import annotations

from typing import NamedTuple


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
    disable_multiregion_access_points: bool = False
    disable_express_session_auth: bool = False
    payload_signing_enabled: bool = False
    ca_bundle: str | None = None
    max_attempts: int | None = None
    retry_mode: str | None = None
    request_checksum_calculation: str | None = None
    response_checksum_validation: str | None = None


class Variable(NamedTuple):
    """Where one setting is looked up: variables of the environment, then a key of the profile, then of its section s3.

    kind: "text", "flag", "count", or the values that are allowed, with a blank between them.
    """

    name: str
    environment: tuple[str, ...] = ()
    profile: str = ""
    section: str = ""
    kind: str = "text"


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
    Variable("payload_signing_enabled", (), "", "payload_signing_enabled", "flag"),
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
