"""Where requests go: endpoint, region and addressing style, worked out per bucket, without any I/O.

The rules are those that AWS publishes for its SDKs (tests/s3/test_endpoints.py runs the recorded cases of them). What is
rare (ARNs, directory buckets, Outposts) is in special_buckets.py, and what other stores do differently in stores.py; both
are imported when such a bucket or such a store is named.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
https://docs.aws.amazon.com/general/latest/gr/s3.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from s3func.s3.stores import Store

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
SPECIAL_SUFFIXES = ("--x-s3", "--xa-s3", "--op-s3")
"""How the names of directory buckets, their access points and the aliases of Outposts access points end."""
SIGV4, SIGV4A, S3EXPRESS = "sigv4", "sigv4a", "sigv4-s3express"
"""How a request to a place is signed, in the words of AWS's rules."""
GLOBAL_REGION = "aws-global"


class Partition:
    """A part of AWS that knows nothing of the others: accounts, regions and domain are its own."""

    __slots__ = ("domain", "name")

    def __init__(self, name: str, domain: str) -> None:
        """As AWS calls it, and what its hosts end in."""
        self.name = name
        self.domain = domain


_AWS = Partition("aws", "amazonaws.com")
# Whose regions begin with something of their own. https://docs.aws.amazon.com/general/latest/gr/rande.html
_PARTITIONS = (
    (("us-gov-", "aws-us-gov-"), Partition("aws-us-gov", "amazonaws.com")),
    (("cn-", "aws-cn-"), Partition("aws-cn", "amazonaws.com.cn")),
    (("eusc-",), Partition("aws-eusc", "amazonaws.eu")),
    (("us-iso-", "aws-iso-global"), Partition("aws-iso", "c2s.ic.gov")),
    (("us-isob-", "aws-iso-b-"), Partition("aws-iso-b", "sc2s.sgov.gov")),
    (("us-isof-", "aws-iso-f-"), Partition("aws-iso-f", "csp.hci.ic.gov")),
    (("eu-isoe-", "aws-iso-e-"), Partition("aws-iso-e", "cloud.adc-e.uk")),
)


class Place(NamedTuple):
    """Where a bucket is: `origin` to connect to, `host` header, `prefix` of every path, and what signatures are made for.

    region: for SigV4A the set of regions. scheme: SIGV4, SIGV4A or S3EXPRESS.
    """

    origin: str
    host: str
    prefix: str
    region: str
    service: str = "s3"
    scheme: str = SIGV4


class EndpointOptions:
    """Which of AWS's endpoints a session uses.

    use_arn_region: a bucket given as an ARN is asked in the ARN's region; False refuses one of another region than the
    session's. use_global_endpoint: us-east-1 under its old name, s3.amazonaws.com.
    """

    # No NamedTuple: making one takes a tenth of a millisecond of every import.
    __slots__ = (
        "disable_multiregion_access_points",
        "disable_s3_express_session_auth",
        "use_accelerate",
        "use_arn_region",
        "use_dualstack",
        "use_fips",
        "use_global_endpoint",
    )

    def __init__(
        self,
        *,
        use_dualstack: bool = False,
        use_fips: bool = False,
        use_accelerate: bool = False,
        use_arn_region: bool = True,
        use_global_endpoint: bool = False,
        disable_multiregion_access_points: bool = False,
        disable_s3_express_session_auth: bool = False,
    ) -> None:
        """Without arguments: AWS's usual ones."""
        self.use_dualstack = use_dualstack
        self.use_fips = use_fips
        self.use_accelerate = use_accelerate
        self.use_arn_region = use_arn_region
        self.use_global_endpoint = use_global_endpoint
        self.disable_multiregion_access_points = disable_multiregion_access_points
        self.disable_s3_express_session_auth = disable_s3_express_session_auth


PLAIN = EndpointOptions()


