"""Buckets that are more than a name: access points, Object Lambda, Outposts, multi-region access points, directory buckets.

Pure, as endpoints.py is, and imported when such a bucket is named. What AWS's rules refuse is a ValueError that says what
to give instead.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPointRequests.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from s3func.s3.endpoints import S3EXPRESS, SIGV4, SIGV4A, Place, is_host_label, is_loopback, partition_of

if TYPE_CHECKING:
    from s3func.s3.endpoints import Endpoint

_ARN = r"[A-Za-z0-9:/._*%+=,@-]+"
_LABEL = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
# usw2-az1, usw2-lax1-az1 …: the zone of a directory bucket stands in its name.
_DIRECTORY = r"(?P<name>.+)--(?P<zone>[a-z0-9]+(?:-[a-z0-9]+)+)--xa?-s3"
# …-o<17 of the Outpost's id><27 more>--op-s3, or -e for EC2: counted from the end, as AWS's rule does.
_OUTPOST_ALIAS = r".*(?P<hardware>.)(?P<outpost>.{17})(?P<account>.{20})(?P<region>.{5})--op-s3"


class Arn(NamedTuple):
    """arn:partition:service:region:account:resource, the resource split at ":" and "/"."""

    text: str
    partition: str
    service: str
    region: str
    account: str
    resource: tuple[str, ...]


def parse_arn(text: str, name: str = "bucket") -> Arn:
    """Take an ARN apart; ValueError names the argument where it is none that can stand for a bucket."""
    shown = repr(text[:200])
    if re.fullmatch(_ARN, text) is None:
        raise ValueError(f"{name} is an ARN with characters that no ARN has: {shown}")
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not (parts[1] and parts[2] and parts[5]):
        raise ValueError(f"{name} is no ARN: arn:partition:service:region:account:resource is one, not {shown}")
    resource = tuple(re.split("[:/]", parts[5]))
    if parts[2] == "s3" and not (parts[3] or parts[4]) and resource[0] not in {"", "accesspoint"}:
        raise ValueError(
            f"{name} is the ARN of a bucket: give the bucket's name, {resource[0][:80]!r}, in place of {shown}"
        )
    if not resource[0]:
        raise ValueError(f"{name} is an ARN without a type of resource: {shown}")
    return Arn(text, parts[1], parts[2], parts[3], parts[4], resource)


def special_place(endpoint: Endpoint, bucket: str) -> Place:
    """The place of a bucket that is an ARN or whose name ends in one of SPECIAL_SUFFIXES."""
    if not bucket.startswith("arn:"):
        return _outpost_alias(endpoint, bucket) if bucket.endswith("--op-s3") else _directory(endpoint, bucket)
    arn = parse_arn(bucket)
    if endpoint.addressing_style == "path":
        raise ValueError("addressing_style='path' cannot be used with a bucket that is an ARN: leave the style out")
    if arn.service == "s3-outposts":
        return _outposts(endpoint, arn)
    if arn.service == "s3-object-lambda":
        return _access_point(endpoint, arn)
    if arn.resource[0] != "accesspoint":
        raise ValueError(f"bucket is the ARN of something else than an access point: {bucket[:200]!r}")
    if not arn.region:
        return _multi_region(endpoint, arn)
    return _access_point(endpoint, arn)


def special_control_place(endpoint: Endpoint, bucket: str) -> Place:
    """Where directory buckets are made and configured; access points are configured elsewhere, and that is said."""
    if bucket.startswith("arn:"):
        raise ValueError(f"bucket must be a name here, not an access point: {bucket[:200]!r}")
    place = special_place(endpoint, bucket)
    if bucket.endswith("--op-s3"):
        return place
    if not endpoint.is_aws:
        return place._replace(scheme=SIGV4)
    return directory_service(endpoint)._replace(prefix=f"/{bucket}/")


def directory_service(endpoint: Endpoint) -> Place:
    """Where the directory buckets of an account are listed, and below which each of them is configured."""
    if not endpoint.is_aws:
        return _at(endpoint, None, f"{endpoint.path}/", endpoint.region, "s3express")
    options, region = endpoint.options, endpoint.region
    host = (
        f"s3express-control{'-fips' * options.use_fips}{'.dualstack' * options.use_dualstack}"
        f".{region}.{partition_of(region).domain}"
    )
    return _at(endpoint, host, "/", region, "s3express")


def zone_of(bucket: str) -> str:
    """The zone in the name of a directory bucket, such as "usw2-az1"."""
    match = re.fullmatch(_DIRECTORY, bucket)
    if match is None:
        raise ValueError(f"bucket has no zone in its name, as in name--usw2-az1--x-s3: {bucket[:80]!r}")
    return match["zone"]


def _directory(endpoint: Endpoint, bucket: str) -> Place:
    options = endpoint.options
    if options.use_accelerate:
        raise ValueError(f"use_accelerate cannot be used with a directory bucket: {bucket[:80]!r}")
    scheme = SIGV4 if options.disable_s3_express_session_auth else S3EXPRESS
    if not endpoint.is_aws and _has_no_wildcard(endpoint):
        return _at(endpoint, None, f"{endpoint.path}/{bucket}/", endpoint.region, "s3express", scheme)
    if re.fullmatch(_LABEL, bucket) is None:
        raise ValueError(f"bucket cannot be a part of a host name, which a directory bucket has to be: {bucket[:80]!r}")
    if not endpoint.is_aws:
        authority = f"{bucket}.{endpoint.authority(endpoint.region)}"
        return _at(endpoint, authority, f"{endpoint.path}/", endpoint.region, "s3express", scheme)
    host = (
        f"{bucket}.s3express{'-fips' * options.use_fips}-{zone_of(bucket)}{'.dualstack' * options.use_dualstack}"
        f".{endpoint.region}.{partition_of(endpoint.region).domain}"
    )
    return _at(endpoint, host, "/", endpoint.region, "s3express", scheme)


def _has_no_wildcard(endpoint: Endpoint) -> bool:
    return endpoint.is_address or (endpoint.addressing_style != "virtual" and is_loopback(endpoint.url))


def _access_point(endpoint: Endpoint, arn: Arn) -> Place:
    """An access point, or one of Object Lambda."""
    options = endpoint.options
    is_lambda = arn.service == "s3-object-lambda"
    if not is_lambda and arn.service != "s3":
        raise ValueError(f"bucket is an ARN of {arn.service!r}, not of s3, s3-outposts or s3-object-lambda")
    if arn.resource[0] != "accesspoint":
        raise ValueError(f"bucket is the ARN of something else than an access point: {arn.text[:200]!r}")
    name = _resource(arn, 1, "accesspoint:NAME")
    if len(arn.resource) > 2:
        raise ValueError(f"bucket is an ARN with more behind the name of its access point: {arn.text[:200]!r}")
    if options.use_accelerate:
        raise ValueError("use_accelerate cannot be used with an access point")
    if is_lambda and options.use_dualstack:
        raise ValueError("use_dualstack cannot be used with an access point of Object Lambda")
    _check_region(endpoint, arn)
    _check_label(arn.account, "account id", arn)
    _check_label(name, "access point name", arn)
    first = f"{name}-{arn.account}"
    if not endpoint.is_aws:
        authority = f"{first}.{endpoint.authority(endpoint.region)}"
        return _at(endpoint, authority, f"{endpoint.path}/", arn.region, arn.service)
    service = "s3-object-lambda" if is_lambda else "s3-accesspoint"
    host = (
        f"{first}.{service}{'-fips' * options.use_fips}{'.dualstack' * options.use_dualstack}"
        f".{arn.region}.{partition_of(arn.region).domain}"
    )
    return _at(endpoint, host, "/", arn.region, arn.service)


def _outposts(endpoint: Endpoint, arn: Arn) -> Place:
    options = endpoint.options
    for name in ("use_dualstack", "use_fips", "use_accelerate"):
        if getattr(options, name):
            raise ValueError(f"{name} cannot be used with S3 on Outposts")
    outpost = _resource(arn, 1, "outpost:ID:accesspoint:NAME")
    _check_label(outpost, "outpost id", arn)
    _check_region(endpoint, arn)
    _check_label(arn.account, "account id", arn)
    kind = _resource(arn, 2, "outpost:ID:accesspoint:NAME")
    name = _resource(arn, 3, "outpost:ID:accesspoint:NAME")
    if kind != "accesspoint" or len(arn.resource) > 4:
        raise ValueError(f"bucket is an ARN that does not end in outpost:ID:accesspoint:NAME: {arn.text[:200]!r}")
    _check_label(name, "access point name", arn)
    if endpoint.is_aws:
        domain = f"s3-outposts.{arn.region}.{partition_of(arn.region).domain}"
    else:
        domain = endpoint.authority(endpoint.region)
    host = f"{name}-{arn.account}.{outpost}.{domain}"
    return Place(f"https://{host}", host, "/", arn.region, "s3-outposts")


def _outpost_alias(endpoint: Endpoint, bucket: str) -> Place:
    match = re.fullmatch(_OUTPOST_ALIAS, bucket)
    if match is None or not is_host_label(match["outpost"]) or re.fullmatch(_LABEL, bucket) is None:
        raise ValueError(f"bucket is no alias of an access point of S3 on Outposts: {bucket[:80]!r}")
    hardware = match["hardware"]
    if hardware not in {"e", "o"}:
        raise ValueError(
            f"bucket is an alias for unknown hardware, {hardware!r} in place of 'e' or 'o': {bucket[:80]!r}"
        )
    domain = f"s3-outposts.{endpoint.region}.{partition_of(endpoint.region).domain}"
    if match["region"].startswith("beta"):
        if endpoint.is_aws:
            raise ValueError(f"bucket {bucket[:80]!r} is on a test Outpost: endpoint_url has to say where that is")
        domain = endpoint.authority(endpoint.region)
    host = f"{bucket}.{'ec2' if hardware == 'e' else 'op-' + match['outpost']}.{domain}"
    return Place(f"https://{host}", host, "/", endpoint.region, "s3-outposts")


def _multi_region(endpoint: Endpoint, arn: Arn) -> Place:
    options = endpoint.options
    name = _resource(arn, 1, "accesspoint:NAME")
    # The alias may have dots: NAME.mrap.
    if len(arn.resource) > 2 or not all(is_host_label(label) for label in name.split(".")):
        raise ValueError(
            f"bucket is an ARN without a region that names no multi-region access point: {arn.text[:200]!r}"
        )
    for option in ("use_dualstack", "use_fips", "use_accelerate"):
        if getattr(options, option):
            raise ValueError(f"{option} cannot be used with a multi-region access point")
    if options.disable_multiregion_access_points:
        raise ValueError(
            "multi-region access points are switched off (AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS, or "
            "s3_disable_multiregion_access_points in the profile)"
        )
    partition = partition_of(endpoint.region)
    if partition.name != arn.partition:
        raise ValueError(
            f"bucket is an ARN of partition {arn.partition!r} and the session's region {endpoint.region!r} is in "
            f"{partition.name!r}: give a region of the ARN's"
        )
    host = f"{name}.accesspoint.s3-global.{partition.domain}"
    return Place(f"https://{host}", host, "/", "*", "s3", SIGV4A)


def _at(
    endpoint: Endpoint, authority: str | None, prefix: str, region: str, service: str, scheme: str = SIGV4
) -> Place:
    host = endpoint.authority(endpoint.region) if authority is None else authority
    return Place(f"{endpoint.scheme}://{host}", host, prefix, region, service, scheme)


def _resource(arn: Arn, index: int, form: str) -> str:
    if len(arn.resource) <= index or not arn.resource[index]:
        raise ValueError(f"bucket is an ARN that does not end in {form}: {arn.text[:200]!r}")
    return arn.resource[index]


def _check_region(endpoint: Endpoint, arn: Arn) -> None:
    if not is_host_label(arn.region):
        raise ValueError(f"bucket is an ARN of a region that cannot be one: {arn.text[:200]!r}")
    if not endpoint.options.use_arn_region and arn.region != endpoint.region:
        raise ValueError(
            f"bucket is an ARN of region {arn.region!r}, the session is in {endpoint.region!r} and use_arn_region is "
            "False: give the session that region, or use_arn_region=True"
        )
    ours, its = partition_of(endpoint.region), partition_of(arn.region)
    if ours != its:
        raise ValueError(
            f"bucket is an ARN of partition {its.name!r} and the session's region {endpoint.region!r} is in "
            f"{ours.name!r}: give a region of the ARN's"
        )


def _check_label(text: str, what: str, arn: Arn) -> None:
    if not is_host_label(text):
        raise ValueError(f"bucket is an ARN whose {what} is not letters, digits and '-': {arn.text[:200]!r}")
