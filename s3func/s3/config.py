"""Where requests go: endpoint, region and addressing style, worked out per bucket; and what a session can be told.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
"""

from __future__ import annotations

import re
from typing import NamedTuple

# What may stand in a request line or a host name. Stores differ within this (S3 allows 3 to 63 lower-case characters),
# and they say so themselves; nothing that could name another bucket or another host passes.
_BUCKET = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?"
_VIRTUAL_BUCKET = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
_DOTTED_BUCKET = (
    r"(?=.{3,63}\Z)(?!(?:[0-9]+\.){3}[0-9]+\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
)
_REGION = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_URL = (
    r"(?P<scheme>https?)://(?P<user>[^/?#]*@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*)(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>/[^?#]*)?(?P<rest>[?#].*)?"
)
_PATH = r"(?:[A-Za-z0-9._~/-]|%[0-9A-Fa-f]{2})*"
_ADDRESS = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::|\Z)"
_LOOPBACK = r"https?://(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?"
ADDRESSING_STYLES = ("auto", "path", "virtual")
# Whose regions do not end in amazonaws.com. https://docs.aws.amazon.com/general/latest/gr/rande.html
_DOMAINS = (
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
)


class Place(NamedTuple):
    """Where a bucket is: `origin` to connect to, `host` header, `prefix` of every path, and the region it is in."""

    origin: str
    host: str
    prefix: str
    region: str


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
    use_arn_region: bool = False
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


class Endpoint:
    """One store, as the session was told about it; `place()` says where in it a bucket is."""

    __slots__ = ("_authority", "_is_address", "_path", "_scheme", "addressing_style", "is_aws", "region", "url")

    def __init__(self, endpoint_url: str | None, region: str, addressing_style: str = "auto") -> None:
        """Without endpoint_url it is AWS in that region. ValueError names what is wrong."""
        if addressing_style not in ADDRESSING_STYLES:
            raise ValueError(f"addressing_style must be one of {ADDRESSING_STYLES}, not {addressing_style!r}")
        self.region = check_region(region)
        self.addressing_style = addressing_style
        self.is_aws = endpoint_url is None
        self.url = endpoint_url if endpoint_url is not None else f"https://{_aws_host(region)}"
        self._scheme, self._authority, self._path = _split(self.url)
        self._is_address = self._authority.startswith("[") or re.match(_ADDRESS, self._authority) is not None

    def place(self, bucket: str | None, region: str | None = None) -> Place:
        """The place of a bucket, or of the service itself when there is none."""
        region = region or self.region
        authority = _aws_host(region) if self.is_aws else self._authority
        prefix = f"{self._path}/"
        if bucket is not None:
            if self._is_virtual(bucket):
                authority = f"{bucket}.{authority}"
            else:
                prefix = f"{self._path}/{bucket}/"
        return Place(f"{self._scheme}://{authority}", authority, prefix, region)

    def _is_virtual(self, bucket: str) -> bool:
        """AWS's own rule: what cannot be a host name of its own is addressed by path, whatever style is asked for."""
        if self.addressing_style == "path" or (self.addressing_style == "auto" and not self.is_aws):
            return False
        if self._is_address:
            return False
        # A certificate covers one label, so over TLS a bucket with dots is addressed by path.
        allowed = _VIRTUAL_BUCKET if self._scheme == "https" else _DOTTED_BUCKET
        return re.fullmatch(allowed, bucket) is not None


def check_bucket(bucket: object, name: str = "bucket") -> str:
    """The bucket's name, if it can be one; TypeError or ValueError names the argument."""
    if bucket is None:
        raise ValueError(f"{name} is not set: give it to the session or to the call")
    if not isinstance(bucket, str):
        raise TypeError(f"{name} must be a str, not {type(bucket).__name__}")
    if re.fullmatch(_BUCKET, bucket) is None or ".." in bucket:
        raise ValueError(f"{name} is not a bucket name: {bucket[:80]!r}")
    return bucket


def check_region(region: object) -> str:
    """The region, if it can be one: it becomes part of a host name and of the signature."""
    if not isinstance(region, str):
        raise TypeError(f"region must be a str, not {type(region).__name__}")
    if re.fullmatch(_REGION, region) is None:
        raise ValueError(f"region is not a region name: {region[:80]!r}")
    return region


def is_region(text: str) -> bool:
    """Whether a server's answer may be taken for a region."""
    return re.fullmatch(_REGION, text) is not None


def is_loopback(origin: str) -> bool:
    """Whether the bytes of a request to this origin never leave the machine."""
    return re.fullmatch(_LOOPBACK, origin) is not None


def _aws_host(region: str) -> str:
    for prefix, domain in _DOMAINS:
        if region.startswith(prefix):
            return f"s3.{region}.{domain}"
    return f"s3.{region}.amazonaws.com"


def _split(url: str) -> tuple[str, str, str]:
    if not isinstance(url, str):
        raise TypeError(f"endpoint_url must be a str, not {type(url).__name__}")
    # Said without the URL when it may hold a secret.
    shown = "" if "@" in url or "?" in url or "#" in url else f": {url[:200]!r}"
    match = re.fullmatch(_URL, url, re.IGNORECASE | re.ASCII)
    if match is None:
        raise ValueError(f"endpoint_url must be https://host[:port][/prefix] (or http://){shown}")
    scheme, host, path = match["scheme"].lower(), match["host"].lower(), match["path"] or ""
    if match["user"]:
        raise ValueError("endpoint_url must not contain credentials")
    if match["rest"]:
        raise ValueError("endpoint_url must not have a query or fragment")
    if re.fullmatch(_PATH, path) is None or "/." in path:
        raise ValueError(f"endpoint_url has a path that cannot be sent as it stands{shown}")
    if host.startswith("["):
        from ipaddress import AddressValueError, IPv6Address

        try:
            IPv6Address(host[1:-1])
        except AddressValueError:
            raise ValueError(f"endpoint_url has an IPv6 address that is none{shown}") from None
    if match["port"]:
        port = int(match["port"])
        if not 1 <= port <= 65535:
            raise ValueError(f"endpoint_url has a port that does not exist{shown}")
        if port != (443 if scheme == "https" else 80):
            host = f"{host}:{port}"
    return scheme, host, path.rstrip("/")