class PartRules:
    """What a store wants of the parts of large objects.

    most: parts of an upload. equal: all but the last of one size. copied: whether a part may be a copy (UploadPartCopy).
    """

    __slots__ = ("copied", "equal", "most")

    def __init__(self, most: int = 10_000, equal: bool = False, copied: bool = True) -> None:
        """Without arguments: S3's own."""
        self.most = most
        self.equal = equal
        self.copied = copied


S3_RULES = PartRules()


class Endpoint:
    """One store, as the session was told about it; `place()` says where in it a bucket is."""

    __slots__ = (
        "_authority",
        "_hosted",
        "_template",
        "addressing_style",
        "is_address",
        "is_aws",
        "options",
        "parts",
        "path",
        "region",
        "scheme",
        "store",
        "url",
    )

    def __init__(
        self,
        endpoint_url: str | None,
        region: str,
        addressing_style: str = "auto",
        options: EndpointOptions = PLAIN,
        store: Store | None = None,
    ) -> None:
        """Without endpoint_url it is AWS in that region. ValueError names what is wrong.

        store: what is known of the store at endpoint_url.
        """
        if addressing_style not in ADDRESSING_STYLES:
            raise ValueError(f"addressing_style must be one of {ADDRESSING_STYLES}, not {addressing_style!r}")
        self.region = check_region(region)
        self.addressing_style = addressing_style
        self.options = options
        self.store = store
        self.is_aws = endpoint_url is None
        if options is not PLAIN:
            _check_options(options, endpoint_url, region, addressing_style)
        self.url = endpoint_url if endpoint_url is not None else f"https://{self._aws_authority(region)}"
        self.scheme, self._authority, self.path = split_url(self.url)
        self.is_address = self._authority.startswith("[") or re.match(_ADDRESS, self._authority) is not None
        self._template = None if store is None else store.template_of(self._authority)
        # A bucket becomes a part of the host name where the store is known to have a wildcard in its DNS.
        self._hosted = self.is_aws or (store is not None and store.addressing == "virtual")
        self.parts = S3_RULES if store is None else PartRules(store.max_parts, store.equal_parts, store.copies_parts)

    @property
    def verifies(self) -> bool:
        """Whether the store may be asked for the checksums that it keeps."""
        return self.store is None or self.store.verifies

    @property
    def names_location(self) -> bool:
        """Whether CreateBucket has to name the region."""
        return self.is_aws or (self.store is not None and self.store.names_location)

    @property
    def tells_region(self) -> bool:
        """Whether the store says where a bucket is when anybody asks for it."""
        return self.is_aws or (self.store is not None and self.store.tells_region)

    def authority(self, region: str) -> str:
        """The host, with the port if it is not the usual one, that serves a region."""
        if self.is_aws:
            return self._aws_authority(region)
        if self._template is None or region == self.region:
            return self._authority
        return self._template.replace("{region}", region)

    def place(self, bucket: str | None, region: str | None = None) -> Place:
        """The place of a bucket, or of the service itself when there is none. ValueError where it can have none."""
        if region is None:
            region = self.region
        if bucket is not None and (bucket.startswith("arn:") or bucket.endswith(SPECIAL_SUFFIXES)):
            from s3func.s3.special_buckets import special_place

            return special_place(self, bucket)
        signed_region = "us-east-1" if region == GLOBAL_REGION else region
        authority = self.authority(region)
        prefix = f"{self.path}/"
        if bucket is not None:
            if self.options.use_accelerate:
                authority = self._accelerated(bucket, region)
            elif self._is_virtual(bucket):
                authority = f"{bucket}.{authority}"
            else:
                prefix = f"{self.path}/{bucket}/"
        return Place(f"{self.scheme}://{authority}", authority, prefix, signed_region)

    def control_place(self, bucket: str) -> Place:
        """Where a bucket is made, deleted and configured; for directory buckets that is another host."""
        if bucket.startswith("arn:") or bucket.endswith(SPECIAL_SUFFIXES):
            from s3func.s3.special_buckets import special_control_place

            return special_control_place(self, bucket)
        return self.place(bucket)

    def _is_virtual(self, bucket: str) -> bool:
        """AWS's own rule: what cannot be a host name of its own is addressed by path, whatever style is asked for."""
        if self.addressing_style == "path" or (self.addressing_style == "auto" and not self._hosted):
            return False
        if self.is_address:
            return False
        # A certificate covers one label, so over TLS a bucket with dots is addressed by path.
        allowed = _VIRTUAL_BUCKET if self.scheme == "https" else _DOTTED_BUCKET
        return re.fullmatch(allowed, bucket) is not None

    def _aws_authority(self, region: str) -> str:
        options, domain = self.options, partition_of(region).domain
        is_global = region == GLOBAL_REGION
        if not (options.use_fips or options.use_dualstack):
            if is_global or (options.use_global_endpoint and region == "us-east-1"):
                return f"s3.{domain}"
            return f"s3.{region}.{domain}"
        if is_global:
            region = "us-east-1"
        return f"s3{'-fips' * options.use_fips}{'.dualstack' * options.use_dualstack}.{region}.{domain}"

    def _accelerated(self, bucket: str, region: str) -> str:
        """https://docs.aws.amazon.com/AmazonS3/latest/userguide/transfer-acceleration.html."""
        if re.fullmatch(_VIRTUAL_BUCKET, bucket) is None:
            raise ValueError(
                f"bucket {bucket[:80]!r} cannot be used with use_accelerate: its name must be one label of a host name, "
                "without dots"
            )
        dualstack = ".dualstack" if self.options.use_dualstack else ""
        if dualstack and region == GLOBAL_REGION:
            dualstack += ".us-east-1"
        return f"{bucket}.s3-accelerate{dualstack}.{partition_of(region).domain}"


