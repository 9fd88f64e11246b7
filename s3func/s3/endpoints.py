"""Where requests go: endpoint, region and addressing style, worked out per bucket.

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