def _check_options(options: EndpointOptions, endpoint_url: str | None, region: str, addressing_style: str) -> None:
    """Refuse what AWS has no endpoint for."""
    if options.use_accelerate and options.use_fips:
        raise ValueError("use_accelerate and use_fips exclude each other: acceleration has no FIPS endpoint")
    if endpoint_url is not None:
        for name in ("use_dualstack", "use_fips", "use_accelerate"):
            if getattr(options, name):
                raise ValueError(
                    f"{name} and endpoint_url exclude each other: name that endpoint itself, or leave it out"
                )
    in_china = partition_of(region).name == "aws-cn"
    if in_china and options.use_fips:
        raise ValueError(f"use_fips: there are no FIPS endpoints in {region}; leave it out")
    if in_china and options.use_accelerate:
        raise ValueError(f"use_accelerate: there is no acceleration in {region}; leave it out")
    if options.use_accelerate and addressing_style == "path":
        raise ValueError("use_accelerate and addressing_style='path' exclude each other: leave the style out")


def partition_of(region: str) -> Partition:
    """The partition that a region belongs to; an unknown one is in the commercial one."""
    for prefixes, partition in _PARTITIONS:
        if region.startswith(prefixes):
            return partition
    return _AWS


def check_bucket(bucket: object, name: str = "bucket") -> str:
    """The bucket's name or ARN, if it can be one; TypeError or ValueError names the argument."""
    if bucket is None:
        raise ValueError(f"{name} is not set: give it to the session or to the call")
    if not isinstance(bucket, str):
        raise TypeError(f"{name} must be a str, not {type(bucket).__name__}")
    if bucket.startswith("arn:"):
        from s3func.s3.special_buckets import parse_arn

        parse_arn(bucket, name)
        return bucket
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


def is_host_label(text: str) -> bool:
    """Whether the text can be one label of a host name."""
    return re.fullmatch(_REGION, text) is not None


def is_region(text: str) -> bool:
    """Whether a server's answer may be taken for a region."""
    return re.fullmatch(_REGION, text) is not None


def is_loopback(origin: str) -> bool:
    """Whether the bytes of a request to this origin never leave the machine."""
    return re.fullmatch(_LOOPBACK, origin) is not None


def host_of(url: str) -> str:
    """The host of an endpoint, without a port."""
    return re.sub(r":[0-9]+\Z", "", split_url(url)[1])


def split_url(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, and path prefix of an endpoint; ValueError where it can be none."""
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
